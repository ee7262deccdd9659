"""The one HTTP client: credentials, pacing, the one retry policy, status → error, and nothing secret ever shown.

Nothing of a request but the service's name, the method and the path (without its query) reaches an error, and nothing
at all reaches a log: what httpx raises is replaced where it is caught, what httpx and httpcore log is dropped.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from typing import Any, Literal

import httpx
from pydantic_core import from_json
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential, wait_random

from connector import __version__
from connector.clock import Clock
from connector.contract import Login, Params, Service
from connector.errors import AuthFailed, BadPayload, ConfigError, NotDone, Rejected, ServiceError, Transient
from connector.models import Instant

SANDBOX_HEADER = "X-Deskpulse-Sandbox"
"""The demo inbox sends it with every answer, so that demo data and real data never meet."""

ATTEMPTS = 5
LONGEST_WAIT_S = 300.0
"""In all, for one request; a service that asks for more is left alone until the next run."""
TIMEOUT = httpx.Timeout(30.0, connect=10.0, pool=120.0)
MOST_HOPS = 4
WAIT_HEADERS = ("retry-after", "x-ratelimit-retry-after")
RESET_HEADERS = ("x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset")

# They log addresses at INFO and headers at DEBUG; disabled, whatever level or handler somebody sets.
for _logger in ("httpx", *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks"))):
    logging.getLogger(_logger).disabled = True


class HttpAnswer:
    """A successful answer. ``json`` raises BadPayload when the body is not JSON."""

    def __init__(self, response: httpx.Response, name: str, what: str) -> None:
        self._response, self._name, self._what = response, name, what

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def text(self) -> str:
        return self._response.text

    def json(self) -> Any:
        try:
            return from_json(self._response.content, allow_inf_nan=False, cache_strings="keys")
        except ValueError:
            page = self._response.content.lstrip()[:1] == b"<"
        what = "with a web page instead of JSON" if page else "with something that is not whole JSON"
        remedy = f"check services.{self._name}.url" if page else "nothing of it was kept, run it again"
        raise _of(self._name, BadPayload(f"{self._name} answered {self._what} {what}: {remedy}"))


class HttpClient:
    """``contract.Http`` for one service; safe to use from several threads.

    ``requests`` counts attempts, ``waited_s`` the seconds spent on pacing and back-off. ``on_wait`` is told the seconds
    of each back-off before it begins.
    Raises ConfigError when the address cannot be one, or when demo and real data would meet.
    """

    def __init__(
        self,
        service: Service,
        clock: Clock,
        *,
        name: str,
        demo: bool,
        on_wait: Callable[[float], None] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.requests, self.waited_s, self.per_second = 0, 0.0, service.per_second
        self._served_at = self._token = ""
        self._service, self._clock, self._name, self._demo = service, clock, name, demo
        self._on_wait = on_wait or (lambda _: None)
        self._lock, self._at_the_door = threading.Lock(), threading.Lock()
        self._pacer = _Pacer(service.per_second, clock)
        self._own = [(pattern, _Pacer(per_second, clock)) for pattern, per_second in service.budgets.items()]
        self._origin = _origin(service.base_url, name) if service.base_url else None
        self._check_address()
        self._client = _client(service, name, transport)
        self._reads, self._writes = self._retrying(Transient), self._retrying(NotDone)

    def get(self, path: str, params: Params | None = None) -> HttpAnswer:
        return self._reads(self._once, "GET", path, params)

    def find(self, path: str, params: Params | None = None, absent: Collection[int] = (404,)) -> HttpAnswer | None:
        try:
            return self.get(path, params)
        except ServiceError as error:
            if error.status not in absent:
                raise
            return None

    def search(self, path: str, body: Any) -> HttpAnswer:
        return self._reads(self._once, "POST", path, None, body)

    def status(self, path: str, told: Collection[int]) -> int:
        try:
            return self.get(path).status
        except ServiceError as error:
            if error.status not in told:
                raise
            return error.status

    def each(self, paths: Iterable[str], absent: Collection[int] = (404,)) -> Iterator[HttpAnswer | None]:
        """``find`` for every path, ``at_once`` of them in flight and as many again ahead; the first error ends it."""
        width = max(1, self._service.at_once)
        ahead: deque[Future[HttpAnswer | None]] = deque()
        with ThreadPoolExecutor(width) as pool:
            try:
                for path in paths:
                    ahead.append(pool.submit(self.find, path, None, absent))
                    if len(ahead) == 2 * width:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def send(self, method: Literal["POST", "PUT", "PATCH", "DELETE"], path: str, body: Any = None) -> HttpAnswer:
        return self._writes(self._once, method, path, None, body)

    @property
    def in_clear(self) -> bool:
        """Does the credential travel unencrypted over a network?"""
        return self._origin is not None and self._origin[0] == "http" and not _is_loopback(self._origin[1])

    def ahead_s(self) -> float | None:
        """Right after an answer: seconds that our clock is ahead of the service's; None where it does not say."""
        served_at = _http_date(self._served_at)
        return None if served_at is None else self._clock.now() / 1000 - served_at

    def close(self) -> None:
        self._client.close()

    def _once(self, method: str, path: str, params: Params | None = None, body: Any = None) -> HttpAnswer:
        """One attempt; a read follows redirects within its own origin."""
        for _ in range(MOST_HOPS):
            response = self._admitted(method, path, params, body)
            if method != "GET" or response.next_request is None:
                return self._judged(response, self._what(method, path))
            path, params = self._onward(response.status_code, response.next_request.url), None
        raise self._of(BadPayload(f"{self._name} redirects in circles: check services.{self._name}.url"))

    def _onward(self, status: int, url: httpx.URL) -> str:
        """Where a redirect leads. To another origin: BadPayload with the redirect's status, so that ``find`` may take
        it for an absence (what was merged elsewhere)."""
        if _origin_of(url) == self._origin:
            return str(url)
        error = self._elsewhere()
        error.status = status
        raise error

    def _admitted(self, method: str, path: str, params: Params | None, body: Any) -> httpx.Response:
        """With a token where the service wants one: a refused one is replaced once, since it may just have expired."""
        token = self._logged_in(instead_of="") if self._service.login else ""
        response = self._exchange(method, path, params, body, token)
        if response.status_code == 401 and token:
            response = self._exchange(method, path, params, body, self._logged_in(instead_of=token))
        return response

    def _logged_in(self, instead_of: str) -> str:
        """The token; a new one in place of the one that was refused, asked for once however many threads need it."""
        with self._at_the_door:
            if self._token == instead_of:
                self._token = self._new_token()
            return self._token

    def _new_token(self) -> str:
        """Raises NotDone where it may be had later: what it was wanted for was not sent, so even a write may be."""
        login = self._service.login or Login("", {})
        what = self._what("POST", login.path)
        try:
            told = self._judged(self._exchange("POST", login.path, None, login.body), what).json()
        except Transient as error:
            failure: ServiceError = NotDone(str(error), retry_after=error.retry_after)
        except Rejected as error:
            failure = AuthFailed(f"{self._name} answered {error.status} to {what}: check services.{self._name}")
        else:
            if isinstance(told, dict) and isinstance(token := told.get("access_token"), str) and token:
                return token
            failure = BadPayload(f"{self._name} answered {what} without a token: check services.{self._name}.url")
        raise self._of(failure)

    def _exchange(self, method: str, path: str, params: Params | None, body: Any, token: str = "") -> httpx.Response:
        cost = 1 if method == "GET" else self._service.write_cost
        if delay := max(pacer.reserve(cost) for pacer in self._pacers(method, path)):
            self._wait(delay)
        with self._lock:
            self.requests += 1
        try:
            bearer = {"Authorization": f"Bearer {token}"} if token else None
            return self._client.request(method, self._address(path, params), json=body, headers=bearer)
        except httpx.HTTPError as error:
            failure = self._failure(error, self._what(method, path))
        raise failure  # outside the handler: its context would hold the request with its headers

    def _pacers(self, method: str, path: str) -> list[_Pacer]:
        """The whole service's, and that of an endpoint with a budget of its own."""
        what = self._what(method, path)
        return [self._pacer, *(pacer for pattern, pacer in self._own if fnmatchcase(what, pattern))][:2]

    def _judged(self, response: httpx.Response, what: str) -> HttpAnswer:
        self._check_sandbox(response)
        self._served_at = response.headers.get("date", "")
        error = error_for(response.status_code, response.headers, name=self._name, what=what, now=self._clock.now())
        if error:
            raise error
        return HttpAnswer(response, self._name, what)

    def _address(self, path: str, params: Params | None) -> httpx.URL:
        """The full address. Only ever one of the service's own origin, since the credential goes with it."""
        if self._origin is None:
            raise RuntimeError(f"{self._name} has no address: its adapter must make no requests")
        absolute = path.startswith(("http://", "https://"))
        try:
            url = httpx.URL(path if absolute else self._service.base_url.rstrip("/") + _rooted(path))
        except httpx.InvalidURL:
            url = httpx.URL()
        if _origin_of(url) != self._origin:
            raise self._elsewhere()
        return url.copy_merge_params(dict(params)) if params else url

    def _elsewhere(self) -> ServiceError:
        pointed = f"{self._name} pointed to an address that is not its own, where its credential is never sent"
        return self._of(BadPayload(f"{pointed}: check services.{self._name}.url"))

    def _what(self, method: str, path: str) -> str:
        if self._service.secret_url:
            return method
        return f"{method} {path.partition('?')[0].removeprefix(self._service.base_url)}"

    def _failure(self, error: httpx.HTTPError, what: str) -> ServiceError:
        """What httpx raised, by remedy, without its text: that may hold the address or a header."""
        if isinstance(error, httpx.DecodingError):
            return self._of(BadPayload(f"{self._name} answered {what} with a garbled body: run it again"))
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
            why = "its certificate is not trusted" if untrusted else "is it up, and is the address right"
            return self._of(NotDone(f"{self._name} cannot be reached ({why}?): check services.{self._name}.url"))
        slow = isinstance(error, httpx.TimeoutException)
        why = "did not answer in time" if slow else "broke off before the end of its answer"
        return self._of(Transient(f"{self._name} {why} ({what}): run it again later"))

    def _check_address(self) -> None:
        if self._demo and self._origin and not _is_loopback(self._origin[1]):
            raise ConfigError(
                f"this is a demo's config, and services.{self._name} is not on this machine: "
                "a demo must not touch a real service; use another config for it",
                setting=f"services.{self._name}.url",
            )

    def _check_sandbox(self, response: httpx.Response) -> None:
        if self._demo == (SANDBOX_HEADER in response.headers):
            return
        wrong = (
            "is not the demo sandbox, and this is a demo's config: a demo must not touch a real service; "
            "use another config for it"
            if self._demo
            else "is the demo sandbox: a store of real data must not hold demo data; "
            "give the real address, or use the demo's own config"
        )
        setting = f"services.{self._name}.url"
        raise ConfigError(f"the service at {setting} {wrong}", setting=setting)

    def _of(self, error: ServiceError) -> ServiceError:
        return _of(self._name, error)

    def _retrying(self, kind: type[Transient]) -> Retrying:
        """The one retry policy, for errors of ``kind``."""
        return Retrying(
            retry=retry_if_exception_type(kind),
            wait=_delay,
            stop=_enough,
            sleep=self._wait,
            before_sleep=self._back_off,
            reraise=True,
        )

    def _back_off(self, state: RetryCallState) -> None:
        """Where the service named a time, all requests on the same budget heed it, not only the one that was told."""
        if _retry_after_of(state):
            self._pacers(state.args[0], state.args[1])[-1].hold(state.upcoming_sleep)
        self._on_wait(state.upcoming_sleep)

    def _wait(self, seconds: float) -> None:
        with self._lock:
            self.waited_s += seconds
        self._clock.sleep(seconds)


