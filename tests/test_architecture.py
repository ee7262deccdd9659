"""Who may import whom, and how long a function may be: the house rules that drift unless something fails."""

from __future__ import annotations

import ast
import re
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("connector", "adapters", "metrics")
FILES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))

OWNERS = {
    "httpx": "connector/http.py",
    "tenacity": "connector/http.py",
    "apscheduler": "connector/schedule.py",
    "sqlite_utils": "connector/store/",
    "sqlite3": "connector/store/",
    "keyring": "connector/secrets.py",
    "pydantic_settings": "connector/secrets.py",
}
ADAPTERS_MAY = {"connector.contract", "connector.models", "connector.errors", "pydantic"}
METRICS_MAY = {"connector.metric"}
TOP_LEVEL = {
    "pyproject.toml", "README.md", "Makefile", "LICENSE", "connector", "adapters", "metrics", "tests", "fixtures",
}  # fmt: skip


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def is_standard(module: str) -> bool:
    return module.split(".")[0] in sys.stdlib_module_names


def strays(path: str, modules: list[str]) -> list[str]:
    """What a file of that name imports against the house's rules."""
    room = path.split("/")[0]
    found = [
        f"{m} belongs to {o}"
        for m in modules
        for lib, o in OWNERS.items()
        if m.split(".")[0] == lib and not path.startswith(o)
    ]
    if room == "adapters" and not path.endswith("__init__.py"):
        found += [m for m in modules if not is_standard(m) and m not in ADAPTERS_MAY]
    if room == "metrics":
        found += [m for m in modules if not is_standard(m) and m not in METRICS_MAY]
    if room == "connector" and path != "connector/registry.py":
        found += [m for m in modules if m.split(".")[0] in ("adapters", "metrics")]
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_file_imports_only_what_its_room_may(path: Path) -> None:
    assert strays(name_of(path), list(imports(path))) == []


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("adapters/x.py", "connector.store"),
        ("adapters/x.py", "httpx"),
        ("metrics/x.py", "connector.facts"),
        ("connector/pull.py", "adapters.chatwoot"),
        ("connector/pull.py", "sqlite3"),
        ("connector/digest/compose.py", "apscheduler.triggers.cron"),
    ],
)
def test_a_stray_import_would_be_caught(path: str, module: str) -> None:
    assert strays(path, [module])


def test_the_application_names_no_service() -> None:
    """The sandbox is the one exception: it has to speak somebody's dialect."""
    services = [p.stem for p in (ROOT / "adapters").glob("*.py") if p.stem not in ("__init__", "files")]
    named = re.compile(rf"\b({'|'.join(services)})\b", re.IGNORECASE)
    for path in FILES:
        name = name_of(path)
        if name.startswith("connector/") and not name.startswith(("connector/sandbox/", "connector/cli/demo.py")):
            found = [line for line in path.read_text("utf-8").splitlines() if named.search(line)]
            assert found == [], name


def test_the_tests_name_no_service_outside_its_fixture() -> None:
    """What they know of one is found there. The sandbox's dialect is the exception, and "front" is English."""
    services = {p.stem for p in (ROOT / "adapters").glob("*.py")} - {"__init__", "files", "slack", "chatwoot", "front"}
    named = re.compile(rf"\b({'|'.join(sorted(services))})\b", re.IGNORECASE)
    for path in sorted((ROOT / "tests").rglob("*.py")):
        assert [line for line in path.read_text("utf-8").splitlines() if named.search(line)] == [], path


def test_only_one_module_reads_the_environment_and_one_the_clock() -> None:
    for path in FILES:
        text = path.read_text("utf-8")
        if name_of(path) != "connector/config.py":
            assert "os.environ" not in text, path
            assert "os.getenv" not in text, path
        if name_of(path) != "connector/clock.py":
            assert not re.search(
                r"\b(time\.time|time_ns|monotonic\(\)\s*#|datetime\.now|date\.today|time\.sleep)\b", text
            ), path


def lengths() -> list[tuple[int, str]]:
    """(lines without the docstring, where) of every function."""
    found = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                doc = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(node) else 0
                found.append(
                    ((node.end_lineno or 0) - node.lineno + 1 - doc, f"{name_of(path)}:{node.lineno} {node.name}")
                )
    return sorted(found)


def test_functions_are_short() -> None:
    found = lengths()
    sizes = [size for size, _ in found]
    assert statistics.median(sizes) <= 8
    assert sizes[int(0.9 * len(sizes))] <= 25
    assert [where for size, where in found if size > 40] == []


def test_no_file_is_named_after_nothing() -> None:
    for path in FILES:
        assert not {"utils", "helpers", "common", "manager", "base"} & set(path.with_suffix("").parts), path


def test_the_top_level_holds_what_was_agreed_and_nothing_else() -> None:
    import subprocess

    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    top = {path.split("/")[0] for path in tracked}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL
