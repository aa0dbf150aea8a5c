"""What `import otel_metrics` costs a bot's start, against `import opentelemetry.sdk.trace`; whole processes, in turn."""

import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 15


def main() -> None:
    """Prints the medians and the ratios: of the import, and of import and first use together."""
    with tempfile.TemporaryDirectory() as folder:
        place = f"database={folder + '/metrics.db'!r}, log_file={folder + '/metrics.jsonl'!r}"
        found: dict[str, list[float]] = {
            "import opentelemetry.sdk.trace": [],
            "import otel_metrics": [],
            "from otel_metrics import configure, timer": [],
            f"import otel_metrics; otel_metrics.configure({place})": [],
        }
        for _ in range(ROUNDS):
            for statement, seconds in found.items():
                seconds.append(_seconds(statement))
    yardstick, *ours = found.items()
    print(f"{yardstick[0]}: {statistics.median(yardstick[1]) * 1000:.0f} ms")
    for statement, seconds in ours:
        ratio = statistics.median(mine / theirs for mine, theirs in zip(seconds, yardstick[1], strict=True))
        shown = statement.replace(place, "…")
        print(f"{shown}: {statistics.median(seconds) * 1000:.0f} ms; ratio {ratio:.2f}")


def _seconds(statement: str) -> float:
    before = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
