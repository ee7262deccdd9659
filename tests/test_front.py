"""The Front adapter, through the real client, against a small company that answers as Front does."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from pydantic import ValidationError

from adapters.front import Front, FrontSettings
from connector import facts
from connector.config import Config
from connector.contract import Finding, Notes, Probes, Pulls, Rereads, Tags
from connector.errors import BadPayload, Rejected, Transient
from connector.http import HttpClient
from connector.models import Agent, Channel, Contact, Conversation, Event, Inbox, Message, Page, Rating, Team
from connector.store.write import Store

HOST, COMPANY = "https://api2.frontapp.com", "https://hem.api.frontapp.com"
T = 1_795_075_200
"""The conversations begin here, in Unix seconds: 2026-11-19 08:00 UTC."""
HOUR, DAY = 3600, 86_400
Row = dict[str, Any]


class Clock:
    """Waiting takes no time."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> int:
        return (T + DAY) * 1000

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


def teammate(name: str, kind: str = "user") -> Row:
    return {"id": f"tea_{name}", "username": name, "first_name": name.title(), "last_name": "Falk", "type": kind}


def inbox(number: int, owner: str = "teams/tim_1", private: bool = False) -> Row:
    links = {"self": f"{COMPANY}/inboxes/inb_{number}", "related": {"owner": f"{COMPANY}/{owner}"}}
    return {"_links": links, "id": f"inb_{number}", "name": f"Inbox {number}", "is_private": private}


def channel(kind: str, number: int) -> Row:
    return {"_links": {"related": {"inbox": f"{COMPANY}/inboxes/inb_{number}"}}, "id": f"cha_{number}", "type": kind}


def tag(number: int, name: str, private: bool = False) -> Row:
    return {"id": f"tag_{number}", "name": name, "highlight": None, "is_private": private}


def sender(contact: str | None) -> Row:
    link = f"{COMPANY}/contacts/{contact}" if contact else None
    return {"_links": {"related": {"contact": link}}, "handle": "vera@customer.example", "role": "from"}


RULE = ("rule", {"id": "rul_1", "name": "Send to support"})


def by(name: str) -> tuple[str, Any]:
    return "teammate", teammate(name)


def boxes(*numbers: int) -> tuple[str, Any]:
    return "inboxes", [{"id": f"inb_{one}", "name": f"Inbox {one}"} for one in numbers]


class Company:
    """Front's side: keyed page tokens, filters, caps and writes as it does them. ``asked`` holds what it was asked."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Row]] = {
            "teams": [{"id": "tim_1", "name": "Care"}, {"id": "tim_2", "name": "Orders"}],
            "teammates": [teammate("robin"), teammate("noor"), teammate("helper", "ai")],
            "inboxes": [inbox(1), inbox(2), inbox(3, "teams/tim_2"), inbox(9, "teammates/tea_robin", True)],
            "channels": [channel("gmail", 1), channel("whatsapp", 3), channel("pigeon", 2)],
            "tags": [tag(1, "vip"), tag(2, "refund")],
        }
        self.chats: dict[str, Row] = {}
        self.messages: dict[str, list[Row]] = {}
        self.events: list[Row] = []
        self.comments: dict[str, list[Row]] = {}
        self.inboxes_of: dict[str, list[Row]] = {}
        self.tokens: dict[str, tuple[httpx.QueryParams, str, Any]] = {}
        self.asked: list[str] = []
        self.sent: list[tuple[str, str, Any]] = []
        self.answers: dict[str, httpx.Response] = {}
        self.limit = "50"
        self.disorder = self.forgetful = self.loops = False
        self.expired: set[str] = set()
        self.bumped = False
        self.down_after: int | None = None
        self.on_tag = lambda ids: ids
        self.served = 0
        self.during: Any = None

    # what a test changes

    def chat(self, name: str = "cnv_1", at: float = T, status: str = "unassigned", **fields: Any) -> Row:
        """A conversation of one customer's message, in inbox 1."""
        row = {"id": name, "type": "conversation", "status": status, "created_at": at, "updated_at": at + 0.5}
        row |= {"assignee": None, "recipient": sender("crd_1"), "tags": [], "is_private": False}
        self.chats[name] = row | {"scheduled_reminders": []} | fields
        self.messages[name], self.comments[name] = [], []
        self.say(name, at)
        return self.chats[name]

    def happen(self, kind: str, at: float, name: str = "cnv_1", source: Any = None, target: Any = None) -> Row:
        row: Row = {"id": f"evt_{len(self.events) + 1}", "type": kind, "emitted_at": at, "conversation": {"id": name}}
        for key, told in (("source", source), ("target", target)):
            if told:
                row[key] = {"_meta": {"type": told[0]}, "data": told[1]}
        self.events.append(row)
        if name in self.chats:
            self.chats[name]["updated_at"] = at
        return row

    def say(self, name: str, at: float, author: Row | None = None, inbound: bool = True, **fields: Any) -> Row:
        number = sum(map(len, self.messages.values())) + 1
        row = {"id": f"msg_{number}", "type": "email", "is_inbound": inbound, "draft_mode": None, "error_type": None}
        row |= {"created_at": at, "author": author, "text": "Where is it?", "recipients": [sender("crd_1")]}
        arrived = fields.pop("arrived", at)
        box = fields.pop("box", 1)
        row |= {"metadata": {}, **fields}
        self.messages[name].append(row)
        kind = "inbound" if row["is_inbound"] else "out_reply"
        if row["draft_mode"] is None:
            self.happen(kind, arrived, name, boxes(box), ("message", {"id": row["id"]}))
        return row

    def comment(self, at: float, body: str, author: Row | None = None, name: str = "cnv_1") -> Row:
        row = {"id": f"com_{len(self.comments[name]) + 1}", "author": author, "body": body, "posted_at": at}
        self.comments[name].insert(0, row)
        self.happen("comment", at, name, by("robin"), ("comment", {"id": row["id"]}))
        return row

    # answering

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer canary-token"
        path = request.url.path
        self.asked.append(f"{path}?{request.url.query.decode()}".rstrip("?"))
        if self.down_after is not None and len(self.asked) > self.down_after:
            return httpx.Response(500, text="out of order")
        if path in self.answers:
            return self.answers[path]
        if request.method != "GET":
            return self._write(request.method, path, json.loads(request.content))
        return self._read(path, request.url.params)

    def _read(self, path: str, query: httpx.QueryParams) -> httpx.Response:
        if path == "/me":
            told = {"id": "cmp_1", "name": "Lindenfelt"}
            return httpx.Response(200, json=told, headers={"x-ratelimit-limit": self.limit})
        if path == "/events":
            return self._paged(path, query, self._feed, 15, 15)
        if path == "/conversations":
            return self._paged(path, query, self._listed, 50, 100)
        if path == "/tags":
            return self._paged(path, query, lambda _: self.lists["tags"], 50, 100)
        if path[1:] in self.lists:
            return httpx.Response(200, json={"_results": self.lists[path[1:]]})
        found = re.fullmatch(r"/conversations/(\w+)(/\w+)?", path)
        if not found or found[1] not in self.chats:
            return httpx.Response(404, json={"_error": {"status": 404, "title": "Not found"}})
        return self._of_chat(found[1], found[2], path, query)

    def _of_chat(self, name: str, part: str | None, path: str, query: httpx.QueryParams) -> httpx.Response:
        if part == "/events":
            mine = _newest_first([one for one in self.events if one["conversation"]["id"] == name], "emitted_at")
            mine = sorted(mine, key=lambda one: one["type"] in ("inbound", "out_reply")) if self.bumped else mine
            return self._paged(path, query, lambda _: mine, 50, 100)
        if part == "/messages":
            return self._paged(path, query, lambda q: _ordered(self.messages[name], "created_at", q), 50, 100)
        if part == "/comments":
            return httpx.Response(200, json={"_results": self.comments[name]})
        if part == "/inboxes":
            return httpx.Response(200, json={"_results": self.inboxes_of.get(name, [])})
        return httpx.Response(200, json=self.chats[name])

    def _feed(self, query: httpx.QueryParams) -> list[Row]:
        after = float(query.get("q[after]", 0))
        rows = [one for one in self.events if one["emitted_at"] > after]
        return _newest_first(rows, "emitted_at") if self.disorder else _ordered(rows, "emitted_at", query)

    def _listed(self, query: httpx.QueryParams) -> list[Row]:
        wanted = query.get_list("q[statuses][]") or ["assigned", "unassigned"]
        rows = [row for row in self.chats.values() if row["status"] in wanted]
        return _newest_first(rows, "updated_at")

    def _paged(self, path: str, query: httpx.QueryParams, rows: Any, usual: int, most: int) -> httpx.Response:
        """A token stands for a place among the rows, not for a number of rows."""
        last = None
        if token := query.get("page_token"):
            if token in self.expired:
                return httpx.Response(400, json={"_error": {"message": "Invalid page token"}})
            query, _, last = self.tokens[token]
        limit = int(query.get("limit", usual))
        assert 0 < limit <= most, f"{path} takes no limit of {limit}"
        found = rows(query)
        ids = [one["id"] for one in found]
        start = ids.index(last) + 1 if last in ids else 0
        page = found[start : start + limit]
        following = None
        if start + limit < len(found) or (self.loops and page):
            token = token if self.loops and token else f"t{len(self.tokens) + 1}"
            self.tokens[token] = (query, path, page[-1]["id"])
            following = f"{COMPANY}{path}?page_token={token}"
        told = json.loads(json.dumps({"_pagination": {"next": following}, "_results": page}))
        if self.during and path in ("/conversations", "/events"):
            self.during()
        return httpx.Response(200, json=told)

    def _write(self, method: str, path: str, body: Any) -> httpx.Response:
        self.sent.append((method, path, body))
        if path == "/tags":
            self.lists["tags"].append(tag(len(self.lists["tags"]) + 1, body["name"]))
            return httpx.Response(201, json=self.lists["tags"][-1])
        name, part = path.split("/")[2:4]
        if part == "comments":
            return httpx.Response(201, json=self.comment(T + DAY, body["body"], None, name))
        known = {one["id"]: one for one in self.lists["tags"]}
        mine = {one["id"]: one for one in self.chats[name]["tags"]}
        for one in self.on_tag(body["tag_ids"]):
            mine = mine | {one: known[one]} if method == "POST" else {k: v for k, v in mine.items() if k != one}
        self.chats[name]["tags"] = list(mine.values())
        return httpx.Response(204)


