"""Owns a store as a notebook opens it: questions and frames of what is recorded up to now; it writes no record."""

import os
from pathlib import Path

from otel_metrics.analytics.answers import Answers
from otel_metrics.analytics.hot import Progress
from otel_metrics.delivery.cli.desk import is_there, settings_for, storage_of
from otel_metrics.errors import SettingError


class OpenStore(Answers):
    """Every question as a method, each of which first moves into the tables what bots have recorded meanwhile."""

    def refresh(self, progress: Progress | None = None) -> None:
        """Takes in what is new. Where another process is moving it, its rows are there the next time."""
        if self._storage is not None and self._settings.backend is None:
            self._storage.drain()
        super().refresh(progress)


def open_store(database: str | os.PathLike[str] | None = None) -> OpenStore:
    """Opens the store of a database, or that of `METRICS_DATABASE`; its log is the .jsonl beside it, as for the commands."""
    settings = settings_for(None if database is None else Path(database))
    storage = storage_of(settings)
    if settings.backend is None and not is_there(storage):
        raise SettingError(
            f"no store at {settings.database.absolute()}", "a database of otel_metrics",
            'name it: open_store("path/to/metrics.db"); `otel-metrics demo` makes one to look at',
        )  # fmt: skip
    return OpenStore(storage, settings)
