"""The page for everybody: what axe-core finds in each view, dark and light, and in what forms bring."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from support.axe import needs_axe, violations
from support.browser import look, needs_browser, opened, until
from support.page import Served, serving
from support.page_stores import WHOLE_H

from otel_metrics.delivery.page.place import VIEWS

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = needs_browser


@needs_axe
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_keeps_anybody_out(chrome: "Chrome", page: Served, view: str):
    """Each view, dark and light, over each store: axe-core finds nothing serious or critical."""
    opened(chrome, f"{page.base}/{view}?hours={WHOLE_H}")
    _open_to_all(chrome)


@needs_axe
def test_a_session_keeps_nobody_out(chrome: "Chrome", hostile: Served, large: Served):
    """One session with its waterfall, log and metadata, of hostile texts and of usual ones."""
    for served in (hostile, large):
        opened(chrome, f"{served.base}/sessions?hours={WHOLE_H}")
        opened(chrome, chrome.execute_script("return [...document.querySelectorAll('#table-sessions a')].at(-1).href"))
        assert chrome.execute_script("return document.querySelector('#table-waterfall tbody') !== null")
        _open_to_all(chrome)


@needs_axe
def test_what_forms_bring_keeps_nobody_out(chrome: "Chrome", hostile: Served):
    """The answer of a query, a query that fails, a rule explained with its silences, a search that is refused."""
    for query, shown in (("FROM processing_metrics", "#table-answer"), ("SELECT nothing", "#card-answer .bad")):
        opened(chrome, f"{hostile.base}/sql?{urlencode({'q': query})}")
        chrome.execute_script("document.querySelector('#card-query form').requestSubmit()")
        until(chrome, f"return document.querySelector('{shown}') !== null")
        _open_to_all(chrome)
    for place in ("alerts?rule=slow", "sessions?longer=never", "now?hours=nothing"):
        opened(chrome, f"{hostile.base}/{place}")
        _open_to_all(chrome)


@needs_axe
def test_no_store_and_a_damaged_one_keep_nobody_out(chrome: "Chrome", tmp_path: Path):
    """What the page says where there is nothing to show."""
    for name, content in (("none", None), ("damaged", b"not a database at all" * 500)):
        database = tmp_path / name / "metrics.db"
        database.parent.mkdir()
        if content:
            database.write_bytes(content)
        with serving(database) as served:
            opened(chrome, served.base)
            until(chrome, "return document.querySelector('#card-state') !== null")
            _open_to_all(chrome)


def _open_to_all(driver: "Chrome") -> None:
    for dark in (False, True):
        look(driver, dark=dark)
        assert violations(driver) == [], f"dark={dark}"
