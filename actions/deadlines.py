"""Days counted as public offices count them: without weekends and holidays."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays

from actions.knowledge.model import HolidayCorrection, Office, Span

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
_FRIDAY = 5


class Calendar:
    """Working days of Vietnamese public offices, with our corrections to the holiday package."""

    def __init__(self, corrections: Iterable[HolidayCorrection]) -> None:
        self._holidays = holidays.country_holidays("VN")
        self._corrections = {correction.day: correction.open for correction in corrections}

    def is_working_day(self, day: date) -> bool:
        """Whether public offices work on that day."""
        if day in self._corrections:
            return self._corrections[day]
        return bool(self._holidays.is_working_day(day))

    def after(self, start: date, span: Span) -> date:
        """The last day of a span that begins the day after `start`; hours end the same day."""
        if span.days is None:
            return start
        if span.unit == "day":
            return start + timedelta(days=span.days)
        day, count = start, span.days
        while count:
            day += timedelta(days=1)
            count -= self.is_working_day(day)
        return day

    def is_open(self, office: Office, now: datetime) -> bool:
        """Whether the office's doors are open at that moment; a made-up day has Friday's hours."""
        local = now.astimezone(VIETNAM)
        if self._is_holiday(local.date()):
            return False
        made_up = local.isoweekday() > _FRIDAY and self.is_working_day(local.date())
        weekday = _FRIDAY if made_up else local.isoweekday()
        return any(
            weekday in hours.days
            and time.fromisoformat(hours.from_) <= local.time() < time.fromisoformat(hours.to)
            for hours in office.hours
        )

    def _is_holiday(self, day: date) -> bool:
        """Whether a day is off for more than being Saturday or Sunday."""
        if day in self._corrections:
            return not self._corrections[day]
        return day in self._holidays


def local_day(now: datetime) -> date:
    """The day in Việt Nam at that moment."""
    return now.astimezone(VIETNAM).date()
