"""The Zalo channel against a loopback Official Account: events in, messages out, tokens."""

import asyncio
import contextlib
import hashlib
import hmac
import itertools
import json
import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession, web
from pydantic import SecretStr
from sqlalchemy import select

from actions.action import AttachmentKind, CaseTaken
from actions.cases import CaseCode, CaseKind, Report
from bot.channel import (
    FileGone,
    Messenger,
    OutcomeUnknown,
    OutOfReach,
    Recipient,
    Refused,
    TryLater,
)
from bot.channels.zalo import Zalo, ZaloSettings, events, open_channel
from bot.channels.zalo.client import (
    CONSENT_ENDED,
    NOT_CONNECTED,
    Access,
    Tokens,
    Wire,
    _answer,
    draw_verifier,
)
from bot.channels.zalo.files import may_be_fetched
from bot.channels.zalo.refusals import REACTIONS, Reaction, fact, to_morning
from bot.channels.zalo.settings import checked
from bot.commands import zalo as command
from bot.courier import Courier
from bot.message import (
    AskContactBlock,
    AskLocationBlock,
    Block,
    ChoicesBlock,
    DetailsBlock,
    FileBlock,
    Message,
    OfferedChoice,
    Sender,
    TextBlock,
)
from bot.reception import Reception
from bot.settings import BadSettings, Settings
from bot.store import (
    Session,
    Store,
    StoreUnavailable,
    accounts,
    cases,
    conversations,
    files,
    inbox,
    jobs,
    strays,
)
from bot.store.choices import token_in, typed_form
from bot.store.files import StoredFile
from bot.store.keys import KeyRing
from bot.store.tables import AccountRow, ConversationRow, InboxRow, StrayRow
from bot.turn import House
from bot.worker import Worker
from tests.conftest import START
from tests.fakes.nlu import FakeNlu
from tests.fakes.platform import VirtualClock
from tests.fakes.visitor import running
from tests.fakes.zalo import FakeZalo, Person

OFFICE = "ubnd_phuong_vi_du"
OA = "3000000000000000003"
LAN = "2000000000000000002"
APP_SECRET, OA_SECRET = "APP_SECRET_demo_only", "OA_SECRET_demo_only"
GIF = b"GIF89a" + (320).to_bytes(2, "little") + (240).to_bytes(2, "little") + b"\0" * 20
VECTOR = (
    '{"app_id":"1000000000000000001","event_name":"user_send_text",'
    '"sender":{"id":"2000000000000000002"},"recipient":{"id":"3000000000000000003"},'
    '"user_id_by_app":"4000000000000000004",'
    '"message":{"msg_id":"a1b2c3d4e5f60718","text":"Xin chào"},"timestamp":"1795316698353"}'
).encode()
VECTOR_MAC = "b3f7f6bd7e593f900f49aec3f0fe0f389c13e7e75df6f1f75caebeca87bca373"


@pytest.fixture
def clock() -> VirtualClock:
    """The platform and we read one clock."""
    return VirtualClock(START)


@pytest.fixture
async def fake(clock: VirtualClock) -> AsyncIterator[FakeZalo]:
    async with FakeZalo(clock=clock).listening() as fake:
        yield fake
        assert fake.mistakes == []


def zalo_settings(fake: FakeZalo, **more: Any) -> ZaloSettings:
    given: dict[str, Any] = {
        "app_id": fake.app_id,
        "app_secret": SecretStr(fake.app_secret),
        "oa_secret": SecretStr(fake.oa_secret),
        "oa_id": fake.oa_id,
        "api": fake.api,
        "oauth": fake.oauth,
        "file_hosts": "zdn.vn, 127.0.0.1",
        "contact_picture": "https://example.org/card.png",
        "timeout": 5.0,
    }
    return ZaloSettings(_env_file=None, **{**given, **more})


@dataclass
class Account:
    """A connected account: the channel, the platform, and one citizen."""

    fake: FakeZalo
    store: Store
    reception: Reception
    zalo: Zalo
    lan: Person
    url: str = ""
    settings: ZaloSettings = field(default_factory=ZaloSettings)

    def messages(self) -> list[Message]:
        """Everything that waits in the inbox, in order."""

        def read(session: Session) -> list[Message]:
            ids = session.scalars(select(ConversationRow.id)).all()
            waiting = [found for id_ in ids for found in inbox.unanswered(session, id_)]
            ordered = sorted(waiting, key=lambda found: found[1].inbox_id)
            return [found.message for _, found in ordered]

        return self.store.run_here(read)

    def strays(self) -> dict[str, int]:
        return self.store.run_here(strays.counts, "zalo")

    def conversation(self) -> ConversationRow | None:
        return self.store.run_here(lambda s: s.scalar(select(ConversationRow)))

    def trouble(self) -> str | None:
        return self.store.run_here(accounts.of, "zalo", OA).trouble

    def tokens(self) -> Tokens:
        found = Tokens.kept(self.store.run_here(accounts.secrets, "zalo", OA))
        assert found is not None
        return found

    def another(self, **more: Any) -> Zalo:
        """The same account with other settings."""
        return Zalo(zalo_settings(self.fake, **more), self.reception)

    def to(self, *, ago: timedelta = timedelta(0)) -> Recipient:
        return Recipient(LAN, self.fake.clock.now - ago)

    async def sends(self, *blocks: Block, zalo: Zalo | None = None) -> None:
        """Delivers a reply, part by part, as a courier does."""
        zalo = zalo or self.zalo
        async with contextlib.AsyncExitStack() as stack:
            if zalo is not self.zalo:
                await stack.enter_async_context(zalo.opened())
            for part in zalo.parts(blocks):
                await zalo.deliver(self.to(), part)

    def calls(self, path: str = "") -> list[Any]:
        return [call for call in self.fake.calls if path in call.method]


@pytest.fixture
async def account(
    fake: FakeZalo, house: House, store: Store, clock: VirtualClock
) -> AsyncIterator[Account]:
    settings = Settings(_env_file=None)
    reception = Reception(settings, house, store, clock, received=lambda: None)
    zalo = Zalo(zalo_settings(fake), reception)
    app = web.Application()
    zalo.add_to(app)
    await connect(reception, fake)
    lan = fake.person(LAN)
    lan.interacted_at = clock.now
    async with running(app) as url:
        assert await fake.set_webhook(f"{url}/zalo") == 200
        yield Account(fake, store, reception, zalo, lan, url)
        await fake.settled()


async def connect(reception: Reception, fake: FakeZalo) -> None:
    access, refresh = fake.tokens()
    answer = {"access_token": access, "refresh_token": refresh, "expires_in": "90000"}
    tokens = Tokens.given(answer, fake.clock.now)
    assert tokens is not None
    await reception.keep_secrets("zalo", fake.oa_id, tokens.to_keep())


def text(words: str) -> TextBlock:
    return TextBlock(text=words)


def choices(*labels: str) -> ChoicesBlock:
    offered = (
        OfferedChoice(number=n, label=label, token=f"{label[:4]:x<12}{n:04}".replace(" ", "_"))
        for n, label in enumerate(labels, 1)
    )
    return ChoicesBlock(choices=tuple(offered))


