"""init, doctor, status: what they write and print, and the exit codes that monitoring relies on."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import respx
from click.testing import CliRunner, Result

import adapters
from connector import registry
from connector.cli import cli, main
from connector.clock import FixedClock
from connector.config import Config, load
from connector.contract import Finding, Service
from connector.doctor import examine
from connector.errors import AuthFailed, ConfigError, Transient, UsageError
from connector.models import Instant, from_iso
from connector.status import late_after_s, longest_pause_s, status
from connector.store import Connection, OperationalError
from connector.store.write import Store

NOW = from_iso("2026-11-20T12:00:00Z")
HOUR = 3_600_000


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DESKPULSE_CONFIG", raising=False)
    return tmp_path


def run(*argv: str) -> Result:
    return CliRunner().invoke(cli, argv)


# --- init ------------------------------------------------------------------------------------------------------------


def uncommented(text: str) -> str:
    """Every setting that is commented out, taken in."""
    return re.sub(r"^#(?=[\w\[])", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_what_init_writes_loads_as_it_is_and_with_everything_taken_in(language: str, here: Path) -> None:
    assert run("init", "--language", language).exit_code == 0
    path = here / "deskpulse.toml"
    as_it_is = load(path)
    assert (as_it_is.language, as_it_is.services, as_it_is.push.enabled) == (language, (), False)
    assert as_it_is.schedule == {"sync": "*/15 * * * *"}
    path.write_text(uncommented(path.read_text("utf-8")), "utf-8")
    full = load(path)
    assert [service.name for service in full.services] == registry.adapter_names()
    assert full.calendar
    assert full.inbox_calendars
    assert len(full.sla) == 2
    assert full.digest.to
    assert set(full.schedule) == {"sync", "push", "digest"}


def test_every_setting_of_every_adapter_and_every_rule_is_in_it(here: Path) -> None:
    from connector.push.rules import KINDS, kind_of

    run("init")
    path = here / "deskpulse.toml"
    path.write_text(uncommented(path.read_text("utf-8")), "utf-8")
    full = load(path)
    for service in full.services:
        assert set(service.settings) == set(registry.adapter_class(service.adapter).Settings.model_fields)
    assert {rule.name for rule in full.push.rules} == set(KINDS)
    for rule in full.push.rules:
        kind_of(rule)


def test_no_line_of_it_is_too_long_and_prose_is_told_from_settings(here: Path) -> None:
    for language in ("en", "fr"):
        run("init", "--force", "--language", language)
        for line in (here / "deskpulse.toml").read_text("utf-8").splitlines():
            assert len(line) <= 120
            assert line == "" or re.match(r'# \S|#?\[|#?\w+ = |#?\w+\."', line), line


def test_init_never_overwrites_unasked_and_only_its_owner_can_read_it(here: Path) -> None:
    path = here / "deskpulse.toml"
    path.write_text("mine")
    path.chmod(0o644)
    result = run("init")
    assert isinstance(result.exception, UsageError)
    assert path.read_text() == "mine"
    assert run("init", "--force").exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o600


def test_init_writes_where_it_is_told(here: Path) -> None:
    assert run("--config", "other.toml", "init").exit_code == 0
    assert (here / "other.toml").stat().st_mode & 0o777 == 0o600
    assert isinstance(run("--config", "nowhere/x.toml", "init").exception, UsageError)


# --- doctor ----------------------------------------------------------------------------------------------------------

PROBED = """
from pydantic import SecretStr
from connector.contract import AdapterSettings, Finding, Service

class Settings(AdapterSettings):
    token: SecretStr

class Probed:
    name = "probed"
    Settings = Settings
    error = None

    def __init__(self, settings, http):
        pass

    @staticmethod
    def service(settings):
        return Service()

    def announce(self, announcement):
        return ""

    def probe(self):
        yield Finding("scope", None, "may only read", "tick write")
        if self.error:
            raise self.error
"""


@pytest.fixture
def probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A service whose probe raises what it is told to; its config is written too."""
    (tmp_path / "drawer").mkdir()
    (tmp_path / "drawer" / "probed.py").write_text(PROBED)
    monkeypatch.setattr(adapters, "__path__", [*adapters.__path__, str(tmp_path / "drawer")])
    monkeypatch.setenv("PROBED_TOKEN", "s")
    write_config("[services.probed]\n")
    yield registry.adapter_class("probed")
    registry.adapter_class.cache_clear()
    sys.modules.pop("adapters.probed")


