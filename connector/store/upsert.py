"""The SQL that writes records: upserts that touch a row only where something differs.

An unchanged row costs no write and fires no trigger, so what is dirty really changed, and the number of rows written is
the number that is new or changed.
"""

from __future__ import annotations

from collections.abc import Sequence

_BETTER_NAME = "coalesce(nullif(excluded.name, excluded.vendor_id), {table}.name)"


def upsert(
    table: str, plain: Sequence[str] = (), *, known: Sequence[str] = (), once: Sequence[str] = (), unless: str = ""
) -> str:
    """INSERT for (source_id, vendor_id, *plain, *known, *once), in this order, updating on conflict.

    ``plain`` columns take the new value; ``known`` ones are never erased by NULL (nor a ``name`` by a bare id);
    ``once`` ones are written on arrival only. ``unless`` is a condition under which the stored row stays as it is.
    """
    names = ["source_id", "vendor_id", *plain, *known, *once]
    values = {c: f"excluded.{c}" for c in plain} | {c: _kept(table, c) for c in known}
    differs = f"({' OR '.join(f'{table}.{c} IS NOT {v}' for c, v in values.items())})"
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) "
        f"ON CONFLICT (source_id, vendor_id) DO UPDATE SET {', '.join(f'{c} = {v}' for c, v in values.items())} "
        f"WHERE {differs}{f' AND NOT ({unless})' if unless else ''}"
    )


def _kept(table: str, column: str) -> str:
    if column == "name":
        return _BETTER_NAME.format(table=table)
    return f"coalesce(excluded.{column}, {table}.{column})"


CHANNEL = upsert("channels", ["kind"])
TEAM = upsert("teams", known=["name"])
AGENT = upsert("agents", ["kind"], known=["name"])
CONTACT = upsert("contacts", known=["language", "created_at"])
INBOX = upsert("inboxes", known=["name", "channel_id", "schedule"])
CONVERSATION = upsert(
    "conversations",
    ["created_at", "changed_at", "status", "team_id", "agent_id", "tags"],
    known=["inbox_id", "channel_id", "contact_id", "language", "link"],
    once=["seen_at", "checked_at"],
    # Pages may come in any order: an older version never overwrites a newer one.
    unless="coalesce(excluded.changed_at < conversations.changed_at, 0)",
)
MESSAGE = upsert(
    "messages",
    ["conversation_id", "at", "author", "agent_id", "contact_id", "public", "kind", "length", "own", "body"],
    once=["seen_at"],
)
EVENT = upsert(
    "events", ["conversation_id", "at", "kind", "value", "was", "actor_id", "derived"], once=["seen_at"]
)  # fmt: skip
UNDATED_EVENT = EVENT[: EVENT.index(" DO UPDATE")] + " DO NOTHING"
"""A removal found by its absence has the time it was first noticed, for good."""
ANSWERED = upsert(
    "ratings", ["conversation_id", "low", "high"], known=["offered_at", "agent_id", "team_id", "survey"],
    once=["seen_at"],
)  # fmt: skip
OFFERED = upsert(
    "ratings", ["conversation_id"], known=["offered_at", "agent_id", "team_id", "survey"],
    once=["low", "high", "seen_at"],
)  # fmt: skip
"""Only an answer knows its scale: an offer brings one along only where nothing is known yet."""
REJECT = (
    "INSERT INTO rejects VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET last_seen_at = excluded.last_seen_at "
    "WHERE last_seen_at <> excluded.last_seen_at"
)
CURSOR = (
    "INSERT INTO cursors VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET cursor = excluded.cursor, "
    "moved_at = excluded.moved_at WHERE cursor <> excluded.cursor"
)
