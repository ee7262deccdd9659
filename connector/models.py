"""The normalized records: what every adapter gives and the store keeps.

Records are tuples, not pydantic models: a page is validated once, as the vendor's wire model, and then goes straight to
SQL tuples. All instants are integer milliseconds UTC; ids are the vendor's own, as text.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

Instant = int
"""Milliseconds since 1970-01-01 UTC."""

ChannelKind = Literal[
    "email", "live_chat", "whatsapp", "sms", "phone", "instagram", "facebook",
    "x", "linkedin", "tiktok", "youtube", "telegram", "other",
]  # fmt: skip
CHANNEL_KINDS: tuple[str, ...] = ChannelKind.__args__  # type: ignore[attr-defined]
SOCIAL_CHANNELS = ("instagram", "facebook", "x", "linkedin", "tiktok", "youtube")
MESSAGING_CHANNELS = ("live_chat", "whatsapp", "sms", "telegram")

Author = Literal["customer", "human", "bot", "automation", "integration", "unknown"]
MessageKind = Literal["message", "note", "activity", "survey", "campaign", "imported"]
"""``message`` is conversation; everything else never starts or stops a customer clock."""
Status = Literal["open", "pending", "snoozed", "done"]
EventKind = Literal["status", "assigned", "team", "handoff", "merged", "deleted", "spam"]

EARLIEST: Instant = 946_684_800_000
"""2000-01-01: no helpdesk has older conversations; a smaller stamp is a zero or a wrong unit."""
LATEST: Instant = 4_102_444_800_000
"""2100-01-01: a larger stamp is milliseconds taken for seconds."""

OWN_NOTE_MARK = "[deskpulse]"
"""Every note we write begins with it, so that it is known as ours when it comes back."""


class Schedule(NamedTuple):
    """Opening hours in local wall time. ``hours[0]`` is Monday; spans are (minute of day, minute of day], 0–1440.

    ``holidays`` are local ISO dates on which nothing is open.
    """

    zone: str
    hours: tuple[tuple[tuple[int, int], ...], ...]
    holidays: tuple[str, ...] = ()


class Channel(NamedTuple):
    """``id`` is the vendor's own word for the channel type; ``kind`` is ours."""

    id: str
    kind: str


class Inbox(NamedTuple):
    id: str
    name: str
    channel: str | None = None
    schedule: Schedule | None = None


class Team(NamedTuple):
    id: str
    name: str


class Agent(NamedTuple):
    id: str
    name: str
    kind: Author = "human"


class Contact(NamedTuple):
    """A customer, as an id: neither name nor address is kept, no KPI needs them."""

    id: str
    language: str | None = None
    created_at: Instant | None = None


class Conversation(NamedTuple):
    """``changed_at`` is the vendor's own version stamp: equal means there is nothing new to read."""

    id: str
    created_at: Instant
    status: Status
    changed_at: Instant | None = None
    inbox: str | None = None
    channel: str | None = None
    contact: str | None = None
    team: str | None = None
    agent: str | None = None
    language: str | None = None
    link: str | None = None
    tags: tuple[str, ...] = ()


class Message(NamedTuple):
    """``author_id`` names a contact when ``author`` is customer, an agent otherwise.

    ``length`` is in characters; ``body`` is dropped at the door unless the admin keeps bodies.
    """

    id: str
    conversation: str
    at: Instant
    author: Author
    author_id: str | None = None
    public: bool = True
    kind: MessageKind = "message"
    length: int = 0
    own: bool = False
    body: str | None = None


class Event(NamedTuple):
    """What happened to a conversation. ``value`` by kind: status → the new status; assigned → agent id or None;
    team → team id or None; merged → id of the conversation that goes on; else None. ``was`` is the value before.

    ``at`` None means "some time before it was seen" (a removal found by its absence): the store stamps it on arrival.
    ``derived`` marks what was concluded from a snapshot rather than read from the vendor's history.
    """

    id: str
    conversation: str
    at: Instant | None
    kind: EventKind
    value: str | None = None
    was: str | None = None
    actor: str | None = None
    derived: bool = False


class Rating(NamedTuple):
    """One survey and its answers. ``id`` is one per survey, shared by the offer and its answer.

    ``answers`` holds (instant, raw score), oldest first, and is empty while only offered. The scale's ends are kept
    because they decide what positive means; good/bad and thumbs are 0 and 1 on the scale 0–1.
    """

    id: str
    conversation: str
    offered_at: Instant | None = None
    answers: tuple[tuple[Instant, float], ...] = ()
    low: float = 1
    high: float = 5
    agent: str | None = None
    team: str | None = None
    survey: str | None = None


Record = Channel | Inbox | Team | Agent | Contact | Conversation | Message | Event | Rating


class Reject(NamedTuple):
    """A record that the vendor sent and that could not be understood. Holds field names and the reason, no contents."""

    kind: str
    id: str
    reason: str


Cursor = dict[str, Any]
"""JSON: what an adapter needs to go on; made of values seen in the vendor's data, never of the local clock."""


class Page(NamedTuple):
    """What is stored in one go. ``cursor`` is true once the records are stored; None leaves the stored one as it is.

    ``total`` is how many conversations (or rows) the walk will give in all, where the vendor says so: for progress.
    ``settled`` are the (kind, id) of rejects, other than the records' own, that are in order now if they ever were not.
    """

    records: list[Record]
    cursor: Cursor | None = None
    rejects: tuple[Reject, ...] = ()
    total: int | None = None
    settled: tuple[tuple[str, str], ...] = ()


def plausible(instant: Instant) -> Instant:
    """The instant itself; ValueError when it cannot be a support message's (1970, or a wrong unit)."""
    if not EARLIEST <= instant < LATEST:
        raise ValueError(f"not a plausible instant: {instant} ms")
    return instant


def from_unix(seconds: float) -> Instant:
    """Unix seconds, whole or fractional → instant; ValueError when implausible."""
    return plausible(round(seconds * 1000))


def from_iso(text: str) -> Instant:
    """ISO 8601 **with a zone** → instant; ValueError without one, or when implausible."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {text}")
    return plausible(round(moment.timestamp() * 1000))


def to_iso(instant: Instant) -> str:
    """Instant → ISO 8601 UTC with milliseconds and Z."""
    return datetime.fromtimestamp(instant / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
