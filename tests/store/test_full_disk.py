"""A full disk: the bot goes on, what is lost is counted, recording resumes by itself."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import environment, run
from support.stores import lines, rows

BOT = """
    import json, os, resource, sys, warnings
    import otel_metrics

    def fill(folder, full):
        # A limit on the size of any file, since a disk of one's own is not to be had everywhere.
        size = os.stat(os.environ["METRICS_LOG_FILE"]).st_size
        soft = size + 700 if full else resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    service = otel_metrics.get_metrics_service()
    session_id = otel_metrics.create_session(1, 2)
    kept = 0

    def work(count, phase):
        for number in range(count):
            with otel_metrics.timer(session_id, 1, 2, "ai_processing", phase=phase, number=number):
                pass
            otel_metrics.get_logger().info("tick", phase, number=number)

    work(10, "before")
    fill(".", True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        work(100, "full")
        service.tick()
        otel_metrics.record_correction(session_id, 7, "m", "rejection", "a", "b", 1)
        otel_metrics.end_session(session_id)
    fill(".", False)
    work(10, "after")
    print(json.dumps({"losses": service.losses.snapshot(), "warnings": [str(one.message) for one in caught]}))
"""


def test_bot_goes_on_and_every_loss_is_counted(tmp_path: Path) -> None:
    """While no byte more fits, nothing raises, one warning comes, each lost record is counted; afterwards all is kept."""
    told = json.loads(run(BOT, tmp_path))
    stages = rows(tmp_path / "metrics.db", "processing_metrics")
    kept = [row["metadata"]["phase"] for row in stages]
    assert (kept.count("before"), kept.count("after")) == (10, 10)
    logged = rows(tmp_path / "metrics.db", "logs")
    begun = {line["metric_id"] for line in _readable(tmp_path, "begin")}
    written = len(logged) + len(stages) + len(begun)
    # Of 120 stages, 120 log lines and 120 begins, of the correction, its span and the session's end: kept or counted.
    also = len(rows(tmp_path / "metrics.db", "correction_metrics")) + len(rows(tmp_path / "metrics.db", "spans"))
    lost = {reason: number for reason, number in told["losses"].items() if reason != "fault_in_drain"}
    assert written + also + sum(lost.values()) == 363
    assert set(lost) <= {"EFBIG", "ENOSPC"}
    assert lost
    assert len([message for message in told["warnings"] if "records lost so far" in message]) == 1


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="only root can mount a small disk of its own"
)
def test_disk_that_is_really_full(tmp_path: Path) -> None:
    """On a file system of 256 kB that somebody else fills and clears again, the bot never notices and the rest is kept."""
    disk = tmp_path / "disk"
    disk.mkdir()
    code = """
        import os, sys, warnings
        warnings.simplefilter("ignore")
        import otel_metrics
        folder = sys.argv[1]
        service = otel_metrics.get_metrics_service()
        session_id = otel_metrics.create_session(1, 2)
        def work(count):
            for number in range(count):
                with otel_metrics.timer(session_id, 1, 2, "ai_processing", number=number):
                    pass
        work(10)
        service.flush()
        with open(folder + "/stuff", "wb", buffering=0) as stuff:
            try:
                while stuff.write(b"x" * 512):
                    pass
            except OSError:
                pass
        work(200)
        service.tick()
        lost = service.losses.snapshot()
        assert lost.get("ENOSPC", 0) > 100, lost
        os.unlink(folder + "/stuff")
        work(10)
        service.flush()
        rows = service.storage.reading()
        with rows as connection:
            found = connection.execute("SELECT count(*) FROM processing_metrics").fetchone()[0]
            sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
        print(found >= 20, sound)
    """
    import textwrap

    command = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=512k none "$1" && exec "$2" -c "$3" "$1"', "sh"]
    done = subprocess.run(
        [*command, str(disk), sys.executable, textwrap.dedent(code)],
        env=environment(disk), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip("mounting is not allowed here")
    assert (done.stdout, done.returncode) == ("True ok\n", 0), done.stderr


def _readable(folder: Path, kind: str) -> list[dict]:
    found = []
    for line in (folder / "metrics.jsonl").read_bytes().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry["kind"] == kind:
            found.append(entry)
    return found


assert lines
