"""Measures the live page: how long the first view takes, server time of a refresh while a bot records, what an open page costs at rest.

`python benchmarks/page.py [rows]`: over so many stage rows of 30 days in segments (1 million if no number is given).
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

from generator import generate, write_cold
from stores import settings_in

from otel_metrics import MetricsService
from otel_metrics.delivery.cli.desk import storage_of
from otel_metrics.delivery.page.catalogue import cards_of
from otel_metrics.delivery.page.feed import Feed
from otel_metrics.delivery.page.place import VIEWS, Place
from otel_metrics.settings import Settings
from otel_metrics.store.layout import StoreLayout

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_REFRESHES = 20
_REST_S = 60.0
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
    """A session is recorded before each refresh, so that none is spared."""
    with MetricsService(replace(settings, drain_interval_s=0.0)) as bot:
        for view in VIEWS:
            feed = Feed(settings, storage_of(settings))
            first_s = asyncio.run(_refresh(feed, view))
            took = []
            for _ in range(_REFRESHES):
                session = bot.create_session(1, 1)
                with bot.timer(session, 1, 1, "ai_processing"):
                    pass
                feed._kept.clear()
                took.append(asyncio.run(_refresh(feed, view)))
            feed.close()
            p95_s = statistics.quantiles(took, n=20)[-1]
            print(
                f"{view:12} first {1000 * first_s:6.0f} ms, refresh median {1000 * statistics.median(took):6.0f} ms, p95 {1000 * p95_s:6.0f} ms"
            )


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
                print(f"at rest with one open page: {100 * used:.1f} % of a core, {_memory_mb(server.pid):.0f} MB")
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


def _memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


if __name__ == "__main__":
    main()
