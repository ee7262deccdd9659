"""What a person reads about KPIs: the table of all of them, and which target applies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connector.config import Config
from connector.metric.description import Composite, Metric


def target_of(metric: Metric, config: Config, by: Mapping[str, str | None]) -> float | None:
    """The target in the metric's unit: the config's, else the default; None where there is none.

    A default that differs by channel applies only to figures of one channel.
    """
    own = config.targets.get(metric.key, metric.target.value)
    return own if own is not None else dict(metric.target.by_channel).get(by.get("channel") or "")


def met(metric: Metric, target: float, value: float) -> bool:
    """Exactly on target is met."""
    return value <= target if metric.direction == "lower" else value >= target


def markdown_table(catalogue: Iterable[Metric | Composite]) -> str:
    """Every KPI as a Markdown table, in the catalogue's order, ending with a newline."""
    lines = ["| key | what it says | en français | unit | counts |", "|---|---|---|---|---|"]
    for metric in catalogue:
        unit, counts = (metric.unit, metric.counts) if isinstance(metric, Metric) else ("several", "")
        lines.append(
            f"| `{metric.key}` | {metric.title.en}: {metric.meaning.en} | {metric.title.fr} | {unit} | {counts} |"
        )
    return "\n".join(lines) + "\n"
