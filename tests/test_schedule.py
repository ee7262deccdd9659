"""The schedule: what is due is decided by the ledger, never by the timer."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from zoneinfo import ZoneInfo

import pytest

from connector import schedule
from connector.config import Config, DigestConfig
from connector.errors import ConfigError, Transient
from connector.schedule import Due

PARIS = ZoneInfo("Europe/Paris")
HOUR = 3_600_000
CONFIG = Config(
    path=Path("deskpulse.toml"),
    database=Path("deskpulse.db"),
    zone="Europe/Paris",
    schedule={"sync": "*/15 * * * *", "digest": "0 8 * * *"},
)


class HandClock:
    """A clock that stands where it was put."""

    def __init__(self, text: str) -> None:
        self.at(text)

    def at(self, text: str) -> None:
        self.instant = ms(text)

    def now(self) -> int:
        return self.instant

    def monotonic(self) -> float:
        return self.instant / 1000

    def sleep(self, seconds: float) -> None:
        self.instant += round(seconds * 1000)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp() * 1000)


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute(
        "CREATE TABLE ledger (what, period, scope, state, at, detail, PRIMARY KEY (what, period, scope))"
    )
    yield connection
    connection.close()


class Desk:
    """Runs ticks and remembers what was done and said."""

    def __init__(self, conn: sqlite3.Connection, config: Config = CONFIG, start: str = "2026-11-18 12:00") -> None:
        self.conn, self.config, self.clock = conn, config, HandClock(start)
        self.done: list[tuple[str, tuple[str, ...]]] = []
        self.said: list[str] = []
        self.broken: set[str] = set()
        schedule.start(conn, self.clock)

    def tick(self, text: str) -> list[tuple[str, tuple[str, ...]]]:
        self.clock.at(text)
        self.done = []
        jobs = dict.fromkeys(schedule.JOBS, self._job)
        self.fine = schedule.tick(self.conn, self.config, self.clock, jobs, self.said.append, Event())
        return [item for item in self.done if item[0] != "sync"]

    def _job(self, item: Due) -> str:
        if item.what in self.broken:
            raise Transient("the chat is down; it is tried again at the next wake")
        self.done.append((item.what, item.periods))
        return f"{item.what} done"


def test_the_first_start_syncs_at_once_and_sends_no_digest_of_the_past(conn: sqlite3.Connection) -> None:
    desk = Desk(conn)
    assert desk.tick("2026-11-18 12:00") == []
    assert desk.done == [("sync", ("2026-11-18T11:00:00.000Z",))]


def test_a_digest_is_due_once_for_the_day_before_however_often_the_program_restarts(conn: sqlite3.Connection) -> None:
    desk = Desk(conn)
    assert desk.tick("2026-11-19 07:59") == []
    assert desk.tick("2026-11-19 08:00") == [("digest", ("2026-11-18",))]
    assert desk.tick("2026-11-19 08:00") == []
    assert desk.tick("2026-11-19 23:00") == []
    assert desk.tick("2026-11-20 08:01") == [("digest", ("2026-11-19",))]


def test_after_a_downtime_the_missed_days_are_caught_up_in_one_digest(conn: sqlite3.Connection) -> None:
    desk = Desk(conn)
    assert desk.tick("2026-11-22 09:30") == [("digest", ("2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21"))]
    states = dict(conn.execute("SELECT period, state FROM ledger WHERE what = 'digest'").fetchall())
    assert states == {
        "start": "start",
        "2026-11-18": "superseded",
        "2026-11-19": "superseded",
        "2026-11-20": "superseded",
        "2026-11-21": "done",
    }
    assert desk.tick("2026-11-22 09:45") == []


def test_what_was_missed_before_a_restart_is_still_due_after_it(conn: sqlite3.Connection) -> None:
    Desk(conn)
    desk = Desk(conn, start="2026-11-21 12:00")
    assert desk.tick("2026-11-21 12:00") == [("digest", ("2026-11-18", "2026-11-19", "2026-11-20"))]


def test_a_digest_that_failed_stays_due_and_does_not_stop_the_sync(conn: sqlite3.Connection) -> None:
    desk = Desk(conn)
    desk.broken = {"digest"}
    assert desk.tick("2026-11-19 08:00") == []
    assert desk.done[0][0] == "sync"
    assert not desk.fine
    assert "the chat is down" in desk.said[-1]
    (failed,) = conn.execute("SELECT period, at, detail FROM ledger WHERE state = 'failed'").fetchall()
    assert tuple(failed) == ("2026-11-18", ms("2026-11-19 08:00"), desk.said[-1].partition(": ")[2])
    desk.broken = set()
    assert desk.tick("2026-11-19 08:15") == [("digest", ("2026-11-18",))]
    assert desk.fine


def test_the_hour_that_comes_twice_sends_one_digest(conn: sqlite3.Connection) -> None:
    config = dataclasses.replace(CONFIG, schedule={"digest": "30 2 * * *"})
    desk = Desk(conn, config, "2026-10-24 12:00")
    assert desk.tick("2026-10-25 02:30") == [("digest", ("2026-10-24",))]
    desk.clock.instant += HOUR  # 02:30 again, in winter time
    found = schedule.due(conn, config, desk.clock.instant)
    assert found == []
    assert desk.tick("2026-10-26 02:30") == [("digest", ("2026-10-25",))]


def test_the_hour_that_does_not_exist_still_gets_its_digest(conn: sqlite3.Connection) -> None:
    config = dataclasses.replace(CONFIG, schedule={"digest": "30 2 * * *"})
    desk = Desk(conn, config, "2026-03-28 12:00")
    sent = desk.tick("2026-03-29 04:00") + desk.tick("2026-03-30 04:00")
    assert sent[-1][1][-1] == "2026-03-29"
    assert [period for _, periods in sent for period in periods] == ["2026-03-28", "2026-03-29"]


def test_a_sync_missed_a_hundred_times_runs_once(conn: sqlite3.Connection) -> None:
    desk = Desk(conn)
    desk.tick("2026-11-18 12:00")
    desk.tick("2026-11-19 07:00")
    assert [what for what, _ in desk.done] == ["sync"]
    desk.tick("2026-11-19 07:01")
    assert desk.done == []


def test_a_stop_between_two_jobs_is_obeyed(conn: sqlite3.Connection) -> None:
    desk = Desk(conn)
    desk.clock.at("2026-11-19 08:00")
    stop, ran = Event(), []

    def job(item: Due) -> str:
        ran.append(item.what)
        stop.set()
        return ""

    schedule.tick(conn, CONFIG, desk.clock, {"sync": job, "push": job, "digest": job}, desk.said.append, stop)
    assert ran == ["sync"]
    assert [item.what for item in schedule.due(conn, CONFIG, desk.clock.now())] == ["digest"]


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("0 8 * * 1", "2026-11-23 08:00"),
        ("0 8 * * 0", "2026-11-22 08:00"),
        ("0 8 * * 7", "2026-11-22 08:00"),
        ("0 8 * * mon-fri", "2026-11-20 08:00"),
        ("0 8 * * 1-5", "2026-11-20 08:00"),
        ("*/15 * * * *", "2026-11-19 08:15"),
        ("0 8 * * sun-thu", "2026-11-22 08:00"),
        ("0 8 * * 0-4", "2026-11-22 08:00"),
        ("0 8 * * 0-6", "2026-11-20 08:00"),
        ("0 8 * * */2", "2026-11-21 08:00"),
        ("0 8 * * 1-5/2", "2026-11-20 08:00"),
        ("0 8 1 * sat", "2026-11-21 08:00"),
        ("0 8 25 * sat", "2026-11-21 08:00"),
        ("0 8 20 * sat", "2026-11-20 08:00"),
    ],
)
def test_cron_lines_mean_what_they_mean_to_cron(line: str, first: str) -> None:
    fired = next(schedule.fires(line, "Europe/Paris", ms("2026-11-19 08:00"), ms("2026-12-19 08:00")))
    assert fired == datetime.fromisoformat(first).replace(tzinfo=PARIS)


@pytest.mark.parametrize("line", ["8", "61 8 * * *", "0 8 * * noday", "0 8 * * 9", "0 8 31 2 *"])
def test_a_wrong_cron_line_names_its_setting(line: str) -> None:
    with pytest.raises(ConfigError, match=r"schedule\.digest"):
        schedule.trigger(line, "Europe/Paris", "digest")


def moments(line: str, zone: str, since: str, until: str) -> list[str]:
    """When the line fires, as the clock on the wall has it."""
    span = (round(datetime.fromisoformat(f"{at}+00:00").timestamp() * 1000) for at in (since, until))
    return [f"{moment:%d %H:%M %z}" for moment in schedule.fires(line, zone, *span)]


@pytest.mark.parametrize(
    ("line", "zone", "since", "expected"),
    [
        ("30 0 28-30 * *", "Europe/Paris", "2026-03-28", ["29 00:30 +0100", "30 00:30 +0200"]),
        ("0 0 * * mon", "Europe/Paris", "2026-03-28", ["30 00:00 +0200"]),
        ("0 0 1 * *", "Europe/Paris", "2026-03-28", ["01 00:00 +0200"]),
        ("30 2 28-30 * *", "Europe/Paris", "2026-03-28", ["28 02:30 +0100", "29 03:30 +0200", "30 02:30 +0200"]),
        ("0 0 5-7 * *", "America/Santiago", "2026-09-05", ["05 00:00 -0400", "06 01:00 -0300", "07 00:00 -0300"]),
        ("30 2 25,26 * *", "Europe/Paris", "2026-10-24", ["25 02:30 +0200", "25 02:30 +0100", "26 02:30 +0100"]),
    ],
)
def test_no_night_on_which_the_clocks_change_leaves_out_a_run(
    line: str, zone: str, since: str, expected: list[str]
) -> None:
    until = datetime.fromisoformat(since) + timedelta(days=5)
    assert moments(line, zone, since, until.isoformat()) == expected


@pytest.mark.parametrize(
    ("zone", "since", "hours"),
    [
        ("Europe/Paris", "2026-10-24T22:00", 26),
        ("Europe/Paris", "2026-03-28T22:00", 26),
        ("Australia/Lord_Howe", "2026-04-04T10:00", 26),
        ("America/Havana", "2026-11-01T00:00", 26),
    ],
)
def test_every_quarter_of_an_hour_stays_so_when_the_clocks_change(zone: str, since: str, hours: int) -> None:
    start = round(datetime.fromisoformat(f"{since}+00:00").timestamp() * 1000)
    found = [round(m.timestamp() * 1000) for m in schedule.fires("*/15 * * * *", zone, start, start + hours * HOUR)]
    assert found == list(range(start + HOUR // 4, start + hours * HOUR + 1, HOUR // 4))


def test_the_moment_it_begins_from_does_not_count_and_the_last_one_does() -> None:
    assert moments("0 8 * * *", "UTC", "2026-11-19T08:00", "2026-11-20T08:00") == ["20 08:00 +0000"]
    assert moments("0 8 * * *", "UTC", "2026-11-19T08:00", "2026-11-20T07:59") == []


@pytest.mark.parametrize(
    ("fired", "period"),
    [("2026-11-23 08:00", "2026-W47"), ("2026-11-25 08:00", "2026-W47"), ("2026-11-22 23:00", "2026-W46")],
)
def test_a_weekly_digest_is_about_the_last_whole_week(fired: str, period: str) -> None:
    config = dataclasses.replace(CONFIG, digest=DigestConfig(period="week"))
    moment = datetime.fromisoformat(fired).replace(tzinfo=PARIS)
    assert schedule.period_before(moment, config) == period


def test_running_without_a_schedule_says_what_to_add(conn: sqlite3.Connection) -> None:
    config = dataclasses.replace(CONFIG, schedule={})
    with pytest.raises(ConfigError, match=r"\[schedule\]"):
        schedule.run(conn, config, HandClock("2026-11-18 12:00"), {}, print, Event())


def test_a_wrong_cron_line_is_told_by_its_name_before_anything_is_done(conn: sqlite3.Connection) -> None:
    config = dataclasses.replace(CONFIG, schedule={"sync": "*/15 * * * *", "digest": "0 25 * * *"})
    with pytest.raises(ConfigError, match=r"schedule\.digest: \"0 25 \* \* \*\""):
        schedule.run(conn, config, HandClock("2026-11-18 12:00"), {}, print, Event())
    assert conn.execute("SELECT count(*) FROM ledger").fetchone()[0] == 0


class Wake(Event):
    """Waiting moves the clock on; after so many waits it is set."""

    def __init__(self, clock: HandClock, waits: int) -> None:
        super().__init__()
        self.clock, self.left = clock, waits

    def wait(self, timeout: float | None = None) -> bool:
        self.clock.sleep(timeout or 0)
        self.left -= 1
        if not self.left:
            self.set()
        return self.is_set()


def test_what_falls_due_while_a_long_sync_runs_is_done_when_it_ends_and_not_at_the_next_wake(
    conn: sqlite3.Connection,
) -> None:
    config = dataclasses.replace(CONFIG, schedule={"sync": "0 7 * * *", "digest": "0 8 * * *"})
    clock, done, said = HandClock("2026-11-19 06:59"), list[tuple[str, str]](), list[str]()
    schedule.start(conn, clock)
    schedule.tick(conn, config, clock, dict.fromkeys(schedule.JOBS, lambda due: ""), said.append, Event())

    def job(due: Due) -> str:
        done.append((due.what, datetime.fromtimestamp(clock.now() / 1000, PARIS).strftime("%d %H:%M")))
        clock.sleep(2 * 3600 if due.what == "sync" else 0)
        return due.what

    schedule.run(conn, config, clock, dict.fromkeys(schedule.JOBS, job), said.append, Wake(clock, 3))
    assert done == [("sync", "19 07:00"), ("digest", "19 09:00")]
    assert [line for line in said if "waiting" in line] == [
        "waiting until 2026-11-19 07:00 CET",
        "waiting until 2026-11-20 07:00 CET",
    ]


def test_a_clock_that_was_a_year_ahead_does_not_stop_the_work_for_a_year(conn: sqlite3.Connection) -> None:
    desk = Desk(conn)
    desk.tick("2026-11-18 12:00")
    desk.tick("2027-11-18 08:00")
    assert desk.tick("2026-11-19 08:00") == [("digest", ("2026-11-18",))]
    assert desk.done[0] == ("sync", ("2026-11-19T07:00:00.000Z",))


def test_a_first_start_by_a_clock_that_was_ahead_is_taken_back_at_the_next_one(conn: sqlite3.Connection) -> None:
    Desk(conn, start="2027-11-18 12:00")
    desk = Desk(conn, start="2026-11-18 12:00")
    assert desk.tick("2026-11-19 08:00") == [("digest", ("2026-11-18",))]


def test_a_digest_is_never_about_a_time_longer_ago_than_two_months(conn: sqlite3.Connection) -> None:
    desk = Desk(conn, start="2026-01-01 12:00")
    ((_, periods),) = desk.tick("2026-11-19 08:00")
    assert (len(periods), periods[0], periods[-1]) == (62, "2026-09-18", "2026-11-18")
