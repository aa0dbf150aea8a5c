"""Owns the command `stages`."""

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer


def stages(database: Database = None, hours: Hours = 24, form: Printed = Form.TABLE) -> None:
    """Where the time of a session goes: stages, waiting against working, the bottleneck."""
    answer(database, form, lambda answers: answers.stages(hours))
