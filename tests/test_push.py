from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlite_utils
from click.testing import CliRunner

from connector.cli import cli
from connector.clock import FixedClock
from connector.config import Config, from_tables
from connector.contract import TagChange
from connector.errors import AuthFailed, BadPayload, ConfigError, ConnectorError, Rejected, Transient, UsageError
from connector.models import OWN_NOTE_MARK, from_iso
from connector.pull import RunSummary
from connector.push import apply, plan, undo
from connector.push.run import pushing
from connector.store import Connection, connect
from connector.store.lock import lock_of, locked
from connector.store.schema import migrations

NOW = from_iso("2026-11-20T12:00:00+01:00")
HOUR = 3_600_000
FACT = {
    "status": "open", "customer_messages": 1, "agent_replies": 0, "agent_turns": 0, "bot_messages": 0,
    "private_notes": 0, "transfers": 0, "resolutions": 0, "reopens": 0, "reopens_needing_reply": 0, "bot": 0,
    "escalated": 0, "abandoned": 0, "channel": "email", "direction": "inbound",
}  # fmt: skip


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Life:
    """Of a process: it ends before its n-th statement or call, and then nothing of it runs any more."""

    left: int | None = None

    def step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed


LIFE = Life()


class MortalConnection(sqlite3.Connection):
    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        LIFE.step()
        return super().execute(*arguments)


def mortal(path: Path) -> MortalConnection:
    found = sqlite3.connect(path, isolation_level=None, factory=MortalConnection)
    found.row_factory = sqlite3.Row
    return found


def killed_at(step: int, act: Callable[[], Any]) -> bool:
    """Did the process get to that step, and end there?"""
    LIFE.left = step
    try:
        act()
    except Killed:
        return True
    finally:
        LIFE.left = None
    return False


class Desk:
    """A helpdesk that takes tags and notes, and can be told to misbehave at the next call of a name."""

    def __init__(self) -> None:
        self.held: dict[str, list[str]] = {}
        self.notes: dict[str, dict[str, str]] = {}
        self.calls: list[tuple[str, ...]] = []
        self.trouble: dict[tuple[str, str], BaseException] = {}
        self.after: dict[tuple[str, str], BaseException] = {}
        self.drops = False

    def _called(self, name: str, conversation: str) -> None:
        LIFE.step()
        self.calls.append((name, conversation))
        if (name, conversation) in self.trouble:
            raise self.trouble.pop((name, conversation))

    def _done(self, name: str, conversation: str) -> None:
        LIFE.step()
        if (name, conversation) in self.after:
            raise self.after.pop((name, conversation))

    def tags(self, conversation: str) -> tuple[str, ...]:
        self._called("tags", conversation)
        return tuple(self.held.get(conversation, []))

    def add_tag(self, conversation: str, tag: str) -> TagChange:
        self._called("add_tag", conversation)
        before = tuple(self.held.get(conversation, []))
        if self.drops:
            self.held[conversation] = [tag]
        elif tag not in before:
            self.held[conversation] = [*before, tag]
        self._done("add_tag", conversation)
        return TagChange(before, tuple(self.held[conversation]))

    def remove_tag(self, conversation: str, tag: str) -> TagChange:
        self._called("remove_tag", conversation)
        before = tuple(self.held.get(conversation, []))
        self.held[conversation] = [] if self.drops else [one for one in before if one != tag]
        self._done("remove_tag", conversation)
        return TagChange(before, tuple(self.held[conversation]))

    def add_note(self, conversation: str, text: str) -> str:
        self._called("add_note", conversation)
        mine = self.notes.setdefault(conversation, {})
        note = f"{conversation}-{len(mine) + 1}"
        mine[note] = text
        self._done("add_note", conversation)
        return note

    def find_note(self, conversation: str, text: str) -> str | None:
        self._called("find_note", conversation)
        return next((note for note, held in self.notes.get(conversation, {}).items() if held == text), None)

    def remove_note(self, conversation: str, note: str) -> None:
        self._called("remove_note", conversation)
        if note not in self.notes.get(conversation, {}):
            raise Rejected("no such note", status=404)
        del self.notes[conversation][note]
        self._done("remove_note", conversation)

    def writes(self) -> list[tuple[str, ...]]:
        return [call for call in self.calls if call[0] in ("add_tag", "add_note", "remove_tag", "remove_note")]


class CuttingDesk(Desk):
    """One that keeps only the beginning of a tag's name."""

    @staticmethod
    def tag_name(tag: str) -> str:
        return tag[:12]

    def add_tag(self, conversation: str, tag: str) -> TagChange:
        return super().add_tag(conversation, self.tag_name(tag))

    def remove_tag(self, conversation: str, tag: str) -> TagChange:
        return super().remove_tag(conversation, self.tag_name(tag))


class Files:
    """An adapter that can neither tag nor note."""


class Http:
    closed = 0

    def close(self) -> None:
        Http.closed += 1


@pytest.fixture
def conn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    db = sqlite_utils.Database(tmp_path / "deskpulse.db")
    migrations.apply(db)
    db.conn.close()
    # The fact rows are written by hand here: nothing derives them from conversations.
    monkeypatch.setattr("connector.facts.refresh", lambda conn, config: 0)
    found = connect(tmp_path / "deskpulse.db")
    found.execute("INSERT INTO sources (id, name, adapter) VALUES (1, 'inbox', 'inbox'), (2, 'files', 'files')")
    yield found
    found.close()


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, conn: Connection) -> Desk:
    return opened(Desk(), monkeypatch, conn)


@pytest.fixture
def cutting_desk(monkeypatch: pytest.MonkeyPatch, conn: Connection) -> CuttingDesk:
    return opened(CuttingDesk(), monkeypatch, conn)


T = TypeVar("T", bound=Desk)


def opened(found: T, monkeypatch: pytest.MonkeyPatch, conn: Connection) -> T:
    """The desk in the place of the config's inbox."""
    classes = {"inbox": Desk, "files": Files}

    def reread(config: Config, service: str, ids: list[str], clock: Any) -> RunSummary:
        found.calls.append(("reread", *ids))
        for one in ids:
            conn.execute(
                "UPDATE conversations SET tags = ? WHERE vendor_id = ?", (json.dumps(found.held.get(one, [])), one)
            )
        return RunSummary(service, "ok")

    monkeypatch.setattr("connector.registry.adapter_class", lambda name: classes[name])
    monkeypatch.setattr("connector.registry.connect", lambda service, config, clock: (found, Http()))
    monkeypatch.setattr("connector.pull.reread", reread)
    return found


def config_of(tmp_path: Path, language: str = "en", **push: Any) -> Config:
    rules = push.pop("rules", {"slow-first-response": {"over": "4h"}})
    raw = {
        "zone": "Europe/Paris",
        "language": language,
        "services": {"inbox": {}, "files": {}},
        "push": {"enabled": True, "rules": rules, **push},
    }
    return from_tables(raw, tmp_path / "deskpulse.toml")


def fact(conn: Connection, name: str, tags: tuple[str, ...] = (), source: int = 1, **columns: Any) -> int:
    """A conversation with its fact row; returns its local id."""
    conn.execute(
        "INSERT INTO conversations (source_id, vendor_id, created_at, status, tags, link, seen_at, checked_at) "
        "VALUES (?, ?, ?, 'open', ?, ?, 0, 0)",
        (source, name, NOW - 48 * HOUR, json.dumps(tags), f"https://desk.example/{name}"),
    )
    own = int(conn.execute("SELECT last_insert_rowid()").fetchone()[0])
    row = {"conversation_id": own, "source_id": source, "created_at": NOW - 48 * HOUR, **FACT, **columns}
    conn.execute(
        f"INSERT INTO fact_conversations ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", [*row.values()]
    )
    return own


