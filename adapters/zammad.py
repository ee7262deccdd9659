"""Zammad, in the cloud or on your own server: tickets in, tags and internal notes out.

API: REST v1, as versions 3 to 7 speak it. Used, yet not described: ticket_history. The ticket search is asked by a
     condition, which Zammad answers from its database: without Elasticsearch, its delay and its end at 10,000 rows.
Auth: `Authorization: Token token=` with an access token of a user of its own. Least permission: ticket.agent, and
     for that user read access to every group (change access to write back). admin.calendar, admin.sla and admin.group
     for opening hours.
Limits: 100 tickets a search, three requests per changed ticket (articles, history, tags). No limit is documented and
     servers are small: 5 requests a second, 2 at once, unless told otherwise.
Gaps: ratings (Zammad has none), campaigns, surveys, contacts who never wrote, languages, bots (name their seats in
     `bots`); without Elasticsearch, agents who never had to do with a ticket. A script that uses an agent's token
     looks like that agent. An imported ticket looks like any other and has no history before the import: its last
     closing is known, a reopening is not. A call that an agent entered counts as answered when it was entered. An
     e-mail that is marked internal counts as a note, though it was sent; one to a third party counts as a reply. When a
     tag was added where the history does not say; that a ticket is no spam any more. Where a merged ticket went, before
     version 3.1. Opening hours that depend on anything but the group. A ticket that moves to a group out of the token's
     sight stays as it was last seen. A note can be deleted in its first ten minutes only.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import cached_property, partial
from itertools import count
from typing import Annotated, Any, ClassVar, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, field_validator

from connector.contract import (
    AdapterSettings,
    Answer,
    Finding,
    Http,
    Params,
    Seen,
    Service,
    TagChange,
    as_written,
    rows,
)
from connector.errors import BadPayload, Rejected
from connector.models import (
    EARLIEST,
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
    Page,
    Record,
    Reject,
    Schedule,
    Status,
    Team,
    from_iso,
    to_iso,
)

CHANNELS = {
    "email": "email",
    "phone": "phone",
    "sms": "sms",
    "chat": "live_chat",
    **dict.fromkeys(("twitter status", "twitter direct-message"), "x"),
    **dict.fromkeys(("facebook feed post", "facebook feed comment"), "facebook"),
    "telegram personal-message": "telegram",
    "whatsapp message": "whatsapp",
}
MERGED, REMOVED = "merged", "removed"
STATUSES: dict[str, Status] = {
    # By the type of a state: the states themselves are made, named and translated by each company.
    **dict.fromkeys(("new", "open"), "open"),
    "pending reminder": "snoozed",
    "pending action": "pending",
    **dict.fromkeys(("closed", MERGED, REMOVED), "done"),
}
TYPES = {1: "new", 2: "open", 3: "pending reminder", 4: "pending action", 5: "closed", 6: MERGED, 7: REMOVED}
"""As every Zammad is set up, for a version that does not tell a state's type by its name."""
SENDERS: dict[str, Author] = {"Customer": "customer", "Agent": "human", "System": "automation"}
KINDS: dict[str | None, EventKind] = {"state": "status", "owner": "assigned", "group": "team"}
NOTE, CALL = "note", "phone"
ENTERED = (NOTE, CALL, "web")
"""Articles of a customer that somebody else may have typed."""
SYSTEM = 1
"""Zammad's own user, "-": as an owner it means nobody, as an author the machine."""
AGENT_ROLE = 2

ROOT = "/api/v1"
TICKETS_A_PAGE = 100
SETTLED = 3_600_000
"""What changed within this before the newest change is walked by page and looked at again in the next run."""
MOST_PAGES = 100
"""10,000 rows, where a search may end without a word: even within the last hour, the walk then sets out anew."""
DELETABLE = 9 * 60_000
"""Zammad lets a note's author delete it for ten minutes."""
OUT_OF_SIGHT, GONE = 403, 404
MISSING = (OUT_OF_SIGHT, GONE)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TOKEN = "avatar → Profile → Token Access"  # noqa: S105 - where to click for one


# --- what is read of the answers -------------------------------------------------------------------------------------


def _object(value: Any) -> Any:
    return value if isinstance(value, dict) else {}


