"""Files: what citizens attach to a case, and what officers send with an answer; always sealed."""

import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from actions.action import Attachment, AttachmentKind
from bot.store import seal, seal_bytes, unseal, unseal_bytes
from bot.store.keys import KeysUnusable
from bot.store.tables import ConversationRow, FileRow

_ATTACHMENT = TypeAdapter(Attachment)
_WORDS, _CONTENT = "files.words", "files.content"

WANTED, KEPT, GONE = "wanted", "kept", "gone"


class FileMissing(Exception):  # noqa: N818 - a fact, not a failure
    """There is no such file, or its content is not (or no longer) kept."""


@dataclass(frozen=True)
class StoredFile:
    """A file with its content."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class ListedFile:
    """A file of a case as an officer sees it listed."""

    id: int
    name: str
    media_type: str
    state: str
    size: int | None


@dataclass(frozen=True)
class WantedFile:
    """A citizen's file that is to be fetched from its platform; `attempt` is its fence."""

    id: int
    reference: str
    attempt: int


def want(
    session: Session,
    attachments: Sequence[Attachment],
    conversation_id: int,
    case_id: int,
    now: datetime,
    keep_until: datetime,
) -> None:
    """Notes the files of a case, to be fetched from the platform soon."""
    for attachment in attachments:
        session.add(
            FileRow(
                conversation_id=conversation_id,
                case_id=case_id,
                media_type=_media_type(attachment),
                words=seal(session, _ATTACHMENT.dump_json(attachment).decode(), _WORDS),
                state=WANTED,
                ready_at=now,
                keep_until=keep_until,
            )
        )


def put(
    session: Session,
    file: StoredFile,
    conversation_id: int | None,
    case_id: int,
    now: datetime,
    keep_until: datetime,
) -> int:
    """Keeps a file of ours and gives its id."""
    named = Attachment(AttachmentKind.FILE, name=file.name, size=len(file.content))
    row = FileRow(
        conversation_id=conversation_id,
        case_id=case_id,
        media_type=file.media_type,
        words=seal(session, _ATTACHMENT.dump_json(named).decode(), _WORDS),
        content=seal_bytes(session, file.content, _CONTENT),
        state=KEPT,
        ready_at=now,
        keep_until=keep_until,
    )
    session.add(row)
    session.flush()
    return row.id


def take_wanted(
    session: Session, channel: str, account: str, now: datetime, length: timedelta
) -> WantedFile | None:
    """Takes the first file of an account that is to be fetched now; until `length` is over it is
    nobody else's. What has no words left, or none that a key opens, is given up on the way."""
    while row := _first_wanted(session, channel, account, now):
        try:
            reference = _attachment(session, row).reference
        except (FileMissing, KeysUnusable):
            row.state = GONE
            continue
        row.attempts, row.ready_at = row.attempts + 1, now + length
        return WantedFile(row.id, reference, row.attempts)
    return None


def _first_wanted(session: Session, channel: str, account: str, now: datetime) -> FileRow | None:
    return session.scalar(
        select(FileRow)
        .join(ConversationRow, ConversationRow.id == FileRow.conversation_id)
        .where(
            FileRow.state == WANTED,
            FileRow.ready_at <= now,
            ConversationRow.channel == channel,
            ConversationRow.account == account,
        )
        .order_by(FileRow.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=FileRow)
    )


def fetched(session: Session, wanted: WantedFile, content: bytes) -> None:
    """Keeps the content of a file that was fetched."""
    row = _still_wanted(session, wanted)
    if row is not None:
        row.state, row.content = KEPT, seal_bytes(session, content, _CONTENT)


def later(session: Session, wanted: WantedFile, at: datetime) -> None:
    """Lets a file be fetched again at a moment."""
    row = _still_wanted(session, wanted)
    if row is not None:
        row.ready_at = at


def gone(session: Session, wanted: WantedFile) -> None:
    """Notes that a file cannot be had."""
    row = _still_wanted(session, wanted)
    if row is not None:
        row.state = GONE


def read(session: Session, file_id: int, conversation_id: int | None = None) -> StoredFile:
    """A file with its content, where one is named only if it is that conversation's; raises
    FileMissing."""
    row = session.get(FileRow, file_id)
    if row is None or row.content is None or row.words is None:
        raise FileMissing(file_id)
    if conversation_id is not None and row.conversation_id != conversation_id:
        raise FileMissing(file_id)
    name = _attachment(session, row).name
    return StoredFile(name, row.media_type, unseal_bytes(session, row.content, _CONTENT))


def of_case(session: Session, case_id: int) -> list[ListedFile]:
    """The files of a case, in the order in which they came."""
    rows = session.scalars(select(FileRow).where(FileRow.case_id == case_id).order_by(FileRow.id))
    return [_listed(session, row) for row in rows]


def _listed(session: Session, row: FileRow) -> ListedFile:
    if row.words is None:
        return ListedFile(row.id, "", row.media_type, GONE, None)
    attachment = _attachment(session, row)
    return ListedFile(row.id, attachment.name, row.media_type, row.state, attachment.size)


def _still_wanted(session: Session, wanted: WantedFile) -> FileRow | None:
    row = session.get(FileRow, wanted.id, with_for_update=True)
    if row is None or row.state != WANTED or row.attempts != wanted.attempt:
        return None
    return row


def _attachment(session: Session, row: FileRow) -> Attachment:
    if row.words is None:
        raise FileMissing(row.id)
    return _ATTACHMENT.validate_json(unseal(session, row.words, _WORDS))


def _media_type(attachment: Attachment) -> str:
    if attachment.kind is AttachmentKind.IMAGE:
        return "image/jpeg"
    return mimetypes.guess_type(attachment.name)[0] or "application/octet-stream"
