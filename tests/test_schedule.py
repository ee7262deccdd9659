"""The schedule: what is due is decided by the ledger, never by the timer."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from threading import Event
from zoneinfo import ZoneInfo

import pytest

from connector import schedule
from connector.config import Config, DigestConfig
from connector.errors import ConfigError, Transient
from connector.schedule import Due

PARIS = ZoneInfo("Europe/Paris")
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


def test_a_digest_that_failed_stays_due_and_does_not_stop_the_sync(conn: sqlite3.Connection) -> None:
    desk = Desk(conn)
    desk.broken = {"digest"}
    assert desk.tick("2026-11-19 08:00") == []
    assert desk.done[0][0] == "sync"
    assert not desk.fine
    assert "the chat is down" in desk.said[-1]
    desk.broken = set()
    assert desk.tick("2026-11-19 08:15") == [("digest", ("2026-11-18",))]
    assert desk.fine


def test_the_hour_that_comes_twice_sends_one_digest(conn: sqlite3.Connection) -> None:
    config = dataclasses.replace(CONFIG, schedule={"digest": "30 2 * * *"})
    desk = Desk(conn, config, "2026-10-24 12:00")
    assert desk.tick("2026-10-25 02:30") == [("digest", ("2026-10-24",))]
    desk.clock.instant += 3_600_000  # 02:30 again, in winter time
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
    ],
)
def test_cron_lines_mean_what_they_mean_to_cron(line: str, first: str) -> None:
    fired = next(schedule.fires(line, "Europe/Paris", ms("2026-11-19 08:00"), ms("2026-12-19 08:00")))
    assert fired == datetime.fromisoformat(first).replace(tzinfo=PARIS)


@pytest.mark.parametrize("line", ["8", "61 8 * * *", "0 8 * * noday", "0 8 * * 9"])
def test_a_wrong_cron_line_names_its_setting(line: str) -> None:
    with pytest.raises(ConfigError, match=r"schedule\.digest"):
        schedule.trigger(line, "Europe/Paris", "digest")


@pytest.mark.parametrize(
    ("fired", "period"),
    [("2026-11-23 08:00", "2026-W47"), ("2026-11-25 08:00", "2026-W47"), ("2026-11-22 23:00", "2026-W46")],
)
def test_a_weekly_digest_is_about_the_last_whole_week(fired: str, period: str) -> None:
    config = dataclasses.replace(CONFIG, digest=DigestConfig(period="week"))
    moment = datetime.fromisoformat(fired).replace(tzinfo=PARIS)
    assert schedule.period_before(moment, config) == period


def test_the_longest_pause_of_a_line_is_what_makes_data_old() -> None:
    assert schedule.interval_s("0 8 * * 1-5", "Europe/Paris", ms("2026-11-18 12:00")) == 3 * 86_400
    assert schedule.interval_s("*/15 * * * *", "Europe/Paris", ms("2026-11-18 12:00")) == 900


def test_running_without_a_schedule_says_what_to_add(conn: sqlite3.Connection) -> None:
    config = dataclasses.replace(CONFIG, schedule={})
    with pytest.raises(ConfigError, match=r"\[schedule\]"):
        schedule.run(conn, config, HandClock("2026-11-18 12:00"), {}, print, Event())
