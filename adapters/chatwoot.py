"""Chatwoot, in the cloud or on your own server: conversations in, labels and private notes out.

API: the application API v1 (OpenAPI description 1.1.0), as versions 3.x and 4.x speak it. Used, yet not described:
     csat_survey_responses, sort_by on conversations, GET /api for the version.
Auth: `api_access_token` of a user who is an administrator of the account: an agent sees its own inboxes only, and
     neither reporting events nor survey answers. Give Deskpulse a user of its own.
Limits: 25 conversations, 100 messages, 25 survey answers, 15 contacts a request; an installation throttles by address
     (300 to 3000 requests a minute), so 5 a second unless told otherwise.
Gaps: who resolved (the assignee at that moment is named instead) and who assigned; a reopening by hand on versions
     without `conversation_opened`; when a snooze began; when a rating was changed. A reply written in a phone's own app
     counts as an integration's, since Chatwoot does not take it for an agent's either; a script that uses an agent's
     token looks like that agent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
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
    from_unix,
)

CHANNELS = {
    "Channel::WebWidget": "live_chat",
    "Channel::Email": "email",
    "Channel::Whatsapp": "whatsapp",
    "Channel::TwilioSms": "sms",
    "Channel::TwilioSms/whatsapp": "whatsapp",
    "Channel::Sms": "sms",
    "Channel::Voice": "phone",
    "Channel::Instagram": "instagram",
    "Channel::FacebookPage": "facebook",
    "Channel::TwitterProfile": "x",
    "Channel::Tiktok": "tiktok",
    "Channel::Telegram": "telegram",
}
STATUSES: dict[str, Status] = {"open": "open", "pending": "pending", "snoozed": "snoozed", "resolved": "done"}
REPORTED: dict[str, Status] = {"conversation_resolved": "done", "conversation_opened": "open"}
HANDED_OVER = "conversation_bot_handoff"
INCOMING, OUTGOING, ACTIVITY, TEMPLATE = 0, 1, 2, 3
SENDERS: dict[str | None, Author] = {
    # Beside the message by one spelling, within its sender by the other: which of the two is there varies by version.
    **dict.fromkeys(("Contact", "contact"), "customer"),
    **dict.fromkeys(("User", "user"), "human"),
    **dict.fromkeys(("AgentBot", "agent_bot", "Captain::Assistant", "captain_assistant"), "bot"),
    None: "integration",
}
BOT_SEATS = {"AgentBot": "bot", "agent_bot": "bot", "Captain::Assistant": "captain", "captain_assistant": "captain"}
"""Bots are numbered apart from people: bot 3 is not agent 3."""

OVERLAP = 10 * 60_000
"""Conversations whose activity is this much older than the newest one seen are looked at again."""
ANSWER_CHANGES = 15 * 24 * 3600_000
"""A customer may change a survey answer for 14 days, in place and with no trace in any list."""
MESSAGES_A_PAGE, WRITTEN_AT_ONCE, REREAD_AT_ONCE = 100, 5, 25
Query = dict[str, str | int | Sequence[str]]
ALL_CONVERSATIONS: Query = {
    "status": "all",  # unsaid, it means open ones only
    "assignee_type": "all",
    "sort_by": "last_activity_at_desc",
}
UPGRADE = "upgrade Chatwoot"


# --- what is read of the answers -------------------------------------------------------------------------------------


def _instant(value: Any) -> Instant:
    """Reporting events come with ISO times from one list and with Unix seconds from the other."""
    if isinstance(value, str):
        return from_iso(value)
    if isinstance(value, int | float):
        return from_unix(value)
    raise ValueError("not a time")


def _imported(value: Any) -> Instant | None:
    """A channel's own time, in seconds or milliseconds, as a number or digits; None when it cannot be one."""
    number = float(value) if re.fullmatch(r"\d{9,13}(\.\d+)?", str(value)) else 0.0
    instant = round(number if number >= EARLIEST else number * 1000)
    return instant if EARLIEST <= instant < LATEST else None


When = Annotated[Instant, BeforeValidator(_instant)]
WhenOrZero = Annotated[Instant | None, BeforeValidator(lambda value: _instant(value) if value else None)]


