"""Whether all data of a period is in, and on how many of its days anybody was at work."""

from __future__ import annotations

import json

from connector.config import Config
from connector.models import Instant, to_iso
from connector.period import Period, days_within
from connector.store import Connection


def incomplete(conn: Connection, config: Config, period: Period, now: Instant) -> str | None:
    """Why figures of the period may still change, as a clause; None when every source has been read past its end.

    A source that the config no longer has will never be read again, so it keeps nothing waiting.
    """
    if now < period.end:
        return "the period is not over"
    sources = [row for row in conn.execute(_READ, {"now": now}) if _is_read(row[0], config)]
    for name, state, last in sources:
        if last is None or last < period.end:
            until = f"{name} was last read at {to_iso(last)}" if last else f"{name} was never read to its end"
            return until if state == "ok" else f"{until} and cannot be read at present ({state})"
    return None if sources else "nothing has been read yet"


# As of an earlier instant, the last reading is the last one that had ended by then; before the first, as for the facts,
# nothing is known of what was known, and today's stands.
_READ = """
SELECT name, state, CASE WHEN last_synced_at > :now AND first_synced_at <= :now THEN coalesce((SELECT max(started_at)
    FROM runs WHERE source_id = s.id AND what = 'sync' AND outcome = 'ok' AND ended_at <= :now), first_synced_at)
    ELSE last_synced_at END FROM sources s ORDER BY name
"""


def lacking(conn: Connection, config: Config) -> dict[str, dict[str, str]]:
    """By source that has conversations: the KPIs that it cannot feed, and why."""
    rows = conn.execute(
        "SELECT name, lacks FROM sources s WHERE EXISTS (SELECT 1 FROM conversations WHERE source_id = s.id) ORDER BY 1"
    )
    return {name: json.loads(lacks) for name, lacks in rows if _is_read(name, config)}


def _is_read(source: str, config: Config) -> bool:
    """One that the config no longer has keeps nothing waiting, and makes nothing old."""
    configured = {service.name for service in config.services}
    return source in configured or not configured


def data_until(conn: Connection, config: Config) -> Instant | None:
    """When the source that was read longest ago was read; None while one has not been."""
    rows = conn.execute("SELECT name, last_synced_at FROM sources")
    lasts = [last for name, last in rows if _is_read(name, config)]
    return min(lasts) if lasts and None not in lasts else None


def bounds(conn: Connection) -> tuple[Instant, Instant] | None:
    """The first and the last instant that any fact falls on; None without facts."""
    first = conn.execute("SELECT min(created_at) FROM fact_conversations").fetchone()[0]
    lasts = [conn.execute(f"SELECT max({column}) FROM {table}").fetchone()[0] for table, column in _DATED]
    return None if first is None else (first, max(instant for instant in lasts if instant is not None))


_DATED = (
    ("fact_conversations", "created_at"),
    ("fact_waits", "last_asked_at"),
    ("fact_waits", "answered_at"),
    ("fact_stock", "from_at"),
    ("fact_episodes", "resolved_at"),
    ("fact_episodes WHERE seq > 1", "opened_at"),
    ("fact_ratings", "answered_at"),
    ("fact_surveys", "offered_at"),
)


def business_days(conn: Connection, config: Config, start: Instant, end: Instant) -> int | None:
    """Local days with any opening time within [start, end), by the general opening hours, or where there are none by
    any inbox's; None without either."""
    from connector.facts.calendar import Calendar  # these two are slow to import, and few figures need them
    from connector.facts.rules import schedules

    found = schedules(conn, config)
    calendars = [Calendar(schedule) for schedule in ({found[None]} if None in found else set(found.values()))]
    if not calendars:
        return None
    return sum(
        any(calendar.open_ms(day.start, min(day.end, end)) for calendar in calendars)
        for day in days_within(Period(start, max(start + 1, end), ""), config.zone, end)
    )
