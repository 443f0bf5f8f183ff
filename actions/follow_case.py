"""Follows a case by its code, or the latest one of this conversation."""

from dataclasses import replace
from typing import Protocol

from actions.action import Asked, Outcome, Result, answered, says
from actions.cases import Case, CaseCode, NotACode

_LONGEST_CODE = 40
_FEW_WORDS = 6


def looks_like_code(text: str) -> bool:
    """Whether a short text may be an attempt at a case code: letters and digits together."""
    short = len(text.split()) <= _FEW_WORDS
    return short and any(letter.isdigit() for letter in text)


class Cases(Protocol):
    """Where cases are looked up; the store fulfils it."""

    def by_code(self, code: CaseCode) -> Case | None:
        """The case with that code."""
        ...

    def latest_here(self) -> Case | None:
        """The latest case that was brought in this conversation."""
        ...


class FollowCase:
    """Tells where a case stands and what was answered; never its words."""

    def __init__(self, cases: Cases) -> None:
        self._cases = cases

    def __call__(self, asked: Asked) -> Outcome:
        """The state of the case that the message names, or of the latest one here."""
        typed = asked.understanding.entities.get("case_code", ())
        return self._named(asked, typed[0]) if typed else self._latest(asked)

    def typed(self, asked: Asked) -> Outcome:
        """The same where a code was asked for and the whole message is the answer."""
        typed = asked.understanding.entities.get("case_code", ())
        return self._named(asked, typed[0] if typed else asked.text.strip()[:_LONGEST_CODE])

    def _named(self, asked: Asked, typed: str) -> Outcome:
        try:
            code = CaseCode.parse(typed)
        except NotACode:
            return answered(asked, says("case_code_wrong", typed=typed), result=Result.NOT_KNOWN)
        case = self._cases.by_code(code)
        if case is None:
            return answered(asked, says("case_unknown", code=str(code)), result=Result.NOT_KNOWN)
        return _tell(asked, case)

    def _latest(self, asked: Asked) -> Outcome:
        case = self._cases.latest_here()
        if case is None:
            outcome = answered(asked, says("which_case"), result=Result.ASKED_BACK)
            return replace(outcome, remember=replace(outcome.remember, awaits_code=True))
        return _tell(asked, case)


def _tell(asked: Asked, case: Case) -> Outcome:
    reply = says(
        "case_state",
        code=str(case.code),
        state=case.state,
        received_on=case.received_at,
        due_on=case.due_on,
        overdue=case.overdue(asked.day),
        answer=case.answer,
        reason=case.moves[-1].reason if case.moves else None,
    )
    return answered(asked, reply)
