"""Gorgias: tickets in, tags and internal notes out.

API: the REST API under /api of your own address, with cursor paging. Not certain from its reference, so `doctor` tries
     it: whether tickets may be sorted by their last change, and how far back events go.
Auth: Basic, a user's e-mail and API key. A key cannot be narrowed and does what its user may: make it as an admin, best
     as a user of its own, since users and account settings are for admins.
Limits: 40 requests in 20 seconds and key, 100 rows a page. A third of it unless told otherwise. Cursors live shortly:
     the list of what changed is read first, then the tickets, oldest change first.
Gaps: no list is by time of change since: newest first until what is known, or all of it where Gorgias will not sort.
     How long events are kept is not told: before that only the last closing is dated, reopenings and assignments are
     lost. Which ticket a merged one went on in: it looks deleted. That a ticket is no longer spam; when one was put
     into the trash. When a bot handed over. Answers to surveys sent more than 30 days before the newest survey, unless
     their ticket is read again; a changed answer. Contacts who never wrote; a ticket's inbox where it names no
     integration.
     Survey messages and chat campaigns are known by their marks, where there are any; messages of the API count as an
     integration's, whoever's name they bear, and as imported when sent long before they were created.
     Opening hours are the account's own; holidays are not told.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, ClassVar, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, field_validator

from connector.contract import AdapterSettings, Answer, Finding, Http, Seen, Service, TagChange, as_written, rows
from connector.errors import BadPayload, Rejected, Transient
from connector.models import (
    OWN_NOTE_MARK,
    Agent,
    Author,
    Channel,
    Contact,
    Conversation,
    Cursor,
    Event,
    EventKind,
    Inbox,
    Instant,
    Message,
    MessageKind,
    Page,
    Rating,
    Record,
    Reject,
    Schedule,
    Status,
    Team,
    from_iso,
)

CHANNELS = {
    **dict.fromkeys(("email", "gmail", "outlook", "contact_form"), "email"),
    **dict.fromkeys(("chat", "gorgias_chat", "help-center"), "live_chat"),
    **dict.fromkeys(("phone", "aircall"), "phone"),
    **dict.fromkeys(("facebook", "facebook-messenger", "facebook-mention", "facebook-recommendations"), "facebook"),
    **dict.fromkeys(
        ("instagram-comment", "instagram-direct-message", "instagram-mention", "instagram-ad-comment"), "instagram"
    ),
    **dict.fromkeys(("twitter", "twitter-direct-message"), "x"),
    "sms": "sms",
    "whatsapp": "whatsapp",
}
STATUSES: dict[str, Status] = {"open": "open", "closed": "done"}
STATUS_EVENTS: dict[str, Status] = {
    "ticket-closed": "done",
    "ticket-reopened": "open",
    "ticket-snoozed": "snoozed",
    "ticket-self-unsnoozed": "open",
}
OWNER_EVENTS: dict[str, tuple[EventKind, str]] = {
    "ticket-assigned": ("assigned", "assignee_user_id"),
    "ticket-unassigned": ("assigned", ""),
    "ticket-team-assigned": ("team", "assignee_team_id"),
    "ticket-team-unassigned": ("team", ""),
}
NOTE, SURVEY = "internal-note", re.compile(r"satisfaction[-_]survey")

LIMIT, AT_ONCE = 100, 25
OVERLAP, IMPORT_AGE = 10 * 60_000, 10 * 60_000
ANSWERED_WITHIN = 30 * 24 * 3600_000
RESTARTS = 5
USUAL = "created_datetime"
"""What Gorgias sorts its lists by, newest first, unless it takes another field."""
EXPIRED = (400, 410, 422)
"""How an old cursor, or a sort field that is not taken, is answered."""
UNREADABLE = (400, 403, 404)
KEY = "Settings → REST API"
MESSAGES = "tickets/{}/messages?limit={}"
EVENTS = "events?object_type=Ticket&object_id={}&order_by=created_datetime:asc&limit={}"
Items = list[Any]


# --- what is read of the answers -------------------------------------------------------------------------------------


def _instant(value: Any) -> Instant:
    """Times mostly have no zone: then they are UTC. With T or a blank, with a fraction or without."""
    text = str(value)
    return from_iso(text if re.search(r"(Z|[+-]\d\d:?\d\d)$", text) else f"{text}+00:00")


When = Annotated[Instant, BeforeValidator(_instant)]
WhenOrNone = Annotated[Instant | None, BeforeValidator(lambda value: _instant(value) if value else None)]
Things = Annotated[list["_Named"], BeforeValidator(lambda value: value if isinstance(value, list) else [])]
Some = Annotated[dict[str, Any], BeforeValidator(lambda value: value if isinstance(value, dict) else {})]


class _Named(BaseModel):
    """A user, a team, a customer, an integration, a tag: who is told apart by where it stands."""

    id: int
    name: str | None = None
    email: str | None = None
    type: str | None = None
    role: Some = {}

    @property
    def label(self) -> str:
        return self.name or self.email or str(self.id)

    @property
    def bot(self) -> bool:
        return self.role.get("name") == "bot"


class _Listed(BaseModel):
    """A ticket or a survey, as far as its list must be understood to walk it."""

    id: int
    created_datetime: WhenOrNone = None
    updated_datetime: WhenOrNone = None


class _Ticket(BaseModel):
    id: int
    status: str
    channel: str | None = None
    from_agent: bool | None = False
    spam: bool | None = False
    language: str | None = None
    customer: _Named | None = None
    assignee_user: _Named | None = None
    assignee_team: _Named | None = None
    tags: Things = []
    integrations: Things = []
    messages: list[Any] | None = None
    messages_count: int | None = None
    satisfaction_survey: Any = None
    created_datetime: When
    updated_datetime: WhenOrNone = None
    closed_datetime: WhenOrNone = None
    snooze_datetime: WhenOrNone = None
    trashed_datetime: WhenOrNone = None

    @property
    def ours(self) -> Status:
        """A snooze that ended before the last change is over."""
        if self.snooze_datetime and self.snooze_datetime > (self.updated_datetime or 0):
            return "snoozed"
        return STATUSES.get(self.status, "open")


class _Said(BaseModel):
    id: int
    public: bool | None = True
    channel: str | None = None
    via: str | None = None
    from_agent: bool | None = None
    rule_id: int | None = None
    sender: _Named | None = None
    source: Some = {}
    meta: Some = {}
    body_text: str | None = None
    stripped_text: str | None = None
    created_datetime: When
    sent_datetime: WhenOrNone = None
    failed_datetime: WhenOrNone = None

    @property
    def note(self) -> bool:
        return self.channel == NOTE or self.public is False

    @property
    def text(self) -> str:
        return self.stripped_text or self.body_text or ""

    @property
    def words(self) -> str:
        return " ".join((self.body_text or self.stripped_text or "").split())

    @property
    def own(self) -> bool:
        return self.note and self.words.startswith(OWN_NOTE_MARK)

    @property
    def pending(self) -> bool:
        """Written, on its way, and neither sent nor failed yet."""
        return bool(self.from_agent) and not self.note and not (self.sent_datetime or self.failed_datetime)

    @property
    def imported(self) -> bool:
        return self.via == "api" and bool(self.sent_datetime) and self.at < self.created_datetime

    @property
    def at(self) -> Instant:
        """A reply is there when it was sent. One that the API stored as sent long before is an import."""
        sent, made = self.sent_datetime or self.created_datetime, self.created_datetime
        if self.via == "api" and sent < made - IMPORT_AGE:
            return sent
        return max(sent, made) if self.from_agent else made


class _Happened(BaseModel):
    id: int
    type: str
    object_id: int | None = None
    object_type: str | None = None
    user_id: int | None = None
    context: str | None = None
    data: Some = {}
    created_datetime: When


class _Survey(BaseModel):
    id: int
    ticket_id: int
    score: float | None = Field(None, ge=1, le=5)
    created_datetime: WhenOrNone = None
    sent_datetime: WhenOrNone = None
    scored_datetime: WhenOrNone = None


class _Hours(BaseModel):
    days: str = Field(pattern=r"^[1-7](,[1-7])*$")
    from_time: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    to_time: str = Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")


class _Sheet(NamedTuple):
    """One page of a list, as it came, and the cursor of the next one."""

    items: Items
    following: str | None


# --- the adapter -----------------------------------------------------------------------------------------------------


class GorgiasSettings(AdapterSettings):
    url: str = Field(description="where you open Gorgias, like https://acme.gorgias.com")
    email: str = Field(description="the e-mail of the user whose key it is")
    api_key: SecretStr = Field(description=f"an admin's: {KEY}")
    requests_per_second: float = Field(2 / 3, gt=0, description="how many requests we allow ourselves")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        """The account's name alone, or what people copy from the address bar, is fine too."""
        if re.fullmatch(r"[a-z0-9][a-z0-9-]*", given := url.strip().lower()):
            return f"https://{given}.gorgias.com"
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write the whole address, like https://acme.gorgias.com")
        return f"{parts.scheme}://{parts.netloc}"

    @field_validator("email")
    @classmethod
    def _login(cls, email: str) -> str:
        if "@" not in email:
            raise ValueError(f"write the e-mail that stands beside the key: {KEY}")
        return email.strip()


