"""Couriers: order, patience, once and only once, files; on a platform with prepared failures."""

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import select, update

import bot.courier
from actions.action import Attachment, AttachmentKind, CaseTaken
from actions.cases import CaseCode, CaseKind, Report
from bot import desk
from bot import store as bot_store
from bot.channel import (
    FileGone,
    Messenger,
    OutcomeUnknown,
    OutOfReach,
    Pace,
    Recipient,
    Refused,
    TryLater,
)
from bot.courier import TRIES, Courier
from bot.message import Block, Message, Sender, TextBlock
from bot.plain import plain
from bot.store import (
    Session,
    Store,
    audit,
    cases,
    conversations,
    files,
    inbox,
    jobs,
    outbox,
    retention,
    seal,
)
from bot.store.files import FileMissing, StoredFile
from bot.store.keys import KeyRing
from bot.store.outbox import NOTICE, REPLY
from bot.store.tables import AccountRow, AuditRow, ConversationRow, FileRow, OutboxRow
from tests.conftest import Clock
from tests.fakes.visitor import until

OFFICE = "ubnd_phuong_vi_du"
HOLD = timedelta(seconds=60)
NO_HURRY = Pace(1000, 1000, 1000, 1000)
PHOTO = Attachment(AttachmentKind.IMAGE, reference="photo-1", name="anh.jpg")


class Platform:
    """A messenger written by hand: it keeps what arrived, and fails as it was told beforehand."""

    def __init__(self, name: str = "post", pace: Pace = NO_HURRY) -> None:
        self.name = name
        self.account = OFFICE
        self.pace = pace
        self.arrived: list[tuple[str, str]] = []
        self.called: list[tuple[str, str]] = []
        self.to: list[Recipient] = []
        self.fails: dict[str, list[BaseException]] = defaultdict(list)
        self.shows: Callable[[Sequence[Block]], list[Any]] = lambda blocks: list(map(plain, blocks))
        self.holds: dict[str, asyncio.Event] = {}
        self.calls = asyncio.Queue[str]()
        self.files: dict[str, list[bytes | BaseException]] = defaultdict(list)

    def add_to(self, app: web.Application) -> None:
        raise NotImplementedError

    def parts(self, blocks: Sequence[Block]) -> list[Any]:
        return self.shows(blocks)

    async def deliver(self, to: Recipient, part: Any) -> None:
        self.called.append((to.person, part))
        self.to.append(to)
        self.calls.put_nowait(part)
        if part in self.holds:
            await self.holds[part].wait()
        if self.fails[part]:
            raise self.fails[part].pop(0)
        self.arrived.append((to.person, part))

    async def fetch(self, reference: str) -> bytes:
        prepared = self.files[reference]
        found = prepared.pop(0) if len(prepared) > 1 else prepared[0]
        if isinstance(found, BaseException):
            raise found
        return found


@dataclass
class Post:
    """An account on the platform, its courier, and the people who wrote to it."""

    store: Store
    clock: Clock
    platform: Platform = field(default_factory=Platform)
    jitter: float = 0.0

    def __post_init__(self) -> None:
        assert isinstance(self.platform, Messenger)
        self.courier = Courier(self.store, self.platform, self.clock, lambda: self.jitter)
        self.letters = 0
        self.wrote = 0

    def writes(self, person: str) -> None:
        """The person writes to us; the message waits in the inbox."""
        self.wrote += 1
        sender = Sender(self.platform.name, OFFICE, person)
        message = Message(sender, f"{person}:{self.wrote}", self.clock(), "chào")
        until = self.clock() + timedelta(days=30)
        self.store.run_here(inbox.keep, message, OFFICE, self.clock(), until)

    def puts(self, person: str, *texts: str, kind: str = REPLY) -> int:
        """Puts one letter, with a block for each text; gives its row's id."""
        sender = Sender(self.platform.name, OFFICE, person)
        now = self.clock()

        def put(session: Session) -> int:
            conversation = conversations.of(session, sender, OFFICE, now)
            blocks = [TextBlock(text=text) for text in texts]
            outbox.put(session, conversation.id, blocks, now, now + timedelta(days=30), kind=kind)
            return outbox.newest(session)

        return self.store.run_here(put)

    async def goes(self) -> list[str]:
        """Lets the courier go until nothing can leave now; gives what arrived meanwhile."""
        before = len(self.platform.arrived)
        for _ in range(100):
            if not await self.courier.run_once():
                return [text for _, text in self.platform.arrived[before:]]
        raise AssertionError("the courier finds no end")

    def row(self, row_id: int) -> OutboxRow:
        return self.store.run_here(lambda session: session.get_one(OutboxRow, row_id))

    def state(self, row_id: int) -> str:
        return self.row(row_id).state

    def wait_of(self, row_id: int) -> float:
        return (self.row(row_id).ready_at - self.clock()).total_seconds()


@pytest.fixture
def post(store: Store, clock: Clock) -> Post:
    return Post(store, clock)


