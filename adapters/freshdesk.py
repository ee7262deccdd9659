"""Freshdesk: tickets in, tags and private notes out.

API: v2. Used, yet not described: `_updated_since` on contacts, `updated_since` together with filter=spam and
     filter=deleted, and the stats status_updated_at, reopened_at and pending_since.
Auth: the API key of an agent with global ticket scope (basic, the key as the user's name). A key may do whatever its
     agent may; there are no narrower ones, so give Deskpulse an agent of its own.
Limits: a minute and account 200 calls (Growth), 400 (Pro), 700 (Enterprise), 50 (trial); of these 20, 100 or 200 lists
     of tickets. A third of Growth's unless told otherwise. 100 rows a page, 300 pages a list; a list of tickets with
     stats and descriptions costs 5 calls, a ticket with stats 2.
Gaps: the API keeps no history. Of the status it tells the last resolving, closing, reopening and change: what came
     before these and between two syncs is lost, and a resolving before the reopening is put right before it. Who
     resolved or assigned; assignments and groups before the first sync. Tickets archived before it (closed, 120 days
     untouched).
     When a survey was sent, so no csat_response_rate and csat_asked_rate; surveys of the newer customer-satisfaction
     API. Mails that automations send are mostly no messages; a script's or a bot's replies look like those of the agent
     whose key it has. Outgoing messages of a kind that is not documented have an unknown author and count for nothing.
     A merge is known by its note's words only. Parents, children and trackers are tickets like any other. Holidays, and
     hours that follow the group: a mailbox has those of its own group, all else the default ones.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from email.utils import mktime_tz, parsedate_tz
from functools import cached_property
from html import escape
from typing import Annotated, Any, ClassVar, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, field_validator

from connector.contract import AdapterSettings, Answer, Finding, Http, Seen, Service, TagChange, as_written, rows
from connector.errors import BadPayload, Rejected
from connector.models import (
    EARLIEST,
    LATEST,
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
    to_iso,
)

SOURCES = {
    # Code → (name, our kind). What a form begins goes on by e-mail. 5, 6 and 13 are not documented, but seen.
    1: ("Email", "email"),
    2: ("Portal", "email"),
    3: ("Phone", "phone"),
    5: ("X", "x"),
    6: ("Facebook", "facebook"),
    7: ("Chat", "live_chat"),
    9: ("Feedback widget", "email"),
    10: ("Outbound email", "email"),
    13: ("WhatsApp", "whatsapp"),
}
MAILBOX, OUTBOUND = 1, 10
STATUSES: dict[int, Status] = {2: "open", 3: "pending", 4: "done", 5: "done", 6: "pending", 7: "pending"}
"""6 and 7 are there from the start (waiting on the customer, on a third party), yet may be renamed; others are open."""
NOTE, FEEDBACK, FORWARDED = 2, 6, 8
SAID = (0, NOTE, 5, FEEDBACK, 7, FORWARDED, 9, 11)
"""What is documented of where a message comes from. These codes are not those of tickets."""
SCALE = (-103, -102, -101, 100, 101, 102, 103)
CLASSIC = {1: 3.0, 2: 2.0, 3: 1.0}
"""Classic surveys count the other way round: 1 is happy."""
QUESTION = "default_question"
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
REGIONS = ("Africa/", "America/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Pacific/")
ZONES = {
    "International Date Line West": "Etc/GMT+12", "American Samoa": "Pacific/Pago_Pago", "Samoa": "Pacific/Apia",
    "Midway Island": "Pacific/Midway", "Hawaii": "Pacific/Honolulu", "Alaska": "America/Juneau",
    "Arizona": "America/Phoenix", "Pacific Time (US & Canada)": "America/Los_Angeles",
    "Mountain Time (US & Canada)": "America/Denver", "Central Time (US & Canada)": "America/Chicago",
    "Eastern Time (US & Canada)": "America/New_York", "Indiana (East)": "America/Indiana/Indianapolis",
    "Atlantic Time (Canada)": "America/Halifax", "Newfoundland": "America/St_Johns", "Saskatchewan": "America/Regina",
    "Central America": "America/Guatemala", "Guadalajara": "America/Mexico_City", "Quito": "America/Lima",
    "Brasilia": "America/Sao_Paulo", "Georgetown": "America/Guyana", "Greenland": "America/Nuuk",
    "Mid-Atlantic": "Atlantic/South_Georgia", "Cape Verde Is.": "Atlantic/Cape_Verde", "Edinburgh": "Europe/London",
    "Bern": "Europe/Zurich", "Kyiv": "Europe/Kiev", "St. Petersburg": "Europe/Moscow",
    "West Central Africa": "Africa/Algiers", "Pretoria": "Africa/Johannesburg", "Abu Dhabi": "Asia/Muscat",
    "Ekaterinburg": "Asia/Yekaterinburg", "Islamabad": "Asia/Karachi", "Chennai": "Asia/Kolkata",
    "Mumbai": "Asia/Kolkata", "New Delhi": "Asia/Kolkata", "Sri Jayawardenepura": "Asia/Colombo",
    "Astana": "Asia/Almaty", "Hanoi": "Asia/Bangkok", "Beijing": "Asia/Shanghai", "Osaka": "Asia/Tokyo",
    "Sapporo": "Asia/Tokyo", "Canberra": "Australia/Sydney", "Solomon Is.": "Pacific/Guadalcanal",
    "New Caledonia": "Pacific/Noumea", "Marshall Is.": "Pacific/Majuro", "Wellington": "Pacific/Auckland",
    "Nuku'alofa": "Pacific/Tongatapu", "Tokelau Is.": "Pacific/Fakaofo", "Chatham Is.": "Pacific/Chatham",
}  # fmt: skip
"""Business hours name their zone by a city; here are those that are not the last word of a zone's usual name."""

