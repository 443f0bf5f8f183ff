"""The web chat over HTTP: what it lets in, what it keeps, what it sends and to whom."""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from sqlalchemy import func, select

from actions.cases import CaseCode
from bot import desk
from bot import store as bot_store
from bot.gateway import Parts, assemble, create_app
from bot.settings import Settings
from bot.store import Session, Store
from bot.store.files import StoredFile
from bot.store.keys import KeyRing
from bot.store.tables import InboxRow, OutboxRow, TurnRow
from bot.turn import House
from tests.conftest import Clock
from tests.fakes.nlu import FakeNlu
from tests.fakes.visitor import Visitor, running, until, words

KHAI_SINH = ("dang_ky_khai_sinh", "procedure")
QUESTION = "khai sinh mat bao nhieu tien"
STORY = "một cửa phường làm chậm quá, chờ cả buổi sáng không ai gọi"

HEADERS = {
    "Content-Security-Policy",
    "X-Content-Type-Options",
    "Referrer-Policy",
    "Cross-Origin-Opener-Policy",
    "Permissions-Policy",
}


class TickingClock(Clock):
    """A clock that moves on by a second whenever it is read, so that an order can be told."""

    def __call__(self) -> datetime:
        self.move(seconds=1)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return TickingClock()


@pytest.fixture
def settings(tmp_path: Path, fake_nlu: FakeNlu) -> Settings:
    return Settings(_env_file=None, var=tmp_path, nlu_url=fake_nlu.url, nlu_timeout=5.0)


@pytest.fixture
def parts(settings: Settings, house: House, store: Store, clock: Clock, fake_nlu: FakeNlu) -> Parts:
    fake_nlu.knows(QUESTION, "ask_procedure", facets=("fee",), topic=KHAI_SINH)
    fake_nlu.knows("chào", "greet")
    fake_nlu.knows("cảm ơn", "thanks")
    fake_nlu.knows(STORY, "bring_case", kind="feedback")
    return assemble(settings, house, store, clock)


@pytest.fixture
async def url(parts: Parts) -> AsyncIterator[str]:
    async with running(create_app(parts)) as url:
        yield url


@pytest.fixture
async def visitor(url: str) -> AsyncIterator[Visitor]:
    async with Visitor(url) as visitor:
        yield visitor


