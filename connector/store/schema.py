"""The tables, as sqlite-utils migrations. Instants are milliseconds UTC, durations seconds, flags 0 or 1.

A landed migration is never edited: a change is a new one at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlite_utils.migrations import Migrations

if TYPE_CHECKING:
    from sqlite_utils.db import Database

migrations = Migrations("deskpulse")

SOURCES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE sources (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, adapter TEXT NOT NULL,
    first_synced_at INTEGER, last_synced_at INTEGER,
    state TEXT NOT NULL DEFAULT 'ok', reason TEXT, since INTEGER, secret_mark TEXT,
    lacks TEXT NOT NULL DEFAULT '{}' -- JSON: the KPIs that it cannot feed, and why
) STRICT;
CREATE TABLE cursors (
    source_id INTEGER NOT NULL REFERENCES sources, stream TEXT NOT NULL,
    cursor TEXT NOT NULL, moved_at INTEGER NOT NULL,
    PRIMARY KEY (source_id, stream)
) STRICT;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, source_id INTEGER REFERENCES sources, what TEXT NOT NULL,
    started_at INTEGER NOT NULL, ended_at INTEGER, outcome TEXT, error TEXT,
    read INTEGER NOT NULL DEFAULT 0, new INTEGER NOT NULL DEFAULT 0, changed INTEGER NOT NULL DEFAULT 0,
    unchanged INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0,
    requests INTEGER NOT NULL DEFAULT 0, waited_s REAL NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE rejects (
    source_id INTEGER NOT NULL REFERENCES sources, kind TEXT NOT NULL, vendor_id TEXT NOT NULL, reason TEXT NOT NULL,
    first_seen_at INTEGER NOT NULL, last_seen_at INTEGER NOT NULL,
    PRIMARY KEY (source_id, kind, vendor_id, reason)
) STRICT;
"""

RECORDS = """
CREATE TABLE channels (
    id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL REFERENCES sources, vendor_id TEXT NOT NULL,
    kind TEXT NOT NULL DEFAULT 'other', UNIQUE (source_id, vendor_id)
) STRICT;
CREATE TABLE inboxes (
    id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL REFERENCES sources, vendor_id TEXT NOT NULL,
    name TEXT, channel_id INTEGER REFERENCES channels, schedule TEXT, UNIQUE (source_id, vendor_id)
) STRICT;
CREATE TABLE teams (
    id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL REFERENCES sources, vendor_id TEXT NOT NULL,
    name TEXT, UNIQUE (source_id, vendor_id)
) STRICT;
CREATE TABLE agents (
    id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL REFERENCES sources, vendor_id TEXT NOT NULL,
    name TEXT, kind TEXT NOT NULL DEFAULT 'human', UNIQUE (source_id, vendor_id)
) STRICT;
CREATE TABLE contacts (
    id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL REFERENCES sources, vendor_id TEXT NOT NULL,
    language TEXT, created_at INTEGER, UNIQUE (source_id, vendor_id)
) STRICT;
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL REFERENCES sources, vendor_id TEXT NOT NULL,
    created_at INTEGER, changed_at INTEGER, status TEXT,
    inbox_id INTEGER REFERENCES inboxes, channel_id INTEGER REFERENCES channels, contact_id INTEGER REFERENCES contacts,
    team_id INTEGER REFERENCES teams, agent_id INTEGER REFERENCES agents,
    language TEXT, link TEXT, tags TEXT NOT NULL DEFAULT '[]', seen_at INTEGER NOT NULL, checked_at INTEGER NOT NULL,
    UNIQUE (source_id, vendor_id)
) STRICT;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL REFERENCES sources, vendor_id TEXT NOT NULL,
    conversation_id INTEGER NOT NULL REFERENCES conversations, at INTEGER NOT NULL,
    author TEXT NOT NULL, agent_id INTEGER REFERENCES agents, contact_id INTEGER REFERENCES contacts,
    public INTEGER NOT NULL, kind TEXT NOT NULL, length INTEGER NOT NULL, own INTEGER NOT NULL DEFAULT 0,
    body TEXT, seen_at INTEGER NOT NULL, UNIQUE (source_id, vendor_id)
) STRICT;
CREATE INDEX messages_of ON messages (conversation_id, at);
CREATE TABLE events (
    id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL REFERENCES sources, vendor_id TEXT NOT NULL,
    conversation_id INTEGER NOT NULL REFERENCES conversations, at INTEGER NOT NULL, kind TEXT NOT NULL,
    value TEXT, was TEXT, actor_id INTEGER REFERENCES agents, derived INTEGER NOT NULL DEFAULT 0,
    seen_at INTEGER NOT NULL, UNIQUE (source_id, vendor_id)
) STRICT;
CREATE INDEX events_of ON events (conversation_id, at);
CREATE TABLE ratings (
    id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL REFERENCES sources, vendor_id TEXT NOT NULL,
    conversation_id INTEGER NOT NULL REFERENCES conversations, offered_at INTEGER,
    low REAL NOT NULL, high REAL NOT NULL, agent_id INTEGER REFERENCES agents, team_id INTEGER REFERENCES teams,
    survey TEXT, seen_at INTEGER NOT NULL, UNIQUE (source_id, vendor_id)
) STRICT;
CREATE INDEX ratings_of ON ratings (conversation_id);
CREATE TABLE answers (
    id INTEGER PRIMARY KEY, rating_id INTEGER NOT NULL REFERENCES ratings, at INTEGER NOT NULL, score REAL NOT NULL,
    seen_at INTEGER NOT NULL, UNIQUE (rating_id, at, score)
) STRICT;
CREATE INDEX messages_bodies ON messages (at) WHERE body IS NOT NULL; -- empty unless bodies are kept
CREATE TABLE dirty (conversation_id INTEGER PRIMARY KEY) STRICT;
-- Conversations that came with a record we rejected: read again until they come clean, even when unchanged.
CREATE TABLE unsettled (conversation_id INTEGER PRIMARY KEY REFERENCES conversations) STRICT;
"""

