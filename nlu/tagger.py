"""Rasa component: entities learned from marked sentences, by a linear chain (CRFsuite).

Our own sentences mark none, and then it stays silent; data sets of others do (`benchmark.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pycrfsuite
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import (
    ENTITIES,
    ENTITY_ATTRIBUTE_END,
    ENTITY_ATTRIBUTE_START,
    ENTITY_ATTRIBUTE_TYPE,
    ENTITY_ATTRIBUTE_VALUE,
    TEXT,
)
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu.text import clean, normalize, without_diacritics

Span = tuple[int, int, str]
"""Start, end and type of an entity, in letters of the text as sent."""

OUTSIDE = "O"
BESIDE = range(-2, 3)
"""The neighbours that a token is told by, itself among them."""

_JOINS = "\u0300-\u036f\u00ad\u200b-\u200f\u2060\ufeff"
"""What stands within a word without being a letter: marks, and what nobody sees."""
_TOKEN = re.compile(rf"\d+|[^\W\d_](?:[^\W\d_]|[{_JOINS}])*|[^\w\s]|_")
_EDGE = "|"


@dataclass(frozen=True)
class Token:
    """A word, a number or a mark of punctuation, where it stands in the text as sent."""

    text: str
    start: int
    end: int


class Tagger(GraphComponent):
    """Learns the entities of the training data and adds those it finds to each message."""

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """How dear weights are (`c1` by size, `c2` squared), and how long to learn."""
        return {"c1": 0.02, "c2": 0.05, "max_iterations": 50}

    def __init__(
        self,
        config: dict[str, Any],
        chain: pycrfsuite.Tagger | None,
        storage: ModelStorage,
        resource: Resource,
    ) -> None:
        """A tagger, with nothing learned before training."""
        self._config, self._chain = config, chain
        self._storage, self._resource = storage, resource

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> Tagger:
        """A tagger that has learned nothing yet."""
        return cls(config, None, model_storage, resource)

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> Tagger:
        """The tagger as it was trained."""
        with model_storage.read_from(resource) as folder:
            return cls(config, _read(_kept_in(folder)), model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        """Learn every sentence as written and without diacritics, if any marks an entity."""
        with self._storage.write_to(self._resource) as folder:
            if training_data.entity_examples:
                _learn(training_data.training_examples, self._config, _kept_in(folder))
                self._chain = _read(_kept_in(folder))
        return self._resource

    def process(self, messages: list[Message]) -> list[Message]:
        """Add the entities of each message to those that are marked already."""
        if self._chain is None:
            return messages
        for message in messages:
            text, there = message.get(TEXT) or "", message.get(ENTITIES) or []
            found = [_entity(text, span) for span in self._spans(text)]
            added = [one for one in found if not any(_overlap(one, other) for other in there)]
            ordered = sorted([*there, *added], key=lambda one: one[ENTITY_ATTRIBUTE_START])
            message.set(ENTITIES, ordered, add_to_output=True)
        return messages

    def _spans(self, text: str) -> Iterator[Span]:
        parts = tokens(text)
        return spans(parts, self._chain.tag(features([token.text for token in parts])))


def tokens(text: str) -> list[Token]:
    """The tokens of a text; a number and the letters beside it are two."""
    found = (Token(match[0], *match.span()) for match in _TOKEN.finditer(text))
    return [token for token in found if clean(f".{token.text}") != "."]


def tags(parts: Sequence[Token], marked: Sequence[Span]) -> list[str]:
    """Which token begins an entity, is inside one, or outside of all.

    A token belongs to an entity that has any of its letters.
    """
    told = [OUTSIDE] * len(parts)
    for start, end, name in marked:
        inside = [at for at, part in enumerate(parts) if part.start < end and start < part.end]
        for at in inside:
            told[at] = f"I-{name}"
        for at in inside[:1]:
            told[at] = f"B-{name}"
    return told


def spans(parts: Sequence[Token], told: Sequence[str]) -> Iterator[Span]:
    """The entities that tags tell of; one inside an entity that nobody began begins it."""
    start, end, inside = 0, 0, ""
    for part, tag in zip(parts, told, strict=True):
        place, _, name = tag.partition("-")
        if inside and (place != "I" or name != inside):
            yield start, end, inside
            inside = ""
        if place != OUTSIDE:
            start = start if inside else part.start
            end, inside = part.end, name
    if inside:
        yield start, end, inside


def features(parts: Sequence[str]) -> list[list[str]]:
    """What each token is told by: words accented and folded, its shape, its neighbours."""
    accented = [normalize(clean(part)) or part for part in parts]
    folded = [without_diacritics(word) for word in accented]
    shapes = [_shape(part) for part in parts]
    told = []
    for at, word in enumerate(folded):
        seen = list(_letters(word))
        for name, words in (("a", accented), ("f", folded)):
            near = [_at(words, at + step) for step in BESIDE]
            seen += [f"{name}{step}={other}" for step, other in zip(BESIDE, near, strict=True)]
            seen += [
                f"{name}{step}+={one} {other}"
                for step, one, other in zip(BESIDE, near, near[1:], strict=False)
            ]
        seen += [f"s{step}={_at(shapes, at + step)}" for step in (-1, 0, 1)]
        told.append(seen)
    return told


def _letters(word: str) -> Iterator[str]:
    """Beginning and end of a word, and how long a number is."""
    yield "any"
    for size in range(1, min(3, len(word)) + 1):
        yield f"p={word[:size]}"
        yield f"e={word[-size:]}"
    if word.isdigit():
        yield f"digits={len(word)}"


def _shape(part: str) -> str:
    """Capitals, small letters, digits and others, each run told once: `Hà` as `Xx`."""
    kinds = (
        "X" if c.isupper() else "x" if c.isalpha() else "d" if c.isdigit() else c for c in part
    )
    return re.sub(r"(.)\1+", r"\1", "".join(kinds))


def _at(words: Sequence[str], at: int) -> str:
    return words[at] if 0 <= at < len(words) else _EDGE


def _learn(sentences: Sequence[Message], config: dict[str, Any], path: Path) -> None:
    """Write what CRFsuite learns of these sentences into a file, in its own format."""
    trainer = pycrfsuite.Trainer(
        verbose=False, params={name: config[name] for name in Tagger.get_default_config()}
    )
    for sentence in sentences:
        parts = tokens(sentence.get(TEXT) or "")
        told = tags(parts, [_span(entity) for entity in sentence.get(ENTITIES) or []])
        words = [part.text for part in parts]
        trainer.append(features(words), told)
        trainer.append(features([without_diacritics(word) for word in words]), told)
    trainer.train(str(path))


def _kept_in(folder: Path) -> Path:
    return folder / "tagger.crfsuite"


def _read(path: Path) -> pycrfsuite.Tagger | None:
    """What was learned; CRFsuite copies it from the file, whose folder goes after loading."""
    if not path.exists():
        return None
    chain = pycrfsuite.Tagger()
    chain.open(str(path))
    return chain


def _span(entity: dict[str, Any]) -> Span:
    return (
        entity[ENTITY_ATTRIBUTE_START],
        entity[ENTITY_ATTRIBUTE_END],
        entity[ENTITY_ATTRIBUTE_TYPE],
    )


def _entity(text: str, span: Span) -> dict[str, Any]:
    start, end, name = span
    return {
        ENTITY_ATTRIBUTE_TYPE: name,
        ENTITY_ATTRIBUTE_START: start,
        ENTITY_ATTRIBUTE_END: end,
        ENTITY_ATTRIBUTE_VALUE: text[start:end],
    }


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    (start, end, _), (its_start, its_end, _) = _span(one), _span(other)
    return bool(start < its_end and its_start < end)
