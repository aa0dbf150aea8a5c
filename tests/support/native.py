"""Small answers in ClickHouse's Native format as its Go client reads them: chdb writes an older revision, without a block's head."""

import json

SPOKEN_SINCE = 54454
"""From this revision on each column says whether it has a serialization of its own."""
_HEAD = b"\x01\x00\x02\xff\xff\xff\xff\x00"
_SIZES = {"UInt8": 1, "UInt32": 4, "UInt64": 8}


def block_of(lines: str) -> bytes:
    """A block of the rows that stand in JSONCompactEachRowWithNamesAndTypes: numbers, and all else as text."""
    names, kinds, *rows = [json.loads(line) for line in lines.splitlines()]
    block = _HEAD + _leb128(len(names)) + _leb128(len(rows))
    for place, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        size = _SIZES.get(kind)
        block += _text(name) + _text(kind if size else "String") + b"\x00"
        for row in rows:
            block += int(row[place]).to_bytes(size, "little") if size else _text(str(row[place]))
    return block


def _leb128(number: int) -> bytes:
    encoded = b""
    while number > 127:
        encoded += bytes([number & 127 | 128])
        number >>= 7
    return encoded + bytes([number])


def _text(text: str) -> bytes:
    data = text.encode()
    return _leb128(len(data)) + data
