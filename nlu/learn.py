"""Training: heads on all sentences, calibrated on sentences that were held out."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from joblib import Parallel, delayed
from scipy.sparse import csr_matrix
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import LinearSVC

from nlu.calibrate import HeldOut, Labels, calibrate, figures
from nlu.corpus import JOBS, READINGS, Corpus, Rows, joined, read
from nlu.features import VIEWS, Features, Floats, Halves, Mask
from nlu.model import KIND, SEES, SIGNS, TOPICS, Head, Model, best_clause, signs
from nlu.sentences import TOPIC_KIND, Sentence
from nlu.text import fold

PARTS = 4
MANY = 5000
"""Of more sentences one part is held out: enough to calibrate by. Of fewer, all are in turn."""

SEED = 0
SEEN_AT_LEAST, SEEN_AT_LEAST_OF_MANY = 2, 3
"""How many sentences must have a feature, in any of their readings."""
SMOOTHING = 0.02
TOLERANCE = 0.1
UNLEARNED = dict.fromkeys(SEES, -1) | {"likelihoods": -20}
"""The score of a label that no row has."""

Say = Callable[[str], None]
Learned = list[tuple[int, Floats, float]]


def learn(sentences: Sequence[Sentence], say: Say) -> Model:
    """A calibrated model of sentences whose text is already normalised."""
    sentences = _without_repeats(sentences)
    say(f"reading {len(sentences)} sentences")
    corpus = read(sentences)
    labels = {head: [_labels(head, sentence) for sentence in sentences] for head in SEES}
    names = {head: sorted(frozenset().union(*labels[head])) for head in SEES}
    held_out = _hold_out(corpus, labels, names, say)
    calibration = calibrate(held_out)
    for line in figures(held_out, calibration):
        say(line)
    say("learning all sentences")
    everything = np.ones(len(sentences), bool)
    features, heads, _ = _fit(corpus, everything, labels, names, variants=True)
    return Model(features, heads, calibration)


def _hold_out(
    corpus: Corpus, labels: Mapping[str, Labels], names: Mapping[str, list[str]], say: Say
) -> HeldOut:
    """Score some parts of the sentences with what the other parts teach, variants apart."""
    parts = _parts(corpus.sentences)
    held_parts = 1 if len(parts) > MANY else PARTS
    counted = np.flatnonzero(parts < held_parts)
    size, place = len(counted), np.cumsum(parts < held_parts) - 1
    scores = {head: np.zeros((READINGS, size, len(names[head])), np.float32) for head in SEES}
    clauses = np.zeros_like(scores["facets"])
    seen_signs = np.zeros((READINGS, size, SIGNS), np.float32)
    for part in range(held_parts):
        held = parts == part
        if held.all() or not held.any():
            continue
        say(f"learning three parts of four, holding out part {part + 1}")
        features, heads, seen = _fit(corpus, ~held, labels, names, variants=False)
        for reading in range(READINGS):
            rows = corpus.rows(held, reading)
            for head, learned in heads.items():
                scores[head][reading, place[held]] = _scores(learned, seen, rows)
            for row in rows:
                sentence, text = corpus.sentence[row], corpus.texts[row]
                at = place[sentence]
                seen_signs[reading, at] = signs(text, features.cut(text), features)
                if labels["facets"][sentence]:
                    whole = scores["facets"][reading, at]
                    clauses[reading, at] = best_clause(features, heads["facets"], text, whole)
    held_labels = {head: [its[at] for at in counted] for head, its in labels.items()}
    return HeldOut(held_labels, names, scores, clauses, seen_signs)


def _fit(
    corpus: Corpus,
    among: Mask,
    labels: Mapping[str, Labels],
    names: Mapping[str, list[str]],
    *,
    variants: bool,
) -> tuple[Features, dict[str, Head], dict[str, csr_matrix]]:
    """Features and heads of these sentences in all their readings, and all texts as they are
    seen with such features."""
    at_least = SEEN_AT_LEAST_OF_MANY if len(corpus.sentences) > MANY else SEEN_AT_LEAST
    labelled = {head: among & np.array([bool(label) for label in labels[head]]) for head in SEES}
    views, seen = {}, {}
    for view in VIEWS:
        members = np.any([labelled[head] for head in SEES if view in SEES[head]], axis=0)
        views[view], kept = corpus.known(view, members, at_least)
        seen[view] = corpus.seen(view, views[view], kept)

    def taught(head: str) -> tuple[csr_matrix, Labels]:
        counted = labelled[head][corpus.sentence]
        # Topics learn nothing from variants: their words are many and stay as they are meant.
        if head in TOPICS or not variants:
            counted &= corpus.reading < READINGS
        rows = np.flatnonzero(counted)
        return joined(seen, SEES[head], rows), [labels[head][at] for at in corpus.sentence[rows]]

    # Processes and not threads: liblinear has one source of chance a process, and a model must
    # not depend on which head was there first.
    weights = Parallel(n_jobs=JOBS)(
        delayed(_learned)(head, *taught(head), names[head]) for head in SEES
    )
    sizes = {view: len(its.names) for view, its in views.items()}
    heads = {
        head: Head(names[head], _by_view(its, SEES[head], sizes), bias)
        for head, (its, bias) in zip(SEES, weights, strict=True)
    }
    return Features(corpus.common, views), heads, seen


def _by_view(weights: Halves, views: Sequence[str], sizes: Mapping[str, int]) -> dict[str, Halves]:
    ends = np.cumsum([sizes[view] for view in views])
    return dict(zip(views, np.split(weights, ends[:-1]), strict=True))


def _scores(head: Head, seen: Mapping[str, csr_matrix], rows: Rows) -> Floats:
    """Scores of many texts."""
    scores = np.tile(head.bias, (len(rows), 1))
    for view, weights in head.weights.items():
        scores += seen[view][rows] @ weights.astype(np.float32)
    return scores


def _learned(
    head: str, matrix: csr_matrix, labels: Labels, names: Sequence[str]
) -> tuple[Halves, Floats]:
    """Weights and bias of a head that tells the labels of these rows apart."""
    weights = np.zeros((matrix.shape[1], len(names)), np.float16)
    bias = np.full(len(names), UNLEARNED[head], np.float32)
    learn_head = _any_of if any(len(label) > 1 for label in labels) else _one_of
    for place, line, shift in learn_head(head, matrix, labels, names):
        weights[:, place], bias[place] = line, shift
    return weights, bias


def _one_of(head: str, matrix: csr_matrix, labels: Labels, names: Sequence[str]) -> Learned:
    """Each row has one label; the rarer a label, the more its rows count."""
    place = {name: at for at, name in enumerate(names)}
    truth = np.array([place[next(iter(label))] for label in labels])
    if len(set(truth.tolist())) < 2 or not matrix.shape[1]:
        return []
    if head == "likelihoods":
        return _likelihoods(matrix, truth)
    machine = LinearSVC(C=0.5, tol=TOLERANCE, class_weight="balanced", random_state=SEED)
    machine.fit(matrix, truth)
    weights, bias = _one_a_label(machine.coef_, machine.intercept_)
    return list(zip(machine.classes_.tolist(), weights, bias.tolist(), strict=True))


def _likelihoods(matrix: csr_matrix, truth: Rows) -> Learned:
    """How usual each feature is for each label, measured from what is usual for all."""
    usual = MultinomialNB(alpha=SMOOTHING).fit(matrix, truth)
    weights = usual.feature_log_prob_ - usual.feature_log_prob_.mean(axis=0)
    bias = usual.class_log_prior_ - usual.class_log_prior_.mean()
    return list(zip(usual.classes_.tolist(), weights, bias.tolist(), strict=True))


def _any_of(head: str, matrix: csr_matrix, labels: Labels, names: Sequence[str]) -> Learned:
    """A row can have several labels: each is learned against all rows that lack it."""
    learned: Learned = []
    for place, name in enumerate(names):
        truth = np.array([name in label for label in labels])
        if 0 < truth.sum() < len(truth):
            machine = LinearSVC(C=1, tol=TOLERANCE, random_state=SEED).fit(matrix, truth)
            learned.append((place, machine.coef_[0], float(machine.intercept_[0])))
    return learned


def _one_a_label(weights: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """scikit-learn keeps one line for two labels; here every label has its own."""
    if len(weights) > 1:
        return weights, bias
    return np.vstack([-weights, weights]), np.concatenate([-bias, bias])


def _labels(head: str, sentence: Sentence) -> frozenset[str]:
    """What a sentence teaches a head; nothing where the head is not about such sentences."""
    if head in ("intents", "likelihoods"):
        kind = KIND + sentence.kind if sentence.kind else ""
        return frozenset([sentence.intent + kind])
    if head == "facets":
        return frozenset(sentence.facets)
    about = TOPIC_KIND.get(sentence.intent) == TOPICS[head]
    return frozenset([sentence.topic] if sentence.topic and about else [])


def _without_repeats(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Each sentence once, however it was accented, so that none is held out from itself."""
    return list({(fold(s.text), s.intent, s.topic, s.kind): s for s in sentences}.values())


def _parts(sentences: Sequence[Sentence]) -> Rows:
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
