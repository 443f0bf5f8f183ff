"""The outbox: replies and notices, in the order in which each person gets them."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.message import BLOCKS, Block
from bot.store import seal, unseal
from bot.store.keys import KeysUnusable
from bot.store.tables import ConversationRow, OutboxRow

_CONTEXT = "outbox.words"

READY, SENT = "ready", "sent"
REPLY, NOTICE = "reply", "notice"


@dataclass(frozen=True)
class Outgoing:
    """One reply on its way to a person."""

    id: int
    conversation_id: int
    kind: str
    at: datetime
    blocks: tuple[Block, ...]


def put(
    session: Session,
    conversation_id: int,
    blocks: Sequence[Block],
    now: datetime,
    keep_until: datetime,
    *,
    kind: str = REPLY,
    turn_id: int | None = None,
) -> None:
    """Puts one reply into the outbox; it leaves only after this transaction is kept."""
    session.add(
        OutboxRow(
            conversation_id=conversation_id,
            turn_id=turn_id,
            kind=kind,
            words=seal(session, BLOCKS.dump_json(tuple(blocks)).decode(), _CONTEXT),
            keep_until=keep_until,
            created_at=now,
            ready_at=now,
            state=READY,
            attempts=0,
        )
    )
    session.flush()


def newest(session: Session) -> int:
    """The id of the newest row, 0 when there is none."""
    return session.scalar(select(OutboxRow.id).order_by(OutboxRow.id.desc()).limit(1)) or 0


def recipients(session: Session, after: int, channel: str) -> list[tuple[int, int]]:
    """The newest row of every conversation of a channel that got one after a row: pairs of
    conversation and row id."""
    rows = session.execute(
        select(OutboxRow.conversation_id, OutboxRow.id)
        .join(ConversationRow, ConversationRow.id == OutboxRow.conversation_id)
        .where(OutboxRow.id > after, ConversationRow.channel == channel)
        .order_by(OutboxRow.id)
    )
    return [(conversation, row) for conversation, row in rows]


def after(session: Session, conversation_id: int, row_id: int) -> list[Outgoing]:
    """Everything that a person got after a row, in order, as far as it can still be read."""
    rows = session.scalars(
        select(OutboxRow)
        .where(
            OutboxRow.conversation_id == conversation_id,
            OutboxRow.id > row_id,
            OutboxRow.words.is_not(None),
        )
        .order_by(OutboxRow.id)
    )
    found = []
    for row in rows:
        with contextlib.suppress(KeysUnusable):
            found.append(_opened(session, row))
    return found


def sent(session: Session, row_ids: Sequence[int], now: datetime) -> None:
    """Marks rows as gone out."""
    session.execute(
        update(OutboxRow)
        .where(OutboxRow.id.in_(row_ids), OutboxRow.state == READY)
        .values(state=SENT, sent_at=now)
    )


def _opened(session: Session, row: OutboxRow) -> Outgoing:
    assert row.words is not None
    blocks = BLOCKS.validate_json(unseal(session, row.words, _CONTEXT))
    return Outgoing(row.id, row.conversation_id, row.kind, row.created_at, blocks)
