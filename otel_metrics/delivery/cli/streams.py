"""Owns the two streams: consoles on them, JSON and CSV on standard output, and terminals that can not show every sign."""

import codecs
import csv
import io
import json
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NoReturn

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.text import Text
from rich.theme import Theme

from otel_metrics.delivery.cli.text import clean

STYLES = {
    "head": "bold",
    "quiet": "dim",
    "work": "cyan",
    "work.key": "not dim cyan",
    "call": "blue",
    "wait": "magenta",
    "wait.key": "not dim magenta",
    "good": "green",
    "warn": "yellow",
    "bad": "red",
    "mark": "bold yellow",
}
_PLAIN = dict(
    zip("…–·━╸┅╍◆▲✓✗★☆→│├└─╭╮╰╯▁▂▃▄▅▆▇█▾●○", "~-.##:=*!+x*->||`-++++_.:-=+*#vxo", strict=True)
)  # fmt: skip
_STEERING = re.compile("[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_PIECE = 65_536
_RISKY = ("=", "+", "-", "@", "\t", "\r")


class _Console(Console):
    """A console that leaves a broken pipe to the program, which ends quietly."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def output_console() -> Console:
    """The console for what was asked for."""
    return _Console(theme=Theme(STYLES), highlight=False, markup=False, emoji=False)


def show(*content: RenderableType) -> None:
    """Prints for people. What goes into a pipe or a file has no spaces at the ends of its lines."""
    console = output_console()
    if console.is_terminal:
        console.print(*content, sep="\n")
        return
    with console.capture() as captured:
        console.print(*content, sep="\n")
    _write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def note_console() -> Console:
    """The console for everything beside it."""
    return _Console(theme=Theme(STYLES), highlight=False, markup=False, emoji=False, stderr=True)


def note(message: object) -> None:
    """One line on standard error."""
    note_console().print(Text(f"note: {clean(message)}", "quiet"), soft_wrap=True)


def prepare_streams() -> None:
    """Lets streams of another encoding than UTF-8 take every text: with plain signs of the same width."""
    codecs.register_error("otel_metrics_plain", _plainer)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="otel_metrics_plain")


def _plainer(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign) or "?" * cell_len(sign) for sign in signs), error.end


def print_json(value: object) -> None:
    """One JSON document on standard output; times as ISO-8601 UTC text, numbers that JSON can not hold as null."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    text = json.dumps(json_value(value), indent=2, ensure_ascii=not unicode, allow_nan=False)
    _write(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def _write(text: str) -> None:
    """Writes in pieces: of one large write that a full disk or a closed pipe takes a part of, Python tells nothing."""
    for start in range(0, len(text), _PIECE):
        sys.stdout.write(text[start : start + _PIECE])


def json_value(value: Any) -> Any:
    """A value of Python or DuckDB as JSON can hold it. A time without a zone is UTC, as DuckDB's TIMESTAMP is."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        utc = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return f"{utc.isoformat(timespec='microseconds')}Z"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return {str(json_value(key)): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_value(item) for item in value]
    return str(value)


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows as CSV with a header. A text that a spreadsheet would take for a formula gets a leading apostrophe."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    on_screen = sys.stdout.isatty()
    for row in rows:
        writer.writerow([_csv_cell(value, on_screen=on_screen) for value in row])


def _csv_cell(value: object, *, on_screen: bool) -> object:
    plain = json_value(value)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, dict | list):
        plain = json.dumps(plain, ensure_ascii=False)
    if not isinstance(plain, str):
        return plain
    text = f"'{plain}" if plain.startswith(_RISKY) else plain
    return clean(text) if on_screen else text
