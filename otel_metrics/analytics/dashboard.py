"""Owns the dashboard document: the figures of a window in the shape that the contract promises."""

from collections.abc import Callable, Collection
from functools import partial

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.questions.capacity import capacity
from otel_metrics.analytics.questions.corrections import corrections
from otel_metrics.analytics.questions.cost import cost
from otel_metrics.analytics.questions.document import Document, plain
from otel_metrics.analytics.questions.moderators import moderators
from otel_metrics.analytics.questions.oversight import oversight
from otel_metrics.analytics.questions.safe_to_send import safe_to_send
from otel_metrics.analytics.questions.stages import stages
from otel_metrics.analytics.questions.system import system
from otel_metrics.analytics.questions.users import users
from otel_metrics.analytics.statements import QUERIES
from otel_metrics.analytics.window import Window
from otel_metrics.model.vocabulary import ProcessingStage
from otel_metrics.settings import Settings

SECTIONS: dict[str, Callable[[Asking, Window, Settings], Document]] = {
    "stages": stages,
    "corrections": corrections,
    "moderators": moderators,
    "capacity": partial(capacity, weeks=None),  # four weeks of rows are dear in a document of every subject
    "cost": cost,
    "users": users,
    "system": system,
    "safe_to_send": safe_to_send,
    "oversight": oversight,
}
"""What stands in the document beside the contract's parts, by name; `corrections` goes into the part of that name."""


def build_dashboard(
    engine: Asking, settings: Settings, window: Window, wanted: Collection[str] | None = None
) -> Document:
    """The figures of `build_figures` and a section for each subject of `SECTIONS`, or for those that are wanted."""
    document = build_figures(engine, window)
    asked = {name: ask for name, ask in SECTIONS.items() if wanted is None or name in wanted}
    sections = {name: ask(engine, window, settings) for name, ask in asked.items()}
    corrections = {**document["corrections"], **sections.get("corrections", {})}
    whole = {**document, **sections, "corrections": corrections}
    return plain(whole)  # type: ignore[no-any-return]


def build_figures(engine: Asking, window: Window) -> Document:
    """Overview, stages and corrections of a window; zeros and nulls where there is nothing."""
    overview = engine.run(QUERIES["dashboard_overview"], window.parameters()).as_dicts()[0]
    stages = stages_of(engine, window)
    corrections = corrections_of(engine, window)
    return {
        "overview": {
            "total_requests": overview["total_requests"],
            "avg_total_processing_time_ms": overview["avg_total_processing_time_ms"] or 0.0,
            "overall_success_rate": overview["overall_success_rate"] or 0.0,
            "total_corrections": sum(entry["total_count"] for entry in corrections["by_type"].values()),
        },
        "processing_by_stage": stages,
        "corrections": corrections,
    }


def stages_of(engine: Asking, window: Window) -> Document:
    """`{stage: {count, avg_duration_ms, p50_ms, p95_ms, p99_ms, total_ms, success_rate}}` in the stages' usual order."""
    order = [str(stage) for stage in ProcessingStage]
    rows = engine.run(QUERIES["dashboard_stages"], {**window.parameters(), "order": order}).as_dicts()
    return {row.pop("stage"): row for row in rows}


def corrections_of(engine: Asking, window: Window) -> Document:
    """`by_type`, `by_admin` and `rate`, the percentage of sessions that needed a correction which is no rejection."""
    by_type = engine.run(QUERIES["dashboard_corrections_by_type"], window.parameters()).as_dicts()
    by_admin = engine.run(QUERIES["dashboard_corrections_by_admin"], window.parameters()).as_dicts()
    rate = engine.run(QUERIES["correction_rate"], window.parameters()).as_dicts()[0]
    return {
        "by_type": {row.pop("correction_type"): row for row in by_type},
        "by_admin": {f"admin_{row.pop('admin_user_id')}": row for row in by_admin},
        "rate": rate["rate"] or 0.0,
        "sessions": rate["sessions"],
        "corrected_sessions": rate["corrected"],
    }
