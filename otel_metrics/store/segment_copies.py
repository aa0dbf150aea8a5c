"""Owns the segments of a backup: whole copies in a folder beside it, of which none is taken for another."""

import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from otel_metrics.errors import SettingError, StoreDamaged
from otel_metrics.store.journal_files import sync_folder
from otel_metrics.store.layout import StoreLayout, open_private
from otel_metrics.store.segments import Segment, day_of, is_sound
from otel_metrics.store.telling import REPAIR

_DRAFT = ".draft"


def check_folder(target: StoreLayout) -> None:
    """Raises `SettingError` where the folder of a backup's segments is there and holds something else."""
    folder = target.segments_folder
    if not folder.exists():
        return
    strangers = [] if folder.is_dir() else [folder]
    strangers += [path for path in folder.iterdir() if not _is_ours(path)] if folder.is_dir() else []
    if strangers:
        raise SettingError(
            f"{strangers[0]} is there and no segment of a backup", "an older backup's segments or none",
            "give another path or remove it",
        )  # fmt: skip


def copy_segments(
    source: StoreLayout, target: StoreLayout, segments: Collection[Segment], *, may_be_gone: bool
) -> bool:
    """Copies those that the target does not have; False where one is gone by now: somebody was forgotten meanwhile.

    Not links: what damages the one would damage the other. Raises `StoreDamaged` for a segment that is not sound, or
    is gone and may not be.
    """
    folder = target.segments_folder
    if segments and not folder.is_dir():
        folder.mkdir(mode=0o700)
    for one in segments:
        copy, original = folder / one.name, source.segments_folder / one.name
        if copy.exists() and copy.stat().st_size == one.bytes and is_sound(copy):
            continue
        try:
            _copy(original, copy)
        except FileNotFoundError as error:
            if may_be_gone:
                return False
            raise StoreDamaged(f"{original} is gone", "a sound Parquet file", REPAIR) from error
        if not is_sound(copy):
            copy.unlink()
            raise StoreDamaged(f"{original} is damaged", "a sound Parquet file to copy", REPAIR)
    if segments:
        sync_folder(folder)
    return True


def remove_others(target: StoreLayout, segments: Iterable[Segment]) -> None:
    """Removes what an older backup at this place had, and the folder where nothing is in it then."""
    folder, known = target.segments_folder, {one.name for one in segments}
    if not folder.is_dir():
        return
    for path in [one for one in folder.iterdir() if _is_ours(one) and one.name not in known]:
        path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _is_ours(path: Path) -> bool:
    return path.is_file() and day_of(path.with_name(path.name.removesuffix(_DRAFT).removeprefix("."))) is not None


def _copy(original: Path, copy: Path) -> None:
    draft = copy.with_name(f".{copy.name}{_DRAFT}")
    with original.open("rb") as source:
        with os.fdopen(open_private(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        draft.rename(copy)