# Signatures.


def genuine(raw: bytes, mac: str, *, header: str = "", app_id: str = "1000000000000000001") -> bool:
    return events.genuine(raw, events.parsed(raw), mac, header, app_id=app_id, secret=OA_SECRET)


def test_the_reference_vector_is_genuine_with_and_without_its_prefix() -> None:
    assert len(VECTOR) == 267
    for mac in (VECTOR_MAC, f"mac={VECTOR_MAC}", f" mac= {VECTOR_MAC} "):
        assert genuine(VECTOR, mac)


@pytest.mark.parametrize(
    "mac",
    ["", "mac=", VECTOR_MAC[:-1], VECTOR_MAC[::-1], VECTOR_MAC + "0", "z" * 64, "mac=" + "é" * 64],
)
def test_no_other_mac_is_genuine(mac: str) -> None:
    assert not genuine(VECTOR, mac)


def test_an_hmac_is_not_what_zalo_makes() -> None:
    made = hmac.new(OA_SECRET.encode(), VECTOR, hashlib.sha256).hexdigest()
    assert not genuine(VECTOR, made)


def test_a_changed_byte_and_another_apps_event_are_refused() -> None:
    assert not genuine(VECTOR.replace(b":", b": ", 1), VECTOR_MAC)
    assert not genuine(VECTOR, VECTOR_MAC, app_id="1000000000000000009")


def mac_of(raw: bytes, time: str) -> str:
    signed = b"1000000000000000001" + raw + time.encode() + OA_SECRET.encode()
    return hashlib.sha256(signed).hexdigest()


def test_the_headers_time_is_good_too_but_nothing_that_is_no_time() -> None:
    assert genuine(VECTOR, mac_of(VECTOR, "1795316698999"), header="1795316698999")
    assert not genuine(VECTOR, mac_of(VECTOR, "soon"), header="soon")
    cut = VECTOR[:-3]  # bytes moved from the body into the time are another event
    assert not genuine(cut, mac_of(cut, '3"}1795316698353'), header='3"}1795316698353')


# In: what is kept.


async def test_a_text_is_kept_once_however_often_it_is_posted(account: Account) -> None:
    msg_id = await account.lan.says("Tôi muốn hỏi thủ tục")
    for _ in range(9):
        assert (await account.fake.repeat(msg_id)).status == 200
    [message] = account.messages()
    assert message == Message(
        Sender("zalo", OA, LAN),
        msg_id,
        account.fake.clock.now,
        "Tôi muốn hỏi thủ tục",
        position=account.fake.clock.ms,
    )
    assert all(delivery.seconds < 2 for delivery in account.fake.deliveries)


async def test_events_out_of_order_are_all_kept(account: Account) -> None:
    account.fake.hold = True
    first = await account.lan.says("một")
    second = await account.lan.says("hai")
    await account.fake.deliver_in([second, first, second])
    assert [message.text for message in account.messages()] == ["hai", "một"]


async def test_numbers_for_ids_mean_the_same_as_text(account: Account) -> None:
    await account.lan.says("chào", numeric_ids=True, spaced=True)
    [message] = account.messages()
    assert message.sender == Sender("zalo", OA, LAN)


async def test_an_id_that_lost_digits_is_nobody(account: Account) -> None:
    about = account.lan.envelope(message={"msg_id": "m1", "text": "chào"})
    about["sender"] = {"id": 2e18}
    delivery = await account.fake.event("user_send_text", **about)
    assert delivery.status == 200
    assert account.messages() == []
    assert account.strays() == {"user_send_text (malformed)": 1}


async def test_pictures_films_and_documents_are_kept_by_their_address(account: Account) -> None:
    lan = account.lan
    await lan.sends_image(b"png", text="ổ gà")
    await lan.sends_gif()
    await lan.sends_video()
    await lan.sends_file("don.pdf", b"12345")
    image, gif, video, file = account.messages()
    assert (image.text, image.attachments[0].kind) == ("ổ gà", AttachmentKind.IMAGE)
    assert [m.attachments[0].kind for m in (gif, video)] == ["image", "video"]
    [document] = file.attachments
    assert (document.kind, document.name, document.size) == (AttachmentKind.FILE, "don.pdf", 5)
    assert await account.zalo.fetch(image.attachments[0].reference) == b"png"
    assert await account.zalo.fetch(document.reference) == b"12345"


@pytest.mark.parametrize("what", ["voice", "sticker", "link", "business_card"])
async def test_what_nobody_can_use_is_kept_as_unreadable(account: Account, what: str) -> None:
    await getattr(account.lan, f"sends_{what}")()
    [message] = account.messages()
    assert [one.kind for one in message.attachments] == [AttachmentKind.UNREADABLE]


async def test_a_place_has_its_name_and_no_words_in_both_forms(account: Account) -> None:
    await account.lan.shares_location("10.7923119", "106.7820651", text="Chợ Bình An")
    older = {"msg_id": "m2", "location": {"latitude": 21.02, "longitude": "105.85"}}
    await account.fake.event("user_send_location", **account.lan.envelope(message=older))
    newer, old = account.messages()
    [place] = newer.attachments
    assert (place.latitude, place.longitude, place.name) == (10.7923119, 106.7820651, "Chợ Bình An")
    assert newer.text == ""
    assert (old.attachments[0].latitude, old.attachments[0].longitude) == (21.02, 105.85)


@pytest.mark.parametrize("latitude", ["91", "north", "nan", "", None, [], 1e999])
async def test_a_place_that_is_nowhere_is_a_stray(account: Account, latitude: Any) -> None:
    coordinates = {"latitude": latitude, "longitude": "105"}
    attached = [{"type": "location", "payload": {"coordinates": coordinates}}]
    about = account.lan.envelope(message={"msg_id": "m1", "attachments": attached})
    assert (await account.fake.event("user_send_location", **about)).status == 200
    assert account.messages() == []
    assert account.strays() == {"user_send_location (malformed)": 1}


async def test_submitted_data_is_the_persons_own_telephone_number(account: Account) -> None:
    await account.lan.submits_info(phone="84900000000", name="Trần Thị Lan")
    await account.fake.repeat()
    [message] = account.messages()
    [contact] = message.attachments
    assert (contact.kind, contact.phone, contact.own) == (
        AttachmentKind.CONTACT,
        "84900000000",
        True,
    )


async def test_following_and_chat_now_open_a_conversation_once_each(account: Account) -> None:
    await account.lan.follows()
    await account.fake.repeat()
    await account.lan.clicks_chat_now()
    await account.fake.repeat()
    opened = account.messages()
    assert [(m.opened, m.text, m.sender.person) for m in opened] == [(True, "", LAN)] * 2
    assert len({m.external_id for m in opened}) == 2


async def test_a_payload_that_is_typed_comes_as_words(account: Account) -> None:
    await account.sends(text("Anh/Chị chọn:"), choices("Khai sinh"))
    await account.lan.presses("Khai sinh")
    payload = account.lan.heard[-1].actions[0]["payload"]
    await account.lan.types(payload)
    assert [(m.text, m.pressed) for m in account.messages()] == [(payload, None)] * 2
    assert token_in(payload)


