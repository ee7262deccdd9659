"""Carry out the plan: a canary first, one action after the other, each claimed, written, read back and settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from connector import facts
from connector.clock import Clock
from connector.config import Config
from connector.errors import AuthFailed, BadPayload, ConfigError, ConnectorError, Rejected, Transient
from connector.push import hands as touch
from connector.push import outbox
from connector.push.diff import Plan, plan
from connector.push.hands import Hands, Receipt, Unexpected
from connector.push.outbox import Action
from connector.store import Connection, connect
from connector.store.lock import lock_of, locked


@dataclass
class Report:
    """What a push run did. ``run`` is None when there was nothing to do; ``stopped`` says why it ended early."""

    plan: Plan | None = None
    run: int | None = None
    results: list[tuple[Action, str, str]] = field(default_factory=list)
    stopped: str = ""
    warning: str = ""

    def counts(self) -> Counter[str]:
        """How many actions came to which state (sent, found, failed, dropped, rejected, mismatch, unknown,
        undone, kept)."""
        return Counter(state for _, state, _ in self.results)

    def touched(self) -> dict[str, list[str]]:
        """Conversation ids by service that may have been changed, in order."""
        found: dict[str, dict[str, None]] = {}
        for action, state, _ in self.results:
            if state not in ("failed", "rejected", "dropped", "kept") and action.conversation:
                found.setdefault(action.service, {})[action.conversation] = None
        return {service: list(ids) for service, ids in found.items()}


def apply(config: Config, clock: Clock) -> Report:
    """Write what the rules want and is not written yet.

    ConfigError when pushing is off; ConnectorError when another push is at work. A service's refusal or failure of one
    item is in the report; an unexpected read-back, a refused credential or a failing canary stops everything.
    """
    if not config.push.enabled:
        raise ConfigError(
            f"pushing is off, so nothing was written: look at `deskpulse push --plan`, then set enabled = true under "
            f"[push] in {config.path}",
            setting="push.enabled",
        )
    with pushing(config), closing(connect(config.database)) as conn, touch.hands(config, clock) as hands:
        facts.refresh(conn, config)
        report = Report(plan(conn, config, clock.now(), touch.cannot(config)))
        if report.plan and report.plan.todo:
            for service in {action.service for action in report.plan.todo}:
                hands.of(service)  # a wrong setting is told before anything is claimed
            _Run(conn, clock, hands, report).carry_out(report.plan.todo)
    reread(config, clock, report)
    return report


@contextmanager
def pushing(config: Config) -> Iterator[None]:
    """One writer to services at a time on this store.

    ConnectorError for a second one; ConfigError without a store, or where a demo's would reach a real service.
    """
    from connector.store.write import Store  # lazily: planning must not import what writing needs

    with locked(lock_of(config.database, "push"), "another push is at work on this store"):
        connect(config.database).close()
        Store.open(config.database, demo=config.demo).close()
        yield


def reread(config: Config, clock: Clock, report: Report) -> None:
    """Read what we touched back into the store as ours, so that the next sync finds nothing new."""
    from connector import pull  # lazily: it brings the plugins along

    for service, ids in report.touched().items():
        try:
            error = pull.reread(config, service, ids, clock).error
        except ConnectorError as failure:
            error = str(failure)
        if error:
            report.warning = f"what was written could not be read back into the store ({error}); the next sync does it"


class _Run:
    """One pass over the actions. ``_sure`` holds (service, action) whose canary came back alive."""

    def __init__(self, conn: Connection, clock: Clock, hands: Hands, report: Report) -> None:
        self._conn, self._clock, self._hands, self._report = conn, clock, hands, report
        self._sure: set[tuple[str, str]] = set()
        self._run = 0

    def carry_out(self, actions: Sequence[Action]) -> None:
        self._run = self._report.run = outbox.start(self._conn, "apply", self._clock.now())
        for action in actions:
            self._one(action)
            if self._report.stopped:
                break
        counts = dict(self._report.counts())
        outcome = "stopped" if self._report.stopped else "done"
        outbox.finish(self._conn, self._run, outcome, {**counts, "stopped": self._report.stopped})

    def _one(self, action: Action) -> None:
        try:
            if not self._arrived(action):
                self._send(action)
        except Rejected as error:
            self._settle(action, "rejected", error=str(error))
            if action.action == "note" and not error.status:  # not the service refused it, its adapter did
                self._report.stopped = str(error)
            elif self._is_canary(action) and error.status not in touch.GONE:
                self._report.stopped = f"the first {action.action} on {action.service} was refused: {error}"
        except AuthFailed as error:
            self._settle(action, "failed", error=str(error))
            self._report.stopped = str(error)
        except Transient as error:
            self._settle(action, "failed", error=str(error))
            if self._is_canary(action):
                self._report.stopped = f"the first {action.action} on {action.service} failed: {error}"
        except BadPayload as error:
            # The write may well have arrived: its row stays at "sending", to be looked for by the next run.
            self._report.results.append((action, "unknown", str(error)))
            self._report.stopped = str(error)
        except Unexpected as error:
            self._settle(action, "mismatch", receipt=error.receipt, error=str(error))
            self._report.stopped = str(error)

    def _arrived(self, action: Action) -> bool:
        """Settle what an earlier run may have sent already; True when there is nothing left to do about it."""
        if not action.retry:
            return False
        try:
            receipt = touch.look(self._conn, self._hands.of(action.service), action)
        except BadPayload as error:  # nothing was written now: one that cannot be read does not stop the others
            self._report.results.append((action, "unknown", str(error)))
            return True
        if receipt is not None:
            self._settle(action, "sent", event="found", receipt=receipt)
        elif action.look_only:
            self._settle(action, "dropped", error="it never arrived, and no rule asks for it any more")
        return receipt is not None or action.look_only

    def _send(self, action: Action) -> None:
        adapter = self._hands.of(action.service)
        outbox.claim(self._conn, self._run, action, self._clock.now())
        receipt = touch.write(self._conn, adapter, action, self._is_canary(action))
        self._settle(action, "sent", receipt=receipt)
        self._sure.add((action.service, action.action))

    def _is_canary(self, action: Action) -> bool:
        return (action.service, action.action) not in self._sure

    def _settle(
        self, action: Action, state: str, *, event: str = "", receipt: Receipt | None = None, error: str = ""
    ) -> None:
        outbox.settle(
            self._conn,
            action.key,
            state,
            self._clock.now(),
            event=event,
            receipt=receipt,
            error=error or None,
            run=self._run,
        )
        self._report.results.append((action, event or state, error))
