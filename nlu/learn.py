"""Training: heads on all sentences, calibration on sentences that were held out in turn."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, vstack
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from nlu.features import Features, Floats, known_features
from nlu.model import HEADS, Calibration, Head, Model, evidence, word_count
from nlu.sentences import TOPIC_KIND, Sentence
from nlu.text import fold, without_diacritics

FOLDS = 4
SEED = 0
READINGS = 2
RARE_COUNT_MORE = 0.5
"""The judge weighs a sentence by its intent's size to minus this power: in life fewer messages
ask about conduct, and more greet or complain, than among sentences written topic by topic."""

JOINED_WORDS = 12
JOINERS = (" và ", ", ", " với ", " ")
"""How long the halves of a made two-part message may be, and what stands between them."""

JUDGE_HELD = 0.01
"""How dear it is for the judge to leave the plain scores."""

Labels = list[frozenset[str]]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Say = Callable[[str], None]


@dataclass(frozen=True)
class HeldOut:
    """Scores of every sentence, as written and stripped, by heads that had not learned it."""

    sentences: Sequence[Sentence]
    labels: dict[str, Labels]
    names: dict[str, list[str]]
    scores: dict[str, Floats]
    """For each head: reading, sentence, label."""

    def rows(self, head: str) -> Rows:
        """The sentences that bear a label of this head."""
        return np.array([at for at, labels in enumerate(self.labels[head]) if labels], np.int64)

    def truth(self, head: str) -> Rows:
        """For each such sentence the place of its one label."""
        place = {name: at for at, name in enumerate(self.names[head])}
        return np.array([place[next(iter(self.labels[head][at]))] for at in self.rows(head)])

    def chosen(self, head: str) -> Floats:
        """Scores of these sentences, both readings one below the other."""
        return self.scores[head][:, self.rows(head)].reshape(-1, len(self.names[head]))

    def evidence(self) -> Floats:
        """What the judge sees of every sentence, both readings one below the other."""
        heads = [self.scores[name] for name in ("intents", "procedures", "situations")]
        lengths = [word_count(sentence.text) for sentence in self.sentences]
        return np.stack(
            [
                evidence(*(head[reading, at] for head in heads), length=length)
                for reading in range(READINGS)
                for at, length in enumerate(lengths)
            ]
        )


def learn(sentences: Sequence[Sentence], say: Say) -> Model:
    """A calibrated model of sentences whose text is already normalised."""
    held_out = hold_out(sentences, say)
    calibration = _calibrate(held_out)
    for line in figures(held_out, calibration):
        say(line)
    say(f"learning all {len(held_out.sentences)} sentences")
    features, heads = _fit(held_out.sentences, held_out.labels, held_out.names)
    return Model(features, heads, calibration)


def hold_out(sentences: Sequence[Sentence], say: Say) -> HeldOut:
    """Score each part of the sentences with what the other parts teach."""
    sentences = _without_repeats(sentences)
    labels = {head: [_labels(head, sentence) for sentence in sentences] for head in HEADS}
    names = {head: sorted(frozenset().union(*labels[head])) for head in HEADS}
    scores = {
        head: np.zeros((READINGS, len(sentences), len(names[head])), np.float32) for head in HEADS
    }
    parts = _parts(sentences)
    for part in range(FOLDS):
        say(f"learning three parts of four, holding out the {part + 1}th")
        rest, held = np.flatnonzero(parts != part), np.flatnonzero(parts == part)
        features, heads = _fit(
            [sentences[at] for at in rest],
            {head: [labels[head][at] for at in rest] for head in HEADS},
            names,
        )
        for reading in range(READINGS):
            matrix = _matrix(features, [_readings(sentences[at].text)[reading] for at in held])
            for head, learned in heads.items():
                scores[head][reading, held] = (
                    matrix @ learned.weights.astype(np.float32) + learned.bias
                )
    return HeldOut(sentences, labels, names, scores)


def figures(held_out: HeldOut, calibration: Calibration) -> list[str]:
    """How often the held-out sentences were understood, as written and without diacritics."""
    judged = held_out.evidence() @ calibration.judge_weights + calibration.judge_bias
    lines = [_accuracy("intents", judged, held_out.truth("intents"))]
    for head in ("procedures", "situations", "kinds"):
        if len(held_out.names[head]) > 1:
            lines.append(_accuracy(head, held_out.chosen(head), held_out.truth(head)))
    if held_out.names["facets"]:
        asked = _facets_asked(held_out)
        shares = _facet_shares(held_out, calibration.facet_slope, calibration.facet_shift)
        told = _counted(shares, calibration.facet_threshold)
        covered = ~(asked & ~told).any(axis=1) & ((told & ~asked).sum(axis=1) <= 1)
        for what, right in (
            ("exactly those asked", (told == asked).all(axis=1)),
            ("all asked and one more at most", covered),
        ):
            share = right.reshape(READINGS, -1).mean(axis=1)
            lines.append(f"  facets: {what} {share[0]:.1%}, stripped {share[1]:.1%}")
    return lines


def _accuracy(name: str, scores: Floats, truth: Rows) -> str:
    right = (scores.argmax(axis=1) == np.tile(truth, READINGS)).reshape(READINGS, -1)
    share = right.mean(axis=1)
    return f"  {name}: {share[0]:.1%} of {len(truth)} right, stripped {share[1]:.1%}"


def _calibrate(held_out: HeldOut) -> Calibration:
    judge_weights, judge_bias = _judge(held_out)
    slope, shift = _facet_lines(held_out)
    return Calibration(
        judge_weights,
        judge_bias,
        {head: _sharpness(held_out, head) for head in ("procedures", "situations", "kinds")},
        slope,
        shift,
        _facet_threshold(held_out, slope, shift),
    )


def _judge(held_out: HeldOut) -> tuple[Floats, Floats]:
    """Weights that turn the evidence of all heads into the shares of the intents.

    Softmax regression that is held close to the plain scores: what it adds must pay for itself.
    """
    truth, size = np.tile(held_out.truth("intents"), READINGS), len(held_out.names["intents"])
    weight = np.bincount(truth)[truth] ** -RARE_COUNT_MORE
    weight /= weight.sum()
    seen = held_out.evidence().astype(float)
    spread = seen.std(axis=0) + 1e-6
    spread[:size] = spread[:size].mean()
    seen /= spread
    shape = (seen.shape[1], size)

    def surprise(parameters: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        factor, bias, added = parameters[0], parameters[1 : 1 + size], parameters[1 + size :]
        grown = seen @ added.reshape(shape) + bias + factor * seen[:, :size]
        grown -= grown.max(axis=1, keepdims=True)
        shares = np.exp(grown)
        shares /= shares.sum(axis=1, keepdims=True)
        told = np.log(shares[np.arange(len(truth)), truth] + 1e-12)
        shares[np.arange(len(truth)), truth] -= 1
        slope = shares * weight[:, None]
        slopes = (seen.T @ slope).ravel() + 2 * JUDGE_HELD * added
        change = np.concatenate([[(slope * seen[:, :size]).sum()], slope.sum(axis=0), slopes])
        return float(JUDGE_HELD * added @ added - weight @ told), change

    start = np.zeros(1 + size + seen.shape[1] * size)
    start[0] = 2
    found = minimize(surprise, start, jac=True, method="L-BFGS-B", options={"maxiter": 150}).x
    weights = found[1 + size :].reshape(shape)
    weights[:size] += found[0] * np.eye(size)
    weights /= spread[:, None]
    return weights.astype(np.float32), found[1 : 1 + size].astype(np.float32)


def _sharpness(held_out: HeldOut, head: str) -> float:
    """The factor under which shares of a head's scores surprise least."""
    if len(held_out.names[head]) < 2:
        return 1.0
    scores, truth = held_out.chosen(head), np.tile(held_out.truth(head), READINGS)

    def surprise(factor: float) -> float:
        grown = scores * factor
        grown -= grown.max(axis=1, keepdims=True)
        told = grown[np.arange(len(truth)), truth] - np.log(np.exp(grown).sum(axis=1))
        return -float(told.mean())

    return float(min(np.arange(0.5, 12.1, 0.25), key=surprise))


