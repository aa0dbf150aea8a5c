"""Owns the rules of alerts as data: what each kind of rule may say, its defaults, and the two rules of the contract."""

import math
import re
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta, Struct

from otel_metrics.analytics.alerting.duration import Duration
from otel_metrics.settings import Settings

SLOW_PROCESSING = "slow_processing"
HIGH_CORRECTION_RATE = "high_correction_rate"
BUILT_IN = (SLOW_PROCESSING, HIGH_CORRECTION_RATE)
"""The rules of the contract: on by default, and judged over the hours that are asked for by `get_alerts(hours)`."""

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Amount = Annotated[float, Meta(ge=0)]
Statistic = Annotated[str, Meta(pattern=r"^(mean|p[0-9]{1,2}(\.[0-9]{1,3})?)$")]
_MOMENT = Duration(0)
_HOUR = Duration(3600)
_DAY = Duration(86_400)


class Rule(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every rule says. `hold` is `for` in the file: the condition must hold so long before the alert fires."""

    name: Name
    enabled: bool = True
    severity: Literal["info", "warning", "critical"] = "warning"
    window: Duration = _HOUR
    hold: Duration = msgspec.field(name="for", default=_MOMENT)
    least: Count = 1
    """Below so many samples there is no judgement."""
    labels: dict[Name, Text] = {}
    description: Annotated[str, Meta(max_length=2000)] = ""
    link: Annotated[str, Meta(max_length=2000, pattern=r"^(https?://\S+)?$")] = ""
    notify: tuple[Name, ...] | None = None
    """The names of the targets that are told; None: every target, empty: none."""

    has_window: ClassVar[bool] = True
    """Whether the figure is one of a window; what waits or runs is known for now alone."""

    def __post_init__(self) -> None:
        if self.window.seconds <= 0:
            raise ValueError("expected a `window` above 0")
        if not self.has_window and self.window != _HOUR:
            raise ValueError(f"expected no `window`: {self.kind} is of now")
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"expected a finite number for `{name}`")

    @property
    def kind(self) -> str:
        """The kind, as the file names it."""
        return str(self.__struct_config__.tag)


class SlowStage(Rule, kw_only=True, frozen=True, tag="slow_stage"):
    """A stage's mean duration, or a percentile of it such as `p95`, above a duration; without `stage` each one by itself."""

    threshold: Duration
    people_threshold: Duration | None = None
    """The threshold of moderation_queue and admin_review, where people work; without it `threshold` is theirs too."""
    stage: Text | None = None
    statistic: Statistic = "mean"
    least: Count = 5


class SuccessRate(Rule, kw_only=True, frozen=True, tag="success_rate"):
    """The percentage of ended stages that succeeded below a percentage: of one stage, of each, or of all together."""

    threshold: Percent
    stage: Text | None = None
    by_stage: bool = False
    least: Count = 20


class CorrectionRate(Rule, kw_only=True, frozen=True, tag="correction_rate"):
    """The percentage of sessions with a correction that is no rejection above a percentage; of one intent, model or prompt."""

    threshold: Percent
    intent: Text | None = None
    model: Text | None = None
    prompt: Text | None = None
    least: Count = 10


class QueueLength(Rule, kw_only=True, frozen=True, tag="queue_length"):
    """More than so many drafts wait for a moderator."""

    threshold: Amount
    has_window: ClassVar[bool] = False


class QueueAge(Rule, kw_only=True, frozen=True, tag="queue_age"):
    """The draft that has waited longest has waited longer than a duration."""

    threshold: Duration
    has_window: ClassVar[bool] = False


class StuckStage(Rule, kw_only=True, frozen=True, tag="stuck_stage"):
    """A stage has been running for longer than a duration. Those whose process died count where `interrupted` is true."""

    threshold: Duration
    stage: Text | None = None
    interrupted: bool = False
    has_window: ClassVar[bool] = False


class NoData(Rule, kw_only=True, frozen=True, tag="no_data"):
    """No stage has ended for longer than a duration; silent until the first one ever has."""

    threshold: Duration
    stage: Text | None = None
    has_window: ClassVar[bool] = False


class CostPerHour(Rule, kw_only=True, frozen=True, tag="cost_per_hour"):
    """The cost that stages recorded, by hour of the window, above an amount; each currency by itself."""

    threshold: Amount
    currency: Text | None = None


class TokenSurge(Rule, kw_only=True, frozen=True, tag="token_surge"):
    """The tokens of the window more than `threshold` times the mean of the windows of the same length before it.

    `least` is how many windows before it there must be; those before the first stage within `baseline` do not count.
    """

    threshold: Amount = 3.0
    baseline: Duration = _DAY
    stage: Text | None = None
    least: Count = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.baseline.seconds < self.window.seconds * self.least:
            raise ValueError("expected a `baseline` of at least `least` windows")


class SystemMetric(Rule, kw_only=True, frozen=True, tag="system_metric"):
    """A figure over the recorded values of one type of system metric, above or below a number."""

    metric_type: Text = msgspec.field(name="type")
    above: float | None = None
    below: float | None = None
    aggregate: Annotated[str, Meta(pattern=r"^(mean|min|max|sum|last|p[0-9]{1,2}(\.[0-9]{1,3})?)$")] = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.above is None) == (self.below is None):
            raise ValueError("expected either `above` or `below`")

    @property
    def threshold(self) -> float:
        """The one of the two that is given."""
        limit = self.above if self.above is not None else self.below
        assert limit is not None
        return limit


