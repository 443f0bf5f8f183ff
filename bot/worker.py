"""Workers: lease a conversation, understand its messages in order, and take their turns."""

import asyncio
import contextlib
import logging
import secrets
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta

from actions.action import Understanding
from bot.clock import Clock, rest
from bot.store import Session, Store, StoreUnavailable, conversations, inbox
from bot.store.conversations import Lease, LeaseLost
from bot.store.inbox import Waiting
from bot.turn import House, Turn, fail_turn, needs_no_understanding, take_turn
from bot.understanding import Ear

log = logging.getLogger(__name__)

TRIES = 5
_LEASE = timedelta(seconds=30)
_AT_ONCE = 8
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
        self._under_way: set[asyncio.Task[list[Turn]]] = set()
        self.wake = asyncio.Event()
        self.on_turn: list[Callable[[Lease], None]] = []

    async def run(self) -> None:
        """Works until cancelled; polling is what guarantees, `wake` only makes it quick."""
        self.wake.set()
        try:
            while True:
                await rest(self.wake, _IDLE_SECONDS)
                await self._start()
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _start(self) -> None:
        """Begins with as many conversations as there are hands free."""
        free = _AT_ONCE - len(self._under_way)
        if not free:
            return
        try:
            found = await self._store.run_light(self._lease, free, self._clock())
        except StoreUnavailable as error:
            log.warning("store unavailable: %s", error)
            await asyncio.sleep(_UNAVAILABLE_SECONDS)
            return
        for held, waiting in found:
            task = asyncio.create_task(self._take_turns(held, waiting))
            self._under_way.add(task)
            task.add_done_callback(self._done)
        if len(found) == free:
            self.wake.set()

    def _done(self, task: asyncio.Task[list[Turn]]) -> None:
        if len(self._under_way) == _AT_ONCE:
            self.wake.set()
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("worker tripped: %s", type(error).__name__)

    async def run_once(self) -> list[Turn]:
        """Handles one conversation's waiting messages; gives the turns taken."""
        for held, waiting in await self._store.run_light(self._lease, 1, self._clock()):
            return await self._take_turns(held, waiting)
        return []

    def _lease(self, session: Session, most: int, now: datetime) -> list[tuple[Lease, Waiting]]:
        """Leases conversations, each with its first message."""
        found = []
        for held in conversations.lease(session, self._name, now, _LEASE, most):
            waiting = _next_or_release(session, held, now)
            if waiting is not None:
                found.append((held, waiting))
        return found

    async def _take_turns(self, held: Lease, first: Waiting) -> list[Turn]:
        taken: list[Turn] = []
        waiting: Waiting | None = first
        try:
            while waiting is not None:
                turn, waiting = await self._try(held, waiting)
                taken.append(turn)
                for listener in self.on_turn:
                    listener(held)
        except LeaseLost:
            log.warning("lease lost: conversation %s", held.conversation_id)
        except _PutOff:
            await self._release(held)
        except BaseException:
            await self._release(held)
            raise
        return taken

    async def _release(self, held: Lease) -> None:
        with contextlib.suppress(StoreUnavailable):
            await self._store.run(conversations.release, held)

    async def _try(self, held: Lease, waiting: Waiting) -> tuple[Turn, Waiting | None]:
        """Takes one turn; gives it with the message that comes next. Raises _PutOff."""
        started = asyncio.get_running_loop().time()
        try:
            understanding = await self._understand(waiting)
            turn, following = await self._store.run(
                _turn_and_next, held, waiting, understanding, self._house, self._clock()
            )
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception as error:
            await self._put_off(held, waiting, error)
            raise _PutOff from None
        log.info(
            "turn conversation=%s intent=%s confidence=%.2f result=%s ms=%.0f",
            held.conversation_id,
            understanding.intent,
            understanding.confidence,
            turn.outcome.result,
            1000 * (asyncio.get_running_loop().time() - started),
        )
        return turn, following

    async def _understand(self, waiting: Waiting) -> Understanding:
        message = waiting.message
        if needs_no_understanding(message, self._house):
            return Understanding(message.text, "")
        return await self._ear.understand(message.text)

    async def _put_off(self, held: Lease, waiting: Waiting, error: Exception) -> None:
        """A failed turn kept nothing: it is tried again later, or given up after the last try."""
        name = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)
        trace = " ".join(f"{frame.name}:{frame.lineno}" for frame in frames)
        log.error("turn failed: inbox=%s %s at %s", waiting.inbox_id, name, trace)
        now = self._clock()
        if waiting.attempts + 1 >= TRIES:
            await self._fail(held, waiting, name, now)
            return
        at = now + inbox.back_off(waiting.attempts)
        await self._store.run(inbox.later, waiting, at, name)

    async def _fail(self, held: Lease, waiting: Waiting, name: str, now: datetime) -> None:
        """Gives a message up and tells the citizen; where not even that can be told, without."""
        try:
            await self._store.run(fail_turn, held, waiting, name, self._house, now)
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception as error:
            log.error("inbox %s given up untold: %s", waiting.inbox_id, type(error).__name__)  # noqa: TRY400
            await self._store.run(inbox.give_up, waiting, name)


class _PutOff(Exception):  # noqa: N818 - a fact, not a failure
    """A turn failed, and its message waits for another try or was given up."""


def _turn_and_next(
    session: Session,
    held: Lease,
    waiting: Waiting,
    understanding: Understanding,
    house: House,
    now: datetime,
) -> tuple[Turn, Waiting | None]:
    turn = take_turn(session, held, waiting, understanding, house, now)
    return turn, _next_or_release(session, held, now)


def _next_or_release(session: Session, held: Lease, now: datetime) -> Waiting | None:
    waiting = inbox.next_waiting(session, held, now)
    if waiting is None:
        conversations.release(session, held)
    return waiting