class Gorgias:
    name: ClassVar[str] = "gorgias"
    Settings: ClassVar[type[AdapterSettings]] = GorgiasSettings
    streams: ClassVar[tuple[str, ...]] = ("directory", "conversations", "ratings")
    history: ClassVar[frozenset[str]] = frozenset({"status", "assigned", "team"})
    lacks: ClassVar[Mapping[str, str]] = {
        "first_response_time_from_handoff": "when a bot handed over is not told",
    }
    first_read: ClassVar[float] = 2.02
    reread_limit: ClassVar[int] = 60

    def __init__(self, settings: GorgiasSettings, http: Http) -> None:
        self.http, self.url, self.email = http, settings.url, settings.email
        self.per_second = settings.requests_per_second

    @staticmethod
    def service(settings: GorgiasSettings) -> Service:
        auth = (settings.email, settings.api_key.get_secret_value())
        return Service(settings.url, auth=auth, per_second=settings.requests_per_second, at_once=2)

    # pull

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]:
        if stream == "directory":
            return self._directory(cursor or {})
        return self._ratings(cursor or {}) if stream == "ratings" else self._conversations(cursor or {}, seen)

    def _directory(self, cursor: Cursor) -> Iterator[Page]:
        """Short lists without dates: a mark of what they hold tells whether there is anything new."""
        teams, bad_teams = rows(_Named, self._all("teams"), "team")
        boxes, bad_boxes = rows(_Named, self._all("integrations"), "inbox")
        boxes = [box for box in boxes if box.type in CHANNELS]
        hours = _schedule(self._opening)
        records: list[Record] = [_channel(word) for word in sorted({box.type for box in boxes if box.type})]
        records += [Inbox(str(box.id), box.label, box.type, hours) for box in boxes]
        records += [Team(str(team.id), team.label) for team in teams]
        records += [Agent(str(one.id), one.label, "bot" if one.bot else "human") for one in self._users.values()]
        mark = hashlib.sha256(repr(records).encode()).hexdigest()[:16]
        yield Page([] if mark == cursor.get("mark") else records, {"mark": mark}, bad_teams + bad_boxes)

    def _conversations(self, cursor: Cursor, seen: Seen) -> Iterator[Page]:
        """The list is read whole before the first ticket: its cursors would expire meanwhile. Then oldest change first,
        so that the watermark moves with every batch, and a broken walk goes on where it stopped."""
        since = cursor.get("since")
        changed, rejects = self._changed(since)
        fresh = [one for one, version in _oldest_first(changed) if not seen(str(one), version)]
        for start in range(0, len(fresh), AT_ONCE):
            some = fresh[start : start + AT_ONCE]
            records, bad = self._read(list(map(str, some)), seen)[1:]
            since = max(since or 0, changed[some[-1]] or 0) or since
            yield Page(records, {"since": since}, rejects + bad, len(fresh))
            rejects = ()
        tops = [at for at in (since, *changed.values()) if at]
        yield Page([], {"since": max(tops)} if tops else None, rejects)

    def _changed(self, since: Instant | None) -> tuple[dict[int, Instant | None], tuple[Reject, ...]]:
        """Tickets by id with their newest versions: a list that begins anew tells some a second time. One that moves to
        the front meanwhile is seen by the next walk, whose watermark is none but a version that was read here."""
        found: dict[int, Instant | None] = {}
        rejects: dict[Reject, None] = {}
        for items in self._walk("tickets", "updated_datetime", None if since is None else since - OVERLAP):
            listed, bad = rows(_Listed, items, "conversation")
            for one in listed:
                found[one.id] = max(found.get(one.id) or 0, one.updated_datetime or 0) or None
            rejects |= dict.fromkeys(bad)
        return found, tuple(rejects)

    def _walk(self, path: str, field: str, since: Instant | None, refused: tuple[int, ...] = ()) -> Iterator[Items]:
        """Pages, newest first until older than ``since``; to the end where the list does not come in that order, none
        where the key may not read it. An expired cursor begins anew: what repeats is known already."""
        order: str | None = f"{field}:desc"
        cursor, restarts, told = None, 0, list[tuple[Instant, int]]()
        while True:
            sheet = self._sheet(path, order, cursor, (*refused, *EXPIRED) if order or cursor else refused)
            if not (sheet or order or cursor):
                return
            if sheet is None:
                order, restarts = (order, restarts + 1) if cursor else (None, restarts + 1)
                cursor, told = None, []
                if restarts > RESTARTS:
                    raise Transient(f"Gorgias's list of {path} broke off {RESTARTS} times: run it again later")
                continue
            yield sheet.items
            told += [(at, one.id) for one in rows(_Listed, sheet.items, path)[0] if (at := getattr(one, field))]
            if sheet.following is None or (since is not None and order and _reached(told, since, field)):
                return
            cursor = _other_than(cursor, sheet.following)

    def _ratings(self, cursor: Cursor) -> Iterator[Page]:
        """Surveys are answered long after they were made, in place: those of the last 30 days at every run."""
        newest = cursor.get("newest")
        top = newest or 0
        for items in self._walk("satisfaction-surveys", USUAL, newest and newest - ANSWERED_WITHIN, (403, 404)):
            surveys, bad = rows(_Survey, items, "rating")
            top = max([top, *(one.created_datetime or 0 for one in surveys)])
            yield Page([_rating(one) for one in surveys if one.sent_datetime or one.scored_datetime], None, bad)
        yield Page([], {"newest": top} if top else None)

    # reread

    def reread(self, ids: Sequence[str], seen: Seen) -> Iterator[Page]:
        """What is no number is no ticket. A merged ticket is gone, as a deleted one is."""
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            there, records, rejects = self._read([one for one in some if one.isdecimal()], seen)
            gone = [one for one in some if one not in there]
            yield Page([*(Event(f"{one}:deleted", one, None, "deleted") for one in gone), *records], None, rejects)

    def _read(self, ids: Sequence[str], seen: Seen) -> tuple[set[str], list[Record], tuple[Reject, ...]]:
        """Which of them are there, and the records of those that changed, with their messages and events."""
        answers = dict(zip(ids, self.http.each(self._path(one) for one in ids), strict=True))
        items = [answer.json() for answer in answers.values() if answer]
        tickets, rejects = rows(_Ticket, items, "conversation")
        fresh = {one.id: one for one in tickets if not seen(str(one.id), one.updated_datetime)}
        short = [
            one.id for one in fresh.values() if one.messages is None or len(one.messages) < (one.messages_count or 0)
        ]
        said, happened = self._each(MESSAGES, short), self._each(EVENTS, fresh, UNREADABLE)
        shared: dict[Record, None] = {}
        own: list[Record] = []
        for number, ticket in fresh.items():
            messages, bad = rows(_Said, said.get(number) or ticket.messages or [], "message")
            events, bad_events = rows(_Happened, happened.get(number, []), "event")
            surveys, bad_surveys = rows(_Survey, _survey_of(ticket), "rating")
            shared |= dict.fromkeys(_around(ticket, messages))
            own += _told(ticket, messages, [one for one in events if _is_of(one, ticket)], self._users, self.url)
            own += [_rating(one) for one in surveys if one.sent_datetime or one.scored_datetime]
            rejects += bad + bad_events + bad_surveys
        return {one for one, answer in answers.items() if answer}, [*shared, *own], rejects

    def _each(
        self, path: str, ids: Sequence[int] | Mapping[int, Any], absent: tuple[int, ...] = (404,)
    ) -> dict[int, Items]:
        """All rows of each ticket's own list, the first pages side by side; none where there is no such list for us."""
        found: dict[int, Items] = {}
        paths = {one: f"/api/{path.format(one, LIMIT)}" for one in ids}
        for one, answer in zip(paths, self.http.each(paths.values(), absent), strict=True):
            found[one] = self._whole(one, paths[one], _sheet(answer)) if answer else []
        return found

    def _whole(self, ticket: int, path: str, sheet: _Sheet) -> Items:
        """A list from its first page on, at once, as cursors live shortly. One that expired all the same ends the run:
        half a list must not pass for all of it."""
        found: dict[Any, Any] = {}
        cursor: str | None = None
        while True:
            found |= {_inside(item, "id"): item for item in sheet.items}
            if sheet.following is None or not _any_of(ticket, sheet.items):
                return list(found.values())
            cursor = _other_than(cursor, sheet.following)
            answer = self.http.find(path, {"cursor": cursor}, (404, *EXPIRED))
            if answer is None:
                raise Transient(f"Gorgias's lists of ticket {ticket} broke off: run it again later")
            sheet = _sheet(answer)

    def _sheet(self, path: str, order: str | None, cursor: str | None, absent: tuple[int, ...] = ()) -> _Sheet | None:
        query: dict[str, str | int] = {"limit": LIMIT}
        query |= {"order_by": order} if order else {}
        query |= {"cursor": cursor} if cursor else {}
        answer = self.http.find(f"/api/{path}", query, absent)
        return _sheet(answer) if answer else None

    def _all(self, path: str) -> Items:
        """A short list, all its pages; none where the key may not read it."""
        found: Items = []
        cursor: str | None = None
        while sheet := self._sheet(path, None, cursor, (403,)):
            found += sheet.items
            if sheet.following is None:
                break
            cursor = _other_than(cursor, sheet.following)
        return found

    @cached_property
    def _users(self) -> dict[int, _Named]:
        return {one.id: one for one in rows(_Named, self._all("users"), "agent")[0]}

    @cached_property
    def _opening(self) -> Any:
        """The account's own opening hours, as it tells them; None without."""
        answer = self.http.find("/api/account", None, UNREADABLE)
        settings = _inside(answer.json(), "settings") if answer else None
        told = [_inside(one, "data") for one in settings or [] if _inside(one, "type") == "business-hours"]
        return told[0] if told else None

    @staticmethod
    def _path(conversation: str | int) -> str:
        return f"/api/tickets/{conversation}"

    # tag

    @staticmethod
    def tag_name(tag: str) -> str:
        return tag.strip()

    def tags(self, conversation: str) -> tuple[str, ...]:
        found = _inside(self.http.get(self._path(conversation)).json(), "tags")
        return tuple(one.label for one in rows(_Named, found or [], "tag")[0])

    def add_tag(self, conversation: str, tag: str) -> TagChange:
        """POST adds to the others (PUT would replace them). Rejected when one of them, or ours, is not read back."""
        return self._write_tag("POST", conversation, self.tag_name(tag))

    def remove_tag(self, conversation: str, tag: str) -> TagChange:
        return self._write_tag("DELETE", conversation, self.tag_name(tag))

    def _write_tag(self, method: Any, conversation: str, tag: str) -> TagChange:
        before = self.tags(conversation)
        if (tag in before) == (method == "POST"):
            return TagChange(before, before)
        self.http.send(method, f"{self._path(conversation)}/tags", {"names": [tag]})
        wanted, after = {*before, tag} if method == "POST" else {*before} - {tag}, self.tags(conversation)
        return as_written(f"ticket {conversation}", "Gorgias", before, wanted, after)

    # note

    def add_note(self, conversation: str, text: str) -> str:
        """Any other channel than this word would be sent to the customer. Rejected when it reads back as no note."""
        body = {
            "channel": "internal-note",
            "via": "api",
            "from_agent": True,
            "public": False,
            "source": {"type": "internal-note"},
            "sender": {"id": self._me()},
            "body_text": text,
            "body_html": f"<p>{html.escape(text)}</p>",
        }
        number = _inside(self.http.send("POST", f"{self._path(conversation)}/messages", body).json(), "id")
        written = self._note(conversation, str(number))
        if not (written and written.own):
            raise Rejected(f"ticket {conversation}: what was written is not there as an internal note; look at it now")
        return str(number)

    def find_note(self, conversation: str, text: str) -> str | None:
        same = [one.id for one in self._said(conversation) if one.own and one.words == " ".join(text.split())]
        return str(max(same)) if same else None

    def remove_note(self, conversation: str, note: str) -> None:
        """Rejected when it is not a note of ours (the same call deletes any message), or is still there afterwards."""
        found = self._note(conversation, note)
        if found is None:
            return
        if not found.own:
            raise Rejected(f"message {note} of ticket {conversation} is not a note of ours: it was left alone")
        self.http.send("DELETE", f"{self._path(conversation)}/messages/{note}")
        if self._note(conversation, note):
            raise Rejected(
                f"Gorgias did not delete note {note} of ticket {conversation}: open it and delete it by hand"
            )

    def _note(self, conversation: str, note: str) -> _Said | None:
        return next((one for one in self._said(conversation) if str(one.id) == note), None)

    def _said(self, conversation: str) -> list[_Said]:
        found = self._each(MESSAGES, [int(conversation)])
        return rows(_Said, found[int(conversation)], "message")[0]

    def _me(self) -> int:
        """Notes need an author; Rejected where the key's user is not among those we may see."""
        mine = [one.id for one in self._users.values() if (one.email or "").lower() == self.email.lower()]
        if not mine:
            raise Rejected(f"no user of Gorgias has the e-mail {self.email}, so no note was written: check the setting")
        return mine[0]

    # probe

    def probe(self) -> Iterator[Finding]:
        yield self._access()
        answer = self.http.find("/api/tickets", {"limit": LIMIT, "order_by": "updated_datetime:desc"}, EXPIRED)
        yield _sorting(answer)
        headers = answer.headers if answer else {}
        yield _budget(headers.get("x-gorgias-account-api-call-limit", ""), self.per_second)
        oldest: dict[str, str | int] = {"object_type": "Ticket", "limit": 1, "order_by": "created_datetime:asc"}
        yield _history(self.http.find("/api/events", oldest, UNREADABLE))
        yield _surveys(self.http.find("/api/satisfaction-surveys", {"limit": 1}, UNREADABLE))
        yield _hours(_schedule(self._opening))

    def _access(self) -> Finding:
        users = self._users.values()
        me = next((one for one in users if (one.email or "").lower() == self.email.lower()), None)
        if me is None:
            detail = f"{self.email} is not among the {len(users)} users that the key sees: notes cannot be written"
            return Finding("access", False, detail, f"use an admin's key and the e-mail beside it: {KEY}")
        role = me.role.get("name") or "a role that is not told"
        detail = f"{me.label}, {role}; a key may do all that its user may, also write to customers, which we never do"
        return Finding("access", None, detail, "make it as a user of its own, named Deskpulse")


