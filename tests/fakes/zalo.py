"""A faithful Zalo Official Account on loopback: consent, calls, events, and people who write."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal, Self
from urllib.parse import urlencode

from aiohttp import ClientConnectorError, ClientError, ClientTimeout, web

from tests.fakes.platform import Call, Platform, Upload, VirtualClock

ACCESS_LASTS = timedelta(hours=25)
REFRESH_LASTS = timedelta(days=90)
CODE_LASTS = timedelta(minutes=10)
FREE, WINDOW = timedelta(hours=48), timedelta(days=7)
UPLOAD_LASTS = timedelta(days=7)
RETRY_AFTER = (30, 5 * 60, 15 * 60, 30 * 60, 60 * 60)
GREETINGS = 3
MB = 2**20
UPLOADS = {
    "image": ((".jpg", ".jpeg", ".png"), MB),
    "gif": ((".gif",), 5 * MB),
    "file": ((".pdf", ".doc", ".docx", ".csv"), 5 * MB),
}
ID_KEYS = {"app_id", "oa_id", "id", "user_id", "user_id_by_app", "admin_id", "timestamp"}

TEXTS = {
    -32: "Your application reached limit call api",
    -100: "attachment_id was expired",
    -210: "Parameter exceeds allowable limit",
    -216: "Access token is invalid",
    -220: "Access token is expired or removed",
    -230: "User has not interacted with the OA in the past 7 days",
    -232: "User has not interacted with the OA or the interaction expired",
    -233: "Message type is not supported",
    -240: "API v2 is shut down",
    -244: "User restricted this type of message",
}
OAUTH_TEXTS = {
    -14014: "Invalid refresh token.",
    -14001: "Invalid authorization code.",
    -14002: "Invalid code verifier.",
    -14003: "Invalid secret key.",
    -14004: "Invalid request.",
}
"""Only -14014 is known from the real platform; the other codes are made up."""


class Refused(Exception):  # noqa: N818 - a fact, as the API tells it
    """What the API answers when it does not do as asked."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(code)
        self.code, self.text = code, text or TEXTS.get(code, "Error")


class Mistake(Refused):
    """A call that no careful adapter makes: a field unknown, missing or of the wrong form."""

    def __init__(self, name: str) -> None:
        super().__init__(-201, f"{name} is invalid!")


@dataclass(frozen=True)
class Wire:
    """How an event travels: what is signed, and what is done to it on the way."""

    sign: Literal["good", "bad", "none", "hmac"] = "good"
    spaced: bool = False
    """The signed bytes have spaces and escapes, so that whoever re-serialises them fails."""
    reserialise: bool = False
    """The bytes are written anew after signing, so that the signature no longer holds."""
    numeric_ids: bool = False
    num_retry: int | None = None
    timestamp_ms: int | None = None
    header_ms: int | None = None
    """A time in the header other than the body's; then it is the header's that is signed."""
    header_time: bool = True


WIRE = {f.name for f in fields(Wire)}


@dataclass(frozen=True)
class Delivery:
    """One try to hand an event to the webhook; status 0 means that no answer came in time."""

    event_name: str
    status: int
    seconds: float
    num_retry: int = 0


@dataclass(frozen=True)
class Posted:
    """An event as it goes out, with the try that it is in."""

    event_name: str
    msg_id: str
    body: bytes
    headers: dict[str, str]
    tries: int = 0


@dataclass(frozen=True)
class Heard:
    """One message that a person got from the account."""

    kind: str
    message: dict[str, Any]
    message_id: str = ""
    at: datetime | None = None
    image: bytes | None = None
    file: bytes | None = None
    from_officer: bool = False

    @property
    def text(self) -> str:
        """Its words, or the title of a request for personal data."""
        return str(self._elements[0]["title"] if self.asked_info else self.message.get("text", ""))

    @property
    def image_url(self) -> str:
        """Where an image is that was sent by its address."""
        return str(self._elements[0].get("url", "")) if self.kind == "image" else ""

    @property
    def asked_info(self) -> bool:
        """Whether it asks for personal data."""
        return self.kind == "request_user_info"

    @property
    def actions(self) -> list[dict[str, Any]]:
        """Its buttons as they were sent."""
        return list(self._payload.get("buttons", []))

    @property
    def buttons(self) -> list[str]:
        """The labels of its buttons."""
        return [button["title"] for button in self.actions]

    @property
    def _payload(self) -> dict[str, Any]:
        return dict(self.message.get("attachment", {}).get("payload", {}))

    @property
    def _elements(self) -> list[dict[str, Any]]:
        return list(self._payload["elements"])


@dataclass(frozen=True)
class Stored:
    """An upload of the account, kept for seven days."""

    kind: str
    content: bytes
    at: datetime


@dataclass
class Person:
    """Somebody with the Zalo app; every act takes the switches of `Wire` too."""

    fake: "FakeZalo" = field(repr=False)
    id: str
    name: str
    by_app: str
    conversation_id: str = ""
    """Only of an anonymous visitor."""
    follower: bool = False
    wrote: bool = False
    chatted: bool = False
    greeted: int = 0
    refuses_with: int = 0
    """The error code with which every message to this person is refused; 0: none."""
    interacted_at: datetime | None = None
    heard: list[Heard] = field(default_factory=list)
    message_ids: set[str] = field(default_factory=set)

    async def says(
        self, text: str, *, quote: str | None = None, msg_id: str | None = None, **wire: Any
    ) -> str:
        """Writes a text; gives its msg_id."""
        message = {"text": text} | ({"quote_msg_id": quote} if quote else {})
        return await self._sends("text", message, msg_id, **wire)

    async def types(self, payload: str, **wire: Any) -> str:
        """Types what a button would have sent."""
        return await self.says(payload, **wire)

    async def presses(self, label: str, **wire: Any) -> str:
        """Presses the newest button of that label; the event is that of a typed text."""
        for heard in reversed(self.heard):
            for button in heard.actions:
                if button["title"] == label and button["type"].startswith("oa.query."):
                    return await self.says(button["payload"], **wire)
        raise LookupError(f"{self.name} has no button {label!r}")

    async def sends_image(self, content: bytes = b"image", text: str = "", **wire: Any) -> str:
        """Sends a photograph, perhaps with words."""
        url = self.fake.keep_file("photo.jpg", content)
        return await self._attaches("image", {"thumbnail": url, "url": url}, text=text, **wire)

    async def sends_gif(self, content: bytes = b"gif", **wire: Any) -> str:
        """Sends a moving picture."""
        url = self.fake.keep_file("moving.gif", content)
        return await self._attaches("gif", {"thumbnail": url, "url": url}, **wire)

    async def sends_file(
        self, name: str = "don.pdf", content: bytes = b"file", media_type: str = "pdf", **wire: Any
    ) -> str:
        """Sends a document."""
        payload = {
            "url": self.fake.keep_file(name, content),
            "name": name,
            "size": str(len(content)),
            "type": media_type,
            "checksum": hashlib.md5(content).hexdigest(),
        }
        return await self._attaches("file", payload, **wire)

    async def sends_voice(self, content: bytes = b"voice", **wire: Any) -> str:
        """Sends a recording."""
        return await self._attaches(
            "audio", {"url": self.fake.keep_file("voice.amr", content)}, **wire
        )

    async def sends_video(self, content: bytes = b"video", **wire: Any) -> str:
        """Sends a film."""
        url = self.fake.keep_file("film.mp4", content)
        payload = {"url": url, "thumbnail": f"{url}.jpg", "description": ""}
        return await self._attaches("video", payload, **wire)

    async def sends_sticker(self, **wire: Any) -> str:
        """Sends a sticker."""
        url = self.fake.keep_file("sticker.png", b"sticker")
        return await self._attaches("sticker", {"url": url, "id": "46958"}, **wire)

    async def sends_link(self, url: str = "https://example.org/", **wire: Any) -> str:
        """Sends a link with a preview."""
        payload = {"thumbnail": f"{url}t.jpg", "description": "Trang mẫu", "url": url}
        return await self._attaches("link", payload, text=url, **wire)

    async def sends_business_card(self, **wire: Any) -> str:
        """Passes on somebody's card."""
        card = json.dumps({"caption": "Danh thiếp", "phone": "84900000000"}, ensure_ascii=False)
        payload = {"thumbnail": "", "description": card, "url": "https://example.org/card"}
        return await self._attaches("link", payload, event="business_card", **wire)

    async def shares_location(
        self,
        latitude: str | float = "10.79",
        longitude: str | float = "106.78",
        text: str = "",
        **wire: Any,
    ) -> str:
        """Sends a place by hand."""
        coordinates = {"latitude": str(latitude), "longitude": str(longitude)}
        return await self._attaches("location", {"coordinates": coordinates}, text=text, **wire)

    async def follows(self, source: str = "oa_profile", **wire: Any) -> None:
        """Follows the account, without writing."""
        self.follower = True
        self._touches()
        await self._follow_event("follow", source, **wire)

    async def unfollows(self, source: str = "oa_profile", **wire: Any) -> None:
        """Follows no more."""
        self.follower = False
        await self._follow_event("unfollow", source, **wire)

    async def clicks_chat_now(self, **wire: Any) -> None:
        """Presses "Nhắn tin"; only the first time is told."""
        if self.chatted:
            return
        self.chatted = True
        self._touches()
        ids = {"oa_id": self.fake.oa_id, "user_id": self.id}
        await self.fake.event("user_click_chatnow", **ids, **wire)

    async def submits_info(
        self, phone: str = "84900000000", name: str = "Trần Thị Lan", **more: Any
    ) -> None:
        """Agrees to give personal data."""
        wire = {key: more.pop(key) for key in WIRE & set(more)}
        info = {"name": name, "phone": phone, "user_dob": "01/01/1990", "gender": "female"}
        info |= {"full_address": "1 Đường Mẫu, Phường Mẫu"} | more
        await self.fake.event("user_submit_info", **self.envelope(info=info), **wire)

    async def withdraws(self, **wire: Any) -> None:
        """Asks, as a data subject, that their data go."""
        ids = {"user_id": self.id, "user_id_by_app": self.by_app}
        await self.fake.event("user_withdraw", **ids, **wire)

    async def gets(self, message_id: str, **wire: Any) -> None:
        """Their telephone receives a message of ours."""
        about = self.envelope(by_oa=True, message={"msg_id": message_id})
        await self.fake.event("user_received_message", **about, **wire)

    async def reads(self, message_id: str, **wire: Any) -> None:
        """Opens a message of ours."""
        about = self.envelope(by_oa=True, message={"msg_ids": [message_id]})
        await self.fake.event("user_seen_message", **about, **wire)

    async def reacts(self, message_id: str, icon: str = "/-heart", **wire: Any) -> None:
        """Puts an icon on a message."""
        about = self.envelope(message={"msg_id": message_id, "react_icon": icon})
        await self.fake.event("user_reacted_message", **about, **wire)

    def envelope(self, *, by_oa: bool = False, admin_id: str = "", **body: Any) -> dict[str, Any]:
        """The ids of an event between this person and the account."""
        oa = {"id": self.fake.oa_id} | ({"admin_id": admin_id} if admin_id else {})
        sender, recipient = (oa, {"id": self.id}) if by_oa else ({"id": self.id}, oa)
        by_app = {} if self.conversation_id else {"user_id_by_app": self.by_app}
        return {"sender": sender, "recipient": recipient, **by_app, **body}

    async def _attaches(
        self, kind: str, payload: dict[str, Any], *, text: str = "", event: str = "", **wire: Any
    ) -> str:
        words = {"text": text} if text else {}
        message = {**words, "attachments": [{"type": kind, "payload": payload}]}
        return await self._sends(event or kind, message, **wire)

    async def _sends(
        self, kind: str, message: dict[str, Any], msg_id: str | None = None, **wire: Any
    ) -> str:
        self._touches()
        self.wrote = True
        msg_id = msg_id or self.fake.new_id()
        self.message_ids.add(msg_id)
        anonymous = {"conversation_id": self.conversation_id} if self.conversation_id else {}
        name = f"anonymous_send_{kind}" if anonymous else f"user_send_{kind}"
        about = self.envelope(message={"msg_id": msg_id, **message, **anonymous})
        if not (self.fake.only_hash_texts and kind == "text" and message["text"][:1] != "#"):
            await self.fake.event(name, **about, **wire)
        return msg_id

    async def _follow_event(self, name: str, source: str, **wire: Any) -> None:
        about = {"oa_id": self.fake.oa_id, "follower": {"id": self.id}}
        by_app = {"user_id_by_app": self.by_app, "source": source}
        await self.fake.event(name, **about, **by_app, **wire)

    def _touches(self) -> None:
        self.interacted_at = self.fake.clock.now


