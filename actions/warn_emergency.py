"""Danger to life or a crime happening now: the numbers to call, before anything else."""

from actions.action import Asked, Outcome, Result, says


def warn_emergency(asked: Asked) -> Outcome:
    """The emergency numbers; an open form stays open and its question is not repeated now."""
    return Outcome(Result.EMERGENCY, (says("emergency"),), asked.memory)
