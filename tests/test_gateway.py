"""The gateway as a whole: it starts, works, stops and starts again, alone or beside another."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bot import store as bot_store
from bot.gateway import Parts, assemble, create_app
from bot.settings import Settings
from bot.store import Session, Store, StoreUnavailable
from bot.store.keys import KeyRing
from bot.store.tables import ConversationRow, InboxRow, JobRow, OutboxRow, TurnRow
from bot.turn import House
from tests.conftest import Citizen, Clock
from tests.fakes.nlu import FakeNlu
from tests.fakes.visitor import Visitor, running, until

LEASE = timedelta(seconds=61)


@pytest.fixture
def settings(tmp_path: Path, fake_nlu: FakeNlu) -> Settings:
    fake_nlu.knows("chào", "greet")
    fake_nlu.knows("cảm ơn", "thanks")
    return Settings(_env_file=None, var=tmp_path, nlu_url=fake_nlu.url, nlu_timeout=5.0)


@pytest.fixture
def parts(settings: Settings, house: House, store: Store, clock: Clock) -> Parts:
    return assemble(settings, house, store, clock)


@pytest.fixture
async def second_store(store: Store, keys: KeyRing) -> AsyncIterator[Store]:
    """The same database as another process opens it."""
    second = Store(store.engine.url.render_as_string(), keys, durable=False)
    yield second
    second.close()


async def counted(store: Store, table: type) -> int:
    def count(session: Session) -> int:
        return session.scalar(select(func.count()).select_from(table)) or 0

    return await store.run(count)


async def settled(store: Store, *, turns: int) -> None:
    """Waits until that many turns are taken and no message waits."""

    def holds(session: Session) -> bool:
        taken = session.scalar(select(func.count()).select_from(TurnRow))
        waiting = session.scalar(
            select(func.count()).select_from(InboxRow).where(InboxRow.state == "ready")
        )
        return (taken, waiting) == (turns, 0)

    async def check() -> bool:
        return await store.run(holds)

    await until(check)


async def asked(fake_nlu: FakeNlu, text: str) -> None:
    async def understanding() -> bool:
        return text in fake_nlu.asked

    await until(understanding)


async def test_a_message_kept_while_nothing_ran_is_answered_at_the_next_start(
    parts: Parts, citizen: Citizen
) -> None:
    await citizen.sends("chào")
    async with running(create_app(parts)):
        await settled(parts.store, turns=1)
    [reply] = await citizen.inbox_of_replies()
    assert "xin chào" in reply.blocks[0].text


async def test_a_turn_cut_off_by_a_stop_is_taken_once_at_the_next_start(
    parts: Parts,
    settings: Settings,
    house: House,
    clock: Clock,
    keys: KeyRing,
    citizen: Citizen,
    fake_nlu: FakeNlu,
) -> None:
    fake_nlu.fails = "slow"
    async with running(create_app(parts)):
        await citizen.sends("chào")
        await citizen.sends("cảm ơn")
        await asked(fake_nlu, "chào")
    assert await counted(parts.store, TurnRow) == 0
    parts.store.close()
    fake_nlu.fails = None
    clock.now += LEASE

    store = Store(parts.store.engine.url.render_as_string(), keys, durable=False)
    store.migrate()
    async with running(create_app(assemble(settings, house, store, clock))):
        await settled(store, turns=2)
    assert await counted(store, OutboxRow) == 2
    store.close()


async def test_a_turn_that_meets_a_locked_database_is_kept_whole_later(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    house: House,
    keys: KeyRing,
    clock: Clock,
    settings: Settings,
    fake_nlu: FakeNlu,
) -> None:
    monkeypatch.setattr(bot_store, "_LOCK_SECONDS", 0.05)
    store = Store(f"sqlite:///{tmp_path / 'locked.db'}", keys, durable=False)
    store.migrate()
    parts = assemble(settings, house, store, clock)
    citizen = Citizen("lan", store, parts.worker, house, clock)
    await citizen.sends("chào")
    fake_nlu.fails = "slow"
    async with parts.nlu:
        turn = asyncio.create_task(parts.worker.run_once())
        await asked(fake_nlu, "chào")
        other = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        fake_nlu.released.set()
        with pytest.raises(StoreUnavailable):
            await turn
        other.close()
        assert await citizen.inbox_of_replies() == []
        clock.now += LEASE
        assert len(await parts.worker.run_once()) == 1
    assert len(await citizen.inbox_of_replies()) == 1
    store.close()


async def test_a_worker_that_was_overtaken_throws_its_turn_away(
    settings: Settings,
    house: House,
    store: Store,
    second_store: Store,
    clock: Clock,
    citizen: Citizen,
    fake_nlu: FakeNlu,
) -> None:
    slow = assemble(settings, house, store, clock)
    quick = assemble(settings, house, second_store, clock)
    fake_nlu.fails = "slow"
    await citizen.sends("chào")
    async with slow.nlu, quick.nlu:
        overtaken = asyncio.create_task(slow.worker.run_once())
        await asked(fake_nlu, "chào")
        fake_nlu.fails = None
        clock.now += LEASE
        assert len(await quick.worker.run_once()) == 1
        fake_nlu.released.set()
        assert await overtaken == []
    assert (await counted(store, TurnRow), await counted(store, OutboxRow)) == (1, 1)


async def test_two_gateways_on_one_database_take_every_turn_once(
    settings: Settings,
    house: House,
    store: Store,
    second_store: Store,
    clock: Clock,
    fake_nlu: FakeNlu,
) -> None:
    first = create_app(assemble(settings, house, store, clock))
    second = create_app(assemble(settings, house, second_store, clock))
    async with running(first) as url, running(second), Visitor(url) as visitor:
        async with visitor.stream() as stream:
            for text in ("chào", "cảm ơn") * 4:
                await visitor.send(text)
            heard = [(await stream.reply()).text for _ in range(8)]
        await settled(store, turns=8)
    assert ["xin chào" in text for text in heard] == [True, False] * 4
    assert await counted(store, OutboxRow) == 8


async def test_a_reply_made_by_another_gateway_reaches_the_open_page(
    settings: Settings,
    house: House,
    store: Store,
    second_store: Store,
    clock: Clock,
    citizen: Citizen,
    fake_nlu: FakeNlu,
) -> None:
    front = create_app(assemble(settings, house, store, clock))
    async with running(front) as url, Visitor(url) as visitor, visitor.stream() as stream:
        await visitor.says(stream, "chào")
        fake_nlu.fails = "slow"
        await visitor.send("cảm ơn")
        await asked(fake_nlu, "cảm ơn")
        fake_nlu.fails = None
        clock.now += LEASE
        back = assemble(settings, house, second_store, clock)
        async with back.nlu:
            assert len(await back.worker.run_once()) == 1
        assert "không có gì" in (await stream.reply()).text


async def test_retention_runs_when_the_gateway_starts_and_wipes_what_is_over(
    parts: Parts, citizen: Citizen, clock: Clock, fake_nlu: FakeNlu
) -> None:
    await citizen.says("chào")
    clock.move(days=31)

    def left(session: Session) -> list[object]:
        columns = (TurnRow.said, OutboxRow.words, ConversationRow.memory)
        return [value for column in columns for value in session.scalars(select(column)) if value]

    assert await parts.store.run(left) != []
    async with running(create_app(parts)):

        async def wiped() -> bool:
            return await parts.store.run(left) == []

        await until(wiped)
    assert await citizen.inbox_of_replies() == []
    [job] = await parts.store.run(lambda session: session.scalars(select(JobRow)).all())
    assert job.ready_at > clock()


async def test_a_stopped_gateway_leaves_no_task_behind(parts: Parts, citizen: Citizen) -> None:
    before = asyncio.all_tasks()
    async with running(create_app(parts)) as url, Visitor(url) as visitor:
        async with visitor.stream() as stream:
            await visitor.says(stream, "chào")
        assert len(asyncio.all_tasks()) > len(before)
    ours = {task.get_coro().__qualname__.partition(".")[0] for task in asyncio.all_tasks() - before}
    assert ours <= {"RequestHandler"}


async def test_nobody_can_connect_after_a_stop(parts: Parts) -> None:
    async with running(create_app(parts)) as url:
        port = int(url.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_words_that_no_key_opens_do_not_stop_the_workers(
    parts: Parts, citizen: Citizen, another_citizen: Citizen
) -> None:
    for name in ("an", "bình", "chi", "dung", "em"):
        await Citizen(name, parts.store, parts.worker, parts.house, parts.clock).sends("chào")

    def spoil(session: Session) -> None:
        for row in session.scalars(select(InboxRow)):
            row.words = b"lost-key\0" + b"0" * 40

    await parts.store.run(spoil)
    await another_citizen.sends("chào")
    async with running(create_app(parts)):

        async def answered() -> bool:
            return len(await another_citizen.inbox_of_replies()) == 1

        await until(answered, within=5)
