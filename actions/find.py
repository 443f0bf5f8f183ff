"""The finder: which topics a text means, by name, joined with what nlu has learned."""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from sys import intern

from actions.action import Found
from actions.knowledge import Topic
from actions.knowledge.model import CatalogueEntry, Procedure, Situation
from nlu.text import fold, has_diacritics, normalize, words

_SURE = 0.5
_PASSING_BESIDE_NAME = 0.5
_PASSING = 0.75
_LEAST = 0.5
"""A text that covers less of a name than this does not mean it."""
_INDEXED = 0.8
"""The share of a name's weight, in its rarest terms, by which it is looked for."""
_STORY = 15
"""In a text of more words than this, the words of a name must stand together."""
_STRETCH = 3
"""Together is within so many times the name's own length."""


@dataclass(frozen=True, slots=True)
class _Name:
    """One name of a topic, as terms to look for."""

    topic: str
    variant: str | None
    kind: str
    length: int
    folded: tuple[str, ...]
    accented: tuple[str, ...]


class _Text:
    """What a person wrote, as the terms that names are made of."""

    def __init__(self, text: str) -> None:
        self.typed: dict[str, set[str]] = defaultdict(set)
        self.places: dict[str, list[int]] = defaultdict(list)
        self.length = 0
        for place, term, spelling in _spellings(text):
            self.typed[term].add(spelling)
            self.places[term].append(place)
            self.length = max(self.length, place + 1)
        self.marked = has_diacritics(text)


class _Scale:
    """How much each term weighs: the fewer names have it, the more it tells."""

    def __init__(self, names: Sequence[Collection[str]]) -> None:
        seen = Counter(chain.from_iterable(names))
        total = len(names) + 1
        self._weights = {term: math.log(total / count) for term, count in seen.items()}
        self._names = names
        self._wholes = [self._weigh(name) for name in names]

    def cover(self, number: int, told: Collection[str]) -> float:
        """The share of a name's weight that is told."""
        whole = self._wholes[number]
        weight = self._weigh(filter(told.__contains__, self._names[number]))
        return weight / whole if whole else 0.0

    def rarest(self, number: int) -> tuple[list[str], int]:
        """The terms by which a name is looked for, and how many of them must be told.

        With fewer, even all of its other terms would not make it `_LEAST`.
        """
        whole = self._wholes[number]
        terms, left = [], whole
        for term in sorted(self._names[number], key=lambda term: (-self._weights[term], term)):
            if left <= (1 - _INDEXED) * whole:
                break
            terms.append(term)
            left -= self._weights[term]
        needed = 1
        while needed < len(terms) and left + self._weigh(terms[:needed]) < _LEAST * whole:
            needed += 1
        return terms, needed

    def together(self, number: int, places: Mapping[str, Sequence[int]], stretch: int) -> float:
        """Of what a text tells of a name, the share that stands within one stretch of it."""
        told = [term for term in self._names[number] if term in places]
        hits = sorted((place, term) for term in told for place in places[term])
        first, held, weight, most = 0, Counter[str](), 0.0, 0.0
        for place, term in hits:
            weight += 0.0 if held[term] else self._weights[term]
            held[term] += 1
            while hits[first][0] <= place - stretch:
                gone = hits[first][1]
                held[gone] -= 1
                weight -= 0.0 if held[gone] else self._weights[gone]
                first += 1
            most = max(most, weight)
        return round(most / self._weigh(told), 6)

    def _weigh(self, terms: Iterable[str]) -> float:
        return sum(map(self._weights.__getitem__, terms))


