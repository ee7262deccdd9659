from __future__ import annotations

import random
from contextlib import closing
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from by_hand import Desk
from hypothesis import given, settings
from hypothesis import strategies as st

from connector import period
from connector.facts.calendar import Calendar
from connector.metric.coverage import business_days
from connector.models import Schedule, from_iso

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NINE_TO_FIVE = ((540, 1020),)
WEEKDAYS = (NINE_TO_FIVE,) * 5 + ((),) * 2
ALWAYS = (((0, 1440),),) * 7
PT = Schedule("America/Los_Angeles", WEEKDAYS, ("2024-11-28", "2024-11-29"))
ZONES = ("Europe/London", "America/Los_Angeles", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu", "UTC")
CLOCK_CHANGES = ("2025-03-09", "2025-03-30", "2025-04-06", "2025-04-25", "2025-10-26", "2025-10-30", "2025-11-02")


def minutes(schedule: Schedule, a: str, b: str) -> float:
    return Calendar(schedule).open_ms(from_iso(a), from_iso(b)) / MINUTE


def walked(schedule: Schedule, a: int, b: int) -> int:
    """The slow truth: look at the local wall clock at every minute."""
    zone, total = ZoneInfo(schedule.zone), 0
    for t in range(a, b, MINUTE):
        wall = datetime.fromtimestamp(t / 1000, zone)
        minute = wall.hour * 60 + wall.minute
        spans = () if wall.date().isoformat() in schedule.holidays else schedule.hours[wall.weekday()]
        total += MINUTE * any(opens <= minute < closes for opens, closes in spans)
    return total


def open_on(schedule: Schedule, day: str) -> int:
    """Opening time of a local day of the schedule's own zone."""
    return Calendar(schedule).open_ms(*period.parse(day, schedule.zone, 0)[:2])


def spans() -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    span = st.tuples(st.integers(0, 1440), st.integers(0, 1440)).filter(lambda s: s[0] < s[1])
    return st.lists(span, max_size=3).map(tuple)


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    week=st.lists(spans(), min_size=7, max_size=7).map(tuple),
    holiday=st.booleans(),
    near=st.sampled_from(CLOCK_CHANGES),
    start=st.integers(-36 * 60, 36 * 60),
    length=st.integers(0, 48 * 60),
)
def test_open_time_is_what_a_walk_by_the_minute_counts(zone, week, holiday, near, start, length):
    schedule = Schedule(zone, week, (near,) if holiday else ())
    a = from_iso(f"{near}T00:00Z") + start * MINUTE
    b = a + length * MINUTE
    assert Calendar(schedule).open_ms(a, b) == walked(schedule, a, b)


@settings(max_examples=60, deadline=None)
@given(zone=st.sampled_from(ZONES), start=st.integers(0, 30 * DAY), ms=st.integers(1, 200 * HOUR))
def test_what_is_due_is_the_earliest_instant_by_which_the_time_has_run(zone, start, ms):
    calendar = Calendar(Schedule(zone, WEEKDAYS))
    a = from_iso("2025-03-01T00:00Z") + start
    due = calendar.add(a, ms)
    assert calendar.open_ms(a, due) == ms
    assert calendar.open_ms(a, due - 1) == ms - 1


def test_open_time_adds_up_over_any_cut():
    calendar, rng = Calendar(PT), random.Random(1)
    for _ in range(300):
        a, b, c = sorted(from_iso("2024-10-20T00:00Z") + rng.randrange(60 * DAY) for _ in range(3))
        assert calendar.open_ms(a, b) + calendar.open_ms(b, c) == calendar.open_ms(a, c)


@pytest.mark.parametrize(
    ("schedule", "a", "b", "expected"),
    [
        pytest.param(PT, "2025-03-08T00:30Z", "2025-03-10T16:30Z", 60, id="spring forward"),
        pytest.param(PT, "2024-11-01T23:30Z", "2024-11-04T17:30Z", 60, id="fall back"),
        pytest.param(Schedule("Europe/London", ALWAYS), "2025-03-30T00:30Z", "2025-03-30T01:30Z", 60, id="24/7"),
        pytest.param(
            Schedule("Australia/Sydney", (*WEEKDAYS[:5], (), NINE_TO_FIVE)),
            "2024-09-30T22:30Z", "2024-10-01T00:00Z", 60, id="a week before the change",
        ),
        pytest.param(PT, "2024-11-28T00:00Z", "2024-12-02T18:00Z", 120, id="local holidays"),
        pytest.param(PT, "2025-05-17T18:00Z", "2025-05-17T19:00Z", 0, id="outside hours is a real zero"),
    ],
)  # fmt: skip
def test_worked_examples(schedule, a, b, expected):
    assert minutes(schedule, a, b) == expected


