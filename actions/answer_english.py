"""English that is in our field gets a short bilingual answer."""

from dataclasses import replace

from actions.action import Asked, Outcome, Result, answered, says
from actions.answer import SURE, Answer


class AnswerEnglish:
    """An English word before the Vietnamese answer, where a procedure was found."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, asked: Asked) -> Outcome:
        """The answer to the procedure that was named, or what can be asked."""
        found = asked.understanding.procedures
        if not found or found[0].score < SURE:
            return answered(asked, says("english"), result=Result.OUT_OF_SCOPE)
        outcome = self._answer(asked)
        return replace(outcome, says=(says("english_intro"), *outcome.says))
