"""Events that Zalo posts, read into messages or named kinds: sections 3.3 and 3.4 of the reference.

Nothing here acts, and nothing here reads the clock.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from actions.action import Attachment, AttachmentKind
from bot.message import Message, Sender

CHANNEL = "zalo"
_ANONYMOUS = "anonymous_send_"
_ANONYMOUS_PERSON = "anonymous:"

_MILLISECONDS = re.compile(r"[0-9]{13}")
_MAC = re.compile(r"[0-9a-f]{64}")
_EVENT_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
_ID = re.compile(r"[\x21-\x7e]{1,80}")
"""Two of them, and an event's name, fit a column."""


class NotAsAgreed(Exception):  # noqa: N818 - a fact, not a failure
    """An event of a known name whose fields are not what the reference says."""


class Kind(StrEnum):
    """What an event without a message tells."""

    LEFT = "left"
    OFFICER_WROTE = "officer wrote"
    WITHDRAWN = "withdrawn"
    IGNORED = "ignored"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Sign:
    """An event without a message, and whom it is about."""

    kind: Kind
    person: str = ""


@dataclass(frozen=True)
class Anonymous:
    """Somebody who writes without a Zalo account of their own: section 3.7."""

    id: str
    conversation: str

    def as_person(self) -> str:
        """The person of a conversation that is theirs."""
        return f"{_ANONYMOUS_PERSON}{self.id}:{self.conversation}"

    @classmethod
    def of(cls, person: str) -> "Anonymous | None":
        """Who an anonymous person is; None for anybody else."""
        if not person.startswith(_ANONYMOUS_PERSON):
            return None
        id_, _, conversation = person.removeprefix(_ANONYMOUS_PERSON).partition(":")
        return cls(id_, conversation)


Event = Mapping[str, Any]


def parsed(raw: bytes) -> Event | None:
    """The JSON object in a body, or None; ids stay whole however long they are."""
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def genuine(
    raw: bytes, event: Event | None, mac: str, header_time: str, *, app_id: str, secret: str
) -> bool:
    """Whether our app's events are signed so: SHA-256 over app id, the very bytes, a time and the
    account's secret key, with the body's time or the header's."""
    given = mac.strip().lower().removeprefix("mac=").strip()
    claimed = (event or {}).get("app_id", app_id)
    if not _MAC.fullmatch(given) or str(claimed) != app_id:
        return False
    times = {time for time in (_time(event), header_time.strip()) if _MILLISECONDS.fullmatch(time)}
    made = [
        hashlib.sha256(app_id.encode() + raw + time.encode() + secret.encode()).hexdigest()
        for time in times
    ]
    return any(hmac.compare_digest(one.encode(), given.encode()) for one in made)


def moment(event: Event | None, header_time: str) -> datetime | None:
    """When an event happened: its own time, or else the header's."""
    for time in (_time(event), header_time.strip()):
        if _MILLISECONDS.fullmatch(time):
            return datetime.fromtimestamp(int(time) / 1000, UTC)
    return None


def name_of(event: Event | None) -> str:
    """An event's name, as it may be shown and counted."""
    if event is None:
        return "not_json"
    name = event.get("event_name")
    return name if isinstance(name, str) and _EVENT_NAME.fullmatch(name) else "unnamed"


def read(event: Event, account: str, at: datetime) -> Message | Sign:
    """An event as a message or a sign; raises NotAsAgreed."""
    name = name_of(event)
    try:
        return _reader(name)(event, account, at)
    except ValidationError:
        raise NotAsAgreed(name) from None


def _time(event: Event | None) -> str:
    time = (event or {}).get("timestamp")
    return str(time) if isinstance(time, str | int) else ""


# What the fields may be.


def _as_id(value: object) -> object:
    """An id as text: strings and whole numbers are ids, a float would have lost digits."""
    text = str(value).strip() if type(value) in {str, int} else ""
    if not _ID.fullmatch(text):
        raise ValueError("no id")
    return text


def _as_words(value: object) -> object:
    """Words without halves of letters, which no database keeps."""
    if value is None:
        return ""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _as_absent(value: object) -> object:
    return None if value == "" else value


