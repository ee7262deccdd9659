"""Promises: what was due when, and when it was kept.

A response is due from the customer's question, a resolution from creation; a solve ends the wait for a response too.
Due is the earliest instant by which the promised time has run on its clock; kept at that very instant is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from connector.config import SlaTarget
from connector.facts.calendar import Calendar
from connector.facts.episodes import EpisodeRow
from connector.facts.history import History, holding
from connector.facts.rules import Rules
from connector.facts.timeline import Timeline
from connector.facts.waits import Turn
from connector.models import Instant


class SlaRow(NamedTuple):
    """A row of fact_sla, without its place. A business promise without opening hours runs on the calendar clock."""

    metric: str
    clock: str
    target_s: float
    started_at: Instant
    due_at: Instant
    completed_at: Instant | None
    agent_id: int | None
    team_id: int | None


def sla_rows(
    rules: Rules, timeline: Timeline, turns: Sequence[Turn], inbound: bool, stays: Sequence[EpisodeRow], past: History
) -> list[SlaRow]:
    """First response (inbound only), every later customer turn, first resolution; credited to who answered or solved.

    The target is the one in force at creation: the first that had begun, of those that fit, best first.
    """
    created_at = timeline.created_at
    promised = {
        metric: target
        for metric, fitting in rules.promises[timeline.channel]
        if (target := next((one for one in fitting if (one.since or 0) <= created_at), None))
    }
    if not promised:
        return []
    calendar = rules.calendar(timeline.inbox_id)
    solvers = {stay.resolved_at: stay.agent_id for stay in stays}
    rows = []
    for i, turn in enumerate(turns):
        target = promised.get("first_response_time" if inbound and i == 0 else "next_response_time")
        by = solvers.get(turn.ended_at) if turn.agent_id is None else turn.agent_id
        rows.append(_row(target, turn.asked_at, turn.ended_at, by, past, calendar))
    target = promised.get("resolution_time")
    rows.append(_row(target, created_at, stays[0].resolved_at, stays[0].agent_id, past, calendar))
    return [row for row in rows if row]


def _row(
    target: SlaTarget | None,
    start: Instant,
    end: Instant | None,
    agent_id: int | None,
    past: History,
    calendar: Calendar | None,
) -> SlaRow | None:
    if target is None:
        return None
    ms = round(target.target_s * 1000)
    business = target.clock == "business" and calendar is not None
    due = calendar.add(start, ms) if business and calendar else start + ms
    if due is None:
        return None
    agent = holding(past.agents, end)[1] if agent_id is None else agent_id
    clock = "business" if business else "calendar"
    return SlaRow(target.metric, clock, target.target_s, start, due, end, agent, holding(past.teams, end)[1])