def _newest_first(rows: list[Row], key: str) -> list[Row]:
    return sorted(rows, key=lambda one: one[key])[::-1]


def _ordered(rows: list[Row], key: str, query: httpx.QueryParams) -> list[Row]:
    """Newest first, unless asked otherwise."""
    found = _newest_first(rows, key)
    return found[::-1] if query.get("sort_order") == "asc" else found


@pytest.fixture
def company() -> Iterator[Company]:
    """Only Front's API is there: a request to the company's own address would fail."""
    with respx.mock:
        company = Company()
        respx.route(host="api2.frontapp.com").mock(side_effect=company)
        yield company


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def front(company: Company, clock: Clock) -> Iterator[Front]:
    settings = FrontSettings(token="canary-token")
    client = HttpClient(Front.service(settings), clock, name="front", demo=False)
    yield Front(settings, client)
    client.close()


class Stored:
    """What a store would hold: the newest of each record, the cursor of each stream."""

    def __init__(self) -> None:
        self.records: dict[tuple[type, str], Any] = {}
        self.cursors: dict[str, Any] = {}
        self.rejects: list[Any] = []

    def seen(self, conversation: str, changed_at: int | None) -> bool:
        known = self.records.get((Conversation, conversation))
        return changed_at is not None and known is not None and known.changed_at == changed_at

    def pull(self, front: Front, stream: str = "conversations", most: int = 10_000) -> list[Page]:
        pages = []
        for page in front.pull(stream, self.cursors.get(stream), self.seen):
            pages.append(page)
            self.keep(page, stream)
            if len(pages) == most:
                break
        return pages

    def keep(self, page: Page, stream: str = "") -> None:
        self.records |= {(type(record), record.id): record for record in page.records}
        self.rejects += page.rejects
        if page.cursor is not None:
            self.cursors[stream] = json.loads(json.dumps(page.cursor))

    def all(self, kind: type) -> list[Any]:
        return [record for (of, _), record in self.records.items() if of is kind]


@pytest.fixture
def stored() -> Stored:
    return Stored()


def pulled(front: Front, kind: type, stream: str = "conversations") -> list[Any]:
    stored = Stored()
    stored.pull(front, stream)
    return stored.all(kind)


def only(front: Front, kind: type) -> Any:
    [found] = pulled(front, kind)
    return found


def message(front: Front, row: Row) -> Message:
    return next(one for one in pulled(front, Message) if one.id == row["id"])


def statuses(front: Front) -> list[tuple[str | None, float, str | None]]:
    """(status, seconds since the conversation began, who did it): changes only."""
    found: list[tuple[str | None, float, str | None]] = [("open", 0, None)]
    for one in sorted((e for e in pulled(front, Event) if e.kind == "status"), key=lambda e: (e.at, e.derived)):
        if one.value != found[-1][0]:
            found.append((one.value, round(one.at / 1000 - T, 3), one.actor))
    return found[1:]