async def test_half_a_letter_does_not_lose_the_message(account: Account) -> None:
    body = VECTOR.replace("chào".encode(), rb"ch\ud800o\u0000")
    status = await post(account, body, signed_by="1795316698353")
    assert status == 200
    assert account.messages()[0].text == "Xin ch?o\0"


# In: what is done without a message.


async def test_who_unfollows_is_out_of_reach_until_they_write(account: Account) -> None:
    await account.lan.says("chào")
    await account.lan.unfollows()
    left = account.conversation()
    assert left is not None
    assert left.out_of_reach_since == account.fake.clock.now
    await account.lan.says("chào")
    back = account.conversation()
    assert back is not None
    assert back.out_of_reach_since is None


async def test_an_officers_hand_silences_and_our_own_echo_does_not(account: Account) -> None:
    await account.lan.says("chào")
    await account.sends(text("Dạ, chào Anh/Chị."))
    await account.fake.settled()
    assert [d.event_name for d in account.fake.deliveries][-1] == "oa_send_text"
    ours = account.conversation()
    assert ours is not None
    assert ours.silent_until is None
    await account.fake.officer_writes(account.lan, "Tôi là cán bộ phường.")
    theirs = account.conversation()
    assert theirs is not None
    assert theirs.silent_until == account.fake.clock.now + timedelta(minutes=30)
    assert account.strays() == {}


async def test_who_withdraws_is_erased(account: Account) -> None:
    await account.lan.says("điều riêng")
    await account.lan.withdraws()

    def words(session: Session) -> list[Any]:
        return list(session.scalars(select(InboxRow.words)))

    assert account.store.run_here(words) == [None]
    assert account.messages() == []


@pytest.mark.parametrize(
    "name",
    [
        "user_received_message",
        "user_seen_message",
        "user_reacted_message",
        "oa_reacted_message",
        "add_user_to_tag",
        "remove_user_from_tag",
        "remove_tag",
        "update_user_info",
        "oa_send_consent",
        "user_reply_consent",
        "user_call_oa",
        "oa_call_user",
        "create_group",
        "user_send_group_text",
        "oa_send_group_text",
        "oa_send_anonymous_text",
    ],
)
async def test_events_that_need_nothing_leave_nothing(account: Account, name: str) -> None:
    about = account.lan.envelope(message={"msg_ids": ["m1"], "msg_id": 5}, admin_id="6")
    assert (await account.fake.event(name, **about)).status == 200
    assert (account.messages(), account.strays(), account.conversation()) == ([], {}, None)


async def test_unknown_events_are_kept_sealed_and_counted(account: Account) -> None:
    for _ in range(2):
        await account.fake.event("user_sends_hologram", secret_words="điều riêng")
    await account.fake.event("\x1b[31m" + "x" * 300)
    expected = {"unnamed": 1, "user_sends_hologram": 2}
    assert account.strays() == expected
    assert {d.status for d in account.fake.deliveries} == {200}
    kept = account.store.run_here(lambda s: list(s.scalars(select(StrayRow.words))))
    assert not any("điều riêng".encode() in (words or b"") for words in kept)


async def test_an_event_of_another_account_is_not_ours(account: Account) -> None:
    about = account.lan.envelope(message={"msg_id": "m1", "text": "chào"})
    about["recipient"] = {"id": "3000000000000000999"}
    await account.fake.event("user_send_text", **about)
    assert account.messages() == []
    assert account.strays() == {"user_send_text (malformed)": 1}


# In: what is refused or put aside.


async def post(
    account: Account,
    body: bytes,
    *,
    signed_by: str = "",
    at: str | None = None,
    **headers: str,
) -> int:
    if signed_by:
        headers["X-ZEvent-Signature"] = f"mac={mac_of(body, signed_by)}"
        headers["X-ZEvent-Timestamp"] = signed_by
    # the vector is of another day: time goes there
    moment = datetime.fromtimestamp(int(at or "1795316698353") / 1000, UTC)
    account.fake.clock.move(seconds=(moment - account.fake.clock.now).total_seconds())
    async with (
        ClientSession() as http,
        http.post(f"{account.url}/zalo", data=body, headers=headers) as response,
    ):
        return response.status


async def test_the_probe_is_answered_and_does_nothing(account: Account) -> None:
    assert await post(account, b"{}") == 200
    assert await post(account, b" {} ") == 200
    assert (account.messages(), account.strays()) == ([], {})


@pytest.mark.parametrize("sign", ["bad", "none", "hmac"])
async def test_an_event_without_our_signature_is_refused(account: Account, sign: str) -> None:
    await account.lan.says("chào", sign=sign)
    assert account.fake.deliveries[-1].status == 403
    assert (account.messages(), account.strays()) == ([], {})


async def test_a_body_written_anew_is_refused_and_the_very_bytes_are_not(account: Account) -> None:
    await account.lan.says("chào", spaced=True)
    assert account.fake.deliveries[-1].status == 200
    await account.lan.says("chào", reserialise=True)
    assert account.fake.deliveries[-1].status == 403
    assert len(account.messages()) == 1


async def test_either_time_may_be_the_signed_one(account: Account) -> None:
    await account.lan.says("một", header_time=False)
    await account.lan.says("hai", header_ms=account.fake.clock.ms + 5)
    assert [message.text for message in account.messages()] == ["một", "hai"]


@pytest.mark.parametrize(
    ("minutes", "retry", "kept"),
    [
        (-9, None, True),
        (-11, None, False),
        (9, None, True),
        (11, None, False),
        (-110, 5, True),
        (-125, 5, False),
        (11, 1, False),
    ],
)
async def test_old_and_future_events_are_kept_but_not_acted_on(
    account: Account, minutes: int, retry: int | None, kept: bool
) -> None:
    await account.lan.says(
        "chào", timestamp_ms=account.fake.clock.ms + minutes * 60_000, num_retry=retry
    )
    assert account.fake.deliveries[-1].status == 200
    assert len(account.messages()) == int(kept)
    assert account.strays() == ({} if kept else {"user_send_text (late)": 1})


async def test_an_event_replayed_later_changes_nothing(account: Account) -> None:
    msg_id = await account.lan.says("chào")
    account.fake.clock.move(minutes=30)
    assert (await account.fake.repeat(msg_id)).status == 200
    assert len(account.messages()) == 1
    assert account.strays() == {"user_send_text (late)": 1}


async def test_a_body_over_the_limit_is_refused(account: Account) -> None:
    assert await post(account, b"x" * (2**20 + 1), signed_by="1795316698353") == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"event_name": "user_send_text"',
        b"[" * 100_000,
        b"9" * 5000,
    ],
)
async def test_what_is_no_event_is_refused_unsigned_and_kept_signed(
    account: Account, body: bytes
) -> None:
    assert await post(account, body) == 403
    assert await post(account, body, signed_by="1795316698353") == 200
    assert account.messages() == []
    assert account.strays() == {"not_json": 1}


