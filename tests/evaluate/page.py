"""The evaluation in words: tables for the terminal and for docs/benchmarks.md."""

import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.machine import this_machine
from tests.bench.processes import NLU_PYTHON
from tests.evaluate.figures import Share
from tests.evaluate.peer import Kept

Rows = Mapping[str, Mapping[str, Any]]
"""By way of writing, then by figure."""


def table(rows: Rows) -> str:
    """All figures as Markdown: a line a figure, a column a way of writing."""
    writings = list(rows)
    names = list(dict.fromkeys(name for its in rows.values() for name in its))
    lines = [_line(["", "of", *writings]), _line(["---"] * (len(writings) + 2))]
    for name in names:
        values = [rows[writing].get(name) for writing in writings]
        of = next(_of(value) for value in values if value is not None)
        lines.append(_line([name, str(of), *map(_cell, values)]))
    return "\n".join(lines)


def plain(rows: Rows) -> dict[str, dict[str, Any]]:
    """The same as JSON: value, count and interval of every figure."""
    return {
        writing: {name: _plain(value) for name, value in its.items()}
        for writing, its in rows.items()
    }


def confusions_table(wrong: Sequence[tuple[str, str, int]]) -> str:
    """The intents that are mixed up most."""
    lines = [_line(["meant", "told", "times"]), _line(["---"] * 3)]
    return "\n".join([*lines, *(_line([a, b, str(n)]) for a, b, n in wrong)])


def draw(kind: str, figures: Path, picture: Path) -> None:
    """Draws a picture of the docs with nlu's own Python, which has matplotlib."""
    script = Path(__file__).with_name("picture.py")
    subprocess.run([NLU_PYTHON, script, kind, figures, picture], check=True)


def begun() -> str:
    """When and where this was measured."""
    now, machine = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), this_machine()
    return f"{now} ({machine.cpu}, {machine.cores} cores, Rasa {machine.rasa})"


def _plain(value: Any) -> dict[str, Any]:
    if isinstance(value, Share):
        low, high = value.interval
        return {"value": value.value, "of": value.of, "low": low, "high": high}
    return {"value": value[0], "of": value[1]}


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Share):
        low, high = value.interval
        return f"**{value.value:.3f}** ({low:.3f}–{high:.3f})"
    return f"**{value[0]:.3f}**"


def _of(value: Any) -> int:
    return value.of if isinstance(value, Share) else int(value[1])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def part(
    result: Mapping[str, Any],
    ours: Rows,
    theirs: Rows,
    wrong: Sequence[tuple[str, str, int]],
    kept: Kept | None,
) -> str:
    """What docs/benchmarks.md says about understanding."""
    names = f"{result['strangers']} other names of the national portal's list"
    pieces = [
        "# What is understood",
        f"Measured {begun()}, on the {result['questions']} messages of `tests/blind/vi`, each in "
        f"{len(ours)} ways of writing made with a fixed seed. In brackets the 95 % interval "
        f"(Wilson). Procedures are found among those of `data/knowledge` and {names}."
        if result["strangers"]
        else f"Measured {begun()}, on the {result['questions']} messages of `tests/blind/vi`. The "
        "national portal's list was not there: procedures are found among those of "
        "`data/knowledge` alone.",
        table(ours),
        "![Intent understood, by way of writing](images/understanding.svg)",
        "The intents that are mixed up most, as written:",
        confusions_table(wrong),
    ]
    if kept is not None:
        pieces += [
            "## Beside Rasa's default pipeline",
            f"Rasa {kept.rasa}: WhitespaceTokenizer, regex, lexical and count vectors, DIET, "
            f"intents only, {kept.epochs} epochs on the same {kept.sentences} sentences (those "
            "with a bracket left out, none of our variants). Training "
            f"{kept.training_seconds / 60:.0f} minutes and {kept.training_memory_mb:.0f} MB, "
            f"serving {kept.memory_mb:.0f} MB, a parse {kept.parse_ms:.1f} ms. Its answers are "
            "kept in `tests/evaluate/peer.json` (`make evaluate-peer`).",
            table(
                {w: {k: v for k, v in its.items() if k in _OF_BOTH} for w, its in theirs.items()}
            ),
        ]
    return "\n\n".join(pieces) + "\n"


_OF_BOTH = ("intent", "intent, macro F1")
