"""Days, weeks, months and years that a text names, seen from a given day."""

import re
from collections.abc import Iterator
from datetime import date, timedelta

from nlu.money import Found

_DAY = r"(?P<d>[12]\d|3[01]|0?[1-9])"
_MONTH = r"(?P<m>1[0-2]|0?[1-9])"
_Y = r"(?P<y>[12]\d{3})"
_YEAR = rf"(?:(?: nam |/| ){_Y})?"
_PATTERNS = [
    re.compile(pattern)
    for pattern in (
        rf"(?<![\d/.-])(?:(?:ngay|mung|hom) )?{_DAY}[/.-]{_MONTH}[/.-]{_Y}(?![\d/])",
        rf"(?<!\w)(?:(?:ngay|mung) )?{_DAY} thang {_MONTH}{_YEAR}(?!\w)",
        rf"(?<!\w)thang (?:{_MONTH}|(?P<named>gieng|chap))"
        rf"(?:(?: nam |/| ){_Y}| (?P<which>nam nay|nam ngoai|nam sau|sang nam))?"
        r"(?![\w/]|[.,]\d)",
        rf"(?<![\d/.,]){_MONTH}/(?P<y>20\d{{2}})(?![\d/])",
        rf"(?<![\d/.,-]){_DAY}[/-]{_MONTH}(?![\d/.,-]\d|\d|/)",
        rf"(?<!\w)(?:ngay|hom|mung) {_DAY}"
        r"(?: thang (?P<next>nay|truoc|sau|toi))?(?!\w)",
        r"(?<!\w)(?:(?:thu|t) ?(?P<weekday>[2-7]|hai|ba|tu|nam|sau|bay)|(?P<sunday>chu nhat|cn))"
        r"(?: (?P<week>tuan (?:nay|sau|truoc|toi|roi)|nay|toi(?! gio| nay)|truoc|roi))?(?!\w)",
        r"(?<!\w)(?P<near>hom nay|hnay|bua nay|hom qua|hqua|bua qua|hom kia|ngay mai|ngay kia|"
        r"ngay mot|mai mot(?! cua)|mai|mot)(?= |[,.?!;:]|$)",
        r"(?<!\w)(?<!\d )(?P<span>tuan|thang|nam) (?P<step>nay|sau|truoc|toi|roi|ngoai|qua)(?!\w)",
    )
]
_NEAR = {
    "hom kia": -2, "hom qua": -1, "hqua": -1, "bua qua": -1, "hom nay": 0, "hnay": 0, "bua nay": 0,
    "mai": 1, "ngay mai": 1, "mot": 2, "ngay mot": 2, "ngay kia": 2, "mai mot": 2,
}  # fmt: skip
_STEPS = {"truoc": -1, "roi": -1, "ngoai": -1, "qua": -1, "nay": 0, "sau": 1, "toi": 1, "sang": 1}
_WEEKDAYS = {"hai": 0, "ba": 1, "tu": 2, "nam": 3, "sau": 4, "bay": 5}
_NAMED_MONTHS = {"gieng": 1, "chap": 12}


def dates(text: str, flat: str, today: date) -> Iterator[Found]:
    """A day as 2026-11-20, a month as 2026-03, a week as 2026-W48, a year as 2025.

    Where the year is not told, the nearest one is meant.
    """
    for pattern in _PATTERNS:
        for match in pattern.finditer(flat):
            part = {name: value for name, value in match.groupdict().items() if value}
            if not _is_date(text[match.start() : match.end()], part):
                continue
            if value := _value(part, today):
                yield "date", match.start(), match.end(), value


def _is_date(typed: str, part: dict[str, str]) -> bool:
    """Whether a word that folding mixes up is the word for a time: `mốt`, not `một`."""
    word = typed.lower().split()[-1]
    if part.get("near") == "mot":
        return word == "mốt"
    if part.get("near") == "mai":
        return typed == "mai"
    if "span" in part:
        return word not in {"quà", "quá", "tội", "tôi", "tối", "rỗi", "nảy", "sâu"}
    return "weekday" not in part or typed.lower()[:2] in {"th", "t2", "t3", "t4", "t5", "t6", "t7"}


def _value(part: dict[str, str], today: date) -> str | None:
    if "near" in part:
        return (today + timedelta(days=_NEAR[part["near"]])).isoformat()
    if "span" in part:
        return _span(part["span"], _STEPS[part["step"]], today)
    if "weekday" in part or "sunday" in part:
        return _weekday(part, today).isoformat()
    if "d" not in part:
        month = _NAMED_MONTHS.get(part.get("named", "")) or int(part["m"])
        return f"{_year(part, month, 15, today)}-{month:02}"
    day = int(part["d"])
    if "m" not in part:
        year, month = _span("thang", _STEPS[part.get("next", "nay")], today).split("-")
        return _iso(int(year), int(month), day)
    month = int(part["m"])
    return _iso(_year(part, month, day, today), month, day)


def _iso(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def _year(part: dict[str, str], month: int, day: int, today: date) -> int:
    if "y" in part:
        return int(part["y"])
    if "which" in part:
        said = part["which"].replace("nam ", "").replace(" nam", "")
        return today.year + _STEPS[said]
    years = (today.year - 1, today.year, today.year + 1)
    gone = (today.month - month) * 30.5 + today.day - day
    return min(years, key=lambda year: abs((today.year - year) * 365 + gone))


def _span(span: str, step: int, today: date) -> str:
    if span == "nam":
        return str(today.year + step)
    if span == "thang":
        at = today.year * 12 + today.month - 1 + step
        return f"{at // 12}-{at % 12 + 1:02}"
    year, week, _ = (today + timedelta(weeks=step)).isocalendar()
    return f"{year}-W{week:02}"


def _weekday(part: dict[str, str], today: date) -> date:
    """`thứ 2 tuần sau`, `thứ 6 rồi`; without more, the next one from today on."""
    named = part.get("weekday", "")
    weekday = 6 if "sunday" in part else int(named) - 2 if named.isdecimal() else _WEEKDAYS[named]
    this = today - timedelta(days=today.weekday() - weekday)
    said = part.get("week", "")
    step = _STEPS[said.removeprefix("tuan ")] if said else 0
    if said.startswith("tuan"):
        return this + timedelta(weeks=step)
    if step < 0:
        return this if this < today else this - timedelta(weeks=1)
    return this if this >= today else this + timedelta(weeks=1)