class FakeZalo(Platform):
    """One server that plays the API, the consent host and the file host."""

    def __init__(
        self,
        app_id: str = "1000000000000000001",
        app_secret: str = "APP_SECRET_demo_only",
        oa_secret: str = "OA_SECRET_demo_only",
        oa_id: str = "3000000000000000003",
        clock: VirtualClock | None = None,
    ) -> None:
        super().__init__(clock)
        self.app_id, self.app_secret = app_id, app_secret
        self.oa_secret, self.oa_id = oa_secret, oa_id
        self.webhook = self.callback = ""
        self.deadline = 2.0
        self.per_minute = 4000
        self.buttons_refused = False
        self.only_hash_texts = False
        """The console's "Lọc cú pháp": texts that do not begin with # are not delivered."""
        self.echoes = True
        self.tells_received = self.tells_seen = False
        self.retries_answers = True
        """Whether slow and bad answers are tried again too: no official page says."""
        self.files_redirect_to = ""
        self.hold = False
        """Whether events are only kept in `posted`, for `deliver_in` and `repeat`."""
        self.unsubscribed = False
        self._codes: dict[str, tuple[str, datetime]] = {}
        self._refresh: dict[str, datetime] = {}
        self._access: tuple[str, datetime] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._start_afresh()

    def reset(self) -> None:
        """Forgets people, files and deliveries; the consent, the webhook and the switches stay."""
        super().reset()
        self._start_afresh()

    def _start_afresh(self) -> None:
        self.people: dict[str, Person] = {}
        self.deliveries: list[Delivery] = []
        self.notified: list[str] = []
        """What the administrators were told of slow and bad answers."""
        self.posted: list[Posted] = []
        self._pending: list[tuple[datetime, Posted]] = []
        self._files: dict[str, bytes] = {}
        self._uploads: dict[str, Stored] = {}
        self._this_minute = (0, 0)
        self._counted = 0

    @property
    def api(self) -> str:
        """In place of https://openapi.zalo.me."""
        return self.url

    @property
    def oauth(self) -> str:
        """In place of https://oauth.zaloapp.com."""
        return self.url

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[Self]:
        """Serves on loopback; what is still on its way is delivered at the end."""
        async with super().listening(port):
            try:
                yield self
            finally:
                await self.settled()

    def routes(self) -> list[web.RouteDef]:
        """The addresses of the reference; any other under /v… is a mistake."""
        calls: list[tuple[str, str, Callable[[Call], Any]]] = [
            ("POST", "/v3.0/oa/message/cs", self._send),
            ("POST", "/v2.0/oa/message", self._send_v2),
            *[("POST", f"/v2.0/oa/upload/{kind}", partial(self._upload, kind)) for kind in UPLOADS],
            ("GET", "/v3.0/oa/user/detail", self._detail),
            ("GET", "/v2.0/oa/getoa", self._about),
        ]
        return [
            *[web.route(verb, path, partial(self._api, act)) for verb, path, act in calls],
            web.post("/v4/oa/access_token", self._oauth),
            web.get("/v4/oa/permission", self._permission),
            web.get("/files/{id}/{name}", self._file),
            web.route("*", "/{rest:v.*}", self._nowhere),
        ]

    # People and events

    def person(self, id_: str, name: str = "Lan", *, by_app: str = "") -> Person:
        """Somebody with an account, kept by id."""
        by_app = by_app or str(int(id_) + 2_000_000_000_000_000_002)
        return self.people.setdefault(id_, Person(self, id_, name, by_app))

    def anonymous(self, id_: str, conversation_id: str) -> Person:
        """Somebody who writes without an account."""
        person = Person(self, id_, "ẩn danh", "", conversation_id)
        return self.people.setdefault(id_, person)

    def somebody(self, id_: str) -> Person:
        """The person whom the control routes mean."""
        return self.people.get(id_) or self.person(id_)

    async def officer_writes(
        self, person: Person, text: str, *, admin_id: str = "6000000000000000006", **wire: Any
    ) -> str:
        """An officer writes in the console; gives the msg_id."""
        heard = self._heard_by(person, Heard("text", {"text": text}, from_officer=True))
        await self._echo(person, heard, admin_id=admin_id, **wire)
        return heard.message_id

    async def event(self, name: str, **words: Any) -> Delivery:
        """Posts any event, signed as the switches of `Wire` among the words say."""
        wire = Wire(**{key: words.pop(key) for key in WIRE & set(words)})
        ms = str(wire.timestamp_ms or self.clock.ms)
        event: Any = {"app_id": self.app_id, "event_name": name, **words, "timestamp": ms}
        event = _numeric(event) if wire.numeric_ids else event
        signed = json.dumps(event).encode() if wire.spaced else _compact(event)
        body = json.dumps(event, indent=1).encode() if wire.reserialise else signed
        msg_id = (words.get("message") or {}).get("msg_id", "")
        posted = Posted(name, msg_id, body, self._headers(signed, ms, wire))
        self.posted.append(posted)
        if self.hold:
            return Delivery(name, 0, 0.0)
        return await self._post(posted)

    async def repeat(self, msg_id: str | None = None) -> Delivery:
        """The platform posts the same event again, to the byte; without an id the newest."""
        return await self._post([p for p in self.posted if msg_id in (None, p.msg_id)][-1])

    async def deliver_in(self, order: list[str]) -> None:
        """Posts what was held back, in this order of msg_ids."""
        for msg_id in order:
            await self.repeat(msg_id)

    async def set_webhook(self, url: str) -> int:
        """Saves the address in the console, which posts an unsigned `{}`; subscribes anew."""
        headers = {"Content-Type": "application/json"}
        status = (await self._try(Posted("", "", b"{}", headers), url))[0]
        if status == 200:
            self.webhook, self.unsubscribed = url, False
        return status

    async def pump(self) -> None:
        """Tries again whatever is due by the clock."""
        due = [entry for entry in self._pending if entry[0] <= self.clock.now]
        for entry in sorted(due, key=lambda entry: entry[0]):
            if entry in self._pending:
                self._pending.remove(entry)
                await self._post(entry[1])

    async def settled(self) -> None:
        """Waits until every echo and receipt under way has been posted."""
        while self._background:
            await asyncio.gather(*self._background)

    def mac(self, body: bytes, ms: str) -> str:
        """The plain SHA-256 of app id, body, time and the account's secret key."""
        words = self.app_id.encode() + body + ms.encode() + self.oa_secret.encode()
        return hashlib.sha256(words).hexdigest()

    def _headers(self, body: bytes, ms: str, wire: Wire) -> dict[str, str]:
        ms = str(wire.header_ms or ms)
        headers = {"Content-Type": "application/json"}
        mac = self.mac(body, ms)
        if wire.sign == "bad":
            mac = mac[::-1]
        if wire.sign == "hmac":
            mac = hmac.new(self.oa_secret.encode(), body, hashlib.sha256).hexdigest()
        if wire.sign != "none":
            headers["X-ZEvent-Signature"] = f"mac={mac}"
        if wire.header_time:
            headers["X-ZEvent-Timestamp"] = ms
        if wire.num_retry is not None:
            headers["num_retry"] = str(wire.num_retry)
        return headers

    async def _post(self, posted: Posted) -> Delivery:
        if not self.webhook or self.unsubscribed:
            return Delivery(posted.event_name, 0, 0.0)
        started = asyncio.get_running_loop().time()
        status, opened = await self._try(posted, self.webhook)
        seconds = asyncio.get_running_loop().time() - started
        delivery = Delivery(posted.event_name, status, seconds, posted.tries)
        self.deliveries.append(delivery)
        if status != 200:
            self._failed(posted, opened=opened)
        return delivery

    async def _try(self, posted: Posted, url: str) -> tuple[int, bool]:
        """The status that came back in time, else 0; whether the connection could be opened."""
        more = {"Connection": "close"} | ({"num_retry": str(posted.tries)} if posted.tries else {})
        try:
            async with self.http.post(
                url,
                data=posted.body,
                headers=posted.headers | more,
                timeout=ClientTimeout(total=self.deadline),
                allow_redirects=False,
            ) as response:
                return response.status, True
        except ClientConnectorError:
            return 0, False
        except (ClientError, TimeoutError):
            return 0, True

    def _failed(self, posted: Posted, *, opened: bool) -> None:
        if opened:
            self.notified.append(posted.event_name)
            if not self.retries_answers:
                return
        if posted.tries == len(RETRY_AFTER):
            self.unsubscribed = True
            self._pending.clear()
            return
        due = self.clock.now + timedelta(seconds=RETRY_AFTER[posted.tries])
        self._pending.append((due, replace(posted, tries=posted.tries + 1)))

    async def _echo(self, person: Person, heard: Heard, *, admin_id: str = "", **wire: Any) -> None:
        words = {"text": heard.text} if heard.text else {}
        attached = heard.kind in ("image", "gif", "file", "sticker")
        content = heard.image or heard.file or b""
        link = heard.image_url or (self.keep_file("sent", content) if attached else "")
        payload = {"attachments": [{"type": heard.kind, "payload": {"url": link}}]}
        message = {"msg_id": heard.message_id, **words, **(payload if attached else {})}
        message |= {"conversation_id": person.conversation_id} if person.conversation_id else {}
        kind = {"buttons": "text", "request_user_info": "list"}.get(heard.kind, heard.kind)
        name = f"oa_send_anonymous_{kind}" if person.conversation_id else f"oa_send_{kind}"
        about = person.envelope(by_oa=True, admin_id=admin_id, message=message)
        await self.event(name, **about, **wire)

    async def _follow_up(self, person: Person, heard: Heard) -> None:
        """What the platform posts after a send, by the switches."""
        if self.echoes:
            await self._echo(person, heard)
        if self.tells_received:
            await person.gets(heard.message_id)
        if self.tells_seen:
            await person.reads(heard.message_id)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def new_id(self) -> str:
        """A message id that was never given before."""
        self._counted += 1
        return f"63ec{self._counted:012x}"

    def keep_file(self, name: str, content: bytes) -> str:
        """Puts a file on the file host; gives its address."""
        id_ = secrets.token_hex(8)
        self._files[id_] = content
        return f"{self.url}/files/{id_}/{name}"

    def forget_files(self) -> None:
        """Lets every link die: they are not promised to last."""
        self._files.clear()

    async def _file(self, request: web.Request) -> web.StreamResponse:
        async def content(_: Call) -> web.Response:
            if self.files_redirect_to:
                raise web.HTTPFound(self.files_redirect_to)
            kept = self._files.get(request.match_info["id"])
            return web.Response(status=404) if kept is None else web.Response(body=kept)

        return await self.handle("file", request, content)

    # Consent and tokens

    def consents(self, code_challenge: str, state: str = "", redirect_uri: str = "") -> str:
        """The administrator agrees; gives the code, and leaves the whole address in `callback`."""
        code = f"code-{secrets.token_hex(8)}"
        self._codes[code] = (code_challenge, self.clock.now)
        query = urlencode({"code": code, "oa_id": self.oa_id, "state": state})
        self.callback = f"{redirect_uri}?{query}"
        return code

    def tokens(self) -> tuple[str, str]:
        """A fresh access and refresh token; the access token before is dead at once."""
        access, refresh = f"at-{secrets.token_hex(16)}", f"rt-{secrets.token_hex(16)}"
        self._access = (access, self.clock.now)
        self._refresh[refresh] = self.clock.now
        return access, refresh

    async def _permission(self, request: web.Request) -> web.StreamResponse:
        async def act(call: Call) -> web.Response:
            asked = _only(call.fields, "", "app_id", "redirect_uri", "code_challenge", "state")
            if asked["app_id"] != self.app_id:
                raise Mistake("app_id")
            self.consents(asked["code_challenge"], asked["state"], asked["redirect_uri"])
            return web.Response(status=302, headers={"Location": self.callback})

        return await self.handle("GET /v4/oa/permission", request, self._telling(act))

    async def _oauth(self, request: web.Request) -> web.StreamResponse:
        async def act(call: Call) -> web.Response:
            if request.content_type != "application/x-www-form-urlencoded":
                self.mistakes.append("the token is asked for by a form")
                return _oauth_error(-14004)
            try:
                code = self._granted(call)
            except Mistake as mistake:
                self.mistakes.append(mistake.text)
                code = -14004
            if code:
                return _oauth_error(code)
            access, refresh = self.tokens()
            pair = {"access_token": access, "refresh_token": refresh, "expires_in": "90000"}
            return web.json_response(pair)

        return await self.handle("POST /v4/oa/access_token", request, act)

    def _granted(self, call: Call) -> int:
        """0 if the code or the refresh token is good, which it then is no more; else an error."""
        if _header(call, "secret_key") != self.app_secret:
            return -14003
        if call.fields.get("grant_type") == "refresh_token":
            form = _only(call.fields, "", "refresh_token", "app_id", "grant_type")
            given = self._refresh.pop(form["refresh_token"], None)
            good = given and self.clock.now - given <= REFRESH_LASTS
            return 0 if good and form["app_id"] == self.app_id else -14014
        form = _only(call.fields, "", "code", "app_id", "grant_type", "code_verifier")
        if form["grant_type"] != "authorization_code":
            raise Mistake("grant_type")
        challenge, given = self._codes.pop(form["code"], ("", None))
        if not given or self.clock.now - given > CODE_LASTS or form["app_id"] != self.app_id:
            return -14001
        return 0 if _answers(form["code_verifier"], challenge) else -14002

    # Calls

    async def _api(
        self, act: Callable[[Call], dict[str, Any]], request: web.Request
    ) -> web.StreamResponse:
        async def checked(call: Call) -> web.Response:
            self._count()
            self._authorise(call)
            json_only = request.method == "POST" and "/upload/" not in request.path
            if json_only and request.content_type != "application/json":
                raise Mistake("Content-Type")
            return web.json_response({"error": 0, "message": "Success", "data": act(call)})

        name = f"{request.method} {request.path}"
        response = await self.handle(name, request, self._telling(checked))
        response.headers["X-RateLimit-Limit"] = str(self.per_minute)
        response.headers["X-RateLimit-Remain"] = str(max(0, self.per_minute - self._this_minute[1]))
        return response

    def _telling(
        self, act: Callable[[Call], Awaitable[web.Response]]
    ) -> Callable[[Call], Awaitable[web.StreamResponse]]:
        """Tells a refusal as the API does: HTTP 200 and a negative code."""

        async def told(call: Call) -> web.Response:
            try:
                return await act(call)
            except Refused as refused:
                if isinstance(refused, Mistake):
                    self.mistakes.append(f"{call.method}: {refused.text}")
                return web.json_response({"error": refused.code, "message": refused.text})

        return told

    def _count(self) -> None:
        minute = self.clock.ms // 60_000
        counted = self._this_minute[1] if self._this_minute[0] == minute else 0
        self._this_minute = (minute, counted + 1)
        if counted >= self.per_minute:
            raise Refused(-32)

    def _authorise(self, call: Call) -> None:
        token = _header(call, "access_token")
        if not self._access or token != self._access[0]:
            raise Refused(-216)
        if self.clock.now - self._access[1] > ACCESS_LASTS:
            raise Refused(-220)

    async def _nowhere(self, request: web.Request) -> web.Response:
        self.mistakes.append(f"no such call: {request.method} {request.path}")
        return web.json_response({"error": -404, "message": "Not found"}, status=404)

    def _send(self, call: Call) -> dict[str, Any]:
        body = _only(call.fields, "", "recipient", "message")
        person = self._whom(_only(body["recipient"], "recipient", "user_id")["user_id"])
        sent = self._deliver(person, self._read(person, body["message"]))
        return {**sent, "user_id": person.id}

    def _send_v2(self, call: Call) -> dict[str, Any]:
        body = _only(call.fields, "", "recipient", "message")
        if "user_id" in (body["recipient"] or {}):
            raise Refused(-240)
        to = _only(body["recipient"], "recipient", "anonymous_id", "conversation_id")
        person = self._whom(to["anonymous_id"], anonymous=True)
        if person.conversation_id != to["conversation_id"]:
            raise Refused(-201, "conversation_id is invalid!")
        heard = self._read(person, body["message"])
        if heard.kind not in ("text", "image", "file", "sticker"):
            raise Refused(-233)
        sent = self._deliver(person, heard)
        return {"message_id": sent["message_id"], **to}

    def _deliver(self, person: Person, heard: Heard) -> dict[str, Any]:
        quota = _quota(person, self.clock.now)
        heard = self._heard_by(person, heard)
        self._later(self._follow_up(person, heard))
        return {"message_id": heard.message_id, "sent_time": str(self.clock.ms), **quota}

    def _heard_by(self, person: Person, heard: Heard) -> Heard:
        heard = replace(heard, message_id=self.new_id(), at=self.clock.now)
        person.heard.append(heard)
        person.message_ids.add(heard.message_id)
        return heard

    def _whom(self, id_: Any, *, anonymous: bool = False) -> Person:
        name = "anonymous_id" if anonymous else "user_id"
        if not isinstance(id_, str):
            raise Mistake(name)
        person = self.people.get(id_)
        if not person or bool(person.conversation_id) != anonymous:
            raise Refused(-201, f"{name} is invalid!")
        if person.refuses_with:
            raise Refused(person.refuses_with)
        return person

    def _read(self, person: Person, message: Any) -> Heard:
        """The message as the person will see it, if the platform takes it."""
        _only(message, "message", optional=("text", "quote_message_id", "attachment"))
        text, quoted = message.get("text"), message.get("quote_message_id")
        if text is not None:
            _limited(text, "text", 2000)
        if quoted is not None and quoted not in person.message_ids:
            raise Refused(-201, "quote_message_id is invalid!")
        if "attachment" not in message:
            if text is None:
                raise Mistake("message")
            return Heard("text", message)
        return self._attached(message)

    def _attached(self, message: dict[str, Any]) -> Heard:
        attachment = _only(message["attachment"], "attachment", "type", "payload")
        payload = attachment["payload"]
        if not isinstance(payload, dict):
            raise Mistake("payload")
        kind = (attachment["type"], payload.get("template_type", "buttons"))
        match kind:
            case ("file", _):
                token = _only(payload, "payload", "token")["token"]
                heard = Heard("file", message, file=self._uploaded(token, "token", "file"))
            case ("template", "media"):
                return self._media(message, payload)
            case ("template", "request_user_info"):
                _check_request(payload)
                heard = Heard("request_user_info", message)
            case ("template", "buttons"):
                return self._buttons(message, payload)
            case ("template", "list"):
                raise Refused(-233)
            case _:
                raise Mistake("attachment.type")
        if "text" in message:
            raise Mistake("text")
        return heard

    def _media(self, message: dict[str, Any], payload: dict[str, Any]) -> Heard:
        element = _single(payload)
        _only(element, "element", "media_type", optional=("url", "attachment_id"), extra=True)
        kind, url, id_ = element["media_type"], element.get("url"), element.get("attachment_id")
        if kind not in ("image", "gif", "sticker") or (url is None) == (id_ is None):
            raise Mistake("media_type" if url is None or id_ is None else "attachment_id")
        size = ("width", "height") if kind == "gif" else ()
        _only(element, "element", "media_type", "url" if id_ is None else "attachment_id", *size)
        if id_ is None:
            if kind == "sticker" or not _is_address(url):
                raise Mistake("url")
            return Heard(kind, message)
        if kind == "sticker":
            return Heard(kind, message)
        return Heard(kind, message, image=self._uploaded(id_, "attachment_id", kind))

    def _buttons(self, message: dict[str, Any], payload: dict[str, Any]) -> Heard:
        buttons = _only(payload, "payload", "buttons")["buttons"]
        if "text" not in message or not isinstance(buttons, list) or not buttons:
            raise Mistake("buttons")
        if len(buttons) > 5:
            raise Refused(-210)
        for button in buttons:
            _check_button(button)
        if self.buttons_refused:
            raise Refused(-233)
        return Heard("buttons", message)

    def _uploaded(self, id_: Any, name: str, kind: str) -> bytes:
        stored = self._uploads.get(id_) if isinstance(id_, str) else None
        if not stored or stored.kind != kind:
            raise Refused(-201, f"{name} is invalid!")
        if self.clock.now - stored.at > UPLOAD_LASTS:
            raise Refused(-100)
        return stored.content

    def _upload(self, kind: str, call: Call) -> dict[str, Any]:
        upload = _only(call.fields, "", "file")["file"]
        if not isinstance(upload, Upload):
            raise Mistake("file")
        endings, most = UPLOADS[kind]
        if not upload.name.lower().endswith(endings) or not upload.content:
            raise Refused(-201, "file is invalid!")
        if len(upload.content) > most:
            raise Refused(-210)
        id_ = secrets.token_urlsafe(24)
        self._uploads[id_] = Stored(kind, upload.content, self.clock.now)
        return {"token" if kind == "file" else "attachment_id": id_}

    def _detail(self, call: Call) -> dict[str, Any]:
        try:
            asked = json.loads(_only(call.fields, "", "data")["data"])
        except ValueError:
            raise Mistake("data") from None
        person = self._whom(_only(asked, "data", "user_id")["user_id"])
        last = person.interacted_at
        return {
            "user_id": person.id,
            "user_id_by_app": person.by_app,
            "display_name": person.name,
            "avatar": f"{self.url}/files/avatar/{person.id}.jpg",
            "user_is_follower": person.follower,
            "user_last_interaction_date": last.strftime("%d/%m/%Y") if last else "",
            "shared_info": {},
        }

    def _about(self, call: Call) -> dict[str, Any]:
        _only(call.fields, "")
        about = {"oaid": self.oa_id, "name": "UBND Phường Mẫu", "is_verified": True}
        return {**about, "oa_type": 4, "package_name": "Nâng cao"}


