"""Owns how figures read inside a sentence: durations, shares and counts in words that need no table."""

_SECOND, _MINUTE, _HOUR, _DAY = 1e3, 60e3, 3600e3, 86400e3


def said_ms(ms: float) -> str:
    """A duration: 41 ms, 3.2 s, 12 min, 1.5 h, 3.2 days."""
    if ms < 999.5:
        return f"{ms:.0f} ms"
    for unit, name in ((_SECOND, "s"), (_MINUTE, "min"), (_HOUR, "h")):
        if ms / unit < (48 if name == "h" else 59.95):
            return f"{_short(ms / unit)} {name}"
    return f"{_short(ms / _DAY)} days"


def said_percent(percent: float) -> str:
    """A percentage: 12 %, 0.4 %."""
    return f"{_short(percent)} %"


def said_count(count: int, one: str, many: str | None = None) -> str:
    """A number of things: 1 session, 1,200 sessions."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0") if number < 99.95 else f"{number:,.0f}"
