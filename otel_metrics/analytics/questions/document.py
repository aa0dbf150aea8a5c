"""Owns the form of an answer: a document of figures and rows, and reading rows by query name."""

from typing import Any

from otel_metrics.analytics.engine import Engine
from otel_metrics.analytics.statements import QUERIES

Document = dict[str, Any]
Record = dict[str, Any]


def rows(engine: Engine, query: str, **parameters: Any) -> list[Record]:
    """The rows of the query of this name, a dict each."""
    return engine.run(QUERIES[query], parameters).as_dicts()


def row(engine: Engine, query: str, **parameters: Any) -> Record:
    """The one row of a query that always gives one."""
    (only,) = rows(engine, query, **parameters)
    return only
