"""Who said what in public, and who began.

Only customers, humans and bots speak; private notes, activity lines, surveys, automation and campaigns never start or
stop a customer's clock. At equal instants the customer comes first, and an answer is strictly later than its question.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

from connector.facts.rules import Rules
from connector.facts.timeline import Timeline
from connector.models import Instant

CUSTOMER, HUMAN, BOT = 0, 1, 2
_SPEAKERS = {"customer": CUSTOMER, "human": HUMAN, "bot": BOT}
_ORDER = itemgetter(0, 1)

Spoken = tuple[Instant, int, int | None]
"""(at, CUSTOMER | HUMAN | BOT, agent id)"""


class Speech(NamedTuple):
    """``talk`` is public and in order. ``noted_at`` is the first private note by a human, of ``notes``."""

    talk: list[Spoken]
    notes: int
    noted_at: Instant | None
    campaign_at: Instant | None


class Opening(NamedTuple):
    """Who began. ``opener`` is the place in the talk of the human message that opened an outbound conversation."""

    direction: str | None
    asked_at: Instant | None
    opener: int | None


def hear(timeline: Timeline, rules: Rules) -> Speech:
    """Sort the messages into public talk, notes and campaigns."""
    talk: list[Spoken] = []
    notes: list[Instant] = []
    campaigns: list[Instant] = []
    for at, author, agent_id, public, kind in timeline.messages:
        who = author if agent_id is None else rules.author(author, agent_id)
        if kind == "message" and public:
            if who in _SPEAKERS:
                talk.append((at, _SPEAKERS[who], agent_id))
        elif kind == "campaign":
            campaigns.append(at)
        elif who == "human" and kind in ("note", "message"):
            notes.append(at)
    talk.sort(key=_ORDER)
    return Speech(talk, len(notes), min(notes, default=None), min(campaigns, default=None))


def opening(created_at: Instant, speech: Speech) -> Opening:
    """Inbound when the customer spoke first, outbound when a human or a campaign did, None when neither ever spoke.

    A human message stamped before the conversation was created, while the customer's first is not, is clock skew.
    """
    asked_at = next((at for at, who, _ in speech.talk if who == CUSTOMER), None)
    skewed_before = created_at if asked_at is not None and asked_at >= created_at else None
    first, place = None, None
    for i, (at, who, _) in enumerate(speech.talk):
        if who == CUSTOMER or (who == HUMAN and (skewed_before is None or at >= skewed_before)):
            first, place = (at, who), i
            break
    if speech.campaign_at is not None and (first is None or speech.campaign_at < first[0]):
        return Opening("outbound", asked_at, None)
    if first is None:
        return Opening(None, None, None)
    return Opening("outbound", asked_at, place) if first[1] == HUMAN else Opening("inbound", asked_at, None)


def first_after(talk: Iterable[Spoken], at: Instant | None, speakers: tuple[int, ...] = (HUMAN,)) -> Spoken | None:
    """The first message of the speakers strictly after an instant; None after None."""
    if at is None:
        return None
    for spoken in talk:
        if spoken[0] > at and spoken[1] in speakers:
            return spoken
    return None
