"""Retention: words whose time is over are wiped, and a person's words when they ask."""

import secrets
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Update, delete, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from bot.store import jobs
from bot.store.tables import (
    CaseRow,
    ChoiceRow,
    ConversationRow,
    FileRow,
    InboxRow,
    MoveRow,
    OutboxRow,
    StrayRow,
    TurnRow,
)

_JOB = "retention"
_EVERY = timedelta(hours=1)

_SEALED = (
    (InboxRow, InboxRow.words, InboxRow.conversation_id),
    (TurnRow, TurnRow.said, TurnRow.conversation_id),
    (OutboxRow, OutboxRow.words, OutboxRow.conversation_id),
    (ConversationRow, ConversationRow.memory, ConversationRow.id),
)
_STILL_WAITING = "ready"
_REPLY = "reply"


def due(session: Session, now: datetime) -> bool:
    """Whether this process is to enforce retention now; then no other is for a while."""
    return jobs.claim(session, _JOB, secrets.token_hex(8), now, _EVERY)


def enforce(session: Session, now: datetime) -> int:
    """Wipes every sealed word whose `keep_until` is past; gives the number of rows wiped."""
    wiped = 0
    for table, column, _ in _SEALED:
        wiped += _wipe(session, update(table).where(table.keep_until < now), column)
    over = CaseRow.keep_until < now
    moves = update(MoveRow).where(MoveRow.case_id.in_(select(CaseRow.id).where(over)))
    wiped += _wipe(session, moves, MoveRow.answer) + _wipe(session, moves, MoveRow.reason)
    cases = update(CaseRow).where(over)
    wiped += _wipe(session, cases, CaseRow.words) + _wipe(session, cases, CaseRow.contact)
    for column in (FileRow.words, FileRow.content):
        wiped += _wipe(session, update(FileRow).where(FileRow.keep_until < now), column)
    wiped += _count(session, delete(StrayRow).where(StrayRow.keep_until < now))
    wiped += _count(session, delete(ChoiceRow).where(ChoiceRow.expires_at < now))
    return wiped


def erase(session: Session, conversation_id: int) -> None:
    """Wipes what a conversation said, was told and remembers; cases stay with their office."""
    for table, column, belongs_to in _SEALED:
        _wipe(session, update(table).where(belongs_to == conversation_id), column)
    session.execute(delete(ChoiceRow).where(ChoiceRow.conversation_id == conversation_id))


def withdraw(session: Session, conversation_id: int, since: datetime) -> None:
    """Wipes what was said and answered in a conversation since a moment; notices stay."""
    said = update(TurnRow).where(TurnRow.conversation_id == conversation_id, TurnRow.at >= since)
    told = update(OutboxRow).where(
        OutboxRow.conversation_id == conversation_id,
        OutboxRow.created_at >= since,
        OutboxRow.kind == _REPLY,
    )
    failed = update(InboxRow).where(
        InboxRow.conversation_id == conversation_id, InboxRow.received_at >= since
    )
    _wipe(session, failed, InboxRow.words)
    _wipe(session, said, TurnRow.said)
    _wipe(session, told, OutboxRow.words)


def _wipe(session: Session, rows: Update, column: InstrumentedAttribute[bytes | None]) -> int:
    rows = rows.where(column.is_not(None))
    if column is InboxRow.words:
        rows = rows.where(InboxRow.state != _STILL_WAITING)
    return _count(session, rows.values({column: None}))


def _count(session: Session, statement: Update | Delete) -> int:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount
