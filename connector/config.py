"""``deskpulse.toml`` → one frozen Config. The only reader of the environment.

Only the standard library is imported here, because commands that merely read a store must start fast. A service's own
section is kept as it stands and validated by its adapter's ``Settings`` when the service is connected.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from connector.errors import ConfigError
from connector.models import CHANNEL_KINDS, Instant, Schedule

DEFAULT_PATH = "deskpulse.toml"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SLA_METRICS = ("first_response_time", "next_response_time", "resolution_time")


@dataclass(frozen=True)
class ServiceConfig:
    """One ``[services.NAME]``: ``settings`` are the raw keys, secrets still references."""

    name: str
    adapter: str
    settings: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class SlaTarget:
    """A promise: ``metric`` within ``target_s`` on ``clock``, for conversations opened from ``since`` on.

    Of several that fit a conversation, a channel's own beats the general one, then the latest ``since``.
    """

    metric: str
    target_s: float
    clock: str = "business"
    channel: str | None = None
    since: Instant | None = None


@dataclass(frozen=True)
class Rule:
    """A write-back rule that is on: its kind (see ``connector.push.rules``), threshold in seconds, what to do."""

    name: str
    over_s: float | None = None
    note: bool = False


@dataclass(frozen=True)
class PushConfig:
    enabled: bool = False
    daily_budget: int = 50
    prefix: str = "deskpulse-"
    days: int = 7
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class DigestConfig:
    to: tuple[str, ...] = ()
    period: str = "day"


@dataclass(frozen=True)
class Config:
    """Everything but the services' own settings. ``now`` exists in a demo only: its standing clock."""

    path: Path
    database: Path
    zone: str = "UTC"
    language: str = "en"
    demo: bool = False
    now: Instant | None = None
    services: tuple[ServiceConfig, ...] = ()
    calendar: Schedule | None = None
    inbox_calendars: Mapping[str, Schedule] = field(default_factory=dict)
    bots: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    csat_positive_from: float = 4
    sla: tuple[SlaTarget, ...] = ()
    targets: Mapping[str, float] = field(default_factory=dict)
    push: PushConfig = PushConfig()
    digest: DigestConfig = DigestConfig()
    schedule: Mapping[str, str] = field(default_factory=dict)
    keep_bodies_days: int = 0
    agent_min_n: int = 5

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def service(self, name: str) -> ServiceConfig:
        """ConfigError when the config has no such section."""
        for service in self.services:
            if service.name == name:
                return service
        known = [s.name for s in self.services]
        raise ConfigError(
            f"{self.path} has no [services.{name}]{did_you_mean(name, known)}", setting=f"services.{name}"
        )


def config_path(given: str | None) -> Path:
    """``--config``, else DESKPULSE_CONFIG, else ./deskpulse.toml."""
    return Path(given or os.environ.get("DESKPULSE_CONFIG") or DEFAULT_PATH)


def environment(name: str) -> str | None:
    """One environment variable; the rest of the program never looks at them."""
    return os.environ.get(name)


def load(path: Path) -> Config:
    """Read and check the config. ConfigError names the setting, what is wrong and what to do."""
    return from_tables(_parse(path), path)


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}: write one with `deskpulse init`, or name it with --config") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder: name the deskpulse.toml in it") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): check who may read it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def from_tables(raw: Mapping[str, Any], path: Path) -> Config:
    """The parsed TOML → Config; what ``load`` does after reading. Relative paths are relative to the config file."""
    top = _Table(dict(raw), "", path)
    zone = _zone(top.text("zone", "UTC"), "zone")
    config = Config(
        path=path,
        database=path.parent / Path(top.text("database", "deskpulse.db")).expanduser(),
        zone=zone,
        language=top.choice("language", "en", ("en", "fr")),
        demo=top.flag("demo", False),
        now=_now(top),
        services=_services(top.table("services")),
        bots=top.texts("bots"),
        agents=top.texts("agents"),
        csat_positive_from=top.number("csat_positive_from", 4),
        **_calendars(top.table("calendar"), zone),
        sla=tuple(_sla(t, zone) for t in top.tables("sla")),
        targets=_targets(top.table("targets")),
        push=_push(top.table("push")),
        digest=_digest(top.table("digest")),
        schedule=_schedule(top.table("schedule")),
        **_privacy(top.table("privacy")),
    )
    top.done()
    return config