When = Annotated[Instant, BeforeValidator(lambda value: from_iso(str(value)))]
WhenOrNone = Annotated[Instant | None, BeforeValidator(lambda value: from_iso(str(value)) if value else None)]
Object = Annotated[dict[str, Any], BeforeValidator(_object)]


class _Named(BaseModel):
    """A group, a state, a user: who is told apart by where it stands."""

    id: int
    name: str | None = None
    firstname: str | None = None
    lastname: str | None = None
    login: str | None = None
    state_type: str | None = None
    state_type_id: int | None = None
    active: bool | None = True

    @property
    def label(self) -> str:
        whole = " ".join(part for part in (self.firstname, self.lastname) if part)
        return self.name or whole or self.login or str(self.id)

    @property
    def type(self) -> str:
        return self.state_type or TYPES.get(self.state_type_id or 0, "")


class _Ticket(BaseModel):
    id: int
    group_id: int | None = None
    group: str | None = None
    state_id: int
    owner_id: int | None = None
    owner: str | None = None
    customer_id: int | None = None
    created_at: When
    updated_at: When
    close_at: WhenOrNone = None
    last_close_at: WhenOrNone = None


class _Said(BaseModel):
    id: int
    ticket_id: int | None = None
    type: str
    sender: str
    internal: bool | None = False
    body: str | None = None
    content_type: str | None = None
    created_by_id: int | None = None
    origin_by_id: int | None = None
    created_at: When
    preferences: Object = {}

    @property
    def text(self) -> str:
        body = self.body or ""
        return _plain(body) if "html" in (self.content_type or "") else body

    @property
    def is_note(self) -> bool:
        """What a customer writes as a note in the portal is a message."""
        return bool(self.internal) or (self.type == NOTE and self.sender != "Customer")

    @property
    def own(self) -> bool:
        hidden = self.internal is True and self.type == NOTE and self.sender == "Agent"
        return hidden and self.text.startswith(OWN_NOTE_MARK)


class _Change(BaseModel):
    """One line of a ticket's history, of the ticket itself or of what belongs to it."""

    id: int | None = None
    object: str | None = None
    o_id: int | None = None
    type: str | None = None
    attribute: str | None = None
    id_from: int | None = None
    id_to: int | None = None
    value_to: str | None = None
    created_by_id: int | None = None
    created_at: When


class _Day(BaseModel):
    active: bool | None = False
    timeframes: list[tuple[str, str]] = []


class _Calendar(BaseModel):
    id: int
    timezone: str
    default: bool | None = False
    business_hours: dict[str, _Day]
    public_holidays: Object = {}


class _Sla(BaseModel):
    id: int
    calendar_id: int | None = None
    condition: Object = {}


class _Told(NamedTuple):
    """All that is read of one ticket."""

    ticket: _Ticket
    said: list[_Said]
    changes: list[_Change]
    people: dict[int, _Named]
    tags: tuple[str, ...]


# --- the adapter -----------------------------------------------------------------------------------------------------


class ZammadSettings(AdapterSettings):
    url: str = Field(description="where you open Zammad, like https://support.example.com")
    token: SecretStr = Field(description=f"an access token with ticket.agent: {TOKEN}")
    spam_tag: str | None = Field("spam", min_length=1, description="the tag that makes a ticket count as spam")
    requests_per_second: float = Field(5, gt=0, description="how many requests we allow ourselves")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        """What people copy from the address bar is fine too: the page behind # is cut off."""
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write the whole address, like https://support.example.com")
        return f"{parts.scheme}://{parts.netloc}{re.sub(r'/api(/.*)?$', '', parts.path).rstrip('/')}"


