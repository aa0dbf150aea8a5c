"""Owns the OpenTelemetry instruments: their names, units and bounds; no logic and no ids."""

from opentelemetry.metrics import Histogram, Meter

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