def slow(conn: Connection, name: str, hours: float = 5, **more: Any) -> int:
    """A conversation that was answered after some hours, an hour ago (or `ago` hours)."""
    answered = NOW - round(more.pop("ago", 1) * HOUR)
    asked = answered - round(hours * HOUR)
    return fact(conn, name, first_asked_at=asked, first_response_at=answered, first_response_s=hours * 3600, **more)


NOTED = {"slow-first-response": {"note": True}}
TAG = "deskpulse-slow-first-response"


def states(conn: Connection) -> dict[str, str]:
    return {row["key"]: row["state"] for row in conn.execute("SELECT key, state FROM outbox ORDER BY key")}


def keys(found: Any) -> list[str]:
    return [action.key for action in found.todo]


# --- rules -----------------------------------------------------------------------------------------------------------


def pointed_at(conn: Connection, tmp_path: Path, rule: str, **settings: Any) -> dict[str, str]:
    """Conversation → reason, as one rule sees it."""
    found = plan(conn, config_of(tmp_path, rules={rule: settings}), NOW)
    return {action.conversation: action.reason for action in found.todo}


def test_slow_first_response_points_at_late_answers_and_at_waits_that_are_too_long_already(
    conn: Connection, tmp_path: Path
) -> None:
    slow(conn, "late", 5)
    slow(conn, "just-in-time", 4)
    slow(conn, "long-ago", 5, ago=8 * 24)
    fact(conn, "forgotten", first_asked_at=NOW - 8 * 24 * HOUR, waiting_since=NOW - 8 * 24 * HOUR)
    slow(conn, "removed", 5, excluded="deleted")
    slow(conn, "ours", 5, direction="outbound")
    fact(conn, "waiting", first_asked_at=NOW - 6 * HOUR, waiting_since=NOW - 6 * HOUR)
    fact(conn, "fresh", first_asked_at=NOW - HOUR, waiting_since=NOW - HOUR)
    fact(conn, "gave-up", first_asked_at=NOW - 6 * HOUR, status="done")
    assert pointed_at(conn, tmp_path, "slow-first-response", over="4h") == {
        "waiting": "no human reply for 6 h (limit 4 h)",
        "late": "first human reply after 5 h (limit 4 h)",
    }


@pytest.mark.parametrize("rule", ["slow-first-response", "unanswered", "sla-breached"])
def test_nobody_is_told_of_a_wait_that_is_longer_than_what_has_been_read(
    rule: str, conn: Connection, tmp_path: Path
) -> None:
    """The reply may have come since: a source that was read seven hours ago knows of waits of an hour."""
    asked = NOW - 8 * HOUR
    own = fact(conn, "quiet", first_asked_at=asked, waiting_since=asked)
    conn.execute(
        "INSERT INTO fact_sla (conversation_id, seq, metric, clock, target_s, started_at, due_at) "
        "VALUES (?, 1, 'first_response_time', 'calendar', 14400, ?, ?)",
        (own, asked, asked + 4 * HOUR),
    )
    settings = {} if rule == "sla-breached" else {"over": "4h"}
    conn.execute("UPDATE sources SET last_synced_at = ?", (NOW - 7 * HOUR,))
    assert pointed_at(conn, tmp_path, rule, **settings) == {}
    conn.execute("UPDATE sources SET last_synced_at = ?", (NOW - 2 * HOUR,))
    (said,) = pointed_at(conn, tmp_path, rule, **settings).values()
    assert ("2 h" if rule == "sla-breached" else "6 h") in said


def test_the_budget_goes_to_the_freshest_events_of_all_rules(conn: Connection, tmp_path: Path) -> None:
    slow(conn, "days-ago", ago=50)
    fact(conn, "since-yesterday", waiting_since=NOW - 25 * HOUR)
    fact(conn, "forgotten", waiting_since=NOW - 60 * 24 * HOUR, first_asked_at=NOW - 60 * 24 * HOUR)
    rules = {"slow-first-response": {"note": True}, "unanswered": {}}
    found = plan(conn, config_of(tmp_path, rules=rules, daily_budget=2), NOW)
    assert [(a.conversation, a.action) for a in found.todo + found.later] == [
        ("since-yesterday", "tag"), ("days-ago", "tag"), ("days-ago", "note"),
    ]  # fmt: skip
    assert len(found.later) == 1


def test_a_rule_without_a_threshold_of_its_own_takes_the_default(conn: Connection, tmp_path: Path) -> None:
    slow(conn, "late", 4.5)
    slow(conn, "fine", 3.5)
    assert list(pointed_at(conn, tmp_path, "slow-first-response")) == ["late"]


