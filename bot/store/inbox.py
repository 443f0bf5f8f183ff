"""The inbox: every message is kept here, once, before anything is made of it."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot.message import Message
from bot.store import conversations, seal, unseal
from bot.store.conversations import Lease
from bot.store.keys import KeysUnusable
from bot.store.tables import InboxRow, plain

log = logging.getLogger(__name__)

_MESSAGE = TypeAdapter(Message)
_CONTEXT = "inbox.words"

READY, DONE, FAILED = "ready", "done", "failed"
IN_ORDER = (InboxRow.position, InboxRow.id)

_FIRST_WAITING = (
    select(InboxRow)
    .where(InboxRow.conversation_id == bindparam("conversation"), InboxRow.state == READY)
    .order_by(*IN_ORDER)
    .limit(1)
)
_INBOX = plain(InboxRow)
_IF_NEW = {
    name: insert(_INBOX).on_conflict_do_nothing().returning(_INBOX.c.id)
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_DONE = (
    update(_INBOX)
    .where(_INBOX.c.id.in_(bindparam("ids", expanding=True)))
    .values(state=DONE, words=None, keep_until=None)
)


@dataclass(frozen=True)
class Waiting:
    """A message that waits for its turn; an album is one message of several rows."""

    inbox_id: int
    message: Message
    attempts: int
    others: tuple[int, ...] = ()


def keep(
    session: Session,
    message: Message,
    office: str,
    now: datetime,
    keep_until: datetime,
    *,
    ready_at: datetime | None = None,
) -> bool:
    """Keeps a message for its turn; False when the same message was already kept.

    A further part of an album puts off those that already wait, so that they stay together.
    """
    conversation_id = conversations.id_of(session, message.sender, office, now)
    row = {
        "conversation_id": conversation_id,
        "channel": message.sender.channel,
        "account": message.sender.account,
        "external_id": message.external_id,
        "position": message.position,
        "album": message.album,
        "words": seal(session, _MESSAGE.dump_json(message).decode(), _CONTEXT),
        "received_at": now,
        "ready_at": ready_at or now,
        "state": READY,
        "attempts": 0,
        "keep_until": keep_until,
    }
    if session.scalar(_IF_NEW[session.get_bind().dialect.name], row) is None:
        return False
    conversations.heard(session, conversation_id, now)
    if message.album:
        _put_off_album(session, conversation_id, message.album, ready_at or now)
    return True


def _put_off_album(session: Session, conversation_id: int, album: str, ready_at: datetime) -> None:
    session.execute(
        update(InboxRow)
        .where(
            InboxRow.conversation_id == conversation_id,
            InboxRow.album == album,
            InboxRow.state == READY,
        )
        .values(ready_at=ready_at)
    )


def next_waiting(session: Session, held: Lease, now: datetime) -> Waiting | None:
    """The first message of a leased conversation, if it is ready by now.

    A message that no key opens any more is given up, so that it does not hold up the next.
    """
    while row := session.scalar(_FIRST_WAITING, {"conversation": held.conversation_id}):
        if row.ready_at > now:
            return None
        try:
            return _whole(session, row)
        except KeysUnusable as error:
            row.state, row.error = FAILED, type(error).__name__
            log.warning("inbox %s given up: no key opens its words", row.id)
    return None


def _whole(session: Session, first: InboxRow) -> Waiting:
    """The message of a row, with the other parts of its album."""
    one = _opened(session, first)
    if first.album is None:
        return one
    rows = session.scalars(
        select(InboxRow)
        .where(
            InboxRow.conversation_id == first.conversation_id,
            InboxRow.album == first.album,
            InboxRow.state == READY,
            InboxRow.id != first.id,
        )
        .order_by(*IN_ORDER)
    )
    parts = [one, *(_opened(session, row) for row in rows)]
    message = replace(
        one.message,
        text="\n".join(part.message.text for part in parts if part.message.text),
        attachments=tuple(a for part in parts for a in part.message.attachments),
    )
    return replace(one, message=message, others=tuple(part.inbox_id for part in parts[1:]))


def unanswered(session: Session, conversation_id: int) -> list[tuple[datetime, Waiting]]:
    """Every message of a conversation that has no turn, with the moment when it came."""
    rows = session.scalars(
        select(InboxRow)
        .where(
            InboxRow.conversation_id == conversation_id,
            InboxRow.state.in_((READY, FAILED)),
            InboxRow.words.is_not(None),
        )
        .order_by(InboxRow.id)
    )
    found = []
    for row in rows:
        with contextlib.suppress(KeysUnusable):
            found.append((row.received_at, _opened(session, row)))
    return found


def _opened(session: Session, row: InboxRow) -> Waiting:
    if row.words is None:
        raise KeysUnusable(f"inbox {row.id} has no words left")
    try:
        message = _MESSAGE.validate_json(unseal(session, row.words, _CONTEXT))
    except ValidationError:
        raise KeysUnusable(f"inbox {row.id} is of another version") from None
    return Waiting(row.id, message, row.attempts)


def done(session: Session, waiting: Waiting) -> None:
    """Marks a message as answered and wipes its words."""
    session.execute(_DONE, {"ids": (waiting.inbox_id, *waiting.others)})


def later(session: Session, waiting: Waiting, at: datetime, error: str) -> None:
    """Puts a message off after a failed turn."""
    for row in _rows(session, waiting):
        row.attempts, row.ready_at, row.error = row.attempts + 1, at, error


def give_up(session: Session, waiting: Waiting, error: str) -> None:
    """Marks a message as failed; its words stay until their time, for an operator to see."""
    for row in _rows(session, waiting):
        row.attempts, row.state, row.error = row.attempts + 1, FAILED, error


def _rows(session: Session, waiting: Waiting) -> Iterator[InboxRow]:
    for id_ in (waiting.inbox_id, *waiting.others):
        yield session.get_one(InboxRow, id_)


def give_up_all(session: Session, conversation_id: int, error: str) -> None:
    """Marks everything that waits in a conversation as failed."""
    for _, waiting in unanswered(session, conversation_id):
        give_up(session, waiting, error)


def back_off(attempts: int) -> timedelta:
    """How long to wait after that many failed turns: 1, 2, 4 … seconds, a minute at most."""
    return timedelta(seconds=min(2**attempts, 60))