def write_config(text: str, mode: int = 0o600) -> Path:
    path = Path("deskpulse.toml")
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def states(*argv: str) -> tuple[int, dict[str, str]]:
    """doctor's exit code, and the state of each check."""
    result = run("doctor", *argv, "--json")
    return result.exit_code, {f"{row['subject']} {row['check']}": row["state"] for row in json.loads(result.stdout)}


@pytest.mark.usefixtures("probed")
def test_warnings_alone_are_fine() -> None:
    code, found = states()
    assert code == 0
    assert found["deskpulse config"] == found["probed settings"] == "ok"
    assert found["deskpulse database"] == found["probed scope"] == "warning"


@pytest.mark.parametrize(
    ("error", "code", "check"),
    [
        (AuthFailed("refused"), 2, "credential"),
        (ConfigError("no such file"), 2, "settings"),
        (Transient("down"), 1, "connection"),
    ],
)
def test_an_error_becomes_a_finding_and_an_exit_code(error: Exception, code: int, check: str, probed: Any) -> None:
    probed.error = error
    assert states("probed") == (
        code,
        {"probed settings": "ok", "probed scope": "warning", f"probed {check}": "failed"}
        | ({} if check != "settings" else {"probed settings": "failed"}),
    )
    text = run("doctor").stdout
    assert "failed   probed" in text
    assert "→ tick write" in text


def test_how_long_the_first_read_takes_is_foretold_at_the_pace_that_is_set(probed: Any) -> None:
    probed.first_read = 2.0
    said = "10,000 conversations take about 1 h 07 min, at 300 requests a minute"
    assert said in run("doctor", "probed").stdout
    probed.error = AuthFailed("refused")
    assert "first read" not in run("doctor", "probed").stdout, "nothing is foretold of what does not work"


