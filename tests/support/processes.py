"""Real processes: a piece of Python in an interpreter of its own, with a store in a given folder."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

TIMEOUT_S = 60


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The variables that lead a process to the store in `folder`, and no others of ours or of OpenTelemetry's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("METRICS_", "OTEL_", "ENABLE_"))}
    return {
        **kept,
        "METRICS_DATABASE": str(folder / "metrics.db"),
        "METRICS_LOG_FILE": str(folder / "metrics.jsonl"),
        "METRICS_DRAIN_INTERVAL": "0",
        **more,
    }


def start(code: str, folder: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """Starts the code with arguments; its standard input, output and error are pipes of text."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        env=environment(folder, **more),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], timeout_s: float = TIMEOUT_S) -> str:
    """Waits for the end and gives the output; the process must have ended well and without a word on standard error."""
    try:
        output, complaint = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 0, complaint
    assert not complaint, complaint
    return output


def run(code: str, folder: Path, *arguments: str, timeout_s: float = TIMEOUT_S, **more: str) -> str:
    """Runs the code to its end and gives its output."""
    return finish(start(code, folder, *arguments, **more), timeout_s)
