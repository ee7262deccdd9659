"""The sandbox on loopback: demo data behind the HTTP APIs of the services we speak to.

Every answer carries ``X-Deskpulse-Sandbox: 1``. What was pushed can be read back, from the services' own APIs and from
``/sandbox/slack``, ``/sandbox/violations`` (messages that would have reached a customer) and ``/sandbox/requests``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from connector.models import Instant
from connector.sandbox import chatwoot, slack
from connector.sandbox.chatwoot_wire import ACCOUNT
from connector.sandbox.exchange import Reply, Route
from connector.sandbox.files import read
from connector.sandbox.generate import generate
from connector.sandbox.loopback import Loopback
from connector.sandbox.world import World


class Sandbox(Loopback):
    """A desk that answers on loopback. ``source`` is a World or a file of the neutral format; without one, the desk
    generated from ``seed``. A context manager: starts on a free port, stops at the end. UsageError for a bad file."""

    def __init__(self, source: World | Path | str | None = None, *, seed: int = 1) -> None:
        if source is None:
            source = generate(seed)
        self.world = source if isinstance(source, World) else read(Path(source))
        self.chatwoot = chatwoot.Chatwoot(self.world, self.now)
        self.slack = slack.Slack(self.now)
        super().__init__(self)

    token = chatwoot.TOKEN
    account = ACCOUNT
    slack_token = slack.BOT_TOKEN

    @property
    def now(self) -> Instant:
        """What the sandbox takes for the present: the morning after its last day. It stands still."""
        return self.world.now

    @property
    def slack_webhook(self) -> str:
        return f"{self.url}/slack/webhook/{slack.WEBHOOK_SECRET}"

    @property
    def size(self) -> int:
        """How many conversations are served."""
        return len(self.chatwoot.tables.cases)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was made of the file, where that needs saying."""
        count = self.chatwoot.tables.left_out
        return (*self.world.remarks, *([f"{count} deleted or merged conversations are left out"] if count else []))

    def labels(self, prefix: str = "") -> Iterator[tuple[str, list[str]]]:
        """(conversation, its labels that begin so) where there are any, as the inbox holds them now.

        A conversation from a file is named by its number here and its own id.
        """
        for number, case in self.chatwoot.tables.cases.items():
            labels = [title for title in case.row["labels"] if title.startswith(prefix)]
            own = case.row["custom_attributes"]["external_id"]
            if labels:
                yield (f"{number}" if own == str(number) else f"{number} ({own})"), labels

    @property
    def violations(self) -> list[dict[str, Any]]:
        """Messages that would have reached a customer; must stay empty."""
        return self.chatwoot.violations

    def routes(self) -> list[Route]:
        return [
            *self.chatwoot.routes(),
            *self.slack.routes(),
            ("GET", "/", lambda request: Reply("Deskpulse sandbox: demo data. Nothing sent here reaches anybody.\n")),
            ("GET", "/sandbox/slack", lambda request: Reply({"messages": self.slack.messages})),
            ("GET", "/sandbox/violations", lambda request: Reply({"violations": self.violations})),
            ("GET", "/sandbox/requests", lambda request: Reply(dict(sorted(self.requests.items())))),
        ]
