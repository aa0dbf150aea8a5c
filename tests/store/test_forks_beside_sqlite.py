"""Forks beside open databases: what the child inherits of SQLite must never be used."""

import os
import textwrap
import threading
import warnings
from pathlib import Path

import pytest
from support.processes import run
from support.stores import count, rows

from otel_metrics import MetricsService
from otel_metrics.errors import StoreError
from otel_metrics.store.database import writing
from otel_metrics.store.forks import ForkGate

QUIET = 'import warnings; warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads\n'


def test_children_drain_while_the_parent_drains(tmp_path: Path) -> None:
    """Children forked while a thread of the parent drains drain and read themselves, and lose nothing."""
    code = """
        import os, sys, threading, otel_metrics
        service = otel_metrics.get_metrics_service()
        over = threading.Event()

        def drain():
            number = 0
            while not over.is_set():
                service.record_system_metric("parent", number)
                service.storage.drain(1.0)
                number += 1
                over.wait(0.002)  # room for the others: the lock is not fair

        draining = threading.Thread(target=drain)
        draining.start()
        codes = []
        for child in range(15):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    service.record_system_metric("child", child)
                    held = service.storage.drain(20.0).held
                    with service.storage.reading() as connection:
                        sound = connection.execute("PRAGMA quick_check").fetchone()[0]
                    code = 0 if sound == "ok" and not held else 2
                finally:
                    os._exit(code)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        over.set()
        draining.join()
        service.flush()
        print(codes)
    """
    assert run(QUIET + textwrap.dedent(code), tmp_path) == f"{[0] * 15}\n"
    values = [row["value"] for row in rows(tmp_path / "metrics.db", "system_metrics", "metric_type = 'child'")]
    assert sorted(map(int, values)) == list(range(15))


def test_child_inside_a_stage_does_not_end_it(tmp_path: Path) -> None:
    """A child that leaves the block in which it was forked writes no end; the stage's end is the parent's."""
    code = """
        import os, sys, otel_metrics
        from opentelemetry import trace
        session_id = otel_metrics.create_session(1, 2)
        with otel_metrics.timer(session_id, 1, 2, "ai_processing") as stage:
            pid = os.fork()
            if pid:
                os.waitpid(pid, 0)
                stage.metadata["who"] = "parent"
            else:
                stage.metadata["who"] = "child"
                with otel_metrics.timer(session_id, 1, 2, "correction_ai"):
                    pass
        if not pid:
            assert trace.get_current_span() is trace.INVALID_SPAN
            with otel_metrics.timer(session_id, 1, 2, "user_delivery"):
                pass
            os._exit(0)
    """
    run(QUIET + textwrap.dedent(code), tmp_path)
    stages = {row["stage"]: row for row in rows(tmp_path / "metrics.db", "processing_metrics")}
    assert set(stages) == {"ai_processing", "correction_ai", "user_delivery"}
    assert stages["ai_processing"]["metadata"] == {"who": "parent"}
    assert stages["correction_ai"]["parent_span_id"] == stages["ai_processing"]["span_id"]
    assert stages["user_delivery"]["parent_span_id"] == stages["ai_processing"]["parent_span_id"]
    assert stages["correction_ai"]["process"] != stages["ai_processing"]["process"]
    assert count(tmp_path / "metrics.db", "running") == 0


def test_spawned_and_forked_workers_write_into_one_store(tmp_path: Path) -> None:
    """Workers of `multiprocessing`, forked and spawned, keep every stage, though they end without saying goodbye."""
    (tmp_path / "worker.py").write_text(
        "import otel_metrics\n\n\ndef work(number, session_id):\n"
        "    for index in range(50):\n"
        "        with otel_metrics.timer(session_id, 1, 2, 'ai_processing', worker=number, index=index):\n"
        "            pass\n"
    )
    code = """
        import multiprocessing, otel_metrics, worker
        if __name__ == "__main__":
            session_id = otel_metrics.create_session(1, 2)
            for method in ("fork", "spawn"):
                context = multiprocessing.get_context(method)
                workers = [context.Process(target=worker.work, args=(f"{method} {n}", session_id)) for n in range(2)]
                for one in workers:
                    one.start()
                for one in workers:
                    one.join()
    """
    run(QUIET + textwrap.dedent(code), tmp_path, PYTHONPATH=str(tmp_path))
    found = [row["metadata"] for row in rows(tmp_path / "metrics.db", "processing_metrics")]
    assert len(found) == 200
    assert len({(one["worker"], one["index"]) for one in found}) == 200


def test_child_of_a_fork_with_an_open_database_only_records(service: MetricsService) -> None:
    """Where the forking thread itself has the database open, the child records and never opens the database."""
    service.create_session(1, 2)
    service.flush()
    with service.storage.reading():
        pid = _fork()
        if pid == 0:
            status = 1
            try:
                service.create_session(3, 4)
                held = service.storage.drain(5.0).held
                with pytest.raises(StoreError, match="forked while"), writing(service.settings.database):
                    pass
                status = 0 if held else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert {row["user_id"] for row in rows(service, "sessions")} == {1, 3}


def test_fork_waits_until_other_threads_have_closed_the_database() -> None:
    """The fork takes place as soon as no other thread has a connection open; until then whoever has one is asked to make room."""
    gate = ForkGate()
    opened, asked = threading.Event(), threading.Event()

    def hold() -> None:
        with gate.connection():
            opened.set()
            while not gate.wanted:
                pass
            asked.set()

    holding = threading.Thread(target=hold)
    holding.start()
    opened.wait()
    gate._before()
    assert asked.is_set()
    assert gate._open.total() == 0
    gate._in_child()
    holding.join()
    assert not gate.shut


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
