"""Whole turns: what a citizen says, what comes back, and what is kept."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from actions.action import Result
from bot import worker as worker_module
from bot.store import Session, cases
from bot.store.conversations import Lease
from bot.store.tables import CaseRow, ConversationRow, InboxRow, OutboxRow, TurnRow
from tests.conftest import Citizen, case_code, words
from tests.fakes.nlu import FakeNlu

pytestmark = pytest.mark.databases

KHAI_SINH = ("dang_ky_khai_sinh", "procedure")
KET_HON = ("dang_ky_ket_hon", "procedure")


def counted(session: Session, table: type) -> int:
    return len(session.scalars(select(table)).all())


async def test_a_procedure_question_is_answered_with_its_basis(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows(
        "khai sinh mat bao nhieu tien", "ask_procedure", facets=("fee",), topic=KHAI_SINH
    )
    turn = await citizen.says("khai sinh mat bao nhieu tien")
    assert turn.outcome.result is Result.ANSWERED
    assert "không thu" in words(turn)
    assert "rà soát ngày 24/11/2026" in turn.said[0][-2].summary
    assert "chưa có cơ quan nào rà soát" in words(turn)
    assert turn.outcome.basis.cites


async def test_context_carries_topic_and_facet(citizen: Citizen, fake_nlu: FakeNlu) -> None:
    fake_nlu.knows("làm khai sinh thế nào", "ask_procedure", facets=("overview",), topic=KHAI_SINH)
    fake_nlu.knows("lệ phí bao nhiêu", "ask_procedure", facets=("fee",))
    fake_nlu.knows("thế còn kết hôn", "ask_procedure", facets=("overview",), topic=KET_HON)
    await citizen.says("làm khai sinh thế nào")
    fee = await citizen.says("lệ phí bao nhiêu")
    assert (fee.outcome.procedure, fee.outcome.facets) == ("dang_ky_khai_sinh", ("fee",))
    other = await citizen.says("thế còn kết hôn")
    assert (other.outcome.procedure, other.outcome.facets) == ("dang_ky_ket_hon", ("fee",))


async def test_a_procedure_known_by_name_only_is_not_made_up(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows(
        "khai tử cần gì",
        "ask_procedure",
        facets=("documents",),
        topic=("dang_ky_khai_tu", "procedure"),
    )
    turn = await citizen.says("khai tử cần gì")
    assert turn.outcome.result is Result.NOT_KNOWN
    assert "Đăng ký khai tử" in words(turn)


async def test_a_conduct_question_gets_four_parts(citizen: Citizen, fake_nlu: FakeNlu) -> None:
    text = "doanh nghiệp gửi giỏ quà tết nhận được không"
    fake_nlu.knows(text, "ask_conduct", topic=("qua_tet_doanh_nghiep", "situation"))
    turn = await citizen.says(text)
    assert turn.outcome.conclusion == "not_allowed"
    for part in ("Kết luận: không được", "Vì sao", "Căn cứ", "Làm gì ngay"):
        assert part in words(turn)


async def filed(citizen: Citizen, fake_nlu: FakeNlu) -> str:
    story = "một cửa phường làm chậm quá, chờ cả buổi sáng không ai gọi"
    fake_nlu.knows(story, "bring_case", kind="feedback")
    turn = await citizen.says(story)
    assert turn.outcome.result is Result.FORM
    await citizen.presses("Đồng ý")
    await citizen.says("quầy số 3")
    await citizen.says("sáng thứ hai")
    await citizen.presses("Gửi không nêu tên")
    return case_code(await citizen.presses("Gửi"))


async def test_a_feedback_is_kept_before_its_code_is_told(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    code = await filed(citizen, fake_nlu)
    [row] = await citizen.store.run(lambda s: s.scalars(select(CaseRow)).all())
    assert row.office == "ubnd_phuong_vi_du"
    assert row.keep_until is not None
    case = await citizen.store.run(cases.show, cases.CaseCode.parse(code))
    assert case.report.what == "một cửa phường làm chậm quá, chờ cả buổi sáng không ai gọi"
    assert case.report.where == "quầy số 3"
    assert case.report.name is None


async def test_nothing_personal_is_asked_or_kept_before_consent(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("đường hỏng hai tháng nay không ai sửa", "bring_case", kind="feedback")
    first = await citizen.says("đường hỏng hai tháng nay không ai sửa")
    assert "đồng ý" in words(first)
    refused = await citizen.presses("Không đồng ý")
    assert refused.outcome.result is Result.CANCELLED
    assert await citizen.store.run(counted, CaseRow) == 0
    assert refused.outcome.remember.form is None


async def test_a_question_in_the_middle_of_a_form_is_answered_and_the_form_goes_on(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("tôi muốn phản ánh", "bring_case", kind="feedback")
    fake_nlu.knows("lệ phí khai sinh bao nhiêu", "ask_procedure", facets=("fee",), topic=KHAI_SINH)
    await citizen.says("tôi muốn phản ánh")
    await citizen.presses("Đồng ý")
    aside = await citizen.says("lệ phí khai sinh bao nhiêu")
    assert "không thu" in words(aside)
    assert "“lệ phí khai sinh bao nhiêu”" in words(aside)
    await citizen.says("đèn đường hỏng ở tổ 5")
    asked = await citizen.says("tổ 5")
    assert "khi nào" in words(asked)


async def test_a_denunciation_is_redirected_and_its_words_are_not_kept(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    text = "chủ tịch xã nhận tiền của doanh nghiệp để bán đất công"
    fake_nlu.knows(text, "bring_case", kind="denunciation")
    turn = await citizen.says(text)
    assert turn.outcome.result is Result.REDIRECTED
    assert turn.outcome.case_kind == "denunciation"

    def kept(session: Session) -> list[object]:
        return [
            *session.scalars(select(TurnRow.said)),
            *session.scalars(select(InboxRow.words)),
        ]

    assert await citizen.store.run(kept) == [None, None]
    assert text not in str(turn.outcome.remember)


async def test_a_slow_office_is_a_feedback_not_a_denunciation(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    text = "cán bộ quầy 2 thái độ cáu gắt, bắt tôi chờ hai tiếng"
    fake_nlu.knows(text, "bring_case", kind="feedback")
    turn = await citizen.says(text)
    assert turn.outcome.result is Result.FORM
    assert turn.outcome.case_kind == "feedback"


@pytest.mark.parametrize("down", ["broken", "garbage", "slow"])
async def test_danger_and_denunciation_are_heard_without_nlu(
    citizen: Citizen, fake_nlu: FakeNlu, down: str
) -> None:
    fake_nlu.fails = down
    danger = await citizen.says("cứu với, nhà bên đang cháy lớn")
    assert danger.outcome.result is Result.EMERGENCY
    assert "114" in words(danger)
    accused = await citizen.says("tôi tố cáo kế toán xã tham ô tiền cứu trợ")
    assert accused.outcome.result is Result.REDIRECTED


async def test_without_nlu_likely_procedures_are_offered(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.fails = "broken"
    turn = await citizen.says("dang ky tam tru")
    assert turn.outcome.result is Result.ASKED_BACK
    assert "Đăng ký tạm trú" in [choice.label for choice in citizen.offered]
    chosen = await citizen.says("1")
    assert chosen.outcome.procedure == "dang_ky_tam_tru"


async def test_after_two_misses_the_menu_is_offered(citizen: Citizen, fake_nlu: FakeNlu) -> None:
    fake_nlu.knows("dang ky ay ma", "gibberish")
    await citizen.says("dang ky ay ma")
    second = await citizen.says("dang ky ay ma")
    assert "Gửi phản ánh, kiến nghị" in [choice.label for choice in citizen.offered]
    assert second.outcome.remember.misses == 2


@pytest.mark.parametrize(
    "typed",
    [
        '/intent{"name": "greet"}',
        "/restart",
        " /restart",
        "／restart",
        "\u200b/restart",
        "//restart",
        "\u2060／／restart",
        "/ /restart",
    ],
)
async def test_typed_text_is_never_a_command(
    citizen: Citizen, fake_nlu: FakeNlu, typed: str
) -> None:
    await citizen.says(typed)
    assert all(not asked.startswith("/") for asked in fake_nlu.asked)
    assert all("\u200b" not in asked for asked in fake_nlu.asked)


@pytest.mark.parametrize("text", ["", "   ", "😀😀😀", "\u200b", "a" * 20_000, "?!…"])
async def test_odd_texts_get_a_polite_reply(citizen: Citizen, fake_nlu: FakeNlu, text: str) -> None:
    turn = await citizen.says(text)
    assert words(turn).startswith("Dạ")
    assert turn.outcome.result in {Result.OUT_OF_SCOPE, Result.ASKED_BACK}


async def test_the_same_message_twice_is_one_turn(citizen: Citizen) -> None:
    assert await citizen.sends("chào", id_="same-id-1") is True
    assert await citizen.sends("chào", id_="same-id-1") is False
    assert len(await citizen.worker.run_once()) == 1
    assert await citizen.worker.run_once() == []
    assert await citizen.store.run(counted, TurnRow) == 1


async def test_two_messages_at_once_are_answered_in_order(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("chào", "greet")
    fake_nlu.knows("cảm ơn", "thanks")
    await citizen.sends("chào")
    await citizen.sends("cảm ơn")
    first, second = await citizen.worker.run_once()
    assert (first.understanding.intent, second.understanding.intent) == ("greet", "thanks")


async def test_unknown_and_foreign_buttons_do_nothing(
    citizen: Citizen, another_citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("tôi muốn phản ánh", "bring_case", kind="feedback")
    await citizen.says("tôi muốn phản ánh")
    [consent, _] = citizen.offered
    foreign = await another_citizen.presses_token(consent.token)
    assert "không còn dùng được" in words(foreign)
    unknown = await citizen.presses_token("no-such-token")
    assert "không còn dùng được" in words(unknown)
    assert (await citizen.presses_token(consent.token)).outcome.result is Result.FORM


async def test_send_works_once(citizen: Citizen, fake_nlu: FakeNlu) -> None:
    await filed(citizen, fake_nlu)
    sent = next(c for c in _all_offered(citizen) if c.label == "Gửi")
    again = await citizen.presses_token(sent.token)
    assert "không còn dùng được" in words(again)
    assert await citizen.store.run(counted, CaseRow) == 1


def _all_offered(citizen: Citizen) -> list:
    turns, offered = citizen.turns, []
    for n in range(len(turns)):
        citizen.turns = turns[: n + 1]
        offered += citizen.offered
    citizen.turns = turns
    return offered


async def test_unknown_and_mistyped_case_codes(citizen: Citizen, fake_nlu: FakeNlu) -> None:
    def code(value: str) -> list[dict[str, str]]:
        return [{"entity": "case_code", "value": value}]

    unknown = str(cases.CaseCode.draw())
    fake_nlu.knows("ma a", "follow_case", entities=code(unknown))
    fake_nlu.knows("ma b", "follow_case", entities=code("MC-2222-2222-3"))
    assert unknown in words(await citizen.says("ma a"))
    assert "gõ nhầm" in words(await citizen.says("ma b"))


async def test_failed_turn_keeps_nothing_and_is_told_once(
    citizen: Citizen, fake_nlu: FakeNlu, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_nlu.knows("chào", "greet")

    def broken(*_: object) -> None:
        raise RuntimeError("a bug that says nothing personal")

    monkeypatch.setattr(citizen.house.dialogue, "act", broken)
    await citizen.sends("chào")
    for _ in range(10):
        assert await citizen.worker.run_once() == []
        citizen.clock.move(minutes=2)
    assert await citizen.store.run(counted, TurnRow) == 0
    [told] = await citizen.inbox_of_replies()
    assert "gặp lỗi" in told.blocks[0].text
    [row] = await citizen.store.run(lambda s: s.scalars(select(InboxRow)).all())
    assert (row.state, row.error) == ("failed", "RuntimeError")
    assert row.words is not None


async def test_a_turn_that_fails_first_is_answered_later_without_an_apology(
    citizen: Citizen, fake_nlu: FakeNlu, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_nlu.knows("chào", "greet")
    with monkeypatch.context() as patch:
        patch.setattr(citizen.house.dialogue, "act", lambda *_: 1 / 0)
        await citizen.sends("chào")
        assert await citizen.worker.run_once() == []
    citizen.clock.move(minutes=2)
    [turn] = await citizen.worker.run_once()
    assert turn.outcome.result is Result.ANSWERED
    assert len(await citizen.inbox_of_replies()) == 1


async def test_personal_words_are_sealed_in_every_table(
    citizen: Citizen, fake_nlu: FakeNlu, tmp_path: Path
) -> None:
    await filed(citizen, fake_nlu)
    await citizen.sends("số của tôi là 0900 000 000")
    raw = _raw(tmp_path)
    for secret in ("quầy số 3", "0900 000 000", "chờ cả buổi sáng"):
        assert secret.encode() not in raw


def _raw(folder: Path) -> bytes:
    """The database's files as they lie on the disk."""
    return b"".join(path.read_bytes() for path in folder.glob("motcua.db*"))


