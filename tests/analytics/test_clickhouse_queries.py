"""Every query of the package on DuckDB and on ClickHouse, over the same sessions: recorded into a local store and sent by OTLP."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support.clickhouse import as_sent, insert
from support.clickhouse_server import ClickHouseServer
from support.recorded import record
from support.two_engines import NOW, cases, differences

pytest.importorskip("chdb", reason="ClickHouse in the process (chdb) is not installed: pip install '.[dev]'")

from otel_metrics.analytics.clickhouse.engine import ClickHouseEngine
from otel_metrics.analytics.columns import FLAG, INTEGER, REAL, TABLES, TIME
from otel_metrics.analytics.engine import Engine
from otel_metrics.analytics.statements import DRAWN, QUERIES, parameters_of
from otel_metrics.errors import StoreError
from otel_metrics.model.identity import IdHasher
from otel_metrics.store.key import load_key
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

NOT_CARRIED = {"queue_running", "session_logs", "system_errors", "system_processes", "system_values"}
"""Queries over what OTLP does not carry: they answer nothing, on a store without those rows as well."""


@dataclass
class Both:
    duck: Engine
    click: ClickHouseEngine
    server: ClickHouseServer


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with pytest.MonkeyPatch.context() as environment:
        settings, requests = record(tmp_path_factory.mktemp("recorded"), environment)
    layout = StoreLayout(settings.database, settings.log_file)
    as_sent(settings.database, IdHasher(load_key(layout, settings.id_key)))
    duck = Engine(MetricsStorage(layout, settings))
    duck.refresh()
    with ClickHouseServer() as server:
        click = ClickHouseEngine(server.url)
        click.prepare(36_500)
        insert(server, requests)
        insert(server, requests[:1])  # OTLP is at least once: spans that came twice count once
        yield Both(duck, click, server)
        click.close()
    duck.close()


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_query_gives_the_same_rows_on_both(both: Both, name: str) -> None:
    """Whatever its parameters, a query of the package answers on ClickHouse what it answers on DuckDB, NULLs and order included."""
    found = 0
    for given in cases(name, QUERIES[name]):
        expected = both.duck.run(QUERIES[name], given)
        assert differences(expected, both.click.run(QUERIES[name], given)) == [], given
        found += len(expected.rows)
    assert (found == 0) == (name in NOT_CARRIED), "the sessions of this test have no row of what the query is for"


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_a_table_that_is_drawn_has_the_same_rows_on_both(both: Both, name: str) -> None:
    """What several questions draw of a window is the same table on both engines, but for the numbers that stand for ids."""
    names = both.duck.run(f"SELECT * FROM {name}", next(cases(name, DRAWN[name]))).columns
    columns = [column for column in names if column != "session"]
    statement = f"SELECT {', '.join(columns)} FROM {name} ORDER BY ALL"
    for given in cases(name, DRAWN[name]):
        assert differences(both.duck.run(statement, given), both.click.run(statement, given)) == [], given


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_view_has_the_columns_of_its_table(both: Both, name: str) -> None:
    """Free SQL finds the same columns of the same kinds on both engines."""
    kinds = {INTEGER: "Int64", REAL: "Float64", FLAG: "Bool", TIME: "DateTime64"}
    listed = both.server.query(
        f"SELECT name, type FROM system.columns WHERE table = '{name}' AND database = 'default' ORDER BY position FORMAT TSV"
    )
    found = [line.split("\t") for line in listed.splitlines()]
    assert [column for column, _ in found] == list(TABLES[name].all_columns)
    for column, kind in found:
        assert kinds.get(TABLES[name].all_columns[column], "String") in kind, column


def test_every_parameter_is_given(both: Both) -> None:
    """No query is asked without one of its parameters."""
    for name, statement in QUERIES.items():
        assert set(parameters_of(statement)) <= set(next(cases(name, statement))), name


def test_a_database_without_our_views_says_what_to_run(both: Both) -> None:
    """A server that was not prepared is answered with the command that prepares it, and not with a view that it does not know."""
    both.server.query("CREATE DATABASE IF NOT EXISTS bare")
    asked = ClickHouseEngine(both.server.url.replace("/default", "/bare"))
    with pytest.raises(StoreError, match=r"has none of our views.*otel-metrics clickhouse --apply"):
        asked.run(QUERIES["queue_running"], {"now": NOW})
    asked.close()
