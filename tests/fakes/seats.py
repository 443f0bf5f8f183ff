"""Lan's seat at a messenger: the same acts on every platform, so that one suite runs on all."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import or_, select

from actions.action import CaseTaken
from actions.cases import CaseCode, CaseKind, Report
from bot import courier, desk, worker
from bot.channel import Channel, Messenger, Recipient
from bot.channels.telegram import Telegram, TelegramSettings
from bot.channels.zalo import Zalo, ZaloSettings
from bot.channels.zalo.client import Tokens
from bot.gateway import Parts, create_app, reception_of
from bot.message import Block, FileBlock, Sender
from bot.store import Session, cases, conversations, files, outbox
from bot.store.files import StoredFile
from bot.store.tables import ConversationRow, FileRow, InboxRow, OutboxRow
from tests.fakes import telegram, zalo
from tests.fakes.platform import VirtualClock
from tests.fakes.telegram import FakeTelegram
from tests.fakes.visitor import running, until
from tests.fakes.zalo import FakeZalo

SECRET = "demo-secret"
NOWHERE = "http://127.0.0.1"
CS = "POST /v3.0/oa/message/cs"
_LOOKS_UP = 0.02
CARD = "https://example.org/card.png"


@dataclass(frozen=True)
class Seen:
    """One message as the app shows it: words, buttons under it, keys that ask, what is attached."""

    words: str
    buttons: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    picture: bytes | None = None
    document: bytes | None = None
    card: bool = False

    def __str__(self) -> str:
        attached = ["(picture)"] * (self.picture is not None)
        attached += ["(document)"] * (self.document is not None)
        shown = [f"[{label}]" for label in (*self.buttons, *self.keys)]
        return "\n".join(part for part in (self.words, *attached, " ".join(shown)) if part)


class Seat(Protocol):
    """One person with the platform's app; what they send gives its id there."""

    id: str
    phone: str
    """How a shared telephone number comes in."""

    @property
    def heard(self) -> list[Seen]:
        """Every message that this person got, in order."""
        ...

    def token(self, label: str) -> str:
        """What the newest button of that label sends."""
        ...

    async def says(self, text: str) -> Any: ...
    async def presses(self, label: str) -> Any: ...
    async def presses_token(self, token: str) -> Any: ...
    async def sends_photo(self, content: bytes, words: str = "") -> Any: ...
    async def sends_album(self, contents: Sequence[bytes]) -> Any: ...
    async def sends_voice(self) -> Any: ...
    async def shares_location(self, latitude: float, longitude: float) -> Any: ...
    async def shares_contact(self) -> Any: ...

    async def leaves(self) -> None:
        """Leaves in a way that the platform tells us."""
        ...

    async def comes_back(self) -> None:
        """Can be written to again."""
        ...

    def refuses(self) -> None:
        """Cannot be written to, which is only found out by writing."""
        ...


class _Letterbox:
    """A channel of which no courier knows: messages come in, replies stay in the outbox."""

    def __init__(self, channel: Channel) -> None:
        self.name = channel.name
        self.add_to = channel.add_to


