"""The Intercom adapter, through the real client, against a small workspace that answers as Intercom does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract_case import StandingClock
from pydantic import ValidationError
from request_gate import NotAllowed, RequestGate

import adapters.intercom
from adapters.intercom import Intercom, IntercomSettings
from connector.contract import Finding, Notes, Probes, Pulls, Rereads, Tags
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
    Page,
    Rating,
    Reject,
    Schedule,
    Team,
)

FIXTURE = Path(__file__).parents[1] / "fixtures" / "intercom"
T = 1_772_528_400
"""The conversation begins, in Unix seconds: 2026-03-03 09:00 UTC."""
MINUTE, DAY = 60, 86_400
Row = dict[str, Any]

NOOR = {"type": "admin", "id": "801", "name": "Noor", "email": "noor@example.com", "from_ai_agent": False}
OPERATOR = {"type": "bot", "id": "809", "name": "Operator", "email": "operator+k2@intercom.io", "from_ai_agent": False}
FIN = OPERATOR | {"from_ai_agent": True, "is_ai_answer": True}
ADA = {"type": "user", "id": "65aa01", "name": "Ada", "email": "ada@example.com"}
ME = {"type": "admin", "id": "800", "name": "Pulse", "email": "pulse@example.com"}
APP = {"type": "app", "id_code": "k2shop", "name": "Example Shop", "timezone": "Europe/Amsterdam", "region": "US"}


def part(number: int | str, kind: str, at: int, author: Row = NOOR, body: str | None = None, **more: Any) -> Row:
    told = {"type": "conversation_part", "id": number, "part_type": kind, "body": body, "author": author}
    stamps = {"created_at": T + at, "updated_at": T + at, "notified_at": T + at}
    return {**told, **stamps, "assigned_to": None, "attachments": [], "redacted": False, **more}


def chat(number: str = "5001", *parts: Row, at: int = 0, updated: int = 3600, **more: Any) -> Row:
    author = more.pop("author", ADA)
    source = {"type": "conversation", "id": "7001", "delivered_as": "customer_initiated", "body": "Hello?"}
    return {
        "type": "conversation",
        "id": number,
        "created_at": T + at,
        "updated_at": T + updated,
        "open": True,
        "state": "open",
        "source": {**source, "author": author, "redacted": False, **more.pop("source", {})},
        "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": "65aa01"}]},
        "admin_assignee_id": None,
        "team_assignee_id": None,
        "tags": {"type": "tag.list", "tags": []},
        "statistics": None,
        "conversation_rating": None,
        "ai_agent": None,
        "parts": list(parts),
        **more,
    }


class Workspace:
    """Intercom's side. ``asked`` holds what it was asked; a test changes the rest."""

    def __init__(self) -> None:
        self.gate = RequestGate(FIXTURE / "requests.json")
        self.chats: dict[str, Row] = {}
        self.app: Row | None = dict(APP)
        self.deleted: list[Row] = []
        self.tags = {"vip": "41"}
        self.schedules: list[Row] = []
        self.exceptions: list[Row] = []
        self.lists: dict[str, list[Row]] = {"admins": [ME, NOOR], "teams": [{"id": "31", "name": "Orders"}]}
        self.asked: list[tuple[str, str, Any]] = []
        self.refused: dict[str, int] = {}
        self.deaf = False
        """Whatever order it is asked for, the newest comes first."""
        self.at_least: Callable[[int, int], bool] = lambda updated, since: updated >= since
        self.attach: Callable[[Row, Row], None] = lambda row, tag: row["tags"]["tags"].append(tag)
        self.after_page: Callable[[], None] = lambda: None
        self.page_size = 150

    def hold(self, *rows: Row) -> None:
        self.chats |= {row["id"]: row for row in rows}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.gate.check(request)
        assert request.headers["authorization"] == "Bearer canary-token"
        assert request.headers["intercom-version"] == "2.16"
        path, body = request.url.path, json.loads(request.content or b"null")
        self.asked.append((request.method, path, body))
        status = next((status for pattern, status in self.refused.items() if re.fullmatch(pattern, path)), 200)
        if status != 200:
            return httpx.Response(status, json={"type": "error.list", "errors": []})
        found = self._write(request.method, path, body) if request.method != "GET" else self._read(request)
        headers = {"X-RateLimit-Limit": "167"}
        missing = {"type": "error.list", "errors": [{"code": "not_found"}]}
        return httpx.Response(200 if found else 404, json=found or missing, headers=headers)

    def _read(self, request: httpx.Request) -> Any:
        path, query = request.url.path, request.url.params
        if path == "/me":
            return ME | {"app": self.app}
        if path == "/conversations/deleted":
            page, size = int(query["page"]), int(query["per_page"])
            rows = self.deleted[(page - 1) * size : page * size]
            return {"type": "conversations.list", "conversations": rows, "total_count": len(self.deleted)}
        if found := re.fullmatch(r"/conversations/(\d+)", path):
            return self._told(self.chats.get(found[1]))
        told = {"/office_hours_schedules": {"data": self.schedules}, **{f"/{k}": {k: v} for k, v in self.lists.items()}}
        return told.get(path, {"data": self.exceptions})

    def _told(self, row: Row | None) -> Row | None:
        """The newest 500 parts, whatever there are."""
        if row is None:
            return None
        shown = {key: value for key, value in row.items() if key != "parts"}
        return {**shown, "conversation_parts": {"conversation_parts": row["parts"][-500:]}}

    def _write(self, method: str, path: str, body: Any) -> Any:
        if path == "/conversations/search":
            return self._search(body)
        if path == "/tags":
            return {"type": "tag", "id": self.tags.setdefault(body["name"], str(41 + len(self.tags))), **body}
        row = self.chats[path.split("/")[2]]
        if method == "DELETE":
            row["tags"]["tags"] = [tag for tag in row["tags"]["tags"] if tag["id"] != path.rsplit("/", 1)[1]]
        elif path.endswith("/tags"):
            name = next(name for name, number in self.tags.items() if number == body["id"])
            self.attach(row, {"type": "tag", "id": body["id"], "name": name})
        else:
            row["parts"].append(part(9900 + len(row["parts"]), body["message_type"], 9000, ME, body["body"]))
        return {"type": "done"}

    def _search(self, body: Row) -> Row:
        """A page goes on after the last row it gave, wherever that row is now."""
        since, pagination = body["query"]["value"], body["pagination"]
        found = [row for row in self.chats.values() if self.at_least(row["updated_at"], since)]
        newest_first = self.deaf or body["sort"]["order"] == "descending"
        found.sort(key=_place, reverse=newest_first)
        last = tuple(json.loads(pagination.get("starting_after", "null")) or ())
        rest = [row for row in found if not last or (_place(row) < last if newest_first else _place(row) > last)]
        rows = rest[: min(pagination["per_page"], self.page_size)]
        following = {"starting_after": json.dumps(_place(rows[-1]))} if len(rest) > len(rows) else None
        shown = [{k: v for k, v in row.items() if k != "parts"} for row in rows]
        self.after_page()
        pages = {"type": "pages", "next": following}
        return {"type": "conversation.list", "conversations": shown, "total_count": len(found), "pages": pages}


