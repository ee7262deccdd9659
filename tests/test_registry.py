"""Plugins are found by their files; asking for one brings in no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import adapters
from connector import registry
from connector.clock import FixedClock
from connector.config import Config, ServiceConfig
from connector.contract import AdapterSettings, Service
from connector.errors import ConfigError

ROOT = Path(__file__).parents[1]


def test_every_file_of_adapters_is_an_adapter_of_its_name() -> None:
    files = {path.stem for path in (ROOT / "adapters").glob("*.py")} - {"__init__"}
    found = registry.adapters()
    assert set(found) == set(registry.adapter_names()) == files
    assert all(cls.name == name and issubclass(cls.Settings, AdapterSettings) for name, cls in found.items())


def test_every_metric_of_every_file_is_found_once() -> None:
    from importlib import import_module

    files = [path.stem for path in (ROOT / "metrics").glob("*.py") if path.stem != "__init__"]
    keys = [metric.key for name in files for metric in import_module(f"metrics.{name}").METRICS]
    assert sorted(registry.metrics()) == sorted(keys)
    assert len(keys) > 10


def test_an_unknown_adapter_gets_its_near_word() -> None:
    with pytest.raises(ConfigError, match=r'no adapter "fiels"; did you mean files\?'):
        registry.adapter_class("fiels")


def modules_after(code: str) -> set[str]:
    """What a fresh interpreter has imported after running the code."""
    run = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    return set(subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())


def test_asking_for_one_adapter_imports_no_other() -> None:
    found = modules_after("from connector import registry; registry.adapter_class('files')")
    assert {name for name in found if name.startswith("adapters.")} == {"adapters.files"}


def test_naming_the_metrics_imports_nothing_heavy() -> None:
    found = modules_after("from connector import registry; registry.metrics()")
    heavy = {"pydantic", "pydantic_core", "httpx", "tenacity", "sqlite_utils", "apscheduler"}
    assert found & heavy == set()
    assert {name for name in found if name.startswith("adapters")} == set()


# --- a newcomer's file -----------------------------------------------------------------------------------------------

NEWCOMER = """
from pydantic import SecretStr
from connector.contract import AdapterSettings, Service

class NewcomerSettings(AdapterSettings):
    url: str
    token: SecretStr

class Newcomer:
    name = "newcomer"
    Settings = NewcomerSettings

    def __init__(self, settings, http):
        self.settings, self.http = settings, http

    @staticmethod
    def service(settings):
        return Service(settings.url, {"token": settings.token.get_secret_value()})
"""


@pytest.fixture
def drawer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A second folder of adapters, taken away afterwards."""
    monkeypatch.setattr(adapters, "__path__", [*adapters.__path__, str(tmp_path)])
    yield tmp_path
    registry.adapter_class.cache_clear()
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(f"adapters.{path.stem}", None)


def connect(name: str = "newcomer", demo: bool = False, **settings: Any) -> Any:
    config = Config(path=Path("deskpulse.toml"), database=Path("x.db"), demo=demo)
    return registry.connect(ServiceConfig(name, "newcomer", settings), config, FixedClock(0))


def test_a_file_is_all_it_takes_to_add_a_service(drawer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (drawer / "newcomer.py").write_text(NEWCOMER)
    monkeypatch.setenv("NEWCOMER_TOKEN", "s")
    adapter, client = connect(url="https://new.example")
    client.close()
    assert type(adapter).name == "newcomer"
    assert adapter.http is client
    assert adapter.settings.token.get_secret_value() == "s"
    assert client.requests == 0


def test_a_service_may_have_another_name_than_its_adapter(drawer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (drawer / "newcomer.py").write_text(NEWCOMER)
    monkeypatch.setenv("NEWCOMER_FR_TOKEN", "s")
    _, client = connect("newcomer-fr", url="https://new.example")
    client.close()
    with pytest.raises(ConfigError) as caught:
        connect("other", url="https://new.example")
    assert caught.value.setting == "services.other.token"


def test_a_demos_service_must_be_on_this_machine(drawer: Path) -> None:
    (drawer / "newcomer.py").write_text(NEWCOMER)
    with pytest.raises(ConfigError, match="not on this machine"):
        connect(demo=True, url="https://new.example", token="in clear")


def test_the_secret_mark_is_that_of_the_services_secret(drawer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (drawer / "newcomer.py").write_text(NEWCOMER)
    config = Config(path=Path("deskpulse.toml"), database=Path("x.db"))
    marks = []
    for secret in ("a", "b", "a"):
        monkeypatch.setenv("NEWCOMER_TOKEN", secret)
        marks.append(registry.secret_mark(ServiceConfig("newcomer", "newcomer", {"url": "https://n.example"}), config))
    assert marks[0] == marks[2] != marks[1]


@pytest.mark.parametrize(
    "text",
    ["", NEWCOMER.replace('"newcomer"', '"newcommer"'), f"{NEWCOMER}\nclass B(Newcomer):\n    name = 'newcomer'\n"],
)
def test_a_file_holds_exactly_one_adapter_of_its_name(text: str, drawer: Path) -> None:
    (drawer / "newcomer.py").write_text(text)
    with pytest.raises(ConfigError, match=r"adapters/newcomer\.py must hold one class"):
        registry.adapter_class("newcomer")


# --- the packages are ours -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["/somewhere/adapters/__init__.py", None])
def test_a_stranger_of_the_same_name_is_noticed(where: str | None) -> None:
    stranger = ModuleType("adapters")
    stranger.__file__ = where
    with pytest.raises(ConfigError, match=r"another package named adapters .* hides deskpulse's"):
        registry.check_ours(stranger)


def test_the_stranger_is_noticed_in_a_real_environment(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "__init__.py").write_text("")
    code = "import sys; sys.path.insert(0, sys.argv[1]); from connector import registry; registry.metrics()"
    run = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "another package named metrics" in run.stderr


def test_an_address_is_not_shown_by_the_description_of_a_service() -> None:
    assert "hooks" not in repr(Service("https://chat.example/hooks/secret", secret_url=True))
