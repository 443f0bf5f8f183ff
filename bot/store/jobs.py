"""Jobs that only one process at a time may do."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from bot.store.tables import JobRow


def claim(session: Session, name: str, owner: str, now: datetime, length: timedelta) -> bool:
    """Whether a process alone is to do a job now; then no other is until `length` is over.

    Who holds a job may claim it again, and so hold it longer.
    """
    row = session.scalar(select(JobRow).where(JobRow.name == name).with_for_update())
    if row is None:
        return _begun(session, name, owner, now + length)
    if row.ready_at > now and row.owner != owner:
        return False
    row.owner, row.ready_at = owner, now + length
    return True


def release(session: Session, name: str, owner: str, now: datetime) -> None:
    """Gives a job back, if it is still this process's."""
    row = session.get(JobRow, name, with_for_update=True)
    if row is not None and row.owner == owner:
        row.owner, row.ready_at = None, now


def _begun(session: Session, name: str, owner: str, until: datetime) -> bool:
    try:
        with session.begin_nested():
            session.add(JobRow(name=name, owner=owner, ready_at=until))
    except IntegrityError:
        return False
    return True
