"""Workers: lease a conversation, understand its messages in order, and take their turns."""

import asyncio
import contextlib
import logging
import secrets
import traceback
from collections.abc import Callable
from datetime import timedelta

from actions.action import Understanding
from bot.clock import Clock, rest
from bot.store import Store, StoreUnavailable, conversations, inbox
from bot.store.conversations import Lease, LeaseLost
from bot.store.inbox import Waiting
from bot.turn import House, Turn, fail_turn, take_turn
from bot.understanding import Ear

log = logging.getLogger(__name__)

TRIES = 5
_LEASE = timedelta(seconds=30)
_IDLE_SECONDS = 1.0
_UNAVAILABLE_SECONDS = 2.0


class Worker:
    """Takes turns, one message at a time for each conversation; any number run side by side."""

    def __init__(self, store: Store, ear: Ear, house: House, clock: Clock) -> None:
        self._store = store
        self._ear = ear
        self._house = house
        self._clock = clock
        self._name = secrets.token_hex(8)
        self.wake = asyncio.Event()
        self.on_turn: list[Callable[[], None]] = []

    async def run(self) -> None:
        """Works until cancelled; polling is what guarantees, `wake` only makes it quick."""
        while True:
            try:
                busy = bool(await self.run_once())
            except StoreUnavailable as error:
                log.warning("store unavailable: %s", error)
                await asyncio.sleep(_UNAVAILABLE_SECONDS)
                continue
            if not busy:
                await rest(self.wake, _IDLE_SECONDS)

    async def run_once(self) -> list[Turn]:
        """Handles one conversation's waiting messages; gives the turns taken."""
        now = self._clock()
        held = await self._store.run(conversations.lease, self._name, now, _LEASE)
        if held is None:
            return []
        try:
            return await self._take_turns(held)
        except LeaseLost:
            log.warning("lease lost: conversation %s", held.conversation_id)
            return []
        finally:
            with contextlib.suppress(StoreUnavailable):
                await self._store.run(conversations.release, held)

    async def _take_turns(self, held: Lease) -> list[Turn]:
        taken = []
        while waiting := await self._store.run(inbox.next_waiting, held, self._clock()):
            turn = await self._try(held, waiting)
            if turn is None:
                break
            taken.append(turn)
            for listener in self.on_turn:
                listener()
        return taken

    async def _try(self, held: Lease, waiting: Waiting) -> Turn | None:
        started = asyncio.get_running_loop().time()
        try:
            understanding = await self._understand(waiting)
            turn = await self._store.run(
                take_turn, held, waiting, understanding, self._house, self._clock()
            )
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception as error:
            await self._put_off(held, waiting, error)
            return None
        log.info(
            "turn conversation=%s intent=%s confidence=%.2f result=%s ms=%.0f",
            held.conversation_id,
            understanding.intent,
            understanding.confidence,
            turn.outcome.result,
            1000 * (asyncio.get_running_loop().time() - started),
        )
        return turn

    async def _understand(self, waiting: Waiting) -> Understanding:
        message = waiting.message
        wordless = message.attachments and not message.text.strip()
        if message.pressed is not None or message.opened or wordless:
            return Understanding(message.text, "")
        return await self._ear.understand(waiting.message.text)

    async def _put_off(self, held: Lease, waiting: Waiting, error: Exception) -> None:
        """A failed turn kept nothing: it is tried again later, or given up after the last try."""
        name = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)
        trace = " ".join(f"{frame.name}:{frame.lineno}" for frame in frames)
        log.error("turn failed: inbox=%s %s at %s", waiting.inbox_id, name, trace)
        now = self._clock()
        if waiting.attempts + 1 >= TRIES:
            await self._store.run(fail_turn, held, waiting, name, self._house, now)
            return
        at = now + inbox.back_off(waiting.attempts)
        await self._store.run(inbox.later, waiting, at, name)