API = "/api/v2"
TICKETS, ARCHIVE, RATINGS = f"{API}/tickets", f"{API}/tickets/archived", "/surveys/satisfaction_ratings"
PER_PAGE, MOST_PAGES, REREAD_AT_ONCE, LONGEST_TAG = 100, 300, 25, 32
GONE = 404
NOT_FOR_US, NO_SUCH_FILTER = (403, GONE), (400, 403, GONE)
"""Not in this plan, or not for this agent. A wrong key is 401."""
SECOND, MINUTE = 1000, 60_000
OVERLAP = 10 * MINUTE
"""Tickets that changed this shortly before the newest change seen are looked at again."""
SETTLED = 10 * SECOND
"""Times are whole seconds: what changed this shortly before an answer may change again without a newer time."""
ANSWER_CHANGES = 14 * 24 * 60 * MINUTE
"""Ratings of the last days are listed again: they can be filtered by creation only."""
GROWTH_A_MINUTE, OUR_SHARE, LISTS_SHARE = 200, 1 / 3, 1 / 10
"""The smallest paid plan's calls; what we allow ourselves of it; what of that may be lists of tickets or contacts."""
Query = dict[str, str | int]
EVERYTHING: Query = {"include": "stats,description"}
REMOVED: dict[str, Query] = {"spam": {"filter": "spam"}, "deleted": {"filter": "deleted"}}
WITHOUT = {
    "agents": ("/agents", "not readable: agents have no names, and what some who left wrote has an unknown author"),
    "groups": ("/groups", "not readable: teams have no names"),
    "mailboxes": ("/email_configs", "not readable: inboxes have no names"),
    "business hours": ("/business_hours", "not readable: give the opening hours in the config"),
    "ratings": (RATINGS, "not readable: no csat, csat_mean, csat_per_survey"),
    "surveys": ("/surveys", "not readable: every rating is placed on Freshdesk's seven steps"),
}


# --- what is read of the answers -------------------------------------------------------------------------------------


def _instant(value: Any) -> Instant:
    """All times are UTC. The documentation itself has hours of three digits."""
    if not isinstance(value, str):
        raise ValueError("not a time")
    return from_iso(re.sub(r"T0(\d\d):", r"T\1:", value))


When = Annotated[Instant, BeforeValidator(_instant)]
WhenOrNone = Annotated[Instant | None, BeforeValidator(lambda value: _instant(value) if value else None)]


class _Stats(BaseModel):
    resolved_at: WhenOrNone = None
    closed_at: WhenOrNone = None
    reopened_at: WhenOrNone = None
    status_updated_at: WhenOrNone = None
    pending_since: WhenOrNone = None


class _Ticket(BaseModel):
    id: int
    status: int
    source: int | None = None
    requester_id: int | None = None
    responder_id: int | None = None
    group_id: int | None = None
    email_config_id: int | None = None
    tags: list[str] | None = None
    description_text: str | None = None
    spam: bool | None = False
    deleted: bool | None = False
    stats: _Stats | None = None
    created_at: When
    updated_at: When
    settled: bool = True
    """Not Freshdesk's word, but ours: see SETTLED."""

    @property
    def version(self) -> Instant:
        """What is not settled is a little older than it says, so that it is read once more."""
        return self.updated_at if self.settled else self.updated_at - 1


class _Said(BaseModel):
    id: int
    body_text: str | None = None
    incoming: bool | None = False
    private: bool | None = False
    deleted: bool | None = False
    user_id: int | None = None
    source: int | None = None
    support_email: str | None = None
    created_at: When

    @property
    def own(self) -> bool:
        return bool(self.private) and (self.body_text or "").lstrip().startswith(OWN_NOTE_MARK)


class _Name(BaseModel):
    name: str | None = None


class _Agent(BaseModel):
    id: int
    contact: _Name = _Name()
    ticket_scope: int | None = None
    role_ids: list[int] | None = None


class _Contact(BaseModel):
    id: int
    language: str | None = None
    created_at: WhenOrNone = None
    updated_at: WhenOrNone = None


class _Group(BaseModel):
    id: int
    name: str | None = None
    business_hour_id: int | None = None


class _Mailbox(BaseModel):
    id: int
    name: str | None = None
    group_id: int | None = None


class _Span(BaseModel):
    start_time: str
    end_time: str


class _Hours(BaseModel):
    id: int
    is_default: bool | None = False
    time_zone: str | None = None
    business_hours: dict[str, _Span | None] | None = None


class _Rated(BaseModel):
    id: int
    ticket_id: int
    survey_id: int | None = None
    agent_id: int | None = None
    group_id: int | None = None
    ratings: dict[str, int | None]
    created_at: When


class _Question(BaseModel):
    id: str
    accepted_ratings: list[int] = []


class _Survey(BaseModel):
    id: int
    questions: list[_Question] = []


class _Sheet(NamedTuple):
    """One page of tickets; ``ids`` are those of all its rows, rejected ones too."""

    found: list[_Ticket]
    rejects: tuple[Reject, ...]
    ids: list[str]
    more: bool


class _Turn(NamedTuple):
    """A status that began; ``told`` when the vendor says so, else concluded."""

    at: Instant
    status: Status
    told: bool = True


