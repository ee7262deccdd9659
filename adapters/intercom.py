"""Intercom: conversations with their parts in, tags and internal notes out.

API: REST, pinned to version 2.16. Used, yet missing in some of its descriptions: sort on the conversation search,
     office hours, the list of deleted conversations.
Auth: the access token of an app of your own (Developer Hub), which acts as the teammate who made it. Least permissions:
     Read conversations; Read admins and teams; for writing back Write conversations and Read and write tags.
Limits: 150 conversations a search, one request per changed conversation, its newest 500 parts. Intercom's own pages say
     1000 or 10,000 requests a minute, counted in windows of 10 s: a third of the smaller number unless told otherwise.
Gaps: customers' languages, and customers who never wrote; side conversations and tickets; spam; when Fin handed over
     (the assignment or reply that follows is taken); a survey that was asked again leaves no trace of the first; what
     a merge moved, and where the conversation went unless the two are linked; all but the newest 500 parts (of the
     older ones the first message, the first reply and the first close are known). Opening hours where there are
     several schedules, and days with special hours. What an app writes on a teammate's seat, or dates back, looks
     like that teammate's: name such seats in `bots`. Operator's workflows count as automation, Fin as a bot. Notes
     cannot be deleted. Whether a token may do more than it needs is not told.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from html import escape, unescape
from typing import Annotated, Any, ClassVar, Literal
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
    from_unix,
)

VERSION = "2.16"
REGIONS = {"us": "", "eu": ".eu", "au": ".au"}
CHANNELS = {
    "conversation": "live_chat",
    "push": "live_chat",  # a notification that opens the messenger
    "email": "email",
    "facebook": "facebook",
    "instagram": "instagram",
    "phone_call": "phone",
    "phone_switch": "phone",
    "sms": "sms",
    "twitter": "x",
    "whatsapp": "whatsapp",
}
STATES: dict[str | None, Status] = {"open": "open", "closed": "done", "snoozed": "snoozed"}
MOVES: dict[str, Status] = {
    "close": "done",
    "snoozed": "snoozed",
    **dict.fromkeys(("open", "assign_and_reopen", "note_and_reopen", "unsnoozed", "timer_unsnooze"), "open"),
}
NOTES = ("note", "note_and_reopen")
SPOKEN = ("comment", "quick_reply")
SPOKEN_WITH_WORDS = ("assignment", "assign_and_reopen", "close", "open", "snoozed", "unsnoozed")
"""What somebody may have said along with doing it."""
MERGED_AWAY = "merged_secondary_conversation"
"""Its counterpart, merged_primary_conversation, stands in the conversation that goes on."""
CAMPAIGNS = ("campaigns_initiated", "automated")
CUSTOMERS = ("user", "lead", "contact", "visitor")
HANDED_OVER = ("escalated", "routed_to_team", "procedure_handoff")
OWNERS: dict[str | None, EventKind] = {
    **dict.fromkeys(("admin", "bot", "nobody_admin"), "assigned"),
    **dict.fromkeys(("team", "nobody_team"), "team"),
}

OVERLAP_S = 25 * 3600
"""A filter by time may go by whole days, the longest of which has 25 hours; what is known already costs no call."""
DAY = 24 * 3600_000
PAGE, PARTS, DELETED_PAGE, REREAD_AT_ONCE = 150, 500, 60, 25
YEARS_AHEAD = 20
ABSENT = (403, 404)
"""Not in this version, plan or permission: parts of the API that we can do without."""


# --- what is read of the answers -------------------------------------------------------------------------------------


def _owner_id(value: Any) -> Any:
    """Nobody is null, 0 or "0"; anybody else a number or its digits."""
    return None if value in (None, "", 0, "0") else str(value)


def _listed(key: str) -> BeforeValidator:
    """Lists come wrapped, or as null where there is nothing."""
    return BeforeValidator(lambda value: (value.get(key) if isinstance(value, dict) else value) or [])


Id = Annotated[str, BeforeValidator(str), Field(min_length=1)]
OwnerId = Annotated[str | None, BeforeValidator(_owner_id)]
When = Annotated[Instant, BeforeValidator(from_unix)]
WhenOrNone = Annotated[Instant | None, BeforeValidator(lambda value: from_unix(value) if value else None)]


class _Who(BaseModel):
    type: str | None = None
    id: OwnerId = None
    name: str | None = None
    email: str | None = None
    from_ai_agent: bool | None = None
    is_ai_answer: bool | None = None

    @property
    def ai(self) -> bool:
        return bool(self.from_ai_agent or self.is_ai_answer)

    @property
    def operator(self) -> bool:
        return self.type == "bot" or bool(re.match(r"operator\+.*@intercom\.io$", self.email or ""))


class _Named(BaseModel):
    id: Id
    name: str | None = None
    email: str | None = None


class _Linked(BaseModel):
    type: str | None = None
    id: OwnerId = None


class _Part(BaseModel):
    id: Id
    part_type: str = ""
    body: str | None = None
    created_at: When
    author: _Who = _Who()
    assigned_to: _Linked | None = None
    attachments: Annotated[list[Any], _listed("attachments")] = []
    redacted: bool | None = None
    state: str | None = None

    @property
    def words(self) -> str:
        return _plain(self.body)

    @property
    def said(self) -> bool:
        along = bool(self.body or self.attachments or self.redacted)
        return self.part_type in SPOKEN or (along and self.part_type in SPOKEN_WITH_WORDS)

    @property
    def own(self) -> bool:
        return self.part_type in NOTES and self.words.startswith(OWN_NOTE_MARK)


class _Source(BaseModel):
    type: str | None = None
    delivered_as: str | None = None
    body: str | None = None
    author: _Who = _Who()


class _Statistics(BaseModel):
    count_conversation_parts: int | None = None
    first_admin_reply_at: WhenOrNone = None
    first_close_at: WhenOrNone = None
    last_close_at: WhenOrNone = None


class _Rated(BaseModel):
    """``created_at`` is when the customer was asked, ``updated_at`` when the score was given."""

    rating: float | None = None
    created_at: WhenOrNone = None
    updated_at: WhenOrNone = None
    teammate: _Linked | None = None


class _Fin(_Rated):
    resolution_state: str | None = None


class _Row(BaseModel):
    """What a search tells of a conversation, as far as it decides whether to read it."""

    id: Id
    updated_at: When


class _Chat(_Row):
    created_at: When
    state: str | None = None
    open: bool | None = None
    source: _Source | None = None
    contacts: Annotated[list[_Linked], _listed("contacts")] = []
    admin_assignee_id: OwnerId = None
    team_assignee_id: OwnerId = None
    tags: Annotated[list[_Named], _listed("tags")] = []
    statistics: _Statistics | None = None
    conversation_rating: _Rated | None = None
    ai_agent: _Fin | None = None
    custom_attributes: dict[str, Any] | None = None
    linked_objects: Annotated[list[_Linked], _listed("data")] = []
    conversation_parts: Annotated[list[_Part], _listed("conversation_parts")] = []

    @property
    def parts(self) -> list[_Part]:
        """In order; of one second, in the order of their numbers."""
        return sorted(self.conversation_parts, key=lambda one: (one.created_at, len(one.id), one.id))

    @property
    def status(self) -> Status:
        return STATES.get(self.state, "done" if self.state is None and self.open is False else "open")

    @property
    def merged(self) -> _Part | None:
        return next((one for one in self.parts if one.part_type == MERGED_AWAY), None)

    @property
    def count(self) -> int:
        """How many parts there are in all; 0 where that is not told."""
        return (self.statistics and self.statistics.count_conversation_parts) or 0

    @property
    def cut(self) -> bool:
        """May the oldest parts be missing? As many as are given at most are all only where the count says so."""
        return self.count != len(self.conversation_parts) >= PARTS


class _App(BaseModel):
    id_code: Id
    name: str | None = None
    timezone: str | None = None
    region: str | None = None


class _Me(_Named):
    app: _App | None = None


class _Span(BaseModel):
    start_minute: int = Field(ge=0)
    end_minute: int = Field(le=7 * 1440)


class _Hours(BaseModel):
    id: Id
    time_zone_name: str
    twenty_four_seven: bool | None = False
    time_intervals: Annotated[list[_Span], _listed("data")] = []


class _Exception(BaseModel):
    exception_date: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    exception_type: str | None = None
    recurring_annually: bool | None = False


class _Deleted(BaseModel):
    id: Id
    deleted_at: When


# --- the adapter -----------------------------------------------------------------------------------------------------


class IntercomSettings(AdapterSettings):
    token: SecretStr = Field(description="Developer Hub → your app → Configure → Authentication → Access token")
    region: Literal["us", "eu", "au"] = Field("us", description="where the workspace's data is kept")
    requests_per_second: float = Field(5.5, gt=0, description="how many requests we allow ourselves")
    url: str | None = Field(None, description="another address of the API, for a trial server; else the region's")

    @field_validator("region", mode="before")
    @classmethod
    def _lower(cls, region: Any) -> Any:
        return region.strip().lower() if isinstance(region, str) else region

    @field_validator("url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        parts = urlsplit(url.strip()) if url else None
        if parts and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("leave it out, or write a whole address, like https://api.intercom.io")
        return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}" if parts else None


class Intercom:
    name: ClassVar[str] = "intercom"
    Settings: ClassVar[type[AdapterSettings]] = IntercomSettings
    streams: ClassVar[tuple[str, ...]] = ("directory", "removals", "conversations")
    """Removals first: what is deleted while conversations are first read, which may take days, is then new."""
    history: ClassVar[frozenset[str]] = frozenset({"status", "assigned", "team"})
    first_read: ClassVar[float] = 1 + 1 / PAGE
    """Each is read by itself, and is a row of a page."""
    reread_limit: ClassVar[int] = 200

    def __init__(self, settings: IntercomSettings, http: Http) -> None:
        self.http, self.region, self.pace = http, settings.region, settings.requests_per_second
        self._tag_ids: dict[str, str] = {}

    @staticmethod
    def service(settings: IntercomSettings) -> Service:
        url = settings.url or f"https://api{REGIONS[settings.region]}.intercom.io"
        headers = {"Authorization": f"Bearer {settings.token.get_secret_value()}", "Intercom-Version": VERSION}
        return Service(url, headers, per_second=settings.requests_per_second)

    # pull

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]:
        if stream == "directory":
            return self._directory(cursor or {})
        if stream == "removals":
            return self._removals(cursor or {})
        return self._conversations(cursor or {}, seen)

    def _directory(self, cursor: Cursor) -> Iterator[Page]:
        """Short lists without dates: a mark of what they hold tells whether there is anything new."""
        admins, bad = rows(_Named, _items(self.http.get("/admins"), "admins"), "agent")
        teams, bad_teams = rows(_Named, _items(self.http.get("/teams"), "teams"), "team")
        schedule, bad_hours = self._schedule()
        app = self._me.app
        records: list[Record] = [Inbox(app.id_code, app.name or app.id_code, None, schedule)] if app else []
        records += [Team(team.id, team.name or team.id) for team in teams]
        records += [_seat(_Who(type="admin", **dict(admin))) for admin in admins]
        mark = hashlib.sha256(repr(records).encode()).hexdigest()[:16]
        yield Page([] if mark == cursor.get("mark") else records, {"mark": mark}, bad + bad_teams + bad_hours)

    def _schedule(self) -> tuple[Schedule | None, tuple[Reject, ...]]:
        """The workspace's opening hours; none where several schedules leave open which of them counts."""
        answer = self.http.find("/office_hours_schedules", absent=ABSENT)
        found, bad = rows(_Hours, _items(answer, "data") if answer else [], "inbox")
        if len(found) != 1 or bad:
            return None, bad
        hours = found[0]
        if hours.time_zone_name not in available_timezones():
            return None, (Reject("inbox", hours.id, "time_zone_name: unknown, so its hours are left out"),)
        answer = self.http.find(f"/office_hours_schedules/{hours.id}/office_hours_exceptions", absent=ABSENT)
        days, bad = rows(_Exception, _items(answer, "data") if answer else [], "inbox")
        return Schedule(hours.time_zone_name, _week(hours), _holidays(days)), bad

    def _conversations(self, cursor: Cursor, seen: Seen) -> Iterator[Page]:
        """Oldest change first, so the cursor moves with every page, to where the page before ended: a row may be newer
        than its place, and then nothing goes on from there in order. Where the order is another, the cursor moves once,
        at the end. What changes meanwhile comes again further on."""
        known, last, ordered, after = cursor.get("since") or 0, 0, True, None
        start, top = max(known - OVERLAP_S, EARLIEST // 1000), known
        while True:
            answer = self.http.search("/conversations/search", _changed_since(start, after))
            found, rejects = rows(_Row, _items(answer, "conversations"), "conversation")
            times = [last, *(row.updated_at // 1000 for row in found)]
            ordered, last, top = ordered and times == sorted(times), times[-1], max([top, *times])
            after = _following(answer, after)
            records, bad = self._read([row.id for row in found if not seen(row.id, row.updated_at)])
            sure = max(known, times[0]) if after else top
            moved = {"since": sure} if ordered or not after else None
            yield Page(records, moved, rejects + bad, _number(answer, "total_count"))
            if not after:
                return

    def _removals(self, cursor: Cursor) -> Iterator[Page]:
        """In which order they are listed is not said: all are read when there are not as many as the last walk began
        with (what is added while it goes on may be on a page that it read), and told are those since a day before the
        newest known one. The first look tells none: what was deleted before it we never had."""
        found, bad, totals = list[_Deleted](), tuple[Reject, ...](), list[int]()
        for items, total in self._deletions():
            totals.append(total)
            if totals[0] == cursor.get("total"):
                return
            good, rejects = rows(_Deleted, items, "conversation")
            found, bad = found + good, bad + rejects
        if totals:
            newest = max([cursor.get("newest", 0), *(one.deleted_at for one in found)])
            since = cursor.get("newest", LATEST) - DAY
            gone: list[Record] = [_gone(one.id, one.deleted_at) for one in found if one.deleted_at >= since]
            yield Page(gone, {"total": totals[0], "newest": newest}, bad)

    def _deletions(self) -> Iterator[tuple[list[Any], int]]:
        """Pages with the number of all, until that many were listed or one is empty."""
        page, listed = 1, 0
        while answer := self._deleted(page):
            items, total = _items(answer, "conversations"), _number(answer, "total_count")
            yield items, total
            page, listed = page + 1, listed + len(items)
            if not items or listed >= total:
                return

    def _deleted(self, page: int) -> Answer | None:
        query: Params = {"page": page, "per_page": DELETED_PAGE, "order": "desc"}
        return self.http.find("/conversations/deleted", query, ABSENT)

    # reread

    def reread(self, ids: Sequence[str], seen: Seen) -> Iterator[Page]:
        """One request tells a conversation and all its parts, so nothing is gained by asking whether it changed."""
        for start in range(0, len(ids), REREAD_AT_ONCE):
            some = ids[start : start + REREAD_AT_ONCE]
            answers = list(self.http.each(_path(chat) for chat in some))
            gone = [_gone(chat, None) for chat, answer in zip(some, answers, strict=True) if answer is None]
            records, bad = self._told(answers)
            yield Page([*gone, *records], None, bad)

    def _read(self, ids: list[str]) -> tuple[list[Record], tuple[Reject, ...]]:
        """Conversations with their parts, side by side; one that has vanished meanwhile is left out."""
        return self._told(list(self.http.each(_path(chat) for chat in ids)))

    def _told(self, answers: list[Answer | None]) -> tuple[list[Record], tuple[Reject, ...]]:
        chats, bad = rows(_Chat, [answer.json() for answer in answers if answer], "conversation")
        shared: dict[Record, None] = {}
        own: list[Record] = []
        for chat in chats:
            shared |= dict.fromkeys(_around(chat))
            own += [_conversation(chat, self._inbox, f"{self._page}/{chat.id}"), *_children(chat)]
        return [*shared, *own], bad + tuple(_cut(chat) for chat in chats if chat.cut)

    @cached_property
    def _me(self) -> _Me:
        found, bad = rows(_Me, [self.http.get("/me").json()], "agent")
        if bad:
            raise BadPayload("Intercom does not say whose the token is: nothing of its answer was kept")
        return found[0]

    @property
    def _inbox(self) -> str | None:
        return self._me.app.id_code if self._me.app else None

    @property
    def _page(self) -> str:
        return f"https://app{REGIONS[self.region]}.intercom.com/a/inbox/{self._inbox}/inbox/conversation"

    # tag

    def tags(self, conversation: str) -> tuple[str, ...]:
        return tuple(tag.name or tag.id for tag in self._chat(conversation).tags)

    def add_tag(self, conversation: str, tag: str) -> TagChange:
        """Rejected when what is read back lacks the tag, or one that was there before."""
        before = self.tags(conversation)
        if tag in before:
            return TagChange(before, before)
        body = {"id": self._tag_id(tag), "admin_id": self._me.id}
        self.http.send("POST", f"/conversations/{conversation}/tags", body)
        return self._changed(conversation, before, {*before, tag})

    def remove_tag(self, conversation: str, tag: str) -> TagChange:
        """Rejected when what is read back still has the tag, or lacks another."""
        found = self._chat(conversation).tags
        before = tuple(one.name or one.id for one in found)
        for one in found:
            if one.name == tag:
                self.http.send("DELETE", f"/conversations/{conversation}/tags/{one.id}", {"admin_id": self._me.id})
                return self._changed(conversation, before, set(before) - {tag})
        return TagChange(before, before)

    def _tag_id(self, tag: str) -> str:
        """The number of the workspace's tag of that name; made where there is none. Names differ not by case alone."""
        if tag not in self._tag_ids:
            found, _ = rows(_Named, [self.http.send("POST", "/tags", {"name": tag}).json()], "tag")
            if not found or found[0].name != tag:
                named = found[0].name if found else "nothing"
                raise Rejected(f"Intercom made {named} of the tag {tag}: use the name that the workspace already has")
            self._tag_ids[tag] = found[0].id
        return self._tag_ids[tag]

    def _changed(self, conversation: str, before: tuple[str, ...], wanted: set[str]) -> TagChange:
        after = self.tags(conversation)
        return as_written(f"conversation {conversation}", "Intercom", before, wanted, after)

    def _chat(self, conversation: str) -> _Chat:
        found, bad = rows(_Chat, [self.http.get(_path(conversation)).json()], "conversation")
        if bad:
            raise BadPayload(f"Intercom's conversation {conversation} cannot be understood: {bad[0].reason}")
        return found[0]

    # note

    def add_note(self, conversation: str, text: str) -> str:
        """Rejected when what is read back is not our note."""
        body = {"message_type": "note", "type": "admin", "admin_id": self._me.id, "body": _html(text)}
        self.http.send("POST", f"/conversations/{conversation}/reply", body)
        note = self.find_note(conversation, text)
        if note is None:
            raise Rejected(f"conversation {conversation}: what was written is not there as a note; look at it")
        return note

    def find_note(self, conversation: str, text: str) -> str | None:
        notes = [one for one in self._chat(conversation).parts if one.own]
        same = [one.id for one in notes if _words(one.words) == _words(text)]
        return same[-1] if same else None

    def remove_note(self, conversation: str, note: str) -> None:
        """Always Rejected: Intercom has no way to delete a note."""
        raise Rejected(
            f"Intercom cannot delete notes: note {note} stays in conversation {conversation}, for the team only"
        )

    # probe

    def probe(self) -> Iterator[Finding]:
        app = self._me.app
        yield Finding("workspace", bool(app) or None, f"{app.name if app else 'not told'}, as {self._me.name}")
        if app and app.region and app.region.lower() != self.region:
            remedy = f'set services.intercom.region = "{app.region.lower()}"'
            yield Finding("region", None, f"the workspace is kept in {app.region}", remedy)
        answer = self.http.get("/admins")
        yield Finding("teammates", True, f"{len(_items(answer, 'admins'))} readable")
        yield _pace(answer.headers.get("x-ratelimit-limit", ""), self.pace)
        yield from self._what_it_feeds()

    def _what_it_feeds(self) -> Iterator[Finding]:
        newest = self.http.search("/conversations/search", _changed_since(EARLIEST // 1000, None, 1, "descending"))
        found, _ = rows(_Row, _items(newest, "conversations"), "conversation")
        yield Finding("conversations", True, f"{_number(newest, 'total_count')} readable")
        for row in found:
            again = self.http.search("/conversations/search", _changed_since(row.updated_at // 1000, None, 1))
            first, _ = rows(_Row, _items(again, "conversations"), "conversation")
            yield _granularity(bool(first) and first[0].updated_at >= row.updated_at)
            yield _history(self._chat(row.id))
        hours = self.http.find("/office_hours_schedules", absent=ABSENT)
        yield _opening_hours(len(_items(hours, "data")) if hours else None)
        listed = self._deleted(1)
        lost = "the list is not readable: a deletion shows only when a conversation is read again"
        yield Finding("deletions", bool(listed) or None, "listed" if listed else lost)
        yield Finding("language", None, "Intercom does not tell it with a conversation: no figure can be split by it")


# --- reading lists ---------------------------------------------------------------------------------------------------


def _changed_since(second: int, after: str | None, most: int = PAGE, order: str = "ascending") -> dict[str, Any]:
    """``>`` means from that second on."""
    return {
        "query": {"field": "updated_at", "operator": ">", "value": second},
        "sort": {"field": "updated_at", "order": order},
        "pagination": {"per_page": most} | ({"starting_after": after} if after else {}),
    }


def _path(conversation: str) -> str:
    return f"/conversations/{conversation}?display_as=plaintext"


def _inside(document: Any, *path: str) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _items(answer: Answer, key: str) -> list[Any]:
    """BadPayload when there is no list under the key."""
    found = _inside(answer.json(), key)
    if not isinstance(found, list):
        raise BadPayload(f"Intercom's answer has no list of {key}: nothing of it was kept")
    return found


def _number(answer: Answer, key: str) -> int:
    """0 where there is none."""
    found = _inside(answer.json(), key)
    return found if isinstance(found, int) else 0


def _following(answer: Answer, before: str | None) -> str | None:
    """Where the next page begins; None at the end, which is told by null or by nothing."""
    after = _inside(answer.json(), "pages", "next", "starting_after")
    if after is not None and str(after) == before:
        raise BadPayload("Intercom gave the same page twice, so its list has no end: what came before it was kept")
    return None if after is None else str(after)


# --- from their words to ours ----------------------------------------------------------------------------------------


def _around(chat: _Chat) -> Iterator[Record]:
    """The channel, the customers and the bots of a conversation: shared with others."""
    if chat.source and chat.source.type:
        yield Channel(chat.source.type, CHANNELS.get(chat.source.type, "other"))
    yield from (Contact(one.id) for one in chat.contacts if one.id)
    authors = [*([chat.source.author] if chat.source else []), *(part.author for part in chat.parts)]
    yield from (_seat(who) for who in authors if who.id and (who.ai or who.operator))


def _seat(who: _Who) -> Agent:
    return Agent(who.id or "", who.name or who.id or "", "bot" if who.ai or who.operator else "human")


def _conversation(chat: _Chat, inbox: str | None, link: str) -> Conversation:
    return Conversation(
        id=chat.id,
        created_at=chat.created_at,
        status=chat.status,
        changed_at=chat.updated_at,
        inbox=inbox,
        channel=(chat.source.type if chat.source else None) or None,
        contact=next((one.id for one in chat.contacts if one.id), None),
        team=chat.team_assignee_id,
        agent=chat.admin_assignee_id,
        link=link,
        tags=tuple(sorted({tag.name or tag.id for tag in chat.tags})),
    )


def _children(chat: _Chat) -> list[Record]:
    messages = [*_first(chat), *_lost_reply(chat), *(told for part in chat.parts for told in _message(chat.id, part))]
    return [*messages, *_events(chat, messages), *_ratings(chat)]


def _first(chat: _Chat) -> Iterator[Message]:
    """The first message is not among the parts. Its number is no use: a campaign's is shared by all that it began."""
    source = chat.source
    author = _author(source.author) if source else "unknown"
    if source is None or not (source.body or author == "customer"):
        return
    campaign = source.delivered_as in CAMPAIGNS
    yield Message(
        id=f"{chat.id}:source",
        conversation=chat.id,
        at=chat.created_at,
        author="automation" if campaign else author,
        author_id=source.author.id if author in ("customer", "human", "bot") and not campaign else None,
        kind="campaign" if campaign else "message",
        length=len(_plain(source.body)),
        body=_plain(source.body),
    )


def _lost_reply(chat: _Chat) -> Iterator[Message]:
    """Where the oldest parts are not given, it is still told when a teammate first replied."""
    at = chat.statistics.first_admin_reply_at if chat.cut and chat.statistics else None
    if at and at < chat.parts[0].created_at:
        yield Message(f"{chat.id}:first_reply", chat.id, at, "human")


def _message(conversation: str, part: _Part) -> Iterator[Message]:
    """What was said, also along with closing or assigning. Words in a part of an unknown type are nobody's message."""
    kind = _kind(part)
    if kind is None:
        return
    author = _author(part.author)
    yield Message(
        id=part.id,
        conversation=conversation,
        at=part.created_at,
        author=author,
        author_id=part.author.id if author in ("customer", "human", "bot") else None,
        public=kind == "message",
        kind=kind,
        length=len(part.words),
        own=part.own,
        body=part.words,
    )


def _kind(part: _Part) -> MessageKind | None:
    if part.part_type in NOTES:
        return "note"
    if part.said:
        return "message"
    return "activity" if part.body and part.part_type not in SPOKEN_WITH_WORDS else None


def _author(who: _Who) -> Author:
    if who.type in CUSTOMERS:
        return "customer"
    if who.ai:
        return "bot"
    if who.operator:
        return "automation"
    return "human" if who.type == "admin" else "unknown"


def _plain(body: str | None) -> str:
    """The words of a body that may be HTML although plain text was asked for."""
    text = (body or "").strip()
    if re.match(r"<[a-z][^>]*>", text, re.IGNORECASE):
        text = unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<br\s*/?>|</p>", "\n", text))).strip()
    return text


def _html(text: str) -> str:
    return "".join(f"<p>{escape(line, quote=False)}</p>" for line in text.splitlines())


def _words(text: str) -> str:
    return " ".join(unescape(text).split())


def _ratings(chat: _Chat) -> Iterator[Rating]:
    """A teammate's rating, and Fin's apart from it."""
    rated, fin = chat.conversation_rating, chat.ai_agent
    if rated and (rated.created_at or rated.rating is not None):
        at = rated.updated_at or rated.created_at or chat.updated_at
        answers = () if rated.rating is None else ((at, rated.rating),)
        agent = rated.teammate.id if rated.teammate else None
        yield Rating(f"{chat.id}:{rated.created_at or 0}", chat.id, rated.created_at, answers, agent=agent)
    if fin and fin.rating is not None:
        said = [part for part in chat.parts if part.author.ai]
        at = fin.updated_at or fin.created_at or (said[-1].created_at if said else chat.created_at)
        agent = said[-1].author.id if said else None
        yield Rating(f"{chat.id}:fin", chat.id, None, ((at, fin.rating),), agent=agent, survey="fin")


def _gone(conversation: str, at: Instant | None) -> Event:
    return Event(f"{conversation}:deleted", conversation, at, "deleted")


def _cut(chat: _Chat) -> Reject:
    given = len(chat.conversation_parts)
    if chat.count > given:
        return Reject("conversation", chat.id, f"only the newest {given} of its {chat.count} parts are given")
    return Reject("conversation", chat.id, f"only its newest {given} parts are given, and there may be more")


def _events(chat: _Chat, messages: list[Message]) -> list[Event]:
    story = _Story(chat)
    for part in chat.parts:
        story.hear(part)
    story.end()
    return [*story.events, *_handed_over(chat, messages, story.events), *_merged(chat)]


def _handed_over(chat: _Chat, messages: list[Message], events: list[Event]) -> Iterator[Event]:
    """Told without a time: when it was given to a person or a team after Fin had spoken, else when one replied."""
    spoke = next((one.at for one in messages if one.author == "bot"), None)
    if spoke is None or not chat.ai_agent or chat.ai_agent.resolution_state not in HANDED_OVER:
        return
    bots = {one.author_id for one in messages if one.author == "bot"}
    given = [e.at for e in events if e.kind in ("assigned", "team") and e.value and e.value not in bots and e.at]
    replied = [one.at for one in messages if one.author == "human" and one.public]
    later = sorted(at for at in given if at >= spoke) or sorted(at for at in replied if at >= spoke)
    at = later[0] if later else max(one.at for one in messages)
    yield Event(f"{chat.id}:handoff", chat.id, at, "handoff", derived=True)


def _merged(chat: _Chat) -> Iterator[Event]:
    """The two only know of each other where they are linked."""
    part = chat.merged
    marked = str((chat.custom_attributes or {}).get("Merged", "")).lower() == "true"
    if part or (marked and chat.status == "done"):
        linked = [one.id for one in chat.linked_objects if one.type == "conversation" and one.id]
        into = linked[0] if len(linked) == 1 else None
        yield Event(f"{chat.id}:merged", chat.id, part.created_at if part else chat.updated_at, "merged", into)


class _Story:
    """A conversation's status and owners, event by event."""

    def __init__(self, chat: _Chat) -> None:
        self.chat, self.events = chat, list[Event]()
        self.now: dict[EventKind, str | None] = {"status": "open", "assigned": None, "team": None}
        closed = chat.statistics.first_close_at if chat.cut and chat.statistics else None
        if closed and closed < chat.parts[0].created_at:
            self._add(f"{chat.id}:first_close", "status", closed, "done", derived=True)

    def hear(self, part: _Part) -> None:
        """The type tells the status; where it does not, what the part says it was. A customer's words open it."""
        status = MOVES.get(part.part_type) or STATES.get(part.state)
        if status is None and part.said and part.author.type in CUSTOMERS:
            status = "open"
        actor = part.author.id if part.author.type in ("admin", "bot") else None
        if status:
            self._add(f"{part.id}:status", "status", part.created_at, status, actor)
        if part.assigned_to and part.assigned_to.type in OWNERS:
            kind = OWNERS[part.assigned_to.type]
            self._add(f"{part.id}:{kind}", kind, part.created_at, part.assigned_to.id, actor)

    def end(self) -> None:
        """Agree with what the conversation is now. An owner that was never changed is its owner since ever."""
        chat, stamps = self.chat, [part.created_at for part in self.chat.parts]
        last = max([chat.created_at, *stamps])
        closed = chat.statistics.last_close_at if chat.statistics and chat.status == "done" else None
        self._add(f"{chat.id}:now", "status", max(closed or 0, last), chat.status, derived=True)
        owners: dict[EventKind, str | None] = {"assigned": chat.admin_assignee_id, "team": chat.team_assignee_id}
        for kind, owner in owners.items():
            if any(event.kind == kind for event in self.events):
                self._add(f"{chat.id}:now:{kind}", kind, last, owner, derived=True)

    def _add(
        self,
        name: str,
        kind: EventKind,
        at: Instant,
        value: str | None,
        actor: str | None = None,
        derived: bool = False,
    ) -> None:
        if value != self.now[kind]:
            self.events.append(Event(name, self.chat.id, at, kind, value, self.now[kind], actor, derived))
            self.now[kind] = value


def _week(hours: _Hours) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Minutes since Monday → spans of each day; a span over midnight is cut there."""
    week: list[tuple[tuple[int, int], ...]] = [()] * 7
    spans = [(0, 10_080)] if hours.twenty_four_seven else [(s.start_minute, s.end_minute) for s in hours.time_intervals]
    for start, end in sorted(spans):
        minute, last = start, 10_080 if end == 10_079 else end  # the whole week ends at its last minute
        while minute < last:
            day, stop = minute // 1440, min(last, (minute // 1440 + 1) * 1440)
            week[day] += ((minute - day * 1440, stop - day * 1440),)
            minute = stop
    return tuple(week)


def _holidays(days: list[_Exception]) -> tuple[str, ...]:
    """Local dates on which all is closed; what comes back every year, for the years ahead."""
    found = set[str]()
    for day in days:
        if day.exception_type == "closed":
            year, rest = int(day.exception_date[:4]), day.exception_date[4:]
            found |= {f"{year + n}{rest}" for n in range(YEARS_AHEAD if day.recurring_annually else 1)}
    return tuple(sorted(found))


def _pace(limit: str, pace: float) -> Finding:
    """The limit is told per 10 seconds."""
    if not limit.isdecimal():
        return Finding("rate limit", None, f"not told; we ask {pace:g} times a second")
    share = int(limit) / 10 / 3
    detail = f"{limit} requests in 10 s; we ask {pace:g} times a second"
    remedy = f"set services.intercom.requests_per_second = {share:.1f}, a third of the limit"
    return Finding("rate limit", True, detail) if pace <= share * 1.05 else Finding("rate limit", None, detail, remedy)


def _granularity(by_seconds: bool) -> Finding:
    if by_seconds:
        return Finding("changes", True, "found to the second")
    return Finding("changes", None, "found by whole days only: each sync looks through a day again, nothing is missed")


def _history(chat: _Chat) -> Finding:
    if chat.statistics and chat.statistics.count_conversation_parts and not chat.conversation_parts:
        return Finding("history", False, "parts are not readable", "give the app the permission Read conversations")
    return Finding("history", True, "parts of conversations are readable")


def _opening_hours(schedules: int | None) -> Finding:
    remedy = "write the opening hours in the config, under [calendar]"
    if schedules == 1:
        return Finding("opening hours", True, "one schedule, used for all conversations")
    if schedules is None:
        return Finding("opening hours", None, "not readable with this token or version", remedy)
    return Finding("opening hours", None, f"{schedules} schedules, and none is told with a conversation", remedy)
