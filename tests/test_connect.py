"""Connecting a service in a terminal: asked without echo, tried, added without disturbing the config."""

from __future__ import annotations

import os
import pty
import re
import select
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from vendors.found import VENDORS

from connector import registry
from connector.cli import cli
from connector.config import ServiceConfig, load
from connector.connecting import ask_for, keeper, kept, write_section
from connector.errors import ConfigError, Transient
from connector.sandbox import Sandbox, World
from connector.sandbox.generate import generate

DESKPULSE = Path(sys.executable).with_name("deskpulse")

CONFIG = """\
# mine
demo = true   # a sandbox is connected
zone = "Europe/Paris"

[services.archive]  # the old desk
adapter = "files"
path = "old.jsonl"

[push]
# not yet
enabled = false
"""


class Terminal:
    """A command on a terminal of its own; what it shows is kept, and answers are typed when it asks for them."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.mine, theirs = pty.openpty()
        # No keyring of the machine that runs the tests is to be written to.
        environment = {**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring", "NO_COLOR": "1"}
        environment |= variables
        self.process = subprocess.Popen(
            [DESKPULSE, *arguments], cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.shown = ""

    def answer(self, asked: str, typed: str) -> None:
        start = len(self.shown)
        while asked not in self.shown[start:]:
            assert self._read(), self.shown
        os.write(self.mine, f"{typed}\n".encode())

    def end(self) -> int:
        while self._read():
            pass
        os.close(self.mine)
        return self.process.wait(10)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.mine], [], [], 20)
        try:
            data = os.read(self.mine, 4096) if ready else b""
        except OSError:  # the other end is closed: Linux says so in this way
            return False
        self.shown += data.decode()
        return bool(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deskpulse.toml").write_text(CONFIG, "utf-8")
    (tmp_path / "deskpulse.toml").chmod(0o600)
    return tmp_path


def test_an_inbox_is_connected_and_the_config_keeps_its_comments(folder: Path) -> None:
    with Sandbox() as sandbox:
        terminal = Terminal(folder, "connect", "chatwoot")
        url = sandbox.url
        terminal.answer("url", url)
        terminal.answer("account", "1")
        terminal.answer("token", sandbox.token)
        assert terminal.end() == 0, terminal.shown
    assert sandbox.token not in terminal.shown
    text = (folder / "deskpulse.toml").read_text("utf-8")
    assert sandbox.token not in text
    assert [line for line in text.splitlines() if line in CONFIG.splitlines()] == CONFIG.splitlines()
    section = tomllib.loads(text)["services"]["chatwoot"]
    assert section == {"url": url, "account": 1, "token": "file:secrets/chatwoot-token"}
    secret = folder / "secrets" / "chatwoot-token"
    assert secret.read_text("utf-8") == sandbox.token
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    world = sandbox.world
    found = rf"found: {len(world.inboxes)} inboxes, {len(world.teams)} teams, \d+ agents\b"
    assert re.search(found, terminal.shown)
    assert not [one["name"] for one in world.inboxes if one["name"] in terminal.shown]


@pytest.mark.parametrize("kind", VENDORS.values(), ids=VENDORS)
def test_each_played_vendor_is_connected_and_then_synced(kind: Any, folder: Path) -> None:
    world = generate(1)
    few = World(world.zone, {"conversation": world.conversations[:5], "team": world.teams, "agent": world.agents})
    with kind(few) as vendor:
        model = registry.adapter_class(kind.name).Settings
        told = {key: str(value) for key, value in vendor.settings().items()}
        asked = [name for name, field in model.model_fields.items() if field.is_required() or field.json_schema_extra]
        # What is not asked for is found out, or stands in the environment: where the played vendor is.
        elsewhere = {f"{kind.name}_{key}".upper(): value for key, value in told.items() if key not in asked}
        terminal = Terminal(folder, "connect", kind.name, **elsewhere)
        for field in asked:
            terminal.answer(f"{field} (", told[field])
        assert terminal.end() == 0, terminal.shown
        (secret,) = (folder / "secrets").iterdir()
        assert secret.read_text("utf-8") not in terminal.shown + (folder / "deskpulse.toml").read_text("utf-8")
        command = [DESKPULSE, "sync", kind.name]
        done = subprocess.run(command, cwd=folder, env={**os.environ, **elsewhere}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert f"{kind.name}: read" in done.stdout
        assert vendor.not_allowed == []


def test_a_refused_token_adds_nothing(folder: Path) -> None:
    with Sandbox() as sandbox:
        terminal = Terminal(folder, "connect", "chatwoot")
        terminal.answer("url", sandbox.url)
        terminal.answer("account", "1")
        terminal.answer("token", "wrong-4711")
        assert terminal.end() == 2, terminal.shown
    assert "stays as it was" in terminal.shown
    assert "wrong-4711" not in terminal.shown
    assert (folder / "deskpulse.toml").read_text("utf-8") == CONFIG
    assert not (folder / "secrets").exists()


def test_a_credential_that_works_is_taken_though_what_is_there_cannot_be_counted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise Transient("it is down for a moment")

    monkeypatch.chdir(folder)
    monkeypatch.setattr("connector.connecting.keep_in_keyring", lambda *_: False)  # this machine's is not written to
    monkeypatch.setattr("connector.cli.connect.held", fails)
    with Sandbox() as sandbox:
        answers = f"{sandbox.url}\n1\n{sandbox.token}\n"
        done = CliRunner().invoke(cli, ["connect", "chatwoot"], input=answers)
    assert done.exit_code == 0, done.output
    assert "what is in it was not counted: it is down for a moment" in done.output
    assert "chatwoot" in tomllib.loads((folder / "deskpulse.toml").read_text("utf-8"))["services"]


def test_a_wrong_answer_is_explained_and_asked_for_again(folder: Path) -> None:
    with Sandbox() as sandbox:
        terminal = Terminal(folder, "connect", "chatwoot")
        terminal.answer("url", "chat dot example")
        terminal.answer("account", "1")
        terminal.answer("token", sandbox.token)
        terminal.answer("url (", sandbox.url)
        assert terminal.end() == 0, terminal.shown
    assert "write the whole address" in terminal.shown


def test_an_unknown_service_is_refused_with_a_near_one(folder: Path) -> None:
    done = subprocess.run([DESKPULSE, "connect", "chatwot"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "did you mean chatwoot" in done.stderr


def test_a_section_that_is_there_is_renewed_in_place(folder: Path) -> None:
    path = folder / "deskpulse.toml"
    write_section(path, ServiceConfig("archive", "files", {"path": "new.jsonl"}))
    assert path.read_text("utf-8") == CONFIG.replace("old.jsonl", "new.jsonl")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_renewed_section_is_tried_and_kept_with_the_settings_that_are_not_asked_for(folder: Path) -> None:
    path = folder / "deskpulse.toml"
    with Sandbox() as sandbox:
        rest = f'api_url = "{sandbox.url}/slack/api"  # not the vendor\'s\nchannel = "#old"\n'
        path.write_text(f'{CONFIG}\n[services.team]\nadapter = "slack"\ntoken = "env:OLD"\n{rest}', "utf-8")
        terminal = Terminal(folder, "connect", "team")
        terminal.answer("webhook", "")
        terminal.answer("token", sandbox.slack_token)
        assert terminal.end() == 0, terminal.shown
        assert sandbox.requests == {"GET /slack/api/auth.test": 1}
    added = path.read_text("utf-8").removeprefix(f"{CONFIG}\n")
    assert added == f'[services.team]\nadapter = "slack"\ntoken = "file:secrets/team-token"\n{rest}'


@pytest.fixture
def there(folder: Path) -> Path:
    """A config with a chat that is written to with a token."""
    path = folder / "deskpulse.toml"
    lines = '[services.chat]\nadapter = "slack"  # ours\ntoken = "env:CHAT"\nchannel = "#desk"  # all\n'
    path.write_text(f"{CONFIG}\n{lines}", "utf-8")
    return path


class Answers:
    """Types what it was given, setting by setting; nothing where it has no more, and not for ever."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers, self.said = answers, list[str]()

    def ask(self, setting: str, field: object, optional: bool) -> str:
        assert len(self.said) < 9, self.said
        left = self.answers.get(setting)
        return left.pop(0) if left else ""

    def section(self, adapter: str, name: str, path: Path) -> ServiceConfig:
        return ask_for(adapter, name, load(path), self.ask, self.said.append)