# --- the adapter -----------------------------------------------------------------------------------------------------


class FreshdeskSettings(AdapterSettings):
    url: str = Field(description="where you open Freshdesk, like https://acme.freshdesk.com")
    api_key: SecretStr = Field(description="your picture → Profile settings → View API key")
    statuses: dict[int, Status] = Field({}, description="how your own statuses count, by number: { 8 = 'pending' }")
    merged_note: re.Pattern[str] = Field(
        re.compile(r"merged into (?:the )?ticket\D*(\d+)", re.IGNORECASE),
        description="what the note of a merge says; its brackets hold the other ticket's number",
    )
    requests_per_second: float = Field(
        GROWTH_A_MINUTE * OUR_SHARE / 60, gt=0, description="how many calls we allow ourselves"
    )

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        """The account's name alone will do, and so will what people copy from the address bar."""
        text = url.strip()
        parts = urlsplit(text if "://" in text else f"https://{text if '.' in text else f'{text}.freshdesk.com'}")
        if parts.scheme in ("http", "https") and re.fullmatch(r"[\w-]+\.freshdesk\.com", parts.hostname or ""):
            return f"https://{parts.hostname}"
        if parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1"):  # a stand-in for Freshdesk
            return f"http://{parts.netloc}"
        raise ValueError("write your account's own address, like https://acme.freshdesk.com: no other takes the key")

    @field_validator("merged_note")
    @classmethod
    def _one_number(cls, pattern: re.Pattern[str]) -> re.Pattern[str]:
        if pattern.groups != 1:
            raise ValueError(r"put the other ticket's number in brackets, like merged into ticket #(\d+)")
        return re.compile(pattern.pattern, re.IGNORECASE)


