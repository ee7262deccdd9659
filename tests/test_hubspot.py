"""The HubSpot adapter, through the real client, against a small account that answers as HubSpot does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract_case import StandingClock
from pydantic import ValidationError

import adapters.hubspot
from adapters.hubspot import Hubspot, HubspotSettings
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
    Message,
    Page,
    Rating,
    Reject,
    Team,
    from_iso,
)
from connector.store.write import Store

Row = dict[str, Any]
THREADS, CRM = "/conversations/v3/conversations/threads", "/crm/v3/objects"
MS = from_iso("2026-03-03T09:00:00Z")
MINUTE = 60_000
TOKEN = "pat-eu1-canary"
SCOPES = ["oauth", *adapters.hubspot.READS, "conversations.write"]
SURVEY_FIELDS = ["hs_survey_type", "hs_value", "hs_survey_id", "hs_submission_timestamp", "hs_lastmodifieddate"]


def iso(at: int) -> str:
    return datetime.fromtimestamp((MS + at) / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def thread(
    number: str = "7001", *, at: int = 0, latest: int = 7 * MINUTE, ticket: str | None = None, **more: Any
) -> Row:
    ties = {"threadAssociations": {"associatedTicketId": ticket}} if ticket else {}
    stamps = {"createdAt": iso(at), "latestMessageTimestamp": iso(latest), "closedAt": None}
    place = {"inboxId": "55", "originalChannelId": "1002", "associatedContactId": "301", "assignedTo": None}
    return {"id": number, "status": "OPEN", "spam": False, "archived": False, **stamps, **place, **ties, **more}


def said(number: str, kind: str, at: int, actor: str, *, client: str = "HUBSPOT", **more: Any) -> Row:
    told = {"id": number, "type": kind, "createdAt": iso(at), "createdBy": actor, "client": {"clientType": client}}
    return {**told, "senders": [{"actorId": actor}], "recipients": [], "archived": False, **more}


def asks(number: str, at: int, text: str = "Hello?", actor: str = "V-301") -> Row:
    return said(number, "MESSAGE", at, actor, text=text, direction="INCOMING", status={"statusType": "RECEIVED"})


def says(number: str, at: int, actor: str = "A-987", text: str = "Yes.", **more: Any) -> Row:
    return said(
        number, "MESSAGE", at, actor, text=text, direction="OUTGOING", **{"status": {"statusType": "SENT"}} | more
    )


def turns(number: str, at: int, to: str, actor: str = "A-987") -> Row:
    return said(number, "THREAD_STATUS_CHANGE", at, actor, newStatus=to)


def ticket(number: str = "77", at: int = 0, *, thread: str | None = "7001", stage: str = "1", **more: Any) -> Row:
    history = more.pop("history", [])
    told = {
        "hs_lastmodifieddate": iso(at),
        "hs_conversations_originating_thread_id": thread,
        "hs_pipeline_stage": stage,
    }
    fields = {"hubspot_owner_id": None, "hubspot_team_id": None, "closed_date": None, "deskpulse_tags": None}
    return {
        "id": number,
        "properties": {**fields, **told, "hs_merged_object_ids": None, **more},
        "propertiesWithHistory": {"hs_pipeline_stage": [{"value": v, "timestamp": iso(t)} for v, t in history]},
        "updatedAt": iso(at),
        "archived": False,
    }


def answer(number: str, at: int, value: str | None, kind: str = "CSAT", **more: Any) -> Row:
    told = {"hs_survey_type": kind, "hs_value": value, "hs_survey_id": "12", "hs_lastmodifieddate": iso(at)}
    return {"id": number, "properties": {**told, "hs_submission_timestamp": str(MS + at), **more}, "updatedAt": iso(at)}


class Account:
    """HubSpot's side. ``asked`` holds what it was asked; a test changes the rest."""

    def __init__(self) -> None:
        self.threads: dict[str, Row] = {}
        self.said: dict[str, list[Row]] = {}
        self.rows: dict[str, list[Row]] = {"tickets": [], "feedback_submissions": []}
        self.merged: list[Row] = []
        self.tied: dict[str, str] = {}
        self.options = ["vip", "deskpulse-slow"]
        self.field_type = "checkbox"
        self.scopes = list(SCOPES)
        self.refused: dict[str, int] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.page_size = 100
        self.cap = 10_000
        self.after_search: Callable[[], None] = lambda: None
        self.kept_as = "COMMENT"
        self.write: Callable[[list[str], str], list[str]] = appended
        self.lists: dict[str, Any] = {
            "/conversations/v3/conversations/inboxes": [
                {"id": "55", "name": "Questions", "type": "INBOX"},
                {"id": "56", "name": "Desk", "type": "HELP_DESK"},
            ],
            "/conversations/v3/conversations/channels": [
                {"id": "1002", "name": "EMAIL"},
                {"id": "900200", "name": "Our WhatsApp line"},
                {"id": "900100", "name": "Pigeons"},
            ],
            "/crm/v3/pipelines/tickets": [
                {"stages": [{"id": "1", "metadata": {"ticketState": "OPEN"}}, {"id": "2", "metadata": {}}]},
                {"stages": [{"id": "4", "metadata": {"ticketState": "CLOSED"}}]},
            ],
            "/crm/v3/properties/feedback_submissions": [{"name": name} for name in SURVEY_FIELDS],
        }
        self.owners = [{"id": "41", "userId": 987, "firstName": "Noor", "teams": [{"id": "31", "name": "Orders"}]}]

    def hold(self, row: Row, *messages: Row) -> None:
        self.threads[row["id"]] = row
        self.said[row["id"]] = list(messages)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        path, body = request.url.path, json.loads(request.content or b"null")
        self.asked.append((request.method, path, body))
        status = next((status for pattern, status in self.refused.items() if re.fullmatch(pattern, path)), 200)
        if status != 200:
            return httpx.Response(status, json={"status": "error", "category": "MISSING_SCOPES"})
        found = self._read(path, request.url.params) if request.method == "GET" else self._told(path, body, request)
        limits = {"X-HubSpot-RateLimit-Max": "100", "X-HubSpot-RateLimit-Interval-Milliseconds": "10000"}
        if found == 400:
            return httpx.Response(400, json={"status": "error", "message": "too many rows"})
        return httpx.Response(404 if found is None else 200, json=found or {"status": "error"}, headers=limits)

    def _read(self, path: str, query: httpx.QueryParams) -> Any:
        if path in self.lists:
            return {"results": self.lists[path]}
        if path == "/crm/v3/owners":
            return {"results": self.owners if query["archived"] == "false" else []}
        if path == "/account-info/v3/details":
            return {"portalId": 4242, "timeZone": "Europe/Amsterdam"}
        if path == "/crm/v3/properties/tickets/deskpulse_tags":
            return {"fieldType": self.field_type, "options": [{"value": one} for one in self.options]}
        if path == f"{CRM}/tickets":
            return {"results": []}
        if found := re.fullmatch(rf"{CRM}/tickets/(\d+)", path):
            return next((row for row in self.rows["tickets"] if row["id"] == found[1]), None)
        if found := re.fullmatch(rf"{THREADS}/(\d+)/messages", path):
            return self._paged(self.said[found[1]], query) if found[1] in self.said else None
        if found := re.fullmatch(rf"{THREADS}/(\d+)", path):
            row = self.threads.get(found[1])
            return row if row and not row["archived"] else None
        return self._listed(query) if path == THREADS else None

    def _listed(self, query: httpx.QueryParams) -> Any:
        gone = query.get("archived") == "true"
        since = from_iso(query["latestMessageTimestampAfter"]) if "sort" in query else 0
        chosen = [row for row in self.threads.values() if row["archived"] == gone]
        chosen = [row for row in chosen if from_iso(row["latestMessageTimestamp"]) > since]
        return self._paged(sorted(chosen, key=lambda row: (row["latestMessageTimestamp"], row["id"])), query)

    def _paged(self, rows: list[Row], query: httpx.QueryParams) -> Any:
        start = int(query.get("after", 0))
        size = min(self.page_size, int(query["limit"]))
        more = {"paging": {"next": {"after": str(start + size)}}} if len(rows) > start + size else {}
        return {"results": rows[start : start + size], **more}

    def _told(self, path: str, body: Any, request: httpx.Request) -> Any:
        if found := re.fullmatch(rf"{CRM}/(\w+)/search", path):
            return self._search(found[1], body)
        if path == f"{CRM}/tickets/batch/read":
            assert len(body["inputs"]) <= 50, "with history no more than 50 at once"
            rows = self.merged if request.url.params.get("archived") == "true" else self.rows["tickets"]
            wanted = {one["id"] for one in body["inputs"]}
            return {"status": "COMPLETE", "results": [row for row in rows if row["id"] in wanted]}
        if path == "/crm/v4/associations/feedback_submissions/tickets/batch/read":
            tied = [(one["id"], self.tied.get(one["id"])) for one in body["inputs"]]
            return {"results": [{"from": {"id": a}, "to": [{"toObjectId": int(b)}]} for a, b in tied if b]}
        if path == "/oauth/v2/private-apps/get/access-token-info":
            assert body == {"tokenKey": TOKEN}
            return {"hubId": 4242, "scopes": self.scopes}
        return self._write(request.method, path, body)

    def _search(self, kind: str, body: Any) -> Any:
        (one,) = body["filterGroups"][0]["filters"]
        assert (one["propertyName"], one["operator"]) == ("hs_lastmodifieddate", "GTE")
        assert re.fullmatch(r"\d{12,13}", one["value"]), "a filter by time wants epoch milliseconds, as text"
        start, size = int(body.get("after", 0)), body["limit"]
        if size > 200 or start + size > self.cap:
            return 400
        time = lambda row: from_iso(row["properties"]["hs_lastmodifieddate"])  # noqa: E731 - short and used twice
        rows = sorted((row for row in self.rows[kind] if time(row) >= int(one["value"])), key=time)
        rows = rows[::-1] if body["sorts"][0]["direction"] == "DESCENDING" else rows
        more = {"paging": {"next": {"after": str(start + size)}}} if len(rows) > start + size else {}
        told = json.loads(json.dumps({"total": len(rows), "results": rows[start : start + size], **more}))
        self.after_search()
        return told

    def _write(self, method: str, path: str, body: Any) -> Any:
        if found := re.fullmatch(rf"{THREADS}/(\d+)/messages", path):
            assert method == "POST"
            kept = said(f"c{len(self.said[found[1]])}", self.kept_as, 99 * MINUTE, "I-4242", text=body["text"])
            self.said[found[1]].append(kept)
            return kept
        assert method == "PATCH"
        row = next(row for row in self.rows["tickets"] if path == f"{CRM}/tickets/{row['id']}")
        before = [one for one in (row["properties"]["deskpulse_tags"] or "").split(";") if one]
        row["properties"]["deskpulse_tags"] = ";".join(self.write(before, body["properties"]["deskpulse_tags"]))
        return row

    def paths(self, pattern: str) -> list[str]:
        return [path for _, path, _ in self.asked if re.fullmatch(pattern, path)]

    def writes(self) -> list[tuple[str, str, Any]]:
        return [one for one in self.asked if one[0] != "GET" and not re.search(r"/(search|read)$", one[1])]


