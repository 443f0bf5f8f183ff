"""What tests share: real data, a real database, a fake nlu, and a citizen who chats."""

import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actions.action import CaseTaken
from bot.gateway import build_house
from bot.message import ChoicesBlock, Message, OfferedChoice, Sender
from bot.plain import plain_text
from bot.settings import Settings
from bot.store import Store, inbox, outbox
from bot.store.keys import KeyRing
from bot.turn import House, Turn
from bot.understanding import Ear, Nlu
from bot.worker import Worker
from tests.fakes.nlu import FakeNlu
from tests.postgres import Postgres
from tests.postgres import running as postgres_running

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
"""Ten in the morning of 24/11/2026 in Việt Nam."""


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, **much: float) -> None:
        """Moves on by days, hours, seconds …"""
        self.now += timedelta(**much)


@pytest.fixture(scope="session")
def house() -> House:
    """Everything under data/, loaded once."""
    return build_house(Settings(_env_file=None))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys() -> KeyRing:
    return KeyRing.fresh()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A module marked `databases` runs on both, but for what is marked `sqlite_only`."""
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    if "database" in metafunc.fixturenames and "databases" in marks and "sqlite_only" not in marks:
        metafunc.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL, started once."""
    with postgres_running() as server:
        yield server


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated SQLite database, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "motcua.db"
    store = Store(f"sqlite:///{path}", KeyRing.fresh())
    store.migrate()
    store.close()
    return path


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path, migrated: Path) -> Iterator[str]:
    """The URL of an empty, migrated database: SQLite, or PostgreSQL where a test asks for both."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield f"sqlite:///{shutil.copy(migrated, tmp_path / 'motcua.db')}"
        return
    with request.getfixturevalue("postgres").fresh() as url:
        yield url


@pytest.fixture
def store(database: str, keys: KeyRing) -> Iterator[Store]:
    """An empty, migrated database."""
    store = Store(database, keys, durable=False)
    yield store
    store.close()


@pytest.fixture
async def fake_nlu(tmp_path: Path) -> AsyncIterator[FakeNlu]:
    async with FakeNlu(tmp_path / "nlu-token").listening() as fake:
        yield fake


@pytest.fixture
async def worker(
    house: House, store: Store, fake_nlu: FakeNlu, clock: Clock
) -> AsyncIterator[Worker]:
    """A worker that asks the fake nlu, with a short patience."""
    async with Nlu(fake_nlu.url, fake_nlu.token_file, 0.3) as nlu:
        yield Worker(store, Ear(nlu, house.finder, house.shorthand), house, clock)


@dataclass
class Citizen:
    """Somebody who chats: says things, presses what was offered, reads what came back."""

    name: str
    store: Store
    worker: Worker
    house: House
    clock: Clock
    turns: list[Turn] = field(default_factory=list)
    sent: int = 0

    @property
    def sender(self) -> Sender:
        return Sender("web", "ubnd_phuong_vi_du", self.name)

    async def sends(self, text: str = "", *, pressed: str | None = None, id_: str = "") -> bool:
        """Sends a message without waiting for its turn; False when it was already known."""
        self.sent += 1
        message = Message(
            self.sender, id_ or f"{self.name}:{self.sent}", self.clock(), text, pressed
        )
        until = self.house.words_until(self.clock())
        return await self.store.run(inbox.keep, message, "ubnd_phuong_vi_du", self.clock(), until)

    async def says(self, text: str) -> Turn:
        """Says something and gets the turn that was taken."""
        await self.sends(text)
        [turn] = await self.worker.run_once()
        self.turns.append(turn)
        return turn

    async def presses(self, label: str) -> Turn:
        """Presses the choice with that label among those offered last."""
        choice = next(c for c in self.offered if c.label == label)
        return await self.presses_token(choice.token)

    async def presses_token(self, token: str) -> Turn:
        await self.sends(pressed=token)
        [turn] = await self.worker.run_once()
        self.turns.append(turn)
        return turn

    @property
    def offered(self) -> list[OfferedChoice]:
        """The choices of the last turn."""
        return [
            choice
            for blocks in self.turns[-1].said
            for block in blocks
            if isinstance(block, ChoicesBlock)
            for choice in block.choices
        ]

    async def inbox_of_replies(self) -> list[Any]:
        """Everything that is on its way to this person, in order."""
        from bot.store import conversations

        row = await self.store.run(conversations.find, self.sender)
        return [] if row is None else await self.store.run(outbox.after, row.id, 0)


def words(turn: Turn) -> str:
    """All that a turn said, as one text."""
    return "\n\n".join(map(plain_text, turn.said))


def case_code(turn: Turn) -> str:
    """The code that a turn told."""
    [taken] = [event for event in turn.outcome.events if isinstance(event, CaseTaken)]
    return str(taken.code)


@pytest.fixture
def citizen(house: House, store: Store, worker: Worker, clock: Clock) -> Citizen:
    return Citizen("lan", store, worker, house, clock)


@pytest.fixture
def another_citizen(house: House, store: Store, worker: Worker, clock: Clock) -> Citizen:
    return Citizen("minh", store, worker, house, clock)
