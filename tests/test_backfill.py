"""How long a first pull takes: what `doctor` and README say of it, and a whole desk pulled on a simulated clock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from vendors.deployment import Clock
from vendors.found import VENDORS

from connector import registry
from connector.config import from_tables
from connector.doctor import MANY
from connector.language import duration
from connector.models import to_iso
from connector.pull import sync
from connector.sandbox import Sandbox, World
from connector.sandbox.generate import generate

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
READ = [name for name in registry.adapter_names() if hasattr(registry.adapter_class(name), "first_read")]


def promised_s(name: str, count: int) -> float:
    """Seconds that so many conversations take to be read for the first time, at the pace that is the default."""
    kind = registry.adapter_class(name)
    given = {key: value for key, value in settings_of(name).items() if key != "requests_per_second"}
    return float(count * kind.first_read / kind.service(kind.Settings(**given)).per_second)


def settings_of(name: str) -> dict[str, Any]:
    from played import desk_of

    desk = desk_of(Path(__file__).parents[1] / "fixtures" / name)
    assert desk
    return dict(desk.settings)


@pytest.mark.parametrize("name", READ)
def test_readme_says_what_doctor_says(name: str) -> None:
    """In the inbox's own part: "**4 h 30 min**" for 10,000 conversations."""
    assert f"**{duration(promised_s(name, MANY), 'en', days=False)}**" in part_about(name)


def part_about(name: str) -> str:
    """README from the heading that has the name in it, written together or not, to the next heading."""
    parts = re.findall(r"^#+ [^\n]*$.*?(?=^#|\Z)", README, re.M | re.S)
    return next(one for one in parts if name in one.partition("\n")[0].replace(" ", "").casefold())


@contextmanager
def connected(name: str, world: World) -> Iterator[dict[str, Any]]:
    """The settings that connect to it, at the pace that is the default."""
    if name == "chatwoot":
        with Sandbox(world) as sandbox:
            yield {"url": sandbox.url, "account": 1, "token": sandbox.token}
    else:
        with VENDORS[name](world) as vendor:
            yield {key: value for key, value in vendor.settings().items() if key != "requests_per_second"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chatwoot", *VENDORS])
def test_a_whole_desk_is_pulled_in_the_time_that_was_foretold_within_a_factor_of_two(name: str, tmp_path: Path) -> None:
    """The desk is a shop's, with long and short conversations, many of them chats; the suite has each inbox's usual."""
    world = generate(1)
    with connected(name, world) as settings:
        tables = {"demo": True, "now": to_iso(world.now), "services": {name: settings}}
        clock = Clock(world.now)
        (summary,) = sync(from_tables(tables, tmp_path / "deskpulse.toml"), [name], clock)
    assert summary.outcome == "ok"
    expected = promised_s(name, len(world.conversations))
    assert expected / 2 <= clock.passed <= expected * 2, clock.passed / expected
