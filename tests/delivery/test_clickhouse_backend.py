"""What a desk sees where METRICS_BACKEND names a ClickHouse."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.cli import Cli
from support.clickhouse import as_sent, insert
from support.recorded import NOW_NS, record
from support.two_engines import alike

pytest.importorskip("chdb", reason="ClickHouse in the process (chdb) is not installed: pip install '.[dev]'")
from support.clickhouse_server import ClickHouseServer

from otel_metrics.analytics.answers import Answers
from otel_metrics.analytics.clickhouse.engine import ClickHouseEngine
from otel_metrics.delivery.page.feed import Feed
from otel_metrics.delivery.page.place import Place
from otel_metrics.delivery.page.views.now import now
from otel_metrics.model.identity import IdHasher
from otel_metrics.settings import Settings
from otel_metrics.store.key import load_key
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage
from otel_metrics.testing import SteppedClock

HOURS = ("--hours", 300_000)
NOT_KNOWN = {"waiting", "waiting_p50_ms", "waiting_max_ms", "waiting_now", "longest_queue", "longest_queue_at", "queue_by_hour",
    "error_logs", "critical_logs", "restarts", "emitted", "stored", "in_journal", "dropped", "missing", "dropped_records"}  # fmt: skip


@dataclass
class Desk:
    server: ClickHouseServer
    settings: Settings


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A ClickHouse with recorded sessions, and the store that they were recorded in, as it leaves the machine."""
    with pytest.MonkeyPatch.context() as environment:
        settings, requests = record(tmp_path_factory.mktemp("recorded"), environment)
    as_sent(settings.database, IdHasher(load_key(StoreLayout(settings.database, settings.log_file), settings.id_key)))
    with ClickHouseServer() as server:
        engine = ClickHouseEngine(server.url)
        engine.prepare(36_500)
        engine.close()
        insert(server, requests)
        yield Desk(server, settings)


@pytest.fixture
def asked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> ClickHouseServer:
    monkeypatch.setenv("METRICS_BACKEND", desk.server.url)
    return desk.server


def _without_unknown(document: Any) -> Any:
    if isinstance(document, dict):
        return {
            key: _without_unknown(value)
            for key, value in document.items()
            if key not in NOT_KNOWN | {"sentences", "not_known", "fired_at"}
        }
    if isinstance(document, list):
        return [_without_unknown(one) for one in document]
    return document


def test_the_whole_dashboard_is_one_on_both(desk: Desk) -> None:
    """Every section of the document has the same figures on both engines, but for those that are not known to ClickHouse, which are null."""
    documents = []
    for backend in (None, desk.server.url):
        settings = replace(desk.settings, backend=backend)
        storage = MetricsStorage(StoreLayout(settings.database, settings.log_file), settings)
        with closing(Answers(storage, settings, SteppedClock(NOW_NS / 1e9))) as answers:
            documents.append(answers.dashboard(24))
    local, there = documents
    assert there.keys() - {"not_known"} == local.keys()
    for section, figures in local.items():
        assert alike(_without_unknown(there[section]), _without_unknown(figures)), section
    assert there["not_known"] == ["logs", "processes", "running", "system_metrics"]
    assert there["system"]["waiting_now"] is None
    assert there["capacity"]["waiting"] is None
    assert local["capacity"]["waiting"] is not None


@pytest.mark.parametrize("command", ["dashboard", "alerts", "sessions", "stages", "cost", "oversight"])
def test_commands_ask_the_server(cli: Cli, asked: ClickHouseServer, command: str) -> None:
    """With METRICS_BACKEND a command answers where there is no local store, and says what it leaves out."""
    before = len(asked.queries)
    result = cli(command, *HOURS, "--format", "json")
    assert result.status == 0, result.notes
    assert json.loads(result.output)
    assert len(asked.queries) > before
    assert "ClickHouse is asked" in result.notes
    assert "running stages" in result.notes
    assert not Path("metrics.db").exists()