class _Person(BaseModel):
    """A contact, an agent, a team: who is told apart by where it stands."""

    id: int
    name: str | None = None
    type: str | None = None
    created_at: WhenOrZero = None
    last_activity_at: WhenOrZero = None

    @property
    def active(self) -> Instant:
        return self.last_activity_at or 0


class _Meta(BaseModel):
    sender: _Person | None = None
    assignee: _Person | None = None
    assignee_type: str | None = None
    team: _Person | None = None
    channel: str | None = None


class _Chat(BaseModel):
    id: int
    inbox_id: int | None = None
    status: str
    created_at: When
    updated_at: WhenOrZero = None
    last_activity_at: WhenOrZero = None
    labels: list[str] | None = None
    additional_attributes: Any = None
    meta: _Meta

    @property
    def active(self) -> Instant:
        return self.last_activity_at or self.created_at


class _Attributes(BaseModel):
    automation_rule_id: int | None = None
    campaign_id: int | None = None
    deleted: bool | None = None
    external_created_at: Annotated[Instant | None, BeforeValidator(_imported)] = None


NOTHING = _Attributes()
Attributes = Annotated[_Attributes, BeforeValidator(lambda value: (isinstance(value, dict) and value) or NOTHING)]


class _Said(BaseModel):
    id: int
    content: str | None = None
    message_type: int
    content_type: str | None = None
    # Most have none: the factory spares a deep copy for each message.
    content_attributes: Attributes = Field(default_factory=lambda: NOTHING)
    additional_attributes: Attributes = Field(default_factory=lambda: NOTHING)
    created_at: When
    private: bool | None = False
    status: str | None = None
    sender_type: str | None = None
    sender: _Person | None = None

    @property
    def word(self) -> str | None:
        return self.sender_type or (self.sender.type if self.sender else None)

    @property
    def campaign(self) -> bool:
        return bool(self.content_attributes.campaign_id or self.additional_attributes.campaign_id)

    @property
    def own(self) -> bool:
        return bool(self.private) and (self.content or "").startswith(OWN_NOTE_MARK)


class _Report(BaseModel):
    """Its ``conversation_id`` is left out on purpose: a number of the database's, not the one that lists speak of."""

    id: int
    name: str
    user_id: int | None = None
    event_end_time: WhenOrZero = None
    created_at: When

    @property
    def at(self) -> Instant:
        return self.event_end_time or self.created_at


class _Answered(BaseModel):
    id: int
    rating: float
    message_id: int
    conversation_id: int
    assigned_agent: _Person | None = None
    created_at: When


class _Hours(BaseModel):
    day_of_week: int = Field(ge=0, le=6)
    closed_all_day: bool | None = False
    open_all_day: bool | None = False
    open_hour: int | None = None
    open_minutes: int | None = 0
    close_hour: int | None = None
    close_minutes: int | None = 0


class _Box(BaseModel):
    id: int
    name: str
    channel_type: str
    medium: str | None = None
    timezone: str | None = None
    working_hours_enabled: bool | None = False
    working_hours: list[_Hours] | None = None

    @property
    def channel(self) -> str:
        """Twilio has one type for SMS and WhatsApp; only the inbox tells which."""
        return f"{self.channel_type}/{self.medium}" if self.medium == "whatsapp" else self.channel_type


class _Membership(BaseModel):
    id: int
    role: str | None = None


class _Profile(BaseModel):
    accounts: list[_Membership] = []


class _Sheet(NamedTuple):
    """One page of a list whose newest activity comes first; ``ids`` are those of all its rows, rejected ones too."""

    found: list[Any]
    rejects: tuple[Reject, ...]
    ids: list[Any]
    total: int


# --- the adapter -----------------------------------------------------------------------------------------------------


class ChatwootSettings(AdapterSettings):
    url: str = Field(description="where you open Chatwoot, like https://app.chatwoot.com")
    account: int = Field(ge=1, description="the number after /accounts/ in the address bar")
    token: SecretStr = Field(description="an administrator's: Profile settings → Access token")
    requests_per_second: float = Field(5, gt=0, description="how many requests we allow ourselves")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        """What people copy from the address bar is fine too: the page's own path is cut off."""
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write the whole address, like https://app.chatwoot.com")
        return f"{parts.scheme}://{parts.netloc}{re.sub(r'/(app|api)(/.*)?$', '', parts.path).rstrip('/')}"


