"""A real browser for the live page: Debian's Chromium by Selenium, without a window; tests are skipped where it is absent."""

import contextlib
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

WAIT_S = 20


def why_not() -> str:
    """Why there is no browser here; empty where there is one."""
    if importlib.util.find_spec("selenium") is None:
        return "selenium is not installed"
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(missing)} not found: apt install chromium chromium-driver" if missing else ""


needs_browser = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is one")


@contextlib.contextmanager
def browser(width: int = 1280, height: int = 900) -> Iterator["Chrome"]:
    """A browser with an empty profile that talks to nobody but the page."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for argument in (
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", f"--window-size={width},{height}", f"--user-data-dir={profile}",
        ):  # fmt: skip
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
        try:
            driver.set_page_load_timeout(WAIT_S)
            yield driver
        finally:
            driver.quit()


def until(driver: "Chrome", script: str, *arguments: object) -> Any:
    """Waits until a piece of JavaScript gives something that is true, and gives it."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, WAIT_S, 0.05).until(lambda one: one.execute_script(script, *arguments))


def text_of(driver: "Chrome", css: str) -> str:
    """The text of the first element of a selector, as soon as there is one with text."""
    return str(until(driver, "return document.querySelector(arguments[0])?.textContent.trim()", css))


def opened(driver: "Chrome", url: str) -> None:
    """Opens an address and waits until the view is shown whole; what another page said is forgotten."""
    driver.get("about:blank")
    heard(driver)
    driver.get(url)
    shown(driver)


def shown(driver: "Chrome") -> None:
    """Waits for the page's socket, for cards that are more than "one moment", and for every chart to be drawn."""
    until(
        driver,
        "const first = document.querySelector('main section h2'); return window.socket?.connected && first !== null"
        " && first.textContent !== 'Reading the store'"
        " && document.querySelectorAll('.chart').length === document.querySelectorAll('.chart svg').length",
    )


def look(driver: "Chrome", *, dark: bool = False, width: int | None = None) -> None:
    """What the system asks of pages from now on: dark or light, no motion, and a screen as wide as a phone's or the usual one."""
    wishes = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in wishes.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    if width is None:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    else:
        screen = {"width": width, "height": 800, "deviceScaleFactor": 2, "mobile": True}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def overflow(driver: "Chrome") -> int:
    """By how many pixels the page is wider than its window; what scrolls inside a frame of its own does not count."""
    return int(
        driver.execute_script(
            "return Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - document.documentElement.clientWidth"
        )
    )


def complaints(driver: "Chrome") -> list[str]:
    """What the browser's console has said since the last time, but for what is only told."""
    logs: Any = driver.get_log("browser")  # type: ignore[no-untyped-call]
    return [str(one["message"]) for one in logs if one["level"] in {"SEVERE", "WARNING"}]


def heard(driver: "Chrome", base: str = "") -> list[str]:
    """What went wrong since the last time: the console's complaints, requests that failed, and requests to anybody but `base`."""
    logs: Any = driver.get_log("performance")  # type: ignore[no-untyped-call]
    wrong = complaints(driver)
    for one in logs:
        event = json.loads(one["message"])["message"]
        told, method = event["params"], event["method"]
        if method == "Network.requestWillBeSent" and not _is_own(told["request"]["url"], base):
            wrong.append(f"asked {told['request']['url']}")
        elif method == "Network.webSocketCreated" and not _is_own(told["url"], base):
            wrong.append(f"a socket to {told['url']}")
        elif method == "Network.responseReceived" and told["response"]["status"] >= 400:
            wrong.append(f"{told['response']['status']} for {told['response']['url']}")
        elif method == "Network.loadingFailed" and not told.get("canceled"):
            wrong.append(f"{told['errorText']} ({told['type']})")
    return wrong


def _is_own(url: str, base: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"about", "data", "blob"} or parts.netloc == urlsplit(base).netloc


def screenshot(driver: "Chrome", path: Path) -> None:
    """What is to be seen now, as a file."""
    path.write_bytes(driver.get_screenshot_as_png())
