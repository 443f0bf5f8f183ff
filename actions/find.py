"""The finder: which topics a text means, by name, joined with what nlu has learned."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from actions.action import Found
from actions.knowledge import Topic
from actions.knowledge.model import CatalogueEntry, Procedure, Situation
from nlu.text import fold, has_diacritics, normalize

Words = tuple[str, ...]


@dataclass(frozen=True)
class _Name:
    """One name of a topic, as terms to look for."""

    topic: str
    variant: str | None
    kind: str
    folded: frozenset[str]
    accented: frozenset[str]


class Finder:
    """An index over every name, other name and code, built once when knowledge is loaded."""

    def __init__(self, topics: Iterable[Topic]) -> None:
        self._names: list[_Name] = []
        self._codes: dict[str, tuple[str, str | None]] = {}
        self._kinds: dict[str, str] = {}
        for topic in topics:
            self._add(topic)
        self._by_term: dict[str, list[int]] = defaultdict(list)
        for number, name in enumerate(self._names):
            for term in name.folded:
                self._by_term[term].append(number)
        self._idf = _weights(name.folded for name in self._names)
        self._accented_idf = _weights(name.accented for name in self._names)

    def by_code(self, code: str) -> Found | None:
        """The topic that has this portal code."""
        entry = self._codes.get(code)
        return Found(entry[0], 1.0, entry[1]) if entry else None

    def by_name(self, text: str, kind: str) -> list[Found]:
        """Topics of one kind whose names the text holds, best first, scored 0 to 1.

        A score is the share of a name's weight (rare words weigh more, neighbouring words count
        too) that the text covers; accents count where the text has them.
        """
        folded = _terms(fold(text))
        accented = _terms(normalize(text)) if has_diacritics(text) else None
        best: dict[tuple[str, str | None], float] = {}
        for number in {n for term in folded for n in self._by_term.get(term, ())}:
            name = self._names[number]
            if name.kind != kind:
                continue
            score = _cover(name.folded, folded, self._idf)
            if accented is not None:
                score = (score + _cover(name.accented, accented, self._accented_idf)) / 2
            key = (name.topic, name.variant)
            best[key] = max(best.get(key, 0.0), score)
        found = [Found(topic, score, variant) for (topic, variant), score in best.items()]
        return sorted(found, key=lambda f: -f.score)

    def find(
        self, text: str, kind: str, learned: Mapping[str, float], limit: int = 5
    ) -> list[Found]:
        """Topics that a text means: what nlu ranked and what is found by name, joined.

        Both are calibrated to 0–1 and joined as independent evidence; a topic that nlu has not
        learned can still be found, one without a fitting name too.
        """
        named: dict[tuple[str, str | None], float] = {
            (f.id, f.variant): _from_name(f.score) for f in self.by_name(text, kind)
        }
        for key, score in learned.items():
            topic, _, variant = key.partition("/")
            if self._kinds.get(topic) != kind:
                continue
            at = (topic, variant or None)
            named[at] = 1 - (1 - named.get(at, 0.0)) * (1 - score)
        found = [Found(topic, score, variant) for (topic, variant), score in named.items()]
        best = _one_each(sorted(found, key=lambda f: (-f.score, f.id)))
        return [f for f in best if f.score >= 0.05][:limit]

    def _add(self, topic: Topic) -> None:
        kind = _kind(topic)
        self._kinds[topic.id] = kind
        for variant, code, name in _names(topic):
            if code is not None:
                self._codes[code] = (topic.id, variant)
            terms, accented = _terms(fold(name)), _terms(normalize(name))
            self._names.append(_Name(topic.id, variant, kind, terms, accented))


def _kind(topic: Topic) -> str:
    match topic:
        case Procedure():
            return "procedure"
        case Situation():
            return "situation"
        case CatalogueEntry():
            return topic.kind


def _names(topic: Topic) -> Iterator[tuple[str | None, str | None, str]]:
    code = None if isinstance(topic, Situation) else topic.code
    for name in (topic.name, *topic.also_called):
        yield None, code, name
    if isinstance(topic, Procedure):
        for variant in topic.variants:
            for name in (variant.name, *variant.also_called):
                yield variant.id, variant.code, name


def _terms(text: str) -> frozenset[str]:
    words = text.split()
    return frozenset(words) | {f"{a} {b}" for a, b in pairwise(words)}


def _weights(names: Iterable[frozenset[str]]) -> Callable[[str], float]:
    names = list(names)
    seen = Counter(term for name in names for term in name)
    total = len(names) + 1
    weights = {term: math.log(total / count) for term, count in seen.items()}
    unseen = math.log(total)
    return lambda term: weights.get(term, unseen)


def _cover(name: frozenset[str], text: frozenset[str], weigh: Callable[[str], float]) -> float:
    whole = sum(weigh(term) for term in name)
    return sum(weigh(term) for term in name & text) / whole if whole else 0.0


def _from_name(cover: float) -> float:
    """The chance that a text which covers this share of a name means it (logistic)."""
    return 1 / (1 + math.exp(-10 * (cover - 0.8)))


def _one_each(found: Iterable[Found]) -> list[Found]:
    kept: dict[str, Found] = {}
    for candidate in found:
        kept.setdefault(candidate.id, candidate)
    return list(kept.values())
