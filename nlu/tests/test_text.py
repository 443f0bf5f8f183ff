import random
import time
import unicodedata
from pathlib import Path

import pytest

from nlu.sentences import read_shorthand
from nlu.text import clean, fold, normalize, without_diacritics, words

SHORTHAND = read_shorthand(Path(__file__).parents[2] / "data/vocabulary/teencode.yml")


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("hoà giải", "hòa giải"),
        ("hòa giải", "hòa giải"),
        ("thuỷ thủy", "thủy thủy"),
        ("khoẻ khỏe", "khỏe khỏe"),
        ("qúy quý", "quý quý"),
        ("gì gía giá giữ", "gì giá giá giữ"),
        ("hòan tóan", "hoàn toán"),
        ("muà bià", "mùa bìa"),
        ("khủyu nguyễn ngừơi rượu", "khuỷu nguyễn người rượu"),
        ("ngoèo oái ỷ uỷ", "ngoèo oái ỷ ủy"),
        ("quááá lắmmmm rồiii", "quá lắm rồi"),
        ("quáaaa điiii", "quá đi"),
        ("xoong moóc goòng", "xoong moóc goòng"),
        ("VIII zalo www google", "viii zalo www google"),
        ("kkkkkkk", "kkk"),
        ("100000 đồng", "100000 đồng"),
        ("MC-AAA4-7777-K", "mc-aaa4-7777-k"),
        ("  Khai \n sinh\t", "khai sinh"),
        (unicodedata.normalize("NFD", "Đường hoà"), "đường hòa"),
    ],
)
def test_one_spelling_for_all(typed: str, read: str) -> None:
    assert normalize(typed) == read


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("ko bít", "không biết"),
        ("kooo", "không"),
        ("làm cccd hết bn?", "làm căn cước công dân hết bao nhiêu?"),
        ("h k m t a e", "h k m t a e"),
        ("ubnd phường", "ủy ban nhân dân phường"),
    ],
)
def test_shorthand_is_written_out(typed: str, read: str) -> None:
    assert normalize(typed, SHORTHAND) == read


@pytest.mark.parametrize(
    ("typed", "folded"),
    [
        ("Đăng ký khai sinh!", "dang ky khai sinh"),
        ("thẻ căn-cước (mới)", "the can cuoc moi"),
        ("1.001193", "1 001193"),
        ("", ""),
        ("🙂", ""),
    ],
)
def test_folded_spelling(typed: str, folded: str) -> None:
    assert fold(typed) == folded


@pytest.mark.parametrize(
    ("typed", "cleaned"),
    [
        ("/restart", "restart"),
        (" /x", "x"),
        ("／x", "x"),
        ("\u200b/x", "x"),
        ("//x", "x"),
        ("/\u200b/ \ufeffx", "x"),
        ("a\tb\nc\x00", "a b c"),
        ("ｋｈａｉ", "khai"),
        ("", ""),
    ],
)
def test_nothing_passes_for_a_command(typed: str, cleaned: str) -> None:
    assert clean(typed) == cleaned


def test_doing_it_twice_changes_nothing() -> None:
    letters = "aàáeêoòóôơuưiíyỳqgnhcmtđdkxwjr ABĐÀ.,/1_\u0301\u0303\u0323\u200b"
    source = random.Random(1)
    for _ in range(20_000):
        text = "".join(source.choices(letters, k=source.randint(1, 12)))
        normalized = normalize(text, SHORTHAND)
        assert normalize(normalized, SHORTHAND) == normalized
        assert clean(clean(text)) == clean(text)
        assert fold(fold(text)) == fold(text) == fold(without_diacritics(text))


def test_words_are_without_punctuation() -> None:
    assert words("dạ, cho em hỏi: 1.001193?") == ["dạ", "cho", "em", "hỏi", "1", "001193"]


@pytest.mark.parametrize("text", ["á" * 20_000, "quá á " * 4_000, "\u0301" * 20_000])
def test_long_texts_take_no_long_time(text: str) -> None:
    started = time.perf_counter()
    fold(normalize(clean(text), SHORTHAND))
    assert time.perf_counter() - started < 0.5
