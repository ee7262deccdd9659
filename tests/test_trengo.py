"""The Trengo adapter, through the real client, against a small desk that answers as Trengo does, quirks and all."""

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

from adapters.trengo import Trengo, TrengoSettings
from connector.contract import Finding, Notes, Probes, Pulls, Rereads, Tags
from connector.errors import AuthFailed, BadPayload, Rejected, Transient
from connector.http import HttpClient
from connector.models import Agent, Channel, Contact, Conversation, Event, Inbox, Message, Page, Rating, Team, from_iso

Row = dict[str, Any]
HOST = "https://app.trengo.com"
ROBIN: Row = {"id": 5501, "first_name": "Robin", "last_name": "Jansen", "timezone": "Europe/Amsterdam"}
MIRA: Row = {"id": 5502, "first_name": "Mira", "last_name": "Okafor", "timezone": "Europe/Amsterdam"}
ADA: Row = {"id": 8001, "full_name": "Ada Verhoef", "custom_field_data": [{"title": "CSAT", "value": "1"}]}
MAIL: Row = {"id": 901, "name": "Email", "title": "Support", "type": "EMAIL"}
WHATSAPP: Row = {"id": 902, "name": "WA_BUSINESS", "title": "Shop", "type": "WA_BUSINESS"}
CHAT: Row = {"id": 903, "name": "CHAT", "title": "Website", "type": "CHAT"}
WEB_APP = "<!doctype html><title>Trengo</title>"


def day(clock: str) -> str:
    return f"2026-03-02 {clock}"


def at(clock: str) -> int:
    return from_iso(f"2026-03-02T{clock}Z")


class Desk:
    """Trengo's side. ``after`` is called with each request that was answered, to move things while somebody reads."""

    def __init__(self) -> None:
        self.tickets: list[Row] = []
        self.said: dict[int, list[Row]] = {}
        self.lists: dict[str, Any] = {"users": [ROBIN, MIRA], "teams": [{"id": 41, "name": "Orders"}]}
        self.lists |= {"channels": [MAIL, WHATSAPP, CHAT], "labels": [{"id": 9, "name": "vip"}], "custom_fields": []}
        self.asked: list[str] = []
        self.sent: list[tuple[str, str, Any]] = []
        self.after: Callable[[str], None] = lambda path: None
        self.on_label: Callable[[Row], None] = lambda ticket: None
        self.headers: dict[str, str] = {}
        self.page, self.most, self.number = 25, 100, 99_000
        self.as_note: Row = {"type": "NOTE", "user_id": 5501, "agent": ROBIN}

    # what a test changes

    def ticket(self, number: int = 7001, clock: str = "10:00:00", **fields: Any) -> Row:
        """A mail ticket; its last message at that time, unless told otherwise."""
        row = {"id": number, "status": "OPEN", "created_at": day("10:00:00"), "updated_at": day(clock), "user_id": None}
        row |= {"team_id": None, "assigned_at": None, "closed_at": None, "contact_id": 8001, "contact": ADA}
        row |= {"channel": MAIL, "labels": [], "latest_message_at": day(clock)}
        self.tickets.append(row | fields)
        self.said.setdefault(number, [])
        return self.tickets[-1]

    def many(self, count: int) -> None:
        """Oldest message first: 7001 before 7002…"""
        for n in range(1, count + 1):
            self.ticket(7000 + n, f"10:{n // 60:02}:{n % 60:02}")

    def say(self, kind: str = "INBOUND", clock: str = "10:00:00", ticket: int = 7001, **fields: Any) -> Row:
        self.number += 1
        row = {"id": self.number, "type": kind, "body_type": "TEXT", "message": "Hello", "created_at": day(clock)}
        self.said[ticket].append(row | {"user_id": None, "agent": None, "is_auto_reply": None} | fields)
        return self.said[ticket][-1]

    def touch(self, number: int, clock: str, **fields: Any) -> None:
        """A change; with a message, it moves the ticket to the end of the list."""
        row = next(one for one in self.tickets if one["id"] == number)
        row |= {"updated_at": day(clock), **fields}

    # answering

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer canary-token"
        path, query = request.url.path.removeprefix("/api/v2/"), request.url.params
        self.asked.append(f"{path}?{request.url.query.decode()}".rstrip("?"))
        if request.method != "GET":
            return self._write(request.method, path, json.loads(request.content or b"null"))
        answer = self._read(path, query)
        self.after(self.asked[-1])
        return answer

    def _read(self, path: str, query: httpx.QueryParams) -> httpx.Response:
        if path == "tickets":
            return self._ok(self._sheet(self._sorted(query), int(query.get("page", 1)), self.page))
        if found := re.fullmatch(r"tickets/(\d+)(/messages)?(?:/(\d+))?", path):
            return self._of_ticket(int(found[1]), found[2], found[3], query)
        if path not in self.lists:
            return httpx.Response(200, text=WEB_APP, headers={"Content-Type": "text/html"})
        told = self.lists[path]
        return httpx.Response(200, text=told) if isinstance(told, str) else self._ok({"data": told} | self._last_page())

    def _of_ticket(self, number: int, messages: str, message: str, query: httpx.QueryParams) -> httpx.Response:
        ticket = next((one for one in self.tickets if one["id"] == number), None)
        if ticket is None:
            return httpx.Response(404, json={"message": "Not found"})
        if not messages:
            return self._ok(ticket)
        rows = sorted(self.said[number], key=lambda row: row["id"], reverse=True)
        if message:
            found = [row for row in rows if row["id"] == int(message)]
            return self._ok(found[0]) if found else httpx.Response(404, json={})
        return self._ok(self._sheet(rows, int(query.get("page", 1)), min(int(query.get("per_page", 25)), self.most)))

    def _sorted(self, query: httpx.QueryParams) -> list[Row]:
        found = sorted(self.tickets, key=_last, reverse=query.get("sort", "-date").startswith("-"))
        since = query.get("updated_at_gt", "").replace("T", " ").rstrip("Z")
        return [row for row in found if row["updated_at"] > since]

    def _sheet(self, rows: list[Row], page: int, size: int) -> Row:
        more = page * size < len(rows)
        links = {
            "first": f"{HOST}?page=1",
            "last": None,
            "prev": None,
            "next": f"{HOST}?page={page + 1}" if more else None,
        }
        return {"data": rows[(page - 1) * size : page * size], "links": links, "meta": {"current_page": page}}

    @staticmethod
    def _last_page() -> Row:
        return {"meta": {"current_page": 1, "last_page": 1}}

    def _ok(self, told: Any) -> httpx.Response:
        return httpx.Response(200, json=told, headers=self.headers)

    def _write(self, method: str, path: str, body: Any) -> httpx.Response:
        self.sent.append((method, path, body))
        number = int((re.search(r"tickets/(\d+)", path) or [0, 0])[1])
        ticket = next((one for one in self.tickets if one["id"] == number), {})
        if path == "labels":
            self.lists["labels"] = [*self.lists["labels"], {"id": 77, "name": body["name"]}]
            return httpx.Response(201, json={"id": 77, "name": body["name"]})
        if path.endswith("/messages"):
            note = self.say(clock="12:00:00", ticket=number, message=body["message"])
            note |= self.as_note
            return httpx.Response(201, json={"id": note["id"]})
        label = next((one for one in self.lists["labels"] if one["id"] == (body or {}).get("label_id")), None)
        gone = int(path.rsplit("/", 1)[-1]) if method == "DELETE" else 0
        ticket["labels"] = [one for one in ticket["labels"] if one["id"] != gone] + ([label] if label else [])
        self.on_label(ticket)
        return self._ok({"success": True})


