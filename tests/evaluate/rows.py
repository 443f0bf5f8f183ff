"""What is measured of an evaluation: one row a figure, one column a way of writing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actions.action import Understanding
from tests.evaluate.figures import Share, calibration_error, entity_f1, macro_f1, share
from tests.evaluate.messages import Marked

STRANGER = "out_of_scope"
DECLINED = frozenset({STRANGER, "gibberish", "civil_dispute"})
"""What is told to be none of an office's business."""
BORDER = frozenset(
    {
        "ask_conduct",
        "bring_case",
        "ask_about_complaint_procedure",
        "emergency",
        "civil_dispute",
        "unlawful_help",
    }
)
_WORST = 10


@dataclass(frozen=True)
class Heard:
    """A message and what was understood of one way of writing it."""

    marked: Marked
    meant: Understanding
    outcome: str
    """What the dialogue does with it as the first message of a conversation."""
    spans: tuple[tuple[str, int, int], ...] | None = None
    """Entities found: kind, beginning and end; None where positions are not comparable."""

    @property
    def knows_intent(self) -> bool:
        """Whether the likeliest intent is (one of) the marked."""
        return self.meant.intent in self.marked.intents

    @property
    def knows_kind(self) -> bool:
        """Whether the intent is right, and the kind of a case too."""
        kind = self.marked.kind
        return self.knows_intent and (kind is None or self.meant.kind == kind)


def rows(heard: Sequence[Heard]) -> dict[str, Any]:
    """Every figure for one way of writing: a `Share`, or a number with its count."""
    return {name: value for name, value in _rows(heard).items() if value is not None}


def _rows(heard: Sequence[Heard]) -> Mapping[str, Any]:
    asked = [h for h in heard if h.marked.intents]
    return {
        "intent": _share(h.knows_intent for h in asked),
        "intent, macro F1": (
            macro_f1([(_told(h), h.meant.intent or "") for h in asked]),
            len(asked),
        ),
        "calibration error (ECE)": (
            calibration_error([(h.meant.confidence, h.knows_intent) for h in asked]),
            len(asked),
        ),
        "facets exactly": _share(
            set(h.meant.facets) == h.marked.facets for h in heard if h.marked.facets
        ),
        "procedure first": _share(_found(h, 1) for h in heard if h.marked.procedure),
        "procedure among three": _share(_found(h, 3) for h in heard if h.marked.procedure),
        "situation first": _share(_ruled(h, 1) for h in heard if h.marked.rule),
        "situation among three": _share(_ruled(h, 3) for h in heard if h.marked.rule),
        "kind of case": _share(
            h.meant.kind == h.marked.kind for h in heard if h.marked.kind is not None
        ),
        "strangers refused": _share(_refused(h) for h in heard if h.marked.intents == (STRANGER,)),
        "ours refused": _share(_refused(h) for h in asked if not DECLINED & set(h.marked.intents)),
        "entities, F1": _entities(heard),
        "hard border: right": _share(h.knows_kind for h in _border(heard)),
        "hard border: right or asked back": _share(
            h.knows_kind or h.outcome == "asked_back" for h in _border(heard)
        ),
        "hard border: asked back": _share(h.outcome == "asked_back" for h in _border(heard)),
        "denunciations and emergencies missed": _share(
            h.outcome not in _SAFE for h in heard if _is_grave(h.marked)
        ),
        "feedback taken for a denunciation": _share(
            h.outcome == "redirected" for h in heard if h.marked.kind == "feedback"
        ),
    }


_SAFE = ("redirected", "emergency", "asked_back")
"""What may be done with a denunciation or an emergency: never a form that keeps its words."""


def _is_grave(marked: Marked) -> bool:
    return marked.kind == "denunciation" or marked.intents == ("emergency",)


def confusions(heard: Sequence[Heard]) -> list[tuple[str, str, int]]:
    """The intents that are mixed up most: expected, told, how often."""
    wrong = Counter(
        (h.marked.intents[0], h.meant.intent or "none")
        for h in heard
        if h.marked.intents and not h.knows_intent
    )
    return [(expected, told, times) for (expected, told), times in wrong.most_common(_WORST)]


def misses(heard: Sequence[Heard]) -> list[str]:
    """The texts that are not understood in every mark, for a set that is worked on."""
    return [h.marked.text for h in heard if not _wholly(h)]


def _wholly(h: Heard) -> bool:
    marked = h.marked
    return (
        (not marked.intents or h.knows_kind)
        and (not marked.facets or set(h.meant.facets) == marked.facets)
        and (marked.procedure is None or _found(h, 1))
        and (marked.rule is None or _ruled(h, 1))
    )


def _share(results: Any) -> Share | None:
    found = share(results)
    return found if found.of else None


def _told(h: Heard) -> str:
    """The marked intent that counts: the one that was told, where it is among several."""
    return h.meant.intent or "" if h.knows_intent else h.marked.intents[0]


def _found(h: Heard, among: int) -> bool:
    ids = [f.id if f.variant is None else f"{f.id}/{f.variant}" for f in h.meant.procedures]
    return h.marked.procedure in ids[:among]


def _ruled(h: Heard, among: int) -> bool:
    return h.marked.rule in [f.id for f in h.meant.situations][:among]


def _refused(h: Heard) -> bool:
    return h.outcome == "out_of_scope"


def _border(heard: Sequence[Heard]) -> list[Heard]:
    return [h for h in heard if h.marked.file == "border" and BORDER & set(h.marked.intents)]


def _entities(heard: Sequence[Heard]) -> tuple[float, int] | None:
    marked = [h for h in heard if h.marked.entities is not None and h.spans is not None]
    if not marked:
        return None
    return entity_f1([(h.marked.entities or (), h.spans or ()) for h in marked])
