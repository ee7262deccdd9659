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


def write(adapter: Any, action: Action, canary: bool) -> Receipt:
    """Do it and read it back. Unexpected when the read-back is not exactly what was written."""
    return _tag(adapter, action, canary) if action.action == "tag" else _note(adapter, action)


def _tag(adapter: Tags, action: Action, canary: bool) -> Receipt:
    change = adapter.add_tag(action.conversation, action.payload)
    receipt: Receipt = {"before": list(change.before), "after": list(change.after)}
    # The first write of a run is read once more in a call of its own: an answer may merely echo what was sent.
    seen = adapter.tags(action.conversation) if canary else change.after
    if set(change.after) != {*change.before, action.payload} or set(seen) != set(change.after):
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
    if action.payload not in after:
        return None
    return {"before": _tags_before(conn, action.key), "after": list(after), "found": True}


def _tags_before(conn: Connection, key: str) -> list[str]:
    """The tags as they were known when the action was first claimed."""
    row = conn.execute("SELECT detail FROM journal WHERE key = ? AND event = 'sending' ORDER BY id", (key,)).fetchone()
    return list(json.loads(row["detail"])["tags"])


def take_back(adapter: Any, action: Action, receipt: Mapping[str, Any]) -> Receipt:
    """Remove what the receipt says was ours, leaving all else. What is gone already is no error."""
    try:
        if action.action == "note":
            adapter.remove_note(action.conversation, receipt["note"])
            return {}
        change = adapter.remove_tag(action.conversation, action.payload)
    except Rejected as error:
        if error.status == 404:
            return {"gone": True}
        raise
    left: Receipt = {"before": list(change.before), "after": list(change.after)}
    if set(change.after) != set(change.before) - {action.payload}:
        raise Unexpected(
            f"{action.service} {action.conversation}: we removed {action.payload} only, and its tags now read "
            f"{_names(change.after)} (before: {_names(change.before)})",
            left,
        )
    return left


def _names(tags: tuple[str, ...]) -> str:
    return ", ".join(tags) or "none"