def _last(row: Row) -> tuple[str, int]:
    latest = row.get("latest_message")
    inner = latest["created_at"] if isinstance(latest, dict) else None
    return row.get("latest_message_at") or inner or row["created_at"], row["id"]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def connect(desk: Desk) -> Iterator[Callable[..., Trengo]]:
    clients: list[HttpClient] = []

    def connected(**settings: Any) -> Trengo:
        given = TrengoSettings(**{"token": "canary-token", "zone": "UTC", **settings})
        transport = httpx.MockTransport(desk)
        clients.append(
            HttpClient(Trengo.service(given), StandingClock(), name="trengo", demo=False, transport=transport)
        )
        return Trengo(given, clients[-1])

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def trengo(connect: Callable[..., Trengo]) -> Trengo:
    return connect()


def pulled(adapter: Trengo, kind: type[Any]) -> list[Any]:
    walk = Walk(adapter)
    walk.on()
    return walk.records(kind)


def messages_read(desk: Desk) -> list[int]:
    return [int(path.split("/")[1]) for path in desk.asked if "/messages" in path]


# --- settings --------------------------------------------------------------------------------------------------------


def test_it_pulls_rereads_tags_notes_and_probes(trengo: Trengo) -> None:
    for capability in (Pulls, Rereads, Tags, Notes, Probes):
        assert isinstance(trengo, capability)


def test_a_third_of_the_documented_budget_is_taken_unless_told_otherwise() -> None:
    assert Trengo.service(TrengoSettings(token="t")).per_second * 60 == pytest.approx(120 / 3)
    assert Trengo.service(TrengoSettings(token="t", requests_per_second=1.5)).per_second == 1.5


@pytest.mark.parametrize("wrong", [{"zone": "Amsterdam"}, {"url": "app.trengo.com"}, {"requests_per_second": 0}])
def test_a_wrong_setting_is_refused(wrong: Row) -> None:
    with pytest.raises(ValidationError):
        TrengoSettings(**{"token": "t", **wrong})


def test_an_address_copied_from_the_browser_will_do() -> None:
    assert TrengoSettings(token="t", url="https://app.trengo.com/tickets/7001?x=1").url == HOST


# --- the directory ---------------------------------------------------------------------------------------------------


def test_agents_teams_and_channels_come_with_their_names(trengo: Trengo) -> None:
    assert pulled(trengo, Agent) == [Agent("5501", "Robin Jansen"), Agent("5502", "Mira Okafor")]
    assert pulled(trengo, Team) == [Team("41", "Orders")]
    assert pulled(trengo, Inbox) == [
        Inbox("901", "Support", "EMAIL"),
        Inbox("902", "Shop", "WA_BUSINESS"),
        Inbox("903", "Website", "CHAT"),
    ]


def test_lists_that_tell_their_last_page_are_read_to_it(desk: Desk, trengo: Trengo) -> None:
    def short(path: str, query: httpx.QueryParams) -> httpx.Response:
        page = int(query.get("page", 1))
        told = {"data": [{"id": 60 + page, "name": f"U{page}"}], "meta": {"current_page": page, "last_page": 3}}
        return httpx.Response(200, json=told) if path == "users" else read(path, query)

    read, desk._read = desk._read, short
    assert [agent.name for agent in pulled(trengo, Agent)] == ["U1", "U2", "U3"]


def test_a_path_that_trengo_does_not_have_is_no_data(desk: Desk, trengo: Trengo) -> None:
    """It answers 200 with the web app. Channels are not in the reference: without their list tickets tell of them."""
    del desk.lists["channels"]
    desk.ticket(channel=WHATSAPP)
    assert pulled(trengo, Inbox) == [Inbox("902", "Shop", "WA_BUSINESS")]
    del desk.lists["users"]
    walk = Walk(trengo)
    with pytest.raises(BadPayload, match="web page"):
        walk.on()
    assert (walk.cursors, walk.stored) == ({}, {})


# --- a ticket --------------------------------------------------------------------------------------------------------


def test_a_ticket_of_2026_arrives_whole(desk: Desk, trengo: Trengo) -> None:
    fields = {"user_id": 5501, "team_id": 41, "status": "ASSIGNED", "labels": [{"id": 9, "name": "vip"}]}
    desk.ticket(clock="10:07:05", **fields)
    desk.say(contact=ADA)
    assert pulled(trengo, Conversation) == [
        Conversation(
            id="7001",
            created_at=at("10:00:00"),
            status="open",
            changed_at=at("10:07:05"),
            inbox="901",
            channel="EMAIL",
            contact="8001",
            team="41",
            agent="5501",
            link=f"{HOST}/tickets/7001",
            tags=("vip",),
        )
    ]
    assert Channel("EMAIL", "email") in pulled(trengo, Channel)
    assert pulled(trengo, Contact) == [Contact("8001")]


def test_a_ticket_of_2021_has_its_last_message_within(desk: Desk, trengo: Trengo) -> None:
    ticket = desk.ticket(latest_message={"id": 1, "type": "INBOUND", "created_at": day("11:30:00")})
    del ticket["latest_message_at"]
    assert pulled(trengo, Conversation)[0].changed_at == at("11:30:00")
    ticket["latest_message"] = "2026-03-02T12:02:53.000000Z"  # as the answer to a creation has it
    assert pulled(trengo, Conversation)[0].changed_at == at("10:00:00")