# What one row counts is said in the table's comment; every column that ends in _s is seconds, with a _business_s twin
# where business time is defined. NULL means "did not happen" (never 0). No foreign keys: facts are rewritten with their
# conversation, which is never deleted, and checking the keys would cost a tenth of the refresh.
FACTS = """
CREATE TABLE fact_conversations ( -- a conversation
    conversation_id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL,
    created_at INTEGER NOT NULL, channel TEXT NOT NULL, inbox_id INTEGER, team_id INTEGER, agent_id INTEGER,
    contact_id INTEGER, language TEXT, direction TEXT, excluded TEXT, merged_into TEXT, status TEXT NOT NULL,
    handled_by TEXT, first_asked_at INTEGER,
    first_response_at INTEGER, first_response_s REAL, first_response_business_s REAL,
    first_responder_id INTEGER, first_response_team_id INTEGER,
    first_any_response_at INTEGER, first_any_response_s REAL, first_any_response_business_s REAL,
    handoff_at INTEGER, handoff_response_s REAL, handoff_response_business_s REAL,
    zendesk_first_response_s REAL, zendesk_first_response_business_s REAL,
    asked_first_response_s REAL, asked_first_response_business_s REAL,
    waiting_since INTEGER, last_customer_at INTEGER, last_agent_at INTEGER,
    customer_messages INTEGER NOT NULL, agent_replies INTEGER NOT NULL, agent_turns INTEGER NOT NULL,
    bot_messages INTEGER NOT NULL, private_notes INTEGER NOT NULL, transfers INTEGER NOT NULL,
    first_done_at INTEGER, last_done_at INTEGER, resolutions INTEGER NOT NULL,
    first_resolution_s REAL, first_resolution_business_s REAL, full_resolution_s REAL, full_resolution_business_s REAL,
    open_s REAL, open_business_s REAL,
    reopens INTEGER NOT NULL, reopens_needing_reply INTEGER NOT NULL,
    one_touch INTEGER, no_touch INTEGER, first_contact_resolution INTEGER,
    solver_id INTEGER, solver_team_id INTEGER,
    bot INTEGER NOT NULL, escalated INTEGER NOT NULL, abandoned INTEGER NOT NULL
) STRICT;
CREATE INDEX fact_conversations_created ON fact_conversations (created_at);
CREATE INDEX fact_conversations_answered ON fact_conversations (first_response_at);
CREATE INDEX fact_conversations_contact ON fact_conversations (contact_id, created_at);
CREATE TABLE fact_episodes ( -- open → done; seq 1 is the first, a later one is a reopening
    conversation_id INTEGER NOT NULL, seq INTEGER NOT NULL,
    opened_at INTEGER NOT NULL, resolved_at INTEGER, -- NULL while open
    episode_s REAL, episode_business_s REAL,         -- this episode's own length
    since_created_s REAL, since_created_business_s REAL,
    replies INTEGER NOT NULL, needing_reply INTEGER, -- of a reopening: 0 when solved again with no public reply
    last INTEGER NOT NULL, agent_id INTEGER, team_id INTEGER, -- of the solve (solver; else the owner then)
    PRIMARY KEY (conversation_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_episodes_resolved ON fact_episodes (resolved_at);
CREATE INDEX fact_episodes_reopened ON fact_episodes (opened_at) WHERE seq > 1;
CREATE TABLE fact_waits ( -- a customer turn: customer speaks → human answers
    conversation_id INTEGER NOT NULL, seq INTEGER NOT NULL,
    asked_at INTEGER NOT NULL, last_asked_at INTEGER NOT NULL, answered_at INTEGER, -- NULL: not (yet) answered
    ended_at INTEGER, -- answered, or resolved before an answer; NULL: still waiting
    response_s REAL, response_business_s REAL, from_last_s REAL, from_last_business_s REAL,
    team_response_s REAL, team_response_business_s REAL, -- from the later of question and assignment to the team
    first INTEGER NOT NULL, agent_id INTEGER, team_id INTEGER, -- of the sender of the answer, then
    PRIMARY KEY (conversation_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_waits_answered ON fact_waits (answered_at);
CREATE TABLE fact_stock ( -- a stretch of time in which a conversation was not done, with one owner and one status
    conversation_id INTEGER NOT NULL, seq INTEGER NOT NULL,
    from_at INTEGER NOT NULL, to_at INTEGER, status TEXT NOT NULL, agent_id INTEGER, team_id INTEGER,
    PRIMARY KEY (conversation_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_stock_to ON fact_stock (to_at);
CREATE TABLE fact_ratings ( -- a rated conversation: its latest answer, at the date of its first
    conversation_id INTEGER PRIMARY KEY,
    rated_at INTEGER NOT NULL, answered_at INTEGER NOT NULL,
    score REAL NOT NULL, first_score REAL NOT NULL, low REAL NOT NULL, high REAL NOT NULL,
    verdict TEXT NOT NULL, first_verdict TEXT NOT NULL, -- positive, neutral, negative
    good_to_bad INTEGER NOT NULL, bad_to_good INTEGER NOT NULL, agent_id INTEGER, team_id INTEGER
) STRICT;
CREATE INDEX fact_ratings_rated ON fact_ratings (rated_at);
CREATE TABLE fact_surveys ( -- a survey that was offered, or answered without an offer
    conversation_id INTEGER NOT NULL, seq INTEGER NOT NULL,
    offered_at INTEGER, rated_at INTEGER, score REAL, low REAL NOT NULL, high REAL NOT NULL, verdict TEXT,
    agent_id INTEGER, team_id INTEGER, PRIMARY KEY (conversation_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_surveys_offered ON fact_surveys (offered_at);
CREATE INDEX fact_surveys_rated ON fact_surveys (rated_at);
CREATE TABLE fact_sla ( -- one target on one conversation; achieved when completed_at <= due_at
    conversation_id INTEGER NOT NULL, seq INTEGER NOT NULL,
    metric TEXT NOT NULL, clock TEXT NOT NULL, target_s REAL NOT NULL,
    started_at INTEGER NOT NULL, due_at INTEGER NOT NULL, completed_at INTEGER, -- NULL: not (yet) completed
    agent_id INTEGER, team_id INTEGER, PRIMARY KEY (conversation_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_sla_due ON fact_sla (due_at);
CREATE INDEX fact_sla_completed ON fact_sla (completed_at);
"""