@pytest.fixture
async def stranger(url: str) -> AsyncIterator[Visitor]:
    async with Visitor(url) as visitor:
        yield visitor


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """The database as it is while another process writes to it for very long."""
    other = sqlite3.connect(store.engine.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not wait long for a lock; ask for it before `store`."""
    monkeypatch.setattr(bot_store, "_LOCK_SECONDS", 0.05)


async def counted(store: Store, table: type) -> int:
    def count(session: Session) -> int:
        return session.scalar(select(func.count()).select_from(table)) or 0

    return await store.run(count)


async def answered(store: Store, turns: int) -> None:
    """Waits until that many turns have been taken."""

    async def taken() -> bool:
        return await counted(store, TurnRow) == turns

    await until(taken)


# the page


async def test_the_cookie_is_random_and_out_of_reach_of_scripts_and_other_sites(url: str) -> None:
    async with ClientSession() as session:
        given = [(await session.get(url)).cookies["motcua_chat"] for _ in range(2)]
        session.cookie_jar.clear()
        given.append((await session.get(url)).cookies["motcua_chat"])
    values = {cookie.value for cookie in given}
    assert len(values) == 3
    for cookie in given:
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", cookie.value)
        assert cookie["httponly"] is True
        assert cookie["samesite"] == "Strict"
        assert cookie["path"] == "/"
        assert cookie["max-age"] == str(30 * 24 * 3600)
        assert not cookie["secure"]


async def test_a_visitor_keeps_their_cookie_for_as_long_as_words_are_kept(
    visitor: Visitor,
) -> None:
    mine = visitor.cookie
    again = (await visitor.session.get("/")).cookies["motcua_chat"]
    assert (again.value, again["max-age"]) == (mine, str(30 * 24 * 3600))
    assert (again["httponly"], again["samesite"]) == (True, "Strict")


@pytest.mark.parametrize("cookie", ["", "short", "a" * 42, "a" * 44, "a" * 42 + "'"])
async def test_a_cookie_that_we_never_gave_is_replaced(url: str, cookie: str) -> None:
    async with ClientSession() as session:
        response = await session.get(url, headers={"Cookie": f"motcua_chat={cookie}"})
        assert response.cookies["motcua_chat"].value != cookie


async def test_every_response_carries_the_headers(visitor: Visitor) -> None:
    paths = [
        "/",
        "/chat/history",
        "/chat/stream",
        "/static/chat.js",
        "/health",
        "/nowhere",
        "/static/nowhere.js",
        "/chat/messages",
    ]
    for path in paths:
        response = await visitor.session.get(path)
        assert response.headers.keys() >= HEADERS, path
        response.close()
    refused = await visitor.session.post("/chat/messages", data=b"{")
    assert (refused.status, refused.headers.keys() >= HEADERS) == (403, True)
    assert refused.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_policy_allows_only_what_this_site_serves(visitor: Visitor) -> None:
    response = await visitor.session.get("/")
    policy = dict(
        rule.split(" ", 1) for rule in response.headers["Content-Security-Policy"].split("; ")
    )
    assert policy.pop("default-src") == "'none'"
    assert policy.pop("frame-ancestors") == "'none'"
    assert policy.pop("base-uri") == "'none'"
    assert set(policy.values()) == {"'self'"}


async def test_the_page_has_no_inline_script_or_style_and_asks_nobody_else(
    visitor: Visitor,
) -> None:
    page = await (await visitor.session.get("/")).text()
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", page) == []
    assert re.findall(r"(?:src|href)=\"(?!/static/|tel:|#)", page) == []
    assert "Trợ lý tự động, không phải cán bộ" in page


async def test_everything_the_page_asks_for_is_served(visitor: Visitor) -> None:
    page = await (await visitor.session.get("/")).text()
    styles = [
        await (await visitor.session.get(f"/static/{name}.css")).text()
        for name in ("tokens", "chat")
    ]
    asked = {*re.findall(r"\"(/static/[^\"]+)\"", page)}
    asked |= {
        f"/static/{path}"
        for style in styles
        for path in re.findall(r"url\(\"?(?:\./|/static/)?([^)\"]+)\"?\)", style)
    }
    assert any(path.endswith(".woff2") for path in asked)
    for path in asked:
        assert (await visitor.session.get(path)).status == 200, path


async def test_the_page_itself_is_never_kept_by_a_browser(visitor: Visitor) -> None:
    response = await visitor.session.get("/")
    assert response.headers["Cache-Control"] == "no-store"


async def test_static_files_are_asked_for_again_and_fonts_are_not(visitor: Visitor) -> None:
    script = await visitor.session.get("/static/chat.js")
    assert script.headers["Cache-Control"] == "no-cache"
    again = await visitor.session.get(
        "/static/chat.js", headers={"If-None-Match": script.headers["ETag"]}
    )
    assert again.status == 304
    font = await visitor.session.get("/static/fonts/be-vietnam-pro-latin-400-normal.woff2")
    assert font.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../__init__.py",
        "/static/..%2f__init__.py",
        "/static/%2e%2e/__init__.py",
        "/static/fonts/..%2f..%2f..%2f__init__.py",
        "/static/..%5c__init__.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/",
        "/static/fonts",
        "/static/chat.js%00.css",
    ],
)
async def test_nothing_outside_the_static_folder_is_served(url: str, path: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    status = int(answer.split(b" ", 2)[1])
    assert status in {400, 403, 404}
    assert b"WebChat" not in answer
    assert b"root:" not in answer


# who may write


async def test_a_message_from_our_page_is_taken(visitor: Visitor) -> None:
    assert await visitor.send("chào") == (202, {"accepted": True})


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1", "", "127.0.0.1"],
)
async def test_a_foreign_origin_is_refused(visitor: Visitor, store: Store, origin: str) -> None:
    status, body = await visitor.post({"id": "message-1", "text": "chào"}, Origin=origin)
    assert (status, body["error"]) == (403, "not_from_our_page")
    assert body["message"].startswith("Dạ")
    assert await counted(store, InboxRow) == 0


@pytest.mark.parametrize(
    ("fetch_site", "expected"),
    [(None, 403), ("cross-site", 403), ("same-site", 403), ("none", 403), ("same-origin", 202)],
)
async def test_without_an_origin_the_browser_must_say_where_it_came_from(
    visitor: Visitor, fetch_site: str | None, expected: int
) -> None:
    visitor.headers = {"Sec-Fetch-Site": fetch_site} if fetch_site else {}
    assert (await visitor.send("chào"))[0] == expected


@pytest.mark.parametrize("public_url", ["https://hoi.example.vn", "https://hoi.example.vn/"])
async def test_behind_a_proxy_the_public_address_is_the_origin_and_the_cookie_is_secure(
    parts: Parts, public_url: str
) -> None:
    settings = parts.settings.model_copy(update={"public_url": public_url})
    app = create_app(assemble(settings, parts.house, parts.store, parts.clock))
    async with running(app) as url, ClientSession(url) as session:
        cookie = (await session.get("/")).cookies["motcua_chat"]
        assert cookie["secure"] is True
        statuses = []
        for origin in ("https://hoi.example.vn", url, "http://hoi.example.vn"):
            response = await session.post(
                "/chat/messages",
                json={"id": "message-1", "text": "chào"},
                headers={"Origin": origin, "Cookie": f"motcua_chat={cookie.value}"},
            )
            statuses.append(response.status)
        assert statuses == [202, 403, 403]


async def test_without_a_cookie_nobody_writes_or_listens(url: str, store: Store) -> None:
    async with ClientSession(url) as session:
        written = await session.post(
            "/chat/messages", json={"id": "message-1", "text": "chào"}, headers={"Origin": url}
        )
        listened = await session.get("/chat/stream")
        history = await session.get("/chat/history")
        assert (written.status, listened.status) == (403, 403)
        assert await history.json() == {"messages": [], "last_event_id": 0}
    assert await counted(store, InboxRow) == 0


# bad input


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"ch\xc3\xa0o"',
        b"\xff\xfe",
        b'{"id": "message-1"}',
        b'{"text": "ch\xc3\xa0o"}',
        b'{"id": "message-1", "text": null}',
        b'{"id": "message-1", "text": 5}',
        b'{"id": "message-1", "text": "x", "admin": true}',
        b'{"id": "message-1", "text": "\\ud800"}',
        b'{"id": "message-1", "text": "", "pressed": ["a"]}',
        json.dumps({"id": "message-1", "pressed": "a" * 65}).encode(),
        *(
            json.dumps({"id": id_, "text": "chào"}).encode()
            for id_ in (
                "",
                "short",
                "a" * 65,
                "message 1",
                "message-1\n",
                "số-một-hai",
                "a:b:c:d:e",
            )
        ),
        *(
            json.dumps({"id": "message-1", "text": text}).encode()
            for text in ("", " ", "\n\t ", "\u00a0")
        ),
    ],
)
async def test_what_the_page_would_never_send_is_refused_politely(
    visitor: Visitor, store: Store, body: bytes
) -> None:
    status, answer = await visitor.post(body)
    assert status == 400
    assert answer["error"] in {"not_readable", "empty"}
    assert answer["message"].startswith("Dạ, tin nhắn không đọc được.")
    assert await counted(store, InboxRow) == 0


async def test_four_thousand_characters_are_taken_and_one_more_is_not(
    visitor: Visitor, store: Store
) -> None:
    status, body = await visitor.send("ế" * 4001)
    assert (status, body["error"]) == (413, "too_long")
    assert body["message"].startswith("Dạ, tin nhắn dài quá.")
    assert "4.000 ký tự" in body["message"]
    assert await counted(store, InboxRow) == 0
    assert (await visitor.send(" " + "ế" * 4000 + "\n"))[0] == 202


@pytest.mark.parametrize(
    "text", ["a" * 20_000, "ế" * 20_000, "😀" * 20_000, "a" * 2_000_000], ids=len
)
async def test_a_very_long_message_is_refused_politely(visitor: Visitor, text: str) -> None:
    status, body = await visitor.send(text)
    assert (status, body["error"]) == (413, "too_long")
    assert body["message"].startswith("Dạ, tin nhắn dài quá.")
    assert (await visitor.send("chào"))[0] == 202


@pytest.mark.parametrize("size", [70_000, 3_000_000])
async def test_a_body_over_the_limit_is_refused_whatever_it_holds(
    visitor: Visitor, size: int
) -> None:
    status, body = await visitor.post(b" " * size)
    assert (status, body["error"]) == (413, "too_long")


async def test_odd_texts_get_a_polite_reply(visitor: Visitor) -> None:
    async with visitor.stream() as stream:
        for text in ("😀😀😀", "\u200b", "/restart", "<script>alert(1)</script>", "\x00"):
            assert (await visitor.says(stream, text)).text.startswith("Dạ")


async def test_an_unknown_and_a_foreign_button_get_a_polite_reply(
    visitor: Visitor, stranger: Visitor
) -> None:
    async with visitor.stream() as mine, stranger.stream() as theirs:
        await visitor.says(mine, STORY)
        for token in (visitor.offered["Đồng ý"], "no-such-token", "a" * 64):
            assert (await stranger.press(token))[0] == 202
            assert "không còn dùng được" in (await theirs.reply()).text
        assert "Tôi ghi nội dung" in (await visitor.presses(mine, "Đồng ý")).text


async def test_too_many_messages_wait_a_minute(parts: Parts, store: Store) -> None:
    settings = parts.settings.model_copy(update={"messages_per_minute": 3})
    app = create_app(assemble(settings, parts.house, store, Clock()))
    async with running(app) as url, Visitor(url) as visitor, Visitor(url) as another:
        assert [(await visitor.send("chào"))[0] for _ in range(3)] == [202, 202, 202]
        status, body = await visitor.send("chào")
        assert (status, body["error"]) == (429, "too_many")
        assert body["message"].startswith("Dạ, Anh/Chị gửi nhanh quá.")
        assert (await another.send("chào"))[0] == 202
    assert await counted(store, InboxRow) == 4


async def test_new_cookies_do_not_help_who_sends_too_many(parts: Parts, store: Store) -> None:
    settings = parts.settings.model_copy(update={"messages_per_minute": 1})
    app = create_app(assemble(settings, parts.house, store, Clock()))
    statuses = []
    async with running(app) as url:
        for _ in range(11):
            async with Visitor(url) as visitor:
                statuses.append((await visitor.send("chào"))[0])
    assert statuses == [202] * 10 + [429]


async def test_behind_a_proxy_each_address_has_its_own_limit(parts: Parts) -> None:
    more = {"messages_per_minute": 1, "behind_proxy": True}
    settings = parts.settings.model_copy(update=more)
    statuses = []
    async with running(create_app(assemble(settings, parts.house, parts.store, Clock()))) as url:
        for n in range(11):
            async with Visitor(url) as visitor:
                message = {"id": "message-1", "text": "chào"}
                forged = f"10.0.0.{n}, 192.0.2.1"
                statuses.append((await visitor.post(message, **{"X-Forwarded-For": forged}))[0])
        async with Visitor(url) as visitor:
            status, _ = await visitor.post(message, **{"X-Forwarded-For": "192.0.2.2"})
    assert statuses == [202] * 10 + [429]
    assert status == 202


async def test_without_a_proxy_nobody_chooses_their_own_address(parts: Parts) -> None:
    settings = parts.settings.model_copy(update={"messages_per_minute": 1})
    statuses = []
    async with running(create_app(assemble(settings, parts.house, parts.store, Clock()))) as url:
        for n in range(11):
            async with Visitor(url) as visitor:
                message = {"id": "message-1", "text": "chào"}
                forged = {"X-Forwarded-For": f"192.0.2.{n}"}
                statuses.append((await visitor.post(message, **forged))[0])
    assert statuses[-1] == 429


async def test_a_person_with_too_many_streams_keeps_the_newest(visitor: Visitor) -> None:
    async with AsyncExitStack() as open_streams:
        streams = [await open_streams.enter_async_context(visitor.stream()) for _ in range(9)]
        assert (await streams[0].next()).name == "bye"
        assert await streams[0].ended()
        first = await visitor.says(streams[-1], "chào")
        assert await streams[1].reply() == first


# what is kept and told


async def test_a_reply_arrives_on_the_stream_with_the_id_of_its_outbox_row(
    visitor: Visitor, store: Store
) -> None:
    async with visitor.stream() as stream:
        reply = await visitor.says(stream, QUESTION)
    [row] = await store.run(lambda s: s.scalars(select(OutboxRow)).all())
    assert (reply.id, reply.data["id"], reply.data["kind"]) == (row.id, row.id, "reply")
    assert "không thu" in reply.text
    assert [block["type"] for block in reply.data["blocks"]][:2] == ["text", "more"]

    async def sent() -> bool:
        row = await store.run(lambda s: s.scalars(select(OutboxRow)).one())
        return row.state == "sent" and row.sent_at is not None

    await until(sent)


async def test_the_same_message_twice_is_one_turn(visitor: Visitor, store: Store) -> None:
    async with visitor.stream() as stream:
        first = await visitor.send("chào", "the-same-id")
        await stream.reply()
        assert await visitor.send("chào", "the-same-id") == first == (202, {"accepted": True})
        assert (await visitor.says(stream, "cảm ơn")).text.startswith("Dạ, không có gì ạ")
    assert await counted(store, TurnRow) == 2


async def test_the_same_id_of_two_people_is_two_messages(
    visitor: Visitor, stranger: Visitor, store: Store
) -> None:
    assert (await visitor.send("chào", "the-same-id"))[0] == 202
    assert (await stranger.send("cảm ơn", "the-same-id"))[0] == 202
    await answered(store, 2)
    said = [(await person.history())["messages"][0]["text"] for person in (visitor, stranger)]
    assert said == ["chào", "cảm ơn"]


async def test_two_messages_at_once_are_answered_in_order(visitor: Visitor, store: Store) -> None:
    texts = ["chào", "cảm ơn"] * 3
    async with visitor.stream() as stream:
        for text in texts:
            await visitor.send(text)
        replies = [(await stream.reply()).text for _ in texts]
    assert ["xin chào" in reply for reply in replies] == [True, False] * 3


async def test_nobody_reads_another_persons_history_or_stream(
    visitor: Visitor, stranger: Visitor
) -> None:
    async with visitor.stream() as mine, stranger.stream(after=0) as theirs:
        await visitor.says(mine, QUESTION)
        assert await stranger.history() == {"messages": [], "last_event_id": 0}
        assert (await stranger.says(theirs, "cảm ơn")).text.startswith("Dạ, không có gì ạ")
        assert "không thu" not in str(await stranger.history())
        assert (await visitor.says(mine, "chào")).text.startswith("Dạ, xin chào")


async def test_the_database_holds_nobodys_cookie(visitor: Visitor, store: Store) -> None:
    await visitor.send("chào")
    await answered(store, 1)
    path = Path(store.engine.url.database or "")
    kept = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert visitor.cookie.encode() not in kept


async def test_a_broken_stream_resumes_without_loss_or_repetition(visitor: Visitor) -> None:
    async with visitor.stream() as stream:
        first = await visitor.says(stream, "chào")
    await visitor.send("cảm ơn")
    await visitor.send(QUESTION)
    async with visitor.stream(**{"Last-Event-ID": str(first.id)}) as stream:
        second, third = await stream.reply(), await stream.reply()
    assert first.id < second.id < third.id
    assert ("không có gì" in second.text, "không thu" in third.text) == (True, True)
    async with visitor.stream(after=first.id, **{"Last-Event-ID": str(second.id)}) as stream:
        assert (await stream.reply()).id == third.id
    async with visitor.stream(after=third.id) as stream:
        assert (await visitor.says(stream, "chào")).id > third.id


@pytest.mark.parametrize("odd", ["", "-1", "x", "1e9", "9" * 40, "²", "1; DROP TABLE outbox"])
async def test_an_odd_last_event_id_starts_from_the_beginning(visitor: Visitor, odd: str) -> None:
    async with visitor.stream() as stream:
        first = await visitor.says(stream, "chào")
    async with visitor.stream(**{"Last-Event-ID": odd}) as stream:
        assert (await stream.reply()).id == first.id


async def test_two_open_pages_of_one_person_both_hear(visitor: Visitor) -> None:
    async with visitor.stream() as one, visitor.stream() as other:
        first = await visitor.says(one, "chào")
        assert await other.reply() == first


async def file_case(visitor: Visitor) -> str:
    async with visitor.stream() as stream:
        return await visitor.files(stream, STORY)


async def answer(
    parts: Parts, keys: KeyRing, code: str, text: str, file: StoredFile | None = None
) -> None:
    """An officer's answer, from a store of its own as another process has."""
    another = Store(parts.store.engine.url.render_as_string(), keys, durable=False)
    case, now = CaseCode.parse(code), parts.clock()
    try:
        await another.run(desk.answer, parts.house, case, text, "officer", now, file=file)
    finally:
        another.close()


async def test_an_officers_answer_reaches_an_open_page_by_itself(
    visitor: Visitor, stranger: Visitor, parts: Parts, keys: KeyRing
) -> None:
    async with visitor.stream() as stream, stranger.stream() as theirs:
        code = await visitor.files(stream, STORY)
        await answer(parts, keys, code, "Phường đã mở thêm một quầy.")
        told = await stream.reply()
        assert (told.data["kind"], code in told.text) == ("notice", True)
        assert "Phường đã mở thêm một quầy." in told.text
        assert (await stranger.says(theirs, "chào")).data["kind"] == "reply"


async def test_an_officers_answer_waits_for_a_closed_page(
    visitor: Visitor, parts: Parts, keys: KeyRing
) -> None:
    code = await file_case(visitor)
    last = (await visitor.history())["last_event_id"]
    await answer(parts, keys, code, "Phường đã mở thêm một quầy.")
    async with visitor.stream(after=last) as stream:
        told = await stream.reply()
    assert (told.data["kind"], code in told.text) == ("notice", True)
    history = await visitor.history()
    assert history["last_event_id"] == told.id
    assert history["messages"][-1]["kind"] == "notice"


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        (StoredFile("sau sửa.png", "image/png", b"\x89PNG"), ("image/png", "inline")),
        (
            StoredFile("kết quả.pdf", "application/pdf", b"%PDF-1.7"),
            ("application/octet-stream", "attachment"),
        ),
        (
            StoredFile("a.svg", "image/svg+xml", b"<svg><script/></svg>"),
            ("application/octet-stream", "attachment"),
        ),
    ],
)
async def test_a_file_of_an_answer_is_there_for_its_own_person_alone(
    visitor: Visitor, stranger: Visitor, parts: Parts, keys: KeyRing, file: StoredFile, shown: Any
) -> None:
    async with visitor.stream() as stream:
        code = await visitor.files(stream, STORY)
        await answer(parts, keys, code, "Đã sửa xong.", file)
        told = await stream.reply()
    block = told.data["blocks"][-1]
    assert (block["type"], block["name"]) == ("file", file.name)
    async with visitor.session.get(f"/chat/files/{block['file']}") as response:
        assert (response.status, await response.read()) == (200, file.content)
        place = response.headers["Content-Disposition"].partition(";")[0]
        assert (response.headers["Content-Type"], place) == shown
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "private, no-store"
    async with stranger.stream() as stream:
        await stranger.says(stream, "chào")
    for who in (stranger.session, ClientSession(visitor.url)):
        async with who.get(f"/chat/files/{block['file']}") as response:
            assert response.status == 404
        if who is not stranger.session:
            await who.close()
    async with visitor.session.get("/chat/files/999999999999999999") as response:
        assert response.status == 404


