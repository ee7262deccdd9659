"""The settings that figures depend on, as short marks that change when they do."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from connector.config import Config
from connector.store import Connection


@dataclass(frozen=True)
class Fingerprint:
    """``calendars`` of all opening hours, ``others`` of who counts as a bot, promises and the rating's cut."""

    calendars: str
    others: str

    def of(self, uses_calendar: bool) -> str:
        """The mark kept with a figure: opening hours do not touch figures in calendar time."""
        return f"{self.calendars}-{self.others}" if uses_calendar else self.others


def fingerprint(conn: Connection, config: Config) -> Fingerprint:
    stored = [tuple(row) for row in conn.execute("SELECT id, schedule FROM inboxes ORDER BY id")]
    own = sorted(config.inbox_calendars.items())
    others = (config.bots, config.agents, config.csat_positive_from, config.sla)
    return Fingerprint(_mark((config.calendar, own, stored)), _mark(others))


def _mark(parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]
