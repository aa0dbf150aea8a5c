"""Owns silences: beginning one over a rule or some of its labels, and ending it."""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime

from otel_metrics.analytics.alerting.duration import Duration
from otel_metrics.analytics.alerting.evaluation import writing_alerts
from otel_metrics.analytics.alerting.rules import Rule
from otel_metrics.analytics.alerting.told import found_rule, moment
from otel_metrics.errors import SettingError
from otel_metrics.store.alerts import add_silence, end_silences
from otel_metrics.store.tables import MetricsStorage

_MOST_REASON = 500


def silence_alerts(
    storage: MetricsStorage, rules: Iterable[Rule], rule: str, labels: Mapping[str, str], reason: str, length: Duration,
    now_ns: int | None = None,
) -> datetime:  # fmt: skip
    """Silences a rule's alerts that have these labels, from now on for so long; gives the time until which, UTC."""
    found_rule(rules, rule)
    if length.seconds <= 0:
        raise SettingError("a silence of no length", "a time above 0", "for example 2h")
    if not reason.strip() or len(reason) > _MOST_REASON:
        raise SettingError(
            f"a reason of {len(reason.strip())} characters", f"1 to {_MOST_REASON}", "say why in a few words"
        )
    now_ns = time.time_ns() if now_ns is None else now_ns
    until_ns = now_ns + round(length.seconds * 1e9)
    with writing_alerts(storage) as connection:
        add_silence(connection, rule, dict(labels), reason.strip(), now_ns, until_ns)
    until = moment(until_ns)
    assert until is not None
    return until


def unsilence_alerts(
    storage: MetricsStorage, rule: str, labels: Mapping[str, str] | None = None, now_ns: int | None = None
) -> int:
    """Ends the silences over a rule, or those over exactly these labels, and gives their number."""
    now_ns = time.time_ns() if now_ns is None else now_ns
    with writing_alerts(storage) as connection:
        return end_silences(connection, rule, None if labels is None else dict(labels), now_ns)