# --- reading lists ---------------------------------------------------------------------------------------------------


def _inside(document: Any, *path: str) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _sheet(answer: Answer) -> _Sheet:
    told = answer.json()
    items = _inside(told, "data")
    if not isinstance(items, list):
        raise BadPayload("Gorgias's answer holds no list: nothing of it was kept")
    return _Sheet(items, _inside(told, "meta", "next_cursor") or None)


def _other_than(cursor: str | None, following: str) -> str:
    if following == cursor:
        raise BadPayload("Gorgias gave the same page twice, so its list has no end: what came before it was kept")
    return following


def _any_of(ticket: int, items: Items) -> bool:
    """Is a page about this ticket at all? A filter that is not heeded would give the whole account's events."""
    return any(_inside(item, "object_id") in (None, ticket) for item in items)


def _reached(told: list[tuple[Instant, int]], since: Instant, field: str) -> bool:
    """Only a list that came in order so far has nothing newer behind what is old. One in the order of its ids as well
    may come in Gorgias's usual order, whatever was asked for: it is no proof."""
    in_order = bool(told) and told[-1][0] < since and _descends([at for at, _ in told])
    return in_order and (field == USUAL or not _descends([number for _, number in told]))


def _descends(told: list[int]) -> bool:
    return all(a >= b for a, b in pairwise(told))


