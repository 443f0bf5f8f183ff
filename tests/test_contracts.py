"""The command contracts that checks outside the project rely on, with the real nlu."""

import json
import time

import pytest

from tests.asking import ask, hold, motcua

pytestmark = [pytest.mark.rasa, pytest.mark.xdist_group("rasa")]

PARSE_KEYS = {
    "text",
    "normalized",
    "intent",
    "confidence",
    "facet",
    "procedure",
    "candidates",
    "rule",
    "case_kind",
    "entities",
}
ASK_KEYS = {
    "text",
    "intent",
    "facet",
    "procedure",
    "rule",
    "conclusion",
    "case_kind",
    "outcome",
    "replies",
    "cites",
    "day",
}


def test_parse_gives_one_object_a_line_even_when_a_line_is_broken() -> None:
    lines = 'lam khai sinh can giay gi\n{"text": "lệ phí kết hôn"}\n{"no": "text"}\n\n/restart\n'
    done = motcua("parse", lines=lines)
    first, second, broken, empty, command = [json.loads(line) for line in done.stdout.splitlines()]
    assert set(first) == PARSE_KEYS
    assert first["procedure"] == {
        "id": "dang_ky_khai_sinh",
        "code": "1.001193",
        "name": "Đăng ký khai sinh",
    }
    assert first["facet"] == ["documents"]
    assert second["procedure"]["id"] == "dang_ky_ket_hon"
    assert "error" in broken
    assert empty["procedure"] is None
    assert command["intent"] is not None


def test_ask_gives_the_agreed_object() -> None:
    [answer] = ask(["cấp lại căn cước bị mất hết bao nhiêu tiền"])
    assert set(answer) == ASK_KEYS
    assert answer["procedure"]["code"] == "1.116410"
    assert answer["day"] == "2026-11-24"
    assert "35.000 đồng" in answer["replies"][0]["text"]
    assert all(
        {"law", "number"} <= set(c) or {"source", "read_on"} <= set(c) for c in answer["cites"]
    )


def test_the_day_decides_the_fee() -> None:
    question = ["cấp lại căn cước bị mất hết bao nhiêu tiền"]
    [later] = ask(question, day="2027-01-04")
    assert "70.000 đồng" in later["replies"][0]["text"]
    assert "35.000 đồng" not in later["replies"][0]["text"]
    [before] = ask(["lệ phí đăng ký tạm trú"], day="2020-01-01")
    assert before["outcome"] == "not_known"


def test_a_dialogue_is_one_conversation() -> None:
    first, fee, other = hold(["làm khai sinh thế nào", "lệ phí bao nhiêu?", "thế còn kết hôn?"])
    assert first["procedure"]["id"] == "dang_ky_khai_sinh"
    assert (fee["procedure"]["id"], fee["facet"]) == ("dang_ky_khai_sinh", ["fee"])
    assert other["procedure"]["id"] == "dang_ky_ket_hon"
    assert "không thu" in other["replies"][0]["text"]


def test_ask_writes_nothing_but_json_to_standard_output() -> None:
    done = motcua("ask", "--json", "chào bạn")
    assert done.returncode == 0
    assert json.loads(done.stdout)["outcome"] == "answered"


def test_ask_in_words_prints_the_replies() -> None:
    assert "Đăng ký kết hôn" in motcua("ask", "đăng ký kết hôn cần giấy gì").stdout


def test_two_hundred_questions_take_less_than_fifteen_seconds() -> None:
    ask(["chào"])
    started = time.monotonic()
    answers = ask(
        ["khai sinh cần giấy gì", "lệ phí tạm trú", "mai mưa không", "đi muộn 15 phút"] * 50
    )
    assert len(answers) == 200
    assert time.monotonic() - started < 25, "15 s once started, and ten for starting nlu"


def test_the_demo_plays_every_scene() -> None:
    done = motcua("demo")
    assert done.returncode == 0, done.stderr[-1000:]
    assert "Mã vụ việc của Anh/Chị là MC-" in done.stdout
    assert "[cán bộ]" in done.stdout
    assert "đã có trả lời" in done.stdout
