"""Answers a procedure: the facets that were asked, with their conditions, sources and days."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from actions.action import (
    Asked,
    Basis,
    Choice,
    Command,
    Found,
    Outcome,
    Press,
    Result,
    Understanding,
    says,
)
from actions.knowledge import Dated, Knowledge, When, branches, weakest
from actions.knowledge.model import CatalogueEntry, Facet, Procedure, Variant
from actions.not_understood import topic_choices
from nlu.text import fold

SURE = 0.5
ANYWHERE = When()
_SURE_BESIDE_POINTING = 0.9
_POINTING = re.compile(r"\b(thu tuc|giay|ho so|cai|viec) (nay|do|ay|ni|kia)\b")
_CLOSE = 0.7
_FAINT = 0.2
_LIKELY = 0.35
_FOLLOW_UP_WORDS = 8
_PETITIONS = "don_thu"
_OFFERED = 4
_CHOICES_BACK = 6
_IN_OVERVIEW = (
    Facet.OVERVIEW,
    Facet.DOCUMENTS,
    Facet.FEE,
    Facet.TIME_LIMIT,
    Facet.PLACE,
    Facet.ONLINE,
)
_GOING_ABOUT = (Facet.OVERVIEW, Facet.DOCUMENTS, Facet.WHO, Facet.PLACE, Facet.STEPS)
_NEXT = (
    Facet.DOCUMENTS,
    Facet.FEE,
    Facet.TIME_LIMIT,
    Facet.PLACE,
    Facet.ONLINE,
    Facet.WHO,
    Facet.LEGAL_BASIS,
)


@dataclass(frozen=True)
class Section:
    """One facet of an answer: every value that may apply, or none where nothing is known."""

    facet: Facet
    branches: tuple[Dated[Any], ...]

    @property
    def until(self) -> date | None:
        """The last day of all its values, where they share one."""
        ends = {value.until for value in self.branches}
        return ends.pop() if len(ends) == 1 else None

    @property
    def general(self) -> tuple[Dated[Any], ...]:
        """The values that hold in every province."""
        return tuple(value for value in self.branches if not value.when.province)

    @property
    def local(self) -> tuple[Dated[Any], ...]:
        """The values of single provinces."""
        return tuple(value for value in self.branches if value.when.province)


def sections(
    procedure: Procedure,
    variant: Variant | None,
    facets: Sequence[Facet],
    day: date,
    known: When = ANYWHERE,
) -> tuple[Section, ...]:
    """What is known of each facet on that day; a variant has the first word."""
    return tuple(Section(facet, _values(procedure, variant, facet, day, known)) for facet in facets)


def _values(
    procedure: Procedure, variant: Variant | None, facet: Facet, day: date, known: When
) -> tuple[Dated[Any], ...]:
    own: tuple[Dated[Any], ...] = getattr(variant, facet, ()) if variant else ()
    values = own or getattr(procedure, facet)
    return tuple(v for v in branches(values, day, known) if v.value is not None)


def basis_of(
    procedure: Procedure, told: Sequence[Section], beside: Sequence[Dated[Any]] = ()
) -> Basis:
    """What some sections rest on, and what is told beside them, each citation and source once."""
    values = [value for section in told for value in section.branches]
    shown = [*values, *beside]
    return Basis(
        cites=tuple(dict.fromkeys(cite for value in shown for cite in value.cites)),
        sources=tuple(dict.fromkeys(value.source for value in shown if value.source)),
        seen=weakest(value.seen for value in values),
        checked=procedure.checked,
    )


class Answer:
    """Finds the procedure that is meant and tells what was asked about it."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    def __call__(self, asked: Asked) -> Outcome:
        """The asked facets of one procedure, or a question back when several may be meant."""
        found, close = self._meant(asked)
        if found is None and asked.understanding.intent == "ask_about_complaint_procedure":
            return self._compare_petitions(asked)
        if found is None:
            return self._ask_back(asked, close)
        topic = self._knowledge.topic(found.id)
        facets = self._facets(asked, found)
        if isinstance(topic, Procedure):
            return self._tell(asked, topic, found.variant, facets)
        if isinstance(topic, CatalogueEntry):
            return self._only_named(asked, topic, facets)
        return self._ask_back(asked, [])

    def _meant(self, asked: Asked) -> tuple[Found | None, list[Found]]:
        if asked.press:
            topic = asked.press.topic
            return (Found(topic, 1.0, asked.press.value) if topic else None), []
        found = list(asked.understanding.procedures)
        remembered = self._remembered(asked)
        sure = _SURE_BESIDE_POINTING if remembered and _points_back(asked) else SURE
        if found and found[0].score >= sure and not _too_close(found):
            return found[0], []
        if remembered and (not found or found[0].score < sure):
            return remembered, []
        return None, [f for f in found if f.score >= _FAINT]

    def _remembered(self, asked: Asked) -> Found | None:
        topic = self._knowledge.topic(asked.memory.topic or "")
        if isinstance(topic, Procedure) or (
            isinstance(topic, CatalogueEntry) and topic.kind == "procedure"
        ):
            return Found(topic.id, 1.0, asked.memory.variant)
        return None

    def _facets(self, asked: Asked, found: Found) -> tuple[Facet, ...]:
        if asked.press:
            return asked.press.facets or (Facet.OVERVIEW,)
        facets = asked.understanding.facets
        asks_none = not facets or facets == (Facet.OVERVIEW,)
        if asks_none and asked.memory.topic is None and asked.memory.facets:
            return asked.memory.facets
        short = is_short(asked.understanding)
        if short and asked.memory.facets and self._asks_the_same(asked, found, facets):
            return asked.memory.facets
        return facets or (Facet.OVERVIEW,)

    def _asks_the_same(self, asked: Asked, found: Found, facets: Sequence[Facet]) -> bool:
        """Whether the same is asked of another procedure ("and marriage?") or province."""
        if not facets or tuple(facets) == (Facet.OVERVIEW,):
            return asked.memory.topic != found.id
        province = self._knowledge.province_in(asked.understanding.normalized)
        return tuple(facets) == (Facet.PLACE,) and province is not None

    def _tell(
        self, asked: Asked, procedure: Procedure, variant_id: str | None, facets: tuple[Facet, ...]
    ) -> Outcome:
        variant = next((v for v in procedure.variants if v.id == variant_id), None)
        shown = _IN_OVERVIEW if Facet.OVERVIEW in facets else facets
        province = self._knowledge.province_in(asked.understanding.normalized)
        told = sections(procedure, variant, shown, asked.day, When(province=province))
        if Facet.OVERVIEW in facets and province is None:
            told = tuple(Section(section.facet, section.general) for section in told)
        forgotten = _forgotten(procedure, facets, asked.day)
        notes = branches(variant.note, asked.day, ANYWHERE) if variant else ()
        basis = basis_of(procedure, told, (*forgotten, *notes))
        known = any(section.branches for section in told)
        reply = says(
            "procedure",
            *_next_choices(procedure, variant_id, shown),
            name=variant.name if variant else procedure.name,
            code=variant.code if variant else procedure.code,
            sections=told,
            overview=Facet.OVERVIEW in facets,
            forgotten=forgotten,
            notes=notes,
            basis=basis,
            review=self._knowledge.review(procedure.id, asked.day),
        )
        return Outcome(
            Result.ANSWERED if known else Result.NOT_KNOWN,
            (reply,),
            replace(asked.memory, topic=procedure.id, variant=variant_id, facets=facets, misses=0),
            facets=facets,
            procedure=procedure.id,
            variant=variant_id,
            basis=basis,
        )

    def _only_named(
        self, asked: Asked, topic: CatalogueEntry, facets: tuple[Facet, ...]
    ) -> Outcome:
        return Outcome(
            Result.NOT_KNOWN,
            (says("procedure_only_named", name=topic.name, code=topic.code),),
            replace(asked.memory, topic=topic.id, variant=None, facets=facets, misses=0),
            facets=facets,
            procedure=topic.id,
        )

    def _compare_petitions(self, asked: Asked) -> Outcome:
        """How a complaint and a denunciation differ, where neither alone was asked about."""
        files = self._knowledge.files
        petitions = [p for p in files.procedures.values() if files.packs[p.id] == _PETITIONS]
        told = [(p, sections(p, None, (Facet.OVERVIEW,), asked.day)) for p in petitions]
        basis = basis_of(petitions[0], [section for _, both in told for section in both])
        reply = says(
            "petitions",
            *topic_choices(
                self._knowledge, [(Found(p.id, 1.0), "ask_procedure") for p in petitions], asked
            ),
            petitions=[(p.name, both[0]) for p, both in told],
            basis=basis,
            review=self._knowledge.review(petitions[0].id, asked.day),
        )
        remember = replace(asked.memory, misses=0)
        return Outcome(Result.ANSWERED, (reply,), remember, basis=basis)

    def _ask_back(self, asked: Asked, close: list[Found]) -> Outcome:
        if not close:
            close = [Found(procedure, 0.0) for procedure in self._knowledge.files.procedures]
        choices = topic_choices(self._knowledge, [(f, "ask_procedure") for f in close], asked)
        facets = asked.understanding.facets
        return Outcome(
            Result.ASKED_BACK,
            (says("which_procedure", *choices[:_CHOICES_BACK]),),
            replace(asked.memory, facets=facets, misses=0),
            facets=facets,
            procedure=close[0].id if close[0].score >= _LIKELY else None,
        )


