"""The sentences that train, against each other and against the questions."""

from collections import defaultdict

import pytest

from bot.settings import CHECKOUT
from nlu.sentences import Sentence, read_sentences
from nlu.text import fold
from tests.asking import QUESTIONS, read
from tests.evaluate.apart import hash_of, known

ENOUGH = 50


@pytest.fixture(scope="module")
def sentences() -> list[Sentence]:
    return read_sentences(CHECKOUT / "data")


def test_no_sentence_stands_in_two_intents(sentences: list[Sentence]) -> None:
    intents: dict[str, set[str]] = defaultdict(set)
    for sentence in sentences:
        intents[fold(sentence.text)].add(sentence.intent)

    assert {text: i for text, i in intents.items() if len(i) > 1} == {}


def test_no_sentence_is_a_question_of_ours(sentences: list[Sentence]) -> None:
    questions = {hash_of(question.text) for question in read(sorted(QUESTIONS.glob("*.yml")))}

    assert [s.text for s in sentences if hash_of(s.text) in questions and fold(s.text)] == []


def test_no_sentence_is_a_blind_question(sentences: list[Sentence]) -> None:
    blind = known()

    assert len(blind) > 400
    assert [s.text for s in sentences if hash_of(s.text) in blind and fold(s.text)] == []


def test_no_question_of_ours_is_a_blind_one() -> None:
    blind = known()

    assert [q.text for q in read(sorted(QUESTIONS.glob("*.yml"))) if hash_of(q.text) in blind] == []


def test_everything_has_enough_sentences(sentences: list[Sentence]) -> None:
    counts: dict[str, int] = defaultdict(int)
    in_catalogue = set()
    for sentence in sentences:
        counts[sentence.intent] += 1
        if sentence.kind:
            counts[sentence.kind] += 1
        if sentence.topic:
            counts[sentence.topic] += 1
            if not sentence.facets and sentence.intent == "ask_procedure":
                in_catalogue.add(sentence.topic)

    few = {name: n for name, n in counts.items() if n < ENOUGH and name not in in_catalogue}
    assert few == {}