WRONG: list[Any] = [None, True, 1.5, 7, "", "x", [], [1], {}, {"id": []}, {"id": None}]
FIELDS = ["sender", "recipient", "message", "follower", "oa_id", "user_id", "info", "timestamp"]
NAMES = [
    "user_send_text",
    "user_send_image",
    "user_send_location",
    "user_submit_info",
    "follow",
    "unfollow",
    "user_click_chatnow",
    "user_withdraw",
    "oa_send_text",
]


def whole(name: str, ms: int) -> dict[str, Any]:
    return {
        "app_id": "1000000000000000001",
        "event_name": name,
        "timestamp": str(ms),
        "sender": {"id": LAN},
        "recipient": {"id": OA},
        "message": {"msg_id": "m1", "text": "chào"},
        "follower": {"id": LAN},
        "oa_id": OA,
        "user_id": LAN,
        "info": {"phone": "84900000000"},
    }


async def test_wrong_types_in_known_fields_are_never_an_error(account: Account) -> None:
    ms = account.fake.clock.ms
    statuses = set()
    for name, field_, wrong in itertools.product(NAMES, FIELDS, WRONG):
        body = json.dumps({**whole(name, ms), field_: wrong}).encode()
        statuses.add(await post(account, body, signed_by=str(ms), at=str(ms)))
    assert statuses == {200}


@pytest.mark.parametrize(
    "message",
    [
        {"msg_id": "m1"},
        {"msg_id": "m1", "text": 5},
        {"msg_id": ["m1"], "text": "chào"},
        {"msg_id": "x" * 500, "text": "chào"},
        {"text": "chào"},
        {"msg_id": "m1", "attachments": "image"},
        {"msg_id": "m1", "attachments": [{"type": "image", "payload": []}]},
        {"msg_id": "m1", "attachments": [{"type": "image", "payload": {"url": 5}}]},
        {"msg_id": "m1", "attachments": [{"type": "file", "payload": {"url": "u", "size": "x"}}]},
    ],
)
async def test_a_malformed_message_is_a_stray(account: Account, message: dict[str, Any]) -> None:
    about = account.lan.envelope(message=message)
    assert (await account.fake.event("user_send_text", **about)).status == 200
    assert account.messages() == []
    assert account.strays() == {"user_send_text (malformed)": 1}


async def test_an_event_that_cannot_be_kept_is_asked_for_again(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = account.store.run

    async def locked(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("OperationalError")

    monkeypatch.setattr(account.store, "run", locked)
    await account.lan.says("chào")
    assert account.fake.deliveries[-1].status == 503
    monkeypatch.setattr(account.store, "run", real)
    account.fake.clock.move(seconds=31)
    await account.fake.pump()
    assert [message.text for message in account.messages()] == ["chào"]


# Out: the parts of a reply.


async def test_words_go_together_and_long_ones_are_split_with_buttons_last(
    account: Account,
) -> None:
    long = "\n\n".join(f"Mục {n}. " + "giấy tờ cần có " * 12 for n in range(30))
    details = DetailsBlock(summary="Căn cứ", text="Luật Hộ tịch")
    blocks: list[Block] = [text(f"## Khai sinh\n{long}"), details, choices("Có", "Không")]
    parts = account.zalo.parts(blocks)
    assert parts == account.zalo.parts(blocks)
    await account.sends(*blocks)
    heard = account.lan.heard
    assert len(heard) > 2
    assert all(len(one.text) <= 2000 for one in heard)
    assert [one.buttons for one in heard] == [[]] * (len(heard) - 1) + [["Có", "Không"]]
    assert heard[0].text.startswith("Khai sinh\n")
    assert heard[-1].text.endswith("Căn cứ\nLuật Hộ tịch\n\n1. Có\n2. Không")


async def test_buttons_say_only_an_opaque_token_unseen(account: Account) -> None:
    offered = choices("Khai sinh", "N" * 150)
    await account.sends(text("Chọn:"), offered)
    [heard] = account.lan.heard
    assert [b["type"] for b in heard.actions] == ["oa.query.hide"] * 2
    assert [b["payload"] for b in heard.actions] == [typed_form(c.token) for c in offered.choices]
    assert len(heard.buttons[1]) == 100


async def test_more_than_five_choices_are_words_only(account: Account) -> None:
    await account.sends(text("Chọn:"), choices(*"abcdef"))
    [heard] = account.lan.heard
    assert heard.buttons == []
    assert heard.text.endswith("6. f")


async def test_buttons_can_be_switched_off(account: Account) -> None:
    await account.sends(choices("Có"), zalo=account.another(buttons=False))
    assert [(h.text, h.buttons) for h in account.lan.heard] == [("1. Có", [])]


async def test_refused_buttons_become_plain_words_at_once(account: Account) -> None:
    account.fake.buttons_refused = True
    await account.sends(text("Chọn:"), choices("Có"))
    assert [(h.text, h.buttons) for h in account.lan.heard] == [("Chọn:\n\n1. Có", [])]


async def test_a_place_is_asked_for_in_words_and_a_number_by_a_card(account: Account) -> None:
    place = AskLocationBlock(label="Gửi vị trí", words="Anh/Chị viết địa chỉ.")
    phone = AskContactBlock(label="Gửi số điện thoại", words="Anh/Chị viết số điện thoại.")
    await account.sends(text("Ở đâu?"), place, phone)
    words, card = account.lan.heard
    assert words.text == "Ở đâu?\n\nAnh/Chị viết địa chỉ."
    assert (card.asked_info, card.text) == (True, "Gửi số điện thoại")


async def test_a_card_that_is_refused_or_has_no_picture_becomes_words(account: Account) -> None:
    phone = AskContactBlock(label="Gửi số", words="Anh/Chị viết số điện thoại.")
    account.fake.fault(body={"error": -233, "message": "not supported"})
    await account.sends(phone)
    await account.sends(text("Dạ."), phone, zalo=account.another(contact_picture=""))
    expected = ["Anh/Chị viết số điện thoại.", "Dạ.\n\nAnh/Chị viết số điện thoại."]
    assert [h.text for h in account.lan.heard] == expected


def our_file(
    account: Account, content: bytes, media_type: str, name: str = "Giấy hẹn"
) -> FileBlock:
    now = account.fake.clock.now

    def put(session: Session) -> int:
        person = conversations.of(session, Sender("zalo", OA, LAN), OFFICE, now)
        taken = CaseTaken(CaseCode.draw(), CaseKind.FEEDBACK, Report("x", "x", "x"), now.date())
        case_id = cases.keep(session, taken, person.id, OFFICE, now, now)
        return files.put(
            session, StoredFile(name, media_type, content), person.id, case_id, now, now
        )

    return FileBlock(file=account.store.run_here(put), name=name, media_type=media_type)


@pytest.mark.parametrize(
    ("content", "media_type", "kind", "named"),
    [
        (b"\xff\xd8 jpeg", "image/jpeg", "image", "Giấy hẹn.jpg"),
        (b"\x89PNG", "image/png", "image", "Giấy hẹn.png"),
        (GIF, "image/gif", "gif", "Giấy hẹn.gif"),
        (b"%PDF-1.7", "application/pdf", "file", "Giấy hẹn.pdf"),
        (b"a,b", "text/csv", "file", "Giấy hẹn.csv"),
    ],
)
async def test_a_file_is_uploaded_and_shown(
    account: Account, content: bytes, media_type: str, kind: str, named: str
) -> None:
    await account.sends(our_file(account, content, media_type))
    [heard] = account.lan.heard
    assert content in {heard.image, heard.file}
    [upload] = account.calls("/upload/")
    assert upload.method == f"POST /v2.0/oa/upload/{kind}"
    assert upload.fields["file"].name == named


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"x" * 1_000_001, "image/png"),
        (b"x" * 5_000_001, "application/pdf"),
        (b"no gif", "image/gif"),
        (b"x", "application/zip"),
        (b"x", "image/webp"),
    ],
)
async def test_a_file_that_zalo_does_not_take_is_named_in_words(
    account: Account, content: bytes, media_type: str
) -> None:
    await account.sends(our_file(account, content, media_type))
    [heard] = account.lan.heard
    assert heard.text.startswith("Giấy hẹn\nDạ, tệp này không gửi được")
    assert account.calls("/upload/") == []


