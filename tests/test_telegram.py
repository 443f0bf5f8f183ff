"""Telegram: what it lets in, what it keeps, how replies leave, and what becomes of every fault."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from sqlalchemy import select

from actions.action import Attachment, AttachmentKind
from bot import store as bot_store
from bot.__main__ import main
from bot.channel import (
    FileGone,
    Messenger,
    OutcomeUnknown,
    OutOfReach,
    Recipient,
    Refused,
    TryLater,
    channel_modules,
)
from bot.channels.telegram import Telegram, TelegramSettings, open_channel
from bot.channels.telegram.settings import checked
from bot.channels.telegram.setup import CannotConnect, connect, disconnect
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
from bot.plain import utf16_length
from bot.reception import Reception
from bot.settings import BadSettings, Settings
from bot.store import Session, Store, conversations, files, inbox, outbox, strays
from bot.store.files import StoredFile
from bot.store.tables import AccountRow, CaseRow, InboxRow
from bot.turn import House
from bot.worker import Worker
from tests.conftest import Clock
from tests.fakes.nlu import FakeNlu
from tests.fakes.telegram import JPEG, FakeTelegram, Key, Person
from tests.fakes.visitor import running, until

SECRET = "demo-secret"
BOT = "123456"
PUBLIC = "https://hoi.example.vn"
LAN = Sender("telegram", BOT, "55")
TO_LAN = Recipient("55", None)
HEADER = "X-Telegram-Bot-Api-Secret-Token"


@pytest.fixture
async def fake() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram().listening() as platform:
        yield platform
        assert platform.mistakes == []


@pytest.fixture
def lan(fake: FakeTelegram) -> Person:
    return fake.person(55, "Lan")


@pytest.fixture
def reception(tmp_path: Path, house: House, store: Store, clock: Clock) -> Reception:
    settings = Settings(_env_file=None, var=tmp_path, public_url=PUBLIC)
    return Reception(settings, house, store, clock, lambda: None)


def settings_for(fake: FakeTelegram, **more: Any) -> TelegramSettings:
    return TelegramSettings(
        _env_file=None,
        **{
            "token": fake.token,
            "secret": SECRET,
            "api_url": fake.base_url,
            "file_url": fake.base_file_url,
            "timeout": 5.0,
            "poll_seconds": 1,
            **more,
        },
    )


@pytest.fixture
async def channel(fake: FakeTelegram, reception: Reception) -> AsyncIterator[Telegram]:
    """The channel alone, closed in the end as the gateway closes it."""
    channel = Telegram(settings_for(fake), reception)
    async with open_in(web.Application(), channel):
        yield channel


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """The database as it is while another process writes to it for very long."""
    other = sqlite3.connect(store.engine.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not wait long for a lock; ask for it before `store`."""
    monkeypatch.setattr(bot_store, "_LOCK_SECONDS", 0.05)


class open_in:  # noqa: N801 - reads like a function
    """Runs a channel inside an application, on loopback."""

    def __init__(self, app: web.Application, channel: Telegram) -> None:
        channel.add_to(app)
        self._running = running(app)

    async def __aenter__(self) -> str:
        return await self._running.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        await self._running.__aexit__(*error)


@pytest.fixture
async def hook(fake: FakeTelegram, reception: Reception) -> AsyncIterator[str]:
    """The webhook, served and set at Telegram."""
    channel = Telegram(settings_for(fake), reception)
    async with open_in(web.Application(), channel) as url:
        await call(fake, "setWebhook", url=f"{url}/telegram/{BOT}", secret_token=SECRET)
        yield f"{url}/telegram/{BOT}"


async def call(fake: FakeTelegram, method: str, **fields: Any) -> None:
    """Calls the Bot API by hand."""
    answer = await fake.http.post(f"{fake.base_url}{fake.token}/{method}", json=fields)
    assert answer.status == 200
    fake.calls.clear()


async def post(url: str, body: bytes, secret: str | None = SECRET) -> int:
    headers = {} if secret is None else {HEADER: secret}
    async with ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def kept(store: Store, sender: Sender = LAN) -> list[Message]:
    """The messages that wait for their turn, in order."""

    def read(session: Session) -> list[Message]:
        row = conversations.find(session, sender)
        return [w.message for _, w in inbox.unanswered(session, row.id)] if row else []

    return await store.run(read)


async def strayed(store: Store) -> dict[str, int]:
    return await store.run(strays.counts, "telegram")


async def nothing_at_all(store: Store) -> bool:
    def read(session: Session) -> bool:
        return session.scalar(select(InboxRow.id).limit(1)) is None

    return await store.run(read)


def update(update_id: int = 1, /, **content: Any) -> bytes:
    """An update with a message of Lan's."""
    head = {"message_id": 11, "date": 1795316700, "chat": {"id": 55, "type": "private"}}
    author = {"id": 55, "is_bot": False, "first_name": "Lan"}
    message = {**head, "from": author, **content}
    return json.dumps({"update_id": update_id, "message": message}).encode()


# in: who is let in


@pytest.mark.parametrize("secret", [None, "", "demo-secreT", "bí mật", SECRET * 9])
async def test_without_the_secret_nothing_is_read_or_kept(
    hook: str, store: Store, secret: str | None
) -> None:
    assert await post(hook, update(text="chào"), secret) == 403
    assert await nothing_at_all(store)


async def test_the_route_holds_nothing_secret(hook: str) -> None:
    assert hook.endswith("/telegram/123456")
    assert SECRET not in hook


async def test_a_message_is_kept_before_telegram_is_told(
    hook: str, fake: FakeTelegram, lan: Person, store: Store
) -> None:
    update_id = await lan.says("khai sinh cần giấy gì")
    [message] = await kept(store)
    assert fake.deliveries == [(update_id, 200)]
    assert (message.sender, message.external_id) == (LAN, str(update_id))
    assert (message.text, message.sent_at) == ("khai sinh cần giấy gì", fake.clock.now)
    assert (message.attachments, message.pressed, message.opened) == ((), None, False)


async def test_an_update_that_comes_ten_times_is_kept_once(
    hook: str, fake: FakeTelegram, lan: Person, store: Store
) -> None:
    update_id = await lan.says("chào")
    for _ in range(10):
        await fake.repeat(update_id)
    assert fake.deliveries == [(update_id, 200)] * 11
    assert len(await kept(store)) == 1


async def test_updates_out_of_order_are_all_kept_once(
    hook: str, fake: FakeTelegram, lan: Person, store: Store
) -> None:
    fake.hold = True
    first, second, third = [await lan.says(text) for text in ("một", "hai", "ba")]
    await fake.deliver_in([third, first, second])
    await fake.repeat(first)
    assert {m.external_id for m in await kept(store)} == {str(n) for n in (first, second, third)}


