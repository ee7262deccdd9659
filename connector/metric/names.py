"""Names for ids, so that figures are grouped and filtered by what people call things."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from connector.errors import UsageError
from connector.store import Connection

TABLES = {"team": "teams", "agent": "agents", "inbox": "inboxes", "source": "sources"}
NOBODY = "none"
"""What stands for "no team", "no agent"… in a filter."""


class Names:
    """Of teams, agents, inboxes and sources. The same name in two sources is one; twice in a source, the vendor's id is
    added to tell them apart."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._known: dict[str, dict[Any, str]] = {}

    def namer(self, dimension: str) -> Callable[[Any], str | None]:
        """Raw value of a dimension → its name; None stays None."""
        if dimension not in TABLES:
            return lambda raw: raw
        return self._of(dimension).get

    def raw(self, dimension: str, name: str) -> list[Any]:
        """The raw values that a name stands for; none for "none". UsageError when nothing has that name."""
        known = self._of(dimension)
        found = [raw for raw, its in known.items() if its.casefold() == name.casefold()]
        if found or name == NOBODY:
            return found
        names = sorted(set(known.values()))
        near = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(names) or 'none yet'}"
        raise UsageError(f'no {dimension} is called "{name}"; {hint}')

    def _of(self, dimension: str) -> dict[Any, str]:
        if dimension not in self._known:
            self._known[dimension] = self._named(dimension) if dimension in TABLES else self._words(dimension)
        return self._known[dimension]

    def _named(self, dimension: str) -> dict[Any, str]:
        rows = self._conn.execute(f"SELECT * FROM {TABLES[dimension]} ORDER BY id").fetchall()
        if dimension == "source":
            return {row["id"]: row["name"] for row in rows}
        return _distinct([(r["id"], r["source_id"], r["vendor_id"], r["name"] or r["vendor_id"]) for r in rows])

    def _words(self, dimension: str) -> dict[Any, str]:
        sql = f"SELECT DISTINCT {dimension} FROM fact_conversations WHERE {dimension} IS NOT NULL"
        return {row[0]: row[0] for row in self._conn.execute(sql)}


def _distinct(rows: Sequence[tuple[int, int, str, str]]) -> dict[Any, str]:
    times = Counter((source, name) for _, source, _, name in rows)
    return {id_: name if times[source, name] == 1 else f"{name} ({vendor_id})" for id_, source, vendor_id, name in rows}
