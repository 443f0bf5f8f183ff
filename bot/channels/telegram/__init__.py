"""Telegram: updates in by webhook or by fetching them, replies out through the Bot API."""

import asyncio
import contextlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import Any

from aiohttp import web
from telegram.error import TelegramError

from bot.channel import Pace, Recipient, Refused, TryLater
from bot.channels.telegram.calls import BOT_UNKNOWN, Calls, TokenRefused
from bot.channels.telegram.incoming import (
    CHANNEL,
    InGroup,
    NotUnderstood,
    Pressed,
    Reach,
    kind_of,
    understood,
)
from bot.channels.telegram.outgoing import Part, parts_of
from bot.channels.telegram.polling import Poller
from bot.channels.telegram.settings import TelegramSettings, load_telegram_settings
from bot.message import Block, Message, Sender
from bot.reception import Reception
from bot.store import StoreUnavailable
from bot.store.files import FileMissing

__all__ = ["Telegram", "TelegramSettings", "load_telegram_settings", "open_channel"]

log = logging.getLogger(__name__)

_BODY_BYTES = 2**20
_SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the header's name


def open_channel(reception: Reception) -> "Telegram | None":
    """The channel, where its token is set; raises BadSettings."""
    settings = load_telegram_settings()
    return Telegram(settings, reception) if settings else None


class Telegram:
    """One bot: what citizens send it, and what is sent to them."""

    name = CHANNEL
    pace = Pace(account_per_second=30, account_burst=30, person_per_second=1, person_burst=3)

    def __init__(self, settings: TelegramSettings, reception: Reception) -> None:
        self.account = settings.account
        self._settings = settings
        self._reception = reception
        self._hooked = settings.webhook(reception.settings.public_url) is not None
        self._calls = Calls(settings)
        self.poller = Poller(settings, reception, self._calls, self.take)
        self._asides: set[asyncio.Task[None]] = set()
        self._declined: set[Sender] = set()
        self._troubled = self._hooked

    def add_to(self, app: web.Application) -> None:
        """Adds the webhook's route, or lets the fetching run beside."""
        if self._hooked:
            app.router.add_post(self._settings.route, self.webhook)
        app.cleanup_ctx.append(self._run)

    async def _run(self, _app: web.Application) -> AsyncIterator[None]:
        polling = None if self._hooked else asyncio.create_task(self.poller.run())
        yield
        tasks = [*self._asides, *([polling] if polling else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._calls.close()

    # in

    async def webhook(self, request: web.Request) -> web.Response:
        """Takes one update; says 200 only when it is kept, or can never be."""
        if not self._is_telegram(request):
            return web.Response(status=403)
        body = await request.read()
        if len(body) > _BODY_BYTES:
            return web.Response(status=413)
        update = _read(body)
        if update is None:
            return web.Response(status=400)
        try:
            await self._take_or_set_aside(update, body)
        except Exception as error:
            log.error("Telegram update not kept: %s", type(error).__name__)  # noqa: TRY400
            return web.Response(status=503)
        return web.Response()

    async def _take_or_set_aside(self, update: Mapping[str, Any], raw: bytes) -> None:
        """What fails with the store at work fails again whenever it comes: it is kept aside."""
        try:
            await self.take(update, raw)
        except StoreUnavailable:
            raise
        except Exception as error:
            log.error("Telegram update set aside: %s", type(error).__name__)  # noqa: TRY400
            await self._reception.stray(CHANNEL, self.account, "failed", raw)

    async def take(self, update: Mapping[str, Any], raw: bytes) -> None:
        """Keeps what an update brought; raises StoreUnavailable, and then it must come again."""
        try:
            arrival = understood(update, self.account, self._reception.clock())
        except NotUnderstood:
            await self._reception.stray(CHANNEL, self.account, kind_of(update), raw)
            return
        match arrival:
            case Message():
                await self._reception.keep(arrival)
            case Pressed():
                await self._press(arrival)
            case Reach(sender, True):
                await self._reception.heard_from(sender)
            case Reach(sender, False):
                await self._reception.out_of_reach(sender)
            case InGroup(sender, True):
                await self._decline(sender)
            case InGroup(sender, False):
                self._declined.discard(sender)

    def _is_telegram(self, request: web.Request) -> bool:
        given = request.headers.get(_SECRET_HEADER, "").encode(errors="surrogateescape")
        secret = self._settings.secret.get_secret_value().encode()
        return hmac.compare_digest(given, secret)

    async def _press(self, pressed: Pressed) -> None:
        """Keeps a press, then ends its waiting sign."""
        try:
            kept = await self._reception.keep(pressed.message)
        except StoreUnavailable:
            self._aside(self._answer(pressed.query, self._reception.words("press_waits")))
            raise
        if kept:
            self._aside(self._answer(pressed.query))

    async def _decline(self, sender: Sender) -> None:
        """Says once that groups are not served; who carries that also leaves."""
        if sender in self._declined:
            return
        self._declined.add(sender)
        try:
            await self._reception.heard_from(sender)
            await self._reception.tell(sender, "group_declined")
        except StoreUnavailable:
            self._declined.discard(sender)
            raise

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        """Does something that nothing waits for, and that may fail."""
        task = asyncio.create_task(work)
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)

    async def _answer(self, query: str, text: str | None = None) -> None:
        with contextlib.suppress(TelegramError):
            await self._calls.bot.answer_callback_query(query, text)

    # out

    def parts(self, blocks: Sequence[Block]) -> list[Part]:
        """A reply as messages of Telegram."""
        return parts_of(blocks, self._settings.text_units)

    async def deliver(self, to: Recipient, part: Part) -> None:
        """Sends one message; raises TryLater, Refused, OutOfReach or OutcomeUnknown."""
        chat = int(to.person)
        try:
            await self._send(chat, part)
        except TokenRefused:
            await self._note(BOT_UNKNOWN)
            raise
        except TryLater:
            raise
        except Exception:
            await self._leave(chat)
            raise
        await self._leave(chat)
        if self._troubled:
            await self._note(None)

    async def fetch(self, reference: str) -> bytes:
        """The content of a citizen's file; raises TryLater or FileGone."""
        return await self._calls.fetch(reference)

    async def _send(self, chat: int, part: Part) -> None:
        if part.file is None:
            await self._calls.send_text(chat, part.text, part.markup)
            return
        try:
            file = await self._reception.file(part.file.file)
        except FileMissing:
            raise Refused("the file is not kept any more") from None
        except StoreUnavailable:
            raise TryLater("the database cannot be used") from None
        await self._calls.send_file(chat, file, part.markup)

    async def _leave(self, chat: int) -> None:
        """Leaves a group (their ids are negative) once it was told that it is not served."""
        if chat < 0:
            with contextlib.suppress(TelegramError):
                await self._calls.bot.leave_chat(chat)

    async def _note(self, trouble: str | None) -> None:
        with contextlib.suppress(StoreUnavailable):
            await self._reception.trouble(CHANNEL, self.account, trouble)
            self._troubled = trouble is not None


def _read(body: bytes) -> dict[str, Any] | None:
    """The update in a body; None where there is none."""
    try:
        update = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return update if isinstance(update, dict) else None
