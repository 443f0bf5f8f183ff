"""What one run measured."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from tests.bench.burst import Burst
from tests.bench.machine import Machine
from tests.bench.measure import WINDOW, Load
from tests.bench.profile_turn import Profile

ALWAYS = ("parse_median", "parse_throughput", "turn_median", "turn_throughput")
"""Names that every run must bring, for others read them."""


@dataclass(frozen=True)
class Figure:
    """One thing measured on both sides, round by round."""

    name: str
    what: str
    unit: str
    better: Literal["lower", "higher"]
    ours: Sequence[float]
    peer: Sequence[float]
    asked: float | None = None
    """How many times better ours must be."""
    limit: float | None = None
    """What ours must stay below, whatever the peer does."""
    beside: str = "stock Rasa"
    """Who the peer is."""

    @property
    def times_better(self) -> float:
        """The ratio of the medians, above 1 where ours is better."""
        return self._times(statistics.median(self.ours), statistics.median(self.peer))

    @property
    def by_round(self) -> list[float]:
        """The same, round by round."""
        return [self._times(o, p) for o, p in zip(self.ours, self.peer, strict=True)]

    def row(self) -> dict[str, Any]:
        """As it stands in var/bench.json."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": round(statistics.median(self.ours), 3),
            "peer": round(statistics.median(self.peer), 3),
            "better": self.better,
            "times_better": round(self.times_better, 3),
            "what": self.what,
            "asked": self.asked,
            "limit": self.limit,
            "beside": self.beside,
            "rounds": len(self.ours),
            "ours_min_max": [round(min(self.ours), 3), round(max(self.ours), 3)],
            "peer_min_max": [round(min(self.peer), 3), round(max(self.peer), 3)],
            "times_better_min_max": [round(min(self.by_round), 3), round(max(self.by_round), 3)],
        }

    def _times(self, ours: float, peer: float) -> float:
        return peer / ours if self.better == "lower" else ours / peer


@dataclass(frozen=True)
class Results:
    """Everything of one run."""

    started: datetime
    minutes: float
    quick: bool
    machine: Machine
    peer_trained_now: bool
    figures: Sequence[Figure]
    growth: Mapping[str, Sequence[float]]
    """Milliseconds of every turn of one long conversation, by side."""
    loads: Mapping[str, Load]
    """Turns with eight clients, by side; the median round."""
    memory: Mapping[str, float]
    cases: Mapping[str, int]
    """How many were kept beside the burst, by channel: (b) comes in by `rasa`."""
    burst: Burst
    profile: Profile


def growth_figure(growth: Mapping[str, Sequence[float]], ours: str, peer: str) -> Figure:
    """How much longer a turn takes late in a conversation, where both sides got to."""
    reached = min(len(growth[ours]), len(growth[peer])) // WINDOW * WINDOW
    first = reached - WINDOW + 1
    what = f"time per turn at messages {first}–{reached} against 1–{WINDOW}"
    grown = {side: window(growth[side], first) / window(growth[side], 1) for side in (ours, peer)}
    return Figure("turn_growth", what, "ratio", "lower", [grown[ours]], [grown[peer]])


def window(times: Sequence[float], first: int) -> float:
    """The median of twenty turns from a message on."""
    return statistics.median(times[first - 1 : first - 1 + WINDOW])
