"""Zendesk Support: tickets in, tags and internal notes out.

API: the Support API v2. Tickets come from the incremental export by cursor; the words and the history of each from its
     audits, and those of messaging from its conversation log.
Auth: an administrator's API token with its e-mail address (basic), or an OAuth token (bearer) with the scopes `read`,
     and `tickets:write` to push. Exports and survey responses are refused to anyone else.
Limits: a minute and account 200 requests (Team) to 700 (Enterprise); of these 10 exports, 100 conversation logs, 100
     changes of tickets. A third of each, of the smallest plan's, unless told otherwise. 1,000 tickets an export page,
     100 rows of anything else.
Gaps: bots' handoffs; calls; campaigns (they look like agents or automations); people who answer from another program
     (they are integrations); agents who have left, on tickets they neither had nor noted; imported tickets whose
     audits carry the old dates; suspended tickets; which schedule a ticket follows where there are several (none is
     taken then); a second legacy survey on a ticket (it counts as another answer to the first); an answer changed
     before the first sync (the latest counts, at the time of the first), or after four weeks; the scale of a survey
     that nobody has rated well yet (5 is assumed); the audits of a ticket deleted before the first sync; customers who
     never wrote. A note cannot be deleted. NPS has ended, CES never was.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import cache, cached_property
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit
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
)

CHANNELS = {
    **dict.fromkeys(("email", "web"), "email"),  # a web form is answered by e-mail
    **dict.fromkeys(("chat", "native_messaging"), "live_chat"),
    **dict.fromkeys(("voice", "phone"), "phone"),
    **dict.fromkeys(("facebook", "facebook_messenger"), "facebook"),
    **dict.fromkeys(("twitter", "twitter_dm"), "x"),
    **dict.fromkeys(("instagram", "instagram_dm"), "instagram"),
    "whatsapp": "whatsapp",
    "sms": "sms",
    "telegram": "telegram",
}
MESSAGING = ("chat", "native_messaging", "whatsapp", "instagram_dm", "facebook_messenger", "twitter_dm", "telegram")
"""Their words are in the conversation log; the one comment that comes out of them is a transcript."""
STATUSES: dict[str, Status] = {
    **dict.fromkeys(("new", "open"), "open"),
    "pending": "pending",
    "hold": "snoozed",
    **dict.fromkeys(("solved", "closed", "deleted"), "done"),
}
FIELDS: dict[str, EventKind] = {
    "status": "status", "custom_status_id": "status", "assignee_id": "assigned", "group_id": "team",
}  # fmt: skip
SPEAKERS: dict[str, Author] = {
    **dict.fromkeys(("user", "end-user"), "customer"),
    "agent": "human",
    "bot": "bot",
    "system": "automation",
}
STAFF = ("agent", "admin")
SYSTEM = -1
SCORES = {"good": 1.0, "bad": 0.0}
MERGED, DELETED = "closed_by_merge", "deleted"
ZONES = {
    "International Date Line West": "Etc/GMT+12", "Midway Island": "Pacific/Midway", "Samoa": "Pacific/Apia",
    "American Samoa": "Pacific/Pago_Pago", "Pacific Time (US & Canada)": "America/Los_Angeles",
    "Mountain Time (US & Canada)": "America/Denver", "Central Time (US & Canada)": "America/Chicago",
    "Eastern Time (US & Canada)": "America/New_York", "Atlantic Time (Canada)": "America/Halifax",
    "Indiana (East)": "America/Indiana/Indianapolis", "Saskatchewan": "America/Regina",
    "Central America": "America/Guatemala", "Guadalajara": "America/Mexico_City", "Quito": "America/Lima",
    "Newfoundland": "America/St_Johns", "Brasilia": "America/Sao_Paulo", "Georgetown": "America/Guyana",
    "Greenland": "America/Godthab", "Mid-Atlantic": "Atlantic/South_Georgia", "Cape Verde Is.": "Atlantic/Cape_Verde",
    "Edinburgh": "Europe/London", "Bern": "Europe/Zurich", "West Central Africa": "Africa/Algiers",
    "Pretoria": "Africa/Johannesburg", "Kyiv": "Europe/Kiev", "St. Petersburg": "Europe/Moscow",
    "Abu Dhabi": "Asia/Muscat", "Ekaterinburg": "Asia/Yekaterinburg", "Islamabad": "Asia/Karachi",
    **dict.fromkeys(("Chennai", "Mumbai", "New Delhi"), "Asia/Kolkata"), "Sri Jayawardenepura": "Asia/Colombo",
    "Astana": "Asia/Almaty", "Hanoi": "Asia/Bangkok", "Beijing": "Asia/Shanghai", "Ulaanbaatar": "Asia/Ulaanbaatar",
    "Ulaan Bataar": "Asia/Ulaanbaatar", **dict.fromkeys(("Osaka", "Sapporo"), "Asia/Tokyo"),
    "Canberra": "Australia/Melbourne", "Solomon Is.": "Pacific/Guadalcanal", "New Caledonia": "Pacific/Noumea",
    "Marshall Is.": "Pacific/Majuro", "Wellington": "Pacific/Auckland", "Nuku'alofa": "Pacific/Tongatapu",
    "Tokelau Is.": "Pacific/Fakaofo", "Chatham Is.": "Pacific/Chatham",
}  # fmt: skip
"""Schedules name their zone by a city; here are those that are not the last word of a zone's usual name."""

