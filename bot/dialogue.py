"""Chooses what to do with a message: who is heard first, then an open form, then the intent."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from pydantic import RootModel, model_validator

from actions.action import (
    Asked,
    Choice,
    Command,
    Memory,
    Outcome,
    Press,
    Result,
    SilenceEnded,
    Step,
    Understanding,
    Verb,
    says,
)
from actions.advise_conduct import AdviseConduct
from actions.answer import Answer, is_short
from actions.answer_english import AnswerEnglish
from actions.cases import CaseKind
from actions.deadlines import Calendar
from actions.erase_data import erase_data
from actions.follow_case import Cases, FollowCase, looks_like_code
from actions.greet import greet
from actions.hand_over import HandOver
from actions.knowledge import BadData, Knowledge, Problem
from actions.knowledge.dated import Line, Strict
from actions.knowledge.reading import read_one
from actions.not_understood import NotUnderstood
from actions.receive import receive
from actions.redirect import Redirect
from actions.say import Say
from actions.take_case import TakeCase
from actions.triage import Ears, Heard, Phrases, first_heard
from actions.warn_emergency import warn_emergency

_ASKS_IN_FORM = 0.8
_UNSURE = 0.35
_LONGEST_NUMBER = 2
_BORDER = 0.3
"""How near the less likely of question and case must come to be asked back (the same page)."""
_BORDER_OF_A_STORY = 0.1
_ASKS_ABOUT = ("ask_conduct", "ask_about_complaint_procedure")
_FOLLOWS = 0.1
_ERASES = 0.7
_COMPLAINS = 0.7
_BRINGS = 0.5
_ASKS_BARELY = 0.25
_STRANGER = 0.25
"""The chance of a stranger's question from which on it is declined (docs/understanding.md)."""
_OFFICIAL_ASKS = 3.0
"""How much likelier a question about conduct is from somebody who is an official."""
_HEARD_IN_SILENCE = (Heard.EMERGENCY, Heard.DENUNCIATION, Heard.START_OVER)
_REDIRECTED = (CaseKind.DENUNCIATION, CaseKind.COMPLAINT)
_OUT_OF_SCOPE = "out_of_scope"
_SIDE_QUESTIONS = {
    "ask_procedure",
    "ask_conduct",
    "ask_office",
    "consent_question",
    "who_are_you",
    "help_menu",
    "ask_about_complaint_procedure",
}


class Intent(Strict):
    """One line of `data/intents.yml`: which verb answers an intent."""

    id: Line
    verb: Literal[
        "greet",
        "answer",
        "answer_english",
        "advise_conduct",
        "take_case",
        "follow_case",
        "hand_over",
        "erase_data",
        "warn_emergency",
        "say",
        "not_understood",
    ]
    reply: Line | None = None
    outcome: Result | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.verb == "say" and not (self.reply and self.outcome):
            raise ValueError("verb `say` needs `reply` and `outcome`")
        return self


class _Intents(RootModel[tuple[Intent, ...]]):
    pass


class _HeardFirst(RootModel[Mapping[Heard, Phrases]]):
    pass


def load_intents(path: Path) -> tuple[Intent, ...]:
    """The intents of `data/intents.yml`."""
    return read_one(path, _Intents).root


def load_ears(path: Path) -> Ears:
    """The phrases of `data/vocabulary/heard_first.yml`."""
    lists = read_one(path, _HeardFirst).root
    missing = [
        Problem(path.name, heard, "is missing: add the list") for heard in set(Heard) - set(lists)
    ]
    if missing:
        raise BadData(missing)
    return Ears(lists)


