"""The Zendesk adapter, through the real client, against a small desk that answers as Zendesk does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import httpx
import pytest
from contract_case import StandingClock
from pydantic import ValidationError
from request_gate import NotAllowed, RequestGate

from adapters.zendesk import ZONES, Zendesk, ZendeskSettings, _zone
from connector.contract import Finding, Notes, Probes, Pulls, Rereads, Tags
from connector.errors import BadPayload, Rejected
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
    Record,
    Reject,
    Schedule,
    Team,
)

FIXTURE = Path(__file__).parents[1] / "fixtures" / "zendesk"
HOST = "https://acme.example"
ROOT = "/api/v2"
T = 1_772_445_600
"""The desk's first ticket begins, in Unix seconds: 2026-03-02 10:00 UTC."""
MINUTE, DAY = 60, 86_400
ADA, BO, ROB, SUE, DESKPULSE, SYSTEM = 501, 502, 31, 32, 30, -1
Row = dict[str, Any]


def iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def via(channel: str, rel: str | None = None, **origin: Any) -> Row:
    return {"channel": channel, "source": {"from": origin, "to": {}, "rel": rel}}


class Desk:
    """Zendesk's side. ``exports`` answers the export in turn; ``absent`` holds words of paths that are refused."""

    def __init__(self) -> None:
        self.exports: list[Row | int] = []
        self.tickets: dict[int, Row] = {}
        self.audits: dict[int, list[Row]] = {}
        self.logs: dict[int, list[Row]] = {}
        self.users = {
            ADA: {"id": ADA, "name": "Ada", "role": "end-user", "locale": "fr-FR", "created_at": iso(T - DAY)},
            ROB: {"id": ROB, "name": "Rob", "role": "agent", "locale": "en-US", "created_at": iso(T - DAY)},
            SUE: {"id": SUE, "name": "Sue", "role": "agent", "locale": "en-US", "created_at": iso(T - DAY)},
            DESKPULSE: {"id": DESKPULSE, "name": "Deskpulse", "role": "admin", "locale": None},
        }
        self.lists: dict[str, list[Row]] = {
            "groups": [{"id": 7, "name": "Support"}],
            "brands": [{"id": 9, "name": "Acme"}],
            "custom_statuses": [{"id": 1, "status_category": "open"}, {"id": 2, "status_category": "solved"}],
            "schedules": [],
            "holidays": [],
            "satisfaction_ratings": [],
            "survey_responses": [],
        }
        self.me: Row = {"id": DESKPULSE, "name": "Deskpulse", "role": "admin"}
        self.scopes = ["read", "tickets:write"]
        self.absent: dict[str, int] = {}
        self.headers = {"X-Rate-Limit": "200"}
        self.page, self.spins = 100, False
        self.asked: list[str] = []
        self.sent: list[tuple[str, str, Any]] = []
        self.gate = RequestGate(FIXTURE / "requests.json")
        self.on_tags = self.on_note = lambda given: given

    # what a test changes

    def ticket(self, number: int = 100, **fields: Any) -> Row:
        row = {
            "id": number, "status": "open", "custom_status_id": None, "created_at": iso(T),
            "updated_at": iso(T + number), "generated_timestamp": T + number, "via": via("email"), "requester_id": ADA,
            "assignee_id": None, "group_id": None, "brand_id": 9, "tags": ["refund"], "from_messaging_channel": False,
            **fields,
        }  # fmt: skip
        self.tickets[number] = row
        self.audits.setdefault(number, [])
        return row

    def audit(self, *events: Row, at: int = 0, by: int = ROB, through: Any = "web", number: int = 100) -> Row:
        """One more line of a ticket's history, so many seconds after its beginning."""
        row = {"id": self._id(), "ticket_id": number, "created_at": iso(T + at), "author_id": by}
        row |= {"via": through if isinstance(through, dict) else via(through)}
        row["events"] = [{"id": self._id(), **event} for event in events]
        self.audits.setdefault(number, []).append(row)
        return row

    def _id(self) -> int:
        self.last_id = getattr(self, "last_id", 9000) + 1
        return self.last_id

    def line(self, speaker: str, text: str, at: int, who: int | None = None, number: int = 100) -> Row:
        author = {"type": speaker, "display_name": "…", "zen:support:user_id": who}
        row = {"id": f"01L{self._id()}", "type": "Messaging::ConversationMessage", "created_at": iso(T + at)}
        row |= {"author": author, "content": {"type": "text", "text": text}}
        self.logs.setdefault(number, []).append(row)
        return row

    def exported(self) -> None:
        """All tickets on one page, which is the last."""
        self.exports = [export(list(self.tickets.values()), "C1", True)]

    # answering

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.gate.check(request)
        path, query = request.url.path.removeprefix(ROOT), request.url.params
        self.asked.append(f"{path}?{request.url.query.decode()}".rstrip("?"))
        if refusal := next((status for word, status in self.absent.items() if word in path), None):
            return httpx.Response(refusal, json={"error": "Refused"})
        if request.method != "GET":
            return self._write(request.method, path, json.loads(request.content))
        found = self._read(path.removesuffix(".json"), query)
        if isinstance(found, int):
            return httpx.Response(found, json={"error": "Refused"})
        return httpx.Response(200, json=found, headers=self.headers)

    def _read(self, path: str, query: httpx.QueryParams) -> Any:
        key = path.rsplit("/", 1)[-1]
        if path == "/incremental/tickets/cursor":
            return self.exports.pop(0) if self.exports else export([], query.get("cursor"), True)
        if path == "/tickets/show_many":
            return {"tickets": [self.tickets[int(one)] for one in query["ids"].split(",") if int(one) in self.tickets]}
        if path.startswith("/tickets/"):
            return self._of_ticket(int(path.split("/")[2]), key, query)
        if path == "/users":
            return self._listed("users", [one for one in self.users.values() if one["role"] != "end-user"], query)
        singles = {"me": {"user": self.me}, "current": {"token": {"scopes": self.scopes}}}
        return singles[key] if key in singles else self._listed(key, self.lists[key], query)

    def _of_ticket(self, number: int, key: str, query: httpx.QueryParams) -> Any:
        if number not in self.tickets:
            return 404
        if key == "audits":
            return self._listed("audits", self.audits[number], query) | {"users": list(self.users.values())}
        if key == "conversation_log":
            return self._listed("events", self.logs.get(number, []), query)
        if key == "comments":
            comments = [one for audit in self.audits[number] for one in audit["events"] if one["type"] == "Comment"]
            return self._listed("comments", comments, query)
        return {"tags": self.tickets[number]["tags"]} if key == "tags" else {"ticket": self.tickets[number]}

    def _listed(self, key: str, rows: list[Row], query: httpx.QueryParams) -> Row:
        start = int(query.get("page[after]", 0)) if not self.spins else 0
        more = start + self.page < len(rows)
        return {
            key: rows[start : start + self.page],
            "meta": {"has_more": more, "after_cursor": str(start + self.page)},
        }

    def _write(self, method: str, path: str, body: Any) -> httpx.Response:
        self.sent.append((method, path, body))
        ticket = self.tickets[int(path.split("/")[2].removesuffix(".json"))]
        if path.endswith("/tags.json"):
            kept = [tag for tag in ticket["tags"] if tag not in body["tags"]]
            ticket["tags"] = self.on_tags(kept + (body["tags"] if method == "PUT" else []))
            return httpx.Response(200, json={"tags": ticket["tags"]})
        if ticket["status"] == "closed":
            return httpx.Response(422, json={"error": "RecordInvalid"})
        given = self.on_note(body["ticket"]["comment"])
        audit = self.audit(comment(given["body"], DESKPULSE, given["public"]), at=MINUTE, through="api")
        return httpx.Response(200, json={"ticket": ticket, "audit": audit})


