"""What leaves for each platform, as it stands on the wire, to be repeated there by hand.

`section` names the part of the channel reference on which a request rests; ids and secrets are in
angle brackets. After a change that is meant: `python -m tests.golden` writes the files anew.
"""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.channels.telegram.setup import connect
from bot.gateway import Parts
from bot.message import (
    AskContactBlock,
    AskLocationBlock,
    Block,
    ChoicesBlock,
    OfferedChoice,
    TextBlock,
)
from tests.fakes.platform import Call, Upload, VirtualClock
from tests.fakes.seats import SECRET, TOWNS, Town
from tests.fakes.visitor import until

FOLDER = Path(__file__).parent
JPEG = b"\xff\xd8\xff\xe0 a picture \xff\xd9"
GIF = b"GIF89a" + (320).to_bytes(2, "little") + (240).to_bytes(2, "little") + b"\0" * 8

WORDS = TextBlock(text="## Giấy tờ\n- Tờ khai\n- Giấy chứng sinh")
CHOICES = ChoicesBlock(
    choices=(
        OfferedChoice(number=1, label="Đồng ý", token="AAAAAAAAAAAAAAA1"),
        OfferedChoice(number=2, label="Không đồng ý", token="AAAAAAAAAAAAAAA2"),
    )
)
PLACE = AskLocationBlock(label="Gửi vị trí của tôi", words="Anh/Chị gõ tên đường giúp tôi.")
NUMBER = AskContactBlock(label="Gửi số điện thoại của tôi", words="Anh/Chị gõ số điện thoại.")

Golden = dict[str, Any]
Act = Callable[[Town], Awaitable[Any]]


def says(*blocks: Block) -> Act:
    """Sends one reply."""

    async def act(town: Town) -> None:
        await town.delivers(town.lan, *blocks)

    return act


def shows(name: str, media_type: str, content: bytes) -> Act:
    """Sends a file of ours."""

    async def act(town: Town) -> None:
        await town.delivers(town.lan, await town.file(town.lan, name, media_type, content))

    return act


async def _answers_a_press(town: Town) -> None:
    await town.delivers(town.lan, WORDS, CHOICES)
    town.fake.calls.clear()
    await town.lan.presses("Đồng ý")

    async def answered() -> bool:
        return bool(town.fake.calls)

    await until(answered)


async def _fetches_a_file_by_id(town: Town) -> None:
    await town.messenger.fetch(town.fake.keep(JPEG, "photo.jpg")["file_id"])


async def _fetches_a_file_by_address(town: Town) -> None:
    await town.messenger.fetch(town.fake.keep_file("photo.jpg", JPEG))


async def _connects(town: Town) -> None:
    house, public = town.parts.house, "https://hoi.example.vn"
    office = house.office(town.parts.settings.office)
    words: Callable[[str], str] = lambda reply: house.replies.line(reply, office=office)  # noqa: E731
    await connect(town.settings, public, house.shortcuts, words, lambda _: None)


async def _fetches_updates(town: Town) -> None:
    await town.fake.http.post(f"{town.fake.base_url}{town.fake.token}/deleteWebhook")
    await town.lan.says("chào")
    town.fake.calls.clear()
    await town.messenger.poller.once()  # type: ignore[attr-defined]


async def _renews_its_token(town: Town) -> None:
    town.clock.move(hours=21)
    await town.lan.says("chào")
    await town.delivers(town.lan, WORDS)


async def _is_refused_its_buttons(town: Town) -> None:
    town.fake.buttons_refused = True
    await town.delivers(town.lan, WORDS, CHOICES)
    town.fake.buttons_refused = False


