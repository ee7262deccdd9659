"""A digest as a message to the team's chat: a neutral document, which the chat's adapter renders within its limits."""

from __future__ import annotations

from collections.abc import Iterator

from connector.contract import Announcement, Block, Context, Fields, Heading, Paragraph, Table
from connector.digest.model import Digest
from connector.digest.render import SECTIONS, grid, passports, row, said
from connector.digest.words import Wording


def announcement(digest: Digest, language: str, key: str) -> Announcement:
    """``key`` is the outbox key under which it is sent once.

    The tables come last: a desk of many teams has more of them than a message holds, and what the chat cuts off must
    not be that the figures may still change.
    """
    words = Wording(language, digest)
    blocks = [Paragraph(words.summary())] if digest.quiet else list(_figures(digest, words))
    small = [words.age(), *([passports(digest, words)] if digest.passports else [])]
    tables = () if digest.quiet else _tables(digest, words)
    return Announcement(key, words.summary(), (*blocks, *_looks(digest, words), *map(Context, small), *tables))


def _figures(digest: Digest, words: Wording) -> Iterator[Block]:
    yield Heading(words.title())
    yield Context(words.versus())
    for name, verdicts in SECTIONS:
        rows = [row(words, line) for line in said(digest, verdicts)]
        if rows:
            yield Heading(words.say(name))
            yield Fields(tuple((label, " · ".join(filter(None, rest))) for label, *rest in rows))
    if words.without_data():
        yield Context(words.without_data())


def _tables(digest: Digest, words: Wording) -> Iterator[Block]:
    if words.below():
        yield Context(words.below())
    for table in digest.tables:
        heads, groups = grid(words, table)
        yield Heading(words.say(table.by))
        yield Table(heads, tuple(groups))


def _looks(digest: Digest, words: Wording) -> Iterator[Block]:
    if digest.look:
        yield Heading(words.say("look"))
    for look in digest.look:
        label = f"#{look.conversation}"
        why = f"{words.colon}{words.look(look)}"
        yield Paragraph("{0}" + why, ((label, look.link),)) if look.link else Paragraph(label + why)