async def test_a_refused_upload_becomes_words(account: Account) -> None:
    account.fake.fault("POST /v2.0/oa/upload/file", body={"error": -201, "message": "invalid"})
    await account.sends(our_file(account, b"%PDF", "application/pdf"))
    assert account.lan.heard[0].text.startswith("Giấy hẹn\nDạ")


async def test_an_upload_is_used_again_and_renewed_when_it_has_expired(account: Account) -> None:
    block = our_file(account, b"%PDF", "application/pdf")
    await account.sends(block)
    await account.sends(block)
    assert len(account.calls("/upload/")) == 1
    account.fake.clock.move(days=8)
    account.lan.interacted_at = account.fake.clock.now
    await connect(account.reception, account.fake)
    await account.sends(block)
    assert len(account.calls("/upload/")) == 2
    assert [h.file for h in account.lan.heard] == [b"%PDF"] * 3


async def test_a_file_that_is_not_kept_is_given_up(account: Account) -> None:
    with pytest.raises(Refused):
        await account.sends(FileBlock(file=999, name="x.pdf", media_type="application/pdf"))


# Out: when somebody may be written to.


async def test_nobody_is_called_for_after_seven_days_or_without_any_sign(account: Account) -> None:
    [part] = account.zalo.parts([text("Dạ.")])
    late = Recipient(LAN, account.fake.clock.now - timedelta(days=7, seconds=1))
    for recipient in (late, Recipient(LAN, None)):
        with pytest.raises(OutOfReach):
            await account.zalo.deliver(recipient, part)
    assert account.fake.calls == []


async def test_billed_messages_are_sent_only_where_they_are_allowed(account: Account) -> None:
    account.fake.clock.move(days=3)
    await connect(account.reception, account.fake)
    [part] = account.zalo.parts([text("Dạ.")])
    to = account.to(ago=timedelta(days=3))
    await account.zalo.deliver(to, part)
    assert len(account.lan.heard) == 1
    thrifty = account.another(paid_messages=False)
    with pytest.raises(OutOfReach):
        await thrifty.deliver(to, part)


# Out: refusals.


def test_every_code_of_the_reference_has_a_reaction() -> None:
    told = """-32 -200 -201 -204 -205 -209 -212 -223 -210 -211 -218 -213 -216 -220 -217 -244
    -219 -221 -224 -227 -230 -232 -233 -234 -235 -240 -242 -248 -249 -320 -321"""
    assert {int(code) for code in told.split()} == set(REACTIONS)


@pytest.mark.parametrize(
    ("code", "kind", "after", "all_people"),
    [
        (-32, TryLater, timedelta(minutes=1), True),
        (-211, TryLater, timedelta(hours=1), False),
        (-218, TryLater, timedelta(hours=1), False),
        (-234, TryLater, timedelta(hours=20), False),
        (-200, TryLater, None, False),
        (-204, TryLater, timedelta(minutes=10), True),
        (-321, TryLater, timedelta(minutes=10), True),
        (-230, OutOfReach, None, None),
        (-213, OutOfReach, None, None),
        (-201, Refused, None, None),
        (-9999, Refused, None, None),
    ],
)
async def test_a_refusal_is_told_as_a_fact(
    account: Account, code: int, kind: type[Exception], after: Any, all_people: Any
) -> None:
    account.fake.fault(body={"error": code, "message": "no"})
    [part] = account.zalo.parts([text("Dạ.")])
    with pytest.raises(kind) as caught:
        await account.zalo.deliver(account.to(), part)
    assert getattr(caught.value, "after", None) == after
    assert getattr(caught.value, "all_people", None) == all_people
    needs_operator = REACTIONS.get(code) is Reaction.OPERATOR
    assert (account.trouble() is not None) == needs_operator


async def test_trouble_is_over_when_a_message_arrives(account: Account) -> None:
    account.fake.fault(body={"error": -224, "message": "package"})
    with pytest.raises(TryLater):
        await account.sends(text("Dạ."))
    assert account.trouble() == "Zalo answered -224: see docs/channels/zalo.md"
    await account.sends(text("Dạ."))
    assert account.trouble() is None


def test_the_waits_of_the_clock() -> None:
    night = datetime(2026, 11, 24, 17, 30, 40, tzinfo=UTC)  # half past midnight in Việt Nam
    assert to_morning(night) == timedelta(hours=5, minutes=29, seconds=20)
    limited = fact(-32, night)
    assert isinstance(limited, TryLater)
    assert limited.after == timedelta(seconds=20)


FAULTS: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"status": 429}, TryLater),
    ({"status": 500}, TryLater),
    ({"status": 502, "body": b"<html>bad gateway</html>"}, TryLater),
    ({"status": 200, "body": b"<html>login</html>"}, TryLater),
    ({"status": 404, "body": b"nothing"}, TryLater),
    ({"body": {"message": "neither"}}, OutcomeUnknown),
    ({"drop": True}, OutcomeUnknown),
    ({"lost": True}, OutcomeUnknown),
]


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
async def test_trouble_on_the_way_is_told_as_a_fact(
    account: Account, fault: dict[str, Any], kind: type[Exception]
) -> None:
    account.fake.fault("POST /v3.0/oa/message/cs", **fault)
    with pytest.raises(kind):
        await account.sends(text("Dạ."))
    assert len(account.lan.heard) == int(fault.get("lost", False))


async def test_an_answer_that_does_not_come_is_unknown(account: Account) -> None:
    account.fake.fault(delay=0.5)
    with pytest.raises(OutcomeUnknown):
        await account.sends(text("Dạ."), zalo=account.another(timeout=0.1))


async def test_a_closed_door_means_that_nothing_was_sent_and_everybody_waits(
    account: Account,
) -> None:
    with pytest.raises(TryLater) as caught:
        await account.sends(text("Dạ."), zalo=account.another(api="http://127.0.0.1:1"))
    assert (caught.value.after, caught.value.all_people) == (timedelta(seconds=15), True)


async def test_buttons_whose_outcome_is_unknown_are_not_sent_again(account: Account) -> None:
    account.fake.fault(lost=True)
    with pytest.raises(OutcomeUnknown):
        await account.sends(choices("Có"))
    assert len(account.lan.heard) == 1


