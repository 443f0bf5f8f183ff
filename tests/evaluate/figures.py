"""Shares with their intervals, and the other figures of an evaluation."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nlu.interval import wilson

_BINS = 10


@dataclass(frozen=True)
class Share:
    """How many of how many, with the 95 % interval of Wilson."""

    right: int
    of: int

    @property
    def value(self) -> float:
        """The share, 0 to 1; 0 of nothing."""
        return self.right / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share lies with 95 % certainty (Wilson 1927)."""
        return wilson(self.right, self.of) if self.of else (0.0, 1.0)


def share(results: Iterable[bool]) -> Share:
    """The share of what is true."""
    found = list(results)
    return Share(sum(found), len(found))


def macro_f1(pairs: Sequence[tuple[str, str]]) -> float:
    """The mean F1 of all labels that occur, from pairs of expected and told."""
    told = Counter(got for _, got in pairs)
    meant = Counter(expected for expected, _ in pairs)
    both = Counter(expected for expected, got in pairs if expected == got)
    scores = [2 * both[label] / (told[label] + meant[label]) for label in meant]
    return sum(scores) / len(scores) if scores else 0.0


def entity_f1(pairs: Iterable[tuple[Sequence[object], Sequence[object]]]) -> tuple[float, int]:
    """Micro F1 of expected and found entities, and how many were expected."""
    right = told = meant = 0
    for expected, found in pairs:
        right += sum((Counter(expected) & Counter(found)).values())
        told, meant = told + len(found), meant + len(expected)
    return (2 * right / (told + meant) if told + meant else 0.0), meant


def calibration_error(results: Sequence[tuple[float, bool]]) -> float:
    """Expected calibration error: how far confidence is from the share right, over ten bins."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for confidence, right in results:
        bins.setdefault(min(int(confidence * _BINS), _BINS - 1), []).append((confidence, right))
    gaps = (
        abs(sum(c for c, _ in found) - sum(right for _, right in found)) for found in bins.values()
    )
    return sum(gaps) / len(results) if results else 0.0
