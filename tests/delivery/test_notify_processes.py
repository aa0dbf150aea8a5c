"""Messages to people from real processes: several at once, some that are killed, and the commands around them."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from support.notified import RULES, fire, titles
from support.post import Letterbox, http_server
from support.processes import finish, run, start
from support.stores import rows

from otel_metrics.delivery.notify.watching import Watchman
from otel_metrics.store.database import writing
from otel_metrics.testing import SteppedClock, temporary_service

pytest.importorskip("apprise", reason="apprise is not installed: pip install '.[notify]'")


@pytest.fixture
def box() -> Iterator[Letterbox]:
    with http_server() as one:
        yield one


WATCHING = """
import sys
import otel_metrics as m
from otel_metrics.delivery.notify.watching import Watchman
service = m.get_metrics_service()
watchman = Watchman(service.storage, service.answers, service.settings, print)
{before}
print("ready", flush=True)
sys.stdin.readline()
{after}
m.shutdown()
"""


def test_of_many_watching_processes_one_sends(tmp_path, box):
    """Three that look and send at the same moments: each message arrives once."""
    fire(tmp_path, box)
    many = [
        start(
            WATCHING.format(before="", after="for _ in range(8):\n    watchman.look()\n    watchman.send()"), tmp_path
        )
        for _ in range(3)
    ]
    for one in many:
        assert one.stdout.readline() == "ready\n"
    for one in many:
        one.stdin.write("go\n")
        one.stdin.flush()
    assert [finish(one) for one in many] == ["", "", ""]
    assert titles(box) == ["FIRING warning: cpu (type=cpu)"]


def test_a_kill_between_decision_and_sending_loses_nothing(tmp_path, box):
    """Whoever watches next sends it at once."""
    fire(tmp_path, box)
    one = start(WATCHING.format(before="watchman.look()", after="watchman.send()"), tmp_path)
    assert one.stdout.readline() == "ready\n"
    one.kill()
    one.communicate()
    assert box.arrived == []
    run(WATCHING.format(before="", after="watchman.look(); watchman.send()"), tmp_path)
    assert len(box.arrived) == 1


def test_a_kill_in_the_midst_of_sending_sends_again(tmp_path, box):
    """The server may have it already or not: it arrives at least once, after the pause of a failed try."""
    fire(tmp_path, box)
    box.held = threading.Event()
    one = start(WATCHING.format(before="watchman.look()", after="watchman.send()"), tmp_path)
    one.stdin.write("go\n")
    one.stdin.flush()
    assert box.reached.wait(30)
    os.kill(one.pid, signal.SIGKILL)
    one.communicate()
    box.held.set()
    clock = SteppedClock(time.time() + 29)
    with temporary_service(tmp_path, clock=clock) as service:
        watchman = Watchman(service.storage, service.answers, service.settings, print, clock)
        (row,) = rows(service.settings.database, "notices")
        assert (row["state"], row["tries"], row["error"]) == ("waiting", 1, "the process ended while it was being sent")
        clock.advance(2)
        assert len(watchman.send().delivered) == 1
    assert 1 <= len(box.arrived) <= 2


def test_the_command_watches_and_sends(tmp_path, cli, box):
    """`watch --once` says on standard error what was sent, and on standard output what it always said."""
    fire(tmp_path, box)
    result = cli("watch", "--once", "--format", "json")
    assert json.loads(result.output)["rule"] == "cpu"
    assert result.notes == "note: sent to hook: FIRING warning: cpu (type=cpu)\n"
    assert cli("watch", "--once").notes == ""
    assert len(box.arrived) == 1


def test_messages_are_listed_and_may_be_tried_anew(tmp_path, cli, box):
    """Each with what became of it; `--again` puts what was given up back, and the alert about it is over."""
    assert cli("alerts", "messages").output.startswith("No store")
    fire(tmp_path, box)
    assert "nothing waits" in cli("alerts", "messages").output
    box.failures = 1
    assert "not sent to hook yet" in cli("watch", "--once").notes
    with writing(tmp_path / "metrics.db") as connection:
        connection.execute("UPDATE notices SET state = 'undelivered', tries = 30")
    shown = cli("alerts", "messages", columns=200).output
    assert (
        "✗ hook: FIRING warning: cpu (type=cpu)" in shown and "undelivered, 30 tries" in shown and "error=500" in shown
    )
    assert "did not reach hook" in cli("alerts").output
    assert cli("alerts", "--fail-on").status == 1
    assert "1 will be tried anew" in cli("alerts", "messages", "--again").notes
    cli("watch", "--once")
    (row,) = json.loads(cli("alerts", "messages", "--format", "json").output)
    assert (row["state"], row["tries"], row["error"]) == ("delivered", 1, "")
    assert "did not reach" not in cli("alerts").output
    assert cli("alerts", "messages", "--limit", 0).status == 2


def test_a_target_can_be_tried(tmp_path, cli, box):
    """Status 0 where it has arrived, 1 where it has not, 2 where there is no such target."""
    assert cli("alerts", "test").status == 2
    (tmp_path / "metrics.rules.toml").write_text(RULES.format(url=box.url()))
    assert cli("alerts", "test").output == "✓ hook: sent\n"
    assert titles(box) == ["A try of otel-metrics"]
    box.failures = 1
    result = cli("alerts", "test", "hook")
    assert (result.status, result.output[:2]) == (1, "✗ ")
    assert "one of hook" in cli("alerts", "test", "nobody").notes


def test_without_apprise_the_way_to_it_is_shown(tmp_path, cli, monkeypatch):
    """One line with the pip command, status 2; commands that send nothing work without it."""
    from otel_metrics.delivery.notify import posting

    monkeypatch.setitem(sys.modules, "apprise", None)
    posting.apprise_library.cache_clear()
    (tmp_path / "metrics.rules.toml").write_text(RULES.format(url="json://${NOT_SET}"))
    result = cli("watch", "--once")
    assert (result.status, result.notes.count("\n")) == (2, 1)
    assert "pip install '.[notify]'" in result.notes
    assert cli("alerts").status == 0
    assert cli("alerts", "rules").status == 0


def test_the_rules_command_shows_who_is_told(tmp_path, cli):
    """Target by target, with the service and without the URL, whether its variables are set or not."""
    (tmp_path / "metrics.rules.toml").write_text(
        RULES.format(url="tgram://${NOT_SET}/hidden").replace("[[rule]]", 'severity = "critical"\n[[rule]]')
        + 'notify = ["hook"]\n'
    )
    output = cli("alerts", "rules").output
    assert "→ hook  tgram, from critical on" in output and "told to hook" in output
    assert "hidden" not in output
