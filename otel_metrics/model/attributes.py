"""Owns which attributes a record has as a span: a pure function of it, so that they need not be stored or made twice."""

from collections.abc import Mapping
from typing import Any

from otel_metrics.model import names
from otel_metrics.model.identity import IdHasher
from otel_metrics.model.records import ProcessingMetric, SessionEnd
from otel_metrics.model.values import is_plain, json_text

_OF_MODERATORS = ("admin_user_id", "moderator_id")
_NEVER_EXPORTED = frozenset({"user_id", "chat_id", "session_id", "message_id", "text", *_OF_MODERATORS})
"""Keys under which metadata holds raw ids and captured texts; they stay in the local store."""
_HASHED = ((names.MODERATOR, "moderator", _OF_MODERATORS), (names.MESSAGE, "message", ("message_id",)))
"""Attributes that tell the keyed hash of the first of such keys."""


def metadata_attributes(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Cleaned metadata as attributes; nested values as JSON text, raw ids and texts not at all."""
    prefix = names.METADATA_PREFIX
    return {
        prefix + key: value if is_plain(value) else json_text(value)
        for key, value in metadata.items()
        if value is not None and key not in _NEVER_EXPORTED
    }


def without_texts(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Attributes without the texts of model calls."""
    if not any(key.startswith("gen_ai.") for key in attributes):
        return attributes
    return {
        key: value
        for key, value in attributes.items()
        if not key.startswith(names.GEN_AI_TEXTS) or key in names.GEN_AI_NO_TEXTS
    }


def stage_attributes(record: ProcessingMetric, hasher: IdHasher) -> dict[str, Any]:
    """The attributes of a stage's span: hashes of the ids, never the ids; the type of an error, never its message."""
    attributes = _session_attributes(record, hasher)
    attributes[names.STAGE] = record.stage
    if isinstance(record.error_type, str):
        attributes[names.ERROR_TYPE] = record.error_type
    if "platform" in record.metadata:
        attributes[names.PLATFORM] = str(record.metadata["platform"])
    for name, kind, keys in _HASHED:
        found = next((one for key in keys if isinstance(one := record.metadata.get(key), int | str) and one), None)
        if found is not None:
            attributes[name] = hasher.hash(kind, found)
    attributes.update(metadata_attributes(record.metadata))
    return attributes


def root_attributes(record: SessionEnd, hasher: IdHasher) -> dict[str, Any]:
    """The attributes of a session's root span."""
    attributes = _session_attributes(record, hasher)
    attributes[names.OUTCOME] = record.outcome
    attributes.update(metadata_attributes(record.metadata))
    return attributes


def _session_attributes(record: ProcessingMetric | SessionEnd, hasher: IdHasher) -> dict[str, Any]:
    attributes: dict[str, Any] = {names.SESSION_ID: record.session_id}
    if record.user_id:
        attributes[names.USER_HASH] = hasher.hash("user", record.user_id)
    if record.chat_id:
        attributes[names.CHAT] = hasher.hash("chat", record.chat_id)
    return attributes
