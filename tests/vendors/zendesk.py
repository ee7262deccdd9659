"""Zendesk's Support API over a world, as far as the adapter uses it, with its habits: the newest minute missing from
the export, an end that only ``end_of_stream`` tells, cursors that it may forget, ``closed`` some days after ``solved``,
messaging that leaves a transcript only, POST that replaces tags where PUT adds, comments that are public unless told
otherwise, and limits of their own for exports.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from connector.models import Instant, from_iso
from connector.sandbox.exchange import Refused, Reply, Request, Route
from connector.sandbox.hours import DAYS, schedule_of
from connector.sandbox.timeline import inbox_of, timeline_of
from connector.sandbox.world import Neutral, World, answers
from vendors import Vendor

Row = dict[str, Any]
ROOT = "/api/v2"
EMAIL, TOKEN = "deskpulse@acme.example", "zendesk-vendor-token"
ADMIN = {"id": 235_300, "name": "Deskpulse", "role": "admin", "locale": "en-US", "created_at": "2025-01-02T08:00:00Z"}
SYSTEM = -1
WORDS = {"email": "email", "live_chat": "native_messaging", "whatsapp": "whatsapp", "instagram": "instagram_dm",
         "x": "twitter", "sms": "sms", "facebook": "facebook", "telegram": "telegram", "phone": "voice"}  # fmt: skip
MESSAGING = ("native_messaging", "whatsapp", "instagram_dm", "telegram")
STATES = {"open": "open", "pending": "pending", "snoozed": "hold", "done": "solved"}
CUSTOM = {"open": 11, "pending": 12, "hold": 13, "solved": 14}
SPEAKERS = {"customer": "user", "human": "agent", "bot": "bot"}
DAY, CLOSES_AFTER = 86_400_000, 4
LIMITS = {"exports": 10, "logs": 100, "account": 200}
BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SURVEY = {"id": "01J58KJ9RAE0D2EK7HRVM7Z8F2", "version": 1, "state": "enabled"}
FORBIDDEN = {"error": {"title": "Forbidden", "message": "You do not have access to this page"}}


class _Numbers:
    """The world's ids of one type ↔ whole numbers, in the order asked for."""

    def __init__(self, first: int) -> None:
        self.first, self.known = first, dict[str, int]()

    def __call__(self, original: str) -> int:
        return self.known.setdefault(original, self.first + len(self.known))


