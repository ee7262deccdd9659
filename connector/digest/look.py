"""Up to three conversations to look at: the longest waiting now, the worst broken promise, the lowest rating."""

from __future__ import annotations

from typing import Literal, get_args

from connector.digest.model import Look
from connector.models import Instant
from connector.period import Period
from connector.store import Connection, Row

MOST = 3
Why = Literal["waiting", "breached", "low-rated", "slow"]

# Each gives the worst first: conversation, figure, detail. The slowest answer stands in where the others find nothing.
ASKED: dict[Why, str] = {
    "waiting": """
        SELECT conversation_id, (:now - waiting_since) / 1000.0 AS figure, '' AS detail FROM fact_conversations
        WHERE excluded IS NULL AND status <> 'done' AND waiting_since < :now ORDER BY figure DESC, conversation_id
    """,
    "breached": """
        SELECT s.conversation_id, (coalesce(s.completed_at, :now) - s.due_at) / 1000.0 AS figure, s.metric AS detail
        FROM fact_sla s JOIN fact_conversations f USING (conversation_id)
        WHERE f.excluded IS NULL AND s.due_at >= :start AND s.due_at < min(:end, :now)
            AND (s.completed_at IS NULL OR s.completed_at > s.due_at) ORDER BY figure DESC, s.conversation_id
    """,
    "low-rated": """
        SELECT r.conversation_id, r.score AS figure, printf('%g–%g', r.low, r.high) AS detail
        FROM fact_ratings r JOIN fact_conversations f USING (conversation_id)
        WHERE f.excluded IS NULL AND r.verdict = 'negative' AND r.rated_at >= :start AND r.rated_at < :end
        ORDER BY (r.score - r.low) / (r.high - r.low), r.rated_at DESC, r.conversation_id
    """,
    "slow": """
        SELECT conversation_id, first_response_s AS figure, '' AS detail FROM fact_conversations
        WHERE excluded IS NULL AND direction IS NOT 'outbound' AND first_response_at >= :start
            AND first_response_at < :end ORDER BY figure DESC, conversation_id
    """,
}
NAMED = """
SELECT w.*, c.vendor_id, c.link FROM (SELECT * FROM ({sql}) LIMIT :most) w
JOIN conversations c ON c.id = w.conversation_id
"""


def to_look_at(conn: Connection, period: Period, now: Instant) -> tuple[Look, ...]:
    """One of each kind where there is one; a conversation is named once, for the first reason."""
    bound = {"now": now, "start": period.start, "end": period.end, "most": MOST}
    found: dict[int, Look] = {}
    for why in get_args(Why):
        worst = conn.execute(NAMED.format(sql=ASKED[why]), bound).fetchall()
        first = next((row for row in worst if row["conversation_id"] not in found), None)
        if first is not None and len(found) < MOST:
            found[first["conversation_id"]] = _look(why, first)
    return tuple(found.values())


def _look(why: Why, row: Row) -> Look:
    return Look(why, row["vendor_id"], row["link"], row["figure"], row["detail"])