def _place(row: Row) -> tuple[int, int]:
    return row["updated_at"], int(row["id"])


@pytest.fixture
def desk() -> Workspace:
    return Workspace()


@pytest.fixture
def intercom(desk: Workspace) -> Iterator[Intercom]:
    with closing_adapter(desk) as adapter:
        yield adapter


class closing_adapter:  # noqa: N801 - used like a function
    def __init__(self, desk: Callable[[httpx.Request], httpx.Response], **settings: Any) -> None:
        chosen = IntercomSettings(token="canary-token", **settings)
        self.clock = StandingClock()
        transport = httpx.MockTransport(desk)
        self.client = HttpClient(Intercom.service(chosen), self.clock, name="intercom", demo=False, transport=transport)
        self.adapter = Intercom(chosen, self.client)

    def __enter__(self) -> Intercom:
        return self.adapter

    def __exit__(self, *_: object) -> None:
        self.client.close()


class Stored:
    """What a store would hold: the newest of each record, the cursor of each stream."""

    def __init__(self) -> None:
        self.records: dict[tuple[type, str], Any] = {}
        self.cursors: dict[str, Any] = {}

    def seen(self, conversation: str, changed_at: int | None) -> bool:
        known = self.records.get((Conversation, conversation))
        return changed_at is not None and known is not None and known.changed_at == changed_at

    def pull(self, adapter: Intercom, stream: str = "conversations", most: int = 1000) -> list[Page]:
        pages = []
        for page in adapter.pull(stream, self.cursors.get(stream), self.seen):
            pages.append(page)
            self.records |= {(type(record), record.id): record for record in page.records}
            if page.cursor is not None:
                self.cursors[stream] = json.loads(json.dumps(page.cursor))
            if len(pages) == most:
                break
        return pages

    def all(self, kind: type) -> list[Any]:
        return [record for (of, _), record in self.records.items() if of is kind]


@pytest.fixture
def stored() -> Stored:
    return Stored()


def pulled(adapter: Intercom, kind: type, stream: str = "conversations") -> list[Any]:
    stored = Stored()
    stored.pull(adapter, stream)
    return stored.all(kind)


def told(adapter: Intercom, kind: str) -> list[tuple[str | None, str | None, int]]:
    """(value, value before, seconds since the conversation began) of the events of a kind, in order."""
    return [(e.value, e.was, e.at // 1000 - T) for e in pulled(adapter, Event) if e.kind == kind]


def ms(second: int) -> int:
    return (T + second) * 1000


# --- settings and the service --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "https://api.intercom.io"),
        ({"region": "EU"}, "https://api.eu.intercom.io"),
        ({"region": "au"}, "https://api.au.intercom.io"),
        ({"url": "http://127.0.0.1:8421/"}, "http://127.0.0.1:8421"),
    ],
)
def test_the_region_decides_the_address(settings: Row, address: str) -> None:
    service = Intercom.service(IntercomSettings(token="t", **settings))
    assert (service.base_url, service.headers["Intercom-Version"]) == (address, "2.16")


@pytest.mark.parametrize(
    "wrong", [{"region": "mars"}, {"requests_per_second": 0}, {"url": "api.intercom.io"}, {"tokn": ""}]
)
def test_a_wrong_setting_is_refused(wrong: Row) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        IntercomSettings(**{"token": "t", **wrong})


def test_the_token_is_never_shown() -> None:
    settings = IntercomSettings(token="canary-token")
    assert "canary-token" not in repr(settings) + repr(Intercom.service(settings))


def test_it_pulls_rereads_tags_notes_and_probes(intercom: Intercom) -> None:
    assert all(isinstance(intercom, can) for can in (Pulls, Rereads, Tags, Notes, Probes))


