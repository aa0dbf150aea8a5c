"""A desk in this process: commands by the hundred, each of which must end as a command does."""

import contextlib
import io
import os

from otel_metrics.delivery.cli.program import run


def desk(*arguments: object) -> tuple[int, str]:
    """Runs one command; gives its status and all that it said in one line, which is never a traceback or a fault of ours."""
    said = io.StringIO()
    os.environ["COLUMNS"] = "1000"
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = run([str(one) for one in arguments])
    finally:
        del os.environ["COLUMNS"]
    text = " ".join(said.getvalue().split())
    assert "Traceback" not in text, text
    assert "fault of otel_metrics" not in text, text
    assert 0 <= status <= 4, text
    return status, text
