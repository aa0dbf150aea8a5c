"""collector-config/alerts.yaml in Prometheus' own rule tests: it fires where the package does, by the package's thresholds."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.gateway import CONFIG

from otel_metrics.analytics.alerting.rules import (
    HIGH_CORRECTION_RATE,
    SLOW_PROCESSING,
    CorrectionRate,
    SlowStage,
    built_in_rules,
)
from otel_metrics.model.vocabulary import HUMAN_STAGES
from otel_metrics.settings import Settings

ALERTS = CONFIG / "alerts.yaml"
RULES = built_in_rules(Settings())
HOURS = 6
Series = Mapping[str, float]


def slow_rule() -> SlowStage:
    rule = RULES[SLOW_PROCESSING]
    assert isinstance(rule, SlowStage)
    return rule


def correction_rule() -> CorrectionRate:
    rule = RULES[HIGH_CORRECTION_RATE]
    assert isinstance(rule, CorrectionRate)
    return rule


def firing(folder: Path, series: Series, alert: str) -> list[dict[str, str]]:
    """The labels with which an alert fires after hours in which these counters grew evenly from 0 to what is given."""
    given = [{"series": name, "values": f"0+{value / (HOURS * 60)!r}x{HOURS * 60}"} for name, value in series.items()]
    expected = {"eval_time": f"{HOURS}h", "alertname": alert, "exp_alerts": [{"exp_labels": {"none": "such"}}]}
    found = promtool(folder, {"interval": "1m", "input_series": given, "alert_rule_test": [expected]})
    shown = found.rpartition("got:")[2]
    return [dict(re.findall(r'(\w+)="([^"]*)"', labels)) for labels in re.findall(r"Labels:\{(.*?)\}", shown)]


def promtool(folder: Path, test: dict[str, Any]) -> str:
    """What promtool says to a test of the rules that is made to fail, so that it shows what it found."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not on PATH: it comes with Prometheus")
    file = folder / "test.yaml"
    document = {"rule_files": [str(ALERTS)], "evaluation_interval": "5m", "tests": [test]}
    file.write_text(json.dumps(document), encoding="utf-8")
    done = subprocess.run([program, "test", "rules", file], capture_output=True, text=True, timeout=60, check=False)
    assert "FAILED" in done.stdout + done.stderr, done
    assert "got:" in done.stdout + done.stderr, done
    return done.stdout + done.stderr


def stages(stage: str, mean_s: float, count: float) -> Series:
    labels = f'{{job="a-bot",instance="1",hitl_stage_name="{stage}"}}'
    name = "hitl_stage_duration_seconds"
    return {f"{name}_sum{labels}": mean_s * count, f"{name}_count{labels}": count}


def sessions(ended: float, corrections: float, rejections: float = 0) -> Series:
    corrected = 'hitl_corrections_total{{job="a-bot",hitl_correction_type="{}"}}'
    return {
        'hitl_session_duration_seconds_count{job="a-bot",hitl_session_outcome="delivered"}': ended,
        corrected.format("text_correction"): corrections,
        corrected.format("rejection"): rejections,
    }


@pytest.mark.parametrize("stage", ["ai_processing", "a_stage_of_ones_own", *sorted(HUMAN_STAGES)])
def test_slow_processing_fires_above_the_packages_threshold(tmp_path: Path, stage: str) -> None:
    """A stage whose mean is a little above what the package takes for slow fires, a little below it does not."""
    rule = slow_rule()
    limit = (rule.people_threshold if stage in HUMAN_STAGES else rule.threshold) or rule.threshold
    slow = firing(tmp_path, stages(stage, limit.seconds * 1.01, 50), SLOW_PROCESSING)
    [alert] = slow
    assert alert["hitl_stage_name"] == stage
    assert alert["severity"] == rule.severity
    assert not firing(tmp_path, stages(stage, limit.seconds * 0.99, 50), SLOW_PROCESSING)


def test_slow_processing_waits_for_as_many_stages_as_the_package(tmp_path: Path) -> None:
    """Below the package's least number of stages there is no judgement, from it on there is."""
    rule = slow_rule()
    slow = rule.threshold.seconds * 2
    assert firing(tmp_path, stages("ai_processing", slow, rule.least), SLOW_PROCESSING)
    assert not firing(tmp_path, stages("ai_processing", slow, rule.least - 1), SLOW_PROCESSING)


def test_high_correction_rate_fires_above_the_packages_threshold(tmp_path: Path) -> None:
    """Corrections above the package's share of sessions fire, rejections do not count."""
    rule = correction_rule()
    above = firing(tmp_path, sessions(100, rule.threshold + 1), HIGH_CORRECTION_RATE)
    [alert] = above
    assert alert["severity"] == rule.severity
    assert not firing(tmp_path, sessions(100, rule.threshold - 1, rejections=60), HIGH_CORRECTION_RATE)


def test_high_correction_rate_waits_for_as_many_sessions_as_the_package(tmp_path: Path) -> None:
    """Below the package's least number of sessions there is no judgement, from it on there is."""
    rule = correction_rule()
    assert firing(tmp_path, sessions(rule.least, rule.least), HIGH_CORRECTION_RATE)
    assert not firing(tmp_path, sessions(rule.least - 1, rule.least - 1), HIGH_CORRECTION_RATE)


def test_the_packages_default_rules_are_all_there() -> None:
    """Each rule that the package has by default stands in the first group under the same name, and no other, over a day."""
    first, _ = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    assert {rule["alert"] for rule in first["rules"] if "alert" in rule} == set(RULES)
    windows = {window for rule in first["rules"] for window in re.findall(r"\[(\w+)\]", rule["expr"])}
    assert windows == {str(rule.window) for rule in RULES.values()} == {"1d"}


@pytest.mark.parametrize(
    ("alert", "bad", "good"),
    [
        ("records_dropped", {'hitl_records_dropped_total{job="b",hitl_drop_reason="ENOSPC"}': 1200}, {}),
        ("records_waiting", {'hitl_records_waiting{job="b"}': 30_000}, {'hitl_records_waiting{job="b"}': 500}),
        ("collector_away", {'up{job="bots"}': 0}, {'up{job="bots"}': 1200}),
        (
            "collector_queue_filling",
            {'otelcol_exporter_queue_size{exporter="x"}': 900, 'otelcol_exporter_queue_capacity{exporter="x"}': 1200},
            {'otelcol_exporter_queue_size{exporter="x"}': 90, 'otelcol_exporter_queue_capacity{exporter="x"}': 1200},
        ),
        ("collector_refusing", {'otelcol_receiver_refused_spans{receiver="otlp"}': 1200}, {}),
    ],
)  # fmt: skip
def test_health_alerts_fire_and_do_not_fire(tmp_path: Path, alert: str, bad: Series, good: Series) -> None:
    """Each fires on what it is for, and is silent where all is well."""
    assert firing(tmp_path, bad, alert)
    assert not firing(tmp_path, good or {'up{job="bots"}': 1200}, alert)