class Freshdesk:
    name: ClassVar[str] = "freshdesk"
    Settings: ClassVar[type[AdapterSettings]] = FreshdeskSettings
    streams: ClassVar[tuple[str, ...]] = ("directory", "contacts", "conversations", "spam", "deleted", "ratings")
    history: ClassVar[frozenset[str]] = frozenset({"status"})
    lacks: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("csat_response_rate", "csat_asked_rate"), "which surveys were offered is not told"),
        "first_response_time_from_handoff": "when a bot handed over is not told",
    }
    first_read: ClassVar[float] = 1.11
    reread_limit: ClassVar[int] = 50

    def __init__(self, settings: FreshdeskSettings, http: Http) -> None:
        self.settings, self.http = settings, http
        self.statuses = STATUSES | settings.statuses

    @staticmethod
    def service(settings: FreshdeskSettings) -> Service:
        ours = settings.requests_per_second
        lists = dict.fromkeys((f"GET {TICKETS}", f"GET {API}/contacts"), ours * LISTS_SHARE)
        key = (settings.api_key.get_secret_value(), "X")
        return Service(settings.url, auth=key, per_second=ours, budgets=lists)

    # pull

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]:
        if stream == "directory":
            return self._directory(cursor or {})
        if stream == "contacts":
            return self._contacts(cursor or {})
        if stream == "ratings":
            return self._ratings(cursor or {})
        if stream in REMOVED:
            return self._removed(cursor or {}, stream)
        return self._conversations(cursor or {}, seen)

    def _directory(self, cursor: Cursor) -> Iterator[Page]:
        """Short lists: a mark of what they hold tells whether there is anything new."""
        (agents, bad), (groups, bad_groups), (boxes, bad_boxes) = self._agents, self._groups, self._mailboxes
        records: list[Record] = [Channel(str(MAILBOX), SOURCES[MAILBOX][1])]
        records += [Inbox(str(box.id), box.name or "", str(MAILBOX), self._schedule(box.group_id)) for box in boxes]
        records += [Team(str(group.id), group.name or "") for group in groups]
        records += [Agent(str(agent.id), agent.contact.name or "") for agent in agents]
        mark = hashlib.sha256(repr(records).encode()).hexdigest()[:16]
        rejects = bad + bad_groups + bad_boxes + self._hours[1] + _strange_zones(self._hours[0])
        yield Page([] if mark == cursor.get("mark") else records, {"mark": mark}, rejects)

    def _contacts(self, cursor: Cursor) -> Iterator[Page]:
        """They come in no known order, so the cursor moves at the end. A row that is skipped costs a language only."""
        since, newest = cursor.get("since", EARLIEST), cursor.get("newest", 0)
        page = cursor.get("page", 1)
        for items, more in self._pages("/contacts", {"_updated_since": _iso(since)}, page):
            found, rejects = rows(_Contact, items, "contact")
            page, newest = page + 1, max([newest, *(one.updated_at or 0 for one in found)])
            following = {"since": since, "page": page, "newest": newest} if more else {"since": newest or since}
            new = [one for one in found if since == EARLIEST or one.updated_at is None or one.updated_at > since]
            yield Page([Contact(str(one.id), one.language, one.created_at) for one in new], following, rejects)

    def _conversations(self, cursor: Cursor, seen: Seen) -> Iterator[Page]:
        for sheet, following in self._oldest_first(cursor, EVERYTHING):
            records, rejects = self._with_children(sheet.found, seen)
            yield Page(records, following, sheet.rejects + rejects)

    def _removed(self, cursor: Cursor, kind: str) -> Iterator[Page]:
        """Spam and the trash are in no other list. Their messages are not read."""
        for sheet, following in self._oldest_first(cursor, REMOVED[kind]):
            marked = [ticket.model_copy(update={kind: True}) for ticket in sheet.found]
            yield Page(self._told(marked, {}), following, sheet.rejects)

    def _oldest_first(self, cursor: Cursor, which: Query) -> Iterator[tuple[_Sheet, Cursor]]:
        """Pages by time of change, each with the cursor that is true after it.

        A ticket that changes moves to the end and pulls those behind it up, past the page that is asked for next. So
        the next page is asked for as the first one since the last change seen; that also never comes near the last
        page there is. Where more tickets than a page changed within that second, their pages are walked again until
        nothing new is found.
        """
        since, page, newest = cursor.get("since", EARLIEST), cursor.get("page", 1), cursor.get("newest", 0)
        before, now = set[str](), set[str]()
        while True:
            sheet = self._sheet(which, since, page)
            if sheet is None:
                return
            times = [ticket.updated_at for ticket in sheet.found]
            last = times[-1] - SECOND if times and times == sorted(times) else EARLIEST
            newest, now = max([newest, *times]), now | set(sheet.ids)
            if sheet.more and last <= since:
                page += 1
            elif page > 1 and not now <= before:
                before, now, page = before | now, set(), 1
            elif sheet.more:
                since, page, before, now = last, 1, set(), set()
            else:
                yield sheet, {"since": newest - OVERLAP if newest else since}
                return
            yield sheet, {"since": since, "page": page, "newest": newest}

    def _sheet(self, which: Query, since: Instant, page: int) -> _Sheet | None:
        """Without updated_since, there would be nothing older than 30 days. None where there is no such filter."""
        if page > MOST_PAGES:
            changed = f"more than {MOST_PAGES * PER_PAGE} tickets changed in the second after {_iso(since)}"
            raise BadPayload(f"{changed}, and Freshdesk lists no more of them: what came before is kept")
        order: Query = {"updated_since": _iso(since), "order_by": "updated_at", "order_type": "asc"}
        absent = NO_SUCH_FILTER if "filter" in which else ()
        answer = self.http.find(TICKETS, {**which, **order, "per_page": PER_PAGE, "page": page}, absent)
        if answer is None:
            return None
        items = _items(answer)
        found, rejects = _tickets(answer, items)
        return _Sheet(found, rejects, [str(_inside(item, "id")) for item in items], _more(answer))

    def _ratings(self, cursor: Cursor) -> Iterator[Page]:
        """They come in no known order, so the cursor moves at the end."""
        since = newest = cursor.get("since", EARLIEST)
        params: Query = {"created_since": _iso(max(since - ANSWER_CHANGES, EARLIEST))}
        for items, _ in self._pages(RATINGS, params):
            found, rejects = rows(_Rated, items, "rating")
            known, strange = self._scored(found)
            newest = max([newest, *(one.created_at for one in found)])
            yield Page(list(known), None, rejects + strange)
        yield Page([], {"since": newest})

    def _scored(self, found: list[_Rated]) -> tuple[list[Rating], tuple[Reject, ...]]:
        scored = [(one, _score(one.ratings.get(QUESTION), self._scales.get(one.survey_id, SCALE))) for one in found]
        strange = [
            Reject("rating", str(one.id), f"ratings.{QUESTION}: on no known scale")
            for one, score in scored
            if not score
        ]
        return [_rating(one, score) for one, score in scored if score], tuple(strange)

    # reread

    def reread(self, ids: Sequence[str], seen: Seen) -> Iterator[Page]:
        """An archived ticket is not gone: it has moved. One that this agent may see no longer stays as it was."""
        for start in range(0, len(ids), REREAD_AT_ONCE):
            some = ids[start : start + REREAD_AT_ONCE]
            paths = (f"{TICKETS}/{one}?include=stats" for one in some)
            answers = dict(zip(some, self.http.each(paths, NOT_FOR_US), strict=True))
            missing = [one for one, answer in answers.items() if answer is None and self._is_gone(one)]
            stored_away = {one: self.http.find(f"{ARCHIVE}/{one}", None, NOT_FOR_US) for one in missing}
            gone = [Event(f"{one}:gone", one, None, "deleted") for one, a in stored_away.items() if a is None]
            yield self._read_again(answers.values(), seen, TICKETS, gone)
            if len(gone) < len(missing):
                yield self._read_again(stored_away.values(), seen, ARCHIVE, [])

    def _is_gone(self, ticket: str) -> bool:
        return self.http.status(f"{TICKETS}/{ticket}", NOT_FOR_US) == GONE

    def _read_again(self, answers: Iterable[Answer | None], seen: Seen, root: str, gone: list[Event]) -> Page:
        read = [_tickets(answer, [answer.json()]) for answer in answers if answer]
        records, rejects = self._with_children([ticket for found, _ in read for ticket in found], seen, root)
        return Page([*gone, *records], None, (*(reject for _, bad in read for reject in bad), *rejects))

    def _with_children(
        self, tickets: list[_Ticket], seen: Seen, root: str = TICKETS
    ) -> tuple[list[Record], tuple[Reject, ...]]:
        """Tickets with their messages; one whose version is stored already costs no call."""
        fresh = [one for one in tickets if _removal(one) or not seen(str(one.id), one.updated_at)]
        read = self._messages([one.id for one in fresh if not _removal(one)], root)
        said: dict[int, list[_Said]] = {}
        rejects: tuple[Reject, ...] = ()
        for ticket, items in read.items():
            said[ticket], bad = rows(_Said, items, "message")
            rejects += bad
        return self._told([one for one in fresh if _removal(one) or one.id in said], said), rejects

    def _messages(self, ids: list[int], root: str = TICKETS) -> dict[int, list[Any]]:
        """All rows of each ticket, side by side; a ticket that has vanished meanwhile is left out."""
        found: dict[int, list[Any]] = {}
        wanted = dict.fromkeys(ids, 1)
        while wanted:
            paths = [f"{root}/{one}/conversations?per_page={PER_PAGE}&page={page}" for one, page in wanted.items()]
            following: dict[int, int] = {}
            for (one, page), answer in zip(wanted.items(), self.http.each(paths), strict=True):
                if answer:
                    items = _items(answer)
                    _other_than(found.get(one, [])[-len(items) :] if items else None, items)
                    found.setdefault(one, []).extend(items)
                    following |= {one: page + 1} if items and _more(answer) else {}
                else:
                    found.pop(one, None)
            wanted = following
        return found

    def _told(self, tickets: list[_Ticket], said: Mapping[int, list[_Said]]) -> list[Record]:
        """Tickets with all that is their own, after what they share with others."""
        sources = dict.fromkeys(ticket.source for ticket in tickets if ticket.source is not None)
        shared: list[Record] = [_channel(source) for source in sources]
        shared += [
            self._desk(one) for one in sources if any(t.source == one and not t.email_config_id for t in tickets)
        ]
        own: list[Record] = []
        for ticket in tickets:
            heard = [one for one in said.get(ticket.id, []) if not (one.private and one.deleted)]
            status = self.statuses.get(ticket.status, "open")
            own.append(_conversation(ticket, status, f"{self.settings.url}/a/tickets/{ticket.id}"))
            if ticket.id in said:
                own += [_description(ticket), *(_message(one, ticket, self._staff) for one in heard)]
            own += _events(ticket, status, _merge(ticket, status, heard, self.settings.merged_note))
        return [*shared, *own]

    def _desk(self, source: int) -> Inbox:
        """What came by no mailbox came by its source's own desk, which has the default hours."""
        return Inbox(
            f"source-{source}", SOURCES.get(source, (f"Source {source}", ""))[0], str(source), self._schedule()
        )

    # lists that are read once

    def _pages(self, path: str, params: Query, page: int = 1) -> Iterator[tuple[list[Any], bool]]:
        """Pages and whether there are more; none where the plan or the agent has no such list. A list that is refused
        on its way is no list that has ended: what is listed by creation only would never be asked for again."""
        before: list[Any] | None = None
        refused: tuple[int, ...] = NOT_FOR_US
        while answer := self.http.find(f"{API}{path}", {**params, "per_page": PER_PAGE, "page": page}, refused):
            before = _other_than(before, _items(answer))
            yield before, _more(answer)
            if not _more(answer):
                return
            page, refused = page + 1, ()

    def _all(self, path: str) -> list[Any]:
        return [item for items, _ in self._pages(path, {}) for item in items]

    @cached_property
    def _agents(self) -> tuple[list[_Agent], tuple[Reject, ...]]:
        return rows(_Agent, self._all("/agents"), "agent")

    @cached_property
    def _staff(self) -> frozenset[int]:
        return frozenset(agent.id for agent in self._agents[0])

    @cached_property
    def _groups(self) -> tuple[list[_Group], tuple[Reject, ...]]:
        return rows(_Group, self._all("/groups"), "team")

    @cached_property
    def _mailboxes(self) -> tuple[list[_Mailbox], tuple[Reject, ...]]:
        return rows(_Mailbox, self._all("/email_configs"), "inbox")

    @cached_property
    def _hours(self) -> tuple[list[_Hours], tuple[Reject, ...]]:
        return rows(_Hours, self._all("/business_hours"), "inbox")

    def _schedule(self, group: int | None = None) -> Schedule | None:
        """The group's hours, else the account's default ones."""
        wanted = next((one.business_hour_id for one in self._groups[0] if one.id == group), None)
        hours = self._hours[0]
        default = next((one for one in hours if one.is_default), None)
        return _week(next((one for one in hours if one.id == wanted), default))

    @cached_property
    def _scales(self) -> dict[int | None, tuple[int, ...]]:
        """What each survey's answer may be, worst first. Surveys that are off today have answers, too."""
        found = rows(_Survey, self._all("/surveys"), "survey")[0]
        asked = {survey.id: question for survey in found for question in survey.questions if question.id == QUESTION}
        return {id_: _steps(question.accepted_ratings) for id_, question in asked.items()}

    # tag

    @staticmethod
    def tag_name(tag: str) -> str:
        """At most 32 characters, and no comma: that is where one tag ends."""
        return re.sub(r"[\s,]+", " ", tag).strip()[:LONGEST_TAG].strip()

    def tags(self, conversation: str) -> tuple[str, ...]:
        return tuple(map(str, _inside(self.http.get(f"{TICKETS}/{conversation}").json(), "tags") or []))

    def add_tag(self, conversation: str, tag: str) -> TagChange:
        """Rejected when what is read back is not the union of what was there and ours."""
        name, before = self.tag_name(tag), self.tags(conversation)
        return TagChange(before, before) if name in before else self._replace(conversation, before, (*before, name))

    def remove_tag(self, conversation: str, tag: str) -> TagChange:
        """Rejected when what is read back is not what was there without ours."""
        name, before = self.tag_name(tag), self.tags(conversation)
        kept = tuple(other for other in before if other != name)
        return TagChange(before, before) if kept == before else self._replace(conversation, before, kept)

    def _replace(self, conversation: str, before: tuple[str, ...], wanted: tuple[str, ...]) -> TagChange:
        """Freshdesk can only replace all tags, on no condition; so what it made of them is read back."""
        self.http.send("PUT", f"{TICKETS}/{conversation}", {"tags": list(wanted)})
        after = self.tags(conversation)
        return as_written(f"ticket {conversation}", "Freshdesk", before, wanted, after)

    # note

    def add_note(self, conversation: str, text: str) -> str:
        """Rejected when what is read back is not our private note."""
        body = {"body": f"<div>{escape(text, quote=False)}</div>".replace("\n", "<br>"), "private": True}
        note = str(_inside(self.http.send("POST", f"{TICKETS}/{conversation}/notes", body).json(), "id"))
        written = self._note(conversation, note)
        if not (written and written.own):
            raise Rejected(f"ticket {conversation}: what was written is not there as a private note; look at it")
        return note

    def find_note(self, conversation: str, text: str) -> str | None:
        same = [
            str(one.id) for one in self._notes(conversation) if one.own and _letters(one.body_text) == _letters(text)
        ]
        return same[-1] if same else None

    def remove_note(self, conversation: str, note: str) -> None:
        """Rejected when it is not a note of ours: the same call would delete what was said to a customer."""
        found = self._note(conversation, note)
        if found is None:
            return
        if not found.own:
            raise Rejected(f"message {note} of ticket {conversation} is not a note of ours: it was left alone")
        self.http.send("DELETE", f"{API}/conversations/{note}")

    def _note(self, conversation: str, note: str) -> _Said | None:
        return next((one for one in self._notes(conversation) if str(one.id) == note), None)

    def _notes(self, conversation: str) -> list[_Said]:
        found = rows(_Said, self._messages([int(conversation)]).get(int(conversation), []), "message")[0]
        return [one for one in found if not one.deleted]

    # probe

    def probe(self) -> Iterator[Finding]:
        answer = self.http.get(f"{API}/agents/me")
        for me in rows(_Agent, [answer.json()], "agent")[0]:
            yield Finding("identity", True, me.contact.name or str(me.id))
            yield _scope(me.ticket_scope)
            yield from self._role(me.role_ids or [])
        yield _limit(answer.headers, self.settings.requests_per_second)
        yield from self._what_it_feeds()
        yield from self._own_statuses()
        lost = "Freshdesk does not tell when one was sent: no csat_response_rate, no csat_asked_rate"
        yield Finding("surveys sent", None, lost)
        lost = "their history begins with the first sync: before it, today's agent and group count for all times"
        yield Finding("assignments", None, lost)

    def _role(self, ids: list[int]) -> Iterator[Finding]:
        names = {_inside(role, "id"): str(_inside(role, "name")) for role in self._all("/roles")}
        mine = [names[one] for one in ids if one in names]
        if any("Account Administrator" in name for name in mine):
            remedy = "Admin → Agents → give Deskpulse's agent the role Administrator"
            yield Finding(
                "role", None, "Account Administrator: it may also close the account, which is not needed", remedy
            )
        elif mine:
            yield Finding("role", True, ", ".join(mine))

    def _what_it_feeds(self) -> Iterator[Finding]:
        all_times: Query = {"updated_since": _iso(EARLIEST), "per_page": 1}
        yield from _history(_items(self.http.get(TICKETS, {**all_times, "include": "stats"})))
        for check, which in REMOVED.items():
            lost = "cannot be listed: such tickets stay in all KPIs until they are read again one by one"
            yield _available(check, self.http.find(TICKETS, {**all_times, **which}, NO_SUCH_FILTER), lost)
        for check, (path, lost) in WITHOUT.items():
            yield _available(check, self.http.find(f"{API}{path}", {"per_page": 1}, NOT_FOR_US), lost)

    def _own_statuses(self) -> Iterator[Finding]:
        answer = self.http.find(f"{API}/ticket_fields", {"type": "default_status"}, NOT_FOR_US)
        fields = _items(answer) if answer else []
        named = {code: name for field in fields for code, name in _codes(_inside(field, "choices"))}
        own = {code: name for code, name in named.items() if code not in (2, 3, 4, 5)}
        counted = ", ".join(f"{code} {name}: {self.statuses.get(code, 'open')}" for code, name in sorted(own.items()))
        settled = own.keys() <= self.statuses.keys()
        if own:
            remedy = "" if settled else "say how they count, like statuses = { 8 = 'pending' }"
            yield Finding("statuses", settled or None, counted, remedy)


