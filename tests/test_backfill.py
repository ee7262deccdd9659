"""How long README says that a first pull takes, against a simulated clock: right within a factor of two.

Trengo and Front have the same in tests of their own, on their own desks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from vendors.deployment import Clock

from connector.config import from_tables
from connector.models import to_iso
from connector.pull import sync
from connector.sandbox import Sandbox, World
from connector.sandbox.generate import generate
from fixtures.intercom.vendor import Intercom
from fixtures.zendesk.vendor import Zendesk

pytestmark = pytest.mark.slow

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")

# README's words, and the hours for 10,000 conversations that they mean: without messaging, and where all is messaging
# (live chat, WhatsApp and the like), which costs Zendesk a request more each.
SAID = {
    "chatwoot": (("10,000 conversations take about an hour and a quarter",), 1.25, 1.25),
    "zendesk": (("**two and a half hours**", "if all 10,000 are messaging, seven and a half hours"), 2.5, 7.5),
    "intercom": (("**31 minutes**",), 31 / 60, 31 / 60),
}
MESSAGING = ("live_chat", "whatsapp", "instagram", "telegram")


@contextmanager
def played(name: str, world: World) -> Iterator[dict[str, Any]]:
    """The settings that connect to it, at the pace that is the default."""
    if name == "chatwoot":
        with Sandbox(world) as sandbox:
            yield {"url": sandbox.url, "account": 1, "token": sandbox.token}
    else:
        with {"zendesk": Zendesk, "intercom": Intercom}[name](world) as vendor:
            yield {key: value for key, value in vendor.settings().items() if key != "requests_per_second"}


@pytest.mark.parametrize("name", SAID)
def test_a_first_pull_takes_as_long_as_readme_says_within_a_factor_of_two(name: str, tmp_path: Path) -> None:
    words, without, all_messaging = SAID[name]
    assert [text for text in words if text not in README] == []
    world = generate(1)
    share = sum(one["channel"] in MESSAGING for one in world.conversations) / len(world.conversations)
    hours = without + share * (all_messaging - without)
    with played(name, world) as settings:
        tables = {"demo": True, "now": to_iso(world.now), "services": {name: settings}}
        clock = Clock(world.now)
        (summary,) = sync(from_tables(tables, tmp_path / "deskpulse.toml"), [name], clock)
    assert summary.outcome == "ok"
    expected = hours * 3600 * len(world.conversations) / 10_000
    assert expected / 2 <= clock.passed <= expected * 2, clock.passed / expected
