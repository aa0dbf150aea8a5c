"""Owns durations as rules write and messages say them: `90s`, `5m`, `1h30m`, `2d`."""

import re
from dataclasses import dataclass
from typing import Self

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = r"(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|m|h|d|w)"
_MOST_S = 10 * 365.25 * 86_400
EXPECTED = "a duration such as 90s, 5m, 1h30m or 2d (units ms, s, m, h, d, w; ten years at most)"


class Duration:
    """A length of time, read from text with units."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @classmethod
    def parse(cls, text: object) -> Self:
        """The duration that a text says; `ValueError` for anything else. A bare 0 needs no unit."""
        if not isinstance(text, str) or not re.fullmatch(rf"\s*(?:0|(?:{_PART}\s*)+)\s*", text, re.ASCII):
            raise ValueError(f"expected {EXPECTED}")
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_PART, text, re.ASCII))
        if seconds > _MOST_S:
            raise ValueError(f"expected {EXPECTED}")
        return cls(seconds)

    @property
    def ms(self) -> float:
        """Milliseconds."""
        return self.seconds * 1000

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self.seconds == other.seconds

    def __hash__(self) -> int:
        return hash(self.seconds)

    def __str__(self) -> str:
        return said(self.seconds * 1000) if self.seconds else "0s"

    def __repr__(self) -> str:
        return f"Duration({self.seconds!r})"


@dataclass(frozen=True, slots=True)
class _Step:
    unit: str
    ms: float
    below: str
    below_ms: float


_STEPS = (
    _Step("d", 86_400_000, "h", 3_600_000),
    _Step("h", 3_600_000, "m", 60_000),
    _Step("m", 60_000, "s", 1000),
)


def said(ms: float) -> str:
    """Milliseconds as a message says them, the two largest units: `41ms`, `3.2s`, `12m4s`, `1h`, `3d4h`."""
    if ms < 0:
        return f"-{said(-ms)}"
    if ms < 999.5:
        return f"{ms:.0f}ms"
    if ms < 59_950:
        return f"{ms / 1000:.1f}".removesuffix(".0") + "s"
    for step in _STEPS:
        rounded = round(ms / step.below_ms) * step.below_ms
        if rounded >= step.ms:
            whole, rest = divmod(rounded, step.ms)
            tail = f"{rest / step.below_ms:.0f}{step.below}" if rest else ""
            return f"{whole:.0f}{step.unit}{tail}"
    return "1m"
