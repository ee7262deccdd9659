"""Trengo: tickets in, labels and internal notes out.

API: v2, as app.trengo.com speaks it. Used, yet not in its reference: GET /channels; the shapes of 2021 and 2026 are
     both read. There is no GET that tells whose token it is.
Auth: `Authorization: Bearer` with a user's token. It cannot be narrowed and sees what its user sees: make it as an
     administrator, best as a user of its own. Private channels are seen by their own agent's token only.
Limits: 120 requests a minute and token; 25 tickets a page, up to 100 messages a page. A third of it unless told
     otherwise.
Gaps: no history of status, agent or team: the last closing and the last assignment are dated, all else shows between
     two syncs. A reopening before the first sync is lost; one that ended between two syncs is dated by the customer's
     next message. When a bot handed over; who closed. A merged ticket looks deleted. When a ticket became spam, and
     that it no longer is. Ratings have no endpoint: a custom field (`score_field`), dated by the closing and without
     its offer, or a CSV file. Opening hours, a customer's language, contacts who never wrote. Imported messages,
     survey questions and undelivered messages look like others; a broadcast sent in a person's name looks like that
     person. A call that was taken counts as answered at once. Notes cannot be deleted. Times have no zone (setting
     `zone`): where it has summer time, an hour of the autumn night is ambiguous.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, ClassVar, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, field_validator

from connector.contract import AdapterSettings, Answer, Finding, Http, Seen, Service, TagChange, as_written, rows
from connector.errors import BadPayload, Rejected
from connector.models import (
    OWN_NOTE_MARK,
    Agent,
    Author,
    Channel,
    Contact,
    Conversation,
    Cursor,
    Event,
    Inbox,
    Instant,
    Message,
    MessageKind,
    Page,
    Rating,
    Record,
    Reject,
    Status,
    Team,
    from_iso,
)

CHANNELS = {
    "EMAIL": "email",
    **dict.fromkeys(("CHAT", "LIVE_CHAT", "WIDGET"), "live_chat"),
    **dict.fromkeys(("WA_BUSINESS", "WHATSAPP"), "whatsapp"),
    "SMS": "sms",
    **dict.fromkeys(("VOIP", "VOICE"), "phone"),
    **dict.fromkeys(("FACEBOOK", "MESSENGER"), "facebook"),
    "INSTAGRAM": "instagram",
    **dict.fromkeys(("TWITTER", "X"), "x"),
    "LINKEDIN": "linkedin",
    "TIKTOK": "tiktok",
    "TELEGRAM": "telegram",
}
SPAM = "INVALID"
STATUSES: dict[str, Status] = {"OPEN": "open", "ASSIGNED": "open", "CLOSED": "done", SPAM: "done"}
INBOUND, OUTBOUND, NOTE, CALL = "INBOUND", "OUTBOUND", "NOTE", "CALL_LOG"

ROOT = "/api/v2"
MESSAGES_A_PAGE, REREAD_AT_ONCE = 100, 25
OVERLAP, OVERLAP_UNSURE = timedelta(hours=3), timedelta(hours=14)
"""In which zone ``updated_at_gt`` is read is not documented; no zone is more than 14 hours from UTC."""
LOW, HIGH = 1.0, 5.0
"""Trengo's own scale; a thumb counts as one of its ends."""
JUST_NOW = timedelta(minutes=10)
CLOCKS_APART = timedelta(seconds=90)
TOKEN = "Settings → Apps & integrations → REST API"  # noqa: S105 - where to click for one
Items = list[Any]


# --- what is read of the answers -------------------------------------------------------------------------------------


def _instant(value: Any) -> Instant:
    return from_iso(str(value))


def _list(value: Any) -> Any:
    return value if isinstance(value, list) else []


def _object(value: Any) -> Any:
    """An answer to a creation has a plain time where a read has an object."""
    return value if isinstance(value, dict) else None


When = Annotated[Instant, BeforeValidator(_instant)]
WhenOrNone = Annotated[Instant | None, BeforeValidator(lambda value: _instant(value) if value else None)]


class _Named(BaseModel):
    """An agent, a team, a label, a channel, a custom field, a contact: who is told apart by where it stands."""

    id: int
    title: str | None = None
    full_name: str | None = None
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    display_name: str | None = None
    type: str | None = None
    timezone: str | None = None

    @property
    def label(self) -> str:
        whole = " ".join(part for part in (self.first_name, self.last_name) if part)
        return self.title or self.full_name or whole or self.name or self.display_name or str(self.id)


class _Latest(BaseModel):
    created_at: WhenOrNone = None