def export(tickets: list[Row], after: str | None, end: bool) -> Row:
    return {"tickets": tickets, "after_cursor": after, "before_cursor": None, "end_of_stream": end}


def comment(text: str, by: int = ROB, public: bool = True, **more: Any) -> Row:
    return {"type": "Comment", "author_id": by, "body": text, "plain_body": text, "public": public, **more}


def change(field: str, value: Any, kind: str = "Change") -> Row:
    return {"type": kind, "field_name": field, "value": value}


@dataclass
class Bench:
    desk: Desk
    adapter: Zendesk
    http: HttpClient
    clock: StandingClock

    def pull(self, stream: str = "conversations", cursor: Any = None, seen: Any = None) -> list[Page]:
        return list(self.adapter.pull(stream, cursor, seen or (lambda *_: False)))

    def told(self, kind: type[Any] | None = None) -> list[Any]:
        """What one walk gives of the desk's tickets, or of one kind of record."""
        self.desk.exported()
        return of(self.pull(), kind)

    def ratings(self, stream: str = "ratings", cursor: Any = None) -> list[Rating]:
        return of(self.pull(stream, cursor), Rating)


def of(pages: list[Page], kind: type[Any] | None = None) -> list[Any]:
    return [record for page in pages for record in page.records if kind is None or isinstance(record, kind)]


def bench_of(desk: Desk, **changes: Any) -> Bench:
    given: Row = {"url": HOST, "email": "deskpulse@acme.example", "token": "canary-token", **changes}
    settings = ZendeskSettings(**given)
    clock = StandingClock()
    http = HttpClient(Zendesk.service(settings), clock, name="zendesk", demo=False, transport=httpx.MockTransport(desk))
    return Bench(desk, Zendesk(settings, http), http, clock)


@pytest.fixture
def bench() -> Iterator[Bench]:
    found = bench_of(Desk())
    with closing(found.http):
        yield found


def test_it_has_all_capabilities_of_an_inbox() -> None:
    adapter = bench_of(Desk()).adapter
    assert all(isinstance(adapter, kind) for kind in (Pulls, Rereads, Tags, Notes, Probes))


# --- the export ------------------------------------------------------------------------------------------------------


def test_the_export_begins_by_time_and_goes_on_by_cursor(bench: Bench) -> None:
    one, two = bench.desk.ticket(100), bench.desk.ticket(101)
    bench.desk.exports = [export([one], "C1=", False), export([two], "C2=", True)]
    pages = bench.pull()
    asked = [one for one in bench.desk.asked if one.startswith("/incremental")]
    assert asked == [
        "/incremental/tickets/cursor.json?start_time=946684800&per_page=1000",
        "/incremental/tickets/cursor.json?cursor=C1%3D&per_page=1000",
    ]
    assert pages[-1].cursor == {"after": "C2=", "since": T + 101}
    bench.pull(cursor=pages[-1].cursor)
    assert bench.desk.asked[-1] == "/incremental/tickets/cursor.json?cursor=C2%3D&per_page=1000"


def test_only_the_end_of_the_stream_ends_it(bench: Bench) -> None:
    """Neither a short page nor an empty one does, and a page without a word about the end has none."""
    one, two = bench.desk.ticket(100), bench.desk.ticket(101)
    middle = export([], "C2", False)
    del middle["end_of_stream"]
    bench.desk.exports = [export([one], "C1", False), middle, export([two], "C3", True), export([], "C4", True)]
    assert [record.id for record in of(bench.pull(), Conversation)] == ["100", "101"]
    assert len(bench.desk.exports) == 1, "it went on after the end"


@pytest.mark.parametrize("after", [None, "C1"])
def test_an_export_that_neither_goes_on_nor_ends_is_given_up(bench: Bench, after: str | None) -> None:
    one = bench.desk.ticket()
    bench.desk.exports = [export([one], "C1", False), export([one], after, False)]
    pages = bench.adapter.pull("conversations", None, lambda *_: False)
    assert next(pages).cursor == {"after": "C1", "since": T + 100}
    with pytest.raises(BadPayload, match="no end"):
        next(pages)


def test_a_row_that_is_repeated_at_a_boundary_is_told_with_the_same_records(bench: Bench) -> None:
    one = bench.desk.ticket()
    bench.desk.audit(comment("Hello", ADA), by=ADA, through="email")
    bench.desk.exports = [export([one, one], "C1", False), export([one], "C2", True)]
    told = of(bench.pull())
    assert len(told) > len(set(told)) == 4


def test_a_forgotten_cursor_is_left_for_the_time_of_the_newest_row_it_gave(bench: Bench) -> None:
    one, two, three = (bench.desk.ticket(number) for number in (100, 101, 102))
    bench.desk.exports = [export([one, two], "C1", False), 400, export([two, three], "C9", True)]
    pages = bench.pull()
    asked = [one for one in bench.desk.asked if one.startswith("/incremental")]
    assert asked[-1] == f"/incremental/tickets/cursor.json?start_time={T + 101 - 600}&per_page=1000"
    assert [record.id for record in of(pages, Conversation)] == ["100", "101", "101", "102"]
    assert pages[-1].cursor == {"after": "C9", "since": T + 102}


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_a_cursor_that_was_forgotten_between_two_runs_costs_nothing_but_the_overlap(bench: Bench, status: int) -> None:
    bench.desk.exports = [status, export([bench.desk.ticket()], "C9", True)]
    assert bench.pull(cursor={"after": "C1", "since": T})[-1].cursor == {"after": "C9", "since": T + 100}