def test_a_note_counts_as_a_change_even_where_it_does_not_move_updated_at(desk: Desk, trengo: Trengo) -> None:
    desk.ticket(clock="10:00:00", latest_message_at=day("10:30:00"))
    assert pulled(trengo, Conversation)[0].changed_at == at("10:30:00")


@pytest.mark.parametrize(
    ("word", "kind"),
    [("VOIP", "phone"), ("wa_business", "whatsapp"), ("CUSTOM", "other"), ("INSTAGRAM", "instagram"), ("FAX", "other")],
)
def test_channel_types_become_ours(desk: Desk, trengo: Trengo, word: str, kind: str) -> None:
    desk.lists["channels"] = []
    desk.ticket(channel={"id": 950, "type": word, "title": "A"})
    assert pulled(trengo, Channel) == [Channel(word, kind)]


@pytest.mark.parametrize(
    ("word", "status"), [("OPEN", "open"), ("ASSIGNED", "open"), ("CLOSED", "done"), ("INVALID", "done"), ("X", "open")]
)
def test_status_words_become_ours(desk: Desk, trengo: Trengo, word: str, status: str) -> None:
    desk.ticket(status=word)
    assert pulled(trengo, Conversation)[0].status == status


def test_invalid_means_spam_and_when_is_not_told(desk: Desk, trengo: Trengo) -> None:
    desk.ticket(status="INVALID")
    assert [(e.conversation, e.kind, e.at) for e in pulled(trengo, Event)] == [("7001", "spam", None)]


def test_only_the_chosen_channels_are_read_whatever_the_service_gives(desk: Desk, connect: Any) -> None:
    """``channel_id`` is taken without a word and filters nothing; so the rows are looked at, too."""
    desk.ticket(7001, channel=MAIL)
    desk.ticket(7002, channel=WHATSAPP)
    assert [c.id for c in pulled(connect(channels=(902,)), Conversation)] == ["7002"]
    lists = [path for path in desk.asked if path.startswith("tickets?")]
    assert all("channels%5B%5D=902" in path for path in lists)
    assert messages_read(desk) == [7002]


# --- who said what ---------------------------------------------------------------------------------------------------

SEAT = {"user_id": 5501, "agent": ROBIN}


@pytest.mark.parametrize(
    ("kind", "fields", "author", "who"),
    [
        ("INBOUND", {"contact": ADA}, "customer", "8001"),
        ("INBOUND", {}, "customer", "8001"),
        ("INBOUND", {"author": ROBIN, "author_type": None}, "customer", "8001"),  # mail names the agent in charge
        ("INBOUND", SEAT, "customer", "8001"),
        ("OUTBOUND", SEAT | {"author": None, "author_type": None}, "human", "5501"),
        ("OUTBOUND", {"user_id": 5501}, "human", "5501"),
        ("OUTBOUND", {"agent": ROBIN}, "human", "5501"),
        ("OUTBOUND", {"author": ROBIN, "author_type": "User"}, "bot", None),  # no seat: the flow or the AI
        ("OUTBOUND", SEAT | {"is_auto_reply": True}, "automation", None),
        ("NOTE", SEAT, "human", "5501"),
        ("NOTE", {"message": "[AI Note] wants a refund"}, "bot", None),
        ("WHISPER", SEAT, "unknown", None),
    ],
)
def test_the_type_decides_who_wrote_and_never_the_author(
    desk: Desk, trengo: Trengo, kind: str, fields: Row, author: str, who: str | None
) -> None:
    desk.ticket()
    desk.say("INBOUND", "09:59:00")
    told = desk.say(kind, **fields)
    message = next(one for one in pulled(trengo, Message) if one.id == str(told["id"]))
    assert (message.author, message.author_id) == (author, who)
    assert message.public == (kind in ("INBOUND", "OUTBOUND"))


def test_notes_are_notes_and_words_that_nobody_knows_are_no_conversation(desk: Desk, trengo: Trengo) -> None:
    desk.ticket()
    desk.say("NOTE", "10:01:00")
    desk.say("WHISPER", "10:02:00")
    assert [one.kind for one in pulled(trengo, Message)] == ["note", "activity"]


def test_a_call_that_was_taken_is_the_customers_and_was_answered(desk: Desk, trengo: Trengo) -> None:
    desk.ticket()
    call = desk.say(body_type="CALL_LOG", location_data={"duration": 14}, contact=ADA, **SEAT)
    asked, answered = pulled(trengo, Message)
    assert (asked.id, asked.author, asked.author_id) == (str(call["id"]), "customer", "8001")
    assert (answered.author, answered.author_id, answered.at) == ("human", "5501", asked.at + 1)


@pytest.mark.parametrize(
    "fields", [SEAT | {"location_data": {"duration": 0}}, SEAT, {"location_data": {"duration": 9}}]
)
def test_a_call_that_was_missed_is_a_question_without_an_answer(desk: Desk, trengo: Trengo, fields: Row) -> None:
    desk.ticket()
    desk.say(body_type="CALL_LOG", **fields)
    assert [one.author for one in pulled(trengo, Message)] == ["customer"]


@pytest.mark.parametrize(
    ("channel", "before", "kind", "author"),
    [
        (WHATSAPP, (), "campaign", "automation"),
        (MAIL, (), "campaign", "automation"),
        (CHAT, (), "message", "bot"),  # the flow greets whoever opens the chat
        (WHATSAPP, ("INBOUND",), "message", "bot"),
        (WHATSAPP, ("NOTE",), "campaign", "automation"),
    ],
)
def test_what_nobody_wrote_and_what_opens_a_ticket_is_a_broadcast(
    desk: Desk, trengo: Trengo, channel: Row, before: tuple[str, ...], kind: str, author: str
) -> None:
    desk.ticket(channel=channel)
    for word in before:
        desk.say(word, "09:00:00")
    desk.say("OUTBOUND", body_type="COMPONENTS", meta={"hsm_id": 1})
    last = pulled(trengo, Message)[-1]
    assert (last.kind, last.author) == (kind, author)


def test_a_person_who_writes_first_is_a_person(desk: Desk, trengo: Trengo) -> None:
    desk.ticket(channel=WHATSAPP)
    desk.say("OUTBOUND", body_type="COMPONENTS", **SEAT)
    assert [(one.kind, one.author) for one in pulled(trengo, Message)] == [("message", "human")]


def test_within_a_second_messages_keep_their_order(desk: Desk, trengo: Trengo) -> None:
    """Newest first, as Trengo lists them: the flow's answer is later than the question, by its number."""
    desk.ticket(channel=CHAT)
    for kind in ("INBOUND", "OUTBOUND", "INBOUND"):
        desk.say(kind)
    assert [(one.author, one.at - at("10:00:00")) for one in pulled(trengo, Message)] == [
        ("customer", 0),
        ("bot", 1),
        ("customer", 2),
    ]