def test_a_missing_secret_is_a_finding_that_names_the_setting(probed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROBED_TOKEN")
    assert states("probed") == (2, {"probed settings": "failed"})
    assert "services.probed.token is missing" in run("doctor", "probed").stdout


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize(
    ("extra", "check"),
    [
        ('[schedule]\nsync = "every hour"\n', "schedule sync"),
        ('[digest]\nto = ["chat"]\n', "digest"),
        ('[schedule]\ndigest = "0 8 * * *"\n', "digest"),
        ("[push.rules.slow-frist-response]\n", "rule slow-frist-response"),
    ],
)
def test_what_would_fail_later_is_found_now(extra: str, check: str) -> None:
    write_config(f"[services.probed]\n{extra}")
    code, found = states()
    assert (code, found[f"deskpulse {check}"]) == (2, "failed")


@pytest.mark.usefixtures("probed")
def test_what_is_right_about_them_is_found_right() -> None:
    write_config(
        '[services.probed]\n[schedule]\ndigest = "0 8 * * *"\n[digest]\nto = "probed"\n[push.rules.reopened]\n'
    )
    code, found = states()
    assert code == 0
    assert found["deskpulse digest"] == found["deskpulse schedule digest"] == found["deskpulse rule reopened"] == "ok"


@pytest.mark.usefixtures("probed")
def test_a_config_that_others_can_read_is_a_warning() -> None:
    write_config("[services.probed]\n", 0o640)
    code, found = states()
    assert (code, found["deskpulse config"]) == (0, "warning")


@pytest.mark.usefixtures("probed")
def test_a_store_that_cannot_be_written_is_found(here: Path) -> None:
    (here / "deskpulse.db").write_bytes(b"this is no database, whatever its name says" * 100)
    assert states()[1]["deskpulse database"] == "failed"
    (here / "deskpulse.db").unlink()
    Store.open(here / "deskpulse.db", demo=False).close()
    assert states()[1]["deskpulse database"] == "ok"


@respx.mock
@pytest.mark.parametrize(
    ("base", "date", "said"),
    [
        ("https://desk.example", "Fri, 20 Nov 2026 12:00:00 GMT", set()),
        ("https://desk.example", "Fri, 20 Nov 2026 11:58:10 GMT", set()),
        ("https://desk.example", "Fri, 20 Nov 2026 11:50:00 GMT", {"clock"}),
        ("https://desk.example", "Fri, 20 Nov 2026 12:10:00 GMT", {"clock"}),
        ("http://desk.example", "Fri, 20 Nov 2026 12:00:00 GMT", {"connection"}),
    ],
)
def test_a_connection_in_clear_and_clocks_apart_are_warnings(
    base: str, date: str, said: set[str], probed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    respx.get(f"{base}/me").respond(200, headers={"Date": date})
    monkeypatch.setattr(probed, "service", staticmethod(lambda settings: Service(base)))
    monkeypatch.setattr(probed, "__init__", lambda self, settings, http: setattr(self, "http", http))
    monkeypatch.setattr(probed, "probe", lambda self: iter([Finding("me", self.http.get("/me").status == 200, "")]))
    found = list(examine(load(Path("deskpulse.toml")), ["probed"], FixedClock(NOW)))
    assert {d.finding.check for d in found if d.finding.ok is None} == said
    assert {d.exit for d in found} == {0}


@pytest.mark.usefixtures("probed")
def test_a_keyring_is_looked_at_only_where_a_secret_lies_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert "deskpulse keyring" not in states()[1]
    write_config('[services.probed]\ntoken = "keyring:desk/bot"\n')
    code, found = states()
    assert (code, found["deskpulse keyring"]) == (2, "failed")


def test_a_config_without_services_is_not_ready() -> None:
    write_config("")
    assert states()[0] == 2


def test_an_unknown_service_is_wrong_use() -> None:
    write_config("")
    assert isinstance(run("doctor", "desk").exception, ConfigError)


# --- status ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(here: Path) -> Iterator[Connection]:
    with Store.open(here / "deskpulse.db", demo=False) as opened:
        yield opened.conn


def source(conn: Connection, name: str = "desk", *, synced: Instant | None = NOW - HOUR, **columns: Any) -> int:
    row = {"name": name, "adapter": "files", "last_synced_at": synced, **columns}
    sql = f"INSERT INTO sources ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
    return int(conn.execute(sql, tuple(row.values())).lastrowid or 0)


def outbox(conn: Connection, key: str, state: str, **columns: Any) -> None:
    row = {"key": key, "service": "desk", "action": "tag", "payload": "{}", "reason": "r", "state": state}
    row |= {"claimed_at": NOW - HOUR, **columns}
    conn.execute(f"INSERT INTO outbox ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))


def config(sync: str = "", *names: str) -> Config:
    lines = [f"[services.{name}]\nadapter = 'files'" for name in names or ("desk",)]
    return load(write_config("\n".join([*lines, f'[schedule]\nsync = "{sync}"' if sync else ""])))


def test_fresh_data_needs_nobody(store: Connection) -> None:
    source(store)
    found = status(store, config(), NOW)
    assert (found.problems, found.age_s, found.sources[0].stale) == ((), 3600, False)


def test_a_long_run_that_has_just_ended_is_not_late_though_its_data_is_as_old_as_its_beginning(
    store: Connection,
) -> None:
    began = NOW - 5 * HOUR
    store.execute(
        "INSERT INTO runs (source_id, what, started_at, ended_at, outcome) VALUES (?, 'sync', ?, ?, 'ok')",
        (source(store, synced=began), began, NOW - 60_000),
    )
    found = status(store, config("*/15 * * * *"), NOW).sources[0]
    assert (found.age_s, found.stale) == (5 * 3600, False)


@pytest.mark.parametrize(
    ("sync", "age_h", "late"),
    [
        ("", 25.9, False),
        ("", 26.1, True),
        ("0 * * * *", 1.9, False),
        ("0 * * * *", 2.1, True),
        ("0 6 * * mon", 100, False),
    ],
)
def test_a_sync_is_late_by_its_own_schedule(sync: str, age_h: float, late: bool, store: Connection) -> None:
    source(store, synced=NOW - round(age_h * HOUR))
    assert bool(status(store, config(sync), NOW).problems) is late


def test_a_refused_credential_needs_somebody_and_a_hiccup_does_not(store: Connection) -> None:
    source(store, "desk", state="auth", reason="desk answered 401")
    source(store, "mail", state="failing", reason="mail answered 502")
    problems = status(store, config("", "desk", "mail"), NOW).problems
    assert problems == ("desk refuses its credential: desk answered 401",)


def test_a_first_sync_under_way_is_not_late_and_a_dead_one_is(store: Connection) -> None:
    source_id = source(store, synced=None)
    assert "never read to its end" in status(store, config(), NOW).problems[0]
    store.execute("INSERT INTO runs (source_id, what, started_at) VALUES (?, 'sync', ?)", (source_id, NOW - HOUR))
    found = status(store, config(), NOW)
    assert (found.problems, found.age_s) == ((), None)
    store.execute("UPDATE runs SET ended_at = ?", (NOW,))
    assert status(store, config(), NOW).problems
    store.execute("UPDATE runs SET started_at = ?, ended_at = NULL", (NOW - 27 * HOUR,))
    assert status(store, config(), NOW).problems


def test_a_first_sync_may_take_a_day_however_often_the_later_ones_run(store: Connection) -> None:
    source_id = source(store, synced=None)
    store.execute("INSERT INTO runs (source_id, what, started_at) VALUES (?, 'sync', ?)", (source_id, NOW - 25 * HOUR))
    assert status(store, config("*/15 * * * *"), NOW).problems == ()
    store.execute("UPDATE sources SET last_synced_at = ?", (NOW - HOUR,))
    assert "was not synced for too long" in status(store, config("*/15 * * * *"), NOW).problems[0]


def test_a_source_that_the_config_dropped_may_grow_old(store: Connection) -> None:
    source(store)
    source(store, "old", synced=NOW - 1000 * HOUR)
    found = status(store, config(), NOW)
    assert (found.problems, [s.configured for s in found.sources]) == ((), [True, False])


def test_an_empty_store_says_what_to_do(store: Connection) -> None:
    assert status(store, config(), NOW).problems == ("nothing was read yet: run `deskpulse sync`",)


@pytest.mark.parametrize(
    ("state", "claimed", "listed", "needed"),
    [
        ("sent", NOW - HOUR, None, False),
        ("failed", NOW - HOUR, "failed", False),
        ("sending", NOW - 60_000, None, False),
        ("sending", NOW - HOUR, "unknown", True),
        ("unknown", NOW - HOUR, "unknown", True),
        ("mismatch", NOW - HOUR, "mismatch", True),
    ],
)
def test_a_write_that_nobody_knows_about_needs_somebody(
    state: str, claimed: Instant, listed: str | None, needed: bool, store: Connection
) -> None:
    source(store)
    outbox(store, "tag:desk:1:slow", state, claimed_at=claimed)
    found = status(store, config(), NOW)
    assert [entry["state"] for entry in found.outbox] == ([listed] if listed else [])
    assert bool(found.problems) is needed


def ledger(conn: Connection, period: str, state: str, at: Instant) -> None:
    conn.execute("INSERT INTO ledger VALUES ('digest', ?, '', ?, ?, 'chat refused it')", (period, state, at))


def test_a_digest_that_does_not_get_out_needs_somebody_until_it_or_a_later_one_does(store: Connection) -> None:
    source(store)
    own = dataclasses.replace(config("0 * * * *"), schedule={"digest": "0 8 * * *"})
    ledger(store, "start", "start", NOW - 100 * HOUR)
    ledger(store, "2026-11-18", "failed", NOW - 25 * HOUR)
    ledger(store, "2026-11-19", "failed", NOW - HOUR)
    said = ("the digest of 2026-11-18 is not out: chat refused it",)
    assert status(store, own, NOW).problems == said
    assert status(store, own, NOW - 23 * HOUR).problems == said
    assert status(store, own, NOW + 1).problems == ("the digest of 2026-11-19 is not out: chat refused it",)
    assert status(store, dataclasses.replace(own, schedule={}), NOW).problems == ()
    store.execute("UPDATE ledger SET state = 'done' WHERE period = '2026-11-19'")
    assert status(store, own, NOW + HOUR).problems == ()


def test_a_chat_that_is_down_for_a_moment_needs_nobody(store: Connection) -> None:
    source(store)
    ledger(store, "start", "start", NOW - 100 * HOUR)
    ledger(store, "2026-11-19", "failed", NOW - HOUR // 2)
    assert status(store, dataclasses.replace(config(), schedule={"digest": "0 8 * * *"}), NOW).problems == ()


def test_it_counts_what_is_there(store: Connection) -> None:
    source_id = source(store)
    stamps = (source_id, NOW - 2 * HOUR)
    store.execute(
        "INSERT INTO conversations (id, source_id, vendor_id, seen_at, checked_at) VALUES (1, ?, 'c', ?, 0)", stamps
    )
    store.execute(
        "INSERT INTO messages (source_id, vendor_id, conversation_id, at, author, public, kind, length, seen_at) "
        "VALUES (?, 'm', 1, ?, 'customer', 1, 'message', 3, 0)",
        stamps,
    )
    store.execute("INSERT INTO rejects VALUES (?, 'message', 'x', 'no id', 0, 0)", (source_id,))
    outbox(store, "digest:2026-11-18:chat", "sent", action="announce", sent_at=NOW - 25 * HOUR)
    outbox(store, "digest:2026-11-19:chat", "sent", action="announce", sent_at=NOW - HOUR)
    outbox(store, "tag:desk:1:slow", "sent", sent_at=NOW)
    found = status(store, config(), NOW)
    only = found.sources[0]
    assert (only.conversations, only.rejected, only.latest_message) == (1, 1, NOW - 2 * HOUR)
    assert found.digest == {"key": "digest:2026-11-19:chat", "sent_at": NOW - HOUR}


def test_the_command_prints_it_and_exits_for_monitoring(here: Path) -> None:
    write_config(
        'demo = true\nnow = "2026-11-20T12:00:00Z"\nzone = "Europe/Paris"\n[services.desk]\nadapter = "files"\n'
    )
    with Store.open(here / "deskpulse.db", demo=True) as opened:
        source(opened.conn)
        fresh = run("status")
        assert (fresh.exit_code, "fresh: everything was read at most 1 h" in fresh.stdout) == (0, True)
        assert "2026-11-20 12:00" in fresh.stdout, "its own zone, not UTC"
        outbox(opened.conn, "tag:desk:1:slow", "unknown")
        stuck = run("status", "--json")
    said = json.loads(stuck.stdout)
    assert (stuck.exit_code, said["fresh"], said["age_s"]) == (1, False, 3600)
    assert said["sources"][0]["synced_at"] == "2026-11-20T11:00:00.000Z"
    assert said["outbox"][0]["claimed_at"] == "2026-11-20T11:00:00.000Z"


def test_status_imports_nothing_heavy() -> None:
    code = "import connector.cli.admin, sys; print(*sys.modules)"
    run_ = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"pydantic", "httpx", "sqlite_utils", "apscheduler"} & set(run_.stdout.split()) == set()


@pytest.mark.parametrize(
    ("line", "hours"),
    [
        ("*/15 * * * *", 0.25), ("5 * * * *", 1), ("30 6,18 * * *", 12), ("0 8 * * *", 24), ("0 8-18/2 * * *", 14),
        ("0 8 * * mon-fri", 72), ("0 8 * * 1-5", 72), ("0 8 * * fri-sun", 120), ("0 8 * * 0", 168), ("0 8 * * 7", 168),
        ("0 0 1 * *", 744), ("0 6 */2 * *", 48), ("0 6 1,15 * *", 408), ("0 6 1 1 *", 8760),
        ("", 24), ("every day", 24), ("61 * * * *", 24),
    ],
)  # fmt: skip
def test_the_longest_pause_of_a_cron_line(line: str, hours: float) -> None:
    assert longest_pause_s(line) == hours * 3600


@pytest.mark.parametrize(
    "line", ["*/15 * * * *", "30 6,18 * * *", "0 8 * * mon-fri", "0 8 * * fri-sun", "0 8-18/2 * * *"]
)
def test_the_longest_pause_agrees_with_the_scheduler(line: str) -> None:
    from connector.schedule import fires

    moments: list[datetime] = list(fires(line, "UTC", NOW, NOW + 15 * 24 * HOUR))
    assert longest_pause_s(line) == max((b - a).total_seconds() for a, b in pairwise(moments))


def test_late_is_twice_the_pause_but_never_two_hours_more() -> None:
    assert [late_after_s(line) / 3600 for line in ("*/15 * * * *", "0 8 * * *", "0 8 * * 1", "")] == [0.5, 26, 170, 26]


# --- when the store fails --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["database or disk is full", "disk I/O error", "database is locked"])
def test_a_store_that_fails_in_the_midst_is_one_sentence_with_what_to_do(
    what: str, store: Connection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: Any) -> None:
        raise OperationalError(what)

    config()
    monkeypatch.setattr("connector.cli.admin.status_of", fails)
    with pytest.raises(SystemExit) as ended:
        main(["status"])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    whole = "what was committed before is whole: see to it, then run it again to go on"
    assert said == f"deskpulse: the store failed: {what}; {whole}\n"
