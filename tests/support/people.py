"""A store in which people stand everywhere that they can stand, and the search for one of them in every row and byte."""

import json
import os
import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import duckdb

from otel_metrics import MetricsService
from otel_metrics.model.identity import IdHasher, as_integer_id
from otel_metrics.settings import Settings
from otel_metrics.store.journal import Journal
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

ANNA, BERT, CARL = 7345128961, 6912345678, 5987612345
MODERATOR, OTHER_MODERATOR = 8456123971, 4998877665
GROUP = -1002244668800
SLACK = "U04ABCDEF99"
PRUNED = f"6{'0' * 30}"
"""So the ids of sessions begin whose rows were deleted for their age."""
PRUNED_NAME = "one of old"
EVERYBODY: tuple[int | str, ...] = (ANNA, BERT, CARL, MODERATOR, OTHER_MODERATOR, SLACK)
# Numbers and words that hold an id and are none.
STRANGERS = [f"{one}0" for one in EVERYBODY] + [f"1{one}" for one in EVERYBODY] + [f" -{ANNA}", f"0.{ANNA}"]
Tables = dict[str, list[dict[str, Any]]]


def make_people(folder: Path) -> MetricsStorage:
    """Records sessions of everybody, in private and in a group, with every place filled in which an id may stand."""
    layout = StoreLayout(folder / "metrics.db", folder / "metrics.jsonl")
    settings = Settings(
        database=layout.database, log_file=layout.log_file, log_max_bytes=30_000, log_backups=1000, drain_interval_s=0,
        retention_days=3650, capture_content=True,
    )  # fmt: skip
    _write_foreign_log(layout)
    with MetricsService(settings) as service:
        for number in range(5):
            for user in EVERYBODY:
                _play(service, user, user if number % 2 else GROUP, number)
        for user in EVERYBODY:
            _mention(service, user)
        _prune_an_old_session_of_everybody(service)
    _add_bad_lines(layout, settings)
    for user in EVERYBODY:
        layout.database.with_name(f"metrics.db.damaged-{as_integer_id(user)[0]}").write_bytes(f"id {user}".encode())
    storage = MetricsStorage(layout, settings)
    storage.drain()
    return storage


def _play(service: MetricsService, user: int | str, chat: int | str, number: int) -> None:
    """One session: private or in a group, looked at by a moderator who is the user of another one."""
    admin = MODERATOR if number < 3 else OTHER_MODERATOR
    session = service.create_session(user, chat, name=f"name of {user}", reviewer=admin)
    with service.timer(session, user, chat, "ai_processing", seen_by=[str(admin), {"id": admin}]) as stage:
        stage.metadata["strangers"] = STRANGERS
        service.get_logger().info("drafted", f"draft for {user}", who=user)
    with suppress(ValueError), service.timer(session, admin, admin, "admin_review"):
        service.get_logger().warning("review", f"{admin} looks", admin=admin)
        raise ValueError(f"moderator {admin} was late")
    service.record_correction(
        session, admin, f"m{number}", "text_correction", "a text", f"a text of {admin}", 10, by=f"admin_{admin}"
    )
    with service.timer(f"custom/{user}/{number}", user, chat, "user_delivery"):
        pass
    service.end_session(session)
    if number == 4:
        with service.timer("unknown", user, chat, "query_received", name=f"name of {user}"):
            pass


def _mention(service: MetricsService, user: int | str) -> None:
    """Values and log lines of no session."""
    service.record_system_metric(f"latency.{user}", 5, {"user": str(user), "votes": {str(user): 1}}, user=user)
    service.record_system_metric("last_user", user)
    service.get_logger().info("joined", f"user {user}, not {user}0 and not 1{user}", user_id=user, list=[user])
    service.get_logger().info(f"joined_{user}", json.dumps({"from": {"id": user}}))


def _prune_an_old_session_of_everybody(service: MetricsService) -> None:
    """Rows that are deleted stay in the free pages of a database, where SQLite was not built to overwrite them."""
    for user in EVERYBODY:
        session = f"{PRUNED}{EVERYBODY.index(user)}"
        service.record_stage(
            session,
            user,
            user,
            "ai_processing",
            start_time=1_000_000_000,
            end_time=1_000_000_001,
            name=f"{PRUNED_NAME} {user}",
        )
    service.flush()
    with closing(sqlite3.connect(service.settings.database)) as connection, connection:
        connection.execute("PRAGMA secure_delete = OFF")
        for table in ("processing_metrics", "sessions"):
            connection.execute(f"DELETE FROM {table} WHERE session_id LIKE '{PRUNED}%'")


