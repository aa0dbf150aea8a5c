"""The page follows the store: what another process records is shown within two refreshes."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.browser import heard, look, needs_browser, opened, text_of, until
from support.page import Served, serving
from support.page_stores import WHOLE_H, make_empty
from support.processes import run

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = needs_browser
_BOT = """
    import otel_metrics as metrics
    session = metrics.create_session(4711, 4711)
    with metrics.timer(session, 4711, 4711, "ai_processing"):
        pass
    print(session)
"""
_WITHIN = 2


@dataclass(frozen=True)
class Followed:
    """A page whose looks at its store are counted, each before it begins."""

    served: Served
    folder: Path

    @property
    def looks(self) -> int:
        return (self.folder / "looks").stat().st_size


@pytest.fixture(scope="module", params=["empty", "large"])
def followed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    """A page over a store to record into: one that holds nothing, or a copy of the one of 100,000 sessions."""
    folder = tmp_path_factory.mktemp("followed")
    if request.param == "empty":
        make_empty(folder)
    else:
        shutil.copytree(request.getfixturevalue("large_store").parent, folder, dirs_exist_ok=True)
    with serving(folder / "metrics.db", looks=folder / "looks") as served:
        yield Followed(served, folder)


@pytest.mark.parametrize("figure", ["now#waiting", "overview#total_requests"])
def test_a_figure_counts_on_within_two_refreshes(chrome: "Chrome", followed: Followed, figure: str):
    """A number grows by one when another process has recorded a session, before a third look at the store begins."""
    view, name = figure.split("#")
    look(chrome)
    opened(chrome, f"{followed.served.base}/{view}?hours={WHOLE_H}")
    known = int(text_of(chrome, f"#figure-{name}").replace(",", ""))
    run(_BOT, followed.folder)
    before = followed.looks
    until(chrome, f"return document.querySelector('#figure-{name}').textContent === '{known + 1:,}'")
    assert followed.looks - before <= _WITHIN
    assert heard(chrome, followed.served.base) == []


@pytest.mark.parametrize("place", ["sessions", "sessions?waiting=yes", "sessions?user=4711"])
def test_a_new_session_appears_within_two_refreshes(chrome: "Chrome", followed: Followed, place: str):
    """A session that another process has recorded stands in the list before a third look at the store begins."""
    look(chrome)
    opened(chrome, f"{followed.served.base}/{place}")
    session = run(_BOT, followed.folder).strip()
    before = followed.looks
    until(chrome, f"return document.querySelector('#table-sessions a[title=\"{session}\"]') !== null")
    assert followed.looks - before <= _WITHIN
    assert heard(chrome, followed.served.base) == []
