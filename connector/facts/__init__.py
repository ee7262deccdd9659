"""Facts: one row per thing counted, derived from each conversation's timeline.

Only conversations that changed are derived again. A conversation stays marked as changed until its new facts are
committed, so a killed refresh is simply taken up again by the next, and two at once share the work. Rows stay until
better ones take their place: whoever reads the file meanwhile finds every conversation.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import astuple

from connector.config import Config
from connector.errors import ConnectorError
from connector.facts.derive import derive
from connector.facts.reading import Directory, directory, timelines
from connector.facts.rules import Rules, rules_of, schedules
from connector.facts.tables import rewrite, shadow, write
from connector.models import Instant
from connector.store import Connection, transaction

FACTS_VERSION = 2
"""Raise it whenever the same timeline gives other rows: then all facts are derived again."""

_CHUNK = 800
_TRIES = 3


class _OvertakenError(Exception):
    """Another process follows other rules now."""


def refresh(conn: Connection, config: Config) -> int:
    """Derive the facts of changed conversations, or of all when a rule changed. Returns how many were derived.

    ConnectorError when another process keeps deriving them by other rules: theirs and ours must not mix.
    """
    for _ in range(_TRIES):
        with suppress(_OvertakenError):
            return _refresh(conn, config)
    raise ConnectorError(
        "another deskpulse is working on this store with other settings: if one was running when the config was "
        "changed, restart it, then try again"
    )


def _refresh(conn: Connection, config: Config) -> int:
    rules = rules_of(conn, config)
    mark = _fingerprint(conn, config, rules, directory(conn))
    _follow_rules(conn, mark)
    count = 0
    while ids := _changed(conn):
        with transaction(conn):
            _still(conn, mark)
            # Read anew: since the last chunk a sync may have met agents and teams that nobody knew.
            found = timelines(conn, directory(conn), ids)
            rewrite(conn, ids, ((one.id, derive(one, rules)) for one in found))
            conn.executemany("DELETE FROM dirty WHERE conversation_id = ?", [(id_,) for id_ in ids])
        count += len(ids)
    _still(conn, mark)
    return count


def as_of(conn: Connection, config: Config, instant: Instant) -> int:
    """Facts as they would have been at an instant, as TEMP tables that shadow the real ones on this connection.

    A row counts when it had happened by then and was known by then; an instant before a source's first sync goes by
    what had happened alone. Today's rules hold. Returns how many conversations there were.
    """
    rules, names = rules_of(conn, config), directory(conn)
    ids = [row[0] for row in conn.execute("SELECT id FROM conversations ORDER BY id")]
    count = 0
    shadow(conn)
    for i in range(0, len(ids), _CHUNK):
        found = timelines(conn, names, ids[i : i + _CHUNK], until=instant)
        write(conn, ((one.id, derive(one, rules)) for one in found))
        count += len(found)
    return count


def _changed(conn: Connection) -> list[int]:
    return [row[0] for row in conn.execute("SELECT conversation_id FROM dirty ORDER BY 1 LIMIT ?", (_CHUNK,))]


def _follow_rules(conn: Connection, fingerprint: str) -> None:
    if _followed(conn) == fingerprint:
        return
    with transaction(conn):
        conn.execute("INSERT OR IGNORE INTO dirty SELECT id FROM conversations")
        conn.execute("INSERT OR REPLACE INTO meta VALUES ('facts', ?)", (fingerprint,))


def _followed(conn: Connection) -> str | None:
    row = conn.execute("SELECT value FROM meta WHERE key = 'facts'").fetchone()
    return None if row is None else str(row[0])


def _still(conn: Connection, fingerprint: str) -> None:
    if _followed(conn) != fingerprint:
        raise _OvertakenError


def _fingerprint(conn: Connection, config: Config, rules: Rules, names: Directory) -> str:
    """What facts depend on besides the conversations themselves, as one short word."""
    calendars = sorted((inbox or 0, schedule) for inbox, schedule in schedules(conn, config).items())
    parts = [
        FACTS_VERSION, calendars, sorted(rules.listed.items()), sorted(rules.seats.items()),
        [astuple(target) for target in rules.sla], rules.csat_positive_from,
        sorted(names.channels.items()), sorted(names.inboxes.items()),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
