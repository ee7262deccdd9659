"""Services into the store: each stream from its cursor on, pages committed together with theirs, then a second look.

Whatever goes wrong, what is stored is whole: pages before a failure stay, the cursor stays with them, the next run goes
on from there.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

from connector import facts, registry
from connector.clock import Clock
from connector.config import Config, ServiceConfig
from connector.contract import Rereads
from connector.errors import AuthFailed, BadPayload, ConfigError, ConnectorError, Rejected, ServiceError, UsageError
from connector.http import HttpClient
from connector.models import LATEST, Conversation, Instant, Page, Reject, to_iso
from connector.store import runs
from connector.store.counts import Counts
from connector.store.lock import lock_of, locked
from connector.store.write import Store

PAGES, RECORDS, SECONDS = 10, 5_000, 3.0
"""A batch is committed when it has this many pages or records, or has been open for this long."""
COLLECTED_EVERY = 4
"""Batches between two looks for cycles: see ``_rarely_collected``."""
DAY_MS = 86_400_000
RECENT_MS = 2 * DAY_MS
"""Conversations that changed this shortly before the newest known change are read again."""


class Progress(Protocol):
    """Is told how far a source has come; ``total`` is None where the service does not say."""

    def step(self, source: str, stream: str, done: int, total: int | None) -> None: ...
    def wait(self, source: str, seconds: float) -> None: ...
    def end(self) -> None: ...


class _Silent:
    def step(self, source: str, stream: str, done: int, total: int | None) -> None: ...
    def wait(self, source: str, seconds: float) -> None: ...
    def end(self) -> None: ...


Stop = Callable[[], bool]
"""Was the run asked to stop? It does so after the batch in hand."""


@dataclass(frozen=True)
class RunSummary:
    """What a run did with one source. ``outcome`` is ok, failed, auth, paused or stopped.

    ``error`` is a sentence with its remedy; ``setting`` names what to fix in the config where that is the remedy;
    ``news`` is what is said once when a source breaks and once when it works again.
    """

    source: str
    outcome: str
    counts: Counts = field(default_factory=Counts)
    requests: int = 0
    waited_s: float = 0.0
    error: str | None = None
    setting: str | None = None
    news: str | None = None

    def line(self) -> str:
        """The run in one line."""
        if self.outcome == "paused":
            return f"{self.source}: skipped"
        c = self.counts
        parts = [f"read {c.read:,}", f"new {c.new:,}", f"changed {c.changed:,}", f"unchanged {c.unchanged:,}"]
        if not (c.new or c.changed):
            del parts[1:3]
        work = f"rejected {c.rejected:,}, {self.requests:,} requests, waited {self.waited_s:.0f} s"
        return f"{self.source}: {self._first_word()}{', '.join(parts)}, {work}"

    def _first_word(self) -> str:
        if self.outcome != "ok":
            return "stopped early; " if self.outcome == "stopped" else "failed; "
        return "" if self.counts.new or self.counts.changed else "nothing new; "


def raise_for(summaries: Sequence[RunSummary]) -> None:
    """ConfigError naming the setting where a setting is the remedy, else ConnectorError, when a source did not work."""
    for summary in summaries:
        if summary.setting:
            raise ConfigError(str(summary.error), setting=summary.setting)
    broken = [summary.error for summary in summaries if summary.error]
    if broken:
        raise ConnectorError("; ".join(broken))


def _never() -> bool:
    return False


def sync(
    config: Config, names: Sequence[str], clock: Clock, progress: Progress | None = None, *, stop: Stop = _never
) -> list[RunSummary]:
    """Pull what is new from the named services (all that give data, if none is named), then refresh the facts.

    A service that fails does not keep the others from being read: see its summary. ConfigError, before anything is
    touched, for a wrong name or setting; ConnectorError when another process writes to this store.
    """
    with ExitStack() as stack:
        stack.enter_context(_rarely_collected())
        shown = progress or _Silent()
        links = [_link(service, config, clock, shown, stack) for service in _chosen(config, names)]
        store = _open(config, stack)
        for service in (one for link in links for one in (link.about, link.service)):
            store.source(service.name, service.adapter)
        summaries = [
            _pull(store, link, clock, shown, stop, insist=bool(names)) for link in links if not stop()
        ]  # fmt: skip
        shown.end()
        if not stop():
            store.drop_bodies(_bodies_from(config, clock) or LATEST)
            facts.refresh(store.conn, config)
    return summaries


def reread(config: Config, name: str, conversations: Sequence[str], clock: Clock) -> RunSummary:
    """Read these conversations of a service again, changed or not, and refresh the facts: after a write-back.

    UsageError when the service cannot give conversations by id.
    """
    with ExitStack() as stack:
        link = _link(config.service(name), config, clock, _Silent(), stack)
        if not isinstance(link.adapter, Rereads):
            raise UsageError(f"{name} cannot read single conversations: run `deskpulse sync {name}` instead")
        store = _open(config, stack)
        summary = _run(store, link, clock, "reread", _Silent(), _never, lambda run: run.reread(conversations))
        facts.refresh(store.conn, config)
    return summary


def _chosen(config: Config, names: Sequence[str]) -> list[ServiceConfig]:
    named = [config.service(name) for name in dict.fromkeys(names)]
    for service in named:
        if not _pulls(service):
            raise UsageError(f"{service.name} is only written to: there is nothing to sync from it")
    chosen = named or [service for service in config.services if _pulls(service)]
    if not chosen:
        raise ConfigError(f"{config.path} has no service to read from: add one, see README", setting="services")
    return chosen


def _pulls(service: ServiceConfig) -> bool:
    return callable(getattr(registry.adapter_class(service.adapter), "pull", None))


class _Link(NamedTuple):
    """A service, connected; its secret's mark tells when a paused one is worth a new attempt. ``about`` is the one
    whose conversations its records belong to: itself, or the one that its adapter names."""

    service: ServiceConfig
    about: ServiceConfig
    adapter: Any
    http: HttpClient
    secret_mark: str
    bodies_from: Instant | None


def _link(service: ServiceConfig, config: Config, clock: Clock, progress: Progress, stack: ExitStack) -> _Link:
    adapter, http = registry.connect(service, config, clock, lambda seconds: progress.wait(service.name, seconds))
    stack.callback(http.close)
    named = getattr(adapter, "about", None)
    about = config.service(named) if named else service
    return _Link(service, about, adapter, http, registry.secret_mark(service, config), _bodies_from(config, clock))


def _bodies_from(config: Config, clock: Clock) -> Instant | None:
    return clock.now() - config.keep_bodies_days * DAY_MS if config.keep_bodies_days else None


@contextmanager
def _rarely_collected() -> Iterator[None]:
    """Records hold no cycles, so looking for some at every few hundred of them would cost a tenth of the time.

    Answers do, and are large: they are collected after every few batches.
    """
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _open(config: Config, stack: ExitStack) -> Store:
    stack.enter_context(locked(lock_of(config.database), f"another sync is writing to {config.database}"))
    return stack.enter_context(Store.open(config.database, demo=config.demo))


def _pull(store: Store, link: _Link, clock: Clock, progress: Progress, stop: Stop, *, insist: bool) -> RunSummary:
    """One source's run, unless it is paused; ``insist`` tries a paused one all the same."""
    name = link.service.name
    health = runs.health(store.conn, store.source(name, link.service.adapter))
    if health.state == "auth" and health.secret_mark == link.secret_mark and not insist:
        since = to_iso(health.since or clock.now())[:16]
        why = f"{name} is paused since {since}Z, because its credential was refused: give it another one"
        return RunSummary(name, "paused", error=f"{why}, or run `deskpulse sync {name}` to try it again")
    return _run(store, link, clock, "sync", progress, stop, _Run.everything)


