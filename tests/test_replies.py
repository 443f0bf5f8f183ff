"""Replies: each one that is used exists and renders, and no number in them is of our own making."""

import ast
import re
import unicodedata
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

import jinja2
import pytest
from jinja2 import nodes
from jinja2.sandbox import SecurityError
from pydantic import RootModel

from actions.action import (
    Asked,
    Attachment,
    AttachmentKind,
    Command,
    Form,
    Found,
    Memory,
    Outcome,
    Press,
    Result,
    Says,
    Step,
    Understanding,
    says,
)
from actions.advise_conduct import AdviseConduct
from actions.answer import Answer
from actions.answer_english import AnswerEnglish
from actions.cases import Case, CaseCode, CaseKind, State
from actions.deadlines import VIETNAM, Calendar
from actions.erase_data import erase_data
from actions.follow_case import FollowCase
from actions.greet import greet
from actions.hand_over import HandOver
from actions.knowledge import Knowledge, When, branches
from actions.knowledge.model import CatalogueEntry, Conclusion, Facet
from actions.knowledge.reading import read_one
from actions.not_understood import NotUnderstood
from actions.receive import receive
from actions.redirect import Redirect
from actions.take_case import TakeCase
from actions.warn_emergency import warn_emergency
from bot.dialogue import load_ears, load_intents
from bot.message import AskContactBlock, AskLocationBlock, Block, ChoicesBlock, TextBlock
from bot.replies import Reply
from bot.settings import CHECKOUT
from bot.turn import House

KNOWLEDGE = CHECKOUT / "data" / "knowledge"
CHANNELS = read_one(CHECKOUT / "data/replies/vi/channels.yml", RootModel[dict[str, str]]).root
BEFORE_ANYTHING = date(2000, 1, 1)
DAYS = (
    BEFORE_ANYTHING,
    date(2025, 6, 30),
    date(2026, 11, 24),
    date(2027, 1, 15),
    date(2027, 3, 2),
)


def asked(house: House, day: date, *, hour: int = 10, **more: Any) -> Asked:
    """A message on that day, without anything understood unless told."""
    now = datetime(day.year, day.month, day.day, hour, tzinfo=VIETNAM).astimezone(UTC)
    office = house.office("ubnd_phuong_vi_du")
    return Asked(
        **{
            "text": "",
            "understanding": Understanding("", ""),
            "memory": Memory(),
            "office": office,
            "now": now,
            "day": day,
            **more,
        }
    )


def worded(house: House, outcome: Outcome, message: Asked) -> list[Block]:
    """An outcome's replies in words, as a turn puts them."""
    facts = {"office": message.office, "day": message.day, "now": message.now}
    return [
        block
        for reply in outcome.says
        for block in house.replies.word(reply, facts, lambda number, *_: f"token-{number}")
    ]


def words(blocks: Iterable[Block]) -> str:
    parts = []
    for block in blocks:
        match block:
            case ChoicesBlock():
                parts += [choice.label for choice in block.choices]
            case TextBlock():
                parts.append(block.text)
            case AskLocationBlock() | AskContactBlock():
                parts += [block.label, block.words]
            case _:
                parts += [block.summary, block.text]
    return "\n".join(parts)


def about(house: House, topic: str, facets: tuple[Facet, ...], day: date, **more: Any) -> str:
    """What is said about a procedure, as when a choice was pressed."""
    press = Press(Command.ASK, "ask_procedure", topic, facets, more.pop("variant", None))
    message = asked(house, day, press=press, **more)
    return words(worded(house, Answer(house.knowledge)(message), message))


def advised(house: House, situation: str, day: date) -> str:
    press = Press(Command.ASK, "ask_conduct", situation)
    message = asked(house, day, press=press)
    return words(worded(house, AdviseConduct(house.knowledge)(message), message))


PROCEDURES = sorted(
    path.stem
    for path in KNOWLEDGE.glob("*/*.yml")
    if path.parent.name not in {"law", "offices", "van_hoa_cong_vu"}
)
SITUATIONS = sorted(path.stem for path in (KNOWLEDGE / "van_hoa_cong_vu").glob("*.yml"))


def variants(knowledge: Knowledge, topic: str) -> list[str | None]:
    return [None, *(variant.id for variant in knowledge.files.procedures[topic].variants)]


Answers = dict[tuple[date, str], str]
"""Answers about one topic, by the day and by what was asked."""


