"""The audit trail: who did what to which case, when and why."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from bot.store.tables import AuditRow


def note(
    session: Session, who: str, did: str, subject: str, now: datetime, why: str | None = None
) -> None:
    """Adds one line; it holds codes and names of roles, never a citizen's words."""
    session.add(AuditRow(at=now, who=who, did=did, subject=subject, why=why))


def about(session: Session, subject: str) -> Iterator[tuple[datetime, str, str, str | None]]:
    """Every line about one subject, or a part of it such as a case's file, oldest first."""
    parts = AuditRow.subject.startswith(f"{subject} ", autoescape=True)
    rows = session.scalars(
        select(AuditRow).where(or_(AuditRow.subject == subject, parts)).order_by(AuditRow.id)
    )
    for row in rows:
        yield row.at, row.who, row.did, row.why
