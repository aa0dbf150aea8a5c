"""The HTTP door of the pretend Telegram: a Bot API server for loopback, and /control for what people do.

`python -m examples.moderated_bot.bot_api --bot user_bot=1001:users --bot moderator_bot=1002:moderators` runs it alone.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from .bot_methods import METHODS, Parameters
from .chats import ApiError, Chats, Json

DEEDS = ("say", "speak", "press", "block")


class Door(BaseHTTPRequestHandler):
    """One connection of a bot, or of a person with curl."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one packet
    server: Server

    def do_GET(self) -> None:
        """A method call, a file, or a look at what was sent."""
        self._answer()

    def do_POST(self) -> None:
        """A method call, or what a person does."""
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)  # file downloads come with %3A in the token
        try:
            values = self._read()
            if found := re.fullmatch(r"/bot(\d+:[\w-]+)/(\w+)", path):
                self._reply(200, {"ok": True, "result": self._call(found[1], found[2], values)})
            elif found := re.fullmatch(r"/file/bot(\d+:[\w-]+)/voice/(.+)\.oga", path):
                self.server.chats.bot(found[1])
                self._reply(200, self.server.chats.file(found[2]))
            elif found := re.fullmatch(r"/control/(\w+)", path):
                self._reply(200, {"ok": True, "result": self._control(found[1], values)})
            else:
                raise ApiError(404, "Not Found")
        except ApiError as error:
            self._reply(error.code, {"ok": False, "error_code": error.code, "description": error.description})

    def _call(self, token: str, method: str, values: Mapping[str, Any]) -> Any:
        bot = self.server.chats.bot(token)
        if method.lower() not in METHODS:
            raise ApiError(404, "Not Found: method not found")
        return METHODS[method.lower()](self.server.chats, bot, Parameters(values))

    def _control(self, deed: str, values: Mapping[str, Any]) -> Any:
        numbers = {name: int(value) for name, value in values.items() if name.endswith("_id") and name != "file_id"}
        try:
            if deed == "sent":
                return self.server.chats.sent(**numbers)
            if deed in DEEDS:
                return getattr(self.server.chats, deed)(**{**values, **numbers})
        except (LookupError, TypeError) as error:
            raise ApiError(400, f"Bad Request: {error}") from None
        raise ApiError(404, f"Not Found: /control has sent, {', '.join(DEEDS)}")

    def _read(self) -> dict[str, Any]:
        """The query string, and a form, a multipart form or JSON in the body: bots send all of these."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            return dict(parse_qsl(urlsplit(self.path).query)) | self._read_body(body)
        except ValueError:
            raise ApiError(400, "Bad Request: can't parse the request's body") from None

    def _read_body(self, body: bytes) -> dict[str, Any]:
        kind = self.headers.get_content_type()
        if kind == "application/json":
            return dict(json.loads(body or b"{}"))
        if kind != "multipart/form-data":
            return dict(parse_qsl(body.decode(), keep_blank_values=True))
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        values = {}
        for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
            content = part.get_payload(decode=True)
            name = str(part.get_param("name", header="content-disposition"))
            values[name] = content.decode() if isinstance(content, bytes) else ""
        return values

    def _reply(self, status: int, body: Json | bytes) -> None:
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


class Server(ThreadingHTTPServer):
    """Threads for connections, and the chats that they share."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], chats: Chats) -> None:
        super().__init__(address, Door)
        self.chats = chats

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A bot that stops hangs up in the middle of its long poll; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class BotApi:
    """The server while a `with` lasts; `bots` is username to token, port 0 takes a free one."""

    def __init__(self, bots: Mapping[str, str], port: int = 0) -> None:
        self.chats = Chats(bots)
        self._server = Server(("127.0.0.1", port), self.chats)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def wait(self) -> None:
        """Wait until someone stops the server."""
        self._thread.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bot", action="append", required=True, metavar="USERNAME=TOKEN")
    parser.add_argument("--port", type=int, default=8081)
    arguments = parser.parse_args()
    with BotApi(dict(pair.split("=", 1) for pair in arguments.bot), arguments.port) as api:
        print(f"Bot API on {api.url}/bot<token>/<method>, people on {api.url}/control/<{'|'.join(DEEDS)}|sent>")
        try:
            api.wait()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
