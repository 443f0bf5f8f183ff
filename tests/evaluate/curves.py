"""Where the thresholds stand: `python -m tests.evaluate.curves`, on the project's own questions.

Draws docs/images/thresholds.svg and prints the same figures. The blind set stays closed.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ruamel.yaml import YAML

from actions.cases import CaseKind
from bot.settings import CHECKOUT, load_settings
from tests.asking import QUESTIONS
from tests.evaluate.hearing import hear, listener
from tests.evaluate.messages import WRITTEN, Marked, several
from tests.evaluate.page import draw
from tests.evaluate.rows import BORDER, DECLINED, STRANGER, Heard

WRITINGS = (WRITTEN, "teencode", "slips, no diacritics")
PICTURE = CHECKOUT / "docs" / "images" / "thresholds.svg"
POINTS = CHECKOUT / "var" / "evaluate" / "thresholds.json"
STEPS = [step / 20 for step in range(1, 20)]
Curve = dict[str, list[tuple[float, float]]]


def questions() -> list[Marked]:
    """The project's own questions as marked messages."""
    yaml = YAML(typ="safe")
    return [
        Marked(text, several(e.get("intent")), rule=e.get("rule"), kind=e.get("case_kind"),
               procedure=e.get("procedure"), facets=frozenset(e.get("facet", ())), file=path.stem)
        for path in sorted(QUESTIONS.glob("*.yml"))
        for e in yaml.load(path)
        for text in e["ask"]
    ]  # fmt: skip


def strangers(heard: Sequence[Heard]) -> Curve:
    """By the chance of a stranger: strangers refused, and ours refused."""
    theirs = [h for h in heard if h.marked.intents == (STRANGER,)]
    ours = [h for h in heard if not DECLINED & set(h.marked.intents)]

    def chance(h: Heard) -> float:
        return h.meant.intents.get(STRANGER, 0.0)

    return {"strangers refused": _from(theirs, chance), "ours refused": _from(ours, chance)}


def accusations(heard: Sequence[Heard]) -> Curve:
    """By the chance of a denunciation: those that are caught, and feedback that is."""

    def chance(h: Heard) -> float:
        brings = h.meant.intents.get("bring_case", 0.0)
        return brings * h.meant.kinds.get(CaseKind.DENUNCIATION, 0.0)

    return {
        "denunciations caught": _from(_of_kind(heard, "denunciation"), chance),
        "feedback caught": _from(_of_kind(heard, "feedback"), chance),
    }


def border(heard: Sequence[Heard]) -> Curve:
    """By how near the second intent may come to the first: asked back, and right of the rest."""
    there = [h for h in heard if BORDER & set(h.marked.intents)]

    def nearness(h: Heard) -> float:
        second, first = sorted([0.0, 0.0, *h.meant.intents.values()])[-2:]
        return second / first if first else 1.0

    answered = [(step, [h for h in there if nearness(h) < step]) for step in STEPS]
    right = _right_of(answered, lambda h: h.knows_intent)
    return {"asked back": _from(there, nearness), "right of those answered": right}


def topics(heard: Sequence[Heard]) -> Curve:
    """By the score of the best topic: answered at once, and right of those."""
    there = [h for h in heard if h.marked.procedure or h.marked.rule]

    def best(h: Heard) -> Any:
        found = h.meant.procedures if h.marked.procedure else h.meant.situations
        return found[0] if found else None

    def score(h: Heard) -> float:
        return best(h).score if best(h) else 0.0

    answered = [(step, [h for h in there if score(h) >= step]) for step in STEPS]
    right = _right_of(answered, lambda h: best(h).id in (h.marked.procedure, h.marked.rule))
    return {"answered at once": _from(there, score), "right of those": right}


CURVES: dict[str, Callable[[Sequence[Heard]], Curve]] = {
    "chance of a stranger": strangers,
    "chance of a denunciation": accusations,
    "second intent : first, at the border": border,
    "score of the best topic": topics,
}


def main() -> int:
    """Measures, prints and draws."""
    settings = load_settings()
    heard = asyncio.run(hear(questions(), settings, listener(settings), WRITINGS))
    every = [h for its in heard.values() for h in its]
    points = {title: curve(every) for title, curve in CURVES.items()}
    POINTS.parent.mkdir(parents=True, exist_ok=True)
    POINTS.write_text(json.dumps(points), "utf-8")
    for title, curve in points.items():
        print(f"\n| {title} | {' | '.join(curve)} |\n|{'---|' * (len(curve) + 1)}")
        for at, (step, _) in enumerate(next(iter(curve.values()))):
            print(f"| {step:.2f} | {' | '.join(f'{its[at][1]:.3f}' for its in curve.values())} |")
    draw("thresholds", POINTS, PICTURE)
    return 0


def _from(heard: Sequence[Heard], value: Callable[[Heard], float]) -> list[tuple[float, float]]:
    """For each threshold the share of messages at or above it."""
    values = [value(h) for h in heard]
    return [(step, sum(v >= step for v in values) / max(len(values), 1)) for step in STEPS]


def _right_of(
    answered: Sequence[tuple[float, list[Heard]]], is_right: Callable[[Heard], bool]
) -> list[tuple[float, float]]:
    """For each threshold the share of the answered messages that are right."""
    return [(step, sum(map(is_right, its)) / max(len(its), 1)) for step, its in answered]


def _of_kind(heard: Sequence[Heard], kind: str) -> list[Heard]:
    return [h for h in heard if h.marked.kind == kind]


if __name__ == "__main__":
    sys.exit(main())
