"""From open to done, and back: episodes, resolutions, reopenings."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from connector.facts.calendar import Elapsed
from connector.facts.history import History, holding
from connector.models import Instant


class EpisodeRow(NamedTuple):
    """A row of fact_episodes, without its place."""

    opened_at: Instant
    resolved_at: Instant | None
    episode_s: float | None
    episode_business_s: float | None
    since_created_s: float | None
    since_created_business_s: float | None
    replies: int
    needing_reply: int | None
    last: int
    agent_id: int | None
    team_id: int | None


class Resolution(NamedTuple):
    """Columns of fact_conversations. Full resolution and open time exist only while the conversation is done."""

    first_done_at: Instant | None
    last_done_at: Instant | None
    resolutions: int
    first_resolution_s: float | None
    first_resolution_business_s: float | None
    full_resolution_s: float | None
    full_resolution_business_s: float | None
    open_s: float | None
    open_business_s: float | None
    reopens: int
    reopens_needing_reply: int
    solver_id: int | None
    solver_team_id: int | None


def episodes(past: History, replies: Sequence[Instant], elapsed: Elapsed) -> list[EpisodeRow]:
    """One row per stay outside "done". A reply after the solve belongs to the episode it follows."""
    created_at = past.statuses[0][0]
    spans = _spans(past)
    found, replied = [], 0
    for i, (opened, resolved, solver) in enumerate(spans):
        until = spans[i + 1][0] if i + 1 < len(spans) else None
        before, replied = replied, len(replies) if until is None else bisect_left(replies, until)
        said = replied - before
        found.append(
            EpisodeRow(
                opened,
                resolved,
                *elapsed[opened, resolved],
                *elapsed[created_at, resolved],
                said,
                None if i == 0 else int(resolved is None or said > 0),
                int(until is None),
                holding(past.agents, resolved)[1] if solver is None else solver,
                holding(past.teams, resolved)[1],
            )
        )
    return found


def _spans(past: History) -> list[tuple[Instant, Instant | None, int | None]]:
    """(opened, resolved, solver) for every stay outside "done"."""
    found: list[tuple[Instant, Instant | None, int | None]] = []
    for at, status, actor in past.statuses:
        running = bool(found) and found[-1][1] is None
        if status == "done" and running:
            found[-1] = (found[-1][0], at, actor)
        elif status != "done" and not running:
            found.append((at, None, None))
    return found


def resolution(rows: Sequence[EpisodeRow]) -> Resolution:
    """What the episodes say of the conversation as a whole."""
    first, last = rows[0], rows[-1]
    solved = [row for row in rows if row.resolved_at is not None]
    solve = solved[-1] if solved else None
    return Resolution(
        first.resolved_at,
        solve.resolved_at if solve else None,
        len(solved),
        first.since_created_s,
        first.since_created_business_s,
        last.since_created_s,
        last.since_created_business_s,
        _total([row.episode_s for row in rows]),
        _total([row.episode_business_s for row in rows]),
        len(rows) - 1,
        sum(row.needing_reply or 0 for row in rows),
        solve.agent_id if solve else None,
        solve.team_id if solve else None,
    )


def _total(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
