"""The figures: formulas, what falls into a period, groups, what is left out, and the golden timelines' aggregates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import golden
import pytest
from by_hand import Desk

from connector import facts, registry
from connector.config import Config, ServiceConfig
from connector.errors import UsageError
from connector.metric import DIMENSIONS, Composite, Metric, compute, markdown_table, target_of
from connector.metric import arithmetic as a
from connector.metric.coverage import bounds
from connector.metric.listing import met
from connector.models import Schedule, from_iso
from connector.period import BUCKETS, parse

CLOSE = 1e-4
"""Golden figures are written with six decimals, in minutes or percent."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    with closing(made.store):
        yield made


# --- formulas --------------------------------------------------------------------------------------------------------


def test_percentiles_interpolate_in_a_straight_line() -> None:
    assert a.percentile(range(1, 11), 0.9) == pytest.approx(9.1)
    assert a.percentile([10, 20, 60], 0.5) == 20
    assert a.percentile([7], 0.95) == 7
    assert a.percentile([], 0.5) is None


def test_the_mean_is_of_all_values_never_of_means() -> None:
    assert a.mean([10, 50, 50, 50]) == 40
    assert a.mean([]) is None


def test_the_order_in_which_rows_come_does_not_move_the_last_digit_of_a_mean() -> None:
    scores = [3.7, 4.1, 2.2, 4.9, 1.3]
    for statistic in (a.mean, a.mean_interval, a.variation):
        assert {statistic(scores[i:] + scores[:i]) for i in range(5)} == {statistic(sorted(scores))}


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(7, 12, 0.3195, 0.8067), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 1, 0.2065, 1.0)],
)
def test_wilsons_interval_matches_published_figures(successes: int, n: int, low: float, high: float) -> None:
    assert a.wilson(successes, n) == pytest.approx((low, high), abs=1e-4)


def test_a_share_of_nothing_has_no_interval() -> None:
    assert a.wilson(0, 0) is None


@pytest.mark.parametrize(
    ("freedom", "t"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (10, 2.228), (30, 2.042)]
)
def test_students_t_matches_the_printed_table(freedom: int, t: float) -> None:
    assert a.student(freedom) == pytest.approx(t, rel=2e-3)


def test_a_mean_of_one_rating_has_no_interval() -> None:
    assert a.mean_interval([4]) is None
    assert a.mean_interval([2, 4]) == pytest.approx((3 - 12.706, 3 + 12.706), abs=1e-3)


def test_a_medians_interval_needs_values_on_both_sides() -> None:
    assert a.percentile_interval([1, 2, 3, 4, 5], 0.5) is None
    assert a.percentile_interval(list(range(1, 11)), 0.5) == (2, 9)
    assert a.percentile_interval(list(range(29)), 0.9) is None
    low, high = a.percentile_interval(list(range(1000)), 0.9) or (0, 0)
    assert low < 900 < high
    assert high - low < 50


def test_an_even_load_does_not_vary() -> None:
    assert a.variation([5, 5, 5]) == 0
    assert a.variation([0, 10]) == 1
    assert a.variation([5]) is None


# --- golden timelines ------------------------------------------------------------------------------------------------

STORIES = [path for path in golden.FILES if golden.read(path).get("metrics")]


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_the_golden_timelines_give_these_figures(path: Path, tmp_path: Path) -> None:
    story = golden.read(path)
    config = golden.config_of(story, tmp_path)
    with closing(golden.store_of(story, config)) as store:
        facts.refresh(store.conn, config)
        for expected in sorted(story["metrics"], key=lambda e: e.get("as_of", "")):
            check(store.conn, config, expected, story["because"])


def check(conn: Any, config: Config, expected: dict[str, Any], because: str) -> None:
    now = from_iso(expected.get("now", expected.get("as_of", golden.LONG_AFTER)))
    if "as_of" in expected:
        facts.as_of(conn, config, from_iso(expected["as_of"]))
    own = Config(**{**vars(config), "zone": expected.get("zone", config.zone)})
    by = expected.get("by", {})
    values = compute(conn, own, [expected["key"]], parse(expected["period"], own.zone, now), by=list(by), now=now)
    found = [
        v for v in values if v.statistic == expected["statistic"] and v.clock == (expected.get("clock") or v.clock)
        and by.items() <= v.by.items()
    ]  # fmt: skip
    minutes = expected.get("minutes")
    wanted = expected["value"] if "value" in expected else None if minutes is None else minutes * 60
    if not found:
        assert by, f"{expected}: no such value"
        assert wanted is None, f"{expected}: the group is missing; {because}"
        return
    assert len(found) == 1, expected
    assert found[0].value == (None if wanted is None else pytest.approx(wanted, abs=CLOSE)), f"{expected}: {because}"
    assert found[0].n == expected.get("n", found[0].n), f"{expected}: {because}"
    assert expected.get("exclusions", {}).items() <= found[0].exclusions.items(), f"{expected}: {because}"


# --- what falls into a period ----------------------------------------------------------------------------------------


def test_a_reply_belongs_to_the_period_in_which_it_was_sent(desk: Desk) -> None:
    desk.answered("2026-11-01T00:00:00Z", after_s=3600)
    desk.answered("2026-12-01T00:00:00Z", after_s=60)
    found = desk.value("first_response_time", "median", "calendar")
    assert (found.value, found.n, list(found.ids)) == (3600, 1, [1])


def test_both_clocks_count_only_what_they_know(desk: Desk) -> None:
    desk.answered("2026-11-02T10:00:00Z", after_s=100, business_s=0)
    desk.answered("2026-11-02T11:00:00Z", after_s=300)
    found = {(v.statistic, v.clock): (v.value, v.n) for v in desk.values("first_response_time")}
    assert found["median", "calendar"] == (200, 2)
    assert found["median", "business"] == (0, 1)  # a real zero: answered while closed
    assert found["mean", "calendar"] == (200, 2)


