from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from functools import partial
from typing import Any

import golden
import pytest

from connector import facts
from connector.config import SlaTarget, from_tables
from connector.errors import ConnectorError
from connector.facts import as_of, refresh
from connector.facts.calendar import Calendar
from connector.facts.derive import CONVERSATION_COLUMNS, ConversationFacts, derive
from connector.facts.rules import Rules, rules_of, schedules
from connector.facts.tables import COLUMNS
from connector.facts.timeline import Survey, Timeline
from connector.models import (
    Agent,
    Channel,
    Conversation,
    Event,
    Inbox,
    Message,
    Page,
    Rating,
    Record,
    Schedule,
    from_iso,
)
from connector.store.write import Store

EXACT = 1e-9


@pytest.fixture
def opened(tmp_path):
    """A golden's connection and config; closed in the end."""
    stores = []

    def _open(story: dict[str, Any]):
        config = golden.config_of(story, tmp_path)
        stores.append(golden.store_of(story, config))
        return stores[-1].conn, config

    yield _open
    for store in stores:
        store.close()


@pytest.mark.parametrize("path", golden.FILES, ids=lambda path: path.stem)
def test_golden_timelines(path, opened):
    story = golden.read(path)
    conn, config = opened(story)
    refresh(conn, config)
    for vendor_id, expected in story["expect"].items():
        check(conn, vendor_id, expected, story["because"])
    for instant, conversations in story.get("as_of", {}).items():
        as_of(conn, config, from_iso(instant))
        for vendor_id, expected in conversations.items():
            check(conn, vendor_id, expected, f"as of {instant}: {story['because']}")


def check(conn, vendor_id: str, expected: dict[str, Any] | None, because: str) -> None:
    found = facts_of(conn, vendor_id)
    if expected is None:
        assert found is None, because
        return
    assert found is not None, f"{vendor_id} has no facts"
    for name, value in expected.items():
        assert view(conn, found, name, value) == stated(name, value), f"{vendor_id}.{name}: {because}"


def facts_of(conn, vendor_id: str) -> dict[str, Any] | None:
    sql = "SELECT f.* FROM fact_conversations f JOIN conversations c ON c.id = f.conversation_id WHERE c.vendor_id = ?"
    row = conn.execute(sql, (vendor_id,)).fetchone()
    return None if row is None else dict(row)


def stated(name: str, value: Any) -> Any:
    """What a golden says, in the terms of the facts."""
    if name == "waiting_since":
        return value and from_iso(value)
    if name in ("stock", "sla"):
        return [tuple(from_iso(v) if isinstance(v, str) and v[:2] == "20" else v for v in row) for row in value]
    if name == "rating":
        return value and instants(value)
    if name == "surveys":
        return [instants(one) for one in value]
    return approximately(value)


def instants(row: dict[str, Any]) -> dict[str, Any]:
    return {k: from_iso(v) if k.endswith("_at") and v else v for k, v in row.items()}


def approximately(value: Any) -> Any:
    if isinstance(value, list):
        return [approximately(one) for one in value]
    if isinstance(value, dict):
        return {key: approximately(one) for key, one in value.items()}
    return value if value is None or isinstance(value, str) else pytest.approx(value, abs=EXACT)


def view(conn, found: dict[str, Any], name: str, expected: Any) -> Any:
    """The fact that a golden names: a list of rows, an agent or team by name, minutes, or the column as it is."""
    id_ = found["conversation_id"]
    if name in LISTS:
        return LISTS[name](conn, id_)
    if name == "rating":
        row = conn.execute("SELECT * FROM fact_ratings WHERE conversation_id = ?", (id_,)).fetchone()
        return row and {key: row[key] for key in expected or dict(row)}
    if name == "surveys":
        rows = conn.execute("SELECT * FROM fact_surveys WHERE conversation_id = ? ORDER BY seq", (id_,)).fetchall()
        assert len(rows) == len(expected)
        return [{key: row[key] for key in one} for row, one in zip(rows, expected, strict=True)]
    if f"{name}_s" in found:
        return in_minutes(found[f"{name}_s"])
    if f"{name}_id" in found:
        table = "teams" if "team" in name else "agents"
        return conn.execute(f"SELECT name FROM {table} WHERE id = ?", (found[f"{name}_id"],)).fetchone()[0]
    return found[name]