def owners(front: Front, kind: str) -> list[tuple[str | None, str | None]]:
    return [(one.was, one.value) for one in pulled(front, Event) if one.kind == kind]


def ms(second: float) -> int:
    return round(second * 1000)


# --- settings --------------------------------------------------------------------------------------------------------


def test_a_token_is_all_it_needs() -> None:
    settings = FrontSettings(token="canary-token")
    service = Front.service(settings)
    assert service.base_url == HOST
    assert service.per_second == pytest.approx(50 / 60 / 3)
    assert "canary" not in repr(settings) + repr(service)
    front = Front(settings, None)  # type: ignore[arg-type]  # nothing is asked
    assert all(isinstance(front, one) for one in (Pulls, Rereads, Tags, Notes, Probes))


@pytest.mark.parametrize("url", ["api2.frontapp.com", "https://app.frontapp.com/inboxes", "ftp://front"])
def test_an_address_that_cannot_be_the_api_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(ValidationError, match=r"leave .*out.* https://api2\.frontapp\.com"):
        FrontSettings(token="t", url=url)


# --- the directory ---------------------------------------------------------------------------------------------------


def test_inboxes_have_the_channel_and_people_their_kind(front: Front) -> None:
    found = pulled(front, Inbox, "directory")
    assert found == [Inbox("inb_1", "Inbox 1", "gmail"), Inbox("inb_2", "Inbox 2", "pigeon"),
                     Inbox("inb_3", "Inbox 3", "whatsapp")]  # fmt: skip
    kinds = {one.id: one.kind for one in pulled(front, Channel, "directory")}
    assert kinds == {"gmail": "email", "whatsapp": "whatsapp", "pigeon": "other"}
    assert pulled(front, Team, "directory") == [Team("tim_1", "Care"), Team("tim_2", "Orders")]
    assert Agent("tea_helper", "Helper Falk", "bot") in pulled(front, Agent, "directory")


def test_an_inbox_of_one_person_is_not_even_named(front: Front) -> None:
    assert "inb_9" not in [one.id for one in pulled(front, Inbox, "directory")]


def test_a_directory_that_is_as_it_was_gives_no_records(company: Company, front: Front, stored: Stored) -> None:
    assert stored.pull(front, "directory")[0].records
    assert not stored.pull(front, "directory")[0].records
    company.lists["teams"].append({"id": "tim_3", "name": "Night"})
    assert Team("tim_3", "Night") in stored.pull(front, "directory")[0].records


# --- a conversation --------------------------------------------------------------------------------------------------


def test_a_conversation_is_read_with_what_is_around_it(company: Company, front: Front) -> None:
    company.chat(status="assigned", assignee=teammate("robin"), tags=[tag(1, "vip"), tag(7, "mine", True)])
    found = only(front, Conversation)
    assert found == Conversation(
        "cnv_1", ms(T), "open", ms(T), "inb_1", "email", "crd_1", "tim_1", "tea_robin", None,
        "https://app.frontapp.com/open/cnv_1", ("vip",),
    )  # fmt: skip
    assert pulled(front, Contact) == [Contact("crd_1")]


def test_times_are_seconds_with_a_fraction(company: Company, front: Front) -> None:
    company.chat(at=T + 0.125)
    company.say("cnv_1", T + 60.25)
    assert only(front, Conversation).created_at == ms(T) + 125
    assert [one.at for one in pulled(front, Message)] == [ms(T) + 125, ms(T) + 60_250]


@pytest.mark.parametrize("wrong", [0, True, "2026-11-19T08:00:00Z", None, T * 1000])
def test_a_time_that_cannot_be_one_rejects_that_row_alone(company: Company, front: Front, wrong: Any) -> None:
    company.chat("cnv_1")
    company.chat("cnv_2", T + 10)["created_at"] = wrong
    stored = Stored()
    stored.pull(front)
    assert [one.id for one in stored.all(Conversation)] == ["cnv_1"]
    assert {(one.kind, one.id) for one in stored.rejects} == {("conversation", "cnv_2")}


@pytest.mark.parametrize(
    ("status", "fields", "ours"),
    [
        ("assigned", {}, "open"),
        ("unassigned", {}, "open"),
        ("archived", {}, "done"),
        ("archived", {"scheduled_reminders": [{"scheduled_at": T + DAY}]}, "snoozed"),
        ("archived", {"status_category": "waiting"}, "pending"),
        ("archived", {"status_category": "open"}, "open"),
        ("assigned", {"status_category": "resolved"}, "done"),
        ("assigned", {"status_category": "under review"}, "open"),
    ],
)
def test_a_status_is_ours(company: Company, front: Front, status: str, fields: Row, ours: str) -> None:
    company.chat(status=status, **fields)
    assert only(front, Conversation).status == ours


@pytest.mark.parametrize("fields", [{"is_private": True}, {"type": "discussion"}, {"type": "task"}])
def test_what_is_private_or_internal_is_left_out(company: Company, front: Front, fields: Row, stored: Stored) -> None:
    company.chat(**fields)
    stored.pull(front)
    company.happen("tag", T + 50)
    stored.pull(front)
    assert not stored.records
    assert not [one for one in company.asked if "/messages" in one]


def test_a_private_copy_of_a_mail_counts_once(company: Company, front: Front) -> None:
    company.chat("cnv_1", T)
    company.chat("cnv_2", T + 1, is_private=True)
    for name in ("cnv_1", "cnv_2"):
        company.messages[name][0]["message_uid"] = "same"
    assert [one.id for one in pulled(front, Conversation)] == ["cnv_1"]


def test_all_statuses_but_trash_are_asked_for(company: Company, front: Front) -> None:
    company.chat("cnv_1", status="archived")
    company.chat("cnv_2", T + 1, status="assigned")
    company.chat("cnv_3", T + 2, status="deleted")
    company.happen("trash", T + 3, "cnv_3")
    company.events.append({**company.happen("tag", T + DAY, "cnv_1"), "id": "evt_late"})
    assert {one.id for one in pulled(front, Conversation)} == {"cnv_1", "cnv_2"}


