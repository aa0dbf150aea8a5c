"""Any arguments on the command line: an answer or one line that says what is wrong, never a traceback."""

import io
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from hypothesis import strategies as st
from support.cli import real
from support.fuzzing import SIZES, Fuzz
from typer.main import get_command

from otel_metrics.delivery.cli import program

COMMANDS = ["demo", "dashboard", "alerts", "sessions", "session", "queue", "sql", "export", "prune", "doctor"]
OPTIONS = [
    "--database", "--hours", "--format", "--watch", "--fail-on", "--limit", "--output", "--since", "--until", "--sessions", "--seed",
    "--help", "-h", "--version", "--", "-", "--nope", "--format=json", "--hours=", "-hh", "--database=m.db",
]  # fmt: skip
# No number is between 4 and a million: a demo of many sessions would be long, and not wrong.
VALUES = [
    "m.db", "none.db", "m.jsonl", "o.csv", "o.parquet", "o.db", "o.what", "json", "table", "csv", "xml", "0", "1", "-1", "2.5", "nan", "inf", "-inf",
    "1e999", "1e-300", "99999999999999999999", "processing_metrics", "sessions", "running", "nothing", "SELECT 1", "FROM sessions", "FROM nothing",
    "SELECT 1; SELECT 2", "PRAGMA version", "SELECT '\ud800'", "COPY sessions TO 'x'", "SELECT 1/0", "", " ", "\0", "\x1b[31m", "~", "~nobody-of-that-name",
    "2026-01-01", "whenever", "9999-12-31T23:59:59Z", "a" * 300, "*", "%s", "{}", "'; DROP TABLE x", "[bold]x[/]", "日本語", "ab",
]  # fmt: skip
words = st.one_of(
    st.sampled_from(OPTIONS),
    st.sampled_from(VALUES),
    st.text(st.characters(exclude_categories=["Nd"], exclude_characters="/"), max_size=6),
)
any_words = st.tuples(st.sampled_from(COMMANDS) | words, st.lists(words, max_size=6)).map(
    lambda parts: [parts[0], *parts[1]]
)

SOUND = [
    ["demo", "--sessions", "1", "--seed", "3", "--database", "o.db"], ["dashboard", "--hours", "24", "--format", "json"],
    ["alerts", "--hours", "2", "--format", "csv", "--fail-on"], ["sessions", "--limit", "2", "--format", "json", "--database", "m.db"],
    ["session", "6", "--database", "m.db"], ["queue", "--format", "csv", "--database", "m.db"],
    ["sql", "FROM sessions", "--format", "json", "--database", "m.db"], ["sql", "-", "--database", "m.db"],
    ["export", "sessions", "--output", "o.csv", "--since", "2026-01-01", "--database", "m.db"], ["prune", "--format", "json"],
    ["doctor", "--format", "json", "--database", "m.db"],
]  # fmt: skip
nearly_sound = st.builds(
    lambda line, place, word: [*line[: place % len(line)], word, *line[place % len(line) + 1 :]],
    st.sampled_from(SOUND), st.integers(0, 12), words,
)  # fmt: skip
# What is sound takes thirty times as long as what is refused.
command_lines = st.one_of(*[any_words] * 30, nearly_sound)


@SIZES
def test_any_arguments_end_with_a_status_and_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], total: int
) -> None:
    """Whatever is typed behind `otel-metrics`, the exit status is 0 to 4, what is wrong is told in one line, and it is never our fault."""
    assert real("demo", "--sessions", 3, "--database", "m.db", folder=tmp_path).returncode == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    # Commands are made once: that takes longer than all the rest, and was done anew for every command line.
    monkeypatch.setattr(program, "get_command", cache(get_command))
    statuses = Counter[int]()

    def check(command_line: list[str]) -> None:
        if "--database" in command_line and "" in command_line:
            return  # this has a test of its own
        monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT 2"))
        status = program.run(command_line)
        output, notes = capsys.readouterr()
        statuses[status] += 1
        assert status in range(5), notes
        assert "fault of otel_metrics" not in notes
        assert "Traceback" not in notes + output
        assert status == 0 or notes or output

    fuzz = Fuzz(total)
    for number in fuzz.rounds():
        fuzz.round(number, command_lines, check)
    with capsys.disabled():
        print(f"statuses {dict(statuses)}")
    assert statuses[0] > 0 < statuses[2]


def test_empty_path_is_refused_in_our_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--database ''`, which an unset variable in a script makes, is wrong use: status 2 and what was expected."""
    monkeypatch.chdir(tmp_path)
    assert program.run(["dashboard", "--database", ""]) == 2
    assert "expected the path of a file" in capsys.readouterr().err
