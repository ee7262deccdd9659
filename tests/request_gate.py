"""Lets through only the requests that a table of a vendor's API allows, and that the vendor itself describes.

``fixtures/NAME/requests.json`` is ours: method, path, names of the query, fields of the body, with a pattern for each
value. A body must have all its fields and no other; a query any of its names and no other.
``fixtures/NAME/described.json``, where there is one, is the vendor's own description of those calls (see described.py):
what it does not have, the table must call ``undocumented``: true for a whole call, or a list of names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from described import faults

import connector.http
from connector.contract import Service

FIXTURES = Path(__file__).parents[1] / "fixtures"

Call = dict[str, Any]


class NotAllowed(AssertionError):
    """The adapter asked for something that the table, or the vendor's description, does not have."""


class RequestGate:
    """``passed`` holds (method, path template) of what went through."""

    def __init__(self, table: Path) -> None:
        self.calls: list[Call] = json.loads(table.read_text("utf-8"))["calls"]
        self.described = _described(table.with_name("described.json"))
        self.passed: list[tuple[str, str]] = []

    def check(self, request: httpx.Request) -> None:
        """NotAllowed says what is wrong with the request."""
        self.check_call(request.method, request.url.path, dict(request.url.params), request.content)

    def check_call(self, method: str, path: str, query: Mapping[str, str], content: bytes) -> None:
        call, body = self._call(method, path), json.loads(content) if content else None
        _check_query(call, query)
        _check_body(call, body or {})
        self._check_description(call, query, body)
        self.passed.append((call["method"], call["path"]))

    def undocumented(self) -> dict[str, bool | list[str]]:
        return {call["path"]: call["undocumented"] for call in self.calls if "undocumented" in call}

    def _call(self, method: str, path: str) -> Call:
        for call in self.calls:
            if call["method"] == method and re.fullmatch(re.sub(r"\{\w+\}", r"\\d+", call["path"]), path):
                return call
        raise NotAllowed(f"the table has no {method} {path}")

    def _check_description(self, call: Call, query: Mapping[str, str], body: Any) -> None:
        known = call.get("undocumented", [])
        if self.described is None or known is True:
            return
        operation = self.described.get((call["method"], call["path"]))
        wrong = ["it is not there"] if operation is None else list(faults(operation, query, body, known))
        if wrong:
            raise NotAllowed(f"{call['method']} {call['path']} is not as the vendor describes it: {'; '.join(wrong)}")


def _described(path: Path) -> dict[tuple[str, str], Call] | None:
    if not path.exists():
        return None
    return {(call["method"], call["path"]): call for call in json.loads(path.read_text("utf-8"))["calls"]}


def _check_query(call: Call, query: Mapping[str, str]) -> None:
    allowed = call.get("query", {})
    for name, value in query.items():
        if name not in allowed or not re.fullmatch(allowed[name], value):
            raise NotAllowed(f"{call['method']} {call['path']} takes no query {name}={value}")


def _check_body(call: Call, body: dict[str, Any]) -> None:
    fields = call.get("body", {})
    if fields.keys() != body.keys():
        raise NotAllowed(f"{call['method']} {call['path']} takes {sorted(fields)}, not {sorted(body)}")
    for name, value in body.items():
        if not re.fullmatch(fields[name], json.dumps(value), re.DOTALL):
            raise NotAllowed(f"{call['method']} {call['path']} takes no {name} of {value!r}")


GATES = {path.parent.name: RequestGate(path) for path in sorted(FIXTURES.glob("*/requests.json"))}
"""One for each service that has a table, by its name."""


@pytest.fixture(autouse=True)
def every_request_goes_through_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever test makes it, and whoever answers it: the client of a service that has a table asks there first."""
    made = connector.http._client

    def gated(service: Service, name: str, transport: httpx.BaseTransport | None) -> httpx.Client:
        client = made(service, name, transport)
        if name in GATES:
            client.event_hooks = {**client.event_hooks, "request": [GATES[name].check]}
        return client

    monkeypatch.setattr(connector.http, "_client", gated)