def everything_about(house: House, topic: str) -> Answers:
    """Every answer about a procedure: each facet, each variant, each day."""
    return {
        (day, f"{facet} {variant}"): about(house, topic, (facet,), day, variant=variant)
        for day in DAYS
        for facet in Facet
        for variant in variants(house.knowledge, topic)
    }


def everything_advised(house: House, situation: str) -> Answers:
    return {(day, "advice"): advised(house, situation, day) for day in DAYS}


@pytest.fixture(scope="module")
def answers(house: House) -> dict[str, Answers]:
    """Every answer about every topic that has facts."""
    procedures = {topic: everything_about(house, topic) for topic in PROCEDURES}
    return procedures | {topic: everything_advised(house, topic) for topic in SITUATIONS}


def test_the_files_are_those_that_were_loaded(house: House) -> None:
    files = house.knowledge.files
    assert (sorted(files.procedures), sorted(files.situations)) == (PROCEDURES, SITUATIONS)


@pytest.mark.parametrize("topic", PROCEDURES)
def test_every_facet_of_a_procedure_renders_on_every_day(
    answers: dict[str, Answers], house: House, topic: str
) -> None:
    procedure = house.knowledge.files.procedures[topic]
    codes = {str(variant.id): variant.code for variant in procedure.variants}
    for (_, asked_for), text in answers[topic].items():
        assert codes.get(asked_for.split()[-1], procedure.code) in text.splitlines()[0]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_situation_renders_on_every_day(answers: dict[str, Answers], situation: str) -> None:
    assert [
        at for at, text in answers[situation].items() if not text.startswith(("Dạ", "## "))
    ] == []


@pytest.mark.parametrize("topic", PROCEDURES)
def test_a_day_before_anything_is_known_says_so(answers: dict[str, Answers], topic: str) -> None:
    for facet in Facet:
        text = answers[topic][BEFORE_ANYTHING, f"{facet} None"]
        assert "Chưa có thông tin" in text
        assert "đồng" not in text.replace("hội đồng", "").replace("Hội đồng", "")


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_situation_before_its_rules_is_not_concluded(
    answers: dict[str, Answers], situation: str
) -> None:
    text = answers[situation][BEFORE_ANYTHING, "advice"]
    assert "chưa có thông tin" in text
    assert "Kết luận" not in text


def test_an_answer_that_knows_nothing_does_not_call_itself_common_knowledge(
    answers: dict[str, Answers],
) -> None:
    text = answers["dang_ky_khai_sinh"][BEFORE_ANYTHING, "fee None"]
    assert "kiến thức chung" not in text


@pytest.mark.parametrize(
    ("day", "change", "again"),
    [
        (date(2026, 11, 24), "25.000 đồng", "35.000 đồng"),
        (date(2026, 12, 31), "25.000 đồng", "35.000 đồng"),
        (date(2027, 1, 1), "50.000 đồng", "70.000 đồng"),
        (date(2027, 1, 15), "50.000 đồng", "70.000 đồng"),
    ],
)
def test_the_fee_of_an_identity_card_is_that_of_the_day(
    house: House, day: date, change: str, again: str
) -> None:
    lines = about(house, "cap_lai_can_cuoc", (Facet.FEE,), day).splitlines()
    [for_change] = [line for line in lines if line.startswith("- Đổi thẻ:")]
    [for_again] = [line for line in lines if line.startswith("- Cấp lại (mất")]
    assert for_change.startswith(f"- Đổi thẻ: {change}")
    assert f": {again}" in for_again


def test_the_waiver_for_digital_citizens_ends_with_its_last_day(house: House) -> None:
    last = about(house, "cap_lai_can_cuoc", (Facet.FEE,), date(2027, 2, 28))
    after = about(house, "cap_lai_can_cuoc", (Facet.FEE,), date(2027, 3, 1))
    assert "Công dân số đổi thẻ" in last
    assert "Công dân số" not in after


@pytest.mark.parametrize("topic", PROCEDURES)
def test_an_answer_shows_the_law_or_source_and_the_day_of_every_value(
    answers: dict[str, Answers], house: House, topic: str
) -> None:
    knowledge, day = house.knowledge, date(2026, 11, 24)
    procedure = knowledge.files.procedures[topic]
    for facet in Facet:
        text = answers[topic][day, f"{facet} None"]
        for value in branches(getattr(procedure, facet), day, When()):
            assert [c.law for c in value.cites if knowledge.law(c.law).number not in text] == []
        assert f"rà soát ngày {procedure.checked:%d/%m/%Y}" in text
        assert "cơ quan chưa rà soát" in text


