"""The officers' desk at the command line, on a database with real cases."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from sqlalchemy import select

from actions.action import Attachment, AttachmentKind, CaseTaken
from actions.cases import CaseCode, CaseKind, Report
from bot.__main__ import main
from bot.message import Message, Sender, TextBlock
from bot.settings import CHECKOUT
from bot.store import Session, Store, audit, cases, conversations, files, inbox, outbox
from bot.store.keys import KeyRing
from bot.store.outbox import Outgoing
from bot.store.tables import OutboxRow

OFFICE = "ubnd_phuong_vi_du"
SENDER = Sender("web", OFFICE, "lan")
STORY = "Chờ cả buổi sáng ở quầy số 3."
NAME, PHONE = "Nguyễn Thị Ví Dụ", "0900 000 000"
UNKNOWN = "MC-2222-2222-2"
COLUMNS = ["code", "kind", "state", "office", "received_at", "due_on"]


@pytest.fixture(scope="module")
def little_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real replies and intents over a little knowledge, so that each command starts quickly."""
    data = tmp_path_factory.mktemp("data")
    for name in ("replies", "vocabulary", "intents.yml", "shortcuts.yml"):
        (data / name).symlink_to(CHECKOUT / "data" / name)
    (data / "knowledge").symlink_to(Path(__file__).parent / "bad_data" / "sound")
    return data


