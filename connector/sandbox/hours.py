"""Opening hours for telling a desk's story: open time between two moments, and the moment after so much open time."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connector.models import Schedule

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
PATIENCE_DAYS = 30


def schedule_of(neutral: dict[str, Any]) -> Schedule:
    """A neutral ``schedule`` → Schedule. ValueError names what is wrong."""
    try:
        _zone(neutral["zone"])
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of zones has a name too
        raise ValueError(f'schedule: "{neutral["zone"]}" is no time zone; write one like "Europe/Paris"') from None
    hours = neutral.get("hours", {})
    if unknown := set(hours) - set(DAYS):
        raise ValueError(f"schedule: no such day: {', '.join(sorted(unknown))}")
    week = tuple(tuple(_span(text) for text in hours.get(day, ())) for day in DAYS)
    return Schedule(neutral["zone"], week, tuple(neutral.get("holidays", ())))


def _span(text: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(text)
    start, end = (int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])) if found else (0, 0)
    if not start < end <= 1440:
        raise ValueError(f'schedule: "{text}" is not opening hours like "09:00-17:30"')
    return start, end


def local_day(schedule: Schedule, second: int) -> date:
    """The local date of a Unix second."""
    return datetime.fromtimestamp(second, _zone(schedule.zone)).date()


@cache
def spans(schedule: Schedule, day: date) -> tuple[tuple[int, int], ...]:
    """When the desk is open on a local date, as Unix seconds [from, to)."""
    if day.isoformat() in schedule.holidays:
        return ()
    return tuple(
        (_wall(schedule, day, start), _wall(schedule, day, end)) for start, end in schedule.hours[day.weekday()]
    )


def _wall(schedule: Schedule, day: date, minute: int) -> int:
    """A minute of the day by the clock on the wall, whatever the night did to it."""
    return int((datetime.combine(day, time(), _zone(schedule.zone)) + timedelta(minutes=minute)).timestamp())


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def open_seconds(schedule: Schedule, start: int, end: int) -> int:
    """Open time between two Unix seconds."""
    day, last, total = local_day(schedule, start), local_day(schedule, end), 0
    while day <= last:
        total += sum(max(0, min(end, b) - max(start, a)) for a, b in spans(schedule, day))
        day += timedelta(days=1)
    return total


def after(schedule: Schedule, start: int, seconds: int) -> int:
    """The Unix second at which so much open time has gone by; at once open at the earliest.

    A desk that never opens within a month counts every hour.
    """
    day, left = local_day(schedule, start), seconds
    for _ in range(PATIENCE_DAYS):
        for a, b in spans(schedule, day):
            room = b - max(start, a)
            if room > left:
                return max(start, a) + left
            left -= max(0, room)
        day += timedelta(days=1)
    return start + seconds
