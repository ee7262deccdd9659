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

    ConfigError when there is no store yet, or what is there cannot be one.
    """
    conn = _open(path) if path.exists() else None
    if conn and conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        return conn
    if conn:
        conn.close()  # its making was broken off
    raise ConfigError(f"there is no store at {path} yet: run `deskpulse sync` first", setting="database")


def _open(path: Path) -> Connection:
    conn = None
    try:
        conn = sqlite3.connect(path, isolation_level=None, timeout=30)
        conn.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "temp_store = MEMORY"):
            conn.execute(f"PRAGMA {pragma}")
    except sqlite3.DatabaseError as error:
        if conn:
            conn.close()
        raise unusable(path, error) from None
    return conn


def unusable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{path} cannot be used as the store: {error}", setting="database")


@contextmanager
def transaction(conn: Connection) -> Iterator[None]:
    """One write transaction: BEGIN IMMEDIATE, so that a second writer waits instead of failing half-way."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