class _Ticket(BaseModel):
    id: int
    status: str
    created_at: When
    updated_at: WhenOrNone = None
    closed_at: WhenOrNone = None
    assigned_at: WhenOrNone = None
    user_id: int | None = None
    team_id: int | None = None
    contact_id: int | None = None
    channel: _Named | None = None
    labels: Annotated[list[_Named], BeforeValidator(_list)] = []
    latest_message: Annotated[_Latest | None, BeforeValidator(_object)] = None
    latest_message_at: WhenOrNone = None
    custom_data: Any = None
    custom_fields: Any = None
    custom_field_data: Any = None

    @property
    def version(self) -> Instant | None:
        """Whether a note moves ``updated_at`` is not documented, so the last message counts too."""
        last = self.latest_message.created_at if self.latest_message else None
        return max((at for at in (self.updated_at, self.latest_message_at, last) if at), default=None)

    @property
    def ours(self) -> Status:
        return STATUSES.get(self.status.upper(), "open")


class _Call(BaseModel):
    duration: float | None = None


class _Mail(BaseModel):
    plain: str | None = None
    html: str | None = None


class _Said(BaseModel):
    """Neither ``author`` nor ``author_type``: on mail from a customer they may name the agent in charge, or nobody."""

    id: int
    type: str
    body_type: str | None = None
    message: str | None = None
    email_message: Annotated[_Mail | None, BeforeValidator(_object)] = None
    created_at: When
    user_id: int | None = None
    agent: Annotated[_Named | None, BeforeValidator(_object)] = None
    contact: Annotated[_Named | None, BeforeValidator(_object)] = None
    location_data: Annotated[_Call | None, BeforeValidator(_object)] = None
    is_auto_reply: bool | None = None

    @property
    def seat(self) -> int | None:
        return self.user_id or (self.agent.id if self.agent else None)

    @property
    def text(self) -> str:
        mail = self.email_message or _Mail()
        return _plain(self.message or mail.plain or mail.html or "")

    @property
    def own(self) -> bool:
        return self.type == NOTE and self.text.startswith(OWN_NOTE_MARK)

    @property
    def taken(self) -> bool:
        """A call that an agent talked in; one that was missed may name an agent too."""
        talked = self.location_data is not None and bool(self.location_data.duration)
        return (self.type, self.body_type) == (INBOUND, CALL) and self.seat is not None and talked


class _Created(BaseModel):
    id: int


class _Sheet(NamedTuple):
    """One page of a list, as it came."""

    items: Items
    more: bool

    @property
    def ids(self) -> Items:
        return [_inside(one, "id") for one in self.items]

    @property
    def marks(self) -> Items:
        """[id, last change] of each row: one that was changed may have moved, and says nothing of where we are."""
        return [[_inside(one, "id"), _inside(one, "updated_at")] for one in self.items]


# --- the adapter -----------------------------------------------------------------------------------------------------


class TrengoSettings(AdapterSettings):
    token: SecretStr = Field(description=f"an administrator's: {TOKEN}")
    url: str = Field("https://app.trengo.com", description="where you open Trengo")
    zone: str | None = Field(None, description="the zone of Trengo's times, which do not say it; `doctor` tells")
    score_field: str | None = Field(None, min_length=1, description="the ticket field that a rule writes scores into")
    channels: tuple[int, ...] = Field((), description="ids of the only channels to read; all if left out")
    requests_per_second: float = Field(2 / 3, gt=0, description="how many requests we allow ourselves")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        """What people copy from the address bar is fine too."""
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write the whole address, like https://app.trengo.com")
        return f"{parts.scheme}://{parts.netloc}"

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in available_timezones():
            raise ValueError('not a time zone; write one like "Europe/Amsterdam", `deskpulse doctor` suggests it')
        return zone


