"""`python -m otel_metrics` is `otel-metrics`."""

from otel_metrics.delivery.cli import main

if __name__ == "__main__":
    main()
