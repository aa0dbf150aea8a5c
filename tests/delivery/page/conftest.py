"""What tests of the page in a browser get: the browser, and a page over each of the three stores."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.browser import browser
from support.page import Served, serving
from support.page_stores import make_empty, make_hostile, make_large

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


@pytest.fixture(scope="module")
def chrome() -> Iterator["Chrome"]:
    """One browser for the tests of a module."""
    with browser() as driver:
        yield driver


@pytest.fixture(scope="session")
def large_store(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The database of 100,000 sessions, one for all processes of a run."""
    own = tmp_path_factory.getbasetemp()
    return make_large((own if worker_id == "master" else own.parent) / "large")


@pytest.fixture(scope="session")
def hostile_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database whose every text is hostile."""
    return make_hostile(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def large(large_store: Path) -> Iterator[Served]:
    """A page over 100,000 sessions."""
    with serving(large_store) as served:
        yield served


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A page over a store that holds nothing."""
    with serving(make_empty(tmp_path_factory.mktemp("empty"))) as served:
        yield served


@pytest.fixture(scope="module")
def hostile(hostile_store: Path) -> Iterator[Served]:
    """A page over hostile texts."""
    with serving(hostile_store) as served:
        yield served


@pytest.fixture(scope="module")
def demo_page(demo_folder: Path) -> Iterator[Served]:
    """A page over a demo's store."""
    with serving(demo_folder / "metrics.db") as served:
        yield served


@pytest.fixture(params=["large", "empty", "hostile"])
def page(request: pytest.FixtureRequest) -> Served:
    """A page over each of the three stores."""
    found: Served = request.getfixturevalue(request.param)
    return found