class Deviation(Rule, kw_only=True, frozen=True, tag="deviation"):
    """A figure far from what it was at the same time of earlier weeks: the robust z-score above `threshold`.

    `least` is how many samples a rate or a mean needs, now and in each earlier week; `least_weeks` how many such weeks.
    """

    figure: Literal["arrivals", "failure_rate", "mean_duration", "correction_rate"]
    threshold: Annotated[float, Meta(gt=0)] = 3.5
    direction: Literal["above", "below", "both"] = "both"
    stage: Text | None = None
    weeks: Annotated[int, Meta(ge=2, le=52)] = 6
    least_weeks: Annotated[int, Meta(ge=2, le=52)] = 4
    least: Count = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.least_weeks > self.weeks:
            raise ValueError("expected `least_weeks` to be at most `weeks`")
        if self.stage is not None and self.figure in {"arrivals", "correction_rate"}:
            raise ValueError(f"expected no `stage`: {self.figure} is of sessions")
        if self.window.seconds > 7 * _DAY.seconds:
            raise ValueError("expected a `window` of a week at most")


KINDS: dict[str, type[Rule]] = {
    str(one.__struct_config__.tag): one
    for one in (
        SlowStage, SuccessRate, CorrectionRate, QueueLength, QueueAge, StuckStage, NoData, CostPerHour, TokenSurge,
        SystemMetric, Deviation,
    )
}  # fmt: skip


def built_in_rules(settings: Settings) -> dict[str, Rule]:
    """The two rules of the contract, with the thresholds of the settings."""
    slow = SlowStage(
        name=SLOW_PROCESSING, window=_DAY, threshold=Duration(settings.slow_stage_ms / 1000),
        people_threshold=Duration(settings.slow_human_stage_ms / 1000), least=settings.slow_min_stages,
        description="A stage takes too long.",
    )  # fmt: skip
    corrected = CorrectionRate(
        name=HIGH_CORRECTION_RATE, window=_DAY, threshold=settings.correction_rate_percent,
        least=settings.correction_min_sessions, description="Moderators correct too many drafts.",
    )  # fmt: skip
    return {slow.name: slow, corrected.name: corrected}


def quantile_of(statistic: str) -> float | None:
    """The share of a percentile such as `p95`; None for anything else."""
    return float(statistic[1:]) / 100 if re.fullmatch(r"p[0-9.]+", statistic) else None
