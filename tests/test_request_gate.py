"""The gate itself: what stops a request, and whether the tables and the vendors' descriptions fit each other.

The descriptions are the vendors' and stay out of the repository. Name a folder that holds their YAML files in
VENDOR_DESCRIPTIONS to compare what was taken from them; without it that test is left out.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from described import described_after_all, faults, reduced, title_of
from request_gate import FIXTURES, GATES, NotAllowed, RequestGate

FOLDER = os.environ.get("VENDOR_DESCRIPTIONS", "")
GATED = sorted(path.parent.name for path in FIXTURES.glob("*/described.json"))

DESCRIPTION: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Tiny", "version": "1"},
    "paths": {
        "/items/{id}": {
            "parameters": [{"$ref": "#/components/parameters/deep"}],
            "put": {"requestBody": {"$ref": "#/components/requestBodies/change"}},
            "get": {"parameters": [{"name": "page", "in": "query", "required": True, "schema": {"type": "integer"}}]},
        }
    },
    "components": {
        "parameters": {"deep": {"name": "deep", "in": "query", "schema": {"type": "boolean", "description": "Prose."}}},
        "requestBodies": {
            "change": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/change"}}},
            }
        },
        "schemas": {
            "change": {
                "type": "object",
                "required": ["note"],
                "properties": {
                    "note": {"type": "object", "properties": {"public": {"type": "boolean"}}},
                    "part": {"$ref": "#/components/schemas/change"},
                },
            }
        },
    },
}
CALLS = [{"method": "GET", "path": "/items/{number}"}, {"method": "PUT", "path": "/items/{number}"}]


def test_a_description_is_reduced_to_the_names_and_types_of_our_calls() -> None:
    get, put = reduced(DESCRIPTION, CALLS)["calls"]
    assert get["query"] == {"deep": {"type": "boolean"}, "page": {"type": "integer"}}
    assert get["query_required"] == ["page"]
    assert put["body_required"] is True
    assert put["body"]["properties"]["note"] == {"type": "object", "properties": {"public": {"type": "boolean"}}}
    assert put["body"]["properties"]["part"] == {}


def test_a_call_that_the_description_lacks_cannot_be_reduced() -> None:
    with pytest.raises(LookupError, match="no DELETE /items"):
        reduced(DESCRIPTION, [{"method": "DELETE", "path": "/items/{number}"}])


@pytest.mark.parametrize(
    ("method", "query", "body", "says"),
    [
        ("GET", {"page": "1", "deep": "true"}, None, None),
        ("GET", {"page": "one"}, None, "query page: 'one' is not of type 'integer'"),
        ("GET", {}, None, "it wants the query page"),
        ("GET", {"page": "1", "size": "9"}, None, "it takes no query size"),
        ("GET", {"page": "1"}, {"a": 1}, "it takes no body"),
        ("PUT", {}, {"note": {"public": False}}, None),
        ("PUT", {}, {"note": {"public": "no"}}, "body: 'no' is not of type 'boolean'"),
        ("PUT", {}, {"note": {}, "loud": True}, "its body has no loud"),
        ("PUT", {}, {}, "body: 'note' is a required property"),
        ("PUT", {}, None, "it wants a body"),
    ],
)
def test_a_request_is_held_against_the_description(
    method: str, query: dict[str, str], body: Any, says: str | None
) -> None:
    operation = next(one for one in reduced(DESCRIPTION, CALLS)["calls"] if one["method"] == method)
    assert list(faults(operation, query, body, [])) == ([says] if says else [])


def test_what_the_table_calls_undocumented_may_be_sent() -> None:
    get, put = reduced(DESCRIPTION, CALLS)["calls"]
    assert list(faults(get, {"page": "1", "size": "9"}, None, ["size"])) == []
    assert list(faults(put, {}, {"note": {}, "loud": True}, ["loud"])) == []


def test_the_gate_holds_the_table_and_the_description_together(tmp_path: Path) -> None:
    table = [{"method": "GET", "path": "/items/{number}", "query": {"page": r"\d+|all", "size": r"\d+"}}]
    (tmp_path / "requests.json").write_text(json.dumps({"calls": table}), "utf-8")
    (tmp_path / "described.json").write_text(
        json.dumps(reduced(DESCRIPTION, CALLS)).replace("/items/{id}", "/items/{number}"), "utf-8"
    )
    gate = RequestGate(tmp_path / "requests.json")
    gate.check(httpx.Request("GET", "https://x.example/items/1?page=2"))
    for refused in ("?page=all", "?page=1&size=5", "?page=1&deep=true", ""):
        with pytest.raises(NotAllowed):
            gate.check(httpx.Request("GET", f"https://x.example/items/1{refused}"))
    assert gate.passed == [("GET", "/items/{number}")]


@pytest.mark.parametrize("name", GATED)
def test_every_call_of_a_table_is_described_or_said_not_to_be(name: str) -> None:
    described = GATES[name].described or {}
    told = {(call["method"], call["path"]) for call in GATES[name].calls if call.get("undocumented") is not True}
    assert described.keys() == told


@pytest.mark.skipif(not FOLDER, reason="VENDOR_DESCRIPTIONS names no folder")
@pytest.mark.parametrize("path", sorted(Path(FOLDER or "?").glob("*.y*ml")), ids=lambda path: path.name)
def test_what_was_taken_from_a_vendors_description_still_stands_there(path: Path) -> None:
    """``of`` tells which description was taken."""
    description = yaml.safe_load(path.read_text("utf-8"))
    taken = {name: json.loads((FIXTURES / name / "described.json").read_text("utf-8")) for name in GATED}
    (name,) = [name for name, told in taken.items() if told["of"] == title_of(description)]
    assert reduced(description, GATES[name].calls) == taken[name]
    assert described_after_all(description, GATES[name].calls) == []
