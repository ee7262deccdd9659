"""What facts depend on besides the timeline: calendars, who is a bot, promises, the cut of the satisfaction score."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from connector.config import SLA_METRICS, Config, SlaTarget
from connector.facts.calendar import Calendar
from connector.models import CHANNEL_KINDS, MESSAGING_CHANNELS, SOCIAL_CHANNELS, Schedule
from connector.store import Connection

_FIRST_RESPONSE_S = dict.fromkeys(MESSAGING_CHANNELS, 300) | {"email": 4 * 3600} | dict.fromkeys(SOCIAL_CHANNELS, 3600)
DEFAULT_SLA = tuple(
    SlaTarget("first_response_time", s, "business", channel) for channel, s in _FIRST_RESPONSE_S.items()
)
"""In force where the config promises nothing: chat and messaging 5 min, e-mail 4 h, social 1 h."""


@dataclass(frozen=True)
class Rules:
    """``listed`` holds the agents that the config names a bot or a human, ``seats`` those of a non-human kind."""

    calendars: Mapping[int | None, Calendar] = field(default_factory=dict)
    listed: Mapping[int, str] = field(default_factory=dict)
    seats: Mapping[int, str] = field(default_factory=dict)
    sla: tuple[SlaTarget, ...] = DEFAULT_SLA
    csat_positive_from: float = 4

    @cached_property
    def promises(self) -> dict[str, list[tuple[str, list[SlaTarget]]]]:
        """By channel: each promised metric with the targets that fit, best first (the channel's own, the latest)."""
        return {
            channel: [(metric, found) for metric in SLA_METRICS if (found := self._fitting(metric, channel))]
            for channel in CHANNEL_KINDS
        }

    def _fitting(self, metric: str, channel: str) -> list[SlaTarget]:
        found = [t for t in self.sla if t.metric == metric and t.channel in (None, channel)]
        return sorted(found, key=lambda t: (t.channel is not None, t.since or 0), reverse=True)

    def calendar(self, inbox_id: int | None) -> Calendar | None:
        """The inbox's own opening hours, else the general ones (under None), else None."""
        return self.calendars.get(inbox_id) or self.calendars.get(None)

    def is_bot(self, agent_id: int | None) -> bool:
        """Is this seat a bot's, by the config's lists, else by its kind?"""
        return agent_id is not None and self.listed.get(agent_id, self.seats.get(agent_id)) == "bot"

    def author(self, author: str, agent_id: int) -> str:
        """Who speaks: the config's lists decide first, then the seat's kind, then the role the helpdesk gives."""
        if agent_id in self.listed:
            return self.listed[agent_id]
        return self.seats.get(agent_id, author) if author in ("human", "unknown") else author


def rules_of(conn: Connection, config: Config) -> Rules:
    """The rules that the config and the store's inboxes and agents make."""
    agents = conn.execute("SELECT id, vendor_id, name, kind FROM agents ORDER BY id").fetchall()
    named = dict.fromkeys(config.bots, "bot") | dict.fromkeys(config.agents, "human")
    return Rules(
        calendars=_calendars(schedules(conn, config)),
        listed={id_: named.get(vendor_id, named.get(name, "")) for id_, vendor_id, name, _ in agents
                if vendor_id in named or name in named},
        seats={id_: kind for id_, _, _, kind in agents if kind != "human"},
        sla=config.sla or DEFAULT_SLA,
        csat_positive_from=config.csat_positive_from,
    )  # fmt: skip


def schedules(conn: Connection, config: Config) -> dict[int | None, Schedule]:
    """Opening hours by inbox: the vendor's, else the config's for the inbox's name; the general ones are under None."""
    found: dict[int | None, Schedule] = {} if config.calendar is None else {None: config.calendar}
    for id_, name, stored in conn.execute("SELECT id, name, schedule FROM inboxes ORDER BY id"):
        own = _schedule(json.loads(stored)) if stored else config.inbox_calendars.get(name)
        if own:
            found[id_] = own
    return found


def _schedule(stored: dict[str, Any]) -> Schedule:
    hours = tuple(tuple((opens, closes) for opens, closes in day) for day in stored["hours"])
    return Schedule(stored["zone"], hours, tuple(stored["holidays"]))


def _calendars(found: Mapping[int | None, Schedule]) -> dict[int | None, Calendar]:
    shared = {schedule: Calendar(schedule) for schedule in set(found.values())}
    return {inbox: shared[schedule] for inbox, schedule in found.items()}
