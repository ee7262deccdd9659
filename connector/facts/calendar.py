"""Business time: how much of a stretch of real time lies within opening hours.

A week in local wall time becomes UTC intervals, walked local day by local day: along each stretch of time with one UTC
offset, so that a day on which the clocks change is simply a day with two stretches. What is asked for then is the
difference of two look-ups in the cumulative open time. Opening is inclusive, closing exclusive.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

from connector.models import Instant, Schedule

MINUTE_MS = 60_000
DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)
_HORIZON_YEARS = 20
"""A promise that opening hours cannot fill within so many years is never due."""


class Calendar:
    """The opening hours of one schedule, spread out over the years that were asked about."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self._zone = ZoneInfo(schedule.zone)
        self._holidays = {date.fromisoformat(day) for day in schedule.holidays}
        self._from: Instant = 0
        self._until: Instant = 0
        self._starts: list[Instant] = []
        self._ends: list[Instant] = []
        self._opened: list[int] = []

    def open_ms(self, a: Instant, b: Instant) -> int:
        """Milliseconds of opening time in [a, b); 0 when b <= a."""
        if b <= a:
            return 0
        if a < self._from or b > self._until:
            self._cover(a, b)
        starts, ends, opened = self._starts, self._ends, self._opened
        i, j = bisect_right(starts, a) - 1, bisect_right(starts, b) - 1
        if j < 0:
            return 0
        until = opened[j] + (b if b < ends[j] else ends[j]) - starts[j]
        return until if i < 0 else until - opened[i] - (a if a < ends[i] else ends[i]) + starts[i]

    def add(self, a: Instant, ms: int) -> Instant | None:
        """The earliest instant by which ``ms`` of opening time have passed since ``a``; None when that never comes."""
        if ms <= 0:
            return a
        for years in (0, 1, 3, _HORIZON_YEARS):
            self._cover(a, a + years * 366 * DAY_MS)
            due = self.open_ms(self._from, a) + ms
            if due <= self._opened[-1]:
                i = bisect_left(self._opened, due) - 1
                return self._starts[i] + due - self._opened[i]
        return None

    def _cover(self, a: Instant, b: Instant) -> None:
        """Spread the schedule over the years of a and b as well."""
        if self._from <= a and b <= self._until:
            return
        known = self._from < self._until
        self._from = min(_new_year(a), self._from) if known else _new_year(a)
        self._until = max(_new_year(b, 1), self._until)
        merged = _merged(sorted(self._intervals()))
        self._starts = [start for start, _ in merged]
        self._ends = [end for _, end in merged]
        self._opened = [0, *accumulate(end - start for start, end in merged)]

    def _intervals(self) -> Iterator[tuple[Instant, Instant]]:
        for begin, end, offset in _stretches(self._zone, self._from, self._until):
            for number in range((begin + offset) // DAY_MS, (end - 1 + offset) // DAY_MS + 1):
                yield from self._open_spans(number, begin, end, offset)

    def _open_spans(self, number: int, begin: Instant, end: Instant, offset: int) -> Iterator[tuple[Instant, Instant]]:
        day = _EPOCH + timedelta(days=number)
        if day in self._holidays:
            return
        for opens, closes in self.schedule.hours[day.weekday()]:
            start = max(begin, number * DAY_MS + opens * MINUTE_MS - offset)
            stop = min(end, number * DAY_MS + closes * MINUTE_MS - offset)
            if start < stop:
                yield start, stop


def _stretches(zone: ZoneInfo, start: Instant, end: Instant) -> Iterator[tuple[Instant, Instant, int]]:
    """[start, end) cut where the zone's UTC offset (ms) changes, to the second."""
    begin, offset = start, _offset(zone, start)
    for probe in range(start + DAY_MS, end + DAY_MS, DAY_MS):
        if _offset(zone, probe) != offset:
            change = _change(zone, probe - DAY_MS, probe, offset)
            yield begin, min(change, end), offset
            begin, offset = change, _offset(zone, probe)
    if begin < end:
        yield begin, end, offset


def _change(zone: ZoneInfo, before: Instant, after: Instant, offset: int) -> Instant:
    low, high = before // 1000, after // 1000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle * 1000) == offset else (low, middle)
    return high * 1000


def _offset(zone: ZoneInfo, t: Instant) -> int:
    shift = datetime.fromtimestamp(t / 1000, zone).utcoffset()
    return round(shift.total_seconds() * 1000) if shift else 0


def _merged(intervals: list[tuple[Instant, Instant]]) -> list[tuple[Instant, Instant]]:
    merged: list[tuple[Instant, Instant]] = []
    for start, end in intervals:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _new_year(t: Instant, later: int = 0) -> Instant:
    year = datetime.fromtimestamp(t / 1000, UTC).year + later
    return round(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1000)


Span = tuple[Instant | None, Instant | None]
Seconds = tuple[float | None, float | None]
"""Calendar and business seconds."""


class Elapsed(dict[Span, Seconds]):
    """``elapsed[a, b]``: seconds and business seconds from a to b, never negative.

    None without one of the ends, business None without a calendar. A dict, because one conversation asks for the same
    stretch many times.
    """

    def __init__(self, calendar: Calendar | None) -> None:
        self.calendar = calendar

    def __missing__(self, span: Span) -> Seconds:
        a, b = span
        if a is None or b is None:
            return None, None
        found = max(b - a, 0) / 1000, None if self.calendar is None else self.calendar.open_ms(a, b) / 1000
        self[span] = found
        return found
