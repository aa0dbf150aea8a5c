"""The words of the package and the facts it records: pure values and functions, no files, no clock of its own."""
