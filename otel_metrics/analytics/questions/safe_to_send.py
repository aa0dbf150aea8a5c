"""Owns the questions about safe to send: which intents could skip review at a chosen risk."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.questions.document import Document, Record, rows
from otel_metrics.analytics.questions.effectiveness import BEGINNING_DRAFTS, in_order_of_use
from otel_metrics.analytics.questions.samples import checked_floor, checked_number, counted, drafts_since
from otel_metrics.analytics.statistics import wilson_low
from otel_metrics.analytics.window import Window
from otel_metrics.settings import Settings

RISK_PERCENT = 5.0
"""Percentage of drafts that may be wrong where nobody looks."""
CONFIDENCE = 0.95
"""How sure it must be that the risk is not exceeded: one-sided."""
LEAST_DRAFTS = 30
"""Decided drafts below which an intent gets no verdict."""
LATEST, ALL = "latest", "all"
COULD_SKIP, KEEP, TOO_FEW = "could skip review", "keep reviewing", "not enough drafts"
_MOST_NEEDED = 1_000_000


@dataclass(frozen=True, slots=True)
class _Demand:
    """What an intent must show."""

    risk: float
    confidence: float
    least: int


def safe_to_send(
    engine: Asking, window: Window, settings: Settings, risk_percent: float = RISK_PERCENT,
    confidence: float = CONFIDENCE, least: int = LEAST_DRAFTS, prompt: str = LATEST,
) -> Document:  # fmt: skip
    """Which intents could skip review, judged by what moderators decided on their drafts in a window.

    For each intent (the session's, else the `ai_processing` stage's, else the correction's): `drafts`, sessions with a
    draft that was decided: corrected or rejected, or approved and its session ended or was delivered; `went_unchanged`, those
    that were approved, delivered, neither corrected nor rejected; `unchanged_share`; `at_least_share`, its one-sided lower
    Wilson bound (1927) at `confidence`. `verdict`: "could skip review" where 1 - `at_least_share` is at most `risk_percent`,
    else "keep reviewing"; below `least` drafts "not enough drafts", and the figures are None. `unchanged_needed`: how many
    more drafts in a row would have to go out unchanged until the bound is met, where the share itself meets it already.
    `reviews` and `review_ms`: the reviews of these drafts and their time, which skipping would save.
    A draft that was approved and could not be delivered counts as not unchanged: that is on the safe side.
    `prompt`: "latest" looks at the drafts of the prompt version of each intent that came into use last, "all" at those of
    all versions, any other text at the version of that name. It tells about past drafts, it guarantees nothing.
    """
    demand = _Demand(
        checked_number("risk_percent", risk_percent, 0, 100) / 100, checked_number("confidence", confidence, 0.5, 1),
        checked_floor(least),
    )  # fmt: skip
    back = drafts_since(window, settings)
    counted_drafts = rows(engine, "safe_to_send", **window.parameters(), back=back)
    first_use = rows(engine, "first_use", until=window.until, back=back, beginning=BEGINNING_DRAFTS)
    age = {one["name"]: place for place, one in enumerate(in_order_of_use(first_use, "prompt_version"))}
    known = [one for one in counted_drafts if one["intent"] is not None]
    intents = sorted((_judged(one, demand) for one in _chosen(known, prompt, age)), key=_most_first)
    skipping = [one for one in intents if one["verdict"] == COULD_SKIP]
    found: Document = {
        "sentences": [],
        "risk_percent": 100 * demand.risk,
        "confidence_percent": 100 * demand.confidence,
        "prompt": prompt,
        "drafts": sum(one["drafts"] for one in counted_drafts),
        "drafts_without_intent": sum(one["drafts"] for one in counted_drafts if one["intent"] is None),
        "saved_reviews": sum(one["reviews"] for one in skipping),
        "saved_review_ms": sum(one["review_ms"] for one in skipping),
        "intents": intents,
    }
    found["sentences"] = list(_sentences(found, prompt))
    return found


def _chosen(found: Sequence[Record], prompt: str, age: Mapping[str, int]) -> Iterator[Record]:
    """One row for each intent: of the version that is asked for, or of all of them together."""
    by_intent: dict[str, list[Record]] = {}
    for one in found:
        by_intent.setdefault(one["intent"], []).append(one)
    for intent, versions in by_intent.items():
        if prompt == ALL:
            taken, version = versions, None
        else:
            newest = max(versions, key=lambda one: _newness(one["prompt_version"], age))["prompt_version"]
            version = newest if prompt == LATEST else prompt
            taken = [one for one in versions if one["prompt_version"] == version]
        if taken:
            sums = {
                name: sum(one[name] or 0 for one in taken) for name in ("drafts", "unchanged", "reviews", "review_ms")
            }
            yield {"intent": intent, "prompt_version": version, **sums}


def _newness(version: str | None, age: Mapping[str, int]) -> tuple[int, str]:
    """No version is older than any; one that no draft names is older than those that drafts name."""
    return (-2, "") if version is None else (age.get(version, -1), version)


def _judged(one: Record, demand: _Demand) -> Record:
    drafts, unchanged = one["drafts"], one["unchanged"]
    low = wilson_low(unchanged, drafts, demand.confidence) if drafts >= demand.least else None
    verdict = TOO_FEW if low is None else COULD_SKIP if 1 - low <= demand.risk else KEEP
    return {
        "intent": one["intent"],
        "prompt_version": one["prompt_version"],
        "drafts": drafts,
        "went_unchanged": unchanged,
        "unchanged_share": None if low is None else unchanged / drafts,
        "at_least_share": low,
        "verdict": verdict,
        "unchanged_needed": _needed(drafts, unchanged, demand) if verdict == KEEP else None,
        "reviews": one["reviews"],
        "review_ms": float(one["review_ms"]),
        "enough": low is not None,
    }


def _needed(drafts: int, unchanged: int, demand: _Demand) -> int | None:
    """How many more unchanged drafts would do; None where too many drafts were changed to say so."""
    if unchanged < (1 - demand.risk) * drafts:
        return None
    low, high = 0, _MOST_NEEDED
    while low < high:
        middle = (low + high) // 2
        bound = wilson_low(unchanged + middle, drafts + middle, demand.confidence)
        if bound is not None and 1 - bound <= demand.risk:
            high = middle
        else:
            low = middle + 1
    return low


def _most_first(one: Record) -> tuple[bool, int, str]:
    return one["verdict"] != COULD_SKIP, -one["drafts"], one["intent"]


def _sentences(found: Document, prompt: str) -> Iterator[str]:
    if not found["drafts"]:
        yield "No draft was decided in this window; look further back with --hours."
        return
    risk, sure = f"{found['risk_percent']:g} %", f"{found['confidence_percent']:g} %"
    skipping = [one for one in found["intents"] if one["verdict"] == COULD_SKIP]
    for one in skipping:
        yield (
            f"{one['intent']} could skip review: {one['went_unchanged']:,} of {counted(one['drafts'], 'draft')} went out unchanged, "
            f"{sure} sure at least {100 * one['at_least_share']:.1f} %. That would save {counted(one['reviews'], 'review')} "
            f"and {one['review_ms'] / 3_600_000:.1f} hours of review time in such a window."
        )
    if not skipping:
        yield f"No intent can skip review at a risk of {risk}: keep reviewing all of them."
    for one in found["intents"]:
        if one["unchanged_needed"]:
            yield (
                f"{one['intent']} is close: after {one['unchanged_needed']:,} more drafts in a row that go out unchanged "
                "it could skip review."
            )
    few = [one["intent"] for one in found["intents"] if not one["enough"]]
    if few:
        yield f"Not enough drafts for a verdict: {', '.join(few)}; look further back with --hours."
    if found["drafts_without_intent"]:
        yield (
            f"{counted(found['drafts_without_intent'], 'draft')} have no intent and get no verdict: "
            "give create_session(intent=…)."
        )
    yield _what_it_means(prompt)


def _what_it_means(prompt: str) -> str:
    of = {LATEST: "of the latest prompt version of each intent", ALL: "of all prompt versions"}
    return (
        f"This tells about past drafts {of.get(prompt, f'of prompt version {prompt}')} and guarantees nothing: texts change "
        "with the prompt, and an approval that nobody read proves nothing (see otel-metrics moderators)."
    )
