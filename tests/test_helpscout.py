"""The Help Scout adapter, through the real client, against a small desk that answers as Help Scout does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract_case import StandingClock, Walk
from fake_service import contents, deploy, patched
from pydantic import ValidationError

import adapters.helpscout as module
from adapters.helpscout import HelpScout, HelpScoutSettings
from connector.contract import Finding, Notes, Probes, Pulls, Rereads, Tags
from connector.errors import AuthFailed, BadPayload, Rejected, Transient
from connector.facts.surveys import verdict
from connector.http import HttpClient
from connector.models import (
    Agent,
    Channel,
    Contact,
    Conversation,
    Event,
    Inbox,
    Message,
    Page,
    Rating,
    Team,
    from_iso,
)
from connector.pull import sync
from connector.store import connect as open_store

Row = dict[str, Any]
HOST = "https://api.helpscout.net"
ROBIN: Row = {"id": 256, "type": "user", "first": "Robin", "last": "Jansen"}
MIRA: Row = {"id": 257, "type": "user", "first": "Mira", "last": "Okafor"}
ORDERS: Row = {"id": 700, "type": "team", "first": "Orders", "last": ""}
ANYONE: Row = {"id": 1, "type": "team", "first": "Anyone", "last": ""}
ITSELF: Row = {"id": 1, "type": "user", "first": "Help", "last": "Scout"}
AGENT: Row = {"id": 155250, "type": "system_user", "first": "AI Agent", "last": ""}
ADA: Row = {"id": 8001, "type": "customer", "first": "Ada", "email": "ada@mail.example"}
MAIL: Row = {"type": "email", "via": "customer"}
WEB: Row = {"type": "web", "via": "user"}
NOW = "Tue, 03 Mar 2026 09:00:00 GMT"


def day(clock: str) -> str:
    return f"2026-03-02T{clock}Z"


def at(clock: str) -> int:
    return from_iso(day(clock))


class Desk:
    """Help Scout's side. ``after`` is called with each request that was answered, to move things while somebody reads.

    ``modified`` holds when each conversation changed, which its rows do not tell unless ``dated``."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.modified: dict[int, str] = {}
        self.said: dict[int, list[Row]] = {}
        self.merged: dict[int, int] = {}
        self.rated: list[Row] = []
        self.lists: dict[str, tuple[str, list[Row]]] = {
            "/v2/users": ("users", [_user(ROBIN, "owner"), _user(MIRA, "user")]),
            "/v2/mailboxes": ("mailboxes", [{"id": 85, "name": "Shop", "createdAt": "2025-01-06T08:00:00Z"}]),
            "/v2/teams": ("teams", [{"id": 700, "name": "Orders"}]),
            "/v3/system-users": ("system_users", [{"id": 155250, "type": "system_user", "firstName": "AI Agent"}]),
        }
        self.me = _user(ROBIN, "owner")
        self.without: dict[str, int] = {}
        self.asked: list[str] = []
        self.sent: list[tuple[str, str, Any]] = []
        self.after: Callable[[str], None] = lambda path: None
        self.headers = {"Date": NOW, "X-RateLimit-Limit-Minute": "400"}
        self.page, self.size, self.number, self.dated = 25, 25, 90_000, False
        self.on_tags: Callable[[list[str]], list[str]] = lambda tags: tags
        self.as_note: Row = {}
        self.reopens, self.filters = True, True

    # what a test changes

    def chat(self, number: int = 101, clock: str = "10:00:00", **fields: Any) -> Row:
        """A mail conversation, modified at that time."""
        row: Row = {"id": number, "number": 15000 + number, "threads": 1, "type": "email", "status": "active"}
        row |= {"state": "published", "mailboxId": 85, "createdAt": day("10:00:00"), "source": MAIL, "tags": []}
        row |= {"primaryCustomer": {"id": 8001}, "customerWaitingSince": {"time": day(clock), "friendly": "1 day ago"}}
        self.rows[number], self.modified[number] = row | fields, day(clock)
        self.said.setdefault(number, [])
        return self.rows[number]

    def many(self, count: int) -> None:
        for n in range(1, count + 1):
            self.chat(1000 + n, f"10:{n // 60:02}:{n % 60:02}")
            self.say("customer", chat=1000 + n)

    def say(self, kind: str = "customer", clock: str = "10:00:00", chat: int = 101, **fields: Any) -> Row:
        self.number += 1
        row: Row = {"id": self.number, "type": kind, "status": "active", "state": "published", "body": "Hello"}
        row |= {"action": {"type": "default", "associatedEntities": {}}, "createdAt": day(clock)}
        mine = {"createdBy": ADA, "customer": ADA, "source": MAIL} if kind == "customer" else {}
        self.said[chat].append(row | {"createdBy": ROBIN, "source": WEB, "assignedTo": ANYONE} | mine | fields)
        return self.said[chat][-1]

    def touch(self, number: int, clock: str, **fields: Any) -> None:
        """It goes to the end of the list."""
        self.rows[number] |= fields
        self.modified[number] = day(clock)

    def rate(self, word: str, thread: int, clock: str = "12:00:00", **fields: Any) -> None:
        number = {"great": 1, "ok": 2, "not-good": 3}[word]
        row = {"id": 101, "threadid": thread, "ratingId": number, "ratingCreatedAt": day(clock), "ratingUserId": 256}
        self.rated.append(row | {"word": word} | fields)

    # answering

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, query = request.url.path, request.url.params
        if path == "/v2/oauth2/token":
            assert json.loads(request.content)["client_secret"] == "canary-secret"
            return httpx.Response(200, json={"access_token": "for-two-days", "expires_in": 172800})
        assert request.headers["authorization"] == "Bearer for-two-days"
        self.asked.append(f"{path}?{request.url.query.decode()}".rstrip("?"))
        if request.method != "GET":
            return self._write(request.method, path, json.loads(request.content or b"null"))
        answer = self._read(path, query)
        self.after(self.asked[-1])
        return answer

    def _read(self, path: str, query: httpx.QueryParams) -> httpx.Response:
        if path in self.without:
            return httpx.Response(self.without[path], json={"message": "no"})
        page = int(query.get("page", 1))
        if path in self.lists:
            key, rows = self.lists[path]
            return self._ok(_sheet(key, rows, page, self.size))
        if path == "/v2/users/me":
            return self._ok(self.me)
        if path == "/v2/conversations":
            return self._ok(_sheet("conversations", self._found(query), page, self.page))
        if path == "/v2/reports/happiness/ratings":
            return self._ok(self._report(query, page))
        found = re.fullmatch(r"/(v\d)/conversations/(\d+)(/threads)?", path)
        return self._of_chat(int(found[2]), found[1], bool(found[3]), page) if found else httpx.Response(404)

    def _found(self, query: httpx.QueryParams) -> list[Row]:
        """Unless told otherwise: active ones only, the newest first."""
        since, status = query.get("modifiedSince", ""), query.get("status", "active")
        assert re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?", since)
        rows = [row for row in self.rows.values() if status in ("all", row["status"])]
        rows = [row for row in rows if self.modified[row["id"]] >= since and row["id"] not in self.merged]
        told = sorted(rows, key=lambda row: (self.modified[row["id"]], row["id"]))
        told = told if query.get("sortField") == "modifiedAt" and query.get("sortOrder") == "asc" else told[::-1]
        return [self._row(row["id"]) for row in told]

    def _row(self, number: int) -> Row:
        dated = {"modifiedAt": self.modified[number]} if self.dated else {}
        return self.rows[number] | dated

    def _report(self, query: httpx.QueryParams, page: int) -> Row:
        if not self.filters:
            return {"results": self.rated, "page": 1, "count": len(self.rated), "pages": 1}
        fits = [row for row in self.rated if query["start"] <= row["ratingCreatedAt"] < query["end"]]
        fits = [row for row in fits if row["word"] == query["rating"]]
        shown = fits[(page - 1) * self.size : page * self.size]
        return {"results": shown, "page": page, "count": len(fits), "pages": -(-len(fits) // self.size)}

    def _of_chat(self, number: int, version: str, threads: bool, page: int) -> httpx.Response:
        if threads and version in self.without:
            return httpx.Response(404)
        if number in self.merged:
            target = {"Location": f"{HOST}/v2/conversations/{self.merged[number]}"}
            return httpx.Response(404) if threads else httpx.Response(301, headers=target)
        if number not in self.rows:
            return httpx.Response(404)
        if not threads:
            return self._ok(self._row(number))
        rows = sorted(self.said[number], key=lambda row: (row["createdAt"], row["id"]), reverse=True)
        return self._ok(_sheet("threads", rows, page, self.size))

    def _ok(self, told: Any) -> httpx.Response:
        return httpx.Response(200, json=told, headers=self.headers)

    def _write(self, method: str, path: str, body: Any) -> httpx.Response:
        self.sent.append((method, path, body))
        number = int((re.search(r"conversations/(\d+)", path) or [0, 0])[1])
        if number in self.merged or number not in self.rows:
            return httpx.Response(404)
        if path.endswith("/tags"):
            names = self.on_tags([name.lower() for name in body["tags"]])
            self.rows[number]["tags"] = [{"id": n, "tag": name} for n, name in enumerate(names)]
            return httpx.Response(204)
        if "status" in body or self.reopens:
            self.rows[number]["status"] = body.get("status", "active")
        note = self.say("note", "13:00:00", number, body=body["text"], source={"type": "api", "via": "user"})
        note |= self.as_note
        return httpx.Response(201, headers={"Resource-ID": str(note["id"])})


def _user(who: Row, role: str) -> Row:
    return {"id": who["id"], "firstName": who["first"], "lastName": who["last"], "role": role, "type": "user"}


def _sheet(key: str, rows: list[Row], page: int, size: int) -> Row:
    """Without rows there is no ``_embedded``, on the last page no next link."""
    pages = -(-len(rows) // size)
    shown = rows[(page - 1) * size : page * size]
    links = {"next": {"href": f"{HOST}/v2/{key}?page={page + 1}"}} if page < pages else {}
    told = {"_links": links, "page": {"size": size, "totalElements": len(rows), "totalPages": pages, "number": page}}
    return told | ({"_embedded": {key: shown}} if shown else {})


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def connect(desk: Desk) -> Iterator[Callable[..., HelpScout]]:
    clients: list[HttpClient] = []

    def connected(**settings: Any) -> HelpScout:
        given = HelpScoutSettings(**{"app_id": "app", "app_secret": "canary-secret", **settings})
        transport = httpx.MockTransport(desk)
        service = HelpScout.service(given)
        clients.append(HttpClient(service, StandingClock(), name="helpscout", demo=False, transport=transport))
        return HelpScout(given, clients[-1])

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def scout(connect: Callable[..., HelpScout]) -> HelpScout:
    return connect()


def pulled(adapter: HelpScout, kind: type[Any]) -> list[Any]:
    walk = Walk(adapter)
    walk.on()
    return walk.records(kind)


def events(adapter: HelpScout, kind: str, *, derived: bool = False) -> list[tuple[Any, ...]]:
    """(at, value, was, actor), in the order of time."""
    told = [one for one in pulled(adapter, Event) if one.kind == kind and (derived or not one.derived)]
    return [(one.at, one.value, one.was, one.actor) for one in sorted(told, key=lambda one: one.at or 0)]


def threads_read(desk: Desk) -> list[int]:
    return [int(path.split("/")[3]) for path in desk.asked if "/threads" in path]


# --- the file and its settings ---------------------------------------------------------------------------------------


def test_it_offers_what_it_should(scout: HelpScout) -> None:
    assert all(isinstance(scout, kind) for kind in (Pulls, Rereads, Tags, Notes, Probes))


def test_a_third_of_the_smallest_budget_and_writes_at_their_price() -> None:
    service = HelpScout.service(HelpScoutSettings(app_id="app", app_secret="s"))
    assert (round(service.per_second * 60), service.write_cost) == (67, 2)
    assert "canary" not in repr(HelpScout.service(HelpScoutSettings(app_id="app", app_secret="canary")))


@pytest.mark.parametrize(
    "wrong",
    [{"app_id": ""}, {"app_secret": ""}, {"url": "api.helpscout.net"}, {"requests_per_second": 0}, {"tokn": "x"}],
)
def test_wrong_settings_are_refused(wrong: Row) -> None:
    with pytest.raises(ValidationError):
        HelpScoutSettings(**{"app_id": "app", "app_secret": "s", **wrong})


def test_a_credential_that_buys_no_token_is_told_at_once(desk: Desk, scout: HelpScout) -> None:
    refused = httpx.MockTransport(lambda request: httpx.Response(400, json={"error": "invalid_client"}))
    given = HelpScoutSettings(app_id="app", app_secret="canary-secret")
    client = HttpClient(HelpScout.service(given), StandingClock(), name="helpscout", demo=False, transport=refused)
    with pytest.raises(AuthFailed) as caught:
        list(HelpScout(given, client).probe())
    client.close()
    assert "canary" not in str(caught.value)


# --- lists -----------------------------------------------------------------------------------------------------------


def test_people_teams_bots_and_inboxes_are_told_apart(desk: Desk, scout: HelpScout) -> None:
    desk.lists["/v2/users"][1].append({"id": 700, "type": "team", "firstName": "Orders"})
    walk = Walk(scout)
    walk.on()
    assert walk.records(Inbox) == [Inbox("85", "Shop")]
    assert walk.records(Team) == [Team("700", "Orders")]
    people = [Agent("155250", "AI Agent", "bot"), Agent("256", "Robin Jansen"), Agent("257", "Mira Okafor")]
    assert walk.records(Agent) == people
    assert [page.records for page in walk.on()] == [[], []] + [[]] * 4


def test_long_lists_are_read_to_their_end(desk: Desk, scout: HelpScout) -> None:
    desk.size = 2
    desk.lists["/v2/users"] = ("users", [{"id": n, "firstName": f"A{n}", "type": "user"} for n in range(10, 15)])
    assert len([one for one in pulled(scout, Agent) if one.kind == "human"]) == 5


@pytest.mark.parametrize("status", [403, 404])
def test_a_plan_without_teams_or_ai_agents_is_read_without_them(desk: Desk, scout: HelpScout, status: int) -> None:
    desk.without |= {"/v2/teams": status, "/v3/system-users": status}
    desk.chat(assignee=ORDERS)
    desk.say(assignedTo=ORDERS)
    assert [one.team for one in pulled(scout, Conversation)] == ["700"]


def test_where_nothing_is_there_is_no_list_at_all_and_that_is_fine(desk: Desk, scout: HelpScout) -> None:
    assert "_embedded" not in _sheet("conversations", [], 1, 25)
    walk = Walk(scout)
    walk.on()
    assert walk.records(Conversation) == []
    assert walk.cursors["conversations"]["since"] == from_iso("2026-03-03T08:50:00Z")


@pytest.mark.parametrize("told", [{}, {"message": "no"}, {"_embedded": {"others": []}}, [], {"_embedded": []}])
def test_an_answer_that_holds_no_list_moves_no_cursor(desk: Desk, connect: Callable[..., HelpScout], told: Any) -> None:
    read = desk._read
    desk._read = lambda path, query: desk._ok(told) if path == "/v2/conversations" else read(path, query)  # type: ignore[method-assign]  # a fault
    walk = Walk(connect())
    with pytest.raises(BadPayload):
        walk.on()
    assert "conversations" not in walk.cursors


# --- walking ---------------------------------------------------------------------------------------------------------


def test_closed_conversations_are_asked_for_too(desk: Desk, scout: HelpScout) -> None:
    for number, status in enumerate(("active", "closed", "pending", "spam"), 101):
        desk.chat(number, status=status)
        desk.say(chat=number, status=status)
    assert {one.id: one.status for one in pulled(scout, Conversation)} == {
        "101": "open",
        "102": "done",
        "103": "pending",
        "104": "done",
    }


def test_the_walk_goes_from_the_latest_modified_to_the_last_page(desk: Desk, scout: HelpScout) -> None:
    desk.many(60)
    found = [one.id for one in pulled(scout, Conversation)]
    assert found == [str(1000 + n) for n in range(60, 0, -1)]
    lists = [path for path in desk.asked if path.startswith("/v2/conversations?")]
    assert [re.search(r"page=(\d+)", path)[1] for path in lists] == ["1", "2", "3"]  # type: ignore[index]  # each has one


def test_a_last_page_that_is_full_is_the_last_one(desk: Desk, scout: HelpScout) -> None:
    """Whatever links it has: the number of pages counts too."""
    desk.many(25)
    ok = desk._ok

    def endless(told: Any) -> httpx.Response:
        return ok(told | {"_links": {"next": {"href": "x"}}} if isinstance(told, dict) and "_links" in told else told)

    desk._ok = endless  # type: ignore[method-assign]  # a vendor's fault
    assert len(pulled(scout, Conversation)) == 25
    assert len([path for path in desk.asked if path.startswith("/v2/conversations?")]) == 1


def once(desk: Desk, page: int, act: Callable[[], None]) -> None:
    """Done right after that page of the list was read for the first time."""
    done: list[str] = []

    def after(path: str) -> None:
        if path.startswith("/v2/conversations?") and f"page={page}" in path and not done:
            done.append(path)
            act()

    desk.after = after


ALL = {str(1000 + n) for n in range(1, 61)}


@pytest.mark.parametrize("numbers", [range(1030, 1061), range(1001, 1031), (1036, 1035), range(1001, 1061)])
def test_rows_that_move_to_the_front_while_we_walk_make_us_skip_none(
    desk: Desk, scout: HelpScout, numbers: range
) -> None:
    """From behind us, from before us, from the edge, and all of them at once, as a bulk action does."""
    desk.many(60)
    once(desk, 1, lambda: [desk.touch(number, "11:00:00") for number in numbers][:0] or None)
    walk = Walk(scout)
    walk.on()
    assert {one.id for one in walk.records(Conversation)} | {str(number) for number in numbers} == ALL
    desk.after = lambda path: None
    desk.headers["Date"] = "Tue, 03 Mar 2026 12:00:00 GMT"
    walk.cursors["conversations"]["since"] = at("10:30:00")  # the walk began when 10:40 was the time
    walk.on()
    assert {one.id for one in walk.records(Conversation)} == ALL


def test_a_new_conversation_while_we_walk_makes_us_skip_none(desk: Desk, scout: HelpScout) -> None:
    desk.many(60)
    once(desk, 1, lambda: [desk.chat(2000 + n, "11:00:00") for n in range(30)][:0] or None)
    assert {one.id for one in pulled(scout, Conversation)} >= ALL


@pytest.mark.parametrize("page", [1, 2])
@pytest.mark.parametrize("count", [1, 24, 25, 26, 35])
def test_rows_that_vanish_while_we_walk_make_us_skip_none(desk: Desk, scout: HelpScout, page: int, count: int) -> None:
    """Merged or deleted behind us, they pull the others up; where the list got as short as that, its end too."""
    desk.many(60)
    gone = range(1060, 1060 - count, -1)
    once(desk, page, lambda: [desk.rows.pop(number) for number in gone][:0] or None)
    assert {one.id for one in pulled(scout, Conversation)} >= ALL - {str(number) for number in gone}


def test_a_list_that_does_not_turn_its_page_is_no_endless_one(desk: Desk, scout: HelpScout) -> None:
    desk.many(60)
    found = desk._found
    desk._found = lambda query: found(query)[:25] * 3  # type: ignore[method-assign]  # a vendor's fault
    walk = Walk(scout)
    with pytest.raises(BadPayload, match="same page twice"):
        walk.on()
    assert walk.cursors["conversations"]["page"] == 2


def test_the_next_walk_begins_ten_minutes_before_this_one_on_the_services_clock(desk: Desk, scout: HelpScout) -> None:
    desk.many(3)
    walk = Walk(scout)
    walk.on()
    desk.asked.clear()
    walk.on()
    lists = [path for path in desk.asked if path.startswith("/v2/conversations?")]
    assert len(lists) == 1
    assert "modifiedSince=2026-03-03T08%3A50%3A00Z" in lists[0]


def test_without_the_services_clock_all_is_looked_at_again(desk: Desk, scout: HelpScout) -> None:
    del desk.headers["Date"]
    desk.many(3)
    walk = Walk(scout)
    walk.on()
    assert walk.cursors["conversations"]["since"] is None


def test_a_walk_that_broke_off_goes_on_at_its_page_and_keeps_where_it_began(desk: Desk, scout: HelpScout) -> None:
    desk.many(60)
    walk, read = Walk(scout), desk._read

    def breaks(path: str, query: httpx.QueryParams) -> httpx.Response:
        third = path == "/v2/conversations" and query.get("page") == "3"
        return httpx.Response(500) if third else read(path, query)

    desk._read = breaks  # type: ignore[method-assign]  # a fault
    with pytest.raises(Transient):
        walk.on()
    desk._read = read  # type: ignore[method-assign]  # mended
    desk.headers["Date"] = "Tue, 03 Mar 2026 11:00:00 GMT"
    for number in (1001, 1030):
        desk.touch(number, "12:00:00")
    for number in range(1060, 1050, -1):
        del desk.rows[number]
    desk.asked.clear()
    walk.on()
    assert {one.id for one in walk.records(Conversation)} == ALL - {"1001"}  # what moved is the next walk's
    assert walk.cursors["conversations"]["since"] == from_iso("2026-03-03T08:50:00Z")
    assert walk.cursors["conversations"]["known"].keys() >= {"1055", "1040"}
    assert "1040" not in threads_read(desk)


def test_what_was_read_in_the_overlap_costs_no_call_until_it_changes(desk: Desk, scout: HelpScout) -> None:
    """Rows do not tell when they were modified, so each is known by all it says but its age in words."""
    desk.headers["Date"] = "Mon, 02 Mar 2026 10:05:00 GMT"
    for number in (101, 102):
        desk.chat(number, "10:04:00")
        desk.say(chat=number)
    walk = Walk(scout)
    walk.on()
    desk.asked.clear()
    desk.rows[101]["customerWaitingSince"] = {"time": day("10:04:00"), "friendly": "2 days ago"}
    again = walk.on()
    assert threads_read(desk) == []
    assert [record for page in again for record in page.records] == []
    desk.touch(102, "10:04:30", tags=[{"id": 1, "tag": "vip"}])
    walk.on()
    assert threads_read(desk) == [102]
    assert next(one for one in walk.records(Conversation) if one.id == "102").tags == ("vip",)


def test_a_row_that_says_when_it_was_modified_has_a_version(desk: Desk, scout: HelpScout) -> None:
    desk.dated = True
    desk.chat(101, "10:04:00")
    desk.say()
    walk = Walk(scout)
    walk.on()
    assert walk.records(Conversation)[0].changed_at == at("10:04:00")
    desk.asked.clear()
    assert [page.records for page in scout.reread(["101"], walk.seen)] == [[]]
    assert threads_read(desk) == []


def test_a_conversation_with_a_thread_that_was_rejected_is_read_again(desk: Desk, scout: HelpScout) -> None:
    desk.headers["Date"] = "Mon, 02 Mar 2026 10:05:00 GMT"
    desk.chat(101, "10:04:00")
    bad = desk.say(createdAt="0000-00-00T00:00:00Z")
    walk = Walk(scout)
    walk.on()
    assert [(one.kind, one.id) for one in walk.rejects] == [("message", str(bad["id"]))]
    bad["createdAt"] = day("10:00:00")
    walk.on()
    assert [one.id for one in walk.records(Message)] == [str(bad["id"])]


def test_threads_are_read_to_their_end(desk: Desk, scout: HelpScout) -> None:
    desk.size = 10
    desk.chat()
    for second in range(45):
        desk.say(clock=f"10:00:{second:02}")
    assert len(pulled(scout, Message)) == 45


def test_threads_without_an_end_are_no_endless_loop(desk: Desk, scout: HelpScout) -> None:
    desk.chat()
    desk.say()
    endless = _sheet("threads", desk.said[101] * 50, 1, 25)
    desk._of_chat = lambda *_: desk._ok(endless)  # type: ignore[method-assign]  # a vendor's fault
    with pytest.raises(BadPayload, match="same threads"):
        Walk(scout).on()


def test_an_account_without_the_newer_threads_gives_the_older_ones(desk: Desk, scout: HelpScout) -> None:
    desk.without["v3"] = 404
    desk.chat()
    desk.say("chat", createdBy={**AGENT, "type": "user"})  # that is how v2 tells an AI agent
    assert [one.author for one in pulled(scout, Message)] == ["bot"]


def test_one_that_vanished_while_we_walked_is_left_to_the_next_look(desk: Desk, scout: HelpScout) -> None:
    desk.many(2)
    desk.after = lambda path: (desk.rows.pop(1001, None), None)[1] if path.startswith("/v2/conversations?") else None
    assert [one.id for one in pulled(scout, Conversation)] == ["1002"]


# --- who said what ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("thread", "author", "author_id", "kind", "public"),
    [
        ({"type": "customer"}, "customer", "8001", "message", True),
        # What an agent forwarded, or a system brought in, is the customer's all the same.
        ({"type": "customer", "source": {"type": "emailfwd", "via": "user"}}, "customer", "8001", "message", True),
        ({"type": "customer", "createdBy": ROBIN, "customer": ADA}, "customer", "8001", "message", True),
        ({"type": "message"}, "human", "256", "message", True),
        ({"type": "message", "state": "hidden"}, "human", "256", "message", True),
        ({"type": "chat"}, "human", "256", "message", True),
        ({"type": "beaconchat", "createdBy": ADA}, "customer", "8001", "message", True),
        ({"type": "beaconchat", "createdBy": AGENT}, "bot", "155250", "message", True),
        ({"type": "message", "createdBy": ITSELF}, "automation", None, "message", True),
        ({"type": "message", "action": {"type": "workflow"}}, "automation", None, "message", True),
        ({"type": "message", "action": {"type": "manual-workflow"}}, "automation", None, "message", True),
        ({"type": "message", "source": {"type": "workflows", "via": "user"}}, "automation", None, "message", True),
        ({"type": "message", "source": {"type": "api", "via": "user"}}, "integration", None, "message", True),
        ({"type": "message", "createdBy": {"id": 9, "type": "oracle"}}, "unknown", None, "message", True),
        ({"type": "message", "createdBy": None}, "unknown", None, "message", True),
        ({"type": "note"}, "human", "256", "note", False),
        ({"type": "phone"}, "human", "256", "activity", False),
        ({"type": "forwardparent"}, "human", "256", "activity", False),
        ({"type": "forwardchild"}, "human", "256", "message", True),
        ({"type": "whisper"}, "human", "256", "activity", False),
        ({"type": "message", "action": {"type": "imported-external"}}, "human", "256", "imported", True),
        ({"type": "customer", "source": {"type": "zendesk", "via": "customer"}}, "customer", "8001", "imported", True),
    ],
)
def test_every_thread_has_its_author_and_its_kind(
    desk: Desk, scout: HelpScout, thread: Row, author: str, author_id: str | None, kind: str, public: bool
) -> None:
    desk.chat()
    desk.say(**({"kind": thread.pop("type")} | thread))
    said = pulled(scout, Message)
    assert [(m.author, m.author_id, m.kind, m.public) for m in said] == [(author, author_id, kind, public)]


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "draft"},
        {"state": "review"},
        {"state": "underreview"},
        {"scheduled": {"scheduledFor": "2026-03-03T09:00:01Z"}},
        {"scheduled": {}, "state": "draft"},
    ],
)
def test_what_was_not_sent_was_not_said(desk: Desk, scout: HelpScout, fields: Row) -> None:
    desk.chat()
    desk.say()
    desk.say("message", "10:05:00", status="closed", assignedTo=ROBIN, **fields)
    walk = Walk(scout)
    walk.on()
    assert [one.author for one in walk.records(Message)] == ["customer"]
    assert [one for one in walk.records(Event) if one.value in ("done", "256")] == []


