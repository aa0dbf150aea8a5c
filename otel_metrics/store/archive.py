"""Owns what the tables still know of sessions whose rows have moved to segments: that they are over, and by which end."""

import hashlib
import sqlite3
from collections.abc import Callable, Collection, Iterable

_BLOCK = 500


def key_of(session_id: str) -> bytes | str:
    """How a session is written in the archive: half the size for an id of 32 hex digits."""
    if len(session_id) == 32:
        try:
            key = bytes.fromhex(session_id)
        except ValueError:
            return session_id
        if key.hex() == session_id:
            return key
    return session_id


def digest_of(process: str | None, end_time: str | None) -> bytes:
    """Which end of a session it is."""
    return hashlib.blake2b(f"{process} {end_time}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


def archived(connection: sqlite3.Connection, session_ids: Collection[str]) -> dict[str, bytes | None]:
    """Of these sessions those that are in the archive, each with the digest of the end that counts."""
    if not session_ids or not connection.execute("SELECT EXISTS (SELECT 1 FROM archived_sessions)").fetchone()[0]:
        return {}
    keys = {key_of(one): one for one in session_ids}
    found: dict[str, bytes | None] = {}
    ordered = list(keys)
    for start in range(0, len(ordered), _BLOCK):
        block = ordered[start : start + _BLOCK]
        marks = ", ".join("?" * len(block))
        rows = connection.execute(f"SELECT session, first_end FROM archived_sessions WHERE session IN ({marks})", block)
        found.update((keys[key], digest) for key, digest in rows)
    return found


def archive(connection: sqlite3.Connection, sessions: Iterable[tuple[str, str, bytes | None]]) -> None:
    """Notes sessions that move: id, day of the end, digest of the end. Call inside the transaction that moves them."""
    connection.executemany(
        "INSERT OR IGNORE INTO archived_sessions VALUES (?, ?, ?)",
        [(key_of(session_id), day, digest) for session_id, day, digest in sessions],
    )


def forget(connection: sqlite3.Connection, sessions: Iterable[str], renamed: Callable[[str], str]) -> int:
    """Takes sessions out, and ids of persons out of the ids of others; gives how many rows are other ones now."""
    keys = [(key_of(one),) for one in sessions]
    count = max(0, connection.executemany("DELETE FROM archived_sessions WHERE session = ?", keys).rowcount)
    texts = connection.execute("SELECT session FROM archived_sessions WHERE typeof(session) = 'text'").fetchall()
    changed = [(key_of(renamed(text)), text) for (text,) in texts if renamed(text) != text]
    connection.executemany("UPDATE OR REPLACE archived_sessions SET session = ? WHERE session = ?", changed)
    return count + len(changed)
