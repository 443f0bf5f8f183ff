"""Cases: their kinds, codes, states and the moves between states."""

import re
import secrets
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Self


class CaseKind(StrEnum):
    """What a citizen brings; a likely kind, never a legal ruling."""

    FEEDBACK = "feedback"
    PROPOSAL = "proposal"
    COMPLAINT = "complaint"
    DENUNCIATION = "denunciation"


class State(StrEnum):
    """Where a case stands."""

    RECEIVED = "received"
    ASSIGNED = "assigned"
    WAITING = "waiting"
    ANSWERED = "answered"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    CLOSED = "closed"
    REOPENED = "reopened"


_OPEN = {State.RECEIVED, State.ASSIGNED, State.WAITING, State.REOPENED}

_MOVES: dict[State, set[State]] = {
    State.RECEIVED: {
        State.ASSIGNED,
        State.WAITING,
        State.ANSWERED,
        State.REFUSED,
        State.WITHDRAWN,
        State.CLOSED,
    },
    State.ASSIGNED: {State.WAITING, State.ANSWERED, State.REFUSED, State.WITHDRAWN, State.CLOSED},
    State.WAITING: {State.ASSIGNED, State.ANSWERED, State.REFUSED, State.WITHDRAWN, State.CLOSED},
    State.ANSWERED: {State.ANSWERED, State.CLOSED, State.REOPENED},
    State.REOPENED: {
        State.ASSIGNED,
        State.WAITING,
        State.ANSWERED,
        State.REFUSED,
        State.WITHDRAWN,
        State.CLOSED,
    },
    State.REFUSED: {State.REOPENED},
    State.WITHDRAWN: set(),
    State.CLOSED: {State.REOPENED},
}

_NEEDS_REASON = {State.REFUSED, State.CLOSED}


class MoveNotAllowed(Exception):  # noqa: N818 - a fact, not a failure
    """A case cannot go from this state to that one."""


class ReasonMissing(Exception):  # noqa: N818 - a fact, not a failure
    """A refusal or closure needs a reason."""


class AnswerMissing(Exception):  # noqa: N818 - a fact, not a failure
    """A case cannot be answered with nothing."""


class NotACode(ValueError):  # noqa: N818 - a fact, not a failure
    """A text that is no case code, or one with a slip in it."""


_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_PREFIX = "MC"
_LENGTH = 8
_CODE_LIKE = re.compile(r"(?i)\bmc[- ]?[0-9a-z]{4}[- ]?[0-9a-z]{4}[- ]?[0-9a-z]\b")


@dataclass(frozen=True)
class CaseCode:
    """A random code without look-alike letters; its last character finds every single slip.

    31 letters and digits (a prime, so that a weighted sum tells apart any one wrong character and
    any two that changed places); written MC-XXXX-XXXX-X.
    """

    value: str

    @classmethod
    def draw(cls) -> Self:
        """A new code from the system's random source."""
        body = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
        return cls(body + _check_character(body))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The code that a person typed, in any case, with or without dashes; raises NotACode."""
        letters = "".join(letter for letter in text.upper() if letter.isalnum())
        if len(letters) > _LENGTH + 1:
            letters = letters.removeprefix(_PREFIX)
        if len(letters) != _LENGTH + 1 or any(letter not in _ALPHABET for letter in letters):
            raise NotACode(text)
        if _check_character(letters[:-1]) != letters[-1]:
            raise NotACode(text)
        return cls(letters)

    def __str__(self) -> str:
        return f"{_PREFIX}-{self.value[:4]}-{self.value[4:8]}-{self.value[8:]}"


def codes_in(text: str) -> tuple[str, ...]:
    """What looks like case codes in a text, right or mistyped."""
    return tuple(_CODE_LIKE.findall(text))


def _check_character(body: str) -> str:
    total = sum(weight * _ALPHABET.index(letter) for weight, letter in enumerate(body, start=1))
    return _ALPHABET[total % len(_ALPHABET)]


@dataclass(frozen=True)
class Report:
    """The words of a case, as the citizen told them."""

    what: str
    where: str
    when: str
    name: str | None = None
    contact: str | None = None


@dataclass(frozen=True)
class Move:
    """One step in a case's life."""

    at: datetime
    to: State
    by: str
    reason: str | None = None
    answer: str | None = None


@dataclass
class Case:
    """What a citizen brought, and what became of it."""

    code: CaseCode
    kind: CaseKind
    office: str
    received_at: datetime
    due_on: date
    report: Report | None
    state: State = State.RECEIVED
    moves: list[Move] = field(default_factory=list)

    def move_to(
        self,
        state: State,
        now: datetime,
        by: str,
        *,
        reason: str | None = None,
        answer: str | None = None,
    ) -> Move:
        """Takes one step, or raises why it cannot be taken and then changes nothing."""
        if state not in _MOVES[self.state]:
            raise MoveNotAllowed(f"{self.code}: {self.state} -> {state}")
        if state in _NEEDS_REASON and not (reason or "").strip():
            raise ReasonMissing(f"{self.code}: {state}")
        if state is State.ANSWERED and not (answer or "").strip():
            raise AnswerMissing(f"{self.code}: {state}")
        move = Move(now, state, by, reason, answer)
        self.state = state
        self.moves.append(move)
        return move

    def overdue(self, day: date) -> bool:
        """Whether it still waits for a first answer after its day."""
        return self.state in _OPEN and day > self.due_on

    @property
    def answer(self) -> Move | None:
        """The latest answer, where there is one."""
        return next((move for move in reversed(self.moves) if move.answer), None)
