"""The finder: every name and code is found, and a stranger is not taken for a neighbour."""

import random
import statistics
import time
from collections.abc import Callable, Iterator

import pytest

from actions.action import Found
from actions.find import Finder
from actions.knowledge import Knowledge, Topic
from actions.knowledge.model import CatalogueEntry, Procedure, Situation
from bot.turn import House
from nlu.text import fold
from tests.bench.finder import generated

SURE = 0.5
KINDS = ("procedure", "situation")
STRANGERS = (
    "thời tiết hôm nay thế nào",
    "cho tôi công thức nấu phở bò",
    "đội nào vô địch bóng đá năm nay",
    "mua vé máy bay đi chơi ở đâu rẻ",
    "giá vàng bao nhiêu",
    "ke chuyen cuoi di",
    "tôi muốn hỏi thủ tục hành chính",
    "cần những giấy tờ gì",
    "đăng ký",
    "le phi bao nhieu",
    "a",
    "",
    "?!…",
    "0900 000 000",
)


@pytest.fixture(scope="module")
def knowledge(house: House) -> Knowledge:
    return house.knowledge


@pytest.fixture(scope="module")
def finder(knowledge: Knowledge) -> Finder:
    return Finder(knowledge.topics())


def kind_of(topic: Topic) -> str:
    return "situation" if isinstance(topic, Situation) else topic.kind


def first(finder: Finder, text: str, kind: str) -> str | None:
    found = finder.find(text, kind, {})
    return found[0].id if found else None


def lost(finder: Finder, named: list[tuple[Topic, str]]) -> list[tuple[str, str]]:
    """The names by which their topic is not found first."""
    return [
        (topic.id, name) for topic, name in named if first(finder, name, kind_of(topic)) != topic.id
    ]


def test_every_topic_is_found_first_by_its_name(finder: Finder, knowledge: Knowledge) -> None:
    assert lost(finder, [(topic, topic.name) for topic in knowledge.topics()]) == []


def test_every_topic_is_found_first_by_its_name_without_diacritics(
    finder: Finder, knowledge: Knowledge
) -> None:
    assert lost(finder, [(topic, fold(topic.name)) for topic in knowledge.topics()]) == []


def test_every_topic_is_found_first_by_its_other_names(
    finder: Finder, knowledge: Knowledge
) -> None:
    other = [(topic, name) for topic in knowledge.topics() for name in topic.also_called]
    assert len(other) > 100
    assert lost(finder, other) == []


def test_every_name_alone_is_found_surely(finder: Finder, knowledge: Knowledge) -> None:
    unsure = [
        topic.id
        for topic in knowledge.topics()
        if finder.find(topic.name, kind_of(topic), {})[0].score < SURE
    ]
    assert unsure == []


def test_a_name_within_a_longer_one_does_not_come_close(finder: Finder) -> None:
    best, *others = finder.find("xoá đăng ký tạm trú", "procedure", {})
    assert best.id == "xoa_tam_tru"
    assert [other.id for other in others if other.score >= 0.6 * best.score] == []


def test_accents_tell_names_apart_that_are_alike_without_them() -> None:
    finder = Finder([named("cham_nom", "Chăm nom"), named("cham_nom_khac", "Chạm nộm")])
    assert first(finder, "chăm nom", "procedure") == "cham_nom"
    assert first(finder, "chạm nộm", "procedure") == "cham_nom_khac"


def test_every_code_is_found(finder: Finder, knowledge: Knowledge) -> None:
    found = {code: finder.by_code(code) for code, _, _ in codes(knowledge)}
    assert found == {code: Found(topic, 1.0, variant) for code, topic, variant in codes(knowledge)}
    assert finder.by_code("9.999999") is None


def codes(knowledge: Knowledge) -> Iterator[tuple[str, str, str | None]]:
    for topic in knowledge.topics():
        if isinstance(topic, Situation) or topic.code is None:
            continue
        yield topic.code, topic.id, None
        if isinstance(topic, Procedure):
            yield from ((variant.code, topic.id, variant.id) for variant in topic.variants)


def test_a_variant_is_found_by_its_own_name(finder: Finder, knowledge: Knowledge) -> None:
    variants = [
        (topic.id, variant.id, variant.name)
        for topic in knowledge.topics()
        if isinstance(topic, Procedure)
        for variant in topic.variants
    ]
    assert variants
    for topic_id, variant_id, name in variants:
        best = finder.find(name, "procedure", {})[0]
        assert (best.id, best.variant) == (topic_id, variant_id)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", STRANGERS)
def test_a_stranger_finds_nothing_sure(finder: Finder, text: str, kind: str) -> None:
    assert [found for found in finder.find(text, kind, {}) if found.score >= SURE] == []


def test_a_procedure_is_not_found_among_situations_nor_the_other_way(
    finder: Finder, knowledge: Knowledge
) -> None:
    for kind in KINDS:
        learned = {topic.id: 0.9 for topic in knowledge.topics() if kind_of(topic) != kind}
        texts = [topic.name for topic in knowledge.topics() if kind_of(topic) != kind][:20]
        for text in texts:
            found = finder.find(text, kind, learned)
            assert {kind_of(knowledge.topic(f.id)) for f in found} <= {kind}


def test_what_nlu_learned_and_what_is_found_by_name_add_up(finder: Finder) -> None:
    by_name = finder.find("đăng ký khai sinh", "procedure", {})[0].score
    learned = finder.find("con tôi mới đẻ", "procedure", {"dang_ky_khai_sinh": 0.8})[0].score
    joined = finder.find("đăng ký khai sinh", "procedure", {"dang_ky_khai_sinh": 0.8})[0].score
    assert max(by_name, learned) < joined <= 1.0
    assert learned == pytest.approx(0.8)


