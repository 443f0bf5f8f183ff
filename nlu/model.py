"""What was learned, and how a message is read with it. NumPy only: serving needs no more."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nlu.features import LONGEST, Features, Floats, Halves, Mask, Pieces, Seen, View, last_clauses
from nlu.sentences import TOPIC_KIND

_WORDS = ("accented", "folded", "letters")
SEES = {
    "intents": (*_WORDS, "beginning", "ending", "skeleton"),
    "likelihoods": ("folded", "letters", "ending", "skeleton"),
    "procedures": _WORDS,
    "situations": _WORDS,
    "facets": (*_WORDS, "near", "question", "ending"),
}
"""The heads, and which views of a message each looks at. The likelihoods are of the intents too:
what is usual for each, beside what tells them apart."""
KIND = "\t"
"""Stands between an intent and the kind of case, which are learned as one label."""
TOPICS = {"procedures": "procedure", "situations": "situation"}
"""The heads that tell which topic, and what such a topic is."""
ASKS = {
    head: [intent for intent, its in TOPIC_KIND.items() if its == kind]
    for head, kind in TOPICS.items()
}
"""The intents that ask about the topics of each."""
WHOLE = "overview"
SMALLEST_FACET = 0.05
BEST_TOPICS = 8
BEST_INTENTS = 10
MANY_WORDS = 50
SIGNS = 5


@dataclass(frozen=True)
class Head:
    """Linear scores, one for each label; half precision, as there are many."""

    labels: Sequence[str]
    weights: Mapping[str, Halves]
    """For each view that the head looks at: feature, label."""
    bias: Floats

    def scores(self, seen: Mapping[str, Seen]) -> Floats:
        """How strongly a message speaks for each label; not yet a probability."""
        scores = self.bias.copy()
        for view, weights in self.weights.items():
            columns, values = seen[view]
            scores += values @ weights[columns].astype(np.float32)
        return scores


@dataclass(frozen=True)
class Calibration:
    """What turns scores into probabilities, learned on sentences that the scores had not seen.

    The judge weighs the evidence of all heads for an intent and its kind; procedures and
    situations share one sharpness a head; each facet has two slopes, for the whole message and
    for the best of its last clauses, and a shift of its own.
    """

    judge_weights: Floats
    judge_bias: Floats
    sharpness: dict[str, float]
    facet_slope: Floats
    facet_shift: Floats
    facet_threshold: float


@dataclass(frozen=True)
class Model:
    """Reads messages; nothing in it changes after training."""

    features: Features
    heads: dict[str, Head]
    calibration: Calibration

    def parse(self, normalized: str) -> dict[str, object]:
        """The meaning of a message: what nlu adds to Rasa's answer."""
        its = self.features.cut(normalized)
        seen = self.features.of(its)
        scores = {name: head.scores(seen) for name, head in self.heads.items()}
        told = self._told(scores, signs(normalized, its, self.features))
        intents = _summed(told)
        ranking = [
            {"name": name, "confidence": confidence}
            for name, confidence in _best(intents, BEST_INTENTS)
        ]
        whole = scores["facets"]
        clause = best_clause(self.features, self.heads["facets"], normalized, whole)
        facets = self._facets(whole, clause)
        return {
            "intent": ranking[0],
            "intent_ranking": ranking,
            "facets": {name: share for name, share in facets if share >= SMALLEST_FACET},
            "asked": self._asked(facets),
            "kinds": _kinds(told),
            "topics": self._topics(scores, intents),
        }

    def _told(self, scores: dict[str, Floats], beside: Floats) -> dict[str, float]:
        """The probability of each intent, cases by their kind."""
        weighed = evidence(scores, beside) @ self.calibration.judge_weights
        shares = softmax(weighed + self.calibration.judge_bias)
        return _by_label(self.heads["intents"], shares)

    def _facets(self, whole: Floats, clause: Floats) -> list[tuple[str, float]]:
        """The facets with their probabilities, likeliest first."""
        shares = facet_shares(self.calibration, np.stack([whole, clause]))
        return _best(_by_label(self.heads["facets"], shares), len(shares))

    def _asked(self, facets: list[tuple[str, float]]) -> list[str]:
        """The facets that count as asked, likeliest first."""
        names = [name for name, _ in facets]
        shares = np.array([[share for _, share in facets]])
        told = asked_of(names, shares, self.calibration.facet_threshold)[0] if names else []
        return [name for name, is_asked in zip(names, told, strict=True) if is_asked]

    def _topics(
        self, scores: dict[str, Floats], intents: dict[str, float]
    ) -> list[dict[str, object]]:
        """The likeliest topics, given that the message asks about one."""
        asks = {head: sum(intents.get(name, 0.0) for name in ASKS[head]) for head in ASKS}
        whole = sum(asks.values()) or 1.0
        kind_of, confidence = {}, {}
        for head, kind in TOPICS.items():
            for topic, share in self._given(head, scores[head]).items():
                kind_of[topic] = kind
                confidence[topic] = share * asks[head] / whole
        return [
            {"id": topic, "kind": kind_of[topic], "confidence": round(share, 4)}
            for topic, share in _best(confidence, BEST_TOPICS)
        ]

    def _given(self, head: str, scores: Floats) -> dict[str, float]:
        return _by_label(self.heads[head], softmax(scores * self.calibration.sharpness[head]))


