"""What customers answered when they were asked. The raw score and its scale are always kept."""

from connector.metric import OFFERED, RATED, SOLVED, Left, Metric, Rows, Target, Words

ANSWERED_SURVEYS = Rows("fact_surveys", "f.rated_at")
CHANGED = Rows("fact_ratings", "f.answered_at")
LAST_SOLVE = (
    "NOT EXISTS (SELECT 1 FROM fact_episodes e WHERE e.conversation_id = f.conversation_id"
    " AND e.seq > f.seq AND e.resolved_at < :end)"
)
TELLS_OFFERS = (
    "c.source_id IN (SELECT w.source_id FROM fact_surveys s JOIN fact_conversations w USING (conversation_id)"
    " WHERE s.offered_at IS NOT NULL)"
)
"""A source that never tells of an offer may have asked everybody: its share is not 0, it is unknown."""

METRICS = (
    Metric(
        key="csat",
        title=Words("Customer satisfaction (CSAT)", "Satisfaction client (CSAT)"),
        meaning=Words(
            "Positive ÷ rated conversations. Each conversation counts once, with its latest answer, at the date of "
            "its first, for the agent and team whom that answer rates. On 1–5, 4 and 5 are positive; neutral answers "
            "count below the line.",
            "Positives ÷ conversations notées. Chaque conversation compte une fois, avec sa dernière réponse, à la "
            "date de la première, pour l'agent et l'équipe que cette réponse note. Sur 1–5, 4 et 5 sont positifs ; "
            "les neutres comptent au dénominateur.",
        ),
        unit="percent", counts="conversation", rows=RATED, aggregate="share", positive="f.verdict = 'positive'",
        direction="higher", target=Target(80.0), headline=True,
    ),
    Metric(
        key="csat_mean",
        title=Words("Mean rating", "CSAT moyen"),
        meaning=Words(
            "Mean of the scores that csat counts, on the scale they were asked on: one figure per scale, never a "
            "mixture. The interval is Student's.",
            "Moyenne des notes que csat compte, sur l'échelle où elles ont été demandées : un chiffre par échelle, "
            "jamais un mélange. L'intervalle est celui de Student.",
        ),
        unit="score", counts="conversation", rows=RATED, aggregate="mean", value=("f.score",), split=("scale",),
        direction="higher",
    ),
    Metric(
        key="csat_response_rate",
        title=Words("Surveys answered", "Taux de réponse aux enquêtes"),
        meaning=Words(
            "Of the surveys offered in the period, those ever answered. Left out: answers without an offer, which "
            "csat counts.",
            "Parmi les enquêtes proposées dans la période, celles qui ont reçu une réponse à ce jour. Exclues : les "
            "réponses sans proposition, que csat compte.",
        ),
        unit="percent", counts="event", rows=OFFERED, aggregate="share", positive="f.rated_at IS NOT NULL",
        leaves_out=(
            Left(
                "not_offered", Words("answered without an offer", "réponses sans proposition"), "f.offered_at IS NULL",
                ANSWERED_SURVEYS,
            ),
        ),
        direction="higher", headline=True,
    ),
    Metric(
        key="csat_asked_rate",
        title=Words("Customers asked", "Taux de proposition d'enquête"),
        meaning=Words(
            "Of the conversations resolved in the period, those in which a survey was offered at any time. Left out: "
            "sources that never tell of an offer.",
            "Parmi les conversations résolues dans la période, celles où une enquête a été proposée à un moment "
            "quelconque. Exclues : les sources qui n'annoncent aucune proposition.",
        ),
        unit="percent", counts="conversation", rows=SOLVED, aggregate="share", where=f"{LAST_SOLVE} AND {TELLS_OFFERS}",
        positive="EXISTS (SELECT 1 FROM fact_surveys s WHERE s.conversation_id = f.conversation_id"
        " AND s.offered_at IS NOT NULL)",
    ),
    Metric(
        key="csat_per_survey",
        title=Words("CSAT per survey", "CSAT par enquête"),
        meaning=Words(
            "Positive ÷ answered surveys, so that a conversation asked twice counts twice, at the date of each answer.",
            "Positives ÷ enquêtes répondues : une conversation interrogée deux fois compte deux fois, à la date de "
            "chaque réponse.",
        ),
        unit="percent", counts="event", rows=ANSWERED_SURVEYS, aggregate="share", positive="f.verdict = 'positive'",
        direction="higher",
    ),
    Metric(
        key="csat_good_to_bad",
        title=Words("Ratings turned bad", "Notes devenues mauvaises"),
        meaning=Words(
            "Conversations whose rating went from positive to negative, at the date of the latest answer.",
            "Conversations dont la note est passée de positive à négative, à la date de la dernière réponse.",
        ),
        unit="count", counts="conversation", rows=CHANGED, aggregate="count", where="f.good_to_bad = 1",
        direction="lower",
    ),
    Metric(
        key="csat_bad_to_good",
        title=Words("Ratings turned good", "Notes devenues bonnes"),
        meaning=Words(
            "Conversations whose rating went from negative to positive, at the date of the latest answer.",
            "Conversations dont la note est passée de négative à positive, à la date de la dernière réponse.",
        ),
        unit="count", counts="conversation", rows=CHANGED, aggregate="count", where="f.bad_to_good = 1",
        direction="higher",
    ),
)  # fmt: skip
