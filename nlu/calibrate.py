"""Calibration: scores of sentences that were held out become probabilities and thresholds."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from nlu.corpus import READINGS, Rows
from nlu.features import Floats, Mask
from nlu.model import KIND, TOPICS, Calibration, asked_of, evidence, facet_shares, softmax

RARE_COUNT_MORE = 0.5
"""The judge weighs a sentence by its intent's size to minus this power: in life fewer messages
ask about conduct, and more greet or complain, than among sentences written topic by topic."""

JUDGE_HELD = 0.01
"""How dear it is for the judge to leave the plain scores."""

Labels = list[frozenset[str]]


@dataclass(frozen=True)
class HeldOut:
    """Scores of the held-out sentences, as written and stripped, by heads that had not learned
    them."""

    labels: dict[str, Labels]
    names: dict[str, list[str]]
    scores: dict[str, Floats]
    """For each head: reading, sentence, label."""
    clauses: Floats
    """The best facet scores of the last clauses: reading, sentence, facet."""
    signs: Floats
    """What the judge sees beside scores: reading, sentence, sign."""

    def rows(self, head: str) -> Rows:
        """The sentences that bear a label of this head."""
        return np.array([at for at, labels in enumerate(self.labels[head]) if labels], np.int64)

    def truth(self, head: str) -> Rows:
        """For each such sentence the place of its one label."""
        place = {name: at for at, name in enumerate(self.names[head])}
        return np.array([place[next(iter(self.labels[head][at]))] for at in self.rows(head)])

    def chosen(self, head: str) -> Floats:
        """Scores of these sentences, both readings one below the other."""
        rows = self.rows(head)
        return self.scores[head][:, rows].reshape(READINGS * len(rows), len(self.names[head]))

    def facets(self) -> Floats:
        """Facet scores of the asking sentences: whole or best clause, both readings one below
        the other, facet."""
        rows = self.rows("facets")
        shape = (READINGS * len(rows), len(self.names["facets"]))
        its = (self.scores["facets"], self.clauses)
        return np.stack([scores[:, rows].reshape(shape) for scores in its])

    @cached_property
    def evidence(self) -> Floats:
        """What the judge sees of every sentence, both readings one below the other."""
        return np.stack(
            [
                evidence(
                    {head: its[reading, at] for head, its in self.scores.items()},
                    self.signs[reading, at],
                )
                for reading in range(READINGS)
                for at in range(self.signs.shape[1])
            ]
        )


def figures(held_out: HeldOut, calibration: Calibration) -> list[str]:
    """How often the held-out sentences were understood, as written and without diacritics."""
    judged = held_out.evidence @ calibration.judge_weights + calibration.judge_bias
    lines = [_accuracy("intents", judged, held_out.truth("intents"))]
    for head in TOPICS:
        if len(held_out.names[head]) > 1:
            lines.append(_accuracy(head, held_out.chosen(head), held_out.truth(head)))
    if held_out.names["facets"]:
        asked = _facets_asked(held_out)
        shares = facet_shares(calibration, held_out.facets())
        told = asked_of(held_out.names["facets"], shares, calibration.facet_threshold)
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


def calibrate(held_out: HeldOut) -> Calibration:
    """All factors and thresholds, from sentences that the scores had not seen."""
    judge_weights, judge_bias = _judge(held_out)
    calibration = Calibration(
        judge_weights,
        judge_bias,
        {head: _sharpness(held_out, head) for head in TOPICS},
        *_facet_lines(held_out),
        facet_threshold=0.5,
    )
    return replace(calibration, facet_threshold=_facet_threshold(held_out, calibration))


def _judge(held_out: HeldOut) -> tuple[Floats, Floats]:
    """Weights that turn the evidence of all heads into the shares of the intents and their kinds.

    Softmax regression that is held close to the plain scores: what it adds must pay for itself.
    """
    truth, size = np.tile(held_out.truth("intents"), READINGS), len(held_out.names["intents"])
    intents = [name.partition(KIND)[0] for name in held_out.names["intents"]]
    intent = np.array([intents.index(name) for name in intents])[truth]
    weight = np.bincount(intent)[intent] ** -RARE_COUNT_MORE
    weight /= weight.sum()
    seen = held_out.evidence.astype(float)
    spread = seen.std(axis=0) + 1e-6
    spread[:size] = spread[:size].mean()
    seen /= spread
    shape = (seen.shape[1], size)

    def surprise(parameters: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        factor, bias, added = parameters[0], parameters[1 : 1 + size], parameters[1 + size :]
        grown = seen @ added.reshape(shape) + bias + factor * seen[:, :size]
        shares = softmax(grown)
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
    """For each facet the slopes and the shift of its probability (logistic regression)."""
    asked, scores = _facets_asked(held_out), held_out.facets()
    size = asked.shape[1]
    slopes, shifts = np.full((2, size), 0.5, np.float32), np.zeros(size, np.float32)
    for at in range(size):
        if 0 < asked[:, at].sum() < len(asked):
            line = LogisticRegression(C=1000).fit(scores[:, :, at].T, asked[:, at])
            slopes[:, at], shifts[at] = line.coef_[0], line.intercept_[0]
    return slopes, shifts


def _facet_threshold(held_out: HeldOut, calibration: Calibration) -> float:
    """The probability from which on a facet counts as asked, where most is exactly understood."""
    asked, shares = _facets_asked(held_out), facet_shares(calibration, held_out.facets())
    names = held_out.names["facets"]

    def exact(threshold: float) -> float:
        return float((asked_of(names, shares, threshold) == asked).all(axis=1).mean())

    return round(float(max(np.arange(0.2, 0.81, 0.02), key=exact)), 2) if asked.size else 0.5


def _facets_asked(held_out: HeldOut) -> Mask:
    names = held_out.names["facets"]
    labels = [held_out.labels["facets"][at] for at in held_out.rows("facets")]
    asked = np.array([[name in label for name in names] for label in labels], bool)
    return np.tile(asked.reshape(len(labels), len(names)), (READINGS, 1))
