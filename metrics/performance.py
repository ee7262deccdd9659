"""Channels and teams side by side, and how evenly the work lies. For coaching and staffing, never a ranking."""

from connector.metric import ANSWERED, Composite, Metric, Words

GROUPS = ("channel", "inbox", "handled_by", "language", "source", "team", "agent")
HEADLINES = (
    "conversation_volume", "first_response_time", "next_response_time", "resolution_time", "resolved", "reopen_rate",
    "first_contact_resolution", "backlog", "csat", "sla_attainment", "load_share", "load_spread",
)  # fmt: skip

METRICS = (
    Metric(
        key="load_share",
        title=Words("Share of the work", "Part de la charge"),
        meaning=Words(
            "The group's conversations answered by a person in the period ÷ those of all groups; one answered by two "
            "groups counts for both.",
            "Conversations du groupe auxquelles une personne a répondu dans la période ÷ celles de tous les groupes ; "
            "une conversation partagée compte pour chacun.",
        ),
        unit="percent", counts="conversation", rows=ANSWERED, aggregate="load", dimensions=GROUPS,
    ),
    Metric(
        key="load_spread",
        title=Words("Spread of the work", "Dispersion de la charge"),
        meaning=Words(
            "Standard deviation ÷ mean of the conversations answered per agent: 0 is an even load, 1 a very uneven "
            "one. n is the number of agents; none is named.",
            "Écart type ÷ moyenne des conversations traitées par agent : 0 est une charge égale, 1 très inégale. n "
            "est le nombre d'agents ; aucun n'est nommé.",
        ),
        unit="ratio", counts="conversation", rows=ANSWERED, aggregate="spread",
        dimensions=tuple(d for d in GROUPS if d != "agent"), direction="lower",
    ),
    Composite(
        key="channel_performance",
        title=Words("Channels side by side", "Performance des canaux"),
        meaning=Words(
            "The headline KPIs and the share of the work, by channel.",
            "Les indicateurs principaux et la part de la charge, par canal.",
        ),
        parts=HEADLINES, by="channel",
    ),
    Composite(
        key="team_performance",
        title=Words("Teams side by side", "Performance des équipes"),
        meaning=Words(
            "The headline KPIs, the share of the work and its spread among agents, by team: each figure credited to "
            "the team that did it, so that sums may exceed the total.",
            "Les indicateurs principaux, la part de la charge et sa dispersion entre agents, par équipe : chaque "
            "chiffre au crédit de l'équipe qui l'a fait ; les sommes peuvent dépasser le total.",
        ),
        parts=HEADLINES, by="team",
    ),
)  # fmt: skip
