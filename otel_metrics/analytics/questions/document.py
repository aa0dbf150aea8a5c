"""Owns the form of an answer: a document of figures and rows, and reading rows by query name."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from otel_metrics.analytics.engine import Engine
from otel_metrics.analytics.statements import QUERIES
from otel_metrics.model.times import iso, to_ns

Document = dict[str, Any]
Record = dict[str, Any]


def rows(engine: Engine, query: str, **parameters: Any) -> list[Record]:
    """The rows of the query of this name, a dict each."""
    return engine.run(QUERIES[query], parameters).as_dicts()


def row(engine: Engine, query: str, **parameters: Any) -> Record:
    """The one row of a query that always gives one."""
    (only,) = rows(engine, query, **parameters)
    return only


def plain(value: Any) -> Any:
    """A document of values that JSON has: times and days as ISO-8601 text, times in UTC."""
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return iso(to_ns(value if value.tzinfo else value.replace(tzinfo=UTC)))
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value
