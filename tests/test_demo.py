"""The main job, whole, as a newcomer runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DESKPULSE = Path(sys.executable).with_name("deskpulse")


def deskpulse(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([DESKPULSE, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A demo that has run, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, deskpulse("demo", cwd=folder).stdout


def kpi(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    done = deskpulse("--config", ".demo/deskpulse.toml", "kpi", *arguments, "--json", cwd=folder)
    values: list[dict[str, Any]] = json.loads(done.stdout)["values"]
    return values


@pytest.mark.slow
def test_the_demo_pulls_measures_writes_back_and_sums_up(ran: tuple[Path, str]) -> None:
    folder, said = ran
    assert "chatwoot: read" in said
    assert "deskpulse-slow-first-response" in said.split("The labels that the inbox holds now")[1]
    assert {value["key"] for value in kpi(folder, "--period", "all")} >= {"first_response_time", "csat", "backlog"}


@pytest.mark.slow
def test_the_demo_s_second_sync_and_second_push_do_nothing_and_say_so(ran: tuple[Path, str]) -> None:
    again = ran[1].split("Once more")[1]
    assert "nothing new" in again
    assert "nothing to write" in again


@pytest.mark.slow
def test_every_figure_of_the_demo_can_be_explained_to_the_same_value(ran: tuple[Path, str]) -> None:
    folder, _ = ran
    for value in kpi(folder, "--period", "2026-W46"):
        done = deskpulse("--config", ".demo/deskpulse.toml", "explain", value["passport"], "--json", cwd=folder)
        (told,) = json.loads(done.stdout)
        assert told["value"] == value["value"], value
        assert told["recomputed"]["same"], value
        assert told["recomputed"]["value"] == value["value"], value


@pytest.mark.slow
def test_a_demo_on_a_file_speaks_of_the_file(tmp_path: Path) -> None:
    lines = [_conversation(number) for number in range(30)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", "utf-8")
    said = deskpulse("demo", "--conversations", "mine.jsonl", cwd=tmp_path).stdout
    found = kpi(tmp_path, "first_response_time", "--period", "all", "--clock", "calendar")
    assert {(v["statistic"], v["n"]) for v in found} >= {("median", 30)}
    assert next(v["value"] for v in found if v["statistic"] == "median") == pytest.approx(5 * 3600)
    assert "mine-" in said.split("The labels that the inbox holds now")[1]


def _conversation(number: int) -> dict[str, Any]:
    day = f"2024-03-{number // 2 + 4:02d}"
    return {
        "id": f"mine-{number}",
        "team": "Acme",
        "channel": "x",
        "messages": [
            {
                "id": f"{number}a",
                "at": f"{day}T08:00:00.000Z",
                "author": "customer",
                "author_id": "c1",
                "text": "Hello?",
            },
            {"id": f"{number}b", "at": f"{day}T13:00:00.000Z", "author": "agent", "author_id": "Acme", "text": "Hi."},
        ],
    }


@pytest.mark.slow
@pytest.mark.parametrize("config", [None, b'database = "deskpulse.db"', b"\xff"])
def test_a_folder_that_is_not_a_demo_s_is_never_touched(tmp_path: Path, config: bytes | None) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "deskpulse.db").write_text("do not delete", "utf-8")
    if config is not None:
        (tmp_path / "precious" / "deskpulse.toml").write_bytes(config)
    done = deskpulse("demo", "--home", "precious", cwd=tmp_path, code=2)
    assert "nothing was done" in done.stderr
    assert (tmp_path / "precious" / "deskpulse.db").read_text("utf-8") == "do not delete"


@pytest.mark.slow
def test_a_demo_that_begins_anew_leaves_alone_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "deskpulse.toml").write_text("demo = true\n", "utf-8")
    (tmp_path / "deskpulse.db").write_text("an old demo's", "utf-8")
    (tmp_path / "letters.txt").write_text("do not delete", "utf-8")
    wrong = deskpulse("demo", "--home", ".", "--conversations", "no.jsonl", cwd=tmp_path, code=2)
    assert "no.jsonl cannot be read" in wrong.stderr
    assert (tmp_path / "deskpulse.db").read_text("utf-8") == "an old demo's"
    lines = [json.dumps(_conversation(number // 2)) for number in range(4)]
    inbox = {"type": "inbox", "id": "x", "schedule": {"zone": "Asia/Tokyo", "hours": {}}}
    (tmp_path / "my own.jsonl").write_text("\n".join([json.dumps(inbox), *lines]), "utf-8")
    said = deskpulse("demo", "--home", ".", "--conversations", "my own.jsonl", cwd=tmp_path).stdout
    assert "Note: 2 ids are repeated" in said
    text = (tmp_path / "deskpulse.toml").read_text("utf-8")
    assert 'zone = "Asia/Tokyo"' in text
    assert "--conversations 'my own.jsonl'" in text
    assert (tmp_path / "letters.txt").read_text("utf-8") == "do not delete"


@pytest.mark.slow
def test_the_schedule_stops_cleanly_on_sigterm(ran: tuple[Path, str]) -> None:
    folder, _ = ran
    config = folder / "quiet.toml"
    text = (folder / ".demo/deskpulse.toml").read_text("utf-8").split("[services.chatwoot]")[0]
    store = json.dumps(str(folder / ".demo/deskpulse.db"))
    text = text.replace('database = "deskpulse.db"', f"database = {store}")
    records = folder / "records.jsonl"
    records.write_text(json.dumps(_conversation(1)) + "\n", "utf-8")
    config.write_text(text + '[services.files]\npath = "records.jsonl"\n[schedule]\nsync = "0 0 1 1 *"\n', "utf-8")
    with subprocess.Popen([DESKPULSE, "--config", str(config), "run"], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "waiting" in line:
                break
        second = deskpulse("--config", str(config), "run", cwd=folder, code=1)
        assert "another" in second.stderr
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0


@pytest.mark.slow
def test_what_is_due_is_done_once_and_a_failure_is_told_by_the_exit_code(ran: tuple[Path, str]) -> None:
    folder, _ = ran
    records = folder / "once.jsonl"
    records.write_text(json.dumps(_conversation(1)) + "\n", "utf-8")
    config = folder / "once.toml"
    text = '[services.files]\npath = "once.jsonl"\n[schedule]\nsync = "* * * * *"\n'
    config.write_text('database = "once.db"\n' + text, "utf-8")
    assert "files: read" in deskpulse("--config", "once.toml", "run", "--once", cwd=folder).stdout
    standing = 'demo = true\nnow = "2026-11-20T12:00:00Z"\ndatabase = "standing.db"\n'
    config.write_text(standing + text, "utf-8")
    deskpulse("--config", "once.toml", "run", "--once", cwd=folder)
    again = deskpulse("--config", "once.toml", "run", "--once", cwd=folder).stdout
    assert again == "nothing is due before 2026-11-20 12:01 UTC\n"
    config.write_text(standing + text.split("[schedule]")[0], "utf-8")
    assert "add a [schedule]" in deskpulse("--config", "once.toml", "run", "--once", cwd=folder, code=2).stderr
    config.write_text('database = "twice.db"\n' + text.replace("once.jsonl", "gone.jsonl"), "utf-8")
    failed = deskpulse("--config", "once.toml", "run", "--once", cwd=folder, code=1)
    assert "gone.jsonl" in failed.stdout
    assert "stays due" in failed.stderr
