"""The outbox: replies and notices, in the order in which each person gets them."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from pydantic import ValidationError
from sqlalchemy import CursorResult, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from bot.message import BLOCKS, Block
from bot.pace import Pace
from bot.store import accounts, seal, unseal
from bot.store.keys import KeysUnusable
from bot.store.tables import ConversationRow, Moment, OutboxRow, plain

_CONTEXT = "outbox.words"

READY, SENDING, SENT = "ready", "sending", "sent"
UNKNOWN, DEAD, DROPPED = "unknown", "dead", "dropped"
REPLY, NOTICE = "reply", "notice"

STALE = timedelta(hours=24)
"""A reply of a turn that is older does not matter any more."""

_STALE = "too old to matter"
_AFTER_UNKNOWN = timedelta(seconds=30)
_REPEATS = 1
"""How often a part of a reply is sent again whose outcome is unknown; a notice's never is."""


_AFTER = (
    select(OutboxRow)
    .where(
        OutboxRow.conversation_id == bindparam("conversation"),
        OutboxRow.id > bindparam("row"),
        OutboxRow.words.is_not(None),
    )
    .order_by(OutboxRow.id)
)
_OUTBOX = plain(OutboxRow)
_SEEN = (
    update(_OUTBOX)
    .where(
        _OUTBOX.c.conversation_id == bindparam("conversation"),
        _OUTBOX.c.id <= bindparam("row"),
        _OUTBOX.c.state == READY,
    )
    .values(state=SENT, sent_at=bindparam("now", type_=Moment()))
)
_PUT = insert(_OUTBOX)
_DROP_STALE = (
    update(_OUTBOX)
    .where(
        _OUTBOX.c.state == READY,
        _OUTBOX.c.kind == REPLY,
        _OUTBOX.c.created_at < bindparam("oldest", type_=Moment()),
    )
    .values(state=DROPPED, error=_STALE)
)


@dataclass(frozen=True)
class Outgoing:
    """One reply on its way to a person."""

    id: int
    conversation_id: int
    kind: str
    at: datetime
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Letter:
    """A reply that a courier holds: which part comes next, to whom; `attempt` is its fence."""

    id: int
    conversation_id: int
    attempt: int
    part: int
    person: str
    heard_at: datetime | None
    failures: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Listed:
    """An outbox row as an operator sees it: without its words."""

    id: int
    channel: str
    kind: str
    state: str
    attempts: int
    error: str | None
    created_at: datetime


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
    session.execute(
        _PUT,
        {
            "conversation_id": conversation_id,
            "turn_id": turn_id,
            "kind": kind,
            "words": seal(session, BLOCKS.dump_json(tuple(blocks)).decode(), _CONTEXT),
            "keep_until": keep_until,
            "created_at": now,
            "ready_at": now,
            "state": READY,
        },
    )


def newest(session: Session) -> int:
    """The id of the newest row, 0 when there is none."""
    return session.scalar(select(OutboxRow.id).order_by(OutboxRow.id.desc()).limit(1)) or 0


def recipients(session: Session, conversation_ids: Sequence[int]) -> list[int]:
    """Those of some conversations for which a letter is ready."""
    return list(
        session.scalars(
            select(OutboxRow.conversation_id)
            .where(OutboxRow.state == READY, OutboxRow.conversation_id.in_(conversation_ids))
            .distinct()
        )
    )


def after(session: Session, conversation_id: int, row_id: int) -> list[Outgoing]:
    """Everything that a person got after a row, in order, as far as it can still be read."""
    rows = session.scalars(_AFTER, {"conversation": conversation_id, "row": row_id})
    return _readable_of(session, rows)


def _readable_of(session: Session, rows: Iterable[OutboxRow]) -> list[Outgoing]:
    found = []
    for row in rows:
        with contextlib.suppress(KeysUnusable):
            blocks = _blocks(session, row)
            found.append(Outgoing(row.id, row.conversation_id, row.kind, row.created_at, blocks))
    return found


def unsent(session: Session, conversation_id: int) -> list[Outgoing]:
    """Everything that waits for a person, in order, as far as it can still be read."""
    rows = session.scalars(
        select(OutboxRow)
        .where(
            OutboxRow.conversation_id == conversation_id,
            OutboxRow.state == READY,
            OutboxRow.words.is_not(None),
        )
        .order_by(OutboxRow.id)
    )
    return _readable_of(session, rows)


def sent(session: Session, row_ids: Sequence[int], now: datetime) -> None:
    """Marks rows as gone out."""
    session.execute(
        update(OutboxRow)
        .where(OutboxRow.id.in_(row_ids), OutboxRow.state == READY)
        .values(state=SENT, sent_at=now)
    )


