"""All vendors that are played: a file ``fixtures/NAME/vendor.py`` is all it takes to be held against the others."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from vendors import Vendor


def _vendor(path: Path) -> type[Any]:
    module = import_module(f"fixtures.{path.parent.name}.vendor")
    (kind,) = [one for one in vars(module).values() if isinstance(one, type) and Vendor in one.__bases__]
    return kind


VENDORS = {path.parent.name: _vendor(path) for path in sorted(Path(__file__).parents[2].glob("fixtures/*/vendor.py"))}
"""By service."""