class Trengo:
    name: ClassVar[str] = "trengo"
    Settings: ClassVar[type[AdapterSettings]] = TrengoSettings
    streams: ClassVar[tuple[str, ...]] = ("directory", "conversations")
    history: ClassVar[frozenset[str]] = frozenset()
    lacks: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("csat_response_rate", "csat_asked_rate"), "which surveys were offered is not told"),
        "first_response_time_from_handoff": "when a bot handed over is not told",
    }
    first_read: ClassVar[float] = 1.08
    reread_limit: ClassVar[int] = 60

    def __init__(self, settings: TrengoSettings, http: Http) -> None:
        self.http, self.url, self.per_second = http, settings.url, settings.requests_per_second
        self.given_zone, self.zone = settings.zone, ZoneInfo(settings.zone or "UTC")
        self.score_field, self.channels = settings.score_field, frozenset(settings.channels)
        self.wanted: dict[str, Sequence[str]] = (
            {"channels[]": [str(one) for one in settings.channels]} if settings.channels else {}
        )

    @staticmethod
    def service(settings: TrengoSettings) -> Service:
        headers = {"Authorization": f"Bearer {settings.token.get_secret_value()}"}
        return Service(settings.url, headers, per_second=settings.requests_per_second, at_once=2)

    # pull

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]:
        return self._directory(cursor or {}) if stream == "directory" else self._conversations(cursor or {}, seen)

    def _directory(self, cursor: Cursor) -> Iterator[Page]:
        """Three short lists without dates: a mark of what they hold tells whether there is anything new."""
        agents, bad = rows(_Named, self._all("users"), "agent")
        teams, bad_teams = rows(_Named, self._all("teams"), "team")
        boxes = self._boxes.values()
        records: list[Record] = [*_channels(boxes), *(_inbox(box) for box in boxes)]
        records += [Team(str(team.id), team.label) for team in teams]
        records += [Agent(str(agent.id), agent.label) for agent in agents]
        mark = hashlib.sha256(repr(records).encode()).hexdigest()[:16]
        yield Page([] if mark == cursor.get("mark") else records, {"mark": mark}, bad + bad_teams)

    def _conversations(self, cursor: Cursor, seen: Seen) -> Iterator[Page]:
        """What changed since, oldest message first. The next walk begins with what was newest before this one began:
        a change during the walk may lie on a page that is behind us."""
        since, page, edge = cursor.get("since"), cursor.get("page", 1), cursor.get("edge", [])
        top = cursor["top"] if "top" in cursor else self._newest()
        while True:
            sheet, missed = self._tickets_from(since, page, edge)
            records, rejects = self._understood([*missed, *sheet.items], seen)
            page, edge = page + 1, sheet.marks
            going_on = {"since": since, "top": top, "page": page, "edge": edge}
            yield Page(records, going_on if sheet.more else {"since": top or since}, rejects)
            if not sheet.more:
                return

    def _tickets_from(self, since: Instant | None, page: int, edge: Items) -> tuple[_Sheet, Items]:
        """A page, and what slipped from it onto the pages before: a ticket behind us that gets a message, or is merged,
        pulls all that follow it up. So we look back until we see what we read last (``edge``)."""
        query = self._query(since)
        sheet = self._sheet("tickets", query | {"page": page})
        if edge and sheet.marks == edge:
            raise BadPayload("Trengo gave the same page twice, so its list has no end: what came before it was kept")
        known, missed, met = {id_ for id_, _ in edge}, list[Any](), not edge or any(one in edge for one in sheet.marks)
        while not met and page > 1:
            page -= 1
            back = self._sheet("tickets", query | {"page": page})
            met = any(one in edge for one in back.marks)
            missed = [one for one in back.items if _inside(one, "id") not in known] + missed
        return sheet, missed

    def _query(self, since: Instant | None) -> dict[str, Any]:
        query = {"sort": "date", **self.wanted}
        return query if since is None else query | {"updated_at_gt": _before(since, self.zone, self._overlap)}

    @property
    def _overlap(self) -> timedelta:
        return OVERLAP if self.given_zone else OVERLAP_UNSURE

    def _newest(self) -> Instant | None:
        found, _ = self._tickets(self._sheet("tickets", {"sort": "-date", "page": 1, **self.wanted}).items)
        return max((ticket.version for ticket in found if ticket.version), default=None)

    def _tickets(self, items: Items) -> tuple[list[_Ticket], tuple[Reject, ...]]:
        """The filter by channel is not believed: it has a spelling that is taken without a word and does nothing."""
        found, bad = rows(_Ticket, _zoned(items, self.zone), "conversation")
        return [one for one in found if not self.channels or (one.channel and one.channel.id in self.channels)], bad

    def _understood(self, items: Items, seen: Seen) -> tuple[list[Record], tuple[Reject, ...]]:
        """Tickets with their messages; one whose version is stored already costs no call."""
        tickets, rejects = self._tickets(items)
        fresh = {ticket.id: ticket for ticket in tickets if not seen(str(ticket.id), ticket.version)}
        said = self._messages(list(fresh))
        shared: dict[Record, None] = {}
        own: list[Record] = []
        for number, items in said.items():
            messages, bad = rows(_Said, _zoned(items, self.zone), "message")
            shared |= dict.fromkeys(_around(fresh[number], messages, self._boxes))
            rating, bad_rating = _rating(fresh[number], self.score_field)
            own += [*_told(fresh[number], messages, self.url), *rating]
            rejects += bad + bad_rating
        return [*shared, *own], rejects

    def _messages(self, ids: list[int]) -> dict[int, Items]:
        """All messages of each ticket, side by side; a ticket that has vanished meanwhile is left out."""
        found: dict[int, dict[Any, Any]] = {}
        wanted = dict.fromkeys(ids, 1)
        while wanted:
            paths = [f"{self._path(one)}/messages?per_page={MESSAGES_A_PAGE}&page={n}" for one, n in wanted.items()]
            following: dict[int, int] = {}
            for (one, page), answer in zip(wanted.items(), self.http.each(paths), strict=True):
                if answer:
                    sheet, known = _sheet(answer), found.setdefault(one, {})
                    if sheet.more and known.keys() >= set(sheet.ids):
                        raise BadPayload(f"Trengo gave the same messages of ticket {one} again: run it again later")
                    known |= dict(zip(sheet.ids, sheet.items, strict=True))
                    following |= {one: page + 1} if sheet.more else {}
            wanted = following
        return {one: list(items.values()) for one, items in found.items()}

    # reread

    def reread(self, ids: Sequence[str], seen: Seen) -> Iterator[Page]:
        """A ticket that was merged into another one is gone, as a deleted one is. What is no number is no ticket."""
        for start in range(0, len(ids), REREAD_AT_ONCE):
            some = [one for one in ids[start : start + REREAD_AT_ONCE] if one.isdecimal()]
            answers = dict(zip(some, self.http.each(self._path(one) for one in some), strict=True))
            gone = [one for one in ids[start : start + REREAD_AT_ONCE] if answers.get(one) is None]
            records, rejects = self._understood([_one(answer) for answer in answers.values() if answer], seen)
            yield Page([*(Event(f"{one}:deleted", one, None, "deleted") for one in gone), *records], None, rejects)

    def _sheet(self, path: str, query: dict[str, Any]) -> _Sheet:
        return _sheet(self.http.get(f"{ROOT}/{path}", query))

    def _all(self, path: str) -> Items:
        """A short list, all its pages."""
        found: Items = []
        page, sheet = 1, self._sheet(path, {"page": 1})
        while sheet.more:
            found += sheet.items
            page, before, sheet = page + 1, sheet.ids, self._sheet(path, {"page": page + 1})
            if sheet.items and sheet.ids == before:
                raise BadPayload(f"Trengo gave the same page of {path} twice, so its list has no end: run it again")
        return found + sheet.items

    @cached_property
    def _boxes(self) -> dict[int, _Named]:
        """Channels by id; none where this Trengo has no such list: then tickets tell of theirs."""
        answer = self.http.find(f"{ROOT}/channels")
        items = _sheet(answer).items if answer and _is_json(answer) else []
        return {box.id: box for box in rows(_Named, items, "inbox")[0]}

    def _path(self, conversation: str | int) -> str:
        return f"{ROOT}/tickets/{conversation}"

    # tag

    @staticmethod
    def tag_name(tag: str) -> str:
        return tag.strip()

    def tags(self, conversation: str) -> tuple[str, ...]:
        return tuple(label.label for label in self._labels_of(conversation))

    def _labels_of(self, conversation: str) -> list[_Named]:
        found = _inside(_one(self.http.get(self._path(conversation))), "labels")
        return rows(_Named, _list(found), "label")[0]

    def add_tag(self, conversation: str, tag: str) -> TagChange:
        """Additive at Trengo's own end; Rejected when what is read back lacks ours or one of the others."""
        label, before = self.tag_name(tag), self.tags(conversation)
        if label in before:
            return TagChange(before, before)
        self.http.send("POST", f"{self._path(conversation)}/labels", {"label_id": self._label(label)})
        return self._read_back(conversation, before, {*before, label})

    def remove_tag(self, conversation: str, tag: str) -> TagChange:
        label, here = self.tag_name(tag), self._labels_of(conversation)
        before = tuple(one.label for one in here)
        for one in here:
            if one.label == label:
                self.http.send("DELETE", f"{self._path(conversation)}/labels/{one.id}")
        return (
            self._read_back(conversation, before, {*before} - {label}) if label in before else TagChange(before, before)
        )

    def _read_back(self, conversation: str, before: tuple[str, ...], wanted: set[str]) -> TagChange:
        after = self.tags(conversation)
        return as_written(f"ticket {conversation}", "Trengo", before, wanted, after)

    def _label(self, name: str) -> int:
        """A label's id; made where there is none of that name yet."""
        if name not in self._labels:
            answer = self.http.send("POST", f"{ROOT}/labels", {"name": name, "color": "#1F93FF"})
            made = rows(_Created, [_one(answer)], "label")[0]
            if not made:
                raise BadPayload(f"Trengo did not tell the id of the new label {name}: run it again")
            self._labels[name] = made[0].id
        return self._labels[name]

    @cached_property
    def _labels(self) -> dict[str, int]:
        return {one.label: one.id for one in rows(_Named, self._all("labels"), "label")[0]}

    # note

    def add_note(self, conversation: str, text: str) -> str:
        """Without ``internal_note`` the same call is sent to the customer. Rejected when it reads back as no note."""
        answer = self.http.send(
            "POST", f"{self._path(conversation)}/messages", {"message": text, "internal_note": True}
        )
        made = rows(_Created, [_one(answer)], "message")[0]
        written = self._note(conversation, made[0].id) if made else None
        if not (written and written.own):
            raise Rejected(f"ticket {conversation}: what was written is not there as an internal note; look at it now")
        return str(written.id)

    def _note(self, conversation: str, note: int) -> _Said | None:
        answer = self.http.find(f"{self._path(conversation)}/messages/{note}")
        found = rows(_Said, _zoned([_one(answer)], self.zone), "message")[0] if answer else []
        return found[0] if found else None

    def find_note(self, conversation: str, text: str) -> str | None:
        items = self._messages([int(conversation)]).get(int(conversation), [])
        said = rows(_Said, _zoned(items, self.zone), "message")[0]
        same = [one.id for one in said if one.own and one.text == _plain(text)]
        return str(max(same)) if same else None

    def remove_note(self, conversation: str, note: str) -> None:
        """Always Rejected, unless it is gone already: Trengo's API has no call for it."""
        if self._note(conversation, int(note)):
            raise Rejected(
                f"Trengo's API cannot delete a note: open ticket {conversation} and delete note {note} by hand"
            )

    # probe

    def probe(self) -> Iterator[Finding]:
        users = self._all("users")
        answer = self.http.get(f"{ROOT}/tickets", {"sort": "-date", "page": 1, **self.wanted})
        items = _sheet(answer).items
        yield _access(users)
        yield _budget(answer.headers, self.per_second)
        yield _inboxes(self._boxes)
        yield self._zone_found(answer.headers, items, users)
        yield self._scores_found(items)
        yield from LACKING

    def _zone_found(self, headers: Mapping[str, str], items: Items, users: Items) -> Finding:
        """The same instant told twice, with its zone and without, is proof; a newest one that is minutes old a sign."""
        told = [*items, *users, *(self._closer(items[0]) if items else [])]
        clue = _told_twice(told) or _newest_plain(items, headers.get("date"))
        offered = [one.timezone for one in rows(_Named, users, "agent")[0] if one.timezone in available_timezones()]
        return _zone_finding(clue, self.given_zone, list(dict.fromkeys(["UTC", *map(str, offered)])))

    def _closer(self, item: Any) -> Items:
        """A ticket on its own, and what was said in it: other calls may tell times in another way."""
        path = self._path(str(_inside(item, "id")))
        one, said = self.http.find(path), self.http.find(f"{path}/messages", {"page": 1})
        return [*([_one(one)] if one else []), *(_sheet(said).items if said else [])]

    def _scores_found(self, items: Items) -> Finding:
        if self.score_field is None:
            return NO_SCORES
        known = {name for one in self._all("custom_fields") for name in _names(one)}
        filled = sum(_ticket_field(one, self.score_field) is not None for one in items)
        return _scores(self.score_field, self.score_field in known, filled, len(items))


