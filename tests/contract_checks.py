"""What every adapter must do, whichever service it speaks to. A check is a function of a Case that asserts.

``CHECKS`` holds them all; each names the capability it needs (its method), and has a broken twin in broken_twins.py.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from contract_case import Case, Walk, key_of
from played import lacking
from pydantic import SecretStr, ValidationError

from connector import registry
from connector.contract import Announcement, Context, Fields, Finding, Heading, Paragraph, TagChange
from connector.contract import Table as TableBlock
from connector.errors import AuthFailed, BadPayload, ConnectorError, Rejected, Transient
from connector.models import (
    CHANNEL_KINDS,
    OWN_NOTE_MARK,
    Agent,
    Author,
    Channel,
    Conversation,
    Event,
    EventKind,
    Message,
    MessageKind,
    Rating,
    Record,
    Reject,
    Status,
    plausible,
)

OURS_ALLOWED = {"connector.contract", "connector.models", "connector.errors"}
FORBIDDEN = {
    "time", "sqlite3", "logging", "subprocess", "socket", "urllib.request", "http.client", "threading", "asyncio",
    "random",
}  # fmt: skip
FORBIDDEN_CALLS = re.compile(r"\b(sleep|print|input|getenv|environ|utcnow|datetime\.now|date\.today|today)$")
LINES = ("API", "Auth", "Limits", "Gaps")
SECRET_NAMES = re.compile(r"token|secret|password|passwd|api_?key|webhook|credential", re.IGNORECASE)
VOCABULARY: dict[type[Any], dict[str, tuple[str, ...]]] = {
    Channel: {"kind": CHANNEL_KINDS},
    Conversation: {"status": get_args(Status)},
    Message: {"author": get_args(Author), "kind": get_args(MessageKind)},
    Agent: {"kind": get_args(Author)},
    Event: {"kind": get_args(EventKind)},
}
INSTANTS = ("at", "created_at", "changed_at", "offered_at")
IDS = ("conversation", "author_id", "contact", "agent", "team", "inbox", "channel", "actor")


@dataclass(frozen=True)
class Check:
    """``needs``: the method that an adapter must have; ``played``: it must have a played desk."""

    run: Callable[[Case], None]
    needs: str
    played: bool

    @property
    def name(self) -> str:
        return self.run.__name__


CHECKS: list[Check] = []


def check(needs: str = "", *, played: bool = False) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Register a check, for adapters that have the method ``needs``; ``played``: and pull over HTTP."""

    def register(run: Callable[[Case], None]) -> Callable[[Case], None]:
        CHECKS.append(Check(run, needs, played))
        return run

    return register


# --- the file ----------------------------------------------------------------------------------------------------


@check()
def one_word_names_file_class_and_fixture(case: Case) -> None:
    assert case.kind.name == case.name == case.folder.name, f"{case.kind.name}, {case.name}, {case.folder.name} differ"


@check()
def the_docstring_has_its_fixed_lines(case: Case) -> None:
    doc = ast.get_docstring(ast.parse(case.source)) or ""
    missing = [line for line in LINES if not re.search(rf"^{line}: \S", doc, re.MULTILINE)]
    assert not missing, f"the docstring lacks {', '.join(missing)}"


@check()
def the_source_leaves_errors_time_and_logs_to_others(case: Case) -> None:
    tree = ast.parse(case.source)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Try)], "it has a try"
    called = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)]
    found = sorted({name for name in called if FORBIDDEN_CALLS.search(name)})
    assert not found, f"it uses {', '.join(found)}"


@check()
def it_imports_the_contract_and_no_other_room(case: Case) -> None:
    stray = [name for name in _imports(case.source) if not _may_import(name)]
    assert not stray, f"it imports {', '.join(stray)}"


def _imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def _may_import(name: str) -> bool:
    root = name.split(".")[0]
    standard = root in sys.stdlib_module_names and name not in FORBIDDEN and root not in FORBIDDEN
    return name in OURS_ALLOWED or root == "pydantic" or standard


@check()
def settings_refuse_what_they_do_not_know(case: Case) -> None:
    with pytest.raises(ValidationError, match=r"[Ee]xtra"):
        case.kind.Settings(**case.spec["settings"], tokn="x")


