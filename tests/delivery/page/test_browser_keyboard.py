"""The page by the keyboard alone: Tab reaches everything and shows where it is, and the keys of the footer work."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.browser import heard, look, needs_browser, opened, text_of, until
from support.page import Served, serving
from support.processes import run

from otel_metrics.delivery.page.place import RANGES, VIEWS

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = needs_browser
_WATCH = """
    const ways = 'a[href], button:not([disabled]), input:not([type=hidden]), select, textarea, [tabindex="0"]';
    window.wanted = [...document.querySelectorAll(ways)].filter((one) => one.checkVisibility());
    window.reached = [];
    document.addEventListener('focusin', (event) => {
        const style = getComputedStyle(event.target), box = event.target.getBoundingClientRect();
        window.reached.push([
            window.wanted.indexOf(event.target), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
            box.width > 0 && box.left >= 0 && box.left < innerWidth && box.bottom > 0 && box.top < innerHeight,
            isWhole(event.target, box, parseFloat(style.outlineOffset) + parseFloat(style.outlineWidth)),
        ]);
    });
    // Whether nothing around it that scrolls cuts its frame off above or below.
    function isWhole(one, box, reach) {
        for (let around = one.parentElement; around !== document.body; around = around.parentElement) {
            const edge = around.getBoundingClientRect();
            const cuts = /auto|hidden|scroll/.test(getComputedStyle(around).overflowY);
            if (cuts && (box.top - reach < edge.top || box.bottom + reach > edge.bottom)) return false;
        }
        return true;
    }
    document.activeElement.blur();
    return window.wanted.map((one) => one.outerHTML.slice(0, 90));
"""

_BOT = """
    import otel_metrics as metrics
    session = metrics.create_session(1, 1)
    with metrics.timer(session, 1, 1, "ai_processing"):
        pass
