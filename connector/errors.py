"""Errors, named by their remedy: what a person or the program does next decides the class."""

from __future__ import annotations


class ConnectorError(Exception):
    """Something of ours or of a service went wrong; the message is one sentence with the remedy."""


class ConfigError(ConnectorError):
    """A setting is missing or wrong: stop at start-up, exit 2. ``setting`` is its dotted name in the config."""

    def __init__(self, message: str, *, setting: str = "") -> None:
        super().__init__(message)
        self.setting = setting


class UsageError(ConnectorError):
    """The command was called in a way that cannot work: exit 2, nothing was done."""


class ServiceError(ConnectorError):
    """A service did not do what was asked. ``service`` is the config's name of it, once known; ``status`` the HTTP
    status, 0 without one."""

    service: str = ""
    status: int = 0


class Transient(ServiceError):
    """Try again later. ``retry_after`` is in seconds where the service named a time."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotDone(Transient):
    """Try again later, and even a write may be tried at once: it never arrived, or was refused as one too many."""


class AuthFailed(ServiceError):
    """Pause this service until its secret changes; tell a person once."""


class Rejected(ServiceError):
    """This one item will never work: record it and go on."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class BadPayload(ServiceError):
    """The service broke its own contract: stop before the cursor moves."""
