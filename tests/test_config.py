"""The config: what it takes, and what it says about what it does not."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from connector import config as config_module
from connector.config import (
    Config,
    PushConfig,
    Rule,
    SlaTarget,
    config_path,
    did_you_mean,
    environment,
    from_tables,
    load,
    seconds,
)
from connector.errors import ConfigError
from connector.models import Schedule, from_iso

FULL = """
database = "data/store.db"
zone = "Europe/Paris"
language = "fr"
bots = "Captain"
agents = ["Night Team"]
csat_positive_from = 3.5

[services.desk]
url = "https://desk.example"
token = "env:DESK_TOKEN"
[services.desk-fr]
adapter = "desk"

[calendar]
holidays = ["2026-12-25", 2027-01-01]
[calendar.hours]
mon = ["09:00-12:00", "13:30-24:00"]
fri = "09:00-17:00"
[calendar.inboxes.Night]
zone = "UTC"
[calendar.inboxes.Night.hours]
sat = ["20:00-23:59"]

[[sla]]
metric = "first_response_time"
target = "1h30m"
[[sla]]
metric = "resolution_time"
target = "2d"
clock = "calendar"
channel = "email"
since = 2026-06-01

[targets]
csat = 90

[push]
enabled = true
daily_budget = 20
[push.rules.slow-first-response]
over = "4h"
note = true
[push.rules.reopened]

[digest]
to = "chat"
period = "week"

[schedule]
sync = "*/15 * * * *"