def in_minutes(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 60


def column(sql: str):
    return lambda conn, id_: [in_minutes(row[0]) for row in conn.execute(sql, (id_,))]


def rows(sql: str):
    return lambda conn, id_: [tuple(row) for row in conn.execute(sql, (id_,))]


ANSWERED = "FROM fact_waits WHERE conversation_id = ? AND answered_at IS NOT NULL ORDER BY seq"
LISTS = {
    "responses": column(f"SELECT response_s {ANSWERED}"),
    "responses_business": column(f"SELECT response_business_s {ANSWERED}"),
    "from_last": column(f"SELECT from_last_s {ANSWERED}"),
    "episodes": column("SELECT episode_s FROM fact_episodes WHERE conversation_id = ? ORDER BY seq"),
    "waits": lambda conn, id_: conn.execute(
        "SELECT count(*) FROM fact_waits WHERE conversation_id = ?", (id_,)
    ).fetchone()[0],
    "team_responses": lambda conn, id_: {
        team: in_minutes(seconds)
        for team, seconds in conn.execute(
            "SELECT t.name, w.team_response_s FROM fact_waits w JOIN teams t ON t.id = w.team_id "
            "WHERE w.conversation_id = ?", (id_,),
        )
    },
    "stock": rows(
        "SELECT s.from_at, s.to_at, s.status, t.name, a.name FROM fact_stock s LEFT JOIN teams t ON t.id = s.team_id "
        "LEFT JOIN agents a ON a.id = s.agent_id WHERE s.conversation_id = ? ORDER BY s.seq"
    ),
    "sla": rows(
        "SELECT s.metric, s.clock, s.due_at, s.completed_at, a.name FROM fact_sla s "
        "LEFT JOIN agents a ON a.id = s.agent_id WHERE s.conversation_id = ? ORDER BY s.seq"
    ),
}  # fmt: skip


# --- properties, over random conversations ---------------------------------------------------------------------------

MINUTE = 60_000
START = from_iso("2025-03-01T00:00Z")
SPAN = 40 * 24 * 60
OFFICE = Calendar(Schedule("Europe/Paris", (((540, 1020),),) * 5 + ((),) * 2))
RULES = Rules(calendars={None: OFFICE})
STATUSES = ("open", "pending", "snoozed", "done", "done")


def some_timeline(rng: random.Random, id_: int = 1) -> Timeline:
    created = START + rng.randrange(SPAN) * MINUTE

    def instants(most: int) -> list[int]:
        return sorted(created + rng.randrange(-2, 3000) * MINUTE for _ in range(rng.randrange(most)))

    said = [
        (at, rng.choice(("customer", "customer", "human", "human", "bot", "automation")), rng.choice((None, 1, 2)),
         rng.random() < 0.9, rng.choice(("message",) * 8 + ("note", "campaign")))
        for at in instants(9)
    ]  # fmt: skip
    return Timeline(
        id_, 1, created, "open", "email",
        messages=said,
        statuses=[(at, rng.choice(STATUSES), None, rng.choice((None, 1))) for at in instants(7)],
        teams=[(at, rng.choice((None, 1, 2)), None) for at in instants(4)],
        agents=[(at, rng.choice((None, 1, 2)), None) for at in instants(4)],
        marks=[(at, "handoff", None) for at in instants(2)],
    )  # fmt: skip


def columns_of(made: ConversationFacts) -> dict[str, Any]:
    return dict(zip(CONVERSATION_COLUMNS, made.conversation, strict=True))


WORLD = [some_timeline(random.Random(seed)) for seed in range(400)]
DERIVED = [(timeline, derive(timeline, RULES)) for timeline in WORLD]


def test_what_came_in_less_what_went_out_is_the_change_of_the_stock():
    def stock_at(t: int) -> int:
        return sum(
            row.from_at <= t and (row.to_at is None or row.to_at > t) for _, made in DERIVED for row in made.stock
        )

    stays = [(i, row) for _, made in DERIVED for i, row in enumerate(made.episodes)]
    rng = random.Random(7)
    for _ in range(100):
        a, b = sorted(START + rng.randrange(-60, SPAN + 4000) * MINUTE for _ in range(2))
        created = sum(a < row.opened_at <= b for i, row in stays if i == 0)
        reopened = sum(a < row.opened_at <= b for i, row in stays if i > 0)
        resolved = sum(row.resolved_at is not None and a < row.resolved_at <= b for _, row in stays)
        assert created - resolved + reopened == stock_at(b) - stock_at(a)
    assert stock_at(START + 60 * SPAN * MINUTE) > 0


def test_a_bot_conversation_is_either_contained_or_escalated():
    for timeline, made in DERIVED:
        row = columns_of(made)
        public_human = any(
            who == "human" and public and kind == "message" for _, who, _, public, kind in timeline.messages
        )
        assert row["escalated"] == (row["bot"] and (public_human or bool(timeline.marks)))
        assert not (row["abandoned"] and row["escalated"])
    assert {columns_of(made)["escalated"] for _, made in DERIVED if columns_of(made)["bot"]} == {0, 1}


def test_the_first_turn_is_answered_by_the_first_response():
    seen = 0
    for _, made in DERIVED:
        row, first = columns_of(made), next((wait for wait in made.waits if wait.first), None)
        assert (first is not None) == (row["direction"] == "inbound")
        if first and first.answered_at:
            seen += 1
            assert (first.answered_at, first.response_s, first.response_business_s) == (
                row["first_response_at"], row["first_response_s"], row["first_response_business_s"],
            )  # fmt: skip
    assert seen > 50


def test_the_parts_add_up_to_the_whole():
    for _, made in DERIVED:
        row = columns_of(made)
        assert sum(stay.replies for stay in made.episodes) == row["agent_replies"] >= row["agent_turns"]
        assert row["resolutions"] - row["reopens"] == (row["status"] == "done")
        lain = [(stretch.to_at, stretch.from_at) for stretch in made.stock]
        if row["status"] == "done":
            assert sum(b - a for b, a in lain) == row["open_s"] * 1000
            assert row["open_s"] <= row["full_resolution_s"]
        else:
            assert lain[-1][0] is None
            assert row["full_resolution_s"] is row["open_s"] is row["one_touch"] is None


def test_time_is_never_negative_and_business_time_never_more_than_real_time():
    for _, made in DERIVED:
        for row in (columns_of(made), *(r._asdict() for r in (*made.waits, *made.episodes))):
            for name in row:
                if name.endswith("_business_s") and row[name] is not None:
                    assert 0 <= row[name] <= row[name.replace("_business", "")], name


def test_a_solve_stamped_before_the_creation_took_no_time():
    made = derive(Timeline(1, 1, START, "done", "email", statuses=[(START - 500, "done", None, None)]), RULES)
    assert columns_of(made)["first_resolution_s"] == columns_of(made)["open_s"] == 0
    assert made.stock == []


def test_a_reply_belongs_to_the_episode_that_it_opens():
    said = [(START, "customer", None, 1, "message"), (START + 9, "human", 1, 1, "message")]
    statuses = [(START + 5, "done", None, None), (START + 9, "open", None, None), (START + 9, "done", None, None)]
    made = derive(Timeline(1, 1, START, "done", "email", messages=said, statuses=statuses), RULES)
    assert [(stay.replies, stay.needing_reply) for stay in made.episodes] == [(0, None), (1, 1)]


def test_of_two_answers_at_one_instant_the_later_to_arrive_is_the_latest_however_ratings_are_counted():
    twice = Survey(START, ((START + 9, 5.0), (START + 9, 1.0)), 1, 5)
    made = derive(Timeline(1, 1, START, "open", "email", surveys=[twice]), RULES)
    assert made.rating is not None
    assert (made.rating.first_score, made.rating.score, made.rating.good_to_bad) == (5, 1, 1)
    assert [row.score for row in made.surveys] == [1]


# --- one rule each ---------------------------------------------------------------------------------------------------


def told(*said: tuple[int, str], rules: Rules = RULES, channel: str = "email", **parts: Any) -> ConversationFacts:
    """The facts of a conversation in which (minute, author) spoke in public; ``parts`` are in instants."""
    talk = [(START + at * MINUTE, who, 1 if who == "human" else None, 1, "message") for at, who in said]
    return derive(Timeline(1, 1, START, "open", channel, messages=[*talk, *parts.pop("also", ())], **parts), rules)


def test_a_reply_after_the_solve_answers_the_wait_that_the_solve_had_ended():
    solved, answered = START + 5 * MINUTE, START + 6 * MINUTE
    made = told((0, "customer"), (6, "human"), statuses=[(solved, "done", None, None)])
    assert [(wait.answered_at, wait.ended_at) for wait in made.waits] == [(answered, solved)]


def test_what_a_customer_says_at_the_instant_of_a_solve_came_before_it():
    solved = START + 5 * MINUTE
    made = told((0, "customer"), (5, "customer"), (9, "human"), statuses=[(solved, "done", None, None)])
    assert [(wait.asked_at, wait.last_asked_at, wait.ended_at) for wait in made.waits] == [(START, solved, solved)]


def test_a_reopening_that_is_still_open_needs_a_reply():
    statuses = [(START + MINUTE, "done", None, None), (START + 2 * MINUTE, "open", None, None)]
    made = told((0, "customer"), statuses=statuses)
    assert [stay.needing_reply for stay in made.episodes] == [None, 1]
    assert columns_of(made)["reopens_needing_reply"] == 1


def test_a_campaign_counts_from_itself_in_the_zendesk_variant():
    made = told((1, "human"), (2, "customer"), (5, "human"), also=[(START, "human", 1, 1, "campaign")])
    row = columns_of(made)
    assert (row["direction"], row["zendesk_first_response_s"], row["asked_first_response_s"]) == ("outbound", 60, 180)


def test_a_customer_who_speaks_at_the_instant_of_a_campaign_spoke_first():
    made = told((0, "customer"), also=[(START, "automation", None, 1, "campaign")])
    assert columns_of(made)["direction"] == "inbound"


def test_a_note_opens_an_outbound_conversation_only_if_it_came_before_the_message():
    def answered_after(noted: int) -> float | None:
        note = (START + noted * MINUTE, "human", 1, 0, "note")
        return columns_of(told((2, "human"), (3, "customer"), (7, "human"), also=[note]))["zendesk_first_response_s"]

    assert [answered_after(noted) for noted in (1, 2, 3)] == [120, 420, 420]


def test_a_private_message_of_a_person_is_a_note_and_one_of_a_machine_is_nothing():
    row = columns_of(told(also=[(START, who, None, 0, "message") for who in ("human", "bot", "automation")]))
    assert (row["private_notes"], row["direction"]) == (1, None)


def test_a_second_message_before_the_customer_answers_us_is_a_turn_of_its_own():
    row = columns_of(told((0, "human"), (1, "human"), (2, "human"), (5, "customer"), (6, "human")))
    assert (row["direction"], row["agent_replies"], row["agent_turns"]) == ("outbound", 3, 2)


def test_a_promise_is_in_force_from_its_very_first_instant():
    since = [SlaTarget("first_response_time", 60, "calendar", None, START + late) for late in (0, 1)]
    due = [told((0, "customer"), rules=Rules(sla=(target,))).sla for target in since]
    assert [[row.due_at for row in rows] for rows in due] == [[START + MINUTE], []]


def test_a_rating_is_credited_to_whom_the_latest_survey_rates():
    surveys = [Survey(None, ((START + at, 5.0),), 1, 5, agent, agent) for at, agent in ((1, 7), (2, 8))]
    made = told((0, "customer"), surveys=surveys)
    assert made.rating is not None
    assert (made.rating.rated_at, made.rating.agent_id, made.rating.team_id) == (START + 1, 8, 8)


def test_a_survey_that_nobody_answered_is_of_whoever_had_the_conversation_when_it_was_offered():
    passed_on = [(START + MINUTE, 2, 1)]
    made = told((0, "customer"), surveys=[Survey(START, (), 1, 5)], agents=passed_on, teams=passed_on)
    assert [(row.agent_id, row.team_id) for row in made.surveys] == [(1, 1)]


@pytest.mark.parametrize("kind", ["merged", "deleted", "spam"])
def test_of_a_removed_conversation_nothing_counts_but_that_it_was_removed(kind):
    passed_on = [(START + MINUTE, 1, None), (START + 2 * MINUTE, 2, 1)]
    made = told((0, "customer"), (3, "human"), teams=passed_on, marks=[(START + 4 * MINUTE, kind, None)])
    row = columns_of(made)
    assert (row["excluded"], row["transfers"], row["agent_replies"], row["first_response_s"]) == (kind, 0, 0, None)
    assert not any((*made[1:],))


def test_the_seat_decides_where_the_helpdesk_knows_no_role_and_never_makes_a_machine_speak():
    seated = Rules(seats={1: "bot"})
    assert [seated.author(role, 1) for role in ("human", "unknown", "automation")] == ["bot", "bot", "automation"]
    assert seated.author("unknown", 2) == "unknown"


def test_a_channels_own_promise_goes_before_a_later_general_one():
    own = SlaTarget("first_response_time", 60, "calendar", "email")
    later = SlaTarget("first_response_time", 120, "calendar", None, START - 1)
    assert [row.target_s for row in told((0, "customer"), rules=Rules(sla=(later, own))).sla] == [60]


# --- refreshing ------------------------------------------------------------------------------------------------------

HISTORY = frozenset({"status", "assigned", "team"})


def some_records(rng: random.Random, id_: str) -> list[Record]:
    timeline = some_timeline(rng)
    first = timeline.created_at
    records: list[Record] = [Conversation(id_, first, "open", channel="email", contact="ada")]
    records += [
        Message(f"{id_}-{i}", id_, at, who, None if who == "customer" else "Ann", public, kind)
        for i, (at, who, _, public, kind) in enumerate(timeline.messages)
    ]
    records += [Event(f"{id_}-s{i}", id_, at, "status", value) for i, (at, value, _, _) in enumerate(timeline.statuses)]
    if rng.random() < 0.3:
        records.append(Rating(f"{id_}-r", id_, first, ((first + 5000 * MINUTE, float(rng.randrange(1, 6))),)))
    if rng.random() < 0.1:
        records.append(Event(f"{id_}-x", id_, first + 9 * MINUTE, "deleted"))
    return records


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "deskpulse.db", demo=False) as opened:
        yield opened


