"""How fresh and whole the data is, and whether somebody has to do something: what monitoring asks for.

Imports nothing heavy: it may be asked every minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from connector.config import Config
from connector.models import Instant
from connector.store import Connection, Row

HOUR_S, DAY_S = 3600.0, 86_400.0
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
CRASHED_AFTER_S = 900.0
"""An action that has been "sending" for longer was cut off: nobody knows whether it arrived."""

SOURCES = """
SELECT s.id, s.name, s.state, s.since, s.reason, s.last_synced_at AS synced_at,
    (SELECT max(started_at) FROM runs WHERE source_id = s.id AND ended_at IS NULL) AS running_since,
    (SELECT max(ended_at) FROM runs WHERE source_id = s.id AND what = 'sync' AND outcome = 'ok') AS finished_at,
    (SELECT count(*) FROM rejects WHERE source_id = s.id) AS rejected,
    (SELECT count(*) FROM conversations WHERE source_id = s.id) AS conversations,
    -- one pass over the table; by its index on the vendor's ids it would take several times as long
    (SELECT max(at) FROM messages NOT INDEXED WHERE source_id = s.id) AS latest_message
FROM sources s ORDER BY s.name
"""
DIGEST = """
SELECT key, sent_at FROM outbox WHERE action = 'announce' AND state = 'sent' ORDER BY sent_at DESC LIMIT 1
"""
OUTBOX = """
SELECT key, CASE state WHEN 'sending' THEN 'unknown' ELSE state END AS state, claimed_at, error FROM outbox
WHERE state IN ('unknown', 'failed', 'mismatch') OR state = 'sending' AND claimed_at < :crashed ORDER BY claimed_at, key
"""
NOT_OUT = """
SELECT period, detail FROM ledger WHERE what = 'digest' AND state = 'failed' AND at < :hour_ago
    AND at > (SELECT max(at) FROM ledger WHERE what = 'digest' AND state <> 'failed') ORDER BY at DESC LIMIT 1
"""


@dataclass(frozen=True)
class SourceStatus:
    """``age_s`` is how old the data is: since the last run that read all streams to their end began. ``stale`` is
    whether too long has passed since one ended.

    ``configured`` is False for a source that the config no longer has: its data is kept and grows old.
    """

    name: str
    state: str
    since: Instant | None
    reason: str | None
    synced_at: Instant | None
    age_s: float | None
    stale: bool
    rejected: int
    conversations: int
    latest_message: Instant | None
    configured: bool


@dataclass(frozen=True)
class Status:
    """``problems`` are sentences for a person; none means that all is fresh and nothing is stuck.

    ``age_s`` is that of the oldest source still in the config, None when one was never read to its end.
    """

    now: Instant
    age_s: float | None
    sources: tuple[SourceStatus, ...]
    digest: dict[str, Any] | None
    outbox: tuple[dict[str, Any], ...]
    problems: tuple[str, ...]


def status(conn: Connection, config: Config, now: Instant) -> Status:
    limit = late_after_s(config.schedule.get("sync", ""))
    names = {service.name for service in config.services}
    sources = tuple(_source(row, row["name"] in names, limit, now) for row in conn.execute(SOURCES))
    crashed = {"crashed": now - round(CRASHED_AFTER_S * 1000)}
    outbox = tuple(dict(row) for row in conn.execute(OUTBOX, crashed))
    digest = conn.execute(DIGEST).fetchone()
    ages = [source.age_s for source in sources if source.configured]
    return Status(
        now,
        None if not ages or None in ages else max(age for age in ages if age is not None),
        sources,
        dict(digest) if digest else None,
        outbox,
        (*_problems(sources, outbox), *_digest_problem(conn, config, now)),
    )


def _source(row: Row, configured: bool, limit: float, now: Instant) -> SourceStatus:
    first = row["synced_at"] is None
    since = row["running_since"] if first else row["synced_at"]
    age = None if since is None else (now - since) / 1000
    # A first sync takes hours, however often the later ones are: one under way is not late, nor is its end.
    idle = age if first or row["finished_at"] is None else (now - row["finished_at"]) / 1000
    late = idle is None or idle > (max(limit, late_after_s("")) if first else limit)
    return SourceStatus(
        row["name"],
        row["state"],
        row["since"],
        row["reason"],
        row["synced_at"],
        None if first else age,
        late,
        row["rejected"],
        row["conversations"],
        row["latest_message"],
        configured,
    )


def _problems(sources: tuple[SourceStatus, ...], outbox: tuple[dict[str, Any], ...]) -> list[str]:
    known = [source for source in sources if source.configured]
    found = [problem for source in known if (problem := _problem(source))]
    unsure = [entry["key"] for entry in outbox if entry["state"] != "failed"]
    if unsure:
        found.append(f"{len(unsure)} of what was written may or may not have arrived, first: {unsure[0]}")
    return found if known else [*found, "nothing was read yet: run `deskpulse sync`"]


def _digest_problem(conn: Connection, config: Config, now: Instant) -> list[str]:
    """A chat that is down for a moment needs nobody; one that still has not got its digest an hour later does."""
    late = conn.execute(NOT_OUT, {"hour_ago": now - round(HOUR_S * 1000)}).fetchone()
    return (
        [f"the digest of {late['period']} is not out: {late['detail']}"] if late and "digest" in config.schedule else []
    )


def _problem(source: SourceStatus) -> str:
    if source.state == "auth":
        return f"{source.name} refuses its credential: {source.reason}"
    if source.stale and source.synced_at is None:
        return f"{source.name} was never read to its end: run `deskpulse sync {source.name}`"
    if source.stale:
        why = f" ({source.reason})" if source.reason else ""
        return f"{source.name} was not synced for too long{why}: run `deskpulse sync {source.name}`"
    return ""


def late_after_s(line: str) -> float:
    """How old data may be: twice the schedule's longest pause, at most two hours beyond it; 26 h without one."""
    pause = longest_pause_s(line)
    return min(2 * pause, pause + 2 * HOUR_S)


def longest_pause_s(line: str) -> float:
    """The longest time between two runs of a cron line, in seconds; a day where it is not understood.

    Days are taken roughly: every month has 31 of them, and a line for certain months pauses for a year.
    """
    try:
        minute, hour, day, month, weekday = line.split()
        times = sorted(h * 60 + m for h in _expand(hour, 24) for m in _expand(minute, 60))
        gap = _longest_gap(weekdays(weekday), 7) if day == "*" else _longest_gap(_expand(day, 32), 31)
        days = 365 if month != "*" else gap
    except ValueError:
        return DAY_S
    within = max((b - a for a, b in pairwise(times)), default=0)
    return 60.0 * max(within, days * 1440 - times[-1] + times[0])


def _expand(field: str, size: int) -> set[int]:
    """A cron field's values below ``size``; ValueError where it is not understood or empty."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        first, last = (0, size - 1) if span == "*" else (int(low), int(high or (size - 1 if step else low)))
        found.update(range(first, last + 1, int(step or 1)))
    if not found or not found <= set(range(size)):
        raise ValueError(field)
    return found


def weekdays(field: str) -> set[int]:
    """A cron field's weekdays: 0 is Sunday, and so is 7. ValueError where it is not understood."""
    for number, name in enumerate(WEEKDAYS):
        field = field.lower().replace(name, str(number))
    return {day % 7 for day in _expand(field.replace("-0", "-7"), 8)}


def _longest_gap(values: set[int], size: int) -> int:
    """The longest step from one value to the next, around the end."""
    ordered = sorted(values)
    return max(b - a for a, b in pairwise([*ordered, ordered[0] + size]))