class _Pacer:
    """Hands out starting times, ``1 / per_second`` apart."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._gap, self._clock = 1 / per_second, clock
        self._next = clock.monotonic()
        self._lock = threading.Lock()

    def reserve(self, cost: int = 1) -> float:
        """Seconds to wait before the request that asks may start; it takes the room of ``cost`` of them."""
        with self._lock:
            now = self._clock.monotonic()
            start = max(now, self._next)
            self._next = start + self._gap * cost
            return start - now

    def hold(self, seconds: float) -> None:
        with self._lock:
            self._next = max(self._next, self._clock.monotonic() + seconds)


def error_for(status: int, headers: Mapping[str, str], *, name: str, what: str, now: Instant) -> ServiceError | None:
    """The one place where a status becomes an error; None for a success."""
    answered = f"{name} answered {status} to {what}"
    remedy = f"check services.{name}, then run `deskpulse doctor {name}`"
    error: ServiceError
    if 200 <= status < 300:
        return None
    if status in (401, 403):
        error = AuthFailed(f"{answered}, it refuses the credential: {remedy}")
    elif status == 429:
        error = NotDone(f"{answered}, too many requests: run it again later", retry_after=retry_after(headers, now))
    elif status in (408, 409, 425) or status >= 500:
        error = Transient(f"{answered}: run it again later", retry_after=_named_delay(headers, now))
    elif status >= 400:
        error = Rejected(f"{answered}, it will not take this request: {remedy}", status=status)
    else:
        error = BadPayload(f"{answered}, a redirect that is not followed: check services.{name}.url")
    error.status = status
    return _of(name, error)


def retry_after(headers: Mapping[str, str], now: Instant) -> float | None:
    """Seconds until the service wants to be asked again: Retry-After, else a rate limit's reset; None when unsaid."""
    return _named_delay(headers, now) or _reset(headers, now)


