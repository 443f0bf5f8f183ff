"""What the linear model sees of a message: its words accented, and folded with their letters."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
Views = Callable[[str], Iterator[list[str]]]

_MASKS = [
    (re.compile(r"(?<![\d.])\d\.\d{6}(?!\d)"), "mathutuc"),
    (re.compile(r"\bmc[- ]?[0-9a-z]{4}[- ]?[0-9a-z]{4}[- ]?[0-9a-z]\b"), "mavuviec"),
    (re.compile(r"\d(?:[\d. ]*\d){3,}"), "sodai"),
]
_SENTENCE_END = re.compile(r"(?<=[.?!;])\s+")
_LAST_WORDS = 10
_FARTHEST = 4


def what_it_is_about(normalized: str) -> Iterator[list[str]]:
    """Accented words and pairs, folded words and pairs, folded letters within a word."""
    text = _masked(normalized)
    accented, folded = words(text), fold(text).split()
    yield [f"a {name}" for name in _singles_and_pairs(accented)]
    yield [f"f {name}" for name in _singles_and_pairs(folded)]
    yield [f"c{letters}" for word in folded for letters in _letters(f" {word} ")]


def what_is_asked(normalized: str) -> Iterator[list[str]]:
    """The same, words that stand near each other, the last sentence, and the last words.

    What is asked of a procedure stands in a turn of phrase, often behind a story.
    """
    yield from what_it_is_about(normalized)
    text = _masked(normalized)
    folded = fold(text).split()
    yield [
        f"s {one} {other}"
        for at, one in enumerate(folded)
        for other in folded[at + 2 : at + 1 + _FARTHEST]
    ]
    question = fold(_SENTENCE_END.split(text)[-1]).split()
    yield [f"q {name}" for name in _singles_and_pairs(question) + _triples(question)]
    yield [f"e {name}" for name in _singles_and_pairs(folded[-_LAST_WORDS:])]


VIEWS: Mapping[str, Views] = {"about": what_it_is_about, "asked": what_is_asked}


@dataclass(frozen=True)
class Features:
    """The features that are known, each with its weight, view after view."""

    views: str
    names: Sequence[str]
    weights: Floats

    def of(self, normalized: str) -> tuple[Ints, Floats]:
        """Columns and values of a message; each view has length one."""
        columns: list[int] = []
        values: list[Floats] = []
        for view in VIEWS[self.views](normalized):
            counts = Counter(self._column[name] for name in view if name in self._column)
            at = np.fromiter(counts, np.int32, len(counts))
            value = 1 + np.log(np.fromiter(counts.values(), np.float32, len(counts)))
            value = value * self.weights[at]
            columns.extend(counts)
            values.append(value / max(float(np.sqrt(value @ value)), 1e-9))
        return np.array(columns, np.int32), np.concatenate(values).astype(np.float32)

    def strangeness(self, normalized: str) -> float:
        """The share of words that no sentence has, 0 to 1."""
        folded = fold(_masked(normalized)).split()
        strange = sum(f"f {word}" not in self._column for word in folded)
        return strange / len(folded) if folded else 0.0

    @cached_property
    def _column(self) -> dict[str, int]:
        return {name: at for at, name in enumerate(self.names)}


def known_features(views: str, groups: Iterable[Iterable[str]], *, at_least: int) -> Features:
    """The features that enough groups of readings of a sentence have, weighted by rarity."""
    seen: Counter[str] = Counter()
    size = 0
    for readings in groups:
        size += 1
        seen.update({name for text in readings for view in VIEWS[views](text) for name in view})
    names = sorted(name for name, times in seen.items() if times >= at_least)
    times = np.array([seen[name] for name in names], np.float32)
    return Features(views, names, (1 + np.log((1 + size) / (1 + times))).astype(np.float32))


def _masked(normalized: str) -> str:
    """A text whose codes and long numbers are only told to be such."""
    text = normalized[:LONGEST]
    for pattern, name in _MASKS:
        text = pattern.sub(name, text)
    return text


def _singles_and_pairs(parts: list[str]) -> list[str]:
    return parts + [f"{one} {two}" for one, two in pairwise(parts)]


def _triples(parts: list[str]) -> list[str]:
    return [" ".join(three) for three in zip(parts, parts[1:], parts[2:], strict=False)]


def _letters(word: str) -> Iterator[str]:
    for size in range(3, min(5, len(word)) + 1):
        for start in range(len(word) - size + 1):
            yield word[start : start + size]