RESULTS = """
CREATE TABLE cohorts (id TEXT PRIMARY KEY, size INTEGER NOT NULL, conversations BLOB NOT NULL) STRICT;
CREATE TABLE results ( -- append-only; the id is the passport
    id TEXT PRIMARY KEY, key TEXT NOT NULL, version INTEGER NOT NULL, statistic TEXT NOT NULL, clock TEXT NOT NULL,
    unit TEXT NOT NULL, value REAL, n INTEGER NOT NULL, low REAL, high REAL, denominator INTEGER,
    period_start INTEGER NOT NULL, period_end INTEGER NOT NULL, zone TEXT NOT NULL,
    dimensions TEXT NOT NULL, filters TEXT NOT NULL,
    scope TEXT NOT NULL, -- hash of key, statistic, clock, period, zone, dimensions, filters: what the figure is about
    calendar TEXT NOT NULL, as_of INTEGER, computed_at INTEGER NOT NULL, data_until INTEGER, complete INTEGER NOT NULL,
    exclusions TEXT NOT NULL, cohort_id TEXT NOT NULL REFERENCES cohorts, cursors TEXT NOT NULL,
    published TEXT, published_at INTEGER, restates TEXT REFERENCES results, reason TEXT
) STRICT;
CREATE INDEX results_scope ON results (scope, computed_at);
"""

