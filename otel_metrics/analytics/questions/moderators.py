"""Owns the questions about moderators: what each moderator does, how long it takes and how far it can be relied on."""

from collections.abc import Iterator, Sequence
from typing import Any

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.questions.document import Document, Record, rows
from otel_metrics.analytics.questions.samples import checked_floor, checked_number, counted, drafts_since, pair
from otel_metrics.analytics.statistics import cohens_kappa, wilson, wilson_low
from otel_metrics.analytics.window import Window
from otel_metrics.settings import Settings

LEAST_REVIEWS = 20
"""Reviews, approvals or items below which no figure is made of them."""
WORDS_PER_MINUTE = 238.0
"""Silent reading of English non-fiction by adults: Brysbaert, M. (2019), How many words do we read per minute?, Journal of
Memory and Language 109, 104047."""
CHARACTERS_PER_WORD = 6.1
"""Of English: 5.1 letters and the space behind them."""
FLAG_PERCENT = 50.0
"""Percentage of approvals faster than reading above which a moderator's approvals are flagged."""
_SCALE = (
    (0.0, "none"),
    (0.2, "slight"),
    (0.4, "fair"),
    (0.6, "moderate"),
    (0.8, "substantial"),
    (1.0, "almost perfect"),
)
"""How kappa is called up to a value: Landis, J. R. and Koch, G. G. (1977), Biometrics 33, 159-174."""


def moderators(
    engine: Asking, window: Window, settings: Settings, least: int = LEAST_REVIEWS,
    words_per_minute: float = WORDS_PER_MINUTE, flag_percent: float = FLAG_PERCENT,
) -> Document:  # fmt: skip
    """What each moderator did in a window; figures of fewer than `least` samples are None, with `enough` false.

    A review is an `admin_review` stage of the moderator (metadata `admin_user_id` or `moderator_id`), or, in a session
    without such a stage, their corrections together. It is an approval, a correction or a rejection by the metadata
    `decision`, else by what they recorded in the session; a stage that succeeded in a session that nobody corrected is an
    approval, any other `undecided`. Reviews that name nobody are `reviews_without_moderator`.
    `moderators`: counts; `active_ms`, the sum of review durations (of corrections without a stage their processing time);
    `active_hours`, hours of the clock with a review; p50 and p90 of the durations; `correction_share` of what they decided
    with 95 % Wilson bounds; `satisfaction`, the mean they gave (1 to 5); `word_edit_rate`, the mean of their corrections.
    `rubber_stamps`: approvals in less time than the draft takes to read, `words_per_minute` words of 6.1 characters.
    The draft's length is that of the last `ai_processing` stage, else of the correction's original, else of the
    `final_response`; where none is known the approval is `not_judged`. `too_fast_low_share` is the one-sided 95 % Wilson
    bound; `flagged` where it is above `flag_percent`.
    `agreement`: for two moderators who decided the same items (one session, or one message id in one chat) the share of
    equal decisions and Cohen's kappa (1960).
    """
    least = checked_floor(least)
    speed = checked_number("words_per_minute", words_per_minute, 0, 100_000)
    flag = checked_number("flag_percent", flag_percent, 0, 100)
    inside = {**window.parameters(), "back": drafts_since(window, settings)}
    ms_per_character = 60_000 / (speed * CHARACTERS_PER_WORD)
    everybody = rows(engine, "moderators", **inside, ms_per_character=ms_per_character)
    known = [one for one in everybody if one["moderator_id"] is not None]
    found: Document = {
        "sentences": [],
        "reviews": sum(one["reviews"] for one in known),
        "reviews_without_moderator": sum(one["reviews"] for one in everybody if one["moderator_id"] is None),
        "active_ms": sum(one["active_ms"] or 0.0 for one in known),
        "moderators": [_figures(one, least) for one in known],
        "rubber_stamps": [_stamps(one, least, flag) for one in known if one["approvals"]],
        "agreement": list(_agreement(rows(engine, "moderator_agreement", **inside), least)),
    }
    found["sentences"] = list(_sentences(found, least))
    return found


