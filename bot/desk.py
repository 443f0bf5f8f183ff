"""What officers do with cases: each step leaves an audit line, each answer reaches the citizen."""

from datetime import datetime

from actions.action import Says, says
from actions.cases import Case, CaseCode, State
from actions.deadlines import local_day
from bot.store import Session, audit, cases, outbox
from bot.store.tables import ConversationRow
from bot.turn import House, no_choices


def read(session: Session, code: CaseCode, who: str, why: str, now: datetime) -> Case:
    """A case with its words; who read it, and why, is kept."""
    case = cases.show(session, code)
    audit.note(session, who, "case_read", str(code), now, why)
    return case


def answer(
    session: Session, house: House, code: CaseCode, text: str, who: str, now: datetime
) -> Case:
    """Answers a case; the citizen gets the answer on the channel they wrote from."""
    case = cases.move(session, code, State.ANSWERED, now, who, answer=text)
    audit.note(session, who, "case_answered", str(code), now)
    _tell(session, house, code, says("case_answered", code=str(code), answer=text), now)
    return case


def close(
    session: Session, house: House, code: CaseCode, reason: str, who: str, now: datetime
) -> Case:
    """Closes a case; the citizen is told the reason."""
    case = cases.move(session, code, State.CLOSED, now, who, reason=reason)
    audit.note(session, who, "case_closed", str(code), now)
    _tell(session, house, code, says("case_closed", code=str(code), reason=reason), now)
    return case


def _tell(session: Session, house: House, code: CaseCode, reply: Says, now: datetime) -> None:
    conversation_id = cases.conversation_of(session, code)
    if conversation_id is None:
        return
    conversation = session.get_one(ConversationRow, conversation_id, with_for_update=True)
    facts = {"office": house.office(conversation.office), "day": local_day(now), "now": now}
    blocks = house.replies.word(reply, facts, no_choices)
    until = house.words_until(now)
    outbox.put(session, conversation_id, blocks, now, until, kind=outbox.NOTICE)
