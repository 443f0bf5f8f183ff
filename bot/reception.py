"""The reception: everything that a channel may ask of the house."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from actions.action import says
from actions.deadlines import local_day
from actions.knowledge.model import Office
from bot.clock import Clock
from bot.message import Message, Sender
from bot.settings import Settings
from bot.store import (
    Session,
    Store,
    accounts,
    audit,
    conversations,
    files,
    inbox,
    jobs,
    outbox,
    retention,
    strays,
)
from bot.store.conversations import Lease
from bot.store.files import StoredFile
from bot.turn import House, no_choices

ALBUM_WAIT = timedelta(seconds=1)
"""How long the parts of an album are waited for after the last one came."""

_SILENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class Reception:
    """Takes what channels bring; it keeps nothing in memory that a second gateway would miss."""

    settings: Settings
    house: House
    store: Store
    clock: Clock
    received: Callable[[], None]
    on_turn: list[Callable[[Lease], None]] = field(default_factory=list)
    name: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def office(self) -> Office:
        """The office to which the accounts of this gateway belong."""
        return self.house.office(self.settings.office)

    def words(self, reply: str) -> str:
        """A reply without facts of its own, for what a channel must say outside a turn."""
        day = local_day(self.clock())
        return self.house.replies.line(reply, office=self.office, day=day)

    async def keep(self, message: Message) -> bool:
        """Keeps a message for its turn; False when it was known. Raises StoreUnavailable, and then
        the platform must be told to bring it again."""
        now = self.clock()
        until = self.house.words_until(now)
        ready_at = now + ALBUM_WAIT if message.album else now
        kept = await self.store.run(
            inbox.keep, message, self.office.id, now, until, ready_at=ready_at
        )
        self.received()
        return kept

    async def heard_from(self, sender: Sender) -> None:
        """The person gave a sign without writing: they can be written to again."""
        await self.store.run(_heard_from, sender, self.office.id, self.clock())

    async def out_of_reach(self, sender: Sender) -> None:
        """The person cannot be written to until they give a sign: they blocked us or left."""
        await self.store.run(_out_of_reach, sender, self.clock())

    async def officer_wrote(self, sender: Sender) -> None:
        """An officer answered this person by hand: the assistant is silent for half an hour."""
        await self.store.run(_silence, sender, self.office.id, self.clock(), _SILENCE)

    async def erase(self, sender: Sender) -> None:
        """The person withdraws from the platform: their conversation is erased."""
        await self.store.run(_erase, sender, self.clock())

    async def tell(self, sender: Sender, reply: str) -> None:
        """Sends a reply outside any turn, as a notice."""
        await self.store.run(_tell, self.house, sender, reply, self.office.id, self.clock())

    async def stray(self, channel: str, account: str, name: str, raw: bytes) -> None:
        """Keeps an event that no part of a channel knows, sealed, so that it can be counted."""
        now = self.clock()
        until = self.house.words_until(now)
        await self.store.run(strays.keep, channel, account, name, raw, now, until)

    async def file(self, file_id: int) -> StoredFile:
        """A file of ours that a reply shows; raises FileMissing."""
        return await self.store.run(files.read, file_id)

    async def secrets(self, channel: str, account: str) -> Mapping[str, str]:
        """What a channel keeps sealed for an account (tokens); empty where there is nothing."""
        return await self.store.run(accounts.secrets, channel, account)

    async def keep_secrets(self, channel: str, account: str, kept: Mapping[str, str]) -> None:
        """Keeps an account's secrets, sealed, in the place of those before."""
        await self.store.run(accounts.keep_secrets, channel, account, kept)

    async def trouble(self, channel: str, account: str, reason: str | None) -> None:
        """Notes that an operator must do something about an account; None when it is mended."""
        await self.store.run(accounts.trouble, channel, account, reason)

    async def claim(self, job: str, length: timedelta) -> bool:
        """Whether this process alone is to do a job now, for that long at most; who holds it may
        claim it again."""
        return await self.store.run(jobs.claim, job, self.name, self.clock(), length)

    async def release(self, job: str) -> None:
        """Gives a claimed job back before its time."""
        await self.store.run(jobs.release, job, self.name, self.clock())


def _heard_from(session: Session, sender: Sender, office: str, now: datetime) -> None:
    conversations.heard(session, conversations.id_of(session, sender, office, now), now)


def _out_of_reach(session: Session, sender: Sender, now: datetime) -> None:
    conversation = conversations.find(session, sender)
    if conversation is not None:
        conversation.out_of_reach_since = now


def _silence(
    session: Session, sender: Sender, office: str, now: datetime, length: timedelta
) -> None:
    conversation = conversations.of(session, sender, office, now)
    conversation.silent_until = now + length
    audit.note(session, "officer", "wrote_by_hand", f"conversation {conversation.id}", now)


def _erase(session: Session, sender: Sender, now: datetime) -> None:
    conversation = conversations.find(session, sender)
    if conversation is None:
        return
    held = conversations.take(session, conversation.id)
    inbox.give_up_all(session, conversation.id, "withdrawn")
    retention.erase(session, conversation.id)
    conversation.out_of_reach_since = now
    session.flush()
    conversations.release(session, held)
    audit.note(session, sender.channel, "erased", f"conversation {conversation.id}", now)


def _tell(
    session: Session, house: House, sender: Sender, reply: str, office: str, now: datetime
) -> None:
    conversation = conversations.lock(session, conversations.of(session, sender, office, now).id)
    blocks = house.replies.word(says(reply), house.facts(conversation.office, now), no_choices)
    until = house.words_until(now)
    outbox.put(session, conversation.id, blocks, now, until, kind=outbox.NOTICE)
