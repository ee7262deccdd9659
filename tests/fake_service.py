"""A scripted service for tests of the pull: pages and errors in the order they come, and what was asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connector.config import Config, ServiceConfig
from connector.contract import Seen
from connector.models import Conversation, Cursor, Event, Message, Page, Rating, Record
from connector.store import Connection

T0 = 1_700_000_000_000
MINUTE = 60_000

Script = dict[str, list[Page | Exception]]


class Fake:
    """Streams are walked by position: the cursor is the number of pages that are done."""

    name = "fake"
    streams: tuple[str, ...] = ("conversations", "ratings")
    history: frozenset[str] = frozenset({"status", "assigned", "team"})

    def __init__(self, script: Script) -> None:
        self.script = script
        self.begun: list[tuple[str, Cursor | None]] = []

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]:
        self.begun.append((stream, cursor))
        done = cursor["done"] if cursor else 0
        for number, page in enumerate(self.script.get(stream, []), 1):
            if number > done:
                if isinstance(page, Exception):
                    raise page
                yield page if page.cursor else page._replace(cursor={"done": number})


class FakeRereads(Fake):
    """Gives single conversations too: ``now`` holds a page per id, ``reread_of`` what was asked for."""

    reread_limit = 3

    def __init__(self, script: Script, now: dict[str, Page] | None = None) -> None:
        super().__init__(script)
        self.now = now or {}
        self.reread_of: list[list[str]] = []

    def reread(self, ids: Sequence[str], seen: Seen) -> Iterator[Page]:
        self.reread_of.append(list(ids))
        for one in ids:
            page = self.now.get(one)
            if page is not None and not (page.records and seen(one, getattr(page.records[0], "changed_at", None))):
                yield page


class FakeWrites:
    """A service that is only written to."""

    name = "writes"


@dataclass
class FakeHttp:
    requests: int = 3
    waited_s: float = 0.0
    closed: bool = False

    def close(self) -> None:
        self.closed = True


@dataclass
class Ticking:
    """A second passes each time it is asked for the time; sleeping takes none."""

    at: int = T0 + 1_000_000 * MINUTE

    def now(self) -> int:
        self.at += 1000
        return self.at

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None: ...


@dataclass
class Deployment:
    """A config whose services are fakes."""

    config: Config
    adapters: dict[str, Any]
    marks: dict[str, str] = field(default_factory=dict)
    refreshed: list[Connection] = field(default_factory=list)
    https: list[FakeHttp] = field(default_factory=list)
    clock: Ticking = field(default_factory=Ticking)

    def connect(self, service: ServiceConfig, *_: object) -> tuple[Any, FakeHttp]:
        self.https.append(FakeHttp())
        return self.adapters[service.name], self.https[-1]

    def mark(self, service: ServiceConfig, config: Config) -> str:
        return self.marks.get(service.name, "m")


def deploy(folder: Path, patch: Callable[[str, Any], None], **adapters: Any) -> Deployment:
    """Services by their adapters; ``patch(target, value)`` puts them where the pull looks."""
    services = tuple(ServiceConfig(name, name, {}) for name in adapters)
    made = Deployment(Config(folder / "deskpulse.toml", folder / "d.db", services=services), adapters)
    patch("connector.registry.adapter_class", lambda name: type(adapters[name]))
    patch("connector.registry.connect", made.connect)
    patch("connector.registry.secret_mark", made.mark)
    patch("connector.facts.refresh", lambda conn, config: made.refreshed.append(conn) or 0)
    return made


def patched(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], None]:
    return lambda target, value: monkeypatch.setattr(target, value, raising=False)


def conversation(number: int, **change: Any) -> Conversation:
    at = T0 + number * MINUTE
    usual = Conversation(str(number), at, "done", at, "inbox", "email", f"c{number}", "T1", "A")
    return usual._replace(**change)


def talk(number: int, messages: int = 2) -> list[Record]:
    """A conversation with a customer's and an agent's messages, in turn, and its solving."""
    at, name = T0 + number * MINUTE, str(number)
    said = [
        Message(
            f"{name}.{i}",
            name,
            at + i * MINUTE,
            *(("human", "A") if i % 2 else ("customer", f"c{number}")),
            length=10,
        )
        for i in range(messages)
    ]
    solved = Event(f"{name}.solved", name, at + 90 * MINUTE, "status", "done", "open", "A")
    return [conversation(number), *said, solved]


def rating(number: int, *answers: tuple[int, float], **change: Any) -> Rating:
    return Rating(f"r{number}", str(number), T0, answers)._replace(**change)


TABLES = {
    "channels": "SELECT vendor_id, kind FROM channels",
    "inboxes": """SELECT i.vendor_id, name, c.vendor_id, schedule FROM inboxes i
        LEFT JOIN channels c ON c.id = channel_id""",
    "teams": "SELECT vendor_id, name FROM teams",
    "agents": "SELECT vendor_id, name, kind FROM agents",
    "contacts": "SELECT vendor_id, language, created_at FROM contacts",
    "conversations": """SELECT v.vendor_id, v.created_at, changed_at, status, i.vendor_id, k.vendor_id, c.vendor_id,
        t.vendor_id, a.vendor_id, v.language, link, tags FROM conversations v LEFT JOIN inboxes i ON i.id = inbox_id
        LEFT JOIN channels k ON k.id = v.channel_id LEFT JOIN contacts c ON c.id = contact_id
        LEFT JOIN teams t ON t.id = team_id LEFT JOIN agents a ON a.id = agent_id""",
    "messages": """SELECT m.vendor_id, v.vendor_id, at, author, a.vendor_id, c.vendor_id, public, m.kind, length, own,
        body FROM messages m JOIN conversations v ON v.id = conversation_id LEFT JOIN agents a ON a.id = m.agent_id
        LEFT JOIN contacts c ON c.id = m.contact_id""",
    "events": """SELECT e.vendor_id, v.vendor_id, at, e.kind, value, was, a.vendor_id, derived FROM events e
        JOIN conversations v ON v.id = conversation_id LEFT JOIN agents a ON a.id = actor_id""",
    "ratings": """SELECT r.vendor_id, v.vendor_id, offered_at, low, high, a.vendor_id, t.vendor_id, survey, w.at,
        w.score FROM ratings r JOIN conversations v ON v.id = conversation_id LEFT JOIN agents a ON a.id = r.agent_id
        LEFT JOIN teams t ON t.id = r.team_id LEFT JOIN answers w ON w.rating_id = r.id""",
    "rejects": "SELECT kind, vendor_id, reason FROM rejects",
    "cursors": "SELECT stream, cursor FROM cursors",
    "unsettled": "SELECT vendor_id FROM unsettled JOIN conversations ON id = conversation_id",
}


def contents(conn: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """All records by their vendor's keys, without our row ids and without the stamps of when they were looked at."""
    return {name: sorted(map(tuple, conn.execute(sql)), key=repr) for name, sql in TABLES.items()}
