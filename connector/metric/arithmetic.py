"""The few formulas behind the figures, each with its source. None stands for "cannot be said", never for 0."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, fsum, pi, sqrt, tan

Interval = tuple[float, float]
Z95 = 1.959963984540054
"""The 97.5th percentile of the normal distribution: 95 % between −z and z."""


def percentile(ordered: Sequence[float], p: float) -> float | None:
    """Linear interpolation between closest ranks (SQL's percentile_cont, numpy's default). ``p`` in 0–1."""
    if not ordered:
        return None
    place = p * (len(ordered) - 1)
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (ordered[above] - ordered[below]) * (place - below))


def percentile_interval(ordered: Sequence[float], p: float) -> Interval | None:
    """95 % interval of a percentile from order statistics (binomial ranks, normal approximation; Conover 1999, 3.2).

    None where fewer than three values lie beyond it on either side: no pair of ranks would cover 95 %.
    """
    n = len(ordered)
    if n * min(p, 1 - p) < 3:
        return None
    half = Z95 * sqrt(n * p * (1 - p))
    low, high = ceil(n * p - half) - 1, min(ceil(n * p + half), n) - 1
    return float(ordered[max(low, 0)]), float(ordered[high])


def wilson(successes: int, n: int) -> Interval | None:
    """95 % interval of a share, as 0–1 (Wilson 1927): holds for small n and near 0 and 1."""
    if not n:
        return None
    share, z2 = successes / n, Z95 * Z95
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def mean(values: Sequence[float]) -> float | None:
    """Summed exactly, so that the order in which rows come does not move the last digit."""
    return fsum(values) / len(values) if values else None


def mean_interval(values: Sequence[float]) -> Interval | None:
    """95 % interval of a mean with Student's t; None below two values, where the spread is unknown."""
    n = len(values)
    if n < 2:
        return None
    middle = fsum(values) / n
    half = student(n - 1) * sqrt(fsum((v - middle) ** 2 for v in values) / (n - 1) / n)
    return middle - half, middle + half


def student(freedom: int) -> float:
    """The 97.5th percentile of Student's t: exact for 1 and 2, else the expansion in 1/freedom
    (Abramowitz and Stegun 26.7.5), right to 0.2 % at 3 and better above."""
    if freedom == 1:
        return tan(pi * 0.475)
    if freedom == 2:
        return 0.95 * sqrt(2 / (1 - 0.95**2))
    z = Z95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + sum(term / float(freedom) ** i for i, term in enumerate(terms, 1))


def variation(values: Sequence[float]) -> float | None:
    """Coefficient of variation: standard deviation (of these, not of a sample) ÷ mean. 0 is an even spread."""
    middle = mean(values)
    if middle is None or len(values) < 2 or not middle:
        return None
    return sqrt(fsum((v - middle) ** 2 for v in values) / len(values)) / middle