# --- reading lists ---------------------------------------------------------------------------------------------------


def _inside(document: Any, *path: str) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _items(answer: Answer) -> list[Any]:
    """The answer's rows; BadPayload when it is no list."""
    found = answer.json()
    if not isinstance(found, list):
        raise BadPayload("Freshdesk's answer is no list: nothing of it was kept, run it again later")
    return found


def _tickets(answer: Answer, items: list[Any]) -> tuple[list[_Ticket], tuple[Reject, ...]]:
    """Whether one is settled is told by Freshdesk's own clock, which comes with every answer."""
    found, rejects = rows(_Ticket, items, "conversation")
    date = parsedate_tz(answer.headers.get("date", ""))
    settled = mktime_tz(date) * SECOND - SETTLED if date else LATEST
    return [one.model_copy(update={"settled": one.updated_at < settled}) for one in found], rejects


def _more(answer: Answer) -> bool:
    """Only the header tells; a full page need not be followed by another."""
    return re.search(r'rel="?next\b', answer.headers.get("link", "")) is not None


def _other_than(before: list[Any] | None, items: list[Any]) -> list[Any]:
    """The rows of a page; BadPayload when they are those of the page before, or two pages have none."""
    if items == before:
        raise BadPayload("Freshdesk gave the same page twice, so its list has no end: what came before it was kept")
    return items


