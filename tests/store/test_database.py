"""The SQLite file: who may open it, what of the seed is adopted, who may read the files."""

import sqlite3
import stat
import time
from contextlib import closing

import pytest
from support.processes import run
from support.stores import SEED_TABLES, rows

from otel_metrics.errors import StoreDamaged, StoreError, StoreNewer
from otel_metrics.store import database
from otel_metrics.store.database import SCHEMA_VERSION, reading, writing
from otel_metrics.testing import temporary_service

SEED = (
    SEED_TABLES
    + """
CREATE INDEX idx_processing_session ON processing_metrics (session_id);
CREATE INDEX idx_correction_time ON correction_metrics (timestamp);
INSERT INTO processing_metrics VALUES
    ('a', 's1', 5, 6, 'ai_processing', '2026-01-02T03:04:05.678901+00:00', '2026-01-02T03:04:07+00:00', 1321, 1, NULL, '{"model": "m"}'),
    ('b', 's1', 5, 6, 'admin_review', '2026-01-02T03:05:00+00:00', NULL, NULL, NULL, NULL, NULL);
INSERT INTO correction_metrics VALUES
    ('c', 's1', 9, 'm', 'voice_correction', 65, 89, 5000, NULL, NULL, '2026-01-02T03:06:00+00:00', 4, 0, NULL);
INSERT INTO system_metrics (timestamp, metric_type, value, tags) VALUES ('2026-01-02T03:07:00+00:00', 'cpu', '3.5', '{"a": 1}');
"""
)


def test_the_seeds_database_is_adopted(tmp_path):
    """Its three tables become ours, rows and NULLs kept, times in our form, a session made of its stages."""
    with closing(sqlite3.connect(tmp_path / "metrics.db")) as connection:
        connection.executescript(SEED)
    run('import otel_metrics as m\nwith m.timer(m.create_session(1, 2), 1, 2, "ai_processing"): pass\n', tmp_path)
    stages = {row["metric_id"]: row for row in rows(tmp_path / "metrics.db", "processing_metrics")}
    assert len(stages) == 3
    assert stages["a"]["start_time"] == "2026-01-02T03:04:05.678901Z"
    assert stages["a"]["metadata"] == {"model": "m"}
    assert stages["b"]["end_time"] is None
    (correction,) = rows(tmp_path / "metrics.db", "correction_metrics")
    assert (correction["corrected_length"], correction["timestamp"]) == (89, "2026-01-02T03:06:00.000000Z")
    (system,) = rows(tmp_path / "metrics.db", "system_metrics")
    assert (system["value"], system["tags"]) == ("3.5", {"a": 1})
    session = rows(tmp_path / "metrics.db", "sessions", "session_id = 's1'")[0]
    assert (session["user_id"], session["started_at"]) == (5, "2026-01-02T03:04:05.678901Z")


def test_a_newer_schema_is_left_alone(tmp_path):
    """A database of a newer program is neither written nor read, and the message says both versions."""
    path = tmp_path / "metrics.db"
    with writing(path) as connection:
        connection.execute("PRAGMA user_version = 9999")
    before = path.read_bytes()
    for opened in (writing, reading):
        with pytest.raises(StoreNewer, match=f"schema 9999.*at most {SCHEMA_VERSION}"), opened(path):
            pass
    assert path.read_bytes() == before


def test_somebody_elses_database_is_left_alone(tmp_path):
    """A SQLite file with other tables is refused and not changed."""
    path = tmp_path / "metrics.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE invoices (id INTEGER)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="invoices"), writing(path):
        pass
    assert path.read_bytes() == before


def test_somebody_elses_numbered_database_is_left_alone(tmp_path):
    """Another program's database is refused also where it numbers its schema as we do, and is not said to be newer."""
    path = tmp_path / "metrics.db"
    for version in (1, 9999):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS invoices (id INTEGER)")
            connection.execute(f"PRAGMA user_version = {version}")
        before = path.read_bytes()
        for opened in (writing, reading):
            with pytest.raises(StoreError, match="another program's database") as caught, opened(path):
                pass
            assert not isinstance(caught.value, StoreNewer)
        assert path.read_bytes() == before


def test_the_bot_records_on_beside_a_database_it_may_not_use(tmp_path):
    """With a newer database the bot warns, counts nothing as lost, and its lines wait in the log until one is there that fits."""
    path = tmp_path / "metrics.db"
    with writing(path) as connection:
        connection.execute("PRAGMA user_version = 9999")
    with temporary_service(tmp_path, strict=False) as service:
        service.create_session(1, 2)
        with pytest.warns(RuntimeWarning, match="schema 9999"):
            service.flush()
        path.unlink()
        for side in ("-wal", "-shm"):
            path.with_name(path.name + side).unlink(missing_ok=True)
        assert len(rows(service, "sessions")) == 1
        assert service.losses.snapshot() == {"fault_in_flush": 1}


def test_times_without_zone_in_the_seeds_database_are_local(tmp_path, monkeypatch):
    """The seed wrote local times without a zone: they become UTC; what can not be read becomes the first moment there is."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        with closing(sqlite3.connect(tmp_path / "metrics.db")) as connection, connection:
            connection.executescript(SEED.replace("+00:00", "").replace("2026-01-02T03:07:00", "soon"))
        with writing(tmp_path / "metrics.db"):
            pass
    finally:
        monkeypatch.undo()
        time.tzset()
    stages = {row["metric_id"]: row for row in rows(tmp_path / "metrics.db", "processing_metrics")}
    assert (stages["a"]["start_time"], stages["a"]["end_time"]) == (
        "2026-01-02T08:04:05.678901Z",
        "2026-01-02T08:04:07.000000Z",
    )
    assert rows(tmp_path / "metrics.db", "system_metrics")[0]["timestamp"] == "1970-01-01T00:00:00.000000Z"
    with closing(sqlite3.connect(tmp_path / "metrics.db")) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert not [table for table in tables if table.startswith("seed_")]


def test_an_adoption_that_dies_leaves_the_seeds_database(tmp_path, monkeypatch):
    """The migration is one transaction: when it breaks off, the seed's tables and rows are as they were."""
    path = tmp_path / "metrics.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SEED)
    monkeypatch.setattr(database, "_adopt_seed", lambda connection: connection.execute("SELECT * FROM nowhere"))
    with pytest.raises(StoreError, match="nowhere"), writing(path):
        pass
    monkeypatch.undo()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM processing_metrics").fetchone() == (2,)
    with writing(path):
        pass
    assert len(rows(path, "processing_metrics")) == 2


def test_a_file_that_is_no_database_is_damage(tmp_path):
    """A file of other bytes is said to be damaged, with its name."""
    path = tmp_path / "metrics.db"
    path.write_bytes(b"this is no database at all" * 100)
    for opened in (writing, reading):
        with pytest.raises(StoreDamaged, match=r"metrics\.db"), opened(path):
            pass


def test_the_files_are_private_whatever_the_umask(tmp_path):
    """Files are 0600 and made folders 0700, also under a umask of 0."""
    folder = tmp_path / "deep" / "store"
    run(
        """
        import os
        os.umask(0)
        import otel_metrics as m
        with m.timer(m.create_session(1, 2), 1, 2, "ai_processing"):
            pass
        m.shutdown()
        """,
        folder,
    )
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert {"metrics.db", "metrics.jsonl", "metrics.db.key"} <= set(modes)
    assert set(modes.values()) == {0o600}
    for made in (folder, folder.parent):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
