"""Owns the writing of one record into the journal on behalf of a bot: never raises, counts what the disk does not take."""

import errno
import time
import warnings
from pathlib import Path

from otel_metrics.model.losses import Losses
from otel_metrics.model.records import Json, Record, Tally, encode_line
from otel_metrics.model.times import iso
from otel_metrics.store.journal import Journal, NotConfirmedError

_WARN_EVERY_S = 60.0


class JournalLedger:
    """The bot's end of the journal."""

    def __init__(self, journal: Journal, losses: Losses) -> None:
        self._journal = journal
        self._losses = losses
        self._next_warning = 0.0

    @property
    def log_file(self) -> Path:
        """Where records go: two ledgers of one file are one store."""
        return self._journal.log_file

    @property
    def forwards(self) -> bool:
        """Whether the lines of this process are to be sent on by OTLP."""
        return self._journal.forwards

    def append(self, record: Record | Json) -> bool:
        """Writes the record; False if it could not be kept, which is then counted and warned about once a minute."""
        try:
            self._journal.append(encode_line(record))
        except NotConfirmedError as error:
            self._losses.note("not_confirmed")
            self._warn(f"records are kept, but the disk does not confirm them ({error})")
        except OSError as error:
            return self.lost(errno.errorcode.get(error.errno or 0, "OSError"), error)
        except Exception as error:  # a record from a stranger's span may hold anything; the bot must not see it
            return self.lost("unwritable_record", error)
        if self._losses.untold:
            self.tell()
        return True

    def tell(self) -> None:
        """Writes into the journal how many records were dropped so far, if that is news; the disk may refuse this too."""
        dropped = self._losses.take_untold()
        if not dropped:
            return
        message = f"{sum(dropped.values())} records were dropped"
        try:
            self._journal.append(
                encode_line(Tally(iso(time.time_ns()), "warning", "records_dropped", message, dropped))
            )
        except OSError:  # not counted: the equation is about records, and this one is told again with the next
            self._losses.untold = True

    def close(self) -> None:
        """Lets go of the log file; a later record opens it again."""
        self._journal.close()

    def lost(self, reason: str, error: Exception) -> bool:
        """Counts a record that could not be kept and warns about it, once a minute; always False."""
        count = self._losses.drop(reason)
        self._warn(f"{count} records lost so far because they could not be written ({error})")
        return False

    def _warn(self, message: str) -> None:
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + _WARN_EVERY_S
            warnings.warn(
                f"otel_metrics: {message}; the bot goes on, recording resumes by itself", RuntimeWarning, stacklevel=3
            )
