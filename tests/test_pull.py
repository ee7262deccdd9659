"""The pull engine: what it stores when all is well, and what it says and keeps when a service is not."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_service import (
    MINUTE,
    T0,
    Deployment,
    Fake,
    FakeRereads,
    FakeWrites,
    Script,
    Ticking,
    contents,
    conversation,
    deploy,
    patched,
    rating,
    talk,
)

from connector import pull
from connector.cli import main
from connector.cli.sync import ProgressBar, asked_to_stop, how_far
from connector.config import ServiceConfig
from connector.errors import AuthFailed, BadPayload, ConfigError, ConnectorError, Rejected, Transient, UsageError
from connector.models import Event, Message, Page, Reject
from connector.store import connect
from connector.store.counts import Counts
from connector.store.lock import lock_of, locked

Deploy = Callable[..., Deployment]
NOTHING = {"read": 0, "new": 0, "changed": 0, "unchanged": 0}


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deploy:
    return lambda **adapters: deploy(tmp_path, patched(monkeypatch), **adapters)


def pages(count: int) -> list[Page | Exception]:
    return [Page(talk(number)) for number in range(1, count + 1)]


def script(*more: Page | Exception, ratings: tuple[Page | Exception, ...] = ()) -> Script:
    return {"conversations": [*pages(3), *more], "ratings": list(ratings)}


def run(made: Deployment, *names: str, **more: Any) -> list[pull.RunSummary]:
    return pull.sync(made.config, names, made.clock, **more)


def stored(made: Deployment) -> dict[str, list[tuple[Any, ...]]]:
    conn = connect(made.config.database)
    try:
        return contents(conn)
    finally:
        conn.close()


def ask(made: Deployment, sql: str) -> list[tuple[Any, ...]]:
    conn = connect(made.config.database)
    try:
        return [tuple(row) for row in conn.execute(sql)]
    finally:
        conn.close()


def health(made: Deployment) -> tuple[Any, ...]:
    return ask(made, "SELECT state, reason, first_synced_at IS NOT NULL, last_synced_at IS NOT NULL FROM sources")[0]


# --- all is well -----------------------------------------------------------------------------------------------------


def test_a_run_is_one_line_and_a_second_run_finds_nothing_new(deployed: Deploy) -> None:
    made = deployed(fake=Fake(script(ratings=(Page([rating(1, (T0, 5))]),))))
    [first] = run(made)
    assert first.line() == "fake: read 13, new 13, changed 0, unchanged 0, rejected 0, 3 requests, waited 0 s"
    before = stored(made)
    [second] = run(made)
    assert second.line() == "fake: nothing new; read 0, unchanged 0, rejected 0, 3 requests, waited 0 s"
    assert (second.outcome, second.error, stored(made)) == ("ok", None, before)
    assert len(made.refreshed) == 2
    assert all(http.closed for http in made.https)


def test_a_service_that_gives_all_of_it_again_changes_nothing(deployed: Deploy) -> None:
    made = deployed(fake=Fake(script()))
    run(made)
    before = stored(made)
    conn = connect(made.config.database)
    conn.execute("DELETE FROM dirty")
    conn.execute("DELETE FROM cursors")
    conn.close()
    assert run(made)[0].counts == Counts(read=12, unchanged=12)
    assert stored(made) == before
    assert ask(made, "SELECT * FROM dirty") == []


def test_each_stream_goes_on_from_its_own_cursor(deployed: Deploy) -> None:
    fake = Fake(script(ratings=(Page([rating(1)]),)))
    made = deployed(fake=fake)
    run(made)
    run(made)
    assert fake.begun[2:] == [("conversations", {"done": 3}), ("ratings", {"done": 1})]


def test_a_run_is_kept_with_what_it_did(deployed: Deploy) -> None:
    made = deployed(fake=Fake(script()))
    run(made)
    found = "SELECT what, outcome, error, read, new, rejected, requests, ended_at > started_at FROM runs"
    assert ask(made, found) == [("sync", "ok", None, 12, 12, 0, 3, 1)]
    assert health(made) == ("ok", None, 1, 1)
    synced = "SELECT first_synced_at, last_synced_at FROM sources"
    [(first, _)] = ask(made, synced)
    run(made)
    [(still_first, last)] = ask(made, synced)
    assert first == still_first < last


def test_a_run_has_read_its_source_as_it_was_when_it_began(deployed: Deploy) -> None:
    """What came between the listing and the end of a long run is not in: a day that ended meanwhile is not complete."""
    made = deployed(fake=Fake({"conversations": pages(2)}))
    run(made)
    [(began, ended, synced)] = ask(made, "SELECT started_at, ended_at, last_synced_at FROM runs, sources")
    assert began == synced < ended


@pytest.mark.parametrize("limit", ["PAGES", "RECORDS", "SECONDS"])
def test_a_batch_is_committed_by_pages_records_or_time(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    saved: list[int] = []
    save = pull.Store.save
    monkeypatch.setattr(
        pull.Store, "save", lambda store, s, n, pages, **k: saved.append(len(pages)) or save(store, s, n, pages, **k)
    )
    run(deployed(fake=Fake({"conversations": pages(25)})))
    assert saved == [10, 10, 5]
    monkeypatch.setattr(pull, limit, {"PAGES": 2, "RECORDS": 8, "SECONDS": 0.0}[limit])
    saved.clear()
    run(deployed(other=Fake({"conversations": pages(4)})))
    assert saved == ([1] * 4 if limit == "SECONDS" else [2, 2])


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Transient("fake is down: run it again later"), BadPayload("fake sent half a page")])
def test_pages_before_a_failure_stay_and_the_next_run_goes_on(deployed: Deploy, error: Exception) -> None:
    whole = deployed(fake=Fake({"conversations": pages(5)}))
    run(whole)
    expected = stored(whole)
    whole.config.database.unlink()

    fake = Fake(script(error, ratings=(Page([rating(1)]),)))
    made = deployed(fake=fake)
    [failed] = run(made)
    assert (failed.outcome, failed.error, failed.setting) == ("failed", str(error), None)
    assert failed.line().startswith("fake: failed; read 12, new 12")
    assert fake.begun == [("conversations", None)]
    assert health(made) == ("failing", str(error), 0, 0)
    assert ask(made, "SELECT outcome, error FROM runs") == [("failed", str(error))]
    assert ask(made, "SELECT cursor FROM cursors") == [('{"done": 3}',)]

    fake.script = {"conversations": pages(5)}
    [healed] = run(made)
    assert healed.counts == Counts(read=8, new=8)
    assert (stored(made), health(made)) == (expected, ("ok", None, 1, 1))


def test_a_source_that_fails_does_not_keep_the_others(deployed: Deploy) -> None:
    made = deployed(one=Fake({"conversations": [Transient("one is down")]}), two=Fake(script()))
    assert [(s.source, s.outcome, s.counts.new) for s in run(made)] == [("one", "failed", 0), ("two", "ok", 12)]
    assert len(made.refreshed) == 1


def test_breaking_and_recovering_are_news_once(deployed: Deploy) -> None:
    fake = Fake(script(Transient("fake is down")))
    made = deployed(fake=fake)
    news = [run(made)[0].news]
    broke = ask(made, "SELECT since FROM sources")
    news += [run(made)[0].news]
    assert ask(made, "SELECT since FROM sources") == broke
    fake.script = script()
    news += [run(made)[0].news, run(made)[0].news]
    assert news[:2] == ["fake is down", None]
    assert news[2].startswith("fake works again (it did not since 2025-")
    assert news[3] is None


def test_a_credential_refused_after_an_outage_is_news_too(deployed: Deploy) -> None:
    fake = Fake({"conversations": [Transient("fake is down")]})
    made = deployed(fake=fake)
    run(made)
    fake.script = {"conversations": [AuthFailed("fake refuses the credential")]}
    assert run(made)[0].news == "fake refuses the credential"


def test_reading_a_few_again_says_nothing_about_their_source(deployed: Deploy) -> None:
    """Else a source that is broken for good would be news again after each write-back."""
    fake = FakeRereads({"conversations": pages(1), "ratings": [Rejected("no ratings here")]}, {"1": Page(talk(1))})
    made = deployed(fake=fake)
    run(made)
    broken = health(made)
    again = pull.reread(made.config, "fake", ["1"], made.clock)
    assert (again.outcome, again.news, health(made)) == ("ok", None, broken)
    assert run(made)[0].news is None


def test_a_refused_credential_pauses_its_source_until_it_changes(deployed: Deploy) -> None:
    fake = Fake(script(AuthFailed("fake refuses the credential: check services.fake")))
    made = deployed(fake=fake)
    [failed] = run(made)
    assert (failed.outcome, failed.setting, failed.counts.new) == ("auth", "services.fake", 12)
    with pytest.raises(ConfigError, match=r"services\.fake") as error:
        pull.raise_for([failed])
    assert error.value.setting == "services.fake"

    [paused] = run(made)
    assert (paused.outcome, paused.line(), len(fake.begun)) == ("paused", "fake: skipped", 1)
    assert "is paused since 2025-" in str(paused.error)
    with pytest.raises(ConnectorError, match="deskpulse sync fake"):
        pull.raise_for([paused])

    fake.script = script()
    made.marks["fake"] = "another"
    [healed] = run(made)
    assert (healed.outcome, healed.news is None, health(made)[0]) == ("ok", False, "ok")


def test_a_paused_source_is_tried_again_when_it_is_named(deployed: Deploy) -> None:
    fake = Fake({"conversations": [AuthFailed("refused")]})
    made = deployed(fake=fake)
    run(made)
    fake.script = script()
    assert run(made, "fake")[0].outcome == "ok"


def test_a_stream_that_is_refused_is_written_down_and_the_others_go_on(deployed: Deploy) -> None:
    fake = Fake({"conversations": pages(1), "ratings": [Rejected("fake answered 404 to GET /ratings")]})
    fake.streams = ("ratings", "conversations")
    made = deployed(fake=fake)
    [summary] = run(made)
    assert (summary.outcome, summary.counts) == ("failed", Counts(read=5, new=4, rejected=1))
    assert stored(made)["rejects"] == [("stream", "ratings", "fake answered 404 to GET /ratings")]
    assert health(made) == ("failing", "fake answered 404 to GET /ratings (ratings were not read)", 0, 0)
    fake.script["ratings"] = [Page([rating(1)])]
    assert run(made)[0].outcome == "ok"
    assert (stored(made)["rejects"], health(made)) == ([], ("ok", None, 1, 1))


def test_a_wrong_setting_found_on_the_way_is_told_with_its_name(deployed: Deploy) -> None:
    wrong = ConfigError("services.fake.path: there is no such file", setting="services.fake.path")
    made = deployed(fake=Fake({"conversations": [wrong]}), two=Fake(script()))
    summaries = run(made)
    assert [s.outcome for s in summaries] == ["failed", "ok"]
    with pytest.raises(ConfigError) as error:
        pull.raise_for(summaries)
    assert error.value.setting == "services.fake.path"


def test_a_page_loop_that_gets_the_same_page_twice_ends(deployed: Deploy) -> None:
    class Stuck(Fake):
        def pull(self, stream: str, cursor: Any, seen: Any) -> Any:
            while True:
                yield Page([record for record in talk(1) if not seen("1", T0 + MINUTE)], {"done": 1})

    made = deployed(fake=Stuck({}))
    for outcome, new in (("failed", 4), ("failed", 0)):
        [summary] = run(made)
        assert (summary.outcome, summary.counts.new) == (outcome, new)
        assert "the same page twice" in str(summary.error)
    assert len(stored(made)["conversations"]) == 1


def test_empty_pages_may_repeat_and_so_may_records_under_a_new_cursor(deployed: Deploy) -> None:
    again = [Page(talk(1), {"done": 1}), Page(talk(1), {"done": 2}), Page([], {"done": 3}), Page([], {"done": 3})]
    [summary] = run(deployed(fake=Fake({"conversations": list(again)})))
    assert (summary.outcome, summary.counts) == ("ok", Counts(read=8, new=4, unchanged=4))


def test_pages_out_of_order_end_in_the_same_store(deployed: Deploy) -> None:
    newer = Page([conversation(1, status="open", changed_at=T0 + 500 * MINUTE), *talk(1, 4)[1:]])
    made = deployed(fake=Fake({"conversations": [*pages(3), newer]}))
    run(made)
    expected = stored(made)
    made.config.database.unlink()
    mixed = deployed(fake=Fake({"conversations": [newer, *reversed(pages(3))]}))
    run(mixed)
    got = stored(mixed)
    assert {k: v for k, v in got.items() if k != "cursors"} == {k: v for k, v in expected.items() if k != "cursors"}


def test_rejected_records_are_counted_and_heal_with_the_next_run(deployed: Deploy) -> None:
    bad = Page(talk(4)[:2], rejects=(Reject("message", "4.1", "at: a time without a zone"),))
    gone = Page([], rejects=(Reject("conversation", "5", "status: missing"),))
    fake = FakeRereads(script(bad, gone))
    fake.reread_limit = 9
    made = deployed(fake=fake)
    [summary] = run(made)
    assert (summary.outcome, summary.counts) == ("ok", Counts(read=16, new=14, rejected=2))
    fake.now = {"4": Page(talk(4)), "5": Page(talk(5))}
    [healed] = run(made)
    assert healed.counts == Counts(read=8, new=6, unchanged=2)
    assert (stored(made)["rejects"], stored(made)["unsettled"]) == ([], [])
    assert run(made)[0].line().startswith("fake: nothing new; read 0")


# --- the second look -------------------------------------------------------------------------------------------------


def test_open_conversations_are_looked_at_again_within_the_limit(deployed: Deploy) -> None:
    long_ago = [conversation(n, status="open", changed_at=T0 - 9_000 * MINUTE) for n in range(5)]
    fake = FakeRereads({"conversations": [Page([*long_ago, conversation(9)])]})
    made = deployed(fake=fake)
    run(made)
    assert fake.reread_of == []
    fake.now = {"1": Page([long_ago[1]._replace(status="done", changed_at=T0)]), "2": Page([long_ago[2]])}
    assert run(made)[0].counts == Counts(read=1, changed=1)
    assert fake.reread_of == [["0", "1", "2"]]
    run(made)
    assert fake.reread_of[1] == ["3", "4", "9"]
    run(made)
    assert fake.reread_of[2] == ["0", "1", "2"]


def test_what_a_stopped_second_look_did_not_reach_is_next(deployed: Deploy) -> None:
    still = [conversation(n, status="open", changed_at=T0) for n in range(4)]
    fake = FakeRereads({"conversations": [Page([*still])]})
    made = deployed(fake=fake)
    run(made)
    fake.now = {str(n): Page([still[n]._replace(changed_at=T0 + 1)]) for n in range(4)}
    answers = iter([False, True])
    run(made, stop=lambda: next(answers, True))
    fake.now = {}
    run(made)
    assert fake.reread_of == [["0", "1", "2"], ["1", "2", "3"]]


def test_what_was_found_unchanged_needs_no_second_look_even_where_no_page_told_so(deployed: Deploy) -> None:
    class Asks(FakeRereads):
        def pull(self, stream: str, cursor: Any, seen: Any) -> Any:
            if not seen("1", T0):
                yield Page([conversation(1, status="open", changed_at=T0)])

    fake = Asks({})
    made = deployed(fake=fake)
    for _ in range(2):
        assert run(made)[0].outcome == "ok"
    assert fake.reread_of == []


def test_a_conversation_that_was_out_of_sight_counts_again(deployed: Deploy) -> None:
    """Also unchanged: its version is asked about as if it had never been read."""

    class Lists(FakeRereads):
        def pull(self, stream: str, cursor: Any, seen: Any) -> Any:
            found = [] if hidden else [one for one in [conversation(1, status="open")] if not seen("1", one.changed_at)]
            yield Page([*found])

    hidden = False
    fake = Lists({}, {"1": Page([Event("1:deleted", "1", None, "deleted")])})
    made = deployed(fake=fake)
    run(made)
    hidden = True
    run(made)
    assert [row[3] for row in stored(made)["events"]] == ["deleted"]
    hidden = False
    assert run(made)[0].counts == Counts(read=1, unchanged=1)
    assert stored(made)["events"] == []


def test_a_removal_is_noticed_by_its_absence_and_not_asked_for_again(deployed: Deploy) -> None:
    fake = FakeRereads({"conversations": [Page([conversation(1, status="open")])]})
    fake.now = {"1": Page([Event("1:deleted", "1", None, "deleted")])}
    made = deployed(fake=fake)
    assert [run(made)[0].counts.new for _ in range(3)] == [1, 1, 0]
    assert fake.reread_of == [["1"]]


def test_a_rating_ahead_of_its_conversation_is_kept_and_its_conversation_fetched(deployed: Deploy) -> None:
    fake = FakeRereads({"conversations": pages(1), "ratings": [Page([rating(7, (T0, 5))])]})
    fake.now = {"7": Page(talk(7))}
    made = deployed(fake=fake)
    run(made)
    assert (fake.reread_of, len(stored(made)["conversations"])) == ([["7"]], 2)
    assert stored(made)["ratings"][0][:2] == ("r7", "7")


def test_ratings_from_elsewhere_join_the_conversations_they_are_about(deployed: Deploy) -> None:
    """Also one of a conversation that is not there yet: it is fetched as soon as its own service is read."""
    desk, survey = FakeRereads({"conversations": pages(1)}, {"7": Page(talk(7))}), Fake(script())
    survey.script = {"ratings": [Page([rating(1, (T0, 4)), rating(7, (T0, 5))])]}
    survey.about = "desk"
    made = deployed(survey=survey, desk=desk)
    run(made)
    assert [row[:2] for row in stored(made)["ratings"]] == [("r1", "1"), ("r7", "7")]
    assert (desk.reread_of, len(stored(made)["conversations"])) == ([["7"]], 2)
    assert ask(made, "SELECT s.name, stream FROM cursors JOIN sources s ON s.id = source_id ORDER BY 1, 2") == [
        ("desk", "conversations"),
        ("survey", "ratings"),
    ]


def test_a_stream_about_another_service_that_was_refused_comes_right(deployed: Deploy) -> None:
    survey = Fake({"ratings": [Rejected("no answers today")]})
    survey.streams, survey.about = ("ratings",), "desk"  # type: ignore[attr-defined]  # only some have it
    desk = Fake({"conversations": pages(1)})
    desk.streams = ("conversations",)
    made = deployed(survey=survey, desk=desk)
    run(made)
    assert stored(made)["rejects"] == [("stream", "ratings", "no answers today")]
    survey.script = {"ratings": [Page([rating(1, (T0, 4))])]}
    run(made)
    assert stored(made)["rejects"] == []


def test_another_adapter_under_the_same_name_is_refused_before_anything_is_read(deployed: Deploy) -> None:
    made = deployed(fake=Fake(script()), two=Fake(script()))
    run(made)
    services = [made.config.service("fake"), ServiceConfig("two", "other", {})]
    made.adapters["other"] = made.adapters["two"]
    object.__setattr__(made.config, "services", tuple(services))
    with pytest.raises(ConfigError, match="two is other now"):
        run(made)
    assert ask(made, "SELECT count(*) FROM runs") == [(2,)]


def test_ratings_about_a_service_that_the_config_has_not_are_refused_at_the_start(deployed: Deploy) -> None:
    survey = Fake({"ratings": [Page([rating(1, (T0, 4))])]})
    survey.about = "dsek"
    made = deployed(survey=survey, desk=Fake(script()))
    with pytest.raises(ConfigError, match="desk"):
        run(made)


def test_given_conversations_are_read_again_even_unchanged(deployed: Deploy) -> None:
    fake = FakeRereads({"conversations": pages(2)}, {"1": Page([conversation(1, tags=("late",))])})
    made = deployed(fake=fake)
    run(made)
    synced = ask(made, "SELECT last_synced_at FROM sources")
    summary = pull.reread(made.config, "fake", ["1"], made.clock)
    assert (summary.outcome, summary.counts) == ("ok", Counts(read=1, changed=1))
    assert ask(made, "SELECT what FROM runs") == [("sync",), ("reread",)]
    assert ask(made, "SELECT last_synced_at FROM sources") == synced
    assert len(made.refreshed) == 2


def test_a_service_without_single_conversations_cannot_reread(deployed: Deploy) -> None:
    made = deployed(fake=Fake(script()))
    with pytest.raises(UsageError, match="deskpulse sync fake"):
        pull.reread(made.config, "fake", ["1"], made.clock)


# --- wrong use, stopping, privacy ------------------------------------------------------------------------------------


def test_a_wrong_name_touches_nothing(deployed: Deploy) -> None:
    made = deployed(fake=Fake(script()), writes=FakeWrites())
    with pytest.raises(ConfigError, match="did you mean fake"):
        run(made, "fakr")
    with pytest.raises(UsageError, match="only written to"):
        run(made, "writes")
    assert not made.config.database.exists()
    assert [summary.source for summary in run(made)] == ["fake"]
    with pytest.raises(ConfigError, match="no service to read from"):
        run(deployed(writes=FakeWrites()))


def test_a_second_sync_on_the_same_store_is_refused(deployed: Deploy) -> None:
    made = deployed(fake=Fake(script()))
    with locked(lock_of(made.config.database), "busy"), pytest.raises(ConnectorError, match="nothing was done"):
        run(made)


def test_a_run_that_is_asked_to_stop_keeps_the_batch_in_hand(deployed: Deploy) -> None:
    made = deployed(fake=Fake(script()), two=Fake(script()))
    answers = iter([False, False, True])
    [stopped] = run(made, stop=lambda: next(answers, True))
    assert (stopped.outcome, stopped.counts.new) == ("stopped", 8)
    assert stopped.line().startswith("fake: stopped early; read 8")
    assert made.refreshed == []
    assert health(made) == ("ok", None, 0, 0)
    assert [s.counts.new for s in run(made)] == [4, 12]


def test_a_run_that_was_killed_is_closed_as_interrupted(deployed: Deploy) -> None:
    made = deployed(fake=Fake({"conversations": [*pages(1), KeyboardInterrupt()]}))  # type: ignore[list-item]  # as a kill
    made.adapters["fake"].pull = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(made)
    del made.adapters["fake"].pull
    made.adapters["fake"].script = script()
    run(made)
    assert ask(made, "SELECT outcome FROM runs") == [("interrupted",), ("ok",)]


def test_bodies_are_kept_only_when_asked_for_and_only_so_long(deployed: Deploy, tmp_path: Path) -> None:
    clock = Ticking()
    said = [
        Message(name, "1", clock.at - age * 1440 * MINUTE, "human", "A", body="words")
        for name, age in (("new", 1), ("old", 9))
    ]
    made = deployed(fake=Fake({"conversations": [Page([conversation(1), *said])]}))
    object.__setattr__(made.config, "keep_bodies_days", 5)
    run(made)
    bodies = "SELECT vendor_id, body FROM messages ORDER BY 1"
    assert ask(made, bodies) == [("new", "words"), ("old", None)]
    object.__setattr__(made.config, "keep_bodies_days", 0)
    run(made)
    assert ask(made, bodies) == [("new", None), ("old", None)]


# --- the command -----------------------------------------------------------------------------------------------------


def command(made: Deployment, monkeypatch: pytest.MonkeyPatch, *argv: str) -> int:
    monkeypatch.setattr("connector.cli.sync.the_config", lambda ctx: made.config)
    with pytest.raises(SystemExit) as ended:
        main(["sync", *argv])
    return int(ended.value.code or 0)


def test_the_command_says_what_it_did_and_how_it_ended(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = Fake(script(AuthFailed("fake refuses the credential: check services.fake")))
    made = deployed(fake=fake)
    assert command(made, monkeypatch) == 2
    out, err = capsys.readouterr()
    assert out.startswith("fake: failed; read 12, new 12")
    assert err == "deskpulse: fake refuses the credential: check services.fake\n"
    assert command(made, monkeypatch) == 1
    fake.script = script(Transient("fake is down"))
    assert command(made, monkeypatch, "fake") == 1
    fake.script = script()
    capsys.readouterr()
    assert command(made, monkeypatch, "fake") == 0
    assert "fake works again" in capsys.readouterr().out


def test_the_first_signal_asks_to_stop_and_the_second_interrupts() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with asked_to_stop() as stop:
        assert not stop.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_progress_is_one_line_that_goes_away(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Ticking()
    clock.monotonic = lambda: 1.0  # type: ignore[method-assign]  # its own would stand at zero, the time of the last line
    bar = ProgressBar(clock)
    bar.step("fake", "conversations", 5, 10)
    bar.wait("fake", 30)
    bar.end()
    said = capsys.readouterr().err.split("\r")  # without a terminal, click leaves out the code that clears the line
    assert said == ["", "fake conversations: 5 of 10 (50 %)", "fake: waiting 30 s, as it asked for", ""]


def test_the_command_prints_json(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = deployed(fake=Fake(script()))
    command(made, monkeypatch)
    capsys.readouterr()
    assert command(made, monkeypatch, "--json") == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row == {
        **NOTHING,
        "source": "fake",
        "outcome": "ok",
        "rejected": 0,
        "requests": 3,
        "waited_s": 0,
        "error": None,
    }


def test_how_far_names_the_time_left_where_it_is_known() -> None:
    assert how_far(1200, 4800, 15) == "1,200 of 4,800 (25 %), 0:45 left"
    assert how_far(4800, 4800, 15) == "4,800 of 4,800 (100 %)"
    assert how_far(0, 10, 0) == "0 of 10 (0 %)"


def test_how_far_names_the_pace_where_no_total_is_told_once_there_is_something_to_measure() -> None:
    assert how_far(7, None, 9.9) == "7"
    assert how_far(700, None, 1050) == "700, 2,400 an hour"


def test_progress_counts_conversations_that_needed_no_reading_too(deployed: Deploy) -> None:
    class Lists(Fake):
        def pull(self, stream: str, cursor: Any, seen: Any) -> Any:
            if stream == "conversations":
                for start in (0, 2):
                    numbers = [n for n in (start, start + 1) if not seen(str(n), conversation(n).changed_at)]
                    yield Page([r for n in numbers for r in talk(n)], None, total=4)

    steps: list[tuple[int, int | None]] = []

    class Watching:
        def step(self, source: str, stream: str, done: int, total: int | None) -> None:
            steps.append((done, total))

        def wait(self, source: str, seconds: float) -> None: ...
        def end(self) -> None: ...

    made = deployed(fake=Lists({}))
    for _ in range(2):
        run(made, progress=Watching())
        assert steps == [(2, 4), (4, 4)]
        steps.clear()