@pytest.fixture
def second(store: Store, keys: KeyRing) -> Iterator[Store]:
    """The same database, as another process opens it."""
    url = store.engine.url.render_as_string(hide_password=False)
    second = Store(url, keys, durable=False)
    yield second
    second.close()


# Order


async def test_replies_leave_in_order(post: Post) -> None:
    for text in ("một", "hai", "ba"):
        post.puts("lan", text)
    assert await post.goes() == ["một", "hai", "ba"]
    assert post.platform.to[0] == Recipient("lan", None)


async def test_a_first_reply_that_was_put_off_holds_those_behind_it_and_nobody_elses(
    post: Post,
) -> None:
    post.platform.fails["một"] = [TryLater("busy")]
    for person, text in (("lan", "một"), ("lan", "hai"), ("minh", "ba")):
        post.puts(person, text)
    assert await post.goes() == ["ba"]
    post.clock.move(seconds=1)
    assert await post.goes() == ["một", "hai"]


async def test_a_slow_person_does_not_hold_another_and_theirs_keep_their_order(post: Post) -> None:
    post.platform.holds["một"] = asyncio.Event()
    for person, text in (("lan", "một"), ("lan", "hai"), ("minh", "ba"), ("hoa", "bốn")):
        post.puts(person, text)
    going = asyncio.create_task(post.courier.run())
    async with asyncio.timeout(5):
        assert {await post.platform.calls.get() for _ in range(3)} == {"một", "ba", "bốn"}
        post.platform.holds["một"].set()
        assert await post.platform.calls.get() == "hai"
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    assert [text for person, text in post.platform.arrived if person == "lan"] == ["một", "hai"]


async def test_a_slow_channel_does_not_hold_another(post: Post) -> None:
    other = Post(post.store, post.clock, Platform("pigeon"))
    post.platform.holds["một"] = asyncio.Event()
    post.puts("lan", "một")
    other.puts("lan", "hai")
    going = asyncio.create_task(post.courier.run_once())
    async with asyncio.timeout(5):
        await post.platform.calls.get()
    assert await other.goes() == ["hai"]
    post.platform.holds["một"].set()
    assert await going


async def test_letters_of_another_account_are_not_carried(post: Post) -> None:
    post.puts("lan", "một")
    other = Platform()
    other.account = "ubnd_phuong_khac"
    assert await Courier(post.store, other, post.clock).run_once() is False
    assert other.called == []


async def test_the_recipient_says_when_the_person_was_heard(post: Post) -> None:
    post.writes("lan")
    heard = post.clock()
    post.clock.move(minutes=5)
    post.puts("lan", "một")
    await post.goes()
    assert post.platform.to == [Recipient("lan", heard)]


# Waiting


async def test_waits_double_and_grow_by_chance_up_to_ten_minutes(post: Post) -> None:
    post.platform.fails["một"] = [TryLater("busy") for _ in range(TRIES)]
    row = post.puts("lan", "một")
    waits = []
    for failures in range(TRIES - 1):
        post.jitter = failures % 2
        assert await post.courier.run_once() is True
        waits.append(post.wait_of(row))
        post.clock.move(seconds=waits[-1])
    assert waits == [1, 3, 4, 12, 16, 48, 64, 192, 256]
    assert await post.courier.run_once() is True
    assert post.state(row) == "dead"
    assert await post.courier.run_once() is False


def test_no_wait_is_longer_than_a_quarter_of_an_hour(post: Post) -> None:
    post.jitter = 1.0
    waits = [post.courier._back_off(failures) for failures in range(50)]
    assert max(waits) == timedelta(minutes=15)


async def test_what_was_given_up_lets_the_next_one_pass_and_is_shown(post: Post) -> None:
    post.platform.fails["một"] = [Refused("no such template")]
    dead, _ = post.puts("lan", "một"), post.puts("lan", "hai")
    assert await post.goes() == ["hai"]
    [listed] = post.store.run_here(outbox.unsettled)
    assert (listed.id, listed.state, listed.error) == (dead, "dead", "Refused: no such template")


async def test_waits_told_by_the_platform_are_obeyed_and_never_kill(post: Post) -> None:
    told = timedelta(seconds=7)
    post.platform.fails["một"] = [TryLater("429", after=told) for _ in range(3 * TRIES)]
    row = post.puts("lan", "một")
    for _ in range(3 * TRIES):
        assert await post.courier.run_once() is True
        assert post.wait_of(row) == 7
        post.clock.move(seconds=6.9)
        assert await post.courier.run_once() is False
        post.clock.move(seconds=0.1)
    assert await post.goes() == ["một"]


async def test_one_person_told_to_wait_does_not_hold_another(post: Post) -> None:
    post.platform.fails["một"] = [TryLater("429", after=timedelta(hours=1))]
    post.puts("lan", "một")
    post.puts("minh", "hai")
    assert await post.goes() == ["hai"]


