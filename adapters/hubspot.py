"""HubSpot: the threads of its inboxes and help desk in, a property of their tickets and internal comments out.

API: conversations v3, CRM objects v3, associations v4, owners v3, account info v3. Used, yet not in every description:
     the scopes of a private app's token, the ticket property that names the thread it began with, survey properties.
Auth: the access token of a private app of your own. Least scopes: conversations.read, tickets, crm.objects.owners.read;
     for ratings crm.objects.feedback_submissions.read; for writing back conversations.write.
Limits: 100 threads, 100 messages, 200 tickets a request (50 with their history), 10,000 rows a search, which is crossed
     by asking from a row's time on; 100 requests in 10 s on small plans and 5 searches a second: a third of both.
Gaps: opening hours, customers' languages, surveys that were not answered (so no response rate), survey scales (told by
     a setting), NPS and CES (not taken for CSAT). A thread has neither tags nor a time of change: messages are listed
     by time; changes without one are seen on open threads, on those that were closed in the last two days, on the first
     thread of a changed ticket and on deleted ones. Another owner or inbox of a closed thread may stay unseen until its
     next message. Threads without any message. That a thread was restored, until it is listed. When a thread was
     marked as spam, deleted or merged. Moves between inboxes and teams, which show only as the present one. Broadcasts
     and imported threads look like others. A reply that an app wrote on a user's seat is known only where HubSpot says
     so. Comments cannot be deleted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from html import escape
from typing import Annotated, Any, ClassVar, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator

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
    plausible,
    to_iso,
)

CHANNELS = {"1000": "live_chat", "1001": "facebook", "1002": "email", "1007": "whatsapp"}
CHANNEL_WORDS = {
    "email": "email", "chat": "live_chat", "facebook": "facebook", "messenger": "facebook", "whatsapp": "whatsapp",
    "sms": "sms", "call": "phone", "phone": "phone", "instagram": "instagram", "telegram": "telegram",
}  # fmt: skip
"""Channels of an account's own have numbers of their own: their names are looked at."""
STATES: dict[str | None, Status] = {"OPEN": "open", "CLOSED": "done"}
ACTORS: dict[str, Author] = {"A": "human", "B": "bot", "L": "bot", "I": "integration", "S": "automation"}
CLIENTS: dict[str | None, Author] = {"INTEGRATION": "integration", "SYSTEM": "automation"}
"""Who wrote with a person's name, where it was not the person."""
KINDS: dict[str, MessageKind] = {"MESSAGE": "message", "WELCOME_MESSAGE": "message", "COMMENT": "note"}
MOVES = ("ASSIGNMENT", "THREAD_STATUS_CHANGE", "THREAD_INBOX_CHANGE")
BOTS = ("B-", "L-")

THREADS = "/conversations/v3/conversations/threads"
TICKETS = "/crm/v3/objects/tickets"
SURVEYS = "/crm/v3/objects/feedback_submissions"
MODIFIED = "hs_lastmodifieddate"
STAGE = "hs_pipeline_stage"
FIRST_THREAD = "hs_conversations_originating_thread_id"
MERGED = "hs_merged_object_ids"
TICKET_FIELDS = (STAGE, "hubspot_owner_id", "hubspot_team_id", "closed_date", MODIFIED, FIRST_THREAD, MERGED)
SURVEY_FIELDS = ("hs_survey_type", "hs_value", "hs_survey_id", "hs_survey_name", "hs_submission_timestamp", MODIFIED)

OVERLAP = 10 * 60_000
"""Lists and the search's index lag behind by seconds to minutes."""
PAGE, MESSAGES_A_PAGE, TICKETS_A_PAGE, WITH_HISTORY, REREAD_AT_ONCE = 100, 100, 200, 50, 25
CAP = 10_000
"""No search gives more rows than this."""
SEARCHES_PER_SECOND = 5 / 3
ABSENT = (400, 403, 404)
"""Not in this plan or scope: parts of the API that we can do without."""
READS = ("conversations.read", "tickets", "crm.objects.owners.read", "crm.objects.feedback_submissions.read")
USED = (*READS, "conversations.write", "oauth")


# --- what is read of the answers -------------------------------------------------------------------------------------


def _instant(value: Any) -> Instant:
    """ISO with a zone; some properties come as epoch milliseconds, mostly as text."""
    if isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"\d+", value)):
        return plausible(int(value))
    if isinstance(value, str):
        return from_iso(value)
    raise ValueError("not a time")


When = Annotated[Instant, BeforeValidator(_instant)]
WhenOrNone = Annotated[Instant | None, BeforeValidator(lambda value: _instant(value) if value else None)]
Id = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value), Field(min_length=1)]
IdOrNone = Annotated[str | None, BeforeValidator(lambda value: str(value) if value else None)]
Listed = BeforeValidator(lambda value: value or [])
"""Null where there is nothing."""


def _camel(name: str) -> str:
    first, *more = name.split("_")
    return first + "".join(word.capitalize() for word in more)


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=_camel)


class _Associated(_Wire):
    associated_ticket_id: IdOrNone = None