def test_one_clock_can_be_asked_for(desk: Desk) -> None:
    assert {v.clock for v in desk.values("first_response_time", "csat", clock="business")} == {"business", None}


def test_nothing_happened(desk: Desk) -> None:
    """Counts are 0; everything else does not exist."""
    for value in desk.values(*registry.metrics(), period="2026-11-20"):
        assert value.value == (0 if value.unit == "count" else None), value
        assert value.n == 0
        assert value.interval is None


def test_csat_shows_what_the_printed_calculator_shows(desk: Desk) -> None:
    for i in range(12):
        desk.rating("2026-11-05T10:00:00Z", 5 if i < 7 else 2, "positive" if i < 7 else "negative")
    found = desk.value("csat")
    assert found.value == pytest.approx(58.33, abs=0.005)
    assert (found.numerator, found.denominator, found.n) == (7, 12, 12)
    assert found.interval == pytest.approx((31.95, 80.67), abs=0.01)


def test_ratings_on_different_scales_are_never_averaged(desk: Desk) -> None:
    desk.rating("2026-11-05T10:00:00Z", 4, "positive")
    desk.rating("2026-11-05T11:00:00Z", 5, "positive")
    desk.rating("2026-11-05T12:00:00Z", 9, "positive", low=0, high=10)
    found = {v.by["scale"]: (v.value, v.n) for v in desk.values("csat_mean")}
    assert found == {"1–5": (4.5, 2), "0–10": (9, 1)}
    assert desk.value("csat").n == 3


def test_surveys_are_a_cohort_by_their_offer(desk: Desk) -> None:
    one = desk.conversation("2026-11-01T09:00:00Z")
    desk.survey(one, offered="2026-11-02T09:00:00Z", rated="2026-12-02T09:00:00Z")
    desk.survey(one, offered="2026-11-03T09:00:00Z")
    desk.survey(one, rated="2026-11-04T09:00:00Z")
    found = desk.value("csat_response_rate")
    assert (found.value, found.n, found.exclusions["not_offered"]) == (50, 2, 1)


def test_how_many_were_asked_is_unknown_where_the_source_never_tells(desk: Desk) -> None:
    first, second = desk.conversation("2026-11-01T09:00:00Z"), desk.conversation("2026-11-01T09:00:00Z")
    for one in (first, second):
        desk.episode(one, 1, "2026-11-01T09:00:00Z", "2026-11-02T09:00:00Z")
    desk.survey(first, rated="2026-11-02T10:00:00Z")
    assert (desk.value("csat_asked_rate").value, desk.value("csat_asked_rate").n) == (None, 0)
    desk.survey(first, offered="2026-11-02T09:00:00Z")
    assert (desk.value("csat_asked_rate").value, desk.value("csat_asked_rate").n) == (50, 2)
    desk.episode(first, 2, "2026-11-03T09:00:00Z", "2026-11-04T09:00:00Z")
    assert (desk.value("csat_asked_rate").value, desk.value("csat_asked_rate").n) == (50, 2)


def test_a_conversation_solved_twice_is_one_resolved_and_two_resolutions(desk: Desk) -> None:
    ann, bob = desk.named("agents", "Ann", "Bob")
    one = desk.conversation("2026-11-01T09:00:00Z")
    desk.episode(one, 1, "2026-11-01T09:00:00Z", "2026-11-02T09:00:00Z", agent_id=ann, last=0)
    desk.episode(one, 2, "2026-11-03T09:00:00Z", "2026-11-04T09:00:00Z", agent_id=bob)
    assert desk.value("resolved").value == 1
    assert desk.value("resolved_events").value == 2
    assert desk.value("reopens").value == 1
    assert desk.value("reopen_rate").value == 100
    assert desk.value("reopen_rate").interval is None
    assert [(v.by["agent"], v.value) for v in desk.values("resolved", by=["agent"])] == [("Bob", 1)]
    assert desk.value("resolved", period="2026-11-02").value == 1
    desk.episode(one, 3, "2026-11-05T09:00:00Z", "2026-11-06T00:00:00Z", agent_id=ann)  # the next day's
    assert desk.value("resolved", period="2026-11-04..2026-11-05").value == 1


def test_resolved_per_business_day_counts_days_with_any_opening(tmp_path: Path) -> None:
    weekdays = Schedule("UTC", ((((540, 1020)),),) * 4 + ((((540, 720)),), (), ()), ("2026-11-18",))
    desk = Desk(tmp_path, calendar=weekdays)
    with closing(desk.store):
        for hour in range(8):
            one = desk.conversation("2026-11-16T08:00:00Z")
            desk.episode(one, 1, "2026-11-16T08:00:00Z", f"2026-11-17T{hour:02}:00:00Z")
        found = desk.value("resolved_per_business_day", period="2026-W47")
        assert (found.value, found.n, found.denominator) == (2, 8, 4)
        weekend = desk.value("resolved_per_business_day", period="2026-11-21..2026-11-22")
        assert (weekend.value, weekend.note) == (None, "no business day")
        morning = from_iso("2026-11-17T08:00:00Z")
        assert desk.value("resolved_per_business_day", period="2026-W47", now=morning).denominator == 1


def test_without_general_opening_hours_a_business_day_is_one_of_any_inbox(tmp_path: Path) -> None:
    def one_day(day: int) -> Schedule:
        return Schedule("UTC", tuple(((540, 1020),) if i == day else () for i in range(7)))

    desk = Desk(tmp_path, inbox_calendars={"Shop": one_day(0), "Lab": one_day(5)})
    with closing(desk.store):
        desk.named("inboxes", "Shop", "Lab")
        id_ = desk.conversation("2026-11-16T08:00:00Z")
        desk.episode(id_, 1, "2026-11-16T08:00:00Z", "2026-11-17T09:00:00Z")
        assert desk.value("resolved_per_business_day", period="2026-W47").value == 0.5


