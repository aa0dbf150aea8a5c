"""Owns the command `users`."""

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer


def users(database: Database = None, hours: Hours = 24, form: Printed = Form.TABLE) -> None:
    """Sessions, peak hours, repeat contacts and response times as users feel them."""
    answer(database, form, lambda answers: answers.users(hours))
