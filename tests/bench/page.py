"""docs/benchmarks.md: what one run measured, in words and tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.burst import PEOPLE, PER_SECOND, SECONDS
from tests.bench.finder import ENTRIES, MESSAGES
from tests.bench.measure import CLIENTS, CLIENTS_OWN, WINDOW
from tests.bench.results import Results, window

_WINDOWS = (1, 101, 481)
_FULL_CORE = 0.85


def page(rows: Sequence[Mapping[str, Any]], results: Results) -> str:
    """The whole page, from the rows of var/bench.json and the rest of the run."""
    parts = [
        _head(results),
        *(_compared(peer, rows) for peer in dict.fromkeys(row["beside"] for row in rows)),
        _growth(results),
        _burst(results),
        _profile(results),
        _limit(results),
        _how(results),
    ]
    return "\n\n".join(parts) + "\n"


def _head(results: Results) -> str:
    machine, kind = results.machine, "quick" if results.quick else "full"
    command = "BENCH=quick make bench" if results.quick else "make bench"
    return f"""# Benchmarks

Made by `{command}`, not by hand: a {kind} run of {results.minutes:.0f} minutes, begun on \
{results.started:%Y-%m-%d %H:%M} UTC. Every number below was measured in that run; `make bench` \
measures them anew, on your machine.

Machine: {machine.cpu}, {machine.cores} cores, {machine.memory_gb:.0f} GB of memory, \
{machine.system}; load {machine.load:.1f} before the start. Python {machine.python} (bot), \
{machine.nlu_python} (nlu and peer); Rasa {machine.rasa}; SQLite {machine.sqlite}. The disk takes \
{results.profile.disk:.1f} ms to keep 4 KB (median)."""


def _compared(peer: str, rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        f"## Beside {peer}",
        "",
        "| what | unit | ours | peer | times better | asked |",
        "|---|---|---|---|---|---|",
    ]
    for row in (row for row in rows if row["beside"] == peer):
        lines.append(
            f"| `{row['name']}`: {row['what']} | {row['unit']} "
            f"| {_spread(row['ours'], row['ours_min_max'])} "
            f"| {_spread(row['peer'], row['peer_min_max'])} "
            f"| {_spread(row['times_better'], row['times_better_min_max'])} | {_asked(row)} |"
        )
    lines += ["", "Medians over rounds, with the least and the most of any round in brackets."]
    return "\n".join(lines)


def _spread(median: float, least_most: Sequence[float]) -> str:
    least, most = least_most
    if least == most:
        return f"**{_short(median)}**"
    return f"**{_short(median)}** ({_short(least)}–{_short(most)})"


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _asked(row: Mapping[str, Any]) -> str:
    if row["limit"] is not None:
        kept = "reached" if row["ours"] < row["limit"] else "**not reached**"
        return f"< {row['limit']:g} {row['unit']}: {kept}"
    if row["asked"] is None:
        return "–"
    reached = "reached" if row["times_better"] >= row["asked"] else "**not reached**"
    return f"≥ {row['asked']:g}: {reached}"


def _growth(results: Results) -> str:
    sides = list(results.growth)
    lines = [
        "## A long conversation",
        "",
        "| messages | " + " | ".join(f"{side}, ms a turn" for side in sides) + " |",
        "|---" * (len(sides) + 1) + "|",
    ]
    reached = {len(times) // WINDOW * WINDOW - WINDOW + 1 for times in results.growth.values()}
    for first in sorted(reached.union(_WINDOWS)):
        cells = [
            f"{window(times, first):.1f}" if len(times) >= first + WINDOW - 1 else "not reached"
            for times in results.growth.values()
        ]
        if first > 0 and set(cells) != {"not reached"}:
            lines.append(f"| {first}–{first + WINDOW - 1} | " + " | ".join(cells) + " |")
    lines += ["", "The ten lines over and over in one conversation; medians of twenty turns."]
    short = {side: len(times) for side, times in results.growth.items()}
    if len(set(short.values())) > 1:
        told = ", ".join(f"{side} {count}" for side, count in short.items())
        lines[-1] += f" How far the time of this run sufficed, in messages: {told}."
    return "\n".join(lines)


def _burst(results: Results) -> str:
    burst = results.burst
    return f"""## A burst

{PER_SECOND} updates a second for {SECONDS} seconds on the Telegram webhook, from {PEOPLE} \
people, whatever the answers; {burst.sent_again} of them sent again half a second later, as \
platforms do.

| | |
|---|---|
| updates sent, and sent again | {burst.sent} + {burst.sent_again} |
| acknowledged | {burst.acknowledged} of {burst.sent + burst.sent_again} |
| lost | {burst.lost} |
| doubled | {burst.doubled} |
| acknowledged within, p50 | {burst.p50_ms:.0f} ms |
| acknowledged within, p99 | {burst.p99_ms:.0f} ms |
| the slowest | {burst.longest_ms:.0f} ms |
| of that, the bench sent late (p99) | {burst.late_p99_ms:.0f} ms |
| every turn taken after | {burst.answered_after_s:.0f} s |
| in the database: inbox rows, turns, replies | {burst.kept.inbox_rows}, {burst.kept.turns}, \
{burst.kept.replies} |

