"""Owns the sentences of the question about capacity: what waits, whether the target is met, which hours need more people."""

from otel_metrics.analytics.questions.document import Document, Record
from otel_metrics.analytics.questions.saying import said_ms

_MOST_SHORT_HOURS = 3


def sentences_of(document: Document, hours: list[Record], least_reviews: int) -> list[str]:
    """What people can do with the figures, the most pressing first."""
    return [*_pressing(document, hours, least_reviews), _history(document)]


def _pressing(document: Document, hours: list[Record], least_reviews: int) -> list[str]:
    said = [_waiting(document)]
    if document["in_time_share"] is not None:
        said.append(_performance(document))
    if not document["drafts"] and document["peak_hour"] is None:
        return [*said, "No hour of the week has had a draft and is covered by the store for a whole hour yet."]
    if not document["enough"]:
        count = document["reviews"]
        return [
            *said,
            f"How many moderators are needed can not be said yet: {_number(count, 'review')} so far, {least_reviews} are needed for a handling time.",
        ]
    return [*said, *_needs(document, hours)]


def _history(document: Document) -> str:
    span_ms = (document["history_until"] - document["history_since"]).total_seconds() * 1000
    return f"The hours of the week and the handling time are of the last {said_ms(span_ms)}."


def _waiting(document: Document) -> str:
    count = document["waiting"]
    if count is None:
        return "Which drafts wait now is told by the local store alone."
    if not count:
        return "No draft waits now."
    verb = "waits" if count == 1 else "wait"
    return f"{_number(count, 'draft')} {verb} now, the oldest for {_time(document['waiting_max_ms'])}."


def _performance(document: Document) -> str:
    share, target = document["in_time_share"], document["target_share"]
    verdict = "as the target asks" if share >= target else f"the target is {target:.0%}"
    return f"{share:.0%} of the drafts were picked up within {_time(document['target_wait_ms'])}; {verdict}."


def _needs(document: Document, hours: list[Record]) -> list[str]:
    """The hours that lack the most moderators; where none does, the busiest hour."""
    known = [one for one in hours if one["needed"]]
    if not known:
        return ["No hour of the week is covered by the store for a whole hour yet."]
    short = [one for one in known if _lack(one) > 0]
    short.sort(key=lambda one: (-_lack(one), -one["drafts_per_hour"]))
    busiest = max(known, key=lambda one: one["drafts_per_hour"])
    said = [_need(one, document["handling_mean_ms"]) for one in short[:_MOST_SHORT_HOURS] or [busiest]]
    is_late = document["in_time_share"] is not None and document["in_time_share"] < document["target_share"]
    if not short and is_late and busiest["present"] is not None:
        said.append("In no hour are moderators too few by this reckoning: drafts wait although people are there.")
    return said


def _lack(one: Record) -> float:
    present = one["present"]
    return 0.0 if present is None else float(one["needed"] - present)


def _need(one: Record, handling_ms: float) -> str:
    weekday, span = one["hour"].split(" ")
    present = one["present"]
    need = _number(one["needed"], "moderator")
    seen = "" if present is None else f"; at present {present:.1f} are seen working then"
    late = "" if one["in_time_share"] is None else f", and {one['in_time_share']:.0%} are picked up in time"
    return (
        f"{weekday}s {span} need {need} for {one['drafts_per_hour']:.1f} drafts an hour of {_time(handling_ms)} each"
        f"{seen}{late}."
    )


def _time(ms: float) -> str:
    """A time in the unit that people would take."""
    for size, unit in ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute")):
        if ms >= 1.95 * size or (unit == "minute" and ms >= size):
            value = f"{ms / size:.1f}".removesuffix(".0")
            return f"{value} {unit}{'' if value == '1' else 's'}"
    return f"{ms / 1000:.0f} seconds"


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