async def test_every_personal_row_has_its_time_and_is_wiped_after_it(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    from bot.store import retention

    await filed(citizen, fake_nlu)
    citizen.clock.move(days=31)
    await citizen.store.run(retention.enforce, citizen.clock())

    def left(session: Session) -> list[object]:
        columns = (TurnRow.said, OutboxRow.words, ConversationRow.memory, InboxRow.words)
        return [value for column in columns for value in session.scalars(select(column)) if value]

    assert await citizen.store.run(left) == []
    [case] = await citizen.store.run(lambda s: s.scalars(select(CaseRow)).all())
    assert case.words is not None
    citizen.clock.move(days=365)
    await citizen.store.run(retention.enforce, citizen.clock())
    [case] = await citizen.store.run(lambda s: s.scalars(select(CaseRow)).all())
    assert (case.words, case.contact) == (None, None)


async def _kept_words(citizen: Citizen, needle: str) -> bool:
    """Whether a word is still readable anywhere for whoever holds the keys."""
    from bot.store import turns

    row = await citizen.store.run(_conversation, citizen)
    said = await citizen.store.run(turns.said_in, row)
    told = await citizen.inbox_of_replies()
    texts = [s.text for s in said] + [
        getattr(block, "text", "") for reply in told for block in reply.blocks
    ]
    return any(needle in text for text in texts)


def _conversation(session: Session, citizen: Citizen) -> int:
    from bot.store import conversations

    row = conversations.find(session, citizen.sender)
    assert row is not None
    return row.id


async def test_words_of_a_refused_or_cancelled_form_are_wiped(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    story = "ông hàng xóm Ví Dụ đổ rác ra đường mỗi tối"
    fake_nlu.knows(story, "bring_case", kind="feedback")
    await citizen.says(story)
    assert await _kept_words(citizen, "đổ rác")
    citizen.clock.move(seconds=5)
    await citizen.presses("Không đồng ý")
    assert not await _kept_words(citizen, "đổ rác")
    await citizen.says(story)
    citizen.clock.move(seconds=5)
    await citizen.presses("Đồng ý")
    await citizen.says("hủy")
    assert not await _kept_words(citizen, "đổ rác")


async def test_a_form_that_turns_out_to_be_a_denunciation_is_dropped_with_its_words(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("tôi muốn phản ánh", "bring_case", kind="feedback")
    await citizen.says("tôi muốn phản ánh")
    await citizen.presses("Đồng ý")
    await citizen.says("cán bộ địa chính gây khó dễ nhiều lần")
    citizen.clock.move(seconds=5)
    turn = await citizen.says("tôi tố cáo ông ta đòi tiền bồi dưỡng mới chịu ký")
    assert turn.outcome.result is Result.REDIRECTED
    assert turn.outcome.remember.form is None
    assert not await _kept_words(citizen, "địa chính")


async def test_a_typed_label_is_the_choice(citizen: Citizen, fake_nlu: FakeNlu) -> None:
    fake_nlu.fails = "broken"
    await citizen.says("dang ky ket hon")
    chosen = await citizen.says("đăng ký kết hôn")
    assert chosen.outcome.procedure == "dang_ky_ket_hon"


async def test_an_answer_that_names_an_office_is_not_a_question(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("tôi muốn phản ánh", "bring_case", kind="feedback")
    fake_nlu.knows("quầy số 3 bộ phận một cửa", "ask_office")
    fake_nlu.knows("ở đó mấy giờ làm việc", "ask_office")
    await citizen.says("tôi muốn phản ánh")
    await citizen.presses("Đồng ý")
    await citizen.says("chờ lâu quá không ai gọi")
    aside = await citizen.says("ở đó mấy giờ làm việc")
    assert "Giờ làm việc" in words(aside)
    assert "ở đâu" in words(aside)
    went_on = await citizen.says("quầy số 3 bộ phận một cửa")
    assert "khi nào" in words(went_on)


async def test_a_bare_facet_after_a_procedure_is_about_it_even_when_nlu_doubts(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("làm khai sinh thế nào", "ask_procedure", facets=("overview",), topic=KHAI_SINH)
    fake_nlu.knows(
        "mất mấy ngày",
        "hand_over",
        confidence=0.5,
        also={"ask_procedure": 0.4},
        facets=("time_limit",),
    )
    await citizen.says("làm khai sinh thế nào")
    turn = await citizen.says("mất mấy ngày")
    assert turn.outcome.facets == ("time_limit",)


async def test_how_complaints_and_denunciations_differ_is_told(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows(
        "khiếu nại với tố cáo khác gì nhau",
        "ask_about_complaint_procedure",
        topics=[("khieu_nai", "procedure", 0.5), ("to_cao", "procedure", 0.5)],
    )
    turn = await citizen.says("khiếu nại với tố cáo khác gì nhau")
    assert turn.outcome.result is Result.ANSWERED
    assert "Khiếu nại" in words(turn)
    assert "Tố cáo" in words(turn)


async def test_a_complaint_is_told_its_lawful_way(citizen: Citizen, fake_nlu: FakeNlu) -> None:
    text = "xã phạt tôi sai, tôi không đồng ý quyết định này"
    fake_nlu.knows(text, "bring_case", kind="complaint")
    turn = await citizen.says(text)
    assert turn.outcome.result is Result.REDIRECTED
    assert "chữ ký" in words(turn)


def _may_be_either(fake_nlu: FakeNlu, text: str, *, asks: float, brings: float) -> None:
    """A story about a rude official: asks about the rule, or brings a case."""
    fake_nlu.knows(
        text,
        "ask_conduct",
        confidence=asks,
        also={"bring_case": brings},
        kind="feedback",
        topic=("cau_gat_voi_dan", "situation"),
    )


async def test_between_a_rule_and_a_case_two_buttons_ask(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    text = "cán bộ một cửa nói xẵng với dân cả buổi sáng nay"
    _may_be_either(fake_nlu, text, asks=0.5, brings=0.45)
    await citizen.says(text)
    assert [c.label for c in citizen.offered] == [
        "Tôi hỏi quy định",
        "Tôi muốn gửi phản ánh về việc này",
    ]
    form = await citizen.presses("Tôi muốn gửi phản ánh về việc này")
    assert form.outcome.remember.form.draft == text


async def test_an_official_who_said_so_is_told_the_rule(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("em trực quầy hộ tịch, chào bot", "greet")
    story = "nói xẵng với dân cả buổi sáng nay"
    _may_be_either(fake_nlu, story, asks=0.55, brings=0.35)
    turn = await citizen.says(story)
    assert turn.outcome.result is Result.ASKED_BACK
    await citizen.says("em trực quầy hộ tịch, chào bot")

    turn = await citizen.says(story)

    assert turn.outcome.rule == "cau_gat_voi_dan"


async def test_a_likely_stranger_is_declined_also_where_another_intent_is_likelier(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    text = "giấy khai sinh của ca sĩ đó ghi tên gì"
    fake_nlu.knows(text, "ask_procedure", confidence=0.55, also={"out_of_scope": 0.3})

    turn = await citizen.says(text)

    assert turn.outcome.result is Result.OUT_OF_SCOPE


async def test_a_sure_question_is_answered_although_it_may_be_a_strangers(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    text = "khai sinh cho con cần giấy gì"
    fake_nlu.knows(
        text,
        "ask_procedure",
        confidence=0.85,
        also={"out_of_scope": 0.1},
        facets=("documents",),
        topic=("dang_ky_khai_sinh", "procedure"),
    )

    turn = await citizen.says(text)

    assert turn.outcome.result is Result.ANSWERED


async def test_erasure_is_confirmed_and_wipes_the_conversation(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("xóa dữ liệu của tôi", "erase_data")
    await citizen.says("xóa dữ liệu của tôi")
    citizen.clock.move(seconds=5)
    await citizen.presses("Xóa cuộc trò chuyện này")
    assert not await _kept_words(citizen, "xóa dữ liệu của tôi")


async def test_english_in_our_field_gets_a_bilingual_answer(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("birth certificate documents", "english", facets=("documents",), topic=KHAI_SINH)
    turn = await citizen.says("birth certificate documents")
    assert "This assistant answers in Vietnamese" in words(turn)
    assert turn.outcome.procedure == "dang_ky_khai_sinh"


async def test_consent_is_understood_in_the_citizens_words_without_nlu(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("đèn đường tổ 5 hỏng cả tuần", "bring_case", kind="feedback")
    await citizen.says("đèn đường tổ 5 hỏng cả tuần")
    refused = await citizen.says("không, tôi không đồng ý cho lưu thông tin")
    assert refused.outcome.result is Result.CANCELLED
    await citizen.says("đèn đường tổ 5 hỏng cả tuần")
    fake_nlu.fails = "broken"
    where = await citizen.says("ừ tôi đồng ý")
    assert "ở đâu" in words(where)
    assert "“đèn đường tổ 5 hỏng cả tuần”" in words(where)
    when = await citizen.says("bỏ qua")
    assert "khi nào" in words(when)
    await citizen.says("tối qua")
    summary = await citizen.says("tôi không muốn để tên")
    assert "không nêu tên" in words(summary)
    sent = await citizen.says("gửi đi")
    assert sent.outcome.result is Result.CASE_TAKEN


async def test_start_over_forgets_the_topic_and_asks_the_forms_first_question_again(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("khai sinh cần gì", "ask_procedure", facets=("documents",), topic=KHAI_SINH)
    fake_nlu.knows("lệ phí bao nhiêu", "ask_procedure", confidence=0.6, facets=("fee",))
    await citizen.says("khai sinh cần gì")
    await citizen.says("bắt đầu lại từ đầu")
    turn = await citizen.says("lệ phí bao nhiêu")
    assert turn.outcome.result is Result.ASKED_BACK
    fake_nlu.knows("đường ngập cả tuần không ai dọn", "bring_case", kind="feedback")
    await citizen.says("đường ngập cả tuần không ai dọn")
    await citizen.presses("Đồng ý")
    again = await citizen.says("làm lại từ đầu")
    assert "giữ nội dung này" in words(again)


async def test_an_answer_to_the_question_for_a_code_is_read_as_a_code(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("phản ánh của tôi đến đâu rồi", "follow_case")
    fake_nlu.knows("mã là PA-0000-ZZZZ", "gibberish")
    await citizen.says("phản ánh của tôi đến đâu rồi")
    turn = await citizen.says("mã là PA-0000-ZZZZ")
    assert "MC-XXXX-XXXX-X" in words(turn)
    assert turn.outcome.remember.awaits_code is False


async def test_a_story_without_a_question_is_asked_whether_to_be_sent(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    text = "cô tiếp nhận ném giấy tờ trả lại rồi mắng mẹ tôi"
    _may_be_either(fake_nlu, text, asks=0.8, brings=0.15)
    turn = await citizen.says(text)
    assert turn.outcome.case_kind == "feedback"
    assert "Tôi muốn gửi phản ánh về việc này" in [c.label for c in citizen.offered]


async def test_a_refusal_with_a_question_ends_the_form_and_answers(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("đường hỏng cả tháng nay rồi", "bring_case", kind="feedback")
    text = "thôi em không phản ánh nữa đâu, lệ phí khai sinh bao nhiêu"
    fake_nlu.knows(text, "ask_procedure", facets=("fee",), topic=KHAI_SINH)
    await citizen.says("đường hỏng cả tháng nay rồi")
    turn = await citizen.says(text)
    assert turn.outcome.remember.form is None
    assert "không thu" in words(turn)
    assert not await _kept_words(citizen, "đường hỏng")


async def test_and_in_another_province_asks_the_same_again(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("lệ phí khai sinh quá hạn", "ask_procedure", facets=("fee",), topic=KHAI_SINH)
    fake_nlu.knows("ở Hải Phòng thì sao", "ask_procedure", facets=("place",))
    fake_nlu.knows("cho hỏi về khai sinh", "ask_procedure", facets=("overview",), topic=KHAI_SINH)
    await citizen.says("lệ phí khai sinh quá hạn")
    turn = await citizen.says("ở Hải Phòng thì sao")
    assert turn.outcome.facets == ("fee",)
    assert "8.000 đồng" in words(turn)
    whole = await citizen.says("cho hỏi về khai sinh")
    assert whole.outcome.facets == ("overview",)


async def _at_the_summary(citizen: Citizen, fake_nlu: FakeNlu) -> None:
    story = "đường tổ 5 hỏng hai tháng nay"
    fake_nlu.knows(story, "bring_case", kind="feedback")
    await citizen.says(story)
    await citizen.presses("Đồng ý")
    await citizen.says("tổ 5")
    await citizen.says("hai tháng nay")
    await citizen.says("Nguyễn Văn Ví Dụ")
    await citizen.presses("Chỉ trả lời tại đây")


async def test_a_correction_at_the_summary_sends_nothing(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    await _at_the_summary(citizen, fake_nlu)
    for text in ("ok nhưng sửa nơi xảy ra thành tổ 6 giúp tôi", "được rồi nhưng tên tôi bị sai"):
        turn = await citizen.says(text)
        assert turn.outcome.result is Result.FORM
    assert await citizen.store.run(counted, CaseRow) == 0


async def test_a_name_taken_back_is_not_sent(citizen: Citizen, fake_nlu: FakeNlu) -> None:
    await _at_the_summary(citizen, fake_nlu)
    await citizen.says("quay lại")
    await citizen.says("quay lại")
    summary = await citizen.presses("Gửi không nêu tên")
    assert "Nguyễn Văn Ví Dụ" not in words(summary)


async def test_erasing_ends_an_open_form(citizen: Citizen, fake_nlu: FakeNlu) -> None:
    await _at_the_summary(citizen, fake_nlu)
    fake_nlu.knows("xóa dữ liệu của tôi", "erase_data")
    await citizen.says("xóa dữ liệu của tôi")
    erased = await citizen.presses("Xóa cuộc trò chuyện này")
    assert erased.outcome.remember.form is None
    assert "tổ 5" not in words(erased)


async def test_a_likely_denunciation_at_the_border_is_not_kept(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    text = "địa chính cầm tiền rồi mới ký cho nhà giàu"
    fake_nlu.knows(
        text, "ask_conduct", confidence=0.5, also={"bring_case": 0.45}, kind="denunciation"
    )
    turn = await citizen.says(text)
    if turn.outcome.result is Result.ASKED_BACK:
        assert turn.outcome.remember.draft is None
        turn = await citizen.presses("Tôi muốn gửi phản ánh về việc này")
    assert turn.outcome.result is Result.REDIRECTED
    assert not await _kept_words(citizen, "cầm tiền")


async def test_a_complaint_told_inside_a_form_is_redirected(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("tôi muốn phản ánh", "bring_case", kind="feedback")
    fake_nlu.knows("xã phạt tôi sai, tôi không đồng ý quyết định", "bring_case", kind="complaint")
    await citizen.says("tôi muốn phản ánh")
    await citizen.presses("Đồng ý")
    turn = await citizen.says("xã phạt tôi sai, tôi không đồng ý quyết định")
    assert turn.outcome.case_kind == "complaint"
    assert turn.outcome.result is Result.REDIRECTED


async def test_an_officers_answer_outlives_a_cancelled_form(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    from bot import desk

    code = cases.CaseCode.parse(await filed(citizen, fake_nlu))
    fake_nlu.knows("tôi muốn phản ánh", "bring_case", kind="feedback")
    await citizen.says("tôi muốn phản ánh")
    citizen.clock.move(seconds=5)
    await citizen.store.run(
        desk.answer, citizen.house, code, "Đã thêm người trực.", "officer", citizen.clock()
    )
    citizen.clock.move(seconds=5)
    await citizen.says("hủy")
    assert await _kept_words(citizen, "Đã thêm người trực.")


async def test_an_old_story_does_not_fill_a_new_form(citizen: Citizen, fake_nlu: FakeNlu) -> None:
    text = "cán bộ một cửa nói xẵng với dân cả buổi sáng nay"
    _may_be_either(fake_nlu, text, asks=0.5, brings=0.45)
    fake_nlu.knows("chào", "greet")
    await citizen.says(text)
    await citizen.says("chào")
    await citizen.presses("Gửi phản ánh, kiến nghị")
    turn = await citizen.presses("Đồng ý")
    assert "việc gì đã xảy ra" in words(turn)


async def test_a_side_question_does_not_replace_the_story(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    await _at_the_summary(citizen, fake_nlu)
    fake_nlu.knows("lệ phí khai sinh bao nhiêu?", "ask_procedure", facets=("fee",), topic=KHAI_SINH)
    await citizen.presses("Làm lại từ đầu")
    aside = await citizen.says("lệ phí khai sinh bao nhiêu?")
    assert "“đường tổ 5 hỏng hai tháng nay”" in words(aside)


async def test_the_menu_asks_which_procedure(citizen: Citizen, fake_nlu: FakeNlu) -> None:
    fake_nlu.knows("khai sinh cần gì", "ask_procedure", facets=("documents",), topic=KHAI_SINH)
    fake_nlu.knows("chào", "greet")
    await citizen.says("khai sinh cần gì")
    await citizen.says("chào")
    turn = await citizen.says("1")
    assert turn.outcome.result is Result.ASKED_BACK


async def test_waiting_for_a_code_does_not_swallow_other_wishes(
    citizen: Citizen, fake_nlu: FakeNlu
) -> None:
    fake_nlu.knows("phản ánh của tôi đến đâu rồi", "follow_case")
    fake_nlu.knows("bạn là ai", "who_are_you")
    await citizen.says("phản ánh của tôi đến đâu rồi")
    assert "phần mềm" in words(await citizen.says("bạn là ai"))


async def test_a_code_is_followed_without_nlu(citizen: Citizen, fake_nlu: FakeNlu) -> None:
    code = await filed(citizen, fake_nlu)
    fake_nlu.fails = "broken"
    assert "đã tiếp nhận" in words(await citizen.says(code.lower()))


@pytest.mark.parametrize("text", ["ｃháy nhà, cứu với", "ch\u00adáy nhà, cứu với"])
async def test_disguised_letters_are_heard_without_nlu(
    citizen: Citizen, fake_nlu: FakeNlu, text: str
) -> None:
    fake_nlu.fails = "broken"
    assert (await citizen.says(text)).outcome.result is Result.EMERGENCY


async def test_many_conversations_are_taken_without_waiting_for_the_next_poll(
    citizen: Citizen, fake_nlu: FakeNlu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_IDLE_SECONDS", 60.0)
    fake_nlu.knows("chào", "greet")
    people = [replace(citizen, name=f"person-{number}") for number in range(30)]
    for person in people:
        await person.sends("chào")
    all_taken = asyncio.Event()
    taken: list[int] = []

    def count(held: Lease) -> None:
        taken.append(held.conversation_id)
        if len(taken) == len(people):
            all_taken.set()

    citizen.worker.on_turn.append(count)
    working = asyncio.create_task(citizen.worker.run())
    async with asyncio.timeout(20):
        await all_taken.wait()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert len(set(taken)) == len(people)