def _facet_lines(held_out: HeldOut) -> tuple[Floats, Floats]:
    """For each facet the slope and shift of its probability (Platt)."""
    asked, scores = _facets_asked(held_out), held_out.chosen("facets")
    slopes, shifts = np.ones(asked.shape[1], np.float32), np.zeros(asked.shape[1], np.float32)
    for at in range(asked.shape[1]):
        if 0 < asked[:, at].sum() < len(asked):
            line = LogisticRegression(C=1000).fit(scores[:, [at]], asked[:, at])
            slopes[at], shifts[at] = line.coef_[0, 0], line.intercept_[0]
    return slopes, shifts


def _facet_threshold(held_out: HeldOut, slope: Floats, shift: Floats) -> float:
    """The probability from which on a facet counts as asked, where most is understood (F1).

    Sentences that ask several things count as much as the nine in ten that ask one.
    """
    asked, shares = _facets_asked(held_out), _facet_shares(held_out, slope, shift)
    several = asked.sum(axis=1) > 1

    def agreement(threshold: float) -> float:
        told = _counted(shares, threshold)
        shared = 2 * (told & asked).sum(axis=1) / (told.sum(axis=1) + asked.sum(axis=1))
        groups = [shared[group] for group in (several, ~several) if group.any()]
        return sum(float(group.mean()) for group in groups)

    return round(float(max(np.arange(0.2, 0.61, 0.02), key=agreement)), 2) if asked.size else 0.5


