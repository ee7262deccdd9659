"""The plugins: adapters and metrics, found by their files. The only module that imports them.

Naming the metrics imports no adapter and no pydantic; asking for one adapter imports no other.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from connector.config import did_you_mean
from connector.errors import ConfigError

if TYPE_CHECKING:
    from connector.clock import Clock
    from connector.config import Config, ServiceConfig
    from connector.contract import AdapterSettings
    from connector.http import HttpClient
    from connector.metric import Metric


def adapter_names() -> list[str]:
    return _modules("adapters")


def adapters() -> dict[str, type[Any]]:
    """Every adapter's class by name; imports them all."""
    return {name: adapter_class(name) for name in adapter_names()}


@cache
def adapter_class(name: str) -> type[Any]:
    """The adapter in ``adapters/NAME.py``. ConfigError when there is none."""
    known = adapter_names()
    if name not in known:
        raise ConfigError(f'there is no adapter "{name}"{did_you_mean(name, known)}', setting="services")
    module = import_module(f"adapters.{name}")
    classes = [c for c in vars(module).values() if isinstance(c, type) and vars(c).get("name") == name]
    if len(classes) != 1:
        raise ConfigError(f'adapters/{name}.py must hold one class with name = "{name}", not {len(classes)}')
    return classes[0]


@cache
def metrics() -> dict[str, Metric]:
    """Every metric of ``metrics/*.py`` by its key, in the files' order."""
    found: dict[str, Metric] = {}
    for name in _modules("metrics"):
        for metric in import_module(f"metrics.{name}").METRICS:
            if metric.key in found:
                raise ConfigError(f'metrics/{name}.py: the metric "{metric.key}" is described twice')
            found[metric.key] = metric
    return found


def settings(service: ServiceConfig, config: Config) -> AdapterSettings:
    """The service's validated settings, secrets resolved. ConfigError names what is wrong."""
    from connector.secrets import settings_of

    model: type[AdapterSettings] = adapter_class(service.adapter).Settings
    return settings_of(service, config, model)


def connect(
    service: ServiceConfig, config: Config, clock: Clock, on_wait: Callable[[float], None] | None = None
) -> tuple[Any, HttpClient]:
    """The service's adapter and its client (close it). Makes no request. ConfigError names what is wrong.

    ``on_wait`` is told the seconds of each back-off before it begins.
    """
    from connector.http import HttpClient

    kind, chosen = adapter_class(service.adapter), settings(service, config)
    client = HttpClient(kind.service(chosen), clock, name=service.name, demo=config.demo, on_wait=on_wait)
    return kind(chosen, client), client


def secret_mark(service: ServiceConfig, config: Config) -> str:
    """A short mark that changes when a secret of the service does: what ends its pause after AuthFailed."""
    from connector.secrets import mark

    return mark(settings(service, config))


def _modules(package: str) -> list[str]:
    found = import_module(package)
    check_ours(found)
    return sorted(m.name for m in pkgutil.iter_modules(found.__path__) if not m.name.startswith("_"))


def check_ours(package: ModuleType) -> None:
    """ConfigError when a package of that name from elsewhere hides ours."""
    ours = Path(__file__).resolve().parents[1] / package.__name__
    where = Path(package.__file__).resolve().parent if package.__file__ else None
    if where != ours:
        raise ConfigError(
            f"another package named {package.__name__} ({where or 'a folder without __init__.py'}) hides deskpulse's: "
            "install deskpulse into an environment of its own, with pipx or uv tool"
        )
