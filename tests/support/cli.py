"""The command line as tests run it: in this process or in one of its own."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.processes import environment

HOSTILE = "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe [bold red]markup[/] \x9b31m 日本語 👨‍👩‍👧\nnext\ttab"


@dataclass(frozen=True)
class Result:
    """How a command ended and what it said."""

    status: int
    output: str
    notes: str

    @property
    def lines(self) -> list[str]:
        return self.output.splitlines()


Cli = Callable[..., Result]


def real(*arguments: object, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "otel_metrics", *map(str, arguments)], cwd=folder, env=environment(folder, **variables),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def failed_session(cli: Cli, database: Path) -> dict[str, Any]:
    """The first session of a store that failed."""
    listed = json.loads(cli("sessions", "--database", database, "--format", "json", "--limit", 1000).output)
    return next(one for one in listed if one["outcome"] == "failed")
