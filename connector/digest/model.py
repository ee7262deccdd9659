"""A digest before it is worded: figures, what moved, what to look at. No language, no layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from connector.metric import Value, Words
from connector.models import Instant
from connector.period import Period

Verdict = Literal["worse", "better", "moved", "steady", "alone"]
"""``moved``: clearly, where neither way is better; ``steady``: no clear change; ``alone``: nothing to compare with."""


class Change(NamedTuple):
    """This minus before, in the figure's unit. ``clear`` when the 95 % interval of the difference excludes 0.

    ``relative`` is a share of before (None when that was 0); ``strength`` orders changes of different units.
    """

    difference: float
    relative: float | None
    clear: bool
    strength: float


@dataclass(frozen=True)
class Line:
    """One headline figure. ``meets`` says whether ``target`` is met; None without one.

    ``unfed`` names all sources where none of them can feed it: then there is no figure, and it is known why."""

    title: Words
    value: Value
    before: Value | None
    change: Change | None
    verdict: Verdict
    target: float | None = None
    meets: bool | None = None
    passport: str | None = None
    unfed: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Neither now nor before."""
        return self.value.value is None and (self.before is None or self.before.value is None)


class Cell(NamedTuple):
    value: float | None
    n: int
    unit: str
    meets: bool | None


@dataclass(frozen=True)
class Table:
    """Groups of one dimension side by side: never agents. A row's name is None for "none of them".

    A column is (title, promise): an SLA has one per promise, other figures have None.
    """

    by: Literal["channel", "team"]
    columns: tuple[tuple[Words, str | None], ...]
    rows: tuple[tuple[str | None, tuple[Cell, ...]], ...]
    values: tuple[Value, ...] = field(default=(), repr=False)


class Look(NamedTuple):
    """A conversation to look at and why. ``figure`` is seconds (waiting, breached, slow) or the score (low-rated)."""

    why: Literal["waiting", "breached", "low-rated", "slow"]
    conversation: str
    link: str | None
    figure: float
    detail: str = ""


class Reason(NamedTuple):
    """Why the figures may still change. ``what``: open, nothing, never, paused, behind, rejects."""

    what: str
    name: str = ""
    at: Instant = 0
    number: int = 0


@dataclass(frozen=True)
class Digest:
    """``lines`` in the order of the headlines; ``passports`` by value once the figures are frozen."""

    period: Period
    before: Period
    zone: str
    now: Instant
    data_until: Instant | None
    reasons: tuple[Reason, ...]
    lines: tuple[Line, ...]
    tables: tuple[Table, ...] = ()
    look: tuple[Look, ...] = ()
    values: tuple[Value, ...] = field(default=(), repr=False)
    values_before: tuple[Value, ...] = field(default=(), repr=False)
    passports: Mapping[str, str] = field(default_factory=dict)

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    @property
    def complete(self) -> bool:
        return not any(reason.what != "rejects" for reason in self.reasons)

    @property
    def quiet(self) -> bool:
        """There was something to compare with, and nothing clearly moved."""
        verdicts = {line.verdict for line in self.lines}
        return "steady" in verdicts and verdicts <= {"steady", "alone"}

    def of(self, *verdicts: Verdict) -> list[Line]:
        """The lines so judged; clear changes with the clearest first."""
        found = [line for line in self.lines if line.verdict in verdicts]
        clear = {"worse", "better", "moved"}.issuperset(verdicts)
        return sorted(found, key=lambda line: -(line.change.strength if line.change else 0)) if clear else found
