"""What bots settled, handed over, and left customers alone with. None of these should be read without the others."""

from connector.metric import CREATED, Left, Metric, Target, Words, known

WITH_BOT = "c.bot = 1"
CONTAINED = "c.bot = 1 AND c.escalated = 0"
OVER = "(c.status = 'done' OR c.last_customer_at < :now - 86400000)"
ENDED = "coalesce(c.last_done_at, c.last_customer_at)"
NOT_BACK = (
    "NOT EXISTS (SELECT 1 FROM fact_conversations d WHERE d.contact_id = c.contact_id"
    " AND d.conversation_id <> c.conversation_id AND d.direction = 'inbound' AND d.excluded IS NULL"
    f" AND d.created_at > c.created_at AND d.created_at <= {ENDED} + 3 * 86400000)"
)
NOT_BAD = (
    "NOT coalesce((SELECT w.score <= r.low + 0.4 * (r.high - r.low) FROM ratings r JOIN answers w ON w.rating_id = r.id"
    f" WHERE r.conversation_id = c.conversation_id AND w.at <= :now AND {known('w', 'r')}"
    " ORDER BY w.at DESC, w.id DESC LIMIT 1), 0)"
)
"""By the latest answer, on the lower 40 % of its scale: the facts know only ratings of the team, not those of a bot."""
YOUNG = Left(
    "provisional",
    Words("over for less than 3 days, may still come back", "terminées depuis moins de 3 jours, peuvent revenir"),
    f"c.bot = 1 AND {ENDED} > :now - 3 * 86400000",
    kept=True,
)

METRICS = (
    Metric(
        key="self_service_rate",
        title=Words("Self-service", "Engagement en libre-service"),
        meaning=Words(
            "Of all conversations that customers opened in the period, those that a bot took part in and no person. "
            "Includes customers who gave up: see bot_abandoned_rate.",
            "Parmi toutes les conversations ouvertes par des clients dans la période, celles où un robot est "
            "intervenu et personne d'autre. Comprend les clients qui ont renoncé : voir bot_abandoned_rate.",
        ),
        unit="percent", counts="conversation", rows=CREATED, aggregate="share", where="c.direction = 'inbound'",
        positive=CONTAINED, direction="higher", target=Target(30.0), headline=True,
    ),
    Metric(
        key="bot_containment",
        title=Words("Contained by the bot", "Contenues par le robot"),
        meaning=Words(
            "Of the conversations opened in the period in which a bot wrote, those neither handed over nor with a "
            "public message by a person. Includes customers who gave up.",
            "Parmi les conversations ouvertes dans la période où un robot a écrit, celles sans transfert ni message "
            "public d'une personne. Comprend les clients qui ont renoncé.",
        ),
        unit="percent", counts="conversation", rows=CREATED, aggregate="share", where=WITH_BOT,
        positive=CONTAINED, direction="higher",
    ),
    Metric(
        key="escalation_rate",
        title=Words("Escalated to a person", "Taux d'escalade vers un humain"),
        meaning=Words(
            "Of the conversations opened in the period in which a bot wrote, those that went to a person; with "
            "bot_containment it makes 100.",
            "Parmi les conversations ouvertes dans la période où un robot a écrit, celles passées à une personne ; "
            "avec bot_containment, le total fait 100.",
        ),
        unit="percent", counts="conversation", rows=CREATED, aggregate="share", where=WITH_BOT,
        positive="c.escalated = 1", direction="lower", headline=True,
    ),
    Metric(
        key="bot_abandoned_rate",
        title=Words("Left alone with the bot", "Abandons face au robot"),
        meaning=Words(
            "Of the conversations opened in the period in which a bot wrote, those without a person in which the "
            "customer's last message stayed unanswered.",
            "Parmi les conversations ouvertes dans la période où un robot a écrit, celles sans personne où le dernier "
            "message du client est resté sans réponse.",
        ),
        unit="percent", counts="conversation", rows=CREATED, aggregate="share", where=WITH_BOT,
        positive="c.abandoned = 1", direction="lower",
    ),
    Metric(
        key="bot_resolution",
        title=Words("Resolved by the bot", "Taux de résolution du robot"),
        meaning=Words(
            "Of the conversations opened in the period in which a bot wrote: no person, done or 24 hours silent, not "
            "rated bad, and the same customer did not open another within 72 hours.",
            "Parmi les conversations ouvertes dans la période où un robot a écrit : sans personne, résolues ou "
            "silencieuses depuis 24 heures, non mal notées, et le même client n'en a pas ouvert d'autre dans les 72 "
            "heures.",
        ),
        unit="percent", counts="conversation", rows=CREATED, aggregate="share", where=WITH_BOT,
        positive=f"{CONTAINED} AND {OVER} AND {NOT_BACK} AND {NOT_BAD}",
        leaves_out=(YOUNG,), direction="higher", version=2,
    ),
)  # fmt: skip
