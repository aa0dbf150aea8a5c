"""Owns the questions as Python calls: one engine over one store, brought up to date before each answer."""

from pathlib import Path
from typing import Any

from otel_metrics.analytics.dashboard import Document, build_dashboard
from otel_metrics.analytics.engine import Engine, Progress, Rows
from otel_metrics.analytics.export import export_table
from otel_metrics.analytics.freesql import run_query
from otel_metrics.analytics.sessions import Record, in_flight, list_sessions, whole_session
from otel_metrics.analytics.window import Window, last_hours
from otel_metrics.errors import QueryError
from otel_metrics.model.times import Clock, SystemClock, TimeInput
from otel_metrics.settings import Settings
from otel_metrics.store.tables import MetricsStorage


class Answers:
    """Answers over one store, or over nothing where `storage` is None. Each call first takes in what is new; draining the journal is its caller's."""

    def __init__(self, storage: MetricsStorage | None, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._engine = Engine(storage)

    def refresh(self, progress: Progress | None = None, *, figures_only: bool = False) -> None:
        """Takes in what is new; `progress` is called with rows done and rows in all of the table at hand.

        `figures_only` reads what `dashboard` and `alerts` need, and is ignored once more than that was asked for.
        """
        self._engine.refresh(progress, figures_only=figures_only)

    def dashboard(self, hours: float = 24) -> Document:
        """The dashboard document of the last `hours`; percentages 0 to 100, durations in milliseconds."""
        window = self._window(hours, figures_only=True)
        return build_dashboard(self._engine, self._settings, window)

    def alerts(self, hours: float = 24) -> list[Record]:
        """The alerts that fire on the last `hours`."""
        alerts: list[Record] = self.dashboard(hours)["alerts"]
        return alerts

    def sessions(self, hours: float = 24, limit: int = 50) -> list[Record]:
        """The sessions active in the last `hours`, newest first."""
        if limit < 1:
            raise QueryError(f"limit={limit}", "a number from 1 on", "for example 50")
        return list_sessions(self._engine, self._window(hours), self._settings.session_timeout_hours, limit)

    def session(self, session_id: str) -> Record:
        """One session whole, by its id or a unique beginning of it."""
        return whole_session(self._engine, self._window(24), self._settings.session_timeout_hours, session_id)

    def queue(self) -> Record:
        """What waits for a moderator and which stages are running, as of now."""
        return in_flight(self._engine, self._window(24), self._settings.session_timeout_hours)

    def sql(self, query: str) -> Rows:
        """One reading statement over the views; times are UTC."""
        self.refresh()
        return run_query(self._engine, query)

    def export(
        self, table: str, path: Path, form: str, since: TimeInput | None = None, until: TimeInput | None = None,
        progress: Progress | None = None,
    ) -> int:  # fmt: skip
        """Writes one table to a file and gives the number of rows; see `analytics.export`."""
        self.refresh()
        return export_table(self._engine, table, path, form, since, until, progress)

    def close(self) -> None:
        """Lets the engine go."""
        self._engine.close()

    def _window(self, hours: Any, *, figures_only: bool = False) -> Window:
        window = last_hours(hours, self._clock.time_ns())
        self.refresh(figures_only=figures_only)
        return window
