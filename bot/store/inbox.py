"""The inbox: every message is kept here, once, before anything is made of it."""

import contextlib
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from bot.message import Message
from bot.store import conversations, seal, unseal
from bot.store.conversations import Lease
from bot.store.keys import KeysUnusable
from bot.store.tables import InboxRow

log = logging.getLogger(__name__)

_MESSAGE = TypeAdapter(Message)
_CONTEXT = "inbox.words"

READY, DONE, FAILED = "ready", "done", "failed"


@dataclass(frozen=True)
class Waiting:
    """A message that waits for its turn."""

    inbox_id: int
    message: Message
    attempts: int


def keep(
    session: Session, message: Message, office: str, now: datetime, keep_until: datetime
) -> bool:
    """Keeps a message for its turn; False when the same message was already kept."""
    if _known(session, message):
        return False
    conversation = conversations.of(session, message.sender, office, now)
    row = InboxRow(
        conversation_id=conversation.id,
        channel=message.sender.channel,
        account=message.sender.account,
        external_id=message.external_id,
        words=seal(session, _MESSAGE.dump_json(message).decode(), _CONTEXT),
        received_at=now,
        ready_at=now,
        state=READY,
        attempts=0,
        keep_until=keep_until,
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return False
    return True


def _known(session: Session, message: Message) -> bool:
    return (
        session.scalar(
            select(InboxRow.id).where(
                InboxRow.channel == message.sender.channel,
                InboxRow.account == message.sender.account,
                InboxRow.external_id == message.external_id,
            )
        )
        is not None
    )


def next_waiting(session: Session, held: Lease, now: datetime) -> Waiting | None:
    """The first message of a leased conversation, if it is ready by now.

    A message that no key opens any more is given up, so that it does not hold up the next.
    """
    waiting = (InboxRow.conversation_id == held.conversation_id, InboxRow.state == READY)
    for row in session.scalars(select(InboxRow).where(*waiting).order_by(InboxRow.id)):
        if row.ready_at > now:
            return None
        try:
            return _opened(session, row)
        except KeysUnusable as error:
            row.state, row.error = FAILED, type(error).__name__
            log.warning("inbox %s given up: no key opens its words", row.id)
    return None


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
    message = _MESSAGE.validate_json(unseal(session, row.words, _CONTEXT))
    return Waiting(row.id, message, row.attempts)


def done(session: Session, inbox_id: int) -> None:
    """Marks a message as answered and wipes its words."""
    row = session.get_one(InboxRow, inbox_id)
    row.state, row.words, row.keep_until = DONE, None, None


def later(session: Session, inbox_id: int, at: datetime, error: str) -> None:
    """Puts a message off after a failed turn."""
    row = session.get_one(InboxRow, inbox_id)
    row.attempts, row.ready_at, row.error = row.attempts + 1, at, error


def give_up(session: Session, inbox_id: int, error: str) -> None:
    """Marks a message as failed; its words stay until their time, for an operator to see."""
    row = session.get_one(InboxRow, inbox_id)
    row.attempts, row.state, row.error = row.attempts + 1, FAILED, error


def give_up_all(session: Session, conversation_id: int, error: str) -> None:
    """Marks everything that waits in a conversation as failed."""
    for _, waiting in unanswered(session, conversation_id):
        give_up(session, waiting.inbox_id, error)


def back_off(attempts: int) -> timedelta:
    """How long to wait after that many failed turns: 1, 2, 4 … seconds, a minute at most."""
    return timedelta(seconds=min(2**attempts, 60))
