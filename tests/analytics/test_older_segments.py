"""Segments of a program that knew fewer columns: they are read beside newer ones, and merged with them."""

import duckdb
from support.tiers import move_to_segments

from otel_metrics import MetricsService
from otel_metrics.store.segments import draft_name, keep_draft, listed, store_number
from otel_metrics.testing import SteppedClock


def play(service: MetricsService, text: str) -> None:
    session = service.create_session(1, 2)
    with service.timer(session, 1, 2, "ai_processing", model="m", prompt="v1") as stage:
        stage.text(text)
    service.record_correction(session, 9, "m", "text_correction", text, "better", 10)
    service.end_session(session)


def forget_columns(service: MetricsService) -> None:
    """Makes each segment as a program made it that knew neither prompts nor hashes."""
    folder = service.storage.layout.segments_folder
    columns = {"processing_metrics": "prompt_version", "correction_metrics": "original_hash, corrected_hash"}
    with service.storage.alone(10.0) as connection:
        assert connection is not None
        for one in listed(connection):
            if one.table in columns:
                draft = folder / draft_name(store_number(connection), one.table, one.day)
                duckdb.sql(
                    f"COPY (SELECT * EXCLUDE ({columns[one.table]}) FROM '{folder / one.name}') TO '{draft}' (FORMAT parquet)"
                )
                older = keep_draft(draft)
                connection.execute(
                    "UPDATE segments SET name = ?, bytes = ? WHERE name = ?",
                    (older.name, older.stat().st_size, one.name),
                )
        connection.execute("UPDATE counters SET value = value + 1 WHERE name = 'generation'")


FOUND = (
    "SELECT count(*) AS rows, count(prompt_version) AS prompts, count(DISTINCT span_id) AS spans, any_value(model) AS model "
    "FROM processing_metrics"
)
CORRECTED = "SELECT count(*) AS rows, count(original_hash) AS hashes FROM correction_metrics"


def test_older_segments_are_read_alone_and_beside_newer_ones(service: MetricsService) -> None:
    """What they do not have is not known; all else is as it was."""
    play(service, "one")
    move_to_segments(service)
    forget_columns(service)
    assert service.sql(FOUND) == [{"rows": 1, "prompts": 0, "spans": 1, "model": "m"}]
    play(service, "two")
    move_to_segments(service)
    assert service.sql(FOUND) == [{"rows": 2, "prompts": 1, "spans": 2, "model": "m"}]
    assert service.sql(CORRECTED) == [{"rows": 2, "hashes": 1}]


def test_older_and_newer_segments_become_one(service: MetricsService, clock: SteppedClock) -> None:
    """When a day is over its segments are merged, and no column that one of them has is lost."""
    play(service, "one")
    move_to_segments(service)
    forget_columns(service)
    play(service, "two")
    clock.advance(86_400)
    assert move_to_segments(service).merged > 0
    assert service.sql(FOUND) == [{"rows": 2, "prompts": 1, "spans": 2, "model": "m"}]
    assert service.sql(CORRECTED) == [{"rows": 2, "hashes": 1}]
