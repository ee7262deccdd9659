from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlite_utils
from click.testing import CliRunner

from connector.cli import cli
from connector.clock import FixedClock
from connector.config import Config, from_tables
from connector.contract import Announcement
from connector.digest import Digest, compose, markdown, send, text
from connector.digest.announce import announcement
from connector.digest.change import change, verdict
from connector.digest.model import Cell, Line, Look, Reason, Table
from connector.digest.send import canonical
from connector.errors import BadPayload, ConfigError, ConnectorError, NotDone, Rejected, Transient, UsageError
from connector.language import day, duration, moment, number, percent
from connector.metric import Value, Words
from connector.models import Instant, from_iso
from connector.period import comparable, parse
from connector.store import Connection, connect
from connector.store.schema import migrations

GOLDEN = Path(__file__).parents[1] / "fixtures" / "digests"
ZONE = "Europe/Paris"
NOW = from_iso("2026-11-21T08:00:00+01:00")
HOUR = 3_600_000
FRIDAY = date(2026, 11, 20)
PERIOD = parse("2026-11-20", ZONE, NOW)

# --- numbers and dates in two languages ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (number(1234.5, "en", 1), "1,234.5"),
        (number(1234.5, "fr", 1), "1\u202f234,5"),
        (number(-0.04, "en", 1), "0.0"),
        (number(-4.2, "fr", 1), "−4,2"),
        (percent(1234.5, "fr"), "1\u202f234,5\u202f%"),
        (percent(82.5, "en"), "82.5%"),
        (duration(45, "en"), "45 s"),
        (duration(270, "en"), "4 min 30 s"),
        (duration(3840, "fr"), "1\u00a0h\u00a004\u00a0min"),
        (duration(3599.6, "en"), "1 h"),
        (duration(98_000, "en"), "1 d 3 h"),
        (duration(98_000, "fr"), "1\u00a0j\u00a03\u00a0h"),
        (duration(98_000, "en", days=False), "27 h 13 min"),
        (duration(86_390, "en"), "1 d"),
        (duration(239 * 3600, "en"), "9 d 23 h"),
        (duration(240 * 3600, "en"), "10 d"),
        (day(FRIDAY, "en"), "Friday 20 November 2026"),
        (day(FRIDAY, "fr"), "vendredi 20 novembre 2026"),
        (day(FRIDAY.replace(day=1), "fr"), "dimanche 1er novembre 2026"),
        (day(FRIDAY.replace(day=1), "en"), "Sunday 1 November 2026"),
        (moment(NOW, ZoneInfo(ZONE), "fr"), "21 novembre 2026 à 08:00"),
    ],
)
def test_numbers_durations_and_dates_are_written_as_their_readers_write_them(said: str, expected: str) -> None:
    assert said == expected


# --- golden digests --------------------------------------------------------------------------------------------------


def value(key: str, unit: str, amount: float | None, n: int, **more: Any) -> Value:
    statistic = {"seconds": "median", "percent": "share", "count": "count"}[unit]
    more.setdefault("clock", "calendar" if unit == "seconds" else None)
    return Value(key=key, statistic=statistic, unit=unit, value=amount, n=n, **more)


def line(title: Words, now: Value, before: Value | None, direction: str | None, **more: Any) -> Line:
    moved = change(now, before)
    return Line(title, now, before, moved, verdict(moved, direction), **more)


def share(key: str, positive: int, n: int, **more: Any) -> Value:
    return value(key, "percent", 100 * positive / n, n, numerator=positive, denominator=n, **more)


def count(key: str, n: int) -> Value:
    return value(key, "count", n, n)


FIRST_PASSPORT, RATED = "3f2a9c01be77", "a81b22c90d11"
VOLUME = Words("Conversations opened", "Volume de conversations")
FIRST = Words("First response time", "Délai de première réponse")
CSAT = Words("Customer satisfaction (CSAT)", "Satisfaction client (CSAT)")
SLA = Words("Promises kept (SLA)", "Respect des engagements (SLA)")


