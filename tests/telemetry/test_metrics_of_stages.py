"""OpenTelemetry metrics, read where the user reads them: from a meter provider of the user's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint

from otel_metrics import MetricsService
from otel_metrics.model.names import SECONDS_BOUNDS
from otel_metrics.testing import SteppedClock, temporary_service

Point = HistogramDataPoint | NumberDataPoint


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    """A reader of the process's meter provider, which the user has set."""
    made = InMemoryMetricReader()
    provider = MeterProvider([made], shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    yield made
    provider.shutdown()


@pytest.fixture
def measured(reader: InMemoryMetricReader, tmp_path: Path, clock: SteppedClock) -> Iterator[MetricsService]:
    """A service that measures into it."""
    with temporary_service(tmp_path, clock=clock) as service:
        yield service


def points(reader: InMemoryMetricReader) -> dict[str, list[Point]]:
    """The data points by the metric's name."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: list(metric.data.data_points)  # type: ignore[arg-type]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_durations_are_seconds_by_stage_platform_and_error(
    measured: MetricsService, reader: InMemoryMetricReader, clock: SteppedClock
) -> None:
    """A stage's duration is in a histogram whose bounds reach a day, by stage, platform and type of error, by no id."""
    session_id = measured.create_session(12345, 678)
    with measured.timer(session_id, 12345, 678, "ai_processing", platform="telegram", retry_count=2):
        clock.advance(3)
    with pytest.raises(TimeoutError), measured.timer(session_id, 12345, 678, "ai_processing"):
        raise TimeoutError
    measured.record_stage(session_id, 12345, 678, "moderation_queue", start_time=clock.time_ns() / 1e9 - 3600)
    measured.end_session(session_id)
    found = points(reader)
    stages = {tuple(sorted(point.attributes.items())): point for point in found["hitl.stage.duration"]}  # type: ignore[union-attr]
    assert set(stages) == {
        (("hitl.platform.name", "telegram"), ("hitl.stage.name", "ai_processing")),
        (("error.type", "TimeoutError"), ("hitl.stage.name", "ai_processing")),
        (("hitl.stage.name", "moderation_queue"),),
    }
    timed = stages[("hitl.platform.name", "telegram"), ("hitl.stage.name", "ai_processing")]
    assert isinstance(timed, HistogramDataPoint)
    assert (timed.sum, timed.count, tuple(timed.explicit_bounds)) == (3.0, 1, SECONDS_BOUNDS)
    (wait,) = found["hitl.moderation.wait.duration"]
    assert (wait.sum, dict(wait.attributes or {})) == (3600.0, {})  # type: ignore[union-attr]
    (whole,) = found["hitl.session.duration"]
    assert (whole.sum, dict(whole.attributes or {})) == (3.0, {"hitl.session.outcome": "delivered"})  # type: ignore[union-attr]
    (retries,) = found["hitl.stage.retries"]
    assert retries.value == 2  # type: ignore[union-attr]


def test_corrections_are_counted_by_type_and_decision(measured: MetricsService, reader: InMemoryMetricReader) -> None:
    """Corrections count by type, reviews last by decision, satisfaction is a distribution from 1 to 5."""
    session_id = measured.create_session(1, 2)
    for kind, took_ms, satisfaction in (
        ("text_correction", 2000, 4),
        ("text_correction", 4000, 5),
        ("rejection", 500, None),
    ):
        measured.record_correction(session_id, 7, "m", kind, "a", "b", took_ms, admin_satisfaction=satisfaction)
    found = points(reader)
    counted = {point.attributes["hitl.correction.type"]: point.value for point in found["hitl.corrections"]}  # type: ignore[index, union-attr]
    assert counted == {"text_correction": 2, "rejection": 1}
    reviews = {point.attributes["hitl.review.decision"]: point.sum for point in found["hitl.review.duration"]}  # type: ignore[index, union-attr]
    assert reviews == {"edited": 6.0, "rejected": 0.5}
    (satisfied,) = found["hitl.review.satisfaction"]
    assert (satisfied.sum, satisfied.count) == (9, 2)  # type: ignore[union-attr]


def test_exemplars_lead_to_the_stage(measured: MetricsService, reader: InMemoryMetricReader) -> None:
    """A duration's exemplar has the ids of the stage's span, so that a slow bucket leads to its session."""
    session_id = measured.create_session(1, 2)
    with measured.timer(session_id, 1, 2, "ai_processing") as stage:
        assert stage.span is not None
        span_id = stage.span.get_span_context().span_id
    (point,) = points(reader)["hitl.stage.duration"]
    (exemplar,) = point.exemplars
    assert (f"{exemplar.trace_id:032x}", exemplar.span_id) == (session_id, span_id)


def test_without_a_reader_no_meter_provider_is_built(service: MetricsService) -> None:
    """Nobody who wants no metrics pays for them: the process's meter provider stays the API's own."""
    assert service.kit is not None
    assert not hasattr(metrics.get_meter_provider(), "force_flush")
