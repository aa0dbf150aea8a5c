"""Owns the questions as Python calls: one engine over one store, brought up to date before each answer."""

from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_metrics.analytics.alerting import told
from otel_metrics.analytics.alerting.measures import can_be_measured, measure
from otel_metrics.analytics.alerting.of_usage import recorded_cost
from otel_metrics.analytics.alerting.post import messages, undelivered
from otel_metrics.analytics.alerting.reading import Look, Reading
from otel_metrics.analytics.alerting.rules import Rule
from otel_metrics.analytics.alerting.rules_file import load_rules, load_rules_file
from otel_metrics.analytics.alerting.targets import Target
from otel_metrics.analytics.asking import Rows
from otel_metrics.analytics.dashboard import build_dashboard, build_figures, corrections_of
from otel_metrics.analytics.engine import Engine, Memory
from otel_metrics.analytics.export import export_table
from otel_metrics.analytics.frames import pandas_frame, polars_frame
from otel_metrics.analytics.freesql import run_query
from otel_metrics.analytics.hot import Progress
from otel_metrics.analytics.preferences import write_preferences
from otel_metrics.analytics.questions.capacity import WEEKS, capacity
from otel_metrics.analytics.questions.corrections import LEAST_SAMPLES, corrections
from otel_metrics.analytics.questions.cost import cost
from otel_metrics.analytics.questions.course import course
from otel_metrics.analytics.questions.document import Document
from otel_metrics.analytics.questions.moderators import FLAG_PERCENT, LEAST_REVIEWS, WORDS_PER_MINUTE, moderators
from otel_metrics.analytics.questions.over_time import over_time
from otel_metrics.analytics.questions.oversight import MOST_ROWS, oversight
from otel_metrics.analytics.questions.safe_to_send import CONFIDENCE, LATEST, LEAST_DRAFTS, RISK_PERCENT, safe_to_send
from otel_metrics.analytics.questions.stages import stages
from otel_metrics.analytics.questions.system import system
from otel_metrics.analytics.questions.users import users
from otel_metrics.analytics.search import Search
from otel_metrics.analytics.sessions import Record, in_flight, list_sessions, whole_session
from otel_metrics.analytics.window import Window, last_hours, period
from otel_metrics.errors import QueryError
from otel_metrics.model.times import Clock, SystemClock, TimeInput
from otel_metrics.settings import Settings
from otel_metrics.store.tables import MetricsStorage

if TYPE_CHECKING:
    import pandas  # noqa: ICN001 - its initials would be a method's name for the other one
    import polars  # noqa: ICN001

    from otel_metrics.analytics.clickhouse.engine import ClickHouseEngine


