"""The Gorgias adapter, through the real client, against a small desk that answers as Gorgias does, quirks and all."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from contract_case import StandingClock, Walk
from pydantic import ValidationError

from adapters.gorgias import Gorgias, GorgiasSettings
from connector.config import Config, ServiceConfig
from connector.contract import Finding, Notes, Probes, Pulls, Rereads, Tags
from connector.errors import AuthFailed, BadPayload, Rejected, Transient
from connector.http import HttpClient
from connector.models import Agent, Channel, Conversation, Event, Inbox, Message, Page, Rating, Schedule, Team, from_iso
from connector.pull import sync
from connector.store.write import Store

Row = dict[str, Any]
ADA: Row = {"id": 501, "name": "Ada Verhoef", "email": None}
ROBIN: Row = {"id": 17, "name": "Robin Jansen", "email": "robin@desk.example", "role": {"name": "lead"}}
US: Row = {"id": 18, "name": "Deskpulse", "email": "Deskpulse@desk.example", "role": {"name": "admin"}}
HELPER: Row = {"id": 2, "name": "Helper", "email": None, "role": {"name": "bot"}}
GIVEN: Row = {"url": "https://desk.gorgias.com", "email": "deskpulse@desk.example", "api_key": "canary-key"}
GIVEN_HERE: Row = GIVEN | {"allow_clear_secrets": True}
HOURS: Row = {"timezone": "Europe/Madrid", "business_hours": {"days": "1,5", "from_time": "09:00", "to_time": "17:30"}}


def day(clock: str, date: int = 2) -> str:
    return f"2026-03-{date:02}T{clock}"


def at(clock: str, date: int = 2) -> int:
    return from_iso(f"{day(clock, date)}Z")


class Desk:
    """Gorgias's side. Cursors name the row that was told last, as keyset paging does; ``sorts`` is whether it takes a
    sort field, ``expires`` how many cursors it will not know any more, ``after`` is called after each answer."""

    def __init__(self) -> None:
        self.tickets: dict[int, Row] = {}
        self.said: dict[int, list[Row]] = {}
        self.events: list[Row] = []
        self.lists: dict[str, list[Row]] = {"users": [ROBIN, US, HELPER], "teams": [{"id": 41, "name": "Orders"}]}
        self.lists |= {"integrations": [{"id": 71, "type": "email", "name": "Support"}], "satisfaction-surveys": []}
        self.hours: Any = HOURS
        self.asked: list[str] = []
        self.sent: list[tuple[str, str, Any]] = []
        self.after: Callable[[str], None] = lambda path: None
        self.sorts: bool | None = True
        self.events_status, self.expires, self.page, self.busy, self.number = 200, 0, 100, 0, 9000
        self.public_notes = self.replaces = self.keeps_notes = False
        self.embeds = 1000

    def ticket(self, number: int = 7, clock: str = "10:00:00", **fields: Any) -> Row:
        row = {"id": number, "status": "open", "channel": "email", "from_agent": False, "spam": False, "customer": ADA}
        row |= {"assignee_user": None, "assignee_team": None, "tags": [], "integrations": [], "language": "en"}
        row |= {"created_datetime": day("10:00:00"), "updated_datetime": day(clock), "closed_datetime": None}
        row |= {"snooze_datetime": None, "trashed_datetime": None, "satisfaction_survey": None}
        self.tickets[number] = row | fields
        self.said.setdefault(number, [])
        return self.tickets[number]

    def many(self, count: int) -> None:
        """1 changed first, a minute later 2…"""
        for n in range(1, count + 1):
            self.ticket(n, f"{10 + n // 60}:{n % 60:02}:00")

    def say(self, clock: str = "10:00:00", ticket: int = 7, **fields: Any) -> Row:
        """A customer's mail, unless told otherwise."""
        self.number += 1
        row = {"id": self.number, "ticket_id": ticket, "public": True, "channel": "email", "via": "email"}
        row |= {"from_agent": False, "rule_id": None, "sender": ADA, "source": {"type": "email"}, "meta": None}
        row |= {"body_text": "Hello", "stripped_text": "Hello", "created_datetime": day(clock)}
        row |= {"sent_datetime": day(clock), "failed_datetime": None}
        self.said[ticket].append(row | fields)
        return self.said[ticket][-1]

    def reply(self, clock: str = "10:05:00", ticket: int = 7, **fields: Any) -> Row:
        return self.say(clock, ticket, **({"from_agent": True, "via": "helpdesk", "sender": ROBIN} | fields))

    def happen(self, kind: str, clock: str, ticket: int = 7, context: str | None = None, **data: Any) -> None:
        row = {"id": len(self.events) + 1, "type": kind, "object_type": "Ticket", "object_id": ticket, "user_id": 17}
        self.events.append(row | {"context": context, "data": data or None, "created_datetime": day(clock)})

    def survey(self, number: int = 31, **fields: Any) -> Row:
        row = {"id": number, "ticket_id": 7, "score": None, "created_datetime": day("11:00:00")}
        row |= {"should_send_datetime": day("11:00:00", 3), "sent_datetime": None, "scored_datetime": None}
        self.lists["satisfaction-surveys"].append(row | fields)
        return self.lists["satisfaction-surveys"][-1]

    # answering

    def __call__(self, request: httpx.Request) -> httpx.Response:
        expected = base64.b64encode(b"deskpulse@desk.example:canary-key").decode()
        assert request.headers["authorization"] == f"Basic {expected}"
        if self.busy:
            self.busy -= 1
            return httpx.Response(429, json={}, headers={"Retry-after": "7"})
        path, query = request.url.path.removeprefix("/api/"), dict(request.url.params)
        self.asked.append(f"{path}?{request.url.query.decode()}".rstrip("?"))
        if request.method != "GET":
            return self._write(request.method, path, json.loads(request.content or b"null"))
        answer = self._read(path, query)
        self.after(self.asked[-1])
        return answer

    def _read(self, path: str, query: dict[str, str]) -> httpx.Response:
        if found := re.fullmatch(r"tickets/(\d+)(/messages)?", path):
            return self._of_ticket(int(found[1]), bool(found[2]), query)
        if path == "account":
            settings = [{"id": 1, "type": "business-hours", "data": self.hours}] if self.hours else []
            return httpx.Response(200, json={"domain": "desk", "settings": settings})
        if path == "events":
            mine = [one for one in self.events if query.get("object_id") in (None, str(one["object_id"]))]
            return self._sheet(mine, query) if self.events_status == 200 else httpx.Response(self.events_status)
        told = [self._slim(one) for one in self.tickets.values()] if path == "tickets" else self.lists[path]
        order = query.get("order_by")
        if order and self.sorts is None:
            return httpx.Response(400, json={"error": {"msg": "order_by"}})
        if order and self.sorts:
            field, way = order.split(":")
            told = sorted(told, key=lambda row: (row[field], row["id"]), reverse=way == "desc")
        return self._sheet(told, query)

    @staticmethod
    def _slim(ticket: Row) -> Row:
        return {key: value for key, value in ticket.items() if key != "messages"}

    def _of_ticket(self, number: int, messages: bool, query: dict[str, str]) -> httpx.Response:
        if number not in self.tickets:
            return httpx.Response(404, json={"error": {"msg": "not found"}})
        said = self.said[number]
        if messages:
            return self._sheet(said, query)
        whole = {"messages": said[: self.embeds], "messages_count": len(said)}
        return httpx.Response(200, json=self.tickets[number] | whole)

    def _sheet(self, told: list[Row], query: dict[str, str]) -> httpx.Response:
        start, size = 0, min(int(query.get("limit", 30)), self.page)
        if cursor := query.get("cursor"):
            if self.expires:
                self.expires -= 1
                return httpx.Response(400, json={"error": {"msg": "invalid cursor"}})
            known = [row["id"] for row in told]
            start = known.index(int(cursor)) + 1
        rows = told[start : start + size]
        following = str(rows[-1]["id"]) if start + size < len(told) else None
        headers = {"X-Gorgias-Account-Api-Call-Limit": "3/40"}
        meta = {"prev_cursor": None, "next_cursor": following}
        return httpx.Response(200, json={"data": rows, "object": "list", "meta": meta}, headers=headers)

    def _write(self, method: str, path: str, body: Any) -> httpx.Response:
        self.sent.append((method, path, body))
        ticket = self.tickets[int(path.split("/")[1])]
        if path.endswith("/tags"):
            names = body["names"]
            kept = [one for one in ticket["tags"] if one["name"] not in names and not self.replaces]
            ticket["tags"] = kept + ([{"id": 99, "name": name} for name in names] if method == "POST" else [])
            return httpx.Response(200, json={})
        if method == "DELETE":
            number = int(path.rsplit("/", 1)[1])
            self.said[ticket["id"]] = [
                one for one in self.said[ticket["id"]] if one["id"] != number or self.keeps_notes
            ]
            return httpx.Response(204)
        told = {key: body[key] for key in ("channel", "via", "from_agent", "body_text", "public")}
        told |= {"channel": "email", "public": True} if self.public_notes else {}
        made = self.say("12:00:00", ticket["id"], **told, stripped_text=body["body_text"], sender=US)
        return httpx.Response(201, json=made)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def clients() -> Iterator[list[HttpClient]]:
    opened: list[HttpClient] = []
    yield opened
    for client in opened:
        client.close()


