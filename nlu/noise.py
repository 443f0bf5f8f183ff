"""Messages as hurried people type them: made of written sentences, for training and for tests.

Standard library only. The same seed gives the same noise.
"""

import random
import re
from collections.abc import Callable

from nlu.syllables import TONED
from nlu.text import without_diacritics

Noise = Callable[[str, random.Random], str]

_WORD = re.compile(r"[^\W\d_]+")
_TELEX_TONES = {"\u0300": "f", "\u0301": "s", "\u0303": "x", "\u0309": "r", "\u0323": "j"}
_VNI_TONES = {"\u0300": "2", "\u0301": "1", "\u0303": "4", "\u0309": "3", "\u0323": "5"}
_TELEX_MARKS = dict(zip("ăâđêôơư", ("aw", "aa", "dd", "ee", "oo", "ow", "uw"), strict=True))
_VNI_MARKS = dict(zip("ăâđêôơư", ("a8", "a6", "d9", "e6", "o6", "o7", "u7"), strict=True))

_PHRASES: dict[str, tuple[str, ...]] = {
    "bao nhiêu": ("bn", "bnh", "bao nhiu", "bnhiu"),
    "bây giờ": ("bh", "bjo", "bg"),
    "căn cước công dân": ("cccd",),
    "căn cước": ("cc", "cccd"),
    "chuyển khoản": ("ck",),
    "giấy tờ": ("gt", "giấy"),
    "hôm nay": ("hnay", "hum nay"),
    "hôm qua": ("hqua",),
    "hồ sơ": ("hs", "hsơ"),
    "hộ kinh doanh": ("hkd",),
    "khai sinh": ("ks",),
    "mọi người": ("mn", "mng"),
    "như thế nào": ("ntn", "nhtn"),
    "số điện thoại": ("sđt", "sdt"),
    "thời gian": ("tgian", "tg"),
    "trực tuyến": ("onl", "online"),
    "ủy ban": ("ub",),
    "ủy ban nhân dân": ("ubnd",),
    "đăng ký": ("đk", "dk", "đky", "đkí"),
    "điện thoại": ("đt", "dt"),
}
_WORDS: dict[str, tuple[str, ...]] = {
    "anh": ("a",),
    "biết": ("bít", "bik", "bt"),
    "bình": ("b",),
    "chị": ("c", "cj"),
    "chồng": ("ck",),
    "cũng": ("cx", "cg", "cũg"),
    "gì": ("j", "gj", "zì"),
    "giờ": ("h", "jo"),
    "không": ("ko", "k", "kg", "hok", "hong", "khg", "kh", "hông"),
    "làm": ("lm",),
    "luôn": ("lun", "luon"),
    "mình": ("mk", "mik", "m"),
    "muốn": ("mún", "mun"),
    "người": ("ng", "ngừi", "nguoi"),
    "này": ("nì", "nè"),
    "nhiều": ("nhìu", "nhiu"),
    "nhưng": ("nhg", "nhưg"),
    "những": ("nhữg", "nhg"),
    "nữa": ("nx", "nửa"),
    "phải": ("pải", "fải", "p"),
    "phường": ("p", "fường"),
    "quá": ("wá", "qá", "wa"),
    "rồi": ("r", "rùi", "ròi", "oy"),
    "sao": ("s", "sao"),
    "thế": ("th", "tế"),
    "tháng": ("thg", "th"),
    "thì": ("thj", "thi"),
    "tiền": ("tìn", "xiền"),
    "tôi": ("t", "tui"),
    "trước": ("trc", "tr", "trk"),
    "vậy": ("v", "z", "vz", "dzậy", "zậy"),
    "về": ("zề", "zìa"),
    "vợ": ("vk",),
    "với": ("vs", "dí", "zới"),
    "vào": ("zô", "vô"),
    "được": ("đc", "dc", "đk", "đuoc"),
    "đâu": ("đou", "dau"),
    "em": ("e",),
    "xã": ("x",),
    "ạ": ("ak", "a", "ah"),
}
_SOUNDS = (("ph", "f"), ("qu", "w"), ("gi", "j"), ("v", "z"), ("d", "z"), ("c", "k"))
_NEAR = {
    "a": "sqz", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "g": "fh", "h": "gj", "i": "uo",
    "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o", "q": "wa", "r": "et",
    "s": "ad", "t": "ry", "u": "yi", "v": "cb", "x": "zc", "y": "tu",
}  # fmt: skip


def strip(text: str, chance: random.Random) -> str:
    """All diacritics left out."""
    return without_diacritics(text)


def half(text: str, chance: random.Random) -> str:
    """Every other word without its diacritics."""
    return _some_words(text, chance, 0.5, lambda word, _: without_diacritics(word))


def telex(text: str, chance: random.Random) -> str:
    """Half of the words as the keys that Telex would have made letters of."""
    keys = _keys(_TELEX_MARKS, _TELEX_TONES)
    return _some_words(text, chance, 0.5, keys)


def vni(text: str, chance: random.Random) -> str:
    """Half of the words as the keys that VNI would have made letters of."""
    return _some_words(text, chance, 0.5, _keys(_VNI_MARKS, _VNI_TONES))


def teencode(text: str, chance: random.Random) -> str:
    """Short forms of most words that have one, and now and then a letter by its sound."""
    for phrase, short in _PHRASES.items():
        if chance.random() < 0.7:
            text = re.sub(rf"\b{phrase}\b", chance.choice(short), text, flags=re.IGNORECASE)
    return _some_words(text, chance, 1.0, _shortened)


def typo(text: str, chance: random.Random) -> str:
    """A slip in 15 of 100 words: letters swapped, dropped, doubled, or a neighbouring key."""
    return _some_words(text, chance, 0.15, _slipped)


def both(first: Noise, second: Noise) -> Noise:
    """One noise after another."""
    return lambda text, chance: second(first(text, chance), chance)


def _some_words(
    text: str, chance: random.Random, share: float, change: Callable[[str, random.Random], str]
) -> str:
    return _WORD.sub(lambda m: change(m[0], chance) if chance.random() < share else m[0], text)


def _keys(marks: dict[str, str], tones: dict[str, str]) -> Callable[[str, random.Random], str]:
    """How a word is typed with an input method that is switched off; the tone last or in place."""

    def type_out(word: str, chance: random.Random) -> str:
        typed, tone = "", ""
        for letter in word.lower():
            base, mark = TONED.get(letter, (letter, ""))
            typed += marks.get(base, base)
            if mark and chance.random() < 0.3:
                typed += tones[mark]
            elif mark:
                tone = tones[mark]
        return typed + tone

    return type_out


def _shortened(word: str, chance: random.Random) -> str:
    short = _WORDS.get(word.lower())
    if short and chance.random() < 0.7:
        return chance.choice(short)
    if chance.random() > 0.06:
        return word
    for sound, letter in _SOUNDS:
        if word.lower().startswith(sound):
            return letter + word[len(sound) :]
    return word[:-1] if word.endswith("ng") and len(word) > 3 else word


def _slipped(word: str, chance: random.Random) -> str:
    if len(word) < 3:
        return word
    at = chance.randrange(len(word) - 1)
    match chance.randrange(4):
        case 0:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case 1:
            return word[: at + 1] + word[at + 2 :]
        case 2:
            return word[:at] + word[at] + word[at:]
        case _:
            near = _NEAR.get(without_diacritics(word[at].lower()))
            return word[:at] + chance.choice(near) + word[at + 1 :] if near else word
