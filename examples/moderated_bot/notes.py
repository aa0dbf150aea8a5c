"""The bots' own record of what they did and how long it took; it knows nothing of otel_metrics.

A bot does not need this. It is here so that every figure on the dashboard can be worked out a second time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Notes:
    """A JSONL file that several processes append to."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, what: str, **fields: object) -> None:
        """Append one line: ``at`` (epoch seconds), ``what``, and the fields."""
        line = json.dumps({"at": time.time(), "pid": os.getpid(), "what": what, **fields}) + "\n"
        os.write(self._descriptor, line.encode())  # one write per line: the two bots' lines never mix

    @contextmanager
    def stage(self, session: str, stage: str) -> Iterator[None]:
        """Note a stage with its begin and end (epoch seconds), and whether an exception left it."""
        started, clock = time.time(), time.perf_counter()
        success = False
        try:
            yield
            success = True
        finally:
            ended = started + time.perf_counter() - clock
            self.write("stage", session=session, stage=stage, started=started, ended=ended, success=success)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
