"""What the demo inbox holds: a file of the neutral format, or the desk told from a seed."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connector.errors import UsageError
from connector.models import CHANNEL_KINDS, from_iso, to_iso
from connector.sandbox import Sandbox, World
from connector.sandbox.chatwoot_wire import CHANNELS
from connector.sandbox.files import read
from connector.sandbox.generate import generate
from connector.sandbox.hours import after, open_seconds, schedule_of
from connector.sandbox.timeline import whole_seconds

PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture(scope="module")
def world() -> World:
    return generate(1)


# --- a file ----------------------------------------------------------------------------------------------------------


def test_every_kind_of_channel_has_its_own_word() -> None:
    assert len(set(CHANNELS.values())) == len(CHANNELS)
    assert set(CHANNELS) <= set(CHANNEL_KINDS)


def test_flooring_keeps_a_later_answer_later() -> None:
    said = [(1_000_200, {"who": "customer"}), (1_000_900, {"who": "human"}), (1_001_100, {"who": "human"})]
    told = whole_seconds([(at, "message", item) for at, item in said])
    assert [second for second, _, _ in told] == [1000, 1001, 1001]
    together = whole_seconds([(1_000_200, "message", {"who": "customer"}), (1_000_200, "event", {"kind": "status"})])
    assert [second for second, _, _ in together] == [1000, 1000], "what happened at once stays so"


SAID = '{"id": "x", "messages": [{"id": 1, "at": "2026-03-02T10:00:00Z", "author": "bot", %s}]}'
SCORED = '{"id": "x", "created_at": "2026-03-02T10:00:00Z", "ratings": [{"at": "2026-03-02T11:00:00Z", %s}]}'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"type": "ticket", "id": 1}', "no such type: ticket"),
        ('{"messages": []}', "id is missing"),
        ('{"id": "x"}', "created_at is needed"),
        ('{"id": "x", "messages": [{"id": 1, "at": "2026-03-02T10:00:00", "author": "customer"}]}', "without a zone"),
        ('{"id": "x", "messages": [{"id": 1, "at": "1970-01-01T00:00:00Z", "author": "customer"}]}', "plausible"),
        ('{"id": "x", "messages": [{"id": 1, "at": "2026-03-02T10:00:00Z", "author": "me"}]}', '"me" is unknown'),
        ('{"id": "x", "messages": [{"id": 1, "author": "bot"}]}', "at is missing"),
        ('{"id": "x", "messages": 3}', "messages is not a list"),
        ('{"id": "x", "created_at": "2026-03-02T10:00:00Z", "status": "shut"}', 'status "shut" is unknown'),
        ('{"id": "x", "created_at": "2026-03-02T10:00:00Z", "ratings": [{}]}', "neither offered_at nor an answer"),
        ('{"type": "inbox", "id": "i", "schedule": {"zone": "Paris"}}', "no time zone"),
        ('{"type": "inbox", "id": "i", "schedule": {"zone": "UTC", "hours": {"mon": ["9-5"]}}}', "opening hours"),
        ('{"type": "inbox", "id": "i", "schedule": {"zone": "Europe"}}', "no time zone"),
        ('{"type": "inbox", "id": "i", "schedule": {"zone": ""}}', "no time zone"),
        ('{"id": "x", "created_at": "2026-03-02T10:00:00Z", "tags": "vip"}', "tags is not a list"),
        (SCORED % '"score": 6', "score 6 is not between 1 and 5"),
        (SCORED % '"score": 0', "score 0 is not between 1 and 5"),
        (SCORED % '"score": 5, "low": 5', "score 5 is not between 5 and 5"),
        (SCORED % '"score": "4"', "score '4' is not a number"),
        (SAID % '"length": "9"', "length is not a number"),
        (SAID % '"text": "\\ud83d"', "utf-8"),
        ('{"type": "event", "conversation": "y", "at": "2026-03-02T10:00:00Z", "kind": "spam"}', "no conversation y"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_with_its_reason(tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"id": "ok", "created_at": "2026-03-02T10:00:00Z"}\n\n' + line + "\n", "utf-8")
    with pytest.raises(UsageError, match=r"bad\.jsonl line 3: ") as caught:
        read(file)
    assert reason in str(caught.value)


def test_tags_written_as_numbers_are_text(tmp_path: Path) -> None:
    file = tmp_path / "tags.jsonl"
    file.write_text('{"id": "x", "created_at": "2026-03-02T10:00:00Z", "tags": ["vip", 5]}', "utf-8")
    assert [row["title"] for row in Sandbox(file).chatwoot.tables.labels] == ["5", "vip"]


@pytest.mark.parametrize(
    ("rating", "stars"),
    [
        ('"score": "good"', 5), ('"score": "bad"', 1), ('"score": 3', 3), ('"score": 0, "low": 0, "high": 10', 1),
        ('"score": 10, "low": 0, "high": 10', 5), ('"score": 4, "low": 1, "high": 7', 3),
    ],
)  # fmt: skip
def test_a_score_on_any_scale_is_served_as_one_to_five(tmp_path: Path, rating: str, stars: int) -> None:
    file = tmp_path / "scored.jsonl"
    file.write_text(SCORED % rating, "utf-8")
    assert [row["rating"] for row in Sandbox(file).chatwoot.tables.ratings] == [stars]


def test_an_empty_or_missing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(UsageError, match="holds no conversations"):
        read(tmp_path / "empty.jsonl")
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "missing.jsonl")


# --- the generated desk ----------------------------------------------------------------------------------------------


def test_the_same_seed_tells_the_same_story_and_another_seed_another() -> None:
    assert list(generate(7).lines()) == list(generate(7).lines())
    assert list(generate(7).lines()) != list(generate(8).lines())


def test_the_desk_is_read_back_from_its_own_file(world: World, tmp_path: Path) -> None:
    file = tmp_path / "desk.jsonl"
    file.write_text("\n".join(world.lines()), "utf-8")
    again = read(file)
    assert (again.now, again.zone, len(again.conversations)) == (world.now, world.zone, len(world.conversations))
    told, reread = Sandbox(world), Sandbox(again)
    assert told.chatwoot.tables.cases.keys() == reread.chatwoot.tables.cases.keys()
    for number, case in told.chatwoot.tables.cases.items():
        assert reread.chatwoot.tables.cases[number].events == case.events


def local_days(world: World) -> set[str]:
    return {datetime.fromisoformat(c["created_at"]).astimezone(PARIS).date().isoformat() for c in world.conversations}


def test_sixty_days_end_on_a_friday_and_hold_the_long_night(world: World) -> None:
    last = datetime(2026, 11, 20, tzinfo=PARIS).date()
    assert local_days(world) == {(last - timedelta(days=n)).isoformat() for n in range(60)}
    assert to_iso(world.now) == "2026-11-21T07:00:00.000Z"
    twice = [c for c in world.conversations if c["created_at"] in ("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z")]
    walls = [datetime.fromisoformat(c["created_at"]).astimezone(PARIS) for c in twice]
    assert [(wall.hour, wall.minute, wall.fold) for wall in walls] == [(2, 30, 0), (2, 30, 1)]


def test_the_desk_has_something_of_everything(world: World) -> None:
    conversations = world.conversations
    assert 950 <= len(conversations) <= 1100
    assert len({c["channel"] for c in conversations}) == 5
    assert {c.get("team") for c in conversations} == {"1", "2", "3", None}
    assert {c["status"] for c in conversations} == {"open", "pending", "done"}
    assert {c["language"] for c in conversations} == {"fr", "en"}
    assert {m["author"] for c in conversations for m in c["messages"]} == {"customer", "agent", "bot", "automation"}
    assert any(m.get("kind") == "campaign" for c in conversations for m in c["messages"])
    assert any(m.get("private") for c in conversations for m in c["messages"])
    assert any(len(r["answers"]) > 1 for c in conversations for r in c["ratings"])
    assert any(not r["answers"] for c in conversations for r in c["ratings"])
    moves = [(e["kind"], e.get("was"), e.get("value")) for c in conversations for e in c["events"]]
    assert ("status", "done", "open") in moves
    assert ("team", "1", "2") in moves
    assert sum(kind == "handoff" for kind, _, _ in moves) > 100


def test_nothing_happens_before_its_conversation_or_after_the_end(world: World) -> None:
    for conversation in world.conversations:
        times = [m["at"] for m in conversation["messages"]]
        assert times == sorted(times)
        assert times[0] >= conversation["created_at"]
        told = [*times, *(e["at"] for e in conversation["events"])]
        assert max(told) < "2026-11-20T23:00:00Z"


def test_the_invoicing_team_answers_visibly_slower_at_the_end(world: World) -> None:
    def median_wait(team: str, late: bool) -> float:
        waits = []
        for conversation in world.conversations:
            said = [
                m for m in conversation["messages"] if m["author"] in ("customer", "agent") and not m.get("private")
            ]
            turns = [(a, b) for a, b in pairwise(said) if (a["author"], b["author"]) == ("customer", "agent")]
            if conversation.get("team") == team and turns and (turns[0][1]["at"] >= "2026-11-18") == late:
                waits.append(open_seconds(OFFICE, *(from_iso(m["at"]) // 1000 for m in turns[0])))
        assert len(waits) >= 25
        return sorted(waits)[len(waits) // 2]

    assert median_wait("2", late=True) > 1.5 * median_wait("2", late=False)


OFFICE = schedule_of(
    {"zone": "Europe/Paris", "hours": {d: ["09:00-18:00"] for d in ("mon", "tue", "wed", "thu", "fri")}}
)


def second(text: str) -> int:
    return from_iso(text) // 1000


def test_open_time_skips_nights_weekends_and_holidays() -> None:
    friday, monday = second("2026-11-20T17:30:00+01:00"), second("2026-11-23T09:10:00+01:00")
    assert open_seconds(OFFICE, friday, monday) == 40 * 60
    assert after(OFFICE, friday, 40 * 60) == monday
    assert open_seconds(OFFICE._replace(holidays=("2026-11-23",)), friday, monday) == 30 * 60
    always = schedule_of({"zone": "Europe/Paris", "hours": {"sun": ["00:00-24:00"]}})
    night = second("2026-10-25T00:00:00+02:00"), second("2026-10-26T00:00:00+01:00")
    assert open_seconds(always, *night) == 25 * 3600
