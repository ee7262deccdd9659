"""Periods of local days: what "yesterday" or "2026-W47" means in the reporting zone.

A period is half open, from one local midnight to another, so a day may last 23 or 25 hours. Weeks start on Monday.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from connector.errors import UsageError
from connector.models import Instant

FORMS = "2026-11-20, 2026-W47, 2026-11, 2026-11-01..2026-11-20, today, yesterday, last-7-days, last-week or all"
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HOURS_OF_WEEK = tuple(f"{day} {hour:02}" for day in WEEKDAYS for hour in range(24))
BUCKETS = ("day", "week", "month", "hour_of_week")


class Period(NamedTuple):
    """``start`` ≤ instant < ``end``, both local midnights; ``text`` is a form that ``parse`` takes."""

    start: Instant
    end: Instant
    text: str


def parse(text: str, zone: str, now: Instant, bounds: tuple[Instant, Instant] | None = None) -> Period:
    """One of FORMS → the period, in ``zone``. ``bounds`` are the first and last fact, which "all" spans.

    UsageError when the text is none of the forms. Without bounds, "all" is today.
    """
    first, last = _days(text.strip(), zone, now, bounds)
    if last < first:
        raise UsageError(f'the period "{text}" ends before it begins; write the earlier day first')
    return span(first, last, zone, text.strip())


def begun(period: Period, zone: str, now: Instant) -> Period:
    """The period itself; UsageError when it had not begun: a figure of nothing would look like one of a quiet day."""
    if period.start > now:
        local = datetime.fromtimestamp(now / 1000, ZoneInfo(zone)).isoformat()
        raise UsageError(f"the period {period.text} had not begun at {local}: ask for an earlier one")
    return period


def span(first: date, last: date, zone: str, text: str | None = None) -> Period:
    """The period of the local days ``first`` to ``last``, both included."""
    canonical = first.isoformat() if first == last else f"{first}..{last}"
    kept = text if text and text[0].isdigit() and ".." not in text else canonical
    return Period(midnight(first, zone), midnight(last + timedelta(days=1), zone), kept)


def midnight(day: date, zone: str) -> Instant:
    """The first instant of a local day, also where the clocks change at midnight and 00:00 does not exist."""
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return round(local.timestamp()) * 1000


def local_date(instant: Instant, zone: str) -> date:
    return _local(instant, ZoneInfo(zone)).date()


def days(period: Period, zone: str) -> list[date]:
    """The local days of the period, in order."""
    first = local_date(period.start, zone)
    count = (local_date(period.end - 1, zone) - first).days + 1
    return [first + timedelta(days=i) for i in range(count)]


def comparable(period: Period, zone: str) -> Period:
    """The period before, of the same length and on the same weekdays.

    Shifted back by the smallest multiple of 7 local days that is at least its length, so that the two never overlap.
    """
    mine = days(period, zone)
    shift = timedelta(days=-(-len(mine) // 7) * 7)
    return span(mine[0] - shift, mine[-1] - shift, zone)


def label(bucket: str, zone: str) -> Callable[[Instant], str]:
    """Instant → name of its local day (2026-11-20), week (2026-W47), month (2026-11) or hour of the week (Fri 09).

    Remembers what it found for every quarter of an hour, the finest grain at which a zone's offset moves.
    """
    tz, name, known = ZoneInfo(zone), _NAMES[bucket], dict[int, str]()

    def of(instant: Instant) -> str:
        quarter = instant // 900_000
        found = known.get(quarter)
        if found is None:
            found = known[quarter] = name(_local(instant, tz))
        return found

    return of


def buckets(bucket: str, period: Period, zone: str) -> dict[str, Instant]:
    """Every bucket that the period touches, in order, with the instant at which it (or the period) ends."""
    if bucket == "hour_of_week":
        return dict.fromkeys(HOURS_OF_WEEK, period.end)
    name, found = _NAMES[bucket], dict[str, Instant]()
    for day in days(period, zone):
        found[name(datetime(day.year, day.month, day.day, tzinfo=UTC))] = midnight(day + timedelta(days=1), zone)
    return found


_NAMES: dict[str, Callable[[datetime], str]] = {
    "day": lambda local: f"{local.year:04}-{local.month:02}-{local.day:02}",
    "week": lambda local: f"{local:%G-W%V}",
    "month": lambda local: f"{local.year:04}-{local.month:02}",
    "hour_of_week": lambda local: HOURS_OF_WEEK[local.weekday() * 24 + local.hour],
}


def _local(instant: Instant, tz: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(instant / 1000, tz)


def _days(text: str, zone: str, now: Instant, bounds: tuple[Instant, Instant] | None) -> tuple[date, date]:
    today = local_date(now, zone)
    if text == "all":
        first, last = bounds or (now, now)
        return local_date(first, zone), local_date(last, zone)
    try:
        for shape, read in _SHAPES:
            found = re.fullmatch(shape, text)
            if found:
                return read(found, today)
    except (ValueError, OverflowError):
        pass  # the shape is right but there is no such day: the sentence below serves both
    raise UsageError(f'"{text}" is not a period; write {FORMS}')


def _month(found: re.Match[str], today: date) -> tuple[date, date]:
    first = date(int(found[1]), int(found[2]), 1)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _week(found: re.Match[str], today: date) -> tuple[date, date]:
    first = date.fromisocalendar(int(found[1]), int(found[2]), 1)
    return first, first + timedelta(days=6)


def _back(first: int, last: int) -> Callable[[re.Match[str], date], tuple[date, date]]:
    return lambda found, today: (today - timedelta(days=first), today - timedelta(days=last))


def _last_week(found: re.Match[str], today: date) -> tuple[date, date]:
    monday = today - timedelta(days=today.weekday() + 7)
    return monday, monday + timedelta(days=6)


def _between(found: re.Match[str], today: date) -> tuple[date, date]:
    return date.fromisoformat(found[1]), date.fromisoformat(found[2])


# 2000 to 2099, as for the records: outside of it no helpdesk has data, and a typing mistake is likelier.
_DAY = r"(20\d\d-\d\d-\d\d)"
_SHAPES: tuple[tuple[str, Callable[[re.Match[str], date], tuple[date, date]]], ...] = (
    (_DAY, lambda found, today: (date.fromisoformat(found[1]), date.fromisoformat(found[1]))),
    (rf"{_DAY}\.\.{_DAY}", _between),
    (r"(20\d\d)-W(\d\d)", _week),
    (r"(20\d\d)-(\d\d)", _month),
    ("today", _back(0, 0)),
    ("yesterday", _back(1, 1)),
    ("last-7-days", _back(7, 1)),
    ("last-week", _last_week),
)


def days_within(period: Period, zone: str, until: Instant) -> Iterator[Period]:
    """The local days of the period that have begun before ``until``, one period each."""
    for day in days(period, zone):
        one = span(day, day, zone)
        if one.start < until:
            yield one
