"""Any byte in the log: what is sound around it arrives, what is not is set aside and counted."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from support.fuzzing import SIZES, Fuzz
from support.stores import rows

from otel_metrics import MetricsService
from otel_metrics.testing import temporary_service

PIECES = [
    b"\n", b"\0", b'"', b"{", b"}", b"[" * 3000, b"\xff", b"\\ud800", b"-1", b"1e999", b"9" * 30, b"null", b'{"kind":"', b'{"kind":"stage",',
    b'{"kind":"process",', b"\n\n", b"\r\n", b"\xe2\x80\xa8", b" " * 70_000,
]  # fmt: skip
harms = st.tuples(
    st.integers(0, 6), st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 1),
    st.sampled_from(PIECES) | st.binary(max_size=30), st.booleans(),
)  # fmt: skip


def harmed(lines: list[bytes], harm: tuple[int, int, float, float, bytes, bool]) -> bytes:
    """A real line as no writer of ours would write it; often without an end, so that the next one is glued to it."""
    kind, choice, first, second, piece, ended = harm
    line = lines[choice % len(lines)]
    start, stop = sorted((int(first * len(line)), int(second * len(line))))
    result = {
        0: piece,
        1: line[:start],
        2: line[:start] + piece + line[start:],
        3: line[:start] + piece + line[stop:],
        4: line[:start] + line[stop:],
        5: line[start:] + line[:start],
        6: line[:stop] + line[start:],
    }[kind]
    return result + b"\n" if ended else result


def real_lines(service: MetricsService) -> list[bytes]:
    """Lines of every kind, as the service writes them."""
    session_id = service.create_session(1, 2, name="ü")
    with service.timer(session_id, 1, 2, "ai_processing", nested={"kind": "stage", "list": [1, 2.5, None]}) as stage:
        stage.fail("no")
        assert service.kit is not None
        service.kit.tracer.start_span("model").end()
    service.record_correction(session_id, 3, "m", "text_correction", "a b", "a c", 100, admin_satisfaction=4)
    service.record_system_metric("depth", 1.5, {"queue": "q"})
    service.get_logger().warning("event", "message", more="\u2028")
    service.end_session(session_id)
    return service.settings.log_file.read_bytes().splitlines()


@SIZES
def test_no_byte_in_the_journal_harms_its_neighbours(tmp_path: Path, total: int) -> None:
    """Random bytes and broken lines in the log crash nothing: each sound record around them is stored once, what can not be read is set aside and counted."""
    fuzz = Fuzz(total, at_once=25)
    for number in fuzz.rounds():
        with temporary_service(tmp_path / str(number), log_max_bytes=10**9) as service:
            recorded = harm_round(service, fuzz, number)
            service.flush()
            aside = service.storage.layout.rejected_file.read_bytes().count(b"\n")
            sound = rows(service, "system_metrics", "metric_type = 'sound'")
            print(f"{len(sound)} sound records stored, {aside} lines set aside")
            assert len({row["value"] for row in sound}) == len(sound) == recorded
            assert aside == sum(row["rejected"] for row in rows(service, "journal_files")) > 0


def harm_round(service: MetricsService, fuzz: Fuzz, number: int) -> int:
    """One round of harm; how many sound records were made between."""
    _, *lines = real_lines(service)  # the header of the file has a test of its own
    service.flush()
    recorded = 0

    def check(batch: Any) -> None:
        """Harm and sound records by turns; the sound ones come from the service itself."""
        nonlocal recorded
        with service.settings.log_file.open("ab", buffering=0) as log:
            for harm in batch:
                log.write(harmed(lines, harm))
                service.record_system_metric("sound", recorded)
                recorded += 1
        before = count_of_sound(service)
        service.storage.drain(5.0)
        assert count_of_sound(service) - before == len(batch)

    fuzz.round(number, st.lists(harms, min_size=25, max_size=25), check)
    return recorded


def count_of_sound(service: MetricsService) -> int:
    with service.storage.reading() as connection:
        (found,) = connection.execute("SELECT count(*) FROM system_metrics WHERE metric_type = 'sound'").fetchone()
    return int(found)


def test_line_behind_a_torn_header_is_kept(service: MetricsService) -> None:
    """A sound record whose line is glued to the beginning of a file's header is stored, and the beginning is set aside."""
    header, *_ = real_lines(service)
    service.flush()
    with service.settings.log_file.open("ab", buffering=0) as log:
        log.write(header[:40])
        service.record_system_metric("sound", 1)
    report = service.storage.drain(5.0)
    assert (report.stored, report.rejected, count_of_sound(service)) == (1, 1, 1)


@pytest.mark.parametrize("kind", [b"stage", b"system", b"log", b"correction"])
def test_line_with_a_damaged_time_does_not_spoil_the_answers(service: MetricsService, kind: bytes) -> None:
    """Where one sign of a time in the log is not what it was, it reads as 1970, and everything else can be asked."""
    lines = real_lines(service)
    service.flush()
    (line,) = [line for line in lines if line.startswith(b'{"kind":"%s"' % kind)]
    with service.settings.log_file.open("ab", buffering=0) as log:
        log.write(
            line.replace(b'"timestamp":"2026-', b'"timestamp":"2x26-').replace(b'_time":"2026-', b'_time":"2x26-')
            + b"\n"
        )
    assert service.storage.drain(5.0).rejected == 0
    assert service.sql("SELECT count(*) AS n FROM processing_metrics") == [{"n": 1}]
    assert service.get_dashboard_data()["overview"]["total_requests"] == 1
