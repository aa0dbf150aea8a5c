"""Erlang's formulas against published values, against a simulated queue, and by what must hold for every queue."""

import heapq
import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_metrics.analytics.erlang import MOST_SERVERS, erlang_b, erlang_c, servers_needed, waits_longer

loads = st.floats(0.01, 200)


@pytest.mark.parametrize(
    ("servers", "load"),
    [(1, 0.0101), (2, 0.1526), (5, 1.361), (10, 4.461), (20, 12.03), (50, 37.90), (100, 84.06)],
)  # fmt: skip
def test_busy_servers_as_in_the_tables(servers, load):
    """At the loads that Erlang B tables give for a loss of 1 %, the loss is 1 % in the digits that they print."""
    assert erlang_b(servers, load) == pytest.approx(0.01, rel=0.002)


def test_the_worked_example_of_call_centres():
    """100 calls in half an hour of 180 s each (10 erlangs) and 14 agents: 17.4 % wait, 88.8 % are served within 20 s."""
    assert erlang_c(14, 10.0) == pytest.approx(0.1741, abs=5e-5)
    assert 1 - waits_longer(14, 10.0, 180.0, 20.0) == pytest.approx(0.8884, abs=5e-5)
    assert servers_needed(10.0, 180.0, 20.0, 0.8) == 14
    assert servers_needed(10.0, 180.0, 20.0, 0.9) == 15


@given(st.floats(0.001, 0.999))
def test_one_and_two_servers_have_closed_forms(busy):
    """One server: the wait's probability is the load. Two: with ρ the load of each, 2ρ² / (1 + ρ)."""
    assert erlang_c(1, busy) == pytest.approx(busy)
    assert erlang_c(2, 2 * busy) == pytest.approx(2 * busy * busy / (1 + busy))


@given(st.integers(1, 60), st.floats(0.01, 0.99))
def test_the_recursion_equals_the_formula_with_factorials(servers, busy):
    """The stable form gives what Erlang's formula gives as it is printed."""
    load = busy * servers
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    printed = last / (sum(load**n / math.factorial(n) for n in range(servers)) + last)
    assert erlang_c(servers, load) == pytest.approx(printed, rel=1e-9)


@pytest.mark.parametrize(
    ("servers", "arrivals", "handling", "target"), [(1, 6, 0.1, 0.05), (3, 20, 0.12, 0.1), (8, 40, 0.17, 0.05)]
)
def test_a_simulated_queue_waits_as_the_formula_says(servers, arrivals, handling, target):
    """In 200,000 arrivals of a simulated M/M/c queue the share of waits is that of the formula, within 0.015."""
    waits = simulated_waits(servers, arrivals, handling, 200_000, Random(20260105))
    load = arrivals * handling
    assert sum(wait > 0 for wait in waits) / len(waits) == pytest.approx(erlang_c(servers, load), abs=0.015)
    late = sum(wait > target for wait in waits) / len(waits)
    assert late == pytest.approx(waits_longer(servers, load, handling, target), abs=0.015)


def simulated_waits(servers: int, arrivals: float, handling: float, count: int, random: Random) -> list[float]:
    """The waits of `count` arrivals at so many servers; times in hours. Each takes the server that is free first."""
    free = [0.0] * servers
    now, waits = 0.0, []
    for _ in range(count):
        now += random.expovariate(arrivals)
        begins = max(now, heapq.heappop(free))
        waits.append(begins - now)
        heapq.heappush(free, begins + random.expovariate(1 / handling))
    return waits


@given(loads, st.floats(10, 5_000), st.floats(0, 5_000), st.floats(0.01, 0.99))
@settings(max_examples=60)
def test_the_number_is_the_least_that_will_do(load, handling, target, share):
    """With so many servers the target is met, with one less it is not."""
    servers = servers_needed(load, handling, target, share)
    assert waits_longer(servers, load, handling, target) <= 1 - share
    assert servers > load
    assert waits_longer(servers - 1, load, handling, target) > 1 - share


@given(
    loads,
    loads,
    st.floats(10, 5_000),
    st.floats(0, 5_000),
    st.floats(0, 5_000),
    st.floats(0.01, 0.99),
    st.floats(0.01, 0.99),
)
@settings(max_examples=60)
def test_more_work_or_a_harder_target_never_needs_less(load, other, handling, target, patience, share, ambition):
    """The number rises with the load and the share, and falls with the time that may be waited."""
    needed = servers_needed(load, handling, target, share)
    assert servers_needed(load + other, handling, target, share) >= needed
    assert servers_needed(load, handling, target + patience, share) <= needed
    assert servers_needed(load, handling, target, max(share, ambition)) >= needed


@given(st.integers(1, 300), st.floats(0, 400), st.floats(1, 100), st.floats(0, 100))
def test_shares_are_shares_and_fall_with_every_server(servers, load, handling, target):
    """Every probability is between 0 and 1, one more server never makes waits likelier, a longer target is missed less."""
    assert 0 <= waits_longer(servers, load, handling, target) <= erlang_c(servers, load) <= 1
    assert erlang_c(servers + 1, load) <= erlang_c(servers, load)
    assert waits_longer(servers + 1, load, handling, target) <= waits_longer(servers, load, handling, target)


def test_nothing_to_do_and_too_much_to_do():
    """Without arrivals nobody is needed; servers that can not keep up let everybody wait; beyond the limit there is no answer."""
    assert servers_needed(0.0, 60.0, 60.0, 0.8) == 0
    assert erlang_c(3, 0.0) == 0.0
    assert erlang_c(3, 3.0) == waits_longer(3, 3.0, 1.0, 1e9) == 1.0
    assert erlang_c(9_100, 9_000.0) < 1
    assert servers_needed(MOST_SERVERS + 1.0, 60.0, 60.0, 0.8) is None
    assert waits_longer(1, 0.5, 0.0, 1.0) == waits_longer(1, 0.0, 1.0, 1.0) == 0.0