async def test_history_after_a_reload_is_complete_and_in_order(visitor: Visitor) -> None:
    async with visitor.stream() as stream:
        replies = [await visitor.says(stream, text) for text in ("chào", "cảm ơn", QUESTION)]
        label = next(iter(visitor.offered))
        replies.append(await visitor.presses(stream, label))
    history = await visitor.history()
    assert [message["from"] for message in history["messages"]] == ["citizen", "office"] * 4
    said = [m["text"] for m in history["messages"] if m["from"] == "citizen"]
    assert said == ["chào", "cảm ơn", QUESTION, label]
    ids = [m["client_id"] for m in history["messages"] if m["from"] == "citizen"]
    assert ids == [f"message-{n}" for n in range(1, 5)]
    told = [m for m in history["messages"] if m["from"] == "office"]
    assert [words(m["blocks"]) for m in told] == [reply.text for reply in replies]
    assert [m["id"] for m in told] == [reply.id for reply in replies]
    assert history["last_event_id"] == replies[-1].id
    moments = [m["at"] for m in history["messages"]]
    assert moments == sorted(moments)


async def test_history_shows_a_message_that_still_waits(
    visitor: Visitor, fake_nlu: FakeNlu
) -> None:
    async with visitor.stream() as stream:
        await visitor.says(stream, "chào")
        fake_nlu.fails = "slow"
        await visitor.send("cảm ơn", "still-waiting")
        history = await visitor.history()
        assert [message["from"] for message in history["messages"]] == [
            "citizen",
            "office",
            "citizen",
        ]
        waiting = history["messages"][-1]
        assert (waiting["text"], waiting["client_id"]) == ("cảm ơn", "still-waiting")
        fake_nlu.fails = None
        fake_nlu.released.set()
        reply = await stream.reply()
    after = await visitor.history()
    assert after["messages"][2]["client_id"] == "still-waiting"
    assert (len(after["messages"]), after["last_event_id"]) == (4, reply.id)


