"""Rasa component: codes, phone numbers, money, dates, counts and places, found by rule."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import ENTITIES, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu.dates import dates
from nlu.money import Found, counts, sums
from nlu.places import Places, read_places
from nlu.text import without_diacritics

_LOCAL = ZoneInfo("Asia/Ho_Chi_Minh")
_CASE_CODE = re.compile(r"(?<!\w)mc[- ]?([0-9a-z]{4})[- ]?([0-9a-z]{4})[- ]?([0-9a-z])(?!\w)")
_PROCEDURE_CODE = re.compile(r"(?<![\d.])\d\.\d{6}(?![\d.]\d|\d)")
_PHONE = re.compile(r"(?<![\d.])(?:\+?84|0)(?:[ .-]?[2-9])(?:[ .-]?\d){8,9}(?!\d)")


def entities(text: str, places: Places, today: date) -> list[dict[str, Any]]:
    """What stands in a text, from left to right; where two overlap, the surer one.

    `entity`, `start` and `end` (letters of the text as sent), `value`.
    """
    flat = _flat(text)
    found: list[Found] = []
    taken = bytearray(len(text))
    for some in (
        _codes(flat),
        sums(text, flat),
        dates(text, flat, today),
        counts(text, flat),
        places.find(text, flat),
    ):
        for name, start, end, value in some:
            if not any(taken[start:end]):
                taken[start:end] = bytes([1]) * (end - start)
                found.append((name, start, end, value))
    keys = ("entity", "start", "end", "value")
    ordered = sorted(found, key=lambda entity: entity[1])
    return [dict(zip(keys, entity, strict=True)) for entity in ordered]


def _flat(text: str) -> str:
    """A text letter by letter in lower case without diacritics, so that positions stay."""
    letters = (without_diacritics(letter.lower()) for letter in text)
    return "".join(f if len(f) == 1 else letter for f, letter in zip(letters, text, strict=True))


def _codes(flat: str) -> Iterator[Found]:
    for name, pattern, value in _CODES:
        for match in pattern.finditer(flat):
            yield name, match.start(), match.end(), value(match)


def _case_code(match: re.Match[str]) -> str:
    """As the product writes it; whether the check character is right, the bot knows."""
    return f"MC-{match[1]}-{match[2]}-{match[3]}".upper()


def _phone(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", match[0])
    return "0" + digits[2:] if digits.startswith("84") else digits


_CODES: list[tuple[str, re.Pattern[str], Callable[[re.Match[str]], str]]] = [
    ("case_code", _CASE_CODE, _case_code),
    ("procedure_code", _PROCEDURE_CODE, lambda match: match[0]),
    ("phone", _PHONE, _phone),
]


class EntityExtractor(GraphComponent):
    """Marks entities; the names of places are kept with the model."""

    def __init__(self, places: Places, storage: ModelStorage, resource: Resource) -> None:
        """An extractor that knows these places."""
        self._places, self._storage, self._resource = places, storage, resource

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> EntityExtractor:
        """The extractor of a new model."""
        return cls(read_places(), model_storage, resource)

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> EntityExtractor:
        """The extractor with the places it was trained with."""
        with model_storage.read_from(resource) as folder:
            names = json.loads((folder / "places.json").read_text("utf-8"))
        return cls(Places(**names), model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        """Keep the places with the model."""
        with self._storage.write_to(self._resource) as folder:
            names = json.dumps(asdict(self._places), ensure_ascii=False)
            (folder / "places.json").write_text(names, "utf-8")
        return self._resource

    def process(self, messages: list[Message]) -> list[Message]:
        """Mark the entities of each message."""
        today = datetime.now(_LOCAL).date()
        for message in messages:
            found = entities(message.get(TEXT) or "", self._places, today)
            message.set(ENTITIES, found, add_to_output=True)
        return messages
