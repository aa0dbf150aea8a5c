"""Examples by thousands for one door: bounded in number and time, the same ones in each ordinary run."""

import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

ORDINARY, LONG, LONG_WITHIN_S = 5_000, 200_000, 600.0
SIZES = pytest.mark.parametrize("total", [ORDINARY, pytest.param(LONG, marks=pytest.mark.long)])
# The promise is that nothing hangs for over a second; this machine may be busy with other tests.
LONGEST_S = 5.0


class Fuzz:
    """Examples by thousands: the same ones in each ordinary run, and as many others as there is time for in a long one."""

    def __init__(self, total: int, at_once: int = 1) -> None:
        self._total = total
        self._at_once = at_once
        self.done = 0
        self.longest_s = 0.0

    def rounds(self) -> Iterator[int]:
        """Numbers of rounds, of at most so many examples as an ordinary run has."""
        begun = time.monotonic()
        for number in itertools.count():
            if self.done >= self._total or time.monotonic() - begun > LONG_WITHIN_S:
                break
            yield number
        print(f"{self.done} examples in {time.monotonic() - begun:.1f} s, the longest {self.longest_s:.3f} s")
        assert self.longest_s < LONGEST_S

    def round(self, number: int, strategy: SearchStrategy[Any], check: Callable[[Any], object]) -> None:
        """Checks one round of examples; an example may be a list of `at_once` cases."""

        @seed(number)
        @settings(
            max_examples=ORDINARY // self._at_once, database=None, deadline=None, phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(strategy)
        def one(example: Any) -> None:
            begun = time.monotonic()
            check(example)
            self.longest_s = max(self.longest_s, time.monotonic() - begun)
            self.done += self._at_once

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a bot is warned; what is counted here are exceptions
            one()
