"""The Zalo Official Account: events in by webhook, replies out by OpenAPI v3.

Section numbers in this folder are those of the channel reference; docs/channels/zalo.md tells an
operator what to do.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from aiohttp import web

from bot.channel import Channel, OutOfReach, Pace, Recipient, Refused, TryLater
from bot.channels.zalo import events, files, parts, refusals
from bot.channels.zalo.client import Access, Client, Wire
from bot.channels.zalo.events import CHANNEL, Anonymous, Event, Kind, NotAsAgreed, Sign
from bot.channels.zalo.parts import AskPhone, Part, Picture, Words
from bot.channels.zalo.refusals import FORM_REFUSED, RATE_LIMIT, UPLOAD_EXPIRED, ZaloRefused
from bot.channels.zalo.settings import ZaloSettings, load_zalo_settings
from bot.message import Block, FileBlock, Message, Sender
from bot.plain import printable, split, utf16_length
from bot.reception import Reception
from bot.store import StoreUnavailable
from bot.store.files import FileMissing, StoredFile

__all__ = ["Zalo", "ZaloSettings", "load_zalo_settings", "open_channel"]

log = logging.getLogger(__name__)

_BODY_BYTES = 2**20
_TIMELY = timedelta(minutes=10)
_TIMELY_AGAIN = timedelta(hours=2)
_SOON = timedelta(seconds=1)
_TRIES, _TRY_SECONDS = 30, 2.0
_MOST_UPLOADS_KNOWN = 200

_IMAGES = {"image/jpeg": ".jpg", "image/png": ".png"}
_GIF = "image/gif"
_DOCUMENTS = {
    "application/pdf": ".pdf",
    "application/msword": ".doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "text/csv": ".csv",
}


def open_channel(reception: Reception) -> Channel | None:
    """The channel, None where no app is set; raises BadSettings."""
    settings = load_zalo_settings()
    return None if settings is None else Zalo(settings, reception)


class Zalo:
    """One Official Account: a webhook, and a messenger that couriers use."""

    name = CHANNEL

    def __init__(self, settings: ZaloSettings, reception: Reception) -> None:
        self.account = settings.oa_id
        calls = settings.calls_per_minute * 0.9 / 60
        self.pace = Pace(calls, max(1, int(calls)), person_per_second=2.0, person_burst=5)
        self._settings = settings
        self._reception = reception
        self._wire = Wire(settings)
        self._access = Access(self._wire, reception, self.account)
        self._client = Client(self._wire, self._access)
        self._uploads: dict[int, str] = {}
        self._waiting: set[asyncio.Task[None]] = set()
        self._may_be_troubled = True

    def add_to(self, app: web.Application) -> None:
        """Adds the webhook, and the session for calls."""
        app.router.add_post("/zalo", self.webhook)
        app.cleanup_ctx.append(self._running)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """What calls need, for as long as this lasts."""
        async with self._wire.opened():
            try:
                yield
            finally:
                await self._access.settled()

    async def _running(self, _app: web.Application) -> AsyncIterator[None]:
        async with self.opened():
            yield
            for task in self._waiting:
                task.cancel()
            await asyncio.gather(*self._waiting, return_exceptions=True)

    # In

    async def webhook(self, request: web.Request) -> web.Response:
        """Takes one event: 200 once it is kept, 503 so that Zalo brings it again."""
        raw = await request.read()
        if len(raw) > _BODY_BYTES:
            raise web.HTTPRequestEntityTooLarge(_BODY_BYTES, len(raw))
        if raw.strip() == b"{}":
            return web.Response()
        event, header_time = events.parsed(raw), request.headers.get("X-ZEvent-Timestamp", "")
        mac = request.headers.get("X-ZEvent-Signature", "")
        if not events.genuine(
            raw,
            event,
            mac,
            header_time,
            app_id=self._settings.app_id,
            secret=self._settings.oa_secret.get_secret_value(),
        ):
            log.warning("zalo: an event without our signature was refused")
            return web.Response(status=403)
        again = "num_retry" in request.headers
        try:
            await self._take(raw, event, header_time, again=again)
        except StoreUnavailable:
            task = asyncio.create_task(self._take_later(raw, event, header_time, again=again))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
            return web.Response(status=503)
        return web.Response()

    async def _take_later(
        self, raw: bytes, event: Event | None, header_time: str, *, again: bool
    ) -> None:
        """Goes on trying for a minute: Zalo is not known to bring again what was answered 503."""
        for _ in range(_TRIES):
            await asyncio.sleep(_TRY_SECONDS)
            with contextlib.suppress(StoreUnavailable):
                await self._take(raw, event, header_time, again=again)
                return
        log.error("zalo: an event was lost, for the store could not be used")

    async def _take(
        self, raw: bytes, event: Event | None, header_time: str, *, again: bool
    ) -> None:
        name, at = events.name_of(event), events.moment(event, header_time)
        if event is None or at is None:
            await self._stray(name, raw)
            return
        age = self._reception.clock() - at
        if not -_TIMELY <= age <= (_TIMELY_AGAIN if again else _TIMELY):
            await self._stray(f"{name} (late)", raw)
            return
        try:
            heard = events.read(event, self.account, at)
        except NotAsAgreed:
            await self._stray(f"{name} (malformed)", raw)
            return
        if isinstance(heard, Message):
            await self._reception.keep(heard)
        else:
            await self._act_on(heard, name, raw)

    async def _act_on(self, sign: Sign, name: str, raw: bytes) -> None:
        sender = Sender(CHANNEL, self.account, sign.person)
        match sign.kind:
            case Kind.LEFT:
                await self._reception.out_of_reach(sender)
            case Kind.OFFICER_WROTE:
                await self._reception.officer_wrote(sender)
            case Kind.WITHDRAWN:
                await self._reception.erase(sender)
            case Kind.UNKNOWN:
                await self._stray(name, raw)
            case Kind.IGNORED:
                pass

    async def _stray(self, name: str, raw: bytes) -> None:
        log.info("zalo: an event was kept and not acted on: %s", name)
        await self._reception.stray(CHANNEL, self.account, name, raw)

    # Out

    def parts(self, blocks: Sequence[Block]) -> list[Part]:
        """A reply as messages: words, pictures and documents, in order."""
        return parts.as_parts(
            blocks,
            limit=self._settings.text_limit,
            buttons=self._settings.buttons,
            cards=bool(self._settings.contact_picture),
        )

    async def deliver(self, to: Recipient, part: Part) -> None:
        """Sends one message; raises TryLater, Refused, OutOfReach or OutcomeUnknown."""
        self._check_window(to)
        try:
            await self._deliver(to.person, part)
        except ZaloRefused as refusal:
            raise await self._fact(refusal.code) from None
        except StoreUnavailable:
            raise TryLater("the database cannot be used", after=_SOON) from None
        await self._mended()

    async def fetch(self, reference: str) -> bytes:
        """A citizen's file, by its address; raises TryLater or FileGone."""
        return await files.fetched(
            reference,
            self._settings.hosts,
            most_bytes=self._settings.fetch_bytes,
            seconds=self._settings.timeout,
        )

    def _check_window(self, to: Recipient) -> None:
        """Section 3.5: free for two days, possible for seven."""
        if to.heard_at is None:
            raise OutOfReach("never gave a sign")
        silent = self._reception.clock() - to.heard_at
        if silent > timedelta(days=self._settings.window_days):
            raise OutOfReach(f"no sign in {self._settings.window_days} days")
        if silent > timedelta(hours=self._settings.free_hours) and not self._settings.paid_messages:
            raise OutOfReach("the message would be billed")

    async def _deliver(self, person: str, part: Part) -> None:
        match part:
            case Words():
                await self._say(person, part)
            case FileBlock():
                await self._show(person, part)
            case AskPhone():
                await self._ask_phone(person, part)

    async def _say(self, person: str, words: Words) -> None:
        """Words with their buttons; where those are refused, the same words alone."""
        if words.choices and not Anonymous.of(person):
            try:
                await self._client.send(person, parts.button_message(words.text, words.choices))
            except ZaloRefused as refusal:
                if refusal.code == RATE_LIMIT:
                    raise
                log.info("zalo: buttons were refused with %s", refusal.code)
            else:
                return
        await self._client.send(person, parts.text_message(words.text))

    async def _ask_phone(self, person: str, card: AskPhone) -> None:
        if Anonymous.of(person):
            await self._say(person, Words(card.words))
            return
        message = parts.ask_phone_message(card, self._settings.contact_picture)
        try:
            await self._client.send(person, message)
        except ZaloRefused as refusal:
            if refusal.code not in FORM_REFUSED:
                raise
            await self._say(person, Words(card.words))

    async def _show(self, person: str, block: FileBlock) -> None:
        """An image or a document; what Zalo does not take is named in words."""
        try:
            file = await self._reception.file(block.file)
        except FileMissing:
            raise Refused(f"file {block.file} is not kept") from None
        kind = self._kind(block, file)
        if kind is None:
            await self._say_where(person, block)
            return
        try:
            await self._show_uploaded(person, block, file, kind)
        except ZaloRefused as refusal:
            if refusal.code not in FORM_REFUSED:
                raise
            self._uploads.pop(block.file, None)
            await self._say_where(person, block)

    def _kind(self, block: FileBlock, file: StoredFile) -> str | None:
        """How a file is uploaded; None where Zalo does not take it."""
        size = len(file.content)
        if block.media_type in _IMAGES:
            return "image" if size <= self._settings.image_bytes else None
        if size > self._settings.file_bytes:
            return None
        if block.media_type == _GIF:
            return "gif" if parts.gif_size(file.content) else None
        return "file" if block.media_type in _DOCUMENTS else None

    async def _say_where(self, person: str, block: FileBlock) -> None:
        text = f"{block.name}\n{self._reception.words('file_at_office')}"
        [first, *_] = split(text, self._settings.text_limit, utf16_length)
        await self._say(person, Words(first))

    async def _show_uploaded(
        self, person: str, block: FileBlock, file: StoredFile, kind: str
    ) -> None:
        """Sends an upload; one that has expired is uploaded again, once."""
        known = self._uploads.get(block.file)
        if known is not None:
            try:
                await self._client.send(person, _file_message(known, file, kind))
            except ZaloRefused as refusal:
                if refusal.code != UPLOAD_EXPIRED:
                    raise
            else:
                return
        uploaded = await self._upload(block, file, kind)
        await self._client.send(person, _file_message(uploaded, file, kind))

    async def _upload(self, block: FileBlock, file: StoredFile, kind: str) -> str:
        name = _file_name(block)
        uploaded = await self._client.upload(kind, name, file.content, block.media_type)
        self._uploads[block.file] = uploaded
        while len(self._uploads) > _MOST_UPLOADS_KNOWN:
            self._uploads.pop(next(iter(self._uploads)))
        return uploaded

    async def _fact(self, code: int) -> Exception:
        """A refusal as a courier knows it; an operator is told where one is needed."""
        if refusals.reaction(code) is refusals.Reaction.OPERATOR:
            log.error("zalo: the account cannot send: code %s", code)
            self._may_be_troubled = True
            try:
                reason = f"Zalo answered {code}: see docs/channels/zalo.md"
                await self._reception.trouble(CHANNEL, self.account, reason)
            except StoreUnavailable:
                log.warning("zalo: the trouble could not be noted")
        return refusals.fact(code, self._reception.clock())

    async def _mended(self) -> None:
        """A message arrived: whatever troubled the account is over."""
        if not self._may_be_troubled or self._access.rests:
            return
        try:
            await self._reception.trouble(CHANNEL, self.account, None)
        except StoreUnavailable:
            return
        self._may_be_troubled = False


def _file_message(uploaded: str, file: StoredFile, kind: str) -> dict[str, object]:
    if kind == "file":
        return parts.file_message(uploaded)
    size = parts.gif_size(file.content) if kind == "gif" else None
    return parts.picture_message(Picture(uploaded, size))


def _file_name(block: FileBlock) -> str:
    """A file's name as one line, with the ending that its type asks for."""
    ending = {**_IMAGES, **_DOCUMENTS, _GIF: ".gif"}[block.media_type]
    name = printable(block.name)
    return name if name.lower().endswith(ending) else f"{name}{ending}"
