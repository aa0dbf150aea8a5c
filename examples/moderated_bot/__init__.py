"""A Telegram bot whose AI drafts are reviewed by moderators, in two processes, measured with otel_metrics."""
