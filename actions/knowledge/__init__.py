"""What the assistant knows: dated, cited facts, loaded once from `data/knowledge/`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

from actions.knowledge.dated import (
    Citation,
    Dated,
    NotKnown,
    Seen,
    Source,
    When,
    branches,
    on,
    weakest,
)
from actions.knowledge.loading import Files, labelled, read, review_of
from actions.knowledge.model import CatalogueEntry, Law, Procedure, Review, Situation
from actions.knowledge.reading import BadData, Problem
from nlu.text import fold, normalize, words

_CITY = "Thành phố "

Topic = Procedure | Situation | CatalogueEntry


@dataclass(frozen=True)
class Knowledge:
    """All that was loaded, with the questions that verbs ask of it."""

    files: Files

    @classmethod
    def load(cls, root: Path) -> "Knowledge":
        """Everything under `data/knowledge/`; raises BadData naming file, field and mend."""
        return cls(read(root))

    def topic(self, topic_id: str) -> Topic | None:
        """The procedure, situation or catalogue entry of that id."""
        files = self.files
        return (
            files.procedures.get(topic_id)
            or files.situations.get(topic_id)
            or files.catalogue.get(topic_id)
        )

    def topics(self) -> Iterable[Topic]:
        """Everything that can be found by name."""
        files = self.files
        yield from files.procedures.values()
        yield from files.situations.values()
        yield from files.catalogue.values()

    def law(self, law_id: str) -> Law:
        """The law of that id; the loader has made sure that it is there."""
        return self.files.laws[law_id]

    def words_for(self, when: When) -> str:
        """Some conditions in Vietnamese words."""
        return labelled(when, self.files.when_labels, self.files.provinces)

    @cached_property
    def _provinces(self) -> Mapping[str, tuple[str, ...]]:
        """How each province may be written, as words between spaces."""
        return {
            province: tuple(f" {spelt} " for spelt in _spelt(name.removeprefix(_CITY)))
            for province, name in self.files.provinces.items()
        }

    def province_in(self, text: str) -> str | None:
        """The province that a text names, where it names exactly one."""
        padded = f" {' '.join(words(normalize(text)))} "
        named = {
            province
            for province, spellings in self._provinces.items()
            if any(spelt in padded for spelt in spellings)
        }
        return named.pop() if len(named) == 1 else None

    def review(self, topic_id: str, day: date) -> Review | None:
        """The office's signature on a topic, where one stands on that day."""
        return review_of(self.files, topic_id, day)


def _spelt(name: str) -> tuple[str, str]:
    """With and without accents: "làm đồng" is not Lâm Đồng, "lam dong" may be."""
    return normalize(name), fold(name)


__all__ = [
    "BadData",
    "Citation",
    "Dated",
    "Files",
    "Knowledge",
    "NotKnown",
    "Problem",
    "Seen",
    "Source",
    "Topic",
    "When",
    "branches",
    "on",
    "weakest",
]
