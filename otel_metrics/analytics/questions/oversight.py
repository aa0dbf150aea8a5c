"""Owns the questions about oversight: who approved, corrected or rejected what and when, and deliveries that differ from what was approved."""

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.questions.document import Document, Record, row, rows
from otel_metrics.analytics.window import Window, aware
from otel_metrics.errors import QueryError
from otel_metrics.settings import Settings

MOST_ROWS = 100
"""How many decisions and unreviewed deliveries are listed where nobody asks for another number."""
_DECISIONS = ("approved", "edited", "rejected", "other")


def oversight(engine: Asking, window: Window, settings: Settings, *, limit: int | None = MOST_ROWS) -> Document:
    """Decisions of moderators and what became of them; texts appear as keyed hashes (HMAC-SHA256, 16 hex digits) alone.

    A decision is a correction (`edited`; a rejection: `rejected`), or an `admin_review` that succeeded in a session
    without a correction or whose metadata say `decision="approved"`. `by_moderator` counts them; `decisions` lists the
    newest `limit` (None: all) with the hashes of draft, approved and delivered text.

    A delivery is a `user_delivery` that succeeded. It stands in one of five ways to the last decision before it:
    `deliveries_as_approved`, `deliveries_differing` (other text than was approved), `deliveries_not_known` (a text was
    not told, see `ProcessingTimer.text`), `deliveries_after_rejection`, `deliveries_not_reviewed` (no decision at all).
    What differs or came after a rejection is listed whole, what was not reviewed up to `limit`.
    """
    del settings
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise QueryError(f"limit={limit!r}", "a number from 1 on, or None for all", "for example 100")
    by_moderator = rows(engine, "oversight_counts", **window.parameters())
    found = {row["state"]: row["deliveries"] for row in rows(engine, "oversight_states", **window.parameters())}
    figures = {
        "decisions_made": sum(row["decisions"] for row in by_moderator),
        **{name: sum(row[name] for row in by_moderator) for name in _DECISIONS},
        "decisions_without_moderator": sum(row["decisions"] for row in by_moderator if row["moderator_id"] is None),
        "deliveries": sum(found.values()),
        "deliveries_as_approved": found.get("as_approved", 0),
        "deliveries_differing": found.get("differs", 0),
        "deliveries_after_rejection": found.get("after_rejection", 0),
        "deliveries_not_reviewed": found.get("not_reviewed", 0),
        "deliveries_not_known": found.get("not_known", 0),
    }
    return {
        "sentences": _sentences(figures),
        **figures,
        "by_moderator": by_moderator,
        "differing": _deliveries(engine, window, "differs", figures["deliveries_differing"]),
        "after_rejection": _deliveries(engine, window, "after_rejection", figures["deliveries_after_rejection"]),
        "not_reviewed": _deliveries(engine, window, "not_reviewed", figures["deliveries_not_reviewed"], limit),
        "decisions": _decisions(engine, window, limit),
    }


def _decisions(engine: Asking, window: Window, limit: int | None) -> list[Record]:
    since = row(engine, "oversight_since", **window.parameters(), limit=limit)["since"]
    if since is None:
        return []
    return _aware(rows(engine, "oversight_decisions", since=since, until=window.until, limit=limit))


def _deliveries(engine: Asking, window: Window, state: str, count: int, limit: int | None = None) -> list[Record]:
    if not count:
        return []
    return _aware(rows(engine, "oversight_deliveries", **window.parameters(), state=state, limit=limit))


def _aware(found: list[Record]) -> list[Record]:
    return [{**row, "time": aware(row["time"])} for row in found]


def _sentences(figures: dict[str, int]) -> list[str]:
    made, delivered = figures["decisions_made"], figures["deliveries"]
    if not made and not delivered:
        return ["Nothing was decided and nothing was delivered in this time."]
    done = ", ".join(f"{figures[name]:,} {name}" for name in _DECISIONS if name != "other" or figures[name])
    said = [f"Moderators decided {'once' if made == 1 else f'{made:,} times'}: {done}."]
    if count := figures["deliveries_differing"]:
        said.append(
            f"{count:,} of {delivered:,} deliveries are not the text that was approved: look at each, "
            "`otel-metrics session ID` shows how it went."
        )
    if count := figures["deliveries_after_rejection"]:
        said.append(
            f"{count:,} of {delivered:,} deliveries went out after the draft was rejected: find out who let them."
        )
    if count := figures["deliveries_not_reviewed"]:
        said.append(f"{count:,} of {delivered:,} deliveries were seen by no moderator.")
    if count := figures["deliveries_not_known"]:
        said.append(
            f"{count:,} of {delivered:,} deliveries can not be compared with what was approved: call `stage.text(text)` "
            "in ai_processing, admin_review and user_delivery, and only a keyed hash of the text is kept."
        )
    if delivered and figures["deliveries_as_approved"] == delivered:
        said.append(f"All {delivered:,} deliveries are just what was approved.")
    if count := figures["decisions_without_moderator"]:
        said.append(f"{count:,} of {made:,} decisions do not say whose they are: give admin_user_id to admin_review.")
    return said
