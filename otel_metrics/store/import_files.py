"""Owns what an imported file is: a journal of another host or lines of OTLP JSON, plain or gzipped, known again when it is renamed or grows."""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from otel_metrics.errors import SettingError

LONGEST_LINE = 64 << 20
"""A line of OTLP JSON is a whole batch of the collector; what is longer is passed over."""
_FIRST = 1 << 16
TAIL = 4096
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_CUT_OFF = (EOFError, gzip.BadGzipFile, zlib.error)
_OURS = b'{"kind":"'


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file and what it holds. `source` follows from its first line."""

    path: Path
    kind: Literal["journal", "otlp"]
    source: str


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A whole line without its end, and the offset behind it; `line` is None where it is too long."""

    line: bytes | None
    end: int


def recognised(path: Path) -> ImportFile | None:
    """What a file is, by its first line; None while that is not whole. Raises `SettingError` for what can not be imported."""
    if path.is_dir():
        raise SettingError(
            f"{path} is a folder", "files: journals, or lines of OTLP JSON", f"name them, such as {path}/*"
        )
    with path.open("rb") as file:
        if file.read(4) == _ZSTD:
            raise SettingError(f"{path} is packed by zstd", "a plain file or .gz", f"unpack it: zstd -d {path}")
    with opened(path) as file:
        first = _read(file, _FIRST)
    line, end, _ = first.partition(b"\n")
    if not end and len(first) < _FIRST:
        return None
    if line.startswith(_OURS):
        kind: Literal["journal", "otlp"] = "journal"
    elif line.lstrip().startswith(b'{"resource'):
        kind = "otlp"
    else:
        raise SettingError(
            f"{path} begins with {line[:40]!r}", "a journal (metrics.jsonl…) or lines of OTLP JSON",
            "give other files; the collector's file exporter writes OTLP JSON unless `format: proto` is set",
        )  # fmt: skip
    return ImportFile(path, kind, f"{kind}-{digest(line)}")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file, unpacked where it is gzipped."""
    with path.open("rb") as plain:
        if plain.read(2) == _GZIP:
            plain.seek(0)
            with gzip.open(plain) as unpacked:
                yield unpacked  # type: ignore[misc]
        else:
            plain.seek(0)
            yield plain


def lines_from(file: IO[bytes], offset: int) -> Iterator[FoundLine]:
    """The whole lines from an offset on; what is behind the last line end is still being written, or torn."""
    file.seek(offset)
    while line := _line(file):
        offset += len(line)
        if not line.endswith(b"\n"):
            if len(line) <= LONGEST_LINE:
                return
            while (more := _line(file)) and not more.endswith(b"\n"):
                offset += len(more)
            if not more:
                return
            offset += len(more)
            yield FoundLine(None, offset)
            continue
        yield FoundLine(line[:-1] if len(line) <= LONGEST_LINE else None, offset)


def torn_bytes(file: IO[bytes], offset: int) -> int:
    """How much stands behind the last line end that was read."""
    file.seek(offset)
    return len(_read(file, LONGEST_LINE))


def before(file: IO[bytes], offset: int) -> bytes:
    """What stands before an offset: another file that begins alike differs there, or is as good."""
    file.seek(max(0, offset - TAIL))
    return _read(file, min(TAIL, offset))


def digest(data: bytes) -> str:
    """A short digest."""
    return hashlib.sha256(data).hexdigest()[:32]


def _line(file: IO[bytes]) -> bytes:
    try:
        return file.readline(LONGEST_LINE + 1)
    except _CUT_OFF:  # a gzipped file that is still being written, or was cut off
        return b""


def _read(file: IO[bytes], count: int) -> bytes:
    try:
        return file.read(count)
    except _CUT_OFF:
        return b""