def full() -> Digest:
    """A day on which something got worse, something better, something moved and something did not."""
    first = value("first_response_time", "seconds", 3840.0, 96, interval=(3300.0, 4500.0))
    was = value("first_response_time", "seconds", 2520.0, 90, interval=(2100.0, 2900.0))
    hours = value("first_response_time", "seconds", 1500.0, 96, interval=(1200.0, 1800.0), clock="business")
    hours_was = replace(hours, value=1440.0, interval=(1000.0, 1700.0))
    promise = {"promise": "first_response_time"}
    lines = (
        line(VOLUME, count("conversation_volume", 1204), count("conversation_volume", 1001), None),
        line(FIRST, first, was, "lower", target=14_400.0, meets=True, passport=FIRST_PASSPORT),
        line(FIRST, hours, hours_was, "lower"),
        line(CSAT, share("csat", 58, 60), share("csat", 40, 55), "higher", target=80.0, meets=True, passport=RATED),
        line(SLA, share("sla_attainment", 70, 96, by=promise), share("sla_attainment", 85, 90, by=promise), "higher"),
        line(Words("Backlog", "Stock en attente"), count("backlog", 41), count("backlog", 44), "lower"),
        line(Words("Reopen rate", "Taux de réouverture"), value("reopen_rate", "percent", None, 0), None, "lower"),
    )  # fmt: skip
    columns = ((VOLUME, None), (FIRST, None), (SLA, "first_response_time"))
    none, kept = Cell(None, 0, "percent", None), Cell(92.5, 40, "percent", None)
    channels = (
        ("email", (Cell(900, 900, "count", None), Cell(15_000.0, 60, "seconds", False), none)),
        (
            "live_chat",
            (Cell(304, 304, "count", None), Cell(130.0, 36, "seconds", True), kept),
        ),
    )
    teams = (
        ("Returns", (Cell(700, 700, "count", None), Cell(4000.0, 50, "seconds", None), none)),
        (None, (Cell(504, 504, "count", None), Cell(3500.0, 46, "seconds", None), none)),
    )
    look = (
        Look("waiting", "1042", "https://desk.example/1042", 183_600.0),
        Look("breached", "1077", "https://desk.example/1077", 9000.0, "first_response_time"),
        Look("low-rated", "1101", None, 1.0, "1–5"),
    )
    return Digest(
        period=PERIOD,
        before=comparable(PERIOD, ZONE),
        zone=ZONE,
        now=NOW,
        data_until=NOW - HOUR,
        reasons=(Reason("paused", "chatwoot", NOW - 2 * HOUR), Reason("rejects", number=3)),
        lines=lines,
        tables=(Table("channel", columns, channels), Table("team", columns, teams)),
        look=look,
        passports={"first_response_time median calendar": FIRST_PASSPORT, "csat share": RATED},
    )


def quiet() -> Digest:
    """A day on which nothing clearly moved."""
    now = value("first_response_time", "seconds", 2520.0, 48, interval=(2000.0, 3000.0))
    before = replace(now, value=2400.0, interval=(1900.0, 2900.0))
    lines = (
        line(VOLUME, count("conversation_volume", 48), count("conversation_volume", 50), None),
        line(FIRST, now, before, "lower"),
        line(CSAT, share("csat", 9, 10), share("csat", 11, 12), "higher"),
    )
    return replace(full(), lines=lines, tables=(), look=full().look[:1], reasons=(), passports={})


def first_ever() -> Digest:
    """A week that there is nothing to compare with, and not all of whose data is in."""
    week = parse("2026-W46", ZONE, NOW)
    lines = (
        line(VOLUME, count("conversation_volume", 48), None, None),
        line(CSAT, value("csat", "percent", None, 0), None, "higher"),
    )
    reasons = (Reason("open"), Reason("never", "chatwoot"), Reason("behind", "files", NOW - 9 * HOUR))
    return Digest(week, comparable(week, ZONE), ZONE, NOW, None, reasons, lines)


DIGESTS = {"full": full, "quiet": quiet, "first": first_ever}


def golden(name: str, said: str) -> None:
    """Compare exactly. To renew one on purpose, delete its file, run this once, and read what it then says."""
    path = GOLDEN / name
    if not path.exists():
        path.write_text(said, "utf-8")
        pytest.fail(f"{path} was missing and has been written: read it, then run again")
    assert said == path.read_text("utf-8")


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("name", DIGESTS)
def test_a_digest_reads_exactly_as_its_golden_one(name: str, language: str) -> None:
    golden(f"{name}.{language}.txt", text(DIGESTS[name](), language))


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("name", DIGESTS)
def test_a_digest_in_markdown_reads_exactly_as_its_golden_one(name: str, language: str) -> None:
    golden(f"{name}.{language}.md", markdown(DIGESTS[name](), language))


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("name", DIGESTS)
def test_a_digest_for_the_chat_is_exactly_its_golden_document(name: str, language: str) -> None:
    found = announcement(DIGESTS[name](), language, "digest:2026-11-20:slack")
    said = {"key": found.key, "fallback": found.fallback, "blocks": [[type(b).__name__, *b] for b in found.blocks]}
    golden(f"{name}.{language}.json", json.dumps(said, ensure_ascii=False, indent=1) + "\n")


def test_every_phrase_exists_in_both_languages_with_the_same_places_to_fill() -> None:
    from connector.digest.words import CHANNELS, SAY

    for name, words in {**SAY, **CHANNELS}.items():
        assert words.en, name
        assert words.fr, name
        assert {c for c in words.en if c.isdigit()} == {c for c in words.fr if c.isdigit()}, name


def test_no_line_breaks_between_a_french_word_and_the_sign_behind_it() -> None:
    from connector.digest.words import SAY

    for name, words in SAY.items():
        assert not re.search(r" [:;!?%]", words.fr), name
    assert not re.search(r"\w [:;!?%]", text(full(), "fr"))


def test_two_weeks_are_compared_in_a_sentence() -> None:
    week = parse("2026-W46", ZONE, NOW)
    found = replace(full(), period=week, before=comparable(week, ZONE))
    assert text(found, "en").splitlines()[:2] == [
        "Support from 9 November 2026 to 15 November 2026",
        "compared with 2 November 2026 to 8 November 2026",
    ]
    assert text(found, "fr").splitlines()[:2] == [
        "Support du 9 novembre 2026 au 15 novembre 2026",
        "par rapport à la période du 2 novembre 2026 au 8 novembre 2026",
    ]


