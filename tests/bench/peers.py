"""What the pull is measured against: the raw limit, and dlt's REST source into SQLite, on the same bytes."""

from __future__ import annotations

import json
import os
import sqlite3
import urllib.request
from collections.abc import Iterator
from pathlib import Path


def bodies(url: str) -> list[bytes]:
    """The server's answers, fetched beforehand: the raw limit does not pay for HTTP."""
    found, page = [], 1
    while True:
        with urllib.request.urlopen(f"{url}/conversations?page={page}") as answer:
            body = answer.read()
        if len(body) < 20:
            return found
        found.append(body)
        page += 1


def raw(pages: list[bytes], path: Path) -> None:
    """json.loads and executemany into bare tables: nothing is checked, mapped or kept twice."""
    conn = sqlite3.connect(path, isolation_level=None)
    conn.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
        "CREATE TABLE c (id TEXT PRIMARY KEY, channel, team, created_at, status);"
        "CREATE TABLE m (id TEXT PRIMARY KEY, c, at, author, author_id, length);"
        "CREATE TABLE e (id TEXT PRIMARY KEY, c, at, kind, value);"
        "CREATE TABLE r (id TEXT PRIMARY KEY, c, at, score);"
    )
    for body in pages:
        rows = json.loads(body)["data"]
        conn.execute("BEGIN")
        conn.executemany("INSERT INTO c VALUES (:id, :channel, :team, :created_at, :status)", rows)
        conn.executemany("INSERT INTO m VALUES (?, ?, ?, ?, ?, ?)", _messages(rows))
        conn.executemany("INSERT INTO e VALUES (?, ?, ?, ?, ?)", _events(rows))
        conn.executemany("INSERT INTO r VALUES (?, ?, ?, ?)", _ratings(rows))
        conn.execute("COMMIT")
    conn.close()


def _messages(rows: list[dict]) -> Iterator[tuple]:
    return (
        (m["id"], c["id"], m["at"], m["author"], m["author_id"], len(m["text"])) for c in rows for m in c["messages"]
    )


def _events(rows: list[dict]) -> Iterator[tuple]:
    return (
        (f"{c['id']}{e['kind']}{e['at']}", c["id"], e["at"], e["kind"], e["value"]) for c in rows for e in c["events"]
    )


def _ratings(rows: list[dict]) -> Iterator[tuple]:
    return ((r["id"], c["id"], r["at"], r["score"]) for c in rows for r in c["ratings"])


def dlt_pull(url: str, folder: Path) -> int:
    """dlt's declarative REST source into SQLite, merged by id as ours is. Returns how many rows arrived."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt
    from dlt.sources.rest_api import rest_api_source

    paginator = {"type": "page_number", "base_page": 1, "total_path": None, "stop_after_empty_page": True}
    endpoint = {"path": "conversations", "data_selector": "data", "paginator": paginator}
    resource = {"name": "conversations", "primary_key": "id", "write_disposition": "merge", "endpoint": endpoint}
    source = rest_api_source({"client": {"base_url": url}, "resources": [resource]})
    database = folder / "dlt.db"
    pipeline = dlt.pipeline(
        "bench",
        destination=dlt.destinations.sqlalchemy(f"sqlite:///{database}"),
        pipelines_dir=str(folder / "pipelines"),
        dataset_name="main",
    )
    pipeline.run(source)
    return _rows_of(folder)


def _rows_of(folder: Path) -> int:
    """Rows in the conversations' tables of whatever files dlt wrote."""
    total = 0
    for path in folder.glob("*.db"):
        conn = sqlite3.connect(path)
        tables = [
            t
            for (t,) in conn.execute(
                "SELECT name FROM sqlite_master WHERE name LIKE 'conversations%' AND type = 'table'"
            )
        ]
        total += sum(conn.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables)
        conn.close()
    return total
