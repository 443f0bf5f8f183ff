"""What people ask, put to the real assistant; and whole conversations."""

import pytest
from ruamel.yaml import YAML

from tests.asking import QUESTIONS, Question, ask, differences, read

pytestmark = [pytest.mark.rasa, pytest.mark.xdist_group("rasa")]

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


@pytest.mark.parametrize("file", [path.stem for path in FILES])
def test_questions_get_the_answers_that_were_expected(
    file: str, wrong: dict[str, list[str]]
) -> None:
    known = set(YAML(typ="safe").load(KNOWN) or [])
    new = {n: d for n, d in wrong.items() if n.startswith(f"{file}: ") and n not in known}
    assert new == {}


def test_a_listed_failure_that_passes_is_taken_off_the_list(wrong: dict[str, list[str]]) -> None:
    known = set(YAML(typ="safe").load(KNOWN) or [])
    assert known - set(wrong) == set()
