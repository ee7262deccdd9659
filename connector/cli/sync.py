"""``deskpulse sync``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType
from typing import Any

import click

from connector import pull
from connector.cli import the_config
from connector.cli.output import json_option, print_json
from connector.clock import Clock, clock_of


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@json_option
@click.pass_context
def sync(ctx: click.Context, sources: tuple[str, ...], as_json: bool) -> None:
    """Pull what is new from the services into the store: from SOURCE, else from all that give data.

    It goes on from where the last run stopped, however that one ended. A second run with nothing new changes nothing.
    """
    config = the_config(ctx)
    clock = clock_of(config)
    progress = ProgressBar(clock) if sys.stderr.isatty() else None
    with asked_to_stop() as stop:
        summaries = pull.sync(config, sources, clock, progress, stop=stop.is_set)
    if as_json:
        print_json([_row(summary) for summary in summaries])
    else:
        _print(summaries)
    pull.raise_for(summaries)


def _print(summaries: list[pull.RunSummary]) -> None:
    for summary in summaries:
        click.echo(summary.line())
        if summary.news and not summary.error:
            click.echo(summary.news)


def _row(summary: pull.RunSummary) -> dict[str, Any]:
    counts = summary.counts
    return {
        "source": summary.source,
        "outcome": summary.outcome,
        "read": counts.read,
        "new": counts.new,
        "changed": counts.changed,
        "unchanged": counts.unchanged,
        "rejected": counts.rejected,
        "requests": summary.requests,
        "waited_s": round(summary.waited_s, 3),
        "error": summary.error,
    }


@contextmanager
def asked_to_stop() -> Iterator[Event]:
    """Set by the first SIGTERM or SIGINT; a second one interrupts at once."""
    stop = Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


MEASURED_S = 10.0
"""Before that, a pace says nothing."""


class ProgressBar:
    """One line on stderr, with the time that is left where the service says how much there is, else with the pace."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._of, self._since, self._shown = clock, ("", ""), 0.0, 0.0

    def step(self, source: str, stream: str, done: int, total: int | None) -> None:
        now = self._clock.monotonic()
        if (source, stream) != self._of:
            self._of, self._since, self._shown = (source, stream), now, 0.0
        if now - self._shown >= 0.2:
            self._shown = now
            self._say(f"{source} {stream}: {how_far(done, total, now - self._since)}")

    def wait(self, source: str, seconds: float) -> None:
        self._say(f"{source}: waiting {seconds:.0f} s, as it asked for")

    def end(self) -> None:
        self._say("")

    def _say(self, text: str) -> None:
        click.echo(f"\r\x1b[K{text}", err=True, nl=False)


def how_far(done: int, total: int | None, elapsed_s: float) -> str:
    """ "1,200 of 4,800 (25 %), 0:45 left"; without a total "1,200, 2,400 an hour", once there is a pace to measure."""
    if not total or done > total:
        return f"{done:,}, {3600 * done / elapsed_s:,.0f} an hour" if elapsed_s >= MEASURED_S else f"{done:,}"
    left = round(elapsed_s * (total - done) / done) if done else 0
    share = f"{done:,} of {total:,} ({100 * done // total} %)"
    return f"{share}, {left // 60}:{left % 60:02d} left" if left else share
