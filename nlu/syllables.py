"""The legal syllables of Vietnamese, where their tone stands, and what raw keys spell.

Standard library only, like `nlu/text.py`, which uses it.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import product

_TONES = "\u0300\u0301\u0303\u0309\u0323"
_MARKED = "ăâêôơư"
VOWELS = "aeiouy" + _MARKED
TONED = {unicodedata.normalize("NFC", v + t): (v, t) for v in VOWELS for t in _TONES}
ANY_VOWEL = VOWELS + "".join(TONED)
_LETTERS = re.compile(rf"[a-zđ{_MARKED}{''.join(TONED)}]+")
_PARTS = re.compile(rf"([bcdđghklmnpqrstvx]{{0,3}})([{ANY_VOWEL}]{{2,4}})(ch|ng|nh|c|m|n|p|t)?")

_ONSETS = ("", *"b c ch d đ g gh gi h k kh l m n ng ngh nh p ph qu r s t th tr v x".split())
_RIMES = """
a ac ach ai am an ang anh ao ap at au ay ăc ăm ăn ăng ăp ăt âc âm ân âng âp ât âu ây
e ec em en eng eo ep et ê êch êm ên ênh êp êt êu
i ia ich im in inh ip it iu iêc iêm iên iêng iêp iêt iêu y yêm yên yêng yêt yêu
o oc oi om on ong op ot oong ooc ô ôc ôi ôm ôn ông ôp ôt ơ ơi ơm ơn ơp ơt
oa oac oach oai oam oan oang oanh oao oap oat oay oăc oăm oăn oăng oăt oe oen oeo oet
u ua uc ui um un ung up ut uân uâng uât uây uê uêch uênh uôc uôi uôm uôn uông uôt uơ
uy uya uych uynh uyn uyt uyu uyên uyêt ư ưa ưc ưi ưm ưn ưng ưt ưu
ươc ươi ươm ươn ương ươp ươt ươu
""".split()

_TELEX_TONES = {"f": "\u0300", "s": "\u0301", "x": "\u0303", "r": "\u0309", "j": "\u0323"}
_VNI_TONES = {"2": "\u0300", "1": "\u0301", "4": "\u0303", "3": "\u0309", "5": "\u0323"}
_HATS = {"a": "â", "e": "ê", "o": "ô"}
_HORNS = {"o": "ơ", "u": "ư"}
_BREVES = {"a": "ă"}
_VNI_MARKS = {"6": _HATS, "7": _HORNS, "8": _BREVES}
_LONGEST_RAW = 12
_NUMBERED = frozenset(
    "ap ban buoi duong hem khoi khu lo lop mau ngo nha pho so tang thon to tuyen".split()
)
"""What people number without a blank (`to2`, `khu3`): no tone of VNI."""


def bare(text: str) -> str:
    """Letters without their tone and marks, `đ` too."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return plain.replace("đ", "d")


def without_tone(syllable: str) -> str:
    """The letters of a syllable without its tone: `hòa` as `hoa`, `ước` as `ươc`."""
    return "".join(TONED[letter][0] if letter in TONED else letter for letter in syllable)


def is_syllable(word: str) -> bool:
    """Whether a word in lower case can stand in Vietnamese, with its marks or without any."""
    if word.isascii():
        return word in _BARE
    tones = [TONED[letter][1] for letter in word if letter in TONED]
    return len(tones) <= 1 and without_tone(word) in _SYLLABLES and _can_carry(word, tones)


def place_tone(word: str) -> str:
    """hoà → hòa, thuỷ → thủy, qúy → quý, gía → giá: the tone where older print puts it."""
    if word.isascii() or not (match := _PARTS.fullmatch(word)):
        return word
    onset, vowels, coda = match[1], match[2], match[3] or ""
    tones = [TONED[letter][1] for letter in vowels if letter in TONED]
    if len(tones) != 1:
        return word
    plain = without_tone(vowels)
    at = _tone_position(onset, plain, coda)
    return onset + plain[:at] + _with_tone(plain[at], tones[0]) + plain[at + 1 :] + coda


