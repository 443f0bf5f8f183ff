"""Conversations: who writes where, what is remembered, and which worker holds the lease."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Integer, Select, bindparam, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from actions.action import Memory
from bot.message import Sender
from bot.store import seal, unseal
from bot.store.keys import KeysUnusable
from bot.store.tables import ConversationRow, InboxRow, Moment, plain

_MEMORY = TypeAdapter(Memory)
_CONTEXT = "conversations.memory"


def _ready_and_free() -> Select[ConversationRow]:
    earlier = aliased(InboxRow)
    first_waiting = ~(
        select(earlier.id)
        .where(
            earlier.conversation_id == InboxRow.conversation_id,
            earlier.state == "ready",
            tuple_(earlier.position, earlier.id) < tuple_(InboxRow.position, InboxRow.id),
        )
        .exists()
    )
    now = bindparam("now", type_=Moment())
    return (
        select(ConversationRow)
        .join(InboxRow, InboxRow.conversation_id == ConversationRow.id)
        .where(
            InboxRow.state == "ready",
            InboxRow.ready_at <= now,
            first_waiting,
            or_(ConversationRow.lease_until.is_(None), ConversationRow.lease_until < now),
        )
        .order_by(InboxRow.ready_at, InboxRow.id)
        .limit(bindparam("most", type_=Integer()))
        .with_for_update(skip_locked=True, of=ConversationRow)
    )


_READY_AND_FREE = _ready_and_free()
_BY_SENDER = select(ConversationRow).where(
    ConversationRow.channel == bindparam("channel"),
    ConversationRow.account == bindparam("account"),
    ConversationRow.person == bindparam("person"),
)
_HELD = (
    select(ConversationRow)
    .where(ConversationRow.id == bindparam("id"), ConversationRow.fence == bindparam("fence"))
    .with_for_update()
)
_CONVERSATIONS = plain(ConversationRow)
_ID_BY_SENDER = select(_CONVERSATIONS.c.id).where(
    _CONVERSATIONS.c.channel == bindparam("channel"),
    _CONVERSATIONS.c.account == bindparam("account"),
    _CONVERSATIONS.c.person == bindparam("person"),
)
_HEARD = (
    update(_CONVERSATIONS)
    .where(_CONVERSATIONS.c.id == bindparam("conversation"))
    .values(heard_at=bindparam("now", type_=Moment()), out_of_reach_since=None)
)
_RELEASE = (
    update(_CONVERSATIONS)
    .where(
        _CONVERSATIONS.c.id == bindparam("held"), _CONVERSATIONS.c.fence == bindparam("its_fence")
    )
    .values(lease_owner=None, lease_until=None)
)
"""Statements that every turn needs are built once: building them costs more than running them."""


class LeaseLost(Exception):  # noqa: N818 - a fact, not a failure
    """Another worker holds this conversation now: what was made of it here is thrown away."""


@dataclass(frozen=True)
class Lease:
    """The right to handle one conversation's messages, until its fence is passed by another's."""

    conversation_id: int
    fence: int
    channel: str


def of(session: Session, sender: Sender, office: str, now: datetime) -> ConversationRow:
    """The conversation of that person, made when they write for the first time."""
    found = find(session, sender)
    if found is not None:
        return found
    row = ConversationRow(
        channel=sender.channel,
        account=sender.account,
        person=sender.person,
        office=office,
        created_at=now,
        fence=0,
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return session.scalars(_BY_SENDER, asdict(sender)).one()
    return row


def id_of(session: Session, sender: Sender, office: str, now: datetime) -> int:
    """The id of that person's conversation, made when they write for the first time."""
    found: int | None = session.scalar(_ID_BY_SENDER, asdict(sender))
    return found if found is not None else of(session, sender, office, now).id


def heard(session: Session, conversation_id: int, now: datetime) -> None:
    """The person gave a sign: they can be written to."""
    session.execute(_HEARD, {"conversation": conversation_id, "now": now})


def find(session: Session, sender: Sender) -> ConversationRow | None:
    """The conversation of that person, if they ever wrote."""
    return session.scalar(_BY_SENDER, asdict(sender))


def lease(
    session: Session, owner: str, now: datetime, length: timedelta, most: int = 1
) -> list[Lease]:
    """Leases the conversations that have waited longest, among those whose first message is
    ready."""
    rows = session.scalars(_READY_AND_FREE, {"now": now, "most": most}).all()
    return [_leased(row, owner, now + length) for row in rows]


def _leased(row: ConversationRow, owner: str, until: datetime) -> Lease:
    row.lease_owner, row.lease_until, row.fence = owner, until, row.fence + 1
    return Lease(row.id, row.fence, row.channel)


def take(session: Session, conversation_id: int) -> Lease:
    """The lease of one conversation within this transaction; a worker that held it has lost it."""
    row = lock(session, conversation_id)
    row.fence += 1
    return Lease(row.id, row.fence, row.channel)


def hold(session: Session, held: Lease) -> ConversationRow:
    """The leased conversation, locked for this transaction; raises LeaseLost."""
    row = session.scalar(_HELD, {"id": held.conversation_id, "fence": held.fence})
    if row is None:
        raise LeaseLost(held.conversation_id)
    return row


def lock(session: Session, conversation_id: int) -> ConversationRow:
    """The conversation as it stands once it is locked, so that what it is sent keeps its order."""
    return session.get_one(
        ConversationRow, conversation_id, with_for_update=True, populate_existing=True
    )


def release(session: Session, held: Lease) -> None:
    """Gives the lease back, if it is still ours."""
    session.execute(_RELEASE, {"held": held.conversation_id, "its_fence": held.fence})


def memory(session: Session, row: ConversationRow) -> Memory:
    """What the conversation remembers; nothing where no key opens it or it no longer fits."""
    if row.memory is None:
        return Memory()
    try:
        return _MEMORY.validate_json(unseal(session, row.memory, _CONTEXT))
    except (KeysUnusable, ValidationError):
        return Memory()


def remember(
    session: Session, row: ConversationRow, remembered: Memory, keep_until: datetime
) -> None:
    """Keeps what the conversation remembers, until a moment."""
    row.memory = seal(session, _MEMORY.dump_json(remembered).decode(), _CONTEXT)
    row.keep_until = keep_until