def test_a_scheduled_reply_was_said_when_it_was_sent(desk: Desk, scout: HelpScout) -> None:
    desk.chat()
    desk.say("message", "10:05:00", scheduled={"scheduledFor": day("18:00:00")})
    assert [one.at for one in pulled(scout, Message)] == [at("18:00:00")]
    del desk.headers["Date"]  # whether it was sent cannot be told
    assert pulled(scout, Message) == []


def test_a_line_is_no_message_and_words_count_without_their_markup(desk: Desk, scout: HelpScout) -> None:
    desk.chat()
    desk.say("lineitem", body=None)
    desk.say(body="<p>2 &lt; 3<br>and <b>so</b></p>")
    assert [(one.length, one.body) for one in pulled(scout, Message)] == [(len("2 < 3 and so"), "2 < 3 and so")]


def test_our_own_note_is_known(desk: Desk, scout: HelpScout) -> None:
    desk.chat()
    desk.say("note", body="<p>[deskpulse] slow</p>", source={"type": "api", "via": "user"})
    assert [(one.own, one.kind) for one in pulled(scout, Message)] == [(True, "note")]


def test_what_is_older_than_its_import_was_imported(desk: Desk, scout: HelpScout) -> None:
    desk.chat(createdAt=day("12:00:00"))
    desk.say(clock="09:00:00")
    desk.say("message", "09:30:00")
    desk.say("lineitem", "12:00:00", action={"type": "imported"})
    desk.say("message", "12:30:00")
    walk = Walk(scout)
    walk.on()
    assert [one.kind for one in walk.records(Message)] == ["imported", "imported", "message"]
    assert walk.records(Conversation)[0].created_at == at("09:00:00")