def _oldest_first(changed: Mapping[int, Instant | None]) -> list[tuple[int, Instant | None]]:
    return sorted(changed.items(), key=lambda one: (one[1] or 0, one[0]))


def _survey_of(ticket: _Ticket) -> Items:
    told = ticket.satisfaction_survey
    return [{"ticket_id": ticket.id} | told] if isinstance(told, dict) and "id" in told else []


def _is_of(event: _Happened, ticket: _Ticket) -> bool:
    return (event.object_type, event.object_id) == ("Ticket", ticket.id)


# --- from their words to ours ----------------------------------------------------------------------------------------


def _channel(word: str) -> Channel:
    return Channel(word, CHANNELS.get(word, "other"))


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _schedule(told: Any) -> Schedule | None:
    """Days are numbered from Monday, 1. None unless all of it is understood."""
    spans, zone = _inside(told, "business_hours"), _inside(told, "timezone")
    hours, bad = rows(_Hours, spans if isinstance(spans, list) else [spans], "hours")
    if bad or not hours or zone not in available_timezones():
        return None
    week: list[tuple[tuple[int, int], ...]] = [()] * 7
    for one in hours:
        span = (_minutes(one.from_time), _minutes(one.to_time) or 1440)
        if span[0] >= span[1]:
            return None
        for day in one.days.split(","):
            week[int(day) - 1] += (span,)
    return Schedule(zone, tuple(tuple(sorted(day)) for day in week))