def appended(before: list[str], value: str) -> list[str]:
    """As HubSpot does with checkboxes: a leading semicolon adds, anything else replaces."""
    new = [one for one in value.split(";") if one]
    return [*before, *new] if value.startswith(";") else new


def adapter(account: Account, **settings: Any) -> Hubspot:
    chosen = HubspotSettings(**{"token": TOKEN, **settings})
    transport = httpx.MockTransport(account)
    return Hubspot(
        chosen, HttpClient(Hubspot.service(chosen), StandingClock(), name="hubspot", demo=False, transport=transport)
    )


def never(conversation: str, changed_at: int | None) -> bool:
    return False


def pages(account: Account, stream: str, cursor: Any = None, **settings: Any) -> list[Page]:
    return list(adapter(account, **settings).pull(stream, cursor, never))


def told(account: Account, kind: type[Any], stream: str = "conversations", cursor: Any = None) -> list[Any]:
    return [one for page in pages(account, stream, cursor) for one in page.records if isinstance(one, kind)]


def events(account: Account, kind: str) -> list[tuple[Any, ...]]:
    found = [one for one in told(account, Event) if one.kind == kind]
    return [(one.at and (one.at - MS) // MINUTE, one.value, one.actor) for one in found]


# --- pull: threads ---------------------------------------------------------------------------------------------------


def test_it_can_all_that_an_inbox_can() -> None:
    one = adapter(Account())
    assert all(isinstance(one, protocol) for protocol in (Pulls, Rereads, Tags, Notes, Probes))


def test_a_thread_comes_with_its_messages_contact_and_link() -> None:
    account = Account()
    account.hold(thread(assignedTo="A-987"), asks("m1", 0), says("m2", 7 * MINUTE))
    (row,) = told(account, Conversation)
    assert row._replace(changed_at=None) == Conversation(
        "7001", MS, "open", inbox="55", channel="1002", contact="301", agent="A-987",
        link="https://app.hubspot.com/live-messages/4242/inbox/7001",
    )  # fmt: skip
    first, second = told(account, Message)
    assert first == Message("m1", "7001", MS, "customer", "301", length=6, body="Hello?")
    assert (second.author, second.author_id, second.public) == ("human", "A-987", True)
    assert told(account, Contact) == [Contact("301")]


def test_who_wrote_is_told_by_the_actor_and_by_what_wrote_in_its_name() -> None:
    account = Account()
    actors = ["A-987", "B-5", "L-6", "I-4242", "S-hubspot", "E-x@example.com", "Q-1"]
    account.hold(thread(), *(says(f"m{n}", n, actor) for n, actor in enumerate(actors)))
    account.said["7001"] += [
        says("app", 50, client="INTEGRATION"),
        asks("mail", 60, actor="E-ada@example.com"),
    ]
    account.said["7001"] += [said("hi", "WELCOME_MESSAGE", 70, "A-987", text="Welcome")]
    authors = [one.author for one in told(account, Message)]
    people = ["human", "bot", "bot", "integration", "automation", "unknown", "unknown"]
    assert authors == [*people, "integration", "customer", "automation"]
    assert told(account, Agent) == [Agent("B-5", "B-5", "bot"), Agent("L-6", "L-6", "bot")]
    assert told(account, Message)[-2].author_id == "301"


def test_a_comment_is_a_note_and_a_reply_that_failed_never_reached_the_customer() -> None:
    account = Account()
    own = said("c2", "COMMENT", 2, "I-4242", text="[deskpulse] slow")
    failed = says("m3", 3, status={"statusType": "FAILED"})
    account.hold(thread(), said("c1", "COMMENT", 1, "A-987", text="look"), own, failed)
    found = [(one.kind, one.public, one.own) for one in told(account, Message)]
    assert found == [("note", False, False), ("note", False, True), ("message", False, False)]


def test_assignments_and_statuses_are_read_from_the_stream_of_messages() -> None:
    account = Account()
    given = said("e1", "ASSIGNMENT", MINUTE, "S-hubspot", assignedTo="B-5")
    handed = said("e2", "ASSIGNMENT", 2 * MINUTE, "B-5", assignedFrom="B-5", assignedTo="A-987")
    moved = said("e3", "THREAD_INBOX_CHANGE", 3 * MINUTE, "A-987", fromInboxId="55", toInboxId="57")
    closed = turns("e4", 9 * MINUTE, "CLOSED")
    account.hold(thread(status="CLOSED", closedAt=iso(9 * MINUTE)), closed, moved, handed, given, asks("m1", 0))
    assert events(account, "assigned") == [(1, "B-5", None), (2, "A-987", "B-5")]
    assert events(account, "handoff") == [(2, None, None)]
    assert events(account, "status") == [(9, "done", "A-987")]
    assert [one.id for one in told(account, Message)] == ["m1"]


def test_a_chat_that_a_bot_ends_alone_is_closed_by_the_bot() -> None:
    account = Account()
    account.hold(thread(status="CLOSED"), asks("m1", 0), says("m2", 1, "B-5"), turns("e1", MINUTE, "CLOSED", "B-5"))
    assert events(account, "status") == [(1, "done", "B-5")]


def test_a_new_message_reopens_and_a_closing_time_left_over_says_nothing() -> None:
    account = Account()
    story = [asks("m1", 0), turns("e1", 5 * MINUTE, "CLOSED"), asks("m2", 20 * MINUTE)]
    account.hold(thread(latest=20 * MINUTE, closedAt=iso(5 * MINUTE)), *story)
    assert events(account, "status") == [(5, "done", "A-987"), (20, "open", None)]
    assert told(account, Conversation)[0].status == "open"
    account.threads["7001"]["status"] = "CLOSED"  # and closed again, though the stream does not say so
    assert events(account, "status")[-1] == (20, "done", None)


def test_spam_is_told_and_kept_apart() -> None:
    account = Account()
    account.hold(thread(spam=True), asks("m1", 0))
    assert events(account, "spam") == [(None, None, None)]


def test_long_threads_are_read_to_their_end_in_any_order_and_each_message_once() -> None:
    account = Account()
    account.page_size = 3
    many = [asks(f"m{n:02}", n) for n in range(8)]
    account.hold(thread(), *many[::-1], many[0])
    assert [one.id for one in told(account, Message)] == [f"m{n:02}" for n in range(8)]


def test_a_list_that_never_ends_is_noticed() -> None:
    account = Account()
    account._paged = lambda rows, query: {"results": rows, "paging": {"next": {"after": "x"}}}  # type: ignore[method-assign]  # the same page for ever
    account.hold(thread(), asks("m1", 0))
    with pytest.raises(BadPayload, match="twice"):
        pages(account, "removals")


def test_pages_move_the_cursor_and_an_unchanged_closed_thread_costs_no_call() -> None:
    account = Account()
    account.page_size = 2
    for n in range(5):
        closed = {"status": "CLOSED", "closedAt": iso(n * MINUTE + 1)}
        account.hold(thread(str(7000 + n), latest=n * MINUTE, **closed), asks(f"m{n}", n * MINUTE))
    found = pages(account, "conversations")
    assert [(page.cursor or {})["since"] - MS for page in found] == [MINUTE, 3 * MINUTE, 4 * MINUTE, 4 * MINUTE]
    known = {one.id: one.changed_at for page in found for one in page.records if isinstance(one, Conversation)}
    account.asked.clear()
    again = list(adapter(account).pull("conversations", found[-1].cursor, lambda one, at: known.get(one) == at))
    assert not [record for page in again for record in page.records]
    assert not account.paths(rf"{THREADS}/\d+/messages")


def test_a_list_in_another_order_moves_the_cursor_at_its_end_only() -> None:
    account = Account()
    account._listed = lambda query: {  # type: ignore[method-assign]  # newest first, against its description
        "results": [thread("7002", latest=9 * MINUTE), thread("7001")]
    }
    account.said = {"7001": [], "7002": []}
    assert [page.cursor for page in pages(account, "conversations")] == [None, {"since": MS + 9 * MINUTE}]


CLOSED = {"status": "CLOSED", "closedAt": iso(9 * MINUTE)}


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ({}, CLOSED),
        ({}, {"assignedTo": "A-1"}),
        (CLOSED, {"status": "OPEN"}),
        (CLOSED, {"status": "OPEN", "closedAt": None}),
        (CLOSED, {"closedAt": iso(10 * MINUTE)}),
        (CLOSED, {"spam": True}),
    ],
)
def test_what_no_message_tells_is_read_and_stored_all_the_same(tmp_path: Path, before: Row, change: Row) -> None:
    """Also where the thread looks older than before: a version that goes back would not be stored."""
    account = Account()
    account.hold(thread(**before), asks("m1", 0))
    with Store.open(tmp_path / "x.db", demo=False) as store:
        source = store.source("hubspot", "hubspot")

        def look() -> list[Any]:
            seen = partial(store.seen, source)
            found = list(adapter(account).reread(["7001"], seen))
            store.save(source, "reread", found, seen_at=MS + 60 * MINUTE, history=Hubspot.history)
            return [one for page in found for one in page.records]

        assert look()
        account.threads["7001"] |= change
        (row,) = [one for one in look() if isinstance(one, Conversation)]
        stored = store.conn.execute("SELECT status, changed_at FROM conversations").fetchone()
    assert tuple(stored) == (row.status, row.changed_at)
    assert row.status == ("done" if account.threads["7001"]["status"] == "CLOSED" else "open")


