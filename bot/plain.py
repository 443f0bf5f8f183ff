"""Replies as plain words, for channels and terminals that show nothing else."""

import re
import unicodedata
from collections.abc import Callable, Iterable

from bot.message import (
    AskContactBlock,
    AskLocationBlock,
    Block,
    ChoicesBlock,
    FileBlock,
    unmarked,
)


def plain(block: Block) -> str:
    """One block in words: choices as numbers, what can be opened as written out."""
    match block:
        case ChoicesBlock():
            return "\n".join(f"{choice.number}. {choice.label}" for choice in block.choices)
        case FileBlock():
            return block.name
        case AskLocationBlock() | AskContactBlock():
            return block.words
        case _:
            summary = getattr(block, "summary", None)
            return f"{summary}\n{unmarked(block.text)}" if summary else unmarked(block.text)


def plain_text(blocks: Iterable[Block]) -> str:
    """Blocks in words, one below the other."""
    return "\n\n".join(text for block in blocks if (text := plain(block)))


def printable(text: str) -> str:
    """A text on one line, without anything that a terminal or a header would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def utf16_length(text: str) -> int:
    """How many UTF-16 units a text has, as Telegram counts."""
    return len(text.encode("utf-16-le")) // 2


def split(text: str, limit: int, measure: Callable[[str], int] = len) -> list[str]:
    """A text in parts of at most `limit`, cut at a paragraph, a line, a sentence or a space; within
    a word only where it must be, and never inside a letter with its marks."""
    rest = unicodedata.normalize("NFC", text).strip()
    parts = []
    while measure(rest) > limit:
        cut = _cut(rest, limit, measure)
        parts.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*parts, rest] if rest else parts


_BREAKS = (r"(?=\n\n)", r"(?=\n)", r"(?<=[.!?…:;])(?=\s)", r"(?=\s)")
"""The ends of a paragraph, a line, a sentence and a word; the space that follows needs no room."""


def _cut(text: str, limit: int, measure: Callable[[str], int]) -> int:
    longest = _longest_prefix(text, limit, measure)
    for pattern in _BREAKS:
        ends = [match.end() for match in re.finditer(pattern, text[: longest + 2])]
        within = [end for end in ends if longest // 2 < end <= longest]
        if within:
            return within[-1]
    return _letter_edge(text, longest)


def _longest_prefix(text: str, limit: int, measure: Callable[[str], int]) -> int:
    low, high = 1, min(len(text), limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(text[:middle]) <= limit else (low, middle - 1)
    return low


def _letter_edge(text: str, cut: int) -> int:
    """The last edge of a whole letter up to a cut; the cut itself where a letter is longer."""
    edge = cut
    while edge > 0 and _within_letter(text, edge):
        edge -= 1
    return edge or cut


def _within_letter(text: str, edge: int) -> bool:
    """Whether marks, a joined or toned emoji or a flag go on across an edge."""
    before, after = text[:edge], text[edge]
    if after in _FLAG_LETTERS:
        return (edge - len(before.rstrip(_FLAG_LETTERS))) % 2 == 1
    is_mark = unicodedata.category(after).startswith("M")
    return is_mark or after in _TONES or "\u200d" in {after, before[-1]}


_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_TONES = "".join(map(chr, range(0x1F3FB, 0x1F400)))
