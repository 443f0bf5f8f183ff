"""What every verb is given (`Asked`) and gives back (`Outcome`); nothing here changes once made."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol

from actions.cases import CaseCode, CaseKind, Report
from actions.knowledge import Citation, Seen, Source
from actions.knowledge.model import Conclusion, Facet, Office

MOST_FILES = 10
"""How many files go with a case."""


class Result(StrEnum):
    """What became of a message, as checks outside the project read it."""

    ANSWERED = "answered"
    ASKED_BACK = "asked_back"
    FORM = "form"
    CASE_TAKEN = "case_taken"
    CANCELLED = "cancelled"
    REDIRECTED = "redirected"
    NOT_KNOWN = "not_known"
    OUT_OF_SCOPE = "out_of_scope"
    DECLINED = "declined"
    EMERGENCY = "emergency"
    HANDED_OVER = "handed_over"
    FAILED = "failed"


@dataclass(frozen=True)
class Found:
    """A topic that a text may mean, with a calibrated score from 0 to 1."""

    id: str
    score: float
    variant: str | None = None


@dataclass(frozen=True)
class Understanding:
    """What nlu and the finder make of a text; `intent` is None when nlu could not be asked."""

    text: str
    normalized: str
    intent: str | None = None
    confidence: float = 0.0
    intents: Mapping[str, float] = field(default_factory=dict)
    facets: tuple[Facet, ...] = ()
    kinds: Mapping[CaseKind, float] = field(default_factory=dict)
    procedures: tuple[Found, ...] = ()
    situations: tuple[Found, ...] = ()
    entities: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def kind(self) -> CaseKind:
        """The likeliest kind of case."""
        return max(self.kinds, key=lambda kind: self.kinds[kind], default=CaseKind.FEEDBACK)


class AttachmentKind(StrEnum):
    """What else than words a message may hold."""

    IMAGE = "image"
    FILE = "file"
    VIDEO = "video"
    LOCATION = "location"
    CONTACT = "contact"
    UNREADABLE = "unreadable"
    """A voice message, a sticker, or anything else that nobody here can make use of."""


@dataclass(frozen=True)
class Attachment:
    """One thing that came with a message.

    `reference` is how the channel gets a file again (an id, an address); `phone` is a shared
    contact's, and `own` tells whether the channel vouches that it is the sender's.
    """

    kind: AttachmentKind
    reference: str = ""
    name: str = ""
    size: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    phone: str = ""
    own: bool = False


class Command(StrEnum):
    """What a pressed choice asks for."""

    ASK = "ask"
    FORM = "form"
    OPEN_FORM = "open_form"
    ERASE = "erase"


@dataclass(frozen=True)
class Press:
    """A choice's meaning; the citizen holds only an opaque token for it."""

    command: Command
    intent: str | None = None
    topic: str | None = None
    facets: tuple[Facet, ...] = ()
    value: str | None = None


class Step(StrEnum):
    """The fields of the case form, in order."""

    CONSENT = "consent"
    WHAT = "what"
    WHERE = "where"
    WHEN = "when"
    NAME = "name"
    CONTACT = "contact"
    SUMMARY = "summary"


@dataclass(frozen=True)
class Form:
    """An open case form: which field is asked, and what has been told so far."""

    kind: CaseKind
    step: Step
    since: datetime
    answers: Mapping[str, str] = field(default_factory=dict)
    draft: str | None = None
    files: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Draft:
    """A story that was told before anybody asked for it, and when; with the files that came."""

    text: str
    at: datetime
    files: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Memory:
    """What a conversation remembers from turn to turn."""

    topic: str | None = None
    variant: str | None = None
    facets: tuple[Facet, ...] = ()
    misses: int = 0
    form: Form | None = None
    draft: Draft | None = None
    awaits_code: bool = False
    official: bool = False
    """Whether the person said to be an official: then a story about one is rather a question."""


