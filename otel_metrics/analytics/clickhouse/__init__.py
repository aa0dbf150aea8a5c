"""Owns asking a ClickHouse that the collector's exporter writes: its schema, the dialect of its SQL, and the engine over it."""
