"""Plays the moderated bot of the examples once for each set of conversations."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]  # the examples are no part of the installed package

from played_journey import PAIRS, Journey, play, real_cases, synthetic_cases  # noqa: E402


@pytest.fixture(scope="package", autouse=True)
def _bare_environment() -> Iterator[None]:
    """No setting of whoever runs the tests reaches the bots or the command line."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("METRICS_", "OTEL_", "ENABLE_METRICS"))]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="package", params=["synthetic", "real"])
def journey(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, _bare_environment: None
) -> Journey:
    """What is left when every conversation is over and both bots have stopped."""
    if request.param == "real" and not PAIRS.exists():
        pytest.skip("the real pairs are not here: ../shared/data/draft_corrections.tsv.gz")
    cases, yardsticks = real_cases() if request.param == "real" else synthetic_cases()
    return play(cases, yardsticks, tmp_path_factory.mktemp(request.param))
