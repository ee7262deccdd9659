"""The demo inbox over HTTP: documented shapes, paging, writes that can be read back, refusals, the command."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connector.models import from_iso, to_iso
from connector.sandbox import Sandbox, World
from connector.sandbox.generate import generate

ROOT = "/api/v1/accounts/1"

FEW = """
{"type": "inbox", "id": "mail", "name": "Mail", "channel": "email", "schedule": {"zone": "Europe/Paris", "hours": {"mon": ["09:00-12:00", "13:00-17:30"]}}}
{"type": "team", "id": "T", "name": "Support"}
{"type": "agent", "id": "robot", "name": "Robot", "bot": true}
{"id": "a", "inbox": "mail", "team": "T", "language": "fr", "tags": ["refund"], "messages": [{"id": 1, "at": "2026-03-02T10:00:00.200Z", "author": "customer", "author_id": "ada", "text": "Bonjour"}, {"id": 2, "at": "2026-03-02T10:00:00.900Z", "author": "agent", "author_id": "rob", "text": "Oui ?"}, {"id": 3, "at": "2026-03-02T10:01:00Z", "author": "agent", "author_id": "rob", "text": "vip", "private": true}], "events": [{"at": "2026-03-02T11:00:00Z", "kind": "status", "value": "done", "actor": "rob"}, {"at": "2026-03-02T12:00:00Z", "kind": "status", "value": "open"}], "ratings": [{"offered_at": "2026-03-02T11:00:05Z", "answers": [["2026-03-02T11:10:00Z", "bad"], ["2026-03-02T11:20:00Z", "good"]]}]}
{"id": "b", "channel": "x", "team": "Sales", "messages": [{"id": "m", "at": "2026-03-01T10:00:00Z", "author": "agent", "author_id": "robot", "text": "beep"}, {"id": "n", "at": "2026-03-01T10:00:05Z", "author": "automation", "author_id": "rule", "length": 7}]}
{"id": "b", "channel": "x", "messages": [{"id": "o", "at": "2026-03-01T11:00:00Z", "author": "customer", "text": "again"}]}
{"id": "gone", "messages": [{"id": "p", "at": "2026-03-01T12:00:00Z", "author": "customer"}], "events": [{"at": "2026-03-01T13:00:00Z", "kind": "deleted"}]}
{"type": "message", "conversation": "a", "id": 4, "at": "2026-03-02T12:00:00Z", "author": "customer", "author_id": "ada", "text": "Encore"}
"""  # noqa: E501 - a line is a record


@dataclass
class Client:
    """Talks to a sandbox as an adapter would; keeps its connection."""

    host: str
    token: str = Sandbox.token

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection(self.host, timeout=10)

    def close(self) -> None:
        self.connection.close()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        sent = {"api_access_token": self.token, **headers}
        self.connection.request(method, path, None if body is None else json.dumps(body), sent)
        response = self.connection.getresponse()
        raw = response.read()
        assert response.headers["X-Deskpulse-Sandbox"] == "1"
        kind = response.headers["Content-Type"]
        return response.status, json.loads(raw) if kind.startswith("application/json") else raw.decode()

    def get(self, path: str) -> Any:
        status, body = self.call("GET", ROOT + path if path[1:].split("/")[0] not in ("api", "sandbox") else path)
        assert status == 200, (path, body)
        return body

    def post(self, path: str, body: Any) -> Any:
        status, answer = self.call("POST", ROOT + path, body)
        assert status == 200, (path, answer)
        return answer

    def pages(self, path: str, dig: Callable[[Any], list[Any]] = list) -> list[list[Any]]:
        """Every page up to the first empty one."""
        found: list[list[Any]] = []
        while page := dig(self.get(f"{path}page={len(found) + 1}")):
            found.append(page)
            assert len(found) < 500
        return found


@pytest.fixture(scope="module")
def world() -> World:
    return generate(1)


@pytest.fixture
def few(tmp_path: Path) -> Path:
    file = tmp_path / "few.jsonl"
    file.write_text(FEW, "utf-8")
    return file


def served(source: World | Path) -> Iterator[tuple[Sandbox, Client]]:
    with Sandbox(source) as sandbox, closing(Client(sandbox.url.removeprefix("http://"))) as client:
        yield sandbox, client


@pytest.fixture(scope="module")
def desk(world: World) -> Iterator[Client]:
    """The generated desk, only read."""
    for _, client in served(world):
        yield client


@pytest.fixture
def small(few: Path) -> Iterator[tuple[Sandbox, Client]]:
    """A file's desk of four conversations, one of them deleted, to be written to."""
    yield from served(few)


