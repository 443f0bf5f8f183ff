"""Couriers: carry each person's letters to a platform in order, and fetch files from it.

One courier serves one account; several processes may run one each. A letter is held in the database
before its call leaves and settled after, so that a stopped courier leaves a record and never a gap.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Concatenate, ParamSpec

from bot.channel import (
    FileGone,
    Messenger,
    OutcomeUnknown,
    OutOfReach,
    Part,
    Recipient,
    Refused,
    TryLater,
)
from bot.clock import Clock, rest
from bot.store import Session, Store, StoreUnavailable, accounts, files, outbox
from bot.store.conversations import Lease
from bot.store.files import WantedFile
from bot.store.outbox import Letter

P = ParamSpec("P")

log = logging.getLogger(__name__)

TRIES = 10
_HOLD = timedelta(seconds=60)
_SEND_SECONDS = 30.0
_RECORD_TRIES = 10
_AT_ONCE = 16
_FETCHES_AT_ONCE = 4
_IDLE_SECONDS = 1.0
_LONGEST_BACK_OFF = 600.0
_LONGEST_REASON = 200


class Courier:
    """Carries the letters of one account; a slow person does not hold back another, and slow files
    do not hold back letters."""

    def __init__(
        self,
        store: Store,
        messenger: Messenger,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._messenger = messenger
        self._clock = clock
        self._jitter = jitter
        self._under_way: set[asyncio.Task[None]] = set()
        self._fetching = 0
        self.wake = asyncio.Event()

    def turn_taken(self, held: Lease) -> None:
        """Looks at once for the replies of a turn on this channel."""
        if held.channel == self._messenger.name:
            self.wake.set()

    async def run(self) -> None:
        """Carries until cancelled, and then lets what is on its way arrive; polling is what
        guarantees, `wake` only makes it quick."""
        try:
            while True:
                if len(self._under_way) >= _AT_ONCE or not await self._start_one():
                    await rest(self.wake, _IDLE_SECONDS)
        finally:
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _start_one(self) -> bool:
        taking = asyncio.create_task(self._store.run(self._next, self._clock()))
        try:
            errand = await asyncio.shield(taking)
        except StoreUnavailable as error:
            log.warning("courier waits for the store: %s", error)
            return False
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                self._start(await taking)
            raise
        self._start(errand)
        return errand is not None

    def _start(self, errand: Letter | WantedFile | None) -> None:
        if errand is not None:
            task = asyncio.create_task(self._do(errand))
            self._under_way.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self.wake.set()
        if not task.cancelled() and (error := task.exception()):
            log.error("courier tripped: %s", type(error).__name__)

    async def run_once(self) -> bool:
        """Carries one part of a letter, or fetches one file; False when there is nothing to do."""
        errand = await self._store.run(self._next, self._clock())
        if errand is None:
            return False
        await self._do(errand)
        return True

    def _next(self, session: Session, now: datetime) -> Letter | WantedFile | None:
        name, account = self._messenger.name, self._messenger.account
        outbox.give_back(session, name, account, now)
        letter = outbox.take(session, name, account, self._messenger.pace, now, _HOLD)
        if letter is not None or self._fetching >= _FETCHES_AT_ONCE:
            return letter
        return files.take_wanted(session, name, account, now, _HOLD)

    async def _do(self, errand: Letter | WantedFile) -> None:
        if isinstance(errand, Letter):
            await self._carry(errand)
            return
        self._fetching += 1
        try:
            await self._fetch(errand)
        finally:
            self._fetching -= 1

    async def _carry(self, letter: Letter) -> None:
        try:
            last = await self._deliver(letter)
        except Exception as error:
            await self._settle(letter, error)
        else:
            await self._record(outbox.arrived, letter, self._clock(), last=last)

    async def _deliver(self, letter: Letter) -> bool:
        """Sends the part that comes next; tells whether it was the last."""
        parts = self._messenger.parts(letter.blocks)
        if letter.part < len(parts):
            await self._send(Recipient(letter.person, letter.heard_at), parts[letter.part])
        return letter.part + 1 >= len(parts)

    async def _send(self, to: Recipient, part: Part) -> None:
        """Makes one call; what goes wrong in a way that the channel does not know, or takes too
        long, may have happened after the call left."""
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self._messenger.deliver(to, part)
        except (TryLater, Refused, OutOfReach, OutcomeUnknown):
            raise
        except Exception as error:
            raise OutcomeUnknown(type(error).__name__) from None

    async def _settle(self, letter: Letter, error: Exception) -> None:
        """Records why a part did not arrive, and when it is tried again."""
        now, reason = self._clock(), _reason(error)
        log.warning("outbox %s: %s", letter.id, reason)
        match error:
            case OutOfReach():
                await self._record(outbox.out_of_reach, letter, now, reason)
            case Refused():
                await self._record(outbox.die, letter, reason)
            case OutcomeUnknown():
                await self._record(outbox.unknown, letter, now, reason)
            case TryLater(after=timedelta() as after):
                await self._record(
                    self._as_told, letter, now + after, reason, all_people=error.all_people
                )
            case _ if letter.failures + 1 >= TRIES:
                await self._record(outbox.die, letter, reason)
            case _:
                at = now + self._back_off(letter.failures)
                await self._record(outbox.later, letter, at, reason, is_failure=True)

    def _as_told(
        self, session: Session, letter: Letter, at: datetime, reason: str, *, all_people: bool
    ) -> None:
        """The platform said how long to wait: that is obeyed and is no failure."""
        outbox.later(session, letter, at, reason, is_failure=False)
        if all_people:
            accounts.pause(session, self._messenger.name, self._messenger.account, at)

    async def _fetch(self, wanted: WantedFile) -> None:
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                content = await self._messenger.fetch(wanted.reference)
        except FileGone:
            await self._record(files.gone, wanted)
        except Exception as error:
            await self._fetch_later(wanted, error)
        else:
            await self._record(files.fetched, wanted, content)

    async def _fetch_later(self, wanted: WantedFile, error: Exception) -> None:
        log.warning("file %s: %s", wanted.id, type(error).__name__)
        if wanted.attempt >= TRIES:
            await self._record(files.gone, wanted)
            return
        told = error.after if isinstance(error, TryLater) and error.after else timedelta()
        at = self._clock() + max(told, self._back_off(wanted.attempt))
        await self._record(files.later, wanted, at)

    async def _record(
        self, work: Callable[Concatenate[Session, P], object], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Writes down what became of an errand; a store that is locked is asked again, for what is
        not written down counts as unknown."""
        for _ in range(_RECORD_TRIES):
            try:
                await self._store.run(work, *args, **kwargs)
            except StoreUnavailable as error:
                log.warning("courier waits for the store: %s", error)
                await asyncio.sleep(_IDLE_SECONDS)
            else:
                return

    def _back_off(self, failures: int) -> timedelta:
        """1, 2, 4 … seconds, ten minutes at most, and up to half as much again by chance."""
        seconds = min(2.0**failures, _LONGEST_BACK_OFF)
        return timedelta(seconds=seconds * (1 + self._jitter() / 2))


def _reason(error: Exception) -> str:
    """What an operator reads; the text of an unknown error may quote words, so it is left out."""
    ours = isinstance(error, TryLater | Refused | OutOfReach | OutcomeUnknown)
    name = type(error).__name__
    return f"{name}: {error}"[:_LONGEST_REASON] if ours else name
