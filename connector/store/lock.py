"""One writer at a time: a lock file beside the store, held by the operating system, so that a kill lets go of it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from connector.errors import ConfigError, ConnectorError


@contextmanager
def locked(path: Path, taken: str) -> Iterator[None]:
    """Hold the lock file ``path`` (made with its folder where missing).

    ConnectorError beginning with ``taken`` when another process (or thread) holds it; it never waits. ConfigError when
    there can be no file.
    """
    with _opened(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = path.read_text("utf-8").strip()
            raise ConnectorError(
                f"{taken} (process {pid or 'unknown'}): nothing was done; wait for it to end, or stop it"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _opened(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+")
    except OSError as error:
        raise ConfigError(
            f"nothing can be written to {path.parent} ({error.strerror}): choose another place, or let deskpulse write",
            setting="database",
        ) from None


def lock_of(database: Path, work: str = "lock") -> Path:
    """The lock file of a store's one writer, or of other work on it that is done by one at a time."""
    return database.with_name(f"{database.name}.{work}")