def test_only_words_are_counted_of_a_text(desk: Desk, trengo: Trengo) -> None:
    desk.ticket()
    desk.say("OUTBOUND", message="<p>It is &lt; 3 kg<br>&amp; on its way</p>", **SEAT)
    desk.say("INBOUND", "10:01:00", message=None, email_message={"plain": "Thanks", "html": "<p>Thanks</p>"})
    assert [one.body for one in pulled(trengo, Message)] == ["It is < 3 kg & on its way", "Thanks"]


def test_a_ticket_began_with_its_first_message(desk: Desk, trengo: Trengo) -> None:
    desk.ticket()
    desk.say("INBOUND", "08:00:00")
    assert pulled(trengo, Conversation)[0].created_at == at("08:00:00")


# --- times -----------------------------------------------------------------------------------------------------------


def test_times_without_a_zone_are_read_in_the_zone_that_is_set(desk: Desk, connect: Any) -> None:
    desk.ticket(created_at="2026-07-01 09:34:35", updated_at="2026-07-01 09:34:35", latest_message_at=None)
    begun = {zone: pulled(connect(zone=zone), Conversation)[0].created_at for zone in (None, "UTC", "Europe/Amsterdam")}
    assert begun[None] == begun["UTC"] == from_iso("2026-07-01T09:34:35Z")
    assert begun["Europe/Amsterdam"] == from_iso("2026-07-01T07:34:35Z")


def test_a_time_that_says_its_zone_is_believed(desk: Desk, connect: Any) -> None:
    desk.ticket(created_at="2026-03-02T10:00:00.680017Z", closed_at="2026-03-02T13:00:00+02:00", status="CLOSED")
    adapter = connect(zone="America/New_York")
    assert pulled(adapter, Conversation)[0].created_at == at("10:00:00") + 680
    assert [event.at for event in pulled(adapter, Event)] == [at("11:00:00")]


@pytest.mark.parametrize(
    ("zone", "asked"),
    [
        ("UTC", "2026-03-02T07:00:00Z"),
        ("Europe/Amsterdam", "2026-03-02T06:00:00Z"),
        ("America/New_York", "2026-03-02T07:00:00Z"),  # its digits read as UTC: 5 hours before the instant
        (None, "2026-03-01T20:00:00Z"),
    ],
)
def test_the_filter_by_change_is_early_enough_in_whatever_zone_it_is_read(
    desk: Desk, connect: Any, zone: str | None, asked: str
) -> None:
    desk.ticket(clock="10:00:00")
    adapter = connect(zone=zone)
    walk = Walk(adapter)
    walk.on()
    desk.asked.clear()
    walk.on()
    (listed,) = [path for path in desk.asked if "updated_at_gt" in path]
    assert httpx.QueryParams(listed.partition("?")[2])["updated_at_gt"] == asked


def test_a_bad_message_and_a_bad_ticket_are_counted_and_the_others_stay(desk: Desk, trengo: Trengo) -> None:
    desk.ticket(7001)
    desk.ticket(7002, created_at="0000-00-00 00:00:00")
    desk.say(created_at="2026-13-41 10:00:00", message="secret words")
    desk.say()
    walk = Walk(trengo)
    walk.on()
    assert [(one.kind, one.id) for one in walk.rejects] == [("conversation", "7002"), ("message", "99001")]
    assert "secret" not in repr(walk.rejects)
    assert [one.id for one in walk.records(Message)] == ["99002"]


# --- the walk --------------------------------------------------------------------------------------------------------


def test_all_pages_are_read_without_a_total_or_a_last_page(desk: Desk, trengo: Trengo) -> None:
    desk.many(60)
    assert len(pulled(trengo, Conversation)) == 60
    walked = [path for path in desk.asked if path.startswith("tickets?sort=date")]
    assert [httpx.QueryParams(path.partition("?")[2])["page"] for path in walked] == ["1", "2", "1", "3", "2"]


@pytest.mark.parametrize("moved", [[7003], [7001, 7002, 7003, 7004], list(range(7001, 7026)), [7005, 7030, 7045]])
def test_tickets_that_move_to_the_end_while_we_walk_make_us_skip_none(
    desk: Desk, trengo: Trengo, moved: list[int]
) -> None:
    """What follows a ticket that gets a message moves up: also across a page that we have read already."""
    desk.many(80)
    stirred: list[str] = []

    def stir(path: str) -> None:
        if "7025/messages" in path and not stirred:
            stirred.append(path)
            for number in moved:
                desk.touch(number, "11:00:00", latest_message_at=day("11:00:00"))

    desk.after = stir
    walk = Walk(trengo)
    walk.on()
    assert stirred
    assert {c.id for c in walk.records(Conversation)} == {str(7000 + n) for n in range(1, 81)}
    latest = {c.id: c.changed_at for c in walk.records(Conversation)}
    assert {latest[str(number)] for number in moved} == {at("11:00:00")}


def test_a_ticket_that_moved_from_the_last_page_to_the_end_proves_nothing(desk: Desk, trengo: Trengo) -> None:
    """7030 stood on the page before and stands on this one again: what slid between the two is still behind us."""
    desk.many(60)

    def stir(path: str) -> None:
        if "7050/messages" in path:
            for number in (7001, 7030):
                desk.touch(number, "11:00:00", latest_message_at=day("11:00:00"))

    desk.after = stir
    walk = Walk(trengo)
    walk.on()
    assert {c.id for c in walk.records(Conversation)} == {str(7000 + n) for n in range(1, 61)}


def test_tickets_that_are_merged_away_while_we_walk_make_us_skip_none(desk: Desk, trengo: Trengo) -> None:
    desk.many(80)

    def merge(path: str) -> None:
        if "7050/messages" in path:
            desk.tickets = [row for row in desk.tickets if row["id"] not in (7002, 7003, 7030)]

    desk.after = merge
    assert {c.id for c in pulled(trengo, Conversation)} >= {str(7000 + n) for n in range(51, 81)}


