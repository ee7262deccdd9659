"""Writing records: what counts as new and changed, what is never erased, what is derived, what heals."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_service import MINUTE, T0, contents, conversation, rating, talk

from connector.errors import ConfigError, ConnectorError
from connector.models import (
    Agent,
    Channel,
    Contact,
    Event,
    Inbox,
    Message,
    Page,
    Rating,
    Record,
    Reject,
    Schedule,
    Team,
)
from connector.store import connect, ids, transaction
from connector.store.lock import lock_of, locked
from connector.store.schema import migrations
from connector.store.write import Counts, Store

SEEN = T0 + 1000 * MINUTE


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "d.db", demo=False) as opened:
        yield opened


def save(store: Store, *pages: Page | list[Record], at: int = SEEN, **more: Any) -> Counts:
    more.setdefault("history", frozenset({"status", "assigned", "team"}))
    whole = [page if isinstance(page, Page) else Page(page) for page in pages]
    return store.save(store.source("fake", "fake"), "all", whole, seen_at=at, **more)


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in store.conn.execute(sql)]


def dirty(store: Store) -> list[str]:
    found = rows(store, "SELECT vendor_id FROM dirty JOIN conversations ON id = conversation_id")
    store.conn.execute("DELETE FROM dirty")
    return sorted(one for (one,) in found)


# --- counting ------------------------------------------------------------------------------------------------------


def test_the_same_page_again_is_unchanged_and_makes_nothing_dirty(store: Store) -> None:
    page = [*talk(1), *talk(2), rating(1, (T0, 5))]
    assert save(store, page) == Counts(read=9, new=9)
    assert dirty(store) == ["1", "2"]
    before, writes = contents(store.conn), store.conn.total_changes
    assert save(store, page) == Counts(read=9, unchanged=9)
    assert (contents(store.conn), store.conn.total_changes, dirty(store)) == (before, writes, [])


@pytest.mark.parametrize(
    "change",
    [
        conversation(1, status="open"),
        conversation(1, agent="B"),
        conversation(1, agent=None),
        conversation(1, language="fr"),
        Message("1.0", "1", T0 + 1, "customer", "c1", length=10),
        Message("1.0", "1", T0 + MINUTE, "customer", "c1", length=11),
        Event("1.solved", "1", T0 + 5, "status", "done", "open", "A"),
        Rating("r1", "1", T0, ((T0, 5),), survey="s"),
        Rating("r1", "1", T0, ((T0 + 1, 2),)),
    ],
)
def test_what_differs_is_changed_and_makes_its_conversation_dirty(store: Store, change: Record) -> None:
    save(store, [*talk(1), *talk(2), rating(1, (T0, 5))])
    dirty(store)
    assert save(store, [change]) == Counts(read=1, changed=1)
    assert dirty(store) == ["1"]


def test_being_looked_at_is_no_change(store: Store) -> None:
    save(store, talk(1))
    dirty(store)
    assert save(store, talk(1), at=SEEN + 5) == Counts(read=4, unchanged=4)
    store.looked_at(1, ["1"], SEEN + 9)
    assert rows(store, "SELECT seen_at, checked_at FROM conversations") == [(SEEN, SEEN + 9)]
    assert dirty(store) == []


def test_a_record_twice_in_a_batch_is_stored_once(store: Store) -> None:
    assert save(store, talk(1), talk(1)) == Counts(read=8, new=4, unchanged=4)


def test_stub_rows_are_not_counted_and_a_later_record_names_them(store: Store) -> None:
    assert save(store, [conversation(1)]).read == 1
    assert rows(store, "SELECT vendor_id, name FROM agents") == [("A", "A")]
    assert save(store, [Agent("A", "Ana"), Team("T1", "Support")]) == Counts(read=2, changed=2)
    assert save(store, [conversation(2), Agent("A", ""), Agent("A", "A"), Team("T1", "T1")]).changed == 0
    assert rows(store, "SELECT vendor_id, name FROM agents") == [("A", "Ana")]


def test_null_of_a_poorer_record_erases_nothing(store: Store) -> None:
    hours = Schedule("Europe/Paris", (((540, 1020),),) * 7)
    save(store, [Channel("api", "whatsapp"), Inbox("i", "Help", "api", hours), Contact("c", "fr", T0)])
    assert save(store, [Inbox("i", "i"), Contact("c")]) == Counts(read=2, unchanged=2)
    [(name, channel, schedule)] = rows(
        store, "SELECT i.name, c.kind, schedule FROM inboxes i JOIN channels c ON c.id = channel_id"
    )
    assert (name, channel) == ("Help", "whatsapp")
    assert json.loads(schedule) == {"zone": "Europe/Paris", "hours": [[[540, 1020]]] * 7, "holidays": []}


def test_an_unknown_channel_is_of_our_kind_when_it_is_called_so(store: Store) -> None:
    save(store, [conversation(1, channel="sms"), conversation(2, channel="pigeon")])
    assert rows(store, "SELECT vendor_id, kind FROM channels ORDER BY 1") == [("pigeon", "other"), ("sms", "sms")]


def test_an_author_is_a_contact_or_a_seat_even_under_the_same_id(store: Store) -> None:
    said = [Message(str(i), "1", T0, who, "7") for i, who in enumerate(("customer", "human"))]
    save(store, [conversation(1), *said])
    seats = "SELECT a.vendor_id, c.vendor_id FROM messages m LEFT JOIN agents a ON a.id = agent_id LEFT JOIN contacts c ON c.id = contact_id ORDER BY m.id"  # noqa: E501  one statement
    assert rows(store, seats) == [(None, "7"), ("7", None)]


def test_a_seat_known_only_from_a_bots_message_is_a_bots(store: Store) -> None:
    save(store, [conversation(1), Message("m", "1", T0, "bot", "Z"), Message("n", "1", T0, "bot", "A")])
    assert rows(store, "SELECT vendor_id, kind FROM agents ORDER BY 1") == [("A", "human"), ("Z", "bot")]


def test_many_ids_do_not_pile_up_in_memory(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_MOST", 3)
    for number in range(1, 12):
        save(store, talk(number))
    assert len(store._ids[1]._known["contacts"]) <= 5
    assert rows(store, "SELECT count(*) FROM contacts") == [(11,)]


# --- order and time ------------------------------------------------------------------------------------------------


def test_pages_in_any_order_end_in_the_same_store(store: Store, tmp_path: Path) -> None:
    old, new = conversation(1, status="open"), conversation(1, changed_at=T0 + 99 * MINUTE, tags=("b", "a"))
    pages = [[old, *talk(1)[1:]], talk(2), [new, Message("1.9", "1", T0, "human", "A")]]
    save(store, *pages)
    with Store.open(tmp_path / "other.db", demo=False) as other:
        for page in reversed(pages):
            save(other, *([page] if page[0].id != "1" or page[0] == new else [[old, *page[1:]]]))
        assert contents(other.conn) == contents(store.conn)
    assert rows(store, "SELECT status, tags FROM conversations WHERE vendor_id = '1'") == [("done", '["a", "b"]')]


def test_what_arrived_keeps_the_time_it_was_first_seen(store: Store) -> None:
    save(store, [*talk(1), rating(1, (T0, 5))])
    save(store, [conversation(1, status="open"), Message("1.0", "1", T0 + 1, "human", "A")], at=SEEN + 7)
    for table in ("conversations", "messages", "events", "ratings", "answers"):
        assert rows(store, f"SELECT DISTINCT seen_at FROM {table}") == [(SEEN,)]


def test_a_removal_without_a_time_has_the_one_it_was_first_noticed_at(store: Store) -> None:
    gone = Event("1:deleted", "1", None, "deleted")
    save(store, talk(1))
    assert save(store, [gone]) == Counts(read=1, new=1)
    assert save(store, [gone], at=SEEN + 5) == Counts(read=1, unchanged=1)
    assert rows(store, "SELECT at FROM events WHERE kind = 'deleted'") == [(SEEN,)]


GONE = Event("1:deleted", "1", None, "deleted")


def removals(store: Store) -> list[tuple[Any, ...]]:
    return rows(store, "SELECT vendor_id, at FROM events WHERE kind = 'deleted'")


def test_a_conversation_that_was_absent_counts_again_once_it_is_told_again(store: Store) -> None:
    back = conversation(1, status="open")
    save(store, [back, *talk(2), *talk(1)[1:]])
    save(store, [GONE], at=SEEN + 5)
    dirty(store)
    assert not store.seen(1, "1", back.changed_at), "an adapter that asks would not tell it again"
    assert save(store, [back], at=SEEN + 9).read == 1
    assert (removals(store), dirty(store)) == ([], ["1"])
    assert store.seen(1, "1", back.changed_at)
    store.begin_look()
    assert "1" in store.to_reread(1, within=0, limit=9)
    save(store, [GONE], at=SEEN + 20)
    assert removals(store) == [("1:deleted", SEEN + 20)]


def test_a_removal_that_the_vendor_dated_outlives_the_conversation_being_told(store: Store) -> None:
    for removal in (GONE._replace(at=T0 + 7), Event("1:spam", "1", None, "spam")):
        save(store, [conversation(1)], [removal])
        assert save(store, [conversation(1)], at=SEEN + 9) == Counts(read=1, unchanged=1)
    save(store, [GONE], at=SEEN + 20)
    assert removals(store) == [("1:deleted", T0 + 7)]


def test_a_removal_found_by_absence_and_dated_later_stays(store: Store) -> None:
    save(store, [conversation(1)], [GONE])
    save(store, [GONE._replace(at=T0 + 7)], at=SEEN + 5)
    save(store, [conversation(1)], at=SEEN + 9)
    assert removals(store) == [("1:deleted", T0 + 7)]


def test_what_is_left_of_a_removed_conversation_does_not_bring_it_back(store: Store) -> None:
    """Nor does an older version, nor another conversation of the batch."""
    save(store, [conversation(1), conversation(2)])
    save(store, [conversation(1, status="open"), GONE])
    save(store, [conversation(1, changed_at=T0 - 1)], [conversation(2)], at=SEEN + 5)
    assert removals(store) == [("1:deleted", SEEN)]


@pytest.mark.parametrize("last", ["told", "gone"])
def test_the_latest_word_on_an_absence_decides_within_a_batch(store: Store, last: str) -> None:
    save(store, [conversation(1)])
    told, gone = Page([conversation(1)]), Page([GONE])
    save(store, *((gone, told) if last == "told" else (told, gone)))
    assert len(removals(store)) == (last == "gone")


@pytest.mark.parametrize(
    "moved",
    [Message("1.0", "2", T0 + MINUTE, "customer", "c1"), Event("1.solved", "2", T0, "status"), Rating("r1", "2")],
)
def test_what_moves_to_another_conversation_makes_both_dirty(store: Store, moved: Record) -> None:
    save(store, [*talk(1), *talk(2), *talk(3), rating(1, (T0, 5))])
    dirty(store)
    assert save(store, [moved]).changed == 1
    assert dirty(store) == ["1", "2"]


# --- differences between snapshots ---------------------------------------------------------------------------------


def events(store: Store) -> list[tuple[Any, ...]]:
    return rows(store, "SELECT kind, at, was, value, derived FROM events ORDER BY kind")


def test_differences_become_events_where_the_vendor_keeps_no_history(store: Store) -> None:
    later = T0 + 50 * MINUTE
    save(store, [conversation(1)], history=frozenset())
    counts = save(
        store, [conversation(1, status="open", agent=None, team="T2", changed_at=later)], history=frozenset({"team"})
    )
    assert counts == Counts(read=1, changed=1)
    assert events(store) == [("assigned", later, "A", None, 1), ("status", later, "done", "open", 1)]


def test_differences_that_the_vendor_does_not_date_happened_when_they_were_seen(store: Store) -> None:
    save(store, [conversation(1)], history=frozenset())
    save(store, [conversation(1, status="open")], at=SEEN + 5, history=frozenset())
    assert events(store) == [("status", SEEN + 5, "done", "open", 1)]


def test_differences_within_a_batch_are_seen_in_their_order(store: Store) -> None:
    save(store, [conversation(1)], history=frozenset())
    back = [conversation(1, status=s, changed_at=T0 + i * MINUTE) for s, i in (("open", 10), ("done", 20), ("open", 5))]
    save(store, [back[0]], [back[1]], [back[2]], history=frozenset())
    assert events(store) == [
        ("status", T0 + 10 * MINUTE, "done", "open", 1),
        ("status", T0 + 20 * MINUTE, "open", "done", 1),
    ]


def test_nothing_is_derived_from_a_first_sight(store: Store) -> None:
    save(store, [conversation(1)], history=frozenset())
    save(store, [rating(2, (T0, 5))], history=frozenset(), rereads=True)
    save(store, [conversation(2)], history=frozenset())
    assert events(store) == []


# --- ratings -------------------------------------------------------------------------------------------------------


def answers(store: Store) -> list[tuple[Any, ...]]:
    return rows(store, "SELECT at, score, seen_at FROM answers ORDER BY at, id")


def test_an_answer_edited_in_place_leaves_the_old_one_for_the_time_before(store: Store) -> None:
    save(store, [conversation(1), rating(1, (T0, 5))])
    for at in (SEEN + 7, SEEN + 8):
        save(store, [rating(1, (T0, 1))], at=at)
    assert answers(store) == [(T0, 5, SEEN), (SEEN + 7, 1, SEEN + 7)]


def test_an_answer_with_a_new_instant_is_added(store: Store) -> None:
    save(store, [conversation(1), rating(1, (T0, 5))])
    assert save(store, [rating(1, (T0 + 9, 1))], at=SEEN + 7) == Counts(read=1, changed=1)
    assert save(store, [rating(1, (T0 + 9, 1))], at=SEEN + 8) == Counts(read=1, unchanged=1)
    assert answers(store) == [(T0, 5, SEEN), (T0 + 9, 1, SEEN + 7)]


def test_an_answer_edited_in_place_comes_after_the_old_one_where_our_clock_is_behind(store: Store) -> None:
    save(store, [conversation(1), rating(1, (SEEN + 60, 5))])
    for at in (SEEN + 7, SEEN + 8):
        save(store, [rating(1, (SEEN + 60, 1))], at=at)
    assert answers(store) == [(SEEN + 60, 5, SEEN), (SEEN + 61, 1, SEEN + 7)]


def test_a_whole_history_of_answers_is_taken_as_it_is(store: Store) -> None:
    save(store, [conversation(1), rating(1, (T0, 5))])
    save(store, [rating(1, (T0, 5), (T0 + 1, 1), (T0 + 2, 5))], at=SEEN + 7)
    assert [(at, score) for at, score, _ in answers(store)] == [(T0, 5), (T0 + 1, 1), (T0 + 2, 5)]


def test_an_offer_and_its_answers_within_a_batch_are_one_rating(store: Store) -> None:
    save(store, [conversation(1)])
    assert save(store, [rating(1), rating(1, (T0, 5)), rating(1, (T0, 1))]) == Counts(read=3, new=1, changed=2)
    assert answers(store) == [(T0, 5, SEEN), (SEEN, 1, SEEN)]


def test_an_offer_come_late_takes_nothing_from_its_answer(store: Store) -> None:
    save(store, [conversation(1), rating(1, (T0, 1), offered_at=None, low=0, high=1, agent="A", survey="s")])
    assert save(store, [rating(1)]) == Counts(read=1, changed=1)
    found = "SELECT offered_at, low, high, survey, agent_id IS NOT NULL FROM ratings"
    assert rows(store, found) == [(T0, 0, 1, "s", 1)]


# --- rejects -------------------------------------------------------------------------------------------------------


def rejects(store: Store) -> list[tuple[Any, ...]]:
    return rows(store, "SELECT kind, vendor_id, reason, first_seen_at, last_seen_at FROM rejects ORDER BY 1, 2")


def test_a_message_without_its_conversation_is_rejected_and_heals(store: Store) -> None:
    lost = Message("m", "9", T0, "human", "A")
    assert save(store, [*talk(1), lost]) == Counts(read=5, new=4, rejected=1)
    assert save(store, [lost], at=SEEN + 5).rejected == 1
    assert rejects(store) == [("message", "m", "conversation 9 is unknown", SEEN, SEEN + 5)]
    assert save(store, [conversation(9), lost]) == Counts(read=2, new=2)
    assert rejects(store) == []


def test_a_rating_ahead_of_its_conversation_waits_where_that_can_be_read_again(store: Store) -> None:
    assert save(store, [rating(9, (T0, 5))]) == Counts(read=1, rejected=1)
    assert save(store, [rating(9, (T0, 5))], rereads=True) == Counts(read=1, new=1)
    assert rejects(store) == []
    assert store.to_reread(1, within=0, limit=9) == ["9"]
    assert not store.seen(1, "9", None)


def test_a_conversation_that_came_with_a_rejected_message_is_not_seen_until_it_comes_clean(store: Store) -> None:
    bad = Page(talk(1), rejects=(Reject("message", "1.7", "at: wrong"),))
    assert save(store, bad, talk(2)) == Counts(read=9, new=8, rejected=1)
    at = conversation(1).changed_at
    assert not store.seen(1, "1", at)
    assert store.seen(1, "2", conversation(2).changed_at)
    store.begin_look()
    assert store.to_reread(1, within=0, limit=9) == ["1", "2"]
    save(store, [*talk(1), Message("1.7", "1", T0, "human", "A")])
    assert store.seen(1, "1", at)
    assert rejects(store) == []


def test_a_conversation_is_not_to_be_read_again_for_another_that_was_rejected(store: Store) -> None:
    save(store, Page(talk(1), rejects=(Reject("conversation", "2", "status: wrong"),)))
    assert store.seen(1, "1", conversation(1).changed_at)


def test_the_latest_word_on_a_record_decides_within_a_batch(store: Store) -> None:
    reject = Reject("conversation", "1", "status: wrong")
    save(store, Page([], rejects=(reject,)), talk(1))
    assert rejects(store) == []
    save(store, talk(1), Page([], rejects=(reject,)))
    assert len(rejects(store)) == 1
    assert not store.seen(1, "1", conversation(1).changed_at)


def test_a_version_is_seen_only_when_exactly_it_is_stored(store: Store) -> None:
    save(store, [conversation(1), conversation(2, changed_at=None)])
    at = conversation(1).changed_at
    assert [store.seen(1, "1", at), store.seen(1, "1", at + 1), store.seen(1, "1", None)] == [True, False, False]
    assert [store.seen(1, "2", None), store.seen(1, "3", at), store.seen(2, "1", at)] == [False, False, False]


# --- reading again -------------------------------------------------------------------------------------------------


def test_open_recent_and_rejected_conversations_are_read_again_the_longest_unlooked_at_first(store: Store) -> None:
    day = 1440
    for number, age in ((1, 0), (2, day), (3, 3 * day), (4, 9 * day)):
        at = T0 + (100 * day - age) * MINUTE
        save(store, [conversation(number, changed_at=at, status="open" if number == 4 else "done")], at=SEEN - number)
    save(store, [conversation(5, status="open"), Event("x", "5", None, "deleted")])
    save(store, Page([], rejects=(Reject("conversation", "6", "why"), Reject("conversation", "?", "why"))), at=SEEN + 9)
    store.begin_look()
    assert store.to_reread(1, within=2 * day * MINUTE, limit=9) == ["4", "2", "1", "6"]
    assert store.to_reread(1, within=2 * day * MINUTE, limit=2) == ["4", "2"]
    store.looked_at(1, ["4"], SEEN)
    assert store.to_reread(1, within=2 * day * MINUTE, limit=9) == ["2", "1", "6"]


def test_a_conversation_rejected_for_two_reasons_is_asked_for_once(store: Store) -> None:
    for at, why in ((SEEN, "status: wrong"), (SEEN + 5, "id: wrong")):
        save(store, Page([], rejects=(Reject("conversation", "6", why), Reject("conversation", "7", "why"))), at=at)
    assert store.to_reread(1, within=0, limit=9) == ["6", "7"]


# --- bodies --------------------------------------------------------------------------------------------------------


def test_bodies_are_dropped_unless_kept_and_then_by_age(store: Store) -> None:
    said = [Message(str(i), "1", T0 + i, "human", "A", body=f"words {i}") for i in range(3)]
    save(store, [conversation(1), *said])
    assert rows(store, "SELECT DISTINCT body FROM messages") == [(None,)]
    save(store, said, bodies_from=T0 + 1)
    dirty(store)
    kept = "SELECT body FROM messages ORDER BY at"
    assert rows(store, kept) == [(None,), ("words 1",), ("words 2",)]
    assert store.drop_bodies(T0 + 2) == 1
    assert rows(store, kept) == [(None,), (None,), ("words 2",)]
    assert save(store, said, bodies_from=T0 + 2) == Counts(read=3, unchanged=3)
    assert dirty(store) == []


# --- the transaction and the file ----------------------------------------------------------------------------------


def test_a_batch_that_fails_leaves_nothing_and_the_next_one_finds_its_ids_again(store: Store) -> None:
    save(store, talk(1))
    before = contents(store.conn)
    broken = Message("x", "2", T0, "human", "New", length=None)  # type: ignore[arg-type]  # what no adapter may give
    with pytest.raises(sqlite3.IntegrityError):
        save(store, Page([*talk(2), broken], {"done": 2}))
    assert contents(store.conn) == before
    assert save(store, Page([conversation(2, agent="New"), *talk(2)[1:]], {"done": 2})).new == 4
    assert store.cursor(1, "all") == {"done": 2}


def test_the_cursor_is_the_last_one_given(store: Store) -> None:
    assert store.cursor(store.source("fake", "fake"), "all") is None
    save(store, Page([], {"done": 1}), Page([], {"done": 2}), Page([], None))
    assert store.cursor(1, "all") == {"done": 2}
    assert store.cursor(1, "others") is None


def test_a_commit_that_fails_leaves_no_transaction_open(store: Store) -> None:
    late = "PRAGMA defer_foreign_keys = ON; INSERT INTO unsettled VALUES (7)"  # so that it is the COMMIT that fails
    with pytest.raises(sqlite3.IntegrityError), transaction(store.conn):
        [store.conn.execute(sql) for sql in late.split(";")]
    assert not store.conn.in_transaction
    assert rows(store, "SELECT * FROM unsettled") == []


def test_a_transaction_is_the_only_writer_from_its_beginning(store: Store, tmp_path: Path) -> None:
    other = connect(tmp_path / "d.db")
    other.execute("PRAGMA busy_timeout = 0")
    with transaction(store.conn), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("DELETE FROM dirty")
    other.close()


def test_a_services_name_stays_with_its_adapter(store: Store) -> None:
    """Another service's conversations may have the same ids."""
    store.source("desk", "one", {"csat": "why"})
    with pytest.raises(ConfigError, match="holds what one gave") as error:
        store.source("desk", "two", {})
    assert error.value.setting == "services.desk"
    assert rows(store, "SELECT name, adapter, lacks FROM sources") == [("desk", "one", '{"csat": "why"}')]
    assert not store.conn.in_transaction


