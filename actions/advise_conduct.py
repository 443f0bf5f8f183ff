"""Advises an official on a situation: conclusion, why, basis and day, what to do now."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from actions.action import Asked, Basis, Found, Outcome, Result, says
from actions.answer import SURE
from actions.knowledge import Dated, Knowledge, NotKnown, on, weakest
from actions.knowledge.model import Advice, CatalogueEntry, Rule, RuleText, Situation
from actions.not_understood import topic_choices

_CLOSE = 0.6
_FAINT = 0.2
_OFFERED = 4


class AdviseConduct:
    """Finds the situation that is meant and says what the rules it rests on conclude."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    def __call__(self, asked: Asked) -> Outcome:
        """The four-part answer to one situation, or a question back when several may be meant."""
        found, close = _meant(asked)
        topic = self._knowledge.topic(found.id) if found else None
        match topic:
            case Situation():
                return self._advise(asked, topic)
            case CatalogueEntry():
                return self._only_named(asked, topic)
            case _:
                return self._ask_back(asked, close)

    def _advise(self, asked: Asked, situation: Situation) -> Outcome:
        remember = replace(asked.memory, topic=situation.id, facets=(), variant=None, misses=0)
        try:
            advice = advice_on(situation, asked.day)
            rules = self._rules_on(situation, asked.day)
        except NotKnown:
            reply = says("conduct_not_known", name=situation.name)
            return Outcome(Result.NOT_KNOWN, (reply,), remember, rule=situation.id)
        basis = _basis(situation, [held for _, held in rules])
        reply = says(
            "conduct",
            name=situation.name,
            advice=advice,
            rules=rules,
            basis=basis,
            review=self._knowledge.review(situation.id, asked.day),
        )
        return Outcome(
            Result.ANSWERED,
            (reply,),
            remember,
            rule=situation.id,
            conclusion=advice.conclusion,
            basis=basis,
        )

    def _rules_on(self, situation: Situation, day: date) -> list[tuple[Rule, Dated[RuleText]]]:
        """The rules that hold on that day; raises NotKnown where none does."""
        rules = [self._knowledge.files.rules[rule] for rule in situation.rests_on]
        held = [
            (rule, on(rule.holds, day))
            for rule in rules
            if any(v.holds_on(day) for v in rule.holds)
        ]
        if not held:
            raise NotKnown(day)
        return held

    def _only_named(self, asked: Asked, topic: CatalogueEntry) -> Outcome:
        reply = says("conduct_not_known", name=topic.name)
        remember = replace(asked.memory, topic=topic.id, facets=(), variant=None, misses=0)
        return Outcome(Result.NOT_KNOWN, (reply,), remember, rule=topic.id)

    def _ask_back(self, asked: Asked, close: list[Found]) -> Outcome:
        choices = topic_choices(self._knowledge, [(f, "ask_conduct") for f in close], asked)
        reply = says("which_situation" if choices else "which_situation_free", *choices[:_OFFERED])
        return Outcome(
            Result.ASKED_BACK,
            (reply,),
            replace(asked.memory, misses=0),
            rule=close[0].id if close else None,
        )


def advice_on(situation: Situation, day: date) -> Advice:
    """The advice that holds on that day; raises NotKnown."""
    holding = [
        a for a in situation.advice if a.from_ <= day and (a.until is None or day <= a.until)
    ]
    if not holding:
        raise NotKnown(day)
    return max(holding, key=lambda advice: advice.from_)


def _meant(asked: Asked) -> tuple[Found | None, list[Found]]:
    if asked.press:
        return (Found(asked.press.topic, 1.0) if asked.press.topic else None), []
    found = list(asked.understanding.situations)
    close = len(found) > 1 and found[1].score >= _CLOSE * found[0].score
    if found and found[0].score >= SURE and not close:
        return found[0], []
    return None, [f for f in found if f.score >= _FAINT]


def _basis(situation: Situation, held: Sequence[Dated[RuleText]]) -> Basis:
    return Basis(
        cites=tuple(dict.fromkeys(cite for value in held for cite in value.cites)),
        sources=tuple(dict.fromkeys(value.source for value in held if value.source)),
        seen=weakest(value.seen for value in held),
        checked=situation.checked,
    )
