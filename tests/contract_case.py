"""What the contract checks are run on: one adapter with its fixture, behind the real client, its service played.

A fixture is ``fixtures/NAME/contract.json`` (and ``contract-*.json`` for other ways to connect). What the service says
comes from one of

- ``exchanges``: a list of {method, path, query?, body?, status?, headers?, json | text}. The first unused one that fits
  a request answers it; when all that fit are used, the last of them does again. A read that stands behind a write to
  its path is told only after that write. ``body`` is what a write must send.
  A POST to a path that fits one of the fixture's ``questions`` (patterns) asks and changes nothing.
- ``world``: a file of the neutral format beside it, served by the sandbox's own dialect.
- ``input``: files beside it, for an adapter that reads files; "{input}" in a setting is the folder they are in.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from played import Counted, StandingClock, connected, desk_of
from pydantic import SecretStr

from connector import registry
from connector.contract import Page
from connector.http import HttpClient
from connector.models import Conversation, Record

FIXTURES = Path(__file__).parents[1] / "fixtures"
ADAPTERS = Path(__file__).parents[1] / "adapters"
MOST_REQUESTS = 400
MOST_PAGES = 400

Change = dict[str, Any]
"""{"in": regex of a path or a file's name, "at": dotted place in its JSON, "value": its new value}; done once"""
Answerer = Callable[[str, str, dict[str, str], Any], tuple[int, dict[str, str], Any]]
"""(method, path, query, body) → (status, headers, JSON or text)"""


def played(exchanges: list[dict[str, Any]]) -> Answerer:
    used: set[int] = set()

    def answer(method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, dict[str, str], Any]:
        fitting = [
            n for n, one in enumerate(exchanges) if _fits(one, method, path, query) and _is_now(exchanges, used, n)
        ]
        if not fitting:
            return 404, {}, {"error": f"the fixture has no {method} {path} {query}"}
        at = next((n for n in fitting if n not in used), fitting[-1])
        used.add(at)
        one = exchanges[at]
        assert one.get("body", body) == body, f"{method} {path} sent {body}, the fixture expects {one['body']}"
        return one.get("status", 200), one.get("headers", {}), one["text"] if "text" in one else one.get("json")

    return answer


def _fits(one: dict[str, Any], method: str, path: str, query: dict[str, str]) -> bool:
    wanted = {key: str(value) for key, value in one.get("query", {}).items()}
    return (one["method"], one["path"]) == (method, path) and wanted.items() <= query.items()


def _is_now(exchanges: list[dict[str, Any]], used: set[int], at: int) -> bool:
    """A read tells what is there between the writes around it in the list, of those that touch what it reads."""
    if exchanges[at]["method"] != "GET":
        return True
    touching = [
        n for n, one in enumerate(exchanges) if one["method"] != "GET" and _touches(one["path"], exchanges[at]["path"])
    ]
    return all((n in used) == (n < at) for n in touching)


def _touches(written: str, read: str) -> bool:
    return f"{written}/".startswith(f"{read}/")


def sandboxed(world: Path, token_header: str) -> Answerer:
    """The sandbox without its socket, and with its own credential in that header instead of the fixture's."""
    from connector.sandbox.exchange import Request
    from connector.sandbox.server import Sandbox

    sandbox = Sandbox(world)

    def answer(method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, dict[str, str], Any]:
        sent = b"" if body is None else json.dumps(body).encode()
        reply = sandbox.answer(Request(method, path, query, {token_header: Sandbox.token}, sent))
        assert not sandbox.violations, f"a message to the customer: {sandbox.violations}"
        return reply.status, {}, reply.body

    return answer


@dataclass
class Line:
    """The wire: what was asked, and how the answers are bent."""

    answerer: Answerer
    changes: list[Change] = field(default_factory=list)
    html: bool = False
    refuses: bool = False
    fails_from: int = MOST_REQUESTS
    cut: int | None = None
    questions: tuple[str, ...] = ()
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, request.url.path, body))
        assert len(self.asked) <= MOST_REQUESTS, "the page loop spins: it never stops asking"
        if self.refuses:
            return httpx.Response(401, json={"error": "unauthorized"})
        if len(self.asked) > self.fails_from:
            return httpx.Response(500, text="out of order")
        if self.html:
            return httpx.Response(200, text="<!doctype html><title>Sign in</title>")
        status, headers, said = self.answerer(request.method, request.url.path, dict(request.url.params), body)
        if isinstance(said, str):
            return httpx.Response(status, text=said, headers=headers)
        for change in [one for one in self.changes if re.fullmatch(one["in"], request.url.path)]:
            before, said = said, changed(said, change["at"], change["value"])
            if before != said:
                self.changes = [one for one in self.changes if one is not change]
        return httpx.Response(status, json=said, headers=headers)

    @property
    def sent(self) -> list[tuple[str, str, Any]]:
        """All that is no GET, questions included."""
        return [one for one in self.asked if one[0] != "GET"]

    @property
    def writes(self) -> list[tuple[str, str, Any]]:
        return [
            one for one in self.sent if not (one[0] == "POST" and any(re.fullmatch(q, one[1]) for q in self.questions))
        ]


def changed(document: Any, at: str, value: Any) -> Any:
    """A copy with another value at a dotted place; as it was where there is no such place."""
    copy = json.loads(json.dumps(document))
    *way, last = at.split(".")
    here = copy
    for step in way:
        here = _step(here, step)
        if here is None:
            return copy
    if isinstance(here, list) and int(last) < len(here):
        here[int(last)] = value
    elif isinstance(here, dict):
        here[last] = value
    return copy


