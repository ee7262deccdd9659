"""The generated desk behind a played Zendesk: pulled over real HTTP, measured, and written to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from vendors.deployment import Clock, ask, config_of, pulled
from vendors.zendesk import Zendesk as Vendor

from adapters.zendesk import Zendesk, ZendeskSettings
from connector import push
from connector.config import Config
from connector.http import HttpClient
from connector.models import from_iso
from connector.pull import RunSummary, reread
from connector.sandbox.generate import generate
from connector.sandbox.world import World, answers


def part(world: World, every: int) -> World:
    """A smaller desk: every so many of its conversations."""
    records = {"inbox": world.inboxes, "team": world.teams, "agent": world.agents, "contact": world.contacts}
    return World(world.zone, {**records, "conversation": world.conversations[::every]})


@dataclass
class Swept:
    vendor: Vendor
    config: Config
    first: RunSummary
    second: RunSummary


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swept]:
    with Vendor(generate(1)) as vendor:
        config = config_of(vendor, tmp_path_factory.mktemp("zendesk"))
        yield Swept(vendor, config, pulled(vendor, config), pulled(vendor, config))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Vendor, Config]]:
    with Vendor(part(generate(1), 20)) as vendor:
        yield vendor, config_of(vendor, tmp_path)


def adapter_of(vendor: Vendor, **changes: Any) -> tuple[Zendesk, HttpClient]:
    settings = ZendeskSettings(**(vendor.settings() | changes))
    client = HttpClient(Zendesk.service(settings), Clock(vendor.desk.world.now), name="zendesk", demo=True)
    return Zendesk(settings, client), client


def test_the_whole_desk_arrives_with_the_authors_of_the_world(swept: Swept) -> None:
    assert (swept.first.outcome, swept.first.counts.rejected) == ("ok", 0)
    world = swept.vendor.desk.world
    assert ask(swept.config, "SELECT count(*) FROM conversations") == [(len(world.conversations),)]
    said = Counter(m["author"] for one in world.conversations for m in one["messages"])
    stored = Counter(
        dict(ask(swept.config, "SELECT author, count(*) FROM messages WHERE kind <> 'activity' GROUP BY 1"))
    )
    names = {"customer": "customer", "human": "agent", "bot": "bot", "automation": "automation"}
    assert stored == {ours: said[theirs] for ours, theirs in names.items()}
    assert ask(swept.config, "SELECT count(*) FROM messages WHERE kind = 'note'") == [
        (sum(bool(m.get("private")) for one in world.conversations for m in one["messages"]),)
    ]


def test_transcripts_are_there_and_are_nobodys_reply(swept: Swept) -> None:
    counted = ask(swept.config, "SELECT author, public, count(*) FROM messages WHERE kind = 'activity' GROUP BY 1, 2")
    assert counted == [("automation", 0, len(swept.vendor.desk.logs))]


def test_a_second_sync_finds_nothing_new(swept: Swept) -> None:
    counts = swept.second.counts
    assert (swept.second.outcome, counts.new, counts.changed, counts.rejected) == ("ok", 0, 0, 0)
    assert swept.second.requests < 20


def test_every_change_of_status_agent_and_team_is_told_at_its_second(swept: Swept) -> None:
    """Closing some days after solving is in Zendesk's history, and not in ours."""
    kinds = ("status", "assigned", "team")
    lived = [
        (one["id"], event["kind"], from_iso(event["at"]))
        for one in swept.vendor.desk.world.conversations
        for event in one["events"]
        if event["kind"] in kinds
    ]
    sql = "SELECT c.vendor_id, e.kind, e.at FROM events e JOIN conversations c ON c.id = e.conversation_id"
    told = [(swept.vendor.originals[number], kind, at) for number, kind, at in ask(swept.config, sql)]
    assert sorted(told) == sorted(lived)
    closed = [row for row in swept.vendor.desk.tickets.values() if row["status"] == "closed"]
    assert len(closed) > 500


