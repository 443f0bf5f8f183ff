"""Two gateways with their workers and couriers side by side on one database, one of them killed."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout, web
from sqlalchemy import func, select

from bot.nlu_process import free_port
from bot.settings import CHECKOUT
from bot.store import Session, Store, outbox
from bot.store.keys import KeyRing, write_private
from bot.store.tables import InboxRow, OutboxRow, TurnRow
from tests.fakes.nlu import FakeNlu
from tests.fakes.telegram import FakeTelegram
from tests.fakes.visitor import running, until

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)

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
