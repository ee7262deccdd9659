"""``deskpulse run``: do what is due, then wait.

Work is "which periods are not done", never "did the timer fire": the timer only wakes us, a ledger of
(what, period, scope) decides. So a restart or the repeated hour of a DST night does nothing twice, and after a
downtime one pass catches up. Only this module knows APScheduler, and of it only the cron lines: the ledger leaves
nothing for its job stores to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from threading import Event

from apscheduler.triggers.cron import CronTrigger

from connector.clock import Clock
from connector.config import Config
from connector.errors import ConfigError, ConnectorError
from connector.models import Instant, to_iso
from connector.store import Connection, transaction

JOBS = ("sync", "push", "digest")
"""In the order in which they run when several are due."""
LONGEST_CATCH_UP = timedelta(days=62)
"""Digest periods older than this are not measured again after a downtime."""

SLICE_S = 60.0

Job = Callable[["Due"], str]
"""Does one due thing; returns a line that says what was done. Raises ConnectorError."""


@dataclass(frozen=True)
class Due:
    """``periods`` oldest first; the last one is to be done, the others are only caught up on."""

    what: str
    fired_at: Instant
    periods: tuple[str, ...]


def due(conn: Connection, config: Config, now: Instant) -> list[Due]:
    """What should have happened up to ``now`` and is not in the ledger, in the order to do it."""
    lines = [(what, config.schedule[what]) for what in JOBS if config.schedule.get(what)]
    return [item for what, line in lines for item in _due(conn, config, what, line, now)]


def _due(conn: Connection, config: Config, what: str, line: str, now: Instant) -> list[Due]:
    since = _covered_until(conn, what)
    if what == "digest":
        return [] if since is None else _due_digests(conn, config, line, since, now)
    is_due = since is None or next(fires(line, config.zone, since, now), None)
    return [Due(what, now, (to_iso(now),))] if is_due else []


def _due_digests(conn: Connection, config: Config, line: str, since: Instant, now: Instant) -> list[Due]:
    earliest = max(since, now - int(LONGEST_CATCH_UP.total_seconds() * 1000))
    fired = list(fires(line, config.zone, earliest, now))
    periods = dict.fromkeys(period_before(moment, config) for moment in fired)
    done = conn.execute("SELECT period FROM ledger WHERE what = 'digest' AND state <> 'failed'").fetchall()
    open_ones = tuple(period for period in periods if period not in {row["period"] for row in done})
    return [Due("digest", _instant(fired[-1]), open_ones)] if open_ones else []


def tick(
    conn: Connection, config: Config, clock: Clock, jobs: dict[str, Job], say: Callable[[str], None], stop: Event
) -> bool:
    """Do all that is due; True if it went well. A job that fails is said, stays due, and does not stop the others."""
    fine = True
    for item in due(conn, config, clock.now()):
        if stop.is_set():
            break
        try:
            said = jobs[item.what](item)
        except ConnectorError as error:
            fine = False
            say(f"{item.what}: {error}")
            _record(conn, item.what, item.periods[-1], "failed", item.fired_at, str(error))
        else:
            say(said)
            _done(conn, item, said)
    return fine


def _done(conn: Connection, item: Due, said: str) -> None:
    for period in item.periods[:-1]:
        _record(conn, item.what, period, "superseded", item.fired_at, f"measured; {item.periods[-1]} was sent instead")
    _record(conn, item.what, item.periods[-1], "done", item.fired_at, said)


def run(
    conn: Connection, config: Config, clock: Clock, jobs: dict[str, Job], say: Callable[[str], None], stop: Event
) -> None:
    """Catch up, then wake at every line of ``[schedule]`` until ``stop`` is set; the job in hand is finished."""
    if not config.schedule:
        raise ConfigError("there is nothing to run: add a [schedule] with sync and digest", setting="schedule")
    for what, line in config.schedule.items():
        trigger(line, config.zone, what)
    start(conn, clock)
    while not stop.is_set():
        tick(conn, config, clock, jobs, say, stop)
        wake = next_fire(config, clock.now())
        say(f"waiting until {wake.astimezone(config.tz):%Y-%m-%d %H:%M %Z}")
        _wait(wake, clock, stop)


def start(conn: Connection, clock: Clock) -> None:
    """On the very first start, digests begin with the next one: nobody asked for those of the past."""
    if _covered_until(conn, "digest") is None:
        _record(conn, "digest", "start", "start", clock.now(), "the first start")


def _wait(wake: datetime, clock: Clock, stop: Event) -> None:
    """In short slices, so that a machine that slept or whose clock was set wakes in time."""
    while not stop.is_set() and clock.now() < _instant(wake):
        stop.wait(min(SLICE_S, (_instant(wake) - clock.now()) / 1000))


def next_fire(config: Config, now: Instant) -> datetime:
    """When the next line of ``[schedule]`` fires."""
    after = _moment(now) + timedelta(milliseconds=1)
    moments = [
        trigger(line, config.zone, what).get_next_fire_time(None, after) for what, line in config.schedule.items()
    ]
    soonest: datetime = min(moment for moment in moments if moment is not None)
    return soonest


def trigger(line: str, zone: str, what: str = "") -> CronTrigger:
    """A five-field cron line as cron reads it (0 and 7 are Sunday; APScheduler would count from Monday)."""
    fields = line.split()
    try:
        if len(fields) == 5:
            fields[4] = re.sub(r"(?<![/\d])\d+", _weekday, fields[4])
        return CronTrigger.from_crontab(" ".join(fields), timezone=zone)
    except (ValueError, IndexError) as error:
        raise ConfigError(
            f'schedule.{what}: "{line}" is not a cron line ({error}); write one like "0 8 * * mon-fri"',
            setting=f"schedule.{what}",
        ) from None


def _weekday(found: re.Match[str]) -> str:
    return ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")[int(found[0])]


def fires(line: str, zone: str, since: Instant, until: Instant) -> Iterator[datetime]:
    """The moments in (since, until] at which the line fires, oldest first."""
    clock, end = trigger(line, zone), _moment(until)
    after = _moment(since) + timedelta(milliseconds=1)
    # Asked anew from a UTC moment each time: with its own previous local one it circles in the hour that comes twice.
    while (moment := clock.get_next_fire_time(None, after)) is not None and moment.astimezone(UTC) <= end:
        yield moment
        after = moment.astimezone(UTC) + timedelta(milliseconds=1)


def interval_s(line: str, zone: str, now: Instant) -> float:
    """The longest pause, in seconds, between the next ten times the line fires: how old data may honestly be."""
    moments = list(islice(fires(line, zone, now, now + 40 * 86_400_000), 10))
    return max((b - a).total_seconds() for a, b in pairwise(moments))


def period_before(moment: datetime, config: Config) -> str:
    """The local day, or ISO week, that is over when a digest fires at ``moment``."""
    day = moment.astimezone(config.tz).date() - timedelta(days=1)
    if config.digest.period == "day":
        return day.isoformat()
    year, week, _ = (day - timedelta(days=day.weekday() + 1) if day.weekday() < 6 else day).isocalendar()
    return f"{year}-W{week:02d}"


def _covered_until(conn: Connection, what: str) -> Instant | None:
    row = conn.execute("SELECT MAX(at) FROM ledger WHERE what = ? AND state <> 'failed'", (what,)).fetchone()
    return None if row[0] is None else int(row[0])


def _record(conn: Connection, what: str, period: str, state: str, at: Instant, detail: str) -> None:
    with transaction(conn):
        if what != "digest":  # one row is enough to know until when it is done; digests keep their history
            conn.execute("DELETE FROM ledger WHERE what = ? AND state = ?", (what, state))
        conn.execute(
            "INSERT OR REPLACE INTO ledger (what, period, scope, state, at, detail) VALUES (?, ?, '', ?, ?, ?)",
            (what, period, state, at, detail),
        )


def _moment(instant: Instant) -> datetime:
    return datetime.fromtimestamp(instant / 1000, UTC)


def _instant(moment: datetime) -> Instant:
    return round(moment.timestamp() * 1000)