@pytest.mark.parametrize(
    ("by", "french", "english"),
    [
        (1.94, "+1,9\u00a0point ", "+1.9 points "),
        (1.96, "+2,0\u00a0points ", "+2.0 points "),
        (-0.5, "−0,5\u00a0point ", "−0.5 points "),
        (-21.46, "−21,5\u00a0points ", "−21.5 points "),
    ],
)
def test_french_counts_points_in_the_plural_from_two_on(by: float, french: str, english: str) -> None:
    before = value("csat", "percent", 50.0, 90_000, interval=(49.9, 50.1))
    now = replace(before, value=50 + by, interval=(49.9 + by, 50.1 + by))
    found = replace(full(), lines=(line(CSAT, now, before, "higher"),))
    assert french in text(found, "fr")
    assert english in text(found, "en")


def test_business_time_is_told_in_hours_for_its_days_are_not_24_hours_long() -> None:
    hours = value("resolution_time", "seconds", 98_000.0, 9, clock="business")
    said = text(replace(full(), lines=(line(FIRST, hours, None, "lower"),)), "en")
    assert "27 h 13 min" in said


def test_a_figure_without_data_misses_no_target_and_has_no_passport_to_show() -> None:
    none = line(CSAT, value("csat", "percent", None, 0), share("csat", 9, 10), "higher", target=80.0, passport=RATED)
    said = text(replace(full(), lines=(*full().lines[:2], none), tables=()), "en")
    assert "Customer satisfaction (CSAT)  no data  n = 0\n" in said
    assert (FIRST_PASSPORT in said, RATED in said) == (True, False)


def test_in_the_chat_only_tables_stand_behind_how_complete_the_figures_are() -> None:
    blocks = announcement(full(), "en", "k").blocks
    behind = blocks[next(i for i, block in enumerate(blocks) if "Data as of" in str(block)) + 1 :]
    assert [type(block).__name__ for block in behind] == ["Context", "Context", *["Heading", "Table"] * 2]
    assert "! misses its target" in str(behind[1])
    assert "misses" not in str(announcement(replace(full(), tables=full().tables[1:]), "en", "k"))


def test_a_team_whose_name_breaks_the_line_does_not_break_the_table() -> None:
    table = Table("team", ((VOLUME, None),), (("  Returns \n&  co\t", (Cell(7, 7, "count", None),)),))
    assert "| Returns & co | 7 |" in markdown(replace(full(), tables=(table,)), "en")


# --- is it a change? -------------------------------------------------------------------------------------------------


def verdict_of(now: Value, before: Value | None, direction: str | None = "higher") -> str:
    return verdict(change(now, before), direction)


def test_a_share_has_changed_when_newcombes_interval_of_the_difference_excludes_nought() -> None:
    # Newcombe 1998, table II, method 10: 56/70 − 48/80 = 0.2000, 0.0524 to 0.3339; 9/10 − 3/10 = 0.6, 0.1705 to 0.8090.
    assert verdict_of(share("csat", 56, 70), share("csat", 48, 80)) == "better"
    found = change(share("csat", 56, 70), share("csat", 48, 80))
    assert found
    assert found.difference - found.difference / found.strength == pytest.approx(5.24, abs=0.005)
    assert verdict_of(share("csat", 9, 10), share("csat", 7, 10)) == "steady"


def test_a_median_has_changed_when_the_intervals_of_both_leave_no_doubt() -> None:
    before = value("first_response_time", "seconds", 2400.0, 50, interval=(2000.0, 2800.0))
    assert verdict_of(replace(before, value=3600.0, interval=(3000.0, 4000.0)), before, "lower") == "worse"
    assert verdict_of(replace(before, value=2600.0, interval=(2200.0, 3000.0)), before, "lower") == "steady"
    assert verdict_of(replace(before, value=9000.0, interval=None), before, "lower") == "steady"


def test_a_count_has_changed_when_chance_alone_would_hardly_do_it() -> None:
    fifty = value("conversation_volume", "count", 50, 50)
    assert verdict_of(replace(fifty, value=60), fifty, None) == "steady"
    assert verdict_of(replace(fifty, value=90), fifty, None) == "moved"


@pytest.mark.parametrize(("now", "expected"), [(114.0, "steady"), (114.2, "better"), (86.0, "steady"), (85.8, "worse")])
def test_two_figures_of_ten_more_or_less_differ_by_more_than_fourteen(now: float, expected: str) -> None:
    before = value("csat", "percent", 100.0, 50, interval=(90.0, 110.0))  # √(10² + 10²) = 14.14
    assert verdict_of(replace(before, value=now, interval=(now - 10, now + 10)), before) == expected


def test_a_rate_without_an_interval_of_its_own_gets_that_of_a_share_up_to_all_of_it() -> None:
    all_of_them = share("reopen_rate", 20, 20)
    assert verdict_of(all_of_them, share("reopen_rate", 2, 20), "lower") == "worse"
    assert verdict_of(share("reopen_rate", 21, 20), share("reopen_rate", 2, 20), "lower") == "steady"


def test_without_data_on_both_sides_there_is_nothing_to_compare() -> None:
    some, none = share("csat", 5, 10), value("csat", "percent", None, 0)
    assert [verdict_of(some, none), verdict_of(none, some), verdict_of(some, None)] == ["alone"] * 3


