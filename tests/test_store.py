"""The store: leases, order, once and only once, keys, and a database that is away."""

import asyncio
import contextlib
import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select

from actions.action import Understanding
from bot.message import Message, Sender, TextBlock
from bot.store import (
    Session,
    Store,
    StoreUnavailable,
    conversations,
    inbox,
    outbox,
    retention,
    seal,
)
from bot.store.conversations import Lease, LeaseLost
from bot.store.inbox import Waiting
from bot.store.keys import KeyRing, KeysUnusable, write_private
from bot.store.tables import (
    ChoiceRow,
    ConversationRow,
    InboxRow,
    JobRow,
    OutboxRow,
    TurnRow,
)
from bot.turn import House, take_turn
from tests.conftest import START, Citizen
from tests.fakes.nlu import FakeNlu

pytestmark = pytest.mark.databases

OFFICE = "ubnd_phuong_vi_du"
NOW = START
LEASE = timedelta(seconds=60)
LATER = NOW + timedelta(seconds=61)


def message(id_: str, text: str = "chào", person: str = "lan", channel: str = "web") -> Message:
    return Message(Sender(channel, OFFICE, person), id_, NOW, text)


def keep(store: Store, id_: str, text: str = "chào", **more: str) -> bool:
    until = NOW + timedelta(days=30)
    return store.run_here(inbox.keep, message(id_, text, **more), OFFICE, NOW, until)


def lease(store: Store, owner: str, now: datetime = NOW) -> Lease | None:
    return next(iter(store.run_here(conversations.lease, owner, now, LEASE)), None)


def held(store: Store, owner: str = "worker", now: datetime = NOW) -> Lease:
    got = lease(store, owner, now)
    assert got is not None
    return got


def waiting(store: Store, held: Lease, now: datetime = NOW) -> Waiting:
    got = store.run_here(inbox.next_waiting, held, now)
    assert got is not None
    return got


def counted(session: Session, table: type) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def turn(store: Store, house: House, held: Lease, first: Waiting, now: datetime = NOW) -> None:
    meant = Understanding(first.message.text, first.message.text, "greet", 0.9)
    store.run_here(take_turn, held, first, meant, house, now)


@pytest.fixture
def second(store: Store, keys: KeyRing) -> Iterator[Store]:
    """The same database, as another process opens it."""
    second = Store(store.engine.url.render_as_string(), keys, durable=False)
    yield second
    second.close()


# Leases


def test_two_workers_never_hold_one_conversation(store: Store, second: Store) -> None:
    keep(store, "1")
    first = held(store, "first")
    assert lease(second, "second") is None
    store.run_here(conversations.release, first)
    assert held(second, "second").fence == first.fence + 1


def test_many_workers_at_once_lease_each_conversation_once(store: Store, second: Store) -> None:
    for person in range(12):
        keep(store, f"{person}:1", person=f"person-{person}")

    def all_that_can_be_had(number: int) -> list[int]:
        own = (store, second)[number % 2]
        got = iter(lambda: lease(own, f"worker-{number}"), None)
        return [one.conversation_id for one in got if one is not None]

    with ThreadPoolExecutor(6) as workers:
        leased = [id_ for ids in workers.map(all_that_can_be_had, range(6)) for id_ in ids]
    assert sorted(leased) == sorted(set(leased))
    assert len(leased) == 12


def test_an_expired_lease_is_taken_over_and_the_old_one_keeps_nothing(
    store: Store, house: House
) -> None:
    keep(store, "1")
    old = held(store, "old")
    slow = waiting(store, old)
    new = held(store, "new", LATER)
    assert (new.conversation_id, new.fence) == (old.conversation_id, old.fence + 1)
    with pytest.raises(LeaseLost):
        turn(store, house, old, slow, LATER)
    for table in (TurnRow, OutboxRow, ChoiceRow):
        assert store.run_here(counted, table) == 0
    turn(store, house, new, waiting(store, new, LATER), LATER)
    assert store.run_here(counted, TurnRow) == 1
    assert store.run_here(counted, OutboxRow) == 1


def test_a_lease_that_was_taken_over_cannot_be_given_back_by_the_old_one(store: Store) -> None:
    keep(store, "1")
    old = held(store, "old")
    held(store, "new", LATER)
    store.run_here(conversations.release, old)
    [row] = store.run_here(lambda s: s.scalars(select(ConversationRow)).all())
    assert row.lease_owner == "new"


