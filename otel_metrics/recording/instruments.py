"""Owns the OpenTelemetry instruments: their names, units and bounds; no logic and no ids."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

from otel_metrics.model import names


class Instruments:
    """One attribute for each metric. Durations are seconds."""

    def __init__(self, meter: Meter) -> None:
        def seconds(name: str, description: str) -> Histogram:
            return meter.create_histogram(
                name, "s", description, explicit_bucket_boundaries_advisory=names.SECONDS_BOUNDS
            )

        self.stage_duration = seconds(names.M_STAGE_DURATION, "How long a processing stage took")
        self.session_duration = seconds(names.M_SESSION_DURATION, "From a session's start to its end")
        self.review_duration = seconds(names.M_REVIEW_DURATION, "How long a moderator worked on a draft")
        self.wait_duration = seconds(names.M_WAIT, "How long a draft waited for a moderator")
        self.satisfaction = meter.create_histogram(
            names.M_SATISFACTION, "1", "A moderator's satisfaction with a draft, 1 to 5",
            explicit_bucket_boundaries_advisory=(1, 2, 3, 4, 5),
        )  # fmt: skip
        self.corrections = meter.create_counter(
            names.M_CORRECTIONS, "{correction}", "Corrections of drafts by moderators"
        )
        self.retries = meter.create_counter(names.M_STAGE_RETRIES, "{retry}", "Repeated tries of a stage")


class RecordFigures(NamedTuple):
    """One process's account: `emitted = stored + waiting + dropped`, where waiting is what only the journal has yet."""

    emitted: int
    stored: int
    waiting: int
    dropped: Mapping[str, int]


def observe_records(meter: Meter, figures: Callable[[], RecordFigures | None]) -> None:
    """Gives a process's account as metrics, asked for at each collection; None is no observation."""

    def of(name: str) -> Callable[[CallbackOptions], Iterator[Observation]]:
        def observe(_: CallbackOptions) -> Iterator[Observation]:
            now = figures()
            if now is not None:
                yield Observation(getattr(now, name))

        return observe

    def dropped(_: CallbackOptions) -> Iterator[Observation]:
        now = figures()
        for reason, count in (now.dropped if now is not None else {}).items():
            yield Observation(count, {names.DROP_REASON: reason})

    meter.create_observable_counter(names.M_EMITTED, [of("emitted")], "{record}", "Records that this process made")
    meter.create_observable_counter(names.M_STORED, [of("stored")], "{record}", "Those of them that are in the tables")
    meter.create_observable_up_down_counter(
        names.M_WAITING, [of("waiting")], "{record}", "Those of them that only the journal has yet"
    )
    meter.create_observable_counter(names.M_DROPPED, [dropped], "{record}", "Those of them that could not be kept")
