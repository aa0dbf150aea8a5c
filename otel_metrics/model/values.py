"""Owns what a value from outside may look like in a record: anything comes in, plain JSON of bounded size goes out."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

UNREADABLE = "<unreadable>"
_MOST_ITEMS = 256
_MOST_DEPTH = 6
_INT64 = 1 << 63
# What Telegram calls a bot's token: its id, a colon and at least 30 signs; HTTP instrumentations put it into URLs.
_TOKEN = re.compile(r"(?<![0-9])[0-9]{6,}(?::|%3[Aa])[0-9A-Za-z_-]{30,}")
_MASK = "<bot token>"
_LONGEST_TOKEN = 256


def clean_text(text: str, limit: int) -> str:
    """The text without what a JSON store can not hold: lone surrogates escaped, NUL shown, cut at `limit` characters.

    A cut text ends with a mark that tells its original length. A bot's token never stays in.
    """
    length = len(text)
    if ":" in text or "%3" in text:
        text = _TOKEN.sub(_MASK, text[: limit + _LONGEST_TOKEN])
    if length > limit:
        text = f"{text[:limit]}… [cut, {length} characters]"
    if "\0" in text:
        text = text.replace("\0", "\u2400")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "backslashreplace").decode()
    return text


def text_of(value: object, form: Callable[[object], str] = str) -> str:
    """The value as text by `str` (or `repr`); a placeholder where its own method fails."""
    try:
        return form(value)
    except Exception:  # a value's own __str__ may do anything; the record must survive it
        return UNREADABLE


def clean_value(value: object, limit: int, depth: int = 0, missed: Callable[[], object] | None = None) -> Any:
    """A JSON value for anything: numbers that JSON or 64 bits can not hold become text, what can not be read a placeholder.

    `missed` is called for every placeholder.
    """
    try:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return clean_text(str(value), limit)
        if isinstance(value, int):
            return int(value) if -_INT64 <= value < _INT64 else str(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(float(value))
        if depth >= _MOST_DEPTH:
            return clean_text(repr(value), limit)
        if isinstance(value, Mapping):
            pairs = list(value.items())[:_MOST_ITEMS]
            return {clean_text(text_of(key), 256): clean_value(item, limit, depth + 1, missed) for key, item in pairs}
        if isinstance(value, list | tuple | set | frozenset):
            return [clean_value(item, limit, depth + 1, missed) for item in list(value)[:_MOST_ITEMS]]
        if isinstance(value, bytes | bytearray):
            return f"<{len(value)} bytes>"
        return clean_text(str(value), limit)
    except Exception:  # a value's own __str__, __len__ or items() may do anything; the record must survive it
        if missed is not None:
            missed()
        return UNREADABLE


def clean_mapping(
    values: Mapping[str, object], limit: int, missed: Callable[[], object] | None = None
) -> dict[str, Any]:
    """A mapping with text keys and JSON values, ready for a record. Plain short values, the usual case, pass quickly."""
    cleaned: dict[str, Any] = {}
    for key, value in values.items():
        name = key if type(key) is str and key.isprintable() else clean_text(text_of(key), 256)
        kind = type(value)
        if kind is str:
            plain = len(value) <= limit and ":" not in value and value.isprintable()  # type: ignore[arg-type, operator, attr-defined]
        else:
            plain = value is None or kind is bool or (kind is int and -_INT64 <= value < _INT64)  # type: ignore[operator]
        cleaned[name] = value if plain else clean_value(value, limit, 0, missed)
    return cleaned


_PLAIN = frozenset({str, bool, int, float})


def is_plain(value: object) -> bool:
    """Whether a cleaned value can stand as a span attribute as it is (nested ones go out as JSON text)."""
    return type(value) in _PLAIN or isinstance(value, str | bool | int | float)


def json_text(value: object) -> str:
    """A cleaned nested value as JSON text."""
    return msgspec.json.encode(value).decode()
