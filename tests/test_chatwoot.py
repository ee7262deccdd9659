"""The Chatwoot adapter, through the real client, against a small desk that answers as Chatwoot does."""

from __future__ import annotations

import ast
import copy
import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from pydantic import ValidationError
from request_gate import NotAllowed, RequestGate

from adapters.chatwoot import Chatwoot, ChatwootSettings
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
    Schedule,
    Team,
    from_iso,
)
from connector.sandbox import Sandbox
from connector.sandbox.generate import generate

FIXTURE = Path(__file__).parents[1] / "fixtures" / "chatwoot"
HOST = "https://desk.example"
T = 1_772_528_400
"""The fixture's conversation begins, in Unix seconds: 2026-03-03 09:00 UTC."""
MINUTE = 60
Row = dict[str, Any]


class Clock:
    """Waiting takes no time."""

    passed = 0.0

    def now(self) -> int:
        return (T + 10_000) * 1000

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


class Desk:
    """Chatwoot's side: paging, filters and writes as it does them. ``asked`` holds what it was asked."""

    def __init__(self) -> None:
        told = json.loads((FIXTURE / "desk.json").read_text("utf-8"))
        self.lists = {name: told[name] for name in ("inboxes", "teams", "agents", "labels", "contacts", "ratings")}
        self.profile, self.version = told["profile"], told["version"]
        self.chats: dict[int, Row] = {one["row"]["id"]: one for one in told["conversations"]}
        self.pattern = copy.deepcopy(self.chats[1201])
        self.asked: list[str] = []
        self.sent: list[tuple[str, str, Any]] = []
        self.gate = RequestGate(FIXTURE / "requests.json")
        self.without: set[str] = set()
        self.on_labels = lambda titles: titles

    # what a test changes

    @property
    def chat(self) -> Row:
        return self.chats[1201]

    def say(self, **fields: Any) -> Row:
        """One more message in the fixture's conversation, a customer's unless told otherwise."""
        last = self.chat["messages"][-1]
        told = {"id": last["id"] + 1, "created_at": last["created_at"] + 1, "content": "Hello", "message_type": 0}
        row = {"content_type": "text", "private": False, "status": "sent", "content_attributes": {}, **told, **fields}
        self.chat["messages"].append(row)
        return row

    def only(self, **fields: Any) -> Row:
        self.chat["messages"] = self.chat["messages"][:1]
        return self.say(**fields)

    def another(self, number: int, active: int, **fields: Any) -> Row:
        """One more conversation, last active at that second."""
        made = copy.deepcopy(self.pattern)
        stamps = {"id": number, "last_activity_at": active, "timestamp": active, "updated_at": active + 0.5}
        made["row"] |= {**stamps, "created_at": active - 10, **fields}
        made["messages"], made["reporting_events"] = [], []
        self.chats[number] = made
        return made

    def report(self, name: str, at: int | str, number: int | None = None) -> Row:
        events = self.chat["reporting_events"]
        number = number or 8000 + len(events)
        events.append({"id": number, "name": name, "user_id": 5, "conversation_id": 1, "created_at": at})
        return events[-1]

    # answering

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.gate.check(request)
        assert request.headers["api_access_token"] == "canary-token"
        path, query = request.url.path.removeprefix("/api/v1/accounts/3"), request.url.params
        self.asked.append(f"{path}?{request.url.query.decode()}".rstrip("?"))
        if request.method != "GET":
            return self._write(request.method, path, json.loads(request.content or b"null"))
        found = self._read(path, query)
        return httpx.Response(404, json={"error": "Resource could not be found"}) if found is None else _ok(found)

    def _read(self, path: str, query: httpx.QueryParams) -> Any:
        if path.rsplit("/", 1)[-1] in self.without:
            return None
        if found := re.fullmatch(r"/conversations/(\d+)(/\w+)?", path):
            return self._of_chat(int(found[1]), found[2], query)
        if path in ("/inboxes", "/labels"):
            return {"payload": self.lists[path[1:]]}
        if path in ("/teams", "/agents"):
            return self.lists[path[1:]]
        lists = {"/conversations": self._conversations, "/contacts": self._contacts}
        if path in lists:
            return lists[path](int(query.get("page", 1)))
        if path == "/csat_survey_responses":
            return self._ratings(query)
        return {"/api": self.version, "/api/v1/profile": self.profile}.get(path)

    def _of_chat(self, number: int, part: str | None, query: httpx.QueryParams) -> Any:
        if number not in self.chats:
            return None
        chat = self.chats[number]
        if part == "/messages":
            after = int(query["after"])
            newer = [m for m in chat["messages"] if m["id"] > after]
            return {"meta": {}, "payload": sorted(newer, key=lambda m: (str(m["created_at"]), m["id"]))[:100]}
        if part == "/labels":
            return {"payload": chat["row"]["labels"]}
        return chat["reporting_events"] if part else chat["row"]

    def _conversations(self, page: int) -> Any:
        rows = [chat["row"] for chat in self.chats.values()]
        rows.sort(key=lambda row: row["last_activity_at"], reverse=True)
        counts = {"mine_count": 0, "unassigned_count": 0, "assigned_count": len(rows), "all_count": len(rows)}
        return {"data": {"meta": counts, "payload": rows[25 * page - 25 : 25 * page]}}

    def _contacts(self, page: int) -> Any:
        rows = sorted(self.lists["contacts"], key=lambda row: row["last_activity_at"] or 0, reverse=True)
        return {"meta": {"count": len(rows), "current_page": page}, "payload": rows[15 * page - 15 : 15 * page]}

    def _ratings(self, query: httpx.QueryParams) -> Any:
        rows = self.lists["ratings"]
        if "since" in query and "until" in query:  # one end alone filters nothing
            rows = [row for row in rows if int(query["since"]) <= row["created_at"] < int(query["until"])]
        page = int(query["page"])
        return sorted(rows, key=lambda row: row["created_at"])[25 * page - 25 : 25 * page]

    def _write(self, method: str, path: str, body: Any) -> httpx.Response:
        self.sent.append((method, path, body))
        if path == "/labels":
            self.lists["labels"].append({"id": 99, **body})
            return _ok(self.lists["labels"][-1])
        chat = self.chats[int(path.split("/")[2])]
        if path.endswith("/labels"):
            chat["row"]["labels"] = self.on_labels(body["labels"])
            return _ok({"payload": chat["row"]["labels"]})
        if method == "DELETE":
            row = next(m for m in chat["messages"] if m["id"] == int(path.rsplit("/", 1)[1]))
            row |= {"content": "This message was deleted", "content_attributes": {"deleted": True}}
            return httpx.Response(200)
        sender = {"sender": {"id": 90, "name": "Pulse", "type": "user"}}
        return _ok(self.say(**{**body, "message_type": 1, **sender}))


