"""Owns the OpenTelemetry instruments: their names, units and bounds; no logic and no ids."""

import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from threading import get_ident
from typing import NamedTuple

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

from otel_metrics.model import names


class Instruments:
    """One attribute for each metric. Durations are seconds."""

    def __init__(self, meter: Meter) -> None:
        self.measure = Measuring()

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
        self.deliveries = meter.create_counter(
            names.M_DELIVERIES, "{delivery}", "Deliveries of moderated answers, by how they stand to what was approved"
        )
        self.retries = meter.create_counter(names.M_STAGE_RETRIES, "{retry}", "Repeated tries of a stage")


class Measuring:
    """Makes measurements one after another in each thread.

    The SDK's locks are not re-entrant: a measurement that a signal's handler makes in the middle of another one would
    wait for ever. It is made when that one is done.
    """

    def __init__(self) -> None:
        self._postponed: dict[int, list[tuple[Callable[..., None], tuple[object, ...]]]] = {}

    def __call__(self, measure: Callable[..., None], *values: object) -> None:
        """Makes a measurement: `measure` is an instrument's `record` or `add`."""
        thread = get_ident()
        postponed = self._postponed.get(thread)
        if postponed is not None:
            postponed.append((measure, values))
            return
        self._postponed[thread] = postponed = []
        try:
            measure(*values)
            for later, arguments in postponed:
                later(*arguments)
        finally:
            self._postponed.pop(thread, None)


class RecordFigures(NamedTuple):
    """One process's account: `emitted = stored + waiting + dropped`, where waiting is what only the journal has yet."""

    emitted: int
    stored: int
    waiting: int
    dropped: Mapping[str, int]


class RecordObserver:
    """Gives the account of a process as metrics, asked for at each collection.

    A meter keeps the first callbacks that an instrument of a name got. So there is one observer for the process, which
    asks whatever sources there are: a service that replaces another one is heard too.
    """

    def __init__(self) -> None:
        self._sources: list[weakref.WeakMethod[Callable[[], RecordFigures | None]]] = []

    def observe(self, meter: Meter, source: Callable[[], RecordFigures | None]) -> None:
        """Adds a bound method that gives its figures, or None, for as long as its object lives."""
        self._sources = [*(one for one in self._sources if one() is not None), weakref.WeakMethod(source)]
        record = "{record}"
        meter.create_observable_counter(
            names.M_EMITTED, [self._of("emitted")], record, "Records that this process made"
        )
        meter.create_observable_counter(names.M_STORED, [self._of("stored")], record, "Those of them in the tables")
        meter.create_observable_up_down_counter(
            names.M_WAITING, [self._of("waiting")], record, "Those of them that only the journal has yet"
        )
        meter.create_observable_counter(
            names.M_DROPPED, [self._dropped], record, "Those of them that could not be kept"
        )

    def _figures(self) -> list[RecordFigures]:
        living = [source() for source in self._sources]
        found = [source() for source in living if source is not None]
        return [figures for figures in found if figures is not None]

    def _of(self, name: str) -> Callable[[CallbackOptions], Iterator[Observation]]:
        def observe(_: CallbackOptions) -> Iterator[Observation]:
            found = self._figures()
            if found:
                yield Observation(sum(getattr(figures, name) for figures in found))

        return observe

    def _dropped(self, _: CallbackOptions) -> Iterator[Observation]:
        dropped: Counter[str] = Counter()
        for figures in self._figures():
            dropped.update(figures.dropped)
        for reason, count in dropped.items():
            yield Observation(count, {names.DROP_REASON: reason})


RECORD_OBSERVER = RecordObserver()
"""One for the process, as a meter's instruments are."""
