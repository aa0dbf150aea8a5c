"""A real browser for the live page: Debian's Chromium by Selenium, without a window; tests are skipped where it is absent."""

import contextlib
import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
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


def complaints(driver: "Chrome") -> list[str]:
    """What the browser's console has said since the last time, but for what is only told."""
    logs: Any = driver.get_log("browser")  # type: ignore[no-untyped-call]
    return [str(one["message"]) for one in logs if one["level"] in {"SEVERE", "WARNING"}]


def screenshot(driver: "Chrome", path: Path) -> None:
    """What is to be seen now, as a file."""
    path.write_bytes(driver.get_screenshot_as_png())