# --- messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("author", "ours", "kind"),
    [
        (teammate("robin"), "human", "message"),
        (None, "automation", "message"),
        (teammate("helper", "ai"), "bot", "message"),
        (teammate("x", "api"), "integration", "message"),
        (teammate("x", "application"), "integration", "message"),
        (teammate("x", "integration"), "integration", "message"),
        (teammate("x", "rule"), "automation", "message"),
        (teammate("x", "macro"), "automation", "message"),
        (teammate("x", "bulk_reply"), "automation", "campaign"),
        (teammate("x", "csat"), "automation", "survey"),
        (teammate("x", "smart_csat"), "automation", "survey"),
        (teammate("x", "oracle"), "unknown", "message"),
    ],
)
def test_only_a_person_is_human(company: Company, front: Front, author: Row | None, ours: str, kind: str) -> None:
    company.chat()
    found = message(front, company.say("cnv_1", T + 5, author, inbound=False))
    assert (found.author, found.kind) == (ours, kind)
    assert found.author_id == (author["id"] if author and ours in ("human", "bot") else None)


def test_what_comes_in_is_the_customers_whoever_is_named(company: Company, front: Front) -> None:
    company.chat()
    found = message(front, company.say("cnv_1", T + 5, teammate("robin")))
    assert (found.author, found.author_id) == ("customer", "crd_1")


def test_a_sender_without_a_contact_is_nobody_and_no_address_is_kept(company: Company, front: Front) -> None:
    company.chat(recipient=sender(None))
    company.messages["cnv_1"][0]["recipients"] = [sender(None), {**sender("crd_9"), "role": "to"}]
    assert only(front, Message).author_id is None
    assert only(front, Conversation).contact is None
    assert "customer.example" not in repr(list(front.pull("conversations", None, lambda *_: False)))


def test_a_draft_is_no_message(company: Company, front: Front) -> None:
    company.chat()
    company.say("cnv_1", T + 5, teammate("robin"), inbound=False, draft_mode="shared")
    company.say("cnv_1", T + 6, teammate("robin"), inbound=False, draft_mode="private")
    assert len(pulled(front, Message)) == 1


def test_what_failed_never_reached_the_customer(company: Company, front: Front) -> None:
    company.chat()
    found = message(front, company.say("cnv_1", T + 5, teammate("robin"), inbound=False, error_type="bounce"))
    assert not found.public


def test_a_forward_answers_nobody_and_an_internal_message_is_a_note(company: Company, front: Front) -> None:
    company.chat()
    forward = company.say("cnv_1", T + 5, teammate("robin"), inbound=False, metadata={"is_forward": True})
    inner = company.say("cnv_1", T + 6, teammate("robin"), inbound=False, type="internal")
    assert message(front, forward).kind == "activity"
    assert (message(front, inner).kind, message(front, inner).public) == ("note", False)


def test_a_message_told_a_day_late_was_imported(company: Company, front: Front) -> None:
    company.chat(at=T)
    old = company.say("cnv_1", T - 30 * DAY, arrived=T + 10)
    slow = company.say("cnv_1", T + 20, arrived=T + HOUR)
    assert message(front, old).kind == "imported"
    assert message(front, slow).kind == "message"
    assert only(front, Conversation).created_at == ms(T - 30 * DAY)


def test_a_call_that_was_taken_is_answered_at_once(company: Company, front: Front) -> None:
    company.chat()
    call = {"type": "call", "metadata": {"have_been_answered": True, "duration": 189}}
    taken = company.say("cnv_1", T + 5, teammate("robin"), **call)
    missed = company.say("cnv_1", T + 9, **call | {"metadata": {"have_been_answered": False}})
    found = {one.id: (one.author, one.author_id, one.at) for one in pulled(front, Message)}
    assert found[taken["id"]] == ("customer", "crd_1", ms(T + 5))
    assert found[f"{taken['id']}:taken"] == ("human", "tea_robin", ms(T + 5))
    assert f"{missed['id']}:taken" not in found


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        ("email", "email"), ("sms", "sms"), ("tweet_dm", "x"), ("facebook", "facebook"), ("front_chat", "live_chat"),
        ("phone-call", "phone"), ("yalo_wha", "whatsapp"), ("googleplay", "other"), ("smoke", "other"),
    ],
)  # fmt: skip
def test_the_channel_is_that_of_the_first_message(company: Company, front: Front, kind: str, ours: str) -> None:
    company.chat()
    company.messages["cnv_1"][0]["type"] = kind
    assert only(front, Channel) == Channel(kind, ours)
    assert only(front, Conversation).channel == kind


def test_length_is_of_the_words_without_markup(company: Company, front: Front) -> None:
    company.chat()
    company.messages["cnv_1"][0] |= {"text": None, "body": "<p>Caf&eacute; <b>now</b></p>"}
    assert only(front, Message).length == len("Café now")


def test_comments_are_notes_and_asked_for_only_where_there_are_some(company: Company, front: Front) -> None:
    company.chat("cnv_1")
    company.chat("cnv_2", T + 1)
    company.comment(T + 60, "Ask the warehouse.", teammate("noor"))
    company.comment(T + 61, "[deskpulse] slow first reply")
    first, second = (one for one in pulled(front, Message) if one.kind == "note")
    assert {first.body: first, second.body: second}["Ask the warehouse."].author_id == "tea_noor"
    assert [(one.own, one.public) for one in sorted((first, second), key=lambda one: one.at)] == [
        (False, False),
        (True, False),
    ]
    assert not [one for one in company.asked if one == "/conversations/cnv_2/comments"]


# --- history ---------------------------------------------------------------------------------------------------------


def test_an_archive_is_a_resolution_by_whoever_did_it(company: Company, front: Front) -> None:
    company.chat(status="archived")
    company.happen("archive", T + 100.25, source=by("noor"))
    assert statuses(front) == [("done", 100.25, "tea_noor")]


def test_a_rule_that_archives_is_no_person(company: Company, front: Front) -> None:
    company.chat(status="archived")
    company.happen("archive", T + 100, source=RULE)
    assert statuses(front) == [("done", 100, "rul_1")]
    assert Agent("rul_1", "Send to support", "automation") in pulled(front, Agent)


def test_an_archive_by_a_token_has_an_integration_behind_it_or_nobody(company: Company, front: Front) -> None:
    company.chat(status="archived")
    company.happen("archive", T + 100, source=("api", {"id": "tok_1", "name": "Nightly"}))
    company.happen("reopen", T + 200, source=("api", None))
    company.happen("archive", T + 300, source=("gmail", {"id": "cha_1"}))
    assert statuses(front) == [("done", 100, "tok_1"), ("open", 200, None), ("done", 300, None)]
    assert Agent("tok_1", "Nightly", "integration") in pulled(front, Agent)


def test_a_customers_message_opens_what_was_archived_though_no_event_says_so(company: Company, front: Front) -> None:
    company.chat(status="archived")
    company.happen("archive", T + 100, source=by("robin"))
    company.say("cnv_1", T + 200)
    company.happen("archive", T + 300, source=by("robin"))
    assert statuses(front) == [("done", 100, "tea_robin"), ("open", 200, None), ("done", 300, "tea_robin")]


