"""What officers do with cases: each step leaves an audit line, each answer reaches the citizen."""

from datetime import datetime

from actions.action import Says, says
from actions.cases import Case, CaseCode, State
from bot.store import Session, audit, cases, conversations, outbox
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
    reply = says("case_answered", code=str(code), answer=text)
    return _told(session, house, case, reply, who, now)


def close(
    session: Session, house: House, code: CaseCode, reason: str, who: str, now: datetime
) -> Case:
    """Closes a case; the citizen is told the reason."""
    case = cases.move(session, code, State.CLOSED, now, who, reason=reason)
    reply = says("case_closed", code=str(code), reason=reason)
    return _told(session, house, case, reply, who, now)


def _told(session: Session, house: House, case: Case, reply: Says, who: str, now: datetime) -> Case:
    """Writes the audit line of a step, named like its reply, and sends the citizen that reply."""
    audit.note(session, who, reply.reply, str(case.code), now)
    conversation_id = cases.conversation_of(session, case.code)
    if conversation_id is not None:
        conversation = conversations.lock(session, conversation_id)
        facts = house.facts(conversation.office, now)
        blocks = house.replies.word(reply, facts, no_choices)
        until = house.words_until(now)
        outbox.put(session, conversation.id, blocks, now, until, kind=outbox.NOTICE)
    return case
