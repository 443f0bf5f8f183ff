"""Our verbs as custom actions of a Rasa assistant: as Rasa calls them, and with a real Rasa."""

import asyncio
import builtins
import hashlib
import json
import os
import re
import socket
import sqlite3
import subprocess
import zlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import make_mocked_request
from ruamel.yaml import YAML
from sqlalchemy import func, select

from actions.cases import CaseCode, State
from bot import desk
from bot import store as bot_store
from bot.channels.rasa import FORM, PRESS, TURN, RasaActions, open_channel
from bot.gateway import Parts, assemble, create_app, reception_of
from bot.settings import CHECKOUT, BadSettings, Settings
from bot.store import Store, cases
from bot.store.tables import ConversationRow, InboxRow, OutboxRow, TurnRow
from bot.turn import House
from tests.conftest import Clock
from tests.fakes.nlu import FakeNlu, parse
from tests.fakes.rasa import FakeRasa
from tests.fakes.visitor import running, until

KHAI_SINH = ("dang_ky_khai_sinh", "procedure")
QUESTION = "làm khai sinh mất bao nhiêu tiền?"
STORY = "Đèn đường trước cổng chợ hỏng cả tuần nay."
NAME = "Nguyễn Thị Ví Dụ"

Shown = list[dict[str, Any]]


@pytest.fixture
def settings(tmp_path: Path, fake_nlu: FakeNlu) -> Settings:
    return Settings(_env_file=None, var=tmp_path, nlu_url=fake_nlu.url, nlu_timeout=0.5)


@pytest.fixture
def parts(settings: Settings, house: House, store: Store, clock: Clock, fake_nlu: FakeNlu) -> Parts:
    fake_nlu.knows(QUESTION, "ask_procedure", facets=("fee",), topic=KHAI_SINH)
    fake_nlu.knows(STORY, "bring_case", kind="feedback")
    return assemble(settings, house, store, clock)