@dataclass(frozen=True)
class Asked:
    """One message, as a verb sees it."""

    text: str
    understanding: Understanding
    memory: Memory
    office: Office
    now: datetime
    day: date
    press: Press | None = None
    attachments: tuple[Attachment, ...] = ()
    silent: bool = False
    """Whether an officer is answering this person by hand just now."""

    @property
    def files(self) -> tuple[Attachment, ...]:
        """The attachments that can go with a case."""
        kinds = {AttachmentKind.IMAGE, AttachmentKind.FILE, AttachmentKind.VIDEO}
        return tuple(attached for attached in self.attachments if attached.kind in kinds)

    @property
    def told(self) -> Draft:
        """What is told with this message, with the files that came without a word just before."""
        before, text = self.memory.draft or Draft("", self.now), self.text.strip()
        if not text:
            return replace(before, files=(*before.files, *self.files)[:MOST_FILES])
        earlier = () if before.text else before.files
        return Draft(text, self.now, (*earlier, *self.files)[:MOST_FILES])

    def attached(self, kind: AttachmentKind) -> Attachment | None:
        """The first attachment of a kind."""
        return next((attached for attached in self.attachments if attached.kind is kind), None)


class Share(StrEnum):
    """What a question lets the citizen share with a button, where a channel has one."""

    LOCATION = "location"
    CONTACT = "contact"


@dataclass(frozen=True)
class Choice:
    """An answer offered to the citizen; `once` for one that commits something."""

    label: str
    press: Press
    facts: Mapping[str, Any] = field(default_factory=dict)
    once: bool = False


@dataclass(frozen=True)
class Says:
    """Which reply with which facts; the words are in `data/replies/`."""

    reply: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    share: Share | None = None


def says(reply: str, *choices: Choice, **facts: Any) -> Says:
    """A reply by its id, with its facts."""
    return Says(reply, facts, choices)


@dataclass(frozen=True)
class CaseTaken:
    """A case was brought and is to be kept; its code was drawn beforehand."""

    code: CaseCode
    kind: CaseKind
    report: Report
    due_on: date
    files: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class HandOverAsked:
    """The citizen wants to speak to a person."""


@dataclass(frozen=True)
class ErasureAsked:
    """The citizen wants everything that was kept of this conversation erased."""


@dataclass(frozen=True)
class SilenceEnded:
    """The citizen wants the assistant to answer again while an officer is writing by hand."""


@dataclass(frozen=True)
class WordsWithdrawn:
    """What was said since a moment is not to be kept: consent was refused, or a form dropped."""

    since: datetime


Event = WordsWithdrawn | CaseTaken | HandOverAsked | ErasureAsked | SilenceEnded


@dataclass(frozen=True)
class Basis:
    """What an answer rests on: citations, sources, the weakest mark, and the day of the check."""

    cites: tuple[Citation, ...] = ()
    sources: tuple[Source, ...] = ()
    seen: Seen = Seen.NONE
    checked: date | None = None


@dataclass(frozen=True)
class Outcome:
    """What a verb decided; the turn writes it down and puts it into words."""

    result: Result
    says: tuple[Says, ...]
    remember: Memory
    events: tuple[Event, ...] = ()
    facets: tuple[Facet, ...] = ()
    procedure: str | None = None
    variant: str | None = None
    rule: str | None = None
    conclusion: Conclusion | None = None
    case_kind: CaseKind | None = None
    basis: Basis | None = None
    keeps_words: bool = True


class Verb(Protocol):
    """One thing the assistant can do; one custom action."""

    def __call__(self, asked: Asked) -> Outcome:
        """Decides what to say, what to remember and what has happened; commits nothing."""
        ...


def answered(asked: Asked, *replies: Says, result: Result = Result.ANSWERED) -> Outcome:
    """An outcome that only says something and changes nothing that is remembered."""
    return Outcome(result, replies, replace(asked.memory, misses=0))
