"""Choices: what an opaque token means, for whom, until when, and whether only once."""

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.orm import Session

from actions.action import Choice, Press
from bot.store.tables import ChoiceRow, TurnRow, plain
from nlu.text import fold

_PRESS = TypeAdapter(Press)
_KEPT = timedelta(days=7)
_TOKEN_BYTES = 12
_TOKEN = re.compile(r"[\w-]{16}", re.ASCII)
_TYPED = "#b1."
_KEEP = insert(plain(ChoiceRow))
_OFFERED_LAST = select(ChoiceRow).where(
    ChoiceRow.turn_id
    == select(func.max(TurnRow.id))
    .where(TurnRow.conversation_id == bindparam("conversation"))
    .scalar_subquery()
)


class ChoiceGone(Exception):  # noqa: N818 - a fact, not a failure
    """The token is unknown, somebody else's, too old, or was used and works only once."""


@dataclass
class Offers:
    """The choices that one turn offers; they are kept together."""

    conversation_id: int
    turn_id: int
    expires_at: datetime
    rows: list[dict[str, Any]] = field(default_factory=list)

    def offer(self, number: int, label: str, choice: Choice) -> str:
        """Notes one choice and gives its token."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self.rows.append(
            {
                "token": token,
                "conversation_id": self.conversation_id,
                "turn_id": self.turn_id,
                "number": number,
                "label": label,
                "press": _PRESS.dump_python(choice.press, mode="json"),
                "once": choice.once,
                "expires_at": self.expires_at,
            }
        )
        return token


def offers(conversation_id: int, turn_id: int, now: datetime) -> Offers:
    """The choices of a turn, none yet."""
    return Offers(conversation_id, turn_id, now + _KEPT)


def keep(session: Session, offered: Offers) -> None:
    """Keeps what a turn offers."""
    if offered.rows:
        session.execute(_KEEP, offered.rows)


def press(session: Session, conversation_id: int, token: str, now: datetime) -> tuple[Press, str]:
    """What a pressed token means, with its label; raises ChoiceGone."""
    row = session.get(ChoiceRow, token) if _TOKEN.fullmatch(token) else None
    if row is None or row.conversation_id != conversation_id:
        raise ChoiceGone
    return _use(row, now)


def typed_form(token: str) -> str:
    """A token as words, for a platform on which a pressed button comes back as a typed message."""
    return f"{_TYPED}{token}"


def token_in(text: str) -> str | None:
    """The token in a text that is nothing but a token as words. Anyone can type such a text, so it
    counts no more than a pressed button: for its own conversation, and in its time."""
    token = text.strip().removeprefix(_TYPED)
    return token if token != text.strip() and _TOKEN.fullmatch(token) else None


def press_typed(
    session: Session, conversation_id: int, typed: str, now: datetime
) -> tuple[Press, str] | None:
    """What a typed number or label means, if the last turn offered that choice."""
    wanted = fold(typed)
    for row in session.scalars(_OFFERED_LAST, {"conversation": conversation_id}):
        if wanted in {str(row.number), _folded(row.label)}:
            return _use(row, now)
    return None


@lru_cache(maxsize=1024)
def _folded(label: str) -> str:
    """A label of ours as people may type it; the same ones come again and again."""
    return fold(label)


def _use(row: ChoiceRow, now: datetime) -> tuple[Press, str]:
    if now > row.expires_at or (row.once and row.used_at is not None):
        raise ChoiceGone
    row.used_at = now
    return _PRESS.validate_python(row.press), row.label