def test_send_and_archive_then_a_reopening_rule_is_one_reopening(company: Company, front: Front) -> None:
    company.chat(status="unassigned")
    company.say("cnv_1", T + 99, teammate("robin"), inbound=False)
    company.happen("archive", T + 100, source=by("robin"))
    company.say("cnv_1", T + 200)
    company.happen("reopen", T + 200.02, source=RULE)
    assert statuses(front) == [("done", 100, "tea_robin"), ("open", 200, None)]


def test_an_archive_that_a_reminder_ends_was_a_snooze(company: Company, front: Front) -> None:
    company.chat(status="archived")
    company.happen("archive", T + 100, source=by("robin"))
    company.happen("reminder", T + HOUR, source=("reminder", None))
    company.happen("archive", T + 2 * HOUR, source=by("robin"))
    assert statuses(front) == [("snoozed", 100, "tea_robin"), ("open", HOUR, None), ("done", 2 * HOUR, "tea_robin")]


def test_a_reminder_long_after_a_customers_message_makes_no_snooze_of_an_archive(
    company: Company, front: Front
) -> None:
    company.chat(status="unassigned")
    company.happen("archive", T + 100, source=by("robin"))
    company.say("cnv_1", T + 200)
    company.happen("reminder", T + HOUR)
    assert statuses(front) == [("done", 100, "tea_robin"), ("open", 200, None)]


def test_an_archive_with_a_reminder_to_come_is_a_snooze_until_that_is_taken_away(
    company: Company, front: Front
) -> None:
    chat = company.chat(status="archived", scheduled_reminders=[{"scheduled_at": T + DAY}])
    company.happen("archive", T + 100, source=by("robin"))
    assert statuses(front) == [("snoozed", 100, "tea_robin")]
    chat["scheduled_reminders"] = []
    assert statuses(front) == [("done", 100, "tea_robin")]


def test_where_events_are_missing_the_snapshot_ends_the_history(company: Company, front: Front) -> None:
    company.chat(status="archived")
    company.say("cnv_1", T + 50, teammate("robin"), inbound=False)
    company.events.clear()
    assert statuses(front) == [("done", 50.001, None)]


def test_a_stale_end_of_the_history_is_overwritten(company: Company, front: Front, stored: Stored) -> None:
    chat = company.chat(status="archived")
    stored.pull(front)
    assert stored.records[Event, "cnv_1:now"].value == "done"
    chat["status"] = "assigned"
    company.say("cnv_1", T + 500)
    stored.pull(front)
    assert stored.records[Event, "cnv_1:now"][2:6] == (ms(T + 500) + 1, "status", "open", "open")


def test_with_ticketing_the_last_change_of_status_is_dated(company: Company, front: Front, stored: Stored) -> None:
    chat = company.chat(status="assigned", status_category="waiting")
    first = company.happen("ticket_status_update", T + 100, source=by("robin"))
    stored.pull(front)
    chat["status_category"] = "resolved"
    second = company.happen("ticket_status_update", T + 200, source=by("noor"))
    stored.pull(front)
    told = [(stored.records[Event, one["id"]].value, stored.records[Event, one["id"]].actor) for one in (first, second)]
    assert told == [("pending", "tea_robin"), ("done", "tea_noor")]


def test_assignments_are_told_with_who_made_them(company: Company, front: Front) -> None:
    company.chat(status="unassigned")
    company.happen("assign", T + 1, source=RULE, target=by("robin"))
    company.happen("assign", T + 2, source=by("robin"), target=by("noor"))
    company.happen("unassign", T + 3, source=by("noor"))
    assert owners(front, "assigned") == [(None, "tea_robin"), ("tea_robin", "tea_noor"), ("tea_noor", None)]
    assert [one.actor for one in pulled(front, Event) if one.kind == "assigned"] == ["rul_1", "tea_robin", "tea_noor"]


def test_what_happened_at_the_same_instant_keeps_its_order(company: Company, front: Front) -> None:
    company.chat()
    company.happen("assign", T + 1, source=RULE, target=by("robin"))
    company.happen("assign", T + 1, source=RULE, target=by("noor"))
    assert owners(front, "assigned") == [(None, "tea_robin"), ("tea_robin", "tea_noor")]


def test_events_come_in_the_order_of_the_companys_bump_settings_and_are_put_in_order_of_time(
    company: Company, front: Front
) -> None:
    company.chat(status="archived")
    company.happen("archive", T + 100, source=by("robin"))
    company.say("cnv_1", T + 200)
    company.happen("archive", T + 300, source=by("robin"))
    company.bumped = True
    assert statuses(front) == [("done", 100, "tea_robin"), ("open", 200, None), ("done", 300, "tea_robin")]


def test_a_move_changes_the_team_only_between_teams(company: Company, front: Front) -> None:
    company.chat()
    company.happen("move", T + 10, source=by("robin"), target=boxes(2))
    company.happen("move", T + 20, source=RULE, target=boxes(3))
    assert owners(front, "team") == [("tim_1", "tim_2")]
    found = only(front, Conversation)
    assert (found.inbox, found.team) == ("inb_3", "tim_2")


def test_of_several_inboxes_the_first_shared_one_counts(company: Company, front: Front) -> None:
    company.chat()
    company.events[0]["source"]["data"] = boxes(9, 3, 1)[1]
    assert only(front, Conversation).inbox == "inb_3"


def test_where_no_event_names_the_inbox_it_is_asked_for(company: Company, front: Front) -> None:
    company.chat()
    company.events.clear()
    company.inboxes_of["cnv_1"] = [inbox(9, private=True), inbox(2)]
    assert only(front, Conversation).inbox == "inb_2"


def test_trash_is_a_deletion_with_its_time_and_can_be_taken_back(
    company: Company, front: Front, tmp_path: Path
) -> None:
    """In the real store: what is out of the trash again counts again."""
    chat = company.chat()
    with Store.open(tmp_path / "d.sqlite", demo=False) as store:
        source = store.source("front", "front")

        def sync() -> list[tuple[str, int]]:
            cursor = store.cursor(source, "conversations")
            for page in front.pull("conversations", cursor, lambda c, at: store.seen(source, c, at)):
                store.save(source, "conversations", [page], seen_at=ms(T), history=Front.history, rereads=True)
            rows = store.conn.execute("SELECT kind, at FROM events WHERE kind IN ('deleted', 'spam', 'merged')")
            return [tuple(row) for row in rows]

        assert sync() == []
        chat["status"] = "deleted"
        company.happen("trash", T + 60, source=by("robin"))
        assert sync() == [("deleted", ms(T + 60))]
        chat["status"] = "unassigned"
        company.happen("restore", T + 90, source=by("robin"))
        assert sync() == []


