"""The one HTTP client: what is retried and what is not, what reaches an error, and where a credential may go."""

from __future__ import annotations

import gzip
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import respx

from connector import __version__
from connector.contract import Login, Service
from connector.errors import AuthFailed, BadPayload, ConfigError, ConnectorError, Rejected, ServiceError, Transient
from connector.http import ATTEMPTS, LONGEST_WAIT_S, HttpClient, error_for, retry_after
from connector.models import from_iso

HOST = "https://desk.example"
CANARY = "canary-7f3a9c"
NOW = from_iso("2026-11-20T12:00:00Z")


@dataclass
class StepClock:
    """Time passes by sleeping only."""

    slept: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> int:
        return NOW + round(self.monotonic() * 1000)

    def monotonic(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.slept.append(seconds)


@contextmanager
def client(
    base_url: str = HOST,
    *,
    clock: StepClock | None = None,
    demo: bool = False,
    on_wait: Callable[[float], None] | None = None,
    **service: object,
) -> Iterator[HttpClient]:
    chosen: dict[str, object] = {"base_url": base_url, "per_second": 1e9} | service
    found = HttpClient(Service(**chosen), clock or StepClock(), name="desk", demo=demo, on_wait=on_wait)  # type: ignore[arg-type]  # mixed keywords
    try:
        yield found
    finally:
        found.close()


# --- answers ---------------------------------------------------------------------------------------------------------


@respx.mock
def test_an_answer_has_its_status_its_headers_and_its_json() -> None:
    respx.get(f"{HOST}/api/v1/me").respond(200, json={"id": 1}, headers={"X-Page": "2"})
    with client() as http:
        answer = http.get("/api/v1/me")
        assert (answer.status, answer.headers["x-page"], answer.json()) == (200, "2", {"id": 1})
        assert (http.requests, http.waited_s, http.ahead_s()) == (1, 0, None)


@respx.mock
def test_it_knows_how_far_the_two_clocks_are_apart() -> None:
    respx.get(f"{HOST}/a").respond(200, headers={"Date": "Fri, 20 Nov 2026 11:58:00 GMT"})
    with client() as http:
        http.get("/a")
        assert http.ahead_s() == 120


@respx.mock
def test_it_says_who_asks_and_sends_the_services_headers_and_login() -> None:
    route = respx.get(f"{HOST}/a").respond(200)
    with client(headers={"api_access_token": "t"}, auth=("user", "word")) as http:
        http.get("/a")
    sent = route.calls.last.request.headers
    assert (sent["user-agent"], sent["api_access_token"]) == (f"deskpulse/{__version__}", "t")
    assert sent["authorization"].startswith("Basic ")


@respx.mock
def test_parameters_are_added_to_those_of_the_path_and_lists_repeat() -> None:
    route = respx.get(url__startswith=HOST).respond(200)
    with client(f"{HOST}/base/") as http:
        http.get("/list?page=2", {"label": ["a", "b"], "n": 3})
        assert str(route.calls.last.request.url) == f"{HOST}/base/list?page=2&label=a&label=b&n=3"
        http.get("")
        assert str(route.calls.last.request.url) == f"{HOST}/base"


@respx.mock
def test_a_web_page_instead_of_json_says_which_setting_to_check() -> None:
    respx.get(f"{HOST}/a").respond(200, html="\n<!doctype html><p>Sign in</p>")
    with client() as http, pytest.raises(BadPayload) as caught:
        http.get("/a").json()
    assert str(caught.value) == ("desk answered GET /a with a web page instead of JSON: check services.desk.url")
    assert caught.value.service == "desk"
    assert caught.value.__context__ is None


@respx.mock
@pytest.mark.parametrize("body", [b'{"a": [1, 2', b"", b"\xff\xfe", b'{"a": NaN}'])
def test_half_a_json_is_a_bad_payload(body: bytes) -> None:
    respx.get(f"{HOST}/a").respond(200, content=body)
    with client() as http, pytest.raises(BadPayload, match="not whole JSON"):
        http.get("/a").json()


@respx.mock
def test_find_gives_none_for_404_and_raises_every_other_refusal() -> None:
    respx.get(f"{HOST}/gone").respond(404)
    respx.get(f"{HOST}/bad").respond(422)
    with client() as http:
        assert http.find("/gone") is None
        with pytest.raises(Rejected) as caught:
            http.find("/bad")
    assert caught.value.status == 422


# --- status → error --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, BadPayload), (304, BadPayload), (400, Rejected), (401, AuthFailed), (403, AuthFailed), (404, Rejected),
        (408, Transient), (409, Transient), (410, Rejected), (422, Rejected), (425, Transient), (429, Transient),
        (500, Transient), (502, Transient), (503, Transient), (599, Transient),
    ],
)  # fmt: skip
def test_every_status_has_its_remedy(status: int, kind: type[ServiceError]) -> None:
    error = error_for(status, {}, name="desk", what="GET /a", now=NOW)
    assert isinstance(error, kind)
    assert (error.service, str(status) in str(error), "desk" in str(error)) == ("desk", True, True)


