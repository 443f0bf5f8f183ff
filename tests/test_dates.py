"""Facts have days, and days are counted as public offices count them."""

from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import ValidationError

from actions.deadlines import VIETNAM, Calendar, local_day
from actions.knowledge import Dated, NotKnown, When, branches, on
from actions.knowledge.model import Fee, Office, Span
from bot.turn import House

ANYWHERE = When()
SEEN = {"seen": "full", "cites": [{"law": "luat_vi_du"}]}


def fee(amount: int | None, **more: object) -> Dated[Fee]:
    """A fee with its days; None says that it has been abolished."""
    value = None if amount is None else {"amount": amount}
    return Dated[Fee].model_validate({**SEEN, "value": value, **more})


def amounts(values: tuple[Dated[Fee], ...]) -> list[int | None]:
    return [value.value.amount if value.value else None for value in values]


FULL = fee(50_000, known_from="2025-01-01")
HALF = fee(25_000, **{"from": "2025-07-01", "until": "2026-12-31"})
ABOLISHED = fee(None, **{"from": "2028-01-01"})
FEES = (FULL, HALF, ABOLISHED)


@pytest.mark.parametrize(
    ("day", "amount"),
    [
        ("2025-01-01", 50_000),
        ("2025-06-30", 50_000),
        ("2025-07-01", 25_000),
        ("2026-12-31", 25_000),
        ("2027-01-01", 50_000),
        ("2027-12-31", 50_000),
        ("2028-01-01", None),
        ("2030-01-01", None),
    ],
)
def test_each_day_has_the_value_in_force_on_it(day: str, amount: int | None) -> None:
    held = on(FEES, date.fromisoformat(day))
    assert (held.value.amount if held.value else None) == amount


def test_the_order_of_entries_in_a_file_decides_nothing() -> None:
    for day in (date(2025, 6, 30), date(2026, 11, 24), date(2027, 3, 2), date(2028, 1, 1)):
        assert on(FEES, day) == on(tuple(reversed(FEES)), day)


def test_before_the_first_day_nothing_is_known_and_the_nearest_value_is_not_taken() -> None:
    with pytest.raises(NotKnown):
        on(FEES, date(2024, 12, 31))
    assert branches(FEES, date(2024, 12, 31), ANYWHERE) == ()


def test_after_the_last_day_nothing_is_known_and_the_last_value_is_not_taken() -> None:
    with pytest.raises(NotKnown):
        on((HALF,), date(2027, 1, 1))
    assert branches((HALF,), date(2027, 1, 1), ANYWHERE) == ()


def test_nothing_written_is_nothing_known() -> None:
    with pytest.raises(NotKnown):
        on((), date(2026, 11, 24))


def test_an_abolished_value_is_known_to_be_gone() -> None:
    [held] = branches(FEES, date(2028, 6, 1), ANYWHERE)
    assert held.value is None


LATE = fee(8_000, **{"from": "2025-07-01", "when": {"filed": "late"}})
IN_TIME = fee(0, **{"from": "2025-07-01", "when": {"filed": "in_time"}})
IN_HA_NOI = fee(5_000, **{"from": "2026-01-01", "when": {"filed": "late", "province": "ha_noi"}})
IN_HUE = fee(7_000, **{"from": "2026-01-01", "when": {"filed": "late", "province": "hue"}})
BY_CONDITION = (IN_TIME, LATE, IN_HA_NOI, IN_HUE)
NOW = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, [0, 8_000, 5_000, 7_000]),
        ({"filed": "in_time"}, [0]),
        ({"filed": "late"}, [8_000, 5_000, 7_000]),
        ({"province": "ha_noi"}, [0, 8_000, 5_000]),
        ({"province": "da_nang"}, [0, 8_000]),
        ({"filed": "late", "province": "ha_noi"}, [5_000]),
        ({"filed": "late", "province": "da_nang"}, [8_000]),
    ],
    ids=str,
)
def test_unknown_conditions_show_all_branches_and_known_ones_leave_the_most_precise(
    known: dict[str, str], expected: list[int]
) -> None:
    assert amounts(branches(BY_CONDITION, NOW, When(**known))) == expected


def test_a_precise_value_that_does_not_hold_yet_hides_nothing() -> None:
    known = When(filed="late", province="ha_noi")
    assert amounts(branches(BY_CONDITION, date(2025, 12, 31), known)) == [8_000]


def test_a_later_value_ends_only_an_earlier_one_about_the_same() -> None:
    card = fee(10_000, **{"from": "2025-01-01", "about": "the"})
    copy = fee(2_000, **{"from": "2026-01-01", "about": "ban_sao"})
    newer = fee(3_000, **{"from": "2026-06-01", "about": "ban_sao"})
    assert amounts(branches((card, copy, newer), NOW, ANYWHERE)) == [10_000, 3_000]


def test_a_precise_value_narrows_only_a_general_one_about_the_same() -> None:
    known = When(filed="late")
    other = fee(1_000, **{"from": "2025-01-01", "about": "ban_sao"})
    assert amounts(branches((other, LATE), NOW, known)) == [1_000, 8_000]


