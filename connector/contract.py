"""What an adapter is.

An adapter is one class in one file of ``adapters/``. It declares ``name``, ``Settings``, ``service(settings)`` and
any of the capabilities below, in this order: pull, reread, tag, note, announce, probe. It is built by the registry with
its validated settings and a client for its service, and has no ``try``, sleep, logging, SQL, environment or clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from connector.errors import Rejected
from connector.models import Cursor, Page, Reject

Seen = Callable[[str, int | None], bool]
"""(conversation id, changed_at) → is exactly this version stored already? Then its children need no call."""

Params = Mapping[str, str | int | Sequence[str]]


class AdapterSettings(BaseModel):
    """Parent of every adapter's ``Settings``: unknown keys are errors; secrets are ``SecretStr``.

    ``deskpulse connect`` asks for what is required, and for an optional field with json_schema_extra={"ask": True}.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Login:
    """A credential that buys a short-lived bearer token: ``body`` is POSTed to ``path`` as JSON before the first
    request, and again when the token is refused; the answer holds ``access_token`` (OAuth 2, client credentials)."""

    path: str
    body: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Service:
    """How to talk to a service: what the one HTTP client needs to know. ``headers`` may hold secrets; never printed.

    ``per_second`` is the budget of requests that we allow ourselves; ``at_once`` how many may be in flight.
    ``budgets`` are those of endpoints that a service limits apart, within the whole: "GET /export/*" → per second; the
    first pattern that fits counts.
    ``write_cost`` is how many requests a service counts a write for (all but a GET).
    ``base_url`` empty means that the adapter makes no requests.
    """

    base_url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)
    login: Login | None = None
    per_second: float = 5.0
    at_once: int = 4
    budgets: Mapping[str, float] = field(default_factory=dict)
    write_cost: int = 1
    secret_url: bool = False
    """The address itself is a secret (incoming webhooks): it is never shown, not even in errors."""


class Answer(Protocol):
    """A successful answer of a service."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def text(self) -> str: ...
    def json(self) -> Any:
        """The decoded body; BadPayload when it is not JSON (a login page, a cut answer)."""


class Http(Protocol):
    """The client an adapter is given. Raises the ServiceErrors of ``connector.errors``; adapters catch none of them."""

    def get(self, path: str, params: Params | None = None) -> Answer: ...
    def find(self, path: str, params: Params | None = None, absent: Collection[int] = (404,)) -> Answer | None:
        """Like ``get``, but None where the service answers with a status of ``absent``: what is not there, not in this
        plan, or has expired."""

    def search(self, path: str, body: Any) -> Answer:
        """A question that is asked by POST. It changes nothing at the service, so it is retried like any read."""

    def status(self, path: str, told: Collection[int]) -> int:
        """What a GET is answered with: a success, or one of ``told``: is it gone (404), or only out of sight (403)?"""

    def each(self, paths: Iterable[str], absent: Collection[int] = (404,)) -> Iterator[Answer | None]:
        """``find`` for every path, side by side within the rate limit, answers in the order asked."""

    def send(self, method: Literal["POST", "PUT", "PATCH", "DELETE"], path: str, body: Any = None) -> Answer:
        """A write: not retried in place unless it certainly never arrived or the answer was 429."""


class TagChange(NamedTuple):
    """What a tag write did, read back from the service: all tags before and after."""

    before: tuple[str, ...]
    after: tuple[str, ...]


class Finding(NamedTuple):
    """One line of ``doctor``. ``ok`` None is a warning; ``remedy`` says what to do, where to click."""

    check: str
    ok: bool | None
    detail: str
    remedy: str = ""


# --- what is announced: a neutral document that each chat adapter renders within its own limits -------------------


class Heading(NamedTuple):
    text: str


class Paragraph(NamedTuple):
    """``links`` are (label, address) that appear in the text as {0}, {1}…"""

    text: str
    links: tuple[tuple[str, str], ...] = ()


class Fields(NamedTuple):
    """Short label/value pairs, side by side where the chat can."""

    items: tuple[tuple[str, str], ...]


class Table(NamedTuple):
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Context(NamedTuple):
    """Small print."""

    text: str


Block = Heading | Paragraph | Fields | Table | Context


class Announcement(NamedTuple):
    """``key`` is the outbox key, a sentence; ``fallback`` is the whole message in one plain line."""

    key: str
    fallback: str
    blocks: tuple[Block, ...]


# --- capabilities --------------------------------------------------------------------------------------------------


class Adapter(Protocol):
    name: ClassVar[str]
    Settings: ClassVar[type[AdapterSettings]]

    def __init__(self, settings: Any, http: Http) -> None: ...

    @staticmethod
    def service(settings: Any) -> Service: ...


@runtime_checkable
class Pulls(Protocol):
    """``streams`` in the order to pull them. ``history`` names the event kinds whose history the vendor gives
    ("status", "assigned", "team"); the store derives the others from differences between snapshots.

    An adapter whose records are of another service's conversations (ratings from a file) has an attribute ``about``
    with that service's name in the config, or None. One may have ``lacks: ClassVar[Mapping[str, str]]``: the KPIs that
    its vendor cannot feed, each with the reason. Where nothing else feeds them they are absent with it, never 0.

    One that makes requests has ``first_read: ClassVar[float]``: how many a typical conversation costs when it is read
    for the first time, its share of the lists included. ``doctor`` tells from it how long a first pull takes."""

    streams: ClassVar[tuple[str, ...]]
    history: ClassVar[frozenset[str]]

    def pull(self, stream: str, cursor: Cursor | None, seen: Seen) -> Iterator[Page]: ...


@runtime_checkable
class Rereads(Protocol):
    """Conversations by id, whatever the lists say: how open ones are watched and how a removal is noticed.

    An id that the service no longer knows gives an Event of kind deleted with ``at`` None.
    ``reread_limit`` is how many of them a run may ask for.
    """

    reread_limit: ClassVar[int]

    def reread(self, ids: Sequence[str], seen: Seen) -> Iterator[Page]: ...


@runtime_checkable
class Tags(Protocol):
    """Tags are added to the others and read back. ``tag_name`` is what the service makes of a name of ours."""

    def tags(self, conversation: str) -> tuple[str, ...]: ...
    def add_tag(self, conversation: str, tag: str) -> TagChange: ...
    def remove_tag(self, conversation: str, tag: str) -> TagChange: ...


@runtime_checkable
class Notes(Protocol):
    """Internal notes. ``text`` already begins with ``OWN_NOTE_MARK``; ids are the service's message ids."""

    def add_note(self, conversation: str, text: str) -> str: ...
    def find_note(self, conversation: str, text: str) -> str | None: ...
    def remove_note(self, conversation: str, note: str) -> None: ...