async def test_the_rate_limit_is_no_refusal_of_buttons(account: Account) -> None:
    account.fake.fault(body={"error": -32, "message": "limit"})
    with pytest.raises(TryLater):
        await account.sends(choices("Có"))
    assert account.lan.heard == []


async def test_the_time_that_a_busy_platform_asks_for_is_honoured() -> None:
    for asked, wait in {"7": 7.0, "99999999999": 3600.0, "soon": 60.0, "": 60.0}.items():
        with pytest.raises(TryLater) as caught:
            _answer(429, {"Retry-After": asked}, b"")
        assert caught.value.after == timedelta(seconds=wait)
        assert caught.value.all_people


# Tokens.


async def test_the_token_is_renewed_at_twenty_hours_and_kept_first(account: Account) -> None:
    before = account.tokens()
    account.fake.clock.move(hours=19, minutes=59)
    await account.sends(text("một"))
    assert account.tokens() == before
    account.fake.clock.move(minutes=2)
    await account.sends(text("hai"))
    after = account.tokens()
    assert after.access != before.access
    assert after.refresh != before.refresh
    assert after.ends_at == account.fake.clock.now + timedelta(hours=25)
    assert [h.text for h in account.lan.heard] == ["một", "hai"]


async def test_a_token_refused_in_the_middle_is_renewed_and_the_call_done_once_more(
    account: Account,
) -> None:
    account.fake.fault("POST /v3.0/oa/message/cs", body={"error": -216, "message": "invalid"})
    await account.sends(text("một"), choices("Có"))
    assert [h.text for h in account.lan.heard] == ["một\n\n1. Có"]
    assert len(account.calls("access_token")) == 1
    account.fake.clock.move(hours=26)
    await account.sends(text("hai"))
    assert account.lan.heard[-1].text == "hai"


async def test_a_token_refused_twice_is_trouble(account: Account) -> None:
    refused = {"error": -220, "message": "expired"}
    account.fake.fault("POST /v3.0/oa/message/cs", times=2, body=refused)
    with pytest.raises(TryLater) as caught:
        await account.sends(text("một"))
    assert (caught.value.after, caught.value.all_people) == (timedelta(minutes=10), True)
    assert account.trouble() == "Zalo answered -220: see docs/channels/zalo.md"


async def test_many_messages_at_once_renew_once(account: Account) -> None:
    account.fake.clock.move(hours=26)
    account.lan.interacted_at = account.fake.clock.now
    await asyncio.gather(*(account.sends(text(str(n))) for n in range(8)))
    assert len(account.calls("access_token")) == 1
    assert len(account.lan.heard) == 8


async def test_messages_that_leave_while_new_tokens_are_being_kept_use_them(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.fake.clock.move(hours=26)
    account.lan.interacted_at = account.fake.clock.now
    being_kept, may_be_kept = asyncio.Event(), asyncio.Event()
    keep_secrets = Reception.keep_secrets

    async def slowly(self: Reception, *given: Any) -> None:
        being_kept.set()
        await may_be_kept.wait()
        await keep_secrets(self, *given)

    monkeypatch.setattr(Reception, "keep_secrets", slowly)
    first = asyncio.create_task(account.sends(text("một")))
    await being_kept.wait()
    others = [asyncio.create_task(account.sends(text(str(n)))) for n in range(3)]
    await asyncio.sleep(0.05)
    may_be_kept.set()
    await asyncio.gather(first, *others)
    assert len(account.lan.heard) == 4
    assert len(account.calls("access_token")) == 1


async def test_of_two_processes_one_renews_and_both_go_on(
    account: Account, clock: VirtualClock
) -> None:
    clock.move(hours=26)
    account.lan.interacted_at = clock.now
    used = account.tokens()
    other = Reception(
        account.reception.settings, account.reception.house, account.store, clock, lambda: None
    )
    wire = Wire(zalo_settings(account.fake))
    async with wire.opened():
        theirs = Access(wire, other, OA)
        ours = Access(wire, account.reception, OA)
        found = await asyncio.gather(
            ours.renewed(used), theirs.renewed(used), return_exceptions=True
        )
        fresh = account.tokens()
        assert len(account.calls("access_token")) == 1
        assert [one for one in found if one == fresh]
        lost = [one for one in found if one != fresh]
        assert all(isinstance(one, TryLater) and one.after == timedelta(seconds=1) for one in lost)
        assert await theirs.tokens() == await ours.tokens() == fresh
    assert account.trouble() is None


async def test_a_renewal_that_is_claimed_by_another_is_waited_for(account: Account) -> None:
    clock = account.fake.clock
    clock.move(hours=26)
    job = f"zalo refresh {OA}"
    account.store.run_here(jobs.claim, job, "another", clock.now, timedelta(seconds=30))
    with pytest.raises(TryLater) as caught:
        await account.sends(text("một"))
    assert caught.value.after == timedelta(seconds=1)
    clock.move(seconds=31)
    account.lan.interacted_at = clock.now
    await account.sends(text("một"))
    assert len(account.lan.heard) == 1


async def test_a_renewal_that_is_not_granted_calls_for_consent(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.fake._refresh.clear()
    account.fake.clock.move(hours=26)
    with pytest.raises(TryLater) as caught:
        await account.sends(text("một"))
    assert (caught.value.after, caught.value.all_people) == (timedelta(minutes=10), True)
    assert account.trouble() == CONSENT_ENDED
    assert [r for r in caplog.records if r.levelno == logging.ERROR]
    await connect(account.reception, account.fake)
    account.lan.interacted_at = account.fake.clock.now
    await account.sends(text("một"))
    assert account.trouble() is None


async def test_a_token_that_still_lives_is_used_when_its_renewal_fails(account: Account) -> None:
    account.fake._refresh.clear()
    account.fake.clock.move(hours=21)
    await account.sends(text("một"))
    await account.sends(text("hai"))
    assert len(account.lan.heard) == 2
    assert len(account.calls("access_token")) == 1
    assert account.trouble() == CONSENT_ENDED


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        ({"body": {"error": -32, "error_name": "limit"}}, None),
        ({"body": {"error": -14020, "error_name": "?"}}, CONSENT_ENDED),
        ({"body": {"odd": 1}}, CONSENT_ENDED),
        ({"status": 500}, None),
        ({"body": b"<html></html>"}, None),
        ({"drop": True}, None),
    ],
)
async def test_what_a_failed_renewal_means(
    account: Account, fault: dict[str, Any], trouble: str | None
) -> None:
    account.fake.clock.move(hours=26)
    account.fake.fault("POST /v4/oa/access_token", **fault)
    with pytest.raises(TryLater) as caught:
        await account.sends(text("một"))
    assert caught.value.all_people
    assert account.trouble() == trouble
    account.lan.interacted_at = account.fake.clock.now
    await account.sends(text("một"))
    assert (len(account.lan.heard), account.trouble()) == (1, None)


