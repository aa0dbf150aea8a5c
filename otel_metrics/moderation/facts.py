"""Owns what an item carries, and its form as a string: JSON with a version, whose unknown fields are kept."""

import json
from typing import Any

import msgspec

from otel_metrics.errors import ItemError
from otel_metrics.model.records import Json
from otel_metrics.model.times import to_ns

VERSION = 1
_REMEDY = "give ModerationItem.from_string() what str(item) gave, whole and unchanged"


class Facts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Times are ISO-8601 UTC text, hashes keyed; `key` tells one key of hashes from another and nothing more."""

    session_id: str
    user_id: int | str | None = None
    chat_id: int | str | None = None
    message_id: int | str | None = None
    since: str
    metadata: Json = {}
    carries_texts: bool = True
    draft: str | None = None
    draft_hash: str = ""
    draft_length: int | None = None
    key: str = ""
    waited: bool = False
    taken: str = ""
    decision: str = ""
    moderator: int = 0
    text: str | None = None
    text_hash: str = ""
    text_length: int | None = None
    more: Json = {}

    @property
    def ids(self) -> tuple[str, int | str | None, int | str | None]:
        """What every recording call begins with."""
        return self.session_id, self.user_id, self.chat_id

    @property
    def taken_ns(self) -> int | None:
        """Since when a moderator has it before them, not before it was made; None where nobody has taken it."""
        return max(to_ns(self.taken), to_ns(self.since)) if self.taken else None


_KNOWN = frozenset(Facts.__struct_fields__) - {"more"}


def to_string(facts: Facts) -> str:
    """The facts as compact JSON, without texts where they are not to be carried."""
    fields: Json = {"v": VERSION, **msgspec.to_builtins(facts)}
    fields.pop("more", None)
    if not facts.carries_texts:
        fields.pop("draft", None)
        fields.pop("text", None)
    fields = {**facts.more, **fields}
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which a queue could not store
        text = json.dumps(fields, separators=(",", ":"))
    return text


def from_string(text: object) -> Facts:
    """The facts of a string; `ItemError` where it is not one. The error never holds what the string holds."""
    fields = _decode(text)
    version = fields.pop("v", None)
    if type(version) is not int or version < 1:
        raise ItemError("JSON without an item's version", '"v": 1', _REMEDY)
    if version > VERSION:
        raise ItemError(
            f"an item of version {version}", f"version {VERSION}",
            "update otel_metrics in the process that opens it: the one that made it is newer",
        )  # fmt: skip
    try:
        facts = msgspec.convert({key: value for key, value in fields.items() if key in _KNOWN}, Facts)
        to_ns(facts.since)
        to_ns(facts.taken or facts.since)
    except msgspec.ValidationError as error:
        raise ItemError(
            f"an item with a field that can not be used ({error})", "the fields of str(item)", _REMEDY
        ) from None
    except ValueError:
        raise ItemError("an item with a time that can not be read", "ISO-8601 text", _REMEDY) from None
    if not facts.session_id:
        raise ItemError("an item with an empty session_id", "the id that create_session() gave", _REMEDY)
    facts.more = {key: value for key, value in fields.items() if key not in _KNOWN}
    return facts


def _decode(text: object) -> dict[str, Any]:
    if isinstance(text, bytes | bytearray):
        try:
            text = bytes(text).decode()
        except UnicodeDecodeError:
            raise ItemError(f"{len(text)} bytes that are not UTF-8", "the text of str(item)", _REMEDY) from None
    if not isinstance(text, str):
        raise ItemError(f"{type(text).__name__} instead of an item's text", "the text of str(item)", _REMEDY)
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        why = error.args[0] if type(error) is not json.JSONDecodeError else f"{error.msg} at {error.pos}"
        raise ItemError(f"{len(text)} characters that are not JSON ({why})", "the text of str(item)", _REMEDY) from None
    if not isinstance(fields, dict):
        raise ItemError(f"JSON that is no object but {type(fields).__name__}", "the text of str(item)", _REMEDY)
    return fields