# --- reading lists ---------------------------------------------------------------------------------------------------


def _inside(document: Any, *path: str) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _is_json(answer: Answer) -> bool:
    """A path that Trengo does not have answers 200, with the web app."""
    return "json" in answer.headers.get("content-type", "")


def _sheet(answer: Answer) -> _Sheet:
    """A page of a list. Tickets tell neither the last page nor a total: the next link alone says whether more comes."""
    told = answer.json()
    items = told if isinstance(told, list) else _inside(told, "data")
    if not isinstance(items, list):
        raise BadPayload("Trengo's answer holds no list: nothing of it was kept")
    return _Sheet(items, bool(items) and _goes_on(told))


def _goes_on(told: Any) -> bool:
    links, meta = _inside(told, "links"), _inside(told, "meta")
    if isinstance(links, dict):
        return bool(links.get("next"))
    here, last = _inside(meta, "current_page"), _inside(meta, "last_page")
    return isinstance(here, int) and isinstance(last, int) and here < last


def _one(answer: Answer) -> Any:
    told = answer.json()
    inner = _inside(told, "data")
    return inner if isinstance(inner, dict) else told


PLAIN = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?")


def _zoned(value: Any, zone: ZoneInfo) -> Any:
    """A copy in which times without a zone (keys that end in _at) have this one; what is no time stays."""
    if isinstance(value, list):
        return [_zoned(one, zone) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: _with_zone(one, zone) if key.endswith("_at") else _zoned(one, zone) for key, one in value.items()}


