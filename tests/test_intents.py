"""Intents: each has its sentences, its verb and its reply."""

from collections import Counter
from dataclasses import replace

import pytest

from actions.action import Asked, Memory, Result, Understanding
from actions.cases import Case, CaseCode
from actions.deadlines import local_day
from bot.dialogue import Intent, load_intents
from bot.settings import CHECKOUT
from bot.turn import House
from tests.conftest import START

INTENTS = load_intents(CHECKOUT / "data" / "intents.yml")
SENTENCES = {path.stem for path in (CHECKOUT / "data" / "sentences" / "vi").glob("*.yml")}

FIRST_REPLY = {
    "greet": "greeting",
    "answer": "which_procedure",
    "answer_english": "english",
    "advise_conduct": "which_situation_free",
    "take_case": "form_consent",
    "follow_case": "which_case",
    "hand_over": "hand_over",
    "erase_data": "erase_confirm",
    "warn_emergency": "emergency",
    "not_understood": "not_understood_menu",
}
"""What each verb says to a text of which only the intent is known."""

OTHERWISE = {"ask_office": "office", "ask_about_complaint_procedure": "petitions"}
"""Intents with a word of their own in their verb."""


class Nobody:
    """Cases as a conversation without any sees them."""

    def by_code(self, code: CaseCode) -> Case | None:
        return None

    def latest_here(self) -> Case | None:
        return None


@pytest.fixture
def asked(house: House) -> Asked:
    office = house.office("ubnd_phuong_vi_du")
    return Asked("", Understanding("", ""), Memory(), office, START, local_day(START))


def meant(asked: Asked, intent: str) -> Asked:
    """The message, with an intent that nlu is sure about."""
    return replace(asked, understanding=Understanding("", "", intent, 0.95, intents={intent: 0.95}))


def test_no_two_intents_have_one_id() -> None:
    assert [id_ for id_, times in Counter(i.id for i in INTENTS).items() if times > 1] == []


def test_every_intent_has_a_file_of_sentences_and_every_file_an_intent() -> None:
    assert {intent.id for intent in INTENTS} == SENTENCES


def test_every_verb_is_one_that_we_know() -> None:
    assert {intent.verb for intent in INTENTS} - {"say", *FIRST_REPLY} == set()


@pytest.mark.parametrize("intent", INTENTS, ids=lambda intent: intent.id)
def test_a_verb_that_only_says_something_has_its_reply_and_outcome(
    house: House, intent: Intent
) -> None:
    if intent.verb != "say":
        assert (intent.reply, intent.outcome) == (None, None)
        return
    assert intent.reply in house.replies.replies
    assert intent.outcome is not None


@pytest.mark.parametrize("intent", INTENTS, ids=lambda intent: intent.id)
def test_every_intent_is_answered_by_its_verb(house: House, asked: Asked, intent: Intent) -> None:
    if intent.id in {"cancel", "go_back"}:
        assert intent.reply == "nothing_open"
    outcome = house.dialogue.act(meant(asked, intent.id), Nobody())
    expected = intent.reply or OTHERWISE.get(intent.id) or FIRST_REPLY[intent.verb]
    assert outcome.says[0].reply == expected
    if intent.outcome is not None:
        assert outcome.result is intent.outcome


def test_an_intent_that_nlu_knows_and_we_do_not_is_not_understood(
    house: House, asked: Asked
) -> None:
    outcome = house.dialogue.act(meant(asked, "khong_co_y_dinh_nay"), Nobody())
    assert outcome.result is Result.OUT_OF_SCOPE
    assert outcome.says[0].reply == "not_understood_menu"


def test_every_choice_of_every_intent_leads_somewhere(house: House, asked: Asked) -> None:
    """Pressing what was offered never ends in an error."""
    offered = [
        choice
        for intent in INTENTS
        for reply in house.dialogue.act(meant(asked, intent.id), Nobody()).says
        for choice in reply.choices
    ]
    assert len(offered) > 10
    for choice in offered:
        outcome = house.dialogue.act(replace(asked, press=choice.press), Nobody())
        assert outcome.says
