"""Take back what a push run wrote, from the journal, newest first: our tags and our notes, nothing else."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

from connector.clock import Clock
from connector.config import Config
from connector.errors import AuthFailed, BadPayload, ServiceError, UsageError
from connector.push import hands as touch
from connector.push import outbox
from connector.push.hands import Hands, Receipt, Unexpected
from connector.push.outbox import Action
from connector.push.run import Report, pushing, reread
from connector.store import Connection, Row, connect, transaction


def undo(config: Config, clock: Clock, run: int) -> Report:
    """Take back one run. UsageError when there was no such run; doing it twice does nothing the second time.

    What a crash or a time-out left open is looked for first. Results: undone, kept (the tag was there before us), sent
    (an announcement, which cannot be taken back), failed, mismatch (the read-back was not what we wrote: stops
    everything).
    """
    with pushing(config), closing(connect(config.database)) as conn, touch.hands(config, clock) as hands:
        if not conn.execute("SELECT 1 FROM push_runs WHERE id = ?", (run,)).fetchone():
            raise UsageError(f"there is no push run {run}, so nothing was undone; {_known(conn)}")
        report = Report()
        rows = conn.execute(WRITTEN, (run,)).fetchall()
        if rows:
            _Undo(conn, clock, hands, report).carry_out(rows, run)
    reread(config, clock, report)
    return report


def _known(conn: Connection) -> str:
    row = conn.execute("SELECT max(id) AS last FROM push_runs WHERE what = 'apply'").fetchone()
    return f"the latest one is {row['last']}" if row["last"] else "nothing has been pushed yet"


WRITTEN = """
SELECT o.key, o.service, o.action, o.payload, o.reason, o.rule, o.conversation_id,
    coalesce(c.vendor_id, '') AS conversation, c.link, o.receipt
FROM outbox o LEFT JOIN conversations c ON c.id = o.conversation_id
WHERE o.run_id = ? AND (o.state IN ('sent', 'mismatch') OR o.action <> 'announce' AND o.state IN ('sending', 'failed'))
ORDER BY o.claimed_at DESC, o.rowid DESC
"""


class _Undo:
    """One pass over the rows of a run."""

    def __init__(self, conn: Connection, clock: Clock, hands: Hands, report: Report) -> None:
        self._conn, self._clock, self._hands, self._report = conn, clock, hands, report

    def carry_out(self, rows: list[Row], of: int) -> None:
        run = self._report.run = outbox.start(self._conn, "undo", self._clock.now())
        for row in rows:
            self._one(row)
            if self._report.stopped:
                break
        detail = {**self._report.counts(), "of": of, "stopped": self._report.stopped}
        outbox.finish(self._conn, run, "stopped" if self._report.stopped else "done", detail)

    def _one(self, row: Row) -> None:
        columns = dict(row)
        receipt = json.loads(columns.pop("receipt") or "null")
        action = Action(**columns)
        if action.action == "announce":
            self._say(action, "sent", "what was announced cannot be taken back")
        else:
            self._take_back(action, receipt)

    def _take_back(self, action: Action, receipt: Receipt | None) -> None:
        adapter = self._hands.of(action.service)
        try:
            receipt = receipt or touch.look(self._conn, adapter, action)
            if receipt and touch.was_there(adapter, action, receipt):
                self._say(action, "kept", "the tag was there before us")
            else:
                self._remove(adapter, action, receipt)
        except Unexpected as error:
            self._settle(action, "mismatch", error=str(error))
            self._report.stopped = str(error)
        except ServiceError as error:
            if error.status in touch.GONE:
                self._settle(action, "undone", receipt={**(receipt or {}), "undone": {"gone": True}})
            else:
                self._failed(action, error)

    def _failed(self, action: Action, error: ServiceError) -> None:
        with transaction(self._conn):
            outbox.journal(self._conn, action.key, "undo failed", self._clock.now(), {"error": str(error)})
        self._say(action, "failed", str(error))
        if isinstance(error, AuthFailed | BadPayload):
            self._report.stopped = str(error)

    def _remove(self, adapter: Any, action: Action, receipt: Receipt | None) -> None:
        """``receipt`` None: it never arrived, so all there is to do is not to send it again."""
        with transaction(self._conn):
            outbox.journal(self._conn, action.key, "undoing", self._clock.now(), receipt or {})
        left = touch.take_back(adapter, action, receipt) if receipt else {"gone": True}
        self._settle(action, "undone", receipt={**(receipt or {}), "undone": left})

    def _settle(self, action: Action, state: str, *, receipt: Receipt | None = None, error: str = "") -> None:
        outbox.settle(self._conn, action.key, state, self._clock.now(), receipt=receipt, error=error or None)
        self._say(action, state, error)

    def _say(self, action: Action, state: str, why: str) -> None:
        self._report.results.append((action, state, why))