def test_resolved_per_business_day_needs_opening_hours(desk: Desk) -> None:
    assert desk.value("resolved_per_business_day").note == "no opening hours are known"


def test_the_trend_never_compares_a_period_that_is_not_over(desk: Desk) -> None:
    for day in ("09", "16", "17"):
        desk.conversation(f"2026-11-{day}T09:00:00Z")
    assert desk.value("volume_trend", period="2026-W47").value == 1.0
    young = desk.value("volume_trend", period="2026-W47", now=from_iso("2026-11-20T09:00:00Z"))
    assert (young.value, young.n, young.note) == (None, 2, "the period is not over")
    assert desk.value("volume_trend", period="2026-W47", now=from_iso("2026-11-23T00:00:00Z")).value == 1.0


def test_touches_are_replies_per_resolved_conversation(desk: Desk) -> None:
    for replies in (1, 2, 6):
        one = desk.conversation("2026-11-01T09:00:00Z", agent_replies=replies)
        desk.episode(one, 1, "2026-11-01T09:00:00Z", "2026-11-02T09:00:00Z")
    found = desk.value("agent_touches")
    assert (found.value, found.n) == (3, 3)


def test_young_solves_are_provisional(desk: Desk) -> None:
    for day in ("01", "19"):
        one = desk.answered(f"2026-11-{day}T09:00:00Z", 60, first_contact_resolution=1)
        desk.episode(one, 1, f"2026-11-{day}T08:00:00Z", f"2026-11-{day}T09:30:00Z")
    unheard = desk.conversation("2026-11-01T08:00:00Z")
    desk.episode(unheard, 1, "2026-11-01T08:00:00Z", "2026-11-01T09:00:00Z")
    found = desk.value("first_contact_resolution", now=from_iso("2026-11-20T00:00:00Z"))
    assert (found.value, found.n) == (100, 2)
    assert (found.exclusions["provisional"], found.exclusions["unanswered"]) == (1, 1)
    week_old = desk.value("first_contact_resolution", now=from_iso("2026-11-26T09:30:00Z"))
    assert week_old.exclusions["provisional"] == 0


def test_a_customer_who_is_back_within_a_week_was_not_served_at_first_contact(desk: Desk) -> None:
    (team,) = desk.named("teams", "Support")
    desk.conn.execute("INSERT INTO contacts (id, source_id, vendor_id) VALUES (7, 1, 'u7')")
    one = desk.answered("2026-11-01T09:00:00Z", 60, first_contact_resolution=1, contact_id=7, team_id=team)
    desk.episode(one, 1, "2026-11-01T08:00:00Z", "2026-11-01T09:30:00Z")
    desk.conversation("2026-11-01T09:00:00Z", contact_id=7)  # while the first was still open
    desk.conversation("2026-11-02T09:00:00Z", contact_id=7, direction="outbound")
    desk.conversation("2026-11-02T09:00:00Z", contact_id=7, excluded="merged")
    desk.conversation("2026-11-08T09:30:00.001Z", contact_id=7)
    assert desk.value("first_contact_resolution_repeat_window").value == 100
    desk.conversation("2026-11-08T09:30:00Z", contact_id=7)
    assert desk.value("first_contact_resolution_repeat_window").value == 0
    assert desk.value("first_contact_resolution").value == 100


def test_what_a_bot_settled_may_come_back_for_three_days_after_it_was_over(desk: Desk) -> None:
    done = from_iso("2026-11-18T09:00:00Z")
    desk.conn.execute("INSERT INTO contacts (id, source_id, vendor_id) VALUES (7, 1, 'u7')")
    desk.conversation("2026-11-10T09:00:00Z", bot=1, status="done", last_done_at=done, contact_id=7)

    def found(now: str) -> tuple[float | None, int]:
        value = desk.value("bot_resolution", now=from_iso(now), period="2026-11-10")
        return value.value, value.exclusions["provisional"]

    assert found("2026-11-21T08:59:59Z") == (100, 1)
    assert found("2026-11-21T09:00:00Z") == (100, 0)
    desk.conversation("2026-11-21T09:00:00.001Z", contact_id=7)
    assert found("2026-11-22T09:00:00Z") == (100, 0)
    desk.conversation("2026-11-21T09:00:00Z", contact_id=7)
    assert found("2026-11-22T09:00:00Z") == (0, 0)


def test_a_bots_conversation_is_over_once_the_customer_was_silent_for_more_than_a_day(desk: Desk) -> None:
    desk.conn.execute("INSERT INTO contacts (id, source_id, vendor_id) VALUES (7, 1, 'u7')")
    desk.conversation("2026-11-09T09:00:00Z", contact_id=7)  # one before is no coming back
    said = from_iso("2026-11-10T09:00:00Z")
    desk.conversation("2026-11-10T09:00:00Z", bot=1, contact_id=7, last_customer_at=said)
    found = [desk.value("bot_resolution", now=said + 86_400_000 + more, period="2026-11-10").value for more in (0, 1)]
    assert found == [0, 100]