def _around(ticket: _Ticket, said: list[_Said]) -> list[Record]:
    """The channel and the customers of a ticket: shared with others."""
    people = [ticket.customer, *(one.sender for one in said if one.from_agent is False and not one.note)]
    contacts = dict.fromkeys(str(one.id) for one in people if one)
    return [*([_channel(ticket.channel)] if ticket.channel else []), *(Contact(one) for one in contacts)]


def _told(
    ticket: _Ticket, said: list[_Said], happened: list[_Happened], users: Mapping[int, _Named], url: str
) -> list[Record]:
    """The ticket with all that is its own. While a reply is on its way the version is one that Gorgias never gives, so
    that the ticket is read again."""
    messages = _messages(ticket, said, users)
    began = min([ticket.created_datetime, *(one.at for one in messages)])
    version, pending = ticket.updated_datetime, any(one.pending for one in said)
    box = next((one for one in ticket.integrations if one.type is None or one.type in CHANNELS), None)
    conversation = Conversation(
        id=str(ticket.id),
        created_at=began,
        status=ticket.ours,
        changed_at=version - pending if version else None,
        inbox=str(box.id) if box else None,
        channel=ticket.channel,
        contact=str(ticket.customer.id) if ticket.customer else None,
        team=str(ticket.assignee_team.id) if ticket.assignee_team else None,
        agent=str(ticket.assignee_user.id) if ticket.assignee_user else None,
        language=ticket.language,
        link=f"{url}/app/ticket/{ticket.id}",
        tags=tuple(sorted(one.label for one in ticket.tags)),
    )
    return [conversation, *messages, *_events(ticket, conversation, messages, happened)]