async def test_an_account_told_to_wait_sends_nothing_to_anybody(post: Post) -> None:
    wait = TryLater("429", after=timedelta(seconds=30), all_people=True)
    post.platform.fails["một"] = [wait]
    post.puts("lan", "một")
    post.puts("minh", "hai")
    other = Post(post.store, post.clock, Platform("pigeon"))
    other.puts("lan", "ba")
    assert await post.goes() == []
    assert await other.goes() == ["ba"]
    post.clock.move(seconds=29)
    assert await post.goes() == []
    post.clock.move(seconds=1)
    assert await post.goes() == ["một", "hai"]


async def test_of_two_waits_that_an_account_was_told_the_longer_is_obeyed(post: Post) -> None:
    """Several letters are on their way at once, and each may be answered by a wait."""
    for text, seconds in (("một", 30), ("hai", 1)):
        wait = TryLater("429", after=timedelta(seconds=seconds), all_people=True)
        post.platform.fails[text], post.platform.holds[text] = [wait], asyncio.Event()
        post.puts(text, text)
    going = [asyncio.create_task(post.courier.run_once()) for _ in range(2)]
    async with asyncio.timeout(5):
        for task, text in zip(going, [await post.platform.calls.get() for _ in going], strict=True):
            post.platform.holds[text].set()
            await task
    post.clock.move(seconds=29)
    assert await post.goes() == []
    post.clock.move(seconds=1)
    assert await post.goes() == ["một", "hai"]


async def test_an_account_is_written_to_at_its_pace_after_a_burst(
    store: Store, clock: Clock
) -> None:
    post = Post(store, clock, Platform(pace=Pace(2, 3, 1000, 1000)))
    for number in range(6):
        post.puts(f"person-{number}", str(number))
    assert await post.goes() == ["0", "1", "2"]
    clock.move(seconds=0.5)
    assert await post.goes() == ["3"]
    clock.move(seconds=60)
    assert await post.goes() == ["4", "5"]


async def test_a_person_is_written_to_at_their_pace_and_does_not_hold_another(
    store: Store, clock: Clock
) -> None:
    post = Post(store, clock, Platform(pace=Pace(1000, 1000, 1, 2)))
    for text in ("một", "hai", "ba"):
        post.puts("lan", text)
    post.puts("minh", "bốn")
    assert await post.goes() == ["một", "hai", "bốn"]
    clock.move(seconds=0.9)
    assert await post.goes() == []
    clock.move(seconds=0.1)
    assert await post.goes() == ["ba"]


async def test_the_parts_of_one_letter_keep_the_pace_too(store: Store, clock: Clock) -> None:
    post = Post(store, clock, Platform(pace=Pace(1000, 1000, 1, 1)))
    post.puts("lan", "một", "hai")
    assert await post.goes() == ["một"]
    clock.move(seconds=1)
    assert await post.goes() == ["hai"]


# Who cannot be written to


async def test_who_is_out_of_reach_is_not_tried_until_they_write_and_then_gets_the_old_first(
    post: Post,
) -> None:
    post.platform.fails["một"] = [OutOfReach("blocked")]
    post.puts("lan", "một")
    post.puts("lan", "hai", kind=NOTICE)
    assert await post.goes() == []
    post.clock.move(hours=20)
    assert await post.goes() == []
    assert post.platform.called == [("lan", "một")]
    post.writes("lan")
    post.puts("lan", "ba")
    assert await post.goes() == ["một", "hai", "ba"]


async def test_after_a_day_out_of_reach_notices_go_out_and_replies_are_dropped_with_a_record(
    post: Post,
) -> None:
    post.platform.fails["một"] = [OutOfReach("blocked")]
    reply, notice = post.puts("lan", "một"), post.puts("lan", "hai", kind=NOTICE)
    assert await post.goes() == []
    post.clock.move(hours=25)
    post.writes("lan")
    post.puts("lan", "ba")
    assert await post.goes() == ["hai", "ba"]
    assert (post.state(reply), post.row(reply).error) == ("dropped", "too old to matter")
    assert post.state(notice) == "sent"


async def test_who_writes_while_a_letter_is_refused_as_out_of_reach_is_tried_again(
    post: Post,
) -> None:
    """They came back in between: the platform's word is older than theirs."""
    post.writes("lan")
    post.platform.fails["một"] = [OutOfReach("blocked")]
    post.platform.holds["một"] = asyncio.Event()
    post.puts("lan", "một")
    going = asyncio.create_task(post.courier.run_once())
    async with asyncio.timeout(5):
        await post.platform.calls.get()
    post.clock.move(seconds=1)
    post.writes("lan")
    post.platform.holds["một"].set()
    await going
    assert await post.goes() == ["một"]


async def test_one_out_of_reach_does_not_hold_another(post: Post) -> None:
    post.platform.fails["một"] = [OutOfReach("window over")]
    post.puts("lan", "một")
    post.puts("minh", "hai")
    assert await post.goes() == ["hai"]


# Nobody knows whether it arrived