@dataclass
class Town:
    """One gateway, one platform and one messenger, on one clock."""

    parts: Parts
    clock: VirtualClock
    fake: Any
    messenger: Messenger
    lan: Seat
    minh: Seat
    sending: str
    """The platform's method that brings a message to a person."""
    settings: Any
    newcomer: Callable[[], Seat]
    """Somebody who never wrote before."""

    async def settles(self, *, step: float = 1.0) -> None:
        """Waits until every message has its turn and every letter and file is settled.

        Time passes only while nobody is at work, so that no lease ends by our haste.
        """

        async def settled() -> bool:
            at_work, waits = await self.parts.store.run(_open)
            on_its_way = await self._arrives()
            if not (at_work or waits or on_its_way):
                return True
            if not at_work:
                self.clock.move(seconds=step)
                await self.fake.pump()
            return False

        await until(settled)

    async def hears(
        self, seat: Seat, acts: Awaitable[Any] | None = None, *, step: float = 1.0
    ) -> list[Seen]:
        """What a person gets for an act, or since they were asked last."""
        before = len(seat.heard)
        if acts is not None:
            await acts
        await self.settles(step=step)
        return seat.heard[before:]

    async def officer_answers(self, code: str, text: str, file: StoredFile | None = None) -> None:
        """An officer answers a case at the desk."""
        await self.parts.store.run(
            desk.answer,
            self.parts.house,
            CaseCode.parse(code),
            text,
            "officer",
            self.clock(),
            file=file,
        )

    async def delivers(self, seat: Seat, *blocks: Block) -> list[Seen]:
        """Carries one reply to a person at once, part by part; gives what they see."""
        before = len(seat.heard)
        for part in self.messenger.parts(blocks):
            self.clock.move(seconds=2)
            await self.messenger.deliver(Recipient(seat.id, self.clock()), part)
        return seat.heard[before:]

    async def file(self, seat: Seat, name: str, media_type: str, content: bytes) -> FileBlock:
        """A file of ours that a reply to a person may show."""
        file = StoredFile(name, media_type, content)
        office = self.parts.settings.office
        return await self.parts.store.run(put_file, self.sender(seat), file, office, self.clock())

    async def told(self, seat: Seat, *blocks: Block, kind: str = outbox.REPLY) -> None:
        """Puts a letter to a person into the outbox, as a turn or an officer does."""
        await self.parts.store.run(_put, self.sender(seat), self.parts, blocks, self.clock(), kind)

    def sender(self, seat: Seat) -> Sender:
        """A person as our database knows them."""
        return Sender(self.messenger.name, self.messenger.account, seat.id)

    async def _arrives(self) -> bool:
        """Whether something of the platform's is still on its way to us."""
        if isinstance(self.fake, FakeTelegram):
            return any(not waiting.held for waiting in self.fake.waiting)
        await self.fake.settled()
        return bool(self.fake._pending)


def _open(session: Session) -> tuple[bool, bool]:
    """Whether somebody is at work just now, and whether something waits: read at one glance."""
    leased = select(ConversationRow.id).where(ConversationRow.lease_until.is_not(None))
    sending = select(OutboxRow.id).where(OutboxRow.state == outbox.SENDING)
    unread = select(InboxRow.id).where(InboxRow.state == "ready")
    wanted = select(FileRow.id).where(FileRow.state == files.WANTED)
    leaves = (
        select(OutboxRow.id)
        .join(ConversationRow, ConversationRow.id == OutboxRow.conversation_id)
        .where(OutboxRow.state == outbox.READY, ConversationRow.out_of_reach_since.is_(None))
    )
    at_work, waits = leased.exists() | sending.exists(), (unread, wanted, leaves)
    glance = select(at_work, or_(*(one.exists() for one in waits)))
    busy, waiting = session.execute(glance).one()
    return busy, waiting


def _put(
    session: Session,
    sender: Sender,
    parts: Parts,
    blocks: Sequence[Block],
    now: datetime,
    kind: str,
) -> None:
    conversation = conversations.of(session, sender, parts.settings.office, now)
    conversations.heard(session, conversation.id, now)
    session.flush()
    until_ = parts.house.words_until(now)
    outbox.put(session, conversation.id, blocks, now, until_, kind=kind)


def put_file(
    session: Session, sender: Sender, file: StoredFile, office: str, now: Any
) -> FileBlock:
    """Keeps a file of ours with a case of that person's, as a block that shows it."""
    conversation = conversations.of(session, sender, office, now)
    session.flush()
    report = Report("Đèn đường hỏng.", "", "")
    taken = CaseTaken(CaseCode.draw(), CaseKind.FEEDBACK, report, date(2026, 12, 1))
    until_ = now + timedelta(days=1)
    case_id = cases.keep(session, taken, conversation.id, office, now, until_)
    id_ = files.put(session, file, conversation.id, case_id, now, until_)
    return FileBlock(file=id_, name=file.name, media_type=file.media_type)