def _named_delay(headers: Mapping[str, str], now: Instant) -> float | None:
    """Retry-After, in seconds or as an HTTP date; a date is measured on the service's own clock where it says it."""
    text = next((headers[name].strip() for name in WAIT_HEADERS if name in headers), "")
    if (seconds := _number(text)) is not None:
        return seconds or None
    then, base = _http_date(text), _http_date(headers.get("date", "")) or now / 1000
    return then - base if then and then > base else None


def _reset(headers: Mapping[str, str], now: Instant) -> float | None:
    """A reset header: seconds from now, or a Unix time in seconds or milliseconds, told apart by their size."""
    seconds = _number(next((headers[name].strip() for name in RESET_HEADERS if name in headers), "")) or 0.0
    if seconds > 1e11:
        seconds /= 1000
    if seconds > 1e8:
        seconds -= now / 1000
    return seconds if seconds > 0 else None


def _number(text: str) -> float | None:
    return float(text) if text.replace(".", "", 1).isdecimal() else None


def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_exponential = wait_exponential(multiplier=0.5, max=30) + wait_random(0, 0.5)


def _delay(state: RetryCallState) -> float:
    return _retry_after_of(state) or _exponential(state)


def _retry_after_of(state: RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after if isinstance(error, Transient) else None


def _enough(state: RetryCallState) -> bool:
    return state.attempt_number >= ATTEMPTS or state.idle_for + state.upcoming_sleep > LONGEST_WAIT_S


def _of(name: str, error: ServiceError) -> ServiceError:
    error.service = name
    return error


def _client(service: Service, name: str, transport: httpx.BaseTransport | None) -> httpx.Client:
    headers = {"User-Agent": f"deskpulse/{__version__}", "Accept": "application/json"} | dict(service.headers)
    for value in headers.values():
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            raise ConfigError(
                f"a secret of services.{name} holds a line break, an accent or a blank at its end: copy it again",
                setting=f"services.{name}",
            )
    return httpx.Client(
        headers=headers,
        auth=service.auth,
        timeout=TIMEOUT,
        limits=httpx.Limits(max_connections=max(1, service.at_once) + 1),
        transport=transport,
        # A proxy set for the company's network must not be asked for this machine's own sandbox.
        trust_env=not (service.base_url and _is_loopback(httpx.URL(service.base_url).host)),
    )


Origin = tuple[str, str, int | None]


def _origin(base_url: str, name: str) -> Origin:
    try:
        origin = _origin_of(httpx.URL(base_url))
    except httpx.InvalidURL:
        origin = ("", "", None)
    if origin[0] not in ("http", "https") or not origin[1]:
        raise ConfigError(
            f"services.{name} has no usable address: write it like https://support.example.com",
            setting=f"services.{name}.url",
        )
    return origin


def _origin_of(url: httpx.URL) -> Origin:
    return url.scheme, url.host, url.port


def _rooted(path: str) -> str:
    """With its slash, so that no path can run on into the host's name."""
    return path if path == "" or path[0] in "/?" else f"/{path}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
