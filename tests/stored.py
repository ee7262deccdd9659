"""What a store would hold, for tests of an adapter that look into single streams. ``contract_case.Walk`` walks all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from connector.contract import Pulls
from connector.models import Conversation, Page, Reject


class Stored:
    """The newest of each record, the cursor of each stream, all rejects. ``usual``: the streams that are pulled."""

    def __init__(self, usual: Sequence[str] = ("conversations",)) -> None:
        self.usual = usual
        self.records: dict[tuple[type, str], Any] = {}
        self.cursors: dict[str, Any] = {}
        self.rejects: list[Reject] = []

    def seen(self, conversation: str, changed_at: int | None) -> bool:
        known = self.records.get((Conversation, conversation))
        return changed_at is not None and known is not None and known.changed_at == changed_at

    def pull(self, adapter: Pulls, *streams: str, most: int = 10_000) -> list[Page]:
        """The pages of this time, no more than ``most``: then the run was killed."""
        pages: list[Page] = []
        for stream in streams or self.usual:
            for page in adapter.pull(stream, self.cursors.get(stream), self.seen):
                pages.append(page)
                self.keep(page, stream)
                if len(pages) == most:
                    return pages
        return pages

    def keep(self, page: Page, stream: str = "") -> None:
        self.records |= {(type(record), record.id): record for record in page.records}
        self.rejects += page.rejects
        if page.cursor is not None:
            self.cursors[stream] = json.loads(json.dumps(page.cursor))

    def all(self, kind: type) -> list[Any]:
        return [record for (of, _), record in self.records.items() if of is kind]
