"""Owns which measure belongs to which kind of rule."""

from collections.abc import Callable
from typing import Any

from otel_metrics.analytics.alerting.of_sessions import correction_rate, queue_age, queue_length
from otel_metrics.analytics.alerting.of_stages import no_data, slow_stage, stuck_stage, success_rate
from otel_metrics.analytics.alerting.of_usage import cost_per_hour, system_metric, token_surge
from otel_metrics.analytics.alerting.of_weeks import deviation
from otel_metrics.analytics.alerting.reading import Look, Reading
from otel_metrics.analytics.alerting.rules import (
    CorrectionRate,
    CostPerHour,
    Deviation,
    NoData,
    QueueAge,
    QueueLength,
    Rule,
    SlowStage,
    StuckStage,
    SuccessRate,
    SystemMetric,
    TokenSurge,
)
from otel_metrics.analytics.asking import Asking

_MEASURES: dict[type[Rule], Callable[[Any, Look], list[Reading]]] = {
    SlowStage: slow_stage,
    SuccessRate: success_rate,
    CorrectionRate: correction_rate,
    QueueLength: queue_length,
    QueueAge: queue_age,
    StuckStage: stuck_stage,
    NoData: no_data,
    CostPerHour: cost_per_hour,
    TokenSurge: token_surge,
    SystemMetric: system_metric,
    Deviation: deviation,
}
_NEEDS: dict[type[Rule], frozenset[str]] = {
    QueueLength: frozenset({"running"}),
    QueueAge: frozenset({"running"}),
    StuckStage: frozenset({"running"}),
    SystemMetric: frozenset({"system_metrics"}),
}
"""The views that a rule can not do without."""


def measure(rule: Rule, look: Look) -> list[Reading]:
    """What a rule finds: one reading for each set of labels that it knows; one that is off, or that the engine can not answer, finds nothing."""
    return _MEASURES[type(rule)](rule, look) if rule.enabled and can_be_measured(rule, look.engine) else []


def can_be_measured(rule: Rule, engine: Asking) -> bool:
    """Whether an engine knows what a rule rests on."""
    return not (_NEEDS.get(type(rule), frozenset()) & engine.lacks)
