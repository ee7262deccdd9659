"""The neutral format: JSON Lines of conversations and what belongs to them, CSV for ratings.

API: none; the format is described in README, "The neutral format".
Auth: none; the files must be readable.
Limits: one line is one record and fits in memory; a CSV file is read whole.
Gaps: knows what the file says and nothing else. A status without its event has no instant, so no resolution time; a
record that leaves a file is no deletion (an event of kind deleted is).
"""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Annotated, Any, ClassVar, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Json,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from connector.contract import AdapterSettings, Finding, Http, Seen, Service, rows
from connector.errors import ConfigError
from connector.models import (
    CHANNEL_KINDS,
    OWN_NOTE_MARK,
    Agent,
    Author,
    Channel,
    Contact,
    Conversation,
    Cursor,
    Event,
    EventKind,
    Inbox,
    Instant,
    Message,
    MessageKind,
    Page,
    Rating,
    Record,
    Reject,
    Schedule,
    Status,
    Team,
    from_iso,
    to_iso,
)

SUFFIXES = (".jsonl", ".ndjson", ".csv")
LINES_A_PAGE = 200
CHUNK = 1 << 20
BOM = b"\xef\xbb\xbf"  # Excel and some editors begin a UTF-8 file with it

AUTHORS: dict[str, Author] = {
    "customer": "customer",
    "agent": "human",
    "human": "human",
    "bot": "bot",
    "automation": "automation",
    "integration": "integration",
}
STATUSES: dict[str, Status] = {
    "open": "open",
    "pending": "pending",
    "snoozed": "snoozed",
    "done": "done",
    "resolved": "done",
    "solved": "done",
    "closed": "done",
}
SCORES = {"good": 1.0, "bad": 0.0}
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _instant(value: object) -> Instant:
    if not isinstance(value, str):
        raise ValueError("a time is text with a zone, like 2026-11-20T09:30:00+01:00")
    return from_iso(value)


def _status(word: str) -> Status:
    if word not in STATUSES:
        raise ValueError(f"not a status; it may be {', '.join(STATUSES)}")
    return STATUSES[word]


def _score(value: object) -> object:
    """good and bad are 1 and 0; spreadsheets of half of Europe write 4,5."""
    return SCORES.get(value, value.replace(",", ".")) if isinstance(value, str) else value


def _span(text: object) -> tuple[int, int]:
    found = re.fullmatch(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)", str(text))
    a, b, c, d = map(int, found.groups()) if found else (0, 0, 0, 0)
    if not a * 60 + b < c * 60 + d <= 1440:
        raise ValueError('opening hours are written like "09:00-17:30"')
    return a * 60 + b, c * 60 + d


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError('not a time zone; write one like "Europe/Paris"')
    return name


Id = Annotated[str, Field(min_length=1)]
When = Annotated[Instant, BeforeValidator(_instant)]
Span = Annotated[tuple[int, int], BeforeValidator(_span)]
Score = Annotated[float, BeforeValidator(_score), Field(allow_inf_nan=False)]


class _Wire(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)  # an id may be written as a number


class _Message(_Wire):
    id: Id
    at: When
    author: str
    author_id: Id | None = None
    text: str | None = None
    length: Annotated[int, Field(ge=0)] | None = None
    private: bool = False
    bot: bool = False
    kind: MessageKind | None = None


class _Event(_Wire):
    id: Id | None = None
    at: When
    kind: EventKind
    value: Id | None = None
    was: Id | None = None
    actor: Id | None = None

    @model_validator(mode="after")
    def _status_words(self) -> _Event:
        if self.kind == "status":
            self.value = _status(self.value or "")
            self.was = _status(self.was) if self.was else None
        return self


class _Rating(_Wire):
    id: Id | None = None
    offered_at: When | None = None
    at: When | None = None
    score: Score | None = None
    answers: list[tuple[When, Score]] = []
    low: Score = 1
    high: Score = 5
    agent: Id | None = None
    team: Id | None = None
    survey: Id | None = None

    @model_validator(mode="before")
    @classmethod
    def _good_or_bad(cls, raw: Any) -> Any:
        given = [raw.get("score"), *_seconds(raw.get("answers"))] if isinstance(raw, dict) else []
        verdict = any(isinstance(score, str) and score in SCORES for score in given)
        return {**raw, "low": 0, "high": 1} if verdict else raw

    @model_validator(mode="after")
    def _says_something(self) -> _Rating:
        if (self.at is None) != (self.score is None):
            raise ValueError("at and score go together")
        if self.at is not None and self.score is not None:
            self.answers = [*self.answers, (self.at, self.score)]
        if not self.answers and self.offered_at is None:
            raise ValueError("neither offered nor answered")
        if not all(self.low <= score <= self.high for _, score in self.answers):
            raise ValueError("a score outside of low and high")
        return self