@pytest.fixture
async def url(parts: Parts) -> AsyncIterator[str]:
    async with running(create_app(parts, [RasaActions(reception_of(parts))])) as url:
        yield url


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `motcua rasa domain` writes."""
    folder = tmp_path_factory.mktemp("assistant")
    motcua("rasa", "domain", str(folder), "--sentences", "12")
    return folder


@pytest.fixture
def rules(project: Path) -> dict[str, str]:
    """Which action a rule chooses for an intent."""
    written = YAML(typ="safe").load(project / "data" / "rules.yml")["rules"]
    return {r["steps"][0]["intent"]: r["steps"][1]["action"] for r in written}


@pytest.fixture
async def rasa(url: str, rules: dict[str, str]) -> AsyncIterator[FakeRasa]:
    async with ClientSession() as session:
        yield FakeRasa(url, session, rules)


def motcua(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CHECKOUT / ".venv" / "bin" / "motcua", *args],
        env={k: v for k, v in os.environ.items() if not k.startswith("MOTCUA_")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def words(shown: Shown) -> str:
    return "\n".join(part.get("text", "") for part in shown)


def button(shown: Shown, title: str) -> dict[str, str]:
    return next(b for part in shown for b in part.get("buttons", []) if b["title"] == title)


async def counted(store: Store, table: type) -> int:
    return await store.run(lambda s: s.scalar(select(func.count()).select_from(table)) or 0)


def code_in(shown: Shown) -> CaseCode:
    found = re.search(r"MC-[2-9A-Z]{4}-[2-9A-Z]{4}-[2-9A-Z]", words(shown))
    assert found, words(shown)
    return CaseCode.parse(found[0])


# What Rasa chooses is done.


async def test_a_question_is_answered_by_the_verb_that_rasa_chose(
    rasa: FakeRasa, store: Store
) -> None:
    shown = await rasa.says("lan", QUESTION, "ask_procedure")
    assert rasa.ran == ["motcua_answer"]
    assert "Đăng ký khai sinh" in words(shown)
    row = await store.run(lambda s: s.scalars(select(ConversationRow)).one())
    assert (row.channel, row.account, row.person) == ("rasa", "ubnd_phuong_vi_du", "lan")
    kept = await store.run(lambda s: s.scalars(select(InboxRow)).one())
    assert (kept.state, kept.words) == ("done", None)
    assert await store.run(lambda s: s.scalars(select(OutboxRow.state)).all()) == ["sent"]


async def test_choices_are_numbers_in_the_text_and_buttons(rasa: FakeRasa) -> None:
    [greeting] = await rasa.says("lan", "xin chào", "greet")
    assert "1. Hỏi thủ tục hành chính" in greeting["text"]
    payload = button([greeting], "Gặp cán bộ")["payload"]
    assert re.fullmatch(rf'/{PRESS}\{{"token": "[\w-]{{16}}"\}}', payload)


async def test_the_intent_of_rasas_own_classifier_decides_where_ours_says_otherwise(
    rasa: FakeRasa, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("cho hỏi", "out_of_scope")
    shown = await rasa.says("lan", "cho hỏi", "who_are_you", 0.36)
    assert "trợ lý tự động" in words(shown).lower()


async def test_an_intent_of_the_agencys_own_naming_still_gets_the_verb(
    rasa: FakeRasa, fake_nlu: FakeNlu
) -> None:
    rasa._rules["hoi_thu_tuc"] = "motcua_answer"
    shown = await rasa.says("lan", QUESTION, "hoi_thu_tuc")
    assert "Đăng ký khai sinh" in words(shown)
    fake_nlu.fails = "broken"
    shown = await rasa.says("lan", "đăng ký khai sinh", "hoi_thu_tuc")
    assert "Đăng ký khai sinh" in words(shown)


async def test_with_our_nlu_down_topics_are_found_by_name(
    rasa: FakeRasa, fake_nlu: FakeNlu
) -> None:
    fake_nlu.fails = "broken"
    shown = await rasa.says("lan", "Đăng ký kết hôn", "ask_procedure", 0.4)
    assert "Đăng ký kết hôn" in words(shown)
    shown = await rasa.says("lan", "chào", "nlu_fallback", 0.3, intent_ranking=RANKING)
    assert rasa.ran[-1] == TURN
    assert "1. Hỏi thủ tục hành chính" in words(shown)


RANKING = [
    {"name": "nlu_fallback", "confidence": 0.3},
    {"name": "greet", "confidence": 0.6},
    {"name": "hoi_gio", "confidence": 0.5},
]


async def test_what_our_own_components_left_in_the_message_is_not_asked_again(
    rasa: FakeRasa, fake_nlu: FakeNlu
) -> None:
    ours = parse("phí khai sinh", "ask_procedure", facets=("fee",), topic=KHAI_SINH)
    shown = await rasa.says(
        "lan", "phí khai sinh", **{k: ours[k] for k in ours if k not in {"text", "intent"}}
    )
    assert "Đăng ký khai sinh" in words(shown)
    assert fake_nlu.asked == []


async def test_an_assistant_that_speaks_first_lets_us_greet(rasa: FakeRasa) -> None:
    status, answer = await rasa.calls(rasa.call("lan", TURN))
    assert (status, answer["events"]) == (200, [])
    assert "1. Hỏi thủ tục hành chính" in words(answer["responses"])


async def test_a_payload_of_the_agencys_own_button_is_nobodys_words(
    rasa: FakeRasa, store: Store
) -> None:
    shown = await rasa.says("lan", "/bring_case")
    shown = await rasa.presses("lan", button(shown, "Đồng ý"))
    assert "việc gì đã xảy ra" in words(shown)


# The form.


async def test_a_form_from_consent_to_code_with_a_question_in_its_middle(
    rasa: FakeRasa, store: Store, fake_nlu: FakeNlu
) -> None:
    shown = await rasa.says("lan", STORY, "bring_case")
    assert "có đồng ý không" in words(shown)
    assert rasa.tracker("lan").active_loop["name"] == FORM
    shown = await rasa.presses("lan", button(shown, "Đồng ý"))
    assert "ở đâu" in words(shown)
    shown = await rasa.says("lan", QUESTION, "ask_procedure")
    assert "Đăng ký khai sinh" in words(shown)
    assert "ở đâu" in words(shown)
    await rasa.says("lan", "cổng chợ Bình An", "greet")
    await rasa.says("lan", "1")
    await rasa.says("lan", NAME)
    shown = await rasa.says("lan", "1")
    assert STORY in words(shown)
    assert NAME in words(shown)
    shown = await rasa.presses("lan", button(shown, "Gửi"))
    case = await store.run(cases.show, code_in(shown))
    assert case.state is State.RECEIVED
    assert case.report is not None
    assert (case.report.what, case.report.where) == (STORY, "cổng chợ Bình An")
    assert rasa.tracker("lan").active_loop == {}
    assert rasa.ran == ["motcua_take_case", *[FORM] * 7]


async def test_a_form_goes_on_where_rasa_has_forgotten_it(rasa: FakeRasa) -> None:
    await rasa.says("lan", "tôi muốn phản ánh", "bring_case")
    del rasa.trackers["lan"]
    shown = await rasa.says("lan", "đồng ý", "affirm")
    assert "việc gì đã xảy ra" in words(shown)
    assert rasa.tracker("lan").active_loop["name"] == FORM


async def test_a_form_that_a_press_opens_or_words_cancel_is_known_to_rasa(rasa: FakeRasa) -> None:
    shown = await rasa.says("lan", "xin chào", "greet")
    await rasa.presses("lan", button(shown, "Gửi phản ánh, kiến nghị"))
    assert rasa.tracker("lan").active_loop["name"] == FORM
    shown = await rasa.says("lan", "hủy", "cancel")
    assert rasa.tracker("lan").active_loop == {}
    assert rasa.ran == ["motcua_greet", TURN, FORM]


async def test_an_officers_answer_comes_with_the_next_message(
    rasa: FakeRasa, store: Store, house: House, clock: Clock
) -> None:
    shown = await rasa.says("lan", STORY, "bring_case")
    for choice in ("Đồng ý", "Không nêu địa điểm", "Không nhớ thời gian", "Gửi không nêu tên"):
        shown = await rasa.presses("lan", button(shown, choice))
    shown = await rasa.presses("lan", button(shown, "Gửi"))
    code = code_in(shown)
    await store.run(desk.answer, house, code, "Đã thay bóng đèn.", "can_bo", clock())
    notice, _greeting = await rasa.says("lan", "chào", "greet")
    assert "Đã thay bóng đèn." in notice["text"]
    [alone] = await rasa.says("lan", "chào", "greet")
    assert "Đã thay bóng đèn." not in alone["text"]


# Presses.


async def test_another_persons_token_and_an_old_one_press_nothing(
    rasa: FakeRasa, clock: Clock
) -> None:
    shown = await rasa.says("lan", "xin chào", "greet")
    hers = button(shown, "Gửi phản ánh, kiến nghị")
    stolen = await rasa.presses("minh", hers)
    assert "không còn dùng được" in words(stolen)
    assert rasa.tracker("minh").active_loop == {}
    clock.move(days=8)
    late = await rasa.presses("lan", hers)
    assert "không còn dùng được" in words(late)


@pytest.mark.parametrize(
    "typed", [f"/{PRESS}", f'/{PRESS}{{"token": 5}}', f'/{PRESS}{{"token": ["a"]}}']
)
async def test_what_only_looks_like_a_press_is_answered(rasa: FakeRasa, typed: str) -> None:
    assert words(await rasa.says("lan", typed))


# What goes wrong.


async def test_a_failing_turn_is_told_in_an_ordinary_response_and_kept_for_an_operator(
    rasa: FakeRasa,
    store: Store,
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = f"tôi là {NAME}"
    with monkeypatch.context() as patch:
        patch.setattr(house.dialogue, "act", _broken)
        status, answer = await rasa.calls(rasa.call("lan", "motcua_greet"))
        shown = await rasa.says("lan", secret, "greet")
    assert (status, answer["events"]) == (200, [])
    [told] = shown
    assert "gặp lỗi" in told["text"]
    assert secret not in json.dumps(shown, ensure_ascii=False) + caplog.text
    assert "rasa action failed: motcua_greet RuntimeError" in caplog.text
    row = await store.run(lambda s: s.scalars(select(InboxRow).order_by(-InboxRow.id)).first())
    assert (row.state, row.error) == ("failed", "RuntimeError")
    assert await counted(store, TurnRow) == 0
    assert set(await store.run(lambda s: s.scalars(select(OutboxRow.state)).all())) == {"sent"}
    assert "1. Hỏi thủ tục hành chính" in words(await rasa.says("lan", "chào", "greet"))


def _broken(*given: object) -> None:
    raise RuntimeError(f"cannot handle {given}")


async def test_a_turn_that_fails_in_a_form_leaves_the_form_open(
    rasa: FakeRasa, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rasa.says("lan", "tôi muốn phản ánh", "bring_case")
    with monkeypatch.context() as patch:
        patch.setattr(house.dialogue, "act", _broken)
        assert "gặp lỗi" in words(await rasa.says("lan", "đồng ý", "affirm"))
    assert rasa.tracker("lan").active_loop["name"] == FORM
    assert "việc gì đã xảy ra" in words(await rasa.says("lan", "đồng ý", "affirm"))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not wait long for a lock; ask for it before `store`."""
    monkeypatch.setattr(bot_store, "_LOCK_SECONDS", 0.05)