def _ok(found: Any) -> httpx.Response:
    return httpx.Response(200, json=found)


@pytest.fixture
def desk() -> Iterator[Desk]:
    with respx.mock:
        desk = Desk()
        respx.route(host="desk.example").mock(side_effect=desk)
        yield desk


@pytest.fixture
def chatwoot(desk: Desk) -> Iterator[Chatwoot]:
    settings = ChatwootSettings(url=f"{HOST}/app/accounts/3/dashboard", account=3, token="canary-token")
    client = HttpClient(Chatwoot.service(settings), Clock(), name="chatwoot", demo=False)
    yield Chatwoot(settings, client)
    client.close()


class Stored:
    """What a store would hold: the newest of each record, the cursor of each stream."""

    def __init__(self) -> None:
        self.records: dict[tuple[type, str], Any] = {}
        self.cursors: dict[str, Any] = {}

    def seen(self, conversation: str, changed_at: int | None) -> bool:
        known = self.records.get((Conversation, conversation))
        return changed_at is not None and known is not None and known.changed_at == changed_at

    def pull(self, adapter: Chatwoot, stream: str = "conversations", most: int = 1000) -> list[Page]:
        pages = []
        for page in adapter.pull(stream, self.cursors.get(stream), self.seen):
            pages.append(page)
            self.keep(page, stream)
            if len(pages) == most:
                break
        return pages

    def keep(self, page: Page, stream: str = "") -> None:
        self.records |= {(type(record), record.id): record for record in page.records}
        if page.cursor is not None:
            self.cursors[stream] = json.loads(json.dumps(page.cursor))

    def all(self, kind: type) -> list[Any]:
        return [record for (of, _), record in self.records.items() if of is kind]


@pytest.fixture
def stored() -> Stored:
    return Stored()


def pulled(adapter: Chatwoot, kind: type, stream: str = "conversations") -> list[Any]:
    stored = Stored()
    stored.pull(adapter, stream)
    return stored.all(kind)


def spoken(adapter: Chatwoot, row: Row) -> Message:
    return next(message for message in pulled(adapter, Message) if message.id == str(row["id"]))


def statuses(adapter: Chatwoot) -> list[tuple[str | None, int | None, bool]]:
    """(status, seconds since the conversation began, derived) in order of time."""
    events = sorted(pulled(adapter, Event), key=lambda event: (event.at, event.kind == "status"))
    return [(e.value, e.at // 1000 - T, e.derived) for e in events if e.kind == "status"]


def ms(second: int) -> int:
    return second * 1000


# --- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://app.chatwoot.com", "https://app.chatwoot.com"),
        ("https://app.chatwoot.com/", "https://app.chatwoot.com"),
        ("https://app.chatwoot.com/app/accounts/3/dashboard", "https://app.chatwoot.com"),
        ("https://example.com/support/app", "https://example.com/support"),
        ("http://127.0.0.1:8420", "http://127.0.0.1:8420"),
    ],
)
def test_an_address_copied_from_the_browser_will_do(given: str, taken: str) -> None:
    assert ChatwootSettings(url=given, account=3, token="t").url == taken


@pytest.mark.parametrize(
    "wrong", [{"url": "app.chatwoot.com"}, {"account": 0}, {"requests_per_second": 0}, {"tokn": ""}]
)
def test_a_wrong_setting_is_refused(wrong: Row) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ChatwootSettings(**{"url": HOST, "account": 3, "token": "t", **wrong})


def test_the_token_is_never_shown() -> None:
    settings = ChatwootSettings(url=HOST, account=3, token="canary-token")
    assert "canary-token" not in repr(settings) + repr(Chatwoot.service(settings))


def test_it_pulls_rereads_tags_notes_and_probes(chatwoot: Chatwoot) -> None:
    assert all(isinstance(chatwoot, can) for can in (Pulls, Rereads, Tags, Notes, Probes))


# --- directory and contacts --------------------------------------------------------------------------------------


def test_the_directory_has_inboxes_teams_and_agents(chatwoot: Chatwoot) -> None:
    assert [inbox[:3] for inbox in pulled(chatwoot, Inbox, "directory")] == [
        ("7", "Shop chat", "Channel::WebWidget"),
        ("8", "Orders by phone number", "Channel::TwilioSms/whatsapp"),
        ("9", "Post", "Channel::Email"),
    ]
    assert pulled(chatwoot, Team, "directory") == [Team("2", "returns")]
    assert pulled(chatwoot, Agent, "directory") == [Agent("4", "Noor Vale"), Agent("5", "Ilse Brandt")]
    assert {c.id: c.kind for c in pulled(chatwoot, Channel, "directory")} == {
        "Channel::WebWidget": "live_chat",
        "Channel::TwilioSms/whatsapp": "whatsapp",
        "Channel::Email": "email",
    }


def test_working_hours_begin_on_monday_and_midnight_closes_the_day(chatwoot: Chatwoot) -> None:
    weekday = ((540, 1050),)
    week = (weekday, weekday, weekday, weekday, ((735, 1440),), ((0, 1440),), ())
    schedules = [inbox.schedule for inbox in pulled(chatwoot, Inbox, "directory")]
    assert schedules == [Schedule("Europe/Amsterdam", week), None, None]


def test_a_lunch_break_makes_two_rows_of_a_day(desk: Desk, chatwoot: Chatwoot) -> None:
    hours = {"open_minutes": 0, "close_minutes": 0}
    desk.lists["inboxes"][0]["working_hours"] = [
        {"day_of_week": 1, "open_hour": 9, "close_hour": 12, **hours},
        {"day_of_week": 1, "open_hour": 13, "close_hour": 18, **hours},
    ]
    schedule = pulled(chatwoot, Inbox, "directory")[0].schedule
    assert schedule is not None
    assert schedule.hours[0] == ((540, 720), (780, 1080))


def test_hours_in_a_zone_that_nobody_knows_are_rejected_and_the_inbox_is_kept(
    desk: Desk, chatwoot: Chatwoot, stored: Stored
) -> None:
    desk.lists["inboxes"][0]["timezone"] = "Middle Earth"
    (page,) = stored.pull(chatwoot, "directory")
    assert [(reject.kind, reject.id) for reject in page.rejects] == [("inbox", "7")]
    assert stored.records[Inbox, "7"].schedule is None