def _write_foreign_log(layout: StoreLayout) -> None:
    """A log of before, which is set aside when a bot begins."""
    layout.prepare()
    lines = []
    for user in EVERYBODY:
        lines.append(json.dumps({"timestamp": 1.5, "user_id": user, "text": "hi"}))
        lines.append(json.dumps({"timestamp": 1.5, "text": f"said by {user}", "other": 12}))
        lines.append(f"plain text about {user}, and {user}0")
    layout.log_file.write_text("\n".join(lines) + "\n")


def _add_bad_lines(layout: StoreLayout, settings: Settings) -> None:
    """Lines that can not be read, alone and before whole ones."""
    journal = Journal(layout, max_bytes=settings.log_max_bytes)
    journal.append(
        b'{"kind":"log","timestamp":"2026-01-01T00:00:00.000000Z","level":"info","event_type":"a","message":""}\n'
    )
    journal.close()
    with layout.log_file.open("ab") as file:
        for user in EVERYBODY:
            file.write(f'{{"kind":"stage","user_id":"{user}","broken\n'.encode())
            file.write(
                f'{{"kind":"stage","note":"{user}","torn{{"kind":"log","timestamp":"2026-01-01T00:00:00.000000Z","level":"info",'.encode()
            )
            file.write(f'"event_type":"whole","message":"behind","session_id":"of {user}0"}}\n'.encode())


def tables(database: Path) -> Tables:
    """Every row of every table, JSON decoded."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {
            name: [{key: _decoded(row[key]) for key in row.keys()} for row in connection.execute(f"SELECT * FROM {name}")]  # noqa: SIM118
            for name in names
        }  # fmt: skip


def traces_of(folder: Path, user: int | str, key: bytes) -> list[str]:
    """Where the person still stands: in decoded rows and lines, and in the bytes of every file."""
    number, original = as_integer_id(user)
    hasher = IdHasher(key)
    texts = {str(user), str(number), *(hasher.hash(kind, number) for kind in ("user", "chat", "moderator"))}
    found = []
    for name, rows in tables(folder / "metrics.db").items():
        found += [f"{name}: {row}" for row in rows if _holds(row, number, texts)]
    for path in sorted(folder.glob("metrics.db.segments/*.parquet*")):
        found += [f"{path.name}: {row}" for row in segment_rows(path) if _holds(row, number, texts)]
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        data = _bytes_of(path)
        for stranger in STRANGERS:
            data = data.replace(stranger.encode(), b"")
        found += [f"bytes of {path.name}: {text}" for text in texts if text.encode() in data]
        # SQLite's own form of a large integer.
        found += [f"number in {path.name}"] * (
            path.suffix != ".key" and number.to_bytes(8 if original else 6, "big") in data
        )
        if ".jsonl" in path.name:
            for line in _bytes_of(path).split(b"\n"):
                with suppress(ValueError):
                    found += [f"{path.name}: {line!r}"] * _holds(json.loads(line), number, texts)
    return found


def segment_rows(path: Path) -> list[dict[str, Any]]:
    """Every row of a segment with all its columns as they are in the file, JSON decoded."""
    with closing(duckdb.connect()) as connection:
        cursor = connection.execute("FROM read_parquet($path)", {"path": str(path)})
        names = [column[0] for column in cursor.description or ()]
        return [{name: _decoded(value) for name, value in zip(names, row, strict=True)} for row in cursor.fetchall()]


def _bytes_of(path: Path) -> bytes:
    """All that a file holds; what SQLite has beside a database may go at any time."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _decoded(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in {"{", "["}:
        with suppress(ValueError):
            return json.loads(value)
    return value


def _holds(value: Any, number: int, texts: set[str]) -> bool:
    """The oracle: a number that is equal, or a text that holds one of the texts and not within a longer word."""
    if isinstance(value, dict):
        return any(_holds(one, number, texts) for pair in value.items() for one in pair)
    if isinstance(value, list):
        return any(_holds(one, number, texts) for one in value)
    if isinstance(value, str):
        if value in STRANGERS:
            return False
        return any(
            text in value and re.search(rf"(?<![0-9A-Za-z]){re.escape(text)}(?![0-9A-Za-z])", value) for text in texts
        )
    return bool(value == number)


def names_in(folder: Path) -> set[str]:
    """The files of a store, but for its key, its locks and what SQLite has beside a database in use."""
    return {
        name for name in os.listdir(folder) if not name.startswith(".") and not name.endswith((".key", "-wal", "-shm"))
    }
