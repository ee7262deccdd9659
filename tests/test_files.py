from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from adapters.files import LINES_A_PAGE, Files, FilesSettings
from connector.errors import ConfigError
from connector.models import Channel, Conversation, Event, Inbox, Message, Rating, Reject, Schedule, from_iso
from connector.store.write import Store

AT = "2026-11-20T09:00:00+01:00"


def conversation(number: int | str, **more: object) -> dict[str, object]:
    said = [{"id": "1", "at": AT, "author": "customer", "author_id": "c1", "text": "Hello?"}]
    return {"id": number, "messages": said} | more


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def adapter(path: Path) -> Files:
    return Files(FilesSettings(path=path), None)  # type: ignore[arg-type]  # it makes no requests


def pull(path: Path, cursor: object = None) -> tuple[list[object], list[Reject], object]:
    """All records and rejects of one run, and the cursor after it."""
    records, rejects = [], []
    for page in adapter(path).pull("records", cursor, lambda *_: False):
        records += page.records
        rejects += page.rejects
        cursor = cursor if page.cursor is None else json.loads(json.dumps(page.cursor))
    return records, rejects, cursor


def only(records: list[object], kind: type) -> list:
    return [record for record in records if isinstance(record, kind)]


def test_a_line_with_nothing_but_messages_is_a_whole_conversation(tmp_path) -> None:
    row = {
        "id": "991712597505445888",
        "team": "ShopSupport",
        "channel": "x",
        "messages": [
            {"id": "2", "at": "2018-05-02T18:17:37.129Z", "author": "agent", "author_id": "ShopSupport", "text": "Hi!"},
            {"id": "1", "at": "2018-05-02T16:14:43.031Z", "author": "customer", "author_id": "99e0", "text": "When?"},
        ],
    }
    records, rejects, _ = pull(write(tmp_path / "x.jsonl", row))
    assert rejects == []
    assert only(records, Conversation) == [
        Conversation(
            "991712597505445888",
            from_iso("2018-05-02T16:14:43.031Z"),
            "open",
            channel="x",
            contact="99e0",
            team="ShopSupport",
        )
    ]
    assert only(records, Channel) == [Channel("x", "x")]
    answer = only(records, Message)[0]
    assert (answer.author, answer.author_id, answer.length, answer.public) == ("human", "ShopSupport", 3, True)


def test_an_unchanged_file_is_not_read_again(tmp_path) -> None:
    path = write(tmp_path / "a.jsonl", conversation(1))
    _, _, cursor = pull(path)
    assert pull(path, cursor) == ([], [], cursor)


def test_of_a_longer_file_only_the_new_lines_are_read(tmp_path) -> None:
    path = write(tmp_path / "a.jsonl", conversation(1))
    _, _, cursor = pull(path)
    with path.open("a") as file:
        file.write(json.dumps(conversation(2)) + "\nnonsense\n")
    records, rejects, _ = pull(path, cursor)
    assert [one.id for one in only(records, Conversation)] == ["2"]
    assert [reject.id for reject in rejects] == ["a.jsonl:3"]


@pytest.mark.parametrize("rewritten", [[3, 1, 2], [2], [9, 2]])
def test_a_rewritten_file_is_read_from_its_start(tmp_path, rewritten) -> None:
    path = write(tmp_path / "a.jsonl", conversation(1), conversation(2))
    _, _, cursor = pull(path)
    records, _, after = pull(write(path, *map(conversation, rewritten)), cursor)
    assert [one.id for one in only(records, Conversation)] == [str(number) for number in rewritten]
    assert pull(path, after)[0] == []


def test_half_a_line_is_left_until_it_is_whole(tmp_path) -> None:
    line = json.dumps(conversation(2))
    path = write(tmp_path / "a.jsonl", conversation(1))
    with path.open("a") as file:
        file.write(line[:30])
    records, rejects, cursor = pull(path)
    assert ([one.id for one in only(records, Conversation)], rejects) == (["1"], [])
    with path.open("a") as file:
        file.write(line[30:])
    records, rejects, cursor = pull(path, cursor)
    assert ([one.id for one in only(records, Conversation)], rejects) == (["2"], [])
    with path.open("a") as file:
        file.write("\n" + json.dumps({"id": 3}) + "\n")
    assert [reject.id for reject in pull(path, cursor)[1]] == ["a.jsonl:3"]