def test_sla_breached_points_at_the_latest_promise_that_was_due(conn: Connection, tmp_path: Path) -> None:
    def promise(name: str, seq: int, metric: str, due: int, completed: int | None) -> None:
        known = conn.execute("SELECT id FROM conversations WHERE vendor_id = ?", (name,)).fetchone()
        own = known["id"] if known else fact(conn, name)
        row = (own, seq, metric, "business", 3600.0, due - HOUR, due, completed)
        conn.execute(
            "INSERT INTO fact_sla (conversation_id, seq, metric, clock, target_s, started_at, due_at, completed_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )

    promise("kept", 1, "first_response_time", NOW - HOUR, NOW - HOUR)
    promise("broken", 1, "first_response_time", NOW - 3 * HOUR, NOW - 2 * HOUR)
    promise("broken", 2, "resolution_time", NOW - 3 * HOUR, None)
    promise("due-now", 1, "resolution_time", NOW, None)
    promise("old", 1, "resolution_time", NOW - 9 * 24 * HOUR, NOW - HOUR)
    promise("old-and-new", 1, "resolution_time", NOW - 9 * 24 * HOUR, None)
    promise("old-and-new", 2, "next_response_time", NOW - 5 * HOUR, None)
    fact(conn, "removed", excluded="spam")
    promise("removed", 1, "resolution_time", NOW - 3 * HOUR, None)
    assert pointed_at(conn, tmp_path, "sla-breached") == {
        "broken": "resolution 3 h overdue (promised within 1 h)",
        "old-and-new": "next response 5 h overdue (promised within 1 h)",
    }


def test_reopened_low_rated_unanswered_and_abandoned_conversations_are_pointed_at(
    conn: Connection, tmp_path: Path
) -> None:
    back, once = fact(conn, "back", reopens=2), fact(conn, "once")
    away = fact(conn, "away", reopens=1, excluded="merged")
    for own, seq, hours in ((back, 1, 30), (back, 2, 20), (back, 3, 2), (once, 1, 2), (away, 1, 3), (away, 2, 2)):
        conn.execute(
            "INSERT INTO fact_episodes (conversation_id, seq, opened_at, replies, last) VALUES (?, ?, ?, 0, 0)",
            (own, seq, NOW - hours * HOUR),
        )
    for name, verdict, score, why in (
        ("bad", "negative", 2.0, None), ("good", "positive", 5.0, None), ("bad-spam", "negative", 1.0, "spam"),
    ):  # fmt: skip
        own = fact(conn, name, excluded=why)
        conn.execute(
            "INSERT INTO fact_ratings VALUES (?, ?, ?, ?, ?, 1, 5, ?, ?, 0, 0, NULL, NULL)",
            (own, NOW - HOUR, NOW - HOUR, score, score, verdict, verdict),
        )
    fact(conn, "waiting", waiting_since=NOW - 25 * HOUR)
    fact(conn, "waiting-a-bit", waiting_since=NOW - 23 * HOUR)
    fact(conn, "waiting-as-long-as-allowed", waiting_since=NOW - 24 * HOUR)
    fact(conn, "waiting-spam", waiting_since=NOW - 25 * HOUR, excluded="spam")
    fact(conn, "alone-spam", bot=1, abandoned=1, last_customer_at=NOW - 2 * HOUR, excluded="spam")
    fact(conn, "alone-tomorrow", bot=1, abandoned=1, last_customer_at=NOW + HOUR)
    fact(conn, "done", waiting_since=NOW - 25 * HOUR, status="done")
    fact(conn, "alone", bot=1, abandoned=1, last_customer_at=NOW - 2 * HOUR)
    assert pointed_at(conn, tmp_path, "reopened") == {"back": "came back after it was resolved; reopenings: 2"}
    assert pointed_at(conn, tmp_path, "low-rating") == {"bad": "rated 2 on a scale of 1–5"}
    assert pointed_at(conn, tmp_path, "unanswered") == {
        "waiting": "the customer has been waiting for 1 d 1 h (limit 1 d)"
    }
    assert list(pointed_at(conn, tmp_path, "bot-abandoned")) == ["alone"]


def test_an_unknown_rule_is_a_config_error_that_guesses_what_was_meant(conn: Connection, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean low-rating") as error:
        plan(conn, config_of(tmp_path, rules={"low-ratings": {}}), NOW)
    assert error.value.setting == "push.rules.low-ratings"


def test_a_threshold_where_a_rule_has_none_is_a_config_error(conn: Connection, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no threshold"):
        plan(conn, config_of(tmp_path, rules={"reopened": {"over": "4h"}}), NOW)


# --- plan ------------------------------------------------------------------------------------------------------------


def test_a_plan_says_what_it_would_write_and_why_under_keys_that_are_sentences(
    conn: Connection, tmp_path: Path
) -> None:
    slow(conn, "7")
    found = plan(conn, config_of(tmp_path, rules={"slow-first-response": {"note": True}}), NOW)
    assert keys(found) == ["tag:inbox:7:deskpulse-slow-first-response", "note:inbox:7:slow-first-response"]
    assert found.todo[0].payload == "deskpulse-slow-first-response"
    assert found.todo[1].payload == (
        f"{OWN_NOTE_MARK} Slow first response: first human reply after 5 h (limit 4 h). From the first customer "
        "message (20 November 2026 06:00) to the first public human reply (20 November 2026 11:00), in calendar time."
    )


def test_notes_are_written_in_the_language_of_the_config(conn: Connection, tmp_path: Path) -> None:
    slow(conn, "7")
    found = plan(conn, config_of(tmp_path, "fr", rules={"slow-first-response": {"note": True}}), NOW)
    assert found.todo[1].payload == (
        f"{OWN_NOTE_MARK} Première réponse lente : première réponse humaine après 5\u00a0h (limite 4\u00a0h). Du "
        "premier message du client (20 novembre 2026 à 06:00) à la première réponse humaine publique (20 novembre 2026 "
        "à 11:00), en temps réel."
    )


def test_a_tag_that_is_there_already_is_not_planned(conn: Connection, tmp_path: Path) -> None:
    slow(conn, "7", tags=("vip", "deskpulse-slow-first-response"))
    found = plan(conn, config_of(tmp_path), NOW)
    assert (found.todo, [state for _, state in found.done]) == ((), ["present"])


def test_what_is_over_the_daily_budget_is_left_for_tomorrow(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    for name in "123":
        slow(conn, name)
    config = config_of(tmp_path, daily_budget=2)
    assert (len(plan(conn, config, NOW).todo), len(plan(conn, config, NOW).later)) == (2, 1)
    apply(config, FixedClock(NOW))
    today = plan(conn, config, NOW)
    assert (len(today.todo), len(today.later), today.budget_left) == (0, 1, 0)
    tomorrow = from_iso("2026-11-21T00:00:00+01:00")
    assert len(plan(conn, config, tomorrow).todo) == 1


def test_the_budget_s_day_begins_at_midnight_in_the_reporting_zone(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    midnight = from_iso("2026-11-20T00:00:00+01:00")
    slow(conn, "before", ago=60)
    apply(config_of(tmp_path), FixedClock(midnight - 1))
    slow(conn, "at", ago=60)
    apply(config_of(tmp_path), FixedClock(midnight))
    assert plan(conn, config_of(tmp_path, daily_budget=10), NOW).budget_left == 9


def test_what_read_back_wrong_was_written_and_counts_against_the_budget(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    desk.held["1"], desk.drops = ["vip"], True
    slow(conn, "1", ago=1)
    slow(conn, "2", ago=2)
    config = config_of(tmp_path, daily_budget=1)
    assert apply(config, FixedClock(NOW)).counts() == {"mismatch": 1}
    assert plan(conn, config, NOW).budget_left == 0
    assert plan(conn, config, NOW + 12 * HOUR).budget_left == 1


def test_what_an_earlier_run_left_open_is_settled_before_anything_fresh(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    desk.after[("add_tag", "old")] = Killed()
    slow(conn, "old", ago=50)
    with pytest.raises(Killed):
        apply(config_of(tmp_path), FixedClock(NOW))
    slow(conn, "fresh", ago=1)
    assert dict(apply(config_of(tmp_path, daily_budget=1), FixedClock(NOW + 24 * HOUR)).counts()) == {"found": 1}
    assert states(conn) == {f"tag:inbox:old:{TAG}": "sent"}


def test_a_fresh_store_writes_no_note_where_the_tag_that_goes_with_it_is_there_already(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    slow(conn, "7")
    apply(config_of(tmp_path, rules=NOTED), FixedClock(NOW))
    for table in ("outbox", "journal", "push_runs"):
        conn.execute(f"DELETE FROM {table}")
    desk.calls.clear()
    report = apply(config_of(tmp_path, rules=NOTED), FixedClock(NOW))
    assert report.plan
    assert [state for _, state in report.plan.done] == ["present", "present"]
    assert (desk.calls, len(desk.notes["7"])) == ([], 1)


def test_notes_that_are_turned_on_later_follow_the_tags_that_we_set(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    slow(conn, "7")
    apply(config_of(tmp_path), FixedClock(NOW))
    assert keys(plan(conn, config_of(tmp_path, rules=NOTED), NOW)) == ["note:inbox:7:slow-first-response"]


def test_planning_is_for_services_of_the_config_only(conn: Connection, tmp_path: Path) -> None:
    slow(conn, "7")
    config = config_of(tmp_path)
    assert plan(conn, replace(config, services=()), NOW).todo == ()


# --- apply -----------------------------------------------------------------------------------------------------------


def test_pushing_that_is_off_refuses_and_says_how_to_turn_it_on(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    slow(conn, "7")
    with pytest.raises(ConfigError, match=re.escape("enabled = true under [push]")):
        apply(config_of(tmp_path, enabled=False), FixedClock(NOW))
    assert (desk.calls, states(conn)) == ([], {})


def test_applying_writes_reads_back_leaves_receipts_and_rereads_what_it_touched(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    desk.held["7"] = ["vip"]
    slow(conn, "7", tags=("vip",))
    report = apply(config_of(tmp_path, rules={"slow-first-response": {"note": True}}), FixedClock(NOW))
    assert dict(report.counts()) == {"sent": 2}
    assert desk.held["7"] == ["vip", "deskpulse-slow-first-response"]
    assert [text[:11] for text in desk.notes["7"].values()] == [OWN_NOTE_MARK]
    tag, note = (json.loads(row[0]) for row in conn.execute("SELECT receipt FROM outbox ORDER BY key DESC"))
    assert tag == {"before": ["vip"], "after": ["vip", "deskpulse-slow-first-response"]}
    assert note == {"note": "7-1"}
    assert desk.calls[-1] == ("reread", "7")
    assert [row["event"] for row in conn.execute("SELECT event FROM journal")] == ["sending", "sent"] * 2


def test_a_second_run_sends_nothing(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    slow(conn, "7")
    config = config_of(tmp_path, rules={"slow-first-response": {"note": True}})
    apply(config, FixedClock(NOW))
    desk.calls.clear()
    report = apply(config, FixedClock(NOW))
    assert (report.run, report.results, desk.calls) == (None, [], [])
    assert conn.execute("SELECT count(*) FROM push_runs").fetchone()[0] == 1


def test_the_first_write_of_a_run_is_the_canary_and_is_read_once_more(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    slow(conn, "1", ago=1)
    slow(conn, "2", ago=2)
    apply(config_of(tmp_path), FixedClock(NOW))
    assert desk.calls == [("add_tag", "1"), ("tags", "1"), ("add_tag", "2"), ("reread", "1", "2")]


def test_an_echo_that_is_not_what_the_service_holds_stops_everything(
    conn: Connection, tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "tags", lambda conversation: ())
    slow(conn, "1", ago=1)
    slow(conn, "2", ago=2)
    report = apply(config_of(tmp_path), FixedClock(NOW))
    assert "now reads none" in report.stopped
    assert desk.writes() == [("add_tag", "1")]


def test_an_unexpected_read_back_stops_everything_and_is_not_tried_again(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    desk.held = {"1": ["vip"]}
    desk.drops = True
    slow(conn, "1", ago=1, tags=("vip",))
    slow(conn, "2", ago=2)
    report = apply(config_of(tmp_path), FixedClock(NOW))
    assert "tags were vip" in report.stopped
    assert states(conn) == {"tag:inbox:1:deskpulse-slow-first-response": "mismatch"}
    assert desk.writes() == [("add_tag", "1")]
    desk.drops = False
    apply(config_of(tmp_path), FixedClock(NOW))
    assert desk.writes() == [("add_tag", "1"), ("add_tag", "2")]


def test_a_tag_that_somebody_adds_meanwhile_is_theirs_and_stays(
    conn: Connection, tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_another(change: Callable[[str, str], TagChange], other: str) -> Callable[[str, str], TagChange]:
        def busy(conversation: str, tag: str) -> TagChange:
            before = change(conversation, tag).before
            desk.held[conversation].append(other)
            return TagChange(before, tuple(desk.held[conversation]))

        return busy

    monkeypatch.setattr(desk, "add_tag", with_another(desk.add_tag, "urgent"))
    monkeypatch.setattr(desk, "remove_tag", with_another(desk.remove_tag, "billing"))
    slow(conn, "7")
    report = apply(config_of(tmp_path), FixedClock(NOW))
    assert (report.stopped, dict(report.counts())) == ("", {"sent": 1})
    assert report.run
    assert dict(undo(config_of(tmp_path), FixedClock(NOW), report.run).counts()) == {"undone": 1}
    assert desk.held["7"] == ["urgent", "billing"]


@pytest.mark.parametrize("call", ["add_tag", "add_note"])
def test_what_is_refused_although_it_arrived_stops_everything_and_can_be_undone(
    conn: Connection, tmp_path: Path, desk: Desk, call: str
) -> None:
    desk.held["2"] = ["vip"]
    desk.after[(call, "2")] = Rejected("it reads back wrong")
    for ago, name in enumerate("123"):
        slow(conn, name, ago=ago + 1, tags=tuple(desk.held.get(name, ())))
    report = apply(config_of(tmp_path, rules=NOTED), FixedClock(NOW))
    assert report.stopped == "it reads back wrong"
    assert report.counts()["mismatch"] == 1
    assert "3" not in [conversation for _, conversation in desk.writes()]
    assert report.run
    undo(config_of(tmp_path), FixedClock(NOW), report.run)
    assert (desk.held, desk.notes["1"], desk.notes.get("2", {})) == ({"1": [], "2": ["vip"]}, {}, {})


def test_a_note_that_its_adapter_refuses_stops_everything_because_it_may_be_no_note(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    desk.trouble[("add_note", "2")] = Rejected("what was written is not there as a private note")
    for ago, name in enumerate("123"):
        slow(conn, name, ago=ago + 1)
    report = apply(config_of(tmp_path, rules=NOTED), FixedClock(NOW))
    assert "not there as a private note" in report.stopped
    assert desk.writes()[-1] == ("add_note", "2")


def test_a_note_that_the_service_refuses_is_recorded_and_the_others_go_on(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    desk.trouble[("add_note", "2")] = Rejected("too long", status=422)
    for ago, name in enumerate("123"):
        slow(conn, name, ago=ago + 1)
    report = apply(config_of(tmp_path, rules=NOTED), FixedClock(NOW))
    assert (report.stopped, dict(report.counts())) == ("", {"sent": 5, "rejected": 1})


@pytest.mark.parametrize("trouble", [Rejected("no", status=422), Transient("timed out")])
def test_the_first_note_is_a_canary_of_its_own(
    conn: Connection, tmp_path: Path, desk: Desk, trouble: BaseException
) -> None:
    desk.trouble[("add_note", "1")] = trouble
    slow(conn, "1", ago=1)
    slow(conn, "2", ago=2)
    assert "the first note on inbox" in apply(config_of(tmp_path, rules=NOTED), FixedClock(NOW)).stopped
    assert desk.writes() == [("add_tag", "1"), ("add_note", "1")]


def test_a_tag_is_known_by_the_name_that_the_service_makes_of_it(
    conn: Connection, tmp_path: Path, cutting_desk: CuttingDesk
) -> None:
    cutting_desk.held = {"1": ["vip"], "2": ["deskpulse-sl"]}
    cutting_desk.after[("add_tag", "3")] = Killed()
    for ago, name in enumerate("123"):
        slow(conn, name, ago=ago + 1)
    with pytest.raises(Killed):
        apply(config_of(tmp_path), FixedClock(NOW))
    report = apply(config_of(tmp_path), FixedClock(NOW))
    assert dict(report.counts()) == {"found": 1}
    assert cutting_desk.held["1"] == ["vip", "deskpulse-sl"]
    undone = [dict(undo(config_of(tmp_path), FixedClock(NOW), run).counts()) for run in (1, 2)]
    assert undone == [{"undone": 1, "kept": 1}, {"undone": 1}]
    assert cutting_desk.held == {"1": ["vip"], "2": ["deskpulse-sl"], "3": []}


@pytest.mark.parametrize(("found", "said"), [(None, "missing"), ("1-9", "1-9")])
def test_a_note_that_cannot_be_read_back_stops_everything(
    conn: Connection, tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch, found: str | None, said: str
) -> None:
    monkeypatch.setattr(desk, "find_note", lambda conversation, text: found)
    slow(conn, "1")
    report = apply(config_of(tmp_path, rules={"slow-first-response": {"note": True}}), FixedClock(NOW))
    assert f"reads back as {said}" in report.stopped
    assert states(conn)["note:inbox:1:slow-first-response"] == "mismatch"


@pytest.mark.parametrize("call", ["add_tag", "add_note"])
@pytest.mark.parametrize("arrived", [True, False])
def test_what_a_crash_left_unknown_is_looked_for_before_it_is_sent_again(
    conn: Connection, tmp_path: Path, desk: Desk, call: str, arrived: bool
) -> None:
    (desk.after if arrived else desk.trouble)[(call, "7")] = Killed()
    slow(conn, "7")
    config = config_of(tmp_path, rules={"slow-first-response": {"note": True}})
    with pytest.raises(Killed):
        apply(config, FixedClock(NOW))
    assert "sending" in states(conn).values()
    # A sync in between may show our own tag; the note's words may have changed with the passing time.
    conn.execute("UPDATE conversations SET tags = ?", (json.dumps(desk.held.get("7", [])),))
    later = replace(config, language="fr")
    desk.calls.clear()
    report = apply(later, FixedClock(NOW + HOUR))
    assert report.counts()["found"] == (1 if arrived else 0)
    assert [c for c, _ in desk.writes()].count(call) == (0 if arrived else 1)
    assert set(states(conn).values()) == {"sent"}
    assert (desk.held["7"], len(desk.notes["7"])) == (["deskpulse-slow-first-response"], 1)
    assert report.run is not None
    undo(config, FixedClock(NOW), report.run)


def test_a_found_tag_can_be_undone_because_it_was_not_there_when_it_was_claimed(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    desk.held["7"] = ["vip"]
    desk.after[("add_tag", "7")] = Killed()
    slow(conn, "7", tags=("vip",))
    with pytest.raises(Killed):
        apply(config_of(tmp_path), FixedClock(NOW))
    report = apply(config_of(tmp_path), FixedClock(NOW))
    assert report.run
    undo(config_of(tmp_path), FixedClock(NOW), report.run)
    assert desk.held["7"] == ["vip"]


def attempted(config: Config) -> None:
    """A run that may end by a kill or by a failure."""
    with suppress(Killed):
        apply(config, FixedClock(NOW))


@pytest.mark.parametrize("trouble", [Killed(), Transient("timed out")])
def test_an_unknown_action_that_no_rule_wants_any_more_is_settled_but_never_sent(
    conn: Connection, tmp_path: Path, desk: Desk, trouble: BaseException
) -> None:
    desk.trouble[("add_tag", "7")] = trouble
    slow(conn, "7")
    attempted(config_of(tmp_path))
    conn.execute("UPDATE fact_conversations SET first_response_s = 60")
    desk.calls.clear()
    report = apply(config_of(tmp_path), FixedClock(NOW))
    assert dict(report.counts()) == {"dropped": 1}
    assert desk.calls == [("tags", "7")]
    assert plan(conn, config_of(tmp_path), NOW).todo == ()


def test_what_was_dropped_and_is_wanted_again_is_claimed_like_anything_else(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    config = config_of(tmp_path)
    desk.trouble[("add_tag", "7")] = Killed()
    slow(conn, "7")
    attempted(config)
    assert dict(apply(config_of(tmp_path, rules={}), FixedClock(NOW)).counts()) == {"dropped": 1}
    desk.after[("add_tag", "7")] = Killed()
    attempted(config)
    assert dict(apply(config_of(tmp_path, rules={}), FixedClock(NOW)).counts()) == {"found": 1}


def test_an_unknown_action_of_a_service_that_is_no_longer_in_the_config_is_left_as_it_is(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    config = config_of(tmp_path)
    desk.after[("add_tag", "7")] = Killed()
    slow(conn, "7")
    attempted(config)
    without = replace(config, services=tuple(one for one in config.services if one.name != "inbox"))
    assert apply(without, FixedClock(NOW)).results == []
    assert dict(apply(config, FixedClock(NOW)).counts()) == {"found": 1}


def test_a_retry_belongs_to_the_run_that_made_it_even_where_that_was_killed(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    config = config_of(tmp_path)
    desk.trouble[("add_tag", "7")] = Transient("timed out")
    slow(conn, "7")
    attempted(config)
    desk.after[("add_tag", "7")] = Killed()
    attempted(config)
    assert undo(config, FixedClock(NOW), 1).results == []
    assert dict(undo(config, FixedClock(NOW), 2).counts()) == {"undone": 1}
    assert desk.held["7"] == []


def test_a_tag_of_ours_is_not_taken_for_another_s_because_a_sync_saw_it_between_two_attempts(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    config = config_of(tmp_path)
    desk.after[("add_tag", "7")] = Transient("timed out")
    slow(conn, "7")
    attempted(config)
    conn.execute("UPDATE conversations SET tags = ?", (json.dumps([TAG]),))
    desk.held["7"] = []  # an agent took it away
    desk.after[("add_tag", "7")] = Killed()
    attempted(config)
    run = apply(config, FixedClock(NOW)).run
    assert run
    assert dict(undo(config, FixedClock(NOW), run).counts()) == {"undone": 1}
    assert desk.held["7"] == []


def test_an_unknown_action_that_its_service_cannot_take_any_more_does_not_stop_the_others(
    conn: Connection, tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.after[("add_tag", "7")] = Killed()
    slow(conn, "7")
    with pytest.raises(Killed):
        apply(config_of(tmp_path), FixedClock(NOW))
    monkeypatch.setattr("connector.registry.adapter_class", lambda name: Files)
    assert apply(config_of(tmp_path), FixedClock(NOW)).results == []


def test_one_that_cannot_be_looked_for_stays_unknown_and_the_others_go_on(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    desk.after[("add_tag", "1")] = Killed()
    slow(conn, "1", ago=1)
    slow(conn, "2", ago=2)
    with pytest.raises(Killed):
        apply(config_of(tmp_path), FixedClock(NOW))
    desk.trouble[("tags", "1")] = BadPayload("it cannot be understood")
    report = apply(config_of(tmp_path), FixedClock(NOW))
    assert (report.stopped, dict(report.counts())) == ("", {"unknown": 1, "sent": 1})
    assert dict(apply(config_of(tmp_path), FixedClock(NOW)).counts()) == {"found": 1}


@pytest.fixture
def two_slow(conn: Connection, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Puts the desk and the outbox back to where nothing was written yet; another's tag and note are there."""
    for module in ("run", "restore"):
        monkeypatch.setattr(f"connector.push.{module}.connect", mortal)
    slow(conn, "1", ago=1)
    slow(conn, "2", ago=2)

    def restart() -> None:
        desk.held, desk.notes = {"1": ["vip"], "2": []}, {"1": {"theirs": "call her back"}, "2": {}}
        desk.calls.clear()
        for table in ("outbox", "journal", "push_runs"):
            conn.execute(f"DELETE FROM {table}")
        conn.execute("""UPDATE conversations SET tags = iif(vendor_id = '1', '["vip"]', '[]')""")

    return restart


def runs(conn: Connection) -> list[int]:
    return [row[0] for row in conn.execute("SELECT id FROM push_runs WHERE what = 'apply' ORDER BY id")]


def assert_as_before(desk: Desk) -> None:
    assert desk.held == {"1": ["vip"], "2": []}
    assert desk.notes == {"1": {"theirs": "call her back"}, "2": {}}


def test_a_run_killed_at_any_step_is_completed_by_the_next_one_and_both_are_undone_exactly(
    conn: Connection, tmp_path: Path, desk: Desk, two_slow: Callable[[], None]
) -> None:
    config, clock = config_of(tmp_path, rules=NOTED), FixedClock(NOW)
    for step in count():
        two_slow()
        died = killed_at(step, lambda: apply(config, clock))
        apply(config, clock)
        assert set(states(conn).values()) == {"sent"}, step
        writes = [call for call in desk.writes() if call[0] == "add_note"]
        assert sorted(writes) == [("add_note", "1"), ("add_note", "2")], step
        assert (desk.held, len(desk.notes["1"]), len(desk.notes["2"])) == ({"1": ["vip", TAG], "2": [TAG]}, 2, 1), step
        for run in runs(conn):
            undo(config, clock, run)
        assert_as_before(desk)
        if not died:
            break
    assert step > 40, "the walk ended before it began"


def test_a_run_killed_at_any_step_can_be_undone_as_it_is_and_what_was_claimed_is_not_written_again(
    conn: Connection, tmp_path: Path, desk: Desk, two_slow: Callable[[], None]
) -> None:
    config, clock = config_of(tmp_path, rules=NOTED), FixedClock(NOW)
    for step in count():
        two_slow()
        died = killed_at(step, lambda: apply(config, clock))
        claimed = set(states(conn))
        for run in runs(conn):
            undo(config, clock, run)
        assert_as_before(desk)
        assert set(states(conn).values()) <= {"undone"}, step
        assert claimed.isdisjoint(keys(plan(conn, config, NOW))), step
        if not died:
            break


def test_an_undo_killed_at_any_step_is_completed_by_the_next_one(
    conn: Connection, tmp_path: Path, desk: Desk, two_slow: Callable[[], None]
) -> None:
    config, clock = config_of(tmp_path, rules=NOTED), FixedClock(NOW)
    for step in count():
        two_slow()
        run = apply(config, clock).run or 0
        died = killed_at(step, lambda run=run: undo(config, clock, run))  # type: ignore[misc]
        undo(config, clock, run)
        assert_as_before(desk)
        assert set(states(conn).values()) == {"undone"}, step
        assert apply(config, clock).run is None, step
        if not died:
            break


def test_that_something_is_sent_is_on_the_disk_before_it_is_sent(
    conn: Connection, tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_by_the_run: list[Connection] = []

    def remembered(path: Path) -> Connection:
        opened_by_the_run.append(connect(path))
        return opened_by_the_run[-1]

    def waits_for_the_disk(conversation: str, tag: str) -> TagChange:
        assert opened_by_the_run[-1].execute("PRAGMA synchronous").fetchone()[0] == 2
        assert states(conn) == {f"tag:inbox:7:{TAG}": "sending"}
        return TagChange((), (tag,))

    monkeypatch.setattr("connector.push.run.connect", remembered)
    monkeypatch.setattr(desk, "add_tag", waits_for_the_disk)
    monkeypatch.setattr(desk, "tags", lambda conversation: (TAG,))
    slow(conn, "7")
    assert apply(config_of(tmp_path), FixedClock(NOW)).counts()["sent"] == 1


def test_a_refused_item_is_recorded_and_the_others_go_on(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    desk.trouble[("add_tag", "2")] = Rejected("no such conversation", status=404)
    for ago, name in enumerate("123"):
        slow(conn, name, ago=ago + 1)
    report = apply(config_of(tmp_path), FixedClock(NOW))
    assert (dict(report.counts()), report.stopped) == ({"sent": 2, "rejected": 1}, "")
    assert [state for _, state in plan(conn, config_of(tmp_path), NOW).done] == ["sent", "rejected", "sent"]


def test_a_passing_failure_is_tried_again_under_the_same_key_after_looking(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    desk.trouble[("add_tag", "2")] = Transient("timed out")
    for ago, name in enumerate("123"):
        slow(conn, name, ago=ago + 1)
    assert dict(apply(config_of(tmp_path), FixedClock(NOW)).counts()) == {"sent": 2, "failed": 1}
    desk.calls.clear()
    assert dict(apply(config_of(tmp_path), FixedClock(NOW)).counts()) == {"sent": 1}
    assert desk.calls[:2] == [("tags", "2"), ("add_tag", "2")]
    row = conn.execute("SELECT attempts, error FROM outbox WHERE key LIKE 'tag:inbox:2:%'").fetchone()
    assert tuple(row) == (2, None)


def test_a_canary_that_fails_leaves_all_others_unsent(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    desk.trouble[("add_tag", "1")] = Transient("timed out")
    slow(conn, "1", ago=1)
    slow(conn, "2", ago=2)
    report = apply(config_of(tmp_path), FixedClock(NOW))
    assert "the first tag on inbox failed: timed out" in report.stopped
    assert desk.writes() == [("add_tag", "1")]


def test_a_refused_canary_stops_everything_unless_its_conversation_is_merely_gone(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    desk.trouble = {("add_tag", "1"): Rejected("gone", status=404), ("add_tag", "2"): Rejected("no", status=422)}
    for ago, name in enumerate("123"):
        slow(conn, name, ago=ago + 1)
    report = apply(config_of(tmp_path), FixedClock(NOW))
    assert "was refused: no" in report.stopped
    assert desk.writes() == [("add_tag", "1"), ("add_tag", "2")]


def test_a_setting_that_is_wrong_is_told_before_anything_is_claimed(
    conn: Connection, tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise ConfigError("services.inbox.token is missing")

    monkeypatch.setattr("connector.registry.connect", refuse)
    slow(conn, "7")
    with pytest.raises(ConfigError):
        apply(config_of(tmp_path), FixedClock(NOW))
    assert conn.execute("SELECT count(*) FROM push_runs").fetchone()[0] == 0


def test_what_a_demo_found_is_never_written_to_a_real_service(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    slow(conn, "7")
    conn.execute("INSERT INTO meta VALUES ('demo', '1')")
    with pytest.raises(ConfigError, match="holds demo data"):
        apply(config_of(tmp_path), FixedClock(NOW))
    assert desk.calls == []


def test_without_a_store_nothing_is_pushed_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no store"):
        apply(config_of(tmp_path), FixedClock(NOW))
    assert not (tmp_path / "deskpulse.db").exists()


def test_a_sync_at_work_keeps_no_push_from_writing(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    config = config_of(tmp_path)
    slow(conn, "c1")
    with locked(lock_of(config.database), "a sync"):
        assert apply(config, FixedClock(NOW)).counts() == {"sent": 1}


def test_only_one_push_at_a_time(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    config = config_of(tmp_path)
    with pushing(config), pytest.raises(ConnectorError, match="another push is at work"):
        apply(config, FixedClock(NOW))


def test_the_lock_is_never_the_store_itself(tmp_path: Path) -> None:
    database = tmp_path / "desk.push"
    db = sqlite_utils.Database(database)
    migrations.apply(db)
    db.conn.close()
    with pushing(replace(config_of(tmp_path), database=database)):
        assert database.read_bytes().startswith(b"SQLite format 3")


def test_a_refused_credential_stops_everything(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    desk.trouble[("add_tag", "2")] = AuthFailed("the token is refused")
    for ago, name in enumerate("123"):
        slow(conn, name, ago=ago + 1)
    report = apply(config_of(tmp_path), FixedClock(NOW))
    assert (report.stopped, dict(report.counts())) == ("the token is refused", {"sent": 1, "failed": 1})


def test_an_answer_that_makes_no_sense_leaves_the_action_unknown_and_stops(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    desk.after[("add_tag", "1")] = BadPayload("HTML instead of JSON")
    slow(conn, "1", ago=1)
    slow(conn, "2", ago=2)
    assert apply(config_of(tmp_path), FixedClock(NOW)).stopped == "HTML instead of JSON"
    assert list(states(conn).values()) == ["sending"]
    assert apply(config_of(tmp_path), FixedClock(NOW)).counts()["found"] == 1


def test_what_a_service_cannot_take_costs_no_budget_and_is_named(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    slow(conn, "imported", source=2, ago=0.5)
    slow(conn, "7")
    report = apply(config_of(tmp_path, daily_budget=1), FixedClock(NOW))
    assert report.plan
    assert [a.conversation for a in report.plan.unable] == ["imported"]
    assert desk.writes() == [("add_tag", "7")]


def test_connections_are_closed_and_none_is_made_when_there_is_nothing_to_do(
    conn: Connection, tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Http, "closed", 0)
    apply(config_of(tmp_path), FixedClock(NOW))
    assert Http.closed == 0
    slow(conn, "7")
    apply(config_of(tmp_path), FixedClock(NOW))
    assert Http.closed == 1


def test_a_failed_reread_is_a_warning_not_a_failure(
    conn: Connection, tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any) -> None:
        raise Transient("it is down")

    monkeypatch.setattr("connector.pull.reread", down)
    slow(conn, "7")
    report = apply(config_of(tmp_path), FixedClock(NOW))
    assert (report.stopped, report.counts()["sent"]) == ("", 1)
    assert "it is down" in report.warning


# --- undo ------------------------------------------------------------------------------------------------------------


def test_undo_takes_back_our_tags_and_notes_newest_first_and_nothing_else(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    desk.held = {"1": ["vip"]}
    desk.notes = {"1": {"theirs": "call her back"}}
    slow(conn, "1", ago=1, tags=("vip",))
    slow(conn, "2", ago=2)
    config = config_of(tmp_path, rules={"slow-first-response": {"note": True}})
    run = apply(config, FixedClock(NOW)).run
    assert run
    desk.calls.clear()
    assert dict(undo(config, FixedClock(NOW), run).counts()) == {"undone": 4}
    assert (desk.held, desk.notes) == ({"1": ["vip"], "2": []}, {"1": {"theirs": "call her back"}, "2": {}})
    assert desk.writes() == [("remove_note", "2"), ("remove_tag", "2"), ("remove_note", "1"), ("remove_tag", "1")]
    receipt = conn.execute("SELECT receipt FROM outbox WHERE key LIKE 'tag:inbox:1:%'").fetchone()[0]
    with_ours = ["vip", TAG]
    assert json.loads(receipt) == {
        "before": ["vip"], "after": with_ours, "undone": {"before": with_ours, "after": ["vip"]},
    }  # fmt: skip


def test_undoing_twice_does_nothing_the_second_time_and_what_was_undone_stays_undone(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    slow(conn, "7")
    run = apply(config_of(tmp_path), FixedClock(NOW)).run
    assert run
    undo(config_of(tmp_path), FixedClock(NOW), run)
    desk.calls.clear()
    assert undo(config_of(tmp_path), FixedClock(NOW), run).results == []
    assert apply(config_of(tmp_path), FixedClock(NOW)).run is None
    assert desk.calls == []
    assert [state for _, state in plan(conn, config_of(tmp_path), NOW).done] == ["undone"]


def test_a_tag_that_someone_else_had_set_in_the_meantime_is_kept(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    desk.held["7"] = ["deskpulse-slow-first-response"]
    slow(conn, "7")
    run = apply(config_of(tmp_path), FixedClock(NOW)).run
    assert run
    report = undo(config_of(tmp_path), FixedClock(NOW), run)
    assert dict(report.counts()) == {"kept": 1}
    assert desk.held["7"] == ["deskpulse-slow-first-response"]


def test_what_is_gone_already_counts_as_undone(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    slow(conn, "7")
    config = config_of(tmp_path, rules={"slow-first-response": {"note": True}})
    run = apply(config, FixedClock(NOW)).run
    assert run
    desk.notes.clear()
    desk.held.clear()
    assert dict(undo(config, FixedClock(NOW), run).counts()) == {"undone": 2}


@pytest.mark.parametrize("status", [404, 410])
def test_what_was_left_open_in_a_conversation_that_is_gone_counts_as_undone(
    conn: Connection, tmp_path: Path, desk: Desk, status: int
) -> None:
    desk.after[("add_tag", "7")] = Transient("timed out")
    slow(conn, "7")
    run = apply(config_of(tmp_path), FixedClock(NOW)).run
    assert run
    desk.trouble[("tags", "7")] = Rejected("gone", status=status)
    assert dict(undo(config_of(tmp_path), FixedClock(NOW), run).counts()) == {"undone": 1}
    assert plan(conn, config_of(tmp_path), NOW).todo == ()


def test_what_timed_out_is_taken_back_where_it_arrived(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    for ago, name in enumerate("123"):
        slow(conn, name, ago=ago + 1)
    desk.after[("add_tag", "2")] = Transient("timed out")
    desk.trouble[("add_tag", "3")] = Transient("timed out")
    run = apply(config_of(tmp_path), FixedClock(NOW)).run
    assert run
    assert dict(undo(config_of(tmp_path), FixedClock(NOW), run).counts()) == {"undone": 3}
    assert desk.held == {"1": [], "2": []}
    assert apply(config_of(tmp_path), FixedClock(NOW)).run is None


def test_an_undo_that_leaves_our_tag_stops(
    conn: Connection, tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(conn, "7")
    run = apply(config_of(tmp_path), FixedClock(NOW)).run
    assert run
    monkeypatch.setattr(desk, "remove_tag", lambda conversation, tag: TagChange((tag,), (tag,)))
    assert "its tags now read" in undo(config_of(tmp_path), FixedClock(NOW), run).stopped
    monkeypatch.undo()
    row = conn.execute("SELECT state, receipt FROM outbox").fetchone()
    assert (row["state"], json.loads(row["receipt"])["before"]) == ("mismatch", [])


def test_an_undo_is_journalled_before_it_is_tried_and_when_it_failed(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    slow(conn, "7")
    run = apply(config_of(tmp_path), FixedClock(NOW)).run
    assert run
    desk.trouble[("remove_tag", "7")] = Transient("timed out")
    undo(config_of(tmp_path), FixedClock(NOW), run)
    undo(config_of(tmp_path), FixedClock(NOW), run)
    assert [row["event"] for row in conn.execute("SELECT event FROM journal ORDER BY id")] == [
        "sending", "sent", "undoing", "undo failed", "undoing", "undone",
    ]  # fmt: skip


@pytest.mark.parametrize("trouble", [AuthFailed("the token is refused"), BadPayload("HTML instead of JSON")])
def test_an_undo_stops_where_the_service_as_a_whole_is_amiss(
    conn: Connection, tmp_path: Path, desk: Desk, trouble: BaseException
) -> None:
    slow(conn, "1", ago=1)
    slow(conn, "2", ago=2)
    run = apply(config_of(tmp_path), FixedClock(NOW)).run
    assert run
    desk.trouble[("remove_tag", "2")] = trouble
    report = undo(config_of(tmp_path), FixedClock(NOW), run)
    assert (report.stopped, dict(report.counts())) == (str(trouble), {"failed": 1})
    assert dict(undo(config_of(tmp_path), FixedClock(NOW), run).counts()) == {"undone": 2}


def test_an_undo_that_removes_too_much_stops(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    desk.held = {"1": ["vip"], "2": ["vip"]}
    slow(conn, "1", ago=1)
    slow(conn, "2", ago=2)
    run = apply(config_of(tmp_path), FixedClock(NOW)).run
    assert run
    desk.drops = True
    report = undo(config_of(tmp_path), FixedClock(NOW), run)
    assert "we removed deskpulse-slow-first-response only" in report.stopped
    assert desk.held["1"] == ["vip", "deskpulse-slow-first-response"]


def test_an_undo_that_fails_on_one_item_can_be_run_again(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    slow(conn, "1", ago=1)
    slow(conn, "2", ago=2)
    run = apply(config_of(tmp_path), FixedClock(NOW)).run
    assert run
    desk.trouble[("remove_tag", "2")] = Transient("timed out")
    assert dict(undo(config_of(tmp_path), FixedClock(NOW), run).counts()) == {"failed": 1, "undone": 1}
    assert dict(undo(config_of(tmp_path), FixedClock(NOW), run).counts()) == {"undone": 1}


def test_an_announcement_is_named_as_what_cannot_be_taken_back(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    conn.execute("INSERT INTO push_runs (id, at, what) VALUES (9, 0, 'digest')")
    conn.execute(
        "INSERT INTO outbox (key, run_id, service, action, payload, reason, state, claimed_at) "
        "VALUES ('digest:2026-11-19:slack', 9, 'slack', 'announce', 'x', 'x', 'sent', 0)"
    )
    conn.execute("INSERT INTO journal (at, key, event) VALUES (0, 'digest:2026-11-19:slack', 'sent')")
    conn.execute(
        "INSERT INTO outbox (key, run_id, service, action, payload, reason, state, claimed_at) "
        "VALUES ('digest:2026-11-19:lost', 9, 'lost', 'announce', 'x', 'x', 'sending', 0)"
    )
    report = undo(config_of(tmp_path), FixedClock(NOW), 9)
    assert [(state, why) for _, state, why in report.results] == [("sent", "what was announced cannot be taken back")]
    assert desk.calls == []


def test_undoing_a_run_that_never_was_is_wrong_use(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    with pytest.raises(UsageError, match="there is no push run 12"):
        undo(config_of(tmp_path), FixedClock(NOW), 12)


# --- the commands ----------------------------------------------------------------------------------------------------

TOML = """
demo = true
now = "2026-11-20T12:00:00+01:00"
zone = "Europe/Paris"
[services.inbox]
[services.files]
[push]
enabled = true
[push.rules.slow-first-response]
"""


def called(tmp_path: Path, *arguments: str, toml: str = TOML) -> Any:
    (tmp_path / "deskpulse.toml").write_text(toml, "utf-8")
    return CliRunner().invoke(cli, ["--config", str(tmp_path / "deskpulse.toml"), *arguments])


def test_push_wants_to_be_told_whether_to_plan_or_to_apply(conn: Connection, tmp_path: Path) -> None:
    for arguments in ((), ("--plan", "--apply")):
        assert isinstance(called(tmp_path, "push", *arguments).exception, UsageError)


def test_the_plan_the_run_and_the_undo_are_printed_with_what_to_do_next(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    slow(conn, "7")
    planned = called(tmp_path, "push", "--plan").output
    assert "tag deskpulse-slow-first-response" in planned
    assert "1 to write; 0 done already" in planned
    applied = called(tmp_path, "push", "--apply").output
    assert "run 1: 1 sent; 0 done already; take it back with `deskpulse undo 1`" in applied
    assert "nothing to write, nothing was sent; 1 done already" in called(tmp_path, "push", "--apply").output
    assert "undo of run 1: 1 undone" in called(tmp_path, "undo", "1").output
    assert "nothing of run 1 is left to take back" in called(tmp_path, "undo", "1").output


def test_the_plan_names_what_applying_would_find_that_a_service_cannot_take(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    slow(conn, "imported", source=2)
    slow(conn, "7")
    assert "1 to write; 0 done already; 1 that files cannot take" in called(tmp_path, "push", "--plan").output
    without_budget = TOML.replace("[push]", "[push]\ndaily_budget = 0")
    said = called(tmp_path, "push", "--plan", toml=without_budget).output
    assert "nothing to write; 0 done already; 1 left for tomorrow by the daily budget; 1 that files" in said


def test_the_command_warns_when_what_was_written_could_not_be_read_into_the_store(
    conn: Connection, tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any) -> None:
        raise Transient("it is down")

    monkeypatch.setattr("connector.pull.reread", down)
    slow(conn, "7")
    done = called(tmp_path, "push", "--apply")
    assert (done.exit_code, "could not be read back into the store (it is down)" in done.stderr) == (0, True)


def test_what_stayed_unknown_makes_the_command_fail(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    desk.after[("add_tag", "7")] = Killed()
    slow(conn, "7")
    with pytest.raises(Killed):
        called(tmp_path, "push", "--apply")
    desk.trouble[("tags", "7")] = BadPayload("it cannot be understood")
    assert "1 did not work this time" in str(called(tmp_path, "push", "--apply").exception)


def test_what_cannot_be_taken_back_is_not_told_to_be_tried_for_ever(
    conn: Connection, tmp_path: Path, desk: Desk
) -> None:
    slow(conn, "7")
    called(tmp_path, "push", "--apply")
    desk.trouble[("remove_tag", "7")] = Rejected("delete it by hand")
    assert "1 could not be taken back, see above: do by hand what says so" in str(
        called(tmp_path, "undo", "1").exception
    )


def test_json_says_the_same_as_the_tables(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    slow(conn, "7")
    planned = json.loads(called(tmp_path, "push", "--plan", "--json").output)
    assert [one["key"] for one in planned["todo"]] == ["tag:inbox:7:deskpulse-slow-first-response"]
    applied = json.loads(called(tmp_path, "push", "--apply", "--json").output)
    assert (applied["run"], applied["counts"], applied["results"][0]["state"]) == (1, {"sent": 1}, "sent")
    assert json.loads(called(tmp_path, "undo", "1", "--json").output)["counts"] == {"undone": 1}


def test_a_stopped_run_exits_with_what_happened(conn: Connection, tmp_path: Path, desk: Desk) -> None:
    desk.trouble[("add_tag", "7")] = AuthFailed("the token is refused")
    slow(conn, "7")
    found = called(tmp_path, "push", "--apply")
    assert "the token is refused" in str(found.exception)
    assert found.exit_code == 1