def test_a_change_behind_us_that_moves_nothing_is_found_by_the_next_walk(desk: Desk, trengo: Trengo) -> None:
    """A label changes ``updated_at`` and not the place; later pages hold newer changes, which must not hide it."""
    desk.many(60)
    desk.touch(7060, "10:30:00", latest_message_at=day("10:30:00"))

    def label(path: str) -> None:
        if "7040/messages" in path:
            desk.touch(7001, "10:31:00", labels=[{"id": 9, "name": "vip"}])
            desk.touch(7059, "19:00:00", latest_message_at=day("19:00:00"))

    desk.after = label
    walk = Walk(trengo)
    walk.on()
    desk.after = lambda path: None
    assert walk.stored["Conversation", "7001"].tags == ()
    walk.on()
    assert walk.stored["Conversation", "7001"].tags == ("vip",)


def test_rows_that_repeat_are_read_once(desk: Desk, trengo: Trengo) -> None:
    """A ticket that rises into the filter before us pushes the others down: they are seen twice, and cost nothing."""
    desk.many(60)

    def rise(path: str) -> None:
        if "7025/messages" in path:
            desk.after = lambda _: None
            desk.ticket(6999, "10:30:00", latest_message_at=day("09:00:00"))

    desk.after = rise
    walk = Walk(trengo)
    walk.on()
    assert sorted(messages_read(desk)) == list(range(7001, 7061))
    walk.on()
    assert ("Conversation", "6999") in walk.stored


def test_a_walk_that_broke_off_goes_on_at_its_page_and_looks_back(desk: Desk, connect: Any) -> None:
    """While nobody reads, thirty tickets behind us get messages: the rest moves up by more than a page."""
    desk.many(80)

    def fail(path: str) -> None:
        if "7060/messages" in path:
            raise httpx.ReadError("gone")

    desk.after = fail
    walk = Walk(connect())
    with pytest.raises(Transient):
        walk.on()
    assert walk.cursors["conversations"]["page"] == 3
    desk.after = lambda path: None
    for number in range(7001, 7031):
        desk.touch(number, "12:00:00", latest_message_at=day("12:00:00"))
    walk.on(connect())
    assert {c.id for c in walk.records(Conversation)} == {str(7000 + n) for n in range(1, 81)}
    assert walk.cursors["conversations"].keys() == {"since"}


def test_the_cursor_moves_to_the_newest_change_from_before_the_walk(desk: Desk, trengo: Trengo) -> None:
    desk.many(30)
    walk = Walk(trengo)
    walk.on()
    assert walk.cursors["conversations"] == {"since": at("10:00:30")}


def test_an_unchanged_second_pull_costs_five_requests_and_brings_nothing(desk: Desk, connect: Any) -> None:
    desk.many(20)
    walk = Walk(connect())
    walk.on()
    desk.asked.clear()
    pages = walk.on(connect())
    assert [record for page in pages for record in page.records] == []
    assert [path.partition("?")[0] for path in desk.asked] == ["users", "teams", "channels", "tickets", "tickets"]


def test_only_what_changed_is_read_again(desk: Desk, trengo: Trengo) -> None:
    desk.many(20)
    walk = Walk(trengo)
    walk.on()
    desk.asked.clear()
    desk.touch(7004, "12:00:00", latest_message_at=day("12:00:00"))
    walk.on()
    assert messages_read(desk) == [7004]


def test_the_same_page_twice_ends_the_walk_before_the_cursor_moves(desk: Desk, trengo: Trengo) -> None:
    desk.many(60)
    sheet, desk._sheet = desk._sheet, lambda rows, page, size: sheet(rows, 1, size)
    walk = Walk(trengo)
    with pytest.raises(BadPayload, match="same page twice"):
        walk.on()
    assert walk.cursors["conversations"]["page"] == 2


def test_an_empty_account_is_no_error(trengo: Trengo) -> None:
    walk = Walk(trengo)
    walk.on()
    assert (walk.cursors["conversations"], walk.rejects) == ({"since": None}, [])


@pytest.mark.parametrize("told", [{"data": None}, {"message": "maintenance"}, "nonsense"])
def test_an_answer_without_its_list_stops_before_the_cursor_moves(desk: Desk, trengo: Trengo, told: Any) -> None:
    desk._sheet = lambda *_: told
    walk = Walk(trengo)
    with pytest.raises(BadPayload):
        walk.on()
    assert "conversations" not in walk.cursors


def test_long_tickets_are_read_to_their_end(desk: Desk, trengo: Trengo) -> None:
    desk.ticket()
    for n in range(230):
        desk.say(clock=f"10:{n // 60:02}:{n % 60:02}")
    assert len(pulled(trengo, Message)) == 230
    assert messages_read(desk) == [7001, 7001, 7001]


def test_long_tickets_are_read_to_their_end_where_the_size_of_a_page_is_not_ours_to_choose(
    desk: Desk, trengo: Trengo
) -> None:
    desk.ticket()
    desk.most = 25
    for n in range(60):
        desk.say(clock=f"10:00:{n:02}")
    assert len(pulled(trengo, Message)) == 60


def test_a_message_that_comes_while_its_ticket_is_read_repeats_others_and_loses_none(
    desk: Desk, trengo: Trengo
) -> None:
    desk.ticket()
    desk.most = 10
    for n in range(30):
        desk.say(clock=f"10:00:{n:02}")

    def answer(path: str) -> None:
        if "messages?per_page=100&page=1" in path:
            desk.say(clock="10:40:00")

    desk.after = answer
    assert {one.id for one in pulled(trengo, Message)} >= {str(99_001 + n) for n in range(30)}


def test_messages_that_repeat_themselves_end_the_walk(desk: Desk, trengo: Trengo) -> None:
    desk.ticket()
    desk.most = 10
    for _ in range(30):
        desk.say()
    sheet, desk._sheet = desk._sheet, lambda rows, page, size: sheet(rows, 1, size)
    with pytest.raises(BadPayload, match="same messages of ticket 7001 again"):
        pulled(trengo, Message)


def test_a_ticket_that_vanishes_between_list_and_reading_is_left_out(desk: Desk, trengo: Trengo) -> None:
    desk.ticket(7001)
    desk.ticket(7002)
    read = desk._of_ticket
    desk._of_ticket = lambda number, *rest: httpx.Response(404, json={}) if number == 7001 else read(number, *rest)
    assert [c.id for c in pulled(trengo, Conversation)] == ["7002"]


def test_too_many_requests_are_waited_for_as_long_as_trengo_says(desk: Desk) -> None:
    refused = [httpx.Response(429, headers={"Retry-After": "17", "X-RateLimit-Reset": "9"}, json={})]
    clock = StandingClock()
    settings = TrengoSettings(token="canary-token", requests_per_second=1_000)
    transport = httpx.MockTransport(lambda request: refused.pop() if refused else desk(request))
    client = HttpClient(Trengo.service(settings), clock, name="trengo", demo=False, transport=transport)
    assert len(pulled(Trengo(settings, client), Agent)) == 2
    assert 17 <= clock.passed < 18
    client.close()


