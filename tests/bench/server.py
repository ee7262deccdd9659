"""Serves the bench's conversations in pages over HTTP, rendered beforehand, from a process of its own."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from world import conversations

PAGE = 500


def pages(count: int) -> list[bytes]:
    """The answers' bodies, in order; the last one is empty."""
    rows = list(conversations(count))
    chunks = [rows[i : i + PAGE] for i in range(0, count, PAGE)]
    return [json.dumps({"data": chunk}).encode() for chunk in [*chunks, []]]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bodies: tuple[bytes, ...] = ()

    def do_GET(self) -> None:
        page = int(parse_qs(urlsplit(self.path).query).get("page", ["1"])[0])
        body = self.bodies[min(page, len(self.bodies)) - 1]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    Handler.bodies = tuple(pages(int(sys.argv[1])))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
