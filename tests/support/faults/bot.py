"""A bot that works on order: told over standard input what to do, it answers what became of every record.

A step makes four records: a measured value, a log line, and a stage's begin and end. Whether one was kept is what the
bot can know: the service counted no drop while the call lasted.
"""

import json
import os
import select
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.processes import TIMEOUT_S, environment

Record = tuple[str, int]
_RESUME_S = 30.0


# --- in the process ------------------------------------------------------------------------------------------------


class Orders:
    """What can be ordered: each method is an order, its answer is JSON."""

    def __init__(self) -> None:
        import otel_metrics

        self._api = otel_metrics
        self._step = 0
        self._warnings: list[str] = []
        self._show = warnings.showwarning
        warnings.simplefilter("always")
        warnings.showwarning = self._warned

    def open(self, folder: str, more: dict[str, Any]) -> None:
        """Begins a new store in a folder; `more` are settings."""
        path = Path(folder)
        path.mkdir(exist_ok=True)
        self._api.configure(database=path / "metrics.db", log_file=path / "metrics.jsonl", **more)

    def work(self, steps: int) -> list[tuple[str, int, str]]:
        """Makes so many steps; gives each record with the reason why it was dropped, empty where it was kept."""
        made: list[tuple[str, int, str]] = []
        for _ in range(steps):
            self._make_step(made)
        return made

    def resume(self) -> tuple[float, list[tuple[str, int, str]]]:
        """Makes steps until one is kept whole; gives the seconds that this took and what was made."""
        begun, made = time.monotonic(), list[tuple[str, int, str]]()
        while time.monotonic() - begun < _RESUME_S:
            self._make_step(made)
            if not any(reason for _, _, reason in made[-4:]):
                break
        return time.monotonic() - begun, made

    def tick(self) -> None:
        """Does what the background thread does at its interval."""
        self._api.get_metrics_service().tick()

    def flush(self) -> None:
        """Drains, and waits for a drain that is under way."""
        self._api.get_metrics_service().flush()

    def warnings(self) -> list[str]:
        """What the package has warned about."""
        return self._warnings

    def losses(self) -> dict[str, int]:
        """What the service has counted, by reason."""
        return self._api.get_metrics_service().losses.snapshot()

    def _warned(self, message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if str(message).startswith("otel_metrics: "):
            self._warnings.append(str(message))
        else:
            self._show(message, category, *place, **more)

    def _make_step(self, made: list[tuple[str, int, str]]) -> None:
        self._step += 1
        step, losses = self._step, self._api.get_metrics_service().losses
        before = losses.dropped()

        def note(kind: str) -> None:
            nonlocal before
            now = losses.dropped()
            new = Counter(now) - Counter(before)
            new.pop("fault_in_drain", None)  # the thread's, and no record's
            made.append((kind, step, " ".join(new.elements())))
            before = now

        self._api.record_system_metric("step", step)
        note("system")
        self._api.get_logger().info("step", "a step", number=step)
        note("log")
        with self._api.timer(f"s{step}", 1, 2, "ai_processing"):
            note("begin")
        note("stage")


def main() -> None:
    """Obeys until standard input ends."""
    orders = Orders()
    for line in sys.stdin:
        order, *arguments = json.loads(line)
        print(json.dumps(getattr(orders, order)(*arguments)), flush=True)


# --- in the test ---------------------------------------------------------------------------------------------------


class Bot:
    """The process, while a `with` lasts; it must end well and without a word on standard error.

    `prefix` is a command that starts it, such as one that takes rights away.
    """

    def __init__(self, folder: Path, *prefix: str, **variables: str) -> None:
        self.made: dict[Record, str] = {}
        """Every record, with the reason why it was dropped."""
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(Path(__file__).parents[2])]))
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "support.faults.bot"],
            env=environment(folder, **{"PYTHONPATH": path, **variables}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def open(self, folder: Path, **settings: object) -> None:
        """Begins a new store, of which nothing is made yet."""
        self.ask("open", str(folder), settings)
        self.made = {}

    def work(self, steps: int) -> None:
        """Makes so many steps."""
        self._take(self.ask("work", steps))

    def resume(self) -> float:
        """Works until a step is kept whole, and gives the seconds that this took."""
        seconds, made = self.ask("resume")
        self._take(made)
        return float(seconds)

    def tick(self) -> None:
        """Lets it drain."""
        self.ask("tick")

    def flush(self) -> None:
        """Lets it drain what is recorded so far."""
        self.ask("flush")

    def warnings(self) -> list[str]:
        """What the package has warned about."""
        return list(self.ask("warnings"))

    def losses(self) -> Counter[str]:
        """What the service has counted, by reason."""
        return Counter(self.ask("losses"))

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def kept(self) -> set[Record]:
        """The records that the bot must believe to be safe."""
        return {record for record, reason in self.made.items() if not reason}

    @property
    def dropped(self) -> Counter[str]:
        """How many records were counted as dropped while their calls lasted, by reason."""
        return Counter(reason for reason in self.made.values() if reason)

    def ask(self, *order: object) -> Any:
        """Gives an order and waits for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        answer = b""
        while not answer.endswith(b"\n"):
            ready, _, _ = select.select([self._process.stdout], [], [], TIMEOUT_S)
            more = os.read(self._process.stdout.fileno(), 1 << 20) if ready else b""
            assert more, f"no answer to {order}: {self._complaint()}"
            answer += more
        return json.loads(answer)

    def _take(self, made: list[tuple[str, int, str]]) -> None:
        self.made.update({(kind, step): reason for kind, step, reason in made})

    def _complaint(self) -> str:
        self._process.kill()
        return self._process.communicate()[1].decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            _, complaint = self._process.communicate(timeout=TIMEOUT_S)
        finally:
            self._process.kill()
        if error is None:
            assert (self._process.returncode, complaint.decode()) == (0, "")


if __name__ == "__main__":
    main()
