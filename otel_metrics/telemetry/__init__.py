"""What stands between OpenTelemetry's SDK and the store: exporter, processor, sampler, ids, providers."""
