"""``deskpulse run``: do what is due, then wait.

Work is "which periods are not done", never "did the timer fire": the timer only wakes us, a ledger of
(what, period, scope) decides. So a restart or the repeated hour of a DST night does nothing twice, and after a
downtime one pass catches up. Only this module knows APScheduler, and of it only the cron lines: the ledger leaves
nothing for its job stores to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from threading import Event
from zoneinfo import ZoneInfo

from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

from connector.clock import Clock
from connector.config import Config
from connector.errors import ConfigError, ConnectorError
from connector.models import LATEST, Instant, to_iso
from connector.status import WEEKDAYS, weekdays
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
    since = _covered_until(conn, what, now)
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
        began = clock.now()
        tick(conn, config, clock, jobs, say, stop)
        wake = next_fire(config, began)  # what fell due while we were at work is not put off
        if clock.now() < _instant(wake):
            say(f"waiting until {wake:%Y-%m-%d %H:%M %Z}")
        _wait(wake, clock, stop)


def start(conn: Connection, clock: Clock) -> None:
    """On the very first start, digests begin with the next one: nobody asked for those of the past."""
    if _covered_until(conn, "digest", clock.now()) is None:
        _record(conn, "digest", "start", "start", clock.now(), "the first start")


def _wait(wake: datetime, clock: Clock, stop: Event) -> None:
    """In short slices, so that a machine that slept or whose clock was set wakes in time."""
    while not stop.is_set() and clock.now() < _instant(wake):
        stop.wait(min(SLICE_S, (_instant(wake) - clock.now()) / 1000))


def next_fire(config: Config, now: Instant) -> datetime:
    """When the next line of ``[schedule]`` fires."""
    return min(next(fires(line, config.zone, now, LATEST)) for line in config.schedule.values())


def trigger(line: str, zone: str, what: str = "") -> OrTrigger:
    """A five-field cron line as cron reads it: 0 and 7 are Sunday (APScheduler counts from Monday), and of a day of the
    month and a weekday either will do (it asks for both). ConfigError when it is none, or never fires."""
    fields = line.split()
    try:
        if len(fields) == 5 and fields[4] != "*":
            fields[4] = ",".join(WEEKDAYS[day] for day in sorted(weekdays(fields[4])))
        either = [[*fields[:4], "*"], [*fields[:2], "*", *fields[3:]]] if "*" not in fields[2::2] else [fields]
        found = OrTrigger([CronTrigger.from_crontab(" ".join(one), timezone=zone) for one in either])
        if found.get_next_fire_time(None, _moment(0)) is None:
            raise ValueError("there is no such day")
    except (ValueError, IndexError) as error:
        raise ConfigError(
            f'schedule.{what}: "{line}" is not a cron line ({error}); write one like "0 8 * * mon-fri"',
            setting=f"schedule.{what}",
        ) from None
    return found


def fires(line: str, zone: str, since: Instant, until: Instant) -> Iterator[datetime]:
    """The moments in (since, until] at which the line fires, oldest first.

    A time that comes twice in an autumn night fires twice, one that a spring night leaves out as much later.
    """
    # Asked in a zone whose clocks change, APScheduler forgets what is due in the first hour after a spring night, or
    # circles in the hour that comes twice. So it is asked what the clock on the wall shows, and we say when that is.
    clock, tz = trigger(line, "UTC"), ZoneInfo(zone)
    day = _moment(since).astimezone(tz).date()
    while (wall := clock.get_next_fire_time(None, _midnight(day))) is not None:
        for moment in _on(clock, wall.date(), tz):
            if until < _instant(moment):
                return
            if since < _instant(moment):
                yield moment
        day = wall.date() + timedelta(days=1)


def _on(clock: OrTrigger, day: date, tz: ZoneInfo) -> list[datetime]:
    """The moments of a local day at which the clock on the wall shows a time that fires."""
    found, wall = set[datetime](), clock.get_next_fire_time(None, _midnight(day))
    while wall is not None and wall.date() == day:
        first, second = (wall.replace(tzinfo=tz, fold=fold).astimezone(UTC) for fold in (0, 1))
        found |= {first, max(first, second)}  # the second is earlier where the time does not exist
        wall = clock.get_next_fire_time(None, wall + timedelta(milliseconds=1))
    return [moment.astimezone(tz) for moment in sorted(found)]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def period_before(moment: datetime, config: Config) -> str:
    """The local day, or ISO week, that is over when a digest fires at ``moment``."""
    day = moment.astimezone(config.tz).date() - timedelta(days=1)
    if config.digest.period == "day":
        return day.isoformat()
    year, week, _ = (day - timedelta(days=day.weekday() + 1) if day.weekday() < 6 else day).isocalendar()
    return f"{year}-W{week:02d}"


def _covered_until(conn: Connection, what: str, now: Instant) -> Instant | None:
    """What was done at a time still to come was done by a wrong clock, and covers nothing."""
    sql = "SELECT MAX(at) FROM ledger WHERE what = ? AND state <> 'failed' AND at <= ?"
    at: Instant | None = conn.execute(sql, (what, now)).fetchone()[0]
    return at


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
