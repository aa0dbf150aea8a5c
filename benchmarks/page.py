"""Measures the live page: how long the first view takes, server time of a refresh while a bot records, what an open page costs at rest.

`python benchmarks/page.py [rows]`: over so many stage rows of 30 days in segments (1 million if no number is given).
Of each view: its first figures, its figures asked for anew, and what its refreshes cost in two minutes as the server makes
them: every two seconds, where expensive figures rest in between.
"""

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from generator import generate, write_cold
from stores import settings_in

from otel_metrics import MetricsService
from otel_metrics.delivery.cli.desk import storage_of
from otel_metrics.delivery.page.catalogue import cards_of
from otel_metrics.delivery.page.feed import Feed
from otel_metrics.delivery.page.place import VIEWS, Place
from otel_metrics.delivery.page.server import EVERY_S
from otel_metrics.settings import Settings
from otel_metrics.store.layout import StoreLayout

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_ANEW = 20
_REFRESHES = 60
_REST_S = 60.0
_FIRST_FIGURES_S = 15.0
"""What no first figures take: views that are asked for without a browser finish behind the answer."""
_TICKS = os.sysconf("SC_CLK_TCK")
_SHOWN_MS = (
    "const first = document.querySelector('main section h2'), charts = document.querySelectorAll('.chart');"
    "return first !== null && first.textContent !== 'Reading the store'"
    " && [...charts].every((one) => one.querySelector('svg')) && performance.now()"
)


def main() -> None:
    rows = int(sys.argv[1].replace("_", "")) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        settings = settings_in(Path(name))
        print(f"{write_cold(generate(rows, 30), StoreLayout(settings.database, settings.log_file)):,} rows in segments")
        _refreshes(settings)
        _in_a_browser(settings)


def _refreshes(settings: Settings) -> None:
    """A session is recorded before each refresh, so that none is spared for want of news."""
    with MetricsService(replace(settings, drain_interval_s=0.0)) as bot:
        anew = {view: _asked_anew(settings, bot, view) for view in VIEWS}
        served = _as_served(settings, bot)
    for view in VIEWS:
        first_s, took = anew[view]
        print(
            f"{view:12} first {1000 * first_s:6.0f} ms, anew: median {1000 * statistics.median(took):6.0f} ms,"
            f" refreshes: median {1000 * statistics.median(served[view]):6.0f} ms, p95 {1000 * _p95(served[view]):6.0f} ms"
        )
    print(f"all views, refreshes: p95 {1000 * _p95([one for each in served.values() for one in each]):.0f} ms")


def _asked_anew(settings: Settings, bot: MetricsService, view: str) -> tuple[float, list[float]]:
    feed = Feed(settings, storage_of(settings))
    first_s = asyncio.run(_refresh(feed, view))
    took = []
    for _ in range(_ANEW):
        _record(bot)
        feed._kept.clear()
        took.append(asyncio.run(_refresh(feed, view)))
    feed.close()
    return first_s, took


def _as_served(settings: Settings, bot: MetricsService) -> dict[str, list[float]]:
    """Every view open in a browser at once: what each refresh costs, the first ones left out."""
    feed = Feed(settings, storage_of(settings))
    for view in VIEWS:
        asyncio.run(_refresh(feed, view))
    took: dict[str, list[float]] = {view: [] for view in VIEWS}
    for _ in range(_REFRESHES):
        began = time.monotonic()
        for view in VIEWS:
            _record(bot)
            took[view].append(asyncio.run(_refresh(feed, view)))
        time.sleep(max(0.0, EVERY_S - (time.monotonic() - began)))
    feed.close()
    return took


def _record(bot: MetricsService) -> None:
    session = bot.create_session(1, 1)
    with bot.timer(session, 1, 1, "ai_processing"):
        pass


def _p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


async def _refresh(feed: Feed, view: str) -> float:
    began = time.perf_counter()
    await feed.follow()
    await feed.cards(cards_of, Place(view))
    return time.perf_counter() - began


def _in_a_browser(settings: Settings) -> None:
    """From the request to the last chart of the first view, each view with a `serve` that has just been started; then at rest."""
    try:
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver.support.ui import WebDriverWait
    except ModuleNotFoundError:
        print("selenium is not installed: no figures of a browser")
        return
    try:
        with _browser() as browser:
            for view in VIEWS:
                with _serving(settings) as (_, link):
                    browser.get(f"{link}{view}")
                    took_ms = WebDriverWait(browser, 60, 0.01).until(lambda one: one.execute_script(_SHOWN_MS))
                    print(f"{view:12} first view in the browser {took_ms:6.0f} ms")
            with _serving(settings) as (server, link):
                browser.get(f"{link}overview")
                time.sleep(10)
                before_s = _processor_s(server.pid)
                time.sleep(_REST_S)
                used = (_processor_s(server.pid) - before_s) / _REST_S
                print(
                    f"at rest with one open page: {100 * used:.1f} % of a core, {_memory_mb(server.pid, 'VmRSS'):.0f} MB"
                )
                for view in VIEWS:
                    with urlopen(f"{link}{view}", timeout=60) as answer:
                        answer.read()
                time.sleep(_FIRST_FIGURES_S)
                now_mb, most_mb = (_memory_mb(server.pid, what) for what in ("VmRSS", "VmHWM"))
                print(f"after a look at every view: {now_mb:.0f} MB, at most {most_mb:.0f} MB")
    except WebDriverException as error:
        print(f"no figures of a browser: {error.msg}")


@contextmanager
def _serving(settings: Settings) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "otel_metrics", "serve", "--database", str(settings.database), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server, server.stdout.readline().split()[-1]
        finally:
            server.terminate()


@contextmanager
def _browser() -> "Iterator[Chrome]":
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        for flag in (
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", f"--user-data-dir={profile}",
        ):  # fmt: skip
            options.add_argument(flag)
        driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory_mb(pid: int, what: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition(f"{what}:")[2].split()[0]) / 1000


if __name__ == "__main__":
    main()
