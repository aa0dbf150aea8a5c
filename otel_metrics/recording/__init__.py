"""The write wing inside somebody's bot: facts are recorded on the OpenTelemetry API alone; it never fails and never waits."""
