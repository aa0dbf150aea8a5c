"""Owns bars: a share of a whole, and a stretch of a time axis; kinds differ in their signs as well as in colour."""

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

WORK, WAIT, RUNNING, CALL = "━", "┅", "╍", "─"
_HALF = "╸"


def sign_of(kind: str) -> tuple[str, str]:
    """The sign and the style of a kind of time: work, wait, running, call or failed."""
    return {
        "wait": (WAIT, "wait"),
        "running": (RUNNING, "work"),
        "failed": (WORK, "bad"),
        "call": (CALL, "call"),
    }.get(kind, (WORK, "work"))


@dataclass(frozen=True, slots=True)
class Share:
    """A bar from the left whose length is a share from 0 to 1 of the room that there is."""

    share: float
    kind: str = "work"
    most: int = 60

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        sign, style = sign_of(self.kind)
        halves = round(max(0.0, min(1.0, self.share)) * min(self.most, options.max_width) * 2)
        text = sign * (halves // 2)
        if sign == WORK and (halves % 2 or (not text and self.share > 0)):
            text += _HALF
        elif not text and self.share > 0:
            text = sign
        yield Text(text, style, no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(4, min(self.most, options.max_width))


@dataclass(frozen=True, slots=True)
class Stretch:
    """A bar from `begin` to `end` (0 to 1) of an axis that is as wide as the room; never shorter than one sign."""

    begin: float
    end: float
    kind: str = "work"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        sign, style = sign_of(self.kind)
        width = options.max_width
        first = place(self.begin, width)
        last = max(first + 1, min(width, int(self.end * width)))
        yield Text(" " * first, no_wrap=True).append(sign * (last - first), style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(10, options.max_width)


@dataclass(frozen=True, slots=True)
class Points:
    """Marks at places (0 to 1) of an axis."""

    places: tuple[float, ...]
    sign: str
    style: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        cells = [" "] * options.max_width
        for one in self.places:
            cells[place(one, options.max_width)] = self.sign
        yield Text("".join(cells).rstrip(), self.style, no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(10, options.max_width)


@dataclass(frozen=True, slots=True)
class Reason:
    """A text in the room of a bar: it does not ask for room, it takes what is there."""

    text: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.text, "bad", no_wrap=True, overflow="ellipsis")


def place(fraction: float, width: int) -> int:
    """The cell of an axis in which a fraction of it lies."""
    return max(0, min(width - 1, int(fraction * width)))
