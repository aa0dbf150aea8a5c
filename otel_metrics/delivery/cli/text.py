"""Owns making text from anywhere safe and short enough for a terminal: what users wrote never steers the screen."""

import unicodedata
from collections.abc import Iterable

_KEPT = "\u200c"  # a joiner that Persian and others need; it has no width and no effect on its neighbours
_DROPPED = "\u200d"  # joined emoji differ in width from terminal to terminal; side by side they do not
_PICTURES = 0x2400


def clean(text: object) -> str:
    """The text on one line, with every character that could steer a terminal shown instead of sent."""
    given = str(text)
    if given.isprintable():
        return given
    return "".join(_shown(character) for character in given)


def _shown(character: str) -> str:
    if character.isprintable() or character == _KEPT:
        return character
    if character == _DROPPED:
        return ""
    code = ord(character)
    if character in "\n\r\t" or unicodedata.category(character) in {"Zs", "Zl", "Zp"}:
        return " "
    if code < 0x20:
        return chr(_PICTURES + code)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def short_ids(ids: Iterable[str], *, least: int, most: int) -> dict[str, str]:
    """Each id as it is shown: whole where it fits, else the shortest beginning that tells them all apart, then `…`.

    Such a beginning is what `otel-metrics session` accepts.
    """
    known = list(dict.fromkeys(ids))
    if all(len(one) <= most for one in known):
        return {one: clean(one) for one in known}
    length = least
    if len({one[: most - 1] for one in known}) < len(known):
        # Their beginnings are all alike: then the end tells more, though it can not be typed as a beginning.
        return {one: clean(one if len(one) <= most else f"{one[:7]}…{one[8 - most :]}") for one in known}
    while length < most - 1 and len({one[:length] for one in known}) < len(known):
        length += 1
    return {one: clean(one if len(one) <= length + 1 else f"{one[:length]}…") for one in known}


def short_path(path: object, most: int) -> str:
    """A path, cut at its front where it is too long: its end is what tells it apart."""
    text = clean(path)
    return text if len(text) <= most else f"…{text[-(most - 1) :]}"
