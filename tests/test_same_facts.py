"""One world, five ways in: the same facts wherever the platforms can express them.

``DIFFER`` is what cannot agree, with its reason; README's table is printed from it. Each entry must really differ, so
that the table stays true, and whatever has no entry must agree in every conversation.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from vendors import Differences
from vendors.deployment import Clock
from vendors.found import VENDORS

from connector.config import Config, from_tables
from connector.models import to_iso
from connector.pull import raise_for, sync
from connector.sandbox import Sandbox, World
from connector.sandbox.generate import generate
from connector.store import connect

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
KEYS = {"conversation_id", "source_id", "contact_id"}
"""Numbers of the store's own; customers are compared by who shares one."""
NAMED = {"agent_id": "agents", "solver_id": "agents", "first_responder_id": "agents", "inbox_id": "inboxes"}
NAMED |= dict.fromkeys(("team_id", "first_response_team_id", "solver_team_id"), "teams")
WITHIN_S = 1.001
"""Most vendors' times are whole seconds."""

Row = dict[str, Any]
Rows = dict[str, Row]

# (column pattern, README's words for it, why), by way in.
# What cannot agree, by way in.
DIFFER: dict[str, Differences] = {
    "chatwoot": (("solver_id", "who solved", "what a bot closes is credited to nobody"),),
    **{name: kind.differs for name, kind in VENDORS.items()},
}


@contextmanager
def by_files(world: World, folder: Path) -> Iterator[tuple[Row, Callable[[str], str]]]:
    path = folder / "world.jsonl"
    path.write_text("\n".join(world.lines()) + "\n", "utf-8")
    yield {"adapter": "files", "path": str(path)}, lambda id_: id_


@contextmanager
def by_chatwoot(world: World, folder: Path) -> Iterator[tuple[Row, Callable[[str], str]]]:
    with Sandbox(world) as sandbox:
        originals = sandbox.chatwoot.tables.ids["conversation"].originals
        settings = {"url": sandbox.url, "account": 1, "token": sandbox.token, "requests_per_second": 10_000}
        yield settings, lambda id_: str(originals[int(id_)])


def by_vendor(kind: Any) -> Callable[[World, Path], AbstractContextManager[tuple[Row, Callable[[str], str]]]]:
    @contextmanager
    def way(world: World, folder: Path) -> Iterator[tuple[Row, Callable[[str], str]]]:
        with kind(world) as vendor:
            yield vendor.settings(), lambda id_: vendor.originals[id_]

    return way


WAYS = {"files": by_files, "chatwoot": by_chatwoot, **{name: by_vendor(kind) for name, kind in VENDORS.items()}}


def facts_by(way: str, world: World, folder: Path) -> Rows:
    """fact_conversations by the world's own conversation ids, people by name."""
    with WAYS[way](world, folder) as (settings, original):
        config = config_of(way, settings, world, folder)
        raise_for(sync(config, [way], Clock(world.now)))
        with closing(connect(config.database)) as conn:
            names = {
                table: dict(conn.execute(f"SELECT id, name FROM {table}").fetchall()) for table in set(NAMED.values())
            }
            ids = dict(conn.execute("SELECT id, vendor_id FROM conversations").fetchall())
            rows = [dict(row) for row in conn.execute("SELECT * FROM fact_conversations")]
        return {original(ids[row["conversation_id"]]): _named(row, names) for row in rows}


def config_of(way: str, settings: Row, world: World, folder: Path) -> Config:
    """Opening hours are written into the config too, for those that cannot tell them."""
    hours = {one["name"]: one["schedule"] for one in world.inboxes if one.get("schedule")}
    tables = {
        "demo": True, "now": to_iso(world.now), "zone": "Europe/Paris", "database": f"{way}.db",
        "services": {way: settings}, "calendar": {"inboxes": hours},
    }  # fmt: skip
    return from_tables(json.loads(json.dumps(tables)), folder / "deskpulse.toml")


def _named(row: Row, names: dict[str, dict[int, str]]) -> Row:
    return {
        column: names[NAMED[column]].get(value) if column in NAMED else value
        for column, value in row.items()
        if column not in KEYS
    }


def same(one: Any, other: Any) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= (1001 if max(one, other) > 1e11 else WITHIN_S)
    return bool(one == other)


@pytest.fixture(scope="module")
def world() -> World:
    return generate(1)


@pytest.fixture(scope="module")
def through_files(world: World, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return facts_by("files", world, tmp_path_factory.mktemp("files"))


def differing(expected: Rows, found: Rows) -> Counter[str]:
    """In how many conversations that both have each column differs."""
    return Counter(
        column for id_ in expected.keys() & found.keys() for column, value in expected[id_].items()
        if not same(value, found[id_][column])
    )  # fmt: skip


@pytest.mark.parametrize("way", DIFFER)
def test_the_same_world_gives_the_same_facts(way: str, world: World, through_files: Rows, tmp_path: Path) -> None:
    found = facts_by(way, world, tmp_path)
    gone = {id_ for id_, row in through_files.items() if row["excluded"] in ("deleted", "merged")}
    assert through_files.keys() - gone <= found.keys() <= through_files.keys()
    counted = differing(through_files, found)
    known = {pattern: [c for c in counted if re.fullmatch(pattern, c)] for pattern, _, _ in DIFFER[way]}
    unexplained = {c: n for c, n in counted.items() if not any(c in columns for columns in known.values())}
    assert unexplained == {}
    assert [pattern for pattern, columns in known.items() if not columns] == [], "these agree: take them off the table"


def table() -> str:
    """README's table of what cannot agree."""
    lines = ["| through | what cannot agree | why |", "|---|---|---|"]
    lines += [f"| `{way}` | {what} | {why} |" for way, rows in DIFFER.items() for _, what, why in rows]
    return "\n".join(lines)


def test_readme_says_where_they_cannot_agree() -> None:
    found = re.search(
        r"<!-- same-facts -->\n(.*?)\n<!-- /same-facts -->", (ROOT / "README.md").read_text("utf-8"), re.S
    )
    assert found
    assert found[1] == table()
