"""Sums of money and counts, written in digits or spoken: `2tr5`, `15.000 đồng`, `hai bản`."""

import re
from collections.abc import Iterator

Found = tuple[str, int, int, str]
"""What an entity is, where it begins and ends in the text, and its value."""

_DIGITS = {
    name: at for at, name in enumerate("khong mot hai ba bon nam sau bay tam chin muoi".split())
} | {"tu": 4, "chuc": 10}
_SMALL = "|".join(_DIGITS)
_FACTORS = {
    "ty": 10**9, "ti": 10**9, "tr": 10**6, "trieu": 10**6, "cu": 10**6, "k": 10**3, "ngan": 10**3,
    "nghin": 10**3, "xi": 10**5, "dong": 1, "d": 1, "vnd": 1,
}  # fmt: skip
_LONGEST_SUM = 20
"""Digits with their dots: more is a number of something else, or a finger on a key."""
_UNITS = frozenset(
    "tỷ tỉ ty ti tr triệu trieu củ cu k ngàn ngan nghìn nghin xị xi đồng dong đ d vnđ vnd".split()
)
_UNITS_OF_DIGITS = frozenset("cu k d đ tr ti ty xi dong".split())
"""Too short to follow a spoken number: `ba cu` is rather a grandmother."""
_SPOKEN = frozenset(
    "một hai ba bốn tư năm sáu bảy bẩy tám chín mười mươi chục trăm linh lẻ lăm mot bon sau bay "
    "tam chin muoi chuc tram le lam nam tu".split()
)
_COUNTING = frozenset("hai ba bốn bon sáu bảy bẩy bay tám chín chin mười muoi chục chuc".split())
"""Number words that hardly ever mean anything else: `năm` is a year too and `một` an article."""
_COUNTED = "|".join(
    """ban to trang bo cuon quyen tam anh hinh cai chiec con chau be dua nguoi ng khach khau lan
    ngay tuan thang nam gio tieng phut tuoi ha met m2 m km mau sao cong thua lo tang phong can ho xe
    bao thung chai lon ly don giay hs bua buoi cay phan % bong suat ma cau diem phieu vien kg ky tan
    lit goi hop muc dieu chuyen vu""".split()
)
_COUNTED = f"nhan khau|met vuong|cay so|can ho|ho so|phan tram|{_COUNTED}"

_MONEY = re.compile(
    rf"(?<![\w.,-])(\d[\d.,]*|(?:{_SMALL})(?: (?:{_SMALL}|tram|linh|le|lam)){{0,6}}) ?"
    rf"({'|'.join(_FACTORS)})"
    r"(?: ?(\d{1,3}|ruoi)(?! ?(?:dong|tr|trieu|k|ngan|nghin|nguoi|ban|ngay|thang)\b))?"
    r"(?: ?(dong|vnd|d))?(?!\w)"
)
_NUMBER = re.compile(
    rf"(?<![\w.,/-])(?:(\d{{1,6}}(?:[.,]\d+)?) ?|({_SMALL}) )(?:ruoi )?(?:{_COUNTED})(?!\w)"
)


def sums(text: str, flat: str) -> Iterator[Found]:
    """Sums in whole đồng: `2tr5` → 2500000, `hai trăm nghìn` → 200000."""
    for match in _MONEY.finditer(flat):
        factor = _FACTORS[match[2]]
        amount = _amount(match[1], factor)
        if amount is None or (factor == 1 and amount < 100) or not _is_sum(text, match):
            continue
        more = match[3]
        if more == "ruoi":
            amount += factor // 2
        elif more:
            amount += int(more) * factor // 10 ** len(more)
        yield "money", match.start(), match.end(), str(amount)


def counts(text: str, flat: str) -> Iterator[Found]:
    """Numbers with what is counted: `3 bản` → 3; a house number counts nothing."""
    for match in _NUMBER.finditer(flat):
        if match[2] and text[match.start(2) : match.end(2)].lower() not in _COUNTING:
            continue
        value = match[1].replace(",", ".") if match[1] else str(_DIGITS[match[2]])
        yield "number", match.start(), match.end(), value


def _is_sum(text: str, match: re.Match[str]) -> bool:
    """Whether number and unit are spelled as such: `củ` is a million, `cụ` an old person."""
    unit = text[match.start(2) : match.end(2)].lower()
    number = text[match.start(1) : match.end(1)].lower()
    if number[0].isdecimal():
        return unit in _UNITS
    return unit in _UNITS - _UNITS_OF_DIGITS and _SPOKEN.issuperset(number.split())


def _amount(written: str, factor: int) -> int | None:
    if not written[0].isdecimal():
        counted = _count(written)
        return counted * factor if counted else None
    digits = written.rstrip(".,")
    if len(digits) > _LONGEST_SUM:
        return None
    if re.fullmatch(r"\d{1,3}([.,]\d{3})+", digits):
        return int(re.sub(r"\D", "", digits)) * factor
    if re.fullmatch(r"\d+([.,]\d+)?", digits):
        return round(float(digits.replace(",", ".")) * factor)
    return None


def _count(spoken: str) -> int:
    """`hai trăm năm mươi` → 250, for numbers below a thousand."""
    total, last = 0, 0
    for word in spoken.split():
        if word == "tram":
            total, last = total + (last or 1) * 100, 0
        elif word in ("muoi", "chuc") and last:
            total, last = total + last * 10, 0
        elif word not in ("linh", "le"):
            last = 5 if word == "lam" else _DIGITS[word]
    return total + last