# --- what happened to it ---------------------------------------------------------------------------------------------


def happened(walk: Walk) -> list[tuple[str, str | None, int]]:
    events = sorted(walk.records(Event), key=lambda event: event.at)
    return [(event.kind, event.value, event.at) for event in events]


def test_the_last_closing_and_the_last_assignment_have_their_times(desk: Desk, trengo: Trengo) -> None:
    desk.ticket(status="CLOSED", closed_at=day("12:00:00"), user_id=5501, assigned_at=day("10:05:00"))
    walk = Walk(trengo)
    walk.on()
    assert happened(walk) == [("assigned", "5501", at("10:05:00")), ("status", "done", at("12:00:00"))]
    assert not any(event.derived for event in walk.records(Event))


def test_a_closing_without_its_time_is_dated_by_the_last_message(desk: Desk, trengo: Trengo) -> None:
    desk.ticket(status="CLOSED")
    desk.say("OUTBOUND", "11:00:00", **SEAT)
    desk.say("NOTE", "15:00:00", **SEAT)
    (event,) = pulled(trengo, Event)
    assert (event.value, event.at, event.derived) == ("done", at("11:00:00"), True)


def test_a_reopening_that_ended_between_two_syncs_began_with_the_customers_message(desk: Desk, trengo: Trengo) -> None:
    """Trengo then tells the second closing only: without the reopening, the first one would hide it."""
    ticket = desk.ticket(status="CLOSED", closed_at=day("12:00:00"))
    desk.say("INBOUND", "10:00:00")
    desk.say("OUTBOUND", "11:00:00", **SEAT)
    walk = Walk(trengo)
    walk.on()
    desk.say("INBOUND", "14:00:00")
    desk.say("OUTBOUND", "15:00:00", **SEAT)
    ticket |= {"closed_at": day("16:00:00"), "updated_at": day("16:00:00"), "latest_message_at": day("15:00:00")}
    walk.on()
    assert happened(walk) == [
        ("status", "done", at("12:00:00")),
        ("status", "open", at("14:00:00")),
        ("status", "done", at("16:00:00")),
    ]


def test_a_message_after_the_closing_that_opened_nothing_opens_nothing(desk: Desk, trengo: Trengo) -> None:
    desk.ticket(status="CLOSED", closed_at=day("12:00:00"))
    desk.say("INBOUND", "10:00:00")
    desk.say("OUTBOUND", "11:00:00", **SEAT)
    desk.say("INBOUND", "13:00:00")
    walk = Walk(trengo)
    walk.on()
    assert happened(walk) == [("status", "done", at("12:00:00"))]


def test_an_open_ticket_that_still_tells_its_closing_was_opened_by_the_customer(desk: Desk, trengo: Trengo) -> None:
    desk.ticket(status="OPEN", closed_at=day("12:00:00"))
    desk.say("INBOUND", "10:00:00")
    desk.say("INBOUND", "13:00:00")
    desk.say("INBOUND", "13:30:00")
    walk = Walk(trengo)
    walk.on()
    assert happened(walk) == [("status", "done", at("12:00:00")), ("status", "open", at("13:00:00"))]


def test_an_open_ticket_with_an_old_closing_and_no_message_since_is_open(desk: Desk, trengo: Trengo) -> None:
    desk.ticket(status="OPEN", closed_at=day("12:00:00"))
    desk.say("INBOUND", "10:00:00")
    assert pulled(trengo, Event) == []


def test_a_ticket_that_was_merged_or_deleted_is_gone(desk: Desk, trengo: Trengo) -> None:
    desk.ticket(7001)
    (page,) = trengo.reread(["7001", "7002", "T-3"], lambda *_: False)
    assert [e.conversation for e in page.records if isinstance(e, Event)] == ["7002", "T-3"]
    assert {e.kind for e in page.records if isinstance(e, Event)} == {"deleted"}
    assert [c.id for c in page.records if isinstance(c, Conversation)] == ["7001"]
    assert "tickets/T-3" not in desk.asked  # a path that is none would answer with the web app


def test_rereading_an_unchanged_ticket_costs_one_request(desk: Desk, trengo: Trengo) -> None:
    desk.ticket(7001)
    list(trengo.reread(["7001"], lambda *_: True))
    assert desk.asked == ["tickets/7001"]


# --- ratings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "score"),
    [
        ({"custom_data": [{"id": 71, "title": "CSAT", "value": "4"}]}, 4.0),
        ({"custom_data": [{"custom_field_id": 71, "custom_field": {"id": 71, "title": "CSAT"}, "value": 5}]}, 5.0),
        ({"custom_data": {"CSAT": "3,5"}}, 3.5),
        ({"custom_fields": [{"name": "CSAT", "value": "2 - poor"}]}, 2.0),
        ({"custom_field_data": {"CSAT": 1}}, 1.0),
        ({"custom_data": [{"title": "CSAT", "value": ""}]}, None),
        ({"custom_data": [{"title": "Order", "value": "4"}]}, None),
        ({"custom_data": None}, None),
        ({}, None),
    ],
)
def test_a_rule_may_write_the_score_into_a_field_of_the_ticket(
    desk: Desk, connect: Any, told: Row, score: float | None
) -> None:
    """The contact has a field of that name too: it is another one, shared by all the contact's tickets."""
    desk.ticket(status="CLOSED", closed_at=day("12:00:00"), **told)
    found = pulled(connect(score_field="CSAT"), Rating)
    assert found == ([Rating("7001:score", "7001", None, ((at("12:00:00"), score),), survey="CSAT")] if score else [])


def test_the_field_may_be_named_by_its_number(desk: Desk, connect: Any) -> None:
    desk.ticket(status="CLOSED", closed_at=day("12:00:00"), custom_data=[{"id": 71, "title": "CSAT", "value": "4"}])
    assert pulled(connect(score_field="71"), Rating)[0].answers[0][1] == 4
    assert pulled(connect(), Rating) == []


@pytest.mark.parametrize("value", ["very happy", "0", "6", "45", "10"])
def test_what_is_no_score_is_counted_and_not_guessed(desk: Desk, connect: Any, value: str) -> None:
    desk.ticket(status="CLOSED", closed_at=day("12:00:00"), custom_data={"CSAT": value})
    walk = Walk(connect(score_field="CSAT"))
    walk.on()
    assert walk.records(Rating) == []
    assert [(one.kind, one.id) for one in walk.rejects] == [("rating", "7001:score")]
    assert value not in walk.rejects[0].reason.replace("1 to 5", "")