def listed(body: Any) -> list[Any]:
    found: list[Any] = body["data"]["payload"]
    return found


# --- the shapes, as documented ---------------------------------------------------------------------------------------

CONVERSATION: dict[str, Any] = {
    "id": int, "uuid": str, "account_id": int, "inbox_id": int, "status": str, "created_at": int, "updated_at": float,
    "timestamp": int, "last_activity_at": int, "first_reply_created_at": int, "waiting_since": int,
    "agent_last_seen_at": int, "assignee_last_seen_at": int, "contact_last_seen_at": int, "snoozed_until": None,
    "priority": None, "unread_count": int, "can_reply": bool, "muted": bool, "labels": list, "custom_attributes": dict,
    "additional_attributes": dict, "sla_policy_id": None, "messages": list, "meta": dict,
}  # fmt: skip
MESSAGE: dict[str, Any] = {
    "id": int, "content": str, "inbox_id": int, "conversation_id": int, "message_type": int, "content_type": str,
    "status": str, "content_attributes": dict, "created_at": int, "private": bool, "source_id": None,
}  # fmt: skip
REPORT: dict[str, Any] = {
    "id": int, "name": str, "value": float, "value_in_business_hours": float, "event_start_time": str,
    "event_end_time": str, "account_id": int, "inbox_id": int, "conversation_id": int, "created_at": str,
    "updated_at": str,
}  # fmt: skip
SURVEY: dict[str, Any] = {
    "id": int, "rating": int, "feedback_message": str, "account_id": int, "message_id": int, "contact": dict,
    "conversation_id": int, "created_at": int,
}  # fmt: skip
INBOX: dict[str, Any] = {
    "id": int, "name": str, "channel_type": str, "working_hours_enabled": bool, "timezone": str, "working_hours": list,
    "csat_survey_enabled": bool, "greeting_enabled": bool,
}  # fmt: skip


def assert_shape(row: dict[str, Any], shape: dict[str, Any]) -> None:
    for key, kind in shape.items():
        assert key in row, key
        assert row[key] is None if kind is None else type(row[key]) is kind, (key, row[key])


def test_rows_have_the_documented_fields_and_types(desk: Client) -> None:
    page = listed(desk.get("/conversations?status=all"))
    for row in page:
        assert_shape(row, CONVERSATION)
        assert_shape(row["meta"], {"sender": dict, "channel": str, "hmac_verified": bool})
        for message in desk.get(f"/conversations/{row['id']}/messages?after=0")["payload"]:
            assert_shape(message, MESSAGE)
        for report in desk.get(f"/conversations/{row['id']}/reporting_events"):
            assert_shape(report, REPORT)
    for row in desk.get("/csat_survey_responses"):
        assert_shape(row, SURVEY)
    for row in desk.get("/inboxes")["payload"]:
        assert_shape(row, INBOX)
    assert_shape(desk.get("/agents")[0], {"id": int, "name": str, "email": str, "role": str})
    assert_shape(desk.get("/teams")[0], {"id": int, "name": str})
    assert_shape(desk.get("/contacts")["meta"], {"count": int, "current_page": str})


def test_one_read_and_a_list_show_the_same_conversation(desk: Client) -> None:
    row = listed(desk.get("/conversations?status=all&page=3"))[7]
    assert desk.get(f"/conversations/{row['id']}") == row
    assert len(row["messages"]) == 1


def test_internal_ids_in_reporting_events_are_not_the_ids_in_lists(desk: Client) -> None:
    assert desk.get("/conversations/1/reporting_events")[0]["conversation_id"] != 1


def test_the_version_needs_no_token_and_the_profile_is_an_administrators(desk: Client) -> None:
    assert desk.get("/api")["version"].startswith("4.")
    assert desk.get("/api/v1/profile")["accounts"] == [
        {"id": 1, "name": "Sandbox", "role": "administrator", "status": "active", "permissions": ["administrator"]}
    ]


# --- paging and order ------------------------------------------------------------------------------------------------


