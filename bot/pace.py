"""How often something may happen: so many a second, of which so many at once."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Rate:
    """So many a second, of which so many may go at once (the generic cell rate algorithm).

    All that is remembered of the past is one moment, `next_at`: when the next one is due if they
    came evenly.
    """

    per_second: float
    burst: int = 1

    def allows(self, next_at: datetime | None, now: datetime) -> bool:
        """Whether one may go now."""
        return next_at is None or next_at <= self.latest(now)

    def latest(self, now: datetime) -> datetime:
        """The latest `next_at` with which one may go now."""
        return now + timedelta(seconds=(self.burst - 1) / self.per_second)

    def step(self, next_at: datetime | None, now: datetime) -> datetime:
        """The `next_at` after one has gone."""
        first = max(next_at, now) if next_at else now
        return first + timedelta(seconds=1 / self.per_second)


@dataclass(frozen=True)
class Pace:
    """How fast a platform may be written to: messages a second, in all and to one person, each
    with the number that may go at once."""

    account_per_second: float
    account_burst: int
    person_per_second: float
    person_burst: int

    @property
    def account(self) -> Rate:
        """The rate for all people together."""
        return Rate(self.account_per_second, self.account_burst)

    @property
    def person(self) -> Rate:
        """The rate for one person."""
        return Rate(self.person_per_second, self.person_burst)


class Limiter:
    """Counts in memory, for each key by itself; keys that are at rest are forgotten."""

    _MOST = 10_000

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._next_at: dict[str, datetime] = {}

    def allows(self, key: str, now: datetime) -> bool:
        """Whether a key may go on now; what may is counted."""
        next_at = self._next_at.get(key)
        if not self._rate.allows(next_at, now):
            return False
        if len(self._next_at) >= self._MOST:
            self._next_at = {k: at for k, at in self._next_at.items() if at > now}
        self._next_at[key] = self._rate.step(next_at, now)
        return True