@check("pull")
def what_it_lacks_is_a_kpi_with_its_reason(case: Case) -> None:
    lacks = getattr(case.kind, "lacks", {})
    assert not lacks.keys() - registry.metrics().keys(), f"lacks: no KPI is called {', '.join(lacks)}"
    assert all(reason.strip() for reason in lacks.values()), "lacks: a KPI is absent without a reason"


@check()
def secrets_are_typed_as_secrets(case: Case) -> None:
    fields = case.kind.Settings.model_fields
    clear = [
        n
        for n, f in fields.items()
        if SECRET_NAMES.search(n) and SecretStr not in (f.annotation, *get_args(f.annotation))
    ]
    assert not clear, f"not SecretStr: {', '.join(clear)}"


@check()
def the_fixture_covers_every_capability(case: Case) -> None:
    wanted = {
        "pull": ("unknown_words", "bad_row"),
        "reread": ("reread",),
        "add_tag": ("tag", "internal_writes"),
        "add_note": ("note", "internal_writes"),
        "announce": ("limits", "internal_writes"),
    }
    missing = [key for method, keys in wanted.items() if case.can(method) for key in keys if key not in case.spec]
    if case.can("pull") and not case.reads_files:
        missing += lacking(case.desk) if case.desk else ["desk.py"]
        words = {one["becomes"] for one in case.spec.get("unknown_words", ())}
        missing += [f"an unknown word that becomes {one}" for one in ("other", "unknown") if one not in words]
    assert not missing, f"the fixture lacks {', '.join(missing)}"


# --- pull --------------------------------------------------------------------------------------------------------


def walked(case: Case, **bent: Any) -> Walk:
    walk = Walk(case.connect(**bent)[0])
    walk.on()
    return walk


@check("pull")
def pages_hold_records_and_cursors_of_plain_json(case: Case) -> None:
    pages = walked(case).pages
    assert pages, "it pulled nothing from its fixture"
    for stream, page in pages:
        assert all(isinstance(reject, Reject) for reject in page.rejects), f"{stream}: rejects must be Rejects"
        assert json.loads(json.dumps(page.cursor)) == page.cursor, f"{stream}: the cursor is not plain JSON"


@check("pull")
def it_pulls_all_its_fixture_holds(case: Case) -> None:
    walk = walked(case)
    assert walk.records(Conversation), "no conversations"
    assert walk.records(Message), "no messages"
    assert not walk.rejects, f"rejects of good rows: {walk.rejects[:2]}"


@check("pull")
def a_second_pull_brings_nothing_new(case: Case) -> None:
    adapter, line = case.connect()
    walk = Walk(adapter)
    walk.on()
    first, requests = set(walk.ever), len(line.asked)
    adapter, line = case.connect()
    again = walk.on(adapter)
    new = [key_of(record) for page in again for record in page.records if record not in first]
    assert not new, f"the second pull brought something new: {new[:3]}"
    assert len(line.asked) <= requests, "the second pull asked more than the first"


@check("pull")
def children_come_with_or_after_their_conversation(case: Case) -> None:
    known: set[str] = set()
    for stream, page in walked(case).pages:
        coming = {record.id for record in page.records if isinstance(record, Conversation)}
        for record in page.records:
            if isinstance(record, Conversation):
                known.add(record.id)
            elif isinstance(record, Message | Event | Rating):
                late = record.conversation in coming or not isinstance(record, Rating)
                orphan = late and record.conversation not in known
                assert not orphan, f"{stream}: {key_of(record)} runs ahead of its conversation {record.conversation}"


@check("pull")
def instants_ids_and_words_are_ours(case: Case) -> None:
    for record in walked(case).stored.values():
        well_formed(record)


def well_formed(record: Record) -> None:
    """Instants are plausible whole milliseconds, ids are text, words are those of connector.models."""
    name = key_of(record)
    assert isinstance(record.id, str), f"{name}: its id is no text"
    assert record.id, f"{name}: its id is empty"
    for key in IDS:
        value = getattr(record, key, None)
        assert value is None or (isinstance(value, str) and value), f"{name}: {key} {value!r} is no id"
    for instant in instants(record):
        assert type(instant) is int, f"{name}: {instant!r} is no instant"
        plausible(instant)
    for key, words in VOCABULARY.get(type(record), {}).items():
        assert getattr(record, key) in words, f"{name}: {key} {getattr(record, key)!r} is not one of ours"


