"""A KPI as data. Everything that ``kpi``, ``explain``, the digest and README say about one is printed from here.

SQL in a description sees ``f``, the fact row, and ``c``, its conversation (the same row where a conversation is what is
counted), and the instants ``:start``, ``:end`` (of the period), ``:now`` and ``:at`` (of a stock), in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from connector.period import BUCKETS

Unit = Literal["seconds", "percent", "count", "score", "ratio", "per_day"]
Counts = Literal["event", "conversation", "customer", "day"]
Aggregate = Literal[
    "durations", "share", "mean", "count", "rates", "per_day", "stock", "ages", "trend", "load", "spread"
]
"""What becomes of the rows' values:

- durations: median, p90, p95 and mean of seconds. ages: median and p90 of the time from an instant to the stock's.
- share: percent of the rows with ``positive``. rates: rows ÷ the rows of ``over`` in percent, neither within the other.
- mean: of ``value``. count: of rows, or of conversations. per_day: count ÷ business days. stock: rows at an instant.
- trend: (this − previous) ÷ previous count. load: a group's percent of all. spread: of the load of a group's agents.
"""

STATISTICS: dict[Aggregate, tuple[str, ...]] = {
    "durations": ("median", "p90", "p95", "mean"),
    "ages": ("median", "p90"),
    "share": ("share",),
    "rates": ("share",),
    "mean": ("mean",),
    "count": ("count",),
    "per_day": ("per_day",),
    "stock": ("count",),
    "trend": ("change",),
    "load": ("share",),
    "spread": ("variation",),
}

WHO = ("team", "agent")
OF_CONVERSATION = ("channel", "inbox", "handled_by", "language", "source")
DIMENSIONS = (*OF_CONVERSATION, *WHO, "status", *BUCKETS)
"""What figures can be grouped by. ``status`` is for the backlog only; ``scale`` and ``promise`` are always split by."""
USUAL = (*OF_CONVERSATION, *WHO, *BUCKETS)
UNTIMED = (*OF_CONVERSATION, *WHO)


class Words(NamedTuple):
    """One text in the two languages that figures are read in."""

    en: str
    fr: str

    def of(self, language: str) -> str:
        return self.fr if language == "fr" else self.en


@dataclass(frozen=True)
class Rows:
    """Fact rows, the instant that puts one into a period, and the team and agent who are credited with it.

    ``only`` narrows them where an index of the same condition serves. ``over_time`` marks stretches (``f.from_at`` to
    ``f.to_at``) that are looked at at an instant.
    """

    view: str
    at: str
    team: str = "f.team_id"
    agent: str = "f.agent_id"
    only: str = ""
    over_time: bool = False


def known(row: str, source: str) -> str:
    """SQL for: a row of the store, by its alias, was known by ``:now``; as for facts as of an instant, before the first
    sync of its source (the alias with a ``source_id``) nothing is known of what was known."""
    unread = "SELECT id FROM sources WHERE first_synced_at IS NULL OR first_synced_at > :now"
    return f"({row}.seen_at <= :now OR {source}.source_id IN ({unread}))"


CREATED = Rows("fact_conversations", "c.created_at", "c.team_id", "c.agent_id")
ANSWERED = Rows("fact_waits", "f.answered_at")
SOLVED = Rows("fact_episodes", "f.resolved_at")
REOPENED = Rows("fact_episodes", "f.opened_at", only="f.seq > 1")
RATED = Rows("fact_ratings", "f.rated_at")
OFFERED = Rows("fact_surveys", "f.offered_at")
STOCK = Rows("fact_stock", "f.from_at", over_time=True)


class Left(NamedTuple):
    """Something that a figure leaves out, counted beside it. ``kept`` marks what is counted in, but worth saying."""

    name: str
    title: Words
    where: str
    rows: Rows | None = None
    kept: bool = False


REMOVED = (
    Left("merged", Words("merged into another", "fusionnées"), "c.excluded = 'merged'", CREATED),
    Left("deleted", Words("deleted", "supprimées"), "c.excluded = 'deleted'", CREATED),
    Left("spam", Words("spam", "indésirables"), "c.excluded = 'spam'", CREATED),
)
"""They leave every numerator and denominator of every KPI, and are counted by when they were created."""


class Over(NamedTuple):
    """The rows below the line."""

    rows: Rows
    where: str


class Target(NamedTuple):
    """A default, overruled by the config's ``[targets]``: for everything, else by kind of channel. In the unit."""

    value: float | None = None
    by_channel: tuple[tuple[str, float], ...] = ()


NO_TARGET = Target()


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One KPI. ``value`` is (calendar, business) SQL of seconds for durations, else (SQL,); NULL is not counted.

    ``meaning`` says what is counted and what is left out. ``direction`` is the better one. ``split`` are dimensions
    that must never be mixed, so that every figure names its own.
    """

    key: str
    title: Words
    meaning: Words
    unit: Unit
    counts: Counts
    rows: Rows
    aggregate: Aggregate
    where: str = "1"
    value: tuple[str, ...] = ("1",)
    positive: str = ""
    over: Over | None = None
    leaves_out: tuple[Left, ...] = ()
    dimensions: tuple[str, ...] = USUAL
    split: tuple[str, ...] = ()
    direction: Literal["lower", "higher"] | None = None
    target: Target = NO_TARGET
    headline: bool = False
    uses_calendar: bool = False
    version: int = 1

    @property
    def clocks(self) -> tuple[str | None, ...]:
        """Which clocks its values come on; (None,) where time does not enter."""
        return ("calendar", "business")[: len(self.value)] if self.unit == "seconds" else (None,)


@dataclass(frozen=True, kw_only=True)
class Composite:
    """Several KPIs side by side, grouped by one dimension."""

    key: str
    title: Words
    meaning: Words
    parts: tuple[str, ...]
    by: str
    version: int = 1
