"""What is remembered of runs and of how a source is doing."""

from __future__ import annotations

from typing import NamedTuple

from connector.models import Instant
from connector.store import Connection, transaction
from connector.store.counts import Counts


class Health(NamedTuple):
    """``state`` is ok, failing (the next run tries again) or auth (paused until its secret changes).

    ``since`` is when that state began; ``secret_mark`` tells whether the secret is still the one that failed.
    """

    state: str
    reason: str | None
    since: Instant | None
    secret_mark: str | None


def health(conn: Connection, source_id: int) -> Health:
    row = conn.execute("SELECT state, reason, since, secret_mark FROM sources WHERE id = ?", (source_id,)).fetchone()
    return Health(*row)


def start(conn: Connection, source_id: int, what: str, at: Instant) -> int:
    """A new run's id. Runs that were killed before they could say so are closed as interrupted."""
    with transaction(conn):
        conn.execute(
            "UPDATE runs SET outcome = 'interrupted', ended_at = ? WHERE source_id = ? AND ended_at IS NULL",
            (at, source_id),
        )
        sql = "INSERT INTO runs (source_id, what, started_at) VALUES (?, ?, ?) RETURNING id"
        return int(conn.execute(sql, (source_id, what, at)).fetchone()[0])


class Ended(NamedTuple):
    """How a run went: ``outcome`` is ok, failed, auth or stopped."""

    outcome: str
    error: str | None
    counts: Counts
    requests: int
    waited_s: float
    secret_mark: str | None = None


def end(conn: Connection, source_id: int, run_id: int, at: Instant, ended: Ended) -> None:
    """Close the run and say how the source is now, in one transaction.

    A run that was stopped says nothing about its source, nor does one that read only some conversations again. One that
    went well has read its source as it was when it began: what came while it went on may have been missed.
    """
    counts = ended.counts
    with transaction(conn):
        [(what, began)] = conn.execute(
            "UPDATE runs SET ended_at = ?, outcome = ?, error = ?, read = ?, new = ?, changed = ?, unchanged = ?, "
            "rejected = ?, requests = ?, waited_s = ? WHERE id = ? RETURNING what, started_at",
            (
                *(at, ended.outcome, ended.error, counts.read, counts.new, counts.changed, counts.unchanged),
                *(counts.rejected, ended.requests, ended.waited_s, run_id),
            ),
        ).fetchall()
        if what == "sync" and ended.outcome != "stopped":
            _judge(conn, source_id, at, ended)
        if what == "sync" and ended.outcome == "ok":
            conn.execute(
                "UPDATE sources SET first_synced_at = coalesce(first_synced_at, ?), last_synced_at = ? WHERE id = ?",
                (at, began, source_id),
            )


def _judge(conn: Connection, source_id: int, at: Instant, ended: Ended) -> None:
    state = {"ok": "ok", "auth": "auth"}.get(ended.outcome, "failing")
    conn.execute(
        "UPDATE sources SET since = CASE WHEN state = :state THEN since ELSE :at END, state = :state, "
        "reason = :reason, secret_mark = :mark WHERE id = :id",
        {"state": state, "at": at, "reason": ended.error, "mark": ended.secret_mark, "id": source_id},
    )
