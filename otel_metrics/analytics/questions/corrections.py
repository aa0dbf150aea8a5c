"""Owns the questions about corrections: what moderators correct: how much, of what kind, for which model and prompt, and whether it falls."""

from collections.abc import Iterator, Sequence
from typing import Any

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.questions.document import Document, Record, row, rows
from otel_metrics.analytics.questions.effectiveness import (
    BEGINNING_DRAFTS,
    by_day,
    changes,
    changes_in_words,
    slope,
    slope_in_words,
)
from otel_metrics.analytics.questions.samples import checked_floor, counted, drafts_since, pair, rate_of, said
from otel_metrics.analytics.window import Window
from otel_metrics.settings import Settings

LEAST_SAMPLES = 10
"""Sessions or corrections below which a rate, a mean or a percentile is not given."""
LIGHT_BELOW = 0.1
"""Word edit rate below which an edit is light."""
MEDIUM_BELOW = 0.5
"""Word edit rate below which an edit is medium; from it on an edit is heavy."""
_MEASURES = ("word_edit_rate", "character_edit_rate", "original_length", "corrected_length")


def corrections(engine: Asking, window: Window, settings: Settings, least: int = LEAST_SAMPLES) -> Document:
    """What was corrected in a window; figures of fewer than `least` samples are None, with `enough` false.

    `by_model`, `by_prompt_version`, `by_intent`: `sessions` (with a stage or a correction in the window),
    `corrected_sessions` (with a correction that is no rejection), `rate_percent` with 95 % Wilson bounds. Model and prompt
    version are those of the session's last `ai_processing` stage, else of its correction, else (the prompt version) of the
    session; the intent is the session's, else the stage's, else the correction's; None where nobody tells.
    `effectiveness`: see `effectiveness.changes`. `days`, in `settings.timezone`, `trend_per_day_percent` and `trend`: see
    `effectiveness.by_day` and `slope`.
    `edit_size`: p50, p90 and mean of `word_edit_rate`, `character_edit_rate` (1 - similarity: Levenshtein distance of
    characters over the longer length), `original_length` and `corrected_length` (characters), over all corrections that
    are no rejection ("all") and by type. `edit_buckets`: unchanged (word edit rate 0), light (< 0.1), medium (< 0.5),
    heavy, unknown. `rejection_reasons`: by the metadata `rejection_reason` or `reason`.
    `voice_and_text`: spoken (type `voice_correction`, or with a transcription time) and typed corrections: time of the
    moderator's work and of the transcription (milliseconds), mean word edit rate, mean satisfaction (1 to 5).
    `transcription`: by the metadata `transcription_quality`.
    """
    least = checked_floor(least)
    inside = window.parameters()
    back = drafts_since(window, settings)
    groups = rows(engine, "corrections_by_group", **inside, back=back, zone=settings.timezone)
    first_use = rows(engine, "first_use", until=window.until, back=back, beginning=BEGINNING_DRAFTS)
    counts = {(one["dimension"], one["name"]): (one["corrected"], one["sessions"]) for one in groups}
    found: Document = {"sentences": []}
    days = by_day([one for one in groups if one["dimension"] == "day"], least)
    found.update(slope(days, least))
    for dimension in ("model", "prompt_version", "intent"):
        found[f"by_{dimension}"] = _group(groups, dimension, least)
    found["effectiveness"] = changes(first_use, counts, window.since, least)
    found["days"] = days
    found["edit_size"] = list(_sizes(rows(engine, "corrections_edit_size", **inside), least))
    found["edit_buckets"] = _buckets(
        row(engine, "corrections_buckets", **inside, light=LIGHT_BELOW, medium=MEDIUM_BELOW)
    )
    found["rejection_reasons"] = _with_share(rows(engine, "corrections_rejections", **inside))
    found["voice_and_text"] = [_spoken(one, least) for one in rows(engine, "corrections_voice_and_text", **inside)]
    found["transcription"] = [_transcribed(one, least) for one in rows(engine, "corrections_transcription", **inside)]
    total = row(engine, "correction_rate", **inside)
    found["sentences"] = list(_sentences(found, total["corrected"], total["sessions"]))
    return found


