"""Our tables of requests against the vendors' own descriptions of their APIs.

The descriptions are theirs and stay out of the repository: name a folder that holds them in VENDOR_DESCRIPTIONS
(``chatwoot.yml``, ``intercom-2.14.yaml``), else these tests are left out.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

FIXTURES = Path(__file__).parents[1] / "fixtures"
FOLDER = os.environ.get("VENDOR_DESCRIPTIONS", "")
DESCRIPTIONS = {"chatwoot": "chatwoot.yml", "intercom": "intercom-2.14.yaml"}

pytestmark = pytest.mark.skipif(not FOLDER, reason="VENDOR_DESCRIPTIONS names no folder")


@pytest.mark.parametrize("service", DESCRIPTIONS)
def test_every_request_we_make_is_one_that_the_vendor_describes(service: str) -> None:
    description = yaml.safe_load((Path(FOLDER) / DESCRIPTIONS[service]).read_text("utf-8"))
    calls = json.loads((FIXTURES / service / "requests.json").read_text("utf-8"))["calls"]
    assert [wrong for call in calls if (wrong := undescribed(call, description))] == []


def undescribed(call: dict[str, Any], description: dict[str, Any]) -> str:
    """What the description lacks of a call, beyond what the table says it lacks; empty when nothing."""
    known = call.get("undocumented", [])
    found = operation(call, description)
    if known is True or found is None:
        return "" if (known is True) == (found is None) else f"{call['method']} {call['path']}: described or not?"
    names = {resolved(one, description)["name"].removesuffix("[]") for one in found}
    lacking = call.get("query", {}).keys() - names - set(known)
    return f"{call['method']} {call['path']} takes no {sorted(lacking)}" if lacking else ""


def operation(call: dict[str, Any], description: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The parameters of the operation; None when there is no such operation."""
    for path, operations in description["paths"].items():
        if shape(path) == shape(call["path"]) and call["method"].lower() in operations:
            return [*operations.get("parameters", []), *operations[call["method"].lower()].get("parameters", [])]
    return None


def shape(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path).rstrip("/")


def resolved(parameter: dict[str, Any], description: dict[str, Any]) -> dict[str, Any]:
    reference = parameter.get("$ref")
    if reference is None:
        return parameter
    found: Any = description
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)
