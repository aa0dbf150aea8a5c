"""The live page in a real browser: going from view to view, doing something, and stores that are none yet or no more."""

from pathlib import Path
from typing import TYPE_CHECKING

from support.browser import complaints, needs_browser, opened, text_of, until
from support.page import Served, serving

from otel_metrics import MetricsService
from otel_metrics.settings import load

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = needs_browser


def test_views_are_changed_without_a_new_page(chrome: "Chrome", demo_page: Served):
    """A click, a key and the browser's way back lead to other views; address, title and focus follow."""
    opened(chrome, demo_page.base)
    chrome.execute_script("window.stays = true; document.querySelector('#nav-overview').click()")
    until(chrome, "return document.querySelector('h1').textContent === 'Overview'")
    until(chrome, "return document.title.startsWith('Overview') && document.activeElement.id === 'content'")
    assert chrome.current_url == f"{demo_page.base}/overview"
    chrome.execute_script("document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '6', bubbles: true}))")
    until(chrome, "return document.querySelector('#figure-tokens') !== null")
    chrome.back()
    until(chrome, "return document.querySelector('#card-bottleneck') !== null")
    assert chrome.execute_script("return window.stays")
    assert complaints(chrome) == []


def test_a_query_runs_when_it_is_asked_for(chrome: "Chrome", demo_page: Served):
    """A link brings the text of a query and does not run it; the button does, and the answer is a table."""
    opened(chrome, f"{demo_page.base}/sql?q=SELECT+40%2B2+AS+answer")
    assert not chrome.execute_script("return document.querySelector('#card-answer')")
    chrome.execute_script("document.querySelector('#card-query form').requestSubmit()")
    assert text_of(chrome, "#table-answer tbody") == "42"
    assert complaints(chrome) == []


def test_a_rule_is_silenced_and_heard_again(chrome: "Chrome", own_demo: Path):
    """A rule that is silenced on the page shows its silence and its reason, and ends it by a button."""
    with serving(own_demo) as served:
        opened(chrome, f"{served.base}/alerts?rule=slow_processing")
        chrome.execute_script(
            "const form = document.querySelector('#card-silence form'); form.elements.reason.value = 'we <b>know</b>'; form.requestSubmit()"
        )
        until(chrome, "return document.querySelector('#table-silences')?.textContent.includes('we <b>know</b>')")
        chrome.execute_script("document.querySelector('#card-silences form').requestSubmit()")
        until(chrome, "return document.querySelector('#table-silences') === null")
        assert complaints(chrome) == []


def test_an_empty_store_says_how_to_begin_and_then_fills(chrome: "Chrome", tmp_path: Path):
    """Without a store the page says how to make one; when a bot begins to record, the page shows it by itself."""
    with serving(tmp_path / "metrics.db") as served:
        opened(chrome, served.base)
        assert "otel-metrics demo" in text_of(chrome, "#card-state")
        settings = load({"database": tmp_path / "metrics.db", "log_file": tmp_path / "metrics.jsonl"}, {})
        with MetricsService(settings) as service:
            session = service.create_session(1, 1)
            with service.timer(session, 1, 1, "ai_processing"):
                pass
            until(chrome, "return document.querySelector('#figure-waiting')?.textContent === '1'")
        assert complaints(chrome) == []


def test_a_damaged_store_is_told(chrome: "Chrome", tmp_path: Path):
    """A database that is none is said to be damaged, in every view, with what to do."""
    (tmp_path / "metrics.db").write_bytes(b"not a database at all" * 500)
    with serving(tmp_path / "metrics.db") as served:
        opened(chrome, f"{served.base}/cost")
        until(chrome, "return document.querySelector('#title-state')?.textContent === 'The store is damaged'")
        assert "doctor" in text_of(chrome, "#card-state")
