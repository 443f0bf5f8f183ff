"""What the files of `data/knowledge/` may say: one class for each kind of file."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from actions.knowledge.dated import Citation, Dated, Id, Line, Seen, Source, Strict

Code = Annotated[str, StringConstraints(pattern=r"^\d\.\d{6}$")]
Ref = Annotated[str, StringConstraints(pattern=r"^[SCMLKP]-\d{2,3}$")]
Whole = Annotated[int, Field(strict=True)]
"""A number written without dots: `8.000` must not pass for 8."""
Hour = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Facet(StrEnum):
    """What may be asked about a procedure."""

    OVERVIEW = "overview"
    DOCUMENTS = "documents"
    FEE = "fee"
    TIME_LIMIT = "time_limit"
    PLACE = "place"
    ONLINE = "online"
    WHO = "who"
    STEPS = "steps"
    CONDITIONS = "conditions"
    RESULT = "result"
    LEGAL_BASIS = "legal_basis"
    FORM_FILE = "form_file"


class Text(Strict):
    """Prose of our own: a sentence, some points, or both."""

    text: Line | None = None
    points: tuple[Line, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.text and not self.points:
            raise ValueError("write `text` or `points`")
        return self


class Amount(Strict):
    """A sum of money, in whole đồng, for what it is taken."""

    amount: Whole = Field(ge=0)
    unit: Literal["VND"] = "VND"
    per: Line | None = None
    what: Line | None = None


class Fee(Strict):
    """What is paid: one amount, several, or an amount that each province decides."""

    kind: Literal["fee", "charge"] = "fee"
    amount: Whole | None = Field(default=None, ge=0)
    unit: Literal["VND"] = "VND"
    per: Line | None = None
    parts: tuple[Amount, ...] = ()
    at_most: Amount | None = None
    set_by: Literal["province"] | None = None
    note: Line | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [self.amount is not None, bool(self.parts), self.set_by is not None]
        if sum(ways) != 1:
            raise ValueError("give exactly one of `amount`, `parts` and `set_by`")
        return self


class Span(Strict):
    """A number of days or hours, of the calendar or of work."""

    days: Whole | None = Field(default=None, gt=0)
    hours: Whole | None = Field(default=None, gt=0)
    unit: Literal["working_day", "day", "working_hour", "hour"]
    what: Line | None = None

    @model_validator(mode="after")
    def _one_number(self) -> Self:
        if (self.days is None) == (self.hours is None):
            raise ValueError("give exactly one of `days` and `hours`")
        return self


class TimeLimit(Strict):
    """How long the office may take."""

    within: Literal["same_day"] | None = None
    received_after: Hour | None = None
    then: Literal["next_working_day"] | None = None
    span: Span | None = None
    more: Span | None = None
    note: Line | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.within is None) == (self.span is None):
            raise ValueError("give exactly one of `within` and `span`")
        return self


class Document(Strict):
    """One paper of the dossier."""

    name: Line
    form: Literal["form", "original", "copy", "certified_copy", "shown", "electronic"] | None = None
    copies: int = Field(default=1, gt=0)
    only_if: Line | None = None
    note: Line | None = None


class Documents(Strict):
    """The papers of the dossier, in the order in which a clerk asks for them."""

    items: tuple[Document, ...] = Field(min_length=1)
    note: Line | None = None


class Online(Strict):
    """Whether it can be filed over the network, and how far, where a source states it."""

    level: Literal["full", "partial", "unstated", "none"]
    text: Line
    url: Line | None = None


class FormFile(Strict):
    """The form that is filled in."""

    name: Line
    number: Line | None = None
    url: Line | None = None
    note: Line | None = None


class Variant(Strict):
    """The same counter under another code."""

    id: Id
    code: Code
    name: Line
    also_called: tuple[Line, ...] = ()
    asked_as: dict[str, tuple[Line, ...]] = {}
    time_limit: tuple[Dated[TimeLimit], ...] = ()
    documents: tuple[Dated[Documents], ...] = ()
    fee: tuple[Dated[Fee], ...] = ()
    note: tuple[Dated[Text], ...] = ()


class Procedure(Strict):
    """What a citizen may ask an office to do, and every fact known about it."""

    kind: Literal["procedure"] = "procedure"
    id: Id
    name: Line
    also_called: tuple[Line, ...] = ()
    code: Code
    variants: tuple[Variant, ...] = ()
    checked: date
    asked_as: dict[str, tuple[Line, ...]]
    overview: tuple[Dated[Text], ...] = ()
    documents: tuple[Dated[Documents], ...] = ()
    fee: tuple[Dated[Fee], ...] = ()
    time_limit: tuple[Dated[TimeLimit], ...] = ()
    place: tuple[Dated[Text], ...] = ()
    online: tuple[Dated[Online], ...] = ()
    who: tuple[Dated[Text], ...] = ()
    steps: tuple[Dated[Text], ...] = ()
    conditions: tuple[Dated[Text], ...] = ()
    result: tuple[Dated[Text], ...] = ()
    legal_basis: tuple[Dated[Text], ...] = ()
    form_file: tuple[Dated[FormFile], ...] = ()
    forgotten: tuple[Dated[Text], ...] = ()

    @model_validator(mode="after")
    def _facets(self) -> Self:
        for asked_as in (self.asked_as, *(variant.asked_as for variant in self.variants)):
            for key in asked_as:
                unknown = set(key.split("+")) - set(Facet)
                if unknown:
                    raise ValueError(f"asked_as.{key}: no such facet: {', '.join(sorted(unknown))}")
        return self


class Bound(StrEnum):
    """Whom a rule of conduct binds."""

    OFFICIAL = "can_bo"
    CIVIL_SERVANT = "cong_chuc"
    PUBLIC_EMPLOYEE = "vien_chuc"
    WORKER = "nguoi_lao_dong"
    PARTY_MEMBER = "dang_vien"
    OFFICE_HOLDER = "nguoi_co_chuc_vu_quyen_han"
    HEAD = "nguoi_dung_dau"
    COUNTER = "nguoi_lam_mot_cua"
    RECEIVER = "nguoi_tiep_cong_dan"
    EVERYONE = "moi_nguoi"


class RuleText(Strict):
    """What a rule says, what it asks to do, and what follows a breach."""

    text: Line
    to_do: Line | None = None
    consequence: Line | None = None


class Rule(Strict):
    """A rule of conduct: what binds whom, since when, cited."""

    kind: Literal["rule"]
    id: Id
    ref: Ref
    name: Line
    binds: tuple[Bound, ...] = Field(min_length=1)
    checked: date
    holds: tuple[Dated[RuleText], ...] = Field(min_length=1)


class Conclusion(StrEnum):
    """What is concluded of a situation; never a ruling on a person."""

    ALLOWED = "allowed"
    NOT_ALLOWED = "not_allowed"
    BY_OFFICE_RULE = "by_office_rule"
    MUST_DO = "must_do"
    CAREFUL = "careful"


class Advice(Strict):
    """What an official in a situation is told, from a day on; its rules are its sources."""

    from_: date = Field(alias="from")
    until: date | None = None
    conclusion: Conclusion
    answer: Line
    why: Line
    do_now: Line
    consequence: Line | None = None
    caution: Line | None = None

    @model_validator(mode="after")
    def _days(self) -> Self:
        if self.until is not None and self.until < self.from_:
            raise ValueError(f"`until` must not be earlier than {self.from_}")
        return self


class Situation(Strict):
    """What an official asks about; it has a conclusion and rests on rules."""

    kind: Literal["situation"]
    id: Id
    ref: Ref
    name: Line
    also_called: tuple[Line, ...] = ()
    checked: date
    asked_as: tuple[Line, ...] = Field(min_length=1)
    rests_on: tuple[Id, ...] = Field(min_length=1)
    advice: tuple[Advice, ...] = Field(min_length=1)


class Amendment(Strict):
    """A law that changed another, from a day on where the day is known."""

    number: Line
    from_: date | None = Field(default=None, alias="from")


class Law(Strict):
    """A legal text: its number, its days in force, and what became of it."""

    id: Id
    number: Line
    name: Line
    kind: Literal[
        "code",
        "law",
        "ordinance",
        "resolution",
        "decree",
        "decision",
        "circular",
        "directive",
        "party_regulation",
    ]
    issued: date | None = None
    in_force: date | None = None
    expired: date | None = None
    amended_by: tuple[Amendment, ...] = ()
    replaced_by: tuple[Line, ...] = ()
    consolidated: Line | None = None
    note: Line | None = None
    seen: Seen
    source: Source


class OpenHours(Strict):
    """Hours on some days of the week; Monday is 1."""

    days: tuple[Annotated[int, Field(ge=1, le=7)], ...] = Field(min_length=1)
    from_: Hour = Field(alias="from")
    to: Hour


class Office(Strict):
    """Where dossiers are filed and cases are answered."""

    id: Id
    name: Line
    province: Id
    area: Line
    address: Line
    phone: Line | None = None
    hours: tuple[OpenHours, ...] = Field(min_length=1)
    example: bool = False
    first_answer_within: Span
    case_reader: Line
    keeps_cases_days: int = Field(gt=0)


class HolidayCorrection(Strict):
    """A day on which the holiday package is wrong for public offices."""

    day: date
    open: bool
    reason: Line
    seen: Seen
    source: Source


class CatalogueEntry(Strict):
    """A procedure or situation known by name only: recognised, with no fact of its own yet."""

    id: Id
    kind: Literal["procedure", "situation"]
    code: Code | None = None
    ref: Ref | None = None
    name: Line
    also_called: tuple[Line, ...] = ()

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        if self.kind == "procedure" and self.code is None:
            raise ValueError("a procedure needs its `code`")
        if self.kind == "situation" and self.ref is None:
            raise ValueError("a situation needs its `ref`")
        return self


class Review(Strict):
    """An office's signature on one file, as it stood on that day."""

    id: Id
    hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    office: Id
    role: Line
    day: date


__all__ = [
    "Advice",
    "Amendment",
    "Amount",
    "Bound",
    "CatalogueEntry",
    "Citation",
    "Conclusion",
    "Document",
    "Documents",
    "Facet",
    "Fee",
    "FormFile",
    "HolidayCorrection",
    "Law",
    "Office",
    "Online",
    "OpenHours",
    "Procedure",
    "Review",
    "Rule",
    "RuleText",
    "Situation",
    "Span",
    "Text",
    "TimeLimit",
    "Variant",
]
