"""Whether everything that the config names works, asked in the cheapest way; what is wrong comes with its remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from connector import registry, schedule
from connector.clock import Clock
from connector.config import Config, ServiceConfig
from connector.contract import Announces, Finding, Notes, Probes, Pulls, Tags
from connector.errors import AuthFailed, ConfigError, ConnectorError
from connector.http import HttpClient
from connector.language import duration
from connector.push.rules import kind_of
from connector.secrets import keyring_name
from connector.store import transaction
from connector.store.write import Store

FINE, DOWN, WRONG = 0, 1, 2
CLOCKS_APART_S = 120.0
READABLE_BY_OTHERS = 0o077
MANY = 10_000
"""Conversations of the first read that is foretold."""
CAPABILITIES = {"reads": Pulls, "tags": Tags, "notes": Notes, "announces": Announces}


class Diagnosis(NamedTuple):
    """A finding about ``subject``: deskpulse itself or a service. ``exit`` is 0, 1 (a service is down) or 2 (a setting
    or a credential is wrong)."""

    subject: str
    finding: Finding
    exit: int


def examine(config: Config, names: Sequence[str], clock: Clock) -> Iterator[Diagnosis]:
    """The named services; without names all of them, after deskpulse itself. ConfigError for an unknown name."""
    services = [config.service(name) for name in names] or config.services
    if not names:
        for finding in _itself(config, clock):
            yield Diagnosis("deskpulse", finding, WRONG if finding.ok is False else FINE)
    for service in services:
        yield from _service(service, config, clock)


# --- deskpulse itself ------------------------------------------------------------------------------------------------


def _itself(config: Config, clock: Clock) -> Iterator[Finding]:
    yield _config_file(config)
    yield _database(config)
    yield _now(config, clock)
    yield from _schedule(config)
    yield from (_checked(f"rule {rule.name}", "known", partial(kind_of, rule)) for rule in config.push.rules)
    yield from (_digest_to(name, config) for name in config.digest.to)
    if any(str(value).startswith("keyring:") for service in config.services for value in service.settings.values()):
        yield _checked("keyring", "can be opened", keyring_name)
    if not config.services:
        remedy = f"run `deskpulse connect NAME`, or take the # away from a [services.…] in {config.path}"
        yield Finding("services", False, "there are none", remedy)


def _checked(check: str, detail: str, attempt: Callable[[], object]) -> Finding:
    """``detail`` where the attempt works, else why it does not."""
    try:
        attempt()
    except ConfigError as error:
        return Finding(check, False, str(error))
    return Finding(check, True, detail)


def _config_file(config: Config) -> Finding:
    if config.path.stat().st_mode & READABLE_BY_OTHERS:
        return Finding("config", None, f"others than you can read {config.path}", f"run `chmod 600 {config.path}`")
    return Finding("config", True, str(config.path))


def _database(config: Config) -> Finding:
    """Can it be written to, and is it for this kind of data? Nothing is written."""
    if not config.database.exists():
        return Finding("database", None, f"there is none yet at {config.database}", "run `deskpulse sync`")

    def attempt() -> None:
        with Store.open(config.database, demo=config.demo) as store, transaction(store.conn):
            pass

    return _checked("database", f"{config.database}, {config.database.stat().st_size / 1e6:,.1f} MB", attempt)


def _now(config: Config, clock: Clock) -> Finding:
    now = datetime.fromtimestamp(clock.now() / 1000, config.tz)
    stands = " (a demo's, it stands still)" if config.now is not None else ""
    return Finding("zone and clock", True, f"in {config.zone} it is {now:%Y-%m-%d %H:%M}{stands}")


def _schedule(config: Config) -> Iterator[Finding]:
    for what, line in config.schedule.items():
        yield _checked(f"schedule {what}", line, partial(schedule.trigger, line, config.zone, what))
    if "digest" in config.schedule and not config.digest.to:
        yield Finding("digest", False, "it is scheduled and goes to nobody", "name a service under [digest], as to")


def _digest_to(name: str, config: Config) -> Finding:
    try:
        able = issubclass(registry.adapter_class(config.service(name).adapter), Announces)
    except ConfigError as error:
        return Finding("digest", False, str(error), "correct [digest] to")
    remedy = "" if able else "name a service that announces under [digest]"
    return Finding("digest", able, f"goes to {name}" if able else f"{name} cannot take a digest", remedy)


# --- a service -------------------------------------------------------------------------------------------------------


def _service(service: ServiceConfig, config: Config, clock: Clock) -> Iterator[Diagnosis]:
    try:
        adapter, http = registry.connect(service, config, clock)
    except ConfigError as error:
        yield Diagnosis(service.name, Finding("settings", False, str(error)), WRONG)
        return
    with closing(http):
        yield Diagnosis(service.name, Finding("settings", True, f"{service.adapter}: {_abilities(adapter)}"), FINE)
        failed = False
        for diagnosis in _probed(service.name, adapter):
            failed = failed or diagnosis.exit != FINE
            yield diagnosis
        foretold = [] if failed else _pace(adapter, http)
        yield from (Diagnosis(service.name, finding, FINE) for finding in (*_wire(http, config), *foretold))


def _abilities(adapter: Any) -> str:
    return ", ".join(word for word, kind in CAPABILITIES.items() if isinstance(adapter, kind)) or "nothing"


def _probed(name: str, adapter: Any) -> Iterator[Diagnosis]:
    """The adapter's own findings; its error is the last of them."""
    if not isinstance(adapter, Probes):
        yield Diagnosis(name, Finding("connection", None, "it has no way to be tested"), FINE)
        return
    try:
        for finding in adapter.probe():
            yield Diagnosis(name, finding, WRONG if finding.ok is False else FINE)
    except AuthFailed as error:
        yield Diagnosis(name, Finding("credential", False, str(error)), WRONG)
    except ConfigError as error:
        yield Diagnosis(name, Finding("settings", False, str(error)), WRONG)
    except ConnectorError as error:
        yield Diagnosis(name, Finding("connection", False, str(error)), DOWN)


def _wire(http: HttpClient, config: Config) -> Iterator[Finding]:
    """What the connection itself tells: in clear, or with clocks that disagree."""
    if http.in_clear:
        yield Finding("connection", None, "the address is http: the credential travels in clear", "use https")
    ahead = None if config.now is not None else http.ahead_s()
    if ahead is not None and abs(ahead) > CLOCKS_APART_S:
        side = "ahead of" if ahead > 0 else "behind"
        yield Finding("clock", None, f"this machine is {abs(ahead):.0f} s {side} the service", "set its clock, by NTP")


def _pace(adapter: Any, http: HttpClient) -> Iterator[Finding]:
    """How long the first pull takes at the pace that is set: it is the one that people wait for."""
    if each := getattr(adapter, "first_read", None):
        taken = duration(MANY * each / http.per_second, "en", days=False)
        told = f"{MANY:,} conversations take about {taken}, at {http.per_second * 60:.3g} requests a minute"
        yield Finding("first read", True, told)