def test_a_service_that_refuses_its_own_new_cursor_is_not_asked_for_ever(bench: Bench) -> None:
    one = bench.desk.ticket()
    bench.desk.exports = [400, export([one], "C2", False), 400, export([one], "C3", False), 400, 400]
    with pytest.raises(BadPayload, match="just given"):
        bench.pull(cursor={"after": "C1", "since": T + 100})


def test_a_refusal_of_the_first_request_is_no_expired_cursor(bench: Bench) -> None:
    bench.desk.exports = [422]
    with pytest.raises(Rejected):
        bench.pull()


def test_a_page_is_stored_in_parts_and_only_its_last_moves_the_cursor(bench: Bench) -> None:
    tickets = [bench.desk.ticket(number) for number in range(100, 220)]
    bench.desk.exports = [export(tickets, "C1", True)]
    pages = bench.pull()
    assert [len(of([page], Conversation)) for page in pages] == [50, 50, 20]
    assert [page.cursor for page in pages] == [None, None, {"after": "C1", "since": T + 219}]


def test_more_than_a_page_holds_is_walked_whole_at_the_exports_own_pace(bench: Bench) -> None:
    rows = [bench.desk.ticket(number) for number in range(100, 2500)]
    bench.desk.exports = [
        export(rows[:1000], "A", False),
        export(rows[1000:2000], "B", False),
        export(rows[2000:], "C", True),
    ]
    asked: list[str] = []
    pages = bench.pull(seen=lambda ticket, at: bool(asked.append(ticket)) or True)
    assert asked == [str(number) for number in range(100, 2500)]
    assert of(pages) == []
    assert bench.clock.passed == pytest.approx(2 * 18), "ten exports a minute, and a third of it is ours"


def test_an_unchanged_ticket_costs_no_call(bench: Bench) -> None:
    bench.desk.ticket(100)
    bench.desk.ticket(101)
    bench.desk.exported()
    bench.pull(seen=lambda ticket, at: (ticket, at) == ("100", 1000 * (T + 100)))
    assert [one.partition("?")[0] for one in bench.desk.asked if "audits" in one] == ["/tickets/101/audits.json"]


def test_a_ticket_that_vanishes_while_it_is_read_is_left_out(bench: Bench) -> None:
    row = bench.desk.ticket()
    bench.desk.exports = [export([row], "C1", True)]
    del bench.desk.tickets[100]
    assert of(bench.pull()) == []


def test_a_bad_row_is_rejected_and_the_others_kept(bench: Bench) -> None:
    bench.desk.ticket(100, created_at=0)
    bench.desk.ticket(101)
    bench.desk.exported()
    (page,) = bench.pull()
    assert [(one.kind, one.id) for one in page.rejects] == [("conversation", "100")]
    assert [record.id for record in of([page], Conversation)] == ["101"]


# --- tickets ---------------------------------------------------------------------------------------------------------


def test_a_ticket_becomes_a_conversation_with_its_words_and_its_history(bench: Bench) -> None:
    bench.desk.ticket(status="solved", custom_status_id=2, assignee_id=ROB, group_id=7, tags=["b", "a"])
    bench.desk.audit(comment("Hello", ADA), change("status", "new", "Create"), by=ADA, through="email")
    bench.desk.audit(change("group_id", "7"), at=5, by=SYSTEM, through="rule")
    bench.desk.audit(comment("Hi"), change("assignee_id", "31"), change("status", "pending"), at=60)
    bench.desk.audit(change("status", "solved"), change("custom_status_id", "2"), at=120)
    begun = T * 1000
    assert bench.told() == [
        Channel("email", "email"),
        Contact(str(ADA), "fr", begun - DAY * 1000),
        Conversation(
            "100", begun, "done", begun + 100_000, "9", "email", str(ADA), "7", "31", "fr",
            f"{HOST}/agent/tickets/100", ("a", "b"),
        ),
        Message("9002", "100", begun, "customer", str(ADA), True, "message", 5, False, "Hello"),
        Message("9007", "100", begun + 60_000, "human", "31", True, "message", 2, False, "Hi"),
        Event("9005", "100", begun + 5_000, "team", "7", None, None),
        Event("9008", "100", begun + 60_000, "assigned", "31", None, "31"),
        Event("9009", "100", begun + 60_000, "status", "pending", "open", "31"),
        Event("9011", "100", begun + 120_000, "status", "done", "pending", "31"),
    ]  # fmt: skip


