"""Limits and order in a store with segments: its size, its retention, its files' rights, and what is the store's own."""

import os
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from support.cli import real
from support.desk import desk
from support.stores import count, rows
from support.tiers import move, move_to_segments, segment_files, storage_in, views_of

from otel_metrics import MetricsService
from otel_metrics.errors import SettingError
from otel_metrics.store.cap import make_room, store_bytes
from otel_metrics.store.own_files import is_of_store
from otel_metrics.store.segments import listed
from otel_metrics.store.tidying import make_private
from otel_metrics.testing import SteppedClock, temporary_service

DAY_S = 86_400


def play_days(service: MetricsService, clock: SteppedClock, days: int, each: int = 40) -> None:
    """So many sessions on each of some days, and the clock moves on."""
    chance = random.Random(1)
    for day in range(days):
        for _ in range(each):
            session = service.create_session(1, 2)
            noise = chance.randbytes(1500).hex()
            with service.timer(session, 1, 2, "ai_processing", day=day, noise=noise):
                pass
            service.end_session(session)
        clock.advance(DAY_S)


def shrink(service: MetricsService, limit: int) -> dict[str, int]:
    with service.storage.alone(5.0) as connection:
        assert connection is not None
        return make_room(connection, service.storage.layout, limit).rows


def limit_without(service: MetricsService, *days: str) -> int:
    """A limit that is met when these days have gone, and not before."""
    layout = service.storage.layout
    with service.storage.alone(5.0) as connection:
        assert connection is not None
        connection.executescript("PRAGMA incremental_vacuum")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cold = sum(one.bytes for one in listed(connection) if one.day in days)
    logs = sum(path.stat().st_size for path in layout.rotated_files())
    limit = round((store_bytes(layout) - logs - cold + 500) / 0.95)
    assert limit < store_bytes(layout)
    return limit


def days_of(service: MetricsService) -> list[str]:
    return [
        row["day"]
        for row in service.sql("SELECT DISTINCT strftime(end_time, '%d') AS day FROM processing_metrics ORDER BY 1")
    ]


def test_oldest_days_of_segments_go_between_logs_and_rows(tmp_path: Path, clock: SteppedClock) -> None:
    """At the limit the logs go first, then whole days of segments, the oldest first, and rows of tables only then; all is counted, and answers go on."""
    with temporary_service(tmp_path, clock=clock, retention_days=0, log_max_bytes=50_000) as service:
        play_days(service, clock, 5)
        move_to_segments(service)
        session = service.create_session(1, 2)
        service.record_stage(session, 1, 2, "final_response", start_time=clock.time_ns() / 1e9 - 1)
        service.flush()
        layout = service.storage.layout
        shrink(service, store_bytes(layout) - 1000)  # free pages and logs are enough
        assert days_of(service) == ["01", "02", "03", "04", "05", "06"]
        gone = shrink(service, limit_without(service, "2026-01-01", "2026-01-02"))
        assert gone == {"processing_metrics": 80, "sessions": 80, "spans": 80}
        assert days_of(service) == ["03", "04", "05", "06"]
        removed: Counter[str] = Counter()
        for row in rows(service, "removals", "what LIKE 'rows%'"):
            removed[row["what"]] += row["count"]
        assert removed == {f"rows of {table}": n for table, n in gone.items()}
        assert count(service, "archived_sessions") == 120
        with service.storage.reading() as connection:
            assert {path.name for path in segment_files(service.storage)} == {one.name for one in listed(connection)}
        assert count(service, "processing_metrics") == 1


def test_damaged_segments_that_were_set_aside_cost_no_rows(service: MetricsService, clock: SteppedClock) -> None:
    """What a repair keeps for somebody to look at does not count: rows that are sound do not go for it."""
    play_days(service, clock, 1, each=5)
    move_to_segments(service)
    path = segment_files(service.storage)[0]
    before = store_bytes(service.storage.layout)
    path.with_name(f"{path.name}.damaged-20260101T000000.000000Z").write_bytes(b"x" * 10**6)
    assert store_bytes(service.storage.layout) == before


