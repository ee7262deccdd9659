"""Slack: the team's channel gets the digest. Nothing is read from it, and no customer is in it.

API: incoming webhooks and Web API chat.postMessage, Block Kit as of 2026-11.
Auth: a webhook address, or a bot token with the scope chat:write and nothing more.
Limits: one message a second and channel; 50 blocks, 3000 characters a section, some 13,000 in all (see LIMITS below).
Gaps: a webhook cannot be tested without posting, and gives no message id. Tables are set in fixed-width text, because
Slack takes no more than one native table a message and older workspaces take none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any, ClassVar, NoReturn

from pydantic import BaseModel, SecretStr, model_validator

from connector.contract import (
    AdapterSettings,
    Announcement,
    Answer,
    Block,
    Context,
    Fields,
    Finding,
    Heading,
    Http,
    Paragraph,
    Service,
    Table,
    rows,
)
from connector.errors import AuthFailed, BadPayload, NotDone, Rejected, Transient

HEADER, SECTION, FIELD, FALLBACK = 150, 3000, 2000, 3000  # LIMITS in characters
FIELDS_A_SECTION, BLOCKS = 10, 50
ALL_TEXT = 12_000  # Slack names no figure; it has refused 13,200
LABEL, ADDRESS, CELL = 200, 1500, 80
LAST_LINE = 100  # the one that says what is left out

SCOPE = "chat:write"

REINSTALL = f"put the Bot User OAuth Token of an app with the scope {SCOPE} into token (api.slack.com/apps, OAuth)"
REFUSED_CREDENTIAL = {
    "invalid_auth",
    "not_authed",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "missing_scope",
    "not_allowed_token_type",
    "org_login_required",
    "no_permission",
}
LATER = {"ratelimited", "rate_limited", "service_unavailable"}
PERHAPS = {"internal_error", "fatal_error", "request_timeout"}
"""Something broke on Slack's side, possibly after the message was posted."""
REMEDIES = {
    "channel_not_found": "check channel (its id is safest) and invite the app there: /invite @app",
    "not_in_channel": "invite the app to the channel: /invite @app",
    "is_archived": "that channel is archived, name another one in channel",
    "restricted_action": "an admin of the workspace keeps the app from posting there",
}


class _Said(BaseModel):
    """What every Web API method answers, with 200 even when it refuses."""

    ok: bool
    error: str = ""
    ts: str = ""
    team: str = ""
    user: str = ""


class SlackSettings(AdapterSettings):
    """Either ``webhook``, or ``token`` with ``channel``."""

    webhook: SecretStr | None = None
    token: SecretStr | None = None
    channel: str = ""
    api_url: str = "https://slack.com/api"

    @model_validator(mode="after")
    def _one_way(self) -> SlackSettings:
        if (self.webhook is None) == (self.token is None):
            raise ValueError("set either webhook, or token with channel")
        if (self.token is None) != (not self.channel):
            raise ValueError("channel goes with token; a webhook has its own")
        return self


class Slack:
    name: ClassVar[str] = "slack"
    Settings: ClassVar[type[AdapterSettings]] = SlackSettings

    def __init__(self, settings: SlackSettings, http: Http) -> None:
        self.settings, self.http = settings, http

    @staticmethod
    def service(settings: SlackSettings) -> Service:
        if settings.webhook:
            return Service(settings.webhook.get_secret_value(), per_second=1, at_once=1, secret_url=True)
        token = settings.token.get_secret_value() if settings.token else ""
        return Service(settings.api_url, {"Authorization": f"Bearer {token}"}, per_second=1, at_once=1)

    def announce(self, announcement: Announcement) -> str:
        """The message's timestamp, which is its id in the channel; "ok" of a webhook."""
        body = payload(announcement)
        if self.settings.webhook:
            return _accepted(self.http.send("POST", "", body))
        answer = self.http.send("POST", "chat.postMessage", {"channel": self.settings.channel, **body})
        said = _said(answer)
        if not said.ok:
            _refuse(said.error, answer)
        return said.ts

    def probe(self) -> Iterator[Finding]:
        if self.settings.webhook:
            yield Finding("webhook", None, "not tested: that would post", "send a digest: deskpulse digest --send")
            return
        answer = self.http.find("auth.test")
        if answer is None:
            yield Finding("address", False, "auth.test is not there", "check api_url")
            return
        yield from _findings(_said(answer), answer.headers.get("x-oauth-scopes", ""))