def test_a_conversation_is_told_with_all_that_is_about_it(desk: Desk, scout: HelpScout) -> None:
    desk.chat(type="chat", tags=[{"id": 1, "tag": "vip"}, {"id": 2, "tag": "b"}], assignee=MIRA)
    desk.say(assignedTo=ORDERS)
    desk.say("lineitem", "10:01:00", assignedTo=MIRA)
    walk = Walk(scout)
    walk.on()
    link = "https://secure.helpscout.net/conversation/101/15101"
    who = {"inbox": "85", "channel": "chat", "contact": "8001", "team": "700", "agent": "257"}
    assert walk.records(Conversation) == [
        Conversation("101", at("10:00:00"), "open", link=link, tags=("b", "vip"), **who)  # type: ignore[arg-type]  # all text
    ]
    assert walk.records(Channel) == [Channel("chat", "live_chat")]
    assert walk.records(Contact) == [Contact("8001")]


@pytest.mark.parametrize(
    ("fields", "channel", "kind"),
    [
        ({"type": "email"}, "email", "email"),
        ({"type": "email", "source": {"type": "beacon-v2", "via": "customer"}}, "email", "email"),
        ({"type": "phone"}, "phone", "phone"),
        ({"type": "chat", "source": {"type": "heymarket"}}, "heymarket", "sms"),
        ({"type": "chat", "source": {"type": "instagram"}}, "instagram", "instagram"),
        ({"type": "pigeon"}, "pigeon", "other"),
        ({"type": "chat", "source": None}, "chat", "live_chat"),
    ],
)
def test_every_channel_has_its_kind(desk: Desk, scout: HelpScout, fields: Row, channel: str, kind: str) -> None:
    desk.chat(**fields)
    desk.say()
    assert pulled(scout, Channel) == [Channel(channel, kind)]


