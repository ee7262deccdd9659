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
    changed: When
    via: str


class TinySettings(AdapterSettings):
    url: str
    token: SecretStr


class Tiny:
    name: ClassVar[str] = "tiny"
    Settings: ClassVar[type[AdapterSettings]] = TinySettings
    streams: ClassVar[tuple[str, ...]] = ("items",)
    history: ClassVar[frozenset[str]] = frozenset()
    first_read: ClassVar[float] = 1.2
    reread_limit: ClassVar[int] = 10

    def __init__(self, settings: TinySettings, http: Http) -> None:
        self.settings, self.http = settings, http

    @staticmethod
    def service(settings: TinySettings) -> Service:
        return Service(settings.url, {"Authorization": settings.token.get_secret_value()})

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]:
        """A list is cut without a word after so many rows: only one that brings nothing newer than where it began has
        told everything."""
        newest, begun = (cursor or {}).get("since", 0), -1
        while newest != begun:
            begun = newest
            for page in self.listing(newest, seen):
                newest = max(newest, (page.cursor or {})["since"])
                yield page._replace(cursor={"since": newest})

    def listing(self, since: int, seen: Seen) -> Iterator[Page]:
        """Oldest change first, from that second on. A mark that Tiny has forgotten ends it: another list goes on."""
        mark, more = "", True
        while more and (told := self.listed(since, mark)):
            yield self.page(told["items"], since, seen)
            mark, more = told["mark"], told.get("more") is True

    def listed(self, since: int, mark: str) -> dict[str, Any] | None:
        found = self.http.find("items", {"since": since, **({"mark": mark} if mark else {})}, absent=(410,))
        return found.json() if found else None

    def page(self, items: list[Any], since: int, seen: Seen) -> Page:
        good, bad = rows(_Item, items, "item")
        new = [item for item in good if not seen(str(item.id), item.changed)]
        records = [record for item in new for record in self.told(item)]
        return Page(records, {"since": max([since, *(item.changed // 1000 for item in good)])}, bad)

    def told(self, item: _Item) -> Iterator[Record]:
        yield Channel(item.via, self.channel(item.via))
        yield Conversation(str(item.id), item.at, "open", item.changed, channel=item.via)
        for one in self.said(item.id):
            yield Message(str(one.id), str(item.id), one.at, AUTHORS.get(one.by, "unknown"))

    def said(self, item: int) -> Iterator[_Said]:
        page, more = 1, True
        while more:
            told = self.http.get(f"items/{item}/said", {"page": page}).json()
            yield from map(_Said.model_validate, told["said"])
            page, more = page + 1, told["more"]

    def channel(self, word: str) -> str:
        return CHANNELS.get(word, "other")

    def reread(self, ids: Sequence[str], seen: Seen) -> Iterator[Page]:
        answers = list(zip(ids, self.http.each(f"items/{one}" for one in ids), strict=True))
        gone: list[Record] = [Event(f"{one}:gone", one, None, "deleted") for one, answer in answers if answer is None]
        page = self.page([answer.json() for _, answer in answers if answer], 0, seen)
        yield Page([*gone, *page.records], None, page.rejects)

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
        answer = self.http.send("POST", f"items/{conversation}/notes", {"text": text, "internal": True})
        return str(answer.json()["id"])

    def find_note(self, conversation: str, text: str) -> str | None:
        notes = self.http.get(f"items/{conversation}/notes").json()
        return next((str(one["id"]) for one in notes if one["text"] == text), None)

    def remove_note(self, conversation: str, note: str) -> None:
        self.http.send("DELETE", f"items/{conversation}/notes/{note}")

    def announce(self, announcement: Announcement) -> str:
        text = announcement.fallback.replace("@", "at ")[:LONGEST]
        return str(self.http.send("POST", "wall", {"text": text}).json()["id"])

    def probe(self) -> Iterator[Finding]:
        me = self.http.get("me").json()
        yield Finding("token", True, me["name"])