def test_surveys_are_dated_and_scored_as_they_were(swept: Swept) -> None:
    world = swept.vendor.desk.world.conversations
    offered = {(one["id"], from_iso(rating["offered_at"])) for one in world for rating in one["ratings"]}
    sql = "SELECT c.vendor_id, {} FROM ratings r JOIN conversations c ON c.id = r.conversation_id"
    stored = ask(swept.config, sql.format("r.offered_at"))
    assert {(swept.vendor.originals[number], at) for number, at in stored} == offered
    given = {(one["id"], answers(r)[0][0], answers(r)[-1][1]) for one in world for r in one["ratings"] if answers(r)}
    found = ask(swept.config, f"{sql.format('a.at, a.score')} JOIN answers a ON a.rating_id = r.id")
    assert {(swept.vendor.originals[n], at, score) for n, at, score in found} == {
        (conversation, from_iso(at), float(score)) for conversation, at, score in given
    }


def test_the_rate_limits_are_met_and_obeyed(swept: Swept) -> None:
    """Here the pace is set higher than the account allows: it refuses, and nothing is lost by it."""
    assert swept.first.waited_s >= 30 * (swept.first.requests // 201)
    assert swept.vendor.violations == []


def test_the_default_pace_meets_no_limit_at_all(tmp_path: Path) -> None:
    """A third of the smallest plan's budget, and of what exports have: no answer is 429, and the wait is foreseen."""
    with Vendor(part(generate(1), 10), export_page=20) as vendor:
        config = config_of(vendor, tmp_path, requests_per_second=1.11)
        summary = pulled(vendor, config)
        exports = vendor.loopback.requests["GET /api/v2/incremental/tickets/cursor.json"]
        assert summary.waited_s == pytest.approx(summary.requests / 1.11, rel=0.5)
        assert summary.waited_s >= (exports - 1) * 18


def test_legacy_ratings_arrive_as_good_and_bad(tmp_path: Path) -> None:
    with Vendor(part(generate(1), 10), legacy=True) as vendor:
        config = config_of(vendor, tmp_path)
        pulled(vendor, config)
        words = Counter(row["score"] for row in vendor.desk.scores)
        assert ask(config, "SELECT score, count(*) FROM answers GROUP BY 1 ORDER BY 1") == [
            (0.0, words["bad"]), (1.0, words["good"]),
        ]  # fmt: skip
        assert ask(config, "SELECT DISTINCT low, high FROM ratings") == [(0.0, 1.0)]
        assert ask(config, "SELECT count(*) FROM ratings WHERE offered_at IS NOT NULL") == [(len(vendor.desk.scores),)]


def test_cursors_that_expire_between_two_runs_cost_no_row_and_no_child(small: tuple[Vendor, Config]) -> None:
    vendor, config = small
    pulled(vendor, config)
    vendor.desk.forget_cursors()
    summary = pulled(vendor, config)
    assert (summary.outcome, summary.counts.new, summary.counts.changed) == ("ok", 0, 0)
    assert vendor.loopback.requests["GET /api/v2/incremental/tickets/cursor.json"] == 3


def test_a_deletion_is_told_by_the_export_with_its_time(small: tuple[Vendor, Config]) -> None:
    vendor, config = small
    pulled(vendor, config)
    removed, other = list(vendor.desk.tickets)[:2]
    vendor.desk.delete(removed)
    vendor.desk.ticks += 120
    summary = pulled(vendor, config)
    assert summary.outcome == "ok"
    sql = "SELECT e.kind, e.at FROM events e JOIN conversations c ON c.id = conversation_id WHERE c.vendor_id = ?"
    told = ask(config, f"{sql} AND e.kind = 'deleted'", str(removed))
    assert told == [("deleted", vendor.desk.world.now + 1000)]
    assert ask(config, f"{sql} AND e.kind = 'deleted'", str(other)) == []


def test_a_deletion_is_noticed_by_rereading_before_the_export_tells_it(small: tuple[Vendor, Config]) -> None:
    vendor, config = small
    pulled(vendor, config)
    number = next(iter(vendor.desk.tickets))
    vendor.desk.delete(number)
    assert reread(config, "zendesk", [str(number)], Clock(vendor.desk.world.now)).outcome == "ok"
    assert ask(config, "SELECT count(*) FROM events WHERE kind = 'deleted'") == [(1,)]


def test_a_plan_without_surveys_and_hours_is_pulled_without_them(tmp_path: Path) -> None:
    with Vendor(
        part(generate(1), 30), without=("survey", "satisfaction", "business_hours", "custom_statuses")
    ) as vendor:
        summary = pulled(vendor, config_of(vendor, tmp_path))
        assert (summary.outcome, summary.error) == ("ok", None)


def writable(vendor: Vendor) -> int:
    return next(number for number, row in vendor.desk.tickets.items() if row["status"] != "closed" and row["tags"])


def test_a_tag_and_a_note_are_pushed_read_back_and_come_home(small: tuple[Vendor, Config]) -> None:
    vendor, config = small
    pulled(vendor, config)
    number = writable(vendor)
    before = tuple(vendor.desk.tickets[number]["tags"])
    adapter, client = adapter_of(vendor)
    with closing(client):
        assert adapter.add_tag(str(number), "deskpulse-slow") == (before, (*before, "deskpulse-slow"))
        note = adapter.add_note(str(number), "[deskpulse] waited 3 h")
        assert adapter.find_note(str(number), "[deskpulse] waited 3 h") == note
    vendor.desk.ticks += 120  # the newest minute is missing from the export
    assert pulled(vendor, config).outcome == "ok"
    tags = ask(config, "SELECT tags FROM conversations WHERE vendor_id = ?", str(number))
    assert "deskpulse-slow" in tags[0][0]
    assert ask(config, "SELECT vendor_id FROM messages WHERE own = 1 AND public = 0 AND kind = 'note'") == [(note,)]
    assert vendor.violations == []


def test_the_push_machinery_writes_once_and_undoes_its_tags(small: tuple[Vendor, Config]) -> None:
    vendor, config = small
    clock = Clock(vendor.desk.world.now)
    pulled(vendor, config)
    before = {number: list(row["tags"]) for number, row in vendor.desk.tickets.items()}
    first = push.apply(config, clock)
    assert "sent" in {state for _, state, _ in first.results}
    assert push.apply(config, clock).results == []
    push.undo(config, clock, first.run)
    assert {number: row["tags"] for number, row in vendor.desk.tickets.items()} == before
    assert vendor.violations == []


def test_what_is_not_literally_private_counts_as_sent_to_a_customer(small: tuple[Vendor, Config]) -> None:
    vendor, _ = small
    _, client = adapter_of(vendor)
    with closing(client):
        for about in ({}, {"public": True}, {"public": None}, {"public": False}):
            body = {"ticket": {"comment": {"body": str(about), **about}}}
            client.send("PUT", f"/api/v2/tickets/{writable(vendor)}.json", body)
    assert [one.get("public", "default") for one in vendor.violations] == ["default", True, None]


def test_a_post_to_a_tickets_tags_replaces_them_and_a_put_does_not(small: tuple[Vendor, Config]) -> None:
    """Why the adapter has no POST."""
    vendor, _ = small
    number = writable(vendor)
    adapter, client = adapter_of(vendor)
    with closing(client):
        before = adapter.tags(str(number))
        client.send("PUT", f"/api/v2/tickets/{number}/tags.json", {"tags": ["a"]})
        assert set(adapter.tags(str(number))) == {*before, "a"}
        client.send("POST", f"/api/v2/tickets/{number}/tags.json", {"tags": ["b"]})
        assert adapter.tags(str(number)) == ("b",)


def test_doctor_finds_the_played_zendesk_as_it_is(small: tuple[Vendor, Config]) -> None:
    vendor, _ = small
    adapter, client = adapter_of(vendor, requests_per_second=1.11)
    with closing(client):
        found = {one.check: one for one in adapter.probe()}
    assert {check for check, one in found.items() if one.ok is False} == set()
    assert found["access"].ok
    assert found["rate limit"].ok
    assert found["opening hours"].ok is None, "there are several schedules"
