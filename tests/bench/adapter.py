"""An adapter for the bench's server, written as any other: wire models of what is read, pure mappers, no tricks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from connector.contract import AdapterSettings, Http, Seen, Service, rows
from connector.models import Channel, Conversation, Cursor, Event, Message, Page, Rating, Record, from_iso

AUTHORS: dict[str, Literal["customer", "human"]] = {"customer": "customer", "agent": "human"}


class _Message(BaseModel):
    id: str
    at: str
    author: str
    author_id: str
    text: str


class _Event(BaseModel):
    at: str
    kind: Literal["status", "assigned"]
    value: str


class _Rating(BaseModel):
    id: str
    at: str
    score: float


class _Conversation(BaseModel):
    id: str
    channel: str
    team: str
    created_at: str
    status: Literal["open", "done"]
    messages: list[_Message]
    events: list[_Event]
    ratings: list[_Rating]


class BenchSettings(AdapterSettings):
    url: str


class Bench:
    name: ClassVar[str] = "bench"
    Settings: ClassVar[type[AdapterSettings]] = BenchSettings
    streams: ClassVar[tuple[str, ...]] = ("conversations",)
    history: ClassVar[frozenset[str]] = frozenset({"status", "assigned", "team"})

    def __init__(self, settings: BenchSettings, http: Http) -> None:
        self.http = http

    @staticmethod
    def service(settings: BenchSettings) -> Service:
        return Service(base_url=settings.url, per_second=10_000)

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]:
        page = (cursor or {}).get("page", 1)
        while items := self.http.get("/conversations", {"page": page}).json()["data"]:
            good, rejects = rows(_Conversation, items, "conversation")
            page += 1
            yield Page([record for row in good for record in _records(row)], {"page": page}, rejects)


def _records(row: _Conversation) -> Iterator[Record]:
    yield Channel(row.channel, row.channel)
    yield Conversation(
        row.id, from_iso(row.created_at), row.status, None, None, row.channel, row.messages[0].author_id, row.team
    )
    for m in row.messages:
        yield Message(m.id, row.id, from_iso(m.at), AUTHORS[m.author], m.author_id, length=len(m.text))
    for e in row.events:
        yield Event(f"{row.id}:{e.kind}:{e.at}", row.id, from_iso(e.at), e.kind, e.value)
    for r in row.ratings:
        yield Rating(r.id, row.id, None, ((from_iso(r.at), r.score),))


def settings(url: str) -> dict[str, Any]:
    return {"url": url}
