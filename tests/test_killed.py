"""Killed with SIGKILL at every statement in turn, again and again: the store ends equal to an undisturbed run's."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_service import T0, Deployment, FakeRereads, contents, conversation, deploy, patched, rating, talk

from connector import pull
from connector.models import Event, Page, Reject
from connector.store import connect
from connector.store import write as writing


def service() -> FakeRereads:
    """New and changed records, a rejected one, an offer and its answers, a rating ahead of its conversation."""
    second = Page([conversation(2, status="open"), *talk(2)[1:]], rejects=(Reject("message", "2.9", "at: wrong"),))
    script: dict[str, list[Page | Exception]] = {
        "conversations": [
            Page(talk(1)),
            second,
            Page([conversation(1, status="open", changed_at=T0 + 10**8), Event("e", "1", T0 + 10**8, "handoff")]),
        ],
        "ratings": [Page([rating(1)]), Page([rating(1, (T0, 5), (T0 + 9, 1)), rating(5, (T0, 4))])],
    }
    return FakeRereads(script, {"2": second, "5": Page(talk(5))})


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Deployment]:
    monkeypatch.setattr(pull, "PAGES", 2)

    def make(name: str) -> Deployment:
        (tmp_path / name).mkdir()
        return deploy(tmp_path / name, patched(monkeypatch), fake=service())

    return make


def sync_killed_at(made: Deployment, statement: int) -> bool:
    """Sync in a process of its own that kills itself when SQLite begins its n-th statement; True when it came through.

    The trace sees every row of an executemany, every trigger, BEGIN and COMMIT.
    """
    child = os.fork()
    if child == 0:
        _be_killed(made, statement)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the sync failed by itself"
    return not os.WIFSIGNALED(status)


def _be_killed(made: Deployment, statement: int) -> None:
    left = [statement]

    def count(_: str) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    open_ = writing._open

    def traced(path: Path) -> sqlite3.Connection:
        conn = open_(path)
        conn.set_trace_callback(count)
        return conn

    writing._open = traced
    code = 1
    try:
        code = int(pull.sync(made.config, [], made.clock)[0].outcome != "ok")
    finally:
        os._exit(code)


def ended(made: Deployment) -> dict[str, list[tuple[Any, ...]]]:
    conn = connect(made.config.database)
    try:
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        return contents(conn)
    finally:
        conn.close()


def whole(made: Deployment) -> None:
    """What is stored at any moment: as many pages as the cursor says, with all of their records."""
    if not made.config.database.exists():
        return
    conn = sqlite3.connect(made.config.database)
    try:
        tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master")}
        if "cursors" not in tables:
            return
        cursor = conn.execute("SELECT cursor FROM cursors WHERE stream = 'conversations'").fetchone()
        messages = conn.execute("SELECT count(*) FROM messages WHERE vendor_id GLOB '[12].[01]'").fetchone()[0]
        handoffs = conn.execute("SELECT count(*) FROM events WHERE kind = 'handoff'").fetchone()[0]
        expected = {None: (0, 0), '{"done": 2}': (4, 0), '{"done": 3}': (4, 1)}
        assert (messages, handoffs) == expected[cursor and cursor[0]]
    finally:
        conn.close()


def test_killed_at_each_statement_in_turn_the_store_ends_as_if_undisturbed(
    deployment: Callable[[str], Deployment],
) -> None:
    calm = deployment("calm")
    assert sync_killed_at(calm, 0)
    expected = ended(calm)
    made = deployment("again and again")
    kills = 0
    while not sync_killed_at(made, kills + 1):
        kills += 1
        whole(made)
    assert kills > 40
    assert ended(made) == expected


@pytest.mark.slow
def test_killed_once_anywhere_the_next_run_completes_the_store(deployment: Callable[[str], Deployment]) -> None:
    calm = deployment("calm")
    sync_killed_at(calm, 0)
    expected, at = ended(calm), 1
    made = deployment(f"at {at}")
    while not sync_killed_at(made, at):
        whole(made)
        assert sync_killed_at(made, 0)
        assert ended(made) == expected, f"killed at statement {at}"
        at += 1
        made = deployment(f"at {at}")
    assert at > 200
