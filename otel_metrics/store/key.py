"""Owns the key of the id hashes: a setting, or a file of 32 random bytes beside the database, made once."""

import errno
import os
from contextlib import suppress

from otel_metrics.errors import StoreDamaged
from otel_metrics.store.layout import StoreLayout, open_private

_LENGTH = 32


def load_key(layout: StoreLayout, setting: str | None) -> bytes:
    """The key. Two processes that start at once agree: the file appears whole, by a link that only one can make."""
    if setting is not None:
        return setting.encode("utf-8", "surrogatepass")
    path = layout.key_file
    for _ in range(2):
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            _create(layout)
            continue
        if len(key) == _LENGTH:
            return key
        break
    raise StoreDamaged(
        f"the key file {path} has not {_LENGTH} bytes", "the file as it was made",
        "restore it from a backup, or remove it: new hashes will then differ from those sent before",
    )  # fmt: skip


def _create(layout: StoreLayout) -> None:
    path = layout.key_file
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = open_private(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            if os.write(descriptor, os.urandom(_LENGTH)) != _LENGTH:
                raise OSError(errno.ENOSPC, "the disk took only a part of the key", str(path))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with suppress(FileExistsError):  # another process was first; its key counts
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
