"""Help Scout: conversations in, tags and internal notes out.

API: the Inbox API 2.0; threads and system users in its v3, which alone tells an AI agent from a person.
Auth: an app's id and secret, exchanged for a token of two days (OAuth 2, client credentials). An app has no scopes: it
     may do what the user who made it may, so make it as an administrator, best as a user of its own.
Limits: by plan and account, 200 requests a minute at the least; a write counts as two. A third of that unless told
     otherwise. 25 conversations a page, up to 100 threads a conversation, each conversation's threads in a call apart.
     A row seldom tells when it was modified: what the walk before had from its last ten minutes is known by a mark.
Gaps: who was asked for a rating, so no csat_response_rate and no csat_asked_rate; where the plan has no reports, when a
     rating was given (the rated reply's time stands for it). Opening hours, contacts who never wrote, a customer's
     language. When a snooze began, and when a conversation was merged or deleted unless its threads tell; that a
     deletion, or spam, was taken back. A person takes a conversation from a team: it stays that team's until another
     gets it. A phone call is the note that somebody wrote about it, neither a question nor an answer. A reply that a
     workflow sent is automation, also where a person ran it; one written through the API counts as an integration's,
     whoever it names. A message that a Beacon shows by itself is no conversation until somebody answers it.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Annotated, Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator

from connector.contract import AdapterSettings, Answer, Finding, Http, Login, Seen, Service, TagChange, as_written, rows
from connector.errors import BadPayload, Rejected
from connector.models import (
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
    Status,
    Team,
    from_iso,
    to_iso,
)

NETWORKS = {
    "heymarket": "sms",
    "whatsapp": "whatsapp",
    "instagram": "instagram",
    **dict.fromkeys(("messenger", "facebook"), "facebook"),
}
CHANNELS = {"email": "email", "chat": "live_chat", "phone": "phone", **NETWORKS}
STATUSES: dict[str, Status] = {
    "active": "open",
    "open": "open",
    "pending": "pending",
    "closed": "done",
    "spam": "done",
}
"""A thread may also say "nochange"."""
TALK = ("customer", "message", "chat", "beaconchat", "forwardchild")
UNSENT = ("draft", "review", "underreview")
"""What is hidden was sent, and is only kept out of later mails: only what was sent can be hidden."""
DRAFT, DELETED, SPAM = "draft", "deleted", "spam"
IMPORTERS = ("csv", "cvs", "desk", "uservoice", "zendesk")
NOBODY = SYSTEM = 1
"""Help Scout itself: whom a conversation of nobody's is assigned to, and who sends what no user sent."""
GREAT, NOT_GOOD = 3.0, 1.0
SCORES = {"great": (GREAT, 1), "ok": (2.0, 2), "not-good": (NOT_GOOD, 3)}
"""The report's words → our score, the higher the better, and their number, which is the other way round."""
WORDS = {"great": GREAT, "okay": 2.0, "ok": 2.0, "not-good": NOT_GOOD, "notgood": NOT_GOOD, "bad": NOT_GOOD}

ROWS = "/v2/conversations"
REPORT = "/v2/reports/happiness/ratings"
NOT_IN_PLAN = (402, 403, 404)
OVERLAP = 10 * 60_000
DAY = 24 * 3600_000
ANSWER_CHANGES, WINDOW = 30 * DAY, 365 * DAY
FOUNDED = from_iso("2011-01-01T00:00:00Z")
"""Help Scout has no older ratings."""
ROWS_A_PAGE, MARKS, REREAD_AT_ONCE, MOST_THREADS = 25, 100, 25, 100
APPS = "Your profile → My apps → Create app"
Items = list[Any]
Query = dict[str, str | int | Sequence[str]]


# --- what is read of the answers -------------------------------------------------------------------------------------


def _object(value: Any) -> Any:
    return value if isinstance(value, dict) else None


def _list(value: Any) -> Any:
    return value if isinstance(value, list) else []


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


When = Annotated[Instant, BeforeValidator(lambda value: from_iso(str(value)))]
WhenOrNone = Annotated[Instant | None, BeforeValidator(lambda value: from_iso(str(value)) if value else None)]


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=_camel)


class _Who(_Wire):
    """A user, a team, a customer, an inbox: who is told apart by where it stands."""

    id: int | None = None
    type: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    name: str | None = None
    role: str | None = None
    created_at: WhenOrNone = None

    @property
    def label(self) -> str:
        whole = " ".join(part for part in (self.first_name, self.last_name) if part)
        return self.name or whole or str(self.id)


WhoOrNone = Annotated[_Who | None, BeforeValidator(_object)]


class _Source(_Wire):
    type: str | None = None


class _Action(_Wire):
    type: str | None = None
    associated_entities: Any = None