class Zammad:
    name: ClassVar[str] = "zammad"
    Settings: ClassVar[type[AdapterSettings]] = ZammadSettings
    streams: ClassVar[tuple[str, ...]] = ("directory", "conversations")
    history: ClassVar[frozenset[str]] = frozenset({"status", "assigned", "team"})
    lacks: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            (
                "csat",
                "csat_mean",
                "csat_per_survey",
                "csat_response_rate",
                "csat_asked_rate",
                "csat_good_to_bad",
                "csat_bad_to_good",
            ),
            "it has no ratings",
        ),
        "first_response_time_from_handoff": "when a bot handed over is not told",
    }
    first_read: ClassVar[float] = 3.01
    reread_limit: ClassVar[int] = 200

    def __init__(self, settings: ZammadSettings, http: Http) -> None:
        self.http, self.spam_tag = http, settings.spam_tag
        self.page = f"{settings.url}/#ticket/zoom"

    @staticmethod
    def service(settings: ZammadSettings) -> Service:
        headers = {"Authorization": f"Token token={settings.token.get_secret_value()}"}
        return Service(settings.url, headers, per_second=settings.requests_per_second, at_once=2)

    # pull

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]:
        return self._directory(cursor or {}) if stream == "directory" else self._conversations(cursor or {}, seen)

    def _directory(self, cursor: Cursor) -> Iterator[Page]:
        """Short lists without a date of change: a mark of what they hold tells whether there is anything new. What the
        token may not list comes with the tickets."""
        groups, bad = rows(_Named, self._all("groups") or [], "team")
        agents, bad_agents = rows(_Named, self._all("users/search", {"query": f"role_ids:{AGENT_ROLE}"}) or [], "agent")
        hours, bad_hours = self._hours()
        records: list[Record] = [Team(str(group.id), group.label) for group in groups]
        records += [Inbox(str(group.id), group.label, None, hours.get(group.id, hours.get(None))) for group in groups]
        records += [Agent(str(agent.id), agent.label) for agent in agents if agent.id != SYSTEM]
        mark = hashlib.sha256(repr(records).encode()).hexdigest()[:16]
        yield Page([] if mark == cursor.get("mark") else records, {"mark": mark}, bad + bad_agents + bad_hours)

    def _hours(self) -> tuple[dict[int | None, Schedule], tuple[Reject, ...]]:
        """Opening hours by group, by what the SLAs say of it; under None those of the rest, the default calendar's."""
        calendars, bad = rows(_Calendar, self._all("calendars") or [], "inbox")
        slas, bad_slas = rows(_Sla, self._all("slas") or [], "inbox")
        strange = tuple(_strange_zone(one) for one in calendars if one.timezone not in available_timezones())
        return _by_group(calendars, slas), bad + bad_slas + strange

    def _conversations(self, cursor: Cursor, seen: Seen) -> Iterator[Page]:
        """Oldest change first, each time from the change that was reached: what moves to the end meanwhile then pulls
        no row past us. By page goes only what that does not lead out of, and so once more: the last hour in the next
        run, more of one instant than a page holds at once."""
        since, page = cursor.get("since", EARLIEST), cursor.get("page", 1)
        top = cursor["top"] if "top" in cursor else self._newest()
        before: list[Any] = []
        again = False
        while True:
            items = self._found(_changed_since(since), page)
            tickets, bad = rows(_Ticket, items, "conversation")
            before = _sane(items, tickets, since, before if page > 1 else [])
            # What changed since the walk began stands where it stood before, with its new time: it is no measure.
            bar = top - SETTLED if page < MOST_PAGES else top
            reached = max((one.updated_at for one in tickets if one.updated_at <= bar), default=since)
            if reached == since:
                page += 1
            else:
                again = page > 1 and not again
                since, page = since if again else reached, 1
            records, rejects = self._with_children(tickets, seen)
            going_on = {"since": since, "page": page, "top": top}
            yield Page(records, going_on if items else {"since": min(since, top - SETTLED)}, bad + rejects)
            if not items:
                return

    def _newest(self) -> Instant:
        tickets, _ = rows(_Ticket, self._found(_changed_since(EARLIEST), 1, "desc", 1), "conversation")
        return max((one.updated_at for one in tickets), default=EARLIEST)

    def _found(self, condition: Params, page: int, order: str = "asc", most: int = TICKETS_A_PAGE) -> list[Any]:
        """A page of the ticket search. However many are asked for, the server may give fewer: only none is the end.
        Without the id, a database may put what changed at the same instant in another order on each page."""
        listing: Params = {"sort_by[]": ("updated_at", "id"), "order_by[]": (order, order), "page": page}
        return _items(
            self.http.get(f"{ROOT}/tickets/search", {**condition, **listing, "per_page": most, "expand": "true"})
        )

    def _with_children(self, tickets: list[_Ticket], seen: Seen) -> tuple[list[Record], tuple[Reject, ...]]:
        """Tickets with their articles, history and tags; one whose version is stored already costs no call."""
        fresh = [ticket for ticket in tickets if not seen(str(ticket.id), ticket.updated_at)]
        shared: dict[Record, None] = {}
        own: list[Record] = []
        rejects: tuple[Reject, ...] = ()
        for told, bad in self._told(fresh):
            shared |= dict.fromkeys(_around(told))
            own += _conversation(told, self._states, self.page, self.spam_tag)
            rejects += bad
        return [*shared, *own], rejects

    def _told(self, tickets: list[_Ticket]) -> Iterator[tuple[_Told, tuple[Reject, ...]]]:
        """Three calls for each, side by side; a ticket that has vanished meanwhile is left out."""
        paths = [path for ticket in tickets for path in _children(ticket.id)]
        answers = self.http.each(paths, MISSING)
        for ticket, articles, history, tags in zip(tickets, answers, answers, answers, strict=False):
            if articles:
                said, bad = rows(_Said, _items(articles), "message")
                past = history.json() if history else {"history": []}
                changes, bad_changes = rows(_Change, _list(past, "history"), "event")
                yield _Told(ticket, said, changes, _people(past), _tags(tags) if tags else ()), bad + bad_changes

    # reread

    def reread(self, ids: Sequence[str], seen: Seen) -> Iterator[Page]:
        """One that is only out of the token's sight is not gone: nothing is told of it."""
        for start in range(0, len(ids), TICKETS_A_PAGE):
            some = ids[start : start + TICKETS_A_PAGE]
            answers = dict(
                zip(some, self.http.each((f"{_path(one)}?expand=true" for one in some), MISSING), strict=True)
            )
            gone = [one for one, told in answers.items() if told is None and self._is_gone(one)]
            tickets, bad = rows(_Ticket, [told.json() for told in answers.values() if told], "conversation")
            records, rejects = self._with_children(tickets, seen)
            yield Page(
                [*(Event(f"{one}:deleted", one, None, "deleted") for one in gone), *records], None, bad + rejects
            )

    def _is_gone(self, ticket: str) -> bool:
        return self.http.status(_path(ticket), MISSING) == GONE

    def _all(self, path: str, query: Params | None = None) -> list[Any] | None:
        """A short list, all its pages; None where the token may not read it."""
        found: dict[Any, Any] = {}
        listing: Params = {**(query or {}), "per_page": TICKETS_A_PAGE, "expand": "true"}
        for page in count(1):
            answer = self.http.find(f"{ROOT}/{path}", {**listing, "page": page}, MISSING)
            items = {_inside(one, "id"): one for one in _items(answer)} if answer else {}
            if items.keys() <= found.keys():
                return list(found.values()) if answer else None
            found |= items
        return None

    @cached_property
    def _states(self) -> dict[int, str]:
        """Types of the states, by the state's number. Without them an open ticket could not be told from a closed."""
        found = rows(_Named, self._all("ticket_states") or [], "state")[0]
        if not found:
            raise Rejected(f"Zammad does not show the ticket states: give the token ticket.agent ({TOKEN})")
        return {one.id: one.type for one in found}

    # tag

    @staticmethod
    def tag_name(tag: str) -> str:
        """A comma would make two of one."""
        return " ".join(tag.replace(",", " ").split())

    def tags(self, conversation: str) -> tuple[str, ...]:
        return _tags(self.http.get(f"{ROOT}/tags", {"object": "Ticket", "o_id": conversation}))

    def add_tag(self, conversation: str, tag: str) -> TagChange:
        """Additive at Zammad's own end; Rejected when what is read back lacks ours or one of the others."""
        name, before = self.tag_name(tag), self.tags(conversation)
        if name in before:
            return TagChange(before, before)
        self.http.send("POST", f"{ROOT}/tags/add", _tagging(conversation, name))
        return self._read_back(conversation, before, {*before, name})

    def remove_tag(self, conversation: str, tag: str) -> TagChange:
        name, before = self.tag_name(tag), self.tags(conversation)
        if name not in before:
            return TagChange(before, before)
        self.http.send("DELETE", f"{ROOT}/tags/remove", _tagging(conversation, name))
        return self._read_back(conversation, before, {*before} - {name})

    def _read_back(self, conversation: str, before: tuple[str, ...], wanted: set[str]) -> TagChange:
        after = self.tags(conversation)
        return as_written(f"ticket {conversation}", "Zammad", before, wanted, after)

    # note

    def add_note(self, conversation: str, text: str) -> str:
        """An article of type note, never e-mail: Zammad sends e-mail articles, internal or not. Rejected when it does
        not read back as our internal note."""
        body = {"ticket_id": int(conversation), "type": "note", "internal": True, "sender": "Agent"}
        answer = self.http.send("POST", f"{ROOT}/ticket_articles", body | {"content_type": "text/plain", "body": text})
        written = self._note(str(_inside(answer.json(), "id")))[0]
        if not (written and written.own):
            raise Rejected(f"ticket {conversation}: what was written is not there as an internal note; look at it now")
        return str(written.id)

    def find_note(self, conversation: str, text: str) -> str | None:
        said = rows(_Said, _items(self.http.get(_children(conversation)[0])), "message")[0]
        same = [one.id for one in said if one.own and _plain(one.text) == _plain(text)]
        return str(max(same)) if same else None

    def remove_note(self, conversation: str, note: str) -> None:
        """Rejected when it is not ours, or older than Zammad lets anyone delete: then it stays."""
        found, told_at = self._note(note)
        if found is None:
            return
        if not found.own or str(found.ticket_id) != conversation:
            raise Rejected(f"article {note} of ticket {conversation} is not a note of ours: it was left alone")
        if told_at is None or told_at - found.created_at > DELETABLE:
            raise Rejected(
                f"Zammad deletes a note in its first ten minutes only: {note} of ticket {conversation} stays"
            )
        self.http.send("DELETE", f"{ROOT}/ticket_articles/{note}")

    def _note(self, note: str) -> tuple[_Said | None, Instant | None]:
        """The article, and the time it is by Zammad's own clock."""
        answer = self.http.find(f"{ROOT}/ticket_articles/{note}", {"expand": "true"})
        found = rows(_Said, [answer.json()], "message")[0] if answer else []
        return (found[0], _served_at(answer)) if answer and found else (None, None)

    # probe

    def probe(self) -> Iterator[Finding]:
        me = self.http.get(f"{ROOT}/users/me", {"expand": "true"}).json()
        yield Finding("identity", True, str(_inside(me, "login") or "not told"))
        newest = rows(_Ticket, self._found(_changed_since(EARLIEST), 1, "desc", 1), "conversation")[0]
        yield _tickets(len(newest))
        yield _groups(me, rows(_Named, self._all("groups") or [], "team")[0])
        yield Finding("zone", True, "times say their zone (UTC)")
        if newest:
            yield from self._of(newest[0])
        hours = [self._all(name) for name in ("groups", "calendars", "slas")]
        yield _readable("opening hours", None not in hours, *NO_HOURS)
        yield _breadth(self._all("roles"))
        yield NO_RATINGS

    def _of(self, newest: _Ticket) -> Iterator[Finding]:
        """Is the condition heeded, and has this ticket a history?"""
        later = rows(_Ticket, self._found(_changed_since(newest.updated_at), 1), "conversation")[0]
        heeded = all(one.updated_at >= newest.updated_at for one in later)
        yield Finding(
            "search", heeded, "by time of change" if heeded else "by condition is not heeded", *UPGRADE[heeded:]
        )
        history = self.http.find(_children(newest.id)[1], absent=MISSING)
        yield _readable("history", history, *NO_HISTORY)


