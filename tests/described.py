"""A vendor's own description of its API (OpenAPI), reduced to the calls that we make, and a request held against it.

``python tests/described.py NAME FILE`` writes ``fixtures/NAME/described.json`` from the vendor's file: names, types and
what is required of each call in ``fixtures/NAME/requests.json``, none of the vendor's prose. The file itself stays out
of the repository.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from openapi_schema_validator import OAS30Validator

FIXTURES = Path(__file__).parents[1] / "fixtures"
KEPT = {"type", "enum", "format", "nullable", "required", "minimum", "maximum", "additionalProperties"}
"""What is kept of a schema beside its parts."""

Node = dict[str, Any]


def faults(operation: Node, query: Mapping[str, str], body: Any, undocumented: Sequence[str]) -> Iterator[str]:
    """What a request has that the operation does not, or lacks that it wants."""
    described = operation.get("query", {})
    for name, value in query.items():
        if name in described:
            yield from (
                f"query {name}: {one.message}" for one in _errors(described[name], _read(value, described[name]))
            )
        elif name not in undocumented:
            yield f"it takes no query {name}"
    yield from (f"it wants the query {name}" for name in operation.get("query_required", ()) if name not in query)
    yield from _body_faults(operation, body, undocumented)


def _body_faults(operation: Node, body: Any, undocumented: Sequence[str]) -> Iterator[str]:
    schema = operation.get("body")
    if schema is None:
        yield from [] if body is None or undocumented else ["it takes no body"]
    elif body is None:
        yield from ["it wants a body"] if operation.get("body_required") else []
    else:
        known = {key: value for key, value in body.items() if key not in undocumented}
        yield from (f"body: {one.message}" for one in _errors(schema, known))
        yield from (f"its body has no {key}" for key in known.keys() - set(_properties(schema)))


def _errors(schema: Node, value: Any) -> Iterator[Any]:
    yield from OAS30Validator(schema).iter_errors(value)


def _read(value: str, schema: Node) -> Any:
    """A query is text; the schema says what it stands for."""
    if schema.get("type") in ("integer", "number") and re.fullmatch(r"-?\d+", value):
        return int(value)
    if schema.get("type") == "boolean" and value in ("true", "false"):
        return value == "true"
    return [value] if schema.get("type") == "array" else value


def _properties(schema: Node) -> Iterator[str]:
    yield from schema.get("properties", {})
    for key in ("oneOf", "anyOf", "allOf"):
        for one in schema.get(key, ()):
            yield from _properties(one)


# --- reducing --------------------------------------------------------------------------------------------------------


def reduced(description: Node, calls: Sequence[Node]) -> Node:
    """The operations of a description that the table's calls are, but for those the table calls undocumented."""
    found = [(call, _operation(call, description)) for call in calls if call.get("undocumented") is not True]
    missing = [f"{call['method']} {call['path']}" for call, operation in found if operation is None]
    if missing:
        raise LookupError(f"the description has no {', '.join(missing)}")
    told = [_told(call, operation, description) for call, operation in found if operation is not None]
    return {"of": title_of(description), "calls": told}


def title_of(description: Node) -> str:
    return f"{description['info']['title']} {description['info']['version']}, OpenAPI {description['openapi']}"


def described_after_all(description: Node, calls: Sequence[Node]) -> list[str]:
    """Calls that the table takes for undocumented, and are not."""
    unknown = [call for call in calls if call.get("undocumented") is True]
    return [f"{one['method']} {one['path']}" for one in unknown if _operation(one, description)]


def _operation(call: Node, description: Node) -> Node | None:
    for path, operations in description["paths"].items():
        if _shape(path) == _shape(call["path"]) and call["method"].lower() in operations:
            operation = operations[call["method"].lower()]
            return operation | {"parameters": [*operations.get("parameters", []), *operation.get("parameters", [])]}
    return None


def _shape(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path).rstrip("/")


def _told(call: Node, operation: Node, description: Node) -> Node:
    told: Node = {"method": call["method"], "path": call["path"]}
    parameters = [_resolved(one, description) for one in operation["parameters"]]
    queries = [one for one in parameters if one["in"] == "query"]
    if queries:
        told["query"] = {one["name"]: _schema(one["schema"], description) for one in queries}
        told["query_required"] = [one["name"] for one in queries if one.get("required")]
    body = _resolved(operation.get("requestBody", {}), description)
    if body:
        told["body"] = _schema(body["content"]["application/json"]["schema"], description)
        told["body_required"] = bool(body.get("required"))
    return told


def _schema(schema: Any, description: Node, above: tuple[str, ...] = ()) -> Any:
    """Its names and types, references followed; where a schema holds itself, anything may stand."""
    name = schema.get("$ref", "")
    if name and name in above:
        return {}
    schema, above = _resolved(schema, description), (*above, name)
    kept = {key: value for key, value in schema.items() if key in KEPT}
    if "properties" in schema:
        kept["properties"] = {name: _schema(one, description, above) for name, one in schema["properties"].items()}
    if "items" in schema:
        kept["items"] = _schema(schema["items"], description, above)
    parts = {key: schema[key] for key in ("oneOf", "anyOf", "allOf") if key in schema}
    return kept | {key: [_schema(one, description, above) for one in ones] for key, ones in parts.items()}


def _resolved(node: Node, description: Node) -> Node:
    while "$ref" in node:
        found: Any = description
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node


def main(name: str, file: str) -> None:
    import yaml

    folder = FIXTURES / name
    calls = json.loads((folder / "requests.json").read_text("utf-8"))["calls"]
    told = reduced(yaml.safe_load(Path(file).read_text("utf-8")), calls)
    (folder / "described.json").write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
