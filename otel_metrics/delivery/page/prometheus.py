"""Owns the figures as Prometheus reads them: which number of the dashboard document, the queue and the rules is which metric.

Figures of a window go up and down, so they are gauges; `_total` is what only grows. Durations are seconds, shares 0 to 1.
No label is an id of anybody, and of each label at most `MOST_VALUES` values are told.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from otel_metrics._version import __version__
from otel_metrics.analytics.alerting.rules import Rule
from otel_metrics.model.vocabulary import ProcessingStage

if TYPE_CHECKING:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    Family = CounterMetricFamily | GaugeMetricFamily

SECTIONS = frozenset({"stages", "cost", "system"})
"""The sections of the dashboard document that are needed here."""
MOST_VALUES = 50
_STATISTICS = {"mean": "avg_duration_ms", "p50": "p50_ms", "p95": "p95_ms", "p99": "p99_ms"}

Document = Mapping[str, Any]
Row = tuple[tuple[str, ...], float | None]


@dataclass(frozen=True, slots=True)
class Found:
    """What is told: the document of a window that ends at a moment, what is in flight now, the rules and the last look at them."""

    document: Document
    queue: Document
    rules: Sequence[Rule]
    hours: float
    made_at_s: float
    looked_at_s: float | None = None


def exposition(found: Found, accept: str) -> tuple[bytes, str]:
    """The figures in the format that `accept`, the header of a request, asks for, and that format's content type."""
    from prometheus_client.exposition import choose_encoder

    sheet = _Sheet()
    _about(sheet, found)
    _overview(sheet, found.document)
    _stages(sheet, found.document["processing_by_stage"])
    _corrections(sheet, found.document["corrections"])
    _in_flight(sheet, found)
    _alerts(sheet, found)
    _cost(sheet, found.document["cost"])
    _records(sheet, found.document["system"])
    encode, content_type = choose_encoder(accept)
    return encode(sheet), content_type


@dataclass(slots=True)
class _Sheet:
    """Metrics one after the other. A value that is None is not known and not told."""

    _families: "list[Family]" = field(default_factory=list)

    def collect(self) -> "Iterable[Family]":
        """What the encoders of prometheus_client ask a registry for."""
        return self._families

    def gauge(self, name: str, says: str, value: float | None) -> None:
        """One number."""
        self.gauges(name, says, (), [((), value)])

    def gauges(self, name: str, says: str, labels: Sequence[str], rows: Iterable[Row]) -> None:
        """A number for each value of the labels."""
        from prometheus_client.core import GaugeMetricFamily

        self._add(GaugeMetricFamily(name, says, labels=labels), rows)

    def counters(self, name: str, says: str, labels: Sequence[str], rows: Iterable[Row]) -> None:
        """A number that only grows for each value of the labels."""
        from prometheus_client.core import CounterMetricFamily

        self._add(CounterMetricFamily(name, says, labels=labels), rows)

    def _add(self, family: "Family", rows: Iterable[Row]) -> None:
        for labels, value in rows:
            if value is not None:
                family.add_metric(labels, value)
        self._families.append(family)


def _about(sheet: _Sheet, found: Found) -> None:
    sheet.gauges("otel_metrics_build_info", "The version of otel-metrics.", ("version",), [((__version__,), 1)])
    sheet.gauge("hitl_window_seconds", "How far back the figures named hitl_window_ look.", found.hours * 3600)
    sheet.gauge("hitl_window_end_timestamp_seconds", "When the window ended, which is when those figures were taken.", found.made_at_s)  # fmt: skip


def _overview(sheet: _Sheet, document: Document) -> None:
    overview, corrections, whole = document["overview"], document["corrections"], document["stages"]
    sheet.gauge("hitl_window_sessions", "Sessions with a stage that ended in the window.", overview["total_requests"])
    sheet.gauge("hitl_window_success_ratio", "Stages that succeeded, of all that ended.", _share(overview["overall_success_rate"]))  # fmt: skip
    sheet.gauge("hitl_window_correction_ratio", "Sessions with a correction that is no rejection, of all.", _share(corrections["rate"]))  # fmt: skip
    sheet.gauge("hitl_window_corrected_sessions", "Sessions with a correction that is no rejection.", corrections["corrected_sessions"])  # fmt: skip
    for statistic in ("mean", "p50", "p95"):
        sheet.gauge(
            f"hitl_window_end_to_end_{statistic}_seconds", f"From a session's first stage to the end of its last, waiting included: {statistic}.",
            _seconds(whole[f"end_to_end_{statistic}_ms"]),
        )  # fmt: skip


def _stages(sheet: _Sheet, stages: Document) -> None:
    shown = _most({name: one["count"] for name, one in stages.items()})

    sheet.gauges("hitl_window_stages", "Stages that ended.", ("stage",), [((name,), stages[name]["count"]) for name in shown])  # fmt: skip
    sheet.gauges("hitl_window_stage_success_ratio", "Stages that succeeded, of those that ended.", ("stage",), [((name,), _share(stages[name]["success_rate"])) for name in shown])  # fmt: skip
    for statistic, key in _STATISTICS.items():
        sheet.gauges(
            f"hitl_window_stage_duration_{statistic}_seconds", f"How long a stage took: {statistic}.", ("stage",),
            [((name,), _seconds(stages[name][key])) for name in shown],
        )  # fmt: skip
    sheet.gauge("hitl_window_stage_names_left_out", f"Names of stages that are not told here, since {MOST_VALUES} others were more frequent.", len(stages) - len(shown))  # fmt: skip