def test_reread_tells_what_is_gone_or_deleted_and_skips_the_unchanged() -> None:
    account = Account()
    account.hold(thread(**CLOSED), asks("m1", 0))
    account.hold(thread("7002", archived=True))
    (page,) = adapter(account).reread(["7001", "7002", "404"], lambda one, _: one == "7001")
    assert [(one.conversation, one.kind, one.at) for one in page.records if isinstance(one, Event)] == [
        ("7002", "deleted", None),
        ("404", "deleted", None),
    ]
    assert len(page.records) == 2


def test_a_deleted_thread_is_told_once_and_what_was_deleted_before_we_came_never() -> None:
    account = Account()
    account.hold(thread("7000", archived=True))
    account.hold(thread())
    (first,) = pages(account, "removals")
    assert first.records == []
    account.threads["7001"]["archived"] = True
    (second,) = pages(account, "removals", first.cursor)
    assert second.records == [Event("7001:deleted", "7001", None, "deleted")]
    assert pages(account, "removals", second.cursor)[0].records == []


# --- pull: tickets ---------------------------------------------------------------------------------------------------


def test_a_closing_that_moves_no_thread_in_its_list_is_noticed_by_its_ticket() -> None:
    account = Account()
    account.hold(thread(inboxId="56", ticket="77"), asks("m1", 0))
    account.rows["tickets"] = [ticket("77", MINUTE)]
    (mark,) = pages(account, "tickets")
    assert (mark.records, mark.cursor) == ([], {"since": MS + MINUTE, "known": {"77": MS + MINUTE}})
    assert told(account, Conversation, "tickets", mark.cursor) == []
    closed = {"history": [("1", 0), ("4", 9 * MINUTE)], "closed_date": iso(9 * MINUTE), "deskpulse_tags": "vip"}
    account.rows["tickets"] = [ticket("77", 9 * MINUTE, stage="4", **closed)]
    (row,) = told(account, Conversation, "tickets", mark.cursor)
    assert (row.status, row.tags) == ("done", ("vip",))
    (page,) = pages(account, "tickets", mark.cursor)
    account.asked.clear()
    assert pages(account, "tickets", page.cursor)[0].records == []
    assert not account.paths(rf"{THREADS}/.*")


