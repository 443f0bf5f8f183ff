"""The officers' desk: lists, shows, answers, closes and exports cases."""

import argparse
import csv
import getpass
import json
import mimetypes
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from actions.cases import (
    AnswerMissing,
    Case,
    CaseCode,
    MoveNotAllowed,
    NotACode,
    ReasonMissing,
    State,
)
from actions.deadlines import VIETNAM, local_day
from bot import desk
from bot.clock import system_clock
from bot.gateway import build_house
from bot.plain import printable
from bot.settings import load_settings
from bot.store import Session, Store, audit, cases, files
from bot.store.cases import CaseNotFound
from bot.store.files import FileMissing, StoredFile
from bot.store.keys import KeyRing
from bot.turn import House

_MAX_WHY = 200
_MOST_BYTES = 10 * 2**20
_FILE_STATES = {
    files.WANTED: "đang tải về",
    files.KEPT: "đã lưu",
    files.GONE: "không còn",
}


class FileTooLarge(Exception):  # noqa: N818 - a fact, not a failure
    """A file is larger than what may be sent with an answer."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One of: list, show, answer, close, file, export."""
    parser.add_argument("--who", help="name for the audit trail")
    what = parser.add_subparsers(dest="what", required=True)
    listing = what.add_parser("list", help="cases without their words, oldest first")
    listing.add_argument("--office")
    listing.add_argument("--state", choices=list(State))
    listing.add_argument("--overdue", action="store_true")
    listing.add_argument("--json", action="store_true")
    show = what.add_parser("show", help="one case with its words; leaves an audit line")
    show.add_argument("code")
    show.add_argument("--why", default="to handle the case", help="reason for the audit trail")
    answer = what.add_parser("answer", help="answers a case; the citizen gets it where they wrote")
    answer.add_argument("code")
    answer.add_argument("--text", required=True, help="the answer; - reads standard input")
    answer.add_argument("--file", type=Path, help="an image or a document to send with it")
    close = what.add_parser("close", help="closes a case, with a reason that the citizen is told")
    close.add_argument("code")
    close.add_argument("--reason", required=True)
    file = what.add_parser("file", help="saves a file of a case; leaves an audit line")
    file.add_argument("code")
    file.add_argument("file", type=int, help="its number, as `show` lists it")
    file.add_argument(
        "--to", type=Path, required=True, help="where to save it; nothing is replaced"
    )
    file.add_argument("--why", default="to handle the case", help="reason for the audit trail")
    export = what.add_parser("export", help="cases without their words, as a table")
    export.add_argument("--csv", action="store_true", required=True)


def main(args: argparse.Namespace) -> int:
    """Does one thing with cases; what is wrong with it is told in a sentence."""
    settings = load_settings()
    house = build_house(settings)
    store = Store(settings.database, KeyRing.load(settings.keys))
    store.migrate()
    at = Counter(store, house, args.who or _operator(), system_clock())
    try:
        return at.do(args)
    except NotACode:
        print(f"Mã {args.code} không đúng dạng MC-XXXX-XXXX-X hoặc gõ nhầm.", file=sys.stderr)
    except CaseNotFound:
        print(f"Không có vụ việc nào mang mã {args.code}.", file=sys.stderr)
    except MoveNotAllowed as error:
        print(f"Không chuyển được trạng thái: {error}.", file=sys.stderr)
    except ReasonMissing:
        print("Cần nêu lý do.", file=sys.stderr)
    except FileMissing:
        print(
            "Vụ việc không có tệp ấy, hoặc tệp chưa tải được hay đã hết hạn lưu.", file=sys.stderr
        )
    except FileTooLarge:
        print("Tệp lớn quá 10 MB.", file=sys.stderr)
    except OSError as error:
        print(f"Không đọc hoặc ghi được tệp: {error.strerror}.", file=sys.stderr)
    except AnswerMissing:
        print("Cần viết câu trả lời.", file=sys.stderr)
    finally:
        store.close()
    return 1