@runtime_checkable
class Announces(Protocol):
    """A message to the team's chat, never to a customer. Returns a receipt (an id, or the service's word)."""

    def announce(self, announcement: Announcement) -> str: ...


@runtime_checkable
class Probes(Protocol):
    """The cheapest calls that tell whether the credential works, what it may do, and which KPIs it can feed."""

    def probe(self) -> Iterator[Finding]: ...


def as_written(
    what: str, service: str, before: tuple[str, ...], wanted: Collection[str], after: tuple[str, ...]
) -> TagChange:
    """What a tag write did, where the read back shows that it did what it was to do.

    ``what`` is the conversation in the service's words ("ticket 7"). Rejected when something wanted is not there, or
    something that was taken away still is. A tag that somebody adds meanwhile is not ours to call wrong.
    """
    if set(wanted) <= set(after) and not (set(before) - set(wanted)) & set(after):
        return TagChange(before, after)
    raise Rejected(
        f"{what} has the tags {', '.join(after) or 'none'}, not {', '.join(sorted(wanted)) or 'none'} as written: "
        f"open it in {service} and set them by hand"
    )


# --- reading rows ----------------------------------------------------------------------------------------------------

T = TypeVar("T", bound=BaseModel)


def rows(model: type[T], items: Sequence[Any], kind: str) -> tuple[list[T], tuple[Reject, ...]]:
    """Validate a page's rows at once; where that fails, one by one, so that one bad record does not stop the page.

    Returns the good rows in order, and a Reject for each bad one with the names of its wrong fields.
    """
    many: TypeAdapter[list[T]] = _list_of(model)
    try:
        return many.validate_python(items), ()
    except ValidationError:
        return _one_by_one(model, items, kind)


_ADAPTERS: dict[type[BaseModel], TypeAdapter[Any]] = {}


def _list_of(model: type[T]) -> TypeAdapter[list[T]]:
    if model not in _ADAPTERS:
        _ADAPTERS[model] = TypeAdapter(list[model])  # type: ignore[valid-type]
    return _ADAPTERS[model]


def _one_by_one(model: type[T], items: Sequence[Any], kind: str) -> tuple[list[T], tuple[Reject, ...]]:
    good: list[T] = []
    bad: list[Reject] = []
    for item in items:
        try:
            good.append(model.model_validate(item))
        except ValidationError as error:
            name = str(item.get("id", "?")) if isinstance(item, dict) else "?"
            bad.append(Reject(kind, name, why_invalid(error)))
    return good, tuple(bad)


def why_invalid(error: ValidationError) -> str:
    """Field names and reasons of a validation error, without the values (they may be a customer's words)."""
    return "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'record'}: {one['msg']}" for one in error.errors(include_input=False)[:3]
    )
