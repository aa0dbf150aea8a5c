"""Owns the way of a draft past a moderator: from the bot through any queue to the review and on to delivery."""

from otel_metrics.moderation.delivery import Delivery
from otel_metrics.moderation.item import ModerationItem
from otel_metrics.moderation.review import Review

__all__ = ["Delivery", "ModerationItem", "Review"]