def test_a_merge_tells_which_conversation_goes_on(company: Company, front: Front, stored: Stored) -> None:
    company.chat("cnv_1")
    company.chat("cnv_2", T + 10)
    stored.pull(front)
    company.happen("tag", T + 59, "cnv_2")
    del company.chats["cnv_2"]
    company.happen("conversations_merged", T + 60, "cnv_1", by("noor"), ("deleted_conversation_ids", ["cnv_2"]))
    stored.pull(front)
    merged = stored.records[Event, "cnv_2:merged"]
    assert merged == Event("cnv_2:merged", "cnv_2", ms(T + 60), "merged", "cnv_1", None, "tea_noor")
    assert "/conversations/cnv_2" not in company.asked


def test_a_merge_is_told_though_the_conversation_that_goes_on_was_read_after_it(
    company: Company, front: Front, stored: Stored
) -> None:
    """During the first walk: the one that goes on is on the second page and knows of the merge already."""
    many(company, 130)

    def merge() -> None:
        company.during = None
        del company.chats["cnv_129"]
        to = ("deleted_conversation_ids", ["cnv_129"])
        before = company.chats["cnv_1"]["updated_at"]
        company.happen("conversations_merged", T + 20_000, "cnv_1", by("noor"), to)
        company.chats["cnv_1"]["updated_at"] = before

    company.during = lambda: setattr(company, "during", merge)
    stored.pull(front)
    assert (Conversation, "cnv_1") in stored.records
    assert stored.records[Event, "cnv_129:merged"].value == "cnv_1"


def test_who_resolved_it_is_kept_in_the_store(company: Company, front: Front, tmp_path: Path) -> None:
    """The end of the history is older in the store than the event that told who did it."""
    chat = company.chat(status="assigned", assignee=teammate("robin"))
    config = Config(Path("deskpulse.toml"), tmp_path / "d.sqlite")
    with Store.open(tmp_path / "d.sqlite", demo=False) as store:
        source = store.source("front", "front")
        for status in ("assigned", "archived"):
            if status == "archived":
                chat["status"] = status
                company.happen("archive", T + 600, source=by("noor"))
            for page in front.pull("conversations", store.cursor(source, "conversations"), lambda *_: False):
                store.save(source, "conversations", [page], seen_at=ms(T), history=Front.history, rereads=True)
        facts.refresh(store.conn, config)
        sql = "SELECT a.vendor_id, f.first_done_at FROM fact_conversations f JOIN agents a ON a.id = f.solver_id"
        assert [tuple(row) for row in store.conn.execute(sql)] == [("tea_noor", ms(T + 600))]


def test_merged_conversations_may_be_told_as_objects(company: Company, front: Front, stored: Stored) -> None:
    company.chat("cnv_1")
    stored.pull(front)
    company.happen("conversations_merged", T + 60, "cnv_1", None, ("deleted_conversation_ids", [{"id": "cnv_2"}]))
    stored.pull(front)
    assert stored.records[Event, "cnv_2:merged"].value == "cnv_1"


# --- reread ----------------------------------------------------------------------------------------------------------


def reread(front: Front, *ids: str, seen: Any = lambda *_: False) -> list[Any]:
    return [record for page in front.reread(ids, seen) for record in page.records]


def test_what_is_not_found_is_gone(company: Company, front: Front) -> None:
    assert reread(front, "cnv_404") == [Event("cnv_404:deleted", "cnv_404", None, "deleted")]


def test_a_redirect_to_another_conversation_is_a_merge(company: Company, front: Front) -> None:
    company.chat("cnv_1")
    company.answers["/conversations/cnv_2"] = httpx.Response(301, headers={"location": "/conversations/cnv_1"})
    found = reread(front, "cnv_2")
    assert Event("cnv_2:merged", "cnv_2", None, "merged", "cnv_1") in found


def test_a_redirect_to_the_companys_own_address_is_gone_and_the_token_stays_here(
    company: Company, front: Front
) -> None:
    """Not followed: only Front's API gets the token. Neither does it stop the others from being read."""
    company.chat("cnv_1")
    elsewhere = {"location": f"{COMPANY}/conversations/cnv_1"}
    company.answers["/conversations/cnv_2"] = httpx.Response(301, headers=elsewhere)
    found = reread(front, "cnv_2", "cnv_1")
    assert Event("cnv_2:deleted", "cnv_2", None, "deleted") in found
    assert [one.id for one in found if isinstance(one, Conversation)] == ["cnv_1"]


def test_what_became_private_is_out_of_sight(company: Company, front: Front) -> None:
    company.chat(is_private=True)
    assert reread(front, "cnv_1") == [Event("cnv_1:deleted", "cnv_1", None, "deleted")]


def test_an_unchanged_conversation_costs_one_request(company: Company, front: Front, stored: Stored) -> None:
    company.chat()
    stored.pull(front)
    company.asked.clear()
    assert reread(front, "cnv_1", seen=stored.seen) == []
    assert company.asked == ["/conversations/cnv_1"]


def test_without_a_version_it_is_read_whole(company: Company, front: Front, stored: Stored) -> None:
    company.chat()["updated_at"] = None
    stored.pull(front)
    assert stored.records[Conversation, "cnv_1"].changed_at is None
    assert reread(front, "cnv_1", seen=stored.seen)


# --- the walk --------------------------------------------------------------------------------------------------------


def many(company: Company, count: int) -> set[str]:
    for number in range(count):
        company.chat(f"cnv_{number}", T + number * 100)
    return set(company.chats)


def test_lists_longer_than_a_page_come_whole(company: Company, front: Front, stored: Stored) -> None:
    """More conversations, messages and events than any page holds."""
    wanted = many(company, 130)
    for number in range(250):
        company.say("cnv_7", T + 20_000 + number)
    stored.pull(front)
    assert {one.id for one in stored.all(Conversation)} == wanted
    assert len(stored.all(Message)) == 130 + 250
    assert not stored.rejects


def test_the_feed_is_read_oldest_first_to_its_end(company: Company, front: Front, stored: Stored) -> None:
    wanted = many(company, 40)
    stored.pull(front)
    for name in sorted(wanted):
        company.happen("tag", T + 10_000 + int(name[4:]), name)
    company.asked.clear()
    stored.pull(front)
    assert "sort_order=asc" in company.asked[0]
    assert {one.split("/")[2] for one in company.asked if one.endswith("/events")} == wanted
    assert stored.cursors["conversations"]["since"] == ms(T + 10_039)


