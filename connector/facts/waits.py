"""Waiting customers: the first response, and every turn in which a customer speaks and a human answers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from connector.facts.calendar import Elapsed
from connector.facts.history import History, holding
from connector.facts.speech import BOT, CUSTOMER, HUMAN, Opening, Speech, Spoken, first_after
from connector.models import Instant


class Turn(NamedTuple):
    """From the first unanswered customer message to the next public human message, strictly later.

    ``ended_at`` is when nobody waited any more: at the answer, or at a resolution that came before it.
    """

    asked_at: Instant
    last_asked_at: Instant
    answered_at: Instant | None
    ended_at: Instant | None
    agent_id: int | None


class WaitRow(NamedTuple):
    """A row of fact_waits, without its place."""

    asked_at: Instant
    last_asked_at: Instant
    answered_at: Instant | None
    ended_at: Instant | None
    response_s: float | None
    response_business_s: float | None
    from_last_s: float | None
    from_last_business_s: float | None
    team_response_s: float | None
    team_response_business_s: float | None
    first: int
    agent_id: int | None
    team_id: int | None


class Responses(NamedTuple):
    """Columns of fact_conversations."""

    first_asked_at: Instant | None
    first_response_at: Instant | None
    first_response_s: float | None
    first_response_business_s: float | None
    first_responder_id: int | None
    first_response_team_id: int | None
    first_any_response_at: Instant | None
    first_any_response_s: float | None
    first_any_response_business_s: float | None
    handoff_at: Instant | None
    handoff_response_s: float | None
    handoff_response_business_s: float | None
    zendesk_first_response_s: float | None
    zendesk_first_response_business_s: float | None
    asked_first_response_s: float | None
    asked_first_response_business_s: float | None
    waiting_since: Instant | None


def turns(talk: Sequence[Spoken], resolutions: Sequence[Instant]) -> list[Turn]:
    """The customer's turns. A resolution ends a wait: what the customer says after it begins another one."""
    found: list[Turn] = []
    asked: Instant | None = None
    last = 0
    for at, who, agent_id in talk:
        if who == CUSTOMER:
            solved = None if asked is None else _between(resolutions, last, at)
            if asked is not None and solved is not None:
                found.append(Turn(asked, last, None, solved, None))
            asked = at if asked is None or solved is not None else asked
            last = at
        elif who == HUMAN and asked is not None and at > asked:
            solved = _between(resolutions, last, at)
            found.append(Turn(asked, last, at, at if solved is None else solved, agent_id))
            asked = None
    if asked is not None:
        found.append(Turn(asked, last, None, _between(resolutions, last, None), None))
    return found


def _between(instants: Sequence[Instant], start: Instant, before: Instant | None) -> Instant | None:
    i = bisect_left(instants, start)
    return instants[i] if i < len(instants) and (before is None or instants[i] < before) else None


def wait_rows(found: list[Turn], past: History, inbound: bool, elapsed: Elapsed) -> list[WaitRow]:
    """Answered turns are the answerer's and his team's then; unanswered ones belong to who held them last.

    ``first`` marks the turn that the first response answers; an outbound conversation has none.
    """
    return [_wait_row(turn, past, int(inbound and i == 0), elapsed) for i, turn in enumerate(found)]


def _wait_row(turn: Turn, past: History, first: int, elapsed: Elapsed) -> WaitRow:
    asked, answered = turn.asked_at, turn.answered_at
    if answered is None:
        agent, team = holding(past.agents, turn.ended_at)[1], holding(past.teams, turn.ended_at)[1]
        return WaitRow(*turn[:4], None, None, None, None, None, None, first, agent, team)
    since, team = holding(past.teams, answered)
    return WaitRow(
        *turn[:4],
        *elapsed[asked, answered],
        *elapsed[turn.last_asked_at, answered],
        *elapsed[None if team is None else max(asked, since), answered],
        first,
        turn.agent_id,
        team,
    )


def responses(
    created_at: Instant,
    speech: Speech,
    began: Opening,
    handoff_at: Instant | None,
    found: list[Turn],
    past: History,
    elapsed: Elapsed,
) -> Responses:
    """The first response and its variants; an agent-initiated conversation has only two: from its own opening, and from
    the customer's question."""
    talk, asked = speech.talk, began.asked_at
    answer = first_after(talk, asked)
    inbound = began.direction == "inbound"
    first = answer if inbound else None
    anyone = first_after(talk, asked, (HUMAN, BOT)) if inbound else None
    handed = first_after(talk, handoff_at) if inbound else None
    first_at = first[0] if first else None
    return Responses(
        asked,
        first_at,
        *elapsed[asked, first_at],
        first[2] if first else None,
        holding(past.teams, first[0])[1] if first else None,
        anyone[0] if anyone else None,
        *elapsed[asked, anyone[0] if anyone else None],
        handoff_at,
        *elapsed[handoff_at, handed[0] if handed else None],
        *elapsed[created_at, _zendesk(speech, began)],
        *elapsed[asked, answer[0] if answer else None],
        found[-1].asked_at if found and found[-1].ended_at is None else None,
    )


def _zendesk(speech: Speech, began: Opening) -> Instant | None:
    """The stop of that variant: the next human message after the first public one, unless a private note opened it."""
    if began.opener is None:
        after = speech.campaign_at if began.direction == "outbound" else began.asked_at
        stop = first_after(speech.talk, after)
        return stop[0] if stop else None
    opened_at = speech.talk[began.opener][0]
    if speech.noted_at is not None and speech.noted_at < opened_at:
        return opened_at
    stop = first_after(speech.talk, opened_at)
    return stop[0] if stop else None
