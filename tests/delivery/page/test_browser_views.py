"""Every view of the page in a real browser, over 100,000 sessions, over none, and over hostile texts."""

from typing import TYPE_CHECKING

import pytest
from support.browser import heard, look, needs_browser, opened, overflow, shown, text_of, until
from support.page import Served
from support.page_stores import WHOLE_H

from otel_metrics.delivery.page.place import VIEWS

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = needs_browser
_PHONE = 375
_SURFACES = "return ['body', '.card, .tile', '.top'].map((one) => getComputedStyle(document.querySelector(one)).backgroundColor)"


def _light(color: str) -> float:
    """How light a colour such as `rgb(14, 19, 24)` is, from 0 to 1."""
    return sum(map(float, color.removeprefix("rgb(").rstrip(")").split(","))) / 3 / 255


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_opens_by_its_address(chrome: "Chrome", page: Served, view: str):
    """A view shows its cards and charts; the console is silent, no request fails, nobody else is asked, nothing sticks out."""
    look(chrome)
    opened(chrome, f"{page.base}/{view}?hours={WHOLE_H}")
    assert text_of(chrome, "h1") == VIEWS[view]
    assert text_of(chrome, ".views [aria-current=page]") == VIEWS[view]
    assert not chrome.execute_script("return document.querySelector('#card-state')")
    assert overflow(chrome) == 0
    assert heard(chrome, page.base) == []


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_fits_on_a_phone(chrome: "Chrome", page: Served, view: str):
    """On a screen of 375 pixels nothing makes the page wider, and the view that is open is in sight in the navigation."""
    look(chrome, dark=True, width=_PHONE)
    opened(chrome, f"{page.base}/{view}?hours={WHOLE_H}")
    assert overflow(chrome) == 0
    until(
        chrome,
        "const box = document.querySelector('.views [aria-current=page]').getBoundingClientRect();"
        "return box.left >= 0 && box.right <= innerWidth",
    )
    assert heard(chrome, page.base) == []


def test_each_view_opens_by_a_click(chrome: "Chrome", page: Served):
    """A click in the navigation shows a view without a new page, with the time range kept; nothing fails on the way."""
    look(chrome)
    opened(chrome, f"{page.base}/now?hours={WHOLE_H}")
    chrome.execute_script("window.stays = true")
    for view in [*VIEWS][1:] + [*VIEWS][:1]:
        chrome.find_element("id", f"nav-{view}").click()
        until(chrome, "return document.querySelector('h1').textContent === arguments[0]", VIEWS[view])
        until(chrome, "return document.activeElement.id === 'content'")
        shown(chrome)
        assert chrome.current_url == f"{page.base}/{view}?hours={WHOLE_H}"
        assert not chrome.execute_script("return document.querySelector('#card-state')")
    assert chrome.execute_script("return window.stays")
    assert heard(chrome, page.base) == []


@pytest.mark.parametrize("view", VIEWS)
def test_dark_and_light_follow_the_system(chrome: "Chrome", large: Served, view: str):
    """Where the system is dark every surface of the page is dark, and light where it is light, without a new page."""
    look(chrome, dark=True)
    opened(chrome, f"{large.base}/{view}?hours={WHOLE_H}")
    dark = [_light(one) for one in chrome.execute_script(_SURFACES)]
    look(chrome)
    light = [_light(one) for one in chrome.execute_script(_SURFACES)]
    assert max(dark) < 0.2
    assert min(light) > 0.9


def test_the_switch_is_remembered(chrome: "Chrome", large: Served):
    """The button makes a light page dark, and it is still dark when the page is opened again."""
    look(chrome)
    opened(chrome, f"{large.base}/now")
    chrome.find_element("id", "theme").click()
    try:
        opened(chrome, f"{large.base}/now")
        assert max(_light(one) for one in chrome.execute_script(_SURFACES)) < 0.2
    finally:
        chrome.execute_script("localStorage.clear()")
