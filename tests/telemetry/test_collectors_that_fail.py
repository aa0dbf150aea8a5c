"""Collectors that are not there, do not answer, or refuse: the bot is unharmed and ends soon."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.processes import run
from support.stores import rows

PROTOCOLS = ["grpc", "http/protobuf"]
# Where nothing limits it, the SDK tries for 10 s each with spans and with metrics, and again at a flush.
ENDS_WITHIN_S = 9.0
BOT = """
    import logging, otel_metrics
    logging.disable()  # what the SDK says of the collector is its own business
    session_id = otel_metrics.create_session(1, 2)
    for number in range(600):
        with otel_metrics.timer(session_id, 1, 2, "ai_processing", number=number):
            pass
    {more}
    otel_metrics.end_session(session_id)
"""


@pytest.fixture
def closed_port() -> Iterator[str]:
    """An endpoint where nobody listens, for as long as the test lasts."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{nobody.getsockname()[1]}"


@pytest.fixture
def silent_port() -> Iterator[str]:
    """An endpoint that takes connections and never says a word."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


@pytest.fixture
def refusing_port() -> Iterator[str]:
    """An endpoint that answers every request with 503 and garbage."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(503)
            self.end_headers()
            self.wfile.write(b"\xff\x00garbage")

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("endpoint", ["closed_port", "silent_port", "refusing_port"])
def test_bot_ends_soon_with_everything_in_its_store(
    tmp_path: Path, request: pytest.FixtureRequest, endpoint: str, protocol: str
) -> None:
    """Whatever the collector does not do, the bot records without waiting, ends within seconds, and nothing local is lost."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": request.getfixturevalue(endpoint), "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
    }  # fmt: skip
    run(BOT.format(more="pass"), tmp_path, timeout_s=ENDS_WITHIN_S, **variables)
    assert len(rows(tmp_path / "metrics.db", "processing_metrics")) == 600
    assert rows(tmp_path / "metrics.db", "sessions")[0]["outcome"] == "delivered"


def test_flush_and_questions_do_not_wait_for_a_collector(tmp_path: Path, silent_port: str) -> None:
    """`flush()` takes no longer than it is given, and the dashboard asks the local store alone."""
    more = "service = otel_metrics.get_metrics_service(); service.flush(0.5); service.get_dashboard_data()"
    run(BOT.format(more=more), tmp_path, timeout_s=ENDS_WITHIN_S, OTEL_EXPORTER_OTLP_ENDPOINT=silent_port)
    assert len(rows(tmp_path / "metrics.db", "processing_metrics")) == 600


def test_service_that_is_replaced_sends_no_more(tmp_path: Path, closed_port: str) -> None:
    """`configure()` with other values ends the sending of the first service and begins its own, without a word."""
    code = """
        import logging, pathlib, sys, threading, otel_metrics
        logging.disable()
        folder = pathlib.Path(sys.argv[1])
        for name in "abc":
            otel_metrics.configure(database=folder / f"{name}.db", log_file=folder / f"{name}.jsonl")
            with otel_metrics.timer("s", 1, 2, "ai_processing"):
                pass
        print(sum(thread.name == "otel_metrics forward" for thread in threading.enumerate()))
    """
    told = run(code, tmp_path, str(tmp_path), timeout_s=3 * ENDS_WITHIN_S, OTEL_EXPORTER_OTLP_ENDPOINT=closed_port)
    assert told == "1\n"
    for name in "abc":
        assert len(rows(tmp_path / f"{name}.db", "processing_metrics")) == 1