@pytest.fixture
def gorgias(desk: Desk, clients: list[HttpClient]) -> Gorgias:
    return connected(desk, clients)


def connected(desk: Desk, clients: list[HttpClient]) -> Gorgias:
    given = GorgiasSettings(**GIVEN)
    transport = httpx.MockTransport(desk)
    clients.append(HttpClient(Gorgias.service(given), StandingClock(), name="gorgias", demo=False, transport=transport))
    return Gorgias(given, clients[-1])


def pulled(adapter: Gorgias, kind: type[Any]) -> list[Any]:
    walk = Walk(adapter)
    walk.on()
    return walk.records(kind)


def told(adapter: Gorgias, kind: str) -> list[tuple[int | None, str | None, str | None, bool]]:
    found = [one for one in pulled(adapter, Event) if one.kind == kind]
    return [(one.at, one.value, one.was, one.derived) for one in found]


def lists_read(desk: Desk) -> int:
    return sum(path.startswith("tickets?") for path in desk.asked)


def tickets_read(desk: Desk) -> list[int]:
    return [int(path.split("/")[1]) for path in desk.asked if re.fullmatch(r"tickets/\d+", path)]


# --- settings --------------------------------------------------------------------------------------------------------


def test_it_pulls_rereads_tags_notes_and_probes(gorgias: Gorgias) -> None:
    for capability in (Pulls, Rereads, Tags, Notes, Probes):
        assert isinstance(gorgias, capability)


