"""`python -m tests.bench [--quick]`: measures both sides, writes the report, ends every child."""

import argparse
import asyncio
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from aiohttp import ClientError

from tests.bench import report
from tests.bench.burst import burst_of_telegram
from tests.bench.finder import figures as finder_figures
from tests.bench.machine import this_machine
from tests.bench.measure import (
    Load,
    growth,
    interleaved,
    parse_load,
    parse_median,
    turn_load,
    turn_median,
)
from tests.bench.ours import Ours, ours
from tests.bench.peer import Peer, peer, trivial_actions
from tests.bench.peer_project import Project, trained
from tests.bench.processes import BenchBroken
from tests.bench.profile_turn import profile
from tests.bench.results import Figure, Results, growth_figure
from tests.bench.side import Side

OURS, TRIVIAL, VERBS = "ours", "peer (a)", "peer (b)"


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int
    parses: int
    conversations: int
    load_seconds: float
    messages: int
    peer_growth_seconds: float
    profiled: int


FULL = Plan(7, 10, 4, 6.0, 500, 600.0, 12)
QUICK = Plan(3, 3, 2, 3.0, 500, 25.0, 6)


def main() -> int:
    """0 when everything was measured, 1 when the bench broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under six minutes")
    quick = parser.parse_args().quick
    try:
        results = asyncio.run(run(QUICK if quick else FULL, quick=quick))
    except (BenchBroken, ClientError, OSError, AssertionError, EOFError) as error:
        print(f"the bench broke: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("the bench was stopped; nothing was written", file=sys.stderr)
        return 1
    report.write(results)
    for figure in results.figures:
        row = figure.row()
        print(f"{row['name']:24} {row['times_better']:6.2f} times better, asked {row['asked']}")
    burst = results.burst
    print(f"burst: {burst.acknowledged} acknowledged, {burst.lost} lost, {burst.doubled} doubled")
    print(f"wrote {report.ROWS} and {report.PAGE}")
    return 0


async def run(plan: Plan, *, quick: bool) -> Results:
    """The whole bench."""
    _stop_on_sigterm()
    started, clock, machine = datetime.now(UTC), time.monotonic(), this_machine()
    say("the finder")
    found = finder_figures(plan.rounds)
    project = await trained()
    async with AsyncExitStack() as stack:
        say("starting both sides")
        mine, peers = await _start(stack, project)
        sides: list[Side] = [mine, *peers]
        await _warm_up(mine, sides)
        figures, loads = await _compare(plan, mine, peers)
        say("one long conversation on each side")
        long = await growth(
            [mine, peers[0]], plan.messages, {OURS: 600.0, TRIVIAL: plan.peer_growth_seconds}
        )
        figures += [growth_figure(long, OURS, TRIVIAL), *found]
        cases = mine.cases()
        memory = {c.name: c.memory_megabytes() for side in sides for c in side.children}
    say("a burst of updates")
    burst = await burst_of_telegram()
    say("one turn, step by step")
    steps = await profile(plan.profiled)
    minutes = (time.monotonic() - clock) / 60
    return Results(
        started, minutes, quick, machine, project.trained_now, figures, long, loads, memory,
        cases, burst, steps,
    )  # fmt: skip


async def _start(stack: AsyncExitStack, project: Project) -> tuple[Ours, list[Peer]]:
    """Ours, and the same stock Rasa twice: with trivial custom actions, and with our verbs."""
    mine = await stack.enter_async_context(ours({"MOTCUA_RASA": "true"}))
    server, trivial = await stack.enter_async_context(trivial_actions(project))
    verbs = {**project.endpoint, "url": f"{mine.url}{urlsplit(project.endpoint['url']).path}"}
    try:
        async with asyncio.TaskGroup() as starting:
            a, b = (
                starting.create_task(stack.enter_async_context(peer(name, project, endpoint)))
                for name, endpoint in ((TRIVIAL, {"url": trivial}), (VERBS, verbs))
            )
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    with_trivial, with_verbs = a.result(), b.result()
    with_trivial.children = (*with_trivial.children, server)
    with_verbs.children = (*with_verbs.children, mine.children[0])
    return mine, [with_trivial, with_verbs]


async def _warm_up(mine: Ours, sides: Sequence[Side]) -> None:
    await mine.learn_replies()
    for side in sides:
        await turn_median(side, 1)
        await parse_median(side, 1)
        await turn_load(side, 1.0)


async def _compare(
    plan: Plan, mine: Side, peers: Sequence[Peer]
) -> tuple[list[Figure], dict[str, Load]]:
    """Every figure on every side in turn."""
    sides: list[Side] = [mine, *peers]
    first = sides[:2]
    say("parsing")
    parse = await interleaved(first, plan.rounds, lambda s: parse_median(s, plan.parses))
    parses = await interleaved(first, plan.rounds, lambda s: parse_load(s, plan.load_seconds))
    say("turns, one client")
    turn = await interleaved(sides, plan.rounds, lambda s: turn_median(s, plan.conversations))
    say("turns, eight clients")
    turns = await interleaved(sides, plan.rounds, lambda s: turn_load(s, plan.load_seconds))
    figures = [
        Figure("parse_median", "one parse, one client", "ms", "lower",
               parse[OURS], parse[TRIVIAL]),
        Figure("parse_throughput", "parses with 8 clients", "parses/s", "higher",
               _rates(parses[OURS]), _rates(parses[TRIVIAL]), 3.0),
    ]  # fmt: skip
    for side, ending, asked in ((TRIVIAL, "", (3.0, 5.0)), (VERBS, "_verbs", (None, None))):
        figures += [
            Figure(f"turn_median{ending}", f"a whole turn, one client, against {side}", "ms",
                   "lower", turn[OURS], turn[side], asked[0]),
            Figure(f"turn_throughput{ending}", f"turns with 8 clients, against {side}", "turns/s",
                   "higher", _rates(turns[OURS]), _rates(turns[side]), asked[1]),
        ]  # fmt: skip
    return figures, {name: _middle(loads) for name, loads in turns.items()}


def _rates(loads: Sequence[Load]) -> list[float]:
    return [load.per_second for load in loads]


def _middle(loads: Sequence[Load]) -> Load:
    median = statistics.median_low(_rates(loads))
    return next(load for load in loads if load.per_second == median)


def _stop_on_sigterm() -> None:
    """A bench that is told to stop ends its children too."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def say(what: str) -> None:
    """Tells what is being done."""
    print(f"{datetime.now(UTC):%H:%M:%S} {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
