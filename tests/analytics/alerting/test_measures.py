"""What each kind of rule finds, against plain Python over the facts: hot rows, cold ones, and both."""

import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.alerting import NOW, Step, Visit, played, readings, rules_of
from support.generated import quantile
from support.tiers import begin

from otel_metrics.model.times import to_ns
from otel_metrics.testing import SteppedClock, temporary_service

HOUR = 3600
TIERS = ["hot", "cold", "both"]
steps = st.builds(
    Step, st.sampled_from(["ai_processing", "admin_review", "own"]), st.integers(0, 600), st.integers(0, 900), st.booleans(),
    st.none() | st.integers(0, 900), st.none() | st.integers(0, 400).map(lambda n: n / 100), st.sampled_from([None, "USD", "EUR"]),
    st.sampled_from([None, "small", "large"]),
)  # fmt: skip
visits = st.builds(
    Visit, st.integers(1500, 6 * HOUR), st.lists(steps, max_size=3).map(tuple), st.sampled_from([None, "refund", "order"]),
    st.sampled_from([None, "v1", "v2"]), st.sampled_from([None, "text_correction", "rejection"]), st.booleans(),
)  # fmt: skip
RULES = """
[[rule]]
name = "mean"
kind = "slow_stage"
threshold = "5m"
people_threshold = "7m"
window = "2h"
least = 2
[[rule]]
name = "high"
kind = "slow_stage"
stage = "own"
statistic = "p90"
threshold = "5m"
window = "2h"
least = 1
[[rule]]
name = "all_well"
kind = "success_rate"
threshold = 60
window = "2h"
least = 1
[[rule]]
name = "each_well"
kind = "success_rate"
by_stage = true
threshold = 60
window = "2h"
least = 2
[[rule]]
name = "any_corrected"
kind = "correction_rate"
threshold = 30
window = "2h"
least = 2
[[rule]]
name = "some_corrected"
kind = "correction_rate"
intent = "refund"
prompt = "v1"
threshold = 30
window = "2h"
least = 1
[[rule]]
name = "small_corrected"
kind = "correction_rate"
model = "small"
threshold = 30
window = "2h"
least = 1
[[rule]]
name = "length"
kind = "queue_length"
threshold = 2
[[rule]]
name = "age"
kind = "queue_age"
threshold = "2h"
[[rule]]
name = "quiet"
kind = "no_data"
threshold = "30m"
[[rule]]
name = "spent"
kind = "cost_per_hour"
threshold = 1.5
window = "2h"
[[rule]]
name = "surge"
kind = "token_surge"
threshold = 1.5
baseline = "4h"
least = 2
"""


def of(facts, within_s):
    """The stages that ended in the last so many seconds: pairs of a visit and a step."""
    ends = [(visit, step, visit.ago_s - step.offset_s - step.took_s) for visit in facts for step in visit.steps]
    return [(visit, step) for visit, step, ago in ends if 0 <= ago < within_s]


def last_end_ago(visit):
    """When a visit was over."""
    return min([visit.ago_s, *(visit.ago_s - step.offset_s - step.took_s for step in visit.steps)])


