"""``deskpulse push`` and ``deskpulse undo``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from connector import facts
from connector.cli import the_config
from connector.cli.output import json_option, print_json, print_table
from connector.clock import clock_of
from connector.config import Config
from connector.errors import ConnectorError, UsageError
from connector.push.diff import Plan, plan
from connector.push.outbox import Action
from connector.store import Connection, connect

if TYPE_CHECKING:
    from connector.push.run import Report

SHOWN = 70
"""Characters of a reason in a table."""


@click.command()
@click.option("--plan", "only_plan", is_flag=True, help="Show what would be written, and why; write nothing.")
@click.option("--apply", "really", is_flag=True, help="Write it: the first one alone, each one read back.")
@json_option
@click.pass_context
def push(ctx: click.Context, only_plan: bool, really: bool, as_json: bool) -> None:
    """Point at conversations in the helpdesk itself, by the rules of the config: tags and internal notes.

    Other tags are left alone, nothing is ever sent to a customer, and `deskpulse undo RUN` takes a run back.
    """
    if only_plan == really:
        raise UsageError("say which: `push --plan` shows what would be written, `push --apply` writes it")
    config = the_config(ctx)
    if only_plan:
        with closing(connect(config.database)) as conn:
            _print_plan(_planned(conn, config), as_json)
    else:
        from connector.push.run import apply  # lazily: planning starts fast

        _print_report(apply(config, clock_of(config)), as_json)


@click.command()
@click.argument("run", type=int)
@json_option
@click.pass_context
def undo(ctx: click.Context, run: int, as_json: bool) -> None:
    """Take back what push run RUN wrote: the tags that were not there before, and our notes."""
    from connector.push.restore import undo as take_back

    config = the_config(ctx)
    _print_undo(take_back(config, clock_of(config), run), run, as_json)


def _planned(conn: Connection, config: Config) -> Plan:
    """The plan that `--apply` would carry out now."""
    facts.refresh(conn, config)
    now = clock_of(config).now()
    found = plan(conn, config, now)
    if not (found.todo or found.later):
        return found
    from connector.push.hands import cannot  # lazily: only what there is to write needs the adapters

    return plan(conn, config, now, cannot(config))


def _print_plan(found: Plan, as_json: bool) -> None:
    if as_json:
        print_json(plan_json(found))
        return
    _table(found.todo)
    click.echo(_plan_line(found))


def _table(actions: Sequence[Action]) -> None:
    if actions:
        rows = [(a.service, a.conversation, _what(a), _cut(a.reason)) for a in actions]
        print_table(("service", "conversation", "what", "why"), rows)


def _what(action: Action) -> str:
    if action.look_only:
        return f"look for {action.action}"
    return f"tag {action.payload}" if action.action == "tag" else f"note ({action.rule})"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _plan_line(found: Plan) -> str:
    parts = [f"{len(found.todo)} to write" if found.todo else "nothing to write", f"{len(found.done)} done already"]
    if found.later:
        parts.append(f"{len(found.later)} left for tomorrow by the daily budget")
    if found.unable:
        parts.append(f"{len(found.unable)} that {_services(found.unable)} cannot take")
    return "; ".join(parts)


def _services(actions: Sequence[Action]) -> str:
    return ", ".join(sorted({action.service for action in actions}))


def plan_json(found: Plan) -> dict[str, Any]:
    """A plan as the interface prints it."""
    return {
        "todo": [_action(a) for a in found.todo],
        "done": [{**_action(a), "state": state} for a, state in found.done],
        "later": [_action(a) for a in found.later],
        "unable": [_action(a) for a in found.unable],
        "budget_left": found.budget_left,
    }


def _action(action: Action) -> dict[str, Any]:
    names = ("key", "service", "conversation", "action", "payload", "rule", "reason", "link")
    return {name: getattr(action, name) for name in names}


def _print_report(report: Report, as_json: bool) -> None:
    if as_json:
        assert report.plan  # noqa: S101  apply always plans first; this tells the type checker
        print_json({**_report(report), "plan": {k: v for k, v in plan_json(report.plan).items() if k != "todo"}})
    else:
        _results(report)
        click.echo(_apply_line(report))
    _end(report, "did not work this time, see above; run it again to try them once more")


def _print_undo(report: Report, of: int, as_json: bool) -> None:
    if as_json:
        print_json({**_report(report), "of": of})
    else:
        _results(report)
        counts = ", ".join(f"{n} {state}" for state, n in report.counts().items())
        click.echo(f"undo of run {of}: {counts}" if counts else f"nothing of run {of} is left to take back")
    _end(report, "could not be taken back, see above: do by hand what says so, and run it again for the others")


def _report(report: Report) -> dict[str, Any]:
    results = [{**_action(a), "state": state, "error": error or None} for a, state, error in report.results]
    return {"run": report.run, "counts": dict(report.counts()), "stopped": report.stopped or None, "results": results}


def _results(report: Report) -> None:
    if report.results:
        rows = [(a.service, a.conversation, _what(a), s, _cut(error or a.reason)) for a, s, error in report.results]
        print_table(("service", "conversation", "what", "state", "why"), rows)


def _apply_line(report: Report) -> str:
    assert report.plan  # noqa: S101  apply always plans first; this tells the type checker
    rest = [f"{len(report.plan.done)} done already"]
    if report.plan.later:
        rest.append(f"{len(report.plan.later)} left for tomorrow by the daily budget")
    if report.plan.unable:
        rest.append(f"{len(report.plan.unable)} that {_services(report.plan.unable)} cannot take")
    if report.run is None:
        return "; ".join(["nothing to write, nothing was sent", *rest])
    counts = [f"{n} {state}" for state, n in report.counts().items()]
    return "; ".join(
        [f"run {report.run}: {', '.join(counts)}", *rest, f"take it back with `deskpulse undo {report.run}`"]
    )


def _end(report: Report, remedy: str) -> None:
    """The warning, and exit 1 with the reason when the run was stopped or something is to be tried again."""
    if report.warning:
        click.echo(f"deskpulse: {report.warning}", err=True)
    if report.stopped:
        raise ConnectorError(f"stopped, nothing further was written: {report.stopped}; look there, then run it again")
    counts = report.counts()
    if failed := counts["failed"] + counts["unknown"]:
        raise ConnectorError(f"{failed} {remedy}")
