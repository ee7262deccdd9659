"""A deskpulse that is connected to a played vendor: its config, its clock, a sync and a look into its store."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from contract_case import StandingClock

from connector.config import Config, from_tables
from connector.models import to_iso
from connector.pull import RunSummary, sync
from connector.store import connect
from vendors import Vendor

Rows = list[tuple[Any, ...]]


class Clock(StandingClock):
    """The world's present; waiting takes no time, and is remembered."""

    def __init__(self, now: int) -> None:
        super().__init__()
        self.at = now

    def now(self) -> int:
        return self.at


def config_of(vendor: Vendor, folder: Path, **changes: Any) -> Config:
    """The vendor as the only service, with ``changes`` of its settings, and writing back turned on."""
    tables = {
        "demo": True,
        "now": to_iso(vendor.now),
        "zone": "Europe/Paris",
        "services": {vendor.name: vendor.settings() | changes},
        "push": {"enabled": True, "days": 60, "rules": {"slow-first-response": {"over": "2h", "note": True}}},
    }
    return from_tables(tables, folder / "deskpulse.toml")


def pulled(vendor: Vendor, config: Config, clock: Clock | None = None) -> RunSummary:
    (summary,) = sync(config, [vendor.name], clock or Clock(vendor.now))
    return summary


def ask(config: Config, sql: str, *values: Any) -> Rows:
    with closing(connect(config.database)) as conn:
        return [tuple(row) for row in conn.execute(sql, values)]
