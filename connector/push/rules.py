"""What is worth pointing at: rules as data. Each is a question to the fact tables and a sentence with its figures.

A rule's SQL gives, per conversation, ``at`` (the event's instant: of a wait, when it passed its limit), ``since`` and
``until`` (what was measured; until NULL while it goes on), ``figure``, ``threshold`` and ``what``. It may use :over_ms
and, for what goes on, the table ``known``: up to which ``now`` a ``source_id`` has been read. A reply that came after
that is not known, so nobody is told of a longer wait. Durations are in calendar time, because a rule also looks at
waits that have not ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from connector.config import Config, Rule, did_you_mean
from connector.errors import ConfigError
from connector.language import duration, moment, number
from connector.models import Instant
from connector.store import Connection, Row


@dataclass(frozen=True)
class Kind:
    """A rule that can be turned on. Texts are per language; ``says`` is (ended, going on); ``over_s`` the default."""

    name: str
    title: Mapping[str, str]
    meaning: Mapping[str, str]
    says: Mapping[str, tuple[str, str]]
    how: Mapping[str, str]
    unit: Literal["duration", "count", "score"]
    sql: str
    over_s: float | None = None


class Match(NamedTuple):
    """A conversation that a rule points at. ``reason`` and ``how`` are sentences; ``tags`` as last read."""

    at: Instant
    rule: Rule
    kind: Kind
    conversation_id: int
    conversation: str
    service: str
    tags: tuple[str, ...]
    link: str | None
    reason: str
    how: str


SLOW = Kind(
    "slow-first-response",
    {"en": "Slow first response", "fr": "Première réponse lente"},
    {
        "en": "The first public human reply came later than `over` after the first customer message, or is still "
        "awaited after that long. Left out: conversations that we began, removed ones.",
        "fr": "La première réponse humaine publique est arrivée plus de `over` après le premier message du client, ou "
        "se fait attendre depuis plus longtemps. Exclus : conversations à notre initiative, conversations supprimées.",
    },
    {
        "en": ("first human reply after {figure} (limit {over})", "no human reply for {figure} (limit {over})"),
        "fr": (
            "première réponse humaine après {figure} (limite {over})",
            "sans réponse humaine depuis {figure} (limite {over})",
        ),
    },
    {
        "en": "From the first customer message ({since}) to the first public human reply ({until}), in calendar time.",
        "fr": "Du premier message du client ({since}) à la première réponse humaine publique ({until}), en temps réel.",
    },
    "duration",
    """
    SELECT conversation_id, first_asked_at + :over_ms AS at, first_asked_at AS since,
        first_response_at AS until, coalesce(first_response_s, (known.now - first_asked_at) / 1000.0) AS figure,
        :over_ms / 1000.0 AS threshold, NULL AS what
    FROM fact_conversations JOIN known USING (source_id)
    WHERE excluded IS NULL AND direction IS NOT 'outbound' AND first_asked_at IS NOT NULL
        AND (first_response_s > :over_ms / 1000.0
             OR first_response_at IS NULL AND waiting_since IS NOT NULL AND known.now - first_asked_at > :over_ms)
    """,
    over_s=4 * 3600,
)

BREACHED = Kind(
    "sla-breached",
    {"en": "Promise broken", "fr": "Engagement non tenu"},
    {
        "en": "A target that was in force when the conversation was opened was due and not met in time; of several, "
        "the one that is latest.",
        "fr": "Un engagement en vigueur à l'ouverture de la conversation est arrivé à échéance sans être tenu ; de "
        "plusieurs, celui qui a le plus de retard.",
    },
    {
        "en": ("{what} {figure} late (promised within {over})", "{what} {figure} overdue (promised within {over})"),
        "fr": (
            "{what} avec {figure} de retard (promis sous {over})",
            "{what} en retard de {figure} (promis sous {over})",
        ),
    },
    {
        "en": "From the instant it was due ({since}) to its completion ({until}).",
        "fr": "De l'échéance ({since}) à l'accomplissement ({until}).",
    },
    "duration",
    """
    SELECT s.conversation_id, s.due_at AS at, s.due_at AS since, s.completed_at AS until,
        max((coalesce(s.completed_at, known.now) - s.due_at) / 1000.0) AS figure, s.target_s AS threshold,
        s.metric AS what
    FROM fact_sla s JOIN fact_conversations f USING (conversation_id) JOIN known ON known.source_id = f.source_id
    WHERE f.excluded IS NULL AND s.due_at < known.now AND (s.completed_at IS NULL OR s.completed_at > s.due_at)
        AND s.due_at >= :from
    GROUP BY s.conversation_id
    """,
)

REOPENED = Kind(
    "reopened",
    {"en": "Reopened", "fr": "Rouverte"},
    {
        "en": "The conversation was resolved and came back.",
        "fr": "La conversation était résolue et elle est revenue.",
    },
    {
        "en": ("came back after it was resolved; reopenings: {figure}",) * 2,
        "fr": ("revenue après avoir été résolue ; réouvertures : {figure}",) * 2,
    },
    {
        "en": "Counted: changes from resolved to any other status; the latest on {since}.",
        "fr": "Comptés : les passages de « résolue » à un autre statut ; le dernier le {since}.",
    },
    "count",
    """
    SELECT e.conversation_id, max(e.opened_at) AS at, e.opened_at AS since, NULL AS until, f.reopens AS figure,
        NULL AS threshold, NULL AS what
    FROM fact_episodes e JOIN fact_conversations f USING (conversation_id)
    WHERE f.excluded IS NULL AND e.seq > 1 GROUP BY e.conversation_id
    """,
)

LOW = Kind(
    "low-rating",
    {"en": "Low rating", "fr": "Mauvaise note"},
    {
        "en": "The customer's latest rating of the conversation is negative on the scale it was asked on.",
        "fr": "La dernière note du client sur la conversation est négative, sur l'échelle de l'enquête.",
    },
    {
        "en": ("rated {figure} on a scale of {what}",) * 2,
        "fr": ("notée {figure} sur une échelle de {what}",) * 2,
    },
    {
        "en": "The customer's latest answer, given on {since}.",
        "fr": "Dernière réponse du client, donnée le {since}.",
    },
    "score",
    """
    SELECT r.conversation_id, r.answered_at AS at, r.answered_at AS since, NULL AS until, r.score AS figure,
        NULL AS threshold, printf('%g–%g', r.low, r.high) AS what
    FROM fact_ratings r JOIN fact_conversations f USING (conversation_id)
    WHERE f.excluded IS NULL AND r.verdict = 'negative'
    """,
)

UNANSWERED = Kind(
    "unanswered",
    {"en": "Unanswered", "fr": "Sans réponse"},
    {
        "en": "The customer spoke last and has been waiting for a human longer than `over`, in a conversation that is "
        "not done.",
        "fr": "Le client a parlé en dernier et attend un humain depuis plus de `over`, dans une conversation non "
        "terminée.",
    },
    {
        "en": ("the customer has been waiting for {figure} (limit {over})",) * 2,
        "fr": ("le client attend depuis {figure} (limite {over})",) * 2,
    },
    {
        "en": "From the first unanswered customer message ({since}) to {until}, in calendar time.",
        "fr": "Du premier message du client resté sans réponse ({since}) à {until}, en temps réel.",
    },
    "duration",
    """
    SELECT conversation_id, waiting_since + :over_ms AS at, waiting_since AS since, NULL AS until,
        (known.now - waiting_since) / 1000.0 AS figure, :over_ms / 1000.0 AS threshold, NULL AS what
    FROM fact_conversations JOIN known USING (source_id)
    WHERE excluded IS NULL AND status <> 'done' AND waiting_since IS NOT NULL
        AND known.now - waiting_since > :over_ms
    """,
    over_s=24 * 3600,
)

ABANDONED = Kind(
    "bot-abandoned",
    {"en": "Left alone with the bot", "fr": "Abandonnée avec le robot"},
    {
        "en": "A bot took part, no human ever wrote, and the customer's last message was left unanswered.",
        "fr": "Un robot a participé, aucun humain n'a écrit, et le dernier message du client est resté sans réponse.",
    },
    {
        "en": ("the customer's last message to the bot was never answered",) * 2,
        "fr": ("le dernier message du client au robot est resté sans réponse",) * 2,
    },
    {
        "en": "The customer's last message is of {since}; no public reply follows it.",
        "fr": "Le dernier message du client est du {since} ; aucune réponse publique ne le suit.",
    },
    "count",
    """
    SELECT conversation_id, last_customer_at AS at, last_customer_at AS since, NULL AS until, 1 AS figure,
        NULL AS threshold, NULL AS what
    FROM fact_conversations WHERE excluded IS NULL AND abandoned = 1
    """,
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (SLOW, BREACHED, REOPENED, LOW, UNANSWERED, ABANDONED)}

PROMISED = {
    "en": {
        "first_response_time": "first response",
        "next_response_time": "next response",
        "resolution_time": "resolution",
    },
    "fr": {
        "first_response_time": "première réponse",
        "next_response_time": "réponse suivante",
        "resolution_time": "résolution",
    },
}
NOT_YET = {"en": "not yet, {now}", "fr": "pas encore, {now}"}

ALL = """
WITH known AS (SELECT id AS source_id, min(:now, coalesce(last_synced_at, :now)) AS now FROM sources)
SELECT m.*, c.vendor_id, c.tags, c.link, s.name AS service, known.now FROM ({sql}) m
JOIN conversations c ON c.id = m.conversation_id JOIN sources s ON s.id = c.source_id JOIN known USING (source_id)
WHERE m.at >= :from AND m.at <= :now ORDER BY m.at DESC, c.id
"""


def kind_of(rule: Rule) -> Kind:
    """ConfigError, with a did-you-mean, for a rule that does not exist or a threshold that it cannot have."""
    kind = KINDS.get(rule.name)
    if kind is None:
        setting = f"push.rules.{rule.name}"
        raise ConfigError(f"{setting} is not a rule{did_you_mean(rule.name, list(KINDS))}", setting=setting)
    if rule.over_s is not None and kind.over_s is None:
        setting = f"push.rules.{rule.name}.over"
        raise ConfigError(f"{setting}: this rule has no threshold; remove the line", setting=setting)
    return kind


def matches(conn: Connection, config: Config, rule: Rule, now: Instant) -> Iterator[Match]:
    """What a rule points at, where the event lies within the config's days before ``now``; newest first."""
    kind = kind_of(rule)
    over_s = kind.over_s if rule.over_s is None else rule.over_s
    asked = {"now": now, "over_ms": round((over_s or 0) * 1000), "from": now - config.push.days * 86_400_000}
    for row in conn.execute(ALL.format(sql=kind.sql), asked).fetchall():
        words = _words(kind, row, config)
        yield Match(
            at=row["at"],
            rule=rule,
            kind=kind,
            conversation_id=row["conversation_id"],
            conversation=row["vendor_id"],
            service=row["service"],
            tags=tuple(json.loads(row["tags"])),
            link=row["link"],
            reason=kind.says[config.language][row["until"] is None].format_map(words),
            how=kind.how[config.language].format_map(words),
        )


def _words(kind: Kind, row: Row, config: Config) -> dict[str, str]:
    language, zone = config.language, config.tz
    not_yet = NOT_YET[language].format(now=moment(row["now"], zone, language))
    return {
        "figure": _figure(kind, row["figure"], language),
        "over": "" if row["threshold"] is None else duration(row["threshold"], language),
        "since": moment(row["since"], zone, language),
        "until": not_yet if row["until"] is None else moment(row["until"], zone, language),
        "what": PROMISED[language].get(row["what"], row["what"] or ""),
    }


def _figure(kind: Kind, value: Any, language: str) -> str:
    if kind.unit == "duration":
        return duration(value, language)
    return number(value, language, 0 if float(value).is_integer() else 1)
