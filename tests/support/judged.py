"""The reviews of a window by their definition, computed from raw facts in plain Python."""

from dataclasses import dataclass

from support.moderated import BACK_HOURS, Facts, Made, Step, greatest, inside

KNOWN = ("approved", "edited", "rejected")


@dataclass(frozen=True)
class Review:
    session: int
    moderator: int | None
    decision: str | None
    at_us: int
    ms: float | None
    message: str | None
    corrected: bool


def reviews_of(found: Facts, hours: float) -> list[Review]:
    """Stages of review, and what moderators corrected in sessions without a stage of theirs."""
    made = [one for one in found if isinstance(one, Made) and inside(one.at_us, hours + BACK_HOURS)]
    touched = {one.session for one in made}
    by_moderator: dict[tuple[int, int | None], list[Made]] = {}
    for one in made:
        by_moderator.setdefault((one.session, one.admin or None), []).append(one)
    reviews = []
    staged = set()
    for one in found:
        if not isinstance(one, Step) or one.stage != "admin_review" or not inside(one.end_us, hours):
            continue
        key = one.session, one.said.get("moderator_id") or None
        staged.add(key)
        did = by_moderator.get(key, [])
        decision = one.said.get("decision")
        if decision not in KNOWN:
            decision = _done(did) if did else "approved" if one.success and one.session not in touched else None
        message = one.said.get("message_id") or _message(did)
        reviews.append(Review(*key, decision, one.end_us, one.duration_us / 1000, message, one.session in touched))
    for key, did in by_moderator.items():
        at_us = max(one.at_us for one in did)
        if key not in staged and inside(at_us, hours):
            work = [one.work_ms for one in did if one.work_ms is not None]
            reviews.append(Review(*key, _done(did), at_us, float(sum(work)) if work else None, _message(did), True))
    return reviews


def _done(did: list[Made]) -> str:
    return "rejected" if any(one.kind == "rejection" for one in did) else "edited"


def _message(did: list[Made]) -> str | None:
    return min((one.message for one in did if one.message), default=None)


def draft_length(session: int, found: Facts, hours: float, by_draft: int | None) -> int | None:
    """How long a session's draft was: as its stage says, else its correction, else the answer that went out."""
    originals = [
        one.original for one in found if isinstance(one, Made) and one.session == session and inside(one.at_us, hours + BACK_HOURS)
    ]  # fmt: skip
    finals = [
        one.said.get("length") for one in found
        if isinstance(one, Step) and one.session == session and one.stage == "final_response" and inside(one.end_us, hours)
    ]  # fmt: skip
    return next((one for one in (by_draft, greatest(originals), greatest(finals)) if one is not None), None)