def _messages(ticket: _Ticket, said: list[_Said], users: Mapping[int, _Named]) -> list[Message]:
    found: list[Message] = []
    asked = False
    for one in sorted(said, key=lambda one: (one.at, one.id)):
        found.append(_message(one, ticket, users, asked))
        asked = asked or (one.from_agent is False and not one.note)
    return found


def _message(one: _Said, ticket: _Ticket, users: Mapping[int, _Named], asked: bool) -> Message:
    author = _author(one, users)
    customer = one.sender or ticket.customer
    who = customer if author == "customer" else one.sender if author in ("human", "bot") else None
    kind = _kind(one, ticket, author, asked)
    return Message(
        id=str(one.id),
        conversation=str(ticket.id),
        at=one.at,
        author=author,
        author_id=str(who.id) if who else None,
        public=not (one.note or one.pending or one.failed_datetime),  # what was not sent never reached the customer
        kind=kind,
        length=len(one.text),
        own=one.own,
        body=one.text,
    )


def _author(one: _Said, users: Mapping[int, _Named]) -> Author:
    if one.from_agent is None:
        return "unknown"
    if not one.from_agent:
        return "customer" if not one.note else "integration"
    if one.rule_id or one.via == "rule":
        return "automation"
    if one.sender and (one.sender.bot or (one.sender.id in users and users[one.sender.id].bot)):
        return "bot"
    if one.via == "api" or one.sender is None:
        return "integration"
    return "human" if one.via == "helpdesk" or one.sender.id in users else "integration"