def test_the_clearest_worsening_comes_first() -> None:
    digest = full()
    worse = digest.of("worse")
    assert [one.value.key for one in worse] == ["sla_attainment", "first_response_time"]
    assert worse[0].change
    assert worse[1].change
    assert worse[0].change.strength > worse[1].change.strength


# --- compose, from facts ---------------------------------------------------------------------------------------------


@pytest.fixture
def conn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    db = sqlite_utils.Database(tmp_path / "deskpulse.db")
    migrations.apply(db)
    db.conn.close()
    # The fact rows are written by hand here: nothing derives them from conversations.
    monkeypatch.setattr("connector.facts.refresh", lambda conn, config: 0)
    found = connect(tmp_path / "deskpulse.db")
    found.execute("INSERT INTO sources (id, name, adapter, last_synced_at) VALUES (1, 'inbox', 'files', ?)", (NOW,))
    found.execute(
        "INSERT INTO teams (id, source_id, vendor_id, name) VALUES (1, 1, 't', 'Returns'), (2, 1, 'u', 'Sales')"
    )
    found.execute("INSERT INTO agents (id, source_id, vendor_id, name) VALUES (1, 1, 'a', 'Alice Agent')")
    yield found
    found.close()


def config_of(tmp_path: Path, **more: Any) -> Config:
    services = {"inbox": {"adapter": "files"}, "slack": {}}
    return from_tables(
        {"zone": ZONE, "services": services, "digest": {"to": ["slack"]}, **more}, tmp_path / "deskpulse.toml"
    )


COUNTS = (
    "customer_messages", "agent_replies", "agent_turns", "bot_messages", "private_notes", "transfers", "resolutions",
    "reopens", "reopens_needing_reply", "bot", "escalated", "abandoned",
)  # fmt: skip


def fact(conn: Connection, name: str, at: Instant, **columns: Any) -> int:
    """A conversation with its fact row, opened by its customer at an instant; returns its local id."""
    conn.execute(
        "INSERT INTO conversations (source_id, vendor_id, created_at, status, link, seen_at, checked_at) "
        "VALUES (1, ?, ?, 'open', ?, 0, 0)",
        (name, at, f"https://desk.example/{name}"),
    )
    own = int(conn.execute("SELECT last_insert_rowid()").fetchone()[0])
    row = {"conversation_id": own, "source_id": 1, "created_at": at, "channel": "email", "direction": "inbound"}
    row |= {"status": "open", "first_asked_at": at, "agent_id": 1, **dict.fromkeys(COUNTS, 0), **columns}
    conn.execute(
        f"INSERT INTO fact_conversations ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", [*row.values()]
    )
    return own


def answered(conn: Connection, count: int, start: Instant, seconds: float, **columns: Any) -> None:
    """Conversations opened from an instant on, a minute apart, each answered after about so many seconds."""
    for i in range(count):
        at, wait = start + i * 60_000, seconds + i
        answer = {"first_response_at": at + round(wait * 1000), "first_response_s": wait, "first_responder_id": 1}
        fact(conn, f"{start}-{i}", at, **answer, **columns)


def two_days(conn: Connection, now_s: float, before_s: float) -> None:
    """Thirty conversations on the day, thirty on the comparable day before."""
    answered(conn, 30, PERIOD.start + 9 * HOUR, now_s)
    answered(conn, 30, comparable(PERIOD, ZONE).start + 9 * HOUR, before_s)


def test_what_got_worse_is_found_in_the_facts_and_compared_with_the_same_weekday(
    conn: Connection, tmp_path: Path
) -> None:
    two_days(conn, 7200, 600)
    found = compose(conn, config_of(tmp_path), PERIOD, NOW)
    assert [one.value.key for one in found.of("worse")] == ["first_response_time"]
    first = found.of("worse")[0]
    assert (first.value.n, first.value.value, first.before and first.before.value) == (30, 7214.5, 614.5)
    assert (found.quiet, found.complete) == (False, True)
    assert found.before.text == "2026-11-13"


def test_a_figure_that_no_source_can_feed_is_named_with_who_does_not_tell_it(conn: Connection, tmp_path: Path) -> None:
    two_days(conn, 7200, 600)
    conn.execute("""UPDATE sources SET lacks = '{"csat": "it has no ratings"}'""")
    found = compose(conn, config_of(tmp_path), PERIOD, NOW)
    english, french = text(found, "en"), text(found, "fr")
    assert "Not told by inbox: Customer satisfaction (CSAT)." in english
    assert "Non fourni par inbox\u00a0: Satisfaction client (CSAT)." in french
    assert "CSAT" not in next(line for line in english.splitlines() if "No data" in line).partition("Not told")[0]


