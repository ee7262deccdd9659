"""Chatwoot's JSON, row by row: names, types and numbers as its application API has them."""

from __future__ import annotations

from typing import Any

from connector.sandbox.hours import DAYS, schedule_of
from connector.sandbox.world import Neutral

Row = dict[str, Any]

ACCOUNT = 1
ADMIN: Row = {"id": 1, "name": "Deskpulse", "email": "deskpulse@example.com"}
CHANNELS = {
    "email": "Channel::Email",
    "live_chat": "Channel::WebWidget",
    "whatsapp": "Channel::Whatsapp",
    "sms": "Channel::Sms",
    "phone": "Channel::Voice",
    "facebook": "Channel::FacebookPage",
    "instagram": "Channel::Instagram",
    "x": "Channel::TwitterProfile",
    "telegram": "Channel::Telegram",
}
STATUSES = {"open": "open", "pending": "pending", "snoozed": "snoozed", "done": "resolved"}
INCOMING, OUTGOING, ACTIVITY, TEMPLATE = range(4)


def message_row(conversation: Row, second: int, content: str, message_type: int) -> Row:
    """A message without a sender, as yet without its number."""
    return {
        "id": 0,
        "content": content,
        "account_id": ACCOUNT,
        "inbox_id": conversation["inbox_id"],
        "conversation_id": conversation["id"],
        "message_type": message_type,
        "content_type": "text",
        "status": "sent",
        "content_attributes": {},
        "additional_attributes": {},
        "created_at": second,
        "private": False,
        "source_id": None,
        "sender_type": None,
        "sender_id": None,
    }


def label(number: int, title: str) -> Row:
    return {"id": number, "title": title, "description": "", "color": "#1F93FF", "show_on_sidebar": True}


def event_keys(conversation: Row) -> Row:
    """Reporting events name the conversation by its internal id, which nothing else shows."""
    return {
        "account_id": ACCOUNT,
        "inbox_id": conversation["inbox_id"],
        "conversation_id": conversation["id"] + 553_000,
    }


def agent_row(row: Row, role: str) -> Row:
    return {
        **row,
        "account_id": ACCOUNT,
        "available_name": row["name"],
        "availability_status": "online",
        "auto_offline": True,
        "confirmed": True,
        "role": role,
        "thumbnail": "",
        "custom_role_id": None,
    }


def inbox_row(number: int, record: Neutral, channel: str | None) -> Row:
    schedule = record.get("schedule")
    return {
        "id": number,
        "channel_id": number,
        "name": record.get("name") or record["id"],
        "channel_type": CHANNELS.get(channel or "", "Channel::Api"),
        "greeting_enabled": channel in ("live_chat", "instagram"),
        "csat_survey_enabled": True,
        "enable_auto_assignment": False,
        "lock_to_single_conversation": False,
        "allow_messages_after_resolved": True,
        "working_hours_enabled": bool(schedule),
        "timezone": schedule["zone"] if schedule else "UTC",
        "working_hours": _working_hours(schedule or DEFAULT_HOURS),
    }


DEFAULT_HOURS = {"zone": "UTC", "hours": {day: ["09:00-17:00"] for day in DAYS[:5]}}
"""Chatwoot gives every inbox these, in force or not."""


def _working_hours(schedule: Neutral) -> list[Row]:
    """A row per opening span, at least one per day, Sunday first."""
    hours = schedule_of(schedule).hours
    return [_hours_row(day, span) for day in range(7) for span in hours[(day - 1) % 7] or (None,)]


def _hours_row(day: int, span: tuple[int, int] | None) -> Row:
    start, end = span or (None, None)
    return {
        "day_of_week": day,
        "closed_all_day": span is None,
        "open_all_day": span == (0, 1440),
        "open_hour": None if start is None else start // 60,
        "open_minutes": None if start is None else start % 60,
        "close_hour": None if end is None else min(end, 1439) // 60,
        "close_minutes": None if end is None else min(end, 1439) % 60,
    }
