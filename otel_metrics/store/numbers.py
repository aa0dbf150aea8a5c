"""Owns sets of numbers that mostly follow one another, as few ranges: which lines of a writer have been read."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class Numbers:
    """A set of numbers from 1 on."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges = sorted(ranges)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._ranges, (number, 1 << 62)) - 1
        return at >= 0 and self._ranges[at][1] >= number

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._ranges)

    def add(self, number: int) -> None:
        """Puts a number in; ranges that meet become one."""
        ranges = self._ranges
        at = bisect_right(ranges, (number, 1 << 62)) - 1
        if at >= 0 and ranges[at][1] >= number:
            return
        first = last = number
        if at >= 0 and ranges[at][1] == number - 1:
            first = ranges[at][0]
            del ranges[at]
            at -= 1
        if at + 1 < len(ranges) and ranges[at + 1][0] == number + 1:
            last = ranges[at + 1][1]
            del ranges[at + 1]
        ranges.insert(at + 1, (first, last))