async def test_a_locked_database_is_told_and_keeps_nothing(
    impatient: None, store: Store, rasa: FakeRasa
) -> None:
    other = sqlite3.connect(store.engine.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert "gặp lỗi" in words(await rasa.says("lan", "chào", "greet"))
    finally:
        other.close()
    assert await counted(store, InboxRow) == 0


async def test_a_worker_that_held_the_conversation_has_lost_it(
    rasa: FakeRasa, store: Store
) -> None:
    await rasa.says("lan", "chào", "greet")
    before = await store.run(lambda s: s.scalars(select(ConversationRow.fence)).one())
    await rasa.says("lan", "chào", "greet")
    after = await store.run(lambda s: s.scalars(select(ConversationRow.fence)).one())
    assert after == before + 1


async def test_an_unknown_action_is_refused_as_the_protocol_says(
    rasa: FakeRasa, store: Store
) -> None:
    status, answer = await rasa.calls(rasa.call("lan", "action_cua_toi"))
    assert (status, answer["action_name"]) == (404, "action_cua_toi")
    assert "action_cua_toi" in answer["error"]
    assert await counted(store, ConversationRow) == 0


def _sender(name: str) -> dict[str, Any]:
    return {"next_action": TURN, "tracker": {"sender_id": name, "latest_message": {}}}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"khong phai json",
        b"[]",
        b'{"next_action": ""}',
        b'{"next_action": "motcua_turn"}',
        json.dumps(_sender("x" * 201)).encode(),
        json.dumps(_sender("la\x00n")).encode(),
        b"[" * 100_000,
    ],
)
async def test_what_is_no_call_is_refused(rasa: FakeRasa, store: Store, body: bytes) -> None:
    answer = await rasa._session.post(
        rasa.url, data=body, headers={"Content-Type": "application/json"}
    )
    assert (answer.status, set(await answer.json())) == (400, {"error"})
    assert await counted(store, ConversationRow) == 0