def test_a_figure_that_one_of_two_sources_can_feed_is_simply_without_data(conn: Connection, tmp_path: Path) -> None:
    two_days(conn, 7200, 600)
    conn.execute("""UPDATE sources SET lacks = '{"csat": "it has no ratings"}'""")
    conn.execute("INSERT INTO sources (id, name, adapter, last_synced_at) VALUES (2, 'other', 'files', ?)", (NOW,))
    conn.execute(
        "INSERT INTO conversations (source_id, vendor_id, created_at, status, seen_at, checked_at) "
        "VALUES (2, 'x', 1, 'open', 0, 0)"
    )
    config = config_of(tmp_path, services={"inbox": {"adapter": "files"}, "other": {"adapter": "files"}, "slack": {}})
    assert "Not told" not in text(compose(conn, config, PERIOD, NOW), "en")


def test_when_nothing_moved_the_digest_is_quiet(conn: Connection, tmp_path: Path) -> None:
    two_days(conn, 600, 600)
    conn.execute("UPDATE fact_conversations SET status = 'done'")
    found = compose(conn, config_of(tmp_path), PERIOD, NOW)
    assert found.quiet
    assert text(found, "en").startswith("Support on Friday 20 November 2026: nothing clearly moved; ")


def test_nothing_is_compared_while_the_period_is_not_over_or_before_the_data_begins(
    conn: Connection, tmp_path: Path
) -> None:
    two_days(conn, 7200, 600)
    running = compose(conn, config_of(tmp_path), PERIOD, PERIOD.end - 1)
    assert {one.verdict for one in running.lines} == {"alone"}
    assert [reason.what for reason in running.reasons] == ["open"]
    conn.execute("UPDATE sources SET last_synced_at = ?", (PERIOD.end - 1,))
    assert compose(conn, config_of(tmp_path), PERIOD, PERIOD.end - 1).reasons == running.reasons
    conn.execute("UPDATE sources SET last_synced_at = ?", (PERIOD.end,))
    over = compose(conn, config_of(tmp_path), PERIOD, PERIOD.end)
    assert (over.complete, [one.value.key for one in over.of("worse")]) == (True, ["first_response_time"])
    conn.execute("DELETE FROM fact_conversations WHERE created_at < ?", (PERIOD.start,))
    first = compose(conn, config_of(tmp_path), PERIOD, NOW)
    assert {one.verdict for one in first.lines} == {"alone"}
    assert "nothing to compare with yet" in text(first, "en")


def test_data_that_is_not_all_in_is_said_with_its_reason(conn: Connection, tmp_path: Path) -> None:
    conn.execute("UPDATE sources SET last_synced_at = ?", (PERIOD.end - 1,))
    conn.execute("INSERT INTO sources (name, adapter, state, since) VALUES ('down', 'files', 'auth', ?)", (NOW - HOUR,))
    conn.execute("INSERT INTO sources (name, adapter) VALUES ('new', 'files')")
    conn.execute("INSERT INTO rejects VALUES (1, 'message', '7', 'created_at: missing', 0, 0)")
    conn.execute("INSERT INTO sources (name, adapter) VALUES ('taken out of the config', 'files')")
    services = {"inbox": {"adapter": "files"}, "down": {"adapter": "files"}, "new": {"adapter": "files"}}
    found = compose(conn, config_of(tmp_path, services=services), PERIOD, NOW)
    assert [(reason.what, reason.name) for reason in found.reasons] == [
        ("paused", "down"), ("behind", "inbox"), ("never", "new"), ("rejects", ""),
    ]  # fmt: skip
    assert not found.complete
    assert "down cannot be read since 21 November 2026 07:00" in text(found, "en")


def test_before_anything_was_read_the_digest_says_so(conn: Connection, tmp_path: Path) -> None:
    for table in ("teams", "agents", "sources"):
        conn.execute(f"DELETE FROM {table}")
    found = compose(conn, config_of(tmp_path), PERIOD, NOW)
    assert (found.data_until, found.complete) == (None, False)
    assert "Not all data has been read yet, may still change: nothing has been read yet (" in text(found, "en")
    assert "toutes été lues, chiffres provisoires\u00a0: rien n'a encore été lu (" in text(found, "fr")


@pytest.mark.parametrize("last", [None, NOW - 100 * HOUR])
def test_a_source_that_was_taken_out_of_the_config_makes_the_data_no_older(
    last: Instant | None, conn: Connection, tmp_path: Path
) -> None:
    conn.execute("INSERT INTO sources (name, adapter, last_synced_at) VALUES ('gone', 'files', ?)", (last,))
    found = compose(conn, config_of(tmp_path), PERIOD, NOW)
    assert (found.data_until, found.complete) == (NOW, True)
    conn.execute("UPDATE sources SET last_synced_at = NULL WHERE name = 'inbox'")
    assert compose(conn, config_of(tmp_path), PERIOD, NOW).data_until is None


def test_channels_and_teams_stand_side_by_side_and_agents_never(conn: Connection, tmp_path: Path) -> None:
    answered(conn, 6, PERIOD.start + 9 * HOUR, 600, team_id=1, first_response_team_id=1)
    answered(conn, 6, PERIOD.start + 12 * HOUR, 30_000, team_id=2, first_response_team_id=2, channel="live_chat")
    found = compose(conn, config_of(tmp_path), PERIOD, NOW)
    assert [(table.by, [name for name, _ in table.rows]) for table in found.tables] == [
        ("channel", ["email", "live_chat"]), ("team", ["Returns", "Sales"]),
    ]  # fmt: skip
    # E-mail within four hours is met; live chat within five minutes is not.
    assert [cells[1].meets for _, cells in found.tables[0].rows] == [True, False]
    for said in (text(found, "en"), markdown(found, "fr"), str(announcement(found, "en", "k"))):
        assert "Alice" not in said