# --- history ---------------------------------------------------------------------------------------------------------


def test_the_status_is_told_by_every_thread(desk: Desk, scout: HelpScout) -> None:
    """Lines, and what people wrote: a reply that closes leaves no line of its own, nor does a customer's that opens."""
    desk.chat(status="closed", closedAt=day("13:00:00"))
    desk.say()
    desk.say("message", "10:05:00", status="pending")
    desk.say("lineitem", "10:10:00", status="closed", createdBy=MIRA)
    desk.say("customer", "11:00:00", status="active")
    desk.say("note", "11:01:00", status="nochange")
    desk.say("lineitem", "13:00:00", status="closed", createdBy=ITSELF)
    assert events(scout, "status") == [
        (at("10:05:00"), "pending", "open", "256"),
        (at("10:10:00"), "done", "pending", "257"),
        (at("11:00:00"), "open", "done", None),
        (at("13:00:00"), "done", "open", None),
    ]


def test_whose_it_was_is_told_by_every_thread(desk: Desk, scout: HelpScout) -> None:
    """A person takes it on the team's behalf; nobody is number 1; a user may be a team that only the list tells."""
    desk.chat(assignee=MIRA)
    desk.say(assignedTo=ANYONE)
    desk.say("lineitem", "10:01:00", assignedTo={"id": 700})
    desk.say("lineitem", "10:02:00", assignedTo=ROBIN)
    desk.say("note", "10:02:30", assignedTo=None)
    desk.say("lineitem", "10:03:00", assignedTo=ANYONE, createdBy=MIRA)
    desk.say("lineitem", "10:04:00", assignedTo=MIRA, createdBy=MIRA)
    assert events(scout, "team") == [
        (at("10:01:00"), "700", None, "256"),
        (at("10:03:00"), None, "700", "257"),
    ]
    assert events(scout, "assigned") == [
        (at("10:02:00"), "256", None, "256"),
        (at("10:03:00"), None, "256", "257"),
        (at("10:04:00"), "257", None, "257"),
    ]
    assert [(one.team, one.agent) for one in pulled(scout, Conversation)] == [(None, "257")]


