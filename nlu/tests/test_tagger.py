import unicodedata
from pathlib import Path
from typing import Any

import pytest
from flights import TRAIN, examples
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu import tagger
from nlu.tagger import Tagger, spans, tags, tokens
from nlu.text import without_diacritics

KEPT = Resource("tagger")
CONTEXT = ExecutionContext(GraphSchema({}))


def store(folder: Path) -> LocalModelStorage:
    return LocalModelStorage(folder)


def trained_on(given: list[dict[str, Any]], folder: Path) -> Tagger:
    learner = Tagger.create(Tagger.get_default_config(), store(folder), KEPT, CONTEXT)
    learner.train(TrainingData([Message(data=dict(example)) for example in given]))
    return learner


def loaded(folder: Path) -> Tagger:
    return Tagger.load(Tagger.get_default_config(), store(folder), KEPT, CONTEXT)


def found(by: Tagger, text: str, *there: dict[str, Any]) -> list[tuple[str, str]]:
    """Type and letters of the entities of a text; their value is what stands there."""
    message = Message(data={"text": text, "entities": list(there)} if there else {"text": text})
    [told] = by.process([message])
    entities = told.as_dict(only_output_properties=True).get("entities", [])
    assert all(e["value"] == text[e["start"] : e["end"]] for e in entities)
    return [(e["entity"], e["value"]) for e in entities]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model storage with a tagger that has learned the flights."""
    place = tmp_path_factory.mktemp("storage")
    trained_on(examples(TRAIN), place)
    return place


def test_entities_are_found_as_written_and_without_diacritics(folder: Path) -> None:
    text = "có chuyến nào từ Huế đi Nha Trang ngày 25 không"
    expected = [("from", "Huế"), ("to", "Nha Trang"), ("day", "ngày 25")]

    assert found(loaded(folder), text) == expected
    assert found(loaded(folder), without_diacritics(text)) == [
        (name, without_diacritics(value)) for name, value in expected
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  tìm   chuyến bay từ  HUẾ đến Vinh", ["HUẾ", "Vinh"]),
        ("tìm chuyến bayyyy từ Huế đến Vinh", ["Huế", "Vinh"]),
        ("🙂 tìm ko ra chuyến bay từ Huế đến Vinh", ["Huế", "Vinh"]),
        (unicodedata.normalize("NFD", "tìm chuyến bay từ Huế đến Cần Thơ"), ["Huế", "Cần Thơ"]),
        ("tìm chuyến bay từ Hu\u200bế đến Vinh\u200b nhé", ["Hu\u200bế", "Vinh\u200b"]),
    ],
)
def test_offsets_are_those_of_the_text_as_sent(
    folder: Path, text: str, expected: list[str]
) -> None:
    values = [value for _, value in found(loaded(folder), text)]

    assert values[:2] == [v if v in text else unicodedata.normalize("NFD", v) for v in expected]


def test_loading_does_not_train_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(tagger.pycrfsuite, "Trainer", never)

    assert found(loaded(folder), "hủy vé đi Huế") == [("to", "Huế")]


def test_what_was_loaded_outlives_its_folder(tmp_path: Path) -> None:
    trained_on(examples(TRAIN), tmp_path)
    by = loaded(tmp_path)
    (tmp_path / KEPT.name / "tagger.crfsuite").unlink()

    assert found(by, "hủy vé đi Huế") == [("to", "Huế")]


def test_without_marked_entities_it_learns_nothing_and_stays_silent(tmp_path: Path) -> None:
    plain = [{"text": e["text"], "intent": e["intent"]} for e in examples(TRAIN)]
    trained_on(plain, tmp_path)
    message = Message(data={"text": "hủy vé đi Huế"})

    loaded(tmp_path).process([message])

    assert list((tmp_path / KEPT.name).iterdir()) == []
    assert message.get("entities") is None


def test_entities_are_added_to_those_that_do_not_overlap(folder: Path) -> None:
    phone = {"entity": "phone", "start": 35, "end": 45, "value": "0900000000"}
    text = "tìm chuyến bay từ Vinh đến Huế gọi 0900000000"
    at = text.index("Huế")
    place = {"entity": "place", "start": at, "end": at + 3, "value": "Huế"}

    assert found(loaded(folder), text, place, phone) == [
        ("from", "Vinh"),
        ("place", "Huế"),
        ("phone", "0900000000"),
    ]


@pytest.mark.parametrize("text", ["", " ", "🙂", "/", "\ud800", "\u200b", "bay đi Huế"])
def test_any_text_is_read(folder: Path, text: str) -> None:
    assert loaded(folder).process([Message(data={"text": 500 * text})])


def test_a_number_and_the_letters_beside_it_are_two_tokens() -> None:
    assert [token.text for token in tokens("8h30, A320_x")] == [
        *("8", "h", "30", ",", "A", "320", "_", "x"),
    ]


def test_tags_and_spans_are_each_others_opposite() -> None:
    parts = tokens("bay Hà Nội Huế nhé")
    marked = [(4, 10, "from"), (11, 14, "from")]

    assert tags(parts, marked) == ["O", "B-from", "I-from", "B-from", "O"]
    assert list(spans(parts, tags(parts, marked))) == marked


def test_an_entity_that_nobody_began_begins_inside() -> None:
    parts = tokens("đi Hà Nội mai")

    assert list(spans(parts, ["O", "I-to", "I-to", "I-day"])) == [(3, 9, "to"), (10, 13, "day")]
