"""Where messages arrive in tests: a webhook, Telegram's Bot API and a mail server on loopback, which fail when told to."""

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "123456789:AAbbccddeeff-gghhiijj_kkllmmnnooppq"


class Letterbox:
    """What has arrived at a server, in its order. `failures` is how many more times it refuses; `held` lets it hang."""

    def __init__(self) -> None:
        self.port = 0
        self.arrived: list[Any] = []
        self.asked = 0
        self.failures = 0
        self.held: threading.Event | None = None
        self.reached = threading.Event()
        self.endless = False
        self.gone = threading.Event()
        """Whether who asked an endless server is gone."""
        self._lock = threading.Lock()

    def refuses(self) -> bool:
        """Whether this request is refused; counts it."""
        with self._lock:
            self.asked += 1
            self.reached.set()
            self.failures -= 1
        if self.held is not None:
            self.held.wait(60)
        return self.failures >= 0

    def url(self, scheme: str = "json") -> str:
        return f"{scheme}://127.0.0.1:{self.port}"


class _Post(BaseHTTPRequestHandler):
    """Takes JSON as a webhook does, and as Telegram's `sendMessage`, whose answers it gives."""

    server: "_HttpServer"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        refused = self.server.box.refuses()
        wanted = self.path in {"/", f"/bot{TOKEN}/sendMessage"}
        if self.server.box.endless:
            self._answer_for_good()
            return
        if not refused and wanted:
            self.server.box.arrived.append(body)
        answer = {
            "ok": not refused,
            "result": {"message_id": 1},
            "description": "Internal Server Error: secret of theirs",
        }
        try:
            self.send_response(500 if refused else 200 if wanted else 404)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())
        except OSError:
            pass  # who asked is gone

    def _answer_for_good(self) -> None:
        try:
            while True:
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                time.sleep(0.05)
        except OSError:
            self.server.box.gone.set()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, box: Letterbox) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.box = box


class _Mail(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a client needs to leave a mail."""

    server: "_MailServer"

    def handle(self) -> None:
        self._say("220 loopback")
        while line := self.rfile.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                self._take()
            elif word == b"QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 fine")

    def _take(self) -> None:
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        if self.server.box.refuses():
            self._say("451 try later")
            return
        self.server.box.arrived.append(message_from_bytes(b"".join(lines), policy=policy.default))
        self._say("250 taken")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class _MailServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, box: Letterbox) -> None:
        super().__init__(("127.0.0.1", 0), _Mail)
        self.box = box


@contextmanager
def serving(kind: type[_HttpServer | _MailServer]) -> Iterator[Letterbox]:
    box = Letterbox()
    with kind(box) as server:
        box.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield box
        finally:
            if box.held is not None:
                box.held.set()
            server.shutdown()
            thread.join()


def http_server() -> "Any":
    """A webhook, which is Telegram too."""
    return serving(_HttpServer)


def mail_server() -> "Any":
    """A mail server without encryption."""
    return serving(_MailServer)


def text_of(mail: EmailMessage) -> str:
    """What a mail says in plain text."""
    body = mail.get_body(("plain", "html"))
    assert body is not None
    return str(body.get_content())