def test_two_sources_share_nothing(store: Store) -> None:
    for name in ("one", "two"):
        assert store.save(store.source(name, "fake"), "all", [Page(talk(1))], seen_at=SEEN).new == 4
    assert rows(store, "SELECT count(*) FROM conversations") == [(2,)]
    assert rows(store, "SELECT count(DISTINCT conversation_id) FROM messages") == [(2,)]


def test_demo_and_real_data_never_share_a_store(tmp_path: Path) -> None:
    Store.open(tmp_path / "d.db", demo=True).close()
    with pytest.raises(ConfigError, match="holds demo data") as error:
        Store.open(tmp_path / "d.db", demo=False)
    assert error.value.setting == "database"


def test_a_store_is_for_its_owner_only(tmp_path: Path) -> None:
    Store.open(tmp_path / "new" / "d.db", demo=False).close()
    assert (tmp_path / "new" / "d.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("what", ["text", "folder", "newer"])
def test_what_is_no_store_of_ours_is_refused_in_a_sentence(tmp_path: Path, what: str) -> None:
    path = tmp_path / "d.db"
    if what == "text":
        path.write_text("no database at all, but long enough to be taken for one's first page" * 20)
    elif what == "folder":
        path.mkdir()
    else:
        Store.open(path, demo=False).close()
        conn = connect(path)
        sql = "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, 'm999', '')"
        conn.execute(sql, (migrations.name,))
        conn.close()
    with pytest.raises(ConfigError, match=r"d\.db"):
        Store.open(path, demo=False)
    if what != "newer":
        with pytest.raises(ConfigError, match=r"d\.db cannot be used as the store"):
            connect(path)


@pytest.mark.parametrize("began", [False, True])
def test_without_a_whole_store_one_is_told_to_sync(tmp_path: Path, began: bool) -> None:
    if began:
        (tmp_path / "d.db").touch()  # as a first sync leaves it that was killed at once
    with pytest.raises(ConfigError, match="run `deskpulse sync` first"):
        connect(tmp_path / "d.db")


def test_a_place_where_nothing_can_be_written_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = lock_of(tmp_path / "file" / "d.db")
    with pytest.raises(ConfigError, match="nothing can be written to"), locked(path, "busy"):
        pass


def test_only_one_writer_holds_the_lock(tmp_path: Path) -> None:
    path = lock_of(tmp_path / "d.db")
    for _ in range(2):
        with locked(path, "busy"), pytest.raises(ConnectorError, match=rf"busy \(process {os.getpid()}\): nothing was"):  # noqa: SIM117  the second lock is what is refused
            with locked(path, "busy"):
                pass
