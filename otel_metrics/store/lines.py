"""Owns what the journal puts at the end of every line: who wrote it, and its number among that writer's lines."""

from collections.abc import Iterable

_WRITER, _NUMBER = b',"process":"', b'","nth":'


def tail_of(writer: str) -> bytes:
    """What stands between a line's own fields and its number."""
    return _WRITER + writer.encode("ascii") + _NUMBER


def writer_of(line: bytes) -> str:
    """Who wrote the line; empty for lines of before this was so."""
    at = line.rfind(_WRITER)
    return line[at + len(_WRITER) :].partition(b'"')[0].decode("ascii", "replace") if at >= 0 else ""


def number_of(line: bytes) -> int:
    """The number that the writer gave the line; 0 for lines of before this was so, and for torn ones."""
    at = line.rfind(_NUMBER)
    digits = line[at + len(_NUMBER) : -1] if at >= 0 and line.endswith(b"}") else b""
    return int(digits) if digits.isdigit() and len(digits) < 19 else 0


def tally_of(lines: Iterable[bytes]) -> dict[str, tuple[int, int]]:
    """For every writer of lines that are not in the tables yet: how many there are, and the highest number."""
    tally: dict[str, tuple[int, int]] = {}
    for line in lines:
        number = number_of(line)
        if number:
            writer = writer_of(line)
            count, last = tally.get(writer, (0, 0))
            tally[writer] = count + 1, max(last, number)
    return tally
