"""Stages that are timed around a block of code."""

import asyncio
import traceback

import pytest
from opentelemetry import trace
from support.stores import lines, only_row, rows

from otel_metrics import MetricsService, ProcessingStage
from otel_metrics.model.identity import root_span_id_of
from otel_metrics.testing import SteppedClock

SESSION = "65a1b2c3000000ff0123456789abcdef"
ROOT = f"{root_span_id_of(int(SESSION, 16)):016x}"


class RefusedError(Exception):
    pass


def test_stage_is_timed_and_kept(service: MetricsService, clock: SteppedClock) -> None:
    """A `with` block becomes a row with ids, stage, times, duration and metadata, under the session's root."""
    with service.timer(SESSION, 12345, 678, ProcessingStage.AI_PROCESSING, model="gpt-4o", tokens_used=42):
        clock.advance(1.2345)
    row = only_row(service, "processing_metrics")
    assert {name: row[name] for name in list(row)[:11]} == {
        "metric_id": row["metric_id"], "session_id": SESSION, "user_id": 12345, "chat_id": 678, "stage": "ai_processing",
        "start_time": "2026-01-01T12:00:00.000000Z", "end_time": "2026-01-01T12:00:01.234500Z", "duration_ms": 1235,
        "success": 1, "error_message": None, "metadata": {"model": "gpt-4o", "tokens_used": 42},
    }  # fmt: skip
    assert row["parent_span_id"] == ROOT


@pytest.mark.parametrize("stage", [*ProcessingStage, *(stage.value for stage in ProcessingStage), "translation"])
def test_stage_may_be_a_member_its_text_or_any_short_name(service: MetricsService, stage: str) -> None:
    """A stage is given as the enum's member, its text, or a short name of one's own."""
    with service.timer(SESSION, 1, 2, stage):
        pass
    assert only_row(service, "processing_metrics")["stage"] == str(stage)


def test_line_is_written_when_the_block_ends(service: MetricsService) -> None:
    """The whole line is in the log file as soon as the block is left, without any flush."""
    with service.timer(SESSION, 1, 2, "ai_processing"):
        assert [line["kind"] for line in lines(service)] == ["file", "process", "begin"]
    assert lines(service)[-1]["event_type"] == "stage_completed"


def test_async_with_times_a_stage(service: MetricsService, clock: SteppedClock) -> None:
    """`async with` does what `with` does."""

    async def work() -> None:
        async with service.timer(SESSION, 1, 2, "ai_processing") as stage:
            await asyncio.sleep(0)
            stage.metadata["model"] = "gpt-4o"
            clock.advance(0.25)

    asyncio.run(work())
    row = only_row(service, "processing_metrics")
    assert (row["duration_ms"], row["metadata"]) == (250, {"model": "gpt-4o"})


def test_concurrent_tasks_keep_their_stages_apart(service: MetricsService) -> None:
    """Stages of tasks that run at once are children of their own sessions and of nothing else."""
    sessions = [service.create_session(number, number) for number in range(5)]

    async def work(session_id: str) -> None:
        async with service.timer(session_id, 1, 1, "ai_processing"):
            await asyncio.sleep(0)
            async with service.timer(session_id, 1, 1, "correction_ai"):
                await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*map(work, sessions))

    asyncio.run(main())
    for session_id in sessions:
        outer = only_row(service, "processing_metrics", "session_id = ? AND stage = 'ai_processing'", session_id)
        inner = only_row(service, "processing_metrics", "session_id = ? AND stage = 'correction_ai'", session_id)
        assert inner["parent_span_id"] == outer["span_id"]
        assert outer["parent_span_id"] == f"{root_span_id_of(int(session_id, 16)):016x}"


def test_stage_inside_a_stage_is_its_child(service: MetricsService) -> None:
    """A stage of the same session inside another is its child; one of another session belongs to its own."""
    other = service.create_session(1, 2)
    with service.timer(SESSION, 1, 2, "admin_review"):
        with service.timer(SESSION, 1, 2, "correction_processing"):
            pass
        with service.timer(other, 1, 2, "query_received"):
            pass
    by_stage = {row["stage"]: row for row in rows(service, "processing_metrics")}
    assert by_stage["correction_processing"]["parent_span_id"] == by_stage["admin_review"]["span_id"]
    assert by_stage["query_received"]["parent_span_id"] == f"{root_span_id_of(int(other, 16)):016x}"


@pytest.mark.parametrize("kind", [RefusedError, ValueError, KeyboardInterrupt, asyncio.CancelledError])
def test_exception_passes_unchanged_and_marks_the_stage(service: MetricsService, kind: type[BaseException]) -> None:
    """An exception inside is the very same outside, with its traceback, and the stage has failed with its type."""
    error = kind("no quota left")
    with pytest.raises(kind) as caught, service.timer(SESSION, 1, 2, "ai_processing"):
        raise error
    assert caught.value is error
    assert "otel_metrics" not in "".join(traceback.format_tb(error.__traceback__))
    assert error.__context__ is None
    row = only_row(service, "processing_metrics")
    assert (row["success"], row["error_message"]) == (0, "no quota left")
    assert row["error_type"] in {kind.__qualname__, f"{kind.__module__}.{kind.__qualname__}"}


