"""Several processes of one program: forked and spawned children write into the same store."""

from support.processes import run
from support.stores import count, rows


def test_forked_children_write_on_their_own(tmp_path):
    """Children forked in the middle of recording, also beside a drain, add exactly what they record."""
    run(
        """
        import os, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of any fork beside threads
        import otel_metrics as m
        session = m.create_session(1, 2)
        with m.timer(session, 1, 2, "query_received"):
            for child in range(6):
                if os.fork() == 0:
                    for _ in range(50):
                        with m.timer(session, 1, 2, "ai_processing", child=child):
                            pass
                    os._exit(0)
            while True:
                try:
                    os.wait()
                except ChildProcessError:
                    break
        m.shutdown()
        """,
        tmp_path,
        METRICS_DRAIN_INTERVAL="0.05",
    )
    assert count(tmp_path / "metrics.db", "processing_metrics") == 301
    writers = {row["process"] for row in rows(tmp_path / "metrics.db", "processing_metrics")}
    assert len(writers) == 7


def test_an_end_without_goodbye_keeps_every_stage(tmp_path):
    """os._exit, sys.exit and an exception at the top all leave each ended stage in the log."""
    for ending in ("import os; os._exit(0)", "import sys; sys.exit(0)"):
        run(
            f"""
            import otel_metrics as m
            session = m.create_session(1, 2)
            for _ in range(20):
                with m.timer(session, 1, 2, "ai_processing"):
                    pass
            {ending}
            """,
            tmp_path,
        )
    run("import otel_metrics as m; m.configure(); m.shutdown()", tmp_path)
    assert count(tmp_path / "metrics.db", "processing_metrics") == 40