class Dialogue:
    """Everything that decides; it keeps nothing between messages."""

    def __init__(
        self, knowledge: Knowledge, intents: tuple[Intent, ...], ears: Ears, calendar: Calendar
    ) -> None:
        self._ears = ears
        self._form = TakeCase(calendar, ears)
        self._hand_over = HandOver(calendar)
        self._answer = Answer(knowledge)
        self._conduct = AdviseConduct(knowledge)
        self._not_understood = NotUnderstood(knowledge)
        self._redirect = {kind: Redirect(knowledge, kind) for kind in _REDIRECTED}
        self._intents = {intent.id: intent for intent in intents}

    def act(self, asked: Asked, cases: Cases) -> Outcome:
        """What is done with one message."""
        if not asked.memory.official and self._ears.hears(Heard.OFFICIAL, asked.text):
            asked = replace(asked, memory=replace(asked.memory, official=True))
        outcome = self._act(asked, cases)
        remember = outcome.remember
        if remember.awaits_code and asked.memory.awaits_code:
            remember = replace(remember, awaits_code=False)
        if remember.draft is not None and remember.draft is asked.memory.draft:
            remember = replace(remember, draft=None)
        return replace(outcome, remember=remember)

    def _act(self, asked: Asked, cases: Cases) -> Outcome:
        heard = first_heard(asked, self._ears) if asked.press is None else None
        if asked.silent and heard is None and _wants_the_menu(asked):
            heard = Heard.START_OVER
        if asked.silent and asked.press is None and heard not in _HEARD_IN_SILENCE:
            return Outcome(Result.HANDED_OVER, (), asked.memory)
        if heard is not None:
            return self._heard(heard, asked, cases)
        if asked.memory.form is not None:
            return self._in_form(asked, cases)
        if asked.press is not None:
            return self._pressed(asked, cases)
        if asked.attachments and not asked.text.strip():
            return receive(asked)
        return self._by_intent(asked, cases)

    def _heard(self, heard: Heard, asked: Asked, cases: Cases) -> Outcome:
        open_form = asked.memory.form is not None
        match heard:
            case Heard.EMERGENCY:
                return warn_emergency(asked)
            case Heard.DENUNCIATION:
                return self._redirect[CaseKind.DENUNCIATION](asked)
            case Heard.PERSON:
                return self._aside(asked, self._hand_over(asked), may_be_story=False)
            case Heard.START_OVER if asked.silent:
                again = greet(asked)
                again = replace(again, events=(*again.events, SilenceEnded()))
                return self._aside(asked, again, may_be_story=False)
            case Heard.START_OVER:
                return self._form.start_over(asked) if open_form else _forget(asked)
            case Heard.CANCEL if self._form.skips(asked):
                return self._form.go_on(asked)
            case Heard.CANCEL if open_form:
                return self._cancelled(asked, cases)
            case Heard.GO_BACK if open_form:
                return self._form.go_back(asked)
            case _:
                return Say("nothing_open", Result.ANSWERED)(asked)

    def _cancelled(self, asked: Asked, cases: Cases) -> Outcome:
        """The form is dropped; a question in the same message is answered."""
        dropped, meant = self._form.cancel(asked), asked.understanding
        if meant.intent not in _SIDE_QUESTIONS or meant.confidence < _UNSURE:
            return dropped
        answer = self._verb(meant.intent, cases)(replace(asked, memory=dropped.remember))
        return replace(
            answer, says=(*dropped.says, *answer.says), events=dropped.events + answer.events
        )

    def _in_form(self, asked: Asked, cases: Cases) -> Outcome:
        form = asked.memory.form
        assert form is not None
        if _wants_erasure(asked):
            return erase_data(asked)
        if asked.press is None and form.step is Step.WHAT and _complains(asked.understanding):
            return self._redirect[CaseKind.COMPLAINT](asked)
        if asked.press is not None and asked.press.command is Command.OPEN_FORM:
            redirected = asked.press.value in _REDIRECTED
            return self._pressed(asked, cases) if redirected else self._form.ask(asked, form)
        if asked.press is not None and asked.press.command is not Command.FORM:
            return self._aside(asked, self._pressed(asked, cases))
        if asked.press is None and _asks_aside(asked.understanding, form.step, self._ears):
            return self._aside(asked, self._verb(asked.understanding.intent or "", cases)(asked))
        return self._form.go_on(asked)

    def _aside(self, asked: Asked, outcome: Outcome, *, may_be_story: bool = True) -> Outcome:
        """What is said in the middle of a form is followed by the form's question, put again."""
        form = self._form.keep_aside(asked) if may_be_story else asked.memory.form
        if form is None or outcome.result is Result.FORM:
            return outcome
        told = tuple(replace(reply, choices=()) for reply in outcome.says)
        return replace(
            outcome,
            says=(*told, self._form.question(form, asked)),
            remember=replace(outcome.remember, form=form),
        )

    def _pressed(self, asked: Asked, cases: Cases) -> Outcome:
        assert asked.press is not None
        match asked.press.command:
            case Command.OPEN_FORM:
                redirect = self._redirect.get(CaseKind(asked.press.value or CaseKind.FEEDBACK))
                return redirect(asked) if redirect else self._form.open(asked)
            case Command.FORM:
                return Say("nothing_open", Result.ANSWERED)(asked)
            case Command.ERASE:
                return erase_data(asked)
            case Command.ASK:
                return self._verb(asked.press.intent or "", cases)(asked)

    def _by_intent(self, asked: Asked, cases: Cases) -> Outcome:
        if asked.memory.official:
            asked = replace(asked, understanding=_weighed(asked.understanding))
        meant = asked.understanding
        if _is_bare_number(asked.text):
            return Say("no_list_open", Result.ASKED_BACK)(asked)
        if _follows_up(asked):
            return self._answer(asked)
        if asked.memory.awaits_code and looks_like_code(asked.text):
            return FollowCase(cases).typed(asked)
        if meant.intent is None and "case_code" in meant.entities:
            return FollowCase(cases)(asked)
        if meant.intents.get(_OUT_OF_SCOPE, 0.0) >= _STRANGER and not _is_sure(meant):
            return self._verb(_OUT_OF_SCOPE, cases)(asked)
        if meant.intent is None or meant.confidence < _UNSURE:
            return self._not_understood(asked)
        if self._between_rule_and_case(meant, official=asked.memory.official):
            return _which_way(asked)
        return self._verb(meant.intent, cases)(asked)

    def _between_rule_and_case(self, meant: Understanding, *, official: bool) -> bool:
        """Whether a rule may be asked for or a case be brought; a citizen who asks
        nothing, brings rather."""
        asks = max(meant.intents.get(intent, 0.0) for intent in _ASKS_ABOUT)
        brings = meant.intents.get("bring_case", 0.0)
        if asks + brings < _ASKS_IN_FORM:
            return False
        questions = "?" in meant.text or self._ears.hears(Heard.QUESTION, meant.text)
        least = _BORDER if official or questions or brings > asks else _BORDER_OF_A_STORY
        return min(asks, brings) >= least * max(asks, brings)

    def _verb(self, intent: str, cases: Cases) -> Verb:
        entry = self._intents.get(intent)
        match entry.verb if entry else "not_understood":
            case "greet":
                return greet
            case "answer":
                return self._answer
            case "answer_english":
                return AnswerEnglish(self._answer)
            case "advise_conduct":
                return self._conduct
            case "take_case":
                return self._take_case
            case "follow_case":
                return FollowCase(cases)
            case "hand_over":
                return self._hand_over.office if intent == "ask_office" else self._hand_over
            case "erase_data":
                return erase_data
            case "warn_emergency":
                return warn_emergency
            case "say" if entry and entry.reply and entry.outcome:
                return Say(entry.reply, entry.outcome)
            case _:
                return self._not_understood

    def _take_case(self, asked: Asked) -> Outcome:
        redirect = self._redirect.get(asked.understanding.kind)
        return redirect(asked) if redirect else self._form.open(asked)