def test_paging_gives_every_conversation_once_and_ends_with_an_empty_page(desk: Client, world: World) -> None:
    pages = desk.pages("/conversations?status=all&assignee_type=all&sort_by=last_activity_at_desc&", listed)
    rows = [row for page in pages for row in page]
    assert {len(page) for page in pages[:-1]} == {25}
    assert sorted(row["id"] for row in rows) == list(range(1, len(world.conversations) + 1))
    assert [r["last_activity_at"] for r in rows] == sorted((r["last_activity_at"] for r in rows), reverse=True)


@pytest.mark.parametrize(("sort", "backwards"), [("created_at_asc", False), ("created_at_desc", True)])
def test_conversations_can_be_listed_by_creation(desk: Client, sort: str, backwards: bool) -> None:
    times = [row["created_at"] for row in listed(desk.get(f"/conversations?status=all&sort_by={sort}"))]
    assert times == sorted(times, reverse=backwards)


def test_unless_asked_otherwise_only_open_conversations_are_listed(desk: Client) -> None:
    assert {row["status"] for row in listed(desk.get("/conversations"))} == {"open"}
    assert {row["status"] for row in listed(desk.get("/conversations?status=pending"))} == {"pending"}


def test_undocumented_filters_change_nothing(desk: Client) -> None:
    assert desk.get("/conversations?status=all&updated_within=1") == desk.get("/conversations?status=all")


def test_messages_are_read_twenty_back_or_a_hundred_forward(tmp_path: Path) -> None:
    said = [{"id": n, "at": f"2026-03-02T10:{n // 60:02}:{n % 60:02}Z", "author": "customer"} for n in range(130)]
    file = tmp_path / "long.jsonl"
    file.write_text(json.dumps({"id": "long", "messages": said}), "utf-8")
    for _, client in served(file):
        path = "/conversations/1/messages"
        ids = [m["id"] for m in client.get(f"{path}?after=0")["payload"]]
        rest = [m["id"] for m in client.get(f"{path}?after={ids[-1]}")["payload"]]
        assert (len(ids), len(rest)) == (100, 30)
        assert ids + rest == sorted(ids + rest)
        assert [m["id"] for m in client.get(path)["payload"]] == (ids + rest)[-20:]
        assert [m["id"] for m in client.get(f"{path}?before={ids[30]}")["payload"]] == ids[10:30]
        assert client.get(f"{path}?after={rest[-1]}")["payload"] == []