def instants(record: Record) -> list[Any]:
    found = [getattr(record, key, None) for key in INSTANTS]
    answers = [at for at, _ in record.answers] if isinstance(record, Rating) else []
    return [at for at in found if at is not None] + answers


@check("pull")
def pulling_only_reads(case: Case) -> None:
    adapter, line = case.connect()
    Walk(adapter).on()
    assert not line.writes, f"pulling wrote: {line.writes[:2]}"


@check("pull")
def unknown_words_become_other_or_unknown(case: Case) -> None:
    """Each of the fixture's ``unknown_words`` is a Change with ``becomes``: our word for what is unknown there."""
    before = words(walked(case))
    for change in case.spec["unknown_words"]:
        after = walked(case, changes=[change])
        assert words(after).count(change["becomes"]) > before.count(change["becomes"]), (
            f"{change['value']} did not become {change['becomes']}; rejects: {after.rejects[:1]}"
        )
        for record in after.stored.values():
            well_formed(record)


def words(walk: Walk) -> list[str]:
    return [getattr(record, key) for kind, keys in VOCABULARY.items() for record in walk.records(kind) for key in keys]


@check("pull")
def one_bad_row_is_rejected_and_the_rest_kept(case: Case) -> None:
    before = walked(case)
    after = walked(case, changes=[case.spec["bad_row"]])
    assert len(after.rejects) > len(before.rejects), "a bad row vanished without a reject"
    assert all(isinstance(r, Reject) and r.reason and r.id for r in after.rejects), (
        f"rejects that say nothing: {after.rejects}"
    )
    lost = {key for key in before.stored if key[0] == "Conversation"} - set(after.stored)
    assert len(lost) <= 1, f"one bad row cost {len(lost)} conversations"


@check("pull")
def a_web_page_instead_of_data_moves_no_cursor(case: Case) -> None:
    adapter, _ = case.connect(html=True)
    walk = Walk(adapter)
    if case.reads_files:
        walk.on()
        assert walk.rejects, "a web page vanished without a reject"
    else:
        with pytest.raises(BadPayload):
            walk.on()
        assert not walk.cursors, f"the cursor moved on a web page: {walk.cursors}"
    assert not walk.stored, f"records made of a web page: {list(walk.stored)[:3]}"


@check("pull")
def a_walk_that_breaks_off_is_taken_up_without_a_loss(case: Case) -> None:
    whole = walked(case).ever
    for bent in case.interruptions():
        adapter, _ = case.connect(**bent)
        walk = Walk(adapter)
        if case.reads_files:
            walk.on()
        else:
            with pytest.raises(Transient):
                walk.on()
        walk.on(case.connect()[0])
        lost = [key_of(record) for record in whole - walk.ever]
        assert not lost, f"broken off at {bent}, the next pull lost {lost[:3]}"


@check("reread")
def what_is_gone_is_told_and_the_rest_read_again(case: Case) -> None:
    """The fixture's ``reread`` names a conversation that is ``there`` and one that is ``gone``."""
    there, gone = case.spec["reread"]["there"], case.spec["reread"]["gone"]
    adapter, line = case.connect()
    records = [r for page in adapter.reread([there, gone], lambda *_: False) for r in page.records]
    told = [r for r in records if isinstance(r, Event) and r.kind == "deleted" and r.at is None]
    assert [r.conversation for r in told] == [gone], f"{gone} is gone, and this was told: {told}"
    assert there in [r.id for r in records if isinstance(r, Conversation)], f"{there} was not read again"
    assert not line.writes, f"rereading wrote: {line.writes[:2]}"


# --- push --------------------------------------------------------------------------------------------------------


@check("add_tag")
def a_tag_is_added_to_the_others_and_can_be_taken_away(case: Case) -> None:
    """The fixture's ``tag`` names a ``conversation`` that has tags, and a ``tag`` to add."""
    conversation, tag = case.spec["tag"]["conversation"], case.spec["tag"]["tag"]
    adapter, _ = case.connect()
    named = adapter.tag_name(tag) if case.can("tag_name") else tag
    before = adapter.tags(conversation)
    assert before, "the fixture's conversation has no tag that could be lost"
    added = adapter.add_tag(conversation, tag)
    assert isinstance(added, TagChange), "add_tag returns a TagChange"
    assert set(added.before) == set(before), f"before it said {before}, and {added.before} when adding"
    assert set(added.after) == {*before, named}, f"added to {before}, it became {added.after}"
    now = adapter.tags(conversation)
    assert set(now) == {*before, named}, f"read back after adding to {before}: {now}"
    removed = adapter.remove_tag(conversation, tag)
    assert set(removed.after) == set(before) == set(adapter.tags(conversation)), f"removed, it left {removed.after}"


