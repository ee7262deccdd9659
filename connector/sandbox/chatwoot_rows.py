"""A world as a Chatwoot account's rows, in the words and types of Chatwoot's application API.

Ids become whole numbers, in order of creation; the world's own id of a conversation stays in ``custom_attributes``.
Chatwoot keeps whole seconds: stamps are floored, but what one side said after the other stays after it. What Chatwoot
cannot express is left out: deleted and merged conversations are gone, spam is a label.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from connector.models import from_iso
from connector.sandbox.chatwoot_history import activity, reporting_events
from connector.sandbox.chatwoot_wire import (
    ACCOUNT,
    ACTIVITY,
    ADMIN,
    INCOMING,
    OUTGOING,
    STATUSES,
    TEMPLATE,
    Row,
    agent_row,
    event_keys,
    inbox_row,
    label,
    message_row,
)
from connector.sandbox.hours import schedule_of
from connector.sandbox.timeline import content, five_point, inbox_of, last_value, timeline_of, whole_seconds
from connector.sandbox.world import Neutral, World, answers

GONE = ("deleted", "merged")


class Ids:
    """The world's ids of one type ↔ Chatwoot's numbers, given out in the order asked for."""

    def __init__(self, first: int = 1) -> None:
        self.first = first
        self.numbers: dict[str, int] = {}
        self.originals: dict[int, str] = {}

    def number(self, original: str) -> int:
        if original not in self.numbers:
            number = self.first + len(self.numbers)
            self.numbers[original], self.originals[number] = number, original
        return self.numbers[original]


@dataclass
class Case:
    """A conversation with everything below it."""

    row: Row
    messages: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    contact: Row = field(default_factory=dict)

    def shown(self) -> Row:
        """As lists and single reads show it: with its last message only."""
        spoken = [m for m in self.messages if m["message_type"] != ACTIVITY]
        last = spoken[-1] if spoken else None
        return {**self.row, "messages": self.messages[-1:], "last_non_activity_message": last}


@dataclass
class Tables:
    """Everything that an account holds. ``left_out`` counts conversations that Chatwoot would have forgotten."""

    cases: dict[int, Case] = field(default_factory=dict)
    inboxes: list[Row] = field(default_factory=list)
    teams: list[Row] = field(default_factory=list)
    agents: list[Row] = field(default_factory=list)
    contacts: list[Row] = field(default_factory=list)
    labels: list[Row] = field(default_factory=list)
    ratings: list[Row] = field(default_factory=list)
    ids: dict[str, Ids] = field(default_factory=dict)
    left_out: int = 0


def tables(world: World) -> Tables:
    return _Account(world).fill()


class _Account:
    def __init__(self, world: World) -> None:
        self.world = world
        kinds = ("conversation", "inbox", "team", "contact", "bot", "campaign", "rule")
        self.ids = {kind: Ids() for kind in kinds} | {"agent": Ids(first=ADMIN["id"] + 1)}
        self.agents = {agent["id"]: agent for agent in world.agents}
        self.contacts = {contact["id"]: contact for contact in world.contacts}
        self.inboxes = {inbox["id"]: inbox for inbox in world.inboxes}
        self.teams = {team["id"]: team for team in world.teams}
        self.rows = Tables(ids=self.ids, agents=[agent_row(ADMIN, "administrator")])
        self.sendable: dict[tuple[str, str], Row] = {}

    def fill(self) -> Tables:
        self._known()
        for conversation in self.world.conversations:
            if any(event["kind"] in GONE for event in conversation.get("events", ())):
                self.rows.left_out += 1
            else:
                self._conversation(conversation)
        self._number_messages()
        titles = sorted({label for case in self.rows.cases.values() for label in case.row["labels"]})
        self.rows.labels = [label(n, title) for n, title in enumerate(titles, 1)]
        return self.rows

    def _known(self) -> None:
        """What the world lists exists even where no conversation speaks of it."""
        for inbox in self.world.inboxes:
            self._inbox(inbox["id"], inbox.get("channel"))
        for team in self.world.teams:
            self._team(team["id"])
        for agent in self.world.agents:
            self._sender("bot" if agent.get("bot") else "agent", agent["id"])
        for contact in self.world.contacts:
            self._sender("contact", contact["id"])

    # --- a conversation

    def _conversation(self, conversation: Neutral) -> None:
        number = self.ids["conversation"].number(conversation["id"])
        created = from_iso(conversation["created_at"]) // 1000
        inbox = self._inbox(*inbox_of(conversation))
        timeline = whole_seconds(timeline_of(conversation, self.agents))
        case = Case(self._row(conversation, number, created, inbox))
        case.contact = self._sender("contact", conversation["contact"])
        for second, kind, item in timeline:
            getattr(self, f"_{kind}")(case, second, item, conversation)
        facts = reporting_events(created, timeline, self._hours(conversation), self._number_of)
        case.events = [{"id": number * 1000 + n, **event_keys(case.row), **fact} for n, fact in enumerate(facts.events)]
        case.row["first_reply_created_at"] = facts.first_reply or 0
        case.row["waiting_since"] = facts.waiting_since or 0
        self._stamp(case, timeline[-1][0] if timeline else created)
        self.rows.cases[number] = case

    def _row(self, conversation: Neutral, number: int, created: int, inbox: Row) -> Row:
        spam = any(event["kind"] == "spam" for event in conversation.get("events", ()))
        labels = list(dict.fromkeys([*conversation.get("tags", ()), *(["spam"] if spam else [])]))
        language = conversation.get("language")
        return {
            "id": number,
            "uuid": str(uuid5(NAMESPACE_URL, f"deskpulse-sandbox/{conversation['id']}")),
            "account_id": ACCOUNT,
            "inbox_id": inbox["id"],
            "status": STATUSES[conversation["status"]],
            "created_at": created,
            "first_reply_created_at": 0,
            "waiting_since": 0,
            "snoozed_until": None,
            "priority": None,
            "unread_count": 0,
            "can_reply": True,
            "muted": False,
            "labels": labels,
            "custom_attributes": {"external_id": conversation["id"]},
            "additional_attributes": {"browser_language": language} if language else {},
            "sla_policy_id": None,
            "meta": self._meta(conversation, inbox),
        }

    def _meta(self, conversation: Neutral, inbox: Row) -> Row:
        agent = conversation.get("agent") or last_value(conversation, "assigned")
        team = conversation.get("team") or last_value(conversation, "team")
        meta = {"sender": self._sender("contact", conversation["contact"]), "channel": inbox["channel_type"]}
        if agent:
            meta["assignee"] = self._sender("bot" if self.agents.get(agent, {}).get("bot") else "agent", agent)
            meta["assignee_type"] = "AgentBot" if meta["assignee"]["type"] == "agent_bot" else "User"
        return {**meta, **({"team": self._team(team)} if team else {}), "hmac_verified": False}

    def _stamp(self, case: Case, last: int) -> None:
        """``updated_at`` is a float whose fraction is the conversation's own, so that equal seconds still differ."""
        case.row["timestamp"] = case.row["last_activity_at"] = last
        case.row["updated_at"] = last + (case.row["id"] * 7919 % 1000) / 1000
        seen = last if case.row["first_reply_created_at"] else 0
        case.row |= {"agent_last_seen_at": seen, "assignee_last_seen_at": seen, "contact_last_seen_at": 0}
        for at in ("created_at", "last_activity_at"):
            stamps = [stamp for stamp in (case.contact[at], case.row[at]) if stamp]
            case.contact[at] = min(stamps) if at == "created_at" else max(stamps)

    # --- what its timeline holds

    def _message(self, case: Case, second: int, item: Neutral, conversation: Neutral) -> None:
        author = item["who"]
        row = self._post(case, second, content(item), INCOMING if author == "customer" else OUTGOING)
        row["private"] = bool(item.get("private")) or item.get("kind") == "note"
        kind = item.get("kind") or "message"
        if kind == "activity":
            row["message_type"] = ACTIVITY
        elif kind == "survey":
            row |= {"message_type": TEMPLATE, "content_type": "input_csat"}
        elif kind == "campaign":
            row["additional_attributes"] = {"campaign_id": self.ids["campaign"].number(item.get("author_id") or "1")}
        elif author == "automation":
            self._automated(row, item.get("author_id") or "rule")
        if author in ("customer", "human", "bot") and kind in ("message", "note"):
            nameless = {"customer": conversation["contact"], "human": conversation.get("agent") or "agent"}
            self._signed(row, author, item.get("author_id") or nameless.get(author) or author)

    def _automated(self, row: Row, by: str) -> None:
        """Greetings and out-of-office answers are templates; anything else was sent by a rule."""
        if by in ("greeting", "closed"):
            row["message_type"] = TEMPLATE
        else:
            row["content_attributes"] = {"automation_rule_id": self.ids["rule"].number(by)}

    def _signed(self, row: Row, author: str, by: str) -> None:
        kind = {"customer": "contact", "human": "agent", "bot": "bot"}[author]
        sender = self._sender(kind, by)
        types = {"contact": "Contact", "agent": "User", "bot": "AgentBot"}
        row |= {"sender_type": types[kind], "sender_id": sender["id"], "sender": sender}

    def _event(self, case: Case, second: int, item: Neutral, conversation: Neutral) -> None:
        text = activity(item, conversation.get("language") or "en", self._name_of)
        if text:
            self._post(case, second, text, ACTIVITY)

    def _survey(self, case: Case, second: int, item: Neutral, conversation: Neutral) -> None:
        row = self._post(case, second, "Please rate the conversation", TEMPLATE) | {"content_type": "input_csat"}
        case.messages[-1] = row
        given = answers(item)
        if not given:
            return
        rating = five_point(item, given[-1][1])
        row["content_attributes"] = {
            "submitted_values": {"csat_survey_response": {"rating": rating, "feedback_message": ""}}
        }
        agent = item.get("agent") or conversation.get("agent")
        self.rows.ratings.append({
            "id": len(self.rows.ratings) + 1,
            "rating": rating,
            "feedback_message": "",
            "account_id": ACCOUNT,
            "message_id": row,  # its number, once it has one
            "contact": case.contact,
            "conversation_id": case.row["id"],
            "assigned_agent": self._sender("agent", agent) if agent else None,
            "created_at": from_iso(given[0][0]) // 1000,
        })  # fmt: skip

    def _post(self, case: Case, second: int, content: str, message_type: int) -> Row:
        row = message_row(case.row, second, content, message_type)
        case.messages.append(row)
        return row

    def _number_messages(self) -> None:
        """Message ids rise with time over the whole account."""
        rows = [row for case in self.rows.cases.values() for row in case.messages]
        for number, row in enumerate(sorted(rows, key=lambda row: row["created_at"]), 1001):
            row["id"] = number
        for rating in self.rows.ratings:
            rating["message_id"] = rating["message_id"]["id"]

    # --- who and where

    def _sender(self, kind: str, original: str) -> Row:
        """One row per person, shared by everything that shows them."""
        key = (kind, original)
        if key not in self.sendable:
            number = self.ids[kind].number(original)
            known = self.contacts if kind == "contact" else self.agents
            record = known.get(original, {"id": original})
            name = record.get("name") or original
            self.sendable[key] = getattr(self, f"_new_{kind}")(number, name, record)
        return self.sendable[key]

    def _new_agent(self, number: int, name: str, record: Neutral) -> Row:
        row = {"id": number, "name": name, "email": f"agent{number}@example.com"}
        self.rows.agents.append(agent_row(row, "agent"))
        return {**row, "available_name": name, "thumbnail": "", "type": "user"}

    def _new_bot(self, number: int, name: str, record: Neutral) -> Row:
        return {"id": number, "name": name, "avatar_url": "", "type": "agent_bot"}

    def _new_contact(self, number: int, name: str, record: Neutral) -> Row:
        created = record.get("created_at")
        row = {
            "id": number,
            "name": name,
            "email": f"customer{number}@example.com",
            "phone_number": None,
            "identifier": record["id"],
            "thumbnail": "",
            "blocked": False,
            "availability_status": "offline",
            "additional_attributes": {},
            "custom_attributes": {},
            "created_at": from_iso(created) // 1000 if created else 0,
            "last_activity_at": 0,
            "type": "contact",
        }
        self.rows.contacts.append(row)
        return row

    def _team(self, original: str) -> Row:
        number = self.ids["team"].number(original)
        if number > len(self.rows.teams):
            name = self.teams.get(original, {}).get("name") or original
            row = {"id": number, "name": name, "description": None, "allow_auto_assign": True}
            self.rows.teams.append({**row, "account_id": ACCOUNT, "is_member": False})
        return self.rows.teams[number - 1]

    def _inbox(self, original: str, channel: str | None) -> Row:
        number = self.ids["inbox"].number(original)
        if number > len(self.rows.inboxes):
            record = self.inboxes.get(original, {"id": original})
            self.rows.inboxes.append(inbox_row(number, record, record.get("channel") or channel))
        return self.rows.inboxes[number - 1]

    def _hours(self, conversation: Neutral) -> Any:
        inbox = self.inboxes.get(inbox_of(conversation)[0], {})
        return schedule_of(inbox["schedule"]) if inbox.get("schedule") else None

    def _name_of(self, kind: str, original: str) -> str:
        if kind == "team":
            return str(self._team(original)["name"])
        record = self.agents.get(original) or self.contacts.get(original) or {}
        return str(record.get("name") or original)

    def _number_of(self, agent: str | None) -> int | None:
        return self.ids["agent"].numbers.get(agent) if agent else None