def statuses(bench: Bench) -> list[tuple[int, str | None, str | None]]:
    events = [event for event in bench.told(Event) if event.kind == "status"]
    return [(event.at // 1000 - T, event.was, event.value) for event in events]


def test_closed_after_solved_is_no_second_solve(bench: Bench) -> None:
    bench.desk.ticket(status="closed")
    bench.desk.audit(change("status", "solved"), at=60)
    bench.desk.audit(change("status", "closed"), at=60 + 4 * DAY, by=SYSTEM, through="rule")
    assert statuses(bench) == [(60, "open", "done")]


def test_a_ticket_that_is_closed_without_being_solved_is_done_then(bench: Bench) -> None:
    bench.desk.ticket(status="closed")
    bench.desk.audit(change("status", "closed"), at=60)
    assert statuses(bench) == [(60, "open", "done")]


def test_a_reopened_ticket_is_told_with_both_solves(bench: Bench) -> None:
    bench.desk.ticket(status="closed")
    for at, word in ((10, "pending"), (20, "solved"), (30, "open"), (40, "hold"), (50, "solved"), (60, "closed")):
        bench.desk.audit(change("status", word), at=at)
    assert statuses(bench) == [
        (10, "open", "pending"), (20, "pending", "done"), (30, "done", "open"), (40, "open", "snoozed"),
        (50, "snoozed", "done"),
    ]  # fmt: skip


def test_a_status_at_creation_is_a_change_only_where_the_ticket_is_done_at_once(bench: Bench) -> None:
    bench.desk.ticket(100, status="pending")
    bench.desk.audit(change("status", "pending", "Create"))
    bench.desk.audit(change("status", "open"), at=5)
    assert statuses(bench) == [(5, "pending", "open")]
    bench.desk.audits[100] = []
    bench.desk.audit(change("status", "solved", "Create"))
    assert statuses(bench) == [(0, "open", "done")]


def test_an_accounts_own_statuses_count_by_their_category(bench: Bench) -> None:
    bench.desk.lists["custom_statuses"] += [{"id": 3, "status_category": "hold"}, {"id": 4, "status_category": "odd"}]
    bench.desk.ticket(status="open", custom_status_id=3)
    bench.desk.audit(change("custom_status_id", "3"), at=5)
    bench.desk.audit(change("custom_status_id", "4"), at=6)
    bench.desk.audit(change("custom_status_id", "2"), change("status", "solved"), at=7)
    assert statuses(bench) == [(5, "open", "snoozed"), (7, "snoozed", "done")]
    assert [one.status for one in bench.told(Conversation)] == ["snoozed"]


def test_a_plan_without_statuses_of_its_own_is_read_by_the_usual_ones(bench: Bench) -> None:
    bench.desk.absent["custom_statuses"] = 403
    bench.desk.ticket(status="hold", custom_status_id=2)
    assert [one.status for one in bench.told(Conversation)] == ["snoozed"]


def test_an_unassigned_ticket_has_no_agent_from_then_on(bench: Bench) -> None:
    bench.desk.ticket()
    bench.desk.audit(change("assignee_id", 31, "Create"), change("group_id", 7, "Create"))
    bench.desk.audit(change("assignee_id", None), at=5)
    bench.desk.audit(change("assignee_id", ""), at=6)
    told = [(event.kind, event.value, event.was) for event in bench.told(Event)]
    assert told == [("assigned", "31", None), ("team", "7", None), ("assigned", None, "31")]


def test_a_deleted_ticket_is_told_with_its_time_and_nothing_else_is_asked(bench: Bench) -> None:
    bench.desk.ticket(status="deleted", requester_id=None, tags=None, updated_at=iso(T + 900))
    told = bench.told()
    assert told[1:] == [Event("100:deleted", "100", (T + 900) * 1000, "deleted")]
    assert (told[0].id, told[0].changed_at) == ("100", (T + 900) * 1000)
    assert not [one for one in bench.desk.asked if "/tickets/100" in one]


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        ({"ticket_id": 77}, "Closed and merged."),
        ({}, "This request was closed and merged into request #77 Where is it?"),
        ({"ticket_id": 100, "ticket_ids": [1, 2]}, "Request #100 went on as #77."),
    ],
)
def test_a_merged_ticket_points_to_the_one_that_goes_on(bench: Bench, origin: Row, text: str) -> None:
    bench.desk.ticket(status="closed", tags=["closed_by_merge"])
    bench.desk.audit(comment("Hello", ADA), by=ADA, through="email")
    merge = via("web", "merge", **origin)
    bench.desk.audit(comment(text, public=False), change("status", "closed"), at=60, through=merge)
    told = bench.told()
    (merged,) = [one for one in told if isinstance(one, Event) and one.kind == "merged"]
    assert merged == Event("100:merged", "100", (T + 60) * 1000, "merged", "77", None, str(ROB))
    assert [(one.author, one.kind, one.public) for one in told if isinstance(one, Message)] == [
        ("customer", "message", True), ("automation", "activity", False),
    ]  # fmt: skip


def test_a_merge_without_a_word_about_where_to_is_merged_all_the_same(bench: Bench) -> None:
    bench.desk.ticket(status="closed", tags=["closed_by_merge"])
    bench.desk.audit(comment("Merged."), at=60, through=via("web", "merge"))
    assert [(one.kind, one.value) for one in bench.told(Event)] == [("merged", None)]


def test_the_ticket_that_goes_on_is_not_merged_and_the_merges_comment_is_no_reply(bench: Bench) -> None:
    bench.desk.ticket(status="closed")
    bench.desk.audit(
        comment("Request #99 was merged into this one."), at=60, through=via("web", "merge", ticket_ids=[99])
    )
    assert bench.told(Event) == []
    assert [(one.author, one.kind, one.public) for one in bench.told(Message)] == [("automation", "activity", False)]


def test_a_follow_up_that_inherits_the_merges_tag_is_not_merged(bench: Bench) -> None:
    bench.desk.ticket(status="closed", tags=["closed_by_merge"], via=via("closed_ticket", "follow_up", ticket_id=5))
    bench.desk.audit(comment("Once more", ADA), by=ADA, through="closed_ticket")
    told = bench.told()
    assert [one for one in told if isinstance(one, Event)] == []
    assert [one.kind for one in told if isinstance(one, Channel)] == ["other"]


# --- who speaks ------------------------------------------------------------------------------------------------------


def speaker(bench: Bench, by: int, through: Any = "web", **more: Any) -> tuple[str, str | None, str]:
    bench.desk.ticket()
    bench.desk.audits[100] = []
    bench.desk.audit(comment("Hello", by, **more), by=by, through=through)
    (said,) = bench.told(Message)
    return said.author, said.author_id, said.kind


@pytest.mark.parametrize(
    ("by", "through", "author"),
    [
        (ADA, "email", "customer"),
        (ADA, "api", "customer"),
        (ROB, "web", "human"),
        (ROB, "email", "human"),
        (ROB, "api", "integration"),
        (ROB, "rule", "automation"),
        (DESKPULSE, "web", "human"),
        (SYSTEM, "web", "automation"),
        (4711, "web", "unknown"),
    ],
)
def test_an_author_is_told_by_role_and_by_the_way_it_came(bench: Bench, by: int, through: str, author: str) -> None:
    assert speaker(bench, by, through) == (author, None if author == "automation" else str(by), "message")


def test_a_rule_that_speaks_in_an_agents_name_within_an_agents_change_is_automation(bench: Bench) -> None:
    assert speaker(bench, ROB, "web", via=via("rule"))[0] == "automation"


def test_another_end_user_on_the_ticket_is_a_customer_too(bench: Bench) -> None:
    bench.desk.users[BO] = {"id": BO, "name": "Bo", "role": "end-user"}
    assert speaker(bench, BO, "email") == ("customer", str(BO), "message")


def test_an_agent_who_has_left_was_one_when_it_spoke(bench: Bench) -> None:
    """The list of users calls them end users today; being assigned, or writing a note, tells."""
    bench.desk.users[BO] = {"id": BO, "name": "Bo", "role": "end-user"}
    bench.desk.ticket()
    bench.desk.audit(comment("Hi", BO), at=1, by=BO)
    bench.desk.audit(change("assignee_id", str(BO)), at=2)
    assert [one.author for one in bench.told(Message)] == ["human"]
    bench.desk.audits[100][1]["events"] = [{"id": 1, **comment("for us", BO, public=False)}]
    assert [(one.author, one.kind) for one in bench.told(Message)] == [("human", "message"), ("human", "note")]


def test_a_strangers_mail_to_the_ticket_is_private_and_makes_it_no_agent(bench: Bench) -> None:
    bench.desk.users[BO] = {"id": BO, "name": "Bo", "role": "end-user"}
    assert speaker(bench, BO, "email", public=False) == ("customer", str(BO), "note")


def test_an_agent_who_asks_is_no_customer(bench: Bench) -> None:
    bench.desk.ticket(requester_id=SUE)
    bench.desk.audit(comment("My screen is black", SUE), by=SUE)
    told = bench.told()
    assert [one.contact for one in told if isinstance(one, Conversation)] == [None]
    assert [one.author for one in told if isinstance(one, Message)] == ["human"]
    assert not [one for one in told if isinstance(one, Contact)]