def _run(
    store: Store,
    link: _Link,
    clock: Clock,
    what: str,
    progress: Progress,
    stop: Stop,
    work: Callable[[_Run], None],
) -> RunSummary:
    """Start a run, work, and end it: the one place where an error becomes a stored status and a sentence."""
    lacks = getattr(link.adapter, "lacks", {})
    source_id = store.source(link.service.name, link.service.adapter, lacks)
    before = runs.health(store.conn, source_id)
    run_id = runs.start(store.conn, source_id, what, clock.now())
    run = _Run(store, source_id, link, clock, progress, stop)
    error: ConnectorError | None = None
    try:
        work(run)
    except (ServiceError, ConfigError) as caught:
        error = caught
    ended = _ended(run, error, link)
    runs.end(store.conn, source_id, run_id, clock.now(), ended)
    news = _news(link.service.name, before, runs.health(store.conn, source_id))
    return _summary(link.service.name, ended, news, error)


def _ended(run: _Run, error: ConnectorError | None, link: _Link) -> runs.Ended:
    sentence = str(error) if error else "; ".join(run.refused) or None
    outcome = "ok"
    if isinstance(error, AuthFailed):
        outcome = "auth"
    elif sentence:
        outcome = "failed"
    elif run.stopped:
        outcome = "stopped"
    return runs.Ended(
        outcome,
        sentence,
        run.counts,
        link.http.requests,
        link.http.waited_s,
        link.secret_mark if outcome == "auth" else None,
    )


def _news(name: str, before: runs.Health, after: runs.Health) -> str | None:
    """What is said once: that a source broke, that it waits for another credential, that it works again."""
    if after.state == before.state:
        return None
    return after.reason or f"{name} works again (it did not since {to_iso(before.since or 0)[:16]}Z)"


