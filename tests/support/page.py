"""The live page as tests open it: `otel-metrics serve` in a process of its own, and plain HTTP to it."""

import contextlib
import http.client
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.processes import environment


@dataclass(frozen=True)
class Reply:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True)
class Served:
    """A running page: its link with the token, its port, its process."""

    link: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        port = urlsplit(self.link).port
        assert port is not None
        return port

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        return urlsplit(self.link).query.removeprefix("token=")

    def ask(self, path: str, method: str = "GET", body: str | None = None, **headers: str) -> Reply:
        """One request; `Host` is the page's own unless `host` says another, and `_` in names is `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        given = {"host": f"127.0.0.1:{self.port}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in given.items():
                connection.putheader(name, value)
            data = (body or "").encode()
            if body is not None:
                connection.putheader("content-length", str(len(data)))
            connection.endheaders(data or None)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read().decode("utf-8", "replace"))


_COUNTED = """
import sys
from otel_metrics.delivery.cli import main
from otel_metrics.delivery.page.feed import Feed

looks = open(sys.argv.pop(1), "ab", buffering=0)
follow = Feed.follow

async def counted(self):
    looks.write(b".")
    await follow(self)

Feed.follow = counted
main()
"""


@contextlib.contextmanager
def serving(
    database: Path, *arguments: str, alerts: bool = False, looks: Path | None = None, **variables: str
) -> Iterator[Served]:
    """Serves a store on a free port until the block ends. Without `alerts` it leaves the store as it is.

    The file `looks` gets a byte when a look at the store begins.
    """
    arguments = arguments if alerts else ("--no-alerts", *arguments)
    program = ["-m", "otel_metrics"] if looks is None else ["-c", _COUNTED, str(looks)]
    process = subprocess.Popen(
        [sys.executable, *program, "serve", "--database", str(database), "--port", "0", *arguments],
        cwd=database.parent, env=environment(database.parent, **variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        link = next((word for word in said.split() if word.startswith("http")), "")
        assert link, f"{said}{process.stderr.read() if process.stderr else ''}"
        yield Served(link, process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def watching_page(folder: Path, *arguments: str, **variables: str) -> Iterator[Served]:
    """A page that looks at the alerts every second."""
    with serving(folder / "metrics.db", "--interval", "1s", *arguments, alerts=True, **variables) as served:
        yield served


def wait_for(wanted: Callable[[], Any], process: "subprocess.Popen[str] | None" = None) -> Any:
    """What comes to be true."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = wanted()
        if found:
            return found
        assert process is None or process.poll() is None, "the process is gone"
        time.sleep(0.02)
    raise AssertionError("it did not come")


def shown(page: Served) -> str:
    """What the Alerts view says."""
    return unescape(page.ask("/alerts").text)