def test_what_no_thread_told_is_told_by_the_conversation_and_taken_back(desk: Desk, scout: HelpScout) -> None:
    """The event has an id that stays, so that what was so once does not stay for ever."""
    desk.headers["Date"] = "Mon, 02 Mar 2026 10:30:00 GMT"
    desk.chat(status="closed", closedAt=day("12:00:00"), assignee=MIRA)
    desk.say(assignedTo=ROBIN)
    walk = Walk(scout)
    walk.on()
    now = {one.id: one for one in walk.records(Event) if one.derived}
    assert now["101:now:status"][2:6] == (at("12:00:00"), "status", "done", "open")
    assert now["101:now:assigned"][2:6] == (at("10:00:00") + 1, "assigned", "257", "256")
    desk.touch(101, "12:30:00", status="active", assignee=ROBIN)
    walk.on()
    now = {one.id: one for one in walk.records(Event) if one.derived}
    assert now["101:now:status"].value == "open"
    assert now["101:now:assigned"].value == "256"


def test_a_last_word_never_stands_before_the_change_it_repeats(desk: Desk, scout: HelpScout) -> None:
    """Who closed is known by the thread: the conversation's own time may be a second early."""
    desk.chat(status="closed", closedAt=day("11:00:00"))
    desk.say()
    desk.say("lineitem", "11:00:01", status="closed", createdBy=MIRA)
    assert events(scout, "status", derived=True) == [
        (at("11:00:01"), "done", "open", "257"),
        (at("11:00:01") + 1, "done", "done", None),
    ]


