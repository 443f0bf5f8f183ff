"""Questions stay apart from sentences: what a text is known by, however it is spelled."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from nlu.text import clean, fold, normalize
from tests.evaluate.messages import Marked

HASHES = Path(__file__).parent.parent / "blind" / "hashes.txt"


def hash_of(text: str) -> str:
    """The same for a text in any spelling, and no way back to its words."""
    return hashlib.sha256(fold(normalize(clean(text))).encode()).hexdigest()[:16]


def known() -> frozenset[str]:
    """The hashes of the blind questions, so that nobody need open them to keep apart from them."""
    return frozenset(HASHES.read_text("utf-8").split())


def write(messages: Iterable[Marked]) -> None:
    """The hashes of all messages, in order of their own."""
    HASHES.write_text("\n".join(sorted({hash_of(m.text) for m in messages})) + "\n", "utf-8")