def test_a_learned_variant_is_told_as_a_variant(finder: Finder) -> None:
    [best] = finder.find("ở tiếp thêm một năm", "procedure", {"dang_ky_tam_tru/gia_han": 0.9})
    assert (best.id, best.variant) == ("dang_ky_tam_tru", "gia_han")


def test_one_topic_is_listed_once_with_its_likelier_variant(finder: Finder) -> None:
    learned = {"dang_ky_tam_tru/gia_han": 0.6, "dang_ky_tam_tru": 0.3}
    [best] = finder.find("thêm một năm", "procedure", learned)
    assert (best.id, best.variant, best.score) == ("dang_ky_tam_tru", "gia_han", 0.6)


def test_a_topic_that_nlu_learned_and_we_do_not_have_is_left_out(finder: Finder) -> None:
    assert finder.find("x", "procedure", {"khong_con_tep_nay": 0.99}) == []


def named(id_: str, name: str, code: str = "9.999999") -> CatalogueEntry:
    return CatalogueEntry(id=id_, kind="procedure", code=code, name=name)


@pytest.fixture(scope="module")
def catalogue(knowledge: Knowledge) -> list[CatalogueEntry]:
    """5,000 names made of parts of real ones, the same in every run."""
    words = [topic.name.split() for topic in knowledge.topics()]
    parts = [" ".join(name[i : i + 3]) for name in words for i in range(0, len(name), 3)]
    chance = random.Random(20261124)
    return [
        named(f"sinh_ra_{n}", " ".join(chance.sample(parts, 3)), f"8.{n:06d}") for n in range(5000)
    ]


@pytest.fixture(scope="module")
def large(knowledge: Knowledge, catalogue: list[CatalogueEntry]) -> Finder:
    return Finder([*knowledge.topics(), *catalogue])


def test_a_name_added_to_thousands_is_found_at_once(
    knowledge: Knowledge, catalogue: list[CatalogueEntry]
) -> None:
    added = named("cap_phep_nuoi_ong", "Cấp phép nuôi ong lấy mật trên nóc trụ sở")
    finder = Finder([*knowledge.topics(), *catalogue, added])
    assert first(finder, "muốn nuôi ong lấy mật trên nóc trụ sở", "procedure") == added.id
    assert first(finder, "nuoi ong lay mat tren noc tru so", "procedure") == added.id


def test_among_thousands_every_real_name_is_still_found(
    large: Finder, knowledge: Knowledge
) -> None:
    procedures = [topic for topic in knowledge.topics() if kind_of(topic) == "procedure"]
    found = [
        topic.id in {f.id for f in large.find(topic.name, "procedure", {})} for topic in procedures
    ]
    assert found.count(True) / len(found) > 0.98


@pytest.mark.parametrize("text", STRANGERS[:6])
def test_among_thousands_a_stranger_still_finds_nothing_sure(large: Finder, text: str) -> None:
    assert [found for found in large.find(text, "procedure", {}) if found.score >= SURE] == []


def test_finding_among_thousands_takes_less_than_two_milliseconds(
    large: Finder, catalogue: list[CatalogueEntry]
) -> None:
    """The median over what people ask; other work of the machine does not count."""
    questions = (
        "lệ phí làm giấy khai sinh bao nhiêu tiền",
        "dang ky tam tru can giay to gi",
        "mất căn cước làm lại ở đâu",
        *(f"{entry.name} cần giấy tờ gì" for entry in catalogue[::100]),
        *STRANGERS,
    )
    took = []
    for question in questions * 3:
        started = time.thread_time()
        large.find(question, "procedure", {})
        took.append(time.thread_time() - started)
    assert statistics.median(took) < 0.002


STORY = (
    "nhà tôi nuôi ong đã mười năm, năm ngoái con gái đi lấy mật cho mẹ chồng ở quê "
    "thì bị té trên bậc thềm, trời nóc cũng dột mà trụ cột chính là chồng tôi lại không có sở làm"
)


def test_words_strewn_over_a_story_do_not_find_a_name_but_together_they_do() -> None:
    finder = Finder(
        [named("nuoi_ong", "Nuôi ong lấy mật trên nóc trụ sở"), named("cap_phep", "Cấp phép")]
    )
    assert finder.find(STORY, "procedure", {}) == []
    [best] = finder.find(f"{STORY}, giờ xin nuôi ong lấy mật trên nóc trụ sở", "procedure", {})
    assert (best.id, best.score >= SURE) == ("nuoi_ong", True)


@pytest.fixture(scope="module")
def made_up() -> list[CatalogueEntry]:
    return generated()


@pytest.mark.parametrize("typed", [str, fold], ids=["accented", "stripped"])
def test_among_thousands_alike_each_is_found_first_by_its_full_name(
    made_up: list[CatalogueEntry], typed: Callable[[str], str]
) -> None:
    assert lost(Finder(made_up), [(entry, typed(entry.name)) for entry in made_up]) == []


def test_one_added_to_thousands_alike_is_found_first_by_each_of_its_names(
    made_up: list[CatalogueEntry],
) -> None:
    *others, added = made_up
    assert first(Finder(others), added.name, "procedure") != added.id
    finder = Finder([*others, added])
    assert lost(finder, [(added, name) for name in (added.name, *added.also_called)]) == []


def test_generated_entries_are_the_same_in_every_run_and_no_two_names_alike(
    made_up: list[CatalogueEntry],
) -> None:
    names = [fold(name) for entry in made_up for name in (entry.name, *entry.also_called)]
    assert len(names) == len(set(names)) > 3 * len(made_up)
    assert made_up[:100] == generated(100)
