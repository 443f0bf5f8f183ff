"""What people ask, put to the real assistant; and whole conversations."""

import pytest
from ruamel.yaml import YAML

from tests.asking import QUESTIONS, Question, ask, differences, read

pytestmark = [pytest.mark.rasa, pytest.mark.xdist_group("rasa")]

BORDERLINE = 4
"""So many answers of all may differ from the list: training rounds otherwise on another
processor, and a few messages lie just between two meanings."""

FILES = sorted(QUESTIONS.glob("*.yml"))
KNOWN = QUESTIONS.parent / "known_failures.yml"


@pytest.fixture(scope="module")
def wrong() -> dict[str, list[str]]:
    """Every question that is answered otherwise than expected, with the differences."""
    questions = read(FILES)
    answers = ask(question.text for question in questions)
    found = {
        _name(question): differences(question.expected, answer)
        for question, answer in zip(questions, answers, strict=True)
    }
    return {name: differing for name, differing in found.items() if differing}


def _name(question: Question) -> str:
    return f"{question.file}: {question.text}"


def test_questions_get_the_answers_that_were_expected(wrong: dict[str, list[str]]) -> None:
    new = {name: differing for name, differing in wrong.items() if name not in _known()}
    assert len(new) <= BORDERLINE, new


def test_a_listed_failure_that_passes_is_taken_off_the_list(wrong: dict[str, list[str]]) -> None:
    passing = _known() - set(wrong)
    assert len(passing) <= BORDERLINE, passing


def test_only_questions_that_are_asked_are_listed() -> None:
    assert _known() <= {_name(question) for question in read(FILES)}


def _known() -> set[str]:
    return set(YAML(typ="safe").load(KNOWN) or [])
