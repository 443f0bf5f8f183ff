"""What the linear model sees of a message: its words accented, and folded with their letters."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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


@dataclass(frozen=True)
class Features:
    """The features that are known, each with its weight, view after view."""

    names: Sequence[str]
    weights: Floats

    def of(self, normalized: str) -> tuple[Ints, Floats]:
        """Columns and values of a message; each view has length one."""
        columns: list[int] = []
        values: list[Floats] = []
        for view in _views(normalized):
            counts = Counter(self._column[name] for name in view if name in self._column)
            at = np.fromiter(counts, np.int32, len(counts))
            value = 1 + np.log(np.fromiter(counts.values(), np.float32, len(counts)))
            value = value * self.weights[at]
            columns.extend(counts)
            values.append(value / max(float(np.sqrt(value @ value)), 1e-9))
        return np.array(columns, np.int32), np.concatenate(values).astype(np.float32)

    @cached_property
    def _column(self) -> dict[str, int]:
        return {name: at for at, name in enumerate(self.names)}


def known_features(groups: Iterable[Iterable[str]]) -> Features:
    """The features that more than one group of readings of a sentence has, weighted by rarity."""
    seen: Counter[str] = Counter()
    size = 0
    for readings in groups:
        size += 1
        seen.update({name for reading in readings for view in _views(reading) for name in view})
    names = sorted(name for name, times in seen.items() if times > 1)
    times = np.array([seen[name] for name in names], np.float32)
    return Features(names, (1 + np.log((1 + size) / (1 + times))).astype(np.float32))


def _views(normalized: str) -> Iterator[list[str]]:
    """Accented words and pairs, folded words and pairs, folded letters within a word."""
    text = normalized[:LONGEST]
    accented, folded = words(text), fold(text).split()
    yield [f"a {name}" for name in _singles_and_pairs(accented)]
    yield [f"f {name}" for name in _singles_and_pairs(folded)]
    yield [f"c{letters}" for word in folded for letters in _letters(f" {word} ")]


def _singles_and_pairs(parts: list[str]) -> list[str]:
    return parts + [f"{one} {two}" for one, two in pairwise(parts)]


def _letters(word: str) -> Iterator[str]:
    for size in range(2, min(5, len(word)) + 1):
        for start in range(len(word) - size + 1):
            yield word[start : start + size]
