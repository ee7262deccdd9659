"""The difference between what the rules point at and what is written already: what a push would do, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from connector.config import Config
from connector.models import OWN_NOTE_MARK, Instant
from connector.push.outbox import Action, entry, sent_today
from connector.push.rules import Match, matches
from connector.store import Connection

Cannot = frozenset[tuple[str, str]]
"""(service, action) pairs that the service's adapter is not able to do."""


@dataclass(frozen=True)
class Plan:
    """``todo`` begins with what an earlier run left open. ``done`` holds (action, state): sent, present (the tag was
    there without us, so its note is not ours to write either), undone, rejected, mismatch.

    ``later`` is over today's budget; ``unable`` is what the service cannot take.
    """

    at: Instant
    todo: tuple[Action, ...]
    done: tuple[tuple[Action, str], ...]
    later: tuple[Action, ...]
    unable: tuple[Action, ...]
    budget_left: int


def plan(conn: Connection, config: Config, now: Instant, cannot: Cannot = frozenset()) -> Plan:
    """What the rules that are on would write now. Reads only; ConfigError for an unknown rule.

    A key is claimed once ever: what was undone, rejected or read back wrong is never planned again.
    """
    everything = list(_wanted(conn, config, now))
    wanted = [action for action in everything if (action.service, action.action) not in cannot]
    unable = [action for action in everything if (action.service, action.action) in cannot]
    judged = [_judge(conn, config, action) for action in wanted]
    todo = sorted((action for action, state in judged if not state), key=lambda action: not action.retry)
    budget = max(0, config.push.daily_budget - sent_today(conn, config, now))
    return Plan(
        at=now,
        todo=(*_left_behind(conn, config, {action.key for action in wanted}, cannot), *todo[:budget]),
        done=tuple((action, state) for action, state in judged if state),
        later=tuple(todo[budget:]),
        unable=tuple(unable),
        budget_left=budget,
    )


def _wanted(conn: Connection, config: Config, now: Instant) -> Iterator[Action]:
    """The freshest events first, so that the budget is not spent on old ones; a tag and its note follow each other."""
    services = {service.name for service in config.services}
    found = [match for rule in config.push.rules for match in matches(conn, config, rule, now)]
    for match in sorted(found, key=lambda match: -match.at):
        if match.service in services:
            yield from _actions(match, config)


def _actions(match: Match, config: Config) -> Iterator[Action]:
    tag = config.push.prefix + match.rule.name
    of_tag = Action(
        key=_tag_key(match.service, match.conversation, tag),
        service=match.service,
        action="tag",
        payload=tag,
        reason=match.reason,
        rule=match.rule.name,
        conversation_id=match.conversation_id,
        conversation=match.conversation,
        link=match.link,
        tags=match.tags,
    )
    yield of_tag
    if match.rule.note:
        title = match.kind.title[config.language]
        colon = " : " if config.language == "fr" else ": "
        text = f"{OWN_NOTE_MARK} {title}{colon}{match.reason}. {match.how}"
        key = f"note:{match.service}:{match.conversation}:{match.rule.name}"
        yield replace(of_tag, key=key, action="note", payload=text)


def _tag_key(service: str, conversation: str, tag: str) -> str:
    return f"tag:{service}:{conversation}:{tag}"


def _judge(conn: Connection, config: Config, action: Action) -> tuple[Action, str]:
    """The action as it is to be done, and "" — or why there is nothing to do."""
    found = entry(conn, action.key)
    if found is None:
        return action, "present" if _is_marked(conn, config, action) else ""
    if found.state in ("sent", "undone", "rejected", "mismatch"):
        return action, found.state
    return replace(action, payload=found.payload, retry=True), ""


def _is_marked(conn: Connection, config: Config, action: Action) -> bool:
    """Is the rule's tag there, and not by this outbox? Then by hand, or by one that a fresh store knows nothing of."""
    tag = f"{config.push.prefix}{action.rule}"
    return tag in action.tags and entry(conn, _tag_key(action.service, action.conversation, tag)) is None


LEFT = """
SELECT o.key, o.service, o.action, o.payload, o.reason, o.rule, o.conversation_id, c.vendor_id AS conversation, c.link
FROM outbox o JOIN conversations c ON c.id = o.conversation_id
WHERE o.state IN ('sending', 'failed') AND o.action IN ('tag', 'note') ORDER BY o.claimed_at, o.key
"""


def _left_behind(conn: Connection, config: Config, wanted: set[str], cannot: Cannot) -> list[Action]:
    """What may have arrived and no rule wants any more: it is still looked for, so that undo knows of it."""
    services = {service.name for service in config.services}
    left = [Action(**dict(row), retry=True, look_only=True) for row in conn.execute(LEFT) if row["key"] not in wanted]
    return [one for one in left if one.service in services and (one.service, one.action) not in cannot]