def expected(facts):
    """The value of each rule and labels by its definition; None where there are too few samples."""
    inside = of(facts, 2 * HOUR)
    by_stage = defaultdict(list)
    for _, step in inside:
        by_stage[step.stage].append(step)
    found = {}
    for stage, several in by_stage.items():
        took = [1000 * one.took_s for one in several]
        found["mean", stage] = statistics.fmean(took) if len(took) >= 2 else None
        found["each_well", stage] = 100 * sum(one.ok for one in several) / len(several) if len(several) >= 2 else None
        if stage == "own":
            found["high", stage] = quantile(took, 0.9)
    found["all_well", ""] = 100 * sum(step.ok for _, step in inside) / len(inside) if inside else None

    def rate(name, least, matches):
        touched = {id(visit): visit for visit, _ in inside}
        touched |= {id(one): one for one in facts if one.correction and last_end_ago(one) < 2 * HOUR}
        chosen = [one for one in touched.values() if matches(one)]
        fixed = [one for one in chosen if one.correction == "text_correction" and last_end_ago(one) < 2 * HOUR]
        found[name] = 100 * len(fixed) / len(chosen) if len(chosen) >= least else None

    stages_in = {id(visit): [step for other, step in inside if other is visit] for visit, _ in inside}
    rate(("any_corrected", ""), 2, lambda _: True)
    rate(
        ("some_corrected", "refund,v1"),
        1,
        lambda one: one.intent == "refund" and one.prompt == "v1" and stages_in.get(id(one)),
    )
    rate(("small_corrected", "small"), 1, lambda one: any(step.model == "small" for step in stages_in.get(id(one), ())))

    waiting = []
    for one in facts:
        drafts = [step.offset_s + step.took_s for step in one.steps if step.stage == "ai_processing"]
        if drafts and not one.ended and not any(step.offset_s >= max(drafts) for step in one.steps):
            waiting.append(one.ago_s - max(drafts))
    found["length", ""] = len(waiting)
    found["age", ""] = 1000 * max(waiting, default=0)
    every = [visit.ago_s - step.offset_s - step.took_s for visit in facts for step in visit.steps]
    found["quiet", ""] = 1000 * min(every) if every else None

    spent = defaultdict(float)
    for _, step in inside:
        if step.cost is not None:
            spent[step.currency or ""] += step.cost
    found |= {("spent", currency): cost / 2 for currency, cost in spent.items()} or {("spent", ""): None}
    pieces = [
        sum(step.tokens or 0 for _, step in of(facts, (n + 1) * HOUR))
        - sum(step.tokens or 0 for _, step in of(facts, n * HOUR))
        for n in range(5)
    ]
    known = max((n for n in range(5) if len(of(facts, (n + 1) * HOUR)) > len(of(facts, n * HOUR))), default=0)
    mean = sum(pieces[1 : known + 1]) / known if known else 0
    found["surge", ""] = pieces[0] / mean if known >= 2 and mean else None
    return found


@given(st.lists(visits, max_size=25), st.sampled_from(TIERS))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_kind_equals_an_independent_computation(facts, tier):
    """Whatever is in the store and wherever its rows lie, each rule's value is what plain Python computes, and so is whether it holds."""
    with tempfile.TemporaryDirectory() as folder, played(Path(folder), facts, tier) as service:
        rules = rules_of(Path(folder), RULES)
        found = {(rule.name, ",".join(one.labels.values())): one for rule in rules for one in readings(service, rule)}
    wanted = expected(facts)
    assert set(found) == set(wanted)
    for key, value in wanted.items():
        reading = found[key]
        assert reading.value == (None if value is None else pytest.approx(value, abs=1e-6)), key
        assert reading.enough is (value is not None), key
        below = key[0] in {"all_well", "each_well"}
        if value is not None and abs(value - reading.threshold) > 1e-6:
            assert reading.breached is ((value < reading.threshold) if below else (value > reading.threshold)), key
        elif value is None:
            assert not reading.breached, key
    assert all(
        found[key].threshold == (420_000 if key[1] == "admin_review" else 300_000) for key in found if key[0] == "mean"
    )


def test_an_empty_store_breaks_no_rule(tmp_path):
    """Of every kind there is a reading or none, never an error, and nothing fires."""
    more = '[[rule]]\nname = "d"\nkind = "deviation"\nfigure = "{}"\n'
    rules = rules_of(tmp_path, RULES)
    rules += [
        rules_of(tmp_path, more.format(figure))[0]
        for figure in ("arrivals", "failure_rate", "mean_duration", "correction_rate")
    ]
    rules += rules_of(tmp_path, '[[rule]]\nname = "s"\nkind = "system_metric"\ntype = "cpu"\nbelow = 5\n')
    with played(tmp_path, []) as service:
        for rule in rules:
            assert not any(one.breached for one in readings(service, rule)), rule.name


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    ("aggregate", "value"), [("mean", 4.0), ("min", 1.0), ("max", 9.0), ("sum", 12.0), ("last", 2.0), ("p50", 2.0), ("p75", 5.5)]
)  # fmt: skip
def test_system_metrics_are_aggregated(tmp_path, tier, aggregate, value):
    """Each aggregate is over the numbers of one type in the window; texts, other types and older values do not count."""
    clock = SteppedClock(NOW)
    with temporary_service(tmp_path, clock=clock) as service:
        for ago_s, kind, number in [
            (7200, "cpu", 99),
            (900, "cpu", 1),
            (800, "cpu", "high"),
            (700, "cpu", 9),
            (600, "cpu", 2),
            (500, "mem", 50),
        ]:
            clock.set_time(to_ns(NOW) / 1e9 - ago_s)
            service.record_system_metric(kind, number)
        clock.set_time(NOW)
        service.flush()
        if tier != "hot":
            from support.tiers import move_to_segments

            move_to_segments(service)
        text = f'[[rule]]\nname = "cpu"\nkind = "system_metric"\ntype = "cpu"\naggregate = "{aggregate}"\n'
        (above,) = readings(service, rules_of(tmp_path, f"{text}above = {value - 0.5}\n")[0])
        (below,) = readings(service, rules_of(tmp_path, f"{text}below = {value - 0.5}\n")[0])
    assert (above.value, above.samples, above.breached) == (value, 3, True)
    assert below.breached is False