@pytest.fixture
def config(tmp_path):
    return from_tables({"calendar": {"hours": {"mon": ["09:00-17:00"]}}}, tmp_path / "deskpulse.toml")


def save(store: Store, records: list[Record], seen_at: int = START) -> None:
    store.save(store.source("desk", "files"), "records", [Page(records)], seen_at=seen_at, history=HISTORY)


def everything(conn, schema: str = "main") -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: sorted(map(tuple, conn.execute(f"SELECT {', '.join(names)} FROM {schema}.{table}")), key=str)
        for table, names in COLUMNS.items()
    }


def test_every_fact_column_is_filled(store):
    for table, names in COLUMNS.items():
        assert {row["name"] for row in store.conn.execute(f"PRAGMA table_info({table})")} == set(names)
        assert len(names) == len(set(names))


def test_facts_refreshed_bit_by_bit_are_those_derived_from_scratch(store, config):
    rng = random.Random(3)
    for _ in range(12):
        changed = [f"c{rng.randrange(60)}" for _ in range(15)]
        save(store, [record for id_ in dict.fromkeys(changed) for record in some_records(rng, id_)])
        assert refresh(store.conn, config) == len(set(changed))
    kept = everything(store.conn)
    for table in ("meta WHERE key = 'facts'", *COLUMNS):
        store.conn.execute(f"DELETE FROM {table}")
    assert refresh(store.conn, config) == len(kept["fact_conversations"])
    assert everything(store.conn) == kept
    assert all(kept.values())


