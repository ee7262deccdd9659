"""The Zammad adapter, through the real client, against a small desk that answers as Zammad does, quirks and all."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract_case import StandingClock, Walk
from pydantic import ValidationError

from adapters.zammad import Zammad, ZammadSettings
from connector.contract import Finding, Notes, Probes, Pulls, Rereads, TagChange, Tags
from connector.errors import AuthFailed, BadPayload, Rejected, Transient
from connector.http import HttpClient
from connector.models import (
    Agent,
    Channel,
    Contact,
    Conversation,
    Event,
    Inbox,
    Message,
    Schedule,
    Team,
    from_iso,
    to_iso,
)

Row = dict[str, Any]
HOST = "https://desk.example"
TYPES = ("new", "open", "pending reminder", "closed", "merged", "removed", "pending action")
STATES = [{"id": n, "name": f"Zustand {n}", "state_type": word} for n, word in enumerate(TYPES, 1)]
NEW, OPEN, REMINDER, CLOSED, MERGED, REMOVED, ACTION = range(1, 8)
ROBIN: Row = {"id": 3, "login": "robin@desk.example", "firstname": "Robin", "lastname": "Jansen"}
MIRA: Row = {"id": 4, "login": "mira@desk.example", "firstname": "Mira", "lastname": "Okafor"}
ADA: Row = {"id": 7, "login": "ada@shop.example", "firstname": "Ada", "lastname": "Verhoef"}
DAY: Row = {"active": True, "timeframes": [["09:00", "17:00"]]}
OFFICE: Row = {"id": 1, "timezone": "Europe/Berlin", "default": True, "business_hours": {"mon": DAY}}


def day(clock: str) -> str:
    return f"2026-03-02T{clock}Z"


def at(clock: str) -> int:
    return from_iso(day(clock))


class Desk:
    """Zammad's side. ``after`` is called with each request that was answered, to move things while somebody reads."""

    def __init__(self) -> None:
        self.tickets: list[Row] = []
        self.said: dict[int, list[Row]] = {}
        self.changes: dict[int, list[Row]] = {}
        self.tags: dict[int, list[str]] = {}
        groups = [{"id": 1, "name": "Orders", "active": True}, {"id": 2, "name": "Service", "active": True}]
        self.lists: dict[str, list[Row]] = {"groups": groups, "users/search": [ROBIN, MIRA], "ticket_states": STATES}
        self.lists |= {"calendars": [OFFICE], "slas": []}
        self.me: Row = {"id": 9, "login": "pulse@desk.example", "groups": {"Orders": ["full"], "Service": ["full"]}}
        self.hidden: set[int] = set()
        self.asked: list[str] = []
        self.sent: list[tuple[str, str, Any]] = []
        self.mailed: list[Row] = []
        self.after: Callable[[str], None] = lambda path: None
        self.on_note: Callable[[Row], None] = lambda article: None
        self.on_tags: Callable[[list[str]], list[str]] = lambda tags: tags
        self.most, self.window, self.heeds, self.pages = 100, 10_000, True, True
        self.stands_at: dict[int, str] = {}
        self.now: str | None = "Mon, 02 Mar 2026 12:05:00 GMT"
        self.number = 900

    # what a test changes

    def ticket(self, number: int = 5, clock: str = "10:00:00.000", **fields: Any) -> Row:
        row = {"id": number, "group_id": 1, "group": "Orders", "state_id": NEW, "owner_id": 1, "owner": "-"}
        row |= {"customer_id": 7, "customer": "ada@shop.example", "close_at": None, "preferences": {}}
        self.tickets.append(row | {"created_at": day("10:00:00.000"), "updated_at": day(clock)} | fields)
        return self.tickets[-1]

    def many(self, count: int, first: int = 100, gap_ms: int = 60_000, start: str = "00:00:00.000") -> None:
        begins = at(start)
        for n in range(count):
            stamp = to_iso(begins + n * gap_ms)
            self.ticket(first + n, created_at=stamp, updated_at=stamp)

    def touch(self, number: int, stamp: str) -> None:
        next(row for row in self.tickets if row["id"] == number)["updated_at"] = stamp

    def say(self, sender: str = "Customer", kind: str = "email", ticket: int = 5, **fields: Any) -> Row:
        self.number += 1
        by = {"Customer": 7, "Agent": 3}.get(sender, 1)
        row = {"id": self.number, "ticket_id": ticket, "type": kind, "sender": sender, "internal": False}
        row |= {"body": "Hello", "content_type": "text/plain", "created_by_id": by, "origin_by_id": None}
        row |= {"created_at": day("10:00:00.000"), "preferences": {}}
        self.said.setdefault(ticket, []).append(row | fields)
        return self.said[ticket][-1]

    def change(self, attribute: str | None, was: int | None, now: int | None, clock: str, **fields: Any) -> Row:
        self.number += 1
        row = {"id": self.number, "object": "Ticket", "o_id": 5, "type": "updated", "attribute": attribute}
        row |= {"id_from": was, "id_to": now, "created_by_id": 3, "created_at": day(clock)} | fields
        self.changes.setdefault(row["o_id"], []).append(row)
        return row

    # answering

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Token token=canary-token"
        path, query = request.url.path.removeprefix("/api/v1/"), request.url.params
        self.asked.append(f"{path}?{request.url.query.decode()}".rstrip("?"))
        if request.method != "GET":
            return self._ok(self._write(request.method, path, json.loads(request.content or b"null")))
        told = self._read(path, query)
        self.after(self.asked[-1])
        return told if isinstance(told, httpx.Response) else self._ok(told)

    def _ok(self, told: Any) -> httpx.Response:
        return httpx.Response(200, json=told, headers={"Date": self.now} if self.now else {})

    def _read(self, path: str, query: httpx.QueryParams) -> Any:
        if path == "tickets/search":
            return self._found(query)
        if found := re.fullmatch(r"(tickets|ticket_articles/by_ticket|ticket_history|ticket_articles)/(\d+)", path):
            return self._one(found[1], int(found[2]))
        if path == "tags":
            return {"tags": self.tags.get(int(query["o_id"]), [])}
        if path == "users/me":
            return self.me
        if path in self.lists:
            return self._sheet(self.lists[path], query)
        return httpx.Response(403, json={"error": "Not authorized"})

    def _one(self, what: str, number: int) -> Any:
        if what == "ticket_articles":
            found = [row for rows in self.said.values() for row in rows if row["id"] == number]
            return found[0] if found else httpx.Response(404, json={})
        ticket = next((row for row in self.tickets if row["id"] == number), None)
        if number in self.hidden or ticket is None:
            return httpx.Response(403 if number in self.hidden else 404, json={"error": "Not authorized"})
        if what == "tickets":
            return ticket
        if what == "ticket_history":
            users = {str(one["id"]): one for one in (ROBIN, MIRA, ADA, {"id": 1, "login": "-"})}
            return {"history": self.changes.get(number, []), "assets": {"User": users}}
        return self.said.get(number, [])

    def _found(self, query: httpx.QueryParams) -> Any:
        """The database's answer. Rows stand by the time that the listing knows, and are told as they are now."""
        assert "query" not in query, "with a query, Elasticsearch would be asked"
        assert query["condition[ticket.updated_at][operator]"] == "after (absolute)"
        since = query["condition[ticket.updated_at][value]"] if self.heeds else ""
        rows = [row for row in self.tickets if row["id"] not in self.hidden and self._stands(row) >= since]
        rows.sort(key=self._stands, reverse=query["order_by"] == "desc")
        return self._sheet(rows, query)

    def _stands(self, row: Row) -> str:
        return self.stands_at.get(row["id"], row["updated_at"])

    def _sheet(self, rows: list[Row], query: httpx.QueryParams) -> Any:
        size, page = min(int(query["per_page"]), self.most), int(query["page"]) if self.pages else 1
        if page * size > self.window:
            return []  # what Elasticsearch's refusal used to become
        return rows[(page - 1) * size : page * size]

    def _write(self, method: str, path: str, body: Any) -> Any:
        self.sent.append((method, path, body))
        if path.startswith("tags/"):
            tags = self.tags.setdefault(body["o_id"], [])
            changed = [*tags, body["item"]] if path == "tags/add" else [one for one in tags if one != body["item"]]
            self.tags[body["o_id"]] = self.on_tags(changed)
            return True
        if method == "DELETE":
            for rows in self.said.values():
                rows[:] = [row for row in rows if row["id"] != int(path.split("/")[1])]
            return {}
        article = self.say(ticket=body["ticket_id"], **body | {"created_by_id": 9})
        article["created_at"] = day("12:00:00.000")
        if article["type"] == "email":
            self.mailed.append(article)
        self.on_note(article)
        return {"id": article["id"]}


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def connect(desk: Desk) -> Iterator[Callable[..., Zammad]]:
    clients: list[HttpClient] = []

    def connected(**settings: Any) -> Zammad:
        given = ZammadSettings(**{"url": HOST, "token": "canary-token", **settings})
        transport = httpx.MockTransport(desk)
        clients.append(
            HttpClient(Zammad.service(given), StandingClock(), name="zammad", demo=False, transport=transport)
        )
        return Zammad(given, clients[-1])

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def zammad(connect: Callable[..., Zammad]) -> Zammad:
    return connect()


