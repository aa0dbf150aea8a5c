"""From the store to a data frame, as docs/notebooks.md says it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from otel_metrics import open_store
from otel_metrics.errors import MissingExtra, QueryError, SettingError
from otel_metrics.testing import temporary_service

PAGE = Path(__file__).parents[2] / "docs" / "notebooks.md"
(LINES,) = re.findall(
    r"```\n(from otel_metrics import open_store\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)
QUERY = """
SELECT session_id, start_time, duration_ms, success, metadata, [1, 2] AS list, NULL::BIGINT AS nothing
FROM processing_metrics ORDER BY start_time
"""


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_the_three_lines_of_the_page_give_a_frame(demo, library):
    """As they stand there, in a process of its own beside the store; a frame with every stage and its types."""
    pytest.importorskip(library, reason=f"{library} is not installed: pip install {library}")
    lines = LINES if library == "pandas" else LINES.replace("store.df(", "store.pl(")
    assert len(lines.splitlines()) == 3
    told = "print(type(frame).__module__.split('.')[0], len(frame), frame['duration_ms'].dtype, frame['success'].dtype)"
    result = subprocess.run([sys.executable, "-c", f"{lines}\n{told}"], cwd=demo.parent, capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert result.returncode == 0, result.stderr
    name, rows, duration, success = result.stdout.split()
    expected = open_store(demo).sql("SELECT count(*) FROM processing_metrics").rows[0][0]
    assert (name, int(rows)) == (library, expected)
    assert duration.lower() == "int64"
    assert success.lower().startswith("bool")


def test_pandas_gets_times_and_nothing_as_such(demo):
    """A time is a time, text is text, what is not there is missing; the rows are those of `sql`."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: pip install pandas")
    store = open_store(demo)
    frame, rows = store.df(QUERY), store.sql(QUERY).as_dicts()
    assert frame["start_time"].dtype.kind == "M"
    assert frame["session_id"].tolist() == [row["session_id"] for row in rows]
    assert frame["start_time"].dt.to_pydatetime().tolist() == [row["start_time"] for row in rows]
    assert pandas.isna(frame["nothing"]).all()


def test_polars_gets_the_same_without_pyarrow(demo, monkeypatch):
    """The same rows, with Polars' types."""
    polars = pytest.importorskip("polars", reason="polars is not installed: pip install polars")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    store = open_store(demo)
    frame = store.pl(QUERY)
    assert frame.rows() == store.sql(QUERY).rows
    assert frame.schema["start_time"] == polars.Datetime("us")
    assert frame["nothing"].null_count() == len(frame)


def test_what_is_recorded_meanwhile_is_in_the_next_answer(tmp_path):
    """A store that stays open follows the bot, whose log nobody else has moved."""
    with temporary_service(tmp_path) as service:
        service.record_system_metric("cpu", 1)
        store = open_store(service.settings.database)
        assert store.sql("SELECT count(*) FROM system_metrics").rows == [(1,)]
        service.record_system_metric("cpu", 2)
        assert store.sql("SELECT count(*) FROM system_metrics").rows == [(2,)]


@pytest.mark.parametrize("method", ["df", "pl"])
def test_what_can_not_be_had_is_told(demo, tmp_path, monkeypatch, method):
    """A store that is not there, a statement that writes, a library that is not installed: each with what to do."""
    library = {"df": "pandas", "pl": "polars"}[method]
    with pytest.raises(SettingError, match="no store at"):
        open_store(tmp_path / "metrics.db")
    assert list(tmp_path.iterdir()) == []
    store = open_store(demo)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, library, None)
        with pytest.raises(MissingExtra, match=f"pip install {library}"):
            getattr(store, method)("FROM sessions")
    pytest.importorskip(library, reason=f"{library} is not installed: pip install {library}")
    for query in ("DROP TABLE hot.sessions", "SELECT 1; SELECT 2", "FROM nowhere", "FROM '/etc/passwd'", "\udc80"):
        with pytest.raises(QueryError):
            getattr(store, method)(query)
