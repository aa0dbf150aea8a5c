"""Writers and drainers by the dozen: forked from a process that has loaded everything, to be killed without mercy."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import TracebackType
from typing import Self

from support.processes import environment

PROGRAM = """
    import os, signal, sys, warnings
    import otel_metrics
    from otel_metrics.store import drain

    warnings.simplefilter("ignore")
    acknowledged = int(sys.argv[1])

    def write(name):
        session_id = otel_metrics.create_session(1, 2)
        number = 0
        while True:
            with otel_metrics.timer(session_id, 1, 2, "ai_processing", ack=f"{name}-{number}"):
                pass
            otel_metrics.record_system_metric(name, number)
            os.write(acknowledged, b"%s-%d\\n" % (name.encode(), number))
            number += 1

    def move(name):
        storage = otel_metrics.get_metrics_service().storage
        while True:
            storage.drain(1.0)

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        kind, name = line.split()
        pid = os.fork()
        if pid == 0:
            try:
                {"writer": write, "drainer": move}[kind](name)
            finally:
                os._exit(9)
        print(pid, flush=True)
"""


class Nursery:
    """The process that forks them, while a `with` lasts; at the end all are killed."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.acknowledged: set[str] = set()
        self._unread = b""
        self._names = 0
        self._alive: dict[int, str] = {}
        self._pipe, writing_end = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), str(writing_end)],
            env=environment(folder, **variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            pass_fds=[writing_end],
        )
        os.close(writing_end)

    def start(self, kind: str) -> None:
        """Forks a writer or a drainer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._names += 1
        self._process.stdin.write(f"{kind} {kind}{self._names}\n")
        self._alive[int(self._process.stdout.readline())] = kind

    @property
    def pids(self) -> list[int]:
        """Those that live."""
        return list(self._alive)

    def kill(self, pid: int) -> str:
        """Kills one by SIGKILL and gives its kind."""
        os.kill(pid, signal.SIGKILL)
        return self._alive.pop(pid)

    def wait_for(self, more: int) -> None:
        """Reads until so many more lines have been acknowledged."""
        wanted = len(self.acknowledged) + more
        while len(self.acknowledged) < wanted:
            assert self._read(), "nobody writes any more"

    def _read(self) -> bool:
        data = os.read(self._pipe, 65_536)
        *whole, self._unread = (self._unread + data).split(b"\n")
        self.acknowledged.update(line.decode() for line in whole)
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in self.pids:
            self.kill(pid)
        complaint = self._process.communicate(timeout=30)[1]
        while self._read():
            pass
        os.close(self._pipe)
        if error is None:
            assert not complaint, complaint
