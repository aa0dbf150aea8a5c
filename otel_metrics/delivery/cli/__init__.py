"""The door for people at a terminal: `otel-metrics`, and `python -m otel_metrics`."""


def main() -> None:
    """Runs the command line on the arguments of the process and ends it with the exit status."""
    import sys

    from otel_metrics.delivery.cli.program import run

    sys.exit(run(sys.argv[1:]))