def _quota(person: Person, now: datetime) -> dict[str, Any]:
    """On whose account a message goes, or the refusal outside the window."""
    if person.interacted_at is None:
        raise Refused(-232)
    silent = now - person.interacted_at
    if silent > WINDOW:
        raise Refused(-230)
    if person.follower and not person.wrote and person.greeted < GREETINGS:
        person.greeted += 1
        left = GREETINGS - person.greeted
        quota = {"quota_type": "welcome_msg", "remain": str(left), "total": str(GREETINGS)}
        return {"quota": quota}
    return {"quota": {"quota_type": "reply"}} if silent <= FREE else {}


def _check_request(payload: dict[str, Any]) -> None:
    element = _only(_single(payload), "element", "title", "subtitle", "image_url")
    _limited(element["title"], "title", 100)
    _limited(element["subtitle"], "subtitle", 500)
    if not _is_address(element["image_url"]):
        raise Mistake("image_url")


def _check_button(button: Any) -> None:
    _only(button, "button", "title", "type", "payload")
    _limited(button["title"], "title", 100)
    payload = button["payload"]
    match button["type"]:
        case "oa.query.show" | "oa.query.hide":
            _limited(payload, "payload", 1000)
        case "oa.open.url":
            if not _is_address(_only(payload, "payload", "url")["url"]):
                raise Mistake("url")
        case "oa.open.phone":
            _check_phone(_only(payload, "payload", "phone_code"))
        case "oa.open.sms":
            _check_phone(_only(payload, "payload", "phone_code", "content"))
            _limited(payload["content"], "content", 160)
        case _:
            raise Mistake("button.type")


