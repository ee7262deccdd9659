"""Chatwoot's application API over one account, as far as an adapter uses it, writes included.

Nothing here reaches a customer. A public outgoing message is answered as Chatwoot would, and kept as a violation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connector.models import Instant
from connector.sandbox.chatwoot_rows import Case, tables
from connector.sandbox.chatwoot_wire import ACCOUNT, ADMIN, INCOMING, OUTGOING, Row, label, message_row
from connector.sandbox.exchange import Query, Refused, Reply, Request, Route
from connector.sandbox.world import World

TOKEN = "sandbox-administrator-token"  # noqa: S105 - opens nothing but demo data on loopback
VERSION = "4.8.0"
PAGE, CONTACTS_PAGE, BACK, FORWARD = 25, 15, 20, 100
NOT_FOUND = {"error": "Resource could not be found"}
ORDERS: dict[str, Callable[[Row], tuple[int, int]]] = {
    "last_activity_at": lambda row: (row["last_activity_at"], row["id"]),
    "created_at": lambda row: (row["created_at"], row["id"]),
}
DELETED = "This message was deleted"


class Chatwoot:
    """One account. ``violations`` are the messages that would have reached a customer."""

    def __init__(self, world: World, now: Instant) -> None:
        self.tables = tables(world)
        self.now = now // 1000
        self.ticks = 0
        self.violations: list[Row] = []
        self.next_message = 1 + max(
            (m["id"] for case in self.tables.cases.values() for m in case.messages), default=1000
        )
        self.walks: dict[tuple[str, ...], list[Case]] = {}

    def routes(self) -> list[Route]:
        account, case = r"/api/v1/accounts/(\d+)", r"/api/v1/accounts/(\d+)/conversations/(\d+)"
        return [
            ("GET", case + "/messages", self._messages),
            ("GET", case + "/reporting_events", self._events),
            ("GET", case, self._conversation),
            ("GET", account + "/conversations", self._conversations),
            ("GET", case + "/labels", self._labels),
            ("POST", case + "/labels", self._replace_labels),
            ("POST", case + "/messages", self._post),
            ("DELETE", case + r"/messages/(\d+)", self._delete),
            ("GET", account + "/csat_survey_responses", self._ratings),
            ("GET", account + "/agents", self._listed(self.tables.agents)),
            ("GET", account + "/teams", self._listed(self.tables.teams)),
            ("GET", account + "/inboxes", self._listed(self.tables.inboxes, "payload")),
            ("GET", account + "/labels", self._listed(self.tables.labels, "payload")),
            ("POST", account + "/labels", self._new_label),
            ("GET", account + "/contacts", self._contacts),
            ("GET", "/api/v1/profile", self._profile),
            ("GET", "/api/?", self._version),
        ]

    # --- reading

    def _conversations(self, request: Request, account: str) -> Reply:
        self._enter(request, account)
        found = self._walk(request.query)
        page = [case.shown() for case in _page(found, request, PAGE)]
        assigned = sum("assignee" in case.row["meta"] for case in found) if page else 0
        counts = {"mine_count": 0, "unassigned_count": len(found) - assigned, "assigned_count": assigned}
        return Reply({"data": {"meta": {**counts, "all_count": len(found)}, "payload": page}})

    def _walk(self, query: Query) -> list[Case]:
        """The conversations asked for, in order; kept until a write, so that a long walk sorts once."""
        names = ("status", "assignee_type", "sort_by", "inbox_id", "team_id")
        asked = tuple(query.get(name, "") for name in names)
        if asked not in self.walks:
            kept = [case for case in self.tables.cases.values() if _fits(case.row, query)]
            sort, _, way = query.get("sort_by", "last_activity_at_desc").rpartition("_")
            order = ORDERS.get(sort, ORDERS["last_activity_at"])
            self.walks[asked] = sorted(kept, key=lambda case: order(case.row), reverse=way != "asc")
        return self.walks[asked]

    def _conversation(self, request: Request, account: str, number: str) -> Reply:
        return Reply(self._case(request, account, number).shown())

    def _messages(self, request: Request, account: str, number: str) -> Reply:
        case = self._case(request, account, number)
        found = case.messages[-BACK:]
        if "after" in request.query:
            after = request.whole("after", 0)
            found = [m for m in case.messages if m["id"] > after][:FORWARD]
        elif "before" in request.query:
            before = request.whole("before", 0)
            found = [m for m in case.messages if m["id"] < before][-BACK:]
        return Reply({"meta": _about(case), "payload": found})

    def _events(self, request: Request, account: str, number: str) -> Reply:
        return Reply(self._case(request, account, number).events)

    def _labels(self, request: Request, account: str, number: str) -> Reply:
        return Reply({"payload": self._case(request, account, number).row["labels"]})

    def _ratings(self, request: Request, account: str) -> Reply:
        self._enter(request, account)
        since, until = request.whole("since", 0), request.whole("until", 0)
        whole = not (since and until)  # as Chatwoot: one end alone filters nothing
        kept = [rating for rating in self.tables.ratings if whole or since <= rating["created_at"] <= until]
        newest_first = request.query.get("sort", "-created_at").startswith("-")
        kept.sort(key=lambda rating: (rating["created_at"], rating["id"]), reverse=newest_first)
        return Reply(_page(kept, request, PAGE))

    def _contacts(self, request: Request, account: str) -> Reply:
        self._enter(request, account)
        sort = request.query.get("sort", "")
        key = sort.removeprefix("-")
        contacts = self.tables.contacts
        if key in ("last_activity_at", "created_at"):
            contacts = sorted(contacts, key=lambda row: (row[key], row["id"]), reverse=sort.startswith("-"))
        meta = {"count": len(contacts), "current_page": request.query.get("page", "1")}
        return Reply({"meta": meta, "payload": _page(contacts, request, CONTACTS_PAGE)})

    def _listed(self, rows: list[Row], key: str | None = None) -> Callable[..., Reply]:
        def answer(request: Request, account: str) -> Reply:
            self._enter(request, account)
            return Reply({key: rows} if key else rows)

        return answer

    def _profile(self, request: Request) -> Reply:
        self._signed_in(request)
        membership = {
            "id": ACCOUNT,
            "name": "Sandbox",
            "role": "administrator",
            "status": "active",
            "permissions": ["administrator"],
        }
        return Reply({**ADMIN, "account_id": ACCOUNT, "role": "administrator", "type": None, "accounts": [membership]})

    def _version(self, request: Request) -> Reply:
        return Reply({"version": VERSION, "queue_services": "ok", "data_services": "ok"})

    # --- writing

    def _replace_labels(self, request: Request, account: str, number: str) -> Reply:
        """As Chatwoot: the list given is the list from now on."""
        case = self._case(request, account, number)
        given = request.json().get("labels")
        if not isinstance(given, list) or not all(isinstance(title, str) for title in given):
            raise Refused(422, {"error": "labels is not a list of titles"})
        case.row["labels"] = list(dict.fromkeys(given))
        self._touch(case)
        return Reply({"payload": case.row["labels"]})

    def _new_label(self, request: Request, account: str) -> Reply:
        self._enter(request, account)
        body = request.json()
        title = str(body.get("title") or "").lower()
        if not title or any(row["title"] == title for row in self.tables.labels):
            reason = "has already been taken" if title else "can't be blank"
            raise Refused(422, {"message": f"Title {reason}", "attributes": ["title"]})
        known = {key: body[key] for key in ("description", "color", "show_on_sidebar") if key in body}
        self.tables.labels.append(label(len(self.tables.labels) + 1, title) | known)
        return Reply(self.tables.labels[-1])

    def _post(self, request: Request, account: str, number: str) -> Reply:
        """A private note, or what must never happen: then it is kept as a violation."""
        case = self._case(request, account, number)
        body = request.json()
        if not body.get("content"):
            raise Refused(422, {"error": "Content can't be blank"})
        incoming = body.get("message_type") == "incoming"
        row = message_row(case.row, self.now, str(body["content"]), INCOMING if incoming else OUTGOING)
        row["private"] = body.get("private") in (True, "true")
        admin = {**ADMIN, "available_name": ADMIN["name"], "thumbnail": "", "type": "user"}
        row |= {"sender_type": "User", "sender_id": ADMIN["id"], "sender": admin}
        self._append(case, row)
        if not row["private"]:
            self.violations.append(row)
        return Reply(row)

    def _delete(self, request: Request, account: str, number: str, message: str) -> Reply:
        """As Chatwoot: the message stays, its words go."""
        case = self._case(request, account, number)
        for row in case.messages:
            if row["id"] == int(message):
                row |= {"content": DELETED, "content_type": "text", "content_attributes": {"deleted": True}}
                self._touch(case)
                return Reply(row)
        raise Refused(404, NOT_FOUND)

    # --- the world going on: for tests and demonstrations

    def customer_says(self, number: int, text: str) -> int:
        """A customer writes again, now: a resolved conversation is open from then on. Returns the message's id."""
        case = self.tables.cases[number]
        row = message_row(case.row, self.now, text, INCOMING)
        sender = {"sender_type": "Contact", "sender_id": case.contact["id"], "sender": case.contact}
        case.row |= {"status": "open", "waiting_since": case.row["waiting_since"] or self.now}
        self._append(case, row | sender)
        return int(row["id"])

    def remove(self, number: int) -> None:
        """The conversation is deleted: lists forget it, reading it gives 404."""
        del self.tables.cases[number]
        self.tables.ratings[:] = [r for r in self.tables.ratings if r["conversation_id"] != number]
        self.walks.clear()

    def _append(self, case: Case, row: Row) -> None:
        row["id"] = self.next_message
        self.next_message += 1
        case.messages.append(row)
        case.row["timestamp"] = case.row["last_activity_at"] = self.now
        self._touch(case)

    def _touch(self, case: Case) -> None:
        """The clock stands still, so every write moves ``updated_at`` by a thousandth."""
        self.ticks += 1
        case.row["updated_at"] = round(self.now + self.ticks / 1000, 3)
        self.walks.clear()

    # --- who may

    def _case(self, request: Request, account: str, number: str) -> Case:
        self._enter(request, account)
        case = self.tables.cases.get(int(number))
        if case is None:
            raise Refused(404, NOT_FOUND)
        return case

    def _enter(self, request: Request, account: str) -> None:
        self._signed_in(request)
        if int(account) != ACCOUNT:
            raise Refused(401, {"error": "You are not authorized to access this account"})

    def _signed_in(self, request: Request) -> None:
        if request.headers.get("api_access_token") != TOKEN:
            raise Refused(401, {"error": "Invalid Access Token"})


def _fits(row: Row, query: Query) -> bool:
    """Chatwoot lists open conversations unless told otherwise; the token's own user has none."""
    status, whose = query.get("status", "open"), query.get("assignee_type", "all")
    assigned = "assignee" in row["meta"]
    team = str(row["meta"].get("team", {}).get("id", ""))
    return (
        status in ("all", row["status"])
        and (whose == "all" or (whose != "me" and assigned == (whose == "assigned")))
        and query.get("inbox_id", str(row["inbox_id"])) == str(row["inbox_id"])
        and query.get("team_id", team) == team
    )


def _page(rows: list[Any], request: Request, size: int) -> list[Any]:
    page = max(1, request.whole("page", 1))
    return rows[(page - 1) * size : page * size]


def _about(case: Case) -> Row:
    meta = case.row["meta"]
    return {
        "labels": case.row["labels"],
        "additional_attributes": case.row["additional_attributes"],
        "contact": case.contact,
        **({"assignee": meta["assignee"]} if "assignee" in meta else {}),
        "agent_last_seen_at": None,
        "assignee_last_seen_at": None,
    }
