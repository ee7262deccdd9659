"""What a KPI is (a description) and the engine that computes many of them in one pass over the facts."""

from connector.metric.description import (
    ANSWERED,
    CREATED,
    DIMENSIONS,
    OFFERED,
    RATED,
    REMOVED,
    REOPENED,
    SOLVED,
    STOCK,
    Composite,
    Left,
    Metric,
    Over,
    Rows,
    Target,
    Words,
    known,
)
from connector.metric.engine import Value, compute, expand, selected
from connector.metric.listing import markdown_table, target_of

__all__ = [
    "ANSWERED",
    "CREATED",
    "DIMENSIONS",
    "OFFERED",
    "RATED",
    "REMOVED",
    "REOPENED",
    "SOLVED",
    "STOCK",
    "Composite",
    "Left",
    "Metric",
    "Over",
    "Rows",
    "Target",
    "Value",
    "Words",
    "compute",
    "expand",
    "known",
    "markdown_table",
    "selected",
    "target_of",
]
