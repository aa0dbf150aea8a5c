"""The page over texts that were written to break it: shown as text, nothing of them runs, the layout holds."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest
from support.browser import heard, look, needs_browser, opened, overflow, until
from support.page import Served
from support.page_stores import HOSTILE, WHOLE_H
from support.stores import only_row

from otel_metrics.delivery.page.place import VIEWS

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = needs_browser
_INTRUDERS = (
    "return document.querySelectorAll('main img, main script, main svg[onload], main b, main iframe, [onerror], [onfocus],"
    ' a[href^="javascript:" i], main style\').length'
)
_SEEN = "return document.querySelector('main').innerText"
_TALLEST_ROW = (
    "return Math.max(0, ...[...document.querySelectorAll('main tr')].map((one) => one.getBoundingClientRect().height))"
)


def _unharmed(driver: "Chrome", base: str) -> None:
    """Nothing ran, nothing became an element, nothing was asked for, and the page is as wide as its window."""
    assert driver.execute_script("return window.owned ?? null") is None
    assert driver.execute_script(_INTRUDERS) == 0
    assert driver.execute_script("return Object.keys(Object.prototype).length") == 0
    assert overflow(driver) == 0
    assert heard(driver, base) == []


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_runs_what_people_wrote(chrome: "Chrome", hostile: Served, view: str):
    """Markup, scripts, quotes, templates and control characters are text in every view, wide and on a phone."""
    for width in (None, 375):
        look(chrome, width=width)
        opened(chrome, f"{hostile.base}/{view}?hours={WHOLE_H}")
        _unharmed(chrome, hostile.base)
        assert chrome.execute_script(_TALLEST_ROW) < 400


@pytest.mark.parametrize(
    ("view", "places"), [("corrections", 3), ("cost", 2), ("overview", 2), ("now", 2), ("alerts", 3)]
)
def test_names_are_shown_as_they_are_written(chrome: "Chrome", hostile: Served, view: str, places: int):
    """Models, prompt versions, intents, stages and labels of alerts stand on the page letter by letter, in all their places."""
    look(chrome)
    opened(chrome, f"{hostile.base}/{view}?hours={WHOLE_H}")
    seen = chrome.execute_script(_SEEN)
    for name in ("image", "quotes", "template", "prototype", "script"):
        assert seen.count(HOSTILE[name][:40]) >= places, name


def test_what_turns_the_direction_is_shown_and_not_obeyed(chrome: "Chrome", hostile: Served):
    """Overrides of the writing direction and control characters are to be seen on the page as such, and stand nowhere in it."""
    look(chrome)
    for view in ("corrections", "cost", "sessions", "alerts", "now"):
        opened(chrome, f"{hostile.base}/{view}?hours={WHOLE_H}")
        whole = chrome.execute_script("return document.documentElement.outerHTML")
        assert not [sign for sign in "\u202e\u2066\u200f\x00\x07\x1b\x9b\x7f" if sign in whole], view
    opened(chrome, f"{hostile.base}/corrections?hours={WHOLE_H}")
    assert "\\u202egnp.exe" in chrome.execute_script(_SEEN)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_session_shows_what_was_written(chrome: "Chrome", hostile: Served, hostile_store: Path, name: str):
    """Metadata, errors, models and log lines of a session are text in its view."""
    look(chrome)
    text = HOSTILE[name]
    found = only_row(hostile_store, "sessions", "json_extract(metadata, '$.which') = ?", name)
    opened(chrome, f"{hostile.base}/sessions?id={found['session_id']}")
    _unharmed(chrome, hostile.base)
    if name in {"image", "script", "quotes", "template", "prototype", "backticks"}:
        seen = chrome.execute_script(_SEEN)
        assert seen.count(text[:40]) >= 20


def test_a_session_of_any_name_can_be_opened(chrome: "Chrome", hostile: Served):
    """Sessions whose ids are hostile themselves are opened by the links to them, and show their stage."""
    look(chrome)
    opened(chrome, f"{hostile.base}/now?hours={WHOLE_H}")
    links = chrome.execute_script("return [...document.querySelectorAll('#table-running a')].map((one) => one.href)")
    assert len(links) == len(HOSTILE)
    for link in links:
        opened(chrome, link)
        assert chrome.execute_script("return document.querySelectorAll('#table-waterfall tbody tr').length") == 2, link
        _unharmed(chrome, hostile.base)


@pytest.mark.parametrize(
    "place", ["sessions?user={}", "sessions?stage={}&error={}", "alerts?rule={}", "now?hours={}", "sql?q={}"]
)
def test_addresses_are_text_too(chrome: "Chrome", hostile: Served, place: str):
    """What a link brings along, such as a search, is shown as text or refused; nothing of it runs."""
    look(chrome)
    for name in ("image", "script", "quotes", "template"):
        opened(chrome, f"{hostile.base}/{place.replace('{}', quote(HOSTILE[name], safe=''))}")
        assert chrome.execute_script("return window.owned ?? null") is None
        assert chrome.execute_script(_INTRUDERS) == 0
        assert overflow(chrome) == 0


def test_answers_and_reasons_are_text(chrome: "Chrome", hostile: Served):
    """Rows of a free query, the names of its columns, and the reasons of silences are text."""
    look(chrome)
    query = f"""SELECT model AS "{HOSTILE["image"].replace('"', "'")}", metadata FROM processing_metrics LIMIT 200"""
    opened(chrome, f"{hostile.base}/sql?{urlencode({'q': query})}")
    chrome.execute_script("document.querySelector('#card-query form').requestSubmit()")
    until(chrome, "return document.querySelectorAll('#table-answer tbody tr').length > 40")
    _unharmed(chrome, hostile.base)
    opened(chrome, f"{hostile.base}/alerts?rule=slow")
    assert chrome.execute_script("return document.querySelectorAll('#table-silences tbody tr').length") == len(HOSTILE)
    _unharmed(chrome, hostile.base)