def _counted(shares: Floats, threshold: float) -> Mask:
    """Which facets of each row count as asked: the likeliest, and all from the threshold on."""
    likeliest: Floats = shares.max(axis=1, keepdims=True)
    return shares >= np.minimum(threshold, likeliest)


def _facets_asked(held_out: HeldOut) -> Mask:
    names = held_out.names["facets"]
    labels = [held_out.labels["facets"][at] for at in held_out.rows("facets")]
    asked = np.array([[name in label for name in names] for label in labels], bool)
    return np.tile(asked.reshape(len(labels), len(names)), (READINGS, 1))


def _facet_shares(held_out: HeldOut, slope: Floats, shift: Floats) -> Floats:
    shares: Floats = 1 / (1 + np.exp(-(held_out.chosen("facets") * slope + shift)))
    return shares


def _fit(
    sentences: Sequence[Sentence], labels: dict[str, Labels], names: dict[str, list[str]]
) -> tuple[Features, dict[str, Head]]:
    """Features and heads of these sentences, each read as written and stripped."""
    readings = [_readings(sentence.text) for sentence in sentences]
    features = known_features(readings)
    rows = [(at, text) for at, both in enumerate(readings) for text in dict.fromkeys(both)]
    matrix = _matrix(features, [text for _, text in rows])
    of_row = {head: [labels[head][at] for at, _ in rows] for head in HEADS}
    seen = dict.fromkeys(HEADS, matrix)
    joined = list(_two_in_one(sentences, labels["facets"]))
    if joined:
        seen["facets"] = vstack([matrix, _matrix(features, [text for text, _ in joined])]).tocsr()
        of_row["facets"] = of_row["facets"] + [both for _, both in joined]
    with ThreadPoolExecutor(max_workers=2) as threads:
        fitted = threads.map(lambda head: _head(seen[head], of_row[head], names[head]), HEADS)
        return features, dict(zip(HEADS, fitted, strict=True))


def _two_in_one(
    sentences: Sequence[Sentence], facets: Labels
) -> Iterator[tuple[str, frozenset[str]]]:
    """Messages that ask two things of one topic, made of two that ask one each.

    Few people's sentences ask for two facets, many people's messages do.
    """
    random = np.random.default_rng(SEED)
    groups: defaultdict[str | None, list[int]] = defaultdict(list)
    for at, sentence in enumerate(sentences):
        if len(facets[at]) == 1 and word_count(sentence.text) <= JOINED_WORDS:
            groups[sentence.topic].append(at)
    for members in groups.values():
        others = random.permutation(members)
        for turn, (one, other) in enumerate(zip(members, others, strict=True)):
            if facets[one] != facets[other]:
                text = JOINERS[turn % len(JOINERS)].join(
                    _readings(sentences[at].text)[turn % READINGS] for at in (one, other)
                )
                yield text, facets[one] | facets[other]


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
    if len(set(truth.tolist())) < 2:
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
    columns = np.concatenate([columns for columns, _ in seen])
    values = np.concatenate([values for _, values in seen])
    return csr_matrix((values, columns, starts), (len(texts), len(features.names)))


def _readings(text: str) -> tuple[str, str]:
    return text, without_diacritics(text)


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
        start = int(random.integers(FOLDS))
        for turn, at in enumerate(random.permutation(members)):
            parts[at] = (start + turn) % FOLDS
    return parts
