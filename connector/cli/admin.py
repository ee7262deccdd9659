"""``deskpulse init``, ``deskpulse doctor``, ``deskpulse status``: the admin's side."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector.cli import the_config
from connector.cli.output import json_option, print_json, print_table
from connector.clock import clock_of
from connector.config import Config, config_path
from connector.errors import UsageError
from connector.language import duration
from connector.models import Instant, to_iso
from connector.status import SourceStatus, Status
from connector.status import status as status_of
from connector.store import connect

if TYPE_CHECKING:
    from connector.doctor import Diagnosis

MARKS = {True: "ok", None: "warning", False: "failed"}
COLUMNS = ("source", "state", "since", "last sync", "age", "conversations", "latest message", "rejected")


@click.command()
@click.option("--language", type=click.Choice(["en", "fr"]), default="en", show_default=True, help="Of its comments.")
@click.option("--force", is_flag=True, help="Overwrite the config that is there.")
@click.pass_context
def init(ctx: click.Context, language: str, force: bool) -> None:
    """Write a commented deskpulse.toml that only you can read; a config that is there stays as it is."""
    from connector.starter import machine_zone, starter

    path = config_path(ctx.obj)
    _write(path, starter(language, machine_zone()), force)
    click.echo(
        f"wrote {path}: run `deskpulse connect NAME`, or fill in a [services.…] section and run `deskpulse doctor`"
    )


def _write(path: Path, text: str, force: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} exists, so nothing was written: overwrite it with --force") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}): name another one with --config") from None
    with open(descriptor, "w", encoding="utf-8") as file:
        path.chmod(0o600)  # one that was there keeps its old mode otherwise
        file.write(text)


@click.command()
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@json_option
@click.pass_context
def doctor(ctx: click.Context, services: tuple[str, ...], as_json: bool) -> None:
    """Test every credential and setting with the cheapest call, and say what to fix: of SERVICE, else of everything.

    Exit 0: all works (warnings may remain); 1: a service is down; 2: a setting or a credential is wrong.
    """
    from connector.doctor import examine

    config = the_config(ctx)
    found = []
    for diagnosis in examine(config, services, clock_of(config)):
        found.append(diagnosis)
        if not as_json:
            say(diagnosis)
    if as_json:
        print_json([_row(diagnosis) for diagnosis in found])
    ctx.exit(max((diagnosis.exit for diagnosis in found), default=0))


def say(diagnosis: Diagnosis) -> None:
    """One line as soon as it is known, since a service that is down takes its time."""
    finding = diagnosis.finding
    click.echo(f"{MARKS[finding.ok]:<9}{diagnosis.subject:<12} {finding.check}: {finding.detail}")
    if finding.remedy:
        click.echo(f"{'':<22}→ {finding.remedy}")


def _row(diagnosis: Diagnosis) -> dict[str, Any]:
    finding = diagnosis.finding
    return {
        "subject": diagnosis.subject,
        "check": finding.check,
        "state": MARKS[finding.ok],
        "detail": finding.detail,
        "remedy": finding.remedy,
    }


@click.command()
@json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Say how fresh and complete the data is.

    Exit 0: fresh; 1: somebody has to do something (a refused credential, a late sync, a digest that does not get out, a
    write that may or may not have arrived), so that monitoring can ask it.
    """
    config = the_config(ctx)
    with closing(connect(config.database)) as conn:
        found = status_of(conn, config, clock_of(config).now())
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found, config)
    ctx.exit(1 if found.problems else 0)


def _print(found: Status, config: Config) -> None:
    if found.sources:
        rows = [_cells(source, found.now, config) for source in found.sources]
        print_table(COLUMNS, rows, right=(4, 5, 7))
    sent = f"{found.digest['key']}, {_local(found.digest['sent_at'], config)}" if found.digest else "none yet"
    click.echo(f"last digest: {sent}")
    for entry in found.outbox:
        click.echo(f"outbox: {entry['state']} since {_local(entry['claimed_at'], config)}: {entry['key']}")
    for problem in found.problems:
        click.echo(f"! {problem}")
    if not found.problems:
        click.echo(f"fresh: everything was read at most {duration(found.age_s or 0, 'en')} ago")


def _cells(source: SourceStatus, now: Instant, config: Config) -> tuple[str, ...]:
    return (
        source.name if source.configured else f"{source.name} (not in the config)",
        source.state,
        _local(source.since, config),
        _local(source.synced_at, config),
        "never" if source.age_s is None else duration(source.age_s, "en"),
        f"{source.conversations:,}",
        _local(source.latest_message, config),
        f"{source.rejected:,}",
    )


def _local(instant: Instant | None, config: Config) -> str:
    return "" if instant is None else f"{datetime.fromtimestamp(instant / 1000, config.tz):%Y-%m-%d %H:%M}"


def _as_json(found: Status) -> dict[str, Any]:
    return {
        "now": to_iso(found.now),
        "fresh": not found.problems,
        "age_s": found.age_s,
        "problems": list(found.problems),
        "sources": [_with_iso(vars(source)) for source in found.sources],
        "digest": _with_iso(found.digest) if found.digest else None,
        "outbox": [_with_iso(entry) for entry in found.outbox],
    }


def _with_iso(row: dict[str, Any]) -> dict[str, Any]:
    """Its instants as ISO 8601."""
    instants = {"since", "synced_at", "latest_message", "sent_at", "claimed_at"}
    return {key: to_iso(value) if key in instants and value is not None else value for key, value in row.items()}