def pulled(adapter: Zammad, kind: type[Any]) -> list[Any]:
    walk = Walk(adapter)
    walk.on()
    return walk.records(kind)


def listed(adapter: Zammad, cursor: Any = None) -> tuple[list[str], Any]:
    """The tickets that a walk comes by, with the cursor it ends with; no ticket is read."""
    ids: list[str] = []
    for page in adapter.pull("conversations", cursor, lambda one, _: not ids.append(one)):
        cursor = page.cursor or cursor
    return ids, cursor


def events(adapter: Zammad, *kinds: str) -> list[tuple[Any, ...]]:
    return [(e.kind, e.at, e.was, e.value, e.actor) for e in pulled(adapter, Event) if e.kind in kinds]


# --- settings --------------------------------------------------------------------------------------------------------


def test_it_pulls_rereads_tags_notes_and_probes(zammad: Zammad) -> None:
    for capability in (Pulls, Rereads, Tags, Notes, Probes):
        assert isinstance(zammad, capability)


@pytest.mark.parametrize("wrong", [{"url": "desk.example"}, {"requests_per_second": 0}, {"spam_tag": ""}])
def test_a_wrong_setting_is_refused(wrong: Row) -> None:
    with pytest.raises(ValidationError):
        ZammadSettings(**{"url": HOST, "token": "t", **wrong})


@pytest.mark.parametrize("tail", ["", "/", "/#ticket/zoom/5", "/#dashboard", "/api/v1/tickets", "/?x=1"])
def test_an_address_copied_from_the_browser_will_do(tail: str) -> None:
    assert ZammadSettings(token="t", url=HOST + tail).url == HOST


def test_a_small_server_is_asked_by_two_at_once() -> None:
    service = Zammad.service(ZammadSettings(url=HOST, token="t", requests_per_second=1.5))
    assert (service.per_second, service.at_once) == (1.5, 2)
    assert Zammad.service(ZammadSettings(url=HOST, token="t")).per_second == 5


# --- the walk --------------------------------------------------------------------------------------------------------


def test_more_than_ten_thousand_tickets_are_crossed_without_loss(desk: Desk, zammad: Zammad) -> None:
    """No search gives more than 10,000 rows, and says nothing when it stops."""
    desk.many(10_250, gap_ms=1000)
    ids, _ = listed(zammad)
    assert len(set(ids)) == 10_250
    assert max(int(re.search(r"&page=(\d+)", path)[1]) for path in desk.asked if "search" in path) < 50


