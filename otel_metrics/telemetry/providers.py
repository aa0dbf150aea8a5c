"""Owns OpenTelemetry's providers: joins the user's own, or builds ours with the local store in it."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry.metrics import Meter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Decision, Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Tracer

from otel_metrics._version import __version__
from otel_metrics.model import names
from otel_metrics.model.identity import IdHasher
from otel_metrics.settings import otel_environment
from otel_metrics.telemetry.exporter import StoreSpanExporter, StoreSpanProcessor
from otel_metrics.telemetry.identity import root_tracer_of
from otel_metrics.telemetry.otlp import metric_exporter, span_exporter
from otel_metrics.telemetry.pipeline import Pipeline
from otel_metrics.telemetry.sampler import RecordEverything
from otel_metrics.telemetry.stages import FastStageSpans

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_logger = logging.getLogger(__name__)
_LAST_SEND_S = 1.5
"""So long the end of a process waits for a collector that takes its last metrics."""


@dataclass(frozen=True, slots=True)
class Providers:
    """The providers to record into; OpenTelemetry's global ones where None."""

    tracer: trace.TracerProvider | None = None
    meter: metrics.MeterProvider | None = None


@dataclass(slots=True)
class Telemetry:
    """What recording needs of OpenTelemetry, and how to let go of it.

    In a provider that is not ours `stages` and `span_exporter` are None: what it sends is its owner's choice.
    """

    stages: FastStageSpans | None
    tracer: Tracer
    root_tracer: Tracer
    meter: Meter
    sampled: Callable[[int], bool]
    resource: dict[str, Any]
    span_exporter: "Callable[[], SpanExporter] | None"
    _closers: list[Callable[[], object]] = field(default_factory=list)
    _flushers: list[Callable[[int], object]] = field(default_factory=list)

    def flush(self, timeout_s: float) -> None:
        """Sends the metrics that wait. The SDK's own flush heeds no time, so it runs beside."""
        deadline = time.monotonic() + timeout_s
        timeout_ms = round(timeout_s * 1000)
        threads = [threading.Thread(target=_calmly, args=(one, timeout_ms), daemon=True) for one in self._flushers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Sends what is waiting, as far as that is quick, and takes our parts out of the provider."""
        for close in self._closers:
            _calmly(close)


def _calmly(call: Callable[..., object], *arguments: object) -> None:
    try:
        call(*arguments)
    except Exception:  # a part of the SDK's failed to end; the others are to end all the same
        _logger.warning("OTLP could not be ended or flushed", exc_info=True)


def open_telemetry(exporter: StoreSpanExporter, hasher: IdHasher, given: Providers) -> Telemetry:
    """Joins the provider that is given or the process's SDK provider, or builds one and makes it the process's own.

    In a provider that somebody else built only the store is added: what it sends elsewhere is its owner's choice.
    """
    provider = given.tracer or trace.get_tracer_provider()
    ours = not isinstance(provider, TracerProvider)
    if ours:
        if otel_environment("OTEL_SDK_DISABLED").lower() == "true":
            _logger.warning("OTEL_SDK_DISABLED is set: stages are not recorded")
        provider = TracerProvider(
            sampler=RecordEverything(_sampler_of_environment()),
            active_span_processor=Pipeline(),
            shutdown_on_exit=False,
        )
        trace.set_tracer_provider(provider)
    assert isinstance(provider, TracerProvider)
    meter_provider, closers, flushers = _meter_provider(provider.resource, given.meter)
    tracer = provider.get_tracer(names.SCOPE, __version__, names.SCHEMA_URL)
    stages, send = None, None
    pipeline = provider._active_span_processor
    if isinstance(pipeline, Pipeline):
        store = StoreSpanProcessor(exporter)
        pipeline.set_store(store)
        closers.append(lambda: pipeline.drop_store(store))
        send = span_exporter()
        pipeline.is_forwarded = send is not None
        if isinstance(tracer, SdkTracer):  # with OTEL_SDK_DISABLED it is none, and records nothing
            scope = InstrumentationScope(names.SCOPE, __version__, names.SCHEMA_URL)
            stages = FastStageSpans(provider, pipeline, exporter, hasher, scope)
    else:
        _add_store(provider, exporter)
    return Telemetry(
        stages, tracer, root_tracer_of(tracer), meter_provider.get_meter(names.SCOPE, __version__, names.SCHEMA_URL),
        _decider(provider.sampler),
        dict(provider.resource.attributes), send, closers, flushers,
    )  # fmt: skip


def _decider(sampler: Sampler) -> Callable[[int], bool]:
    """Says for a trace id whether the sampler takes a session of it."""
    if isinstance(sampler, RecordEverything) and sampler.takes_all_sessions:
        return lambda _: True
    return lambda trace_id: (
        sampler.should_sample(None, trace_id, names.SESSION_SPAN).decision is Decision.RECORD_AND_SAMPLE
    )


def _add_store(provider: TracerProvider, exporter: StoreSpanExporter) -> None:
    """Adds the store's processor to somebody else's provider; it can not be taken out again, only be turned elsewhere."""
    # OpenTelemetry offers no way to list a provider's processors; without this look a span would be written twice.
    present: Sequence[SpanProcessor] = getattr(provider._active_span_processor, "_span_processors", ())
    added = False
    for one in present:
        if isinstance(one, StoreSpanProcessor):
            one.exporter.shutdown()
            one.exporter, added = exporter, True
        elif isinstance(behind := getattr(one, "span_exporter", None), StoreSpanExporter):
            behind.follow(exporter)
    if not added:
        provider.add_span_processor(StoreSpanProcessor(exporter))


def _meter_provider(
    resource: Resource, given: metrics.MeterProvider | None
) -> tuple[metrics.MeterProvider, list[Callable[[], object]], list[Callable[[int], object]]]:
    """The process's meter provider; a new one of ours only where OTLP is asked for, since every reader costs the bot."""
    present = given or metrics.get_meter_provider()
    if given is not None or hasattr(present, "force_flush"):
        return present, [], []
    exporter = metric_exporter()
    if exporter is None:
        return present, [], []
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    provider: MeterProvider = MeterProvider(
        [PeriodicExportingMetricReader(exporter)], resource=resource, shutdown_on_exit=False
    )
    return provider, [lambda: provider.shutdown(_LAST_SEND_S * 1000)], [provider.force_flush]


def _sampler_of_environment() -> Sampler:
    """The sampler that the standard variables name: the SDK reads them itself when a provider is made without one."""
    if not otel_environment("OTEL_TRACES_SAMPLER"):
        return DEFAULT_ON
    return TracerProvider(shutdown_on_exit=False).sampler
