"""``deskpulse connect``."""

from __future__ import annotations

from pathlib import Path

import click
from pydantic.fields import FieldInfo

from connector import registry
from connector.cli.admin import say
from connector.clock import clock_of
from connector.config import config_path, load
from connector.connecting import ask_for, keeper, kept, tried, worst, write_section
from connector.doctor import FINE, WRONG
from connector.errors import ConfigError, ConnectorError
from connector.secrets import is_secret
from connector.starter import machine_zone, starter


@click.command()
@click.argument("name")
@click.option("--adapter", help="What it is, where the section's NAME is not the adapter's own.")
@click.pass_context
def connect(ctx: click.Context, name: str, adapter: str | None) -> None:
    """Connect a service: ask for what it needs, try it, and add [services.NAME] to the config.

    The secret is read without echo and kept outside the config. Asked again for a service that is connected already,
    it renews its settings: that is how an expired token is replaced.
    """
    path = config_path(ctx.obj)
    adapter = adapter or (name if name in registry.adapter_names() else _adapter_of(path, name))
    registry.adapter_class(adapter)
    _begin(path)
    config = load(path)
    click.echo(f"Connecting {name}. README says where to find each of these.")
    section = ask_for(adapter, name, config, _ask, click.echo)
    found = tried(section, config, clock_of(config))
    for diagnosis in found:
        say(diagnosis)
    if (code := worst(found)) != FINE:
        kind = ConfigError if code == WRONG else ConnectorError
        raise kind(f"{name} was not added to {path}: see above, then run `deskpulse connect {name}` again")
    write_section(path, kept(section, config, keeper(name, path.parent)))
    click.echo(f"added [services.{name}] to {path}: run `deskpulse sync {name}`")


def _adapter_of(path: Path, name: str) -> str:
    """The adapter of a section that is there, else the name itself (which is then refused with a near one)."""
    return next((one.adapter for one in load(path).services if one.name == name), name) if path.exists() else name


def _begin(path: Path) -> None:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(starter("en", machine_zone()), "utf-8")
        click.echo(f"wrote {path}")


def _ask(setting: str, field: FieldInfo, optional: bool) -> str:
    what = f" ({field.description})" if field.description else ""
    hint = ", empty if you have none" if optional else ""
    default = "" if optional else None
    found: str = click.prompt(
        f"{setting}{what}{hint}", default=default, hide_input=is_secret(field), show_default=False
    )
    return found
