"""The Freshdesk adapter, through the real client, against a small desk that answers as Freshdesk does."""

from __future__ import annotations

import ast
import base64
import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from pydantic import ValidationError

from adapters import freshdesk as module
from adapters.freshdesk import Freshdesk, FreshdeskSettings
from connector.config import Config, ServiceConfig
from connector.contract import Finding, Notes, Probes, Pulls, Rereads, Tags
from connector.errors import AuthFailed, BadPayload, Rejected
from connector.http import HttpClient
from connector.models import (
    Agent,
    Channel,
    Contact,
    Conversation,
    Event,
    Inbox,
    Instant,
    Message,
    Page,
    Rating,
    Reject,
    Schedule,
    Team,
    from_iso,
    to_iso,
)
from connector.pull import sync
from connector.store.write import Store

HOST = "https://acme.freshdesk.com"
T = from_iso("2026-03-02T10:00:00Z")
"""The pattern's ticket begins."""
NOW = from_iso("2026-06-01T00:00:00Z")
SECOND, MINUTE, DAY = 1000, 60_000, 86_400_000
Row = dict[str, Any]
QUERIES = {
    "/tickets": {"filter", "updated_since", "order_by", "order_type", "include", "per_page", "page"},
    "/contacts": {"_updated_since", "per_page", "page"},
    "/surveys/satisfaction_ratings": {"created_since", "per_page", "page"},
    "/ticket_fields": {"type"},
}


def iso(at: Instant) -> str:
    return f"{to_iso(at)[:19]}Z"


class Clock:
    """Waiting takes no time."""

    passed = 0.0

    def now(self) -> int:
        return NOW

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


class Desk:
    """Freshdesk's side: its lists, their filters, order, caps and headers, and writes as it does them."""

    def __init__(self) -> None:
        self.tickets: dict[int, Row] = {}
        self.said: dict[int, list[Row]] = {}
        self.archived: dict[int, Row] = {}
        self.lists: dict[str, list[Row]] = {
            "/agents": [{"id": n, "contact": {"name": name}} for n, name in ((7, "Grace"), (8, "Linus"), (9, "Pulse"))],
            "/groups": [{"id": 2, "name": "Orders", "business_hour_id": 41}, {"id": 3, "name": "Rest"}],
            "/email_configs": [{"id": 31, "name": "Support", "group_id": 2}, {"id": 32, "name": "Info"}],
            "/business_hours": [],
            "/roles": [{"id": 50, "name": "Account Administrator"}, {"id": 51, "name": "Administrator"}],
            "/contacts": [],
            "/surveys": [],
            "/surveys/satisfaction_ratings": [],
            "/ticket_fields": [],
        }
        self.me: Row = {"id": 9, "ticket_scope": 1, "role_ids": [51], "contact": {"name": "Pulse"}}
        self.limit: dict[str, str] = {"X-RateLimit-Total": "200"}
        self.most_pages, self.without, self.busy = 300, set[str](), 0
        self.asked: list[str] = []
        self.sent: list[tuple[str, str, Any]] = []
        self.on_list: Callable[[], None] = lambda: None
        self.on_tags: Callable[[list[str]], list[str]] = lambda tags: tags
        self.on_note: Callable[[Row], Row] = lambda note: note

    # what a test changes

    def ticket(self, number: int = 18, **fields: Any) -> Row:
        row: Row = {
            "id": number, "status": 2, "source": 1, "requester_id": 5, "responder_id": 7, "group_id": 2, "spam": False,
            "email_config_id": 31, "tags": ["refund"], "description": "<div>Where is it?</div>",
            "description_text": "Where is it?", "created_at": iso(T), "updated_at": iso(T + 60 * MINUTE), "stats": {},
        }  # fmt: skip
        self.tickets[number] = row | fields
        self.said.setdefault(number, [])
        return self.tickets[number]

    def say(self, number: int = 18, **fields: Any) -> Row:
        """One more row of the ticket's conversation: a reply by an agent unless told otherwise."""
        rows = self.said[number]
        row: Row = {
            "id": number * 1000 + len(rows), "body_text": "Hello", "incoming": False, "private": False, "user_id": 7,
            "source": 0, "support_email": "support@acme.example", "created_at": iso(T + (len(rows) + 1) * MINUTE),
        }  # fmt: skip
        rows.append(row | fields)
        return rows[-1]

    def rated(self, code: Any, number: int = 4, **fields: Any) -> None:
        row = {"id": number, "survey_id": 1, "agent_id": 7, "group_id": 2, "ticket_id": 18, "created_at": iso(T + DAY)}
        self.lists["/surveys/satisfaction_ratings"].append(row | {"ratings": {"default_question": code}} | fields)

    def survey(self, *accepted: int) -> None:
        questions = [{"id": "default_question", "label": "?", "accepted_ratings": list(accepted)}]
        self.lists["/surveys"].append({"id": 1, "title": "Survey", "questions": questions})

    # answering

    def __call__(self, request: httpx.Request) -> httpx.Response:
        given = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        assert given == "canary-key:X"
        path, query = request.url.path.removeprefix("/api/v2"), dict(request.url.params)
        self.asked.append(f"{path}?{request.url.query.decode()}".rstrip("?"))
        if self.busy:
            self.busy -= 1
            return httpx.Response(429, headers={"Retry-After": "34"}, json={"message": "You have exceeded the limit"})
        if path in self.without or query.get("filter") in self.without:
            return httpx.Response(403, json={"code": "require_feature", "message": "not supported in your plan"})
        if request.method != "GET":
            return self._write(request.method, path, json.loads(request.content or b"null"))
        return self._read(path, query)

    def _read(self, path: str, query: dict[str, str]) -> httpx.Response:
        strange = query.keys() - QUERIES.get(path, {"per_page", "page", "include"})
        if strange or int(query.get("per_page", 30)) > 100:
            return httpx.Response(400, json={"description": "Validation failed", "errors": [{"field": str(strange)}]})
        if path == "/agents/me":
            return httpx.Response(200, json=self.me, headers=self.limit)
        if path == "/tickets":
            return self._tickets(query)
        if found := re.fullmatch(r"(/tickets(?:/archived)?)/(\d+)(/conversations)?", path):
            return self._of_ticket(
                self.archived if "archived" in found[1] else self.tickets, int(found[2]), found[3], query
            )
        if path not in self.lists:
            return httpx.Response(404)
        since = query.get("_updated_since") or query.get("created_since") or ""
        key = "updated_at" if path == "/contacts" else "created_at"
        return self._page([row for row in self.lists[path] if not since or row[key] >= since], query)

    def _tickets(self, query: dict[str, str]) -> httpx.Response:
        kind = query.get("filter")
        rows = [row for row in self.tickets.values() if _kind(row) == kind]
        if "updated_since" in query:
            rows = [row for row in rows if row["updated_at"] >= query["updated_since"]]
        else:
            rows = [row for row in rows if row["created_at"] >= iso(NOW - 30 * DAY)]
        key = query.get("order_by", "created_at")
        rows.sort(key=lambda row: (row[key], row["id"]), reverse=query.get("order_type", "desc") == "desc")
        included = set(query.get("include", "").split(","))
        hidden = {"stats", "description"} - included
        shown = [{k: v for k, v in row.items() if k.removesuffix("_text") not in hidden} for row in rows]
        answer = self._page(shown, query)
        self.on_list()
        return answer

    def _of_ticket(self, where: dict[int, Row], number: int, part: str | None, query: dict[str, str]) -> httpx.Response:
        if number not in where:
            return httpx.Response(404)
        if part:
            return self._page(sorted(self.said[number], key=lambda row: row["created_at"] or ""), query)
        row = where[number]
        return httpx.Response(200, json={k: v for k, v in row.items() if k != "stats" or "include" in query})

    def _page(self, rows: list[Row], query: dict[str, str]) -> httpx.Response:
        page, size = int(query.get("page", 1)), int(query.get("per_page", 30))
        if page > self.most_pages:
            return httpx.Response(400, json={"description": "You cannot access tickets beyond the 300th page"})
        following = f'<{HOST}/api/v2/x?page={page + 1}>;rel="next"' if len(rows) > page * size else None
        headers = {"link": following} if following else {}
        return httpx.Response(200, json=rows[page * size - size : page * size], headers=headers)

    def _write(self, method: str, path: str, body: Any) -> httpx.Response:
        self.sent.append((method, path, body))
        number = int(re.findall(r"\d+", path)[0])
        if method == "PUT":
            self.tickets[number]["tags"] = self.on_tags(body["tags"])
            return httpx.Response(200, json=self.tickets[number])
        if method == "POST":
            told = {"body_text": html.unescape(re.sub(r"<[^>]+>", "", body["body"]))}
            note = {"source": 2, "support_email": None, "user_id": 9, "private": body["private"]}
            return httpx.Response(201, json=self.say(number, **self.on_note(note | told)))
        for rows in self.said.values():
            rows[:] = [row for row in rows if row["id"] != number]
        return httpx.Response(204)