def seen_up_to(session: Session, conversation_id: int, row_id: int, now: datetime) -> None:
    """Marks what a person has as gone out: everything up to a row."""
    session.execute(_SEEN, {"conversation": conversation_id, "row": row_id, "now": now})


def take(
    session: Session,
    channel: str,
    account: str,
    pace: Pace,
    now: datetime,
    length: timedelta,
) -> Letter | None:
    """Takes the first letter of an account that may leave now, and holds it for a while.

    A person's letters leave in order: the first that is not settled holds back those behind it.
    What is too old, or has no words left, is dropped with a record on the way.
    """
    paced = accounts.paced(session, channel, account, now, pace)
    if paced is None:
        return None
    while found := _first(session, channel, account, now, pace):
        row, conversation = found
        blocks = _readable(session, row, now)
        if blocks is None:
            continue
        row.state, row.attempts, row.leased_until = SENDING, row.attempts + 1, now + length
        paced.next_send_at = pace.account.step(paced.next_send_at, now)
        conversation.next_send_at = pace.person.step(conversation.next_send_at, now)
        return Letter(
            row.id,
            row.conversation_id,
            row.attempts,
            row.parts_sent,
            conversation.person,
            conversation.heard_at,
            row.failures,
            blocks,
        )
    return None


def _first(
    session: Session, channel: str, account: str, now: datetime, pace: Pace
) -> tuple[OutboxRow, ConversationRow] | None:
    earlier = aliased(OutboxRow)
    waits_behind = (
        select(earlier.id)
        .where(
            earlier.conversation_id == OutboxRow.conversation_id,
            earlier.state.in_((READY, SENDING)),
            earlier.id < OutboxRow.id,
        )
        .exists()
    )
    found = session.execute(
        select(OutboxRow, ConversationRow)
        .join(ConversationRow, ConversationRow.id == OutboxRow.conversation_id)
        .where(
            OutboxRow.state == READY,
            OutboxRow.ready_at <= now,
            ConversationRow.channel == channel,
            ConversationRow.account == account,
            ConversationRow.out_of_reach_since.is_(None),
            or_(
                ConversationRow.next_send_at.is_(None),
                ConversationRow.next_send_at <= pace.person.latest(now),
            ),
            ~waits_behind,
        )
        .order_by(OutboxRow.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=(OutboxRow, ConversationRow), key_share=True)
    ).first()
    return (found[0], found[1]) if found else None


def _readable(session: Session, row: OutboxRow, now: datetime) -> tuple[Block, ...] | None:
    """What a row says; None where it is dropped instead, or is for an operator to look at."""
    if row.kind == REPLY and now - row.created_at > STALE:
        drop_stale(session, now)
        return None
    if row.words is None:
        _settle(row, DROPPED, "no words left")
        return None
    try:
        return _blocks(session, row)
    except KeysUnusable as error:
        _settle(row, DEAD, f"{error}")
        return None


def drop_stale(session: Session, now: datetime) -> int:
    """Drops every reply that is too old to matter, also of those who are out of reach; gives their
    number."""
    dropped = session.execute(_DROP_STALE, {"oldest": now - STALE})
    return cast("CursorResult[Any]", dropped).rowcount


def arrived(session: Session, letter: Letter, now: datetime, *, last: bool) -> None:
    """A part has arrived; after the last one the letter is sent. What troubled it stays noted."""
    row = _held(session, letter)
    if row is None:
        return
    row.parts_sent, row.failures, row.unknowns, row.leased_until = letter.part + 1, 0, 0, None
    row.state, row.ready_at = READY, now
    if last:
        row.state, row.sent_at = SENT, now


def later(session: Session, letter: Letter, at: datetime, reason: str, *, is_failure: bool) -> None:
    """The platform took nothing: the part is tried again at a moment."""
    row = _held(session, letter)
    if row is None:
        return
    row.failures += is_failure
    row.state, row.ready_at, row.leased_until, row.error = READY, at, None, reason


def out_of_reach(session: Session, letter: Letter, now: datetime, reason: str) -> None:
    """The person cannot be written to now: the letter waits until they give a sign, unless they
    gave one since the letter was taken."""
    conversation = session.get_one(ConversationRow, letter.conversation_id, with_for_update=True)
    row = _held(session, letter)
    if row is None:
        return
    row.state, row.ready_at, row.leased_until, row.error = READY, now, None, reason
    if conversation.heard_at == letter.heard_at:
        conversation.out_of_reach_since = now


def die(session: Session, letter: Letter, reason: str) -> None:
    """The letter will never be taken: an operator has to look at it."""
    row = _held(session, letter)
    if row is not None:
        _settle(row, DEAD, reason)


