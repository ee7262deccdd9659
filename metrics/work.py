"""What came in, what got done, how often it came back, and what lies open."""

from connector.metric import CREATED, REOPENED, SOLVED, STOCK, Left, Metric, Over, Words, known

LAST_SOLVE = (
    "NOT EXISTS (SELECT 1 FROM fact_episodes e WHERE e.conversation_id = f.conversation_id"
    " AND e.seq > f.seq AND e.resolved_at < :end)"
)
CUSTOMERS = "c.direction = 'inbound'"
OF_CONVERSATION = ("channel", "inbox", "handled_by", "language", "source", "team", "agent")
OVER_DAYS = (*OF_CONVERSATION, "status", "day", "week", "month")
OUTBOUND = Left("agent_initiated", Words("opened by us", "ouvertes par nous"), "c.direction = 'outbound'")
SILENT = Left("silent", Words("without a message", "sans message"), "c.direction IS NULL")
ANSWERED_SOLVE = f"{LAST_SOLVE} AND {CUSTOMERS} AND c.first_response_at IS NOT NULL"
NOT_ANSWERED = Left(
    "unanswered",
    Words("solved without a person's reply", "résolues sans réponse d'une personne"),
    f"{LAST_SOLVE} AND {CUSTOMERS} AND c.first_response_at IS NULL",
)
SOLVED_OUTBOUND = Left(
    "agent_initiated", Words("opened by us", "ouvertes par nous"), f"{LAST_SOLVE} AND c.direction = 'outbound'"
)
YOUNG = Left(
    "provisional",
    Words("solved less than 7 days ago, may still come back", "résolues depuis moins de 7 jours, peuvent revenir"),
    f"{ANSWERED_SOLVE} AND f.resolved_at > :now - 7 * 86400000",
    kept=True,
)
NO_REPEAT = (
    "NOT EXISTS (SELECT 1 FROM fact_conversations d WHERE d.contact_id = c.contact_id"
    " AND d.conversation_id <> c.conversation_id AND d.direction = 'inbound' AND d.excluded IS NULL"
    " AND d.created_at > f.resolved_at AND d.created_at <= f.resolved_at + 7 * 86400000)"
)
LAST_WORD = (
    "CASE WHEN c.last_customer_at <= :at THEN c.last_customer_at ELSE (SELECT max(m.at) FROM messages m"
    " WHERE m.conversation_id = f.conversation_id AND m.author = 'customer' AND m.public AND m.kind = 'message'"
    f" AND m.at <= :at AND {known('m', 'm')}) END"
)

