"""The live page in a real browser: every view opens, follows the store, and keeps what users wrote harmless."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.browser import browser, complaints, needs_browser, text_of, until
from support.page import Served, serving

from otel_metrics import MetricsService
from otel_metrics.analytics.answers import Answers
from otel_metrics.delivery.page.place import VIEWS
from otel_metrics.settings import load

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = needs_browser
_EVIL = "<img src=x onerror=\"window.owned=1\"></script><script>window.owned=1</script>'\"`{{constructor.constructor('window.owned=1')()}}"


@pytest.fixture(scope="module")
def chrome() -> Iterator["Chrome"]:
    """One browser for these tests."""
    with browser() as driver:
        yield driver


@pytest.fixture(scope="module")
def demo_page(demo_folder: Path) -> Iterator[Served]:
    """A page over a demo's store."""
    with serving(demo_folder / "metrics.db") as served:
        yield served


def _opened(driver: "Chrome", url: str) -> None:
    """Opens an address and waits for the first card and for the page's socket; what another page said is forgotten."""
    driver.get("about:blank")
    complaints(driver)
    driver.get(url)
    until(driver, "return window.socket?.connected && document.querySelector('main section h2') !== null")


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_opens(chrome: "Chrome", demo_page: Served, view: str):
    """Each view of a demo shows its heading, marks itself in the navigation, has cards, and the console is silent."""
    _opened(chrome, f"{demo_page.base}/{view}?hours=168")
    assert text_of(chrome, "h1") == VIEWS[view]
    assert text_of(chrome, ".views [aria-current=page]") == VIEWS[view]
    assert not chrome.execute_script("return document.querySelector('#card-state')")
    charts = chrome.execute_script("return document.querySelectorAll('.chart').length")
    until(chrome, "return document.querySelectorAll('.chart svg').length === arguments[0]", charts)
    assert complaints(chrome) == []


def test_views_are_changed_without_a_new_page(chrome: "Chrome", demo_page: Served):
    """A click, a key and the browser's way back lead to other views; address, title and focus follow."""
    _opened(chrome, demo_page.base)
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


def test_a_number_is_that_of_the_dashboard(chrome: "Chrome", demo_page: Served, demo: Path):
    """The sessions of Overview are those of the dashboard document."""
    settings = load({"database": demo, "log_file": demo.with_suffix(".jsonl")}, {})
    with MetricsService(settings) as service:
        answers: Answers = service.answers
        expected = answers.dashboard(168)["overview"]["total_requests"]
    _opened(chrome, f"{demo_page.base}/overview?hours=168")
    assert int(text_of(chrome, "#figure-total_requests").replace(",", "")) == expected


def test_a_query_runs_when_it_is_asked_for(chrome: "Chrome", demo_page: Served):
    """A link brings the text of a query and does not run it; the button does, and the answer is a table."""
    _opened(chrome, f"{demo_page.base}/sql?q=SELECT+40%2B2+AS+answer")
    assert not chrome.execute_script("return document.querySelector('#card-answer')")
    chrome.execute_script("document.querySelector('#card-query form').requestSubmit()")
    assert text_of(chrome, "#table-answer tbody") == "42"
    assert complaints(chrome) == []


def test_a_rule_is_silenced_and_heard_again(chrome: "Chrome", own_demo: Path):
    """A rule that is silenced on the page shows its silence and its reason, and ends it by a button."""
    with serving(own_demo) as served:
        _opened(chrome, f"{served.base}/alerts?rule=slow_processing")
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
        _opened(chrome, served.base)
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
        _opened(chrome, f"{served.base}/cost")
        until(chrome, "return document.querySelector('#title-state')?.textContent === 'The store is damaged'")
        assert "doctor" in text_of(chrome, "#card-state")


def test_what_users_write_is_never_markup(chrome: "Chrome", tmp_path: Path):
    """Names, stages, errors, log lines and metadata full of markup are shown as text in every view."""
    settings = load({"database": tmp_path / "metrics.db", "log_file": tmp_path / "metrics.jsonl"}, {})
    with MetricsService(settings) as service:
        session = service.create_session(_EVIL, _EVIL, name=_EVIL, **{_EVIL: _EVIL})
        for stage in (_EVIL[:60], "ai_processing", "admin_review"):
            with (
                pytest.raises(ValueError, match="img"),
                service.timer(session, _EVIL, _EVIL, stage, model=_EVIL, prompt=_EVIL),
            ):
                service.get_logger().warning(_EVIL, _EVIL, session_id=session, **{_EVIL: _EVIL})
                raise ValueError(_EVIL)
        service.record_correction(session, 5, _EVIL, "text_correction", "a", "b", 5, model=_EVIL, prompt=_EVIL)
        with service.timer(session, 1, 1, _EVIL[:60]), serving(tmp_path / "metrics.db") as served:
            for path in (
                *VIEWS,
                f"sessions?id={session}",
                "sessions?user=%3Cimg%20src%3Dx%20onerror%3Dwindow.owned%3D1%3E",
            ):
                _opened(chrome, f"{served.base}/{path}")
                assert not chrome.execute_script("return window.owned || document.querySelector('main img')"), path
                assert complaints(chrome) == []
            _opened(chrome, f"{served.base}/sessions?id={session}")
            assert "<img src=x" in text_of(chrome, "#table-waterfall")