@pytest.mark.parametrize(
    ("answers", "low", "high", "value"),
    [
        ([("2026-11-11T09:00:00Z", 2)], 1, 5, 0),
        ([("2026-11-11T09:00:00Z", 3)], 1, 5, 100),
        ([("2026-11-11T09:00:00Z", 0)], 0, 1, 0),
        ([("2026-11-11T09:00:00Z", 1)], 0, 1, 100),
        ([("2026-11-11T09:00:00Z", 4)], 0, 10, 0),
        ([("2026-11-11T09:00:00Z", 1), ("2026-11-12T09:00:00Z", 5)], 1, 5, 100),
        ([("2026-11-11T09:00:00Z", 5), ("2026-11-12T09:00:00Z", 1)], 1, 5, 0),
        ([("2026-11-11T09:00:00Z", 5), ("2026-11-22T09:00:00Z", 1)], 1, 5, 100),
    ],
)
def test_what_was_rated_bad_a_bot_did_not_resolve_whoever_was_rated(
    desk: Desk, answers: list[tuple[str, float]], low: float, high: float, value: float
) -> None:
    """The latest answer by then counts: the facts leave ratings of a bot out of CSAT, so the answers are asked."""
    one = desk.conversation("2026-11-10T09:00:00Z", bot=1, status="done", last_done_at=from_iso("2026-11-10T09:30:00Z"))
    columns = "(id, source_id, vendor_id, conversation_id, low, high, seen_at)"
    desk.conn.execute(f"INSERT INTO ratings {columns} VALUES (1, 1, 'r', ?, ?, ?, 0)", (one, low, high))
    for at, score in answers:
        row = (from_iso(at), score, from_iso(at))
        desk.conn.execute("INSERT INTO answers (rating_id, at, score, seen_at) VALUES (1, ?, ?, ?)", row)
    assert desk.value("bot_resolution", now=from_iso("2026-11-20T09:00:00Z"), period="2026-11-10").value == value


# --- stock -----------------------------------------------------------------------------------------------------------


def test_the_backlog_is_what_lies_open_at_the_last_instant_of_each_day(desk: Desk) -> None:
    one, two = desk.conversation("2026-11-01T09:00:00Z"), desk.conversation("2026-11-02T09:00:00Z")
    desk.stock(one, "2026-11-01T09:00:00Z", "2026-11-03T00:00:00Z")  # done at midnight: still there the day before
    desk.stock(two, "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z")
    desk.stock(two, "2026-11-02T10:00:00Z", status="pending")
    days = desk.values("backlog", period="2026-10-31..2026-11-04", by=["day"], now=from_iso("2026-11-03T12:00:00Z"))
    assert [(v.by["day"][-2:], v.value) for v in days] == [("31", 0), ("01", 1), ("02", 2), ("03", 1), ("04", None)]
    by_status = desk.values("backlog", period="2026-11-02", by=["status"])
    assert [(v.by["status"], v.value) for v in by_status] == [("open", 1), ("pending", 1)]


def test_what_is_done_at_the_very_instant_is_not_in_the_backlog_and_what_comes_then_is(desk: Desk) -> None:
    done, new = desk.conversation("2026-11-01T09:00:00Z"), desk.conversation("2026-11-02T00:00:00Z")
    desk.stock(done, "2026-11-01T09:00:00Z", "2026-11-02T00:00:00Z")
    desk.stock(new, "2026-11-02T00:00:00Z")
    midnight = from_iso("2026-11-02T00:00:00Z")  # when the day begins, it has begun
    assert list(desk.value("backlog", period="2026-11-02", now=midnight).ids) == [new]
    days = desk.values("backlog", period="2026-11-01..2026-11-02", by=["day"], now=midnight)
    assert [list(day.ids) for day in days] == [[done], [new]]


def test_the_backlog_of_a_period_to_come_does_not_exist(desk: Desk) -> None:
    assert desk.value("backlog", period="2026-11-20", now=from_iso("2026-11-01T00:00:00Z")).value is None


def test_ages_are_measured_at_the_instant_of_the_stock(desk: Desk) -> None:
    one = desk.conversation("2026-11-01T00:00:00Z")
    desk.stock(one, "2026-11-01T00:00:00Z")
    now = from_iso("2026-11-03T06:00:00Z")
    assert desk.value("backlog_age", "median", now=now).value == 54 * 3600
    days = desk.values("backlog_age", by=["day"], period="2026-11-01..2026-11-03", now=now)
    medians = [v.value for v in days if v.statistic == "median"]
    assert medians == pytest.approx([86_400, 2 * 86_400, 54 * 3600], abs=0.01)


def test_the_age_since_the_customer_wrote_is_right_for_an_earlier_instant_too(desk: Desk) -> None:
    one = desk.conversation("2026-11-01T00:00:00Z", last_customer_at=from_iso("2026-11-05T00:00:00Z"))
    desk.stock(one, "2026-11-01T00:00:00Z")
    for at in ("2026-11-01T00:00:00Z", "2026-11-05T00:00:00Z"):
        desk.conn.execute(
            "INSERT INTO messages (source_id, vendor_id, conversation_id, at, author, public, kind, length, seen_at)"
            " VALUES (1, ?, ?, ?, 'customer', 1, 'message', 1, 0)",
            (at, one, from_iso(at)),
        )
    early = desk.value("backlog_age_since_customer", "median", now=from_iso("2026-11-04T00:00:00Z"))
    late = desk.value("backlog_age_since_customer", "median", now=from_iso("2026-11-06T00:00:00Z"))
    assert (early.value, late.value) == (3 * 86_400, 86_400)


def late_message(desk: Desk, conversation: int, at: str, seen: str, public: int = 1) -> None:
    desk.conn.execute(
        "INSERT INTO messages (source_id, vendor_id, conversation_id, at, author, public, kind, length, seen_at)"
        " VALUES (1, ?, ?, ?, 'customer', ?, 'message', 1, ?)",
        (at, conversation, from_iso(at), public, from_iso(seen)),
    )


def test_the_age_since_the_customer_wrote_goes_by_what_was_known_then(desk: Desk) -> None:
    desk.conn.execute("UPDATE sources SET first_synced_at = 0")
    one = desk.conversation("2026-11-01T00:00:00Z", last_customer_at=from_iso("2026-11-05T00:00:00Z"))
    desk.stock(one, "2026-11-01T00:00:00Z")
    late_message(desk, one, "2026-11-01T00:00:00Z", "2026-11-01T00:01:00Z")
    late_message(desk, one, "2026-11-02T00:00:00Z", "2026-11-06T12:00:00Z")
    late_message(desk, one, "2026-11-02T06:00:00Z", "2026-11-02T06:01:00Z", public=0)

    def age(now: str) -> float | None:
        return desk.value("backlog_age_since_customer", "p90", period="2026-11-02", now=from_iso(now)).value

    assert age("2026-11-06T11:59:00Z") == pytest.approx(2 * 86_400, abs=0.01)
    assert age("2026-11-06T12:00:00Z") == pytest.approx(86_400, abs=0.01)
    desk.conn.execute("UPDATE sources SET first_synced_at = ?", (from_iso("2026-11-07T00:00:00Z"),))
    assert age("2026-11-06T11:59:00Z") == pytest.approx(86_400, abs=0.01)  # nothing is known of what was known


