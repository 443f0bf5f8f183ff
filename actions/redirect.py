"""Denunciations and complaints are not taken over a messenger: the lawful ways are told."""

from dataclasses import replace

from actions.action import (
    Asked,
    Choice,
    Command,
    Event,
    Memory,
    Outcome,
    Press,
    Result,
    WordsWithdrawn,
    says,
)
from actions.answer import Section, basis_of, sections
from actions.cases import CaseKind
from actions.knowledge import Knowledge
from actions.knowledge.model import Facet

_TOPICS = {CaseKind.DENUNCIATION: "to_cao", CaseKind.COMPLAINT: "khieu_nai"}
_TOLD = (Facet.OVERVIEW, Facet.DOCUMENTS, Facet.PLACE, Facet.TIME_LIMIT)


class Redirect:
    """The lawful way for a case of that kind; the words of this turn are not kept."""

    def __init__(self, knowledge: Knowledge, kind: CaseKind) -> None:
        self._knowledge = knowledge
        self._kind = kind

    def __call__(self, asked: Asked) -> Outcome:
        """Where and how to file it, with the law that says so; an open form is dropped."""
        topic = _TOPICS[self._kind]
        procedure = self._knowledge.files.procedures[topic]
        told: tuple[Section, ...] = sections(procedure, None, _TOLD, asked.day)
        basis = basis_of(procedure, told)
        reply = says(
            f"redirect_{self._kind}",
            *_ways(self._kind, topic),
            sections=told,
            basis=basis,
            review=self._knowledge.review(topic, asked.day),
            dropped_form=asked.memory.form is not None,
        )
        return Outcome(
            Result.REDIRECTED,
            (reply,),
            replace(asked.memory, form=None, draft=None, misses=0, topic=topic, facets=()),
            events=_withdrawn(asked.memory),
            procedure=topic,
            case_kind=self._kind,
            basis=basis,
            keeps_words=False,
        )


def _ways(kind: CaseKind, topic: str) -> tuple[Choice, ...]:
    more = Choice("choice_more_about", Press(Command.ASK, "ask_procedure", topic))
    if kind is CaseKind.DENUNCIATION:
        return (more,)
    return (more, Choice("choice_feedback_instead", Press(Command.OPEN_FORM, value="feedback")))


def _withdrawn(memory: Memory) -> tuple[Event, ...]:
    """What was told before, in a form or as a draft, is not kept either."""
    told = [
        at for at in (memory.form and memory.form.since, memory.draft and memory.draft.at) if at
    ]
    return (WordsWithdrawn(min(told)),) if told else ()