async def test_while_nothing_can_be_kept_telegram_is_told_to_come_again(
    impatient: None, hook: str, fake: FakeTelegram, lan: Person, store: Store
) -> None:
    with locked(store):
        update_id = await lan.says("chào")
    assert fake.deliveries == [(update_id, 503)]
    assert await nothing_at_all(store)
    fake.clock.move(minutes=1)
    await fake.pump()
    assert fake.deliveries[1:] == [(update_id, 200)]
    assert len(await kept(store)) == 1


async def test_a_body_over_the_limit_is_not_read(hook: str, store: Store) -> None:
    assert await post(hook, update(text="a" * 2**20)) == 413
    assert await nothing_at_all(store)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff\xfe", b"[]", b'"chao"', b"7", b"null", b"[" * 200_000, b'{"update_id"'],
    ids=["nothing", "html", "bytes", "list", "text", "number", "null", "deep", "half"],
)
async def test_what_is_no_update_is_refused(hook: str, store: Store, body: bytes) -> None:
    assert await post(hook, body) == 400
    assert await nothing_at_all(store)


CHAT = {"id": 55, "type": "private"}
FROM = {"id": 55, "is_bot": False, "first_name": "Lan"}
WRONG: dict[str, dict[str, Any]] = {
    "text a number": {"text": 5},
    "text a list": {"text": ["a"]},
    "half a letter": {"text": "\ud83d"},
    "date a word": {"text": "a", "date": "today"},
    "date beyond time": {"text": "a", "date": 10**20},
    "chat a word": {"text": "a", "chat": "55"},
    "chat id a word": {"text": "a", "chat": {"id": "55", "type": "private"}},
    "chat id a fraction": {"text": "a", "chat": {"id": 5.5, "type": "private"}},
    "chat id beyond all": {"text": "a", "chat": {"id": 2**70, "type": "private"}},
    "photo a word": {"photo": "x"},
    "photo of words": {"photo": [{"file_id": "A", "width": "wide", "height": None}]},
    "file name a number": {"document": {"file_id": "A", "file_unique_id": "u", "file_name": 7}},
    "file size a word": {"document": {"file_id": "A", "file_unique_id": "u", "file_size": "big"}},
    "place of words": {"location": {"latitude": "north", "longitude": "east"}},
    "place beyond Earth": {"location": {"latitude": 500.0, "longitude": 0.0}},
    "place of nothing": {"location": {"latitude": float("nan"), "longitude": 0.0}},
    "album a list": {"text": "a", "media_group_id": ["x"]},
    "from a word": {"text": "a", "from": "Lan"},
}


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG.keys())
async def test_fields_of_wrong_types_are_set_aside_and_never_asked_for_again(
    hook: str, store: Store, content: dict[str, Any]
) -> None:
    assert await post(hook, update(**content)) == 200
    assert await nothing_at_all(store)
    assert await strayed(store) == {"message": 1}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"update_id": 1},
        {"update_id": 1, "message": None},
        {"update_id": 1, "message": "chào"},
        {"update_id": 1, "message": []},
        {"update_id": "1", "message": {"message_id": 1, "date": 1, "chat": CHAT, "text": "a"}},
        {"message": {"message_id": 1, "date": 1, "chat": CHAT, "from": FROM, "text": "a"}},
        {"update_id": 1, "callback_query": {"id": "9", "from": FROM, "chat_instance": "-1"}},
        {"update_id": 1, "callback_query": {"id": "9", "from": 3, "chat_instance": "-1"}},
        {"update_id": 1, "my_chat_member": {"chat": CHAT, "from": FROM}},
        {"update_id": 1, "poll_answer": {"poll_id": "1"}},
        {"update_id": 1, "a_kind_of_tomorrow": {"x": 1}},
    ],
    ids=str,
)
async def test_an_update_that_we_do_not_know_is_counted_and_taken(
    hook: str, store: Store, body: dict[str, Any]
) -> None:
    assert await post(hook, json.dumps(body).encode()) == 200
    assert await nothing_at_all(store)
    assert sum((await strayed(store)).values()) == 1


# in: what it means


async def test_start_opens_the_conversation_without_words(
    hook: str, lan: Person, store: Store
) -> None:
    await lan.starts("phuong_12")
    await lan.starts()
    assert [(m.opened, m.text) for m in await kept(store)] == [(True, "")] * 2


async def test_other_commands_are_typed_words(hook: str, lan: Person, store: Store) -> None:
    for text in ("/phananh", "/starter", "1"):
        await lan.says(text)
    typed = [(m.opened, m.text) for m in await kept(store)]
    assert typed == [(False, "/phananh"), (False, "/starter"), (False, "1")]


async def test_an_edited_message_is_no_second_message(
    hook: str, fake: FakeTelegram, lan: Person, store: Store
) -> None:
    await lan.says("ổ gà")
    await lan.edits("ổ gà ở chợ")
    assert [m.text for m in await kept(store)] == ["ổ gà"]
    assert [status for _, status in fake.deliveries] == [200, 200]
    assert await strayed(store) == {}


async def test_a_photo_is_kept_by_its_largest_size_with_its_words(
    hook: str, fake: FakeTelegram, lan: Person, store: Store
) -> None:
    await lan.sends_photo("ổ gà", JPEG)
    [message] = await kept(store)
    [photo] = message.attachments
    assert (message.text, photo.kind, photo.size) == ("ổ gà", AttachmentKind.IMAGE, len(JPEG))
    assert fake.files[photo.reference][1] == JPEG


async def test_an_album_is_marked_as_one(hook: str, lan: Person, store: Store) -> None:
    await lan.sends_album([JPEG, JPEG + b"2", JPEG + b"3"], "ba ảnh")
    messages = await kept(store)
    assert len(messages) == 3
    assert len({m.album for m in messages}) == 1
    assert sorted(m.text for m in messages) == ["", "", "ba ảnh"]


async def test_a_document_keeps_its_name(hook: str, lan: Person, store: Store) -> None:
    await lan.sends_file("don.pdf", b"%PDF", "application/pdf")
    [message] = await kept(store)
    [file] = message.attachments
    assert (file.kind, file.name, file.size) == (AttachmentKind.FILE, "don.pdf", 4)


async def test_a_video_is_kept_by_its_reference(hook: str, store: Store) -> None:
    video = {"file_id": "V", "file_unique_id": "u", "width": 1, "height": 1, "duration": 2}
    assert await post(hook, update(video=video, caption="rác")) == 200
    [message] = await kept(store)
    assert message.attachments == (Attachment(AttachmentKind.VIDEO, "V"),)
    assert message.text == "rác"


async def test_a_place_is_kept_with_its_degrees(hook: str, lan: Person, store: Store) -> None:
    await lan.shares_location(21.02, 105.85)
    place = {"latitude": 10.5, "longitude": 106.5}
    venue = {"location": place, "title": "Chợ Ví Dụ", "address": "1 phố Ví Dụ"}
    await post(hook, update(location=place, venue=venue))
    first, second = [m.attachments[0] for m in await kept(store)]
    assert (first.latitude, first.longitude, first.name) == (21.02, 105.85, "")
    assert (second.latitude, second.longitude, second.name) == (10.5, 106.5, "Chợ Ví Dụ")


