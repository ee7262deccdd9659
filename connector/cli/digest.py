"""``deskpulse digest``."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click

from connector import facts
from connector.cli import the_config
from connector.cli.output import json_option, print_json
from connector.clock import clock_of
from connector.config import Config
from connector.digest import Digest, SendReport, compose, markdown, send, text
from connector.digest.model import Cell, Line, Look, Table
from connector.digest.send import frozen
from connector.errors import ConnectorError, UsageError
from connector.metric.coverage import bounds
from connector.models import Instant, to_iso
from connector.period import Period, begun, parse
from connector.store import Connection, connect

DEFAULT_PERIOD = {"day": "yesterday", "week": "last-week"}


@click.command()
@click.option("--period", help="2026-11-20, 2026-W47, yesterday… (else the config's: yesterday, or last week).")
@click.option("--preview", is_flag=True, help="Print it (the default).")
@click.option("--send", "really", is_flag=True, help="Send it to the services of [digest], once per period.")
@click.option("--again", is_flag=True, help="With --send: send it even if it was, or may have been, sent already.")
@click.option("--format", "layout", type=click.Choice(["text", "markdown"]), default="text", show_default=True)
@click.option("--language", type=click.Choice(["en", "fr"]), help="Else the config's.")
@json_option
@click.pass_context
def digest(
    ctx: click.Context,
    period: str | None,
    preview: bool,
    really: bool,
    again: bool,
    layout: str,
    language: str | None,
    as_json: bool,
) -> None:
    """Sum a day or a week up against the comparable one before; what got worse comes first.

    Channels and teams stand side by side, agents never.
    """
    if (preview and really) or (again and not really):
        raise UsageError("choose --preview to print the digest, or --send (with --again to insist) to send it")
    config = the_config(ctx)
    now = clock_of(config).now()
    if really:
        chosen = _period(config, period, now)
        _report(send(config, clock_of(config), chosen, language=language, again=again), as_json)
    else:
        found = _preview(config, period, now)
        render = markdown if layout == "markdown" else text
        print_json(digest_json(found)) if as_json else click.echo(render(found, language or config.language), nl=False)


def _period(config: Config, asked: str | None, now: Instant) -> Period:
    with closing(connect(config.database)) as conn:
        return _parsed(conn, config, asked, now)


def _parsed(conn: Connection, config: Config, asked: str | None, now: Instant) -> Period:
    found = parse(asked or DEFAULT_PERIOD[config.digest.period], config.zone, now, bounds(conn))
    return begun(found, config.zone, now)


def _preview(config: Config, asked: str | None, now: Instant) -> Digest:
    """The digest with its figures kept, so that `explain` knows them."""
    with closing(connect(config.database)) as conn:
        facts.refresh(conn, config)
        return frozen(conn, config, compose(conn, config, _parsed(conn, config, asked, now), now), now)


def _report(found: SendReport, as_json: bool) -> None:
    if as_json:
        results = [{"service": service, "state": state, "error": why or None} for service, state, why in found.results]
        print_json({"period": found.period, "run": found.run, "results": results})
    else:
        click.echo(found.line())
    if found.problem():
        raise ConnectorError(found.problem())


def digest_json(found: Digest) -> dict[str, Any]:
    """A digest as the interface prints it."""
    return {
        "zone": found.zone,
        "period": _span(found.period),
        "compared_with": _span(found.before),
        "data_until": None if found.data_until is None else to_iso(found.data_until),
        "complete": found.complete,
        "reasons": [reason._asdict() for reason in found.reasons],
        "quiet": found.quiet,
        "values": [_line(line) for line in found.lines],
        "tables": [_table(table) for table in found.tables],
        "look_at": [_look(look) for look in found.look],
        "passports": dict(found.passports),
    }


def _span(period: Period) -> dict[str, str]:
    return {"start": to_iso(period.start), "end": to_iso(period.end)}


def _line(line: Line) -> dict[str, Any]:
    value, change = line.value, line.change
    return {
        "key": value.key,
        "statistic": value.statistic,
        "clock": value.clock,
        "unit": value.unit,
        "value": value.value,
        "n": value.n,
        "interval": value.interval,
        "by": dict(value.by),
        "before": None if line.before is None else line.before.value,
        "change": None if change is None else change.difference,
        "verdict": line.verdict,
        "target": line.target,
        "meets": line.meets,
        "passport": line.passport,
    }


def _table(table: Table) -> dict[str, Any]:
    heads = [title.en if promise is None else f"{title.en} ({promise})" for title, promise in table.columns]
    rows = [
        {"name": name, "cells": [_cell(head, cell) for head, cell in zip(heads, cells, strict=True)]}
        for name, cells in table.rows
    ]
    return {"by": table.by, "rows": rows}


def _cell(head: str, cell: Cell) -> dict[str, Any]:
    return {"title": head, "value": cell.value, "n": cell.n, "unit": cell.unit or None, "meets": cell.meets}


def _look(look: Look) -> dict[str, Any]:
    return {"why": look.why, "conversation": look.conversation, "link": look.link, "figure": look.figure}
