"""Asks back with likely topics; after two misses it offers the whole menu."""

from dataclasses import replace

from actions.action import Asked, Choice, Command, Found, Outcome, Press, Result, says
from actions.greet import MENU
from actions.knowledge import Knowledge

_MISSES_BEFORE_MENU = 2
_OFFERED = 3


class NotUnderstood:
    """What is said when no verb fits."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    def __call__(self, asked: Asked) -> Outcome:
        """Likely topics as choices, or the menu when there are none or it missed twice."""
        misses = asked.memory.misses + 1
        remember = replace(asked.memory, misses=misses)
        choices = self._likely(asked)
        if misses >= _MISSES_BEFORE_MENU or not choices:
            return Outcome(Result.OUT_OF_SCOPE, (says("not_understood_menu", *MENU),), remember)
        return Outcome(Result.ASKED_BACK, (says("not_understood", *choices),), remember)

    def _likely(self, asked: Asked) -> tuple[Choice, ...]:
        meant = asked.understanding
        return topic_choices(
            self._knowledge,
            [(found, "ask_procedure") for found in meant.procedures]
            + [(found, "ask_conduct") for found in meant.situations],
            asked,
        )[:_OFFERED]


def topic_choices(
    knowledge: Knowledge, found: list[tuple[Found, str]], asked: Asked
) -> tuple[Choice, ...]:
    """Topics as choices, likeliest first; choosing one asks the same facets of it."""
    ranked = sorted(found, key=lambda pair: -pair[0].score)
    choices = []
    for candidate, intent in ranked:
        topic = knowledge.topic(candidate.id)
        if topic is None:
            continue
        press = Press(Command.ASK, intent, candidate.id, asked.understanding.facets)
        choices.append(Choice("choice_topic", press, {"name": topic.name}))
    return tuple(choices)