def _step(here: Any, step: str) -> Any:
    if isinstance(here, list):
        return here[int(step)] if int(step) < len(here) else None
    return here.get(step) if isinstance(here, dict) else None


def _bent(data: bytes, changes: list[Change]) -> bytes:
    for change in changes:
        lines = changed([json.loads(line) for line in data.splitlines()], change["at"], change["value"])
        data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return data


@dataclass
class Case:
    """One adapter and one way to connect it: the name of its file, its text, its fixture, who plays its service."""

    name: str
    kind: type[Any]
    source: str
    spec: dict[str, Any]
    folder: Path
    tmp: Path
    desk: type[Any] | None = None

    def can(self, method: str) -> bool:
        return hasattr(self.kind, method)

    @property
    def reads_files(self) -> bool:
        return "input" in self.spec

    def settings(self) -> Any:
        given = {
            k: v.replace("{input}", str(self.tmp)) if isinstance(v, str) else v
            for k, v in self.spec["settings"].items()
        }
        return self.kind.Settings(**given)

    def secrets(self) -> list[str]:
        return [v.get_secret_value() for v in vars(self.settings()).values() if isinstance(v, SecretStr)]

    def connect(self, **bent: Any) -> tuple[Any, Line]:
        """The adapter, fresh, and its line. ``bent``: how the line is bent (see Line)."""
        settings = self.settings()
        line = Line(self._answerer(), questions=tuple(self.spec.get("questions", ())), **bent)
        if self.reads_files:
            self._write_input(line)
        client = HttpClient(
            self.kind.service(settings),
            StandingClock(),
            name=self.name,
            demo=False,
            transport=httpx.MockTransport(line),
        )
        return self.kind(settings, client), line

    def before(self, desk: Any, clock: StandingClock, most: int = 20_000) -> tuple[Any, Counted]:
        """The adapter, fresh, in front of a played desk, which answers so many requests at ``most``."""
        return connected(self.name, self.kind, desk, clock, most)

    def _answerer(self) -> Answerer:
        if "world" in self.spec:
            return sandboxed(self.folder / self.spec["world"], self.spec["token_header"])
        return played(self.spec.get("exchanges", []))

    def _write_input(self, line: Line) -> None:
        for name in self.spec["input"]:
            data = _bent((self.folder / name).read_bytes(), [c for c in line.changes if re.fullmatch(c["in"], name)])
            if line.html:
                data = b"<!doctype html>\n<title>Sign in</title>\n"
            (self.tmp / name).write_bytes(data[: line.cut])

    def interruptions(self) -> list[dict[str, int]]:
        """How a walk may be bent to break off: before each request, or in the midst of a file."""
        if self.reads_files:
            longest = max(len((self.folder / name).read_bytes()) for name in self.spec["input"])
            return [{"cut": at} for at in range(1, longest, max(longest // 7, 1))]
        adapter, line = self.connect()
        Walk(adapter).on()
        return [{"fails_from": at} for at in range(len(line.asked))]


class Walk:
    """What the pull engine does with pages, without a store: goes on from the last cursor, remembers the records."""

    def __init__(self, adapter: Any, most_pages: int = MOST_PAGES) -> None:
        self.adapter, self.most_pages = adapter, most_pages
        self.pages: list[tuple[str, Page]] = []
        self.cursors: dict[str, Any] = {}
        self.stored: dict[tuple[str, str], Record] = {}
        self.ever: set[Record] = set()

    def on(self, adapter: Any = None) -> list[Page]:
        """All streams once more, with another connection if one is given; the pages of this time."""
        self.adapter = adapter or self.adapter
        start = len(self.pages)
        for stream in self.adapter.streams:
            for page in self.adapter.pull(stream, self.cursors.get(stream), self.seen):
                assert isinstance(page, Page), f"{stream} gives {type(page).__name__}, not a Page"
                self.pages.append((stream, page))
                assert len(self.pages) < self.most_pages, "the page loop spins: pages without end"
                self._store(stream, page)
        return [page for _, page in self.pages[start:]]

    def _store(self, stream: str, page: Page) -> None:
        strange = [type(record).__name__ for record in page.records if not isinstance(record, Record)]
        assert not strange, f"{stream} gives {strange[0]} for records"
        self.ever.update(page.records)
        self.stored |= {key_of(record): record for record in page.records}
        if page.cursor is not None:
            self.cursors[stream] = json.loads(json.dumps(page.cursor))

    def seen(self, conversation: str, changed_at: int | None) -> bool:
        known = self.stored.get(("Conversation", conversation))
        return isinstance(known, Conversation) and changed_at is not None and known.changed_at == changed_at

    def records(self, kind: type[Any]) -> list[Any]:
        return [record for record in self.stored.values() if isinstance(record, kind)]

    @property
    def rejects(self) -> list[Any]:
        return [reject for _, page in self.pages for reject in page.rejects]


def key_of(record: Record) -> tuple[str, str]:
    return type(record).__name__, record.id


def cases() -> Iterator[tuple[str, Path]]:
    """(adapter, contract file) of every adapter there is; one without a fixture is given the path it should have."""
    for name in registry.adapter_names():
        found = sorted((FIXTURES / name).glob("contract*.json"))
        for path in found or [FIXTURES / name / "contract.json"]:
            yield name, path


def case_of(name: str, contract: Path, tmp: Path) -> Case:
    assert contract.exists(), f"adapters/{name}.py has no fixture: write fixtures/{name}/contract.json"
    source = (ADAPTERS / f"{name}.py").read_text("utf-8")
    spec = json.loads(contract.read_text("utf-8"))
    return Case(name, registry.adapter_class(name), source, spec, contract.parent, tmp, desk_of(contract.parent))
