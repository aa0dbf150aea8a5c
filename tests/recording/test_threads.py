"""Recording from many threads at once."""

import threading
from collections import Counter

from support.stores import count, lines, rows

from otel_metrics import MetricsService

THREADS, STAGES = 8, 500


def test_eight_threads_lose_nothing(service: MetricsService) -> None:
    """Eight threads with 500 stages each leave 4,000 rows, each line whole, also where they share a session."""
    shared = service.create_session(1, 2)
    own = [service.create_session(number, number) for number in range(THREADS)]
    together = threading.Barrier(THREADS)

    def work(number: int) -> None:
        together.wait()
        for index in range(STAGES):
            session_id = shared if index % 2 else own[number]
            with service.timer(session_id, number, 0, "ai_processing", thread=number, index=index):
                pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    stages = rows(service, "processing_metrics")
    assert len({(row["metadata"]["thread"], row["metadata"]["index"]) for row in stages}) == THREADS * STAGES
    assert len(stages) == THREADS * STAGES
    per_session = Counter(row["session_id"] for row in stages)
    assert per_session == {shared: THREADS * STAGES // 2, **dict.fromkeys(own, STAGES // 2)}
    assert len(lines(service, "begin")) == THREADS * STAGES
    assert count(service, "running") == 0
    assert service.losses.snapshot() == {}
    assert service.kit is not None
    assert service.kit.live == {}


def test_draining_beside_recording_loses_nothing(service: MetricsService) -> None:
    """While one thread moves lines into the tables again and again, others record; all arrive once."""
    over = threading.Event()

    def drain() -> None:
        while not over.is_set():
            service.storage.drain(1.0)

    def work(number: int) -> None:
        for index in range(300):
            service.record_system_metric(f"thread {number}", index)

    draining = threading.Thread(target=drain)
    draining.start()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    draining.join()
    found = Counter((row["metric_type"], row["value"]) for row in rows(service, "system_metrics"))
    assert found == {(f"thread {number}", str(index)): 1 for number in range(4) for index in range(300)}