def _now(top: _Table) -> Instant | None:
    text = top.take("now", (str, datetime), None)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise ConfigError('now is not an instant; write it like "2026-11-20T12:00:00Z"', setting="now") from None
    if not top.raw_demo or moment.tzinfo is None:
        raise ConfigError("now is for demos only (demo = true), and needs a zone; remove it", setting="now")
    return round(moment.timestamp() * 1000)


def _services(table: _Table) -> tuple[ServiceConfig, ...]:
    found = []
    for name in list(table.raw):
        section = table.table(name)
        adapter = section.text("adapter", name)
        found.append(ServiceConfig(name, adapter, dict(section.raw)))
        section.raw.clear()
    return tuple(found)


def _calendars(table: _Table, zone: str) -> dict[str, Any]:
    inboxes = table.table("inboxes")
    own = {name: _schedule_of(inboxes.table(name), zone) for name in list(inboxes.raw)}
    inboxes.done()
    general = _schedule_of(table, zone) if table.raw else None
    return {"calendar": general, "inbox_calendars": own}


def _schedule_of(table: _Table, zone: str) -> Schedule:
    own_zone = _zone(table.text("zone", zone), f"{table.name}.zone")
    hours = table.table("hours")
    week = tuple(tuple(_span(text, f"{table.name}.hours.{day}") for text in hours.texts(day)) for day in DAYS)
    hours.done()
    holidays = tuple(str(day) for day in table.take("holidays", (list,), []))
    for day in holidays:
        _date(day, f"{table.name}.holidays")
    table.done()
    if not any(week):
        setting = f"{table.name}.hours"
        raise ConfigError(f'{setting} are missing: write them like mon = ["09:00-17:30"]', setting=setting)
    return Schedule(own_zone, week, holidays)


def _span(text: str, setting: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d\d):(\d\d)-(\d\d):(\d\d)", text)
    if found:
        a, b, c, d = map(int, found.groups())
        if a * 60 + b < c * 60 + d <= 1440 and b < 60 and d < 60:
            return a * 60 + b, c * 60 + d
    raise ConfigError(f'{setting}: "{text}" is not opening hours; write them like "09:00-17:30"', setting=setting)


def _sla(table: _Table, zone: str) -> SlaTarget:
    since = table.take("since", (date, str), None)
    target = SlaTarget(
        metric=table.choice("metric", None, SLA_METRICS),
        target_s=seconds(table.text("target", None), "sla.target"),
        clock=table.choice("clock", "business", ("calendar", "business")),
        channel=table.choice("channel", "", ("", *CHANNEL_KINDS)) or None,
        since=None if since is None else _midnight(str(since), zone),
    )
    table.done()
    return target


def _midnight(day: str, zone: str) -> Instant:
    moment = datetime.combine(_date(day, "sla.since"), datetime.min.time(), ZoneInfo(zone))
    return round(moment.timestamp() * 1000)


def _targets(table: _Table) -> dict[str, float]:
    found = {key: table.number(key, 0) for key in list(table.raw)}
    table.done()
    return found


def _push(table: _Table) -> PushConfig:
    rules = table.table("rules")
    found = PushConfig(
        enabled=table.flag("enabled", False),
        daily_budget=table.whole("daily_budget", 50),
        prefix=table.text("prefix", "deskpulse-"),
        days=table.whole("days", 7),
        rules=tuple(_rule(rules.table(name), name) for name in list(rules.raw)),
    )
    if not re.fullmatch(r"[a-z0-9_-]{2,30}", found.prefix):
        raise ConfigError("push.prefix: use 2 to 30 of a-z, 0-9, - and _", setting="push.prefix")
    rules.done()
    table.done()
    return found


def _rule(table: _Table, name: str) -> Rule:
    over = table.text("over", "")
    rule = Rule(name, seconds(over, f"push.rules.{name}.over") if over else None, table.flag("note", False))
    table.done()
    return rule


