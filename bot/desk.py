"""What officers do with cases: each step leaves an audit line, each answer reaches the citizen."""

from datetime import datetime, timedelta

from actions.action import Says, says
from actions.cases import Case, CaseCode, State
from bot.message import Block, FileBlock
from bot.store import Session, audit, cases, conversations, files, outbox
from bot.store.files import FileMissing, StoredFile
from bot.turn import House, no_choices


def read(session: Session, code: CaseCode, who: str, why: str, now: datetime) -> Case:
    """A case with its words; who read it, and why, is kept."""
    case = cases.show(session, code)
    audit.note(session, who, "case_read", str(code), now, why)
    return case


def answer(
    session: Session,
    house: House,
    code: CaseCode,
    text: str,
    who: str,
    now: datetime,
    *,
    file: StoredFile | None = None,
) -> Case:
    """Answers a case, with an image or a document if need be; the citizen gets the answer on the
    channel they wrote from."""
    case = cases.move(session, code, State.ANSWERED, now, who, answer=text)
    reply = says("case_answered", code=str(code), answer=text)
    shown = _kept(session, house, case, file, now) if file else ()
    return _told(session, house, case, reply, who, now, shown)


def close(
    session: Session, house: House, code: CaseCode, reason: str, who: str, now: datetime
) -> Case:
    """Closes a case; the citizen is told the reason."""
    case = cases.move(session, code, State.CLOSED, now, who, reason=reason)
    reply = says("case_closed", code=str(code), reason=reason)
    return _told(session, house, case, reply, who, now)


def read_file(
    session: Session, code: CaseCode, file_id: int, who: str, why: str, now: datetime
) -> StoredFile:
    """A file of a case; who read it, and why, is kept. Raises FileMissing."""
    if file_id not in {listed.id for listed in files.of_case(session, cases.id_of(session, code))}:
        raise FileMissing(file_id)
    audit.note(session, who, "file_read", f"{code} {file_id}", now, why)
    return files.read(session, file_id)


def _kept(
    session: Session, house: House, case: Case, file: StoredFile, now: datetime
) -> tuple[Block, ...]:
    """A file of ours, kept as long as the case, as the citizen is shown it."""
    until = case.received_at + timedelta(days=house.office(case.office).keeps_cases_days)
    conversation_id = cases.conversation_of(session, case.code)
    case_id = cases.id_of(session, case.code)
    file_id = files.put(session, file, conversation_id, case_id, now, until)
    return (FileBlock(file=file_id, name=file.name, media_type=file.media_type),)


def _told(
    session: Session,
    house: House,
    case: Case,
    reply: Says,
    who: str,
    now: datetime,
    shown: tuple[Block, ...] = (),
) -> Case:
    """Writes the audit line of a step, named like its reply, and sends the citizen that reply."""
    audit.note(session, who, reply.reply, str(case.code), now)
    conversation_id = cases.conversation_of(session, case.code)
    if conversation_id is not None:
        conversation = conversations.lock(session, conversation_id)
        facts = house.facts(conversation.office, now)
        blocks = (*house.replies.word(reply, facts, no_choices), *shown)
        until = house.words_until(now)
        outbox.put(session, conversation.id, blocks, now, until, kind=outbox.NOTICE)
    return case