API = "/api/v2"
TICKETS = f"{API}/tickets"
EXPORT = f"{API}/incremental/tickets/cursor.json"
ALL = {"support_type_scope": "all"}
"""Unless told otherwise, the export leaves out what an AI agent handled alone."""
SCHEDULES = f"{API}/business_hours/schedules"
AUDITS, LOG = ("audits.json?include=users&", "audits"), ("conversation_log?", "events")
"""A ticket's own lists: where they are, and what they are called in their answers."""
LEGACY, SURVEYS = f"{API}/satisfaction_ratings.json", f"{API}/guide/survey_responses"
EXPORT_PAGE, PAGE, AT_ONCE, REREAD_AT_ONCE = 1000, 100, 50, 100
TEAM_PLAN, EXPORTS, LOGS, UPDATES = 200, 10, 100, 100
"""Documented limits, in requests a minute; a third of each is ours."""
OUR_SHARE = 1 / 3 / 60
NOT_IN_PLAN = (403, 404)
EXPIRED = (400, 404, 410, 422)
OVERLAP_S = 600
SURVEY_LIFE = 28 * 24 * 3600_000
"""A survey can be answered, and its answer changed in place, for four weeks after it was offered."""
IMPORT_LATER = 24 * 3600_000
LONGEST_HOLIDAY = 366
BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
Query = dict[str, str | int | Sequence[str]]
Listed = tuple[int, tuple[str, str]]
"""One of the own lists of a ticket."""
T = TypeVar("T", bound=BaseModel)


# --- what is read of the answers -------------------------------------------------------------------------------------

When = Annotated[Instant, BeforeValidator(lambda value: from_iso(value) if isinstance(value, str) else None)]


def _object(value: Any) -> Any:
    return value if isinstance(value, dict) else {}


class _Source(BaseModel):
    rel: str | None = None
    origin: Annotated[dict[str, Any], BeforeValidator(_object), Field(alias="from")] = {}
    to: Annotated[dict[str, Any], BeforeValidator(_object)] = {}


class _Via(BaseModel):
    channel: Annotated[str | None, BeforeValidator(lambda value: None if value is None else str(value))] = None
    source: Annotated[_Source, BeforeValidator(_object)] = _Source()


Through = Annotated[_Via, BeforeValidator(_object)]


class _Named(BaseModel):
    """A group, a brand."""

    id: int
    name: str | None = None


class _User(_Named):
    role: str | None = None
    locale: str | None = None
    created_at: When | None = None


class _Ticket(BaseModel):
    id: int
    status: str
    created_at: When
    updated_at: When
    custom_status_id: int | None = None
    via: Through = _Via()
    requester_id: int | None = None
    assignee_id: int | None = None
    group_id: int | None = None
    brand_id: int | None = None
    tags: list[str] | None = None
    from_messaging_channel: bool | None = False

    @property
    def messaging(self) -> bool:
        return bool(self.from_messaging_channel) or self.via.channel in MESSAGING


class _Change(BaseModel):
    """One event of an audit; only comments and changes of a few fields are of interest."""

    id: int
    type: str
    field_name: str | None = None
    value: Any = None
    author_id: int | None = None
    body: str | None = None
    plain_body: str | None = None
    public: bool | None = True
    via: Through = _Via()

    @property
    def text(self) -> str:
        return self.plain_body or self.body or ""


class _Audit(BaseModel):
    id: int
    created_at: When
    author_id: int | None = None
    via: Through = _Via()
    events: list[_Change] = []


class _Author(BaseModel):
    type: str | None = None
    id: int | str | None = None
    support_id: int | None = Field(default=None, alias="zen:support:user_id")


class _Line(BaseModel):
    id: str
    created_at: When
    author: Annotated[_Author, BeforeValidator(_object)] = _Author()
    content: Annotated[dict[str, Any], BeforeValidator(_object)] = {}

    @property
    def text(self) -> str:
        return str(self.content.get("text") or self.content.get("body") or "")


class _Comment(BaseModel):
    id: int
    body: str | None = None
    plain_body: str | None = None
    public: bool

    @property
    def text(self) -> str:
        return self.plain_body or self.body or ""

    @property
    def own(self) -> bool:
        return not self.public and self.text.startswith(OWN_NOTE_MARK)


class _Score(BaseModel):
    id: int
    ticket_id: int
    score: str
    assignee_id: int | None = None
    group_id: int | None = None
    created_at: When
    updated_at: When


class _Reply(BaseModel):
    """An answer to one question of a survey."""

    type: str
    rating: float | None = None
    rating_category: str | None = None
    question: Annotated[dict[str, Any], BeforeValidator(_object)] = {}
    created_at: When | None = None

    @property
    def rates(self) -> bool:
        asked = self.question.get("sub_type") in (None, "customer_satisfaction")
        return asked and self.type == "rating_scale" and self.rating is not None and self.created_at is not None


class _Survey(BaseModel):
    id: str


class _Response(BaseModel):
    id: str
    subject_zrns: list[str] | None = None
    survey: _Survey | None = None
    answers: list[_Reply] | None = None

    @property
    def ticket(self) -> str | None:
        found = (re.fullmatch(r"zen:ticket:(\d+)", zrn) for zrn in self.subject_zrns or [])
        return next((one[1] for one in found if one), None)

    @property
    def rated(self) -> _Reply | None:
        return next((answer for answer in self.answers or [] if answer.rates), None)


class _Interval(BaseModel):
    start_time: int = Field(ge=0, le=10080)
    end_time: int = Field(ge=0, le=10080)


class _Timetable(BaseModel):
    id: int
    name: str | None = None
    time_zone: str
    intervals: list[_Interval] = []


class _Holiday(BaseModel):
    id: int
    start_date: date
    end_date: date


class _CustomStatus(BaseModel):
    id: int
    status_category: str


class _Me(BaseModel):
    id: int | None = None
    name: str | None = None
    role: str | None = None