def test_all_reaches_to_the_last_question_and_the_last_change_of_hands(desk: Desk) -> None:
    assert bounds(desk.conn) is None
    one = desk.conversation("2026-11-01T09:00:00Z")
    desk.wait(one, "2026-11-01T09:00:00Z", "2026-11-01T10:00:00Z")
    assert bounds(desk.conn) == (from_iso("2026-11-01T09:00:00Z"), from_iso("2026-11-01T10:00:00Z"))
    desk.wait(one, "2026-11-02T09:00:00Z", last_asked_at=from_iso("2026-11-03T09:00:00Z"))
    assert bounds(desk.conn) == (from_iso("2026-11-01T09:00:00Z"), from_iso("2026-11-03T09:00:00Z"))
    desk.stock(one, "2026-11-04T09:00:00Z")
    assert bounds(desk.conn) == (from_iso("2026-11-01T09:00:00Z"), from_iso("2026-11-04T09:00:00Z"))


# --- groups ----------------------------------------------------------------------------------------------------------


def test_groups_go_by_name_in_the_order_of_names(desk: Desk) -> None:
    support, billing = desk.named("teams", "Support", "billing")
    for team in (support, support, billing, None):
        desk.conversation("2026-11-05T10:00:00Z", team_id=team)
    found = [(v.by, v.value) for v in desk.values("conversation_volume", by=["team"])]
    assert found == [({"team": "billing"}, 1), ({"team": "Support"}, 2), ({"team": None}, 1)]


def test_two_agents_of_one_name_are_two(desk: Desk) -> None:
    desk.named("agents", "Sam", "Sam")
    for agent in (1, 2, 2):
        desk.conversation("2026-11-05T10:00:00Z", agent_id=agent)
    assert [(v.by["agent"], v.value) for v in desk.values("conversation_volume", by=["agent"])] == [
        ("Sam (Sam-1)", 1),
        ("Sam (Sam-2)", 2),
    ]


def test_volume_by_local_day_is_filled_with_zeros(tmp_path: Path) -> None:
    desk = Desk(tmp_path, zone="America/Los_Angeles")
    with closing(desk.store):
        desk.conversation("2025-03-11T06:30:00Z")  # Monday the 10th, 23:30 there
        days = desk.values("conversation_volume", period="2025-03-08..2025-03-11", by=["day"])
        assert [(v.by["day"], v.value) for v in days] == [
            ("2025-03-08", 0), ("2025-03-09", 0), ("2025-03-10", 1), ("2025-03-11", 0),
        ]  # fmt: skip
        week = desk.values("conversation_volume", period="2025-03-10", by=["hour_of_week"])
        assert len(week) == 168
        assert [v.by["hour_of_week"] for v in week if v.value] == ["Mon 23"]
        assert week[0].by["hour_of_week"] == "Mon 00"


def test_a_bucket_without_values_has_no_mean(desk: Desk) -> None:
    desk.answered("2026-11-02T10:00:00Z", after_s=60)
    found = desk.values("first_response_time", period="2026-11-01..2026-11-02", by=["day"], clock="calendar")
    assert [(v.value, v.n) for v in found if v.statistic == "median"] == [(None, 0), (60, 1)]


def test_every_team_has_every_day(desk: Desk) -> None:
    one, two = desk.named("teams", "One", "Two")
    desk.conversation("2026-11-01T10:00:00Z", team_id=one)
    desk.conversation("2026-11-02T10:00:00Z", team_id=two)
    found = desk.values("conversation_volume", period="2026-11-01..2026-11-02", by=["team", "day"])
    assert [v.value for v in found] == [1, 0, 0, 1]


def test_credit_goes_to_who_did_it(desk: Desk) -> None:
    owner, sender = desk.named("teams", "Owner", "Sender")
    desk.answered("2026-11-02T10:00:00Z", 60, team_id=owner, first_response_team_id=sender)
    assert [v.by["team"] for v in desk.values("first_response_time", by=["team"], clock="calendar")] == ["Sender"] * 4
    assert [v.by["team"] for v in desk.values("conversation_volume", by=["team"])] == ["Owner"]


def test_a_filter_keeps_its_rows_only(desk: Desk) -> None:
    support, billing = desk.named("teams", "Support", "Billing")
    for team, channel in ((support, "email"), (support, "sms"), (billing, "email"), (None, "email")):
        desk.conversation("2026-11-05T10:00:00Z", team_id=team, channel=channel)
    assert desk.value("conversation_volume", where={"team": "support", "channel": "email"}).value == 1
    assert desk.value("conversation_volume", where={"team": "none"}).value == 1


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"where": {"team": "Suport"}}, 'no team is called "Suport"; did you mean Support?'),
        ({"where": {"day": "2026-11-01"}}, '"day" cannot be filtered on'),
        ({"by": ["colour"]}, 'conversation_volume cannot be grouped by "colour"; it can be by channel'),
        ({"by": ["day", "week"]}, "group by one of day, week, month, hour_of_week at a time"),
    ],
)
def test_what_cannot_be_asked_is_said(desk: Desk, more: dict[str, Any], sentence: str) -> None:
    desk.named("teams", "Support")
    with pytest.raises(UsageError, match=re.escape(sentence)):
        desk.values("conversation_volume", **more)


def test_a_composite_refuses_what_none_of_its_parts_knows(desk: Desk) -> None:
    with pytest.raises(UsageError, match='team_performance cannot be grouped by "colour"'):
        desk.values("team_performance", by=["colour"])


