"""Owns the collection of process and system metrics: what OpenTelemetry's instrumentation observes becomes rows of `system_metrics`."""

from collections.abc import Callable, Mapping
from typing import Any, Self

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, MetricsData, NumberDataPoint

from otel_metrics.background import Background
from otel_metrics.errors import MissingExtra

try:
    from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor
except ImportError as _error:
    raise MissingExtra(
        "system metrics are asked for and opentelemetry-instrumentation-system-metrics is not installed",
        "the package with its extra `system`", "pip install '.[system]' in its copy",
    ) from _error  # fmt: skip

Record = Callable[[str, float, Mapping[str, object]], None]
_OBSERVED: dict[str, list[str] | None] = {
    "process.cpu.utilization": None,
    "process.memory.usage": None,
    "process.memory.virtual": None,
    "process.thread.count": None,
    "process.open_file_descriptor.count": None,
    "system.cpu.utilization": ["idle"],
    "system.memory.usage": ["used", "free"],
    "system.memory.utilization": ["used"],
    "system.swap.utilization": ["used"],
}
"""Whether a bot has enough room. What the instrumentation has for each disk, network card and state of each processor
would be more rows than the bot's own."""


class RowReader(MetricReader):
    """Gives each number of a collection to `record`: the metric's name, the value, its attributes and unit as tags."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record
        self.recording = False
        """The first collection is not recorded: a processor's share of time needs an earlier look to compare with."""

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        """Rows of one collection; a histogram has no single number, and so no row."""
        del timeout_millis, kwargs
        if not self.recording:
            return
        for resource in metrics_data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        if isinstance(point, NumberDataPoint):
                            unit = {"unit": metric.unit} if metric.unit else {}
                            self._record(metric.name, point.value, {**(point.attributes or {}), **unit})

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing is held."""


class _Observer(SystemMetricsInstrumentor):  # type: ignore[misc,unused-ignore]
    """The instrumentation beside one that the user may have: by itself it exists once in a process."""

    def __new__(cls, *_: object, **__: object) -> Self:
        return object.__new__(cls)


class SystemReadings:
    """Reads the metrics of the process and its machine every `interval_s` seconds, in the background."""

    def __init__(self, record: Record, interval_s: float, caught: Callable[[Exception], None]) -> None:
        self._record, self._interval_s, self._caught = record, interval_s, caught

    def start(self) -> None:
        """Begins; the first rows come after one interval. Also in a forked child, where all of it must be made anew."""
        self._reader = RowReader(self._record)
        self._provider = MeterProvider([self._reader], shutdown_on_exit=False)
        _Observer(config=_OBSERVED).instrument(meter_provider=self._provider, raise_exception_on_conflict=True)
        self._reader.collect()
        self._reader.recording = True
        self._background = Background(self.read, self._interval_s, "system metrics")
        self._background.start()

    def read(self) -> None:
        """One reading now."""
        try:
            self._reader.collect()
        except Exception as error:  # the next reading may go well
            self._caught(error)

    def close(self) -> None:
        """Ends; a reading under way is waited for, for a second."""
        self._background.stop(1.0)
        self._provider.shutdown()