@pytest.mark.parametrize("topic", PROCEDURES)
def test_what_people_forget_shows_its_law_too(
    answers: dict[str, Answers], house: House, topic: str
) -> None:
    day = date(2026, 11, 24)
    text = answers[topic][day, "overview None"]
    forgotten = [
        value
        for value in house.knowledge.files.procedures[topic].forgotten
        if value.holds_on(day) and value.value is not None
    ]
    laws = {cite.law for value in forgotten for cite in value.cites}
    missing = {law for law in laws if house.knowledge.law(law).number not in text}
    assert missing == set()


@pytest.mark.parametrize(
    ("day", "told"),
    [(date(2027, 2, 28), False), (date(2027, 3, 1), True), (date(2027, 3, 2), True)],
)
def test_a_law_that_is_no_longer_in_force_is_told_from_that_day_on(
    house: House, day: date, told: bool
) -> None:
    law = house.knowledge.law("luat_ho_tich_2014")
    assert law.expired == date(2027, 3, 1)
    text = house.replies.line("law_change", l=law, day=day)
    assert (text == "hết hiệu lực từ 01/03/2027") is told


def numbers(text: str) -> Iterator[str]:
    """The numbers in a text: days as 2026-11-24, sums without dots, everything else as it is."""
    text = re.sub(r"^\d+\. ", "", text, flags=re.MULTILINE)
    text = re.sub(r"\b(\d{2})/(\d{2})/(\d{4})\b", r" \3-\2-\1 ", text)
    text = re.sub(r"(?<=\d)[._](?=\d{3}(?!\d))", "", text)
    for found in re.finditer(r"\d{4}-\d{2}-\d{2}|\d+", text):
        yield found[0] if "-" in found[0] else found[0].lstrip("0") or "0"


def known_numbers(*texts: str) -> set[str]:
    known = {number for text in texts for number in numbers(text)}
    return known | {part.lstrip("0") for number in known for part in number.split("-")}


def sources(house: House, topic: str) -> list[str]:
    """The words of every file on which an answer about a topic may rest."""
    files = house.knowledge.files
    situation = files.situations.get(topic)
    ids = [topic, *(situation.rests_on if situation else ())]
    text = [path.read_text() for id_ in ids for path in KNOWLEDGE.glob(f"**/{id_}.yml")]
    laws = [path for path in (KNOWLEDGE / "law").glob("*.yml") if path.stem in "\n".join(text)]
    others = [KNOWLEDGE / "when.yml", *(KNOWLEDGE / "offices").glob("*.yml"), *laws]
    return [*text, *(path.read_text() for path in others)]


@pytest.mark.parametrize("topic", [*PROCEDURES, *SITUATIONS])
def test_every_number_that_a_citizen_sees_stands_in_the_data(
    answers: dict[str, Answers], house: House, topic: str
) -> None:
    templates = [text for reply in house.replies.replies.values() for text in _templates(reply)]
    known = known_numbers(*templates, *sources(house, topic))
    made_up = {
        (at[1], number)
        for at, text in answers[topic].items()
        for number in numbers(text)
        if number not in known and number != at[0].isoformat()
    }
    assert made_up == set()


def _templates(reply: Reply) -> Iterator[str]:
    yield reply.text
    for folded in filter(None, (reply.more, reply.details)):
        yield from (folded.summary, folded.text)


class Nobody:
    """Cases as a conversation without any sees them."""

    def by_code(self, code: CaseCode) -> Case | None:
        return None

    def latest_here(self) -> Case | None:
        return None


