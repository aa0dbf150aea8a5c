"""Owns the judgement of what is wrong: thresholds over the dashboard's figures, each alert with the figures behind it."""

from typing import Any

from otel_metrics.model.vocabulary import HUMAN_STAGES
from otel_metrics.settings import Settings

Alert = dict[str, Any]


def firing(stages: dict[str, Any], corrections: dict[str, Any], settings: Settings) -> list[Alert]:
    """The alerts that fire on these figures, slow stages first."""
    return [*_slow_stages(stages, settings), *_high_correction_rate(corrections, settings)]


def _slow_stages(stages: dict[str, Any], settings: Settings) -> list[Alert]:
    alerts: list[Alert] = []
    for stage, figures in stages.items():
        threshold_ms = settings.slow_human_stage_ms if stage in HUMAN_STAGES else settings.slow_stage_ms
        average_ms = figures["avg_duration_ms"]
        if figures["count"] >= settings.slow_min_stages and average_ms > threshold_ms:
            alerts.append(
                {
                    "type": "slow_processing",
                    "severity": "warning",
                    "message": f"Slow processing detected in {stage}: {average_ms:.0f}ms average",
                    "stage": stage,
                    "avg_duration_ms": average_ms,
                    "threshold_ms": threshold_ms,
                    "count": figures["count"],
                }
            )
    return alerts


def _high_correction_rate(corrections: dict[str, Any], settings: Settings) -> list[Alert]:
    rate = corrections["rate"]
    if corrections["sessions"] < settings.correction_min_sessions or rate <= settings.correction_rate_percent:
        return []
    return [
        {
            "type": "high_correction_rate",
            "severity": "warning",
            "message": f"High correction rate detected: {rate:.1f}%",
            "correction_rate": round(rate, 1),
            "threshold": settings.correction_rate_percent,
            "sessions": corrections["sessions"],
        }
    ]
