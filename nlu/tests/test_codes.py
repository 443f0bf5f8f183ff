import pytest

from nlu.codes import entities


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mã mc-7k3d-9xwp-4 với", [("case_code", "MC-7K3D-9XWP-4")]),
        ("MC7K3D9XWP4", [("case_code", "MC-7K3D-9XWP-4")]),
        ("mc 7k3d 9xwp 4.", [("case_code", "MC-7K3D-9XWP-4")]),
        ("xmc-7k3d-9xwp-4", []),
        (
            "thủ tục 1.001193 và 2.000815.",
            [("procedure_code", c) for c in ("1.001193", "2.000815")],
        ),
        ("số 1.0011934 hay 12.001193", []),
        ("gọi 0900 000 000", [("phone", "0900000000")]),
        ("+84 900.000.000", [("phone", "0900000000")]),
        ("số hồ sơ 10000000000 năm 2026", []),
    ],
)
def test_codes_and_numbers(text: str, found: list[tuple[str, str]]) -> None:
    assert [(entity["entity"], entity["value"]) for entity in entities(text)] == found


def test_places_are_those_in_the_text() -> None:
    text = "gọi em số 0900 000 000 nha"
    [phone] = entities(text)

    assert text[phone["start"] : phone["end"]] == "0900 000 000"
