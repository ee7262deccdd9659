"""Golden timelines: ``fixtures/timelines/*.json``, worked examples of the definitions, one per file.

``{"name", "because", "zone", "schedule"?, "settings"?, "first_synced_at"?, "conversations", "expect", "as_of"?,
"metrics"?}``. ``conversations`` are records of the neutral format, each with an optional ``seen_at`` (when it reached
us); ``schedule`` is the general calendar in the neutral form; ``settings`` are further tables of the config.

``expect`` says per conversation what its facts are (None: it has none): a column of fact_conversations as it is, or,
without its ``_s``, in minutes; agents and teams by name; and the lists that ``test_facts`` spells out. ``as_of`` has
the same per instant. ``metrics`` are aggregates: key, period, statistic and ``value`` (or ``minutes``) with ``n``;
where given, ``zone``, ``clock``, ``by``, ``now``, ``as_of`` and ``exclusions``; None with ``by`` may be an absent row.
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from adapters.files import Files, FilesSettings
from connector.config import Config, from_tables
from connector.models import from_iso
from connector.store.write import Store

FOLDER = Path(__file__).parent.parent / "fixtures" / "timelines"
FILES = sorted(FOLDER.glob("*.json"))
LONG_AFTER = "2030-01-01T00:00Z"


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def config_of(golden: dict[str, Any], folder: Path) -> Config:
    """The golden's zone, calendar and settings as a config whose store is in ``folder``."""
    settings = golden.get("settings", {})
    calendar = {**golden.get("schedule", {}), **settings.get("calendar", {})}
    tables = {"zone": golden["zone"], **settings, **({"calendar": calendar} if calendar else {})}
    return from_tables(tables, folder / "deskpulse.toml")


def store_of(golden: dict[str, Any], config: Config) -> Store:
    """A store that read the golden's records, in the order in which they were seen. Close it."""
    store = Store.open(config.database, demo=False)
    source = store.source("golden", "files")
    seen = sorted(golden["conversations"], key=lambda record: record.get("seen_at", LONG_AFTER))
    for i, (at, records) in enumerate(groupby(seen, key=lambda record: record.get("seen_at", LONG_AFTER))):
        lines = config.database.parent / f"seen-{i}.jsonl"
        lines.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
        pages = list(Files(FilesSettings(path=lines), None).pull("records", None, lambda *_: False))
        assert not [reject for page in pages for reject in page.rejects]
        store.save(source, "records", pages, seen_at=from_iso(at), history=Files.history)
    if "first_synced_at" in golden:
        first = from_iso(golden["first_synced_at"])
        store.conn.execute("UPDATE sources SET first_synced_at = ? WHERE id = ?", (first, source))
    return store
