"""A digest as plain text and as Markdown. What got worse comes first; a quiet period is one short message."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from connector.digest.model import Digest, Line, Table, Verdict
from connector.digest.words import Wording

SECTIONS: tuple[tuple[str, tuple[Verdict, ...]], ...] = (
    ("worse", ("worse",)),
    ("better", ("better",)),
    ("moved", ("moved",)),
    ("steady", ("steady",)),
    ("figures", ("alone",)),
)


def text(digest: Digest, language: str) -> str:
    """For the terminal; ends with a newline."""
    return _document(digest, language, _TEXT)


def markdown(digest: Digest, language: str) -> str:
    """For a file or a ticket; ends with a newline."""
    return _document(digest, language, _MARKDOWN)


Row = Sequence[str]


class _Layout(NamedTuple):
    """How the parts look. ``figures`` and ``grid`` lay out heads and rows."""

    title: Callable[[str], str]
    head: Callable[[str], str]
    figures: Callable[[Row, Sequence[Row]], str]
    grid: Callable[[Row, Sequence[Row]], str]
    link: Callable[[str, str | None], str]
    small: Callable[[str], str]


def _document(digest: Digest, language: str, layout: _Layout) -> str:
    words = Wording(language, digest)
    parts = [words.summary()] if digest.quiet else list(_full(digest, words, layout))
    parts += [part for part in (_looks(digest, words, layout), layout.small(words.age())) if part]
    if digest.passports:
        parts.append(layout.small(passports(digest, words)))
    return "\n\n".join(parts) + "\n"


def _full(digest: Digest, words: Wording, layout: _Layout) -> Iterator[str]:
    yield layout.title(words.title()) + "\n" + words.versus()
    for name, verdicts in SECTIONS:
        lines = said(digest, verdicts)
        if lines:
            figures = layout.figures(words.heads(), [row(words, line) for line in lines])
            yield f"{layout.head(words.say(name))}\n{figures}"
    if words.without_data():
        yield layout.small(words.without_data())
    for table in digest.tables:
        yield f"{layout.head(words.say(table.by))}\n{layout.grid(*grid(words, table))}"
    if words.below():
        yield layout.small(words.below())


def said(digest: Digest, verdicts: tuple[Verdict, ...]) -> list[Line]:
    """The lines of a section; those without any data are named together instead."""
    return [line for line in digest.of(*verdicts) if not line.empty]


def row(words: Wording, line: Line) -> tuple[str, ...]:
    """A headline figure: label, value, n, what became of it, target."""
    return (
        words.label(line),
        words.value(line.value),
        words.of(line.value),
        words.change(line),
        words.target(line),
    )


def grid(words: Wording, table: Table) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A table by channel or team: its heads and its rows."""
    heads = ("", *(words.column(title, promise) for title, promise in table.columns))
    return heads, [(words.group(table.by, name), *map(words.cell, cells)) for name, cells in table.rows]


def passports(digest: Digest, words: Wording) -> str:
    """How to ask where a headline figure comes from."""
    known = [line for line in digest.lines if line.passport and line.value.n]
    named = [f"{line.value.key}{' business' * (line.value.clock == 'business')} {line.passport}" for line in known]
    return f"{words.say('explain')}{words.colon}deskpulse explain PASSPORT ({', '.join(named)})"


def _looks(digest: Digest, words: Wording, layout: _Layout) -> str:
    if not digest.look:
        return ""
    items = [
        f"- {layout.link(f'#{look.conversation}', look.link)}{words.colon}{words.look(look)}" for look in digest.look
    ]
    return "\n".join([layout.head(words.say("look")), *items])


def _aligned(rows: Sequence[Row], right: Sequence[int]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    return "\n".join(f"  {line}".rstrip() for line in lines)


def _piped(heads: Row, rows: Sequence[Row], right: Sequence[int]) -> str:
    rule = ["---:" if i in right else "---" for i in range(len(heads))]
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in (heads, rule, *rows)]
    return "\n".join(["", *(f"| {line} |" for line in lines)])


_TEXT = _Layout(
    title=lambda text: text,
    head=str.upper,
    figures=lambda heads, rows: _aligned(rows, right=(1,)),
    grid=lambda heads, rows: _aligned([heads, *rows], right=range(1, len(heads))),
    link=lambda label, address: f"{label} {address}" if address else label,
    small=lambda text: text,
)
_MARKDOWN = _Layout(
    title=lambda text: f"# {text}\n",
    head=lambda text: f"## {text}",
    figures=lambda heads, rows: _piped(heads, rows, right=(1,)),
    grid=lambda heads, rows: _piped(heads, rows, right=range(1, len(heads))),
    link=lambda label, address: f"[{label}]({address})" if address else label,
    small=lambda text: f"_{text}_",
)
