"""Rasa's way to our sentences; importing this makes our components known to Rasa's trainer."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.shared.core.domain import Domain
from rasa.shared.core.training_data.structures import StoryGraph
from rasa.shared.importers.importer import TrainingDataImporter
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.shared.utils.io import read_config_file

from nlu.classifier import Classifier
from nlu.entities import EntityExtractor
from nlu.normalizer import Normalizer
from nlu.sentences import Sentence, read_sentences
from nlu.tagger import Tagger

# Here and not as decorators of the classes: Rasa's recipe imports TensorFlow, which takes eight
# seconds and 500 MB, and the server needs the classes only.
_KINDS = DefaultV1Recipe.ComponentType
DefaultV1Recipe.register(_KINDS.MESSAGE_FEATURIZER, is_trainable=True)(Normalizer)
DefaultV1Recipe.register(_KINDS.INTENT_CLASSIFIER, is_trainable=True)(Classifier)
DefaultV1Recipe.register(_KINDS.ENTITY_EXTRACTOR, is_trainable=True)(EntityExtractor)
DefaultV1Recipe.register(_KINDS.ENTITY_EXTRACTOR, is_trainable=True)(Tagger)


class SentenceImporter(TrainingDataImporter):
    """Training data from `data/sentences` and the `asked_as` of `data/knowledge`.

    Topic, facets and kind of case travel as metadata of the examples.
    """

    def __init__(
        self,
        config_file: str | None = None,
        domain_path: str | None = None,
        training_data_paths: list[str] | str | None = None,
        data: str = "data",
        **kwargs: Any,
    ) -> None:
        """An importer that reads the folder `data`, seen from where training is started."""
        self._config_file, self._data = config_file, Path(data)

    def get_nlu_data(self, language: str | None = "vi") -> TrainingData:
        """All sentences as Rasa's training examples."""
        return TrainingData([_example(sentence) for sentence in self._sentences])

    @cached_property
    def _sentences(self) -> list[Sentence]:
        """Read once: Rasa asks for the data several times."""
        return read_sentences(self._data)

    def get_config(self) -> dict[str, Any]:
        """The pipeline."""
        config: dict[str, Any] = read_config_file(self._config_file) if self._config_file else {}
        return config

    def get_config_file_for_auto_config(self) -> str | None:
        """The file that says the pipeline."""
        return self._config_file

    def get_domain(self) -> Domain:
        """None: Rasa only understands, it does not talk."""
        return Domain.empty()

    def get_stories(self, exclusion_percentage: int | None = None) -> StoryGraph:
        """None, for the same reason."""
        return StoryGraph([])


class GivenImporter(SentenceImporter):
    """Training data and pipeline that are given, in place of our own."""

    def __init__(self, examples: Iterable[Mapping[str, Any]], config: dict[str, Any]) -> None:
        """An importer of these examples: what Rasa calls the data of a message."""
        super().__init__()
        self._examples, self._config = list(examples), config

    def get_nlu_data(self, language: str | None = "vi") -> TrainingData:
        """The examples."""
        return TrainingData([Message(data=dict(example)) for example in self._examples])

    def get_config(self) -> dict[str, Any]:
        """The pipeline."""
        return self._config


def _example(sentence: Sentence) -> Message:
    marks = {"topic": sentence.topic, "facets": list(sentence.facets), "kind": sentence.kind}
    given = {key: value for key, value in marks.items() if value}
    return Message.build(sentence.text, sentence.intent, example_metadata=given or None)
