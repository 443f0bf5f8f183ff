"""How often something may happen: bursts, even spacing, and keys that are forgotten."""

from datetime import timedelta

import pytest

from bot.pace import Limiter, Rate
from tests.conftest import START, Clock


@pytest.mark.parametrize(("per_second", "burst"), [(1, 1), (1, 3), (30, 30), (0.5, 2)])
def test_a_burst_goes_at_once_and_then_one_by_one(per_second: float, burst: int) -> None:
    limiter, clock = Limiter(Rate(per_second, burst)), Clock()
    assert [limiter.allows("lan", clock()) for _ in range(burst + 1)] == [True] * burst + [False]
    clock.move(seconds=1 / per_second)
    assert [limiter.allows("lan", clock()) for _ in range(2)] == [True, False]
    clock.move(seconds=burst / per_second)
    assert [limiter.allows("lan", clock()) for _ in range(burst + 1)] == [True] * burst + [False]


def test_one_key_does_not_hold_back_another() -> None:
    limiter = Limiter(Rate(1))
    assert [limiter.allows(key, START) for key in ("lan", "minh", "lan")] == [True, True, False]


def test_keys_at_rest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limiter, "_MOST", 3)
    limiter = Limiter(Rate(1))
    for number in range(3):
        assert limiter.allows(str(number), START)
    assert not limiter.allows("2", START)
    assert limiter.allows("new", START + timedelta(seconds=1.5))
    assert list(limiter._next_at) == ["new"]