# --- reading lists ---------------------------------------------------------------------------------------------------


def _inside(document: Any, *path: str) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _items(answer: Answer, *path: str) -> list[Any]:
    return _list(answer.json(), *path)


def _list(told: Any, *path: str) -> list[Any]:
    """The list at ``path``; BadPayload when there is none."""
    found = _inside(told, *path)
    if not isinstance(found, list):
        raise BadPayload(f"Zammad's answer has no list at {'.'.join(path) or 'its top'}: nothing of it was kept")
    return found


def _changed_since(instant: Instant) -> Params:
    field = "condition[ticket.updated_at]"
    return {f"{field}[operator]": "after (absolute)", f"{field}[value]": to_iso(instant)}


def _sane(items: list[Any], tickets: list[_Ticket], since: Instant, before: list[Any]) -> list[Any]:
    """The ids of a page; BadPayload when it is the page before, or not what was asked for."""
    ids = [_inside(one, "id") for one in items]
    if ids and ids == before:
        raise BadPayload("Zammad gave the same page twice, so its list has no end: what came before it was kept")
    if any(ticket.updated_at < since for ticket in tickets):
        raise BadPayload("Zammad gave tickets that did not change since: run `deskpulse doctor` on it")
    return ids


def _path(ticket: str | int) -> str:
    return f"{ROOT}/tickets/{ticket}"


