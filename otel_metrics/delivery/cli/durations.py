"""Owns how durations are read that people type: 500ms, 90s, 10m, 1h30m, 2d."""

import re

import typer

_MS = {"ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3, "d": 86400e3}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def milliseconds(text: str | None, option: str) -> float | None:
    """A duration in milliseconds; None where none is given."""
    if text is None:
        return None
    plain = text.replace(" ", "").lower()
    parts = _PART.findall(plain)
    if not parts or "".join(number + unit for number, unit in parts) != plain:
        raise typer.BadParameter(
            f"{text!r} is no duration; expected one such as 500ms, 90s, 10m or 1h30m", param_hint=option
        )
    return sum(float(number) * _MS[unit] for number, unit in parts)
