from __future__ import annotations

from typing import Any

import golden
import pytest

from connector.facts import as_of, refresh
from connector.models import from_iso

EXACT = 1e-9


@pytest.fixture
def opened(tmp_path):
    """A golden's connection and config; closed in the end."""
    stores = []

    def _open(story: dict[str, Any]):
        config = golden.config_of(story, tmp_path)
        stores.append(golden.store_of(story, config))
        return stores[-1].conn, config

    yield _open
    for store in stores:
        store.close()


@pytest.mark.parametrize("path", golden.FILES, ids=lambda path: path.stem)
def test_golden_timelines(path, opened):
    story = golden.read(path)
    conn, config = opened(story)
    refresh(conn, config)
    for vendor_id, expected in story["expect"].items():
        check(conn, vendor_id, expected, story["because"])
    for instant, conversations in story.get("as_of", {}).items():
        as_of(conn, config, from_iso(instant))
        for vendor_id, expected in conversations.items():
            check(conn, vendor_id, expected, f"as of {instant}: {story['because']}")


def check(conn, vendor_id: str, expected: dict[str, Any] | None, because: str) -> None:
    found = facts_of(conn, vendor_id)
    if expected is None:
        assert found is None, because
        return
    assert found is not None, f"{vendor_id} has no facts"
    for name, value in expected.items():
        assert view(conn, found, name, value) == stated(name, value), f"{vendor_id}.{name}: {because}"


def facts_of(conn, vendor_id: str) -> dict[str, Any] | None:
    sql = "SELECT f.* FROM fact_conversations f JOIN conversations c ON c.id = f.conversation_id WHERE c.vendor_id = ?"
    row = conn.execute(sql, (vendor_id,)).fetchone()
    return None if row is None else dict(row)


def stated(name: str, value: Any) -> Any:
    """What a golden says, in the terms of the facts."""
    if name == "waiting_since":
        return value and from_iso(value)
    if name in ("stock", "sla"):
        return [tuple(from_iso(v) if isinstance(v, str) and v[:2] == "20" else v for v in row) for row in value]
    if name == "rating":
        return value and instants(value)
    if name == "surveys":
        return [instants(one) for one in value]
    return approximately(value)


def instants(row: dict[str, Any]) -> dict[str, Any]:
    return {k: from_iso(v) if k.endswith("_at") and v else v for k, v in row.items()}


def approximately(value: Any) -> Any:
    if isinstance(value, list):
        return [approximately(one) for one in value]
    if isinstance(value, dict):
        return {key: approximately(one) for key, one in value.items()}
    return value if value is None or isinstance(value, str) else pytest.approx(value, abs=EXACT)


def view(conn, found: dict[str, Any], name: str, expected: Any) -> Any:
    """The fact that a golden names: a list of rows, an agent or team by name, minutes, or the column as it is."""
    id_ = found["conversation_id"]
    if name in LISTS:
        return LISTS[name](conn, id_)
    if name == "rating":
        row = conn.execute("SELECT * FROM fact_ratings WHERE conversation_id = ?", (id_,)).fetchone()
        return row and {key: row[key] for key in expected or dict(row)}
    if name == "surveys":
        rows = conn.execute("SELECT * FROM fact_surveys WHERE conversation_id = ? ORDER BY seq", (id_,)).fetchall()
        assert len(rows) == len(expected)
        return [{key: row[key] for key in one} for row, one in zip(rows, expected, strict=True)]
    if f"{name}_s" in found:
        return in_minutes(found[f"{name}_s"])
    if f"{name}_id" in found:
        table = "teams" if "team" in name else "agents"
        return conn.execute(f"SELECT name FROM {table} WHERE id = ?", (found[f"{name}_id"],)).fetchone()[0]
    return found[name]


def in_minutes(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 60


def column(sql: str):
    return lambda conn, id_: [in_minutes(row[0]) for row in conn.execute(sql, (id_,))]


def rows(sql: str):
    return lambda conn, id_: [tuple(row) for row in conn.execute(sql, (id_,))]


ANSWERED = "FROM fact_waits WHERE conversation_id = ? AND answered_at IS NOT NULL ORDER BY seq"
LISTS = {
    "responses": column(f"SELECT response_s {ANSWERED}"),
    "responses_business": column(f"SELECT response_business_s {ANSWERED}"),
    "from_last": column(f"SELECT from_last_s {ANSWERED}"),
    "episodes": column("SELECT episode_s FROM fact_episodes WHERE conversation_id = ? ORDER BY seq"),
    "waits": lambda conn, id_: conn.execute(
        "SELECT count(*) FROM fact_waits WHERE conversation_id = ?", (id_,)
    ).fetchone()[0],
    "team_responses": lambda conn, id_: {
        team: in_minutes(seconds)
        for team, seconds in conn.execute(
            "SELECT t.name, w.team_response_s FROM fact_waits w JOIN teams t ON t.id = w.team_id "
            "WHERE w.conversation_id = ?", (id_,),
        )
    },
    "stock": rows(
        "SELECT s.from_at, s.to_at, s.status, t.name, a.name FROM fact_stock s LEFT JOIN teams t ON t.id = s.team_id "
        "LEFT JOIN agents a ON a.id = s.agent_id WHERE s.conversation_id = ? ORDER BY s.seq"
    ),
    "sla": rows(
        "SELECT s.metric, s.clock, s.due_at, s.completed_at, a.name FROM fact_sla s "
        "LEFT JOIN agents a ON a.id = s.agent_id WHERE s.conversation_id = ? ORDER BY s.seq"
    ),
}  # fmt: skip