def _children(ticket: str | int) -> tuple[str, str, str]:
    articles, history = f"{ROOT}/ticket_articles/by_ticket/{ticket}?expand=true", f"{ROOT}/ticket_history/{ticket}"
    return articles, history, f"{ROOT}/tags?object=Ticket&o_id={ticket}"


def _tags(answer: Answer) -> tuple[str, ...]:
    return tuple(map(str, _items(answer, "tags")))


def _tagging(conversation: str, tag: str) -> dict[str, Any]:
    return {"item": tag, "object": "Ticket", "o_id": int(conversation)}


def _people(told: Any) -> dict[int, _Named]:
    """Who has to do with a ticket, as its history names them."""
    users = _inside(told, "assets", "User")
    found, _ = rows(_Named, list(users.values()) if isinstance(users, dict) else [], "agent")
    return {one.id: one for one in found}


def _served_at(answer: Answer) -> Instant | None:
    date = answer.headers.get("date")
    return round(parsedate_to_datetime(date).timestamp() * 1000) if date else None


# --- from their words to ours ----------------------------------------------------------------------------------------

UPGRADE = ("upgrade Zammad",)
NO_HISTORY = (
    "not readable: resolution_time is approximate, reopens, transfers are incomplete",
    f"ticket.agent: {TOKEN}",
)
NO_HOURS = (
    "not readable: business times need your own",
    f"give the token admin.calendar, admin.sla and admin.group ({TOKEN}), or write the hours into [calendar]",
)
NO_RATINGS = Finding(
    "ratings",
    None,
    "Zammad has none: no csat, csat_mean, csat_response_rate",
    'export them from your survey tool as CSV: `adapter = "files"` with `of`',
)