def test_pages_hold_200_lines_and_each_has_its_own_cursor(tmp_path) -> None:
    path = write(tmp_path / "a.jsonl", *map(conversation, range(450)))
    pages = list(adapter(path).pull("records", None, lambda *_: False))
    assert [len(only(page.records, Conversation)) for page in pages] == [LINES_A_PAGE, LINES_A_PAGE, 50]
    records, _, _ = pull(path, pages[0].cursor)
    assert [one.id for one in only(records, Conversation)] == [str(number) for number in range(200, 450)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (conversation(1, created_at="2026-11-20T09:00:00"), "without a zone"),
        (conversation(1, created_at="1970-01-01T00:00:00Z"), "plausible"),
        (conversation(1, created_at=1795165200), "text with a zone"),
        (conversation(1, created_at="yesterday"), "isoformat"),
        (conversation(1, status="asleep"), "not a status"),
        (conversation(""), "at least 1 character"),
        ({"messages": []}, "id"),
        ({"id": 1, "messages": []}, "created_at is needed"),
        ({"id": 1, "messages": [{"id": 1, "author": "customer"}]}, "messages.0.at: Field required"),
        ({"id": 1, "messages": "none"}, "messages"),
        ({"type": "ticket", "id": 1}, "type is not one of"),
        ([1, 2], "type is not one of"),
        ({"type": "event", "conversation": "1", "at": AT, "kind": "status"}, "not a status"),
        ({"type": "rating", "conversation": "1"}, "neither offered nor answered"),
        ({"type": "rating", "conversation": "1", "score": 3}, "at and score"),
        ({"type": "rating", "conversation": "1", "at": AT, "score": 6}, "outside of low and high"),
        ({"type": "inbox", "id": 1, "schedule": {"zone": "Europe/Pari"}}, "not a time zone"),
        ({"type": "inbox", "id": 1, "schedule": {"zone": "UTC", "hours": {"mon": ["17:00-09:00"]}}}, "opening hours"),
    ],
)
def test_a_bad_line_is_rejected_with_its_place_and_reason_and_the_others_kept(tmp_path, row, reason) -> None:
    records, rejects, cursor = pull(write(tmp_path / "a.jsonl", conversation(8), row, conversation(9)))
    assert [one.id for one in only(records, Conversation)] == ["8", "9"]
    assert [reject.id for reject in rejects] == ["a.jsonl:2"]
    assert reason in rejects[0].reason
    assert pull(tmp_path / "a.jsonl", cursor) == ([], [], cursor)


def test_a_reject_does_not_repeat_what_a_customer_wrote(tmp_path) -> None:
    row = conversation(1)
    row["messages"][0] |= {"text": ["my card is 4111"], "at": AT}  # type: ignore[index]  # a dict of this test's own
    _, rejects, _ = pull(write(tmp_path / "a.jsonl", row))
    assert "4111" not in str(rejects)