def test_a_note_is_private_and_ours_is_marked(bench: Bench) -> None:
    bench.desk.ticket()
    bench.desk.audit(comment("Careful", public=False))
    bench.desk.audit(comment("[deskpulse] slow", DESKPULSE, public=False), through="api")
    bench.desk.audit(comment("[deskpulse] said aloud"))
    assert [(one.kind, one.public, one.own) for one in bench.told(Message)] == [
        ("note", False, False), ("note", False, True), ("message", True, False),
    ]  # fmt: skip


def test_what_is_no_comment_is_no_message(bench: Bench) -> None:
    bench.desk.ticket()
    bench.desk.audit({"type": "Notification", "body": "We have it", "subject": "Re"}, through="rule", by=SYSTEM)
    bench.desk.audit(
        {"type": "SomethingNew", "value": {"a": [1]}}, {"type": "Change", "field_name": "tags", "value": []}
    )
    assert bench.told(Message) == []
    assert bench.told(Event) == []


def test_an_imported_tickets_words_are_told_as_imported(bench: Bench) -> None:
    bench.desk.ticket(via=via("api"))
    bench.desk.audit(comment("Years ago", ADA), at=30 * DAY, through="api")
    bench.desk.audit(comment("Today", ADA), at=31 * DAY, through="email")
    assert [one.kind for one in bench.told(Message)] == ["imported", "message"]
    bench.desk.ticket(via=via("email"))
    assert [one.kind for one in bench.told(Message)] == ["message", "message"]


# --- messaging -------------------------------------------------------------------------------------------------------


def test_messaging_is_read_from_the_log_and_its_transcript_is_no_reply(bench: Bench) -> None:
    bench.desk.ticket(via=via("native_messaging"), from_messaging_channel=True)
    for at, (who, number) in enumerate(
        (("user", ADA), ("bot", SYSTEM), ("agent", ROB), ("system", None), ("alien", 9))
    ):
        bench.desk.line(who, "x" * at, at, number)
    bench.desk.logs[100].append({**bench.desk.line("agent", "no", 9, ROB), "type": "Comment"})
    bench.desk.logs[100].pop(-2)
    bench.desk.audit(comment("(10:00) Ada: hello", ADA, public=False), at=50, by=ADA, through="native_messaging")
    bench.desk.audit(comment("for us", public=False), at=60)
    told = bench.told(Message)
    assert [(one.author, one.author_id, one.kind, one.public) for one in told] == [
        ("automation", None, "activity", False),
        ("human", str(ROB), "note", False),
        ("customer", str(ADA), "message", True),
        ("bot", None, "message", True),
        ("human", str(ROB), "message", True),
        ("automation", None, "message", True),
        ("unknown", None, "message", True),
    ]
    assert [one.length for one in told[2:]] == [0, 1, 2, 3, 4]


def test_a_public_transcript_of_a_social_channel_is_no_reply_either(bench: Bench) -> None:
    bench.desk.ticket(via=via("line"), from_messaging_channel=True)
    bench.desk.audit(comment("all of it"), at=50, through="line")
    bench.desk.audit(comment("and by mail"), at=60, through="web")
    assert [(one.kind, one.public) for one in bench.told(Message)] == [("activity", False), ("message", True)]


def test_a_ticket_of_another_kind_has_no_log_to_ask_for(bench: Bench) -> None:
    bench.desk.ticket(via=via("twitter"))
    bench.desk.audit(comment("Hi", ADA), by=ADA, through="twitter")
    assert [(one.author, one.kind) for one in bench.told(Message)] == [("customer", "message")]
    assert not [one for one in bench.desk.asked if "conversation_log" in one]


def test_long_histories_and_logs_are_read_to_their_end(bench: Bench) -> None:
    bench.desk.ticket(via=via("chat"))
    for at in range(250):
        bench.desk.line("user", "…", at, ADA)
        bench.desk.audit(comment("for us", public=False), at=at)
    told = bench.told(Message)
    assert len(told) == len({one.id for one in told}) == 500
    assert sum("page%5Bafter%5D" in one or "page[after]" in one for one in bench.desk.asked) == 4


def test_a_history_without_pages_is_whole(bench: Bench) -> None:
    """As archived tickets give it."""
    bench.desk.ticket()
    bench.desk.audit(comment("Hi", ADA), by=ADA)
    read = bench.desk._listed
    bench.desk._listed = lambda *given: {k: v for k, v in read(*given).items() if k != "meta"}  # type: ignore[method-assign]
    assert len(bench.told(Message)) == 1


def test_a_list_that_gives_the_same_page_twice_is_given_up(bench: Bench) -> None:
    bench.desk.ticket()
    for _ in range(101):
        bench.desk.audit(comment("Hi", ADA), by=ADA)
    bench.desk.spins = True
    with pytest.raises(BadPayload, match="twice"):
        bench.told()


# --- ratings ---------------------------------------------------------------------------------------------------------


def score(number: int, word: str, at: int, changed: int | None = None, ticket: int = 100) -> Row:
    stamps = {"created_at": iso(T + at), "updated_at": iso(T + (at if changed is None else changed))}
    return {"id": number, "ticket_id": ticket, "score": word, "assignee_id": ROB, "group_id": 7, **stamps}


def test_an_offer_is_no_answer_and_shares_its_survey(bench: Bench) -> None:
    rows = bench.desk.lists["satisfaction_ratings"]
    rows += [
        score(61, "offered", 60),
        score(62, "good", 90),
        score(63, "bad", 80, ticket=101),
        score(64, "unoffered", 1),
    ]
    assert bench.ratings() == [
        Rating("100:csat", "100", (T + 60) * 1000, (), 0, 1, str(ROB), "7"),
        Rating("100:csat", "100", None, (((T + 90) * 1000, 1.0),), 0, 1, str(ROB), "7"),
        Rating("101:csat", "101", None, (((T + 80) * 1000, 0.0),), 0, 1, str(ROB), "7"),
    ]


def test_an_offer_that_its_answer_overwrote_keeps_its_time(bench: Bench) -> None:
    bench.desk.lists["satisfaction_ratings"] += [score(61, "good", 60, 5000)]
    assert bench.ratings()[0][2:4] == ((T + 60) * 1000, (((T + 5000) * 1000, 1.0),))


def test_ratings_are_asked_for_again_for_four_weeks(bench: Bench) -> None:
    bench.desk.lists["satisfaction_ratings"] += [score(61, "offered", 60), score(62, "good", 90)]
    pages = bench.pull("ratings")
    assert [page.cursor for page in pages] == [None, {"newest": (T + 90) * 1000}]
    bench.pull("ratings", pages[-1].cursor)
    assert f"start_time={T + 90 - 28 * DAY}&" in bench.desk.asked[-1]


