"""Owns free SQL: exactly one statement that reads, over the views, with no way to files or settings."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb

from otel_metrics.analytics.asking import Rows
from otel_metrics.analytics.engine import Engine
from otel_metrics.errors import QueryError

if TYPE_CHECKING:
    from otel_metrics.analytics.clickhouse.engine import ClickHouseEngine

_REMEDY = "the views are listed by: SELECT view_name FROM duckdb_views() WHERE NOT internal"


def run_query(engine: "Engine | ClickHouseEngine", query: str, most: int | None = None) -> Rows:
    """Runs one SELECT (WITH, VALUES, FROM … included); `QueryError` for anything else and for what DuckDB does not accept.

    Of the rows the first `most` are fetched.

    The engine has no access to files and can not be given any, and the memory of the answer is the caller's: a
    hostile query needs a process with limits around it, such as that of the page.
    """
    if not isinstance(engine, Engine):
        return engine.run_free(query, most)
    _check(engine, query)
    with _in_our_words():
        return engine.run_free(query, most)


def handing_over(engine: Engine, query: str, take: Callable[[Any], Any]) -> Any:
    """What `take` makes of DuckDB's relation over such a statement."""
    _check(engine, query)
    with _in_our_words():
        return engine.hand_over(query, take)


def _check(engine: Engine, query: str) -> None:
    """Raises `QueryError` for what is not one reading statement."""
    try:
        query.encode()
    except UnicodeEncodeError as error:
        raise QueryError("the query is no text", "UTF-8", "write it anew") from error
    try:
        statements = engine.connection.extract_statements(query)
    except duckdb.Error as error:
        raise QueryError(_first_line(error), "SQL that DuckDB can read", _REMEDY) from error
    if len(statements) != 1:
        raise QueryError(f"{len(statements)} statements", "exactly one", "run them one by one")
    # DuckDB 1.5 takes a PRAGMA for a SELECT, 2.0 does not: with both, it is refused.
    is_pragma = _first_word(query) == "pragma"
    if is_pragma or statements[0].type != duckdb.StatementType.SELECT:
        kind = "PRAGMA" if is_pragma else str(statements[0].type).rpartition(".")[2]
        raise QueryError(f"a statement of type {kind}", "one that only reads (SELECT, WITH, FROM)", _REMEDY)


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise QueryError(_first_line(error), "a query over the views", _REMEDY) from error


def _first_word(query: str) -> str:
    starts = [offset for offset, kind in duckdb.tokenize(query) if "comment" not in str(kind)]
    return query.encode()[starts[0] :].decode(errors="replace").split()[0].lower() if starts else ""


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