# Telegram.


@dataclass
class TelegramSeat:
    """Somebody with the Telegram app."""

    person: telegram.Person
    phone: str = "+84900000000"

    @property
    def id(self) -> str:
        return str(self.person.id)

    @property
    def heard(self) -> list[Seen]:
        return [_seen_in_telegram(one) for one in self.person.heard]

    def token(self, label: str) -> str:
        buttons = (b for one in reversed(self.person.heard) for row in one.inline for b in row)
        return next(str(b["callback_data"]) for b in buttons if b["text"] == label)

    async def says(self, text: str) -> Any:
        return await self.person.says(text)

    async def presses(self, label: str) -> Any:
        return await self.person.presses(label)

    async def presses_token(self, token: str) -> Any:
        return await self.person.presses_data(token)

    async def sends_photo(self, content: bytes, words: str = "") -> Any:
        return await self.person.sends_photo(words, content)

    async def sends_album(self, contents: Sequence[bytes]) -> Any:
        return await self.person.sends_album(list(contents))

    async def sends_voice(self) -> Any:
        return await self.person.sends_voice()

    async def shares_location(self, latitude: float, longitude: float) -> Any:
        return await self.person.shares_location(latitude, longitude)

    async def shares_contact(self) -> Any:
        return await self.person.shares_contact(self.phone)

    async def leaves(self) -> None:
        await self.person.blocks_bot()

    async def comes_back(self) -> None:
        if self.person.closed:
            await self.person.unblocks_bot()

    def refuses(self) -> None:
        self.person.closed = telegram.BLOCKED


def _seen_in_telegram(one: telegram.Heard) -> Seen:
    return Seen(
        one.text,
        tuple(label for row in one.buttons for label in row),
        tuple(key.label for row in one.keyboard for key in row),
        one.photo,
        one.document,
    )


@asynccontextmanager
async def telegram_town(
    parts: Parts,
    clock: VirtualClock,
    *,
    fetches: bool = False,
    couriers: bool = True,
    patience: float = 5.0,
) -> AsyncIterator[Town]:
    """A gateway with Telegram, which brings messages or, if it `fetches`, is asked for them."""
    async with FakeTelegram(clock=clock).listening() as fake:
        settings = TelegramSettings(
            _env_file=None,
            token=fake.token,
            secret="" if fetches else SECRET,
            api_url=fake.base_url,
            file_url=fake.base_file_url,
            timeout=patience,
            poll_seconds=1,
        )
        reached = parts.settings.model_copy(update={"public_url": NOWHERE})
        messenger = Telegram(settings, reception_of(replace(parts, settings=reached)))
        async with _served(parts, messenger, couriers=couriers) as url:
            if not fetches:
                hook = {"url": f"{url}{settings.route}", "secret_token": SECRET}
                await fake.http.post(f"{fake.base_url}{fake.token}/setWebhook", json=hook)
                fake.calls.clear()
            ids = itertools.count(55)

            def newcomer() -> Seat:
                return TelegramSeat(fake.person(next(ids)))

            lan, minh = newcomer(), newcomer()
            yield Town(parts, clock, fake, messenger, lan, minh, "sendMessage", settings, newcomer)


# Zalo.


