"""Segments of a program that knew fewer columns: they are read beside newer ones, and merged with them."""

from pathlib import Path

import duckdb
from support.tiers import move_to_segments

from otel_metrics import MetricsService
from otel_metrics.testing import SteppedClock


def play(service: MetricsService, text: str) -> None:
    session = service.create_session(1, 2)
    with service.timer(session, 1, 2, "ai_processing", model="m") as stage:
        stage.text(text)
    service.record_correction(session, 9, "m", "text_correction", text, "better", 10)
    service.end_session(session)


def forget_columns(folder: Path) -> None:
    """Makes each segment as it was before hashes were kept."""
    for path, columns in (
        *((path, ("text_hash",)) for path in folder.glob("processing_metrics*")),
        *((path, ("original_hash", "corrected_hash")) for path in folder.glob("correction_metrics*")),
    ):
        older = path.with_suffix(".older")
        duckdb.sql(f"COPY (SELECT * EXCLUDE ({', '.join(columns)}) FROM '{path}') TO '{older}' (FORMAT parquet)")
        older.replace(path)


FOUND = (
    "SELECT count(*) AS rows, count(text_hash) AS hashes, count(DISTINCT span_id) AS spans, any_value(model) AS model "
    "FROM processing_metrics"
)
CORRECTED = "SELECT count(*) AS rows, count(original_hash) AS hashes FROM correction_metrics"


def test_older_segments_are_read_alone_and_beside_newer_ones(service: MetricsService) -> None:
    """What they do not have is not known; all else is as it was."""
    play(service, "one")
    move_to_segments(service)
    forget_columns(service.storage.layout.segments_folder)
    assert service.sql(FOUND) == [{"rows": 1, "hashes": 0, "spans": 1, "model": "m"}]
    play(service, "two")
    move_to_segments(service)
    assert service.sql(FOUND) == [{"rows": 2, "hashes": 1, "spans": 2, "model": "m"}]
    assert service.sql(CORRECTED) == [{"rows": 2, "hashes": 1}]


def test_older_and_newer_segments_become_one(service: MetricsService, clock: SteppedClock) -> None:
    """When a day is over its segments are merged, and no column that one of them has is lost."""
    play(service, "one")
    move_to_segments(service)
    forget_columns(service.storage.layout.segments_folder)
    play(service, "two")
    clock.advance(86_400)
    assert move_to_segments(service).merged > 0
    assert service.sql(FOUND) == [{"rows": 2, "hashes": 1, "spans": 2, "model": "m"}]
    assert service.sql(CORRECTED) == [{"rows": 2, "hashes": 1}]