@pytest.mark.parametrize("own", [True, False])
async def test_a_phone_number_is_own_only_if_telegram_says_so(
    hook: str, lan: Person, store: Store, own: bool
) -> None:
    await lan.shares_contact("+84900000000", own=own)
    [message] = await kept(store)
    assert message.attachments == (
        Attachment(AttachmentKind.CONTACT, phone="+84900000000", own=own),
    )


@pytest.mark.parametrize(
    "content",
    [
        {"voice": {"file_id": "V", "file_unique_id": "u", "duration": 1}},
        {"audio": {"file_id": "V", "file_unique_id": "u", "duration": 1}},
        {"video_note": {"file_id": "V", "file_unique_id": "u", "duration": 1, "length": 1}},
        {"dice": {"emoji": "🎲", "value": 3}},
        {"something_of_tomorrow": {"x": 1}},
    ],
    ids=lambda content: next(iter(content)),
)
async def test_what_nobody_can_read_is_kept_as_such(
    hook: str, store: Store, content: dict[str, Any]
) -> None:
    assert await post(hook, update(**content)) == 200
    [message] = await kept(store)
    assert message.attachments == (Attachment(AttachmentKind.UNREADABLE),)


async def test_voice_and_stickers_of_the_app_are_kept_as_unreadable(
    hook: str, lan: Person, store: Store
) -> None:
    await lan.sends_voice()
    await lan.sends_sticker()
    assert [m.attachments[0].kind for m in await kept(store)] == [AttachmentKind.UNREADABLE] * 2


async def test_what_the_app_itself_writes_is_nobodys_message(hook: str, store: Store) -> None:
    assert await post(
        hook, update(message_auto_delete_timer_changed={"message_auto_delete_time": 9})
    )
    assert await nothing_at_all(store)


async def test_a_bot_is_not_answered(hook: str, store: Store) -> None:
    bot = {"id": 55, "is_bot": True, "first_name": "Bot"}
    assert await post(hook, update(text="chào", **{"from": bot})) == 200
    assert await nothing_at_all(store)


# in: presses


CHOICES = ChoicesBlock(
    choices=(
        OfferedChoice(number=1, label="Lệ phí", token="t-fee"),
        OfferedChoice(number=2, label="Giấy tờ", token="t-documents"),
    )
)


async def offered(hook_channel: Telegram, lan: Person) -> None:
    """Lan has a message with two buttons."""
    await lan.says("khai sinh")
    await sent(hook_channel, TextBlock(text="Anh/Chị hỏi gì ạ?"), CHOICES)


async def sent(channel: Telegram, *blocks: Block, to: Recipient = TO_LAN) -> None:
    for part in channel.parts(blocks):
        await channel.deliver(to, part)


async def test_a_press_brings_its_token_and_ends_its_waiting_sign(
    hook: str, channel: Telegram, lan: Person, store: Store
) -> None:
    await offered(channel, lan)
    await lan.presses("Giấy tờ")
    *_, message = await kept(store)
    assert (message.pressed, message.label, message.text) == ("t-documents", "Giấy tờ", "")
    assert message.sender == LAN

    async def answered() -> bool:
        return lan.callback_answers == [""]

    await until(answered)


async def test_a_press_that_comes_again_is_kept_and_answered_once(
    hook: str, channel: Telegram, fake: FakeTelegram, lan: Person, store: Store
) -> None:
    await offered(channel, lan)
    update_id = await lan.presses("Lệ phí")
    for _ in range(10):
        await fake.repeat(update_id)
    assert [m.pressed for m in await kept(store) if m.pressed] == ["t-fee"]

    async def answered() -> bool:
        return lan.callback_answers == [""]

    await until(answered)
    assert [c.method for c in fake.calls].count("answerCallbackQuery") == 1


async def test_a_press_of_somebody_else_is_theirs(
    hook: str, channel: Telegram, fake: FakeTelegram, lan: Person, store: Store
) -> None:
    await offered(channel, lan)
    minh = fake.person(66, "Minh")
    minh.heard = lan.heard
    await minh.presses_data("t-fee")
    [message] = await kept(store, Sender("telegram", BOT, "66"))
    assert message.pressed == "t-fee"
    assert [m.pressed for m in await kept(store)] == [None]


async def test_a_button_whose_message_tells_nothing_more_is_passed_on(
    hook: str, store: Store
) -> None:
    gone = {"message_id": 3, "date": 0, "chat": CHAT}
    query = {"id": "9", "from": FROM, "chat_instance": "-1", "data": "t-old", "message": gone}
    body = {"update_id": 1, "callback_query": query}
    assert await post(hook, json.dumps(body).encode()) == 200
    [message] = await kept(store)
    assert (message.pressed, message.label) == ("t-old", "")


async def test_a_press_that_cannot_be_kept_says_so_and_comes_again(
    impatient: None, hook: str, channel: Telegram, fake: FakeTelegram, lan: Person, store: Store
) -> None:
    await offered(channel, lan)
    with locked(store):
        await lan.presses("Lệ phí")
    assert fake.deliveries[-1][1] == 503

    async def told() -> bool:
        return len(lan.callback_answers) == 1

    await until(told)
    assert "bận" in lan.callback_answers[0]
    fake.clock.move(minutes=1)
    await fake.pump()
    assert [m.pressed for m in await kept(store) if m.pressed] == ["t-fee"]


async def test_a_refused_answer_to_a_press_does_not_fail_the_webhook(
    hook: str, channel: Telegram, fake: FakeTelegram, lan: Person
) -> None:
    await offered(channel, lan)
    fake.fault("answerCallbackQuery", status=500)
    await lan.presses("Lệ phí")
    assert fake.deliveries[-1][1] == 200


# in: who can be reached, and groups


async def out_of_reach(store: Store, sender: Sender = LAN) -> bool:
    def read(session: Session) -> bool:
        row = conversations.find(session, sender)
        return row is not None and row.out_of_reach_since is not None

    return await store.run(read)


async def test_who_blocks_us_is_left_alone_until_they_let_us_again(
    hook: str, lan: Person, store: Store
) -> None:
    await lan.says("chào")
    await lan.blocks_bot()
    assert await out_of_reach(store)
    await lan.unblocks_bot()
    assert not await out_of_reach(store)


async def test_a_group_is_declined_once_and_left(
    hook: str,
    channel: Telegram,
    fake: FakeTelegram,
    lan: Person,
    store: Store,
    clock: Clock,
    reception: Reception,
) -> None:
    group = fake.group(-100, "Tổ dân phố")
    added = await group.adds_bot(by=lan)
    await fake.repeat(added)
    await group.says("có ai biết không", by=lan)
    await group.says("/start", by=lan)
    assert await nothing_at_all(store)
    await carried(store, channel, clock)
    assert [heard.text for heard in group.heard] == [reception.words("group_declined")]
    assert "not a member" in group.closed
    assert lan.heard == []


