"""A person please: how to reach the office and when it is open."""

from dataclasses import replace

from actions.action import Asked, HandOverAsked, Outcome, Result, answered, says
from actions.deadlines import Calendar


class HandOver:
    """Tells how to reach the office; no officer reads along until there is a console."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar

    def __call__(self, asked: Asked) -> Outcome:
        """Where the office is, its hours, and whether it is open now."""
        reply = says("hand_over", open=self._calendar.is_open(asked.office, asked.now))
        remember = replace(asked.memory, misses=0)
        return Outcome(Result.HANDED_OVER, (reply,), remember, events=(HandOverAsked(),))

    def office(self, asked: Asked) -> Outcome:
        """The same facts, for who only asks where the office is and when it opens."""
        open_now = self._calendar.is_open(asked.office, asked.now)
        return answered(asked, says("office", open=open_now))
