"""A service's section of the config → its adapter's validated ``Settings``, with references to secrets resolved.

A secret stands in the config as ``env:NAME``, ``file:PATH`` or ``keyring:service/user``. A setting that is missing
there may come from the environment, as the service's and the setting's names in capitals: SERVICE_SETTING. No error
ever shows a value.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource, SettingsError

from connector.config import Config, ServiceConfig, did_you_mean, environment
from connector.errors import ConfigError

ALLOW_CLEAR = "allow_clear_secrets"
READABLE_BY_ALL = 0o004

S = TypeVar("S", bound=BaseModel)


def settings_of(service: ServiceConfig, config: Config, model: type[S]) -> S:
    """The service's settings, validated. ConfigError names the setting, what is wrong with it and what to do.

    ``model`` is validated with the context {"folder": the config file's folder}, for paths relative to it.
    """
    given = dict(service.settings)
    clear = _flag(service, given.pop(ALLOW_CLEAR, False)) or config.demo
    for name in given.keys() & secret_fields(model):
        given[name] = _resolved(given[name], f"services.{service.name}.{name}", config.path.parent, clear)
    found = _from_environment(model, service, given.keys()) | given
    try:
        return model.model_validate(found, context={"folder": config.path.parent})
    except ValidationError as error:
        wrong = _wrong(error, service, model)
    raise wrong  # outside the handler: its context would hold the values


def is_secret(field: FieldInfo) -> bool:
    """Is it typed SecretStr, optional or not?"""
    return SecretStr in (field.annotation, *get_args(field.annotation))


def secret_fields(model: type[BaseModel]) -> set[str]:
    return {name for name, field in model.model_fields.items() if is_secret(field)}


def mark(settings: BaseModel) -> str:
    """A short mark that changes when any secret of the settings does; too short to find a secret by it."""
    values = [getattr(settings, name) for name in sorted(secret_fields(type(settings)))]
    text = "\0".join(value.get_secret_value() if value else "" for value in values)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def environment_name(service: str, field: str) -> str:
    return re.sub(r"\W", "_", f"{service}_{field}").upper()


def _from_environment(model: type[BaseModel], service: ServiceConfig, given: Collection[str]) -> dict[str, Any]:
    """What the environment says; no secret where the section gives one, for those may exclude each other."""
    # It needs the fields and the config of a model only, which a BaseModel has too.
    source = EnvSettingsSource(model, env_prefix=environment_name(service.name, ""), env_ignore_empty=True)  # type: ignore[arg-type]  # see above
    secrets = secret_fields(model)
    try:
        return {name: value for name, value in source().items() if name not in secrets or secrets.isdisjoint(given)}
    except SettingsError:
        prefix = environment_name(service.name, "")
    raise ConfigError(
        f"a variable {prefix}… holds a list that is not written as JSON: write it in [services.{service.name}] instead",
        setting=f"services.{service.name}",
    )


def _flag(service: ServiceConfig, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    setting = f"services.{service.name}.{ALLOW_CLEAR}"
    raise ConfigError(f"{setting} is true or false", setting=setting)


def _resolved(value: Any, setting: str, folder: Path, clear: bool) -> Any:
    """What the reference stands for; a secret in clear only where it is allowed."""
    kind, colon, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
    if colon and kind == "env":
        return _of_environment(rest, setting)
    if colon and kind == "file":
        return _of_file(folder / Path(rest).expanduser(), setting)
    if colon and kind == "keyring":
        return _of_keyring(rest, setting)
    if clear:
        return value
    raise ConfigError(
        f'{setting} is a secret in clear: put it into the environment and write "env:NAME" here (or "file:PATH", '
        f'"keyring:SERVICE/USER"), or set {ALLOW_CLEAR} = true beside it',
        setting=setting,
    )


def _of_environment(variable: str, setting: str) -> str:
    value = (environment(variable) or "").strip()
    if not value:
        raise ConfigError(
            f"{setting}: the environment variable {variable} is not set: set it where deskpulse runs", setting=setting
        )
    return value


def _of_file(path: Path, setting: str) -> str:
    try:
        shared, value, why = path.stat().st_mode & READABLE_BY_ALL, path.read_text("utf-8").strip(), "it is empty"
    except (OSError, UnicodeDecodeError) as error:
        shared, value, why = 0, "", getattr(error, "strerror", "it is not text")
    if shared:
        raise ConfigError(f"{setting}: every user can read {path}: run `chmod 600 {path}`", setting=setting)
    if not value:
        raise ConfigError(f"{setting}: no secret could be read from {path} ({why}): check the file", setting=setting)
    return value


def _of_keyring(reference: str, setting: str) -> str:
    service, _, user = reference.partition("/")
    value = _keyring(setting, lambda keyring: keyring.get_password(service, user)) if service and user else None
    if not value:
        raise ConfigError(
            f'{setting}: the keyring has no "{reference}": run `keyring set {service} {user or "USER"}`',
            setting=setting,
        )
    return str(value)


def keyring_name() -> str:
    """What keeps this machine's keyring. ConfigError where there is none."""
    return str(_keyring("keyring", lambda keyring: keyring.get_keyring().name))


def keep_in_keyring(service: str, user: str, secret: str) -> bool:
    """Keep a secret in this machine's keyring; False where there is none that works."""
    try:
        _keyring("keyring", lambda keyring: keyring.set_password(service, user, secret))
    except ConfigError:
        return False
    return True


def _keyring(setting: str, ask: Callable[[Any], Any]) -> Any:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise ConfigError(
            f"{setting}: the keyring is not installed: run `pip install 'deskpulse[keyring]'`", setting=setting
        ) from None
    try:
        return ask(keyring)
    except KeyringError:
        raise ConfigError(
            f"{setting}: this machine's keyring cannot be opened: unlock it, or use env: or file: instead",
            setting=setting,
        ) from None


def _wrong(error: ValidationError, service: ServiceConfig, model: type[BaseModel]) -> ConfigError:
    """The first thing that is wrong, in a sentence, without the value."""
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    path = ".".join(map(str, first["loc"]))
    setting = f"services.{service.name}" + (f".{path}" if path else "")
    if first["type"] == "extra_forbidden":
        text = f"{setting} is not a setting{did_you_mean(path, [*model.model_fields])}"
    elif first["type"] == "missing":
        text = _missing(service, path, secret=path in secret_fields(model))
    else:
        text = f"{setting}: {first['msg'].removeprefix('Value error, ')}"
    return ConfigError(text, setting=setting)


def _missing(service: ServiceConfig, field: str, *, secret: bool) -> str:
    variable = environment_name(service.name, field)
    line = f'{field} = "env:{variable}"' if secret else f"{field} = …"
    return f"services.{service.name}.{field} is missing: write {line} in [services.{service.name}], or set {variable}"
