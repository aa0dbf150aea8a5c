"""How long a bot's event loop stands still because of us: a heartbeat every 5 ms, and the longest gap between two.

A bot in a process of its own records 200 stages a second while a backlog is drained, while the log rotates at every
look, and while the disk takes nothing (a limit on the size of files, which every write runs into). The first line is
the same loop without us: what the machine itself costs.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = 5.0
BACKLOG = 100_000
BOT = """
import asyncio, json, os, resource, sys, time, warnings
mode, seconds, backlog = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
warnings.simplefilter("ignore")
import otel_metrics as m
recording = mode != "without us"
if recording:
    service = m.configure(drain_interval_s=3600 if mode == "drain" else 0.2)
    session = m.create_session(1, 2)
    with m.timer(session, 1, 2, "ai_processing"):
        pass
    service.flush()
if mode == "drain":
    for number in range(backlog):
        m.record_system_metric("backlog", number)

async def beat(gaps):
    before = time.perf_counter()
    while True:
        await asyncio.sleep(0.005)
        now = time.perf_counter()
        gaps.append(now - before - 0.005)
        before = now

async def work():
    until = time.perf_counter() + seconds
    count = 0
    while time.perf_counter() < until:
        if recording:
            async with m.timer(session, 1, 2, "ai_processing", number=count):
                pass
        count += 1
        await asyncio.sleep(0.005)
    return count

async def main():
    gaps = []
    heart = asyncio.create_task(beat(gaps))
    if mode == "drain":
        draining = asyncio.create_task(asyncio.to_thread(service.tick))
    if mode == "full disk":
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize("metrics.jsonl") + 2000, resource.RLIM_INFINITY))
    await work()
    heart.cancel()
    return gaps

gaps = sorted(asyncio.run(main()))
facts = {"longest_ms": gaps[-1] * 1e3, "p99_ms": gaps[len(gaps) * 99 // 100] * 1e3, "beats": len(gaps)}
if recording:
    facts["dropped"] = sum(service.losses.dropped().values())
print(json.dumps(facts), flush=True)
os._exit(0)
"""
MODES = {"without us": {}, "recording": {}, "drain": {}, "rotation": {"METRICS_LOG_MAX_BYTES": "4096"}, "full disk": {}}


def main() -> None:
    """Prints the longest gap and p99 for each situation."""
    for mode in MODES:
        facts = measure(mode, SECONDS, BACKLOG)
        print(f"{mode}: longest gap {facts['longest_ms']:.1f} ms, p99 {facts['p99_ms']:.1f} ms, {facts}")


def measure(mode: str, seconds: float, backlog: int) -> dict[str, float]:
    """Runs the bot in one situation and gives its figures: milliseconds, beats, dropped records."""
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [sys.executable, "-c", BOT, mode, str(seconds), str(backlog)], cwd=folder, check=True, text=True,
            stdout=subprocess.PIPE, env={"PATH": "", "HOME": folder, **MODES[mode]},
        )  # fmt: skip
        facts: dict[str, float] = json.loads(result.stdout)
        rotated = len(list(Path(folder).glob("metrics.jsonl.0*")))
        return {**facts, "rotated": rotated}


if __name__ == "__main__":
    main()