def test_a_channel_that_nobody_knows_is_other(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.lists["inboxes"][2]["channel_type"] = "Channel::Pigeon"
    assert Channel("Channel::Pigeon", "other") in pulled(chatwoot, Channel, "directory")


def test_an_unchanged_directory_is_not_handed_over_again(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    stored.pull(chatwoot, "directory")
    assert stored.pull(chatwoot, "directory")[0].records == []
    desk.lists["teams"][0]["name"] = "Returns"
    assert Team("2", "Returns") in stored.pull(chatwoot, "directory")[0].records


def test_contacts_who_never_wrote_come_too(chatwoot: Chatwoot) -> None:
    contacts = pulled(chatwoot, Contact, "contacts")
    assert contacts == [Contact("610", None, ms(1770000000)), Contact("611", None, ms(1771000000))]


def test_unchanged_contacts_cost_one_request_and_a_new_one_comes_alone(
    desk: Desk, chatwoot: Chatwoot, stored: Stored
) -> None:
    some = desk.lists["contacts"][0]
    desk.lists["contacts"] += [{**some, "id": 700 + n, "last_activity_at": T - n} for n in range(40)]
    stored.pull(chatwoot, "contacts")
    assert len(stored.all(Contact)) == 42
    desk.asked.clear()
    assert [page.records for page in stored.pull(chatwoot, "contacts")] == [[]]
    assert len(desk.asked) == 1
    desk.lists["contacts"].append({**some, "id": 800, "last_activity_at": T + 9000})
    assert [r.id for page in stored.pull(chatwoot, "contacts") for r in page.records] == ["800"]


def test_a_contact_without_activity_is_not_handed_over_at_every_run(
    desk: Desk, chatwoot: Chatwoot, stored: Stored
) -> None:
    desk.lists["contacts"][1]["created_at"] = T + 50_000  # imported lately, never active, last in the list
    stored.pull(chatwoot, "contacts")
    desk.asked.clear()
    assert [page.records for page in stored.pull(chatwoot, "contacts")] == [[]]
    assert len(desk.asked) == 1


# --- a conversation ----------------------------------------------------------------------------------------------


def test_a_conversation_arrives_whole(chatwoot: Chatwoot, stored: Stored) -> None:
    stored.pull(chatwoot)
    assert stored.all(Conversation) == [
        Conversation(
            id="1201",
            created_at=ms(T),
            status="done",
            changed_at=1772532000251,
            inbox="7",
            channel="Channel::WebWidget",
            contact="610",
            team="2",
            agent="4",
            language="nl",
            link=f"{HOST}/app/accounts/3/conversations/1201",
            tags=("refund",),
        )
    ]
    assert [(m.id, m.author, m.author_id, m.public, m.kind) for m in stored.all(Message)] == [
        ("41001", "customer", "610", True, "message"),
        ("41002", "automation", None, True, "message"),
        ("41003", "automation", None, False, "activity"),
        ("41004", "human", "4", True, "message"),
        ("41005", "human", "4", False, "note"),
        ("41006", "automation", None, True, "survey"),
    ]
    assert stored.all(Contact) == [Contact("610", None, ms(1770000000))]


def test_only_the_length_and_the_body_of_a_text_are_taken(chatwoot: Chatwoot) -> None:
    first = pulled(chatwoot, Message)[0]
    assert (first.at, first.length, first.body) == (ms(T), 30, "The lamp came without a shade.")


def test_twilio_is_whatsapp_where_its_inbox_says_so(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    desk.chat["row"]["inbox_id"], desk.chat["row"]["meta"]["channel"] = 8, "Channel::TwilioSms"
    stored.pull(chatwoot)
    channel = stored.all(Conversation)[0].channel
    assert stored.records[Channel, channel].kind == "whatsapp"


def test_a_conversation_of_an_inbox_that_is_gone_keeps_its_channel(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.chat["row"]["inbox_id"] = 99
    assert pulled(chatwoot, Channel) == [Channel("Channel::WebWidget", "live_chat")]


USER = {"sender": {"id": 4, "name": "Noor Vale", "type": "user"}}


@pytest.mark.parametrize(
    ("fields", "author", "author_id", "kind"),
    [
        ({"message_type": 1, **USER}, "human", "4", "message"),
        ({"message_type": 1, "sender_type": "User", **USER}, "human", "4", "message"),
        ({"message_type": 1, "sender_type": "User", "sender": None}, "human", None, "message"),
        ({"message_type": 1, **USER, "content_attributes": {"automation_rule_id": 5}}, "automation", None, "message"),
        ({"message_type": 1, "content_attributes": {"automation_rule_id": 5}}, "automation", None, "message"),
        ({"message_type": 1, **USER, "additional_attributes": {"campaign_id": 2}}, "automation", None, "campaign"),
        ({"message_type": 1, "content_attributes": {"external_echo": True}}, "integration", None, "message"),
        ({"message_type": 1, "sender": {"id": 4, "type": "agent_bot"}}, "bot", "bot-4", "message"),
        ({"message_type": 1, "sender_type": "AgentBot", "sender": {"id": 4}}, "bot", "bot-4", "message"),
        ({"message_type": 1, "sender_type": "Captain::Assistant", "sender": {"id": 4}}, "bot", "captain-4", "message"),
        ({"message_type": 1, "sender": {"id": 4, "type": "robot"}}, "unknown", None, "message"),
        ({"message_type": 0, "sender": {"id": 615, "type": "contact"}}, "customer", "615", "message"),
        ({"message_type": 0}, "customer", "610", "message"),
        ({"message_type": 2, "content": "Wim heeft het gesprek heropend"}, "automation", None, "activity"),
        ({"message_type": 3, "content": "We are closed now"}, "automation", None, "message"),
        ({"message_type": 3, "content_type": "input_csat"}, "automation", None, "survey"),
        ({"message_type": 1, "private": True, **USER}, "human", "4", "note"),
        (
            {"message_type": 1, "private": True, "content_attributes": {"automation_rule_id": 5}},
            "automation",
            None,
            "note",
        ),
        ({"message_type": 7}, "unknown", None, "message"),
    ],
)
def test_every_message_knows_who_wrote_it(
    desk: Desk, chatwoot: Chatwoot, fields: Row, author: str, author_id: str | None, kind: str
) -> None:
    message = spoken(chatwoot, desk.say(**fields))
    assert (message.author, message.author_id, message.kind) == (author, author_id, kind)
    assert message.public == (kind not in ("note", "activity"))


def test_bot_four_and_agent_four_are_two(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.say(message_type=1, sender={"id": 4, "name": "Helper", "type": "agent_bot"})
    assert pulled(chatwoot, Agent) == [Agent("bot-4", "Helper", "bot")]


def test_a_bot_may_own_a_conversation(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.chat["row"]["meta"] |= {"assignee": {"id": 4, "name": "Helper"}, "assignee_type": "AgentBot"}
    assert pulled(chatwoot, Conversation)[0].agent == "bot-4"


def test_a_reply_that_failed_is_none(desk: Desk, chatwoot: Chatwoot) -> None:
    assert not spoken(chatwoot, desk.say(message_type=1, status="failed", **USER)).public
    assert spoken(chatwoot, desk.say(message_type=1, status="delivered", **USER)).public


def test_a_deleted_reply_keeps_its_place_without_its_words(desk: Desk, chatwoot: Chatwoot) -> None:
    gone = {"content": "This message was deleted", "content_attributes": {"deleted": True}}
    message = spoken(chatwoot, desk.say(message_type=1, **gone, **USER))
    assert (message.author, message.public, message.length, message.body) == ("human", True, 0, "")


def test_our_own_note_is_known_as_ours_even_once_deleted(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    note = desk.say(message_type=1, private=True, content="[deskpulse] waited 3 h", **USER)
    stored.pull(chatwoot)
    assert stored.records[Message, str(note["id"])].own
    note |= {"content": "This message was deleted", "content_attributes": {"deleted": True}}
    desk.chat["row"]["updated_at"] += 60
    stored.pull(chatwoot)
    assert stored.records[Message, str(note["id"])].own


def test_our_mark_in_a_customers_words_is_not_ours(desk: Desk, chatwoot: Chatwoot) -> None:
    assert not spoken(chatwoot, desk.say(content="[deskpulse] hi")).own


@pytest.mark.parametrize(
    ("told", "at"),
    [
        (T - 86_400, ms(T - 86_400)),
        (ms(T - 86_400) + 5, ms(T - 86_400) + 5),
        (str(T - 86_400), ms(T - 86_400)),
        (0, ms(T + 60)),
        (None, ms(T + 60)),
        ("yesterday", ms(T + 60)),
        (123_456_789, ms(T + 60)),
        (T + 86_400, ms(T + 60)),
    ],
)
def test_an_imported_message_was_written_when_its_channel_says(
    desk: Desk, chatwoot: Chatwoot, told: Any, at: int
) -> None:
    row = desk.only(created_at=T + 60, content_attributes={"external_created_at": told})
    assert spoken(chatwoot, row).at == at


def test_an_imported_conversation_began_with_its_first_message(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.only(content_attributes={"external_created_at": T - 86_400})
    assert pulled(chatwoot, Conversation)[0].created_at == ms(T - 86_400)


def test_long_conversations_are_read_to_their_end(desk: Desk, chatwoot: Chatwoot) -> None:
    for _ in range(244):
        desk.say()
    assert len(pulled(chatwoot, Message)) == 250
    assert [a.split("?")[1] for a in desk.asked if "messages" in a] == ["after=0", "after=41100", "after=41200"]


def test_a_message_that_came_late_with_an_early_time_loses_none(desk: Desk, chatwoot: Chatwoot) -> None:
    for _ in range(149):
        desk.say()
    desk.say(created_at=T - 50)  # the highest id, listed first
    assert len(pulled(chatwoot, Message)) == 156


def test_messages_that_repeat_themselves_end_the_walk(desk: Desk, chatwoot: Chatwoot) -> None:
    for _ in range(150):
        desk.say()
    desk._of_chat = lambda *_: {"payload": desk.chat["messages"][:100]}
    with pytest.raises(BadPayload, match="same messages again"):
        pulled(chatwoot, Message)


def test_one_bad_message_is_counted_and_the_others_stay(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    desk.say(created_at=0)
    desk.say(created_at="2026-03-03 09:00:00")
    (page, *_) = stored.pull(chatwoot)
    assert [(reject.kind, reject.id) for reject in page.rejects] == [("message", "41007"), ("message", "41008")]
    assert "Hello" not in repr(page.rejects)
    assert len(stored.all(Message)) == 6


def test_one_bad_conversation_is_counted_and_the_others_stay(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    desk.another(1300, T)["row"]["created_at"] = None
    (page, *_) = stored.pull(chatwoot)
    assert [(reject.kind, reject.id) for reject in page.rejects] == [("conversation", "1300")]
    assert len(stored.all(Conversation)) == 1


def test_a_conversation_deleted_between_list_and_reading_is_left_out(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.another(1300, T)
    read = desk._of_chat
    desk._of_chat = lambda number, *rest: None if number == 1300 else read(number, *rest)
    assert [c.id for c in pulled(chatwoot, Conversation)] == ["1201"]


# --- its status --------------------------------------------------------------------------------------------------


def test_the_resolution_comes_from_the_reporting_event(chatwoot: Chatwoot) -> None:
    (event,) = pulled(chatwoot, Event)
    at = from_iso("2026-03-03T10:00:00Z")
    assert event == Event("report:7002", "1201", at, "status", "done", None, "4", derived=False)


def test_reporting_events_may_come_with_unix_seconds(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.chat["reporting_events"] = []
    desk.report("conversation_resolved", T + 600)
    assert statuses(chatwoot) == [("done", 600, False)]


def test_the_events_number_of_the_conversation_is_not_ours_and_not_used(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.another(880017, T)  # the number that the events carry is another conversation's here
    assert [e.conversation for e in pulled(chatwoot, Event) if not e.derived] == ["1201"]


def test_a_reopening_that_is_reported_is_taken_as_it_is(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.chat["row"]["status"] = "resolved"
    desk.report("conversation_opened", T + 4000)
    desk.report("conversation_resolved", T + 5000)
    assert statuses(chatwoot) == [("done", 3600, False), ("open", 4000, False), ("done", 5000, False)]


def test_a_reopening_that_is_not_reported_was_the_customers_next_message(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.say(created_at=T + 4000)
    desk.say(created_at=T + 4100)
    desk.report("conversation_resolved", T + 5000)
    assert statuses(chatwoot) == [("done", 3600, False), ("open", 4000, True), ("done", 5000, False)]


def test_a_reopened_conversation_is_open_since_the_customer_wrote_again(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.chat["row"]["status"] = "open"
    desk.say(created_at=T + 4000)
    desk.say(created_at=T + 4500)
    assert statuses(chatwoot) == [("done", 3600, False), ("open", 4000, True)]


def test_without_reporting_events_the_snapshot_tells(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.without.add("reporting_events")
    assert statuses(chatwoot) == [("done", 3600, True)]


def test_without_reporting_events_a_reopening_shows_from_pull_to_pull(
    desk: Desk, chatwoot: Chatwoot, stored: Stored
) -> None:
    desk.without.add("reporting_events")
    stored.pull(chatwoot)
    desk.say(created_at=T + 9000)
    desk.chat["row"] |= {"status": "open", "last_activity_at": T + 9000, "updated_at": T + 9000.5}
    stored.pull(chatwoot)
    assert [(e.value, e.at) for e in stored.all(Event)] == [("done", ms(T + 3600)), ("open", ms(T + 9000))]


def test_what_the_snapshot_adds_moves_with_the_snapshot(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    desk.chat["reporting_events"] = []
    desk.chat["row"]["status"] = "snoozed"
    stored.pull(chatwoot)
    desk.say(created_at=T + 9000)
    desk.chat["row"] |= {"status": "open", "last_activity_at": T + 9000, "updated_at": T + 9000.5}
    stored.pull(chatwoot)
    assert [(e.value, e.at) for e in stored.all(Event)] == [("open", ms(T + 9000))]


def test_our_note_does_not_move_a_resolution(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.without.add("reporting_events")
    desk.say(created_at=T + 90_000, message_type=1, private=True, content="[deskpulse] late", **USER)
    desk.chat["row"]["last_activity_at"] = T + 90_000
    assert statuses(chatwoot) == [("done", 3600, True)]


BOT = {"message_type": 1, "sender": {"id": 6, "name": "Helper", "type": "agent_bot"}}


def test_a_bots_conversation_begins_pending_and_opens_at_the_handoff(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.chat["reporting_events"] = []
    desk.chat["row"]["status"] = "open"
    desk.only(**BOT)
    desk.report("conversation_bot_handoff", T + 300, 7100)
    assert [e for e in pulled(chatwoot, Event) if e.kind == "handoff"] == [
        Event("report:7100", "1201", ms(T + 300), "handoff")
    ]
    assert statuses(chatwoot)[:2] == [("pending", 0, True), ("open", 300, True)]


def test_a_bots_conversation_without_a_handoff_stays_pending_until_it_is_done(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.only(**BOT)
    assert statuses(chatwoot) == [("pending", 0, True), ("done", 3600, False)]


def test_a_handoff_tells_of_a_bot_that_wrote_nothing(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.report("conversation_bot_handoff", T + 300)
    assert statuses(chatwoot) == [("pending", 0, True), ("open", 300, True), ("done", 3600, False)]


def test_a_bot_that_writes_after_a_human_did_not_begin_it(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.say(**BOT)
    assert statuses(chatwoot) == [("done", 3600, False)]


@pytest.mark.parametrize("status", ["open", "pending", "snoozed", "resolved", "brand_new"])
@pytest.mark.parametrize("reports", [(), ("resolved",), ("resolved", "opened"), ("resolved", "resolved"), None])
def test_the_last_event_agrees_with_the_snapshot(
    desk: Desk, chatwoot: Chatwoot, status: str, reports: tuple[str, ...] | None
) -> None:
    desk.chat["row"]["status"] = status
    desk.chat["reporting_events"] = []
    for number, name in enumerate(reports or ()):
        desk.report(f"conversation_{name}", T + 600 + 100 * number)
    if reports is None:
        desk.without.add("reporting_events")
    told = {"resolved": "done", "brand_new": "open"}.get(status, status)
    assert pulled(chatwoot, Conversation)[0].status == told
    assert statuses(chatwoot)[-1][0] == told


def test_the_same_history_read_twice_gives_the_same_events(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.say(created_at=T + 4000)
    desk.report("conversation_resolved", T + 5000)
    assert pulled(chatwoot, Event) == pulled(chatwoot, Event)


# --- the walk ----------------------------------------------------------------------------------------------------


def a_busy_desk(desk: Desk, count: int) -> None:
    for number in range(count):
        desk.another(2000 + number, T + MINUTE * number)


def test_the_first_pull_walks_all_pages(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    a_busy_desk(desk, 60)
    pages = stored.pull(chatwoot)
    assert len(stored.all(Conversation)) == 61
    assert pages[0].total == 61
    top = max(T + 3600, T + MINUTE * 59)
    assert stored.cursors["conversations"] == {"since": ms(top) - 600_000}


def test_the_list_is_asked_for_every_status_by_its_latest_activity(desk: Desk, chatwoot: Chatwoot) -> None:
    pulled(chatwoot, Conversation)
    (first, *_) = [asked for asked in desk.asked if asked.startswith("/conversations?")]
    assert first == "/conversations?status=all&assignee_type=all&sort_by=last_activity_at_desc&page=1"


def test_an_unchanged_second_pull_is_one_request_and_nothing_to_store(
    desk: Desk, chatwoot: Chatwoot, stored: Stored
) -> None:
    a_busy_desk(desk, 60)
    stored.pull(chatwoot)
    before = dict(stored.cursors)
    desk.asked.clear()
    pages = stored.pull(chatwoot)
    assert [page.records for page in pages] == [[]]
    assert len(desk.asked) == 1
    assert stored.cursors == before


def test_only_what_changed_is_read_again(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    a_busy_desk(desk, 60)
    stored.pull(chatwoot)
    desk.asked.clear()
    desk.chats[2005]["row"] |= {"last_activity_at": T + 9000, "updated_at": T + 9000.0}
    stored.pull(chatwoot)
    assert [a.split("?")[0] for a in desk.asked] == [
        "/conversations",
        "/conversations/2005/messages",
        "/conversations/2005/reporting_events",
    ]


def test_a_walk_that_broke_off_goes_on_at_its_page(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    a_busy_desk(desk, 60)
    stored.pull(chatwoot, most=1)
    assert stored.cursors["conversations"] == {"since": None, "top": ms(T + 3600), "page": 2, "total": 61}
    desk.asked.clear()
    stored.pull(chatwoot)
    assert len(stored.all(Conversation)) == 61
    assert "page=1&" not in "&".join(desk.asked) + "&"


def test_what_rises_during_a_walk_is_found_by_the_next(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    a_busy_desk(desk, 60)
    stored.pull(chatwoot, most=1)
    risen = desk.chats[2001]["row"]  # was to come last, is now above the page that comes next
    risen |= {"last_activity_at": T + 9000, "updated_at": T + 9000.5}
    stored.pull(chatwoot)
    assert (Conversation, "2001") not in stored.records
    stored.pull(chatwoot)
    assert stored.records[Conversation, "2001"].changed_at == ms(T + 9000) + 500


def test_a_conversation_deleted_during_a_walk_makes_it_skip_none(
    desk: Desk, chatwoot: Chatwoot, stored: Stored
) -> None:
    a_busy_desk(desk, 60)
    stored.pull(chatwoot, most=1)
    del desk.chats[2059]
    stored.pull(chatwoot)
    assert len(stored.all(Conversation)) == 61  # the deleted one, too: it was there when it was read


def test_the_same_page_twice_ends_the_walk_and_keeps_the_cursor(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    a_busy_desk(desk, 60)
    first = desk._conversations(1)
    desk._conversations = lambda page: first
    with pytest.raises(BadPayload, match="same page twice"):
        stored.pull(chatwoot)
    assert stored.cursors["conversations"]["page"] == 2
    assert len(stored.all(Conversation)) == 25


def test_a_page_out_of_order_does_not_end_the_walk_early(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    a_busy_desk(desk, 30)
    stored.pull(chatwoot)
    for number in range(40):
        desk.another(3000 + number, T + 50_000 + number)
    read = desk._conversations

    def muddled(page: int) -> Any:
        told = read(page)
        if page == 1:  # the newest last, and an old one at the very end
            told["data"]["payload"] = [*reversed(told["data"]["payload"]), desk.chats[2000]["row"]]
        return told

    desk._conversations = muddled
    stored.pull(chatwoot)
    assert len([c for c in stored.all(Conversation) if c.id.startswith("3")]) == 40


def test_a_label_on_a_quiet_conversation_is_seen_where_the_list_shows_it(
    desk: Desk, chatwoot: Chatwoot, stored: Stored
) -> None:
    a_busy_desk(desk, 20)
    stored.pull(chatwoot)
    desk.chats[2000]["row"] |= {"labels": ["vip"], "updated_at": T + 99_000.0}  # its activity stays as it was
    stored.pull(chatwoot)
    assert stored.records[Conversation, "2000"].tags == ("vip",)


def test_an_old_version_without_updated_at_reads_the_overlap_only(
    desk: Desk, chatwoot: Chatwoot, stored: Stored
) -> None:
    a_busy_desk(desk, 20)
    desk.chats[2000]["row"]["last_activity_at"] = T - 99_000
    for chat in desk.chats.values():
        del chat["row"]["updated_at"]
    stored.pull(chatwoot)
    assert {c.changed_at for c in stored.all(Conversation)} == {None}
    (page,) = stored.pull(chatwoot)
    assert [r.id for r in page.records if isinstance(r, Conversation)] == ["1201"]


def test_an_empty_account_is_no_error(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    desk.chats.clear()
    assert [page.records for page in stored.pull(chatwoot)] == [[]]
    desk.another(1300, T, meta={"channel": None})
    stored.pull(chatwoot)
    assert len(stored.all(Conversation)) == 1


@pytest.mark.parametrize("answer", [{"data": {"payload": None}}, {"payload": []}, [], "nonsense"])
def test_an_answer_without_its_list_stops_before_the_cursor_moves(
    desk: Desk, chatwoot: Chatwoot, stored: Stored, answer: Any
) -> None:
    desk._conversations = lambda page: answer
    with pytest.raises(BadPayload, match=r"no list at data\.payload"):
        stored.pull(chatwoot)
    assert stored.cursors == {}


# --- ratings -----------------------------------------------------------------------------------------------------


def test_the_survey_and_its_answer_are_one_rating(chatwoot: Chatwoot) -> None:
    assert pulled(chatwoot, Rating) == [Rating("41006", "1201", offered_at=ms(T + 3600))]
    answered = Rating("41006", "1201", answers=((ms(T + 7200), 4.0),), agent="4")
    assert pulled(chatwoot, Rating, "ratings") == [answered]


def many_ratings(desk: Desk, count: int, step: int = 86_400) -> None:
    some = desk.lists["ratings"][0]
    desk.lists["ratings"] += [
        {**some, "id": 60 + n, "message_id": 50_000 + n, "created_at": T + 8000 + step * n} for n in range(count)
    ]


def test_answers_of_the_last_fifteen_days_are_asked_for_with_both_ends(
    desk: Desk, chatwoot: Chatwoot, stored: Stored
) -> None:
    many_ratings(desk, 40)
    stored.pull(chatwoot, "ratings")
    assert len(stored.all(Rating)) == 41
    desk.asked.clear()
    newest = T + 8000 + 39 * 86_400
    stored.pull(chatwoot, "ratings")
    assert all(f"since={newest - 15 * 86_400}&until=4102444800" in asked for asked in desk.asked)


def test_unchanged_answers_are_not_handed_over_again(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    many_ratings(desk, 40)
    stored.pull(chatwoot, "ratings")
    before = dict(stored.cursors)
    assert [record for page in stored.pull(chatwoot, "ratings") for record in page.records] == []
    assert stored.cursors == before


def test_a_changed_answer_comes_after_the_first_one(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    stored.pull(chatwoot, "ratings")
    desk.lists["ratings"][0]["rating"] = 1
    stored.pull(chatwoot, "ratings")
    at = ms(T + 7200)
    assert stored.records[Rating, "41006"].answers == ((at, 4.0), (at + 1, 1.0))
    desk.lists["ratings"][0]["rating"] = 4
    stored.pull(chatwoot, "ratings")
    assert stored.records[Rating, "41006"].answers == ((at, 4.0), (at + 1, 1.0), (at + 2, 4.0))


def test_ratings_that_broke_off_begin_again(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    many_ratings(desk, 60)
    stored.pull(chatwoot, "ratings", most=1)
    assert stored.cursors == {}


def test_the_same_page_of_ratings_twice_ends_the_walk(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    desk._ratings = lambda query: desk.lists["ratings"]
    with pytest.raises(BadPayload, match="same page twice"):
        stored.pull(chatwoot, "ratings")


def test_a_version_without_ratings_has_none_to_read(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    desk.without.add("csat_survey_responses")
    assert [page.records for page in stored.pull(chatwoot, "ratings")] == [[]]
    assert stored.cursors["ratings"] == {"newest": 0, "known": {}}


# --- reread ------------------------------------------------------------------------------------------------------


def test_a_conversation_that_is_gone_is_an_event(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    pages = list(chatwoot.reread(["1201", "4711"], stored.seen))
    assert Event("4711:deleted", "4711", None, "deleted") in pages[0].records
    assert [record.id for record in pages[0].records if isinstance(record, Conversation)] == ["1201"]
    assert pages[0].cursor is None


def test_rereading_an_unchanged_conversation_costs_one_request(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    stored.pull(chatwoot)
    desk.asked.clear()
    assert [page.records for page in chatwoot.reread(["1201"], stored.seen)] == [[]]
    assert desk.asked == ["/conversations/1201"]


def test_rereading_finds_a_label_that_moved_nothing(desk: Desk, chatwoot: Chatwoot, stored: Stored) -> None:
    stored.pull(chatwoot)
    desk.chat["row"] |= {"labels": ["refund", "vip"], "updated_at": T + 9000.0}
    for page in chatwoot.reread(["1201"], stored.seen):
        stored.keep(page)
    assert stored.records[Conversation, "1201"].tags == ("refund", "vip")


# --- labels ------------------------------------------------------------------------------------------------------


def test_a_label_is_added_to_the_others_and_declared_once(desk: Desk, chatwoot: Chatwoot) -> None:
    assert chatwoot.add_tag("1201", "Deskpulse Slow!") == (("refund",), ("refund", "deskpulse-slow"))
    label = {"title": "deskpulse-slow", "color": "#1F93FF", "show_on_sidebar": True}
    assert desk.sent == [
        ("POST", "/labels", label),
        ("POST", "/conversations/1201/labels", {"labels": ["refund", "deskpulse-slow"]}),
    ]
    desk.chat["row"]["labels"] = ["refund"]
    chatwoot.add_tag("1201", "deskpulse-slow")
    assert [path for _, path, _ in desk.sent].count("/labels") == 1


def test_a_label_that_is_there_already_is_not_written(desk: Desk, chatwoot: Chatwoot) -> None:
    assert chatwoot.add_tag("1201", "refund") == (("refund",), ("refund",))
    assert chatwoot.remove_tag("1201", "vip") == (("refund",), ("refund",))
    assert desk.sent == []


def test_a_label_is_taken_back_without_the_others(desk: Desk, chatwoot: Chatwoot) -> None:
    chatwoot.add_tag("1201", "deskpulse-slow")
    assert chatwoot.remove_tag("1201", "deskpulse-slow") == (("refund", "deskpulse-slow"), ("refund",))


def test_a_label_of_somebody_elses_that_got_lost_is_told(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.on_labels = lambda titles: titles[-1:]
    with pytest.raises(Rejected, match=r"1201 has the tags deskpulse-slow, not deskpulse-slow, refund"):
        chatwoot.add_tag("1201", "deskpulse-slow")


def test_a_label_that_was_not_taken_away_is_told(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.on_labels = lambda titles: ["refund"]
    with pytest.raises(Rejected, match="has the tags refund, not none"):
        chatwoot.remove_tag("1201", "refund")


def test_a_label_that_somebody_adds_meanwhile_is_fine(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.on_labels = lambda titles: [*titles, "vip"]
    assert chatwoot.add_tag("1201", "deskpulse-slow").after == ("refund", "deskpulse-slow", "vip")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("Low Rating", "low-rating"), ("deskpulse-été", "deskpulse-été"), (" a/b ", "a-b"), ("a_b", "a_b")],
)
def test_a_name_of_ours_is_made_one_of_theirs(ours: str, theirs: str) -> None:
    assert Chatwoot.tag_name(ours) == theirs


# --- notes -------------------------------------------------------------------------------------------------------


def test_a_note_is_private_and_read_back(desk: Desk, chatwoot: Chatwoot) -> None:
    note = chatwoot.add_note("1201", "[deskpulse] waited 3 h")
    assert desk.sent[0][2] == {"content": "[deskpulse] waited 3 h", "message_type": "outgoing", "private": True}
    assert chatwoot.find_note("1201", "[deskpulse]  waited 3 h\n") == note
    assert chatwoot.find_note("1201", "[deskpulse] waited 4 h") is None


def test_a_note_that_did_not_come_back_as_private_is_told(desk: Desk, chatwoot: Chatwoot) -> None:
    write = desk.say
    desk.say = lambda **fields: write(**{**fields, "private": False})
    with pytest.raises(Rejected, match="not there as a private note"):
        chatwoot.add_note("1201", "[deskpulse] waited 3 h")


def test_a_note_is_found_however_long_the_conversation_is(desk: Desk, chatwoot: Chatwoot) -> None:
    note = chatwoot.add_note("1201", "[deskpulse] waited 3 h")
    for _ in range(120):
        desk.say()
    assert chatwoot.find_note("1201", "[deskpulse] waited 3 h") == note
    assert chatwoot.find_note("4711", "[deskpulse] waited 3 h") is None


def test_of_two_equal_notes_the_later_one_is_found(chatwoot: Chatwoot) -> None:
    chatwoot.add_note("1201", "[deskpulse] waited 3 h")
    later = chatwoot.add_note("1201", "[deskpulse] waited 3 h")
    assert chatwoot.find_note("1201", "[deskpulse] waited 3 h") == later


def test_our_note_is_removed_once(desk: Desk, chatwoot: Chatwoot) -> None:
    note = chatwoot.add_note("1201", "[deskpulse] waited 3 h")
    chatwoot.remove_note("1201", note)
    chatwoot.remove_note("1201", note)
    chatwoot.remove_note("1201", "99999")
    assert [method for method, _, _ in desk.sent] == ["POST", "DELETE"]
    assert chatwoot.find_note("1201", "[deskpulse] waited 3 h") is None


@pytest.mark.parametrize("message", ["41004", "41005"])
def test_what_is_not_our_note_is_never_deleted(desk: Desk, chatwoot: Chatwoot, message: str) -> None:
    with pytest.raises(Rejected, match="not a note of ours"):
        chatwoot.remove_note("1201", message)
    assert desk.sent == []


def test_the_source_has_one_place_that_writes_messages_and_it_writes_private_ones() -> None:
    tree = ast.parse((Path(__file__).parents[1] / "adapters" / "chatwoot.py").read_text("utf-8"))
    written = [
        ast.unparse(value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "private"
    ]
    assert written == ["True"]


# --- doctor ------------------------------------------------------------------------------------------------------


def findings(chatwoot: Chatwoot) -> dict[str, Finding]:
    return {finding.check: finding for finding in chatwoot.probe()}


def test_an_administrators_token_finds_everything(desk: Desk, chatwoot: Chatwoot) -> None:
    found = findings(chatwoot)
    assert [(name, one.ok) for name, one in found.items()] == [
        ("version", True),
        ("access", True),
        ("inboxes", True),
        ("reporting events", True),
        ("ratings", True),
    ]
    assert found["version"].detail == "4.7.0"
    assert found["inboxes"].detail == "Shop chat, Orders by phone number, Post"
    assert desk.sent == []


def test_an_agents_token_is_told_where_to_get_an_administrators(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.profile["accounts"][0]["role"] = "agent"
    found = findings(chatwoot)
    assert found["access"].ok is False
    assert found["access"].remedy == "Settings → Agents → edit the user → Role: Administrator"
    assert "inboxes" not in found


def test_a_token_of_another_account_is_told_so(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.profile["accounts"] = desk.profile["accounts"][1:]
    found = findings(chatwoot)["access"]
    assert (found.ok, found.detail) == (False, "the token's user is not in account 3")
    assert "services.chatwoot.account" in found.remedy


def test_an_old_version_is_told_which_figures_it_costs(desk: Desk, chatwoot: Chatwoot) -> None:
    desk.without |= {"reporting_events", "csat_survey_responses", "api"}
    found = findings(chatwoot)
    assert (found["reporting events"].ok, found["ratings"].ok, found["version"].ok) == (None, None, None)
    assert "reopen_rate" in found["reporting events"].detail
    assert "csat_mean" in found["ratings"].detail


# --- the gate ----------------------------------------------------------------------------------------------------


def asked(method: str, path: str, body: Any = None) -> httpx.Request:
    return httpx.Request(method, HOST + path, json=body)


NOTE = {"content": "[deskpulse] x", "message_type": "outgoing", "private": True}


@pytest.mark.parametrize(
    "request_",
    [
        asked("GET", "/api/v1/accounts/3/webhooks"),
        asked("PUT", "/api/v1/accounts/3/labels"),
        asked("GET", "/api/v1/accounts/3/conversations?updated_within=60"),
        asked("GET", "/api/v1/accounts/3/conversations?status=closed"),
        asked("POST", "/api/v1/accounts/3/conversations/1/messages", NOTE | {"private": False}),
        asked("POST", "/api/v1/accounts/3/conversations/1/messages", {"content": "x", "message_type": "outgoing"}),
        asked("POST", "/api/v1/accounts/3/conversations/1/messages", NOTE | {"template_params": {}}),
        asked("POST", "/api/v1/accounts/3/conversations/1/labels", {"labels": "vip"}),
        asked(
            "POST", "/api/v1/accounts/3/labels", {"title": "Low Rating", "color": "#1F93FF", "show_on_sidebar": True}
        ),
    ],
)
def test_the_gate_stops_what_the_table_does_not_have(request_: httpx.Request) -> None:
    gate = RequestGate(FIXTURE / "requests.json")
    gate.check(asked("POST", "/api/v1/accounts/3/conversations/1/messages", NOTE))
    with pytest.raises(NotAllowed):
        gate.check(request_)


def test_every_call_of_the_table_is_made_and_what_is_undocumented_is_known(
    desk: Desk, chatwoot: Chatwoot, stored: Stored
) -> None:
    for stream in chatwoot.streams:
        stored.pull(chatwoot, stream)
    list(chatwoot.reread(["1201"], stored.seen))
    chatwoot.add_tag("1201", "deskpulse-slow")
    chatwoot.remove_note("1201", chatwoot.add_note("1201", "[deskpulse] x"))
    list(chatwoot.probe())
    assert set(desk.gate.passed) == {(call["method"], call["path"]) for call in desk.gate.calls}
    assert desk.gate.undocumented() == {
        "/api": True,
        "/api/v1/accounts/{account}/conversations": ["sort_by"],
        "/api/v1/accounts/{account}/csat_survey_responses": True,
    }


# --- against the sandbox, over real HTTP -------------------------------------------------------------------------


def connected(sandbox: Sandbox) -> tuple[Chatwoot, HttpClient]:
    settings = ChatwootSettings(
        url=sandbox.url, account=sandbox.account, token=sandbox.token, requests_per_second=1_000_000
    )
    client = HttpClient(Chatwoot.service(settings), Clock(), name="chatwoot", demo=True)
    return Chatwoot(settings, client), client


@dataclass
class Swept:
    """The generated desk, pulled once and once more."""

    sandbox: Sandbox
    first: list[Page]
    second: list[Page]
    requests: int
    stored: Stored


@pytest.fixture(scope="module")
def swept() -> Iterator[Swept]:
    with Sandbox(generate(5)) as sandbox:
        adapter, client = connected(sandbox)
        with closing(client):
            stored = Stored()
            first = [page for stream in adapter.streams for page in stored.pull(adapter, stream)]
            requests = client.requests
            second = [page for stream in adapter.streams for page in stored.pull(adapter, stream)]
            yield Swept(sandbox, first, second, client.requests - requests, stored)


def test_the_whole_sandbox_arrives(swept: Swept) -> None:
    cases, stored = swept.sandbox.chatwoot.tables.cases, swept.stored
    assert [reject for page in swept.first for reject in page.rejects] == []
    assert {c.id for c in stored.all(Conversation)} == {str(number) for number in cases}
    assert len(stored.all(Message)) == sum(len(case.messages) for case in cases.values())
    assert sum(bool(rating.answers) for rating in stored.all(Rating)) == len(swept.sandbox.chatwoot.tables.ratings)
    assert {m.author for m in stored.all(Message)} >= {"customer", "human", "bot", "automation"}


def test_a_second_pull_of_the_sandbox_brings_nothing(swept: Swept) -> None:
    assert [record for page in swept.second for record in page.records] == []
    pages_of_answers = -(-len(swept.stored.cursors["ratings"]["known"]) // 25)
    assert swept.requests == 2 + 1 + 1 + pages_of_answers + 1  # the inboxes are known to this connection


def test_every_solve_of_the_sandbox_is_told_at_its_second(swept: Swept) -> None:
    events = swept.stored.all(Event)
    assert {(e.conversation, e.at) for e in events if e.value == "done" and not e.derived} == {
        (str(number), from_iso(event["event_end_time"]))
        for number, case in swept.sandbox.chatwoot.tables.cases.items()
        for event in case.events
        if event["name"] == "conversation_resolved"
    }


def test_every_snapshot_of_the_sandbox_agrees_with_its_events(swept: Swept) -> None:
    told = sorted((e for e in swept.stored.all(Event) if e.kind == "status"), key=lambda event: event.at)
    last = {event.conversation: event.value for event in told}
    assert [c for c in swept.stored.all(Conversation) if last.get(c.id) != c.status] == []


def test_what_is_written_into_the_sandbox_is_read_back_and_taken_back() -> None:
    with Sandbox(FIXTURE / "contract-world.jsonl") as sandbox:
        adapter, client = connected(sandbox)
        with closing(client):
            before = adapter.tags("1")
            assert adapter.add_tag("1", "deskpulse-slow") == (before, (*before, "deskpulse-slow"))
            assert adapter.remove_tag("1", "deskpulse-slow").after == before
            note = adapter.add_note("1", "[deskpulse] waited 3 h")
            assert adapter.find_note("1", "[deskpulse] waited 3 h") == note
            adapter.remove_note("1", note)
            assert adapter.find_note("1", "[deskpulse] waited 3 h") is None
            assert sandbox.violations == []
            assert all(finding.ok for finding in adapter.probe())