def _with_zone(value: Any, zone: ZoneInfo) -> Any:
    at = _naive(value)
    return value if at is None else at.replace(tzinfo=zone).isoformat()


def _naive(value: Any) -> datetime | None:
    """A time without a zone; None for anything else."""
    found = rows(_Plain, [{"at": value}], "time")[0] if isinstance(value, str) and PLAIN.fullmatch(value) else []
    return found[0].at if found else None


def _before(since: Instant, zone: ZoneInfo, overlap: timedelta) -> str:
    """An instant for ``updated_at_gt`` that is not too late whether it is read as it says, as UTC or in ``zone``."""
    moment = datetime.fromtimestamp(since / 1000, UTC)
    digits = min(moment.replace(tzinfo=None), moment.astimezone(zone).replace(tzinfo=None))
    return f"{(digits - overlap).isoformat(timespec='seconds')}Z"


# --- from their words to ours ----------------------------------------------------------------------------------------


def _channels(boxes: Iterable[_Named]) -> list[Record]:
    return [_channel(word) for word in sorted({box.type for box in boxes if box.type})]


def _channel(word: str) -> Channel:
    return Channel(word, CHANNELS.get(word.upper(), "other"))


def _inbox(box: _Named) -> Inbox:
    return Inbox(str(box.id), box.label, box.type)