def _summary(name: str, ended: runs.Ended, news: str | None, error: ConnectorError | None) -> RunSummary:
    setting, sentence = None, ended.error
    if ended.outcome == "auth":
        setting = f"services.{name}"
    elif isinstance(error, ConfigError):
        setting = error.setting
    if ended.outcome == "stopped":
        sentence = f"{name}: stopped as asked; what was read is stored, the next sync goes on from there"
    return RunSummary(name, ended.outcome, ended.counts, ended.requests, ended.waited_s, sentence, setting, news)


class _Run:
    """One source's pull: pages into batches, batches into the store."""

    def __init__(self, store: Store, source_id: int, link: _Link, clock: Clock, progress: Progress, stop: Stop) -> None:
        self.store, self.source_id, self.link, self.clock = store, source_id, link, clock
        self.owner = store.source(link.about.name, link.about.adapter)
        self.progress, self.stop = progress, stop
        self.counts, self.refused, self.stopped = Counts(), list[str](), False
        self._asked: list[str] = []
        self._unchanged: list[str] = []
        self._batches = 0
        store.begin_look()

    def everything(self) -> None:
        """All streams in their order, then a second look at what is open or recent."""
        adapter = self.link.adapter
        for stream in adapter.streams:
            cursor = self.store.cursor(self.source_id, stream)
            self._stream(stream, partial(adapter.pull, stream, cursor, self._seen))
        if isinstance(adapter, Rereads):
            self._second_look(adapter)

    def _second_look(self, adapter: Rereads) -> None:
        ids = self.store.to_reread(self.source_id, within=RECENT_MS, limit=adapter.reread_limit)
        if ids and not self.stopped:
            self._stream("reread", partial(adapter.reread, ids, self._seen))
            if not self.stopped:
                self.store.looked_at(self.source_id, ids, self.clock.now())

    def reread(self, conversations: Sequence[str]) -> None:
        """These, whatever their version."""
        self._stream("reread", partial(self.link.adapter.reread, conversations, lambda *_: False))

    def _stream(self, stream: str, pages: Callable[[], Iterator[Page]]) -> None:
        """A stream that the service refuses as a whole is recorded, and the others go on."""
        if self.stopped:
            return
        try:
            self._walk(stream, pages())
        except Rejected as error:
            self.refused.append(f"{error} ({stream} were not read)")
            self._save(stream, [Page([], rejects=(Reject("stream", stream, str(error)),))])
        else:
            self.store.forget_reject(self.owner, "stream", stream)

    def _walk(self, stream: str, pages: Iterator[Page]) -> None:
        batch, done = _Batch(self.clock), 0
        try:
            for page in self._guarded(pages):
                batch.add(page)
                done += self._conversations(page) or len(page.records)
                self.progress.step(self.link.service.name, stream, done, page.total)
                self.stopped = self.stop()
                if batch.is_full() or self.stopped:
                    self._save(stream, batch.pages)
                    batch = _Batch(self.clock)
                if self.stopped:
                    return
        except ServiceError:
            self._save(stream, batch.pages)  # they came whole, before the failure
            raise
        self._save(stream, batch.pages)

    def _conversations(self, page: Page) -> int:
        """How far the walk came with a page: conversations on it, or asked for and found unchanged."""
        return max(len(self._asked), sum(isinstance(record, Conversation) for record in page.records))

    def _guarded(self, pages: Iterator[Page]) -> Iterator[Page]:
        """A page loop cannot spin: the same cursor and the same ids as on the page before end it."""
        before: tuple[Any, ...] = ()
        for page in pages:
            now = (page.cursor, [record.id for record in page.records], self._asked)
            if now == before and (now[1] or now[2]):
                raise BadPayload(
                    f"{self.link.service.name} gave the same page twice, so the walk was ended: run it again later"
                )
            yield page
            before, self._asked = now, []

    def _seen(self, conversation: str, changed_at: Instant | None) -> bool:
        self._asked.append(conversation)
        if not self.store.seen(self.owner, conversation, changed_at):
            return False
        self._unchanged.append(conversation)
        return True

    def _save(self, stream: str, pages: Sequence[Page]) -> None:
        if pages:
            self.counts += self.store.save(
                self.source_id,
                stream,
                pages,
                seen_at=self.clock.now(),
                history=self.link.adapter.history,
                bodies_from=self.link.bodies_from,
                rereads=isinstance(self.link.adapter, Rereads) or self.owner != self.source_id,
                about=self.owner,
            )
        if self._unchanged:
            self.store.looked_at(self.owner, self._unchanged, self.clock.now())
            self._unchanged = []
        self._batches += 1
        if self._batches % COLLECTED_EVERY == 0:
            gc.collect()


class _Batch:
    """Pages that wait to be committed."""

    def __init__(self, clock: Clock) -> None:
        self.pages: list[Page] = []
        self._records, self._clock, self._since = 0, clock, clock.monotonic()

    def add(self, page: Page) -> None:
        self.pages.append(page)
        self._records += len(page.records)

    def is_full(self) -> bool:
        late = self._clock.monotonic() - self._since >= SECONDS
        return late or len(self.pages) >= PAGES or self._records >= RECORDS
