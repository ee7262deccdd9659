"""Periods: which local days a text means, where they begin and end, and what they are compared with."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from connector.errors import UsageError
from connector.models import Instant, from_iso
from connector.period import Period, buckets, comparable, days, label, midnight, parse

PARIS, LA = "Europe/Paris", "America/Los_Angeles"
NOW = from_iso("2026-11-21T10:00:00+01:00")  # a Saturday
HOUR = 3_600_000


def iso(instant: Instant) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-11-20", "2026-11-19T23:00Z", "2026-11-20T23:00Z"),
        ("2026-W47", "2026-11-15T23:00Z", "2026-11-22T23:00Z"),
        ("2026-11", "2026-10-31T23:00Z", "2026-11-30T23:00Z"),
        ("2026-12", "2026-11-30T23:00Z", "2026-12-31T23:00Z"),
        ("2024-02", "2024-01-31T23:00Z", "2024-02-29T23:00Z"),
        ("2026-11-01..2026-11-20", "2026-10-31T23:00Z", "2026-11-20T23:00Z"),
        ("today", "2026-11-20T23:00Z", "2026-11-21T23:00Z"),
        ("yesterday", "2026-11-19T23:00Z", "2026-11-20T23:00Z"),
        ("last-7-days", "2026-11-13T23:00Z", "2026-11-20T23:00Z"),
        ("last-week", "2026-11-08T23:00Z", "2026-11-15T23:00Z"),
    ],
)
def test_a_text_means_local_days_both_included(text: str, start: str, end: str) -> None:
    period = parse(text, PARIS, NOW)
    assert (iso(period.start), iso(period.end)) == (start, end)


def test_all_spans_the_days_of_the_first_and_the_last_fact() -> None:
    bounds = (from_iso("2026-01-05T23:30:00Z"), from_iso("2026-02-01T08:00:00Z"))
    period = parse("all", PARIS, NOW, bounds)
    assert (iso(period.start), iso(period.end)) == ("2026-01-05T23:00Z", "2026-02-01T23:00Z")
    assert period.text == "2026-01-06..2026-02-01"


def test_all_of_nothing_is_today() -> None:
    assert parse("all", PARIS, NOW)[:2] == parse("today", PARIS, NOW)[:2]


@pytest.mark.parametrize("text", ["2026-11-20", "2026-W47", "2026-11", "2026-11-01..2026-11-20", "last-week", "all"])
def test_a_periods_text_can_be_asked_for_again(text: str) -> None:
    period = parse(text, PARIS, NOW)
    assert parse(period.text, PARIS, 0 + NOW) == period


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-13", "2026-W54", "2026-02-30", "20-11-2026", "last week", "0001-01-01"]
)
def test_a_text_that_is_no_period_names_the_forms(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a period; write 2026-11-20, 2026-W47, 2026-11, 2026-11-01\.\."):
        parse(text, PARIS, NOW)


def test_a_period_cannot_end_before_it_begins() -> None:
    with pytest.raises(UsageError, match="ends before it begins"):
        parse("2026-11-20..2026-11-01", PARIS, NOW)


@pytest.mark.parametrize(("day", "hours"), [("2025-03-09", 23), ("2024-11-03", 25), ("2025-03-10", 24)])
def test_a_day_on_which_the_clocks_change_is_one_day(day: str, hours: int) -> None:
    period = parse(day, LA, NOW)
    assert period.end - period.start == hours * HOUR
    assert days(period, LA) == [date.fromisoformat(day)]


def test_a_day_without_a_midnight_begins_when_its_clock_begins() -> None:
    start = midnight(date(2018, 11, 4), "America/Sao_Paulo")  # 00:00 became 01:00
    assert iso(start) == "2018-11-04T03:00Z"
    assert (
        midnight(date(2018, 11, 4), "America/Sao_Paulo") - midnight(date(2018, 11, 3), "America/Sao_Paulo") == 24 * HOUR
    )


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("2026-11-20", "2026-11-13"),
        ("2026-W47", "2026-11-09..2026-11-15"),
        ("2026-11-16..2026-11-23", "2026-11-02..2026-11-09"),
        ("2026-11", "2026-09-27..2026-10-26"),
    ],
)
def test_the_comparable_period_is_as_long_and_on_the_same_weekdays(text: str, before: str) -> None:
    period = parse(text, PARIS, NOW)
    found = comparable(period, PARIS)
    assert found.text == before
    assert [d.weekday() for d in days(found, PARIS)] == [d.weekday() for d in days(period, PARIS)]
    assert found.end <= period.start


def test_the_comparable_day_of_a_short_day_is_a_whole_one() -> None:
    short = parse("2025-03-09", LA, NOW)
    before = comparable(short, LA)
    assert before.end - before.start == 24 * HOUR
    assert before.text == "2025-03-02"


@pytest.mark.parametrize(
    ("bucket", "name"),
    [("day", "2027-01-01"), ("week", "2026-W53"), ("month", "2027-01"), ("hour_of_week", "Fri 00")],
)
def test_an_instant_falls_into_its_local_bucket(bucket: str, name: str) -> None:
    assert label(bucket, PARIS)(from_iso("2026-12-31T23:30:00Z")) == name


def test_a_zone_off_the_hour_has_its_own_hours() -> None:
    of = label("hour_of_week", "Asia/Kathmandu")  # +05:45
    assert [of(from_iso(f"2026-11-16T{t}:00Z")) for t in ("03:14", "03:15")] == ["Mon 08", "Mon 09"]


def test_the_hours_of_a_night_with_two_changes_are_told_apart() -> None:
    of = label("hour_of_week", LA)
    hours = [of(from_iso("2024-11-03T07:30:00Z") + i * HOUR) for i in range(4)]
    assert hours == ["Sun 00", "Sun 01", "Sun 01", "Sun 02"]


def test_every_bucket_that_the_period_touches_is_named_once_with_its_end() -> None:
    period = parse("2026-10-30..2026-11-02", PARIS, NOW)
    assert list(buckets("day", period, PARIS)) == ["2026-10-30", "2026-10-31", "2026-11-01", "2026-11-02"]
    assert {name: iso(end) for name, end in buckets("month", period, PARIS).items()} == {
        "2026-10": "2026-10-31T23:00Z",
        "2026-11": "2026-11-02T23:00Z",
    }
    assert list(buckets("week", period, PARIS)) == ["2026-W44", "2026-W45"]
    assert len(buckets("hour_of_week", period, PARIS)) == 168


def test_a_period_is_half_open() -> None:
    period = parse("2026-11-20", "UTC", NOW)
    assert isinstance(period, Period)
    assert label("day", "UTC")(period.end - 1) == "2026-11-20"
    assert label("day", "UTC")(period.end) == "2026-11-21"
