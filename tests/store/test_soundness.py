"""What is found to be wrong with a database, beyond what SQLite itself notices."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.desk import desk
from support.processes import run

from otel_metrics.store.database import writing
from otel_metrics.store.soundness import fault_in

BOT = """
import otel_metrics as m
with m.timer(m.create_session(1, 2), 1, 2, "ai_processing"):
    m.get_logger().info("step", "a step")
m.record_correction("s", 7, "m", "text_correction", "a draft", "a better draft", 1000)
m.record_system_metric("cpu", 1)
m.shutdown()
"""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("original")
    run(BOT, folder)
    return (folder / "metrics.db").read_bytes()


@pytest.fixture
def database(tmp_path: Path, original: bytes) -> Path:
    (tmp_path / "metrics.db").write_bytes(original)
    return tmp_path / "metrics.db"


@pytest.fixture
def connection(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(database, isolation_level=None)) as opened:
        yield opened


def test_a_bots_database_is_sound(connection: sqlite3.Connection) -> None:
    """Of what a bot writes nothing is called wrong."""
    assert fault_in(connection) == ""


def test_a_database_that_is_being_made_is_sound(tmp_path: Path) -> None:
    """Neither an empty one nor a new one is damaged."""
    with closing(sqlite3.connect(tmp_path / "empty.db")) as connection:
        assert fault_in(connection) == ""
    with writing(tmp_path / "new.db") as connection:
        assert fault_in(connection) == ""


LOGICAL = [
    ("UPDATE processing_metrics SET user_id = 'x'", "1 rows of processing_metrics hold what they can not hold"),
    ("UPDATE processing_metrics SET success = x'00'", "1 rows of processing_metrics"),
    ("UPDATE processing_metrics SET stage = x'41'", "1 rows of processing_metrics"),
    ("UPDATE processing_metrics SET metadata = '{'", "1 rows of processing_metrics"),
    ("UPDATE correction_metrics SET similarity = 'high'", "1 rows of correction_metrics"),
    ("UPDATE logs SET message = CAST(x'41ff' AS TEXT)", "a text is not UTF-8"),
    ("UPDATE counters SET name = 'sEq' WHERE name = 'seq'", "the counters are gone"),
    ("UPDATE counters SET value = 0.5 WHERE name = 'deletions'", "the counters are gone"),
    ("DROP TABLE spans", "table spans is not as it was made"),
    ("ALTER TABLE logs RENAME COLUMN message TO massage", "table logs is not as it was made"),
    (
        "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = 'CREATE TABLE sqlite_sequence(a)' WHERE name LIKE '%sequ%'",
        "table sqlite_sequence is not as it was made",
    ),
    ("PRAGMA user_version = 1", "table processing_metrics is not as it was made"),
]


@pytest.mark.parametrize(("statement", "fault"), LOGICAL, ids=[one[0] for one in LOGICAL])
def test_damage_that_sqlite_does_not_see_is_found(database: Path, statement: str, fault: str) -> None:
    """Values, tables and counters that no program of ours wrote are called damage, by the doctor too; a repair makes an end of them."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executescript(statement)
    with closing(sqlite3.connect(database)) as connection:
        assert fault in fault_in(connection)
    status, said = desk("doctor", "--database", database)
    assert status == 3 or "user_version" in statement, said
    status, said = desk("doctor", "--repair", "--database", database)
    assert status == 0, said
    assert "was damaged" in said or "is damaged: " in said


@pytest.mark.parametrize("offset", range(18, 72))
def test_every_byte_of_the_header_may_be_damaged(database: Path, original: bytes, offset: int) -> None:
    """Whichever is flipped: a question ends with an answer or a status, and afterwards a repair makes it sound, unless it seems newer."""
    content = bytearray(original)
    content[offset] ^= 1 << offset % 8
    database.write_bytes(content)
    asked, said = desk("sessions", "--database", database)
    assert asked in {0, 3, 4}, said
    status, said = desk("doctor", "--repair", "--database", database)
    assert status == (4 if asked == 4 else 0), said
    assert asked != 4 or 60 <= offset < 64
