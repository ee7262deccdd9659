"""Connect a service: ask for what its adapter needs, keep the secret out of the config, try it, write its section.

Nothing is written to the config before the service has answered, and the config's comments stay where they are: tomlkit
edits the text, not the values.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from tomlkit.items import Table

from connector import registry
from connector.clock import Clock
from connector.config import Config, ServiceConfig
from connector.doctor import FINE, Diagnosis, examine
from connector.errors import ConfigError
from connector.models import Agent, Inbox, Team
from connector.secrets import ALLOW_CLEAR, is_secret, keep_in_keyring, secret_fields, settings_of

Ask = Callable[[str, FieldInfo, bool], str]
"""(setting, its field, may it be left empty) → what the admin typed; secrets without echo."""
Keep = Callable[[str, str], str]
"""(setting, secret) → the reference that stands in the config."""
DIRECTORY = {"inboxes": Inbox, "teams": Team, "agents": Agent}
REFERENCE = re.compile(r"(env|file|keyring):")


def ask_for(adapter: str, name: str, config: Config, ask: Ask, say: Callable[[str], None]) -> ServiceConfig:
    """The section that the admin's answers make, its secrets still in clear: to be tried, then ``kept``.

    Asks for what is required, and for more only where that is not enough. A wrong answer is explained and asked for
    again. What a section that is there says beside the answers stays. ConfigError where no answer could help.
    """
    model: type[BaseModel] = registry.adapter_class(adapter).Settings
    asked = _first(model)
    beside = _beside(asked, name, adapter, config)
    given = dict(beside)
    for field in asked:
        _take(field, model, given, ask, required=model.model_fields[field].is_required())
    while (wrong := _wrong(_in_clear(name, adapter, given), config, model)) is not None:
        field = wrong.setting.removeprefix(f"services.{name}").strip(".").partition(".")[0]
        again = _asked_again(field, model, given.keys() - beside.keys())
        if not again:
            raise wrong
        say(str(wrong))
        for one in again:
            _take(one, model, given, ask, required=one == field)
    return _in_clear(name, adapter, given)


def _beside(asked: Collection[str], name: str, adapter: str, config: Config) -> dict[str, Any]:
    """The settings of the section that is renewed, without those that are asked for: an address or a region of one's
    own is needed to try the new secret."""
    there = [one for one in config.services if (one.name, one.adapter) == (name, adapter)]
    return {key: value for one in there for key, value in one.settings.items() if key not in asked}


def _asked_again(field: str, model: type[BaseModel], answered: Collection[str]) -> list[str]:
    """What could put it right: the wrong field; where it is no single one's fault, what is not answered yet."""
    if field in model.model_fields:
        return [field]
    return [] if field else _rest(model, answered)


def _in_clear(name: str, adapter: str, given: Mapping[str, Any]) -> ServiceConfig:
    return ServiceConfig(name, adapter, {**given, ALLOW_CLEAR: True})


def kept(section: ServiceConfig, config: Config, keep: Keep) -> ServiceConfig:
    """The section as it stands in the config: values as the adapter understood them, references in place of secrets."""
    model: type[BaseModel] = registry.adapter_class(section.adapter).Settings
    given, secrets = section.settings.keys() - {ALLOW_CLEAR}, secret_fields(model)
    plain = settings_of(section, config, model).model_dump(mode="json", include=given - secrets)
    references = {key: _reference(key, section.settings[key], keep) for key in sorted(given & secrets)}
    return replace(section, settings=plain | references)


def _reference(setting: str, answer: str, keep: Keep) -> str:
    """An answer that says where the secret lies already stays as it is."""
    return answer if REFERENCE.match(answer) else keep(setting, answer)


def _first(model: type[BaseModel]) -> list[str]:
    """What is required or marked ``ask``; where no secret is required, the secrets too: there are several ways in, and
    each has its own."""
    required = [name for name, field in model.model_fields.items() if field.is_required() or _marked(field)]
    if any(is_secret(model.model_fields[name]) for name in required):
        return required
    return required + [name for name, field in model.model_fields.items() if is_secret(field) and name not in required]