def _kind(one: _Said, ticket: _Ticket, author: Author, asked: bool) -> MessageKind:
    """What no person wrote and what opens a ticket that we began is a campaign."""
    if one.note:
        return "note"
    if SURVEY.search(" ".join(map(str, (one.via, one.source.get("type"), *one.meta, one.meta.get("type"))))):
        return "survey"
    if one.imported:
        return "imported"
    began = bool(ticket.from_agent) and not asked and author in ("automation", "bot", "integration")
    return "campaign" if began or one.meta.get("campaign_id") else "message"


def _events(
    ticket: _Ticket, conversation: Conversation, messages: list[Message], happened: list[_Happened]
) -> Iterator[Event]:
    name, told = str(ticket.id), sorted(happened, key=lambda one: (one.created_datetime, one.id))
    if ticket.trashed_datetime:  # told without its date, so that it counts again once it is restored
        yield Event(f"{name}:trashed", name, None, "deleted")
    if ticket.spam:
        marked = [one.created_datetime for one in told if one.type == "ticket-marked-spam"]
        yield Event(f"{name}:spam", name, marked[-1] if marked else None, "spam")
    yield from _statuses(ticket, messages, told)
    yield from _owners(ticket, "assigned", conversation.agent, told)
    yield from _owners(ticket, "team", conversation.team, told)


def _statuses(ticket: _Ticket, messages: list[Message], told: list[_Happened]) -> Iterator[Event]:
    """What is told, each change once; a closing that is part of a snooze is none. Then what the ticket itself says, if
    that differs: events may be gone, or not there yet."""
    name, before, last = str(ticket.id), "open", ticket.created_datetime
    snoozes = {one.context for one in told if one.type == "ticket-snoozed" and one.context}
    changes = [one for one in told if one.type in STATUS_EVENTS]
    for one in changes:
        status, part = STATUS_EVENTS[one.type], one.type == "ticket-closed" and one.context in snoozes
        if status != before and not part:
            actor = str(one.user_id) if one.user_id else None
            yield Event(f"event:{one.id}", name, one.created_datetime, "status", status, before, actor)
            before, last = status, one.created_datetime
    status, updated = ticket.ours, ticket.updated_datetime or last
    asked = [one.at for one in messages if one.author == "customer" and one.at >= last]
    if status != before:
        at = (ticket.closed_datetime or updated) if status == "done" else asked[0] if asked and changes else updated
        same = "now" if changes else f"{status}:{at}"
        yield Event(f"{name}:{same}", name, max(at, last), "status", status, before, derived=True)
    elif not changes:
        # Being opened while it is open changes nothing: this counts where an earlier sync saw a closing.
        for same, at in (*((f"open:{at}", at) for at in asked[-1:]), ("now", updated)):
            yield Event(f"{name}:{same}", name, at, "status", "open", derived=True)