def _accepted(answer: Answer) -> str:
    if answer.text.strip() != "ok":
        raise BadPayload("Slack's webhook answered something else than ok: check that its address is whole")
    return "ok"


def _said(answer: Answer) -> _Said:
    good, wrong = rows(_Said, [answer.json()], "answer")
    if wrong:
        raise BadPayload(f"Slack answered something unexpected ({wrong[0].reason}): check api_url")
    return good[0]


def _refuse(word: str, answer: Answer) -> NoReturn:
    """Slack's error word as the error of its remedy."""
    if word in REFUSED_CREDENTIAL:
        raise AuthFailed(f"Slack refuses the token ({word}): {REINSTALL}")
    if word in LATER:
        delay = answer.headers.get("retry-after", "")
        raise NotDone(f"Slack asks to try later ({word})", retry_after=float(delay) if delay.isdecimal() else None)
    if word in PERHAPS:
        raise Transient(f"Slack failed ({word}), perhaps after posting")
    raise Rejected(f"Slack did not post ({word}): {REMEDIES.get(word, 'look the word up under chat.postMessage')}")


def _findings(said: _Said, scopes: str) -> Iterator[Finding]:
    if not said.ok:
        yield Finding("token", False, f"Slack refuses it ({said.error})", REINSTALL)
        return
    yield Finding("token", True, f"{said.user or 'the app'} in {said.team or 'its workspace'}")
    has = {scope.strip() for scope in scopes.split(",") if scope.strip()}
    if not has:
        yield Finding("scopes", None, "Slack does not say which scopes the token has", f"it needs {SCOPE} only")
    elif SCOPE not in has:
        yield Finding("scopes", False, f"{SCOPE} is missing", REINSTALL)
    elif has - {SCOPE}:
        yield Finding("scopes", None, f"more than needed: {', '.join(sorted(has - {SCOPE}))}", "take them from the app")
    else:
        yield Finding("scopes", True, f"{SCOPE} and nothing more")


# --- an announcement into Block Kit ----------------------------------------------------------------------------------


