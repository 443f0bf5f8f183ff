"""Cases in the database: kept, looked up, moved, listed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from pydantic import TypeAdapter
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from actions.action import CaseTaken
from actions.cases import Case, CaseCode, CaseKind, Move, Report, State
from bot.store import seal, unseal
from bot.store.tables import CaseRow, MoveRow

_REPORT = TypeAdapter(Report)
_WORDS, _CONTACT = "cases.words", "cases.contact"
_REASON, _ANSWER = "case_moves.reason", "case_moves.answer"


class CaseNotFound(Exception):  # noqa: N818 - a fact, not a failure
    """No case has that code."""


@dataclass(frozen=True)
class CasesHere:
    """The cases that a turn may look up: any by its code, the latest of this conversation."""

    session: Session
    conversation_id: int

    def by_code(self, code: CaseCode) -> Case | None:
        """The case with that code, without its words; not locked, for a turn holds its conversation
        already, and the desk locks them the other way round."""
        row = self.session.scalar(_by_code(code))
        return _case(self.session, row, with_words=False) if row else None

    def latest_here(self) -> Case | None:
        """The latest case brought in this conversation, without its words."""
        row = self.session.scalar(
            select(CaseRow)
            .where(CaseRow.conversation_id == self.conversation_id)
            .order_by(CaseRow.id.desc())
            .limit(1)
        )
        return _case(self.session, row, with_words=False) if row else None


def keep(
    session: Session,
    taken: CaseTaken,
    conversation_id: int,
    office: str,
    now: datetime,
    keep_until: datetime,
) -> int:
    """Keeps a new case and gives its id; name and contact are sealed apart from the story."""
    story = Report(taken.report.what, taken.report.where, taken.report.when)
    person = Report("", "", "", taken.report.name, taken.report.contact)
    named = taken.report.name or taken.report.contact
    row = CaseRow(
        code=taken.code.value,
        conversation_id=conversation_id,
        office=office,
        kind=taken.kind,
        state=State.RECEIVED,
        received_at=now,
        due_on=taken.due_on,
        words=seal(session, _REPORT.dump_json(story).decode(), _WORDS),
        contact=seal(session, _REPORT.dump_json(person).decode(), _CONTACT) if named else None,
        keep_until=keep_until,
    )
    session.add(row)
    session.flush()
    return row.id


def show(session: Session, code: CaseCode) -> Case:
    """The case with its words; raises CaseNotFound. Whoever calls writes the audit line."""
    return _case(session, _must(session, code), with_words=True)


def id_of(session: Session, code: CaseCode) -> int:
    """The row id of a case; raises CaseNotFound."""
    return _must(session, code).id


def conversation_of(session: Session, code: CaseCode) -> int | None:
    """The conversation in which the case was brought; raises CaseNotFound."""
    return _must(session, code).conversation_id


def move(
    session: Session,
    code: CaseCode,
    state: State,
    now: datetime,
    by: str,
    *,
    reason: str | None = None,
    answer: str | None = None,
) -> Case:
    """Takes one step with a case; raises CaseNotFound and whatever `Case.move_to` raises."""
    row = _must(session, code)
    case = _case(session, row, with_words=False)
    step = case.move_to(state, now, by, reason=reason, answer=answer)
    row.state = case.state
    session.add(
        MoveRow(
            case_id=row.id,
            at=step.at,
            to=step.to,
            by=step.by,
            reason=seal(session, step.reason, _REASON) if step.reason else None,
            answer=seal(session, step.answer, _ANSWER) if step.answer else None,
        )
    )
    return case


def listed(
    session: Session, office: str | None, state: str | None, overdue_on: date | None
) -> Iterator[Case]:
    """Cases without their words, oldest first."""
    query = select(CaseRow).order_by(CaseRow.id)
    if office:
        query = query.where(CaseRow.office == office)
    if state:
        query = query.where(CaseRow.state == state)
    for row in session.scalars(query):
        case = _case(session, row, with_words=False)
        if overdue_on is None or case.overdue(overdue_on):
            yield case


def _by_code(code: CaseCode) -> Select[CaseRow]:
    return select(CaseRow).where(CaseRow.code == code.value)


def _must(session: Session, code: CaseCode) -> CaseRow:
    """The row of a case, locked: whoever moves it waits for whoever moves it now."""
    row = session.scalar(_by_code(code).with_for_update())
    if row is None:
        raise CaseNotFound(str(code))
    return row


def _case(session: Session, row: CaseRow, *, with_words: bool) -> Case:
    moves = session.scalars(select(MoveRow).where(MoveRow.case_id == row.id).order_by(MoveRow.id))
    return Case(
        code=CaseCode(row.code),
        kind=CaseKind(row.kind),
        office=row.office,
        received_at=row.received_at,
        due_on=row.due_on,
        report=_report(session, row) if with_words else None,
        state=State(row.state),
        moves=[
            Move(
                move.at,
                State(move.to),
                move.by,
                unseal(session, move.reason, _REASON) if move.reason else None,
                unseal(session, move.answer, _ANSWER) if move.answer else None,
            )
            for move in moves
        ],
    )


def _report(session: Session, row: CaseRow) -> Report | None:
    if row.words is None:
        return None
    story = _REPORT.validate_json(unseal(session, row.words, _WORDS))
    if row.contact is None:
        return story
    person = _REPORT.validate_json(unseal(session, row.contact, _CONTACT))
    return Report(story.what, story.where, story.when, person.name, person.contact)