def test_self_service_is_a_figure_where_there_is_a_bot(conn: Connection, tmp_path: Path) -> None:
    answered(conn, 6, PERIOD.start + 9 * HOUR, 600)
    keys = {one.value.key for one in compose(conn, config_of(tmp_path), PERIOD, NOW).lines}
    conn.execute("UPDATE fact_conversations SET bot = 1 WHERE conversation_id = 1")
    assert {one.value.key for one in compose(conn, config_of(tmp_path), PERIOD, NOW).lines} - keys == {
        "self_service_rate"
    }


def test_an_admins_target_beats_the_default_ones(conn: Connection, tmp_path: Path) -> None:
    answered(conn, 6, PERIOD.start + 9 * HOUR, 600)
    found = compose(conn, config_of(tmp_path, targets={"first_response_time": 300}), PERIOD, NOW)
    assert [(one.target, one.meets) for one in found.lines if one.value.key == "first_response_time"] == [(300, False)]


def test_three_conversations_are_named_once_each_the_slowest_answer_standing_in(
    conn: Connection, tmp_path: Path
) -> None:
    patient = fact(conn, "patient", NOW - 50 * HOUR, waiting_since=NOW - 50 * HOUR)
    fact(conn, "waiting", NOW - 5 * HOUR, waiting_since=NOW - 5 * HOUR)
    answered(conn, 3, PERIOD.start + 9 * HOUR, 600)
    late = fact(conn, "late", PERIOD.start, first_response_at=PERIOD.start + 9 * HOUR, first_response_s=9 * 3600.0)
    bad = fact(conn, "bad", PERIOD.start)
    conn.execute(
        "INSERT INTO fact_ratings VALUES (?, ?, ?, 1, 1, 1, 5, 'negative', 'negative', 0, 0, NULL, NULL)",
        (bad, PERIOD.start + HOUR, PERIOD.start + HOUR),
    )
    named = [(look.why, look.conversation) for look in compose(conn, config_of(tmp_path), PERIOD, NOW).look]
    assert named == [("waiting", "patient"), ("low-rated", "bad"), ("slow", "late")]
    for seq, (own, hours) in enumerate(((patient, 9), (late, 8), (bad, 2)), 1):
        conn.execute(
            "INSERT INTO fact_sla (conversation_id, seq, metric, clock, target_s, started_at, due_at, completed_at) "
            "VALUES (?, ?, 'first_response_time', 'business', 3600, 0, ?, ?)",
            (own, seq, PERIOD.start + HOUR, PERIOD.start + (1 + hours) * HOUR),
        )
    found = compose(conn, config_of(tmp_path), PERIOD, NOW).look
    assert [(look.why, look.conversation) for look in found] == [
        ("waiting", "patient"), ("breached", "late"), ("low-rated", "bad"),
    ]  # fmt: skip
    assert found[1].figure == 8 * 3600


def rated(conn: Connection, own: int, score: float, high: int) -> None:
    at = PERIOD.start + HOUR
    conn.execute(
        "INSERT INTO fact_ratings VALUES (?, ?, ?, ?, ?, 1, ?, 'negative', 'negative', 0, 0, NULL, NULL)",
        (own, at, at, score, score, high),
    )


def promised(conn: Connection, own: int, due: Instant, completed: Instant | None) -> None:
    conn.execute(
        "INSERT INTO fact_sla (conversation_id, seq, metric, clock, target_s, started_at, due_at, completed_at) "
        "VALUES (?, 1, 'resolution_time', 'calendar', 3600, 0, ?, ?)",
        (own, due, completed),
    )


def test_what_counts_nowhere_is_kept_or_is_not_due_yet_is_nothing_to_look_at(conn: Connection, tmp_path: Path) -> None:
    noon, late = PERIOD.start + 12 * HOUR, {"first_response_at": PERIOD.start + HOUR, "first_response_s": 3600.0}
    fact(conn, "solved", PERIOD.start, waiting_since=PERIOD.start, status="done")
    fact(conn, "clock ahead", PERIOD.start, waiting_since=noon + 1)
    spam = fact(conn, "spam", PERIOD.start, waiting_since=PERIOD.start, excluded="spam", **late)
    fact(conn, "campaign", PERIOD.start, direction="outbound", **late)
    rated(conn, spam, 1, 5)
    promised(conn, spam, PERIOD.start + HOUR, None)
    promised(conn, fact(conn, "just in time", PERIOD.start), PERIOD.start + HOUR, PERIOD.start + HOUR)
    promised(conn, fact(conn, "due this afternoon", PERIOD.start), noon + HOUR, None)
    assert compose(conn, config_of(tmp_path), PERIOD, noon).look == ()


def test_the_lowest_rating_is_the_lowest_on_its_own_scale(conn: Connection, tmp_path: Path) -> None:
    rated(conn, fact(conn, "two of five", PERIOD.start), 2, 5)
    rated(conn, fact(conn, "three of ten", PERIOD.start), 3, 10)
    (look,) = compose(conn, config_of(tmp_path), PERIOD, NOW).look
    assert (look.conversation, look.detail) == ("three of ten", "1–10")


