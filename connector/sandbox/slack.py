"""Slack's two ways of taking a message, with Slack's refusals. Messages are kept, and go nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connector.models import Instant
from connector.sandbox.exchange import Refused, Reply, Request, Route

WEBHOOK_SECRET = "demo"  # noqa: S105 - opens nothing but a demo on loopback
BOT_TOKEN = "xoxb-sandbox"  # noqa: S105 - likewise
BLOCKS, SECTION, HEADER, FIELDS, FIELD, CONTEXT, ROWS, COLUMNS = 50, 3000, 150, 10, 2000, 10, 100, 20
MESSAGE = 13_200
"""Characters in all blocks together, beyond which Slack answers msg_blocks_too_long."""


class Slack:
    """A workspace with any channel one likes."""

    def __init__(self, now: Instant) -> None:
        self.now = now // 1000
        self.messages: list[dict[str, Any]] = []

    def routes(self) -> list[Route]:
        return [
            ("POST", "/slack/webhook/([^/]+)", self._webhook),
            ("GET", "/slack/api/auth.test", self._auth_test),
            ("POST", "/slack/api/chat.postMessage", self._post_message),
        ]

    def _webhook(self, request: Request, secret: str) -> Reply:
        """Answers are plain words, as Slack's."""
        if secret != WEBHOOK_SECRET:
            raise Refused(403, "invalid_token")
        body = request.json()
        if problem := _problem(body):
            raise Refused(400, problem)
        self._keep("webhook", None, body)
        return Reply("ok")

    def _auth_test(self, request: Request) -> Reply:
        known = Reply({"ok": True, "team": "Sandbox", "user": "deskpulse"}, headers={"X-OAuth-Scopes": "chat:write"})
        return _refusal(request) or known

    def _post_message(self, request: Request) -> Reply:
        """Errors are answered with HTTP 200 and ok false, as Slack does."""
        if refusal := _refusal(request):
            return refusal
        body = request.json()
        channel = body.get("channel")
        problem = _problem(body) if channel else "channel_not_found"
        if problem:
            return Reply({"ok": False, "error": problem})
        message = self._keep("chat.postMessage", str(channel), body)
        return Reply({"ok": True, "channel": channel, "ts": message["ts"], "message": {"text": message["text"]}})

    def _keep(self, via: str, channel: str | None, body: dict[str, Any]) -> dict[str, Any]:
        ts = f"{self.now}.{len(self.messages) + 1:06d}"
        message = {
            "via": via,
            "channel": channel,
            "ts": ts,
            "text": body.get("text", ""),
            "blocks": body.get("blocks", []),
        }
        self.messages.append(message)
        return message


def _refusal(request: Request) -> Reply | None:
    token = request.headers.get("authorization", "")
    known = token == f"Bearer {BOT_TOKEN}"
    return None if known else Reply({"ok": False, "error": "invalid_auth" if token else "not_authed"})


def _problem(body: dict[str, Any]) -> str | None:
    """Slack's word for what is wrong with a message; None when nothing is."""
    blocks = body.get("blocks") or []
    if not blocks:
        return None if body.get("text") else "no_text"
    if not isinstance(blocks, list) or len(blocks) > BLOCKS or not all(map(_fits, blocks)):
        return "invalid_blocks"
    return "msg_blocks_too_long" if sum(map(_length, blocks)) > MESSAGE else None


def _fits(block: Any) -> bool:
    try:
        return CHECKS[block["type"]](block)
    except (KeyError, TypeError, AttributeError):
        return False


def _header(block: dict[str, Any]) -> bool:
    return block["text"]["type"] == "plain_text" and 0 < len(block["text"]["text"]) <= HEADER


def _section(block: dict[str, Any]) -> bool:
    """Text, fields, or both."""
    fields = block.get("fields", [])
    texts = [block["text"]] if "text" in block else []
    return (
        bool(texts or fields)
        and all(_is_text(text, SECTION) for text in texts)
        and len(fields) <= FIELDS
        and all(_is_text(field, FIELD) for field in fields)
    )


def _context(block: dict[str, Any]) -> bool:
    return 0 < len(block["elements"]) <= CONTEXT and all(_is_text(text, SECTION) for text in block["elements"])


def _table(block: dict[str, Any]) -> bool:
    rows = block["rows"]
    return 0 < len(rows) <= ROWS and all(
        0 < len(row) <= COLUMNS and all("type" in cell for cell in row) for row in rows
    )


def _is_text(text: dict[str, Any], limit: int) -> bool:
    return text["type"] in ("mrkdwn", "plain_text") and 0 < len(text["text"]) <= limit


def _length(part: Any) -> int:
    """Characters of all texts in a block, however deep."""
    if isinstance(part, dict):
        return sum(
            len(value) if key == "text" and isinstance(value, str) else _length(value) for key, value in part.items()
        )
    return sum(map(_length, part)) if isinstance(part, list) else 0


CHECKS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "table": _table,
    "divider": lambda block: True,
}
