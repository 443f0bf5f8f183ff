"""How a side is measured. Every number is of a whole request, seen from the client."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

from tests.bench.conversation import TEXTS
from tests.bench.side import Conversation, Side

T = TypeVar("T")

CLIENTS = 8
CLIENTS_OWN = "the bench's clients"
WINDOW = 20
"""Messages of a long conversation that are looked at together: the ten lines twice."""


@dataclass(frozen=True)
class Load:
    """What a side did under load: how many a second, and what each process took for one."""

    per_second: float
    cpu_ms_each: dict[str, float]
    busy: dict[str, float]
    """Processor time a second, by process: 1.0 is one whole core."""


async def interleaved(
    sides: Sequence[Side], rounds: int, work: Callable[[Side], Awaitable[T]]
) -> dict[str, list[T]]:
    """The same work on each side in turn, A B A B, so that noise meets all alike."""
    done: dict[str, list[T]] = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            done[side.name].append(await work(side))
    return done


async def parse_median(side: Side, repeats: int) -> float:
    """Milliseconds of one parse, one client: the median over all texts and repeats."""
    times = []
    for _ in range(repeats):
        for text in TEXTS:
            started = time.perf_counter()
            await side.parse(text)
            times.append(_ms_since(started))
    return statistics.median(times)


async def turn_median(side: Side, conversations: int) -> float:
    """Milliseconds of one whole turn, one client: the median over new conversations."""
    times: list[float] = []
    for _ in range(conversations):
        async with side.conversation() as conversation:
            times += [await turn(conversation, text) for text in TEXTS]
    return statistics.median(times)


async def turn(conversation: Conversation, text: str) -> float:
    """Milliseconds of one turn."""
    started = time.perf_counter()
    await conversation.say(text)
    return _ms_since(started)


async def parse_load(side: Side, seconds: float) -> Load:
    """Parses a second with eight clients at once."""

    async def client(number: int, deadline: float) -> int:
        done = 0
        while time.perf_counter() < deadline:
            await side.parse(TEXTS[(number + done) % len(TEXTS)])
            done += 1
        return done

    return await _load(side, seconds, client)


async def turn_load(side: Side, seconds: float) -> Load:
    """Turns a second with eight clients at once, each in a conversation of its own."""

    async def client(number: int, deadline: float) -> int:
        done = 0
        while time.perf_counter() < deadline:
            async with side.conversation() as conversation:
                for text in TEXTS:
                    if time.perf_counter() >= deadline:
                        break
                    await conversation.say(text)
                    done += 1
        return done

    return await _load(side, seconds, client)


async def _load(side: Side, seconds: float, client: Callable[[int, float], Awaitable[int]]) -> Load:
    before = {child.name: child.cpu_seconds() for child in side.children}
    own = time.process_time()
    started = time.perf_counter()
    done = sum(
        await asyncio.gather(*(client(number, started + seconds) for number in range(CLIENTS)))
    )
    took = time.perf_counter() - started
    used = {child.name: child.cpu_seconds() - before[child.name] for child in side.children}
    used[CLIENTS_OWN] = time.process_time() - own
    return Load(
        done / took,
        {name: 1000 * cpu / done for name, cpu in used.items()},
        {name: cpu / took for name, cpu in used.items()},
    )


async def growth(
    sides: Sequence[Side], messages: int, seconds: dict[str, float]
) -> dict[str, list[float]]:
    """Milliseconds of every turn in one long conversation on each side.

    The sides take twenty messages in turn; one that has used up its seconds goes no further.
    """
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    async with AsyncExitStack() as stack:
        talks = [(s, await stack.enter_async_context(s.conversation())) for s in sides]
        for first in range(0, messages, WINDOW):
            for side, conversation in talks:
                mine = times[side.name]
                if len(mine) < first or sum(mine) > 1000 * seconds[side.name]:
                    continue
                for at in range(first, min(first + WINDOW, messages)):
                    mine.append(await turn(conversation, TEXTS[at % len(TEXTS)]))
    return times


def _ms_since(started: float) -> float:
    return 1000 * (time.perf_counter() - started)
