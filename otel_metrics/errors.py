"""The error tree of the package: what a desk says when something is wrong, each with the exit status it ends a command with.

    OtelMetricsError            1  (never raised itself)
    ├── SettingError            2  also a ValueError: a setting or an argument is not usable
    ├── QueryError              2  the SQL, a table name or a time is not acceptable
    ├── ItemError               2  also a ValueError: a string is no moderation item of ours
    ├── MissingExtra            2  an optional dependency is not installed
    ├── StoreError              1  the store can not do this now
    │   ├── StoreDamaged        3  a file of the store is not what it should be
    │   └── StoreNewer          4  the store was written by a newer program
    ├── DeliveryError           1  another place does not take what is sent to it
    └── CheckFailed             1  a check looked and found something wrong

Every message says what was found, what was expected and what to do.
"""


class OtelMetricsError(Exception):
    """Base of every error that this package raises at a desk. `exit_status` is what the command line ends with."""

    exit_status = 1

    def __init__(self, found: str, expected: str = "", remedy: str = "") -> None:
        self.found, self.expected, self.remedy = found, expected, remedy
        parts = [found]
        if expected:
            parts.append(f"expected {expected}")
        if remedy:
            parts.append(remedy)
        super().__init__("; ".join(parts))


class SettingError(OtelMetricsError, ValueError):
    """A setting or argument has a value that can not be used."""

    exit_status = 2


class QueryError(OtelMetricsError, ValueError):
    """A question to the store is not acceptable: not one reading statement, an unknown table, a broken time."""

    exit_status = 2


class ItemError(OtelMetricsError, ValueError):
    """A string can not be opened as a moderation item. The message holds nothing of what the string holds."""

    exit_status = 2


class MissingExtra(OtelMetricsError, ImportError):
    """An optional part was asked for and its libraries are not installed."""

    exit_status = 2


class StoreError(OtelMetricsError):
    """The store can not do what was asked now."""


class StoreDamaged(StoreError):
    """A file of the store is not what it should be."""

    exit_status = 3


class StoreNewer(StoreError):
    """The store was written by a newer version of the program, which this one must not write to."""

    exit_status = 4


class DeliveryError(OtelMetricsError):
    """Another place does not take what is sent to it."""


class CheckFailed(OtelMetricsError):
    """A check ran and found something that is not fine."""