async def test_half_a_letter_is_kept_as_a_whole_one(rasa: FakeRasa) -> None:
    assert words(await rasa.says("lan", "ch\ud800ào", "greet"))


async def test_a_long_history_is_taken_up_to_ten_megabytes(rasa: FakeRasa) -> None:
    call = rasa.call("lan", "motcua_greet")
    call["tracker"]["events"] = ["x" * 9_000_000]
    status, _ = await rasa.calls(call)
    assert status == 200
    call["tracker"]["events"] = ["x" * 11_000_000]
    status, answer = await rasa.calls(call)
    assert (status, set(answer)) == (413, {"error"})


async def test_a_compressed_call_is_read_and_one_that_swells_is_refused(rasa: FakeRasa) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "deflate"}

    async def deflated(call: dict[str, Any]) -> int:
        body = zlib.compress(json.dumps(call).encode())
        async with rasa._session.post(rasa.url, data=body, headers=headers) as answer:
            return answer.status

    call = rasa.call("lan", "motcua_greet")
    assert await deflated(call) == 200
    call["tracker"]["events"] = ["x" * 11_000_000]
    assert await deflated(call) == 413


# Who may call.


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Origin"])
async def test_neither_a_proxy_nor_a_browser_may_call(
    rasa: FakeRasa, store: Store, header: str
) -> None:
    call = rasa.call("lan", "motcua_greet")
    status, _ = await rasa.calls(call, headers={header: "127.0.0.1"})
    assert status == 403
    assert await counted(store, ConversationRow) == 0
    assert (await rasa.calls(call))[0] == 200


@pytest.mark.parametrize(
    "peer", [("203.0.113.7", 4711), ("10.0.0.2", 4711), ("2001:db8::7", 4711, 0, 0), "", None]
)
async def test_a_stranger_may_not_call(parts: Parts, peer: object) -> None:
    request = make_mocked_request("POST", "/rasa/webhook", transport=Peer(peer))
    answer = await RasaActions(reception_of(parts)).webhook(request)
    assert answer.status == 403


class Peer:
    """The other end of a connection, wherever it is."""

    def __init__(self, name: object) -> None:
        self.name = name

    def get_extra_info(self, what: str, default: object = None) -> object:
        return self.name if what == "peername" else default


