"""What is heard first, without nlu: danger, a denunciation, cancel, go back, a person please.

The phrases are data (`data/vocabulary/heard_first.yml`); each list adds up to a score, so that no
single word decides. Triage tells what a text looks like; it is never a legal ruling.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from pydantic import Field

from actions.action import Asked, Understanding
from actions.cases import CaseKind
from actions.knowledge.dated import Line, Strict
from nlu.text import clean, fold, has_diacritics, normalize


class Heard(StrEnum):
    """What a text may be before anything else is asked of it."""

    EMERGENCY = "emergency"
    DENUNCIATION = "denunciation"
    CANCEL = "cancel"
    GO_BACK = "go_back"
    PERSON = "person"
    QUESTION = "question"
    START_OVER = "start_over"
    AGREE = "agree"
    REFUSE = "refuse"
    SKIP = "skip"
    OFFICIAL = "official"


class Phrases(Strict):
    """One list of weighted phrases; at `threshold` the text counts as heard."""

    threshold: int = Field(gt=0)
    whole: tuple[Line, ...] = ()
    weights: Mapping[int, tuple[Line, ...]] = {}


@dataclass(frozen=True)
class _Weighed:
    accented: str
    folded: str
    weight: int


class Ears:
    """Scores a text against the phrases of `heard_first.yml`."""

    def __init__(self, lists: Mapping[Heard, Phrases]) -> None:
        self._threshold = {heard: phrases.threshold for heard, phrases in lists.items()}
        self._weighed = {heard: _weigh(phrases) for heard, phrases in lists.items()}
        self._whole = {
            heard: {fold(phrase) for phrase in phrases.whole} for heard, phrases in lists.items()
        }

    def score(self, heard: Heard, text: str) -> int:
        """The sum of the weights of the phrases that stand in the text."""
        folded, accented = _forms(text)
        if folded in self._whole[heard]:
            return self._threshold[heard]
        padded = f" {accented or folded} "
        return sum(
            phrase.weight
            for phrase in self._weighed[heard]
            if (phrase.accented if accented else phrase.folded) in padded
        )

    def hears(self, heard: Heard, text: str) -> bool:
        """Whether the text counts as that, by its words alone."""
        return self.score(heard, text) >= self._threshold[heard]

    def hears_twice(self, heard: Heard, text: str) -> bool:
        """Whether the words speak nearly twice as clearly as they must."""
        return self.score(heard, text) >= 2 * self._threshold[heard] - 1


@lru_cache(maxsize=8)
def _forms(text: str) -> tuple[str, str]:
    """A text folded, and with its accents where it has any; each list asks for the same."""
    visible = clean(text)
    return fold(visible), fold_keeping_accents(visible) if has_diacritics(visible) else ""


def fold_keeping_accents(text: str) -> str:
    """A text as words only, in lower case, with its accents."""
    letters = (letter if letter.isalnum() else " " for letter in normalize(text))
    return " ".join("".join(letters).split())


def _weigh(phrases: Phrases) -> tuple[_Weighed, ...]:
    return tuple(
        _Weighed(f" {fold_keeping_accents(phrase)} ", f" {fold(phrase)} ", weight)
        for weight, listed in phrases.weights.items()
        for phrase in listed
    )


_SURE = 0.5
_MAYBE = 0.2
_ACCUSED = 0.15
"""The chance of a denunciation from which on its words are not kept (docs/understanding.md)."""
_SHORT = 8


def first_heard(asked: Asked, ears: Ears) -> Heard | None:
    """What must be heard before a form or an intent; nlu, where it is up, is weighed in."""
    text, meant = asked.text, asked.understanding
    if _heard_against(Heard.EMERGENCY, text, meant, ears):
        return Heard.EMERGENCY
    if meant.intents.get("emergency", 0.0) >= _SURE:
        return Heard.EMERGENCY
    if _accuses(meant, ears):
        return Heard.DENUNCIATION
    return _short_command(meant, ears)


def _accuses(meant: Understanding, ears: Ears) -> bool:
    """Whether a person is accused: by what nlu makes of the case, and by the words themselves."""
    brings = meant.intents.get("bring_case", 0.0)
    if brings * meant.kinds.get(CaseKind.DENUNCIATION, 0.0) >= _ACCUSED:
        return True
    if brings < _SURE:
        return _heard_against(Heard.DENUNCIATION, meant.text, meant, ears)
    if meant.kind is CaseKind.DENUNCIATION:
        return True
    maybe = meant.kinds.get(CaseKind.DENUNCIATION, 0.0) >= _MAYBE
    return maybe and ears.hears(Heard.DENUNCIATION, meant.text)


def _heard_against(heard: Heard, text: str, meant: Understanding, ears: Ears) -> bool:
    """Whether a text is heard so, also where nlu takes it for a question or a stranger.

    Words that reach the threshold count unless nlu is sure of the contrary; twice as many always.
    """
    return ears.hears(heard, text) and (not _only_asks(meant) or ears.hears_twice(heard, text))


def _only_asks(meant: Understanding) -> bool:
    """Whether nlu is sure that the text asks a question or is none of our business."""
    asking = (
        "ask_procedure",
        "ask_conduct",
        "ask_about_complaint_procedure",
        "ask_office",
        "out_of_scope",
        "dossier_status",
        "unlawful_help",
        "civil_dispute",
    )
    return sum(meant.intents.get(intent, 0.0) for intent in asking) >= 0.7


_INTENTS = {Heard.CANCEL: "cancel", Heard.GO_BACK: "go_back", Heard.PERSON: "hand_over"}


def _short_command(meant: Understanding, ears: Ears) -> Heard | None:
    if ears.hears(Heard.START_OVER, meant.text):
        return Heard.START_OVER
    short = len(meant.normalized.split()) <= _SHORT
    for heard, intent in _INTENTS.items():
        if ears.hears(heard, meant.text):
            return heard
        if short and meant.intents.get(intent, 0.0) >= 0.8:
            return heard
    return None
