"""The fact tables: which columns a row fills, and writing them."""

from __future__ import annotations

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


def write(conn: Connection, schema: str, facts: Iterable[tuple[int, ConversationFacts]]) -> None:
    """Insert the rows of (conversation id, its facts) into the tables of ``main`` or ``temp``."""
    rows: dict[str, list[tuple[object, ...]]] = {table: [] for table in COLUMNS}
    for id_, found in facts:
        rows["fact_conversations"].append(found.conversation)
        if found.rating:
            rows["fact_ratings"].append((id_, *found.rating))
        for table, parts in (
            ("fact_episodes", found.episodes), ("fact_waits", found.waits), ("fact_stock", found.stock),
            ("fact_surveys", found.surveys), ("fact_sla", found.sla),
        ):  # fmt: skip
            rows[table] += [(id_, seq, *part) for seq, part in enumerate(parts, 1)]
    for table, columns in COLUMNS.items():
        marks = ", ".join("?" * len(columns))
        conn.executemany(f"INSERT INTO {schema}.{table} ({', '.join(columns)}) VALUES ({marks})", rows[table])


def forget(conn: Connection, ids: Sequence[int]) -> None:
    """Delete the rows of these conversations."""
    for table in COLUMNS:
        conn.executemany(f"DELETE FROM main.{table} WHERE conversation_id = ?", [(id_,) for id_ in ids])


def clear(conn: Connection) -> None:
    """Delete all rows; far cheaper than one conversation at a time."""
    for table in COLUMNS:
        conn.execute(f"DELETE FROM main.{table}")


def shadow(conn: Connection) -> None:
    """Empty TEMP tables of the same names, which every query of this connection sees instead of the real ones."""
    for table, columns in COLUMNS.items():
        conn.execute(f"DROP TABLE IF EXISTS temp.{table}")
        conn.execute(f"CREATE TEMP TABLE {table} AS SELECT * FROM main.{table} WHERE 0")
        conn.execute(f"CREATE INDEX temp.{table}_of ON {table} ({', '.join(c for c in _PLACE if c in columns)})")
