"""The composition root: the only place that chooses parts and ties them into a `MetricsService`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from otel_metrics.errors import SettingError
from otel_metrics.model.identity import IdHasher, new_session_id
from otel_metrics.model.losses import Losses
from otel_metrics.model.records import Json
from otel_metrics.model.times import Clock, SystemClock, TimeInput
from otel_metrics.model.vocabulary import CorrectionType, SessionOutcome
from otel_metrics.recording.calls import ModelCalls
from otel_metrics.recording.corrections import record_correction
from otel_metrics.recording.gauges import record_system_metric
from otel_metrics.recording.guard import Guard
from otel_metrics.recording.instruments import RECORD_OBSERVER, Instruments, RecordFigures
from otel_metrics.recording.kit import RecordingKit
from otel_metrics.recording.logger import StructuredLogger
from otel_metrics.recording.sessions import Sessions
from otel_metrics.recording.spans import ApiRootSpans, ApiStageSpans
from otel_metrics.recording.timer import ProcessingTimer, record_stage
from otel_metrics.recording.usage import Price, PriceList
from otel_metrics.settings import Settings, load, rotate_at_bytes
from otel_metrics.store.forks import in_children
from otel_metrics.store.journal import Journal
from otel_metrics.store.key import load_key
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.ledger import JournalLedger
from otel_metrics.store.tables import MetricsStorage
from otel_metrics.telemetry.exporter import StoreSpanExporter
from otel_metrics.telemetry.providers import Providers, open_telemetry
from otel_metrics.upkeep import Upkeep

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from otel_metrics.analytics.answers import Answers
    from otel_metrics.telemetry.forward import Forwarder
    from otel_metrics.telemetry.system import SystemReadings

_ASK_WAIT_S = 10.0


class MetricsService:
    """Recording into one store and asking it. Usable as a context manager; safe from any thread and through forks."""

    def __init__(
        self, settings: Settings | None = None, *, clock: Clock | None = None, providers: Providers | None = None
    ) -> None:
        self.settings = settings or load()
        self.losses = Losses()
        self._clock: Clock = clock or SystemClock()
        self._layout = StoreLayout(self.settings.database, self.settings.log_file)
        self.storage = MetricsStorage(self._layout, self.settings, in_bot=True)
        self._answers: Answers | None = None
        self._closed = False
        self.kit: RecordingKit | None = None
        self._sessions: Sessions | None = None
        self._close_telemetry: Callable[[], None] = lambda: None
        self._flush_telemetry: Callable[[float], None] = lambda _: None
        self._upkeep: Upkeep | None = None
        self._readings: SystemReadings | None = None
        self._calls: ModelCalls | None = None
        if self.settings.enabled:
            self._open_recording(providers or Providers())
        self._logger = StructuredLogger(self.kit, self.settings.log_level)

    def _open_recording(self, providers: Providers) -> None:
        settings = self.settings
        with _usable(self._layout):
            self._layout.prepare()
            key = load_key(self._layout, settings.id_key)
        resource: Json = {}
        journal = Journal(
            self._layout, max_bytes=rotate_at_bytes(settings), durability=settings.durability, resource=lambda: resource
        )
        ledger = JournalLedger(journal, self.losses)
        hasher = IdHasher(key)
        guard = Guard(self.losses, strict=settings.strict)
        exporter = StoreSpanExporter(ledger=ledger, settings=settings)
        telemetry = open_telemetry(exporter, hasher, providers)
        resource.update(telemetry.resource)
        make_exporter = telemetry.span_exporter
        forwarder = None if make_exporter is None else self._forwarder(make_exporter, hasher)
        journal.forwards = forwarder is not None
        self._close_telemetry, self._flush_telemetry = telemetry.close, telemetry.flush
        fast = telemetry.stages
        roots = ApiRootSpans(
            telemetry.tracer, telemetry.root_tracer, ledger, hasher, guard, None if fast is None else fast.root
        )
        self.kit = RecordingKit(
            fast or ApiStageSpans(telemetry.tracer, telemetry.root_tracer, hasher, guard), roots, telemetry.tracer, ledger, Instruments(telemetry.meter), hasher,
            self._clock, guard, telemetry.sampled, settings.text_limit, settings.capture_content,
        )  # fmt: skip
        self._sessions = Sessions(self.kit)
        self._calls = ModelCalls(self.kit, self._sessions.has_ended, PriceList(_load_prices))
        exporter.calls = self._calls
        self._upkeep = Upkeep(journal, ledger, self.storage, self.losses, guard, settings, forwarder)
        RECORD_OBSERVER.observe(telemetry.meter, self._upkeep.figures)
        self._upkeep.start()
        if settings.system_metrics:
            self._readings = self._start_readings(guard)
        in_children(self._forked)

    def _forwarder(self, make_exporter: "Callable[[], SpanExporter]", hasher: IdHasher) -> "Forwarder":
        """What sends the journal's lines on by OTLP. Its libraries are loaded here."""
        from otel_metrics.store.outbox import Outbox
        from otel_metrics.telemetry.forward import Forwarder

        return Forwarder(Outbox(self._layout), make_exporter, hasher)

    def _start_readings(self, guard: Guard) -> "SystemReadings | None":
        """System metrics; where their library is missing the bot goes on without them, and is told how to get it."""

        def caught(error: Exception) -> None:
            guard.caught("system_metrics", error, dropped=False)

        try:
            from otel_metrics.telemetry.system import SystemReadings

            readings = SystemReadings(self.record_system_metric, self.settings.system_interval_s, caught)
            readings.start()
        except Exception as error:
            caught(error)
            return None
        return readings

    @property
    def sessions(self) -> Sessions | None:
        """What makes and ends sessions, for who holds one longer than this service may last; None where nothing is recorded."""
        return self._sessions

    # --- recording -------------------------------------------------------------------------------------------

    def create_session(self, user_id: object, chat_id: object, **metadata: object) -> str:
        """Creates a session and gives its id: 32 hex digits, the trace id. Only the id needs to travel."""
        if self._sessions is None:
            return new_session_id(self._clock.time_ns())
        return self._sessions.create(user_id, chat_id, metadata)

    def end_session(self, session_id: str, outcome: str = SessionOutcome.DELIVERED) -> None:
        """Ends a session as delivered, rejected, abandoned or failed. Of several ends the first counts."""
        self._recording("end_session", lambda _, sessions: sessions.end(session_id, outcome))

    def timer(
        self, session_id: str, user_id: object, chat_id: object, stage: str, **metadata: object
    ) -> ProcessingTimer:
        """Times a stage in `with` or `async with`; see `ProcessingTimer`."""
        return self.open_timer(session_id, user_id, chat_id, stage, metadata)

    def open_timer(
        self, session_id: str, user_id: object, chat_id: object, stage: str, metadata: Json
    ) -> ProcessingTimer:
        """`timer` with its metadata as one dict, which the timer keeps."""
        return ProcessingTimer(self.kit, session_id, user_id, chat_id, stage, metadata)

    def record_stage(
        self, session_id: str, user_id: object, chat_id: object, stage: str, *, start_time: TimeInput,
        end_time: TimeInput | None = None, success: bool = True, error_message: str | None = None, **metadata: object,
    ) -> None:  # fmt: skip
        """Records a stage with known times: datetime (naive = local time), epoch seconds or ISO text; no end is now."""
        self._recording(
            "record_stage",
            lambda kit, _: record_stage(
                kit, session_id, user_id, chat_id, stage, start_time=start_time, end_time=end_time, success=success,
                error_message=error_message, metadata=metadata,
            ),
        )  # fmt: skip

    def record_correction(
        self, session_id: str, admin_user_id: object, message_id: object, correction_type: CorrectionType | str,
        original_text: str | None, corrected_text: str | None, processing_time_ms: float | None,
        voice_transcription_time_ms: float | None = None, ai_correction_time_ms: float | None = None,
        admin_satisfaction: int | None = None, retry_count: int = 0, **metadata: object,
    ) -> None:  # fmt: skip
        """Records what a moderator did to a draft: times in milliseconds, satisfaction 1 to 5.

        The texts are measured (lengths, word edit rate, similarity, keyed hashes) and, unless content capture is on, not kept.
        """
        self._recording(
            "record_correction",
            lambda kit, _: record_correction(
                kit, session_id, admin_user_id, message_id, correction_type, original_text, corrected_text,
                processing_time_ms, voice_transcription_time_ms, ai_correction_time_ms, admin_satisfaction,
                retry_count, metadata,
            ),
        )  # fmt: skip

    def record_system_metric(
        self, metric_type: str, value: float | str, tags: Mapping[str, object] | None = None, **metadata: object
    ) -> None:
        """Records one measured value: any number or short text, with tags."""
        self._recording(
            "record_system_metric", lambda kit, _: record_system_metric(kit, metric_type, value, tags, metadata)
        )

    def get_logger(self) -> StructuredLogger:
        """The structured logger of this service."""
        return self._logger

    def _recording(self, where: str, record: Callable[[RecordingKit, Sessions], None]) -> None:
        """Runs one recording call behind the guard; nothing happens where recording is switched off."""
        if self.kit is None or self._sessions is None:
            return
        try:
            record(self.kit, self._sessions)
        except Exception as error:
            self.kit.guard.caught(where, error)

    # --- asking ----------------------------------------------------------------------------------------------

    def get_dashboard_data(self, hours: float = 24) -> Json:
        """The dashboard document of the last `hours`: overview, processing_by_stage, corrections, alerts."""
        return self._ask().dashboard(hours)

    def get_alerts(self, hours: float = 24) -> list[Json]:
        """What is wrong in the last `hours`: one dict for each firing alert, with type, severity and message."""
        return self._ask().alerts(hours)

    def sql(self, query: str) -> list[Json]:
        """One reading SQL statement over the views; a dict for each row."""
        return self._ask().sql(query).as_dicts()

    def export(self, table: str, path: str | Path, format: str = "csv", **period: Any) -> int:  # noqa: A002 - the contract's name
        """Writes a table as csv, json, jsonl, parquet or sqlite; gives the number of rows. `since`, `until`: times."""
        return self._ask().export(table, Path(path), format, **period)

    @property
    def answers(self) -> "Answers":
        """Every question as a method: `answers.corrections(hours=24)`, `answers.capacity()` and so on."""
        return self._ask()

    def _ask(self) -> "Answers":
        """The read wing, loaded at the first question; everything recorded so far is moved into the tables first.

        Where recording is switched off there is nothing to ask, whatever an older store may hold.
        """
        if self._answers is None:
            from otel_metrics.analytics.answers import Answers

            self._answers = Answers(self.storage if self.settings.enabled else None, self.settings, self._clock)
        if self._upkeep is not None and not self._closed:
            self._upkeep.drain(_ASK_WAIT_S)
        return self._answers

    # --- living and ending -----------------------------------------------------------------------------------

    def flush(self, timeout_s: float = 10.0) -> None:
        """Moves what is recorded into the tables and sends what waits for OTLP; waits at most `timeout_s` for each."""
        if self._upkeep is not None and not self._closed:
            self._upkeep.drain(timeout_s)
            self._upkeep.send(timeout_s)
            self._flush_telemetry(timeout_s)

    def tick(self) -> None:
        """What the background does at its interval; also for who runs without one."""
        if self._upkeep is not None and not self._closed:
            self._upkeep.tick()

    def record_figures(self) -> RecordFigures | None:
        """What this process recorded and where it is now; None where it records nothing or the tables can not be read."""
        return None if self._upkeep is None else self._upkeep.figures()

    def shutdown(self) -> None:
        """Ends recording: the tables get what is written, OTLP what waits; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._readings is not None:
            self._readings.close()
        self.kit = self._sessions = None
        self._logger = StructuredLogger(None, self.settings.log_level)
        try:
            if self._upkeep is not None:
                self._upkeep.end(self._close_telemetry)
        finally:
            if self._answers is not None:
                self._answers.close()

    def _forked(self) -> None:
        """In a forked child: a background of its own; stages that the parent has open stay the parent's."""
        if self.kit is not None and self._upkeep is not None:
            for timers in self.kit.live.values():
                for timer in timers:
                    timer.disown()
            self.kit.live.clear()
            if self._calls is not None:
                self._calls.disown()
            self._upkeep.start_in_child()
            if self._readings is not None:
                self._readings.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()


def _load_prices() -> Price | None:
    """The list of prices, if its library is there; loaded with the first model call."""
    from otel_metrics.analytics.prices import price_function

    return price_function()


@contextmanager
def _usable(layout: StoreLayout) -> Iterator[None]:
    """Folders that can not be made or written, in our words."""
    try:
        yield
    except OSError as error:
        raise SettingError(
            f"{error.filename or layout.database} can not be made or read ({error.strerror or error})",
            "a database and a log file in folders that can be written", "set METRICS_DATABASE and METRICS_LOG_FILE",
        ) from error  # fmt: skip
