"""The generated desk behind a played Trengo: pulled over real HTTP, measured, and written to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from vendors.deployment import Clock, ask, config_of, pulled
from vendors.trengo import Trengo as Vendor

from adapters.trengo import Trengo, TrengoSettings
from connector import push
from connector.config import Config, from_tables
from connector.contract import Finding
from connector.http import HttpClient
from connector.models import from_iso, to_iso
from connector.pull import RunSummary, sync
from connector.sandbox.generate import generate
from connector.sandbox.world import World, answers


def part(world: World, every: int, about: str = "") -> World:
    """A smaller desk: every so many of its conversations."""
    kept = [one for n, one in enumerate(world.conversations) if n % every == 0]
    records = {"inbox": world.inboxes, "team": world.teams, "agent": world.agents, "conversation": kept}
    return World(world.zone, {**records, "contact": world.contacts})


@dataclass
class Swept:
    vendor: Vendor
    config: Config
    first: RunSummary
    second: RunSummary


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swept]:
    with Vendor(generate(1)) as vendor:
        config = config_of(vendor, tmp_path_factory.mktemp("trengo"))
        yield Swept(vendor, config, pulled(vendor, config), pulled(vendor, config))


def test_the_whole_desk_arrives(swept: Swept) -> None:
    assert (swept.first.outcome, swept.first.counts.rejected) == ("ok", 0)
    desk = swept.vendor.desk
    assert ask(swept.config, "SELECT count(*) FROM conversations") == [(len(desk.tickets),)]
    assert ask(swept.config, "SELECT count(*) FROM messages") == [(sum(map(len, desk.said.values())),)]
    names = {(str(row["id"]), row["full_name"]) for row in desk.agents}
    assert set(ask(swept.config, "SELECT vendor_id, name FROM agents WHERE kind = 'human'")) == names
    assert {name for (name,) in ask(swept.config, "SELECT name FROM inboxes")} == {
        one["title"] for one in desk.channels.values()
    }


def test_a_second_sync_finds_nothing_new(swept: Swept) -> None:
    counts = swept.second.counts
    assert (swept.second.outcome, counts.new, counts.changed, counts.rejected) == ("ok", 0, 0, 0)
    assert swept.second.requests < swept.first.requests / 4


def test_the_rate_limit_is_met_and_obeyed(swept: Swept) -> None:
    """Here the pace is set higher than Trengo allows: it refuses, and nothing is lost by it."""
    assert swept.first.waited_s >= 20 * (swept.first.requests // (swept.vendor.desk.minute + 1))
    assert swept.vendor.violations == []


def test_every_message_has_the_author_of_the_world(swept: Swept) -> None:
    stored = dict(ask(swept.config, "SELECT author, count(*) FROM messages GROUP BY 1"))
    said = [m for c in swept.vendor.desk.world.conversations for m in c["messages"]]
    names = {"customer": "customer", "agent": "human", "bot": "bot", "automation": "automation"}
    assert stored == {ours: sum(m["author"] == theirs for m in said) for theirs, ours in names.items()}
    assert ask(swept.config, "SELECT count(*) FROM messages WHERE kind = 'campaign'") == [
        (sum(m.get("kind") == "campaign" for m in said),)
    ]
    assert ask(swept.config, "SELECT count(*) FROM messages WHERE kind = 'note'") == [
        (sum(bool(m.get("private")) for m in said),)
    ]


def test_every_closing_that_trengo_still_knows_is_told_at_its_second(swept: Swept) -> None:
    closed = {
        (row["id"], from_iso(f"{row['closed_at']}+00:00"))
        for row in swept.vendor.desk.tickets.values()
        if row["closed_at"]
    }
    sql = "SELECT CAST(c.vendor_id AS INTEGER), at FROM events e JOIN conversations c ON c.id = conversation_id"
    assert set(ask(swept.config, f"{sql} WHERE e.kind = 'status' AND value = 'done' AND NOT derived")) == closed


def test_the_last_status_is_the_tickets_own(swept: Swept) -> None:
    """What may have opened it again never outlasts the closing that Trengo tells."""
    sql = "SELECT f.status, c.status, count(*) FROM fact_conversations f JOIN conversations c ON c.id = conversation_id"
    assert {(derived, told) for derived, told, _ in ask(swept.config, f"{sql} GROUP BY 1, 2")} == {
        ("open", "open"),
        ("done", "done"),
    }


def test_scores_of_closed_tickets_arrive_by_the_field_that_a_rule_fills(swept: Swept) -> None:
    world = swept.vendor.desk.world.conversations
    latest = {c["id"]: answers(r)[-1][1] for c in world if c["status"] == "done" for r in c["ratings"] if answers(r)}
    sql = (
        "SELECT c.vendor_id, a.score FROM answers a JOIN ratings r ON r.id = rating_id JOIN conversations c ON c.id = "
    )
    stored = ask(swept.config, f"{sql} r.conversation_id")
    assert {swept.vendor.originals[number]: score for number, score in stored} == latest


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Vendor, Config]]:
    with Vendor(part(generate(1), 20), "Europe/Paris") as vendor:
        yield vendor, config_of(vendor, tmp_path)


def adapter_of(vendor: Vendor, **changes: Any) -> tuple[Trengo, HttpClient]:
    settings = TrengoSettings(**(vendor.settings() | changes))
    client = HttpClient(Trengo.service(settings), Clock(vendor.desk.world.now), name="trengo", demo=True)
    return Trengo(settings, client), client


def test_times_without_a_zone_are_read_in_the_one_that_is_set(small: tuple[Vendor, Config]) -> None:
    vendor, config = small
    assert pulled(vendor, config).outcome == "ok"
    begun = {
        vendor.originals[number]: at for number, at in ask(config, "SELECT vendor_id, created_at FROM conversations")
    }
    assert begun == {one["id"]: from_iso(one["created_at"]) for one in vendor.desk.world.conversations}


def test_a_tag_and_a_note_are_pushed_read_back_and_come_home(small: tuple[Vendor, Config]) -> None:
    vendor, config = small
    pulled(vendor, config)
    number, row = next((number, row) for number, row in vendor.desk.tickets.items() if row["labels"])
    before = tuple(one["name"] for one in row["labels"])
    adapter, client = adapter_of(vendor)
    with closing(client):
        assert adapter.add_tag(str(number), "deskpulse-slow") == (before, (*before, "deskpulse-slow"))
        note = adapter.add_note(str(number), "[deskpulse] waited 3 h")
        assert adapter.find_note(str(number), "[deskpulse] waited 3 h") == note
    summary = pulled(vendor, config)
    assert (summary.counts.new, summary.counts.changed) == (1, 1)
    tags, own = ask(config, "SELECT tags FROM conversations WHERE vendor_id = ?", str(number)), "own = 1 AND public = 0"
    assert "deskpulse-slow" in tags[0][0]
    assert ask(config, f"SELECT vendor_id FROM messages WHERE {own}") == [(note,)]
    assert vendor.violations == []


def test_the_push_machinery_writes_once_and_undoes_its_tags_and_says_that_notes_stay(
    small: tuple[Vendor, Config],
) -> None:
    vendor, config = small
    clock = Clock(vendor.desk.world.now)
    pulled(vendor, config, clock)
    labels = {number: row["labels"] for number, row in vendor.desk.tickets.items()}
    first = push.apply(config, clock)
    assert {state for _, state, _ in first.results} == {"sent"}
    assert push.apply(config, clock).results == []
    undone = {action.action: (state, why) for action, state, why in push.undo(config, clock, first.run).results}
    assert undone["tag"][0] == "undone"
    assert (undone["note"][0], "delete note" in undone["note"][1]) == ("failed", True)
    assert {number: row["labels"] for number, row in vendor.desk.tickets.items()} == labels
    assert vendor.violations == []


def test_a_message_that_is_not_literally_internal_counts_as_sent_to_a_customer(small: tuple[Vendor, Config]) -> None:
    vendor, _ = small
    _, client = adapter_of(vendor)
    number = next(iter(vendor.desk.tickets))
    with closing(client):
        for body in (
            {"message": "a"},
            {"message": "b", "internal_note": False},
            {"message": "c", "internal_note": "true"},
        ):
            client.send("POST", f"/api/v2/tickets/{number}/messages", body)
    assert [one["message"] for one in vendor.violations] == ["a", "b", "c"]


def test_scores_of_a_csv_file_join_trengos_tickets(small: tuple[Vendor, Config], tmp_path: Path) -> None:
    """The way without a rule: what Trengo's report exports, as ratings of Trengo's own ticket numbers."""
    vendor, _ = small
    first, second = list(vendor.desk.tickets)[:2]
    lines = ["conversation;at;score", f"{first};2026-11-18T12:00:00+01:00;4", f"{second};2026-11-18T13:00:00+01:00;1"]
    lines.append("799999999;2026-11-18T14:00:00+01:00;5")  # a ticket that was merged away since
    (tmp_path / "csat.csv").write_text("\n".join(lines) + "\n", "utf-8")
    trengo = {key: value for key, value in vendor.settings().items() if key != "score_field"}
    tables = {"demo": True, "now": to_iso(vendor.desk.world.now), "database": "csv.db"}
    files = {"adapter": "files", "path": "csat.csv", "of": "trengo"}
    both = from_tables(tables | {"services": {"csat": files, "trengo": trengo}}, tmp_path / "deskpulse.toml")
    for _ in range(2):
        summaries = sync(both, [], Clock(vendor.desk.world.now))
        assert [one.outcome for one in summaries] == ["ok", "ok"]
    sql = "SELECT c.vendor_id, r.score FROM fact_ratings r JOIN conversations c ON c.id = conversation_id ORDER BY 1"
    assert ask(both, sql) == [(str(first), 4.0), (str(second), 1.0)]
    assert [one.counts.new for one in summaries] == [0, 0]


def test_doctor_finds_the_zone_and_the_scores_of_the_played_trengo(small: tuple[Vendor, Config]) -> None:
    vendor, _ = small
    found: dict[str, Finding] = {}
    for zone in ("Europe/Paris", "America/New_York"):
        adapter, client = adapter_of(vendor, zone=zone)
        with closing(client):
            found[zone] = next(one for one in adapter.probe() if one.check == "zone")
    assert found["Europe/Paris"].ok is not False
    assert found["America/New_York"].ok is not True