def _owners(ticket: _Ticket, kind: EventKind, now: str | None, told: list[_Happened]) -> Iterator[Event]:
    """Who had it. An event that does not name anyone is passed over; where one is, or the last owner is another, the
    ticket itself says it."""
    name, before, last = str(ticket.id), None, ticket.created_datetime
    changes = [(one, OWNER_EVENTS[one.type][1]) for one in told if OWNER_EVENTS.get(one.type, ("",))[0] == kind]
    for one, key in changes:
        last, owner = one.created_datetime, _inside(one.data, key)
        value = str(owner) if owner else None
        if value != before and (value or not key):
            actor = str(one.user_id) if one.user_id else None
            yield Event(f"event:{one.id}", name, last, kind, value, before, actor)
            before = value
    if changes and before != now:
        at = max(last, ticket.updated_datetime or last)
        yield Event(f"{name}:{kind}:now", name, at, kind, now, before, derived=True)


def _rating(one: _Survey) -> Rating:
    answered = one.score is not None and one.scored_datetime is not None
    answers = ((one.scored_datetime, one.score),) if answered else ()
    return Rating(str(one.id), str(one.ticket_id), one.sent_datetime, answers)  # type: ignore[arg-type]  # both are there


# --- for doctor ------------------------------------------------------------------------------------------------------


def _sorting(answer: Answer | None) -> Finding:
    lost = "every sync walks the list of all tickets"
    if answer is None:
        return Finding(
            "changes", None, f"Gorgias does not sort tickets by their last change: {lost}", "sync less often"
        )
    times = [one.updated_datetime or 0 for one in rows(_Listed, _sheet(answer).items, "conversation")[0]]
    if all(a >= b for a, b in pairwise(times)):
        return Finding("changes", True, "tickets come by their last change, so a sync reads only what is new")
    return Finding("changes", None, f"tickets do not come by their last change, though asked to: {lost}")


def _budget(told: str, per_second: float) -> Finding:
    """Told as used/allowed in 20 seconds."""
    found = re.fullmatch(r"\s*\d+\s*/\s*(\d+)\s*", told)
    ours = f"we take {per_second * 20:.0f}"
    if not found:
        return Finding("rate limit", None, f"not told; 40 requests in 20 seconds are documented, {ours}")
    fits = int(found[1]) > per_second * 20
    remedy = "" if fits else "lower services.gorgias.requests_per_second: others share the limit"
    return Finding("rate limit", fits or None, f"{found[1]} requests in 20 seconds, {ours}", remedy)


def _history(answer: Answer | None) -> Finding:
    lost = "reopens and transfers are not counted, resolution_time knows the last closing only"
    if answer is None:
        detail = f"the key may not read events: {lost}; reopen_rate counts from the first sync on"
        return Finding("history", None, detail, f"use an admin's key: {KEY}")
    found = rows(_Happened, _sheet(answer).items, "event")[0]
    if not found:
        return Finding("history", None, f"there are no events of tickets: {lost}")
    day = str(_inside(_sheet(answer).items[0], "created_datetime"))[:10]
    return Finding("history", True, f"events since {day}; of what happened before, {lost}")


def _surveys(answer: Answer | None) -> Finding:
    if answer is None:
        lost = "cannot be read: no csat, csat_mean, csat_response_rate, csat_asked_rate"
        return Finding("ratings", None, lost, f"use an admin's key: {KEY}")
    if not _sheet(answer).items:
        remedy = "Settings → Satisfaction survey"
        return Finding("ratings", None, "no survey was ever sent: no csat, csat_mean, csat_response_rate", remedy)
    return Finding("ratings", True, "readable, sent and answered ones")


def _hours(schedule: Schedule | None) -> Finding:
    if schedule is None:
        detail = "the account tells none that we understand: without them business time is absent"
        return Finding("opening hours", None, detail, "write them into [calendar]")
    days = "".join(name if spans else "-" for name, spans in zip("MTWTFSS", schedule.hours, strict=True))
    return Finding("opening hours", True, f"{schedule.zone}, {days}; the account's, for all inboxes, without holidays")
