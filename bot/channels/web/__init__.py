"""The web chat: a public page, messages in by POST, replies out by server-sent events."""

import asyncio
import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.channels.web.streams import Listener, Streams
from bot.message import Message, Sender
from bot.pace import Limiter, Rate
from bot.reception import Reception
from bot.store import Session, StoreUnavailable, conversations, files, inbox, outbox, turns
from bot.store.files import FileMissing, StoredFile
from bot.store.outbox import Outgoing

CHANNEL = "web"
MAX_LENGTH = 4000

_HERE = Path(__file__).parent
_COOKIE = "motcua_chat"
_COOKIE_BYTES = 32
_BODY_BYTES = 64 * 1024
_HEARTBEAT_SECONDS = 15.0
_RETRY_MILLISECONDS = 2000
_ADDRESS_FACTOR = 10
_SHOWN = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
        "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class _Sent(BaseModel):
    """What the page posts: words, or a pressed choice."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^[A-Za-z0-9-]{8,64}$")
    text: str = ""
    pressed: str | None = Field(default=None, max_length=64)
    label: str = Field(default="", max_length=200)


@dataclass(frozen=True)
class Refusal(Exception):  # noqa: N818 - a fact, not a failure
    """A request that is not taken, with the reply that says why."""

    status: int
    error: str
    reply: str


def open_channel(reception: Reception) -> "WebChat":
    """The web chat, which is always there."""
    return WebChat(reception)


class WebChat:
    """The routes of the web chat; it keeps nothing that a second gateway would miss."""

    name = CHANNEL

    def __init__(self, reception: Reception) -> None:
        settings = reception.settings
        self._reception = reception
        self._store = reception.store
        self._office = reception.office
        self._kept = timedelta(days=settings.words_days)
        self._public_url = settings.public_url
        self._behind_proxy = settings.behind_proxy
        self._per_person = _a_minute(settings.messages_per_minute)
        self._per_address = _a_minute(settings.messages_per_minute * _ADDRESS_FACTOR)
        self._page = Environment(
            loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined
        ).get_template("chat.html")
        self.streams = Streams(self._store)
        reception.on_turn.append(self.streams.turn_taken)

    def add_to(self, app: web.Application) -> None:
        """Adds the routes and what must run beside them."""
        app.router.add_get("/", self.page)
        app.router.add_get("/chat/history", self.history)
        app.router.add_post("/chat/messages", self.message)
        app.router.add_get("/chat/stream", self.stream)
        app.router.add_get(r"/chat/files/{file:\d{1,9}}", self.file)
        app.router.add_static("/static", _HERE / "static")
        app.on_response_prepare.append(_headers)
        app.on_shutdown.append(self._close)
        app.cleanup_ctx.append(self.streams.watch)

    async def page(self, request: web.Request) -> web.Response:
        """The chat page; a visitor gets a cookie, or theirs anew for as long as words are kept."""
        html = self._page.render(
            office_name=self._office.name, max_length=MAX_LENGTH, version=version("motcua")
        )
        response = web.Response(text=html, content_type="text/html")
        response.headers["Cache-Control"] = "no-store"
        known = request.cookies[_COOKIE] if _person(request) else None
        response.set_cookie(
            _COOKIE,
            known or secrets.token_urlsafe(_COOKIE_BYTES),
            max_age=int(self._kept.total_seconds()),
            httponly=True,
            samesite="Strict",
            secure=self._public_url.startswith("https://"),
        )
        return response

    async def history(self, request: web.Request) -> web.Response:
        """Everything of this conversation that is still kept."""
        person = _person(request)
        if person is None:
            return web.json_response({"messages": [], "last_event_id": 0})
        sender = self._sender(person)
        try:
            messages, last = await self._store.run(_history, sender)
        except StoreUnavailable:
            return self._refuse(Refusal(503, "unavailable", "chat_not_kept"))
        return web.json_response({"messages": messages, "last_event_id": last})

    async def message(self, request: web.Request) -> web.Response:
        """Takes one message: 202 only once it is kept."""
        try:
            person = self._allowed(request)
            sent = await _read(request)
            message = Message(
                self._sender(person),
                f"{person[:16]}:{sent.id}",
                self._reception.clock(),
                sent.text,
                sent.pressed,
                sent.label,
            )
            await self._reception.keep(message)
        except Refusal as refusal:
            return self._refuse(refusal)
        except StoreUnavailable:
            return self._refuse(Refusal(503, "unavailable", "chat_not_kept"))
        self.streams.kept(person)
        return web.json_response({"accepted": True}, status=202)

    async def file(self, request: web.Request) -> web.Response:
        """A file that a reply shows, for the person whose conversation it belongs to."""
        person, file_id = _person(request), int(request.match_info["file"])
        if person is None:
            raise web.HTTPNotFound
        try:
            file = await self._store.run(_file, self._sender(person), file_id)
        except FileMissing:
            raise web.HTTPNotFound from None
        except StoreUnavailable:
            return self._refuse(Refusal(503, "unavailable", "chat_not_kept"))
        shown = file.media_type if file.media_type in _SHOWN else "application/octet-stream"
        place = "inline" if shown == file.media_type else "attachment"
        headers = {
            "Content-Type": shown,
            "Content-Disposition": f"{place}; filename*=UTF-8''{quote(file.name)}",
            "Cache-Control": "private, no-store",
        }
        return web.Response(body=file.content, headers=headers)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Replies as they come; a broken stream resumes after the last row that arrived."""
        person = _person(request)
        if person is None:
            return self._refuse(Refusal(403, "no_cookie", "chat_not_readable"))
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        await response.write(f"retry: {_RETRY_MILLISECONDS}\n\n".encode())
        after = _resume_after(request)
        try:
            with self.streams.open(person) as listener:
                await self._pour(response, self._sender(person), after, listener)
        except (ConnectionResetError, asyncio.CancelledError):
            pass
        return response

    async def _pour(
        self, response: web.StreamResponse, sender: Sender, after: int, listener: Listener
    ) -> None:
        while not listener.over:
            listener.wake.clear()
            rows = await self._rows(sender, after)
            for row in rows:
                await response.write(_event("reply", _as_json(row), row.id))
                after = row.id
            try:
                async with asyncio.timeout(_HEARTBEAT_SECONDS):
                    await listener.wake.wait()
            except TimeoutError:
                await response.write(b": still here\n\n")
        await response.write(_event("bye", {}))

    async def _rows(self, sender: Sender, after: int) -> list[Outgoing]:
        """What a person gets after a row; what they have by then is sent."""
        known = self.streams.conversation_of(sender.person)
        try:
            conversation, rows = await self._store.run_light(
                _after, sender, known, after, self._reception.clock()
            )
        except StoreUnavailable:
            return []
        if conversation is not None and known is None:
            self.streams.belongs(sender.person, conversation)
        return rows

    def _allowed(self, request: web.Request) -> str:
        person = _person(request)
        if person is None or not self._same_origin(request):
            raise Refusal(403, "not_from_our_page", "chat_not_readable")
        address = self._address(request)
        now = self._reception.clock()
        if not (self._per_address.allows(address, now) and self._per_person.allows(person, now)):
            raise Refusal(429, "too_many", "chat_too_many")
        return person

    def _address(self, request: web.Request) -> str:
        lines = request.headers.getall("X-Forwarded-For", []) if self._behind_proxy else []
        return ",".join(lines).rpartition(",")[2].strip() or request.remote or "unknown"

    def _same_origin(self, request: web.Request) -> bool:
        origin = request.headers.get("Origin")
        if origin is None:
            return request.headers.get("Sec-Fetch-Site") == "same-origin"
        if self._public_url:
            return origin == self._public_url.rstrip("/")
        return urlsplit(origin).netloc == request.host

    def _sender(self, person: str) -> Sender:
        return Sender(CHANNEL, self._office.id, person)

    def _refuse(self, refusal: Refusal) -> web.Response:
        body = {"error": refusal.error, "message": self._reception.words(refusal.reply)}
        return web.json_response(body, status=refusal.status)

    async def _close(self, _app: web.Application) -> None:
        self.streams.close()


