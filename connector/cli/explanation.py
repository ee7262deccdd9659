"""An explanation, printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import click

from connector.cli.figures import described, print_pairs, range_of, shown
from connector.cli.output import print_table
from connector.config import DAYS, Config
from connector.facts.rules import schedules
from connector.metric import Metric
from connector.models import Instant, Schedule, to_iso
from connector.results import Explanation, Frozen
from connector.store import Connection


def print_explanations(found: Sequence[Explanation], conn: Connection, config: Config) -> None:
    """The definition once per KPI, then every figure of it, then what lies behind each group."""
    for _, same_kpi in groupby(found, key=lambda e: e.frozen.key):
        some = list(same_kpi)
        _print_definition(some[0], conn, config)
        for _, group in groupby(some, key=lambda e: (e.frozen.dimensions, e.frozen.filters)):
            _print_group(list(group), config)


def _print_definition(one: Explanation, conn: Connection, config: Config) -> None:
    metric, frozen = one.metric, one.frozen
    click.echo(f"{metric.title.of(config.language)} ({metric.key}, version {frozen.version})")
    click.echo(metric.meaning.of(config.language))
    click.echo()
    facts = [("definition", definition(metric)), ("period", _period(frozen)), ("zone", frozen.zone)]
    print_pairs([*facts, *(("opening hours", text) for text in _calendars(metric, conn, config))])
    click.echo()


def definition(metric: Metric) -> str:
    """What is computed, as the facts say it."""
    value = metric.positive or " | ".join(metric.value)
    over = f" ÷ {metric.over.rows.view} where {metric.over.where}" if metric.over else ""
    return f"{metric.aggregate} of {value} in {metric.rows.view} where {metric.where}, dated by {metric.rows.at}{over}"


def _period(frozen: Frozen) -> str:
    known = "" if frozen.as_of is None else f", as known at {to_iso(frozen.as_of)}"
    start, end = (_local(instant, frozen.zone) for instant in (frozen.period_start, frozen.period_end))
    return f"{start} to {end}, the end not included{known}"


def _local(instant: Instant, zone: str) -> str:
    return datetime.fromtimestamp(instant / 1000, ZoneInfo(zone)).isoformat()


def _calendars(metric: Metric, conn: Connection, config: Config) -> list[str]:
    if "business" not in metric.clocks and not metric.uses_calendar:
        return []
    return [_hours(s) for s in dict.fromkeys(schedules(conn, config).values())] or ["none are known"]


def _hours(schedule: Schedule) -> str:
    days = (
        f"{day} {'+'.join(f'{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}' for a, b in spans)}"
        for day, spans in zip(DAYS, schedule.hours, strict=True)
        if spans
    )
    return f"{', '.join(days)} ({schedule.zone}), {len(schedule.holidays)} holidays"


def _print_group(group: Sequence[Explanation], config: Config) -> None:
    first = group[0].frozen
    about = [*described(first.dimensions), *(f"only {text}" for text in described(first.filters))]
    if about:
        click.echo(", ".join(about))
    columns = ["statistic", "clock", "value", "95 % interval", "n", "passport", "computed again"]
    print_table(columns, [_figure(one, config.language) for one in group], right=[2, 4])
    for one in group:
        for line in _changes(one, config.language):
            click.echo(line)
    click.echo()
    for _, same in groupby(group, key=lambda e: e.frozen.cohort_id):
        _print_behind(next(iter(same)))


def _figure(one: Explanation, language: str) -> list[str]:
    f, again = one.frozen, one.again
    interval = None if f.low is None or f.high is None else (f.low, f.high)
    computed = "same" if again.same else f"{shown(f, again.value, language)} (n {again.n})"
    figure = [f.statistic, f.clock, shown(f, f.value, language), range_of(f, interval, language), str(f.n)]
    return [*figure, f.id, computed]


def _changes(one: Explanation, language: str) -> Iterator[str]:
    f, today, again = one.frozen, one.today, one.again
    if again.because:
        yield f"{f.id}: computed again it is {shown(f, again.value, language)}, because {again.because}"
    if f.restates:
        yield f"{f.id} restates {f.restates}: {f.reason}"
    if f.published:
        yield f"{f.id} was published in {f.published}"
    if today is not None:
        why = f": {today.reason}" if today.reason else ""
        yield f"{f.id}: today it is {shown(f, today.value, language)} (n {today.n}, passport {today.id}){why}"


def _print_behind(one: Explanation) -> None:
    f = one.frozen
    pairs = [("conversations", str(len(one.cohort)))]
    pairs += [("of which" if e.kept else "left out", f"{e.n} {e.title}") for e in one.exclusions]
    pairs.append(("complete", "yes" if f.complete else "no, more data may change it"))
    pairs.append(("computed", f"{to_iso(f.computed_at)}, data until {_or_never(f.data_until)}"))
    pairs += [("read up to", f"{name}: {_short(cursor)}") for name, cursor in f.cursors.items()]
    print_pairs(pairs)
    for member in one.members:
        click.echo(f"  {member.source} {member.id}  {member.link or ''}".rstrip())
    if len(one.members) < len(one.cohort):
        click.echo(f"  and {len(one.cohort) - len(one.members)} more: add --all to name them")
    click.echo()


def _or_never(instant: Instant | None) -> str:
    return "never" if instant is None else to_iso(instant)


def _short(cursor: object) -> str:
    text = str(cursor)
    return text if len(text) <= 80 else text[:79] + "…"


def as_objects(found: Sequence[Explanation], conn: Connection, config: Config) -> list[dict[str, Any]]:
    """The same as JSON, one object per figure."""
    return [_object(one, conn, config) for one in found]


def _object(one: Explanation, conn: Connection, config: Config) -> dict[str, Any]:
    f, metric = one.frozen, one.metric
    kept = {**f._asdict(), "clock": f.clock or None, "passport": f.id}
    return kept | {
        "title": metric.title._asdict(),
        "meaning": metric.meaning._asdict(),
        "definition": definition(metric),
        "calendars": _calendars(metric, conn, config),
        "interval": None if f.low is None else [f.low, f.high],
        "left_out": [e._asdict() for e in one.exclusions],
        "cohort_size": len(one.cohort),
        "conversations": [member._asdict() for member in one.members],
        "recomputed": {**one.again._asdict(), "same": one.again.same},
        "today": None if one.today is None else one.today._asdict(),
    }
