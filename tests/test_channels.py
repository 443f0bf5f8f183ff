"""One suite for every messenger: what a citizen does and gets is the same on each platform."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actions.cases import CaseCode
from bot import desk
from bot.courier import Courier
from bot.gateway import Parts, assemble
from bot.message import TextBlock
from bot.settings import Settings
from bot.store import Session, Store, cases, files, outbox
from bot.store.files import StoredFile
from bot.store.keys import KeyRing
from bot.turn import House
from tests.conftest import START
from tests.fakes.nlu import FakeNlu
from tests.fakes.platform import VirtualClock
from tests.fakes.seats import TOWNS, Seat, Seen, Town
from tests.fakes.telegram import JPEG
from tests.fakes.visitor import code_in, until

KHAI_SINH = ("dang_ky_khai_sinh", "procedure")
FEE = "lệ phí khai sinh bao nhiêu"
GIFT = "doanh nghiệp gửi giỏ quà tết, tôi nhận có được không"
STORY = "đèn đường trước cổng chợ hỏng cả tuần nay"
HOLD = 61
"""Seconds after which a letter is taken back from a courier that was stopped."""


@pytest.fixture
def clock() -> VirtualClock:
    """Platform and gateway read one clock."""
    return VirtualClock(START)


@pytest.fixture
def parts(
    tmp_path: Path, house: House, store: Store, clock: VirtualClock, fake_nlu: FakeNlu
) -> Parts:
    fake_nlu.knows("chào", "greet")
    fake_nlu.knows("cảm ơn", "thanks")
    fake_nlu.knows(FEE, "ask_procedure", facets=("fee",), topic=KHAI_SINH)
    fake_nlu.knows(GIFT, "ask_conduct", topic=("qua_tet_doanh_nghiep", "situation"))
    fake_nlu.knows(STORY, "bring_case", kind="feedback")
    settings = Settings(_env_file=None, var=tmp_path, nlu_url=fake_nlu.url, nlu_timeout=5.0)
    return assemble(settings, house, store, clock)


@pytest.fixture(params=TOWNS)
async def town(
    request: pytest.FixtureRequest, parts: Parts, clock: VirtualClock
) -> AsyncIterator[Town]:
    """Every test that asks for it runs on every messenger."""
    async with TOWNS[request.param](parts, clock) as town:
        yield town
        assert town.fake.mistakes == []


def words(seen: list[Seen]) -> str:
    return "\n".join(one.words for one in seen)


async def files_case(town: Town, seat: Seat) -> str:
    """Brings a case without a name; gives its code."""
    await town.hears(seat, seat.says(STORY))
    await town.hears(seat, seat.presses("Đồng ý"))
    await town.hears(seat, seat.says("cổng chợ"))
    await town.hears(seat, seat.says("từ thứ hai"))
    await town.hears(seat, seat.presses("Gửi không nêu tên"))
    return code_in(words(await town.hears(seat, seat.presses("Gửi"))))


async def letters(town: Town) -> list[tuple[str, str]]:
    """Kind and state of every letter, in order."""

    def read(session: Session) -> list[tuple[str, str]]:
        everything = ("ready", "sending", "sent", "unknown", "dead", "dropped")
        return [(one.kind, one.state) for one in outbox.unsettled(session, everything)]

    return await town.parts.store.run(read)


# What citizens come for.


async def test_a_fee_is_told_with_its_source(town: Town) -> None:
    told = await town.hears(town.lan, town.lan.says(FEE))
    assert "Đăng ký khai sinh" in told[0].words
    assert "Bản sao, nếu Anh/Chị xin thêm: 8.000 đồng/bản" in told[0].words
    assert "Luật Hộ tịch (60/2014/QH13)" in words(told)
    assert [bool(one.buttons) for one in told] == [False] * (len(told) - 1) + [True]


async def test_a_question_of_conduct_gets_its_advice(town: Town) -> None:
    answer = words(await town.hears(town.lan, town.lan.says(GIFT)))
    assert "quà" in answer


async def test_a_case_goes_through_its_form_and_its_answer_arrives_by_itself(
    town: Town, keys: KeyRing
) -> None:
    lan = town.lan
    [consent] = await town.hears(lan, lan.says(STORY))
    assert consent.buttons[0] == "Đồng ý"
    assert STORY in words(await town.hears(lan, lan.presses("Đồng ý")))
    await town.hears(lan, lan.says("cổng chợ"))
    await town.hears(lan, lan.says("từ thứ hai"))
    await town.hears(lan, lan.says("Nguyễn Thị Ví Dụ"))
    [summary] = await town.hears(lan, lan.says("0900 000 000"))
    assert all(told in summary.words for told in (STORY, "cổng chợ", "Nguyễn Thị Ví Dụ"))
    code = code_in(words(await town.hears(lan, lan.presses("Gửi"))))

    another = Store(town.parts.store.engine.url.render_as_string(False), keys, durable=False)
    said = "Tổ điện đã thay bóng đèn."
    case = (town.parts.house, CaseCode.parse(code), said, "officer", town.clock())
    await another.run(desk.answer, *case)
    another.close()
    town.clock.move(seconds=5)

    async def arrived() -> bool:
        return said in lan.heard[-1].words

    await until(arrived)
    assert code in lan.heard[-1].words
    await town.settles()
    assert await letters(town) == [("reply", "sent")] * 7 + [("notice", "sent")]


async def test_an_officers_picture_comes_after_the_words(town: Town) -> None:
    code = await files_case(town, town.lan)
    picture = StoredFile("sau.jpg", "image/jpeg", JPEG)
    seen = await town.hears(town.lan, town.officer_answers(code, "Đã thay bóng đèn.", picture))
    assert [one.picture for one in seen] == [None, JPEG]
    assert "Đã thay bóng đèn." in seen[0].words


async def test_a_number_a_label_and_a_press_are_one_answer(town: Town) -> None:
    [greeting] = await town.hears(town.lan, town.lan.says("chào"))
    label = greeting.buttons[0]
    assert f"1. {label}" in greeting.words
    by_number = await town.hears(town.lan, town.lan.says("1"))
    await town.hears(town.lan, town.lan.says("chào"))
    by_label = await town.hears(town.lan, town.lan.says(label.upper()))
    await town.hears(town.lan, town.lan.says("chào"))
    by_press = await town.hears(town.lan, town.lan.presses(label))
    assert words(by_number) == words(by_label) == words(by_press) != words([greeting])


# What is not words.


async def test_a_place_and_a_telephone_number_are_answers(town: Town) -> None:
    lan = town.lan
    await town.hears(lan, lan.says(STORY))
    await town.hears(lan, lan.presses("Đồng ý"))
    await town.hears(lan, lan.shares_location(21.02, 105.85))
    await town.hears(lan, lan.says("hôm qua"))
    asked = await town.hears(lan, lan.says("Nguyễn Thị Ví Dụ"))
    assert any(one.keys or one.card for one in asked)
    [summary] = await town.hears(lan, lan.shares_contact())
    assert "21.02000, 105.85000" in summary.words
    assert lan.phone in summary.words


ALBUM_IS_TOLD = {"telegram": 1, "zalo": 3}
"""How often an album of three is acknowledged: Zalo knows no albums."""


async def test_photographs_go_with_the_case_and_are_fetched_and_kept(town: Town) -> None:
    lan, one, album = town.lan, JPEG + b"0", [JPEG + b"1", JPEG + b"2", JPEG + b"3"]
    await town.hears(lan, lan.says(STORY))
    await town.hears(lan, lan.presses("Đồng ý"))
    added = town.parts.house.replies.line("file_added")
    assert added in words(await town.hears(lan, lan.sends_photo(one)))
    told = await town.hears(lan, lan.sends_album(album))
    assert [added in seen.words for seen in told].count(True) == ALBUM_IS_TOLD[town.messenger.name]
    for answer in ("cổng chợ", "hôm qua"):
        await town.hears(lan, lan.says(answer))
    await town.hears(lan, lan.presses("Gửi không nêu tên"))
    code = code_in(words(await town.hears(lan, lan.presses("Gửi"))))
    assert await evidence(town, code) == [one, *album]


async def test_a_photograph_before_any_word_goes_with_the_case_that_follows(town: Town) -> None:
    lan = town.lan
    [offer] = await town.hears(lan, lan.sends_photo(JPEG))
    await town.hears(lan, lan.presses(offer.buttons[0]))
    await town.hears(lan, lan.presses("Đồng ý"))
    for answer in (STORY, "cổng chợ", "hôm qua"):
        await town.hears(lan, lan.says(answer))
    await town.hears(lan, lan.presses("Gửi không nêu tên"))
    code = code_in(words(await town.hears(lan, lan.presses("Gửi"))))
    assert await evidence(town, code) == [JPEG]


async def evidence(town: Town, code: str) -> list[bytes]:
    """The files of a case, as an officer reads them."""

    def read(session: Session) -> list[bytes]:
        parsed = CaseCode.parse(code)
        listed = files.of_case(session, cases.id_of(session, parsed))
        opened = (
            desk.read_file(session, parsed, one.id, "officer", "test", town.clock())
            for one in listed
        )
        return [file.content for file in opened]

    return await town.parts.store.run(read)


async def test_a_voice_message_is_answered_politely(town: Town) -> None:
    told = await town.hears(town.lan, town.lan.sends_voice())
    assert words(told) == town.parts.house.replies.line("not_readable")


# What comes twice, late, or from another.


async def test_a_message_that_comes_ten_times_is_answered_once(town: Town) -> None:
    id_ = await town.lan.says("chào")
    for _ in range(9):
        await town.fake.repeat(id_)
    await town.settles()
    assert len(town.lan.heard) == 1


async def test_messages_that_overtook_each_other_are_answered_in_their_order(
    town: Town, fake_nlu: FakeNlu
) -> None:
    lan = town.lan
    fake_nlu.fails = "slow"
    await lan.says("chào")

    async def under_way() -> bool:
        return fake_nlu.asked == ["chào"]

    await until(under_way)
    town.fake.hold = True
    thanks, fee = await lan.says("cảm ơn"), await lan.says(FEE)
    await town.fake.deliver_in([fee, thanks])
    fake_nlu.released.set()
    await town.settles()
    assert fake_nlu.asked == ["chào", "cảm ơn", FEE]
    thanked, about_fee = lan.heard[1:3]
    assert thanked.words == town.parts.house.replies.line("thanks")
    assert "Đăng ký khai sinh" in about_fee.words


async def test_a_button_of_last_month_is_answered_politely(town: Town) -> None:
    [greeting] = await town.hears(town.lan, town.lan.says("chào"))
    town.clock.move(days=30)
    told = await town.hears(town.lan, town.lan.presses(greeting.buttons[0]))
    assert words(told) == town.parts.house.replies.line("choice_gone")


async def test_a_button_does_nothing_in_another_persons_hand(town: Town) -> None:
    lan, minh = town.lan, town.minh
    await town.hears(minh, minh.says("chào"))
    await town.hears(lan, lan.says(STORY))
    gone = town.parts.house.replies.line("choice_gone")
    assert words(await town.hears(minh, minh.presses_token(lan.token("Đồng ý")))) == gone
    assert words(await town.hears(lan, lan.presses("Đồng ý"))) != gone


async def test_a_button_that_sends_a_case_sends_it_once(town: Town) -> None:
    lan = town.lan
    await files_case(town, lan)
    gone = town.parts.house.replies.line("choice_gone")
    assert words(await town.hears(lan, lan.presses("Gửi"))) == gone


# Who cannot be written to.


@pytest.mark.parametrize("way", ["we are told", "we find out"])
async def test_an_answer_waits_for_who_is_out_of_reach_until_they_write(
    town: Town, way: str
) -> None:
    lan = town.lan
    code = await files_case(town, lan)
    await (lan.leaves() if way == "we are told" else asyncio.sleep(0, lan.refuses()))
    said = "Tổ điện đã thay bóng đèn."
    assert await town.hears(lan, town.officer_answers(code, said)) == []
    town.clock.move(days=2)
    assert await town.hears(lan) == []
    await lan.comes_back()
    seen = await town.hears(lan, lan.says("cảm ơn"))
    assert said in seen[0].words
    assert sum(said in one.words for one in lan.heard) == 1
    assert {state for _, state in await letters(town)} == {"sent"}


# What platforms do when they are in trouble.

WAIT = {
    "telegram": {
        "status": 429,
        "body": {
            "ok": False,
            "error_code": 429,
            "description": "Too Many Requests: retry after 30",
            "parameters": {"retry_after": 30},
        },
    },
    "zalo": {"status": 429},
}
REFUSALS: dict[str, dict[str, dict[str, Any]]] = {
    "429": WAIT,
    "500": {name: {"status": 500} for name in TOWNS},
    "a page": {name: {"status": 502, "body": b"<html>Bad Gateway</html>"} for name in TOWNS},
}


@pytest.mark.parametrize("trouble", REFUSALS)
async def test_what_a_platform_refuses_for_minutes_comes_later_whole_and_in_order(
    town: Town, trouble: str
) -> None:
    lan, minh = town.lan, town.minh
    for text in ("chào", FEE, "cảm ơn"):
        await town.hears(minh, minh.says(text))
    began = town.clock()
    town.fake.fault(town.sending, times=7, **REFUSALS[trouble][town.messenger.name])
    for text in ("chào", FEE, "cảm ơn"):
        await lan.says(text)
    await town.settles(step=10)
    assert (town.clock() - began).total_seconds() > 100
    assert [one.words for one in lan.heard] == [one.words for one in minh.heard]
    assert {state for _, state in await letters(town)} == {"sent"}


FETCHING = {"telegram": "getFile", "zalo": "file"}


async def test_a_file_that_is_refused_for_minutes_is_fetched_later(town: Town) -> None:
    lan = town.lan
    await town.hears(lan, lan.says(STORY))
    await town.hears(lan, lan.presses("Đồng ý"))
    await town.hears(lan, lan.sends_photo(JPEG))
    for answer in ("cổng chợ", "hôm qua", "không nêu tên"):
        await town.hears(lan, lan.says(answer))
    began = town.clock()
    town.fake.fault(FETCHING[town.messenger.name], times=7, status=500)
    code = code_in(words(await town.hears(lan, lan.presses("Gửi"), step=10)))
    assert (town.clock() - began).total_seconds() > 100
    assert await evidence(town, code) == [JPEG]


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("kind", ["reply", "notice"])
async def test_where_nobody_knows_a_reply_is_repeated_once_and_a_notice_never(
    town: Town, kind: str, arrives: bool
) -> None:
    lan = town.lan
    await town.hears(lan, lan.says("chào"))
    code = await files_case(town, lan) if kind == "notice" else ""
    town.fake.fault(town.sending, times=5, lost=arrives, drop=not arrives)
    act = town.officer_answers(code, "Đã thay bóng đèn.") if code else lan.says("cảm ơn")
    heard = await town.hears(lan, act)
    tried = {"reply": 2, "notice": 1}[kind]
    assert len(heard) == (tried if arrives else 0)
    assert (await letters(town))[-1] == (kind, "unknown")


async def test_a_reply_whose_first_answer_was_lost_does_not_hold_up_the_next(town: Town) -> None:
    lan = town.lan
    await town.hears(lan, lan.says("chào"))
    town.fake.fault(town.sending, times=1, drop=True)
    await lan.says(FEE)
    seen = await town.hears(lan, lan.says("cảm ơn"))
    assert "Đăng ký khai sinh" in seen[0].words
    assert words(seen).count("Đăng ký khai sinh (mã") == 1
    assert seen[-1].words == town.parts.house.replies.line("thanks")


@pytest.mark.parametrize("name", TOWNS)
async def test_what_a_platform_never_answered_is_listed_and_can_be_sent_again(
    name: str, parts: Parts, clock: VirtualClock
) -> None:
    async with TOWNS[name](parts, clock, patience=0.5) as town:
        lan = town.lan
        town.fake.fault(town.sending, times=2, delay=20, status=504)
        await town.hears(lan, lan.says("cảm ơn"))
        [listed] = await parts.store.run(outbox.unsettled)
        assert (lan.heard, listed.channel, listed.state) == ([], name, "unknown")
        assert await parts.store.run(outbox.retry, listed.id, clock())
        [answer] = await town.hears(lan)
        assert answer.words == parts.house.replies.line("thanks")


# A process that dies.


@pytest.mark.parametrize("kind", ["reply", "notice"])
@pytest.mark.parametrize("name", TOWNS)
async def test_a_courier_killed_while_sending_repeats_a_reply_once_and_no_notice(
    name: str, kind: str, parts: Parts, clock: VirtualClock
) -> None:
    async with TOWNS[name](parts, clock, couriers=False) as town:
        lan = town.lan
        await lan.says("cảm ơn")
        await until(lambda: counted(town, 1))
        if kind == "notice":
            await carried(town)
            await town.told(lan, TextBlock(text="Đã thay bóng đèn."), kind=kind)
        town.fake.calls.clear()
        town.fake.fault(town.sending, delay=0.3)
        killed = asyncio.create_task(courier(town).run_once())

        async def under_way() -> bool:
            return bool(called(town))

        await until(under_way)
        killed.cancel()
        await asyncio.gather(killed, return_exceptions=True)
        assert not await courier(town).run_once(), "the letter is held"
        clock.move(seconds=HOLD)
        await carried(town)
        assert len(called(town)) == {"reply": 2, "notice": 1}[kind]
        assert (await letters(town))[-1] == (kind, {"reply": "sent", "notice": "unknown"}[kind])


async def counted(town: Town, number: int) -> bool:
    return len(await letters(town)) == number


async def carried(town: Town) -> None:
    """Carries by hand whatever may leave."""
    while await courier(town).run_once():
        town.clock.move(seconds=1)


def courier(town: Town) -> Courier:
    return Courier(town.parts.store, town.messenger, town.clock)


def called(town: Town) -> list[Any]:
    """The calls that bring a message, whatever came of them."""
    return [call for call in town.fake.calls if call.method == town.sending]
