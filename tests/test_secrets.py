"""References to secrets, and a service's section against its adapter's Settings."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from connector.config import Config, ServiceConfig
from connector.contract import AdapterSettings
from connector.errors import ConfigError
from connector.secrets import environment_name, keyring_name, mark, secret_fields, settings_of

CANARY = "canary-51d0e2"


class DeskSettings(AdapterSettings):
    url: str = "https://desk.example"
    token: SecretStr
    webhook: SecretStr | None = None
    pages: int = Field(1, ge=1)
    labels: tuple[str, ...] = ()
    path: Path = Path("x")

    @field_validator("path")
    @classmethod
    def _beside_the_config(cls, path: Path, info: ValidationInfo) -> Path:
        return Path(info.context["folder"]) / path if info.context else path


def settle(folder: Path, *, demo: bool = False, name: str = "desk", **settings: Any) -> DeskSettings:
    config = Config(path=folder / "deskpulse.toml", database=folder / "x.db", demo=demo)
    return settings_of(ServiceConfig(name, "desk", settings), config, DeskSettings)


def refusal(folder: Path, **settings: Any) -> ConfigError:
    """The error, after asserting that neither it nor what hangs on it shows a secret."""
    with pytest.raises(ConfigError) as caught:
        settle(folder, **settings)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)
    assert CANARY not in shown
    return caught.value


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DESK_TOKEN", "DESK_WEBHOOK", "DESK_PAGES", "DESK_LABELS", "MY_TOKEN"):
        monkeypatch.delenv(name, raising=False)


# --- references ------------------------------------------------------------------------------------------------------


def test_a_secret_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", f"{CANARY}\n")
    found = settle(tmp_path, token="env:MY_TOKEN")
    assert found.token.get_secret_value() == CANARY
    assert CANARY not in repr(found)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_an_empty_variable_is_named_with_its_setting(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv("MY_TOKEN", value)
    error = refusal(tmp_path, token="env:MY_TOKEN")
    assert error.setting == "services.desk.token"
    assert "services.desk.token: the environment variable MY_TOKEN is not set" in str(error)


def test_a_secret_comes_from_a_file_beside_the_config(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{CANARY}\n")
    file.chmod(0o640)
    assert settle(tmp_path, token="file:token").token.get_secret_value() == CANARY
    assert settle(tmp_path, token=f"file:{file}").token.get_secret_value() == CANARY


def test_a_file_that_every_user_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(CANARY)
    (tmp_path / "token").chmod(0o644)
    assert f"run `chmod 600 {tmp_path}/token`" in str(refusal(tmp_path, token="file:token"))


@pytest.mark.parametrize(("content", "why"), [(None, "No such file"), (b"", "it is empty"), (b"\xff\xfe", "not text")])
def test_a_file_without_a_secret_says_why(content: bytes | None, why: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
        (tmp_path / "token").chmod(0o600)
    error = refusal(tmp_path, token="file:token")
    assert why in str(error)
    assert error.setting == "services.desk.token"


class _Ring(KeyringBackend):
    priority = 1  # type: ignore[assignment]  # the library's own way to declare it
    name = "a test's ring"

    def get_password(self, service: str, username: str) -> str | None:
        return CANARY if (service, username) == ("desk", "bot") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


@pytest.fixture
def ring() -> Any:
    before = keyring.get_keyring()
    keyring.set_keyring(_Ring())
    yield
    keyring.set_keyring(before)


@pytest.mark.usefixtures("ring")
def test_a_secret_comes_from_the_keyring(tmp_path: Path) -> None:
    assert settle(tmp_path, token="keyring:desk/bot").token.get_secret_value() == CANARY
    assert keyring_name() == "a test's ring"


@pytest.mark.usefixtures("ring")
@pytest.mark.parametrize("reference", ["desk/nobody", "desk", "/bot", "desk/"])
def test_what_the_keyring_does_not_have_is_said(reference: str, tmp_path: Path) -> None:
    assert f'the keyring has no "{reference}"' in str(refusal(tmp_path, token=f"keyring:{reference}"))


@pytest.mark.usefixtures("ring")
def test_a_machine_without_a_keyring_says_so(tmp_path: Path) -> None:
    keyring.set_keyring(NoKeyring())
    assert "cannot be opened" in str(refusal(tmp_path, token="keyring:desk/bot"))


def test_a_missing_keyring_package_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert "pip install 'deskpulse[keyring]'" in str(refusal(tmp_path, token="keyring:desk/bot"))


# --- in clear --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["token", "webhook"])
def test_a_secret_in_clear_is_refused(field: str, tmp_path: Path) -> None:
    error = refusal(tmp_path, **{field: f"https://{CANARY}"})
    assert error.setting == f"services.desk.{field}"
    assert "allow_clear_secrets = true" in str(error)


def test_a_secret_in_clear_is_taken_where_asked_for_and_in_a_demo(tmp_path: Path) -> None:
    assert settle(tmp_path, token=CANARY, allow_clear_secrets=True).token.get_secret_value() == CANARY
    assert settle(tmp_path, token=CANARY, demo=True).token.get_secret_value() == CANARY
    refusal(tmp_path, token=CANARY, allow_clear_secrets=False)


def test_asking_for_secrets_in_clear_is_yes_or_no(tmp_path: Path) -> None:
    assert refusal(tmp_path, token=CANARY, allow_clear_secrets="yes").setting == "services.desk.allow_clear_secrets"


def test_only_secrets_are_references(tmp_path: Path) -> None:
    assert settle(tmp_path, token=CANARY, demo=True, url="env:MY_TOKEN").url == "env:MY_TOKEN"
    assert secret_fields(DeskSettings) == {"token", "webhook"}


# --- from the environment without being named ------------------------------------------------------------------------


def test_what_is_missing_comes_from_the_environment_and_the_config_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_TOKEN", CANARY)
    monkeypatch.setenv("DESK_PAGES", "7")
    monkeypatch.setenv("DESK_LABELS", '["a", "b"]')
    found = settle(tmp_path)
    assert (found.token.get_secret_value(), found.pages, found.labels) == (CANARY, 7, ("a", "b"))
    assert settle(tmp_path, pages=2).pages == 2


def test_a_second_service_has_variables_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment_name("desk-fr", "token"), CANARY)
    assert environment_name("desk-fr", "token") == "DESK_FR_TOKEN"
    assert settle(tmp_path, name="desk-fr").token.get_secret_value() == CANARY
    refusal(tmp_path)


def test_a_stray_variable_does_not_join_a_secret_of_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_WEBHOOK", "meant for another program")
    monkeypatch.setenv("MY_TOKEN", CANARY)
    assert settle(tmp_path, token="env:MY_TOKEN").webhook is None


def test_a_variable_that_cannot_be_read_is_said_without_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_LABELS", CANARY)
    monkeypatch.setenv("MY_TOKEN", CANARY)
    assert "DESK_…" in str(refusal(tmp_path, token="env:MY_TOKEN"))


# --- what is wrong, in a sentence ------------------------------------------------------------------------------------


def test_a_missing_secret_says_what_to_write(tmp_path: Path) -> None:
    error = refusal(tmp_path)
    assert str(error) == (
        'services.desk.token is missing: write token = "env:DESK_TOKEN" in [services.desk], or set DESK_TOKEN'
    )
    assert error.setting == "services.desk.token"


def test_a_mistyped_setting_gets_its_near_word(tmp_path: Path) -> None:
    error = refusal(tmp_path, token=CANARY, allow_clear_secrets=True, page=3)
    assert str(error) == "services.desk.page is not a setting; did you mean pages?"


@pytest.mark.parametrize(("wrong", "setting"), [({"pages": 0}, "pages"), ({"url": 5}, "url"), ({"token": 5}, "token")])
def test_a_wrong_value_is_named_without_being_shown(wrong: dict[str, Any], setting: str, tmp_path: Path) -> None:
    error = refusal(tmp_path, **{"token": CANARY, "allow_clear_secrets": True, **wrong})
    assert error.setting == f"services.desk.{setting}"
    assert str(error).startswith(f"services.desk.{setting}: Input should be")


def test_a_rule_between_settings_speaks_in_its_own_words(tmp_path: Path) -> None:
    class Either(AdapterSettings):
        token: SecretStr | None = None

        @model_validator(mode="after")
        def _one(self) -> Either:
            raise ValueError("set either this or that")

    service = ServiceConfig("desk", "desk", {"token": CANARY})
    config = Config(path=tmp_path / "c", database=tmp_path / "d", demo=True)
    with pytest.raises(ConfigError) as caught:
        settings_of(service, config, Either)
    assert (str(caught.value), caught.value.setting) == ("services.desk: set either this or that", "services.desk")
    assert caught.value.__context__ is None


def test_paths_may_be_taken_as_beside_the_config(tmp_path: Path) -> None:
    assert settle(tmp_path, token=CANARY, demo=True, path="a.jsonl").path == tmp_path / "a.jsonl"


def test_the_mark_changes_with_the_secret_and_does_not_hold_it(tmp_path: Path) -> None:
    one, other = (mark(settle(tmp_path, demo=True, token=f"{CANARY}{n}")) for n in (1, 2))
    assert one != other
    assert one == mark(settle(tmp_path, demo=True, token=f"{CANARY}1", pages=9))
    assert len(one) == 6
