import subprocess
import sys
import tarfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import make_project, write
from flights import TEST, TRAIN, examples, write_examples

from nlu.benchmark import (
    Answer,
    Example,
    Share,
    fold_example,
    main,
    measures,
    read_examples,
)
from nlu.interval import wilson
from nlu.learn import learn
from nlu.sentences import BadData, Sentence
from nlu.train import fingerprint

GOOD = '{"text": "bay đi Huế", "intent": "find", "entities": []}\n'


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.CompletedProcess[str]]:
    """The command on the flights, in a folder like the root; it leaves nothing behind."""
    folder = tmp_path_factory.mktemp("benchmark")
    make_project(folder)
    train = write_examples(folder / "train.jsonl", examples(TRAIN))
    test = write_examples(folder / "test.jsonl", examples(TEST))
    (folder / "tmp").mkdir()
    yield subprocess.run(
        [sys.executable, "-m", "nlu.benchmark", str(train), str(test)],
        cwd=folder,
        env={"TMPDIR": str(folder / "tmp"), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert list((folder / "tmp").iterdir()) == []
    assert not (folder / "var").exists()


def test_table_tells_all_measures_of_both_readings(run: Any) -> None:
    assert run.returncode == 0, run.stderr
    trained, tested, _, head, *rows = run.stdout.splitlines()
    assert trained.startswith("trained  36 sentences, 4 intents, 4 slot types, in ")
    assert tested.startswith("tested   18 sentences, median parse ")
    assert "95 % interval" in head
    assert [row[:29].split() for row in rows] == [
        [*measure.split(), *reading.split()]
        for reading in ("as written", "folded")
        for measure in ("intent accuracy", "slot F1", "sentence accuracy")
    ]


def test_flights_are_understood_with_and_without_diacritics(run: Any) -> None:
    shares = [float(row[29:].split()[0]) for row in run.stdout.splitlines()[4:]]

    assert min(shares) > 60, run.stdout


def test_benchmark_is_no_reason_to_train_our_own_model(project: Path) -> None:
    before = fingerprint(project)

    write(project / "nlu/benchmark.py", "changed")

    assert fingerprint(project) == before


def test_foreign_intents_need_no_topics_facets_or_kinds() -> None:
    sentences = [Sentence(e["text"], e["intent"]) for e in examples(TRAIN)]

    parsed = learn(sentences, say=str).parse("hủy vé đi vinh giúp tôi")

    assert parsed["intent"]["name"] == "cancel"
    assert (parsed["facets"], parsed["asked"], parsed["kinds"], parsed["topics"]) == (
        {},
        [],
        {},
        [],
    )


@pytest.mark.parametrize(
    "told",
    [
        [("bay đi huế", "find")],
        [("bay đi huế", "find"), ("giá vé", "fare")],
        [("bay đi huế", "find"), ("bay đi vinh", "find"), ("giá vé", "fare"), ("mấy giờ?", "time")],
        [("...", "find"), ("???", "fare")],
    ],
)
def test_an_intent_may_have_one_sentence(told: list[tuple[str, str]]) -> None:
    model = learn([Sentence(*one) for one in told], say=str)

    assert model.parse("bay đi huế")["intent"]["name"] in dict(told).values()


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "is no JSON"),
        ("[]", "must be an object"),
        ('{"text": " ", "intent": "find", "entities": []}', "text must be a text"),
        ('{"text": "bay", "entities": []}', "intent must be a text"),
        ('{"text": "\\ud800", "intent": "find"}', "half a letter"),
        ('{"text": "bay", "intent": "find", "entities": {}}', "entities must be a list"),
        ('{"text": "bay", "intent": "find", "entities": [3]}', "entities[0] must be an object"),
        (
            '{"text": "bay", "intent": "f", "entities": [{"start": 0, "end": 9, "entity": "x"}]}',
            "entities[0]: start and end must be letters of the text, not 0, 9",
        ),
        (
            '{"text": "bay", "intent": "find", "entities": [{"start": 0, "end": 2}]}',
            "entity must be a text",
        ),
        (
            '{"text": "bay", "intent": "find", "entities": [{"start": 0, "end": 2, "entity": "x"},'
            ' {"start": 1, "end": 3, "entity": "y"}]}',
            "the entities x and y overlap",
        ),
    ],
)
def test_a_bad_line_is_told_with_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, what: str
) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    write(good, GOOD)
    write(bad, GOOD + "\n" + line + "\n")

    assert main([str(good), str(bad)]) == 2

    error = capsys.readouterr().err
    assert error.startswith(f"cannot benchmark: {bad}, line 3: ")
    assert what in error
    assert error.count("\n") == 1


def test_a_file_that_is_missing_empty_or_no_text_is_told(tmp_path: Path) -> None:
    write(tmp_path / "empty.jsonl", "\n")
    with tarfile.open(tmp_path / "archive.jsonl", "w:gz"):
        pass
    for name, what in (
        ("none", "No such file"),
        ("empty", "no line"),
        ("archive", "line 1: is no"),
    ):
        with pytest.raises(BadData, match=what):
            read_examples(tmp_path / f"{name}.jsonl")


def test_values_and_other_keys_may_be_there_and_entities_may_lack(tmp_path: Path) -> None:
    entity = '{"start": 7, "end": 10, "entity": "to", "value": 5}'
    write(
        tmp_path / "some.jsonl",
        "\ufeff" + GOOD.replace("[]", f'[{entity}], "id": 1') + '{"text": "a", "intent": "b "}\r\n',
    )

    assert read_examples(tmp_path / "some.jsonl") == [
        Example("bay đi Huế", "find", frozenset([(7, 10, "to")])),
        Example("a", "b", frozenset()),
    ]


def test_folding_keeps_entities_on_their_letters() -> None:
    text = unicodedata.normalize("NFD", "từ Huế đến Đà Lạt")
    start = text.index("La")
    example = Example(text, "find", frozenset([(start, len(text), "to")]))

    folded = fold_example(example)

    [(start, end, _)] = folded.entities
    assert (folded.text, folded.text[start:end]) == ("tu Hue den Da Lat", "Lat")


def test_measures_count_exact_spans_and_types() -> None:
    one, two, three = (0, 3, "from"), (4, 7, "to"), (8, 9, "day")
    marked = Example("x" * 9, "find", frozenset([one, two]))
    answers = [
        Answer(marked, "find", frozenset([one, two]), 0.0),
        Answer(marked, "find", frozenset([one, (4, 6, "to"), three]), 0.0),
        Answer(marked, "fare", frozenset([one, (4, 7, "from")]), 0.0),
    ]

    assert measures(answers) == {
        "intent accuracy": Share(2, 3, "2 of 3"),
        "slot F1": Share(4, 6.5, "4 right, 7 found, 6 marked"),
        "sentence accuracy": Share(1, 3, "1 of 3"),
    }


def test_interval_is_wilsons() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(0, 10)[0] == pytest.approx(0.0)
    assert Share(8, 10, "").percent() == "  80.0    49.0 - 94.3"
    assert Share(0, 0, "").percent().split() == ["-", "-"]
