"""What an update of Telegram means to us."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import telegram
from pydantic import TypeAdapter
from telegram import CallbackQuery, ChatMemberUpdated, Update
from telegram.constants import ChatMemberStatus, ChatType

from actions.action import Attachment, AttachmentKind
from bot.message import Message, Sender

CHANNEL = "telegram"
ALLOWED = ("message", "callback_query", "my_chat_member")
"""The only kinds of update that we ask for."""

_IGNORED = frozenset(["edited_message"])
_START = re.compile(r"/start(@\w+)?(\s|$)", re.IGNORECASE)
_GONE = frozenset([ChatMemberStatus.BANNED, ChatMemberStatus.LEFT])
_SERVICE = (
    "chat_background_set",
    "chat_shared",
    "connected_website",
    "message_auto_delete_timer_changed",
    "pinned_message",
    "users_shared",
    "write_access_allowed",
)
"""What the app itself writes into a private chat: nobody said it."""

_SOUND = TypeAdapter(Message)


class NotUnderstood(Exception):  # noqa: N818 - a fact, not a failure
    """An update of a kind that we do not know, or with fields of other types than agreed."""


@dataclass(frozen=True)
class Pressed:
    """A press of a button; `query` is how the press is answered."""

    message: Message
    query: str


@dataclass(frozen=True)
class Reach:
    """A person blocked the bot, or lets it write again."""

    sender: Sender
    within: bool


@dataclass(frozen=True)
class InGroup:
    """Something happened in a group; `within` tells whether the bot is (still) in it."""

    sender: Sender
    within: bool


Arrival = Message | Pressed | Reach | InGroup | None
"""What is done with an update; None where nothing is."""


def understood(update: Mapping[str, Any], account: str, now: datetime) -> Arrival:
    """What an update means; raises NotUnderstood, and nothing else."""
    kind = kind_of(update)
    if kind in _IGNORED:
        return None
    if kind not in ALLOWED:
        raise NotUnderstood(kind)
    try:
        return _meaning(Update.de_json(dict(update), None), account, now)
    except Exception as error:
        raise NotUnderstood(f"{kind}: {type(error).__name__}") from None


def kind_of(update: Mapping[str, Any]) -> str:
    """The name of the field that an update brings."""
    return next((name for name in update if name != "update_id"), "")


def _meaning(update: Update, account: str, now: datetime) -> Arrival:
    external_id = str(_whole(update.update_id))
    if update.callback_query:
        return _pressed(update.callback_query, external_id, account, now)
    if update.my_chat_member:
        return _member(update.my_chat_member, account)
    if update.message:
        return _message(update.message, external_id, account)
    raise ValueError("an update without its content")


def _message(message: telegram.Message, external_id: str, account: str) -> Arrival:
    author = message.from_user
    if author and author.is_bot:
        return None
    sender = _sender(account, message.chat.id)
    if message.chat.type != ChatType.PRIVATE:
        return InGroup(sender, True)
    if any(getattr(message, name) for name in _SERVICE):
        return None
    text = message.text or message.caption or ""
    opened = bool(_START.match(text))
    return _sound(
        Message(
            sender,
            external_id,
            message.date,
            "" if opened else text,
            attachments=tuple(_attachments(message)),
            album=message.media_group_id,
            opened=opened,
            position=int(external_id),
        )
    )


def _pressed(query: CallbackQuery, external_id: str, account: str, now: datetime) -> Arrival:
    """A press belongs to who pressed, wherever the button stood: our table knows whose it was."""
    if query.from_user.is_bot:
        return None
    if not query.data:
        raise ValueError("a press without a token")
    sender = _sender(account, query.from_user.id)
    message = Message(
        sender,
        external_id,
        now,
        pressed=query.data,
        label=_label(query),
        position=int(external_id),
    )
    return Pressed(_sound(message), str(query.id))


def _label(query: CallbackQuery) -> str:
    """What was written on the button, where its message still tells it."""
    markup = getattr(query.message, "reply_markup", None)
    buttons = (button for row in markup.inline_keyboard for button in row) if markup else ()
    return next((button.text for button in buttons if button.callback_data == query.data), "")


def _member(change: ChatMemberUpdated, account: str) -> Arrival:
    sender = _sender(account, change.chat.id)
    within = change.new_chat_member.status not in _GONE
    if change.chat.type != ChatType.PRIVATE:
        return InGroup(sender, within)
    return Reach(sender, within)


def _attachments(message: telegram.Message) -> Iterator[Attachment]:
    if message.text:
        return
    if message.photo:
        largest = max(message.photo, key=lambda size: size.width * size.height)
        yield _file(AttachmentKind.IMAGE, largest)
    elif message.document:
        yield _file(AttachmentKind.FILE, message.document, message.document.file_name)
    elif message.video:
        yield _file(AttachmentKind.VIDEO, message.video, message.video.file_name)
    elif message.location:
        yield _place(message.location, message.venue)
    elif message.contact:
        yield _contact(message.contact, message.from_user)
    else:
        yield Attachment(AttachmentKind.UNREADABLE)


def _file(
    kind: AttachmentKind,
    file: telegram.PhotoSize | telegram.Document | telegram.Video,
    name: str | None = None,
) -> Attachment:
    return Attachment(kind, file.file_id, name or "", file.file_size)


def _place(place: telegram.Location, venue: telegram.Venue | None) -> Attachment:
    if not (-90 <= place.latitude <= 90 and -180 <= place.longitude <= 180):
        raise ValueError("no place on Earth")
    return Attachment(
        AttachmentKind.LOCATION,
        name=venue.title if venue else "",
        latitude=place.latitude,
        longitude=place.longitude,
    )


def _contact(contact: telegram.Contact, author: telegram.User | None) -> Attachment:
    own = author is not None and contact.user_id == author.id
    return Attachment(AttachmentKind.CONTACT, phone=contact.phone_number, own=own)


def _sender(account: str, chat: int) -> Sender:
    return Sender(CHANNEL, account, str(_whole(chat)))


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**63:
        raise TypeError("an id is no whole number")
    return value


def _sound(message: Message) -> Message:
    """The message, if every field is of its type: the library takes whatever it is given."""
    sound = _SOUND.validate_python(asdict(message))
    _SOUND.dump_json(sound)  # half a letter cannot be kept
    return sound