def _as_list(value: object) -> object:
    return [] if value is None else value


Id = Annotated[str, BeforeValidator(_as_id)]
Text = Annotated[str, BeforeValidator(_as_words)]
Url = Annotated[str, Field(min_length=1, max_length=4000), BeforeValidator(_as_words)]


class _Party(BaseModel):
    id: Id
    admin_id: Annotated[Id | None, BeforeValidator(_as_absent)] = None


class _Coordinates(BaseModel):
    latitude: float = Field(ge=-90, le=90, allow_inf_nan=False)
    longitude: float = Field(ge=-180, le=180, allow_inf_nan=False)


class _Link(BaseModel):
    url: Url


class _Document(_Link):
    name: Text = ""
    size: Annotated[int | None, BeforeValidator(_as_absent)] = None


class _Place(BaseModel):
    coordinates: _Coordinates


class _Attached(BaseModel):
    type: str
    payload: dict[str, Any] = {}


class _Written(BaseModel):
    msg_id: Id
    text: Text = ""
    attachments: Annotated[list[_Attached], BeforeValidator(_as_list)] = []
    location: _Coordinates | None = None
    conversation_id: Annotated[Id | None, BeforeValidator(_as_absent)] = None


class _Sent(BaseModel):
    sender: _Party
    recipient: _Party
    message: _Written


class _Info(BaseModel):
    phone: Annotated[str, BeforeValidator(_as_id), Field(pattern=r"^\+?[0-9]{6,15}$")]
    name: Text = ""


class _Submitted(BaseModel):
    sender: _Party
    recipient: _Party
    info: _Info


class _Followed(BaseModel):
    oa_id: Id
    follower: _Party


class _Clicked(BaseModel):
    oa_id: Id
    user_id: Id


class _Withdrawn(BaseModel):
    user_id: Id
    oa_id: Id | None = None


class _Echo(BaseModel):
    sender: _Party
    recipient: _Party


# How each event is read.


def _sent(event: Event, account: str, at: datetime) -> Message:
    sent = _Sent.model_validate(event)
    _ours(sent.recipient.id, account)
    written, name = sent.message, name_of(event)
    attachments = tuple(_attachment(one, written.text) for one in written.attachments)
    if written.location is not None:
        attachments += (_place(written.location, written.text),)
    if not attachments and name in _UNREADABLE:
        attachments = (Attachment(AttachmentKind.UNREADABLE),)
    is_place = any(one.kind is AttachmentKind.LOCATION for one in attachments)
    text = "" if is_place else written.text
    if not text.strip() and not attachments:
        raise NotAsAgreed(name)
    person = sent.sender.id
    if name.startswith(_ANONYMOUS):
        if written.conversation_id is None:
            raise NotAsAgreed(name)
        person = Anonymous(person, written.conversation_id).as_person()
    return Message(
        _sender(account, person),
        external_id=written.msg_id,
        sent_at=at,
        text=text,
        attachments=attachments,
        position=_milliseconds(at),
    )


def _attachment(attached: _Attached, text: str) -> Attachment:
    match attached.type:
        case "image" | "gif":
            return Attachment(AttachmentKind.IMAGE, _Link.model_validate(attached.payload).url)
        case "video":
            return Attachment(AttachmentKind.VIDEO, _Link.model_validate(attached.payload).url)
        case "file":
            document = _Document.model_validate(attached.payload)
            return Attachment(AttachmentKind.FILE, document.url, document.name, document.size)
        case "location":
            return _place(_Place.model_validate(attached.payload).coordinates, text)
        case _:
            return Attachment(AttachmentKind.UNREADABLE)


def _place(coordinates: _Coordinates, name: str) -> Attachment:
    """A place; what stands beside it is its name, not what the person typed."""
    return Attachment(
        AttachmentKind.LOCATION,
        name=name,
        latitude=coordinates.latitude,
        longitude=coordinates.longitude,
    )