[privacy]
keep_bodies_days = 30
agent_min_n = 10
"""


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "deskpulse.toml"
    path.write_text(text, "utf-8")
    return load(path)


def test_every_setting_arrives_where_it_belongs(tmp_path: Path) -> None:
    found = read(tmp_path, FULL)
    assert found.database == tmp_path / "data/store.db"
    assert (found.zone, found.tz.key, found.language) == ("Europe/Paris", "Europe/Paris", "fr")
    assert (found.bots, found.agents, found.csat_positive_from) == (("Captain",), ("Night Team",), 3.5)
    assert [(s.name, s.adapter) for s in found.services] == [("desk", "desk"), ("desk-fr", "desk")]
    assert found.service("desk").settings == {"url": "https://desk.example", "token": "env:DESK_TOKEN"}
    assert found.service("desk-fr").settings == {}
    assert found.sla == (
        SlaTarget("first_response_time", 5400.0),
        SlaTarget("resolution_time", 172800.0, "calendar", "email", from_iso("2026-06-01T00:00:00+02:00")),
    )
    assert found.targets == {"csat": 90.0}
    assert found.push == PushConfig(
        True, 20, rules=(Rule("slow-first-response", 14400.0, True), Rule("reopened", None, False))
    )
    assert (found.digest.to, found.digest.period) == (("chat",), "week")
    assert found.schedule == {"sync": "*/15 * * * *"}
    assert (found.keep_bodies_days, found.agent_min_n) == (30, 10)


def test_a_database_may_be_at_home_or_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ana")
    named = {"~/d.db": Path("/home/ana/d.db"), "/srv/d.db": Path("/srv/d.db"), "d.db": tmp_path / "d.db"}
    assert {text: read(tmp_path, f"database = '{text}'").database for text in named} == named


def test_opening_hours_are_minutes_of_local_days(tmp_path: Path) -> None:
    found = read(tmp_path, FULL)
    assert found.calendar == Schedule(
        "Europe/Paris", (((540, 720), (810, 1440)), (), (), (), ((540, 1020),), (), ()), ("2026-12-25", "2027-01-01")
    )
    assert found.inbox_calendars == {"Night": Schedule("UTC", ((), (), (), (), (), ((1200, 1439),), ()))}


def test_inboxes_may_have_hours_where_there_are_no_general_ones(tmp_path: Path) -> None:
    found = read(tmp_path, '[calendar.inboxes.Night.hours]\nsat = ["20:00-24:00"]\n')
    assert found.calendar is None
    assert list(found.inbox_calendars) == ["Night"]


def test_an_empty_config_has_careful_defaults(tmp_path: Path) -> None:
    found = read(tmp_path, "")
    assert (found.zone, found.language, found.demo, found.now) == ("UTC", "en", False, None)
    assert (found.push.enabled, found.keep_bodies_days, found.agent_min_n) == (False, 0, 5)
    assert (found.services, found.calendar, found.sla, dict(found.schedule)) == ((), None, (), {})


@pytest.mark.parametrize(
    ("text", "setting", "says"),
    [
        ("zoen = 'UTC'", "zoen", "did you mean zone?"),
        ("zone = 'Paris'", "zone", "not a time zone"),
        ("zone = 5", "zone", "expected str"),
        ("language = 'fi'", "language", "known are en, fr"),
        ("demo = 'yes'", "demo", "expected bool"),
        ("csat_positive_from = true", "csat_positive_from", "expected int"),
        ("services = 3", "services", "expected dict"),
        ("services.desk = 3", "services.desk", "expected dict"),
        ("[calendar]\nzone = 'X/Y'", "calendar.zone", "not a time zone"),
        ("[calendar]\nhuors = {}", "calendar.huors", "did you mean hours?"),
        ("[calendar.hours]\nmonday = ['09:00-17:00']", "calendar.hours.monday", "did you mean mon?"),
        ("[calendar.hours]\nmon = ['9-17']", "calendar.hours.mon", 'write them like "09:00-17:30"'),
        ("[calendar.hours]\nmon = ['17:00-09:00']", "calendar.hours.mon", "not opening hours"),
        ("[calendar.hours]\nmon = ['09:00-09:00']", "calendar.hours.mon", "not opening hours"),
        ("[calendar.hours]\nmon = ['09:00-24:01']", "calendar.hours.mon", "not opening hours"),
        ("[calendar.hours]\nmon = ['09:75-12:00']", "calendar.hours.mon", "not opening hours"),
        ("[calendar]\nholidays = ['2026-12-25']", "calendar.hours", 'like mon = ["09:00-17:30"]'),
        ("[calendar.inboxes.Night]\nzone = 'UTC'", "calendar.inboxes.Night.hours", "missing"),
        ("[calendar]\nholidays = ['25/12/2026']", "calendar.holidays", "write it like 2026-12-25"),
        ("[[sla]]\ntarget = '4h'", "sla.metric", "missing"),
        ("[[sla]]\nmetric = 'first_response_time'", "sla.target", "missing"),
        ("[[sla]]\nmetric = 'first_reponse_time'\ntarget = '4h'", "sla.metric", "did you mean first_response_time?"),
        ("[[sla]]\nmetric = 'resolution_time'\ntarget = '4 hours'", "sla.target", "write 30s, 5m, 4h or 2d"),
        ("[[sla]]\nmetric = 'resolution_time'\ntarget = '4h'\nsince = 'May'", "sla.since", "not a date"),
        ("[sla]\nmetric = 'resolution_time'", "sla", "expected list"),
        ("sla = [3]", "sla", "must be a section"),
        ("[targets]\ncsat = 'high'", "targets.csat", "expected int"),
        ("[push]\nenable = true", "push.enable", "did you mean enabled?"),
        ("[push]\ndaily_budget = -1", "push.daily_budget", "cannot be negative"),
        ("[push]\ndaily_budget = 1.5", "push.daily_budget", "expected int"),
        ("[push]\nprefix = 'Deskpulse '", "push.prefix", "a-z"),
        ("[push.rules.reopened]\nover = 'long'", "push.rules.reopened.over", "not a duration"),
        ("[push.rules.reopened]\nnotes = true", "push.rules.reopened.notes", "did you mean note?"),
        ("[digest]\nperiod = 'hour'", "digest.period", "known are day, week"),
        ("[schedule]\nsynch = '* * * * *'", "schedule.synch", "did you mean sync?"),
        ("[privacy]\nkeep_bodies = 3", "privacy.keep_bodies", "did you mean keep_bodies_days?"),
        ("now = '2026-11-20T12:00:00Z'", "now", "for demos only"),
        ("demo = true\nnow = '2026-11-20T12:00:00'", "now", "needs a zone"),
        ("demo = true\nnow = 'noon'", "now", "not an instant"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(text: str, setting: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert (caught.value.setting, says in str(caught.value)) == (setting, True), str(caught.value)
    assert setting in str(caught.value)


def test_a_demo_has_a_standing_clock(tmp_path: Path) -> None:
    for now in ("'2026-11-20T12:00:00Z'", "2026-11-20T13:00:00+01:00"):
        assert read(tmp_path, f"demo = true\nnow = {now}").now == from_iso("2026-11-20T12:00:00Z")


def test_a_config_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="deskpulse init"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="not valid TOML"):
        read(tmp_path, "zone = ")
    (tmp_path / "latin.toml").write_bytes(b"zone = '\xe9'")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(tmp_path / "latin.toml")


def test_a_service_that_is_not_there_gets_its_near_word(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, FULL).service("dekc")
    assert caught.value.setting == "services.dekc"
    assert "did you mean desk?" in str(caught.value)


def test_a_services_settings_are_not_shown_by_the_config(tmp_path: Path) -> None:
    found = read(tmp_path, "[services.desk]\ntoken = 'canary-1'\n")
    assert "canary-1" not in repr(found)


def test_a_secret_in_the_wrong_place_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "[services]\ntoken = 'canary-1'\n")
    assert "canary-1" not in str(caught.value)


def test_reading_does_not_change_the_tables_it_reads(tmp_path: Path) -> None:
    tables = {"services": {"desk": {"adapter": "files", "path": "x"}}, "push": {"rules": {"reopened": {"note": True}}}}
    assert from_tables(tables, tmp_path / "c") == from_tables(tables, tmp_path / "c")
    assert tables["services"] == {"desk": {"adapter": "files", "path": "x"}}


def test_the_config_is_named_by_the_option_then_the_environment_then_the_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DESKPULSE_CONFIG", "from-env.toml")
    assert [str(config_path(given)) for given in ("given.toml", None)] == ["given.toml", "from-env.toml"]
    monkeypatch.delenv("DESKPULSE_CONFIG")
    assert str(config_path(None)) == "deskpulse.toml"
    monkeypatch.setenv("X_VARIABLE", "x")
    assert (environment("X_VARIABLE"), environment("DESKPULSE_CONFIG")) == ("x", None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("5m", 300), ("4h", 14400), ("2d", 172800), ("1h30m", 5400), ("1h 30m", 5400), ("1.5h", 5400)],
)
def test_durations_are_written_with_their_units(text: str, expected: float) -> None:
    assert seconds(text, "x") == expected


@pytest.mark.parametrize("text", ["", "5", "h", "5 minutes", "-5m", "5m later", "1,5h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        seconds(text, "x")


def test_a_near_word_is_offered_or_all_of_them() -> None:
    assert did_you_mean("tokn", ["token", "url"]) == "; did you mean token?"
    assert did_you_mean("x", ["url", "token"]) == "; known are token, url"
    assert did_you_mean("x", []) == ""


def test_the_config_imports_the_standard_library_alone() -> None:
    tree = ast.parse(Path(config_module.__file__).read_text("utf-8"))
    named = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module for module in named if module.split(".")[0] not in sys.stdlib_module_names} == {
        "connector.errors",
        "connector.models",
    }
    code = "import connector.config, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"pydantic", "click", "httpx"} & set(run.stdout.split()) == set()
