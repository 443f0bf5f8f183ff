"""The finder: which topics a text means, by name, joined with what nlu has learned."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from actions.action import Found
from actions.knowledge import Topic
from actions.knowledge.model import CatalogueEntry, Procedure, Situation
from nlu.text import fold, has_diacritics, normalize, words

_SURE = 0.5
_PASSING_BESIDE_NAME = 0.5
_PASSING = 0.75
_LEAST = 0.4
"""A text that covers less of a name than this does not mean it."""


@dataclass(frozen=True)
class _Name:
    """One name of a topic, as terms to look for."""

    topic: str
    variant: str | None
    kind: str
    spellings: tuple[tuple[str, str], ...]
    folded: frozenset[str]
    accented: frozenset[str]


class _Scale:
    """How much each term weighs: the fewer names have it, the more it tells."""

    def __init__(self, names: Sequence[frozenset[str]]) -> None:
        seen = Counter(term for name in names for term in name)
        total = len(names) + 1
        self._weights = {term: math.log(total / count) for term, count in seen.items()}
        self._wholes = {name: self._weigh(name) for name in names}

    def cover(self, name: frozenset[str], text: frozenset[str]) -> float:
        """The share of a name's weight that a text covers."""
        whole = self._wholes[name]
        return round(self._weigh(name & text) / whole, 6) if whole else 0.0

    def rarest(self, name: frozenset[str]) -> Iterator[str]:
        """The rarest terms of a name, until what is left weighs too little to find it by."""
        left = self._wholes[name]
        least = _LEAST * left
        for term in sorted(name, key=lambda term: (-self._weights[term], term)):
            if left < least:
                return
            yield term
            left -= self._weights[term]

    def _weigh(self, terms: frozenset[str]) -> float:
        return sum(self._weights[term] for term in terms)


class Finder:
    """An index over every name, other name and code, built once when knowledge is loaded."""

    def __init__(self, topics: Iterable[Topic]) -> None:
        self._names: list[_Name] = []
        self._codes: dict[str, tuple[str, str | None]] = {}
        self._kinds: dict[str, str] = {}
        for topic in topics:
            self._add(topic)
        self._folded = _Scale([name.folded for name in self._names])
        self._accented = _Scale([name.accented for name in self._names])
        self._by_term: dict[str, list[int]] = defaultdict(list)
        for number, name in enumerate(self._names):
            for term in self._folded.rarest(name.folded):
                self._by_term[term].append(number)

    def by_code(self, code: str) -> Found | None:
        """The topic that has this portal code."""
        entry = self._codes.get(code)
        return Found(entry[0], 1.0, entry[1]) if entry else None

    def by_name(self, text: str, kind: str) -> list[Found]:
        """Topics of one kind whose names the text holds, best first, scored 0 to 1.

        A score is the share of a name's weight (rare words weigh more, neighbouring words count
        too) that the text covers; accents count where a word has them. Names of which hardly
        anything is there are left out, and a name that stands within a longer one counts for less.
        """
        typed: dict[str, set[str]] = defaultdict(set)
        for term, spelling in _spellings(text):
            typed[term].add(spelling)
        folded = frozenset(typed)
        marked = has_diacritics(text)
        scores: dict[int, float] = {}
        for number in {n for term in folded for n in self._by_term.get(term, ())}:
            name = self._names[number]
            if name.kind != kind:
                continue
            score = self._folded.cover(name.folded, folded)
            if marked and score >= _LEAST:
                told = frozenset(
                    spelling for term, spelling in name.spellings if _fits(spelling, typed[term])
                )
                score = (score + self._accented.cover(name.accented, told)) / 2
            if score >= _LEAST:
                scores[number] = score
        best: dict[tuple[str, str | None], float] = {}
        for number, score in scores.items():
            name = self._names[number]
            key = (name.topic, name.variant)
            best[key] = max(best.get(key, 0.0), score * self._own_share(name, score, scores))
        found = [Found(topic, score, variant) for (topic, variant), score in best.items()]
        return sorted(found, key=lambda f: -f.score)

    def find(
        self, text: str, kind: str, learned: Mapping[str, float], limit: int = 5
    ) -> list[Found]:
        """Topics that a text means: what nlu ranked and what is found by name, joined.

        Both are calibrated to 0–1 and joined as independent evidence; a topic that nlu has not
        learned can still be found, one without a fitting name too. Where nlu is sure of one topic,
        the names of others count for less: they are often told only in passing.
        """
        named = {(f.id, f.variant): _from_name(f.score) for f in self.by_name(text, kind)}
        ranked = {_parted(key): score for key, score in learned.items()}
        ranked = {at: score for at, score in ranked.items() if self._kinds.get(at[0]) == kind}
        sure = max(ranked, key=lambda at: ranked[at], default=None)
        if sure is not None and ranked[sure] >= _SURE:
            passing = _PASSING_BESIDE_NAME if named.get(sure, 0.0) >= _SURE else _PASSING
            named = {at: name if at == sure else name * passing for at, name in named.items()}
        found = [
            Found(at[0], 1 - (1 - named.get(at, 0.0)) * (1 - ranked.get(at, 0.0)), at[1])
            for at in named | ranked
        ]
        best = _one_each(sorted(found, key=lambda f: (-f.score, f.id)))
        return [f for f in best if f.score >= 0.05][:limit]

    def _own_share(self, name: _Name, score: float, scores: Mapping[int, float]) -> float:
        """What share a name is of the longest one around it that is told as fully."""
        told = (self._names[other].folded for other, its in scores.items() if its >= score)
        around = (longer for longer in told if name.folded < longer)
        return min((self._folded.cover(longer, name.folded) for longer in around), default=1.0)

    def _add(self, topic: Topic) -> None:
        kind = _kind(topic)
        self._kinds[topic.id] = kind
        for variant, code, name in _names(topic):
            if code is not None:
                self._codes[code] = (topic.id, variant)
            spellings = tuple(_spellings(name))
            folded, accented = (frozenset(terms) for terms in zip(*spellings, strict=True))
            self._names.append(_Name(topic.id, variant, kind, spellings, folded, accented))


def _parted(key: str) -> tuple[str, str | None]:
    """A topic of nlu as topic and variant: `dang_ky_tam_tru/gia_han`."""
    topic, _, variant = key.partition("/")
    return topic, variant or None


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


def _spellings(text: str) -> Iterator[tuple[str, str]]:
    """Each word and each pair of neighbours, folded and as written."""
    both = [(fold(word), word) for word in words(normalize(text))]
    yield from both
    for (folded, word), (next_folded, next_word) in pairwise(both):
        yield f"{folded} {next_folded}", f"{word} {next_word}"


def _fits(spelling: str, typed: Iterable[str]) -> bool:
    """Whether somebody typed a term so, where words may also be typed without their marks."""
    return any(
        all(
            one in {other, fold(other)}
            for one, other in zip(t.split(), spelling.split(), strict=True)
        )
        for t in typed
    )


def _from_name(cover: float) -> float:
    """The chance that a text which covers this share of a name means it (logistic)."""
    return 1 / (1 + math.exp(-10 * (cover - 0.8)))


def _one_each(found: Iterable[Found]) -> list[Found]:
    kept: dict[str, Found] = {}
    for candidate in found:
        kept.setdefault(candidate.id, candidate)
    return list(kept.values())
