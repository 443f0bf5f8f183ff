"""The fake Zalo Official Account does what the reference says, seen by raw HTTP calls."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import FormData, ServerDisconnectedError, web

from tests.fakes.platform import VirtualClock
from tests.fakes.visitor import running
from tests.fakes.zalo import FakeZalo, Person

LAN = "2000000000000000002"
SECRET = "APP_SECRET_demo_only"
VERIFIER = "Aa1" * 14 + "Z"
TEMPLATE = {"type": "template"}


class Receiver:
    """Stands where our webhook will stand; keeps what was posted, answers as told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append((headers, await request.read()))
        return web.Response(status=self.status)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event.get("event_name") == name]


@pytest.fixture
async def fake() -> AsyncIterator[FakeZalo]:
    async with FakeZalo().listening() as platform:
        yield platform


@pytest.fixture
async def receiver(fake: FakeZalo) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    async with running(app) as url:
        assert await fake.set_webhook(f"{url}/hook") == 200
        yield receiver
        await fake.settled()


@pytest.fixture
async def lan(fake: FakeZalo) -> Person:
    person = fake.person(LAN, "Lan")
    await person.says("Xin chào")
    return person


async def call(
    fake: FakeZalo, path: str, body: Any = None, *, token: str | None = None, verb: str = "POST"
) -> dict[str, Any]:
    headers = {"access_token": token or fake.tokens()[0]}
    async with fake.http.request(verb, f"{fake.api}{path}", json=body, headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["X-RateLimit-Limit"] == str(fake.per_minute)
        return dict(await answer.json())


async def send(fake: FakeZalo, message: Any, *, to: str = LAN, **more: Any) -> dict[str, Any]:
    body = {"recipient": {"user_id": to}, "message": message}
    return await call(fake, "/v3.0/oa/message/cs", body, **more)


async def token(fake: FakeZalo, secret: str = SECRET, **form: str) -> dict[str, Any]:
    form, headers = {"app_id": fake.app_id, **form}, {"secret_key": secret}
    url = f"{fake.oauth}/v4/oa/access_token"
    async with fake.http.post(url, data=form, headers=headers) as answer:
        assert answer.status == 200
        return dict(await answer.json())


async def upload(fake: FakeZalo, kind: str, name: str, content: bytes) -> dict[str, Any]:
    form = FormData()
    form.add_field("file", content, filename=name)
    headers = {"access_token": fake.tokens()[0]}
    url = f"{fake.api}/v2.0/oa/upload/{kind}"
    async with fake.http.post(url, data=form, headers=headers) as answer:
        return dict(await answer.json())


def button(title: str = "Tra cứu", payload: Any = "#b1.x", type_: str = "oa.query.show") -> Any:
    return {"title": title, "type": type_, "payload": payload}


def with_buttons(*buttons: Any) -> dict[str, Any]:
    attachment = {"type": "template", "payload": {"buttons": list(buttons)}}
    return {"text": "Chọn:", "attachment": attachment}


def media(**element: Any) -> dict[str, Any]:
    payload = {"template_type": "media", "elements": [element]}
    return {"attachment": {"type": "template", "payload": payload}}


# Signature and events


async def test_text_is_signed_to_the_byte_as_in_the_reference() -> None:
    clock = VirtualClock(datetime.fromtimestamp(1795316698.353, UTC))
    fake, receiver, app = FakeZalo(clock=clock), Receiver(), web.Application()
    app.router.add_post("/", receiver.take)
    async with fake.listening(), running(app) as url:
        await fake.set_webhook(url)
        await fake.person(LAN).says("Xin chào", msg_id="a1b2c3d4e5f60718")
    headers, body = receiver.got[-1]
    assert len(body) == 267
    mac = "b3f7f6bd7e593f900f49aec3f0fe0f389c13e7e75df6f1f75caebeca87bca373"
    assert headers["x-zevent-signature"] == f"mac={mac}"
    assert headers["x-zevent-timestamp"] == "1795316698353"


async def test_console_probes_with_an_unsigned_empty_object(receiver: Receiver) -> None:
    headers, body = receiver.got[0]
    assert body == b"{}"
    assert "x-zevent-signature" not in headers


async def test_webhook_that_refuses_the_probe_is_not_kept(
    fake: FakeZalo, receiver: Receiver
) -> None:
    kept, receiver.status = fake.webhook, 401
    assert await fake.set_webhook(f"{kept}?other") == 401
    assert fake.webhook == kept


async def test_switches_change_the_signature(fake: FakeZalo, receiver: Receiver) -> None:
    def holds() -> bool:
        headers, body = receiver.got[-1]
        mac = fake.mac(body, headers.get("x-zevent-timestamp") or json.loads(body)["timestamp"])
        return headers.get("x-zevent-signature") == f"mac={mac}"

    lan = fake.person(LAN)
    for good in ({}, {"spaced": True}, {"header_time": False}, {"header_ms": 1}):
        await lan.says("Chào", **good)
        assert holds(), good
    await lan.says("Chào", header_time=False)
    assert "x-zevent-timestamp" not in receiver.got[-1][0]
    for bad in ({"sign": "bad"}, {"sign": "none"}, {"sign": "hmac"}, {"reserialise": True}):
        await lan.says("Chào", **bad)
        assert not holds(), bad
    assert len({json.dumps(e["message"]["text"]) for e in receiver.events[1:]}) == 1


async def test_switches_change_ids_time_and_retry_mark(fake: FakeZalo, receiver: Receiver) -> None:
    await fake.person(LAN).says("1234", numeric_ids=True, timestamp_ms=5, num_retry=2)
    event, headers = receiver.events[-1], receiver.got[-1][0]
    assert (event["sender"]["id"], event["timestamp"], event["app_id"]) == (
        int(LAN),
        5,
        int(fake.app_id),
    )
    assert event["message"]["text"] == "1234"
    assert headers["num_retry"] == "2"


async def test_any_event_may_be_posted_and_repeated(fake: FakeZalo, receiver: Receiver) -> None:
    done = await fake.event("something_new", app_id="999", foo=1)
    assert done.status == 200
    assert receiver.events[-1]["app_id"] == "999"
    msg_id = await fake.person(LAN).says("một")
    await fake.person(LAN).says("hai")
    await fake.repeat(msg_id)
    assert receiver.got[-1][1] == receiver.got[-3][1]
    assert [d.event_name for d in fake.deliveries][-1] == "user_send_text"


async def test_held_events_come_in_any_order(fake: FakeZalo, receiver: Receiver) -> None:
    fake.hold = True
    first, second = [await fake.person(LAN).says(text) for text in ("một", "hai")]
    assert len(receiver.got) == 1
    await fake.deliver_in([second, first])
    assert [e["message"]["text"] for e in receiver.events[1:]] == ["hai", "một"]


async def test_follow_and_withdraw_have_no_sender(fake: FakeZalo, receiver: Receiver) -> None:
    lan = fake.person(LAN)
    await lan.follows()
    await lan.clicks_chat_now()
    await lan.clicks_chat_now()
    await lan.withdraws()
    assert [e["event_name"] for e in receiver.events[1:]] == [
        "follow",
        "user_click_chatnow",
        "user_withdraw",
    ]
    assert not any("sender" in event for event in receiver.events)
    assert receiver.named("follow")[0]["follower"] == {"id": LAN}


async def test_attachments_can_be_fetched_until_they_are_forgotten(
    fake: FakeZalo, receiver: Receiver
) -> None:
    lan = fake.person(LAN)
    await lan.sends_image(b"JPEG", text="Ổ gà")
    await lan.sends_file("don.pdf", b"PDF")
    image, file = (event["message"]["attachments"][0] for event in receiver.events[1:])
    assert file["payload"]["checksum"] == hashlib.md5(b"PDF").hexdigest()
    async with fake.http.get(image["payload"]["url"]) as answer:
        assert await answer.read() == b"JPEG"
    fake.forget_files()
    async with fake.http.get(image["payload"]["url"]) as answer:
        assert answer.status == 404
    await lan.sends_business_card()
    assert receiver.events[-1]["event_name"] == "user_send_business_card"


async def test_coordinates_are_strings(fake: FakeZalo, receiver: Receiver) -> None:
    await fake.person(LAN).shares_location(10.79, 106.78, text="Chợ Bình An")
    message = receiver.named("user_send_location")[0]["message"]
    coordinates = {"latitude": "10.79", "longitude": "106.78"}
    assert message["attachments"] == [{"type": "location", "payload": {"coordinates": coordinates}}]


async def test_console_filter_lets_only_hash_texts_through(
    fake: FakeZalo, receiver: Receiver
) -> None:
    fake.only_hash_texts = True
    await fake.person(LAN).says("chào")
    await fake.person(LAN).says("#menu")
    assert [e["message"]["text"] for e in receiver.events[1:]] == ["#menu"]


# Retry


async def test_unreachable_webhook_is_tried_on_the_ladder_then_unsubscribed(
    fake: FakeZalo,
) -> None:
    fake.webhook = "http://127.0.0.1:1/hook"
    await fake.person(LAN).says("Có ai không")
    for seconds in (30, 300, 900, 1800, 3600):
        fake.clock.move(seconds=seconds - 1)
        before = len(fake.deliveries)
        await fake.pump()
        assert len(fake.deliveries) == before
        assert not fake.unsubscribed
        fake.clock.move(seconds=1)
        await fake.pump()
    assert [d.num_retry for d in fake.deliveries] == [0, 1, 2, 3, 4, 5]
    assert fake.unsubscribed
    assert fake.notified == []
    await fake.person(LAN).says("Vẫn không")
    assert len(fake.deliveries) == 6


async def test_retry_brings_the_same_body_with_a_count(fake: FakeZalo, receiver: Receiver) -> None:
    receiver.status = 503
    await fake.person(LAN).says("Chào")
    receiver.status = 200
    fake.clock.move(seconds=30)
    await fake.pump()
    (first, body), (second, again) = receiver.got[1:]
    assert body == again
    assert first["x-zevent-signature"] == second["x-zevent-signature"]
    assert ("num_retry" in first, second["num_retry"]) == (False, "1")
    assert [d.status for d in fake.deliveries] == [503, 200]
    assert fake.notified == ["user_send_text"]


async def test_bad_answer_is_not_repeated_when_so_switched(
    fake: FakeZalo, receiver: Receiver
) -> None:
    fake.retries_answers = False
    receiver.status = 500
    await fake.person(LAN).says("Chào")
    fake.clock.move(days=1)
    await fake.pump()
    assert len(receiver.got) == 2
    assert not fake.unsubscribed


async def test_late_answer_counts_as_none(fake: FakeZalo, receiver: Receiver) -> None:
    fake.deadline = 0.000001
    await fake.person(LAN).says("Chào")
    assert fake.deliveries[-1].status == 0


# Consent


def challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


async def test_code_gives_a_pair_once(fake: FakeZalo) -> None:
    form = {"grant_type": "authorization_code", "code_verifier": VERIFIER}
    code = fake.consents(challenge(VERIFIER), "s1", "https://example.org/back")
    assert fake.callback == (f"https://example.org/back?code={code}&oa_id={fake.oa_id}&state=s1")
    pair = await token(fake, code=code, **form)
    assert set(pair) == {"access_token", "refresh_token", "expires_in"}
    assert pair["expires_in"] == "90000"
    assert "access_token" not in await token(fake, code=code, **form)


@pytest.mark.parametrize(
    ("verifier", "waited"), [("B" * 43, 0), (VERIFIER[:-1], 0), (VERIFIER, 601)]
)
async def test_code_needs_its_verifier_in_time(fake: FakeZalo, verifier: str, waited: int) -> None:
    code = fake.consents(challenge(VERIFIER))
    fake.clock.move(seconds=waited)
    form = {"grant_type": "authorization_code", "code_verifier": verifier}
    assert "error" in await token(fake, code=code, **form)


async def test_consent_link_leads_back_with_a_code(fake: FakeZalo) -> None:
    query = {"app_id": fake.app_id, "redirect_uri": "http://127.0.0.1/back"}
    query |= {"code_challenge": challenge(VERIFIER), "state": "s"}
    url = f"{fake.oauth}/v4/oa/permission"
    async with fake.http.get(url, params=query, allow_redirects=False) as answer:
        assert answer.status == 302
        assert answer.headers["Location"] == fake.callback


async def test_refresh_token_is_single_use_and_kills_the_access_token(
    fake: FakeZalo, lan: Person
) -> None:
    access, refresh = fake.tokens()
    assert (await send(fake, {"text": "a"}, token=access))["error"] == 0
    fresh = await token(fake, grant_type="refresh_token", refresh_token=refresh)
    assert (await send(fake, {"text": "b"}, token=access))["error"] == -216
    assert (await send(fake, {"text": "b"}, token=fresh["access_token"]))["error"] == 0
    error = await token(fake, grant_type="refresh_token", refresh_token=refresh)
    assert error == {
        "error": -14014,
        "error_name": "Invalid refresh token.",
        "error_description": "Invalid refresh token.",
    }
    fake.clock.move(days=91)
    late = {"refresh_token": fresh["refresh_token"]}
    assert (await token(fake, grant_type="refresh_token", **late))["error"] == -14014


async def test_wrong_secret_and_unknown_field_give_no_pair(fake: FakeZalo) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": fake.tokens()[1]}
    assert "error" in await token(fake, fake.oa_secret, **form)
    assert fake.mistakes == []
    assert "error" in await token(fake, scope="all", **form)
    assert fake.mistakes == ["scope is invalid!"]
    assert "access_token" in await token(fake, **form)


async def test_access_token_expires_after_25_hours(fake: FakeZalo, lan: Person) -> None:
    assert (await send(fake, {"text": "a"}, token="other"))["error"] == -216
    access, _ = fake.tokens()
    fake.clock.move(hours=25)
    assert (await send(fake, {"text": "a"}, token=access))["error"] == 0
    fake.clock.move(seconds=1)
    assert (await send(fake, {"text": "a"}, token=access))["error"] == -220


async def test_lost_answer_uses_the_refresh_token_up(fake: FakeZalo) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": fake.tokens()[1]}
    fake.fault("POST /v4/oa/access_token", lost=True)
    with pytest.raises(ServerDisconnectedError):
        await token(fake, **form)
    assert (await token(fake, **form))["error"] == -14014


# Windows and limits


async def test_windows_follow_the_last_interaction(fake: FakeZalo, lan: Person) -> None:
    answer = await send(fake, {"text": "a"})
    assert answer["data"]["quota"] == {"quota_type": "reply"}
    assert answer["data"]["user_id"] == LAN
    assert answer["data"]["sent_time"] == str(fake.clock.ms)
    fake.clock.move(hours=48, seconds=1)
    billed = await send(fake, {"text": "b"})
    assert billed["error"] == 0
    assert "quota" not in billed["data"]
    fake.clock.move(days=5)
    late = await send(fake, {"text": "c"})
    assert late == {
        "error": -230,
        "message": "User has not interacted with the OA in the past 7 days",
    }
    await lan.reads(answer["data"]["message_id"])
    assert (await send(fake, {"text": "c"}))["error"] == -230
    await lan.says("Alo")
    assert (await send(fake, {"text": "c"}))["data"]["quota"] == {"quota_type": "reply"}
    assert [heard.text for heard in lan.heard] == ["a", "b", "c"]


async def test_stranger_cannot_be_written_to_but_a_follower_can(fake: FakeZalo) -> None:
    lan = fake.person(LAN)
    assert (await send(fake, {"text": "a"}))["error"] == -232
    assert (await send(fake, {"text": "a"}, to="5"))["error"] == -201
    await lan.follows()
    kinds = [(await send(fake, {"text": "a"}))["data"].get("quota") for _ in range(4)]
    assert [kind["quota_type"] if kind else None for kind in kinds] == [
        *["welcome_msg"] * 3,
        "reply",
    ]
    lan.refuses_with = -244
    assert (await send(fake, {"text": "a"}))["error"] == -244
    assert fake.mistakes == []


async def test_calls_per_minute_are_limited(fake: FakeZalo, lan: Person) -> None:
    fake.per_minute = 2
    codes = [(await send(fake, {"text": "a"}))["error"] for _ in range(3)]
    assert codes == [0, 0, -32]
    fake.clock.move(minutes=1)
    assert (await send(fake, {"text": "a"}))["error"] == 0


REQUEST = {"title": "Họ tên", "subtitle": "Để báo kết quả", "image_url": "https://example.org/a"}


def request_info(**changed: Any) -> dict[str, Any]:
    payload = {"template_type": "request_user_info", "elements": [REQUEST | changed]}
    return {"attachment": {"type": "template", "payload": payload}}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"text": "ă" * 2000}, 0),
        ({"text": "ă" * 2001}, -210),
        (with_buttons(*[button()] * 5), 0),
        (with_buttons(*[button()] * 6), -210),
        (with_buttons(button("t" * 100, "p" * 1000)), 0),
        (with_buttons(button("t" * 101)), -210),
        (with_buttons(button(payload="p" * 1001)), -210),
        (with_buttons(button(type_="oa.open.url", payload={"url": "https://example.org"})), 0),
        (with_buttons(button(type_="oa.open.phone", payload={"phone_code": "84900000000"})), 0),
        (media(media_type="image", url="https://example.org/a.jpg"), 0),
        (media(media_type="gif", url="https://example.org/a.gif", width=1, height=1), 0),
        (request_info(), 0),
        (request_info(title="t" * 101), -210),
        ({"attachment": {**TEMPLATE, "payload": {"template_type": "list"}}}, -233),
    ],
)
async def test_limits(fake: FakeZalo, lan: Person, message: Any, code: int) -> None:
    assert (await send(fake, message))["error"] == code
    assert fake.mistakes == []
    assert len(lan.heard) == (1 if code == 0 else 0)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({}, "message"),
        ({"text": ""}, "text"),
        ({"text": "a", "parse_mode": "html"}, "message.parse_mode"),
        (with_buttons(), "buttons"),
        (with_buttons(button() | {"icon": "x"}), "button.icon"),
        (with_buttons(button(type_="postback")), "button.type"),
        (with_buttons(button(payload={"a": 1})), "payload"),
        (with_buttons(button(type_="oa.open.url", payload="https://a")), "payload"),
        ({"attachment": with_buttons(button())["attachment"]}, "buttons"),
        (media(media_type="image", url="https://a", attachment_id="b"), "attachment_id"),
        (media(media_type="gif", url="https://a/b.gif"), "element.width"),
        ({**request_info(), "text": "a"}, "text"),
    ],
)
async def test_wrong_fields_are_refused_and_remembered(
    fake: FakeZalo, lan: Person, message: Any, named: str
) -> None:
    answer = await send(fake, message)
    assert answer == {"error": -201, "message": f"{named} is invalid!"}
    assert fake.mistakes == [f"POST /v3.0/oa/message/cs: {named} is invalid!"]
    assert lan.heard == []