@pytest.mark.parametrize("unknown", [OutcomeUnknown("no answer"), TimeoutError()])
async def test_a_reply_of_unknown_outcome_is_sent_once_more_and_then_recorded(
    post: Post, unknown: Exception
) -> None:
    post.platform.fails["một"] = [unknown, unknown, unknown]
    row = post.puts("lan", "một")
    post.puts("lan", "hai")
    assert await post.goes() == []
    post.clock.move(seconds=31)
    assert await post.goes() == ["hai"]
    assert post.platform.called == [("lan", "một"), ("lan", "một"), ("lan", "hai")]
    assert post.state(row) == "unknown"
    assert [listed.id for listed in post.store.run_here(outbox.unsettled)] == [row]


async def test_a_reply_of_unknown_outcome_that_arrives_the_second_time_is_sent(post: Post) -> None:
    post.platform.fails["một"] = [OutcomeUnknown("no answer")]
    row = post.puts("lan", "một")
    assert await post.goes() == []
    post.clock.move(seconds=31)
    assert await post.goes() == ["một"]
    assert post.state(row) == "sent"


async def test_a_notice_of_unknown_outcome_is_recorded_and_never_repeated(post: Post) -> None:
    post.platform.fails["một"] = [OutcomeUnknown("no answer")]
    row = post.puts("lan", "một", kind=NOTICE)
    assert await post.goes() == []
    post.clock.move(days=2)
    assert await post.goes() == []
    assert (post.state(row), post.platform.called) == ("unknown", [("lan", "một")])


# Long replies


async def test_a_long_reply_goes_on_at_the_part_that_failed(post: Post) -> None:
    post.platform.fails["hai"] = [TryLater("busy"), TryLater("busy")]
    row = post.puts("lan", "một", "hai", "ba")
    post.puts("lan", "bốn")
    assert await post.goes() == ["một"]
    assert post.row(row).parts_sent == 1
    post.clock.move(seconds=1)
    assert await post.goes() == []
    post.clock.move(seconds=2)
    assert await post.goes() == ["hai", "ba", "bốn"]


async def test_failures_are_counted_anew_for_each_part(post: Post) -> None:
    for text in ("một", "hai"):
        post.platform.fails[text] = [TryLater("busy") for _ in range(TRIES - 1)]
    row = post.puts("lan", "một", "hai")
    for _ in range(2 * TRIES):
        await post.courier.run_once()
        post.clock.move(minutes=10)
    assert post.state(row) == "sent"


async def test_each_part_of_unknown_outcome_is_sent_once_more(post: Post) -> None:
    for text in ("một", "ba"):
        post.platform.fails[text] = [OutcomeUnknown("no answer")]
    row = post.puts("lan", "một", "hai", "ba")
    arrived = []
    for _ in range(3):
        arrived += await post.goes()
        post.clock.move(seconds=31)
    assert arrived == ["một", "hai", "ba"]
    assert post.state(row) == "sent"


async def test_a_reply_that_shows_nothing_is_sent_by_that(post: Post) -> None:
    post.platform.shows = lambda _blocks: []
    row = post.puts("lan", "một")
    assert await post.goes() == []
    assert post.state(row) == "sent"


# A courier that is stopped


async def killed_while_sending(post: Post, text: str) -> None:
    """The process ends between the call and its record."""
    post.platform.holds[text] = asyncio.Event()
    going = asyncio.create_task(post.courier.run_once())
    async with asyncio.timeout(5):
        while await post.platform.calls.get() != text:
            pass
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    del post.platform.holds[text]


async def test_a_reply_whose_courier_was_killed_is_taken_back_after_its_hold_and_sent_again(
    post: Post,
) -> None:
    row = post.puts("lan", "một")
    post.puts("lan", "hai")
    await killed_while_sending(post, "một")
    post.clock.move(seconds=60)
    assert await post.goes() == []
    assert post.state(row) == "sending"
    post.clock.move(seconds=1)
    assert await post.goes() == ["một", "hai"]


async def test_a_reply_whose_courier_is_killed_twice_is_recorded_unknown(post: Post) -> None:
    row = post.puts("lan", "một")
    for _ in range(2):
        await killed_while_sending(post, "một")
        post.clock.move(seconds=61)
    assert await post.goes() == []
    assert post.state(row) == "unknown"


async def test_a_notice_whose_courier_was_killed_is_recorded_unknown(post: Post) -> None:
    row = post.puts("lan", "một", kind=NOTICE)
    await killed_while_sending(post, "một")
    post.clock.move(seconds=61)
    assert await post.goes() == []
    assert post.state(row) == "unknown"
    assert len(post.platform.called) == 1


async def test_a_courier_that_is_cancelled_lets_what_is_on_its_way_arrive(post: Post) -> None:
    post.platform.holds["một"] = asyncio.Event()
    row = post.puts("lan", "một", kind=NOTICE)
    going = asyncio.create_task(post.courier.run())
    async with asyncio.timeout(5):
        await post.platform.calls.get()
        going.cancel()
        post.platform.holds["một"].set()
        await asyncio.gather(going, return_exceptions=True)
    assert post.state(row) == "sent"