@pytest.mark.parametrize(
    ("wrong", "mend"),
    [
        ({}, "give exactly one of `from` (the law's day) and `known_from`"),
        (
            {"from": "2025-07-01", "known_from": "2025-07-01"},
            "give exactly one of `from` (the law's day) and `known_from`",
        ),
        ({"from": "2025-07-01", "until": "2025-06-30"}, "`until` must not be earlier than"),
        ({"from": "2025-07-01", "cites": []}, "add `cites` or `source`"),
        ({"from": "2025-07-01", "seen": "stale"}, "a stale value needs `caution`"),
        ({"from": "2025-07-01", "cites": [{"law": "x", "clause": "1"}]}, "add `article`"),
        ({"from": "2025-07-01", "source": {"read_on": "2026-01-01"}}, "`record`"),
    ],
)
def test_a_value_without_its_day_or_source_is_refused(wrong: dict[str, object], mend: str) -> None:
    with pytest.raises(ValidationError) as refused:
        fee(1_000, **wrong)
    assert mend in str(refused.value)


@pytest.fixture(scope="module")
def calendar(house: House) -> Calendar:
    """The calendar with the corrections of `holidays.yml`."""
    return Calendar(house.knowledge.files.holidays)


@pytest.fixture(scope="module")
def office(house: House) -> Office:
    return house.office("ubnd_phuong_vi_du")


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2026-11-23", True),  # Monday
        ("2026-11-24", False),  # Vietnam Cultural Day, a day off since 2026
        ("2025-11-24", True),  # the same day a year before
        ("2026-11-28", False),  # Saturday
        ("2026-11-29", False),  # Sunday
        ("2026-02-13", True),  # the last day before Tết
        ("2026-02-16", False),  # Tết
        ("2026-02-17", False),
        ("2026-02-20", False),
        ("2026-02-23", True),  # the first day after Tết
        ("2026-04-27", False),  # for the Hùng Kings' day, a Sunday
        ("2026-01-02", False),  # our correction: swapped
        ("2026-01-10", True),  # our correction: made up for it, a Saturday
        ("2026-08-22", True),  # a make-up Saturday
        ("2026-08-31", False),  # the day off it was swapped for
        ("2026-09-02", False),  # National Day
    ],
)
def test_working_days_are_those_of_public_offices(
    calendar: Calendar, day: str, works: bool
) -> None:
    assert calendar.is_working_day(date.fromisoformat(day)) is works


def test_without_our_corrections_the_package_is_still_wrong_about_them(house: House) -> None:
    """A correction that the package has caught up with is to be removed from holidays.yml."""
    plain = Calendar(())
    corrections = house.knowledge.files.holidays
    assert [c.day for c in corrections if plain.is_working_day(c.day) == c.open] == []


def working(days: int) -> Span:
    return Span(days=days, unit="working_day")


@pytest.mark.parametrize(
    ("start", "span", "end"),
    [
        ("2026-11-23", working(1), "2026-11-25"),  # over the day off on the 24th
        ("2026-11-20", working(1), "2026-11-23"),  # over a weekend
        ("2026-11-24", working(10), "2026-12-08"),
        ("2026-02-13", working(1), "2026-02-23"),  # over Tết
        ("2026-08-21", working(1), "2026-08-22"),  # the make-up Saturday counts
        ("2026-08-28", working(1), "2026-09-03"),
        ("2026-01-01", working(5), "2026-01-09"),  # 02/01 does not count
        ("2026-01-09", working(1), "2026-01-10"),
        ("2026-11-20", Span(days=3, unit="day"), "2026-11-23"),
        ("2026-12-30", Span(days=5, unit="day"), "2027-01-04"),
        ("2026-11-28", Span(hours=8, unit="working_hour"), "2026-11-28"),
    ],
)
def test_a_span_ends_on_its_last_day(calendar: Calendar, start: str, span: Span, end: str) -> None:
    assert calendar.after(date.fromisoformat(start), span) == date.fromisoformat(end)


def test_a_span_of_working_days_ends_on_a_working_day_and_never_goes_back(
    calendar: Calendar,
) -> None:
    start = date(2026, 1, 1)
    ends = [calendar.after(start + timedelta(days=n), working(3)) for n in range(730)]
    assert all(calendar.is_working_day(end) for end in ends)
    assert ends == sorted(ends)


def at(day: str, hour: str) -> datetime:
    return datetime.fromisoformat(f"{day}T{hour}").replace(tzinfo=VIETNAM).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "opened"),
    [
        (at("2026-11-23", "07:29"), False),
        (at("2026-11-23", "07:30"), True),
        (at("2026-11-23", "11:29"), True),
        (at("2026-11-23", "11:30"), False),
        (at("2026-11-23", "12:30"), False),
        (at("2026-11-23", "13:30"), True),
        (at("2026-11-23", "17:00"), False),
        (at("2026-11-28", "09:00"), True),  # Saturday morning
        (at("2026-11-28", "14:00"), False),
        (at("2026-11-29", "09:00"), False),  # Sunday
        (at("2026-11-24", "09:00"), False),  # a day off on a Tuesday
        (at("2026-01-02", "09:00"), False),  # our correction
        (at("2027-02-06", "09:00"), False),  # the first day of Tết, a Saturday
        (at("2027-05-01", "09:00"), False),  # Labour Day, a Saturday
        (at("2026-08-22", "09:00"), True),  # a make-up Saturday
    ],
    ids=str,
)
def test_the_example_office_is_open_in_its_hours_and_closed_on_holidays(
    calendar: Calendar, office: Office, moment: datetime, opened: bool
) -> None:
    assert calendar.is_open(office, moment) is opened


def test_the_day_is_the_day_in_vietnam() -> None:
    assert local_day(datetime(2026, 11, 23, 16, 59, tzinfo=UTC)) == date(2026, 11, 23)
    assert local_day(datetime(2026, 11, 23, 17, 0, tzinfo=UTC)) == date(2026, 11, 24)
