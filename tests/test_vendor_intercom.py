"""The generated desk behind a played Intercom: pulled over real HTTP, measured, and written to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from vendors.deployment import Clock, ask, config_of, pulled
from vendors.intercom import Intercom as Vendor

from adapters.intercom import Intercom, IntercomSettings
from connector import push
from connector.config import Config
from connector.http import HttpClient
from connector.models import from_iso
from connector.pull import RunSummary
from connector.sandbox.generate import generate
from connector.sandbox.world import Neutral, World, answers


def part(world: World, every: int, *more: Neutral) -> World:
    """A smaller desk: every so many of its conversations, and some more."""
    kept = [one for n, one in enumerate(world.conversations) if n % every == 0]
    records = {"inbox": world.inboxes[:1], "team": world.teams, "agent": world.agents, "conversation": [*kept, *more]}
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
        config = config_of(vendor, tmp_path_factory.mktemp("intercom"))
        yield Swept(vendor, config, pulled(vendor, config), pulled(vendor, config))


def world_of(swept: Swept) -> list[Neutral]:
    return swept.vendor.desk.world.conversations


def test_the_whole_desk_arrives(swept: Swept) -> None:
    assert (swept.first.outcome, swept.first.counts.rejected) == ("ok", 0)
    world = world_of(swept)
    assert ask(swept.config, "SELECT count(*) FROM conversations") == [(len(world),)]
    assert ask(swept.config, "SELECT count(*) FROM messages") == [(sum(len(c["messages"]) for c in world),)]
    people = {agent["name"] for agent in swept.vendor.desk.world.agents if not agent.get("bot")}
    assert {name for (name,) in ask(swept.config, "SELECT name FROM agents WHERE kind = 'human'")} == {"Pulse", *people}
    assert {name for (name,) in ask(swept.config, "SELECT name FROM agents WHERE kind = 'bot'")} == {"Operator", "Léo"}


def test_a_second_sync_finds_nothing_new(swept: Swept) -> None:
    counts = swept.second.counts
    assert (swept.second.outcome, counts.new, counts.changed, counts.rejected) == ("ok", 0, 0, 0)
    assert swept.second.requests < swept.first.requests / 4


def test_the_rate_limit_is_met_and_obeyed_by_its_reset(swept: Swept) -> None:
    """Here the pace is set higher than Intercom allows: it refuses, and nothing is lost by it."""
    assert swept.first.waited_s >= 10 * (swept.first.requests // (swept.vendor.desk.window + 1))
    assert swept.vendor.violations == []


def test_every_message_has_the_author_and_kind_of_the_world(swept: Swept) -> None:
    said = [m for c in world_of(swept) for m in c["messages"]]
    names = {"customer": "customer", "agent": "human", "bot": "bot", "automation": "automation"}
    kinds = [("note" if m.get("private") else m.get("kind") or "message", names[m["author"]]) for m in said]
    stored = ask(swept.config, "SELECT kind, author, count(*) FROM messages GROUP BY 1, 2")
    assert {(kind, author): n for kind, author, n in stored} == Counter(kinds)


def test_every_change_of_status_and_owner_is_told_at_its_second(swept: Swept) -> None:
    """Pending is open at Intercom, and so no change from or to it is one."""
    told = {"done": "done", "open": "open", "pending": "open"}
    happened = Counter(
        (c["id"], e["kind"], from_iso(e["at"]))
        for c in world_of(swept)
        for e in c["events"]
        if e["kind"] != "handoff" and (e["kind"] != "status" or told[e["was"]] != told[e["value"]])
    )
    sql = "SELECT c.vendor_id, kind, at FROM events e JOIN conversations c ON c.id = conversation_id"
    stored = ask(swept.config, f"{sql} WHERE kind <> 'handoff'")
    assert Counter((swept.vendor.originals[number], kind, at) for number, kind, at in stored) == happened


def test_every_handover_by_the_bot_is_told(swept: Swept) -> None:
    """At the assignment that follows, since Intercom gives it no time."""
    handed = {c["id"]: from_iso(e["at"]) for c in world_of(swept) for e in c["events"] if e["kind"] == "handoff"}
    sql = "SELECT c.vendor_id, at FROM events e JOIN conversations c ON c.id = conversation_id WHERE kind = 'handoff'"
    stored = {swept.vendor.originals[number]: at for number, at in ask(swept.config, sql)}
    assert stored.keys() == handed.keys()
    assert all(0 <= at - handed[number] <= 60_000 for number, at in stored.items())


def test_ratings_keep_when_they_were_asked_and_given(swept: Swept) -> None:
    world = {(c["id"], from_iso(r["offered_at"])): answers(r)[-1:] for c in world_of(swept) for r in c["ratings"]}
    sql = "SELECT c.vendor_id, offered_at, a.at, score FROM ratings r LEFT JOIN answers a ON a.rating_id = r.id JOIN"
    stored = ask(swept.config, f"{sql} conversations c ON c.id = r.conversation_id")
    assert {(swept.vendor.originals[n], offered): (at, score) for n, offered, at, score in stored} == {
        key: (from_iso(given[0][0]), given[0][1]) if given else (None, None) for key, given in world.items()
    }


def merged_into(world: World) -> Neutral:
    one = world.conversations[0]
    away = {"at": "2026-10-01T10:00:00Z", "kind": "merged", "value": one["id"]}
    said = {"id": "m", "at": "2026-10-01T09:00:00Z", "author": "customer", "author_id": "c1", "text": "Again me"}
    about = {"contact": "c1", "created_at": said["at"], "status": "done", "messages": [said], "events": [away]}
    return {"id": "twin", **about, "ratings": [], "channel": "email"}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Vendor, Config]]:
    world = generate(1)
    with Vendor(part(world, 20, merged_into(world))) as vendor:
        yield vendor, config_of(vendor, tmp_path)


def adapter_of(vendor: Vendor, **changes: Any) -> tuple[Intercom, HttpClient]:
    settings = IntercomSettings(**(vendor.settings() | changes))
    client = HttpClient(Intercom.service(settings), Clock(vendor.desk.world.now), name="intercom", demo=True)
    return Intercom(settings, client), client


def test_what_was_merged_away_or_deleted_counts_no_more(small: tuple[Vendor, Config]) -> None:
    vendor, config = small
    pulled(vendor, config)
    one, *_, gone = vendor.desk.chats
    vendor.desk.forget(one)
    assert pulled(vendor, config).outcome == "ok"
    sql = "SELECT c.vendor_id, excluded, merged_into FROM fact_conversations f JOIN conversations c ON c.id ="
    found = ask(config, f"{sql} conversation_id WHERE excluded IS NOT NULL")
    assert sorted(found) == sorted([(one, "deleted", None), *[row for row in found if row[1] == "merged"]])
    assert [vendor.originals[number] for number, why, _ in found if why == "merged"] == ["twin"]
    assert [into for _, why, into in found if why == "merged"] == [one]
    assert gone not in [number for number, _, why in found if why == "deleted"]


def test_one_schedule_is_the_workspaces_and_several_are_nobodys(small: tuple[Vendor, Config], swept: Swept) -> None:
    vendor, config = small
    pulled(vendor, config)
    assert "Europe/Paris" in ask(config, "SELECT schedule FROM inboxes")[0][0]
    assert ask(swept.config, "SELECT name, schedule FROM inboxes") == [("Desk", None)]


def test_a_tag_and_a_note_are_pushed_read_back_and_come_home(small: tuple[Vendor, Config]) -> None:
    vendor, config = small
    pulled(vendor, config)
    number, chat = next((n, chat) for n, chat in vendor.desk.chats.items() if chat.row["tags"]["tags"])
    before = tuple(tag["name"] for tag in chat.row["tags"]["tags"])
    adapter, client = adapter_of(vendor)
    with closing(client):
        assert adapter.add_tag(number, "deskpulse-slow") == (before, (*before, "deskpulse-slow"))
        text = "[deskpulse] waited 3 h & more than <2 h>"
        note = adapter.add_note(number, text)
        assert adapter.find_note(number, text) == note
    summary = pulled(vendor, config)
    assert (summary.counts.new, summary.counts.changed) == (1, 1)
    tags = ask(config, "SELECT tags FROM conversations WHERE vendor_id = ?", number)
    assert "deskpulse-slow" in tags[0][0]
    assert ask(config, "SELECT vendor_id FROM messages WHERE own = 1 AND public = 0") == [(note,)]
    assert vendor.violations == []


def test_the_push_machinery_writes_once_and_undoes_its_tags(small: tuple[Vendor, Config]) -> None:
    vendor, config = small
    clock = Clock(vendor.desk.world.now)
    pulled(vendor, config)
    tags = {number: chat.row["tags"] for number, chat in vendor.desk.chats.items()}
    first = push.apply(config, clock)
    assert {state for _, state, _ in first.results} == {"sent"}
    assert push.apply(config, clock).results == []
    push.undo(config, clock, first.run)
    assert {number: chat.row["tags"] for number, chat in vendor.desk.chats.items()} == tags
    assert vendor.violations == []


def test_a_reply_that_is_not_literally_a_note_counts_as_sent_to_a_customer(small: tuple[Vendor, Config]) -> None:
    vendor, _ = small
    _, client = adapter_of(vendor)
    number = next(iter(vendor.desk.chats))
    with closing(client):
        for path in (f"/conversations/{number}/reply", f"/conversations/{number}/parts", "/messages"):
            client.send("POST", path, {"message_type": "comment", "admin_id": "990", "body": "Hello"})
        client.send("POST", f"/conversations/{number}/parts", {"message_type": "note", "admin_id": "990", "body": ""})
    assert len(vendor.violations) == 4


def test_doctor_finds_what_the_played_intercom_can_feed(small: tuple[Vendor, Config]) -> None:
    adapter, client = adapter_of(small[0], requests_per_second=5)
    with closing(client):
        found = {one.check: one.ok for one in adapter.probe()}
    assert not [check for check, ok in found.items() if ok is False]
    assert (found["changes"], found["opening hours"], found["deletions"], found["rate limit"]) == (True,) * 4
