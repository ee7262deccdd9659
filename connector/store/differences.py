"""Events derived from what a conversation was when last seen and what it is now, where a vendor keeps no history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from connector.models import Conversation, Event, EventKind, Instant
from connector.store import Connection

_STORED = """
SELECT c.vendor_id, c.changed_at, c.status, a.vendor_id, t.vendor_id FROM conversations c
LEFT JOIN agents a ON a.id = c.agent_id LEFT JOIN teams t ON t.id = c.team_id
WHERE c.source_id = ? AND c.status IS NOT NULL AND c.vendor_id IN (SELECT value FROM json_each(?))
"""


class _State(NamedTuple):
    changed_at: Instant | None
    status: str
    assigned: str | None
    team: str | None


def differences(
    conn: Connection, source_id: int, records: list[Conversation], history: frozenset[str], seen_at: Instant
) -> list[Event]:
    """Events for status, assigned and team, of the kinds not in ``history``. Call it before the records are stored.

    They happened at the conversation's new ``changed_at``, or when seen, where the vendor did not move it.
    """
    kinds: tuple[EventKind, ...] = ("status", "assigned", "team")
    missing = [kind for kind in kinds if kind not in history]
    if not missing:
        return []
    rows = conn.execute(_STORED, (source_id, json.dumps([r.id for r in records])))
    stored = {row[0]: _State(*row[1:]) for row in rows}
    return list(_walk(records, stored, missing, seen_at))


def _walk(
    records: list[Conversation], stored: dict[str, _State], kinds: list[EventKind], seen_at: Instant
) -> Iterator[Event]:
    for r in records:
        was, now = stored.get(r.id), _State(r.changed_at, r.status, r.agent, r.team)
        if was and was.changed_at and now.changed_at and now.changed_at < was.changed_at:
            continue  # an older version, come late: it is not stored either
        stored[r.id] = now
        if was:
            yield from _between(r.id, was, now, kinds, seen_at)


def _between(conversation: str, was: _State, now: _State, kinds: list[EventKind], seen_at: Instant) -> Iterator[Event]:
    moved = now.changed_at is not None and now.changed_at != was.changed_at
    at = now.changed_at if moved else seen_at
    for kind in kinds:
        before, after = getattr(was, kind), getattr(now, kind)
        if before != after:
            yield Event(f"{conversation}:{kind}:{at}:{after}", conversation, at, kind, after, before, derived=True)
