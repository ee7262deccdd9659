"""Tiny: a desk that exists in tests only. Its adapter keeps the contract; its twins in broken_twins.py break it.

API: tiny 1.
Auth: a token.
Limits: none.
Gaps: everything a desk could do and this one does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, SecretStr

from connector.contract import AdapterSettings, Announcement, Finding, Http, Seen, Service, TagChange, rows
from connector.models import (
    Author,
    Channel,
    Conversation,
    Cursor,
    Event,
    Instant,
    Message,
    Page,
    Record,
    Reject,
    from_unix,
)

CHANNELS = {"mail": "email", "chat": "live_chat"}
AUTHORS: dict[str, Author] = {"customer": "customer", "agent": "human"}
LONGEST = 500

When = Annotated[Instant, BeforeValidator(from_unix)]


class _Said(BaseModel):
    id: int
    at: When
    by: str


class _Item(BaseModel):
    id: int
    at: When
    via: str
    said: list[_Said]


class TinySettings(AdapterSettings):
    url: str
    token: SecretStr


class Tiny:
    name: ClassVar[str] = "tiny"
    Settings: ClassVar[type[AdapterSettings]] = TinySettings
    streams: ClassVar[tuple[str, ...]] = ("items",)
    history: ClassVar[frozenset[str]] = frozenset()
    reread_limit: ClassVar[int] = 10

    def __init__(self, settings: TinySettings, http: Http) -> None:
        self.settings, self.http = settings, http

    @staticmethod
    def service(settings: TinySettings) -> Service:
        return Service(settings.url, {"Authorization": settings.token.get_secret_value()})

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]:
        """Oldest first, so the cursor is the number of the last page, which may still grow."""
        page = (cursor or {}).get("page", 1)
        while items := self.items(page):
            records, rejects = self.understood(items)
            yield Page(records, {"page": page}, rejects)
            page += 1

    def items(self, page: int) -> list[Any]:
        found: list[Any] = self.http.get("items", {"page": page}).json()
        return found

    def understood(self, items: list[Any]) -> tuple[list[Record], tuple[Reject, ...]]:
        good, bad = rows(_Item, items, "item")
        return [record for item in good for record in self.told(item)], bad

    def told(self, item: _Item) -> Iterator[Record]:
        yield Channel(item.via, self.channel(item.via))
        yield Conversation(str(item.id), item.at, "open", channel=item.via)
        for one in item.said:
            yield Message(str(one.id), str(item.id), one.at, AUTHORS.get(one.by, "unknown"))

    def channel(self, word: str) -> str:
        return CHANNELS.get(word, "other")

    def reread(self, ids: Sequence[str], seen: Seen) -> Iterator[Page]:
        answers = list(zip(ids, self.http.each(f"items/{one}" for one in ids), strict=True))
        gone: list[Record] = [Event(f"{one}:gone", one, None, "deleted") for one, answer in answers if answer is None]
        records, rejects = self.understood([answer.json() for _, answer in answers if answer])
        yield Page([*gone, *records], None, rejects)

    def tags(self, conversation: str) -> tuple[str, ...]:
        return tuple(self.http.get(f"items/{conversation}/tags").json())

    def add_tag(self, conversation: str, tag: str) -> TagChange:
        before = self.tags(conversation)
        self.http.send("PUT", f"items/{conversation}/tags", [*before, tag])
        return TagChange(before, self.tags(conversation))

    def remove_tag(self, conversation: str, tag: str) -> TagChange:
        before = self.tags(conversation)
        self.http.send("PUT", f"items/{conversation}/tags", [one for one in before if one != tag])
        return TagChange(before, self.tags(conversation))

    def add_note(self, conversation: str, text: str) -> str:
        answer = self.http.send("POST", f"items/{conversation}/said", {"text": text, "internal": True})
        return str(answer.json()["id"])

    def find_note(self, conversation: str, text: str) -> str | None:
        said = self.http.get(f"items/{conversation}/said").json()
        return next((str(one["id"]) for one in said if one["text"] == text), None)

    def remove_note(self, conversation: str, note: str) -> None:
        self.http.send("DELETE", f"items/{conversation}/said/{note}")

    def announce(self, announcement: Announcement) -> str:
        text = announcement.fallback.replace("@", "at ")[:LONGEST]
        return str(self.http.send("POST", "wall", {"text": text}).json()["id"])

    def probe(self) -> Iterator[Finding]:
        me = self.http.get("me").json()
        yield Finding("token", True, me["name"])
