"""Front: conversations with their whole history in, tags and internal comments out.

API: Core API (api2.frontapp.com, OpenAPI description 1.0.0). Links of its answers point to {company}.api.frontapp.com,
     where the token is not sent: their path is asked of `url`.
Auth: `Authorization: Bearer` with an API token of the company. Least: read on shared resources (conversations,
     messages, comments, events, inboxes, channels, tags), teammates and teams; write on tags and comments to push.
Limits: 50, 100 or 200 requests a minute by plan, for the whole company; 15 events, 100 conversations or messages a
     page. A third of the smallest plan's unless told otherwise.
Gaps: ratings exist in analytics exports only, which have to be ordered and fetched later: no csat, csat_mean,
     csat_response_rate but by a CSV file (surveys are no offers either). Opening hours: config, since Front's shifts
     belong to people. When a bot handed over. With ticketing only the last change of status is dated; earlier ones are
     known if a sync ran between. Whether snoozing writes an archive event is not documented: an archive that a
     reminder ends is taken for a snooze. How long Front keeps events is not documented: where they are missing,
     status, inbox and assignee are those of today. Spam is trash there and counts as deleted. A mail to two team
     inboxes is two conversations; a conversation in several inboxes counts in the first. Out-of-office mail is a
     customer's message and opens a conversation again. Private conversations, discussions and tasks are left out.
     One that moves where the token cannot see stays as it was. Comments cannot be deleted. An import is known by its
     event's lateness alone; a reply that a script sends in a person's name looks like that person.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, NamedTuple
from urllib.parse import quote, urlsplit

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
    Record,
    Reject,
    Status,
    Team,
    from_unix,
)

CHANNELS = {
    # Types of messages and types of channels: the same thing often has two names.
    **dict.fromkeys(("email", "smtp", "imap", "gmail", "office365"), "email"),
    **dict.fromkeys(("front_chat", "intercom"), "live_chat"),
    **dict.fromkeys(("whatsapp", "yalo_wha"), "whatsapp"),
    **dict.fromkeys(("sms", "twilio"), "sms"),
    **dict.fromkeys(("call", "phone-call", "truly", "truly-call"), "phone"),
    **dict.fromkeys(("tweet", "tweet_dm", "twitter"), "x"),
    "facebook": "facebook",
}
STATUSES: dict[str, Status] = {"assigned": "open", "unassigned": "open", "archived": "done", "deleted": "done"}
CATEGORIES: dict[str | None, Status] = {"open": "open", "waiting": "pending", "resolved": "done"}
AUTHORS: dict[str | None, Author] = {
    "user": "human",
    "visitor": "customer",
    "ai": "bot",
    **dict.fromkeys(("api", "application", "integration"), "integration"),
    **dict.fromkeys((None, "rule", "macro", "csat", "smart_csat", "bulk_reply"), "automation"),
}
KINDS: dict[str | None, MessageKind] = {"csat": "survey", "smart_csat": "survey", "bulk_reply": "campaign"}
ACTORS: dict[str | None, Author] = {
    "rule": "automation",
    "macro": "automation",
    "api": "integration",
    "oauth_client": "integration",
}
"""Who, if not a teammate, may have done what an event tells."""
OPENING = ("reopen", "restore", "reminder")
ASSIGNING = ("assign", "unassign")
DECISIVE = ("archive", "trash", "inbound", *OPENING)
TOLD = (*DECISIVE, *ASSIGNING, "move", "ticket_status_update", "conversations_merged")
SPOKEN = ("inbound", "outbound", "out_reply")
BESIDE = frozenset(("mention", "link_added", "link_removed", "custom_field_updated", "macro_triggered"))
"""Events after which nothing that is stored differs."""
SUPPORT = "conversation"
CALLS = ("call", "phone-call", "truly-call")

OVERLAP = 10 * 60_000
"""Events may be listed later than they happened: this much before the newest one seen is listed again."""
IMPORT_LAG = 24 * 3600_000
"""No message takes a day to arrive: one whose event comes later than that was imported."""
READ_AT_ONCE, TAG_LENGTH = 10, 64
EVERY_CONVERSATION = "/conversations?q[statuses][]=assigned&q[statuses][]=unassigned&q[statuses][]=archived&limit=100"
OLDEST_FIRST = "sort_by=created_at&sort_order=asc"  # unsaid, the newest come first
EVENTS = f"/events?limit=15&{OLDEST_FIRST}"
NEWEST_EVENT = "/events?limit=1&sort_by=created_at&sort_order=desc"
GONE = (301, 302, 307, 308, 404)
"""A conversation that was merged into another one is not found, or is an address elsewhere."""
HIDDEN = 403
"""One that moved into a private inbox is refused; so is everything to a token that lost its right."""
EXPIRED = (400, 404, 410)
TOKENS = "Settings → Developers → API Tokens"  # where to click for one, not one
Items = list[Any]


# --- what is read of the answers -------------------------------------------------------------------------------------


def _instant(value: Any) -> Instant:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a time in seconds")
    return from_unix(value)


def _object(value: Any) -> Any:
    """What is missing is null in one place and an empty object in another."""
    return value if isinstance(value, dict) and value else None


When = Annotated[Instant, BeforeValidator(_instant)]
WhenOrNone = Annotated[Instant | None, BeforeValidator(lambda value: _instant(value) if value else None)]


class _Named(BaseModel):
    """A teammate, a team, a rule, a tag: who is told apart by where it stands."""

    id: str
    type: str | None = None
    name: str | None = None
    username: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    is_private: bool | None = None

    @property
    def label(self) -> str:
        whole = " ".join(part for part in (self.first_name, self.last_name) if part)
        return self.name or whole or self.username or self.id


NamedOrNone = Annotated[_Named | None, BeforeValidator(_object)]


class _Box(BaseModel):
    id: str
    name: str | None = None
    is_private: bool | None = False
    type: str | None = None
    links: Any = Field(None, alias="_links")

    def linked(self, kind: str) -> str | None:
        """The id at the end of a link to another resource."""
        return _last(_inside(self.links, "related", kind))

    @property
    def team(self) -> str | None:
        """An individual inbox is owned by a person."""
        owner = self.linked("owner") or ""
        return owner if owner.startswith("tim_") else None


class _Chat(BaseModel):
    id: str
    type: str | None = SUPPORT
    status: str
    status_category: str | None = None
    assignee: NamedOrNone = None
    recipient: Any = None
    tags: list[_Named] = []
    created_at: When
    updated_at: WhenOrNone = None
    is_private: bool | None = False
    scheduled_reminders: list[Any] | None = None

    @property
    def support(self) -> bool:
        return not self.is_private and (self.type or SUPPORT) == SUPPORT

    @property
    def ours(self) -> Status:
        """With ticketing the category tells more; what is put off until a reminder is not done, whatever its status."""
        if self.status != "deleted" and self.scheduled_reminders:
            return "snoozed"
        return CATEGORIES.get(self.status_category) or STATUSES.get(self.status, "open")


class _Said(BaseModel):
    id: str
    type: str | None = None
    is_inbound: bool
    draft_mode: str | None = None
    error_type: str | None = None
    created_at: When
    author: NamedOrNone = None
    recipients: list[Any] | None = None
    text: str | None = None
    body: str | None = None
    metadata: Any = None

    @property
    def words(self) -> str:
        return (self.text or "").strip() or _plain(self.body)

    @property
    def taken(self) -> bool:
        """A call that somebody talked in."""
        return self.is_inbound and self.type in CALLS and bool(_inside(self.metadata, "have_been_answered"))


class _Comment(BaseModel):
    id: str
    body: str | None = None
    posted_at: When
    author: NamedOrNone = None


class _Happened(BaseModel):
    """Its ``conversation`` is a preview of what that is now, not of what it was then: only its id is read."""

    id: str
    type: str
    emitted_at: When
    source: Any = None
    target: Any = None
    conversation: NamedOrNone = None

    @property
    def chat(self) -> str:
        return self.conversation.id if self.conversation else ""

    @cached_property
    def actor(self) -> Agent | None:
        """None where the customer, a mailbox or the time did it."""
        word = _inside(self.source, "_meta", "type")
        who = rows(_Named, _several(_inside(self.source, "data")), "agent")[0][:1] if word != "inboxes" else []
        kind = AUTHORS.get(who[0].type or "user", "unknown") if who and word == "teammate" else ACTORS.get(word)
        return Agent(who[0].id, who[0].label, kind) if who and kind else None

    def target_ids(self) -> list[str]:
        """Whom or what it was done to; of a merge, the conversations that are no more."""
        found = [one if isinstance(one, str) else _inside(one, "id") for one in _several(_inside(self.target, "data"))]
        return [one for one in found if isinstance(one, str) and one]

    def inbox_ids(self) -> list[str]:
        ends = [self.target] if self.type == "move" else [self.source, self.target]
        data = [_inside(end, "data") for end in ends if _inside(end, "_meta", "type") == "inboxes"]
        return [str(_inside(one, "id")) for some in data for one in _several(some)]


class _Read(NamedTuple):
    """Conversations as they were read: their records, and the events that are known by it."""

    records: list[Record]
    rejects: tuple[Reject, ...]
    events: list[_Happened]


# --- the adapter -----------------------------------------------------------------------------------------------------


class FrontSettings(AdapterSettings):
    token: SecretStr = Field(description=f"an API token with shared resources only: {TOKENS} → Create API token")
    url: str = Field("https://api2.frontapp.com", description="Front's API, as it is for every company")
    requests_per_second: float = Field(50 / 60 / 3, gt=0, description="how many requests we allow ourselves")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("leave it out, or write the whole address: https://api2.frontapp.com")
        if parts.hostname == "app.frontapp.com":
            raise ValueError("that is where people open Front; leave url out, the API is at https://api2.frontapp.com")
        return f"{parts.scheme}://{parts.netloc}"


class Front:
    name: ClassVar[str] = "front"
    Settings: ClassVar[type[AdapterSettings]] = FrontSettings
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
            "ratings are in its analytics exports only: bring them in as a CSV file",
        ),
        "first_response_time_from_handoff": "when a bot handed over is not told",
    }
    first_read: ClassVar[float] = 2.51
    reread_limit: ClassVar[int] = 40

    def __init__(self, settings: FrontSettings, http: Http) -> None:
        self.http, self.per_second = http, settings.requests_per_second

    @staticmethod
    def service(settings: FrontSettings) -> Service:
        headers = {"Authorization": f"Bearer {settings.token.get_secret_value()}"}
        return Service(settings.url, headers, per_second=settings.requests_per_second, at_once=1)

    # pull

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]:
        return self._directory(cursor or {}) if stream == "directory" else self._conversations(cursor or {}, seen)

    def _directory(self, cursor: Cursor) -> Iterator[Page]:
        """Short lists without dates: a mark of what they hold tells whether there is anything new."""
        teams, bad = rows(_Named, self._all("/teams"), "team")
        people, bad_people = rows(_Named, self._all("/teammates"), "agent")
        types = self._channel_types()
        records: list[Record] = [_channel(word) for word in sorted(set(types.values()))]
        records += [Team(one.id, one.label) for one in teams]
        records += [_inbox(box, types.get(box.id)) for box in self._boxes.values() if not box.is_private]
        records += [_agent(one) for one in people]
        mark = hashlib.sha256(repr(records).encode()).hexdigest()[:16]
        yield Page([] if mark == cursor.get("mark") else records, {"mark": mark}, bad + bad_people)

    def _conversations(self, cursor: Cursor, seen: Seen) -> Iterator[Page]:
        """All there are, once; from then on those of which the events tell, beginning with the events since the list
        was opened, so that what moves in it meanwhile is not lost."""
        if not cursor:
            cursor = {"since": self._newest_event(), "list": EVERY_CONVERSATION}
            yield Page([], cursor)  # what leaves the list before its first page is stored is told by the events too
        if "list" in cursor:
            cursor = yield from self._every(cursor, seen)
        yield from self._changed(cursor)

    def _newest_event(self) -> Instant | None:
        """Of those that can be read: a page may be without rows though another one follows."""
        pages = self._pages(NEWEST_EVENT, NEWEST_EVENT)
        return next((one.emitted_at for items, _ in pages for one in rows(_Happened, items, "event")[0]), None)

    def _every(self, cursor: Cursor, seen: Seen) -> Generator[Page, None, Cursor]:
        """Last moved first. The cursor moves page by page, with parts of a page stored as they come."""
        since, known = cursor["since"], cursor.get("known", {})
        for items, following in self._pages(EVERY_CONVERSATION, cursor["list"]):
            chats, bad = rows(_Chat, items, "conversation")
            fresh = [one for one in chats if one.support and not seen(one.id, one.updated_at)]
            for start in range(0, len(fresh), READ_AT_ONCE):
                read = self._with_children(fresh[start : start + READ_AT_ONCE])
                known = _recent(known, read.events, since)
                yield Page(read.records, None, read.rejects)
            cursor = {"since": since, "known": known} | ({"list": following} if following else {})
            yield Page([], cursor, bad)
        return cursor

    def _changed(self, cursor: Cursor) -> Iterator[Page]:
        """Oldest event first: each page moves the cursor. Where they do not come in order, only the end does."""
        since, known = cursor["since"], cursor["known"]
        start = EVENTS if since is None else f"{EVENTS}&q[after]={(since - OVERLAP) / 1000:.3f}"
        top, last, in_order = since or 0, 0, True
        for items, following in self._pages(start, start):
            events, bad = rows(_Happened, items, "event")
            read = self._read_of(events, known)
            times = [last, *(one.emitted_at for one in events)]
            in_order, last, top = in_order and times == sorted(times), times[-1], max(top, *times)
            if in_order or following is None:
                since = top or since
            known = _recent(known, [*events, *read.events], cursor["since"])
            yield Page(read.records, {"since": since, "known": _recent(known, [], since)}, bad + read.rejects)

    def _read_of(self, events: list[_Happened], known: Collection[str]) -> _Read:
        """The conversations that the new ones of these events are of, as they are now. A merge is told by its event
        alone, so also by one that is known from reading the conversation that goes on."""
        merges = [one for one in events if one.type == "conversations_merged"]
        merged = [_merge(one, lost) for one in merges for lost in one.target_ids()]
        lost = {one.conversation for one in merged}
        fresh = [one.chat for one in events if one.id not in known and one.type not in BESIDE]
        wanted = [chat for chat in dict.fromkeys(fresh) if chat and chat not in lost]
        chats, moved, bad = self._fetch(wanted)
        read = self._with_children([one for one in chats if one.support])
        return _Read([*read.records, *moved, *merged], bad + read.rejects, read.events)

    # reread

    def reread(self, ids: Sequence[str], seen: Seen) -> Iterator[Page]:
        """One that became private since is out of our sight from then on."""
        for start in range(0, len(ids), READ_AT_ONCE):
            chats, moved, bad = self._fetch(ids[start : start + READ_AT_ONCE])
            hidden = [_removal(one.id) for one in chats if not one.support]
            read = self._with_children([one for one in chats if one.support and not seen(one.id, one.updated_at)])
            yield Page([*moved, *hidden, *read.records], None, bad + read.rejects)

    def _fetch(self, ids: Collection[str]) -> tuple[list[_Chat], list[Event], tuple[Reject, ...]]:
        """Conversations by id, and what is known of those that are no more: an answer with another id is a merge."""
        answers = {one: self.http.find(_path(one), absent=(*GONE, HIDDEN)) for one in ids}
        told = {one: answer.json() for one, answer in answers.items() if answer}
        moved = [_removal(one) for one in ids if one not in told and self._is_gone(one)]
        for one, item in told.items():
            now = _inside(item, "id")
            if isinstance(now, str) and now != one:
                moved.append(Event(f"{one}:merged", one, None, "merged", now))
        chats, bad = rows(_Chat, list(told.values()), "conversation")
        return chats, moved, bad

    def _is_gone(self, conversation: str) -> bool:
        """What is only out of sight stays as it was, since it may come back; AuthFailed if no other one is shown."""
        status = self.http.status(_path(conversation), (*GONE, HIDDEN))
        if status == HIDDEN:
            self.http.get("/conversations?limit=1")
        return status in GONE

    def _with_children(self, chats: Sequence[_Chat]) -> _Read:
        shared: dict[Record, None] = {}
        own: list[Record] = []
        rejects: tuple[Reject, ...] = ()
        known: list[_Happened] = []
        for chat in chats:
            history = self.http.find(f"{_path(chat.id)}/events", absent=(*GONE, HIDDEN))
            if history is None:  # it left after it was told: without its messages it would be another conversation
                continue
            events, bad_events = rows(_Happened, self._rest(history)[::-1], "event")
            events.sort(key=lambda one: one.emitted_at)
            said, bad = rows(_Said, self._all(f"{_path(chat.id)}/messages?limit=100&{OLDEST_FIRST}"), "message")
            said = [one for one in said if not one.draft_mode]
            notes, bad_notes = self._notes(chat.id) if any(one.type == "comment" for one in events) else ([], ())
            told = _Told(chat, events, said, notes, self._stations(chat.id, events))
            shared |= dict.fromkeys(told.around())
            own += told.records()
            rejects += bad_events + bad + bad_notes
            # What happened after the conversation was told is not in it: the feed is to bring that, not to skip it.
            known += [one for one in events if one.emitted_at <= (chat.updated_at or 0)]
        return _Read([*shared, *own], rejects, known)

    def _notes(self, chat: str) -> tuple[list[_Comment], tuple[Reject, ...]]:
        return rows(_Comment, self._all(f"{_path(chat)}/comments"), "message")

    def _stations(self, chat: str, events: list[_Happened]) -> list[_Station]:
        """In which inbox since when: told by its events, or else by the list of those it is in."""
        found: list[_Station] = []
        for one in events:
            if one.type == "move" or (one.type in SPOKEN and not found):
                found += [_Station(one, box) for box in self._shared(one.inbox_ids())]
        if found:
            return found
        return [_Station(None, box) for box in self._shared(_ids(self._all(f"{_path(chat)}/inboxes")))]

    def _shared(self, inboxes: list[str]) -> list[_Box]:
        """The first one that is not somebody's own."""
        known = [self._boxes[one] for one in inboxes if one in self._boxes]
        return [box for box in known if not box.is_private][:1]

    @cached_property
    def _boxes(self) -> dict[str, _Box]:
        return {box.id: box for box in rows(_Box, self._all("/inboxes"), "inbox")[0]}

    def _channel_types(self) -> dict[str, str]:
        """The type of each inbox's first channel."""
        types: dict[str, str] = {}
        for one in rows(_Box, self._all("/channels"), "channel")[0]:
            if one.type and (inbox := one.linked("inbox")):
                types.setdefault(inbox, one.type)
        return types

    # reading lists

    def _all(self, path: str) -> Items:
        """A whole list; nothing where there is none (a conversation that has vanished meanwhile)."""
        answer = self.http.find(path)
        return self._rest(answer) if answer else []

    def _rest(self, answer: Answer) -> Items:
        """From this page to the end."""
        found, following = self._page(answer)
        asked: set[str] = set()
        while following:
            items, following = self._page(self.http.get(_another(following, asked)))
            found = found + items
        return found

    def _pages(self, start: str, path: str) -> Iterator[tuple[Items, str | None]]:
        """Pages from ``path`` on, each with the address of the next. One remembered from an earlier run, or for as long
        as it took to read a page's conversations, may have expired: then from the start again, where that led further
        than the time before."""
        asked, given, furthest = {path}, 0, 0 if path == start else -1
        following: str | None = path
        while following:
            answer = self.http.find(following, absent=EXPIRED if given > furthest else ())
            if answer is None:
                asked, given, furthest, following = {start}, 0, given, start
                continue
            items, following = self._page(answer)
            given += 1
            yield items, following and _another(following, asked)

    @staticmethod
    def _page(answer: Answer) -> tuple[Items, str | None]:
        """A page's rows and where the next one is: null at the end, however full the page."""
        told = answer.json()
        items, following = _inside(told, "_results"), _inside(told, "_pagination", "next")
        if not isinstance(items, list):
            raise BadPayload("Front's answer has no list at _results: nothing of it was kept")
        return items, _local(following) if isinstance(following, str) and following else None

    # tag

    @staticmethod
    def tag_name(tag: str) -> str:
        return tag.strip()[:TAG_LENGTH]

    def tags(self, conversation: str) -> tuple[str, ...]:
        return _tags(self._one(conversation))

    def _one(self, conversation: str) -> _Chat:
        found, bad = rows(_Chat, [self.http.get(_path(conversation)).json()], "conversation")
        if bad:
            raise BadPayload(f"conversation {conversation} cannot be understood ({bad[0].reason}): nothing was written")
        return found[0]

    def add_tag(self, conversation: str, tag: str) -> TagChange:
        """By the call that adds: PATCH with ``tag_ids`` would replace them all."""
        name, before = self.tag_name(tag), self.tags(conversation)
        if name in before:
            return TagChange(before, before)
        self.http.send("POST", f"{_path(conversation)}/tags", {"tag_ids": [self._tag(name)]})
        return self._read_back(conversation, before, {*before, name})

    def remove_tag(self, conversation: str, tag: str) -> TagChange:
        name, chat = self.tag_name(tag), self._one(conversation)
        before, ids = _tags(chat), [one.id for one in chat.tags if one.name == name and not one.is_private]
        if not ids:
            return TagChange(before, before)
        self.http.send("DELETE", f"{_path(conversation)}/tags", {"tag_ids": ids})
        return self._read_back(conversation, before, {*before} - {name})

    def _read_back(self, conversation: str, before: tuple[str, ...], wanted: set[str]) -> TagChange:
        after = self.tags(conversation)
        return as_written(f"conversation {conversation}", "Front", before, wanted, after)

    def _tag(self, name: str) -> str:
        """A tag's id; made where the company has none of that name yet (Front would take a second one)."""
        if name not in self._known_tags:
            made = rows(_Named, [self.http.send("POST", "/tags", {"name": name}).json()], "tag")[0]
            if not made:
                raise BadPayload(f"Front did not tell the id of the new tag {name}: run it again")
            self._known_tags[name] = made[0].id
        return self._known_tags[name]

    @cached_property
    def _known_tags(self) -> dict[str, str]:
        found = rows(_Named, self._all("/tags?limit=100"), "tag")[0]
        return {one.label: one.id for one in reversed(found) if not one.is_private}

    # note

    def add_note(self, conversation: str, text: str) -> str:
        """A comment: no customer ever sees one. It is signed by the token."""
        answer = self.http.send("POST", f"{_path(conversation)}/comments", {"body": text})
        made = rows(_Comment, [answer.json()], "message")[0]
        if not made:
            raise BadPayload(f"Front did not tell the id of the comment on {conversation}: look whether it is there")
        return made[0].id

    def find_note(self, conversation: str, text: str) -> str | None:
        notes = self._notes(conversation)[0]
        return next((one.id for one in notes if _plain(one.body) == _plain(text)), None)

    def remove_note(self, conversation: str, note: str) -> None:
        """Always Rejected, unless it is gone already: Front's API has no call for it."""
        if any(one.id == note for one in self._notes(conversation)[0]):
            raise Rejected(
                f"Front's API cannot delete a comment: open {_page_of(conversation)} and delete {note} by hand"
            )

    # probe

    def probe(self) -> Iterator[Finding]:
        me = self.http.get("/me")
        yield Finding("company", True, str(_inside(me.json(), "name") or "not told"))
        yield _budget(me.headers.get("x-ratelimit-limit", ""), self.per_second)
        for path, what, needed in READABLE:
            answer = self.http.find(path, absent=(403, 404))
            if answer is None:
                remedy = f"{TOKENS} → a token that may read {what}" if needed else ""
                yield Finding(what, False if needed else None, "the token may not read them", remedy)
            else:
                yield from _readable(what, self._page(answer)[0])
        yield from LACKING