@lru_cache(maxsize=4096)
def from_keys(word: str) -> str:
    """What Telex or VNI keys spell that an input method left as they were: `thur` → `thủ`.

    A word that can stand as it is stays, and so does one whose keys spell no legal syllable.
    """
    if not 2 < len(word) + (not word.isascii()) <= _LONGEST_RAW or is_syllable(word):
        return word
    read = _vni(word) if any(c.isdecimal() for c in word) else _telex(word)
    if read is None or read == word or not is_syllable(read):
        return word
    return read if not read.isascii() else word


def _telex(word: str) -> str | None:
    if not _LETTERS.fullmatch(word):
        return None
    letters: list[str] = []
    tone = ""
    for key in word:
        begun = any(letter in ANY_VOWEL for letter in letters)
        if begun and key in _TELEX_TONES:
            tone = _TELEX_TONES[key]
        elif key == "w":
            if not _mark(letters, _BREVES, _HORNS):
                letters.append("ư")
        elif key == "d" and letters[:1] == ["d"]:
            letters[0] = "đ"
        elif key in _HATS and letters[-1:] == [key]:
            letters[-1] = _HATS[key]
        else:
            letters.append(key)
    return _spelled(letters, tone)


def _vni(word: str) -> str | None:
    letters: list[str] = []
    tone = ""
    for key in word:
        begun = any(letter in ANY_VOWEL for letter in letters)
        if not key.isdecimal():
            letters.append(key)
        elif begun and key in _VNI_TONES and not tone:
            tone = _VNI_TONES[key]
        elif key == "9" and letters[:1] == ["d"]:
            letters[0] = "đ"
        elif key not in _VNI_MARKS or not _mark(letters, _VNI_MARKS[key]):
            return None
    if len(letters) < 2 or word[:-1] in _NUMBERED or not _LETTERS.fullmatch("".join(letters)):
        return None
    return _spelled(letters, tone)


def _mark(letters: list[str], *marks: dict[str, str]) -> bool:
    """Put a mark on the last vowel that can take it; `uo` takes a horn on both."""
    for at in range(len(letters) - 1, -1, -1):
        for mark in marks:
            if letters[at] not in mark:
                continue
            letters[at] = mark[letters[at]]
            if letters[at] == "ơ" and at and letters[at - 1] == "u" and letters[:at] != ["q", "u"]:
                letters[at - 1] = "ư"
            return True
    return False


def _spelled(letters: list[str], tone: str) -> str | None:
    """Letters as a syllable with this tone."""
    written = "".join(letters)
    if not tone:
        return place_tone(written)
    if any(letter in TONED for letter in written):
        return None
    first = next(at for at, letter in enumerate(written) if letter in VOWELS)
    return place_tone(written[:first] + _with_tone(written[first], tone) + written[first + 1 :])


def _tone_position(onset: str, vowels: str, coda: str) -> int:
    marked = [at for at, letter in enumerate(vowels) if letter in _MARKED]
    if marked:
        return marked[-1]
    if coda:
        return len(vowels) - 1
    start = 1 if onset + vowels[0] in ("qu", "gi") else 0
    return start + (1 if len(vowels) - start == 3 else 0)


def _with_tone(vowel: str, tone: str) -> str:
    return unicodedata.normalize("NFC", vowel + tone)


def _can_carry(word: str, tones: list[str]) -> bool:
    """Whether the tone fits: a stopped syllable carries sắc or nặng only."""
    return not tones or tones[0] in "\u0301\u0323" or not word.endswith(("c", "ch", "p", "t"))


def _all_syllables() -> frozenset[str]:
    joined = {onset + rime for onset, rime in product(_ONSETS, _RIMES)}
    return frozenset(joined | {"gi", "gin", "ging", "giêng", "giêc"})


_SYLLABLES = _all_syllables()
_BARE = frozenset(bare(s) for s in _SYLLABLES if "oo" not in s) | {"xoong", "boong"}
