"""A Bot API server for loopback that answers in the platform's JSON and hands out whatever updates a test gives it."""

import json
import re
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

TOKEN = "123456789:AAExampleTokenThatMustNeverBeSeenAny"
BOT = {"id": 123456789, "is_bot": True, "first_name": "Echo", "username": "echo_bot"}
_TRUE = ("delete", "answer", "set", "close", "logout", "sendchataction", "pin", "unpin", "ban", "leave")

Json = dict[str, Any]


class TelegramApi:
    """The server while a `with` lasts: `push()` gives updates, `calls` are the calls of the bot but `getUpdates`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Json]] = []
        self.polls = 0
        self.refuse: dict[str, list[Json]] = {}
        self._updates: list[Json] = []
        self._confirmed = 0
        self._number = 1000
        self._changed = Condition()
        api = self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                body = self._body()
                found = re.fullmatch(r"/bot([^/]+)/(\w+)", unquote(urlsplit(self.path).path))
                if found is None or found[1] != TOKEN:
                    answer = {"ok": False, "error_code": 404, "description": "Not Found"}
                else:
                    answer = api._answer(found[2], _parameters(self.headers, body))
                content = json.dumps(answer).encode()
                self.send_response(answer.get("error_code", 200))
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST

            def _body(self) -> bytes:
                """What was sent; clients that upload files tell its length piece by piece."""
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_message(self, *_: object) -> None:
                """Stays silent."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """A bot that stops hangs up in the middle of its long poll."""

        self._server = Server(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._confirmed = 1 << 40
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def push(self, **update: Any) -> int:
        """Puts an update into the queue: `push(message=...)`; gives its id."""
        with self._changed:
            self._number += 1
            self._updates.append({"update_id": self._number, **update})
            self._changed.notify_all()
            return self._number

    def forget_updates(self) -> None:
        """Takes back what the bot has not confirmed."""
        with self._changed:
            self._updates.clear()
            self._changed.notify_all()

    def refuse_next(self, method: str, code: int, description: str, **parameters: Any) -> None:
        """The next call of the method gets an error."""
        answer: Json = {"ok": False, "error_code": code, "description": description}
        if parameters:
            answer["parameters"] = parameters
        self.refuse.setdefault(method.lower(), []).append(answer)

    def wait_until(self, done: Any, timeout_s: float = 30.0) -> None:
        """Waits until `done()` is true; looked at after every call of the bot."""
        with self._changed:
            assert self._changed.wait_for(done, timeout_s), f"not in {timeout_s} s; the bot called {self.methods()}"

    def wait_until_read(self) -> None:
        """Waits until the bot has confirmed every update, as it does when it asks for the next ones."""
        self.wait_until(lambda: not self._updates)

    def methods(self) -> list[str]:
        """The methods that were called, in order."""
        return [method for method, _ in self.calls]

    def texts(self) -> list[str]:
        """The texts of the messages that were sent, in order."""
        return [values.get("text", "") for method, values in self.calls if method.lower() == "sendmessage"]

    def _answer(self, method: str, values: Json) -> Json:
        if method.lower() == "getupdates":
            return {
                "ok": True,
                "result": self._next_updates(int(values.get("offset", 0)), float(values.get("timeout", 0))),
            }
        with self._changed:
            self.calls.append((method, values))
            self._changed.notify_all()
            refused = self.refuse.get(method.lower())
            return refused.pop(0) if refused else {"ok": True, "result": self._result(method.lower(), values)}

    def _next_updates(self, offset: int, timeout_s: float) -> list[Json]:
        with self._changed:
            self.polls += 1
            self._updates = [one for one in self._updates if one["update_id"] >= offset]
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._updates or self._confirmed, timeout_s)
            return list(self._updates)

    def _result(self, method: str, values: Json) -> Any:
        if method == "getme":
            return BOT | {"can_join_groups": True, "can_read_all_group_messages": True, "supports_inline_queries": True}
        if method.startswith(_TRUE):
            return True
        if method == "getfile":
            return {"file_id": values["file_id"], "file_unique_id": "u", "file_size": 1, "file_path": "voice/a.oga"}
        self._number += 1
        chat_id = int(values.get("chat_id", 0))
        kind = "private" if chat_id > 0 else "supergroup"
        return {
            "message_id": self._number, "date": 1_800_000_000, "from": BOT, "text": values.get("text", "x"),
            "chat": {"id": chat_id, "type": kind, "first_name": "Ann", "title": "Group"},
        }  # fmt: skip


def _parameters(headers: Any, body: bytes) -> Json:
    kind = headers.get_content_type()
    if kind == "application/json":
        return dict(json.loads(body or b"{}"))
    if kind != "multipart/form-data":
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    parts = BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()
    return {str(part.get_param("name", header="content-disposition")): part.get_content() for part in parts}
