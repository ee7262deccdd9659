"""One pass over fact rows for everything that is asked of them.

Whatever a KPI needs is put as an Ask: one SQL expression over one kind of rows that gives a row's value, or NULL where
the row is not counted. Asks of the same rows share one SELECT, streamed in chunks; what remains in memory is a number
and a conversation id per counted row.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

from connector.config import Config
from connector.metric.coverage import business_days, incomplete, lacking
from connector.metric.description import Rows
from connector.metric.names import Names
from connector.models import Instant
from connector.period import BUCKETS, Period, buckets, comparable, label
from connector.store import Connection

CHUNK = 20_000
Group = tuple[str | None, ...]
"""Names (None: nobody, nothing), in the order of the dimensions grouped by."""


class Ask(NamedTuple):
    """``before`` asks for the comparable period before. With ``age``, the SQL gives an instant and the value is the
    time from it to the instant of the stock, in seconds."""

    rows: Rows
    by: tuple[str, ...]
    sql: str
    before: bool = False
    age: bool = False


class Tally:
    """The counted rows of one group: a value and a conversation id each."""

    __slots__ = ("ids", "values")

    def __init__(self) -> None:
        self.values = array("d")
        self.ids = array("q")


Tallies = dict[Group, Tally]


@dataclass(frozen=True)
class Scope:
    """What is looked at: a store, a period in the config's zone, an instant that is "now", filters by dimension."""

    conn: Connection
    config: Config
    period: Period
    now: Instant
    where: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def names(self) -> Names:
        return Names(self.conn)

    @cached_property
    def before(self) -> Period:
        return comparable(self.period, self.config.zone)

    @cached_property
    def incomplete(self) -> str | None:
        """Why the period's figures may still change; None when all is in."""
        return incomplete(self.conn, self.config, self.period, self.now)

    @cached_property
    def lacking(self) -> dict[str, dict[str, str]]:
        """By source: the KPIs that it cannot feed, and why."""
        return lacking(self.conn, self.config)

    @cached_property
    def business_days(self) -> int | None:
        """Of the period so far; None when no opening hours are known."""
        return business_days(self.conn, self.config, self.period.start, min(self.period.end, self.now))

    def samples(self, bucket: str | None) -> dict[str, Instant]:
        """The instants at which a stock is looked at: the last of each bucket, of the period without one, or now.

        Empty for what has not begun.
        """
        ends = buckets(bucket, self.period, self.config.zone) if bucket else {"": self.period.end}
        starts = [self.period.start, *ends.values()]
        return {
            name: min(end - 1, self.now)
            for start, (name, end) in zip(starts, ends.items(), strict=False)
            if start <= self.now
        }


def run(scope: Scope, asks: Iterable[Ask]) -> dict[Ask, Tallies]:
    """Everything asked, in as few passes as there are kinds of rows and groupings."""
    answers: dict[Ask, Tallies] = {ask: {} for ask in asks}
    for (rows, by, before), some in groupby(sorted(answers, key=_pass), key=lambda a: (a.rows, a.by, a.before)):
        _one_pass(scope, rows, by, scope.before if before else scope.period, {ask: answers[ask] for ask in some})
    return answers


def _pass(ask: Ask) -> tuple[str, ...]:
    return (repr(ask.rows), *ask.by, "", str(ask.before), ask.sql, str(ask.age))


def _one_pass(scope: Scope, rows: Rows, by: tuple[str, ...], period: Period, answers: Mapping[Ask, Tallies]) -> None:
    bucket = next((d for d in by if d in BUCKETS), None)
    samples = scope.samples(bucket) if rows.over_time else {}
    if rows.over_time and not samples:
        return
    sql, bound = _select(scope, rows, by, period, [ask.sql for ask in answers], samples)
    namers = [scope.names.namer(d) for d in by]
    timed = by.index(bucket) if bucket else None
    name = label(bucket, scope.config.zone) if bucket else None
    cursor = scope.conn.cursor()
    cursor.row_factory = None
    cursor.execute(sql, bound)
    while chunk := cursor.fetchmany(CHUNK):
        if rows.over_time:
            chunk = list(_sampled(chunk, samples, timed))
        elif name is not None and timed is not None:
            chunk = _labelled(chunk, name, timed)
        for group, members in _grouped(chunk, namers):
            _add(members, group, answers, 3 + len(by))