def test_without_any_history_the_conversation_says_whose_it_is_and_always_was(desk: Desk, scout: HelpScout) -> None:
    desk.chat(assignee=MIRA)
    desk.say(assignedTo=None)
    assert events(scout, "assigned", derived=True) == []
    assert [one.agent for one in pulled(scout, Conversation)] == ["257"]


def test_a_snoozed_conversation_is_snoozed_until_it_is_not(desk: Desk, scout: HelpScout) -> None:
    desk.headers["Date"] = "Mon, 02 Mar 2026 10:30:00 GMT"
    desk.chat(snooze={"snoozedBy": 256, "snoozedUntil": "2026-03-09T08:00:00Z"})
    desk.say()
    walk = Walk(scout)
    walk.on()
    assert walk.records(Conversation)[0].status == "snoozed"
    desk.touch(101, "12:00:00", snooze=None)
    walk.on()
    assert walk.records(Conversation)[0].status == "open"
    desk.touch(101, "12:01:00", snooze={"snoozedBy": 256}, status="closed")
    walk.on()
    assert walk.records(Conversation)[0].status == "done"


@pytest.mark.parametrize(("told", "when"), [("spam", "10:03:00"), ("nochange", None)])
def test_spam_is_told_with_its_time_where_a_thread_has_it(
    desk: Desk, scout: HelpScout, told: str, when: str | None
) -> None:
    desk.chat(status="spam")
    desk.say()
    desk.say("lineitem", "10:01:00", status=told)
    desk.say("lineitem", "10:02:00", status="active")
    desk.say("lineitem", "10:03:00", status=told)
    desk.say("note", "10:04:00", status=told)
    walk = Walk(scout)
    walk.on()
    spams = [one for one in walk.records(Event) if one.kind == "spam"]
    assert [(one.id, one.at) for one in spams] == [("101:spam", at(when) if when else None)]
    assert walk.records(Conversation)[0].status == "done"


def test_what_was_spam_once_is_no_spam(desk: Desk, scout: HelpScout) -> None:
    desk.chat()
    desk.say(status="spam")
    desk.say("lineitem", "10:02:00", status="active")
    assert events(scout, "spam") == []


def test_a_deleted_conversation_and_a_draft(desk: Desk, scout: HelpScout) -> None:
    desk.chat(101, state="deleted")
    desk.chat(102, state="draft")
    walk = Walk(scout)
    walk.on()
    assert [(one.conversation, one.at) for one in walk.records(Event) if one.kind == "deleted"] == [("101", None)]
    assert [one.id for one in walk.records(Conversation)] == ["101"]
    assert threads_read(desk) == []


def test_a_merge_is_told_by_its_line_where_that_names_the_other(desk: Desk, scout: HelpScout) -> None:
    desk.chat()
    desk.say()
    entities = {"originalConversation": 90, "user": 256, "conversation": 101}
    desk.say("lineitem", "10:05:00", action={"type": "merged", "associatedEntities": entities})
    told = [one for one in pulled(scout, Event) if one.kind == "merged"]
    assert told == [Event("90:merged", "90", at("10:05:00"), "merged", "101", actor="256")]


# --- reading again ---------------------------------------------------------------------------------------------------


def reread(adapter: HelpScout, *ids: str) -> list[Any]:
    return [record for page in adapter.reread(ids, lambda *_: False) for record in page.records]


def test_a_merged_conversation_answers_as_the_other_and_is_told_as_merged(desk: Desk, scout: HelpScout) -> None:
    """The redirect is followed; only the id tells."""
    desk.chat(205)
    desk.say(chat=205)
    desk.chat(101)
    desk.merged[101] = 205
    found = reread(scout, "101", "205")
    assert [one for one in found if isinstance(one, Event) and one.kind in ("merged", "deleted")] == [
        Event("101:merged", "101", None, "merged", "205")
    ]
    assert [one.id for one in found if isinstance(one, Conversation)] == ["205"]
    assert threads_read(desk) == [205]


def test_a_deleted_one_is_told_as_gone(desk: Desk, scout: HelpScout) -> None:
    desk.chat(102)
    desk.say(chat=102)
    found = reread(scout, "101", "102", "no-number")
    gone = [one.conversation for one in found if isinstance(one, Event) and one.kind == "deleted"]
    assert gone == ["101", "no-number"]
    assert [one.id for one in found if isinstance(one, Conversation)] == ["102"]


def test_many_are_read_again_in_batches(desk: Desk, scout: HelpScout) -> None:
    desk.many(60)
    pages = list(scout.reread([str(1000 + n) for n in range(1, 61)], lambda *_: False))
    assert len(pages) == 3
    assert len([one for page in pages for one in page.records if isinstance(one, Conversation)]) == 60


# --- ratings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "score", "said"), [("great", 3.0, "positive"), ("ok", 2.0, "neutral"), ("not-good", 1.0, "negative")]
)
def test_a_rating_points_up_though_its_number_points_down(
    desk: Desk, scout: HelpScout, word: str, score: float, said: str
) -> None:
    desk.chat()
    thread = desk.say("message", "10:05:00", rating={"rating": word})
    desk.rate(word, thread["id"], ratingUserId=257)
    expected = Rating(str(thread["id"]), "101", None, ((at("12:00:00"), score),), 1.0, 3.0, "257")
    assert pulled(scout, Rating) == [expected]
    assert verdict(score, 1.0, 3.0, 4) == said


