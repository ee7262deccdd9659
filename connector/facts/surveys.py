"""Satisfaction: one row per survey, and one per rated conversation."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

from connector.facts.history import History, holding
from connector.facts.timeline import Survey
from connector.models import Instant


class SurveyRow(NamedTuple):
    """A row of fact_surveys, without its place: its latest score at the date of its first."""

    offered_at: Instant | None
    rated_at: Instant | None
    score: float | None
    low: float
    high: float
    verdict: str | None
    agent_id: int | None
    team_id: int | None


class RatingRow(NamedTuple):
    """The row of fact_ratings: the latest score at the date of the first, credited to whom the latest survey rates.

    The two changes compare the first answer with the latest.
    """

    rated_at: Instant
    answered_at: Instant
    score: float
    first_score: float
    low: float
    high: float
    verdict: str
    first_verdict: str
    good_to_bad: int
    bad_to_good: int
    agent_id: int | None
    team_id: int | None


def verdict(score: float, low: float, high: float, positive_from: float) -> str:
    """positive, neutral or negative, by the scale's ends.

    1–5 and 0–5: from ``positive_from`` on positive, up to 2 negative. 1–10 and 0–10: from 8, up to 4. 0–1: 1 and 0.
    Any other scale: its upper 40 % is positive (3 of 1–3, 5 to 7 of 1–7), its lower 40 % negative.
    """
    if high == 5 and low in (0, 1):
        good, bad = positive_from, 2.0
    elif high == 10 and low in (0, 1):
        good, bad = 8.0, 4.0
    else:
        good, bad = high - 0.4 * (high - low), low + 0.4 * (high - low)
    return "positive" if score >= good else "negative" if score <= bad else "neutral"


def survey_rows(surveys: Sequence[Survey], past: History, positive_from: float) -> list[SurveyRow]:
    """Credit goes to the agent and team whom the vendor names, else to who held the conversation when it was rated."""
    found = []
    for survey in surveys:
        rated_at, score = (survey.answers[0][0], survey.answers[-1][1]) if survey.answers else (None, None)
        at = survey.offered_at if rated_at is None else rated_at
        found.append(
            SurveyRow(
                survey.offered_at,
                rated_at,
                score,
                survey.low,
                survey.high,
                None if score is None else verdict(score, survey.low, survey.high, positive_from),
                holding(past.agents, at)[1] if survey.agent_id is None else survey.agent_id,
                holding(past.teams, at)[1] if survey.team_id is None else survey.team_id,
            )
        )
    return found


def rating_row(surveys: Sequence[Survey], rows: Sequence[SurveyRow], positive_from: float) -> RatingRow | None:
    """The one rating of a conversation; None when no survey was answered."""
    answers = [(at, i, score) for i, survey in enumerate(surveys) for at, score in survey.answers]
    answers.sort(key=itemgetter(0))  # not by score: of two at one instant the later to arrive is the latest
    if not answers:
        return None
    (rated_at, i, first), (answered_at, j, latest) = answers[0], answers[-1]
    began = verdict(first, surveys[i].low, surveys[i].high, positive_from)
    ends = verdict(latest, surveys[j].low, surveys[j].high, positive_from)
    return RatingRow(
        rated_at,
        answered_at,
        latest,
        first,
        surveys[j].low,
        surveys[j].high,
        ends,
        began,
        int((began, ends) == ("positive", "negative")),
        int((began, ends) == ("negative", "positive")),
        rows[j].agent_id,
        rows[j].team_id,
    )