def payload(announcement: Announcement) -> dict[str, Any]:
    """The body of a post, within Slack's limits whatever the announcement's length. Pure."""
    blocks = [block for part in announcement.blocks for block in _rendered(part)]
    return {
        "text": _cut(_escaped(announcement.fallback), FALLBACK),
        "blocks": _fitting(blocks),
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _rendered(part: Block) -> Iterator[dict[str, Any]]:
    match part:
        case Heading(text):
            yield from _header(text)
        case Paragraph(text, links):
            yield from (_section(piece) for piece in _pieces(_linked(text, links), SECTION))
        case Fields(items):
            yield from _fields(items)
        case Table():
            yield from (_section(piece) for piece in _fixed_width(part))
        case Context(text):
            yield from ({"type": "context", "elements": [_mrkdwn(one)]} for one in _pieces(_escaped(text), FIELD))


def _header(text: str) -> Iterator[dict[str, Any]]:
    """Plain text: neither escaped nor parsed by Slack."""
    line = _cut(" ".join(text.split()), HEADER)
    if line:
        yield {"type": "header", "text": {"type": "plain_text", "text": line, "emoji": False}}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> dict[str, Any]:
    """Verbatim: Slack makes no mentions or links of its own out of words."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _fields(items: tuple[tuple[str, str], ...]) -> Iterator[dict[str, Any]]:
    texts = [_mrkdwn(_cut(f"*{_escaped(label)}*\n{_escaped(value)}", FIELD)) for label, value in items]
    for start in range(0, len(texts), FIELDS_A_SECTION):
        yield {"type": "section", "fields": texts[start : start + FIELDS_A_SECTION]}


def _fixed_width(table: Table) -> Iterator[str]:
    """The table as columns of text between code fences; the first column to the left, the others to the right."""
    grid = [[_cell(text) for text in row] for row in (table.columns, *table.rows)]
    widths = [max(map(len, column)) for column in zip_longest(*grid, fillvalue="")]
    lines = [_escaped("  ".join(_aligned(row, widths)).rstrip()) for row in grid]
    for piece in _pieces("\n".join(lines), SECTION - 8):
        yield f"```\n{piece}\n```"


def _cell(text: str) -> str:
    """A backtick would end the fence."""
    return _cut(" ".join(text.replace("`", "'").split()), CELL)


def _aligned(row: list[str], widths: list[int]) -> list[str]:
    return [
        cell.rjust(width) if at else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(row, widths, strict=False))
    ]


def _escaped(text: str) -> str:
    """Slack's three signs, so that <!channel> is text; and no @here that a client might ring the bell for."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"@(?=(?:here|channel|everyone)\b)", "@\u2060", plain)


def _linked(text: str, links: tuple[tuple[str, str], ...]) -> str:
    def link(found: re.Match[str]) -> str:
        at = int(found[1])
        return _link(*links[at]) if at < len(links) else found[0]

    return re.sub(r"\{(\d{1,3})\}", link, _escaped(text))


def _link(label: str, address: str) -> str:
    """``<address|label>``; just the label where the address is no web address, or too long to be kept whole."""
    shown = _escaped(_cut(" ".join(label.split()), LABEL))
    if not re.fullmatch(r"https?://\S+", address) or len(address) > ADDRESS:
        return shown
    safe = address.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")
    return f"<{safe}|{shown or safe}>"


def _pieces(text: str, limit: int) -> Iterator[str]:
    """Parts of at most ``limit`` characters, cut at line ends where a line fits, never inside a link or an entity."""
    part = ""
    for bit in _bits(text, limit):
        if len(part) + len(bit) > limit:
            yield from _unless_blank(part)
            part = ""
        part += bit
    yield from _unless_blank(part)


def _bits(text: str, limit: int) -> Iterable[str]:
    for line in text.splitlines(keepends=True):
        if len(line) <= limit:
            yield line
        else:
            yield from re.findall(r"<[^>]*>|&\w+;|\s{1,500}|[^\s<&]{1,500}|.", line, re.DOTALL)


def _unless_blank(part: str) -> Iterator[str]:
    if part.strip():
        yield part.strip("\n")


def _cut(text: str, limit: int) -> str:
    """Shortened with an ellipsis, not through the middle of an entity."""
    if len(text) <= limit:
        return text
    return re.sub(r"&\w*$", "", text[: limit - 1]) + "…"


def _fitting(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many blocks as a message may hold; what is left out is said, in both languages."""
    kept: list[dict[str, Any]] = []
    room = ALL_TEXT - LAST_LINE
    for block in blocks:
        room -= sum(map(len, _texts(block)))
        if room < 0 or (len(kept) == BLOCKS - 1 and len(blocks) > BLOCKS):
            break
        kept.append(block)
    left = sum(text.count("\n") + 1 for block in blocks[len(kept) :] for text in _texts(block))
    if left:
        more = f"… {left} more lines in the report · {left} lignes de plus dans le rapport"
        kept = [*kept[: BLOCKS - 1], {"type": "context", "elements": [_mrkdwn(more)]}]
    return kept


def _texts(block: dict[str, Any]) -> list[str]:
    held = [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]
    return [one["text"] for one in held if one]