@check("add_note")
def a_note_can_be_found_again_and_removed(case: Case) -> None:
    """The fixture's ``note`` names a ``conversation``; ``stays``: the service cannot delete it, and that is said."""
    conversation, text = case.spec["note"]["conversation"], f"{OWN_NOTE_MARK} slow first reply"
    adapter, _ = case.connect()
    note = adapter.add_note(conversation, text)
    assert isinstance(note, str), f"{note!r} is not an id"
    assert adapter.find_note(conversation, text) == note, "the note that was written is not found"
    assert adapter.find_note(conversation, f"{OWN_NOTE_MARK} another") is None, (
        "a note was found that was never written"
    )
    if case.spec["note"].get("stays"):
        with pytest.raises(Rejected, match=r"\w+ \w+"):
            adapter.remove_note(conversation, note)
        return
    adapter.remove_note(conversation, note)
    assert adapter.find_note(conversation, text) is None, "the note is still there after it was removed"


@check()
def no_write_can_reach_a_customer(case: Case) -> None:
    """Every write there is must be one that the fixture declares internal: method, path, and what its body must say."""
    for method, path, body in writes_of(case):
        fits = [one for one in case.spec.get("internal_writes", []) if _is_internal(one, method, path, body)]
        assert fits, f"{method} {path} {body} may reach a customer: no internal_writes of the fixture fits it"


def writes_of(case: Case) -> list[tuple[str, str, Any]]:
    done = []
    for method, act in (
        ("add_tag", _tag),
        ("add_note", _note),
        ("announce", _announce),
        ("probe", _probe),
        ("pull", _pull),
    ):
        if case.can(method):
            adapter, line = case.connect()
            act(case, adapter)
            done += line.sent  # a fixture must not hide a write by calling it a question
    return done


def _is_internal(one: dict[str, Any], method: str, path: str, body: Any) -> bool:
    says = one.get("body", {})
    return (
        method == one["method"]
        and re.fullmatch(one["path"], path) is not None
        and all(isinstance(body, dict) and body.get(key) == value for key, value in says.items())
    )


def _tag(case: Case, adapter: Any) -> None:
    adapter.add_tag(case.spec["tag"]["conversation"], case.spec["tag"]["tag"])
    adapter.remove_tag(case.spec["tag"]["conversation"], case.spec["tag"]["tag"])


def _note(case: Case, adapter: Any) -> None:
    note = adapter.add_note(case.spec["note"]["conversation"], f"{OWN_NOTE_MARK} a note")
    with suppress(*((Rejected,) if case.spec["note"].get("stays") else ())):
        adapter.remove_note(case.spec["note"]["conversation"], note)


def _announce(case: Case, adapter: Any) -> None:
    adapter.announce(SHORT)


def _probe(case: Case, adapter: Any) -> None:
    list(adapter.probe())


def _pull(case: Case, adapter: Any) -> None:
    Walk(adapter).on()


LOUD = "Ring <!channel> & @here *now*"
SHORT = Announcement(
    "digest:2026-11-20", "Digest", (Heading("Digest"), Paragraph("See {0}", (("#1", "https://x.example/1"),)))
)
LONG = Announcement(
    "digest:2026-11-20",
    f"{LOUD} " * 400,
    (
        Heading(f"{LOUD} " * 40),
        Paragraph(f"{LOUD} {{0}}\n" * 300, ((f"{LOUD}|", "https://x.example/?a=1&b=|>"),)),
        Paragraph("word" * 2000),
        Fields(tuple((f"{LOUD} {n}", f"{LOUD} " * 100) for n in range(25))),
        TableBlock(("Team", *map(str, range(25))), tuple((f"{LOUD} ``` {n}", *["9" * 50] * 25) for n in range(200))),
        *[Context(f"{LOUD} {n}") for n in range(80)],
    ),
)
EMPTY = Announcement(
    "digest:2026-11-20", "Nothing moved", (Heading(""), Paragraph(" "), Fields(()), TableBlock((), ()), Context(""))
)


