"""What was learned, and how a message is read with it. NumPy only: serving needs no more."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nlu.features import LONGEST, Features, Floats, Ints

HEADS = ("intents", "procedures", "situations", "facets", "kinds")
ASKS = {
    "procedures": ("ask_procedure", "ask_about_complaint_procedure"),
    "situations": ("ask_conduct",),
}
SMALLEST_FACET = 0.05
BEST_TOPICS = 8
BEST_INTENTS = 10
MANY_WORDS = 50


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

    features: Features
    heads: dict[str, Head]
    calibration: Calibration

    def parse(self, normalized: str) -> dict[str, object]:
        """The meaning of a message: what nlu adds to Rasa's answer."""
        columns, values = self.features.of(normalized)
        scores = {name: head.scores(columns, values) for name, head in self.heads.items()}
        intents = self._intents(scores, length=word_count(normalized))
        ranking = [
            {"name": name, "confidence": confidence}
            for name, confidence in _best(intents, BEST_INTENTS)
        ]
        facets = self._facets(scores["facets"])
        return {
            "intent": ranking[0],
            "intent_ranking": ranking,
            "facets": {name: share for name, share in facets if share >= SMALLEST_FACET},
            "facet_threshold": self._facet_threshold(facets),
            "kinds": self._given("kinds", scores["kinds"]),
            "topics": self._topics(scores, intents),
        }

    def _intents(self, scores: dict[str, Floats], length: int) -> dict[str, float]:
        seen = evidence(scores["intents"], scores["procedures"], scores["situations"], length)
        weighed = seen @ self.calibration.judge_weights + self.calibration.judge_bias
        return _by_label(self.heads["intents"], softmax(weighed))

    def _facets(self, scores: Floats) -> list[tuple[str, float]]:
        """The facets with their probabilities, likeliest first."""
        weighed = self.calibration.facet_slope * scores + self.calibration.facet_shift
        shares = _by_label(self.heads["facets"], 1 / (1 + np.exp(-weighed)))
        return _best(shares, len(shares))

    def _facet_threshold(self, facets: list[tuple[str, float]]) -> float:
        """From here on a facet of this message counts as asked; the likeliest always does."""
        likeliest = facets[0][1] if facets else 1.0
        return min(self.calibration.facet_threshold, likeliest)

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


def word_count(normalized: str) -> int:
    """The words of a message, as far as the judge of the intent counts them."""
    return min(len(normalized[:LONGEST].split()), MANY_WORDS)


def evidence(intents: Floats, procedures: Floats, situations: Floats, length: int) -> Floats:
    """What the judge of the intent looks at: all scores for intents, how well a known topic
    fits, and how many words there are."""
    words = [np.log1p(length), length < 4, length < 8]
    parts = [intents, _fit(procedures), _fit(situations), np.array(words, np.float32)]
    return np.concatenate(parts).astype(np.float32)


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
        "features": model.features.weights,
        "judge_weights": calibration.judge_weights,
        "judge_bias": calibration.judge_bias,
        "facet_slope": calibration.facet_slope,
        "facet_shift": calibration.facet_shift,
    }
    for name, head in model.heads.items():
        arrays |= {f"{name}_weights": head.weights, f"{name}_bias": head.bias}
    np.savez(folder / "weights.npz", **arrays)
    names = {
        "features": list(model.features.names),
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
        return Model(Features(names["features"], arrays["features"]), heads, calibration)


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