def test_contacts_come_fifteen_at_a_time_and_ratings_by_time(desk: Client, world: World) -> None:
    pages = desk.pages("/contacts?", lambda body: list(body["payload"]))
    assert len(pages[0]) == 15
    assert sum(map(len, pages)) == desk.get("/contacts")["meta"]["count"] == len(world.contacts)
    ratings = [r for page in desk.pages("/csat_survey_responses?sort=created_at&") for r in page]
    assert [r["created_at"] for r in ratings] == sorted(r["created_at"] for r in ratings)
    middle = ratings[len(ratings) // 2]["created_at"]
    late = desk.pages(f"/csat_survey_responses?since={middle}&until=9999999999&")
    assert sum(map(len, late)) == sum(r["created_at"] >= middle for r in ratings)


# --- writing ---------------------------------------------------------------------------------------------------------


def test_labels_given_replace_the_whole_list(small: tuple[Sandbox, Client]) -> None:
    _, client = small
    before = client.get("/conversations/3")
    assert client.get("/conversations/3/labels") == {"payload": ["refund"]}
    assert client.post("/conversations/3/labels", {"labels": ["slow", "slow"]}) == {"payload": ["slow"]}
    assert client.get("/conversations/3/labels") == {"payload": ["slow"]}
    after_write = client.get("/conversations/3")
    assert after_write["labels"] == ["slow"]
    assert after_write["updated_at"] > before["updated_at"]
    assert after_write["last_activity_at"] == before["last_activity_at"]


def test_every_write_moves_updated_at_although_the_clock_stands_still(small: tuple[Sandbox, Client]) -> None:
    _, client = small
    seen = []
    for label in ("one", "two", "three"):
        client.post("/conversations/1/labels", {"labels": [label]})
        seen.append(client.get("/conversations/1")["updated_at"])
    assert len({round(at * 1000) for at in seen}) == 3
    assert seen == sorted(seen)


def test_a_new_label_is_listed_and_cannot_be_made_twice(small: tuple[Sandbox, Client]) -> None:
    _, client = small
    made = client.post("/labels", {"title": "Deskpulse-Slow", "color": "#FF0000", "show_on_sidebar": False})
    assert made == {
        "id": 2, "title": "deskpulse-slow", "description": "", "color": "#FF0000", "show_on_sidebar": False
    }  # fmt: skip
    assert client.get("/labels")["payload"][-1] == made
    assert client.call("POST", f"{ROOT}/labels", {"title": "deskpulse-slow"})[0] == 422
    assert client.call("POST", f"{ROOT}/labels", {"title": ""})[0] == 422


def test_a_private_note_can_be_read_back_and_taken_away(small: tuple[Sandbox, Client]) -> None:
    sandbox, client = small
    note = client.post(
        "/conversations/3/messages", {"content": "[deskpulse] slow", "message_type": "outgoing", "private": True}
    )
    assert_shape(note, MESSAGE)
    assert (note["private"], note["created_at"]) == (True, sandbox.now // 1000)
    assert client.get("/conversations/3/messages")["payload"][-1] == note
    assert client.get("/conversations/3")["last_activity_at"] == sandbox.now // 1000
    assert listed(client.get("/conversations?status=all"))[0]["id"] == 3
    assert client.call("DELETE", f"{ROOT}/conversations/3/messages/{note['id']}")[0] == 200
    gone = client.get("/conversations/3/messages")["payload"][-1]
    assert (gone["id"], gone["content_attributes"]) == (note["id"], {"deleted": True})
    assert "slow" not in gone["content"]
    assert sandbox.violations == []


def test_a_list_that_was_read_before_a_write_is_told_anew_after_it(small: tuple[Sandbox, Client]) -> None:
    _, client = small
    before = [row["id"] for row in listed(client.get("/conversations?status=all"))]
    client.post(f"/conversations/{before[-1]}/messages", {"content": "[deskpulse] slow", "private": True})
    assert [row["id"] for row in listed(client.get("/conversations?status=all"))] == [before[-1], *before[:-1]]


def test_a_message_to_a_customer_is_a_violation_that_shows(small: tuple[Sandbox, Client]) -> None:
    sandbox, client = small
    sent = client.post("/conversations/3/messages", {"content": "Dear customer"})
    assert sandbox.violations == [sent]
    assert client.get("/sandbox/violations")["violations"] == [sent]


def test_the_desk_says_which_labels_it_holds_now(small: tuple[Sandbox, Client]) -> None:
    sandbox, client = small
    client.post("/conversations/3/labels", {"labels": ["refund", "deskpulse-slow"]})
    assert list(sandbox.labels("deskpulse-")) == [("3 (a)", ["deskpulse-slow"])]


def test_the_world_can_go_on(small: tuple[Sandbox, Client]) -> None:
    sandbox, client = small
    sandbox.chatwoot.customer_says(1, "Still there?")
    row = client.get("/conversations/1")
    assert (row["status"], row["messages"][0]["content"]) == ("open", "Still there?")
    sandbox.chatwoot.remove(1)
    assert client.call("GET", f"{ROOT}/conversations/1")[0] == 404
    assert 1 not in [row["id"] for row in listed(client.get("/conversations?status=all"))]


# --- refusals --------------------------------------------------------------------------------------------------------


def test_without_the_right_token_nothing_is_shown(small: tuple[Sandbox, Client]) -> None:
    _, client = small
    for headers in ({"api_access_token": "wrong"}, {"api_access_token": ""}):
        for path in (f"{ROOT}/conversations", f"{ROOT}/agents", "/api/v1/profile", f"{ROOT}/conversations/1/labels"):
            assert client.call("GET", path, **headers) == (401, {"error": "Invalid Access Token"})
    assert client.call("GET", "/api/v1/accounts/2/conversations")[0] == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{ROOT}/conversations/999", 404),
        ("GET", f"{ROOT}/nothing", 404),
        ("POST", f"{ROOT}/conversations/1/toggle_status", 404),
        ("DELETE", f"{ROOT}/conversations/1/messages/1", 404),
        ("GET", f"{ROOT}/conversations?page=x", 400),
    ],
)
def test_what_is_not_there_is_refused_in_json(
    small: tuple[Sandbox, Client], method: str, path: str, status: int
) -> None:
    got, body = small[1].call(method, path)
    assert (got, list(body)) == (status, ["error"])