async def test_unknown_call_is_a_mistake(fake: FakeZalo) -> None:
    async with fake.http.post(f"{fake.api}/v3.0/oa/message") as answer:
        assert answer.status == 404
    assert fake.mistakes


async def test_quote_must_be_of_the_same_person(fake: FakeZalo, lan: Person) -> None:
    msg_id = await lan.says("Hỏi")
    assert (await send(fake, {"text": "a", "quote_message_id": msg_id}))["error"] == 0
    assert (await send(fake, {"text": "a", "quote_message_id": "zz"}))["error"] == -201


# Uploads


async def test_uploaded_image_is_sent_until_it_expires(fake: FakeZalo, lan: Person) -> None:
    id_ = (await upload(fake, "image", "a.png", b"PNG"))["data"]["attachment_id"]
    message = media(media_type="image", attachment_id=id_) | {"text": "Sơ đồ"}
    assert (await send(fake, message))["error"] == 0
    assert (lan.heard[0].image, lan.heard[0].text) == (b"PNG", "Sơ đồ")
    fake.clock.move(days=7, seconds=1)
    await lan.says("Gửi lại")
    assert (await send(fake, message))["error"] == -100


async def test_uploaded_file_is_sent_by_its_token(fake: FakeZalo, lan: Person) -> None:
    token = (await upload(fake, "file", "a.pdf", b"PDF"))["data"]["token"]
    file = {"attachment": {"type": "file", "payload": {"token": token}}}
    assert (await send(fake, file))["error"] == 0
    assert lan.heard[0].file == b"PDF"
    file["attachment"]["payload"] = {"token": "other"}
    assert (await send(fake, file))["error"] == -201


