"""Owns the server: the application with its one page and its guard, what it follows while it is served, and listening."""

import asyncio
import ipaddress
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files

import uvicorn
from fastapi import FastAPI, Request
from nicegui import app as nicegui_app
from nicegui import ui

from otel_metrics.delivery.page.feed import Feed
from otel_metrics.delivery.page.frame import Page, place_or_problem
from otel_metrics.delivery.page.guard import Doors, Guard
from otel_metrics.delivery.page.place import VIEWS
from otel_metrics.delivery.page.scraping import Scrapes
from otel_metrics.delivery.page.watch import Watch
from otel_metrics.errors import SettingError

EVERY_S = 2.0
_ASSETS = files("otel_metrics.delivery.page") / "assets"
_END_WITHIN_S = 2
_MOST_MESSAGE_BYTES = 1_000_000
_log = logging.getLogger("otel_metrics.page")


class Pages:
    """The pages that are open, brought up to date together."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self._open: set[Page] = set()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Asks for a look at the store now."""
        self._woken.set()

    def add(self, page: Page) -> None:
        """A browser shows a page, or does so again."""
        self._open.add(page)
        self.wake()

    def remove(self, page: Page) -> None:
        """A browser is gone."""
        self._open.discard(page)

    async def follow(self) -> None:
        """Reads the store once, and from then on every two seconds while anybody looks at a page."""
        await self._look()
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), EVERY_S if self._seen() else None)
            self._woken.clear()
            await self._look()

    def _seen(self) -> list[Page]:
        return [page for page in self._open if page.is_seen]

    async def _look(self) -> None:
        try:
            await self.feed.follow()
            for page in self._seen():
                await page.refresh()
        except Exception:  # the page stays as it is, and the next look is in two seconds
            _log.exception("the page could not be brought up to date")


def make_app(feed: Feed, doors: Doors, watch: Watch | None = None) -> Guard:
    """The whole application: one page for all views, behind the guard, and a watch over the alerts. NiceGUI allows one in a process."""
    pages = Pages(feed)

    @asynccontextmanager
    async def following(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(pages.follow())
        watching = asyncio.create_task(watch.keep()) if watch else None
        yield
        if watch and watching:
            watch.end()
            await watching
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=following)
    app.add_api_route("/metrics", Scrapes(feed).answer, methods=["GET"])
    head = f"<style>{_asset('page.css')}</style><script>{_asset('page.js')}</script>"

    async def show(request: Request) -> None:
        place, problem = place_or_problem(str(request.url.path) + "?" + request.url.query)
        ui.add_head_html(head)
        ui.page_title(f"{VIEWS[place.view]} – otel-metrics")
        page = Page(feed, place, pages.wake)
        client = ui.context.client
        client.on_connect(lambda: pages.add(page))
        client.on_disconnect(lambda: pages.remove(page))
        client.on_delete(lambda: pages.remove(page))
        await page.begin(problem)

    for path in ("/", *(f"/{view}" for view in VIEWS)):
        ui.page(path, title="otel-metrics", favicon=_asset("mark.svg"), response_timeout=30.0)(show)
    nicegui_app.config.quasar_config["loadingBar"]["skipHijack"] = (
        True  # a bar without a name, at requests that nobody waits for
    )
    ui.run_with(
        app, title="otel-metrics", dark=False, tailwind=False, language="en-US", binding_refresh_interval=None,
        show_welcome_message=False, reconnect_timeout=10.0,
    )  # fmt: skip
    return Guard(app, doors)


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the page is served, and the link that opens it."""

    sockets: list[socket.socket]
    doors: Doors
    link: str


def listen(host: str, port: int, token: str | None = None, names: Sequence[str] = ()) -> Address:
    """Binds the address. One that others can reach needs a token: a new one, unless it is given.

    `names`: under which a proxy passes requests on, with their ports where they have any; others can reach it then too.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(found[4][:2], family=found[0])
    except OSError as error:
        raise SettingError(
            f"{host} port {port} can not be listened on ({error.strerror or error})", "an address of this machine and a free port",
            "name others with --host and --port; --port 0 takes any that is free",
        ) from error  # fmt: skip
    bound = listener.getsockname()[1]
    address = ipaddress.ip_address(listener.getsockname()[0].partition("%")[0])
    own = {host.lower(), str(address)}
    if address.is_loopback or address.is_unspecified:
        own |= {"localhost", "127.0.0.1", "::1"}
    if address.is_unspecified:
        own |= {socket.gethostname().lower(), socket.getfqdn().lower(), *_own_addresses()}
    own -= {"0.0.0.0", "::", ""}  # noqa: S104 - they are no names to ask for
    hosts = {_bracketed(name) for name in own}
    doors = frozenset(f"{name}:{bound}" for name in hosts) | (hosts if bound == 80 else frozenset())
    secret = None if address.is_loopback and not names else token or secrets.token_urlsafe(24)
    shown = "127.0.0.1" if address.is_unspecified else _bracketed(host)
    link = f"http://{shown}:{bound}/" + (f"?token={secret}" if secret else "")
    return Address([listener], Doors(doors | {name.lower() for name in names}, secret), link)


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _own_addresses() -> set[str]:
    """The addresses that this machine's name stands for."""
    with suppress(OSError):
        return {str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), None)}
    return set()


def serve(feed: Feed, address: Address, ready: Callable[[], None], watch: Watch | None = None) -> None:
    """Serves, and watches the alerts, until a signal ends it; `ready` is called when the page can be opened."""
    app = make_app(feed, address.doors, watch)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=_END_WITHIN_S, ws_max_size=_MOST_MESSAGE_BYTES,
        server_header=False, proxy_headers=False,
    )  # fmt: skip
    try:
        ready()
        uvicorn.Server(config).run(sockets=address.sockets)
    finally:
        feed.close()