def test_a_second_run_asks_for_nothing_but_what_is_new(company: Company, front: Front, stored: Stored) -> None:
    many(company, 20)
    stored.pull(front)
    before, company.asked = dict(stored.records), []
    stored.pull(front)
    assert stored.records == before
    assert {one.partition("?")[0] for one in company.asked} == {"/events"}
    company.say("cnv_3", T + 5000)
    company.asked.clear()
    stored.pull(front)
    assert {one.partition("?")[0] for one in company.asked} == {
        "/events", "/conversations/cnv_3", "/conversations/cnv_3/events", "/conversations/cnv_3/messages",
    }  # fmt: skip


def test_a_busy_conversation_is_read_once_a_run(company: Company, front: Front, stored: Stored) -> None:
    many(company, 2)
    stored.pull(front)
    for number in range(40):
        company.happen("tag", T + 10_000 + number, "cnv_1")
    company.asked.clear()
    stored.pull(front)
    assert company.asked.count("/conversations/cnv_1") == 1


def test_an_event_listed_late_is_not_missed(company: Company, front: Front, stored: Stored) -> None:
    """It happened before the newest one that was seen, and came into the list after it."""
    many(company, 3)
    stored.pull(front)
    company.chats["cnv_0"]["tags"] = [tag(1, "vip")]
    company.happen("tag", T + 199, "cnv_0")
    stored.pull(front)
    assert stored.records[Conversation, "cnv_0"].tags == ("vip",)


def test_a_conversation_that_moves_during_the_walk_is_read_again(
    company: Company, front: Front, stored: Stored
) -> None:
    """The last of the list is answered while the first page is read: it rises to where we were already."""
    many(company, 130)

    def answer() -> None:
        company.during = None
        company.say("cnv_0", T + 50_000, teammate("robin"), inbound=False)

    company.during = lambda: setattr(company, "during", answer)
    stored.pull(front)
    assert len([one for one in stored.all(Message) if one.conversation == "cnv_0"]) == 2
    assert len(stored.all(Conversation)) == 130


def test_events_during_the_walk_are_not_lost_when_the_walk_takes_days(
    company: Company, front: Front, stored: Stored
) -> None:
    many(company, 130)
    stored.pull(front, most=12)  # the first page of the list is done
    assert "list" in stored.cursors["conversations"]
    for number in range(60):
        company.happen("assign", T + DAY + number * HOUR, f"cnv_{number}", by("noor"), by("robin"))
        company.chats[f"cnv_{number}"]["assignee"] = teammate("robin")
    stored.pull(front)
    held = {one.id for one in stored.all(Conversation) if one.agent == "tea_robin"}
    assert held == {f"cnv_{number}" for number in range(60)}


def test_a_walk_cut_off_anywhere_loses_nothing(company: Company, front: Front) -> None:
    wanted = many(company, 12)
    for cut in range(0, 27, 2):
        stored, company.asked, company.down_after = Stored(), [], cut
        with pytest.raises(Transient):
            stored.pull(front)
        company.down_after = None
        stored.pull(front)
        assert {one.id for one in stored.all(Conversation)} == wanted, cut
        assert len(stored.all(Message)) == 12


def test_a_place_in_the_list_that_has_expired_costs_no_second_reading(
    company: Company, front: Front, stored: Stored
) -> None:
    wanted = many(company, 130)
    stored.pull(front, most=11)
    company.expired = set(company.tokens)
    company.asked.clear()
    stored.pull(front)
    assert {one.id for one in stored.all(Conversation)} == wanted
    assert len([one for one in company.asked if "/messages" in one]) == 30


def test_places_that_expire_at_once_end_the_walk_and_keep_what_came(
    company: Company, front: Front, stored: Stored
) -> None:
    many(company, 130)
    company.expired = {"t2"}
    with pytest.raises(Rejected):
        stored.pull(front)
    assert len(stored.all(Conversation)) == 100
    assert len(company.asked) < 250
    stored.pull(front)
    assert len(stored.all(Conversation)) == 130


def test_a_feed_that_is_not_in_order_moves_the_cursor_only_at_its_end(
    company: Company, front: Front, stored: Stored
) -> None:
    many(company, 40)
    stored.pull(front)
    since = stored.cursors["conversations"]["since"]
    for number in range(40):
        company.happen("tag", T + 10_000 + number * HOUR, f"cnv_{number}")
    company.disorder = True
    pages = stored.pull(front, most=2)
    assert [page.cursor["since"] for page in pages if page.cursor] == [since, since]
    company.asked.clear()
    stored.pull(front)
    assert stored.cursors["conversations"]["since"] == ms(T + 10_000 + 39 * HOUR)
    read = {one.split("/")[2] for one in company.asked if one.endswith("/events")}
    assert len(read) == 40 - 30, "what the first two pages told was not read again"


def test_a_list_without_an_end_is_noticed(company: Company, front: Front) -> None:
    many(company, 130)
    company.loops = True
    with pytest.raises(BadPayload, match="twice"):
        list(front.pull("conversations", None, lambda *_: False))


def test_a_conversation_that_vanishes_between_its_event_and_its_reading_is_gone(
    company: Company, front: Front, stored: Stored
) -> None:
    many(company, 2)
    stored.pull(front)
    company.happen("tag", T + 900, "cnv_1")
    del company.chats["cnv_1"]
    stored.pull(front)
    assert stored.records[Event, "cnv_1:deleted"].at is None


def test_what_changes_nothing_is_not_read_for(company: Company, front: Front, stored: Stored) -> None:
    many(company, 2)
    stored.pull(front)
    company.asked.clear()
    company.happen("link_added", T + 900, "cnv_1")
    company.happen("custom_field_updated", T + 901, "cnv_1")
    stored.pull(front)
    assert {one.partition("?")[0] for one in company.asked} == {"/events"}


@pytest.mark.parametrize("said", [{"_error": {"message": "later"}}, {"_results": None}, []])
def test_an_answer_without_a_list_moves_no_cursor(company: Company, front: Front, stored: Stored, said: Any) -> None:
    company.answers["/events"] = httpx.Response(200, json=said)
    with pytest.raises(BadPayload, match="no list"):
        stored.pull(front)
    assert not stored.cursors


def test_an_empty_company_is_no_error(company: Company, front: Front, stored: Stored) -> None:
    stored.pull(front)
    assert not stored.records
    company.chat()
    stored.pull(front)
    assert [one.id for one in stored.all(Conversation)] == ["cnv_1"]


def test_there_are_no_ratings_rather_than_surveys_that_nobody_answers(company: Company, front: Front) -> None:
    company.chat()
    company.say("cnv_1", T + 5, teammate("x", "csat"), inbound=False)
    assert pulled(front, Rating) == []