def _around(ticket: _Ticket, said: list[_Said], boxes: Mapping[int, _Named]) -> list[Record]:
    """The channel and the customers of a ticket: shared with others. Agents are told by their list alone."""
    box = ticket.channel
    contacts = dict.fromkeys(
        [ticket.contact_id, *(one.contact.id for one in said if one.type == INBOUND and one.contact)]
    )
    return [
        *(_channels([box]) if box else []),
        *([_inbox(box)] if box and box.id not in boxes else []),
        *(Contact(str(contact)) for contact in contacts if contact),
    ]


def _told(ticket: _Ticket, said: list[_Said], url: str) -> list[Record]:
    """The ticket with all that is its own."""
    messages = _messages(ticket, said)
    began = min([ticket.created_at, *(message.at for message in messages)])
    box = ticket.channel
    conversation = Conversation(
        id=str(ticket.id),
        created_at=began,
        status=ticket.ours,
        changed_at=ticket.version,
        inbox=str(box.id) if box else None,
        channel=box.type if box else None,
        contact=str(ticket.contact_id) if ticket.contact_id else None,
        team=str(ticket.team_id) if ticket.team_id else None,
        agent=str(ticket.user_id) if ticket.user_id else None,
        link=f"{url}/tickets/{ticket.id}",
        tags=tuple(sorted(label.label for label in ticket.labels)),
    )
    return [conversation, *messages, *_events(ticket, messages)]


def _messages(ticket: _Ticket, said: list[_Said]) -> list[Message]:
    """In order. Trengo tells whole seconds: what was said within one is a millisecond apart, by its number, since an
    answer is later than its question."""
    found: list[Message] = []
    opened = False
    for one in sorted(said, key=lambda one: (one.created_at, one.id)):
        at = max(one.created_at, found[-1].at + 1) if found else one.created_at
        found.append(_message(one, ticket, at, opened))
        if one.taken:
            found.append(Message(f"{one.id}:taken", str(ticket.id), at + 1, "human", str(one.seat)))
        opened = opened or one.type in (INBOUND, OUTBOUND)
    return found


def _message(one: _Said, ticket: _Ticket, at: Instant, opened: bool) -> Message:
    author = _author(one)
    kind = _kind(one, ticket, author, opened)
    customer = one.contact.id if one.contact else ticket.contact_id
    who = customer if author == "customer" else one.seat if author == "human" else None
    return Message(
        id=str(one.id),
        conversation=str(ticket.id),
        at=at,
        author="automation" if kind == "campaign" else author,
        author_id=str(who) if who else None,
        public=kind not in ("note", "activity"),
        kind=kind,
        length=len(one.text),
        own=one.own,
        body=one.text,
    )


def _author(one: _Said) -> Author:
    """By its type first: a customer's call names the agent who took it, and mail may name the one in charge."""
    if one.type == INBOUND:
        return "customer"
    if one.type not in (OUTBOUND, NOTE):
        return "unknown"
    if one.is_auto_reply:
        return "automation"
    return "human" if one.seat else "bot"


def _kind(one: _Said, ticket: _Ticket, author: Author, opened: bool) -> MessageKind:
    """What nobody wrote and what opens a ticket is a broadcast; in a chat it is the flow that greets."""
    if one.type == NOTE:
        return "note"
    if author == "unknown":
        return "activity"
    word = ticket.channel.type if ticket.channel and ticket.channel.type else ""
    greets = CHANNELS.get(word.upper()) == "live_chat"
    return "campaign" if author == "bot" and not opened and not greets else "message"


def _plain(text: str) -> str:
    """Words without their markup: what is sent as text may be read back as HTML."""
    return " ".join(html.unescape(re.sub(r"<[a-zA-Z/!][^>]*>", " ", text)).split())