def test_in_an_inbox_the_thread_says_what_is_done_and_in_a_help_desk_the_ticket() -> None:
    account = Account()
    account.rows["tickets"] = [ticket(stage="1"), ticket("78", stage="4", closed_date=str(MS + 6 * MINUTE))]
    account.hold(thread("7001", ticket="77", status="CLOSED"), asks("m1", 0), turns("e1", 5 * MINUTE, "CLOSED"))
    account.hold(thread("7002", ticket="78", inboxId="56"), asks("m2", 0))
    account.hold(thread("7003", ticket="77", inboxId="56", status="CLOSED"), asks("m3", 0), turns("e3", 1, "CLOSED"))
    assert [(one.id, one.status) for one in told(account, Conversation)] == [
        ("7001", "done"),
        ("7002", "done"),
        ("7003", "open"),
    ]
    assert events(account, "status") == [(5, "done", "A-987"), (6, "done", None)]


def test_what_a_ticket_went_through_before_this_thread_is_not_the_threads() -> None:
    account = Account()
    history = [("1", -90 * MINUTE), ("4", -80 * MINUTE), ("2", 2 * MINUTE), ("4", 9 * MINUTE), ("1", 12 * MINUTE)]
    account.rows["tickets"] = [ticket(history=history)]
    account.hold(thread(ticket="77", inboxId="56"), asks("m1", 0))
    assert events(account, "status") == [(9, "done", None), (12, "open", None)]


