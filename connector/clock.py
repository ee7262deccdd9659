"""The wall clock and sleeping, in one place so that tests bring their own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from connector.models import Instant

if TYPE_CHECKING:
    from connector.config import Config


class Clock(Protocol):
    def now(self) -> Instant: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


class WallClock:
    """The machine's clock."""

    def now(self) -> Instant:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass
class FixedClock:
    """A demo's clock: "now" stands still at a given instant, waiting is real."""

    instant: Instant

    def now(self) -> Instant:
        return self.instant

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def clock_of(config: Config) -> Clock:
    """The demo's standing clock, else the machine's."""
    return WallClock() if config.now is None else FixedClock(config.now)
