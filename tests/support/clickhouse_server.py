"""HTTP in front of chdb, which has no server of its own: enough of ClickHouse's protocol for clickhouse-connect and the collector's exporter."""

import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from support import native

# `readonly` is a real server's guard: a session of chdb could not leave it again.
_NOT_SETTINGS = {"readonly", "query", "database", "session_id", "session_timeout", "session_check", "query_id", "client_protocol_version", "user", "password", "compress", "decompress", "default_format", "wait_end_of_query", "send_progress_in_http_headers", "http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close", "role"}  # fmt: skip


class ClickHouseServer:
    """One chdb session behind a port of loopback; use it in `with`. `queries` are the texts that it was asked."""

    def __init__(self) -> None:
        from chdb.session import Session

        self.session: Any = Session()
        self.queries: list[str] = []
        self._mutex = threading.Lock()
        self._changed = threading.Condition()
        self._folder = tempfile.TemporaryDirectory()

    def __enter__(self) -> Self:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server._answer(self, b"")

            def do_POST(self) -> None:
                server._answer(self, _body_of(self))

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"clickhouse://127.0.0.1:{self.port}/default"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.session.close()
        self._folder.cleanup()

    def query(self, text: str) -> str:
        """Runs a statement beside the port."""
        with self._mutex:
            self.session.query("USE default")
            return str(self.session.query(text))

    def wait_for(self, text: str, answer: str, timeout_s: float) -> bool:
        """Whether a statement gives this answer within the time; it is asked again after each request."""
        with self._changed:
            return self._changed.wait_for(lambda: self.query(text).strip() == answer, timeout_s)

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        asked = dict(parse_qsl(urlsplit(handler.path).query, keep_blank_values=True))
        if urlsplit(handler.path).path == "/ping":
            _send(handler, 200, b"Ok.\n")
            return
        try:
            with self._mutex:
                answer, form = self._run(
                    asked, body, handler.headers.get("X-ClickHouse-Format") or asked.get("default_format")
                )
        except Exception as error:  # chdb raises plain RuntimeErrors
            _send(handler, 500, str(error).encode())
        else:
            _send(handler, 200, answer, form)
            with self._changed:
                self._changed.notify_all()

    def _run(self, asked: dict[str, str], body: bytes, form: str | None) -> tuple[bytes, str]:
        query = asked.get("query", "")
        if not query:
            query, body = body.decode(), b""
        self.queries.append(query)
        self.session.query(f"USE {asked.get('database') or 'default'}")
        parameters = {name.removeprefix("param_"): value for name, value in asked.items() if name.startswith("param_")}
        chosen = {
            name: value for name, value in asked.items() if name not in _NOT_SETTINGS and not name.startswith("param_")
        }
        for name, value in chosen.items():
            self.session.query(f"SET {name} = '{value}'")
        try:
            if body:
                query = self._with_data(query, body)
            elif int(asked.get("client_protocol_version") or 0) >= native.SPOKEN_SINCE:
                return native.block_of(str(self.session.query(query, "JSONCompactEachRowWithNamesAndTypes"))), "Native"
            found = self.session.query(query, form or "TabSeparated", params=parameters)
            return found.bytes(), form or "TabSeparated"
        finally:
            for name in chosen:
                self.session.query(f"SET {name} = DEFAULT")

    def _with_data(self, query: str, body: bytes) -> str:
        """An insert whose rows come behind it, as one whose rows come from a file."""
        data = Path(self._folder.name) / "body"
        data.write_bytes(body)
        head = query[: query.index(")") + 1]
        return f"{head} SELECT {head[head.index('(') + 1 : -1]} FROM file('{data}', 'Native')"


def _body_of(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding", "").lower() == "chunked":
        body = b""
        while size := int(handler.rfile.readline().strip() or b"0", 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
        return body
    return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, form: str = "TabSeparated") -> None:
    handler.send_response(status)
    if status != 200:
        handler.send_header("X-ClickHouse-Exception-Code", "1")
    handler.send_header("X-ClickHouse-Format", form)
    handler.send_header("X-ClickHouse-Timezone", "UTC")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
