"""``deskpulse demo``: the whole main job, offline, against the sandbox inbox; each step is the command a user types."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

import click

from connector.cli import cli
from connector.errors import UsageError
from connector.models import to_iso
from connector.sandbox import Sandbox

CONFIG = """\
# A demo's config: the inbox and the chat in it are the sandbox's, and its clock stands still at the end of the data.
# Serve the same sandbox again with: deskpulse sandbox --port {port}{conversations}
demo = true
now = "{now}"
database = "deskpulse.db"
zone = "{zone}"
language = "{language}"

[services.chatwoot]
url = "{url}"
account = {account}
token = "{token}"
requests_per_second = 1000

[services.slack]
webhook = "{url}/slack/webhook/demo"

[calendar.hours]
mon = ["09:00-18:00"]
tue = ["09:00-18:00"]
wed = ["09:00-18:00"]
thu = ["09:00-18:00"]
fri = ["09:00-18:00"]

[push]
enabled = true
daily_budget = 20

[push.rules.slow-first-response]
over = "4h"
note = true

[push.rules.low-rating]

[push.rules.reopened]

[digest]
to = ["slack"]
period = "day"

[schedule]
sync = "*/15 * * * *"
digest = "0 8 * * *"
"""

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Pull the inbox over HTTP into the store", ("sync",)),
    ("Measure", ("kpi", "--period", "all")),
    ("Plan what to write back", ("push", "--plan")),
    ("Write it back: the first one alone, each one read back", ("push", "--apply")),
    ("Sum the last day up", ("digest",)),
    ("Send that to the team's chat", ("digest", "--send")),
    ("Once more: nothing new is read, nothing is written twice", ("sync",)),
    ("", ("push", "--apply")),
)


@click.command()
@click.option("--conversations", metavar="FILE", help="Conversations in the neutral format instead of generated ones.")
@click.option("--home", metavar="DIR", default=".demo", show_default=True, help="Its folder; begun anew.")
@click.option("--language", type=click.Choice(["en", "fr"]), default="en", show_default=True, help="Of the digest.")
def demo(conversations: str | None, home: str, language: str) -> None:
    """Run the whole main job offline: a sandbox inbox is pulled, measured, written back and summed up."""
    folder = Path(home)
    with _serving(conversations) as sandbox:  # a file that cannot be read costs no demo that was there
        _clear(folder)
        config = folder / "deskpulse.toml"
        config.touch(mode=0o600)  # as a real one: it holds tokens
        config.write_text(_config_text(sandbox, conversations, language), "utf-8")
        click.echo(f"A demo inbox with {sandbox.size:,} conversations is served at {sandbox.url}")
        for remark in sandbox.remarks:
            click.echo(f"Note: {remark}.")
        for title, command in STEPS:
            _step(title, config, command)
        _labels(sandbox)
    click.echo(
        f"\nGo on from here, for example:\n  deskpulse --config {config} kpi first_response_time --by team --period all"
    )


@contextmanager
def _serving(conversations: str | None) -> Iterator[Sandbox]:
    sandbox = Sandbox(conversations)
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.stop()


def _config_text(sandbox: Sandbox, conversations: str | None, language: str) -> str:
    return CONFIG.format(
        url=sandbox.url,
        port=sandbox.url.rsplit(":", 1)[1],
        account=sandbox.account,
        token=sandbox.token,
        now=to_iso(sandbox.now),
        zone=sandbox.world.zone,
        language=language,
        conversations=f" --conversations {quote(conversations)}" if conversations else "",
    )


def _clear(folder: Path) -> None:
    """Only the files of a demo are ever removed; what else lies beside them stays. UsageError where there was none."""
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not _is_demo(folder))):
        raise UsageError(f"{folder} is not a demo's folder, so nothing was done; name another one with --home")
    folder.mkdir(parents=True, exist_ok=True)
    for own in folder.glob("deskpulse.*"):
        own.unlink()


def _is_demo(folder: Path) -> bool:
    try:
        return tomllib.loads((folder / "deskpulse.toml").read_text("utf-8")).get("demo") is True
    except (OSError, ValueError):
        return False


def _step(title: str, config: Path, command: tuple[str, ...]) -> None:
    if title:
        click.secho(f"\n== {title}", bold=True)
    click.secho(f"$ deskpulse --config {config} {' '.join(command)}", dim=True)
    cli.main(["--config", str(config), *command], standalone_mode=False)


def _labels(sandbox: Sandbox) -> None:
    """What the inbox itself now says: read from the sandbox, not from our journal."""
    click.secho("\n== The labels that the inbox holds now", bold=True)
    for conversation, labels in sandbox.labels("deskpulse-"):
        click.echo(f"  {conversation}: {', '.join(labels)}")
