"""Owns the engine over a ClickHouse that the collector's exporter writes: one session with the server, and running statements in it."""

import logging
import math
import re
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_metrics.analytics.asking import Rows
from otel_metrics.analytics.clickhouse.address import Address
from otel_metrics.analytics.clickhouse.dialect import said
from otel_metrics.analytics.clickhouse.schema import VERSION, statements
from otel_metrics.analytics.drawn import drawn_in
from otel_metrics.analytics.statements import DRAWN, parameters_of
from otel_metrics.errors import MissingExtra, QueryError, StoreError
from otel_metrics.store.accounts import Account

if TYPE_CHECKING:
    from clickhouse_connect.driver import Client

SETTINGS = {
    # Without these ClickHouse fills what a join or an empty group lacks with zeros.
    "join_use_nulls": 1, "group_by_use_nulls": 1, "aggregate_functions_null_for_empty": 1, "cast_keep_nullable": 1,
    "union_default_mode": "DISTINCT", "prefer_column_name_to_alias": 1, "enable_materialized_cte": 1, "joined_subquery_requires_alias": 0,
    # A span's key begins with what partitions are made of: the same one never lies in two.
    "do_not_merge_across_partitions_select_final": 1,
}  # fmt: skip
_PREPARE = "run `otel-metrics clickhouse --apply` once, as a user who may create tables, functions and views"
_VIEWS = "the views are listed by: SHOW TABLES"
_MISSING = ("UNKNOWN_TABLE", "UNKNOWN_DATABASE")