def _seconds(pairs: Any) -> list[Any]:
    return [pair[1] for pair in pairs if isinstance(pair, list) and len(pair) > 1] if isinstance(pairs, list) else []


class _Conversation(_Wire):
    id: Id
    channel: Id | None = None
    inbox: Id | None = None
    team: Id | None = None
    agent: Id | None = None
    contact: Id | None = None
    created_at: When | None = None
    status: Annotated[str, AfterValidator(_status)] | None = None
    changed_at: When | None = None
    language: Id | None = None
    link: str | None = None
    tags: list[Id] = []
    messages: list[_Message] = []
    events: list[_Event] = []
    ratings: list[_Rating] = []

    @model_validator(mode="after")
    def _begins(self) -> _Conversation:
        if self.created_at is None and not self.messages:
            raise ValueError("created_at is needed where there are no messages")
        return self


class _LoneMessage(_Message):
    conversation: Id


class _LoneEvent(_Event):
    conversation: Id


class _LoneRating(_Rating):
    conversation: Id


class _Schedule(BaseModel):
    zone: Annotated[str, AfterValidator(_zone)]
    hours: dict[Day, list[Span]] = {}
    holidays: list[date] = []


class _Inbox(_Wire):
    id: Id
    name: str | None = None
    channel: Id | None = None
    schedule: _Schedule | None = None


class _Team(_Wire):
    id: Id
    name: str | None = None


class _Agent(_Wire):
    id: Id
    name: str | None = None
    bot: bool = False


class _Contact(_Wire):
    id: Id
    language: Id | None = None
    created_at: When | None = None


NO_SUCH_TYPE = "type is not one of conversation, message, event, rating, inbox, team, agent, contact"


def _type(raw: Any) -> str:
    return str(raw.get("type", "conversation")) if isinstance(raw, dict) else "not an object"


_Row = Annotated[
    Annotated[_Conversation, Tag("conversation")]
    | Annotated[_LoneMessage, Tag("message")]
    | Annotated[_LoneEvent, Tag("event")]
    | Annotated[_LoneRating, Tag("rating")]
    | Annotated[_Inbox, Tag("inbox")]
    | Annotated[_Team, Tag("team")]
    | Annotated[_Agent, Tag("agent")]
    | Annotated[_Contact, Tag("contact")],
    Discriminator(_type, custom_error_type="no_such_type", custom_error_message=NO_SUCH_TYPE),
]


class _Line(BaseModel):
    """A line and its place, so that a reject names where to look."""

    id: str
    record: Json[_Row]


class _CsvLine(BaseModel):
    id: str
    record: _LoneRating


class _Whole(BaseModel):
    record: Json[Any]


class FilesSettings(AdapterSettings):
    path: Path = Field(description='a file, a folder or a pattern like "exports/*.jsonl"; relative to the config file')
    of: str | None = Field(
        None, description="the service whose conversations the records are about: for ratings from elsewhere"
    )

    @field_validator("path")
    @classmethod
    def _from_the_config(cls, path: Path, info: ValidationInfo) -> Path:
        folder = (info.context or {}).get("folder", "")
        return Path(folder) / path.expanduser()


class Files:
    name: ClassVar[str] = "files"
    Settings: ClassVar[type[AdapterSettings]] = FilesSettings
    streams: ClassVar[tuple[str, ...]] = ("records",)
    history: ClassVar[frozenset[str]] = frozenset({"status", "assigned", "team"})

    def __init__(self, settings: FilesSettings, http: Http) -> None:
        self.settings, self.about = settings, settings.of

    @staticmethod
    def service(settings: FilesSettings) -> Service:
        return Service()

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]:
        """What was added since the cursor; a file whose consumed part changed is read again from its first line.

        The cursor is, per file, the bytes and line ends consumed and their hash. ConfigError where nothing can be read.
        """
        paths = _files(self.settings.path)
        known = (cursor or {}).get("files", {})
        places = {str(path): known[str(path)] for path in paths if str(path) in known}
        if gone := known.keys() - places.keys():
            wrong = (key for name in gone for key in _forgotten(Path(name), known[name]))
            yield Page([], {"files": places}, settled=tuple(wrong))
        for path in paths:
            read = _csv_pages if path.suffix == ".csv" else _json_pages
            for records, rejects, place, good in read(path, places.get(str(path), {})):
                places = {**places, str(path): place} if place else places
                yield Page(records, {"files": places} if place else None, rejects, settled=good)

    def probe(self) -> Iterator[Finding]:
        """Is there something to read, and can the beginning of each file be understood?"""
        paths = _files(self.settings.path)
        yield Finding("path", True, f"{len(paths)} file(s), {sum(path.stat().st_size for path in paths):,} bytes")
        for path in paths:
            read = _csv_pages if path.suffix == ".csv" else _json_pages
            for _, rejects, _, _ in islice(read(path, {}), 1):
                yield _verdict(path, rejects)


