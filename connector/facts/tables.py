"""The fact tables: which columns a row fills, and writing them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from connector.facts.derive import CONVERSATION_COLUMNS, ConversationFacts
from connector.facts.episodes import EpisodeRow
from connector.facts.history import Stretch
from connector.facts.sla import SlaRow
from connector.facts.surveys import RatingRow, SurveyRow
from connector.facts.waits import WaitRow
from connector.store import Connection

_PLACE = ("conversation_id", "seq")
COLUMNS: dict[str, tuple[str, ...]] = {
    "fact_conversations": CONVERSATION_COLUMNS,
    "fact_episodes": _PLACE + EpisodeRow._fields,
    "fact_waits": _PLACE + WaitRow._fields,
    "fact_stock": _PLACE + Stretch._fields,
    "fact_ratings": ("conversation_id", *RatingRow._fields),
    "fact_surveys": _PLACE + SurveyRow._fields,
    "fact_sla": _PLACE + SlaRow._fields,
}


Fact = tuple[object, ...]


def write(conn: Connection, facts: Iterable[tuple[int, ConversationFacts]]) -> None:
    """Insert the rows of (conversation id, its facts) into the TEMP tables of ``shadow``."""
    for table, rows in _rows(facts).items():
        conn.executemany(_insert("temp", table), rows)


def rewrite(conn: Connection, ids: Sequence[int], facts: Iterable[tuple[int, ConversationFacts]]) -> None:
    """Make the real tables hold just these rows of these conversations.

    Only rows that differ are touched: one message more leaves most of a conversation's rows as they are, and their
    places in the indexes are what a refresh pays for.
    """
    listed = json.dumps(ids)
    for table, rows in _rows(facts).items():
        key = [column for column in _PLACE if column in COLUMNS[table]]
        old, new = _stored(conn, table, listed, len(key)), {row[: len(key)]: row for row in rows}
        there = " AND ".join(f"{column} = ?" for column in key)
        conn.executemany(f"DELETE FROM main.{table} WHERE {there}", old.keys() - new.keys())
        conn.executemany(_insert("main", table), [row for place, row in new.items() if old.get(place) != row])


def _stored(conn: Connection, table: str, ids: str, key: int) -> dict[Fact, Fact]:
    cursor = conn.cursor()
    cursor.row_factory = None  # bare tuples, to compare
    columns = ", ".join(COLUMNS[table])
    sql = f"SELECT {columns} FROM main.{table} WHERE conversation_id IN (SELECT value FROM json_each(?))"
    return {row[:key]: row for row in cursor.execute(sql, (ids,))}


def _insert(schema: str, table: str) -> str:
    columns = COLUMNS[table]
    return f"INSERT OR REPLACE INTO {schema}.{table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def _rows(facts: Iterable[tuple[int, ConversationFacts]]) -> dict[str, list[Fact]]:
    rows: dict[str, list[Fact]] = {table: [] for table in COLUMNS}
    for id_, found in facts:
        rows["fact_conversations"].append(found.conversation)
        if found.rating:
            rows["fact_ratings"].append((id_, *found.rating))
        for table, parts in (
            ("fact_episodes", found.episodes), ("fact_waits", found.waits), ("fact_stock", found.stock),
            ("fact_surveys", found.surveys), ("fact_sla", found.sla),
        ):  # fmt: skip
            rows[table] += [(id_, seq, *part) for seq, part in enumerate(parts, 1)]
    return rows


def shadow(conn: Connection) -> None:
    """Empty TEMP tables of the same names, which every query of this connection sees instead of the real ones."""
    for table, columns in COLUMNS.items():
        conn.execute(f"DROP TABLE IF EXISTS temp.{table}")
        conn.execute(f"CREATE TEMP TABLE {table} AS SELECT * FROM main.{table} WHERE 0")
        conn.execute(f"CREATE INDEX temp.{table}_of ON {table} ({', '.join(c for c in _PLACE if c in columns)})")
    conn.execute("CREATE INDEX temp.fact_conversations_by_contact ON fact_conversations (contact_id, created_at)")
