"""Rows on their way into DuckDB."""

import subprocess
import sys
from pathlib import Path

from otel_metrics.testing import temporary_service

INTERRUPTED = """
import os, signal, threading, otel_metrics
service = otel_metrics.configure(database="metrics.db", log_file="metrics.jsonl")
service.sql("SELECT 1")
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    service.sql("SELECT sum(a.range * b.range) FROM range(100000) AS a, range(100000) AS b")
except KeyboardInterrupt:
    os._exit(0)
os._exit(1)
"""


def test_time_that_can_not_be_read_is_the_first_moment(tmp_path: Path) -> None:
    """A time that a disk damaged spoils its own row alone: it reads as 1970, and every question is answered."""
    with temporary_service(tmp_path) as service:
        session = service.create_session(1, 2)
        with service.timer(session, 1, 2, "ai_processing"):
            pass
        service.end_session(session)
        path = service.settings.log_file
        path.write_bytes(path.read_bytes().replace(b'"end_time":"2', b'"end_time":"x'))
        service.flush()
        (row,) = service.sql("SELECT end_time, start_time > TIMESTAMP '2020-01-01' AS sound FROM processing_metrics")
        assert (row["end_time"].year, row["sound"]) == (1970, True)
        assert service.get_dashboard_data()["overview"]["total_requests"] == 0


def test_long_questions_print_nothing(tmp_path: Path) -> None:
    """DuckDB's bar of progress, which it draws on standard output, does not get between the lines of an answer."""
    with temporary_service(tmp_path) as service:
        assert service.sql("SELECT current_setting('enable_progress_bar') AS shown") == [{"shown": False}]


def test_ctrl_c_ends_a_question_as_it_ends_everything(tmp_path: Path) -> None:
    """A signal that comes while DuckDB works is a KeyboardInterrupt, and no error of the store's."""
    with temporary_service(tmp_path):
        pass
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 0