def test_a_third_of_the_documented_budget_is_taken_unless_told_otherwise() -> None:
    assert Gorgias.service(GorgiasSettings(**GIVEN)).per_second * 20 == pytest.approx(40 / 3)
    assert Gorgias.service(GorgiasSettings(**GIVEN, requests_per_second=1.5)).per_second == 1.5


@pytest.mark.parametrize("wrong", [{"url": "desk.gorgias.com"}, {"email": "robin"}, {"requests_per_second": 0}])
def test_a_wrong_setting_is_refused(wrong: Row) -> None:
    with pytest.raises(ValidationError):
        GorgiasSettings(**(GIVEN | wrong))


@pytest.mark.parametrize(
    "written", ["desk", "https://desk.gorgias.com/app/ticket/7?x=1", " https://desk.gorgias.com/ "]
)
def test_the_accounts_name_or_a_copied_address_will_do(written: str) -> None:
    assert GorgiasSettings(**(GIVEN | {"url": written})).url == "https://desk.gorgias.com"


def test_a_429_is_waited_out_as_long_as_it_says(desk: Desk, clients: list[HttpClient]) -> None:
    desk.ticket()
    adapter = connected(desk, clients)
    desk.busy = 2
    assert pulled(adapter, Conversation)
    assert clients[-1].waited_s >= 14


# --- the directory ---------------------------------------------------------------------------------------------------


def test_agents_bots_teams_and_inboxes_come_with_the_accounts_hours(desk: Desk, gorgias: Gorgias) -> None:
    desk.page = 2  # users come on two pages
    desk.lists["integrations"].append({"id": 72, "type": "http", "name": "Web hook"})
    nine_to_half_past_five = ((540, 1050),)
    week = (nine_to_half_past_five, (), (), (), nine_to_half_past_five, (), ())
    walk = Walk(gorgias)
    walk.on()
    assert walk.records(Agent) == [Agent("17", "Robin Jansen"), Agent("18", "Deskpulse"), Agent("2", "Helper", "bot")]
    assert walk.records(Team) == [Team("41", "Orders")]
    assert walk.records(Inbox) == [Inbox("71", "Support", "email", Schedule("Europe/Madrid", week))]
    assert not [record for page in walk.on() for record in page.records]


@pytest.mark.parametrize(
    "bent",
    [
        {"timezone": "Europe/Atlantis"},
        {"business_hours": {"days": "0,8", "from_time": "09:00", "to_time": "17:00"}},
        {"business_hours": {"days": "1", "from_time": "17:00", "to_time": "09:00"}},
        {"business_hours": None},
    ],
)
def test_hours_that_are_not_understood_are_left_out_whole(bent: Row, desk: Desk, gorgias: Gorgias) -> None:
    desk.hours = HOURS | bent
    assert pulled(gorgias, Inbox)[0].schedule is None


# --- the walk --------------------------------------------------------------------------------------------------------


def test_more_tickets_than_a_page_holds_come_oldest_change_first(desk: Desk, gorgias: Gorgias) -> None:
    desk.many(250)
    found = pulled(gorgias, Conversation)
    assert [one.id for one in found] == [str(n) for n in range(1, 251)]
    assert lists_read(desk) == 3


def test_the_list_is_read_before_the_tickets_since_its_cursors_live_shortly(desk: Desk, gorgias: Gorgias) -> None:
    desk.many(250)
    pulled(gorgias, Conversation)
    firsts = [path.split("?")[0] for path in desk.asked if path.startswith("tickets")]
    assert firsts[:3] == ["tickets"] * 3
    assert "tickets" not in firsts[3:]


