"""Tiny's side, played: see ``played.Desk`` for what the checks may ask of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

import httpx
from played import nothing

Row = dict[str, Any]
FIRST = 1_700_000_000


class Desk:
    settings: ClassVar[Row] = {"url": "https://tiny.example/v1", "token": "canary-4711"}
    per_page: int = 5
    most: int | None = 20
    most_messages: ClassVar[int | None] = None
    endings: ClassVar[tuple[str, ...]] = ("told", "left out")

    def __init__(self) -> None:
        self.items: dict[int, Row] = {}
        self.said: dict[int, list[Row]] = {}
        self.ending, self.repeats = self.endings[0], False
        self.after_list: Callable[[], None] = nothing
        self.forgotten = -1
        self.listed = self.messages = 0

    # what the checks do

    def fill(self, count: int, every_s: int = 86_400) -> list[str]:
        first = len(self.items) + 1
        for number in range(first, first + count):
            at = FIRST + number * every_s
            self.items[number] = {"id": number, "at": at, "changed": at, "via": "mail"}
            self.said[number] = []
            self._say(number, at)
        return [str(number) for number in range(first, first + count)]

    def stir(self, conversation: str) -> str:
        number = int(conversation)
        self.items[number]["changed"] = max(one["changed"] for one in self.items.values()) + 60
        return self._say(number, self.items[number]["changed"])

    def drop(self, conversation: str) -> None:
        del self.items[int(conversation)]

    def lengthen(self, conversation: str, count: int) -> list[str]:
        return [self._say(int(conversation), FIRST) for _ in range(count)]

    def forget(self) -> None:
        self.forgotten = self.listed

    def _say(self, number: int, at: int) -> str:
        self.messages += 1
        self.said[number].append({"id": self.messages, "at": at, "by": "customer"})
        return str(self.messages)

    # answering

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, query = request.url.path.removeprefix("/v1/"), request.url.params
        if path == "items":
            return self._list(query)
        found = re.fullmatch(r"items/(\d+)/said", path)
        assert found, path
        rows, page = self.said[int(found[1])], int(query["page"])
        told = {"said": rows[5 * page - 5 : 5 * page], "more": len(rows) > 5 * page}
        return httpx.Response(200, json=told)

    def _list(self, query: httpx.QueryParams) -> httpx.Response:
        """A mark is "which list, after which row's change and number, how many given". ``page`` counts instead."""
        self.listed += 1
        rows = sorted(self.items.values(), key=lambda one: (one["changed"], one["id"]))
        rows = [one for one in rows if one["changed"] >= int(query.get("since", 0))]
        asked, last, number, given = map(int, query.get("mark", f"{self.listed}.0.0.0").split("."))
        if asked <= self.forgotten:
            return httpx.Response(410, json={"error": "this mark has expired"})
        if "page" in query:
            found = rows[self.per_page * (int(query["page"]) - 1) :]
        else:
            found = [one for one in rows if (one["changed"], one["id"]) >= (last, number + (not self.repeats))]
        page = found[: self.per_page]
        given += len(page)
        more = len(found) > len(page) and (self.most is None or given < self.most)
        last, number = (page[-1]["changed"], page[-1]["id"]) if page else (last, number)
        mark = f"{self.listed}.{last}.{number}.{given}"
        told = {"items": [dict(one) for one in page], "mark": mark, "more": more}
        if not more and self.ending == "left out":
            del told["more"]
        self.after_list()
        return httpx.Response(200, json=told)