@pytest.mark.parametrize("body", [{"labels": "one"}, {"labels": [1]}, {}])
def test_labels_that_are_no_list_change_nothing(small: tuple[Sandbox, Client], body: Any) -> None:
    _, client = small
    assert client.call("POST", f"{ROOT}/conversations/3/labels", body)[0] == 422
    assert client.get("/conversations/3/labels") == {"payload": ["refund"]}


def test_a_web_page_under_another_name_gets_nothing(small: tuple[Sandbox, Client]) -> None:
    assert small[1].call("GET", "/", Host="evil.example:80")[0] == 403


# --- the team's chat -------------------------------------------------------------------------------------------------

HOOK = "/slack/webhook/demo"
BEARER = {"Authorization": f"Bearer {Sandbox.slack_token}"}


def text(words: str, kind: str = "mrkdwn") -> dict[str, str]:
    return {"type": kind, "text": words}


def test_a_webhook_takes_a_message_and_keeps_it(small: tuple[Sandbox, Client]) -> None:
    sandbox, client = small
    blocks = [{"type": "header", "text": text("Digest", "plain_text")}, {"type": "section", "text": text("*CSAT* 4.6")}]
    assert client.call("POST", HOOK, {"text": "Digest", "blocks": blocks}) == (200, "ok")
    (kept,) = client.get("/sandbox/slack")["messages"]
    assert (kept["via"], kept["text"], kept["blocks"]) == ("webhook", "Digest", blocks)
    assert sandbox.slack_webhook == sandbox.url + HOOK


def test_chat_post_message_answers_with_a_receipt(small: tuple[Sandbox, Client]) -> None:
    path = "/slack/api/chat.postMessage"
    status, first = small[1].call("POST", path, {"channel": "#support", "text": "one"}, **BEARER)
    assert (status, first["ok"], first["channel"]) == (200, True, "#support")
    _, second = small[1].call("POST", path, {"channel": "#support", "text": "two"}, **BEARER)
    assert second["ts"] > first["ts"]
    assert small[1].call("POST", path, {"text": "x"}, **BEARER)[1] == {"ok": False, "error": "channel_not_found"}
    assert small[1].call("POST", path, {"text": "x"}, Authorization="Bearer no")[1]["error"] == "invalid_auth"
    assert small[1].call("POST", path, {"text": "x"})[1]["error"] == "not_authed"


def test_a_wrong_webhook_is_refused(small: tuple[Sandbox, Client]) -> None:
    assert small[1].call("POST", "/slack/webhook/other", {"text": "x"}) == (403, "invalid_token")
    assert small[1].call("POST", HOOK, {}) == (400, "no_text")


LIMITS: dict[str, Callable[[int], list[Any]]] = {
    "section text": lambda n: [{"type": "section", "text": text("x" * (3000 + n))}],
    "header": lambda n: [{"type": "header", "text": text("x" * (150 + n), "plain_text")}],
    "field text": lambda n: [{"type": "section", "fields": [text("x" * (2000 + n))]}],
    "fields": lambda n: [{"type": "section", "fields": [text("x")] * (10 + n)}],
    "context": lambda n: [{"type": "context", "elements": [text("x")] * (10 + n)}],
    "blocks": lambda n: [{"type": "divider"}] * (50 + n),
    "rows": lambda n: [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]] * (100 + n)}],
    "columns": lambda n: [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * (20 + n)]}],
    "kind": lambda n: [{"type": "section" if n == 0 else "chart", "text": text("x")}],
}


@pytest.mark.parametrize("what", LIMITS)
def test_a_block_at_its_limit_is_taken_and_one_over_it_is_not(small: tuple[Sandbox, Client], what: str) -> None:
    _, client = small
    assert client.call("POST", HOOK, {"text": "x", "blocks": LIMITS[what](0)}) == (200, "ok")
    assert client.call("POST", HOOK, {"text": "x", "blocks": LIMITS[what](1)}) == (400, "invalid_blocks")
    body = {"channel": "#c", "text": "x", "blocks": LIMITS[what](1)}
    _, answer = client.call("POST", "/slack/api/chat.postMessage", body, **BEARER)
    assert answer == {"ok": False, "error": "invalid_blocks"}
    assert len(client.get("/sandbox/slack")["messages"]) == 1


def test_a_message_that_is_too_long_as_a_whole_is_refused(small: tuple[Sandbox, Client]) -> None:
    blocks = [{"type": "section", "text": text("x" * 3000)}] * 5
    assert small[1].call("POST", HOOK, {"blocks": blocks}) == (400, "msg_blocks_too_long")


