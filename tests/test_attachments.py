"""What comes beside words: photos, places, contacts, albums, shortcuts; silence, and erasure."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from actions.action import Attachment, AttachmentKind, Result
from bot.message import Message
from bot.plain import plain_text
from bot.reception import Reception
from bot.settings import Settings
from bot.store import Session, Store, cases, choices, conversations, files, outbox, turns
from bot.store.tables import (
    CaseRow,
    ChoiceRow,
    ConversationRow,
    FileRow,
    InboxRow,
    OutboxRow,
    TurnRow,
)
from bot.turn import House, Turn
from bot.worker import Worker
from tests.conftest import Citizen, Clock, case_code, words
from tests.fakes.nlu import FakeNlu

OFFICE = "ubnd_phuong_vi_du"
STORY = "đèn đường tổ 5 hỏng cả tuần nay"
PLACE = Attachment(AttachmentKind.LOCATION, latitude=20.8449, longitude=106.6881)
OWN = Attachment(AttachmentKind.CONTACT, name="Lan", phone="0900 000 000", own=True)
CARD = Attachment(AttachmentKind.CONTACT, name="Minh", phone="0900 000 001")
STICKER = Attachment(AttachmentKind.UNREADABLE)


def photo(number: int = 1) -> Attachment:
    return Attachment(AttachmentKind.IMAGE, reference=f"photo-{number}", name=f"anh-{number}.jpg")


@dataclass
class Messenger(Citizen):
    """A citizen on a messenger: sends more than words, through the reception."""

    reception: Reception = field(kw_only=True)

    async def gives(self, *attachments: Attachment, text: str = "", **more: Any) -> bool:
        """Sends something without waiting for its turn."""
        self.sent += 1
        message = Message(self.sender, f"{self.name}:{self.sent}", self.clock(), text)
        return await self.reception.keep(replace(message, attachments=attachments, **more))

    async def gets(self) -> Turn:
        """The one turn that is taken now."""
        [turn] = await self.worker.run_once()
        self.turns.append(turn)
        return turn

    async def brings(self, *attachments: Attachment, text: str = "", **more: Any) -> Turn:
        """Sends something and gets the turn that was taken."""
        assert await self.gives(*attachments, text=text, **more)
        return await self.gets()

    async def files_of(self, turn: Turn) -> list[str]:
        """The names of the files that are kept with the case of a turn."""
        code = cases.CaseCode.parse(case_code(turn))

        def read(session: Session) -> list[str]:
            return [file.name for file in files.of_case(session, cases.id_of(session, code))]

        return await self.store.run(read)

    async def case_of(self, turn: Turn) -> cases.Case:
        return await self.store.run(cases.show, cases.CaseCode.parse(case_code(turn)))

    async def goes_to(self, step: str) -> Turn:
        """Goes on with an open form from its consent to a step."""
        turn = self.turns[-1]
        for at, press, text in (
            ("consent", "Đồng ý", ""),
            ("where", "", "tổ 5"),
            ("when", "", "tối qua"),
            ("name", "", "Nguyễn Thị Ví Dụ"),
            ("contact", "Chỉ trả lời tại đây", ""),
        ):
            if at == step:
                break
            turn = await (self.presses(press) if press else self.says(text))
        assert turn.outcome.remember.form is not None
        assert turn.outcome.remember.form.step == step
        return turn


@pytest.fixture
def reception(house: House, store: Store, clock: Clock) -> Reception:
    return Reception(Settings(_env_file=None), house, store, clock, lambda: None)


@pytest.fixture
def lan(
    reception: Reception, house: House, store: Store, worker: Worker, clock: Clock, fake: FakeNlu
) -> Messenger:
    return Messenger("lan", store, worker, house, clock, reception=reception)


@pytest.fixture
def minh(lan: Messenger) -> Messenger:
    return replace(lan, name="minh", turns=[], sent=0)


@pytest.fixture
def fake(fake_nlu: FakeNlu) -> FakeNlu:
    fake_nlu.knows(STORY, "bring_case", kind="feedback")
    fake_nlu.knows("tôi muốn phản ánh", "bring_case", kind="feedback")
    fake_nlu.knows("chào", "greet")
    fake_nlu.knows("cảm ơn", "thanks")
    fake_nlu.knows("menu", "help_menu")
    return fake_nlu


async def rows(store: Store, table: type) -> list[Any]:
    return await store.run(lambda session: list(session.scalars(select(table))))


# Photos


async def test_a_photo_with_its_story_opens_a_form_and_goes_with_the_case(lan: Messenger) -> None:
    opened = await lan.brings(photo(), text=STORY)
    assert opened.outcome.result is Result.FORM
    assert await rows(lan.store, FileRow) == [], "nothing is fetched before the case is sent"
    await lan.goes_to("summary")
    sent = await lan.presses("Gửi")
    assert await lan.files_of(sent) == ["anh-1.jpg"]
    [row] = await rows(lan.store, FileRow)
    assert (row.state, row.media_type) == ("wanted", "image/jpeg")
    assert row.keep_until == (await lan.case_of(sent)).received_at + timedelta(
        days=lan.house.office(OFFICE).keeps_cases_days
    )


async def test_a_photo_without_words_offers_the_form_and_goes_with_it_when_pressed(
    lan: Messenger,
) -> None:
    offered = await lan.brings(photo())
    assert offered.outcome.result is Result.ASKED_BACK
    assert lan.reception.house.replies.line("menu_case") in [c.label for c in lan.offered]
    await lan.presses("Gửi phản ánh, kiến nghị")
    await lan.presses("Đồng ý")
    await lan.says(STORY)
    await lan.says("tổ 5")
    await lan.says("tối qua")
    await lan.presses("Gửi không nêu tên")
    assert await lan.files_of(await lan.presses("Gửi")) == ["anh-1.jpg"]


async def test_photos_sent_one_after_another_without_words_all_go_with_the_form(
    lan: Messenger,
) -> None:
    for number in (1, 2, 3):
        await lan.brings(photo(number))
    form = (await lan.presses("Gửi phản ánh, kiến nghị")).outcome.remember.form
    assert form is not None
    assert [file.name for file in form.files] == ["anh-1.jpg", "anh-2.jpg", "anh-3.jpg"]


async def test_a_story_told_right_after_its_photo_takes_the_photo_along(lan: Messenger) -> None:
    await lan.brings(photo())
    form = (await lan.says(STORY)).outcome.remember.form
    assert form is not None
    assert (form.draft, form.files) == (STORY, (photo(),))


async def test_a_photo_that_nothing_was_made_of_is_forgotten(lan: Messenger) -> None:
    await lan.brings(photo())
    await lan.says("chào")
    form = (await lan.presses("Gửi phản ánh, kiến nghị")).outcome.remember.form
    assert form is not None
    assert form.files == ()
    assert "photo-1" not in str(form)


@pytest.mark.parametrize("step", ["consent", "where", "when", "name", "contact", "summary"])
async def test_a_photo_at_any_step_is_kept_and_the_open_question_is_put_again(
    lan: Messenger, step: str
) -> None:
    await lan.says(STORY)
    await lan.goes_to(step)
    turn = await lan.brings(photo())
    form = turn.outcome.remember.form
    assert form is not None
    assert (form.step, form.files) == (step, (photo(),))
    assert lan.house.replies.line("file_added") in words(turn)
    assert len(turn.said) == 2


async def test_a_photo_at_the_question_what_happened_may_bring_the_story(lan: Messenger) -> None:
    await lan.says("tôi muốn phản ánh")
    await lan.presses("Đồng ý")
    alone = await lan.brings(photo(1))
    assert alone.outcome.remember.form.step == "what"
    told = await lan.brings(photo(2), text=STORY)
    assert told.outcome.remember.form.step == "where"
    assert told.outcome.remember.form.answers["what"] == STORY
    assert len(told.outcome.remember.form.files) == 2


async def test_the_summary_tells_how_many_files_go_with_the_case(lan: Messenger) -> None:
    await lan.brings(photo(1), text=STORY)
    summary = await lan.goes_to("summary")
    assert "Ảnh, tệp kèm theo: 1" in words(summary)
    added = await lan.brings(photo(2), Attachment(AttachmentKind.FILE, "doc", "don.pdf"))
    assert "Ảnh, tệp kèm theo: 3" in words(added)
    assert await lan.files_of(await lan.presses("Gửi")) == ["anh-1.jpg", "anh-2.jpg", "don.pdf"]


async def test_a_summary_without_files_does_not_speak_of_them(lan: Messenger) -> None:
    await lan.says(STORY)
    assert "kèm theo" not in words(await lan.goes_to("summary"))


async def test_the_first_ten_files_go_with_a_case_and_nobody_is_told_that_more_do(
    lan: Messenger,
) -> None:
    await lan.brings(*map(photo, range(12)), text=STORY)
    summary = await lan.goes_to("summary")
    assert "Ảnh, tệp kèm theo: 10" in words(summary)
    more = await lan.brings(photo(99))
    assert lan.house.replies.line("file_added") not in words(more)
    assert "nhiều nhất 10" in words(more)
    assert await lan.files_of(await lan.presses("Gửi")) == [f"anh-{n}.jpg" for n in range(10)]


async def test_no_more_files_are_kept_aside_than_go_with_a_case(lan: Messenger) -> None:
    for album in range(3):
        turn = await lan.brings(*(photo(6 * album + number) for number in range(6)))
    draft = turn.outcome.remember.draft
    assert draft is not None
    assert draft.files == tuple(map(photo, range(10)))


@pytest.mark.parametrize("how", ["hủy", "Không đồng ý"])
async def test_nothing_of_a_dropped_forms_files_stays(lan: Messenger, how: str) -> None:
    await lan.brings(photo(), text=STORY)
    await (lan.says(how) if how == "hủy" else lan.presses(how))
    assert await rows(lan.store, FileRow) == []
    [conversation] = await rows(lan.store, ConversationRow)

    def remembered(session: Session) -> str:
        return str(conversations.memory(session, session.merge(conversation)))

    assert "photo-1" not in await lan.store.run(remembered)
    assert [row.words for row in await rows(lan.store, InboxRow)] == [None, None]
    await lan.says("tôi muốn phản ánh")
    assert lan.turns[-1].outcome.remember.form.files == ()


async def test_starting_over_keeps_the_files_and_the_summary_says_so(lan: Messenger) -> None:
    await lan.brings(photo(), text=STORY)
    await lan.goes_to("summary")
    again = await lan.presses("Làm lại từ đầu")
    assert again.outcome.remember.form.files == (photo(),)


async def test_a_denunciation_keeps_neither_its_words_nor_its_photos(lan: Messenger) -> None:
    await lan.brings(photo(1))
    turn = await lan.brings(photo(2), text="tôi tố cáo kế toán xã tham ô tiền cứu trợ")
    assert turn.outcome.result is Result.REDIRECTED
    assert "photo" not in str(turn.outcome.remember)
    assert await lan.store.run(turns.said_in, 1) == []
    assert await rows(lan.store, FileRow) == []
    assert {row.words for row in await rows(lan.store, InboxRow)} == {None}


# Places, contacts, and what nobody can read


async def test_a_place_is_an_answer_to_the_question_where(lan: Messenger) -> None:
    await lan.says(STORY)
    asked = await lan.goes_to("where")
    assert [b.type for blocks in asked.said for b in blocks].count("ask_location") == 1
    turn = await lan.brings(PLACE)
    assert turn.outcome.remember.form.step == "when"
    assert turn.outcome.remember.form.answers["where"] == "20.84490, 106.68810"


async def test_a_place_with_a_name_is_told_by_it(lan: Messenger) -> None:
    await lan.says(STORY)
    await lan.goes_to("where")
    turn = await lan.brings(replace(PLACE, name="Chợ Ví Dụ"))
    assert turn.outcome.remember.form.answers["where"] == "Chợ Ví Dụ (20.84490, 106.68810)"


@pytest.mark.parametrize("step", ["when", "name", "summary"])
async def test_a_place_that_comes_late_is_taken_all_the_same(lan: Messenger, step: str) -> None:
    await lan.says(STORY)
    await lan.goes_to(step)
    turn = await lan.brings(PLACE)
    form = turn.outcome.remember.form
    assert (form.step, form.answers["where"]) == (step, "tổ 5; 20.84490, 106.68810")
    assert lan.house.replies.line("location_added") in words(turn)


@pytest.mark.parametrize("step", ["where", "when", "name", "contact", "summary"])
async def test_words_beside_a_photo_tell_of_the_photo_and_answer_nothing(
    lan: Messenger, step: str
) -> None:
    await lan.says(STORY)
    before = (await lan.goes_to(step)).outcome.remember.form
    photo = Attachment(AttachmentKind.IMAGE, "photo-9")
    turn = await lan.brings(photo, text="ảnh chụp quầy")
    form = turn.outcome.remember.form
    assert (form.step, form.answers) == (before.step, before.answers)
    assert [file.name for file in form.files] == ["ảnh chụp quầy"]
    assert lan.house.replies.line("file_added") in words(turn)


@pytest.mark.parametrize(("step", "typed"), [("name", "3"), ("contact", "2"), ("when", "9")])
async def test_a_number_that_was_not_offered_is_no_answer(
    lan: Messenger, step: str, typed: str
) -> None:
    await lan.says(STORY)
    before = (await lan.goes_to(step)).outcome.remember.form
    turn = await lan.says(typed)
    assert turn.outcome.remember.form == before
    assert lan.house.replies.line("number_not_offered") in words(turn)


@pytest.mark.parametrize("typed", ["Lan", "quán này", "nhà bên cạnh số 12"])
async def test_a_contact_that_reaches_nobody_is_asked_for_again(lan: Messenger, typed: str) -> None:
    await lan.says(STORY)
    await lan.goes_to("contact")
    turn = await lan.says(typed)
    assert turn.outcome.remember.form.step == "contact"
    assert lan.house.replies.line("contact_not_usable") in words(turn)
    assert (await lan.says("lan@example.vn")).outcome.remember.form.step == "summary"


async def test_a_bare_number_where_nothing_is_offered_is_no_question(lan: Messenger) -> None:
    turn = await lan.says("99")
    assert lan.house.replies.line("no_list_open") in words(turn)


async def test_a_place_before_its_question_answers_nothing(lan: Messenger) -> None:
    before = (await lan.says(STORY)).outcome.remember.form
    turn = await lan.brings(PLACE)
    assert turn.outcome.remember.form == before
    assert lan.house.replies.line("answer_in_words") in words(turn)


async def test_a_place_without_a_form_offers_what_can_be_done_and_is_not_kept(
    lan: Messenger,
) -> None:
    turn = await lan.brings(PLACE)
    assert turn.outcome.result is Result.ASKED_BACK
    assert "20.84" not in str(turn.outcome.remember)
    assert len(lan.offered) == 2


async def test_ones_own_contact_is_an_answer_to_the_question_for_it(lan: Messenger) -> None:
    await lan.says(STORY)
    asked = await lan.goes_to("contact")
    assert [b.type for blocks in asked.said for b in blocks].count("ask_contact") == 1
    turn = await lan.brings(OWN)
    assert turn.outcome.remember.form.answers["contact"] == "0900 000 000"
    assert "0900 000 000" in words(turn)
    assert (await lan.case_of(await lan.presses("Gửi"))).report.contact == "0900 000 000"


@pytest.mark.parametrize("card", [CARD, replace(OWN, phone="")])
async def test_a_card_of_another_or_without_a_number_is_no_answer(
    lan: Messenger, card: Attachment
) -> None:
    await lan.says(STORY)
    await lan.goes_to("contact")
    turn = await lan.brings(card)
    assert turn.outcome.remember.form.step == "contact"
    assert lan.house.replies.line("contact_not_own") in words(turn)
    assert "0900 000 001" not in words(turn)


async def test_a_contact_without_a_form_is_not_kept(lan: Messenger) -> None:
    turn = await lan.brings(OWN)
    assert turn.outcome.result is Result.ASKED_BACK
    assert "0900" not in str(turn.outcome.remember) + words(turn)


async def test_a_sticker_is_said_to_be_unreadable_in_and_out_of_a_form(lan: Messenger) -> None:
    said = lan.house.replies.line("not_readable")
    out = await lan.brings(STICKER)
    assert (out.outcome.result, words(out)) == (Result.OUT_OF_SCOPE, said)
    await lan.says(STORY)
    before = (await lan.goes_to("when")).outcome.remember.form
    turn = await lan.brings(STICKER)
    assert said in words(turn)
    assert turn.outcome.remember.form == before


async def test_what_came_without_words_is_not_put_to_nlu(lan: Messenger, fake: FakeNlu) -> None:
    for attachment in (photo(), PLACE, OWN, STICKER):
        await lan.brings(attachment)
    assert fake.asked == []


# Albums and order


async def test_an_album_is_one_message_once_its_last_part_is_a_second_old(lan: Messenger) -> None:
    await lan.gives(photo(1), text=STORY, album="a")
    lan.clock.move(seconds=0.8)
    assert await lan.worker.run_once() == []
    await lan.gives(photo(2), album="a")
    lan.clock.move(seconds=0.8)
    assert await lan.worker.run_once() == [], "the second part puts off the first"
    await lan.gives(photo(3), album="a")
    lan.clock.move(seconds=1)
    turn = await lan.gets()
    assert turn.outcome.remember.form.draft == STORY
    assert [file.name for file in turn.outcome.remember.form.files] == [
        "anh-1.jpg",
        "anh-2.jpg",
        "anh-3.jpg",
    ]
    assert {row.state for row in await rows(lan.store, InboxRow)} == {"done"}
    assert {row.words for row in await rows(lan.store, InboxRow)} == {None}


async def test_a_message_after_an_album_waits_for_it(lan: Messenger) -> None:
    await lan.gives(photo(1), album="a")
    await lan.gives(text="chào")
    assert await lan.worker.run_once() == []
    lan.clock.move(seconds=1)
    first, second = await lan.worker.run_once()
    assert first.outcome.result is Result.ASKED_BACK
    assert second.understanding.intent == "greet"


async def test_a_late_part_of_an_album_is_a_turn_of_its_own(lan: Messenger) -> None:
    await lan.gives(photo(1), text=STORY, album="a")
    lan.clock.move(seconds=1)
    await lan.gets()
    await lan.gives(photo(2), album="a")
    lan.clock.move(seconds=1)
    late = await lan.gets()
    assert late.outcome.remember.form.files == (photo(1), photo(2))


async def test_albums_of_two_people_do_not_mix(lan: Messenger, minh: Messenger) -> None:
    await lan.gives(photo(1), album="a")
    await minh.gives(photo(2), album="a")
    lan.clock.move(seconds=1)
    assert (await lan.gets()).outcome.remember.draft.files == (photo(1),)
    assert (await minh.gets()).outcome.remember.draft.files == (photo(2),)


async def test_the_parts_of_an_album_fail_together_and_are_answered_together(
    lan: Messenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        await lan.gives(photo(number), album="a")
    lan.clock.move(seconds=1)
    with monkeypatch.context() as patch:
        patch.setattr(lan.house.dialogue, "act", lambda *_: 1 / 0)
        assert await lan.worker.run_once() == []
    parts = await rows(lan.store, InboxRow)
    assert {(row.attempts, row.state, row.ready_at) for row in parts} == {
        (1, "ready", lan.clock() + timedelta(seconds=1))
    }
    lan.clock.move(seconds=1)
    assert len((await lan.gets()).outcome.remember.draft.files) == 2


async def test_the_parts_of_an_album_are_given_up_together_and_told_once(
    lan: Messenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        await lan.gives(photo(number), album="a")
    monkeypatch.setattr(lan.house.dialogue, "act", lambda *_: 1 / 0)
    for _ in range(8):
        lan.clock.move(minutes=2)
        assert await lan.worker.run_once() == []
    assert {row.state for row in await rows(lan.store, InboxRow)} == {"failed"}
    assert len(await lan.inbox_of_replies()) == 1


async def test_messages_that_came_in_out_of_order_are_answered_in_theirs(lan: Messenger) -> None:
    await lan.gives(text="cảm ơn", position=8)
    await lan.gives(text="chào", position=7)
    first, second = await lan.worker.run_once()
    assert (first.understanding.intent, second.understanding.intent) == ("greet", "thanks")


async def test_an_album_that_came_in_out_of_order_is_put_in_order(lan: Messenger) -> None:
    for number in (3, 1, 2):
        await lan.gives(photo(number), album="a", position=number)
    lan.clock.move(seconds=1)
    draft = (await lan.gets()).outcome.remember.draft
    assert draft.files == (photo(1), photo(2), photo(3))


# Opened conversations and shortcuts


async def test_an_opened_conversation_is_greeted_without_nlu(lan: Messenger, fake: FakeNlu) -> None:
    turn = await lan.brings(opened=True)
    assert turn.outcome.result is Result.ANSWERED
    assert "Gửi phản ánh, kiến nghị" in [choice.label for choice in lan.offered]
    assert fake.asked == []


async def test_opening_again_in_a_form_greets_and_puts_the_question_again(lan: Messenger) -> None:
    await lan.says(STORY)
    before = (await lan.goes_to("when")).outcome.remember.form
    turn = await lan.brings(opened=True)
    assert turn.outcome.remember.form == before
    assert "khi nào" in words(turn)


@pytest.mark.parametrize("typed", ["/phananh", "#phananh", "/PhanAnh", "# phản ánh", " /phananh "])
async def test_a_typed_shortcut_opens_a_form(lan: Messenger, typed: str) -> None:
    turn = await lan.says(typed)
    assert turn.outcome.result is Result.FORM
    assert turn.outcome.case_kind == "feedback"
    assert turn.outcome.remember.form.draft is None


@pytest.mark.parametrize(
    ("typed", "result"),
    [
        ("#TraCuu", Result.ASKED_BACK),
        ("# gap can bo", Result.HANDED_OVER),
        ("/gặp cán bộ", Result.HANDED_OVER),
        ("/menu", Result.ANSWERED),
        ("#thutuc", Result.ASKED_BACK),
    ],
)
async def test_a_shortcut_does_what_it_says_in_any_case_and_spelling(
    lan: Messenger, typed: str, result: Result
) -> None:
    assert (await lan.says(typed)).outcome.result is result


@pytest.mark.parametrize(
    "typed", ["/phananh đường hỏng", "phananh", "/phananhnhe", "/", "#", "/khongco"]
)
async def test_a_text_that_only_begins_like_a_shortcut_is_a_text(
    lan: Messenger, fake: FakeNlu, typed: str
) -> None:
    turn = await lan.says(typed)
    assert turn.outcome.remember.form is None
    assert turn.outcome.result in {Result.OUT_OF_SCOPE, Result.ASKED_BACK}


async def test_a_shortcut_inside_a_form_is_answered_and_the_form_goes_on(lan: Messenger) -> None:
    await lan.says(STORY)
    before = (await lan.goes_to("when")).outcome.remember.form
    turn = await lan.says("#tracuu")
    assert turn.outcome.remember.form == before
    assert "khi nào" in words(turn)


async def test_the_shortcut_to_a_form_inside_one_loses_nothing_that_was_told(
    lan: Messenger,
) -> None:
    await lan.brings(photo(), text=STORY)
    before = (await lan.goes_to("when")).outcome.remember.form
    turn = await lan.says("/phananh")
    assert turn.outcome.remember.form == before
    assert "khi nào" in words(turn)


@pytest.mark.parametrize("in_form", [False, True])
async def test_the_shortcut_to_erase_asks_first(lan: Messenger, in_form: bool) -> None:
    await lan.says(STORY if in_form else "chào")
    asked = await lan.says("/xoadulieu")
    assert asked.outcome.events == ()
    [said, *_] = await lan.store.run(turns.said_in, 1)
    assert said.text == (STORY if in_form else "chào")
    lan.clock.move(seconds=1)
    await lan.presses("Xóa cuộc trò chuyện này")
    assert await lan.store.run(turns.said_in, 1) == []


# Tokens that are typed


async def token_of(lan: Messenger, label: str) -> str:
    return choices.typed_form(next(c.token for c in lan.offered if c.label == label))


async def test_a_typed_token_is_the_press_and_its_label_is_what_was_said(lan: Messenger) -> None:
    await lan.says(STORY)
    typed = await token_of(lan, "Đồng ý")
    await lan.says("cảm ơn")
    turn = await lan.says(f" {typed} ")
    assert turn.outcome.remember.form.step == "where"
    said = await lan.store.run(turns.said_in, 1)
    assert [one.text for one in said] == [STORY, "cảm ơn", "Đồng ý"]


async def test_a_typed_token_is_not_put_to_nlu(lan: Messenger, fake: FakeNlu) -> None:
    await lan.says(STORY)
    await lan.says(await token_of(lan, "Đồng ý"))
    assert fake.asked == [STORY]


async def test_a_typed_token_of_another_person_or_of_nobody_does_nothing(
    lan: Messenger, minh: Messenger
) -> None:
    await lan.says(STORY)
    typed = await token_of(lan, "Đồng ý")
    for foreign in (typed, "#b1.AAAAAAAAAAAAAAAA"):
        assert "không còn dùng được" in words(await minh.says(foreign))
    assert (await lan.says(typed)).outcome.remember.form.step == "where"


async def test_a_typed_token_that_sends_works_once(lan: Messenger) -> None:
    await lan.says(STORY)
    await lan.goes_to("summary")
    typed = await token_of(lan, "Gửi")
    assert (await lan.says(typed)).outcome.result is Result.CASE_TAKEN
    assert "không còn dùng được" in words(await lan.says(typed))
    assert len(await rows(lan.store, CaseRow)) == 1


@pytest.mark.parametrize("text", ["#b1.short", "#b1.AAAAAAAAAAAAAAAA và nữa", "#b1."])
async def test_what_only_looks_like_a_token_is_a_text(
    lan: Messenger, fake: FakeNlu, text: str
) -> None:
    assert "không còn dùng được" not in words(await lan.says(text))


# An officer writes by hand


async def test_after_an_officer_wrote_by_hand_the_assistant_is_silent(
    lan: Messenger, minh: Messenger
) -> None:
    await lan.says("chào")
    await lan.reception.officer_wrote(lan.sender)
    before = len(await lan.inbox_of_replies())
    for text in ("chào", "lệ phí khai sinh bao nhiêu", "cảm ơn"):
        turn = await lan.says(text)
        assert (turn.said, turn.outcome.result) == ((), Result.HANDED_OVER)
    assert (await lan.brings(photo())).said == ()
    assert len(await lan.inbox_of_replies()) == before
    assert (await minh.says("chào")).said != (), "others are answered as ever"


async def test_silence_is_over_after_half_an_hour_and_begins_anew_with_each_word(
    lan: Messenger,
) -> None:
    await lan.reception.officer_wrote(lan.sender)
    lan.clock.move(minutes=20)
    await lan.reception.officer_wrote(lan.sender)
    lan.clock.move(minutes=29)
    assert (await lan.says("chào")).said == ()
    lan.clock.move(minutes=1)
    assert (await lan.says("chào")).said != ()


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("cứu với, nhà bên đang cháy lớn", Result.EMERGENCY),
        ("tôi tố cáo kế toán xã tham ô tiền cứu trợ", Result.REDIRECTED),
    ],
)
async def test_danger_and_denunciation_are_heard_in_silence(
    lan: Messenger, text: str, result: Result
) -> None:
    await lan.reception.officer_wrote(lan.sender)
    assert (await lan.says(text)).outcome.result is result
    assert (await lan.says("chào")).said == (), "and the silence goes on"


async def test_a_press_is_answered_in_silence(lan: Messenger) -> None:
    await lan.says(STORY)
    await lan.reception.officer_wrote(lan.sender)
    assert (await lan.presses("Đồng ý")).outcome.remember.form.step == "where"


@pytest.mark.parametrize("text", ["bắt đầu lại", "menu", "/menu", "#menu"])
async def test_who_asks_for_the_menu_or_starts_over_ends_the_silence(
    lan: Messenger, text: str
) -> None:
    await lan.reception.officer_wrote(lan.sender)
    assert (await lan.says("chào")).said == ()
    assert "Gửi phản ánh, kiến nghị" in words(await lan.says(text))
    assert (await lan.says("cảm ơn")).said != ()


@pytest.mark.parametrize("typed", ["1", "Gửi"])
async def test_a_choice_typed_in_silence_is_a_word_to_the_officer(
    lan: Messenger, typed: str
) -> None:
    await lan.says(STORY)
    await lan.goes_to("summary")
    await lan.reception.officer_wrote(lan.sender)
    assert (await lan.says(typed)).said == ()
    assert await rows(lan.store, CaseRow) == []
    lan.clock.move(minutes=30)
    assert (await lan.says("gửi đi")).outcome.result is Result.CASE_TAKEN


async def test_silence_keeps_an_open_form_as_it_was(lan: Messenger) -> None:
    await lan.says(STORY)
    before = (await lan.goes_to("when")).outcome.remember.form
    await lan.reception.officer_wrote(lan.sender)
    assert (await lan.says("dạ em cảm ơn")).outcome.remember.form == before
    lan.clock.move(minutes=30)
    assert (await lan.says("tối qua")).outcome.remember.form.answers["when"] == "tối qua"


# Withdrawal and notices


async def readable(store: Store) -> list[Any]:
    """Everything personal of conversations that is still there, whoever holds the keys."""

    def read(session: Session) -> list[Any]:
        columns = (InboxRow.words, TurnRow.said, OutboxRow.words, ConversationRow.memory)
        return [value for column in columns for value in session.scalars(select(column)) if value]

    return await store.run(read)


async def test_who_withdraws_leaves_nothing_readable_and_nothing_on_its_way_but_their_case(
    lan: Messenger,
) -> None:
    await lan.brings(photo(), text=STORY)
    await lan.goes_to("summary")
    sent = await lan.presses("Gửi")
    await lan.says(STORY)
    await lan.gives(text="còn đang chờ")
    await lan.reception.erase(lan.sender)
    assert await readable(lan.store) == []
    assert await lan.inbox_of_replies() == []
    assert await lan.store.run(outbox.unsent, 1) == []
    assert await rows(lan.store, ChoiceRow) == []
    assert await lan.worker.run_once() == []
    assert (await lan.case_of(sent)).report.what == STORY
    assert await lan.files_of(sent) == ["anh-1.jpg"]


async def test_a_turn_that_is_being_taken_while_the_person_withdraws_is_thrown_away(
    lan: Messenger, fake: FakeNlu
) -> None:
    """Its message was read before and would be answered after."""
    ear = lan.worker._ear

    class WhileItListens:
        async def understand(self, text: str) -> Any:
            await lan.reception.erase(lan.sender)
            return await ear.understand(text)

    lan.worker._ear = WhileItListens()
    await lan.gives(text="chào")
    assert await lan.worker.run_once() == []
    assert await readable(lan.store) == []
    lan.worker._ear = ear
    assert (await lan.says("chào")).said != (), "who comes back is answered at once"


async def test_who_withdrew_is_out_of_reach_until_they_write_again(lan: Messenger) -> None:
    await lan.says("chào")
    await lan.reception.erase(lan.sender)
    [row] = await rows(lan.store, ConversationRow)
    assert row.out_of_reach_since is not None
    await lan.says("chào")
    [row] = await rows(lan.store, ConversationRow)
    assert row.out_of_reach_since is None


async def test_withdrawing_what_never_was_is_no_trouble(lan: Messenger) -> None:
    await lan.reception.erase(lan.sender)
    await lan.reception.out_of_reach(lan.sender)
    assert await rows(lan.store, ConversationRow) == []


async def test_what_is_told_outside_a_turn_is_a_notice(lan: Messenger) -> None:
    await lan.reception.tell(lan.sender, "press_waits")
    [told] = await lan.inbox_of_replies()
    assert (told.kind, plain_text(told.blocks)) == (
        "notice",
        lan.house.replies.line("press_waits"),
    )


async def test_a_sign_without_words_makes_a_person_reachable(lan: Messenger) -> None:
    await lan.says("chào")
    await lan.reception.out_of_reach(lan.sender)
    lan.clock.move(minutes=1)
    await lan.reception.heard_from(lan.sender)
    [row] = await rows(lan.store, ConversationRow)
    assert (row.out_of_reach_since, row.heard_at) == (None, lan.clock())
