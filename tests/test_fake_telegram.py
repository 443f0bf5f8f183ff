"""The fake Telegram keeps to the Bot API, for python-telegram-bot and for raw calls."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import telegram
from aiohttp import ClientConnectionError, ClientSession, FormData, web
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, KeyboardButton

from tests.fakes.telegram import FakeTelegram, Key
from tests.fakes.visitor import running

SECRET = "demo-secret"
CHOICES = InlineKeyboardMarkup([[InlineKeyboardButton("Tra cứu", callback_data="b1.x9Kf")]])


@pytest.fixture
async def fake() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram().listening() as platform:
        yield platform
        assert platform.mistakes == []


@pytest.fixture
async def bot(fake: FakeTelegram) -> AsyncIterator[telegram.Bot]:
    async with a_bot(fake) as bot:
        yield bot


@pytest.fixture
async def raw() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


def a_bot(fake: FakeTelegram) -> telegram.Bot:
    return telegram.Bot(fake.token, base_url=fake.base_url, base_file_url=fake.base_file_url)


class Hook:
    """Takes updates, answering with prepared statuses (200 when there are no more)."""

    def __init__(self) -> None:
        self.url = ""
        self.got: list[int] = []
        self.bodies: list[dict[str, Any]] = []
        self.secrets: list[str | None] = []
        self.statuses: list[int] = []
        self.together = asyncio.Barrier(1)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.got.append(body["update_id"])
        self.bodies.append(body)
        self.secrets.append(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        async with asyncio.timeout(5):
            await self.together.wait()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def hook(fake: FakeTelegram, bot: telegram.Bot) -> AsyncIterator[Hook]:
    hook = Hook()
    async with hooked(hook):
        await bot.set_webhook(hook.url, secret_token=SECRET)
        yield hook


@asynccontextmanager
async def hooked(hook: Hook) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_post("/telegram", hook.take)
    async with running(app) as url:
        hook.url = f"{url}/telegram"
        yield


async def called(
    raw: ClientSession, fake: FakeTelegram, method: str, **fields: Any
) -> tuple[int, dict[str, Any]]:
    async with raw.post(f"{fake.base_url}{fake.token}/{method}", json=fields) as response:
        return response.status, await response.json()


async def test_form_json_and_multipart_with_json_in_strings_are_understood(
    fake: FakeTelegram, raw: ClientSession
) -> None:
    lan = fake.person(55, "Lan")
    await lan.starts()
    markup = json.dumps({"inline_keyboard": [[{"text": "Có", "callback_data": "c"}]]})
    form = {"chat_id": "55", "text": "một", "reply_markup": markup}
    multipart = FormData({"chat_id": "55", "caption": "hai", "photo": "attach://p"})
    multipart.add_field("p", b"\r\n\x00\xffpicture\r\n", filename="ảnh.jpg")
    url = f"{fake.base_url}{fake.token}"
    for method, body in (("sendMessage", form), ("sendPhoto", multipart)):
        async with raw.post(f"{url}/{method}", data=body) as response:
            assert (await response.json())["ok"]
    async with raw.get(f"{url}/sendmessage", params={"chat_id": "55", "text": "ba"}) as response:
        assert response.status == 200
    await called(raw, fake, "sendMessage", chat_id=55, text="bốn", reply_markup=json.loads(markup))
    assert [heard.text for heard in lan.heard] == ["một", "hai", "ba", "bốn"]
    assert [heard.buttons for heard in lan.heard] == [[["Có"]], [], [], [["Có"]]]
    assert lan.heard[1].photo == b"\r\n\x00\xffpicture\r\n"
    assert [call.method for call in fake.calls] == [
        *("sendMessage", "sendPhoto", "sendMessage", "sendMessage")
    ]
    assert fake.calls[0].fields["chat_id"] == 55
    assert b"chat_id=55" in fake.calls[0].raw


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("bot123456:TEST-token/getMe", 200),
        ("bot123456:TEST-token/getYou", 404),
        ("bot123456/getMe", 404),
        ("bot123456:other/getMe", 401),
        ("nothing", 404),
        ("file/bot123456:other/files/1/photo.jpg", 401),
        ("file/bot123456:TEST-token/files/1/photo.jpg", 404),
    ],
)
async def test_unknown_method_or_malformed_token_is_404_and_a_wrong_one_401(
    fake: FakeTelegram, raw: ClientSession, path: str, status: int
) -> None:
    async with raw.get(f"{fake.url}/{path}") as response:
        assert response.status == status
        assert (await response.json())["ok"] is (status == 200)


async def test_unknown_field_is_refused_and_remembered(
    fake: FakeTelegram, raw: ClientSession
) -> None:
    await fake.person(55).starts()
    keyboard = {"inline_keyboard": [[{"text": "a", "callbackdata": "b"}]]}
    for typo in ({"chatid": 55}, {"reply_markup": keyboard}, {"parse_mode": "MarkdownV3"}):
        status, _ = await called(raw, fake, "sendMessage", chat_id=55, text="a", **typo)
        assert status == 400
    assert [word in mistake for word, mistake in zip(TYPOS, fake.mistakes, strict=True)]
    fake.mistakes.clear()


TYPOS = ("chatid", "callbackdata", "MarkdownV3")


def buttons(count: int, data: str = "d") -> dict[str, Any]:
    return {"inline_keyboard": [[{"text": "a", "callback_data": data}]] * count}


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"text": "ố" * 4096}, None),
        ({"text": "ố" * 4097}, "too long"),
        ({"text": "😀" * 2049}, "too long"),
        ({"text": f"<b>{'a' * 4090} &amp; b</b>", "parse_mode": "HTML"}, None),
        ({"text": " \n"}, "empty"),
        ({}, "empty"),
        ({"text": "a < b", "parse_mode": "HTML"}, "can't parse"),
        ({"text": "<b>a", "parse_mode": "HTML"}, "can't parse"),
        ({"text": "a", "reply_markup": buttons(1, "đ" * 32)}, None),
        ({"text": "a", "reply_markup": buttons(1, "đ" * 33)}, "BUTTON_DATA_INVALID"),
        ({"text": "a", "reply_markup": buttons(1, "")}, "BUTTON_DATA_INVALID"),
        ({"text": "a", "reply_markup": buttons(100)}, None),
        ({"text": "a", "reply_markup": buttons(101)}, "too long"),
        ({"text": "a", "chat_id": 56}, "chat not found"),
        ({"text": "a", "chat_id": "nobody"}, "can't parse"),
    ],
)
async def test_message_outside_the_limits_is_refused(
    fake: FakeTelegram, raw: ClientSession, fields: dict[str, Any], refusal: str | None
) -> None:
    await fake.person(55).starts()
    fake.person(56)
    status, answer = await called(raw, fake, "sendMessage", **{"chat_id": 55, **fields})
    assert status == (400 if refusal else 200)
    assert (refusal or "") in answer.get("description", "")
    assert len(fake.person(55).heard) == (0 if refusal else 1)


async def test_caption_of_1025_and_empty_or_missing_file_are_refused(
    fake: FakeTelegram, bot: telegram.Bot
) -> None:
    lan = fake.person(55)
    await lan.starts()
    sent = await bot.send_document(55, b"%PDF", caption="a" * 1024, filename="Đơn.pdf")
    assert (lan.heard[0].document, lan.heard[0].file_name) == (b"%PDF", "Đơn.pdf")
    assert sent.document
    await bot.send_document(55, sent.document.file_id)
    assert lan.heard[1].document == b"%PDF"
    for photo, caption in ((b"x", "a" * 1025), (b"", ""), ("no-such-file", "")):
        with pytest.raises(telegram.error.BadRequest):
            await bot.send_photo(55, photo, caption=caption)


async def test_blocked_bot_is_forbidden_until_unblocked(
    fake: FakeTelegram, bot: telegram.Bot
) -> None:
    lan = fake.person(55)
    await lan.starts()
    await lan.blocks_bot()
    with pytest.raises(telegram.error.Forbidden, match="blocked by the user"):
        await bot.send_message(55, "Xin chào")
    await lan.unblocks_bot()
    await bot.send_message(55, "Xin chào")
    members = [update.my_chat_member for update in await bot.get_updates()][1:]
    assert [m.new_chat_member.status for m in members if m] == ["kicked", "member"]


async def test_place_and_phone_may_be_asked_in_private_chats_only(
    fake: FakeTelegram, bot: telegram.Bot
) -> None:
    lan, group = fake.person(55), fake.group(-100, "Tổ dân phố")
    await lan.starts()
    await group.says("Xin chào", by=lan)
    keys = [KeyboardButton("Gửi vị trí", request_location=True), KeyboardButton("Bỏ qua")]
    markup = telegram.ReplyKeyboardMarkup([keys], one_time_keyboard=True, resize_keyboard=True)
    await bot.send_message(55, "Ở đâu?", reply_markup=markup)
    assert lan.heard[0].keyboard == [[Key("Gửi vị trí", request_location=True), Key("Bỏ qua")]]
    await bot.send_message(55, "Cảm ơn", reply_markup=telegram.ReplyKeyboardRemove())
    assert lan.heard[1].removes_keyboard
    with pytest.raises(telegram.error.BadRequest, match="private chats only"):
        await bot.send_message(-100, "Ở đâu?", reply_markup=markup)
    await bot.leave_chat(-100)
    with pytest.raises(telegram.error.Forbidden):
        await bot.send_message(-100, "Tạm biệt")


async def test_updates_are_polled_in_order_until_confirmed(
    fake: FakeTelegram, bot: telegram.Bot
) -> None:
    lan = fake.person(55)
    first, second = await lan.says("một"), await lan.says("hai")
    assert second > first
    assert [u.update_id for u in await bot.get_updates(limit=1)] == [first]
    assert [u.update_id for u in await bot.get_updates()] == [first, second]
    assert [u.update_id for u in await bot.get_updates(offset=second)] == [second]
    assert [u.update_id for u in await bot.get_updates(offset=-1)] == [second]
    fake.clock.move(hours=24)
    assert await bot.get_updates() == ()


async def test_long_poll_answers_when_something_happens(
    fake: FakeTelegram, bot: telegram.Bot
) -> None:
    polling = asyncio.create_task(bot.get_updates(timeout=30))
    await fake.polled()
    id_ = await fake.person(55).says("Xin chào")
    [update] = await polling
    assert update.update_id == id_


async def test_poll_ends_with_conflict_on_another_poll_or_a_webhook(
    fake: FakeTelegram, bot: telegram.Bot, raw: ClientSession
) -> None:
    polls = []
    for _ in range(2):
        polls.append(asyncio.create_task(called(raw, fake, "getUpdates", timeout=30)))
        await fake.polled()
    status, answer = await polls[0]
    assert status == 409
    assert "terminated by other getUpdates" in answer["description"]
    await bot.set_webhook("http://127.0.0.1:1/telegram")
    assert (await polls[1])[0] == 409
    with pytest.raises(telegram.error.Conflict, match="webhook is active"):
        await bot.get_updates()
    await bot.delete_webhook()
    assert await bot.get_updates() == ()


@pytest.mark.parametrize(
    ("url", "secret", "refusal"),
    [
        ("http://example.vn/telegram", "a", "https"),
        ("https://example.vn:8000/telegram", "a", "ports"),
        ("https://example.vn/telegram", "a b", "unallowed"),
    ],
)
async def test_wrong_webhook_is_refused(
    bot: telegram.Bot, url: str, secret: str, refusal: str
) -> None:
    with pytest.raises(telegram.error.BadRequest, match=refusal):
        await bot.set_webhook(url, secret_token=secret)
    await bot.set_webhook("https://example.vn:8443/telegram", secret_token="a_B-1")
    assert (await bot.get_webhook_info()).url == "https://example.vn:8443/telegram"


async def test_webhook_gets_the_secret_and_failures_again_after_growing_delays(
    fake: FakeTelegram, bot: telegram.Bot, hook: Hook
) -> None:
    hook.statuses = [500, 302]
    id_ = await fake.person(55).says("Xin chào")
    info = await bot.get_webhook_info()
    assert info.pending_update_count == 1
    assert "500" in (info.last_error_message or "")
    await fake.pump()
    assert hook.got == [id_]
    for seconds, tries in ((2, 2), (2, 2), (2, 3), (60, 3)):
        fake.clock.move(seconds=seconds)
        await fake.pump()
        assert len(hook.got) == tries
    assert fake.deliveries == [(id_, 500), (id_, 302), (id_, 200)]
    assert set(hook.secrets) == {SECRET}


async def test_update_that_failed_for_a_day_is_dropped(fake: FakeTelegram, hook: Hook) -> None:
    hook.statuses = [500]
    await fake.person(55).says("Xin chào")
    fake.clock.move(hours=24)
    await fake.pump()
    assert len(hook.got) == 1


async def test_unreachable_webhook_is_a_failure_and_tried_again(
    fake: FakeTelegram, bot: telegram.Bot
) -> None:
    await bot.set_webhook("http://127.0.0.1:1/telegram")
    id_ = await fake.person(55).says("Xin chào")
    assert fake.deliveries == [(id_, 0)]
    await bot.delete_webhook(drop_pending_updates=True)
    assert await bot.get_updates() == ()


async def test_webhook_is_posted_to_in_parallel_up_to_max_connections(
    fake: FakeTelegram, bot: telegram.Bot, hook: Hook
) -> None:
    hook.together = asyncio.Barrier(3)
    album = await fake.person(55).sends_album([b"1", b"2", b"3"], caption="ổ gà")
    assert sorted(hook.got) == album
    groups = {body["message"]["media_group_id"] for body in hook.bodies}
    assert len(groups) == 1
    await bot.set_webhook(hook.url, max_connections=1)
    hook.together = asyncio.Barrier(1)
    album = await fake.person(55).sends_album([b"1", b"2", b"3"])
    assert hook.got[3:] == album


async def test_update_can_come_twice_and_a_pair_out_of_order(
    fake: FakeTelegram, hook: Hook
) -> None:
    lan = fake.person(55)
    first = await lan.says("một")
    await fake.repeat(first)
    fake.hold = True
    second, third = await lan.says("hai"), await lan.says("ba")
    assert hook.got == [first, first]
    await fake.deliver_in([third, second])
    assert hook.got == [first, first, third, second]


async def test_only_allowed_kinds_of_updates_come(
    fake: FakeTelegram, bot: telegram.Bot, hook: Hook
) -> None:
    await bot.set_webhook(hook.url, allowed_updates=["message", "callback_query"])
    lan = fake.person(55)
    said = await lan.says("một")
    await lan.edits("hai")
    await lan.blocks_bot()
    assert hook.got == [said]
    await bot.set_webhook(hook.url, allowed_updates=[])
    await lan.unblocks_bot()
    await lan.edits("ba")
    assert "my_chat_member" in hook.bodies[1]
    assert hook.bodies[2]["edited_message"]["text"] == "ba"


async def test_press_is_answered_once_and_old_buttons_stay_pressable(
    fake: FakeTelegram, bot: telegram.Bot
) -> None:
    lan = fake.person(55)
    await lan.starts()
    sent = await bot.send_message(55, "Chọn việc", reply_markup=CHOICES)
    with pytest.raises(LookupError):
        await lan.presses("Nút không có")
    query = await self_press(bot, await lan.presses("Tra cứu"))
    assert query.data == "b1.x9Kf"
    assert query.message
    assert query.message.message_id == sent.message_id
    await bot.answer_callback_query(query.id, "Dạ")
    assert lan.callback_answers == ["Dạ"]
    for unknown in (query.id, "1"):
        with pytest.raises(telegram.error.BadRequest, match="Query is too old"):
            await bot.answer_callback_query(unknown)
    await bot.edit_message_reply_markup(55, sent.message_id)
    assert lan.heard[0].buttons == []
    with pytest.raises(telegram.error.BadRequest, match="not modified"):
        await bot.edit_message_reply_markup(55, sent.message_id)
    with pytest.raises(LookupError):
        await lan.presses("Tra cứu")
    fake.clock.move(days=60)
    old = await self_press(bot, await lan.presses_data("b1.x9Kf", sent.message_id))
    fake.clock.move(hours=1)
    with pytest.raises(telegram.error.BadRequest, match="Query is too old"):
        await bot.answer_callback_query(old.id)


async def self_press(bot: telegram.Bot, id_: int) -> telegram.CallbackQuery:
    [update] = await bot.get_updates(offset=id_)
    assert update.callback_query
    return update.callback_query


async def test_burst_to_one_chat_is_told_when_to_go_on(
    fake: FakeTelegram, bot: telegram.Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    lan = fake.person(55)
    await lan.starts()
    sends = (bot.send_message(55, "Xin chào") for _ in range(10))
    answers = await asyncio.gather(*sends, return_exceptions=True)
    floods = [one for one in answers if isinstance(one, telegram.error.RetryAfter)]
    assert 0 < len(floods) <= 5
    assert floods[0].retry_after == timedelta(seconds=1)
    assert len(lan.heard) == 10 - len(floods)
    fake.clock.move(seconds=1)
    await bot.send_message(55, "Xin chào")


async def test_more_than_thirty_sends_at_once_are_a_flood(
    fake: FakeTelegram, raw: ClientSession
) -> None:
    citizens = [fake.person(id_) for id_ in range(100, 190)]
    await asyncio.gather(*(citizen.starts() for citizen in citizens))
    answers = await asyncio.gather(
        *(called(raw, fake, "sendMessage", chat_id=one.id, text="Dạ") for one in citizens)
    )
    floods = [answer for status, answer in answers if status == 429]
    assert floods
    assert floods[0]["parameters"] == {"retry_after": 1}
    fake.flood = False
    assert (await called(raw, fake, "sendMessage", chat_id=189, text="Dạ"))[0] == 200


async def test_file_is_fetched_through_a_link_that_expires(
    fake: FakeTelegram, bot: telegram.Bot
) -> None:
    lan = fake.person(55)
    await lan.sends_photo("ổ gà", b"\xff\xd8 pothole")
    await lan.sends_file("to.bin", bytes(20 * 2**20 + 1), "application/octet-stream")
    photo, large = [update.message for update in await bot.get_updates()]
    assert photo
    assert large
    assert large.document
    file = await bot.get_file(photo.photo[-1].file_id)
    assert await file.download_as_bytearray() == b"\xff\xd8 pothole"
    fake.clock.move(hours=1)
    with pytest.raises(telegram.error.InvalidToken):
        await file.download_as_bytearray()
    with pytest.raises(telegram.error.BadRequest, match="too big"):
        await bot.get_file(large.document.file_id)
    with pytest.raises(telegram.error.BadRequest, match="Wrong file_id"):
        await bot.get_file("nothing")


async def test_every_act_is_an_update_that_the_library_reads(
    fake: FakeTelegram, bot: telegram.Bot
) -> None:
    lan = fake.person(55, "Lan")
    await lan.starts("ward_12")
    await lan.sends_voice()
    await lan.sends_sticker()
    await lan.shares_location(21.02, 105.85)
    await lan.shares_contact("+84900000000")
    await lan.shares_contact("+84900000000", own=False)
    await fake.group(-100, "Tổ dân phố").says("Chào cả nhà", by=lan)
    messages = [update.message for update in await bot.get_updates() if update.message]
    start, voice, sticker, place, own, other, group = messages
    assert (start.text, start.entities[0].length) == ("/start ward_12", 6)
    assert voice.voice
    assert sticker.sticker
    assert place.location
    assert place.location.latitude == 21.02
    assert [card.contact and card.contact.user_id == 55 for card in (own, other)] == [True, False]
    assert (group.chat.type, group.chat.id) == ("group", -100)
    assert {m.from_user.id for m in messages if m.from_user} == {55}


async def test_menu_and_descriptions_are_kept(fake: FakeTelegram, bot: telegram.Bot) -> None:
    await bot.set_my_commands([("menu", "Về menu")], language_code="vi")
    assert [c.command for c in await bot.get_my_commands(language_code="vi")] == ["menu"]
    assert await bot.get_my_commands() == ()
    with pytest.raises(telegram.error.BadRequest):
        await bot.set_my_commands([("Về-menu", "Về menu")])
    await bot.set_my_description("Trợ lý tự động")
    with pytest.raises(telegram.error.BadRequest):
        await bot.set_my_short_description("a" * 121)
    assert fake.descriptions == {"description": "Trợ lý tự động"}
    await fake.person(55).starts()
    assert await bot.send_chat_action(55, "typing")


async def test_faults_drop_a_call_lose_an_answer_and_speak_html(
    fake: FakeTelegram, bot: telegram.Bot, raw: ClientSession
) -> None:
    lan = fake.person(55)
    await lan.starts()
    fake.fault("sendMessage", drop=True)
    fake.fault("sendMessage", lost=True)
    fake.fault("sendMessage", status=502, body=b"<html>Bad Gateway</html>", times=2)
    for heard in (0, 1, 1, 1):
        assert (await bot.get_me()).id == 123456
        with pytest.raises(telegram.error.NetworkError):
            await bot.send_message(55, "Xin chào")
        assert len(lan.heard) == heard
    await bot.send_message(55, "Xin chào")
    assert [c.status for c in fake.calls if c.method == "sendMessage"] == [0, 0, 502, 502, 200]
    fake.fault(status=403)
    with pytest.raises(telegram.error.Forbidden):
        await bot.get_me()
    fake.fault(drop=True)
    with pytest.raises(ClientConnectionError):
        await called(raw, fake, "getMe")


async def test_another_process_can_act_through_the_control_routes(
    fake: FakeTelegram, raw: ClientSession
) -> None:
    async def control(path: str, **body: Any) -> Any:
        async with raw.post(f"{fake.url}/_ctl/{path}", json=body) as response:
            return response.status, await response.json() if response.status == 200 else None

    before = fake.clock.ms
    assert await control("clock", move_ms=1500) == (200, {"ms": before + 1500})
    assert await control("person/55/says", text="Xin chào") == (200, {"result": 7001})
    assert (await control("person/55/_do"))[0] == 404
    await control("fault", method="getMe", status=500, body="<html>")
    assert (await raw.get(f"{fake.base_url}{fake.token}/getMe")).status == 500
    async with raw.get(f"{fake.url}/_ctl/outbox") as response:
        assert [call["method"] for call in await response.json()] == ["getMe"]
    assert (await control("reset"))[0] == 200
    assert (fake.calls, fake.waiting) == ([], [])
