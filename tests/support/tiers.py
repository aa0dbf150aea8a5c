"""Where rows lie: in the tables, in segments, or in both."""

from otel_metrics import MetricsService
from otel_metrics.analytics.compaction import Compacted, compact


def move_to_segments(service: MetricsService) -> Compacted:
    """Moves what may move; rows of open sessions stay in the tables."""
    service.flush()
    done = compact(service.storage, service.settings, wait_s=10.0)
    assert done is not None
    return done
