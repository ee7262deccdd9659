"""One conversation's timeline → its rows in every fact table. Pure: the same timeline and rules give the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from connector.facts.calendar import Elapsed
from connector.facts.episodes import EpisodeRow, Resolution, episodes, resolution
from connector.facts.history import History, Stretch, history, holding, stock, transfers
from connector.facts.rules import Rules
from connector.facts.sla import SlaRow, sla_rows
from connector.facts.speech import Opening, hear, opening
from connector.facts.surveys import RatingRow, SurveyRow, rating_row, survey_rows
from connector.facts.timeline import Mark, Timeline
from connector.facts.touches import Touches, replies, touches
from connector.facts.waits import Responses, WaitRow, responses, turns, wait_rows
from connector.models import Instant

REMOVALS = ("merged", "deleted", "spam")


class Subject(NamedTuple):
    """Columns of fact_conversations: what the conversation is. Team, agent and status are the latest."""

    conversation_id: int
    source_id: int
    created_at: Instant
    channel: str
    inbox_id: int | None
    team_id: int | None
    agent_id: int | None
    contact_id: int | None
    language: str | None
    direction: str | None
    excluded: str | None
    merged_into: str | None
    status: str
    transfers: int


CONVERSATION_COLUMNS = Subject._fields + Responses._fields + Touches._fields + Resolution._fields


class ConversationFacts(NamedTuple):
    """``conversation`` is in the order of CONVERSATION_COLUMNS. A removed conversation has no other rows."""

    conversation: tuple[object, ...]
    episodes: Sequence[EpisodeRow] = ()
    waits: Sequence[WaitRow] = ()
    stock: Sequence[Stretch] = ()
    rating: RatingRow | None = None
    surveys: Sequence[SurveyRow] = ()
    sla: Sequence[SlaRow] = ()


def derive(timeline: Timeline, rules: Rules) -> ConversationFacts:
    """Rows of everything that is counted in one conversation."""
    removal = next((mark for mark in timeline.marks if mark[1] in REMOVALS), None)
    if removal:
        return _removed(timeline, rules, removal)
    elapsed = Elapsed(rules.calendar(timeline.inbox_id))
    past, speech = history(timeline), hear(timeline, rules)
    began = opening(timeline.created_at, speech)
    inbound = began.direction == "inbound"
    replied = replies(speech, began)
    stays = episodes(past, replied, elapsed)
    solved = resolution(stays)
    asked = turns(speech.talk, [row.resolved_at for row in stays if row.resolved_at is not None])
    handoff_at = min((at for at, kind, _ in timeline.marks if kind == "handoff"), default=None)
    spoken = responses(timeline.created_at, speech, began, handoff_at, asked, past, elapsed)
    counted = touches(
        speech, began, len(replied), past.statuses[-1][1] == "done", solved.reopens_needing_reply,
        spoken.first_response_at is not None, handoff_at is not None,
    )  # fmt: skip
    # A customer who rates the bot does not rate the team: that answer is kept in the store, not counted in CSAT.
    rated = [survey for survey in timeline.surveys if not rules.is_bot(survey.agent_id)]
    surveys = survey_rows(rated, past, rules.csat_positive_from)
    return ConversationFacts(
        (*_subject(timeline, past, began), *spoken, *counted, *solved),
        stays,
        wait_rows(asked, past, inbound, elapsed),
        stock(past),
        rating_row(rated, surveys, rules.csat_positive_from),
        surveys,
        sla_rows(rules, timeline, asked, inbound, stays, past),
    )


def _subject(timeline: Timeline, past: History, began: Opening) -> Subject:
    return Subject(
        *timeline[:3],
        timeline.channel,
        timeline.inbox_id,
        holding(past.teams, None)[1],
        holding(past.agents, None)[1],
        timeline.contact_id,
        timeline.language,
        began.direction,
        None,
        None,
        past.statuses[-1][1],
        transfers(past.teams),
    )


def _removed(timeline: Timeline, rules: Rules, removal: Mark) -> ConversationFacts:
    """Merged, deleted or spam: it stays to be counted as left out, and nothing else of it counts."""
    subject = _subject(timeline, history(timeline), opening(timeline.created_at, hear(timeline, rules)))
    bare = derive(timeline._replace(messages=(), statuses=(), teams=(), agents=(), marks=(), surveys=()), rules)
    _, reason, into = removal
    kept = subject._replace(excluded=reason, merged_into=into, transfers=0)
    return ConversationFacts((*kept, *bare.conversation[len(kept) :]))