def test_a_score_counts_once_its_ticket_is_closed(desk: Desk, connect: Any) -> None:
    desk.ticket(custom_data={"CSAT": "4"})
    assert pulled(connect(score_field="CSAT"), Rating) == []


# --- labels ----------------------------------------------------------------------------------------------------------


def labelled(desk: Desk) -> None:
    desk.ticket(labels=[{"id": 9, "name": "vip"}])


def test_a_label_is_made_once_and_added_to_the_others(desk: Desk, trengo: Trengo) -> None:
    labelled(desk)
    desk.ticket(7002)
    assert trengo.add_tag("7001", "deskpulse-slow") == (("vip",), ("vip", "deskpulse-slow"))
    assert trengo.add_tag("7002", "deskpulse-slow").after == ("deskpulse-slow",)
    assert desk.sent == [
        ("POST", "labels", {"name": "deskpulse-slow", "color": "#1F93FF"}),
        ("POST", "tickets/7001/labels", {"label_id": 77}),
        ("POST", "tickets/7002/labels", {"label_id": 77}),
    ]
    assert sum(path.startswith("labels?") for path in desk.asked) == 1


def test_a_label_that_exists_is_looked_up_and_one_that_is_there_is_not_written(desk: Desk, trengo: Trengo) -> None:
    labelled(desk)
    desk.lists["labels"].append({"id": 12, "name": "deskpulse-slow"})
    assert trengo.add_tag("7001", "vip") == (("vip",), ("vip",))
    assert desk.sent == []
    trengo.add_tag("7001", "deskpulse-slow")
    assert desk.sent == [("POST", "tickets/7001/labels", {"label_id": 12})]


def test_a_label_is_taken_away_by_its_number_and_the_others_stay(desk: Desk, trengo: Trengo) -> None:
    labelled(desk)
    trengo.add_tag("7001", "deskpulse-slow")
    assert trengo.remove_tag("7001", "deskpulse-slow").after == ("vip",)
    assert desk.sent[-1] == ("DELETE", "tickets/7001/labels/77", None)
    assert trengo.remove_tag("7001", "deskpulse-slow") == (("vip",), ("vip",))
    assert len(desk.sent) == 3


@pytest.mark.parametrize("lose", ["vip", "deskpulse-slow"])
def test_a_label_that_got_lost_is_told(desk: Desk, trengo: Trengo, lose: str) -> None:
    labelled(desk)
    desk.on_label = lambda ticket: ticket.update(labels=[one for one in ticket["labels"] if one["name"] != lose])
    with pytest.raises(Rejected, match="set them by hand"):
        trengo.add_tag("7001", "deskpulse-slow")


def test_a_label_that_was_not_taken_away_is_told(desk: Desk, trengo: Trengo) -> None:
    labelled(desk)
    desk.on_label = lambda ticket: ticket.update(labels=[{"id": 9, "name": "vip"}])
    with pytest.raises(Rejected, match="not none as written"):
        trengo.remove_tag("7001", "vip")


def test_a_label_that_somebody_adds_meanwhile_is_fine(desk: Desk, trengo: Trengo) -> None:
    labelled(desk)
    desk.on_label = lambda ticket: ticket["labels"].append({"id": 30, "name": "urgent"})
    assert set(trengo.add_tag("7001", "deskpulse-slow").after) == {"vip", "urgent", "deskpulse-slow"}


# --- notes -----------------------------------------------------------------------------------------------------------

TEXT = "[deskpulse] waited 3 h"


def test_a_note_is_literally_internal_and_read_back(desk: Desk, trengo: Trengo) -> None:
    """Without the word, or with false, the same call is sent to the customer and cannot be recalled."""
    desk.ticket()
    note = trengo.add_note("7001", TEXT)
    assert desk.sent == [("POST", "tickets/7001/messages", {"message": TEXT, "internal_note": True})]
    assert desk.sent[0][2]["internal_note"] is True
    assert desk.asked[-1] == f"tickets/7001/messages/{note}"


def test_the_source_has_one_place_that_writes_messages_and_it_writes_internal_ones() -> None:
    tree = ast.parse((Path(__file__).parents[1] / "adapters" / "trengo.py").read_text("utf-8"))
    dicts = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    bodies = [{ast.unparse(k): ast.unparse(v) for k, v in zip(d.keys, d.values, strict=True) if k} for d in dicts]
    assert [body for body in bodies if "'message'" in body] == [{"'message'": "text", "'internal_note'": "True"}]
    sends = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".send")]
    assert sum("messages" in ast.unparse(call) for call in sends) == 1


@pytest.mark.parametrize("became", [{"type": "OUTBOUND"}, {"message": "nothing of ours"}])
def test_a_note_that_did_not_come_back_as_one_is_told(desk: Desk, trengo: Trengo, became: Row) -> None:
    desk.ticket()
    desk.as_note |= became
    with pytest.raises(Rejected, match="not there as an internal note"):
        trengo.add_note("7001", TEXT)


def test_a_note_that_came_back_as_html_is_ours_and_found(desk: Desk, trengo: Trengo) -> None:
    desk.ticket()
    desk.as_note |= {"message": "<p>[deskpulse] waited &gt; 3&nbsp;h</p>"}
    note = trengo.add_note("7001", "[deskpulse] waited > 3 h")
    assert trengo.find_note("7001", "[deskpulse] waited > 3 h") == note
    assert [one.own for one in pulled(trengo, Message)] == [True]


def test_a_note_is_found_however_long_the_ticket_is_and_no_other(desk: Desk, trengo: Trengo) -> None:
    desk.ticket()
    note = trengo.add_note("7001", TEXT)
    for _ in range(240):
        desk.say("NOTE", "13:00:00", message="[deskpulse] another", **SEAT)
    desk.say("INBOUND", "13:00:00", message=TEXT)
    assert trengo.find_note("7001", TEXT) == note
    assert trengo.find_note("7001", "[deskpulse] never written") is None


def test_our_mark_in_a_customers_words_is_not_ours(desk: Desk, trengo: Trengo) -> None:
    desk.ticket()
    desk.say("INBOUND", message=TEXT)
    assert [one.own for one in pulled(trengo, Message)] == [False]