@pytest.mark.parametrize(
    ("kind", "name", "size", "code"),
    [
        ("image", "a.jpg", 2**20, 0),
        ("image", "a.jpg", 2**20 + 1, -210),
        ("image", "a.gif", 1, -201),
        ("gif", "a.gif", 5 * 2**20, 0),
        ("file", "a.csv", 5 * 2**20 + 1, -210),
        ("file", "a.exe", 1, -201),
    ],
)
async def test_uploads_are_limited(
    fake: FakeZalo, kind: str, name: str, size: int, code: int
) -> None:
    assert (await upload(fake, kind, name, b"x" * size))["error"] == code


# Buttons, echoes, officers


async def test_press_and_typing_cannot_be_told_apart(
    fake: FakeZalo, receiver: Receiver, lan: Person
) -> None:
    await send(fake, with_buttons(button("Có", "#b1.old"), button("Không", "#b1.no")))
    await send(fake, with_buttons(button("Có", "#b1.new")))
    assert lan.heard[0].buttons == ["Có", "Không"]
    await lan.presses("Có")
    await lan.types("#b1.new")
    pressed, typed = receiver.named("user_send_text")[-2:]
    assert pressed["message"]["text"] == typed["message"]["text"] == "#b1.new"
    assert pressed.keys() == typed.keys()
    assert pressed["message"].keys() == typed["message"].keys()
    with pytest.raises(LookupError):
        await lan.presses("Thôi")