class Desk:
    """One account. ``export_page`` is the most tickets of an export page; ``legacy`` has good/bad ratings instead of
    surveys; ``plan`` lacks what is in ``without`` (a word of the path)."""

    def __init__(
        self, world: World, export_page: int = 300, legacy: bool = False, without: tuple[str, ...] = ()
    ) -> None:
        self.world, self.export_page, self.legacy, self.without = world, export_page, legacy, without
        firsts = {"ticket": 35_001, "agent": 235_301, "group": 98_701, "brand": 121, "customer": 20_970_001}
        self.number = {kind: _Numbers(first) for kind, first in firsts.items()}
        self.violations: list[Row] = []
        self.originals: dict[str, str] = {}
        self.tickets: dict[int, Row] = {}
        self.audits: dict[int, list[Row]] = {}
        self.logs: dict[int, list[Row]] = {}
        self.scores: list[Row] = []
        self.responses: list[Row] = []
        self.users = {ADMIN["id"]: dict(ADMIN)}
        self.seats = {agent["id"]: agent for agent in world.agents}
        self.known = {one["id"]: one for one in world.contacts}
        self.brands = {one["id"]: self._named("brand", one["id"], one["name"]) for one in world.inboxes}
        self.groups = [self._named("group", team["id"], team["name"]) for team in world.teams]
        self.next_id, self.ticks, self.forgotten = 2_127_300_001, 0, 0
        self.spent: Counter[str] = Counter()
        for agent in world.agents:
            if not agent.get("bot"):
                self._user("agent", agent["id"], agent["name"])
        for conversation in world.conversations:
            _Teller(self, conversation).tell()

    # --- what it holds

    @property
    def now(self) -> Instant:
        return self.world.now + 1000 * self.ticks

    def id(self) -> int:
        self.next_id += 1
        return self.next_id

    def _named(self, kind: str, original: str, name: str) -> Row:
        return {"id": self.number[kind](original), "name": name}

    def _user(self, kind: str, original: str, name: str, **more: Any) -> int:
        number = self.number[kind](original)
        role = "agent" if kind == "agent" else "end-user"
        self.users.setdefault(number, {"id": number, "name": name, "role": role, "locale": None, **more})
        return number

    def agent(self, original: str | None) -> int:
        seat = self.seats.get(original or "", {})
        return self.number["agent"](original) if original and original in self.seats and not seat.get("bot") else SYSTEM

    def customer(self, original: str) -> int:
        about = self.known.get(original, {})
        more = {"locale": about.get("language"), "created_at": about.get("created_at")}
        return self._user("customer", original, f"Customer {original}", **more)

    def brand(self, conversation: Neutral) -> int:
        original = inbox_of(conversation)[0]
        if original not in self.brands:
            self.brands[original] = self._named("brand", original, original)
        return int(self.brands[original]["id"])

    # --- answering

    def routes(self) -> list[Route]:
        ticket = ROOT + r"/tickets/(\d+)"
        told: list[tuple[str, str, Callable[..., Reply]]] = [
            ("GET", ROOT + "/incremental/tickets/cursor", self._export),
            ("GET", ROOT + "/tickets/show_many", self._many),
            ("GET", ticket, lambda request, number: Reply({"ticket": _shown(self._of(number))})),
            ("PUT", ticket, self._update),
            ("GET", ticket + "/audits", self._audits),
            ("GET", ticket + "/conversation_log", self._log),
            ("GET", ticket + "/comments", self._comments),
            ("GET", ticket + "/tags", lambda request, number: Reply({"tags": self._of(number)["tags"]})),
            ("(PUT|POST|DELETE)", ticket + "/tags", self._tag),
            ("GET", ROOT + "/users/me", lambda request: Reply({"user": ADMIN})),
            ("GET", ROOT + "/users", self._staff),
            ("GET", ROOT + "/groups", lambda request: self._page(request, "groups", self.groups)),
            ("GET", ROOT + "/brands", lambda request: self._page(request, "brands", list(self.brands.values()))),
            ("GET", ROOT + "/custom_statuses", self._states),
            ("GET", ROOT + "/business_hours/schedules", lambda request: Reply({"schedules": list(self._schedules())})),
            ("GET", ROOT + r"/business_hours/schedules/(\d+)/holidays", self._holidays),
            ("GET", ROOT + "/satisfaction_ratings", self._ratings),
            ("GET", ROOT + "/guide/survey_responses", self._surveys),
        ]
        return [
            (method, path + r"(?:\.json)?", self._guarded(handler))
            for ways, path, handler in told
            for method in ways.strip("()").split("|")
        ]

    def _guarded(self, handler: Callable[..., Reply]) -> Callable[..., Reply]:
        """A minute is so many requests: the next is refused, and a new minute begins."""
        secret = base64.b64encode(f"{EMAIL}/token:{TOKEN}".encode()).decode()

        def answer(request: Request, *groups: str) -> Reply:
            if request.headers.get("authorization") != f"Basic {secret}":
                raise Refused(401, {"error": "Couldn't authenticate you"})
            headers = self._spend(request)
            if any(word in request.path for word in self.without):
                raise Refused(403, FORBIDDEN)
            return handler(request, *groups)._replace(headers=headers)

        return answer

    def _spend(self, request: Request) -> dict[str, str]:
        budgets = ["account"]
        budgets += ["exports"] if "/incremental/" in request.path else []
        budgets += ["logs"] if request.path.endswith("/conversation_log") else []
        for budget in budgets:
            self.spent[budget] += 1
            if self.spent[budget] > LIMITS[budget]:
                self.spent[budget] = 0
                raise Refused(429, {"error": "APIRateLimitExceeded"}, {"Retry-After": "30"})
        most, left = LIMITS["account"], LIMITS["account"] - self.spent["account"]
        return {"X-Rate-Limit": str(most), "X-Rate-Limit-Remaining": str(left), "ratelimit-limit": str(most)}

    def _export(self, request: Request) -> Reply:
        """By the time of the last touch; what is younger than a minute comes the next time."""
        after = self._start(request)
        settled = (self.now - 60_000) // 1000
        rows = sorted(self.tickets.values(), key=_touched)
        rest = [row for row in rows if _touched(row) > after and row["generated_timestamp"] <= settled]
        size = min(request.whole("per_page", 1000), self.export_page)
        page = rest[:size]
        place = _touched(page[-1]) if page else after
        cursor = base64.b64encode(f"{place[0]}||{place[1]}||{self.forgotten}".encode()).decode()
        ends = {"after_cursor": cursor, "before_cursor": None, "end_of_stream": len(page) < size}
        return Reply({"tickets": [_shown(row) for row in page], **ends, "after_url": "https://not.followed.example"})

    def _start(self, request: Request) -> tuple[int, int]:
        if cursor := request.query.get("cursor"):
            at, number, age = base64.b64decode(cursor).decode().split("||")
            if int(age) < self.forgotten:
                raise Refused(400, {"error": "InvalidCursor", "description": "The cursor has expired"})
            return int(at), int(number)
        start = request.whole("start_time", 0)
        if start > self.now // 1000 - 60:
            raise Refused(422, {"error": "InvalidStartTime"})
        return start - 1, 1 << 60

    def forget_cursors(self) -> None:
        """All cursors given so far expire."""
        self.forgotten += 1

    def _many(self, request: Request) -> Reply:
        wanted = [int(one) for one in request.query["ids"].split(",")]
        rows = [self.tickets[one] for one in wanted if one in self.tickets]
        found = [_shown(row) for row in rows if row["status"] != "deleted"]
        return Reply({"tickets": found, "count": len(found), "next_page": None})

    def _audits(self, request: Request, number: str) -> Reply:
        self._of(number)
        reply = self._page(request, "audits", self.audits[int(number)])
        authors = {a["author_id"] for a in reply.body["audits"]} | {self.tickets[int(number)]["requester_id"]}
        users = [self.users[one] for one in sorted(authors) if one in self.users]
        return Reply(reply.body | ({"users": users} if request.query.get("include") == "users" else {}))

    def _log(self, request: Request, number: str) -> Reply:
        self._of(number)
        return self._page(request, "events", self.logs.get(int(number), []))

    def _comments(self, request: Request, number: str) -> Reply:
        self._of(number)
        found = [e | {"created_at": a["created_at"]} for a in self.audits[int(number)] for e in a["events"]]
        return self._page(request, "comments", [one for one in found if one["type"] == "Comment"])

    def _staff(self, request: Request) -> Reply:
        staff = [user for user in self.users.values() if user["role"] != "end-user"]
        return self._page(request, "users", staff, 4)

    def _states(self, request: Request) -> Reply:
        states = [{"id": number, "status_category": word, "active": True} for word, number in CUSTOM.items()]
        return Reply({"custom_statuses": states})

    def _schedules(self) -> Iterator[Row]:
        """In minutes of a week that begins on Sunday, with the zone by its city's name."""
        for number, inbox in enumerate((one for one in self.world.inboxes if one.get("schedule")), 1):
            schedule = schedule_of(inbox["schedule"])
            spans = [
                {"start_time": (day + 1) % 7 * 1440 + start, "end_time": (day + 1) % 7 * 1440 + end}
                for day in range(len(DAYS))
                for start, end in schedule.hours[day]
            ]
            yield {"id": number, "name": inbox["name"], "time_zone": schedule.zone.split("/")[-1], "intervals": spans}

    def _holidays(self, request: Request, number: str) -> Reply:
        inbox = [one for one in self.world.inboxes if one.get("schedule")][int(number) - 1]
        days = schedule_of(inbox["schedule"]).holidays
        found = [{"id": n, "name": "Holiday", "start_date": day, "end_date": day} for n, day in enumerate(days, 1)]
        return Reply({"holidays": found})

    def _ratings(self, request: Request) -> Reply:
        start = request.whole("start_time", 0) * 1000
        return self._page(
            request, "satisfaction_ratings", [s for s in self.scores if from_iso(s["created_at"]) >= start]
        )

    def _surveys(self, request: Request) -> Reply:
        start = request.whole("filter[created_at_start]", 0)
        found = sorted((one for one in self.responses if one["_at"] >= start), key=lambda one: one["id"])
        return self._page(request, "survey_responses", [_shown(one) for one in found])

    def _page(self, request: Request, key: str, rows: list[Row], most: int = 100) -> Reply:
        """Cursor paging: a page's end is its last row's place."""
        start = request.whole("page[after]", 0)
        size = min(request.whole("page[size]", 100), most)
        more = start + size < len(rows)
        meta = {"has_more": more, "after_cursor": str(start + size) if more else None, "before_cursor": None}
        return Reply({key: rows[start : start + size], "meta": meta, "links": {"next": None, "prev": None}})

    def _of(self, number: str) -> Row:
        row = self.tickets.get(int(number))
        if row is None or row["status"] == "deleted":
            raise Refused(404, {"error": "RecordNotFound", "description": "Not found"})
        return row

    # --- writing

    def _tag(self, request: Request, number: str) -> Reply:
        """PUT adds, POST replaces, DELETE takes away."""
        ticket, given = self._writable(number), request.json()["tags"]
        before = ticket["tags"]
        kept = [tag for tag in before if tag not in given]
        ticket["tags"] = {"PUT": [*kept, *given], "POST": list(given), "DELETE": kept}[request.method]
        change = {"type": "Change", "field_name": "tags", "value": ticket["tags"], "previous_value": before}
        self._wrote(ticket, [change])
        return Reply({"tags": ticket["tags"]}, 201 if request.method == "POST" else 200)

    def _update(self, request: Request, number: str) -> Reply:
        """What is not literally private is sent to the customer; tags here are the whole list."""
        ticket, given = self._writable(number), request.json()["ticket"]
        events: list[Row] = []
        if comment := given.get("comment"):
            public = comment.get("public", True) is not False
            if public:
                self.violations.append({"ticket": int(number), **comment})
            about = {"body": comment["body"], "plain_body": comment["body"], "public": public}
            events.append({"type": "Comment", "author_id": ADMIN["id"], **about})
        if "tags" in given:
            ticket["tags"] = given["tags"]
        audit = self._wrote(ticket, events)
        return Reply({"ticket": _shown(ticket), "audit": audit})

    def _writable(self, number: str) -> Row:
        ticket = self._of(number)
        if ticket["status"] == "closed":
            raise Refused(422, {"error": "RecordInvalid", "description": "Status: closed prevents ticket update"})
        return ticket

    def _wrote(self, ticket: Row, events: list[Row]) -> Row:
        self.ticks += 1
        audit = self.audit(ticket["id"], self.now, ADMIN["id"], "api", events)
        ticket |= {"updated_at": iso(self.now), "generated_timestamp": self.now // 1000}
        return audit

    def audit(self, ticket: int, at: Instant, author: int, channel: str, events: list[Row], **source: Any) -> Row:
        """One more line of a ticket's history."""
        via = {"channel": channel, "source": {"from": {}, "to": {}, "rel": None} | source}
        made = [{"id": self.id(), **event} for event in events]
        about = {"id": self.id(), "ticket_id": ticket, "created_at": iso(at), "author_id": author}
        row: Row = {**about, "via": via, "events": made, "metadata": {"system": {}, "custom": {}}}
        self.audits[ticket].append(row)
        return row

    def delete(self, number: int) -> None:
        """The ticket is deleted: the export says so, nothing else knows it."""
        self.ticks += 1
        row = self.tickets[number]
        row |= {"status": "deleted", "updated_at": iso(self.now), "generated_timestamp": self.now // 1000, "tags": []}


class _Teller:
    """One conversation of the world, as Zendesk would have kept it."""

    def __init__(self, desk: Desk, conversation: Neutral) -> None:
        self.desk, self.told = desk, conversation
        self.number = desk.number["ticket"](conversation["id"])
        desk.originals[str(self.number)] = conversation["id"]
        desk.audits[self.number] = []
        self.customer = desk.customer(conversation["contact"])
        self.word = WORDS.get(inbox_of(conversation)[1] or "", "any_channel")
        self.chat = self.word in MESSAGING
        self.log: list[Row] = []
        self.last = self.began = from_iso(conversation["created_at"])
        self.status = STATES[next((e.get("was") or "open" for e in self._events("status")), conversation["status"])]
        self.gone: Neutral | None = None

    def _events(self, kind: str) -> list[Neutral]:
        return [event for event in self.told.get("events", ()) if event["kind"] == kind]

    def tell(self) -> None:
        created = {"type": "Create", "field_name": "status", "value": self.status}
        self.desk.audit(self.number, self.began, self.customer, self.word, [{**created}, self._custom("Create")])
        for at, kind, item in timeline_of(self.told, self.desk.seats):
            self.last = max(self.last, at)
            getattr(self, f"_{kind}")(at, item)
        self._transcript()
        self._close()
        self.desk.tickets[self.number] = self._row()
        if self.log:
            self.desk.logs[self.number] = self.log

    def _custom(self, kind: str) -> Row:
        return {"type": kind, "field_name": "custom_status_id", "value": str(CUSTOM.get(self.status, 14))}

    def _message(self, at: Instant, item: Neutral) -> None:
        private = bool(item.get("private")) or item.get("kind") == "note"
        text = item.get("text") or "·" * (item.get("length") or 0)
        if self.chat and not private:
            self.log.append(self._line(at, item, text))
            return
        who = {"customer": self.customer, "human": self.desk.agent(item.get("author_id"))}.get(item["who"], SYSTEM)
        channel = {"customer": self.word, "human": "web"}.get(item["who"], "rule")
        comment = {"type": "Comment", "author_id": who, "body": text, "plain_body": text, "public": not private}
        self.desk.audit(self.number, at, who, channel, [comment])

    def _line(self, at: Instant, item: Neutral, text: str) -> Row:
        speaker = SPEAKERS.get(item["who"], "system")
        number = {"user": self.customer, "agent": self.desk.agent(item.get("author_id"))}.get(speaker, SYSTEM)
        author = {"type": speaker, "display_name": "…", "zen:support:user_id": number}
        about = {"id": _ulid(at, self.desk.id()), "type": "Messaging::ConversationMessage", "created_at": iso(at)}
        return {**about, "author": author, "content": {"type": "text", "text": text}, "metadata": {}, "attachments": []}

    def _event(self, at: Instant, item: Neutral) -> None:
        kind, value = item["kind"], item.get("value")
        actor = self.customer if item.get("actor") == self.told["contact"] else self.desk.agent(item.get("actor"))
        if kind in ("deleted", "merged", "spam"):
            self.gone = item
            if kind == "merged":
                self._merge(at, actor, self.desk.number["ticket"](value) if value else None)
        elif kind == "status":
            before, self.status = self.status, STATES[value or "open"]
            changed = {"field_name": "status", "value": self.status, "previous_value": before}
            self._changed(at, actor, [{"type": "Change", **changed}, self._custom("Change")])
        elif kind in ("assigned", "team"):
            new = self.desk.agent(value) if kind == "assigned" else self.desk.number["group"](value or "")
            field = {"assigned": "assignee_id", "team": "group_id"}[kind]
            self._changed(at, actor, [{"type": "Change", "field_name": field, "value": str(new) if value else None}])

    def _changed(self, at: Instant, actor: int, events: list[Row]) -> None:
        self.desk.audit(self.number, at, actor, "rule" if actor == SYSTEM else "web", events)

    def _merge(self, at: Instant, actor: int, into: int | None) -> None:
        text = f"This request was closed and merged into request #{into}."
        comment = {"type": "Comment", "author_id": actor, "body": text, "plain_body": text, "public": False}
        closed = {"type": "Change", "field_name": "status", "value": "closed", "previous_value": self.status}
        self.desk.audit(self.number, at, actor, "web", [comment, closed], rel="merge", **{"from": {"ticket_id": into}})
        self.status = "closed"

    def _survey(self, at: Instant, item: Neutral) -> None:
        """Offered now; the answer's row tells its first time, and its latest score."""
        given = answers(item)
        self.last = max([self.last, *(from_iso(when) for when, _ in given)])
        if self.desk.legacy:
            return self._score(at, given)
        rating = {
            "type": "rating_scale",
            "question": {"type": "rating_scale_numeric", "sub_type": "customer_satisfaction"},
        }
        rows = [
            {**rating, "rating": given[-1][1], "rating_category": "good" if given[-1][1] > 3 else "bad",
             "created_at": given[0][0], "updated_at": given[-1][0]}
        ] if given else []  # fmt: skip
        about = {"id": _ulid(at, self.desk.id()), "subject_zrns": [f"zen:ticket:{self.number}"], "survey": SURVEY}
        self.desk.responses.append({**about, "answers": rows, "responder_id": self.customer, "_at": at})
        return None

    def _score(self, at: Instant, given: list[tuple[str, float]]) -> None:
        word = ("good" if given[-1][1] > 3 else "bad") if given else "offered"
        row = {"id": self.desk.id(), "ticket_id": self.number, "score": word, "created_at": iso(at)}
        self.desk.scores.append({**row, "assignee_id": None, "updated_at": given[-1][0] if given else iso(at)})

    def _transcript(self) -> None:
        if self.log:
            text = "\n".join(line["content"]["text"] for line in self.log)
            about = {"author_id": self.customer, "body": text, "plain_body": text, "public": False}
            self.desk.audit(self.number, self.last, self.customer, self.word, [{"type": "Comment", **about}])

    def _close(self) -> None:
        """Solved tickets close by themselves, with days between: that is no second solve."""
        closes = self.last + CLOSES_AFTER * DAY
        if self.status == "solved" and closes < self.desk.world.now:
            change = {"type": "Change", "field_name": "status", "value": "closed", "previous_value": "solved"}
            self.desk.audit(self.number, closes, SYSTEM, "rule", [change])
            self.status, self.last = "closed", closes

    def _row(self) -> Row:
        told, removed = self.told, self.gone and self.gone["kind"] != "merged"
        merged = ["closed_by_merge"] if self.gone and not removed else []
        agent, team = self._holder("assigned", "agent"), self._holder("team", "team")
        return {
            "id": self.number,
            "status": "deleted" if removed else self.status,
            "custom_status_id": CUSTOM.get(self.status, CUSTOM["solved"]),
            "created_at": iso(self.began),
            "updated_at": iso(self.last),
            "generated_timestamp": self.last // 1000 + 1,
            "via": {"channel": self.word, "source": {"from": {}, "to": {}, "rel": None}},
            "from_messaging_channel": self.chat,
            "requester_id": self.customer,
            "submitter_id": self.customer,
            "assignee_id": self.desk.agent(agent) if agent else None,
            "group_id": self.desk.number["group"](team) if team else None,
            "brand_id": self.desk.brand(told),
            "subject": "…",
            "tags": [*told.get("tags", ()), *merged],
        }

    def _holder(self, kind: str, key: str) -> str | None:
        changes = self._events(kind)
        return changes[-1].get("value") if changes else self.told.get(key)


def iso(at: Instant) -> str:
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _touched(row: Row) -> tuple[int, int]:
    return row["generated_timestamp"], row["id"]


def _shown(row: Row) -> Row:
    return {key: value for key, value in row.items() if not key.startswith("_")}


def _ulid(at: Instant, number: int) -> str:
    """Sorts by time: ten characters of it, and sixteen of chance (here a number)."""
    whole = (at << 80) + number
    return "".join(BASE32[(whole >> 5 * place) & 31] for place in range(25, -1, -1))


class Zendesk(Vendor):
    name = "zendesk"

    def __init__(self, world: World, **habits: Any) -> None:
        self.desk = Desk(world, **habits)
        super().__init__(self.desk)

    def settings(self) -> Row:
        return {"url": self.url, "email": EMAIL, "token": TOKEN, "requests_per_second": 1_000_000}