async def test_a_group_that_put_us_out_gets_nothing(
    hook: str, channel: Telegram, fake: FakeTelegram, lan: Person, store: Store, clock: Clock
) -> None:
    group = fake.group(-100, "Tổ dân phố")
    await group.adds_bot(by=lan)
    group.closed = "Forbidden: bot was kicked from the group chat"
    await carried(store, channel, clock)
    assert group.heard == []
    assert await out_of_reach(store, Sender("telegram", BOT, "-100"))


async def test_a_group_that_invites_us_again_is_declined_again(
    hook: str, channel: Telegram, fake: FakeTelegram, lan: Person, store: Store, clock: Clock
) -> None:
    group = fake.group(-100, "Tổ dân phố")
    await group.adds_bot(by=lan)
    await carried(store, channel, clock)
    await group._member(lan, "member", "left")
    await group.adds_bot(by=lan)
    await carried(store, channel, clock)
    assert len(group.heard) == 2


async def carried(store: Store, channel: Telegram, clock: Clock) -> None:
    """Carries everything that can leave now."""
    courier = Courier(store, channel, clock, jitter=lambda: 0.0)
    while await courier.run_once():
        clock.move(seconds=2)


# what goes out: its form


def parts(*blocks: Block, channel: Telegram) -> list[Any]:
    assert channel.parts(blocks) == channel.parts(blocks)
    return channel.parts(blocks)


FILE = FileBlock(file=1, name="mẫu.pdf", media_type="application/pdf")
PLACE = AskLocationBlock(label="Gửi vị trí", words="Anh/Chị gửi vị trí giúp tôi.")
PHONE = AskContactBlock(label="Gửi số điện thoại", words="Anh/Chị gửi số điện thoại giúp tôi.")


async def test_the_channel_is_a_messenger(channel: Telegram) -> None:
    assert isinstance(channel, Messenger)
    assert (channel.name, channel.account) == ("telegram", BOT)


async def test_words_stand_together_and_choices_are_numbered_and_buttons(channel: Telegram) -> None:
    [part] = parts(
        TextBlock(text="## Lệ phí\nKhông thu."),
        DetailsBlock(summary="Căn cứ", text="Điều 1"),
        CHOICES,
        channel=channel,
    )
    assert part.text == "Lệ phí\nKhông thu.\n\nCăn cứ\nĐiều 1\n\n1. Lệ phí\n2. Giấy tờ"
    assert part.buttons == (("Lệ phí", "t-fee"), ("Giấy tờ", "t-documents"))


async def test_long_words_are_cut_between_sentences_and_buttons_hang_on_the_last(
    channel: Telegram,
) -> None:
    sentence = "Anh/Chị nộp hồ sơ tại bộ phận một cửa 🏛 của phường. "
    cut = parts(TextBlock(text=sentence * 200), CHOICES, channel=channel)
    assert len(cut) > 2
    assert all(utf16_length(part.text) <= 4000 for part in cut)
    assert all(part.text.endswith("phường.") for part in cut[:-1])
    assert [bool(part.buttons) for part in cut] == [False] * (len(cut) - 1) + [True]
    assert "".join(part.text for part in cut).count("phường.") == 200


async def test_words_are_composed_and_long_labels_cut(channel: Telegram) -> None:
    label = "Thủ tục " * 12
    choice = OfferedChoice(number=1, label=label, token="t")
    decomposed = TextBlock(text="e\u0302\u0301" * 3000)
    [part] = parts(decomposed, ChoicesBlock(choices=(choice,)), channel=channel)
    assert "\u0302" not in part.text
    [(shown, _)] = part.buttons
    assert len(shown) <= 64
    assert shown.endswith("…")


async def test_what_is_asked_for_is_a_keyboard_on_the_words(channel: Telegram) -> None:
    [part] = parts(TextBlock(text="Ở đâu ạ?"), PLACE, channel=channel)
    assert (part.text, part.asks) == ("Ở đâu ạ?", (PLACE,))
    [alone] = parts(PHONE, channel=channel)
    assert (alone.text, alone.asks) == (PHONE.words, (PHONE,))


async def test_with_choices_what_is_asked_for_has_a_message_of_its_own(channel: Telegram) -> None:
    first, second = parts(TextBlock(text="Ở đâu ạ?"), CHOICES, PLACE, channel=channel)
    assert (bool(first.buttons), first.asks) == (True, ())
    assert (second.text, second.buttons, second.asks) == (PLACE.words, (), (PLACE,))


async def test_a_file_is_a_message_of_its_own_in_its_place(channel: Telegram) -> None:
    one, two, three = parts(
        TextBlock(text="Mẫu đơn:"), FILE, TextBlock(text="Anh/Chị cần gì nữa ạ?"), channel=channel
    )
    assert [one.text, two.file, three.text] == ["Mẫu đơn:", FILE, "Anh/Chị cần gì nữa ạ?"]


async def test_nothing_to_say_is_no_message(channel: Telegram) -> None:
    assert parts(channel=channel) == []


# what goes out: delivery


@pytest.fixture
async def known(fake: FakeTelegram, lan: Person) -> Person:
    """Lan has written to the bot, so that it may write to her."""
    await lan.says("chào")
    return lan


async def test_words_arrive_as_they_are(
    channel: Telegram, fake: FakeTelegram, known: Person
) -> None:
    words = "Điều 5 < 6 & *không* _dấu_ [a](b) <b>đậm</b>"
    await sent(channel, TextBlock(text=words))
    [heard] = known.heard
    assert heard.text == words
    assert "parse_mode" not in fake.calls[-1].fields


async def test_buttons_arrive_one_in_a_row(channel: Telegram, known: Person) -> None:
    await sent(channel, TextBlock(text="Anh/Chị hỏi gì ạ?"), CHOICES)
    assert known.heard[0].buttons == [["Lệ phí"], ["Giấy tờ"]]


async def test_a_keyboard_asks_and_later_words_take_it_away(
    channel: Telegram, known: Person
) -> None:
    await sent(channel, TextBlock(text="Ở đâu ạ?"), PLACE, PHONE)
    await sent(channel, TextBlock(text="Cảm ơn Anh/Chị."))
    asked, thanked = known.heard
    assert asked.keyboard == [
        [Key("Gửi vị trí", request_location=True)],
        [Key("Gửi số điện thoại", request_contact=True)],
    ]
    assert asked.markup["one_time_keyboard"] is True
    assert asked.markup.get("is_persistent", False) is False
    assert thanked.removes_keyboard


def stored(store: Store, name: str, media_type: str, content: bytes) -> FileBlock:
    """A file of ours, kept in the store."""

    def put(session: Session) -> int:
        now = datetime.now(UTC)
        case = CaseRow(**case_fields(session, now))
        session.add(case)
        session.flush()
        file = StoredFile(name, media_type, content)
        return files.put(session, file, None, case.id, now, now + timedelta(days=1))

    return FileBlock(file=store.run_here(put), name=name, media_type=media_type)


