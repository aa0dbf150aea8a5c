"""A collector on loopback that takes OTLP/HTTP and behaves badly on demand, while it notes what it took and answered."""

import os
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

UNANSWERED = ("slow", "garbage", "dropped")
"""Ways in which a request is taken and its sender is not told."""


class Collector:
    """`mode` is how it answers: "ok", an HTTP status, "giant" (ok, with an endless answer), one of `UNANSWERED`, or "down".

    `poison` is the name of a span with which it refuses a whole request. Use it in `with`; the port stays its own when
    it is down.
    """

    def __init__(self) -> None:
        self.mode: str | int = "ok"
        self.poison = ""
        self.taken: list[str] = []
        self.unsure: list[str] = []
        self.requests = 0
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *error: object) -> None:
        self.down()

    def up(self) -> None:
        """Begins to listen, on the port that it had before."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler())
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self) -> None:
        """Stops to listen."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v1/traces":
                    with suppress(ConnectionError):  # who had enough of an endless answer went away
                        collector._answer(self, _spans_in(body))
                else:
                    self.send_response(200)
                    self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        return Handler

    def _answer(self, handler: BaseHTTPRequestHandler, spans: list[Any]) -> None:
        self.requests += 1
        ids = [span.span_id.hex() for span in spans]
        mode = self.mode
        if self.poison and any(span.name == self.poison for span in spans):
            mode = 400
        if isinstance(mode, int):
            handler.send_response(mode)
            handler.end_headers()
            return
        if mode in UNANSWERED:
            self.unsure += ids
            if mode == "slow":
                time.sleep(3)
            elif mode == "garbage":
                handler.wfile.write(os.urandom(4096))
            handler.close_connection = True
            return
        handler.send_response(200)
        handler.end_headers()
        self.taken += ids
        if mode == "giant":
            for _ in range(200):
                handler.wfile.write(bytes(1 << 20))


def _spans_in(body: bytes) -> list[Any]:
    request = ExportTraceServiceRequest.FromString(body)
    return [span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans]