PUSH = """
CREATE TABLE push_runs (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, what TEXT NOT NULL, outcome TEXT, detail TEXT
) STRICT;
CREATE TABLE outbox ( -- the key is a sentence: what is done once and never twice
    key TEXT PRIMARY KEY, run_id INTEGER REFERENCES push_runs, service TEXT NOT NULL, action TEXT NOT NULL,
    conversation_id INTEGER REFERENCES conversations, rule TEXT, payload TEXT NOT NULL, reason TEXT NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, claimed_at INTEGER NOT NULL, sent_at INTEGER,
    receipt TEXT, error TEXT
) STRICT;
CREATE INDEX outbox_run ON outbox (run_id);
CREATE TABLE journal (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, key TEXT NOT NULL, event TEXT NOT NULL, detail TEXT
) STRICT;
CREATE TABLE ledger ( -- which periods are done
    what TEXT NOT NULL, period TEXT NOT NULL, scope TEXT NOT NULL,
    state TEXT NOT NULL, at INTEGER NOT NULL, detail TEXT,
    PRIMARY KEY (what, period, scope)
) STRICT;
"""


def _triggers() -> str:
    """Whatever really changes marks its conversation dirty, in the same transaction; an unchanged upsert fires none.

    OR IGNORE would not do: the conflict policy of the statement that fires a trigger overrides the trigger's own.
    New messages and events have no trigger: there are many, and the batch that brings them marks them all at once.
    """
    marks = {
        "conversations": "NEW.id",
        "messages": "NEW.conversation_id",
        "events": "NEW.conversation_id",
        "ratings": "NEW.conversation_id",
        "answers": "(SELECT conversation_id FROM ratings WHERE id = NEW.rating_id)",
    }
    # checked_at says only when a row was last looked at, and a body may be dropped with age: they make nothing dirty.
    columns = {
        "conversations": " OF created_at, changed_at, status, inbox_id, channel_id, contact_id, team_id, agent_id",
        "messages": " OF conversation_id, at, author, agent_id, contact_id, public, kind, length, own",
    }
    return "".join(
        f"CREATE TRIGGER {table}_{when.lower()}_dirty AFTER {when}{columns.get(table, '') if when == 'UPDATE' else ''} "
        f"ON {table} BEGIN INSERT INTO dirty VALUES ({mark}) ON CONFLICT DO NOTHING; END;\n"
        for table, mark in marks.items()
        for when in (("UPDATE",) if table in ("messages", "events") else ("INSERT", "UPDATE"))
    )


