"""Every table. Personal words stand only in sealed columns, beside a `keep_until`."""

from datetime import UTC, date, datetime
from typing import Any, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
)
from sqlalchemy import Table as SqlTable
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import DateTime, TypeDecorator


class Moment(TypeDecorator[datetime]):
    """An aware moment, kept in UTC on every database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuses naive moments and keeps the rest in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment needs its zone: {value}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Gives SQLite's naive moments their zone back, and PostgreSQL's the same one."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(DeclarativeBase):
    """The base of all tables; every constraint has a name that migrations can refer to."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime: Moment(),
        bytes: LargeBinary,
        str: String(200),
        dict[str, Any]: JSON,
    }


def plain(table: type[Table]) -> SqlTable:
    """A table for statements that give and take values rather than objects, which cost less."""
    return cast("SqlTable", table.__table__)


class ConversationRow(Table):
    """One person on one channel; a worker leases it, and its fence grows with every lease."""

    __tablename__ = "conversations"
    __table_args__ = (UniqueConstraint("channel", "account", "person"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str]
    account: Mapped[str]
    person: Mapped[str]
    office: Mapped[str]
    memory: Mapped[bytes | None]
    keep_until: Mapped[datetime | None] = mapped_column(index=True)
    created_at: Mapped[datetime]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0)
    heard_at: Mapped[datetime | None]
    out_of_reach_since: Mapped[datetime | None]
    silent_until: Mapped[datetime | None]
    next_send_at: Mapped[datetime | None]


class InboxRow(Table):
    """A message as it came in; its words are wiped once its turn is kept."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("channel", "account", "external_id"),
        Index("ix_inbox_state_ready_at", "state", "ready_at"),
        Index("ix_inbox_conversation_id_state", "conversation_id", "state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"), index=True)
    channel: Mapped[str]
    account: Mapped[str]
    external_id: Mapped[str]
    position: Mapped[int] = mapped_column(BigInteger, default=0)
    album: Mapped[str | None]
    words: Mapped[bytes | None]
    received_at: Mapped[datetime]
    ready_at: Mapped[datetime]
    state: Mapped[str]
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None]
    keep_until: Mapped[datetime | None] = mapped_column(index=True)


class TurnRow(Table):
    """One message and what was made of it."""

    __tablename__ = "turns"

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"), index=True)
    inbox_id: Mapped[int] = mapped_column(ForeignKey("inbox.id"), unique=True)
    said: Mapped[bytes | None]
    keep_until: Mapped[datetime | None] = mapped_column(index=True)
    intent: Mapped[str | None]
    result: Mapped[str]
    at: Mapped[datetime]


class OutboxRow(Table):
    """A reply of a turn, or a later notice, until a courier or the citizen's stream has it.

    A courier that sends holds the row until `leased_until`; `attempts` is its fence. `parts_sent`
    is how many calls of a long reply have arrived.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_state_ready_at", "state", "ready_at"),
        Index("ix_outbox_conversation_id_state", "conversation_id", "state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"), index=True)
    turn_id: Mapped[int | None] = mapped_column(ForeignKey("turns.id"))
    kind: Mapped[str]
    words: Mapped[bytes | None]
    keep_until: Mapped[datetime | None] = mapped_column(index=True)
    created_at: Mapped[datetime]
    ready_at: Mapped[datetime]
    state: Mapped[str]
    attempts: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    unknowns: Mapped[int] = mapped_column(default=0)
    parts_sent: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None]
    error: Mapped[str | None]
    sent_at: Mapped[datetime | None]


class ChoiceRow(Table):
    """What a button's opaque token means, to whom, until when, and whether it works only once."""

    __tablename__ = "choices"

    token: Mapped[str] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"), index=True)
    turn_id: Mapped[int] = mapped_column(ForeignKey("turns.id"), index=True)
    number: Mapped[int]
    label: Mapped[str]
    press: Mapped[dict[str, Any]]
    once: Mapped[bool]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class CaseRow(Table):
    """A case; the words and the contact are sealed apart."""

    __tablename__ = "cases"
    __table_args__ = (Index("ix_cases_office_state", "office", "state"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversations.id"), index=True)
    office: Mapped[str]
    kind: Mapped[str]
    state: Mapped[str]
    received_at: Mapped[datetime]
    due_on: Mapped[date]
    words: Mapped[bytes | None]
    contact: Mapped[bytes | None]
    keep_until: Mapped[datetime] = mapped_column(index=True)


class MoveRow(Table):
    """One step in a case's life; an answer and a reason are sealed, for they may name a person."""

    __tablename__ = "case_moves"

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), index=True)
    at: Mapped[datetime]
    to: Mapped[str]
    by: Mapped[str]
    reason: Mapped[bytes | None]
    answer: Mapped[bytes | None]


class AuditRow(Table):
    """Who did what to which case or conversation, when and why; rows are only added."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    who: Mapped[str]
    did: Mapped[str]
    subject: Mapped[str] = mapped_column(index=True)
    why: Mapped[str | None]


class JobRow(Table):
    """A job that only one process at a time may do, and when it is due next."""

    __tablename__ = "jobs"

    name: Mapped[str] = mapped_column(primary_key=True)
    ready_at: Mapped[datetime]
    owner: Mapped[str | None]


class AccountRow(Table):
    """An account of ours on a platform: its sealed secrets, its pace, and what troubles it."""

    __tablename__ = "accounts"

    channel: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    secrets: Mapped[bytes | None]
    ready_at: Mapped[datetime | None]
    next_send_at: Mapped[datetime | None]
    trouble: Mapped[str | None]


class FileRow(Table):
    """A file of a citizen, fetched once a case needs it, or one of ours that a reply shows."""

    __tablename__ = "files"
    __table_args__ = (Index("ix_files_state_ready_at", "state", "ready_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversations.id"), index=True)
    case_id: Mapped[int | None] = mapped_column(ForeignKey("cases.id"), index=True)
    media_type: Mapped[str]
    words: Mapped[bytes | None]
    content: Mapped[bytes | None]
    state: Mapped[str]
    ready_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    keep_until: Mapped[datetime] = mapped_column(index=True)


class StrayRow(Table):
    """An event of a platform that nobody here knows, kept so that it can be looked into."""

    __tablename__ = "strays"

    id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str]
    account: Mapped[str]
    name: Mapped[str]
    words: Mapped[bytes | None]
    received_at: Mapped[datetime]
    keep_until: Mapped[datetime] = mapped_column(index=True)
