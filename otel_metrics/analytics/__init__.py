"""The read wing at a desk: DuckDB over what the store holds; it may be heavy, and its errors are loud."""
