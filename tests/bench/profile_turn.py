"""Where the time of one turn goes: a gateway in this process, nlu and the disk as they are."""

import asyncio
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from bot.channels import web
from bot.clock import system_clock
from bot.gateway import assemble, build_house, create_app, reception_of
from bot.settings import Settings
from bot.store import Store
from bot.store.keys import KeyRing
from bot.understanding import Parse
from tests.bench.conversation import TEXTS
from tests.bench.ours import Chat, nlu_in
from tests.bench.processes import BENCH
from tests.fakes.visitor import Visitor, running

_QUIET_SECONDS = 0.1
"""After a reply, until all that follows it (lease given back, rows marked) is done too."""


@dataclass
class Call:
    """One transaction: what the store's thread spent on it, in milliseconds."""

    work: str
    queued: float
    """Until the thread took it up, behind others."""
    python: float = 0.0
    sql: float = 0.0
    commit: float = 0.0
    """Waiting until the disk has it."""


class TimedStore(Store):
    """A store that notes every transaction."""

    def __init__(self, url: str, keys: KeyRing) -> None:
        super().__init__(url, keys)
        self.calls: list[Call] = []
        self._call = Call("", 0.0)
        dialect: Any = self.engine.dialect
        dialect.do_commit = self._commit(dialect.do_commit)
        event.listen(self.engine, "before_cursor_execute", self._before)
        event.listen(self.engine, "after_cursor_execute", self._after)

    async def run(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        """As the store does it."""
        return await self._asked(self.engine, work, *args, **kwargs)

    async def run_light(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        """As the store does it."""
        return await self._asked(self._light, work, *args, **kwargs)

    async def _asked(self, engine: Engine, work: Any, *args: Any, **kwargs: Any) -> Any:
        asked, loop = time.perf_counter(), asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, lambda: self._noted(asked, engine, work, *args, **kwargs)
        )

    def _noted(self, asked: float, engine: Engine, work: Any, *args: Any, **kwargs: Any) -> Any:
        name = f"{work.__module__.removeprefix('bot.')}.{work.__name__}"
        self._call = call = Call(name, _ms_since(asked))
        started = time.perf_counter()
        try:
            return self._run(engine, work, *args, **kwargs)
        finally:
            call.python = _ms_since(started) - call.sql - call.commit
            self.calls.append(call)

    def _commit(self, commit: Callable[[Any], None]) -> Callable[[Any], None]:
        def timed(connection: Any) -> None:
            started = time.perf_counter()
            commit(connection)
            self._call.commit += _ms_since(started)

        return timed

    def _before(self, *_: Any) -> None:
        self._started = time.perf_counter()

    def _after(self, *_: Any) -> None:
        self._call.sql += _ms_since(self._started)


@dataclass(frozen=True)
class Step:
    """One kind of transaction: how often in a turn, and milliseconds of one, medians."""

    work: str
    times: float
    queued: float
    python: float
    sql: float
    commit: float


@dataclass(frozen=True)
class Profile:
    """What the turns of whole conversations spend, in milliseconds; medians."""

    turns: int
    whole: float
    """Message in, reply out, as the visitor sees it."""
    nlu: float
    steps: Sequence[Step]
    transactions: float
    """In one turn, with those after the reply; so the next three."""
    python: float
    sql: float
    commit: float
    disk: float
    """What the disk takes to keep 4 KB, measured beside."""


@dataclass
class _Turn:
    whole: float
    nlu: float
    calls: list[Call]


async def profile(conversations: int) -> Profile:
    """Takes the turns of whole conversations one by one, with full durability."""
    BENCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH, prefix="profile-") as folder:
        var = Path(folder)
        store = TimedStore(f"sqlite:///{var / 'motcua.db'}", KeyRing.fresh())
        store.migrate()
        try:
            async with nlu_in(var) as (_, url, _):
                turns = await _turns(conversations, store, var, url)
        finally:
            store.close()
        return _summed(turns[len(TEXTS) :], disk_ms(var))


def disk_ms(folder: Path) -> float:
    """The median time to write 4 KB and wait until the disk has them."""
    times = []
    with (folder / "disk").open("wb", buffering=0) as file:
        for _ in range(50):
            started = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            times.append(_ms_since(started))
    return statistics.median(times)


async def _turns(conversations: int, store: TimedStore, var: Path, nlu_url: str) -> list[_Turn]:
    settings = Settings(
        _env_file=None, var=var, nlu_url=nlu_url, nlu_timeout=10.0, messages_per_minute=1_000_000
    )
    parts = assemble(settings, build_house(settings), store, system_clock)
    asked: list[float] = []
    nlu: Any = parts.nlu
    nlu.parse = _timed(nlu.parse, asked)
    reception = reception_of(parts)
    chat = web.open_channel(reception)
    parts.worker.on_turn.extend(reception.on_turn)
    turns = []
    async with running(create_app(parts, [chat])) as url:
        for _ in range(conversations):
            async with Visitor(url) as visitor, visitor.stream() as stream:
                citizen = Chat(visitor, stream, dict.fromkeys(TEXTS, 1))
                await asyncio.sleep(_QUIET_SECONDS)
                for text in TEXTS:
                    asked.clear()
                    store.calls.clear()
                    started = time.perf_counter()
                    await citizen.say(text)
                    whole = _ms_since(started)
                    await citizen.silence(_QUIET_SECONDS)
                    turns.append(_Turn(whole, sum(asked), list(store.calls)))
    return turns


def _timed(
    parse: Callable[[str], Awaitable[Parse]], asked: list[float]
) -> Callable[[str], Awaitable[Parse]]:
    async def timed(text: str) -> Parse:
        started = time.perf_counter()
        result = await parse(text)
        asked.append(_ms_since(started))
        return result

    return timed


def _summed(turns: Sequence[_Turn], disk: float) -> Profile:
    by_work: dict[str, list[Call]] = defaultdict(list)
    for turn in turns:
        for call in turn.calls:
            by_work[call.work].append(call)
    steps = [
        Step(
            work,
            len(calls) / len(turns),
            *(
                statistics.median(getattr(call, part) for call in calls)
                for part in ("queued", "python", "sql", "commit")
            ),
        )
        for work, calls in by_work.items()
    ]

    def in_a_turn(part: str) -> float:
        sums = [sum(getattr(c, part) for c in turn.calls) for turn in turns]
        return float(statistics.median(sums))

    return Profile(
        len(turns),
        statistics.median(turn.whole for turn in turns),
        statistics.median(turn.nlu for turn in turns),
        steps,
        statistics.median(len(turn.calls) for turn in turns),
        in_a_turn("python"),
        in_a_turn("sql"),
        in_a_turn("commit"),
        disk,
    )


def _ms_since(started: float) -> float:
    return 1000 * (time.perf_counter() - started)