def in_a_drawer(setting: str, secret: str) -> str:
    return f"file:drawer/{setting}"


def test_another_way_in_takes_the_place_of_the_old_one(there: Path) -> None:
    section = Answers(webhook=["https://hooks.example/x"], channel=[""]).section("slack", "chat", there)
    assert section.settings.keys() == {"webhook", "allow_clear_secrets"}
    write_section(there, kept(section, load(there), in_a_drawer))
    assert there.read_text("utf-8").endswith(
        '[services.chat]\nadapter = "slack"  # ours\nwebhook = "file:drawer/webhook"\n'
    )


def test_a_setting_that_is_the_same_keeps_its_comment(there: Path) -> None:
    section = Answers(token=["xoxb-new"]).section("slack", "chat", there)
    write_section(there, kept(section, load(there), in_a_drawer))
    assert 'channel = "#desk"  # all\n' in there.read_text("utf-8")
    assert 'token = "file:drawer/token"\n' in there.read_text("utf-8")


def test_an_answer_that_names_where_the_secret_lies_is_written_as_it_is(
    there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_TOKEN", "xoxb-1")
    section = Answers(token=["env:CHAT_TOKEN"]).section("slack", "chat", there)
    assert kept(section, load(there), in_a_drawer).settings["token"] == "env:CHAT_TOKEN"


def test_a_section_of_another_adapter_lends_nothing(there: Path) -> None:
    section = Answers(path=["new.jsonl"]).section("files", "chat", there)
    write_section(there, kept(section, load(there), in_a_drawer))
    assert load(there).service("chat").settings == {"path": str(there.parent / "new.jsonl")}
    assert load(there).service("chat").adapter == "files"


def test_what_no_answer_can_put_right_ends_the_questions(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there.write_text(there.read_text("utf-8").replace("channel", "chanel"), "utf-8")
    with pytest.raises(ConfigError, match="did you mean channel"):
        Answers(token=["xoxb-1"]).section("slack", "chat", there)
    models = {name: cls.Settings.model_fields for name, cls in registry.adapters().items()}
    name, setting = next((name, key) for name in models for key, field in models[name].items() if field.default == {})
    monkeypatch.setenv(f"{name}_{setting}".upper(), "open")
    given = {key: ["https://desk.example"] for key in models[name]}
    with pytest.raises(ConfigError, match="not written as JSON"):
        Answers(**given).section(name, name, there)


def test_a_secret_s_file_lies_among_the_secrets_whatever_the_section_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert keeper("../shop/fr", tmp_path)("token", "s") == "file:secrets/..%2Fshop%2Ffr-token"
    assert (tmp_path / "secrets" / "..%2Fshop%2Ffr-token").read_text("utf-8") == "s"


def test_a_renewed_secret_is_its_owner_s_alone_whoever_could_read_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    keep = keeper("shop", tmp_path)
    keep("token", "an old and longer one")
    secret = tmp_path / "secrets" / "shop-token"
    secret.chmod(0o644)
    keep("token", "new")
    assert (secret.read_text("utf-8"), stat.S_IMODE(secret.stat().st_mode)) == ("new", 0o600)


def test_without_a_config_one_is_written_that_only_its_owner_can_read(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text('{"id": "1", "created_at": "2026-11-20T09:00:00Z"}\n', "utf-8")
    terminal = Terminal(tmp_path, "connect", "archive", "--adapter", "files")
    terminal.answer("path", "records.jsonl")
    assert terminal.end() == 0, terminal.shown
    path = tmp_path / "deskpulse.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(path).service("archive").adapter == "files"


def test_the_next_step_after_connecting_a_chat_is_not_a_sync(folder: Path) -> None:
    with Sandbox() as sandbox:
        terminal = Terminal(folder, "connect", "slack")
        terminal.answer("webhook", sandbox.slack_webhook)
        terminal.answer("token", "")
        assert terminal.end() == 0, terminal.shown
    assert "sync" not in terminal.shown
    assert 'to = ["slack"] under [digest]' in terminal.shown


def test_a_section_is_added_wherever_the_others_stand(folder: Path) -> None:
    path = folder / "deskpulse.toml"
    path.write_text(CONFIG + '\n[services.second]\nadapter = "files"\npath = "b.jsonl"\n', "utf-8")
    write_section(path, ServiceConfig("third", "files", {"path": "c.jsonl"}))
    assert {one.name: one.settings["path"] for one in load(path).services} == {
        "archive": "old.jsonl", "second": "b.jsonl", "third": "c.jsonl",
    }  # fmt: skip
