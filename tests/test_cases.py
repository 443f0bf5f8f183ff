"""Cases: codes that find a slip, and moves between states."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

from actions.cases import (
    AnswerMissing,
    Case,
    CaseCode,
    CaseKind,
    MoveNotAllowed,
    NotACode,
    ReasonMissing,
    State,
)

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def is_code(text: str) -> bool:
    try:
        CaseCode.parse(text)
    except NotACode:
        return False
    return True


def codes(number: int) -> Iterator[str]:
    """Written codes, the same ones in every run."""
    chance = random.Random(20261124)
    for _ in range(number):
        body = "".join(chance.choices(ALPHABET, k=8))
        yield next(
            text for check in ALPHABET if is_code(text := f"MC-{body[:4]}-{body[4:]}-{check}")
        )


SOME_CODES = list(codes(40))


def with_letter(code: str, at: int, letter: str) -> str:
    return code[:at] + letter + code[at + 1 :]


def letters_at(code: str) -> list[int]:
    """Where the nine letters stand that are not the prefix."""
    return [at for at, letter in enumerate(code) if letter != "-" and at > 2]


def test_a_drawn_code_is_read_back_as_itself() -> None:
    for _ in range(200):
        code = CaseCode.draw()
        assert CaseCode.parse(str(code)) == code


def test_drawn_codes_do_not_repeat() -> None:
    assert len({CaseCode.draw() for _ in range(2_000)}) == 2_000


@pytest.mark.parametrize("code", SOME_CODES)
def test_every_single_wrong_character_is_found(code: str) -> None:
    wrong = [
        with_letter(code, at, letter)
        for at in letters_at(code)
        for letter in ALPHABET
        if letter != code[at]
    ]
    assert len(wrong) == 9 * 30
    assert [text for text in wrong if is_code(text)] == []


@pytest.mark.parametrize("code", SOME_CODES)
def test_every_swap_of_two_characters_is_found(code: str) -> None:
    places = letters_at(code)
    neighbours = list(pairwise(places))
    any_two = [(a, b) for a in places for b in places if a < b]
    assert set(neighbours) <= set(any_two)
    swapped = [
        with_letter(with_letter(code, a, code[b]), b, code[a])
        for a, b in any_two
        if code[a] != code[b]
    ]
    assert [text for text in swapped if is_code(text)] == []


@pytest.mark.parametrize("code", SOME_CODES[:10])
def test_a_missing_or_doubled_character_is_found(code: str) -> None:
    for at in letters_at(code):
        assert not is_code(code[:at] + code[at + 1 :])
        assert not is_code(code[:at] + code[at] + code[at:])


@pytest.mark.parametrize(
    "typed",
    [
        "mc-{}-{}-{}",
        "MC{}{}{}",
        "  MC-{}-{}-{} ",
        "MC {} {} {}",
        "Mc.{}.{}.{}",
        "MC–{}–{}–{}",
        "mc{}{}{}.",
        "{}{}{}",
        "{}-{}-{}",
    ],
)
@pytest.mark.parametrize("code", SOME_CODES[:5])
def test_lower_case_blanks_and_missing_dashes_are_accepted(code: str, typed: str) -> None:
    _, first, second, check = code.split("-")
    for form in (first, second, check), (first.lower(), second.lower(), check.lower()):
        assert str(CaseCode.parse(typed.format(*form))) == code


def test_a_code_whose_own_letters_begin_like_the_prefix_is_read_with_and_without_it() -> None:
    body = "MCAB2345"
    [code] = [t for check in ALPHABET if is_code(t := f"MC{body}{check}")]
    assert CaseCode.parse(code) == CaseCode.parse(code.removeprefix("MC"))


@pytest.mark.parametrize("letter", ["0", "O", "1", "I", "L", "o", "i", "l"])
def test_look_alike_letters_are_refused(letter: str) -> None:
    code = SOME_CODES[0]
    assert letter.upper() not in ALPHABET
    assert [at for at in letters_at(code) if is_code(with_letter(code, at, letter))] == []


@pytest.mark.parametrize(
    "typed",
    ["", "MC", "MC-", "mã vụ việc", "0900 000 000", "MC-1234", "MC-ĐÀNẴ-2345-6", "1.001193"],
)
def test_what_is_no_code_is_refused(typed: str) -> None:
    with pytest.raises(NotACode):
        CaseCode.parse(typed)


def case(state: State = State.RECEIVED) -> Case:
    return Case(
        code=CaseCode.parse(SOME_CODES[0]),
        kind=CaseKind.FEEDBACK,
        office="ubnd_phuong_vi_du",
        received_at=NOW,
        due_on=date(2026, 12, 8),
        report=None,
        state=state,
    )


ALLOWED = {
    State.RECEIVED: "assigned waiting answered refused withdrawn closed",
    State.ASSIGNED: "waiting answered refused withdrawn closed",
    State.WAITING: "assigned answered refused withdrawn closed",
    State.ANSWERED: "answered closed reopened",
    State.REFUSED: "reopened",
    State.WITHDRAWN: "",
    State.CLOSED: "reopened",
    State.REOPENED: "assigned waiting answered refused withdrawn closed",
}


@pytest.mark.parametrize("state", State)
def test_moves_are_those_of_the_table(state: State) -> None:
    moved = []
    for to in State:
        one = case(state)
        try:
            one.move_to(to, NOW, "officer", reason="vì sao", answer="trả lời")
        except MoveNotAllowed:
            assert (one.state, one.moves) == (state, [])
        else:
            assert one.state is to
            moved.append(to)
    assert moved == [to for to in State if to in ALLOWED[state].split()]


@pytest.mark.parametrize("state", [State.REFUSED, State.CLOSED])
@pytest.mark.parametrize("reason", [None, "", "  \n"])
def test_a_refusal_or_closure_without_a_reason_changes_nothing(
    state: State, reason: str | None
) -> None:
    one = case()
    with pytest.raises(ReasonMissing):
        one.move_to(state, NOW, "officer", reason=reason)
    assert (one.state, one.moves) == (State.RECEIVED, [])
    one.move_to(state, NOW, "officer", reason="Không thuộc thẩm quyền của phường.")
    assert one.state is state


@pytest.mark.parametrize("answer", [None, "", "  \n"])
def test_an_answer_without_words_changes_nothing(answer: str | None) -> None:
    one = case()
    with pytest.raises(AnswerMissing):
        one.move_to(State.ANSWERED, NOW, "officer", answer=answer)
    assert (one.state, one.moves) == (State.RECEIVED, [])


def test_every_move_is_kept_in_order_and_the_latest_answer_is_the_answer() -> None:
    one = case()
    one.move_to(State.ASSIGNED, NOW, "officer")
    one.move_to(State.ANSWERED, NOW, "officer", answer="Trả lời lần một.")
    one.move_to(State.ANSWERED, NOW, "officer", answer="Trả lời lần hai.")
    one.move_to(State.CLOSED, NOW, "officer", reason="Đã xong.")
    assert [move.to for move in one.moves] == ["assigned", "answered", "answered", "closed"]
    assert one.answer is not None
    assert one.answer.answer == "Trả lời lần hai."


def test_a_case_without_an_answer_has_none() -> None:
    one = case()
    one.move_to(State.ASSIGNED, NOW, "officer")
    assert one.answer is None


@pytest.mark.parametrize("state", State)
def test_only_a_case_that_waits_for_an_answer_is_overdue(state: State) -> None:
    waits = state in {State.RECEIVED, State.ASSIGNED, State.WAITING, State.REOPENED}
    assert case(state).overdue(date(2026, 12, 9)) is waits
    assert case(state).overdue(date(2026, 12, 8)) is False


def test_moves_never_change_when_it_was_received_or_is_due() -> None:
    one = case()
    one.move_to(State.ANSWERED, NOW.replace(year=2027), "officer", answer="Trả lời.")
    one.move_to(State.REOPENED, NOW.replace(year=2027), "officer")
    assert (one.received_at, one.due_on) == (NOW, date(2026, 12, 8))