ULID = "01KJQ0DC60G1H2J3K4M5N6P7Q8"
"""Made ten minutes after the desk's first ticket."""


def response(
    rating: float | None,
    category: str = "good",
    *,
    ident: str = ULID,
    survey: str = "S",
    ticket: int = 100,
    **more: Any,
) -> Row:
    asked = {"id": "Q1", "type": "rating_scale_numeric", "sub_type": "customer_satisfaction"}
    stamps = {"created_at": iso(T + 900), "updated_at": iso(T + 950)}
    rated = {"type": "rating_scale", "rating": rating, "rating_category": category, "question": asked, **stamps}
    skipped = {"type": "skipped", "question": {"id": "Q0", "type": "open_ended"}, **stamps}
    about = {"id": ident, "subject_zrns": [f"zen:ticket:{ticket}"], "survey": {"id": survey, "version": 1}}
    return {**about, "answers": [skipped, *([rated] if rating else [])], **more}


def test_a_survey_is_dated_by_its_id_and_answered_at_its_first_time(bench: Bench) -> None:
    bench.desk.lists["survey_responses"] += [response(4)]
    bench.desk.lists["survey_responses"] += [response(4, ident="01KJQ34W00G1H2J3K4M5N6P7Q8")]
    found, later = bench.ratings("surveys")
    assert found == Rating(ULID, "100", (T + 600) * 1000, (((T + 900) * 1000, 4.0),), 1, 5, survey="S")
    assert later.offered_at is None, "an offer is never later than its answer"


@pytest.mark.parametrize(
    ("known", "high"),
    [
        ([(2, "good"), (1, "bad")], 2),
        ([(1, "bad"), (3, "good"), (2, "bad")], 3),
        ([(1, "bad"), (3, "bad")], 5),
        ([(5, "good"), (1, "bad")], 5),
        ([(1, "bad")], 5),
    ],
)
def test_each_survey_has_its_own_scale(bench: Bench, known: list[tuple[int, str]], high: int) -> None:
    rows = [response(rating, word, ident=f"R{n}", ticket=n) for n, (rating, word) in enumerate(known, 100)]
    bench.desk.lists["survey_responses"] += [*rows, response(5, ident="R9", survey="other", ticket=99)]
    found = bench.ratings("surveys")
    assert {(one.low, one.high) for one in found if one.survey == "S"} == {(1, high)}
    assert {(one.low, one.high) for one in found if one.survey == "other"} == {(1, 5)}


def test_a_scale_that_was_learnt_is_remembered(bench: Bench) -> None:
    bench.desk.lists["survey_responses"] += [response(3)]
    cursor = bench.pull("surveys")[-1].cursor
    assert cursor == {"newest": (T + 900) * 1000, "scales": {"S": 3}}
    bench.desk.lists["survey_responses"][:] = [response(1, "bad")]
    assert [one.high for one in bench.ratings("surveys", cursor)] == [3]


def test_surveys_are_asked_for_in_milliseconds_for_four_weeks(bench: Bench) -> None:
    bench.pull("surveys", {"newest": T * 1000})
    assert f"={(T - 28 * DAY) * 1000}&" in bench.desk.asked[-1]
    assert "created_at_start" in bench.desk.asked[-1]


def test_a_survey_without_an_answer_is_an_offer_and_other_subjects_are_not_ours(bench: Bench) -> None:
    rows = bench.desk.lists["survey_responses"]
    rows += [
        response(None),
        response(5, ident="X", subject_zrns=["zen:conversation:4295a81b"]),
        response(5, ident="short"),
    ]
    found = bench.ratings("surveys")
    assert [(one.id, bool(one.offered_at), len(one.answers)) for one in found] == [(ULID, True, 0), ("short", False, 1)]


def test_a_question_about_something_else_is_no_satisfaction(bench: Bench) -> None:
    row = response(1)
    row["answers"][1]["question"]["sub_type"] = "effort"
    bench.desk.lists["survey_responses"] += [row]
    assert [one.answers for one in bench.ratings("surveys")] == [()]


@pytest.mark.parametrize("status", [403, 404])
def test_a_plan_without_ratings_or_surveys_is_pulled_without_them(bench: Bench, status: int) -> None:
    bench.desk.absent |= {"satisfaction_ratings": status, "survey_responses": status}
    assert bench.ratings() == bench.ratings("surveys") == []


# --- directory and hours ---------------------------------------------------------------------------------------------


def directory(bench: Bench) -> list[Record]:
    return of(bench.pull("directory"))


def timetable(zone: str, *spans: tuple[int, int]) -> Row:
    return {
        "id": 3,
        "name": "Office",
        "time_zone": zone,
        "intervals": [{"start_time": a, "end_time": b} for a, b in spans],
    }


def test_brands_are_inboxes_and_groups_are_teams(bench: Bench) -> None:
    assert directory(bench) == [
        Inbox("9", "Acme"), Team("7", "Support"), Agent("31", "Rob"), Agent("32", "Sue"), Agent("30", "Deskpulse"),
    ]  # fmt: skip


def test_an_unchanged_directory_is_told_once(bench: Bench) -> None:
    (page,) = bench.pull("directory")
    assert of(bench.pull("directory", page.cursor)) == []
    bench.desk.lists["groups"].append({"id": 8, "name": "Sales"})
    assert Team("8", "Sales") in of(bench.pull("directory", page.cursor))


def test_hours_begin_on_sunday_and_may_run_over_midnight(bench: Bench) -> None:
    monday, saturday = 1440, 6 * 1440
    split, late = ((monday + 540, monday + 720), (monday + 780, monday + 1080)), (2 * 1440 + 1380, 3 * 1440 + 120)
    spans = (split[0], (saturday + 1200, saturday + 1440), (0, 60), late, split[1])
    bench.desk.lists["schedules"] = [timetable("Paris", *spans)]
    bench.desk.lists["holidays"] = [
        {"id": 1, "name": "Year's end", "start_date": "2026-12-31", "end_date": "2027-01-01"},
        {"id": 2, "name": "Labour Day", "start_date": "2026-05-01", "end_date": "2026-05-01"},
    ]
    (inbox,) = [one for one in directory(bench) if isinstance(one, Inbox)]
    monday_hours, tuesday, wednesday = ((540, 720), (780, 1080)), ((1380, 1440),), ((0, 120),)
    week = (monday_hours, tuesday, wednesday, (), (), ((1200, 1440),), ((0, 60),))
    assert inbox.schedule == Schedule("Europe/Paris", week, ("2026-05-01", "2026-12-31", "2027-01-01"))


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Eastern Time (US & Canada)", "America/New_York"),
        ("Europe/Brussels", "Europe/Brussels"),
        ("Amsterdam", "Europe/Amsterdam"),
        ("Mexico City", "America/Mexico_City"),
        ("Kyiv", "Europe/Kiev"),
        ("Samoa", "Pacific/Apia"),
        ("UTC", "UTC"),
        ("Atlantis", None),
    ],
)
def test_a_schedules_zone_is_named_by_a_city(name: str, zone: str | None) -> None:
    assert _zone(name) == zone