def _group(groups: Sequence[Record], dimension: str, least: int) -> list[Record]:
    return [
        {
            dimension: one["name"],
            "sessions": one["sessions"],
            "corrected_sessions": one["corrected"],
            **rate_of(one["corrected"], one["sessions"], least),
        }
        for one in groups
        if one["dimension"] == dimension
    ]


def _sizes(found: Sequence[Record], least: int) -> Iterator[Record]:
    for one in found:
        for measure in _MEASURES if one["corrections"] else ():
            count = one[f"{measure}_count"]
            enough = count >= least
            p50, p90 = pair(one[f"{measure}_quantiles"]) if enough else (None, None)
            yield {
                "correction_type": one["correction_type"] or "all", "measure": measure, "count": count, "p50": p50, "p90": p90,
                "mean": one[f"{measure}_mean"] if enough else None, "enough": enough,
            }  # fmt: skip


def _buckets(found: Record) -> list[Record]:
    return _with_share([{"bucket": name, "count": count} for name, count in found.items()])


def _with_share(found: list[Record]) -> list[Record]:
    total = sum(one["count"] for one in found)
    return [{**one, "part_percent": 100.0 * one["count"] / total if total else None} for one in found]


def _spoken(one: Record, least: int) -> Record:
    enough = one["count"] >= least
    times = pair(one["processing_ms"]) if enough else (None, None)
    transcription = pair(one["transcription_ms"]) if enough else (None, None)
    return {
        "means": one["means"], "count": one["count"], "processing_p50_ms": times[0], "processing_p90_ms": times[1],
        "transcription_p50_ms": transcription[0], "transcription_p90_ms": transcription[1],
        "word_edit_rate": one["word_edit_rate"] if enough else None,
        "satisfaction": one["satisfaction"] if one["rated"] >= least else None, "enough": enough,
    }  # fmt: skip


def _transcribed(one: Record, least: int) -> Record:
    enough = one["count"] >= least
    p50, p90 = pair(one["transcription_ms"]) if enough else (None, None)
    return {
        "quality": one["quality"], "count": one["count"], "transcription_p50_ms": p50, "transcription_p90_ms": p90,
        "word_edit_rate": one["word_edit_rate"] if enough else None, "enough": enough,
    }  # fmt: skip


def _sentences(found: Document, corrected: int, sessions: int) -> Iterator[str]:
    if not sessions:
        yield "No sessions in this window: nothing was corrected."
        return
    rate = 100 * corrected / sessions
    yield f"{corrected:,} of {counted(sessions, 'session')} needed a correction: {said(rate)}."
    for dimension, words in (("intent", "intent"), ("model", "model")):
        worst = _worst(found[f"by_{dimension}"], rate)
        if worst:
            yield (
                f"Begin with the {words} {worst[dimension]}: {said(worst['rate_percent'])} of its "
                f"{counted(worst['sessions'], 'session')} were corrected, clearly more than of all."
            )
    yield from changes_in_words(found["effectiveness"])
    yield slope_in_words({name: found[name] for name in ("trend", "trend_per_day_percent")}, len(found["days"]))
    yield from _about_size(found)


def _worst(found: Sequence[Record], rate: float) -> dict[str, Any] | None:
    """The group with the highest rate among those whose lower bound is above the rate of all."""
    above = [
        one for one in found if one["enough"] and one["low_percent"] > rate and next(iter(one.values())) is not None
    ]
    return max(above, key=lambda one: one["rate_percent"], default=None)


def _about_size(found: Document) -> Iterator[str]:
    overall = next((one for one in found["edit_size"] if one["enough"]), None)
    if overall is not None and overall["correction_type"] == "all":
        yield (
            f"Half of the corrections change at most {overall['p50']:.2f} words for each word of the answer, "
            f"nine of ten at most {overall['p90']:.2f}."
        )
    unchanged = found["edit_buckets"][0]["count"]
    if unchanged:
        yield f"{counted(unchanged, 'correction')} left the text as it was: approve such drafts instead, it is quicker."
