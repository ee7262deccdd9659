"""What a sandbox holds: a desk's history in records of the neutral format, and what it takes for the present."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from connector.models import Instant, from_iso

Neutral = dict[str, Any]
"""One record of the neutral format (JSON Lines), its times still ISO text."""

MORNING = time(8)


class World:
    """Neutral records, sorted into their types. Conversations are complete: ``created_at``, ``status`` and ``contact``
    are filled in where the format lets them be left out, and are in order of creation. ``remarks`` are sentences about
    what was made of the source."""

    def __init__(self, zone: str, records: dict[str, list[Neutral]], remarks: tuple[str, ...] = ()) -> None:
        self.zone, self.remarks = zone, remarks
        self.inboxes = records.get("inbox", [])
        self.teams = records.get("team", [])
        self.agents = records.get("agent", [])
        self.contacts = records.get("contact", [])
        self.conversations = sorted(records.get("conversation", []), key=lambda c: from_iso(c["created_at"]))

    @cached_property
    def now(self) -> Instant:
        """08:00 local on the morning after the last thing that happened."""
        last = max(instant for conversation in self.conversations for instant in _instants(conversation))
        zone = ZoneInfo(self.zone)
        day = datetime.fromtimestamp(last / 1000, zone).date() + timedelta(days=1)
        return round(datetime.combine(day, MORNING, zone).timestamp() * 1000)

    def lines(self) -> Iterator[str]:
        """The same world as a file of the neutral format, line by line."""
        for records in (self.inboxes, self.teams, self.agents, self.contacts, self.conversations):
            for record in records:
                yield json.dumps(record, ensure_ascii=False)


def _instants(conversation: Neutral) -> Iterator[Instant]:
    yield from_iso(conversation["created_at"])
    for item in (*conversation.get("messages", ()), *conversation.get("events", ())):
        yield from_iso(item["at"])
    for rating in conversation.get("ratings", ()):
        yield from (from_iso(at) for at, _ in answers(rating))
        if rating.get("offered_at"):
            yield from_iso(rating["offered_at"])


def answers(rating: Neutral) -> list[tuple[str, float]]:
    """(time, score) of every answer to a survey, in the file's order; good and bad are 1 and 0."""
    given = rating.get("answers") or ([[rating["at"], rating["score"]]] if rating.get("score") is not None else [])
    return [(at, {"good": 1.0, "bad": 0.0}.get(score, score)) for at, score in given]
