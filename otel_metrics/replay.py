"""Owns the replay of a store: its past, read by the one wing, sent by the other, and noted so that it can go on at any time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

from otel_metrics.analytics.engine import Engine
from otel_metrics.analytics.past import Past, PastChangedError, PastFigures, StoredSpan
from otel_metrics.analytics.window import Window
from otel_metrics.errors import SettingError, StoreDamaged, StoreError
from otel_metrics.model.identity import IdHasher
from otel_metrics.model.times import iso
from otel_metrics.settings import Settings
from otel_metrics.store.key import load_key
from otel_metrics.store.locks import FileLock
from otel_metrics.store.sent import SentSpans
from otel_metrics.store.tables import MetricsStorage
from otel_metrics.telemetry.resending import Resender

DEFAULT_RATE = 1_000.0
DEFAULT_PATIENCE_S = 60.0
_MOST_SPANS = 1024
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_LOCK_WAIT_S = 60.0
_NS_PER_HOUR = 3_600_000_000_000
EVER = Window(datetime.fromisoformat("0001-01-01"), datetime.fromisoformat("9999-12-31"))
_GRPC, _HTTP = "grpc", "http"
_PROTOCOLS = {"grpc": _GRPC, "http/protobuf": _HTTP, "http": _HTTP}
_SCHEMES = ("http", "https", "grpc", "grpcs")
State = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: the endpoint as the exporter takes it, and `grpc` or `http`. `name` is it without a password."""

    endpoint: str
    protocol: str

    @classmethod
    def of(cls, url: str, protocol: str | None = None) -> "Target":
        """From a URL. Without a protocol: gRPC for `grpc://` and for port 4317, else HTTP, with /v1/traces where the URL has no path."""
        if protocol is not None and protocol not in _PROTOCOLS:
            raise SettingError(
                f"--protocol {protocol}", f"one of {', '.join(_PROTOCOLS)}", "leave it out to have the URL tell"
            )
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise SettingError(
                f"--to {url!r}", "a URL such as http://localhost:4318 or grpc://localhost:4317", "give another one"
            )
        by_url = _GRPC if parts.scheme.startswith("grpc") or port == 4317 else _HTTP
        chosen = _PROTOCOLS[protocol] if protocol else by_url
        scheme = {"grpc": "http", "grpcs": "https"}.get(parts.scheme, parts.scheme)
        path = parts.path if parts.path.strip("/") or chosen == _GRPC else "/v1/traces"
        return cls(urlunsplit((scheme, parts.netloc, path, parts.query, "")), chosen)

    @property
    def name(self) -> str:
        """The target for people and for the file of what was sent: without user and password."""
        parts = urlsplit(self.endpoint)
        bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")).rstrip("/")
        return f"{bare} ({'gRPC' if self.protocol == _GRPC else 'HTTP'})"


@dataclass(slots=True)
class ReplayReport:
    """What was done: spans that were taken and refused, and what there was. `fault` says why it is not whole."""

    target: str
    sent: int = 0
    refused: int = 0
    seconds: float = 0.0
    past: PastFigures = field(default_factory=PastFigures)
    fault: str = ""
    is_interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Wishes:
    """What of the past, and how: `window` in UTC without a zone; `rate` in spans a second, 0 without a bound."""

    window: Window = EVER
    rate: float = DEFAULT_RATE
    patience_s: float = DEFAULT_PATIENCE_S
    restart: bool = False
    unsampled: bool = False


class _NoAnswerError(Exception):
    """Patience is over."""


