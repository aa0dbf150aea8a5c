"""Owns the formulas of a queue with several servers: how likely a wait is, and how many servers keep it short.

The model is M/M/c: arrivals at random (Poisson), handling times exponential, one line, first come first served, nobody
leaves. `load` is in erlangs: arrivals per hour times the mean handling time in hours.
Sources: A. K. Erlang, "Solution of some Problems in the Theory of Probabilities of Significance in Automatic Telephone
Exchanges", 1917; N. Gans, G. Koole, A. Mandelbaum, "Telephone Call Centers: Tutorial, Review, and Research Prospects",
Manufacturing & Service Operations Management 5 (2003), section 4.1.
"""

import math

MOST_SERVERS = 10_000
"""Where the search for a number of servers gives up."""


def erlang_b(servers: int, load: float) -> float:
    """The share of arrivals that find all servers busy where nobody waits (Erlang's first formula).

    By the recursion B(0) = 1, B(n) = load·B(n−1) / (n + load·B(n−1)), which needs no factorials and can not overflow.
    """
    blocked = 1.0
    for server in range(1, servers + 1):
        blocked = load * blocked / (server + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """The share of arrivals that must wait (Erlang's second formula); 1 where the servers can not keep up.

    C = N·B / (N − load·(1 − B)), with Erlang's first formula as B.
    """
    if load <= 0:
        return 0.0
    if servers <= load:
        return 1.0
    return _waiting(servers, load, erlang_b(servers, load))


def waits_longer(servers: int, load: float, handling: float, target: float) -> float:
    """The share of arrivals that wait longer than `target`: C(N, load)·exp(−(N − load)·target / handling).

    `handling` is the mean handling time, in the unit of `target`. 1 where the servers can not keep up.
    """
    return _longer(servers, load, erlang_c(servers, load), handling, target)


def servers_needed(load: float, handling: float, target: float, share: float) -> int | None:
    """The least number of servers with whom at least `share` of the arrivals wait no longer than `target`.

    0 where nothing arrives; None where `MOST_SERVERS` are not enough. `share` is above 0 and below 1.
    """
    if load <= 0:
        return 0
    blocked = 1.0
    for servers in range(1, MOST_SERVERS + 1):
        blocked = load * blocked / (servers + load * blocked)
        if servers > load:
            late = _longer(servers, load, _waiting(servers, load, blocked), handling, target)
            if late <= 1 - share:
                return servers
    return None


def _waiting(servers: int, load: float, blocked: float) -> float:
    return servers * blocked / (servers - load * (1 - blocked))


def _longer(servers: int, load: float, waiting: float, handling: float, target: float) -> float:
    if load <= 0:
        return 0.0
    if servers <= load:
        return 1.0
    return waiting * math.exp(-(servers - load) * target / handling) if handling > 0 else 0.0