class _Desk(NamedTuple):
    """What all tickets share: who is staff, what the account's own statuses mean, where tickets are opened."""

    staff: frozenset[int]
    statuses: dict[int, Status]
    page: str


class _Told(NamedTuple):
    """A ticket with all that was read of it."""

    ticket: _Ticket
    audits: list[_Audit]
    users: dict[int, _User]
    lines: list[_Line]


# --- the adapter -----------------------------------------------------------------------------------------------------


class ZendeskSettings(AdapterSettings):
    url: str = Field(description="where you open Zendesk, like https://acme.zendesk.com (acme alone will do)")
    token: SecretStr = Field(description="an administrator's API token, or an OAuth access token")
    email: str | None = Field(
        None,
        description="the administrator's address; leave it out with an OAuth token",
        json_schema_extra={"ask": True},
    )
    requests_per_second: float = Field(
        round(TEAM_PLAN * OUR_SHARE, 2), gt=0, description="how many requests we allow ourselves"
    )

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        """What people copy from the address bar is fine too: the page's own path is cut off."""
        text = url.strip()
        if re.fullmatch(r"[a-z0-9][a-z0-9-]*", text, re.IGNORECASE):
            text = f"{text}.zendesk.com"
        parts = urlsplit(text if "://" in text else f"https://{text}")
        if parts.scheme not in ("http", "https") or not parts.hostname or " " in text:
            raise ValueError("write the whole address, like https://acme.zendesk.com")
        return f"{parts.scheme}://{parts.netloc}"

    @field_validator("email")
    @classmethod
    def _person(cls, email: str | None) -> str | None:
        text = (email or "").strip().removesuffix("/token")
        if text and "@" not in text:
            raise ValueError("write the e-mail address with which the token's user signs in")
        return text or None