async def test_a_lost_answer_to_a_renewal_ends_in_consent_not_in_a_crash(account: Account) -> None:
    account.fake.clock.move(hours=26)
    account.fake.fault("POST /v4/oa/access_token", lost=True)
    for trouble in (None, CONSENT_ENDED):
        with pytest.raises(TryLater):
            await account.sends(text("một"))
        assert account.trouble() == trouble


async def test_a_new_pair_that_could_not_be_kept_is_kept_before_anything_else(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.fake.clock.move(hours=26)
    account.lan.interacted_at = account.fake.clock.now
    before = account.tokens()
    with monkeypatch.context() as broken:

        async def locked(*_: Any) -> None:
            raise StoreUnavailable("OperationalError")

        broken.setattr(Reception, "keep_secrets", locked)
        with pytest.raises(TryLater):
            await account.sends(text("một"))
    assert account.tokens() == before
    assert account.calls("/message/cs") == []
    await account.sends(text("một"))
    assert account.tokens() != before
    assert len(account.calls("access_token")) == 1


async def test_a_renewal_outlives_the_message_that_asked_for_it(account: Account) -> None:
    account.fake.clock.move(hours=26)
    account.fake.fault("POST /v4/oa/access_token", delay=0.2)
    before = account.tokens()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await account.sends(text("một"))
    await account.zalo._access.settled()
    assert account.tokens() != before


async def test_an_account_that_was_never_connected_says_so(account: Account) -> None:
    def forget(session: Session) -> None:
        session.get_one(AccountRow, ("zalo", OA)).secrets = None

    account.store.run_here(forget)
    with pytest.raises(TryLater) as caught:
        await account.sends(text("một"))
    assert caught.value.all_people
    assert account.trouble() == NOT_CONNECTED


@pytest.mark.parametrize(
    ("expires_in", "hours"),
    [("90000", 25), (90000, 25), (3600.0, 1), ("", 25), (None, 25), ("nan", 25), (-1, 25)],
)
def test_the_life_of_a_token_is_read_from_text_or_number(expires_in: Any, hours: int) -> None:
    answer = {"access_token": "at", "refresh_token": "rt", "expires_in": expires_in}
    tokens = Tokens.given(answer, START)
    assert tokens is not None
    assert tokens.ends_at == START + timedelta(hours=hours)
    assert Tokens.kept(tokens.to_keep()) == tokens
    assert "rt" not in repr(tokens)


# Files of citizens.


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x.jpg",
        "https://zdn.vn.evil.example/x",
        "https://evilzdn.vn/x",
        "http://f.zdn.vn/x",
        "https://f.zdn.vn:8443/x",
        "https://f.zdn.vn@evil.example/x",
        "https://me:pw@f.zdn.vn/x",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/x",
        "https://[::1]/x",
        "https://localhost/x",
        "ftp://f.zdn.vn/x",
        "file:///etc/passwd",
        "https://f.zdn.vn:99999/x",
        "https://[oops/x",
        "",
    ],
)
async def test_nothing_is_fetched_from_elsewhere(account: Account, url: str) -> None:
    with pytest.raises(FileGone):
        await account.zalo.fetch(url)


def test_the_file_hosts_of_zalo_are_reached_by_https() -> None:
    assert may_be_fetched("https://f21-zpc.zdn.vn/jpg/1.jpg", ["zdn.vn"])
    assert may_be_fetched("https://ZDN.vn./1.jpg", ["zdn.vn"])
    assert may_be_fetched("http://127.0.0.1:8080/1.jpg", ["zdn.vn", "127.0.0.1"])
    assert not may_be_fetched("http://127.0.0.1:8080/1.jpg", ["zdn.vn"])


async def test_a_name_that_leads_into_our_own_network_is_not_followed(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def private(*_: Any, **__: Any) -> list[dict[str, Any]]:
        return [{"hostname": "f.zdn.vn", "host": "10.0.0.5", "port": 443, "family": 2}]

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", private)
    with pytest.raises(FileGone):
        await account.zalo.fetch("https://f.zdn.vn/x.jpg")


async def test_a_redirect_a_dead_link_and_a_flood_are_not_fetched(account: Account) -> None:
    url = account.fake.keep_file("x.jpg", b"x" * 101)
    small = account.another(fetch_bytes=100)
    with pytest.raises(FileGone):
        await small.fetch(url)
    account.fake.files_redirect_to = f"{account.fake.url}/_ctl/outbox"
    with pytest.raises(FileGone):
        await account.zalo.fetch(url)
    account.fake.files_redirect_to = ""
    account.fake.forget_files()
    with pytest.raises(FileGone):
        await account.zalo.fetch(url)
    with pytest.raises(TryLater):
        await account.zalo.fetch("http://127.0.0.1:1/x.jpg")


# Settings.


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """An environment without Zalo; called with names it sets them."""
    import os

    for name in [name for name in os.environ if name.startswith("MOTCUA_ZALO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setitem(ZaloSettings.model_config, "env_file", None)

    def set_(**given: str) -> None:
        for name, value in given.items():
            monkeypatch.setenv(f"MOTCUA_ZALO_{name}", value)

    return set_


def test_without_an_app_the_channel_is_off(
    nothing_set: Callable[..., None], account: Account
) -> None:
    assert open_channel(account.reception) is None


def test_a_whole_set_opens_the_channel(nothing_set: Callable[..., None], account: Account) -> None:
    nothing_set(APP_ID="1", APP_SECRET="a", OA_SECRET="b", OA_ID=OA)
    channel = open_channel(account.reception)
    assert isinstance(channel, Messenger)
    assert (channel.name, channel.account) == ("zalo", OA)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "MOTCUA_ZALO_APP_SECRET, MOTCUA_ZALO_OA_SECRET, MOTCUA_ZALO_OA_ID"),
        ({"APP_SECRET": "a", "OA_ID": OA}, "MOTCUA_ZALO_OA_SECRET"),
        ({"API": "http://openapi.zalo.me"}, "MOTCUA_ZALO_API"),
        ({"BUTTONS": "perhaps"}, "MOTCUA_ZALO_BUTTONS"),
    ],
)
def test_half_a_set_is_told(
    nothing_set: Callable[..., None], account: Account, given: dict[str, str], told: str
) -> None:
    nothing_set(APP_ID="1", **given)
    with pytest.raises(BadSettings, match=told):
        open_channel(account.reception)


def test_secrets_do_not_show_in_settings(fake: FakeZalo) -> None:
    settings = zalo_settings(fake)
    assert checked(settings) is settings
    assert APP_SECRET not in repr(settings)
    assert OA_SECRET not in str(settings)


# A conversation from end to end, and what it leaves behind.


def database_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("motcua.db*"))


@dataclass
class Chat:
    """Takes turns and carries letters until nothing is left to do."""

    account: Account
    worker: Worker
    courier: Courier

    async def answer_to(self, person: Person, words: str = "", *, press: str = "") -> str:
        """What a person gets for what they write or press."""
        await (person.presses(press) if press else person.says(words))
        return await self.answer(person)

    async def answer(self, person: Person) -> str:
        while await self.worker.run_once():
            pass
        while await self.courier.run_once():
            self.account.fake.clock.move(seconds=1)
        return person.heard[-1].text