@dataclass
class ZaloSeat:
    """Somebody with the Zalo app."""

    person: zalo.Person
    phone: str = "84900000000"

    @property
    def id(self) -> str:
        return self.person.id

    @property
    def heard(self) -> list[Seen]:
        return [_seen_in_zalo(one) for one in self.person.heard]

    def token(self, label: str) -> str:
        buttons = (b for one in reversed(self.person.heard) for b in one.actions)
        return next(str(b["payload"]) for b in buttons if b["title"] == label)

    async def says(self, text: str) -> Any:
        self._later()
        return await self.person.says(text)

    async def presses(self, label: str) -> Any:
        self._later()
        return await self.person.presses(label)

    async def presses_token(self, token: str) -> Any:
        return await self.says(token)

    async def sends_photo(self, content: bytes, words: str = "") -> Any:
        self._later()
        return await self.person.sends_image(content, words)

    async def sends_album(self, contents: Sequence[bytes]) -> Any:
        return [await self.sends_photo(content) for content in contents]

    async def sends_voice(self) -> Any:
        self._later()
        return await self.person.sends_voice()

    async def shares_location(self, latitude: float, longitude: float) -> Any:
        self._later()
        return await self.person.shares_location(latitude, longitude)

    async def shares_contact(self) -> Any:
        self._later()
        return await self.person.submits_info(self.phone)

    async def leaves(self) -> None:
        await self.person.unfollows()

    async def comes_back(self) -> None:
        self.person.refuses_with = 0
        self._later()
        await self.person.follows()

    def refuses(self) -> None:
        self.person.refuses_with = -244

    def _later(self) -> None:
        """Nobody sends twice in one millisecond, which is how Zalo tells an order."""
        self.person.fake.clock.move(milliseconds=1)


def _seen_in_zalo(one: zalo.Heard) -> Seen:
    return Seen(
        one.text, tuple(one.buttons), picture=one.image, document=one.file, card=one.asked_info
    )


@asynccontextmanager
async def zalo_town(
    parts: Parts, clock: VirtualClock, *, couriers: bool = True, patience: float = 5.0
) -> AsyncIterator[Town]:
    """A gateway with a Zalo Official Account that has given its consent."""
    async with FakeZalo(clock=clock).listening() as fake:
        settings = ZaloSettings(
            _env_file=None,
            app_id=fake.app_id,
            app_secret=fake.app_secret,
            oa_secret=fake.oa_secret,
            oa_id=fake.oa_id,
            api=fake.api,
            oauth=fake.oauth,
            file_hosts="127.0.0.1",
            contact_picture=CARD,
            timeout=patience,
        )
        reception = reception_of(parts)
        access, refresh = fake.tokens()
        answer = {"access_token": access, "refresh_token": refresh, "expires_in": "90000"}
        tokens = Tokens.given(answer, clock())
        assert tokens is not None
        await reception.keep_secrets("zalo", fake.oa_id, tokens.to_keep())
        messenger = Zalo(settings, reception)
        async with _served(parts, messenger, couriers=couriers) as url:
            assert await fake.set_webhook(f"{url}/zalo") == 200
            ids = itertools.count(2_000_000_000_000_000_002)

            def newcomer() -> Seat:
                return ZaloSeat(fake.person(str(next(ids))))

            lan, minh = newcomer(), newcomer()
            yield Town(parts, clock, fake, messenger, lan, minh, CS, settings, newcomer)
            await fake.settled()


Open = Callable[..., AbstractAsyncContextManager[Town]]
TOWNS: Mapping[str, Open] = {"telegram": telegram_town, "zalo": zalo_town}
"""Every messenger: a new one joins the suite by a town of its own."""


@asynccontextmanager
async def _served(parts: Parts, messenger: Messenger, *, couriers: bool) -> AsyncIterator[str]:
    """A gateway whose worker and couriers look up often, since its clock goes fast."""
    before = worker._IDLE_SECONDS, courier._IDLE_SECONDS
    worker._IDLE_SECONDS = courier._IDLE_SECONDS = _LOOKS_UP
    app = create_app(parts, [messenger if couriers else _Letterbox(messenger)])
    try:
        async with running(app) as url:
            yield url
    finally:
        worker._IDLE_SECONDS, courier._IDLE_SECONDS = before