def _digest(table: _Table) -> DigestConfig:
    found = DigestConfig(to=table.texts("to"), period=table.choice("period", "day", ("day", "week")))
    table.done()
    return found


def _schedule(table: _Table) -> dict[str, str]:
    jobs = {job: table.text(job, "") for job in ("sync", "push", "digest")}
    table.done()
    return {job: line for job, line in jobs.items() if line}


def _privacy(table: _Table) -> dict[str, Any]:
    found = {
        "keep_bodies_days": table.whole("keep_bodies_days", 0),
        "agent_min_n": table.whole("agent_min_n", 5),
    }
    table.done()
    return found


def seconds(text: str, setting: str) -> float:
    """ "90s", "5m", "4h", "2d", "1h30m" → seconds."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not parts or "".join(n + u for n, u in parts) != text.replace(" ", ""):
        raise ConfigError(f'{setting}: "{text}" is not a duration; write 30s, 5m, 4h or 2d', setting=setting)
    return sum(float(n) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[u] for n, u in parts)


def _zone(name: str, setting: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(
            f'{setting}: "{name}" is not a time zone; write one like "Europe/Paris"', setting=setting
        ) from None
    return name


def _date(text: str, setting: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f'{setting}: "{text}" is not a date; write it like 2026-12-25', setting=setting) from None


def did_you_mean(word: str, known: list[str]) -> str:
    """The end of an error's sentence: the nearest known word, else all of them."""
    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {near[0]}?" if near else (f"; known are {', '.join(sorted(known))}" if known else "")


class _Table:
    """A TOML table that is emptied as it is read, so that what remains is a typing mistake."""

    def __init__(self, raw: Any, name: str, path: Path) -> None:
        if not isinstance(raw, dict):
            raise ConfigError(f"{path}: {name} must be a section", setting=name)
        self.raw, self.name, self.path = dict(raw), name, path
        self.known: list[str] = []
        self.raw_demo = raw.get("demo") is True

    def take(self, key: str, kinds: tuple[type, ...], default: Any) -> Any:
        self.known.append(key)
        value = self.raw.pop(key, default)
        wrong_bool = isinstance(value, bool) and bool not in kinds
        if value is not default and (wrong_bool or not isinstance(value, kinds)):
            raise ConfigError(
                f"{self._dotted(key)}: expected {kinds[0].__name__}, not {type(value).__name__}",
                setting=self._dotted(key),
            )
        return value

    def text(self, key: str, default: str | None) -> str:
        value = self.take(key, (str,), default)
        if value is None:
            raise ConfigError(f"{self._dotted(key)} is missing from {self.path}", setting=self._dotted(key))
        return str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.take(key, (list, str), [])
        return (value,) if isinstance(value, str) else tuple(map(str, value))

    def flag(self, key: str, default: bool) -> bool:
        return bool(self.take(key, (bool,), default))

    def number(self, key: str, default: float) -> float:
        return float(self.take(key, (int, float), default))

    def whole(self, key: str, default: int) -> int:
        value = int(self.take(key, (int,), default))
        if value < 0:
            raise ConfigError(f"{self._dotted(key)} cannot be negative", setting=self._dotted(key))
        return value

    def choice(self, key: str, default: str | None, allowed: tuple[str, ...]) -> str:
        value = self.text(key, default)
        if value not in allowed:
            hint = did_you_mean(value, [a for a in allowed if a])
            raise ConfigError(f'{self._dotted(key)}: "{value}" is unknown{hint}', setting=self._dotted(key))
        return value

    def table(self, key: str) -> _Table:
        return _Table(self.take(key, (dict,), {}), self._dotted(key), self.path)

    def tables(self, key: str) -> list[_Table]:
        return [_Table(t, self._dotted(key), self.path) for t in self.take(key, (list,), [])]

    def done(self) -> None:
        """ConfigError for the first key that nobody asked for."""
        for key in self.raw:
            setting = self._dotted(key)
            raise ConfigError(
                f"{setting} in {self.path} is not a setting{did_you_mean(key, self.known)}", setting=setting
            )

    def _dotted(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key