def case_fields(session: Session, now: datetime) -> dict[str, Any]:
    conversation = conversations.of(session, LAN, "ubnd_phuong_vi_du", now)
    session.flush()
    return {
        "code": f"MC-{now.timestamp()}",
        "kind": "feedback",
        "state": "received",
        "office": "ubnd_phuong_vi_du",
        "conversation_id": conversation.id,
        "received_at": now,
        "due_on": now.date(),
        "keep_until": now + timedelta(days=1),
    }


async def test_an_image_is_shown_and_another_file_is_given(
    channel: Telegram, store: Store, known: Person
) -> None:
    await sent(channel, stored(store, "sau.jpg", "image/jpeg", JPEG))
    await sent(channel, stored(store, "trả lời.pdf", "application/pdf", b"%PDF"))
    image, document = known.heard
    assert image.photo == JPEG
    assert (document.document, document.file_name) == (b"%PDF", "trả lời.pdf")


async def test_an_image_that_telegram_cannot_show_is_given_as_a_file(
    channel: Telegram, fake: FakeTelegram, store: Store, known: Person
) -> None:
    odd = {"ok": False, "error_code": 400, "description": "Bad Request: PHOTO_INVALID_DIMENSIONS"}
    fake.fault("sendPhoto", status=400, body=odd)
    await sent(channel, stored(store, "dai.png", "image/png", JPEG))
    await sent(channel, stored(store, "to.png", "image/png", b"\x89" * (10 * 2**20 + 1)))
    assert [heard.photo for heard in known.heard] == [None, None]
    assert [len(heard.document or b"") for heard in known.heard] == [len(JPEG), 10 * 2**20 + 1]


async def test_a_file_that_is_gone_or_too_large_is_refused(
    channel: Telegram, store: Store, known: Person
) -> None:
    with pytest.raises(Refused):
        await sent(channel, FileBlock(file=999, name="x", media_type="image/png"))
    large = stored(store, "to.zip", "application/zip", bytes(50 * 2**20 + 1))
    with pytest.raises(Refused):
        await sent(channel, large)
    assert known.heard == []


# what goes out: refusals and faults


def refusal(status: int, description: str, **parameters: Any) -> dict[str, Any]:
    body = {"ok": False, "error_code": status, "description": description}
    return {"status": status, "body": body | ({"parameters": parameters} if parameters else {})}


FAULTS: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "too many": (refusal(429, "Too Many Requests: retry after 7", retry_after=7), TryLater),
    "too many, untold": (refusal(429, "Too Many Requests"), TryLater),
    "their fault": (refusal(500, "Internal Server Error"), TryLater),
    "bad gateway": ({"status": 502, "body": b"<html>502</html>"}, TryLater),
    "a page for a refusal": ({"status": 403, "body": b"<html>proxy</html>"}, TryLater),
    "a page for not found": ({"status": 404, "body": b"<html>proxy</html>"}, TryLater),
    "a page for bad request": ({"status": 400, "body": b"<html>proxy</html>"}, TryLater),
    "a page for success": ({"status": 200, "body": b"<html>log in</html>"}, TryLater),
    "success of another form": ({"status": 200, "body": {"ok": True}}, OutcomeUnknown),
    "success with a number": ({"status": 200, "body": {"ok": True, "result": 5}}, OutcomeUnknown),
    "blocked": (refusal(403, "Forbidden: bot was blocked by the user"), OutOfReach),
    "deactivated": (refusal(403, "Forbidden: user is deactivated"), OutOfReach),
    "no chat": (refusal(400, "Bad Request: chat not found"), OutOfReach),
    "bad words": (refusal(400, "Bad Request: message is too long"), Refused),
    "migrated": (refusal(400, "Bad Request: upgraded", migrate_to_chat_id=-1009), Refused),
    "token": (refusal(401, "Unauthorized"), TryLater),
    "no such bot": (refusal(404, "Not Found"), TryLater),
    "answer lost": ({"lost": True}, OutcomeUnknown),
    "cut off": ({"drop": True}, OutcomeUnknown),
}


@pytest.mark.parametrize(("fault", "fact"), FAULTS.values(), ids=FAULTS.keys())
async def test_every_fault_becomes_the_fact_that_it_is(
    channel: Telegram,
    fake: FakeTelegram,
    known: Person,
    fault: dict[str, Any],
    fact: type[Exception],
) -> None:
    fake.fault("sendMessage", **fault)
    with pytest.raises(fact) as raised:
        await sent(channel, TextBlock(text="chào"))
    assert isinstance(raised.value, fact)
    assert fake.token not in repr(raised.value)
    await sent(channel, TextBlock(text="chào"))


async def test_when_told_to_wait_all_people_wait(
    channel: Telegram, fake: FakeTelegram, known: Person
) -> None:
    fake.fault("sendMessage", **refusal(429, "Too Many Requests", retry_after=7))
    with pytest.raises(TryLater) as raised:
        await sent(channel, TextBlock(text="chào"))
    assert (raised.value.after, raised.value.all_people) == (timedelta(seconds=7), True)


async def test_an_answer_that_does_not_come_in_time_leaves_the_outcome_unknown(
    fake: FakeTelegram, reception: Reception, known: Person
) -> None:
    hasty = Telegram(settings_for(fake, timeout=0.2), reception)
    async with open_in(web.Application(), hasty):
        fake.fault("sendMessage", delay=0.5)
        with pytest.raises(OutcomeUnknown):
            await sent(hasty, TextBlock(text="chào"))


async def test_a_connection_that_cannot_be_opened_is_tried_later_by_all(
    fake: FakeTelegram, reception: Reception, unused_tcp_port: int
) -> None:
    nowhere = f"http://127.0.0.1:{unused_tcp_port}/bot"
    lost = Telegram(settings_for(fake, api_url=nowhere), reception)
    async with open_in(web.Application(), lost):
        with pytest.raises(TryLater) as raised:
            await sent(lost, TextBlock(text="chào"))
    assert raised.value.all_people
    assert raised.value.after is not None


async def test_who_never_wrote_and_who_blocked_us_are_out_of_reach(
    channel: Telegram, known: Person
) -> None:
    with pytest.raises(OutOfReach):
        await sent(channel, TextBlock(text="chào"), to=Recipient("77", None))
    await known.blocks_bot()
    with pytest.raises(OutOfReach):
        await sent(channel, TextBlock(text="chào"))


async def trouble(store: Store) -> str | None:
    def read(session: Session) -> str | None:
        row = session.get(AccountRow, ("telegram", BOT))
        return row.trouble if row else None

    return await store.run(read)


