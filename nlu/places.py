"""Names of provinces, districts, communes and wards, before and since 1 July 2025."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from nlu.money import Found
from nlu.text import fold, normalize

_PACKAGE = "vietnamadminunits"
_ALIASES = {
    "hn": "Hà Nội",
    "sài gòn": "Thành phố Hồ Chí Minh",
    "sg": "Thành phố Hồ Chí Minh",
    "hồ chí minh": "Thành phố Hồ Chí Minh",
    "hcm": "Thành phố Hồ Chí Minh",
    "tphcm": "Thành phố Hồ Chí Minh",
    "hcmc": "Thành phố Hồ Chí Minh",
    "vũng tàu": "Bà Rịa - Vũng Tàu",
    "bà rịa": "Bà Rịa - Vũng Tàu",
    "thừa thiên huế": "Huế",
}
_LONGEST_NAME = 5
_LONGEST_WORD = 10
_LETTERS = re.compile(r"[^\W\d_]+")
_SHORT_PROVINCES = frozenset("hn sg hcm tphcm hcmc".split())
_UNIT = re.compile(
    r"(?<!\w)(tinh|thanh pho|tp\.?|quan|huyen|thi xa|tx\.?|phuong|xa|thi tran|tt\.?|dac khu|ap|"
    r"thon|khu pho|kp|buon|ban|p\.|q\.|h\.|x\.|[pqhx](?= )) *(?=\w)"
)
_NUMBERED = re.compile(
    r"(?<!\w)(?:quan|phuong|q\.?|p\.?|ap|thon|khu pho|kp|to) ?\d{1,2}(?![\w/.,]\w)"
)
_BEFORE_UNIT = re.compile(
    r"(?<!\w)(?:o|ve|tai|que|tu|ra|vo|vao|len|xuong|den|toi|qua|sang|trong|ngoai|dat|dan|tinh)"
    r"\s*$"
)


@dataclass(frozen=True)
class Places:
    """Names by their folded spelling; folding makes one of several, so each has all of them."""

    provinces: Mapping[str, list[str]]
    units: Mapping[str, list[str]]

    def province(self, typed: str) -> str | None:
        """The province a text names: `nghe an` → `Nghệ An`; None if it is none."""
        alias = _ALIASES.get(typed.lower())
        return alias or _named(self.provinces, typed)

    def unit(self, typed: str) -> str | None:
        """The district, commune or ward a text names, as typed where several fit."""
        return _named(self.units, typed)

    def find(self, text: str, flat: str) -> Iterator[Found]:
        """Units with their unit word, provinces also without; `flat` is the text folded."""
        for match in _NUMBERED.finditer(flat):
            yield "place", match.start(), match.end(), text[match.start() : match.end()]
        for match in _UNIT.finditer(flat):
            yield from self._behind(text, match)
        words = [word.span() for word in _LETTERS.finditer(text)]
        for at in range(len(words)):
            for start, end in _runs(text, words[at : at + _LONGEST_NAME]):
                yield from self._bare(text, flat, start, end)

    def _behind(self, text: str, match: re.Match[str]) -> Iterator[Found]:
        """The longest name behind a unit word: one that is known, or one in capital letters."""
        near = _LETTERS.finditer(text, match.end(), match.end() + _LONGEST_NAME * _LONGEST_WORD)
        behind = [word.span() for word in islice(near, _LONGEST_NAME)]
        for start, end in _runs(text, behind):
            typed = text[start:end]
            name = self.unit(typed) or self.province(typed)
            if name or (_is_capital(typed) and len(match[1]) > 2):
                unit = text[match.start() : match.end()]
                yield "place", match.start(), end, unit + (name or typed)
                return

    def _bare(self, text: str, flat: str, start: int, end: int) -> Iterator[Found]:
        """A province without its unit word; a smaller unit where a word before it says so."""
        typed = text[start:end]
        name = self.province(typed)
        if name is None and " " in typed and _is_capital(typed):
            before = _BEFORE_UNIT.search(flat, max(0, start - _LONGEST_WORD), start)
            name = self.unit(typed) if before else None
        if name and (" " in typed or typed != fold(typed) or typed in _SHORT_PROVINCES):
            yield "place", start, end, name


def read_places() -> Places:
    """All names, from the data files of the package `vietnamadminunits` (MIT)."""
    provinces: defaultdict[str, list[str]] = defaultdict(list)
    units: defaultdict[str, list[str]] = defaultdict(list)
    for key, name in _names():
        into = provinces if key == "provinceShort" else units
        if name not in into[fold(name)]:
            into[fold(name)].append(name)
    for alias, name in _ALIASES.items():
        provinces.setdefault(fold(alias), [name])
    return Places(dict(provinces), {k: v for k, v in units.items() if not k.isdecimal()})


def _names() -> Iterator[tuple[str, str]]:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{_PACKAGE} is not installed: run `make setup`")
    for file in ("parser_legacy.json", "parser_from_2025.json"):
        data = json.loads((Path(spec.origin).parent / "data" / file).read_text("utf-8"))
        yield from _short_names(data)


def _short_names(data: object) -> Iterator[tuple[str, str]]:
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        if key in ("provinceShort", "districtShort", "wardShort") and isinstance(value, str):
            yield key, value
        else:
            yield from _short_names(value)


def _named(names: Mapping[str, list[str]], typed: str) -> str | None:
    known = names.get(fold(typed))
    if known is None:
        return None
    if fold(typed) == typed.lower():
        return known[0] if len(known) == 1 else typed
    spelled = normalize(typed)
    return next((name for name in known if normalize(name) == spelled), None)


def _runs(text: str, words: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """From the first word on, the runs of words that may be one name, longest first."""
    for _, end in reversed(words):
        if not re.search(r"[^\w \-']", text[words[0][0] : end]):
            yield words[0][0], end


def _is_capital(typed: str) -> bool:
    return all(word[0].isupper() for word in typed.split())