def _a_minute(number: int) -> Limiter:
    return Limiter(Rate(number / 60, number))


async def _read(request: web.Request) -> _Sent:
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise Refusal(413, "too_long", "chat_too_long") from error
    if len(body) > _BODY_BYTES:
        raise Refusal(413, "too_long", "chat_too_long")
    try:
        sent = _Sent.model_validate_json(body)
    except ValidationError as error:
        raise Refusal(400, "not_readable", "chat_not_readable") from error
    if len(sent.text.strip()) > MAX_LENGTH:
        raise Refusal(413, "too_long", "chat_too_long")
    if sent.pressed is None and not sent.text.strip():
        raise Refusal(400, "empty", "chat_not_readable")
    return sent


def _person(request: web.Request) -> str | None:
    """Who this is: a hash of the cookie, so that the database holds nobody's key."""
    cookie = request.cookies.get(_COOKIE, "")
    if not re.fullmatch(r"[A-Za-z0-9_-]{43}", cookie):
        return None
    return hashlib.sha256(cookie.encode()).hexdigest()


def _resume_after(request: web.Request) -> int:
    given = request.headers.get("Last-Event-ID") or request.query.get("after", "0")
    return int(given) if given.isdecimal() and len(given) < 10 else 0


def _file(session: Session, sender: Sender, file_id: int) -> StoredFile:
    conversation = conversations.find(session, sender)
    if conversation is None:
        raise FileMissing(file_id)
    return files.read(session, file_id, conversation.id)


