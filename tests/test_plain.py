"""Replies as plain words: choices as numbers, and long texts in parts that lose nothing."""

import random
import unicodedata
from collections.abc import Callable

import pytest

from bot.message import (
    AskLocationBlock,
    ChoicesBlock,
    DetailsBlock,
    FileBlock,
    OfferedChoice,
    TextBlock,
)
from bot.plain import plain_text, split, utf16_length

FAMILY = "👨‍👩‍👧‍👦"
PIECES = (
    "Dạ",
    "Anh/Chị",
    "hộ tịch",
    "giấy chứng sinh",
    "8.000 đồng",
    "nghiêng",
    "Nghe e\u0323\u0302",
    FAMILY,
    "👋🏽",
    "❤️",
    "𠀋",
    "x" * 60,
    ".",
    "…",
    ",",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\n\n\n",
    ". ",
    "? ",
    "- ",
)
MEASURES: tuple[Callable[[str], int], ...] = (len, utf16_length)


def texts(seed: int, many: int) -> list[str]:
    """Texts made of pieces by a seeded chance, so that a failure can be seen again."""
    chance = random.Random(seed)
    return ["".join(chance.choices(PIECES, k=chance.randint(1, 120))) for _ in range(many)]


def without_spaces(text: str) -> str:
    return "".join(unicodedata.normalize("NFC", text).split())


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_parts_lose_nothing_but_spaces_and_are_never_too_long(
    measure: Callable[[str], int], form: str
) -> None:
    for number, text in enumerate(texts(1, 150)):
        limit = (16, 20, 37, 64, 200)[number % 5]
        parts = split(unicodedata.normalize(form, text), limit, measure)
        assert without_spaces("".join(parts)) == without_spaces(text), text
        for part in parts:
            assert 0 < measure(part) <= limit, (text, part)
            assert part == part.strip()
            assert part == unicodedata.normalize("NFC", part)


def test_only_spaces_at_cuts_are_lost() -> None:
    for text in texts(2, 150):
        rest = unicodedata.normalize("NFC", text).strip()
        for part in split(text, 30, utf16_length):
            assert rest.startswith(part), "inside a part nothing changes"
            rest = rest.removeprefix(part).lstrip()
        assert rest == ""


def test_no_part_begins_within_a_letter() -> None:
    for text in texts(3, 300):
        for part in split(text, 25, utf16_length):
            assert not unicodedata.combining(part[0]), (text, part)
            assert part[0] not in "\u200d\ufe0f🏽"
            assert part[-1] != "\u200d"


def test_a_part_is_full_unless_there_is_a_better_cut() -> None:
    for limit in range(5, 40):
        text = "một hai ba bốn năm sáu bảy tám chín mười " * 5
        for part, following in zip(split(text, limit), split(text, limit)[1:], strict=False):
            assert len(part) + 1 + len(following.split()[0]) > limit


def test_a_text_that_fits_is_one_part_and_an_empty_one_is_none() -> None:
    assert split("chào", 4) == ["chào"]
    assert split("  chào \n", 4) == ["chào"]
    assert split("", 4) == split(" \n ", 4) == []


@pytest.mark.parametrize(
    ("text", "limit", "parts"),
    [
        ("Một. Hai\nba bốn.\n\nNăm sáu", 22, ["Một. Hai\nba bốn.", "Năm sáu"]),
        ("Một hai. Ba\nbốn năm sáu", 16, ["Một hai. Ba", "bốn năm sáu"]),
        ("Một hai ba. Bốn năm", 15, ["Một hai ba.", "Bốn năm"]),
        ("một hai ba bốn", 10, ["một hai ba", "bốn"]),
        ("một hai ba bốn", 11, ["một hai ba", "bốn"]),
        ("Một hai.\nBa bốn", 8, ["Một hai.", "Ba bốn"]),
        ("Một hai. Ba bốn", 8, ["Một hai.", "Ba bốn"]),
        ("Một hai\n\nBa bốn", 7, ["Một hai", "Ba bốn"]),
    ],
)
def test_a_paragraph_is_a_better_cut_than_a_line_a_sentence_or_a_space(
    text: str, limit: int, parts: list[str]
) -> None:
    assert split(text, limit) == parts


def test_an_early_paragraph_is_no_reason_for_a_very_short_part() -> None:
    first, *_ = split("a\n\n" + "bốn năm sáu " * 20, 60)
    assert len(first) > 30


def test_a_number_and_a_law_are_not_cut_as_sentences() -> None:
    assert split("lệ phí là 8.000 đồng", 14) == ["lệ phí là", "8.000 đồng"]


def test_one_endless_word_is_cut_where_it_must_be() -> None:
    assert split("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
    assert split("ệ" * 25, 10) == ["ệ" * 10, "ệ" * 10, "ệ" * 5]


def test_decomposed_letters_count_and_stay_as_one() -> None:
    assert split(unicodedata.normalize("NFD", "ệ" * 25), 10) == ["ệ" * 10, "ệ" * 10, "ệ" * 5]


def test_a_letter_of_several_marks_is_not_parted() -> None:
    letter = "x\u0323\u0302\u0301"
    assert split(letter * 3, 9) == [letter * 2, letter]


@pytest.mark.parametrize("emoji", [FAMILY, "👋🏽", "❤️", "🇻🇳", "1️⃣"])
def test_an_emoji_of_several_signs_is_not_parted(emoji: str) -> None:
    length = utf16_length(emoji)
    for limit in range(length + 1, 2 * length):
        assert split(emoji * 3, limit, utf16_length) == [emoji] * 3


def test_a_letter_longer_than_a_part_is_parted_rather_than_lost() -> None:
    letter = "x" + "\u0323" * 30
    parts = split(letter, 10)
    assert "".join(parts) == letter
    assert max(map(len, parts)) == 10


def test_astral_letters_are_two_units_and_never_halved() -> None:
    assert utf16_length("a𠀋😀") == 5
    assert split("𠀋" * 5, 5, utf16_length) == ["𠀋𠀋", "𠀋𠀋", "𠀋"]
    for part in split("𠀋" * 50, 7, utf16_length):
        part.encode("utf-8")


def test_a_long_reply_is_split_quickly_enough_to_be_sent() -> None:
    assert len(split("một hai ba bốn. " * 20_000, 4096, utf16_length)) > 70


def test_blocks_are_shown_in_words() -> None:
    blocks = (
        TextBlock(text="## Lệ phí\nkhông thu"),
        DetailsBlock(summary="Căn cứ", text="Luật"),
        ChoicesBlock(choices=(OfferedChoice(number=1, label="Gửi", token="t"),)),
        FileBlock(file=1, name="bien-nhan.pdf", media_type="application/pdf"),
        AskLocationBlock(label="Chia sẻ vị trí", words="Anh/Chị gửi vị trí giúp tôi."),
    )
    assert plain_text(blocks) == (
        "Lệ phí\nkhông thu\n\nCăn cứ\nLuật\n\n1. Gửi\n\nbien-nhan.pdf"
        "\n\nAnh/Chị gửi vị trí giúp tôi."
    )