async def test_buttons_may_be_refused(fake: FakeZalo, lan: Person) -> None:
    fake.buttons_refused = True
    assert (await send(fake, with_buttons(button())))["error"] == -233
    assert (await send(fake, {"text": "1. Tra cứu"}))["error"] == 0


async def test_only_an_officers_echo_has_an_admin_id(
    fake: FakeZalo, receiver: Receiver, lan: Person
) -> None:
    sent = await send(fake, {"text": "Trợ lý đây"})
    await fake.settled()
    await fake.officer_writes(lan, "Cán bộ đây")
    ours, officers = receiver.named("oa_send_text")
    assert ours["message"]["msg_id"] == sent["data"]["message_id"]
    assert ours["sender"] == {"id": fake.oa_id}
    assert ours["recipient"] == {"id": LAN}
    assert officers["sender"].keys() == {"id", "admin_id"}
    assert [heard.from_officer for heard in lan.heard] == [False, True]


async def test_receipts_and_echoes_are_switches(
    fake: FakeZalo, receiver: Receiver, lan: Person
) -> None:
    fake.echoes, fake.tells_received, fake.tells_seen = False, True, True
    id_ = (await send(fake, {"text": "a"}))["data"]["message_id"]
    await fake.settled()
    assert receiver.named("oa_send_text") == []
    assert receiver.named("user_received_message")[0]["message"] == {"msg_id": id_}
    assert receiver.named("user_seen_message")[0]["message"] == {"msg_ids": [id_]}


