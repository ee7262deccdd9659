"""Prose drifts unless something fails: what README says exists, and what exists is in README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connector import registry
from connector.cli import COMMANDS, cli
from connector.config import DAYS, load
from connector.metric import markdown_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def section(title: str) -> str:
    """The text under a heading."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.M | re.S)
    assert found, title
    return found[1]


def between(mark: str) -> str:
    found = re.search(rf"<!-- {mark} -->\n(.*?)\n<!-- /{mark} -->", README, re.S)
    assert found, mark
    return found[1].strip()


def test_every_command_is_described_and_no_other() -> None:
    assert set(re.findall(r"^\| `deskpulse (\w+)", section("Commands"), re.M)) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_that_readme_shows_exists(name: str) -> None:
    shown = re.findall(rf"`deskpulse {name}[^`]*`(?: or `[^`]*`)*", section("Commands"))
    command = cli.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z-]+", " ".join(shown))) <= known


def test_the_kpi_table_is_the_one_printed_from_the_metrics() -> None:
    assert between("kpis") == markdown_table(registry.metrics().values()).strip()


def test_every_adapter_and_each_of_its_settings_is_described() -> None:
    text = section("Settings")
    for name in registry.adapter_names():
        line = next((row for row in text.splitlines() if row.startswith(f"| `{name}` |")), "")
        fields = set(registry.adapter_class(name).Settings.model_fields)
        assert fields <= set(re.findall(r"`(\w+)`", line)), name
    described = set(re.findall(r"^\| `(\w+)` \|", text, re.M))
    assert described == set(registry.adapter_names())


EVERY_SETTING = """
database = "x.db"
zone = "Europe/Paris"
language = "fr"
demo = true
now = "2026-11-21T08:00:00+01:00"
bots = ["7"]
agents = ["8"]
csat_positive_from = 4
services = {}
[calendar]
zone = "Europe/Paris"
holidays = ["2026-12-25"]
hours = { mon = ["09:00-17:00"] }
inboxes = {}
[[sla]]
metric = "first_response_time"
target = "4h"
clock = "business"
channel = "email"
since = 2026-01-01
[targets]
csat = 80
[push]
enabled = false
daily_budget = 50
prefix = "deskpulse-"
days = 7
rules = { reopened = { over = "4h", note = true } }
[digest]
to = []
period = "day"
[schedule]
sync = "*/15 * * * *"
push = "0 * * * *"
digest = "0 8 * * *"
[privacy]
keep_bodies_days = 0
agent_min_n = 5
"""


def test_every_setting_is_described(tmp_path: Path) -> None:
    path = tmp_path / "deskpulse.toml"
    path.write_text(EVERY_SETTING, "utf-8")
    load(path)
    named = set(re.findall(r"^(\w+) = ", EVERY_SETTING, re.M)) | {"over", "note"}
    described = set(re.findall(r"`(\w+)`", section("Settings"))) | set(re.findall(r"\[(\w+)", section("Settings")))
    assert named - {"services", "csat", "inboxes", "rules", *DAYS} <= described


def test_the_config_reader_knows_no_setting_that_this_list_lacks() -> None:
    source = (ROOT / "connector/config.py").read_text("utf-8")
    asked = set(re.findall(r"\.(?:text|texts|flag|number|whole|choice|table|tables|take)\(\"(\w+)\"", source))
    listed = set(re.findall(r"(\w+) = ", EVERY_SETTING)) | set(re.findall(r"\[(\w+)\]", EVERY_SETTING))
    assert asked - listed - {"adapter"} == set()


def test_no_link_in_readme_is_broken() -> None:
    headings = {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", README, re.M)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", README)) <= headings


def test_the_stable_views_are_named() -> None:
    from connector.store.schema import _views

    views = set(re.findall(r"CREATE VIEW (\w+)", _views()))
    assert views == set(re.findall(r"`(v_\w+)`", section("The store")))