def test_a_success_is_no_error() -> None:
    assert [error_for(status, {}, name="desk", what="", now=NOW) for status in (200, 201, 204)] == [None] * 3


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 -0000"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, None),
        # The service's clock is an hour ahead of ours: its date is measured on its own clock.
        ({"retry-after": "Fri, 20 Nov 2026 13:00:30 GMT", "date": "Fri, 20 Nov 2026 13:00:00 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 99999999999999999999 12:00:30 GMT"}, None),
        ({"x-ratelimit-reset": "12"}, 12.0),
        ({"x-ratelimit-reset": str(NOW // 1000 + 20)}, 20.0),
        ({"ratelimit-reset": str(NOW + 20_000)}, 20.0),
        ({"x-ratelimit-reset": str(NOW // 1000 - 20)}, None),
        ({"x-ratelimit-reset": "60", "retry-after": "7"}, 7.0),
        ({"x-ratelimit-retry-after": "9"}, 9.0),
        ({"x-ratelimit-retry-after": "9", "retry-after": "7"}, 7.0),
        ({}, None),
    ],
)
def test_the_time_a_service_asks_for_is_understood_in_every_form(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers, NOW) == seconds


def test_a_rate_limits_reset_counts_only_where_the_limit_was_the_reason() -> None:
    headers = {"x-ratelimit-reset": "60"}
    delays = [error_for(s, headers, name="desk", what="", now=NOW).retry_after for s in (429, 500)]  # type: ignore[union-attr]  # both Transient
    assert delays == [60.0, None]


# --- the one retry policy --------------------------------------------------------------------------------------------


@respx.mock
def test_a_read_waits_as_long_as_it_was_told_and_goes_on() -> None:
    respx.get(f"{HOST}/a").mock(
        side_effect=[httpx.Response(429, headers={"Retry-After": "7"}), httpx.Response(200, json=[])]
    )
    clock, told = StepClock(), []
    with client(clock=clock, on_wait=told.append) as http:
        assert http.get("/a").json() == []
        assert (clock.slept, told, http.requests, http.waited_s) == ([7], [7], 2, 7)


@respx.mock
@pytest.mark.parametrize(
    "fault", [httpx.Response(500), httpx.ReadTimeout("x"), httpx.ConnectError("x"), httpx.RemoteProtocolError("x")]
)
def test_a_read_backs_off_longer_each_time_and_then_gives_up(fault: object) -> None:
    respx.get(f"{HOST}/a").mock(side_effect=[fault] * 9)
    clock = StepClock()
    with client(clock=clock) as http, pytest.raises(Transient):
        http.get("/a")
    assert http.requests == ATTEMPTS
    assert len(clock.slept) == ATTEMPTS - 1
    assert all(low <= s <= low + 0.5 for s, low in zip(clock.slept, (0.5, 1, 2, 4), strict=True))


@respx.mock
def test_a_service_that_asks_for_more_than_the_longest_wait_is_left_alone() -> None:
    respx.get(f"{HOST}/a").respond(429, headers={"Retry-After": str(LONGEST_WAIT_S + 1)})
    clock = StepClock()
    with client(clock=clock) as http, pytest.raises(Transient) as caught:
        http.get("/a")
    assert (clock.slept, http.requests, caught.value.retry_after) == ([], 1, LONGEST_WAIT_S + 1)


@respx.mock
def test_all_waits_of_one_request_together_are_bounded() -> None:
    respx.get(f"{HOST}/a").respond(503, headers={"Retry-After": "120"})
    clock = StepClock()
    with client(clock=clock) as http, pytest.raises(Transient):
        http.get("/a")
    assert clock.slept == [120, 120]


@respx.mock
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_what_will_never_work_is_asked_once(status: int) -> None:
    respx.get(f"{HOST}/a").respond(status)
    with client() as http, pytest.raises(ServiceError):
        http.get("/a")
    assert http.requests == 1


@respx.mock
@pytest.mark.parametrize(
    "fault", [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.PoolTimeout("x"), httpx.Response(429)]
)
def test_a_write_that_certainly_was_not_done_is_tried_again(fault: object) -> None:
    respx.post(f"{HOST}/a").mock(side_effect=[fault, httpx.Response(201, json={"id": 1})])
    with client() as http:
        assert http.send("POST", "/a", {"x": 1}).json() == {"id": 1}
        assert http.requests == 2


@respx.mock
@pytest.mark.parametrize(
    "fault",
    [
        httpx.ReadTimeout("x"),
        httpx.WriteError("x"),
        httpx.RemoteProtocolError("x"),
        httpx.Response(500),
        httpx.Response(503),
    ],
)
def test_a_write_that_may_have_been_done_is_never_repeated(fault: object) -> None:
    respx.post(f"{HOST}/a").mock(side_effect=[fault, httpx.Response(201)])
    with client() as http, pytest.raises(Transient):
        http.send("POST", "/a", {"x": 1})
    assert http.requests == 1


@respx.mock
def test_a_question_asked_by_post_is_retried_like_a_read() -> None:
    told = {"conversations": []}
    route = respx.post(f"{HOST}/search").mock(
        side_effect=[httpx.Response(503), httpx.ReadTimeout("slow"), httpx.Response(200, json=told)]
    )
    with client() as http:
        assert http.search("/search", {"query": 1}).json() == told
    assert [call.request.content for call in route.calls] == [b'{"query":1}'] * 3


# --- a token bought with a credential -------------------------------------------------------------------------------

LOGIN = Login("/oauth/token", {"client_id": "app", "client_secret": CANARY})


class _Gate:
    """A service that hands out numbered tokens and takes the newest only."""

    def __init__(self) -> None:
        self.sold, self.lock = 0, threading.Lock()
        self.served: list[str] = []
        respx.post(f"{HOST}/oauth/token", json=dict(LOGIN.body)).mock(side_effect=self.sell)
        respx.route(host="desk.example").mock(side_effect=self.serve)

    def sell(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            self.sold += 1
            return httpx.Response(200, json={"access_token": f"token-{self.sold}", "expires_in": 172800})

    def serve(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            if request.headers.get("authorization") != f"Bearer token-{self.sold}":
                return httpx.Response(401)
            self.served.append(f"{request.method} {request.url.path}")
            return httpx.Response(200, json=[])


@respx.mock
def test_a_credential_buys_one_token_for_all_that_follows() -> None:
    gate = _Gate()
    with client(login=LOGIN) as http:
        assert gate.sold == 0
        http.get("/a")
        assert [answer is not None for answer in http.each(f"/{n}" for n in range(9))] == [True] * 9
        assert (gate.sold, len(gate.served)) == (1, 10)


@respx.mock
def test_a_token_that_expired_is_replaced_once_and_the_request_repeated_even_a_write() -> None:
    gate = _Gate()
    with client(login=LOGIN) as http:
        http.get("/a")
        gate.sold += 1  # nobody told us
        assert len([*http.each(f"/{n}" for n in range(8))]) == 8
        assert gate.sold == 3
        gate.sold += 1
        http.send("POST", "/note", {})
        assert (gate.sold, gate.served.count("POST /note")) == (5, 1)


@respx.mock
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_credential_that_buys_nothing_is_a_matter_for_a_person(status: int) -> None:
    respx.post(f"{HOST}/oauth/token").respond(status, json={"error": "invalid_client"})
    with client(login=LOGIN) as http, pytest.raises(AuthFailed, match=r"POST /oauth/token.*services\.desk") as caught:
        http.get("/a")
    assert (http.requests, CANARY in str(caught.value)) == (1, False)


@respx.mock
def test_a_token_that_is_refused_though_new_ends_it() -> None:
    respx.post(f"{HOST}/oauth/token").respond(200, json={"access_token": CANARY})
    respx.get(f"{HOST}/a").respond(401)
    with client(login=LOGIN) as http, pytest.raises(AuthFailed) as caught:
        http.get("/a")
    assert (http.requests, CANARY in repr(caught.value)) == (4, False)


@respx.mock
@pytest.mark.parametrize("told", [{}, [], {"access_token": None}, {"access_token": ""}])
def test_a_sale_without_a_token_is_a_bad_payload(told: object) -> None:
    respx.post(f"{HOST}/oauth/token").respond(200, json=told)
    with client(login=LOGIN) as http, pytest.raises(BadPayload, match="without a token"):
        http.get("/a")


@respx.mock
def test_a_write_whose_token_could_not_be_had_at_once_is_still_written_once() -> None:
    respx.post(f"{HOST}/oauth/token").mock(
        side_effect=[httpx.Response(503), httpx.ReadTimeout("x"), httpx.Response(200, json={"access_token": "t"})]
    )
    written = respx.post(f"{HOST}/note").respond(201)
    with client(login=LOGIN) as http:
        http.send("POST", "/note", {})
    assert written.call_count == 1


def test_a_login_does_not_show_what_it_sends() -> None:
    assert CANARY not in repr(Service(HOST, login=LOGIN))


@respx.mock
def test_a_write_takes_the_room_that_the_service_counts_for_it() -> None:
    respx.route(host="desk.example").respond(200)
    clock = StepClock()
    with client(clock=clock, per_second=2, write_cost=2) as http:
        http.send("POST", "/a")
        http.get("/a")
        http.get("/a")
    assert clock.slept == [1.0, 0.5]


# --- pacing and side by side -----------------------------------------------------------------------------------------


@respx.mock
def test_requests_are_spaced_by_the_services_budget() -> None:
    respx.get(f"{HOST}/a").respond(200)
    clock = StepClock()
    with client(clock=clock, per_second=4) as http:
        for _ in range(5):
            http.get("/a")
    assert clock.slept == [0.25] * 4
    assert http.waited_s == 1.0


@respx.mock
def test_an_endpoint_with_a_budget_of_its_own_is_spaced_by_it_within_the_whole() -> None:
    respx.get(url__startswith=f"{HOST}/").respond(200)
    clock = StepClock()
    with client(clock=clock, per_second=4, budgets={"GET /export/*": 0.1, "GET /*/log": 1}) as http:
        for path in ("/export/tickets?start=1", "/a", "/a", f"{HOST}/export/users", "/1/log", "/2/log", "/a"):
            http.get(path)
    assert clock.slept == [0.25, 0.25, 9.5, 1], "the second export ten seconds after the first, the logs a second apart"
    assert http.requests == 7


@respx.mock
def test_a_wait_named_by_an_endpoint_with_its_own_budget_holds_only_that_one_back() -> None:
    full = httpx.Response(429, headers={"Retry-After": "9"})
    respx.get(f"{HOST}/export/a").mock(side_effect=[full, httpx.Response(200)])
    respx.get(f"{HOST}/b").respond(200)
    clock = StepClock()
    with client(clock=clock, budgets={"GET /export/*": 1e9}, on_wait=lambda _: http.get("/b") and None) as http:
        http.get("/export/a")
    assert [round(seconds) for seconds in clock.slept if seconds > 0.001] == [9], "the other request did not wait"


@respx.mock
def test_what_counts_as_absent_is_the_callers_to_say() -> None:
    for status in (403, 404, 410):
        respx.get(f"{HOST}/{status}").respond(status)
    with client() as http:
        assert [http.find(f"/{status}", absent=(403, 410)) for status in (403, 410)] == [None, None]
        with pytest.raises(Rejected):
            http.find("/404", absent=(403, 410))
        with pytest.raises(AuthFailed):
            http.find("/403")
        assert [*http.each(["/403", "/404"], (403, 404))] == [None, None]
        with pytest.raises(AuthFailed):
            list(http.each(["/403", "/404"]))


@respx.mock
def test_what_is_gone_can_be_told_from_what_is_only_out_of_sight() -> None:
    for status in (200, 403, 404):
        respx.get(f"{HOST}/{status}").respond(status)
    with client() as http:
        assert [http.status(f"/{status}", (403, 404)) for status in (200, 403, 404)] == [200, 403, 404]
        with pytest.raises(AuthFailed):
            http.status("/403", (404,))


@respx.mock
def test_a_named_wait_holds_the_other_requests_back_too() -> None:
    respx.get(f"{HOST}/a").mock(side_effect=[httpx.Response(429, headers={"Retry-After": "9"}), httpx.Response(200)])
    respx.get(f"{HOST}/b").respond(200)
    clock = StepClock()

    def meanwhile(_: float) -> None:
        assert http.get("/b").status == 200

    with client(clock=clock, on_wait=meanwhile) as http:
        http.get("/a")
    assert clock.slept == [9, 9], "first the other request's wait, then its own"


@respx.mock
def test_a_shorter_wait_does_not_end_a_longer_one() -> None:
    respx.get(f"{HOST}/b").mock(side_effect=[httpx.Response(429, headers={"Retry-After": "1"}), httpx.Response(200)])
    clock = StepClock()
    with client(clock=clock, per_second=0.2) as http:  # five seconds apart
        http.get("/b")
    assert clock.slept == [1, 4], "its own wait, then what was left of the spacing"


@respx.mock
def test_answers_come_in_the_order_asked_with_none_for_what_is_gone() -> None:
    respx.get(url__regex=rf"{HOST}/c/\d+").mock(side_effect=_echo)
    with client(at_once=3) as http:
        found = list(http.each(f"/c/{n}" for n in range(20)))
    assert [a and a.json() for a in found] == [None if n % 5 == 4 else n for n in range(20)]


def _echo(request: httpx.Request) -> httpx.Response:
    number = int(request.url.path.rsplit("/", 1)[1])
    return httpx.Response(404) if number % 5 == 4 else httpx.Response(200, json=number)


@respx.mock
def test_no_more_is_asked_ahead_than_a_bounded_number() -> None:
    respx.get(url__regex=rf"{HOST}/c/\d+").mock(side_effect=_echo)
    asked: list[int] = []

    def paths() -> Iterator[str]:
        for n in range(1000):
            asked.append(n)
            yield f"/c/{n}"

    with client(at_once=2) as http:
        answers = http.each(paths())
        next(answers)
        assert len(asked) == 4
        answers.close()  # type: ignore[attr-defined]  # it is a generator
        assert http.requests <= 4


@respx.mock
def test_the_first_error_ends_the_rest() -> None:
    respx.get(f"{HOST}/c/2").respond(403)
    respx.get(url__regex=rf"{HOST}/c/\d+").mock(side_effect=_echo)
    got: list[object] = []
    with client(at_once=2) as http, pytest.raises(AuthFailed):
        got.extend(a and a.json() for a in http.each(f"/c/{n}" for n in range(1000)))
    assert http.requests < 10


@respx.mock
def test_what_was_asked_ahead_of_an_error_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    class Pool(ThreadPoolExecutor):
        """Lets the requests in flight end only once what to do with the others is decided."""

        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            release.set()
            super().shutdown(wait=wait)

    def slow(request: httpx.Request) -> httpx.Response:
        release.wait(10)
        return httpx.Response(200)

    monkeypatch.setattr("connector.http.ThreadPoolExecutor", Pool)
    respx.get(f"{HOST}/0").respond(403)
    last = respx.get(f"{HOST}/3").respond(200)
    respx.get(url__startswith=HOST).mock(side_effect=slow)
    with client(at_once=2) as http, pytest.raises(AuthFailed):
        list(http.each(f"/{n}" for n in range(4)))
    assert not last.called


@respx.mock
def test_requests_counted_by_many_threads_are_all_counted() -> None:
    respx.get(url__regex=rf"{HOST}/c/\d+").mock(side_effect=_echo)
    with client(at_once=8, per_second=100) as http:
        assert len(list(http.each(f"/c/{n}" for n in range(100)))) == 100
    assert http.requests == 100


# --- where a credential may go ---------------------------------------------------------------------------------------


@respx.mock
@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/a",
        "http://desk.example/a",
        "https://desk.example:8443/a",
        "https://desk.example@evil.example/a",
    ],
)
def test_an_address_that_is_not_the_services_own_is_never_asked(path: str) -> None:
    route = respx.route().respond(200)
    with client(headers={"token": CANARY}) as http, pytest.raises(BadPayload, match="never sent"):
        http.get(path)
    assert not route.called


@respx.mock
@pytest.mark.parametrize("path", ["@evil.example/a", ".evil.example/a", ":8443/a", "//evil.example/a"])
def test_no_path_can_run_on_into_the_hosts_name(path: str) -> None:
    route = respx.route().respond(200)
    with client() as http:
        http.get(path)
    assert route.calls.last.request.url.host == "desk.example"
    assert route.calls.last.request.url.port is None


@respx.mock
def test_a_full_address_of_the_services_own_is_followed() -> None:
    respx.get(f"{HOST}/next?cursor=2").respond(200, json=2)
    with client(f"{HOST}/base") as http:
        assert http.get(f"{HOST}/next?cursor=2").json() == 2


@respx.mock
def test_a_redirect_is_followed_at_home_and_nowhere_else() -> None:
    respx.get(f"{HOST}/a").respond(301, headers={"Location": "/b?x=1"})
    respx.get(f"{HOST}/b?x=1").respond(200, json="b")
    respx.get(f"{HOST}/out").respond(302, headers={"Location": "https://evil.example/b"})
    respx.get(f"{HOST}/loop").respond(302, headers={"Location": "/loop"})
    with client() as http:
        assert http.get("/a").json() == "b"
        with pytest.raises(BadPayload, match="never sent"):
            http.get("/out")
        with pytest.raises(BadPayload, match="in circles"):
            http.get("/loop")


@respx.mock
def test_what_was_moved_elsewhere_may_be_taken_for_an_absence() -> None:
    respx.get(f"{HOST}/out").respond(302, headers={"Location": "https://evil.example/b"})
    with client() as http:
        assert http.find("/out", absent=(302,)) is None
        with pytest.raises(BadPayload, match="never sent"):
            http.find("/out")


@respx.mock
def test_a_write_is_never_redirected() -> None:
    respx.post(f"{HOST}/a").respond(307, headers={"Location": "/b"})
    with client() as http, pytest.raises(BadPayload, match="redirect"):
        http.send("POST", "/a", {})
    assert http.requests == 1


@pytest.mark.parametrize(
    "address", ["desk.example", "ftp://desk.example", "https://", "https://desk.example:port", "file:///etc"]
)
def test_an_address_that_is_none_is_a_config_error(address: str) -> None:
    with pytest.raises(ConfigError) as caught, client(address):
        pass
    assert caught.value.setting == "services.desk.url"


def test_an_adapter_without_an_address_must_make_no_request() -> None:
    with client("") as http, pytest.raises(RuntimeError, match="no address"):
        http.get("/a")


@pytest.mark.parametrize("secret", [f"{CANARY}\n", f" {CANARY}", f"{CANARY}é", f"a\r\nX-Evil: {CANARY}"])
def test_a_secret_that_no_header_can_hold_is_a_config_error_without_the_secret(secret: str) -> None:
    with pytest.raises(ConfigError, match=r"services\.desk") as caught, client(headers={"token": secret}):
        pass
    assert CANARY not in "".join(traceback.format_exception(caught.value))


# --- demo and real data never meet -----------------------------------------------------------------------------------


@respx.mock
def test_a_real_config_refuses_the_sandbox_whatever_it_answers() -> None:
    respx.get(f"{HOST}/a").respond(500, headers={"X-Deskpulse-Sandbox": "1"})
    with client() as http, pytest.raises(ConfigError, match="is the demo sandbox"):
        http.get("/a")


@respx.mock
def test_a_demo_refuses_a_service_that_is_not_the_sandbox() -> None:
    respx.get("http://127.0.0.1:9/a").respond(200)
    with client("http://127.0.0.1:9", demo=True) as http, pytest.raises(ConfigError, match="must not touch a real"):
        http.get("/a")


def test_a_demo_refuses_another_machine_before_it_asks_anything() -> None:
    with pytest.raises(ConfigError, match="not on this machine"), client(demo=True):
        pass


@respx.mock
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]"])
def test_a_demo_talks_to_its_sandbox(host: str) -> None:
    respx.get(f"http://{host}/a").respond(200, json=1, headers={"X-Deskpulse-Sandbox": "1"})
    with client(f"http://{host}", demo=True) as http:
        assert http.get("/a").json() == 1


# --- nothing secret is ever shown ------------------------------------------------------------------------------------

FAULTS = [
    *(httpx.Response(status, text=f"your {CANARY}") for status in (302, 400, 401, 404, 422, 429, 500)),
    *(
        kind(f"at {CANARY}")
        for kind in (
            httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ReadTimeout, httpx.ReadError,
            httpx.WriteError, httpx.RemoteProtocolError, httpx.LocalProtocolError, httpx.DecodingError,
            httpx.ProxyError,
        )
    ),
    httpx.Response(200, text=f"<p>{CANARY}"),
    httpx.Response(200, text=f'{{"a": "{CANARY}'),
    httpx.Response(200, text="1", headers={"X-Deskpulse-Sandbox": "1"}),
    httpx.Response(302, headers={"Location": f"https://evil.example/{CANARY}"}),
]  # fmt: skip


@respx.mock
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_no_error_and_no_log_shows_a_secret(fault: object, method: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    respx.route().mock(side_effect=[fault] * 9)
    base = f"{HOST}/hooks/{CANARY}"
    with (
        client(base, headers={"X-Token": CANARY}, auth=("u", CANARY), secret_url=True) as http,
        pytest.raises(ConnectorError) as caught,
    ):
        (http.get(f"?key={CANARY}") if method == "GET" else http.send("POST", "", {"text": CANARY})).json()
    shown = [str(caught.value), repr(caught.value), caplog.text, *traceback.format_exception(caught.value)]
    assert [text for text in shown if CANARY in text or "hooks" in text] == []
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)


@respx.mock
@pytest.mark.parametrize("fault", [httpx.Response(401), httpx.Response(500), httpx.ReadTimeout("x")], ids=str)
def test_not_even_local_variables_hold_the_credential(fault: object) -> None:
    """Collectors of errors send them along; the frames of the libraries that build the request are gone by then."""
    respx.route().mock(side_effect=[fault] * 9)
    with (
        client(f"{HOST}/hooks/{CANARY}", headers={"X-Token": CANARY}, auth=("u", CANARY)) as http,
        pytest.raises(ServiceError) as caught,
    ):
        http.get("")
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = [frame for frame in frames if frame.filename != __file__]
    assert len(ours) > 3
    assert [frame.name for frame in ours if CANARY in str(frame.locals)] == []


def test_a_real_connection_logs_nothing(faulty: str, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("", "httpx", "httpcore", "httpcore.connection", "httpcore.http11"):
        caplog.set_level(logging.DEBUG, logger=name)
    with client(faulty, headers={"X-Token": CANARY}) as http:
        http.get("/busy")
    assert caplog.text == ""


@respx.mock
def test_a_query_never_reaches_an_error() -> None:
    respx.get(url__startswith=f"{HOST}/a").respond(500)
    with client() as http, pytest.raises(Transient) as caught:
        http.get(f"/a?api_key={CANARY}", {"token": CANARY})
    assert str(caught.value) == "desk answered 500 to GET /a: run it again later"


@respx.mock
def test_of_a_secret_address_not_even_the_path_reaches_an_error() -> None:
    respx.post(url__startswith=HOST).respond(404)
    with client(secret_url=True) as http, pytest.raises(Rejected) as caught:
        http.send("POST", f"/hooks/{CANARY}")
    assert str(caught.value).startswith("desk answered 404 to POST, ")


# --- against a real socket -------------------------------------------------------------------------------------------


class _Faulty(BaseHTTPRequestHandler):
    """Says what its path says, over a real connection."""

    protocol_version = "HTTP/1.1"
    refused: set[str]

    def do_GET(self) -> None:
        {"/cut": self._cut, "/gzip": self._garbled, "/busy": self._busy, "/hang-up": self._hang_up}[self.path]()

    do_POST = do_GET  # noqa: N815 the server's own naming

    def _cut(self) -> None:
        self._begin(200, {"Content-Length": "100"})
        self.wfile.write(b'{"payload": [1, 2')
        self.close_connection = True

    def _garbled(self) -> None:
        body = gzip.compress(b"[1, 2, 3]")[:-9] + b"garbled!!"
        self._begin(200, {"Content-Length": str(len(body)), "Content-Encoding": "gzip"})
        self.wfile.write(body)

    def _busy(self) -> None:
        first, self.refused = "busy" not in self.refused, self.refused | {"busy"}
        type(self).refused = self.refused
        body = b"" if first else b"[1]"
        self._begin(429 if first else 200, {"Content-Length": str(len(body)), "Retry-After": "30"})
        self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def faulty() -> Iterator[str]:
    _Faulty.refused = set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Faulty)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_cut_answer_is_asked_for_again_and_then_said(faulty: str) -> None:
    with client(faulty) as http, pytest.raises(Transient, match="broke off before the end of its answer"):
        http.get("/cut")
    assert http.requests == ATTEMPTS


def test_a_write_whose_connection_was_closed_is_not_repeated(faulty: str) -> None:
    with client(faulty) as http, pytest.raises(Transient, match="broke off"):
        http.send("POST", "/hang-up", {})
    assert http.requests == 1


def test_a_garbled_body_is_a_bad_payload(faulty: str) -> None:
    with client(faulty) as http, pytest.raises(BadPayload, match="garbled"):
        http.get("/gzip")


def test_a_busy_service_is_waited_for(faulty: str) -> None:
    clock = StepClock()
    with client(faulty, clock=clock) as http:
        assert http.get("/busy").json() == [1]
    assert clock.slept == [30]


def test_a_service_that_is_down_says_so(faulty: str) -> None:
    closed = faulty.rsplit(":", 1)[0] + ":9"
    with client(closed) as http, pytest.raises(Transient, match=r"cannot be reached .*check services\.desk\.url"):
        http.get("/a")
    assert http.requests == ATTEMPTS


def test_a_proxy_of_the_company_is_not_asked_for_this_machine(faulty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with client(faulty) as http:
        assert http.get("/busy").json() == [1]
