"""``deskpulse kpi`` and ``deskpulse explain``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from connector import facts, registry
from connector.cli import the_config
from connector.cli.figures import print_heat_maps, print_values
from connector.cli.output import json_option, print_json, print_table
from connector.clock import clock_of
from connector.config import Config
from connector.errors import UsageError
from connector.metric import Metric, Value, compute
from connector.metric.coverage import bounds
from connector.models import Instant, from_iso
from connector.period import FORMS, Period, begun, parse
from connector.results import freeze
from connector.store import Connection, connect

DEFAULT_PERIOD = "last-7-days"

period_option = click.option(
    "--period", "period", default=DEFAULT_PERIOD, show_default=True, metavar="PERIOD", help=f"{FORMS}."
)
by_option = click.option("--by", "by", multiple=True, metavar="DIM", help="Group: channel, team, day… (repeatable).")
clock_option = click.option("--clock", type=click.Choice(["calendar", "business"]), help="One clock; both by default.")
where_option = click.option(
    "--where", "where", multiple=True, metavar="DIM=NAME", help="Only these, e.g. team=Support."
)
as_of_option = click.option("--as-of", "as_of", metavar="INSTANT", help="As it was known then (ISO 8601 with a zone).")


@dataclass(frozen=True)
class Question:
    """What is asked for, read and checked. ``now`` is the ``as_of`` instant where one is given."""

    config: Config
    conn: Connection
    period: Period
    by: tuple[str, ...]
    where: Mapping[str, str]
    now: Instant
    as_of: Instant | None

    def values(self, keys: Sequence[str], clock: str | None) -> list[Value]:
        """The headline KPIs where no key is given: those that can be grouped so.

        UsageError where none can, as for a dimension that there is not.
        """
        chosen = list(keys) or list(_headline(self.by)) or list(_headline(()))
        return compute(
            self.conn, self.config, chosen, self.period, by=self.by, clock=clock, where=self.where, now=self.now
        )

    def freeze(self, values: Sequence[Value]) -> list[str]:
        now = clock_of(self.config).now()
        return freeze(self.conn, self.config, values, self.period, now=now, as_of=self.as_of)


def _headline(by: Sequence[str]) -> Iterator[str]:
    for metric in registry.metrics().values():
        if isinstance(metric, Metric) and metric.headline and set(by) <= set(metric.dimensions):
            yield metric.key


@contextmanager
def asked(
    config: Config, period: str, by: Sequence[str] = (), where: Sequence[str] = (), as_of: str | None = None
) -> Iterator[Question]:
    """Open the store, bring its facts up to date (or back to an instant), and read the options.

    UsageError for options that cannot be read.
    """
    now = clock_of(config).now()
    instant = None if as_of is None else _instant(as_of, now)
    with closing(connect(config.database)) as conn:
        facts.refresh(conn, config)
        if instant is not None:
            facts.as_of(conn, config, instant)
        then = now if instant is None else instant
        span = begun(parse(period, config.zone, then, bounds(conn) if period == "all" else None), config.zone, then)
        yield Question(config, conn, span, _listed(by), _filters(where), then, instant)


def _instant(text: str, now: Instant) -> Instant:
    try:
        instant = from_iso(text)
    except ValueError:
        raise UsageError(
            f'--as-of "{text}" is not an instant; write it with its zone, like 2026-11-20T12:00:00+01:00'
        ) from None
    if instant > now:
        raise UsageError(f"--as-of {text} lies in the future; leave it out to see what is known now")
    return instant


def _listed(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())


def _filters(texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        dimension, equals, name = text.partition("=")
        if not equals or not name.strip() or dimension.strip() in found:
            raise UsageError(f'--where "{text}" cannot be read; write DIMENSION=NAME, once per dimension')
        found[dimension.strip()] = name.strip()
    return found


@click.command()
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@period_option
@by_option
@clock_option
@where_option
@as_of_option
@click.option("--list", "only_list", is_flag=True, help="List every KPI with its title, and compute none.")
@json_option
@click.pass_context
def kpi(
    ctx: click.Context, keys: tuple[str, ...], period: str, by: tuple[str, ...], clock: str | None,
    where: tuple[str, ...], as_of: str | None, only_list: bool, as_json: bool,
) -> None:  # fmt: skip
    """Print KPIs of a period (by default the last seven whole days): the headline ones, or those named by KEY.

    The value of a duration is its median. Every figure is kept under its passport, which `deskpulse explain` takes.
    """
    config = the_config(ctx)
    if only_list:
        _print_list(config, as_json)
        return
    with asked(config, period, by, where, as_of) as question:
        values = question.values(keys, clock)
        passports = question.freeze(values)
        if as_json:
            print_json(_as_json(question, values, passports))
        else:
            _print_people(question, values)


def _as_json(question: Question, values: Sequence[Value], passports: Sequence[str]) -> dict[str, Any]:
    start, end = (_local(question.config, i) for i in question.period[:2])
    return {
        "zone": question.config.zone,
        "period": {"start": start, "end": end},
        "values": [_value_json(value, passport) for value, passport in zip(values, passports, strict=True)],
    }


def _local(config: Config, instant: Instant) -> str:
    return datetime.fromtimestamp(instant / 1000, config.tz).isoformat()


def _value_json(value: Value, passport: str) -> dict[str, Any]:
    return {
        "key": value.key, "statistic": value.statistic, "clock": value.clock, "unit": value.unit, "value": value.value,
        "n": value.n, "interval": list(value.interval) if value.interval else None, "by": dict(value.by),
        "passport": passport, "numerator": value.numerator, "denominator": value.denominator,
        "exclusions": dict(value.exclusions), "complete": value.complete, "incomplete": value.incomplete,
        "note": value.note,
    }  # fmt: skip


def _print_people(question: Question, values: Sequence[Value]) -> None:
    config, where = question.config, "".join(f", {d} = {name}" for d, name in question.where.items())
    known = "" if question.as_of is None else f", as known at {_local(config, question.as_of)}"
    click.echo(f"{question.period.text}, {config.zone}{where}{known}")
    for reason in sorted({v.incomplete for v in values if v.incomplete}):
        click.echo(f"not complete: {reason}")
    click.echo()
    shown = [v for v in values if v.clock != "business"] if _no_business(values) else values
    maps = [v for v in shown if "hour_of_week" in v.by]
    print_heat_maps(maps)
    if len(maps) < len(shown) or not maps:  # of a composite, some parts have no hours
        print_values([v for v in shown if "hour_of_week" not in v.by], registry.metrics(), config)
    if len(shown) < len(values):
        click.echo("business time needs opening hours: none are set in the config or by an inbox")


def _no_business(values: Sequence[Value]) -> bool:
    """Whether figures exist in calendar time only, which is so where no opening hours are known."""
    timed = [v for v in values if v.clock is not None]
    return all(v.n == 0 for v in timed if v.clock == "business") and any(v.n for v in timed)


def _print_list(config: Config, as_json: bool) -> None:
    metrics = registry.metrics().values()
    if as_json:
        print_json([{"key": m.key, "title": m.title._asdict(), "meaning": m.meaning._asdict()} for m in metrics])
    else:
        print_table(["KPI", "title"], [[m.key, m.title.of(config.language)] for m in metrics])


@click.command()
@click.argument("what", metavar="PASSPORT|KEY")
@period_option
@by_option
@clock_option
@where_option
@as_of_option
@click.option("--all", "everything", is_flag=True, help="Name every conversation behind it, not the first 20.")
@json_option
@click.pass_context
def explain(
    ctx: click.Context, what: str, period: str, by: tuple[str, ...], clock: str | None,
    where: tuple[str, ...], as_of: str | None, everything: bool, as_json: bool,
) -> None:  # fmt: skip
    """Show how a figure came about, and compute it again: one that was printed, by its PASSPORT, or a KEY's.

    The options are for a KEY, and are those of `deskpulse kpi`.
    """
    from connector.cli.explanation import as_objects, print_explanations
    from connector.results import explain as explained

    config = the_config(ctx)
    with asked(config, period, by, where, as_of) as question:
        passports = [what]
        if what in registry.metrics() or not _like_a_passport(what):
            passports = question.freeze(question.values([what], clock))
        found = explained(
            question.conn, config, passports, now=clock_of(config).now(), limit=None if everything else 20
        )
        if as_json:
            print_json(as_objects(found, question.conn, config))
        else:
            print_explanations(found, question.conn, config)


def _like_a_passport(what: str) -> bool:
    return len(what) >= 8 and set(what) <= set("0123456789abcdef")
