"""Intercom's API 2.16 over a world, as far as the adapter uses it, with its habits: a search by POST whose > means
"from there", pages that end with null, the first message apart from the parts of which it gives the newest 500, ids
that are numbers here and text there, 167 requests in 10 seconds.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from html import escape, unescape
from typing import Any

from connector.models import from_iso
from connector.sandbox.exchange import Refused, Reply, Request, Route
from connector.sandbox.hours import schedule_of
from connector.sandbox.timeline import content, five_point, inbox_of, timeline_of, whole_seconds
from connector.sandbox.world import Neutral, World, answers
from vendors import Vendor

Row = dict[str, Any]
TOKEN = "intercom-vendor-token"
VERSION = "2.16"
SOURCES = {"live_chat": "conversation", "email": "email", "facebook": "facebook", "instagram": "instagram",
           "phone": "phone_call", "sms": "sms", "x": "twitter", "whatsapp": "whatsapp"}  # fmt: skip
STATES = {"open": "open", "pending": "open", "snoozed": "snoozed", "done": "closed"}
MOVES = {"open": "open", "snoozed": "snoozed", "closed": "close"}
MOST, PARTS, MOST_DELETED, IN_10_S = 150, 500, 60, 167
PULSE = {"type": "admin", "id": "990", "name": "Pulse", "email": "pulse@desk.example", "has_inbox_seat": True}
OPERATOR = {"type": "bot", "id": "991", "name": "Operator", "email": "operator+desk@intercom.io"}
PEOPLE_ONLY = {"from_ai_agent": False, "is_ai_answer": False}


class _Numbers:
    """The world's ids of one type ↔ numbers."""

    def __init__(self, first: int) -> None:
        self.first, self.known = first, dict[str, int]()

    def __call__(self, original: str) -> int:
        return self.known.setdefault(original, self.first + len(self.known))


class _Chat:
    """A conversation: ``row`` is what a search tells of it, ``parts`` what reading it adds."""

    def __init__(self, row: Row) -> None:
        self.row, self.parts = row, list[Row]()


