"""The command line: parse, call, print. One module per group of commands, imported only when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from connector import __version__
from connector.config import Config, config_path, did_you_mean, load
from connector.errors import ConfigError, ConnectorError, UsageError

COMMANDS = {
    "init": ("connector.cli.admin", "Write a commented deskpulse.toml."),
    "connect": ("connector.cli.connect", "Connect a service: asked, tried, added to the config."),
    "doctor": ("connector.cli.admin", "Test every credential and say what to fix."),
    "status": ("connector.cli.admin", "Say how fresh and complete the data is."),
    "sync": ("connector.cli.sync", "Pull what is new into the store."),
    "kpi": ("connector.cli.kpi", "Print KPIs."),
    "explain": ("connector.cli.kpi", "Show how a figure came about."),
    "export": ("connector.cli.export", "Write one row per conversation."),
    "push": ("connector.cli.push", "Plan or apply tags and notes."),
    "undo": ("connector.cli.push", "Take back what a push run wrote."),
    "digest": ("connector.cli.digest", "Preview or send the digest."),
    "run": ("connector.cli.run", "Do everything on schedule."),
    "sandbox": ("connector.cli.sandbox", "Serve a demo inbox on loopback."),
    "demo": ("connector.cli.demo", "Run the whole main job on the demo inbox."),
}


class _Lazy(click.Group):
    """Knows every command's name and line of help without importing it, so that --help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            raise UsageError(f'there is no command "{cmd_name}"{did_you_mean(cmd_name, list(COMMANDS))}')
        command: click.Command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--config", "config", metavar="FILE", help="The config (else DESKPULSE_CONFIG, else ./deskpulse.toml).")
@click.version_option(__version__, prog_name="deskpulse")
@click.pass_context
def cli(ctx: click.Context, config: str | None) -> None:
    """Support KPIs that can be trusted, from your helpdesk and back into it."""
    ctx.obj = config


def the_config(ctx: click.Context) -> Config:
    """The config that this call is about."""
    return load(config_path(ctx.obj))


def main(argv: list[str] | None = None) -> Any:
    """Errors are one sentence on stderr; exit 2 for wrong use or config, 1 for a failure at run time."""
    try:
        sys.exit(cli.main(argv, prog_name="deskpulse", standalone_mode=False) or 0)
    except click.exceptions.Abort:
        _fail("interrupted; what was written is whole, run it again to go on", 1)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (ConfigError, UsageError) as error:
        _fail(str(error), 2)
    except ConnectorError as error:
        _fail(str(error), 1)
    except Exception as error:
        if failed := _of_the_store(error):
            _fail(failed, 1)
        raise


def _of_the_store(error: Exception) -> str:
    """A full disk, a failing one, a store that somebody holds for too long; empty for anything else."""
    from connector.store import OperationalError

    if not isinstance(error, OperationalError):
        return ""
    return f"the store failed: {error}; what was committed before is whole: see to it, then run it again to go on"


def _fail(message: str, code: int) -> None:
    click.echo(f"deskpulse: {message}", err=True)
    sys.exit(code)