class _Thread(_Wire):
    id: Id
    created_at: When
    closed_at: WhenOrNone = None
    status: str | None = None
    latest_message_timestamp: WhenOrNone = None
    assigned_to: IdOrNone = None
    inbox_id: IdOrNone = None
    original_channel_id: IdOrNone = None
    associated_contact_id: IdOrNone = None
    spam: bool | None = False
    archived: bool | None = False
    thread_associations: _Associated | None = None

    @property
    def ticket(self) -> str | None:
        return self.thread_associations.associated_ticket_id if self.thread_associations else None

    @property
    def place(self) -> Instant:
        """By what it is listed."""
        return self.latest_message_timestamp or 0

    @property
    def active(self) -> Instant:
        return max(self.created_at, self.place)

    @property
    def version(self) -> Instant | None:
        """Threads have no time of change. A closed one changes by a message or another closing, both of which have a
        time; of an open one nothing tells whether its owner or status was changed by hand, so it is always read."""
        settled = self.status == "CLOSED" and not self.spam
        return max(self.active, self.closed_at or 0) if settled else None


class _Actor(_Wire):
    actor_id: str | None = None
    name: str | None = None


class _Client(_Wire):
    client_type: str | None = None


class _Sent(_Wire):
    status_type: str | None = None


class _Said(_Wire):
    id: Id
    type: str
    created_at: When
    created_by: str | None = None
    client: _Client | None = None
    senders: Annotated[list[_Actor], Listed] = []
    text: str | None = None
    direction: str | None = None
    status: _Sent | None = None
    archived: bool | None = False
    new_status: str | None = None
    assigned_to: IdOrNone = None
    assigned_from: IdOrNone = None

    @property
    def actor(self) -> str:
        return next((one.actor_id for one in self.senders if one.actor_id), None) or self.created_by or ""

    @property
    def incoming(self) -> bool:
        return self.type == "MESSAGE" and self.direction == "INCOMING"

    @property
    def own(self) -> bool:
        return self.type == "COMMENT" and (self.text or "").startswith(OWN_NOTE_MARK)


class _Was(_Wire):
    value: str | None = None
    timestamp: When


class _Object(_Wire):
    """A ticket or a survey's answer; its properties are text, or null."""

    id: Id
    properties: dict[str, str | None] = {}
    properties_with_history: dict[str, list[_Was]] | None = None
    updated_at: WhenOrNone = None

    def listed(self, name: str) -> tuple[str, ...]:
        return tuple(sorted({one for one in (self.properties.get(name) or "").split(";") if one}))

    @property
    def first_thread(self) -> str | None:
        return self.properties.get(FIRST_THREAD) or None

    @property
    def modified(self) -> Instant:
        return _time_of(self.properties.get(MODIFIED)) or self.updated_at or EARLIEST

    @property
    def place(self) -> Instant:
        """By what it is listed."""
        return self.modified


Row = TypeVar("Row", _Thread, _Object)


class _Named(_Wire):
    id: Id
    name: str | None = None
    type: str | None = None


class _Owner(_Wire):
    id: Id
    user_id: IdOrNone = None
    first_name: str | None = None
    last_name: str | None = None
    teams: Annotated[list[_Named], Listed] = []

    @property
    def agent(self) -> Agent:
        name = " ".join(part for part in (self.first_name, self.last_name) if part)
        return Agent(f"A-{self.user_id or self.id}", name or self.id)


class _Stage(_Wire):
    id: Id
    metadata: dict[str, Any] | None = None


class _Pipeline(_Wire):
    stages: Annotated[list[_Stage], Listed] = []


# --- the adapter -----------------------------------------------------------------------------------------------------


class HubspotSettings(AdapterSettings):
    token: SecretStr = Field(description="Settings → Integrations → Private Apps → your app → Auth → Access token")
    tag_property: str = Field("deskpulse_tags", pattern=r"^[a-z][a-z0-9_]*$", description="a ticket property for tags")
    csat_high: int = Field(5, ge=2, le=10, description="the best score of your CSAT surveys; the worst is 1")
    requests_per_second: float = Field(3.3, gt=0, description="how many requests we allow ourselves")
    url: str = Field("https://api.hubapi.com", description="another address of the API, for a trial server")

    @field_validator("token")
    @classmethod
    def _a_token(cls, token: SecretStr) -> SecretStr:
        if not token.get_secret_value().strip():
            raise ValueError("it is empty: paste the access token of a private app")
        return token

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("leave it out, or write a whole address, like https://api.hubapi.com")
        return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