class Zendesk:
    name: ClassVar[str] = "zendesk"
    Settings: ClassVar[type[AdapterSettings]] = ZendeskSettings
    streams: ClassVar[tuple[str, ...]] = ("directory", "conversations", "ratings", "surveys")
    history: ClassVar[frozenset[str]] = frozenset({"status", "assigned", "team"})
    lacks: ClassVar[Mapping[str, str]] = {
        "first_response_time_from_handoff": "when a bot handed over is not told",
    }
    first_read: ClassVar[float] = 1.5  # one by mail costs 1 request, one of messaging 2
    reread_limit: ClassVar[int] = 200

    def __init__(self, settings: ZendeskSettings, http: Http) -> None:
        self.http, self.settings = http, settings

    @staticmethod
    def service(settings: ZendeskSettings) -> Service:
        secret = settings.token.get_secret_value()
        return Service(
            settings.url,
            {} if settings.email else {"Authorization": f"Bearer {secret}"},
            (f"{settings.email}/token", secret) if settings.email else None,
            per_second=settings.requests_per_second,
            budgets={
                f"GET {API}/incremental/*": EXPORTS * OUR_SHARE,
                f"GET {TICKETS}/*/conversation_log": LOGS * OUR_SHARE,
                f"PUT {TICKETS}/*": UPDATES * OUR_SHARE,
            },
        )

    # pull

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]:
        if stream == "directory":
            return self._directory(cursor or {})
        if stream == "ratings":
            return self._ratings(cursor or {})
        if stream == "surveys":
            return self._surveys(cursor or {})
        return self._conversations(cursor or {}, seen)

    def _directory(self, cursor: Cursor) -> Iterator[Page]:
        """Short lists without dates: a mark of what they hold tells whether there is anything new."""
        agents, bad = self._agents
        groups, bad_groups = self._few(f"{API}/groups.json", "groups", _Named, "team")
        brands, bad_brands = self._few(f"{API}/brands.json", "brands", _Named, "inbox")
        schedule, bad_hours = self._schedule()
        records: list[Record] = [Inbox(str(one.id), one.name or str(one.id), None, schedule) for one in brands]
        records += [Team(str(one.id), one.name or str(one.id)) for one in groups]
        records += [Agent(str(one.id), one.name or str(one.id)) for one in agents]
        mark = hashlib.sha256(repr(records).encode()).hexdigest()[:16]
        known = mark == cursor.get("mark")
        yield Page([] if known else records, {"mark": mark}, bad + bad_groups + bad_brands + bad_hours)

    def _schedule(self) -> tuple[Schedule | None, tuple[Reject, ...]]:
        """The opening hours of all tickets; None where there are several, and a trigger chooses."""
        tables, bad = self._timetables
        if len(tables) != 1:
            return None, bad
        only = tables[0]
        if not (zone := _zone(only.time_zone)):
            reason = "time_zone: unknown, so the opening hours are left out"
            return None, (*bad, Reject("schedule", str(only.id), reason))
        path = f"{SCHEDULES}/{only.id}/holidays.json"
        holidays, bad_days = self._few(path, "holidays", _Holiday, "schedule")
        return Schedule(zone, _week(only.intervals), _days(holidays)), bad + bad_days

    def _conversations(self, cursor: Cursor, seen: Seen) -> Iterator[Page]:
        """Changed tickets with their children, a part of an export page at a time. Only its last part moves the cursor:
        if the walk breaks off before, the page is asked for again, and what was stored of it costs no call."""
        for tickets, following in self._exported(cursor):
            found, rejects = rows(_Ticket, tickets, "conversation")
            for start in range(0, max(len(found), 1), AT_ONCE):
                records, bad = self._with_children(found[start : start + AT_ONCE], seen)
                last = start + AT_ONCE >= len(found)
                yield Page(records, following if last else None, bad + rejects if last else bad)

    def _exported(self, cursor: Cursor) -> Iterator[tuple[list[Any], Cursor]]:
        """Export pages, oldest change first, each with the cursor that is true after it. Only the service says where
        the end is: a page may be short, or empty, in the midst. Where it has forgotten the cursor, it is asked again by
        the time of the oldest row of the last page: a row may have been touched again since it took its place on the
        list, so the newest can be later than rows that are still to come."""
        after, since, restarted = cursor.get("after"), cursor.get("since", EARLIEST // 1000), None
        while True:
            start: Query = {"cursor": after} if after else {"start_time": max(since - OVERLAP_S, EARLIEST // 1000)}
            answer = self.http.find(EXPORT, start | ALL | {"per_page": EXPORT_PAGE}, EXPIRED if after else ())
            if answer is None:
                if since == restarted:
                    raise BadPayload("Zendesk refuses the cursor that it has just given: run it again later")
                after, restarted = None, since
                continue
            tickets, following = _items(answer, "tickets"), _inside(answer.json(), "after_cursor")
            ended = _inside(answer.json(), "end_of_stream") is True
            if not ended and following in (None, after):
                raise BadPayload("Zendesk's export does not go on and has no end: what came before it was kept")
            after, since = following or after, max(since, min(_generated(tickets), default=since))
            yield tickets, {"after": after, "since": since}
            if ended:
                return

    def _ratings(self, cursor: Cursor) -> Iterator[Page]:
        """Legacy surveys of the last four weeks at every run, offered or answered. The cursor moves once, at the end,
        whatever order they are listed in."""
        newest = cursor.get("newest", 0)
        query: Query = {"start_time": (newest - SURVEY_LIFE) // 1000} if newest else {}
        for items in self._listed(LEGACY, "satisfaction_ratings", query):
            scores, rejects = rows(_Score, items, "rating")
            newest = max([newest, *(one.updated_at for one in scores)])
            told = [_legacy(one) for one in scores if one.score == "offered" or one.score in SCORES]
            yield Page(list(told), None, rejects)
        yield Page([], {"newest": newest})

    def _surveys(self, cursor: Cursor) -> Iterator[Page]:
        """Survey responses of the last four weeks at every run. ``scales`` is what their answers have told of each
        survey's scale so far: the service itself does not say."""
        newest, scales = cursor.get("newest", 0), dict(cursor.get("scales", {}))
        query: Query = {"sort": "id"}  # made of the time they were offered at
        if newest:
            query["filter[created_at_start]"] = newest - SURVEY_LIFE  # unlike everything else, in milliseconds
        for items in self._listed(SURVEYS, "survey_responses", query):
            responses, rejects = rows(_Response, items, "rating")
            for one in responses:
                _learn_scale(one, scales)
            newest = max([newest, *(_latest(one) for one in responses)])
            told = [_answered(one, one.ticket, scales) for one in responses if one.ticket]
            yield Page(list(told), None, rejects)
        yield Page([], {"newest": newest, "scales": scales})

    # reread

    def reread(self, ids: Sequence[str], seen: Seen) -> Iterator[Page]:
        """Many in one call, which leaves out what it cannot give; only what is not there by itself either is gone."""
        for start in range(0, len(ids), REREAD_AT_ONCE):
            some = ids[start : start + REREAD_AT_ONCE]
            items = _items(self.http.get(f"{TICKETS}/show_many.json", {"ids": ",".join(some)}), "tickets")
            given = {str(_inside(item, "id")) for item in items}
            missing = [one for one in some if one not in given]
            gone: list[Record] = []
            for one, answer in zip(missing, self.http.each(f"{TICKETS}/{one}.json" for one in missing), strict=True):
                items += [_inside(answer.json(), "ticket")] if answer else []
                gone += [] if answer else [Event(f"{one}:deleted", one, None, "deleted")]
            found, bad = rows(_Ticket, items, "conversation")
            records, rejects = self._with_children(found, seen)
            yield Page([*gone, *records], None, bad + rejects)

    def _with_children(self, tickets: list[_Ticket], seen: Seen) -> tuple[list[Record], tuple[Reject, ...]]:
        """Tickets with their words and their history; one whose version is stored already costs no call. That one was
        deleted is told in any case: not every change moves the time of the last one."""
        fresh = {one.id: one for one in tickets if one.status == DELETED or not seen(str(one.id), one.updated_at)}
        alive = [one for one in fresh.values() if one.status != DELETED]
        found = self._children([(one.id, what) for one in alive for what in (AUDITS, LOG)[: 1 + one.messaging]])
        records = [record for one in fresh.values() if one.status == DELETED for record in _deleted(one)]
        rejects: tuple[Reject, ...] = ()
        for one in alive:
            audits, log = found.get((one.id, AUDITS)), found.get((one.id, LOG))
            if audits and (log or not one.messaging):
                told, bad = _read(one, audits, log or [])
                records += _records(told, self._desk)
                rejects += bad
            elif audits:
                rejects += (Reject("conversation", str(one.id), "conversation log: not there"),)
        return records, rejects

    def _children(self, lists: Sequence[Listed]) -> dict[Listed, list[Any]]:
        """All pages of these lists, side by side, so that logs and audits use their budgets at the same time. One that
        is not there, or no more at its second page, is left out: its ticket vanished, and comes again as deleted."""
        found: dict[Listed, list[Any]] = {}
        wanted = dict.fromkeys(lists, "")
        while wanted:
            following: dict[Listed, str] = {}
            paths = [f"{TICKETS}/{one}/{at}page[size]={PAGE}{_from(after)}" for (one, (at, _)), after in wanted.items()]
            for (this, after), answer in zip(wanted.items(), self.http.each(paths), strict=True):
                if answer:
                    _items(answer, this[1][1])
                    found.setdefault(this, []).append(answer.json())
                    following |= {this: then} if (then := _after(answer, after)) else {}
                else:
                    found.pop(this, None)
            wanted = following
        return found

    @cached_property
    def _agents(self) -> tuple[list[_User], tuple[Reject, ...]]:
        return self._few(f"{API}/users.json", "users", _User, "agent", {"role[]": STAFF})

    @cached_property
    def _timetables(self) -> tuple[list[_Timetable], tuple[Reject, ...]]:
        return self._few(f"{SCHEDULES}.json", "schedules", _Timetable, "schedule")

    @cached_property
    def _desk(self) -> _Desk:
        states, _ = self._few(f"{API}/custom_statuses.json", "custom_statuses", _CustomStatus, "status")
        known = {one.id: STATUSES[one.status_category] for one in states if one.status_category in STATUSES}
        staff = frozenset(one.id for one in self._agents[0])
        return _Desk(staff, known, f"{self.settings.url}/agent/tickets")

    def _few(
        self, path: str, key: str, model: type[T], kind: str, query: Query | None = None
    ) -> tuple[list[T], tuple[Reject, ...]]:
        """A short list as a whole; empty where the plan does not have it."""
        return rows(model, [item for items in self._listed(path, key, query or {}) for item in items], kind)

    def _listed(self, path: str, key: str, query: Query) -> Iterator[list[Any]]:
        """A list page by page; none where the plan does not have it. A page that is missing later on is an error."""
        after = ""
        while answer := self.http.find(path, query | _page(after), () if after else NOT_IN_PLAN):
            yield _items(answer, key)
            if not (after := _after(answer, after)):
                return

    # tag

    @staticmethod
    def tag_name(tag: str) -> str:
        """Tags are lower case, and a blank would make two of one."""
        return re.sub(r"[^\w:/-]+", "-", tag.strip().lower()).strip("-")

    def tags(self, conversation: str) -> tuple[str, ...]:
        return tuple(map(str, _items(self.http.get(f"{TICKETS}/{conversation}/tags.json"), "tags")))

    def add_tag(self, conversation: str, tag: str) -> TagChange:
        """PUT adds; POST to the same address would replace them all. Rejected when one is missing when read back."""
        name, before = self.tag_name(tag), self.tags(conversation)
        if name in before:
            return TagChange(before, before)
        self.http.send("PUT", f"{TICKETS}/{conversation}/tags.json", {"tags": [name]})
        return self._read_back(conversation, before, {*before, name})

    def remove_tag(self, conversation: str, tag: str) -> TagChange:
        """Rejected when ours is still there when read back, or another is gone."""
        name, before = self.tag_name(tag), self.tags(conversation)
        if name not in before:
            return TagChange(before, before)
        self.http.send("DELETE", f"{TICKETS}/{conversation}/tags.json", {"tags": [name]})
        return self._read_back(conversation, before, set(before) - {name})

    def _read_back(self, conversation: str, before: tuple[str, ...], wanted: set[str]) -> TagChange:
        after = self.tags(conversation)
        return as_written(f"ticket {conversation}", "Zendesk", before, wanted, after)

    # note

    def add_note(self, conversation: str, text: str) -> str:
        """A comment is public unless it is said to be none. Rejected when what is read back is not our private note."""
        body = {"ticket": {"comment": {"body": text, "public": False}}}
        written = _inside(self.http.send("PUT", f"{TICKETS}/{conversation}.json", body).json(), "audit", "events")
        comments = [one for one in written or [] if _inside(one, "type") == "Comment"]
        note = next(
            (one for one in self._comments(conversation) if one.id in [_inside(c, "id") for c in comments]), None
        )
        if not (note and note.own):
            raise Rejected(f"ticket {conversation}: what was written is not there as an internal note; look at it")
        return str(note.id)

    def find_note(self, conversation: str, text: str) -> str | None:
        same = [one.id for one in self._comments(conversation) if one.own and _words(one.text) == _words(text)]
        return str(same[-1]) if same else None

    def remove_note(self, conversation: str, note: str) -> None:
        """Rejected: Zendesk keeps every comment for good."""
        raise Rejected(f"ticket {conversation}: Zendesk cannot delete a note; redact it by hand if it has to go")

    def _comments(self, conversation: str) -> list[_Comment]:
        path = f"{TICKETS}/{conversation}/comments.json"
        return [one for items in self._listed(path, "comments", {}) for one in rows(_Comment, items, "message")[0]]

    # probe

    def probe(self) -> Iterator[Finding]:
        answer = self.http.get(f"{API}/users/me.json")
        me = next(iter(rows(_Me, [_inside(answer.json(), "user")], "agent")[0]), _Me())
        yield _who(me)
        if me.role == "admin":
            yield self._breadth()
            yield _budget(answer, self.settings.requests_per_second)
            yield from self._what_it_feeds()

    def _breadth(self) -> Finding:
        """An API token can do all that its user can; an OAuth token tells what it may."""
        if self.settings.email:
            detail = "an API token can do all that its administrator can, and we need far less"
            return Finding("scopes", None, detail, "an OAuth token with the scopes read and tickets:write will do")
        answer = self.http.find(f"{API}/oauth/tokens/current.json", absent=NOT_IN_PLAN)
        scopes = _inside(answer.json(), "token", "scopes") if answer else None
        if not isinstance(scopes, list) or "read" not in scopes:
            detail = f"{', '.join(map(str, scopes or [])) or 'not told'}; audits need the global read"
            return Finding("scopes", None, detail, "make a token with the scopes read and tickets:write")
        wide = sorted(set(map(str, scopes)) - {"read", "tickets:write"})
        if wide:
            return Finding("scopes", None, f"broader than needed: {', '.join(wide)}", "read and tickets:write will do")
        return Finding("scopes", True, ", ".join(map(str, scopes)))

    def _what_it_feeds(self) -> Iterator[Finding]:
        exported = self.http.find(EXPORT, ALL | {"start_time": EARLIEST // 1000, "per_page": 1}, NOT_IN_PLAN)
        remedy = "" if exported else "Admin Center → People → Team members: make its user an administrator"
        yield Finding("tickets", bool(exported), "readable" if exported else "the export is refused", remedy)
        yield Finding("times", True, "UTC; opening hours in their schedule's own zone")
        yield self._hours()
        yield self._csat()
        lost = "not told: no first_response_time_from_handoff, no escalation_rate"
        yield Finding("bot handoffs", None, lost, "nothing to do")

    def _hours(self) -> Finding:
        schedule, bad = self._schedule()
        if schedule:
            return Finding("opening hours", True, f"in {schedule.zone}")
        names = ", ".join(one.name or str(one.id) for one in self._timetables[0])
        lost = (
            bad[0].reason if bad else f"several ({names}), and which one a ticket follows is not told" if names else ""
        )
        lost = lost or "none: no durations in business hours"
        return Finding("opening hours", None, lost, 'give them in the config: [calendar] or [calendar.inboxes."Brand"]')

    def _csat(self) -> Finding:
        """Which generation of surveys there is; after a switch there is history in both."""
        legacy = self.http.find(LEGACY, {"page[size]": 1}, NOT_IN_PLAN)
        surveys = self.http.find(SURVEYS, {"page[size]": 1}, NOT_IN_PLAN)
        has = [name for name, answer in (("good/bad ratings", legacy), ("surveys", surveys)) if answer]
        if not has:
            return Finding("csat", None, "not in this plan: no csat, csat_mean, csat_response_rate", "change the plan")
        return Finding("csat", True, f"{' and '.join(has)} readable")


# --- reading lists ---------------------------------------------------------------------------------------------------


def _inside(document: Any, *path: str) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _items(answer: Answer, key: str) -> list[Any]:
    """The list under ``key``; BadPayload when there is none."""
    found = _inside(answer.json(), key)
    if not isinstance(found, list):
        raise BadPayload(f"Zendesk's answer has no list of {key}: nothing of it was kept")
    return found


def _page(after: str) -> Query:
    return {"page[size]": PAGE} | ({"page[after]": after} if after else {})


def _from(after: str) -> str:
    return f"&page[after]={quote(after, safe='')}" if after else ""


def _after(answer: Answer, before: str) -> str:
    """Where the next page begins; empty at the end. BadPayload when it is where this one began."""
    meta = _inside(answer.json(), "meta")
    if not _inside(meta, "has_more"):
        return ""
    if (after := _inside(meta, "after_cursor")) in (None, before):
        raise BadPayload("Zendesk gave the same page twice, so its list has no end: what came before it was kept")
    return str(after)


def _generated(tickets: list[Any]) -> Iterator[int]:
    """When the rows were last touched, in seconds: what the export is in the order of."""
    stamps = (_inside(one, "generated_timestamp") for one in tickets)
    return (stamp for stamp in stamps if isinstance(stamp, int))


def _read(ticket: _Ticket, audits: list[Any], logs: list[Any]) -> tuple[_Told, tuple[Reject, ...]]:
    story, bad = rows(_Audit, [one for page in audits for one in page["audits"]], "event")
    users, _ = rows(_User, [one for page in audits for one in page.get("users") or []], "contact")
    spoken = [
        one for page in logs for one in page["events"] if _inside(one, "type") == "Messaging::ConversationMessage"
    ]
    lines, bad_lines = rows(_Line, spoken, "message")
    ordered = sorted(story, key=lambda one: (one.created_at, one.id))
    return _Told(ticket, ordered, {one.id: one for one in users}, lines), bad + bad_lines


# --- from their words to ours ----------------------------------------------------------------------------------------


def _who(me: _Me) -> Finding:
    if me.id is None:
        remedy = "check services.zendesk.email and .token; Admin Center → Apps and integrations → Zendesk API"
        return Finding("access", False, "Zendesk takes us for a visitor", remedy)
    if me.role != "admin":
        remedy = "Admin Center → People → Team members → the user → Role: Administrator"
        return Finding("access", False, f"{me.name} is {me.role or 'no agent'}: exports are refused", remedy)
    return Finding("access", True, f"{me.name}, administrator")


def _budget(answer: Answer, per_second: float) -> Finding:
    text = answer.headers.get("x-rate-limit") or answer.headers.get("ratelimit-limit") or ""
    ours = per_second * 60
    if not text.isdigit():
        return Finding("rate limit", None, f"not told; we allow ourselves {ours:.0f} a minute", "nothing to do")
    detail = f"{text} requests a minute for the account, {ours:.0f} for us"
    best = round(int(text) * OUR_SHARE, 2)
    if abs(ours - int(text) / 3) > int(text) / 6:
        return Finding("rate limit", None, detail, f"set requests_per_second = {best}, a third of it")
    return Finding("rate limit", True, detail)


@cache
def _cities() -> dict[str, str]:
    return {zone.rpartition("/")[2].replace("_", " "): zone for zone in sorted(available_timezones())}


def _zone(name: str) -> str | None:
    """A schedule's zone as everybody else calls it; None when unknown."""
    return name if name in available_timezones() else ZONES.get(name) or _cities().get(name)


def _week(intervals: list[_Interval]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Their minutes begin with Sunday; a span over midnight becomes two."""
    week: list[tuple[tuple[int, int], ...]] = [()] * 7
    for one in sorted(intervals, key=lambda one: one.start_time):
        for day in range(7):
            start, end = max(one.start_time - day * 1440, 0), min(one.end_time - day * 1440, 1440)
            week[(day - 1) % 7] += ((start, end),) if start < end else ()
    return tuple(week)


def _days(holidays: list[_Holiday]) -> tuple[str, ...]:
    """All days of all holidays; a holiday's last day is part of it."""
    found = {
        one.start_date + timedelta(days=n)
        for one in holidays
        for n in range(min((one.end_date - one.start_date).days + 1, LONGEST_HOLIDAY))
    }
    return tuple(day.isoformat() for day in sorted(found))


def _channel(word: str) -> Channel:
    return Channel(word, CHANNELS.get(word, "other"))


def _id(value: Any) -> str | None:
    """History has ids as text, as numbers, and empty."""
    return str(value) if value not in (None, "", 0) else None


def _words(text: str) -> str:
    return " ".join(text.split())


def _legacy(one: _Score) -> Rating:
    """One survey a ticket, so that its offer and its answer meet: their rows have numbers of their own."""
    answers = () if one.score == "offered" else ((one.updated_at, SCORES[one.score]),)
    offered = one.created_at if not answers or one.created_at < one.updated_at else None
    name = f"{one.ticket_id}:csat"
    return Rating(name, str(one.ticket_id), offered, answers, 0, 1, _id(one.assignee_id), _id(one.group_id))


def _learn_scale(response: _Response, scales: dict[str, int]) -> None:
    """Scales have 2, 3 or 5 points, and only the upper end of a short one is good: what 2 and 3 are called tells which.
    A survey whose scale was changed keeps its id, so the latest word counts."""
    if response.survey and (rated := response.rated):
        if rated.rating in (2, 3) and rated.rating_category == "good":
            scales[response.survey.id] = int(rated.rating)
        elif (rated.rating or 0) > 3:
            scales[response.survey.id] = 5


def _answered(response: _Response, ticket: str, scales: dict[str, int]) -> Rating:
    rated, survey = response.rated, response.survey.id if response.survey else None
    answers = ((rated.created_at, rated.rating),) if rated and rated.created_at and rated.rating is not None else ()
    offered = _made_at(response.id)
    if answers and offered and offered > answers[0][0]:
        offered = None
    return Rating(response.id, ticket, offered, answers, 1, scales.get(survey or "", 5), survey=survey)


def _latest(response: _Response) -> Instant:
    """When it was last heard of; 0 when untold."""
    return (response.rated.created_at if response.rated else _made_at(response.id)) or 0


def _made_at(ulid: str) -> Instant | None:
    """The instant in such an id: its first ten characters are milliseconds, in base 32; None for any other id."""
    if not re.fullmatch(rf"[{BASE32}]{{26}}", ulid):
        return None
    instant = sum(BASE32.index(letter) * 32**place for place, letter in enumerate(reversed(ulid[:10])))
    return instant if EARLIEST <= instant < LATEST else None


def _deleted(ticket: _Ticket) -> Iterator[Record]:
    """What is left of it, deleted by hand or as spam: that it was there. When is not told, so that it counts again once
    it is restored; a date would be history."""
    yield Conversation(str(ticket.id), ticket.created_at, "done", ticket.updated_at)
    yield Event(f"{ticket.id}:deleted", str(ticket.id), None, "deleted")


def _records(told: _Told, desk: _Desk) -> list[Record]:
    """The ticket with all that is its own, after what it shares with others."""
    story = _Story(told, desk)
    for audit in told.audits:
        story.tell(audit)
    for line in told.lines:
        story.hear(line)
    story.end(told.audits)
    return [*story.around(), story.conversation(), *story.messages, *story.events]


class _Story:
    """A ticket's words and changes, audit by audit."""

    def __init__(self, told: _Told, desk: _Desk) -> None:
        self.ticket, self.users, self.desk = told.ticket, told.users, desk
        self.id, self.requester = str(told.ticket.id), told.ticket.requester_id
        self.staff = desk.staff | _once_staff(told) - {told.ticket.requester_id}
        self.imported = _imported(told)
        self.now: dict[EventKind, str | None] = {"status": "open"}
        self.messages: list[Message] = []
        self.events: list[Event] = []

    def tell(self, audit: _Audit) -> None:
        for one in audit.events:
            if one.type == "Comment":
                self._comment(audit, one)
            elif one.type in ("Create", "Change") and one.field_name in FIELDS:
                self._change(audit, one)

    def end(self, audits: list[_Audit]) -> None:
        """Merged away: the tag alone does not say so, since follow-ups inherit it; nor does the comment, which the
        ticket that goes on has too."""
        merges = [audit for audit in audits if any(_merges(audit, one) for one in audit.events)]
        if merges and MERGED in (self.ticket.tags or []) and STATUSES.get(self.ticket.status) == "done":
            self._event(f"{self.id}:merged", merges[-1], "merged", _target(merges[-1], self.id))

    def hear(self, line: _Line) -> None:
        """A message of a conversation that was not led by e-mail."""
        author = SPEAKERS.get(line.author.type or "", "unknown")
        who = line.author.support_id if line.author.support_id is not None else line.author.id
        named = who not in (None, SYSTEM) and author in ("customer", "human")
        text = line.text
        self.messages.append(
            Message(line.id, self.id, line.created_at, author, str(who) if named else None, length=len(text), body=text)
        )

    def _comment(self, audit: _Audit, one: _Change) -> None:
        kind, text = self._kind(audit, one), one.text
        who = one.author_id if one.author_id is not None else audit.author_id
        author: Author = "automation" if kind == "activity" else self._author(who, one.via.channel or audit.via.channel)
        named = who not in (None, SYSTEM) and author in ("customer", "human", "integration", "unknown")
        public = one.public is not False and kind != "activity"
        own = not public and text.startswith(OWN_NOTE_MARK)
        person = str(who) if named else None
        self.messages.append(
            Message(str(one.id), self.id, audit.created_at, author, person, public, kind, len(text), own, text)
        )

    def _kind(self, audit: _Audit, one: _Change) -> MessageKind:
        """The comment that a merge leaves, and the transcript of a conversation, are nobody's reply."""
        if _merges(audit, one) or (
            self.ticket.messaging and audit.via.channel in (*MESSAGING, self.ticket.via.channel)
        ):
            return "activity"
        if one.public is False:
            return "note"
        return "imported" if audit.id == self.imported else "message"

    def _author(self, who: int | None, channel: str | None) -> Author:
        """Through the API, a customer is still a customer (a form of their own site); an agent is a script."""
        if who in (None, SYSTEM) or channel == "rule":
            return "automation"
        if who in self.staff:
            return "integration" if channel == "api" else "human"
        known = who == self.requester or (who in self.users and self.users[who].role == "end-user")
        return "customer" if known else "unknown"

    def _change(self, audit: _Audit, one: _Change) -> None:
        """What it is set to, unless it is that already: closed after solved is no second solve. The status that a
        ticket is created with is no change either, unless it is done at once."""
        kind = FIELDS[one.field_name or ""]
        value = self._status(one) if kind == "status" else _id(one.value)
        before = self.now.get(kind)
        if value == before or (kind == "status" and value is None):
            return
        self.now[kind] = value
        if kind != "status" or one.type == "Change" or value == "done":
            self._event(str(one.id), audit, kind, value, before)

    def _status(self, one: _Change) -> Status | None:
        if one.field_name == "status":
            return STATUSES.get(str(one.value), "open")
        return self.desk.statuses.get(int(one.value)) if str(one.value).isdigit() else None

    def _event(self, name: str, audit: _Audit, kind: EventKind, value: str | None, was: str | None = None) -> None:
        actor = str(audit.author_id) if audit.author_id in self.staff else None
        self.events.append(Event(name, self.id, audit.created_at, kind, value, was, actor))

    def around(self) -> list[Record]:
        """The channel and the customer: shared with other tickets."""
        found: list[Record] = [_channel(self.ticket.via.channel)] if self.ticket.via.channel else []
        if customer := self._customer():
            user = self.users.get(customer)
            found.append(Contact(str(customer), self._language(), user.created_at if user else None))
        return found

    def _customer(self) -> int | None:
        """An agent who asks for help is no customer."""
        return None if self.requester in self.desk.staff else self.requester

    def _language(self) -> str | None:
        user = self.users.get(self.requester or 0)
        return user.locale.partition("-")[0].lower() if user and user.locale else None

    def conversation(self) -> Conversation:
        ticket, customer = self.ticket, self._customer()
        return Conversation(
            id=self.id,
            created_at=ticket.created_at,
            status=self.desk.statuses.get(ticket.custom_status_id or 0) or STATUSES.get(ticket.status, "open"),
            changed_at=ticket.updated_at,
            inbox=_id(ticket.brand_id),
            channel=ticket.via.channel,
            contact=str(customer) if customer else None,
            team=_id(ticket.group_id),
            agent=_id(ticket.assignee_id),
            language=self._language(),
            link=f"{self.desk.page}/{ticket.id}",
            tags=tuple(sorted(ticket.tags or [])),
        )


def _changes(audits: Iterable[_Audit], fits: Callable[[_Change], bool]) -> Iterator[tuple[_Audit, _Change]]:
    return ((audit, one) for audit in audits for one in audit.events if fits(one))


def _once_staff(told: _Told) -> set[int | None]:
    """Staff now, or then: only agents are assigned tickets, and only they write notes (a mail from a stranger to the
    ticket is private too). Who has left is a customer to the list of users."""
    owners = _changes(told.audits, lambda one: one.field_name == "assignee_id" and str(one.value).isdigit())
    notes = _changes(told.audits, lambda one: one.type == "Comment" and one.public is False)
    writers = (one.author_id for audit, one in notes if audit.via.channel != "email" and one.author_id)
    return {
        *(user.id for user in told.users.values() if user.role in STAFF),
        *(int(o.value) for _, o in owners),
        *writers,
    }


def _imported(told: _Told) -> int | None:
    """The audit that brought an imported ticket: made through the API, long after the ticket says it began."""
    first = told.audits[0] if told.audits else None
    through = told.ticket.via.channel == "api"
    return first.id if first and through and first.created_at - told.ticket.created_at > IMPORT_LATER else None


def _merges(audit: _Audit, one: _Change) -> bool:
    return one.type == "Comment" and "merge" in (audit.via.source.rel, one.via.source.rel)


def _target(audit: _Audit, ticket: str) -> str | None:
    """The ticket that goes on: named by where the comment came from, else in its words."""
    sources = [via.source for via in (audit.via, *(one.via for one in audit.events)) if via.source.rel == "merge"]
    named = [_id(place.get("ticket_id")) for source in sources for place in (source.origin, source.to)]
    said = [number for one in audit.events if _merges(audit, one) for number in re.findall(r"#(\d+)", one.text)]
    return next((number for number in (*named, *said) if number and number != ticket), None)
