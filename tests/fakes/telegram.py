"""A faithful Telegram on loopback: the Bot API as bots see it, with citizens who act."""

import asyncio
import html
import inspect
import itertools
import json
import math
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import PurePath
from typing import Any, NoReturn

from aiohttp import ClientError, ClientTimeout, web
from yarl import URL

from tests.fakes.platform import Body, Call, Platform, Upload, VirtualClock

Json = dict[str, Any]

SENT = " chat_id message_thread_id disable_notification protect_content reply_parameters"
MARKED = SENT + " reply_markup parse_mode"
FIELDS = {
    "getMe": "",
    "getUpdates": "offset limit timeout allowed_updates",
    "setWebhook": "url secret_token allowed_updates max_connections drop_pending_updates",
    "deleteWebhook": "drop_pending_updates",
    "getWebhookInfo": "",
    "setMyCommands": "commands scope language_code",
    "getMyCommands": "scope language_code",
    "setMyDescription": "description language_code",
    "setMyShortDescription": "short_description language_code",
    "sendMessage": "text entities link_preview_options" + MARKED,
    "sendPhoto": "photo caption caption_entities show_caption_above_media has_spoiler" + MARKED,
    "sendDocument": "document caption caption_entities disable_content_type_detection" + MARKED,
    "sendChatAction": "chat_id message_thread_id action",
    "answerCallbackQuery": "callback_query_id text show_alert url cache_time",
    "editMessageReplyMarkup": "chat_id message_id reply_markup",
    "getFile": "file_id",
    "leaveChat": "chat_id",
}
METHODS = {name.lower(): name for name in FIELDS}
STRUCTURED = (
    *("allowed_updates", "caption_entities", "commands", "entities"),
    *("link_preview_options", "reply_markup", "reply_parameters", "scope"),
)
WHOLE = {"chat_id", "limit", "max_connections", "message_id", "offset", "timeout"}
ACTIONS = {"typing", "upload_photo", "upload_document", "find_location"}
UPDATES = {"message", "edited_message", "callback_query", "my_chat_member"}
TAG = "a|b|blockquote|code|del|em|i|ins|pre|s|span|strike|strong|tg-spoiler|u"
INLINE_KEYS = {"text", "callback_data", "url"}
KEYS = {"text", "request_location", "request_contact"}
DISCARDED = timedelta(hours=24)
LINK_LIVES = timedelta(hours=1)
QUERY_LIVES = timedelta(minutes=15)
TOO_OLD = "query is too old and response timeout expired or query ID is invalid"
BLOCKED = "Forbidden: bot was blocked by the user"
JPEG = b"\xff\xd8\xff\xe0 a small picture \xff\xd9"


