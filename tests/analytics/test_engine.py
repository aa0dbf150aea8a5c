"""Rows on their way into DuckDB."""

from pathlib import Path

from otel_metrics.testing import temporary_service


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
