"""Open streams of the web chat: who listens, and waking them when a row is for them."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from bot.store import Store, outbox
from bot.store.conversations import Lease

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_EACH = 8


@dataclass(eq=False)
class Listener:
    """One open stream: woken to look for rows, and told when it is over."""

    over: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        """Lets the stream say goodbye."""
        self.over = True
        self.wake.set()


class Streams:
    """Wakes streams; each then reads its own rows.

    Rows may also be put by another process (an officer's answer, another gateway's worker), so what
    waits for those who listen is looked for once a second.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listening: dict[str, list[Listener]] = defaultdict(list)
        self._people: dict[int, str] = {}
        self._conversations: dict[str, int] = {}
        self._closing = False

    @contextmanager
    def open(self, person: str) -> Iterator[Listener]:
        """Listens for one person while a stream is open; too many of theirs end the oldest,
        which may be one whose browser has gone without a word."""
        listener = Listener(over=self._closing)
        mine = self._listening[person]
        mine.append(listener)
        for oldest in mine[:-_EACH]:
            oldest.end()
        try:
            yield listener
        finally:
            mine.remove(listener)
            if not mine:
                del self._listening[person]
                self._people.pop(self._conversations.pop(person, 0), None)

    def belongs(self, person: str, conversation_id: int) -> None:
        """Tells which conversation is a listening person's."""
        self._people[conversation_id] = person
        self._conversations[person] = conversation_id

    def conversation_of(self, person: str) -> int | None:
        """The conversation of a listening person, where it is known."""
        return self._conversations.get(person)

    def wake_person(self, person: str) -> None:
        """Lets a person's streams look again."""
        for listener in self._listening.get(person, ()):
            listener.wake.set()

    def kept(self, person: str) -> None:
        """Lets a person's streams look once it may have become known whose conversation is theirs:
        with their first message."""
        if person not in self._conversations:
            self.wake_person(person)

    def turn_taken(self, held: Lease) -> None:
        """Wakes whom a turn has answered, if they listen here."""
        person = self._people.get(held.conversation_id)
        if person is not None:
            self.wake_person(person)

    def close(self) -> None:
        """Ends every stream."""
        self._closing = True
        for listeners in self._listening.values():
            for listener in listeners:
                listener.end()

    async def watch(self, _app: web.Application) -> AsyncIterator[None]:
        """Looks for new rows as long as the gateway runs."""
        task = asyncio.create_task(self._watch())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            if self._people:
                await self._wake_recipients()

    async def _wake_recipients(self) -> None:
        try:
            waiting = await self._store.run_light(outbox.recipients, tuple(self._people))
        except Exception as error:
            log.error("streams wait: %s", type(error).__name__)  # noqa: TRY400 - no words in logs
            return
        for conversation_id in waiting:
            person = self._people.get(conversation_id)
            if person is not None:
                self.wake_person(person)
