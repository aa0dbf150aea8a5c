"""Owns the command `system`."""

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer


def system(database: Database = None, hours: Hours = 24, form: Printed = Form.TABLE) -> None:
    """Memory, processor, queue length, restarts, errors and the state of this package itself."""
    answer(database, form, lambda answers: answers.system(hours))