def test_segments_of_an_earlier_database_count_and_go_by_their_days(
    service: MetricsService, clock: SteppedClock
) -> None:
    """Files that nobody has taken over yet do not fill the disk above the limit: they go with their day, written down."""
    play_days(service, clock, 3, each=5)
    move_to_segments(service)
    (one,) = (path for path in segment_files(service.storage) if path.name.startswith("sessions-2026-01-01"))
    parts = one.name.split("-")
    parts[4] = "0" * 16
    shutil.copy(one, other := one.with_name("-".join(parts)))
    shrink(service, limit_without(service, "2026-01-01"))
    assert not other.exists()
    assert not one.exists()
    assert [row["count"] for row in rows(service, "removals", "what LIKE 'files of segments%'")] == [1]


def test_reader_goes_on_while_the_limit_takes_segments(service: MetricsService, clock: SteppedClock) -> None:
    """A process with answers in memory is not told of damage where segments have gone by order."""
    play_days(service, clock, 3)
    move_to_segments(service)
    assert len(days_of(service)) == 3
    shrink(service, limit_without(service, "2026-01-01"))
    assert days_of(service) == ["02", "03"]


def test_prune_tells_of_segments(tmp_path: Path, clock: SteppedClock) -> None:
    """The command says how many segments went with the rows that are too old; in JSON too."""
    with temporary_service(tmp_path, clock=clock, retention_days=0) as service:
        play_days(service, clock, 2, each=3)
        move_to_segments(service)
    shutil.copytree(tmp_path, tmp_path / "again")
    done = real("prune", folder=tmp_path)
    assert done.returncode == 0
    assert "6  segments with such rows alone deleted" in done.stdout
    assert "6  rows of sessions older than 30 days deleted" in done.stdout
    assert '"segments": 6' in real("prune", "--format", "json", folder=tmp_path / "again").stdout
    assert views_of(storage_in(tmp_path))["sessions"].total() == 0


@pytest.mark.parametrize("name", ["out.csv", "deep/out.csv", "", "x/../out.parquet"])
def test_nothing_is_exported_or_copied_into_the_folder_of_segments(
    service: MetricsService, clock: SteppedClock, name: str
) -> None:
    """The folder is the store's own: an export or a backup into it is refused, also where it is not there yet."""
    folder = service.storage.layout.segments_folder
    for _ in range(2):
        target = folder / name if name else folder
        assert is_of_store(service.storage.layout, target)
        status, said = desk(
            "export", "logs", "--output", target, "--format", "csv", "--database", service.settings.database
        )
        assert (status, "is a file of the store" in said) == (2, True), said
        assert not folder.exists() or not (folder / "out.csv").exists()
        play_days(service, clock, 1, each=1)
        service.flush()
        (folder / "deep").mkdir(parents=True, exist_ok=True)
    with pytest.raises(SettingError):
        service.storage.backup(folder / "copy.db")


def test_link_to_a_segment_is_the_store_s(service: MetricsService, clock: SteppedClock, tmp_path: Path) -> None:
    """A segment is not overwritten through another name either."""
    play_days(service, clock, 1, each=1)
    move_to_segments(service)
    link = tmp_path / "link.parquet"
    link.symlink_to(segment_files(service.storage)[0])
    assert is_of_store(service.storage.layout, link)


def test_repair_makes_segments_private_and_sweeps_what_was_begun(service: MetricsService, clock: SteppedClock) -> None:
    """Rights that somebody loosened are put right, and drafts of dead processes go, whoever's they are."""
    play_days(service, clock, 1, each=2)
    move_to_segments(service)
    folder = service.storage.layout.segments_folder
    folder.chmod(0o755)
    path = segment_files(service.storage)[0]
    path.chmod(0o644)
    draft = folder / "logs-2026-01-01-0000000000000000-00000000.parquet.draft"
    draft.write_bytes(b"half")
    (folder / ".spill-999999999-ab").mkdir()
    (folder / ".spill-999999999-ab" / "part").write_bytes(b"rows")
    (folder / f".spill-{os.getpid()}-ab").mkdir()
    service.storage.repair()
    assert (folder.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)
    assert make_private(service.storage.layout) == []
    assert not draft.exists()
    assert [path.name for path in folder.glob(".spill*")] == [f".spill-{os.getpid()}-ab"]
    move(service.storage)