# Switched on and off.


def test_it_is_off_until_it_is_switched_on(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOTCUA_RASA", raising=False)
    assert open_channel(reception_of(parts)) is None
    monkeypatch.setenv("MOTCUA_RASA", "true")
    assert isinstance(open_channel(reception_of(parts)), RasaActions)
    monkeypatch.setenv("MOTCUA_RASA", "perhaps")
    with pytest.raises(BadSettings, match="MOTCUA_RASA"):
        open_channel(reception_of(parts))


def test_switched_on_without_rasa_sdk_it_says_what_to_install(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("rasa_sdk"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setenv("MOTCUA_RASA", "true")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BadSettings, match="uv sync --extra rasa"):
        open_channel(reception_of(parts))


# The files of a project.


@pytest.fixture
def little_data(tmp_path: Path) -> str:
    """Our intents over a little knowledge and few sentences, so that the command is quick."""
    data = tmp_path / "data"
    (data / "sentences" / "vi").mkdir(parents=True)
    for name in ("intents.yml", "sentences/vi/greet.yml", "sentences/vi/thanks.yml"):
        (data / name).symlink_to(CHECKOUT / "data" / name)
    (data / "knowledge").symlink_to(Path(__file__).parent / "bad_data" / "sound")
    return str(data)


def test_the_command_writes_a_project_and_overwrites_nothing(
    tmp_path: Path, little_data: str
) -> None:
    folder = tmp_path / "assistant"
    write = partial(motcua, "rasa", "domain", str(folder), MOTCUA_DATA=little_data)
    assert write("--sentences", "3").returncode == 0
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*.yml")}
    assert written == {
        "domain.yml",
        "config.yml",
        "endpoints.yml",
        "data/nlu.yml",
        "data/rules.yml",
    }
    (folder / "domain.yml").write_text("mine")
    refused = write()
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "domain.yml" in refused.stderr
    assert (folder / "domain.yml").read_text() == "mine"
    assert write("--force", MOTCUA_PORT="8123").returncode == 0
    assert "mine" not in (folder / "domain.yml").read_text()
    assert "http://127.0.0.1:8123/rasa/webhook" in (folder / "endpoints.yml").read_text()


def test_the_project_knows_every_intent_and_action(project: Path, rules: dict[str, str]) -> None:
    yaml = YAML(typ="safe")
    domain, nlu = yaml.load(project / "domain.yml"), yaml.load(project / "data" / "nlu.yml")
    intents = {entry["id"] for entry in yaml.load(CHECKOUT / "data" / "intents.yml")}
    assert set(domain["intents"]) == intents | {PRESS}
    assert set(rules) == intents | {PRESS, "nlu_fallback"}
    assert set(rules.values()) | {FORM} == set(domain["actions"])
    assert list(domain["forms"]) == [FORM]
    assert {entry["intent"] for entry in nlu["nlu"]} == intents
    for entry in nlu["nlu"]:
        lines = entry["examples"].splitlines()
        assert 0 < len(lines) <= 12
        assert all(line.startswith("- ") and not set(line) & set("[](){}") for line in lines)


# With a real Rasa.

NLU_PYTHON = CHECKOUT / "nlu" / ".venv" / "bin" / "python"
RASA_ENVIRONMENT = {
    "RASA_TELEMETRY_ENABLED": "false",
    "RASA_MAX_CACHE_SIZE": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONWARNINGS": "ignore",
}
READ_BY_TRAINING = ("domain.yml", "config.yml", "data/nlu.yml", "data/rules.yml")


def rasa_model(project: Path) -> Path:
    """The assistant that Rasa trains from the project; trained once for the same files."""
    read = [project / name for name in READ_BY_TRAINING] + [CHECKOUT / "nlu" / "uv.lock"]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in read))
    folder = CHECKOUT / "var" / "rasa-assistant"
    model = folder / f"{digest.hexdigest()[:16]}.tar.gz"
    if model.exists():
        return model
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    rasa_command(project, "train", "--out", str(folder), "--fixed-model-name", "new", "--quiet")
    for old in set(folder.glob("*.tar.gz")) - {folder / "new.tar.gz"}:
        old.unlink()
    return (folder / "new.tar.gz").replace(model)


