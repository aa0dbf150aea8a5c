"""Owns which files are a store's own: those with a fixed name, and those that were set aside beside them."""

import os
from pathlib import Path

from otel_metrics.store import segments
from otel_metrics.store.layout import StoreLayout


def foreign_logs(layout: StoreLayout) -> list[Path]:
    """Logs of other programs, or of before, that were set aside."""
    return _beside(layout.log_file, f"{layout.log_file.stem}.before.")


def rejected_files(layout: StoreLayout) -> list[Path]:
    """Lines of the log that could not be read."""
    return _beside(layout.log_file, layout.rejected_file.name)


def is_of_store(layout: StoreLayout, path: Path) -> bool:
    """Whether a path is, or would be taken for, a file of the store, by whatever name."""
    database, log = layout.database, layout.log_file
    fixed = [
        *(database.with_name(database.name + end) for end in ("", "-wal", "-shm", "-journal")), log,
        layout.key_file, layout.segments_folder, layout.tombstones_file, layout.drain_lock, layout.rotate_lock, layout.forward_file, layout.forward_lock,
        layout.notify_lock, layout.replay_lock,
    ]  # fmt: skip
    begun = [
        database.with_name(f"{database.name}.damaged-"), layout.replay_file(""), log.with_name(f"{log.stem}.before."), layout.rejected_file
    ]  # fmt: skip
    folder = path.absolute().parent.resolve()
    if any(_folder(one) == folder and one.name == path.name for one in fixed):
        return True
    if any(_folder(one) == folder and path.name.startswith(one.name) for one in begun):
        return True
    number = path.name.removeprefix(f"{log.name}.")
    if _folder(log) == folder and number != path.name and number.isdigit():
        return True
    if layout.segments_folder.absolute().resolve() in {folder, *folder.parents}:
        return True
    return path.exists() and any(
        one.exists() and path.samefile(one) for one in [*fixed, *layout.rotated_files(), *segments.files_of(layout)]
    )


def _folder(path: Path) -> Path:
    return path.absolute().parent.resolve()


def _beside(path: Path, prefix: str) -> list[Path]:
    folder = path.parent
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    return [folder / name for name in names if name.startswith(prefix)]
