"""Removals that were found by an absence: they hold for as long as the service does not tell the conversation anew."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from connector.models import Conversation, Event, Instant, Page
from connector.store import Connection

ABSENT = "kind = 'deleted' AND at = seen_at"
"""Of events: a removal without a time of its own, which has the one it was noticed at. One that the vendor dated is
history, and stays."""

_ABSENT_AMONG = f"""
SELECT c.vendor_id, c.changed_at, e.id FROM conversations c
JOIN (SELECT id, conversation_id FROM events WHERE {ABSENT}) e ON e.conversation_id = c.id
WHERE c.source_id = ? AND c.vendor_id IN (SELECT value FROM json_each(?))
"""


def take_back(conn: Connection, source_id: int, pages: Sequence[Page], told: Collection[str]) -> None:
    """Forget the absence of those of the conversations ``told`` on these stored pages that are there again.

    What a page tells together with its removal is only what is left of it; so is an older version than the stored one.
    """
    absent = conn.execute(_ABSENT_AMONG, (source_id, json.dumps(list(told)))).fetchall()
    if absent:
        there = _there(pages)
        back = [(event,) for one, version, event in absent if one in there and there[one] == version]
        conn.executemany("DELETE FROM events WHERE id = ?", back)


def _there(pages: Sequence[Page]) -> dict[str, Instant | None]:
    """The versions of the conversations whose latest word on the pages is not that they are gone."""
    found: dict[str, Instant | None] = {}
    for page in pages:
        found |= {r.id: r.changed_at for r in page.records if isinstance(r, Conversation)}
        gone = {r.conversation for r in page.records if isinstance(r, Event) and r.kind == "deleted"}
        found = {one: version for one, version in found.items() if one not in gone}
    return found
