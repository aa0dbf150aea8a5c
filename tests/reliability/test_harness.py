"""The tests themselves: known faults are put back into a copy of the package, and each must be caught."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_S = 600


@dataclass(frozen=True)
class Fault:
    """What is put back: texts of a module and what they become, and the test that is to fail then."""

    name: str
    module: str
    changes: tuple[tuple[str, str], ...]
    test: str


KILL = "reliability/test_kill.py"
FAULTS = [
    Fault(
        "the offset outside the transaction of its rows", "store/drain.py",
        (("batch.insert(connection)\n", "batch.insert(connection)\n            connection.executescript('COMMIT; BEGIN IMMEDIATE')\n"),),
        KILL,
    ),
    Fault(
        "no lock around the drain", "store/drain.py",
        (("not self._lock.acquire(timeout_s)", "not (self._lock.acquire(timeout_s) or True)"),),
        "reliability/test_many_processes.py::test_many_writers_with_drainers_and_readers_count_exactly",
    ),
    Fault(
        "a line in two writes", "store/journal.py",
        (("self._turns.write(self._descriptor, whole)", "sum(os.write(self._descriptor, part) for part in (whole[:40], whole[40:]))"),),
        "reliability/test_many_processes.py::test_many_writers_with_drainers_and_readers_count_exactly",
    ),
    Fault(
        "no fork hook", "store/journal.py", (("in_children(self._forked)", "self._forked"),),
        "store/test_accounts.py::test_forked_child_has_an_account_of_its_own",
    ),
    Fault(
        "a record that is acknowledged before it is written", "store/journal.py",
        (("                self._write(line)\n", "                late, self._late = getattr(self, '_late', b''), line\n                if late:\n                    self._write(late)\n"),),
        KILL,
    ),
    Fault(
        "a log that is closed while somebody writes to it", "store/drain.py",
        (("rotated and has_no_writer(file.fileno())", "rotated"),),
        "store/test_retention.py::test_rotated_log_that_is_not_read_to_its_end_stays",
    ),
    Fault(
        "a log that is deleted before it was read", "store/retention.py",
        (("header is not None and header.journal_id in sealed", "header is not None"),), KILL,
    ),
    Fault(
        "no guard after a torn line", "store/journal.py", (("if self._torn else", "if False else"),),
        "store/test_journal.py::test_line_that_only_half_fits_is_ended_by_the_next",
    ),
    Fault(
        "a drop that is not counted", "store/ledger.py", (("self._losses.drop(reason)", "0"),),
        "reliability/test_write_errors.py::test_error_at_any_call_to_the_journal",
    ),
    Fault(
        "an error that reaches the bot", "store/ledger.py",
        (('            return self.lost(errno.errorcode.get(error.errno or 0, "OSError"), error)\n', "            raise\n"),),
        "reliability/test_write_errors.py::test_error_at_any_call_to_the_journal",
    ),
    Fault(
        "spans that are marked as sent before they are", "telemetry/forward.py",
        (("refused = self._deliver(spans)", "taking.keep()\n        refused = self._deliver(spans)"),),
        "reliability/test_collectors.py::test_spans_of_a_bot_that_never_saw_a_collector_are_sent_by_the_next_process",
    ),
    Fault(
        "a clock that is always believed", "store/tables.py", (("self.prune(now_ns)\n", "self.prune()\n"),),
        "store/test_retention_clock.py::test_background_deletes_nothing_under_a_clock_that_jumped",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of package and tests, in which children of the tests find the copied package too."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("otel_metrics", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    """Runs one test against the copy."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", f"tests/{test}"], cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True,
        timeout=LONGEST_S, check=False,
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("test", sorted({fault.test for fault in FAULTS}))
def test_without_a_fault_the_test_passes(copy: Path, test: str) -> None:
    """What is to catch a fault passes where there is none; otherwise its failure would say nothing."""
    result = run(copy, test)
    assert result.returncode == 0, result.stdout[-3000:]


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_is_caught(copy: Path, fault: Fault) -> None:
    """A fault that is put back makes its test fail."""
    path = copy / "otel_metrics" / fault.module
    sound = path.read_text(encoding="utf-8")
    faulty = sound
    for text, instead in fault.changes:
        assert faulty.count(text) == 1, f"{text!r} is not in {fault.module} once: write the fault anew"
        faulty = faulty.replace(text, instead)
    path.write_text(faulty, encoding="utf-8")
    try:
        result = run(copy, fault.test)
    finally:
        path.write_text(sound, encoding="utf-8")
    assert result.returncode == 1, result.stdout[-3000:]
    assert " error" not in result.stdout.splitlines()[-1]
    print(f"{fault.name}: caught by {fault.test}")