async def test_person_is_asked_for_data_and_gives_it(
    fake: FakeZalo, receiver: Receiver, lan: Person
) -> None:
    await send(fake, request_info())
    assert lan.heard[0].asked_info
    await lan.submits_info(phone="84900000000", name="Trần Thị Lan")
    info = receiver.named("user_submit_info")[0]["info"]
    assert info.keys() == {"name", "phone", "user_dob", "gender", "full_address"}


async def test_anonymous_person_is_answered_by_v2(fake: FakeZalo, receiver: Receiver) -> None:
    someone = fake.anonymous("anon-1", "conv-1")
    await someone.says("Tôi giấu tên")
    event = receiver.named("anonymous_send_text")[0]
    assert event["message"]["conversation_id"] == "conv-1"
    to = {"anonymous_id": "anon-1", "conversation_id": "conv-1"}
    body = {"recipient": to, "message": {"text": "Vâng"}}
    answer = await call(fake, "/v2.0/oa/message", body)
    assert answer["data"] == {"message_id": someone.heard[0].message_id, **to}
    assert (await send(fake, {"text": "a"}, to="anon-1"))["error"] == -201
    body["recipient"] = {"user_id": LAN}
    assert (await call(fake, "/v2.0/oa/message", body))["error"] == -240


async def test_health_and_profile(fake: FakeZalo, lan: Person) -> None:
    assert (await call(fake, "/v2.0/oa/getoa", verb="GET"))["data"]["oa_type"] == 4
    path = f'/v3.0/oa/user/detail?data={{"user_id":"{LAN}"}}'
    assert (await call(fake, path, verb="GET"))["data"]["display_name"] == "Lan"


async def test_another_process_acts_by_the_control_routes(
    fake: FakeZalo, receiver: Receiver
) -> None:
    url = f"{fake.url}/_ctl/person/{LAN}/says"
    async with fake.http.post(url, json={"text": "Chào", "sign": "bad"}) as answer:
        msg_id = (await answer.json())["result"]
    assert receiver.events[-1]["message"] == {"msg_id": msg_id, "text": "Chào"}