class Hesitant(Platform):
    """Stands still in the middle of the transaction that takes a letter."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.asked, self.goes_on = asyncio.Event(), threading.Event()
        super().__init__()

    @property
    def pace(self) -> Pace:
        self.loop.call_soon_threadsafe(self.asked.set)
        assert self.goes_on.wait(5)
        return NO_HURRY

    @pace.setter
    def pace(self, _pace: Pace) -> None:
        """It has its own."""


async def test_a_courier_that_is_cancelled_while_it_takes_a_notice_does_not_lose_it(
    store: Store, clock: Clock
) -> None:
    platform = Hesitant()
    platform.goes_on.set()
    post = Post(store, clock, platform)
    row = post.puts("lan", "một", kind=NOTICE)
    platform.goes_on.clear()
    platform.asked.clear()
    going = asyncio.create_task(post.courier.run())
    async with asyncio.timeout(5):
        await platform.asked.wait()
        going.cancel()
        await asyncio.sleep(0)
        platform.goes_on.set()
        await asyncio.gather(going, return_exceptions=True)
    assert going.cancelled()
    clock.move(seconds=61)
    await post.goes()
    assert (post.state(row), platform.arrived) == ("sent", [("lan", "một")])


class Unlocks(logging.Handler):
    """Lets a locked database go as soon as the courier says that it waits for it."""

    def __init__(self, other: sqlite3.Connection) -> None:
        super().__init__()
        self.other = other

    def emit(self, record: logging.LogRecord) -> None:
        if "waits for the store" in record.getMessage():
            self.other.rollback()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store and a courier that do not wait long for a lock; ask for it before `post`."""
    monkeypatch.setattr(bot_store, "_LOCK_SECONDS", 0.05)
    monkeypatch.setattr(bot.courier, "_IDLE_SECONDS", 0.0)


