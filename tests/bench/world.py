"""Conversations in the neutral format, as many as asked for, the same ones each time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 1, 5, tzinfo=UTC)
CHANNELS = ("email", "live_chat", "whatsapp", "instagram", "x")
TEAMS = ("Support", "Billing", "Sales")


def conversations(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Eight messages, two status events and (every third) a rating each: about eleven rows a conversation."""
    dice = random.Random(seed)
    for number in range(count):
        yield _conversation(number, count, dice)


def rows_of(conversation: dict[str, Any]) -> int:
    """How many rows of the store a conversation becomes."""
    return 1 + sum(len(conversation[part]) for part in ("messages", "events", "ratings"))


def _conversation(number: int, count: int, dice: random.Random) -> dict[str, Any]:
    at = START + timedelta(days=300) * (number / count) + timedelta(seconds=dice.randrange(3600))
    name, team = f"c{number}", dice.choice(TEAMS)
    messages = []
    for turn in range(8):
        at += timedelta(seconds=dice.randrange(30, 4000))
        agent = turn % 2 == 1
        messages.append(
            {
                "id": f"{name}m{turn}",
                "at": _iso(at),
                "author": "agent" if agent else "customer",
                "author_id": f"{team}-{dice.randrange(4)}" if agent else f"u{number % (count // 3 + 1)}",
                "text": "Where is my order? I have been waiting for it since Monday." if not agent else "On its way.",
            }
        )
    done = at + timedelta(minutes=5)
    rated = [{"id": f"{name}r", "at": _iso(done), "score": dice.randrange(1, 6)}] if number % 3 == 0 else []
    return {
        "id": name,
        "channel": dice.choice(CHANNELS),
        "team": team,
        "created_at": messages[0]["at"],
        "messages": messages,
        "events": [
            {"at": _iso(at), "kind": "assigned", "value": f"{team}-0"},
            {"at": _iso(done), "kind": "status", "value": "done"},
        ],
        "ratings": rated,
        "status": "done",
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