def _iso(instant: Instant) -> str:
    """As Freshdesk takes it: without the milliseconds."""
    return f"{to_iso(instant)[:19]}Z"


# --- from their words to ours ----------------------------------------------------------------------------------------


def _scope(scope: int | None) -> Finding:
    if scope == 1:
        return Finding("ticket scope", True, "global")
    remedy = "Admin → Agents → edit the agent → Ticket scope: Global access"
    return Finding("ticket scope", None, "not global: KPIs are of the tickets that this agent may see only", remedy)


def _limit(headers: Mapping[str, str], ours: float) -> Finding:
    total = headers.get("x-ratelimit-total", "")
    if not total.isdecimal():
        remedy = "ask Freshdesk's support for limits by the minute"
        return Finding("rate limit", None, "not told: an old account may be limited by the hour", remedy)
    share = ours * 60 / max(int(total), 1)
    detail = f"{total} calls a minute for the whole account, {share:.0%} of them at most are ours"
    fits = share <= 1 / 2
    remedy = "" if fits else f"set requests_per_second to {int(total) * OUR_SHARE / 60:.2f}"
    return Finding("rate limit", fits or None, detail, remedy)


def _history(tickets: list[Any]) -> Iterator[Finding]:
    stats = next((_inside(ticket, "stats") or {} for ticket in tickets), None)
    if stats is None:
        yield Finding("tickets", None, "there are none yet")
        return
    yield Finding("tickets", True, "readable")
    missing = [name for name in ("resolved_at", "reopened_at", "status_updated_at") if name not in stats]
    lost = f"without {', '.join(missing)}: resolution_time is approximate, reopens and reopen_rate are incomplete"
    yield Finding("status history", None if missing else True, lost if missing else "last changes are told")