def _tickets(found: int) -> Finding:
    remedy = "Admin → Manage → Users: give the token's user read access to all groups"
    return Finding("tickets", True, "readable") if found else Finding("tickets", None, "none to be seen", remedy)


def _groups(me: Any, groups: list[_Named]) -> Finding:
    """What a role gives access to is not told here, so a group that is missing is a warning only."""
    access = _object(_inside(me, "groups"))
    unseen = [one.label for one in groups if one.active and one.label not in access]
    if unseen:
        return Finding(
            "groups", None, f"perhaps unseen: {', '.join(unseen)}", "give the token's user read access to them"
        )
    told = f"{len(access)} readable" if access else "those of the user's roles"
    return Finding("groups", bool(access) or None, told)


def _readable(check: str, told: Any, lost: str, remedy: str) -> Finding:
    return Finding(check, True, "readable") if told else Finding(check, None, lost, remedy)


def _breadth(roles: list[Any] | None) -> Finding:
    if roles is None:
        return Finding("permissions", True, "no more than needed, as far as can be seen")
    return Finding("permissions", None, "more than needed: the token may manage roles", f"uncheck admin there: {TOKEN}")


def _strange_zone(calendar: _Calendar) -> Reject:
    return Reject("inbox", f"calendar {calendar.id}", "timezone: unknown, so its hours are left out")


def _by_group(calendars: list[_Calendar], slas: list[_Sla]) -> dict[int | None, Schedule]:
    """SLAs that name two calendars for one group cancel each other out."""
    known = {one.id: one for one in calendars if one.timezone in available_timezones()}
    named: dict[int | None, set[int | None]] = {None: {one.id for one in calendars if one.default}}
    for sla in slas:
        for group in _groups_of(sla.condition):
            named.setdefault(group, set()).add(sla.calendar_id)
    alone = {group: known.get(next(iter(ids)) or 0) for group, ids in named.items() if len(ids) == 1}
    return {group: _schedule(one) for group, one in alone.items() if one}


def _groups_of(condition: Any) -> set[int]:
    """The groups that an SLA is for, in both of the forms that conditions are written in."""
    listed = _inside(condition, "conditions") or []
    found = [one for one in listed if _inside(one, "name") == "ticket.group_id"] if isinstance(listed, list) else []
    plain = _inside(condition, "ticket.group_id")
    return {
        group
        for one in [*found, plain]
        if _inside(one, "operator") == "is"
        for group in _numbers(_inside(one, "value"))
    }


