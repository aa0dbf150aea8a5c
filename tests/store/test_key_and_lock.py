"""The key of the hashes, and the lock by which one process at a time works on the tables."""

import os
import stat
import threading
from pathlib import Path

import pytest
from support.processes import start
from support.stores import layout_in

from otel_metrics.errors import StoreDamaged
from otel_metrics.store.key import load_key
from otel_metrics.store.locks import FileLock


def test_key_is_made_once_and_private(tmp_path: Path) -> None:
    """The first to ask makes 32 random bytes that only the owner can read; everybody after that gets the same."""
    layout = layout_in(tmp_path)
    key = load_key(layout, None)
    assert len(key) == 32
    assert load_key(layout, None) == key
    assert stat.S_IMODE(layout.key_file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.db.key"]


def test_threads_that_ask_at_once_get_one_key(tmp_path: Path) -> None:
    """Many that start at the same moment agree on one key."""
    together, keys = threading.Barrier(8), set()

    def ask() -> None:
        together.wait()
        keys.add(load_key(layout_in(tmp_path), None))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 1


def test_key_of_the_settings_needs_no_file(tmp_path: Path) -> None:
    """With `METRICS_ID_KEY` no key file is made, so that several hosts can agree."""
    assert load_key(layout_in(tmp_path), "a key of several hosts") == b"a key of several hosts"
    assert list(tmp_path.iterdir()) == []


def test_damaged_key_is_not_replaced(tmp_path: Path) -> None:
    """A key file of another length is said to be damaged: a new key would make new hashes of old ids."""
    layout = layout_in(tmp_path)
    layout.key_file.write_bytes(b"short")
    with pytest.raises(StoreDamaged, match=r"metrics\.db\.key has not 32 bytes"):
        load_key(layout, None)
    assert layout.key_file.read_bytes() == b"short"


def test_one_holder_at_a_time_among_threads_and_processes(tmp_path: Path) -> None:
    """While one holds the lock neither another object, thread nor process gets it; when it is released, they do."""
    path = tmp_path / "lock"
    lock, other = FileLock(path), FileLock(path)
    assert lock.acquire()
    assert not lock.acquire()
    assert not other.acquire()
    assert not other.acquire(timeout_s=0.02)
    lock.release()
    assert other.acquire()
    other.release()
    code = """
        import sys; from pathlib import Path; from otel_metrics.store.locks import FileLock
        print(FileLock(Path(sys.argv[1])).acquire(), flush=True); input()
    """
    holder = start(code, tmp_path, str(path))
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    assert not lock.acquire()
    holder.kill()
    holder.communicate()
    assert lock.acquire()
    lock.release()


def test_lock_is_free_though_a_child_inherited_it(tmp_path: Path) -> None:
    """Releasing frees the lock for everybody, also while a copy of its descriptor is open elsewhere."""
    lock, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert lock.acquire()
    assert lock._descriptor is not None
    inherited = os.dup(lock._descriptor)
    lock.release()
    assert other.acquire()
    other.release()
    os.close(inherited)
