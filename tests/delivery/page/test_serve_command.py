"""The command `serve`: addresses that can not be had, a missing extra, and its end."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.cli import Cli
from support.page import Served, serving
from support.processes import environment

from otel_metrics.delivery.page.server import listen


def test_a_port_that_is_taken_is_told(cli: Cli):
    """Where another program has the port, the command ends with status 2 and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = cli("serve", "--port", taken.getsockname()[1])
    assert result.status == 2
    assert "--port 0" in result.notes


def test_an_address_that_is_none_is_told(cli: Cli):
    """A host that this machine has not is refused in one line."""
    result = cli("serve", "--host", "192.0.2.1", "--port", 0)
    assert result.status == 2
    assert len(result.notes.splitlines()) == 1


def test_without_the_extra_the_command_says_how_to_get_it(tmp_path: Path):
    """Where NiceGUI is not installed, one line names the extra; no traceback."""
    code = (
        "import sys; sys.modules['nicegui'] = None\n"
        "from otel_metrics.delivery.cli.program import run\n"
        "sys.exit(run(['serve', '--port', '0']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install '.[dashboard]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(tmp_path: Path, ending: signal.Signals):
    """Ctrl-C and SIGTERM end the server within seconds, without a traceback."""
    with serving(tmp_path / "metrics.db") as served:
        assert served.ask("/").status == 200
        served.process.send_signal(ending)
        _, said = served.process.communicate(timeout=20)
    assert "Traceback" not in said


def test_the_token_can_be_given(tmp_path: Path):
    """METRICS_PAGE_TOKEN is the token of a page for others, so that links outlive a restart."""
    with serving(tmp_path / "metrics.db", "--host", "0.0.0.0", METRICS_PAGE_TOKEN="sixteen-letters-or-more") as served:
        assert served.ask("/", authorization="Bearer sixteen-letters-or-more").status == 200
        assert served.ask("/").status == 401


def test_every_loopback_address_needs_no_token():
    """An address of this machine alone has no token; one of all networks has."""
    for host, secret in (("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)):
        address = listen(host, 0)
        for one in address.sockets:
            one.close()
        assert (address.doors.token is not None) is secret


def test_a_name_of_a_proxy_is_let_in_with_the_token(tmp_path: Path):
    """With --name the page opens under that name too, and needs the token although it listens to this machine only."""
    with serving(tmp_path / "metrics.db", "--name", "metrics.example.org") as served:
        key = f"Bearer {served.token}"
        assert served.ask("/", host="metrics.example.org", authorization=key).status == 200
        assert served.ask("/", host="metrics.example.org").status == 401
        assert served.ask("/").status == 401
        assert served.ask("/", host="other.example.org", authorization=key).status == 421


def test_without_the_library_for_prometheus_the_page_is_served(tmp_path: Path):
    """An installation from before it was part of the extra has its page; `/metrics` says how to get the rest."""
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from otel_metrics.delivery.cli.program import run\n"
        "sys.exit(run(['serve', '--port', '0']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    page = Served(process.stdout.readline().split()[-1], process)
    assert page.ask("/").status == 200
    reply = page.ask("/metrics")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert reply.status == 503
    assert "pip install '.[dashboard]'" in reply.text