def test_what_did_not_change_is_not_derived_again(store, config):
    save(store, some_records(random.Random(1), "c1"))
    assert refresh(store.conn, config) == 1
    written = store.conn.total_changes
    assert refresh(store.conn, config) == 0
    assert store.conn.total_changes == written


def test_a_killed_refresh_is_taken_up_again(store, config, monkeypatch):
    monkeypatch.setattr(facts, "_CHUNK", 5)
    save(store, [record for i in range(20) for record in some_records(random.Random(i), f"c{i}")])
    left = [None] * 12

    def killed(timeline, rules):
        left.pop()
        return derive(timeline, rules)

    with monkeypatch.context() as patch:
        patch.setattr(facts, "derive", killed)
        with pytest.raises(IndexError):
            refresh(store.conn, config)
    assert store.conn.execute("SELECT count(*) FROM dirty").fetchone()[0] == 10
    assert store.conn.execute("SELECT count(*) FROM fact_conversations").fetchone()[0] == 10
    assert refresh(store.conn, config) == 10
    assert store.conn.execute("SELECT count(*) FROM fact_conversations").fetchone()[0] == 20


@pytest.mark.parametrize(
    "tables",
    [
        pytest.param({"bots": ["Ann"]}, id="bots"),
        pytest.param({"csat_positive_from": 5}, id="csat cut"),
        pytest.param({"calendar": {"hours": {"tue": ["09:00-17:00"]}}}, id="calendar"),
        pytest.param({"sla": [{"metric": "resolution_time", "target": "1d"}]}, id="sla"),
    ],
)
def test_a_changed_rule_derives_everything_again(store, config, tables):
    save(store, [Agent("Ann", "Ann"), *(r for i in range(5) for r in some_records(random.Random(i), f"c{i}"))])
    refresh(store.conn, config)
    assert (
        refresh(store.conn, from_tables({"calendar": {"hours": {"mon": ["09:00-17:00"]}}} | tables, config.path)) == 5
    )
    assert refresh(store.conn, config) == 5