def test_a_ticket_names_owner_and_team_where_the_thread_does_not() -> None:
    account = Account()
    account.rows["tickets"] = [ticket(hubspot_owner_id="41", hubspot_team_id="31")]
    account.hold(thread(ticket="77"), asks("m1", 0))
    (row,) = told(account, Conversation)
    assert (row.agent, row.team) == ("A-987", "31")


def test_a_merged_ticket_sends_its_first_thread_to_the_winners() -> None:
    account = Account()
    account.hold(thread(ticket="77"), asks("m1", 0))
    account.rows["tickets"] = [ticket("77", hs_merged_object_ids="78;79")]
    account.merged = [ticket("78", thread="7002"), ticket("79", thread=None)]
    assert [one for one in told(account, Event) if one.kind == "merged"] == [
        Event("7002:merged", "7002", None, "merged", "7001")
    ]


def test_more_changes_than_a_search_gives_are_crossed_without_a_loss() -> None:
    account = Account()
    account.cap = 400
    account.rows["tickets"] = [ticket(str(n), n // 3, thread=str(10_000 + n)) for n in range(1500)]
    for n in range(1500):
        account.threads[str(10_000 + n)] = thread(str(10_000 + n))
        account.said[str(10_000 + n)] = []
    found = pages(account, "tickets", {"since": MS, "known": {}})
    ids = [one.id for page in found for one in page.records if isinstance(one, Conversation)]
    assert sorted(ids) == sorted(account.threads)
    assert max(int(body.get("after", 0)) for _, path, body in account.asked if path.endswith("/search")) < 400
    assert (found[-1].cursor or {})["since"] == MS + 499


def test_a_page_of_one_instant_is_turned_and_a_cap_of_them_said(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account()
    account.rows["tickets"] = [ticket(str(n), thread=None) for n in range(500)] + [ticket("9999", 1)]
    account.hold(thread())
    assert [one.id for one in told(account, Conversation, "tickets", {"since": MS, "known": {}})] == ["7001"]
    monkeypatch.setattr(adapters.hubspot, "CAP", 400)
    with pytest.raises(Rejected, match="one instant"):
        pages(account, "tickets", {"since": MS, "known": {}})


def test_rows_that_move_to_the_end_meanwhile_make_no_other_row_be_skipped() -> None:
    account = Account()
    account.rows["tickets"] = [ticket(str(n), n, thread=str(n)) for n in range(300)]
    for n in range(300):
        account.hold(thread(str(n)))

    def touched() -> None:
        first = min(account.rows["tickets"], key=lambda row: row["properties"]["hs_lastmodifieddate"])
        first["properties"]["hs_lastmodifieddate"] = iso(MINUTE)
        account.after_search = lambda: None

    account.after_search = touched
    found = {one.id for one in told(account, Conversation, "tickets", {"since": MS, "known": {}})}
    assert len(found) == 300


def test_searches_keep_to_a_third_of_their_own_budget() -> None:
    service = Hubspot.service(HubspotSettings(token=TOKEN))
    assert service.per_second == pytest.approx(10 / 3, abs=0.04)
    assert service.budgets == {"POST /crm/v3/objects/*/search": 5 / 3}
    assert Hubspot.service(HubspotSettings(token=TOKEN, requests_per_second=1)).budgets.popitem()[1] == 1


@pytest.mark.parametrize("status", [403, 404])
def test_without_the_right_to_tickets_threads_stand_for_themselves(status: int) -> None:
    account = Account()
    account.refused = {f"{CRM}/.*": status}
    account.hold(thread(ticket="77", inboxId="56"), asks("m1", 0))
    assert told(account, Conversation)[0].status == "open"
    assert pages(account, "tickets") == []
    assert pages(account, "ratings") == []


# --- pull: directory, ratings ----------------------------------------------------------------------------------------


def test_the_directory_knows_channels_by_number_or_name_and_is_told_once() -> None:
    account = Account()
    (page,) = pages(account, "directory")
    assert [one for one in page.records if isinstance(one, Channel)] == [
        Channel("1002", "email"),
        Channel("900200", "whatsapp"),
        Channel("900100", "other"),
    ]
    assert Inbox("56", "Desk") in page.records
    assert Team("31", "Orders") in page.records
    assert Agent("A-987", "Noor") in page.records
    assert pages(account, "directory", page.cursor)[0].records == []


def test_a_csat_answer_comes_to_the_thread_of_its_ticket_with_its_scale() -> None:
    account = Account()
    account.rows["tickets"] = [ticket("77"), ticket("78", thread=None)]
    rows = [answer("9001", MINUTE, "7"), answer("9002", 2, "9", "NPS"), answer("9003", 3, "6", "CES")]
    account.rows["feedback_submissions"] = [
        *rows,
        answer("9004", 4, "9"),
        answer("9005", 5, "3"),
        answer("9006", 6, None),
    ]
    account.tied = {"9001": "77", "9002": "77", "9004": "77", "9005": "78", "9006": "77"}
    (page,) = pages(account, "ratings", csat_high=7)
    assert page.records == [Rating("9001", "7001", None, ((MS + MINUTE, 7.0),), 1, 7, survey="12")]
    assert [one.id for one in page.rejects] == ["9004", "9005", "9006"]
    assert all(isinstance(one, Reject) and one.reason for one in page.rejects)
    assert pages(account, "ratings", page.cursor)[0].records == []
    account.tied["9005"] = "77"  # a moment later
    assert [one.id for one in told(account, Rating, "ratings", page.cursor)] == ["9005"]
    account.tied["9005"] = "78"
    account.rows["feedback_submissions"][0] = answer("9001", 2 * MINUTE, "2")
    changed = told(account, Rating, "ratings", page.cursor)
    assert [one.answers for one in changed] == [((MS + 2 * MINUTE, 2.0),)]


def test_times_are_read_as_iso_or_as_epoch_milliseconds_and_nonsense_is_none() -> None:
    read = adapters.hubspot._time_of
    assert read(iso(0)) == read(str(MS)) == MS
    assert [read(one) for one in (None, "", "0", "soon", "2026-02-31T00:00:00Z", "2026-03-03T09:00:00")] == [None] * 6


# --- push ------------------------------------------------------------------------------------------------------------


def tagged(value: str | None = "vip") -> Account:
    account = Account()
    account.hold(thread(ticket="77"), asks("m1", 0))
    account.rows["tickets"] = [ticket(deskpulse_tags=value)]
    return account


def test_a_tag_is_appended_and_taken_away_without_touching_the_others() -> None:
    account = tagged()
    change = adapter(account).add_tag("7001", "deskpulse-slow")
    assert (change.before, set(change.after)) == (("vip",), {"vip", "deskpulse-slow"})
    assert account.writes()[-1] == ("PATCH", f"{CRM}/tickets/77", {"properties": {"deskpulse_tags": ";deskpulse-slow"}})
    assert adapter(account).remove_tag("7001", "deskpulse-slow").after == ("vip",)
    assert adapter(account).tags("7001") == ("vip",)
    writes = len(account.writes())
    assert adapter(account).add_tag("7001", "vip").after == ("vip",)
    assert adapter(account).remove_tag("7001", "deskpulse-slow").after == ("vip",)
    assert len(account.writes()) == writes, "what is so already needs no write"


def test_the_last_tag_can_be_taken_away() -> None:
    assert adapter(tagged()).remove_tag("7001", "vip").after == ()


def test_a_tag_that_cost_another_is_noticed_by_reading_back() -> None:
    account = tagged()
    account.write = lambda before, value: [one for one in value.split(";") if one]
    with pytest.raises(Rejected, match="by hand"):
        adapter(account).add_tag("7001", "deskpulse-slow")


def test_where_a_tag_cannot_be_written_a_sentence_says_why() -> None:
    account = tagged()
    account.hold(thread("7002"), asks("m9", 0))
    with pytest.raises(Rejected, match="has no ticket"):
        adapter(account).add_tag("7002", "vip")
    with pytest.raises(Rejected, match="no option deskpulse-new"):
        adapter(account).add_tag("7001", "deskpulse-new")
    account.field_type = "text"
    with pytest.raises(Rejected, match="checkboxes"):
        adapter(account).add_tag("7001", "vip")
    account.refused = {"/crm/v3/properties/.*": 404}
    with pytest.raises(Rejected, match="make one"):
        adapter(account).add_tag("7001", "vip")
    assert account.writes() == []


def test_a_note_is_a_comment_literally_and_found_again() -> None:
    account = tagged()
    note = adapter(account).add_note("7001", "[deskpulse] a < b")
    ((_, path, body),) = account.writes()
    assert (path, body["type"]) == (f"{THREADS}/7001/messages", "COMMENT")
    assert body["richText"] == "<p>[deskpulse] a &lt; b</p>"
    assert not {"recipients", "senderActorId", "channelId"} & body.keys()
    assert adapter(account).find_note("7001", "[deskpulse] a < b") == note
    with pytest.raises(Rejected, match="cannot delete"):
        adapter(account).remove_note("7001", note)


def test_what_is_not_kept_as_a_comment_is_no_note() -> None:
    account = tagged()
    account.kept_as = "MESSAGE"
    with pytest.raises(Rejected, match="internal comment"):
        adapter(account).add_note("7001", "[deskpulse] slow")


# --- probe, settings -------------------------------------------------------------------------------------------------


def findings(account: Account, **settings: Any) -> dict[str, Finding]:
    return {one.check: one for one in adapter(account, **settings).probe()}


def test_doctor_says_what_this_token_can_feed_and_what_not() -> None:
    found = findings(Account())
    fine = ("conversations", "rate limit", "account", "scopes", "inboxes", "tickets", "tags", "agents", "ratings")
    assert [found[name].ok for name in fine] == [True] * len(fine)
    assert "Desk" in found["inboxes"].detail
    assert [name for name, one in found.items() if one.ok is None] == ["response rate", "opening hours", "language"]


def test_doctor_warns_of_missing_and_of_needless_scopes() -> None:
    account = Account()
    account.scopes = ["conversations.read", "crm.objects.contacts.write"]
    found = [one for one in adapter(account).probe() if one.check in ("scopes", "notes")]
    assert [one.ok for one in found] == [None, None, None]
    assert "tickets" in found[0].detail
    assert "crm.objects.contacts.write" in found[1].detail
    assert "conversations.write" in found[2].remedy


def test_doctor_says_what_is_lost_where_parts_cannot_be_read() -> None:
    account = Account()
    account.refused = {f"{CRM}/.*|/crm/v3/properties/.*|/crm/v3/owners|/account-info/.*": 403}
    found = findings(account, requests_per_second=8)
    lost = ("account", "tickets", "tags", "agents", "ratings", "rate limit")
    assert [found[name].ok for name in lost] == [None] * len(lost)
    assert "3.3" in found["rate limit"].remedy


def test_a_refused_token_is_an_error_and_not_a_missing_part() -> None:
    account = Account()
    account.refused = {".*": 401}
    with pytest.raises(AuthFailed):
        findings(account)


@pytest.mark.parametrize("wrong", [{"token": " "}, {"url": "hubspot"}, {"csat_high": 1}, {"tag_property": "My tags"}])
def test_wrong_settings_are_refused(wrong: Row) -> None:
    with pytest.raises(ValidationError):
        HubspotSettings(**{"token": TOKEN, **wrong})