READABLE = (
    ("/inboxes", "inboxes", True),
    ("/teammates", "teammates", True),
    ("/teams", "teams", True),
    ("/channels", "channels", True),
    ("/events?limit=1", "events", True),
    ("/conversations?limit=1", "conversations", True),
    ("/tags?limit=1", "tags", False),
)
LACKING = (
    Finding(
        "ratings",
        None,
        "Front has them in analytics exports only: no csat, csat_mean, csat_response_rate from here",
        'export them by hand (Analytics) and read them as a .csv with the files adapter and of = "front", see README',
    ),
    Finding("opening hours", None, "Front keeps shifts of people, not hours of inboxes: write them under [calendar]"),
)


def _budget(limit: str, per_second: float) -> Finding:
    if not limit.isdecimal():
        return Finding("rate limit", None, "not told", "50 a minute is the smallest plan's")
    a_third = int(limit) / 180
    told = f"{limit} requests a minute for the whole company; we allow ourselves {per_second * 60:.0f}"
    if per_second * 60 > int(limit):
        return Finding("rate limit", False, told, f"set requests_per_second = {a_third:.2f}")
    remedy = f"requests_per_second = {a_third:.2f} would be a third of it" if per_second < a_third * 0.9 else ""
    return Finding("rate limit", True, told, remedy)


