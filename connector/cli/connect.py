"""``deskpulse connect``."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click
from pydantic.fields import FieldInfo

from connector import registry
from connector.cli.admin import say
from connector.clock import clock_of
from connector.config import Config, ServiceConfig, config_path, load
from connector.connecting import ask_for, held, keeper, kept, tried, worst, write_section
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
    adapter = adapter or _adapter_of(path, name)
    kind = registry.adapter_class(adapter)
    _begin(path)
    config = load(path)
    click.echo(f"Connecting {name}. README says where to find each of these.")
    section = ask_for(adapter, name, config, _ask, click.echo)
    found = tried(section, config, clock_of(config))
    for diagnosis in found:
        say(diagnosis)
    if (code := worst(found)) != FINE:
        failure = ConfigError if code == WRONG else ConnectorError
        raise failure(f"{path} stays as it was: see above, then run `deskpulse connect {quote(name)}` again")
    click.echo(_found(section, config))
    write_section(path, kept(section, config, keeper(name, path.parent)))
    then = f"run `deskpulse sync {quote(name)}`" if hasattr(kind, "pull") else f'write to = ["{name}"] under [digest]'
    click.echo(f"[services.{name}] is in {path} now: {then}")


def _found(section: ServiceConfig, config: Config) -> str:
    """What can be counted at once; that it cannot be is no reason to refuse a credential that works."""
    try:
        counted = held(section, config, clock_of(config))
    except ConnectorError as error:
        return f"what is in it was not counted: {error}"
    return f"found: {', '.join(f'{count} {what}' for what, count in counted.items()) or 'it can be used'}"


def _adapter_of(path: Path, name: str) -> str:
    """The adapter of a section that is there, else the name itself (which is refused with a near one if it is none)."""
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
