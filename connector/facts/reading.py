"""From the store's rows to timelines, a few SELECTs for some hundred conversations at a time.

Read as of an instant, a row counts when it had happened and was known by then. Before a source's first sync nothing
could be known: there, event time alone decides. Later events are read all the same, for what they say was before.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from connector.facts.timeline import Mark, OwnerChange, Said, StatusChange, Survey, Timeline
from connector.models import Instant
from connector.store import Connection

_CONVERSATIONS = """
SELECT c.id, c.source_id, c.created_at, c.status, c.channel_id, c.inbox_id, c.team_id, c.agent_id, c.contact_id,
    c.language FROM conversations c WHERE c.id IN (SELECT value FROM json_each(:ids)) {known} ORDER BY c.id
"""
_MESSAGES = """
SELECT x.conversation_id, x.at, x.author, x.agent_id, x.public, x.kind FROM messages x
WHERE x.conversation_id IN (SELECT value FROM json_each(:ids)) AND x.own = 0 {known}
ORDER BY x.conversation_id, x.at, x.id
"""
_EVENTS = """
SELECT x.conversation_id, x.source_id, x.kind, x.at, x.value, x.was, x.actor_id, 1 {known} FROM events x
WHERE x.conversation_id IN (SELECT value FROM json_each(:ids)) ORDER BY x.conversation_id, x.at, x.id
"""
_RATINGS = """
SELECT r.conversation_id, r.id, {offered}, r.low, r.high, r.agent_id, r.team_id, x.at, x.score
FROM ratings r LEFT JOIN answers x ON x.rating_id = r.id {known}
WHERE r.conversation_id IN (SELECT value FROM json_each(:ids)) ORDER BY r.conversation_id, r.id, x.at, x.id
"""
_KNOWN = (
    "AND {at} <= :until AND ({row}.seen_at <= :until OR {source}.source_id IN "
    "(SELECT id FROM sources WHERE first_synced_at IS NULL OR first_synced_at > :until))"
)


class Directory(NamedTuple):
    """Row ids for vendor ids, by (source, vendor id), and what kind of channel a conversation came by."""

    agents: dict[tuple[int, str], int]
    teams: dict[tuple[int, str], int]
    channels: dict[int, str]
    inboxes: dict[int, int]


class _Events(NamedTuple):
    statuses: list[StatusChange]
    teams: list[OwnerChange]
    agents: list[OwnerChange]
    marks: list[Mark]
    before: dict[str, Any]
    """By kind: the value that the first event not known yet took away. The snapshot holds what came after it."""


def directory(conn: Connection) -> Directory:
    """The small tables, once per run."""
    agents, teams = (
        {(source, vendor): id_ for id_, source, vendor in conn.execute(f"SELECT id, source_id, vendor_id FROM {table}")}
        for table in ("agents", "teams")
    )
    inboxes = conn.execute("SELECT id, channel_id FROM inboxes WHERE channel_id IS NOT NULL ORDER BY id")
    channels = conn.execute("SELECT id, kind FROM channels ORDER BY id")
    return Directory(agents, teams, dict(map(tuple, channels)), dict(map(tuple, inboxes)))


def timelines(conn: Connection, names: Directory, ids: Sequence[int], until: Instant | None = None) -> list[Timeline]:
    """The conversations' timelines, in order of id; ``until`` reads them as of an instant.

    One that is only spoken of so far (no creation, no message, no event) has none.
    """
    listed = json.dumps(ids)
    said, happened, rated = (
        _said(_rows(conn, _MESSAGES, listed, until)),
        _happened(_rows(conn, _EVENTS, listed, until), names),
        _rated(_ratings(conn, listed, until)),
    )
    return [
        timeline
        for row in _rows(conn, _CONVERSATIONS, listed, until, "coalesce(c.created_at, 0)", "c")
        if (timeline := _timeline(row, names, said.get(row[0], ()), happened.get(row[0]), rated.get(row[0], ())))
    ]


def _timeline(
    row: tuple[Any, ...], names: Directory, said: Sequence[Said], events: _Events | None, rated: Sequence[Survey]
) -> Timeline | None:
    id_, source, created_at, status, channel, inbox, team, agent, contact, language = row
    happened = events or _no_events()
    parts, before = happened[:4], happened.before
    if created_at is None:
        created_at = min((part[0][0] for part in (said, *parts) if part), default=None)
        if created_at is None:
            return None
    by = names.channels.get(names.inboxes.get(inbox, 0) if channel is None else channel, "other")
    of = (by, inbox, before.get("team", team), before.get("assigned", agent), contact, language)
    return Timeline(id_, source, created_at, before.get("status", status), *of, said, *parts, rated)


def _no_events() -> _Events:
    return _Events([], [], [], [], {})


def _rows(
    conn: Connection, sql: str, ids: str, until: Instant | None, at: str = "x.at", row: str = "x"
) -> Iterator[tuple[Any, ...]]:
    known = "" if until is None else _KNOWN.format(at=at, row=row, source=row)
    return _plain(conn, sql.format(known=known), ids, until)


def _ratings(conn: Connection, ids: str, until: Instant | None) -> Iterator[tuple[Any, ...]]:
    if until is None:
        return _plain(conn, _RATINGS.format(known="", offered="r.offered_at"), ids, until)
    offered = _KNOWN.format(at="r.offered_at", row="r", source="r").removeprefix("AND")
    known = _KNOWN.format(at="x.at", row="x", source="r")
    sql = _RATINGS.format(known=known, offered=f"CASE WHEN {offered} THEN r.offered_at END")
    return _plain(conn, sql, ids, until)


def _plain(conn: Connection, sql: str, ids: str, until: Instant | None) -> Iterator[tuple[Any, ...]]:
    """Rows as bare tuples: a third cheaper than named ones, and there are many."""
    cursor = conn.cursor()
    cursor.row_factory = None
    return iter(cursor.execute(sql, {"ids": ids, "until": until}))


def _said(rows: Iterator[tuple[Any, ...]]) -> dict[int, list[Said]]:
    found: defaultdict[int, list[Said]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row[1:])
    return found


def _happened(rows: Iterator[tuple[Any, ...]], names: Directory) -> dict[int, _Events]:
    found: dict[int, _Events] = {}
    owners = {"team": names.teams, "assigned": names.agents}
    for conversation, source, kind, at, value, was, actor, known in rows:
        events = found.get(conversation) or found.setdefault(conversation, _no_events())
        if kind in owners:
            value, was = owners[kind].get((source, value)), owners[kind].get((source, was))
        if not known:
            events.before.setdefault(kind, was)
        elif kind == "status":
            events.statuses.append((at, value, was, actor))
        elif kind == "team":
            events.teams.append((at, value, was))
        elif kind == "assigned":
            events.agents.append((at, value, was))
        else:
            events.marks.append((at, kind, value))
    return found


def _rated(rows: Iterator[tuple[Any, ...]]) -> dict[int, list[Survey]]:
    """Surveys in the order of their first sign of life."""
    surveys: dict[int, tuple[int, Survey, list[tuple[Instant, float]]]] = {}
    for conversation, id_, offered_at, low, high, agent_id, team_id, at, score in rows:
        if id_ not in surveys:
            answers: list[tuple[Instant, float]] = []
            surveys[id_] = (conversation, Survey(offered_at, answers, low, high, agent_id, team_id), answers)
        if at is not None:
            surveys[id_][2].append((at, score))
    found: defaultdict[int, list[tuple[Instant, Survey]]] = defaultdict(list)
    for conversation, survey, answers in surveys.values():
        if answers or survey.offered_at is not None:
            first = survey.offered_at if survey.offered_at is not None else answers[0][0]
            found[conversation].append((first, survey))
    return {one: [survey for _, survey in sorted(many, key=itemgetter(0))] for one, many in found.items()}