@pytest.fixture
def meanwhile(monkeypatch):
    """What other processes do while a refresh of small chunks is at work: one deed after each chunk."""

    def _do(*deeds) -> None:
        left, changed = [lambda: None, *deeds], facts._changed

        def interrupted(conn):
            if left:
                left.pop(0)()
            return changed(conn)

        monkeypatch.setattr(facts, "_CHUNK", 5)
        monkeypatch.setattr(facts, "_changed", interrupted)

    return _do


def some_world(store: Store, count: int = 12) -> None:
    save(store, [Agent("Ann", "Ann"), *(r for i in range(count) for r in some_records(random.Random(i), f"c{i}"))])


def test_whom_a_sync_meets_while_facts_are_refreshed_is_known(store, config, meanwhile):
    some_world(store)
    owned = [Event("t", "new", START, "team", "New team"), Event("a", "new", START, "assigned", "New agent")]
    meanwhile(lambda: save(store, [Conversation("new", START, "open"), *owned]))
    assert refresh(store.conn, config) == 13
    row = facts_of(store.conn, "new")
    assert None not in (row["team_id"], row["agent_id"])


def test_facts_by_the_rules_of_two_processes_never_mix(store, config, meanwhile):
    some_world(store)
    refresh(store.conn, config)
    ours, other = everything(store.conn), replace(config, bots=("Ann",))
    refresh(store.conn, other)
    assert everything(store.conn) != ours
    meanwhile(lambda: refresh(store.conn, other), lambda: None, lambda: refresh(store.conn, other))
    refresh(store.conn, config)
    assert everything(store.conn) == ours