def test_a_number_that_says_another_word_is_rejected_rather_than_counted(desk: Desk, scout: HelpScout) -> None:
    """So a report that does not filter, or numbers that mean something else, turn no rating around."""
    desk.chat()
    desk.filters = False
    desk.rate("great", 1)
    desk.rate("not-good", 2)
    walk = Walk(scout)
    walk.on()
    assert {one.id: one.answers[0][1] for one in walk.records(Rating)} == {"1": 3.0, "2": 1.0}
    assert {(one.kind, one.id, one.reason) for one in walk.rejects} == {
        ("rating", "1", 'ratingId: 1 among those asked for as "ok"'),
        ("rating", "1", 'ratingId: 1 among those asked for as "not-good"'),
        ("rating", "2", 'ratingId: 3 among those asked for as "great"'),
        ("rating", "2", 'ratingId: 3 among those asked for as "ok"'),
    }


def test_a_number_that_is_a_name_is_not_taken_for_a_word(desk: Desk, scout: HelpScout) -> None:
    desk.chat()
    desk.rate("great", 1, ratingId=77001)
    assert [one.answers[0][1] for one in pulled(scout, Rating)] == [3.0]


def test_ratings_are_read_by_years_from_the_first_inbox_on_and_then_a_month_back(desk: Desk, scout: HelpScout) -> None:
    desk.size = 10
    for n in range(25):
        desk.rate("great", 5000 + n, ratingCreatedAt=f"2025-06-{n + 1:02}T08:00:00Z")
    desk.rate("ok", 6000, ratingCreatedAt="2026-03-03T08:59:00Z")
    walk = Walk(scout)
    walk.on()
    assert len(walk.records(Rating)) == 26
    assert walk.cursors["ratings"] == {"since": from_iso("2026-02-01T09:00:00Z")}
    reports = [path for path in desk.asked if "happiness" in path]
    assert len(reports) == 1 + (3 + 1 + 1) + 3
    assert "start=2025-01-06T08%3A00%3A00Z&end=2026-01-06T08%3A00%3A00Z" in reports[1]
    desk.asked.clear()
    walk.on()
    assert len([path for path in desk.asked if "happiness" in path]) == 3


def test_a_walk_of_ratings_that_broke_off_goes_on_with_its_year(desk: Desk, scout: HelpScout) -> None:
    desk.lists["/v2/mailboxes"][1][0]["createdAt"] = "2024-01-06T08:00:00Z"
    walk, read = Walk(scout), desk._read

    def breaks(path: str, query: httpx.QueryParams) -> httpx.Response:
        last = query.get("start", "").startswith("2026-01-05") and query["rating"] == "ok"
        return httpx.Response(500) if last else read(path, query)

    desk._read = breaks  # type: ignore[method-assign]  # a fault
    with pytest.raises(Transient):
        walk.on()
    assert walk.cursors["ratings"] == {"since": from_iso("2026-01-05T08:00:00Z")}


def test_without_the_services_clock_ratings_have_no_cursor(desk: Desk, scout: HelpScout) -> None:
    del desk.headers["Date"]
    desk.rate("great", 1)
    walk = Walk(scout)
    walk.on()
    assert len(walk.records(Rating)) == 1
    assert "ratings" not in walk.cursors


def test_a_report_that_does_not_turn_its_page_is_no_endless_one(desk: Desk, scout: HelpScout) -> None:
    desk.rate("great", 1)
    desk._report = lambda query, page: {"results": desk.rated, "pages": 9}  # type: ignore[method-assign]  # a fault
    with pytest.raises(BadPayload, match="same ratings twice"):
        Walk(scout).on()


def test_a_report_without_results_is_a_bad_payload(desk: Desk, scout: HelpScout) -> None:
    desk._report = lambda query, page: {"message": "later"}  # type: ignore[method-assign]  # a fault
    with pytest.raises(BadPayload, match="no results"):
        Walk(scout).on()


@pytest.mark.parametrize("status", [402, 403, 404])
def test_a_plan_without_reports_gives_the_threads_own_ratings(desk: Desk, scout: HelpScout, status: int) -> None:
    """Their time is not told: the rated reply's stands for it."""
    desk.without["/v2/reports/happiness/ratings"] = status
    desk.chat()
    rated = [desk.say("message", "10:05:00", rating={"rating": word}) for word in ("great", "okay", "not-good", "")]
    found = pulled(scout, Rating)
    assert [(one.id, one.answers) for one in found] == [
        (str(thread["id"]), ((at("10:05:00"), score),)) for thread, score in zip(rated, (3.0, 2.0, 1.0), strict=False)
    ]
    assert {(one.low, one.high, one.agent) for one in found} == {(1.0, 3.0, "256")}


# --- tags ------------------------------------------------------------------------------------------------------------


def test_a_tag_joins_the_others_though_the_service_replaces_them_all(desk: Desk, scout: HelpScout) -> None:
    desk.chat(tags=[{"id": 1, "tag": "vip"}, {"id": 2, "tag": "refund"}])
    change = scout.add_tag("101", "Deskpulse-Slow ")
    assert desk.sent == [("PUT", "/v2/conversations/101/tags", {"tags": ["vip", "refund", "deskpulse-slow"]})]
    assert change == (("vip", "refund"), ("vip", "refund", "deskpulse-slow"))
    assert scout.remove_tag("101", "deskpulse-slow").after == ("vip", "refund")
    assert scout.tags("101") == ("vip", "refund")


def test_a_tag_that_is_there_or_not_there_costs_no_write(desk: Desk, scout: HelpScout) -> None:
    desk.chat(tags=[{"id": 1, "tag": "vip"}])
    assert scout.add_tag("101", "VIP").after == ("vip",)
    assert scout.remove_tag("101", "other").after == ("vip",)
    assert desk.sent == []


@pytest.mark.parametrize("made", [[], ["deskpulse-slow"], ["vip"]])
def test_a_tag_write_that_reads_back_wrong_is_rejected(desk: Desk, scout: HelpScout, made: list[str]) -> None:
    desk.chat(tags=[{"id": 1, "tag": "vip"}])
    desk.on_tags = lambda tags: made
    with pytest.raises(Rejected, match="set them by hand"):
        scout.add_tag("101", "deskpulse-slow")


def test_a_tag_that_somebody_adds_meanwhile_is_not_called_wrong(desk: Desk, scout: HelpScout) -> None:
    desk.chat(tags=[{"id": 1, "tag": "vip"}])
    desk.on_tags = lambda tags: [*tags, "theirs"]
    assert scout.add_tag("101", "ours").after == ("vip", "ours", "theirs")


def test_nothing_is_written_to_a_conversation_that_was_merged(desk: Desk, scout: HelpScout) -> None:
    """Read by its old id it answers as the other one: its tags would be written there, or go nowhere."""
    desk.chat(205, tags=[{"id": 1, "tag": "vip"}])
    desk.merged[101] = 205
    for act in (lambda: scout.add_tag("101", "x"), lambda: scout.remove_tag("101", "vip")):
        with pytest.raises(Rejected, match="merged into 205"):
            act()
    with pytest.raises(Rejected, match="merged into 205"):
        scout.add_note("101", "[deskpulse] x")
    assert desk.sent == []