# --- a file ----------------------------------------------------------------------------------------------------------


def test_a_file_becomes_conversations_in_order_of_creation(small: tuple[Sandbox, Client]) -> None:
    sandbox, client = small
    rows = listed(client.get("/conversations?status=all&sort_by=created_at_asc"))
    assert [row["custom_attributes"]["external_id"] for row in rows] == ["b", "b~2", "a"]
    assert [row["id"] for row in rows] == [1, 2, 3]
    assert sandbox.chatwoot.tables.ids["conversation"].numbers == {"b": 1, "b~2": 2, "a": 3}
    assert sandbox.chatwoot.tables.ids["conversation"].originals[3] == "a"


def test_what_the_service_would_have_forgotten_and_what_is_repeated_is_said(small: tuple[Sandbox, Client]) -> None:
    assert small[0].size == 3
    assert small[0].remarks == (
        "1 ids are repeated in the file; every line is served as its own conversation",
        "1 deleted or merged conversations are left out",
    )


def test_who_said_what_survives_the_dialect(small: tuple[Sandbox, Client]) -> None:
    bot, rule = small[1].get("/conversations/1/messages")["payload"]
    assert (bot["sender_type"], bot["sender"]["name"]) == ("AgentBot", "Robot")
    assert (rule["sender_type"], rule["content_attributes"], len(rule["content"])) == (
        None,
        {"automation_rule_id": 1},
        7,
    )
    said = small[1].get("/conversations/3/messages")["payload"]
    assert [(m["message_type"], m["sender_type"], m["private"]) for m in said if m["message_type"] != 2] == [
        (0, "Contact", False), (1, "User", False), (1, "User", True), (3, None, False), (0, "Contact", False)
    ]  # fmt: skip


def test_activity_is_written_in_the_customers_language(small: tuple[Sandbox, Client]) -> None:
    said = small[1].get("/conversations/3/messages")["payload"]
    assert [m["content"] for m in said if m["message_type"] == 2] == [
        "La conversation a été marquée comme résolue par rob",
        "La conversation a été rouverte par Système d'automatisation",
    ]


def test_history_is_told_as_reporting_events(small: tuple[Sandbox, Client]) -> None:
    told = small[1].get("/conversations/3/reporting_events")
    assert [(e["name"], e["value"], e["event_end_time"]) for e in told] == [
        ("first_response", 1.0, "2026-03-02T10:00:01.000Z"),
        ("conversation_resolved", 3600.0, "2026-03-02T11:00:00.000Z"),
        ("conversation_opened", 3600.0, "2026-03-02T12:00:00.000Z"),
    ]
    assert told[0]["value_in_business_hours"] == 1.0
    assert told[1]["value_in_business_hours"] == 3600.0
    assert told[2]["value_in_business_hours"] == 0.0, "12:00 to 13:00 in Paris is the lunch break"


def test_a_wait_begins_with_the_first_question_and_a_bot_that_handed_over_resolved_nothing(tmp_path: Path) -> None:
    def at(minute: int) -> str:
        return f"2026-03-02T10:{minute:02}:00Z"

    said = [("customer", 0), ("bot", 1), ("agent", 10), ("customer", 20), ("customer", 25), ("agent", 30)]
    messages = [{"id": n, "at": at(minute), "author": who} for n, (who, minute) in enumerate(said)]
    done = {"at": at(40), "kind": "status", "value": "done"}
    records = [
        {"id": "talk", "messages": messages},
        {"id": "bot", "messages": messages[:2], "events": [done]},
        {"id": "both", "messages": messages[:2], "events": [{"at": at(5), "kind": "handoff"}, done]},
    ]
    file = tmp_path / "waits.jsonl"
    file.write_text("\n".join(map(json.dumps, records)), "utf-8")
    told = [[(e["name"], e["value"]) for e in case.events] for case in Sandbox(file).chatwoot.tables.cases.values()]
    assert told == [
        [("first_response", 600.0), ("reply_time", 600.0)],
        [("conversation_resolved", 2400.0), ("conversation_bot_resolved", 2400.0)],
        [("conversation_bot_handoff", 300.0), ("conversation_resolved", 2400.0)],
    ]


