"""How much was said by whom, and whether once was enough; what the bot did alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from connector.facts.speech import BOT, CUSTOMER, HUMAN, Opening, Speech, Spoken
from connector.models import Instant


class Touches(NamedTuple):
    """Columns of fact_conversations."""

    handled_by: str | None
    last_customer_at: Instant | None
    last_agent_at: Instant | None
    customer_messages: int
    agent_replies: int
    agent_turns: int
    bot_messages: int
    private_notes: int
    one_touch: int | None
    no_touch: int | None
    first_contact_resolution: int | None
    bot: int
    escalated: int
    abandoned: int


def replies(speech: Speech, began: Opening) -> list[Instant]:
    """Public human messages, without the one that opened an outbound conversation."""
    return [at for i, (at, who, _) in enumerate(speech.talk) if who == HUMAN and i != began.opener]


def touches(
    speech: Speech, began: Opening, replied: int, done: bool, needing_reply: int, answered: bool, handed_off: bool
) -> Touches:
    """Counts of one conversation. ``answered``: a first response exists; ``needing_reply``: such reopenings."""
    asked = [at for at, who, _ in speech.talk if who == CUSTOMER]
    humans = [at for at, who, _ in speech.talk if who == HUMAN]
    bots = len(speech.talk) - len(asked) - len(humans)
    taken = _turns(speech.talk, began)
    judged = done and bool(asked)
    escalated = bool(bots and (humans or handed_off))
    return Touches(
        _handled_by(bool(humans), bool(bots)),
        asked[-1] if asked else None,
        humans[-1] if humans else None,
        len(asked),
        replied,
        taken,
        bots,
        speech.notes,
        int(replied == 1) if judged else None,
        int(replied == 0) if judged else None,
        int(taken == 1 and not needing_reply) if done and answered else None,
        int(bots > 0),
        int(escalated),
        int(bots > 0 and not escalated and speech.talk[-1][1] == CUSTOMER),
    )


def _handled_by(human: bool, bot: bool) -> str | None:
    if human:
        return "mixed" if bot else "human"
    return "bot" if bot else None


def _turns(talk: Sequence[Spoken], began: Opening) -> int:
    """Runs of human replies. Only a customer ends a run, and not with a first question stamped after its answer."""
    count, running, heard = 0, False, began.direction == "outbound"
    for i, (_, who, _) in enumerate(talk):
        if who == CUSTOMER:
            running, heard = running and not heard, True
        elif who != BOT and i != began.opener and not running:
            count, running = count + 1, True
    return count
