"""Owns the states of an alert: pending, firing, resolved, and what takes it from one to the next. Pure."""

from dataclasses import dataclass, replace
from typing import Any

from otel_metrics.analytics.alerting.reading import Reading
from otel_metrics.analytics.alerting.rules import Rule
from otel_metrics.store.alerts import AlertRow

OK, PENDING, FIRING, RESOLVED = "ok", "pending", "firing", "resolved"
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Transition:
    """One alert goes from one state to another; `at` is epoch nanoseconds. `alert` is as it is afterwards."""

    before: str
    after: str
    at: int
    alert: AlertRow
    silenced: bool = False
    description: str = ""
    link: str = ""


def step(held: AlertRow | None, rule: Rule | None, reading: Reading | None, now_ns: int) -> AlertRow | None:
    """The alert after a look at `now_ns`; None where there is none.

    It fires once its condition has held for the rule's `for`, and is resolved once it has not held for as long. A rule
    or labels that are no longer there do not hold; where the rule itself is gone or off, that ends it at once.
    """
    hold_ns = 0 if rule is None or not rule.enabled else round(rule.hold.seconds * _NS_PER_S)
    if rule is not None and reading is not None and reading.breached:
        return _holding(held, rule, reading, hold_ns, now_ns)
    if held is None or held.state == PENDING:
        return None
    below_at = now_ns if held.below_at is None else held.below_at
    if now_ns - below_at >= hold_ns:
        return replace(held, state=RESOLVED, below_at=below_at, resolved_at=now_ns)
    return replace(held, below_at=below_at)


def _holding(held: AlertRow | None, rule: Rule, reading: Reading, hold_ns: int, now_ns: int) -> AlertRow:
    pending_at = now_ns if held is None else held.pending_at
    fired_at = None if held is None else held.fired_at
    if fired_at is None and now_ns - pending_at >= hold_ns:
        fired_at = now_ns
    return AlertRow(
        0 if held is None else held.alert_id, rule.name, reading.labels, rule.kind, rule.severity,
        PENDING if fired_at is None else FIRING, pending_at, fired_at, None, None, reading.value, reading.threshold,
        reading.unit, reading.samples, reading.message, plain(reading.figures),
    )  # fmt: skip


def transition(held: AlertRow | None, alert: AlertRow | None, now_ns: int) -> Transition | None:
    """What there is to tell of a step; None where the state is as it was."""
    before, after = held.state if held else OK, alert.state if alert else OK
    shown = alert or held
    return None if before == after or shown is None else Transition(before, after, now_ns, shown)


def plain(figures: dict[str, Any]) -> dict[str, Any]:
    """Figures as JSON can hold them."""
    return {name: value.isoformat() + "Z" if hasattr(value, "isoformat") else value for name, value in figures.items()}