def _readable(what: str, items: Items) -> Iterator[Finding]:
    yield Finding(what, True, f"{len(items)} readable" if what in ("inboxes", "teammates", "teams") else "readable")
    if what == "inboxes" and any(_inside(one, "is_private") for one in items):
        broad = "the token sees people's own inboxes too, which Deskpulse leaves out"
        yield Finding("scope", None, broad, f"{TOKENS} → a token with shared resources only")
    if what == "conversations" and any(_inside(one, "status_category") for one in items):
        yield Finding("ticketing", None, "only the last change of status is dated: reopen_rate may miss some")
    if what == "conversations" and items and not any(_inside(one, "updated_at") for one in items):
        yield Finding("versions", None, "conversations have no updated_at: open ones are read whole at every run")


# --- from their words to ours ----------------------------------------------------------------------------------------


class _Station(NamedTuple):
    """An inbox, and the event that brought the conversation there."""

    event: _Happened | None
    box: _Box


def _inside(document: Any, *path: str) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _several(data: Any) -> Items:
    if isinstance(data, list):
        return data
    return [data] if data else []


def _ids(items: Items) -> list[str]:
    return [str(_inside(one, "id")) for one in items]


def _path(conversation: str) -> str:
    return f"/conversations/{quote(conversation, safe=':')}"