# --- notes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["closed", "pending", "active", "spam"])
def test_a_note_leaves_the_status_as_it_is(desk: Desk, scout: HelpScout, status: str) -> None:
    """Without saying it, a closed conversation would be opened again."""
    desk.chat(status=status)
    note = scout.add_note("101", "[deskpulse] slow: 2 < 3\nlook")
    body = {"text": "[deskpulse] slow: 2 &lt; 3<br>look", "status": status}
    assert desk.sent == [("POST", "/v2/conversations/101/notes", body)]
    assert desk.rows[101]["status"] == status
    assert scout.find_note("101", "[deskpulse] slow: 2 < 3\nlook") == note
    assert scout.find_note("101", "[deskpulse] another") is None


def test_a_note_that_is_read_back_as_something_else_is_rejected(desk: Desk, scout: HelpScout) -> None:
    desk.chat()
    desk.as_note = {"type": "message"}
    with pytest.raises(Rejected, match="not there as a note"):
        scout.add_note("101", "[deskpulse] x")


def test_a_note_after_which_the_status_is_another_one_is_rejected(desk: Desk, scout: HelpScout) -> None:
    desk.chat(status="closed")
    said = desk.say
    desk.say = lambda *a, **k: (desk.rows[101].update(status="active"), said(*a, **k))[1]  # type: ignore[method-assign]  # a fault
    with pytest.raises(Rejected, match="was closed and is active"):
        scout.add_note("101", "[deskpulse] x")


def test_a_full_conversation_takes_no_note(desk: Desk, scout: HelpScout) -> None:
    desk.chat(threads=99)
    with pytest.raises(Rejected, match="is full"):
        scout.add_note("101", "[deskpulse] x")
    assert desk.sent == []


def test_a_note_that_a_person_wrote_is_not_found_as_ours(desk: Desk, scout: HelpScout) -> None:
    desk.chat()
    desk.say("note", body="slow")
    desk.say("message", body="[deskpulse] slow")
    assert scout.find_note("101", "slow") is None
    assert scout.find_note("101", "[deskpulse] slow") is None


def test_a_note_stays_and_that_is_said(desk: Desk, scout: HelpScout) -> None:
    desk.chat()
    note = scout.add_note("101", "[deskpulse] x")
    with pytest.raises(Rejected, match=r"delete note .* by hand"):
        scout.remove_note("101", note)
    desk.said[101].clear()
    scout.remove_note("101", note)
    assert [method for method, _, _ in desk.sent] == ["POST"]


def test_no_call_of_it_can_answer_a_customer() -> None:
    source = Path(module.__file__).read_text("utf-8")
    assert re.findall(r'send\(\s*"(\w+)", f?"([^"]+)"', source) == [
        ("PUT", "{ROWS}/{conversation}/tags"),
        ("POST", "{ROWS}/{conversation}/notes"),
    ]
    assert "/reply" not in source


# --- into the store --------------------------------------------------------------------------------------------------


def test_a_second_sync_finds_nothing_new_and_the_second_look_finds_merges(
    desk: Desk, connect: Callable[..., HelpScout], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.many(60)
    thread = desk.say("message", "10:30:00", chat=1060, status="closed", rating={"rating": "great"})
    desk.rate("great", thread["id"], id=1060)
    made = deploy(tmp_path, patched(monkeypatch), helpscout=connect())
    first, second = (sync(made.config, [], made.clock)[0] for _ in range(2))
    assert (first.error, second.error) == (None, None)
    assert first.counts.new > 180
    assert (second.counts.new, second.counts.changed, second.counts.rejected) == (0, 0, 0)
    for number in range(1001, 1061):
        desk.merged[number] = 1060 if number != 1060 else 0
    del desk.merged[1060]
    sync(made.config, [], made.clock)
    with closing(open_store(made.config.database)) as conn:
        told = contents(conn)["events"]
    merged = [row for row in told if row[3] == "merged"]
    assert len(merged) in (HelpScout.reread_limit - 1, HelpScout.reread_limit)  # 1060 may be among them
    assert {row[4] for row in merged} == {"1060"}


# --- doctor ----------------------------------------------------------------------------------------------------------


def findings(adapter: HelpScout) -> dict[str, Finding]:
    return {finding.check: finding for finding in adapter.probe()}


def test_doctor_says_what_can_be_read_and_what_it_costs_where_not(desk: Desk, scout: HelpScout) -> None:
    desk.chat(101, status="closed")
    desk.chat(102)
    found = findings(scout)
    assert {name: one.ok for name, one in found.items()} == {
        "access": None,
        "rate limit": True,
        "inboxes": True,
        "conversations": True,
        "versions": None,
        "threads": True,
        "ratings": True,
        "surveys": None,
        "opening hours": None,
    }
    assert "write to customers, which we never do" in found["access"].detail
    assert found["rate limit"].detail == "400 requests a minute for the whole account, we take 67"
    assert found["conversations"].detail == "2 conversations, 1 of them active"
    assert "csat_response_rate" in found["surveys"].detail


def test_doctor_warns_of_all_that_is_less_than_it_should_be(desk: Desk, connect: Callable[..., HelpScout]) -> None:
    desk.chat()
    desk.me["role"] = "user"
    desk.headers["X-RateLimit-Limit-Minute"] = "200"
    desk.without |= {"/v2/reports/happiness/ratings": 403, "v3": 404}
    desk.lists["/v2/mailboxes"] = ("mailboxes", [])
    found = findings(connect(requests_per_second=5))
    wrong = {name: one.ok for name, one in found.items() if not one.ok}
    assert wrong == {
        "access": None,
        "rate limit": None,
        "inboxes": False,
        "conversations": None,
        "versions": None,
        "threads": None,
        "ratings": None,
        "surveys": None,
        "opening hours": None,
    }
    assert "its own inboxes only" in found["access"].detail
    assert "requests_per_second" in found["rate limit"].remedy
    assert "csat" in found["ratings"].detail


def test_doctor_of_an_empty_account_that_tells_no_limit(desk: Desk, scout: HelpScout) -> None:
    del desk.headers["X-RateLimit-Limit-Minute"]
    found = findings(scout)
    assert "threads" not in found
    assert "plans begin at 200" in found["rate limit"].detail


def test_doctor_is_glad_of_conversations_that_say_when_they_were_modified(desk: Desk, scout: HelpScout) -> None:
    desk.dated = True
    desk.chat()
    assert findings(scout)["versions"].ok


def test_pages_say_how_many_there_will_be(desk: Desk, scout: HelpScout) -> None:
    desk.many(30)
    pages: list[Page] = list(scout.pull("conversations", None, lambda *_: False))
    assert [page.total for page in pages] == [30, 30]