def _numbers(value: Any) -> Iterator[int]:
    yield from (int(one) for one in (value if isinstance(value, list) else [value]) if str(one).isdecimal())


def _schedule(calendar: _Calendar) -> Schedule:
    days = [calendar.business_hours.get(day, _Day()) for day in DAYS]
    hours = tuple(tuple(_spans(day.timeframes)) if day.active else () for day in days)
    holidays = [date for date, one in calendar.public_holidays.items() if _inside(one, "active")]
    return Schedule(calendar.timezone, hours, tuple(sorted(holidays)))


def _spans(frames: Iterable[tuple[str, str]]) -> Iterator[tuple[int, int]]:
    """23:59 is how Zammad's own form writes the day's end."""
    for opens, closes in sorted(frames):
        start, end = _minute(opens), _minute(closes)
        end = 1440 if end in (0, 1439) else end
        if start < end:
            yield start, end


def _minute(clock: str) -> int:
    found = re.fullmatch(r"(\d{1,2}):(\d\d)(:\d\d)?", clock)
    return int(found[1]) * 60 + int(found[2]) if found else 0


def _plain(text: str) -> str:
    """Words without their markup."""
    return " ".join(html.unescape(re.sub(r"<[a-zA-Z/!][^>]*>", " ", text)).split())


def _number(number: int | None) -> str | None:
    return str(number) if number else None


def _person(number: int | None) -> str | None:
    return None if number in (None, 0, SYSTEM) else str(number)


def _around(told: _Told) -> Iterator[Record]:
    """The channel, the group, the customer and the people of a ticket: shared with others."""
    ticket = told.ticket
    if channel := _channel(told):
        yield Channel(channel, CHANNELS.get(channel, "other"))
    if ticket.group_id and ticket.group:
        yield from (Team(str(ticket.group_id), ticket.group), Inbox(str(ticket.group_id), ticket.group))
    if customer := _person(ticket.customer_id):
        yield Contact(customer)
    for number in sorted(_staff(told)):
        person = told.people.get(number)
        yield Agent(str(number), person.label if person else _owner_name(ticket, number))


def _owner_name(ticket: _Ticket, number: int) -> str:
    return ticket.owner if ticket.owner and ticket.owner_id == number else str(number)


def _staff(told: _Told) -> set[int]:
    """Owners, and who wrote as an agent or took a call."""
    wrote = {one.created_by_id for one in told.said if _author(one) == "human" or _taken(one, told.ticket)}
    owned = {n for one in told.changes if one.attribute == "owner" for n in (one.id_from, one.id_to)}
    return {n for n in (*wrote, *owned, told.ticket.owner_id) if n and n != SYSTEM}


def _channel(told: _Told) -> str | None:
    return min(told.said, key=lambda one: (one.created_at, one.id)).type if told.said else None


def _conversation(told: _Told, states: Mapping[int, str], page: str, spam_tag: str | None) -> list[Record]:
    """The conversation with all that is its own. What was merged into it brought older articles along."""
    ticket = told.ticket
    messages = [message for one in told.said for message in _messages(one, ticket)]
    began = min([ticket.created_at, *(message.at for message in messages)])
    record = Conversation(
        id=str(ticket.id),
        created_at=began,
        status=_status(states, ticket.state_id),
        changed_at=ticket.updated_at,
        inbox=_number(ticket.group_id),
        channel=_channel(told),
        contact=_person(ticket.customer_id),
        team=_number(ticket.group_id),
        agent=_person(ticket.owner_id),
        link=f"{page}/{ticket.id}",
        tags=tuple(sorted(told.tags)),
    )
    changes = sorted((c for c in told.changes if _is_own(c, ticket)), key=lambda c: (c.created_at, c.id or 0))
    return [record, *messages, *_events(record, ticket, changes, states), *_removals(told, changes, states, spam_tag)]


def _is_own(change: _Change, ticket: _Ticket) -> bool:
    """The history lists the articles' as well, and links to other tickets."""
    return change.object in ("Ticket", None) and change.o_id in (ticket.id, None)


def _status(states: Mapping[int, str], state: int | None) -> Status:
    return STATUSES.get(states.get(state or 0, ""), "open")