def test_free_sql_reads_and_nothing_else(cli: Cli, asked: ClickHouseServer) -> None:
    """`sql` speaks ClickHouse's SQL over the same views, and refuses what does not read."""
    result = cli("sql", "SELECT countIf(outcome = 'delivered') AS n FROM sessions", "--format", "json")
    assert json.loads(result.output)[0]["n"] > 50
    refused = cli("sql", "DROP TABLE otel_traces")
    assert (refused.status, "only reads" in refused.notes) == (2, True)
    wrong = cli("sql", "SELECT nothing FROM sessions")
    assert (wrong.status, "Unknown expression identifier" in wrong.notes) == (2, True)
    assert asked.query("SELECT count() > 0 FROM otel_traces").strip() in {"1", "true"}


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "parquet", "sqlite"])
def test_exports_come_from_the_server(cli: Cli, asked: ClickHouseServer, form: str) -> None:
    """`export` writes a table of the server's in each format, whole."""
    result = cli("export", "processing_metrics", "--output", f"x.{form}")
    assert result.status == 0, result.notes
    rows = int(asked.query("SELECT count() FROM processing_metrics"))
    if form == "sqlite":
        with closing(sqlite3.connect("x.sqlite")) as connection:
            found = connection.execute("SELECT count(*) FROM processing_metrics").fetchone()[0]
    else:
        reader = {"csv": "read_csv", "parquet": "read_parquet"}.get(form, "read_json")
        found = duckdb.sql(f"SELECT count(*) FROM {reader}('x.{form}')").fetchall()[0][0]
    assert found == rows > 500


def test_what_is_in_flight_is_asked_of_the_local_store(cli: Cli, asked: ClickHouseServer) -> None:
    """`queue` keeps to the local store, whatever METRICS_BACKEND says; a search for waiting sessions there is refused."""
    result = cli("queue")
    assert "No store at" in result.output + result.notes
    refused = cli("sessions", "--waiting")
    assert (refused.status, "local store alone" in refused.notes) == (2, True)


def test_rules_that_can_not_be_looked_at_are_named(cli: Cli, asked: ClickHouseServer, tmp_path: Path) -> None:
    """An alert on the queue neither fires nor is silently quiet: `alerts` says that it was not looked at."""
    (tmp_path / "metrics.rules.toml").write_text(
        '[[rule]]\nname = "long_queue"\nkind = "queue_length"\nthreshold = 0\n'
    )
    result = cli("alerts", *HOURS, "--format", "json")
    assert "not looked at, for want of what they rest on: long_queue" in result.notes
    assert all(one["rule"] != "long_queue" for one in json.loads(result.output))


def test_the_page_asks_the_server(asked: ClickHouseServer, desk: Desk) -> None:
    """The live page shows what the server knows, and a dash where only the local store could tell."""
    settings = replace(desk.settings, backend=asked.url, database=Path("none.db"), log_file=Path("none.jsonl"))
    feed = Feed(settings, MetricsStorage(StoreLayout(settings.database, settings.log_file), settings))
    try:
        asyncio.run(feed.follow())
        assert (feed.health.state, "ClickHouse is asked" in feed.health.message) == ("fine", True)
        cards = {card.name: str(card.body) for card in asyncio.run(feed.cards(now, Place("now", 24.0)))}
    finally:
        feed.close()
    assert "told by the local store alone" in cards["queue"]
    assert "told by the local store alone" in cards["running"]


@pytest.mark.parametrize(
    ("url", "status"),
    [("clickhouse://me:s3cret@127.0.0.1:1/x", 1), ("clickhose://me:s3cret@host", 2), ("clickhouse://", 2)],
)
def test_an_address_that_does_not_do_is_told_without_its_password(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, url: str, status: int
) -> None:
    """A wrong or silent METRICS_BACKEND is one line with what was found, expected and what to do; the password is in none."""
    monkeypatch.setenv("METRICS_BACKEND", url)
    result = cli("dashboard")
    assert result.status == status
    assert "expected" in result.notes
    assert "s3cret" not in result.output + result.notes
    assert "Traceback" not in result.notes


def test_the_schema_can_be_read_and_made(cli: Cli, asked: ClickHouseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """`clickhouse` prints every statement, and `--apply` makes the schema again without touching rows."""
    printed = cli("clickhouse")
    assert (printed.status, "CREATE TABLE IF NOT EXISTS otel_traces" in printed.output) == (0, True)
    assert "INTERVAL" in printed.output.upper()
    before = asked.query("SELECT count() FROM otel_traces")
    assert cli("clickhouse", "--apply").status == 0
    assert asked.query("SELECT count() FROM otel_traces") == before
    monkeypatch.delenv("METRICS_BACKEND")
    assert cli("clickhouse", "--apply").status == 2
