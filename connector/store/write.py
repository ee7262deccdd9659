"""Writing records: a batch of pages with their cursor, in one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from sqlite_utils.db import Database

from connector.errors import ConfigError
from connector.models import Cursor, Instant, Page
from connector.store import Connection, _open, transaction, unusable
from connector.store.absence import ABSENT
from connector.store.batch import Batch
from connector.store.counts import Counts
from connector.store.ids import Ids
from connector.store.rejects import forget
from connector.store.schema import migrations
from connector.store.upsert import CURSOR

__all__ = ["Counts", "Store"]


class Store:
    """The store, open for writing. Take ``connector.store.lock`` first: there is one writer at a time."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self._ids: dict[int, Ids] = {}
        conn.execute("PRAGMA cache_size = -32768")  # KiB: the indexes being written to fit
        conn.execute("CREATE TEMP TABLE IF NOT EXISTS looked_at (conversation_id INTEGER PRIMARY KEY)")

    @classmethod
    def open(cls, path: Path, *, demo: bool) -> Self:
        """Open the store, made and brought up to date where needed.

        ConfigError when it cannot be a store of ours, is a newer program's, or holds demo data where real data belongs
        (or the other way round).
        """
        conn = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            conn = _open(path)
            _bring_up_to_date(conn, path)
            _stamp(conn, path, demo)
            return cls(conn)
        except (sqlite3.DatabaseError, OSError) as error:
            _close(conn)
            raise unusable(path, error) from None
        except ConfigError:
            _close(conn)
            raise

    def close(self) -> None:
        self.conn.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def source(self, name: str, adapter: str, lacks: Mapping[str, str] | None = None) -> int:
        """The id of a configured service, new or known; ``lacks`` are the KPIs that it cannot feed, and why.

        ConfigError when it was another adapter's until now: their conversations may have the same ids.
        """
        new = "INSERT INTO sources (name, adapter) VALUES (?, ?) ON CONFLICT DO NOTHING"
        with transaction(self.conn):
            self.conn.execute(new, (name, adapter))
            id_, was = self.conn.execute("SELECT id, adapter FROM sources WHERE name = ?", (name,)).fetchone()
            if was != adapter:
                raise ConfigError(
                    f"services.{name} is {adapter} now, and the store holds what {was} gave under this name: "
                    f'write [services.OTHER_NAME] with adapter = "{adapter}" instead',
                    setting=f"services.{name}",
                )
            if lacks is not None:
                told = json.dumps(dict(lacks), sort_keys=True)
                self.conn.execute("UPDATE sources SET lacks = ? WHERE id = ? AND lacks <> ?", (told, id_, told))
        return int(id_)

    def cursor(self, source_id: int, stream: str) -> Cursor | None:
        """Where a stream goes on; None before its first stored cursor."""
        sql = "SELECT cursor FROM cursors WHERE source_id = ? AND stream = ?"
        row = self.conn.execute(sql, (source_id, stream)).fetchone()
        return None if row is None else json.loads(row[0])

    def save(
        self,
        source_id: int,
        stream: str,
        pages: Sequence[Page],
        *,
        seen_at: Instant,
        history: frozenset[str] = frozenset(),
        bodies_from: Instant | None = None,
        rereads: bool = False,
        about: int | None = None,
    ) -> Counts:
        """Store pages, what was rejected on them and their last cursor, in one transaction.

        ``history`` names the event kinds whose history the vendor gives; the others are derived from differences.
        Bodies are kept of messages sent at ``bodies_from`` or later; None keeps none. ``rereads``: an event or a rating
        of a conversation that is not stored yet is kept, with a stub that a later re-read fills; else it is rejected.
        ``about``: the records are of this source's conversations; only the cursor is ``source_id``'s own.
        """
        owner = source_id if about is None else about
        ids = self._ids.setdefault(owner, Ids(self.conn, owner))
        batch = Batch(self.conn, ids, seen_at, history, bodies_from, rereads)
        try:
            with transaction(self.conn):
                counts = batch.store(pages)
                self._move(source_id, stream, pages, seen_at)
                return counts
        except BaseException:
            ids.clear()  # some were given inside the transaction that was just taken back
            raise

    def _move(self, source_id: int, stream: str, pages: Iterable[Page], at: Instant) -> None:
        cursors = [page.cursor for page in pages if page.cursor is not None]
        if cursors:
            self.conn.execute(CURSOR, (source_id, stream, json.dumps(cursors[-1], sort_keys=True), at))

    def seen(self, source_id: int, conversation: str, changed_at: Instant | None) -> bool:
        """Is exactly this version stored, with everything that came with it, and not told to be absent since?"""
        sql = (
            "SELECT 1 FROM conversations c WHERE source_id = :s AND vendor_id = :id AND changed_at = :at "
            "AND NOT EXISTS (SELECT 1 FROM unsettled WHERE conversation_id = c.id) AND NOT EXISTS "
            "(SELECT 1 FROM rejects WHERE source_id = :s AND kind = 'conversation' AND vendor_id = :id) AND NOT EXISTS "
            f"(SELECT 1 FROM events WHERE conversation_id = c.id AND {ABSENT})"
        )
        return self.conn.execute(sql, {"s": source_id, "id": conversation, "at": changed_at}).fetchone() is not None

    def looked_at(self, source_id: int, conversations: Sequence[str], at: Instant) -> None:
        """Remember that these were looked at now; that alone is no change."""
        named = (source_id, json.dumps(list(conversations)))
        these = "source_id = ? AND vendor_id IN (SELECT value FROM json_each(?))"
        with transaction(self.conn):
            self.conn.execute(f"UPDATE conversations SET checked_at = ? WHERE {these}", (at, *named))
            self.conn.execute(f"INSERT OR IGNORE INTO looked_at SELECT id FROM conversations WHERE {these}", named)

    def forget_reject(self, source_id: int, kind: str, vendor_id: str) -> None:
        """What was rejected under this name came right."""
        with transaction(self.conn):
            forget(self.conn, source_id, {(kind, vendor_id)})

    def begin_look(self) -> None:
        """A new run: nothing has been looked at yet."""
        self.conn.execute("DELETE FROM temp.looked_at")

    def to_reread(self, source_id: int, *, within: int, limit: int) -> list[str]:
        """Ids of conversations to ask for again: not looked at in this run, the longest unlooked-at first.

        They are the ones that came incomplete, are not done, or changed within ``within`` ms of the newest change.
        """
        return [row[0] for row in self.conn.execute(_TO_REREAD, {"source": source_id, "within": within, "n": limit})]

    def drop_bodies(self, before: Instant) -> int:
        """Forget the bodies of messages sent before; how many there were."""
        self.conn.execute("PRAGMA secure_delete = ON")  # also from the file's free space
        with transaction(self.conn):
            sql = "UPDATE messages SET body = NULL WHERE body IS NOT NULL AND at < ?"
            return self.conn.execute(sql, (before,)).rowcount


