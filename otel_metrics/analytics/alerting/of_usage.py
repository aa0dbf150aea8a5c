"""Owns what rules measure over what was used: cost, tokens, and the values of system metrics."""

from otel_metrics.analytics.alerting.duration import Duration
from otel_metrics.analytics.alerting.reading import CostRow, Look, Reading, number, too_few
from otel_metrics.analytics.alerting.rules import CostPerHour, SystemMetric, TokenSurge, quantile_of
from otel_metrics.analytics.window import Window


def recorded_cost(look: Look, window: Window, currency: str | None) -> list[CostRow]:
    """The costs that stages recorded themselves, by currency. Stages without one count as nothing here, not as free."""
    found = look.rows("alert_cost", **window.parameters(), currency=currency)
    return [(row["currency"], row["count"], row["cost"]) for row in found]


def cost_per_hour(rule: CostPerHour, look: Look) -> list[Reading]:
    """The sum of the window's costs ÷ its hours, of each currency; unknown where no stage has a cost."""
    hours = rule.window.seconds / 3600
    costs = look.cost(look, look.window(rule.window.seconds), rule.currency)
    readings = []
    for currency, count, cost in costs:
        labels = {"currency": currency} if currency else {}
        if cost is None or count < rule.least:
            readings.append(too_few(labels, rule.threshold, "cost", count, rule.least, "stages with a cost"))
            continue
        value, unit = cost / hours, f" {currency}" if currency else ""
        message = (
            f"{value:,.4f}{unit} an hour over {count:,} stages with a cost in the last {rule.window}; "
            f"the limit is {number(rule.threshold)}{unit}."
        )
        readings.append(
            Reading(
                labels, value, rule.threshold, "cost", count, enough=True, breached=value > rule.threshold,
                message=message, figures={"cost": cost},
            )
        )  # fmt: skip
    if not readings:
        labels = {"currency": rule.currency} if rule.currency else {}
        return [too_few(labels, rule.threshold, "cost", 0, rule.least, "stages with a cost")]
    return readings


def token_surge(rule: TokenSurge, look: Look) -> list[Reading]:
    """The window's tokens ÷ the mean of the windows of its length before it, within `baseline`.

    Those before the first stage of the baseline do not count; later ones without a stage count with 0 tokens.
    """
    labels = {} if rule.stage is None else {"stage": rule.stage}
    most = int(rule.baseline.seconds // rule.window.seconds)
    window = look.window(rule.window.seconds * (most + 1))
    piece_us = round(rule.window.seconds * 1e6)
    found = look.rows("alert_tokens", **window.parameters(), piece_us=piece_us, stage=rule.stage)
    tokens = {int(row["piece"]): row["tokens"] or 0 for row in found if row["piece"] <= most}
    earlier = max(tokens, default=0)
    if earlier < rule.least:
        return [too_few(labels, rule.threshold, "times", earlier, rule.least, f"earlier windows of {rule.window}")]
    now, mean = tokens.get(0, 0), sum(count for piece, count in tokens.items() if piece > 0) / earlier
    if mean == 0:
        return [too_few(labels, rule.threshold, "times", 0, rule.least, "earlier windows with tokens")]
    value = now / mean
    message = (
        f"{now:,} tokens in the last {rule.window}, {value:.1f} times the mean of {mean:,.0f} over {Duration(earlier * rule.window.seconds)} "
        f"before; the limit is {number(rule.threshold)} times."
    )
    return [
        Reading(
            labels, value, rule.threshold, "times", earlier, enough=True, breached=value > rule.threshold,
            message=message, figures={"tokens": now, "mean_tokens_before": mean},
        )
    ]  # fmt: skip


def system_metric(rule: SystemMetric, look: Look) -> list[Reading]:
    """The aggregate of the window's values of one type; values that are no finite numbers do not count."""
    window = look.window(rule.window.seconds)
    quantile = quantile_of(rule.aggregate)
    row = look.row(
        "alert_system_metric", **window.parameters(), type=rule.metric_type, quantile=0.5 if quantile is None else quantile
    )  # fmt: skip
    labels = {"type": rule.metric_type}
    if row["count"] < rule.least:
        return [too_few(labels, rule.threshold, "number", row["count"], rule.least, "values")]
    value = row["quantile" if quantile is not None else rule.aggregate]
    breached = value > rule.threshold if rule.above is not None else value < rule.threshold
    side = "upper" if rule.above is not None else "lower"
    message = (
        f"{rule.metric_type} is {number(value)} ({rule.aggregate} of {row['count']:,} values in the last {rule.window}); "
        f"the {side} limit is {number(rule.threshold)}."
    )
    figures = {name: row[name] for name in ("min", "mean", "max", "last")}
    return [
        Reading(
            labels, value, rule.threshold, "number", row["count"], enough=True, breached=breached, message=message,
            figures=figures,
        )
    ]  # fmt: skip