class Chatwoot:
    name: ClassVar[str] = "chatwoot"
    Settings: ClassVar[type[AdapterSettings]] = ChatwootSettings
    streams: ClassVar[tuple[str, ...]] = ("directory", "contacts", "conversations", "ratings")
    history: ClassVar[frozenset[str]] = frozenset({"status"})
    first_read: ClassVar[float] = 2.11
    reread_limit: ClassVar[int] = 200

    def __init__(self, settings: ChatwootSettings, http: Http) -> None:
        self.http, self.account = http, settings.account
        self.root = f"/api/v1/accounts/{settings.account}"
        self.page = f"{settings.url}/app/accounts/{settings.account}/conversations"

    @staticmethod
    def service(settings: ChatwootSettings) -> Service:
        headers = {"api_access_token": settings.token.get_secret_value()}
        return Service(settings.url, headers, per_second=settings.requests_per_second)

    # pull

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]:
        if stream == "directory":
            return self._directory(cursor or {})
        if stream == "contacts":
            return self._contacts(cursor or {})
        if stream == "ratings":
            return self._ratings(cursor or {})
        return self._conversations(cursor or {}, seen)

    def _directory(self, cursor: Cursor) -> Iterator[Page]:
        """Three short lists without dates: a mark of what they hold tells whether there is anything new."""
        boxes, bad = self._boxes
        teams, bad_teams = rows(_Person, _items(self.http.get(f"{self.root}/teams")), "team")
        agents, bad_agents = rows(_Person, _items(self.http.get(f"{self.root}/agents")), "agent")
        records: list[Record] = [_channel(name) for name in sorted({box.channel for box in boxes})]
        records += [_inbox(box) for box in boxes]
        records += [Team(str(team.id), team.name or str(team.id)) for team in teams]
        records += [Agent(str(agent.id), agent.name or str(agent.id)) for agent in agents]
        mark = hashlib.sha256(repr(records).encode()).hexdigest()[:16]
        known = mark == cursor.get("mark")
        yield Page([] if known else records, {"mark": mark}, bad + bad_teams + bad_agents + _strange_zones(boxes))

    def _contacts(self, cursor: Cursor) -> Iterator[Page]:
        """Customers who never wrote, too. Without an overlap: whoever wrote comes with the conversation anyway, so a
        row that is skipped costs nothing and an unchanged list costs one request."""

        def read(page: int) -> _Sheet:
            answer = self.http.get(f"{self.root}/contacts", {"page": page, "sort": "-last_activity_at"})
            return _sheet(_Person, "contact", _items(answer, "payload"), _number(answer, "meta", "count"))

        since = cursor.get("since") or -1
        for sheet, following in _newest_first(read, cursor):
            yield Page([_contact(one) for one in sheet.found if one.active > since], following, sheet.rejects)

    def _conversations(self, cursor: Cursor, seen: Seen) -> Iterator[Page]:
        """No list is by time of change, so newest activity first until what was seen the last time. A label alone does
        not move a conversation up: such changes show when it is read again by its id."""

        def read(page: int) -> _Sheet:
            answer = self.http.get(f"{self.root}/conversations", ALL_CONVERSATIONS | {"page": page})
            total = _number(answer, "data", "meta", "all_count")
            return _sheet(_Chat, "conversation", _items(answer, "data", "payload"), total)

        since = cursor.get("since") or 0
        for sheet, following in _newest_first(read, cursor, OVERLAP):
            chats = [chat for chat in sheet.found if chat.updated_at or chat.active >= since]
            records, rejects = self._with_children(chats, seen)
            yield Page(records, following, sheet.rejects + rejects, sheet.total)

    def _ratings(self, cursor: Cursor) -> Iterator[Page]:
        """The answers of the last 15 days at every run; only those with a new score are handed over. The cursor moves
        once, at the end, whatever order an old version may list them in."""
        newest, known, scores = cursor.get("newest") or 0, cursor.get("known", {}), {}
        for answers, rejects in self._answers(max(newest - ANSWER_CHANGES, 0)):
            records: list[Record] = []
            for answer in answers:
                before = known.get(str(answer.id), [])
                told = before if before[-1:] == [answer.rating] else [*before, answer.rating]
                scores[str(answer.id)] = (answer.created_at, told)
                records += [] if told == before else [_rating(answer, told)]
            yield Page(records, None, rejects)
        newest = max([newest, *(at for at, _ in scores.values())])
        kept = {key: told for key, (at, told) in scores.items() if at >= newest - ANSWER_CHANGES}
        yield Page([], {"newest": newest, "known": kept})

    def _answers(self, since: Instant) -> Iterator[tuple[list[_Answered], tuple[Reject, ...]]]:
        """Oldest first. The filter works only when both ends are given, so the far end is the end of time."""
        span: Query = {"since": since // 1000, "until": LATEST // 1000, "sort": "created_at"}
        page, before = 1, [None]
        while answer := self.http.find(f"{self.root}/csat_survey_responses", span | {"page": page}):
            if not (items := _items(answer)):
                return
            page, before = page + 1, _other_than(before, _ids(items))
            yield rows(_Answered, items, "rating")

    # reread

    def reread(self, ids: Sequence[str], seen: Seen) -> Iterator[Page]:
        for start in range(0, len(ids), REREAD_AT_ONCE):
            some = ids[start : start + REREAD_AT_ONCE]
            answers = list(self.http.each(self._path(chat) for chat in some))
            gone = [chat for chat, answer in zip(some, answers, strict=True) if answer is None]
            chats, bad = rows(_Chat, [answer.json() for answer in answers if answer], "conversation")
            records, rejects = self._with_children(chats, seen)
            yield Page([*(Event(f"{c}:deleted", c, None, "deleted") for c in gone), *records], None, bad + rejects)

    def _with_children(self, chats: list[_Chat], seen: Seen) -> tuple[list[Record], tuple[Reject, ...]]:
        """Conversations with their messages and events; one whose version is stored already costs no call."""
        fresh = {chat.id: chat for chat in chats if not seen(str(chat.id), chat.updated_at)}
        said = self._messages(list(fresh))
        shared: dict[Record, None] = {}
        own: list[Record] = []
        rejects: tuple[Reject, ...] = ()
        for chat, reported in zip(said, self._reports(list(said)), strict=True):
            messages, bad = rows(_Said, said[chat], "message")
            reports, bad_reports = (None, ()) if reported is None else rows(_Report, reported, "event")
            channel = self._channels.get(fresh[chat].inbox_id, fresh[chat].meta.channel)
            shared |= dict.fromkeys(_around(fresh[chat], messages, channel))
            own += _told(fresh[chat], messages, reports, channel, f"{self.page}/{chat}")
            rejects += bad + bad_reports
        return [*shared, *own], rejects

    def _messages(self, ids: list[int]) -> dict[int, list[Any]]:
        """All messages of each conversation, side by side; one that has vanished meanwhile is left out."""
        found: dict[int, list[Any]] = {}
        wanted = dict.fromkeys(ids, 0)
        while wanted:
            paths = [f"{self._path(chat)}/messages?after={last}" for chat, last in wanted.items()]
            following: dict[int, int] = {}
            for (chat, last), answer in zip(wanted.items(), self.http.each(paths), strict=True):
                if answer:
                    page, talk = _items(answer, "payload"), found.setdefault(chat, [])
                    talk += _others(page, talk)
                    following |= {chat: _last(page, last)} if len(page) >= MESSAGES_A_PAGE else {}
            wanted = following
        return found

    def _reports(self, ids: list[int]) -> Iterator[list[Any] | None]:
        """None where this version has no reporting events of a conversation."""
        for answer in self.http.each(f"{self._path(chat)}/reporting_events" for chat in ids):
            yield _items(answer) if answer else None

    @cached_property
    def _boxes(self) -> tuple[list[_Box], tuple[Reject, ...]]:
        return rows(_Box, _items(self.http.get(f"{self.root}/inboxes"), "payload"), "inbox")

    @cached_property
    def _channels(self) -> dict[int | None, str]:
        return {box.id: box.channel for box in self._boxes[0]}

    def _path(self, conversation: str | int) -> str:
        return f"{self.root}/conversations/{conversation}"

    # tag

    @staticmethod
    def tag_name(tag: str) -> str:
        """Labels are lower case; letters, digits, - and _ only."""
        return re.sub(r"[^\w-]+", "-", tag.strip().lower()).strip("-")

    def tags(self, conversation: str) -> tuple[str, ...]:
        return tuple(map(str, _items(self.http.get(f"{self._path(conversation)}/labels"), "payload")))

    def add_tag(self, conversation: str, tag: str) -> TagChange:
        """Rejected when what is read back is not the union of what was there and ours."""
        label, before = self.tag_name(tag), self.tags(conversation)
        if label in before:
            return TagChange(before, before)
        self._declare(label)
        return self._replace_tags(conversation, before, (*before, label))

    def remove_tag(self, conversation: str, tag: str) -> TagChange:
        """Rejected when what is read back is not what was there without ours."""
        label, before = self.tag_name(tag), self.tags(conversation)
        if label not in before:
            return TagChange(before, before)
        return self._replace_tags(conversation, before, tuple(other for other in before if other != label))

    def _replace_tags(self, conversation: str, before: tuple[str, ...], wanted: tuple[str, ...]) -> TagChange:
        """The service can only replace the whole list, on no condition; so what it made of it is read back."""
        self.http.send("POST", f"{self._path(conversation)}/labels", {"labels": list(wanted)})
        after = self.tags(conversation)
        return as_written(f"conversation {conversation}", "Chatwoot", before, wanted, after)

    def _declare(self, label: str) -> None:
        """Chatwoot shows a conversation's label only once the account has it."""
        known = _items(self.http.get(f"{self.root}/labels"), "payload")
        if label not in [_inside(one, "title") for one in known]:
            body = {"title": label, "color": "#1F93FF", "show_on_sidebar": True}
            self.http.send("POST", f"{self.root}/labels", body)

    # note

    def add_note(self, conversation: str, text: str) -> str:
        """Rejected when what is read back is not our private note."""
        body = {"content": text, "message_type": "outgoing", "private": True}
        note = _number(self.http.send("POST", f"{self._path(conversation)}/messages", body), "id")
        written = self._note(conversation, note)
        if not (written and written.own):
            raise Rejected(f"conversation {conversation}: what was written is not there as a private note; look at it")
        return str(note)

    def find_note(self, conversation: str, text: str) -> str | None:
        found = self._messages([int(conversation)]).get(int(conversation), [])
        same = [one.id for one in rows(_Said, found, "message")[0] if one.own and _words(one.content) == _words(text)]
        return str(same[-1]) if same else None

    def remove_note(self, conversation: str, note: str) -> None:
        """Rejected when it is not a note of ours: the same call would delete what was said to a customer."""
        found = self._note(conversation, int(note))
        if found is None or found.content_attributes.deleted:
            return
        if not found.own:
            raise Rejected(f"message {note} of conversation {conversation} is not a note of ours: it was left alone")
        self.http.send("DELETE", f"{self._path(conversation)}/messages/{note}")

    def _note(self, conversation: str, note: int) -> _Said | None:
        answer = self.http.get(f"{self._path(conversation)}/messages", {"after": note - 1})
        return next((one for one in rows(_Said, _items(answer, "payload"), "message")[0] if one.id == note), None)

    # probe

    def probe(self) -> Iterator[Finding]:
        about = self.http.find("/api")
        version = _inside(about.json(), "version") if about else None
        yield Finding("version", bool(version) or None, str(version or "not told"), "" if version else UPGRADE)
        profile, _ = rows(_Profile, [self.http.get("/api/v1/profile").json()], "profile")
        role = next((m.role or "agent" for one in profile for m in one.accounts if m.id == self.account), None)
        yield _role(role, self.account)
        if role == "administrator":
            yield from self._what_it_feeds()

    def _what_it_feeds(self) -> Iterator[Finding]:
        """Asked of an administrator only: anyone else's token is refused, as if it were wrong."""
        boxes = self._boxes[0]
        remedy = "" if boxes else "Settings → Inboxes → Add Inbox"
        yield Finding("inboxes", bool(boxes), f"{len(boxes)} readable" if boxes else "none", remedy)
        answer = self.http.get(f"{self.root}/conversations", ALL_CONVERSATIONS | {"page": 1})
        for chat in rows(_Chat, _items(answer, "data", "payload")[:1], "conversation")[0]:
            lost = "not in this version: resolution_time is approximate, reopens and reopen_rate are incomplete"
            yield _available("reporting events", self.http.find(f"{self._path(chat.id)}/reporting_events"), lost)
        lost = "not in this version: no csat, csat_mean, csat_response_rate"
        yield _available("ratings", self.http.find(f"{self.root}/csat_survey_responses", {"page": 1}), lost)


# --- reading lists ---------------------------------------------------------------------------------------------------


def _inside(document: Any, *path: str) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _items(answer: Answer, *path: str) -> list[Any]:
    """The list at ``path``; BadPayload when there is none."""
    found = _inside(answer.json(), *path)
    if not isinstance(found, list):
        raise BadPayload(f"Chatwoot's answer has no list at {'.'.join(path) or 'its top'}: nothing of it was kept")
    return found


def _number(answer: Answer, *path: str) -> int:
    """0 where there is none."""
    found = _inside(answer.json(), *path)
    return found if isinstance(found, int) else 0


def _last(messages: list[Any], after: int) -> int:
    """After which id the next page begins. They are listed by time: a late one's id is not the highest, and of some
    written at once the first may have the higher id, so a few are read again."""
    last = min((one for one in _ids(messages[-WRITTEN_AT_ONCE:]) if isinstance(one, int)), default=0)
    if last <= after:
        raise BadPayload(f"Chatwoot gave the same messages again after message {after}: run it again later")
    return last


def _others(page: list[Any], known: list[Any]) -> list[Any]:
    ids = set(map(str, _ids(known)))
    return [one for one in page if str(_inside(one, "id")) not in ids]


def _ids(items: list[Any]) -> list[Any]:
    return [_inside(item, "id") for item in items]


def _other_than(before: list[Any], ids: list[Any]) -> list[Any]:
    """The ids of a page; BadPayload when they are those of the page before."""
    if ids == before:
        raise BadPayload("Chatwoot gave the same page twice, so its list has no end: what came before it was kept")
    return ids


def _sheet(model: type[_Person] | type[_Chat], kind: str, items: list[Any], total: int) -> _Sheet:
    found, rejects = rows(model, items, kind)
    return _Sheet(list(found), rejects, _ids(items), total)


def _newest_first(read: Callable[[int], _Sheet], cursor: Cursor, overlap: int = 0) -> Iterator[tuple[_Sheet, Cursor]]:
    """Pages, each with the cursor that is true after it: of the walk under way, and at its end of the next one.

    New activity only pushes rows further down, so a walk that goes on at its page repeats rows and skips none; what
    rises above that page meanwhile is newer than ``top``, where the next walk ends. A row that is deleted pulls the
    others up: where the total has shrunk, as many pages are read again, whatever a page of this server holds.
    """
    since, top, total = cursor.get("since"), cursor.get("top"), cursor.get("total", 0)
    page, before = cursor.get("page", 1), [None]
    while True:
        sheet = read(page)
        times = [row.active for row in sheet.found]
        top = top or max(times, default=None)
        gone, total = total - sheet.total if sheet.total and page > 1 else 0, sheet.total
        if gone <= 0 and (not sheet.ids or _all_known(times, since)):
            yield sheet, {"since": top - overlap if top else since}
            return
        before = _other_than(before, sheet.ids)
        page = max(page - gone, 1) if gone > 0 else page + 1
        yield sheet, {"since": since, "top": top, "page": page, "total": total}


def _all_known(times: list[Instant], since: Instant | None) -> bool:
    """A page in order ends the walk by its last row; one that is not must be old as a whole."""
    if not times or since is None:
        return False
    return (times[-1] if times == sorted(times, reverse=True) else max(times)) < since


# --- from their words to ours ----------------------------------------------------------------------------------------


def _role(role: str | None, account: int) -> Finding:
    if role is None:
        remedy = "check services.chatwoot.account, or add the user: Settings → Agents → Add Agent"
        return Finding("access", False, f"the token's user is not in account {account}", remedy)
    if role != "administrator":
        remedy = "Settings → Agents → edit the user → Role: Administrator"
        return Finding("access", False, f"{role}: only its own inboxes, no reporting events, no ratings", remedy)
    return Finding("access", True, role)


def _available(check: str, answer: Answer | None, lost: str) -> Finding:
    return Finding(check, True, "readable") if answer else Finding(check, None, lost, UPGRADE)


def _channel(name: str) -> Channel:
    return Channel(name, CHANNELS.get(name, "other"))


def _inbox(box: _Box) -> Inbox:
    usable = box.working_hours_enabled and box.timezone in available_timezones()
    hours = Schedule(box.timezone or "", _week(box.working_hours or [])) if usable else None
    return Inbox(str(box.id), box.name, box.channel, hours)


def _strange_zones(boxes: list[_Box]) -> tuple[Reject, ...]:
    strange = [box for box in boxes if box.working_hours_enabled and box.timezone not in available_timezones()]
    return tuple(Reject("inbox", str(box.id), "timezone: unknown, so its hours are left out") for box in strange)


def _week(hours: list[_Hours]) -> tuple[tuple[tuple[int, int], ...], ...]:
    week: list[tuple[tuple[int, int], ...]] = [()] * 7
    for day in hours:
        week[(day.day_of_week - 1) % 7] += _day(day)  # theirs begins on Sunday; a lunch break makes two rows of a day
    return tuple(week)


def _day(day: _Hours) -> tuple[tuple[int, int], ...]:
    if day.open_all_day:
        return ((0, 1440),)
    if day.closed_all_day or day.open_hour is None or day.close_hour is None:
        return ()
    start = day.open_hour * 60 + (day.open_minutes or 0)
    end = day.close_hour * 60 + (day.close_minutes or 0) or 1440
    return ((start, end),) if start < end else ()


def _contact(person: _Person) -> Contact:
    return Contact(str(person.id), created_at=person.created_at)


def _seat(person: _Person, word: str | None) -> str:
    return f"{BOT_SEATS[word]}-{person.id}" if word in BOT_SEATS else str(person.id)


def _around(chat: _Chat, said: list[_Said], channel: str | None) -> list[Record]:
    """The channel, the customer and the bots of a conversation: shared with others."""
    seats = [(one.sender, one.word) for one in said] + [(chat.meta.assignee, chat.meta.assignee_type)]
    bots = [(bot, _seat(bot, word)) for bot, word in seats if bot and word in BOT_SEATS]
    return [
        *([_channel(channel)] if channel else []),
        *([_contact(chat.meta.sender)] if chat.meta.sender else []),
        *(Agent(seat, bot.name or seat, "bot") for bot, seat in bots),
    ]


def _told(
    chat: _Chat, said: list[_Said], reports: list[_Report] | None, channel: str | None, link: str
) -> list[Record]:
    """The conversation with all that is its own."""
    # A deleted note has lost our mark with its words: what was stored of it stays as it is.
    kept = [one for one in said if not (one.private and one.content_attributes.deleted)]
    messages = [_message(one, chat) for one in kept]
    # An imported conversation was created by the import, long after its messages were written.
    began = min([chat.created_at, *(message.at for message in messages)])
    surveys = [Rating(str(one.id), str(chat.id), one.created_at) for one in kept if one.content_type == "input_csat"]
    events = _events(chat, began, messages, reports)
    return [_conversation(chat, began, channel, link), *messages, *events, *surveys]


def _conversation(chat: _Chat, began: Instant, channel: str | None, link: str) -> Conversation:
    meta, language = chat.meta, _inside(chat.additional_attributes, "browser_language")
    return Conversation(
        id=str(chat.id),
        created_at=began,
        status=STATUSES.get(chat.status, "open"),
        changed_at=chat.updated_at,
        inbox=str(chat.inbox_id) if chat.inbox_id else None,
        channel=channel,
        contact=str(meta.sender.id) if meta.sender else None,
        team=str(meta.team.id) if meta.team else None,
        agent=_seat(meta.assignee, meta.assignee_type) if meta.assignee else None,
        language=language if isinstance(language, str) else None,
        link=link,
        tags=tuple(sorted(chat.labels or [])),
    )


def _message(one: _Said, chat: _Chat) -> Message:
    """A deleted message keeps its place without its words: whoever sent it did ask, or answer, at that moment."""
    kind, author = _kind(one), _author(one)
    person = (one.sender or chat.meta.sender) if author == "customer" else one.sender
    named = author in ("customer", "human", "bot") and person is not None
    imported = one.content_attributes.external_created_at
    text = "" if one.content_attributes.deleted else one.content or ""
    return Message(
        id=str(one.id),
        conversation=str(chat.id),
        # An imported message was created by the import; when it was written is told apart, and is never later.
        at=min(one.created_at, imported) if imported else one.created_at,
        author=author,
        author_id=_seat(person, one.word) if named and person else None,
        public=kind not in ("note", "activity") and one.status != "failed",  # what failed never reached the customer
        kind=kind,
        length=len(text),
        own=one.own,
        body=text,
    )


def _kind(one: _Said) -> MessageKind:
    if one.message_type == ACTIVITY:
        return "activity"
    if one.private:
        return "note"
    if one.content_type == "input_csat":
        return "survey"
    return "campaign" if one.campaign else "message"


def _author(one: _Said) -> Author:
    """Chatwoot's own test of a human reply: outgoing, a user's, and neither a rule's nor a campaign's."""
    if one.message_type == INCOMING:
        return "customer"
    if one.message_type in (ACTIVITY, TEMPLATE) or one.content_attributes.automation_rule_id or one.campaign:
        return "automation"
    return SENDERS.get(one.word, "unknown") if one.message_type == OUTGOING else "unknown"


def _words(text: str | None) -> str:
    return " ".join((text or "").split())


def _rating(answer: _Answered, scores: list[float]) -> Rating:
    """Changed answers keep the time of the first one: a millisecond each keeps them in order."""
    answers = tuple((answer.created_at + number, score) for number, score in enumerate(scores))
    agent = str(answer.assigned_agent.id) if answer.assigned_agent else None
    return Rating(str(answer.message_id), str(answer.conversation_id), answers=answers, agent=agent)


def _events(chat: _Chat, began: Instant, messages: list[Message], reports: list[_Report] | None) -> list[Event]:
    story = _Story(str(chat.id), [message.at for message in messages if message.author == "customer"])
    if _began_with_bot(messages, reports or []):
        story.derive("pending", began)
    for report in sorted(reports or [], key=lambda one: (one.at, one.id)):
        story.report(report)
    status = STATUSES.get(chat.status, "open")
    last = max((message.at for message in messages if message.kind != "note"), default=chat.active)
    if reports is None:
        story.end(status, last)
    elif not story.status == status == "done":
        # Where the history is known, what the snapshot adds is a single event, which moves with the snapshot.
        story.end(status, last, "now")
    return story.events


def _began_with_bot(messages: list[Message], reports: list[_Report]) -> bool:
    """An inbox with a bot begins its conversations as pending, until they are handed to people."""
    answered = [message.author for message in messages if message.public and message.author in ("bot", "human")]
    return answered[:1] == ["bot"] or any(report.name == HANDED_OVER for report in reports)


class _Story:
    """A conversation's status, event by event. What the vendor leaves out is derived, under ids that stay the same."""

    def __init__(self, chat: str, asked: list[Instant]) -> None:
        self.chat, self.asked = chat, asked
        self.status: Status = "open"
        self.at: Instant = 0
        self.events: list[Event] = []

    def report(self, report: _Report) -> None:
        """A second solve without an opening between: the customer's first message in between opened it."""
        name, status = f"report:{report.id}", REPORTED.get(report.name)
        if report.name == HANDED_OVER:
            self.events.append(Event(name, self.chat, report.at, "handoff"))
            if self.status == "pending":
                self.derive("open", report.at)
        elif status:
            if status == self.status == "done" and (asked := self._asked_again(report.at)):
                self.derive("open", asked)
            self._add(name, status, report.at, str(report.user_id) if report.user_id else None)

    def end(self, status: Status, last: Instant, name: str | None = None) -> None:
        """Agree with the snapshot, at its last activity; reopened, when the customer wrote again if that is known."""
        reopened = self._asked_again(LATEST) if self.status == "done" != status else None
        self.derive(status, reopened or max(last, self.at), name)

    def derive(self, status: Status, at: Instant, name: str | None = None) -> None:
        self._add(f"{self.chat}:{name or f'{status}:{at}'}", status, at, derived=True)

    def _add(self, name: str, status: Status, at: Instant, actor: str | None = None, derived: bool = False) -> None:
        was = self.status if self.at else None
        self.events.append(Event(name, self.chat, at, "status", status, was, actor, derived))
        self.status, self.at = status, at

    def _asked_again(self, until: Instant) -> Instant | None:
        return min((at for at in self.asked if self.at < at <= until), default=None)