def _kind(row: Row) -> str | None:
    return "deleted" if row.get("deleted") else "spam" if row.get("spam") else None


@pytest.fixture
def desk() -> Iterator[Desk]:
    with respx.mock:
        desk = Desk()
        respx.route(host="acme.freshdesk.com").mock(side_effect=desk)
        yield desk


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connect(desk: Desk, clock: Clock) -> Iterator[Callable[..., Freshdesk]]:
    clients = []

    def connect(**more: Any) -> Freshdesk:
        settings = FreshdeskSettings(url="acme", api_key="canary-key", **more)
        clients.append(HttpClient(Freshdesk.service(settings), clock, name="freshdesk", demo=False))
        return Freshdesk(settings, clients[-1])

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def adapter(connect: Callable[..., Freshdesk]) -> Freshdesk:
    return connect()


class Stored:
    """What a store would hold: the newest of each record, the cursor of each stream."""

    def __init__(self) -> None:
        self.records: dict[tuple[type, str], Any] = {}
        self.cursors: dict[str, Any] = {}
        self.rejects: list[Reject] = []

    def seen(self, conversation: str, changed_at: int | None) -> bool:
        known = self.records.get((Conversation, conversation))
        return changed_at is not None and known is not None and known.changed_at == changed_at

    def pull(self, adapter: Freshdesk, *streams: str, most: int = 1000) -> list[Page]:
        pages = []
        for stream in streams or adapter.streams:
            for page in adapter.pull(stream, self.cursors.get(stream), self.seen):
                pages.append(page)
                self.records |= {(type(record), record.id): record for record in page.records}
                self.rejects += page.rejects
                if page.cursor is not None:
                    self.cursors[stream] = json.loads(json.dumps(page.cursor))
                if len(pages) == most:
                    return pages
        return pages

    def all(self, kind: type) -> list[Any]:
        return [record for (of, _), record in self.records.items() if of is kind]

    def one(self, number: int = 18) -> Conversation:
        return self.records[Conversation, str(number)]


@pytest.fixture
def stored() -> Stored:
    return Stored()


def pulled(adapter: Freshdesk, kind: type, *streams: str) -> list[Any]:
    stored = Stored()
    stored.pull(adapter, *(streams or ("conversations",)))
    return stored.all(kind)


def statuses(events: list[Event], number: int = 18) -> list[tuple[float, str | None, bool]]:
    """(minutes since the ticket began, status, derived) of what stays; a millisecond short of 40 is 39.99."""
    kept = [e for e in events if e.kind == "status" and not e.id.endswith(":now") and e.conversation == str(number)]
    return [((e.at - T) // 600 / 100, e.value, e.derived) for e in sorted(kept, key=lambda e: e.at)]


def spoken(desk: Desk, adapter: Freshdesk, **row: Any) -> Message:
    desk.ticket()
    said = desk.say(**row)
    return next(one for one in pulled(adapter, Message) if one.id == str(said["id"]))


# --- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("acme", HOST),
        (" acme.freshdesk.com ", HOST),
        ("https://acme.freshdesk.com/a/tickets/18?x=1", HOST),
        ("http://acme.freshdesk.com", HOST),
        ("http://127.0.0.1:8420", "http://127.0.0.1:8420"),
    ],
)
def test_the_name_or_an_address_copied_from_the_browser_will_do(given: str, taken: str) -> None:
    assert FreshdeskSettings(url=given, api_key="k").url == taken


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "https://support.acme.com"},
        {"url": "https://acme.myfreshworks.com"},
        {"url": "https://evilfreshdesk.com"},
        {"url": ""},
        {"merged_note": "merged"},
        {"merged_note": "("},
        {"statuses": {8: "closed"}},
        {"requests_per_second": 0},
    ],
)
def test_a_wrong_setting_is_refused(wrong: Row) -> None:
    with pytest.raises(ValidationError):
        FreshdeskSettings(**{"url": "acme", "api_key": "k", **wrong})


def test_the_key_is_never_shown(adapter: Freshdesk) -> None:
    shown = repr(adapter.settings) + repr(Freshdesk.service(adapter.settings))
    assert "canary-key" not in shown


def test_it_pulls_rereads_tags_notes_and_probes(adapter: Freshdesk) -> None:
    assert all(isinstance(adapter, kind) for kind in (Pulls, Rereads, Tags, Notes, Probes))


# --- the directory -------------------------------------------------------------------------------------------------


def test_the_directory_has_mailboxes_groups_and_agents(adapter: Freshdesk) -> None:
    stored = Stored()
    stored.pull(adapter, "directory")
    assert stored.all(Agent) == [Agent("7", "Grace"), Agent("8", "Linus"), Agent("9", "Pulse")]
    assert stored.all(Team) == [Team("2", "Orders"), Team("3", "Rest")]
    assert stored.all(Inbox) == [Inbox("31", "Support", "1"), Inbox("32", "Info", "1")]


def test_an_unchanged_directory_is_not_handed_over_again(desk: Desk, adapter: Freshdesk, connect, stored) -> None:
    stored.pull(adapter, "directory")
    assert [page.records for page in stored.pull(connect(), "directory")] == [[]]
    desk.lists["/agents"].append({"id": 10, "contact": {"name": "New"}})
    assert Agent("10", "New") in stored.pull(connect(), "directory")[0].records


