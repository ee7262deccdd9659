"""Frozen figures: what adds a row, what restates, what can be explained and comes about again."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import golden
import pytest

from connector import facts, registry
from connector.config import Config
from connector.errors import UsageError
from connector.metric import Metric, Value, compute
from connector.models import Instant, Schedule, from_iso
from connector.period import Period, parse
from connector.results import explain, find, freeze
from connector.results.freeze import PASSPORT_LENGTH, cohort_of
from connector.store.write import Store

DAY = "2026-11-17"
SEEN = "2026-11-18T06:00Z"
NOW = from_iso("2026-11-18T08:00:00Z")
LATER = from_iso("2026-11-19T08:00:00Z")


def talk(name: str, minutes: int, hour: int = 9, **more: Any) -> dict[str, Any]:
    """A conversation answered after so many minutes."""
    messages = [
        {"id": f"{name}q", "at": f"{DAY}T{hour:02}:00Z", "author": "customer", "author_id": f"of-{name}"},
        {"id": f"{name}a", "at": f"{DAY}T{hour:02}:{minutes:02}Z", "author": "agent", "author_id": "Ann"},
    ]
    link = f"https://desk.example/{name}"
    return {"id": name, "channel": "email", "link": link, "messages": messages, "seen_at": SEEN, **more}


class Shop:
    """A store with records, whose figures can be computed, frozen and explained. Further records come in later."""

    def __init__(self, folder: Path) -> None:
        self.config = Config(path=folder / "deskpulse.toml", database=folder / "deskpulse.db")
        story = {"zone": "UTC", "conversations": [talk("c1", 10), talk("c2", 30)]}
        self.store: Store = golden.store_of(story, self.config)
        self.conn = self.store.conn
        self.conn.execute("UPDATE sources SET last_synced_at = ?, first_synced_at = ?", (NOW, NOW - 3 * 3_600_000))
        facts.refresh(self.conn, self.config)

    def comes_in(self, *records: dict[str, Any]) -> None:
        self.store.close()
        self.store = golden.store_of({"conversations": records}, self.config)
        self.conn = self.store.conn
        facts.refresh(self.conn, self.config)

    def compute(self, key: str, now: Instant = NOW, **more: Any) -> tuple[list[Value], Period]:
        period = parse(more.pop("period", DAY), "UTC", now)
        return compute(self.conn, self.config, [key], period, now=now, **more), period

    def freeze(self, key: str = "first_response_time", now: Instant = NOW, **more: Any) -> list[str]:
        publish, as_of = more.pop("publish", None), more.pop("as_of", None)
        values, period = self.compute(key, now, **more)
        return freeze(self.conn, self.config, values, period, now=now, publish=publish, as_of=as_of)

    def rows(self) -> int:
        return self.conn.execute("SELECT count(*) FROM results").fetchone()[0]

    def explain(self, passport: str, now: Instant = LATER, **more: Any) -> Any:
        return explain(self.conn, self.config, [passport], now=now, **more)[0]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.store.close()


def test_the_same_figure_computed_again_adds_nothing(shop: Shop) -> None:
    first = shop.freeze()
    rows = shop.rows()
    assert shop.freeze(now=LATER) == first
    assert shop.rows() == rows == 8


def test_a_passport_is_short_and_its_own(shop: Shop) -> None:
    passports = shop.freeze()
    assert len(set(passports)) == 8
    assert all(len(p) == PASSPORT_LENGTH and set(p) <= set("0123456789abcdef") for p in passports)


def test_a_frozen_figure_keeps_what_made_it(shop: Shop) -> None:
    frozen = find(shop.conn, shop.freeze(clock="calendar")[0])
    assert (frozen.key, frozen.statistic, frozen.clock, frozen.value, frozen.n) == (
        "first_response_time", "median", "calendar", 1200, 2,
    )  # fmt: skip
    assert (frozen.zone, frozen.version, frozen.complete, frozen.data_until) == ("UTC", 1, True, NOW)
    assert frozen.exclusions["unanswered"] == 0
    assert list(cohort_of(shop.conn, frozen)) == [1, 2]
    assert "golden" in frozen.cursors


def test_data_is_in_until_the_source_that_was_read_longest_ago(shop: Shop) -> None:
    shop.conn.execute("INSERT INTO sources (name, adapter, last_synced_at) VALUES ('b', 'files', ?)", (NOW - 5,))
    assert find(shop.conn, shop.freeze("conversation_volume")[0]).data_until == NOW - 5
    shop.conn.execute("INSERT INTO sources (name, adapter) VALUES ('c', 'files')")
    assert find(shop.conn, shop.freeze("conversation_volume", now=LATER)[0]).data_until is None


def test_statistics_of_the_same_conversations_share_their_cohort(shop: Shop) -> None:
    shop.freeze(clock="calendar")
    assert shop.conn.execute("SELECT count(*) FROM cohorts").fetchone()[0] == 1


def test_a_large_cohort_comes_back_as_it_was(shop: Shop) -> None:
    ids = array("q", [5, 3, 9_000_000_000, 3, *range(100, 2000, 7)])
    values, period = shop.compute("csat")
    passport = freeze(shop.conn, shop.config, [replace(values[0], ids=ids)], period, now=NOW)[0]
    assert list(cohort_of(shop.conn, find(shop.conn, passport))) == sorted(set(ids))


def test_late_data_restates_and_leaves_the_old_figure(shop: Shop) -> None:
    old = shop.freeze(clock="calendar")[0]
    shop.comes_in(talk("c3", 50))
    new = find(shop.conn, shop.freeze(clock="calendar", now=LATER)[0])
    assert find(shop.conn, old).value == 1200
    assert (new.value, new.restates) == (1800, old)
    assert new.reason == "late data: 1 conversation came in"


def test_a_changed_definition_restates(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    old = shop.freeze("conversation_volume")[0]
    catalogue = registry.metrics()
    newer = {**catalogue, "conversation_volume": replace(catalogue["conversation_volume"], version=2)}
    monkeypatch.setattr(registry, "metrics", lambda: newer)
    new = find(shop.conn, shop.freeze("conversation_volume")[0])
    assert (new.restates, new.reason) == (old, "the definition changed from version 1 to 2")
    assert shop.explain(old).again.because is None or "version" in shop.explain(old).again.because


def test_changed_opening_hours_restate_business_time_only(shop: Shop) -> None:
    before = shop.freeze()
    shop.config = replace(shop.config, calendar=Schedule("UTC", (((540, 560),),) * 7))
    facts.refresh(shop.conn, shop.config)
    after = shop.freeze()
    assert [b == a for b, a in zip(before, after, strict=True)] == [True] * 4 + [False] * 4
    assert find(shop.conn, after[4]).reason == "opening hours or other settings changed"
    assert find(shop.conn, after[4]).value == 900  # 10 and 20 minutes: the half hour reached past closing


def test_a_figure_that_becomes_complete_restates_nothing(shop: Shop) -> None:
    early = shop.freeze("conversation_volume", now=from_iso(f"{DAY}T20:00:00Z"))[0]
    final = find(shop.conn, shop.freeze("conversation_volume")[0])
    assert find(shop.conn, early).complete is False
    assert (final.complete, final.restates) == (True, None)
    assert final.id != early


def test_a_source_that_fails_later_does_not_unmake_what_was_complete(shop: Shop) -> None:
    complete = shop.freeze("conversation_volume")[0]
    shop.conn.execute("UPDATE sources SET state = 'auth'")
    assert shop.freeze("conversation_volume") == [complete]


def test_a_source_that_is_read_anew_makes_figures_doubtful_until_it_is_through(shop: Shop) -> None:
    complete = shop.freeze("conversation_volume")[0]
    shop.conn.execute("INSERT INTO sources (name, adapter) VALUES ('second', 'files')")
    doubtful = find(shop.conn, shop.freeze("conversation_volume")[0])
    assert (doubtful.complete, doubtful.restates) == (False, None)
    shop.conn.execute("UPDATE sources SET last_synced_at = (SELECT max(last_synced_at) FROM sources)")
    assert shop.freeze("conversation_volume") == [complete]


def test_the_newest_figure_is_the_one_added_last_though_the_clock_was_set_back(shop: Shop) -> None:
    shop.freeze("conversation_volume", now=LATER)
    shop.conn.execute("UPDATE fact_conversations SET excluded = 'spam' WHERE conversation_id = 1")
    changed = shop.freeze("conversation_volume", now=NOW)
    assert shop.freeze("conversation_volume", now=NOW + 1) == changed
    assert shop.rows() == 2


def test_an_inbox_without_hours_of_its_own_restates_nothing(shop: Shop) -> None:
    before = shop.freeze()
    shop.conn.execute("INSERT INTO inboxes (source_id, vendor_id, name) VALUES (1, 'new', 'New')")
    facts.refresh(shop.conn, shop.config)
    assert shop.freeze() == before


def test_from_which_n_agents_are_shown_restates_their_figures_and_no_others(shop: Shop) -> None:
    whole, hidden = shop.freeze(clock="calendar"), shop.freeze(clock="calendar", by=["agent"])
    only_ann = shop.freeze(clock="calendar", where={"agent": "Ann"})
    shop.config = replace(shop.config, agent_min_n=2)
    assert shop.freeze(clock="calendar") == whole
    for old, by in ((hidden[0], {"by": ["agent"]}), (only_ann[0], {"where": {"agent": "Ann"}})):
        new = find(shop.conn, shop.freeze(clock="calendar", **by)[0])
        assert (find(shop.conn, old).value, new.value, new.restates) == (None, 1200, old)
        assert new.reason == "opening hours or other settings changed"
        assert shop.explain(old).again.because == "opening hours or other settings have changed since"


def test_what_only_time_moves_is_not_called_late_data(shop: Shop) -> None:
    values, period = shop.compute("first_contact_resolution")
    young = [replace(values[0], exclusions={"provisional": 1})]
    freeze(shop.conn, shop.config, young, period, now=NOW)
    older = freeze(shop.conn, shop.config, [replace(values[0], exclusions={"provisional": 0})], period, now=LATER)[0]
    assert find(shop.conn, older).reason == "what is left out or provisional changed, the figure did not"


def test_a_figure_that_goes_and_comes_back_is_three_rows(shop: Shop) -> None:
    first = shop.freeze("conversation_volume")[0]
    shop.conn.execute("UPDATE fact_conversations SET excluded = 'spam' WHERE conversation_id = 1")
    second = shop.freeze("conversation_volume")[0]
    shop.conn.execute("UPDATE fact_conversations SET excluded = NULL")
    third = shop.freeze("conversation_volume")[0]
    assert len({first, second, third}) == 3
    assert find(shop.conn, third).restates == second
    assert shop.freeze("conversation_volume") == [third]


def test_only_what_was_complete_is_restated(shop: Shop) -> None:
    early = shop.freeze("conversation_volume", now=from_iso(f"{DAY}T20:00:00Z"))[0]
    shop.comes_in(talk("c3", 50))
    assert find(shop.conn, shop.freeze("conversation_volume")[0]).restates is None
    assert find(shop.conn, early).value == 2


def test_an_unfinished_figure_that_goes_and_comes_back_is_three_rows_too(shop: Shop) -> None:
    young = {"now": from_iso(f"{DAY}T20:00:00Z")}
    first = shop.freeze("conversation_volume", **young)
    shop.conn.execute("UPDATE fact_conversations SET excluded = 'spam' WHERE conversation_id = 1")
    shop.freeze("conversation_volume", **young)
    shop.conn.execute("UPDATE fact_conversations SET excluded = NULL")
    third = shop.freeze("conversation_volume", now=young["now"] + 1)
    assert third != first
    assert shop.freeze("conversation_volume", now=young["now"] + 2) == third
    assert shop.rows() == 3


def test_the_same_value_of_other_conversations_is_another_figure(shop: Shop) -> None:
    values, period = shop.compute("conversation_volume")
    old = freeze(shop.conn, shop.config, [replace(values[0], ids=[1, 2])], period, now=NOW)[0]
    new = find(shop.conn, freeze(shop.conn, shop.config, [replace(values[0], ids=[2, 3, 4])], period, now=NOW)[0])
    assert (new.restates, new.reason) == (old, "late data: 2 conversations came in, 1 conversation left")


def test_publishing_is_noted_once(shop: Shop) -> None:
    shop.freeze("conversation_volume")
    passport = shop.freeze("conversation_volume", publish="digest:2026-11-17", now=LATER)[0]
    assert (find(shop.conn, passport).published, find(shop.conn, passport).published_at) == ("digest:2026-11-17", LATER)
    shop.freeze("conversation_volume", publish="another")
    assert find(shop.conn, passport).published == "digest:2026-11-17"


def test_a_figure_as_of_an_earlier_instant_restates_nothing(shop: Shop) -> None:
    now_known = shop.freeze("conversation_volume")[0]
    then = find(shop.conn, shop.freeze("conversation_volume", as_of=NOW - 1000)[0])
    assert then.id != now_known
    assert (then.as_of, then.restates) == (NOW - 1000, None)
    assert shop.freeze("conversation_volume") == [now_known]


def test_another_group_filter_or_period_is_another_figure(shop: Shop) -> None:
    plain = shop.freeze("conversation_volume")
    assert len({
        *plain,
        *shop.freeze("conversation_volume", by=["channel"]),
        *shop.freeze("conversation_volume", where={"channel": "email"}),
        *shop.freeze("conversation_volume", period="2026-11"),
    }) == 4  # fmt: skip


# --- explaining ------------------------------------------------------------------------------------------------------


def test_an_explained_figure_comes_about_again(shop: Shop) -> None:
    passport = shop.freeze(clock="calendar")[0]
    found = shop.explain(passport)
    assert found.again == (1200, 2, None)
    assert found.again.same
    assert found.today is None
    assert [(m.id, m.source, m.link) for m in found.members] == [
        ("c1", "golden", "https://desk.example/c1"),
        ("c2", "golden", "https://desk.example/c2"),
    ]
    assert [(e.name, e.n) for e in found.exclusions if e.name == "unanswered"] == [("unanswered", 0)]


@pytest.mark.parametrize("key", [k for k, m in registry.metrics().items() if isinstance(m, Metric)])
def test_every_kpi_can_be_explained(shop: Shop, key: str) -> None:
    for one in explain(shop.conn, shop.config, shop.freeze(key), now=NOW):
        assert one.again.same, (key, one.again)
        assert one.today is None


def test_an_old_figure_still_comes_about_after_late_data_and_says_todays(shop: Shop) -> None:
    old = shop.freeze(clock="calendar")[0]
    shop.comes_in(talk("c3", 50, seen_at="2026-11-19T06:00Z"))
    found = shop.explain(old)
    assert found.again.same
    assert found.today is not None
    assert (found.today.value, found.today.n, found.today.restates) == (1800, 3, old)
    assert found.today.reason == "late data: 1 conversation came in"


def test_a_figure_as_of_an_instant_stays_what_it_is(shop: Shop) -> None:
    then = shop.freeze("conversation_volume", as_of=NOW)[0]
    shop.comes_in(talk("c3", 50, seen_at="2026-11-19T06:00Z"))
    found = shop.explain(then)
    assert (found.frozen.value, found.again.same, found.today) == (2, True, None)


def test_a_figure_as_of_an_instant_comes_about_as_of_it_whenever_it_was_computed(shop: Shop) -> None:
    values, period = shop.compute("conversation_volume")
    shop.comes_in(talk("c3", 50, seen_at="2026-11-18T09:00Z"))
    then = freeze(shop.conn, shop.config, values, period, now=LATER, as_of=NOW)[0]
    assert shop.explain(then).again.same


def test_the_same_value_of_other_conversations_has_not_come_about_again(shop: Shop) -> None:
    values, period = shop.compute("conversation_volume")
    passport = freeze(shop.conn, shop.config, [replace(values[0], ids=[1])], period, now=NOW)[0]
    assert shop.explain(passport).again == (2, 2, "its sources have rewritten what they had said before")


def test_an_explanation_says_when_the_past_was_rewritten(shop: Shop) -> None:
    passport = shop.freeze(clock="calendar")[0]
    shop.conn.execute("UPDATE messages SET at = at + 60000 WHERE vendor_id LIKE '%c1a'")
    facts.refresh(shop.conn, shop.config)
    found = shop.explain(passport)
    assert found.again == (1230, 2, "its sources have rewritten what they had said before")
    assert found.today is not None
    assert found.today.value == 1230


def test_an_explanation_says_when_settings_changed(shop: Shop) -> None:
    passport = shop.freeze(clock="calendar")[0]
    shop.config = replace(shop.config, bots=("Ann",))
    facts.refresh(shop.conn, shop.config)
    assert shop.explain(passport).again.because == "opening hours or other settings have changed since"


def test_an_explanation_says_when_a_group_is_gone(shop: Shop) -> None:
    passport = shop.freeze("conversation_volume", by=["channel"])[0]
    shop.conn.execute("UPDATE channels SET kind = 'sms'")
    shop.conn.execute("INSERT INTO dirty SELECT id FROM conversations")
    facts.refresh(shop.conn, shop.config)
    assert shop.explain(passport).again.because == "its group no longer occurs"


def test_a_figure_whose_filter_no_longer_has_a_name_is_explained_all_the_same(shop: Shop) -> None:
    passport = shop.freeze("conversation_volume", where={"channel": "email"})[0]
    shop.conn.execute("UPDATE channels SET kind = 'sms'")
    shop.conn.execute("INSERT INTO dirty SELECT id FROM conversations")
    facts.refresh(shop.conn, shop.config)
    found = shop.explain(passport)
    assert (found.frozen.value, found.again.because, found.today) == (2, "its group no longer occurs", None)


def test_explaining_while_the_facts_of_an_instant_are_looked_at_restates_nothing(shop: Shop) -> None:
    passport = shop.freeze("conversation_volume")[0]
    facts.as_of(shop.conn, shop.config, from_iso(f"{DAY}T08:00:00Z"))
    assert shop.explain(passport).today is None
    assert shop.rows() == 1


def test_the_conversations_named_are_bounded(shop: Shop) -> None:
    passport = shop.freeze("conversation_volume")[0]
    assert len(shop.explain(passport, limit=1).members) == 1
    assert len(shop.explain(passport, limit=None).members) == 2


def test_an_unknown_passport_is_wrong_use(shop: Shop) -> None:
    with pytest.raises(UsageError, match="there is no figure with the passport"):
        find(shop.conn, "0123456789ab")


def test_explaining_leaves_the_facts_as_they_are(shop: Shop) -> None:
    def facts_now() -> str:
        return json.dumps([tuple(row) for row in shop.conn.execute("SELECT * FROM fact_conversations")])

    before = facts_now()
    shop.explain(shop.freeze("conversation_volume", now=from_iso("2026-11-17T08:00:00Z"))[0])
    assert facts_now() == before


def test_a_value_that_cannot_be_stored_takes_the_others_with_it(shop: Shop) -> None:
    values, period = shop.compute("conversation_volume")
    bad: Any = None
    with pytest.raises(Exception, match="NOT NULL"):
        freeze(shop.conn, shop.config, [values[0], replace(values[0], unit=bad, statistic="x")], period, now=NOW)
    assert shop.rows() == 0
