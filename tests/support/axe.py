"""axe-core, the checker of accessibility, run in the browser's page; its script comes from a package of the extra `dev`."""

import importlib.util
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_PACKAGE = "axe_playwright_python"  # of it only the script is used; no other package has a current one
_GRAVE = frozenset({"serious", "critical"})

needs_axe = pytest.mark.skipif(
    importlib.util.find_spec(_PACKAGE) is None, reason="axe-core not found: pip install axe-playwright-python"
)


@cache
def _script() -> str:
    return (files(_PACKAGE) / "axe.min.js").read_text(encoding="utf-8")


def violations(driver: "Chrome") -> list[str]:
    """What axe-core finds on the page that is serious or critical, a line for each element."""
    if not driver.execute_script("return Boolean(window.axe)"):
        driver.execute_script(_script())
    found: Any = driver.execute_async_script(
        "const done = arguments[0];"
        "axe.run(document, {resultTypes: ['violations']}).then((one) => done(one.violations), (error) => done(String(error)))"
    )
    assert isinstance(found, list), found
    return [
        f"{rule['id']} ({rule['impact']}): {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in found
        if rule["impact"] in _GRAVE
        for node in rule["nodes"]
    ]