def _corrections(sheet: _Sheet, corrections: Document) -> None:
    by_type = corrections["by_type"]
    shown = _most({name: one["total_count"] for name, one in by_type.items()})
    sheet.gauges("hitl_window_corrections", "Corrections of drafts by moderators.", ("type",), [((name,), by_type[name]["total_count"]) for name in shown])  # fmt: skip
    sheet.gauges(
        "hitl_window_correction_processing_mean_seconds", "How long a correction took a moderator: mean.", ("type",),
        [((name,), _seconds(by_type[name]["avg_processing_time_ms"])) for name in shown],
    )  # fmt: skip


def _in_flight(sheet: _Sheet, found: Found) -> None:
    ages = [one["age_ms"] for one in found.queue["waiting"]]
    sheet.gauge("hitl_queue_length", "Drafts that wait for a moderator now.", len(ages))
    sheet.gauge("hitl_queue_oldest_age_seconds", "How long the draft has waited that waits longest; 0 where none waits.", _seconds(max(ages, default=0)))  # fmt: skip
    running = Counter((one["stage"], one["state"]) for one in found.queue["running"])
    names = dict.fromkeys(map(str, ProcessingStage), 0) | Counter(one["stage"] for one in found.queue["running"])
    sheet.gauges(
        "hitl_running_stages", "Stages that have begun and not ended; interrupted where their process died.", ("stage", "state"),
        [((name, state), running[name, state]) for name in _most(names) for state in ("running", "interrupted")],
    )  # fmt: skip


def _alerts(sheet: _Sheet, found: Found) -> None:
    alerts = found.document["alerts"]
    firing = {one["rule"] for one in alerts if "rule" in one}
    loud = {one["rule"] for one in alerts if "rule" in one and not one.get("silenced")}
    rules = [one for one in found.rules if one.enabled]
    sheet.gauges("hitl_alert_firing", "1 where a rule finds something wrong now, silenced or not.", ("rule", "severity"), [((one.name, one.severity), one.name in firing) for one in rules])  # fmt: skip
    sheet.gauges("hitl_alert_silenced", "1 where all that a rule finds wrong now is silenced.", ("rule", "severity"), [((one.name, one.severity), one.name in firing - loud) for one in rules])  # fmt: skip
    sheet.gauge("hitl_alert_last_look_timestamp_seconds", "When serve or watch evaluated the rules last; not there where none has.", found.looked_at_s)  # fmt: skip
    lost = sum(one["count"] for one in alerts if one["type"] == "undelivered")
    sheet.gauge("hitl_alert_messages_undelivered", "Messages given up, to targets at which nothing has arrived since.", lost)  # fmt: skip


def _cost(sheet: _Sheet, cost: Document) -> None:
    known = {one["currency"]: one["known_cost"] for one in cost["by_currency"]}
    sheet.gauges(
        "hitl_window_model_cost", "What calls of models cost that have a price, in the currency of each.", ("currency",),
        [((name,), known[name]) for name in _most({one["currency"]: one["calls"] for one in cost["by_currency"]})],
    )  # fmt: skip
    sheet.gauges("hitl_window_cost", "Models, moderators and speech together, as far as they have a price.", ("currency",), [((cost["currency"],), cost["known_total_cost"])])  # fmt: skip
    sheet.gauge("hitl_window_model_calls", "Calls of models.", cost["calls"])
    sheet.gauge("hitl_window_model_calls_unpriced", "Calls of models whose price is not known.", cost["unpriced_calls"])
    sheet.gauges("hitl_window_model_tokens", "Tokens, as far as calls of models tell them.", ("direction",), [((name,), cost[f"{name}_tokens"]) for name in ("input", "output")])  # fmt: skip


def _records(sheet: _Sheet, system: Document) -> None:
    """The account of the store: emitted = stored + waiting + dropped + missing, of all time."""
    sheet.counters("hitl_store_records_emitted_total", "Records that were made.", (), [((), system["emitted"])])
    sheet.counters("hitl_store_records_stored_total", "Records that came into the tables.", (), [((), system["stored"])])  # fmt: skip
    sheet.gauge("hitl_store_records_waiting", "Records that only the journal has yet.", system["in_journal"])
    dropped = {one["reason"]: one["count"] for one in system["dropped_records"]}
    sheet.counters("hitl_store_records_dropped_total", "Records that could not be kept.", ("reason",), [((name,), dropped[name]) for name in _most(dropped)])  # fmt: skip
    sheet.gauge("hitl_store_records_missing", "Records that should be there, are not, and were counted by nobody.", system["missing"])  # fmt: skip


def _seconds(value_ms: float | None) -> float | None:
    return None if value_ms is None else value_ms / 1000


def _share(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _most(counts: Mapping[str, int]) -> list[str]:
    """The names that are told, in their order: the known stages, and of the others the most frequent."""
    known = frozenset(ProcessingStage)
    first = sorted(counts, key=lambda name: (name not in known, -counts[name]))[:MOST_VALUES]
    chosen = frozenset(first)
    return [name for name in counts if name in chosen]
