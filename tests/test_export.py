"""The export: one row per conversation, every figure of it in seconds, nothing a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import golden
import pytest
from by_hand import Desk
from test_kpi_cli import CONFIG, run

from connector import facts
from connector.cli.export import COLUMNS, FORMULA_STARTS, rows, write_csv, write_jsonl
from connector.config import load
from connector.models import from_iso
from connector.period import Period

AT_LENGTH = {
    "id": "c1", "channel": "email", "team": "=cmd()", "agent": "Ann", "link": "https://desk.example/c1",
    "created_at": "2026-11-17T09:00Z",
    "messages": [
        {"id": "1", "at": "2026-11-17T09:00Z", "author": "customer", "author_id": "ada"},
        {"id": "2", "at": "2026-11-17T10:04Z", "author": "agent", "author_id": "Ann"},
    ],
    "events": [
        {"at": "2026-11-17T10:05Z", "kind": "status", "value": "done", "actor": "Ann"},
        {"at": "2026-11-17T11:00Z", "kind": "status", "value": "open"},
        {"at": "2026-11-17T11:05Z", "kind": "status", "value": "done", "actor": "Ann"},
    ],
    "ratings": [{"id": "r", "offered_at": "2026-11-17T11:00Z", "at": "2026-11-17T12:00Z", "score": 4}],
}  # fmt: skip
REMOVED = {
    "id": "c2", "channel": "sms", "created_at": "2026-11-18T09:00Z",
    "messages": [{"id": "3", "at": "2026-11-18T09:00Z", "author": "customer", "author_id": "bob"}],
    "events": [{"at": "2026-11-18T10:00Z", "kind": "spam"}],
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "deskpulse.toml"
    path.write_text(CONFIG, "utf-8")
    config = load(path)
    with golden.store_of({"conversations": [AT_LENGTH, REMOVED]}, config) as store:
        facts.refresh(store.conn, config)
    return path


def exported(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> list[dict[str, Any]]:
    code, out, err = run(capsys, home, "export", "conversations", *words)
    assert code == 0, err
    return [json.loads(line) for line in out.splitlines()]


def test_a_row_holds_every_figure_of_its_conversation_in_seconds(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    row = exported(capsys, home)[0]
    assert tuple(row) == COLUMNS
    expected = {
        "id": "c1", "source": "golden", "created_at": "2026-11-17T09:00:00.000Z", "channel": "email", "team": "=cmd()",
        "agent": "Ann", "first_response_s": 3840, "first_response_business_s": 3840, "first_resolution_s": 3900,
        "full_resolution_s": 7500, "full_resolution_business_s": 7500, "open_s": 4200, "reopens": 1,
        "agent_replies": 1, "agent_turns": 1, "one_touch": True, "excluded": None, "status": "done", "rating": 4,
        "verdict": "positive", "rated_at": "2026-11-17T12:00:00.000Z", "link": "https://desk.example/c1",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_a_removed_conversation_is_there_with_its_reason(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    row = exported(capsys, home)[1]
    assert (row["id"], row["excluded"], row["first_response_s"], row["one_touch"]) == ("c2", "spam", None, None)


def test_the_columns_that_were_promised_are_there() -> None:
    promised = {
        "first_response_s", "first_response_business_s", "first_resolution_s", "first_resolution_business_s",
        "full_resolution_s", "full_resolution_business_s", "reopens", "agent_replies", "agent_turns", "one_touch",
        "excluded",
    }  # fmt: skip
    assert promised <= set(COLUMNS)


def test_the_csv_says_what_the_json_says(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    _, text, _ = run(capsys, home, "export", "conversations", "--format", "csv")
    from_csv = list(csv.DictReader(io.StringIO(text)))
    for line, row in zip(from_csv, exported(capsys, home), strict=True):
        assert list(line) == list(COLUMNS)
        for name, value in row.items():
            said = "" if value is None else str(value).lower() if isinstance(value, bool) else value
            assert line[name].lstrip("'") == str(said), name


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_no_cell_of_the_csv_is_a_formula(start: str) -> None:
    written: list[str] = []
    write_csv(iter([dict.fromkeys(COLUMNS, f"{start}1+1")]), written.append)
    _, row = csv.reader(io.StringIO("".join(written), newline=""))
    assert set(row) == {f"'{start}1+1"}


def test_a_period_keeps_what_was_created_in_it(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert [row["id"] for row in exported(capsys, home, "--period", "2026-11-18")] == ["c2"]
    assert [row["id"] for row in exported(capsys, home, "--period", "all")] == ["c1", "c2"]


def test_as_of_exports_what_was_known_then(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    then = exported(capsys, home, "--as-of", "2026-11-17T10:30:00Z")
    assert [(row["id"], row["full_resolution_s"], row["reopens"]) for row in then] == [("c1", 3900, 0)]


def test_rows_are_written_one_by_one(tmp_path: Path) -> None:
    """Nothing is gathered first: each row is written before the next one is read."""
    desk = Desk(tmp_path)
    for _ in range(3):
        desk.conversation("2026-11-17T09:00:00Z")
    order: list[str] = []
    whole = Period(from_iso("2026-01-01T00:00:00Z"), from_iso("2027-01-01T00:00:00Z"), "")

    def read() -> Any:
        for row in rows(desk.conn, whole):
            order.append("read")
            yield row

    write_jsonl(read(), lambda _: order.append("write"))
    desk.store.close()
    assert order == ["read", "write"] * 3