def _events(ticket: _Ticket, messages: list[Message]) -> Iterator[Event]:
    """What the ticket's own times tell, and when customers may have opened it again; the store adds what changed from
    sync to sync. Being opened while it is open changes nothing, so only closings that an earlier sync saw count."""
    name, closed = str(ticket.id), ticket.closed_at
    if ticket.status.upper() == SPAM:
        yield Event(f"{name}:spam", name, None, "spam")
    if ticket.user_id and ticket.assigned_at:
        agent = str(ticket.user_id)
        yield Event(f"{name}:assigned:{ticket.assigned_at}:{agent}", name, ticket.assigned_at, "assigned", agent)
    asked = _asked_again(messages, closed)
    is_done = ticket.ours == "done"
    done = closed if closed or not is_done else max((one.at for one in messages if one.kind != "note"), default=None)
    if done and (is_done or asked[-1:] > [done]):
        yield Event(f"{name}:done:{done}", name, done, "status", "done", derived=not closed)
    for at in asked:
        if not (is_done and done and at >= done):
            yield Event(f"{name}:open:{at}", name, at, "status", "open", derived=True)


def _asked_again(messages: list[Message], closed: Instant | None) -> list[Instant]:
    """When customers spoke after somebody else had, and first after the closing."""
    talk = [one for one in messages if one.public and one.kind == "message"]
    turns = {b.at for a, b in pairwise(talk) if b.author == "customer" != a.author}
    after = [one.at for one in talk if closed and one.author == "customer" and one.at > closed]
    return sorted(turns | set(after[:1]))


def _rating(ticket: _Ticket, field: str | None) -> tuple[list[Rating], tuple[Reject, ...]]:
    """A field has no time of its own: it counts from the closing, and only once there is one."""
    value = _ticket_field(ticket.model_dump(), field) if field else None
    if value is None or ticket.closed_at is None:
        return [], ()
    found = re.match(r"\s*([1-5](?:[.,]\d+)?)(?!\d)", str(value))
    score = float(found[1].replace(",", ".")) if found else 0.0
    if not LOW <= score <= HIGH:
        return [], (Reject("rating", f"{ticket.id}:score", f"{field}: not a score from 1 to 5"),)
    answers = ((ticket.closed_at, score),)
    return [Rating(f"{ticket.id}:score", str(ticket.id), answers=answers, low=LOW, high=HIGH, survey=field)], ()


def _ticket_field(ticket: Any, field: str) -> Any:
    """A custom field's value on a ticket, by the field's title or id. How a ticket shows it is not documented, so each
    likely way is tried; the contact's fields are others. None where it is empty."""
    for key in ("custom_data", "custom_fields", "custom_field_data"):
        told = _inside(ticket, key)
        if isinstance(told, dict) and told.get(field) not in (None, ""):
            return told[field]
        for one in _list(told):
            if field in _names(one) and _inside(one, "value") not in (None, ""):
                return one["value"]
    return None


def _names(field: Any) -> set[str]:
    """What a custom field may be called by."""
    inner = _inside(field, "custom_field")
    told = [_inside(one, key) for one in (field, inner) for key in ("id", "custom_field_id", "title", "name")]
    return {str(one) for one in told if one not in (None, "")}


# --- for doctor ------------------------------------------------------------------------------------------------------

NO_SCORES = Finding(
    "ratings",
    None,
    "Trengo's API gives none: no csat, csat_mean, csat_response_rate, csat_asked_rate",
    "let a rule write the score into a ticket field and name it in services.trengo.score_field, or import a CSV file: "
    "README, Trengo",
)
LACKING = (
    Finding(
        "history",
        None,
        "Trengo keeps none that can be read: reopens, reopen_rate and transfers count from the first sync on, and of "
        "what was closed before it resolution_time knows the last closing only",
        "sync every few minutes: what happens between two syncs is seen as one change",
    ),
    Finding(
        "opening hours",
        None,
        "cannot be read: without them business time is absent",
        "write them into [calendar], or [calendar.inboxes] for a channel of its own",
    ),
)


def _access(users: Items) -> Finding:
    if not users:
        remedy = f"make the token as an administrator: {TOKEN}"
        return Finding("access", False, "the token sees no users, so its user is no administrator", remedy)
    detail = f"{len(users)} users; a token may do whatever its user may, also write to customers, which we never do"
    return Finding("access", None, detail, "make it as a user of its own, an administrator named Deskpulse")


def _budget(headers: Mapping[str, str], per_second: float) -> Finding:
    told = headers.get("x-ratelimit-limit", "")
    ours = f"we take {per_second * 60:.0f}"
    if not told.isdecimal():
        return Finding("rate limit", None, f"not told; 120 requests a minute are documented, {ours}")
    fits = int(told) > per_second * 60
    remedy = "" if fits else "lower services.trengo.requests_per_second: others share the limit"
    return Finding("rate limit", fits or None, f"{told} requests a minute, {ours}", remedy)


