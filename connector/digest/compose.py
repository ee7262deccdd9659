"""Figures of a period beside those of the comparable period before: what a digest says, before it is worded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, get_args

from connector import registry
from connector.config import Config
from connector.digest import change
from connector.digest.look import to_look_at
from connector.digest.model import Cell, Digest, Line, Reason, Table
from connector.metric import Metric, Value, compute, target_of
from connector.metric.coverage import bounds, data_until, lacking
from connector.metric.listing import met
from connector.models import Instant
from connector.period import Period, comparable, local_date
from connector.store import Connection, Row

HEADLINES = (
    ("conversation_volume", "count"),
    ("first_response_time", "median"),
    ("resolution_time", "median"),
    ("first_contact_resolution", "share"),
    ("csat", "share"),
    ("csat_response_rate", "share"),
    ("sla_attainment", "share"),
    ("backlog", "count"),
    ("reopen_rate", "share"),
    ("self_service_rate", "share"),
)
COLUMNS = (
    ("conversation_volume", "count"),
    ("first_response_time", "median"),
    ("resolution_time", "median"),
    ("csat", "share"),
    ("sla_attainment", "share"),
)
"""Of the tables by channel and by team; durations in calendar time. Agents are never set side by side."""
NOTHING = Cell(None, 0, "", None)
By = Literal["channel", "team"]
Catalogue = Mapping[str, Metric]
Lacking = Mapping[str, Mapping[str, str]]
Key = tuple[str, str, str | None, tuple[tuple[str, str | None], ...]]


def compose(conn: Connection, config: Config, period: Period, now: Instant) -> Digest:
    """The digest of ``period`` as the store has it. Reads only.

    While the period is not over, or where the store does not reach back to the period before, nothing is compared.
    """
    catalogue, sources = _catalogue(conn), _sources(conn, config)
    before = comparable(period, config.zone)
    values = _headlines(conn, config, catalogue, period, now)
    earlier = _headlines(conn, config, catalogue, before, now) if _can_compare(conn, config, period, now) else []
    both = [_table(conn, config, catalogue, period, now, by) for by in get_args(By)]
    tables = tuple(table for table in both if len(table.rows) > 1)
    return Digest(
        period=period,
        before=before,
        zone=config.zone,
        now=now,
        data_until=data_until(conn, config),
        reasons=tuple(_reasons(conn, sources, period, now)),
        lines=tuple(_lines(config, catalogue, values, earlier, lacking(conn, config))),
        tables=tables,
        look=to_look_at(conn, period, now),
        values=(*values, *(value for table in tables for value in table.values)),
        values_before=tuple(earlier),
    )


def _catalogue(conn: Connection) -> Catalogue:
    """The KPIs that mean something here: without any bot, 0 % self-service is no news."""
    found = {key: metric for key, metric in registry.metrics().items() if isinstance(metric, Metric)}
    if not conn.execute("SELECT 1 FROM fact_conversations WHERE bot = 1 LIMIT 1").fetchone():
        found.pop("self_service_rate", None)
    return found


def _can_compare(conn: Connection, config: Config, period: Period, now: Instant) -> bool:
    known = bounds(conn)
    if known is None or now < period.end:
        return False
    return local_date(known[0], config.zone) <= local_date(comparable(period, config.zone).start, config.zone)


def _headlines(conn: Connection, config: Config, catalogue: Catalogue, period: Period, now: Instant) -> list[Value]:
    keys = [key for key, _ in HEADLINES if key in catalogue]
    found = compute(conn, config, keys, period, now=now)
    return [value for value in found if (value.key, value.statistic) in HEADLINES]


def _key(value: Value) -> Key:
    return value.key, value.statistic, value.clock, tuple(sorted(value.by.items()))


def _lines(
    config: Config, catalogue: Catalogue, values: Sequence[Value], earlier: Sequence[Value], lacks: Lacking
) -> Iterator[Line]:
    then = {_key(value): value for value in earlier}
    for value in values:
        before = then.get(_key(value))
        # Without opening hours there is no business time: a line that never says anything is left out.
        if value.clock != "business" or any(one and one.value is not None for one in (value, before)):
            unfed = tuple(lacks) if all(value.key in keys for keys in lacks.values()) else ()
            yield _line(config, catalogue[value.key], value, before, unfed)


def _line(config: Config, metric: Metric, value: Value, before: Value | None, unfed: tuple[str, ...]) -> Line:
    moved = change.change(value, before)
    return Line(
        title=metric.title,
        value=value,
        before=before,
        change=moved,
        verdict=change.verdict(moved, metric.direction),
        target=target_of(metric, config, value.by),
        meets=_meets(config, metric, value),
        unfed=unfed,
    )


def _meets(config: Config, metric: Metric, value: Value) -> bool | None:
    target = target_of(metric, config, value.by)
    if value.value is None or target is None or metric.direction is None:
        return None
    return met(metric, target, value.value)


def _table(conn: Connection, config: Config, catalogue: Catalogue, period: Period, now: Instant, by: By) -> Table:
    keys = [key for key, _ in COLUMNS if key in catalogue]
    found = compute(conn, config, keys, period, by=(by,), clock="calendar", now=now)
    values = [value for value in found if (value.key, value.statistic) in COLUMNS]
    columns = dict.fromkeys(_column(value) for value in values if value.value is not None)
    rows = dict.fromkeys(value.by[by] for value in values)
    cells = {(value.by[by], *_column(value)): _cell(config, catalogue[value.key], value) for value in values}
    return Table(
        by,
        tuple((catalogue[key].title, promise) for key, promise in columns),
        tuple((row, tuple(cells.get((row, *column), NOTHING) for column in columns)) for row in _in_order(rows)),
        tuple(values),
    )


def _column(value: Value) -> tuple[str, str | None]:
    return value.key, value.by.get("promise")


def _in_order(names: Iterable[str | None]) -> list[str | None]:
    """By name, never by value; nobody last."""
    return sorted(names, key=lambda name: (name is None, (name or "").casefold()))


def _cell(config: Config, metric: Metric, value: Value) -> Cell:
    return Cell(value.value, value.n, value.unit, _meets(config, metric, value))


def _sources(conn: Connection, config: Config) -> list[Row]:
    """Those that are still read: one that the config no longer has keeps nothing waiting, and makes nothing old."""
    configured = {service.name for service in config.services}
    rows = conn.execute("SELECT name, state, since, last_synced_at FROM sources ORDER BY name").fetchall()
    return [row for row in rows if row["name"] in configured or not configured]


def _reasons(conn: Connection, sources: Sequence[Row], period: Period, now: Instant) -> Iterator[Reason]:
    """As the figures' own ``incomplete`` has it, but all of them and in words of both languages."""
    if now < period.end:
        yield Reason("open")
    if not sources:
        yield Reason("nothing")
    for source in sources:
        last = source["last_synced_at"]
        if last is not None and last >= min(period.end, now):
            continue
        if source["state"] != "ok":
            yield Reason("paused", source["name"], source["since"] or 0)
        elif last is None:
            yield Reason("never", source["name"])
        else:
            yield Reason("behind", source["name"], last)
    rejects = conn.execute("SELECT count(*) FROM rejects").fetchone()[0]
    if rejects:
        yield Reason("rejects", number=rejects)