def _select(
    scope: Scope, rows: Rows, by: Sequence[str], period: Period, asked: Sequence[str], samples: Mapping[str, Instant]
) -> tuple[str, dict[str, Any]]:
    """Columns: conversation, start and end of what the row stands for, one per dimension, one per ask."""
    instants = list(samples.values()) or [period.end - 1]
    filters, values = _filters(scope, rows)
    filters += f" AND {rows.only}" if rows.only else ""
    until = "f.to_at" if rows.over_time else "NULL"
    within = (
        "f.from_at <= :at AND (f.to_at IS NULL OR f.to_at > :first)"
        if rows.over_time
        else f"{rows.at} >= :start AND {rows.at} < :end"
    )
    dimensions = [_column(d, rows) for d in by]
    columns = ", ".join(["c.conversation_id", rows.at, until, *dimensions, *asked])
    bound = {"start": period.start, "end": period.end, "now": scope.now, "at": instants[-1], "first": instants[0]}
    return f"SELECT {columns} FROM {_from(rows)} WHERE {within}{filters}", bound | values


def _from(rows: Rows) -> str:
    if rows.view == "fact_conversations":
        return "fact_conversations c"
    return f"{rows.view} f JOIN fact_conversations c ON c.conversation_id = f.conversation_id"


def _column(dimension: str, rows: Rows) -> str:
    """A dimension's raw value: an id where ``Names`` knows the name, else the word; NULL for a bucket of time."""
    own = {"team": rows.team, "agent": rows.agent, "inbox": "c.inbox_id", "source": "c.source_id"}
    own |= {"status": "f.status", "promise": "f.metric", "scale": "(printf('%g–%g', f.low, f.high))"}
    return own.get(dimension, "NULL" if dimension in BUCKETS else f"c.{dimension}")


def _filters(scope: Scope, rows: Rows) -> tuple[str, dict[str, Any]]:
    sql, bound = "", dict[str, Any]()
    for dimension, name in scope.where.items():
        column, raws = _column(dimension, rows), scope.names.raw(dimension, name)
        keys = {f"w_{dimension}_{i}": raw for i, raw in enumerate(raws)}
        sql += f" AND {column} IN ({', '.join(':' + k for k in keys)})" if raws else f" AND {column} IS NULL"
        bound |= keys
    return sql, bound


def _labelled(chunk: list[Any], name: Callable[[Instant], str], timed: int) -> list[Any]:
    place = 3 + timed
    return [(*row[:place], name(row[1]), *row[place + 1 :]) for row in chunk]


def _sampled(chunk: list[Any], samples: Mapping[str, Instant], timed: int | None) -> Iterator[Any]:
    """A stretch once per instant it spans, which takes the place of its start."""
    names, instants = list(samples), list(samples.values())
    place = 3 + (timed or 0)
    for row in chunk:
        first = bisect_left(instants, row[1])
        past = len(instants) if row[2] is None else bisect_left(instants, row[2])
        for i in range(first, past):
            tail = row[2:] if timed is None else (*row[2:place], names[i], *row[place + 1 :])
            yield (row[0], instants[i], *tail)


def _grouped(chunk: list[Any], namers: Sequence[Callable[[Any], str | None]]) -> Iterator[tuple[Group, list[Any]]]:
    if not namers:
        yield (), chunk
        return
    last = 3 + len(namers)
    found: dict[Any, list[Any]] = {}
    for row in chunk:
        found.setdefault(row[3:last], []).append(row)
    for raw, members in found.items():
        yield tuple(name(value) for name, value in zip(namers, raw, strict=True)), members


def _add(members: list[Any], group: Group, answers: Mapping[Ask, Tallies], offset: int) -> None:
    for place, (ask, tallies) in enumerate(answers.items(), offset):
        counted = [row for row in members if row[place] is not None]
        if counted:
            mine = tallies.get(group) or tallies.setdefault(group, Tally())
            mine.ids.extend([row[0] for row in counted])
            mine.values.extend([(row[1] - row[place]) / 1000 if ask.age else row[place] for row in counted])