def _inboxes(boxes: Mapping[int, _Named]) -> Finding:
    if not boxes:
        return Finding("channels", None, "no list of them: their names are taken from tickets")
    numbers = ", ".join(f"{box.id} ({box.type or 'no type'})" for box in boxes.values())
    return Finding("channels", True, f"{len(boxes)}: {numbers}")


def _scores(field: str, exists: bool, filled: int, tickets: int) -> Finding:
    if not exists:
        remedy = "correct services.trengo.score_field, or make it: Settings → Custom fields → Tickets"
        return Finding("ratings", False, f'there is no custom field "{field}"', remedy)
    if filled:
        detail = f'{filled} of the newest {tickets} tickets have "{field}"; surveys without an answer are not told'
        return Finding("ratings", True, f"{detail}: no csat_response_rate, no csat_asked_rate")
    detail = f'none of the newest {tickets} tickets shows "{field}": whether Trengo tells its value is not known yet'
    return Finding("ratings", None, detail, "fill it in on one ticket by hand, and run `deskpulse doctor` again")


class _Plain(BaseModel):
    at: datetime


class _Clue(NamedTuple):
    """A time without its zone, and an instant: the same one (proof), or the present (a sign)."""

    plain: datetime
    instant: datetime
    proof: bool

    def age(self, zone: str) -> timedelta:
        return self.instant - self.plain.replace(tzinfo=ZoneInfo(zone))

    def fits(self, zone: str) -> bool:
        return -CLOCKS_APART <= self.age(zone) <= (CLOCKS_APART if self.proof else JUST_NOW)

    def excludes(self, zone: str) -> bool:
        return not self.fits(zone) if self.proof else self.age(zone) < -CLOCKS_APART


def _told_twice(documents: Items) -> _Clue | None:
    """One thing's time that is told without a zone in one place and with one in another, whole quarters of an hour
    apart."""
    plain: dict[tuple[str, str], datetime] = {}
    zoned: dict[tuple[str, str], datetime] = {}
    for name, text in _times(documents):
        if (naive := _naive(text)) is not None:
            plain[name] = naive
        else:
            found = rows(_Plain, [{"at": text}], "time")[0]
            zoned |= {name: found[0].at} if found and found[0].at.tzinfo else {}
    for name in plain.keys() & zoned.keys():
        shift = (plain[name] - zoned[name].astimezone(UTC).replace(tzinfo=None)).total_seconds()
        if abs(shift) <= OVERLAP_UNSURE.total_seconds() and (shift + 2) % 900 <= 4:
            return _Clue(plain[name], zoned[name], proof=True)
    return None


def _times(document: Any) -> Iterator[tuple[tuple[str, str], str]]:
    """((id, key), text) of every time of everything that has an id."""
    if isinstance(document, list):
        for one in document:
            yield from _times(one)
    elif isinstance(document, dict):
        for key, value in document.items():
            if key.endswith("_at") and isinstance(value, str) and "id" in document:
                yield (str(document["id"]), key), value
            yield from _times(value)


def _newest_plain(tickets: Items, served: str | None) -> _Clue | None:
    times = [at for _, text in _times(tickets) if (at := _naive(text))]
    return _Clue(max(times), parsedate_to_datetime(served), proof=False) if times and served else None


def _zone_finding(clue: _Clue | None, given: str | None, known: list[str]) -> Finding:
    now = given or "UTC"
    if clue is None:
        detail = f"{now}, not checked: there is no ticket yet to go by, or its times say their zone"
        return Finding("zone", None, detail, "run it again once there is one")
    others = [zone for zone in known if clue.fits(zone) and clue.age(zone) != clue.age(now)]
    write = f'write zone = "{others[0]}" in [services.trengo]' if others else "write the zone of your Trengo account"
    if clue.excludes(now):
        return Finding("zone", False, f"Trengo's times are not in {now}: {_shown(clue, now)}", write)
    if clue.fits(now):
        sure = "proved by a time told both ways" if clue.proof else f"likely, not proved: {_shown(clue, now)}"
        return Finding("zone", True if given else None, f"{now}, {sure}", "" if given else f'write zone = "{now}"')
    fresh = "send yourself a message into Trengo, and run it again"
    detail = f"uncertain: {_shown(clue, now)}" + (f"; in {others[0]} {_shown(clue, others[0])}" if others else "")
    return Finding("zone", None, detail, f"if the last is true, {write}; else {fresh}" if others else fresh)


def _shown(clue: _Clue, zone: str) -> str:
    minutes = round(clue.age(zone).total_seconds() / 60)
    off = "is told" if clue.proof else "the newest ticket changed"
    where = f"{abs(minutes)} minutes {'from now' if minutes < 0 else 'ago'}"
    return f"one instant {off} {abs(minutes)} minutes apart" if clue.proof else f"{off} {where}"