Place = dict[str, Any]
Settled = tuple[tuple[str, str], ...]
Part = tuple[list[Record], tuple[Reject, ...], Place | None, Settled]


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = list(path.iterdir())
    else:
        found = [path] if path.exists() else [Path(one) for one in glob.glob(str(path), recursive=True)]
    wanted = sorted(one for one in found if one.suffix in SUFFIXES and one.is_file())
    if not wanted:
        reason = f"there is no {', '.join(SUFFIXES)} file at {path}: name a file, its folder or a pattern"
        raise ConfigError(f"path: {reason}", setting="path")
    for one in wanted:  # figures without it would look complete
        if not os.access(one, os.R_OK):
            raise ConfigError(
                f"path: {one} cannot be read: let deskpulse's user read it, or take it away", setting="path"
            )
    return wanted


def _forgotten(path: Path, place: Place) -> Settled:
    """What may be held against what the file was: a line that was taken out will never come right by itself."""
    return (("file", path.name), *(("line", f"{path.name}:{n + 1}") for n in range(place.get("lines", -1) + 1)))


def _verdict(path: Path, rejects: tuple[Reject, ...]) -> Finding:
    if not rejects:
        return Finding(path.name, True, "its first records are understood")
    first = f"{rejects[0].id}: {rejects[0].reason}"
    return Finding(path.name, None, f"{len(rejects)} of its first records are not understood", f"correct {first}")


def _json_pages(path: Path, known: Place) -> Iterator[Part]:
    with path.open("rb") as file:
        reading = _Reading(file, path.name)
        right = () if reading.go_on_from(known) else _forgotten(path, known)
        while reading.take():
            good, rejects = rows(_Line, reading.taken, "line")
            records = [record for line in good for record in _records(line.record)]
            yield records, rejects, reading.place(), (*right, *(("line", line.id) for line in good))
            right = ()


class _Reading:
    """A file of lines, and how much of it is consumed."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.file, self.name = file, name
        self.digest, self.bytes, self.lines = hashlib.sha256(), 0, 0
        self.taken: list[dict[str, Any]] = []

    def go_on_from(self, known: Place) -> bool:
        """Behind what was consumed before, where that is still what the file begins with; else False, at its start."""
        left = known.get("bytes", 0)
        while chunk := self.file.read(min(CHUNK, left)):
            self.digest.update(chunk)
            left -= len(chunk)
        if known and not left and self.digest.hexdigest() == known["sha256"]:
            self.bytes, self.lines = known["bytes"], known["lines"]
            return True
        self.file.seek(0)
        self.digest = hashlib.sha256()
        return False

    def take(self) -> bool:
        """The next lines into ``taken``; False where there is nothing more, or but half a line, still being written."""
        before, self.taken = self.bytes, []
        while len(self.taken) < LINES_A_PAGE and (line := self.file.readline()):
            if not line.endswith(b"\n") and not _is_whole(line):
                break
            self._consume(line)
        return self.bytes > before

    def _consume(self, line: bytes) -> None:
        text = line if self.bytes else line.removeprefix(BOM)
        if text.strip():
            self.taken.append({"id": f"{self.name}:{self.lines + 1}", "record": text})
        self.digest.update(line)
        self.bytes += len(line)
        self.lines += line.endswith(b"\n")

    def place(self) -> Place:
        return {"bytes": self.bytes, "lines": self.lines, "sha256": self.digest.hexdigest()}


def _is_whole(line: bytes) -> bool:
    """No beginning of a JSON object is itself JSON, so what can be decoded was written to its end."""
    return not rows(_Whole, [{"record": line}], "line")[1]


def _csv_pages(path: Path, known: Place) -> Iterator[Part]:
    """All ratings, or none when the file is as it was. The place comes with the last page: half a file is not read."""
    data = path.read_bytes()
    place = {"bytes": len(data), "lines": data.count(b"\n"), "sha256": hashlib.sha256(data).hexdigest()}
    if place == known:
        return
    text = data.removeprefix(BOM).decode("utf-8", "replace")
    wrong = _wrong_csv(text)
    if wrong:
        yield [], (Reject("file", path.name, wrong),), place, ()
        return
    lines = [{"id": f"{path.name}:{number}", "record": cells} for number, cells in _csv_rows(text)]
    right = _forgotten(path, known)
    for start in range(0, max(len(lines), 1), LINES_A_PAGE):
        good, rejects = rows(_CsvLine, lines[start : start + LINES_A_PAGE], "line")
        last = start + LINES_A_PAGE >= len(lines)
        records: list[Record] = [_rating(line.record, line.record.conversation) for line in good]
        yield records, rejects, place if last else None, (*right, *(("line", line.id) for line in good))
        right = ()


def _wrong_csv(text: str) -> str:
    if "\ufffd" in text:
        return "it is not UTF-8 text: save it as CSV UTF-8"
    if "conversation" not in _header(text):
        return "its first line names no column conversation: see the neutral format in README"
    return ""


def _header(text: str) -> list[str]:
    return [name.strip().lower() for name in next(_table(text), [])]


def _table(text: str) -> Any:
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # a lost quote is a bad row, not the end
    return csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return ";" if first.count(";") > first.count(",") else ","


def _csv_rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, what its cells say by column name; empty cells say nothing)."""
    table, names = _table(text), _header(text)
    for cells in islice(table, 1, None):
        said = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if cell.strip()}
        if said:
            yield table.line_num, said


