"""Replacing a log by itself: positions can be followed, and what is not changed is not touched."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_metrics.store.rewriting import Positions, remove_drafts, rewrite

LINES = st.lists(
    st.tuples(st.binary(max_size=8).map(lambda text: text.replace(b"\n", b"")), st.sampled_from("kdc")), max_size=12
)


@given(lines=LINES, torn=st.booleans())
def test_positions_lead_to_the_same_next_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[bytes, str]], torn: bool
) -> None:
    """For every place between two lines, what follows in the new file is what is kept of what followed in the old one."""
    numbered = [(f"{number}:".encode() + text, fate) for number, (text, fate) in enumerate(lines)]
    fates = dict(numbered)
    new_of: dict[str, Callable[[bytes], bytes | None]] = {
        "k": lambda line: line,
        "d": lambda line: None,
        "c": lambda line: line + b" changed",
    }

    def keep(line: bytes) -> bytes | None:
        return new_of[fates[line]](line)

    path = tmp_path_factory.mktemp("log") / "log"
    ends = [b"\n"] * len(numbered)
    if torn and ends:
        ends[-1] = b""
    path.write_bytes(b"".join(line + end for (line, _), end in zip(numbered, ends, strict=True)))
    inode = path.stat().st_ino
    told: list[Positions] = []
    changed = rewrite(path, keep, told.append)
    assert changed == any(fate != "k" for _, fate in numbered)
    assert (path.stat().st_ino == inode) is not changed
    assert len(told) == changed
    positions = told[0] if told else Positions()
    place, result = 0, path.read_bytes()
    for at in range(len(numbered) + 1):
        rest = zip(numbered[at:], ends[at:], strict=True)
        assert result[positions.new(place) :] == b"".join(
            kept + end for (line, _), end in rest if (kept := keep(line)) is not None
        )
        place += len(numbered[at][0]) + 1 if at < len(numbered) else 0


def test_blank_lines_and_rights_stay(tmp_path: Path) -> None:
    """A rewritten file is private and has the time of the old one; its blank lines stay."""
    path = tmp_path / "log"
    path.write_bytes(b"a\n\nb\n")
    path.chmod(0o644)
    assert rewrite(path, lambda line: None if line == b"a" else line)
    assert path.read_bytes() == b"\nb\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["log"]


def test_drafts_of_the_dead_go(tmp_path: Path) -> None:
    """What a killed rewriting left is removed, and no other file."""
    names = {".log.rewrite", "log.rewrite", ".log.lock", "log"}
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    remove_drafts(tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == names - {".log.rewrite"}
