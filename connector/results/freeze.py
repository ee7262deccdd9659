"""Values into the store, each under its passport."""

from __future__ import annotations

import hashlib
import json
import zlib
from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

from connector import registry
from connector.config import Config
from connector.errors import UsageError
from connector.metric import Value
from connector.metric.coverage import data_until
from connector.models import Instant
from connector.period import Period
from connector.results.fingerprint import fingerprint
from connector.store import Connection, Row, transaction

PASSPORT_LENGTH = 12


class Cohort(NamedTuple):
    """The conversations behind a figure: ascending, each once."""

    id: str
    ids: array[int]


class Frozen(NamedTuple):
    """A row of ``results``, by the names of its columns; JSON columns as objects."""

    id: str
    key: str
    version: int
    statistic: str
    clock: str
    unit: str
    value: float | None
    n: int
    low: float | None
    high: float | None
    denominator: int | None
    period_start: Instant
    period_end: Instant
    zone: str
    dimensions: dict[str, str | None]
    filters: dict[str, str]
    scope: str
    calendar: str
    as_of: Instant | None
    computed_at: Instant
    data_until: Instant | None
    complete: bool
    exclusions: dict[str, int]
    cohort_id: str
    cursors: dict[str, Any]
    published: str | None = None
    published_at: Instant | None = None
    restates: str | None = None
    reason: str | None = None

    @property
    def content(self) -> tuple[object, ...]:
        """What makes the figure: two rows of one scope with the same content are one figure."""
        exclusions = json.dumps(self.exclusions, sort_keys=True)
        interval = (self.low, self.high, self.denominator)
        return (self.version, self.value, self.n, *interval, exclusions, self.cohort_id, self.calendar)

    @property
    def passport(self) -> str:
        return _hash(self.scope, *self.content, self.complete, self.restates)[:PASSPORT_LENGTH]


def freeze(
    conn: Connection,
    config: Config,
    values: Sequence[Value],
    period: Period,
    *,
    now: Instant,
    as_of: Instant | None = None,
    publish: str | None = None,
) -> list[str]:
    """Store the values, in one transaction, and return their passports in the same order.

    ``publish`` names what a person will read them in, which is noted once. A value as of an earlier instant is kept
    beside the others and restates none of them.
    """
    drafts = _Drafts(conn, config, period, now, as_of)
    cohorts: dict[int, Cohort] = {}
    settled: list[Frozen] = []
    for value in values:
        cohort = cohorts.get(id(value.ids)) or cohorts.setdefault(id(value.ids), _cohort(value.ids))
        settled.append(_settle(conn, drafts.draft(value, cohort), cohort))
    with transaction(conn):
        _write(conn, settled, {cohort.id: cohort for cohort in cohorts.values()})
        if publish:
            sql = "UPDATE results SET published = ?, published_at = ? WHERE id = ? AND published IS NULL"
            conn.executemany(sql, [(publish, now, row.id) for row in settled])
    return [row.id for row in settled]


def find(conn: Connection, passport: str) -> Frozen:
    """The frozen figure. UsageError when there is none under that passport."""
    row = conn.execute("SELECT * FROM results WHERE id = ?", (passport,)).fetchone()
    if row is None:
        raise UsageError(f'there is no figure with the passport "{passport}"; copy one from `deskpulse kpi --json`')
    return _read(row)


def cohort_of(conn: Connection, frozen: Frozen) -> array[int]:
    """The ids (the store's own) of the conversations behind a figure, ascending."""
    sql = "SELECT conversations FROM cohorts WHERE id = ?"
    return _unpacked(conn.execute(sql, (frozen.cohort_id,)).fetchone()[0])


def latest(conn: Connection, scope: str, *, complete: bool = False) -> Frozen | None:
    """The newest figure of a scope, or the newest of those that were complete.

    The newest is the one added last, for a clock may have been set back since an earlier one.
    """
    only = "AND complete" if complete else ""
    sql = f"SELECT * FROM results WHERE scope = ? {only} ORDER BY rowid DESC LIMIT 1"
    row = conn.execute(sql, (scope,)).fetchone()
    return None if row is None else _read(row)


