"""Lines that are not what they should be: counted, kept apart, and in nobody's way."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.stores import count, layout_in, rows

from otel_metrics import MetricsService
from otel_metrics.store.drain import Drain
from otel_metrics.testing import temporary_service

SESSION = "65a1b2c3000000ff0123456789abcdef"


def sound_line(service: MetricsService, **metadata: object) -> bytes:
    """A stage's line as the service writes it, taken out of the log again."""
    log = service.settings.log_file
    before = log.stat().st_size if log.exists() else 0
    service.record_stage(SESSION, 1, 2, "ai_processing", start_time=1767268800, **metadata)
    data = log.read_bytes()
    line = data[before:].splitlines(keepends=True)[-1]
    with log.open("r+b") as file:
        file.truncate(len(data) - len(line))
    return line


def add(service: MetricsService, data: bytes) -> None:
    with service.settings.log_file.open("ab") as file:
        file.write(data)


def renamed(line: bytes, digit: bytes) -> bytes:
    """The same line under another key."""
    start = len(b'{"kind":"stage","metric_id":"')
    return line[:start] + digit + line[start + 1 :]


@pytest.mark.parametrize("cut", [1, 5, 9, 10, 15, 16, 40, 200])
def test_whole_line_behind_a_torn_one_is_kept(service: MetricsService, cut: int) -> None:
    """A line torn at any place, with the next writer's line glued to it, costs only itself."""
    line = sound_line(service)
    add(service, line[:cut] + renamed(line, b"7") + renamed(line, b"8"))
    report = Drain(service.storage.layout).run()
    assert report.rejected == 1
    assert {row["metric_id"][0] for row in rows(service.settings.database, "processing_metrics")} == {"7", "8"}
    assert service.storage.layout.rejected_file.read_bytes() == line[:cut] + b"\n"


def test_glued_line_whose_metadata_looks_like_a_line_is_kept(service: MetricsService) -> None:
    """The whole line is found also where its own metadata begins as a line does."""
    line = sound_line(service, nested={"kind": "stage", "x": [{"kind": "log"}]})
    add(service, line[:50] + line)
    assert Drain(service.storage.layout).run().rejected == 1
    (row,) = rows(service.settings.database, "processing_metrics")
    assert row["metadata"]["nested"] == {"kind": "stage", "x": [{"kind": "log"}]}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line.replace(b'"metadata":{', b'"metadata":{"a":"\xff\xfe",'),
        lambda line: line.replace(b'"metadata":{', b'"metadata":{"a":"\x00",'),
        lambda line: line.replace(b'"user_id":1', b'"user_id":170141183460469231731687303715884105727'),
        lambda line: line.replace(b'"user_id":1', b'"user_id":1.5'),
        lambda line: line.replace(b'"user_id":1', b'"user_id":null'),
        lambda line: line.replace(b'"metadata":{', b'"metadata":{"a":' + b"[" * 5000 + b"]" * 5000 + b","),
        lambda line: line.replace(b'"stage":"ai', b'"stage":"\\ud800ai'),
        lambda line: line.replace(b'"metric_id"', b'"metric_no"'),
        lambda line: line[:-2] + b"\n",
        lambda line: b"\x00" * 500 + b"\n",
        lambda line: b"\xff" * 10 + line,
    ],
)
def test_spoilt_line_never_harms_its_neighbours(service: MetricsService, spoil: object) -> None:
    """Broken UTF-8, zero bytes, impossible numbers, endless nesting: the lines around it arrive, and all can be read."""
    line = sound_line(service, note="n")
    spoilt = spoil(line)  # type: ignore[operator]
    assert spoilt != line
    add(service, renamed(line, b"1") + spoilt + renamed(line, b"2"))
    report = Drain(service.storage.layout).run()
    kept = {row["metric_id"][0]: row["metadata"] for row in rows(service.settings.database, "processing_metrics")}
    assert {"1", "2"} <= set(kept)
    assert kept["1"] == kept["2"] == {"note": "n"}
    assert report.stored + report.rejected >= 3
    assert service.sql("SELECT count(*) AS n FROM processing_metrics")[0]["n"] == len(kept)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    garbage=st.lists(
        st.binary(max_size=60) | st.text(max_size=30).map(lambda text: f'{{"kind":"stage",{text}}}'.encode())
    )
)
def test_any_bytes_between_sound_lines_are_survived(
    tmp_path_factory: pytest.TempPathFactory, garbage: list[bytes]
) -> None:
    """Whatever bytes stand between two sound lines, no error comes, the second is stored and all bytes are accounted for."""
    with temporary_service(tmp_path_factory.mktemp("store")) as service:
        line = sound_line(service)
        add(service, renamed(line, b"1") + b"\n".join(garbage) + b"\n" + renamed(line, b"2"))
        report = Drain(service.storage.layout).run()
        assert report.bytes_read > 0
        found = {row["metric_id"][0] for row in rows(service.settings.database, "processing_metrics")}
        assert {"1", "2"} <= found
        assert Drain(service.storage.layout).run().stored == 0


def test_end_that_is_read_before_its_begin_leaves_nothing_running(service: MetricsService) -> None:
    """When a begin is read after the end of its stage, which rotation can bring about, the stage does not run for ever."""
    with service.timer(SESSION, 1, 2, "ai_processing"):
        pass
    begin, stage = service.settings.log_file.read_bytes().splitlines(keepends=True)[-2:]
    with service.settings.log_file.open("r+b") as file:
        file.truncate(service.settings.log_file.stat().st_size - len(begin) - len(stage))
    add(service, stage)
    Drain(service.storage.layout).run()
    add(service, begin)
    Drain(service.storage.layout).run()
    assert count(service.settings.database, "running") == 0
    assert count(service.settings.database, "processing_metrics") == 1


def test_torn_end_of_a_rotated_log_is_set_aside(tmp_path: Path) -> None:
    """The torn last line of a log that nobody writes any more is counted; while somebody holds the log it is waited for."""
    with temporary_service(tmp_path, log_max_bytes=4096) as service:
        line = sound_line(service)
        add(service, line[:60])
        layout = layout_in(tmp_path)
        rotated = layout.rotated_file(1)
        layout.log_file.rename(rotated)
        drain = Drain(layout)
        assert drain.run().rejected == 0
        assert service.kit is not None
        service.tick()
    report = Drain(layout).run()
    assert layout.rejected_file.read_bytes() == line[:60] + b"\n"
    assert rows(layout.database, "journal_files", "number = 1")[0]["sealed"] == 1
    assert report.sealed <= 1
