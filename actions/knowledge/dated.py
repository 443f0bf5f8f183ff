"""A fact has a day and a source, together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

T = TypeVar("T")

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$")]
Line = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Strict(BaseModel):
    """A part of a data file: unknown keys are refused and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Seen(StrEnum):
    """How surely a fact was seen in a source; the weakest part of an answer decides its words."""

    FULL = "full"
    SECONDARY = "secondary"
    STALE = "stale"
    NONE = "none"


_WEAKEST_FIRST = (Seen.NONE, Seen.STALE, Seen.SECONDARY, Seen.FULL)


def weakest(marks: Iterable[Seen]) -> Seen:
    """The least sure of some marks."""
    return min(marks, key=_WEAKEST_FIRST.index, default=Seen.NONE)


class Citation(Strict):
    """Where a law says it; each deeper part only where it was read."""

    law: Id
    article: Line | None = None
    clause: Line | None = None
    point: Line | None = None

    @model_validator(mode="after")
    def _no_gap(self) -> Self:
        if self.clause and not self.article:
            raise ValueError("a clause needs its article: add `article`")
        return self


class Source(Strict):
    """Where and when a value was read, when that was not the law's own text."""

    record: Line | None = None
    title: Line | None = None
    url: Line | None = None
    read_on: date

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not (self.record or self.title):
            raise ValueError("a source needs `record` (a portal code) or `title`")
        return self


class When(Strict):
    """The closed list of conditions on which a value may depend."""

    filed: Literal["in_time", "late"] | None = None
    province: Id | None = None
    way: Literal["in_person", "portal", "vneid", "post"] | None = None
    request: Literal["first", "change", "replace", "renew", "again", "resettled"] | None = None
    as_group: bool | None = None
    foreign: bool | None = None
    parents: Literal["married", "unmarried"] | None = None
    records: Literal["found", "not_found"] | None = None
    birth_paper: Literal["paper", "electronic", "none"] | None = None
    housing: Literal["own", "rented", "relatives"] | None = None
    age: Literal["under_6", "from_6_to_13", "minor", "adult"] | None = None
    members: Literal["one", "many"] | None = None
    citizen: Literal["digital", "exempt"] | None = None
    case: Literal["simple", "complex", "remote", "remote_complex"] | None = None

    def conditions(self) -> dict[str, str | bool]:
        """Only the conditions that are set."""
        return self.model_dump(exclude_none=True)

    def allows(self, known: "When") -> bool:
        """Whether nothing that is known speaks against these conditions."""
        said = known.conditions()
        return all(said.get(name, value) == value for name, value in self.conditions().items())


class Dated(Strict, Generic[T]):
    """A value with the days on which it holds and where that was read.

    `from` is the day that the law set, `known_from` the day on which the value was read where
    only that is known. `value: null` says that what was there before has been abolished.
    Values that stand side by side in one facet (the fee and the fee of a copy) each name what they
    are `about`; a later value ends only an earlier one about the same.
    """

    from_: date | None = Field(default=None, alias="from")
    known_from: date | None = None
    until: date | None = None
    when: When = When()
    about: Id | None = None
    label: Line | None = None
    value: T | None
    seen: Seen
    caution: Line | None = None
    cites: tuple[Citation, ...] = ()
    source: Source | None = None

    @property
    def starts(self) -> date:
        """The first day on which the value is known to hold."""
        return self.from_ or self.known_from or date.max

    @model_validator(mode="after")
    def _days_and_source(self) -> Self:
        if (self.from_ is None) == (self.known_from is None):
            raise ValueError("give exactly one of `from` (the law's day) and `known_from`")
        if self.until is not None and self.until < self.starts:
            raise ValueError(f"`until` must not be earlier than {self.starts}")
        if not self.cites and self.source is None:
            raise ValueError("say where it was read: add `cites` or `source`")
        if self.seen is Seen.STALE and self.caution is None:
            raise ValueError("a stale value needs `caution`: what has changed since")
        return self

    def holds_on(self, day: date) -> bool:
        """Whether the value is in force on that day."""
        return self.starts <= day and (self.until is None or day <= self.until)


@dataclass(frozen=True)
class NotKnown(Exception):  # noqa: N818 - a fact, not a failure
    """No value is known to hold on that day."""

    day: date


def on(values: Sequence[Dated[T]], day: date) -> Dated[T]:
    """The value in force on that day, among values about the same with the same conditions."""
    holding = [value for value in values if value.holds_on(day)]
    if not holding:
        raise NotKnown(day)
    return max(holding, key=lambda value: value.starts)


def branches(values: Sequence[Dated[T]], day: date, known: When) -> tuple[Dated[T], ...]:
    """Every value that may apply on that day, one for each thing it is about and set of conditions.

    Where one branch's conditions are all known to be met, the branches it makes more precise
    are left out.
    """
    groups: dict[tuple[str | None, When], list[Dated[T]]] = {}
    for value in values:
        if value.when.allows(known):
            groups.setdefault((value.about, value.when), []).append(value)
    found = [on(group, day) for group in groups.values() if any(v.holds_on(day) for v in group)]
    met = [value for value in found if _met(value.when, known)]
    return tuple(value for value in found if not any(_narrows(m, value) for m in met))


def _met(when: When, known: When) -> bool:
    said = known.conditions()
    return all(said.get(name) == value for name, value in when.conditions().items())


def _narrows(precise: Dated[T], general: Dated[T]) -> bool:
    if precise.about != general.about:
        return False
    return general.when.conditions().items() < precise.when.conditions().items()
