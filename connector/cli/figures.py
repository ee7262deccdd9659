"""Figures in people's words: durations, shares, tables, the heat map of the week."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import click

from connector.cli.output import print_table
from connector.config import Config
from connector.metric import Metric, Value, target_of
from connector.metric.listing import met
from connector.period import WEEKDAYS

DASH = "–"


def duration(seconds: float) -> str:
    """42 s, 3 min 05 s, 1 h 04 min, 2 d 3 h; a sign in front of a negative one."""
    if seconds < 0:
        return f"−{duration(-seconds)}"
    for unit, part, size, above in (("d", "h", 86_400, 172_800), ("h", "min", 3600, 3600), ("min", "s", 60, 100)):
        step = {"h": 3600, "min": 60, "s": 1}[part]
        rounded = round(seconds / step) * step
        if rounded >= above:
            whole, rest = divmod(rounded, size)
            return f"{whole} {unit} {rest // step:02} {part}" if rest else f"{whole} {unit}"
    return f"{seconds:.3g} s"


def plain(unit: str, value: float | None) -> str:
    """A value with its unit; a dash where there is none."""
    if value is None:
        return DASH
    if unit == "seconds":
        return duration(value)
    if unit == "percent":
        return f"{value:.1f} %"
    return f"{value:.0f}" if unit == "count" else f"{value:.2f}"


def spread(unit: str, interval: tuple[float, float] | None) -> str:
    return DASH if interval is None else f"{plain(unit, interval[0])} … {plain(unit, interval[1])}"


def print_values(values: Sequence[Value], catalogue: Mapping[str, Metric], config: Config) -> None:
    """One line per KPI, clock and group: durations by their median, then p90 and mean."""
    dimensions = list(dict.fromkeys(d for value in values for d in value.by))
    lines = [_line(list(some), dimensions, catalogue, config) for _, some in groupby(values, key=_about)]
    head = ["KPI", *dimensions, "clock", "value", "p90", "mean", "95 % interval", "n", "target"]
    numbers = len(head) - 6
    print_table(head, lines, right=[numbers, numbers + 1, numbers + 2, numbers + 4])
    for note in sorted({f"{v.key}: {v.note}" for v in values if v.note}):
        click.echo(note)


def _about(value: Value) -> tuple[object, ...]:
    return value.key, value.clock, tuple(value.by.items())


def _line(
    some: Sequence[Value], dimensions: Sequence[str], catalogue: Mapping[str, Metric], config: Config
) -> list[str]:
    by_name = {value.statistic: value for value in some}
    first = some[0]
    others = [plain(first.unit, by_name[s].value) if s in by_name and len(some) > 1 else "" for s in ("p90", "mean")]
    groups = ["" if d not in first.by else first.by[d] or "(none)" for d in dimensions]
    target = _target(first, catalogue[first.key], config)
    interval = spread(first.unit, first.interval) if first.interval else ""
    return [
        first.key,
        *groups,
        first.clock or "",
        plain(first.unit, first.value),
        *others,
        interval,
        str(first.n),
        target,
    ]


def _target(value: Value, metric: Metric, config: Config) -> str:
    """Targets are for calendar time and for the first statistic of a KPI."""
    target = target_of(metric, config, value.by) if value.clock != "business" else None
    if target is None or value.value is None:
        return ""
    sign = "≤" if metric.direction == "lower" else "≥"
    return f"{'✓' if met(metric, target, value.value) else '✗'} {sign} {plain(value.unit, target)}"


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
    group = ", ".join(f"{d} {name or '(none)'}" for d, name in value.by.items() if d != "hour_of_week")
    return value.key, value.clock or "", group


def _cell(value: Value) -> str:
    if value.value is None or (value.unit == "count" and not value.value):
        return "·"
    return f"{value.value / 60:.0f}m" if value.unit == "seconds" else f"{value.value:.0f}"


def lines_of(pairs: Sequence[tuple[str, str]], echo: Callable[[str], None] = click.echo) -> None:
    """Labels and texts, aligned."""
    width = max(len(label) for label, _ in pairs)
    for label, text in pairs:
        echo(f"{label.ljust(width)}  {text}")


def described(by: Mapping[str, str | None]) -> Iterator[str]:
    for dimension, name in by.items():
        yield f"{dimension} = {name or '(none)'}"
