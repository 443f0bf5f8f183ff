"""Events of platforms that nobody here knows: kept for a while, and counted."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.store import seal_bytes
from bot.store.tables import StrayRow

_CONTEXT = "strays.words"
_LONGEST_NAME = 100


def keep(
    session: Session,
    channel: str,
    account: str,
    name: str,
    raw: bytes,
    now: datetime,
    keep_until: datetime,
) -> None:
    """Keeps an event as it came, sealed."""
    session.add(
        StrayRow(
            channel=channel,
            account=account,
            name=name[:_LONGEST_NAME],
            words=seal_bytes(session, raw, _CONTEXT),
            received_at=now,
            keep_until=keep_until,
        )
    )


def counts(session: Session, channel: str) -> dict[str, int]:
    """How many events of each unknown name came through a channel."""
    rows = session.execute(
        select(StrayRow.name, func.count())
        .where(StrayRow.channel == channel)
        .group_by(StrayRow.name)
        .order_by(StrayRow.name)
    )
    return {row[0]: row[1] for row in rows}