class _Tag(_Wire):
    tag: str


class _Scheduled(_Wire):
    scheduled_for: WhenOrNone = None


class _Rated(_Wire):
    rating: str = ""


class _Chat(_Wire):
    id: int
    number: int | None = None
    threads: int | None = None
    type: str = ""
    status: str
    state: str | None = None
    mailbox_id: int | None = None
    assignee: WhoOrNone = None
    primary_customer: WhoOrNone = None
    created_at: When
    closed_at: WhenOrNone = None
    modified_at: WhenOrNone = None
    source: Annotated[_Source | None, BeforeValidator(_object)] = None
    tags: Annotated[list[_Tag], BeforeValidator(_list)] = []
    snooze: Any = None

    @property
    def channel(self) -> str:
        """Networks that are connected show in the source alone; the type says what else it is."""
        via = (self.source.type if self.source and self.source.type else "").lower()
        return via if via in NETWORKS else self.type.lower() or "email"

    @property
    def ours(self) -> Status:
        found = STATUSES.get(self.status.lower(), "open")
        return "snoozed" if self.snooze and found != "done" else found

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(one.tag for one in self.tags)


class _Said(_Wire):
    """A thread: what was said, noted or done."""

    id: int
    type: str
    status: str | None = None
    state: str | None = None
    action: Annotated[_Action | None, BeforeValidator(_object)] = None
    body: str | None = None
    source: Annotated[_Source | None, BeforeValidator(_object)] = None
    customer: WhoOrNone = None
    created_by: WhoOrNone = None
    assigned_to: WhoOrNone = None
    created_at: When
    rating: Annotated[_Rated | None, BeforeValidator(_object)] = None
    scheduled: Annotated[_Scheduled | None, BeforeValidator(_object)] = None

    @property
    def at(self) -> Instant:
        later = self.scheduled.scheduled_for if self.scheduled else None
        return max(self.created_at, later or 0)

    @property
    def deed(self) -> str:
        return (self.action.type if self.action and self.action.type else "").lower()

    @property
    def via(self) -> str:
        return (self.source.type if self.source and self.source.type else "").lower()

    @property
    def actor(self) -> str | None:
        who = self.created_by
        return str(who.id) if who and who.id not in (None, SYSTEM) and who.type != "customer" else None

    @property
    def text(self) -> str:
        return _plain(self.body or "")

    @property
    def own(self) -> bool:
        return self.type == "note" and self.text.startswith(OWN_NOTE_MARK)

    def sent(self, served: Instant | None) -> bool:
        """Drafts and what is held back are not; nor, at the service's time, what is scheduled for later."""
        return self.state not in UNSENT and (self.scheduled is None or self.at <= (served or 0))


class _Answered(_Wire):
    """A row of the report; its ``id`` is the conversation's."""

    id: int
    threadid: int
    rating_id: int | None = None
    rating_created_at: When
    rating_user_id: int | None = None


class _Served(BaseModel):
    date: Annotated[Instant, BeforeValidator(lambda value: round(parsedate_to_datetime(value).timestamp() * 1000))]


class _Sheet(NamedTuple):
    """One page of a list, as it came. ``served`` is the service's own time, where it says it."""

    items: Items
    more: bool
    total: int | None
    size: int
    served: Instant | None

    @property
    def ids(self) -> Items:
        return [_inside(one, "id") for one in self.items]


class _Talk(NamedTuple):
    """A conversation's threads as they came, by id, and the service's time when they did."""

    threads: dict[Any, Any]
    served: Instant | None


class _Around(NamedTuple):
    """What an account knows beside its conversations; ``undated``: ratings are told by their threads alone."""

    teams: Collection[int]
    bots: Collection[int]
    undated: bool


# --- the adapter -----------------------------------------------------------------------------------------------------


class HelpScoutSettings(AdapterSettings):
    app_id: str = Field(min_length=1, description=f"{APPS}: App ID")
    app_secret: SecretStr = Field(min_length=1, description=f"{APPS}: App Secret")
    url: str = Field("https://api.helpscout.net", description="where Help Scout's API is")
    requests_per_second: float = Field(10 / 9, gt=0, description="how many requests we allow ourselves")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("leave it out, or write the whole address, https://api.helpscout.net")
        return f"{parts.scheme}://{parts.netloc}"


