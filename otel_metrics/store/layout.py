"""Owns where the files of a store lie and how they are made: private to their owner, whatever the umask."""

import os
from dataclasses import dataclass
from pathlib import Path

from otel_metrics.store.aside import files_set_aside


@dataclass(frozen=True, slots=True)
class StoreLayout:
    """The paths of one store, all derived from its two configured files."""

    database: Path
    log_file: Path

    @property
    def key_file(self) -> Path:
        """The key of the id hashes, beside the database."""
        return self.database.with_name(self.database.name + ".key")

    @property
    def tombstones_file(self) -> Path:
        """Keyed hashes of who was forgotten, beside the database."""
        return self.database.with_name(self.database.name + ".forgotten")

    @property
    def segments_folder(self) -> Path:
        """The columnar files of the cold rows, beside the database."""
        return self.database.with_name(self.database.name + ".segments")

    @property
    def drain_lock(self) -> Path:
        """Held by the one process that moves journal lines into the tables."""
        return self.database.with_name(f".{self.database.name}.lock")

    @property
    def rotate_lock(self) -> Path:
        """Held while journal files are created or renamed."""
        return self.log_file.with_name(f".{self.log_file.name}.lock")

    @property
    def rejected_file(self) -> Path:
        """Journal lines that could not be read."""
        return self.log_file.with_name(f"{self.log_file.stem}.rejected")

    @property
    def forward_file(self) -> Path:
        """How far each journal file has been sent on by OTLP."""
        return self.log_file.with_name(f"{self.log_file.stem}.forward")

    @property
    def forward_lock(self) -> Path:
        """Held by the one process that sends journal lines on."""
        return self.log_file.with_name(f".{self.log_file.stem}.forward.lock")

    @property
    def replay_lock(self) -> Path:
        """Held while a batch of stored spans is on its way to another place."""
        return self.database.with_name(f".{self.database.name}.replay.lock")

    def replay_file(self, target: str) -> Path:
        """Which stored spans were sent to a target, which is known here by a digest."""
        return self.database.with_name(f"{self.database.name}.replay-{target}")

    @property
    def notify_lock(self) -> Path:
        """Held by the one process that sends messages about alerts."""
        return self.database.with_name(f".{self.database.name}.notify.lock")

    def journal_files(self) -> list[Path]:
        """Rotated files, oldest first, and the current one; one may go or be renamed between this look and the next."""
        return [*self.rotated_files(), self.log_file]

    def rotated_file(self, number: int) -> Path:
        """The name that journal file `number` gets when it is rotated; higher is newer."""
        return self.log_file.with_name(f"{self.log_file.name}.{number:06d}")

    def rotated_files(self) -> list[Path]:
        """The rotated journal files, oldest first."""
        prefix = self.log_file.name + "."
        found = []
        for entry in _entries(self.log_file.parent):
            digits = entry.removeprefix(prefix)
            if digits != entry and digits.isdigit():
                found.append((int(digits), entry))
        return [self.log_file.with_name(name) for _, name in sorted(found)]

    def damaged_files(self) -> list[Path]:
        """Databases that were set aside as damaged, oldest first, each followed by what SQLite had beside it."""
        return files_set_aside(self.database)

    def prepare(self) -> None:
        """Makes the folders, private to the owner."""
        for folder in {self.database.parent, self.log_file.parent}:
            if not folder.is_dir():
                # Not `parents=True`: that would make the folders above with the umask's rights.
                for one in [*reversed(folder.parents), folder]:
                    one.mkdir(mode=0o700, exist_ok=True)


def open_private(path: Path, flags: int) -> int:
    """Opens or creates a file of mode 0600 and gives its descriptor, which no child program inherits."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        if flags & os.O_CREAT and os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _entries(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