def test_a_note_cannot_be_deleted_and_that_is_said_with_where_to_do_it(desk: Desk, trengo: Trengo) -> None:
    desk.ticket()
    note = trengo.add_note("7001", TEXT)
    with pytest.raises(Rejected, match=f"open ticket 7001 and delete note {note} by hand"):
        trengo.remove_note("7001", note)
    desk.said[7001].clear()
    trengo.remove_note("7001", note)
    assert [method for method, *_ in desk.sent] == ["POST"]


# --- doctor ----------------------------------------------------------------------------------------------------------


def findings(adapter: Trengo) -> dict[str, Finding]:
    return {finding.check: finding for finding in adapter.probe()}


def test_doctor_says_what_the_token_sees_and_which_figures_there_cannot_be(desk: Desk, trengo: Trengo) -> None:
    desk.ticket()
    desk.headers = {"x-ratelimit-limit": "120"}
    found = findings(trengo)
    assert {name: one.ok for name, one in found.items()} == {
        "access": None,
        "rate limit": True,
        "channels": True,
        "zone": None,
        "ratings": None,
        "history": None,
        "opening hours": None,
    }
    assert "also write to customers" in found["access"].detail
    assert found["rate limit"].detail == "120 requests a minute, we take 40"
    assert "Support (901)" in found["channels"].detail
    assert "csat_mean" in found["ratings"].detail
    assert "reopen_rate" in found["history"].detail
    assert desk.sent == []


def test_a_token_that_sees_no_users_is_told_where_to_get_another(desk: Desk, trengo: Trengo) -> None:
    desk.lists["users"] = []
    found = findings(trengo)["access"]
    assert (found.ok, "administrator" in found.remedy) == (False, True)


def test_a_refused_token_is_an_error_that_pauses(desk: Desk, trengo: Trengo) -> None:
    desk._read = lambda *_: httpx.Response(401, json={"message": "Unauthenticated."})
    with pytest.raises(AuthFailed):
        findings(trengo)


def test_a_limit_below_our_pace_is_told(desk: Desk, connect: Any) -> None:
    desk.headers = {"x-ratelimit-limit": "30"}
    found = findings(connect())["rate limit"]
    assert (found.ok, "requests_per_second" in found.remedy) == (None, True)


@pytest.mark.parametrize(
    ("fields", "tickets", "ok", "says"),
    [
        ([], {}, False, "no custom field"),
        ([{"id": 71, "title": "CSAT", "type": "TICKET"}], {}, None, "not known yet"),
        ([{"id": 71, "title": "CSAT"}], {"custom_data": [{"id": 71, "title": "CSAT", "value": "4"}]}, True, "1 of the"),
    ],
)
def test_doctor_looks_whether_the_score_field_is_there_and_filled(
    desk: Desk, connect: Any, fields: list[Row], tickets: Row, ok: bool | None, says: str
) -> None:
    desk.lists["custom_fields"] = fields
    desk.ticket(**tickets)
    found = findings(connect(score_field="CSAT"))["ratings"]
    assert (found.ok, says in found.detail) == (ok, True)


NOW = "Mon, 02 Mar 2026 12:05:00 GMT"


@pytest.mark.parametrize(
    ("newest", "zone", "ok", "says", "write"),
    [
        ("12:03:00", None, None, "UTC, likely, not proved", 'zone = "UTC"'),
        ("12:03:00", "UTC", True, "changed 2 minutes ago", ""),
        ("13:03:00", "UTC", False, "not in UTC: the newest ticket changed 58 minutes from now", '"Europe/Amsterdam"'),
        ("13:03:00", None, False, "not in UTC", '"Europe/Amsterdam"'),
        ("13:03:00", "Europe/Amsterdam", True, "Europe/Amsterdam, likely", ""),
        ("12:03:00", "Europe/Amsterdam", None, "uncertain", 'zone = "UTC"'),
        ("04:00:00", "UTC", None, "uncertain: the newest ticket changed 125 minutes ago", "send yourself a message"),
        ("19:00:00", "UTC", False, "not in UTC", "the zone of your Trengo account"),
    ],
)
def test_doctor_compares_the_newest_time_with_the_services_clock(
    desk: Desk, connect: Any, newest: str, zone: str | None, ok: bool | None, says: str, write: str
) -> None:
    desk.ticket(clock=newest)
    desk.headers = {"Date": NOW}
    found = findings(connect(zone=zone))["zone"]
    assert (found.ok, says in found.detail, write in found.remedy) == (ok, True, True), found


@pytest.mark.parametrize(
    ("zone", "ok", "write"),
    [("UTC", False, '"Europe/Amsterdam"'), ("Europe/Amsterdam", True, ""), ("Asia/Tokyo", False, '"Europe/Amsterdam"')],
)
def test_a_time_told_both_ways_is_proof(desk: Desk, connect: Any, zone: str, ok: bool, write: str) -> None:
    """As seen of an account in summer: the same instant plain in one call, with a Z in another."""
    desk.ticket(created_at="2026-07-01 09:34:35", updated_at="2026-07-01 09:40:00")
    read = desk._of_ticket

    def alone(number: int, messages: str | None, *rest: Any) -> httpx.Response:
        told = {**desk.tickets[0], "created_at": "2026-07-01T07:34:35.000000Z"}
        return read(number, messages, *rest) if messages else httpx.Response(200, json=told)

    desk._of_ticket = alone
    found = findings(connect(zone=zone))["zone"]
    assert (found.ok, write in found.remedy) == (ok, True), found
    assert ("proved" in found.detail) == (ok is True)


def test_without_a_date_or_a_ticket_the_zone_is_not_guessed(desk: Desk, connect: Any) -> None:
    assert findings(connect(zone=None))["zone"].ok is None
    desk.ticket()
    found = findings(connect(zone=None))["zone"]
    assert (found.ok, "not checked" in found.detail) == (None, True)


# --- how long a first read takes -------------------------------------------------------------------------------------


def test_a_first_read_takes_as_long_as_readme_says(desk: Desk) -> None:
    """Of 500 tickets, a twentieth of 10,000: within a tenth of a twentieth of four and a half hours."""
    desk.many(500)
    clock, settings = StandingClock(), TrengoSettings(token="canary-token", zone="UTC")
    transport = httpx.MockTransport(desk)
    client = HttpClient(Trengo.service(settings), clock, name="trengo", demo=False, transport=transport)
    pages: list[Page] = [page for stream in Trengo.streams for page in Trengo(settings, client).pull(stream, None, _no)]
    assert sum(isinstance(record, Conversation) for page in pages for record in page.records) == 500
    assert clock.passed * 20 == pytest.approx(4.5 * 3600, rel=0.1)
    client.close()


def _no(*_: Any) -> bool:
    return False
