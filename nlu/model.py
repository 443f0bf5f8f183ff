"""What was learned, and how a message is read with it. NumPy only: serving needs no more."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nlu.features import LONGEST, Features, Floats, Ints

Mask = npt.NDArray[np.bool_]

HEADS = ("intents", "procedures", "situations", "facets", "kinds")
SEES = dict.fromkeys(HEADS, "about") | {"facets": "asked"}
"""Which views of a message each head looks at."""
ASKS = {
    "procedures": ("ask_procedure", "ask_about_complaint_procedure"),
    "situations": ("ask_conduct",),
}
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
    weights: npt.NDArray[np.float16]
    bias: Floats

    def scores(self, columns: Ints, values: Floats) -> Floats:
        """How strongly a message speaks for each label; not yet a probability."""
        scores: Floats = values @ self.weights[columns].astype(np.float32) + self.bias
        return scores


@dataclass(frozen=True)
class Calibration:
    """What turns scores into probabilities, learned on sentences that the scores had not seen.

    The judge weighs the evidence of all heads for an intent; procedures, situations and kinds
    share one sharpness a head; each facet has a slope and a shift of its own.
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

    features: dict[str, Features]
    heads: dict[str, Head]
    calibration: Calibration

    def parse(self, normalized: str) -> dict[str, object]:
        """The meaning of a message: what nlu adds to Rasa's answer."""
        seen = {views: features.of(normalized) for views, features in self.features.items()}
        scores = {name: head.scores(*seen[SEES[name]]) for name, head in self.heads.items()}
        intents = self._intents(scores, signs(normalized, self.features["about"]))
        ranking = [
            {"name": name, "confidence": confidence}
            for name, confidence in _best(intents, BEST_INTENTS)
        ]
        facets = self._facets(scores["facets"])
        return {
            "intent": ranking[0],
            "intent_ranking": ranking,
            "facets": {name: share for name, share in facets if share >= SMALLEST_FACET},
            "asked": self._asked(facets),
            "kinds": self._given("kinds", scores["kinds"]),
            "topics": self._topics(scores, intents),
        }

    def _intents(self, scores: dict[str, Floats], beside: Floats) -> dict[str, float]:
        seen = evidence(scores["intents"], scores["procedures"], scores["situations"], beside)
        weighed = seen @ self.calibration.judge_weights + self.calibration.judge_bias
        return _by_label(self.heads["intents"], softmax(weighed))

    def _facets(self, scores: Floats) -> list[tuple[str, float]]:
        """The facets with their probabilities, likeliest first."""
        weighed = self.calibration.facet_slope * scores + self.calibration.facet_shift
        shares = _by_label(self.heads["facets"], 1 / (1 + np.exp(-weighed)))
        return _best(shares, len(shares))

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
        for head, kind in (("procedures", "procedure"), ("situations", "situation")):
            for topic, share in self._given(head, scores[head]).items():
                kind_of[topic] = kind
                confidence[topic] = share * asks[head] / whole
        return [
            {"id": topic, "kind": kind_of[topic], "confidence": round(share, 4)}
            for topic, share in _best(confidence, BEST_TOPICS)
        ]

    def _given(self, head: str, scores: Floats) -> dict[str, float]:
        return _by_label(self.heads[head], softmax(scores * self.calibration.sharpness[head]))


def signs(normalized: str, known: Features) -> Floats:
    """What the judge of the intent looks at beside scores: how long a message is, whether it has
    a question mark, how many of its words no sentence has."""
    length = min(len(normalized[:LONGEST].split()), MANY_WORDS)
    seen = [np.log1p(length), length < 4, length < 8, "?" in normalized]
    return np.array([*seen, known.strangeness(normalized)], np.float32)


def evidence(intents: Floats, procedures: Floats, situations: Floats, beside: Floats) -> Floats:
    """What the judge of the intent looks at: all scores for intents, how well a known topic
    fits, and the signs."""
    return np.concatenate([intents, _fit(procedures), _fit(situations), beside]).astype(np.float32)


def asked_of(names: Sequence[str], shares: Floats, threshold: float) -> Mask:
    """Which facets of each row count as asked: the likeliest, and all from the threshold on.

    Who asks for one thing does not ask for the whole besides.
    """
    told: Mask = shares >= np.minimum(threshold, shares.max(axis=1, keepdims=True))
    if WHOLE in names:
        told[told.sum(axis=1) > 1, names.index(WHOLE)] = False
    return told


def softmax(scores: Floats) -> Floats:
    """Scores as shares of one."""
    if not scores.size:
        return scores
    grown = np.exp(scores - scores.max())
    shares: Floats = grown / grown.sum()
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
    for views, features in model.features.items():
        arrays[f"{views}_features"] = features.weights
    for name, head in model.heads.items():
        arrays |= {f"{name}_weights": head.weights, f"{name}_bias": head.bias}
    np.savez(folder / "weights.npz", **arrays)
    names = {
        "features": {views: list(known.names) for views, known in model.features.items()},
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
            name: Head(labels, arrays[f"{name}_weights"], arrays[f"{name}_bias"])
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
        features = {
            views: Features(views, known, arrays[f"{views}_features"])
            for views, known in names["features"].items()
        }
        return Model(features, heads, calibration)


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