def _available(check: str, answer: Answer | None, lost: str) -> Finding:
    remedy = "Admin → Agents → give Deskpulse's agent the role Administrator; else it is not in the plan"
    return Finding(check, True, "readable") if answer else Finding(check, None, lost, remedy)


def _codes(choices: Any) -> Iterator[tuple[int, str]]:
    for code, names in choices.items() if isinstance(choices, dict) else ():
        if str(code).isdecimal():
            yield int(code), str(names[0] if isinstance(names, list) and names else names)


def _channel(source: int) -> Channel:
    return Channel(str(source), SOURCES.get(source, ("", "other"))[1])


def _zone(name: str | None) -> str | None:
    """An IANA zone for Freshdesk's name; None for a name that nobody knows."""
    if name in available_timezones():
        return name
    city = f"/{(name or '').replace(' ', '_')}"
    usual = (zone for zone in sorted(available_timezones()) if zone.startswith(REGIONS) and zone.endswith(city))
    return ZONES.get(name or "") or next(usual, None)


def _strange_zones(hours: list[_Hours]) -> tuple[Reject, ...]:
    strange = [one for one in hours if _zone(one.time_zone) is None]
    return tuple(
        Reject("inbox", f"hours {one.id}", "time_zone: unknown, so these hours are left out") for one in strange
    )


def _week(hours: _Hours | None) -> Schedule | None:
    zone = _zone(hours.time_zone) if hours else None
    if not hours or not hours.business_hours or zone is None:
        return None
    return Schedule(zone, tuple(_day(hours.business_hours.get(day)) for day in DAYS))


def _day(span: _Span | None) -> tuple[tuple[int, int], ...]:
    """A day that ends at 11:59 pm ends at midnight."""
    start, end = (_minute(span.start_time), _minute(span.end_time)) if span else (None, None)
    if start is None or end is None:
        return ()
    end = 1440 if end in (0, 1439) else end
    return ((start, end),) if start < end else ()


def _minute(text: str) -> int | None:
    """Minutes since midnight of "8:00 am"; None where it is no time."""
    found = re.fullmatch(r"(\d{1,2}):(\d\d)\s*([ap])\.?m\.?", text.strip().lower())
    if not found:
        return None
    return int(found[1]) % 12 * 60 + int(found[2]) + (720 if found[3] == "p" else 0)


def _removal(ticket: _Ticket) -> EventKind | None:
    return "deleted" if ticket.deleted else "spam" if ticket.spam else None


def _conversation(ticket: _Ticket, status: Status, link: str) -> Conversation:
    """What is removed waits for nobody, and has no version, so that it is read whole should it be restored."""
    removed = _removal(ticket) is not None
    desk = f"source-{ticket.source}" if ticket.source is not None else None
    return Conversation(
        id=str(ticket.id),
        created_at=ticket.created_at,
        status="done" if removed else status,
        changed_at=None if removed else ticket.version,
        inbox=_id(ticket.email_config_id) or desk,
        channel=_id(ticket.source),
        contact=_id(ticket.requester_id),
        team=_id(ticket.group_id),
        agent=_id(ticket.responder_id),
        link=link,
        tags=tuple(sorted(ticket.tags or [])),
    )


def _id(number: int | None) -> str | None:
    return str(number) if number else None