def _figures(one: Record, least: int) -> Record:
    decided = one["approvals"] + one["corrections"] + one["rejections"]
    bounds = wilson(one["corrections"], decided) if decided >= least else None
    p50, p90 = pair(one["review_ms"]) if one["timed"] >= least else (None, None)
    return {
        "moderator_id": one["moderator_id"],
        "reviews": one["reviews"],
        "approvals": one["approvals"],
        "corrections": one["corrections"],
        "rejections": one["rejections"],
        "undecided": one["undecided"],
        "active_ms": one["active_ms"] or 0.0,
        "active_hours": one["active_hours"],
        "review_p50_ms": p50,
        "review_p90_ms": p90,
        "correction_share": one["corrections"] / decided if bounds else None,
        "correction_low_share": bounds.low if bounds else None,
        "correction_high_share": bounds.high if bounds else None,
        "satisfaction": one["satisfaction"] if one["rated"] >= least else None,
        "word_edit_rate": one["word_edit_rate"] if one["edits"] >= least else None,
        "enough": one["reviews"] >= least,
    }


def _stamps(one: Record, least: int, flag: float) -> Record:
    judged, too_fast = one["judged"], one["too_fast"]
    enough = judged >= least
    low = wilson_low(too_fast, judged) if enough else None
    return {
        "moderator_id": one["moderator_id"],
        "approvals": one["approvals"],
        "judged": judged,
        "not_judged": one["approvals"] - judged,
        "faster_than_reading": too_fast,
        "too_fast_share": too_fast / judged if enough else None,
        "too_fast_low_share": low,
        "flagged": None if low is None else 100 * low > flag,
        "enough": enough,
    }


def _agreement(found: Sequence[Record], least: int) -> Iterator[Record]:
    pairs: dict[tuple[int, int], dict[tuple[str, str], int]] = {}
    for one in found:
        decisions = pairs.setdefault((one["one_id"], one["other_id"]), {})
        decisions[one["one_decision"], one["other_decision"]] = one["items"]
    for (one_id, other_id), decisions in pairs.items():
        together = cohens_kappa(decisions)
        items = sum(decisions.values())
        enough = together is not None and items >= least
        yield {
            "one_id": one_id, "other_id": other_id, "items": items,
            "agreed_share": together.observed if together and enough else None,
            "kappa": together.kappa if together and enough else None, "enough": enough,
        }  # fmt: skip


def _sentences(found: Document, least: int) -> Iterator[str]:
    if not found["reviews"]:
        yield "No review in this window names its moderator: give timer() the moderator as admin_user_id=…"
        return
    people = len(found["moderators"])
    yield (
        f"{counted(people, 'moderator')} made {counted(found['reviews'], 'review')} "
        f"in {found['active_ms'] / 3_600_000:.1f} hours of review time."
    )
    if found["reviews_without_moderator"]:
        yield f"{counted(found['reviews_without_moderator'], 'more review')} named no moderator: give timer() admin_user_id=…"
    few = [str(one["moderator_id"]) for one in found["moderators"] if not one["enough"]]
    if few:
        yield f"Fewer than {least} reviews, so no figures: {', '.join(few)}."
    yield from _about_stamps(found["rubber_stamps"])
    yield from _about_agreement(found["agreement"])


def _about_stamps(stamps: Sequence[Record]) -> Iterator[str]:
    for one in stamps:
        if one["flagged"]:
            yield (
                f"Moderator {one['moderator_id']} approved {100 * one['too_fast_share']:.0f} % of {one['judged']:,} drafts faster "
                f"than they can be read (at least {100 * one['too_fast_low_share']:.0f} %, 95 % sure): read some of them again "
                "before you rely on these approvals."
            )
    if stamps and not any(one["judged"] for one in stamps):
        yield (
            "Whether approvals were read can not be judged: the drafts' lengths are not known; give the ai_processing timer "
            "output_length=…"
        )


def _about_agreement(pairs: Sequence[Record]) -> Iterator[str]:
    if not pairs:
        yield "No item was decided by two moderators: have a few reviewed twice to learn whether they agree."
    for one in pairs:
        if one["kappa"] is None:
            continue
        advice = "" if one["kappa"] > 0.6 else ": agree on what a good answer is, with examples"
        yield (
            f"Moderators {one['one_id']} and {one['other_id']} decided alike on {100 * one['agreed_share']:.0f} % of "
            f"{one['items']:,} items; beyond chance their agreement is {_called(one['kappa'])} (kappa {one['kappa']:.2f}){advice}."
        )


def _called(kappa: Any) -> str:
    return next(name for most, name in _SCALE if kappa <= most + 1e-9)