class ClickHouseEngine:
    """Asks the views of a ClickHouse with the package's own statements. Temporary tables live in its session, as long as it is open."""

    lacks = frozenset({"running", "logs", "processes", "system_metrics"})

    def __init__(self, url: str) -> None:
        self._address = Address.of(url)
        self._mutex = threading.RLock()
        self._known: Client | None = None
        self._drawn: dict[str, dict[str, Any]] = {}

    def refresh(self, progress: object = None) -> None:
        """Lets go of what was drawn for the last window; rows are the server's, so there is nothing to bring over."""
        del progress
        with self._mutex:
            self._drawn.clear()

    def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Rows:
        """Runs one statement of ours; `$name` are its parameters."""
        given = dict(parameters or {})
        with self._mutex, self._in_our_words():
            self._draw(statement, given)
            return self._fetch(*said(statement, given))

    def run_free(self, query: str, most: int | None = None) -> Rows:
        """Runs a statement of somebody else's, which may only read; of the rows the first `most`."""
        if not _reads(query):
            raise QueryError("a statement of another kind", "one that only reads (SELECT, WITH, SHOW)", _VIEWS)
        limits: dict[str, Any] = {"readonly": 2}  # reads alone; settings of a query may still be given
        if most is not None:
            limits |= {"max_result_rows": most, "result_overflow_mode": "break"}
        with self._mutex:
            try:
                found = self._fetch(query.strip().removesuffix(";"), {}, limits)
            except _database_error() as error:
                raise QueryError(_first_line(error), "ClickHouse's SQL over the views", _VIEWS) from error
        return Rows(found.columns, found.rows[:most])

    def stream(self, statement: str, parameters: Mapping[str, Any]) -> Iterator[Sequence[tuple[Any, ...]]]:
        """The rows of one statement of ours, block by block: a table need not fit into the memory."""
        text, bound = said(statement, parameters)
        with self._mutex, self._in_our_words(), self._client().query_row_block_stream(text, bound, SETTINGS) as blocks:
            for block in blocks:
                yield [tuple(map(_plain, row)) for row in block]

    def write_parquet(self, statement: str, parameters: Mapping[str, Any], path: Path) -> None:
        """Writes the rows of a statement to a file, as the server makes it."""
        text, bound = said(statement, parameters)
        with self._mutex, self._in_our_words(), path.open("wb") as file:
            stream: Any = self._client().raw_stream(text, bound, SETTINGS, fmt="Parquet")
            shutil.copyfileobj(stream, file)

    def account(self) -> Account | None:
        """Nothing: which records were ever emitted is known where they were written."""
        return None

    def prepare(self, retention_days: float) -> None:
        """Makes tables, functions and views, or brings functions and views up to date. What is in the tables stays."""
        with self._mutex, self._in_our_words(_PREPARE):
            client = self._connected()
            for statement in statements(retention_days):
                client.command(statement)

    def close(self) -> None:
        """Ends the session, and with it its temporary tables."""
        with self._mutex:
            if self._known is not None:
                self._known.close()
                self._known = None

    def _draw(self, statement: str, given: dict[str, Any]) -> None:
        """Makes the tables that several questions want, where they are not there for these parameters."""
        for name in drawn_in(statement):
            wanted = {key: given[key] for key in parameters_of(DRAWN[name])}
            if self._drawn.get(name) != wanted:
                text, bound = said(DRAWN[name], wanted)
                self._client().command(text, bound, settings=SETTINGS)
                self._drawn[name] = wanted

    def _fetch(self, text: str, bound: dict[str, Any], more: Mapping[str, Any] | None = None) -> Rows:
        found = self._client().query(text, bound, {**SETTINGS, **(more or {})})
        return Rows(
            [name.rpartition(".")[2] for name in found.column_names],
            [tuple(map(_plain, row)) for row in found.result_rows],
        )

    def _client(self) -> "Client":
        """The session with the server, whose schema is the one that this program knows."""
        if self._known is None:
            client = self._connected()
            try:
                version = client.command("SELECT version FROM otel_metrics_schema")
            except _database_error() as error:
                client.close()
                self._known = None
                if not any(name in str(error) for name in _MISSING):
                    raise
                raise StoreError(
                    f"{self._address} has none of our views", "the schema of this program", _PREPARE
                ) from error
            if version != VERSION:
                client.close()
                self._known = None
                raise StoreError(f"{self._address} has schema {version}", f"schema {VERSION}", _PREPARE)
        assert self._known is not None
        return self._known

    def _connected(self) -> "Client":
        if self._known is None:
            try:
                from clickhouse_connect import get_client
            except ImportError as error:
                raise MissingExtra(
                    "clickhouse-connect is not installed",
                    "it, to ask ClickHouse",
                    "pip install '.[clickhouse]' in its copy",
                ) from error
            logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())  # what it says is raised as well
            with self._in_our_words():
                self._known = get_client(**self._address.arguments())
        return self._known

    @contextmanager
    def _in_our_words(self, remedy: str = "look at the server and at METRICS_BACKEND") -> Iterator[None]:
        """What the client raises, without the address's password."""
        try:
            yield
        except _database_error() as error:
            raise StoreError(f"{self._address} said: {_first_line(error)}", "an answer", remedy) from error


def _plain(value: Any) -> Any:
    """What DuckDB says: NULL where there is no number, and for a list without any value, since there are no NULL lists here."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, list):
        values = [_plain(one) for one in value]
        return None if all(one is None for one in values) else values
    return value


def _database_error() -> type[Exception]:
    from clickhouse_connect.driver.exceptions import ClickHouseError

    return ClickHouseError


def _first_line(error: Exception) -> str:
    """What the server said, or that it did not answer, without the client's words around it."""
    text = str(error).strip().splitlines()[0]
    found = re.search(r"DB::Exception: (.*?)(?: \(for url .*)?$", text)
    if found is None and "Max retries" in text:
        reason = re.search(r"\[Errno \d+\] ([\w ]+)", text)
        return f"nothing ({reason[1] if reason else 'no connection'})"
    return (found[1] if found else text)[:500]


def _reads(query: str) -> bool:
    """Whether a statement begins as one that reads; the server's own `readonly` sees to the rest."""
    return (
        re.match(r"(?is)(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(select|with|from|show|describe|desc|explain)\b", query)
        is not None
    )