def test_failure_without_an_exception(service: MetricsService) -> None:
    """`fail(reason)` marks a stage failed and keeps the reason."""
    with service.timer(SESSION, 1, 2, "ai_processing") as stage:
        stage.fail("empty answer")
    row = only_row(service, "processing_metrics")
    assert (row["success"], row["error_message"], row["error_type"]) == (0, "empty answer", "failed")


def test_metadata_may_come_late(service: MetricsService) -> None:
    """What is put into `.metadata` while the stage runs is kept, over what was given at the start."""
    with service.timer(SESSION, 1, 2, "ai_processing", model="gpt-4o", tries=1) as stage:
        stage.metadata["tries"] = 2
        stage.metadata.update(tokens_used=99)
    assert only_row(service, "processing_metrics")["metadata"] == {"model": "gpt-4o", "tries": 2, "tokens_used": 99}


def test_metadata_that_can_not_be_compared_does_not_cost_the_stage(service: MetricsService) -> None:
    """A late value whose comparison raises, as arrays do, is kept as its text."""

    class Vector:
        def __eq__(self, other: object) -> bool:
            raise ValueError("the truth value of an array is ambiguous")

        __hash__ = None  # type: ignore[assignment]

        def __str__(self) -> str:
            return "[1 2 3]"

    with service.timer(SESSION, 1, 2, "ai_processing", embedding=Vector()) as stage:
        stage.metadata["model"] = "m"
    assert only_row(service, "processing_metrics")["metadata"] == {"embedding": "[1 2 3]", "model": "m"}


def test_metadata_replaced_by_something_else_does_not_cost_the_stage(service: MetricsService) -> None:
    """Assigning anything to `.metadata` keeps the stage; a new dict counts, what is none does not."""
    with service.timer(SESSION, 1, 2, "ai_processing", first=1) as stage:
        stage.metadata = {"second": 2}
    with service.timer(SESSION, 1, 2, "admin_review", first=1) as stage:
        stage.metadata = None  # type: ignore[assignment]
    found = {row["stage"]: row["metadata"] for row in rows(service, "processing_metrics")}
    assert found == {"ai_processing": {"first": 1, "second": 2}, "admin_review": {"first": 1}}


def test_spans_of_other_tracers_belong_to_the_session(service: MetricsService) -> None:
    """A span that somebody else's code opens inside a stage is its child and is kept with the session's id."""
    tracer = trace.get_tracer("httpx")
    with (
        service.timer(SESSION, 1, 2, "ai_processing"),
        tracer.start_as_current_span("POST", attributes={"a": 1}) as span,
    ):
        span.add_event("retry", {"n": 1})
    with tracer.start_as_current_span("elsewhere"):
        pass
    stage, span_row = only_row(service, "processing_metrics"), only_row(service, "spans")
    assert (span_row["name"], span_row["session_id"], span_row["scope"]) == ("POST", SESSION, "httpx")
    assert span_row["parent_span_id"] == stage["span_id"]
    assert span_row["attributes"] == {"a": 1}
    assert [event["name"] for event in span_row["events"]] == ["retry"]
    assert span.attributes["session.id"] == SESSION  # type: ignore[attr-defined]


def test_stage_span_takes_what_others_put_on_it(service: MetricsService) -> None:
    """Attributes and events that instrumentation puts on the current span are kept with the stage."""
    with service.timer(SESSION, 1, 2, "ai_processing"):
        span = trace.get_current_span()
        span.set_attribute("gen_ai.request.model", "gpt-4o")
        span.add_event("first token", {"after_ms": 120})
    row = only_row(service, "processing_metrics")
    assert row["attributes"] == {"gen_ai.request.model": "gpt-4o"}
    assert [(event["name"], event["attributes"]) for event in row["events"]] == [("first token", {"after_ms": 120})]


def test_clock_that_is_set_back_does_not_make_a_duration_negative(service: MetricsService, clock: SteppedClock) -> None:
    """Durations are measured, not subtracted: the time of day may jump while a stage runs."""
    with service.timer(SESSION, 1, 2, "ai_processing"):
        clock.advance(2)
        clock.set_time("2025-12-31T00:00:00Z")
    row = only_row(service, "processing_metrics")
    assert (row["duration_ms"], row["end_time"]) == (2000, "2026-01-01T12:00:02.000000Z")


def test_running_stage_is_visible_until_it_ends(service: MetricsService) -> None:
    """A stage that has begun stands in `running` and not in `processing_metrics`; when it has ended, the other way round."""
    with service.timer(SESSION, 1, 2, "admin_review"):
        running = only_row(service, "running")
        assert (running["stage"], running["session_id"], running["user_id"]) == ("admin_review", SESSION, 1)
        assert rows(service, "processing_metrics") == []
    assert only_row(service, "processing_metrics")["metric_id"] == running["metric_id"]
    assert rows(service, "running") == []
