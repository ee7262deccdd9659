"""How a figure came about, and whether it comes about again."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import NamedTuple

from connector import facts, registry
from connector.config import Config
from connector.errors import UsageError
from connector.metric import REMOVED, Metric, Value, compute
from connector.models import Instant
from connector.period import Period
from connector.results.fingerprint import fingerprint
from connector.results.freeze import Frozen, cohort_of, find, freeze
from connector.store import Connection, connect


class Exclusion(NamedTuple):
    """``kept`` is counted in the figure, but worth saying."""

    name: str
    title: str
    n: int
    kept: bool


class Member(NamedTuple):
    """A conversation behind a figure, by its source's own id."""

    id: str
    source: str
    link: str | None


class Again(NamedTuple):
    """The figure, computed once more from the records. ``because`` says why it is another, None when it is the same."""

    value: float | None
    n: int
    because: str | None

    @property
    def same(self) -> bool:
        return self.because is None


@dataclass(frozen=True)
class Explanation:
    """Everything that makes one figure. ``today`` is the newest figure of its scope, None when that is this one."""

    frozen: Frozen
    metric: Metric
    cohort: array[int]
    members: Sequence[Member]
    exclusions: Sequence[Exclusion]
    again: Again
    today: Frozen | None


def explain(
    conn: Connection, config: Config, passports: Sequence[str], *, now: Instant, limit: int | None = 20
) -> list[Explanation]:
    """Explain frozen figures. ``limit`` bounds the conversations named, None names all.

    Each is computed again from the records as they were known when it was computed, and once more as they are known
    now; a restatement that this brings to light is stored. UsageError for an unknown passport.
    """
    found = [find(conn, passport) for passport in passports]
    agains, todays = _agains(conn, config, found), _todays(config, found, now)
    return [
        _explanation(conn, config, frozen, again, today, limit)
        for frozen, again, today in zip(found, agains, todays, strict=True)
    ]


def _explanation(
    conn: Connection, config: Config, frozen: Frozen, again: Again, today: Frozen, limit: int | None
) -> Explanation:
    metric, cohort = registry.metrics()[frozen.key], cohort_of(conn, frozen)
    titles = {left.name: left for left in (*metric.leaves_out, *REMOVED)}
    exclusions = [
        Exclusion(name, titles[name].title.of(config.language), n, titles[name].kept)
        for name, n in frozen.exclusions.items()
        if name in titles
    ]
    members = list(_members(conn, cohort[:limit]))
    return Explanation(frozen, metric, cohort, members, exclusions, again, None if today.id == frozen.id else today)


def _members(conn: Connection, ids: Iterable[int]) -> Iterable[Member]:
    sql = "SELECT c.vendor_id, s.name, c.link FROM conversations c JOIN sources s ON s.id = c.source_id WHERE c.id = ?"
    for id_ in ids:
        yield Member(*conn.execute(sql, (id_,)).fetchone())


def _agains(conn: Connection, config: Config, found: Sequence[Frozen]) -> list[Again]:
    """One rebuild of the facts per instant at which figures were computed."""
    instants = {_known_at(frozen) for frozen in found}
    agains: dict[str, Again] = {}
    for instant in sorted(instants):
        mine = [frozen for frozen in found if _known_at(frozen) == instant]
        values = recomputed(config, mine, instant)
        agains |= {f.id: _compared(conn, config, f, value) for f, value in zip(mine, values, strict=True)}
    return [agains[frozen.id] for frozen in found]


def _known_at(frozen: Frozen) -> Instant:
    return frozen.computed_at if frozen.as_of is None else frozen.as_of


def recomputed(config: Config, found: Sequence[Frozen], instant: Instant) -> list[Value | None]:
    """The figures from facts rebuilt out of the records known at an instant; None for one whose group is gone."""
    with closing(connect(config.database)) as conn:  # its own: the rebuilt facts shadow the real ones until it closes
        facts.as_of(conn, config, instant)
        return _computed(conn, config, found, instant)


def _computed(conn: Connection, config: Config, found: Sequence[Frozen], now: Instant) -> list[Value | None]:
    """The figures that the facts give now; those of one computation together."""
    computed: dict[str, list[Value]] = {}
    values: list[Value | None] = []
    for frozen in found:
        by = [d for d in frozen.dimensions if d not in registry.metrics()[frozen.key].split]
        about = repr((frozen.key, frozen.period_start, frozen.period_end, frozen.zone, by, frozen.filters))
        if about not in computed:
            computed[about] = _together(conn, config, frozen, by, now)
        values.append(next((value for value in computed[about] if _is(frozen, value)), None))
    return values


def _together(conn: Connection, config: Config, frozen: Frozen, by: Sequence[str], now: Instant) -> list[Value]:
    """All figures of one computation; none when a name that it was filtered by is no longer anybody's."""
    own, period = replace(config, zone=frozen.zone), Period(frozen.period_start, frozen.period_end, "")
    try:
        return compute(conn, own, [frozen.key], period, by=by, where=frozen.filters, now=now)
    except UsageError:
        return []


def _is(frozen: Frozen, value: Value) -> bool:
    about = (value.statistic, value.clock or "", dict(value.by))
    return about == (frozen.statistic, frozen.clock, frozen.dimensions)


def _compared(conn: Connection, config: Config, frozen: Frozen, value: Value | None) -> Again:
    if value is None:
        return Again(None, 0, "its group no longer occurs")
    ids = array("q", sorted(set(value.ids)))
    same = (value.value, value.n, ids) == (frozen.value, frozen.n, cohort_of(conn, frozen))
    return Again(value.value, value.n, None if same else _because(conn, config, frozen))


def _because(conn: Connection, config: Config, frozen: Frozen) -> str:
    metric = registry.metrics()[frozen.key]
    if metric.version != frozen.version:
        return f"the definition is now version {metric.version}, it was {frozen.version}"
    about = {*frozen.dimensions, *frozen.filters}
    if frozen.calendar != fingerprint(conn, config).of(metric, frozen.clock, about):
        return "opening hours or other settings have changed since"
    return "its sources have rewritten what they had said before"


def _todays(config: Config, found: Sequence[Frozen], now: Instant) -> list[Frozen]:
    """Each figure as it is now; one that was asked for as of an instant stays what it is."""
    todays = []
    with closing(connect(config.database)) as conn:  # its own: the caller's may look at the facts of an instant
        for frozen, value in zip(found, _computed(conn, config, found, now), strict=True):
            if value is None or frozen.as_of is not None:
                todays.append(frozen)
                continue
            period = Period(frozen.period_start, frozen.period_end, "")
            todays.append(find(conn, freeze(conn, replace(config, zone=frozen.zone), [value], period, now=now)[0]))
    return todays
