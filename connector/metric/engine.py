"""From descriptions to values: what to ask of the facts, and what to make of the answers."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from connector.config import Config
from connector.errors import UsageError
from connector.metric import arithmetic
from connector.metric.arithmetic import Interval
from connector.metric.description import REMOVED, STATISTICS, UNTIMED, USUAL, Aggregate, Composite, Left, Metric, Rows
from connector.metric.scan import Ask, Group, Scope, Tallies, Tally, run
from connector.models import Instant
from connector.period import BUCKETS, HOURS_OF_WEEK, Period, buckets
from connector.store import Connection


@dataclass(frozen=True, kw_only=True)
class Value:
    """One figure. ``value`` is in ``unit`` (durations in seconds, shares 0–100), None where there is no data; ``n`` is
    how many things it was computed from; ``ids`` are the conversations behind it, unordered, perhaps more than once.

    ``note`` says why a figure is withheld; ``incomplete`` why more data may still change it, None when all is in.
    """

    key: str
    statistic: str
    clock: str | None
    unit: str
    value: float | None
    n: int
    interval: Interval | None = None
    by: Mapping[str, str | None] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    denominator: int | None = None
    numerator: int | None = None
    ids: Sequence[int] = ()
    exclusions: Mapping[str, int] = field(default_factory=dict)
    note: str | None = None
    incomplete: str | None = None

    @property
    def complete(self) -> bool:
        return self.incomplete is None


Catalogue = Mapping[str, Metric | Composite]


def compute(
    conn: Connection,
    config: Config,
    keys: Sequence[str],
    period: Period,
    *,
    by: Sequence[str] = (),
    clock: str | None = None,
    where: Mapping[str, str] | None = None,
    now: Instant,
    catalogue: Catalogue | None = None,
) -> list[Value]:
    """The values of ``keys`` in ``period``, one per statistic, clock and group, in the order of the keys.

    ``clock`` keeps the durations of one clock. UsageError for an unknown key, dimension or name in ``where``, or a
    dimension by which a KPI cannot be grouped.
    """
    scope = Scope(conn, config, period, now, _checked(where or {}))
    plans = [(metric, _grouping(metric, its_by)) for metric, its_by in expand(keys, by, catalogue or _all())]
    answers = run(scope, {ask for metric, its_by in plans for ask in _asks(metric, its_by).values()})
    found: list[Value] = []
    for metric, its_by in plans:
        parts = {role: answers[ask] for role, ask in _asks(metric, its_by).items()}
        found += _values(scope, metric, its_by, parts)
    return [v for v in found if clock is None or v.clock in (None, clock)]


def _all() -> Catalogue:
    from connector import registry  # imports every file in metrics/, which import this package

    return registry.metrics()


def selected(keys: Sequence[str], catalogue: Catalogue) -> list[Metric | Composite]:
    """The descriptions of the keys. UsageError, with the nearest, for a key that there is not."""
    for key in keys:
        if key not in catalogue:
            near = difflib.get_close_matches(key, list(catalogue), 1)
            hint = f"did you mean {near[0]}?" if near else "`deskpulse kpi --list` shows them all"
            raise UsageError(f'there is no KPI "{key}"; {hint}')
    return [catalogue[key] for key in keys]


def expand(keys: Sequence[str], by: Sequence[str], catalogue: Catalogue) -> Iterator[tuple[Metric, tuple[str, ...]]]:
    """Each KPI with what it is grouped by; a composite is its parts, by its own dimension first.

    A part that cannot be grouped so stays coarser. UsageError for a dimension that no part has.
    """
    for description in selected(keys, catalogue):
        if isinstance(description, Metric):
            yield description, tuple(by)
            continue
        own = (description.by, *(d for d in by if d != description.by))
        parts = [part for part in selected(description.parts, catalogue) if isinstance(part, Metric)]
        for dimension in own:
            if not any(dimension in part.dimensions for part in parts):
                raise UsageError(f'{description.key} cannot be grouped by "{dimension}"')
        yield from ((part, tuple(d for d in own if d in part.dimensions)) for part in parts)


def _grouping(metric: Metric, by: tuple[str, ...]) -> tuple[str, ...]:
    for dimension in by:
        if dimension not in metric.dimensions:
            raise UsageError(
                f'{metric.key} cannot be grouped by "{dimension}"; it can be by {", ".join(metric.dimensions)}'
            )
    if len({*by} & {*BUCKETS}) > 1:
        raise UsageError(f"group by one of {', '.join(BUCKETS)} at a time")
    return (*dict.fromkeys(by), *metric.split)


def _checked(where: Mapping[str, str]) -> Mapping[str, str]:
    for dimension in where:
        if dimension not in UNTIMED:
            raise UsageError(f'"{dimension}" cannot be filtered on; use one of {", ".join(UNTIMED)}')
    return where


# --- what is asked of the facts --------------------------------------------------------------------------------------


def _asks(metric: Metric, by: tuple[str, ...]) -> dict[str, Ask]:
    """By role: the values on each clock, what is below the line, the period before, what is left out."""
    where, rows = metric.where, metric.rows
    value = metric.value if not metric.positive else (f"(CASE WHEN {metric.positive} THEN 1 ELSE 0 END)",)
    age = metric.aggregate == "ages"
    asks = {
        _role(clock): Ask(rows, by, _counted(where, v), age=age) for clock, v in zip(metric.clocks, value, strict=True)
    }
    if metric.over is not None:
        asks["over"] = Ask(metric.over.rows, by, _counted(metric.over.where, "1"))
    if metric.aggregate == "trend":
        asks["before"] = Ask(rows, by, _counted(where, "1"), before=True)
    if metric.aggregate == "spread":
        asks["agents"] = Ask(rows, (*by, "agent"), _counted(where, "1"))
    return asks | {f"-{left.name}": _left_ask(left, rows, by) for left in (*metric.leaves_out, *REMOVED)}


def _role(clock: str | None) -> str:
    return clock or "rows"


def _counted(where: str, value: str) -> str:
    return f"CASE WHEN c.excluded IS NULL AND ({where}) THEN {value} END"


def _left_ask(left: Left, rows: Rows, by: tuple[str, ...]) -> Ask:
    """What is left out of other rows than those counted is not told apart by what only these have."""
    where = left.where if left in REMOVED else f"c.excluded IS NULL AND ({left.where})"
    its = left.rows or rows
    shared = by if its.view == rows.view else tuple(d for d in by if d in USUAL)
    return Ask(its, shared, f"CASE WHEN {where} THEN 1 END")


# --- what is made of the answers -------------------------------------------------------------------------------------


class _Figure(NamedTuple):
    value: float | None
    n: int
    ids: Sequence[int]
    interval: Interval | None = None
    numerator: int | None = None
    denominator: int | None = None
    note: str | None = None


class _Case(NamedTuple):
    """One KPI, one group, one clock. ``mine`` are its rows; ``begun`` is False for a stock of the future."""

    scope: Scope
    metric: Metric
    group: Group
    mine: Tally
    parts: Mapping[str, Tallies]
    begun: bool

    def count(self, tally: Tally | None = None) -> int:
        tally = self.mine if tally is None else tally
        return len(set(tally.ids)) if self.metric.counts == "conversation" else len(tally.ids)

    def part(self, role: str) -> Tally:
        return self.parts[role].get(self.group) or Tally()


def _values(scope: Scope, metric: Metric, by: tuple[str, ...], parts: Mapping[str, Tallies]) -> Iterator[Value]:
    place = next((i for i, d in enumerate(by) if d in BUCKETS), None)
    begun = scope.samples(None if place is None else by[place]) if metric.rows.over_time else None
    for group in _groups(scope, metric, by, place, parts):
        left_out = {role[1:]: _matching(tallies, by, group) for role, tallies in parts.items() if role[0] == "-"}
        names = {d: name for d, name in zip(by, group, strict=True) if name is not None or d not in metric.split}
        has_begun = begun is None or ("" if place is None else group[place]) in begun
        for clock in metric.clocks:
            mine = parts[_role(clock)].get(group) or Tally()
            figures = FIGURES[metric.aggregate](_Case(scope, metric, group, mine, parts, has_begun))
            for statistic, figure in zip(STATISTICS[metric.aggregate], figures, strict=True):
                told = _fed(scope, metric, names, _withheld(scope, metric, by, figure))
                yield Value(
                    key=metric.key, statistic=statistic, clock=clock, unit=metric.unit, by=names, where=scope.where,
                    exclusions=left_out, incomplete=scope.incomplete, **told._asdict(),
                )  # fmt: skip


def _groups(
    scope: Scope, metric: Metric, by: tuple[str, ...], place: int | None, parts: Mapping[str, Tallies]
) -> list[Group]:
    """Every group that occurs, in order, and every bucket of time for each; without a grouping, the whole.

    Where nothing was counted, what is never mixed is told apart by what was left out, if that tells.
    """
    counted = [parts[role] for role in (*map(_role, metric.clocks), "over", "before") if role in parts]
    found = {group for tallies in counted for group in tallies}
    if not found and all(d in metric.split or d in BUCKETS for d in by):
        left = {group for role in parts if role[0] == "-" for group in parts[role] if len(group) == len(by)}
        found = (left if metric.split else set()) or {(None,) * len(by)}
    if place is not None:
        names = buckets(by[place], scope.period, scope.config.zone)
        found = {(*g[:place], name, *g[place + 1 :]) for g in found for name in names}
    return sorted(found, key=_order)


def _matching(tallies: Tallies, by: tuple[str, ...], group: Group) -> int:
    """How many rows were left out beside this group."""
    shared = tuple(name for d, name in zip(by, group, strict=True) if d in USUAL)
    found = tallies.get(group) or tallies.get(shared)
    return len(found.ids) if found else 0


def _order(group: Group) -> tuple[tuple[bool, int, str], ...]:
    """By name, never by value; hours of the week as they come; nobody last."""
    return tuple((g is None, HOURS_OF_WEEK.index(g) if g in HOURS_OF_WEEK else 0, (g or "").casefold()) for g in group)


def _fed(scope: Scope, metric: Metric, names: Mapping[str, str | None], figure: _Figure) -> _Figure:
    """What no source can feed is absent with the reason, never 0; a file of ratings may feed it all the same."""
    only = names.get("source") or scope.where.get("source")
    asked = {name: lacks for name, lacks in scope.lacking.items() if not only or name.casefold() == only.casefold()}
    reasons = {name: lacks[metric.key] for name, lacks in asked.items() if metric.key in lacks}
    if not reasons or figure.note:
        return figure
    note = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    if figure.n or len(reasons) < len(asked):
        return figure._replace(note=note)
    return figure._replace(value=None, interval=None, numerator=None, denominator=None, note=note)


def _withheld(scope: Scope, metric: Metric, by: tuple[str, ...], figure: _Figure) -> _Figure:
    """About one person, a figure from few cases says more about chance than about the person."""
    least = scope.config.agent_min_n
    about_one = "agent" in by or "agent" in scope.where
    if not about_one or metric.unit == "count" or figure.n >= least or figure.value is None:
        return figure
    return figure._replace(value=None, interval=None, numerator=None, note=f"withheld: fewer than {least}")


def _durations(case: _Case) -> list[_Figure]:
    ordered, ids, n = sorted(case.mine.values), case.mine.ids, len(case.mine.values)
    percentiles = [
        _Figure(arithmetic.percentile(ordered, p), n, ids, arithmetic.percentile_interval(ordered, p))
        for p in (0.5, 0.9, 0.95)
    ]
    return [*percentiles, _Figure(arithmetic.mean(ordered), n, ids, arithmetic.mean_interval(ordered))]


def _share(case: _Case) -> list[_Figure]:
    n, positive = len(case.mine.ids), round(sum(case.mine.values))
    interval = arithmetic.wilson(positive, n)
    percent = (100 * interval[0], 100 * interval[1]) if interval else None
    return [_Figure(100 * positive / n if n else None, n, case.mine.ids, percent, positive, n)]


def _rates(case: _Case) -> list[_Figure]:
    over, n, mine = case.part("over"), case.count(case.part("over")), case.count()
    return [_Figure(100 * mine / n if n else None, n, [*case.mine.ids, *over.ids], None, mine, n)]


def _mean(case: _Case) -> list[_Figure]:
    values = case.mine.values
    return [_Figure(arithmetic.mean(values), len(values), case.mine.ids, arithmetic.mean_interval(values))]


def _count(case: _Case) -> list[_Figure]:
    return [_Figure(case.count(), case.count(), case.mine.ids)]


def _per_day(case: _Case) -> list[_Figure]:
    n, days = case.count(), case.scope.business_days
    note = None if days else "no opening hours are known" if days is None else "no business day"
    return [_Figure(n / days if days else None, n, case.mine.ids, None, n, days or 0, note)]


def _stock(case: _Case) -> list[_Figure]:
    n = case.count()
    return [_Figure(n if case.begun else None, n, case.mine.ids)]


def _trend(case: _Case) -> list[_Figure]:
    n, before = case.count(), case.count(case.part("before"))
    over = case.scope.now >= case.scope.period.end
    value = (n - before) / before if before and over else None
    return [_Figure(value, n, case.mine.ids, None, n, before, None if over else "the period is not over")]


def _load(case: _Case) -> list[_Figure]:
    n, total = case.count(), sum(case.count(tally) for tally in case.parts[_role(None)].values())
    return [_Figure(100 * n / total if total else None, n, case.mine.ids, None, n, total)]


def _spread(case: _Case) -> list[_Figure]:
    loads = [case.count(t) for group, t in case.parts["agents"].items() if group[:-1] == case.group and group[-1]]
    return [_Figure(arithmetic.variation(loads), len(loads), case.mine.ids)]


FIGURES: dict[Aggregate, Callable[[_Case], Iterable[_Figure]]] = {
    "durations": _durations,
    "ages": lambda case: _durations(case)[:2],
    "share": _share,
    "rates": _rates,
    "mean": _mean,
    "count": _count,
    "per_day": _per_day,
    "stock": _stock,
    "trend": _trend,
    "load": _load,
    "spread": _spread,
}