def rasa_command(project: Path, *args: str) -> None:
    done = subprocess.run(
        [NLU_PYTHON, "-m", "rasa", *args],
        cwd=project,
        env=os.environ | RASA_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class RealRasa:
    """A child process `rasa run` with its REST channel."""

    def __init__(self, url: str, session: ClientSession, project: Path) -> None:
        self._url, self._session, self._project = url, session, project

    def learned(self, intent: str) -> str:
        """A sentence that it was trained with."""
        nlu = YAML(typ="safe").load(self._project / "data" / "nlu.yml")["nlu"]
        examples: str = next(e["examples"] for e in nlu if e["intent"] == intent)
        return examples.splitlines()[0].removeprefix("- ")

    async def up(self) -> bool:
        try:
            async with self._session.get(f"{self._url}/") as answer:
                return answer.status == 200
        except OSError:
            return False

    async def says(self, person: str, text: str) -> Shown:
        body = {"sender": person, "message": text}
        url = f"{self._url}/webhooks/rest/webhook"
        async with self._session.post(url, json=body) as answer:
            shown: Shown = await answer.json()
            return shown

    async def presses(self, person: str, pressed: dict[str, str]) -> Shown:
        return await self.says(person, pressed["payload"])


@pytest.fixture
async def real_rasa(parts: Parts, tmp_path: Path) -> AsyncIterator[RealRasa]:
    """A real assistant, trained and run from what `motcua rasa domain` writes, beside our route."""
    ours, theirs = free_port(), free_port()
    project = tmp_path / "assistant"
    written = motcua("rasa", "domain", str(project), "--sentences", "12", MOTCUA_PORT=str(ours))
    assert written.returncode == 0, written.stderr
    command = [NLU_PYTHON, "-m", "rasa", "run", "--model", rasa_model(project)]
    options = ["--connector", "rest", "--interface", "127.0.0.1", "--port", str(theirs)]
    with (tmp_path / "rasa.log").open("w") as output:
        child = await asyncio.create_subprocess_exec(
            *command,
            *options,
            cwd=project,
            env=os.environ | RASA_ENVIRONMENT,
            stdout=output,
            stderr=output,
        )
        try:
            app = create_app(parts, [RasaActions(reception_of(parts))])
            async with ClientSession() as session, running(app, ours):
                rasa = RealRasa(f"http://127.0.0.1:{theirs}", session, project)
                await until(rasa.up, within=120.0)
                yield rasa
        finally:
            child.terminate()
            await asyncio.wait_for(child.wait(), 20)


@pytest.mark.rasa
@pytest.mark.xdist_group("rasa")
async def test_a_real_rasa_holds_a_conversation_down_to_a_case_in_the_store(
    real_rasa: RealRasa,
    store: Store,
    fake_nlu: FakeNlu,
    house: House,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rasa = real_rasa
    learned = rasa.learned("ask_procedure")
    fake_nlu.knows(learned, "ask_procedure", facets=("fee",), topic=KHAI_SINH)

    shown = await rasa.says("lan", "xin chào")
    menu = button(shown, "Gửi phản ánh, kiến nghị")
    assert "1. Hỏi thủ tục hành chính" in words(shown)
    assert "Đăng ký khai sinh" in words(await rasa.says("lan", learned))
    assert "không còn dùng được" in words(await rasa.presses("minh", menu))

    shown = await rasa.presses("lan", menu)
    assert "có đồng ý không" in words(shown)
    with monkeypatch.context() as patch:
        patch.setattr(house.dialogue, "act", _broken)
        assert "gặp lỗi" in words(await rasa.says("lan", "đồng ý"))
    await rasa.presses("lan", button(shown, "Đồng ý"))
    assert "ở đâu" in words(await rasa.says("lan", STORY))
    aside = words(await rasa.says("lan", QUESTION))
    assert "Đăng ký khai sinh" in aside
    assert "ở đâu" in aside
    await rasa.says("lan", "cổng chợ Bình An")
    await rasa.says("lan", "/restart")
    await rasa.says("lan", "1")
    await rasa.says("lan", NAME)
    shown = await rasa.says("lan", "1")
    assert NAME in words(shown)
    shown = await rasa.presses("lan", button(shown, "Gửi"))
    case = await store.run(cases.show, code_in(shown))
    assert case.report is not None
    assert (case.report.what, case.report.where) == (STORY, "cổng chợ Bình An")
    assert case.report.name == NAME

    assert "1. Hỏi thủ tục hành chính" in words(await rasa.says("lan", "xin chào"))
    states = await store.run(lambda s: s.scalars(select(OutboxRow.state)).all())
    assert set(states) == {"sent"}
