"""Owns how texts are compared where perhaps none of them is kept: what stands between approval and delivery."""

from typing import Literal

from otel_metrics.errors import ItemError
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


def give_back_draft(kit: RecordingKit | None, facts: Facts, draft: str) -> None:
    """Puts the draft into an item that does not carry it; `ItemError` where it is known to be another one."""
    if (
        kit is not None
        and facts.draft_hash
        and facts.key == key_mark(kit)
        and kit.hasher.text(draft) != facts.draft_hash
    ):
        raise ItemError(
            f"a draft of {len(draft)} characters that is not the item's",
            f"the draft of {facts.draft_length} characters that the item was made with",
            "give ModerationItem.from_string() the text that create() was given, unchanged",
        )
    facts.draft = draft


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
    if facts.text is not None and delivered != facts.text:
        return "differs"
    return "not_known"  # a text without a hash under our key may have been put there by anybody