def test_too_many_requests_are_waited_for(company: Company, front: Front, clock: Clock) -> None:
    company.chat()
    company.answers["/me"] = httpx.Response(429, headers={"retry-after": "37", "x-ratelimit-remaining": "0"})
    with pytest.raises(Transient):
        list(front.probe())
    assert clock.passed >= 37


def test_a_first_backfill_takes_as_long_as_the_readme_says(
    company: Company, front: Front, clock: Clock, stored: Stored
) -> None:
    """Two and a half requests a conversation where every other one has comments: 25 hours for 10,000."""
    many(company, 200)
    for number in range(0, 200, 2):
        company.comment(T + 30_000, "A note", None, f"cnv_{number}")
    stored.pull(front)
    hours_for_10_000 = clock.passed / 200 * 10_000 / HOUR
    assert 25 / 1.25 < hours_for_10_000 < 25 * 1.25


# --- push ------------------------------------------------------------------------------------------------------------


def test_a_tag_is_added_to_the_others(company: Company, front: Front) -> None:
    company.chat(tags=[tag(1, "vip")])
    change = front.add_tag("cnv_1", "refund")
    assert change == (("vip",), ("refund", "vip"))
    assert company.sent == [("POST", "/conversations/cnv_1/tags", {"tag_ids": ["tag_2"]})]
    assert front.remove_tag("cnv_1", "refund") == (("refund", "vip"), ("vip",))
    assert front.tags("cnv_1") == ("vip",)


def test_a_tag_is_made_once(company: Company, front: Front) -> None:
    company.chat("cnv_1")
    company.chat("cnv_2", T + 1)
    for name in ("cnv_1", "cnv_2", "cnv_1"):
        front.add_tag(name, "deskpulse-slow")
    assert [path for _, path, _ in company.sent].count("/tags") == 1
    assert [one["name"] for one in company.lists["tags"]].count("deskpulse-slow") == 1
    assert front.tags("cnv_2") == ("deskpulse-slow",)


def test_a_tag_beyond_the_first_page_of_tags_is_found(company: Company, front: Front) -> None:
    company.chat()
    company.lists["tags"] = [tag(number, f"t{number}") for number in range(240)]
    assert front.add_tag("cnv_1", "t239").after == ("t239",)
    assert "/tags" not in [path for _, path, _ in company.sent]


def test_somebodys_own_tag_of_that_name_is_not_used(company: Company, front: Front) -> None:
    company.chat()
    company.lists["tags"].append(tag(3, "deskpulse-slow", private=True))
    front.add_tag("cnv_1", "deskpulse-slow")
    assert company.sent[-1][2] == {"tag_ids": ["tag_4"]}


def test_a_tag_that_is_there_or_not_there_costs_no_write(company: Company, front: Front) -> None:
    company.chat(tags=[tag(1, "vip")])
    assert front.add_tag("cnv_1", "vip") == (("vip",), ("vip",))
    assert front.remove_tag("cnv_1", "other") == (("vip",), ("vip",))
    assert company.sent == []


def test_a_tag_that_does_not_read_back_is_told(company: Company, front: Front) -> None:
    company.chat(tags=[tag(1, "vip")])
    company.on_tag = lambda ids: []
    with pytest.raises(Rejected, match="by hand"):
        front.add_tag("cnv_1", "refund")


def test_names_are_as_long_as_front_takes_them() -> None:
    assert len(Front.tag_name(" " + "x" * 80)) == 64


def test_a_note_is_a_comment_and_stays(company: Company, front: Front) -> None:
    company.chat()
    note = front.add_note("cnv_1", "[deskpulse] slow, 3 < 4 & so on")
    assert company.sent == [("POST", "/conversations/cnv_1/comments", {"body": "[deskpulse] slow, 3 < 4 & so on"})]
    assert front.find_note("cnv_1", "[deskpulse] slow, 3 < 4 & so on") == note
    assert front.find_note("cnv_1", "[deskpulse] slow") is None
    with pytest.raises(Rejected, match=r"cannot delete .* by hand"):
        front.remove_note("cnv_1", note)
    company.comments["cnv_1"].clear()
    front.remove_note("cnv_1", note)


def test_no_line_of_it_can_write_to_a_customer() -> None:
    """Every write in the source goes to tags or comments: never to messages, drafts, or a PATCH that replaces."""
    source = (Path(__file__).parents[1] / "adapters" / "front.py").read_text("utf-8")
    writes = [
        [ast.unparse(one) for one in node.args[:2]]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "send"
    ]
    assert sorted(writes) == [
        ["'DELETE'", "f'{_path(conversation)}/tags'"],
        ["'POST'", "'/tags'"],
        ["'POST'", "f'{_path(conversation)}/comments'"],
        ["'POST'", "f'{_path(conversation)}/tags'"],
    ]


# --- doctor ----------------------------------------------------------------------------------------------------------


def found(front: Front) -> dict[str, Finding]:
    return {one.check: one for one in front.probe()}


def test_doctor_tells_the_company_and_what_is_missing(company: Company, front: Front) -> None:
    company.chat()
    company.lists["inboxes"] = [inbox(1)]
    told = found(front)
    assert told["company"].detail == "Lindenfelt"
    assert told["rate limit"][:3] == (
        "rate limit",
        True,
        "50 requests a minute for the whole company; we allow ourselves 17",
    )
    assert told["inboxes"][:3] == ("inboxes", True, "1 readable")
    assert told["ratings"].ok is None
    assert "csat_response_rate" in told["ratings"].detail
    assert {one.check for one in told.values() if one.ok is None} == {"ratings", "opening hours"}


def test_doctor_says_when_more_requests_would_be_fine(company: Company, front: Front) -> None:
    company.limit = "200"
    assert "1.11" in found(front)["rate limit"].remedy
    company.limit = "10"
    assert found(front)["rate limit"].ok is False


@pytest.mark.parametrize("what", ["inboxes", "teammates", "teams", "channels", "events", "conversations"])
def test_doctor_names_what_the_token_may_not_read(company: Company, front: Front, what: str) -> None:
    company.answers[f"/{what}"] = httpx.Response(403, json={"_error": {"status": 403}})
    told = found(front)[what]
    assert told.ok is False
    assert what in told.remedy


def test_doctor_warns_of_a_token_that_sees_too_much(company: Company, front: Front) -> None:
    told = found(front)["scope"]
    assert told.ok is None
    assert "shared resources only" in told.remedy


def test_doctor_warns_of_ticketing_and_of_missing_versions(company: Company, front: Front) -> None:
    company.chat(status_category="open")["updated_at"] = None
    told = found(front)
    assert told["ticketing"].ok is None
    assert told["versions"].ok is None
