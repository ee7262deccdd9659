"""The store: one SQLite file. What every command needs to open it; writing records is ``connector.store.write``.

This module imports only the standard library, so that commands which merely read start fast.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connector.errors import ConfigError

Connection = sqlite3.Connection
Row = sqlite3.Row
OperationalError = sqlite3.OperationalError


def connect(path: Path) -> Connection:
    """Open an existing store. Rows are ``sqlite3.Row``; transactions are explicit (see ``transaction``).

    ConfigError when there is no store yet.
    """
    if not path.exists():
        raise ConfigError(f"there is no store at {path} yet: run `deskpulse sync` first", setting="database")
    return _open(path)


def _open(path: Path) -> Connection:
    conn = sqlite3.connect(path, isolation_level=None, timeout=30)
    conn.row_factory = sqlite3.Row
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "temp_store = MEMORY"):
        conn.execute(f"PRAGMA {pragma}")
    return conn


@contextmanager
def transaction(conn: Connection) -> Iterator[None]:
    """One write transaction: BEGIN IMMEDIATE, so that a second writer waits instead of failing half-way."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
    conn.execute("COMMIT")
