"""One conversation being told: messages, events and ratings on one clock, as a record of the neutral format."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from random import Random
from typing import Any

from connector.models import Schedule
from connector.sandbox.hours import after
from connector.sandbox.world import Neutral


class Story:
    """``at`` is the story's clock in Unix seconds: what is said is said then. After ``until`` nothing is kept."""

    def __init__(self, rng: Random, number: int, at: int, until: int, hours: Schedule) -> None:
        self.rng, self.id, self.at, self.until, self.hours = rng, str(number), at, until, hours
        self.created, self.status, self.team, self.agent = at, "open", "", ""
        self.messages: list[Neutral] = []
        self.events: list[Neutral] = []
        self.ratings: list[Neutral] = []

    @property
    def over(self) -> bool:
        return self.at >= self.until

    def wait(self, median_s: float, spread: float = 0.7) -> None:
        """Time goes by, around a median, at all hours."""
        self.at += max(1, round(self._draw(median_s, spread)))

    def work(self, median_s: float, spread: float = 0.8) -> None:
        """Time goes by, around a median, while the desk is open."""
        self.at = after(self.hours, self.at + 1, max(1, round(self._draw(median_s, spread))))

    def _draw(self, median: float, spread: float) -> float:
        return self.rng.lognormvariate(math.log(median), spread)

    def say(self, author: str, author_id: str, text: str, **more: Any) -> None:
        if not self.over:
            message = {"id": f"{self.id}-{len(self.messages) + 1}", "at": iso(self.at), "author": author}
            self.messages.append({**message, "author_id": author_id, "text": text, **more})

    def happen(self, kind: str, value: str | None = None, was: str | None = None, actor: str | None = None) -> None:
        if not self.over:
            event = {"at": iso(self.at), "kind": kind, "value": value, "was": was, "actor": actor}
            self.events.append({key: what for key, what in event.items() if what is not None})

    def become(self, status: str, actor: str | None = None) -> None:
        """A change of status; being what it is already changes nothing."""
        if not self.over and status != self.status:
            self.happen("status", status, self.status, actor)
            self.status = status

    def assign(self, agent: str, actor: str | None = None) -> None:
        if not self.over and agent != self.agent:
            self.happen("assigned", agent, self.agent or None, actor)
            self.agent = agent

    def route(self, team: str, actor: str | None = None) -> None:
        if not self.over and team != self.team:
            self.happen("team", team, self.team or None, actor)
            self.team = team

    def survey(self, scores: list[tuple[int, int]]) -> None:
        """Offered now; ``scores`` are (seconds later, score), those that are still to come left out."""
        if not self.over:
            given = [[iso(self.at + wait), score] for wait, score in scores if self.at + wait < self.until]
            rating = {"id": f"{self.id}-r", "offered_at": iso(self.at), "answers": given}
            self.ratings.append({**rating, "agent": self.agent, "team": self.team} if self.agent else rating)

    def record(self, **about: Any) -> Neutral:
        """The conversation as it stands when the world ends."""
        now = {"team": self.team, "agent": self.agent}
        return {
            "type": "conversation",
            "id": self.id,
            **about,
            **{key: value for key, value in now.items() if value},
            "created_at": iso(self.created),
            "status": self.status,
            "messages": self.messages,
            "events": self.events,
            "ratings": self.ratings,
        }


def iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
