"""The guide "Add moderators", followed to the letter: its programs are saved and run, and they print what it shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "add_moderators.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_guide_works_as_written(tmp_path):
    """Three programs in three processes, run by the guide's own commands, leave what the guide says."""
    blocks = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    programs = [body for kind, body in blocks if kind == "python"]
    (commands,), (shown,) = ([body for kind, body in blocks if kind == wanted] for wanted in ("sh", "text"))
    for body in programs:
        (tmp_path / body.splitlines()[0].removeprefix("# ")).write_text(body, encoding="utf-8")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "otel-metrics").write_text(f'#!/bin/sh\nexec {sys.executable} -m otel_metrics "$@"\n', encoding="utf-8")
    (tools / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "COLUMNS": "160"}
    run = subprocess.run(
        ["sh", "-ec", commands], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith(shown)
    said = run.stdout.removeprefix(shown)
    assert "Moderators decided 3 times: 1 approved, 1 edited, 1 rejected." in said
    assert "All 2 deliveries are just what was approved." in said
