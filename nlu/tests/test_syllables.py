import random

import pytest

from nlu import noise
from nlu.syllables import from_keys, is_syllable
from nlu.text import normalize


@pytest.mark.parametrize(
    ("keys", "read"),
    [
        ("thur", "thủ"),
        ("tucj", "tục"),
        ("muoons", "muốn"),
        ("dduwowcj", "được"),
        ("nguwowif", "người"),
        ("khoong", "không"),
        ("giaasy", "giấy"),
        ("quyeenf", "quyền"),
        ("ddangw", "đăng"),
        ("đươcj", "được"),
        ("gif", "gì"),
        ("d9a8ng", "đăng"),
        ("ky1", "ký"),
        ("nguo7i2", "người"),
    ],
)
def test_left_over_keys_are_read(keys: str, read: str) -> None:
    assert from_keys(keys) == read


@pytest.mark.parametrize(
    "word",
    "a1 b2 q1 to2 khu3 thon5 zalo web file photo oto www xoong".split(),
)
def test_what_is_no_left_over_stays(word: str) -> None:
    assert from_keys(word) == word


@pytest.mark.parametrize(
    "word", ["nghiêng", "quyết", "giếng", "gì", "thuở", "khuya", "oanh", "dang"]
)
def test_legal_syllables(word: str) -> None:
    assert is_syllable(word)
    assert from_keys(word) == word


@pytest.mark.parametrize("word", ["còc", "thur", "nghă", "đđi", "hòá", "bzz"])
def test_no_syllables(word: str) -> None:
    assert not is_syllable(word)


@pytest.mark.parametrize("keyboard", [noise.telex, noise.vni])
def test_a_text_typed_with_the_input_method_off_is_read_back(keyboard: noise.Noise) -> None:
    text = (
        "vợ tôi mới sinh cháu ở bệnh viện, đăng ký khai sinh cần những giấy tờ gì, nộp ở phường "
        "hay quận, bao nhiêu ngày thì được nhận kết quả, có phải trả tiền không"
    )
    chance = random.Random(1)
    read = [normalize(keyboard(text, chance)).split() for _ in range(50)]

    same = sum(a == b for words in read for a, b in zip(words, text.split(), strict=True))
    assert same / (50 * len(text.split())) > 0.97
