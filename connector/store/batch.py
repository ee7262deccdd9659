"""One batch of pages on its way into the tables. Rows are built as plain tuples and written by ``executemany``."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

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
    Schedule,
    Team,
)
from connector.store import Connection
from connector.store.absence import take_back
from connector.store.counts import Counts
from connector.store.differences import differences
from connector.store.ids import Ids, Known
from connector.store.ratings import save_ratings
from connector.store.rejects import KIND, settle
from connector.store.upsert import AGENT, CHANNEL, CONTACT, CONVERSATION, EVENT, INBOX, MESSAGE, TEAM, UNDATED_EVENT

MARKED_TOGETHER = {
    table: f"INSERT INTO dirty SELECT DISTINCT conversation_id FROM {table} WHERE id > ? ON CONFLICT DO NOTHING"
    for table in ("messages", "events")
}
"""What marks the conversations of new rows dirty: once a batch, where a trigger would cost a fifth of the writing."""


class Batch(NamedTuple):
    """What is the same for all pages of a batch; the caller holds the transaction."""

    conn: Connection
    ids: Ids
    seen_at: Instant
    history: frozenset[str]
    bodies_from: Instant | None
    rereads: bool

    def store(self, pages: Sequence[Page]) -> Counts:
        groups: dict[type[Record], list[Any]] = defaultdict(list)
        for page in pages:
            for record in page.records:
                groups[type(record)].append(record)
        counts = self._directory(groups)
        if groups[Conversation]:
            counts += self._conversations(groups[Conversation])
        orphans: list[Reject] = []
        for kind, save in ((Message, self._messages), (Event, self._events), (Rating, self._ratings)):
            placed = self._placed(groups[kind], orphans)
            counts += save(self._with_a_home(groups[kind], placed), placed)
        take_back(self.conn, self.ids.source_id, pages, [r.id for r in groups[Conversation]])
        rejected = settle(self.conn, self.ids.source_id, pages, orphans, self.seen_at)
        return counts + Counts(read=rejected, rejected=rejected)

    def _directory(self, groups: Mapping[type[Record], list[Any]]) -> Counts:
        s = self.ids.source_id
        channels: list[Channel] = groups[Channel]
        teams: list[Team] = groups[Team]
        agents: list[Agent] = groups[Agent]
        contacts: list[Contact] = groups[Contact]
        inboxes: list[Inbox] = groups[Inbox]
        counts = self._write("channels", CHANNEL, [(s, r.id, r.kind) for r in channels])
        counts += self._write("teams", TEAM, [(s, r.id, r.name or r.id) for r in teams])
        counts += self._write("agents", AGENT, [(s, r.id, r.kind, r.name or r.id) for r in agents])
        counts += self._write("contacts", CONTACT, [(s, *r) for r in contacts])
        named = self.ids.of("channels", {r.channel for r in inboxes})
        rows = [(s, r.id, r.name or r.id, named[r.channel], _schedule(r.schedule)) for r in inboxes]
        return counts + self._write("inboxes", INBOX, rows)

    def _conversations(self, records: list[Conversation]) -> Counts:
        s, seen_at = self.ids.source_id, self.seen_at
        inboxes = self.ids.of("inboxes", {r.inbox for r in records})
        channels = self.ids.of("channels", {r.channel for r in records})
        contacts = self.ids.of("contacts", {r.contact for r in records})
        teams = self.ids.of("teams", {r.team for r in records})
        agents = self.ids.of("agents", {r.agent for r in records})
        derived = differences(self.conn, s, records, self.history, seen_at)
        counts = self._write(
            "conversations",
            CONVERSATION,
            [
                (
                    *(s, r.id, r.created_at, r.changed_at, r.status, teams[r.team], agents[r.agent], _tags(r.tags)),
                    *(inboxes[r.inbox], channels[r.channel], contacts[r.contact], r.language, r.link),
                    *(seen_at, seen_at),
                )
                for r in records
            ],
        )
        self._look(self.ids.conversations(r.id for r in records))
        if derived:
            self._write("events", UNDATED_EVENT, self._event_rows(derived, self._placed(derived, [])))
        return counts

    def _look(self, conversations: Known) -> None:
        looked = [(row_id,) for row_id in conversations.values()]
        sql = "UPDATE conversations SET checked_at = ? WHERE id = ? AND checked_at <> ?"
        self.conn.executemany(sql, [(self.seen_at, *one, self.seen_at) for one in looked])
        self.conn.executemany("INSERT OR IGNORE INTO temp.looked_at VALUES (?)", looked)

    def _messages(self, records: list[Message], placed: Known) -> Counts:
        s, seen_at = self.ids.source_id, self.seen_at
        bodies_from = float("inf") if self.bodies_from is None else self.bodies_from
        self.ids.bots({r.author_id for r in records if r.author == "bot"})
        agents = self.ids.of("agents", {r.author_id for r in records if r.author != "customer"})
        contacts = self.ids.of("contacts", {r.author_id for r in records if r.author == "customer"})
        return self._write(
            "messages",
            MESSAGE,
            [
                (
                    *(s, id_, placed[conversation], at, author),
                    None if author == "customer" else agents[who],
                    contacts[who] if author == "customer" else None,
                    *(public, kind, length, own, body if at >= bodies_from else None, seen_at),
                )
                for id_, conversation, at, author, who, public, kind, length, own, body in records
            ],
        )

    def _events(self, records: list[Event], placed: Known) -> Counts:
        dated = [r for r in records if r.at is not None]
        undated = [r for r in records if r.at is None]
        counts = self._write("events", EVENT, self._event_rows(dated, placed))
        return counts + self._write("events", UNDATED_EVENT, self._event_rows(undated, placed))

    def _event_rows(self, records: list[Event], placed: Known) -> list[tuple[Any, ...]]:
        s, seen_at = self.ids.source_id, self.seen_at
        actors = self.ids.of("agents", {r.actor for r in records} | _owners(records, "assigned"))
        self.ids.of("teams", _owners(records, "team"))
        return [
            (
                *(s, r.id, placed[r.conversation], seen_at if r.at is None else r.at),
                *(r.kind, r.value, r.was, actors[r.actor], r.derived, seen_at),
            )
            for r in records
        ]

    def _ratings(self, records: list[Rating], placed: Known) -> Counts:
        return save_ratings(self.conn, self.ids, placed, records, self.seen_at)

    def _placed(self, records: Sequence[Message | Event | Rating], orphans: list[Reject]) -> Known:
        """The rows of the records' conversations. Records of unknown ones are added to ``orphans``, or get a stub."""
        wanted = {r.conversation for r in records}
        placed = self.ids.conversations(wanted) if wanted else {}
        if len(placed) == len(wanted):
            return placed
        if self.rereads and not isinstance(records[0], Message):
            self.ids.stub_conversations(wanted - placed.keys(), self.seen_at)
            return self.ids.conversations(wanted)
        lost = [r for r in records if r.conversation not in placed]
        orphans += [Reject(KIND[type(r)], r.id, f"conversation {r.conversation} is unknown") for r in lost]
        return placed

    @staticmethod
    def _with_a_home(records: list[Any], placed: Known) -> list[Any]:
        return [r for r in records if r.conversation in placed]

    def _write(self, table: str, sql: str, rows: list[tuple[Any, ...]]) -> Counts:
        """Rows are never deleted, so the highest id grows by as many as are new."""
        if not rows:
            return Counts()
        before = self._last_id(table)
        written = self.conn.executemany(sql, rows).rowcount
        new = self._last_id(table) - before
        if new and table in MARKED_TOGETHER:
            self.conn.execute(MARKED_TOGETHER[table], (before,))
        return Counts(len(rows), new, written - new, len(rows) - written)

    def _last_id(self, table: str) -> int:
        return int(self.conn.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0])


def _owners(records: list[Event], kind: str) -> set[str | None]:
    """Whom the events name: facts look them up, so they need rows, also where the vendor lists them no more."""
    return {owner for r in records if r.kind == kind for owner in (r.value, r.was)}


def _schedule(schedule: Schedule | None) -> str | None:
    return None if schedule is None else json.dumps(schedule._asdict())


def _tags(tags: tuple[str, ...]) -> str:
    return json.dumps(sorted(tags), ensure_ascii=False) if tags else "[]"
