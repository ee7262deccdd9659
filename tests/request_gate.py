"""Lets through only the requests that a table of a vendor's API allows.

The table is ours: method, path, names of the query, fields of the body with a pattern for each value. A body must have
all its fields and no other; a query any of its names and no other.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx

Call = dict[str, Any]


class NotAllowed(AssertionError):
    """The adapter asked for something that the table does not have."""


class RequestGate:
    """``passed`` holds (method, path template) of what went through."""

    def __init__(self, table: Path) -> None:
        self.calls: list[Call] = json.loads(table.read_text("utf-8"))["calls"]
        self.passed: list[tuple[str, str]] = []

    def check(self, request: httpx.Request) -> None:
        """NotAllowed says what is wrong with the request."""
        call = self._call(request.method, request.url.path)
        _check_query(call, dict(request.url.params))
        _check_body(call, request.content)
        self.passed.append((call["method"], call["path"]))

    def undocumented(self) -> dict[str, bool | list[str]]:
        return {call["path"]: call["undocumented"] for call in self.calls if "undocumented" in call}

    def _call(self, method: str, path: str) -> Call:
        for call in self.calls:
            if call["method"] == method and re.fullmatch(re.sub(r"\{\w+\}", r"\\d+", call["path"]), path):
                return call
        raise NotAllowed(f"the table has no {method} {path}")


def _check_query(call: Call, query: dict[str, str]) -> None:
    allowed = call.get("query", {})
    for name, value in query.items():
        if name not in allowed or not re.fullmatch(allowed[name], value):
            raise NotAllowed(f"{call['method']} {call['path']} takes no query {name}={value}")


def _check_body(call: Call, content: bytes) -> None:
    fields, body = call.get("body", {}), json.loads(content) if content else {}
    if fields.keys() != body.keys():
        raise NotAllowed(f"{call['method']} {call['path']} takes {sorted(fields)}, not {sorted(body)}")
    for name, value in body.items():
        if not re.fullmatch(fields[name], json.dumps(value), re.DOTALL):
            raise NotAllowed(f"{call['method']} {call['path']} takes no {name} of {value!r}")
