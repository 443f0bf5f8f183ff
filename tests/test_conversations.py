"""Whole conversations with the real assistant, as confused people hold them."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.asking import differences, hold

pytestmark = [pytest.mark.rasa, pytest.mark.xdist_group("rasa")]

FILES = sorted((Path(__file__).parent / "conversations").glob("*.yml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_conversation_goes_as_a_sensible_person_would_want(file: Path) -> None:
    turns: list[dict[str, Any]] = YAML(typ="safe").load(file)

    answers = hold([turn["say"] for turn in turns])

    wrong = {
        turn["say"]: found
        for turn, answer in zip(turns, answers, strict=True)
        if (found := differences(turn["expect"], answer))
    }
    missed = {turn["say"] for turn in turns if turn.get("missed")}
    assert {say: found for say, found in wrong.items() if say not in missed} == {}
    assert missed - set(wrong) == set(), "no longer missed: take the mark off"
