"""What happened in one conversation, as facts are derived from it: frozen, in order, with row ids for vendor ids.

The parts are plain tuples because millions of them are read; everything is in order of time, then of arrival.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from connector.models import Instant

Said = tuple[Instant, str, int | None, int, str]
"""(at, author, agent id, public, kind); our own messages are not among them."""
StatusChange = tuple[Instant, str, str | None, int | None]
"""(at, status, status before, agent id of the actor)"""
OwnerChange = tuple[Instant, int | None, int | None]
"""(at, team or agent id, the one before)"""
Mark = tuple[Instant, str, str | None]
"""(at, handoff | merged | deleted | spam, the vendor's id of the conversation merged into)"""


class Survey(NamedTuple):
    """One survey: ``answers`` are (instant, score), oldest first. Agent and team where the vendor names them."""

    offered_at: Instant | None
    answers: Sequence[tuple[Instant, float]]
    low: float
    high: float
    agent_id: int | None = None
    team_id: int | None = None


class Timeline(NamedTuple):
    """One conversation. ``status``, ``team_id`` and ``agent_id`` are the vendor's latest snapshot."""

    id: int
    source_id: int
    created_at: Instant
    status: str | None
    channel: str
    inbox_id: int | None = None
    team_id: int | None = None
    agent_id: int | None = None
    contact_id: int | None = None
    language: str | None = None
    messages: Sequence[Said] = ()
    statuses: Sequence[StatusChange] = ()
    teams: Sequence[OwnerChange] = ()
    agents: Sequence[OwnerChange] = ()
    marks: Sequence[Mark] = ()
    surveys: Sequence[Survey] = ()