def test_two_processes_with_other_rules_do_not_take_turns_for_ever(store, config, meanwhile):
    some_world(store)
    overtake = partial(store.conn.execute, "UPDATE meta SET value = 'other' WHERE key = 'facts'")
    meanwhile(*[overtake] * 20)
    with pytest.raises(ConnectorError, match="restart it"):
        refresh(store.conn, config)


def test_while_a_changed_rule_is_followed_every_conversation_still_has_facts(store, config, meanwhile):
    some_world(store)
    refresh(store.conn, config)
    seen: list[int] = []
    meanwhile(*[lambda: seen.append(len(everything(store.conn)["fact_conversations"]))] * 3)
    refresh(store.conn, replace(config, bots=("Ann",)))
    assert seen == [12, 12, 12]


def test_an_inbox_that_got_opening_hours_derives_everything_again(store, config):
    save(store, [Inbox("i", "I"), *some_records(random.Random(1), "c1")])
    refresh(store.conn, config)
    save(store, [Inbox("i", "I", None, OFFICE.schedule)])
    assert refresh(store.conn, config) == 1


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(Agent("Ann", "Ann", "bot"), id="a seat is a bot's"),
        pytest.param(Channel("email", "whatsapp"), id="a channel is of another kind"),
        pytest.param(Inbox("i", "I", "email"), id="an inbox has a channel"),
    ],
)
def test_what_the_helpdesk_says_of_itself_later_derives_everything_again(store, config, told):
    save(store, [Inbox("i", "I"), Agent("Ann", "Ann"), *some_records(random.Random(1), "c1")])
    refresh(store.conn, config)
    save(store, [told])
    assert refresh(store.conn, config) == 1


