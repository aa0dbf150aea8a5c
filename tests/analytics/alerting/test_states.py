"""The states of an alert over a stepped clock: once each, resumed, silenced, and unmoved by a clock that jumps."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.alerting import NOW, rules_of
from support.processes import finish, start
from support.stores import rows

from otel_metrics import MetricsService
from otel_metrics.analytics.alerting.duration import Duration
from otel_metrics.analytics.alerting.evaluation import evaluate_alerts
from otel_metrics.analytics.alerting.reading import Reading
from otel_metrics.analytics.alerting.rules import QueueLength, Rule
from otel_metrics.analytics.alerting.silencing import silence_alerts, unsilence_alerts
from otel_metrics.analytics.alerting.states import step
from otel_metrics.analytics.answers import Answers
from otel_metrics.errors import SettingError, StoreError
from otel_metrics.model.times import to_ns
from otel_metrics.testing import SteppedClock, temporary_service

NOW_S = to_ns(NOW) / 1e9
CPU = """
[[rule]]
name = "cpu"
kind = "system_metric"
type = "cpu"
aggregate = "last"
above = 80
window = "1h"
for = "{hold}"
labels = {{ team = "ops" }}
description = "The machine is busy."
link = "https://example.org/cpu"
"""


class Bench:
    """A store, a clock and one rule over a value that the test sets."""

    def __init__(self, service: MetricsService, clock: SteppedClock, rules: list[Rule]) -> None:
        self.service, self.clock, self.rules = service, clock, rules

    def look(
        self, value: float | None = None, after_s: float = 0.0, rules: list[Rule] | None = None
    ) -> list[tuple[str, str]]:
        """Lets time pass, sets the value, looks, and gives the changes."""
        self.clock.advance(after_s)
        if value is not None:
            self.service.record_system_metric("cpu", value)
        answers, now = self.service.answers, self.clock.time_ns() / 1e9
        return [
            (one.before, one.after)
            for one in evaluate_alerts(self.service.storage, answers, self.rules if rules is None else rules, now)
        ]

    def stored(self) -> list[dict[str, Any]]:
        return rows(self.service.settings.database, "alerts")


@contextmanager
def bench(folder: Path, hold: str = "0s") -> Iterator[Bench]:
    text = CPU.format(hold=hold)
    (folder / "metrics.rules.toml").write_text(text)
    clock = SteppedClock(NOW)
    with temporary_service(folder, clock=clock) as service:
        yield Bench(service, clock, rules_of(folder, text))


def test_an_alert_goes_from_pending_to_firing_to_resolved(tmp_path):
    """It fires once it has held for `for`, is resolved once it has not held for `for`, and its row tells when and with which figures."""
    with bench(tmp_path, "5m") as one:
        assert one.look(50) == []
        assert one.look(90, 60) == [("ok", "pending")]
        assert one.look(91, 240) == []
        assert one.look(95, 60) == [("pending", "firing")]
        assert one.look(99, 600) == []
        assert one.look(10, 60) == []
        assert one.look(10, 240) == []
        assert one.look(10, 60) == [("firing", "resolved")]
        assert one.look(10, 60) == []
        (row,) = one.stored()
    assert (row["state"], row["value"], row["threshold"], row["samples"]) == ("resolved", 99, 80, 5)
    times = [row[name][11:19] for name in ("pending_at", "fired_at", "below_at", "resolved_at")]
    assert times == ["15:01:00", "15:06:00", "15:17:00", "15:22:00"]
    assert row["message"] == "cpu is 99 (last of 5 values in the last 1h); the upper limit is 80."


def test_what_goes_away_while_pending_never_was(tmp_path):
    """A short peak leaves no history; the next one has to hold all of `for` again."""
    with bench(tmp_path, "5m") as one:
        assert one.look(90) == [("ok", "pending")]
        assert one.look(20, 200) == [("pending", "ok")]
        assert one.stored() == []
        assert one.look(90, 200) == [("ok", "pending")]
        assert one.look(90, 200) == []


def test_a_short_dip_does_not_resolve(tmp_path):
    """While it fires, a look below the limit begins a wait that the next one above it ends."""
    with bench(tmp_path, "5m") as one:
        one.look(90)
        assert one.look(90, 300) == [("pending", "firing")]
        assert one.look(10, 60) == []
        assert one.look(90, 60) == []
        assert one.look(10, 290) == []
        assert one.look(10, 290) == []
        assert one.look(10, 10) == [("firing", "resolved")]


def test_without_for_it_fires_and_is_resolved_at_once(tmp_path):
    """And each time anew, with a row of its own."""
    with bench(tmp_path) as one:
        changes = [one.look(value, 60) for value in (90, 90, 20, 95)]
        assert changes == [[("ok", "firing")], [], [("firing", "resolved")], [("ok", "firing")]]
        assert [row["state"] for row in one.stored()] == ["resolved", "firing"]


def test_a_second_look_at_the_same_time_changes_nothing(tmp_path):
    """Nothing is told and no byte of the rows is other than before."""
    with bench(tmp_path, "5m") as one:
        for value in (90, 95, 20, 20):
            one.look(value, 300)
            before = one.stored(), rows(one.service.settings.database, "counters")
            assert one.look() == []
            assert (one.stored(), rows(one.service.settings.database, "counters")) == before


def test_a_new_evaluator_goes_on_where_a_dead_one_was(tmp_path):
    """Pending goes on to fire, and what fires does not fire again."""
    with bench(tmp_path, "5m") as one:
        one.look(90)
    with bench(tmp_path, "5m") as other:
        other.clock.advance(300)
        assert other.look(90) == [("pending", "firing")]
    with bench(tmp_path, "5m") as third:
        third.clock.advance(600)
        assert third.look(90) == []


def test_a_clock_that_jumps_back_does_not_fire_again(tmp_path):
    """Looks behind the last one change nothing, and when the clock has caught up it goes on as if nothing had been."""
    with bench(tmp_path) as one:
        assert one.look(90, 7200) == [("ok", "firing")]
        one.clock.set_time(NOW_S)
        assert [one.look(None, after_s) for after_s in (0, 60, 600)] == [[], [], []]
        one.clock.set_time(NOW_S + 7200)
        assert one.look(90, 60) == []
        assert len(one.stored()) == 1


def test_a_clock_that_was_years_ahead_does_not_stop_alerts_for_years(tmp_path):
    """After an hour of looks at the earlier time it is believed: alerts go on from there."""
    with bench(tmp_path) as one:
        assert one.look(90, 10 * 365 * 86_400) == [("ok", "firing")]
        one.clock.set_time(NOW_S)
        assert one.look(20) == []
        assert one.look(20, 3599) == []
        assert one.look(20, 1) == [("firing", "resolved")]
        (row,) = one.stored()
        assert row["fired_at"] <= row["resolved_at"]


def test_a_rule_that_is_gone_or_off_resolves_what_it_fired(tmp_path):
    """Without waiting for `for`."""
    with bench(tmp_path, "5m") as one:
        one.look(90)
        one.look(90, 300)
        assert one.look(90, 10, rules=[]) == [("firing", "resolved")]


def test_labels_are_alerts_of_their_own(tmp_path):
    """Two slow stages fire separately, and each is resolved by itself."""
    rules = rules_of(
        tmp_path, '[[rule]]\nname = "slow"\nkind = "slow_stage"\nthreshold = "1s"\nwindow = "10m"\nleast = 1\n'
    )
    clock = SteppedClock(NOW)
    with temporary_service(tmp_path, clock=clock) as service:
        one = Bench(service, clock, rules)
        service.record_stage("s", 1, 2, "a", start_time=NOW_S - 400, end_time=NOW_S - 300)
        service.record_stage("s", 1, 2, "b", start_time=NOW_S - 60, end_time=NOW_S - 10)
        assert one.look() == [("ok", "firing"), ("ok", "firing")]
        assert [row["labels"] for row in one.stored()] == ['{"stage":"a"}', '{"stage":"b"}']
        assert one.look(after_s=400) == [("firing", "resolved")]
        states = service.answers.alert_states()
    assert [state["labels"] for state in states] == [{"stage": "b"}]


def test_a_silence_is_over_a_time_and_labels_and_stops_no_evaluation(tmp_path):
    """What is silenced changes its state as ever, is told and shown as silenced, and no longer when the silence is over or ended."""
    with bench(tmp_path) as one:
        storage, now_ns = one.service.storage, one.clock.time_ns()
        one.look(10)
        silence_alerts(storage, one.rules, "cpu", {"team": "other"}, "not ours", Duration(3600), now_ns)
        silence_alerts(storage, one.rules, "cpu", {"team": "ops"}, "a new machine", Duration(600), now_ns)
        one.service.record_system_metric("cpu", 90)
        (change,) = evaluate_alerts(storage, one.service.answers, one.rules, one.clock.time_ns() / 1e9)
        assert (change.after, change.silenced, change.link) == ("firing", True, "https://example.org/cpu")
        (alert,) = [alert for alert in one.service.get_alerts() if alert.get("rule") == "cpu"]
        assert (alert["silenced"], alert["silence_reason"]) == (True, "a new machine")
        assert one.service.answers.alert_states()[0]["silenced_until"] is not None
        one.clock.advance(601)
        assert "silenced" not in one.service.get_alerts()[-1]
        silence_alerts(storage, one.rules, "cpu", {}, "again", Duration(600), one.clock.time_ns())
        assert one.service.get_alerts()[-1]["silence_reason"] == "again"
        assert unsilence_alerts(storage, "cpu", now_ns=one.clock.time_ns()) == 2
        assert unsilence_alerts(storage, "cpu", now_ns=one.clock.time_ns()) == 0
        assert "silenced" not in one.service.get_alerts()[-1]


@pytest.mark.parametrize(("reason", "length"), [(" ", 5), ("x" * 501, 5), ("why", 0)])
def test_a_silence_needs_a_reason_and_a_length(tmp_path, reason, length):
    """Without them it is refused, and nothing is written."""
    with bench(tmp_path) as one:
        with pytest.raises(SettingError):
            silence_alerts(one.service.storage, one.rules, "cpu", {}, reason, Duration(length))
        assert not one.service.storage.exists()


def test_what_is_pending_in_the_store_is_not_wrong_yet(tmp_path):
    """`get_alerts` has what holds now; what an evaluator is still waiting for is not in it."""
    with bench(tmp_path, "5m") as one:
        one.service.record_system_metric("cpu", 90)
        assert [alert["rule"] for alert in one.service.get_alerts()] == ["cpu"]
        one.look()
        assert one.service.get_alerts() == []
        one.clock.advance(300)
        assert len(one.service.get_alerts()) == 1  # the evaluator may have died
        one.look(90)
        (alert,) = one.service.get_alerts()
    assert alert["type"] == "system_metric"
    assert (alert["rule"], alert["severity"], alert["value"], alert["threshold"]) == ("cpu", "warning", 90, 80)
    assert alert["labels"] == {"team": "ops", "type": "cpu"}
    assert alert["message"].startswith("cpu is 90")


def test_explaining_a_rule_gives_its_figures_and_its_history(tmp_path):
    """Value, threshold, samples, the windows before, state and history, in rows and in words."""
    with bench(tmp_path) as one:
        one.look(30)
        one.look(90, 3600)
        document = one.service.answers.explain_alert("cpu")
    assert [(row["value"], row["threshold"], row["samples"], row["state"]) for row in document["readings"]] == [
        (90, 80, 1, "firing")
    ]
    assert [row["value"] for row in document["recent"]][:2] == [30, None]
    assert [row["state"] for row in document["history"]] == ["firing"]
    words = " ".join(document["sentences"])
    assert "The machine is busy." in words
    assert (
        "cpu is 90 (last of 1 values in the last 1h); the upper limit is 80. Firing since 2026-03-10 16:00:00 UTC."
        in words
    )


def test_alerts_of_the_past_go_with_the_retention(tmp_path):
    """Resolved alerts and ended silences are pruned like rows; what fires stays."""
    with bench(tmp_path) as one:
        one.look(90)
        one.look(20, 60)
        one.look(90, 60)
        silence_alerts(one.service.storage, one.rules, "cpu", {}, "why", Duration(60), one.clock.time_ns())
        one.service.storage.prune(one.clock.time_ns() + 31 * 86_400 * 10**9)
        assert [row["state"] for row in one.stored()] == ["firing"]
        assert rows(one.service.settings.database, "silences") == []


def test_an_evaluation_while_another_process_writes_says_so(tmp_path, monkeypatch):
    """After a wait it raises, and no state has changed."""
    monkeypatch.setattr("otel_metrics.analytics.alerting.evaluation._WAIT_S", 0.05)
    with bench(tmp_path) as one:
        one.look(20)
        with one.service.storage.alone(1.0), pytest.raises(StoreError, match="another process"):
            evaluate_alerts(
                one.service.storage, Answers(one.service.storage, one.service.settings, one.clock), one.rules, NOW_S + 5
            )


looks = st.lists(st.tuples(st.booleans() | st.none(), st.integers(0, 400)), max_size=30)


@given(looks, st.sampled_from([0, 100, 300]))
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_any_course_follows_the_definition(course, hold_s):
    """Whatever the readings, an alert fires when it has held without a break for `for`, and ends when it has not for as long."""
    rule = QueueLength(name="q", threshold=1, hold=Duration(hold_s))
    held, now, holding_since, below_since, firing = None, 10**18, None, None, False
    for breached, after_s in course:
        now += after_s * 10**9
        reading = (
            None if breached is None else Reading({}, 2.0, 1.0, "count", 2, enough=True, breached=breached, message="m")
        )
        held = step(held, rule, reading, now)
        if breached:
            holding_since, below_since = (holding_since or now), None
            firing = firing or now - holding_since >= hold_s * 10**9
        else:
            below_since = below_since or now
            firing = firing and now - below_since < hold_s * 10**9
            holding_since = holding_since if firing else None
        assert (held is not None and held.state == "firing") is firing
        held = None if held is not None and held.state == "resolved" else held


EVALUATOR = """
import sys, time
import otel_metrics as m
from otel_metrics.analytics.alerting.evaluation import evaluate_alerts
service = m.get_metrics_service()
answers = service.answers
print("ready", flush=True)
sys.stdin.readline()
for _ in range(25):
    for one in evaluate_alerts(service.storage, answers, answers.rules(), time.time()):
        print(one.before, one.after, flush=True)
m.shutdown()
"""


def test_two_evaluators_at_once_fire_once(tmp_path):
    """Of real processes that look at the same moments one tells that it fires, and there is one row."""
    (tmp_path / "metrics.rules.toml").write_text(CPU.format(hold="0s"))
    with temporary_service(tmp_path) as service:
        service.record_system_metric("cpu", 90)
        service.flush()
    evaluators = [start(EVALUATOR, tmp_path) for _ in range(3)]
    for one in evaluators:
        assert one.stdout.readline() == "ready\n"
    for one in evaluators:
        one.stdin.write("go\n")
        one.stdin.flush()
    told = "".join(finish(one) for one in evaluators)
    assert told == "ok firing\n"
    with closing(sqlite3.connect(tmp_path / "metrics.db")) as connection:
        assert connection.execute("SELECT state, count(*) FROM alerts GROUP BY 1").fetchall() == [("firing", 1)]