class Finder:
    """An index over every name, other name and code, built once when knowledge is loaded."""

    def __init__(self, topics: Iterable[Topic]) -> None:
        self._names: list[_Name] = []
        self._codes: dict[str, tuple[str, str | None]] = {}
        self._kinds: dict[str, str] = {}
        self._accents: dict[str, set[str]] = defaultdict(set)
        for topic in topics:
            self._add(topic)
        self._folded = _Scale([name.folded for name in self._names])
        self._accented = _Scale([name.accented for name in self._names])
        self._needed: list[int] = []
        self._by_term: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, name in enumerate(self._names):
            terms, needed = self._folded.rarest(number)
            self._needed.append(needed)
            for term in terms:
                self._by_term[name.kind, term].append(number)
        self._around = self._longer_names()

    def by_code(self, code: str) -> Found | None:
        """The topic that has this portal code."""
        entry = self._codes.get(code)
        return Found(entry[0], 1.0, entry[1]) if entry else None

    def by_name(self, text: str, kind: str) -> list[Found]:
        """Topics of one kind whose names the text holds, best first, scored 0 to 1.

        A score is the share of a name's weight (rare words weigh more, neighbouring words count
        too) that the text covers; accents count where a word has them, and in a story only what
        stands together. Names of which not half is there are left out, and a name that stands
        within a longer one counts for less.
        """
        scores = self._scores(_Text(text), kind)
        best: dict[tuple[str, str | None], float] = {}
        for number, score in sorted(scores.items(), key=lambda item: -item[1]):
            name = self._names[number]
            key = (name.topic, name.variant)
            if score <= best.get(key, 0.0):
                continue
            around = (share for n, share in self._around[number] if scores.get(n, 0.0) >= score)
            share = min(around, default=1.0)
            best[key] = max(best.get(key, 0.0), score * share)
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

    def _scores(self, text: _Text, kind: str) -> dict[int, float]:
        """How much of each name a text tells, where it is enough to mean it."""
        meant = self._meant(text) if text.marked else None
        scores = {}
        for number in self._likely(text, kind):
            score = self._folded.cover(number, text.typed)
            if score < _LEAST:
                continue
            if meant is not None:
                score = (score + self._accented.cover(number, meant)) / 2
            stretch = _STRETCH * self._names[number].length
            if score >= _LEAST and text.length > max(_STORY, stretch):
                score *= self._folded.together(number, text.places, stretch)
            if score >= _LEAST:
                scores[number] = score
        return scores

    def _likely(self, text: _Text, kind: str) -> list[int]:
        """The names of which as many rare terms are told as are needed."""
        postings = [self._by_term.get((kind, term), ()) for term in text.typed]
        hits = Counter(chain.from_iterable(postings))
        return [number for number, count in hits.items() if count >= self._needed[number]]

    def _longer_names(self) -> list[list[tuple[int, float]]]:
        """For each name those that hold it and more, with the share that it is of each."""
        holders: dict[str, set[int]] = defaultdict(set)
        for number, name in enumerate(self._names):
            for term in name.folded:
                holders[term].add(number)
        return [
            [
                (number, self._folded.cover(number, name.folded))
                for number in set.intersection(
                    *sorted(map(holders.__getitem__, name.folded), key=len)
                )
                if len(self._names[number].folded) > len(name.folded)
            ]
            for name in self._names
        ]

    def _meant(self, text: _Text) -> set[str]:
        """The accented terms of names that a text may have meant by what was typed."""
        return {
            spelling
            for term, typed in text.typed.items()
            for spelling in self._accents.get(term, ())
            if _fits(spelling, typed)
        }

    def _add(self, topic: Topic) -> None:
        kind = _kind(topic)
        self._kinds[topic.id] = kind
        for variant, code, name in _names(topic):
            if code is not None:
                self._codes[code] = (topic.id, variant)
            spellings = [(intern(term), intern(told)) for _, term, told in _spellings(name)]
            for term, told in spellings:
                self._accents[term].add(told)
            folded, accented = (
                tuple(dict.fromkeys(terms)) for terms in zip(*spellings, strict=True)
            )
            length = len(words(name))
            self._names.append(_Name(topic.id, variant, kind, length, folded, accented))


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


def _spellings(text: str) -> Iterator[tuple[int, str, str]]:
    """Each word and each pair of neighbours with its place, folded and as written."""
    both = [(fold(word), word) for word in words(normalize(text))]
    for place, (folded, word) in enumerate(both):
        yield place, folded, word
    for place, ((folded, word), (next_folded, next_word)) in enumerate(pairwise(both)):
        yield place, f"{folded} {next_folded}", f"{word} {next_word}"


def _fits(spelling: str, typed: Collection[str]) -> bool:
    """Whether somebody typed a term so, where words may also be typed without their marks."""
    return spelling in typed or any(
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
