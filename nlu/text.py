"""Vietnamese as people type it, brought to one spelling.

Standard library only: the Rasa components and the finder in the other environment share it.
"""

import re
import unicodedata
from collections.abc import Mapping

from nlu.syllables import ANY_VOWEL, TONED, VOWELS, from_keys, place_tone

Shorthand = Mapping[str, str]
"""Teencode and abbreviations with what they stand for, both in lower case: `{"ko": "không"}`."""

_NO_SHORTHAND: Shorthand = {}
_SAME_VOWEL = {
    vowel: vowel + "".join(letter for letter, (base, _) in TONED.items() if base == vowel)
    for vowel in VOWELS
}

_WORD = re.compile(r"[^\W_]+")
_NOT_WORD = re.compile(r"[\W_]+")
_MARKS = re.compile("[\u0300-\u036f]+")
_BEGINNING = re.compile("^[/ \u0300-\u036f]+")
_STRETCHED = re.compile(r"([^\W\d_])\1\1+")
# An accented word is Vietnamese, where no letter stands twice but the o of xoong and moóc.
_DOUBLED = re.compile(
    "|".join(f"[{same}]{{2,}}" for vowel, same in _SAME_VOWEL.items() if vowel != "o")
    + rf"|[{_SAME_VOWEL['o']}]{{2,}}(?!ng|c)"
    + rf"|([^\W\d_{ANY_VOWEL}])\1+"
)
_ROMAN = frozenset("ivxlcdm")


def clean(text: str) -> str:
    """What a person typed, without anything that could hide in it or pass for a command."""
    return _BEGINNING.sub("", _spaced(unicodedata.normalize("NFKC", _visible(text))))


def normalize(text: str, shorthand: Shorthand = _NO_SHORTHAND) -> str:
    """The accented reading: NFC, lower case, one tone placement, no stretched letters, shorthand
    and left-over Telex or VNI keys written out.

    Doing it twice changes nothing, provided that no word of a long form is itself shorthand.
    """

    def mend(match: re.Match[str]) -> str:
        word = place_tone(_unstretch(match[0]))
        if word in shorthand:
            return shorthand[word]
        word = from_keys(word)
        return shorthand.get(word, word)

    letters = _MARKS.sub("", unicodedata.normalize("NFC", text.lower()))
    return _WORD.sub(mend, _spaced(unicodedata.normalize("NFC", letters)))


def fold(text: str) -> str:
    """Lower-case words without diacritics, one blank between them: the spelling all share."""
    return _NOT_WORD.sub(" ", without_diacritics(text.lower())).strip()


def has_diacritics(text: str) -> bool:
    """Whether any word carries a mark that folding would take away."""
    return any(fold(letter) != letter for letter in set(text.lower()) if letter.isalpha())


def without_diacritics(text: str) -> str:
    """A text as it is typed on a keyboard without diacritics."""
    bare = _MARKS.sub("", unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFC", bare).replace("đ", "d").replace("Đ", "D")


def words(text: str) -> list[str]:
    """The words of a text in order, without punctuation."""
    return _WORD.findall(text)


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        " " if letter.isspace() else letter
        for letter in text
        if letter.isspace() or unicodedata.category(letter) not in ("Cc", "Cf", "Co", "Cs")
    )


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _unstretch(word: str) -> str:
    """quááá → quá, lắmmm → lắm; but xoong, III, kkk and a code keep their letters."""
    if len(word) < 3 or not word.isalpha() or _ROMAN.issuperset(word):
        return word
    if not word.isascii():
        return _DOUBLED.sub(_the_toned_one, word)
    if len(set(word)) == 1:
        return word[:3]
    return _STRETCHED.sub(r"\1", word)


def _the_toned_one(run: re.Match[str]) -> str:
    return next((letter for letter in run[0] if letter in TONED), run[0][0])