async def test_a_token_that_is_not_known_troubles_an_operator_until_it_is_mended(
    channel: Telegram, fake: FakeTelegram, store: Store, known: Person
) -> None:
    fake.fault("sendMessage", **refusal(401, "Unauthorized"))
    with pytest.raises(TryLater) as raised:
        await sent(channel, TextBlock(text="chào"))
    assert (raised.value.all_people, raised.value.after) == (True, timedelta(minutes=1))
    assert "MOTCUA_TELEGRAM_TOKEN" in (await trouble(store) or "")
    await sent(channel, TextBlock(text="chào"))
    assert await trouble(store) is None


# citizens' files


async def test_a_citizens_file_is_fetched(channel: Telegram, fake: FakeTelegram) -> None:
    reference = fake.keep(b"%PDF don", "don.pdf")["file_id"]
    assert await channel.fetch(reference) == b"%PDF don"


async def test_a_file_that_cannot_be_had_is_gone(channel: Telegram, fake: FakeTelegram) -> None:
    too_large = fake.keep(bytes(10 * 2**20 + 1), "phim.mp4")["file_id"]
    for reference in ("file-999", too_large):
        with pytest.raises(FileGone):
            await channel.fetch(reference)
    assert [c.method for c in fake.calls] == ["getFile", "getFile"]


async def test_a_file_larger_than_told_is_not_read_to_its_end(
    channel: Telegram, fake: FakeTelegram
) -> None:
    reference = fake.keep(bytes(10 * 2**20 + 1), "phim.mp4")["file_id"]
    told = {"file_id": reference, "file_unique_id": "u", "file_path": "files/1/phim.mp4"}
    fake.fault("getFile", body={"ok": True, "result": told})
    fake.links["files/1/phim.mp4"] = (reference, fake.clock.now)
    with pytest.raises(FileGone):
        await channel.fetch(reference)


async def test_a_file_is_fetched_no_sooner_than_telegram_asks(
    channel: Telegram, fake: FakeTelegram
) -> None:
    reference = fake.keep(b"%PDF don", "don.pdf")["file_id"]
    told = {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 37"}
    fake.fault("getFile", status=429, body={**told, "parameters": {"retry_after": 37}})
    with pytest.raises(TryLater) as caught:
        await channel.fetch(reference)
    assert caught.value.after == timedelta(seconds=37)


@pytest.mark.parametrize("method", ["getFile", "download"])
@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 502, "body": b"<html>"}, {"drop": True}, {"lost": True}]
)
async def test_a_file_that_did_not_come_is_fetched_later(
    channel: Telegram, fake: FakeTelegram, method: str, fault: dict[str, Any]
) -> None:
    reference = fake.keep(b"%PDF don", "don.pdf")["file_id"]
    fake.fault(method, **fault)
    with pytest.raises(TryLater):
        await channel.fetch(reference)
    assert await channel.fetch(reference) == b"%PDF don"


async def test_a_refused_download_is_gone(channel: Telegram, fake: FakeTelegram) -> None:
    reference = fake.keep(b"%PDF don", "don.pdf")["file_id"]
    fake.fault("download", status=404)
    with pytest.raises(FileGone):
        await channel.fetch(reference)


# fetching updates


@pytest.fixture
async def poller(channel: Telegram) -> Any:
    return channel.poller


async def test_what_is_fetched_is_kept_and_then_confirmed(
    poller: Any, fake: FakeTelegram, lan: Person, store: Store
) -> None:
    await lan.says("một")
    await lan.says("hai")
    assert await poller.once() == 0
    assert [m.text for m in await kept(store)] == ["một", "hai"]
    assert len(fake.waiting) == 2, "only the next fetch confirms"
    await lan.says("ba")
    assert await poller.once() == 0
    assert [m.text for m in await kept(store)] == ["một", "hai", "ba"]
    assert len(fake.waiting) == 1


async def test_an_offset_is_told_once_because_ids_may_begin_anew(
    poller: Any, fake: FakeTelegram, lan: Person, store: Store
) -> None:
    await lan.says("một")
    for _ in range(3):
        await poller.once()
    offsets = [c.fields.get("offset") for c in fake.calls if c.method == "getUpdates"]
    assert offsets == [None, 7002, None]
    allowed = [c.fields["allowed_updates"] for c in fake.calls if c.method == "getUpdates"]
    assert allowed == [["message", "callback_query", "my_chat_member"]] * 3


async def test_what_was_not_kept_is_not_confirmed(
    impatient: None, fake: FakeTelegram, lan: Person, store: Store, poller: Any
) -> None:
    await lan.says("một")
    await poller.once()
    await lan.says("hai")
    rests = []
    take = poller._take

    async def take_while_locked(*given: Any) -> None:
        with locked(store):
            await take(*given)

    poller._take = take_while_locked
    rests += [await poller.once(), await poller.once()]
    assert rests == [1.0, 2.0]
    assert len(fake.waiting) == 1
    poller._take = take
    assert await poller.once() == 0
    assert [m.text for m in await kept(store)] == ["một", "hai"]


async def test_an_update_that_always_fails_is_set_aside_and_others_pass(
    poller: Any, fake: FakeTelegram, lan: Person, store: Store
) -> None:
    await lan.says("lỗi")
    await lan.says("hai")
    take = poller._take

    async def trips(update: dict[str, Any], raw: bytes) -> None:
        if update["message"]["text"] == "lỗi":
            raise ZeroDivisionError
        await take(update, raw)

    poller._take = trips
    rests = [await poller.once() for _ in range(5)]
    assert rests == [1.0, 2.0, 4.0, 8.0, 0.0]
    assert [m.text for m in await kept(store)] == ["hai"]
    assert await strayed(store) == {"failed": 1}


async def test_one_process_fetches_at_a_time_and_gives_it_back_when_it_stops(
    poller: Any, fake: FakeTelegram, lan: Person, reception: Reception, store: Store, clock: Clock
) -> None:
    other = Reception(reception.settings, reception.house, store, clock, lambda: None)
    second = Telegram(settings_for(fake), other)
    await lan.says("một")
    async with open_in(web.Application(), second):
        assert await poller.once() == 0
        assert await second.poller.once() > 0
        clock.move(minutes=1)
        assert await second.poller.once() == 0
        assert await poller.once() > 0
    assert len(await kept(store)) == 1


POLL_FAULTS: dict[str, tuple[dict[str, Any], float]] = {
    "conflict": (refusal(409, "Conflict: terminated by other getUpdates request"), 1.0),
    "their fault": (refusal(500, "Internal Server Error"), 1.0),
    "a page": ({"status": 502, "body": b"<html>"}, 1.0),
    "a page for not found": ({"status": 404, "body": b"<html>"}, 1.0),
    "a page for success": ({"status": 200, "body": b"<html>"}, 1.0),
    "of another form": ({"status": 200, "body": {"ok": True, "result": [{"x": 1}]}}, 1.0),
    "not a list": ({"status": 200, "body": {"ok": True, "result": 7}}, 1.0),
    "nothing agreed": ({"status": 200, "body": {"ok": True}}, 1.0),
    "told to wait": (refusal(429, "Too Many Requests", retry_after=9), 9.0),
    "token": (refusal(401, "Unauthorized"), 60.0),
    "dropped": ({"drop": True}, 1.0),
    "answer lost": ({"lost": True}, 1.0),
}


