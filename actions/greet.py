"""Greets, says that it is a machine, and shows what it can do."""

from actions.action import Asked, Choice, Command, Outcome, Press, answered, says
from actions.knowledge.model import Facet

MENU = (
    Choice("menu_procedure", Press(Command.ASK, "ask_procedure", facets=(Facet.OVERVIEW,))),
    Choice("menu_conduct", Press(Command.ASK, "ask_conduct")),
    Choice("menu_case", Press(Command.OPEN_FORM)),
    Choice("menu_follow", Press(Command.ASK, "follow_case")),
    Choice("menu_person", Press(Command.ASK, "hand_over")),
)


def greet(asked: Asked) -> Outcome:
    """The greeting, with everything that can be asked as choices."""
    return answered(asked, says("greeting", *MENU))
