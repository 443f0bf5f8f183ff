"""Marked messages: a file of them, and how each is also typed in a hurry."""

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlu import noise
from nlu.noise import Noise
from nlu.sentences import FACETS, KINDS

SEED = 20261124
BLIND = Path(__file__).parent.parent / "blind" / "vi"

WRITTEN = "as written"
WRITINGS: Mapping[str, Noise] = {
    WRITTEN: lambda text, _: text,
    "no diacritics": noise.strip,
    "teencode": noise.teencode,
    "Telex left over": noise.telex,
    "typing slips": noise.typo,
    "teencode, no diacritics": noise.both(noise.teencode, noise.strip),
    "slips, no diacritics": noise.both(noise.typo, noise.strip),
}

_KEYS = {"text", "intent", "procedure", "facet", "rule", "case_kind", "entities"}


class BadLine(Exception):  # noqa: N818 - a fact, not a failure
    """A line that is no marked message; says which and why."""


@dataclass(frozen=True)
class Marked:
    """One message with what it means; an empty mark is not looked at."""

    text: str
    intents: tuple[str, ...] = ()
    procedure: str | None = None
    facets: frozenset[str] = frozenset()
    rule: str | None = None
    kind: str | None = None
    entities: tuple[tuple[str, int, int], ...] | None = None
    """Kind, beginning and end of each, from left to right; None where none are marked."""
    file: str = field(default="", compare=False)

    def written(self, writing: str, at: int) -> str:
        """The same message in another way of writing; the same for the same place in the file."""
        return WRITINGS[writing](self.text, random.Random(f"{SEED} {writing} {at}"))


def read(paths: Iterable[Path]) -> list[Marked]:
    """The messages of JSON Lines files; raises BadLine."""
    return [
        _marked(line, f"{path}:{number}", path.stem)
        for path in paths
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if line.strip()
    ]


def blind() -> list[Marked]:
    """The blind set, whole."""
    return read(sorted(BLIND.glob("*.jsonl")))


def _marked(line: str, where: str, file: str) -> Marked:
    try:
        given = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadLine(f"{where}: no JSON ({error.msg})") from error
    if not isinstance(given, dict) or not isinstance(given.get("text"), str):
        raise BadLine(f"{where}: must be an object with `text`")
    if unknown := set(given) - _KEYS:
        raise BadLine(f"{where}: unknown key {min(unknown)!r}")
    facets, kind = given.get("facet") or [], given.get("case_kind")
    facets = [facets] if isinstance(facets, str) else facets
    if strange := set(facets) - set(FACETS):
        raise BadLine(f"{where}: facet {min(strange)!r} is none of {', '.join(FACETS)}")
    if kind is not None and kind not in KINDS:
        raise BadLine(f"{where}: case_kind {kind!r} is none of {', '.join(KINDS)}")
    return Marked(
        given["text"],
        several(given.get("intent")),
        given.get("procedure"),
        frozenset(facets),
        given.get("rule"),
        kind,
        _entities(given, where),
        file,
    )


def several(value: Any) -> tuple[str, ...]:
    """One mark or a list of them, or none, as a tuple."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _entities(given: Mapping[str, Any], where: str) -> tuple[tuple[str, int, int], ...] | None:
    if "entities" not in given:
        return None
    placed: list[tuple[str, int, int]] = []
    for entity in given["entities"]:
        after = max((end for kind, _, end in placed if kind == entity["entity"]), default=0)
        start = given["text"].find(entity["text"], after)
        if start < 0:
            raise BadLine(f"{where}: {entity['text']!r} does not stand in the text")
        placed.append((entity["entity"], start, start + len(entity["text"])))
    return tuple(sorted(placed, key=lambda entity: entity[1]))