@pytest.mark.parametrize(("fault", "rest"), POLL_FAULTS.values(), ids=POLL_FAULTS.keys())
async def test_fetching_survives_every_fault_and_rests(
    poller: Any, fake: FakeTelegram, lan: Person, store: Store, fault: dict[str, Any], rest: float
) -> None:
    await lan.says("một")
    fake.fault("getUpdates", **fault)
    assert await poller.once() == rest
    assert await nothing_at_all(store)
    assert await poller.once() == 0
    assert [m.text for m in await kept(store)] == ["một"]
    assert await trouble(store) is None


async def test_a_webhook_that_is_set_elsewhere_troubles_an_operator(
    poller: Any, fake: FakeTelegram, store: Store
) -> None:
    await call(fake, "setWebhook", url="https://elsewhere.example.vn/x")
    assert [await poller.once() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert "motcua telegram connect" in (await trouble(store) or "")


async def test_fetching_runs_beside_the_gateway_where_there_is_no_webhook(
    fake: FakeTelegram, reception: Reception, lan: Person, store: Store
) -> None:
    fetching = Telegram(settings_for(fake, secret=""), reception)
    async with open_in(web.Application(), fetching) as url:
        assert await post(f"{url}/telegram/{BOT}", update(text="chào")) == 404
        await lan.says("chào")

        async def arrived() -> bool:
            return len(await kept(store)) == 1

        await until(arrived)
    assert await reception.claim(f"telegram polls {BOT}", timedelta(seconds=1))


# the whole way


async def test_a_citizen_asks_presses_and_is_answered(
    hook: str,
    channel: Telegram,
    fake: FakeTelegram,
    fake_nlu: FakeNlu,
    worker: Worker,
    lan: Person,
    store: Store,
    clock: Clock,
) -> None:
    fake_nlu.knows("chào", "greet")
    await lan.says("chào")
    await worker.run_once()
    await carried(store, channel, clock)
    [greeting] = lan.heard
    label = greeting.buttons[0][0]
    assert f"1. {label}" in greeting.text
    await lan.presses(label)
    await worker.run_once()
    await carried(store, channel, clock)
    assert len(lan.heard) > 1
    assert await store.run(outbox.unsettled) == []


async def test_an_old_button_is_answered_politely(
    hook: str,
    channel: Telegram,
    fake_nlu: FakeNlu,
    worker: Worker,
    lan: Person,
    store: Store,
    clock: Clock,
    house: House,
) -> None:
    fake_nlu.knows("chào", "greet")
    await lan.says("chào")
    await worker.run_once()
    await carried(store, channel, clock)
    clock.move(days=30)
    await lan.presses(lan.heard[0].buttons[0][0])
    await worker.run_once()
    await carried(store, channel, clock)
    assert house.replies.line("choice_gone") in lan.heard[-1].text


async def test_a_reply_whose_answer_was_lost_is_sent_once_more_and_no_further(
    hook: str,
    channel: Telegram,
    fake: FakeTelegram,
    fake_nlu: FakeNlu,
    worker: Worker,
    lan: Person,
    store: Store,
    clock: Clock,
) -> None:
    fake_nlu.knows("chào", "greet")
    await lan.says("chào")
    await worker.run_once()
    fake.fault("sendMessage", times=5, lost=True)
    for _ in range(3):
        await carried(store, channel, clock)
        clock.move(seconds=31)
    assert len(lan.heard) == 2
    [row] = await store.run(outbox.unsettled)
    assert row.state == "unknown"


async def test_replies_wait_for_who_blocked_us_and_reach_them_later(
    hook: str,
    channel: Telegram,
    fake_nlu: FakeNlu,
    worker: Worker,
    lan: Person,
    store: Store,
    clock: Clock,
) -> None:
    fake_nlu.knows("chào", "greet")
    await lan.says("chào")
    await lan.blocks_bot()
    await worker.run_once()
    await carried(store, channel, clock)
    assert lan.heard == []
    await lan.unblocks_bot()
    await carried(store, channel, clock)
    assert len(lan.heard) == 1


# the token


async def test_the_token_never_reaches_the_log(
    fake: FakeTelegram,
    reception: Reception,
    lan: Person,
    caplog: pytest.LogCaptureFixture,
    unused_tcp_port: int,
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = Telegram(settings_for(fake), reception)
    lost = settings_for(fake, api_url=f"http://127.0.0.1:{unused_tcp_port}/bot")
    nowhere = Telegram(lost, reception)
    echo = f"<html>Cannot POST /bot{fake.token}/x</html>".encode()
    async with open_in(web.Application(), channel), open_in(web.Application(), nowhere):
        await lan.says("chào bí mật")
        await channel.poller.once()
        await sent(channel, TextBlock(text="chào bí mật"))
        reference = fake.keep(b"x", "x.pdf")["file_id"]
        await channel.fetch(reference)
        for method in ("sendMessage", "getUpdates", "getFile"):
            for status in (200, 404, 502):
                fake.fault(method, status=status, body=echo)
        for _ in range(3):
            await channel.poller.once()
            for failing in (channel, nowhere):
                with pytest.raises(TryLater) as raised:
                    await sent(failing, TextBlock(text="chào"))
                assert fake.token not in str(raised.value)
                assert raised.value.__suppress_context__
                with pytest.raises(TryLater):
                    await failing.fetch(reference)
        await nowhere.poller.once()
    written = caplog.text
    assert "Telegram updates wait" in written
    assert [word for word in ("TEST-token", "bí mật") if word in written] == []


def test_settings_do_not_show_their_secrets() -> None:
    settings = TelegramSettings(_env_file=None, token="123456:abc", secret="hush")
    assert [word for word in ("abc", "hush") if word in repr(settings)] == []


# settings


def settings(**given: str) -> TelegramSettings:
    return TelegramSettings(_env_file=None, **given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"secret": SECRET}, "MOTCUA_TELEGRAM_TOKEN"),
        ({"token": "abc"}, "MOTCUA_TELEGRAM_TOKEN"),
        ({"token": "123456:"}, "MOTCUA_TELEGRAM_TOKEN"),
        ({"token": "123456:a/../b"}, "MOTCUA_TELEGRAM_TOKEN"),
        ({"token": "123456:abc", "secret": "có dấu"}, "MOTCUA_TELEGRAM_SECRET"),
        ({"token": "123456:abc", "secret": "a" * 257}, "MOTCUA_TELEGRAM_SECRET"),
    ],
)
def test_settings_that_cannot_work_are_refused_without_quoting_them(
    given: dict[str, str], told: str
) -> None:
    with pytest.raises(BadSettings, match=told) as raised:
        checked(settings(**given))
    assert [value for value in given.values() if value in str(raised.value)] == []


