"""What every walk must do in front of a desk that moves, repeats, cuts, forgets and ends its lists as vendors do.

These checks join those of contract_checks. They need a played desk: see played.Desk, and tiny_desk for a small one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from contract_case import Case, StandingClock, Walk
from contract_checks import CHECKS, check
from played import nothing

from connector.errors import BadPayload, Rejected, Transient
from connector.models import Conversation, Message

__all__ = ["CHECKS"]

SMALL = 60
"""Conversations are a minute apart where there have to be many of them."""
FIRST_READ = 100


class Reading:
    """An adapter in front of a desk: what it stored, what it asked."""

    def __init__(self, case: Case, desk: Any) -> None:
        self.case, self.desk, self.clock = case, desk, StandingClock()
        adapter, self.line = case.before(desk, self.clock)
        self.walk = Walk(adapter, most_pages=10_000)

    def on(self, *, breaks: bool = False) -> None:
        """All streams once more, by a new connection. ``breaks``: an error that the next run may mend is allowed."""
        adapter, self.line = self.case.before(self.desk, self.clock)
        with suppress(*((Transient, BadPayload, Rejected) if breaks else ())):
            self.walk.on(adapter)

    def lacks(self, conversations: list[str]) -> list[str]:
        """Those that are not stored."""
        return [one for one in conversations if ("Conversation", one) not in self.walk.stored]

    def misses(self, messages: list[str]) -> list[str]:
        return [one for one in messages if ("Message", one) not in self.walk.stored]


@check("pull", played=True)
def lists_are_read_to_their_end_however_that_is_told(case: Case) -> None:
    """With no row, one, a page less or more by one, whole pages; for each way in which the vendor ends a list."""
    size = case.desk().per_page
    for ending in case.desk().endings:
        for count in sorted({0, 1, size - 1, size, size + 1, 2 * size}):
            desk = case.desk()
            desk.ending = ending
            read = Reading(case, desk)
            ids = desk.fill(count)
            read.on()
            lost = read.lacks(ids)
            assert not lost, f"of {count} conversations in a list that ends by {ending}, {len(lost)} were not read"
            assert not read.walk.rejects, f"a list of {count} that ends by {ending}: {read.walk.rejects[:2]}"


@check("pull", played=True)
def what_moves_while_one_walks_is_not_lost(case: Case) -> None:
    """Conversations change or leave the list between two pages; what stood still is told by this walk or the next."""
    size = case.desk().per_page
    for move in ("stir", "drop"):
        for page in (1, 2, 3):
            for number in (0, page * size - 1, page * size, 3 * size - 1):
                _moved_once(case, move, page, min(number, 3 * size - 1), 3 * size)
    for page in (1, 2):  # a last page of one row, which is gone when it is asked for
        _moved_once(case, "drop", page, 0, 2 * size + 1)


def _moved_once(case: Case, move: str, page: int, number: int, count: int, every_s: int = 86_400) -> None:
    desk = case.desk()
    ids = desk.fill(count, every_s)
    said: list[str] = []
    desk.after_list = after(page, lambda: said.extend(filter(None, [getattr(desk, move)(ids[number])])))
    read = Reading(case, desk)
    read.on()
    desk.after_list = nothing
    read.on()
    left = [one for n, one in enumerate(ids) if n != number or move == "stir"]
    where = f"of {count}, {move} of conversation {number + 1} after page {page} of {desk.per_page}"
    assert not read.lacks(left), f"{where}: lost {[ids.index(one) + 1 for one in read.lacks(left)]}"
    assert not read.misses(said), f"{where}: its new message was lost"


@check("pull", played=True)
def what_moves_while_a_walk_is_broken_off_is_not_lost(case: Case) -> None:
    """The service fails after a page; conversations change or leave the list before the next run takes it up."""
    for move in ("stir", "drop"):
        for page in (1, 2):
            for place in (0, page * case.desk().per_page - 1, page * case.desk().per_page, -1):
                _broken_off(case, move, page, place)


def _broken_off(case: Case, move: str, page: int, place: int) -> None:
    desk = case.desk()
    ids = desk.fill(3 * desk.per_page)
    desk.after_list = fails_after(page)
    read = Reading(case, desk)
    read.on(breaks=True)
    desk.after_list = nothing
    said = list(filter(None, [getattr(desk, move)(ids[place])]))
    read.on()
    read.on()
    lost = read.lacks([one for one in ids if one != ids[place] or move == "stir"])
    where = f"broken off after page {page}, then {move} of conversation {ids.index(ids[place]) + 1}"
    assert not lost, f"{where}: lost {[ids.index(one) + 1 for one in lost]}"
    assert not read.misses(said), f"{where}: its new message was lost"


def fails_after(times: int) -> Callable[[], None]:
    """Every call beyond that number fails, as a line that is cut does."""
    calls = iter(range(1, 1_000_000))

    def called() -> None:
        if next(calls) > times:
            raise httpx.ReadError("the line was cut")

    return called


def after(times: int, act: Callable[[], object]) -> Callable[[], None]:
    """Acts at the call of that number, once."""
    calls = iter(range(1, 1_000_000))

    def called() -> None:
        if next(calls) == times:
            act()

    return called


@check("pull", played=True)
def many_that_changed_at_one_instant_are_all_read(case: Case) -> None:
    """An import or a mass change dates more than two pages alike, and still one moves or leaves between two pages."""
    size = case.desk().per_page
    for move in ("stir", "drop"):
        for page, number in ((1, 0), (1, size), (2, size - 1)):
            _moved_once(case, move, page, number, 3 * size + 1, every_s=0)


@check("pull", played=True)
def a_busy_day_while_one_walks_loses_nothing(case: Case) -> None:
    """The same with a change after every page: each third conversation moves, the oldest and the newest in turn."""
    desk = case.desk()
    ids = desk.fill(4 * desk.per_page)
    order = [one for pair in zip(ids[::3], reversed(ids[::3]), strict=True) for one in pair]
    busy, said = iter(order[:12]), list[str]()
    desk.after_list = lambda: said.extend(desk.stir(one) for one in [next(busy, None)] if one)
    read = Reading(case, desk)
    read.on()
    desk.after_list = nothing
    read.on()
    assert not read.lacks(ids), f"lost {[ids.index(one) + 1 for one in read.lacks(ids)]} of {len(ids)}"
    assert not read.misses(said), f"{len(read.misses(said))} of {len(said)} new messages were lost"


@check("pull", played=True)
def rows_repeated_at_a_boundary_are_read_once(case: Case) -> None:
    plain, repeating = case.desk(), case.desk()
    repeating.repeats = True
    ids, _ = (desk.fill(3 * desk.per_page) for desk in (plain, repeating))
    reads = [Reading(case, desk) for desk in (plain, repeating)]
    for read in reads:
        read.on()
    lost = reads[1].lacks(ids)
    assert not lost, f"where pages overlap by a row, lost {[ids.index(one) + 1 for one in lost]}"
    assert reads[0].walk.stored == reads[1].walk.stored, "where pages overlap by a row, other records were told"
    more = len(reads[1].line.asked) - len(reads[0].line.asked)
    assert more <= 2, f"where pages overlap by a row, {more} requests more were made: rows were read again"


@check("pull", played=True)
def more_than_one_list_gives_is_crossed_without_a_loss(case: Case) -> None:
    """A list that is cut at its cap tells the same conversations, in the end, as one that is not."""
    cut, whole = case.desk(), case.desk()
    if cut.most is None:
        pytest.skip(f"{case.name} is not known to cut its lists")
    whole.most = None
    told = [_passed(case, desk, cut.most + 2 * cut.per_page) for desk in (cut, whole)]
    lost = len(told[1] - told[0])
    assert not lost, f"of {len(told[1])} beyond a cap of {cut.most}, {lost} were not told"


def _passed(case: Case, desk: Any, count: int) -> set[str]:
    """What a walk comes by, as the store would be asked or given it; nothing is read of what the store would know."""
    desk.fill(getattr(desk, "most_after", 0), every_s=SMALL)
    read = Reading(case, desk)
    read.on()
    ids = set(desk.fill(count, every_s=SMALL))
    adapter, _ = case.before(desk, StandingClock(), most=4 * count)
    passed: set[str] = set()

    def known(conversation: str, _: int | None) -> bool:
        passed.add(conversation)
        return True

    for stream in adapter.streams:
        for page in adapter.pull(stream, read.walk.cursors.get(stream), known):
            passed |= {record.id for record in page.records if isinstance(record, Conversation)}
            passed |= {one for record in page.records if (one := getattr(record, "conversation", None))}
    return passed & ids


@check("pull", played=True)
def cursors_that_expire_lose_nothing(case: Case) -> None:
    """The vendor forgets them in the midst of a walk, and between two. The walk goes on, or breaks off for the next."""
    if not hasattr(case.desk(), "forget"):
        pytest.skip(f"{case.name} gives no cursors that are known to expire")
    for page in (1, 2):
        desk = case.desk()
        ids = desk.fill(3 * desk.per_page)
        desk.after_list = after(page, desk.forget)
        read = Reading(case, desk)
        read.on(breaks=True)
        read.on()
        assert not read.lacks(ids), f"cursors expired after page {page}: lost {len(read.lacks(ids))} of {len(ids)}"
        said = [desk.stir(ids[0])]
        desk.forget()
        read.on()
        assert not read.misses(said), f"a cursor expired between two walks of which the first had {page} pages: lost"


@check("pull", played=True)
def long_conversations_are_read_whole_or_said_to_be_cut(case: Case) -> None:
    """A conversation of more messages than one answer holds; what the vendor does not give is a reject that says so."""
    desk = case.desk()
    (one,) = desk.fill(1)
    said = desk.lengthen(one, 2 * (desk.most_messages or 120) + 1)
    read = Reading(case, desk)
    read.on()
    missing, told = read.misses(said), len(read.walk.records(Message))
    if desk.most_messages is None:
        assert not missing, f"of {len(said)} messages {len(missing)} were not read"
    assert told >= (desk.most_messages or 0), f"{told} messages were read, {desk.most_messages} could be"
    assert not missing or read.walk.rejects, f"{len(missing)} messages cannot be read, and nothing says so"
    read.on()
    assert len(read.walk.records(Message)) == told, "read again, it has other messages"


@check("pull", played=True)
def a_first_read_takes_as_long_as_doctor_says(case: Case) -> None:
    """Within a factor of two, on a clock that stands except for waiting."""
    desk = case.desk()
    desk.fill(FIRST_READ)
    read = Reading(case, desk)
    read.on()
    service = case.kind.service(case.kind.Settings(**desk.settings))
    promised = FIRST_READ * case.kind.first_read / service.per_second
    taken = read.clock.passed / promised
    assert 0.5 <= taken <= 2, f"a first read takes {taken:.1f} times as long as first_read says"
