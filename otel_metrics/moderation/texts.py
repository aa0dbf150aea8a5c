"""Owns how texts are compared where perhaps none of them is kept: what stands between approval and delivery."""

from typing import Literal

from otel_metrics.moderation.facts import Facts
from otel_metrics.recording.kit import RecordingKit

Approval = Literal["as_approved", "differs", "after_rejection", "not_known"]
"""How a delivery stands to the last verdict; the words are those of the question about oversight."""


def key_mark(kit: RecordingKit) -> str:
    """Tells one key of hashes from another: hashes of two keys can not be compared."""
    return kit.hasher.text("")


def keep_draft(kit: RecordingKit | None, facts: Facts, draft: str | None) -> None:
    """Notes the draft with its hash and length."""
    facts.draft = draft
    if draft is not None:
        facts.draft_length = len(draft)
        if kit is not None:
            facts.draft_hash, facts.key = kit.hasher.text(draft), key_mark(kit)


def keep_verdict(kit: RecordingKit | None, facts: Facts, text: str | None) -> None:
    """Notes the text that a verdict leaves; None is the draft as it was made."""
    if text is None and facts.draft is None:
        facts.text, facts.text_hash, facts.text_length = None, facts.draft_hash, facts.draft_length
        return
    chosen = facts.draft if text is None else text
    facts.text, facts.text_hash, facts.text_length = chosen, "", len(chosen or "")
    if kit is not None:
        if facts.key != key_mark(kit):
            facts.draft_hash, facts.key = "", key_mark(kit)
        facts.text_hash = kit.hasher.text(chosen or "")


def approval_of(kit: RecordingKit, facts: Facts, delivered: str) -> Approval:
    """How a text that goes out stands to the verdict that the item carries."""
    if facts.decision == "rejected":
        return "after_rejection"
    if facts.decision not in {"approved", "edited"}:
        return "not_known"
    if facts.text_hash and facts.key == key_mark(kit):
        return "as_approved" if kit.hasher.text(delivered) == facts.text_hash else "differs"
    if facts.text is not None:
        return "as_approved" if delivered == facts.text else "differs"
    return "not_known"
