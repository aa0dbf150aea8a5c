"""Owns the questions as Python calls: one engine over one store, brought up to date before each answer."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from otel_metrics.analytics.alerting import told
from otel_metrics.analytics.alerting.measures import measure
from otel_metrics.analytics.alerting.of_usage import recorded_cost
from otel_metrics.analytics.alerting.reading import Look, Reading
from otel_metrics.analytics.alerting.rules import Rule
from otel_metrics.analytics.alerting.rules_file import load_rules
from otel_metrics.analytics.dashboard import build_dashboard
from otel_metrics.analytics.engine import Engine, Rows
from otel_metrics.analytics.export import export_table
from otel_metrics.analytics.freesql import run_query
from otel_metrics.analytics.hot import Progress
from otel_metrics.analytics.questions.capacity import capacity
from otel_metrics.analytics.questions.corrections import corrections
from otel_metrics.analytics.questions.cost import cost
from otel_metrics.analytics.questions.document import Document
from otel_metrics.analytics.questions.moderators import moderators
from otel_metrics.analytics.questions.oversight import oversight
from otel_metrics.analytics.questions.safe_to_send import safe_to_send
from otel_metrics.analytics.questions.stages import stages
from otel_metrics.analytics.questions.system import system
from otel_metrics.analytics.questions.users import users
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
        self._storage = storage
        self._engine = Engine(storage)

    def refresh(self, progress: Progress | None = None) -> None:
        """Takes in what is new; `progress` is called with rows done and rows in all of the table at hand."""
        self._engine.refresh(progress)

    def dashboard(self, hours: float = 24) -> Document:
        """The dashboard document of the last `hours`; percentages 0 to 100, durations in milliseconds."""
        window = self._window(hours)
        return build_dashboard(self._engine, self._settings, window, self._alerts(window))

    def alerts(self, hours: float = 24) -> list[Record]:
        """What is wrong now: the two alerts of the contract over the last `hours`, every other rule over its own window."""
        return self._alerts(self._window(hours))

    def rules(self) -> list[Rule]:
        """Every rule of alerts, those that are off too; `SettingError` where the file of rules is not as it should be."""
        return load_rules(self._settings)

    def alert_states(self) -> list[Record]:
        """The alerts that an evaluator has found pending or firing."""
        return told.states(self.rules(), told.kept(self._storage, self._clock.time_ns()))

    def alert_history(self, rule: str | None = None, limit: int = 50) -> list[Record]:
        """The alerts that fire or have fired, the newest first, of one rule or of all."""
        if limit < 1:
            raise QueryError(f"limit={limit}", "a number from 1 on", "for example 50")
        return told.history(self.rules(), told.kept(self._storage, self._clock.time_ns(), rule, limit))

    def explain_alert(self, rule: str) -> Document:
        """The figures behind a rule: readings, those of the windows before, state, history and silences."""
        chosen = told.found_rule(self.rules(), rule)
        return told.explain(chosen, self._look(self._window(24)), told.kept(self._storage, self._clock.time_ns(), rule))

    def readings(self, rules: Iterable[Rule], now_ns: int) -> dict[str, list[Reading]]:
        """What each rule finds as of a time, by the rules' names."""
        window = last_hours(24, now_ns)
        self.refresh()
        return {rule.name: measure(rule, self._look(window)) for rule in rules}

    def stages(self, hours: float = 24) -> Document:
        """Where the time of a session goes: stages, waiting against working, the bottleneck; see `analytics.questions.stages`."""
        return stages(self._engine, self._window(hours), self._settings)

    def corrections(self, hours: float = 24) -> Document:
        """What moderators correct: how much, of what kind, for which model and prompt, and whether it falls; see `analytics.questions.corrections`."""
        return corrections(self._engine, self._window(hours), self._settings)

    def moderators(self, hours: float = 24) -> Document:
        """What each moderator does, how long it takes and how far it can be relied on; see `analytics.questions.moderators`."""
        return moderators(self._engine, self._window(hours), self._settings)

    def capacity(self, hours: float = 24) -> Document:
        """Arrivals by hour of the week, and how many moderators a waiting time needs; see `analytics.questions.capacity`."""
        return capacity(self._engine, self._window(hours), self._settings)

    def cost(self, hours: float = 24) -> Document:
        """Tokens and money by session, stage, model and delivered answer; see `analytics.questions.cost`."""
        return cost(self._engine, self._window(hours), self._settings)

    def users(self, hours: float = 24) -> Document:
        """Sessions, peak hours, repeat contacts and response times as users feel them; see `analytics.questions.users`."""
        return users(self._engine, self._window(hours), self._settings)

    def system(self, hours: float = 24) -> Document:
        """Memory, processor, queue length, restarts, errors and the state of this package itself; see `analytics.questions.system`."""
        return system(self._engine, self._window(hours), self._settings)

    def safe_to_send(self, hours: float = 24) -> Document:
        """Which intents could skip review at a chosen risk; see `analytics.questions.safe_to_send`."""
        return safe_to_send(self._engine, self._window(hours), self._settings)

    def oversight(self, hours: float = 24) -> Document:
        """Who approved, corrected or rejected what and when, and deliveries that differ from what was approved; see `analytics.questions.oversight`."""
        return oversight(self._engine, self._window(hours), self._settings)

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

    def _alerts(self, window: Window) -> list[Record]:
        store = told.kept(self._storage, self._clock.time_ns())
        seconds = (window.until - window.since).total_seconds()
        return told.firing(self.rules(), self._look(window), store, seconds)

    def _look(self, window: Window) -> Look:
        return Look(self._engine, self._settings, window.until, recorded_cost)

    def _window(self, hours: Any) -> Window:
        window = last_hours(hours, self._clock.time_ns())
        self.refresh()
        return window