def test_another_version_of_the_facts_derives_everything_again(store, config, monkeypatch):
    save(store, some_records(random.Random(1), "c1"))
    refresh(store.conn, config)
    monkeypatch.setattr(facts, "FACTS_VERSION", facts.FACTS_VERSION + 1)
    assert refresh(store.conn, config) == 1


def test_bots_are_named_by_id_or_name_and_who_is_named_both_is_a_person(store, config):
    save(store, [Agent("7", "Ann"), Agent("8", "Bob"), Agent("9", "Cid")])
    named = rules_of(store.conn, replace(config, bots=("7", "Bob", "Cid"), agents=("Cid",)))
    assert [named.is_bot(id_) for id_ in sorted(named.listed)] == [True, True, False]


def test_an_inboxs_hours_come_from_the_helpdesk_before_the_config(store, config):
    own = dict.fromkeys(("told", "untold"), config.calendar)
    save(store, [Inbox("1", "told", None, OFFICE.schedule), Inbox("2", "untold")])
    found = schedules(store.conn, replace(config, calendar=None, inbox_calendars=own))
    assert list(found.values()) == [OFFICE.schedule, config.calendar]


def test_a_conversation_without_a_creation_begins_with_its_first_sign_of_life(store, config):
    source, team = store.source("desk", "files"), Event("e", "c9", START + 7, "team", "T")
    store.save(source, "events", [Page([team])], seen_at=START, rereads=True)
    refresh(store.conn, config)
    assert facts_of(store.conn, "c9")["created_at"] == START + 7


