"""Completion of commands, options and names, as shells ask for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import environment

ASK = """
eval "$(_OTEL_METRICS_COMPLETE=source_bash otel-metrics)"
complete -p otel-metrics
COMP_WORDS=(otel-metrics "$@")
COMP_CWORD=$#
_otel_metrics_completion otel-metrics
printf '%s\\n' "${COMPREPLY[@]}"
"""


def _variables(folder: Path) -> dict[str, str]:
    """The environment of a shell that finds the command."""
    program = folder / "bin" / "otel-metrics"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m otel_metrics "$@"\n')
    program.chmod(0o700)
    return environment(folder, PATH=f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def _in_bash(folder: Path, *words: str) -> list[str]:
    """What bash proposes for the last word."""
    shell = shutil.which("bash")
    if shell is None:
        pytest.skip("there is no bash")
    result = subprocess.run(
        [shell, "--norc", "-c", ASK, "bash", *words], cwd=folder, env=_variables(folder), capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    first, *proposed = result.stdout.splitlines()
    assert "-F _otel_metrics_completion otel-metrics" in first
    assert result.stderr == ""
    return [one for one in proposed if one]


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        (("das",), ["dashboard"]), (("alerts", "s"), ["silence"]), (("queue", "--w"), ["--watch"]),
        (("alerts", "explain", "slow"), ["slow_processing", "slow_drafts"]), (("alerts", "test", ""), ["team"]),
        (("queue", "--format", "c"), ["csv"]), (("xyz",), []),
    ],
    ids=lambda words: " ".join(words),
)  # fmt: skip
def test_bash_proposes_what_there_is(tmp_path, words, proposed):
    """Commands and below them, options and their values, names of rules and targets."""
    (tmp_path / "metrics.rules.toml").write_text(
        '[[target]]\nname = "team"\nurl = "json://${NOT_SET}"\n'
        '[[rule]]\nname = "slow_drafts"\nkind = "slow_stage"\nthreshold = "1s"\n'
    )
    assert _in_bash(tmp_path, *words) == proposed


def test_bash_proposes_sessions(demo_folder, tmp_path):
    """By the beginning of their ids, those of the database that the option names."""
    shutil.copytree(demo_folder, tmp_path / "there")
    option = ("--database", str(tmp_path / "there" / "metrics.db"))
    found = _in_bash(tmp_path, "session", *option, "")
    assert len(found) == 50
    assert _in_bash(tmp_path, "session", *option, found[3][:31]) == [one for one in found if one[:31] == found[3][:31]]
    assert _in_bash(tmp_path, "session", "") == []
    (tmp_path / "metrics.rules.toml").write_text("[[rule\n")
    assert _in_bash(tmp_path, "alerts", "explain", "") == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_their_own_form(tmp_path, shell):
    """The script that leads them here, and the answer to it, with what the command is for."""
    variables = _variables(tmp_path)

    def ask(instruction: str) -> str:
        return subprocess.run(
            ["otel-metrics"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
            env={**variables, "_OTEL_METRICS_COMPLETE": instruction, "_TYPER_COMPLETE_ARGS": "otel-metrics das",
                 "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        ).stdout  # fmt: skip

    assert f"_OTEL_METRICS_COMPLETE=complete_{shell}" in ask(f"source_{shell}")
    assert "dashboard" in ask(f"complete_{shell}")