class Desk:
    """One workspace. ``window`` is how many requests it takes before it refuses one."""

    def __init__(self, world: World, window: int = IN_10_S) -> None:
        self.world, self.window, self.asked, self.ticks = world, window, 0, 0
        self.number = {
            "agent": _Numbers(1001),
            "team": _Numbers(31),
            "tag": _Numbers(41),
            "chat": _Numbers(215_400_001),
        }
        self.next_part = 30_000_000_001
        self.violations: list[Row] = []
        self.originals: dict[str, str] = {}
        self.seats = {agent["id"]: agent for agent in world.agents}
        self.chats: dict[str, _Chat] = {}
        self.deleted: list[Row] = []
        self.admins = [PULSE, *(self._admin(agent["id"]) for agent in world.agents if not agent.get("bot"))]
        self.teams = [self._team(team) for team in world.teams]
        for conversation in world.conversations:
            self._hold(conversation)

    @property
    def now(self) -> int:
        return self.world.now // 1000 + self.ticks

    # --- what it holds

    def _hold(self, conversation: Neutral) -> None:
        number = str(self.number["chat"](conversation["id"]))
        self.originals[number] = conversation["id"]
        gone = [event for event in conversation.get("events", ()) if event["kind"] == "deleted"]
        if gone:
            self._forget(number, from_iso(gone[0]["at"]) // 1000)
            return
        items = whole_seconds(timeline_of(conversation, self.seats))
        first = items[0] if items and items[0][1] == "message" and items[0][0] == _second(conversation) else None
        chat = _Chat(self._row(number, conversation, first[2] if first else None))
        for second, kind, item in items[1 if first else 0 :]:
            getattr(self, f"_{kind}")(chat, second, item, conversation)
        rated = [from_iso(at) // 1000 for r in conversation.get("ratings", ()) for at, _ in answers(r)]
        chat.row["updated_at"] = max([_second(conversation), *(second for second, _, _ in items), *rated])
        self._agree(chat, conversation)
        self.chats[number] = chat

    def _row(self, number: str, conversation: Neutral, first: Neutral | None) -> Row:
        contact = {
            "type": "contact",
            "id": _contact_id(conversation["contact"]),
            "external_id": conversation["contact"],
        }
        return {
            "type": "conversation",
            "id": number,
            "created_at": _second(conversation),
            "state": "open",
            "open": True,
            "source": self._source(conversation, first),
            "contacts": {"type": "contact.list", "contacts": [contact]},
            "tags": {"type": "tag.list", "tags": [self._tag(name) for name in conversation.get("tags", ())]},
            "conversation_rating": None,
            "custom_attributes": {},
            "linked_objects": {"type": "list", "data": [], "total_count": 0, "has_more": False},
            "ai_agent": None,
            "ai_agent_participated": False,
        }

    def _source(self, conversation: Neutral, first: Neutral | None) -> Row:
        said = first or {"who": "automation", "text": ""}
        campaign = said.get("kind") == "campaign"
        ways = {"customer": "customer_initiated", "human": "admin_initiated"}
        return {
            "type": SOURCES.get(inbox_of(conversation)[1] or "", "api"),
            "id": "403918334",
            "delivered_as": "campaigns_initiated" if campaign else ways.get(said["who"], "operator_initiated"),
            "body": _html(content(said)),
            "author": self._author(said, conversation),
            "attachments": [],
            "redacted": False,
        }

    def _agree(self, chat: _Chat, conversation: Neutral) -> None:
        """What the row tells of how it all ended."""
        owners = {"admin_assignee_id": ("agent", "agent"), "team_assignee_id": ("team", "team")}
        for key, (kind, field) in owners.items():
            chat.row[key] = self.number[kind](conversation[field]) if conversation.get(field) else 0
        chat.row["state"] = STATES[conversation["status"]]
        chat.row["open"] = chat.row["state"] != "closed"
        closed = [part["created_at"] for part in chat.parts if part["part_type"] == "close"]
        replied = [part["created_at"] for part in chat.parts if part["body"] and part["author"]["type"] == "admin"]
        chat.row["statistics"] = {
            "type": "conversation_statistics",
            "count_conversation_parts": len(chat.parts),
            "first_close_at": closed[0] if closed else None,
            "last_close_at": closed[-1] if closed else None,
            "first_admin_reply_at": replied[0] if replied else None,
        }

    def _message(self, chat: _Chat, second: int, item: Neutral, conversation: Neutral) -> None:
        note = bool(item.get("private")) or item.get("kind") == "note"
        self._part(chat, "note" if note else "comment", second, self._author(item, conversation), content(item))
        if item["who"] == "bot":
            ai = {
                "type": "ai_agent",
                "source_type": "workflow",
                "resolution_state": "assumed_resolution",
                "rating": None,
            }
            chat.row |= {"ai_agent": chat.row["ai_agent"] or ai, "ai_agent_participated": True}

    def _event(self, chat: _Chat, second: int, item: Neutral, conversation: Neutral) -> None:
        kind, value = item["kind"], item.get("value")
        author = self._author({"who": "human", "author_id": item.get("actor")}, conversation)
        if kind == "status":
            self._move(chat, second, STATES[value or "open"], author)
        elif kind in ("assigned", "team"):
            self._part(chat, "assignment", second, author, assigned_to=self._owner(kind, value))
        elif kind == "handoff" and chat.row["ai_agent"]:
            chat.row["ai_agent"] |= {"resolution_state": "escalated"}
        elif kind == "merged":
            self._part(chat, "merged_secondary_conversation", second, author)
            linked = {"type": "conversation", "id": str(self.number["chat"](value or "?")), "category": None}
            chat.row["linked_objects"] |= {"data": [linked], "total_count": 1}

    def _move(self, chat: _Chat, second: int, state: str, author: Row) -> None:
        """A customer who writes again opens it with the same part."""
        last = chat.parts[-1] if chat.parts else None
        if state == chat.row["state"]:
            return
        chat.row["state"] = state
        if state == "open" and last and last["author"]["type"] == "user" and last["created_at"] == second:
            last |= {"part_type": "open", "state": "open"}
        else:
            self._part(chat, MOVES[state], second, author)

    def _survey(self, chat: _Chat, second: int, item: Neutral, conversation: Neutral) -> None:
        """Asked again, the first answer is gone."""
        given = answers(item)
        agent = item.get("agent") or conversation.get("agent")
        chat.row["conversation_rating"] = {
            "rating": five_point(item, given[-1][1]) if given else None,
            "created_at": second,
            "updated_at": from_iso(given[-1][0]) // 1000 if given else second,
            "teammate": {"type": "admin", "id": str(self.number["agent"](agent))} if agent else None,
        }

    def _part(self, chat: _Chat, kind: str, second: int, author: Row, body: str | None = None, **more: Any) -> Row:
        chat.parts.append({
            "type": "conversation_part",
            "id": str(self.next_part),
            "part_type": kind,
            "body": _html(body) if body is not None else None,
            "created_at": second,
            "updated_at": second,
            "assigned_to": None,
            "author": author,
            "attachments": [],
            "redacted": False,
            "state": chat.row["state"],
            **more,
        })  # fmt: skip
        self.next_part += 1
        return chat.parts[-1]

    # --- who

    def _author(self, item: Neutral, conversation: Neutral) -> Row:
        who, seat = item["who"], item.get("author_id")
        if who == "customer":
            return {"type": "user", "id": _contact_id(seat or conversation["contact"]), "name": None, "email": ""}
        if who == "bot" or self.seats.get(seat or "", {}).get("bot"):
            return {**OPERATOR, **self._named(seat or "bot"), "from_ai_agent": True, "is_ai_answer": True}
        if who == "human" and (seat in self.seats or seat is None):
            seat = seat or conversation.get("agent")
            return {**self._admin(seat), **PEOPLE_ONLY} if seat else {**OPERATOR, **PEOPLE_ONLY}
        return {**OPERATOR, **PEOPLE_ONLY}

    def _named(self, agent: str) -> Row:
        return {"id": str(self.number["agent"](agent)), "name": self.seats.get(agent, {}).get("name") or agent}

    def _admin(self, agent: str) -> Row:
        named = self._named(agent)
        return {"type": "admin", **named, "email": f"agent{named['id']}@desk.example", "has_inbox_seat": True}

    def _team(self, team: Neutral) -> Row:
        return {"type": "team", "id": str(self.number["team"](team["id"])), "name": team.get("name") or team["id"]}

    def _owner(self, kind: str, value: str | None) -> Row:
        if value is None:
            return {"type": "nobody_team" if kind == "team" else "nobody_admin", "id": None}
        team = kind == "team"
        return {"type": "team" if team else "admin", "id": str(self.number["team" if team else "agent"](value))}

    def _tag(self, name: str) -> Row:
        """Names are known whatever their case."""
        same = next((known for known in self.number["tag"].known if known.lower() == name.lower()), name)
        return {"type": "tag", "id": str(self.number["tag"](same)), "name": same}

    # --- answering

    def routes(self) -> list[Route]:
        chat = r"/conversations/(\d+)"
        told: list[tuple[str, str, Callable[..., Reply]]] = [
            ("GET", "/me", lambda request: Reply({**PULSE, "app": self._app()})),
            ("GET", "/admins", lambda request: Reply({"type": "admin.list", "admins": self.admins})),
            ("GET", "/teams", lambda request: Reply({"type": "team.list", "teams": self.teams})),
            ("GET", "/office_hours_schedules", self._schedules),
            ("GET", r"/office_hours_schedules/\d+/office_hours_exceptions", lambda request: Reply({"data": []})),
            ("POST", "/conversations/search", self._search),
            ("GET", "/conversations/deleted", self._removed),
            ("GET", chat, self._read),
            ("POST", "/tags", lambda request: Reply(self._tag(request.json()["name"]))),
            ("POST", chat + "/tags", self._attach),
            ("DELETE", chat + r"/tags/(\d+)", self._detach),
            ("POST", chat + "/reply", self._reply),
            ("(POST|PUT)", "/(messages|conversations.*)", self._reply),
        ]
        ways = [(way, path, do) for method, path, do in told for way in (method.strip("()").split("|"))]
        return [(method, path, self._limited(handler)) for method, path, handler in ways]

    def _limited(self, handler: Callable[..., Reply]) -> Callable[..., Reply]:
        """So many requests are 10 seconds: the next is refused, and new ones begin."""

        def answer(request: Request, *groups: str) -> Reply:
            self.asked += 1
            limit = {"X-RateLimit-Limit": str(self.window), "X-RateLimit-Reset": str(self.world.now // 1000 + 10)}
            headers = limit | {"X-RateLimit-Remaining": str(max(0, self.window - self.asked))}
            if self.asked > self.window:
                self.asked = 0
                return Reply(_error("rate_limit_exceeded", f"Exceeded rate limit of {self.window}"), 429, headers)
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                return Reply(_error("unauthorized", "Access Token Invalid"), 401, headers)
            if request.headers.get("intercom-version") != VERSION:
                return Reply(_error("intercom_version_invalid", "the version was not asked for"), 400, headers)
            return handler(request, *groups)._replace(headers=headers)

        return answer

    def _search(self, request: Request) -> Reply:
        body = request.json()
        query, sort, pagination = body["query"], body["sort"], body["pagination"]
        if query["field"] != "updated_at" or query["operator"] != ">" or pagination["per_page"] > MOST:
            raise Refused(400, _error("parameter_invalid", "not a search that is understood here"))
        found = [c.row for c in self.chats.values() if c.row["updated_at"] >= query["value"]]
        found.sort(key=_place, reverse=sort["order"] == "descending")
        after, page = _opened(pagination.get("starting_after"))
        rest = [row for row in found if after is None or _place(row) > after]
        rows, size = rest[: pagination["per_page"]], pagination["per_page"]
        token = b64encode(json.dumps([*_place(rows[-1]), page + 1]).encode()).decode() if len(rest) > size else None
        pages = {"type": "pages", "page": page, "per_page": size, "total_pages": -(-len(found) // size)}
        pages["next"] = {"per_page": size, "starting_after": token} if token else None
        return Reply({"type": "conversation.list", "pages": pages, "total_count": len(found), "conversations": rows})

    def _read(self, request: Request, number: str) -> Reply:
        chat = self._of(number)
        plain = request.query.get("display_as") == "plaintext"
        parts = [_shown(part, plain) for part in chat.parts[-PARTS:]]
        wrapped = {"type": "conversation_part.list", "conversation_parts": parts, "total_count": len(parts)}
        return Reply({**chat.row, "source": _shown(chat.row["source"], plain), "conversation_parts": wrapped})

    def _removed(self, request: Request) -> Reply:
        page, size = request.whole("page", 1), min(request.whole("per_page", 20), MOST_DELETED)
        newest_first = request.query.get("order", "desc") == "desc"
        rows = sorted(self.deleted, key=lambda row: row["deleted_at"], reverse=newest_first)[(page - 1) * size :][:size]
        return Reply({"type": "conversations.list", "conversations": rows, "total_count": len(self.deleted)})

    def _schedules(self, request: Request) -> Reply:
        """Every inbox's own: a workspace has many, and no conversation says which is its own."""
        told = []
        for number, inbox in enumerate((one for one in self.world.inboxes if one.get("schedule")), 61):
            hours = schedule_of(inbox["schedule"])
            spans = [(1440 * day + a, 1440 * day + b) for day in range(7) for a, b in hours.hours[day]]
            intervals = [{"start_minute": start, "end_minute": end} for start, end in spans]
            told.append(
                {"id": str(number), "name": inbox["name"], "time_zone_name": hours.zone, "time_intervals": intervals}
            )
        return Reply({"type": "office_hours_schedule.list", "data": told})

    def _app(self) -> Row:
        return {"type": "app", "id_code": "desk1", "name": "Desk", "timezone": self.world.zone, "region": "US"}

    def _of(self, number: str) -> _Chat:
        if number not in self.chats:
            raise Refused(404, _error("not_found", "Resource Not Found"))
        return self.chats[number]

    # --- writing

    def _attach(self, request: Request, number: str) -> Reply:
        chat, sent = self._of(number), request.json()
        self._signed(sent)
        known = {str(n): name for name, n in self.number["tag"].known.items()}
        if sent.get("id") not in known:
            raise Refused(404, _error("tag_not_found", "Tag not found"))
        tag, tags = self._tag(known[sent["id"]]), chat.row["tags"]["tags"]
        chat.row["tags"] = {"type": "tag.list", "tags": [one for one in tags if one["id"] != tag["id"]] + [tag]}
        return self._touched(chat, Reply(tag))

    def _detach(self, request: Request, number: str, tag: str) -> Reply:
        chat = self._of(number)
        self._signed(request.json())
        tags = [one for one in chat.row["tags"]["tags"] if one["id"] != tag]
        chat.row["tags"] = {"type": "tag.list", "tags": tags}
        return self._touched(chat, Reply({"type": "tag", "id": tag}))

    def _reply(self, request: Request, number: str = "") -> Reply:
        """Whatever is not literally a note is sent to the customer."""
        sent = request.json()
        note = sent.get("message_type") == "note" and request.path.endswith("/reply")
        if not note:
            self.violations.append({"path": request.path, **sent})
            return Reply({})
        self._signed(sent)
        chat = self._of(number)
        self._part(chat, "note", self.now, {**PULSE, **PEOPLE_ONLY}, app_package_code="deskpulse")
        chat.parts[-1]["body"] = sent["body"]
        chat.row["statistics"]["count_conversation_parts"] = len(chat.parts)
        return self._touched(chat, Reply({**chat.row, "conversation_parts": None}))

    def _signed(self, sent: Row) -> None:
        if sent.get("admin_id") not in [admin["id"] for admin in self.admins]:
            raise Refused(400, _error("parameter_not_found", "admin_id is a required parameter"))

    def _touched(self, chat: _Chat, reply: Reply) -> Reply:
        self.ticks += 1
        chat.row["updated_at"] = self.now
        return reply

    # --- the world going on

    def forget(self, number: str) -> None:
        """The conversation is deleted, now."""
        del self.chats[number]
        self._forget(number, self.now)

    def _forget(self, number: str, second: int) -> None:
        self.deleted.append({"id": number, "object": "conversation", "deleted": True, "deleted_at": second})


def _second(conversation: Neutral) -> int:
    return from_iso(conversation["created_at"]) // 1000


def _contact_id(original: str) -> str:
    return f"65aa{original}"


def _place(row: Row) -> tuple[int, int]:
    return row["updated_at"] * 1000, int(row["id"])


def _opened(token: str | None) -> tuple[tuple[int, int] | None, int]:
    if token is None:
        return None, 1
    at, number, page = json.loads(b64decode(token))
    return (at, number), page


def _html(text: str) -> str:
    return f"<p>{escape(text, quote=False)}</p>" if text else ""


def _shown(said: Row, plain: bool) -> Row:
    if not plain or not said["body"]:
        return said
    return {**said, "body": unescape(said["body"].replace("</p><p>", "\n").removeprefix("<p>").removesuffix("</p>"))}


def _error(code: str, message: str) -> Row:
    return {"type": "error.list", "request_id": "r1", "errors": [{"code": code, "message": message}]}


class Intercom(Vendor):
    name = "intercom"

    def __init__(self, world: World, window: int = IN_10_S) -> None:
        self.desk = Desk(world, window)
        super().__init__(self.desk)

    def settings(self) -> Row:
        return {"url": self.url, "token": TOKEN, "requests_per_second": 1_000_000}