def test_a_changed_rating_is_one_row_with_the_latest_score_at_the_first_time(small: tuple[Sandbox, Client]) -> None:
    (rating,) = small[1].get("/csat_survey_responses")
    assert (rating["rating"], rating["conversation_id"]) == (5, 3)
    assert rating["created_at"] * 1000 == from_iso("2026-03-02T11:10:00Z")
    survey = [m for m in small[1].get("/conversations/3/messages")["payload"] if m["content_type"] == "input_csat"]
    assert [m["id"] for m in survey] == [rating["message_id"]]
    assert survey[0]["content_attributes"]["submitted_values"]["csat_survey_response"]["rating"] == 5


def test_hours_with_a_lunch_break_and_hours_that_are_not_in_force(small: tuple[Sandbox, Client]) -> None:
    mail, other = small[1].get("/inboxes")["payload"][:2]
    monday = [h for h in mail["working_hours"] if h["day_of_week"] == 1]
    assert [(h["open_hour"], h["close_hour"], h["close_minutes"]) for h in monday] == [(9, 12, 0), (13, 17, 30)]
    assert [h["day_of_week"] for h in mail["working_hours"] if h["closed_all_day"]] == [0, 2, 3, 4, 5, 6]
    assert (mail["working_hours_enabled"], mail["timezone"]) == (True, "Europe/Paris")
    assert other["working_hours_enabled"] is False


def test_now_is_the_morning_after_the_last_thing_that_happened(small: tuple[Sandbox, Client]) -> None:
    assert to_iso(small[0].now) == "2026-03-03T07:00:00.000Z"


# --- the server and the command --------------------------------------------------------------------------------------


def test_requests_are_counted_by_method_and_path(small: tuple[Sandbox, Client]) -> None:
    _, client = small
    client.get("/agents")
    client.get("/agents?x=1")
    client.post("/conversations/1/labels", {"labels": []})
    assert client.get("/sandbox/requests") == {f"GET {ROOT}/agents": 2, f"POST {ROOT}/conversations/1/labels": 1}


def test_a_stopped_desk_hangs_up_and_can_be_stopped_again(few: Path) -> None:
    sandbox = Sandbox(few).start()
    with closing(Client(sandbox.url.removeprefix("http://"))) as client:
        client.get("/agents")
        sandbox.stop()
        sandbox.stop()
        with pytest.raises((http.client.HTTPException, OSError)):
            client.get("/agents")


def test_a_desk_that_was_bound_and_never_served_can_be_stopped(few: Path) -> None:
    Sandbox(few).bind().stop()


def command(*arguments: str) -> subprocess.Popen[str]:
    program = [sys.executable, "-c", "from connector.cli import main; main()", "sandbox", *arguments]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_command_says_demo_serves_and_ends_cleanly_on_sigterm(few: Path) -> None:
    with command("--port", "0", "--conversations", str(few)) as process:
        assert process.stdout is not None
        printed = process.stdout.readline()
        address = printed.split("http://")[1].split(",")[0]
        with closing(Client(address)) as client:
            assert len(listed(client.get("/conversations?status=all"))) == 3
        process.send_signal(signal.SIGTERM)
        # Not communicate(): it reads past what readline() has taken into its buffer already.
        rest, errors = process.stdout.read(), process.stderr.read() if process.stderr else "?"
        process.wait(timeout=10)
    assert "demo data" in printed
    assert (process.returncode, errors) == (0, "")
    assert "[services." in rest
    assert "stopped after 1 requests" in rest


def test_the_command_complains_when_a_customer_would_have_been_written_to(few: Path) -> None:
    with command("--port", "0", "--conversations", str(few)) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split("http://")[1].split(",")[0]
        with closing(Client(address)) as client:
            client.post("/conversations/1/messages", {"content": "Hello"})
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "would have reached a customer" in errors


def test_a_port_that_is_taken_is_one_sentence_and_exit_1(few: Path) -> None:
    with Sandbox(few) as sandbox:
        port = sandbox.url.rsplit(":", 1)[1]
        with command("--port", port, "--conversations", str(few)) as process:
            printed, errors = process.communicate(timeout=10)
    assert (process.returncode, printed) == (1, "")
    assert f"port {port}" in errors
    assert errors.count("\n") == 1


def test_a_bad_file_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with command("--conversations", str(tmp_path / "bad.jsonl")) as process:
        printed, errors = process.communicate(timeout=10)
    assert (process.returncode, printed) == (2, "")
    assert "bad.jsonl line 1: id is missing" in errors
    assert errors.count("\n") == 1
