"""``deskpulse export``: one row per conversation, with every KPI that a single conversation has."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from connector.cli import the_config
from connector.cli.kpi import as_of_option, asked
from connector.models import Instant, to_iso
from connector.period import FORMS, Period
from connector.store import Connection

TIMED = (
    "first_response", "first_any_response", "handoff_response", "zendesk_first_response", "asked_first_response",
    "first_resolution", "full_resolution", "open",
)  # fmt: skip
SECONDS = tuple(f"{name}{clock}_s" for name in TIMED for clock in ("", "_business"))
INSTANTS = (
    "created_at", "first_response_at", "first_any_response_at", "handoff_at", "first_done_at", "last_done_at",
    "last_customer_at", "last_agent_at", "waiting_since", "rated_at",
)  # fmt: skip
FLAGS = ("one_touch", "no_touch", "first_contact_resolution", "bot", "escalated", "abandoned")
COUNTS = (
    "customer_messages", "agent_replies", "agent_turns", "bot_messages", "private_notes", "transfers", "resolutions",
    "reopens", "reopens_needing_reply",
)  # fmt: skip
COLUMNS = (
    "id", "source", *INSTANTS, "status", "channel", "inbox", "team", "agent", "language", "direction", "handled_by",
    "excluded", "merged_into", *SECONDS, *COUNTS, *FLAGS, "rating", "rating_low", "rating_high", "verdict", "link",
)  # fmt: skip
"""Durations are seconds, instants ISO 8601 UTC; empty (null) is what did not happen. ``excluded`` is merged, deleted or
spam: such a conversation is in no KPI."""

_NAMED = {
    "id": "v.vendor_id", "source": "s.name", "inbox": "i.name", "team": "t.name", "agent": "a.name", "link": "v.link",
    "rated_at": "r.rated_at", "rating": "r.score", "rating_low": "r.low", "rating_high": "r.high",
    "verdict": "r.verdict",
}  # fmt: skip
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@click.command()
@click.argument("what", type=click.Choice(["conversations"]))
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option("--period", default="all", show_default=True, metavar="PERIOD", help=f"Created in: {FORMS}.")
@as_of_option
@click.pass_context
def export(ctx: click.Context, what: str, form: str, period: str, as_of: str | None) -> None:
    """Write one row per conversation to standard output, as JSON Lines or CSV, oldest first."""
    with asked(the_config(ctx), period, as_of=as_of) as question:
        found = rows(question.conn, question.period)
        if form == "csv":
            write_csv(found, sys.stdout.write)
        else:
            write_jsonl(found, sys.stdout.write)


def rows(conn: Connection, period: Period) -> Iterator[dict[str, Any]]:
    """The conversations created in a period, one at a time."""
    columns = ", ".join(f"{_NAMED.get(name, f'c.{name}')} AS {name}" for name in COLUMNS)
    sql = f"""SELECT {columns} FROM fact_conversations c JOIN conversations v ON v.id = c.conversation_id
        JOIN sources s ON s.id = c.source_id LEFT JOIN inboxes i ON i.id = c.inbox_id
        LEFT JOIN teams t ON t.id = c.team_id LEFT JOIN agents a ON a.id = c.agent_id
        LEFT JOIN fact_ratings r ON r.conversation_id = c.conversation_id
        WHERE c.created_at >= ? AND c.created_at < ? ORDER BY c.created_at"""
    for row in conn.execute(sql, period[:2]):
        yield {name: _READ[name](row[name]) if name in _READ else row[name] for name in COLUMNS}


def _iso(value: Instant | None) -> str | None:
    return None if value is None else to_iso(value)


def _flag(value: int | None) -> bool | None:
    return None if value is None else bool(value)


_READ: dict[str, Callable[[Any], Any]] = dict.fromkeys(INSTANTS, _iso) | dict.fromkeys(FLAGS, _flag)


def write_jsonl(found: Iterator[dict[str, Any]], write: Callable[[str], Any]) -> None:
    for row in found:
        write(json.dumps(row, ensure_ascii=False) + "\n")


def write_csv(found: Iterator[dict[str, Any]], write: Callable[[str], Any]) -> None:
    """With a header. A text that a spreadsheet would take for a formula gets an apostrophe before it."""

    class Out:
        def write(self, text: str) -> None:
            write(text)

    lines = csv.writer(Out())
    lines.writerow(COLUMNS)
    for row in found:
        lines.writerow([_cell(row[name]) for name in COLUMNS])


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
