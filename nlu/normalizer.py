"""Rasa component: one spelling for every message, in training and in life alike."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu import noise
from nlu.sentences import read_shorthand
from nlu.text import Shorthand, clean, normalize

NORMALIZED = "normalized"
VARIANTS = "variants"
NOISES = (
    noise.teencode,
    noise.both(noise.typo, noise.strip),
    noise.both(noise.teencode, noise.strip),
    noise.both(noise.telex, noise.typo),
)
"""What is made of the sentences in turn, one of each: short forms, slips, left-over keys."""
SEED = 0


class Normalizer(GraphComponent):
    """Gives each message its accented reading, `normalized`, and leaves `text` as it was sent.

    Only a text that begins like a command loses that beginning: Rasa obeys `/restart` and
    `/greet{...}` wherever they come from.
    """

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """Where the shorthand stands, from the folder in which training is started."""
        return {"shorthand": "data/vocabulary/teencode.yml"}

    def __init__(self, shorthand: Shorthand, storage: ModelStorage, resource: Resource) -> None:
        """A normaliser that writes this shorthand out."""
        self._shorthand, self._storage, self._resource = shorthand, storage, resource

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> Normalizer:
        """The normaliser of a new model, with today's shorthand."""
        return cls(read_shorthand(Path(config["shorthand"])), model_storage, resource)

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> Normalizer:
        """The normaliser as the model learned with it."""
        with model_storage.read_from(resource) as folder:
            shorthand = json.loads((folder / "shorthand.json").read_text("utf-8"))
        return cls(shorthand, model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        """Keep the shorthand with the model."""
        with self._storage.write_to(self._resource) as folder:
            (folder / "shorthand.json").write_text(json.dumps(self._shorthand), "utf-8")
        return self._resource

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Normalise the sentences that the classifier learns, and make noisy ones of them."""
        self.process(training_data.training_examples)
        chance = random.Random(SEED)
        for at, message in enumerate(training_data.training_examples):
            noisy = NOISES[at % len(NOISES)](message.get(TEXT) or "", chance)
            message.set(VARIANTS, [normalize(clean(noisy), self._shorthand)])
        return training_data

    def process(self, messages: list[Message]) -> list[Message]:
        """Normalise messages."""
        for message in messages:
            text = message.get(TEXT) or ""
            if text.lstrip().startswith("/"):
                message.set(TEXT, clean(text), add_to_output=True)
            message.set(NORMALIZED, normalize(clean(text), self._shorthand), add_to_output=True)
        return messages