def _page_of(conversation: str) -> str:
    return f"https://app.frontapp.com/open/{conversation}"


def _local(link: str) -> str:
    """A link's path and query: its host is the company's own, ours is where the token belongs."""
    parts = urlsplit(link)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _last(link: Any) -> str | None:
    """The id at the end of a link."""
    found = urlsplit(link).path.rstrip("/").rsplit("/", 1)[-1] if isinstance(link, str) else ""
    return found or None


def _another(path: str, asked: set[str]) -> str:
    if path in asked:
        raise BadPayload("Front gave the same page twice, so its list has no end: what came before it was kept")
    asked.add(path)
    return path


def _plain(text: str | None) -> str:
    """Words without markup, for lengths and to know a comment of ours again."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text or "")).split())


def _recent(known: dict[str, Instant], events: list[_Happened], since: Instant | None) -> dict[str, Instant]:
    """The events that need no second look, as far back as they are listed again."""
    told = known | {one.id: one.emitted_at for one in events}
    return {name: at for name, at in told.items() if since is None or at >= since - OVERLAP}


def _merge(event: _Happened, lost: str) -> Event:
    actor = event.actor
    return Event(f"{lost}:merged", lost, event.emitted_at, "merged", event.chat, actor=actor.id if actor else None)


def _removal(conversation: str) -> Event:
    return Event(f"{conversation}:deleted", conversation, None, "deleted")


def _channel(word: str) -> Channel:
    return Channel(word, CHANNELS.get(word, "other"))


def _inbox(box: _Box, channel: str | None) -> Inbox:
    return Inbox(box.id, box.name or box.id, channel)


def _agent(person: _Named) -> Agent:
    return Agent(person.id, person.label, AUTHORS.get(person.type or "user", "unknown"))


def _tags(chat: _Chat) -> tuple[str, ...]:
    """Those that everybody sees."""
    return tuple(sorted({one.label for one in chat.tags if not one.is_private}))


def _contact(said: Sequence[Any] | None) -> str | None:
    """The contact of whoever wrote: an id, never an address."""
    senders = [one for one in said or () if _inside(one, "role") == "from"]
    return next((who for one in senders if (who := _last(_inside(one, "_links", "related", "contact")))), None)


def _author(one: _Said) -> Author:
    if one.is_inbound:
        return "customer"
    return AUTHORS.get(one.author.type or "user" if one.author else None, "unknown")


def _kind(one: _Said) -> MessageKind:
    """Forwarded to somebody else, it answers no customer."""
    if one.type == "internal":
        return "note"
    if not one.is_inbound and _inside(one.metadata, "is_forward"):
        return "activity"
    return KINDS.get(one.author.type if one.author else None, "message")


class _Told(NamedTuple):
    """A conversation with all that is its own; ``events`` and ``said`` oldest first."""

    chat: _Chat
    events: list[_Happened]
    said: list[_Said]
    notes: list[_Comment]
    stations: list[_Station]

    def around(self) -> Iterator[Record]:
        """The channel, the customers and the agents: shared with others."""
        if word := self._word():
            yield _channel(word)
        people = [self._person(one) for one in self.said] + [self._recipient()]
        yield from (Contact(one) for one in people if one)
        seats = [*(one.author for one in self.said), *(one.author for one in self.notes), self.chat.assignee]
        yield from (_agent(one) for one in seats if one and one.type != "visitor")
        yield from (one.actor for one in self.events if one.actor and one.type in TOLD)

    def records(self) -> Iterator[Record]:
        chat, box = self.chat, self.stations[-1].box if self.stations else None
        messages = list(self._messages())
        began = min([chat.created_at, *(one.at for one in messages)])
        yield Conversation(
            id=chat.id,
            created_at=began,
            status=chat.ours,
            changed_at=chat.updated_at,
            inbox=box.id if box else None,
            channel=self._word(),
            contact=next((who for one in self.said if (who := self._person(one))), None) or self._recipient(),
            team=box.team if box else None,
            agent=chat.assignee.id if chat.assignee else None,
            link=_page_of(chat.id),
            tags=_tags(chat),
        )
        yield from messages
        yield from self._statuses(max([began, *(one.at for one in messages if one.kind != "note")]))
        yield from self._assignments()
        yield from self._teams()

    def _word(self) -> str | None:
        return next((one.type for one in self.said if one.type), None)

    def _person(self, one: _Said) -> str | None:
        return _contact(one.recipients) if one.is_inbound else None

    def _recipient(self) -> str | None:
        return _last(_inside(self.chat.recipient, "_links", "related", "contact"))

    def _messages(self) -> Iterator[Message]:
        arrived = {name: one.emitted_at for one in self.events if one.type in SPOKEN for name in one.target_ids()}
        for one in self.said:
            message = self._message(one, arrived.get(one.id, one.created_at) - one.created_at > IMPORT_LAG)
            yield message
            if one.taken:
                who = one.author.id if one.author else None
                yield message._replace(id=f"{one.id}:taken", author="human", author_id=who)
        for note in self.notes:
            yield self._note(note)

    def _message(self, one: _Said, imported: bool) -> Message:
        author = _author(one)
        kind = _kind(one)
        return Message(
            id=one.id,
            conversation=self.chat.id,
            at=one.created_at,
            author=author,
            author_id=self._person(one) or (one.author.id if one.author and author in ("human", "bot") else None),
            public=kind != "note" and not one.error_type,  # what failed never reached the customer
            kind="imported" if imported and kind == "message" else kind,
            length=len(one.words),
            body=one.words,
        )

    def _note(self, one: _Comment) -> Message:
        text = _plain(one.body)
        own = text.startswith(OWN_NOTE_MARK)
        author = AUTHORS.get(one.author.type or "user" if one.author else None, "unknown")
        who = one.author.id if one.author and author in ("human", "bot") else None
        return Message(
            one.id, self.chat.id, one.posted_at, author, who, False, "note", len(text), own, one.body
        )  # fmt: skip

    def _statuses(self, last: Instant) -> Iterator[Event]:
        """What the events tell, ended by what is true now: that adds nothing where they tell it all."""
        now: Status = "open"
        decisive = [one for one in self.events if one.type in DECISIVE]
        for one in self.events:
            after = next((other.type for other in decisive if other.emitted_at > one.emitted_at), None)
            event = self._status(one, now, after)
            if event:
                now = event.value or now  # type: ignore[assignment]  # a status event's value is a Status
                last = max(last, one.emitted_at)
                yield event
        # A millisecond later, so that it never comes before the event that tells who did it.
        yield Event(f"{self.chat.id}:now", self.chat.id, last + 1, "status", self.chat.ours, now, derived=True)

    def _status(self, one: _Happened, now: Status, after: str | None) -> Event | None:
        """``after`` is the next event that decides on a status: it tells an archive from a snooze."""
        actor = one.actor.id if one.actor else None
        event = Event(one.id, self.chat.id, one.emitted_at, "status", now, now, actor)
        if one.type == "inbound" and now in ("done", "snoozed"):
            return event._replace(id=f"{one.id}:open", value="open", actor=None, derived=True)
        if one.type == "ticket_status_update":
            told = self.chat.status_category and self._is_last(one)
            return event._replace(value=self.chat.ours, derived=True) if told else None
        if one.type in OPENING:
            return event._replace(value="open")
        if one.type == "archive":
            put_off = after == "reminder" or (after is None and self.chat.ours == "snoozed")
            return event._replace(value="snoozed" if put_off else "done")
        if one.type == "trash":
            # Overwritten once it is taken out of the trash: it stays as an event that changes nothing.
            gone = self.chat.status == "deleted" and self._is_last(one)
            return event._replace(kind="deleted", value=None, was=None) if gone else event
        return None

    def _is_last(self, one: _Happened) -> bool:
        return [other for other in self.events if other.type == one.type][-1] is one

    def _assignments(self) -> Iterator[Event]:
        was: str | None = None
        for one in self.events:
            if one.type in ASSIGNING:
                holder = next(iter(one.target_ids()), None) if one.type == "assign" else None
                actor = one.actor.id if one.actor else None
                yield Event(one.id, self.chat.id, one.emitted_at, "assigned", holder, was, actor)
                was = holder

    def _teams(self) -> Iterator[Event]:
        """A move between two inboxes of a team is none of its own."""
        for before, after in zip(self.stations, self.stations[1:], strict=False):
            if after.event and before.box.team != after.box.team:
                told = after.event
                actor = told.actor.id if told.actor else None
                team, was = after.box.team, before.box.team
                yield Event(f"{told.id}:team", self.chat.id, told.emitted_at, "team", team, was, actor)