# when something is down


async def test_a_locked_database_is_said_and_nothing_is_lost(
    impatient: None, visitor: Visitor, store: Store
) -> None:
    async with visitor.stream() as stream:
        with locked(store):
            status, body = await visitor.send("chào", "sent-again")
            assert (status, body["error"]) == (503, "unavailable")
            assert body["message"].startswith("Dạ, hệ thống đang bận nên chưa nhận được tin này.")
            history = await visitor.session.get("/chat/history")
            assert history.status == 503
            assert (await history.json())["message"].startswith("Dạ")
        assert await counted(store, InboxRow) == 0
        assert (await visitor.send("chào", "sent-again"))[0] == 202
        assert (await stream.reply()).text.startswith("Dạ, xin chào")
    assert await counted(store, TurnRow) == 1


async def test_a_stream_opened_while_the_database_is_locked_goes_on_after_it(
    impatient: None, visitor: Visitor, store: Store
) -> None:
    async with visitor.stream() as stream:
        first = await visitor.says(stream, "chào")
    with locked(store):
        pass_by = visitor.stream(after=0)
        stream = await pass_by.__aenter__()
    assert (await visitor.send("cảm ơn"))[0] == 202
    assert [(await stream.reply()).id for _ in range(2)] == [first.id, first.id + 1]
    await pass_by.__aexit__(None, None, None)


