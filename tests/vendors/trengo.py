"""Trengo's API v2 over a world, as far as the adapter uses it, with its habits: times without a zone, lists that do not
tell their last page, both shapes of a ticket, the web app for every path that does not exist, 120 requests a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo

from connector.models import Instant, from_iso
from connector.sandbox.exchange import Refused, Reply, Request, Route
from connector.sandbox.timeline import five_point, inbox_of, last_value, timeline_of
from connector.sandbox.world import Neutral, World, answers
from vendors import Vendor

Row = dict[str, Any]
ROOT = "/api/v2"
TOKEN = "trengo-vendor-token"
TYPES = {"email": "EMAIL", "live_chat": "CHAT", "whatsapp": "WA_BUSINESS", "phone": "VOIP", "sms": "SMS",
         "instagram": "INSTAGRAM", "facebook": "FACEBOOK", "telegram": "TELEGRAM", "x": "TWITTER"}  # fmt: skip
PAGE, MOST_MESSAGES, A_MINUTE = 25, 100, 120
SCORE_FIELD = {"id": 71, "title": "CSAT", "type": "TICKET"}
WEB_APP = "<!doctype html><html><title>Trengo</title></html>"
GONE = ("deleted", "merged")


class _Numbers:
    """The world's ids of one type ↔ whole numbers, in the order asked for."""

    def __init__(self, first: int) -> None:
        self.first, self.known = first, dict[str, int]()

    def __call__(self, original: str) -> int:
        return self.known.setdefault(original, self.first + len(self.known))


