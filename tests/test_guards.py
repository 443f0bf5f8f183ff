"""Guards look at the whole program: imports, words, logs, settings, tables."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import SecretStr
from pydantic_settings import BaseSettings
from sqlalchemy import LargeBinary, MetaData, select
from sqlalchemy import Table as SqlTable

import bot.settings
from bot.channel import channel_modules
from bot.settings import CHECKOUT
from bot.store import Session, Store, retention, strays
from bot.store.files import StoredFile
from bot.store.tables import Table as OurTable
from nlu.text import has_diacritics
from tests.conftest import Citizen
from tests.fakes.nlu import FakeNlu

CODE = sorted(path for room in ("actions", "bot") for path in (CHECKOUT / room).glob("**/*.py"))
TREES = {path.relative_to(CHECKOUT).as_posix(): ast.parse(path.read_text()) for path in CODE}
TABLES: MetaData = OurTable.metadata


def walked(kind: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Every node of that kind in our code, with the file in which it stands."""
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kind):
                yield file, node


# Imports keep their direction.


def test_the_import_contracts_hold() -> None:
    lint = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=CHECKOUT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    kept = re.search(r"Contracts: (\d+) kept, 0 broken", lint.stdout)
    assert kept, lint.stdout
    assert int(kept[1]) >= 5


