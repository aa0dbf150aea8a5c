"""Owns the putting in order of a store's files: private to their owner, and without drafts that dead processes left."""

import os
import re
import time
from contextlib import suppress
from pathlib import Path

from otel_metrics.store.alive import is_alive
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.own_files import is_of_store
from otel_metrics.store.rewriting import remove_drafts
from otel_metrics.store.segments import files_of

_OLD_S = 60.0


def make_private(layout: StoreLayout) -> list[Path]:
    """Files get the mode 0600, and folders that hold nothing but the store 0700; gives those that had another one."""
    changed = []
    for folder in sorted({layout.database.absolute().parent, layout.log_file.absolute().parent}):
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
        own = [path for path in inside if path.is_file() and is_of_store(layout, path)]
        changed += [path for path in own if _set_mode(path, 0o600)]
        strangers = [path for path in inside if path not in own and not path.name.startswith(".")]
        strangers = [path for path in strangers if path != layout.segments_folder.absolute()]
        if own and not strangers and _set_mode(folder, 0o700):
            changed.append(folder)
    folder = layout.segments_folder
    if folder.is_dir():
        changed += [path for path in files_of(layout) if _set_mode(path, 0o600)]
        changed += [folder] * _set_mode(folder, 0o700)
    return changed


def _set_mode(path: Path, mode: int) -> bool:
    status = path.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077 == 0:
        return False
    path.chmod(mode)
    return True


def remove_stale_drafts(layout: StoreLayout) -> list[Path]:
    """Removes what processes began to write and died; gives the names. Call only while holding the drain lock."""
    before = _hidden(layout)
    for folder in {path.parent for path in before}:
        remove_drafts(folder)  # nobody rewrites a log without the drain lock
    for path in before:
        if _is_stale(layout, path):
            with suppress(FileNotFoundError):
                path.unlink()
    return [path for path in before if not path.exists()]


def _hidden(layout: StoreLayout) -> list[Path]:
    folders = {layout.database.absolute().parent, layout.log_file.absolute().parent}
    return sorted(
        path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.name.startswith(".")
    )


def _is_stale(layout: StoreLayout, path: Path) -> bool:
    """Whether a draft's process is gone. A young one is spared: its process may live where its number means nothing here."""
    for whole in (layout.log_file, layout.key_file):
        if found := re.fullmatch(rf"\.{re.escape(whole.name)}\.(\d+)\.[0-9a-f]+", path.name):
            with suppress(OSError):
                return not is_alive(int(found[1])) and time.time() - path.stat().st_mtime > _OLD_S
    return False