def _description(ticket: _Ticket) -> Message:
    """What the customer wrote first is the ticket's description, and no message. An outbound e-mail is the agent's."""
    ours = ticket.source == OUTBOUND
    return Message(
        id=f"{ticket.id}:description",
        conversation=str(ticket.id),
        at=ticket.created_at,
        author="human" if ours else "customer",
        author_id=None if ours else _id(ticket.requester_id),
        length=len(ticket.description_text or ""),
        body=ticket.description_text or "",
    )


def _message(one: _Said, ticket: _Ticket, staff: frozenset[int]) -> Message:
    kind, author, text = _kind(one), _author(one, ticket, staff), "" if one.deleted else one.body_text or ""
    return Message(
        id=str(one.id),
        conversation=str(ticket.id),
        at=one.created_at,
        author=author,
        author_id=_id(one.user_id) if author in ("customer", "human") else None,
        public=kind != "note",
        kind=kind,
        length=len(text),
        own=one.own,
        body=text,
    )


def _kind(one: _Said) -> MessageKind:
    """What is forwarded goes to somebody else than the customer."""
    if one.source == FEEDBACK:
        return "survey"
    return "note" if one.private or one.source == FORWARDED else "message"


def _author(one: _Said, ticket: _Ticket, staff: frozenset[int]) -> Author:
    """Private and incoming is what somebody else answered to a forwarded message."""
    asked = one.user_id is not None and one.user_id == ticket.requester_id
    if one.incoming:
        return "customer" if asked or not one.private else "unknown"
    if one.source not in SAID:
        return "unknown"
    if one.user_id in staff:
        return "human"
    if asked:
        return "customer"
    # Somebody who is an agent no longer: only agents write private notes, or from a support address.
    return "human" if one.private or one.support_email else "unknown"


def _letters(text: str | None) -> str:
    """Without blanks: what becomes of a line's end on its way through HTML is not told."""
    return "".join((text or "").split())


def _merge(ticket: _Ticket, status: Status, said: list[_Said], note: re.Pattern[str]) -> Event | None:
    """A ticket that was merged is closed, and a note that says so is the last of its messages."""
    last = max(said, key=lambda one: (one.created_at, one.id), default=None)
    if last is None or status != "done" or last.incoming or last.source != NOTE:
        return None
    found = note.search(" ".join((last.body_text or "").split()))
    into = found[1] if found else None
    if into is None or into == str(ticket.id):
        return None
    return Event(f"{ticket.id}:now", str(ticket.id), last.created_at, "merged", into)


def _events(ticket: _Ticket, status: Status, merged: Event | None) -> list[Event]:
    """Each change that is told stays, by its time; what the ticket is now is one more event, which moves with it.

    So a ticket that is spam, deleted or merged is that only for as long as Freshdesk says so.
    """
    name, turns, told = str(ticket.id), _turns(ticket, status), list[Event]()
    for number, turn in enumerate(turns):
        was = turns[number - 1].status if number else None
        told.append(
            Event(f"{name}:{turn.status}:{turn.at}", name, turn.at, "status", turn.status, was, derived=not turn.told)
        )
    if kind := _removal(ticket):
        return [Event(f"{name}:now", name, ticket.updated_at, kind)]
    at = turns[-1].at if turns else ticket.created_at
    return [*told, merged or Event(f"{name}:now", name, at, "status", status, derived=True)]


def _turns(ticket: _Ticket, status: Status) -> list[_Turn]:
    """What the stats tell, in order, without what changes nothing; it ends with the present status."""
    stats = ticket.stats or _Stats()
    known = [_Turn(at, "done") for at in (stats.resolved_at, stats.closed_at) if at]
    if stats.reopened_at:
        # What is reopened was done before; when, is told no more.
        known += [_Turn(stats.reopened_at - 1, "done", told=False), _Turn(stats.reopened_at, "open")]
    turns: list[_Turn] = []
    for turn in sorted(known):
        turns += [turn] if turn.status != (turns[-1].status if turns else "open") else []
    present = turns[-1] if turns else _Turn(ticket.created_at, "open")
    if present.status != status:
        since = stats.status_updated_at or (stats.pending_since if status == "pending" else None)
        turns.append(_Turn(max(since or ticket.updated_at, present.at), status, told=since is not None))
    return turns


def _steps(accepted: list[int]) -> tuple[int, ...]:
    """A survey's own steps, worst first; all seven where its own are lopsided, so that neutral stays in the middle."""
    steps = tuple(code for code in SCALE if code in accepted)
    even = len(steps) > 1 and sum(code < 0 for code in steps) == sum(code > 100 for code in steps)
    return steps if even and len(steps) == len(accepted) else SCALE


def _score(code: int | None, steps: tuple[int, ...]) -> tuple[float, float, float] | None:
    """(score, lowest, highest), higher is better: the code's place among its survey's steps, since the codes themselves
    are no measure (100 is neutral, 101 happy, -101 unhappy). Two steps are 0 and 1."""
    if code in CLASSIC:
        return CLASSIC[code], 1, 3
    own = steps if code in steps else SCALE
    if code is None or code not in own:
        return None
    low = 0 if len(own) == 2 else 1
    return own.index(code) + low, low, len(own) - 1 + low


def _rating(one: _Rated, score: tuple[float, float, float]) -> Rating:
    value, low, high = score
    return Rating(
        id=str(one.id),
        conversation=str(one.ticket_id),
        answers=((one.created_at, value),),
        low=low,
        high=high,
        agent=_id(one.agent_id),
        team=_id(one.group_id),
        survey=_id(one.survey_id),
    )