"""


def _press(driver: "Chrome", *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    actions = ActionChains(driver, duration=0)
    for key in keys:
        actions.send_keys(key)
    actions.perform()


def _chord(driver: "Chrome", held: str, key: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(driver).key_down(held).send_keys(key).key_up(held).perform()


@pytest.mark.parametrize("place", [*VIEWS, "sessions?id", "alerts?rule=slow_processing"])
def test_tab_reaches_everything(chrome: "Chrome", demo_page: Served, place: str):
    """Tab goes through every link, button, field and table that scrolls, in order, each in sight and with a visible frame."""
    from selenium.webdriver.common.keys import Keys

    look(chrome)
    opened(chrome, f"{demo_page.base}/{'sessions' if place == 'sessions?id' else place}")
    if place == "sessions?id":
        opened(chrome, chrome.execute_script("return document.querySelector('#table-sessions a').href"))
    names: list[str] = chrome.execute_script(_WATCH)
    _press(chrome, *[Keys.TAB] * len(names))
    reached: list[Any] = chrome.execute_script("return window.reached")
    assert [names[one] for one, *_ in reached] == names
    assert [names[one] for one, framed, *_ in reached if not framed] == []
    assert [names[one] for one, _, in_sight, _ in reached if not in_sight] == []
    assert [names[one] for one, _, _, whole in reached if not whole] == []
    assert heard(chrome, demo_page.base) == []


def test_the_keys_of_the_views(chrome: "Chrome", demo_page: Served):
    """1 to 9 open the nine views, each with the focus at its beginning."""
    look(chrome)
    opened(chrome, f"{demo_page.base}/sql")
    for key, (view, title) in enumerate(VIEWS.items(), 1):
        _press(chrome, str(key))
        until(chrome, "return document.querySelector('h1').textContent === arguments[0]", title)
        until(chrome, "return document.activeElement.id === 'content'")
        assert chrome.current_url == f"{demo_page.base}/{view}"


def test_the_keys_of_the_time_range(chrome: "Chrome", demo_page: Served):
    """[ and ] go to the shorter and the longer range, and stay at the ends."""
    look(chrome)
    opened(chrome, f"{demo_page.base}/cost?hours=1")
    ranges = list(RANGES.values())
    for title in [*ranges[1:], ranges[-1]]:
        _press(chrome, "]")
        assert until(
            chrome, "return document.querySelector('.ranges [aria-current]').textContent === arguments[0]", title
        )
    for title in [*ranges[-2::-1], ranges[0]]:
        _press(chrome, "[")
        assert until(
            chrome, "return document.querySelector('.ranges [aria-current]').textContent === arguments[0]", title
        )


def test_the_keys_for_searching_and_for_dark(chrome: "Chrome", demo_page: Served):
    """/ goes to the field of a search or a query, t changes between dark and light, and while somebody writes keys are letters."""
    look(chrome)
    opened(chrome, f"{demo_page.base}/sessions")
    _press(chrome, "t")
    assert chrome.execute_script("return document.documentElement.dataset.theme") == "dark"
    _press(chrome, "t")
    assert chrome.execute_script("return document.documentElement.dataset.theme") == "light"
    _press(chrome, "/")
    _press(chrome, "t1[/")
    assert chrome.execute_script("return document.activeElement.value") == "t1[/"
    assert chrome.current_url == f"{demo_page.base}/sessions"
    assert chrome.execute_script("return document.documentElement.dataset.theme") == "light"
    chrome.execute_script("localStorage.clear()")


def test_a_query_by_the_keyboard_alone(chrome: "Chrome", demo_page: Served):
    """9, /, a query, Ctrl and Enter: the answer is a table; Shift and Tab lead back out of the field."""
    from selenium.webdriver.common.keys import Keys

    look(chrome)
    opened(chrome, f"{demo_page.base}/now")
    _press(chrome, "9")
    until(chrome, "return document.querySelector('textarea') !== null")
    _press(chrome, "/")
    chrome.execute_script("document.activeElement.select()")
    _press(chrome, "SELECT 6 * 7")
    _chord(chrome, Keys.CONTROL, Keys.ENTER)
    assert text_of(chrome, "#table-answer tbody") == "42"
    assert chrome.execute_script("return document.activeElement.tagName") == "TEXTAREA"
    _chord(chrome, Keys.SHIFT, Keys.TAB)
    assert chrome.execute_script("return document.activeElement.id") == "theme"


def test_the_way_past_the_navigation(chrome: "Chrome", demo_page: Served):
    """The first stop of Tab leads past the navigation; the next one is in the view."""
    from selenium.webdriver.common.keys import Keys

    look(chrome)
    opened(chrome, f"{demo_page.base}/sessions")
    _press(chrome, Keys.TAB, Keys.ENTER)
    until(chrome, "return document.activeElement.id === 'content'")
    _press(chrome, Keys.TAB)
    assert chrome.execute_script("return document.activeElement.name") == "id"


def test_the_focus_stays_where_it_is_while_the_page_changes(chrome: "Chrome", own_demo: Path):
    """Who stands on a link of a table that changes by itself still stands there afterwards."""
    from selenium.webdriver.common.keys import Keys

    look(chrome)
    with serving(own_demo) as served:
        opened(chrome, f"{served.base}/sessions")
        chrome.execute_script("document.querySelectorAll('#table-sessions a')[2].focus()")
        _press(chrome, Keys.TAB)
        link = chrome.execute_script("return document.activeElement.href")
        count = chrome.execute_script("return document.querySelectorAll('#table-sessions a').length")
        run(_BOT, own_demo.parent)
        until(chrome, "return document.querySelectorAll('#table-sessions a').length === arguments[0]", count + 1)
        assert until(chrome, "return document.activeElement.href") == link
        assert chrome.execute_script("return document.activeElement.matches(':focus-visible')")


def test_a_table_stays_scrolled_while_the_page_changes(chrome: "Chrome", own_demo: Path):
    """A table that somebody has scrolled to its right end on a phone is still there when its rows have changed."""
    look(chrome, width=375)
    with serving(own_demo) as served:
        opened(chrome, f"{served.base}/sessions")
        frame = "document.querySelector('#table-sessions').parentElement"
        left = chrome.execute_script(f"{frame}.scrollLeft = 200; return {frame}.scrollLeft")
        count = chrome.execute_script("return document.querySelectorAll('#table-sessions a').length")
        run(_BOT, own_demo.parent)
        until(chrome, "return document.querySelectorAll('#table-sessions a').length === arguments[0]", count + 1)
        assert left > 0
        assert until(chrome, f"return {frame}.scrollLeft") == left
    look(chrome)