def unknown(session: Session, letter: Letter, now: datetime, reason: str) -> None:
    """Nobody knows whether the part has arrived: a reply is sent once more, a notice is not."""
    row = _held(session, letter)
    if row is not None:
        _may_have_arrived(row, now + _AFTER_UNKNOWN, reason)


def give_back(session: Session, channel: str, account: str, now: datetime) -> None:
    """Takes back letters whose courier was stopped between sending and recording: whether they have
    arrived is unknown."""
    rows = session.scalars(
        select(OutboxRow)
        .join(ConversationRow, ConversationRow.id == OutboxRow.conversation_id)
        .where(
            OutboxRow.state == SENDING,
            OutboxRow.leased_until < now,
            ConversationRow.channel == channel,
            ConversationRow.account == account,
        )
        .with_for_update(skip_locked=True, of=OutboxRow)
    )
    for row in rows:
        _may_have_arrived(row, now, "the courier was stopped while sending")


def _may_have_arrived(row: OutboxRow, again_at: datetime, reason: str) -> None:
    row.unknowns += 1
    if row.kind == NOTICE or row.unknowns > _REPEATS:
        _settle(row, UNKNOWN, reason)
        return
    row.state, row.ready_at, row.leased_until, row.error = READY, again_at, None, reason


def _held(session: Session, letter: Letter) -> OutboxRow | None:
    """The row of a letter, if it is still this courier's."""
    return session.scalar(
        select(OutboxRow)
        .where(
            OutboxRow.id == letter.id,
            OutboxRow.attempts == letter.attempt,
            OutboxRow.state == SENDING,
        )
        .with_for_update()
    )


def _settle(row: OutboxRow, state: str, reason: str) -> None:
    row.state, row.error, row.leased_until = state, reason, None


def unsettled(session: Session, states: Sequence[str] = (UNKNOWN, DEAD)) -> list[Listed]:
    """What an operator should look at, the oldest first."""
    rows = session.execute(
        select(OutboxRow, ConversationRow.channel)
        .join(ConversationRow, ConversationRow.id == OutboxRow.conversation_id)
        .where(OutboxRow.state.in_(states))
        .order_by(OutboxRow.id)
    )
    return [
        Listed(row.id, channel, row.kind, row.state, row.attempts, row.error, row.created_at)
        for row, channel in rows
    ]


@dataclass(frozen=True)
class Waiting:
    """The letters of a channel that have not left yet."""

    channel: str
    letters: int
    oldest: datetime
    out_of_reach: int


def waiting(session: Session, before: datetime) -> list[Waiting]:
    """What has waited on messengers since before a moment, by channel; those of the web wait to
    be read."""
    unreachable = func.count(ConversationRow.out_of_reach_since)
    rows = session.execute(
        select(ConversationRow.channel, func.count(), func.min(OutboxRow.created_at), unreachable)
        .join(OutboxRow, OutboxRow.conversation_id == ConversationRow.id)
        .where(
            OutboxRow.state.in_((READY, SENDING)),
            OutboxRow.created_at < before,
            ConversationRow.channel != "web",
        )
        .group_by(ConversationRow.channel)
        .order_by(ConversationRow.channel)
    )
    return [Waiting(*row) for row in rows]


def hurry(session: Session, channel: str, account: str, now: datetime) -> None:
    """Lets every letter of an account leave at once: what held them back is mended."""
    theirs = select(ConversationRow.id).where(
        ConversationRow.channel == channel, ConversationRow.account == account
    )
    session.execute(
        update(_OUTBOX)
        .where(_OUTBOX.c.state == READY, _OUTBOX.c.conversation_id.in_(theirs))
        .values(ready_at=now)
    )


def retry(session: Session, row_id: int, now: datetime) -> bool:
    """Lets a letter leave again, by an operator's will; False when there is none to let go."""
    row = session.get(OutboxRow, row_id, with_for_update=True)
    if row is None or row.state not in {UNKNOWN, DEAD, DROPPED} or row.words is None:
        return False
    row.state, row.ready_at, row.failures, row.unknowns = READY, now, 0, 0
    row.kind, row.error = NOTICE, None
    return True


def drop(session: Session, row_id: int, reason: str) -> bool:
    """Takes a letter out of the queue, by an operator's will; False when there is none."""
    row = session.get(OutboxRow, row_id, with_for_update=True)
    if row is None or row.state not in {UNKNOWN, DEAD, READY}:
        return False
    _settle(row, DROPPED, reason)
    return True


def _blocks(session: Session, row: OutboxRow) -> tuple[Block, ...]:
    if row.words is None:
        raise KeysUnusable(f"outbox {row.id} has no words left")
    try:
        return BLOCKS.validate_json(unseal(session, row.words, _CONTEXT))
    except ValidationError:
        raise KeysUnusable(f"outbox {row.id} is of another version") from None