def test_every_zone_of_the_table_exists() -> None:
    assert set(ZONES.values()) <= available_timezones()


def test_hours_in_an_unknown_zone_are_left_out_and_said(bench: Bench) -> None:
    bench.desk.lists["schedules"] = [timetable("Atlantis", (0, 60))]
    (page,) = bench.pull("directory")
    assert page.rejects == (Reject("schedule", "3", "time_zone: unknown, so the opening hours are left out"),)
    assert Inbox("9", "Acme") in page.records


def test_of_several_schedules_none_is_taken_since_triggers_choose(bench: Bench) -> None:
    """The hours of the config count then: those of the helpdesk would come first."""
    bench.desk.lists["schedules"] = [timetable("Paris", (0, 60)), timetable("London", (0, 60)) | {"name": "Night"}]
    assert Inbox("9", "Acme") in directory(bench)
    found = findings(bench.desk)["opening hours"]
    assert (found.ok, "Office, Night" in found.detail, "[calendar.inboxes" in found.remedy) == (None, True, True)


def test_a_plan_without_schedules_or_brands_is_pulled_without_them(bench: Bench) -> None:
    bench.desk.absent |= {"business_hours": 403, "brands": 404}
    assert directory(bench)[0] == Team("7", "Support")


# --- reread ----------------------------------------------------------------------------------------------------------


def test_rereading_asks_for_a_hundred_at_once_and_believes_a_removal_only_on_its_own(bench: Bench) -> None:
    for number in range(100, 220):
        bench.desk.ticket(number)
    del bench.desk.tickets[105]
    pages = list(bench.adapter.reread([str(number) for number in range(100, 220)], lambda *_: True))
    assert of(pages) == [Event("105:deleted", "105", None, "deleted")]
    assert [one for one in bench.desk.asked if "show_many" not in one] == ["/tickets/105.json"]
    assert len(bench.desk.asked) == 3


def test_a_ticket_that_the_list_leaves_out_but_is_there_is_read(bench: Bench) -> None:
    bench.desk.ticket()
    read = bench.desk._read
    bench.desk._read = lambda path, query: {"tickets": []} if "show_many" in path else read(path, query)  # type: ignore[method-assign]
    told = of(list(bench.adapter.reread(["100"], lambda *_: False)))
    assert [one.id for one in told if isinstance(one, Conversation | Event)] == ["100"]


# --- tags and notes --------------------------------------------------------------------------------------------------


def test_a_tag_is_added_to_the_others_and_read_back(bench: Bench) -> None:
    bench.desk.ticket(tags=["refund", "vip"])
    assert bench.adapter.add_tag("100", "Deskpulse Slow") == (("refund", "vip"), ("refund", "vip", "deskpulse-slow"))
    assert bench.desk.sent == [("PUT", "/tickets/100/tags.json", {"tags": ["deskpulse-slow"]})]
    assert bench.adapter.add_tag("100", "deskpulse-slow").after == ("refund", "vip", "deskpulse-slow")
    assert len(bench.desk.sent) == 1, "a tag that is there is not written again"
    assert bench.adapter.remove_tag("100", "deskpulse-slow").after == ("refund", "vip")
    assert bench.desk.sent[1][0] == "DELETE"
    assert bench.adapter.remove_tag("100", "deskpulse-slow").after == ("refund", "vip")
    assert len(bench.desk.sent) == 2


def test_a_write_that_replaces_the_others_is_noticed(bench: Bench) -> None:
    bench.desk.ticket(tags=["refund"])
    bench.desk.on_tags = lambda _: ["deskpulse-slow"]
    with pytest.raises(Rejected, match="set them by hand"):
        bench.adapter.add_tag("100", "deskpulse-slow")
    with pytest.raises(Rejected, match="set them by hand"):
        bench.adapter.remove_tag("100", "deskpulse-slow")


def test_a_tag_that_somebody_adds_meanwhile_is_no_fault(bench: Bench) -> None:
    bench.desk.ticket(tags=["refund"])
    bench.desk.on_tags = lambda tags: [*tags, "vip"]
    assert bench.adapter.add_tag("100", "slow").after == ("refund", "slow", "vip")


def test_a_note_is_literally_not_public_and_read_back(bench: Bench) -> None:
    bench.desk.ticket()
    bench.desk.audit(comment("[deskpulse] slow"))
    text = "[deskpulse] slow"
    note = bench.adapter.add_note("100", text)
    assert bench.desk.sent == [("PUT", "/tickets/100.json", {"ticket": {"comment": {"body": text, "public": False}}})]
    assert bench.adapter.find_note("100", "[deskpulse]  slow ") == note
    assert bench.adapter.find_note("100", "[deskpulse] other") is None
    with pytest.raises(Rejected, match="cannot delete a note"):
        bench.adapter.remove_note("100", note)


@pytest.mark.parametrize("bent", [{"public": True}, {"body": "something else"}])
def test_a_note_that_became_something_else_is_said_at_once(bench: Bench, bent: Row) -> None:
    bench.desk.ticket()
    bench.desk.on_note = lambda given: given | bent
    with pytest.raises(Rejected, match="not there as an internal note"):
        bench.adapter.add_note("100", "[deskpulse] slow")


def test_a_closed_ticket_takes_nothing_any_more(bench: Bench) -> None:
    bench.desk.ticket(status="closed")
    with pytest.raises(Rejected) as refused:
        bench.adapter.add_note("100", "[deskpulse] slow")
    assert refused.value.status == 422


def test_a_long_ticket_is_searched_to_its_end_for_a_note(bench: Bench) -> None:
    bench.desk.ticket()
    for _ in range(150):
        bench.desk.audit(comment("Hi", ADA), by=ADA)
    assert bench.adapter.find_note("100", "[deskpulse] slow") is None
    note = bench.adapter.add_note("100", "[deskpulse] slow")
    assert bench.adapter.find_note("100", "[deskpulse] slow") == note


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/tickets/1/tags.json", {"tags": ["x"]}),
        ("PUT", "/tickets/1.json", {"ticket": {"comment": {"body": "[deskpulse] x", "public": True}}}),
        ("PUT", "/tickets/1.json", {"ticket": {"comment": {"body": "[deskpulse] x"}}}),
        ("PUT", "/tickets/1.json", {"ticket": {"tags": ["x"]}}),
        ("PUT", "/tickets/1.json", {"ticket": {"comment": {"body": "Dear customer", "public": False}}}),
        ("GET", "/search.json", None),
    ],
)
def test_the_gate_lets_nothing_else_through(bench: Bench, method: Any, path: str, body: Any) -> None:
    bench.desk.ticket(1)
    with pytest.raises(NotAllowed):
        bench.http.send(method, ROOT + path, body)
    assert bench.desk.sent == []


