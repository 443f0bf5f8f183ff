"""Lines in and JSON out: what `parse` and `ask` share."""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from actions.knowledge import Knowledge
from actions.knowledge.model import CatalogueEntry, Procedure, Situation


class NotALine(ValueError):  # noqa: N818 - a fact, not a failure
    """A line of input that is neither text nor JSON with `text`."""


def read_texts(lines: Iterable[str]) -> Iterator[str | NotALine]:
    """Each line's text: the line itself, or `text` of a JSON object."""
    for line in lines:
        stripped = line.rstrip("\r\n")
        yield _from_json(stripped) if stripped.startswith("{") else stripped


def _from_json(line: str) -> str | NotALine:
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError):
        return NotALine("the line is no JSON object with `text`")
    if not isinstance(text, str):
        return NotALine("`text` must be a string")
    try:
        text.encode()
    except UnicodeEncodeError:
        return NotALine("`text` holds half a character")
    return text


def write_line(value: dict[str, Any]) -> None:
    """One JSON object on one line, at once."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def procedure_json(
    knowledge: Knowledge, topic_id: str | None, variant_id: str | None
) -> dict[str, str | None] | None:
    """A procedure's id, code and name; the code and name of its variant where one is meant."""
    topic = knowledge.topic(topic_id or "")
    match topic:
        case Procedure():
            variant = next((v for v in topic.variants if v.id == variant_id), None)
            named = variant or topic
            return {"id": topic.id, "code": named.code, "name": named.name}
        case CatalogueEntry(kind="procedure"):
            return {"id": topic.id, "code": topic.code, "name": topic.name}
        case _:
            return None


def rule_json(knowledge: Knowledge, topic_id: str | None) -> dict[str, str | None] | None:
    """A situation's id and its mark in the reference."""
    topic = knowledge.topic(topic_id or "")
    match topic:
        case Situation() | CatalogueEntry(kind="situation"):
            return {"id": topic.id, "ref": topic.ref}
        case _:
            return None