def _check_phone(payload: dict[str, Any]) -> None:
    if not re.fullmatch(r"84\d{5,12}", str(payload["phone_code"])):
        raise Mistake("phone_code")


def _single(payload: dict[str, Any]) -> Any:
    elements = _only(payload, "payload", "template_type", "elements")["elements"]
    if not isinstance(elements, list) or len(elements) != 1:
        raise Mistake("elements")
    return elements[0]


def _limited(value: Any, name: str, most: int) -> None:
    if not isinstance(value, str) or not value.strip():
        raise Mistake(name)
    if len(value) > most:
        raise Refused(-210)


def _only(
    value: Any, where: str, *needed: str, optional: tuple[str, ...] = (), extra: bool = False
) -> dict[str, Any]:
    """An object that has what is needed and, unless `extra`, nothing unknown."""
    if not isinstance(value, dict):
        raise Mistake(where)
    for name in needed:
        if name not in value:
            raise Mistake(f"{where}.{name}".strip("."))
    unknown = set() if extra else set(value) - set(needed) - set(optional)
    if unknown:
        raise Mistake(f"{where}.{min(unknown)}".strip("."))
    return value


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and re.match(r"https?://\S+$", value) is not None


def _answers(verifier: str, challenge: str) -> bool:
    digest = hashlib.sha256(verifier.encode()).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return re.fullmatch(r"[A-Za-z0-9]{43}", verifier) is not None and made == challenge


def _header(call: Call, name: str) -> str:
    return next((value for key, value in call.headers.items() if key.lower() == name), "")


def _oauth_error(code: int) -> web.Response:
    text = OAUTH_TEXTS[code]
    return web.json_response({"error": code, "error_name": text, "error_description": text})


def _compact(event: Any) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _numeric(value: Any, key: str = "") -> Any:
    """The same with every id and time as a number."""
    if isinstance(value, dict):
        return {k: _numeric(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_numeric(v) for v in value]
    return int(value) if key in ID_KEYS and str(value).isdigit() else value