class HelpScout:
    name: ClassVar[str] = "helpscout"
    Settings: ClassVar[type[AdapterSettings]] = HelpScoutSettings
    streams: ClassVar[tuple[str, ...]] = ("directory", "conversations", "ratings")
    history: ClassVar[frozenset[str]] = frozenset({"status", "assigned", "team"})
    lacks: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("csat_response_rate", "csat_asked_rate"), "which surveys were offered is not told"),
        "first_response_time_from_handoff": "when a bot handed over is not told",
    }
    first_read: ClassVar[float] = 1.04
    reread_limit: ClassVar[int] = 30

    def __init__(self, settings: HelpScoutSettings, http: Http) -> None:
        self.http, self.per_second = http, settings.requests_per_second

    @staticmethod
    def service(settings: HelpScoutSettings) -> Service:
        secret = settings.app_secret.get_secret_value()
        body = {"grant_type": "client_credentials", "client_id": settings.app_id, "client_secret": secret}
        login, pace = Login("/v2/oauth2/token", body), settings.requests_per_second
        return Service(settings.url, login=login, per_second=pace, at_once=2, write_cost=2)

    # pull

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]:
        if stream == "directory":
            return self._directory(cursor or {})
        return self._ratings(cursor or {}) if stream == "ratings" else self._conversations(cursor or {}, seen)

    def _directory(self, cursor: Cursor) -> Iterator[Page]:
        """Four short lists without an order by change: a mark of what they hold tells whether there is anything new."""
        users, bad_users = rows(_Who, self._all("/v2/users", "users"), "agent")
        boxes, teams, bots = self._boxes[0], self._teams[0], self._bots[0]
        records: list[Record] = [Inbox(str(box.id), box.label) for box in boxes]
        records += [Team(str(team.id), team.label) for team in teams]
        records += [Agent(str(bot.id), bot.label, "bot") for bot in bots]
        apart = {one.id for one in (*teams, *bots)}
        records += [Agent(str(one.id), one.label) for one in users if one.type != "team" and one.id not in apart]
        mark = hashlib.sha256(repr(records).encode()).hexdigest()[:16]
        bad = bad_users + self._boxes[1] + self._teams[1] + self._bots[1]
        yield Page([] if mark == cursor.get("mark") else records, {"mark": mark}, bad)

    def _conversations(self, cursor: Cursor, seen: Seen) -> Iterator[Page]:
        """What was modified since, the latest first: what is modified while we walk goes to the front and pushes the
        others further down, so that a walk repeats rows and skips none. (In the other direction it would go behind us
        and pull them up.) Rows do not say when they were modified, so the next walk begins at the service's own time at
        the beginning of this one, minus an overlap, whose rows are known by their marks. So are those read lately, as
        rows are that pages repeat."""
        since, page, total = cursor.get("since"), cursor.get("page", 1), cursor.get("total")
        known, marks = cursor.get("known", {}), cursor.get("marks", {})
        lately = marks
        sheet = self._sheet(since, page)
        top = cursor.get("top", sheet.served)
        while True:
            fresh = {str(_inside(row, "id")): (_mark(row), row) for row in sheet.items}
            before = known | lately
            changed = [row for name, (mark, row) in fresh.items() if before.get(name) != mark]
            records, rejects = self._understood(changed, seen)
            told = set() if rejects else _told_of(records)
            here = {name: mark for name, (mark, _) in fresh.items() if name in told or before.get(name) == mark}
            marks = dict([*((here | marks if page == 1 else marks) | here).items()][:MARKS])
            lately = dict([*(lately | here).items()][-MARKS:])
            following, total = _following(sheet, page, total), sheet.total
            walking = {"since": since, "page": following, "top": top, "total": total, "known": known, "marks": marks}
            done = {"since": top - OVERLAP if top else since, "known": marks}
            yield Page(records, walking if following else done, rejects, total)
            if not following:
                return
            page, sheet = following, self._after(sheet, since, following)

    def _after(self, before: _Sheet, since: Instant | None, page: int) -> _Sheet:
        sheet = self._sheet(since, page)
        if sheet.items and sheet.ids == before.ids:
            raise BadPayload("Help Scout gave the same page twice, so its list has no end: what came before was kept")
        return sheet

    def _sheet(self, since: Instant | None, page: int) -> _Sheet:
        # Unsaid, the status is "active": closed conversations would not be there.
        query: Query = {"status": "all", "sortField": "modifiedAt", "sortOrder": "desc", "page": page}
        modified: Query = {"modifiedSince": _second(since)} if since else {}
        return _sheet(self.http.get(ROWS, query | modified), "conversations")

    def _understood(self, items: Items, seen: Seen) -> tuple[list[Record], tuple[Reject, ...]]:
        """Conversations with their threads. One whose version is stored already costs no call; a draft is not yet one;
        a deleted one is told as such."""
        found, rejects = rows(_Chat, items, "conversation")
        chats = {one.id: one for one in found if one.state != DRAFT}
        gone = [number for number, one in chats.items() if one.state == DELETED]
        fresh = [
            number for number, one in chats.items() if number not in gone and not seen(str(number), one.modified_at)
        ]
        shared: dict[Record, None] = {}
        own: list[Record] = []
        for number, talk in [*self._talks(fresh).items(), *((one, _Talk({}, None)) for one in gone)]:
            said, bad = rows(_Said, list(talk.threads.values()), "message")
            shared |= dict.fromkeys(_shared(chats[number], said))
            own += _told(chats[number], said, talk.served, self._around(said))
            rejects += bad
        return [*shared, *own, *map(_deleted, gone)], rejects

    def _around(self, said: list[_Said]) -> _Around:
        """Whether there is a report is asked only once somebody rated."""
        teams, bots = ({one.id for one in found if one.id} for found in (self._teams[0], self._bots[0]))
        return _Around(teams, bots, any(one.rating for one in said) and self._report is None)

    def _talks(self, ids: list[int]) -> dict[int, _Talk]:
        """All threads of each conversation, side by side; one that has vanished meanwhile is left out. Embedded in
        the list they would be cut short without a sign."""
        found: dict[int, _Talk] = {}
        wanted = dict.fromkeys(ids, 1)
        while wanted:
            paths = [_threads_of(one, page, "v3") for one, page in wanted.items()]
            following: dict[int, int] = {}
            for (one, page), answer in zip(wanted.items(), self.http.each(paths), strict=True):
                if answer := answer or self.http.find(_threads_of(one, page, "v2")):
                    sheet = _sheet(answer, "threads")
                    threads = found.setdefault(one, _Talk({}, sheet.served)).threads
                    if sheet.more and threads.keys() >= set(sheet.ids):
                        raise BadPayload(f"Help Scout gave the same threads of {one} again: run it again later")
                    threads |= dict(zip(sheet.ids, sheet.items, strict=True))
                    following |= {one: page + 1} if sheet.more else {}
            wanted = following
        return found

    def _ratings(self, cursor: Cursor) -> Iterator[Page]:
        """A year at a time, and the last 30 days at every run, since an answer may change. Each of the three words is
        asked for by itself: that a number means what we think it does is nowhere written."""
        if self._report is None:
            return
        end = _served(self._report)
        since = cursor.get("since") or min(
            (one.created_at for one in self._boxes[0] if one.created_at), default=FOUNDED
        )
        for start, stop in _windows(since, end) if end else [(since, LATEST)]:
            for word in SCORES:
                yield from (Page(*_rated(items, word)) for items in self._answers(start, stop, word))
            yield Page([], {"since": min(stop, end - ANSWER_CHANGES)} if end else None)

    def _answers(self, start: Instant, stop: Instant, word: str) -> Iterator[Items]:
        span: Query = {"start": _second(start), "end": _second(stop), "rating": word, "sortField": "modifiedAt"}
        page, pages, before = 1, 1, [None]
        while page <= pages:
            told = self.http.get(REPORT, span | {"sortOrder": "ASC", "page": page}).json()
            items, last = _inside(told, "results"), _inside(told, "pages")
            if not isinstance(items, list):
                raise BadPayload("Help Scout's report of ratings has no results: nothing of it was kept")
            if items and items == before:
                raise BadPayload(
                    "Help Scout gave the same ratings twice, so they have no end: what came before was kept"
                )
            yield items
            page, pages, before = page + 1, last if isinstance(last, int) else page, items

    @cached_property
    def _report(self) -> Answer | None:
        """An answer of the report of ratings; None where the plan has none."""
        day: Query = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z", "rating": "great", "page": 1}
        return self.http.find(REPORT, day, absent=NOT_IN_PLAN)

    # reread

    def reread(self, ids: Sequence[str], seen: Seen) -> Iterator[Page]:
        """A conversation that was merged into another is answered by a redirect to that one, so by another id."""
        for start in range(0, len(ids), REREAD_AT_ONCE):
            some = ids[start : start + REREAD_AT_ONCE]
            asked = [one for one in some if one.isdecimal()]
            answers = dict(zip(asked, self.http.each(f"{ROWS}/{one}" for one in asked), strict=True))
            found = {one: answer.json() for one, answer in answers.items() if answer}
            ends = [_deleted(one) for one in some if one not in found]
            ends += [
                _merged(one, _inside(row, "id")) for one, row in found.items() if str(_inside(row, "id") or one) != one
            ]
            records, rejects = self._understood(
                list({_inside(row, "id"): row for row in found.values()}.values()), seen
            )
            yield Page([*ends, *records], None, rejects)

    def _all(self, path: str, key: str, absent: Collection[int] = ()) -> Items:
        """A short list, all its pages; empty where it is ``absent``."""
        found: Items = []
        page, more, before = 1, True, [None]
        while more and (answer := self.http.find(path, {"page": page}, absent)):
            sheet = _sheet(answer, key)
            if sheet.more and sheet.ids == before:
                raise BadPayload(f"Help Scout gave the same page of {path} twice, so its list has no end: run it again")
            found += sheet.items
            page, more, before = page + 1, sheet.more, sheet.ids
        return found

    @cached_property
    def _boxes(self) -> tuple[list[_Who], tuple[Reject, ...]]:
        return rows(_Who, self._all("/v2/mailboxes", "mailboxes"), "inbox")

    @cached_property
    def _teams(self) -> tuple[list[_Who], tuple[Reject, ...]]:
        return rows(_Who, self._all("/v2/teams", "teams", NOT_IN_PLAN), "team")

    @cached_property
    def _bots(self) -> tuple[list[_Who], tuple[Reject, ...]]:
        return rows(_Who, self._all("/v3/system-users", "system_users", NOT_IN_PLAN), "agent")

    # tag

    @staticmethod
    def tag_name(tag: str) -> str:
        """Help Scout writes them in lower case."""
        return tag.strip().lower()

    def tags(self, conversation: str) -> tuple[str, ...]:
        return self._chat(conversation).labels

    def _chat(self, conversation: str) -> _Chat:
        """Rejected when it was merged: writes to the old id go nowhere, and the other one was not meant."""
        found, bad = rows(_Chat, [self.http.get(f"{ROWS}/{conversation}").json()], "conversation")
        if not found:
            raise BadPayload(f"Help Scout's conversation {conversation} cannot be understood ({bad[0].reason})")
        if str(found[0].id) != conversation:
            raise Rejected(f"conversation {conversation} was merged into {found[0].id}: nothing was written to either")
        return found[0]

    def add_tag(self, conversation: str, tag: str) -> TagChange:
        """Rejected when what is read back is not the union of what was there and ours."""
        label, before = self.tag_name(tag), self.tags(conversation)
        if label in before:
            return TagChange(before, before)
        return self._replace_tags(conversation, before, (*before, label))

    def remove_tag(self, conversation: str, tag: str) -> TagChange:
        """Rejected when what is read back is not what was there without ours."""
        label, before = self.tag_name(tag), self.tags(conversation)
        if label not in before:
            return TagChange(before, before)
        return self._replace_tags(conversation, before, tuple(other for other in before if other != label))

    def _replace_tags(self, conversation: str, before: tuple[str, ...], wanted: tuple[str, ...]) -> TagChange:
        """The service can only replace the whole list, on no condition; so what it made of it is read back."""
        self.http.send("PUT", f"{ROWS}/{conversation}/tags", {"tags": list(wanted)})
        after = self.tags(conversation)
        return as_written(f"conversation {conversation}", "Help Scout", before, wanted, after)

    # note

    def add_note(self, conversation: str, text: str) -> str:
        """Without its status the same call may open a closed conversation again, so what it is goes along. Rejected
        when what is read back is no note of ours, or the status is another one."""
        before = self._chat(conversation)
        if (before.threads or 0) >= MOST_THREADS - 1:
            raise Rejected(f"conversation {conversation} is full: Help Scout takes {MOST_THREADS} threads and no more")
        body = {"text": html.escape(text, quote=False).replace("\n", "<br>"), "status": before.status}
        answer = self.http.send("POST", f"{ROWS}/{conversation}/notes", body)
        note = answer.headers.get("resource-id", "")
        if note not in [str(one.id) for one in self._said(conversation) if one.own]:
            raise Rejected(f"conversation {conversation}: what was written is not there as a note; look at it now")
        if (after := self._chat(conversation).status) != before.status:
            raise Rejected(f"conversation {conversation} was {before.status} and is {after} since our note: look at it")
        return note

    def find_note(self, conversation: str, text: str) -> str | None:
        same = [one.id for one in self._said(conversation) if one.own and one.text == " ".join(text.split())]
        return str(max(same)) if same else None

    def remove_note(self, conversation: str, note: str) -> None:
        """Always Rejected, unless it is gone already: the API has no call for it, and hides no notes either."""
        if note in [str(one.id) for one in self._said(conversation)]:
            raise Rejected(
                f"Help Scout's API deletes no notes: open conversation {conversation} and delete note {note} by hand"
            )

    def _said(self, conversation: str) -> list[_Said]:
        talk = self._talks([int(conversation)]).get(int(conversation))
        return rows(_Said, list(talk.threads.values()), "message")[0] if talk else []

    # probe

    def probe(self) -> Iterator[Finding]:
        answer = self.http.get("/v2/users/me")
        me = rows(_Who, [answer.json()], "agent")[0]
        yield _access(me[0] if me else _Who())
        yield _budget(answer.headers, self.per_second)
        count, remedy = len(self._boxes[0]), "Manage → Inboxes → New inbox"
        yield Finding("inboxes", bool(count), f"{count} readable" if count else "none", "" if count else remedy)
        newest = self._sheet(None, 1)
        active = _sheet(self.http.get(ROWS, {"status": "active", "page": 1}), "conversations")
        yield _closed(newest.total, active.total)
        yield _versions(newest.items)
        yield from self._history_found(newest.ids[:1])
        yield NO_REPORT if self._report is None else Finding("ratings", True, "dated, from the happiness report")
        yield from LACKING

    def _history_found(self, ids: Items) -> Iterator[Finding]:
        """Threads by v3 of one conversation; v2 tells an AI agent as a person."""
        for one in ids:
            told = self.http.find(_threads_of(one, 1, "v3"))
            lost = "an AI agent's replies look like a person's: first_response_time is too short where it answers"
            yield Finding("threads", True, "readable") if told else Finding("threads", None, lost)


