"""Is it a change? Only where the intervals say so."""

from __future__ import annotations

from math import inf, sqrt

from connector.digest.model import Change, Verdict
from connector.metric import Value
from connector.metric.arithmetic import Z95, Interval, wilson


def change(now: Value, before: Value | None) -> Change | None:
    """The difference of two figures; None where one of them has no data.

    Its 95 % interval is made of the two figures' own, squared and added (MOVER: Zou and Donner 2008, Statistics in
    Medicine 27, 1693–1702). Of two Wilson intervals that is Newcombe's for a difference of shares (1998, method 10);
    of order statistics it assumes nothing about how durations are spread. Without both intervals nothing is clear.
    """
    if before is None or now.value is None or before.value is None:
        return None
    difference = now.value - before.value
    relative = difference / before.value if before.value else None
    mine, theirs = interval(now), interval(before)
    if mine is None or theirs is None or not difference:
        return Change(difference, relative, clear=False, strength=0)
    near, far = (mine[0], theirs[1]) if difference > 0 else (mine[1], theirs[0])
    reach = sqrt((now.value - near) ** 2 + (before.value - far) ** 2)
    strength = abs(difference) / reach if reach else inf
    return Change(difference, relative, clear=strength > 1, strength=strength)


def interval(value: Value) -> Interval | None:
    """The figure's own 95 % interval, or the one that fits what it is; None where there is none."""
    if value.interval is not None or value.value is None:
        return value.interval
    if value.unit == "count":
        return poisson(value.value)
    if value.unit == "percent" and value.numerator is not None and value.denominator is not None:
        found = wilson(value.numerator, value.denominator) if value.numerator <= value.denominator else None
        return (100 * found[0], 100 * found[1]) if found else None
    return None


def poisson(count: float) -> Interval:
    """95 % interval of a count of independent events (score interval; Barker 2002, The American Statistician 56)."""
    middle, half = count + Z95**2 / 2, Z95 * sqrt(count + Z95**2 / 4)
    return middle - half, middle + half


def verdict(found: Change | None, direction: str | None) -> Verdict:
    """What a change means for a figure whose better ``direction`` is lower, higher or None."""
    if found is None:
        return "alone"
    if not found.clear:
        return "steady"
    if direction is None:
        return "moved"
    return "better" if (found.difference > 0) == (direction == "higher") else "worse"