def hours(number: int, zone: str, default: bool = False, **days: tuple[str, str]) -> Row:
    spans = {day: {"start_time": start, "end_time": end} for day, (start, end) in days.items()}
    return {"id": number, "is_default": default, "time_zone": zone, "business_hours": spans}


def test_a_mailbox_has_the_hours_of_its_group_and_all_else_the_default_ones(desk: Desk, adapter: Freshdesk) -> None:
    day = ("8:00 am", "5:30 pm")
    desk.lists["/business_hours"] = [hours(40, "Chennai", True, monday=day), hours(41, "Berlin", sunday=day)]
    desk.ticket(source=2, email_config_id=None)
    stored = Stored()
    stored.pull(adapter, "directory", "conversations")
    open_ = ((480, 1050),)
    default = Schedule("Asia/Kolkata", (open_, (), (), (), (), (), ()))
    assert {box.id: box.schedule for box in stored.all(Inbox)} == {
        "31": Schedule("Europe/Berlin", ((), (), (), (), (), (), open_)),
        "32": default,
        "source-2": default,
    }


@pytest.mark.parametrize(
    ("start", "end", "open_"),
    [
        ("12:00 am", "11:59 pm", ((0, 1440),)),
        ("12:00 pm", "12:00 am", ((720, 1440),)),
        ("08:30 AM", "12:15 PM", ((510, 735),)),
        ("5:00 pm", "8:00 am", ()),
        ("8", "17", ()),
    ],
)
def test_hours_are_twelve_hour_text(desk: Desk, adapter: Freshdesk, start: str, end: str, open_: Any) -> None:
    desk.lists["/business_hours"] = [hours(40, "Chennai", True, monday=(start, end))]
    box = next(box for box in pulled(adapter, Inbox, "directory") if box.id == "32")
    assert box.schedule.hours[0] == open_


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Eastern Time (US & Canada)", "America/New_York"),
        ("Chennai", "Asia/Kolkata"),
        ("Mexico City", "America/Mexico_City"),
        ("Samoa", "Pacific/Apia"),
        ("Europe/Oslo", "Europe/Oslo"),
    ],
)
def test_zones_go_by_their_rails_names(desk: Desk, adapter: Freshdesk, name: str, zone: str) -> None:
    desk.lists["/business_hours"] = [hours(40, name, True, monday=("8:00 am", "5:00 pm"))]
    assert pulled(adapter, Inbox, "directory")[1].schedule.zone == zone


def test_hours_in_a_zone_that_nobody_knows_are_rejected_and_the_inbox_is_kept(desk: Desk, adapter, stored) -> None:
    desk.lists["/business_hours"] = [hours(40, "Narnia", True, monday=("8:00 am", "5:00 pm"))]
    stored.pull(adapter, "directory")
    assert [(reject.kind, reject.id) for reject in stored.rejects] == [("inbox", "hours 40")]
    assert Inbox("32", "Info", "1") in stored.all(Inbox)


def test_lists_that_the_plan_does_not_have_are_empty(desk: Desk, adapter: Freshdesk, stored: Stored) -> None:
    optional = ("/agents", "/groups", "/email_configs", "/business_hours", "/contacts", "/surveys", "spam", "deleted")
    desk.without = {*optional, "/surveys/satisfaction_ratings"}
    desk.ticket()
    desk.say()
    stored.pull(adapter)
    assert [one.author for one in stored.all(Message)] == ["customer", "human"]
    assert not stored.rejects


def test_a_refused_list_of_tickets_is_the_keys_fault(desk: Desk, adapter: Freshdesk) -> None:
    desk.without = {"/tickets"}
    with pytest.raises(AuthFailed):
        pulled(adapter, Conversation)


# --- contacts ----------------------------------------------------------------------------------------------------


def contact(number: int, at: Instant) -> Row:
    return {"id": number, "name": "N", "language": "fr", "created_at": iso(T), "updated_at": iso(at)}


def test_contacts_have_a_language_and_no_name(desk: Desk, adapter: Freshdesk) -> None:
    desk.lists["/contacts"] = [contact(5, T)]
    assert pulled(adapter, Contact, "contacts") == [Contact("5", "fr", T)]
    assert desk.asked[0].startswith("/contacts?_updated_since=2000-01-01T00%3A00%3A00Z")


def test_contacts_in_no_order_move_the_cursor_at_the_end(
    desk: Desk, adapter: Freshdesk, stored: Stored, connect
) -> None:
    desk.lists["/contacts"] = [contact(n, T + (n * 37 % 250) * MINUTE) for n in range(1, 251)]
    stored.pull(adapter, "contacts", most=2)
    assert stored.cursors["contacts"]["since"] == module.EARLIEST
    stored.pull(connect(), "contacts")
    assert len(stored.all(Contact)) == 250
    assert stored.cursors["contacts"] == {"since": T + 249 * MINUTE}
    desk.asked.clear()
    assert [page.records for page in stored.pull(connect(), "contacts")] == [[]]
    assert len(desk.asked) == 1


# --- tickets: the walk ---------------------------------------------------------------------------------------------


def lists(desk: Desk, kind: str = "include=") -> list[str]:
    return [one for one in desk.asked if one.startswith("/tickets?") and kind in one]