class Hubspot:
    name: ClassVar[str] = "hubspot"
    Settings: ClassVar[type[AdapterSettings]] = HubspotSettings
    # Tickets and removals begin with a mark of what was there before the first conversation is read.
    streams: ClassVar[tuple[str, ...]] = ("directory", "tickets", "removals", "conversations", "ratings")
    history: ClassVar[frozenset[str]] = frozenset({"status", "assigned"})
    lacks: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("csat_response_rate", "csat_asked_rate"), "which surveys were offered is not told"),
    }
    # Its messages, and a fiftieth of a page of threads (which overlap by half) and of a request for tickets.
    first_read: ClassVar[float] = 1.04
    reread_limit: ClassVar[int] = 200

    def __init__(self, settings: HubspotSettings, http: Http) -> None:
        self.http, self.token, self.pace = http, settings.token, settings.requests_per_second
        self.tag_property, self.csat_high = settings.tag_property, settings.csat_high

    @staticmethod
    def service(settings: HubspotSettings) -> Service:
        headers = {"Authorization": f"Bearer {settings.token.get_secret_value().strip()}"}
        pace = settings.requests_per_second
        budgets = {"POST /crm/v3/objects/*/search": min(pace, SEARCHES_PER_SECOND)}
        return Service(settings.url, headers, per_second=pace, budgets=budgets)

    # pull

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]:
        if stream == "directory":
            return self._directory(cursor or {})
        if stream == "tickets":
            return self._ticket_changes(cursor or {})
        if stream == "removals":
            return self._removals(cursor)
        if stream == "ratings":
            return self._ratings(cursor or {})
        return self._conversations(cursor or {}, seen)

    def _directory(self, cursor: Cursor) -> Iterator[Page]:
        """Short lists without dates: a mark of what they hold tells whether there is anything new."""
        boxes, bad = self._boxes
        channels, bad_channels = self._short("/conversations/v3/conversations/channels", _Named, "channel")
        owners, bad_owners = self._owners
        teams = {team.id: Team(team.id, team.name or team.id) for owner in owners for team in owner.teams}
        records: list[Record] = [_channel(one.id, one.name) for one in channels]
        records += [Inbox(box.id, box.name or box.id) for box in boxes]
        records += [*teams.values(), *dict.fromkeys(owner.agent for owner in owners)]
        mark = hashlib.sha256(repr(records).encode()).hexdigest()[:16]
        yield Page([] if mark == cursor.get("mark") else records, {"mark": mark}, bad + bad_channels + bad_owners)

    def _conversations(self, cursor: Cursor, seen: Seen) -> Iterator[Page]:
        """Oldest message first: the cursor moves with every page, and a thread that gets one meanwhile comes again."""
        top = cursor.get("since") or EARLIEST
        for found, bad, reached in self._by_time(self._threads, _Thread, "conversation", top - OVERLAP):
            top = max(top, reached)
            records, rejects = self._read([thread for thread in found if not seen(thread.id, thread.version)])
            yield Page(records, {"since": top}, bad + rejects)

    def _threads(self, bound: Instant, after: str | None) -> Answer:
        """Of that millisecond or later, whether "after" takes it in or leaves it out."""
        query: Params = {"sort": "latestMessageTimestamp", "latestMessageTimestampAfter": to_iso(bound - 1)}
        return self.http.get(THREADS, {**query, "limit": PAGE, "association": "TICKET"} | _turned_to(after))

    def _ticket_changes(self, cursor: Cursor) -> Iterator[Page]:
        """A closing, an owner, a tag moves no thread in its list, but its ticket: the first thread of each ticket that
        changed is read again. The first time only a mark is set, since all threads are still to be read."""
        if not self._has_tickets:
            return
        if not cursor:
            newest = _objects(self.http.search(f"{TICKETS}/search", _since(EARLIEST, (), 1, order="DESCENDING")))
            yield Page([], {"since": max([EARLIEST, *(one.modified for one in newest)]), "known": _marks(newest)})
            return
        top, known = cursor["since"], cursor["known"]
        for found, bad, reached in self._searched(TICKETS, top - OVERLAP, (MODIFIED, FIRST_THREAD)):
            first = [one.first_thread for one in found if known.get(one.id) != one.modified]
            records, rejects, _ = self._by_id([thread for thread in first if thread])
            top = max(top, reached)
            known = _from(top - OVERLAP, known | _marks(found))
            yield Page(records, {"since": top, "known": known}, bad + rejects)

    def _removals(self, cursor: Cursor | None) -> Iterator[Page]:
        """Deleted threads are listed for 30 days and have no time: told are those that were not listed before. What
        was deleted before our first look we never had."""
        listed, bad = list[_Thread](), tuple[Reject, ...]()
        for items in self._pages(THREADS, {"archived": "true", "limit": PAGE}):
            found, rejects = rows(_Thread, items, "conversation")
            listed, bad = listed + found, bad + rejects
        known = {thread.id for thread in listed} if cursor is None else set(cursor["known"])
        gone: list[Record] = [_gone(thread.id) for thread in listed if thread.id not in known]
        yield Page(gone, {"known": sorted(thread.id for thread in listed)}, bad)

    def _ratings(self, cursor: Cursor) -> Iterator[Page]:
        """CSAT answers; what is asked about loyalty (NPS) or effort (CES) is no satisfaction and stays out."""
        fields = [name for name in SURVEY_FIELDS if name in self._survey_fields]
        if "hs_value" not in fields or "hs_survey_type" not in fields or not self._has_tickets:
            return
        top, known = cursor.get("since") or EARLIEST, cursor.get("known", {})
        for found, bad, reached in self._searched(SURVEYS, top - OVERLAP, fields):
            changed = [one for one in found if known.get(one.id) != one.modified]
            top = max(top, reached)
            records, rejects = self._rated([one for one in changed if one.properties.get("hs_survey_type") == "CSAT"])
            waiting = {one.id for one in rejects}  # an answer may be tied to its ticket a moment later
            known = _from(top - OVERLAP, known | _marks([one for one in found if one.id not in waiting]))
            yield Page(records, {"since": top, "known": known}, bad + rejects)

    def _rated(self, answers: list[_Object]) -> tuple[list[Record], tuple[Reject, ...]]:
        """Each tied to its ticket, and by it to a thread."""
        if not answers:
            return [], ()
        asked = {"inputs": [{"id": one.id} for one in answers]}
        tied = _items(self.http.search("/crm/v4/associations/feedback_submissions/tickets/batch/read", asked))
        ticket_of = {_text(one, "from", "id"): str(to["toObjectId"]) for one in tied for to in _tos(one)}
        tickets = self._tickets(ticket_of.values())
        threads = {key: tickets[ticket].first_thread for key, ticket in ticket_of.items() if ticket in tickets}
        told = [_rating(one, threads.get(one.id), self.csat_high) for one in answers]
        return [one for one in told if isinstance(one, Rating)], tuple(one for one in told if isinstance(one, Reject))

    # reread

    def reread(self, ids: Sequence[str], seen: Seen) -> Iterator[Page]:
        for start in range(0, len(ids), REREAD_AT_ONCE):
            records, bad, gone = self._by_id(ids[start : start + REREAD_AT_ONCE], seen)
            yield Page([*(_gone(thread) for thread in gone), *records], None, bad)

    def _by_id(
        self, ids: Sequence[str], seen: Seen | None = None
    ) -> tuple[list[Record], tuple[Reject, ...], list[str]]:
        """Records, rejects, and the ids of threads that are gone; ``seen`` spares the unchanged."""
        answers = list(self.http.each(_thread_path(thread) for thread in ids))
        found, bad = rows(_Thread, [answer.json() for answer in answers if answer], "conversation")
        gone = [thread for thread, answer in zip(ids, answers, strict=True) if answer is None]
        gone += [thread.id for thread in found if thread.archived]
        there = [thread for thread in found if not thread.archived]
        records, rejects = self._read([one for one in there if not (seen and seen(one.id, one.version))])
        return records, bad + rejects, gone

    def _read(self, threads: list[_Thread]) -> tuple[list[Record], tuple[Reject, ...]]:
        """Threads with their messages, side by side, and their tickets; one that has vanished meanwhile is left out."""
        firsts = list(self.http.each(_messages_path(thread.id) for thread in threads))
        tickets = self._tickets(thread.ticket for thread in threads if thread.ticket)
        shared, own, bad = dict[Record, None](), list[Record](), tuple[Reject, ...]()
        for thread, first in zip(threads, firsts, strict=True):
            if first is None:
                continue
            said, rejects = self._said(thread.id, first)
            ticket = tickets.get(thread.ticket or "")
            shared |= dict.fromkeys(_around(thread, said))
            own += self._told(thread, said, ticket)
            bad += rejects
        return [*shared, *own, *self._merged(tickets)], bad

    def _told(self, thread: _Thread, said: list[_Said], ticket: _Object | None) -> list[Record]:
        messages = [_message(one, thread) for one in said if one.type not in MOVES]
        led = ticket if ticket and self._desks.get(thread.inbox_id or "") else None
        story = _Story(thread, led, self._stages)
        for one in said:
            story.hear(one)
        story.end(max([thread.created_at, *(one.created_at for one in said)]))
        began = min([thread.created_at, *(message.at for message in messages)])
        owner = self._agents.get((ticket.properties.get("hubspot_owner_id") or "") if ticket else "")
        conversation = _conversation(thread, began, story.status, ticket, self.tag_property)
        link = f"{self._page}/{thread.id}" if self._page else None
        return [conversation._replace(agent=thread.assigned_to or owner, link=link), *messages, *story.events]

    def _said(self, thread: str, first: Answer) -> tuple[list[_Said], tuple[Reject, ...]]:
        """All that was said and done, oldest first, whatever order it came in; each once."""
        items = [one for page in self._pages_from(first, _messages_path(thread)) for one in page]
        found, bad = rows(_Said, items, "message")
        kept = {one.id: one for one in found if not one.archived}
        return sorted(kept.values(), key=lambda one: (one.created_at, one.id)), bad

    def _tickets(self, ids: Iterable[str], query: str = "") -> dict[str, _Object]:
        """By their ids; without the right to see tickets none, and threads stand for themselves."""
        wanted, found = sorted(set(ids)), dict[str, _Object]()
        for start in range(0, len(wanted) if wanted and self._has_tickets else 0, WITH_HISTORY):
            body = {
                "inputs": [{"id": one} for one in wanted[start : start + WITH_HISTORY]],
                "properties": [*TICKET_FIELDS, self.tag_property],
                "propertiesWithHistory": [STAGE],
            }
            found |= {one.id: one for one in _objects(self.http.search(f"{TICKETS}/batch/read{query}", body))}
        return found

    def _merged(self, tickets: dict[str, _Object]) -> list[Event]:
        """What was merged into these tickets is archived; its first thread goes on in that of the winner."""
        into = {one: ticket for ticket in tickets.values() for one in ticket.listed(MERGED)}
        lost = self._tickets(into, "?archived=true")
        pairs = {(one.first_thread, into[key].first_thread) for key, one in lost.items()}
        return [
            Event(f"{loser}:merged", loser, None, "merged", winner)
            for loser, winner in sorted((a, b) for a, b in pairs if a and b and a != b)
        ]

    # what is known of the account

    @cached_property
    def _boxes(self) -> tuple[list[_Named], tuple[Reject, ...]]:
        return self._short("/conversations/v3/conversations/inboxes", _Named, "inbox")

    @cached_property
    def _desks(self) -> dict[str, bool]:
        """By inbox: is it a help desk, whose tickets say what is open and what is done?"""
        return {box.id: box.type == "HELP_DESK" for box in self._boxes[0]}

    @cached_property
    def _owners(self) -> tuple[list[_Owner], tuple[Reject, ...]]:
        """Those who left, too: their names stand under old threads."""
        here, bad = self._short("/crm/v3/owners?archived=false&limit=100", _Owner, "agent", needed=False)
        left, bad_left = self._short("/crm/v3/owners?archived=true&limit=100", _Owner, "agent", needed=False)
        return [*here, *(one for one in left if one.user_id)], bad + bad_left

    @cached_property
    def _agents(self) -> dict[str, str]:
        """Owners have numbers of their own; threads speak of users."""
        return {owner.id: owner.agent.id for owner in self._owners[0]}

    @cached_property
    def _stages(self) -> dict[str, Status]:
        pipelines, _ = self._short("/crm/v3/pipelines/tickets", _Pipeline, "stage", needed=False)
        stages = [stage for pipeline in pipelines for stage in pipeline.stages]
        return {stage.id: STATES.get((stage.metadata or {}).get("ticketState"), "open") for stage in stages}

    @cached_property
    def _has_tickets(self) -> bool:
        return self.http.find(TICKETS, {"limit": 1}, ABSENT) is not None

    @cached_property
    def _survey_fields(self) -> set[str]:
        answer = self.http.find("/crm/v3/properties/feedback_submissions", absent=ABSENT)
        return {str(one.get("name")) for one in (_items(answer) if answer else []) if isinstance(one, dict)}

    @cached_property
    def _account(self) -> dict[str, Any]:
        answer = self.http.find("/account-info/v3/details", absent=ABSENT)
        found = answer.json() if answer else None
        return found if isinstance(found, dict) else {}

    @property
    def _page(self) -> str | None:
        portal, domain = self._account.get("portalId"), self._account.get("uiDomain") or "app.hubspot.com"
        return f"https://{domain}/live-messages/{portal}/inbox" if portal else None

    # lists

    def _short(self, path: str, model: Any, kind: str, *, needed: bool = True) -> tuple[list[Any], tuple[Reject, ...]]:
        items: list[Any] = []
        for page in self._pages(path, {}, () if needed else ABSENT):
            items += page
        return rows(model, items, kind)

    def _pages(self, path: str, query: Params, absent: Collection[int] = ()) -> Iterator[list[Any]]:
        yield from self._pages_from(self.http.find(path, query, absent), path, query, absent)

    def _pages_from(
        self, answer: Answer | None, path: str, query: Params | None = None, absent: Collection[int] = (404,)
    ) -> Iterator[list[Any]]:
        met = set[str]()
        while answer:
            yield _items(answer)
            after = _following(answer, met)
            answer = self.http.find(path, {**(query or {}), **_turned_to(after)}, absent) if after else None

    def _by_time(
        self, ask: Callable[[Instant, str | None], Answer], kind: type[Row], name: str, since: Instant
    ) -> Iterator[tuple[list[Row], tuple[Reject, ...], Instant]]:
        """Oldest change first, and up to when all is told. Each page is asked for from a time on the one before: so no
        cap is reached, and no row is skipped where others move to the end or leave meanwhile, whatever ``after`` counts
        by. From the time in its middle: what changed a moment ago may still stand at its old place with its new time,
        as the last row, too. What comes twice is told once. A page is turned only where half of it has one time, or
        where it is not in order."""
        bound, after, newest = max(since, EARLIEST), None, since
        before, refused, met = dict[str, Row](), set[Reject](), set[str]()
        while True:
            answer = ask(bound, after)
            found, bad = rows(kind, _items(answer), name)
            new = [one for one in found if before.get(one.id) != one]
            new_bad: tuple[Reject, ...] = tuple(one for one in bad if one not in refused)
            times: list[Instant] = [one.place for one in found]
            before, refused = {one.id: one for one in found}, set(bad)
            newest, after = max([newest, *times]), _following(answer, met)
            if after is None:
                yield new, new_bad, newest
                return
            middle = times[len(times) // 2] if times and times == sorted(times) else bound
            if middle > bound:
                bound, after, met = middle, None, set()
            yield new, new_bad, bound

    def _searched(
        self, path: str, since: Instant, fields: Collection[str]
    ) -> Iterator[tuple[list[_Object], tuple[Reject, ...], Instant]]:
        """Rejected when the cap is full of rows of a single millisecond."""

        def ask(bound: Instant, after: str | None) -> Answer:
            if after and after.isdigit() and int(after) >= CAP:
                raise Rejected(
                    f"HubSpot lists {CAP} changes of one instant and no more: those after {to_iso(bound)} wait"
                )
            return self.http.search(f"{path}/search", _since(bound, fields, TICKETS_A_PAGE, after))

        yield from self._by_time(ask, _Object, "ticket", since)

    # tag

    def tags(self, conversation: str) -> tuple[str, ...]:
        return self._tagged(self._ticket_of(conversation))

    def add_tag(self, conversation: str, tag: str) -> TagChange:
        """A leading semicolon adds; without it the whole list would be replaced."""
        ticket = self._ticket_of(conversation)
        self._check_option(tag)
        before = self._tagged(ticket)
        if tag in before:
            return TagChange(before, before)
        return self._written(ticket, f";{tag}", before, {*before, tag})

    def remove_tag(self, conversation: str, tag: str) -> TagChange:
        """Nothing takes a single value away: the others are written in place of all."""
        ticket = self._ticket_of(conversation)
        before = self._tagged(ticket)
        if tag not in before:
            return TagChange(before, before)
        rest = [one for one in before if one != tag]
        return self._written(ticket, ";".join(rest), before, set(rest))

    def _ticket_of(self, conversation: str) -> str:
        found, _ = rows(_Thread, [self.http.get(_thread_path(conversation)).json()], "conversation")
        if not found or not found[0].ticket:
            raise Rejected(f"thread {conversation} has no ticket, and HubSpot tags tickets only: make one of it first")
        return found[0].ticket

    def _tagged(self, ticket: str) -> tuple[str, ...]:
        found, _ = rows(_Object, [self.http.get(f"{TICKETS}/{ticket}?properties={self.tag_property}").json()], "ticket")
        if not found:
            raise BadPayload(f"HubSpot's ticket {ticket} cannot be understood: nothing was written to it")
        return found[0].listed(self.tag_property)

    def _check_option(self, tag: str) -> None:
        """A tag is one of the property's options; making one would need a scope that may change every property."""
        answer = self.http.find(f"/crm/v3/properties/tickets/{self.tag_property}")
        where = "Settings → Properties → Ticket properties"
        if answer is None:
            raise Rejected(f"there is no ticket property {self.tag_property}: make one in {where}")
        told = answer.json()
        if _inside(told, "fieldType") != "checkbox":
            raise Rejected(
                f"the ticket property {self.tag_property} is not of multiple checkboxes: make another in {where}"
            )
        if tag not in [_inside(one, "value") for one in _inside(told, "options") or []]:
            raise Rejected(f"the ticket property {self.tag_property} has no option {tag}: add it in {where}")

    def _written(self, ticket: str, value: str, before: tuple[str, ...], wanted: set[str]) -> TagChange:
        """Rejected when what is read back is not what was meant to be."""
        self.http.send("PATCH", f"{TICKETS}/{ticket}", {"properties": {self.tag_property: value}})
        after = self._tagged(ticket)
        return as_written(f"ticket {ticket}", "HubSpot", before, wanted, after)

    # note

    def add_note(self, conversation: str, text: str) -> str:
        """A COMMENT, literally: a MESSAGE would go to the customer. Rejected when it is not read back as one."""
        lines = "".join(f"<p>{escape(line, quote=False)}</p>" for line in text.splitlines())
        body = {"type": "COMMENT", "text": text, "richText": lines, "attachments": []}
        self.http.send("POST", f"{THREADS}/{conversation}/messages", body)
        note = self.find_note(conversation, text)
        if note is None:
            raise Rejected(f"thread {conversation}: what was written is not there as an internal comment; look at it")
        return note

    def find_note(self, conversation: str, text: str) -> str | None:
        said, _ = self._said(conversation, self.http.get(_messages_path(conversation)))
        same = [one.id for one in said if one.own and _words(one.text) == _words(text)]
        return same[-1] if same else None

    def remove_note(self, conversation: str, note: str) -> None:
        """Always Rejected: HubSpot has no way to delete a comment."""
        raise Rejected(
            f"HubSpot cannot delete comments: {note} stays in thread {conversation}, for the team only, "
            "until somebody deletes it there by hand"
        )

    # probe

    def probe(self) -> Iterator[Finding]:
        answer = self.http.get(THREADS, {"limit": 1})
        yield Finding("conversations", True, "readable")
        yield _pace(answer, self.pace)
        portal, zone = self._account.get("portalId"), self._account.get("timeZone")
        yield Finding(
            "account", bool(portal) or None, f"{portal or 'not told, so there are no links'}, zone {zone or '?'}"
        )
        yield from self._scopes()
        desks = sum(box.type == "HELP_DESK" for box in self._boxes[0])
        led = f"{len(self._boxes[0])}, of which {desks or 'none'} led by tickets"
        yield Finding("inboxes", True, led)
        yield from self._what_it_feeds()

    def _scopes(self) -> Iterator[Finding]:
        """Only a private app's token can be asked about."""
        token = self.token.get_secret_value().strip()
        if not token.startswith("pat-"):
            yield Finding("scopes", None, "not told for a token that is no private app's", "use a private app's token")
            return
        told = self.http.search("/oauth/v2/private-apps/get/access-token-info", {"tokenKey": token}).json()
        scopes = [str(one) for one in (told.get("scopes") if isinstance(told, dict) else None) or []]
        missing, broad = [one for one in READS if one not in scopes], sorted(set(scopes) - set(USED))
        remedy = "Settings → Integrations → Private Apps → your app → Scopes"
        if missing:
            yield Finding("scopes", None, f"missing: {', '.join(missing)}", f"{remedy}: add them")
        if broad:
            yield Finding("scopes", None, f"more than is needed: {', '.join(broad)}", f"{remedy}: take them away")
        if not missing and not broad:
            yield Finding("scopes", True, "what is needed, and no more")
        if "conversations.write" not in scopes:
            yield Finding("notes", None, "read only: no internal comments", f"{remedy}: add conversations.write")

    def _what_it_feeds(self) -> Iterator[Finding]:
        tickets = "without the scope tickets: changes of closed threads, help desk states and tags stay unseen"
        yield Finding("tickets", self._has_tickets or None, "readable" if self._has_tickets else tickets)
        tags = self.http.find(f"/crm/v3/properties/tickets/{self.tag_property}", absent=ABSENT)
        make = f"Settings → Properties → Ticket properties → create {self.tag_property}, multiple checkboxes"
        yield Finding(
            "tags", bool(tags) or None, self.tag_property if tags else "no such property", "" if tags else make
        )
        named = bool(self._owners[0])
        yield Finding("agents", named or None, "readable" if named else "no names, no teams: crm.objects.owners.read")
        fields = {"hs_value", "hs_survey_type"} <= self._survey_fields
        lost = "survey answers are not readable: no CSAT (Service Hub Professional, and the scope for submissions)"
        yield Finding("ratings", fields or None, f"readable, taken as 1 to {self.csat_high}" if fields else lost)
        yield Finding("response rate", None, "HubSpot does not tell which surveys were left unanswered")
        yield Finding("opening hours", None, "not in HubSpot's API: write them into [calendar]")
        yield Finding("language", None, "not read: no figure can be split by it")


# --- reading lists ---------------------------------------------------------------------------------------------------


def _since(
    bound: Instant, fields: Collection[str], most: int, after: str | None = None, order: str = "ASCENDING"
) -> dict[str, Any]:
    """What changed at that millisecond or later."""
    return {
        "filterGroups": [{"filters": [{"propertyName": MODIFIED, "operator": "GTE", "value": str(bound)}]}],
        "sorts": [{"propertyName": MODIFIED, "direction": order}],
        "properties": list(fields),
        "limit": most,
    } | _turned_to(after)


def _thread_path(thread: str) -> str:
    return f"{THREADS}/{thread}?association=TICKET"


def _messages_path(thread: str) -> str:
    return f"{THREADS}/{thread}/messages?limit={MESSAGES_A_PAGE}&sort=createdAt"


def _inside(document: Any, *path: str) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _text(document: Any, *path: str) -> str:
    return str(_inside(document, *path) or "")


def _tos(tie: Any) -> list[Any]:
    return [to for to in _inside(tie, "to") or [] if _inside(to, "toObjectId")]


def _items(answer: Answer) -> list[Any]:
    """BadPayload when there is no list of results."""
    found = _inside(answer.json(), "results")
    if not isinstance(found, list):
        raise BadPayload("HubSpot's answer has no list of results: nothing of it was kept")
    return found


def _objects(answer: Answer) -> list[_Object]:
    return rows(_Object, _items(answer), "ticket")[0]


def _marks(found: list[_Object]) -> dict[str, Instant]:
    return {one.id: one.modified for one in found}


def _from(instant: Instant, marks: dict[str, Instant]) -> dict[str, Instant]:
    return {key: at for key, at in marks.items() if at >= instant}


def _turned_to(after: str | None) -> dict[str, str]:
    return {"after": after} if after else {}


def _following(answer: Answer, met: set[str]) -> str | None:
    """Where the next page begins; None at the end. ``met`` are those that were turned to already. HubSpot's own example
    is escaped as it stands in an address; escaped twice it would be another."""
    told = _inside(answer.json(), "paging", "next", "after")
    after = None if told is None else unquote(str(told))
    if after in met:
        raise BadPayload("HubSpot gave the same page twice, so its list has no end: what came before it was kept")
    met.update([after] if after else [])
    return after or None


# --- from their words to ours ----------------------------------------------------------------------------------------


def _time_of(value: str | None) -> Instant | None:
    """Of a property: ISO, epoch milliseconds as text, or nothing that is a time."""
    found, _ = rows(_Was, [{"timestamp": value}] if value else [], "time")
    return found[0].timestamp if found else None


def _channel(name: str, words: str | None) -> Channel:
    told = (words or "").lower()
    return Channel(
        name, CHANNELS.get(name) or next((kind for word, kind in CHANNEL_WORDS.items() if word in told), "other")
    )


def _gone(thread: str) -> Event:
    return Event(f"{thread}:deleted", thread, None, "deleted")


def _around(thread: _Thread, said: list[_Said]) -> Iterator[Record]:
    """The customer and the bots of a thread: shared with others."""
    if thread.associated_contact_id:
        yield Contact(_person(thread.associated_contact_id))
    for sender in (sender for one in said for sender in one.senders):
        if sender.actor_id and sender.actor_id.startswith(BOTS):
            yield Agent(sender.actor_id, sender.name or sender.actor_id, "bot")


def _person(actor: str) -> str:
    return actor.removeprefix("V-")


def _conversation(
    thread: _Thread, began: Instant, status: Status, ticket: _Object | None, tag_property: str
) -> Conversation:
    return Conversation(
        id=thread.id,
        created_at=began,
        status=status,
        changed_at=thread.version,
        inbox=thread.inbox_id,
        channel=thread.original_channel_id,
        contact=_person(thread.associated_contact_id) if thread.associated_contact_id else None,
        team=(ticket.properties.get("hubspot_team_id") or None) if ticket else None,
        tags=ticket.listed(tag_property) if ticket else (),
    )


def _message(one: _Said, thread: _Thread) -> Message:
    kind, author, text = KINDS.get(one.type, "activity"), _author(one), one.text or ""
    failed = one.status is not None and one.status.status_type == "FAILED"
    return Message(
        id=one.id,
        conversation=thread.id,
        at=one.created_at,
        author=author,
        author_id=_author_id(one, author, thread),
        public=kind == "message" and not failed,  # what failed never reached the customer
        kind=kind,
        length=len(text),
        own=one.own,
        body=text,
    )


def _author(one: _Said) -> Author:
    """Whoever writes in is the customer, also as a bare address. A greeting is nobody's reply."""
    if one.incoming:
        return "customer"
    author = ACTORS.get(one.actor.partition("-")[0], "unknown")
    if author == "human" and one.client:
        author = CLIENTS.get(one.client.client_type, "human")
    return "automation" if author == "human" and one.type == "WELCOME_MESSAGE" else author


def _author_id(one: _Said, author: Author, thread: _Thread) -> str | None:
    if author == "customer":
        visitor = one.actor if one.actor.startswith("V-") else thread.associated_contact_id
        return _person(visitor) if visitor else None
    return one.actor if author in ("human", "bot") else None


def _words(text: str | None) -> str:
    return " ".join((text or "").split())


def _rating(answer: _Object, thread: str | None, high: int) -> Rating | Reject:
    told = answer.properties
    value = told.get("hs_value") or ""
    if not thread:
        return Reject("rating", answer.id, "it is tied to no ticket that began with a conversation")
    if not re.fullmatch(r"\d+(\.\d+)?", value) or not 1 <= float(value) <= high:
        return Reject("rating", answer.id, f"its score is not from 1 to {high}: is csat_high right?")
    at = _time_of(told.get("hs_submission_timestamp")) or _time_of(told.get("hs_createdate")) or answer.modified
    survey = told.get("hs_survey_id") or told.get("hs_survey_name")
    return Rating(answer.id, thread, None, ((at, float(value)),), 1, high, survey=survey or None)


def _pace(answer: Answer, pace: float) -> Finding:
    most, window = (answer.headers.get(f"x-hubspot-ratelimit-{name}", "") for name in ("max", "interval-milliseconds"))
    if not (most.isdigit() and window.isdigit() and int(window)):
        return Finding("rate limit", None, f"not told; we ask {pace:g} times a second at most")
    allowed = int(most) * 1000 / int(window)
    remedy = f"set services.hubspot.requests_per_second = {allowed / 3:.1f}" if pace > allowed / 2 else ""
    return Finding("rate limit", None if remedy else True, f"{allowed:g} a second, of which we take {pace:g}", remedy)


class _Story:
    """A thread's status and owners, event by event. In a help desk the ticket's stages tell the status."""

    def __init__(self, thread: _Thread, ticket: _Object | None, stages: dict[str, Status]) -> None:
        self.thread, self.ticket = thread, ticket
        self.now: Status = "open"
        self.at = thread.created_at
        self.events: list[Event] = []
        self.status: Status = STATES.get(thread.status, "open")
        if ticket and (stage := ticket.properties.get(STAGE)) in stages:
            self.status = stages[stage or ""]
            history = (ticket.properties_with_history or {}).get(STAGE, [])
            # A ticket may be older than this thread of it: what it went through before is not the thread's.
            for was in sorted((one for one in history if one.timestamp >= self.at), key=lambda one: one.timestamp):
                self._move(stages.get(was.value or "", "open"), was.timestamp, f"stage:{was.timestamp}")
        else:
            self.ticket = None

    def hear(self, one: _Said) -> None:
        if one.type == "ASSIGNMENT":
            self._assign(one)
        elif self.ticket is None and one.type == "THREAD_STATUS_CHANGE":
            self._move(STATES.get(one.new_status, "open"), one.created_at, one.id, _seat(one.actor))
        elif self.ticket is None and one.incoming:
            self._move("open", one.created_at, f"{one.id}:reopened", derived=True)

    def end(self, last: Instant) -> None:
        """Agree with what the thread is now. ``closedAt`` may be left from an earlier closing: it only counts after
        all that is known."""
        told = _time_of(self.ticket.properties.get("closed_date")) if self.ticket else self.thread.closed_at
        closed = told if self.status == "done" and told and told >= self.at else None
        self._move(self.status, closed or max(last, self.at), "now", derived=True)
        if self.thread.spam:
            self.events.append(Event(f"{self.thread.id}:spam", self.thread.id, None, "spam"))

    def _assign(self, one: _Said) -> None:
        to, was = one.assigned_to, one.assigned_from
        self.events.append(
            Event(f"{one.id}:assigned", self.thread.id, one.created_at, "assigned", to, was, _seat(one.actor))
        )
        if (was or "").startswith(BOTS) and (to or "").startswith("A-"):
            self.events.append(Event(f"{one.id}:handoff", self.thread.id, one.created_at, "handoff"))

    def _move(self, status: Status, at: Instant, name: str, actor: str | None = None, *, derived: bool = False) -> None:
        if status != self.now:
            event = Event(f"{self.thread.id}:{name}", self.thread.id, at, "status", status, self.now, actor, derived)
            self.events.append(event)
            self.now, self.at = status, at


def _seat(actor: str) -> str | None:
    return actor if actor.startswith(("A-", *BOTS)) else None
