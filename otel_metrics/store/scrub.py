"""Owns how one person is found in values and taken out: by number, by the original of an id that is none, by keyed hash."""

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from otel_metrics.errors import SettingError
from otel_metrics.model.identity import IdHasher, as_integer_id
from otel_metrics.model.values import clean_text, text_of

MARK = "[forgotten]"
_KINDS = ("user", "chat", "moderator")
_SHORTEST = 5  # a shorter id inside a text may be any number or word
_UNMISTAKABLE = 9  # so many digits are no part of a hexadecimal id by chance
ID_FIELDS = frozenset({"user_id", "chat_id", "admin_user_id"})
_TIME = frozenset({"timestamp"})
_OURS = frozenset({"kind", "timestamp", "level", "process", "nth"})
_STRUCTURE = _OURS | {
    "metric_id", "correction_id", "record_id", "span_id", "parent_span_id", "trace_id", "span_kind", "host",
    "start_time", "end_time", "started_at", "ended_at",
}  # fmt: skip
ROW = "row"
"""The kind of a row of the tables."""
_TYPED = frozenset({"session", "begin", "stage", "correction", "system", "span", "other", "end", ROW})
_ABOUT_PROCESSES = frozenset({"process", "tally", "file", "forgotten"})
_CUT_NUMBER = re.compile(rf"-?[0-9]{{{_SHORTEST},}}\Z")
_UNREADABLE = (ValueError, UnicodeError, RecursionError)


class Scrubber:
    """The ids of one person. Numbers become 0, texts `[forgotten]`; what holds none of them comes back as it is."""

    def __init__(self, number: int, original: object | None, hasher: IdHasher) -> None:
        if not number:
            raise SettingError(
                "0 stands for no id", "the id of a user, moderator or private chat", "give another --user"
            )
        self.number = number
        own = [] if original is None else [text_of(original), clean_text(text_of(original), 256)]
        hashes = [hasher.hash(kind, number) for kind in _KINDS]
        self._equal = frozenset({str(number), *own, *hashes})
        self._short = frozenset(text for text in self._equal if len(text) < _SHORTEST)
        self._inside = re.compile("|".join(_patterns(number, own, hashes)))
        self._raw = re.compile("|".join([rf'_id":\s*"?{number}(?![0-9])', *_patterns(number, own, hashes)]))
        self.needles = tuple(sorted({form for text in self._equal for form in _forms(text)}))
        """As what the ids may stand in a text or in JSON, for a first look that finds too much and misses nothing."""
        self._needle_bytes = tuple(form.encode("utf-8", "surrogatepass") for form in self.needles)

    @classmethod
    def of(cls, user: object, hasher: IdHasher) -> "Scrubber":
        """The scrubber for an id as a bot gives it: an integer or any text."""
        return cls(*as_integer_id(user), hasher)

    def may_be_in(self, data: bytes) -> bool:
        """A first look at a line."""
        return any(needle in data for needle in self._needle_bytes)

    def is_id(self, value: object) -> bool:
        """Whether the value is the person's id, as a number or as a text."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value == self.number
        return isinstance(value, str) and value in self._equal

    def is_in(self, text: str) -> bool:
        """Whether an id stands in the text as a whole token."""
        return self.text(text) != text

    def is_in_raw(self, data: bytes) -> bool:
        """Whether a line that can not be decoded holds an id in any form."""
        text = data.decode("utf-8", "surrogateescape")
        cut = _CUT_NUMBER.search(text)
        if cut is not None and str(self.number).startswith(cut[0]):
            return True  # it may be the beginning of the id
        return self.may_be_in(data) and bool(self._raw.search(text))

    def text(self, text: str) -> str:
        """A text on its own: ids of fewer than five characters are not looked for."""
        return MARK if text in self._equal and text not in self._short else self._inside.sub(MARK, text)

    def value(self, value: Any) -> Any:
        """A JSON value, with all that is in it."""
        if isinstance(value, str):
            return MARK if value in self._equal else self._inside.sub(MARK, value)
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return 0 if self.is_id(value) else value

    def record(self, fields: Mapping[str, Any], kind: str) -> dict[str, Any]:
        """A line or a row: its ids, its texts and its JSON parts. Times, durations and ids of records stay.

        The fields of the logger's lines and of other programs' are the caller's own: any of them may hold an id.
        """
        if kind in _TYPED:
            return {name: value if name in _STRUCTURE else self._field(name, value) for name, value in fields.items()}
        if kind in _ABOUT_PROCESSES:
            return {name: self.value(value) if name == "resource" else value for name, value in fields.items()}
        kept = _OURS if kind == "log" else _TIME
        return {self.text(name): value if name in kept else self.value(value) for name, value in fields.items()}

    def _field(self, name: str, value: Any) -> Any:
        if name in ID_FIELDS:
            return 0 if self.is_id(value) else value
        if isinstance(value, str):
            return self._json_text(value) if value[:1] in {"{", "["} else self.text(value)
        return self.value(value) if isinstance(value, dict | list) else value

    def _json_text(self, text: str) -> str:
        """A JSON column of a row. What is unchanged stays as it was written."""
        if not any(needle in text for needle in self.needles):
            return text
        try:
            before = msgspec.json.decode(text)
            after = self.value(before)
        except _UNREADABLE:
            return self.text(text)
        return text if after == before else msgspec.json.encode(after).decode()


def is_structure(column: str) -> bool:
    """Whether a column says nothing about people: ids of records, times, who wrote."""
    return column in _STRUCTURE


def _patterns(number: int, originals: list[str], hashes: list[str]) -> list[str]:
    patterns = [re.escape(text) for text in hashes]
    patterns += [rf"(?<![^\W_]){re.escape(text)}(?![^\W_])" for text in originals if len(text) >= _SHORTEST]
    if len(str(number)) >= _SHORTEST:
        patterns.append(_number_pattern(number))
    return patterns


def _number_pattern(number: int) -> str:
    """The number as a whole: not within another one, be it longer, negative or with a fraction."""
    digits = str(abs(number))
    letters = "" if len(digits) >= _UNMISTAKABLE else "A-Za-z"
    # A minus behind a letter or a digit is a hyphen.
    sign = "-" if number < 0 else r"(?<!^-)(?<![^0-9A-Za-z]-)"
    return rf"(?<![0-9{letters}])(?<![0-9]\.){sign}{digits}(?:\.0+(?![0-9]))?(?![0-9{letters}])(?!\.[0-9])"


def _forms(text: str) -> set[str]:
    """A text as it stands in a text, and within JSON as we write it and as others do."""
    within = json.dumps(text)[1:-1]
    try:
        return {text, within, msgspec.json.encode(text).decode()[1:-1]}
    except UnicodeEncodeError:
        return {text, within}