SENDS: Mapping[str, Mapping[str, tuple[str, Act]]] = {
    "telegram": {
        "words": ("5.3", says(WORDS)),
        "choices": ("5.3", says(WORDS, CHOICES)),
        "asks_for_a_place": ("5.3", says(WORDS, PLACE)),
        "asks_for_a_number": ("5.3", says(WORDS, NUMBER)),
        "picture": ("5.3", shows("sau.jpg", "image/jpeg", JPEG)),
        "document": ("5.3", shows("trả lời.pdf", "application/pdf", b"%PDF-1.7")),
        "press_is_answered": ("5.3", _answers_a_press),
        "citizens_file": ("5.3", _fetches_a_file_by_id),
        "connects": ("5.1", _connects),
        "fetches_updates": ("5.1", _fetches_updates),
    },
    "zalo": {
        "words": ("3.6", says(WORDS)),
        "choices": ("3.6", says(WORDS, CHOICES)),
        "choices_refused": ("3.6", _is_refused_its_buttons),
        "asks_for_a_place": ("3.6", says(WORDS, PLACE)),
        "asks_for_a_number": ("3.6", says(NUMBER)),
        "picture": ("3.7", shows("sau.jpg", "image/jpeg", JPEG)),
        "moving_picture": ("3.7", shows("cach-lam.gif", "image/gif", GIF)),
        "document": ("3.7", shows("trả lời.pdf", "application/pdf", b"%PDF-1.7")),
        "citizens_file": ("3.4", _fetches_a_file_by_address),
        "token": ("3.1", _renews_its_token),
    },
}


async def recorded(channel: str, parts: Parts, clock: VirtualClock) -> dict[str, Golden]:
    """Every request of a channel, made against its fake."""
    found = {}
    async with TOWNS[channel](parts, clock, couriers=False) as town:
        await town.lan.says("chào")
        for name, (section, act) in SENDS[channel].items():
            town.fake.calls.clear()
            await act(town)
            hidden = dict(_hidden(town))
            requests = [_told(call, hidden) for call in town.fake.calls]
            found[name] = {"section": section, "requests": requests}
    return found


def kept(channel: str) -> dict[str, Golden]:
    """The requests as they stand in the files."""
    return {path.stem: json.loads(path.read_text()) for path in (FOLDER / channel).glob("*.json")}


def _told(call: Call, hidden: Mapping[str, str]) -> Golden:
    told: Golden = {"line": call.line}
    media_type = call.headers.get("Content-Type", "").partition(";")[0]
    told |= {"type": media_type} if media_type else {}
    secrets = ("access_token", "secret_key")
    told |= {name: call.headers[name] for name in secrets if name in call.headers}
    fields = json.loads(json.dumps(call.fields, default=_upload))
    return dict(_named({**told, "fields": fields}, hidden))


def _named(value: Any, hidden: Mapping[str, str]) -> Any:
    """The same with names in the place of what is hidden."""
    match value:
        case dict():
            return {key: _named(one, hidden) for key, one in value.items()}
        case list():
            return [_named(one, hidden) for one in value]
        case int() | str() if str(value) in hidden:
            return f"<{hidden[str(value)]}>"
        case str():
            long = (one for one in hidden if len(one) > 8)
            for one in long:
                value = value.replace(one, f"<{hidden[one]}>")
    return value


def _upload(upload: Upload) -> dict[str, Any]:
    return {"name": upload.name, "type": upload.media_type, "bytes": len(upload.content)}


def _hidden(town: Town) -> Iterator[tuple[str, str]]:
    """What is another thing each time, or is nobody's business."""
    fake = town.fake
    yield town.lan.id, "person"
    if town.messenger.name == "telegram":
        yield from ((fake.token, "token"), (SECRET, "secret"))
        return
    yield from ((fake.app_id, "app id"), (fake.app_secret, "app secret"))
    for call in fake.calls:
        yield call.headers.get("access_token", "no access token"), "access token"
        yield call.fields.get("refresh_token", "no refresh token"), "refresh token"
    yield from ((upload, "upload") for upload in fake._uploads)
    yield from ((kept, "file") for kept in fake._files)
