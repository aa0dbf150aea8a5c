"""Owns the tables that are drawn once for a window and asked by several questions."""

import re
from functools import lru_cache
from typing import Any

import duckdb

from otel_metrics.analytics.statements import DRAWN, parameters_of


class DrawnTables:
    """The temporary tables of `sql/drawn` on one connection, each for the parameters that it was last wanted for."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._drawn: dict[str, dict[str, Any]] = {}

    def draw(self, statement: str, parameters: dict[str, Any]) -> None:
        """Makes the tables that a statement names, where they are not there for these parameters."""
        for name in drawn_in(statement):
            wanted = {key: parameters[key] for key in parameters_of(DRAWN[name])}
            if self._drawn.get(name) != wanted:
                self._connection.execute(DRAWN[name], wanted)
                self._drawn[name] = wanted

    def forget(self) -> None:
        """Gives the memory back; each table is drawn anew when it is next wanted."""
        for name in self._drawn:
            self._connection.execute(f"DROP TABLE {name}")
        self._drawn.clear()


@lru_cache(maxsize=256)
def drawn_in(statement: str) -> tuple[str, ...]:
    """The drawn tables in a statement."""
    return tuple(name for name in DRAWN if re.search(rf"\b{name}\b", statement))
