"""Owns the command `capacity`."""

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer


def capacity(database: Database = None, hours: Hours = 24, form: Printed = Form.TABLE) -> None:
    """Arrivals by hour of the week, and how many moderators a waiting time needs."""
    answer(database, form, lambda answers: answers.capacity(hours))