def _forgotten(procedure: Procedure, facets: Sequence[Facet], day: date) -> tuple[Dated[Any], ...]:
    """What people forget, where the question is how to go about it."""
    if not any(facet in _GOING_ABOUT for facet in facets):
        return ()
    return tuple(v for v in branches(procedure.forgotten, day, ANYWHERE) if v.value is not None)


def is_short(meant: Understanding) -> bool:
    """Whether a text is short enough to go on about what was talked about."""
    return len(meant.normalized.split()) <= _FOLLOW_UP_WORDS


def _points_back(asked: Asked) -> bool:
    """Whether a short text means what was talked about: "thủ tục này mấy ngày xong"."""
    meant = asked.understanding
    return is_short(meant) and bool(_POINTING.search(fold(meant.normalized)))


def _too_close(found: Sequence[Found]) -> bool:
    return len(found) > 1 and found[1].score >= _CLOSE * found[0].score


def _next_choices(
    procedure: Procedure, variant: str | None, shown: Sequence[Facet]
) -> tuple[Choice, ...]:
    offered = [f for f in _NEXT if f not in shown and getattr(procedure, f)][:_OFFERED]
    return tuple(
        Choice(
            f"facet_{facet}",
            Press(Command.ASK, "ask_procedure", procedure.id, (facet,), variant),
        )
        for facet in offered
    )
