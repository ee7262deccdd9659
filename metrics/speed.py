"""How long customers wait, and whether promises about it were kept."""

from connector.metric import ANSWERED, CREATED, SOLVED, STOCK, Left, Metric, Rows, Target, Words

FIRST_REPLY_TARGET = Target(
    by_channel=(
        ("live_chat", 300.0), ("whatsapp", 300.0), ("sms", 300.0), ("telegram", 300.0), ("email", 14_400.0),
        ("instagram", 3600.0), ("facebook", 3600.0), ("x", 3600.0), ("linkedin", 3600.0), ("tiktok", 3600.0),
        ("youtube", 3600.0),
    )
)  # fmt: skip

FIRST_ANSWERED = Rows("fact_conversations", "c.first_response_at", "c.first_response_team_id", "c.first_responder_id")
PROMISES = Rows("fact_sla", "(CASE WHEN f.completed_at <= f.due_at THEN f.completed_at ELSE f.due_at END)")

UNANSWERED = "c.direction = 'inbound' AND c.first_asked_at IS NOT NULL AND c.first_response_at IS NULL"
AGENT_INITIATED = Left(
    "agent_initiated",
    Words("opened by us, in the period", "ouvertes par nous, dans la période"),
    "c.direction = 'outbound'",
    CREATED,
)
NOT_ANSWERED = Left(
    "unanswered",
    Words("opened in the period, no answer yet", "ouvertes dans la période, sans réponse"),
    UNANSWERED,
    CREATED,
)
WAITS_AT = (
    "EXISTS (SELECT 1 FROM fact_waits w WHERE w.conversation_id = f.conversation_id AND w.asked_at <= :at"
    " AND (w.ended_at IS NULL OR w.ended_at > :at))"
)
ASKED_AT = (
    "(SELECT min(w.asked_at) FROM fact_waits w WHERE w.conversation_id = f.conversation_id AND w.asked_at <= :at"
    " AND (w.ended_at IS NULL OR w.ended_at > :at))"
)
AT_AN_INSTANT = ("channel", "inbox", "handled_by", "language", "source", "team", "agent", "status")