def test_unchanged_tickets_cost_no_call_and_the_walk_ends_at_what_is_known(desk: Desk, gorgias: Gorgias) -> None:
    desk.many(250)
    walk = Walk(gorgias)
    walk.on()
    desk.ticket(3, "23:00:00")
    desk.asked.clear()
    new = [one.id for page in walk.on() for one in page.records if isinstance(one, Conversation)]
    assert (new, tickets_read(desk), lists_read(desk)) == (["3"], [3], 1)


def test_a_change_that_shows_up_late_is_found_within_ten_minutes(desk: Desk, gorgias: Gorgias) -> None:
    desk.page = 2
    desk.many(20)
    walk = Walk(gorgias)
    walk.on()
    desk.ticket(99, "10:15:30")
    assert [one.id for page in walk.on() for one in page.records if isinstance(one, Conversation)] == ["99"]


def test_a_broken_walk_goes_on_with_what_is_left(desk: Desk, clients: list[HttpClient]) -> None:
    desk.many(60)
    pages = connected(desk, clients).pull("conversations", None, lambda *_: False)
    first = next(pages)
    assert first.cursor == {"since": at("10:25:00")}
    assert first.total == 60
    desk.asked.clear()
    again = list(connected(desk, clients).pull("conversations", first.cursor, lambda one, _: int(one) <= 25))
    assert sorted(tickets_read(desk)) == list(range(26, 61))
    assert again[-1].cursor == {"since": at("11:00:00")}


def test_a_ticket_that_moves_to_the_front_meanwhile_is_seen_by_the_next_walk(desk: Desk, gorgias: Gorgias) -> None:
    desk.many(120)

    def moves(path: str) -> None:
        if path.startswith("tickets?") and "cursor" not in path:
            desk.after = lambda path: None
            desk.ticket(5, "23:00:00", status="closed")

    desk.after = moves
    walk = Walk(gorgias)
    walk.on()
    assert len(walk.records(Conversation)) == 119
    walk.on()
    assert {one.id: one.status for one in walk.records(Conversation)}["5"] == "done"


def test_an_expired_cursor_begins_anew_and_loses_nothing(desk: Desk, gorgias: Gorgias) -> None:
    desk.many(250)
    list(gorgias.pull("directory", None, lambda *_: False))
    desk.expires = 2
    pages = list(gorgias.pull("conversations", None, lambda *_: False))
    assert len({one.id for page in pages for one in page.records if isinstance(one, Conversation)}) == 250
    assert len(tickets_read(desk)) == 250


def test_cursors_that_always_expire_end_in_an_error_not_in_a_circle(desk: Desk, gorgias: Gorgias) -> None:
    desk.many(250)
    desk.expires = 1000
    with pytest.raises(Transient, match="run it again"):
        list(gorgias.pull("conversations", None, lambda *_: False))
    assert lists_read(desk) == 2 * 6


@pytest.mark.parametrize("sorts", [None, False], ids=["refused", "taken and not heeded"])
def test_where_tickets_are_not_sorted_the_whole_list_is_walked(
    sorts: bool | None, desk: Desk, gorgias: Gorgias
) -> None:
    desk.many(250)
    desk.tickets = {250: desk.tickets[250]} | desk.tickets  # the newest, then old ones
    desk.sorts = sorts
    walk = Walk(gorgias)
    walk.on()
    assert len(walk.records(Conversation)) == 250
    desk.ticket(200, "23:00:00")  # on the third page, behind old ones
    assert [one.id for page in walk.on() for one in page.records if isinstance(one, Conversation)] == ["200"]


def test_the_same_page_twice_is_an_error(desk: Desk, clients: list[HttpClient]) -> None:
    desk.ticket()
    meta = {"next_cursor": "stuck"}
    bent: dict[str, Any] = {"data": [desk.tickets[7]], "meta": meta}
    desk._sheet = lambda told, query: httpx.Response(200, json=bent)  # type: ignore[method-assign]  # a stuck service
    with pytest.raises(BadPayload, match="same page twice"):
        list(connected(desk, clients).pull("conversations", None, lambda *_: False))


def test_a_refused_key_is_told_as_such(desk: Desk, clients: list[HttpClient]) -> None:
    desk._read = lambda path, query: httpx.Response(401, json={})  # type: ignore[method-assign]  # a wrong key
    with pytest.raises(AuthFailed):
        list(connected(desk, clients).pull("conversations", None, lambda *_: False))