@pytest.mark.parametrize("fails", [[], [TryLater("429", after=timedelta(0))]])
async def test_what_arrived_while_the_database_was_locked_is_written_down_after_it(
    impatient: None, post: Post, fails: list[BaseException]
) -> None:
    """A notice that is not written down would count as unknown."""
    post.platform.holds["một"], post.platform.fails["một"] = asyncio.Event(), fails
    row = post.puts("lan", "một", kind=NOTICE)
    going = asyncio.create_task(post.courier.run_once())
    async with asyncio.timeout(5):
        await post.platform.calls.get()
    with contextlib.closing(
        sqlite3.connect(
            post.store.engine.url.database or "", isolation_level=None, check_same_thread=False
        )
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        unlocks = Unlocks(other)
        logging.getLogger("bot.courier").addHandler(unlocks)
        post.platform.holds["một"].set()
        assert await going is True
        logging.getLogger("bot.courier").removeHandler(unlocks)
    await post.goes()
    assert (post.state(row), post.platform.arrived) == ("sent", [("lan", "một")])


@pytest.mark.parametrize(
    "how", [None, TryLater("busy"), Refused("no"), OutOfReach("no"), OutcomeUnknown("?")]
)
async def test_a_slow_courier_whose_hold_is_over_changes_nothing(
    post: Post, second: Store, how: Exception | None
) -> None:
    quick = Post(second, post.clock)
    post.platform.holds["một"] = asyncio.Event()
    post.platform.fails["một"] = [how] if how else []
    row = post.puts("lan", "một", "hai")
    slow = asyncio.create_task(post.courier.run_once())
    async with asyncio.timeout(5):
        await post.platform.calls.get()
    post.clock.move(seconds=61)
    assert await quick.courier.run_once() is True
    between = (post.row(row).parts_sent, post.row(row).state, post.row(row).attempts)
    assert between == (1, "ready", 2)
    post.platform.holds["một"].set()
    await slow
    assert (post.row(row).parts_sent, post.row(row).state, post.row(row).attempts) == between
    assert await quick.goes() == ["hai"]


@pytest.mark.databases
async def test_two_couriers_on_one_database_never_carry_the_same_letter(
    post: Post, second: Store
) -> None:
    other = Post(second, post.clock, post.platform)
    wanted = []
    for number in range(24):
        person = f"person-{number % 6}"
        post.puts(person, str(number))
        wanted.append((person, str(number)))
    await asyncio.gather(*(one.goes() for one in (post, other, post, other)))
    await post.goes()
    assert sorted(post.platform.called) == sorted(wanted)
    for number in range(6):
        mine = [int(text) for person, text in post.platform.arrived if person.endswith(str(number))]
        assert mine == sorted(mine)


# What nobody expected


async def test_an_unknown_error_while_sending_may_come_after_the_call_and_tells_no_words(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.platform.fails["một"] = [ValueError("lời của chị Lan") for _ in range(2)]
    row = post.puts("lan", "một")
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            assert await post.courier.run_once() is True
            post.clock.move(minutes=15)
    assert (post.state(row), post.row(row).error) == ("unknown", "OutcomeUnknown: ValueError")
    assert "lời của chị Lan" not in caplog.text
    assert "ValueError" in caplog.text


async def test_an_unknown_error_while_a_reply_is_parted_counts_as_a_failure_and_tells_no_words(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(blocks: Sequence[Block]) -> list[Any]:
        if "một" in plain(blocks[0]):
            raise ValueError(plain(blocks[0]))
        return list(map(plain, blocks))

    post.platform.shows = broken
    row = post.puts("lan", "một: lời của chị Lan")
    post.puts("minh", "hai")
    with caplog.at_level(logging.DEBUG):
        assert await post.goes() == ["hai"]
    assert (post.state(row), post.row(row).failures) == ("ready", 1)
    assert "chị Lan" not in caplog.text


async def test_a_reason_is_never_longer_than_its_column(post: Post) -> None:
    post.platform.fails["một"] = [Refused("x" * 1000)]
    row = post.puts("lan", "một")
    await post.goes()
    assert len(post.row(row).error or "") == 200


async def test_a_courier_outlives_an_error_and_carries_on(post: Post) -> None:
    """Nothing that goes wrong with one letter ends the courier."""
    post.platform.fails["một"] = [RuntimeError("a bug")]
    post.puts("lan", "một")
    post.puts("minh", "hai")
    going = asyncio.create_task(post.courier.run())
    async with asyncio.timeout(5):
        assert {await post.platform.calls.get() for _ in range(2)} == {"một", "hai"}
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    assert post.platform.arrived == [("minh", "hai")]


def wiped(session: Session, row_id: int) -> None:
    session.execute(update(OutboxRow).where(OutboxRow.id == row_id).values(words=None))


async def test_a_letter_whose_words_were_wiped_is_dropped_and_the_next_one_goes(
    post: Post,
) -> None:
    row = post.puts("lan", "một", kind=NOTICE)
    post.store.run_here(wiped, row)
    post.puts("lan", "hai")
    assert await post.goes() == ["hai"]
    assert (post.state(row), post.row(row).error) == ("dropped", "no words left")


async def test_a_letter_of_a_version_that_nobody_here_reads_holds_no_other(post: Post) -> None:
    def of_another_version(session: Session, row_id: int) -> None:
        words = seal(session, '[{"type": "hologram", "text": "một"}]', "outbox.words")
        session.execute(update(OutboxRow).where(OutboxRow.id == row_id).values(words=words))

    row = post.puts("lan", "một")
    post.store.run_here(of_another_version, row)
    post.puts("lan", "hai")
    assert await post.goes() == ["hai"]
    assert post.state(row) == "dead"


async def test_a_letter_erased_between_its_parts_is_dropped(post: Post) -> None:
    row = post.puts("lan", "một", "hai")
    assert await post.courier.run_once()
    post.store.run_here(lambda s: retention.erase(s, post.row(row).conversation_id))
    assert await post.goes() == []
    assert post.state(row) == "dropped"


async def test_a_letter_past_its_retention_is_dropped(post: Post) -> None:
    row = post.puts("lan", "một", kind=NOTICE)
    post.clock.move(days=31)
    post.store.run_here(retention.enforce, post.clock())
    assert await post.goes() == []
    assert post.state(row) == "dropped"


async def test_with_wrong_keys_letters_are_shown_and_no_others_are_held(
    post: Post, keys: KeyRing
) -> None:
    url = post.store.engine.url.render_as_string(hide_password=False)
    stranger = Store(url, KeyRing.fresh(), durable=False)
    row = Post(stranger, post.clock).puts("lan", "một")
    stranger.close()
    post.puts("lan", "hai")
    assert await post.goes() == ["hai"]
    assert post.state(row) == "dead"
    assert [letter.error for letter in post.store.run_here(outbox.unsettled)] == [
        "no key of the ring opens outbox.words"
    ]


# Files


def takes_a_case(post: Post, *attachments: Attachment, person: str = "lan") -> CaseCode:
    """A case with its files, brought through this channel."""
    code, now = CaseCode.draw(), post.clock()
    taken = CaseTaken(
        code, CaseKind.FEEDBACK, Report("đèn hỏng", "", ""), now.date(), tuple(attachments)
    )
    sender = Sender(post.platform.name, OFFICE, person)
    until = now + timedelta(days=365)

    def keep(session: Session) -> None:
        conversation = conversations.of(session, sender, OFFICE, now)
        case = cases.keep(session, taken, conversation.id, OFFICE, now, until)
        files.want(session, taken.files, conversation.id, case, now, until)

    post.store.run_here(keep)
    return code


def listed(post: Post, code: CaseCode) -> list[str]:
    def read(session: Session) -> list[str]:
        return [file.state for file in files.of_case(session, cases.id_of(session, code))]

    return post.store.run_here(read)


def the_file(session: Session) -> FileRow:
    return session.scalars(select(FileRow)).one()


async def test_a_file_of_a_case_is_fetched_and_kept_sealed(post: Post) -> None:
    post.platform.files["photo-1"] = [b"the very pixels"]
    code = takes_a_case(post, PHOTO)
    assert listed(post, code) == ["wanted"]
    await post.goes()
    assert listed(post, code) == ["kept"]
    row = post.store.run_here(the_file)
    assert row.content is not None
    for secret in (b"the very pixels", b"anh.jpg", b"photo-1"):
        assert secret not in row.content + (row.words or b"")
    assert post.store.run_here(files.read, row.id) == StoredFile(
        "anh.jpg", "image/jpeg", b"the very pixels"
    )


async def test_letters_go_before_files(post: Post) -> None:
    post.platform.files["photo-1"] = [b"pixels"]
    code = takes_a_case(post, PHOTO)
    post.puts("lan", "một")
    assert await post.courier.run_once()
    assert (post.platform.arrived, listed(post, code)) == ([("lan", "một")], ["wanted"])


async def test_slow_files_do_not_hold_back_letters(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    may_come = asyncio.Event()

    async def slowly(reference: str) -> bytes:
        begun.append(reference)
        await may_come.wait()
        return b"jpeg"

    async def several() -> bool:
        return len(begun) >= 4

    async def all_kept() -> bool:
        return listed(post, code) == ["kept"] * 20

    monkeypatch.setattr(post.platform, "fetch", slowly)
    code = takes_a_case(post, *(Attachment(AttachmentKind.IMAGE, f"p{n}") for n in range(20)))
    going = asyncio.create_task(post.courier.run())
    await until(several)
    post.puts("lan", "một")
    post.courier.wake.set()
    async with asyncio.timeout(2):
        assert await post.platform.calls.get() == "một"
    assert len(begun) == 4
    may_come.set()
    await until(all_kept)
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)


async def test_a_file_that_cannot_be_had_now_is_fetched_later(post: Post) -> None:
    post.platform.files["photo-1"] = [TryLater("busy"), ValueError("broken"), b"pixels"]
    code = takes_a_case(post, PHOTO)
    for _ in range(2):
        await post.goes()
        assert listed(post, code) == ["wanted"]
        post.clock.move(seconds=4)
    await post.goes()
    assert listed(post, code) == ["kept"]


async def test_a_file_is_not_fetched_before_the_platform_said(post: Post) -> None:
    post.platform.files["photo-1"] = [TryLater("429", after=timedelta(minutes=10)), b"pixels"]
    code = takes_a_case(post, PHOTO)
    await post.goes()
    post.clock.move(minutes=9)
    assert await post.courier.run_once() is False
    post.clock.move(minutes=1)
    await post.goes()
    assert listed(post, code) == ["kept"]


async def test_a_file_that_never_comes_is_given_up(post: Post) -> None:
    post.platform.files["photo-1"] = [TryLater("busy")]
    code = takes_a_case(post, PHOTO)
    for _ in range(TRIES - 1):
        assert await post.courier.run_once() is True
        assert listed(post, code) == ["wanted"]
        post.clock.move(minutes=15)
    assert await post.courier.run_once() is True
    assert listed(post, code) == ["gone"]
    assert await post.courier.run_once() is False


async def test_a_file_that_is_gone_is_not_asked_for_again(post: Post) -> None:
    post.platform.files["photo-1"] = [FileGone("too large")]
    post.platform.files["photo-2"] = [b"pixels"]
    other = Attachment(AttachmentKind.FILE, reference="photo-2", name="don.pdf")
    code = takes_a_case(post, PHOTO, other)
    await post.goes()
    assert listed(post, code) == ["gone", "kept"]


@pytest.mark.databases
async def test_a_fetch_that_is_slower_than_its_hold_changes_nothing(
    post: Post, second: Store
) -> None:
    code = takes_a_case(post, PHOTO)
    name, account = post.platform.name, post.platform.account
    slow = post.store.run_here(files.take_wanted, name, account, post.clock(), HOLD)
    assert slow is not None
    assert second.run_here(files.take_wanted, name, account, post.clock(), HOLD) is None
    post.clock.move(seconds=60)
    quick = second.run_here(files.take_wanted, name, account, post.clock(), HOLD)
    assert quick is not None
    for late in (files.gone, lambda s, w: files.fetched(s, w, b"old")):
        post.store.run_here(late, slow)
        assert listed(post, code) == ["wanted"]
    second.run_here(files.fetched, quick, b"new")
    assert post.store.run_here(files.read, quick.id).content == b"new"


@pytest.mark.parametrize("why", ["retention", "keys"])
async def test_a_file_that_nobody_can_name_any_more_holds_no_other_and_no_letter(
    post: Post, why: str
) -> None:
    post.platform.files["photo-1"] = post.platform.files["photo-2"] = [b"pixels"]
    if why == "keys":
        url = post.store.engine.url.render_as_string(hide_password=False)
        stranger = Store(url, KeyRing.fresh(), durable=False)
        takes_a_case(Post(stranger, post.clock), PHOTO)
        stranger.close()
    else:
        takes_a_case(post, PHOTO)
        post.clock.move(days=366)
        post.store.run_here(retention.enforce, post.clock())
    second = takes_a_case(post, Attachment(AttachmentKind.FILE, reference="photo-2"))
    await post.goes()
    assert listed(post, second) == ["kept"]
    states = post.store.run_here(lambda s: list(s.scalars(select(FileRow.state))))
    assert states == ["gone", "kept"]


async def test_a_file_is_wiped_with_its_case(post: Post) -> None:
    post.platform.files["photo-1"] = [b"pixels"]
    code = takes_a_case(post, PHOTO)
    await post.goes()
    post.clock.move(days=364)
    post.store.run_here(retention.enforce, post.clock())
    assert listed(post, code) == ["kept"]
    post.clock.move(days=2)
    post.store.run_here(retention.enforce, post.clock())
    row = post.store.run_here(the_file)
    assert (row.words, row.content) == (None, None)
    assert listed(post, code) == ["gone"]
    with pytest.raises(FileMissing):
        post.store.run_here(files.read, row.id)


async def test_the_desk_reads_a_file_only_of_its_case_and_leaves_an_audit_line(post: Post) -> None:
    post.platform.files["photo-1"] = [b"pixels"]
    code = takes_a_case(post, PHOTO)
    row = post.store.run_here(the_file)

    def trail(session: Session) -> list[str]:
        return [f"{line.who} {line.did} {line.why}" for line in session.scalars(select(AuditRow))]

    def read(code: CaseCode) -> StoredFile:
        return post.store.run_here(desk.read_file, code, row.id, "lan.nt", "xem", post.clock())

    with pytest.raises(FileMissing):
        read(code)
    await post.goes()
    with pytest.raises(FileMissing):
        read(takes_a_case(post))
    assert post.store.run_here(trail) == []
    assert read(code).content == b"pixels"
    assert post.store.run_here(trail) == ["lan.nt file_read xem"]
    with_file = post.store.run_here(lambda s: list(audit.about(s, str(code))))
    assert [did for _, _, did, _ in with_file] == ["file_read"]


# Operators


async def test_an_operators_retry_goes_out_first_and_is_never_too_old(post: Post) -> None:
    post.platform.fails["hai"] = [Refused("no")]
    row = post.puts("lan", "một", "hai", "ba")
    assert await post.goes() == ["một"]
    post.clock.move(days=3)
    post.puts("lan", "bốn")
    assert post.store.run_here(outbox.retry, row, post.clock()) is True
    assert await post.goes() == ["hai", "ba", "bốn"]


async def test_what_is_sent_wiped_or_on_its_way_is_not_retried(post: Post) -> None:
    sent = post.puts("lan", "một")
    await post.goes()
    post.platform.fails["hai"] = [Refused("no")]
    dead, ready = post.puts("lan", "hai"), post.puts("minh", "ba")
    await post.goes()
    post.store.run_here(wiped, dead)
    for row in (sent, dead, ready, 999):
        assert post.store.run_here(outbox.retry, row, post.clock()) is False


async def test_a_dropped_letter_lets_the_next_one_pass(post: Post) -> None:
    post.platform.fails["một"] = [TryLater("busy", after=timedelta(hours=1))]
    row = post.puts("lan", "một")
    post.puts("lan", "hai")
    assert await post.goes() == []
    assert post.store.run_here(outbox.drop, row, "by hand") is True
    assert await post.goes() == ["hai"]
    assert post.store.run_here(outbox.drop, row, "again") is False


# Jobs that one process does


def claims(store: Store, clock: Clock, owner: str, seconds: float = 60) -> bool:
    return store.run_here(jobs.claim, "poll", owner, clock(), timedelta(seconds=seconds))


@pytest.mark.databases
def test_a_job_is_one_process_at_a_time_and_who_holds_it_may_hold_it_longer(
    store: Store, second: Store, clock: Clock
) -> None:
    assert claims(store, clock, "a") is True
    assert claims(second, clock, "b") is False
    clock.move(seconds=59)
    assert claims(store, clock, "a") is True
    clock.move(seconds=59)
    assert claims(second, clock, "b") is False
    clock.move(seconds=1)
    assert claims(second, clock, "b") is True
    assert claims(store, clock, "a") is False


@pytest.mark.databases
def test_a_job_given_back_is_free_at_once_and_only_its_holder_can_give_it_back(
    store: Store, second: Store, clock: Clock
) -> None:
    assert claims(store, clock, "a")
    second.run_here(jobs.release, "poll", "b", clock())
    assert claims(second, clock, "b") is False
    store.run_here(jobs.release, "poll", "a", clock())
    assert claims(second, clock, "b") is True
    store.run_here(jobs.release, "never claimed", "a", clock())


def test_two_jobs_do_not_hold_each_other(store: Store, clock: Clock) -> None:
    assert claims(store, clock, "a")
    assert store.run_here(jobs.claim, "other", "b", clock(), timedelta(seconds=60))


# What is kept of an account


async def test_a_pace_and_a_pause_are_kept_for_every_process(post: Post, second: Store) -> None:
    wait = TryLater("429", after=timedelta(seconds=30), all_people=True)
    post.platform.fails["một"] = [wait]
    post.puts("lan", "một")
    await post.goes()
    post.puts("minh", "hai")
    assert await Post(second, post.clock).goes() == []
    [row] = second.run_here(lambda s: s.scalars(select(AccountRow)).all())
    assert row.ready_at == post.clock() + timedelta(seconds=30)
    [lan, _] = second.run_here(lambda s: s.scalars(select(ConversationRow)).all())
    assert lan.next_send_at is not None