@dataclass(frozen=True)
class Counter:
    """What one officer does at the command line, at one moment."""

    store: Store
    house: House
    who: str
    now: datetime

    def do(self, args: argparse.Namespace) -> int:
        """One of the subcommands."""
        match args.what:
            case "list":
                day = local_day(self.now) if args.overdue else None
                found = self.store.run_here(_listed, args.office, args.state, day)
                _print_list(found, as_json=args.json)
            case "show":
                code = CaseCode.parse(args.code)
                shown = self.store.run_here(_shown, code, self.who, args.why[:_MAX_WHY], self.now)
                print(shown)
            case "answer":
                code = CaseCode.parse(args.code)
                text = sys.stdin.read().strip() if args.text == "-" else args.text
                file = _read_file(args.file) if args.file else None
                self.store.run_here(
                    desk.answer, self.house, code, text, self.who, self.now, file=file
                )
                print(f"Đã trả lời {code}.")
            case "close":
                code = CaseCode.parse(args.code)
                self.store.run_here(desk.close, self.house, code, args.reason, self.who, self.now)
                print(f"Đã kết thúc {code}.")
            case "file":
                code, why = CaseCode.parse(args.code), args.why[:_MAX_WHY]
                read = self.store.run_here(desk.read_file, code, args.file, self.who, why, self.now)
                _save(args.to, read.content)
                print(f"Đã lưu vào {args.to}.")
            case "export":
                _write_csv(self.store.run_here(_listed, None, None, None))
        return 0


def _operator() -> str:
    """Who runs the command, for the audit trail."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def _read_file(path: Path) -> StoredFile:
    content = path.read_bytes()
    if len(content) > _MOST_BYTES:
        raise FileTooLarge(path)
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return StoredFile(path.name, media_type, content)


def _save(path: Path, content: bytes) -> None:
    """Writes a new file that only its owner can read; raises FileExistsError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _listed(
    session: Session, office: str | None, state: str | None, overdue_on: date | None
) -> list[dict[str, Any]]:
    return [_row(case) for case in cases.listed(session, office, state, overdue_on)]


def _row(case: Case) -> dict[str, Any]:
    return {
        "code": str(case.code),
        "kind": str(case.kind),
        "state": str(case.state),
        "office": case.office,
        "received_at": case.received_at.isoformat(timespec="seconds"),
        "due_on": case.due_on.isoformat(),
    }


def _print_list(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    if not rows:
        print("Không có vụ việc nào.")
    for row in rows:
        print(f"{row['code']}  {row['state']:<10} {row['kind']:<10} hạn {row['due_on']}")


def _shown(session: Session, code: CaseCode, who: str, why: str, now: datetime) -> str:
    case = desk.read(session, code, who, why, now)
    lines = [f"{name}: {value}" for name, value in _row(case).items()]
    lines += _report(case)
    lines += [
        f"Tệp {file.id}: {printable(file.name) or file.media_type} ({_FILE_STATES[file.state]})"
        for file in files.of_case(session, cases.id_of(session, code))
    ]
    lines += [
        f"{_when(move.at)} {move.by}: {move.to} {move.answer or move.reason or ''}".rstrip()
        for move in case.moves
    ]
    lines += [
        f"{_when(at)} {by}: {did} {reason or ''}".rstrip()
        for at, by, did, reason in audit.about(session, str(code))
    ]
    return "\n".join(lines)


def _when(at: datetime) -> str:
    """A moment as officers read it: Việt Nam's time."""
    return f"{at.astimezone(VIETNAM):%H:%M %d/%m/%Y}"


def _report(case: Case) -> list[str]:
    if case.report is None:
        return ["Nội dung đã hết hạn lưu và đã xóa."]
    told = case.report
    return [
        f"Nội dung: {printable(told.what)}",
        f"Nơi xảy ra: {printable(told.where or 'không nêu')}",
        f"Thời gian: {printable(told.when or 'không nêu')}",
        f"Người gửi: {printable(told.name or 'không nêu tên')}",
        f"Liên hệ: {printable(told.contact or 'không nêu')}",
    ]


def _write_csv(rows: Iterable[dict[str, Any]]) -> None:
    columns = ("code", "kind", "state", "office", "received_at", "due_on")
    writer = csv.DictWriter(sys.stdout, columns)
    writer.writeheader()
    writer.writerows(rows)