def test_an_unknown_key_names_the_nearest(desk: Desk) -> None:
    with pytest.raises(UsageError, match=r"did you mean first_response_time\?"):
        desk.values("first_respons_time")


def test_few_cases_say_nothing_about_one_person(desk: Desk) -> None:
    ann, bob = desk.named("agents", "Ann", "Bob")
    for agent in [ann] * 5 + [bob] * 4:
        desk.answered("2026-11-02T10:00:00Z", 60, first_responder_id=agent)
    found = {v.by["agent"]: v for v in desk.values("first_response_time", by=["agent"], clock="calendar")}
    assert (found["Ann"].value, found["Ann"].n) == (60, 5)
    assert (found["Bob"].value, found["Bob"].n, found["Bob"].interval) == (None, 4, None)
    assert found["Bob"].note == "withheld: fewer than 5"
    assert desk.values("first_response_time", where={"agent": "Bob"}, clock="calendar")[0].value is None


def test_agents_are_in_the_order_of_names_not_of_values(desk: Desk) -> None:
    ann, bob = desk.named("agents", "Ann", "Bob")
    for agent, seconds in [(ann, 900), (bob, 60)] * 5:
        desk.answered("2026-11-02T10:00:00Z", seconds, first_responder_id=agent)
    found = desk.values("first_response_time", by=["agent"], clock="calendar")
    assert [v.by["agent"] for v in found if v.statistic == "median"] == ["Ann", "Bob"]


def test_the_load_and_its_spread_name_nobody(desk: Desk) -> None:
    one, two = desk.named("teams", "One", "Two")
    agents = desk.named("agents", "Ann", "Bob", "Cid")
    for team, agent, count in ((one, agents[0], 3), (one, agents[1], 1), (two, agents[2], 4)):
        for _ in range(count):
            id_ = desk.conversation("2026-11-02T09:00:00Z")
            desk.wait(id_, "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z", team_id=team, agent_id=agent)
    assert [(v.by["team"], v.value) for v in desk.values("load_share", by=["team"])] == [("One", 50), ("Two", 50)]
    spread = [(v.by["team"], v.value, v.n) for v in desk.values("load_spread", by=["team"])]
    assert spread == [("One", 0.5, 2), ("Two", None, 1)]
    unsigned = desk.conversation("2026-11-02T09:00:00Z")
    desk.wait(unsigned, "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z", team_id=two)
    assert desk.values("load_spread", by=["team"])[1].n == 1  # whose answer is not known is no agent


def test_a_composite_is_its_parts_side_by_side(desk: Desk) -> None:
    desk.answered("2026-11-02T10:00:00Z", 60, channel="sms")
    found = desk.values("channel_performance")
    whole = {(v.key, v.statistic, v.clock): v.value for v in desk.values("first_response_time", by=["channel"])}
    part = {(v.key, v.statistic, v.clock): v.value for v in found if v.key == "first_response_time"}
    assert part == whole
    assert all(v.by["channel"] == "sms" for v in found)


# --- what is left out ------------------------------------------------------------------------------------------------


def test_removed_conversations_are_counted_apart(desk: Desk) -> None:
    for reason in (None, "merged", "merged", "spam"):
        desk.conversation("2026-11-05T10:00:00Z", excluded=reason)
    desk.conversation("2026-11-05T10:00:00Z", direction="outbound")
    found = desk.value("conversation_volume")
    assert found.value == 1
    assert found.exclusions == {"agent_initiated": 1, "silent": 0, "merged": 2, "deleted": 0, "spam": 1}


@pytest.mark.parametrize("key", [k for k, m in registry.metrics().items() if isinstance(m, Metric)])
def test_a_removed_conversation_is_in_no_figure(desk: Desk, key: str) -> None:
    """Even if its rows were there: the same desk with and without it gives the same figures."""

    def fill(excluded: str | None) -> None:
        one = desk.answered(
            "2026-11-05T10:00:00Z", 60, 60, excluded=excluded, first_contact_resolution=1, one_touch=1, bot=1,
            first_any_response_at=from_iso("2026-11-05T10:00:00Z"), first_any_response_s=1, handoff_at=1, status="done",
        )  # fmt: skip
        desk.wait(one, "2026-11-05T09:00:00Z", "2026-11-05T10:00:00Z")
        desk.episode(one, 1, "2026-11-05T09:00:00Z", "2026-11-05T11:00:00Z", last=0)
        desk.episode(one, 2, "2026-11-06T09:00:00Z", "2026-11-06T11:00:00Z", needing_reply=1)
        desk.stock(one, "2026-11-05T09:00:00Z")

    fill(None)
    before = [(v.statistic, v.clock, v.value, v.n) for v in desk.values(key)]
    fill("merged")
    assert [(v.statistic, v.clock, v.value, v.n) for v in desk.values(key)] == before


def test_unanswered_and_our_own_are_named_beside_the_first_response(desk: Desk) -> None:
    desk.conversation("2026-11-05T10:00:00Z", first_asked_at=1)
    desk.conversation("2026-11-05T10:00:00Z", direction="outbound")
    found = desk.value("first_response_time", "median", "calendar")
    assert (found.exclusions["unanswered"], found.exclusions["agent_initiated"]) == (1, 1)


def promise(desk: Desk, due: str, completed: str | None, metric: str = "first_response_time") -> None:
    id_ = desk.conversation("2026-11-05T10:00:00Z")
    desk.conn.execute(
        "INSERT INTO fact_sla (conversation_id, seq, metric, clock, target_s, started_at, due_at, completed_at)"
        " VALUES (?, 1, ?, 'calendar', 60, 0, ?, ?)",
        (id_, metric, from_iso(due), completed and from_iso(completed)),
    )


