"""A file of the neutral format → World. Checks what the sandbox needs; the ``files`` adapter is the stricter reader."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from connector.errors import UsageError
from connector.models import from_iso
from connector.sandbox.hours import schedule_of
from connector.sandbox.timeline import scale
from connector.sandbox.world import Neutral, World, answers

AUTHORS = ("customer", "agent", "human", "bot", "automation", "integration", "unknown")
STATUSES = {"resolved": "done", "solved": "done", "closed": "done"} | {
    s: s for s in ("open", "pending", "snoozed", "done")
}
EVENTS = ("status", "assigned", "team", "handoff", "merged", "deleted", "spam")
KINDS = ("message", "note", "activity", "survey", "campaign")
CHILDREN = {"message": "messages", "event": "events", "rating": "ratings"}
IDS = ("id", "conversation", "inbox", "team", "agent", "contact", "author_id", "actor")


def read(path: Path) -> World:
    """UsageError names the first bad line and what is wrong with it."""
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error}): name a file of the neutral format, JSON Lines") from None
    records = _records(path, lines)
    if not records["conversation"]:
        raise UsageError(f"{path} holds no conversations: write one per line, each with its messages")
    schedules = [inbox["schedule"]["zone"] for inbox in records["inbox"] if inbox.get("schedule")]
    return World(schedules[0] if schedules else "UTC", records, _remarks(records["conversation"]))


def _remarks(conversations: list[Neutral]) -> tuple[str, ...]:
    repeated = sum(record["again"] for record in conversations)
    return (f"{repeated} ids are repeated in the file; every line is served as its own conversation",) * bool(repeated)


def _records(path: Path, lines: Iterable[str]) -> dict[str, list[Neutral]]:
    found: dict[str, list[Neutral]] = {kind: [] for kind in (*CHECKS, *LONE)}
    for number, line in enumerate(lines, 1):
        if line.strip():
            record = _at_line(path, number, partial(_record, line))
            found[record["type"]].append({**record, "line": number})
    conversations = _told_apart(found["conversation"])
    for child in (child for kind in LONE for child in found[kind]):
        _at_line(path, child["line"], partial(_adopt, child, conversations))
    for record in conversations.values():
        _complete(record)
    return {**{kind: found[kind] for kind in CHECKS}, "conversation": list(conversations.values())}


def _told_apart(records: list[Neutral]) -> dict[str, Neutral]:
    """By id. Every line is a conversation of its own: what repeats an id gets a number behind it."""
    found: dict[str, Neutral] = {}
    times: Counter[str] = Counter()
    for record in records:
        times[record["id"]] += 1
        again = record["id"] in found
        own = f"{record['id']}~{times[record['id']]}" if again else record["id"]
        found[own] = {**record, "id": own, "again": again}
    return found


def _at_line(path: Path, number: int, read_it: Callable[[], Any]) -> Any:
    try:
        return read_it()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"{path} line {number}: {reason}; nothing is served until it is corrected") from None


def _record(line: str) -> Neutral:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from None
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    record.setdefault("type", "conversation")
    check = (CHECKS | LONE).get(record["type"])
    if check is None:
        raise ValueError(f"no such type: {record['type']}")
    check(record)
    json.dumps(record, ensure_ascii=False).encode()  # half an emoji could not be served
    return record


def _adopt(record: Neutral, conversations: dict[str, Neutral]) -> None:
    parent = conversations.get(str(record["conversation"]))
    if parent is None:
        raise ValueError(f"no conversation {record['conversation']} in this file")
    parent.setdefault(CHILDREN[record["type"]], []).append(record)


def _named(record: Neutral) -> None:
    """Ids may be written as numbers, and are text from here on."""
    for key in IDS:
        if record.get(key) is not None:
            record[key] = str(record[key])
    if not record["id"]:
        raise ValueError("id is empty")


def _inbox(record: Neutral) -> None:
    _named(record)
    if record.get("schedule"):
        schedule_of(record["schedule"])


def _conversation(record: Neutral) -> None:
    _named(record)
    for key, check in (("messages", _message), ("events", _event), ("ratings", _rating)):
        if not isinstance(record.setdefault(key, []), list):
            raise ValueError(f"{key} is not a list")
        for child in record[key]:
            check(child)
    if record.get("status") is not None:
        record["status"] = STATUSES[_one_of("status", record["status"], STATUSES)]
    if record.get("created_at"):
        from_iso(record["created_at"])
    elif not record["messages"]:
        raise ValueError("created_at is needed where there are no messages")
    if not isinstance(record.setdefault("tags", []), list):
        raise ValueError("tags is not a list")
    record["tags"] = [str(tag) for tag in record["tags"]]


def _message(record: Neutral) -> None:
    _named(record)
    from_iso(record["at"])
    _one_of("author", record["author"], AUTHORS)
    _one_of("kind", record.get("kind") or "message", KINDS)
    if not isinstance(record.get("length") or 0, int):
        raise ValueError("length is not a number of characters")


def _event(record: Neutral) -> None:
    record.setdefault("id", "")
    from_iso(record["at"])
    _one_of("kind", record["kind"], EVENTS)
    if record["kind"] == "status":
        for key in ("value", "was"):
            if record.get(key) or key == "value":
                record[key] = STATUSES[_one_of("status", record[key], STATUSES)]
    elif record.get("value") is not None:
        record["value"] = str(record["value"])


def _rating(record: Neutral) -> None:
    if not (record.get("offered_at") or answers(record)):
        raise ValueError("a rating has neither offered_at nor an answer")
    low, high = scale(record)
    for at, score in answers(record):
        from_iso(at)
        if not isinstance(score, int | float):
            raise ValueError(f"score {score!r} is not a number")
        if not low <= score <= high or low == high:
            raise ValueError(f"score {score} is not between {low} and {high}")
    if record.get("offered_at"):
        from_iso(record["offered_at"])


def _one_of(key: str, word: str, known: Iterable[str]) -> str:
    if word not in known:
        raise ValueError(f'{key} "{word}" is unknown; it may be {", ".join(known)}')
    return word


def _complete(record: Neutral) -> None:
    """What the format lets be left out: the first message, the first customer and the last status event say it."""
    messages = sorted(record["messages"], key=lambda m: from_iso(m["at"]))
    record["messages"] = messages
    record["events"].sort(key=lambda e: from_iso(e["at"]))
    if not record.get("created_at"):
        record["created_at"] = messages[0]["at"]
    customers = [m["author_id"] for m in messages if m["author"] == "customer" and m.get("author_id")]
    record["contact"] = record.get("contact") or (customers[0] if customers else f"contact of {record['id']}")
    statuses = [event["value"] for event in record["events"] if event["kind"] == "status"]
    record["status"] = record.get("status") or (statuses[-1] if statuses else "open")


CHECKS: dict[str, Callable[[Neutral], None]] = {
    "inbox": _inbox,
    "team": _named,
    "agent": _named,
    "contact": _named,
    "conversation": _conversation,
}
LONE: dict[str, Callable[[Neutral], None]] = {"message": _message, "event": _event, "rating": _rating}
