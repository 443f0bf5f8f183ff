"""Rasa component: intent, facets, kind of case and topics of a message, from one linear model."""

from __future__ import annotations

from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import INTENT, METADATA, METADATA_EXAMPLE
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu.model import Model, load, save
from nlu.normalizer import NORMALIZED, VARIANTS
from nlu.sentences import Sentence


class Classifier(GraphComponent):
    """Learns from the sentences and their metadata; writes what it understood on each message."""

    def __init__(self, model: Model | None, storage: ModelStorage, resource: Resource) -> None:
        """A classifier, with nothing learned before training."""
        self._model, self._storage, self._resource = model, storage, resource

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> Classifier:
        """A classifier that has learned nothing yet."""
        return cls(None, model_storage, resource)

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> Classifier:
        """The classifier as it was trained."""
        with model_storage.read_from(resource) as folder:
            return cls(load(folder), model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        """Learn the sentences and keep the model."""
        from nlu.learn import learn  # scikit-learn takes a second to import; serving needs none

        self._model = learn([_sentence(m) for m in training_data.intent_examples], say=print)
        with self._storage.write_to(self._resource) as folder:
            save(self._model, folder)
        return self._resource

    def process(self, messages: list[Message]) -> list[Message]:
        """Write on each message what it means."""
        if self._model is None:
            return messages
        for message in messages:
            for key, value in self._model.parse(message.get(NORMALIZED)).items():
                message.set(key, value, add_to_output=True)
        return messages


def _sentence(message: Message) -> Sentence:
    marks = message.get(METADATA, {}).get(METADATA_EXAMPLE, {})
    return Sentence(
        message.get(NORMALIZED),
        message.get(INTENT),
        marks.get("topic"),
        tuple(marks.get("facets", ())),
        marks.get("kind"),
        tuple(message.get(VARIANTS, ())),
    )
