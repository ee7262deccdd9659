"""Ratings and their answers. A vendor that edits an answer in place loses the old one; the store keeps both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from connector.models import Instant, Rating
from connector.store import Connection
from connector.store.counts import Counts
from connector.store.ids import Ids, Known
from connector.store.upsert import ANSWERED, OFFERED

_ANSWER = "INSERT INTO answers (rating_id, at, score, seen_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"


def save_ratings(conn: Connection, ids: Ids, placed: Known, ratings: list[Rating], seen_at: Instant) -> Counts:
    """Store ratings: new ones together, the others one by one, since each answer depends on the ones before."""
    times = Counter(r.id for r in ratings)
    stored = ids.ratings(times)
    fresh = [r for r in ratings if times[r.id] == 1 and r.id not in stored]
    _save_fresh(conn, ids, placed, fresh, seen_at)
    rest = [r for r in ratings if times[r.id] > 1 or r.id in stored]
    return Counts(len(fresh), len(fresh)) + _save_each(conn, ids, placed, rest, seen_at)


def _save_fresh(conn: Connection, ids: Ids, placed: Known, ratings: list[Rating], seen_at: Instant) -> None:
    agents = ids.of("agents", {r.agent for r in ratings})
    teams = ids.of("teams", {r.team for r in ratings})
    rows = [
        (
            *(ids.source_id, r.id, placed[r.conversation], r.low, r.high),
            *(r.offered_at, agents[r.agent], teams[r.team], r.survey, seen_at),
        )
        for r in ratings
    ]
    conn.executemany(ANSWERED, rows)
    stored = ids.ratings(r.id for r in ratings)
    conn.executemany(_ANSWER, [(stored[r.id], at, score, seen_at) for r in ratings for at, score in r.answers])


def _save_each(conn: Connection, ids: Ids, placed: Known, ratings: list[Rating], seen_at: Instant) -> Counts:
    agents = ids.of("agents", {r.agent for r in ratings})
    teams = ids.of("teams", {r.team for r in ratings})
    new = changed = 0
    for r in ratings:
        known = (r.offered_at, agents[r.agent], teams[r.team], r.survey)
        last_id = _last_id(conn)
        if r.answers:
            row = (ids.source_id, r.id, placed[r.conversation], r.low, r.high, *known, seen_at)
            written = conn.execute(ANSWERED, row).rowcount + _save_answers(conn, ids.source_id, r, seen_at)
        else:
            offer = (ids.source_id, r.id, placed[r.conversation], *known, r.low, r.high, seen_at)
            written = conn.execute(OFFERED, offer).rowcount
        is_new = _last_id(conn) > last_id
        new += is_new
        changed += written > 0 and not is_new
    return Counts(len(ratings), new, changed, len(ratings) - new - changed)


def _last_id(conn: Connection) -> int:
    return int(conn.execute("SELECT coalesce(max(id), 0) FROM ratings").fetchone()[0])


def _save_answers(conn: Connection, source_id: int, rating: Rating, seen_at: Instant) -> int:
    """How many answers were not known yet."""
    sql = "SELECT id FROM ratings WHERE source_id = ? AND vendor_id = ?"
    rating_id = conn.execute(sql, (source_id, rating.id)).fetchone()[0]
    answers: Iterable[tuple[Instant, float]] = rating.answers
    if len(rating.answers) == 1:
        sql = "SELECT at, score FROM answers WHERE rating_id = ? ORDER BY at, id"
        known = [tuple(row) for row in conn.execute(sql, (rating_id,))]
        answers = unknown_answers(known, rating.answers[0], seen_at)
    return sum(conn.execute(_ANSWER, (rating_id, at, score, seen_at)).rowcount for at, score in answers)


def unknown_answers(
    known: list[tuple[Instant, float]], answer: tuple[Instant, float], seen_at: Instant
) -> list[tuple[Instant, float]]:
    """What a vendor's only answer adds to the known ones (oldest first).

    The same instant with another score is an edit in place: it counts from when it was seen, so that the old answer
    stays true for the time before; in any case after that one, whatever our clock says.
    """
    if answer[0] not in {at for at, _ in known}:
        return [answer]
    if known[-1][1] == answer[1]:
        return []
    return [(max(seen_at, known[-1][0] + 1), answer[1])]