class _Drafts:
    """Makes rows of values; what all of one computation share is found once."""

    def __init__(self, conn: Connection, config: Config, period: Period, now: Instant, as_of: Instant | None) -> None:
        self.config, self.period, self.now, self.as_of = config, period, now, as_of
        self.prints = fingerprint(conn, config)
        self.until = data_until(conn, config)
        self.cursors = _cursors(conn)
        self.catalogue = registry.metrics()

    def draft(self, value: Value, cohort: Cohort) -> Frozen:
        """The row of a value, still without passport and relation to earlier rows."""
        metric = self.catalogue[value.key]
        low, high = value.interval or (None, None)
        clock, zone = value.clock or "", self.config.zone
        about = (value.key, value.statistic, clock, self.period.start, self.period.end, zone)
        return Frozen(
            id="", key=value.key, version=metric.version, statistic=value.statistic, clock=clock, unit=value.unit,
            value=value.value, n=value.n, low=low, high=high, denominator=value.denominator,
            period_start=self.period.start, period_end=self.period.end, zone=zone,
            dimensions=dict(value.by), filters=dict(value.where),
            scope=_hash(*about, dict(value.by), dict(value.where), self.as_of),
            calendar=self.prints.of(metric, clock, {*value.by, *value.where}), as_of=self.as_of, computed_at=self.now,
            data_until=self.until, complete=value.complete, exclusions=dict(value.exclusions),
            cohort_id=cohort.id, cursors=self.cursors,
        )  # fmt: skip


def _settle(conn: Connection, draft: Frozen, cohort: Cohort) -> Frozen:
    """The earlier row if it says the same; else the draft as a new one, which restates the last complete one."""
    last, last_complete = latest(conn, draft.scope), latest(conn, draft.scope, complete=True)
    for earlier in (last, last_complete):
        if earlier and earlier.content == draft.content and earlier.complete == draft.complete:
            return earlier
    if last_complete and last_complete.content != draft.content:
        reason = _reason(conn, last_complete, draft, cohort)
        draft = draft._replace(restates=last_complete.id, reason=reason)
    return draft._replace(id=_unused(conn, draft))


def _unused(conn: Connection, draft: Frozen) -> str:
    """Its passport; one that is taken (a figure that went and came back) is told apart by its time."""
    taken = conn.execute("SELECT 1 FROM results WHERE id = ?", (draft.passport,)).fetchone()
    return _hash(draft.passport, draft.computed_at, draft.reason)[:PASSPORT_LENGTH] if taken else draft.passport


def _reason(conn: Connection, old: Frozen, new: Frozen, cohort: Cohort) -> str:
    """Why a figure is another than it was, as a clause."""
    if old.version != new.version:
        return f"the definition changed from version {old.version} to {new.version}"
    if old.calendar != new.calendar:
        return "opening hours or other settings changed"
    before, after = set(cohort_of(conn, old)), set(cohort.ids)
    if before != after:
        moves = ((len(after - before), "came in"), (len(before - after), "left"))
        return "late data: " + ", ".join(f"{n} conversation{'s' * (n > 1)} {verb}" for n, verb in moves if n)
    if (old.value, old.n, old.low, old.high) == (new.value, new.n, new.low, new.high):
        return "what is left out or provisional changed, the figure did not"
    return "late data: the same conversations, changed since"


def _write(conn: Connection, rows: Sequence[Frozen], cohorts: dict[str, Cohort]) -> None:
    used = {row.cohort_id for row in rows}
    packed = [(c.id, len(c.ids), _packed(c.ids)) for c in cohorts.values() if c.id in used and not _has(conn, c.id)]
    conn.executemany("INSERT INTO cohorts VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING", packed)
    marks = ", ".join("?" * len(Frozen._fields))
    sql = f"INSERT INTO results ({', '.join(Frozen._fields)}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING"
    conn.executemany(sql, [[_stored(cell) for cell in row] for row in rows])


def _has(conn: Connection, cohort: str) -> bool:
    return conn.execute("SELECT 1 FROM cohorts WHERE id = ?", (cohort,)).fetchone() is not None


def _stored(cell: Any) -> Any:
    return json.dumps(cell, ensure_ascii=False, sort_keys=True) if isinstance(cell, dict) else cell


def _read(row: Row) -> Frozen:
    objects = {name: json.loads(row[name]) for name in ("dimensions", "filters", "exclusions", "cursors")}
    return Frozen(**{**dict(row), **objects, "complete": bool(row["complete"])})


def _cohort(ids: Sequence[int]) -> Cohort:
    ordered = array("q", sorted(set(ids)))
    return Cohort(hashlib.sha256(ordered.tobytes()).hexdigest()[:32], ordered)


def _packed(ids: array[int]) -> bytes:
    """Differences compress better than ids."""
    return zlib.compress(array("q", [b - a for a, b in zip([0, *ids], ids, strict=False)]).tobytes())


def _unpacked(blob: bytes) -> array[int]:
    steps = array("q")
    steps.frombytes(zlib.decompress(blob))
    total, ids = 0, array("q")
    for step in steps:
        total += step
        ids.append(total)
    return ids


def _cursors(conn: Connection) -> dict[str, Any]:
    """Where each source had been read to."""
    found: dict[str, Any] = {}
    sql = "SELECT s.name, c.stream, c.cursor FROM cursors c JOIN sources s ON s.id = c.source_id ORDER BY 1, 2"
    for name, stream, cursor in conn.execute(sql):
        found.setdefault(name, {})[stream] = json.loads(cursor)
    return found


def _hash(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