_TO_REREAD = """
WITH newest AS (SELECT max(changed_at) AS at FROM conversations WHERE source_id = :source)
SELECT vendor_id, checked_at FROM conversations c WHERE source_id = :source AND (
        status IS NOT 'done' OR changed_at >= (SELECT at FROM newest) - :within
        OR id IN (SELECT conversation_id FROM unsettled))
    AND id NOT IN (SELECT conversation_id FROM temp.looked_at)
    AND NOT EXISTS (SELECT 1 FROM events WHERE conversation_id = c.id AND kind = 'deleted')
UNION ALL
SELECT vendor_id, max(last_seen_at) FROM rejects r WHERE source_id = :source AND kind = 'conversation'
    AND vendor_id <> '?' AND NOT EXISTS (
        SELECT 1 FROM conversations WHERE source_id = :source AND vendor_id = r.vendor_id)
GROUP BY vendor_id
ORDER BY 2, 1 LIMIT :n
"""


def _bring_up_to_date(conn: Connection, path: Path) -> None:
    db = Database(conn, recursive_triggers=False, execute_plugins=False)
    if {one.name for one in migrations.applied(db)} - {one.name for one in migrations._migrations}:
        raise ConfigError(f"{path} was written by a newer deskpulse: update this one", setting="database")
    migrations.apply(db)


def _stamp(conn: Connection, path: Path, demo: bool) -> None:
    with transaction(conn):
        conn.execute("INSERT INTO meta VALUES ('demo', ?) ON CONFLICT DO NOTHING", (str(int(demo)),))
    if conn.execute("SELECT value FROM meta WHERE key = 'demo'").fetchone()[0] != str(int(demo)):
        has, wants = ("real", "demo") if demo else ("demo", "real")
        raise ConfigError(
            f"{path} holds {has} data and this config is for {wants} data: give it a database of its own",
            setting="database",
        )


def _close(conn: Connection | None) -> None:
    if conn is not None:
        conn.close()
