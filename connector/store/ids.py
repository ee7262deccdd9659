"""From a vendor's ids to ours, looked up as they are needed; an id that nobody has described yet becomes a stub row."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable

from connector.models import CHANNEL_KINDS
from connector.store import Connection

Known = dict[str | None, int | None]
"""Vendor id → row id; None → None."""

_MOST = 100_000
"""How many ids of one table are remembered: memory stays flat however many customers there are."""

_STUB = {
    "channels": "INSERT INTO channels (source_id, vendor_id, kind) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    "inboxes": "INSERT INTO inboxes (source_id, vendor_id, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    "teams": "INSERT INTO teams (source_id, vendor_id, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    "agents": "INSERT INTO agents (source_id, vendor_id, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    "contacts": "INSERT INTO contacts (source_id, vendor_id, language) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
}
_BOT = "INSERT INTO agents (source_id, vendor_id, name, kind) VALUES (?, ?, ?, 'bot') ON CONFLICT DO NOTHING"


class Ids:
    """The ids of one source. Forget them (``clear``) when a transaction that made stubs is taken back."""

    def __init__(self, conn: Connection, source_id: int) -> None:
        self.conn, self.source_id = conn, source_id
        self._known: dict[str, Known] = defaultdict(lambda: {None: None})

    def of(self, table: str, wanted: Iterable[str | None]) -> Known:
        """Row ids of all that are wanted (and of others); unknown ones get a stub row, named by their id."""
        known = self._known[table]
        if len(known) > _MOST:
            known = self._known[table] = {None: None}
        missing = [vendor_id for vendor_id in set(wanted) - known.keys() if vendor_id is not None]
        if missing:
            known.update(self._found(table, missing))
            stubs = [vendor_id for vendor_id in missing if vendor_id not in known]
            if stubs:
                self.conn.executemany(_STUB[table], [(self.source_id, v, _stub_text(table, v)) for v in stubs])
                known.update(self._found(table, stubs))
        return known

    def bots(self, wanted: Iterable[str | None]) -> None:
        """Seats known only by what a bot wrote become bots."""
        missing = set(wanted) - self._known["agents"].keys()
        self.conn.executemany(_BOT, [(self.source_id, vendor_id, vendor_id) for vendor_id in missing])

    def conversations(self, wanted: Iterable[str]) -> Known:
        """Those that are stored, of the wanted ones. Not remembered: there are too many."""
        return self._found("conversations", list(set(wanted)))

    def ratings(self, wanted: Iterable[str]) -> Known:
        """Those that are stored, of the wanted ones."""
        return self._found("ratings", list(set(wanted)))

    def stub_conversations(self, missing: Iterable[str], seen_at: int) -> None:
        """Rows for conversations that are only spoken of yet: no status, no creation."""
        self.conn.executemany(
            "INSERT INTO conversations (source_id, vendor_id, seen_at, checked_at) VALUES (?, ?, ?, 0)",
            [(self.source_id, vendor_id, seen_at) for vendor_id in missing],
        )

    def clear(self) -> None:
        self._known.clear()

    def _found(self, table: str, vendor_ids: list[str]) -> Known:
        sql = f"SELECT vendor_id, id FROM {table} WHERE source_id = ? AND vendor_id IN (SELECT value FROM json_each(?))"
        return dict(self.conn.execute(sql, (self.source_id, json.dumps(vendor_ids))).fetchall())


def _stub_text(table: str, vendor_id: str) -> str | None:
    if table == "channels":
        return vendor_id if vendor_id in CHANNEL_KINDS else "other"
    return None if table == "contacts" else vendor_id