async def test_a_turn_that_meets_a_locked_database_is_taken_later(
    impatient: None, visitor: Visitor, store: Store, fake_nlu: FakeNlu, clock: Clock
) -> None:
    fake_nlu.fails = "slow"
    async with visitor.stream() as stream:
        await visitor.send("chào")

        async def understanding() -> bool:
            return fake_nlu.asked == ["chào"]

        await until(understanding)
        with locked(store):
            fake_nlu.fails = None
            fake_nlu.released.set()
            assert (await visitor.send("cảm ơn"))[0] == 503
        assert await counted(store, OutboxRow) in {0, 1}
        clock.move(minutes=2)
        assert (await stream.reply()).text.startswith("Dạ, xin chào")
    assert await counted(store, TurnRow) == 1


async def test_health_tells_what_is_up(
    impatient: None, visitor: Visitor, store: Store, fake_nlu: FakeNlu
) -> None:
    async def health() -> tuple[int, dict[str, bool]]:
        response = await visitor.session.get("/health")
        return response.status, await response.json()

    assert await health() == (200, {"store": True, "nlu": True, "trouble": []})
    fake_nlu.fails = "broken"
    assert await health() == (200, {"store": True, "nlu": False, "trouble": []})
    fake_nlu.fails = None
    with locked(store):
        assert await health() == (503, {"store": False, "nlu": True, "trouble": []})


@pytest.mark.parametrize("down", ["broken", "garbage"])
async def test_with_nlu_down_a_message_still_gets_an_answer(
    visitor: Visitor, fake_nlu: FakeNlu, down: str
) -> None:
    fake_nlu.fails = down
    async with visitor.stream() as stream:
        await visitor.says(stream, "đăng ký khai sinh")
    assert any("khai sinh" in label for label in visitor.offered)


async def test_shutdown_says_goodbye_and_ends_open_streams_at_once(parts: Parts) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(5):
        async with running(create_app(parts)) as url:
            visitor, stranger = Visitor(url), Visitor(url)
            await visitor.__aenter__()
            await stranger.__aenter__()
            mine, theirs = visitor.stream(), stranger.stream()
            stream, quiet = await mine.__aenter__(), await theirs.__aenter__()
            await visitor.says(stream, "chào")
            stopping = loop.time()
        assert loop.time() - stopping < 2
    for open_stream in (stream, quiet):
        assert (await open_stream.next()).name == "bye"
        assert await open_stream.ended()
    for context in (mine, theirs):
        await context.__aexit__(None, None, None)
    await visitor.session.close()
    await stranger.session.close()