# --- reading lists ---------------------------------------------------------------------------------------------------


def _inside(document: Any, *path: str) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _sheet(answer: Answer, key: str) -> _Sheet:
    """A page of a list. Where there are no rows there is no ``_embedded`` at all; where there is no next page, no next
    link. The next link's own address is not followed: it may lack what was asked for."""
    told = answer.json()
    embedded, page = _inside(told, "_embedded"), _inside(told, "page")
    items = _inside(embedded, key) if embedded is not None else []
    if not isinstance(items, list) or not (embedded is not None or isinstance(page, dict)):
        raise BadPayload(f"Help Scout's answer has no list of {key}: nothing of it was kept")
    number, last, total, size = (_inside(page, n) for n in ("number", "totalPages", "totalElements", "size"))
    over = isinstance(number, int) and isinstance(last, int) and number >= last
    more = bool(items) and bool(_inside(told, "_links", "next")) and not over
    total, size = (value if isinstance(value, int) and value > 0 else None for value in (total, size))
    return _Sheet(items, more, total, size or ROWS_A_PAGE, _served(answer))


def _served(answer: Answer) -> Instant | None:
    found = rows(_Served, [{"date": answer.headers.get("date", "")}], "time")[0]
    return found[0].date if found else None


def _following(sheet: _Sheet, page: int, total: int | None) -> int | None:
    """The page to read next. A row that vanishes pulls the others up, which shows in a total that shrinks: then as many
    rows are read again. New and modified rows only push down, so otherwise nothing was skipped."""
    gone = (total or 0) - (sheet.total or 0)
    if gone > 0 and page > 1:
        return max(1, page + -gone // sheet.size)
    return page + 1 if sheet.more else None


def _threads_of(conversation: Any, page: int, version: str) -> str:
    return f"/{version}/conversations/{conversation}/threads?page={page}"


def _second(at: Instant) -> str:
    return f"{to_iso(at)[:19]}Z"


def _windows(start: Instant, end: Instant) -> Iterator[tuple[Instant, Instant]]:
    while start < end:
        stop = min(start + WINDOW, end)
        yield start, stop
        start = stop


def _told_of(records: list[Record]) -> set[str]:
    """Conversations that were read, or are told as deleted; of one whose threads have vanished there is nothing."""
    gone = {one.conversation for one in records if isinstance(one, Event) and one.kind == "deleted"}
    return gone | {one.id for one in records if isinstance(one, Conversation)}


def _mark(row: Any) -> str:
    """A mark of all that a row says, but how long ago something was in words: that is another tomorrow."""
    waiting = _inside(row, "customerWaitingSince", "time")
    told = row | {"customerWaitingSince": waiting} if isinstance(row, dict) else row
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


# --- from their words to ours ----------------------------------------------------------------------------------------


def _deleted(conversation: object) -> Event:
    return Event(f"{conversation}:deleted", str(conversation), None, "deleted")


def _merged(conversation: object, into: object, at: Instant | None = None, actor: str | None = None) -> Event:
    return Event(f"{conversation}:merged", str(conversation), at, "merged", str(into), actor=actor)


def _shared(chat: _Chat, said: list[_Said]) -> Iterator[Record]:
    """The channel and the customers of a conversation: shared with others."""
    yield Channel(chat.channel, CHANNELS.get(chat.channel, "other"))
    people = [chat.primary_customer, *(_speaker(one) for one in said if one.type == "customer")]
    yield from (Contact(str(one)) for one in dict.fromkeys(who.id for who in people if who) if one)


def _speaker(one: _Said) -> _Who | None:
    """Of a thread that the customer wrote, whoever brought it in."""
    by = one.created_by
    return by if by and by.type == "customer" else one.customer or by


def _told(chat: _Chat, said: list[_Said], served: Instant | None, around: _Around) -> list[Record]:
    """The conversation with all that is its own, in the order of time."""
    name = str(chat.id)
    sent = sorted((one for one in said if one.sent(served)), key=lambda one: (one.at, one.id))
    brought = max((one.at for one in sent if one.type == "lineitem" and one.deed.startswith("imported")), default=0)
    messages = [_message(one, name, brought, around) for one in sent if one.type != "lineitem"]
    story = _story(chat, sent, around)
    customer, spam = chat.primary_customer, chat.status.lower() == SPAM
    conversation = Conversation(
        id=name,
        created_at=min([chat.created_at, *(message.at for message in messages)]),
        status=chat.ours,
        changed_at=chat.modified_at,
        inbox=str(chat.mailbox_id) if chat.mailbox_id else None,
        channel=chat.channel,
        contact=str(customer.id) if customer and customer.id else None,
        team=story.now["team"],
        agent=story.now["assigned"],
        link=f"https://secure.helpscout.net/conversation/{chat.id}/{chat.number or ''}".rstrip("/"),
        tags=tuple(sorted(chat.labels)),
    )
    spams = [Event(f"{name}:spam", name, _since_spam(sent), "spam")] if spam else []
    ratings = [one for thread in sent for one in _rating(thread, name)] if around.undated else []
    return [conversation, *messages, *story.events, *spams, *ratings]


def _message(one: _Said, conversation: str, brought: Instant, around: _Around) -> Message:
    author, kind = _author(one, around.bots), _kind(one, brought)
    who = _speaker(one) if author == "customer" else one.created_by
    return Message(
        id=str(one.id),
        conversation=conversation,
        at=one.at,
        author=author,
        author_id=str(who.id) if who and who.id and author in ("customer", "human", "bot") else None,
        public=kind not in ("note", "activity"),
        kind=kind,
        length=len(one.text),
        own=one.own,
        body=one.text,
    )


def _kind(one: _Said, brought: Instant) -> MessageKind:
    """An import dates back what it brings: all that is older than its line was written elsewhere."""
    if one.type == "note":
        return "note"
    if one.type not in TALK:
        return "activity"
    imported = one.deed.startswith("imported") or one.via in IMPORTERS or one.at < brought
    return "imported" if imported else "message"


def _author(one: _Said, bots: Collection[int]) -> Author:
    """What a customer wrote is a customer's, also where an agent forwarded it or another system brought it in."""
    who = one.created_by or _Who()
    if one.type == "customer" or who.type == "customer":
        return "customer"
    if who.type == "system_user" or who.id in bots:
        return "bot"
    if who.id == SYSTEM or "workflow" in one.deed or one.via == "workflows":
        return "automation"
    if who.type != "user":
        return "unknown"
    return "integration" if one.via == "api" else "human"


def _plain(text: str) -> str:
    """Words without their markup."""
    return " ".join(html.unescape(re.sub(r"<[a-zA-Z/!][^>]*>", " ", text)).split())


def _since_spam(sent: list[_Said]) -> Instant | None:
    """When it last became spam; None where no thread tells."""
    told = [one for one in sent if STATUSES.get((one.status or "").lower())]
    others = [n for n, one in enumerate(told) if (one.status or "").lower() != SPAM]
    return next((one.at for one in told[others[-1] + 1 if others else 0 :]), None)


class _Story:
    """What a conversation was, change by change; each thread tells what it was after it."""

    def __init__(self, conversation: str) -> None:
        self.conversation = conversation
        self.now: dict[EventKind, str | None] = {"status": "open", "assigned": None, "team": None}
        self.events: list[Event] = []

    def thread(self, one: _Said, teams: Collection[int]) -> None:
        if status := STATUSES.get((one.status or "").lower()):
            self._change(one, "status", status)
        if one.assigned_to:
            for kind, owner in _owners(one.assigned_to, teams):
                self._change(one, kind, owner)

    def _change(self, one: _Said, kind: EventKind, value: str | None) -> None:
        if value != (was := self.now[kind]):
            self.events.append(Event(f"{one.id}:{kind}", self.conversation, one.at, kind, value, was, one.actor))
            self.now[kind] = value

    def end(self, kind: EventKind, value: str | None, at: Instant) -> None:
        """What the conversation says of itself, under an id that stays: so it takes back what it said before.
        Of whose it is, no threads may tell: then it has been so ever since."""
        told = max((event.at or 0 for event in self.events if event.kind == kind), default=0)
        if told or kind == "status":
            name, at = f"{self.conversation}:now:{kind}", max(at, told + 1)
            self.events.append(Event(name, self.conversation, at, kind, value, self.now[kind], derived=True))
        self.now[kind] = value


def _owners(who: _Who, teams: Collection[int]) -> Iterator[tuple[EventKind, str | None]]:
    """A team's, a person's (who takes it from a team on that team's behalf), or nobody's."""
    if who.id in (None, NOBODY):
        yield from (("assigned", None), ("team", None))
    elif who.type == "team" or who.id in teams:
        yield from (("assigned", None), ("team", str(who.id)))
    else:
        yield "assigned", str(who.id)


def _story(chat: _Chat, sent: list[_Said], around: _Around) -> _Story:
    """The threads' history, and at its end what the conversation says of itself."""
    story = _Story(str(chat.id))
    for one in sent:
        story.thread(one, around.teams)
    last = max([one.at for one in sent], default=chat.created_at)
    story.end("status", chat.ours, chat.closed_at if chat.ours == "done" and chat.closed_at else last)
    for kind, owner in _owners(chat.assignee or _Who(), around.teams):
        story.end(kind, owner, last)
    story.events += [_merged(loser, chat.id, one.at, one.actor) for one in sent for loser in _losers(one, chat.id)]
    return story


def _losers(one: _Said, winner: int) -> list[int]:
    """The conversations that were merged into this one, where its line names them."""
    told = one.action.associated_entities if one.action and one.deed == "merged" else None
    named = told.items() if isinstance(told, dict) else ()
    return [value for key, value in named if "conversation" in key.lower() and type(value) is int and value != winner]


def _rated(items: Items, word: str) -> tuple[list[Record], None, tuple[Reject, ...]]:
    """A page's records, no cursor, its rejects. A rating is of a reply, and so of who wrote that."""
    answers, rejects = rows(_Answered, items, "rating")
    score, number = SCORES[word]
    others = {other for _, other in SCORES.values()} - {number}
    records: list[Record] = []
    for one in answers:
        if one.rating_id in others:
            rejects += (
                Reject("rating", str(one.threadid), f'ratingId: {one.rating_id} among those asked for as "{word}"'),
            )
            continue
        agent = str(one.rating_user_id) if one.rating_user_id else None
        answered = ((one.rating_created_at, score),)
        records.append(Rating(str(one.threadid), str(one.id), None, answered, NOT_GOOD, GREAT, agent))
    return records, None, rejects


def _rating(one: _Said, conversation: str) -> Iterator[Rating]:
    """A thread's own rating, whose time it does not tell."""
    score = WORDS.get(one.rating.rating.lower()) if one.rating else None
    if score is not None:
        yield Rating(str(one.id), conversation, None, ((one.at, score),), NOT_GOOD, GREAT, one.actor)


# --- for doctor ------------------------------------------------------------------------------------------------------

NO_REPORT = Finding(
    "ratings",
    None,
    "this plan or user has no happiness report: csat and csat_mean date an answer by the reply it is about, and learn "
    "of it only once the conversation changes",
    "reports come with the plans Plus and Pro; give the user access to them: Manage → Users → Permissions",
)
LACKING = (
    Finding("surveys", None, "who was asked is not told: no csat_response_rate, no csat_asked_rate"),
    Finding(
        "opening hours",
        None,
        "cannot be read: without them business time is absent",
        "write them into [calendar], or [calendar.inboxes] for an inbox of its own",
    ),
)


def _access(me: _Who) -> Finding:
    who = f"{me.label}, {me.role or 'role unknown'}"
    if me.role not in ("owner", "admin"):
        remedy = f"make the app as an administrator: {APPS}"
        return Finding("access", None, f"{who}: sees its own inboxes only, what is in others counts nowhere", remedy)
    detail = f"{who}; an app may do whatever its user may, also write to customers, which we never do"
    return Finding("access", None, detail, "make it as a user of its own, an administrator named Deskpulse")


def _budget(headers: Mapping[str, str], per_second: float) -> Finding:
    told, ours = headers.get("x-ratelimit-limit-minute", ""), f"we take {per_second * 60:.0f}"
    if not told.isdecimal():
        return Finding("rate limit", None, f"not told; plans begin at 200 requests a minute, {ours}")
    fits = int(told) > per_second * 60
    remedy = "" if fits else "lower services.helpscout.requests_per_second: others share the limit"
    return Finding("rate limit", fits or None, f"{told} requests a minute for the whole account, {ours}", remedy)


def _closed(everything: int | None, active: int | None) -> Finding:
    told = f"{everything} conversations, {active} of them active"
    if everything is None or active is None or everything > active:
        return Finding("conversations", True, told)
    return Finding("conversations", None, f"{told}: if some are closed, they are not shown to this app")


def _versions(items: Items) -> Finding:
    if items and all(_inside(row, "modifiedAt") for row in items):
        return Finding("versions", True, "conversations say when they were modified")
    lost = "conversations do not say when they were modified: those that are read again cost a call for their threads"
    return Finding("versions", None, lost)