def test_a_refused_search_waits_until_the_reset_that_it_names() -> None:
    """There is no Retry-After, and the search is asked again although it is a POST."""
    desk, refusals = Workspace(), [1]
    desk.hold(chat())

    def limited(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/conversations/search" and refusals:
            refusals.pop()
            reset = {"X-RateLimit-Reset": str(StandingClock().now() // 1000 + 7), "X-RateLimit-Remaining": "0"}
            body = {"type": "error.list", "errors": [{"code": "rate_limit_exceeded"}]}
            return httpx.Response(429, json=body, headers=reset)
        return desk(request)

    connected = closing_adapter(limited)
    with connected as adapter:
        assert [c.id for c in pulled(adapter, Conversation)] == ["5001"]
    assert connected.client.waited_s >= 7


# --- directory -----------------------------------------------------------------------------------------------------


def test_the_directory_has_the_workspace_its_teams_and_teammates(desk: Workspace, intercom: Intercom) -> None:
    desk.lists["admins"] = [NOOR, {"id": 809, "name": "Operator", "email": "operator+k2@intercom.io"}]
    assert pulled(intercom, Inbox, "directory") == [Inbox("k2shop", "Example Shop")]
    assert pulled(intercom, Team, "directory") == [Team("31", "Orders")]
    assert pulled(intercom, Agent, "directory") == [Agent("801", "Noor"), Agent("809", "Operator", "bot")]


def test_an_unchanged_directory_is_told_once(desk: Workspace, intercom: Intercom, stored: Stored) -> None:
    assert stored.pull(intercom, "directory")[0].records
    assert stored.pull(intercom, "directory")[0].records == []
    desk.lists["teams"][0] = {"id": "31", "name": "Parcels"}
    assert Team("31", "Parcels") in stored.pull(intercom, "directory")[0].records


OFFICE = {"id": "61", "name": "Office", "time_zone_name": "Europe/Amsterdam", "twenty_four_seven": False}


def schedule_told(desk: Workspace, adapter: Intercom, *spans: tuple[int, int], **more: Any) -> Schedule | None:
    intervals = [{"start_minute": start, "end_minute": end} for start, end in spans]
    desk.schedules = [OFFICE | {"time_intervals": intervals} | more]
    return pulled(adapter, Inbox, "directory")[0].schedule


def test_hours_count_minutes_since_monday_and_a_night_belongs_to_two_days(desk: Workspace, intercom: Intercom) -> None:
    schedule = schedule_told(desk, intercom, (540, 720), (780, 1080), (1440 + 1320, 2 * 1440 + 360))
    monday, tuesday, wednesday = ((540, 720), (780, 1080)), ((1320, 1440),), ((0, 360),)
    assert schedule == Schedule("Europe/Amsterdam", (monday, tuesday, wednesday, (), (), (), ()))


@pytest.mark.parametrize(
    "more", [{"twenty_four_seven": True}, {"time_intervals": [{"start_minute": 0, "end_minute": 10_079}]}]
)
def test_a_desk_that_never_closes_is_open_every_minute(desk: Workspace, intercom: Intercom, more: Row) -> None:
    schedule = schedule_told(desk, intercom, **more)
    assert schedule is not None
    assert schedule.hours == (((0, 1440),),) * 7


def test_closed_days_are_holidays_and_come_back_where_they_do_so_every_year(
    desk: Workspace, intercom: Intercom
) -> None:
    desk.exceptions = [
        {"exception_date": "2026-12-25", "exception_type": "closed", "recurring_annually": True},
        {"exception_date": "2026-05-05", "exception_type": "closed", "recurring_annually": False},
        {"exception_date": "2026-12-31", "exception_type": "custom_hours", "time_intervals": []},
    ]
    schedule = schedule_told(desk, intercom, (540, 1080))
    assert schedule is not None
    assert schedule.holidays[:3] == ("2026-05-05", "2026-12-25", "2027-12-25")


def test_of_several_schedules_none_is_taken_and_an_unknown_zone_is_said(desk: Workspace, intercom: Intercom) -> None:
    desk.schedules = [OFFICE, OFFICE | {"id": "62"}]
    assert pulled(intercom, Inbox, "directory")[0].schedule is None
    desk.schedules = [OFFICE | {"time_zone_name": "Mars/Base"}]
    page = Stored().pull(intercom, "directory")[0]
    assert [(one.kind, one.id) for one in page.rejects] == [("inbox", "61")]


@pytest.mark.parametrize("status", [403, 404])
def test_what_the_token_or_the_version_does_not_have_costs_nothing_else(
    desk: Workspace, intercom: Intercom, stored: Stored, status: int
) -> None:
    desk.hold(chat())
    desk.refused = {"/office_hours_schedules": status, "/conversations/deleted": status}
    for stream in intercom.streams:
        stored.pull(intercom, stream)
    assert len(stored.all(Conversation)) == 1
    assert stored.all(Inbox)[0].schedule is None


def test_a_refused_token_pauses_the_source(desk: Workspace, intercom: Intercom) -> None:
    desk.refused = {"/office_hours_schedules": 401}
    with pytest.raises(AuthFailed):
        pulled(intercom, Inbox, "directory")


# --- the walk ------------------------------------------------------------------------------------------------------


def many(count: int, start: int = 0) -> list[Row]:
    return [chat(str(6000 + n), at=n, updated=100 + n) for n in range(start, start + count)]


def searches(desk: Workspace) -> list[Row]:
    return [body for _, path, body in desk.asked if path == "/conversations/search"]


def test_three_hundred_conversations_take_three_pages_and_all_arrive(
    desk: Workspace, intercom: Intercom, stored: Stored
) -> None:
    desk.hold(*many(301))
    pages = stored.pull(intercom)
    assert (len(pages), len(stored.all(Conversation)), pages[0].total) == (3, 301, 301)
    assert [page.cursor for page in pages] == [{"since": T + 100 + n} for n in (149, 299, 300)]


def test_the_next_walk_looks_back_more_than_a_day_and_reads_only_what_changed(
    desk: Workspace, intercom: Intercom, stored: Stored
) -> None:
    """The longest day has 25 hours: filters by whole days miss nothing."""
    desk.hold(*many(3))
    stored.pull(intercom)
    desk.asked.clear()
    desk.chats["6001"] |= {"updated_at": T + 500, "state": "closed"}
    stored.pull(intercom)
    assert searches(desk)[0]["query"]["value"] == T + 102 - 25 * 3600
    assert [path for _, path, _ in desk.asked if path != "/conversations/search"] == ["/conversations/6001"]
    assert stored.records[Conversation, "6001"].status == "done"


@pytest.mark.parametrize("zone_h", [-11, 0, 2, 13])
def test_a_filter_by_whole_days_misses_nothing(
    desk: Workspace, intercom: Intercom, stored: Stored, zone_h: int
) -> None:
    """As contacts are searched: the day of the time given is left out, in the workspace's zone."""

    def day(second: int) -> int:
        return (second + zone_h * 3600) // DAY

    desk.at_least = lambda updated, since: day(updated) > day(since)
    desk.hold(*many(3))
    stored.pull(intercom)
    desk.hold(chat("6010", updated=103))
    stored.pull(intercom)
    assert (Conversation, "6010") in stored.records


def test_a_broken_walk_goes_on_where_it_was(desk: Workspace, intercom: Intercom, stored: Stored) -> None:
    desk.page_size = 10
    desk.hold(*[chat(str(6000 + n), updated=n * 10_000) for n in range(30)])
    pages = iter([200, 504])
    desk.after_page = lambda: desk.refused.update({"/conversations/search": next(pages)})
    with pytest.raises(Transient):
        stored.pull(intercom)
    assert stored.cursors["conversations"] == {"since": T + 190_000}
    desk.refused, desk.after_page = {}, lambda: None
    desk.asked.clear()
    stored.pull(intercom)
    assert len(stored.all(Conversation)) == 30
    assert searches(desk)[0]["query"]["value"] == T + 190_000 - 25 * 3600
    assert sum(path.startswith("/conversations/6") for _, path, _ in desk.asked) == 10


def test_rows_that_move_while_one_walks_are_seen_again_and_none_is_lost(
    desk: Workspace, intercom: Intercom, stored: Stored
) -> None:
    desk.page_size = 10
    desk.hold(*many(25))

    def move() -> None:
        desk.chats["6003"]["updated_at"] = T + 900
        desk.hold(chat("6900", updated=901))

    desk.after_page = move
    stored.pull(intercom)
    assert {c.id for c in stored.all(Conversation)} == set(desk.chats)
    assert stored.records[Conversation, "6003"].changed_at == ms(900)


def test_where_the_order_is_not_kept_the_cursor_waits_for_the_end(
    desk: Workspace, intercom: Intercom, stored: Stored
) -> None:
    desk.page_size, desk.deaf = 10, True
    desk.hold(*many(30))
    assert [page.cursor for page in stored.pull(intercom)] == [None, None, {"since": T + 129}]


def test_an_end_told_by_nothing_is_an_end_too(desk: Workspace, stored: Stored) -> None:
    desk.hold(chat())

    def bare(request: httpx.Request) -> httpx.Response:
        answer = desk(request)
        if request.url.path == "/conversations/search":
            return httpx.Response(200, json={"conversations": json.loads(answer.content)["conversations"]})
        return answer

    with closing_adapter(bare) as adapter:
        assert len(stored.pull(adapter)) == 1


def test_a_list_without_end_is_left(desk: Workspace, intercom: Intercom, stored: Stored) -> None:
    desk.page_size = 1
    desk.hold(*many(3))
    answered = desk._search

    def stuck(body: Row) -> Row:
        return answered(body) | {"pages": {"next": {"starting_after": "[0, 0]"}}}

    desk._search = stuck  # type: ignore[method-assign]  # the fault
    with pytest.raises(BadPayload, match="same page twice"):
        stored.pull(intercom)


def test_what_vanished_between_the_search_and_the_reading_is_left_out(
    desk: Workspace, intercom: Intercom, stored: Stored
) -> None:
    desk.hold(*many(2))
    desk.after_page = lambda: desk.chats.pop("6000", None) and None
    stored.pull(intercom)
    assert [c.id for c in stored.all(Conversation)] == ["6001"]


def test_a_search_that_lags_behind_does_not_overrule_what_was_read(
    desk: Workspace, intercom: Intercom, stored: Stored
) -> None:
    desk.hold(chat(state="closed"))
    answered = desk._search

    def lagging(body: Row) -> Row:
        found = answered(body)
        return found | {"conversations": [row | {"state": "open", "updated_at": T} for row in found["conversations"]]}

    desk._search = lagging  # type: ignore[method-assign]  # the index is behind
    stored.pull(intercom)
    assert stored.records[Conversation, "5001"][2:4] == ("done", ms(3600))


# --- a conversation ------------------------------------------------------------------------------------------------


def test_a_conversation_has_its_channel_owner_tags_and_place(desk: Workspace, intercom: Intercom) -> None:
    tags = {"tags": [{"id": "42", "name": "vip"}, {"id": "41", "name": "late"}]}
    desk.hold(chat(source={"type": "whatsapp"}, admin_assignee_id=801, team_assignee_id="31", tags=tags))
    found = pulled(intercom, Conversation)[0]
    assert found == Conversation(
        id="5001",
        created_at=ms(0),
        status="open",
        changed_at=ms(3600),
        inbox="k2shop",
        channel="whatsapp",
        contact="65aa01",
        team="31",
        agent="801",
        link="https://app.intercom.com/a/inbox/k2shop/inbox/conversation/5001",
        tags=("late", "vip"),
    )
    assert pulled(intercom, Contact) == [Contact("65aa01")]
    assert pulled(intercom, Channel) == [Channel("whatsapp", "whatsapp")]


@pytest.mark.parametrize("nobody", [None, 0, "0"])
def test_nobody_is_null_or_zero(desk: Workspace, intercom: Intercom, nobody: Any) -> None:
    desk.hold(chat(admin_assignee_id=nobody, team_assignee_id=nobody))
    assert pulled(intercom, Conversation)[0][7:9] == (None, None)


def test_ids_are_text_whether_they_come_as_text_or_as_numbers(desk: Workspace, intercom: Intercom) -> None:
    desk.hold(
        chat("5001", part(9001, "comment", 60, NOOR | {"id": 801}, "Yes"), part("9002", "comment", 61, NOOR, "No"))
    )
    said = [(m.id, m.author_id) for m in pulled(intercom, Message)][1:]
    assert said == [("9001", "801"), ("9002", "801")]


@pytest.mark.parametrize(
    ("state", "opened", "status"),
    [
        ("open", True, "open"),
        ("closed", False, "done"),
        ("snoozed", True, "snoozed"),
        (None, False, "done"),
        ("hibernating", True, "open"),
    ],
)
def test_the_state_becomes_a_status(
    desk: Workspace, intercom: Intercom, state: str | None, opened: bool, status: str
) -> None:
    desk.hold(chat(state=state, open=opened))
    assert pulled(intercom, Conversation)[0].status == status


def test_a_workspace_that_is_not_named_is_no_inbox(desk: Workspace, intercom: Intercom) -> None:
    desk.app = None
    desk.hold(chat())
    assert pulled(intercom, Conversation)[0].inbox is None


# --- messages ------------------------------------------------------------------------------------------------------


def test_the_first_message_is_the_source_and_not_a_part(desk: Workspace, intercom: Intercom) -> None:
    desk.hold(chat("5001", part("9001", "comment", 60, body="Shipped"), source={"body": "<p>Where &amp; when?</p>"}))
    first, second = pulled(intercom, Message)
    assert first[:7] == ("5001:source", "5001", ms(0), "customer", "65aa01", True, "message")
    assert (first.body, first.length) == ("Where & when?", 13)
    assert second[:7] == ("9001", "5001", ms(60), "human", "801", True, "message")


def test_one_source_shared_by_many_makes_a_message_of_each(desk: Workspace, intercom: Intercom) -> None:
    desk.hold(chat("1"), chat("2"))
    assert {m.id for m in pulled(intercom, Message)} == {"1:source", "2:source"}


@pytest.mark.parametrize(
    ("delivered", "author", "becomes"),
    [
        ("customer_initiated", ADA, ("customer", "message", "65aa01")),
        ("campaigns_initiated", NOOR, ("automation", "campaign", None)),
        ("automated", NOOR, ("automation", "campaign", None)),
        ("admin_initiated", NOOR, ("human", "message", "801")),
        ("operator_initiated", OPERATOR, ("automation", "message", None)),
        ("operator_initiated", FIN, ("bot", "message", "809")),
        ("something_new", {"type": "oracle", "id": "1"}, ("unknown", "message", None)),
    ],
)
def test_who_began_is_told_by_the_way_it_was_delivered(
    desk: Workspace, intercom: Intercom, delivered: str, author: Row, becomes: tuple[str | None, ...]
) -> None:
    desk.hold(chat(source={"delivered_as": delivered}, author=author))
    first = pulled(intercom, Message)[0]
    assert (first.author, first.kind, first.author_id) == becomes


def test_an_empty_beginning_is_a_message_only_from_a_customer(desk: Workspace, intercom: Intercom) -> None:
    desk.hold(
        chat("1", source={"body": ""}), chat("2", source={"body": None}, author=OPERATOR), chat("3") | {"source": None}
    )
    assert [(m.id, m.length) for m in pulled(intercom, Message)] == [("1:source", 0)]


@pytest.mark.parametrize(
    ("author", "becomes"),
    [
        (NOOR, "human"),
        ({"type": "admin", "id": "801"}, "human"),
        (NOOR | {"from_ai_agent": True}, "bot"),
        (NOOR | {"is_ai_answer": True}, "bot"),
        ({"type": "admin", "id": "809", "email": "operator+k2@intercom.io"}, "automation"),
        (OPERATOR, "automation"),
        (FIN, "bot"),
        (ADA, "customer"),
        (ADA | {"type": "lead"}, "customer"),
        ({"type": "team", "id": "31"}, "unknown"),
        ({"type": "oracle"}, "unknown"),
    ],
)
def test_authors_are_told_apart(desk: Workspace, intercom: Intercom, author: Row, becomes: str) -> None:
    desk.hold(chat("5001", part("9001", "comment", 60, author, "Hello")))
    assert pulled(intercom, Message)[1].author == becomes


def test_operator_and_fin_sit_on_bots_seats(desk: Workspace, intercom: Intercom) -> None:
    desk.hold(chat("5001", part("1", "comment", 1, OPERATOR, "Hi"), part("2", "comment", 2, FIN, "Blue?")))
    assert pulled(intercom, Agent) == [Agent("809", "Operator", "bot")]


@pytest.mark.parametrize(
    ("kind", "body", "becomes"),
    [
        ("comment", "Yes", ("message", True)),
        ("comment", None, ("message", True)),
        ("quick_reply", "Yes", ("message", True)),
        ("assignment", "Over to you", ("message", True)),
        ("assign_and_reopen", "Again", ("message", True)),
        ("close", "Done!", ("message", True)),
        ("open", "One more thing", ("message", True)),
        ("snoozed", "Tomorrow", ("message", True)),
        ("note", "She is cross", ("note", False)),
        ("note_and_reopen", "Look", ("note", False)),
        ("conversation_rating_remark_added", "Meh", ("activity", False)),
        ("something_new", "What?", ("activity", False)),
        ("close", None, None),
        ("assignment", "", None),
        ("participant_added", None, None),
    ],
)
def test_what_was_said_along_with_doing_something_is_a_message_and_unknown_parts_are_none(
    desk: Workspace, intercom: Intercom, kind: str, body: str | None, becomes: tuple[str, bool] | None
) -> None:
    desk.hold(chat("5001", part("9001", kind, 60, NOOR, body)))
    said = [(m.kind, m.public) for m in pulled(intercom, Message)[1:]]
    assert said == ([becomes] if becomes else [])


def test_a_redacted_part_keeps_its_place_without_its_words(desk: Workspace, intercom: Intercom) -> None:
    desk.hold(chat("5001", part("9001", "close", 60, NOOR, None, redacted=True)))
    assert [(m.kind, m.length) for m in pulled(intercom, Message)[1:]] == [("message", 0)]


def test_our_own_notes_are_known_even_as_html(desk: Workspace, intercom: Intercom) -> None:
    desk.hold(
        chat("5001", part("9001", "note", 60, ME, "<p>[deskpulse] slow</p>"), part("9002", "note", 61, ME, "mine"))
    )
    assert [(m.id, m.own) for m in pulled(intercom, Message)[1:]] == [("9001", True), ("9002", False)]


def test_a_part_that_cannot_be_understood_costs_its_conversation_only(
    desk: Workspace, intercom: Intercom, stored: Stored
) -> None:
    desk.hold(chat("1", part("9001", "comment", -T, body="1970")), chat("2"))
    pages = stored.pull(intercom)
    assert [c.id for c in stored.all(Conversation)] == ["2"]
    assert [(r.kind, r.id) for page in pages for r in page.rejects] == [("conversation", "1")]


# --- events --------------------------------------------------------------------------------------------------------


def test_closing_opening_and_snoozing_are_told_with_who_did_it(desk: Workspace, intercom: Intercom) -> None:
    parts = (
        part("1", "close", 60),
        part("2", "open", 120, ADA, "Again me"),
        part("3", "snoozed", 180),
        part("4", "timer_unsnooze", 240, OPERATOR),
        part("5", "close", 300, OPERATOR),
        part("6", "assign_and_reopen", 360),
    )
    desk.hold(chat("5001", *parts))
    assert told(intercom, "status") == [
        ("done", "open", 60), ("open", "done", 120), ("snoozed", "open", 180), ("open", "snoozed", 240),
        ("done", "open", 300), ("open", "done", 360),
    ]  # fmt: skip
    assert [e.actor for e in pulled(intercom, Event)] == ["801", None, "801", "809", "809", "801"]


def test_the_state_beside_a_part_tells_what_its_unknown_type_did(desk: Workspace, intercom: Intercom) -> None:
    parts = (part("1", "close", 60, state="closed"), part("2", "woken_by_magic", 90, OPERATOR, state="open"))
    desk.hold(chat("5001", *parts, part("3", "comment", 95, body="Yes", state="open")))
    assert told(intercom, "status") == [("done", "open", 60), ("open", "done", 90)]


def test_a_customer_who_writes_again_opens_it_where_nothing_else_says_so(desk: Workspace, intercom: Intercom) -> None:
    desk.hold(
        chat("5001", part("1", "close", 60), part("2", "comment", 90, ADA, "No"), part("3", "comment", 95, body="?"))
    )
    assert told(intercom, "status") == [("done", "open", 60), ("open", "done", 90)]


def test_parts_of_one_second_are_in_the_order_of_their_numbers(desk: Workspace, intercom: Intercom) -> None:
    desk.hold(chat("5001", part("1000", "open", 60), part("999", "close", 60)))
    events = pulled(intercom, Event)
    assert [(e.id, e.value, e.derived) for e in events] == [
        ("999:status", "done", False),
        ("1000:status", "open", False),
    ]


def test_a_snapshot_that_its_parts_do_not_explain_is_agreed_with(desk: Workspace, intercom: Intercom) -> None:
    statistics = {"last_close_at": T + 500}
    desk.hold(chat("5001", part("1", "comment", 60, body="Yes"), state="closed", statistics=statistics))
    events = pulled(intercom, Event)
    assert [(e.id, e.value, e.at, e.derived) for e in events] == [("5001:now", "done", ms(500), True)]


def test_owners_change_with_their_parts(desk: Workspace, intercom: Intercom) -> None:
    def given(number: str, at: int, kind: str, to: str | int | None) -> Row:
        return part(number, "assignment", at, OPERATOR, assigned_to={"type": kind, "id": to})

    parts = (given("1", 10, "team", "31"), given("2", 20, "admin", 801), given("3", 30, "nobody_admin", None))
    desk.hold(chat("5001", *parts, given("4", 40, "oracle", "7"), team_assignee_id=31))
    assert told(intercom, "team") == [("31", None, 10)]
    assert told(intercom, "assigned") == [("801", None, 20), (None, "801", 30)]


def test_an_owner_that_no_part_explains_is_the_last_one(desk: Workspace, intercom: Intercom) -> None:
    to = {"type": "admin", "id": "801"}
    desk.hold(chat("5001", part("1", "assignment", 10, assigned_to=to), admin_assignee_id=802))
    assert told(intercom, "assigned") == [("801", None, 10), ("802", "801", 10)]
    desk.chats["5001"]["parts"] = []
    assert told(intercom, "assigned") == []


def test_fin_hands_over_when_a_person_is_given_it(desk: Workspace, intercom: Intercom) -> None:
    to = {"type": "team", "id": "31"}
    parts = (part("1", "comment", 10, FIN, "Blue?"), part("2", "assignment", 30, FIN, assigned_to=to))
    fin = {"resolution_state": "escalated"}
    desk.hold(chat("5001", *parts, part("3", "comment", 90, body="Hello"), ai_agent=fin, team_assignee_id=31))
    assert told(intercom, "handoff") == [(None, None, 30)]
    desk.chats["5001"]["parts"][1] |= {"assigned_to": None}
    assert told(intercom, "handoff") == [(None, None, 90)]
    desk.chats["5001"]["parts"].pop()
    assert told(intercom, "handoff") == [(None, None, 10)]


@pytest.mark.parametrize("state", ["assumed_resolution", "negative_feedback", None, "something_new"])
def test_what_fin_ended_itself_is_not_handed_over(desk: Workspace, intercom: Intercom, state: str | None) -> None:
    desk.hold(chat("5001", part("1", "comment", 10, FIN, "Blue?"), ai_agent={"resolution_state": state}))
    assert told(intercom, "handoff") == []


# --- merged, deleted -----------------------------------------------------------------------------------------------


def test_the_secondary_conversation_is_merged_and_the_primary_goes_on(desk: Workspace, intercom: Intercom) -> None:
    """The part that names the primary stands in the primary: taken for a tombstone, it would bury the survivor."""
    linked = {"type": "list", "data": [{"type": "ticket", "id": "3"}, {"type": "conversation", "id": "1"}]}
    away = part("9", "merged_secondary_conversation", 60)
    desk.hold(
        chat("1", part("8", "merged_primary_conversation", 60)), chat("2", away, state="closed", linked_objects=linked)
    )
    merged = [e for e in pulled(intercom, Event) if e.kind == "merged"]
    assert [(e.conversation, e.value, e.at) for e in merged] == [("2", "1", ms(60))]


def test_a_merge_is_known_by_its_attribute_and_its_target_only_by_a_link(desk: Workspace, intercom: Intercom) -> None:
    desk.hold(
        chat("2", state="closed", custom_attributes={"Merged": True}), chat("3", custom_attributes={"Merged": True})
    )
    assert [(e.conversation, e.value) for e in pulled(intercom, Event) if e.kind == "merged"] == [("2", None)]


def gone(*stamps: int, start: int = 100) -> list[Row]:
    return [{"id": str(start + n), "deleted": True, "deleted_at": T + at} for n, at in enumerate(stamps)]


def removals(adapter: Intercom, stored: Stored) -> list[str]:
    return [event.conversation for page in stored.pull(adapter, "removals") for event in page.records]


def test_deletions_are_told_once_in_whatever_order_they_are_listed(
    desk: Workspace, intercom: Intercom, stored: Stored
) -> None:
    desk.deleted = gone(*range(0, 70 * DAY, DAY))
    assert removals(intercom, stored) == ["168", "169"]  # of those before our first look, none was ever pulled
    desk.asked.clear()
    assert removals(intercom, stored) == []
    assert len(desk.asked) == 1
    desk.deleted[30:30] = gone(70 * DAY, 69 * DAY - MINUTE, 75 * DAY, start=900)
    assert {"900", "901", "902"} <= set(removals(intercom, stored))
    assert stored.records[Event, "900:deleted"].at == ms(70 * DAY)


def test_a_walk_through_deletions_that_breaks_off_is_begun_again(
    desk: Workspace, intercom: Intercom, stored: Stored
) -> None:
    desk.deleted = gone(*range(150))
    broken = iter([None, 500])
    answered = desk.__call__

    def breaking(request: httpx.Request) -> httpx.Response:
        failed = request.url.path == "/conversations/deleted" and next(broken, 500)
        return httpx.Response(500) if failed else answered(request)

    with closing_adapter(breaking) as adapter, pytest.raises(Transient):
        removals(adapter, stored)
    assert stored.cursors == {}
    assert len(removals(intercom, stored)) == 150


def test_reading_again_tells_what_is_gone_and_reads_what_a_second_change_in_the_same_second_hid(
    desk: Workspace, intercom: Intercom, stored: Stored
) -> None:
    desk.hold(chat())
    stored.pull(intercom)
    desk.chats["5001"]["parts"].append(part("1", "close", 3600))
    records = [r for page in intercom.reread(["404", "5001"], stored.seen) for r in page.records]
    assert Event("404:deleted", "404", None, "deleted") in records
    assert [e.value for e in records if isinstance(e, Event) and e.kind == "status"] == ["done", "open"]


# --- more than 500 parts -------------------------------------------------------------------------------------------


def long_chat(count: int, **statistics: Any) -> Row:
    parts = [part(str(20_000 + n), "comment", 1000 + n, ADA, f"{n}") for n in range(count)]
    return chat("5001", *parts, statistics={"count_conversation_parts": count, **statistics})


def test_what_is_still_told_of_cut_parts_is_kept_and_the_cut_is_said(
    desk: Workspace, intercom: Intercom, stored: Stored
) -> None:
    desk.hold(long_chat(620, first_admin_reply_at=T + 70, first_close_at=T + 80))
    pages = stored.pull(intercom)
    said = sorted(stored.all(Message), key=lambda m: m.at)
    assert (len(said), [(m.at, m.author) for m in said[:2]]) == (502, [(ms(0), "customer"), (ms(70), "human")])
    assert told(intercom, "status")[0] == ("done", "open", 80)
    assert told(intercom, "status")[-1][0] == "open"
    assert pages[0].rejects == (Reject("conversation", "5001", "only the newest 500 of its 620 parts are given"),)


@pytest.mark.parametrize("count", [499, 500])
def test_a_conversation_that_just_fits_is_whole(
    desk: Workspace, intercom: Intercom, stored: Stored, count: int
) -> None:
    desk.hold(long_chat(count, first_admin_reply_at=T + 70))
    pages = stored.pull(intercom)
    assert (len(stored.all(Message)), pages[0].rejects) == (count + 1, ())


def test_parts_read_before_the_cut_stay(desk: Workspace, intercom: Intercom, stored: Stored) -> None:
    """Records are added and never taken away: what 500 newer parts push out was read in time."""
    desk.hold(long_chat(400))
    stored.pull(intercom)
    desk.hold(long_chat(800) | {"updated_at": T + 7200})
    stored.pull(intercom)
    numbers = {int(m.id) for m in stored.all(Message) if m.id.isdecimal()}
    assert numbers == set(range(20_000, 20_800))


# --- ratings -------------------------------------------------------------------------------------------------------


RATED = {"rating": 4, "created_at": T + 100, "updated_at": T + 900, "teammate": {"type": "admin", "id": 801}}


def test_a_rating_was_asked_when_created_and_given_when_updated(desk: Workspace, intercom: Intercom) -> None:
    desk.hold(chat(conversation_rating=RATED))
    asked = ms(100)
    assert pulled(intercom, Rating) == [Rating(f"5001:{asked}", "5001", asked, ((ms(900), 4),), agent="801")]


def test_a_rating_without_a_score_was_only_asked_for_and_its_answer_is_the_same_survey(
    desk: Workspace, intercom: Intercom, stored: Stored
) -> None:
    desk.hold(chat(conversation_rating=RATED | {"rating": None, "updated_at": T + 100}))
    stored.pull(intercom)
    (offered,) = stored.all(Rating)
    desk.hold(chat(conversation_rating=RATED, updated=4000))
    stored.pull(intercom)
    (answered,) = stored.all(Rating)
    assert (offered.answers, answered.id) == ((), offered.id)


def test_asked_again_it_is_another_survey(desk: Workspace, intercom: Intercom, stored: Stored) -> None:
    desk.hold(chat(conversation_rating=RATED))
    stored.pull(intercom)
    desk.hold(chat(conversation_rating=RATED | {"created_at": T + 5000, "updated_at": T + 5100}, updated=5100))
    stored.pull(intercom)
    assert [one.offered_at for one in stored.all(Rating)] == [ms(100), ms(5000)]


def test_fins_rating_is_kept_apart(desk: Workspace, intercom: Intercom) -> None:
    fin = {"rating": 2, "created_at": None, "updated_at": T + 300, "resolution_state": "confirmed_resolution"}
    desk.hold(chat("5001", part("1", "comment", 10, FIN, "Blue?"), conversation_rating=RATED, ai_agent=fin))
    found = {one.survey: one for one in pulled(intercom, Rating)}
    assert (found[None].agent, found[None].answers) == ("801", ((ms(900), 4),))
    assert found["fin"] == Rating("5001:fin", "5001", None, ((ms(300), 2),), agent="809", survey="fin")


def test_no_rating_is_none(desk: Workspace, intercom: Intercom) -> None:
    desk.hold(chat(conversation_rating=None, ai_agent={"rating": None, "resolution_state": None}))
    assert pulled(intercom, Rating) == []


# --- push ----------------------------------------------------------------------------------------------------------


def sent(desk: Workspace) -> list[tuple[str, str, Any]]:
    return [one for one in desk.asked if one[0] != "GET" and one[1] != "/conversations/search"]


@pytest.fixture
def tagged(desk: Workspace) -> Row:
    desk.hold(chat(tags={"tags": [{"id": "41", "name": "vip"}]}))
    return desk.chats["5001"]


def test_a_tag_is_added_by_its_number_and_leaves_the_others(desk: Workspace, intercom: Intercom, tagged: Row) -> None:
    assert intercom.add_tag("5001", "deskpulse-slow") == (("vip",), ("vip", "deskpulse-slow"))
    assert sent(desk) == [
        ("POST", "/tags", {"name": "deskpulse-slow"}),
        ("POST", "/conversations/5001/tags", {"id": "42", "admin_id": "800"}),
    ]
    assert intercom.tags("5001") == ("vip", "deskpulse-slow")


def test_a_tag_that_is_there_is_not_written_again_and_its_number_is_asked_once(
    desk: Workspace, intercom: Intercom, tagged: Row
) -> None:
    desk.hold(chat("5002"))
    intercom.add_tag("5001", "deskpulse-slow")
    intercom.add_tag("5002", "deskpulse-slow")
    before = len(sent(desk))
    assert intercom.add_tag("5002", "deskpulse-slow") == (("deskpulse-slow",), ("deskpulse-slow",))
    assert (len(sent(desk)), [path for _, path, _ in sent(desk)].count("/tags")) == (before, 1)


@pytest.mark.parametrize(
    "attach", [lambda row, tag: None, lambda row, tag: row.update(tags={"tags": [tag]})], ids=["lost", "replaced"]
)
def test_a_tag_that_reads_back_otherwise_is_rejected(
    desk: Workspace, intercom: Intercom, tagged: Row, attach: Callable[[Row, Row], None]
) -> None:
    desk.attach = attach
    with pytest.raises(Rejected, match="set them by hand"):
        intercom.add_tag("5001", "deskpulse-slow")


def test_a_tag_of_another_spelling_is_said(desk: Workspace, tagged: Row) -> None:
    """Intercom takes names for the same whatever their case, and keeps the first spelling."""

    def spelled(request: httpx.Request) -> httpx.Response:
        known = {"type": "tag", "id": "7", "name": "Deskpulse-Slow"}
        return httpx.Response(200, json=known) if request.url.path == "/tags" else desk(request)

    with closing_adapter(spelled) as adapter, pytest.raises(Rejected, match="Deskpulse-Slow"):
        adapter.add_tag("5001", "deskpulse-slow")
    assert sent(desk) == []


def test_a_tag_is_taken_away_alone(desk: Workspace, intercom: Intercom, tagged: Row) -> None:
    intercom.add_tag("5001", "deskpulse-slow")
    assert intercom.remove_tag("5001", "deskpulse-slow") == (("vip", "deskpulse-slow"), ("vip",))
    assert sent(desk)[-1] == ("DELETE", "/conversations/5001/tags/42", {"admin_id": "800"})
    assert intercom.remove_tag("5001", "deskpulse-slow") == (("vip",), ("vip",))


def test_a_note_is_literally_a_note_and_is_found_again(desk: Workspace, intercom: Intercom, tagged: Row) -> None:
    text = "[deskpulse] waited > 3 h\nfor Ada & <Bob>"
    note = intercom.add_note("5001", text)
    ((method, path, body),) = sent(desk)
    assert (method, path) == ("POST", "/conversations/5001/reply")
    assert body == {
        "message_type": "note",
        "type": "admin",
        "admin_id": "800",
        "body": "<p>[deskpulse] waited &gt; 3 h</p><p>for Ada &amp; &lt;Bob&gt;</p>",
    }
    assert intercom.find_note("5001", text) == note
    assert intercom.find_note("5001", "[deskpulse] another") is None


def test_what_a_teammate_wrote_is_not_our_note(desk: Workspace, intercom: Intercom) -> None:
    desk.hold(chat("5001", part("1", "comment", 1, body="[deskpulse] x"), part("2", "note", 2, body="x")))
    assert [intercom.find_note("5001", text) for text in ("[deskpulse] x", "x")] == [None, None]


def test_a_note_that_became_something_else_is_rejected(desk: Workspace, intercom: Intercom, tagged: Row) -> None:
    answered = desk._write

    def as_comment(method: str, path: str, body: Any) -> Any:
        return answered(method, path, body | ({"message_type": "comment"} if path.endswith("/reply") else {}))

    desk._write = as_comment  # type: ignore[method-assign]  # the fault
    with pytest.raises(Rejected, match="not there as a note"):
        intercom.add_note("5001", "[deskpulse] x")


def test_a_note_cannot_be_deleted_and_that_is_said(desk: Workspace, intercom: Intercom, tagged: Row) -> None:
    note = intercom.add_note("5001", "[deskpulse] x")
    before = len(desk.asked)
    with pytest.raises(Rejected, match="cannot delete notes"):
        intercom.remove_note("5001", note)
    assert len(desk.asked) == before


# --- probe ---------------------------------------------------------------------------------------------------------


def found_by(adapter: Intercom) -> dict[str, Finding]:
    return {finding.check: finding for finding in adapter.probe()}


def test_doctor_says_what_the_token_can_feed(desk: Workspace, intercom: Intercom) -> None:
    desk.hold(*many(3))
    desk.schedules = [OFFICE]
    found = found_by(intercom)
    assert {check: finding.ok for check, finding in found.items()} == {
        "workspace": True, "teammates": True, "rate limit": True, "conversations": True, "changes": True,
        "history": True, "opening hours": True, "deletions": True, "language": None,
    }  # fmt: skip
    assert found["conversations"].detail.startswith("3 ")


def test_doctor_says_what_is_missing_or_different(desk: Workspace) -> None:
    desk.hold(*many(3))
    desk.app = APP | {"region": "EU"}
    desk.at_least = lambda updated, since: updated // DAY > since // DAY
    desk.schedules = [OFFICE, OFFICE]
    desk.refused = {"/conversations/deleted": 403}
    with closing_adapter(desk, requests_per_second=100) as adapter:
        found = found_by(adapter)
    assert [check for check, finding in found.items() if finding.ok is None] == [
        "region", "rate limit", "changes", "opening hours", "deletions", "language",
    ]  # fmt: skip
    assert '"eu"' in found["region"].remedy
    assert "5.6" in found["rate limit"].remedy


def test_doctor_notices_a_filter_that_gives_the_whole_day(desk: Workspace, intercom: Intercom) -> None:
    desk.at_least = lambda updated, since: updated // DAY >= since // DAY
    desk.hold(*many(3))
    assert found_by(intercom)["changes"].ok is None


def test_doctor_notices_parts_that_cannot_be_read(desk: Workspace, intercom: Intercom) -> None:
    desk.hold(chat(statistics={"count_conversation_parts": 4}))
    assert found_by(intercom)["history"].ok is False


def test_doctor_of_an_empty_workspace_has_nothing_to_complain_about(desk: Workspace, intercom: Intercom) -> None:
    assert not [finding for finding in found_by(intercom).values() if finding.ok is False]


# --- the gate ------------------------------------------------------------------------------------------------------


def asked(method: str, path: str, body: Any = None) -> httpx.Request:
    return httpx.Request(method, f"https://api.intercom.io{path}", json=body)


NOTE = {"message_type": "note", "type": "admin", "admin_id": "800", "body": "<p>[deskpulse] x</p>"}
SEARCH = {
    "query": {"field": "updated_at", "operator": ">", "value": T},
    "sort": {"field": "updated_at", "order": "ascending"},
    "pagination": {"per_page": 150},
}


@pytest.mark.parametrize(
    "request_",
    [
        asked("GET", "/contacts"),
        asked("POST", "/messages", NOTE),
        asked("POST", "/conversations/1/parts", NOTE),
        asked("POST", "/conversations/1/reply", NOTE | {"message_type": "comment"}),
        asked("POST", "/conversations/1/reply", NOTE | {"message_type": "quick_reply"}),
        asked("POST", "/conversations/1/reply", NOTE | {"type": "user"}),
        asked("POST", "/conversations/1/reply", NOTE | {"attachment_urls": []}),
        asked("POST", "/conversations/1/tags", {"id": "42"}),
        asked("PUT", "/conversations/1", {"custom_attributes": {}}),
        asked("POST", "/conversations/search", SEARCH | {"pagination": {"per_page": 151}}),
        asked("GET", "/conversations/deleted?per_page=61"),
    ],
)
def test_the_gate_stops_what_the_table_does_not_have(request_: httpx.Request) -> None:
    gate = RequestGate(FIXTURE / "requests.json")
    gate.check(asked("POST", "/conversations/1/reply", NOTE))
    gate.check(asked("POST", "/conversations/search", SEARCH))
    with pytest.raises(NotAllowed):
        gate.check(request_)


def test_every_call_of_the_table_is_made_and_what_is_undocumented_is_known(
    desk: Workspace, intercom: Intercom, stored: Stored, tagged: Row
) -> None:
    desk.schedules = [OFFICE]
    for stream in intercom.streams:
        stored.pull(intercom, stream)
    intercom.add_tag("5001", "deskpulse-slow")
    intercom.remove_tag("5001", "deskpulse-slow")
    intercom.add_note("5001", "[deskpulse] x")
    list(intercom.probe())
    assert set(desk.gate.passed) == {(call["method"], call["path"]) for call in desk.gate.calls}
    assert desk.gate.undocumented() == {
        "/office_hours_schedules": True,
        "/office_hours_schedules/{schedule}/office_hours_exceptions": True,
        "/conversations/search": ["sort"],
        "/conversations/deleted": True,
    }


def test_the_word_that_keeps_a_note_inside_is_no_setting_and_no_argument() -> None:
    source = Path(adapters.intercom.__file__).read_text("utf-8")
    assert re.findall(r'"message_type": (\S+),', source) == ['"note"']
    assert "/parts" not in source
