"""The settings that figures depend on, as short marks that change when they do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from connector.config import Config
from connector.facts.rules import schedules
from connector.metric import Metric
from connector.store import Connection


@dataclass(frozen=True)
class Fingerprint:
    """``calendars`` of all opening hours, ``others`` of who counts as a bot, promises and the rating's cut.

    ``agent_min_n`` is the least n from which a figure of one agent is shown.
    """

    calendars: str
    others: str
    agent_min_n: int

    def of(self, metric: Metric, clock: str | None, about: Iterable[str]) -> str:
        """The mark kept with a figure on that clock, grouped or filtered by the dimensions ``about``.

        Opening hours do not touch figures in calendar time, nor the least n those that are about no single agent.
        """
        marks = [self.calendars] if clock == "business" or metric.uses_calendar else []
        return "-".join([*marks, self.others, *([str(self.agent_min_n)] if "agent" in about else [])])


def fingerprint(conn: Connection, config: Config) -> Fingerprint:
    others = (config.bots, config.agents, config.csat_positive_from, config.sla)
    return Fingerprint(_mark(schedules(conn, config)), _mark(others), config.agent_min_n)


def _mark(parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]
