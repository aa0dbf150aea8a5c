"""Owns the forgetting of a person: in which order the files of a store lose them, so that a second run completes a first."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from otel_metrics.errors import StoreDamaged, StoreError
from otel_metrics.model.identity import IdHasher
from otel_metrics.model.times import iso
from otel_metrics.store import archive, journal_files, segments
from otel_metrics.store.aside import files_set_aside
from otel_metrics.store.belongings import Belongings
from otel_metrics.store.cold_rows import ColdRows, OpensColdRows, Rewritten
from otel_metrics.store.cursor import load_cursor, save_cursor
from otel_metrics.store.database import reading, roll_back, writing
from otel_metrics.store.drain import Drain
from otel_metrics.store.eraser import Eraser
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.locks import FileLock
from otel_metrics.store.own_files import foreign_logs, rejected_files
from otel_metrics.store.places import header_at
from otel_metrics.store.purge import compact, purge
from otel_metrics.store.rewriting import Keep, Positions, remove_drafts, rewrite
from otel_metrics.store.scrub import Scrubber
from otel_metrics.store.telling import REPAIR
from otel_metrics.store.tombstones import Tombstones, bury
from otel_metrics.store.writers import wait_for_writers

OUT_OF_REACH = (
    "backups made before: run `forget` again after one is restored",
    "exports and other copies of the files",
    "what was sent by OTLP",
    "what a bot records of them from now on",
)
"""Where a forgotten person may still stand."""
_WAIT_S = 10.0
_PATIENCE_S = 60.0  # a rebuild, or a collector that does not answer, takes its time
_LOOK_EVERY_S = 0.02
OnRewrite = Callable[[str, Positions], object]
"""Is told the id of a log file that is about to be replaced, and how positions in it move."""


@dataclass(slots=True)
class ForgetReport:
    """What was done: rows deleted and scrubbed by table, names of files rewritten and removed."""

    deleted: dict[str, int] = field(default_factory=dict)
    scrubbed: dict[str, int] = field(default_factory=dict)
    files_rewritten: list[str] = field(default_factory=list)
    files_removed: list[str] = field(default_factory=list)


def forget(
    layout: StoreLayout,
    hasher: IdHasher,
    user: object,
    *,
    wait_s: float = _WAIT_S,
    on_rewrite: OnRewrite = lambda *_: None,
    opens: OpensColdRows | None = None,
) -> ForgetReport:
    """Takes a user or moderator out of everything that the store holds so far; bots may go on writing meanwhile.

    `user` is the id as the bots give it; a private chat of Telegram has its user's. Raises `SettingError` for an id
    that means nobody, `StoreError` where a process does not let go of an old log within `wait_s`. Run it again then:
    whatever it was stopped by, it goes on where it was. `opens` makes what can read and write segments; without it a
    store that has any is refused.
    """
    scrubber = Scrubber.of(user, hasher)
    now_ns = time.time_ns()
    bury(layout, hasher, scrubber.number, now_ns)
    _begin_new_log(layout)
    over = layout.rotated_files()
    wait_for_writers(over, wait_s)
    drain = _take_in(layout, hasher, over)
    with _sending_paused(layout) as move_cursor, drain.leading(), writing(layout.database) as connection:

        def moved(journal_id: str, positions: Positions) -> None:
            move_cursor(journal_id, positions)
            on_rewrite(journal_id, positions)

        cold = _cold(connection, layout, opens)
        if cold is not None:
            cold.adopt(Tombstones.load(layout, hasher))
        return _Forgetting(layout, connection, scrubber, over, moved, cold).run(iso(now_ns))


def holds_anything(layout: StoreLayout) -> bool:
    """Whether there is a store, or anything of one."""
    if any(path.exists() for path in (layout.database, *layout.journal_files())):
        return True
    return any([*files_set_aside(layout.database), *foreign_logs(layout), *rejected_files(layout)])


class _Forgetting:
    """One run, while no other process drains. Tables come last: until then they know which sessions are own."""

    def __init__(
        self, layout: StoreLayout, connection: sqlite3.Connection, scrubber: Scrubber, over: list[Path], on_rewrite: OnRewrite,
        cold: ColdRows | None,
    ) -> None:  # fmt: skip
        self._layout = layout
        self._connection = connection
        self._scrubber = scrubber
        self._logs = [path for path in over if path.exists()]
        self._on_rewrite = on_rewrite
        self._cold = cold
        self._report = ForgetReport()

    def run(self, timestamp: str) -> ForgetReport:
        layout, report = self._layout, self._report
        for folder in {layout.database.parent, layout.log_file.parent}:
            remove_drafts(folder)
        foreign, rejected = foreign_logs(layout), rejected_files(layout)
        sessions = self._own_sessions([*foreign, *rejected, *self._logs])
        eraser = Eraser(self._scrubber, sessions, timestamp)
        self._remove_damaged()
        for path in foreign:
            self._rewrite(path, eraser.keep_foreign)
        for path in rejected:
            self._rewrite(path, eraser.keep_rejected)
        # The newest first: older ones tell whose the sessions are of which the newer ones hold the rest.
        for path in reversed(self._logs):
            self._rewrite_log(path, eraser.keep)
        self._purge(sessions)
        report.files_rewritten.sort()
        return report

    def _own_sessions(self, paths: list[Path]) -> frozenset[str]:
        belongings = Belongings(self._scrubber)
        for path in paths:
            for line in _lines(path):
                belongings.meet(line)
        belongings.meet_tables(self._connection, self._cold)
        for path in paths:
            for line in _lines(path):
                belongings.judge(line)
        return belongings.sessions

    def _remove_damaged(self) -> None:
        """Databases and segments that were set aside as damaged can not be rewritten."""
        for path in [*files_set_aside(self._layout.database), *segments.files_set_aside(self._layout)]:
            path.unlink()
            self._report.files_removed.append(path.name)

    def _rewrite_log(self, path: Path, keep: Keep) -> None:
        header = header_at(path)
        if header is None:
            self._rewrite(path, keep)
        else:
            self._rewrite(path, keep, lambda positions: self._on_rewrite(header.journal_id, positions))

    def _rewrite(self, path: Path, keep: Keep, before_rename: Callable[[Positions], object] = lambda _: None) -> None:
        if rewrite(path, keep, before_rename):
            self._report.files_rewritten.append(path.name)

    def _purge(self, sessions: frozenset[str]) -> None:
        connection = self._connection
        rewritten = self._cold.without(self._scrubber, sessions) if self._cold else Rewritten()
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._report.deleted, self._report.scrubbed = purge(connection, self._scrubber, sessions)
            self._note_ends()
            archive.forget(connection, sessions, self._scrubber.text)
            self._replace(rewritten)
            connection.execute("COMMIT")
        except BaseException:
            roll_back(connection)
            raise
        connection.execute("PRAGMA temp_store = DEFAULT")
        # What a killed one did not come to, the next one does, or whoever sweeps: such segments have no time of grace.
        segments.sweep(connection, self._layout, 0, grace_ns=-1)
        compact(connection)

    def _replace(self, rewritten: Rewritten) -> None:
        """The new segments take the place of the old ones; their rows count with those of the tables."""
        report = self._report
        for mine, theirs in ((report.deleted, rewritten.deleted), (report.scrubbed, rewritten.scrubbed)):
            for table, count in theirs.items():
                mine[table] = mine.get(table, 0) + count
        if rewritten.replaced:
            segments.retire(self._connection, rewritten.replaced, 0)
            segments.enter(self._connection, rewritten.made)
        report.files_rewritten += rewritten.replaced

    def _note_ends(self) -> None:
        """Rewritten logs have been read to their ends, which are elsewhere now."""
        for path in self._logs:
            header = header_at(path)
            if header is not None:
                self._connection.execute(
                    "UPDATE journal_files SET offset = ? WHERE journal_id = ?", (path.stat().st_size, header.journal_id)
                )


def _cold(connection: sqlite3.Connection, layout: StoreLayout, opens: OpensColdRows | None) -> ColdRows | None:
    """What works on the segments, where there are any."""
    if not segments.files_of(layout):
        return None
    if opens is None:
        raise StoreError(
            f"the person may stand in {layout.segments_folder}", "somebody who can rewrite segments",
            "run `otel-metrics forget`",
        )  # fmt: skip
    if faults := segments.missing_or_broken(layout, segments.listed(connection)):
        raise StoreDamaged(next(iter(faults.values())), "a sound Parquet file", REPAIR)
    return opens(connection, layout)


@contextmanager
def _sending_paused(layout: StoreLayout) -> Iterator[OnRewrite]:
    """Nobody sends the log on meanwhile; gives what moves the cursor of sending.

    It is moved before the log is replaced: killed between the two, lines are sent twice rather than not at all.
    """
    with ExitStack() as locks:
        for path in (layout.forward_lock, layout.replay_lock):
            lock = FileLock(path)
            if not lock.acquire(_PATIENCE_S):
                raise StoreError(
                    f"another process has been sending spans on by OTLP for {_PATIENCE_S:g} s", "that it ends", "run `forget` again"
                )  # fmt: skip
            locks.callback(lock.release)
        cursor = load_cursor(layout)

        def move(journal_id: str, positions: Positions) -> None:
            if cursor is not None and journal_id in cursor.positions:
                cursor.positions[journal_id] = positions.new(cursor.positions[journal_id])
                save_cursor(layout, cursor)

        yield move


def _take_in(layout: StoreLayout, hasher: IdHasher, over: list[Path]) -> Drain:
    """Moves the logs that are over into the tables, to their ends. Another process's look at one may hold up a pass."""
    is_rebuild = not layout.database.exists()
    drain = Drain(layout, hasher=lambda: hasher if is_rebuild else None)
    deadline = time.monotonic() + _PATIENCE_S
    while not drain.run(_PATIENCE_S).held:
        unread = _unread(layout, over)
        if not unread:
            return drain
        if time.monotonic() >= deadline:
            raise StoreError(
                f"{unread[0].name} could not be read to its end", "that nobody keeps it", "run `forget` again"
            )
        time.sleep(_LOOK_EVERY_S)
    raise StoreError(
        f"another process has been moving the log into the tables for {_PATIENCE_S:g} s", "that it ends", "run `forget` again"
    )  # fmt: skip


def _unread(layout: StoreLayout, over: list[Path]) -> list[Path]:
    headers = [(path, header_at(path)) for path in over]
    with reading(layout.database) as connection:
        sealed = {row[0] for row in connection.execute("SELECT journal_id FROM journal_files WHERE sealed = 1")}
    return [path for path, header in headers if header is not None and header.journal_id not in sealed]


def _begin_new_log(layout: StoreLayout) -> None:
    """Rotates, whatever the size, so that the current log holds nothing old."""
    layout.prepare()
    path = layout.log_file
    with FileLock(layout.rotate_lock):
        if path.exists():
            journal_files.set_foreign_aside(layout)
        if path.exists() and not _is_begun(path):
            journal_files.rename_current(layout)
        journal_files.create_current(layout, to_disk=True)


def _is_begun(path: Path) -> bool:
    """Whether a log holds its first line and no other."""
    with path.open("rb") as file:
        return bool(file.readline()) and not file.read(1)


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            yield line.rstrip(b"\n")
