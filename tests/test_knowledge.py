"""What is known, as it ships: one name and one source for everything, and who has signed it."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from actions.knowledge import Dated, Knowledge, When
from actions.knowledge.model import Facet, Procedure, Situation
from bot.turn import House
from nlu.text import fold
from tests.conftest import START

TODAY = START.date()
SOUND = Path(__file__).parent / "bad_data" / "sound"


@pytest.fixture(scope="module")
def knowledge(house: House) -> Knowledge:
    return house.knowledge


def dated(model: BaseModel, where: str) -> Iterator[tuple[str, Dated[Any]]]:
    """Every dated value of a file, with where it stands."""
    for name in type(model).model_fields:
        entries = getattr(model, name)
        for i, entry in enumerate(entries if isinstance(entries, tuple) else ()):
            if isinstance(entry, Dated):
                yield f"{where}.{name}[{i}]", entry
            elif isinstance(entry, BaseModel):
                yield from dated(entry, f"{where}.{name}[{i}]")


def values(knowledge: Knowledge) -> dict[str, Dated[Any]]:
    files = knowledge.files
    models = [*files.procedures.values(), *files.rules.values()]
    return dict(pair for model in models for pair in dated(model, model.id))


def twice(names: Iterator[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def test_no_two_topics_have_one_code_or_one_mark(knowledge: Knowledge) -> None:
    def marks() -> Iterator[str]:
        for topic in knowledge.topics():
            yield from filter(None, (getattr(topic, "code", None), getattr(topic, "ref", None)))
            for variant in getattr(topic, "variants", ()):
                yield variant.code

    assert twice(marks()) == []


def test_no_two_topics_of_one_kind_have_one_name(knowledge: Knowledge) -> None:
    names = (
        f"{isinstance(topic, Situation) or topic.kind} {fold(topic.name)}"
        for topic in knowledge.topics()
    )
    assert twice(names) == []


def test_every_topic_is_found_by_its_id(knowledge: Knowledge) -> None:
    assert all(knowledge.topic(topic.id) is topic for topic in knowledge.topics())
    assert knowledge.topic("khong_co_tep_nay") is None


def test_nothing_was_read_or_checked_in_the_future(knowledge: Knowledge) -> None:
    read = {
        where: value.source.read_on
        for where, value in values(knowledge).items()
        if value.source is not None
    }
    assert {where: day for where, day in read.items() if day > TODAY} == {}
    checked = {topic.id: getattr(topic, "checked", TODAY) for topic in knowledge.topics()}
    assert {where: day for where, day in checked.items() if day > TODAY} == {}


def test_no_two_values_of_one_facet_begin_on_one_day_for_the_same_conditions(
    knowledge: Knowledge,
) -> None:
    """Which of two such values holds would depend on their order in the file."""
    begins = (
        f"{where.rpartition('[')[0]} {value.about} {value.when.conditions()} {value.starts}"
        for where, value in values(knowledge).items()
    )
    assert twice(begins) == []


def test_laws_stand_in_order(knowledge: Knowledge) -> None:
    wrong = [
        law.id
        for law in knowledge.files.laws.values()
        if (law.issued and law.in_force and law.in_force < law.issued)
        or (law.in_force and law.expired and law.expired < law.in_force)
    ]
    assert wrong == []


def test_every_procedure_with_facts_answers_the_commonest_questions_today(
    knowledge: Knowledge,
) -> None:
    asked = (Facet.OVERVIEW, Facet.DOCUMENTS, Facet.PLACE)
    silent = [
        (procedure.id, facet.value)
        for procedure in knowledge.files.procedures.values()
        for facet in asked
        if not any(value.holds_on(TODAY) for value in getattr(procedure, facet))
    ]
    assert silent == []


def test_every_situation_has_advice_today(knowledge: Knowledge) -> None:
    silent = [
        situation.id
        for situation in knowledge.files.situations.values()
        if not any(advice.from_ <= TODAY for advice in situation.advice)
    ]
    assert silent == []


def test_every_rule_carries_a_situation(knowledge: Knowledge) -> None:
    carried = {rule for s in knowledge.files.situations.values() for rule in s.rests_on}
    assert set(knowledge.files.rules) - carried == set()


@pytest.mark.parametrize(
    ("text", "province"),
    [
        ("lệ phí khai sinh ở Hà Nội", "ha_noi"),
        ("le phi khai sinh o ha noi", "ha_noi"),
        ("phí ở ha noi bao nhiêu", "ha_noi"),
        ("tôi ở thành phố Hải Phòng.", "hai_phong"),
        ("thành phố Hồ Chí Minh thì sao?", "ho_chi_minh"),
        ("quê Thanh Hoá", "thanh_hoa"),
        ("từ Hà Nội vào Đà Nẵng", None),
        ("khai sinh cho con", None),
        ("đi làm đồng về muộn mới khai sinh được", None),
        ("đánh giá lại hồ sơ", None),
        ("mua hoa huệ", None),
        ("làm cả mau", None),
        ("", None),
    ],
)
def test_a_province_is_known_where_a_text_names_exactly_one(
    knowledge: Knowledge, text: str, province: str | None
) -> None:
    assert knowledge.province_in(text) == province


def test_conditions_are_told_in_words(knowledge: Knowledge) -> None:
    assert knowledge.words_for(When(filed="late", province="ha_noi")) == "quá hạn, Hà Nội"
    assert knowledge.words_for(When(as_group=True)) == "theo danh sách"
    assert knowledge.words_for(When()) == ""


def signed(folder: Path, *, hash_: str | None = None) -> Path:
    """The small sound knowledge, with one file signed on 2026-12-01."""
    root = folder / "knowledge"
    shutil.copytree(SOUND, root)
    content = (root / "ho_tich" / "cap_giay_vi_du.yml").read_bytes()
    (root / "reviews.yml").write_text(
        "- id: cap_giay_vi_du\n"
        f"  hash: {hash_ or hashlib.sha256(content).hexdigest()}\n"
        "  office: ubnd_phuong_vi_du\n"
        "  role: Trưởng phòng Tư pháp\n"
        "  day: 2026-12-01\n"
    )
    return root


def test_a_signature_counts_from_its_day(tmp_path: Path) -> None:
    knowledge = Knowledge.load(signed(tmp_path))
    assert knowledge.review("cap_giay_vi_du", date(2026, 11, 30)) is None
    review = knowledge.review("cap_giay_vi_du", date(2026, 12, 1))
    assert review is not None
    assert review.role == "Trưởng phòng Tư pháp"
    assert knowledge.review("nhan_qua_vi_du", date(2026, 12, 1)) is None


def test_any_change_of_a_file_lifts_its_signature(tmp_path: Path) -> None:
    root = signed(tmp_path)
    path = root / "ho_tich" / "cap_giay_vi_du.yml"
    path.write_text(path.read_text().replace("amount: 8000", "amount: 9000"))
    assert Knowledge.load(root).review("cap_giay_vi_du", date(2026, 12, 2)) is None


def test_nothing_that_ships_is_signed_by_an_office_that_does_not_exist(
    knowledge: Knowledge,
) -> None:
    example = [o.id for o in knowledge.files.offices.values() if o.example]
    signing = [review.office for review in knowledge.files.reviews]
    assert [office for office in signing if office in example] == []


def test_procedures_ship_with_the_names_people_use(knowledge: Knowledge) -> None:
    procedures = [t for t in knowledge.topics() if isinstance(t, Procedure)]
    assert [procedure.id for procedure in procedures if not procedure.also_called] == []