@pytest.fixture
def chat(account: Account, worker: Worker, fake_nlu: FakeNlu) -> Chat:
    fake_nlu.knows("xin chào", "greet")
    return Chat(account, worker, Courier(account.store, account.zalo, account.fake.clock))


async def test_who_writes_without_an_account_is_answered_in_words(chat: Chat) -> None:
    stranger = chat.account.fake.anonymous("7000000000000000007", "c1")
    assert "1. " in await chat.answer_to(stranger, "xin chào")
    assert [(heard.kind, heard.buttons) for heard in stranger.heard] == [("text", [])]
    await chat.answer_to(stranger, "5")
    assert len(stranger.heard) == 2
    assert chat.account.fake.mistakes == []


async def test_a_press_and_a_number_reach_the_same_answer(chat: Chat) -> None:
    lan = chat.account.lan
    await lan.follows()
    assert await chat.answer(lan)
    greeting = await chat.answer_to(lan, "xin chào")
    [label, *_] = lan.heard[-1].buttons
    assert f"1. {label}" in greeting
    by_number = await chat.answer_to(lan, "1")
    await chat.answer_to(lan, "xin chào")
    assert await chat.answer_to(lan, press=label) == by_number
    assert chat.account.trouble() is None


async def test_a_payload_does_nothing_in_another_persons_hand(chat: Chat) -> None:
    lan, minh = chat.account.lan, chat.account.fake.person("2000000000000000009", "Minh")
    await chat.answer_to(lan, "xin chào")
    [button, *_] = lan.heard[-1].actions
    by_lan = await chat.answer_to(lan, button["payload"])
    by_minh = await chat.answer_to(minh, button["payload"])
    assert by_minh != by_lan


async def test_secrets_and_tokens_are_neither_logged_nor_kept_in_the_clear(
    account: Account, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    first = account.tokens()
    await account.lan.says("điều riêng của tôi")
    await account.lan.says("giả", sign="bad")
    await account.fake.event("unheard_of")
    account.fake.clock.move(hours=26)
    account.lan.interacted_at = account.fake.clock.now
    account.fake.fault("POST /v3.0/oa/message/cs", body={"error": -216, "message": "invalid"})
    await account.sends(text("câu trả lời"), choices("Có"))
    account.fake._refresh.clear()
    account.fake.clock.move(hours=26)
    with pytest.raises(TryLater):
        await account.sends(text("câu trả lời"))
    second = account.tokens()
    written = "\n".join(f"{r.getMessage()} {r.exc_text} {r.args}" for r in caplog.records)
    database = database_in(tmp_path)
    tokens = [first.access, first.refresh, second.access, second.refresh]
    for secret in (*tokens, APP_SECRET, OA_SECRET, "điều riêng", "câu trả lời"):
        assert secret not in written
        assert secret.encode() not in database


# The command.


@dataclass
class Typed:
    """Standard input that answers once the link was printed."""

    readline: Callable[[], str]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An installation of its own with an app of Zalo."""
    var = tmp_path / "var"
    monkeypatch.setenv("MOTCUA_VAR", str(var))
    monkeypatch.setenv("MOTCUA_PUBLIC_URL", "https://chat.example.org")
    for name, value in {
        "APP_ID": "1000000000000000001",
        "APP_SECRET": APP_SECRET,
        "OA_SECRET": OA_SECRET,
        "OA_ID": OA,
    }.items():
        monkeypatch.setenv(f"MOTCUA_ZALO_{name}", value)
    keys, _ = KeyRing.load_or_make(var / "keys.json")
    store = Store(f"sqlite:///{var / 'motcua.db'}", keys, durable=False)
    store.migrate()
    yield store
    store.close()


async def run(*argv: str) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return await asyncio.to_thread(command.main, parser.parse_args(argv))


def asked_in(printed: str) -> dict[str, str]:
    link = re.search(r"https?://\S+/v4/oa/permission\?\S+", printed)
    assert link
    return {name: values[0] for name, values in parse_qs(urlsplit(link[0]).query).items()}


@pytest.mark.parametrize("whole_address", [True, False])
async def test_connect_keeps_tokens_and_status_shows_them(
    installed: Store,
    fake: FakeZalo,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    whole_address: bool,
) -> None:
    monkeypatch.setenv("MOTCUA_ZALO_API", fake.api)
    monkeypatch.setenv("MOTCUA_ZALO_OAUTH", fake.oauth)
    installed.run_here(accounts.trouble, "zalo", OA, CONSENT_ENDED)
    printed = ""

    def agree() -> str:
        nonlocal printed
        printed += capsys.readouterr().out
        asked = asked_in(printed)
        assert asked["redirect_uri"] == "https://chat.example.org/zalo"
        code = fake.consents(asked["code_challenge"], asked["state"], asked["redirect_uri"])
        return f"{fake.callback}\n" if whole_address else f"{code}\n"

    monkeypatch.setattr(sys, "stdin", Typed(agree))
    assert await run("connect") == 0
    assert "https://chat.example.org/zalo" in capsys.readouterr().out
    tokens = Tokens.kept(installed.run_here(accounts.secrets, "zalo", OA))
    assert tokens is not None
    now = datetime.now(UTC)
    installed.run_here(strays.keep, "zalo", OA, "hologram", b"{}", now, now)
    assert await run("status") == 0
    shown = capsys.readouterr().out
    assert f"account: {OA}" in shown
    assert "token until" in shown
    assert "trouble: none" in shown
    assert "hologram: 1" in shown
    for secret in (tokens.access, tokens.refresh, APP_SECRET, OA_SECRET):
        assert secret not in shown


@pytest.mark.parametrize(
    ("pasted", "told"),
    [
        ("", "nothing was pasted"),
        ("https://x/?code=c&oa_id=3000000000000000003&state=other", "state differs"),
        ("https://x/?code=c&oa_id=9&state={state}", "another account"),
        ("https://x/?oa_id=3000000000000000003&state={state}", "no code"),
        ("https://[x/?code=c", "no address"),
        ("wrong-code", "refused the code"),
    ],
)
async def test_connect_refuses_what_is_not_the_answer_to_its_link(
    installed: Store,
    fake: FakeZalo,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pasted: str,
    told: str,
) -> None:
    monkeypatch.setenv("MOTCUA_ZALO_OAUTH", fake.oauth)

    def paste() -> str:
        return pasted.replace("{state}", asked_in(capsys.readouterr().out)["state"]) + "\n"

    monkeypatch.setattr(sys, "stdin", Typed(paste))
    assert await run("connect") == 1
    assert told in capsys.readouterr().err
    assert installed.run_here(accounts.secrets, "zalo", OA) == {}


async def test_status_before_consent_says_what_to_do(
    installed: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("status") == 0
    assert NOT_CONNECTED in capsys.readouterr().out


def test_the_verifier_is_43_letters_and_digits() -> None:
    drawn = {draw_verifier() for _ in range(50)}
    assert len(drawn) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9]{43}", one) for one in drawn)
    assert all(any(kind(c) for c in one) for one in drawn for kind in (str.islower, str.isupper))


def test_the_command_is_registered() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("motcua")), "zalo", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "connect" in done.stdout
