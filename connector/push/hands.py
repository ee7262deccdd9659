"""Touching a service, and never believing it: every write is read back and compared with what was meant."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from connector.clock import Clock
from connector.config import Config
from connector.errors import Rejected
from connector.push.diff import Cannot
from connector.push.outbox import Action
from connector.store import Connection

if TYPE_CHECKING:
    from connector.contract import Notes, Tags

Receipt = dict[str, Any]
"""What ``undo`` needs: of a tag, all tags before and after; of a note, its id at the service."""


GONE = (404, 410)
"""Answers that speak of one conversation or note, and say nothing about the others."""


class Unexpected(Exception):
    """The service reads back something else than what was written: everything stops, a person looks."""

    def __init__(self, message: str, receipt: Receipt) -> None:
        super().__init__(message)
        self.receipt = receipt


class Hands:
    """The adapters of the services that are written to, connected when first needed."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._adapters: dict[str, tuple[Any, Any]] = {}

    def of(self, service: str) -> Any:
        """The service's adapter. ConfigError when its settings or secrets are wrong."""
        from connector import registry  # lazily: planning must not import the plugins

        if service not in self._adapters:
            found = registry.connect(self._config.service(service), self._config, self._clock)
            self._adapters[service] = (found[0], found[1])
        return self._adapters[service][0]

    def close(self) -> None:
        for _, http in self._adapters.values():
            http.close()


@contextmanager
def hands(config: Config, clock: Clock) -> Iterator[Hands]:
    found = Hands(config, clock)
    try:
        yield found
    finally:
        found.close()


def cannot(config: Config) -> Cannot:
    """What the config's services are not able to take, by their adapters' capabilities; nothing is connected."""
    from connector import registry
    from connector.contract import Notes, Tags

    classes = {service.name: registry.adapter_class(service.adapter) for service in config.services}
    able = {"tag": Tags, "note": Notes}
    return frozenset(
        (name, act) for name, cls in classes.items() for act, can in able.items() if not issubclass(cls, can)
    )


def write(conn: Connection, adapter: Any, action: Action, canary: bool) -> Receipt:
    """Do it and read it back. Unexpected when the read-back lacks what was written, or what was there before."""
    try:
        return _tag(adapter, action, canary) if action.action == "tag" else _note(adapter, action)
    except Rejected as error:
        # Adapters refuse what reads back wrong, too: a refusal is believed where nothing of ours is there.
        receipt = look(conn, adapter, action)
        if receipt is None:
            raise
        raise Unexpected(str(error), receipt) from error


def _named(adapter: Any, tag: str) -> str:
    """What the service makes of a tag's name: it may be cut, or have letters that are not allowed there."""
    return str(adapter.tag_name(tag)) if hasattr(adapter, "tag_name") else tag


def _tag(adapter: Tags, action: Action, canary: bool) -> Receipt:
    change = adapter.add_tag(action.conversation, action.payload)
    receipt: Receipt = {"before": list(change.before), "after": list(change.after)}
    # The first write of a run is read once more in a call of its own: an answer may merely echo what was sent.
    seen = adapter.tags(action.conversation) if canary else change.after
    # A tag that somebody adds meanwhile is theirs; what may not happen is that one is missing.
    if not {*change.before, _named(adapter, action.payload)} <= {*change.after} & {*seen}:
        raise Unexpected(
            f"{action.service} {action.conversation}: tags were {_names(change.before)}, we added {action.payload}, "
            f"and it now reads {_names(seen)}",
            receipt,
        )
    return receipt


def _note(adapter: Notes, action: Action) -> Receipt:
    note = adapter.add_note(action.conversation, action.payload)
    found = adapter.find_note(action.conversation, action.payload)
    if found != note:
        raise Unexpected(
            f"{action.service} {action.conversation}: the note {note} that we wrote reads back as {found or 'missing'}",
            {"note": note},
        )
    return {"note": note}


def look(conn: Connection, adapter: Any, action: Action) -> Receipt | None:
    """Did an action of unknown fate arrive? Its receipt if so."""
    if action.action == "note":
        note = adapter.find_note(action.conversation, action.payload)
        return {"note": note, "found": True} if note else None
    after = adapter.tags(action.conversation)
    if _named(adapter, action.payload) not in after:
        return None
    return {"before": _tags_before(conn, action.key), "after": list(after), "found": True}


def _tags_before(conn: Connection, key: str) -> list[str]:
    """The tags as they were known when the action was first claimed."""
    row = conn.execute("SELECT detail FROM journal WHERE key = ? AND event = 'sending' ORDER BY id", (key,)).fetchone()
    return list(json.loads(row["detail"])["tags"])


def was_there(adapter: Any, action: Action, receipt: Mapping[str, Any]) -> bool:
    """Did the conversation have the tag before we came?"""
    return _named(adapter, action.payload) in receipt.get("before", ())


def take_back(adapter: Any, action: Action, receipt: Mapping[str, Any]) -> Receipt:
    """Remove what the receipt says was ours, leaving all else. Rejected with a status of GONE where it is gone."""
    if action.action == "note":
        adapter.remove_note(action.conversation, receipt["note"])
        return {}
    change = adapter.remove_tag(action.conversation, action.payload)
    left: Receipt = {"before": list(change.before), "after": list(change.after)}
    ours = _named(adapter, action.payload)
    if ours in change.after or not {*change.before} - {ours} <= {*change.after}:
        raise Unexpected(
            f"{action.service} {action.conversation}: we removed {action.payload} only, and its tags now read "
            f"{_names(change.after)} (before: {_names(change.before)})",
            left,
        )
    return left


def _names(tags: tuple[str, ...]) -> str:
    return ", ".join(tags) or "none"