def test_a_line_that_is_not_utf8_or_not_json_costs_that_line_only(tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    good = json.dumps(conversation(1)).encode()
    path.write_bytes(
        b"\xef\xbb\xbf" + good + b"\n" + '{"id": "é"}'.encode("latin-1") + b"\r\n\r\n<html>\n" + good + b"\n"
    )
    records, rejects, _ = pull(path)
    assert len(only(records, Conversation)) == 2
    assert [reject.id for reject in rejects] == ["a.jsonl:2", "a.jsonl:4"]


def test_the_same_message_number_in_two_conversations_is_two_messages(tmp_path) -> None:
    records, _, _ = pull(write(tmp_path / "a.jsonl", conversation("a"), conversation("b")))
    assert [one.id for one in only(records, Message)] == ["a/1", "b/1"]


def test_of_two_lines_with_one_id_the_later_comes_last(tmp_path) -> None:
    path = write(tmp_path / "a.jsonl", conversation(1, status="open"), conversation(1, status="closed"))
    assert [one.status for one in only(pull(path)[0], Conversation)] == ["open", "done"]


def test_a_missing_status_is_that_of_the_last_event(tmp_path) -> None:
    events = [
        {"at": "2026-11-20T12:00:00Z", "kind": "status", "value": "solved"},
        {"at": "2026-11-20T10:00:00Z", "kind": "status", "value": "pending", "was": "open"},
    ]
    records, _, _ = pull(write(tmp_path / "a.jsonl", conversation(1, events=events)))
    assert only(records, Conversation)[0].status == "done"
    assert {(one.id, one.value, one.was) for one in only(records, Event)} == {
        ("1:status:2026-11-20T12:00:00.000Z:done", "done", None),
        ("1:status:2026-11-20T10:00:00.000Z:pending", "pending", "open"),
    }


def test_authors_notes_and_bots_are_told_apart(tmp_path) -> None:
    said = [
        {"author": "human", "text": "[deskpulse] says a reply"},
        {"author": "agent", "bot": True, "text": "b"},
        {"author": "agent", "private": True, "text": "[deskpulse] slow"},
        {"author": "martian", "length": 7},
        {"author": "automation", "kind": "campaign", "text": "Sale!"},
    ]
    row = {"id": 1, "messages": [{"id": n, "at": AT} | one for n, one in enumerate(said)]}
    found = only(pull(write(tmp_path / "a.jsonl", row))[0], Message)
    assert [(one.author, one.public, one.kind, one.own, one.length) for one in found] == [
        ("human", True, "message", False, 24),
        ("bot", True, "message", False, 1),
        ("human", False, "note", True, 16),
        ("unknown", True, "message", False, 7),
        ("automation", True, "campaign", False, 5),
    ]


def test_an_inbox_brings_its_hours(tmp_path) -> None:
    hours = {"mon": ["14:00-18:00", "09:00-12:30"], "sun": []}
    schedule = {"zone": "Europe/Paris", "hours": hours, "holidays": ["2026-12-25"]}
    row = {"type": "inbox", "id": 5, "channel": "fax", "schedule": schedule}
    records, _, _ = pull(write(tmp_path / "a.jsonl", row))
    week = (((540, 750), (840, 1080)), (), (), (), (), (), ())
    assert records == [Channel("fax", "other"), Inbox("5", "5", "fax", Schedule("Europe/Paris", week, ("2026-12-25",)))]


def test_good_and_bad_are_one_and_zero_and_later_answers_follow(tmp_path) -> None:
    later = "2026-11-21T09:00:00+01:00"
    rows = [
        {"type": "rating", "conversation": 1, "at": AT, "score": "good"},
        {"type": "rating", "conversation": 1, "id": "s", "offered_at": AT, "answers": [[later, 2], [AT, 5]]},
        {"type": "rating", "conversation": 1, "answers": [[AT, "bad"]]},
        {"type": "rating", "conversation": 1, "at": AT, "score": 10, "low": 0, "high": 10},
    ]
    found = only(pull(write(tmp_path / "a.jsonl", *rows))[0], Rating)
    assert [(one.id, one.answers, one.low, one.high) for one in found] == [
        ("1:rating", ((from_iso(AT), 1.0),), 0, 1),
        ("1/s", ((from_iso(AT), 5.0), (from_iso(later), 2.0)), 1, 5),
        ("1:rating", ((from_iso(AT), 0.0),), 0, 1),
        ("1:rating", ((from_iso(AT), 10.0),), 0, 10),
    ]


@pytest.mark.parametrize("sign", [",", ";"])
def test_ratings_come_from_a_spreadsheet_with_commas_or_semicolons(tmp_path, sign) -> None:
    table = [
        ["Conversation", "At", "Score", "Offered_at", "Agent", "notes"],
        ["1", AT, "4", "", "ana", '"a, b; c"'],
        ["", "", "", "", "", ""],
        ["2", "", "", AT, "", ""],
        ["3", "2026-11-20", "5", "", "", ""],
    ]
    path = tmp_path / "ratings.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "".join(sign.join(row) + "\r\n" for row in table).encode())
    records, rejects, cursor = pull(path)
    assert records == [
        Rating("1:rating", "1", None, ((from_iso(AT), 4.0),), agent="ana"),
        Rating("2:rating:2026-11-20T08:00:00.000Z", "2", from_iso(AT)),
    ]
    assert [reject.id for reject in rejects] == ["ratings.csv:5"]
    assert pull(path, cursor) == ([], [], cursor)


def test_a_decimal_comma_is_understood(tmp_path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(f"conversation;at;score\n1;{AT};4,5\n", "utf-8")
    assert [one.answers[0][1] for one in only(pull(path)[0], Rating)] == [4.5]


def test_a_changed_spreadsheet_is_read_whole_and_its_cursor_comes_last(tmp_path) -> None:
    path = tmp_path / "ratings.csv"
    rows = "".join(f"{n},{AT},5\n" for n in range(250))
    path.write_text("conversation,at,score\n" + rows, "utf-8")
    pages = list(adapter(path).pull("records", None, lambda *_: False))
    assert [(len(page.records), page.cursor is None) for page in pages] == [(200, True), (50, False)]
    path.write_text("conversation,at,score\n" + rows + f"250,{AT},1\n", "utf-8")
    assert len(pull(path, pages[-1].cursor)[0]) == 251


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (f"conversation,at,score,agent\n1,{AT},5,Zoé\n".encode("latin-1"), "not UTF-8"),
        (f"ticket,at,score\n1,{AT},5\n".encode(), "no column conversation"),
        (b"<!doctype html>\n<title>Sign in</title>\n", "no column conversation"),
        (b"", "no column conversation"),
    ],
)
def test_a_spreadsheet_that_cannot_be_understood_is_one_reject(tmp_path, data, reason) -> None:
    path = tmp_path / "ratings.csv"
    path.write_bytes(data)
    records, rejects, _ = pull(path)
    assert (records, [(one.kind, one.id) for one in rejects]) == ([], [("file", "ratings.csv")])
    assert reason in rejects[0].reason


