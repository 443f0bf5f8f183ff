"""Turns: one message and what was made of it, kept whole or not at all."""

import contextlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from bot.store import seal, unseal
from bot.store.keys import KeysUnusable
from bot.store.tables import InboxRow, TurnRow, plain

_CONTEXT = "turns.said"
_KEEP = insert(plain(TurnRow)).returning(plain(TurnRow).c.id)


@dataclass(frozen=True)
class Said:
    """What a citizen said in one turn."""

    turn_id: int
    external_id: str
    text: str
    at: datetime


def keep(
    session: Session,
    conversation_id: int,
    inbox_id: int,
    said: str | None,
    intent: str | None,
    result: str,
    now: datetime,
    keep_until: datetime,
) -> int:
    """Keeps one turn and gives its id; `said` is None where the words must not be kept."""
    kept: int | None = session.scalar(
        _KEEP,
        {
            "conversation_id": conversation_id,
            "inbox_id": inbox_id,
            "said": seal(session, said, _CONTEXT) if said is not None else None,
            "keep_until": keep_until if said is not None else None,
            "intent": intent,
            "result": result,
            "at": now,
        },
    )
    assert kept is not None
    return kept


def said_in(session: Session, conversation_id: int) -> list[Said]:
    """Everything that a citizen said and that is still kept, in order."""
    rows = session.execute(
        select(TurnRow, InboxRow.external_id)
        .join(InboxRow, InboxRow.id == TurnRow.inbox_id)
        .where(TurnRow.conversation_id == conversation_id, TurnRow.said.is_not(None))
        .order_by(TurnRow.id)
    )
    found = []
    for turn, external_id in rows:
        with contextlib.suppress(KeysUnusable):
            text = unseal(session, turn.said or b"", _CONTEXT)
            found.append(Said(turn.id, external_id, text, turn.at))
    return found
