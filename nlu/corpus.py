"""Sentences as training sees them: every reading of each, and how often it has which feature."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from scipy.sparse import csr_matrix, diags, hstack

from nlu.features import VIEWS, Mask, Pieces, View, pieces
from nlu.sentences import Sentence
from nlu.text import fold, without_diacritics

READINGS = 2
"""A sentence is scored as written and without diacritics."""
COMMON_WORDS = 350
JOBS = 2

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Corpus:
    """Every reading of every sentence: as written, without diacritics, as hurried people type."""

    sentences: Sequence[Sentence]
    texts: Sequence[str]
    sentence: Rows
    """The sentence of each text."""
    reading: Rows
    """Which of its readings each text is."""
    common: frozenset[str]
    names: Mapping[str, Sequence[str]]
    """All features of each view."""
    counts: Mapping[str, csr_matrix]
    """For each view: text, feature."""

    def rows(self, among: Mask, reading: int) -> Rows:
        """The texts that are this reading of these sentences, in order."""
        return np.flatnonzero(among[self.sentence] & (self.reading == reading))

    def known(self, view: str, among: Mask, at_least: int) -> tuple[View, Rows]:
        """The features of a view that enough of these sentences have, weighted by rarity; and
        which of all features they are."""
        rows = np.flatnonzero(among[self.sentence])
        together = csr_matrix(
            (np.ones(len(rows), np.float32), (self.sentence[rows], np.arange(len(rows)))),
            (len(self.sentences), len(rows)),
        )
        having = np.asarray((together @ self.counts[view][rows] > 0).sum(axis=0)).ravel()
        kept = np.flatnonzero(having >= at_least)
        weights = 1 + np.log((1 + among.sum()) / (1 + having[kept]))
        names = [self.names[view][at] for at in kept]
        return View(names, weights.astype(np.float32)), kept

    def seen(self, view: str, known: View, kept: Rows) -> csr_matrix:
        """All texts as `View.of` sees them."""
        matrix = self.counts[view][:, kept].astype(np.float32)
        matrix.data = 1 + np.log(matrix.data)
        weighed = matrix.multiply(known.weights).tocsr()
        lengths = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
        return (diags(1 / np.maximum(lengths, 1e-9)) @ weighed).astype(np.float32).tocsr()


def read(sentences: Sequence[Sentence]) -> Corpus:
    """All readings of sentences with their features."""
    readings = [(s.text, without_diacritics(s.text), *s.variants) for s in sentences]
    texts = [text for its in readings for text in its]
    common = _common(sentences)
    shares = [list(VIEWS)[start::JOBS] for start in range(JOBS)]
    counted = dict(
        one
        for share in Parallel(n_jobs=JOBS)(delayed(_counted)(v, texts, common) for v in shares)
        for one in share
    )
    return Corpus(
        sentences,
        texts,
        np.repeat(np.arange(len(readings)), [len(its) for its in readings]),
        np.concatenate([np.arange(len(its)) for its in readings]),
        common,
        {view: names for view, (names, _) in counted.items()},
        {view: counts for view, (_, counts) in counted.items()},
    )


def joined(seen: Mapping[str, csr_matrix], views: Sequence[str], rows: Rows) -> csr_matrix:
    """Some texts in several views."""
    matrix = hstack([seen[view][rows] for view in views], format="csr")
    matrix.sort_indices()
    return matrix


def _counted(
    views: Sequence[str], texts: Sequence[str], common: frozenset[str]
) -> list[tuple[str, tuple[list[str], csr_matrix]]]:
    """For each of these views all its features, and how often each text has them."""
    cut = [pieces(text, common) for text in texts]
    return [(view, _in_view(view, cut)) for view in views]


def _in_view(view: str, cut: Sequence[Pieces]) -> tuple[list[str], csr_matrix]:
    place: dict[str, int] = {}
    columns, values, ends = array("i"), array("f"), array("q", [0])
    for its in cut:
        found = Counter(VIEWS[view](its))
        columns.extend(place.setdefault(name, len(place)) for name in found)
        values.extend(found.values())
        ends.append(len(columns))
    shape = (len(cut), len(place))
    return list(place), csr_matrix((np.array(values), np.array(columns), np.array(ends)), shape)


def _common(sentences: Sequence[Sentence]) -> frozenset[str]:
    seen = Counter(word for s in sentences for word in set(fold(s.text).split()))
    likeliest = sorted(seen.items(), key=lambda pair: (-pair[1], pair[0]))
    return frozenset(word for word, _ in likeliest[:COMMON_WORDS])
