"""What each part of a reply becomes on each channel, as one table."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import pytest
from aiohttp import ClientSession

from bot.channels.rasa import TURN, RasaActions
from bot.channels.web import WebChat
from bot.gateway import Parts, assemble, create_app, reception_of
from bot.message import (
    AskContactBlock,
    AskLocationBlock,
    Block,
    ChoicesBlock,
    DetailsBlock,
    FileBlock,
    MoreBlock,
    OfferedChoice,
    Sender,
    TextBlock,
)
from bot.plain import plain_text
from bot.settings import Settings
from bot.store import Session, Store, conversations, outbox
from bot.store.files import StoredFile
from bot.turn import House
from tests.fakes.nlu import FakeNlu
from tests.fakes.platform import VirtualClock
from tests.fakes.rasa import FakeRasa
from tests.fakes.seats import TOWNS, Seen, put_file
from tests.fakes.telegram import JPEG
from tests.fakes.visitor import Visitor, running

OFFICE = "ubnd_phuong_vi_du"
HEADED = TextBlock(text="## Giấy tờ\nTờ khai theo mẫu.")
WHERE = TextBlock(text="Việc đó xảy ra ở đâu ạ?")
WHOM = TextBlock(text="Liên hệ với số nào ạ?")
WHICH = TextBlock(text="Anh/Chị cần việc nào ạ?")
SENTENCE = "Anh/Chị mang theo giấy chứng sinh và tờ khai theo mẫu."


def choices(number: int) -> ChoicesBlock:
    offered = (
        OfferedChoice(number=n, label=f"Việc {n}", token=f"AAAAAAAAAAAAAAA{n}")
        for n in range(1, number + 1)
    )
    return ChoicesBlock(choices=tuple(offered))


SHOWN: Mapping[str, Sequence[Block | StoredFile]] = {
    "words with a heading": [HEADED],
    "details": [DetailsBlock(summary="Căn cứ", text="Luật Hộ tịch: Điều 16")],
    "more": [MoreBlock(summary="Xem thêm", text="Thời hạn: trong ngày.")],
    "3 choices": [WHICH, choices(3)],
    "7 choices": [WHICH, choices(7)],
    "an image": [HEADED, StoredFile("sau.jpg", "image/jpeg", JPEG)],
    "a document": [HEADED, StoredFile("don.pdf", "application/pdf", b"%PDF-1.7")],
    "asking for a place": [WHERE, AskLocationBlock(label="Gửi vị trí", words="Gõ tên đường ạ.")],
    "asking for a number": [WHOM, AskContactBlock(label="Gửi số", words="Gõ số giúp tôi.")],
    "4.400 letters": [TextBlock(text=" ".join([SENTENCE] * 80))],
}

CHANNELS = ("telegram", "zalo", "web", "rasa", "terminal")
NUMBERS = {n: "\n".join(f"{i}. Việc {i}" for i in range(1, n + 1)) for n in (3, 7)}
BUTTONS = {n: " ".join(f"[Việc {i}]" for i in range(1, n + 1)) for n in (3, 7)}
ASKED = {n: f"Anh/Chị cần việc nào ạ?\n\n{NUMBERS[n]}" for n in (3, 7)}
TITLE = "Giấy tờ\nTờ khai theo mẫu."
LONG = "Anh/Chị mang theo giấy …"
PLACE_IN_WORDS = "Việc đó xảy ra ở đâu ạ?\n\nGõ tên đường ạ."
NUMBER_IN_WORDS = "Liên hệ với số nào ạ?\n\nGõ số giúp tôi."
WEB_WHICH = "text: Anh/Chị cần việc nào ạ?"
WEB_TITLE = "text: ## Giấy tờ\nTờ khai theo mẫu."

TABLE: Mapping[str, Mapping[str, list[str]]] = {
    "words with a heading": {
        "telegram": [TITLE],
        "zalo": [TITLE],
        "web": [WEB_TITLE],
        "rasa": [TITLE],
        "terminal": [TITLE],
    },
    "details": {
        "telegram": ["Căn cứ\nLuật Hộ tịch: Điều 16"],
        "zalo": ["Căn cứ\nLuật Hộ tịch: Điều 16"],
        "web": ["details: Căn cứ | Luật Hộ tịch: Điều 16"],
        "rasa": ["Căn cứ\nLuật Hộ tịch: Điều 16"],
        "terminal": ["Căn cứ\nLuật Hộ tịch: Điều 16"],
    },
    "more": {
        "telegram": ["Xem thêm\nThời hạn: trong ngày."],
        "zalo": ["Xem thêm\nThời hạn: trong ngày."],
        "web": ["more: Xem thêm | Thời hạn: trong ngày."],
        "rasa": ["Xem thêm\nThời hạn: trong ngày."],
        "terminal": ["Xem thêm\nThời hạn: trong ngày."],
    },
    "3 choices": {
        "telegram": [f"{ASKED[3]} {BUTTONS[3]}"],
        "zalo": [f"{ASKED[3]} {BUTTONS[3]}"],
        "web": [WEB_WHICH, f"choices: {BUTTONS[3]}"],
        "rasa": [f"{ASKED[3]} {BUTTONS[3]}"],
        "terminal": [ASKED[3]],
    },
    "7 choices": {
        "telegram": [f"{ASKED[7]} {BUTTONS[7]}"],
        "zalo": [ASKED[7]],
        "web": [WEB_WHICH, f"choices: {BUTTONS[7]}"],
        "rasa": [f"{ASKED[7]} {BUTTONS[7]}"],
        "terminal": [ASKED[7]],
    },
    "an image": {
        "telegram": [TITLE, "(picture)"],
        "zalo": [TITLE, "(picture)"],
        "web": [WEB_TITLE, "file: sau.jpg, image/jpeg"],
        "rasa": [f"{TITLE}\n\nsau.jpg"],
        "terminal": [f"{TITLE}\n\nsau.jpg"],
    },
    "a document": {
        "telegram": [TITLE, "(document)"],
        "zalo": [TITLE, "(document)"],
        "web": [WEB_TITLE, "file: don.pdf, application/pdf"],
        "rasa": [f"{TITLE}\n\ndon.pdf"],
        "terminal": [f"{TITLE}\n\ndon.pdf"],
    },
    "asking for a place": {
        "telegram": ["Việc đó xảy ra ở đâu ạ? key [Gửi vị trí]"],
        "zalo": [PLACE_IN_WORDS],
        "web": ["text: Việc đó xảy ra ở đâu ạ?", "ask_location: Gửi vị trí | Gõ tên đường ạ."],
        "rasa": [PLACE_IN_WORDS],
        "terminal": [PLACE_IN_WORDS],
    },
    "asking for a number": {
        "telegram": ["Liên hệ với số nào ạ? key [Gửi số]"],
        "zalo": ["Liên hệ với số nào ạ?", "card [Gửi số]"],
        "web": ["text: Liên hệ với số nào ạ?", "ask_contact: Gửi số | Gõ số giúp tôi."],
        "rasa": [NUMBER_IN_WORDS],
        "terminal": [NUMBER_IN_WORDS],
    },
    "4.400 letters": {
        "telegram": [LONG] * 2,
        "zalo": [LONG] * 3,
        "web": [f"text: {LONG}"],
        "rasa": [LONG],
        "terminal": [LONG],
    },
}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def parts(
    tmp_path: Path, house: House, store: Store, clock: VirtualClock, fake_nlu: FakeNlu
) -> Parts:
    fake_nlu.knows("chào", "greet")
    settings = Settings(_env_file=None, var=tmp_path, nlu_url=fake_nlu.url)
    return assemble(settings, house, store, clock)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("shown", TABLE)
async def test_what_a_part_of_a_reply_becomes(shown: str, channel: str, parts: Parts) -> None:
    drawn = await DRAWN[channel](parts, SHOWN[shown])
    assert [_shortened(one) for one in drawn] == TABLE[shown][channel]


def test_the_table_is_whole() -> None:
    assert list(TABLE) == list(SHOWN)
    assert {tuple(row) for row in TABLE.values()} == {CHANNELS}
    kinds = {type(block) for blocks in SHOWN.values() for block in blocks} - {StoredFile}
    assert kinds | {FileBlock} == set(_kinds())


def _kinds() -> tuple[type, ...]:
    union, _ = get_args(Block)
    return get_args(union)


def _shortened(drawn: str) -> str:
    head, found, _ = drawn.partition(SENTENCE)
    return f"{head}{LONG}" if found else drawn


# How each channel's replies are drawn.

Content = Sequence[Block | StoredFile]


async def blocks_for(parts: Parts, sender: Sender, content: Content) -> list[Block]:
    """A reply's blocks, with its files kept as that person's."""
    now = parts.clock()
    return [
        await parts.store.run(put_file, sender, one, OFFICE, now)
        if isinstance(one, StoredFile)
        else one
        for one in content
    ]


async def in_messenger(name: str, parts: Parts, content: Content) -> list[str]:
    async with TOWNS[name](parts, parts.clock, couriers=False) as town:
        await town.lan.says("chào")
        blocks = await blocks_for(parts, town.sender(town.lan), content)
        seen = await town.delivers(town.lan, *blocks)
        sent = [call for call in town.fake.calls if "upload" not in call.method]
        assert len(sent) == len(seen), "the platform refused something"
        return [_as_seen(one) for one in seen]


def _as_seen(one: Seen) -> str:
    if one.card:
        return f"card [{one.words}]"
    attached = "(picture)" if one.picture else "(document)" if one.document else ""
    keys = [f"key [{label}]" for label in one.keys]
    return " ".join(filter(None, [one.words, attached, *keys, *_labels(one.buttons)]))


def _labels(labels: Sequence[str]) -> list[str]:
    return [f"[{label}]" for label in labels]


async def on_web(parts: Parts, content: Content) -> list[str]:
    async with (
        running(create_app(parts, [WebChat(reception_of(parts))])) as url,
        Visitor(url) as visitor,
    ):
        sender = Sender("web", OFFICE, sha256(visitor.cookie.encode()).hexdigest())
        await parts.store.run(put, sender, await blocks_for(parts, sender, content), parts)
        [reply] = (await visitor.history())["messages"]
        return [_as_json(block) for block in reply["blocks"]]


def _as_json(block: dict[str, Any]) -> str:
    match block:
        case {"type": "choices", "choices": offered}:
            told = " ".join(_labels([choice["label"] for choice in offered]))
        case {"type": "file", "name": name, "media_type": media_type}:
            told = f"{name}, {media_type}"
        case {"type": _, **words}:
            told = " | ".join(words.values())
    return f"{block['type']}: {told}"


async def through_rasa(parts: Parts, content: Content) -> list[str]:
    app = create_app(parts, [RasaActions(reception_of(parts))])
    async with running(app) as url, ClientSession() as session:
        sender = Sender("rasa", OFFICE, "lan")
        await parts.store.run(put, sender, await blocks_for(parts, sender, content), parts)
        first, *_ = await FakeRasa(url, session, {"greet": TURN}).says("lan", "chào", "greet")
        titles = [button["title"] for button in first["buttons"]]
        return [" ".join([first["text"], *_labels(titles)])]


async def in_terminal(parts: Parts, content: Content) -> list[str]:
    sender = Sender("ask", "ask", "lan")
    return [plain_text(await blocks_for(parts, sender, content))]


def put(session: Session, sender: Sender, blocks: Sequence[Block], parts: Parts) -> None:
    """Puts a reply into the outbox of somebody."""
    now = parts.clock()
    conversation = conversations.of(session, sender, OFFICE, now)
    session.flush()
    outbox.put(session, conversation.id, blocks, now, parts.house.words_until(now))


DRAWN: Mapping[str, Callable[[Parts, Content], Awaitable[list[str]]]] = {
    "telegram": partial(in_messenger, "telegram"),
    "zalo": partial(in_messenger, "zalo"),
    "web": on_web,
    "rasa": through_rasa,
    "terminal": in_terminal,
}
