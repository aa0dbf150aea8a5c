"""Sessions of a moderated bot, recorded by the package into a local store and sent by its own OTLP at once."""

from pathlib import Path
from random import Random
from typing import Any

from otel_metrics import MetricsService
from otel_metrics.delivery.demo.plan import plan
from otel_metrics.delivery.demo.stage import DemoClock, Play
from otel_metrics.model.times import to_ns
from otel_metrics.settings import Settings
from support.otlp import HttpReceiver

NOW_NS = to_ns("2026-03-06T15:00:00Z")
_HOUR_S = 3600.0


def record(folder: Path, monkeypatch: Any, sessions: int = 120) -> tuple[Settings, list[Any]]:
    """Records, and gives the store's settings and the OTLP requests that came."""
    settings = Settings(
        database=folder / "metrics.db", log_file=folder / "metrics.jsonl", retention_days=36_500.0, drain_interval_s=0.0,
        id_key="a key of the tests", compact_rows=10**9,
    )  # fmt: skip
    clock = DemoClock(NOW_NS)
    with HttpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
        with MetricsService(settings, clock=clock) as service:
            random = Random(8)
            for visit in plan(sessions, 7):
                clock.now_ns = NOW_NS + round(visit.asked_s * 1e6) * 1000
                Play(service, clock, visit, random).perform()
            _record_odd_ones(service, clock)
            clock.now_ns = NOW_NS
            service.flush()
        return settings, receiver.traces


def _record_odd_ones(service: MetricsService, clock: DemoClock) -> None:
    """What a demo does not have: ids of one's own, nobody known, overlaps, two moderators of one message, texts that differ."""
    clock.now_ns = NOW_NS - 2 * 10**12
    lines = (
        # session, user, chat, stage, start and end in seconds, whether it succeeded, metadata
        ("order 17/ü", 0, 0, "query_received", 0, 1.5, True, {"message_length": 7}),
        (
            "order 17/ü",
            0,
            0,
            "ai_processing",
            1,
            9.25,
            True,
            {"model": "gpt-4o", "tokens_used": 812, "intent": "a 'quoted' \\ one"},
        ),
        ("order 17/ü", 0, 0, "own_stage", 2, 4, False, {"note": "x\ty", "nested": {"a": [1, 2.5, None]}, "flag": True}),
        ("order 17/ü", 0, 0, "own_stage", 3, 3, True, {}),
        (
            "one",
            5,
            77,
            "ai_processing",
            10,
            20,
            True,
            {"intent": "refund", "cost": 0.25, "currency": "EUR", "model": "m-1"},
        ),
        ("one", 5, 77, "admin_review", 30, 60, True, {"moderator_id": 41, "message_id": "m7", "decision": "approved"}),
        ("one", 5, 77, "user_delivery", 61, 62, True, {"text_hash": "00aa"}),
        ("two", 5, 77, "ai_processing", 10, 21, True, {"intent": "refund", "text_hash": "00ab"}),
        (
            "two",
            5,
            77,
            "admin_review",
            31,
            61,
            True,
            {"admin_user_id": 42, "message_id": "m7", "decision": "edited", "text_hash": "00ac"},
        ),
        ("two", 5, 77, "admin_review", 90, 95, True, {"admin_user_id": 43, "message_id": "m7", "decision": "rejected"}),
        ("two", 5, 77, "user_delivery", 96, 97, True, {"text_hash": "00ac"}),
        ("three", 6, 78, "moderation_queue", 0, 600, True, {}),
        ("three", 6, 78, "ai_processing", 5, 5, True, {"prompt": "v9", "input_tokens": "12.6", "output_tokens": 3}),
        ("three", 6, 78, "final_response", 700, 701, True, {"length": 12, "speech_seconds": 3.5}),
        ("three", 6, 78, "user_delivery", 702, 703, False, {}),
    )
    base = NOW_NS / 1e9 - 7 * _HOUR_S
    for session, user, chat, stage, start, end, success, metadata in lines:
        service.record_stage(
            session, user, chat, stage, start_time=base + start, end_time=base + end, success=success, **metadata
        )
    for session, admin, message, kind, original, corrected, took, more in (
        ("one", 41, "m7", "text_correction", "a b c", "a b d", 1200, {"admin_satisfaction": 3}),
        ("two", 44, "m7", "rejection", "a b c", None, 300, {"rejection_reason": "rude"}),
        ("alone", 0, "", "voice_correction", "", "x", None, {"voice_transcription_time_ms": 1500}),
    ):
        service.record_correction(session, admin, message, kind, original, corrected, took, **more)
    service.end_session("one")
    service.end_session("three", "rejected")