def test_the_first_pull_asks_for_all_times_since_else_there_are_thirty_days(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket(created_at="2019-05-01T00:00:00Z", updated_at="2019-05-02T00:00:00Z")
    assert [one.id for one in pulled(adapter, Conversation)] == ["18"]
    asked = httpx.URL(HOST + lists(desk)[0]).params
    assert asked["updated_since"] == "2000-01-01T00:00:00Z"
    assert (asked["order_by"], asked["order_type"]) == ("updated_at", "asc")


def test_each_list_pays_for_what_it_needs_and_no_more(desk: Desk, adapter: Freshdesk, stored: Stored) -> None:
    """Every include of a list costs two more calls."""
    stored.pull(adapter)
    included = [httpx.URL(HOST + one).params.get("include") for one in lists(desk, "")]
    assert included == ["stats,description", None, None]
    assert all(httpx.URL(HOST + one).params["per_page"] == "100" for one in lists(desk, ""))


def test_all_pages_are_walked_to_the_one_without_a_next(
    desk: Desk, adapter: Freshdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PER_PAGE", 5)
    for n in range(1, 24):
        desk.ticket(n, updated_at=iso(T + n * MINUTE))
    assert len(pulled(adapter, Conversation)) == 23


def test_a_full_last_page_is_the_last_one(desk: Desk, adapter: Freshdesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PER_PAGE", 5)
    for n in range(1, 6):
        desk.ticket(n, updated_at=iso(T + n * MINUTE))
    assert len(pulled(adapter, Conversation)) == 5
    assert len(lists(desk)) == 1


def test_more_tickets_than_the_last_page_holds_are_all_read(
    desk: Desk, adapter: Freshdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages end at 3 here instead of 300: 100 tickets are 20 pages."""
    monkeypatch.setattr(module, "PER_PAGE", 5)
    monkeypatch.setattr(module, "MOST_PAGES", 3)
    desk.most_pages = 3
    for n in range(1, 101):
        desk.ticket(n, updated_at=iso(T + n // 3 * SECOND))
    assert len(pulled(adapter, Conversation)) == 100


def test_as_many_changes_in_one_second_as_there_are_pages_are_read(
    desk: Desk, adapter: Freshdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PER_PAGE", 5)
    monkeypatch.setattr(module, "MOST_PAGES", 3)
    desk.most_pages = 3
    for n in range(1, 15):
        desk.ticket(n, updated_at=iso(T))
    desk.ticket(15, updated_at=iso(T + MINUTE))
    assert len(pulled(adapter, Conversation)) == 15


def test_more_changes_in_one_second_than_pages_stop_the_walk_before_a_loss(
    desk: Desk, adapter: Freshdesk, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PER_PAGE", 5)
    monkeypatch.setattr(module, "MOST_PAGES", 3)
    desk.most_pages = 3
    for n in range(1, 30):
        desk.ticket(n, updated_at=iso(T))
    with pytest.raises(BadPayload, match="more than 15 tickets changed in the second"):
        stored.pull(adapter, "conversations")
    assert stored.cursors["conversations"]["since"] < T


def test_a_ticket_that_changes_during_the_walk_makes_it_skip_none(
    desk: Desk, adapter: Freshdesk, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It moves to the end, and all behind it move up by one, past the border of the pages."""
    monkeypatch.setattr(module, "PER_PAGE", 5)
    for n in range(1, 21):
        desk.ticket(n, updated_at=iso(T + n * MINUTE))
    moved = iter(range(1, 20, 2))

    def change() -> None:
        number = next(moved, None)
        if number:
            desk.tickets[number]["updated_at"] = iso(T + 1000 * MINUTE + number * SECOND)

    desk.on_list = change
    stored.pull(adapter, "conversations")
    assert len(stored.all(Conversation)) == 20


def test_a_change_among_many_of_one_second_makes_the_walk_skip_none(
    desk: Desk, adapter: Freshdesk, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PER_PAGE", 5)
    for n in range(1, 13):
        desk.ticket(n, updated_at=iso(T))
    moved = iter((1, 2))

    def change() -> None:
        number = next(moved, None)
        if number:
            desk.tickets[number]["updated_at"] = iso(T + DAY + number * MINUTE)

    desk.on_list = change
    stored.pull(adapter, "conversations")
    assert len(stored.all(Conversation)) == 12
    desk.on_list = lambda: None
    assert {one.id: one.changed_at for one in stored.all(Conversation)}["1"] == T + DAY + MINUTE


def test_a_page_out_of_order_is_no_reason_to_move_on_to_its_last_change(
    desk: Desk, adapter: Freshdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PER_PAGE", 5)
    for n in range(1, 21):
        desk.ticket(n, updated_at=iso(T + n * MINUTE))
    plain = desk._page
    desk._page = lambda rows, query: plain(sorted(rows, key=lambda row: row["id"] * 7 % 20), query)  # type: ignore[method-assign]  # the desk loses its order
    assert len(pulled(adapter, Conversation)) == 20


def test_a_walk_that_broke_off_goes_on_where_it_was(
    desk: Desk, adapter: Freshdesk, stored: Stored, connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PER_PAGE", 5)
    for n in range(1, 21):
        desk.ticket(n, updated_at=iso(T + n * MINUTE))
    stored.pull(adapter, "conversations", most=2)
    desk.asked.clear()
    stored.pull(connect(), "conversations")
    assert len(stored.all(Conversation)) == 20
    assert len([one for one in desk.asked if "/conversations" in one]) == 11  # nine were read before


def test_an_unchanged_second_pull_asks_once_a_list_and_stores_nothing(
    desk: Desk, adapter: Freshdesk, stored: Stored, connect
) -> None:
    for n in range(1, 4):
        desk.ticket(n, updated_at=iso(T + n * MINUTE))
        desk.say(n)
    first = {record for page in stored.pull(adapter) for record in page.records}
    desk.asked.clear()
    again = [record for page in stored.pull(connect()) for record in page.records]
    assert [record for record in again if record not in first] == []
    assert not [one for one in desk.asked if "/conversations" in one]
    assert len(lists(desk, "")) == 3


def test_the_next_pull_begins_ten_minutes_before_the_newest_change(
    desk: Desk, adapter: Freshdesk, stored: Stored, connect
) -> None:
    desk.ticket()
    stored.pull(adapter, "conversations")
    assert stored.cursors["conversations"] == {"since": T + 50 * MINUTE}
    desk.ticket(19, updated_at=iso(T + 51 * MINUTE))  # it came late, and behind
    stored.pull(connect(), "conversations")
    assert len(stored.all(Conversation)) == 2


def test_only_what_changed_is_read_again(desk: Desk, adapter: Freshdesk, stored: Stored, connect) -> None:
    for n in (1, 2):
        desk.ticket(n)
    stored.pull(adapter, "conversations")
    desk.asked.clear()
    desk.tickets[2]["updated_at"] = iso(T + 70 * MINUTE)
    desk.say(2)
    stored.pull(connect(), "conversations")
    assert [one.split("?")[0] for one in desk.asked if "/conversations" in one] == ["/tickets/2/conversations"]


def test_one_bad_ticket_is_counted_and_the_others_stay(desk: Desk, adapter: Freshdesk, stored: Stored) -> None:
    desk.ticket(1, created_at="yesterday")
    desk.ticket(2)
    stored.pull(adapter, "conversations")
    assert [(one.kind, one.id) for one in stored.rejects] == [("conversation", "1")]
    assert [one.id for one in stored.all(Conversation)] == ["2"]


def test_an_empty_account_is_no_error(adapter: Freshdesk, stored: Stored) -> None:
    stored.pull(adapter)
    assert not stored.all(Conversation)


def test_an_answer_that_is_no_list_stops_before_the_cursor_moves(
    desk: Desk, adapter: Freshdesk, stored: Stored
) -> None:
    desk._page = lambda rows, query: httpx.Response(200, json={"tickets": []})  # type: ignore[method-assign]  # no list
    with pytest.raises(BadPayload):
        stored.pull(adapter, "conversations")
    assert not stored.cursors


# --- limits ------------------------------------------------------------------------------------------------------


def test_it_waits_as_long_as_it_is_told(desk: Desk, adapter: Freshdesk, clock: Clock) -> None:
    desk.ticket()
    desk.busy = 1
    assert len(pulled(adapter, Conversation)) == 1
    assert clock.passed >= 34


def test_a_third_of_the_smallest_plan_is_ours_unless_told_otherwise(connect, clock: Clock) -> None:
    service = Freshdesk.service(connect().settings)
    assert service.per_second * 60 == pytest.approx(200 / 3)
    assert service.budgets["GET /api/v2/tickets"] * 60 == pytest.approx(20 / 3)
    assert Freshdesk.service(connect(requests_per_second=3).settings).per_second == 3


def test_lists_of_tickets_are_asked_for_more_slowly_than_all_else(desk: Desk, connect, clock: Clock) -> None:
    adapter = connect(requests_per_second=1)
    for _ in range(3):
        adapter.http.get("/api/v2/tickets", {"per_page": 1})
    assert clock.passed == pytest.approx(20)
    for _ in range(5):
        adapter.http.get("/api/v2/tickets/18/conversations") if 18 in desk.tickets else adapter.http.get(
            "/api/v2/groups"
        )
    assert clock.passed <= 26


# --- tickets: what they say ------------------------------------------------------------------------------------------


def test_a_ticket_arrives_whole(desk: Desk, adapter: Freshdesk, stored: Stored) -> None:
    stats = {"resolved_at": iso(T + 60 * MINUTE), "status_updated_at": iso(T + 60 * MINUTE)}
    desk.ticket(status=4, stats=stats)
    desk.say(body_text="Shipped yesterday.")
    desk.say(body_text="VIP", private=True, source=2, support_email=None)
    stored.pull(adapter, "conversations")
    assert stored.one() == Conversation(
        "18", T, "done", T + 60 * MINUTE, "31", "1", "5", "2", "7", None, f"{HOST}/a/tickets/18", ("refund",)
    )
    assert stored.all(Channel) == [Channel("1", "email")]
    assert [(m.id, m.at, m.author, m.author_id, m.public, m.kind, m.length) for m in stored.all(Message)] == [
        ("18:description", T, "customer", "5", True, "message", 12),
        ("18000", T + MINUTE, "human", "7", True, "message", 18),
        ("18001", T + 2 * MINUTE, "human", "7", False, "note", 3),
    ]


def test_what_an_outbound_mail_begins_was_begun_by_an_agent(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket(source=10)
    first = pulled(adapter, Message)[0]
    assert (first.author, first.author_id) == ("human", None)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (1, "email"),
        (2, "email"),
        (3, "phone"),
        (5, "x"),
        (6, "facebook"),
        (7, "live_chat"),
        (13, "whatsapp"),
        (99, "other"),
    ],
)
def test_a_tickets_source_is_its_channel(desk: Desk, adapter: Freshdesk, source: int, kind: str) -> None:
    desk.ticket(source=source, email_config_id=None)
    assert pulled(adapter, Channel) == [Channel(str(source), kind)]
    assert pulled(adapter, Conversation)[0].inbox == f"source-{source}"


@pytest.mark.parametrize(
    ("row", "author", "kind"),
    [
        ({}, "human", "message"),
        ({"user_id": 5, "incoming": True, "support_email": None}, "customer", "message"),
        ({"user_id": 66, "incoming": True, "support_email": None}, "customer", "message"),  # somebody in copy
        ({"user_id": 5, "support_email": None}, "customer", "message"),  # from the portal
        ({"user_id": 7, "incoming": True}, "customer", "message"),  # an agent who asks is a customer
        ({"private": True, "source": 2, "support_email": None}, "human", "note"),
        ({"source": 2, "support_email": None}, "human", "message"),  # a public note is seen by the customer
        ({"source": 5}, "human", "message"),
        ({"source": 9}, "human", "message"),
        ({"source": 8}, "human", "note"),  # forwarded to somebody else, whether or not it says private
        ({"source": 2, "private": True, "incoming": True, "user_id": 66}, "unknown", "note"),  # somebody else's answer
        ({"source": 6, "incoming": True, "user_id": 5}, "customer", "survey"),
        ({"user_id": 404}, "human", "message"),  # who left the company wrote from a support address
        ({"user_id": 404, "support_email": None, "source": 2, "private": True}, "human", "note"),
        ({"user_id": 404, "support_email": None}, "unknown", "message"),
        ({"source": 77}, "unknown", "message"),
        ({"source": 77, "incoming": True, "user_id": 5}, "customer", "message"),
    ],
)
def test_every_message_knows_who_wrote_it(desk: Desk, adapter: Freshdesk, row: Row, author: str, kind: str) -> None:
    message = spoken(desk, adapter, **row)
    assert (message.author, message.kind) == (author, kind)
    assert message.public == (kind != "note")
    assert message.author_id == (None if author == "unknown" else str(row.get("user_id", 7)))


def test_an_agent_who_asks_is_the_customer_and_answers_as_an_agent(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket(requester_id=8)
    desk.say(user_id=8, source=2, private=True, support_email=None)
    assert [one.author for one in pulled(adapter, Message)] == ["customer", "human"]


def test_our_own_note_is_known_as_ours_and_a_customers_word_is_not(desk: Desk, adapter: Freshdesk) -> None:
    text = "[deskpulse] slow first reply"
    assert spoken(desk, adapter, body_text=text, private=True, source=2).own
    assert not spoken(desk, adapter, body_text=text, incoming=True, user_id=5).own


def test_a_deleted_note_is_left_as_it_was_and_a_deleted_reply_loses_its_words(desk: Desk, adapter: Freshdesk) -> None:
    """Without its words, a note of ours would not be known as ours."""
    desk.ticket()
    desk.say(private=True, source=2, deleted=True, body_text="")
    desk.say(deleted=True)
    assert [(one.id, one.length) for one in pulled(adapter, Message)] == [("18:description", 12), ("18001", 0)]


def test_a_long_ticket_is_read_to_its_end(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket()
    for n in range(250):
        desk.say(id=n)
    assert len(pulled(adapter, Message)) == 251


def test_messages_that_repeat_themselves_end_the_walk(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket()
    desk.say()
    plain = desk._of_ticket

    def endless(where: Any, number: int, part: str | None, query: dict[str, str]) -> httpx.Response:
        answer = plain(where, number, part, query | {"page": "1"})
        return httpx.Response(200, json=answer.json(), headers={"link": '<x>; rel="next"'})

    desk._of_ticket = endless  # type: ignore[method-assign]  # its list never ends
    with pytest.raises(BadPayload, match="same page twice"):
        pulled(adapter, Message)


def test_one_bad_message_is_counted_and_the_others_stay(desk: Desk, adapter: Freshdesk, stored: Stored) -> None:
    desk.ticket()
    desk.say(created_at=None)
    desk.say()
    stored.pull(adapter, "conversations")
    assert [(one.kind, one.id) for one in stored.rejects] == [("message", "18000")]
    assert [one.id for one in stored.all(Message)] == ["18:description", "18001"]


def test_a_ticket_deleted_between_list_and_reading_is_left_out(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket(1)
    desk.ticket(2)
    desk.on_list = lambda: desk.tickets.pop(1, None) and None
    assert [one.id for one in pulled(adapter, Conversation)] == ["2"]


# --- tickets: what became of them ------------------------------------------------------------------------------------


def at(minutes: int) -> str:
    return iso(T + minutes * MINUTE)


@pytest.mark.parametrize(
    ("status", "stats", "told"),
    [
        (2, {}, []),
        # Resolved by the agent; closed days later by a rule.
        (5, {"resolved_at": at(30), "closed_at": at(50), "status_updated_at": at(50)}, [(30, "done", False)]),
        (5, {"closed_at": at(50)}, [(50, "done", False)]),
        (3, {"pending_since": at(20)}, [(20, "pending", False)]),
        (3, {"pending_since": at(20), "status_updated_at": at(25)}, [(25, "pending", False)]),
        # Reopened: its stamps were wiped, so the resolving is only known to have been before.
        (2, {"reopened_at": at(40)}, [(39.99, "done", True), (40, "open", False)]),
        (
            4,
            {"reopened_at": at(40), "resolved_at": at(45)},
            [(39.99, "done", True), (40, "open", False), (45, "done", False)],
        ),
        # Reopened, with its first resolving still told.
        (2, {"resolved_at": at(30), "reopened_at": at(40)}, [(30, "done", False), (40, "open", False)]),
        # Stamps that disagree with the status: the status is right.
        (3, {"resolved_at": at(50), "status_updated_at": at(40)}, [(50, "done", False), (50, "pending", False)]),
        # Without any stats: what it is, since it last changed.
        (4, {}, [(60, "done", True)]),
        (4, None, [(60, "done", True)]),
    ],
)
def test_the_status_is_told_by_the_stats(
    desk: Desk, adapter: Freshdesk, status: int, stats: Row | None, told: list[Any]
) -> None:
    desk.ticket(status=status, stats=stats)
    assert statuses(pulled(adapter, Event)) == told


def test_a_change_by_a_rule_moves_no_resolving(desk: Desk, adapter: Freshdesk, stored: Stored, connect) -> None:
    """updated_at moves by automations, by SLA jobs and by our own tags."""
    desk.ticket(status=4, stats={"resolved_at": at(30)})
    stored.pull(adapter, "conversations")
    desk.tickets[18]["updated_at"] = at(500)
    stored.pull(connect(), "conversations")
    assert statuses(stored.all(Event)) == [(30, "done", False)]


def test_a_resolving_stays_known_after_the_reopening_wiped_it(
    desk: Desk, adapter: Freshdesk, stored: Stored, connect
) -> None:
    desk.ticket(status=4, stats={"resolved_at": at(30)})
    stored.pull(adapter, "conversations")
    desk.ticket(status=3, updated_at=at(90), stats={"reopened_at": at(70), "status_updated_at": at(80)})
    stored.pull(connect(), "conversations")
    told = statuses(stored.all(Event))
    assert [(minute, value) for minute, value, derived in told if not derived] == [
        (30, "done"),
        (70, "open"),
        (80, "pending"),
    ]


@pytest.mark.parametrize(
    ("status", "ours"), [(2, "open"), (3, "pending"), (4, "done"), (5, "done"), (6, "pending"), (42, "open")]
)
def test_statuses_have_their_codes(desk: Desk, adapter: Freshdesk, status: int, ours: str) -> None:
    desk.ticket(status=status)
    assert pulled(adapter, Conversation)[0].status == ours


def test_ones_own_statuses_count_as_the_settings_say(desk: Desk, connect) -> None:
    desk.ticket(status=8)
    assert pulled(connect(statuses={"8": "snoozed"}), Conversation)[0].status == "snoozed"


@pytest.mark.parametrize("kind", ["spam", "deleted"])
def test_spam_and_the_trash_have_passes_of_their_own(desk: Desk, adapter: Freshdesk, stored: Stored, kind: str) -> None:
    desk.ticket(18, updated_at=at(60), **{kind: True})
    stored.pull(adapter, "conversations")
    assert not stored.all(Conversation)
    stored.pull(adapter, kind)
    assert stored.all(Event) == [Event("18:now", "18", T + 60 * MINUTE, kind)]  # type: ignore[arg-type]  # a kind of ours
    assert stored.one().status == "done"
    asked = httpx.URL(HOST + lists(desk, f"filter={kind}")[0]).params
    assert asked["updated_since"] == "2000-01-01T00:00:00Z"


def test_a_row_of_the_spam_list_is_spam_whatever_it_says(desk: Desk, adapter: Freshdesk, stored: Stored) -> None:
    desk.ticket(spam=True)
    plain = desk._page
    desk._page = lambda rows, query: plain([row | {"spam": None} for row in rows], query)  # type: ignore[method-assign]  # unsaid
    stored.pull(adapter, "spam")
    assert [one.kind for one in stored.all(Event)] == ["spam"]


@pytest.mark.parametrize("kind", ["spam", "deleted"])
def test_a_ticket_restored_is_a_ticket_again(
    desk: Desk, adapter: Freshdesk, stored: Stored, connect, kind: str
) -> None:
    desk.ticket()
    desk.say()
    stored.pull(adapter)
    desk.tickets[18] |= {kind: True, "updated_at": at(70)}
    stored.pull(connect())
    assert [one.kind for one in stored.all(Event)] == [kind]
    desk.tickets[18] |= {kind: False}  # even where its stamp did not move
    stored.pull(connect())
    assert [one.kind for one in stored.all(Event)] == ["status"]
    assert stored.one().status == "open"


MERGED = "This ticket is closed and merged into ticket #20"


def test_a_merged_ticket_is_linked_to_the_one_that_goes_on(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket(status=5, stats={"closed_at": at(5)})
    desk.say(source=2, private=True, body_text=MERGED, support_email=None)
    merged = [one for one in pulled(adapter, Event) if one.kind == "merged"]
    assert merged == [Event("18:now", "18", T + MINUTE, "merged", "20")]


@pytest.mark.parametrize(
    ("status", "row"),
    [
        (2, {"source": 2, "private": True, "body_text": MERGED}),
        (5, {"source": 2, "incoming": True, "body_text": MERGED}),
        (5, {"source": 0, "body_text": MERGED}),
        (5, {"source": 2, "body_text": "Ticket with ID 20 is merged into this ticket."}),
        (5, {"source": 2, "body_text": "merged into ticket 18"}),
    ],
)
def test_a_ticket_that_is_not_merged_is_not_called_so(desk: Desk, adapter: Freshdesk, status: int, row: Row) -> None:
    desk.ticket(status=status)
    desk.say(**row)
    assert not [one for one in pulled(adapter, Event) if one.kind == "merged"]


def test_a_merge_that_is_not_the_last_word_is_over(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket(status=5)
    desk.say(source=2, private=True, body_text=MERGED)
    desk.say(incoming=True, user_id=5)
    assert not [one for one in pulled(adapter, Event) if one.kind == "merged"]


def test_a_merge_in_ones_own_words(desk: Desk, connect) -> None:
    desk.ticket(status=5)
    desk.say(source=2, private=True, body_text="Zusammengeführt mit #20")
    merged = pulled(connect(merged_note=r"zusammengeführt mit #(\d+)"), Event)
    assert ("merged", "20") in [(one.kind, one.value) for one in merged]


# --- ratings -------------------------------------------------------------------------------------------------------


def ratings(adapter: Freshdesk) -> list[Rating]:
    return pulled(adapter, Rating, "ratings")


def test_a_rating_has_its_survey_agent_and_group(desk: Desk, adapter: Freshdesk) -> None:
    desk.survey(-103, 100, 103)
    desk.rated(103)
    assert ratings(adapter) == [Rating("4", "18", None, ((T + DAY, 3.0),), 1, 3, "7", "2", "1")]


@pytest.mark.parametrize(
    ("accepted", "code", "score"),
    [
        ((-103, 103), 103, (1, 0, 1)),
        ((-103, 103), -103, (0, 0, 1)),
        ((-103, 100, 103), 100, (2, 1, 3)),
        ((-103, -102, 100, 102, 103), 102, (4, 1, 5)),
        ((103, 102, 100, -102, -103), -103, (1, 1, 5)),  # in whatever order
        ((-103, -102, -101, 100, 101, 102, 103), 101, (5, 1, 7)),
        ((-103, -102, 100, 103), 100, (4, 1, 7)),  # lopsided: neutral must stay in the middle
        ((-103, 100, 103), 101, (5, 1, 7)),  # the survey had other steps then
        ((), -101, (3, 1, 7)),
    ],
)
def test_a_code_becomes_its_place_among_its_surveys_steps(
    desk: Desk, adapter: Freshdesk, accepted: tuple[int, ...], code: int, score: Any
) -> None:
    desk.survey(*accepted)
    desk.rated(code)
    [rating] = ratings(adapter)
    assert (rating.answers[0][1], rating.low, rating.high) == score


@pytest.mark.parametrize(("code", "score"), [(1, 3), (2, 2), (3, 1)])
def test_classic_surveys_count_the_other_way_round(desk: Desk, adapter: Freshdesk, code: int, score: int) -> None:
    desk.rated(code)
    [rating] = ratings(adapter)
    assert (rating.answers[0][1], rating.low, rating.high) == (score, 1, 3)


def test_a_rating_of_a_survey_that_is_gone_is_on_seven_steps(desk: Desk, adapter: Freshdesk) -> None:
    desk.without = {"/surveys"}
    desk.rated(103)
    assert [(one.answers[0][1], one.high) for one in ratings(adapter)] == [(7, 7)]


@pytest.mark.parametrize("code", [0, 104, None])
def test_a_rating_on_no_known_scale_is_rejected_and_the_others_stay(desk: Desk, adapter, stored, code: Any) -> None:
    desk.rated(code)
    desk.rated(103, 5)
    stored.pull(adapter, "ratings")
    assert [(one.kind, one.id) for one in stored.rejects] == [("rating", "4")]
    assert [one.id for one in stored.all(Rating)] == ["5"]


def test_an_hour_of_three_digits_as_documented_is_read(desk: Desk, adapter: Freshdesk) -> None:
    desk.rated(103, created_at="2026-03-03T010:08:16Z")
    assert ratings(adapter)[0].answers[0][0] == from_iso("2026-03-03T10:08:16Z")


def test_a_row_without_a_number_is_rejected(desk: Desk, adapter: Freshdesk, stored: Stored) -> None:
    desk.rated(103, ticket_id=None)
    stored.pull(adapter, "ratings")
    assert len(stored.rejects) == 1


def test_ratings_of_the_last_fourteen_days_are_listed_again(
    desk: Desk, adapter: Freshdesk, stored: Stored, connect
) -> None:
    desk.rated(103)
    stored.pull(adapter, "ratings")
    assert stored.cursors["ratings"] == {"since": T + DAY}
    desk.asked.clear()
    stored.pull(connect(), "ratings")
    assert httpx.URL(HOST + desk.asked[0]).params["created_since"] == iso(T - 13 * DAY)


def test_ratings_that_broke_off_begin_again(desk: Desk, adapter: Freshdesk, stored: Stored, connect) -> None:
    for n in range(250):
        desk.rated(103, n + 1)
    stored.pull(adapter, "ratings", most=2)
    assert "ratings" not in stored.cursors
    stored.pull(connect(), "ratings")
    assert len(stored.all(Rating)) == 250


# --- reread --------------------------------------------------------------------------------------------------------


def reread(adapter: Freshdesk, *ids: str, seen: Any = lambda *_: False) -> list[Any]:
    return [record for page in adapter.reread(ids, seen) for record in page.records]


def test_a_ticket_that_is_gone_is_an_event(desk: Desk, adapter: Freshdesk) -> None:
    assert reread(adapter, "404") == [Event("404:gone", "404", None, "deleted")]


def test_an_archived_ticket_is_not_gone(desk: Desk, adapter: Freshdesk) -> None:
    desk.archived[18] = desk.ticket(status=5)
    desk.say()
    del desk.tickets[18]
    records = reread(adapter, "18")
    assert [one.status for one in records if isinstance(one, Conversation)] == ["done"]
    assert len([one for one in records if isinstance(one, Message)]) == 2
    assert not [one for one in records if isinstance(one, Event) and one.kind == "deleted"]


@pytest.mark.parametrize("kind", ["spam", "deleted"])
def test_a_ticket_read_again_may_have_become_spam_or_trash(desk: Desk, adapter: Freshdesk, kind: str) -> None:
    desk.ticket(**{kind: True})
    assert [one.kind for one in reread(adapter, "18") if isinstance(one, Event)] == [kind]


def test_rereading_an_unchanged_ticket_costs_one_request(desk: Desk, adapter: Freshdesk, stored: Stored) -> None:
    desk.ticket()
    stored.pull(adapter, "conversations")
    desk.asked.clear()
    assert reread(adapter, "18", seen=stored.seen) == []
    assert desk.asked == ["/tickets/18?include=stats"]


# --- tags ----------------------------------------------------------------------------------------------------------


def test_a_tag_is_added_to_the_others_and_read_back(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket(tags=["refund", "vip"])
    assert adapter.add_tag("18", "deskpulse-late").after == ("refund", "vip", "deskpulse-late")
    assert desk.sent == [("PUT", "/tickets/18", {"tags": ["refund", "vip", "deskpulse-late"]})]
    assert adapter.remove_tag("18", "deskpulse-late").after == ("refund", "vip")


def test_a_tag_that_is_there_already_is_not_written(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket(tags=["vip"])
    adapter.add_tag("18", "vip")
    adapter.remove_tag("18", "other")
    assert desk.sent == []


def test_a_tag_of_somebody_elses_that_got_lost_is_told(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket(tags=["vip"])
    desk.on_tags = lambda tags: tags[-1:]
    with pytest.raises(Rejected, match="open it in Freshdesk"):
        adapter.add_tag("18", "late")


def test_a_tag_that_was_not_taken_away_is_told(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket(tags=["vip", "late"])
    desk.on_tags = lambda tags: [*tags, "late"]
    with pytest.raises(Rejected):
        adapter.remove_tag("18", "late")


def test_a_tag_that_somebody_adds_meanwhile_is_fine(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket(tags=[])
    desk.on_tags = lambda tags: [*tags, "meanwhile"]
    assert adapter.add_tag("18", "late").after == ("late", "meanwhile")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("slow, very", "slow very"),
        ("x" * 40, "x" * 32),
        ("deskpulse-slow-first-response", "deskpulse-slow-first-response"),
    ],
)
def test_a_name_of_ours_is_made_one_of_theirs(ours: str, theirs: str) -> None:
    assert Freshdesk.tag_name(ours) == theirs


# --- notes ---------------------------------------------------------------------------------------------------------

TEXT = "[deskpulse] waits > 4 h & <b>counting</b>\nsee the digest"


def test_a_note_says_that_it_is_private_and_is_read_back(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket()
    note = adapter.add_note("18", TEXT)
    [(method, path, body)] = desk.sent
    assert (method, path) == ("POST", "/tickets/18/notes")
    assert body["private"] is True
    assert body.keys() == {"body", "private"}
    assert "&lt;b&gt;" in body["body"]
    assert adapter.find_note("18", TEXT) == note
    assert adapter.find_note("18", "[deskpulse] another") is None


def test_a_note_that_came_back_public_is_told(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket()
    desk.on_note = lambda note: note | {"private": False}
    with pytest.raises(Rejected, match="not there as a private note"):
        adapter.add_note("18", TEXT)


def test_a_note_is_found_however_long_the_ticket_is(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket()
    for n in range(150):
        desk.say(id=n)
    note = adapter.add_note("18", TEXT)
    assert adapter.find_note("18", TEXT) == note


def test_our_note_is_removed_once(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket()
    note = adapter.add_note("18", TEXT)
    adapter.remove_note("18", note)
    adapter.remove_note("18", note)
    assert [one[:2] for one in desk.sent[1:]] == [("DELETE", f"/conversations/{note}")]
    assert adapter.find_note("18", TEXT) is None


@pytest.mark.parametrize(
    "row",
    [{}, {"private": True, "source": 2}, {"body_text": TEXT}, {"body_text": TEXT, "incoming": True, "user_id": 5}],
)
def test_what_is_not_our_note_is_never_deleted(desk: Desk, adapter: Freshdesk, row: Row) -> None:
    desk.ticket()
    said = desk.say(**row)
    with pytest.raises(Rejected, match="left alone"):
        adapter.remove_note("18", str(said["id"]))
    assert desk.sent == []


def test_the_source_has_one_place_that_writes_messages_and_it_writes_private_ones() -> None:
    source = Path(module.__file__).read_text("utf-8")
    sends = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Attribute) and n.attr == "send"]
    assert len(sends) == 3  # the tags of a ticket, a note, and its removal
    assert source.count('"private": True') == 1
    assert not re.search(r'"private": (?!True)|/reply|/forward|notify_emails|bulk_update|outbound[_-]', source)


# --- probe ---------------------------------------------------------------------------------------------------------


def probed(adapter: Freshdesk) -> dict[str, Finding]:
    return {one.check: one for one in adapter.probe()}


def test_an_administrators_key_finds_everything(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket(stats={"resolved_at": None, "reopened_at": None, "status_updated_at": None})
    found = probed(adapter)
    unsure = {check for check, one in found.items() if one.ok is None}
    assert unsure == {"surveys sent", "assignments"}
    assert not [one for one in found.values() if one.ok is False]
    assert found["rate limit"].detail == "200 calls a minute for the whole account, 33% of them at most are ours"
    assert found["role"].detail == "Administrator"


def test_a_key_of_one_group_is_told_what_it_cannot_see(desk: Desk, adapter: Freshdesk) -> None:
    desk.me["ticket_scope"] = 2
    assert probed(adapter)["ticket scope"].ok is None


def test_a_key_that_may_do_too_much_is_told(desk: Desk, adapter: Freshdesk) -> None:
    desk.me["role_ids"] = [50]
    assert probed(adapter)["role"].ok is None


@pytest.mark.parametrize(("headers", "says"), [({"X-RateLimit-Total": "50"}, "0.28"), ({}, "by the minute")])
def test_a_limit_that_is_too_small_or_untold_is_told(desk: Desk, adapter: Freshdesk, headers: Any, says: str) -> None:
    desk.limit = headers
    found = probed(adapter)["rate limit"]
    assert found.ok is None
    assert says in found.remedy


def test_what_is_refused_is_told_with_the_figures_it_costs(desk: Desk, adapter: Freshdesk) -> None:
    desk.without = {"/surveys/satisfaction_ratings", "/business_hours", "spam"}
    found = probed(adapter)
    assert {check for check, one in found.items() if one.ok is None} >= {"ratings", "business hours", "spam"}
    assert "csat_mean" in found["ratings"].detail


def test_an_account_without_the_last_reopening_is_told(desk: Desk, adapter: Freshdesk) -> None:
    desk.ticket(stats={"resolved_at": None, "closed_at": None, "first_responded_at": None})
    found = probed(adapter)["status history"]
    assert found.ok is None
    assert "reopen_rate" in found.detail


def test_ones_own_statuses_are_listed_with_how_they_count(desk: Desk, connect) -> None:
    choices = {"2": ["Open", "x"], "5": ["Closed", "x"], "6": ["Waiting", "x"], "8": ["Shipped", "x"]}
    desk.lists["/ticket_fields"] = [{"id": 1, "name": "status", "choices": choices}]
    found = probed(connect())["statuses"]
    assert (found.ok, found.detail) == (None, "6 Waiting: pending, 8 Shipped: open")
    assert probed(connect(statuses={8: "done"}))["statuses"].ok is True


# --- into the store --------------------------------------------------------------------------------------------------


def test_it_is_stored_once_and_its_facts_are_right(desk: Desk, tmp_path: Path, clock: Clock) -> None:
    desk.survey(-103, 100, 103)
    desk.ticket(status=5, stats={"resolved_at": at(30), "closed_at": at(50), "status_updated_at": at(50)})
    desk.say(created_at=at(7))
    desk.ticket(19, spam=True, updated_at=at(61))
    desk.ticket(20, updated_at=at(62), status=5, stats={"closed_at": at(20)})
    desk.say(20, source=2, private=True, body_text=MERGED.replace("20", "18"))
    desk.ticket(21, updated_at=at(63), status=4, stats={"reopened_at": at(40), "resolved_at": at(45)})
    desk.rated(-103)
    settings = {"url": "acme", "api_key": "canary-key", "allow_clear_secrets": True, "statuses": {"8": "done"}}
    config = Config(tmp_path / "c.toml", tmp_path / "d.db", services=(ServiceConfig("inbox", "freshdesk", settings),))
    [first] = sync(config, [], clock)
    assert (first.outcome, first.counts.rejected) == ("ok", 0)
    [again] = sync(config, [], clock)
    assert (again.outcome, again.counts.new, again.counts.changed) == ("ok", 0, 0)
    with Store.open(config.database, demo=False) as store:
        sql = """SELECT v.vendor_id, excluded, merged_into, first_response_s, full_resolution_s, resolutions, reopens
            FROM fact_conversations f JOIN conversations v ON v.id = f.conversation_id ORDER BY 1"""
        found = [tuple(row) for row in store.conn.execute(sql)]
        [verdict] = store.conn.execute("SELECT verdict FROM fact_ratings").fetchone()
    assert found == [
        ("18", None, None, 420, 1800, 1, 0),
        ("19", "spam", None, None, None, 0, 0),
        ("20", "merged", "18", None, None, 0, 0),
        ("21", None, None, None, 2700, 2, 1),
    ]
    assert verdict == "negative"
