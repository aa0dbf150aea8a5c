"""The two bots as child processes: started together, stopped with SIGTERM, their complaints kept in files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from .settings import Settings

STOP_TIMEOUT_S = 30


class BotFailedError(Exception):
    """A bot complained, or did not stop cleanly; the message is what it wrote to standard error."""


class Bots:
    """The user bot and the moderator bot while a `with` lasts; a bot that was not well raises at the end."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        self._folder = settings.folder
        self._environment = {**os.environ, **environment, **settings.to_environment()}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each bot by its module's name."""
        return {name: process.pid for name, process in self._running.items()}

    def __enter__(self) -> Self:
        with ExitStack() as failed:
            failed.callback(self.stop)
            for name in ("user_bot", "moderator_bot"):
                command = [sys.executable, "-m", f"{__package__}.{name}"]
                with (self._folder / f"{name}.err").open("wb") as complaints:
                    self._running[name] = subprocess.Popen(command, env=self._environment, stderr=complaints)
            failed.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        for name, process in self._running.items():
            complaint = (self._folder / f"{name}.err").read_text(encoding="utf-8", errors="replace")
            if process.returncode != 0 or complaint:
                raise BotFailedError(f"{name} ended with status {process.returncode}:\n{complaint}")

    def stop(self) -> None:
        """Ask both to stop and wait for them; one that does not stop in time is killed."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
