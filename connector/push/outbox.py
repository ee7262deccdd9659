"""Intent before side effect: what is done once and never twice, under a key that is a sentence.

An action is claimed ("sending") in a transaction of its own before anything leaves, and settled after. What a crash
left at "sending" is *unknown*: it may have arrived, and is looked for before it is sent again. States: sending, sent,
failed (to be tried again, after looking), dropped (it never arrived and is not wanted any more), rejected (never
again), mismatch (the read-back was not what we wrote), undone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, NamedTuple

from connector.config import Config
from connector.models import Instant
from connector.store import Connection, transaction


@dataclass(frozen=True)
class Action:
    """One thing to do to one conversation, or (``action`` "announce") one message to a chat.

    ``payload`` is the tag, the note or the message. ``retry`` marks one that may have arrived already; of those,
    ``look_only`` is no longer wanted: it is looked for and settled, never sent.
    """

    key: str
    service: str
    action: str
    payload: str
    reason: str
    rule: str | None = None
    conversation_id: int | None = None
    conversation: str = ""
    link: str | None = None
    tags: tuple[str, ...] = ()
    retry: bool = False
    look_only: bool = False


class Entry(NamedTuple):
    """An outbox row, as far as deciding needs it."""

    state: str
    payload: str


def entry(conn: Connection, key: str) -> Entry | None:
    row = conn.execute("SELECT state, payload FROM outbox WHERE key = ?", (key,)).fetchone()
    return Entry(*row) if row else None


def start(conn: Connection, what: str, now: Instant) -> int:
    """A new push run; its id is what ``undo`` takes.

    From here on every commit is on the disk before the next call leaves: the store's own setting may lose the last
    ones when the power fails, and with them that something was sent.
    """
    conn.execute("PRAGMA synchronous = FULL")
    with transaction(conn):
        row = conn.execute("INSERT INTO push_runs (at, what) VALUES (?, ?) RETURNING id", (now, what)).fetchone()
    return int(row["id"])


def finish(conn: Connection, run: int, outcome: str, detail: Mapping[str, Any]) -> None:
    with transaction(conn):
        conn.execute(
            "UPDATE push_runs SET outcome = ?, detail = ? WHERE id = ?", (outcome, json.dumps(dict(detail)), run)
        )


CLAIM = """
INSERT INTO outbox (key, run_id, service, action, conversation_id, rule, payload, reason, state, attempts, claimed_at)
VALUES (:key, :run, :service, :action, :conversation_id, :rule, :payload, :reason, 'sending', 1, :now)
ON CONFLICT (key) DO UPDATE SET run_id = excluded.run_id, state = 'sending', attempts = attempts + 1,
    claimed_at = excluded.claimed_at, error = NULL
"""


def claim(conn: Connection, run: int, action: Action, now: Instant) -> None:
    """Say durably that this is about to be sent. A retry keeps its first payload, so that it can be looked for."""
    with transaction(conn):
        conn.execute(CLAIM, {**vars(action), "run": run, "now": now})
        journal(conn, action.key, "sending", now, {"run": run, "tags": list(action.tags)})


def settle(
    conn: Connection,
    key: str,
    state: str,
    now: Instant,
    *,
    event: str = "",
    receipt: Mapping[str, Any] | None = None,
    error: str | None = None,
    run: int | None = None,
) -> None:
    """What became of a claimed action. ``event`` is the journal's word for it where it is not the state's; ``run``
    takes it over from the run that a crash ended, so that undoing the later one undoes it."""
    with transaction(conn):
        conn.execute(
            "UPDATE outbox SET state = :state, error = :error, receipt = coalesce(:receipt, receipt), "
            "run_id = coalesce(:run, run_id), "
            "sent_at = CASE WHEN :state = 'sent' THEN :now ELSE sent_at END WHERE key = :key",
            {
                "key": key,
                "state": state,
                "now": now,
                "error": error,
                "receipt": receipt and json.dumps(dict(receipt)),
                "run": run,
            },
        )
        journal(conn, key, event or state, now, {**(receipt or {}), **({"error": error} if error else {})})


def journal(conn: Connection, key: str, event: str, now: Instant, detail: Mapping[str, Any]) -> None:
    """Append-only; to be called inside a transaction."""
    conn.execute(
        "INSERT INTO journal (at, key, event, detail) VALUES (?, ?, ?, ?)", (now, key, event, json.dumps(dict(detail)))
    )


SENT_SINCE = """
SELECT count(*) FROM outbox
WHERE action IN ('tag', 'note') AND (sent_at IS NOT NULL OR state = 'mismatch') AND coalesce(sent_at, claimed_at) >= ?
"""


def sent_today(conn: Connection, config: Config, now: Instant) -> int:
    """Tags and notes written since local midnight, those that read back wrong too: what the daily budget is for."""
    today = datetime.fromtimestamp(now / 1000, config.tz).date()
    midnight = round(datetime.combine(today, time(), config.tz).timestamp() * 1000)
    row = conn.execute(SENT_SINCE, (midnight,)).fetchone()
    return int(row[0])
