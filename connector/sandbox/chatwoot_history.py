"""What Chatwoot remembers of a conversation's life: reporting events, and activity lines in the reader's language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from connector.models import Schedule
from connector.sandbox.hours import open_seconds
from connector.sandbox.world import Neutral

ACTIVITY = {
    "en": {
        "done": "Conversation was marked resolved by {who}",
        "open": "Conversation was reopened by {who}",
        "pending": "Conversation was marked as pending by {who}",
        "snoozed": "Conversation was snoozed by {who}",
        "assigned": "Assigned to {what} by {who}",
        "unassigned": "Conversation unassigned by {who}",
        "team": "Assigned to {what} by {who}",
        "nobody": "Automation System",
    },
    "fr": {
        "done": "La conversation a été marquée comme résolue par {who}",
        "open": "La conversation a été rouverte par {who}",
        "pending": "La conversation a été mise en attente par {who}",
        "snoozed": "La conversation a été mise en veille par {who}",
        "assigned": "Assigné à {what} par {who}",
        "unassigned": "Conversation désassignée par {who}",
        "team": "Assigné à {what} par {who}",
        "nobody": "Système d'automatisation",
    },
}


def activity(event: Neutral, language: str, name_of: Callable[[str, str], str]) -> str | None:
    """The line that an event leaves in the conversation; None where it leaves none."""
    words = ACTIVITY.get(language, ACTIVITY["en"])
    kind, value, actor = event["kind"], event.get("value"), event.get("actor")
    key = value if kind == "status" else "unassigned" if kind == "assigned" and not value else kind
    if key not in words or (kind == "team" and not value):
        return None
    who = name_of("agent", actor) if actor else words["nobody"]
    return words[key].format(who=who, what=name_of(kind, value) if value else "")


@dataclass
class Facts:
    """``first_reply`` and ``waiting_since`` in Unix seconds; ``events`` still without account, inbox, conversation."""

    first_reply: int | None = None
    waiting_since: int | None = None
    events: list[dict[str, Any]] = field(default_factory=list)


def reporting_events(
    created: int,
    timeline: Sequence[tuple[int, str, Neutral]],
    hours: Schedule | None,
    number_of: Callable[[str | None], int | None],
) -> Facts:
    """Walk a conversation as Chatwoot's listener does. ``timeline`` is (second, message | event | survey, item)."""
    walk = _Walk(created, hours, number_of, _first_status(timeline))
    for second, kind, item in timeline:
        if kind == "message":
            walk.message(second, item)
        elif kind == "event":
            walk.event(second, item)
    return walk.facts


def _first_status(timeline: Sequence[tuple[int, str, Neutral]]) -> str:
    for _, kind, item in timeline:
        if kind == "event" and item["kind"] == "status":
            return item.get("was") or "open"
    return "open"


class _Walk:
    def __init__(
        self, created: int, hours: Schedule | None, number_of: Callable[[str | None], int | None], status: str
    ) -> None:
        self.created, self.hours, self.number_of, self.status = created, hours, number_of, status
        self.facts = Facts()
        self.base = created
        self.resolved: int | None = None
        self.bot = self.handed_over = False

    def message(self, at: int, item: Neutral) -> None:
        """Only what customers, people and bots say in public moves a clock."""
        if item.get("private") or (item.get("kind") or "message") != "message":
            return
        if item["who"] == "customer":
            self.facts.waiting_since = self.facts.waiting_since or at
        elif item["who"] == "human":
            self._reply(at, self.number_of(item.get("author_id")))
        elif item["who"] == "bot":
            self.bot, self.facts.waiting_since = True, None

    def _reply(self, at: int, user: int | None) -> None:
        if self.facts.first_reply is None:
            self.facts.first_reply = at
            self._write("first_response", self.base, at, user)
        elif self.facts.waiting_since is not None:
            self._write("reply_time", self.facts.waiting_since, at, user)
        self.facts.waiting_since = None

    def event(self, at: int, item: Neutral) -> None:
        user = self.number_of(item.get("actor"))
        if item["kind"] == "handoff" and not self.handed_over:
            self.handed_over, self.base, self.facts.waiting_since = True, at, at
            self._write("conversation_bot_handoff", self.created, at, None)
        elif item["kind"] == "status" and item["value"] != self.status:
            self.status = item["value"]
            if self.status == "done":
                self._done(at, user)
            elif self.status == "open":
                self._opened(at, user)

    def _done(self, at: int, user: int | None) -> None:
        self._write("conversation_resolved", self.created, at, user)
        if self.bot and not self.handed_over and self.facts.first_reply is None:
            self._write("conversation_bot_resolved", self.created, at, None)
        self.resolved, self.facts.waiting_since = at, None

    def _opened(self, at: int, user: int | None) -> None:
        """Since the last resolution; a first opening has the value 0."""
        if self.resolved is None:
            return self._write("conversation_opened", at, at, user)
        self.base = at
        return self._write("conversation_opened", self.resolved, at, user)

    def _write(self, name: str, start: int, end: int, user: int | None) -> None:
        open_s = open_seconds(self.hours, start, end) if self.hours else 0
        self.facts.events.append({
            "name": name,
            "value": float(end - start),
            "value_in_business_hours": float(open_s),
            "event_start_time": _iso(start),
            "event_end_time": _iso(end),
            "user_id": user,
            "created_at": _iso(end, 120),
            "updated_at": _iso(end, 120),
        })  # fmt: skip


def _iso(second: int, ms: int = 0) -> str:
    return datetime.fromtimestamp(second, UTC).strftime(f"%Y-%m-%dT%H:%M:%S.{ms:03d}Z")
