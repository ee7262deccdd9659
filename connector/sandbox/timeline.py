"""A neutral conversation as one line of time, in whole seconds."""

from __future__ import annotations

from connector.models import from_iso
from connector.sandbox.world import Neutral, answers


def inbox_of(conversation: Neutral) -> tuple[str, str | None]:
    """(inbox, channel); a conversation without an inbox gets its team's for that channel."""
    channel = conversation.get("channel")
    team = conversation.get("team")
    word = channel or "other"
    return conversation.get("inbox") or (f"{team} ({word})" if team else word), channel


def last_value(conversation: Neutral, kind: str) -> str | None:
    values = [event.get("value") for event in conversation.get("events", ()) if event["kind"] == kind]
    return values[-1] if values else None


def timeline_of(conversation: Neutral, agents: dict[str, Neutral]) -> list[tuple[int, str, Neutral]]:
    """(instant, kind, item) in order; of equal instants messages come first, then events, then surveys.

    Messages get ``who``: human, bot and the rest, a bot on an agent's seat seen through.
    """
    rated = conversation.get("ratings", ())
    said = [m for m in conversation.get("messages", ()) if not (rated and m.get("kind") == "survey")]
    items = [(from_iso(m["at"]), "message", {**m, "who": _who(m, agents)}) for m in said]
    items += [(from_iso(e["at"]), "event", e) for e in conversation.get("events", ())]
    items += [(from_iso(r.get("offered_at") or answers(r)[0][0]), "survey", r) for r in rated]
    return sorted(items, key=lambda item: item[0])


def _who(message: Neutral, agents: dict[str, Neutral]) -> str:
    author = {"agent": "human"}.get(message["author"], message["author"])
    seat = agents.get(message.get("author_id") or "", {})
    return "bot" if author == "human" and (message.get("bot") or seat.get("bot")) else str(author)


def whole_seconds(timeline: list[tuple[int, str, Neutral]]) -> list[tuple[int, str, Neutral]]:
    """Instants → Unix seconds, floored, in order; a change of side that was later stays later, by a second."""
    found: list[tuple[int, str, Neutral]] = []
    before = second = 0
    side = ""
    for instant, kind, item in timeline:
        now = "customer" if item.get("who") == "customer" else kind
        turned = bool(found) and now != side and instant > before
        second = max(instant // 1000, second + 1 if turned else second)
        found.append((second, kind, item))
        before, side = instant, now
    return found


def content(message: Neutral) -> str:
    """The text; where only its length is known, as many dots."""
    return message.get("text") or "·" * (message.get("length") or 0)


def five_point(rating: Neutral, score: float) -> int:
    """Any scale → Chatwoot's one to five."""
    low, high = scale(rating)
    return round(1 + 4 * (score - low) / (high - low))


def scale(rating: Neutral) -> tuple[float, float]:
    """The ends of the scale that was asked on."""
    words = any(word in ("good", "bad") for word in (rating.get("score"), *(s for _, s in rating.get("answers") or ())))
    return (0, 1) if words else (rating.get("low", 1), rating.get("high", 5))
