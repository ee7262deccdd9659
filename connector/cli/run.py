"""``deskpulse run``."""

from __future__ import annotations

from contextlib import closing
from threading import Event

import click

from connector import digest, facts, pull, push, schedule
from connector.cli import the_config
from connector.cli.sync import asked_to_stop
from connector.clock import Clock, clock_of
from connector.config import Config
from connector.digest.send import frozen
from connector.errors import ConfigError, ConnectorError
from connector.period import parse
from connector.schedule import Due, Job
from connector.store import Connection, connect
from connector.store.lock import lock_of, locked
from connector.store.write import Store


@click.command()
@click.option("--once", is_flag=True, help="Do what is due now and stop: for a machine with a scheduler of its own.")
@click.pass_context
def run(ctx: click.Context, once: bool) -> None:
    """Sync, recompute, write back and send the digest by the cron lines of the config, until stopped.

    What was missed while it did not run is caught up on at the start. A digest that was due several times is sent
    once, for the latest period; the earlier ones are measured and kept.
    """
    config = the_config(ctx)
    clock = clock_of(config)
    with locked(lock_of(config.database, "run"), "another `deskpulse run` is at work on this store"):
        Store.open(config.database, demo=config.demo).close()
        with asked_to_stop() as stop, closing(connect(config.database)) as conn:
            todo = jobs(config, clock, stop, strict=once)
            if once:
                _once(conn, config, clock, todo, stop)
            else:
                schedule.run(conn, config, clock, todo, click.echo, stop)
                click.echo("stopped")


def _once(conn: Connection, config: Config, clock: Clock, todo: dict[str, Job], stop: Event) -> None:
    if not config.schedule:
        raise ConfigError("there is nothing to run: add a [schedule] with sync and digest", setting="schedule")
    schedule.start(conn, clock)
    if not schedule.due(conn, config, clock.now()):
        click.echo(f"nothing is due before {schedule.next_fire(config, clock.now()):%Y-%m-%d %H:%M %Z}")
    if not schedule.tick(conn, config, clock, todo, click.echo, stop):
        raise ConnectorError("not everything that was due could be done: see above; it stays due")


def jobs(config: Config, clock: Clock, stop: Event, *, strict: bool) -> dict[str, Job]:
    """What each line of ``[schedule]`` does. A source that is down for hours is said when it breaks and when it works
    again, not at every sync between; ``strict`` makes each time a failure, for the exit code of a single run."""
    return {
        "sync": lambda _: _sync(config, clock, stop, strict),
        "push": lambda _: _push(config, clock),
        "digest": lambda due: _digest(config, clock, due),
    }


def _sync(config: Config, clock: Clock, stop: Event, strict: bool) -> str:
    """What worked is said even where another source did not."""
    summaries = pull.sync(config, (), clock, stop=stop.is_set)
    lines = "\n".join(filter(None, [part for summary in summaries for part in (summary.line(), summary.news)]))
    if strict and any(summary.error for summary in summaries):
        click.echo(lines)
        pull.raise_for(summaries)
    return lines


def _push(config: Config, clock: Clock) -> str:
    report = push.apply(config, clock)
    if report.stopped:
        raise ConnectorError(report.stopped)
    done = ", ".join(f"{count} {state}" for state, count in sorted(report.counts().items()))
    return "\n".join(filter(None, [f"push: {done or 'nothing to write'}", report.warning]))


def _digest(config: Config, clock: Clock, due: Due) -> str:
    """The latest period is sent; those missed before it are measured, so that their figures are kept as they were."""
    with closing(connect(config.database)) as conn:
        facts.refresh(conn, config)
        for text in due.periods[:-1]:
            period = parse(text, config.zone, clock.now())
            frozen(conn, config, digest.compose(conn, config, period, clock.now()), clock.now())
    report = digest.send(config, clock, parse(due.periods[-1], config.zone, clock.now()))
    if report.problem():
        raise ConnectorError(report.problem())
    return report.line()