@pytest.mark.parametrize(
    "written",
    ["2026-03-02T10:00:00", "2026-03-02 10:00:00", "2026-03-02T10:00:00+00:00", "2026-03-02T11:00:00.000+0100"],
)
def test_times_without_a_zone_are_utc_however_they_are_written(written: str, desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket(updated_datetime=written, created_datetime="2026-03-02T10:00:00.123456")
    (found,) = pulled(gorgias, Conversation)
    assert (found.changed_at, found.created_at) == (at("10:00:00"), at("10:00:00.123"))


# --- messages --------------------------------------------------------------------------------------------------------


def authors(adapter: Gorgias) -> list[tuple[str, str, bool]]:
    return [(one.author, one.kind, one.public) for one in pulled(adapter, Message)]


def test_customers_people_rules_bots_and_integrations_are_told_apart(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket()
    desk.say("10:00:00")
    desk.reply("10:00:01", via="rule", sender=HELPER)
    desk.reply("10:00:02", rule_id=7)
    desk.reply("10:00:03", sender={"id": 2, "name": "Helper"})
    desk.reply("10:00:04", via="api")
    desk.reply("10:00:05", sender=None)
    desk.reply("10:00:06", via="instagram")
    desk.reply("10:00:07", via="instagram", sender={"id": 999, "name": "The shop's page"})
    desk.reply("10:00:08")
    desk.say("10:00:09", from_agent=None)
    assert [author for author, *_ in authors(gorgias)] == [
        *("customer", "automation", "automation", "bot", "integration", "integration", "human", "integration"),
        *("human", "unknown"),
    ]


def test_a_note_is_a_note_by_its_channel_or_by_not_being_public(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket()
    desk.reply(channel="internal-note", public=True)
    desk.reply(public=False)
    assert authors(gorgias) == [("human", "note", False)] * 2


def test_a_reply_that_failed_or_is_not_sent_yet_reached_nobody(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket(clock="10:06:00")
    desk.reply("10:05:00", failed_datetime=day("10:05:01"))
    waiting = desk.reply("10:06:00", sent_datetime=None)
    walk = Walk(gorgias)
    walk.on()
    assert [one.public for one in walk.records(Message)] == [False, False]
    waiting["sent_datetime"] = day("10:06:20")  # and the ticket's own time of change stays as it was
    walk.on()
    assert [(one.public, one.at) for one in walk.records(Message)] == [(False, at("10:05:00")), (True, at("10:06:20"))]
    assert walk.records(Conversation)[0].changed_at == at("10:06:00")


def test_what_opens_a_ticket_of_ours_without_a_person_is_a_campaign(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket(from_agent=True)
    desk.reply("10:00:00", via="rule")
    desk.say("10:01:00")
    desk.reply("10:02:00", via="rule")
    desk.reply("10:03:00", meta={"campaign_id": "c1"})
    assert [kind for _, kind, _ in authors(gorgias)] == ["campaign", "message", "message", "campaign"]


def test_a_person_who_writes_first_sends_no_campaign(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket(from_agent=True)
    desk.reply("10:00:00")
    assert authors(gorgias) == [("human", "message", True)]


def test_survey_messages_are_no_conversation(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket()
    desk.reply(via="rule", meta={"type": "satisfaction-survey"})
    assert authors(gorgias)[0][1] == "survey"


def test_what_the_api_stored_as_sent_long_before_is_imported_and_dated_by_its_sending(
    desk: Desk, gorgias: Gorgias
) -> None:
    desk.ticket()
    desk.say("10:00:00", via="api", sent_datetime="2025-11-02T09:00:00")
    walk = Walk(gorgias)
    walk.on()
    (message,) = walk.records(Message)
    assert (message.kind, message.at) == ("imported", from_iso("2025-11-02T09:00:00Z"))
    assert walk.records(Conversation)[0].created_at == message.at


def test_messages_that_a_ticket_does_not_hold_are_read_page_by_page(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket()
    for n in range(130):
        desk.say(f"10:{n // 60:02}:{n % 60:02}")
    desk.embeds = 30
    assert len(pulled(gorgias, Message)) == 130


# --- events ----------------------------------------------------------------------------------------------------------


def test_status_and_owners_come_with_their_history(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket(clock="13:00:00", status="closed", closed_datetime=day("13:00:00"), assignee_team={"id": 41})
    desk.happen("ticket-assigned", "10:05:00", assignee_user_id=17)
    desk.happen("ticket-closed", "11:00:00")
    desk.happen("ticket-reopened", "12:00:00")
    desk.happen("ticket-unassigned", "12:30:00")
    desk.happen("ticket-team-assigned", "12:31:00", assignee_team_id=41)
    desk.happen("ticket-closed", "13:00:00")
    assert told(gorgias, "status") == [
        (at("11:00:00"), "done", "open", False),
        (at("12:00:00"), "open", "done", False),
        (at("13:00:00"), "done", "open", False),
    ]
    assert told(gorgias, "assigned") == [(at("10:05:00"), "17", None, False), (at("12:30:00"), None, "17", False)]
    assert told(gorgias, "team") == [(at("12:31:00"), "41", None, False)]


def test_an_assignment_that_names_nobody_is_settled_by_the_ticket(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket(clock="12:00:00", assignee_user=ROBIN)
    desk.happen("ticket-assigned", "10:05:00")
    assert told(gorgias, "assigned") == [(at("12:00:00"), "17", None, True)]


def test_events_beyond_a_page_are_read_and_those_of_other_tickets_left_alone(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket(clock="18:00:00", status="closed")
    for n in range(75):
        desk.happen("ticket-closed", f"11:{n // 60:02}:{n % 60:02}")
        desk.happen("ticket-reopened", f"11:{n // 60:02}:{n % 60:02}.500")
    desk.happen("ticket-closed", "17:00:00")
    desk.happen("ticket-reopened", "17:00:00", ticket=8)
    assert len(told(gorgias, "status")) == 151


def test_a_filter_of_events_that_is_not_heeded_does_not_read_the_whole_account(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket()
    for _ in range(350):
        desk.happen("ticket-closed", "11:00:00", ticket=8)
    for one in desk.events:
        one["object_id"] = "8"  # never equal to what is asked for
    real = desk._read
    desk._read = lambda path, query: real(path, {k: v for k, v in query.items() if k != "object_id"})  # type: ignore[method-assign]  # deaf
    assert told(gorgias, "status") == [(at("10:00:00"), "open", None, True)]
    assert sum(path.startswith("events") for path in desk.asked) == 1


def test_a_snooze_is_no_closing_and_is_over_when_it_woke(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket(clock="11:00:00", status="closed", snooze_datetime=day("09:00:00", 3), closed_datetime=day("11:00:00"))
    desk.happen("ticket-snoozed", "11:00:00", context="c1")
    desk.happen("ticket-closed", "11:00:00", context="c1")
    assert told(gorgias, "status") == [(at("11:00:00"), "snoozed", "open", False)]
    assert pulled(gorgias, Conversation)[0].status == "snoozed"
    desk.ticket(status="open", snooze_datetime=day("09:00:00", 3), updated_datetime=day("09:00:01", 3))
    desk.happen("ticket-self-unsnoozed", "23:59:59")
    assert told(gorgias, "status")[-1][1:] == ("open", "snoozed", False)
    assert pulled(gorgias, Conversation)[0].status == "open"


def test_without_events_the_last_closing_is_dated_by_the_ticket(desk: Desk, gorgias: Gorgias) -> None:
    desk.events_status = 403
    desk.ticket(clock="12:00:00", status="closed", closed_datetime=day("11:00:00"))
    assert told(gorgias, "status") == [(at("11:00:00"), "done", "open", True)]


def test_without_events_a_reopening_by_the_customer_counts_from_the_message(desk: Desk, gorgias: Gorgias) -> None:
    desk.events_status = 403
    desk.ticket(clock="11:00:00", status="closed", closed_datetime=day("11:00:00"))
    walk = Walk(gorgias)
    walk.on()
    desk.ticket(clock="12:10:00")
    desk.say("12:00:00")
    walk.on()
    told = [(one.at, one.value) for one in walk.records(Event) if one.kind == "status"]
    assert told[:2] == [(at("11:00:00"), "done"), (at("12:00:00"), "open")]


def test_spam_and_trash_are_listed_and_told_with_their_times(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket(7, spam=True)
    desk.happen("ticket-marked-spam", "10:20:00")
    desk.ticket(8, spam=True)
    desk.ticket(9, trashed_datetime=day("10:30:00"))
    found = {(one.conversation, one.kind): one.at for one in pulled(gorgias, Event) if one.kind != "status"}
    assert found == {("7", "spam"): at("10:20:00"), ("8", "spam"): None, ("9", "deleted"): at("10:30:00")}


def test_a_ticket_that_was_merged_away_or_deleted_is_told_when_it_is_read_again(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket()
    (page,) = gorgias.reread(["7", "8", "x1"], lambda *_: False)
    assert [one for one in page.records if isinstance(one, Event) and one.kind == "deleted"] == [
        Event("8:deleted", "8", None, "deleted"),
        Event("x1:deleted", "x1", None, "deleted"),
    ]


def test_an_unchanged_ticket_that_is_read_again_costs_one_call(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket()
    assert list(gorgias.reread(["7"], lambda *_: True)) == [Page([])]
    assert desk.asked == ["tickets/7"]


def test_channels_tags_and_inboxes_come_with_the_ticket(desk: Desk, gorgias: Gorgias) -> None:
    box = [{"id": 90, "type": "shopify"}, {"id": 71, "type": "email"}]
    desk.ticket(channel="facebook-messenger", integrations=box, tags=[{"id": 2, "name": "vip"}, {"id": 1, "name": "a"}])
    desk.ticket(8, channel="pigeon-post")
    walk = Walk(gorgias)
    walk.on()
    first = walk.records(Conversation)[0]
    assert (first.inbox, first.tags, first.link) == ("71", ("a", "vip"), "https://desk.gorgias.com/app/ticket/7")
    assert Channel("facebook-messenger", "facebook") in walk.records(Channel)
    assert Channel("pigeon-post", "other") in walk.records(Channel)


# --- ratings ---------------------------------------------------------------------------------------------------------


def test_a_survey_is_offered_when_sent_and_answered_under_the_same_id(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket()
    survey = desk.survey()
    walk = Walk(gorgias)
    walk.on()
    assert walk.records(Rating) == []  # made, and not sent yet: nobody was asked
    survey |= {"sent_datetime": day("11:00:05", 3)}
    walk.on()
    assert walk.records(Rating) == [Rating("31", "7", at("11:00:05", 3))]
    survey |= {"score": 4, "scored_datetime": day("12:00:00", 3)}
    walk.on()
    assert walk.records(Rating) == [Rating("31", "7", at("11:00:05", 3), ((at("12:00:00", 3), 4.0),), 1, 5)]


def test_an_answer_to_a_survey_of_last_month_is_found_among_newer_ones(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket()
    old = desk.survey(1, created_datetime=day("11:00:00", 2), sent_datetime=day("12:00:00", 2))
    for n in range(150):
        date = 28 if n < 50 else 27
        desk.survey(2 + n, created_datetime=day("11:00:00", date), sent_datetime=day("12:00:00", date))
    walk = Walk(gorgias)
    walk.on()
    assert len(walk.records(Rating)) == 151
    old |= {"score": 1, "scored_datetime": day("12:00:00", 28)}
    walk.on()
    assert [one.answers for one in walk.records(Rating) if one.id == "1"] == [((at("12:00:00", 28), 1.0),)]


def test_an_impossible_score_is_rejected_and_a_tickets_own_survey_is_read(desk: Desk, gorgias: Gorgias) -> None:
    desk.survey(31, score=9, scored_datetime=day("12:00:00"))
    asked = {"id": 32, "score": 5, "sent_datetime": day("11:00:00"), "scored_datetime": day("12:00:00")}
    desk.ticket(satisfaction_survey=asked)
    walk = Walk(gorgias)
    walk.on()
    assert [one.id for one in walk.rejects] == ["31"]
    assert [one.id for one in walk.records(Rating)] == ["32"]


# --- push ------------------------------------------------------------------------------------------------------------


def test_a_tag_is_added_to_the_others_and_never_replaces_them(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket(tags=[{"id": 1, "name": "refund"}, {"id": 2, "name": "vip"}])
    assert gorgias.add_tag("7", " slow ").after == ("refund", "vip", "slow")
    assert [one["name"] for one in desk.tickets[7]["tags"]] == ["refund", "vip", "slow"]
    assert desk.sent == [("POST", "tickets/7/tags", {"names": ["slow"]})]
    assert gorgias.remove_tag("7", "slow").after == ("refund", "vip")


def test_a_tag_that_is_there_is_not_written_and_one_that_is_not_is_not_removed(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket(tags=[{"id": 1, "name": "vip"}])
    gorgias.add_tag("7", "vip")
    gorgias.remove_tag("7", "slow")
    assert desk.sent == []


def test_a_write_that_cost_another_tag_is_told(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket(tags=[{"id": 1, "name": "vip"}])
    desk.replaces = True
    with pytest.raises(Rejected, match="slow, not slow, vip as written"):
        gorgias.add_tag("7", "slow")


def test_a_note_is_an_internal_note_literally(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket()
    note = gorgias.add_note("7", "[deskpulse] slow & late")
    ((method, path, body),) = desk.sent
    assert (method, path) == ("POST", "tickets/7/messages")
    assert body == {
        "channel": "internal-note",
        "via": "api",
        "from_agent": True,
        "public": False,
        "source": {"type": "internal-note"},
        "sender": {"id": 18},
        "body_text": "[deskpulse] slow & late",
        "body_html": "<p>[deskpulse] slow &amp; late</p>",
    }
    assert gorgias.find_note("7", "[deskpulse] slow & late") == note
    (message,) = pulled(gorgias, Message)
    assert (message.own, message.kind, message.public) == (True, "note", False)


def test_a_note_that_reads_back_as_public_is_told(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket()
    desk.public_notes = True
    with pytest.raises(Rejected, match="not there as an internal note"):
        gorgias.add_note("7", "[deskpulse] slow")


def test_without_a_user_of_that_e_mail_no_note_is_written(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket()
    desk.lists["users"] = [ROBIN]
    with pytest.raises(Rejected, match="no note was written"):
        gorgias.add_note("7", "[deskpulse] slow")
    assert desk.sent == []


def test_only_a_note_of_ours_is_deleted_and_that_is_read_back(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket()
    said = desk.say()
    colleague = desk.reply(channel="internal-note", public=False)
    for other in (said, colleague):
        with pytest.raises(Rejected, match="left alone"):
            gorgias.remove_note("7", str(other["id"]))
    assert desk.sent == []
    note = gorgias.add_note("7", "[deskpulse] slow")
    desk.keeps_notes = True
    with pytest.raises(Rejected, match="did not delete"):
        gorgias.remove_note("7", note)
    desk.keeps_notes = False
    gorgias.remove_note("7", note)
    assert [one["id"] for one in desk.said[7]] == [said["id"], colleague["id"]]
    gorgias.remove_note("7", note)


# --- doctor ----------------------------------------------------------------------------------------------------------


def findings(adapter: Gorgias) -> dict[str, Finding]:
    return {one.check: one for one in adapter.probe()}


def test_doctor_says_what_the_key_can_feed(desk: Desk, gorgias: Gorgias) -> None:
    desk.ticket()
    desk.happen("ticket-closed", "10:00:00")
    desk.survey(sent_datetime=day("12:00:00"))
    found = findings(gorgias)
    names = ("access", "changes", "rate limit", "history", "ratings", "opening hours")
    assert [found[name].ok for name in names] == [None, True, True, True, True, True]
    assert "write to customers" in found["access"].detail
    assert found["rate limit"].detail == "40 requests in 20 seconds, we take 13"
    assert "2026-03-02" in found["history"].detail
    assert "Europe/Madrid, M---F--" in found["opening hours"].detail
    assert desk.sent == []


def test_doctor_names_what_is_lost_where_something_cannot_be_read(desk: Desk, gorgias: Gorgias) -> None:
    desk.many(3)
    desk.sorts, desk.events_status, desk.hours, desk.lists["users"] = None, 403, None, [ROBIN]
    found = findings(gorgias)
    assert found["access"].ok is False
    assert [found[name].ok for name in ("changes", "history", "ratings", "opening hours")] == [None] * 4
    assert "list of all tickets" in found["changes"].detail
    assert "reopen_rate" in found["history"].detail
    assert "csat" in found["ratings"].detail


def test_doctor_sees_a_sort_that_is_taken_and_not_heeded(desk: Desk, gorgias: Gorgias) -> None:
    desk.many(3)
    desk.sorts = False
    assert findings(gorgias)["changes"].ok is None


# --- into the store --------------------------------------------------------------------------------------------------


def test_it_is_stored_once_and_its_facts_are_right(desk: Desk, tmp_path: Path) -> None:
    desk.ticket(clock="12:00:00", status="closed", closed_datetime=day("12:00:00"), assignee_user=ROBIN)
    desk.say("10:00:00")
    desk.reply("10:00:02", via="rule", sender=HELPER)
    desk.reply("10:03:00", channel="internal-note", public=False)
    desk.reply("10:04:00", failed_datetime=day("10:04:01"))
    desk.reply("10:07:00")
    desk.happen("ticket-assigned", "10:01:00", assignee_user_id=17)
    desk.happen("ticket-closed", "10:30:00")
    desk.happen("ticket-reopened", "11:00:00")
    desk.happen("ticket-closed", "12:00:00")
    desk.ticket(8, "12:01:00", spam=True)
    desk.ticket(9, "12:02:00", trashed_datetime=day("12:02:00"))
    desk.ticket(10, "12:03:00", from_agent=True)
    desk.reply("12:03:00", 10, via="rule")
    desk.survey(sent_datetime=day("11:00:05", 3), score=2, scored_datetime=day("12:00:00", 3))
    config = Config(tmp_path / "c.toml", tmp_path / "d.db", services=(ServiceConfig("inbox", "gorgias", GIVEN_HERE),))
    with respx.mock:
        respx.route(host="desk.gorgias.com").mock(side_effect=desk)
        [first] = sync(config, [], StandingClock())
        [again] = sync(config, [], StandingClock())
    assert (first.outcome, first.counts.rejected) == ("ok", 0)
    assert (again.outcome, again.counts.new, again.counts.changed) == ("ok", 0, 0)
    with Store.open(config.database, demo=False) as store:
        sql = """SELECT v.vendor_id, excluded, first_response_s, full_resolution_s, resolutions, reopens
            FROM fact_conversations f JOIN conversations v ON v.id = f.conversation_id ORDER BY v.id"""
        found = [tuple(row) for row in store.conn.execute(sql)]
        [verdict] = store.conn.execute("SELECT verdict FROM fact_ratings").fetchone()
    assert found[:3] == [
        ("7", None, 420, 7200, 2, 1),
        ("8", "spam", None, None, 0, 0),
        ("9", "deleted", None, None, 0, 0),
    ]
    assert found[3][2] is None
    assert verdict == "negative"
