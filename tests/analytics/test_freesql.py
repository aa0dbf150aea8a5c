"""Free SQL: one statement that reads, over the views and nothing else."""

import pytest
from support.generated import NOW_NS, Stage, StoppedClock, make_store

from otel_metrics.analytics.answers import Answers
from otel_metrics.errors import QueryError


@pytest.fixture
def answers(tmp_path):
    storage, chosen = make_store(tmp_path, [Stage(1, "ai_processing", NOW_NS // 1000 - 10, 5, True)], [])
    return Answers(storage, chosen, StoppedClock())


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM processing_metrics",
        "WITH x AS (SELECT 1 AS n) SELECT n FROM x;",
        "FROM (VALUES (1)) SELECT count(*)",
        "SELECT count(*) FROM sessions WHERE started_at < now()",
    ],
)
def test_reading_statements_are_answered(answers, query):
    """SELECT, WITH and FROM work, times with zones included."""
    assert answers.sql(query).rows == [(1,)]


@pytest.mark.parametrize(
    "query",
    [
        "", "   ", "selec", "SELECT '\ud800'", "SELECT 1; SELECT 2", "DROP VIEW sessions", "DELETE FROM hot.sessions", "CREATE TABLE t (a INT)",
        "COPY sessions TO 'stolen.csv'", "EXPLAIN ANALYZE COPY sessions TO 'stolen.csv'", "ATTACH 'other.db'",
        "SET enable_external_access = true", "PRAGMA database_list", "INSTALL httpfs", "LOAD sqlite_scanner",
        "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')", "SELECT * FROM no_such_table", "SELECT getenv('HOME')", "CALL pragma_version()",
    ],
)  # fmt: skip
def test_everything_else_is_refused(answers, tmp_path, monkeypatch, query):
    """What writes, reads files, changes settings or is no SQL ends as one error that says so, and leaves no file."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QueryError):
        answers.sql(query)
    assert not (tmp_path / "stolen.csv").exists()
    assert answers.sql("SELECT count(*) FROM sessions").rows == [(1,)]