class Replay:
    """One run. It ends when all is sent, when the target does not answer for `patience_s`, or when it is interrupted."""

    def __init__(
        self, storage: MetricsStorage, settings: Settings, target: Target, wishes: Wishes, *,
        progress: Callable[[int, int], object] = lambda *_: None, on_wait: Callable[[float, str], object] = lambda *_: None,
    ) -> None:  # fmt: skip
        self._storage = storage
        self._settings = settings
        self._target = target
        self._wishes = wishes
        self._progress = progress
        self._on_wait = on_wait
        self._lock = FileLock(storage.layout.replay_lock)
        self.report = ReplayReport(target.name)

    def run(self) -> ReplayReport:
        """Sends what the target has not taken yet; interrupted or not, the report tells what was done."""
        report, begun = self.report, time.monotonic()
        layout, target = self._storage.layout, self._target
        sent = SentSpans(layout, target.name)
        engine = Engine(self._storage)
        hasher = IdHasher(load_key(layout, self._settings.id_key))
        resender = Resender(target.endpoint, target.protocol, hasher, self._wishes.rate)
        try:
            if self._wishes.restart:
                sent.forget()
            self._run(engine, sent, resender)
        except KeyboardInterrupt:
            report.is_interrupted, report.fault = True, "interrupted"
        except _NoAnswerError:
            report.fault = f"nothing was taken for {self._wishes.patience_s:g} s ({resender.last_words})"
        finally:
            report.seconds = time.monotonic() - begun
            resender.close()
            engine.close()
            sent.close()
        return report

    def _run(self, engine: Engine, sent: SentSpans, resender: Resender) -> None:
        idle_since = iso(time.time_ns() - round(self._settings.session_timeout_hours * _NS_PER_HOUR))
        past = Past(engine, idle_since, self._wishes.window, unsampled=self._wishes.unsampled)
        report = self.report
        while True:
            state = self._state()
            figures = past.plan(sent.chunks())
            done = report.sent + report.refused
            report.past = replace(figures, spans=done + figures.spans, sent_before=figures.sent_before - done)
            try:
                self._send_all(past, state, sent, resender)
            except PastChangedError:
                continue
            except StoreDamaged:  # a segment that was planned with may have been replaced by another one
                if self._state() == state:
                    raise
            else:
                return

    def _send_all(self, past: Past, state: State, sent: SentSpans, resender: Resender) -> None:
        rate = self._wishes.rate
        size = min(_MOST_SPANS, max(1, round(rate))) if rate > 0 else _MOST_SPANS
        for batch in past.batches():
            for start in range(0, len(batch), size):
                self._progress(self.report.sent + self.report.refused, self.report.past.spans)
                part = batch[start : start + size]
                resender.keep_pace(len(part))
                self._send(part, state, sent, resender)
        self._progress(self.report.sent + self.report.refused, self.report.past.spans)

    def _send(self, batch: Sequence[StoredSpan], state: State, sent: SentSpans, resender: Resender) -> None:
        """One batch, until it is answered or patience is over."""
        begun, pause_s = time.monotonic(), _FIRST_PAUSE_S
        done: set[int] = set()
        while not self._is_answered([one for one in batch if one.key not in done], state, done, sent, resender):
            left_s = self._wishes.patience_s - (time.monotonic() - begun)
            if left_s <= 0:
                raise _NoAnswerError
            pause_s = min(pause_s, left_s)
            self._on_wait(pause_s, resender.last_words)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _is_answered(
        self, batch: Sequence[StoredSpan], state: State, done: set[int], sent: SentSpans, resender: Resender
    ) -> bool:
        """One try. Who is forgotten meanwhile waits until it is over, and rows are looked for again afterwards."""
        report = self.report

        def note(keys: Sequence[int]) -> None:
            sent.add(keys)
            done.update(keys)
            report.sent += len(keys)

        if not self._lock.acquire(_LOCK_WAIT_S):
            raise StoreError(
                f"somebody has been forgotten for {_LOCK_WAIT_S:g} s", "that it ends", "run `replay` again"
            )
        try:
            if self._state() != state:
                raise PastChangedError
            sent.reserve(len(batch))
            refused = resender.send([(one.key, one.record, one.resource) for one in batch], note)
        finally:
            self._lock.release()
        if refused:
            report.sent -= refused
            report.refused += refused
        return refused is not None

    def _state(self) -> State:
        """What changes when rows go or move."""
        with self._storage.reading() as connection:
            found = connection.execute(
                "SELECT value FROM counters WHERE name IN ('deletions', 'generation', 'store') ORDER BY name"
            )
            return tuple(row[0] for row in found)