class One(Nobody):
    """One case, whatever is asked for."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def by_code(self, code: CaseCode) -> Case | None:
        return self.case

    def latest_here(self) -> Case | None:
        return self.case


CODE = CaseCode.draw()
EARS = load_ears(CHECKOUT / "data" / "vocabulary" / "heard_first.yml")
NOON = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


def every_case(day: date) -> Iterator[Case]:
    """A case in every state that it can be moved to, in time and overdue."""
    received = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=40)
    for late in (1, -1):
        for state in State:
            case = Case(
                CODE,
                CaseKind.FEEDBACK,
                "ubnd_phuong_vi_du",
                received,
                day - timedelta(days=late),
                None,
            )
            if state is not State.RECEIVED:
                case.state = State.REFUSED if state is State.REOPENED else State.RECEIVED
                case.move_to(state, received, "officer", reason="Đã xong.", answer="Đã làm.")
            yield case


def every_form(kind: CaseKind) -> Iterator[Form]:
    for step in Step:
        told = {"what": "đèn hỏng", "where": "tổ 5", "when": "hôm qua"}
        for answers in (told, {**told, "name": "Lan", "contact": "0900 000 000"}, {"what": "x"}):
            for draft in (None, "đèn đường hỏng"):
                yield Form(kind, step, since=NOON, answers=answers, draft=draft)


def other_outcomes(house: House) -> Iterator[tuple[Outcome, Asked]]:
    """What verbs say beside procedures and situations."""
    knowledge, day = house.knowledge, date(2026, 11, 24)
    calendar = Calendar(knowledge.files.holidays)
    closed, opened = asked(house, day), asked(house, date(2026, 11, 23))
    no_phone = opened.office.model_copy(update={"phone": None, "example": False})
    for message in (closed, opened, replace(opened, office=no_phone)):
        for verb in (
            greet,
            erase_data,
            warn_emergency,
            HandOver(calendar),
            HandOver(calendar).office,
            NotUnderstood(knowledge),
            AnswerEnglish(Answer(knowledge)),
            Answer(knowledge),
            AdviseConduct(knowledge),
            FollowCase(Nobody()),
            Redirect(knowledge, CaseKind.COMPLAINT),
            Redirect(knowledge, CaseKind.DENUNCIATION),
        ):
            yield verb(message), message
        yield from _fixed(house, message)
        yield from _forms(calendar, message)
        yield from _asked_about(house, message)
        for case in every_case(day):
            yield FollowCase(One(case))(message), message
    confirmed = replace(opened, press=Press(Command.ERASE))
    yield erase_data(confirmed), confirmed


def _fixed(house: House, message: Asked) -> Iterator[tuple[Outcome, Asked]]:
    """Replies of `intents.yml`, of the turn, the desk and the web chat."""
    fixed = [
        *(i.reply for i in load_intents(CHECKOUT / "data" / "intents.yml") if i.reply),
        *("choice_gone", "went_wrong", "nothing_open", "no_list_open"),
        *(reply for reply in house.replies.replies if reply.startswith("chat_")),
        *CHANNELS,
    ]
    told = [says(reply) for reply in fixed]
    told += [
        says("case_answered", code=str(CODE), answer="Đã làm."),
        says("case_closed", code=str(CODE), reason="Đã xong."),
    ]
    for reply in told:
        yield Outcome(Result.ANSWERED, (reply,), Memory()), message
    for kind in AttachmentKind:
        attached = replace(message, attachments=(Attachment(kind),))
        yield receive(attached), attached


def _forms(calendar: Calendar, message: Asked) -> Iterator[tuple[Outcome, Asked]]:
    verb = TakeCase(calendar, EARS)
    for kind in (CaseKind.FEEDBACK, CaseKind.PROPOSAL):
        for form in every_form(kind):
            at = replace(message, memory=Memory(form=form))
            yield Outcome(Result.ANSWERED, (verb.question(form, at),), Memory()), at
            yield verb.cancel(at), at
            for kind_ in AttachmentKind:
                place = Attachment(kind_, latitude=21.0, longitude=105.8, phone="0900000000")
                attached = replace(at, attachments=(place,))
                yield verb.go_on(attached), attached
            full = replace(at, attachments=(Attachment(AttachmentKind.IMAGE),) * 11)
            yield verb.go_on(full), full
            for text in ("", "vâng", "9", "Lan", "a" * 5000):
                typed = replace(at, text=text)
                yield verb.go_on(typed), typed
            for value in ("yes", "no", "skip", "send", "again", "cancel"):
                pressed = replace(at, press=Press(Command.FORM, value=value))
                yield verb.go_on(pressed), pressed


def _asked_about(house: House, message: Asked) -> Iterator[tuple[Outcome, Asked]]:
    knowledge = house.knowledge
    close = tuple(Found(id_, 0.4) for id_ in list(knowledge.files.procedures)[:3])
    near = tuple(Found(id_, 0.4) for id_ in list(knowledge.files.situations)[:3])
    entries = [e for e in knowledge.topics() if isinstance(e, CatalogueEntry)]
    procedure = next(e.id for e in entries if e.kind == "procedure")
    situation = next(e.id for e in entries if e.kind == "situation")
    likely = replace(message, understanding=Understanding("", "", None, 0, procedures=close))
    alike = replace(message, understanding=Understanding("", "", None, 0, situations=near))
    sure = replace(
        message, understanding=Understanding("", "", procedures=(Found(procedure, 0.9),))
    )
    complaint = replace(
        message, understanding=Understanding("", "", "ask_about_complaint_procedure", 0.9)
    )
    yield Answer(knowledge)(likely), likely
    yield Answer(knowledge)(sure), sure
    yield Answer(knowledge)(complaint), complaint
    yield AnswerEnglish(Answer(knowledge))(sure), sure
    yield NotUnderstood(knowledge)(likely), likely
    yield AdviseConduct(knowledge)(alike), alike
    pressed = replace(message, press=Press(Command.ASK, "ask_conduct", situation))
    yield AdviseConduct(knowledge)(pressed), pressed
    for typed in (str(CODE), "MC-2222-2222-3"):
        followed = replace(
            message, understanding=Understanding("", "", entities={"case_code": (typed,)})
        )
        yield FollowCase(Nobody())(followed), followed
    both = Understanding(
        "thấy cán bộ nhận quà",
        "thấy cán bộ nhận quà",
        "ask_conduct",
        0.5,
        {"ask_conduct": 0.5, "bring_case": 0.5},
    )
    either = replace(message, text="thấy cán bộ nhận quà", understanding=both)
    yield house.dialogue.act(either, Nobody()), either


@pytest.fixture(scope="module")
def others(house: House) -> list[tuple[Outcome, str]]:
    return [(o, words(worded(house, o, message))) for o, message in other_outcomes(house)]


def test_no_reply_is_empty(others: list[tuple[Outcome, str]]) -> None:
    assert [outcome.says for outcome, text in others if not text.strip()] == []


def test_every_reply_is_rendered_by_these_tests(
    house: House, others: list[tuple[Outcome, str]]
) -> None:
    """A new reply, or a new verb, is to be rendered here too."""
    told: set[str] = {"procedure", "conduct", "conduct_not_known"}
    for outcome, _ in others:
        for reply in outcome.says:
            told |= {reply.reply, *(choice.label for choice in reply.choices)}
            told |= {f"share_{reply.share}", f"share_{reply.share}_words"} if reply.share else set()
    in_parts = {f"facet_{facet}" for facet in Facet}
    assert used_in_code() - told - in_parts == set()


def test_replies_are_polite_and_written_in_one_spelling(
    answers: dict[str, Answers], house: House, others: list[tuple[Outcome, str]]
) -> None:
    texts = [text for about_one in answers.values() for text in about_one.values()]
    texts += [text for _, text in others]
    texts += [text for reply in house.replies.replies.values() for text in _templates(reply)]
    assert {text for text in texts if "!" in re.sub(r"\{[{%].*?[%}]\}", "", text)} == set()
    assert {letter for text in texts for letter in text if _is_picture(letter)} == set()
    assert [text for text in texts if not unicodedata.is_normalized("NFC", text)] == []


def _is_picture(letter: str) -> bool:
    return unicodedata.category(letter) in {"So", "Sk", "Cs", "Co"} or letter in "\u200d\ufe0f"


LEFT_OVER = re.compile(r"None|Undefined|\{\{|\{%|\[\]|\(\)|: \.|\.\.(?!\.)|,,| ,|\s\.(?:\s|$)")


def test_nothing_of_a_template_is_left_over(
    answers: dict[str, Answers], others: list[tuple[Outcome, str]]
) -> None:
    texts = {
        f"{topic} {at[1]}": text
        for topic, about_one in answers.items()
        for at, text in about_one.items()
    }
    texts |= {str(n): text for n, (_, text) in enumerate(others)}
    found = {
        (where, text[max(0, m.start() - 30) : m.end() + 20])
        for where, text in texts.items()
        for m in LEFT_OVER.finditer(text)
    }
    assert found == set()


# Which replies the code uses: read from the code itself.

EXPANDED: dict[str, Iterable[StrEnum]] = {
    "facet_": Facet,
    "form_": Step,
    "redirect_": (CaseKind.DENUNCIATION, CaseKind.COMPLAINT),
    "kind_": (CaseKind.FEEDBACK, CaseKind.PROPOSAL),
    "conclusion_": Conclusion,
    "state_": State,
}
"""What a reply's id may be put together of."""