def test_a_good_rating_is_nothing_to_look_at(conn: Connection, tmp_path: Path) -> None:
    good = fact(conn, "good", PERIOD.start)
    conn.execute(
        "INSERT INTO fact_ratings VALUES (?, ?, ?, 5, 5, 1, 5, 'positive', 'positive', 0, 0, NULL, NULL)",
        (good, PERIOD.start + HOUR, PERIOD.start + HOUR),
    )
    assert compose(conn, config_of(tmp_path), PERIOD, NOW).look == ()


# --- sending ---------------------------------------------------------------------------------------------------------


class Chat:
    """A team chat that can be told to misbehave once."""

    def __init__(self) -> None:
        self.posted: list[Announcement] = []
        self.trouble: BaseException | None = None

    def announce(self, announcement: Announcement) -> str:
        trouble, self.trouble = self.trouble, None
        if trouble:
            raise trouble
        self.posted.append(announcement)
        return "ok"


class Http:
    def close(self) -> None: ...


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Chat:
    found = Chat()
    monkeypatch.setattr("connector.registry.connect", lambda service, config, clock: (found, Http()))
    return found


def states(conn: Connection) -> dict[str, str]:
    return {row["key"]: row["state"] for row in conn.execute("SELECT key, state FROM outbox")}


def sent(tmp_path: Path, **more: Any) -> list[str]:
    report = send(config_of(tmp_path), FixedClock(NOW), PERIOD, **more)
    return [state for _, state, _ in report.results]


def test_a_digest_is_sent_once_and_a_second_send_says_so(conn: Connection, tmp_path: Path, chat: Chat) -> None:
    assert [sent(tmp_path), sent(tmp_path)] == [["sent"], ["already"]]
    assert [one.key for one in chat.posted] == ["digest:2026-11-20:slack"]
    assert states(conn) == {"digest:2026-11-20:slack": "sent"}
    (run,) = conn.execute("SELECT what, outcome, detail FROM push_runs").fetchall()
    assert tuple(run) == ("digest", "done", '{"slack": "sent"}')
    report = send(config_of(tmp_path), FixedClock(NOW), PERIOD)
    assert report.line() == "digest of 2026-11-20: already sent to slack, not sent again"
    assert report.run is None


def test_the_figures_of_a_sent_digest_are_frozen_as_published_with_their_passports(
    conn: Connection, tmp_path: Path, chat: Chat
) -> None:
    two_days(conn, 7200, 600)
    sent(tmp_path)
    published = {row["id"] for row in conn.execute("SELECT id FROM results WHERE published = 'digest:2026-11-20'")}
    said = chat.posted[0].blocks[-1]
    passports = str(said).partition("(")[2].partition("first_response_time ")[2][:12]
    assert passports in published
    starts = {row[0] for row in conn.execute("SELECT DISTINCT period_start FROM results WHERE published IS NOT NULL")}
    assert starts == {PERIOD.start, comparable(PERIOD, ZONE).start}


