"""The figures of an evaluation, and the files it reads."""

from pathlib import Path

import pytest

from actions.action import Found, Understanding
from tests.evaluate.figures import calibration_error, entity_f1, macro_f1, share
from tests.evaluate.messages import WRITINGS, BadLine, Marked, read
from tests.evaluate.page import table
from tests.evaluate.rows import Heard, confusions, rows


def test_a_share_has_the_interval_of_wilson() -> None:
    assert share([True] * 90 + [False] * 10).interval == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert share([]).interval == (0.0, 1.0)
    assert share([True] * 20).interval[1] == 1.0


def test_f1_counts_every_label_alike_and_entities_together() -> None:
    assert macro_f1([("a", "a"), ("a", "b"), ("b", "b")]) == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert entity_f1([(["x", "y"], ["x"]), ([], ["z"])]) == (pytest.approx(0.5), 2)


def test_calibration_error_is_the_gap_between_confidence_and_what_is_right() -> None:
    assert calibration_error([(0.95, True)] * 19 + [(0.95, False)]) == pytest.approx(0.0)
    assert calibration_error([(0.9, False)] * 10) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "no JSON"),
        ("[]", "must be an object"),
        ('{"text": "a", "label": 1}', "unknown key 'label'"),
        ('{"text": "a", "facet": ["price"]}', "'price' is none of"),
        ('{"text": "a", "case_kind": "rant"}', "'rant' is none of"),
        ('{"text": "a", "entities": [{"entity": "money", "text": "5k"}]}', "does not stand"),
    ],
)
def test_a_bad_line_is_told_by_file_and_line(tmp_path: Path, line: str, told: str) -> None:
    file = tmp_path / "outside.jsonl"
    file.write_text('{"text": "khai sinh", "intent": "ask_procedure"}\n' + line + "\n", "utf-8")

    with pytest.raises(BadLine, match=told) as error:
        read([file])
    assert f"{file}:2" in str(error.value)


def test_the_same_message_is_written_the_same_way_every_time() -> None:
    marked = Marked("không biết đăng ký khai sinh hết bao nhiêu tiền vậy")

    for writing in WRITINGS:
        assert marked.written(writing, 3) == marked.written(writing, 3)
    assert (
        marked.written("no diacritics", 3) == "khong biet dang ky khai sinh het bao nhieu tien vay"
    )
    assert marked.written("teencode", 3) != marked.text != marked.written("Telex left over", 3)


def _heard(marked: Marked, intent: str, outcome: str = "answered", **more: object) -> Heard:
    meant = Understanding(marked.text, marked.text, intent=intent, confidence=0.9, **more)  # type: ignore[arg-type]
    return Heard(marked, meant, outcome)


def test_rows_count_what_is_marked_and_nothing_else() -> None:
    asks = Marked("a", ("ask_procedure", "greet"), procedure="x/y")
    stranger = Marked("b", ("out_of_scope",))
    accused = Marked("c", ("bring_case",), kind="denunciation", file="border")
    heard = [
        _heard(asks, "ask_procedure", procedures=(Found("z", 0.9), Found("x", 0.8, "y"))),
        _heard(stranger, "ask_procedure", "out_of_scope"),
        _heard(accused, "ask_conduct", "asked_back"),
    ]

    measured = rows(heard)

    assert (measured["intent"].right, measured["intent"].of) == (1, 3)
    assert measured["procedure first"].value == 0
    assert measured["procedure among three"].value == 1
    assert measured["strangers refused"].value == 1
    assert measured["ours refused"].value == 0
    assert measured["hard border: asked back"].value == 1
    assert measured["denunciations and emergencies missed"].value == 0
    assert "facets exactly" not in measured
    assert confusions(heard)[0][2] == 1
    assert "| intent | 3 | **0.333**" in table({"as written": measured})
