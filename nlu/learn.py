"""Training: heads on all sentences, calibrated on sentences that were held out in turn."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC

from nlu.calibrate import READINGS, HeldOut, Labels, calibrate, figures
from nlu.features import Features, Floats, known_features
from nlu.model import HEADS, SEES, SIGNS, Head, Model, signs
from nlu.sentences import TOPIC_KIND, Sentence
from nlu.text import fold, without_diacritics

PARTS = 4
HELD_OUT = 2
MANY = 5000
"""Of many sentences this many parts are held out in turn: enough to calibrate by, in half the
time. Of few, all are."""

TOPICS = ("procedures", "situations")
"""Heads that learn nothing from variants: their words are many and stay whole letters' worth."""

SEED = 0
SEEN_AT_LEAST = {"few": 2, "many": 3}
"""How many sentences must have a feature, in any of their readings."""

Say = Callable[[str], None]


def learn(sentences: Sequence[Sentence], say: Say) -> Model:
    """A calibrated model of sentences whose text is already normalised."""
    sentences = _without_repeats(sentences)
    labels = {head: [_labels(head, sentence) for sentence in sentences] for head in HEADS}
    names = {head: sorted(frozenset().union(*labels[head])) for head in HEADS}
    held_out = _hold_out(sentences, labels, names, say)
    calibration = calibrate(held_out)
    for line in figures(held_out, calibration):
        say(line)
    say(f"learning all {len(sentences)} sentences")
    features, heads = _fit(sentences, labels, names)
    return Model(features, heads, calibration)


def _hold_out(
    sentences: Sequence[Sentence], labels: dict[str, Labels], names: dict[str, list[str]], say: Say
) -> HeldOut:
    """Score some parts of the sentences with what the other parts teach, variants apart."""
    scores = {
        head: np.zeros((READINGS, len(sentences), len(names[head])), np.float32) for head in HEADS
    }
    seen = np.zeros((READINGS, len(sentences), SIGNS), np.float32)
    parts = _parts(sentences)
    held_parts = HELD_OUT if len(sentences) > MANY else PARTS
    for part in range(held_parts):
        rest, held = np.flatnonzero(parts != part), np.flatnonzero(parts == part)
        if not (rest.size and held.size):
            continue
        say(f"learning three parts of four, holding out part {part + 1}")
        features, heads = _fit(
            [replace(sentences[at], variants=()) for at in rest],
            {head: [labels[head][at] for at in rest] for head in HEADS},
            names,
        )
        for reading in range(READINGS):
            texts = [_readings(sentences[at])[reading] for at in held]
            seen[reading, held] = [signs(text, features["about"]) for text in texts]
            for head, learned in heads.items():
                rows = [at for at, sentence in enumerate(held) if _counts(head, labels, sentence)]
                matrix = _matrix(features[SEES[head]], [texts[at] for at in rows])
                scores[head][reading, held[rows]] = (
                    matrix @ learned.weights.astype(np.float32) + learned.bias
                )
    held = np.flatnonzero(parts < held_parts)
    return HeldOut(
        [sentences[at] for at in held],
        {head: [labels[head][at] for at in held] for head in HEADS},
        names,
        {head: its[:, held] for head, its in scores.items()},
        seen[:, held],
    )


def _counts(head: str, labels: dict[str, Labels], at: int) -> bool:
    """Whether a sentence's scores of a head are looked at: the judge sees the topics of all."""
    return head != "facets" or bool(labels[head][at])


def _fit(
    sentences: Sequence[Sentence], labels: dict[str, Labels], names: dict[str, list[str]]
) -> tuple[dict[str, Features], dict[str, Head]]:
    """Features and heads of these sentences, each in all its readings."""
    asking = [at for at, asked in enumerate(labels["facets"]) if asked]
    members = {"about": range(len(sentences)), "asked": asking}
    at_least = SEEN_AT_LEAST["many" if len(sentences) > MANY else "few"]
    features: dict[str, Features] = {}
    rows: dict[str, list[tuple[int, int]]] = {}
    seen: dict[str, csr_matrix] = {}
    for views, those in members.items():
        readings = {at: _readings(sentences[at]) for at in those}
        features[views] = known_features(views, readings.values(), at_least=at_least)
        rows[views] = [(at, n) for at, texts in readings.items() for n in range(len(texts))]
        seen[views] = _matrix(features[views], [readings[at][n] for at, n in rows[views]])

    def fitted(head: str) -> Head:
        views = SEES[head]
        counted = [n < READINGS or head not in TOPICS for _, n in rows[views]]
        its = [
            labels[head][at] if c else frozenset()
            for (at, _), c in zip(rows[views], counted, strict=True)
        ]
        return _head(seen[views], its, names[head])

    with ThreadPoolExecutor(max_workers=2) as threads:
        return features, dict(zip(HEADS, threads.map(fitted, HEADS), strict=True))