def _messages(one: _Said, ticket: _Ticket) -> Iterator[Message]:
    author, person = _author(one), one.created_by_id
    if author == "customer":
        typed = one.type in ENTERED or person == SYSTEM
        person = one.origin_by_id or (ticket.customer_id if typed else person)
    named = author in ("customer", "human")
    reached = _inside(one.preferences, "delivery_status") != "fail"  # what failed never reached the customer
    yield Message(
        id=str(one.id),
        conversation=str(ticket.id),
        at=one.created_at,
        author=author,
        author_id=_person(person) if named else None,
        public=not one.is_note and reached,
        kind="note" if one.is_note else "message",
        length=len(one.text),
        own=one.own,
        body=one.text,
    )
    if _taken(one, ticket):
        yield Message(f"{one.id}:taken", str(ticket.id), one.created_at + 1, "human", _person(one.created_by_id))


def _author(one: _Said) -> Author:
    """A customer's machine (out of office) and Zammad's own user speak for nobody."""
    machine = _inside(one.preferences, "is-auto-response") is True
    if machine or (one.sender == "Agent" and one.created_by_id == SYSTEM):
        return "automation"
    return SENDERS.get(one.sender, "unknown")


def _taken(one: _Said, ticket: _Ticket) -> bool:
    """A customer's call that an agent talked in and entered."""
    by_agent = one.created_by_id not in (None, SYSTEM, ticket.customer_id)
    return one.type == CALL and _author(one) == "customer" and not one.is_note and by_agent


def _events(
    record: Conversation, ticket: _Ticket, changes: list[_Change], states: Mapping[int, str]
) -> Iterator[Event]:
    """The history as it is told. Of an import it tells nothing: then the ticket itself says when it was closed."""
    moves = [one for one in changes if one.type == "updated" and one.attribute in KINDS]
    moved = next((one for one in moves if one.attribute == "state"), None)
    now = _status(states, moved.id_from) if moved else record.status
    since = _since(ticket, now, record.created_at, unmoved=moved is None)
    if since and now != "open":
        yield Event(f"{ticket.id}:began", record.id, since, "status", now, derived=True)
    for one in moves:
        event = _event(one, record.id, states)
        if event.value != event.was:
            yield event
        now = _status(states, one.id_to) if one.attribute == "state" else now
    overtaken = any(one.created_at > ticket.updated_at for one in moves)  # it changed again before we read its history
    if now != record.status and not overtaken:
        yield Event(f"{ticket.id}:now", record.id, ticket.updated_at, "status", record.status, now, derived=True)


def _since(ticket: _Ticket, first: Status, created_at: Instant, *, unmoved: bool) -> Instant | None:
    """When it came into the first status that is known; None for a closed one that nobody dated."""
    if first != "done":
        return created_at
    return (ticket.last_close_at or ticket.close_at) if unmoved else (ticket.close_at or created_at)


def _event(one: _Change, conversation: str, states: Mapping[int, str]) -> Event:
    named: dict[EventKind, Callable[[int | None], str | None]] = {
        "status": partial(_status, states),
        "assigned": _person,
        "team": _number,
    }
    kind, actor = KINDS[one.attribute], _person(one.created_by_id)
    value, was = named[kind](one.id_to), named[kind](one.id_from)
    return Event(_event_id(one, conversation), conversation, one.created_at, kind, value, was, actor)


def _event_id(one: _Change, conversation: str) -> str:
    return f"history:{one.id}" if one.id else f"{conversation}:{one.attribute}:{one.created_at}:{one.id_to}"


def _removals(told: _Told, changes: list[_Change], states: Mapping[int, str], spam_tag: str | None) -> Iterator[Event]:
    number = str(told.ticket.id)
    kind = states.get(told.ticket.state_id)
    turned = [one for one in changes if one.attribute == "state" and states.get(one.id_to or 0) == kind]
    at = turned[-1].created_at if turned else None
    if kind == MERGED:
        into = [one for one in changes if one.type == "merged_into" and one.id_to]
        target = str(into[-1].id_to) if into else None
        yield Event(f"{number}:merged", number, into[-1].created_at if into else at, "merged", target)
    if kind == REMOVED:
        yield Event(f"{number}:deleted", number, at, "deleted")
    if spam_tag in told.tags:
        tagged = [
            one.created_at for one in changes if (one.type, one.attribute, one.value_to) == ("added", "tag", spam_tag)
        ]
        yield Event(f"{number}:spam", number, tagged[-1] if tagged else None, "spam")
