"""Where rows lie, in the tables, in segments or in both, and stages that stay open."""

from collections import Counter
from contextlib import closing
from contextvars import Context, copy_context
from pathlib import Path

from otel_metrics import MetricsService
from otel_metrics.analytics.columns import TABLES
from otel_metrics.analytics.compaction import Compacted, compact
from otel_metrics.analytics.engine import Engine
from otel_metrics.recording.timer import ProcessingTimer
from otel_metrics.settings import Settings
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage
from support.stores import count, layout_in

Views = dict[str, Counter[str]]
"""Every row of every view with all its columns, and how often it is there."""


def move_to_segments(service: MetricsService, now_ns: int | None = None) -> Compacted:
    """Moves what may move; rows of open sessions stay in the tables, but for those that are old at `now_ns`."""
    service.flush()
    done = compact(service.storage, service.settings, wait_s=10.0, now_ns=now_ns)
    assert done is not None
    return done


def storage_in(folder: Path, **settings: object) -> MetricsStorage:
    """The store in a folder, with rotated logs kept and nothing too old."""
    layout = layout_in(folder)
    made = {"database": layout.database, "log_file": layout.log_file, "log_backups": 1000, "retention_days": 36500.0}
    return MetricsStorage(StoreLayout(layout.database, layout.log_file), Settings(**{**made, **settings}))


def move(storage: MetricsStorage) -> Compacted:
    """The same for a store without a service."""
    storage.drain(10.0)
    done = compact(storage, storage._settings, wait_s=10.0)
    assert done is not None
    return done


def views_of(storage: MetricsStorage) -> Views:
    """What questions see of a store, by an engine that is opened for it."""
    engine = Engine(storage)
    with closing(engine):
        engine.refresh()
        return {name: Counter(map(repr, engine.run(f"FROM {name}").rows)) for name in TABLES}


def hot_counts(storage: MetricsStorage) -> dict[str, int]:
    """How many rows of each table are in SQLite."""
    return {name: count(storage.layout.database, name) for name in TABLES}


def segment_files(storage: MetricsStorage) -> list[Path]:
    """The files in the folder of the segments."""
    folder = storage.layout.segments_folder
    return sorted(folder.iterdir()) if folder.is_dir() else []


def begin(timer: ProcessingTimer) -> Context:
    """Begins a stage in a context of its own, where it may stay open: the test's own has no stage. Gives that context."""
    context = copy_context()
    context.run(timer.__enter__)
    return context
