"""A desk whose fact rows are written by hand: a figure is checked against rows that one sees in the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from connector.config import Config
from connector.metric import Value, compute
from connector.models import Instant, from_iso, to_iso
from connector.period import parse
from connector.store import Connection
from connector.store.write import Store

LONG_AFTER = from_iso("2026-12-31T00:00:00Z")


class Desk:
    """Rows get what a test says and otherwise the plainest values. Close the store."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        path = folder / "desk.db"
        self.config = Config(path=folder / "deskpulse.toml", database=path, **settings)
        self.store = Store.open(path, demo=False)
        self.conn: Connection = self.store.conn
        self.source = self.store.source("desk", "files")
        self.conn.execute("UPDATE sources SET last_synced_at = ?", (LONG_AFTER,))
        self._count = 0

    def conversation(self, created: str, **columns: Any) -> int:
        """A row of ``conversations`` and of ``fact_conversations``; returns its id."""
        self._count += 1
        id_ = self._count
        at = from_iso(created)
        self._insert(
            "conversations", id=id_, source_id=self.source, vendor_id=f"c{id_}", created_at=at, status="open",
            seen_at=at, checked_at=at, link=f"https://desk.example/{id_}",
        )  # fmt: skip
        plain = {
            "channel": "email", "direction": "inbound", "status": "open", "customer_messages": 1, "agent_replies": 0,
            "agent_turns": 0, "bot_messages": 0, "private_notes": 0, "transfers": 0, "resolutions": 0, "reopens": 0,
            "reopens_needing_reply": 0, "bot": 0, "escalated": 0, "abandoned": 0,
        }  # fmt: skip
        self._insert(
            "fact_conversations", conversation_id=id_, source_id=self.source, created_at=at, **{**plain, **columns}
        )
        self.conn.execute("DELETE FROM dirty")
        return id_

    def answered(self, at: str, after_s: float, business_s: float | None = None, **columns: Any) -> int:
        """A conversation whose first answer comes at an instant, so many seconds after its question."""
        asked = from_iso(at) - round(after_s * 1000)
        return self.conversation(
            created=to_iso(asked), first_asked_at=asked, first_response_at=from_iso(at), first_response_s=after_s,
            first_response_business_s=business_s, **columns,
        )  # fmt: skip

    def wait(self, conversation: int, asked: str, answered: str | None = None, **columns: Any) -> None:
        start, end = from_iso(asked), None if answered is None else from_iso(answered)
        spent = None if end is None else (end - start) / 1000
        plain = {
            "last_asked_at": start,
            "ended_at": end,
            "response_s": spent,
            "first": 1,
            "seq": self._next("fact_waits"),
        }
        self._insert(
            "fact_waits", conversation_id=conversation, asked_at=start, answered_at=end, **{**plain, **columns}
        )

    def episode(self, conversation: int, seq: int, opened: str, resolved: str | None = None, **columns: Any) -> None:
        plain = {"replies": 0, "last": 1, "needing_reply": None}
        self._insert(
            "fact_episodes", conversation_id=conversation, seq=seq, opened_at=from_iso(opened),
            resolved_at=None if resolved is None else from_iso(resolved), **{**plain, **columns},
        )  # fmt: skip

    def stock(self, conversation: int, start: str, end: str | None = None, **columns: Any) -> None:
        plain = {"status": "open", "seq": self._next("fact_stock")}
        self._insert(
            "fact_stock", conversation_id=conversation, from_at=from_iso(start),
            to_at=None if end is None else from_iso(end), **{**plain, **columns},
        )  # fmt: skip

    def rating(self, at: str, score: float, verdict: str, low: float = 1, high: float = 5, **columns: Any) -> int:
        """A conversation rated at an instant; returns its id."""
        id_ = self.conversation(at)
        plain = {"first_score": score, "first_verdict": verdict, "good_to_bad": 0, "bad_to_good": 0}
        self._insert(
            "fact_ratings", conversation_id=id_, rated_at=from_iso(at), answered_at=from_iso(at), score=score,
            verdict=verdict, low=low, high=high, **{**plain, **columns},
        )  # fmt: skip
        return id_

    def survey(self, conversation: int, offered: str | None = None, rated: str | None = None) -> None:
        instants = {"offered_at": offered and from_iso(offered), "rated_at": rated and from_iso(rated)}
        seq = self._next("fact_surveys")
        self._insert("fact_surveys", conversation_id=conversation, seq=seq, low=1, high=5, **instants)

    def named(self, table: str, *names: str) -> list[int]:
        """Rows of teams, agents or inboxes; returns their ids."""
        for name in names:
            self._insert(table, source_id=self.source, vendor_id=f"{name}-{self._next(table)}", name=name)
        return [row[0] for row in self.conn.execute(f"SELECT id FROM {table} ORDER BY id DESC LIMIT {len(names)}")][
            ::-1
        ]

    def values(self, *keys: str, period: str = "2026-11", now: Instant = LONG_AFTER, **more: Any) -> list[Value]:
        span = parse(period, self.config.zone, now)
        return compute(self.conn, self.config, keys, span, now=now, **more)

    def value(self, key: str, statistic: str | None = None, clock: str | None = None, **more: Any) -> Value:
        """The one value of a key (and of a statistic and clock, where it has several)."""
        found = [
            value
            for value in self.values(key, **more)
            if (statistic in (None, value.statistic)) and (clock in (None, value.clock))
        ]
        assert len(found) == 1, found
        return found[0]

    def _next(self, table: str) -> int:
        return self.conn.execute(f"SELECT count(*) + 1 FROM {table}").fetchone()[0]

    def _insert(self, table: str, **columns: Any) -> None:
        marks = ", ".join("?" * len(columns))
        self.conn.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", tuple(columns.values()))