def test_a_promise_is_kept_broken_or_still_running(desk: Desk) -> None:
    promise(desk, "2026-11-05T12:00:00Z", "2026-11-05T12:00:00Z")
    promise(desk, "2026-11-05T12:00:00Z", "2026-11-05T12:00:01Z")
    promise(desk, "2026-11-05T12:00:00Z", None)
    promise(desk, "2026-11-25T12:00:00Z", None)
    promise(desk, "2026-11-05T12:00:00Z", "2026-11-05T10:00:00Z", "resolution_time")
    now = from_iso("2026-11-20T00:00:00Z")
    found = {v.by["promise"]: v for v in desk.values("sla_attainment", now=now)}
    first = found["first_response_time"]
    assert (first.value, first.n) == (pytest.approx(100 / 3), 3)
    assert found["resolution_time"].value == 100
    assert {name: v.exclusions["active"] for name, v in found.items()} == {
        "first_response_time": 1, "resolution_time": 0,
    }  # fmt: skip


def test_a_broken_promise_counts_when_it_fell_due_and_one_due_this_instant_still_runs(desk: Desk) -> None:
    promise(desk, "2026-11-30T12:00:00Z", "2026-12-01T12:00:00Z")
    promise(desk, "2026-11-20T00:00:00Z", None)
    now = from_iso("2026-11-20T00:00:00Z")
    found = desk.value("sla_attainment", now=now, period="2026-11-20")
    assert (found.n, found.exclusions["active"]) == (0, 1)
    assert (desk.value("sla_attainment", now=now + 1, period="2026-11-20").value) == 0
    assert (desk.value("sla_attainment").value, desk.value("sla_attainment").n) == (0, 2)
    assert desk.value("sla_attainment", period="2026-12").n == 0


def test_a_customer_answered_at_the_very_instant_waits_no_more(desk: Desk) -> None:
    now = from_iso("2026-11-20T12:00:00Z")
    for answered in ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00.001Z"):
        one = desk.conversation("2026-11-20T09:00:00Z")
        desk.stock(one, "2026-11-20T09:00:00Z")
        desk.wait(one, "2026-11-20T09:00:00Z", answered)
    found = desk.values("waiting_now", "waiting_time", period="2026-11-20", now=now)
    assert [(v.value, list(v.ids)) for v in found] == [(1, [2]), (10_800, [2]), (10_800, [2])]


def test_promises_that_are_all_still_running_are_named_without_a_share(desk: Desk) -> None:
    promise(desk, "2026-11-25T12:00:00Z", None)
    found = desk.value("sla_attainment", now=from_iso("2026-11-20T00:00:00Z"))
    assert (found.value, found.n, found.by) == (None, 0, {"promise": "first_response_time"})
    assert found.exclusions["active"] == 1


# --- completeness ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("UPDATE sources SET last_synced_at = 5", "desk was last read at 1970-01-01T00:00:00.005Z"),
        ("UPDATE sources SET last_synced_at = NULL", "desk was never read to its end"),
        (
            "UPDATE sources SET state = 'auth', last_synced_at = NULL",
            "desk was never read to its end and cannot be read at present (auth)",
        ),
        ("DELETE FROM sources", "nothing has been read yet"),
    ],
)
def test_a_figure_says_when_data_is_missing(desk: Desk, sql: str, reason: str) -> None:
    assert desk.value("conversation_volume").complete
    desk.conn.execute(sql)
    assert desk.value("conversation_volume").incomplete == reason


@pytest.mark.parametrize(
    ("as_of", "reason"),
    [
        ("2026-11-30T00:00:00Z", "the period is not over"),
        ("2026-12-01T00:30:00Z", "desk was last read at 2026-11-30T23:40:00.000Z"),
        ("2026-12-01T00:59:00Z", "desk was last read at 2026-11-30T23:55:00.000Z"),
        ("2026-12-01T01:30:00Z", None),
        ("2026-12-02T00:00:00Z", None),
    ],
)
def test_as_of_an_instant_what_had_been_read_by_then_decides(desk: Desk, as_of: str, reason: str | None) -> None:
    """A run has read the desk as it was when it began; it tells that once it has ended."""
    desk.conn.execute("UPDATE sources SET first_synced_at = ?", (from_iso("2026-11-20T00:00:00Z"),))
    for what, outcome, began, ended in (
        ("sync", "ok", "2026-11-30T23:40:00Z", "2026-11-30T23:50:00Z"),
        ("sync", "failed", "2026-12-01T00:05:00Z", "2026-12-01T00:10:00Z"),
        ("check", "ok", "2026-12-01T00:15:00Z", "2026-12-01T00:20:00Z"),
        ("sync", "ok", "2026-11-30T23:55:00Z", "2026-12-01T00:50:00Z"),
        ("sync", "ok", "2026-12-01T00:55:00Z", "2026-12-01T01:05:00Z"),
    ):
        desk.conn.execute(
            "INSERT INTO runs (source_id, what, started_at, ended_at, outcome) VALUES (1, ?, ?, ?, ?)",
            (what, from_iso(began), from_iso(ended), outcome),
        )
    assert desk.value("conversation_volume", now=from_iso(as_of)).incomplete == reason


def test_as_of_an_instant_before_any_remembered_run_the_first_sync_counts(desk: Desk) -> None:
    desk.conn.execute("UPDATE sources SET first_synced_at = ?", (from_iso("2026-11-20T00:00:00Z"),))
    found = desk.value("conversation_volume", now=from_iso("2026-12-01T00:30:00Z"))
    assert found.incomplete == "desk was last read at 2026-11-20T00:00:00.000Z"


def test_a_period_that_was_read_to_its_end_stays_complete_when_the_source_breaks_later(desk: Desk) -> None:
    desk.conn.execute("UPDATE sources SET state = 'failing'")
    assert desk.value("conversation_volume").complete


def test_a_source_that_was_taken_out_of_the_config_keeps_nothing_waiting(desk: Desk) -> None:
    desk.conn.execute("INSERT INTO sources (name, adapter) VALUES ('gone', 'files')")
    assert not desk.value("conversation_volume").complete
    desk.config = replace(desk.config, services=(ServiceConfig("desk", "files", {}),))
    assert desk.value("conversation_volume").complete


