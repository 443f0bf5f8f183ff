"""What the linear model sees of a message: words, letters and turns of phrase, view by view."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nlu.text import fold, words

LONGEST = 1200
"""Letters of a message that are looked at: what somebody wants stands at its beginning."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
Halves = npt.NDArray[np.float16]
Seen = tuple[Ints, Floats]
"""Columns and values of a message in one view."""

_MASKS = [
    (re.compile(r"(?<![\d.])\d\.\d{6}(?!\d)"), "mathutuc"),
    (re.compile(r"\bmc[- ]?[0-9a-z]{4}[- ]?[0-9a-z]{4}[- ]?[0-9a-z]\b"), "mavuviec"),
    (re.compile(r"\d(?:[\d. ]*\d){3,}"), "sodai"),
]
_SENTENCE_END = re.compile(r"(?<=[.?!;])\s+")
_CLAUSE_END = re.compile(r"[,.?!;:]\s+|\s+(?:nhưng|nhung|mà|ma|vậy|vay|thế|the|nên|nen|rồi|roi)\s+")
_LAST_CLAUSES = 2
_FIRST_WORDS = 6
_LAST_WORDS = 10
_FARTHEST = 4
_OTHER_WORDS = "_"


@dataclass(frozen=True)
class Pieces:
    """A message, cut as the views look at it."""

    accented: list[str]
    folded: list[str]
    question: list[str]
    """The last sentence, folded: what is asked often stands behind a story."""
    skeleton: list[str]
    """The common words, folded; what stands between them is only told to be there."""


def pieces(normalized: str, common: Collection[str]) -> Pieces:
    """Cut a message; `common` are the words its skeleton keeps."""
    text = _masked(normalized)
    folded = fold(text).split()
    return Pieces(
        words(text),
        folded,
        fold(_SENTENCE_END.split(text)[-1]).split(),
        ["^", *_skeleton(folded, common), "$"],
    )


def _skeleton(folded: list[str], common: Collection[str]) -> Iterator[str]:
    last = ""
    for word in folded:
        kept = word if word in common else _OTHER_WORDS
        if kept != _OTHER_WORDS or last != _OTHER_WORDS:
            yield kept
        last = kept


def _runs(parts: list[str], longest: int) -> list[str]:
    return parts + [
        " ".join(parts[at : at + size])
        for size in range(2, longest + 1)
        for at in range(len(parts) - size + 1)
    ]


def _pairs(parts: list[str]) -> list[str]:
    return parts + [f"{one} {two}" for one, two in pairwise(parts)]


def _letters(folded: list[str]) -> list[str]:
    return [
        letters
        for word in folded
        for size in range(3, min(5, len(word) + 2) + 1)
        for letters in _windows(f" {word} ", size)
    ]


def _windows(text: str, size: int) -> Iterator[str]:
    return (text[at : at + size] for at in range(len(text) - size + 1))


def _near(folded: list[str]) -> list[str]:
    return [
        f"{one} {other}"
        for at, one in enumerate(folded)
        for other in folded[at + 2 : at + 1 + _FARTHEST]
    ]


VIEWS: Mapping[str, Callable[[Pieces], list[str]]] = {
    "accented": lambda its: _pairs(its.accented),
    "folded": lambda its: _pairs(its.folded),
    "letters": lambda its: _letters(its.folded),
    "beginning": lambda its: _pairs(its.folded[:_FIRST_WORDS]),
    "ending": lambda its: _pairs(its.folded[-_LAST_WORDS:]),
    "skeleton": lambda its: _runs(its.skeleton, 4),
    "near": lambda its: _near(its.folded),
    "question": lambda its: _runs(its.question, 3),
}
"""Each view of a message: words and pairs as accented and as folded, letters within words, the
first and last words, turns of phrase without what they are about, words near each other, and the
last sentence."""


@dataclass(frozen=True)
class View:
    """The features of one view that are known, each with its weight."""

    names: Sequence[str]
    weights: Floats

    def of(self, found: Sequence[str]) -> Seen:
        """Columns and values of what a message has in this view, of length one in all."""
        counts = Counter(self.column[name] for name in found if name in self.column)
        columns = np.fromiter(counts, np.int32, len(counts))
        values = 1 + np.log(np.fromiter(counts.values(), np.float32, len(counts)))
        values = values * self.weights[columns]
        return columns, values / max(float(np.sqrt(values @ values)), 1e-9)

    @cached_property
    def column(self) -> dict[str, int]:
        """The place of each feature."""
        return {name: at for at, name in enumerate(self.names)}


@dataclass(frozen=True)
class Features:
    """All that is known of messages before their meaning is."""

    common: frozenset[str]
    """The words that a skeleton keeps."""
    views: Mapping[str, View]

    def cut(self, normalized: str) -> Pieces:
        """A message as the views look at it."""
        return pieces(normalized, self.common)

    def of(self, its: Pieces, views: Collection[str] = VIEWS.keys()) -> dict[str, Seen]:
        """What a message has in these views."""
        return {name: self.views[name].of(VIEWS[name](its)) for name in views}

    def strangeness(self, its: Pieces) -> float:
        """The share of words that hardly a sentence has, 0 to 1."""
        strange = sum(word not in self.views["folded"].column for word in its.folded)
        return strange / len(its.folded) if its.folded else 0.0


def last_clauses(normalized: str) -> list[str]:
    """The last clauses of a message; none where it has but one."""
    clauses = [part for part in _CLAUSE_END.split(normalized[:LONGEST]) if part.strip()]
    return clauses[-_LAST_CLAUSES:] if len(clauses) > 1 else []


def _masked(normalized: str) -> str:
    """A text whose codes and long numbers are only told to be such."""
    text = normalized[:LONGEST]
    for pattern, name in _MASKS:
        text = pattern.sub(name, text)
    return text
