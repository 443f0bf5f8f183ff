import time
from datetime import date

import pytest

from nlu.entities import entities
from nlu.places import Places, read_places

TODAY = date(2026, 11, 24)


@pytest.fixture(scope="module")
def places() -> Places:
    return read_places()


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
        # money
        ("hết 15.000 đồng", [("money", "15000")]),
        ("đưa 500k, 2tr5", [("money", "500000"), ("money", "2500000")]),
        ("1 triệu rưỡi", [("money", "1500000")]),
        ("hai trăm nghìn đồng", [("money", "200000")]),
        ("5 củ với ba triệu", [("money", "5000000"), ("money", "3000000")]),
        ("1,5 tỷ hoặc 1.500.000đ", [("money", "1500000000"), ("money", "1500000")]),
        ("bà cụ đi cùng", []),
        ("ba cu di cung", []),
        # days, seen from Tuesday 24 November 2026
        ("hẹn 20/11 rồi 5/12/2026", [("date", "2026-11-20"), ("date", "2026-12-05")]),
        ("thứ 2 tuần sau", [("date", "2026-11-30")]),
        ("thu 6 tuan truoc", [("date", "2026-11-20")]),
        ("chủ nhật này em tới", [("date", "2026-11-29")]),
        ("hồi tháng 3/2026", [("date", "2026-03")]),
        ("ngày 5 tháng 10", [("date", "2026-10-05")]),
        ("hôm qua, sáng mai, ngày kia", [("date", f"2026-11-{d}") for d in (23, 25, 26)]),
        ("tháng trước, năm ngoái", [("date", "2026-10"), ("date", "2025")]),
        ("tuần sau", [("date", "2026-W49")]),
        ("ngày 15 tháng này", [("date", "2026-11-15")]),
        ("ngày 31/2 không có", []),
        ("chị Mai với một người", []),
        ("năm quá, tuần tội", []),
        # counts
        ("3 bản, 2 con, 60 ngày", [("number", n) for n in ("3", "2", "60")]),
        ("hai đứa nhỏ, mười người", [("number", "2"), ("number", "10")]),
        ("nhà số 12 đường 30", []),
        # places
        ("phường Bến Nghé", [("place", "phường Bến Nghé")]),
        ("xa van tien o nghe an", [("place", "xa Văn Tiến"), ("place", "Nghệ An")]),
        ("quê Vĩnh Phúc", [("place", "Vĩnh Phúc")]),
        ("làm ở Sài Gòn, sai gon", [("place", "Thành phố Hồ Chí Minh")] * 2),
        ("huyện Cần Giờ cũ, quận 3", [("place", "huyện Cần Giờ"), ("place", "quận 3")]),
        ("hoa hue dep", []),
        ("xã nào cũng vậy", []),
    ],
)
def test_what_stands_in_a_text(text: str, found: list[tuple[str, str]], places: Places) -> None:
    marked = entities(text, places, TODAY)

    assert [(entity["entity"], entity["value"]) for entity in marked] == found


def test_positions_are_those_in_the_text_as_sent(places: Places) -> None:
    text = "Hôm QUA em gọi số 0900 000 000 nộp 200 nghìn ở Đà Nẵng"

    cut = [text[e["start"] : e["end"]] for e in entities(text, places, TODAY)]

    assert cut == ["Hôm QUA", "0900 000 000", "200 nghìn", "Đà Nẵng"]


@pytest.mark.parametrize(
    "text", ["1 " * 5000, "xã " * 3000, "0" * 10_000, "hai trăm " * 1100, "tỉnh Hà Nội " * 800]
)
def test_long_texts_take_no_long_time(text: str, places: Places) -> None:
    started = time.perf_counter()
    entities(text[:10_000], places, TODAY)
    assert time.perf_counter() - started < 1