class Answers:
    """Answers over one store, or over nothing where `storage` is None. Each call first takes in what is new; draining the journal is its caller's."""

    def __init__(
        self, storage: MetricsStorage | None, settings: Settings, clock: Clock | None = None,
        memory: Memory | None = None,
    ) -> None:  # fmt: skip
        """`memory`: what the questions may use; see `Engine`."""
        self._settings = settings
        self._clock = clock or SystemClock()
        self._storage = storage
        self._engine = _engine(storage, settings, memory)
        self.lacks = self._engine.lacks
        """Views that can tell nothing where the questions are asked: what rests on them is None or empty."""

    def refresh(self, progress: Progress | None = None) -> None:
        """Takes in what is new; `progress` is called with rows done and rows in all of the table at hand."""
        self._engine.refresh(progress)

    def dashboard(self, hours: float = 24, sections: Collection[str] | None = None) -> Document:
        """The dashboard document of the last `hours`, with some sections of single subjects or all; percentages 0 to 100, durations in milliseconds."""
        window = self._window(hours)
        unknown = {"not_known": sorted(self.lacks)} if self.lacks else {}
        document = build_dashboard(self._engine, self._settings, window, sections)
        return {**document, "alerts": self._alerts(window), **unknown}

    def figures(self, hours: float = 24) -> Document:
        """The dashboard's first figures alone, without the sections of the single subjects: for who looks every second."""
        window = self._window(hours)
        return {**build_figures(self._engine, window), "alerts": self._alerts(window)}

    def over_time(self, hours: float = 24) -> Document:
        """Sessions and their end-to-end times step by step; see `analytics.questions.over_time`."""
        return over_time(self._engine, self._window(hours))

    def overview(self, hours: float = 24) -> Document:
        """The dashboard's first figures and `over_time`, of one moment."""
        window = self._window(hours)
        return {**build_figures(self._engine, window), "over_time": over_time(self._engine, window)}

    def figures_before(self, hours: float = 24) -> Document:
        """The dashboard's first figures of the window of the same length that ends where the last `hours` begin."""
        window = self._window(hours)
        return build_figures(self._engine, Window(window.since - (window.until - window.since), window.since))

    def alerts(self, hours: float = 24) -> list[Record]:
        """What is wrong now: the two alerts of the contract over the last `hours`, every other rule over its own window."""
        return self._alerts(self._window(hours))

    def rules_not_looked_at(self) -> list[str]:
        """The names of the rules that are on and rest on what can not be known where the questions are asked."""
        return [rule.name for rule in self.rules() if rule.enabled and not can_be_measured(rule, self._engine)]

    def rules(self) -> list[Rule]:
        """Every rule of alerts, those that are off too; `SettingError` where the file of rules is not as it should be."""
        return load_rules(self._settings)

    def targets(self) -> list[Target]:
        """Everybody who is told of alerts; none of them shows its URL."""
        return load_rules_file(self._settings).targets

    def alerts_looked_at(self) -> datetime | None:
        """When an evaluator has looked at the rules last; None where none ever has."""
        return told.looked_at(self._storage)

    def alert_states(self) -> list[Record]:
        """The alerts that an evaluator has found pending or firing."""
        return told.states(self.rules(), told.kept(self._storage, self._clock.time_ns()))

    def alert_history(self, rule: str | None = None, limit: int = 50) -> list[Record]:
        """The alerts that fire or have fired, the newest first, of one rule or of all."""
        if limit < 1:
            raise QueryError(f"limit={limit}", "a number from 1 on", "for example 50")
        return told.history(self.rules(), told.kept(self._storage, self._clock.time_ns(), rule, limit))

    def alert_messages(self, limit: int = 50) -> list[Record]:
        """The messages about alerts, the newest first: to whom, what, and what became of each."""
        if limit < 1:
            raise QueryError(f"limit={limit}", "a number from 1 on", "for example 50")
        return messages(self._storage, limit)

    def explain_alert(self, rule: str) -> Document:
        """The figures behind a rule: readings, those of the windows before, state, history and silences."""
        chosen = told.found_rule(self.rules(), rule)
        return told.explain(chosen, self._look(self._window(24)), told.kept(self._storage, self._clock.time_ns(), rule))

    def readings(self, rules: Iterable[Rule], now_ns: int) -> dict[str, list[Reading]]:
        """What each rule finds as of a time, by the rules' names."""
        window = last_hours(24, now_ns)
        self.refresh()
        return {rule.name: measure(rule, self._look(window)) for rule in rules}

    def stages(self, hours: float = 24, *, stage: str | None = None, improvement_percent: float = 20.0) -> Document:
        """Where the time of a session goes: stages, waiting against working, the bottleneck; see `analytics.questions.stages`."""
        window = self._window(hours)
        return stages(self._engine, window, self._settings, stage=stage, improvement_percent=improvement_percent)

    def corrections(self, hours: float = 24, least: int = LEAST_SAMPLES) -> Document:
        """What moderators correct: how much, of what kind, for which model and prompt, and whether it falls; see `analytics.questions.corrections`."""
        window = self._window(hours)
        return {**corrections_of(self._engine, window), **corrections(self._engine, window, self._settings, least)}

    def moderators(
        self, hours: float = 24, least: int = LEAST_REVIEWS, words_per_minute: float = WORDS_PER_MINUTE,
        flag_percent: float = FLAG_PERCENT,
    ) -> Document:  # fmt: skip
        """What each moderator does, how long it takes and how far it can be relied on; see `analytics.questions.moderators`."""
        return moderators(self._engine, self._window(hours), self._settings, least, words_per_minute, flag_percent)

    def capacity(
        self,
        hours: float = 24,
        target_wait_minutes: float = 10.0,
        target_share: float = 0.8,
        weeks: float | None = WEEKS,
    ) -> Document:
        """Arrivals by hour of the week, and how many moderators a waiting time needs; see `analytics.questions.capacity`."""
        return capacity(self._engine, self._window(hours), self._settings, target_wait_minutes, target_share, weeks)

    def cost(
        self, hours: float = 24, moderator_hour_rate: float | None = None, speech_minute_rate: float | None = None,
        currency: str | None = None,
    ) -> Document:  # fmt: skip
        """Tokens and money by session, stage, model and delivered answer; see `analytics.questions.cost`."""
        return cost(
            self._engine, self._window(hours), self._settings, moderator_hour_rate, speech_minute_rate, currency
        )

    def users(self, hours: float = 24, *, within_hours: float = 24.0) -> Document:
        """Sessions, peak hours, repeat contacts and response times as users feel them; see `analytics.questions.users`."""
        return users(self._engine, self._window(hours), self._settings, within_hours=within_hours)

    def system(self, hours: float = 24, *, metric: str | None = None) -> Document:
        """Memory, processor, queue length, restarts, errors and the state of this package itself; see `analytics.questions.system`."""
        return system(self._engine, self._window(hours), self._settings, metric=metric)

    def safe_to_send(
        self, hours: float = 24, risk_percent: float = RISK_PERCENT, confidence: float = CONFIDENCE,
        least: int = LEAST_DRAFTS, prompt: str = LATEST,
    ) -> Document:  # fmt: skip
        """Which intents could skip review at a chosen risk; see `analytics.questions.safe_to_send`."""
        window = self._window(hours)
        return safe_to_send(self._engine, window, self._settings, risk_percent, confidence, least, prompt)

    def oversight(
        self, hours: float = 24, *, since: TimeInput | None = None, until: TimeInput | None = None,
        limit: int | None = MOST_ROWS,
    ) -> Document:  # fmt: skip
        """Who approved, corrected or rejected what and when, and deliveries that differ from what was approved; see `analytics.questions.oversight`."""
        window, _ = self._period(hours, since, until)
        return oversight(self._engine, window, self._settings, limit=limit)

    def sessions(
        self, hours: float = 24, limit: int = 50, *, user: object = None, chat: object = None, outcome: str | None = None,
        stage: str | None = None, error: bool | str | None = None, longer_than_ms: float | None = None,
        shorter_than_ms: float | None = None, corrected: bool | None = None, waiting: bool | None = None,
        since: TimeInput | None = None, until: TimeInput | None = None,
    ) -> list[Record]:  # fmt: skip
        """The sessions active in the last `hours`, or from `since` to `until`, newest first; the other wishes as in `Search`."""
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise QueryError(f"limit={limit!r}", "a number from 1 on", "for example 50")
        search = Search(
            user=user, chat=chat, outcome=outcome, stage=stage, error=error, longer_than_ms=longer_than_ms,
            shorter_than_ms=shorter_than_ms, corrected=corrected, waiting=waiting,
        )  # fmt: skip
        window, now = self._period(hours, since, until)
        return list_sessions(self._engine, window, now, self._settings.session_timeout_hours, limit, search)

    def session(self, session_id: str) -> Record:
        """One session whole, by its id or a unique beginning of it."""
        return whole_session(self._engine, self._window(24), self._settings.session_timeout_hours, session_id)

    def queue(self) -> Record:
        """What waits for a moderator and which stages are running, as of now; both empty where `lacks` has `running`."""
        return in_flight(self._engine, self._window(24), self._settings.session_timeout_hours)

    def course(self, hours: float = 24, pieces: int = 48) -> Document:
        """What began, ended, failed and waited in each of so many equal pieces of the last `hours`; see `analytics.questions.course`."""
        return course(self._engine, self._window(hours), self._settings, pieces)

    def sql(self, query: str) -> Rows:
        """One reading statement over the views, in the SQL of where it is asked; times are UTC."""
        self.refresh()
        return run_query(self._engine, query)

    def df(self, query: str) -> "pandas.DataFrame":
        """The rows of one reading statement over the views as a frame of pandas; times are UTC."""
        self.refresh()
        return pandas_frame(self._engine, query)

    def pl(self, query: str) -> "polars.DataFrame":
        """The rows of one reading statement over the views as a frame of Polars; times are UTC."""
        self.refresh()
        return polars_frame(self._engine, query)

    def export(
        self, table: str, path: Path, form: str, since: TimeInput | None = None, until: TimeInput | None = None,
        progress: Progress | None = None,
    ) -> int:  # fmt: skip
        """Writes one table to a file and gives the number of rows; see `analytics.export`."""
        self.refresh()
        return export_table(self._engine, table, path, form, since, until, progress)

    def preferences(self, path: Path, since: TimeInput | None = None, until: TimeInput | None = None) -> Document:
        """Writes drafts and corrections as preference pairs, as JSON Lines, and gives counts; see `analytics.preferences`."""
        self.refresh()
        return write_preferences(self._engine, path, since, until)

    def close(self) -> None:
        """Lets the engine go."""
        self._engine.close()

    def _period(self, hours: Any, since: TimeInput | None, until: TimeInput | None) -> tuple[Window, datetime]:
        """The window that was asked for, and now."""
        now_ns = self._clock.time_ns()
        window = period(hours, since, until, now_ns)
        self.refresh()
        return window, last_hours(1, now_ns).until

    def _alerts(self, window: Window) -> list[Record]:
        store = told.kept(self._storage, self._clock.time_ns())
        seconds = (window.until - window.since).total_seconds()
        file = load_rules_file(self._settings)
        return told.firing(file.rules, self._look(window), store, seconds) + undelivered(file.targets, store)

    def _look(self, window: Window) -> Look:
        return Look(self._engine, self._settings, window.until, recorded_cost)

    def _window(self, hours: Any) -> Window:
        window = last_hours(hours, self._clock.time_ns())
        self.refresh()
        return window


def _engine(storage: MetricsStorage | None, settings: Settings, memory: Memory | None) -> "Engine | ClickHouseEngine":
    """The engine that the settings ask for; the libraries of another one are not loaded."""
    if settings.backend is None:
        return Engine(storage, memory)
    from otel_metrics.analytics.clickhouse.engine import ClickHouseEngine

    return ClickHouseEngine(settings.backend)
