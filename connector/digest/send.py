"""The digest out to the team's chat: once per period and service, its figures frozen as published."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from connector import facts
from connector.clock import Clock
from connector.config import Config
from connector.digest.compose import compose
from connector.digest.model import Digest
from connector.errors import BadPayload, ConfigError, NotDone, Rejected, ServiceError, Transient
from connector.metric import Value
from connector.models import Instant
from connector.period import Period, days, span
from connector.push import outbox
from connector.push.hands import Hands, hands
from connector.push.outbox import Action
from connector.push.run import pushing
from connector.results.freeze import freeze
from connector.store import Connection, connect


@dataclass
class SendReport:
    """What became of a digest per service: (service, state, why).

    States: sent; already (sent before); unknown (a crash came between: it may have been posted); refused (by the
    service, before or now); failed (to be tried again). ``run`` is None when nothing was sent.
    """

    period: str
    run: int | None = None
    results: list[tuple[str, str, str]] = field(default_factory=list)

    def line(self) -> str:
        """The report in one line, with what to do about what was not sent."""
        said = [
            f"{SAID[state].format(service=service)}{f' ({why})' if why else ''}" for service, state, why in self.results
        ]
        return f"digest of {self.period}: {'; '.join(said)}"

    def problem(self) -> str:
        """What to raise: the line, when something failed, was refused or got lost just now; else empty."""
        bad = any(state in ("failed", "refused") or (state == "unknown" and why) for _, state, why in self.results)
        return self.line() if bad else ""


SAID = {
    "sent": "sent to {service}",
    "already": "already sent to {service}, not sent again",
    "unknown": "it may or may not have reached {service}, so it was not sent again: look there, and "
    "insist with --again if it is missing",
    "refused": "{service} refused it: fix that, then send it with --again",
    "failed": "not sent to {service}: try again later",
}


def send(
    config: Config, clock: Clock, period: Period, *, language: str | None = None, again: bool = False
) -> SendReport:
    """Announce the digest of ``period`` to every service of ``digest.to``, each once ever unless ``again`` insists.

    ConfigError when there is nobody to send to, or a service cannot announce; ConnectorError when another push is at
    work. What a service refuses or fails is in the report.
    """
    if not config.digest.to:
        raise ConfigError(
            f'there is nobody to send the digest to, so nothing was sent: name the chat with to = ["…"] under '
            f"[digest] in {config.path}",
            setting="digest.to",
        )
    with pushing(config), closing(connect(config.database)) as conn, hands(config, clock) as held:
        report = SendReport(canonical(period, config.zone))
        due = _due(conn, config, report, again)
        adapters = {service: _announcer(held, service) for service in due}
        if due:
            facts.refresh(conn, config)
            found = frozen(conn, config, compose(conn, config, period, clock.now()), clock.now())
            _Sending(conn, config, clock, report).to(adapters, found, language or config.language)
        return report


def canonical(period: Period, zone: str) -> str:
    """One name per period, however it was asked for: a Monday to Sunday is its ISO week."""
    found = days(period, zone)
    if len(found) == 7 and found[0].weekday() == 0:
        return f"{found[0]:%G-W%V}"
    return span(found[0], found[-1], zone).text


def key_of(period: str, service: str) -> str:
    """The outbox key of a digest."""
    return f"digest:{period}:{service}"


def frozen(conn: Connection, config: Config, digest: Digest, now: Instant, publish: str | None = None) -> Digest:
    """The digest with the passports of all its figures. ``publish`` notes where a person reads them."""
    values = list(digest.values)
    found = freeze(conn, config, values, digest.period, now=now, publish=publish)
    freeze(conn, config, list(digest.values_before), digest.before, now=now, publish=publish)
    by_value = {id(value): passport for value, passport in zip(values, found, strict=True)}
    lines = tuple(replace(line, passport=by_value[id(line.value)]) for line in digest.lines)
    return replace(digest, lines=lines, passports={_name(v): by_value[id(v)] for v in values})


def _name(value: Value) -> str:
    """A figure's name within its digest: key, statistic, clock and group."""
    parts = [value.key, value.statistic, value.clock or "", *(f"{k}={v}" for k, v in value.by.items())]
    return " ".join(filter(None, parts))


def _due(conn: Connection, config: Config, report: SendReport, again: bool) -> list[str]:
    """The services it is still to be sent to; of the others the report says why not."""
    due = []
    for service in config.digest.to:
        found = outbox.entry(conn, key_of(report.period, service))
        state = NOT_AGAIN.get(found.state) if found and not again else None
        if state:
            report.results.append((service, state, ""))
        else:
            due.append(service)
    return due


NOT_AGAIN = {"sent": "already", "sending": "unknown", "rejected": "refused"}


def _announcer(held: Hands, service: str) -> Any:
    from connector.contract import Announces

    adapter = held.of(service)
    if not isinstance(adapter, Announces):
        raise ConfigError(f"digest.to: {service} cannot take announcements; name a chat there", setting="digest.to")
    return adapter


class _Sending:
    """One run over the services, each claimed before and settled after."""

    def __init__(self, conn: Connection, config: Config, clock: Clock, report: SendReport) -> None:
        self._conn, self._config, self._clock, self._report = conn, config, clock, report

    def to(self, adapters: dict[str, Any], digest: Digest, language: str) -> None:
        self._report.run = outbox.start(self._conn, "digest", self._clock.now())
        for service, adapter in adapters.items():
            self._one(service, adapter, digest, language)
        states = {service: state for service, state, _ in self._report.results}
        outbox.finish(self._conn, self._report.run, "done", states)

    def _one(self, service: str, adapter: Any, digest: Digest, language: str) -> None:
        from connector.digest.announce import announcement  # lazily: a preview needs no contract

        message = announcement(digest, language, key_of(self._report.period, service))
        reason = f"digest of {self._report.period}"
        outbox.claim(
            self._conn,
            self._report.run or 0,
            Action(message.key, service, "announce", message.fallback, reason),
            self._clock.now(),
        )
        try:
            receipt = adapter.announce(message)
        except ServiceError as error:
            self._failed(service, message.key, error)
        else:
            # Before its row says "sent": what is sent is not come back to, so a crash between would lose the note.
            frozen(self._conn, self._config, digest, self._clock.now(), publish=f"digest:{self._report.period}")
            self._settle(service, message.key, "sent", "sent", receipt={"receipt": receipt})

    def _failed(self, service: str, key: str, error: ServiceError) -> None:
        sent_perhaps = isinstance(error, Transient) and not isinstance(error, NotDone)
        if sent_perhaps or isinstance(error, BadPayload):  # it may well have been posted: its row stays at "sending"
            self._report.results.append((service, "unknown", str(error)))
        elif isinstance(error, Rejected):
            self._settle(service, key, "rejected", "refused", error=str(error))
        else:
            self._settle(service, key, "failed", "failed", error=str(error))

    def _settle(
        self, service: str, key: str, state: str, said: str, *, receipt: dict[str, Any] | None = None, error: str = ""
    ) -> None:
        outbox.settle(self._conn, key, state, self._clock.now(), receipt=receipt, error=error or None)
        self._report.results.append((service, said, error))
