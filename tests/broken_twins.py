"""For every check an adapter that breaks it, and what the check must say then. What cannot fail checks nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import tiny
from contract_case import Case
from pydantic import BaseModel
from tiny import Tiny
from tiny_desk import Desk

from connector.contract import Announcement, Finding, TagChange
from connector.errors import AuthFailed, Rejected
from connector.models import Conversation, Message, Page, Record

SOURCE = Path(tiny.__file__).read_text("utf-8")
AT = 1_795_000_000


def _item(number: int, via: str) -> dict[str, Any]:
    return {"id": number, "at": AT, "changed": AT + number, "via": via}


def _said(number: int) -> dict[str, Any]:
    return {
        "said": [{"id": 10 * number + n, "at": AT + 60 * n, "by": by} for n, by in enumerate(("customer", "agent"))],
        "more": False,
    }


def _get(path: str, said: Any, **query: Any) -> dict[str, Any]:
    return {"method": "GET", "path": f"/v1/{path}", "query": query, "json": said}


NOTE = "[deskpulse] slow first reply"
SPEC: dict[str, Any] = {
    "settings": {"url": "https://tiny.example/v1", "token": "canary-4711"},
    "exchanges": [
        _get("items", {"items": [_item(1, "mail"), _item(2, "chat")], "mark": "1.2", "more": True}, since=0),
        _get("items", {"items": [_item(3, "mail")], "mark": "1.3", "more": False}, since=0, mark="1.2"),
        _get("items", {"items": [_item(2, "chat"), _item(3, "mail")], "mark": "2.3", "more": False}, since=AT + 2),
        _get("items", {"items": [_item(3, "mail")], "mark": "2.3", "more": False}, since=AT + 3),
        *[_get(f"items/{number}/said", _said(number)) for number in (1, 2, 3)],
        {"method": "POST", "path": "/v1/search", "json": []},
        _get("items/1", _item(1, "mail")),
        _get("items/1/tags", ["vip"]),
        {"method": "PUT", "path": "/v1/items/1/tags", "json": {}},
        _get("items/1/tags", ["vip", "slow"]),
        {"method": "PUT", "path": "/v1/items/1/tags", "json": {}},
        _get("items/1/tags", ["vip"]),
        {"method": "POST", "path": "/v1/items/1/notes", "json": {"id": 99}},
        _get("items/1/notes", [{"id": 99, "text": NOTE}]),
        {"method": "DELETE", "path": "/v1/items/1/notes/99", "json": {}},
        _get("items/1/notes", []),
        {"method": "POST", "path": "/v1/wall", "json": {"id": 7}},
        _get("me", {"name": "Tiny"}),
    ],
    "unknown_words": [
        {"in": "/v1/items", "at": "items.0.via", "value": "pigeon", "becomes": "other"},
        {"in": "/v1/items/1/said", "at": "said.0.by", "value": "oracle", "becomes": "unknown"},
    ],
    "bad_row": {"in": "/v1/items", "at": "items.0.at", "value": 0},
    "reread": {"there": "1", "gone": "404"},
    "tag": {"conversation": "1", "tag": "slow"},
    "note": {"conversation": "1"},
    "internal_writes": [
        {"method": "PUT", "path": "/v1/items/1/tags"},
        {"method": "POST", "path": "/v1/items/1/notes", "body": {"internal": True}},
        {"method": "DELETE", "path": "/v1/items/1/notes/99"},
        {"method": "POST", "path": "/v1/wall"},
    ],
    "limits": [{"at": "text", "shortest": 1, "longest": 500, "never": "@"}],
}

STAYING = SPEC | {"note": {"conversation": "1", "stays": True}}


class Twin(NamedTuple):
    """Breaks ``check``, which must then say ``says`` (a regular expression)."""

    check: str
    says: str
    kind: type[Any] = Tiny
    source: str = SOURCE
    spec: dict[str, Any] = SPEC
    desk: type[Any] | None = Desk

    def case(self, tmp: Path) -> Case:
        return Case("tiny", self.kind, self.source, self.spec, Path("fixtures/tiny"), tmp, self.desk)


class Renamed(Tiny):
    name: ClassVar[str] = "tidy"


class Lax(Tiny):
    class Settings(BaseModel):
        url: str
        token: str


class LacksNothingKnown(Tiny):
    lacks: ClassVar[dict[str, str]] = {"happiness": "it has none"}


class LacksForNoReason(Tiny):
    lacks: ClassVar[dict[str, str]] = {"csat": " "}


class NoPages(Tiny):
    def pull(self, *args: Any) -> Iterator[Any]:
        yield from (page.records for page in super().pull(*args))


class Homemade(Tiny):
    def told(self, item: Any) -> Iterator[Any]:
        yield {"id": item.id}


class TupleCursor(Tiny):
    def pull(self, *args: Any) -> Iterator[Page]:
        yield from (page._replace(cursor={**(page.cursor or {}), "ids": (1, 2)}) for page in super().pull(*args))


class Speechless(Tiny):
    def told(self, item: Any) -> Iterator[Record]:
        yield from (record for record in super().told(item) if not isinstance(record, Message))


class Picky(Tiny):
    def page(self, items: list[Any], *more: Any) -> Page:
        return super().page([{**item, "id": "x"} if item["id"] == 2 else item for item in items], *more)


class Numbering(Tiny):
    numbers: ClassVar[Iterator[int]] = count(1)

    def page(self, items: list[Any], since: int, seen: Any) -> Page:
        return super().page(items, since, lambda *_: False)

    def told(self, item: Any) -> Iterator[Record]:
        for record in super().told(item):
            yield record._replace(id=str(next(self.numbers))) if isinstance(record, Message) else record


class Spinning(Tiny):
    """It goes on from where it began."""

    def listed(self, since: int, mark: str) -> Any:
        return {**(super().listed(since, "") or {}), "more": True}


class Forgetful(Tiny):
    def pull(self, stream: str, cursor: Any, seen: Any) -> Iterator[Page]:
        if cursor:
            self.listed(0, "")
            self.listed(0, "1.2")
        yield from super().pull(stream, None, lambda *_: False)


class ChildrenFirst(Tiny):
    def told(self, item: Any) -> Iterator[Record]:
        yield from sorted(super().told(item), key=lambda record: not isinstance(record, Message))


class InSeconds(Tiny):
    def told(self, item: Any) -> Iterator[Record]:
        for record in super().told(item):
            yield record._replace(created_at=AT) if isinstance(record, Conversation) else record


class NumberIds(Tiny):
    def told(self, item: Any) -> Iterator[Record]:
        yield Conversation(item.id, item.at, "open")


class OwnWords(Tiny):
    def told(self, item: Any) -> Iterator[Record]:
        yield Conversation(str(item.id), item.at, "asleep")  # type: ignore[arg-type]  # the fault it is there for


class Searching(Tiny):
    def listed(self, since: int, mark: str) -> Any:
        self.http.send("POST", "search", {"since": since})
        return super().listed(since, mark)


class NoOther(Tiny):
    def channel(self, word: str) -> str:
        return tiny.CHANNELS[word]


class EchoedWord(Tiny):
    def channel(self, word: str) -> str:
        return tiny.CHANNELS.get(word, word)


class AllOrNothing(Tiny):
    def page(self, items: list[Any], *more: Any) -> Page:
        return super().page([tiny._Item.model_validate(item) and item for item in items], *more)


class Swallowing(Tiny):
    def page(self, *given: Any) -> Page:
        return super().page(*given)._replace(rejects=())


class Greedy(Tiny):
    def page(self, *given: Any) -> Page:
        page = super().page(*given)
        return page._replace(records=[]) if page.rejects else page


class Gullible(Tiny):
    def listed(self, since: int, mark: str) -> Any:
        return None if self.http.get("items", {"since": since}).text.startswith("<") else super().listed(since, mark)


class Early(Tiny):
    """The cursor is true before the records are there."""

    def pull(self, stream: str, cursor: Any, seen: Any) -> Iterator[Page]:
        for page in super().pull(stream, cursor, seen):
            yield Page([], page.cursor)
            self.http.get("me")
            yield page._replace(cursor=None)


class Silent(Tiny):
    def reread(self, ids: Any, seen: Any) -> Iterator[Page]:
        yield from (page._replace(records=page.records[1:]) for page in super().reread(ids, seen))


class Presuming(Tiny):
    def reread(self, ids: Any, seen: Any) -> Iterator[Page]:
        yield from (page._replace(records=page.records[:1]) for page in super().reread(ids, seen))


class Replacing(Tiny):
    def add_tag(self, conversation: str, tag: str) -> TagChange:
        before = self.tags(conversation)
        self.http.send("PUT", f"items/{conversation}/tags", [tag])
        return TagChange(before, (tag,))


class Hopeful(Tiny):
    """Says what it wanted, without writing."""

    def add_tag(self, conversation: str, tag: str) -> TagChange:
        before = self.tags(conversation)
        return TagChange(before, (*before, tag))


class Blind(Tiny):
    def find_note(self, conversation: str, text: str) -> None:
        return None


class AnyNote(Tiny):
    def find_note(self, conversation: str, text: str) -> str | None:
        return "99"


class Undying(Tiny):
    def remove_note(self, conversation: str, note: str) -> None:
        return None

    def find_note(self, conversation: str, text: str) -> str | None:
        return "99" if text == NOTE else None


class Public(Tiny):
    """A note without the word that keeps it inside."""

    def add_note(self, conversation: str, text: str) -> str:
        return str(self.http.send("POST", f"items/{conversation}/notes", {"text": text}).json()["id"])


class Mailing(Tiny):
    def announce(self, announcement: Announcement) -> str:
        self.http.send("POST", "items/1/notes", {"text": announcement.fallback})
        return super().announce(announcement)


class Endless(Tiny):
    def announce(self, announcement: Announcement) -> str:
        return str(self.http.send("POST", "wall", {"text": announcement.fallback.replace("@", "")}).json()["id"])


class Shouting(Tiny):
    def announce(self, announcement: Announcement) -> str:
        return str(self.http.send("POST", "wall", {"text": announcement.fallback[:500]}).json()["id"])


class Chatty(Tiny):
    """The secret is in the cursor, and so in the store."""

    def pull(self, *args: Any) -> Iterator[Page]:
        key = self.settings.token.get_secret_value()
        yield from (page._replace(cursor={**(page.cursor or {}), "key": key}) for page in super().pull(*args))


class Telling(Tiny):
    def announce(self, announcement: Announcement) -> str:
        raise Rejected(f"not posted with {self.settings.token.get_secret_value()}")


class Shrugging(Tiny):
    def probe(self) -> Iterator[Finding]:
        yield Finding("token", False, "something is wrong")


class Mute(Tiny):
    def probe(self) -> Iterator[Finding]:
        yield from ()


class Confident(Tiny):
    def probe(self) -> Iterator[Finding]:
        try:
            self.http.get("me")
        except AuthFailed:
            yield Finding("token", True, "fine")


# --- walks ---------------------------------------------------------------------------------------------------------


class Trusting(Tiny):
    """Takes it that the end of a list is always told."""

    def listed(self, since: int, mark: str) -> Any:
        told = super().listed(since, mark)
        return told and {**told, "more": bool(told["more"])}


class Hasty(Tiny):
    """A page that is not full was the last, it thinks, and so was a full one."""

    def listing(self, *given: Any) -> Iterator[Page]:
        yield from list(super().listing(*given))[:1]

    def pull(self, stream: str, cursor: Any, seen: Any) -> Iterator[Page]:
        yield from self.listing((cursor or {}).get("since", 0), seen)


class Counting(Tiny):
    """Goes on by counting pages, while rows move from one to the other."""

    def listed(self, since: int, mark: str) -> Any:
        page = int(mark or 1)
        told = self.http.get("items", {"since": since, "page": page}).json()
        return {**told, "mark": str(page + 1)}


class Settled(Tiny):
    """A conversation that it knows has not changed, it thinks."""

    def page(self, items: list[Any], since: int, seen: Any) -> Page:
        known = self.__dict__.setdefault("known", set())
        page = super().page([item for item in items if item["id"] not in known], since, lambda *_: False)
        known.update(item["id"] for item in items)
        return page

    def pull(self, stream: str, cursor: Any, seen: Any) -> Iterator[Page]:
        if not cursor:
            yield from super().pull(stream, cursor, seen)


class Bookmarking(Tiny):
    """Goes on at the page where it broke off, whatever has moved since."""

    def pull(self, stream: str, cursor: Any, seen: Any) -> Iterator[Page]:
        since, newest, page = (
            (cursor or {}).get(key, usual) for key, usual in (("since", 0), ("newest", 0), ("page", 1))
        )
        while items := self.http.get("items", {"since": since, "page": page}).json()["items"]:
            found, page = self.page(items, newest, seen), page + 1
            newest = (found.cursor or {})["since"]
            yield found._replace(cursor={"since": since, "newest": newest, "page": page})
        yield Page([], {"since": newest, "newest": newest})


class Hurried(Tiny):
    """Goes on one second after the newest change of each page."""

    def pull(self, stream: str, cursor: Any, seen: Any) -> Iterator[Page]:
        since = (cursor or {}).get("since", 0)
        while items := (self.listed(since + 1, "") or {"items": []})["items"]:
            page = self.page(items, since, seen)
            since = (page.cursor or {})["since"]
            yield page


class Rereading(Tiny):
    def page(self, items: list[Any], since: int, seen: Any) -> Page:
        return super().page(items, since, lambda *_: False)


class Content(Tiny):
    """One list is all there is."""

    def pull(self, stream: str, cursor: Any, seen: Any) -> Iterator[Page]:
        yield from self.listing((cursor or {}).get("since", 0), seen)


class Stubborn(Tiny):
    """Insists on a mark, in every run."""

    def listed(self, since: int, mark: str) -> Any:
        return self.http.get("items", {"mark": mark} if mark else {"since": since}).json()

    def pull(self, stream: str, cursor: Any, seen: Any) -> Iterator[Page]:
        mark, more = (cursor or {}).get("mark", ""), True
        while more:
            told = self.listed(0, mark)
            mark, more = told["mark"], told.get("more") is True
            yield self.page(told["items"], 0, seen)._replace(cursor={"mark": mark})


class Brief(Tiny):
    def said(self, item: int) -> Iterator[Any]:
        yield from list(super().said(item))[:5]


class Optimist(Tiny):
    first_read: ClassVar[float] = 0.1


class Wordless(Desk):
    """A service that gives no more than so many messages of a conversation."""

    most_messages: ClassVar[int | None] = 5


def _without(key: str) -> dict[str, Any]:
    return {name: value for name, value in SPEC.items() if name != key}


BAD_SOURCE = f"{SOURCE}\ntry:\n    pass\nexcept OSError:\n    pass\n"
TWINS = (
    Twin("one_word_names_file_class_and_fixture", "tidy, tiny, tiny differ", Renamed),
    Twin("the_docstring_has_its_fixed_lines", "lacks Gaps", source=SOURCE.replace("\nGaps:", "\nOtherwise")),
    Twin("the_source_leaves_errors_time_and_logs_to_others", "has a try", source=BAD_SOURCE),
    Twin("the_source_leaves_errors_time_and_logs_to_others", "uses nap.sleep", source=f"{SOURCE}\nnap.sleep(1)"),
    Twin("the_source_leaves_errors_time_and_logs_to_others", "uses datetime.now", source=f"{SOURCE}\ndatetime.now()"),
    Twin("the_source_leaves_errors_time_and_logs_to_others", "uses os.environ", source=f"{SOURCE}\nos.environ"),
    Twin("it_imports_the_contract_and_no_other_room", "connector.store", source=f"{SOURCE}\nimport connector.store"),
    Twin("it_imports_the_contract_and_no_other_room", "sqlite3", source=f"{SOURCE}\nimport sqlite3"),
    Twin("it_imports_the_contract_and_no_other_room", "requests", source=f"{SOURCE}\nfrom requests import get"),
    Twin("it_imports_the_contract_and_no_other_room", "logging", source=f"{SOURCE}\nimport logging"),
    Twin("settings_refuse_what_they_do_not_know", "DID NOT RAISE", Lax),
    Twin("what_it_lacks_is_a_kpi_with_its_reason", "no KPI is called happiness", LacksNothingKnown),
    Twin("what_it_lacks_is_a_kpi_with_its_reason", "without a reason", LacksForNoReason),
    Twin("secrets_are_typed_as_secrets", "not SecretStr: token", Lax),
    Twin("the_fixture_covers_every_capability", "lacks bad_row", spec=_without("bad_row")),
    Twin("the_fixture_covers_every_capability", "lacks internal_writes", spec=_without("internal_writes")),
    Twin("pages_hold_records_and_cursors_of_plain_json", "gives list, not a Page", NoPages),
    Twin("pages_hold_records_and_cursors_of_plain_json", "gives dict.* for records", Homemade),
    Twin("pages_hold_records_and_cursors_of_plain_json", "not plain JSON", TupleCursor),
    Twin("it_pulls_all_its_fixture_holds", "no messages", Speechless),
    Twin("it_pulls_all_its_fixture_holds", "rejects of good rows", Picky),
    Twin("a_second_pull_brings_nothing_new", "brought something new", Numbering),
    Twin("a_second_pull_brings_nothing_new", "spins", Spinning),
    Twin("a_second_pull_brings_nothing_new", "asked more than the first", Forgetful),
    Twin("children_come_with_or_after_their_conversation", "runs ahead", ChildrenFirst),
    Twin("instants_ids_and_words_are_ours", "not a plausible instant", InSeconds),
    Twin("instants_ids_and_words_are_ours", "its id is no text", NumberIds),
    Twin("instants_ids_and_words_are_ours", "'asleep' is not one of ours", OwnWords),
    Twin("pulling_only_reads", "pulling wrote", Searching),
    Twin("unknown_words_become_other_or_unknown", "pigeon", NoOther),
    Twin("unknown_words_become_other_or_unknown", "pigeon did not become other", EchoedWord),
    Twin("one_bad_row_is_rejected_and_the_rest_kept", "not a plausible instant", AllOrNothing),
    Twin("one_bad_row_is_rejected_and_the_rest_kept", "vanished without a reject", Swallowing),
    Twin("one_bad_row_is_rejected_and_the_rest_kept", "cost 2 conversations", Greedy),
    Twin("a_web_page_instead_of_data_moves_no_cursor", "DID NOT RAISE", Gullible),
    Twin("a_walk_that_breaks_off_is_taken_up_without_a_loss", "the next pull lost", Early),
    Twin("the_fixture_covers_every_capability", "lacks desk.py", desk=None),
    Twin("the_fixture_covers_every_capability", "becomes other", spec=SPEC | {"unknown_words": []}),
    Twin("lists_are_read_to_their_end_however_that_is_told", "'more'", Trusting),
    Twin("lists_are_read_to_their_end_however_that_is_told", "ends by told, 1 were not read", Hasty),
    Twin("what_moves_while_one_walks_is_not_lost", r"after page \d of 5: lost", Counting),
    Twin("what_moves_while_one_walks_is_not_lost", "its new message was lost", Settled),
    Twin("what_moves_while_a_walk_is_broken_off_is_not_lost", "broken off after page 1, then stir", Bookmarking),
    Twin("many_that_changed_at_one_instant_are_all_read", "of 16, stir of .*: lost", Hurried),
    Twin("a_busy_day_while_one_walks_loses_nothing", "of 20", Counting),
    Twin("a_busy_day_while_one_walks_loses_nothing", "new messages were lost", Settled),
    Twin("rows_repeated_at_a_boundary_are_read_once", "rows were read again", Rereading),
    Twin("rows_repeated_at_a_boundary_are_read_once", "lost", Hasty),
    Twin("more_than_one_list_gives_is_crossed_without_a_loss", "10 were not told", Content),
    Twin("cursors_that_expire_lose_nothing", "answered 410", Stubborn),
    Twin("long_conversations_are_read_whole_or_said_to_be_cut", "were not read", Brief),
    Twin("long_conversations_are_read_whole_or_said_to_be_cut", "nothing says so", Brief, desk=Wordless),
    Twin("a_first_read_takes_as_long_as_doctor_says", "times as long", Optimist),
    Twin("what_is_gone_is_told_and_the_rest_read_again", "404 is gone, and this was told", Silent),
    Twin("what_is_gone_is_told_and_the_rest_read_again", "1 was not read again", Presuming),
    Twin("a_tag_is_added_to_the_others_and_can_be_taken_away", "it became", Replacing),
    Twin("a_tag_is_added_to_the_others_and_can_be_taken_away", "read back after adding", Hopeful),
    Twin("a_note_can_be_found_again_and_removed", "is not found", Blind),
    Twin("a_note_can_be_found_again_and_removed", "never written", AnyNote),
    Twin("a_note_can_be_found_again_and_removed", "still there", Undying),
    Twin("a_note_can_be_found_again_and_removed", "DID NOT RAISE", Undying, spec=STAYING),
    Twin("no_write_can_reach_a_customer", "may reach a customer", Public),
    Twin("no_write_can_reach_a_customer", "may reach a customer", Mailing),
    Twin("no_write_can_reach_a_customer", "may reach a customer", Public, spec=SPEC | {"questions": [".*"]}),
    Twin("an_announcement_stays_within_the_limits", "one is .* long", Endless),
    Twin("an_announcement_stays_within_the_limits", "Ring", Shouting),
    Twin("secrets_appear_nowhere", r"a secret shows in .*\*\*\*", Chatty),
    Twin("secrets_appear_nowhere", r"a secret shows in Rejected.*\*\*\*", Telling),
    Twin("doctor_is_told_what_is_wrong_and_what_to_do", "has no remedy", Shrugging),
    Twin("doctor_is_told_what_is_wrong_and_what_to_do", "nothing to say", Mute),
    Twin("doctor_notices_a_refused_credential", "found nothing wrong", Confident),
)