@pytest.mark.parametrize(
    ("secret", "public_url", "webhook"),
    [
        ("", "", None),
        ("", PUBLIC, None),
        (SECRET, "", None),
        (SECRET, PUBLIC, f"{PUBLIC}/telegram/123456"),
        (SECRET, f"{PUBLIC}:8443/", f"{PUBLIC}:8443/telegram/123456"),
    ],
)
def test_with_a_secret_and_a_public_address_messages_are_brought_to_us(
    secret: str, public_url: str, webhook: str | None
) -> None:
    assert settings(token="123456:abc", secret=secret).webhook(public_url) == webhook


@pytest.mark.parametrize(
    "public_url", ["http://hoi.example.vn", f"{PUBLIC}:8080", "hoi.example.vn"]
)
def test_an_address_that_telegram_would_not_use_is_refused(public_url: str) -> None:
    with pytest.raises(BadSettings, match="https"):
        settings(token="123456:abc", secret=SECRET).webhook(public_url)


def test_a_bot_api_server_of_ones_own_may_use_any_address() -> None:
    own = settings(token="123456:abc", secret=SECRET, api_url="http://127.0.0.1:8081/bot")
    assert own.webhook("http://127.0.0.1:8080") == "http://127.0.0.1:8080/telegram/123456"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """An environment with nothing but what is told."""
    for name in ("TOKEN", "SECRET", "API_URL", "FILE_URL"):
        monkeypatch.setenv(f"MOTCUA_TELEGRAM_{name}", "")
        monkeypatch.delenv(f"MOTCUA_TELEGRAM_{name}")
    monkeypatch.setitem(TelegramSettings.model_config, "env_file", None)

    def tell(**told: str) -> None:
        for name, value in told.items():
            monkeypatch.setenv(f"MOTCUA_{name.upper()}", value)

    return tell


def test_without_a_token_the_channel_is_off(
    bare: Callable[..., None], reception: Reception
) -> None:
    assert open_channel(reception) is None


async def test_with_a_token_the_channel_is_found(
    bare: Callable[..., None], reception: Reception
) -> None:
    assert "bot.channels.telegram" in {module.__name__ for module in channel_modules()}
    bare(telegram_token="123456:abc")
    opened = open_channel(reception)
    assert opened is not None
    assert opened.account == "123456"


def test_a_limit_that_cannot_be_read_is_named(
    bare: Callable[..., None], reception: Reception
) -> None:
    bare(telegram_token="123456:abc", telegram_poll_seconds="long")
    with pytest.raises(BadSettings, match="MOTCUA_TELEGRAM_POLL_SECONDS"):
        open_channel(reception)


# the command


async def connected(fake: FakeTelegram, house: House, public_url: str, **more: Any) -> list[str]:
    said: list[str] = []
    office = house.office("ubnd_phuong_vi_du")

    def words(reply: str) -> str:
        return house.replies.line(reply, office=office)

    settings = settings_for(fake, **more)
    await connect(settings, public_url, house.shortcuts, words, said.append)
    return said


async def test_connect_sets_webhook_menu_and_description_step_by_step(
    fake: FakeTelegram, house: House
) -> None:
    said = await connected(fake, house, PUBLIC)
    assert [line.partition(":")[0] for line in said] == [
        "bot",
        "command menu",
        "description",
        "webhook",
        "next",
    ]
    assert fake.webhook is not None
    assert (fake.webhook.url, fake.webhook.secret) == (f"{PUBLIC}/telegram/123456", SECRET)
    assert fake.kinds == {"message", "callback_query", "my_chat_member"}
    [menu] = fake.commands.values()
    assert {"command": "phananh", "description": "Gửi phản ánh, kiến nghị"} in menu
    assert "Trợ lý tự động" in fake.descriptions["description"]
    assert fake.descriptions["short_description"]
    assert [line for line in said if SECRET in line or fake.token in line] == []


@pytest.mark.parametrize(("secret", "public_url"), [("", PUBLIC), (SECRET, "")])
async def test_connect_removes_the_webhook_where_messages_are_fetched(
    fake: FakeTelegram, house: House, secret: str, public_url: str
) -> None:
    await call(fake, "setWebhook", url="https://elsewhere.example.vn/x")
    said = await connected(fake, house, public_url, secret=secret)
    assert fake.webhook is None
    assert any("long polling" in line for line in said)
    assert any("MOTCUA_PUBLIC_URL" in line for line in said) == bool(secret)


async def test_disconnect_removes_the_webhook_and_keeps_what_waits(
    fake: FakeTelegram, lan: Person
) -> None:
    await lan.says("chào")
    await call(fake, "setWebhook", url="https://elsewhere.example.vn/x")
    said: list[str] = []
    await disconnect(settings_for(fake), said.append)
    assert fake.webhook is None
    assert len(fake.waiting) == 1
    assert "24 hours" in "\n".join(said)


@pytest.mark.parametrize(
    ("method", "fault", "told"),
    [
        ("getMe", refusal(401, "Unauthorized"), "does not know this token"),
        ("getMe", {"status": 502, "body": b"<html>"}, "try again later"),
        ("setMyCommands", refusal(400, "Bad Request: BOT_COMMAND_INVALID"), "command menu"),
        ("setMyDescription", refusal(429, "Too Many", retry_after=3), "description"),
        ("setWebhook", refusal(400, "Bad Request: bad webhook: no such host"), "no such host"),
    ],
)
async def test_a_step_that_fails_is_named_in_plain_words(
    fake: FakeTelegram, house: House, method: str, fault: dict[str, Any], told: str
) -> None:
    fake.fault(method, **fault)
    with pytest.raises(CannotConnect, match=told) as raised:
        await connected(fake, house, PUBLIC)
    assert fake.token not in str(raised.value)


async def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Types a command; it has a loop of its own, so it gets a thread of its own."""
    monkeypatch.setattr("sys.argv", ["motcua", *words])
    return await asyncio.to_thread(main)


async def test_the_command_connects_and_disconnects(
    bare: Callable[..., None],
    fake: FakeTelegram,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = {"telegram_api_url": fake.base_url, "telegram_file_url": fake.base_file_url}
    bare(**told, telegram_token=fake.token, telegram_secret=SECRET, public_url=PUBLIC)
    assert await typed(monkeypatch, "telegram", "connect") == 0
    assert f"webhook: {PUBLIC}/telegram/123456" in capsys.readouterr().out
    assert await typed(monkeypatch, "telegram", "disconnect") == 0
    assert fake.webhook is None


async def test_the_command_says_what_is_wrong(
    bare: Callable[..., None],
    fake: FakeTelegram,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await typed(monkeypatch, "telegram", "connect") == 1
    assert "MOTCUA_TELEGRAM_TOKEN: is empty" in capsys.readouterr().err
    bare(telegram_api_url=fake.base_url, telegram_token="123456:wrong")
    assert await typed(monkeypatch, "telegram", "connect") == 1
    assert "does not know this token" in capsys.readouterr().err