class Refused(Exception):  # noqa: N818 - named as a fact
    """An answer with `ok` false."""

    def __init__(self, status: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.body: Json = {"ok": False, "error_code": status, "description": description}
        if parameters:
            self.body["parameters"] = parameters


def bad(description: str) -> NoReturn:
    """Refuses a call that is wrong in itself."""
    raise Refused(400, f"Bad Request: {description}")


@dataclass(frozen=True)
class Key:
    """A key of the keyboard under the chat, which may ask for a place or a phone number."""

    label: str
    request_location: bool = False
    request_contact: bool = False


@dataclass
class Heard:
    """One message of the bot as the chat shows it now."""

    message: Json
    markup: Json
    at: datetime
    photo: bytes | None = None
    document: bytes | None = None
    file_name: str = ""

    @property
    def message_id(self) -> int:
        return int(self.message["message_id"])

    @property
    def text(self) -> str:
        """Its words or its caption, without marks."""
        return str(self.message.get("text") or self.message.get("caption") or "")

    @property
    def inline(self) -> list[list[Json]]:
        """The buttons as they were sent."""
        return self.markup.get("inline_keyboard") or []

    @property
    def buttons(self) -> list[list[str]]:
        """The labels of its buttons, row by row."""
        return [[button["text"] for button in row] for row in self.inline]

    @property
    def keyboard(self) -> list[list[Key]]:
        """The keyboard that it brought under the chat."""
        rows = self.markup.get("keyboard") or []
        return [[Key(key.pop("text"), **key) for key in map(_key, row)] for row in rows]

    @property
    def removes_keyboard(self) -> bool:
        return bool(self.markup.get("remove_keyboard"))


class Bucket:
    """Allows a rate beyond a burst."""

    def __init__(self, rate: float, burst: int) -> None:
        self.rate, self.burst, self.left, self.at = rate, burst, float(burst), -math.inf

    def wait(self, now: float) -> float:
        """Seconds until one more is allowed."""
        self.left = min(self.burst, self.left + (now - self.at) * self.rate)
        self.at = now
        return max(0.0, (1 - self.left) / self.rate)


class Chat:
    """Where the bot may write, once it has been written to."""

    def __init__(self, fake: "FakeTelegram", id_: int, name: str) -> None:
        self.fake, self.id, self.name = fake, id_, name
        self.known = False
        self.closed = ""
        self.heard: list[Heard] = []
        self.allowed = Bucket(1, 5)

    def told(self) -> Json:
        """The chat as updates tell it."""
        return {"id": self.id, "type": "private", "first_name": self.name}

    def message(self, by: "Person", **content: Any) -> Json:
        """A new message in this chat."""
        head = {"message_id": self.fake.next_message(), "date": self.fake.date}
        return {**head, "from": by.user(), "chat": self.told(), **content}

    async def _does(self, **update: Json) -> int:
        return (await self._do(update))[0]

    async def _do(self, *updates: Json) -> list[int]:
        assert not self.closed, f"{self.name}: {self.closed}"
        self.known = True
        return await self.fake.happen(*updates)

    async def _member(self, by: "Person", before: str, after: str) -> int:
        bot = self.fake.bot
        told = {"chat": self.told(), "from": by.user(), "date": self.fake.date}
        old, new = (
            {"status": status, "user": bot, **({"until_date": 0} if status == "kicked" else {})}
            for status in (before, after)
        )
        update = {"my_chat_member": {**told, "old_chat_member": old, "new_chat_member": new}}
        return (await self.fake.happen(update))[0]


class Person(Chat):
    """A citizen in a private chat with the bot; acts give the id of their update."""

    def __init__(self, fake: "FakeTelegram", id_: int, name: str) -> None:
        super().__init__(fake, id_, name)
        self.callback_answers: list[str] = []
        self.said: Json = {}

    def user(self) -> Json:
        """The person as updates tell them."""
        return {"id": self.id, "is_bot": False, "first_name": self.name, "language_code": "vi"}

    async def says(self, text: str) -> int:
        return await self._says(**worded(text))

    async def starts(self, payload: str = "") -> int:
        return await self.says(f"/start {payload}".strip())

    async def edits(self, text: str) -> int:
        """Changes the words that were said last."""
        self.said = {**self.said, **worded(text), "edit_date": self.fake.date}
        return await self._does(edited_message=self.said)

    async def sends_photo(self, caption: str = "", content: bytes = JPEG) -> int:
        return await self._says(**self._photo(content, caption))

    async def sends_album(self, contents: list[bytes], caption: str = "") -> list[int]:
        """Several photos that belong together; the first has the caption."""
        group = {"media_group_id": str(self.fake.next_message())}
        captions = [caption, *[""] * len(contents)]
        photos = [self._photo(one, said) for one, said in zip(contents, captions, strict=False)]
        messages = [self.message(self, **group, **photo) for photo in photos]
        return await self._do(*({"message": message} for message in messages))

    async def sends_file(self, name: str, content: bytes, media_type: str) -> int:
        kept = self.fake.keep(content, name)
        return await self._says(document={**kept, "file_name": name, "mime_type": media_type})

    async def sends_voice(self, content: bytes = b"OggS") -> int:
        kept = self.fake.keep(content, "voice.oga")
        return await self._says(voice={**kept, "duration": 3, "mime_type": "audio/ogg"})

    async def sends_sticker(self) -> int:
        kept = self.fake.keep(b"RIFF", "sticker.webp")
        size = {"width": 512, "height": 512}
        kind = {"type": "regular", "is_animated": False, "is_video": False}
        return await self._says(sticker={**kept, **size, **kind})

    async def shares_location(self, latitude: float, longitude: float) -> int:
        place = {"latitude": latitude, "longitude": longitude, "horizontal_accuracy": 12.5}
        return await self._says(location=place)

    async def shares_contact(self, phone: str, own: bool = True) -> int:
        """Shares the person's own card, or somebody else's."""
        card = {"first_name": self.name, "user_id": self.id}
        other = {"first_name": "Bình", "user_id": self.id + 1}
        return await self._says(contact={"phone_number": phone, **(card if own else other)})

    async def presses(self, label: str) -> int:
        """Presses the newest button with that label that the chat shows."""
        for heard in reversed(self.heard):
            for button in itertools.chain(*heard.inline):
                if button["text"] == label:
                    return await self.presses_data(button["callback_data"], heard.message_id)
        raise LookupError(f"{self.name} sees no button {label!r}")

    async def presses_data(self, data: str, message_id: int | None = None) -> int:
        """Presses a button that may be gone or never was, on the newest message or another."""
        heard = [one for one in self.heard if message_id in (None, one.message_id)][-1]
        query = self.fake.next_query(self)
        told = {"id": query, "from": self.user(), "message": dict(heard.message), "data": data}
        return await self._does(callback_query={**told, "chat_instance": str(-self.id)})

    async def blocks_bot(self) -> int:
        self.closed = BLOCKED
        return await self._member(self, "member", "kicked")

    async def unblocks_bot(self) -> int:
        self.closed = ""
        return await self._member(self, "kicked", "member")

    async def _says(self, **content: Any) -> int:
        self.said = self.message(self, **content)
        return await self._does(message=self.said)

    def _photo(self, content: bytes, caption: str) -> Json:
        return {"photo": self.fake.sizes(content), **({"caption": caption} if caption else {})}


class Group(Chat):
    """A group that the bot is in."""

    def __init__(self, fake: "FakeTelegram", id_: int, name: str) -> None:
        super().__init__(fake, id_, name)
        self.allowed = Bucket(20 / 60, 20)

    def told(self) -> Json:
        return {"id": self.id, "type": "group", "title": self.name}

    async def says(self, text: str, by: Person) -> int:
        return await self._does(message=self.message(by, **worded(text)))

    async def adds_bot(self, by: Person) -> int:
        self.known, self.closed = True, ""
        return await self._member(by, "left", "member")


@dataclass
class Webhook:
    """Where updates are posted, and how many at a time."""

    url: str
    secret: str
    max_connections: int
    slots: asyncio.Semaphore
    last_error: Json = field(default_factory=dict)


@dataclass(eq=False)
class Waiting:
    """An update that was not taken yet."""

    update: Json
    since: datetime
    due: datetime
    held: bool
    tries: int = 0
    busy: bool = False


class FakeTelegram(Platform):
    """The Bot API for one bot; sends are counted for floods by virtual plus the machine's time."""

    def __init__(self, token: str = "123456:TEST-token", clock: VirtualClock | None = None) -> None:
        super().__init__(clock)
        self.token = token
        names = {"first_name": "Một cửa", "username": "mot_cua_bot"}
        self.bot: Json = {"id": int(token.partition(":")[0]), "is_bot": True, **names}
        self.patience = 10.0
        self.flood = True
        self.reset()

    def reset(self) -> None:
        """Forgets everything but the clock."""
        super().reset()
        self.chats: dict[int, Chat] = {}
        self.updates: dict[int, Json] = {}
        self.waiting: list[Waiting] = []
        self.deliveries: list[tuple[int, int]] = []
        self.queries: dict[str, tuple[Person, datetime]] = {}
        self.files: dict[str, tuple[str, bytes]] = {}
        self.links: dict[str, tuple[str, datetime]] = {}
        self.commands: dict[str, list[Json]] = {}
        self.descriptions: dict[str, str] = {}
        self.webhook: Webhook | None = None
        self.kinds = UPDATES
        self.hold = False
        self._changed = asyncio.Condition()
        self._poll = 0
        self._acts = 0
        self._overall = Bucket(30, 30)
        first = self.clock.ms // 1000 if self.clock.real else 7001
        self._messages, self._update_ids = itertools.count(11), itertools.count(first)
        self._query_ids = itertools.count(991)

    @property
    def base_url(self) -> str:
        """What python-telegram-bot takes as `base_url`."""
        return f"{self.url}/bot"

    @property
    def base_file_url(self) -> str:
        """What python-telegram-bot takes as `base_file_url`."""
        return f"{self.url}/file/bot"

    @property
    def date(self) -> int:
        """The moment as updates tell it."""
        return self.clock.ms // 1000

    def next_message(self) -> int:
        """A new message id."""
        return next(self._messages)

    def next_query(self, person: Person) -> str:
        """A new id of a press, which may be answered once."""
        id_ = str(next(self._query_ids))
        self.queries[id_] = (person, self.clock.now)
        return id_

    def person(self, id_: int, name: str = "Lan") -> Person:
        """The citizen of that id; the bot may write to them once they have acted."""
        chat = self.chats.setdefault(id_, Person(self, id_, name))
        assert isinstance(chat, Person)
        return chat

    def group(self, id_: int, title: str) -> Group:
        """The group of that id."""
        chat = self.chats.setdefault(id_, Group(self, id_, title))
        assert isinstance(chat, Group)
        return chat

    def somebody(self, id_: str) -> Person:
        return self.person(int(id_))

    def refusal(self, status: int) -> Body:
        return Refused(status, "Fault").body

    def keep(self, content: bytes, name: str) -> Json:
        """Keeps a file and tells it as messages do."""
        id_ = f"file-{len(self.files) + 1}"
        self.files[id_] = (name, content)
        return {"file_id": id_, "file_unique_id": f"u-{id_}", "file_size": len(content)}

    def sizes(self, content: bytes) -> list[Json]:
        """Keeps a photo in two sizes, the smaller first."""
        small = {**self.keep(b"small", "photo.jpg"), "width": 90, "height": 60}
        return [small, {**self.keep(content, "photo.jpg"), "width": 1280, "height": 853}]

    async def happen(self, *bodies: Json) -> list[int]:
        """Makes updates of what citizens did; with a webhook, waits for its answers."""
        self._acts += 1
        ids = [next(self._update_ids) for _ in bodies]
        for id_, body in zip(ids, bodies, strict=True):
            self.updates[id_] = {"update_id": id_, **body}
            if self.kinds & body.keys():
                self._wait(id_)
        await self._deliver()
        return ids

    async def repeat(self, update_id: int) -> None:
        """Delivers an update once more."""
        self._wait(update_id)
        await self._deliver()

    async def deliver_in(self, order: list[int]) -> None:
        """Delivers held updates one after another in that order."""
        for id_ in order:
            for waiting in self.waiting:
                waiting.held &= waiting.update["update_id"] != id_
            await self._deliver()

    async def polled(self) -> None:
        """Waits until getUpdates is called once more."""
        before = self._poll
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: self._poll != before)

    async def pump(self) -> None:
        """Posts what is due to the webhook, in parallel, and forgets what is a day old."""
        now, hook = self.clock.now, self.webhook
        self.waiting = [one for one in self.waiting if now - one.since < DISCARDED]
        if hook:
            ready = [w for w in self.waiting if not (w.held or w.busy) and w.due <= now]
            for one in ready:
                one.busy = True
            await asyncio.gather(*(self._post(hook, one) for one in ready))

    def _wait(self, update_id: int) -> None:
        now = self.clock.now
        self.waiting.append(Waiting(self.updates[update_id], now, now, self.hold))

    async def _deliver(self) -> None:
        async with self._changed:
            self._changed.notify_all()
        await self.pump()

    async def _post(self, hook: Webhook, one: Waiting) -> None:
        headers = {"X-Telegram-Bot-Api-Secret-Token": hook.secret} if hook.secret else {}
        status, reason = 0, "Connection failed or timed out"
        send = partial(self.http.post, timeout=ClientTimeout(self.patience), headers=headers)
        try:
            async with hook.slots, send(hook.url, json=one.update, allow_redirects=False) as got:
                status, reason = got.status, f"{got.status} {got.reason}"
        except (ClientError, TimeoutError):
            pass
        finally:
            one.busy = False
        self.deliveries.append((one.update["update_id"], status))
        if 200 <= status < 300:
            self.waiting = [other for other in self.waiting if other is not one]
            return
        one.tries += 1
        one.due = self.clock.now + timedelta(seconds=min(2**one.tries, 600))
        wrong = f"Wrong response from the webhook: {reason}"
        hook.last_error = {"last_error_date": self.date, "last_error_message": wrong}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/file/bot{token}/{path:.+}", self._download),
            web.get("/bot{token}/{method}", self._call),
            web.post("/bot{token}/{method}", self._call),
            web.route("*", "/{rest:(?!_ctl).*}", self._call),
        ]

    async def _call(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("method", "")
        name = METHODS.get(name.lower(), name)
        return await self.handle(name, request, partial(self._answer, request, self._do))

    async def _download(self, request: web.Request) -> web.StreamResponse:
        act = partial(self._answer, request, partial(self._content_of, request))
        return await self.handle("download", request, act)

    async def _answer(
        self, request: web.Request, act: Callable[[Call], Awaitable[Any]], call: Call
    ) -> web.StreamResponse:
        try:
            self._admit(request)
            result = await act(call)
        except Refused as refused:
            return web.json_response(refused.body, status=refused.body["error_code"])
        if isinstance(result, bytes):
            return web.Response(body=result)
        return web.json_response({"ok": True, "result": result})

    async def _do(self, call: Call) -> Any:
        if call.method not in FIELDS:
            raise Refused(404, "Not Found")
        call.fields = self._decoded(call)
        act = getattr(self, "_" + re.sub("[A-Z]", lambda m: "_" + m[0].lower(), call.method))
        result = act(call.fields)
        return await result if inspect.isawaitable(result) else result

    async def _content_of(self, request: web.Request, _: Call) -> bytes:
        file_id, since = self.links.get(request.match_info["path"], ("", self.clock.now))
        if not file_id or self.clock.now - since >= LINK_LIVES:
            raise Refused(404, "Not Found")
        return self.files[file_id][1]

    def _admit(self, request: web.Request) -> None:
        token = request.match_info.get("token", "")
        if not re.fullmatch(r"\d+:[\w-]+", token):
            raise Refused(404, "Not Found")
        if token != self.token:
            raise Refused(401, "Unauthorized")

    def _decoded(self, call: Call) -> Json:
        known = FIELDS[call.method].split()
        given = [value for value in call.fields.values() if isinstance(value, str)]
        for name in call.fields:
            if name not in known and f"attach://{name}" not in given:
                self.wrong(f"unknown field {name!r} in {call.method}")
        try:
            return {name: _value(name, value) for name, value in call.fields.items()}
        except ValueError:
            bad("can't parse JSON object or number")

    def wrong(self, mistake: str) -> NoReturn:
        """Refuses what no bot should ever send, and remembers it."""
        self.mistakes.append(mistake)
        bad(mistake)

    def _get_me(self, _: Json) -> Json:
        rights = {"can_join_groups": True, "can_read_all_group_messages": False}
        return {**self.bot, **rights, "supports_inline_queries": False}

    async def _get_updates(self, f: Json) -> list[Json]:
        if self.webhook:
            active = "can't use getUpdates method while webhook is active; "
            raise Refused(409, f"Conflict: {active}use deleteWebhook to delete the webhook first")
        self._allow(f)
        self._confirm(f.get("offset", 0))
        async with self._changed:
            self._poll += 1
            mine = self._poll
            self._changed.notify_all()
            found = await self._await_updates(mine, f.get("timeout", 0))
        if self._poll != mine or self.webhook:
            raise Refused(409, "Conflict: terminated by other getUpdates request or setWebhook")
        return found[: max(1, min(f.get("limit", 100), 100))]

    async def _await_updates(self, mine: int, seconds: float) -> list[Json]:
        def over() -> bool:
            return self._poll != mine or bool(self.webhook or self._shown())

        if seconds and not over():
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait_for(over)
            except TimeoutError:
                pass
        return self._shown()

    def _shown(self) -> list[Json]:
        now = self.clock.now
        fresh = [w for w in self.waiting if not w.held and now - w.since < DISCARDED]
        return sorted((w.update for w in fresh), key=lambda update: update["update_id"])

    def _confirm(self, offset: int) -> None:
        if offset < 0:
            newest = self._shown()[offset:]
            offset = newest[0]["update_id"] if newest else 0
        self.waiting = [w for w in self.waiting if w.update["update_id"] >= offset]

    def _allow(self, f: Json) -> None:
        if "allowed_updates" in f:
            self.kinds = set(f["allowed_updates"]) or UPDATES

    async def _set_webhook(self, f: Json) -> bool:
        url, secret, most = (
            f.get("url", ""),
            f.get("secret_token", ""),
            f.get("max_connections", 40),
        )
        if not re.fullmatch(r"[\w-]{0,256}", secret, re.ASCII):
            bad("secret token contains unallowed characters")
        if not 1 <= most <= 100:
            bad("max_connections must be between 1 and 100")
        if url:
            check_url(URL(url))
        self._allow(f)
        return await self._hook(f, Webhook(url, secret, most, asyncio.Semaphore(most)))

    async def _delete_webhook(self, f: Json) -> bool:
        return await self._hook(f, None)

    async def _hook(self, f: Json, webhook: Webhook | None) -> bool:
        self.webhook = webhook if webhook and webhook.url else None
        if f.get("drop_pending_updates"):
            self.waiting = []
        async with self._changed:
            self._changed.notify_all()
        return True

    def _get_webhook_info(self, _: Json) -> Json:
        hook = self.webhook
        told = {"url": hook.url if hook else "", "has_custom_certificate": False}
        told |= {"pending_update_count": len(self.waiting), "allowed_updates": sorted(self.kinds)}
        return told | ({"max_connections": hook.max_connections, **hook.last_error} if hook else {})

    def _set_my_commands(self, f: Json) -> bool:
        commands = f.get("commands") or []
        for command in commands:
            self.strict("BotCommand", command, {"command", "description"})
            if not re.fullmatch(r"[a-z0-9_]{1,32}", command["command"]):
                bad("BOT_COMMAND_INVALID")
            if not 1 <= units(command["description"]) <= 256:
                bad("BOT_COMMAND_DESCRIPTION_INVALID")
        if len(commands) > 100:
            bad("BOT_COMMANDS_TOO_MUCH")
        self.commands[_scope(f)] = commands
        return True

    def _get_my_commands(self, f: Json) -> list[Json]:
        return self.commands.get(_scope(f), [])

    def _set_my_description(self, f: Json, name: str = "description", most: int = 512) -> bool:
        self.descriptions[name] = within(f.get(name, ""), most, name)
        return True

    def _set_my_short_description(self, f: Json) -> bool:
        return self._set_my_description(f, "short_description", 120)

    def _send_message(self, f: Json) -> Json:
        text = within(self._plain(f, "text"), 4096, "message")
        if not text:
            bad("message text is empty")
        return self._send(f, {"text": text})

    def _send_photo(self, f: Json) -> Json:
        name, content = self._content(f, "photo", 10)
        return self._send(f, self._caption(f, photo=self.sizes(content)), name, photo=content)

    def _send_document(self, f: Json) -> Json:
        name, content = self._content(f, "document", 50)
        document = {**self.keep(content, name), "file_name": name}
        return self._send(f, self._caption(f, document=document), name, document=content)

    def _send_chat_action(self, f: Json) -> bool:
        self._chat(f)
        if f.get("action") not in ACTIONS:
            bad("wrong parameter action in request")
        return True

    def _answer_callback_query(self, f: Json) -> bool:
        person, since = self.queries.pop(str(f.get("callback_query_id")), (None, self.clock.now))
        if person is None or self.clock.now - since > QUERY_LIVES:
            bad(TOO_OLD)
        person.callback_answers.append(within(f.get("text", ""), 200, "MESSAGE"))
        return True

    def _edit_message_reply_markup(self, f: Json) -> Json:
        chat = self._chat(f)
        found = [one for one in chat.heard if one.message_id == f.get("message_id")]
        if not found:
            bad("message to edit not found")
        markup = self._markup(f, chat)
        if markup and "inline_keyboard" not in markup:
            bad("inline keyboard expected")
        [heard] = found
        if heard.inline == markup.get("inline_keyboard", []):
            bad("message is not modified")
        heard.markup = markup
        heard.message.pop("reply_markup", None)
        heard.message |= {"reply_markup": markup} if heard.inline else {}
        return heard.message

    def _get_file(self, f: Json) -> Json:
        if f.get("file_id") not in self.files:
            bad("wrong file_id or the file is temporarily unavailable")
        name, content = self.files[f["file_id"]]
        if len(content) > 20 * 2**20:
            bad("file is too big")
        path = f"documents/file_{len(self.links) + 1}{PurePath(name).suffix}"
        self.links[path] = (f["file_id"], self.clock.now)
        about = {"file_id": f["file_id"], "file_unique_id": f"u-{f['file_id']}"}
        return {**about, "file_size": len(content), "file_path": path}

    def _leave_chat(self, f: Json) -> bool:
        chat = self._chat(f)
        if isinstance(chat, Person):
            bad("chat member status can't be changed in private chats")
        chat.closed = "Forbidden: bot is not a member of the group chat"
        return True

    def _chat(self, f: Json) -> Chat:
        chat = self.chats.get(f.get("chat_id", 0))
        if not chat or not chat.known:
            bad("chat not found")
        if chat.closed:
            raise Refused(403, chat.closed)
        return chat

    def _send(self, f: Json, content: Json, file_name: str = "", **files: bytes) -> Json:
        chat = self._chat(f)
        markup = self._markup(f, chat)
        self._slow_down(chat)
        head = {"message_id": self.next_message(), "date": self.date, "from": self.bot}
        message = {**head, "chat": chat.told(), **content}
        if "inline_keyboard" in markup:
            message["reply_markup"] = markup
        heard = Heard(message, markup, self.clock.now, file_name=file_name, **files)
        chat.heard.append(heard)
        return message

    def _slow_down(self, chat: Chat) -> None:
        """Counts a send; an act of a citizen counts as a second, since nobody is faster."""
        passed = 0 if self.clock.real else time.monotonic()
        now = self.clock.ms / 1000 + passed + self._acts
        wait = max(self._overall.wait(now), chat.allowed.wait(now))
        if self.flood and wait:
            seconds = math.ceil(wait)
            description = f"Too Many Requests: retry after {seconds}"
            raise Refused(429, description, retry_after=seconds)
        self._overall.left -= 1
        chat.allowed.left -= 1

    def _plain(self, f: Json, name: str) -> str:
        text, mode = str(f.get(name, "")), f.get("parse_mode")
        if mode not in (None, "HTML"):
            self.wrong(f"the fake does not read parse_mode {mode!r}")
        return (without_marks(text) if mode else text).strip()

    def _caption(self, f: Json, **content: Any) -> Json:
        caption = within(self._plain(f, "caption"), 1024, "message caption")
        return {**content, **({"caption": caption} if caption else {})}

    def _content(self, f: Json, kind: str, most: int) -> tuple[str, bytes]:
        given = f.get(kind)
        if isinstance(given, str) and given.startswith("attach://"):
            given = f.get(given.removeprefix("attach://"))
        if isinstance(given, str) and given in self.files:
            return self.files[given]
        if not isinstance(given, Upload):
            bad("wrong file identifier/HTTP URL specified" if given else f"there is no {kind}")
        if not given.content:
            bad("file must be non-empty")
        if len(given.content) > most * 2**20:
            raise Refused(413, "Request Entity Too Large")
        return given.name, given.content

    def strict(self, what: str, given: Json, known: set[str]) -> None:
        """Refuses a nested object with a field that it does not have."""
        if unknown := given.keys() - known:
            self.wrong(f"unknown field {min(unknown)!r} in {what}")

    def _markup(self, f: Json, chat: Chat) -> Json:
        markup: Json = f.get("reply_markup") or {}
        keys = "is_persistent resize_keyboard one_time_keyboard input_field_placeholder selective"
        known = f"inline_keyboard keyboard remove_keyboard force_reply {keys}"
        self.strict("reply_markup", markup, set(known.split()))
        for button in itertools.chain(*markup.get("inline_keyboard", [])):
            self._check_button(button)
        for key in map(_key, itertools.chain(*markup.get("keyboard", []))):
            self._check_key(key, chat)
        rows = markup.get("inline_keyboard") or markup.get("keyboard") or []
        if sum(map(len, rows)) > 100:
            bad("reply markup is too long")
        return markup

    def _check_button(self, button: Json) -> None:
        self.strict("InlineKeyboardButton", button, INLINE_KEYS)
        if not button.get("text"):
            bad("inline keyboard button text must be non-empty")
        if ("callback_data" in button) == ("url" in button):
            bad("text buttons are unallowed in the inline keyboard")
        if not 1 <= len(button.get("callback_data", "url").encode()) <= 64:
            bad("BUTTON_DATA_INVALID")

    def _check_key(self, key: Json, chat: Chat) -> None:
        self.strict("KeyboardButton", key, KEYS)
        if not key.get("text"):
            bad("keyboard button text must be non-empty")
        for what, name in (("request_location", "location"), ("request_contact", "phone number")):
            if key.get(what) and not isinstance(chat, Person):
                bad(f"{name} can be requested in private chats only")


def worded(text: str) -> Json:
    """The words of a message, with its command marked."""
    assert 0 < units(text) <= 4096, "the app would not send this as one message"
    if not (command := re.match(r"/\w+", text)):
        return {"text": text}
    mark = {"type": "bot_command", "offset": 0, "length": len(command[0])}
    return {"text": text, "entities": [mark]}


def units(text: str) -> int:
    """The length as Telegram counts it, in UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


def within(text: str, most: int, what: str) -> str:
    """The text, unless it is too long."""
    if units(text) > most:
        bad(f"{what} is too long")
    return text


def without_marks(text: str) -> str:
    """The words of a text with HTML marks, all of which must be known and closed."""
    words, opened = "", list[str]()
    for mark, slash, tag, plain in re.findall(r"(<(/?)([\w-]*)[^<>]*>?)|([^<]+)", text):
        words += html.unescape(plain)
        if not mark:
            continue
        if not re.fullmatch(TAG, tag) or not mark.endswith(">"):
            bad(f'can\'t parse entities: Unsupported start tag "{tag}"')
        if not slash:
            opened.append(tag)
        elif not opened or opened.pop() != tag:
            bad(f'can\'t parse entities: Unexpected end tag "{tag}"')
    if opened:
        bad(f"can't parse entities: Can't find end tag corresponding to start tag \"{opened[-1]}\"")
    return words


def check_url(url: URL) -> None:
    """Refuses a webhook that Telegram would not post to; loopback stands for the world."""
    if url.host in ("127.0.0.1", "localhost"):
        return
    if url.scheme != "https":
        bad("bad webhook: An HTTPS URL must be provided for webhook")
    if url.port not in (443, 80, 88, 8443):
        bad("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")


def _key(key: Any) -> Json:
    return dict(key) if isinstance(key, dict) else {"text": key}


def _scope(f: Json) -> str:
    return json.dumps([f.get("scope") or {"type": "default"}, f.get("language_code") or ""])


def _value(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if name in STRUCTURED:
        return json.loads(value)
    if name in WHOLE:
        return int(value)
    return value.lower() in ("true", "1") if name == "drop_pending_updates" else value
