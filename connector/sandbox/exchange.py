"""A request, a reply, a refusal: what a dialect sees of HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

Query = Mapping[str, str]


class Request(NamedTuple):
    """``headers`` have lower-case names; ``query`` holds the last value of each parameter."""

    method: str
    path: str
    query: Query
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> dict[str, Any]:
        """The body as an object; 400 when it is something else."""
        try:
            found = json.loads(self.body or b"{}")
        except ValueError:
            raise Refused(400, {"error": "the body is not JSON"}) from None
        if not isinstance(found, dict):
            raise Refused(400, {"error": "the body is not a JSON object"})
        return found

    def whole(self, name: str, default: int) -> int:
        """A query parameter that is a whole number; 400 when it is not one."""
        try:
            return int(self.query.get(name, default))
        except ValueError:
            raise Refused(400, {"error": f"{name} is not a number"}) from None


class Reply(NamedTuple):
    """``body`` is JSON unless it is text; text that begins with a < is a web page."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})

    def encoded(self) -> tuple[bytes, str]:
        if isinstance(self.body, str):
            kind = "html" if self.body.startswith("<") else "plain"
            return self.body.encode(), f"text/{kind}; charset=utf-8"
        return json.dumps(
            self.body, ensure_ascii=False, separators=(",", ":")
        ).encode(), "application/json; charset=utf-8"


class Refused(Exception):
    """An answer that ends the request at once."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(status)
        self.reply = Reply(body, status, headers)


Route = tuple[str, str, Callable[..., Reply]]
"""(method, pattern of the path, handler of the request and the pattern's groups)."""


class Dialect(Protocol):
    """A service's own API over a world. The first route that fits a request answers it."""

    def routes(self) -> Sequence[Route]: ...