def signs(normalized: str, its: Pieces, known: Features) -> Floats:
    """What the judge of the intent looks at beside scores: how long a message is, whether it has
    a question mark, how many of its words hardly a sentence has."""
    length = min(len(normalized[:LONGEST].split()), MANY_WORDS)
    seen = [np.log1p(length), length < 4, length < 8, "?" in normalized]
    return np.array([*seen, known.strangeness(its)], np.float32)


def evidence(scores: Mapping[str, Floats], beside: Floats) -> Floats:
    """What the judge of the intent looks at: all scores for intents, how well a known topic
    fits, and the signs."""
    fit = [_fit(scores[head]) for head in TOPICS]
    parts = [scores["intents"], scores["likelihoods"], *fit, beside]
    return np.concatenate(parts).astype(np.float32)


def best_clause(features: Features, head: Head, normalized: str, whole: Floats) -> Floats:
    """The best scores that one of a message's last clauses has, or those of the whole."""
    clauses = [
        head.scores(features.of(features.cut(clause), SEES["facets"]))
        for clause in last_clauses(normalized)
    ]
    return np.max(clauses, axis=0) if clauses else whole


def facet_shares(calibration: Calibration, scores: Floats) -> Floats:
    """Probabilities of facets from scores: whole and best clause, perhaps message, facet."""
    slope = calibration.facet_slope.reshape(2, *[1] * (scores.ndim - 2), -1)
    weighed = (scores * slope).sum(axis=0) + calibration.facet_shift
    shares: Floats = 1 / (1 + np.exp(-weighed))
    return shares


def asked_of(names: Sequence[str], shares: Floats, threshold: float) -> Mask:
    """Which facets of each row count as asked: the likeliest, and all from the threshold on.

    Who asks for one thing does not ask for the whole besides.
    """
    told: Mask = shares >= np.minimum(threshold, shares.max(axis=1, keepdims=True))
    if WHOLE in names:
        told[told.sum(axis=1) > 1, names.index(WHOLE)] = False
    return told


def softmax(scores: Floats) -> Floats:
    """Scores as shares of one, row by row."""
    if not scores.size:
        return scores
    grown = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Floats = grown / grown.sum(axis=-1, keepdims=True)
    return shares


def save(model: Model, folder: Path) -> None:
    """Write a model into a folder of Rasa's model storage."""
    calibration = model.calibration
    arrays = {
        "judge_weights": calibration.judge_weights,
        "judge_bias": calibration.judge_bias,
        "facet_slope": calibration.facet_slope,
        "facet_shift": calibration.facet_shift,
    }
    for name, view in model.features.views.items():
        arrays[f"{name}_view"] = view.weights
    for name, head in model.heads.items():
        arrays[f"{name}_bias"] = head.bias
        arrays |= {f"{name}_{view}": weights for view, weights in head.weights.items()}
    np.savez_compressed(folder / "weights.npz", **arrays)
    names = {
        "common": sorted(model.features.common),
        "views": {name: list(view.names) for name, view in model.features.views.items()},
        "labels": {name: list(head.labels) for name, head in model.heads.items()},
        "sharpness": calibration.sharpness,
        "facet_threshold": calibration.facet_threshold,
    }
    (folder / "names.json").write_text(json.dumps(names, ensure_ascii=False), "utf-8")


def load(folder: Path) -> Model:
    """The model that `save` wrote."""
    names = json.loads((folder / "names.json").read_text("utf-8"))
    with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
        heads = {
            name: Head(
                labels,
                {view: arrays[f"{name}_{view}"] for view in SEES[name]},
                arrays[f"{name}_bias"],
            )
            for name, labels in names["labels"].items()
        }
        calibration = Calibration(
            arrays["judge_weights"],
            arrays["judge_bias"],
            names["sharpness"],
            arrays["facet_slope"],
            arrays["facet_shift"],
            names["facet_threshold"],
        )
        views = {
            name: View(known, arrays[f"{name}_view"]) for name, known in names["views"].items()
        }
        return Model(Features(frozenset(names["common"]), views), heads, calibration)


def _summed(told: Mapping[str, float]) -> dict[str, float]:
    """Intents without their kinds."""
    intents: dict[str, float] = {}
    for label, share in told.items():
        intent = label.partition(KIND)[0]
        intents[intent] = round(intents.get(intent, 0.0) + share, 4)
    return intents


def _kinds(told: Mapping[str, float]) -> dict[str, float]:
    """The probability of each kind, given that the message brings a case."""
    kinds = {label.partition(KIND)[2]: share for label, share in told.items() if KIND in label}
    whole = sum(kinds.values())
    return {kind: round(share / whole, 4) for kind, share in kinds.items()} if whole else {}


def _fit(scores: Floats) -> Floats:
    """The best topic's score, the second's, the gap, and the best one's share."""
    if scores.size < 2:
        return np.zeros(4, np.float32)
    second, first = np.partition(scores, -2)[-2:]
    return np.array([first, second, first - second, softmax(4 * scores).max()], np.float32)


def _by_label(head: Head, shares: Floats) -> dict[str, float]:
    return dict(zip(head.labels, np.round(shares.astype(float), 4).tolist(), strict=True))


def _best(shares: dict[str, float], size: int) -> list[tuple[str, float]]:
    return sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))[:size]
