"""Takes what came without a word while no form is open: a file, a place, a contact, a sticker."""

from dataclasses import replace

from actions.action import (
    Asked,
    AttachmentKind,
    Choice,
    Command,
    Outcome,
    Press,
    Result,
    answered,
    says,
)

_BRING = Choice("menu_case", Press(Command.OPEN_FORM))
_OFFICE = Choice("menu_office", Press(Command.ASK, intent="ask_office"))


def receive(asked: Asked) -> Outcome:
    """Says what can be done with it; a file is kept aside, as a reference, for a case."""
    if asked.files:
        memory = replace(asked.memory, draft=asked.told, misses=0)
        return Outcome(Result.ASKED_BACK, (says("file_received", _BRING),), memory)
    if asked.attached(AttachmentKind.LOCATION):
        reply = says("location_received", _BRING, _OFFICE)
        return answered(asked, reply, result=Result.ASKED_BACK)
    if asked.attached(AttachmentKind.CONTACT):
        return answered(asked, says("contact_received"), result=Result.ASKED_BACK)
    return answered(asked, says("not_readable"), result=Result.OUT_OF_SCOPE)
