"""Fetches updates, for an office without an address that Telegram could reach."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from telegram.error import Conflict, TelegramError

from bot.channel import TryLater
from bot.channels.telegram.calls import BOT_UNKNOWN, Calls, TokenRefused, meaning
from bot.channels.telegram.incoming import CHANNEL
from bot.channels.telegram.settings import TelegramSettings
from bot.reception import Reception
from bot.store import StoreUnavailable

log = logging.getLogger(__name__)

_OTHERS_TURN = 5.0
_LONGEST_REST = 60.0
_TRIES = 5
_MARGIN = 5.0

Take = Callable[[dict[str, Any], bytes], Awaitable[None]]


class Poller:
    """One process fetches at a time; what it has kept it confirms, and nothing else."""

    def __init__(
        self, settings: TelegramSettings, reception: Reception, calls: Calls, take: Take
    ) -> None:
        self._account = settings.account
        self._job = f"telegram polls {settings.account}"
        self._length = timedelta(seconds=settings.poll_seconds + 2 * settings.timeout + _MARGIN)
        self._reception, self._calls, self._take = reception, calls, take
        self._offset: int | None = None
        self._failures = 0
        self._stuck = 0
        self._trouble: str | None = "not known yet"

    async def run(self) -> None:
        """Fetches until cancelled, then lets another process do it."""
        try:
            while True:
                rest = await self.once()
                await asyncio.sleep(rest)
        finally:
            try:
                await self._reception.release(self._job)
            except StoreUnavailable:
                log.warning("the fetching of Telegram updates was not given back")

    async def once(self) -> float:
        """Fetches and keeps once; gives the seconds until the next time."""
        try:
            if not await self._reception.claim(self._job, self._length):
                self._offset = None
                return _OTHERS_TURN
            await self._fetch()
        except TelegramError as error:
            return await self._rest(error)
        except Exception as error:
            log.error("Telegram updates wait: %s", type(error).__name__)  # noqa: TRY400
            return self._back_off()
        self._failures = 0
        return 0.0

    async def _fetch(self) -> None:
        """Keeps what came, then lets the next fetch confirm it.

        The offset is told once only: after a week of silence ids may begin anew, lower than it.
        """
        updates = await self._calls.updates(self._offset)
        await self._note(None)
        ids = [int(update["update_id"]) for update in updates]
        self._offset = None
        for update_id, update in zip(ids, updates, strict=True):
            self._offset = update_id
            await self._keep(update)
            self._offset = update_id + 1

    async def _keep(self, update: dict[str, Any]) -> None:
        """Keeps an update; one that fails again and again is set aside, for others wait behind."""
        raw = json.dumps(update).encode()
        try:
            await self._take(update, raw)
        except StoreUnavailable:
            raise
        except Exception:
            self._stuck += 1
            if self._stuck < _TRIES:
                raise
            await self._reception.stray(CHANNEL, self._account, "failed", raw)
        self._stuck = 0

    async def _rest(self, error: TelegramError) -> float:
        log.warning("Telegram updates wait: %s", type(error).__name__)
        if isinstance(error, Conflict):
            await self._note(
                "a webhook is set, or another program fetches this bot's messages: stop it, then "
                "run `motcua telegram connect`"
            )
        match meaning(error):
            case TokenRefused():
                await self._note(BOT_UNKNOWN)
                return _LONGEST_REST
            case TryLater(after=timedelta() as after):
                return after.total_seconds()
        return self._back_off()

    async def _note(self, trouble: str | None) -> None:
        if trouble == self._trouble:
            return
        try:
            await self._reception.trouble(CHANNEL, self._account, trouble)
        except StoreUnavailable:
            return
        self._trouble = trouble

    def _back_off(self) -> float:
        self._failures += 1
        return float(min(2.0**self._failures / 2, _LONGEST_REST))