def test_surveys_are_in_order_of_time_and_an_offer_counts_from_when_it_was_known(store, config):
    late = Rating("late", "c1", START + 50, ((START + 60, 1.0),))
    turned = Rating("turned", "c1", START + 10, ((START + 30, 2.0), (START + 20, 4.0)))
    save(store, [Conversation("c1", START, "open"), late, turned])
    refresh(store.conn, config)
    sql = "SELECT offered_at - ?, rated_at - ?, score FROM fact_surveys ORDER BY seq"
    assert [tuple(row) for row in store.conn.execute(sql, (START, START))] == [(10, 20, 2), (50, 60, 1)]
    as_of(store.conn, config, START + 20)
    assert [tuple(row) for row in store.conn.execute(sql, (START, START))] == [(10, 20, 4)]
    as_of(store.conn, config, START + 9)
    assert store.conn.execute(sql, (START, START)).fetchall() == []


def test_from_the_instant_of_the_first_sync_on_what_was_known_decides(store, config):
    save(store, [Conversation("c1", START, "open")], seen_at=START + 9)
    for first, known in ((START + 5, 0), (START + 6, 1)):
        store.conn.execute("UPDATE sources SET first_synced_at = ?", (first,))
        assert as_of(store.conn, config, START + 5) == known


def test_what_we_wrote_ourselves_counts_nowhere(store, config):
    at = START
    own = Message("m2", "c1", at + MINUTE, "human", "Ann", public=False, kind="note", own=True)
    loud = Message("m3", "c1", at + MINUTE, "human", "Ann", own=True)
    save(store, [Conversation("c1", at, "open"), Message("m1", "c1", at, "customer", "ada"), own, loud])
    refresh(store.conn, config)
    row = store.conn.execute(
        "SELECT private_notes, agent_replies, first_response_at FROM fact_conversations"
    ).fetchone()
    assert tuple(row) == (0, 0, None)


def test_a_conversation_that_is_only_spoken_of_has_no_facts_yet(store, config):
    source = store.source("desk", "files")
    rating = Rating("r", "c9", START)
    store.save(source, "ratings", [Page([rating])], seen_at=START, rereads=True)
    assert refresh(store.conn, config) == 1
    assert not any(everything(store.conn).values())


def test_an_owner_whom_only_an_event_names_is_known(store, config):
    gone = Event("e", "c1", START, "team", "Old team")
    save(store, [Conversation("c1", START, "open"), gone])
    refresh(store.conn, config)
    sql = "SELECT t.name FROM fact_conversations f JOIN teams t ON t.id = f.team_id"
    assert store.conn.execute(sql).fetchone()[0] == "Old team"


def test_as_of_now_is_what_the_facts_are_and_leaves_them_alone(store, config):
    save(store, [record for i in range(30) for record in some_records(random.Random(i), f"c{i}")])
    refresh(store.conn, config)
    kept = everything(store.conn)
    assert as_of(store.conn, config, START + 100 * SPAN * MINUTE) == 30
    assert everything(store.conn, "temp") == kept
    assert as_of(store.conn, config, START - 100 * MINUTE) == 0
    assert store.conn.execute("SELECT count(*) FROM fact_conversations").fetchone()[0] == 0
    assert everything(store.conn) == kept
    save(store, some_records(random.Random(99), "c3"))
    assert refresh(store.conn, config) == 1
    assert everything(store.conn) != kept
    assert len(everything(store.conn)["fact_conversations"]) == 30


def test_facts_load_without_anything_heavy():
    script = (
        "import sys, connector.facts; print(sorted({'pydantic', 'sqlite_utils', 'httpx', 'click'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
