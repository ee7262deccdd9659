"""``deskpulse kpi`` and ``explain`` from the shell: the JSON, the tables, bad input, and what they import."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import golden
import pytest

from connector import facts
from connector.cli import main
from connector.config import load
from connector.language import duration
from connector.models import from_iso

CONFIG = """
zone = "Europe/Paris"
demo = true
now = "2026-11-21T10:00:00Z"
[calendar.hours]
mon = ["09:00-17:00"]
tue = ["09:00-17:00"]
"""
STORY = {
    "conversations": [
        {
            "id": "c1", "channel": "email", "team": "Support", "link": "https://desk.example/c1",
            "messages": [
                {"id": "1", "at": "2026-11-17T09:00Z", "author": "customer", "author_id": "ada"},
                {"id": "2", "at": "2026-11-17T10:04Z", "author": "agent", "author_id": "Ann"},
            ],
            "events": [{"at": "2026-11-17T10:05Z", "kind": "status", "value": "done", "actor": "Ann"}],
            "ratings": [{"id": "r", "offered_at": "2026-11-17T11:00Z", "at": "2026-11-17T12:00Z", "score": 5}],
            "seen_at": "2026-11-20T23:30Z",
        },
        {
            "id": "c2", "channel": "live_chat", "team": "Billing",
            "messages": [{"id": "3", "at": "2026-11-18T09:30Z", "author": "customer", "author_id": "bob"}],
            "seen_at": "2026-11-20T23:30Z",
        },
        {"id": "c3", "messages": [{"id": "4", "at": "2026-11-18T10:00Z", "author": "customer", "author_id": "eve"}],
         "events": [{"at": "2026-11-18T10:01Z", "kind": "spam"}], "seen_at": "2026-11-20T23:30Z"},
    ]
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "deskpulse.toml"
    path.write_text(CONFIG, "utf-8")
    config = load(path)
    with golden.store_of(STORY, config) as store:
        synced = from_iso("2026-11-21T09:00:00Z")
        store.conn.execute("UPDATE sources SET first_synced_at = ?, last_synced_at = ?", (synced - 40_000_000, synced))
        facts.refresh(store.conn, config)
    return path


def run(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["--config", str(home), *words])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def kpi(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> dict[str, Any]:
    code, out, err = run(capsys, home, "kpi", *words, "--json")
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_the_json_is_the_agreed_one(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    found = kpi(capsys, home, "first_response_time", "csat", "conversation_volume", "--clock", "calendar")
    assert found["zone"] == "Europe/Paris"
    assert found["period"] == {"start": "2026-11-14T00:00:00+01:00", "end": "2026-11-21T00:00:00+01:00"}
    first = found["values"][0]
    agreed = {"key", "statistic", "clock", "unit", "value", "n", "interval", "by", "passport"}
    assert agreed <= set(first)
    assert {k: first[k] for k in agreed - {"passport"}} == {
        "key": "first_response_time", "statistic": "median", "clock": "calendar", "unit": "seconds",
        "value": 3840, "n": 1, "interval": None, "by": {},
    }  # fmt: skip
    by_key = {v["key"]: v for v in found["values"]}
    assert (by_key["csat"]["value"], by_key["csat"]["unit"], by_key["csat"]["clock"]) == (100, "percent", None)
    assert by_key["csat"]["interval"] == pytest.approx([20.65, 100], abs=0.01)
    assert by_key["conversation_volume"]["value"] == 2
    assert by_key["conversation_volume"]["exclusions"]["spam"] == 1
    assert all(v["complete"] for v in found["values"])


def test_no_data_is_null_and_a_count_of_nothing_is_zero(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    values = kpi(capsys, home, "csat", "conversation_volume", "--period", "2026-11-01")["values"]
    assert [(v["value"], v["n"]) for v in values] == [(None, 0), (0, 0)]


def test_without_a_key_the_headline_is_shown_on_both_clocks(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    values = kpi(capsys, home)["values"]
    assert {"first_response_time", "csat", "backlog", "volume_trend", "sla_attainment"} <= {v["key"] for v in values}
    assert {v["clock"] for v in values} == {"calendar", "business", None}


def test_headline_figures_that_cannot_be_grouped_so_are_left_out(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    assert "volume_trend" not in {v["key"] for v in kpi(capsys, home, "--by", "day")["values"]}


def test_groups_can_be_repeated_or_listed(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    listed = kpi(capsys, home, "conversation_volume", "--by", "team,channel")["values"]
    repeated = kpi(capsys, home, "conversation_volume", "--by", "team", "--by", "channel")["values"]
    assert listed == repeated
    assert [(v["by"], v["value"]) for v in listed] == [
        ({"team": "Billing", "channel": "live_chat"}, 1),
        ({"team": "Support", "channel": "email"}, 1),
    ]


def test_a_filter_is_by_name(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert kpi(capsys, home, "conversation_volume", "--where", "team=Support")["values"][0]["value"] == 1


def test_as_of_shows_what_was_known_then(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    words = ("backlog", "csat", "--period", "2026-11-17", "--as-of", "2026-11-17T11:03:00+01:00")
    then = kpi(capsys, home, *words)["values"]
    assert [v["value"] for v in then] == [1, None]
    assert kpi(capsys, home, "csat", "--period", "2026-11-17")["values"][0]["value"] == 100


def test_the_second_call_gives_the_same_passports(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert kpi(capsys, home) == kpi(capsys, home)


def test_people_get_a_table_with_readable_durations(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    code, out, _ = run(capsys, home, "kpi", "first_response_time", "csat", "--by", "channel")
    assert code == 0
    assert out.startswith("2026-11-14..2026-11-20, Europe/Paris\n")
    line = next(
        line for line in out.splitlines() if line.startswith("first_response_time  email") and "calendar" in line
    )
    assert "1 h 04 min" in line
    assert "✓ ≤ 4 h" in line
    assert re.search(r"^csat +email +100\.0% .*20\.7% … 100\.0% +1 +✓ ≥ 80\.0%", out, re.MULTILINE)


def test_an_unfinished_period_is_said_to_be_one(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    _, out, _ = run(capsys, home, "kpi", "backlog", "--period", "today")
    assert "not complete: the period is not over" in out


def test_the_week_is_a_map_of_its_hours(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    _, out, _ = run(capsys, home, "kpi", "conversation_volume", "--by", "hour_of_week")
    lines = out.splitlines()
    tuesday = next(line for line in lines if line.startswith("Tue")).split()
    assert len(tuesday) == 25
    assert tuesday[1 + 10] == "1"  # 09:00 UTC is 10:00 in Paris
    assert [line[:3] for line in lines if line[:3].istitle() and len(line.split()) == 25] == [
        "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun",
    ]  # fmt: skip


def test_of_kpis_side_by_side_those_without_hours_follow_the_maps(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    code, out, _ = run(capsys, home, "kpi", "channel_performance", "--by", "hour_of_week")
    assert code == 0
    assert "conversation_volume · count · channel = email" in out
    assert re.search(r"^load_share +email +100\.0%", out, re.MULTILINE)


def test_the_list_names_every_kpi(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    _, out, _ = run(capsys, home, "kpi", "--list")
    assert "first_contact_resolution" in out
    assert "team_performance" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["kpi", "csatt"], 'there is no KPI "csatt"; did you mean csat?'),
        (["kpi", "--period", "lately"], '"lately" is not a period; write 2026-11-20'),
        (["kpi", "csat", "--by", "mood"], 'csat cannot be grouped by "mood"'),
        (["kpi", "--by", "mood"], 'cannot be grouped by "mood"'),
        (["kpi", "team_performance", "--by", "mood"], 'cannot be grouped by "mood"'),
        (["kpi", "--where", "team=Suport"], "did you mean Support?"),
        (["kpi", "--where", "team"], "write DIMENSION=NAME"),
        (["kpi", "--where", "team=a", "--where", "team=b"], "once per dimension"),
        (["kpi", "--as-of", "2026-11-20T12:00:00"], "write it with its zone"),
        (["kp"], 'there is no command "kp"; did you mean kpi?'),
        (["kpi", "--as-of", "2027-01-01T00:00:00Z"], "lies in the future"),
        (["kpi", "--period", "2027-01"], "the period 2027-01 had not begun at 2026-11-21T11:00:00+01:00"),
        (["explain", "csat", "--period", "2026-11-22"], "had not begun"),
        (["kpi", "--period", "2026-11-19", "--as-of", "2026-11-18T12:00:00Z"], "had not begun at 2026-11-18T13:00"),
        (["kpi", "--clock", "lunar"], "lunar"),
        (["explain", "0123456789ab"], "there is no figure with the passport"),
        (["explain", "csatt"], "did you mean csat?"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_2(
    capsys: pytest.CaptureFixture[str], home: Path, words: list[str], sentence: str
) -> None:
    code, out, err = run(capsys, home, *words)
    assert code == 2
    assert out == ""
    assert sentence in err


def test_a_store_that_is_not_there_yet_says_what_to_do(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "deskpulse.toml").write_text("", "utf-8")
    code, _, err = run(capsys, tmp_path / "deskpulse.toml", "kpi")
    assert code == 2
    assert "run `deskpulse sync` first" in err


# --- explain ---------------------------------------------------------------------------------------------------------


def test_every_surface_says_the_same_value(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    value = kpi(capsys, home, "first_response_time", "--clock", "calendar")["values"][0]
    _, table, _ = run(capsys, home, "kpi", "first_response_time", "--clock", "calendar")
    _, told, _ = run(capsys, home, "explain", value["passport"])
    _, raw, _ = run(capsys, home, "explain", value["passport"], "--json")
    shown = duration(value["value"], "en")
    assert shown == "1 h 04 min"
    assert shown in table
    assert shown in told
    explained = json.loads(raw)[0]
    assert (explained["value"], explained["n"], explained["passport"]) == (3840, 1, value["passport"])
    assert explained["recomputed"] == {"value": 3840, "n": 1, "because": None, "same": True}


def test_an_explanation_tells_everything_that_made_the_figure(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    passport = next(
        v["passport"] for v in kpi(capsys, home, "first_response_time")["values"] if v["clock"] == "business"
    )
    code, out, _ = run(capsys, home, "explain", passport)
    assert code == 0
    for said in (
        "First response time (first_response_time, version 1)", "From the customer's first message",
        "c.first_response_at", "2026-11-14T00:00:00+01:00 to 2026-11-21T00:00:00+01:00", "Europe/Paris",
        "mon 09:00-17:00, tue 09:00-17:00", "opened in the period, no answer yet", passport, "same", "business",
        "spam", "complete", "data until 2026-11-21T09:00:00.000Z", "golden c1  https://desk.example/c1",
    ):  # fmt: skip
        assert said in out, said


def test_figures_as_of_an_instant_say_so_and_a_period_that_has_begun_has_figures(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    words = ("kpi", "csat", "--period", "2026-11-18", "--as-of", "2026-11-18T00:00:00+01:00")
    code, out, _ = run(capsys, home, *words)
    assert (code, out.splitlines()[0]) == (0, "2026-11-18, Europe/Paris, as known at 2026-11-18T00:00:00+01:00")


def test_a_figure_as_of_an_instant_tells_when_it_was_computed_and_as_of_when(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    words = ("explain", "csat", "--period", "2026-11-17", "--as-of", "2026-11-18T11:03:00+01:00")
    _, out, _ = run(capsys, home, *words)
    assert "as known at 2026-11-18T10:03:00.000Z" in out
    assert re.search(r"computed +2026-11-21T10:00:00\.000Z, data until 2026-11-21T09:00:00\.000Z", out)


def test_a_key_is_explained_like_its_figures(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    _, out, _ = run(capsys, home, "explain", "conversation_volume", "--period", "2026-11", "--by", "team")
    assert "team = Billing" in out
    assert "team = Support" in out
    found = kpi(capsys, home, "conversation_volume", "--period", "2026-11", "--by", "team")
    assert all(v["passport"] in out for v in found["values"])


def test_an_explanation_names_twenty_conversations_and_says_how_to_see_all(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "deskpulse.toml"
    path.write_text(CONFIG, "utf-8")
    many = [
        {
            "id": f"c{i}",
            "messages": [{"id": f"m{i}", "at": "2026-11-17T09:00Z", "author": "customer", "author_id": "u"}],
        }
        for i in range(25)
    ]
    with golden.store_of({"conversations": many}, load(path)):
        pass
    _, few, _ = run(capsys, path, "explain", "conversation_volume")
    _, every, _ = run(capsys, path, "explain", "conversation_volume", "--all")
    assert few.count("  golden c") == 20
    assert "and 5 more: add --all" in few
    assert every.count("  golden c") == 25


# --- what reading imports --------------------------------------------------------------------------------------------

LOADED = """
import sys
from connector.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
print("\\n" + " ".join(sorted({name.split(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize(
    "words", [["kpi"], ["kpi", "--by", "hour_of_week"], ["explain", "csat"], ["export", "conversations"]], ids=" ".join
)
def test_commands_that_read_import_nothing_heavy(home: Path, words: list[str]) -> None:
    command = [sys.executable, "-c", LOADED, "--config", str(home), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONUTF8": "1"})
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    ours = {"connector", "metrics", "click", "__main__"}
    heavy = {"pydantic", "httpx", "tenacity", "sqlite_utils", "apscheduler", "adapters"}
    assert loaded & heavy == set()
    strange = {name for name in loaded - ours if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert strange <= {"sitecustomize", "usercustomize", "zoneinfo", "tzdata"}


# --- words -----------------------------------------------------------------------------------------------------------


def test_a_withheld_figure_says_why(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    _, out, _ = run(capsys, home, "kpi", "first_response_time", "--by", "agent")
    assert re.search(r"first_response_time +Ann +calendar +– ", out)
    assert "first_response_time: withheld: fewer than 5" in out
