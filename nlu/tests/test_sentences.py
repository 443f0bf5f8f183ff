from pathlib import Path

import pytest
from conftest import write

from nlu.sentences import BadData, Sentence, read_sentences, read_shorthand


def test_sentences_carry_topic_facets_and_kind(project: Path) -> None:
    sentences = read_sentences(project / "data")

    assert Sentence("chào bạn", "greet") in sentences
    assert Sentence("lệ phí bao nhiêu", "ask_procedure", facets=("fee",)) in sentences
    assert Sentence("ổ gà to trước cổng chợ", "bring_case", kind="feedback") in sentences
    assert Sentence("trễ giờ làm vì kẹt xe", "ask_conduct", "di_muon") in sentences
    both = Sentence(
        "khai tử cần giấy gì và bao nhiêu tiền",
        "ask_procedure",
        "dang_ky_khai_tu",
        ("documents", "fee"),
    )
    assert both in sentences


def test_knowledge_files_and_variants_bring_their_own(project: Path) -> None:
    topics = {sentence.topic for sentence in read_sentences(project / "data")}

    assert {"dang_ky_khai_sinh", "dang_ky_khai_sinh/luu_dong", "nhan_phong_bi"} <= topics


def test_yaml_is_read_as_1_2(project: Path) -> None:
    assert "no" in [sentence.text for sentence in read_sentences(project / "data")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("intent: greet\nexamples: [chào]\n", "intent must be 'thanks'"),
        ("- chào\n", "must be a mapping"),
        ("intent: thanks\nexemples: [cảm ơn]\n", "unknown key 'exemples'"),
        ("intent: thanks\nexamples: cảm ơn\n", "examples: must be a list"),
        ("intent: thanks\nexamples: [cảm ơn, 5]\n", "examples[1]: must be a text, not 5"),
        ("intent: thanks\nexamples: [{text: ơn, knd: x}]\n", "examples[0]: unknown key 'knd'"),
        ("intent: thanks\nexamples: [{text: ơn, kind: x}]\n", "examples[0].kind: 'x' is none of"),
        ("intent: thanks\nexamples: [{text: ơn, topic: x}]\n", "examples[0].topic: must be"),
        ("intent: thanks\ntopics: {x: [cảm ơn]}\n", "topics must be a mapping, in"),
        ("intent: thanks\nexamples: [\n", "thanks.yml"),
    ],
)
def test_bad_sentence_file_is_named(project: Path, content: str, told: str) -> None:
    write(project / "data/sentences/vi/thanks.yml", content)

    with pytest.raises(BadData) as error:
        read_sentences(project / "data")

    assert "thanks.yml" in str(error.value)
    assert told in str(error.value)


def test_unknown_facet_of_a_knowledge_file_is_named(project: Path) -> None:
    path = project / "data/knowledge/ho_tich/xyz.yml"
    write(path, "id: xyz\nasked_as:\n  fees: [mất bao nhiêu]\n")

    with pytest.raises(BadData, match=r"xyz\.yml: asked_as of xyz\.fees: 'fees' is none of"):
        read_sentences(project / "data")


def test_no_sentences_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no sentences"):
        read_sentences(tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("- ko\n", "one `short: long` a line"),
        ("ko: 1\n", "must stand for a text"),
        ("Ko: không\n", "must be one word, in lower case"),
        ("ko: không\nbk: ko biết\n", "itself written short"),
    ],
)
def test_bad_shorthand_is_named(tmp_path: Path, content: str, told: str) -> None:
    write(tmp_path / "teencode.yml", content)

    with pytest.raises(BadData, match=told):
        read_shorthand(tmp_path / "teencode.yml")