def test_a_stage_that_runs_too_long_is_stuck_until_it_ends(tmp_path):
    """`stuck_stage` knows the oldest running stage of each kind, and forgets it when it ends."""
    clock = SteppedClock("2026-03-10T14:00:00Z")
    rule, only = rules_of(
        tmp_path,
        '[[rule]]\nname = "stuck"\nkind = "stuck_stage"\nthreshold = "45m"\n'
        '[[rule]]\nname = "stuck_review"\nkind = "stuck_stage"\nthreshold = "1m"\nstage = "admin_review"\n',
    )
    with temporary_service(tmp_path, clock=clock) as service:
        session = service.create_session(1, 2)
        timer = service.timer(session, 1, 2, "ai_processing")
        context = begin(timer)
        clock.set_time(NOW)
        service.flush()
        (one,) = readings(service, rule)
        assert (one.labels, one.value, one.breached) == ({"stage": "ai_processing"}, 3_600_000, True)
        assert session in one.message
        assert readings(service, only) == []
        assert not any(found.breached for found in readings(service, rule, to_ns("2026-03-10T14:45:00Z")))
        context.run(timer.__exit__, None, None, None)
        service.flush()
        assert readings(service, rule) == []


def test_what_a_dead_process_left_running_counts_only_where_it_is_asked_for(tmp_path):
    """A stage whose process died is stuck for a rule with `interrupted = true`, and for no other."""
    import sqlite3

    text = '[[rule]]\nname = "{}"\nkind = "stuck_stage"\nthreshold = "1m"\ninterrupted = {}\n'
    without, with_dead = rules_of(tmp_path, text.format("without", "false") + text.format("with_dead", "true"))
    clock = SteppedClock("2026-03-10T14:00:00Z")
    with temporary_service(tmp_path, clock=clock) as service:
        begin(service.timer(service.create_session(1, 2), 1, 2, "ai_processing"))
        service.flush()
        with sqlite3.connect(service.settings.database) as connection:
            connection.execute("UPDATE processes SET pid = 999999999")
            connection.execute("UPDATE running SET process = '999999999-1'")
            connection.execute("UPDATE processes SET process = '999999999-1'")
        connection.close()
        assert readings(service, without) == []
        (one,) = readings(service, with_dead)
        assert one.breached


def test_another_cost_can_be_plugged_in(tmp_path):
    """The measure of cost takes what a function says instead of what was recorded, such as a priced cost."""
    from dataclasses import replace

    from otel_metrics.analytics.alerting.measures import measure

    (rule,) = rules_of(tmp_path, '[[rule]]\nname = "c"\nkind = "cost_per_hour"\nthreshold = 1.0\nwindow = "30m"\n')
    with played(tmp_path, [Visit(3000, (Step("ai_processing", 2000, 5, cost=0.5),))]) as service:
        answers = service.answers
        (recorded,) = readings(service, rule)
        look = answers._look(answers._window(1))
        (priced,) = measure(rule, replace(look, cost=lambda *_: [("USD", 4, 3.0)]))
    assert (recorded.value, recorded.breached, recorded.labels) == (1.0, False, {})
    assert (priced.value, priced.breached, priced.labels) == (6.0, True, {"currency": "USD"})


def test_a_sessions_own_prompt_counts(tmp_path):
    """A prompt that only the session's own row names is enough to be of it."""
    clock = SteppedClock(NOW)
    (rule,) = rules_of(
        tmp_path, '[[rule]]\nname = "c"\nkind = "correction_rate"\nprompt = "v9"\nthreshold = 1\nleast = 1\n'
    )
    with temporary_service(tmp_path, clock=clock) as service:
        for prompt in ("v9", "v8"):
            session = service.create_session(1, 2, prompt=prompt)
            service.record_correction(session, 7, 1, "text_correction", "a", "b", 10)
        service.flush()
        (one,) = readings(service, rule)
    assert (one.samples, one.value) == (1, 100)