@pytest.fixture
def desk(tmp_path: Path, little_data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An installation of its own: keys, a database, and the store as the gateway opens it."""
    var = tmp_path / "var"
    for name in [name for name in os.environ if name.startswith("MOTCUA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MOTCUA_VAR", str(var))
    monkeypatch.setenv("MOTCUA_DATA", str(little_data))
    keys, _ = KeyRing.load_or_make(var / "keys.json")
    store = Store(f"sqlite:///{var / 'motcua.db'}", keys, durable=False)
    store.migrate()
    yield store
    store.close()


def brought(
    store: Store,
    *,
    kind: CaseKind = CaseKind.FEEDBACK,
    days_ago: int = 0,
    named: bool = True,
    story: str = STORY,
) -> str:
    """A case that was brought in a conversation, that many days ago."""
    code = CaseCode.draw()
    now = datetime.now(UTC) - timedelta(days=days_ago)
    told = Report(story, "quầy số 3", "sáng nay", *((NAME, PHONE) if named else ()))

    def bring(session: Session) -> None:
        inbox.keep(session, Message(SENDER, str(code), now, "x"), OFFICE, now, now)
        conversation = conversations.find(session, SENDER)
        assert conversation is not None
        taken = CaseTaken(code, kind, told, now.date() + timedelta(days=10))
        cases.keep(session, taken, conversation.id, OFFICE, now, now + timedelta(days=365))

    store.run_here(bring)
    return str(code)


def notices(store: Store) -> list[Outgoing]:
    """What is on its way to the citizen."""

    def read(session: Session) -> list[Outgoing]:
        conversation = conversations.find(session, SENDER)
        return outbox.after(session, conversation.id, 0) if conversation else []

    return store.run_here(read)


def trail(store: Store, code: str) -> list[tuple[str, str, str | None]]:
    """Who did what to a case, and why."""
    lines = store.run_here(lambda session: list(audit.about(session, code)))
    return [(who, did, why) for _, who, did, why in lines]


class Typed:
    """What `motcua …` answered."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def motcua(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Types a command, as the shell would call it."""

    def type_(*words: str) -> Typed:
        monkeypatch.setattr(sys, "argv", ["motcua", *words])
        try:
            code = main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        return Typed(code, out, err)

    return type_


def test_a_list_shows_cases_without_their_words(desk: Store, motcua) -> None:
    code = brought(desk)
    listed = motcua("cases", "list")
    assert listed.code == 0
    assert re.fullmatch(rf"{code}  received   feedback   hạn \d{{4}}-\d\d-\d\d\n", listed.out)
    assert [word for word in (STORY, NAME, PHONE) if word in listed.out] == []
    assert trail(desk, code) == []


def test_an_empty_list_says_so(desk: Store, motcua) -> None:
    assert motcua("cases", "list").out == "Không có vụ việc nào.\n"
    assert motcua("cases", "list", "--json").out == "[]\n"


def test_a_list_in_json_has_one_object_for_each_case(desk: Store, motcua) -> None:
    first, second = brought(desk, days_ago=2), brought(desk, kind=CaseKind.PROPOSAL)
    rows = json.loads(motcua("cases", "list", "--json").out)
    assert [list(row) for row in rows] == [COLUMNS] * 2
    assert [(row["code"], row["kind"], row["state"]) for row in rows] == [
        (first, "feedback", "received"),
        (second, "proposal", "received"),
    ]
    for row in rows:
        assert datetime.fromisoformat(row["received_at"]).utcoffset() == timedelta(0)
        assert date.fromisoformat(row["due_on"])


def test_a_list_is_narrowed_by_office_state_and_day(desk: Store, motcua) -> None:
    late, fresh = brought(desk, days_ago=30), brought(desk)
    motcua("cases", "answer", fresh, "--text", "Đã xử lý.")

    def codes(*words: str) -> list[str]:
        return [row["code"] for row in json.loads(motcua("cases", "list", "--json", *words).out)]

    assert codes() == [late, fresh]
    assert codes("--overdue") == [late]
    assert codes("--state", "answered") == [fresh]
    assert codes("--state", "closed") == []
    assert codes("--office", OFFICE) == [late, fresh]
    assert codes("--office", "another") == []


def test_show_prints_the_words_and_leaves_who_and_why(desk: Store, motcua) -> None:
    code = brought(desk)
    shown = motcua("cases", "--who", "lan.nt", "show", code, "--why", "trực tiếp nhận")
    assert shown.code == 0
    assert [word for word in (STORY, "quầy số 3", NAME, PHONE) if word not in shown.out] == []
    assert trail(desk, code) == [("lan.nt", "case_read", "trực tiếp nhận")]
    assert "lan.nt: case_read trực tiếp nhận" in shown.out


def test_a_very_long_why_is_kept_as_far_as_its_column_goes(desk: Store, motcua) -> None:
    code = brought(desk)
    motcua("cases", "show", code, "--why", "x" * 1000)
    [(_, _, why)] = trail(desk, code)
    assert why == "x" * 200


def test_show_of_an_unnamed_case_says_what_was_not_told(desk: Store, motcua) -> None:
    shown = motcua("cases", "show", brought(desk, named=False))
    assert "Người gửi: không nêu tên" in shown.out
    assert "Liên hệ: không nêu" in shown.out


def test_a_code_is_read_however_it_is_typed(desk: Store, motcua) -> None:
    code = brought(desk)
    for typed in (code.lower(), code.replace("-", ""), f" {code.replace('-', ' ')} "):
        assert motcua("cases", "show", typed).code == 0
    assert len(trail(desk, code)) == 3


def test_an_answer_reaches_the_citizens_outbox(desk: Store, motcua) -> None:
    code = brought(desk)
    told = motcua("cases", "--who", "lan.nt", "answer", code, "--text", "Đã thêm người trực.")
    assert (told.code, told.out) == (0, f"Đã trả lời {code}.\n")
    [notice] = notices(desk)
    assert notice.kind == "notice"
    assert code in notice.blocks[0].text
    assert "Đã thêm người trực." in notice.blocks[0].text
    assert trail(desk, code) == [("lan.nt", "case_answered", None)]


def test_an_answer_may_come_from_standard_input(
    desk: Store, motcua, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that its words do not stand in the list of processes."""
    code = brought(desk)
    monkeypatch.setattr(sys, "stdin", io.StringIO("Đã thêm người trực.\n"))
    assert motcua("cases", "answer", code, "--text", "-").code == 0
    [notice] = notices(desk)
    assert "Đã thêm người trực." in notice.blocks[0].text


def test_words_of_a_citizen_cannot_steer_the_officers_terminal(desk: Store, motcua) -> None:
    code = brought(desk, story="đường hỏng\x1b[2J\nNgười gửi: Cán bộ X")
    shown = motcua("cases", "show", code).out
    assert "\x1b" not in shown
    assert "\nNgười gửi: Cán bộ X" not in shown


def test_a_second_answer_is_told_too(desk: Store, motcua) -> None:
    code = brought(desk)
    for text in ("Lần một.", "Lần hai."):
        assert motcua("cases", "answer", code, "--text", text).code == 0
    assert ["Lần một." in n.blocks[0].text for n in notices(desk)] == [True, False]
    shown = motcua("cases", "show", code).out
    assert shown.index("answered Lần một.") < shown.index("answered Lần hai.")


@pytest.mark.parametrize("text", ["", "   "])
def test_an_answer_without_words_is_refused_and_nobody_is_told(
    desk: Store, motcua, text: str
) -> None:
    code = brought(desk)
    refused = motcua("cases", "answer", code, "--text", text)
    assert (refused.code, refused.err) == (1, "Cần viết câu trả lời.\n")
    assert notices(desk) == []
    assert trail(desk, code) == []


def test_a_closure_tells_its_reason(desk: Store, motcua) -> None:
    code = brought(desk)
    closed = motcua("cases", "close", code, "--reason", "Không thuộc thẩm quyền của phường.")
    assert (closed.code, closed.out) == (0, f"Đã kết thúc {code}.\n")
    [notice] = notices(desk)
    assert "Không thuộc thẩm quyền của phường." in notice.blocks[0].text
    [(_, did, _)] = trail(desk, code)
    assert did == "case_closed"


def test_a_closure_without_a_reason_is_refused(desk: Store, motcua) -> None:
    code = brought(desk)
    assert motcua("cases", "close", code).code == 2
    refused = motcua("cases", "close", code, "--reason", "  ")
    assert (refused.code, refused.err) == (1, "Cần nêu lý do.\n")
    [row] = json.loads(motcua("cases", "list", "--json").out)
    assert row["state"] == "received"
    assert notices(desk) == []


def test_what_is_closed_is_not_answered(desk: Store, motcua) -> None:
    code = brought(desk)
    motcua("cases", "close", code, "--reason", "Đã xong.")
    refused = motcua("cases", "answer", code, "--text", "Đã xử lý.")
    assert (refused.code, refused.err) == (
        1,
        f"Không chuyển được trạng thái: {code}: closed -> answered.\n",
    )
    assert len(notices(desk)) == 1


@pytest.mark.parametrize(
    "words", [("show",), ("answer", "--text", "Đã xử lý."), ("close", "--reason", "Đã xong.")]
)
def test_unknown_and_mistyped_codes_are_told_apart(
    desk: Store, motcua, words: tuple[str, ...]
) -> None:
    what, *more = words
    unknown = motcua("cases", what, UNKNOWN, *more)
    assert (unknown.code, unknown.err) == (1, f"Không có vụ việc nào mang mã {UNKNOWN}.\n")
    mistyped = motcua("cases", what, "MC-2222-2222-3", *more)
    assert (mistyped.code, mistyped.err) == (
        1,
        "Mã MC-2222-2222-3 không đúng dạng MC-XXXX-XXXX-X hoặc gõ nhầm.\n",
    )
    assert trail(desk, UNKNOWN) == []


def test_a_table_of_cases_is_exported_without_their_words(desk: Store, motcua) -> None:
    codes = [brought(desk), brought(desk)]
    exported = motcua("cases", "export", "--csv")
    rows = list(csv.DictReader(StringIO(exported.out)))
    assert list(rows[0]) == COLUMNS
    assert [row["code"] for row in rows] == codes
    assert [word for word in (STORY, NAME, PHONE) if word in exported.out] == []


def test_words_whose_time_is_over_are_said_to_be_gone(desk: Store, motcua) -> None:
    from bot.store import retention

    code = brought(desk)
    desk.run_here(retention.enforce, datetime.now(UTC) + timedelta(days=366))
    shown = motcua("cases", "show", code)
    assert shown.code == 0
    assert "Nội dung đã hết hạn lưu và đã xóa." in shown.out


def test_without_keys_the_desk_says_what_is_missing(desk: Store, motcua, tmp_path: Path) -> None:
    (tmp_path / "var" / "keys.json").unlink()
    refused = motcua("cases", "list")
    assert refused.code == 1
    assert "keys.json is not a readable key ring" in refused.err


def test_with_the_wrong_keys_words_are_not_opened_and_no_line_claims_it(
    desk: Store, motcua, tmp_path: Path
) -> None:
    code = brought(desk)
    path = tmp_path / "var" / "keys.json"
    path.unlink()
    KeyRing.load_or_make(path)
    refused = motcua("cases", "show", code)
    assert (refused.code, refused.err) == (1, "no key of the ring opens cases.words\n")
    assert trail(desk, code) == []


def test_the_desk_works_as_a_process_beside_an_open_database(desk: Store) -> None:
    code = brought(desk)
    listed = subprocess.run(
        [str(Path(sys.executable).with_name("motcua")), "cases", "list", "--json"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (listed.returncode, listed.stderr) == (0, "")
    assert [row["code"] for row in json.loads(listed.stdout)] == [code]


def test_an_unknown_command_says_which_there_are(motcua) -> None:
    refused = motcua("case")
    assert refused.code == 2
    assert "cases" in refused.err


# What `parse` and `ask` read


def test_lines_are_read_as_they_are_or_as_json() -> None:
    from bot.commands.output import NotALine, read_texts

    lines = ["khai sinh\n", '{"text": "kết hôn"}\r\n', "\n", "{broken\n", '{"text": 5}\n', "[1]\n"]
    read = list(read_texts(lines))
    assert [text for text in read if isinstance(text, str)] == ["khai sinh", "kết hôn", "", "[1]"]
    assert [str(text) for text in read if isinstance(text, NotALine)] == [
        "the line is no JSON object with `text`",
        "`text` must be a string",
    ]


# Files of a case


def with_file(store: Store, code: str, *, content: bytes | None = b"pixels") -> int:
    """A photo of the citizen's that goes with a case; gives its number."""
    photo = Attachment(AttachmentKind.IMAGE, reference="photo-1", name="anh\x1b[2J.jpg")

    def add(session: Session) -> int:
        case = cases.id_of(session, CaseCode.parse(code))
        conversation = conversations.find(session, SENDER)
        assert conversation is not None
        now = datetime.now(UTC)
        files.want(session, [photo], conversation.id, case, now, now + timedelta(days=1))
        session.flush()
        wanted = files.take_wanted(session, "web", OFFICE, now, timedelta(seconds=60))
        assert wanted is not None
        if content is not None:
            files.fetched(session, wanted, content)
        return wanted.id

    return store.run_here(add)


def test_show_lists_the_files_of_a_case_and_how_far_they_are(desk: Store, motcua) -> None:
    code = brought(desk)
    kept, wanted = with_file(desk, code), with_file(desk, code, content=None)
    shown = motcua("cases", "show", code).out
    assert f"Tệp {kept}: anh [2J.jpg (đã lưu)" in shown
    assert f"Tệp {wanted}: anh [2J.jpg (đang tải về)" in shown
    assert "\x1b" not in shown


def test_a_file_is_saved_for_its_officer_alone_and_who_took_it_is_kept(
    desk: Store, motcua, tmp_path: Path
) -> None:
    code, to = brought(desk), tmp_path / "anh.jpg"
    file = with_file(desk, code)
    saved = motcua("cases", "--who", "lan.nt", "file", code, str(file), "--to", str(to))
    assert (saved.code, saved.out) == (0, f"Đã lưu vào {to}.\n")
    assert to.read_bytes() == b"pixels"
    assert to.stat().st_mode & 0o777 == 0o600
    assert trail(desk, code) == [("lan.nt", "file_read", "to handle the case")]
    assert "lan.nt: file_read" in motcua("cases", "show", code).out


def test_saving_a_file_replaces_nothing(desk: Store, motcua, tmp_path: Path) -> None:
    code, to = brought(desk), tmp_path / "anh.jpg"
    file = with_file(desk, code)
    to.write_bytes(b"another")
    refused = motcua("cases", "file", code, str(file), "--to", str(to))
    assert (refused.code, refused.err) == (1, "Không đọc hoặc ghi được tệp: File exists.\n")
    assert to.read_bytes() == b"another"


def test_a_file_of_another_case_or_one_not_fetched_yet_is_refused(
    desk: Store, motcua, tmp_path: Path
) -> None:
    code, other, to = brought(desk), brought(desk), tmp_path / "anh.jpg"
    theirs, wanted = with_file(desk, other), with_file(desk, code, content=None)
    for file in (theirs, wanted, 999):
        refused = motcua("cases", "file", code, str(file), "--to", str(to))
        assert refused.code == 1
        assert "Vụ việc không có tệp ấy" in refused.err
    assert not to.exists()
    assert trail(desk, code) == []


def test_an_answer_may_bring_a_file_that_the_case_then_lists(
    desk: Store, motcua, tmp_path: Path
) -> None:
    code, file = brought(desk), tmp_path / "ket-qua.pdf"
    file.write_bytes(b"%PDF-1.7")
    told = motcua("cases", "answer", code, "--text", "Đã xử lý.", "--file", str(file))
    assert told.code == 0
    [notice] = notices(desk)
    shown = notice.blocks[-1]
    assert (shown.type, shown.name, shown.media_type) == ("file", "ket-qua.pdf", "application/pdf")
    assert desk.run_here(files.read, shown.file).content == b"%PDF-1.7"
    assert f"Tệp {shown.file}: ket-qua.pdf (đã lưu)" in motcua("cases", "show", code).out


def test_an_answer_whose_file_is_missing_or_too_large_tells_nobody(
    desk: Store, motcua, tmp_path: Path
) -> None:
    code, large = brought(desk), tmp_path / "large.pdf"
    with large.open("wb") as file:
        file.truncate(10 * 2**20 + 1)
    for path, why in ((large, "Tệp lớn quá 10 MB."), (tmp_path / "none.pdf", "No such file")):
        refused = motcua("cases", "answer", code, "--text", "Đã xử lý.", "--file", str(path))
        assert refused.code == 1
        assert why in refused.err
    assert notices(desk) == []


# The outbox


def letters(store: Store) -> list[int]:
    """Three letters: one dead, one of unknown outcome, one that is ready; gives their ids."""
    sender, now = Sender("post", OFFICE, "lan"), datetime.now(UTC)

    def put(session: Session) -> list[int]:
        found = []
        for state in ("dead", "unknown", "ready"):
            conversation = conversations.of(session, sender, OFFICE, now)
            blocks = [TextBlock(text=STORY)]
            outbox.put(session, conversation.id, blocks, now, now + timedelta(days=1))
            row = session.get_one(OutboxRow, outbox.newest(session))
            row.state, row.error = state, "Refused: no such template"
            found.append(row.id)
        return found

    return store.run_here(put)


def states(store: Store) -> list[str]:
    return store.run_here(lambda session: [row.state for row in session.scalars(_ROWS)])


_ROWS = select(OutboxRow).order_by(OutboxRow.id)


def operators_trail(store: Store, row: int) -> list[str]:
    lines = store.run_here(lambda session: list(audit.about(session, f"outbox {row}")))
    return [did for _, _, did, _ in lines]


def test_an_empty_outbox_says_so(desk: Store, motcua) -> None:
    assert motcua("outbox", "list").out == "nothing needs to be looked at\n"


def test_the_outbox_lists_what_needs_an_operator_without_its_words(desk: Store, motcua) -> None:
    dead, unknown, _ = letters(desk)
    listed = motcua("outbox", "list")
    assert listed.code == 0
    first, second = listed.out.splitlines()
    assert re.match(rf"{dead}  .* post +reply +dead +0 tries  Refused: no such template$", first)
    assert re.match(rf"{unknown}  .* unknown ", second)
    assert STORY not in listed.out


def test_a_letter_is_retried_by_an_operator_with_a_line_in_the_trail(desk: Store, motcua) -> None:
    dead, unknown, ready = letters(desk)
    assert motcua("outbox", "retry", str(dead), str(unknown)).code == 0
    assert states(desk) == ["ready", "ready", "ready"]
    assert operators_trail(desk, dead) == ["outbox_retry"]
    refused = motcua("outbox", "retry", str(ready), "999")
    assert refused.code == 1
    assert refused.err.splitlines() == [
        f"{ready}: no such letter that could be changed",
        "999: no such letter that could be changed",
    ]
    assert operators_trail(desk, ready) == []


def test_a_letter_is_dropped_by_an_operator_with_a_line_in_the_trail(desk: Store, motcua) -> None:
    dead, *_ = letters(desk)
    assert motcua("outbox", "drop", str(dead)).code == 0
    assert states(desk) == ["dropped", "unknown", "ready"]
    assert operators_trail(desk, dead) == ["outbox_drop"]
    assert motcua("outbox", "drop", str(dead)).code == 1


def test_the_outbox_works_as_a_process_beside_an_open_database(desk: Store) -> None:
    dead, *_ = letters(desk)

    def process(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("motcua")), "outbox", *words],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )

    dropped = process("drop", str(dead))
    assert (dropped.returncode, dropped.stdout, dropped.stderr) == (0, "", "")
    assert states(desk)[0] == "dropped"