def _submitted(event: Event, account: str, at: datetime) -> Message:
    submitted = _Submitted.model_validate(event)
    _ours(submitted.recipient.id, account)
    info = submitted.info
    contact = Attachment(AttachmentKind.CONTACT, name=info.name, phone=info.phone, own=True)
    person = submitted.sender.id
    return Message(
        _sender(account, person),
        _derived_id(event, person, at),
        at,
        attachments=(contact,),
        position=_milliseconds(at),
    )


def _followed(event: Event, account: str, at: datetime) -> Message:
    followed = _Followed.model_validate(event)
    _ours(followed.oa_id, account)
    return _opened(event, account, followed.follower.id, at)


def _clicked(event: Event, account: str, at: datetime) -> Message:
    clicked = _Clicked.model_validate(event)
    _ours(clicked.oa_id, account)
    return _opened(event, account, clicked.user_id, at)


def _opened(event: Event, account: str, person: str, at: datetime) -> Message:
    return Message(
        _sender(account, person),
        _derived_id(event, person, at),
        at,
        opened=True,
        position=_milliseconds(at),
    )


def _left(event: Event, account: str, _at: datetime) -> Sign:
    followed = _Followed.model_validate(event)
    _ours(followed.oa_id, account)
    return Sign(Kind.LEFT, followed.follower.id)


def _withdrawn(event: Event, account: str, _at: datetime) -> Sign:
    withdrawn = _Withdrawn.model_validate(event)
    _ours(withdrawn.oa_id or account, account)
    return Sign(Kind.WITHDRAWN, withdrawn.user_id)


def _echo(event: Event, account: str, _at: datetime) -> Sign:
    """What the account sent: by an officer's hand, or by us."""
    echo = _Echo.model_validate(event)
    _ours(echo.sender.id, account)
    if echo.sender.admin_id is None:
        return Sign(Kind.IGNORED)
    return Sign(Kind.OFFICER_WROTE, echo.recipient.id)


def _ignored(_event: Event, _account: str, _at: datetime) -> Sign:
    return Sign(Kind.IGNORED)


def _unknown(_event: Event, _account: str, _at: datetime) -> Sign:
    return Sign(Kind.UNKNOWN)


def _ours(oa_id: str, account: str) -> None:
    if oa_id != account:
        raise NotAsAgreed("an event of another account")


def _sender(account: str, person: str) -> Sender:
    return Sender(CHANNEL, account, person)


def _derived_id(event: Event, person: str, at: datetime) -> str:
    """What tells an event without a message id from others."""
    return f"{name_of(event)}:{person}:{_milliseconds(at)}"


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


Reader = Callable[[Event, str, datetime], Message | Sign]


def _reader(name: str) -> Reader:
    if name in _READERS:
        return _READERS[name]
    if name in _IGNORED or "group" in name or name.startswith("oa_send_anonymous_"):
        return _ignored
    return _echo if name.startswith("oa_send_") else _unknown


_UNREADABLE = frozenset(
    {
        "user_send_audio",
        "user_send_sticker",
        "user_send_link",
        "user_send_business_card",
        "anonymous_send_sticker",
    }
)

_READERS: Mapping[str, Reader] = {
    "user_send_text": _sent,
    "anonymous_send_text": _sent,
    "anonymous_send_image": _sent,
    "anonymous_send_file": _sent,
    "anonymous_send_sticker": _sent,
    "user_send_image": _sent,
    "user_send_gif": _sent,
    "user_send_video": _sent,
    "user_send_file": _sent,
    "user_send_location": _sent,
    **dict.fromkeys(_UNREADABLE, _sent),
    "user_submit_info": _submitted,
    "follow": _followed,
    "unfollow": _left,
    "user_click_chatnow": _clicked,
    "user_withdraw": _withdrawn,
}

_IGNORED = frozenset(
    {
        "user_received_message",
        "user_seen_message",
        "user_reacted_message",
        "oa_reacted_message",
        "add_user_to_tag",
        "remove_user_from_tag",
        "remove_tag",
        "update_user_info",
        "oa_send_consent",
        "user_reply_consent",
        "user_call_oa",
        "oa_call_user",
    }
)