@check("announce")
def an_announcement_stays_within_the_limits(case: Case) -> None:
    """The fixture's ``limits`` are rules {at, shortest?, longest?, sum?, never?}.

    In ``at``, * is each of a list, *x each whose type is x.
    """
    for announcement in (SHORT, LONG, EMPTY):
        adapter, line = case.connect()
        receipt = adapter.announce(announcement)
        assert isinstance(receipt, str), f"{receipt!r} is not a receipt"
        assert receipt, "an empty receipt"
        assert len(line.writes) == 1, f"one announcement is one write, not {len(line.writes)}"
        for rule in case.spec["limits"]:
            _within(line.writes[0][2], rule)


def _within(body: Any, rule: dict[str, Any]) -> None:
    found = list(_places(body, rule["at"].split(".")))
    sizes = [len(one) for one in found]
    assert max(sizes, default=0) <= rule.get("longest", max(sizes, default=0)), f"{rule}: one is {max(sizes)} long"
    assert min(sizes, default=1) >= rule.get("shortest", 0), f"{rule}: one is {min(sizes, default=0)} long"
    assert sum(sizes) <= rule.get("sum", sum(sizes)), f"{rule}: {sum(sizes)} in all"
    loud = [one for one in found if "never" in rule and re.search(rule["never"], one)]
    assert not loud, f"{rule}: {loud[0][:80]}"


def _places(here: Any, way: list[str]) -> Iterator[Any]:
    if not way:
        yield here
    elif way[0].startswith("*"):
        wanted = way[0][1:]
        for value in here if isinstance(here, list) else ():
            if not wanted or value.get("type") == wanted:
                yield from _places(value, way[1:])
    elif isinstance(here, dict) and way[0] in here:
        yield from _places(here[way[0]], way[1:])


# --- secrets and doctor --------------------------------------------------------------------------------------------


@check()
def secrets_appear_nowhere(case: Case) -> None:
    """Neither in what is printed of settings, service and pages, nor in any error or address."""
    settings = case.settings()
    adapter, line = case.connect()
    shown = [
        repr(settings),
        str(settings),
        repr(case.kind.service(settings)) if not hidden(case) else "",
        repr(adapter),
    ]
    if case.can("pull"):
        shown += [repr(page) for page in Walk(adapter).on()]
    shown += [repr(error) for error in _errors(case)]
    shown += [path for _, path, _ in line.asked if not hidden(case)]
    for secret in case.secrets():
        leaks = [text for text in shown if secret in text]
        assert not leaks, f"a secret shows in {'***'.join(text[-60:] for text in leaks[0].split(secret))}"


def hidden(case: Case) -> bool:
    """The service's address is itself the secret, and the client was told so."""
    return bool(case.kind.service(case.settings()).secret_url)


def _errors(case: Case) -> Iterator[ConnectorError]:
    """What is raised when the credential is refused, the service is down, or answers nonsense."""
    for bent in ({"refuses": True}, {"fails_from": 0}, {"html": True}):
        for method, act in (("pull", _pull), ("announce", _announce), ("add_note", _note), ("probe", _probe)):
            if case.can(method):
                adapter, _ = case.connect(**bent)
                try:
                    act(case, adapter)
                except ConnectorError as error:
                    yield error


@check("probe")
def doctor_is_told_what_is_wrong_and_what_to_do(case: Case) -> None:
    adapter, line = case.connect()
    found = list(adapter.probe())
    assert found, "probe found nothing to say"
    for finding in found:
        assert isinstance(finding, Finding), f"probe yields Findings, not {type(finding).__name__}"
        assert finding.check, f"{finding} names no check"
        assert finding.detail, f"{finding} says nothing"
        assert finding.ok is not False or finding.remedy, f"{finding} has no remedy"
    assert not line.writes, f"probing wrote: {line.writes[:2]}"


@check("probe")
def doctor_notices_a_refused_credential(case: Case) -> None:
    adapter, line = case.connect(refuses=True)
    try:
        found = list(adapter.probe())
    except AuthFailed:
        return
    wrong = [finding for finding in found if finding.ok is False]
    assert wrong or not line.asked, "the credential is refused, and doctor found nothing wrong"