METRICS = (
    Metric(
        key="first_response_time",
        title=Words("First response time", "Délai de première réponse"),
        meaning=Words(
            "From the customer's first message to the first public reply by a person after it, in the period of that "
            "reply; bots, notes, automations and campaigns do not stop the clock. Left out: conversations that we "
            "opened, and those without an answer yet.",
            "Du premier message du client à la première réponse publique d'une personne, dans la période de cette "
            "réponse ; robots, notes, automatismes et campagnes n'arrêtent pas l'horloge. Exclues : les conversations "
            "que nous avons ouvertes et celles encore sans réponse.",
        ),
        unit="seconds", counts="conversation", rows=FIRST_ANSWERED, aggregate="durations",
        value=("c.first_response_s", "c.first_response_business_s"),
        leaves_out=(NOT_ANSWERED, AGENT_INITIATED), direction="lower", target=FIRST_REPLY_TARGET, headline=True,
    ),
    Metric(
        key="first_any_response_time",
        title=Words("First response, bots included", "Première réponse, robot compris"),
        meaning=Words(
            "As first_response_time, but the first public reply by anyone stops the clock, a bot's too.",
            "Comme first_response_time, mais la première réponse publique de quiconque arrête l'horloge, robot "
            "compris.",
        ),
        unit="seconds", counts="conversation", aggregate="durations",
        rows=Rows("fact_conversations", "c.first_any_response_at", "c.team_id", "c.agent_id"),
        value=("c.first_any_response_s", "c.first_any_response_business_s"),
        leaves_out=(AGENT_INITIATED,), direction="lower",
    ),
    Metric(
        key="first_response_time_from_handoff",
        title=Words("First response after the bot handed over", "Première réponse après transfert par le robot"),
        meaning=Words(
            "From the bot's handing over to the first public reply by a person, in the period of that reply. Left "
            "out: conversations without a handover or without a reply after it.",
            "Du transfert par le robot à la première réponse publique d'une personne, dans la période de cette "
            "réponse. Exclues : les conversations sans transfert, ou sans réponse après lui.",
        ),
        unit="seconds", counts="conversation", aggregate="durations",
        rows=Rows(
            "fact_conversations", "(c.handoff_at + c.handoff_response_s * 1000)",
            "c.first_response_team_id", "c.first_responder_id",
        ),
        value=("c.handoff_response_s", "c.handoff_response_business_s"), direction="lower",
    ),
    Metric(
        key="first_response_time_zendesk",
        title=Words("First response time, Zendesk's rule", "Délai de première réponse, règle de Zendesk"),
        meaning=Words(
            "From creation to the first public reply by a person; where a person of ours opened the conversation, to "
            "the second of our messages. For comparing with Zendesk's own reports.",
            "De la création à la première réponse publique d'une personne ; si l'un de nous a ouvert la conversation, "
            "au deuxième de nos messages. Pour comparer avec les rapports de Zendesk.",
        ),
        unit="seconds", counts="conversation", aggregate="durations",
        rows=Rows(
            "fact_conversations", "(c.created_at + c.zendesk_first_response_s * 1000)", "c.team_id", "c.agent_id"
        ),
        value=("c.zendesk_first_response_s", "c.zendesk_first_response_business_s"), direction="lower",
    ),
    Metric(
        key="first_response_time_agent_initiated",
        title=Words("First response, opened by us included", "Première réponse, ouvertes par nous comprises"),
        meaning=Words(
            "As first_response_time, and in conversations that we opened from the customer's first message in them.",
            "Comme first_response_time, et dans les conversations que nous avons ouvertes, du premier message du "
            "client.",
        ),
        unit="seconds", counts="conversation", aggregate="durations",
        rows=Rows(
            "fact_conversations", "(c.first_asked_at + c.asked_first_response_s * 1000)", "c.team_id", "c.agent_id"
        ),
        value=("c.asked_first_response_s", "c.asked_first_response_business_s"), direction="lower",
    ),
    Metric(
        key="next_response_time",
        title=Words("Response time", "Délai de réponse"),
        meaning=Words(
            "For every turn of the customer, the first included: from the first message not yet answered to the next "
            "public reply by a person, in the period of that reply. An average over turns, not over conversations.",
            "Pour chaque tour de parole du client, le premier compris : du premier message sans réponse à la réponse "
            "publique suivante d'une personne, dans la période de cette réponse. Une moyenne des tours, pas des "
            "conversations.",
        ),
        unit="seconds", counts="event", rows=ANSWERED, aggregate="durations",
        value=("f.response_s", "f.response_business_s"), direction="lower", headline=True,
    ),
    Metric(
        key="next_response_time_after_first",
        title=Words("Response time after the first", "Délai de réponse suivant le premier"),
        meaning=Words(
            "As next_response_time, without each conversation's first turn.",
            "Comme next_response_time, sans le premier tour de chaque conversation.",
        ),
        unit="seconds", counts="event", rows=ANSWERED, aggregate="durations", where="f.first = 0",
        value=("f.response_s", "f.response_business_s"), direction="lower",
    ),
    Metric(
        key="next_response_time_from_last",
        title=Words("Response time from the last message", "Délai de réponse depuis le dernier message"),
        meaning=Words(
            "As next_response_time, but counted from the customer's last message before the reply: shorter figures "
            "for the same facts, as some tools print.",
            "Comme next_response_time, mais compté du dernier message du client avant la réponse : des chiffres plus "
            "courts pour les mêmes faits, comme certains outils les affichent.",
        ),
        unit="seconds", counts="event", rows=ANSWERED, aggregate="durations",
        value=("f.from_last_s", "f.from_last_business_s"), direction="lower",
    ),
    Metric(
        key="team_response_time",
        title=Words("Team's response time", "Délai de réponse de l'équipe"),
        meaning=Words(
            "As next_response_time, but from the later of the question and its assignment to the team that answered.",
            "Comme next_response_time, mais depuis l'arrivée de la question dans l'équipe qui a répondu, si elle est "
            "plus tardive que la question.",
        ),
        unit="seconds", counts="event", rows=ANSWERED, aggregate="durations",
        value=("f.team_response_s", "f.team_response_business_s"), direction="lower",
    ),
    Metric(
        key="resolution_time",
        title=Words("Resolution time (first)", "Temps de résolution (première)"),
        meaning=Words(
            "From creation to the first time the conversation was done, in the period of that solve. Left out: what "
            "was never done, merged or removed.",
            "De la création à la première résolution, dans la période de celle-ci. Exclues : les conversations jamais "
            "résolues, fusionnées ou retirées.",
        ),
        unit="seconds", counts="conversation", rows=SOLVED, aggregate="durations", where="f.seq = 1",
        value=("c.first_resolution_s", "c.first_resolution_business_s"), direction="lower", headline=True,
    ),
    Metric(
        key="full_resolution_time",
        title=Words("Resolution time (full)", "Temps de résolution (complète)"),
        meaning=Words(
            "From creation to the last time the conversation was done, reopenings and the time done in between "
            "included, in the period of that solve. Left out: conversations that are open again.",
            "De la création à la dernière résolution, réouvertures et temps résolu entre-temps compris, dans la "
            "période de celle-ci. Exclues : les conversations rouvertes et non résolues depuis.",
        ),
        unit="seconds", counts="conversation", rows=SOLVED, aggregate="durations", where="f.last = 1",
        value=("c.full_resolution_s", "c.full_resolution_business_s"), direction="lower",
    ),
    Metric(
        key="open_time",
        title=Words("Time open", "Temps ouvert"),
        meaning=Words(
            "As full_resolution_time, without the time in which the conversation was done.",
            "Comme full_resolution_time, sans le temps pendant lequel la conversation était résolue.",
        ),
        unit="seconds", counts="conversation", rows=SOLVED, aggregate="durations", where="f.last = 1",
        value=("c.open_s", "c.open_business_s"), direction="lower",
    ),
    Metric(
        key="episode_time",
        title=Words("Resolution time per episode", "Temps de résolution par épisode"),
        meaning=Words(
            "From each opening or reopening to the solve that ended it, in the period of the solve: a conversation "
            "reopened once counts twice.",
            "De chaque ouverture ou réouverture à la résolution qui y met fin, dans la période de celle-ci : une "
            "conversation rouverte une fois compte deux fois.",
        ),
        unit="seconds", counts="event", rows=SOLVED, aggregate="durations",
        value=("f.episode_s", "f.episode_business_s"), direction="lower",
    ),
    Metric(
        key="unanswered",
        title=Words("Unanswered", "Sans réponse"),
        meaning=Words(
            "Conversations opened by customers in the period to which no person has replied so far, open or not.",
            "Conversations ouvertes par des clients dans la période, auxquelles personne n'a encore répondu, ouvertes "
            "ou non.",
        ),
        unit="count", counts="conversation", rows=CREATED, aggregate="count", where=UNANSWERED, direction="lower",
    ),
    Metric(
        key="waiting_now",
        title=Words("Waiting for us", "En attente de notre réponse"),
        meaning=Words(
            "Open conversations in which a customer's message was without a person's answer at the end of the period, "
            "or now.",
            "Conversations ouvertes où un message du client était sans réponse d'une personne à la fin de la période, "
            "ou maintenant.",
        ),
        unit="count", counts="conversation", rows=STOCK, aggregate="stock", where=WAITS_AT, value=("f.from_at",),
        dimensions=AT_AN_INSTANT, direction="lower",
    ),
    Metric(
        key="waiting_time",
        title=Words("Waiting so far", "Attente en cours"),
        meaning=Words(
            "How long those of waiting_now had been waiting at that instant. Calendar time.",
            "Depuis combien de temps celles de waiting_now attendaient à cet instant. Temps calendaire.",
        ),
        unit="seconds", counts="conversation", rows=STOCK, aggregate="ages", where=WAITS_AT, value=(ASKED_AT,),
        dimensions=AT_AN_INSTANT, direction="lower",
    ),
    Metric(
        key="sla_attainment",
        title=Words("Promises kept (SLA)", "Respect des engagements (SLA)"),
        meaning=Words(
            "Of the promises that came due, the share kept in time; exactly on time is kept. A kept one counts when "
            "it was kept, a broken one when it fell due, answered since or not. Left out: promises still running.",
            "Part des engagements tenus parmi ceux échus ; pile à l'heure est tenu. Un engagement tenu compte à sa "
            "date de réalisation, un manqué à son échéance, qu'on ait répondu depuis ou non. Exclus : ceux qui "
            "courent encore.",
        ),
        unit="percent", counts="event", rows=PROMISES, aggregate="share",
        where="f.completed_at <= f.due_at OR f.due_at < :now", positive="f.completed_at <= f.due_at",
        leaves_out=(
            Left(
                "active", Words("still running", "en cours"), "f.completed_at IS NULL AND f.due_at >= :now",
                Rows("fact_sla", "f.due_at"),
            ),
        ),
        split=("promise",), direction="higher", headline=True, uses_calendar=True,
    ),
)  # fmt: skip
