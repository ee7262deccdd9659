"""What a played service lets the contract checks do with it, and how an adapter is connected to one.

An adapter that pulls over HTTP has one in ``fixtures/NAME/desk.py``: a class ``Desk`` that answers as the vendor does,
with the vendor's own page sizes, order, caps and ends of lists, and writes as it does them. It is a fake at the HTTP
seam; the adapter and the client in front of it are the real ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol

import httpx

from connector.http import HttpClient


class StandingClock:
    """Waiting takes no time, but is remembered."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> int:
        return 1_795_200_000_000

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


def nothing() -> None:
    """The usual ``after_list``."""


class Desk(Protocol):
    """One account of the vendor's. It begins without conversations."""

    settings: ClassVar[dict[str, Any]]
    """What connects to it."""
    per_page: int
    """Conversations that one answer of the list holds: the vendor's own number, or what the adapter asks for. Where the
    vendor may give fewer, give few: the checks walk three pages often."""
    most: int | None
    """Rows that one list (or search) gives at most, however many pages are asked for; None: all there are. The vendor's
    own number. It is set to None to compare."""
    most_messages: ClassVar[int | None]
    """Messages that the vendor gives of one conversation at most; None: all."""
    endings: ClassVar[tuple[str, ...]]
    """The ways in which the vendor is known to end its lists; ``ending`` is the one in force."""
    ending: str
    repeats: bool
    """Each page of conversations begins with the row that ended the one before."""
    after_list: Callable[[], None]
    """Called after each answer that listed conversations, before it is given away."""

    def fill(self, count: int, every_s: int = 86_400) -> list[str]:
        """So many typical conversations more, their last changes so far apart and all before ``stir``'s. Their ids as
        the adapter tells them, in the order of their changes."""

    def stir(self, conversation: str) -> str:
        """Its customer writes again: it is what changed last of all. That message's id, as the adapter tells it."""

    def drop(self, conversation: str) -> None:
        """It leaves the lists, as what is merged away or deleted for good does."""

    def lengthen(self, conversation: str, count: int) -> list[str]:
        """Its customer writes so many messages more. Their ids, as the adapter tells them."""

    # One that gives cursors which may expire has ``forget()`` too: from now on it knows none that it ever gave.
    # One whose capped list is not walked by a first pull has ``most_after``: how many conversations are read before.

    def __call__(self, request: httpx.Request) -> httpx.Response: ...


def lacking(desk: type[Any]) -> list[str]:
    """What a class lacks of ``Desk``."""
    made, wanted = desk(), {*Desk.__annotations__, "fill", "stir", "drop", "lengthen"}
    return sorted(f"desk.{name}" for name in wanted if not hasattr(made, name))


def desk_of(folder: Path) -> type[Any] | None:
    """The class ``Desk`` of a fixture's folder; None where it plays none."""
    if not (folder / "desk.py").exists():
        return None
    found: type[Any] = import_module(f"fixtures.{folder.name}.desk").Desk
    return found


@dataclass
class Counted:
    """A desk's answers, counted: a walk that never ends is a failure, not a wait."""

    desk: Any
    most: int
    asked: list[str] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            self.asked.append(f"{request.method} {request.url.path}")
            assert len(self.asked) <= self.most, f"the walk never ends: {self.most} requests, the last {self.asked[-1]}"
            answer: httpx.Response = self.desk(request)
            return answer


def connecting(name: str, kind: type[Any], desk: Any) -> Iterator[Callable[..., Any]]:
    """For a fixture: what connects an adapter to the desk, with settings changed; all are closed at the end."""
    clients: list[HttpClient] = []

    def connect(**changed: Any) -> Any:
        settings = kind.Settings(**{**desk.settings, **changed})
        transport = httpx.MockTransport(desk)
        clients.append(HttpClient(kind.service(settings), StandingClock(), name=name, demo=False, transport=transport))
        return kind(settings, clients[-1])

    yield connect
    for client in clients:
        client.close()


def connected(name: str, kind: type[Any], desk: Any, clock: Any, most: int) -> tuple[Any, Counted]:
    """The adapter behind the real client, in front of the desk; ``clock`` is where its waiting is to be found."""
    settings, line = kind.Settings(**desk.settings), Counted(desk, most)
    transport = httpx.MockTransport(line)
    return kind(settings, HttpClient(kind.service(settings), clock, name=name, demo=False, transport=transport)), line
