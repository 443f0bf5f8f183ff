"""Rasa component: codes and numbers that a regular expression finds for certain."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import ENTITIES, TEXT
from rasa.shared.nlu.training_data.message import Message

_CASE_CODE = re.compile(
    r"(?<![^\W_])mc[- ]?([0-9a-z]{4})[- ]?([0-9a-z]{4})[- ]?([0-9a-z])(?![^\W_])", re.IGNORECASE
)
_PROCEDURE_CODE = re.compile(r"(?<![\d.])\d\.\d{6}(?![\d.]\d|\d)")
_PHONE = re.compile(r"(?<![\d.])(?:\+?84|0)(?:[ .-]?[2-9])(?:[ .-]?\d){8,9}(?!\d)")


def entities(text: str) -> list[dict[str, object]]:
    """The codes and phone numbers of a text, in the order in which they stand there."""
    found = [
        {"entity": name, "start": match.start(), "end": match.end(), "value": value(match)}
        for name, pattern, value in _KINDS
        for match in pattern.finditer(text)
    ]
    return sorted(found, key=lambda entity: entity["start"])


def _case_code(match: re.Match[str]) -> str:
    """As the product writes it; whether the check character is right, the bot knows."""
    return f"MC-{match[1]}-{match[2]}-{match[3]}".upper()


def _phone(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", match[0])
    return "0" + digits[2:] if digits.startswith("84") else digits


_KINDS: list[tuple[str, re.Pattern[str], Callable[[re.Match[str]], str]]] = [
    ("case_code", _CASE_CODE, _case_code),
    ("procedure_code", _PROCEDURE_CODE, lambda match: match[0]),
    ("phone", _PHONE, _phone),
]


class CodeExtractor(GraphComponent):
    """Marks case codes, procedure codes and phone numbers."""

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> CodeExtractor:
        """There is nothing to set."""
        return cls()

    def process(self, messages: list[Message]) -> list[Message]:
        """Mark the entities of each message."""
        for message in messages:
            message.set(ENTITIES, entities(message.get(TEXT) or ""), add_to_output=True)
        return messages
