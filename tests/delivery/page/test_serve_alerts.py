"""Alerts of a page that is served: evaluated and told as `watch` does, once with others beside it, and shown on the page."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.notified import RULES, fire, titles
from support.page import shown, wait_for, watching_page
from support.post import Letterbox, http_server
from support.processes import environment
from support.stores import rows

from otel_metrics import MetricsService
from otel_metrics.settings import load
from otel_metrics.store.database import writing

pytest.importorskip("apprise", reason="apprise is not installed: pip install '.[notify]'")

FIRING, RESOLVED = "FIRING warning: cpu (type=cpu)", "RESOLVED: cpu (type=cpu)"


@pytest.fixture
def box() -> Iterator[Letterbox]:
    with http_server() as one:
        yield one


def record(folder: Path, value: float) -> None:
    """A bot in another process, as far as the page can tell."""
    with MetricsService(load({"database": folder / "metrics.db", "log_file": folder / "metrics.jsonl"}, {})) as service:
        service.record_system_metric("cpu", value)


def looks(folder: Path) -> int:
    """When somebody has looked at the rules last; 0 where nobody has."""
    try:
        found = rows(folder / "metrics.db", "counters")
    except sqlite3.Error:  # not made yet
        return 0
    return next((int(row["value"]) for row in found if row["name"] == "alerts_looked_us"), 0)


def look_again(folder: Path) -> None:
    """Waits until a look that begins now is over."""
    for _ in range(2):
        before = looks(folder)
        wait_for(lambda before=before: looks(folder) > before)


def test_it_tells_what_fires_and_what_is_over(tmp_path: Path, box: Letterbox):
    """A page alone: one message when the rule fires, one when it is over; each is said in the terminal and on the page."""
    fire(tmp_path, box)
    with watching_page(tmp_path) as page:
        wait_for(lambda: titles(box) == [FIRING], page.process)
        record(tmp_path, 10)
        wait_for(lambda: titles(box) == [FIRING, RESOLVED], page.process)
        look_again(tmp_path)
        wait_for(lambda: shown(page).count(">sent<") == 2, page.process)
        page.process.send_signal(signal.SIGINT)
        said, notes = page.process.communicate(timeout=20)
    assert [line.split()[2:4] for line in said.splitlines()] == [["firing", "cpu"], ["resolved", "cpu"]]
    assert notes.splitlines() == [f"note: sent to hook: {FIRING}", f"note: sent to hook: {RESOLVED}"]


def test_beside_watch_each_message_goes_out_once(tmp_path: Path, box: Letterbox):
    """`serve`, another `serve` and `watch` look at the same store every second: each change is told once in all."""
    fire(tmp_path, box)
    watch = subprocess.Popen(
        [sys.executable, "-m", "otel_metrics", "watch", "--interval", "1s"], cwd=tmp_path, env=environment(tmp_path),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        with watching_page(tmp_path) as page, watching_page(tmp_path) as other:
            wait_for(lambda: titles(box), page.process)
            for value, change in ((10, RESOLVED), (95, FIRING)):
                record(tmp_path, value)
                wait_for(lambda change=change: titles(box)[-1] == change, watch)
                look_again(tmp_path)  # by others too
                look_again(tmp_path)
            assert other.process.poll() is None
    finally:
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=20)
    assert watch.returncode == 0
    assert titles(box) == [FIRING, RESOLVED, FIRING]
    assert [row["tries"] for row in rows(tmp_path / "metrics.db", "notices")] == [1, 1, 1]


@pytest.mark.parametrize("endings", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_a_receiver_that_hangs_holds_nobody_up(tmp_path: Path, box: Letterbox, endings: list[signal.Signals]):
    """While a receiver answers for good the page answers too; a signal or two end both, and the message waits in the store."""
    fire(tmp_path, box)
    box.endless = True
    with watching_page(tmp_path) as page:
        assert box.reached.wait(40)
        assert page.ask("/now").status == 200
        for ending in endings:
            page.process.send_signal(ending)
        _, notes = page.process.communicate(timeout=15)  # less than the receiver would be waited for
    assert box.gone.wait(20)
    assert "Traceback" not in notes
    (row,) = rows(tmp_path / "metrics.db", "notices")
    assert (row["state"], row["tries"], row["error"]) == ("waiting", 1, "the program ended while it was being sent")


def test_what_was_waiting_is_sent_by_the_next_one(tmp_path: Path, box: Letterbox):
    """A message that failed is shown with why and from when on it is tried again, and goes out from the next page."""
    fire(tmp_path, box)
    box.failures = 1000
    with watching_page(tmp_path) as page:
        text = wait_for(lambda: (text := shown(page)) and "to be retried" in text and text, page.process)
        assert "error=500" in text and "json://…" in text
        assert str(box.port) not in text
    box.failures = 0
    with writing(tmp_path / "metrics.db") as connection:  # half a minute goes by
        connection.execute("UPDATE notices SET tried_at = '2026-01-01T00:00:00.000000Z'")
    with watching_page(tmp_path) as page:
        wait_for(lambda: titles(box) == [FIRING], page.process)
        wait_for(lambda: "to be retried" not in shown(page), page.process)


def test_a_file_with_a_mistake_is_told_and_looked_at_again(tmp_path: Path, box: Letterbox):
    """The page begins all the same, says in the log and on the page what is wrong, once, and goes on once it is mended."""
    fire(tmp_path, box)
    rules = tmp_path / "metrics.rules.toml"
    whole = rules.read_text()
    rules.write_text(whole.replace(box.url(), "json://127.0.0.1/${NO_SUCH_VARIABLE}"))
    with watching_page(tmp_path) as page:
        assert page.process.stderr is not None
        line = page.process.stderr.readline()
        assert "no look at the alerts this time" in line and "NO_SUCH_VARIABLE" in line
        text = wait_for(lambda: (text := shown(page)) and "Alerts are held up" in text and text, page.process)
        assert "NO_SUCH_VARIABLE, which is not set" in text
        rules.write_text(whole)
        wait_for(lambda: titles(box) == [FIRING], page.process)
        wait_for(lambda: "Alerts are held up" not in shown(page), page.process)
        rules.write_text("[[rule\n")
        assert "sent to hook" in page.process.stderr.readline()
        assert "the rules stay as they were" in page.process.stderr.readline()
        record(tmp_path, 10)
        wait_for(lambda: titles(box) == [FIRING, RESOLVED], page.process)


def test_it_begins_before_there_is_a_store(tmp_path: Path, box: Letterbox):
    """A page over nothing waits without a word, and tells what fires in the store that comes."""
    (tmp_path / "metrics.rules.toml").write_text(RULES.format(url=box.url()))
    with watching_page(tmp_path) as page:
        assert page.ask("/alerts").status == 200
        record(tmp_path, 90)
        wait_for(lambda: titles(box) == [FIRING], page.process)
        page.process.send_signal(signal.SIGTERM)
        _, notes = page.process.communicate(timeout=20)
    assert notes == f"note: sent to hook: {FIRING}\n"


def test_an_interval_that_is_none_is_told(cli: Callable[..., Any]):
    """The page does not begin with one, and says what would do."""
    result = cli("serve", "--port", 0, "--interval", "soon")
    assert result.status == 2
    assert "for example --interval 60s" in result.notes
