"""Which status a conversation had, and who held it, at any instant; the stretches in which it was somebody's work."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

from connector.facts.timeline import OwnerChange, Timeline
from connector.models import Instant

WAITING_STATES = ("open", "pending", "snoozed")

Held = list[tuple[Instant, int | None]]
"""(from, team or agent id) in order; the first entry holds since ever."""


class History(NamedTuple):
    """``statuses`` are real changes only, (at, status, actor), the first at creation."""

    statuses: list[tuple[Instant, str, int | None]]
    teams: Held
    agents: Held


class Stretch(NamedTuple):
    """A row of fact_stock, without its place."""

    from_at: Instant
    to_at: Instant | None
    status: str
    agent_id: int | None
    team_id: int | None


def history(timeline: Timeline) -> History:
    """What the events tell; where there are none, what the vendor's snapshot tells."""
    return History(
        _statuses(timeline), _held(timeline.teams, timeline.team_id), _held(timeline.agents, timeline.agent_id)
    )


def _statuses(timeline: Timeline) -> list[tuple[Instant, str, int | None]]:
    """A conversation is open at creation unless told otherwise. A snapshot's "done" has no date, so it is not one."""
    before = timeline.statuses[0][2] if timeline.statuses else timeline.status
    found: list[tuple[Instant, str, int | None]] = [
        (timeline.created_at, before if before in WAITING_STATES else "open", None)
    ]
    for at, status, _, actor in timeline.statuses:
        if status != found[-1][1]:
            found.append((max(at, timeline.created_at), status, actor))
    return found


def _held(changes: Sequence[OwnerChange], snapshot: int | None) -> Held:
    held: Held = [(0, changes[0][2] if changes else snapshot)]
    for at, owner, _ in changes:
        if owner != held[-1][1]:
            held.append((at, owner))
    return held


def holding(held: Held, at: Instant | None) -> tuple[Instant, int | None]:
    """Since when, and who, at an instant (a change counts from its own instant on); without one: who held it last."""
    if at is None or at >= held[-1][0]:
        return held[-1]
    return held[bisect_right(held, at, key=itemgetter(0)) - 1]


def transfers(teams: Held) -> int:
    """From one team to another; being assigned for the first time is not a transfer, nor is a pause without a team."""
    stations = [team for _, team in teams if team is not None]
    return sum(a != b for a, b in pairwise(stations))


def stock(past: History) -> list[Stretch]:
    """Stretches of time with one status, agent and team, while the conversation was not done."""
    changes = sorted({t for held in (past.teams, past.agents) for t, _ in held})
    found: list[Stretch] = []
    for (start, status, _), end in _until_next(past.statuses):
        if status != "done":
            until = len(changes) if end is None else bisect_left(changes, end)
            cuts = [start, *changes[bisect_right(changes, start) : until], end]
            found += (
                Stretch(a, b, status, holding(past.agents, a)[1], holding(past.teams, a)[1])
                for a, b in pairwise(cuts)
                if a is not None and a != b
            )
    return found


def _until_next(
    statuses: list[tuple[Instant, str, int | None]],
) -> list[tuple[tuple[Instant, str, int | None], Instant | None]]:
    ends = [at for at, _, _ in statuses[1:]]
    return list(zip(statuses, [*ends, None], strict=True))