class Desk:
    """One account. ``minute`` is how many requests it takes before it refuses one."""

    def __init__(self, world: World, zone: str = "UTC", minute: int = A_MINUTE) -> None:
        self.world, self.zone, self.minute, self.asked, self.ticks = world, ZoneInfo(zone), minute, 0, 0
        firsts = {
            "ticket": 700_100_001,
            "agent": 5501,
            "team": 41,
            "channel": 90_301,
            "contact": 800_200_001,
            "label": 9,
        }
        self.number = {kind: _Numbers(first) for kind, first in firsts.items()}
        self.violations: list[Row] = []
        self.originals: dict[str, str] = {}
        self.tickets: dict[int, Row] = {}
        self.said: dict[int, list[Row]] = {}
        self.seats = {agent["id"]: agent for agent in world.agents}
        self.agents = [self._agent(agent) for agent in world.agents if not agent.get("bot")]
        self.teams = [{"id": self.number["team"](team["id"]), "name": team["name"]} for team in world.teams]
        self.channels = {one["id"]: self._channel(one["id"], one["channel"], one["name"]) for one in world.inboxes}
        for conversation in world.conversations:
            if not any(event["kind"] in GONE for event in conversation.get("events", ())):
                self._ticket(conversation)
        self.next_message = self._number_messages()

    # --- what it holds

    def _agent(self, agent: Neutral) -> Row:
        number, (first, _, last) = self.number["agent"](agent["id"]), agent["name"].partition(" ")
        whole = {"full_name": agent["name"], "name": agent["name"], "email": f"agent{number}@desk.example"}
        return {"id": number, "first_name": first, "last_name": last, **whole, "timezone": str(self.zone)}

    def _channel(self, original: str, kind: str, name: str) -> Row:
        word = TYPES.get(kind, "CUSTOM")
        return {"id": self.number["channel"](original), "name": word, "type": word, "title": name}

    def _ticket(self, conversation: Neutral) -> None:
        number = self.number["ticket"](conversation["id"])
        self.originals[str(number)] = conversation["id"]
        timeline = timeline_of(conversation, self.seats)
        contact = self._contact(conversation["contact"])
        spoken = [(at, item) for at, kind, item in timeline if kind == "message" and _is_said(item)]
        self.said[number] = [self._message(number, at, item, contact) for at, item in spoken]
        begun = from_iso(conversation["created_at"])
        last = spoken[-1][0] if spoken else begun
        ends = [at for at, _, _ in timeline] + [from_iso(at) for r in conversation["ratings"] for at, _ in answers(r)]
        self.tickets[number] = {
            "id": number,
            **self._state(conversation),
            "subject": None,
            "created_at": self._time(begun),
            "updated_at": self._time(max([begun, *ends])),
            "contact_id": contact["id"],
            "contact": contact,
            "channel": self._channel_of(conversation),
            **self._last_words(number, last),
            "labels": [{"id": self.number["label"](tag), "name": tag} for tag in conversation.get("tags", ())],
            "custom_data": _scores(conversation),
            "messages_count": len(spoken),
            "_last": last,  # for sorting; never shown
            "_moved": max([begun, *ends]),
        }

    def _last_words(self, number: int, last: Instant) -> Row:
        """As in 2021 for every other ticket, as in 2026 for the rest."""
        if number % 2:
            return {"latest_message_at": self._time(last), "ai_assigned_at": None}
        return {"latest_message": {"id": 1, "type": "INBOUND", "message": "…", "created_at": self._time(last)}}

    def _state(self, conversation: Neutral) -> Row:
        events = conversation.get("events", ())
        agent, team = (conversation.get(one) or last_value(conversation, one) for one in ("agent", "team"))
        done = [event["at"] for event in events if event["kind"] == "status" and event["value"] == "done"]
        assigned = [event["at"] for event in events if event["kind"] == "assigned"]
        closed = conversation["status"] == "done"
        spam = any(event["kind"] == "spam" for event in events)
        return {
            "status": "INVALID" if spam else "CLOSED" if closed else "ASSIGNED" if agent else "OPEN",
            "closed_at": self._time(from_iso(done[-1])) if closed and done else None,
            "assigned_at": self._time(from_iso(assigned[-1])) if agent and assigned else None,
            "user_id": self.number["agent"](agent) if agent else None,
            "team_id": self.number["team"](team) if team else None,
        }

    def _channel_of(self, conversation: Neutral) -> Row:
        original, kind = inbox_of(conversation)
        if original not in self.channels:
            self.channels[original] = self._channel(original, kind or "other", original)
        return self.channels[original]

    def _contact(self, original: str) -> Row:
        number = self.number["contact"](original)
        return {
            "id": number,
            "name": f"Customer {number}",
            "full_name": f"Customer {number}",
            "custom_field_data": None,
        }

    def _message(self, ticket: int, at: Instant, item: Neutral, contact: Row) -> Row:
        author, kind = item["who"], item.get("kind") or "message"
        note = bool(item.get("private")) or kind == "note"
        seat = next((one for one in self.agents if one["id"] == self._seat(item)), None) if author == "human" else None
        return {
            "id": 0,
            "ticket_id": ticket,
            "type": "INBOUND" if author == "customer" else "NOTE" if note else "OUTBOUND",
            "body_type": "COMPONENTS" if kind == "campaign" else "TEXT",
            "message": item.get("text") or "·" * (item.get("length") or 0),
            "created_at": self._time(at),
            "user_id": seat["id"] if seat else None,
            "agent": seat,
            "contact": contact if author == "customer" else None,
            "is_auto_reply": True if author in ("automation", "integration") and kind != "campaign" else None,
            "_at": at,
        }

    def _seat(self, item: Neutral) -> int | None:
        return self.number["agent"](item["author_id"]) if item.get("author_id") else None

    def _number_messages(self) -> int:
        """Ids rise with time over the whole account."""
        rows = sorted((row for rows in self.said.values() for row in rows), key=lambda row: row["_at"])
        for number, row in enumerate(rows, 990_400_001):
            row["id"] = number
        return 990_400_001 + len(rows)

    def _time(self, at: Instant) -> str:
        return datetime.fromtimestamp(at / 1000, self.zone).strftime("%Y-%m-%d %H:%M:%S")

    # --- answering

    def routes(self) -> list[Route]:
        ticket = ROOT + r"/tickets/(\d+)"
        told: list[tuple[str, str, Callable[..., Reply]]] = [
            ("GET", ROOT + "/tickets", self._list),
            ("GET", ticket, lambda request, number: Reply(_shown(self._of(number)))),
            ("GET", ticket + "/messages", self._messages),
            ("GET", ticket + r"/messages/(\d+)", self._one_message),
            ("POST", ticket + "/messages", self._say),
            ("POST", ticket + "/labels", self._label),
            ("DELETE", ticket + r"/labels/(\d+)", self._unlabel),
            ("POST", ROOT + "/labels", self._new_label),
            ("GET", ROOT + "/labels", lambda request: self._short(request, self._labels())),
            ("GET", ROOT + "/users", lambda request: self._short(request, self.agents)),
            ("GET", ROOT + "/teams", lambda request: self._short(request, self.teams)),
            ("GET", ROOT + "/channels", lambda request: Reply(list(self.channels.values()))),
            ("GET", ROOT + "/custom_fields", lambda request: Reply({"data": [SCORE_FIELD]})),
            ("GET", ".*", lambda request: Reply(WEB_APP)),
        ]
        return [(method, path, self._limited(handler)) for method, path, handler in told]

    def _limited(self, handler: Callable[..., Reply]) -> Callable[..., Reply]:
        """A minute is so many requests: the next is refused, and a new minute begins."""

        def answer(request: Request, *groups: str) -> Reply:
            self.asked += 1
            headers = {"x-ratelimit-limit": str(self.minute), "x-ratelimit-remaining": str(self.minute - self.asked)}
            if self.asked > self.minute:
                self.asked = 0
                return Reply({"message": "Too Many Attempts."}, 429, headers | {"Retry-After": "20"})
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                return Reply({"message": "Unauthenticated."}, 401, headers)
            date = format_datetime(datetime.fromtimestamp(self.world.now // 1000, UTC), usegmt=True)
            return handler(request, *groups)._replace(headers=headers | {"Date": date})

        return answer

    def _list(self, request: Request) -> Reply:
        """Only what is known to be a filter is one; anything else is taken without a word."""
        found = list(self.tickets.values())
        if after := request.query.get("updated_at_gt"):
            found = [row for row in found if row["_moved"] > from_iso(after)]
        newest_first = request.query.get("sort", "-date").startswith("-")
        found.sort(key=lambda row: (row["_last"], row["id"]), reverse=newest_first)
        return self._simple(request, [_shown(row) for row in found], PAGE)

    def _messages(self, request: Request, number: str) -> Reply:
        self._of(number)
        newest_first = sorted(self.said[int(number)], key=lambda row: row["id"], reverse=True)
        size = min(request.whole("per_page", PAGE), MOST_MESSAGES)
        return self._simple(request, [_shown(row) for row in newest_first], size)

    def _one_message(self, request: Request, number: str, message: str) -> Reply:
        self._of(number)
        found = [row for row in self.said[int(number)] if row["id"] == int(message)]
        return Reply(_shown(found[0] if found else _missing()))

    def _simple(self, request: Request, found: list[Row], size: int) -> Reply:
        """A list that tells neither its last page nor how much there is."""
        page = request.whole("page", 1)
        here = f"{ROOT}{request.path.removeprefix(ROOT)}?page="
        rows = found[(page - 1) * size : page * size]
        going_on = f"{here}{page + 1}" if page * size < len(found) else None
        links = {"first": f"{here}1", "last": None, "prev": f"{here}{page - 1}" if page > 1 else None, "next": going_on}
        start = (page - 1) * size
        meta = {"current_page": page, "from": start + 1 if rows else None, "path": here, "per_page": size}
        return Reply({"data": rows, "links": links, "meta": {**meta, "to": start + len(rows) if rows else None}})

    def _short(self, request: Request, rows: list[Row], size: int = 5) -> Reply:
        """Users, teams and labels tell their last page; here they have small ones."""
        answer = self._simple(request, rows, size)
        last = max(1, -(-len(rows) // size))
        return Reply({**answer.body, "meta": {**answer.body["meta"], "last_page": last, "total": len(rows)}})

    def _of(self, number: str) -> Row:
        return self.tickets.get(int(number)) or _missing()

    # --- writing

    def _labels(self) -> list[Row]:
        return [{"id": number, "name": name} for name, number in self.number["label"].known.items()]

    def _new_label(self, request: Request) -> Reply:
        name = request.json()["name"]
        return Reply({"id": self.number["label"](name), "name": name}, 201)

    def _label(self, request: Request, number: str) -> Reply:
        ticket, label = self._of(number), request.json()["label_id"]
        known = {one["id"]: one for one in self._labels()}
        if label not in known:
            raise Refused(422, {"message": "The selected label id is invalid."})
        if label not in [one["id"] for one in ticket["labels"]]:
            ticket["labels"] = [*ticket["labels"], known[label]]
        return self._touched(ticket, Reply({"success": True}))

    def _unlabel(self, request: Request, number: str, label: str) -> Reply:
        ticket = self._of(number)
        ticket["labels"] = [one for one in ticket["labels"] if one["id"] != int(label)]
        return self._touched(ticket, Reply({"success": True}))

    def _say(self, request: Request, number: str) -> Reply:
        """Whatever is not literally an internal note is sent to the customer."""
        ticket, sent = self._of(number), request.json()
        note = sent.get("internal_note") is True
        if not note:
            self.violations.append({"ticket": int(number), **sent})
        row = self._message(int(number), self._present(), {"who": "human", "text": sent["message"]}, ticket["contact"])
        row |= {"id": self.next_message, "type": "NOTE" if note else "OUTBOUND", "user_id": self.agents[0]["id"]}
        self.next_message += 1
        self.said[int(number)].append(row | {"agent": self.agents[0]})
        return self._touched(ticket, Reply(_shown(row), 201))

    def _present(self) -> Instant:
        return self.world.now + 1000 * self.ticks

    def _touched(self, ticket: Row, reply: Reply) -> Reply:
        self.ticks += 1
        ticket |= {"updated_at": self._time(self._present()), "_moved": self._present()}
        return reply


def _is_said(item: Neutral) -> bool:
    """Survey questions and activity lines are nothing that Trengo's messages hold."""
    return item.get("kind") not in ("survey", "activity")


def _scores(conversation: Neutral) -> list[Row] | None:
    """What a rule wrote: the latest answer, without its time."""
    given = [(rating, *answers(rating)[-1]) for rating in conversation["ratings"] if answers(rating)]
    if not given:
        return None
    rating, _, score = max(given, key=lambda one: from_iso(one[1]))
    return [{"id": SCORE_FIELD["id"], "title": SCORE_FIELD["title"], "value": str(five_point(rating, score))}]


def _shown(row: Row) -> Row:
    return {key: value for key, value in row.items() if not key.startswith("_")}


def _missing() -> Row:
    raise Refused(404, {"message": "Not found"})


class Trengo(Vendor):
    """``zone`` is that of its times, which do not say it."""

    name = "trengo"

    def __init__(self, world: World, zone: str = "UTC", minute: int = A_MINUTE) -> None:
        self.desk = Desk(world, zone, minute)
        super().__init__(self.desk)

    def settings(self) -> Row:
        return {
            "url": self.url,
            "token": TOKEN,
            "zone": str(self.desk.zone),
            "score_field": SCORE_FIELD["title"],
            "requests_per_second": 1_000_000,
        }