def _is_sure(meant: Understanding) -> bool:
    return meant.intent not in (None, _OUT_OF_SCOPE) and meant.confidence >= _ASKS_IN_FORM


def _weighed(meant: Understanding) -> Understanding:
    """The same, as an official says it: rather asking about a rule than bringing a case."""
    shares = dict(meant.intents)
    if "ask_conduct" not in shares:
        return meant
    shares["ask_conduct"] *= _OFFICIAL_ASKS
    whole = sum(shares.values())
    shares = {name: share / whole for name, share in shares.items()}
    likeliest = max(shares, key=lambda name: shares[name])
    return replace(meant, intent=likeliest, confidence=shares[likeliest], intents=shares)


def _forget(asked: Asked) -> Outcome:
    """Starts from the beginning: nothing of the conversation is remembered."""
    return replace(greet(asked), remember=Memory())


def _wants_erasure(asked: Asked) -> bool:
    """Whether erasure is asked for, or confirmed, while a form is open."""
    if asked.press is not None:
        return asked.press.command is Command.ERASE or asked.press.intent == "erase_data"
    return asked.understanding.intents.get("erase_data", 0.0) >= _ERASES


def _is_bare_number(text: str) -> bool:
    """Whether a text is the number of a choice, where none is offered."""
    typed = text.strip().rstrip(".)")
    return typed.isdecimal() and len(typed) <= _LONGEST_NUMBER


def _wants_the_menu(asked: Asked) -> bool:
    """Whether the menu is asked for, by a shortcut or in words."""
    if asked.press is not None:
        return asked.press.intent == "help_menu"
    return asked.understanding.intents.get("help_menu", 0.0) >= _ASKS_IN_FORM


def _complains(meant: Understanding) -> bool:
    """Whether a story told in a form is rather a complaint, which needs a signed petition."""
    brings = meant.intents.get("bring_case", 0.0) >= _BRINGS
    return brings and meant.kinds.get(CaseKind.COMPLAINT, 0.0) >= _COMPLAINS


def _follows_up(asked: Asked) -> bool:
    """Whether a short text asks a facet: of the procedure talked about, or of one to be named."""
    meant, memory = asked.understanding, asked.memory
    doubt = _FOLLOWS if memory.facets else _ASKS_BARELY
    likely = meant.intents.get("ask_procedure", 0.0) >= doubt
    return is_short(meant) and likely and bool(meant.facets) and meant.confidence < _ASKS_IN_FORM


def _asks_aside(meant: Understanding, step: Step, ears: Ears) -> bool:
    """Whether a text in an open form is a question of its own rather than the form's answer."""
    if meant.intent not in _SIDE_QUESTIONS or meant.confidence < _ASKS_IN_FORM:
        return False
    if meant.intent == "ask_conduct" and step is Step.WHAT:
        return False
    return "?" in meant.text or ears.hears(Heard.QUESTION, meant.text)


def _which_way(asked: Asked) -> Outcome:
    """Asks whether a rule is asked for or a case is brought, when both are about as likely."""
    meant, kind = asked.understanding, asked.understanding.kind
    asks = max(_ASKS_ABOUT, key=lambda intent: meant.intents.get(intent, 0.0))
    likely = meant.situations if asks == "ask_conduct" else ()
    topic = likely[0].id if likely else None
    redirected = kind in _REDIRECTED
    return Outcome(
        Result.ASKED_BACK,
        (
            says(
                "which_way",
                Choice("way_ask", Press(Command.ASK, asks, topic)),
                Choice("way_case", Press(Command.OPEN_FORM, value=kind)),
            ),
        ),
        replace(asked.memory, draft=None if redirected else asked.told),
        case_kind=kind,
        keeps_words=not redirected,
    )