NAMES_A_REPLY = {
    "says": 0,
    "Says": 0,
    "Say": 0,
    "Choice": 0,
    "_choice": 0,
    "Refusal": 2,
    "self.ask": 2,
    "self.line": 0,
    "self._reception.words": 0,
    "self._reception.tell": 1,
    "words": 0,
}
"""Calls whose argument at that place is the id of a reply."""


def used_in_code() -> set[str]:
    found: set[str] = set()
    for folder in ("actions", "bot"):
        for path in sorted((CHECKOUT / folder).glob("**/*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    found |= set(_named_by(node))
    return found


def _named_by(call: ast.Call) -> Iterator[str]:
    at = NAMES_A_REPLY.get(ast.unparse(call.func))
    if at is not None and at < len(call.args):
        yield from _ids(call.args[at])


def _ids(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str() as reply):
            yield reply
        case ast.IfExp():
            yield from _ids(node.body)
            yield from _ids(node.orelse)
        case ast.JoinedStr(values=[ast.Constant(value=prefix), ast.FormattedValue()]):
            yield from (f"{prefix}{end}" for end in EXPANDED[prefix])


def used_in_templates(replies: Iterable[Reply]) -> set[str]:
    reader = jinja2.Environment(autoescape=False)  # only parses
    reader.filters.update(money=str, day=str, moment=str)
    found: set[str] = set()
    for reply in replies:
        for template in _templates(reply):
            for call in reader.parse(template).find_all(nodes.Call):
                if isinstance(call.node, nodes.Name) and call.node.name == "word":
                    found |= set(_ids_in_template(call.args[0]))
    return found


def _ids_in_template(node: nodes.Node) -> Iterator[str]:
    match node:
        case nodes.Const():
            yield node.value
        case nodes.Concat():
            prefix = node.nodes[0].value
            yield from (f"{prefix}{end}" for end in EXPANDED[prefix])


def used(house: House) -> set[str]:
    intents = load_intents(CHECKOUT / "data" / "intents.yml")
    return (
        used_in_code()
        | used_in_templates(house.replies.replies.values())
        | {intent.reply for intent in intents if intent.reply}
    )


def test_the_code_is_read_well() -> None:
    """Each way of naming a reply is seen: a name, one of two, one put together."""
    assert {"greeting", "which_situation_free", "form_contact", "facet_fee"} <= used_in_code()
    assert {"chat_too_many", "consent_needed", "form_send", "nothing_open"} <= used_in_code()


def test_no_reply_that_is_used_is_missing(house: House) -> None:
    assert used(house) - set(house.replies.replies) == set()


def test_no_reply_is_unused(house: House) -> None:
    assert set(house.replies.replies) - used(house) == set()


def test_a_reply_says_with_strangers_facts_only_what_it_was_given(house: House) -> None:
    """A name that a template uses and nobody gives is an error, not a gap in the answer."""
    message = asked(house, date(2026, 11, 24))
    with pytest.raises(jinja2.UndefinedError):
        worded(house, Outcome(Result.ANSWERED, (Says("case_taken"),), Memory()), message)


def test_words_of_a_citizen_are_never_read_as_a_template(house: House) -> None:
    message = asked(house, date(2026, 11, 24))
    told = {"what": "{{ office.phone }} {% if"}
    form = Form(CaseKind.FEEDBACK, Step.SUMMARY, since=NOON, answers=told)
    question = TakeCase(Calendar(()), EARS).question(form, message)
    text = words(worded(house, Outcome(Result.ANSWERED, (question,), Memory()), message))
    assert "{{ office.phone }} {% if" in text


async def _pieces() -> AsyncIterator[str]:
    yield ""


def _traceback() -> object:
    try:
        int("no number")
    except ValueError as error:
        return error.__traceback__
    raise AssertionError


@pytest.mark.parametrize(
    ("given", "template"),
    [
        (_pieces, "{{ it.__globals__ }}"),
        (_pieces(), "{{ it.ag_frame }}"),
        (_traceback(), "{{ it.tb_frame }}"),
        (int, "{{ it.mro() }}"),
        ("{0.__class__}", "{{ it.format(it) }}"),
    ],
)
def test_a_template_does_not_lead_into_the_interpreter(
    house: House, given: object, template: str
) -> None:
    with pytest.raises(SecurityError):
        house.replies._jinja.from_string(template).render(it=given)
