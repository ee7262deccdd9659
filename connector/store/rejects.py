"""Records that could not be understood: kept with their reason until they come right."""

from __future__ import annotations

import json
from collections.abc import Sequence

from connector.models import (
    Agent,
    Channel,
    Contact,
    Conversation,
    Event,
    Inbox,
    Instant,
    Message,
    Page,
    Rating,
    Record,
    Reject,
    Team,
)
from connector.store import Connection
from connector.store.upsert import REJECT

KIND: dict[type[Record], str] = {
    kind: kind.__name__.lower() for kind in (Agent, Channel, Contact, Conversation, Event, Inbox, Message, Rating, Team)
}
"""What a reject of this record is called; adapters use the same words."""

Key = tuple[str, str]


def settle(conn: Connection, source_id: int, pages: Sequence[Page], orphans: Sequence[Reject], seen_at: Instant) -> int:
    """Write down the batch's rejects, forget those whose record has come right; how many the batch had."""
    rejects = [reject for page in pages for reject in page.rejects] + list(orphans)
    known = {tuple(row) for row in conn.execute("SELECT kind, vendor_id FROM rejects WHERE source_id = ?", [source_id])}
    _unsettle(conn, source_id, pages)
    if not rejects and not known:
        return 0
    good = _good(pages, orphans, known | {(r.kind, r.id) for r in rejects})
    rows = [(source_id, *r, seen_at, seen_at) for r in rejects if (r.kind, r.id) not in good]
    conn.executemany(REJECT, rows)
    forget(conn, source_id, good & known)
    return len(rejects)


def forget(conn: Connection, source_id: int, keys: set[Key]) -> None:
    """These came right."""
    sql = "DELETE FROM rejects WHERE source_id = ? AND kind = ? AND vendor_id = ?"
    conn.executemany(sql, [(source_id, *key) for key in keys])


def _good(pages: Sequence[Page], orphans: Sequence[Reject], candidates: set[Key]) -> set[Key]:
    """Of the candidates, those whose latest appearance in the batch is a good record."""
    good: set[Key] = set()
    for page in pages:
        good |= ({(KIND[type(r)], r.id) for r in page.records} | set(page.settled)) & candidates
        good -= {(r.kind, r.id) for r in page.rejects}
    return good - {(r.kind, r.id) for r in orphans}


def _unsettle(conn: Connection, source_id: int, pages: Sequence[Page]) -> None:
    """Conversations that came with something rejected are to be read again, until they come without."""
    if not any(page.rejects for page in pages) and not conn.execute("SELECT 1 FROM unsettled LIMIT 1").fetchone():
        return
    these = "SELECT id FROM conversations WHERE source_id = ? AND vendor_id IN (SELECT value FROM json_each(?))"
    for page in pages:
        named = (source_id, json.dumps([r.id for r in page.records if isinstance(r, Conversation)]))
        if any(r.kind != "conversation" for r in page.rejects):
            conn.execute(f"INSERT OR IGNORE INTO unsettled {these}", named)
        else:
            conn.execute(f"DELETE FROM unsettled WHERE conversation_id IN ({these})", named)