def test_opening_is_inclusive_and_closing_exclusive_to_the_millisecond():
    calendar = Calendar(Schedule("UTC", WEEKDAYS))
    nine, five = from_iso("2025-05-12T09:00Z"), from_iso("2025-05-12T17:00Z")
    assert calendar.open_ms(nine, nine + 1) == 1
    assert calendar.open_ms(nine - 1, nine) == 0
    assert calendar.open_ms(five - 1, five) == 1
    assert calendar.open_ms(five, five + 1) == 0


def test_a_time_that_runs_backwards_is_empty():
    assert Calendar(Schedule("UTC", ALWAYS)).open_ms(2_000_000_000_000, 1_900_000_000_000) == 0


def test_days_with_a_clock_change_have_23_and_25_hours():
    london = Schedule("Europe/London", ALWAYS)
    assert open_on(london, "2025-03-30") == 23 * HOUR
    assert open_on(london, "2025-10-26") == 25 * HOUR
    assert open_on(PT, "2024-11-28") == 0


def test_an_hour_that_begins_as_the_clocks_change_is_whole_to_the_millisecond():
    at_two = Schedule("Europe/London", (((120, 180),),) * 7)
    assert open_on(at_two, "2025-03-30") == HOUR


def test_a_stretch_over_new_year_is_counted_to_its_end():
    calendar = Calendar(Schedule("UTC", ALWAYS))
    new_year = from_iso("2025-01-01T00:00Z")
    assert calendar.open_ms(new_year - HOUR, new_year - 1) == HOUR - 1
    assert calendar.open_ms(new_year - HOUR, new_year + HOUR) == 2 * HOUR


def test_overlapping_spans_count_once():
    assert open_on(Schedule("UTC", (((540, 720), (660, 780)),) * 7), "2025-05-12") == 4 * HOUR


def test_years_asked_about_later_and_earlier_are_added():
    calendar = Calendar(Schedule("UTC", ALWAYS))
    for year in (2024, 2031, 2009):
        assert calendar.open_ms(from_iso(f"{year}-07-01T00:00Z"), from_iso(f"{year}-07-02T00:00Z")) == DAY
    assert calendar.open_ms(from_iso("2009-01-01T00:00Z"), from_iso("2031-01-01T00:00Z")) == 8035 * DAY


def test_a_promise_that_opening_hours_never_fill_is_never_due():
    assert Calendar(Schedule("UTC", ((),) * 7)).add(from_iso("2025-05-12T09:00Z"), 1) is None


def test_a_promise_of_nothing_is_due_at_once():
    assert Calendar(PT).add(from_iso("2025-05-17T18:00Z"), 0) == from_iso("2025-05-17T18:00Z")


def days_open(folder: Path, schedule: Schedule, zone: str, a: str, b: str) -> int | None:
    desk = Desk(folder, calendar=schedule, zone=zone)
    with closing(desk.store):
        return business_days(desk.conn, desk.config, from_iso(a), from_iso(b))


def test_business_days_are_local_days_with_any_opening_after_holidays(tmp_path):
    week = "2024-11-25T00:00-08:00", "2024-12-02T00:00-08:00"
    assert days_open(tmp_path, PT, PT.zone, *week) == 3
    assert days_open(tmp_path, PT, PT.zone, week[0], week[0]) == 0


def test_business_days_follow_the_reporting_zone(tmp_path):
    # Monday 14:00–16:00 UTC is 23:00–01:00 in Tokyo: one day there, two days here.
    schedule = Schedule("UTC", (((840, 960),), *((),) * 6))
    week = "2025-05-11T00:00Z", "2025-05-16T00:00Z"
    assert days_open(tmp_path, schedule, "UTC", *week) == 1
    assert days_open(tmp_path, schedule, "Asia/Tokyo", *week) == 2


def test_a_schedule_that_changed_is_the_sum_of_the_schedules_in_force():
    changed = "2025-06-11T01:00Z"
    before, after = (
        minutes(PT, "2025-06-10T23:00Z", changed),
        minutes(Schedule("UTC", ALWAYS), changed, "2025-06-11T03:00Z"),
    )
    assert (before, after) == (60, 120)


@pytest.mark.parametrize(
    ("hours", "due"),
    [
        pytest.param(8, "2025-05-19T17:00Z", id="fills the day: due at closing, not at the next opening"),
        pytest.param(9, "2025-05-20T10:00Z", id="goes on at the next opening"),
        pytest.param(8 * 2000, "2033-01-14T17:00Z", id="years away"),
    ],
)
def test_a_promise_given_on_a_saturday(hours, due):
    assert Calendar(Schedule("UTC", WEEKDAYS)).add(from_iso("2025-05-17T11:00Z"), hours * HOUR) == from_iso(due)
