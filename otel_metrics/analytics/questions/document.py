"""Owns the form of an answer: a document of figures and rows, and reading rows by query name."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.statements import QUERIES
from otel_metrics.model.times import iso, to_ns

Document = dict[str, Any]
Record = dict[str, Any]


def rows(engine: Asking, query: str, **parameters: Any) -> list[Record]:
    """The rows of the query of this name, a dict each."""
    return engine.run(QUERIES[query], parameters).as_dicts()


def listed(found: Sequence[Any] | None, *names: str) -> list[Record]:
    """The tuples of a list in an answer (structs of DuckDB) as records, none where there is no list.

    Of a name with a minus the value was negated to be sorted.
    """
    keys = [(name.removeprefix("-"), name.startswith("-")) for name in names]
    return [
        {
            key: -value if is_negated else value
            for (key, is_negated), value in zip(keys, one.values() if isinstance(one, dict) else one, strict=True)
        }
        for one in found or ()
    ]


def row(engine: Asking, query: str, **parameters: Any) -> Record:
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