def _after(
    session: Session, sender: Sender, conversation_id: int | None, row_id: int, now: datetime
) -> tuple[int | None, list[Outgoing]]:
    if conversation_id is None:
        conversation = conversations.find(session, sender)
        if conversation is None:
            return None, []
        conversation_id = conversation.id
    outbox.seen_up_to(session, conversation_id, row_id, now)
    return conversation_id, outbox.after(session, conversation_id, row_id)


def _history(session: Session, sender: Sender) -> tuple[list[dict[str, Any]], int]:
    conversation = conversations.find(session, sender)
    if conversation is None:
        return [], 0
    rows = outbox.after(session, conversation.id, 0)
    said = [
        (
            said.at,
            0,
            said.turn_id,
            _citizen(f"t{said.turn_id}", said.external_id, said.text, said.at),
        )
        for said in turns.said_in(session, conversation.id)
    ]
    told = [(row.at, 1, row.id, {"from": "office", **_as_json(row)}) for row in rows]
    unanswered = [
        (at, 0, item.inbox_id, _citizen(f"i{item.inbox_id}", item.message.external_id, words, at))
        for at, item in inbox.unanswered(session, conversation.id)
        if (words := item.message.text or item.message.label)
    ]
    ordered = sorted(said + told + unanswered, key=lambda entry: entry[:3])
    return [entry[3] for entry in ordered], rows[-1].id if rows else 0


def _citizen(id_: str, external_id: str, text: str, at: datetime) -> dict[str, Any]:
    client_id = external_id.partition(":")[2]
    return {"from": "citizen", "id": id_, "client_id": client_id, "text": text, "at": _iso(at)}


def _as_json(row: Outgoing) -> dict[str, Any]:
    blocks = [block.model_dump(mode="json") for block in row.blocks]
    return {"id": row.id, "kind": row.kind, "at": _iso(row.at), "blocks": blocks}


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _event(name: str, data: dict[str, Any], row_id: int | None = None) -> bytes:
    head = f"id: {row_id}\n" if row_id is not None else ""
    return f"{head}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


async def _headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    if request.path.startswith("/static/fonts/"):
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    elif request.path.startswith("/static/"):
        response.headers["Cache-Control"] = "no-cache"
