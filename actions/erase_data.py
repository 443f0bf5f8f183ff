"""Erases what was kept of a conversation, once the citizen has confirmed it."""

from actions.action import (
    Asked,
    Choice,
    Command,
    ErasureAsked,
    Memory,
    Outcome,
    Press,
    Result,
    answered,
    says,
)

_CONFIRM = Choice("erase_yes", Press(Command.ERASE), once=True)


def erase_data(asked: Asked) -> Outcome:
    """Asks to confirm; once confirmed, everything of this conversation is to be wiped."""
    if asked.press is None or asked.press.command is not Command.ERASE:
        return answered(asked, says("erase_confirm", _CONFIRM), result=Result.ASKED_BACK)
    return Outcome(Result.ANSWERED, (says("erased"),), Memory(), events=(ErasureAsked(),))