METRICS = (
    Metric(
        key="conversation_volume",
        title=Words("Conversations opened", "Volume de conversations"),
        meaning=Words(
            "Conversations that customers opened in the period. Left out: those that we opened, merged, deleted and "
            "spam.",
            "Conversations ouvertes par des clients dans la période. Exclues : celles que nous avons ouvertes, les "
            "fusionnées, supprimées et indésirables.",
        ),
        unit="count", counts="conversation", rows=CREATED, aggregate="count", where=CUSTOMERS,
        leaves_out=(OUTBOUND, SILENT), headline=True,
    ),
    Metric(
        key="conversation_volume_outbound",
        title=Words("Conversations opened by us", "Conversations ouvertes par nous"),
        meaning=Words(
            "Conversations that we opened in the period, answered or not.",
            "Conversations que nous avons ouvertes dans la période, avec ou sans réponse.",
        ),
        unit="count", counts="conversation", rows=CREATED, aggregate="count", where="c.direction = 'outbound'",
    ),
    Metric(
        key="volume_trend",
        title=Words("Volume, change", "Volume, tendance"),
        meaning=Words(
            "(This − previous) ÷ previous conversation_volume, against the period of the same length and weekdays "
            "before. None when there were none before, and while the period is not over.",
            "(Cette période − la précédente) ÷ la précédente, sur la période précédente de même durée et aux mêmes "
            "jours de la semaine. Rien si la précédente est vide, ou tant que la période n'est pas finie.",
        ),
        unit="ratio", counts="conversation", rows=CREATED, aggregate="trend", where=CUSTOMERS,
        dimensions=OF_CONVERSATION, leaves_out=(OUTBOUND, SILENT), headline=True,
    ),
    Metric(
        key="resolved",
        title=Words("Resolved", "Conversations résolues"),
        meaning=Words(
            "Conversations done in the period, each once, at its last solve in the period; credited to who solved it.",
            "Conversations résolues dans la période, une fois chacune, à leur dernière résolution dans la période ; "
            "au crédit de qui l'a faite.",
        ),
        unit="count", counts="conversation", rows=SOLVED, aggregate="count", where=LAST_SOLVE, direction="higher",
        headline=True,
    ),
    Metric(
        key="resolved_events",
        title=Words("Resolutions", "Résolutions"),
        meaning=Words(
            "Every solve in the period, so that a conversation solved again counts again.",
            "Chaque résolution dans la période : une conversation résolue deux fois compte deux fois.",
        ),
        unit="count", counts="event", rows=SOLVED, aggregate="count", direction="higher",
    ),
    Metric(
        key="resolved_per_business_day",
        title=Words("Resolved per business day", "Résolues par jour ouvré"),
        meaning=Words(
            "resolved ÷ the local days of the period so far that had any opening hours, holidays left out; a half day "
            "counts as one. None without opening hours or without such a day.",
            "resolved ÷ les jours de la période, jusqu'à présent, qui ont eu des heures d'ouverture, hors jours "
            "fériés ; une demi-journée compte pour une. Rien sans heures d'ouverture ou sans un tel jour.",
        ),
        unit="per_day", counts="conversation", rows=SOLVED, aggregate="per_day", where=LAST_SOLVE,
        dimensions=OF_CONVERSATION, direction="higher", uses_calendar=True,
    ),
    Metric(
        key="reopens",
        title=Words("Reopenings", "Réouvertures"),
        meaning=Words(
            "How often a conversation that was done came back in the period.",
            "Nombre de fois où une conversation résolue est revenue dans la période.",
        ),
        unit="count", counts="event", rows=REOPENED, aggregate="count", direction="lower",
    ),
    Metric(
        key="reopens_needing_reply",
        title=Words("Reopenings with a new request", "Réouvertures avec une nouvelle demande"),
        meaning=Words(
            "As reopens, without those solved again with no public reply, such as a customer's thanks.",
            "Comme reopens, sans celles résolues à nouveau sans réponse publique, comme un merci du client.",
        ),
        unit="count", counts="event", rows=REOPENED, aggregate="count", where="f.needing_reply = 1",
        direction="lower",
    ),
    Metric(
        key="reopen_rate",
        title=Words("Reopen rate", "Taux de réouverture"),
        meaning=Words(
            "Conversations reopened at least once in the period ÷ conversations resolved in the period. Not all of "
            "the former are among the latter, so there is no interval.",
            "Conversations rouvertes au moins une fois dans la période ÷ conversations résolues dans la période. Les "
            "unes ne sont pas toutes parmi les autres : pas d'intervalle.",
        ),
        unit="percent", counts="conversation", rows=REOPENED, aggregate="rates",
        over=Over(SOLVED, LAST_SOLVE), direction="lower", headline=True,
    ),
    Metric(
        key="agent_touches",
        title=Words("Replies per resolved conversation", "Touches de l'agent"),
        meaning=Words(
            "Public replies by people ÷ conversations resolved in the period; a message of ours that opened the "
            "conversation is not a reply.",
            "Réponses publiques de personnes ÷ conversations résolues dans la période ; notre message d'ouverture "
            "n'est pas une réponse.",
        ),
        unit="ratio", counts="conversation", rows=SOLVED, aggregate="mean", where=LAST_SOLVE,
        value=("c.agent_replies",), direction="lower",
    ),
    Metric(
        key="one_touch_rate",
        title=Words("Solved with one reply", "Résolues en une réponse"),
        meaning=Words(
            "Of the conversations that customers opened, a person answered and that were resolved in the period: "
            "those done with exactly one public reply.",
            "Parmi les conversations ouvertes par des clients, avec réponse d'une personne et résolues dans la "
            "période : celles résolues avec exactement une réponse publique.",
        ),
        unit="percent", counts="conversation", rows=SOLVED, aggregate="share", where=ANSWERED_SOLVE,
        positive="c.one_touch = 1", leaves_out=(NOT_ANSWERED, SOLVED_OUTBOUND), direction="higher",
    ),
    Metric(
        key="first_contact_resolution",
        title=Words("First contact resolution", "Résolution au premier contact"),
        meaning=Words(
            "Of the conversations that customers opened, a person answered and that were resolved in the period: "
            "those done with one turn of replies and no reopening that needed another. Solves younger than 7 days are "
            "provisional.",
            "Parmi les conversations ouvertes par des clients, avec réponse d'une personne et résolues dans la "
            "période : celles résolues en un seul tour de réponses, sans réouverture qui en demandait une autre. "
            "Provisoire pendant 7 jours.",
        ),
        unit="percent", counts="conversation", rows=SOLVED, aggregate="share", where=ANSWERED_SOLVE,
        positive="c.first_contact_resolution = 1", leaves_out=(NOT_ANSWERED, SOLVED_OUTBOUND, YOUNG),
        direction="higher", headline=True,
    ),
    Metric(
        key="first_contact_resolution_repeat_window",
        title=Words("First contact resolution, no repeat", "Résolution au premier contact, sans récidive"),
        meaning=Words(
            "As first_contact_resolution, and the same customer opened no other conversation within 7 days after the "
            "solve.",
            "Comme first_contact_resolution, et le même client n'a ouvert aucune autre conversation dans les 7 jours "
            "suivants.",
        ),
        unit="percent", counts="conversation", rows=SOLVED, aggregate="share", where=ANSWERED_SOLVE,
        positive=f"c.first_contact_resolution = 1 AND {NO_REPEAT}", leaves_out=(NOT_ANSWERED, SOLVED_OUTBOUND, YOUNG),
        direction="higher",
    ),
    Metric(
        key="backlog",
        title=Words("Backlog", "Stock en attente"),
        meaning=Words(
            "Conversations not done at the end of the period (or of each day), or now if it is not over; pending and "
            "snoozed ones included. Credited to their owner then.",
            "Conversations non résolues à la fin de la période (ou de chaque jour), ou maintenant si elle n'est pas "
            "finie ; en attente et reportées comprises. Au crédit de leur responsable d'alors.",
        ),
        unit="count", counts="conversation", rows=STOCK, aggregate="stock", value=("f.from_at",), dimensions=OVER_DAYS,
        direction="lower", headline=True,
    ),
    Metric(
        key="backlog_age",
        title=Words("Age of the backlog", "Âge du stock"),
        meaning=Words(
            "How long ago the conversations of backlog were created, at that instant. Calendar time.",
            "Depuis combien de temps les conversations de backlog existaient à cet instant. Temps calendaire.",
        ),
        unit="seconds", counts="conversation", rows=STOCK, aggregate="ages", value=("c.created_at",),
        dimensions=OVER_DAYS, direction="lower",
    ),
    Metric(
        key="backlog_age_since_customer",
        title=Words("Backlog since the customer last wrote", "Stock depuis le dernier message du client"),
        meaning=Words(
            "How long ago the customers of backlog last wrote, at that instant. Calendar time. Left out: "
            "conversations in which the customer had not written.",
            "Depuis combien de temps les clients de backlog n'avaient pas écrit à cet instant. Temps calendaire. "
            "Exclues : les conversations où le client n'avait pas écrit.",
        ),
        unit="seconds", counts="conversation", rows=STOCK, aggregate="ages", value=(LAST_WORD,),
        dimensions=(*OF_CONVERSATION, "status"), direction="lower",
    ),
)  # fmt: skip
