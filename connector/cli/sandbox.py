"""``deskpulse sandbox``: the demo inbox in the foreground."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector.errors import ConnectorError

if TYPE_CHECKING:
    from connector.sandbox import Sandbox


@click.command()
@click.option("--port", default=8642, show_default=True, type=click.IntRange(0, 65535), help="0: any free port.")
@click.option(
    "--conversations", metavar="FILE", type=click.Path(path_type=Path), help="Serve this file of the neutral format."
)
@click.option("--seed", default=1, show_default=True, help="Another seed, another desk.")
def sandbox(port: int, conversations: Path | None, seed: int) -> None:
    """Serve demo data on loopback through the services' own APIs, writes included, until Ctrl-C."""
    from connector.sandbox import Sandbox

    desk = Sandbox(conversations, seed=seed)
    try:
        desk.bind(port)
    except OSError as error:
        raise ConnectorError(
            f"port {port} cannot be used ({error.strerror}), nothing is served: choose another with --port"
        ) from None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=desk.stop).start())
    _introduce(desk)
    desk.serve()
    _conclude(desk)


def _introduce(desk: Sandbox) -> None:
    from connector.sandbox.paste import config_text

    click.echo(f"Sandbox with demo data: {desk.size:,} conversations at {desk.url}, token {desk.token}")
    for remark in desk.remarks:
        click.echo(f"Note: {remark}.")
    click.echo("Nothing that is sent to it reaches anybody. Ctrl-C ends it. For your deskpulse.toml:\n")
    click.echo(config_text(desk))


def _conclude(desk: Sandbox) -> None:
    count = len(desk.violations)
    click.echo(f"Sandbox stopped after {desk.requests.total():,} requests.")
    if count:
        raise ConnectorError(
            f"{count} of the messages sent here would have reached a customer: find out what sent them before it is "
            "pointed at a real inbox"
        )