def test_a_lost_quote_does_not_stop_the_run(tmp_path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(f'conversation,at,score\n1,{AT},"5\n' + f"2,{AT},5\n" * 10_000, "utf-8")
    records, rejects, _ = pull(path)
    assert (records, len(rejects)) == ([], 1)


def test_a_folder_or_a_pattern_is_read_file_by_file(tmp_path) -> None:
    write(tmp_path / "b.ndjson", conversation(2))
    write(tmp_path / "a.jsonl", conversation(1))
    (tmp_path / "README.md").write_text("not for us")
    for path, found in ((tmp_path, ["1", "2"]), (tmp_path / "*.nd*", ["2"])):
        assert [one.id for one in only(pull(path)[0], Conversation)] == found


def test_a_new_file_in_the_folder_is_all_that_is_read(tmp_path) -> None:
    write(tmp_path / "a.jsonl", conversation(1))
    _, _, cursor = pull(tmp_path)
    write(tmp_path / "b.jsonl", conversation(2))
    (tmp_path / "a.jsonl").unlink()
    records, _, after = pull(tmp_path, cursor)
    assert [one.id for one in only(records, Conversation)] == ["2"]
    assert [Path(name).name for name in after["files"]] == ["b.jsonl"]


def test_nothing_to_read_is_a_setting_to_correct(tmp_path) -> None:
    for path in (tmp_path, tmp_path / "no.jsonl", tmp_path / "*.jsonl", write(tmp_path / "a.json", {})):
        with pytest.raises(ConfigError, match="name a file, its folder or a pattern") as caught:
            pull(path)
        assert caught.value.setting == "path"


def test_a_relative_path_starts_at_the_config_files_folder(tmp_path) -> None:
    given = FilesSettings.model_validate({"path": "data"}, context={"folder": tmp_path})
    assert given.path == tmp_path / "data"
    assert FilesSettings.model_validate({"path": "/data"}, context={"folder": tmp_path}).path == Path("/data")


def test_doctor_hears_of_lines_that_are_not_understood(tmp_path) -> None:
    write(tmp_path / "a.jsonl", conversation(1), {"type": "ticket"})
    write(tmp_path / "b.jsonl", conversation(1))
    found = list(adapter(tmp_path).probe())
    assert [(one.check, one.ok) for one in found] == [("path", True), ("a.jsonl", None), ("b.jsonl", True)]
    assert "a.jsonl:2" in found[1].remedy


def test_every_kind_of_record_may_stand_on_a_line_of_its_own(tmp_path) -> None:
    rows = [
        {"type": "event", "conversation": 1, "at": AT, "kind": "merged", "value": 2},
        {"type": "message", "conversation": 1, "id": 4, "at": AT, "author": "customer"},
        {"type": "team", "id": 1, "name": "Front"},
        {"type": "agent", "id": 1, "bot": True},
        {"type": "contact", "id": 1, "language": "fr"},
        conversation(1, tags=["a", "b", "a"]),
    ]
    records, rejects, _ = pull(write(tmp_path / "a.jsonl", *rows))
    assert rejects == []
    assert Counter(type(one).__name__ for one in records) == {
        "Event": 1, "Message": 2, "Team": 1, "Agent": 1, "Contact": 1, "Conversation": 1,
    }  # fmt: skip
    assert only(records, Conversation)[0].tags == ("a", "b")


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("x.jsonl", '{"id": "1"}\n', json.dumps(conversation(1)) + "\n"),
        ("x.csv", "talk,at,score\n1,x,5\n", f"conversation,at,score\n1,{AT},5\n"),
        ("x.csv", "conversation,at,score\n1,x,5\n", f"conversation,at,score\n1,{AT},5\n"),
    ],
)
def test_a_corrected_line_is_no_longer_held_against_the_file(tmp_path, name, wrong, right) -> None:
    write(tmp_path / "base.jsonl", conversation(1))
    with Store.open(tmp_path / "x.db", demo=False) as store:
        held = []
        for text in (wrong, right):
            (tmp_path / name).write_text(text, "utf-8")
            source = store.source("files", "files")
            pages = adapter(tmp_path).pull("records", store.cursor(source, "records"), lambda *_: False)
            store.save(source, "records", list(pages), seen_at=1_800_000_000_000)
            held.append([tuple(row) for row in store.conn.execute("SELECT kind, vendor_id FROM rejects")])
    assert len(held[0]) == 1
    assert held[1] == []
