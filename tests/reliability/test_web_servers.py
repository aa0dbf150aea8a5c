"""A web server whose forked workers record: killed and replaced while requests go on."""

import http.client
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.processes import TIMEOUT_S, environment
from support.stores import layout_in

import otel_metrics
from otel_metrics.settings import Settings
from otel_metrics.store.tables import MetricsStorage

WORKERS, CLIENTS, KILLS, REQUESTS = 3, 4, 12, 600


# --- in the server -------------------------------------------------------------------------------------------------


def make_application() -> Callable[..., Iterable[bytes]]:
    """A WSGI application that records from its first moment: where it is loaded before the fork, so does the master."""
    with otel_metrics.timer("startup", 1, 2, "query_received"):
        pass

    def application(request: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        with otel_metrics.timer("web", 1, 2, "ai_processing", request=request["QUERY_STRING"]):
            otel_metrics.record_system_metric("request", request["QUERY_STRING"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]

    return application


# --- in the test ---------------------------------------------------------------------------------------------------


@contextmanager
def gunicorn(folder: Path, *, preload: bool) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """A gunicorn on loopback, its port and its process; at the end it is told to stop and must say nothing."""
    pytest.importorskip("gunicorn", reason="gunicorn is not installed: pip install gunicorn")
    here = Path(__file__)
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(here.parent), str(here.parents[1])]))
    with socket.socket() as listening, tempfile.TemporaryFile() as complaints:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        command = [
            sys.executable, "-m", "gunicorn", f"{here.stem}:make_application()", f"--bind=fd://{listening.fileno()}",
            f"--workers={WORKERS}", "--log-level=critical", "--no-control-socket", *(["--preload"] if preload else []),
        ]  # fmt: skip
        server = subprocess.Popen(
            command, cwd=folder, env=environment(folder, PYTHONPATH=path, METRICS_DRAIN_INTERVAL="0.05"),
            pass_fds=[listening.fileno()], stderr=complaints, start_new_session=True,
        )  # fmt: skip
        try:
            yield listening.getsockname()[1], server
            server.terminate()
            assert server.wait(TIMEOUT_S) == 0
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()
            complaints.seek(0)
            said = complaints.read().decode(errors="replace")
        assert not said, said


class Clients:
    """Threads that send requests one after another, each with a name of its own, and note which got their answer."""

    def __init__(self, port: int) -> None:
        self.answered: dict[str, int] = {}
        self.failed = 0
        self.changed = threading.Condition()
        self._port = port
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, more: int) -> int:
        """Waits for so many more answers, and gives the process that gave the last one."""
        with self.changed:
            wanted = len(self.answered) + more
            assert self.changed.wait_for(lambda: len(self.answered) >= wanted, TIMEOUT_S), "the server answers no more"
            return next(reversed(self.answered.values()))

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _work(self, client: int) -> None:
        sent = 0
        while not self._over.is_set():
            sent += 1
            worker = self._ask(f"{client}-{sent}")
            with self.changed:
                if worker:
                    self.answered[f"{client}-{sent}"] = worker
                else:
                    self.failed += 1
                self.changed.notify_all()

    def _ask(self, name: str) -> int:
        """Sends one request; the process that answered, or 0 where the connection was cut."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request("GET", f"/?{name}")
            response = connection.getresponse()
            return int(response.read()) if response.status == 200 else 0
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


def recorded(folder: Path) -> tuple[Counter[str], Counter[str], int]:
    """Requests by their stages and by their values, and how often an application was made."""
    layout = layout_in(folder)
    storage = MetricsStorage(layout, Settings(database=layout.database, log_file=layout.log_file))
    storage.drain(10.0)
    account = storage.account()
    assert account.emitted == account.stored, account.equation()
    with closing(sqlite3.connect(layout.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        stages = connection.execute("SELECT metadata ->> 'request' FROM processing_metrics WHERE session_id = 'web'")
        values = connection.execute("SELECT value FROM system_metrics WHERE metric_type = 'request'")
        made = connection.execute("SELECT count(*) FROM processing_metrics WHERE session_id = 'startup'").fetchone()
        return Counter(row[0] for row in stages), Counter(row[0] for row in values), made[0]


@pytest.mark.parametrize("preload", [False, True], ids=["loaded-by-workers", "preloaded"])
def test_request_that_got_its_answer_is_stored_once(tmp_path: Path, preload: bool) -> None:
    """Workers of a web server are killed and replaced while requests go on: whatever was answered is there once, whoever loaded the application."""
    chance = random.Random(5)
    with gunicorn(tmp_path, preload=preload) as (port, _):
        clients = Clients(port)
        try:
            for _ in range(KILLS):
                os.kill(clients.wait_for(chance.randrange(10, 60)), signal.SIGKILL)
            clients.wait_for(max(50, REQUESTS - len(clients.answered)))
        finally:
            clients.stop()
    stages, values, made = recorded(tmp_path)
    workers = set(clients.answered.values())
    print(
        f"preload={preload}: {KILLS} workers killed, {len(workers)} answered, {len(clients.answered)} requests answered, "
        f"{clients.failed} cut off, {stages.total()} stages and {values.total()} values stored"
    )
    assert len(workers) > WORKERS
    for found in (stages, values):
        assert [name for name in clients.answered if not found[name]] == []
        assert {name: times for name, times in found.items() if times > 1} == {}
        assert found.total() <= len(clients.answered) + clients.failed
    assert made == 1 if preload else made >= len(workers)
