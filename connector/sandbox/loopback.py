"""A dialect on loopback: routes behind real HTTP, one request at a time, every answer marked as the sandbox's."""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

from connector.sandbox.exchange import Dialect, Refused, Reply, Request

HOST = "127.0.0.1"
LARGEST_BODY = 5_000_000
NOT_FOUND = {"error": "Resource could not be found"}


class Loopback:
    """Serves one dialect. A context manager: starts on a free port, stops at the end. ``requests`` counts by method and
    path."""

    def __init__(self, dialect: Dialect) -> None:
        self.requests: Counter[str] = Counter()
        self.lock = threading.Lock()
        self._routes = [(way, re.compile(path), do) for way, path, do in dialect.routes()]
        self._server: _Server | None = None
        self._serving = False

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._bound.server_address[1]}"

    @property
    def _bound(self) -> _Server:
        if self._server is None:
            raise RuntimeError("the sandbox has not been started")
        return self._server

    def bind(self, port: int = 0) -> Self:
        """Take the port (0: a free one). OSError when it is taken."""
        self._server = _Server(self, port)
        return self

    def start(self, port: int = 0) -> Self:
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

    def __enter__(self) -> Self:
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
        for method, path, handler in self._routes:
            if method == request.method and (found := path.fullmatch(request.path)):
                return handler(request, *found.groups())
        raise Refused(404, NOT_FOUND)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, sandbox: Loopback, port: int) -> None:
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
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nX-Deskpulse-Sandbox: 1\r\n"
        )
        head += "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items()) + "\r\n"
        self.wfile.write(head.encode() + body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        """Addresses may hold secrets: nothing is logged."""