# --- a row into records ------------------------------------------------------------------------------------------


def _records(row: _Wire) -> Iterable[Record]:
    match row:
        case _Conversation():
            return _conversation(row)
        case _LoneMessage():
            return (_message(row, row.conversation),)
        case _LoneEvent():
            return (_event(row, row.conversation),)
        case _LoneRating():
            return (_rating(row, row.conversation),)
        case _Inbox():
            return (*_channel(row.channel), Inbox(row.id, row.name or row.id, row.channel, _schedule(row.schedule)))
        case _Team():
            return (Team(row.id, row.name or row.id),)
        case _Agent():
            return (Agent(row.id, row.name or row.id, "bot" if row.bot else "human"),)
        case _Contact():
            return (Contact(row.id, row.language, row.created_at),)
    return ()


def _conversation(row: _Conversation) -> Iterator[Record]:
    yield from _channel(row.channel)
    yield Conversation(
        id=row.id,
        created_at=row.created_at or min(message.at for message in row.messages),
        status=STATUSES[row.status or _last_status(row.events)],
        changed_at=row.changed_at,
        inbox=row.inbox,
        channel=row.channel,
        contact=row.contact or _first_customer(row.messages),
        team=row.team,
        agent=row.agent,
        language=row.language,
        link=row.link,
        tags=tuple(dict.fromkeys(row.tags)),
    )
    yield from (_message(message, row.id) for message in row.messages)
    yield from (_event(event, row.id) for event in row.events)
    yield from (_rating(rating, row.id) for rating in row.ratings)


def _last_status(events: list[_Event]) -> str:
    said = [(event.at, event.value) for event in events if event.kind == "status" and event.value]
    return max(said, key=lambda one: one[0])[1] if said else "open"


def _first_customer(messages: list[_Message]) -> str | None:
    ours = sorted((m for m in messages if m.author == "customer" and m.author_id), key=lambda m: m.at)
    return ours[0].author_id if ours else None


def _channel(word: str | None) -> tuple[Channel, ...]:
    return (Channel(word, word if word in CHANNEL_KINDS else "other"),) if word else ()


def _message(row: _Message, conversation: str) -> Message:
    text = row.text or ""
    note = row.private or row.kind == "note"
    return Message(
        id=f"{conversation}/{row.id}",
        conversation=conversation,
        at=row.at,
        author="bot" if row.bot else AUTHORS.get(row.author, "unknown"),
        author_id=row.author_id,
        public=not note,
        kind=row.kind or ("note" if note else "message"),
        length=len(text) if row.length is None else row.length,
        own=note and text.startswith(OWN_NOTE_MARK),
        body=row.text,
    )


def _event(row: _Event, conversation: str) -> Event:
    own = f"{conversation}/{row.id}" if row.id else f"{conversation}:{row.kind}:{to_iso(row.at)}:{row.value or ''}"
    return Event(own, conversation, row.at, row.kind, row.value, row.was, row.actor)


def _rating(row: _Rating, conversation: str) -> Rating:
    """Without an id, a survey is known by its offer; answers without an offer belong to one."""
    offer = f":{to_iso(row.offered_at)}" if row.offered_at else ""
    own = f"{conversation}/{row.id}" if row.id else f"{conversation}:rating{offer}"
    answers = tuple(sorted(row.answers, key=itemgetter(0)))  # of two at one instant the later line is the later
    return Rating(own, conversation, row.offered_at, answers, row.low, row.high, row.agent, row.team, row.survey)


def _schedule(row: _Schedule | None) -> Schedule | None:
    if row is None:
        return None
    week = tuple(tuple(sorted(row.hours.get(day, []))) for day in DAYS)
    return Schedule(row.zone, week, tuple(str(day) for day in row.holidays))
