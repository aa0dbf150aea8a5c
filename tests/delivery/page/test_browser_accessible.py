"""The page for everybody: what axe-core finds in each view, and everything by the keyboard."""

from typing import TYPE_CHECKING

import pytest
from support.axe import needs_axe, violations
from support.browser import look, needs_browser, opened
from support.page import Served
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
    for dark in (False, True):
        look(chrome, dark=dark)
        assert violations(chrome) == [], f"dark={dark}"
