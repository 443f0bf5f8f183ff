"""Accounts of ours on platforms: their secrets, how fast they may send, and what troubles them."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from bot.pace import Pace
from bot.store import seal, unseal
from bot.store.tables import AccountRow

_SECRETS = TypeAdapter(dict[str, str])
_CONTEXT = "accounts.secrets"


def of(session: Session, channel: str, account: str) -> AccountRow:
    """The row of an account, locked; made when it is first asked for."""
    by_name = (
        select(AccountRow)
        .where(AccountRow.channel == channel, AccountRow.account == account)
        .with_for_update()
    )
    found = session.scalar(by_name)
    if found is not None:
        return found
    row = AccountRow(channel=channel, account=account)
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return session.scalars(by_name).one()
    return row


def paced(
    session: Session, channel: str, account: str, now: datetime, pace: Pace
) -> AccountRow | None:
    """The account, if it may send one more now."""
    row = of(session, channel, account)
    waits = row.ready_at is not None and row.ready_at > now
    return row if not waits and pace.account.allows(row.next_send_at, now) else None


def pause(session: Session, channel: str, account: str, until: datetime) -> None:
    """Lets an account send nothing until a moment, or until a later one that it was told before."""
    row = of(session, channel, account)
    row.ready_at = max(until, row.ready_at or until)


def secrets(session: Session, channel: str, account: str) -> Mapping[str, str]:
    """An account's secrets; empty where there are none. Raises KeysUnusable."""
    row = session.get(AccountRow, (channel, account))
    if row is None or row.secrets is None:
        return {}
    return _SECRETS.validate_json(unseal(session, row.secrets, _CONTEXT))


def keep_secrets(session: Session, channel: str, account: str, kept: Mapping[str, str]) -> None:
    """Keeps an account's secrets, sealed; whatever troubled it is over."""
    row = of(session, channel, account)
    row.secrets = seal(session, _SECRETS.dump_json(dict(kept)).decode(), _CONTEXT)
    row.trouble = row.ready_at = None


def trouble(session: Session, channel: str, account: str, reason: str | None) -> None:
    """Notes what an operator must mend."""
    of(session, channel, account).trouble = reason


def troubled(session: Session) -> list[str]:
    """What an operator must mend, a line for each account in trouble."""
    rows = session.scalars(select(AccountRow).where(AccountRow.trouble.is_not(None)))
    return [f"{row.channel} {row.account}: {row.trouble}" for row in rows]