# --- doctor ----------------------------------------------------------------------------------------------------------


def findings(desk: Desk, **changes: Any) -> dict[str, Finding]:
    found = bench_of(desk, **changes)
    with closing(found.http):
        return {one.check: one for one in found.adapter.probe()}


def test_doctor_knows_an_administrator_and_its_plan() -> None:
    found = findings(Desk())
    assert found["access"].ok
    assert (found["rate limit"].ok, "200 requests" in found["rate limit"].detail) == (True, True)
    assert found["tickets"].ok
    assert found["times"].ok
    assert found["scopes"].ok is None, "an API token can do more than we need"


@pytest.mark.parametrize(
    ("me", "says"),
    [({"id": None, "role": "end-user"}, "visitor"), ({"id": 3, "name": "Al", "role": "agent"}, "refused")],
)
def test_doctor_says_who_cannot_export(me: Row, says: str) -> None:
    desk = Desk()
    desk.me = me
    found = findings(desk)
    assert list(found) == ["access"]
    assert (found["access"].ok, says in found["access"].detail, bool(found["access"].remedy)) == (False, True, True)


@pytest.mark.parametrize(
    ("scopes", "ok", "says"),
    [
        (["read", "tickets:write"], True, "tickets:write"),
        (["read", "write", "impersonate"], None, "broader than needed: impersonate, write"),
        (["tickets:read"], None, "global read"),
        ([], None, "not told"),
    ],
)
def test_doctor_warns_of_scopes_that_are_too_wide_or_too_narrow(scopes: list[str], ok: bool | None, says: str) -> None:
    desk = Desk()
    desk.scopes = scopes
    scoped = findings(desk, email=None)["scopes"]
    assert (scoped.ok, says in scoped.detail) == (ok, True)


@pytest.mark.parametrize(("limit", "advice"), [("700", "3.89"), ("400", "2.22"), ("", "nothing")])
def test_doctor_advises_a_third_of_the_plans_rate(limit: str, advice: str) -> None:
    desk = Desk()
    desk.headers = {"X-Rate-Limit": limit}
    found = findings(desk)["rate limit"]
    assert (found.ok, advice in found.remedy) == (None, True)


def test_doctor_names_the_kpis_that_cannot_be_fed() -> None:
    desk = Desk()
    desk.absent |= {"satisfaction_ratings": 403, "survey_responses": 403, "business_hours": 404}
    found = findings(desk)
    assert (found["csat"].ok, "csat_mean" in found["csat"].detail) == (None, True)
    assert (found["opening hours"].ok, "[calendar]" in found["opening hours"].remedy) == (None, True)
    assert found["bot handoffs"].ok is None


@pytest.mark.parametrize(
    ("absent", "says"),
    [
        ({}, "good/bad ratings and surveys"),
        ({"survey": 403}, "good/bad ratings readable"),
        ({"satis": 404}, "surveys read"),
    ],
)
def test_doctor_tells_which_surveys_there_are(absent: dict[str, int], says: str) -> None:
    desk = Desk()
    desk.absent |= absent
    assert says in findings(desk)["csat"].detail


def test_doctor_says_when_the_export_is_refused() -> None:
    desk = Desk()
    desk.absent["incremental"] = 403
    assert findings(desk)["tickets"].ok is False


def test_doctor_tells_the_zone_of_the_opening_hours_or_that_it_is_unknown() -> None:
    desk = Desk()
    desk.lists["schedules"] = [timetable("Paris", (0, 60))]
    assert "Europe/Paris" in findings(desk)["opening hours"].detail
    desk.lists["schedules"] = [timetable("Atlantis", (0, 60))]
    assert "unknown" in findings(desk)["opening hours"].detail


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("acme", "https://acme.zendesk.com"),
        ("acme.zendesk.com", "https://acme.zendesk.com"),
        (" https://acme.zendesk.com/agent/tickets/12 ", "https://acme.zendesk.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_an_address_is_taken_as_it_is_copied(given: str, read: str) -> None:
    assert ZendeskSettings(url=given, token="x").url == read  # type: ignore[arg-type]  # pydantic makes it a secret


@pytest.mark.parametrize("wrong", [{"url": "ftp://x"}, {"url": "my desk"}, {"email": "deskpulse"}, {"account": 3}])
def test_a_wrong_setting_is_named_with_its_remedy(wrong: Row) -> None:
    with pytest.raises(ValidationError, match=r"write the|Extra"):
        ZendeskSettings(**{"url": "acme", "token": "x", **wrong})


def test_a_token_goes_with_its_address_or_alone() -> None:
    basic = Zendesk.service(ZendeskSettings(url="acme", token="s", email="a@b.example/token"))  # type: ignore[arg-type]  # as above
    assert (basic.auth, dict(basic.headers)) == (("a@b.example/token", "s"), {})
    bearer = Zendesk.service(ZendeskSettings(url="acme", token="s"))  # type: ignore[arg-type]  # as above
    assert (bearer.auth, dict(bearer.headers)) == (None, {"Authorization": "Bearer s"})


def test_a_third_of_the_documented_budgets_is_ours() -> None:
    service = Zendesk.service(ZendeskSettings(url="acme", token="s"))  # type: ignore[arg-type]  # as above
    assert service.per_second * 60 * 3 == pytest.approx(200, rel=0.02)
    assert [round(rate * 60 * 3) for rate in service.budgets.values()] == [10, 100, 100]


def test_every_request_of_the_table_is_one_that_is_made() -> None:
    """Whatever the tests above asked for went through the gate; here is that the table holds nothing beyond it."""
    desk = Desk()
    desk.ticket(100, via=via("chat"))
    desk.exported()
    desk.lists["schedules"] = [timetable("Paris", (0, 60))]
    for changes in ({}, {"email": None}):
        found = bench_of(desk, **changes)
        with closing(found.http):
            for stream in found.adapter.streams:
                found.pull(stream)
            list(found.adapter.reread(["100", "101"], lambda *_: True))
            list(found.adapter.probe())
            found.adapter.add_tag("100", "slow")
            found.adapter.remove_tag("100", "slow")
            found.adapter.add_note("100", "[deskpulse] slow")
    assert set(desk.gate.passed) == {(call["method"], call["path"]) for call in desk.gate.calls}