def _iso(column: str, table: str, name: str | None = None) -> str:
    return f"strftime('%Y-%m-%dT%H:%M:%fZ', {table}.{column} / 1000.0, 'unixepoch') AS {name or column}"


def _views() -> str:
    """Read-only views for people and other tools: ISO instants, names for ids. Documented in README as stable."""
    who = "t.name AS team, a.name AS agent"
    joins = "LEFT JOIN teams t ON t.id = {0}.team_id LEFT JOIN agents a ON a.id = {0}.agent_id"
    return f"""
CREATE VIEW v_conversations AS SELECT s.name AS source, c.vendor_id AS id, {_iso("created_at", "c")}, c.status,
    k.kind AS channel, i.name AS inbox, {who}, c.language, c.tags, c.link
    FROM conversations c JOIN sources s ON s.id = c.source_id LEFT JOIN channels k ON k.id = c.channel_id
    LEFT JOIN inboxes i ON i.id = c.inbox_id {joins.format("c")};
CREATE VIEW v_messages AS SELECT s.name AS source, m.vendor_id AS id, c.vendor_id AS conversation, {_iso("at", "m")},
    m.author, a.name AS agent, m.public, m.kind, m.length, m.own FROM messages m JOIN sources s ON s.id = m.source_id
    JOIN conversations c ON c.id = m.conversation_id LEFT JOIN agents a ON a.id = m.agent_id;
CREATE VIEW v_events AS SELECT s.name AS source, e.vendor_id AS id, c.vendor_id AS conversation, {_iso("at", "e")},
    e.kind, e.value, e.was, a.name AS actor, e.derived FROM events e JOIN sources s ON s.id = e.source_id
    JOIN conversations c ON c.id = e.conversation_id LEFT JOIN agents a ON a.id = e.actor_id;
CREATE VIEW v_ratings AS SELECT s.name AS source, r.vendor_id AS id, c.vendor_id AS conversation,
    {_iso("offered_at", "r")}, {_iso("at", "w", "answered_at")}, w.score, r.low, r.high, {who}
    FROM ratings r JOIN sources s ON s.id = r.source_id JOIN conversations c ON c.id = r.conversation_id
    LEFT JOIN answers w ON w.rating_id = r.id {joins.format("r")};
CREATE VIEW v_results AS SELECT r.id AS passport, r.key, r.statistic, r.clock, r.unit, r.value, r.n, r.low, r.high,
    {_iso("period_start", "r")}, {_iso("period_end", "r")}, r.zone, r.dimensions, r.filters, r.version,
    {_iso("computed_at", "r")}, r.complete, r.published, r.restates, r.reason FROM results r;
"""


@migrations()
def m001_first_slice(db: Database) -> None:
    for part in (SOURCES, RECORDS, FACTS, RESULTS, PUSH, _triggers(), _views()):
        _run(db, part)


# What was told is taken back, or moves to another conversation: the one that it leaves has changed as well.
LEFT = """
CREATE TRIGGER events_delete_dirty AFTER DELETE ON events BEGIN
    INSERT INTO dirty VALUES (OLD.conversation_id) ON CONFLICT DO NOTHING; END;
""" + "".join(
    f"""CREATE TRIGGER {table}_moved_dirty AFTER UPDATE OF conversation_id ON {table}
    WHEN OLD.conversation_id <> NEW.conversation_id BEGIN
    INSERT INTO dirty VALUES (OLD.conversation_id) ON CONFLICT DO NOTHING; END;
"""
    for table in ("messages", "events", "ratings")
)
ABSENCES = "CREATE INDEX events_absent ON events (conversation_id) WHERE kind = 'deleted' AND at = seen_at;"


@migrations()
def m002_what_leaves(db: Database) -> None:
    for part in (LEFT, ABSENCES):
        _run(db, part)


def _run(db: Database, script: str) -> None:
    """Statement by statement: executescript would commit the migration's own transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if _complete(statement):
            db.execute(statement)
            statement = ""


def _complete(statement: str) -> bool:
    import sqlite3

    return bool(statement.strip()) and sqlite3.complete_statement(statement)
