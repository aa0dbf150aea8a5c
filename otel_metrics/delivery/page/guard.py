"""Owns who may talk to the page: the Host header, the origin of requests, the token, and what browsers are told to forbid."""

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from html import escape
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "otel_metrics_token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_YEAR_S = 31_536_000
# NiceGUI compiles its templates in the browser and has scripts in its page; nothing comes from elsewhere.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@dataclass(frozen=True, slots=True)
class Doors:
    """Under which `host:port` the page may be asked for, and the token that is needed (None: none)."""

    hosts: frozenset[str]
    token: str | None = None


class Guard:
    """Lets through what comes by a known name, from the page itself where it changes something, and with the token."""

    def __init__(self, app: App, doors: Doors) -> None:
        self.app = app  # of this name, because NiceGUI looks for it
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or one socket."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        request = _Request(scope)
        refusal = self._refusal(request)
        if refusal is not None:
            await _answer(scope, receive, send, refusal)
            return
        await self.app(scope, receive, _with_headers(send))

    def _refusal(self, request: "_Request") -> "_Answer | None":
        host = request.header("host").lower()
        if host not in self._doors.hosts:
            return _Answer(
                421, "This page is not served under this name", f"Expected: {', '.join(sorted(self._doors.hosts))}."
            )
        if not request.is_from(host):
            return _Answer(403, "Refused", "This request comes from another site. Open the page by its own address.")
        return None if self._doors.token is None else self._without_token(request, self._doors.token)

    def _without_token(self, request: "_Request", token: str) -> "_Answer | None":
        if _same(request.cookie, token) or _same(request.bearer, token):
            return None
        if _same(request.query.get("token", ""), token) and request.method == "GET":
            # A cookie of SameSite=Strict does not follow a redirect that begins on another site; a page's own step does.
            return _Answer(200, "Welcome", "One moment.", goes_to=request.url(), cookie=token)
        if request.is_link_from_elsewhere:
            return _Answer(200, "One moment", "Opening the page.", goes_to=request.url())
        return _Answer(
            401,
            "A token is needed",
            "Open the link that `otel-metrics serve` printed when it began; it holds the token.",
        )


class _Request:
    """What the guard needs of a request."""

    def __init__(self, scope: Scope) -> None:
        self._headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            self._headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        self._path: str = scope["path"]
        self._is_socket = scope["type"] == "websocket"
        self.method: str = scope.get("method", "GET")
        self.query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))

    def header(self, name: str) -> str:
        """A header that may be given once; several are none."""
        found = self._headers.get(name, [])
        return found[0] if len(found) == 1 else ""

    def is_from(self, host: str) -> bool:
        """Whether it comes from the page. What changes something, and a socket, must say so; a reading one may say nothing."""
        if "origin" in self._headers:
            return self.header("origin").lower() in {f"http://{host}", f"https://{host}"}
        return self.method in _SAFE and not self._is_socket

    @property
    def is_link_from_elsewhere(self) -> bool:
        """Whether somebody followed a link from another site: browsers leave a strict cookie out then."""
        return (
            self.header("sec-fetch-site") in {"cross-site", "same-site"}
            and self.header("sec-fetch-mode") == "navigate"
            and self.header("sec-fetch-dest") == "document"
            and self.method == "GET"
        )

    @property
    def cookie(self) -> str:
        """The token of the cookie."""
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load("; ".join(self._headers.get("cookie", [])))
        except CookieError:
            return ""
        return jar[COOKIE].value if COOKIE in jar else ""

    @property
    def bearer(self) -> str:
        """The token that a program gives."""
        kind, _, value = self.header("authorization").partition(" ")
        return value.strip() if kind.lower() == "bearer" else ""

    def url(self) -> str:
        """Where it wants to go, without the token."""
        rest = {name: value for name, value in self.query.items() if name != "token"}
        return f"/{self._path.lstrip('/')}" + (f"?{urlencode(rest)}" if rest else "")


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


@dataclass(frozen=True, slots=True)
class _Answer:
    """A page of the guard's own."""

    status: int
    title: str
    text: str
    goes_to: str = ""
    cookie: str = ""

    @property
    def body(self) -> bytes:
        """A whole HTML document."""
        step = f'<meta http-equiv="refresh" content="0;url={escape(self.goes_to)}">' if self.goes_to else ""
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8">{step}<title>{escape(self.title)}</title></head>'
            f"<body><main><h1>{escape(self.title)}</h1><p>{escape(self.text)}</p></main></body></html>"
        ).encode()


async def _answer(scope: Scope, receive: Receive, send: Send, answer: _Answer) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": answer.title})
        return
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store"), *_HEADERS]
    if answer.cookie:
        cookie = f"{COOKIE}={answer.cookie}; Path=/; HttpOnly; SameSite=Strict; Max-Age={_YEAR_S}"
        headers.append((b"set-cookie", cookie.encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body if scope["method"] != "HEAD" else b""})


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in _HEADERS} | {b"server"}
            kept = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in own]
            message["headers"] = [*kept, *_HEADERS]
        await send(message)

    return sending
