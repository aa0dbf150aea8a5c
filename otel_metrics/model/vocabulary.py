"""Owns the closed lists of words: stages, kinds of correction, outcomes, decisions."""

from enum import StrEnum


class ProcessingStage(StrEnum):
    """The known stages of a session, in their usual order. Any other short name is accepted as a stage too."""

    QUERY_RECEIVED = "query_received"
    AI_PROCESSING = "ai_processing"
    MODERATION_QUEUE = "moderation_queue"
    ADMIN_REVIEW = "admin_review"
    CORRECTION_PROCESSING = "correction_processing"
    CORRECTION_AI = "correction_ai"
    FINAL_RESPONSE = "final_response"
    USER_DELIVERY = "user_delivery"


class CorrectionType(StrEnum):
    """What a moderator did to a draft. A rejection is recorded as a correction, but does not count as one in rates."""

    TEXT_CORRECTION = "text_correction"
    VOICE_CORRECTION = "voice_correction"
    CONTENT_MODIFICATION = "content_modification"
    STYLE_IMPROVEMENT = "style_improvement"
    FACTUAL_CORRECTION = "factual_correction"
    REJECTION = "rejection"


class SessionOutcome(StrEnum):
    """How a session ended."""

    DELIVERED = "delivered"
    REJECTED = "rejected"
    ABANDONED = "abandoned"
    FAILED = "failed"


HUMAN_STAGES = frozenset({ProcessingStage.MODERATION_QUEUE, ProcessingStage.ADMIN_REVIEW})
"""Stages whose time is people's, so that slowness is measured in minutes."""
