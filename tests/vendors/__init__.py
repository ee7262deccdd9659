"""Vendors played over real HTTP on loopback, each holding a sandbox's world and speaking its own API.

Each is a subclass of ``Vendor`` in ``fixtures/NAME/vendor.py``, and found by ``vendors.found``.

with VENDORS[name](generate(1)) as vendor:
    section = vendor.settings()      # the adapter's section of a demo's config
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, Self

from request_gate import GATES, NotAllowed

from connector.sandbox.exchange import Dialect, Reply, Request
from connector.sandbox.loopback import Loopback
from connector.sandbox.world import World


class Desk(Dialect, Protocol):
    """``violations`` are the writes that would have reached a customer; ``originals`` maps the vendor's conversation
    ids to the world's."""

    world: World
    violations: list[dict[str, Any]]
    originals: dict[str, str]


Differences = tuple[tuple[str, str, str], ...]
"""(pattern of fact columns, README's words for them, why they cannot agree with the same world's files)"""


class _Gated(Loopback):
    """Notes what the gate of a service would not let through: a command in a process of its own has no other gate."""

    def __init__(self, desk: Desk, name: str) -> None:
        super().__init__(desk)
        self.gate, self.not_allowed = GATES.get(name), list[str]()

    def answer(self, request: Request) -> Reply:
        try:
            if self.gate:
                self.gate.check_call(request.method, request.path, request.query, request.body)
        except NotAllowed as error:
            self.not_allowed.append(str(error))
        return super().answer(request)


class Vendor:
    """A desk behind HTTP. A context manager: starts on a free port, stops at the end. ``not_allowed`` says which
    requests the service's gate would have stopped."""

    name: ClassVar[str]
    differs: ClassVar[Differences] = ()

    def __init__(self, desk: Desk) -> None:
        self.loopback = _Gated(desk, self.name)
        self.violations, self.originals, self.not_allowed = desk.violations, desk.originals, self.loopback.not_allowed
        self.now = desk.world.now

    @property
    def url(self) -> str:
        return self.loopback.url

    def settings(self) -> dict[str, Any]:
        """The adapter's settings that connect to it, for a demo's config."""
        raise NotImplementedError

    def start(self) -> str:
        return self.loopback.start().url

    def stop(self) -> None:
        self.loopback.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
