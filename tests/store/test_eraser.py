"""What becomes of single lines when a person is forgotten: of ours, of torn ones, of other programs' ones."""

import pytest

from otel_metrics.model.identity import IdHasher
from otel_metrics.store.eraser import Eraser
from otel_metrics.store.scrub import Scrubber

ANNA, BERT = 7345128961, 6912345678
MOMENT = "2026-01-01T00:00:00.000000Z"
TAIL = b',"process":"1-a","nth":7}'
WHOLE = b'{"kind":"log","timestamp":"t","level":"info","event_type":"e","message":"m","session_id":"%s"' + TAIL
MARK = (
    b'{"kind":"forgotten","timestamp":"2026-01-01T00:00:00.000000Z","level":"debug","event_type":"record_forgotten",'
    b'"message":"Record forgotten"' + TAIL
)
BERTS, ANNAS = WHOLE % b"berts", WHOLE % b"annas"
TORN, ANNAS_TORN = b'{"kind":"stage","user_id":5,"t', b'{"kind":"stage","user_id":7345128961,"t'


@pytest.fixture
def eraser() -> Eraser:
    return Eraser(Scrubber.of(ANNA, IdHasher(b"k" * 32)), {"annas"}, MOMENT)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (BERTS, BERTS), (ANNAS, MARK), (TORN, TORN), (ANNAS_TORN, None),
        (TORN + BERTS, TORN + BERTS), (TORN + ANNAS, TORN + MARK), (ANNAS_TORN + BERTS, BERTS), (ANNAS_TORN + ANNAS, MARK),
        (ANNAS.replace(TAIL, b"}"), None), (b'{"kind":"span","session_id":"annas","na', None), (b"", b""), (b"\xff", b"\xff"),
        (BERTS.replace(b'"m"', b'"by 7345128961"'), BERTS.replace(b'"m"', b'"by [forgotten]"')),
        (BERTS.replace(TAIL, b',"x":7345128961' + TAIL), BERTS.replace(TAIL, b',"x":0' + TAIL)),
        (b'{"kind":"process","pid":7345128961' + TAIL, b'{"kind":"process","pid":7345128961' + TAIL),
        (b'{"kind":"stage","duration_ms":7345128961' + TAIL, b'{"kind":"stage","duration_ms":7345128961' + TAIL),
        (b'{"kind":"stage","session_id":"unknown","user_id":7345128961' + TAIL, MARK),
        (b'{"kind":"stage","session_id":"berts","user_id":7345128961' + TAIL,
         b'{"kind":"stage","session_id":"berts","user_id":0' + TAIL),
    ],
)  # fmt: skip
def test_lines_of_ours(eraser: Eraser, line: bytes, kept: bytes | None) -> None:
    """Own lines leave a mark with their number, others' lose the id, torn ones that name the person go; whole ones behind stay."""
    assert eraser.keep(line) == kept


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (TORN, TORN), (ANNAS_TORN, None), (b'{"session_id":"annas", 5', None), (b"rubbish", b"rubbish"),
        (b'{"session_id":"ber\\u0074s"}', b'{"session_id":"ber\\u0074s"}'), (b'{"session_id": "ann\\u0061s"}', None),
    ],
)  # fmt: skip
def test_lines_that_could_not_be_read(eraser: Eraser, line: bytes, kept: bytes | None) -> None:
    """A rejected line that has to do with the person goes as a whole."""
    assert eraser.keep_rejected(line) == kept


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (b'{"user_id": 7345128961, "text": "hi"}', None), (b'{"chat_id": "7345128961"}', None), (b'{"session_id": "annas"}', None),
        (b'{"by": 7345128961, "n": 1.50}', b'{"by":0,"n":1.5}'), (b'{"by": 6912345678, "n": 1.50}', b'{"by": 6912345678, "n": 1.50}'),
        (b'{"7345128961": 1}', b'{"[forgotten]":1}'), (b"said by 7345128961\r", b"said by [forgotten]\r"),
        (b'{"text": "7345128961", "x": NaN}', b'{"text": "[forgotten]", "x": NaN}'), (b"\xff 7345128961 \xfe", b"\xff [forgotten] \xfe"),
        (b'{"timestamp": 7345128961, "kind": [1]}', b'{"timestamp": 7345128961, "kind": [1]}'), (b"[7345128961]", b"[[forgotten]]"),
    ],
)  # fmt: skip
def test_lines_of_other_programs(eraser: Eraser, line: bytes, kept: bytes | None) -> None:
    """JSON of any shape and plain text lose the person; what has none of them stays to the byte."""
    assert eraser.keep_foreign(line) == kept


def test_deep_nesting_is_no_reason_to_fail(eraser: Eraser) -> None:
    """JSON that is nested too deep to be walked is treated as text."""
    deep = b'{"kind":"log","x":' + b"[" * 400 + b'"7345128961"' + b"]" * 400 + TAIL
    kept = eraser.keep(deep)
    assert kept is not None
    assert b"7345128961" not in kept
