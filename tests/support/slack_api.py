"""A Slack for loopback: a Web API that answers in the platform's JSON, and signed requests such as Slack sends them."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode
from urllib.request import Request

TOKEN = "xoxb-1111-2222-ExampleTokenThatMustNeverBeSeen"
SECRET = "0123456789abcdef0123456789abcdef"
APP_TOKEN = "xapp-1-ExampleAppTokenThatMustNeverBeSeen"
RESPONSE_PATH = "/commands/T01/42/ResponseUrlThatMustNeverBeSeen"
TEAM, USER, CHANNEL, BOT_USER = "T0TEAM", "U0PERSON", "C0CHANNEL", "U0BOT"

Json = dict[str, Any]


class SlackApi:
    """The Web API while a `with` lasts: `calls` are what came in, `refuse` names errors by method."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Json]] = []
        self.refuse: dict[str, str] = {}
        self.socket_url = ""
        self._changed = Condition()
        api = self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                status, kind, content = api._answer(self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                with api._changed:
                    api._changed.notify_all()

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                """Stays silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it stands."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def methods(self) -> list[str]:
        """What was called, without the check of the token that every app makes."""
        return [method for method, _ in self.calls if method != "auth.test"]

    def wait_until(self, reached: Callable[[], bool]) -> None:
        """Waits for calls."""
        with self._changed:
            assert self._changed.wait_for(reached, timeout=20), self.calls

    def _answer(self, path: str, headers: Any, body: str) -> tuple[int, str, bytes]:
        if path == RESPONSE_PATH:
            self.calls.append(("response_url", json.loads(body)))
            refused = self.refuse.get("response_url")
            return (404, "text/plain", refused.encode()) if refused else (200, "text/plain", b"ok")
        method = path.split("?", maxsplit=1)[0].removeprefix("/api/")
        sent = json.loads(body) if "json" in headers.get("Content-Type", "") and body else dict(parse_qsl(body))
        self.calls.append((method, sent))
        if headers.get("Authorization") not in {f"Bearer {TOKEN}", f"Bearer {APP_TOKEN}"}:
            answer: Json = {"ok": False, "error": "invalid_auth"}
        elif method in self.refuse:
            answer = {"ok": False, "error": self.refuse[method]}
        elif method == "apps.connections.open":
            answer = {"ok": True, "url": self.socket_url}
        elif method == "auth.test":
            answer = {
                "ok": True, "url": "https://example.slack.com/", "team": "Example", "user": "bot", "team_id": TEAM,
                "user_id": BOT_USER, "bot_id": "B0BOT", "is_enterprise_install": False,
            }  # fmt: skip
        else:
            answer = {"ok": True, "channel": sent.get("channel"), "ts": "1767268800.000200"}
        return 200, "application/json; charset=utf-8", json.dumps(answer).encode()


# --- what Slack sends ------------------------------------------------------------------------------------------------


def event(kind: str, **more: Any) -> Json:
    """A request of the Events API."""
    inner = {"type": kind, "user": USER, "channel": CHANNEL, "ts": "1767268800.000100", **more}
    return {
        "token": "verification", "team_id": TEAM, "api_app_id": "A0APP", "event": inner, "type": "event_callback",
        "event_id": "Ev0EVENT", "event_time": 1767268800,
        "authorizations": [{"team_id": TEAM, "user_id": BOT_USER, "is_bot": True}],
    }  # fmt: skip


def message(text: str = "a question that nobody else may read", **more: Any) -> Json:
    """A message that somebody wrote."""
    return event("message", text=text, channel_type="channel", **more)


def command(name: str, text: str, api: SlackApi) -> Json:
    """A slash command."""
    return {
        "token": "verification", "team_id": TEAM, "team_domain": "example", "channel_id": CHANNEL,
        "channel_name": "directmessage", "user_id": USER, "user_name": "person", "command": name, "text": text,
        "response_url": api.url + RESPONSE_PATH, "trigger_id": "1.2.3",
    }  # fmt: skip


def action(action_id: str, api: SlackApi) -> Json:
    """A click on a button of a message."""
    return {
        "type": "block_actions", "token": "verification", "team": {"id": TEAM, "domain": "example"},
        "user": {"id": USER, "username": "person", "team_id": TEAM}, "channel": {"id": CHANNEL, "name": "general"},
        "api_app_id": "A0APP", "trigger_id": "1.2.3", "response_url": api.url + RESPONSE_PATH,
        "actions": [{"type": "button", "action_id": action_id, "block_id": "b", "value": "v", "action_ts": "1.2"}],
        "message": {"type": "message", "text": "a question that nobody else may read", "ts": "1767268800.000100"},
    }  # fmt: skip


def view_submission(callback_id: str) -> Json:
    """A modal that somebody has sent off."""
    return {
        "type": "view_submission", "token": "verification", "team": {"id": TEAM, "domain": "example"},
        "user": {"id": USER, "username": "person", "team_id": TEAM}, "api_app_id": "A0APP", "trigger_id": "1.2.3",
        "view": {
            "id": "V0VIEW", "team_id": TEAM, "type": "modal", "callback_id": callback_id, "private_metadata": "",
            "blocks": [], "hash": "1.2", "title": {"type": "plain_text", "text": "Ask"},
            "state": {"values": {"b": {"a": {"type": "plain_text_input", "value": "a question that nobody else may read"}}}},
        },
        "response_urls": [],
    }  # fmt: skip


def signed(url: str, body: Json, *, secret: str = SECRET, headers: Json | None = None) -> Request:
    """The HTTP request that carries it, in the encoding that Slack has for it and with its signature."""
    if body.get("type") in ("event_callback", "url_verification"):
        kind, raw = "application/json", json.dumps(body)
    elif "command" in body:
        kind, raw = "application/x-www-form-urlencoded", urlencode(body)
    else:
        kind, raw = "application/x-www-form-urlencoded", urlencode({"payload": json.dumps(body)})
    now = str(int(time.time()))
    signature = "v0=" + hmac.new(secret.encode(), f"v0:{now}:{raw}".encode(), hashlib.sha256).hexdigest()
    return Request(
        url,
        raw.encode(),
        {"Content-Type": kind, "X-Slack-Request-Timestamp": now, "X-Slack-Signature": signature, **(headers or {})},
        method="POST",
    )