Lost: no row in the inbox, no turn, or no reply. Doubled: more than one row or one turn. Times \
run from the moment at which an update was due."""


def _profile(results: Results) -> str:
    profile = results.profile
    lines = [
        "## One turn, step by step",
        "",
        "| transaction | times a turn | queued | Python | SQL | commit |",
        "|---|---|---|---|---|---|",
        *(
            f"| `{step.work}` | {step.times:.1f} | {step.queued:.2f} | {step.python:.2f} "
            f"| {step.sql:.2f} | {step.commit:.2f} |"
            for step in profile.steps
        ),
        "",
        f"Milliseconds of one such transaction, medians over {profile.turns} turns of a gateway in "
        "the bench's process, one client. Queued: behind others, for SQLite has one writer thread. "
        "Commit: waiting until the disk has it. Asking nlu takes "
        f"{profile.nlu:.1f} ms beside them, with no transaction open.",
    ]
    return "\n".join(lines)


def _limit(results: Results) -> str:
    profile = results.profile
    parts = {
        "Python in transactions": profile.python,
        "commits": profile.commit,
        "SQL": profile.sql,
        "nlu": profile.nlu,
    }
    largest = max(parts, key=lambda name: parts[name])
    told = ", ".join(f"{name} {ms:.1f} ms" for name, ms in parts.items())
    lines = [
        "## What the limit is",
        "",
        f"For one citizen it is {largest}. Of a turn of {profile.whole:.1f} ms and what follows "
        f"it: {told}; {profile.transactions:.0f} transactions in all.",
    ]
    for side, load in results.loads.items():
        busy = {name: share for name, share in load.busy.items() if name != CLIENTS_OWN}
        most = max(busy, key=lambda name: busy[name])
        told = ", ".join(f"{name} {100 * share:.0f} %" for name, share in load.busy.items())
        lines.append(
            f"With {CLIENTS} clients, {side} ({load.per_second:.0f} turns/s): {_bound(busy[most])} "
            f"{most} (of one core each: {told})."
        )
    return "\n\n".join(["\n".join(lines[:3]), *lines[3:]])


def _bound(share: float) -> str:
    return "the limit is" if share >= _FULL_CORE else "no process fills a core; the busiest is"


def _how(results: Results) -> str:
    memory = ", ".join(f"{name} {mb:.0f} MB" for name, mb in results.memory.items())
    by_channel = {"ours": results.cases.get("web", 0), "(b)": results.cases.get("rasa", 0)}
    cases = ", ".join(f"{side} {count}" for side, count in by_channel.items())
    trained = "trained in this run" if results.peer_trained_now else "kept from an earlier run"
    lines = [
        "## How it was measured",
        "",
        "- **Ours**: `motcua serve` and `nlu.serve` as processes, SQLite with full durability "
        "(WAL, `synchronous=FULL`) in an empty folder. Leases and marks of what was read do not "
        "wait for the disk, everything else does. A turn is `POST /chat/messages` until the "
        "last reply has come over the open stream.",
        f"- **Peer**: stock Rasa {results.machine.rasa}, the pipeline and policies of `rasa init` "
        "with their own epochs, five hundred of our sentences spread over all intents (the ten "
        "lines among them), one rule for every intent and the conversation as stories; its model "
        f"was {trained}. `rasa run` with the REST channel and the SQL tracker store (SQLite as "
        "Rasa opens it, on the same disk). A turn is `POST /webhooks/rest/webhook` until its "
        "answer.",
        "- **(a)**: each turn runs one trivial custom action (one fixed sentence) in rasa-sdk's "
        "own action server. **(b)**: the custom actions are our verbs, over `/rasa/webhook`.",
        "- Both sides are told the same ten lines: a greeting, three questions on one procedure, "
        f"a case from its story to its code. Cases that were kept before the burst: {cases}.",
        "- **Parse** is `POST /model/parse` of both, the ten lines in turn.",
        f"- One client for medians, {CLIENTS} for throughput, each in a conversation of its own; "
        "all on loopback, with the clients on the same cores: they take their share from "
        "whoever is quicker.",
        "- Both sides are warmed up, then measured in turn (A B A B), so that noise meets both. "
        "Times better is the ratio of the medians; its brackets are the ratios round by round.",
        "- **The finder** is asked in the bench's process, before anything else runs: "
        f"{ENTRIES} made-up procedures with two or three other names each, {MESSAGES} messages "
        "from three words to sixty, half of them without diacritics; each message once for "
        "procedures and once for situations, as the gateway does. Its peer scores every word of "
        "a message against every name that has it. Times are of the thread, memory is what "
        "Python holds after building.",
        f"- Memory at the end: {memory}.",
    ]
    return "\n".join(lines)
