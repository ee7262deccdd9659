"""The sandbox on loopback: demo data behind the HTTP APIs of the services we speak to.

Every answer carries ``X-Deskpulse-Sandbox: 1``. What was pushed can be read back, from the services' own APIs and from
``/sandbox/slack``, ``/sandbox/violations`` (messages that would have reached a customer) and ``/sandbox/requests``.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from connector.models import Instant
from connector.sandbox import chatwoot, slack
from connector.sandbox.chatwoot_wire import ACCOUNT
from connector.sandbox.exchange import Refused, Reply, Request, Route
from connector.sandbox.files import read
from connector.sandbox.generate import generate
from connector.sandbox.world import World

HOST = "127.0.0.1"
LARGEST_BODY = 5_000_000


class Sandbox:
    """A desk that answers on loopback. ``source`` is a World or a file of the neutral format; without one, the desk
    generated from ``seed``. A context manager: starts on a free port, stops at the end. UsageError for a bad file."""

    def __init__(self, source: World | Path | str | None = None, *, seed: int = 1) -> None:
        if source is None:
            source = generate(seed)
        self.world = source if isinstance(source, World) else read(Path(source))
        self.chatwoot = chatwoot.Chatwoot(self.world, self.now)
        self.slack = slack.Slack(self.now)
        self.requests: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.routes = [(way, re.compile(path), do) for way, path, do in self._routes()]
        self._server: _Server | None = None
        self._serving = False

    token = chatwoot.TOKEN
    account = ACCOUNT
    slack_token = slack.BOT_TOKEN

    @property
    def now(self) -> Instant:
        """What the sandbox takes for the present: the morning after its last day. It stands still."""
        return self.world.now

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._bound.server_address[1]}"

    @property
    def _bound(self) -> _Server:
        if self._server is None:
            raise RuntimeError("the sandbox has not been started")
        return self._server

    @property
    def slack_webhook(self) -> str:
        return f"{self.url}/slack/webhook/{slack.WEBHOOK_SECRET}"

    @property
    def size(self) -> int:
        """How many conversations are served."""
        return len(self.chatwoot.tables.cases)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was made of the file, where that needs saying."""
        count = self.chatwoot.tables.left_out
        return (*self.world.remarks, *([f"{count} deleted or merged conversations are left out"] if count else []))

    def labels(self, prefix: str = "") -> Iterator[tuple[str, list[str]]]:
        """(conversation, its labels that begin so) where there are any, as the inbox holds them now.

        A conversation from a file is named by its number here and its own id.
        """
        for number, case in self.chatwoot.tables.cases.items():
            labels = [title for title in case.row["labels"] if title.startswith(prefix)]
            own = case.row["custom_attributes"]["external_id"]
            if labels:
                yield (f"{number}" if own == str(number) else f"{number} ({own})"), labels

    @property
    def violations(self) -> list[dict[str, Any]]:
        """Messages that would have reached a customer; must stay empty."""
        return self.chatwoot.violations

    def bind(self, port: int = 0) -> Sandbox:
        """Take the port (0: a free one). OSError when it is taken."""
        self._server = _Server(self, port)
        return self

    def start(self, port: int = 0) -> Sandbox:
        """Serve from a thread of its own."""
        self.bind(port)
        self._serving = True
        threading.Thread(target=self._bound.serve_forever, args=(0.05,), name="sandbox", daemon=True).start()
        return self

    def serve(self) -> None:
        """Serve from here until ``stop`` is called from another thread."""
        self._serving = True
        self._bound.serve_forever(0.2)

    def stop(self) -> None:
        """No more answers; open connections are closed. Stopping twice does nothing."""
        server, self._server = self._server, None
        if server is not None:
            if self._serving:
                server.shutdown()
            server.hang_up()
            server.server_close()

    def __enter__(self) -> Sandbox:
        return self if self._server else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answer(self, request: Request) -> Reply:
        """One at a time, so that a write is whole before it is read."""
        with self.lock:
            if not request.path.startswith("/sandbox/"):
                self.requests[f"{request.method} {request.path}"] += 1
            try:
                return self._dispatch(request)
            except Refused as refused:
                return refused.reply

    def _dispatch(self, request: Request) -> Reply:
        for method, path, handler in self.routes:
            if method == request.method and (found := path.fullmatch(request.path)):
                return handler(request, *found.groups())
        raise Refused(404, chatwoot.NOT_FOUND)

    def _routes(self) -> list[Route]:
        return [
            *self.chatwoot.routes(),
            *self.slack.routes(),
            ("GET", "/", lambda request: Reply("Deskpulse sandbox: demo data. Nothing sent here reaches anybody.\n")),
            ("GET", "/sandbox/slack", lambda request: Reply({"messages": self.slack.messages})),
            ("GET", "/sandbox/violations", lambda request: Reply({"violations": self.violations})),
            ("GET", "/sandbox/requests", lambda request: Reply(dict(sorted(self.requests.items())))),
        ]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, sandbox: Sandbox, port: int) -> None:
        self.sandbox = sandbox
        self.open: set[socket.socket] = set()
        super().__init__((HOST, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no news; anything else is."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """Connections kept alive would keep their threads."""
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                self.open.discard(connection)  # the other side was first


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        if not self._local():
            return self._write(Reply({"error": "the sandbox answers on loopback only"}, 403))
        return self._write(self.server.sandbox.answer(self._request()))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names that http.server calls

    def _local(self) -> bool:
        """A page in a browser must not reach demo data under a name of its own."""
        return (self.headers.get("Host") or "").rpartition(":")[0] in (HOST, "localhost")

    def _request(self) -> Request:
        path, _, query = self.path.partition("?")
        length = min(int(self.headers.get("Content-Length") or 0), LARGEST_BODY)
        body = self.rfile.read(length) if length else b""
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, unquote(path), dict(parse_qsl(query)), headers, body)

    def _write(self, reply: Reply) -> None:
        """Head and body in one packet."""
        body, kind = reply.encoded()
        head = (
            f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nX-Deskpulse-Sandbox: 1\r\n\r\n"
        )
        self.wfile.write(head.encode() + body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        """Addresses may hold secrets: nothing is logged."""
