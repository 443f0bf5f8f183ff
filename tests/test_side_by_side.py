"""Two gateways with their workers and couriers side by side on one database, one of them killed."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout, web
from sqlalchemy import func, select

from actions.action import CaseTaken
from actions.cases import Case, CaseCode, CaseKind, Report, State
from bot.message import Message, Sender
from bot.nlu_process import free_port
from bot.settings import CHECKOUT
from bot.store import Session, Store, cases, conversations, inbox, outbox
from bot.store.conversations import Lease, LeaseLost
from bot.store.keys import KeyRing, write_private
from bot.store.tables import InboxRow, OutboxRow, TurnRow
from tests.conftest import Clock
from tests.fakes.nlu import FakeNlu
from tests.fakes.telegram import FakeTelegram
from tests.fakes.visitor import running, until

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)

OFFICE = "ubnd_phuong_vi_du"
LAN = Sender("web", OFFICE, "lan")
PEOPLE = 12
ROUNDS = 6
KILLED_AFTER = 2


@dataclass
class Gateway:
    """One `motcua serve`."""

    url: str
    process: asyncio.subprocess.Process


@dataclass
class Balancer:
    """Brings each update to one gateway after the other, and to the next where one is gone."""

    gateways: list[Gateway]
    turns: count = field(default_factory=count)

    async def forward(self, request: web.Request) -> web.Response:
        body = await request.read()
        async with ClientSession(timeout=ClientTimeout(total=5)) as session:
            for _ in self.gateways:
                gateway = self.gateways[next(self.turns) % len(self.gateways)]
                try:
                    url = f"{gateway.url}{request.path}"
                    async with session.post(url, data=body, headers=request.headers) as answer:
                        return web.Response(status=answer.status)
                except (ClientError, TimeoutError):
                    continue
        return web.Response(status=502)


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram().listening() as fake:
        fake.flood = False
        yield fake


@pytest.fixture
def environment(
    tmp_path: Path, database: str, keys: KeyRing, fake_nlu: FakeNlu, telegram: FakeTelegram
) -> dict[str, str]:
    write_private(tmp_path / "keys.json", keys._as_text())
    return {
        **os.environ,
        "MOTCUA_VAR": str(tmp_path),
        "MOTCUA_DATABASE_URL": database,
        "MOTCUA_NLU_URL": fake_nlu.url,
        "MOTCUA_PUBLIC_URL": "http://127.0.0.1",
        "MOTCUA_TELEGRAM_TOKEN": telegram.token,
        "MOTCUA_TELEGRAM_SECRET": "a-secret",
        "MOTCUA_TELEGRAM_API_URL": telegram.base_url,
        "MOTCUA_TELEGRAM_FILE_URL": telegram.base_file_url,
    }


@asynccontextmanager
async def serving(environment: dict[str, str]) -> AsyncIterator[Gateway]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.fakes.gateway_child",
        cwd=CHECKOUT,
        env={**environment, "MOTCUA_PORT": str(port)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        gateway = Gateway(f"http://127.0.0.1:{port}", process)
        await until(lambda: _healthy(gateway), within=20)
        yield gateway
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _healthy(gateway: Gateway) -> bool:
    assert gateway.process.returncode is None, "the gateway ended"
    try:
        async with ClientSession() as session, session.get(f"{gateway.url}/health") as answer:
            return answer.status == 200
    except ClientError:
        return False


async def test_one_of_two_gateways_is_killed_and_nothing_is_lost_or_doubled(
    environment: dict[str, str], store: Store, telegram: FakeTelegram, fake_nlu: FakeNlu
) -> None:
    people = [telegram.person(100 + number, f"Người {number}") for number in range(PEOPLE)]
    for number in range(ROUNDS):
        fake_nlu.knows(f"hỏi lần {number}", "thanks")
    async with AsyncExitStack() as stack:
        first, second = await asyncio.gather(
            *(stack.enter_async_context(serving(environment)) for _ in range(2))
        )
        balancer = web.Application()
        balancer.router.add_post("/{rest:.*}", Balancer([first, second]).forward)
        url = await stack.enter_async_context(running(balancer))
        await _hook(telegram, url)
        for number in range(ROUNDS):
            await asyncio.gather(*(person.says(f"hỏi lần {number}") for person in people))
            if number == KILLED_AFTER:
                first.process.kill()
                await first.process.wait()

        async def all_told() -> bool:
            telegram.clock.move(seconds=1)
            await telegram.pump()
            return await store.run(_left) == 0 and await store.run(_turns) == PEOPLE * ROUNDS

        await until(all_told, within=30)
    assert await store.run(_inbox) == PEOPLE * ROUNDS
    assert await store.run(_states) == {"sent": PEOPLE * ROUNDS}
    repeated = await store.run(_repeated)
    heard = [len(person.heard) for person in people]
    assert all(number >= ROUNDS for number in heard)
    assert sum(heard) <= PEOPLE * ROUNDS + repeated
    assert telegram.mistakes == []


async def _hook(telegram: FakeTelegram, url: str) -> None:
    account = telegram.token.partition(":")[0]
    async with ClientSession() as session:
        answer = await session.post(
            f"{telegram.base_url}{telegram.token}/setWebhook",
            json={"url": f"{url}/telegram/{account}", "secret_token": "a-secret"},
        )
        assert answer.status == 200, await answer.text()


def _left(session: Session) -> int:
    waiting = OutboxRow.state.in_((outbox.READY, outbox.SENDING))
    return session.scalar(select(func.count()).select_from(OutboxRow).where(waiting)) or 0


def _turns(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(TurnRow)) or 0


def _inbox(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(InboxRow)) or 0


def _states(session: Session) -> dict[str, int]:
    return dict(Counter(session.scalars(select(OutboxRow.state))))


def _repeated(session: Session) -> int:
    """How many letters may have arrived twice: their courier was killed while sending."""
    stopped = OutboxRow.error.contains("stopped while sending")
    return session.scalar(select(func.count()).select_from(OutboxRow).where(stopped)) or 0


@pytest.fixture
def second(database: str, keys: KeyRing) -> Iterator[Store]:
    """The same database, as another process opens it."""
    second = Store(database, keys)
    yield second
    second.close()


def keeps_a_message(store: Store, clock: Clock) -> None:
    message = Message(LAN, "1", clock(), "chào")
    store.run_here(inbox.keep, message, OFFICE, clock(), clock() + timedelta(days=1))


def test_a_lease_that_began_since_a_conversation_was_read_is_lost_when_it_is_taken(
    store: Store, second: Store, clock: Clock
) -> None:
    keeps_a_message(store, clock)

    def takes(session: Session) -> Lease:
        conversation = conversations.find(session, LAN)
        assert conversation is not None
        leased.extend(
            second.run_here(conversations.lease, "worker", clock(), timedelta(seconds=30))
        )
        return conversations.take(session, conversation.id)

    leased: list[Lease] = []
    taken = store.run_here(takes)
    assert taken.fence > leased[0].fence
    with pytest.raises(LeaseLost):
        second.run_here(conversations.hold, leased[0])


def test_a_case_is_looked_up_while_an_officer_moves_it(
    store: Store, second: Store, clock: Clock
) -> None:
    keeps_a_message(store, clock)
    code, now = CaseCode.draw(), clock()
    taken = CaseTaken(code, CaseKind.FEEDBACK, Report("đèn hỏng", "", ""), now.date())
    store.run_here(cases.keep, taken, 1, OFFICE, now, now + timedelta(days=365))

    def moves(session: Session) -> Case | None:
        cases.move(session, code, State.ANSWERED, now, "an", answer="xong")
        session.flush()
        return second.run_here(lambda turn: cases.CasesHere(turn, 1).by_code(code))

    seen = store.run_here(moves)
    assert seen is not None
    assert seen.state is State.RECEIVED