def imported() -> Iterator[tuple[str, str]]:
    for file, node in walked(ast.AST):
        if isinstance(node, ast.Import):
            yield from ((file, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield file, node.module or ""


def test_of_nlu_only_its_text_is_imported() -> None:
    ours = {(file, name) for file, name in imported() if name.split(".")[0] == "nlu"}
    assert {(file, name) for file, name in ours if name != "nlu.text"} == set()


def test_nobody_reads_yaml_with_pyyaml() -> None:
    assert {file for file, name in imported() if name.split(".")[0] == "yaml"} == set()


def test_only_one_place_reads_the_machines_clock() -> None:
    """Day and now are arguments everywhere else, so that any day can be asked about."""
    reading = {
        file
        for file, node in walked(ast.Call)
        if re.fullmatch(
            r"(datetime\.)?(datetime|date)\.(now|today|utcnow)|time\.time", ast.unparse(node.func)
        )
    }
    assert reading == {"bot/clock.py"}


# Python holds no sentences that answer people.

OFFICERS_DESK = "bot/commands/cases.py"
NO_ANSWERS = {
    ("actions/knowledge/__init__.py", "Thành phố "),  # a prefix that is taken off names
    ("bot/commands/ask.py", 'give a question: motcua ask "câu hỏi"'),  # told to an operator
    ("bot/commands/demo.py", "\n[người dân] "),  # who speaks, in a printed demonstration
    ("bot/commands/demo.py", "\n[trợ lý] "),
    ("bot/commands/demo.py", "\n[cán bộ] "),
}


def docstrings(tree: ast.AST) -> set[ast.AST]:
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def vietnamese() -> set[tuple[str, str]]:
    found = set()
    for file, tree in TREES.items():
        said = docstrings(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in said:
                found |= {(file, node.value)} if has_diacritics(node.value) else set()
    return found


def test_no_vietnamese_sentence_in_python_answers_people() -> None:
    elsewhere = {(file, text) for file, text in vietnamese() if file != OFFICERS_DESK}
    assert elsewhere - NO_ANSWERS == set()


def test_nothing_is_allowed_that_is_no_longer_there() -> None:
    assert NO_ANSWERS - vietnamese() == set()


# Logs hold nothing that people wrote.

WORDS = re.compile(r"text|words?|said|body|message|contact|report|answer|blocks|normalized")


def log_calls() -> Iterator[tuple[str, ast.Call]]:
    for file, node in walked(ast.Call):
        assert isinstance(node, ast.Call)
        if re.match(r"(log|logger|logging)\.", ast.unparse(node.func)):
            yield file, node


def test_logs_are_written_somewhere() -> None:
    assert len(list(log_calls())) > 5


def test_no_log_call_is_given_what_people_wrote() -> None:
    given = {
        (file, ast.unparse(part))
        for file, call in log_calls()
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]
        for part in ast.walk(argument)
        if isinstance(part, ast.Name | ast.Attribute)
    }
    risky = {(file, name) for file, name in given if WORDS.fullmatch(name.split(".")[-1])}
    assert risky == set()


def test_no_log_call_prints_the_text_of_an_unknown_error() -> None:
    """An error may quote what it choked on: its type and place are logged, not its words."""
    traced = {
        (file, ast.unparse(call))
        for file, call in log_calls()
        if ast.unparse(call.func).endswith(".exception")
        or any(keyword.arg in {"exc_info", "stack_info"} for keyword in call.keywords)
    }
    assert traced == set()


async def test_nothing_that_a_citizen_wrote_reaches_the_log(
    citizen: Citizen,
    fake_nlu: FakeNlu,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    secret = "tôi là Nguyễn Thị Ví Dụ, số 0900 000 000"
    fake_nlu.knows(secret, "bring_case", kind="feedback")
    await citizen.says(secret)
    fake_nlu.fails = "garbage"
    await citizen.says(secret)

    def broken(asked: object, *_: object) -> None:
        raise ValueError(f"cannot handle {asked}")

    monkeypatch.setattr(citizen.house.dialogue, "act", broken)
    await citizen.sends(secret)
    for _ in range(6):
        assert await citizen.worker.run_once() == []
        citizen.clock.move(minutes=2)
    assert "turn failed: inbox=" in caplog.text
    assert [word for word in ("Nguyễn", "Ví Dụ", "0900", "tôi là") if word in caplog.text] == []


# Settings are told to operators.


CLASSES = [
    found
    for module in [*channel_modules(), bot.settings]
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, BaseSettings) and found is not BaseSettings
]
FIELDS = {
    f"{found.model_config['env_prefix']}{name.upper()}": field
    for found in CLASSES
    for name, field in found.model_fields.items()
}


def settings() -> set[str]:
    return set(FIELDS)


def test_every_setting_stands_in_the_operators_guide() -> None:
    guide = (CHECKOUT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `(MOTCUA_[A-Z_]+)` \|", guide, re.MULTILINE)
    assert sorted(rows) == sorted(settings())
    assert set(re.findall(r"MOTCUA_[A-Z_]+", guide)) - settings() == set()


def test_every_setting_stands_in_the_example_file_and_shows_its_default() -> None:
    example = (CHECKOUT / ".env.example").read_text()
    shown = dict(re.findall(r"^#(MOTCUA_[A-Z_]+)=(.*)$", example, re.MULTILINE))
    assert set(shown) == settings()
    defaults = {}
    for name, field in FIELDS.items():
        default = field.default
        if isinstance(default, Path):
            default = default.relative_to(CHECKOUT).as_posix()
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        defaults[name] = str(default).lower() if isinstance(default, bool) else str(default)
    assert shown == defaults


def test_no_setting_is_named_that_does_not_exist() -> None:
    files = [CHECKOUT / "README.md", *(CHECKOUT / "docs").glob("**/*.md"), *CODE]
    named = {
        (path.name, name)
        for path in files
        for name in re.findall(r"\bMOTCUA_[A-Z]+(?:_[A-Z]+)*\b", path.read_text())
    }
    assert {(file, name) for file, name in named if name not in settings()} == set()


# Tables keep personal words sealed, for a time.


OURS = "accounts"
"""Its sealed secrets are our own keys to a platform, kept as long as the account is."""


def sealed_columns(table: SqlTable) -> list[str]:
    return [column.name for column in table.columns if isinstance(column.type, LargeBinary)]


def kept_for_a_time(table: SqlTable) -> bool:
    """Whether it says until when, hangs on a case that does, or holds no citizen's words."""
    if "keep_until" in table.columns or table.name == OURS:
        return True
    cases = TABLES.tables["cases"]
    return "keep_until" in cases.columns and any(
        key.column.table is cases for column in table.columns for key in column.foreign_keys
    )


def test_every_table_with_a_sealed_column_keeps_it_for_a_time() -> None:
    sealed = [table for table in TABLES.sorted_tables if sealed_columns(table)]
    assert len(sealed) >= 5
    assert [table.name for table in sealed if not kept_for_a_time(table)] == []


async def test_retention_wipes_every_sealed_column_of_every_table(
    citizen: Citizen, fake_nlu: FakeNlu, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _everything_personal(citizen, fake_nlu, monkeypatch)

    def left(session: Session) -> set[str]:
        return {
            f"{table.name}.{column}"
            for table in TABLES.sorted_tables
            for column in sealed_columns(table)
            if any(session.scalars(select(table.c[column])))
        }

    every = {
        f"{t.name}.{column}"
        for t in TABLES.sorted_tables
        if t.name != OURS
        for column in sealed_columns(t)
    }
    assert await citizen.store.run(left) == every
    citizen.clock.move(days=400)
    await citizen.store.run(retention.enforce, citizen.clock())
    assert await citizen.store.run(left) == set()


async def _everything_personal(
    citizen: Citizen, fake_nlu: FakeNlu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Puts something into every sealed column: a case with a name, an answer, a reason, a failed
    message."""
    from actions.cases import CaseCode
    from bot import desk
    from tests.conftest import case_code

    fake_nlu.knows("đèn đường hỏng đã hai tháng nay", "bring_case", kind="feedback")
    await citizen.says("đèn đường hỏng đã hai tháng nay")
    await citizen.presses("Đồng ý")
    for told in ("tổ 5", "hôm qua", "Nguyễn Thị Ví Dụ", "0900 000 000"):
        await citizen.says(told)
    code = CaseCode.parse(case_code(await citizen.presses("Gửi")))
    store, house, now = citizen.store, citizen.house, citizen.clock()
    photo = StoredFile("den.jpg", "image/jpeg", b"jpeg")
    await store.run(desk.answer, house, code, "Đã thay đèn.", "officer", now, file=photo)
    await store.run(strays.keep, "zalo", "oa", "new_event", b"{}", now, now)
    await store.run(desk.close, house, code, "Đã xong.", "officer", now)
    with monkeypatch.context() as patch:
        patch.setattr(house.dialogue, "act", lambda *_: 1 / 0)
        await citizen.sends("xin cảm ơn cán bộ")
        for _ in range(6):
            await citizen.worker.run_once()
            citizen.clock.move(minutes=2)


def test_no_personal_word_stands_in_a_column_that_is_not_sealed() -> None:
    """Words of people have a sealed column of their own; a new text column is looked at here."""
    plain = {
        f"{table.name}.{column.name}"
        for table in TABLES.sorted_tables
        for column in table.columns
        if column.type.python_type is str and not column.foreign_keys
    }
    assert plain == {
        "accounts.channel",
        "accounts.account",
        "accounts.trouble",
        "audit.who",
        "audit.did",
        "audit.subject",
        "audit.why",
        "case_moves.to",
        "case_moves.by",
        "cases.code",
        "cases.office",
        "cases.kind",
        "cases.state",
        "choices.token",
        "choices.label",
        "conversations.channel",
        "conversations.account",
        "conversations.person",
        "conversations.office",
        "conversations.lease_owner",
        "files.media_type",
        "files.state",
        "inbox.channel",
        "inbox.account",
        "inbox.album",
        "inbox.external_id",
        "inbox.state",
        "inbox.error",
        "jobs.name",
        "jobs.owner",
        "outbox.error",
        "outbox.kind",
        "outbox.state",
        "strays.account",
        "strays.channel",
        "strays.name",
        "turns.intent",
        "turns.result",
    }


def test_migrations_give_exactly_the_tables_of_the_code(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, TABLES) == []


def test_migrating_twice_changes_nothing(store: Store) -> None:
    store.migrate()
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, TABLES) == []
