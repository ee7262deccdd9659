"""``make bench``: every figure is a ratio to a named peer or to the raw limit, measured in the same run."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
from adapter import Bench, settings
from peers import bodies, dlt_pull, raw
from world import conversations, rows_of

from connector import facts, metric, pull, registry
from connector.clock import WallClock
from connector.config import DAYS, Config, ServiceConfig
from connector.models import Schedule
from connector.period import Period
from connector.store import connect, transaction

HERE = Path(__file__).parent
ALWAYS_NINE_TO_FIVE = Schedule("Europe/Paris", tuple(((540, 1020),) if day < 5 else () for day in range(len(DAYS))))


def timed(work: Callable[[], object]) -> float:
    """Wall seconds."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def best(folder: Path, name: str, work: Callable[[Path], object]) -> float:
    """The better of two runs, each in a new folder: what else the machine does is not what is measured."""
    folders = [folder / f"{name}{number}" for number in range(2)]
    for one in folders:
        one.mkdir()
    return min(timed(lambda one=one: work(one)) for one in folders)  # type: ignore[misc]


@contextmanager
def serving(count: int) -> Iterator[str]:
    """The bench's server in a process of its own; its address."""
    server = subprocess.Popen([sys.executable, HERE / "server.py", str(count)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


def config_for(folder: Path, url: str) -> Config:
    """A store in ``folder`` that reads from the bench's server."""
    real = registry.adapter_class
    registry.adapter_class = lambda name: Bench if name == "bench" else real(name)  # type: ignore[assignment]
    return Config(
        path=folder / "deskpulse.toml",
        database=folder / "deskpulse.db",
        zone="Europe/Paris",
        services=(ServiceConfig("bench", "bench", settings(url)),),
        calendar=ALWAYS_NINE_TO_FIVE,
    )


def only_pull(config: Config) -> None:
    """The pull without the facts, which are measured on their own."""
    kept, facts.refresh = facts.refresh, lambda *_: 0  # type: ignore[assignment]
    try:
        pull.raise_for(pull.sync(config, (), WallClock()))
    finally:
        facts.refresh = kept  # type: ignore[assignment]


def row(name: str, seconds: float, detail: str = "") -> None:
    click.echo(f"  {name:<58}{seconds:>9.3f} s  {detail}")


def bench_pull(folder: Path, count: int) -> None:
    total = sum(map(rows_of, conversations(count)))
    click.echo(f"\nPull: {total:,} rows in {count:,} conversations, over HTTP from another process")
    arrived: list[int] = []
    with serving(count) as url:
        limit_bodies = bodies(url)
        ours = best(folder, "ours", lambda here: only_pull(config_for(here, url)))
        limit = best(folder, "raw", lambda here: raw(limit_bodies, here / "raw.db"))
        peer = best(folder, "dlt", lambda here: arrived.append(dlt_pull(url, here)))
    row("ours: fetched, validated, stored", ours, f"{total / ours:,.0f} rows/s")
    row("raw: json.loads + executemany, same bytes, no HTTP", limit, f"{total / limit:,.0f} rows/s")
    row(f"dlt REST source into SQLite ({arrived[0]:,} rows)", peer, f"{total / peer:,.0f} rows/s")
    verdict("ours ÷ raw limit", limit / ours, 0.25)
    verdict("ours ÷ dlt", peer / ours, 5)


def bench_again(folder: Path, count: int) -> None:
    click.echo("\nThe same pages again, nothing changed")
    with serving(count) as url, closing(connect(folder / "ours0/deskpulse.db")) as conn:
        with transaction(conn):
            conn.execute("DELETE FROM cursors")
        row("re-read, nothing written", timed(lambda: only_pull(config_for(folder / "ours0", url))))


def bench_facts(folder: Path, count: int) -> None:
    click.echo(f"\nFacts and metrics of {count:,} conversations")
    with serving(count) as url:
        config = config_for(folder, url)
        only_pull(config)
    with closing(connect(config.database)) as conn:
        whole = timed(lambda: facts.refresh(conn, config))
        row("facts from scratch", whole, f"{whole / count * 1e6:,.0f} µs a conversation")
        for which, sql in CHANGED.items():
            changed(conn, sql, count)
            part = timed(lambda: facts.refresh(conn, config))
            row(f"facts after 500 of them changed, {which}", part)
            verdict(f"from scratch ÷ after 500 changed, {which}", whole / part, 50)
        period = span(conn)
        keys = list(registry.metrics())
        figures: list[Any] = []
        row(f"all {len(keys)} metrics, all time", timed(lambda: figures.extend(measure(conn, config, keys, period))))
        month = period._replace(start=period.end - 30 * 86_400_000)
        five = ("channel", "team", "inbox", "day", "hour_of_week")
        first = ["first_response_time"]
        seconds = timed(lambda: [measure(conn, config, first, month, (by,)) for by in five])
        row("first response time, 30 days, by five dimensions", seconds)


def measure(conn: Any, config: Config, keys: list[str], period: Period, by: tuple[str, ...] = ()) -> list[Any]:
    return metric.compute(conn, config, keys, period, by=by, now=period.end)


CHANGED = {"the newest": "id > :count - 500", "one of each hundred": "id % (:count / 500) = 1"}
"""What a sync brings; and the worst case, each on pages of its own."""


def changed(conn: Any, which: str, count: int) -> None:
    """500 conversations get one message more."""
    with transaction(conn):
        new = conn.execute("SELECT max(id) FROM messages").fetchone()[0]
        conn.execute(
            "INSERT INTO messages (source_id, vendor_id, conversation_id, at, author, public, kind, length, seen_at) "
            "SELECT source_id, vendor_id || '+' || :new, id, created_at + 90000, 'human', 1, 'message', 9, seen_at "
            f"FROM conversations WHERE {which}",
            {"count": count, "new": new},
        )
        conn.execute(
            "INSERT INTO dirty SELECT conversation_id FROM messages WHERE id > ? ON CONFLICT DO NOTHING", (new,)
        )


def span(conn: Any) -> Period:
    first, last = conn.execute("SELECT min(created_at), max(created_at) FROM conversations").fetchone()
    return Period(first, last + 86_400_000, "all")


def bench_memory(small: int, large: int) -> None:
    click.echo("\nMemory: the highest of pull and facts, in processes of their own")
    peaks = [peak_of(count) for count in (small, large)]
    for count, peak in zip((small, large), peaks, strict=True):
        click.echo(f"  {count:>7,} conversations{'':<39}{peak / 1024:>9.0f} MB")
    verdict(f"{small:,} ÷ {large:,}", peaks[0] / peaks[1], 0.8)


def peak_of(count: int) -> int:
    """Peak resident KiB of pulling and refreshing so many."""
    done = subprocess.run([sys.executable, __file__, "peak", str(count)], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def print_peak(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder, serving(count) as url:
        pull.raise_for(pull.sync(config_for(Path(folder), url), (), WallClock()))
    # Not getrusage: its maximum is inherited from the process that started this one.
    click.echo(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text("utf-8"))[1])  # type: ignore[index]


def bench_shell(folder: Path) -> None:
    click.echo("\nFrom the shell, median of seven")
    (folder / "deskpulse.toml").write_text('database = "deskpulse.db"\nzone = "Europe/Paris"\n', "utf-8")
    deskpulse = Path(sys.executable).with_name("deskpulse")
    start = ["--config", str(folder / "deskpulse.toml")]
    bare = shell([sys.executable, "-c", "pass"])
    row("python -c pass", bare)
    for arguments in (["--help"], [*start, "kpi", "--period", "2026-10"]):
        seconds = shell([str(deskpulse), *arguments])
        row(
            f"deskpulse {arguments[-3] if len(arguments) > 1 else arguments[0]}",
            seconds,
            f"{seconds / bare:.1f} × bare Python",
        )
        if arguments == ["--help"]:
            verdict("0.3 s ÷ --help", 0.3 / seconds, 1)


def shell(command: list[str]) -> float:
    run = lambda: subprocess.run(command, check=True, capture_output=True)  # noqa: E731 - named for reading below
    return statistics.median(timed(run) for _ in range(7))


def verdict(what: str, ratio: float, aim: float) -> None:
    click.echo(f"  → {what:<56}{ratio:>9.2f} ×  (aim {aim:g}: {'met' if ratio >= aim else 'NOT MET'})")


def main() -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        bench_pull(Path(one), 12_000)
        bench_again(Path(one), 12_000)
        bench_facts(Path(two), 50_000)
        bench_shell(Path(two))
    bench_memory(15_000, 60_000)


if __name__ == "__main__":
    print_peak(int(sys.argv[2])) if sys.argv[1:2] == ["peak"] else main()