def _head(matrix: csr_matrix, labels: Labels, names: list[str]) -> Head:
    """A head that tells the labels of these rows apart; rows without a label do not count."""
    rows = np.flatnonzero([bool(label) for label in labels])
    matrix, labels = matrix[rows], [labels[at] for at in rows]
    weights = np.zeros((matrix.shape[1], len(names)), np.float16)
    bias = np.full(len(names), -1, np.float32)
    several = any(len(label) > 1 for label in labels)
    for place, learned, shift in (_any_of if several else _one_of)(matrix, labels, names):
        weights[:, place], bias[place] = learned, shift
    return Head(names, weights, bias)


Learned = list[tuple[int, Floats, float]]


def _one_of(matrix: csr_matrix, labels: Labels, names: list[str]) -> Learned:
    """Each row has one label; the rarer a label, the more its rows count."""
    place = {name: at for at, name in enumerate(names)}
    truth = np.array([place[next(iter(label))] for label in labels])
    if len(set(truth.tolist())) < 2 or not matrix.shape[1]:
        return []
    machine = LinearSVC(C=0.5, tol=1e-2, class_weight="balanced", random_state=SEED)
    machine.fit(matrix, truth)
    weights, bias = _one_a_label(machine.coef_, machine.intercept_)
    return list(zip(machine.classes_.tolist(), weights, bias.tolist(), strict=True))


def _any_of(matrix: csr_matrix, labels: Labels, names: list[str]) -> Learned:
    """A row can have several labels: each is learned against all rows that lack it."""
    learned: Learned = []
    for place, name in enumerate(names):
        truth = np.array([name in label for label in labels])
        if 0 < truth.sum() < len(truth):
            machine = LinearSVC(C=1, tol=1e-2, random_state=SEED).fit(matrix, truth)
            learned.append((place, machine.coef_[0], float(machine.intercept_[0])))
    return learned


def _one_a_label(weights: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """scikit-learn keeps one line for two labels; here every label has its own."""
    if len(weights) > 1:
        return weights, bias
    return np.vstack([-weights, weights]), np.concatenate([-bias, bias])


def _matrix(features: Features, texts: Sequence[str]) -> csr_matrix:
    seen = [features.of(text) for text in texts]
    starts = np.cumsum([0] + [len(columns) for columns, _ in seen])
    columns = np.concatenate([columns for columns, _ in seen] or [np.zeros(0, np.int32)])
    values = np.concatenate([values for _, values in seen] or [np.zeros(0, np.float32)])
    return csr_matrix((values, columns, starts), (len(texts), len(features.names)))


def _readings(sentence: Sentence) -> tuple[str, ...]:
    """A sentence as written, without diacritics, and as hurried people type it."""
    return sentence.text, without_diacritics(sentence.text), *sentence.variants


def _labels(head: str, sentence: Sentence) -> frozenset[str]:
    """What a sentence teaches a head; nothing where the head is not about such sentences."""
    if head == "intents":
        return frozenset([sentence.intent])
    if head == "facets":
        return frozenset(sentence.facets)
    if head == "kinds":
        return frozenset([sentence.kind] if sentence.kind else [])
    about = TOPIC_KIND.get(sentence.intent, "") + "s"
    return frozenset([sentence.topic] if sentence.topic and about == head else [])


def _without_repeats(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Each sentence once, however it was accented, so that none is held out from itself."""
    return list({(fold(s.text), s.intent, s.topic, s.kind): s for s in sentences}.values())


def _parts(sentences: Sequence[Sentence]) -> npt.NDArray[np.int64]:
    """Which part each sentence is held out with; equal shares of every topic and intent."""
    groups: defaultdict[tuple[str, str | None, str | None], list[int]] = defaultdict(list)
    for at, sentence in enumerate(sentences):
        groups[sentence.intent, sentence.topic, sentence.kind].append(at)
    parts = np.zeros(len(sentences), np.int64)
    random = np.random.default_rng(SEED)
    for members in groups.values():
        start = int(random.integers(PARTS))
        for turn, at in enumerate(random.permutation(members)):
            parts[at] = (start + turn) % PARTS
    return parts