@pytest.mark.parametrize("most", [1, 7, 50])
def test_a_server_that_gives_fewer_a_page_than_asked_is_read_to_the_end(desk: Desk, zammad: Zammad, most: int) -> None:
    desk.many(120)
    desk.most = most
    assert len(set(listed(zammad)[0])) == 120


def test_tickets_changed_at_the_same_instant_are_all_read(desk: Desk, zammad: Zammad) -> None:
    desk.many(250, gap_ms=0)
    desk.many(30, first=1000, start="12:00:00.000")
    assert len(set(listed(zammad)[0])) == 280


def test_it_asks_for_what_changed_since_and_reads_nothing_twice(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(5, "10:00:00.000")
    desk.ticket(6, "13:00:00.031")
    desk.say()
    walk = Walk(zammad)
    walk.on()
    assert walk.cursors["conversations"] == {"since": at("10:00:00.000")}
    desk.asked.clear()
    pages = walk.on()
    assert [record for page in pages for record in page.records] == []
    assert not [path for path in desk.asked if "ticket_articles" in path or "history" in path or "tags" in path]
    desk.touch(5, day("13:30:00.000"))
    desk.say("Agent")
    assert {record.id for page in walk.on() for record in page.records if isinstance(record, Conversation)} == {"5"}


def test_a_ticket_that_changes_while_the_walk_is_on_makes_no_other_slip_through(desk: Desk, zammad: Zammad) -> None:
    desk.most = 10
    desk.many(60, gap_ms=20 * 60_000)
    moved = iter(range(100, 140))

    def move(path: str) -> None:
        if "order_by=asc" in path:
            desk.touch(next(moved, 100), day("23:00:00.000"))

    desk.after = move
    ids, _ = listed(zammad)
    assert set(ids) == {str(n) for n in range(100, 160)}


def test_what_slips_through_in_the_last_hour_is_found_by_the_next_run(desk: Desk, zammad: Zammad) -> None:
    desk.most = 10
    desk.many(30, gap_ms=1000, start="22:00:00.000")
    desk.after = lambda path: desk.touch(100, day("22:30:00.000")) if "order_by=asc" in path else None
    first, cursor = listed(zammad)
    assert len(set(first)) < 30, "nothing slipped, so this shows nothing"
    again, _ = listed(zammad, cursor)
    assert len({*first, *again}) == 30


def test_a_ticket_told_newer_than_where_it_stands_is_no_measure(desk: Desk, zammad: Zammad) -> None:
    """The list is ordered before the rows are read: one that changed in between looks later than what follows it."""
    desk.most = 5
    desk.many(40)
    desk.stands_at = {104: to_iso(at("00:04:00.000")), 109: to_iso(at("00:09:00.000"))}
    newest = desk.tickets[-1]["updated_at"]
    desk.touch(104, newest)
    desk.touch(109, newest)
    assert len(set(listed(zammad)[0])) == 40


def test_a_walk_that_was_broken_off_goes_on_where_it_was(desk: Desk, zammad: Zammad) -> None:
    desk.most = 10
    desk.many(60, gap_ms=20 * 60_000)
    seen: list[str] = []
    pages = zammad.pull("conversations", None, lambda one, _: not seen.append(one))
    cursor = [next(pages).cursor for _ in range(3)][-1]
    assert len(set(seen)) < 30
    desk.asked.clear()
    rest, end = listed(zammad, json.loads(json.dumps(cursor)))
    assert {*seen, *rest} == {str(n) for n in range(100, 160)}
    assert not [path for path in desk.asked if "order_by=desc" in path], "what was newest is known"
    assert "page" not in end


def test_a_zammad_that_does_not_heed_the_condition_is_not_believed(desk: Desk, zammad: Zammad) -> None:
    desk.most = 10
    desk.many(60, gap_ms=20 * 60_000)
    desk.heeds = False
    with pytest.raises(BadPayload, match="did not change since"):
        listed(zammad)


def test_a_list_without_an_end_is_left(desk: Desk, zammad: Zammad) -> None:
    desk.ticket()
    desk.pages = False
    with pytest.raises(BadPayload, match="same page twice"):
        listed(zammad)


def test_an_empty_zammad_is_no_error(zammad: Zammad) -> None:
    assert pulled(zammad, Conversation) == []


def test_a_broken_newest_ticket_costs_only_itself(desk: Desk, zammad: Zammad) -> None:
    desk.many(5)
    desk.tickets[-1]["created_at"] = None
    walk = Walk(zammad)
    walk.on()
    assert [c.id for c in walk.records(Conversation)] == ["100", "101", "102", "103"]
    assert {(reject.kind, reject.id) for reject in walk.rejects} == {("conversation", "104")}


def test_a_ticket_that_vanishes_or_moves_out_of_sight_meanwhile_is_left_out(desk: Desk, zammad: Zammad) -> None:
    for number in (5, 6, 7):
        desk.ticket(number)

    def vanish(path: str) -> None:
        desk.hidden.add(6)
        desk.tickets = [row for row in desk.tickets if row["id"] != 7]

    desk.after = lambda path: vanish(path) if "order_by=asc" in path else None
    assert [c.id for c in pulled(zammad, Conversation)] == ["5"]


# --- a ticket --------------------------------------------------------------------------------------------------------


def test_a_ticket_arrives_whole(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(clock="10:07:05.120", owner_id=3, owner="robin@desk.example", state_id=OPEN)
    desk.say("Customer", "whatsapp message")
    desk.tags[5] = ["vip", "order"]
    assert pulled(zammad, Conversation) == [
        Conversation(
            id="5",
            created_at=at("10:00:00.000"),
            status="open",
            changed_at=at("10:07:05.120"),
            inbox="1",
            channel="whatsapp message",
            contact="7",
            team="1",
            agent="3",
            link=f"{HOST}/#ticket/zoom/5",
            tags=("order", "vip"),
        )
    ]
    assert pulled(zammad, Channel) == [Channel("whatsapp message", "whatsapp")]
    assert pulled(zammad, Contact) == [Contact("7")]


def test_nobody_is_user_1(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(owner_id=1)
    assert pulled(zammad, Conversation)[0].agent is None
    assert "1" not in {agent.id for agent in pulled(zammad, Agent)}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("email", "email"),
        ("phone", "phone"),
        ("twitter direct-message", "x"),
        ("facebook feed comment", "facebook"),
        ("telegram personal-message", "telegram"),
        ("web", "other"),
        ("carrier pigeon", "other"),
    ],
)
def test_article_types_become_channels(desk: Desk, zammad: Zammad, word: str, kind: str) -> None:
    desk.ticket()
    desk.say(kind=word)
    assert pulled(zammad, Channel) == [Channel(word, kind)]


@pytest.mark.parametrize(
    ("state", "status"),
    [(NEW, "open"), (OPEN, "open"), (REMINDER, "snoozed"), (ACTION, "pending"), (CLOSED, "done"), (99, "open")],
)
def test_states_are_known_by_their_type_whatever_they_are_called(
    desk: Desk, zammad: Zammad, state: int, status: str
) -> None:
    desk.ticket(state_id=state)
    assert pulled(zammad, Conversation)[0].status == status


def test_a_version_that_tells_only_the_number_of_a_states_type_will_do(desk: Desk, zammad: Zammad) -> None:
    desk.lists["ticket_states"] = [{"id": 44, "name": "erledigt", "state_type_id": 5}]
    desk.ticket(state_id=44)
    assert pulled(zammad, Conversation)[0].status == "done"


def test_without_the_states_nothing_is_told_of_any_ticket(desk: Desk, zammad: Zammad) -> None:
    """Else all would be open."""
    del desk.lists["ticket_states"]
    desk.ticket()
    with pytest.raises(Rejected, match=r"ticket\.agent"):
        pulled(zammad, Conversation)


# --- articles --------------------------------------------------------------------------------------------------------

HUMAN, CUSTOMER, MACHINE = ("human", "message", True), ("customer", "message", True), ("automation", "message", True)
HIDDEN_NOTE = ("human", "note", False)


@pytest.mark.parametrize(
    ("article", "told"),
    [
        ({"sender": "Customer"}, CUSTOMER),
        ({"sender": "Customer", "type": "note"}, CUSTOMER),
        ({"sender": "Customer", "internal": True}, ("customer", "note", False)),
        ({"sender": "Agent"}, HUMAN),
        ({"sender": "Agent", "type": "phone"}, HUMAN),
        ({"sender": "Agent", "type": "note", "internal": True}, HIDDEN_NOTE),
        ({"sender": "Agent", "type": "note", "internal": False}, HIDDEN_NOTE),
        ({"sender": "Agent", "type": "email", "internal": True}, HIDDEN_NOTE),
        ({"sender": "System"}, MACHINE),
        ({"sender": "Agent", "created_by_id": 1}, MACHINE),
        ({"sender": "System", "type": "note", "internal": True}, ("automation", "note", False)),
        ({"sender": "Customer", "preferences": {"is-auto-response": True}}, MACHINE),
        ({"sender": "System", "preferences": {"send-auto-response": False}}, MACHINE),
        ({"sender": "Agent", "preferences": {"delivery_status": "fail"}}, ("human", "message", False)),
        ({"sender": "Oracle"}, ("unknown", "message", True)),
        ({"sender": "Customer", "preferences": None}, CUSTOMER),
    ],
)
def test_who_wrote_and_who_could_read_it(desk: Desk, zammad: Zammad, article: Row, told: tuple[str, str, bool]) -> None:
    desk.ticket()
    desk.say(**article)
    assert [(m.author, m.kind, m.public) for m in pulled(zammad, Message)] == [told]


def test_the_documented_articles_are_a_question_an_automatic_receipt_and_a_reply(desk: Desk, zammad: Zammad) -> None:
    desk.ticket()
    common = {"content_type": "text/html", "internal": False, "origin_by_id": None}
    desk.say("Customer", **common, created_by_id=7)
    desk.say("System", **common, created_by_id=1, created_at=day("10:00:02.000"), preferences={"send-auto-response": 0})
    desk.say("Agent", **common, created_by_id=3, created_at=day("10:07:00.000"), body="<p>Shipped yesterday.</p>")
    assert [(m.author, m.author_id, m.at, m.length) for m in pulled(zammad, Message)] == [
        ("customer", "7", at("10:00:00.000"), 5),
        ("automation", None, at("10:00:02.000"), 5),
        ("human", "3", at("10:07:00.000"), len("Shipped yesterday.")),
    ]


def test_a_call_that_an_agent_entered_was_answered_then(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(created_by_id=4)
    call = desk.say("Customer", "phone", created_by_id=4, origin_by_id=7)
    assert [(m.id, m.author, m.author_id, m.at) for m in pulled(zammad, Message)] == [
        (str(call["id"]), "customer", "7", at("10:00:00.000")),
        (f"{call['id']}:taken", "human", "4", at("10:00:00.001")),
    ]
    assert Agent("4", "Mira Okafor") in pulled(zammad, Agent)


@pytest.mark.parametrize("article", [{"type": "phone"}, {"type": "phone", "created_by_id": 1}, {"created_by_id": 4}])
def test_only_an_agents_call_is_taken(desk: Desk, zammad: Zammad, article: Row) -> None:
    desk.ticket()
    desk.say("Customer", **article)
    assert [m.author for m in pulled(zammad, Message)] == ["customer"]


@pytest.mark.parametrize(
    ("article", "contact"),
    [
        ({}, "7"),
        ({"created_by_id": 55}, "55"),
        ({"created_by_id": 1}, "7"),
        ({"type": "web", "created_by_id": 3}, "7"),
        ({"type": "phone", "created_by_id": 3, "origin_by_id": 56}, "56"),
    ],
)
def test_a_customers_words_are_the_customers_whoever_typed_them(
    desk: Desk, zammad: Zammad, article: Row, contact: str
) -> None:
    desk.ticket()
    desk.say("Customer", **article)
    assert pulled(zammad, Message)[0].author_id == contact


def test_our_own_note_is_known_when_it_comes_back(desk: Desk, zammad: Zammad) -> None:
    desk.ticket()
    desk.say("Agent", "note", internal=True, body="[deskpulse] slow")
    desk.say("Agent", "note", internal=True, body="<div>[deskpulse] slow</div>", content_type="text/html")
    desk.say("Agent", "email", body="[deskpulse] slow")
    desk.say("Customer", body="[deskpulse] slow")
    assert [m.own for m in pulled(zammad, Message)] == [True, True, False, False]


# --- history ---------------------------------------------------------------------------------------------------------


def test_status_owner_and_group_have_a_history(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(clock="12:00:00.000", state_id=CLOSED, owner_id=4, group_id=2, group="Service")
    desk.change("owner", 1, 3, "10:01:00.000")
    desk.change("state", NEW, OPEN, "10:02:00.000")
    desk.change("group", 1, 2, "10:03:00.000")
    desk.change("owner", 3, 4, "10:04:00.000", created_by_id=4)
    desk.change("title", None, None, "10:05:00.000")
    desk.change("state", OPEN, CLOSED, "12:00:00.000", created_by_id=4)
    assert events(zammad, "status", "assigned", "team") == [
        ("assigned", at("10:01:00.000"), None, "3", "3"),
        ("team", at("10:03:00.000"), "1", "2", "3"),
        ("assigned", at("10:04:00.000"), "3", "4", "4"),
        ("status", at("12:00:00.000"), "open", "done", "4"),
    ]


def test_a_reopening_counts_though_close_at_stays(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(clock="14:00:00.000", state_id=CLOSED, close_at=day("11:00:00.000"), last_close_at=day("14:00:00.000"))
    desk.change("state", OPEN, CLOSED, "11:00:00.000")
    desk.change("state", CLOSED, OPEN, "13:00:00.000", created_by_id=7)
    desk.change("state", OPEN, CLOSED, "14:00:00.000")
    assert [(e[1], e[3]) for e in events(zammad, "status")] == [
        (at("11:00:00.000"), "done"),
        (at("13:00:00.000"), "open"),
        (at("14:00:00.000"), "done"),
    ]


def test_a_ticket_that_the_scheduler_closed_was_closed_by_nobody(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(clock="12:00:00.000", state_id=CLOSED)
    desk.change("state", NEW, ACTION, "11:00:00.000")
    desk.change("state", ACTION, CLOSED, "12:00:00.000", created_by_id=1)
    assert events(zammad, "status")[-1] == ("status", at("12:00:00.000"), "pending", "done", None)


def test_who_owned_it_and_nobody_since(desk: Desk, zammad: Zammad) -> None:
    desk.ticket()
    desk.change("owner", 3, 1, "11:00:00.000", created_by_id=1)
    assert events(zammad, "assigned") == [("assigned", at("11:00:00.000"), "3", None, None)]
    assert Agent("3", "Robin Jansen") in pulled(zammad, Agent)


def test_lines_of_articles_and_of_other_tickets_are_not_the_tickets_history(desk: Desk, zammad: Zammad) -> None:
    desk.ticket()
    desk.change("state", NEW, CLOSED, "11:00:00.000", object="Ticket::Article")
    desk.changes[5].append(desk.change("state", NEW, CLOSED, "11:00:00.000", o_id=77))
    assert events(zammad, "status") == []


def test_a_ticket_that_was_made_closed_is_done_from_the_start(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(state_id=CLOSED, close_at=day("10:00:00.000"))
    assert events(zammad, "status") == [("status", at("10:00:00.000"), None, "done", None)]


def test_a_ticket_that_was_made_pending_is_so_from_the_start(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(clock="11:00:00.000", state_id=OPEN)
    desk.change("state", REMINDER, OPEN, "11:00:00.000")
    assert [(e[1], e[3]) for e in events(zammad, "status")] == [
        (at("10:00:00.000"), "snoozed"),
        (at("11:00:00.000"), "open"),
    ]


def test_an_imported_ticket_without_a_history_was_closed_when_it_says(desk: Desk, zammad: Zammad) -> None:
    closed = {"close_at": day("10:30:00.000"), "last_close_at": day("10:45:00.000")}
    desk.ticket(5, "11:00:00.000", state_id=CLOSED, **closed)
    desk.ticket(6, "11:00:00.000", state_id=CLOSED)
    assert events(zammad, "status") == [("status", at("10:45:00.000"), None, "done", None)]
    assert [c.status for c in pulled(zammad, Conversation)] == ["done", "done"], "the other one, at some time"


def test_an_imported_ticket_that_was_reopened_here_was_closed_before(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(clock="12:00:00.000", state_id=OPEN, close_at=day("10:30:00.000"))
    desk.change("state", CLOSED, OPEN, "12:00:00.000")
    assert [(e[1], e[3]) for e in events(zammad, "status")] == [
        (at("10:30:00.000"), "done"),
        (at("12:00:00.000"), "open"),
    ]


def test_a_history_that_lags_behind_the_ticket_is_brought_up_to_it(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(clock="12:00:00.000", state_id=CLOSED)
    desk.change("state", NEW, REMINDER, "11:00:00.000")
    assert events(zammad, "status")[-1] == ("status", at("12:00:00.000"), "snoozed", "done", None)


def test_a_history_that_is_ahead_of_the_ticket_is_left_as_it_is(desk: Desk, zammad: Zammad) -> None:
    """It was closed between our two questions; the next run sees both."""
    desk.ticket(clock="11:00:00.000", state_id=OPEN)
    desk.change("state", OPEN, CLOSED, "12:00:00.000")
    assert [(e[1], e[3]) for e in events(zammad, "status")] == [(at("12:00:00.000"), "done")]


# --- merged, removed, spam -------------------------------------------------------------------------------------------


def test_a_merged_ticket_leads_to_the_one_that_goes_on(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(clock="11:00:00.000", state_id=MERGED)
    desk.say("Agent", "note", body="merged", created_at=day("11:00:00.000"))
    desk.change(None, 5, 8, "11:00:00.000", type="merged_into")
    desk.change("state", NEW, MERGED, "11:00:00.000")
    assert events(zammad, "merged") == [("merged", at("11:00:00.000"), None, "8", None)]
    assert [m.public for m in pulled(zammad, Message)] == [False]


def test_before_version_3_1_a_merge_says_when_but_not_where(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(clock="11:30:00.000", state_id=MERGED)
    desk.change("state", NEW, MERGED, "11:00:00.000")
    assert events(zammad, "merged") == [("merged", at("11:00:00.000"), None, None, None)]


def test_what_was_merged_into_a_ticket_began_earlier(desk: Desk, zammad: Zammad) -> None:
    """Its articles move along, so there are two openings; the ticket did not go anywhere itself."""
    desk.ticket(8, "11:00:00.000", created_at=day("10:30:00.000"))
    desk.say("Customer", ticket=8, created_at=day("10:30:00.000"))
    desk.say("Customer", "sms", ticket=8, created_at=day("10:00:00.000"))
    desk.change(None, 5, 8, "11:00:00.000", type="received_merge", o_id=8)
    chat = pulled(zammad, Conversation)[0]
    assert (chat.created_at, chat.channel) == (at("10:00:00.000"), "sms")
    assert events(zammad, "merged", "status") == []


def test_a_removed_ticket_counts_as_deleted(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(clock="11:00:00.000", state_id=REMOVED)
    desk.change("state", NEW, REMOVED, "11:00:00.000")
    assert events(zammad, "deleted") == [("deleted", at("11:00:00.000"), None, None, None)]


def test_the_spam_tag_makes_spam_and_the_history_says_when(desk: Desk, connect: Any) -> None:
    desk.ticket()
    desk.tags[5] = ["spam", "vip"]
    assert events(connect(), "spam") == [("spam", None, None, None, None)]
    desk.change("tag", None, None, "11:00:00.000", type="added", value_to="vip")
    desk.change("tag", None, None, "11:05:00.000", type="added", value_to="spam")
    assert events(connect(), "spam") == [("spam", at("11:05:00.000"), None, None, None)]
    assert events(connect(spam_tag="Werbung"), "spam") == events(connect(spam_tag=None), "spam") == []


# --- by number -------------------------------------------------------------------------------------------------------


def test_reread_tells_gone_from_out_of_sight(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(5)
    desk.hidden.add(6)
    records = [r for page in zammad.reread(["5", "6", "7"], lambda *_: False) for r in page.records]
    assert [r.id for r in records if isinstance(r, Conversation)] == ["5"]
    assert [r for r in records if isinstance(r, Event)] == [Event("7:deleted", "7", None, "deleted")]


def test_reread_leaves_what_is_stored_in_this_version(desk: Desk, zammad: Zammad) -> None:
    desk.ticket(5)
    seen = lambda one, changed_at: (one, changed_at) == ("5", at("10:00:00.000"))  # noqa: E731 - a callback to look at
    assert [r for page in zammad.reread(["5"], seen) for r in page.records] == []
    assert not [path for path in desk.asked if "ticket_articles" in path]


# --- the directory ---------------------------------------------------------------------------------------------------


def test_groups_are_teams_and_inboxes_and_agents_have_names(desk: Desk, zammad: Zammad) -> None:
    assert pulled(zammad, Team) == [Team("1", "Orders"), Team("2", "Service")]
    assert [(box.id, box.name) for box in pulled(zammad, Inbox)] == [("1", "Orders"), ("2", "Service")]
    assert pulled(zammad, Agent) == [Agent("3", "Robin Jansen"), Agent("4", "Mira Okafor")]


def test_long_lists_are_read_to_the_end_whatever_a_page_holds(desk: Desk, zammad: Zammad) -> None:
    desk.lists["users/search"] = [{"id": n, "login": f"u{n}"} for n in range(10, 130)]
    desk.most = 50
    assert len(pulled(zammad, Agent)) == 120


def test_without_admin_rights_names_come_with_the_tickets(desk: Desk, zammad: Zammad) -> None:
    """And without Elasticsearch the search for agents finds none."""
    for name in ("groups", "calendars", "slas"):
        del desk.lists[name]
    desk.lists["users/search"] = []
    desk.ticket(owner_id=3, owner="robin@desk.example")
    assert pulled(zammad, Team) == [Team("1", "Orders")]
    assert pulled(zammad, Inbox) == [Inbox("1", "Orders")]
    assert pulled(zammad, Agent) == [Agent("3", "Robin Jansen")]


def schedules(adapter: Zammad) -> dict[str, Schedule | None]:
    return {box.id: box.schedule for box in pulled(adapter, Inbox)}


def test_the_default_calendar_holds_where_no_sla_names_another(desk: Desk, zammad: Zammad) -> None:
    late = {"id": 2, "timezone": "Europe/Lisbon", "business_hours": {"tue": DAY}, "public_holidays": {}}
    desk.lists["calendars"] = [OFFICE, late]
    is_service = {"ticket.group_id": {"operator": "is", "value": "2"}}
    desk.lists["slas"] = [{"id": 1, "calendar_id": 2, "condition": is_service}]
    hours = schedules(zammad)
    assert hours["1"] == Schedule("Europe/Berlin", (((540, 1020),), (), (), (), (), (), ()))
    assert hours["2"] == Schedule("Europe/Lisbon", ((), ((540, 1020),), (), (), (), (), ()))


@pytest.mark.parametrize(
    ("condition", "heeded"),
    [
        ({"ticket.group_id": {"operator": "is", "value": ["2", 9]}}, True),
        ({"operator": "AND", "conditions": [{"name": "ticket.group_id", "operator": "is", "value": [2]}]}, True),
        ({"ticket.group_id": {"operator": "is not", "value": ["2"]}}, False),
        ({"ticket.priority_id": {"operator": "is", "value": ["2"]}}, False),
        ({"ticket.group_id": {"operator": "is", "pre_condition": "not_set"}}, False),
        ({}, False),
        (None, False),
    ],
)
def test_an_sla_gives_its_hours_to_the_groups_it_names(
    desk: Desk, zammad: Zammad, condition: Any, heeded: bool
) -> None:
    desk.lists["calendars"] = [OFFICE, {"id": 2, "timezone": "Europe/Lisbon", "business_hours": {}}]
    desk.lists["slas"] = [{"id": 1, "calendar_id": 2, "condition": condition}]
    found = schedules(zammad)["2"]
    assert found
    assert found.zone == ("Europe/Lisbon" if heeded else "Europe/Berlin")


def test_slas_that_disagree_about_a_group_leave_it_the_default(desk: Desk, zammad: Zammad) -> None:
    condition = {"ticket.group_id": {"operator": "is", "value": ["2"]}}
    desk.lists["calendars"] = [OFFICE, {"id": 2, "timezone": "Europe/Lisbon", "business_hours": {}}]
    desk.lists["slas"] = [{"id": n, "calendar_id": n, "condition": condition} for n in (1, 2)]
    assert {one.zone for one in schedules(zammad).values() if one} == {"Europe/Berlin"}


def test_breaks_days_off_midnight_and_holidays_of_a_calendar(desk: Desk, zammad: Zammad) -> None:
    week = {
        "mon": {"active": True, "timeframes": [["13:00", "17:30"], ["08:00", "12:00"]]},
        "tue": {"active": False, "timeframes": [["10:00", "14:00"]]},
        "wed": {"active": True, "timeframes": [["00:00", "23:59"]]},
        "thu": {"active": True, "timeframes": [["18:00", "09:00"]]},
    }
    holidays = {"2026-12-25": {"active": True}, "2026-05-05": {"active": False}, "2026-01-01": {"active": True}}
    desk.lists["calendars"] = [OFFICE | {"business_hours": week, "public_holidays": holidays}]
    assert schedules(zammad)["1"] == Schedule(
        "Europe/Berlin",
        (((480, 720), (780, 1050)), (), ((0, 1440),), (), (), (), ()),
        ("2026-01-01", "2026-12-25"),
    )


def test_a_calendar_in_an_unknown_zone_is_rejected_and_named(desk: Desk, zammad: Zammad) -> None:
    desk.lists["calendars"] = [OFFICE | {"timezone": "Middle/Earth"}]
    walk = Walk(zammad)
    walk.on()
    assert [(reject.id, reject.reason) for reject in walk.rejects] == [
        ("calendar 1", "timezone: unknown, so its hours are left out")
    ]
    assert {box.schedule for box in walk.records(Inbox)} == {None}


# --- tags ------------------------------------------------------------------------------------------------------------


def test_a_tag_is_added_and_removed_alone(desk: Desk, zammad: Zammad) -> None:
    desk.tags[5] = ["vip"]
    assert zammad.add_tag("5", "slow, first  reply") == TagChange(("vip",), ("vip", "slow first reply"))
    assert zammad.remove_tag("5", "slow, first  reply") == TagChange(("vip", "slow first reply"), ("vip",))
    body = {"item": "slow first reply", "object": "Ticket", "o_id": 5}
    assert desk.sent == [("POST", "tags/add", body), ("DELETE", "tags/remove", body)]


def test_a_tag_that_is_there_or_not_there_is_left_alone(desk: Desk, zammad: Zammad) -> None:
    desk.tags[5] = ["vip"]
    assert zammad.add_tag("5", "vip") == zammad.remove_tag("5", "slow") == TagChange(("vip",), ("vip",))
    assert desk.sent == []


@pytest.mark.parametrize("kept", [[], ["vip"], ["slow"]])
def test_tags_that_read_back_otherwise_are_told(desk: Desk, zammad: Zammad, kept: list[str]) -> None:
    desk.tags[5] = ["vip"]
    desk.on_tags = lambda tags: kept
    with pytest.raises(Rejected, match="not slow, vip as written"):
        zammad.add_tag("5", "slow")


def test_a_tag_that_cannot_be_taken_away_is_told(desk: Desk, zammad: Zammad) -> None:
    desk.tags[5] = ["vip", "slow"]
    desk.on_tags = lambda tags: ["vip", "slow"]
    with pytest.raises(Rejected, match="set them by hand"):
        zammad.remove_tag("5", "slow")


def test_a_tag_that_somebody_adds_meanwhile_is_no_fault(desk: Desk, zammad: Zammad) -> None:
    desk.on_tags = lambda tags: [*tags, "urgent"]
    assert zammad.add_tag("5", "slow").after == ("slow", "urgent")


# --- notes -----------------------------------------------------------------------------------------------------------

TEXT = "[deskpulse] slow first reply"


def test_a_note_is_an_internal_note_and_no_mail(desk: Desk, zammad: Zammad) -> None:
    """E-mail articles are sent even when they are internal."""
    note = zammad.add_note("5", TEXT)
    written = {"type": "note", "internal": True, "sender": "Agent", "content_type": "text/plain"}
    written |= {"ticket_id": 5, "body": TEXT}
    assert desk.sent == [("POST", "ticket_articles", written)]
    assert desk.mailed == []
    desk.ticket()
    assert zammad.find_note("5", TEXT) == note
    assert zammad.find_note("5", "[deskpulse] other") is None


def test_no_code_path_sends_anything_but_a_note() -> None:
    source = (Path(__file__).parents[1] / "adapters" / "zammad.py").read_text("utf-8")
    sends = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "self.http.send"
    ]
    assert len(sends) == 4
    writers = [one for one in sends if "ticket_articles'" in one]
    assert len(writers) == 1
    body = re.search(r"body = (\{.*'type'.*\})", ast.unparse(ast.parse(source)))
    assert body
    assert "'type': 'note', 'internal': True, 'sender': 'Agent'" in body[1]


@pytest.mark.parametrize("made", [{"internal": False}, {"type": "email"}, {"sender": "Customer"}, {"body": "x"}])
def test_what_does_not_read_back_as_an_internal_note_is_told(desk: Desk, zammad: Zammad, made: Row) -> None:
    """A token without agent's rights makes a customer's public article of it."""
    desk.on_note = lambda article: article.update(made)
    with pytest.raises(Rejected, match="look at it now"):
        zammad.add_note("5", TEXT)


def test_a_note_that_comes_back_as_html_is_found(desk: Desk, zammad: Zammad) -> None:
    desk.ticket()
    row = desk.say("Agent", "note", internal=True, content_type="text/html", body=f"<div>{TEXT}</div>\n")
    desk.say("Agent", "email", body=TEXT)
    assert zammad.find_note("5", TEXT) == str(row["id"])


def test_a_note_can_be_taken_back_in_its_first_minutes(desk: Desk, zammad: Zammad) -> None:
    note = zammad.add_note("5", TEXT)
    zammad.remove_note("5", note)
    assert desk.said[5] == []
    zammad.remove_note("5", note)
    assert len(desk.sent) == 2


@pytest.mark.parametrize("now", ["Mon, 02 Mar 2026 12:09:30 GMT", None])
def test_an_older_note_stays_and_that_is_said(desk: Desk, zammad: Zammad, now: str | None) -> None:
    """Zammad would answer 403, which looks as if the token were refused."""
    note = zammad.add_note("5", TEXT)
    desk.now = now
    with pytest.raises(Rejected, match="first ten minutes"):
        zammad.remove_note("5", note)
    assert [method for method, *_ in desk.sent] == ["POST"]


@pytest.mark.parametrize("other", [{"internal": False}, {"body": "mine"}, {"type": "email"}, {"ticket_id": 6}])
def test_what_is_not_our_note_is_never_deleted(desk: Desk, zammad: Zammad, other: Row) -> None:
    note = zammad.add_note("5", TEXT)
    desk.said[5][0] |= other
    with pytest.raises(Rejected, match="left alone"):
        zammad.remove_note("5", note)
    assert [method for method, *_ in desk.sent] == ["POST"]


# --- doctor ----------------------------------------------------------------------------------------------------------


def found(adapter: Zammad) -> dict[str, Finding]:
    return {finding.check: finding for finding in adapter.probe()}


def test_doctor_tells_what_this_token_feeds(desk: Desk, zammad: Zammad) -> None:
    desk.ticket()
    told = found(zammad)
    assert {check: finding.ok for check, finding in told.items()} == {
        "identity": True,
        "tickets": True,
        "groups": True,
        "zone": True,
        "search": True,
        "history": True,
        "opening hours": True,
        "permissions": True,
        "ratings": None,
    }
    assert "no csat" in told["ratings"].detail
    assert told["identity"].detail == "pulse@desk.example"
    assert desk.sent == []


def test_doctor_says_what_a_narrow_token_costs(desk: Desk, zammad: Zammad) -> None:
    del desk.lists["slas"]
    desk.lists["groups"].append({"id": 3, "name": "Legal", "active": True})
    desk.lists["groups"].append({"id": 4, "name": "Old", "active": False})
    desk.ticket()
    told = found(zammad)
    assert (told["opening hours"].ok, told["groups"].ok) == (None, None)
    assert "admin.calendar" in told["opening hours"].remedy
    assert told["groups"].detail == "perhaps unseen: Legal"


def test_doctor_warns_of_a_token_that_may_do_more_than_it_needs(desk: Desk, zammad: Zammad) -> None:
    desk.lists["roles"] = [{"id": 1, "name": "Admin"}]
    assert found(zammad)["permissions"].ok is None


def test_doctor_notices_a_search_that_does_not_heed_its_condition(desk: Desk, zammad: Zammad) -> None:
    desk.many(3)
    desk.heeds = False
    assert found(zammad)["search"][1:] == (False, "by condition is not heeded", "upgrade Zammad")


def test_doctor_notices_that_there_is_nothing_to_be_seen(desk: Desk, zammad: Zammad) -> None:
    told = found(zammad)
    assert (told["tickets"].ok, "search" in told) == (None, False)
    assert "all groups" in told["tickets"].remedy


def test_doctor_notices_a_history_that_is_out_of_reach(desk: Desk, zammad: Zammad) -> None:
    desk.ticket()
    read = desk._read
    desk._read = lambda path, query: httpx.Response(403) if "history" in path else read(path, query)
    assert found(zammad)["history"].ok is None


def test_a_refused_token_is_a_matter_for_a_person(desk: Desk, zammad: Zammad) -> None:
    desk._read = lambda path, query: httpx.Response(401, json={"error": "Invalid token"})
    with pytest.raises(AuthFailed):
        found(zammad)
    with pytest.raises(AuthFailed):
        pulled(zammad, Team)


def test_a_server_that_is_down_ends_the_walk_and_the_cursor_stays(desk: Desk, zammad: Zammad) -> None:
    desk.ticket()
    read = desk._read
    desk._read = lambda path, query: httpx.Response(502) if "history" in path else read(path, query)
    walk = Walk(zammad)
    with pytest.raises(Transient):
        walk.on()
    assert "conversations" not in walk.cursors
