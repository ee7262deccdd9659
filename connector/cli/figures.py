"""Figures in people's words: tables, and the heat map of the week."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import click

from connector.cli.output import print_table
from connector.config import Config
from connector.language import duration, number, percent
from connector.metric import Metric, Value, target_of
from connector.metric.arithmetic import Interval
from connector.metric.listing import met
from connector.period import WEEKDAYS
from connector.results import Frozen

DASH = "–"
DIGITS = {"count": 0, "score": 2, "ratio": 2, "per_day": 1}
COLUMNS = ("clock", "value", "p90", "mean", "95 % interval", "n", "target")
RIGHT = ("value", "p90", "mean", "n")


def shown(about: Value | Frozen, value: float | None, language: str) -> str:
    """A value of this figure's kind, with its unit; a dash where there is none."""
    if value is None:
        return DASH
    if about.unit == "seconds":
        return duration(value, language, days=about.clock != "business")
    if about.statistic == "change":
        return ("+" if value > 0 else "") + percent(100 * value, language)
    return percent(value, language) if about.unit == "percent" else number(value, language, DIGITS[about.unit])


def range_of(about: Value | Frozen, interval: Interval | None, language: str) -> str:
    """Nothing where a figure has no interval."""
    return "" if interval is None else " … ".join(shown(about, end, language) for end in interval)


def print_values(values: Sequence[Value], catalogue: Mapping[str, Metric], config: Config) -> None:
    """One line per KPI, clock and group: durations by their median, then p90 and mean. Empty columns are left away."""
    dimensions = list(dict.fromkeys(d for value in values for d in value.by))
    head = ["KPI", *dimensions, *COLUMNS]
    lines = [_line(list(some), dimensions, catalogue, config) for _, some in groupby(values, key=_about)]
    used = [i for i, name in enumerate(head) if name in ("KPI", "value", "n") or any(line[i] for line in lines)]
    right = [place for place, i in enumerate(used) if head[i] in RIGHT]
    print_table([head[i] for i in used], [[line[i] for i in used] for line in lines], right=right)
    for note in sorted({f"{v.key}: {v.note}" for v in values if v.note}):
        click.echo(note)


def _about(value: Value) -> tuple[object, ...]:
    return value.key, value.clock, tuple(value.by.items())


def _line(
    some: Sequence[Value], dimensions: Sequence[str], catalogue: Mapping[str, Metric], config: Config
) -> list[str]:
    first, language = some[0], config.language
    others = {value.statistic: shown(value, value.value, language) for value in some[1:]}
    groups = ["" if d not in first.by else first.by[d] or "(none)" for d in dimensions]
    return [
        first.key, *groups, first.clock or "", shown(first, first.value, language), others.get("p90", ""),
        others.get("mean", ""), range_of(first, first.interval, language), str(first.n),
        _target(first, catalogue[first.key], config),
    ]  # fmt: skip


def _target(value: Value, metric: Metric, config: Config) -> str:
    """Targets are for calendar time and for the first statistic of a KPI."""
    target = target_of(metric, config, value.by) if value.clock != "business" else None
    if target is None or value.value is None:
        return ""
    sign = "≤" if metric.direction == "lower" else "≥"
    return f"{'✓' if met(metric, target, value.value) else '✗'} {sign} {shown(value, target, config.language)}"


def print_heat_maps(values: Sequence[Value]) -> None:
    """Per KPI, clock and group: weekdays down, hours of the day across, of the KPI's first statistic."""
    for (key, clock, group), some in groupby(sorted(values, key=_map), key=_map):
        cells: dict[str, Value] = {}
        for value in some:
            cells.setdefault(value.by["hour_of_week"] or "", value)
        head = next(iter(cells.values()))
        click.echo(" · ".join(filter(None, [key, head.statistic, clock, group])))
        rows = [[day, *(_cell(cells[f"{day} {hour:02}"]) for hour in range(24))] for day in WEEKDAYS]
        print_table(["", *(f"{hour:02}" for hour in range(24))], rows, right=range(1, 25))
        click.echo()


def _map(value: Value) -> tuple[str, str, str]:
    group = ", ".join(described({d: name for d, name in value.by.items() if d != "hour_of_week"}))
    return value.key, value.clock or "", group


def _cell(value: Value) -> str:
    """Short: durations in minutes; a point for nothing."""
    if value.value is None or (value.unit == "count" and not value.value):
        return "·"
    return f"{value.value / 60:.0f}m" if value.unit == "seconds" else f"{value.value:.0f}"


def described(by: Mapping[str, str | None]) -> Iterator[str]:
    for dimension, name in by.items():
        yield f"{dimension} = {name or '(none)'}"


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Labels and texts, aligned."""
    width = max(len(label) for label, _ in pairs)
    for label, text in pairs:
        click.echo(f"{label.ljust(width)}  {text}")