def _marked(field: FieldInfo) -> bool:
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("ask"))


def _rest(model: type[BaseModel], answered: Collection[str]) -> list[str]:
    """What may still be missing when the answers do not fit together."""
    return [name for name, field in model.model_fields.items() if name not in answered and field.default in ("", None)]


def _take(field: str, model: type[BaseModel], given: dict[str, Any], ask: Ask, *, required: bool) -> None:
    answer = ask(field, model.model_fields[field], not required).strip()
    given.pop(field, None)
    if answer:
        given[field] = answer


def _wrong(section: ServiceConfig, config: Config, model: type[BaseModel]) -> ConfigError | None:
    """What the adapter's settings say of the answers."""
    try:
        settings_of(section, config, model)
    except ConfigError as error:
        return error
    return None


def tried(section: ServiceConfig, config: Config, clock: Clock) -> list[Diagnosis]:
    """What doctor finds out with the new section."""
    others = tuple(service for service in config.services if service.name != section.name)
    return list(examine(replace(config, services=(*others, section)), [section.name], clock))


def held(section: ServiceConfig, config: Config, clock: Clock) -> dict[str, int]:
    """How many agents, teams, inboxes the service's directory has, by kind; nothing is stored. Empty where it has none
    to read. ServiceError when it cannot be read."""
    adapter, http = registry.connect(section, config, clock)
    with closing(http):
        if "directory" not in getattr(adapter, "streams", ()):
            return {}
        records = {record for page in adapter.pull("directory", None, lambda *_: False) for record in page.records}
    counted = Counter(type(record) for record in records)
    return {word: counted[kind] for word, kind in DIRECTORY.items() if counted[kind]}


def worst(findings: Iterable[Diagnosis]) -> int:
    return max((found.exit for found in findings), default=FINE)


def write_section(path: Path, section: ServiceConfig) -> None:
    """Add ``[services.NAME]``, or renew the settings of one that is there: a setting that the section no longer has is
    taken out. Whatever else the file says stays."""
    document = tomlkit.parse(path.read_text("utf-8"))
    if "services" not in document:
        document["services"] = tomlkit.table(is_super_table=True)
    services: Any = document["services"]
    if section.name not in services:
        services[section.name] = _table(section)
    else:
        _renew(services[section.name], section)
    _replace(path, tomlkit.dumps(document))


def _table(section: ServiceConfig) -> Table:
    table = tomlkit.table()
    table.update(_entries(section))
    return table


def _entries(section: ServiceConfig) -> dict[str, Any]:
    named = {} if section.adapter == section.name else {"adapter": section.adapter}
    return {**named, **section.settings}


def _renew(table: Any, section: ServiceConfig) -> None:
    """Only what differs is written, so that the rest keeps its form and its comments."""
    wanted = _entries(section)
    stays = {ALLOW_CLEAR, *(["adapter"] if table.get("adapter") == section.adapter else [])}
    for key in table.keys() - wanted.keys() - stays:
        del table[key]
    for key, value in wanted.items():
        if table.get(key) != value:
            table[key] = value


def _replace(path: Path, text: str) -> None:
    """All or nothing: a config cut short by a full disk would be lost."""
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, path.stat().st_mode & 0o777)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(path)


def keeper(name: str, folder: Path) -> Keep:
    """Secrets go into this machine's keyring; where there is none, into files that only their owner can read."""

    def keep(setting: str, secret: str) -> str:
        user = f"{name}-{setting}"
        if keep_in_keyring("deskpulse", user, secret):
            return f"keyring:deskpulse/{user}"
        path = folder / "secrets" / user.replace("/", "%2F")
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            path.chmod(0o600)  # one that was there keeps its old mode otherwise
            file.write(secret)
        return f"file:{path.relative_to(folder)}"

    return keep