def test_a_lease_that_still_runs_is_not_taken_over(store: Store) -> None:
    keep(store, "1")
    held(store, "old")
    assert lease(store, "new", NOW + LEASE) is None


def test_the_conversation_that_waited_longest_is_leased_first(store: Store) -> None:
    for number, person in enumerate(("hoa", "lan", "minh")):
        keep(store, str(number), person=person)
    people = {}
    for _ in range(3):
        got = held(store)
        people[waiting(store, got).message.sender.person] = got
    assert list(people) == ["hoa", "lan", "minh"]
    assert lease(store, "worker") is None


# The inbox


def test_the_same_message_is_kept_once(store: Store) -> None:
    assert [keep(store, "same"), keep(store, "same", "khác")] == [True, False]
    assert store.run_here(counted, InboxRow) == 1
    assert waiting(store, held(store)).message.text == "chào"


def test_the_same_message_from_many_threads_is_kept_once(store: Store, second: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        kept = list(threads.map(lambda n: keep((store, second)[n % 2], "same"), range(16)))
    assert kept.count(True) == 1
    assert store.run_here(counted, InboxRow) == 1
    assert store.run_here(counted, ConversationRow) == 1


def test_one_id_of_two_channels_is_two_messages(store: Store) -> None:
    assert [keep(store, "1"), keep(store, "1", channel="zalo")] == [True, True]


def test_messages_are_answered_in_order_and_a_first_one_that_was_put_off_holds_the_others(
    store: Store, house: House
) -> None:
    keep(store, "1", "một")
    keep(store, "2", "hai")
    mine = held(store)
    first = waiting(store, mine)
    assert first.message.text == "một"
    retry_at = NOW + inbox.back_off(5)
    store.run_here(inbox.later, first, retry_at, "ValueError")
    assert store.run_here(inbox.next_waiting, mine, NOW) is None
    store.run_here(conversations.release, mine)
    assert lease(store, "another") is None, "the second message must not overtake the first"
    again = held(store, "another", retry_at)
    told = []
    while (got := store.run_here(inbox.next_waiting, again, retry_at)) is not None:
        told.append((got.message.text, got.attempts))
        turn(store, house, again, got, retry_at)
    assert told == [("một", 1), ("hai", 0)]


def test_a_first_message_that_was_put_off_does_not_hold_another_person(store: Store) -> None:
    keep(store, "1", person="lan")
    keep(store, "2", person="minh")
    lan = held(store)
    store.run_here(inbox.later, waiting(store, lan), LATER, "ValueError")
    assert waiting(store, held(store)).message.sender.person == "minh"


def test_a_message_that_failed_for_good_lets_the_next_one_pass(store: Store) -> None:
    keep(store, "1", "một")
    keep(store, "2", "hai")
    mine = held(store)
    store.run_here(inbox.give_up, waiting(store, mine), "ValueError")
    assert waiting(store, mine).message.text == "hai"


def test_a_message_of_a_version_that_nobody_here_reads_lets_the_next_one_pass(
    store: Store,
) -> None:
    def of_another_version(session: Session) -> None:
        row = session.scalars(select(InboxRow)).one()
        row.words = seal(session, '{"shape": "another"}', "inbox.words")

    keep(store, "1")
    store.run_here(of_another_version)
    keep(store, "2", "hai")
    assert waiting(store, held(store)).message.text == "hai"


def test_waits_grow_and_stay_under_a_minute() -> None:
    assert [inbox.back_off(n).total_seconds() for n in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_an_answered_message_keeps_no_words(store: Store, house: House) -> None:
    keep(store, "1")
    mine = held(store)
    turn(store, house, mine, waiting(store, mine))
    [row] = store.run_here(lambda s: s.scalars(select(InboxRow)).all())
    assert (row.state, row.words, row.keep_until) == ("done", None, None)


# A transaction is whole or not at all


def test_work_that_fails_keeps_nothing(store: Store) -> None:
    def half(session: Session) -> None:
        inbox.keep(session, message("1"), OFFICE, NOW, LATER)
        session.flush()
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        store.run_here(half)
    assert store.run_here(counted, InboxRow) == 0
    assert store.run_here(counted, ConversationRow) == 0


async def test_many_coroutines_run_their_work_at_once_and_nothing_is_lost(
    store: Store, second: Store
) -> None:
    until = NOW + timedelta(days=30)
    kept = await asyncio.gather(
        *(
            (store, second)[n % 2].run(
                inbox.keep, message(f"{n}", person=f"p{n % 7}"), OFFICE, NOW, until
            )
            for n in range(200)
        )
    )
    assert kept == [True] * 200
    assert await store.run(counted, InboxRow) == 200
    assert await store.run(counted, ConversationRow) == 7


async def test_the_event_loop_is_free_while_work_runs(store: Store) -> None:
    """Work waits in its thread for something that only the loop can give."""
    loop = asyncio.get_running_loop()

    def work(_session: Session) -> str:
        return asyncio.run_coroutine_threadsafe(given(), loop).result(timeout=5)

    async def given() -> str:
        return "from the loop"

    assert await store.run(work) == "from the loop"


def test_a_moment_without_its_zone_is_refused(store: Store) -> None:
    naive = datetime(2026, 11, 24, 10, 0)  # noqa: DTZ001 - what must be refused
    with pytest.raises(Exception, match="a moment needs its zone"):
        store.run_here(inbox.keep, message("1"), OFFICE, naive, naive)
    assert store.run_here(counted, InboxRow) == 0


def test_moments_come_back_in_utc(store: Store) -> None:
    keep(store, "1")
    [row] = store.run_here(lambda s: s.scalars(select(InboxRow)).all())
    assert row.received_at == NOW
    assert row.received_at.tzinfo is UTC


async def test_a_turn_that_breaks_a_constraint_is_given_up_like_any_other_that_fails(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    """It will break it every time: waiting for the database would block this person for ever."""
    fake_nlu.knows("chào", "greet")
    await citizen.sends("chào")
    keep(citizen.store, "another", person="minh")

    def take_its_place(session: Session) -> None:
        first, second = session.scalars(select(InboxRow).order_by(InboxRow.id)).all()
        second.state = inbox.DONE
        row = TurnRow(
            conversation_id=second.conversation_id, inbox_id=first.id, result="answered", at=NOW
        )
        session.add(row)

    await citizen.store.run(take_its_place)
    for _ in range(8):
        with contextlib.suppress(StoreUnavailable):
            await citizen.worker.run_once()
        citizen.clock.move(minutes=2)
    [told] = await citizen.inbox_of_replies()
    assert "gặp lỗi" in told.blocks[0].text


# A database that is locked, gone or no database


@pytest.fixture
def impatient(store: Store) -> Store:
    """A store that waits for a lock only a moment."""

    @event.listens_for(store.engine, "connect")
    def hurry(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA busy_timeout=20")

    store.engine.dispose()
    return store


def database(store: Store) -> Path:
    return Path(store.engine.url.database or "")


@pytest.mark.sqlite_only
async def test_a_locked_database_is_unavailable_and_nothing_is_lost_afterwards(
    impatient: Store,
) -> None:
    keep(impatient, "before")
    other = sqlite3.connect(database(impatient), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    until = NOW + timedelta(days=30)
    with pytest.raises(StoreUnavailable, match="OperationalError"):
        await impatient.run(inbox.keep, message("while locked"), OFFICE, NOW, until)
    other.execute("COMMIT")
    other.close()
    assert await impatient.run(inbox.keep, message("while locked"), OFFICE, NOW, until) is True
    assert await impatient.run(counted, InboxRow) == 2


@pytest.mark.sqlite_only
async def test_a_worker_outlives_a_locked_database(
    impatient: Store, citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("chào", "greet")
    await citizen.sends("chào")
    other = sqlite3.connect(database(impatient), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        await citizen.worker.run_once()
    other.execute("ROLLBACK")
    other.close()
    assert len(await citizen.worker.run_once()) == 1


def test_a_database_whose_folder_is_gone_is_unavailable(tmp_path: Path, keys: KeyRing) -> None:
    store = Store(f"sqlite:///{tmp_path / 'no-such-folder' / 'motcua.db'}", keys)
    with pytest.raises(StoreUnavailable):
        store.migrate()
    with pytest.raises(StoreUnavailable):
        store.run_here(outbox.newest)
    store.close()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path, keys: KeyRing) -> None:
    path = tmp_path / "motcua.db"
    path.write_bytes(b"no database, but long enough to look like one. " * 100)
    store = Store(f"sqlite:///{path}", keys)
    with pytest.raises(StoreUnavailable):
        store.migrate()
    store.close()


def test_a_database_that_was_never_migrated_is_unavailable(tmp_path: Path, keys: KeyRing) -> None:
    store = Store(f"sqlite:///{tmp_path / 'empty.db'}", keys, durable=False)
    with pytest.raises(StoreUnavailable):
        store.run_here(outbox.newest)
    store.close()


@pytest.mark.sqlite_only
def test_a_database_that_is_put_back_is_used_again(store: Store, tmp_path: Path) -> None:
    keep(store, "1")
    store.engine.dispose()
    path, aside = database(store), tmp_path / "aside"
    path.rename(aside)
    path.mkdir()
    with pytest.raises(StoreUnavailable):
        store.run_here(outbox.newest)
    path.rmdir()
    aside.rename(path)
    assert store.run_here(counted, InboxRow) == 1


# Jobs that run once


def test_retention_is_due_for_one_of_two_processes(store: Store, second: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        due = list(
            threads.map(lambda n: (store, second)[n % 2].run_here(retention.due, NOW), range(16))
        )
    assert due.count(True) == 1
    assert store.run_here(counted, JobRow) == 1


def test_retention_is_due_again_after_an_hour_and_then_again_once(
    store: Store, second: Store
) -> None:
    hour = timedelta(hours=1)
    moments = (NOW, NOW + hour - timedelta(seconds=1), NOW + hour, NOW + hour)
    stores = (store, second, second, store)
    due = [one.run_here(retention.due, at) for one, at in zip(stores, moments, strict=True)]
    assert due == [True, False, True, False]


def test_a_job_that_failed_is_still_due(store: Store) -> None:
    """Being due and the work are one transaction."""

    def job(session: Session) -> None:
        assert retention.due(session, NOW)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        store.run_here(job)
    assert store.run_here(retention.due, NOW) is True


def test_retention_leaves_what_is_not_over_and_messages_that_wait(
    store: Store, house: House
) -> None:
    keep(store, "1", "đã trả lời")
    mine = held(store)
    turn(store, house, mine, waiting(store, mine))
    keep(store, "2", "còn chờ")
    assert store.run_here(retention.enforce, NOW + timedelta(days=29)) > 0  # choices of 7 days
    assert store.run_here(retention.enforce, NOW + timedelta(days=29)) == 0
    store.run_here(retention.enforce, NOW + timedelta(days=31))
    assert store.run_here(lambda s: s.scalars(select(TurnRow.said)).all()) == [None]
    after = NOW + timedelta(days=31)
    assert waiting(store, held(store, "another", after), after).message.text == "còn chờ"


# Choices


def test_choices_are_gone_after_a_week(store: Store, house: House) -> None:
    from bot.store import choices

    keep(store, "1")
    mine = held(store)
    turn(store, house, mine, waiting(store, mine))
    first = select(ChoiceRow.token).where(ChoiceRow.number == 1)
    [token] = store.run_here(lambda s: s.scalars(first).all())
    week = NOW + timedelta(days=7)
    press, _ = store.run_here(choices.press, mine.conversation_id, token, week)
    assert press.intent == "ask_procedure"
    with pytest.raises(choices.ChoiceGone):
        store.run_here(choices.press, mine.conversation_id, token, week + timedelta(seconds=1))


# The key ring


def test_words_are_opened_only_in_the_place_they_were_sealed_for(keys: KeyRing) -> None:
    sealed = keys.seal("số 0900 000 000", "cases.contact")
    assert keys.unseal(sealed, "cases.contact") == "số 0900 000 000"
    with pytest.raises(KeysUnusable, match=r"turns\.said"):
        keys.unseal(sealed, "turns.said")


def test_words_are_opened_only_with_their_key(keys: KeyRing) -> None:
    sealed = keys.seal("bí mật", "turns.said")
    with pytest.raises(KeysUnusable):
        KeyRing.fresh().unseal(sealed, "turns.said")
    with pytest.raises(KeysUnusable):
        KeyRing("2", {"2": keys.keys["1"]}).unseal(sealed, "turns.said")


@pytest.mark.parametrize("at", [0, 1, 2, 13, 14, -1])
def test_words_that_were_tampered_with_are_not_opened(keys: KeyRing, at: int) -> None:
    sealed = bytearray(keys.seal("bí mật", "turns.said"))
    sealed[at] ^= 1
    with pytest.raises(KeysUnusable):
        keys.unseal(bytes(sealed), "turns.said")


@pytest.mark.parametrize("sealed", [b"", b"1", b"1\0", b"1\0short", b"\xff\xfe\0" + b"x" * 40])
def test_what_was_never_sealed_is_not_opened(keys: KeyRing, sealed: bytes) -> None:
    with pytest.raises(KeysUnusable):
        keys.unseal(sealed, "turns.said")


def test_the_same_words_are_sealed_differently_each_time(keys: KeyRing) -> None:
    assert len({keys.seal("chào", "turns.said") for _ in range(100)}) == 100


def test_old_words_open_after_a_new_key_became_the_current_one(keys: KeyRing) -> None:
    old = keys.seal("cũ", "turns.said")
    ring = KeyRing("2", {**keys.keys, "2": KeyRing.fresh().keys["1"]})
    assert ring.unseal(old, "turns.said") == "cũ"
    assert ring.seal("mới", "turns.said").startswith(b"2\0")


def test_a_ring_is_made_once_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "var" / "keys.json"
    made, is_new = KeyRing.load_or_make(path)
    loaded, is_new_again = KeyRing.load_or_make(path)
    assert (is_new, is_new_again) == (True, False)
    assert loaded == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_ring_open_to_others_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    KeyRing.load_or_make(path)
    path.chmod(mode)
    with pytest.raises(KeysUnusable, match=f"chmod 600 {path}"):
        KeyRing.load(path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"current": "1"}',
        '{"current": "1", "keys": {}}',
        '{"current": "1", "keys": {"1": "c2hvcnQ="}}',
        '{"current": "2", "keys": {"1": "' + "A" * 43 + '="}}',
        '{"current": "1", "keys": {"1": 5}}',
        '{"current": "1", "keys": ["1"]}',
    ],
)
def test_a_ring_that_cannot_be_used_is_refused_when_it_is_loaded(
    tmp_path: Path, content: str
) -> None:
    """Not only when the first word is to be sealed, with citizens waiting."""
    path = tmp_path / "keys.json"
    write_private(path, content)
    with pytest.raises(KeysUnusable):
        KeyRing.load(path)


def test_a_missing_ring_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeysUnusable, match=r"keys\.json"):
        KeyRing.load(tmp_path / "keys.json")


def test_a_private_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_private(path, "first")
    with pytest.raises(FileExistsError):
        write_private(path, "second")
    assert path.read_text() == "first"


def test_a_private_file_is_private_from_its_first_byte_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "token", "secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


def test_a_ring_is_written_as_names_and_base64(tmp_path: Path) -> None:
    """The form that an operator edits to add a key (docs/operations.md)."""
    path = tmp_path / "keys.json"
    ring, _ = KeyRing.load_or_make(path)
    content = json.loads(path.read_text())
    assert content["current"] == ring.current
    assert list(content["keys"]) == ["1"]


# The outbox


def test_replies_are_read_in_order_from_any_row_on(store: Store) -> None:
    keep(store, "1")
    mine = held(store).conversation_id
    for text in ("một", "hai", "ba"):
        block = (TextBlock(text=text),)
        store.run_here(outbox.put, mine, block, NOW, LATER)
    rows = store.run_here(outbox.after, mine, 0)
    assert [row.blocks[0].text for row in rows] == ["một", "hai", "ba"]
    later = store.run_here(outbox.after, mine, rows[0].id)
    assert [row.blocks[0].text for row in later] == ["hai", "ba"]
    assert store.run_here(outbox.newest) == rows[-1].id


def test_a_reply_is_marked_as_sent_once(store: Store) -> None:
    keep(store, "1")
    mine = held(store).conversation_id
    store.run_here(outbox.put, mine, (TextBlock(text="một"),), NOW, LATER)
    [row] = store.run_here(outbox.after, mine, 0)
    store.run_here(outbox.sent, [row.id], NOW)
    store.run_here(outbox.sent, [row.id], LATER)
    [kept] = store.run_here(lambda s: s.scalars(select(OutboxRow)).all())
    assert (kept.state, kept.sent_at) == ("sent", NOW)