def test_a_period_is_complete_from_its_very_end_on(desk: Desk) -> None:
    end = from_iso("2026-12-01T00:00:00Z")
    desk.conn.execute("UPDATE sources SET last_synced_at = ?", (end,))
    assert desk.value("conversation_volume", now=end).complete


def test_a_figure_of_a_period_under_way_is_not_complete(desk: Desk) -> None:
    young = desk.value("conversation_volume", now=from_iso("2026-11-20T00:00:00Z"))
    assert young.incomplete == "the period is not over"


@pytest.fixture
def silent(desk: Desk) -> Desk:
    desk.conversation("2026-11-03T09:00:00Z")
    desk.conn.execute("""UPDATE sources SET lacks = '{"csat": "no ratings", "csat_good_to_bad": "no ratings"}'""")
    return desk


def test_what_no_source_can_feed_is_absent_with_the_reason_and_never_0(silent: Desk) -> None:
    for key in ("csat", "csat_good_to_bad"):
        assert (silent.value(key).value, silent.value(key).note) == (None, "desk: no ratings")
    assert (silent.value("conversation_volume").value, silent.value("conversation_volume").note) == (1, None)


def test_what_another_source_feeds_is_there_and_says_who_does_not(silent: Desk) -> None:
    silent.conn.execute("INSERT INTO sources (name, adapter, last_synced_at) VALUES ('other', 'files', 9e15)")
    silent.source = silent.conn.execute("SELECT id FROM sources WHERE name = 'other'").fetchone()[0]
    silent.conversation("2026-11-04T09:00:00Z")
    assert (silent.value("csat_good_to_bad").value, silent.value("csat_good_to_bad").note) == (0, "desk: no ratings")


def test_what_is_asked_of_one_source_is_fed_or_not_by_that_one(silent: Desk) -> None:
    """A bucket without rows, too: 0 would say that nothing happened."""
    silent.conn.execute("INSERT INTO sources (name, adapter, last_synced_at) VALUES ('other', 'files', 9e15)")
    silent.source = silent.conn.execute("SELECT id FROM sources WHERE name = 'other'").fetchone()[0]
    silent.conversation("2026-11-04T09:00:00Z")
    told = {name: silent.value("csat_good_to_bad", where={"source": name}) for name in ("Desk", "other")}
    assert {name: (v.value, v.note) for name, v in told.items()} == {
        "Desk": (None, "desk: no ratings"), "other": (0, None),
    }  # fmt: skip
    silent.conn.execute("UPDATE sources SET lacks = json_object('conversation_volume', 'no') WHERE name = 'desk'")
    by = silent.values("conversation_volume", by=["source"])
    assert [(v.by["source"], v.value, v.note) for v in by] == [("desk", 1, "desk: no"), ("other", 1, None)]


def test_what_a_file_brings_for_a_source_that_gives_none_itself_counts(silent: Desk) -> None:
    silent.rating("2026-11-03T12:00:00Z", 5, "positive")
    assert silent.value("csat").value == 100


# --- descriptions ----------------------------------------------------------------------------------------------------

METRICS = registry.metrics()


@pytest.mark.parametrize("key", METRICS)
def test_every_kpi_is_described_in_both_languages(key: str) -> None:
    metric = METRICS[key]
    for words in (metric.title, metric.meaning):
        assert words.en.strip()
        assert words.fr.strip()
        assert words.en != words.fr
    assert metric.meaning.en.endswith(".")
    if isinstance(metric, Metric):
        assert set(metric.dimensions) <= set(DIMENSIONS)
        assert metric.headline is False or metric.aggregate != "spread"


@pytest.mark.parametrize("key", [k for k, m in METRICS.items() if isinstance(m, Metric)])
def test_every_kpi_can_be_computed_by_every_dimension_it_names_and_no_other(desk: Desk, key: str) -> None:
    metric = METRICS[key]
    for dimension in metric.dimensions:
        found = desk.values(key, by=[dimension], period="2026-11-20")
        assert bool(found) == (dimension in BUCKETS), dimension
    for dimension in set(DIMENSIONS) - set(metric.dimensions):
        with pytest.raises(UsageError, match="cannot be grouped by"):
            desk.values(key, by=[dimension])


def test_the_composites_name_kpis_that_exist() -> None:
    for composite in METRICS.values():
        if isinstance(composite, Composite):
            assert set(composite.parts) <= set(METRICS)


def test_the_table_names_every_kpi() -> None:
    table = markdown_table(METRICS.values())
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(METRICS)
    assert table.endswith("|\n")


def test_a_target_depends_on_the_channel_until_the_config_says_otherwise(desk: Desk) -> None:
    first = METRICS["first_response_time"]
    assert target_of(first, desk.config, {"channel": "email"}) == 4 * 3600
    assert target_of(first, desk.config, {"channel": "live_chat"}) == 300
    assert target_of(first, desk.config, {"channel": "instagram"}) == 3600
    assert target_of(first, desk.config, {}) is None
    own = Config(path=Path(), database=Path(), targets={"first_response_time": 60})
    assert target_of(first, own, {"channel": "email"}) == 60
    assert target_of(METRICS["csat"], desk.config, {}) == 80
    assert met(METRICS["csat"], 80, 80)
    assert not met(first, 60, 61)


def test_many_chunks_give_what_one_gives(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(25):
        desk.answered(f"2026-11-{i + 1:02}T10:00:00Z", i, channel="sms" if i % 2 else "email")
    whole = [(v.by, v.value, v.n) for v in desk.values("first_response_time", by=["channel"])]
    monkeypatch.setattr("connector.metric.scan.CHUNK", 4)
    assert [(v.by, v.value, v.n) for v in desk.values("first_response_time", by=["channel"])] == whole