def test_what_a_sync_has_just_brought_is_in_the_digest_that_is_sent(
    conn: Connection, tmp_path: Path, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refreshed(its_own: Connection, config: Config) -> int:
        answered(its_own, 7, PERIOD.start, 600)
        return 7

    monkeypatch.setattr("connector.facts.refresh", refreshed)
    sent(tmp_path)
    assert "Conversations opened: 7" in chat.posted[0].fallback


def test_what_was_not_sent_is_not_published(conn: Connection, tmp_path: Path, chat: Chat) -> None:
    chat.trouble = NotDone("it is down")
    sent(tmp_path)
    assert conn.execute("SELECT count(*) FROM results WHERE published IS NOT NULL").fetchone()[0] == 0


class Killed(BaseException):
    """The process is gone."""


def test_a_digest_of_unknown_fate_is_not_sent_again_unless_insisted(
    conn: Connection, tmp_path: Path, chat: Chat
) -> None:
    chat.trouble = Killed()
    with pytest.raises(Killed):
        sent(tmp_path)
    assert sent(tmp_path) == ["unknown"]
    assert chat.posted == []
    assert sent(tmp_path, again=True) == ["sent"]
    assert len(chat.posted) == 1


def test_a_kill_right_behind_the_post_does_not_lose_that_the_figures_were_published(
    conn: Connection, tmp_path: Path, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_days(conn, 7200, 600)

    def killed(*args: Any, **kwargs: Any) -> None:
        raise Killed

    monkeypatch.setattr("connector.push.outbox.settle", killed)
    with pytest.raises(Killed):
        sent(tmp_path)
    assert states(conn) == {"digest:2026-11-20:slack": "sending"}
    published = conn.execute("SELECT DISTINCT published FROM results WHERE published IS NOT NULL").fetchall()
    assert [row[0] for row in published] == ["digest:2026-11-20"]


def test_a_passing_failure_is_tried_again_a_refusal_only_when_insisted(
    conn: Connection, tmp_path: Path, chat: Chat
) -> None:
    chat.trouble = NotDone("it is down")
    assert [sent(tmp_path), sent(tmp_path)] == [["failed"], ["sent"]]
    conn.execute("DELETE FROM outbox")
    chat.trouble = Rejected("channel_not_found")
    assert [sent(tmp_path), sent(tmp_path), sent(tmp_path, again=True)] == [["refused"], ["refused"], ["sent"]]
    conn.execute("DELETE FROM outbox")
    chat.trouble = BadPayload("HTML instead of ok")
    assert [sent(tmp_path), sent(tmp_path)] == [["unknown"], ["unknown"]]


def test_a_period_has_one_key_however_it_is_asked_for(tmp_path: Path) -> None:
    asked = ("2026-W46", "last-week", "2026-11-09..2026-11-15")
    assert {canonical(parse(text, ZONE, NOW), ZONE) for text in asked} == {"2026-W46"}
    assert canonical(PERIOD, ZONE) == "2026-11-20"
    assert len({canonical(parse(text, ZONE, NOW), ZONE) for text in ("2026-10", "2026-10-01..2026-10-31")}) == 1


def test_sending_to_nobody_or_to_what_cannot_announce_is_a_config_error(
    conn: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="nobody to send the digest to"):
        send(config_of(tmp_path, digest={}), FixedClock(NOW), PERIOD)
    with pytest.raises(ConfigError, match=r"no \[services\.slakc\]; did you mean slack"):
        send(config_of(tmp_path, digest={"to": ["slakc"]}), FixedClock(NOW), PERIOD)
    monkeypatch.setattr("connector.registry.connect", lambda service, config, clock: (object(), Http()))
    with pytest.raises(ConfigError, match="slack cannot take announcements"):
        send(config_of(tmp_path), FixedClock(NOW), PERIOD)
    assert states(conn) == {}


# --- the command -----------------------------------------------------------------------------------------------------

TOML = f"""
demo = true
now = "2026-11-21T08:00:00+01:00"
zone = "{ZONE}"
[services.inbox]
adapter = "files"
[services.slack]
[digest]
to = ["slack"]
"""


def called(tmp_path: Path, *arguments: str) -> Any:
    (tmp_path / "deskpulse.toml").write_text(TOML, "utf-8")
    return CliRunner().invoke(cli, ["--config", str(tmp_path / "deskpulse.toml"), "digest", *arguments])


def test_the_digest_of_yesterday_is_previewed_unless_told_otherwise(conn: Connection, tmp_path: Path) -> None:
    two_days(conn, 7200, 600)
    assert called(tmp_path).output.startswith("Support on Friday 20 November 2026\n")
    assert called(tmp_path, "--format", "markdown", "--language", "fr").output.startswith(
        "# Support du vendredi 20 novembre 2026\n"
    )
    found = json.loads(called(tmp_path, "--json").output)
    assert (found["zone"], found["quiet"], found["complete"]) == (ZONE, False, True)
    first = next(one for one in found["values"] if one["key"] == "first_response_time")
    assert (first["value"], first["verdict"], len(first["passport"])) == (7214.5, "worse", 12)
    assert states(conn) == {}


def test_a_digest_that_may_have_arrived_is_not_sent_twice(conn: Connection, tmp_path: Path, chat: Chat) -> None:
    chat.trouble = Transient("it did not answer in time")
    report = send(config_of(tmp_path), FixedClock(NOW), PERIOD)
    assert "may or may not have reached" in report.problem()
    chat.trouble = None
    again = send(config_of(tmp_path), FixedClock(NOW), PERIOD)
    assert [state for _, state, _ in again.results] == ["unknown"]
    assert again.problem() == ""
    assert sent(tmp_path, again=True) == ["sent"]


def test_the_command_sends_and_fails_loudly(conn: Connection, tmp_path: Path, chat: Chat) -> None:
    chat.trouble = NotDone("it is down")
    failed = called(tmp_path, "--send")
    assert isinstance(failed.exception, ConnectorError)
    assert "not sent to slack" in str(failed.exception)
    assert called(tmp_path, "--send").output == "digest of 2026-11-20: sent to slack\n"
    assert json.loads(called(tmp_path, "--send", "--json").output)["results"] == [
        {"service": "slack", "state": "already", "error": None}
    ]


def test_a_digest_of_a_day_that_has_not_begun_is_refused(conn: Connection, tmp_path: Path) -> None:
    found = called(tmp_path, "--period", "2027-01-04")
    assert "the period 2027-01-04 had not begun" in str(found.exception)


def test_preview_and_send_exclude_each_other_and_again_needs_send(conn: Connection, tmp_path: Path) -> None:
    for arguments in (("--preview", "--send"), ("--again",)):
        assert isinstance(called(tmp_path, *arguments).exception, UsageError)


@pytest.mark.parametrize("command", [("digest",), ("push", "--plan")])
def test_previewing_and_planning_import_nothing_heavy(
    conn: Connection, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "deskpulse.toml").write_text(TOML, "utf-8")
    asked = ["deskpulse", "--config", str(tmp_path / "deskpulse.toml"), *command]
    code = (
        f"import sys; sys.argv = {asked!r}\n"
        "from connector.cli import cli\n"
        "cli.main(sys.argv[1:], standalone_mode=False)\n"
        "print(sorted({'pydantic', 'httpx', 'sqlite_utils', 'apscheduler', 'tenacity'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
