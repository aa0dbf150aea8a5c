"""Errors of the disk at the Nth call of a living bot: the host never notices, and every record is kept or counted."""

import errno
import os
import shutil
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from support.faults import EVERY, FOREVER, Faults, Operation, faults_in, needs_faults
from support.faults.bot import Bot
from support.faults.evidence import Account, check
from support.stores import count

pytestmark = needs_faults

ERRORS = ("ENOSPC", "EIO", "EROFS", "EACCES", "EMFILE")
SETTINGS = {"log_max_bytes": 4096, "log_backups": 100_000, "drain_interval_s": 3600}
JOURNAL, ANY_OF_JOURNAL, ANY_OF_DATABASE = "/metrics.jsonl", "metrics.jsonl", "metrics.db"
OBEYING_RIGHTS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")  # root is asked like anybody else then
ON_A_SMALL_DISK = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=2m none "$0" && exec "$@"')
SIZES = [50, pytest.param(500, marks=pytest.mark.long)]


@pytest.mark.parametrize("most", SIZES)
@pytest.mark.parametrize("error", ERRORS)
def test_error_at_any_call_to_the_journal(tmp_path: Path, error: str, most: int) -> None:
    """Whatever call to the journal's files fails, for a moment or until the disk is mended: the bot goes on, each record is kept once or counted under the error's name, and recording resumes by itself."""
    faults, account = faults_in(tmp_path), Account()
    number = getattr(errno, error)
    with Bot(tmp_path, **faults.variables) as bot:
        for text, operations in ((ANY_OF_JOURNAL, EVERY), (JOURNAL, Operation.WRITE)):
            for nth in range(1, most + 1):
                bot.open(folder := tmp_path / f"{operations.value}_{nth}", **SETTINGS)
                for times in (1 + nth % 3, FOREVER):
                    faults.fail(text, operations, number, first=nth, times=times)
                    account.suffer(bot, faults, nth)
                account.add(bot, folder)
    account.tell(error)
    assert set(account.dropped) == {error}


@pytest.mark.parametrize("most", SIZES)
@pytest.mark.parametrize("kept", [1, 100, -2, -1], ids=["one byte", "100 bytes", "all but two", "all but the line end"])
def test_disk_that_takes_a_part_of_a_line(tmp_path: Path, kept: int, most: int) -> None:
    """A disk takes a part of any write to the journal and then none for a while: the part is set aside, the record is counted, and no other line suffers."""
    faults, account = faults_in(tmp_path), Account()
    with Bot(tmp_path, **faults.variables) as bot:
        for text in (ANY_OF_JOURNAL, JOURNAL):
            for nth in range(1, most + 1):
                bot.open(folder := tmp_path / f"{len(text)}_{nth}", **SETTINGS)
                for times in (1, 1 + nth % 3, FOREVER):
                    faults.shorten(text, kept, errno.EIO, first=nth, times=times)
                    account.suffer(bot, faults, nth)
                account.add(bot, folder)
    account.tell(f"{kept} bytes")
    assert set(account.dropped) == {"ENOSPC", "EIO"}
    assert (account.torn > 0) == (kept != -1)


@pytest.mark.parametrize("most", SIZES)
@pytest.mark.parametrize("error", ERRORS)
def test_error_at_any_call_to_the_tables(tmp_path: Path, error: str, most: int) -> None:
    """Whatever call to the SQLite file, its log or its lock fails while the bot drains: no record is dropped, and when the disk is mended each has its row once in a sound database."""
    number = getattr(errno, error)
    drains_fail(
        tmp_path,
        most,
        error,
        lambda faults, nth, times: faults.fail(ANY_OF_DATABASE, EVERY, number, first=nth, times=times),
    )


@pytest.mark.parametrize("most", SIZES)
def test_disk_that_takes_a_part_of_a_page(tmp_path: Path, most: int) -> None:
    """A disk takes a part of any write to the SQLite file or its log: no record is dropped, and when the disk is mended each has its row once in a sound database."""
    drains_fail(
        tmp_path, most, "a part of a page",
        lambda faults, nth, times: faults.shorten(ANY_OF_DATABASE, 100, errno.ENOSPC, first=nth, times=times),
    )  # fmt: skip


def drains_fail(folder: Path, most: int, label: str, order: Callable[[Faults, int, int], None]) -> None:
    """Orders a fault from each of the first calls on, for some calls and for ever, while a bot drains into new stores."""
    faults, account, failed = faults_in(folder), Account(), 0
    with Bot(folder, **faults.variables) as bot:
        for nth in range(1, most + 1):
            bot.open(store := folder / f"{nth}", **SETTINGS)
            bot.work(30)
            for times in (1 + nth % 3, FOREVER):
                order(faults, nth, times)
                account.suffer(bot, faults, nth, drains=True)
            failed += bot.losses()["fault_in_drain"]
            account.add(bot, store)
    account.tell(f"{label}, {failed} passes failed")
    assert failed > most // 2
    assert account.dropped == {}


@pytest.mark.parametrize("error", ERRORS)
def test_tables_that_fail_beside_a_working_bot(tmp_path: Path, error: str) -> None:
    """While the background drain fails the bot records on; when the disk is mended the rows come by themselves within 5 s."""
    faults, account = faults_in(tmp_path), Account()
    with Bot(tmp_path, **faults.variables) as bot:
        bot.open(folder := tmp_path / "store", **{**SETTINGS, "drain_interval_s": 0.02})
        for first in (1, 10, 30, 60):
            faults.fail(ANY_OF_DATABASE, EVERY, getattr(errno, error), first=first, times=FOREVER)
            work_until_drains_fail(bot, 2)
            faults.heal()
            account.hits += faults.hit
            begun = time.monotonic()
            wait_until(lambda: stages_in(folder) == len([one for one in bot.kept if one[0] == "stage"]))
            account.slowest_s = max(account.slowest_s, time.monotonic() - begun)
        account.add(bot, folder)
    account.tell(error)
    assert account.slowest_s < 5.0  # the promise
    assert account.dropped == {}


@pytest.mark.parametrize("most", [10, pytest.param(500, marks=pytest.mark.long)])
def test_disk_that_does_not_confirm(tmp_path: Path, most: int) -> None:
    """Where every line is to be on the disk before its call returns, a disk that refuses to confirm costs a record or does not, but the account is right."""
    faults, account = faults_in(tmp_path), Account()
    with Bot(tmp_path, **faults.variables) as bot:
        for nth in range(1, most + 1):
            bot.open(folder := tmp_path / f"{nth}", **SETTINGS, durability="strict")
            for times in (1 + nth % 3, FOREVER):
                faults.fail(ANY_OF_JOURNAL, Operation.SYNC, errno.EIO, first=nth, times=times)
                account.suffer(bot, faults, nth)
            account.add(bot, folder)
    account.tell("strict")


@pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere, and setpriv is missing"
)
def test_folder_that_may_not_be_written(tmp_path: Path) -> None:
    """In a folder whose rights are taken away an open log is written on, a new one can not be made and is counted, and all is well when the rights are back."""
    account = Account()
    with Bot(tmp_path, *(OBEYING_RIGHTS if os.geteuid() == 0 else ())) as bot:
        for begun in (False, True):
            bot.open(folder := tmp_path / f"begun_{begun}", **SETTINGS)
            bot.work(3 * begun)
            folder.chmod(0o500)
            bot.work(30)
            bot.tick()
            assert bot.losses()["fault_in_drain"] == 1
            assert bot.dropped == ({} if begun else {"EACCES": 120})
            folder.chmod(0o700)
            account.slowest_s = max(account.slowest_s, bot.resume())
            account.add(bot, folder)
    account.tell("read-only folder")
    assert account.slowest_s < 5.0  # the promise


@pytest.mark.parametrize("rounds", [10, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="only root can mount a small disk")
def test_small_disk_that_others_fill_and_clear(tmp_path: Path, rounds: int) -> None:
    """On a small disk that is full again and again, while recording and while draining, the account is right to the record."""
    account, disk = Account(), tmp_path / "disk"
    disk.mkdir()
    if subprocess.run([*ON_A_SMALL_DISK, str(disk), "true"], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    with Bot(tmp_path, *ON_A_SMALL_DISK, str(disk)) as bot:
        seen = Path(f"/proc/{bot.pid}/root{disk}")  # the mount is the bot's alone
        for number in range(rounds):
            bot.open(disk / f"{number}", **SETTINGS)
            shutil.rmtree(seen / f"{number - 1}", ignore_errors=True)
            bot.work(5)
            for drains in (False, True):
                fill(seen / "stuff", spare_bytes=4096 * (number % 3))
                bot.work(30)
                if drains:
                    bot.tick()
                (seen / "stuff").unlink()
                account.slowest_s = max(account.slowest_s, bot.resume())
            bot.flush()
            # SQLite follows the link behind /proc out of the mount, so it is asked about a copy.
            shutil.copytree(seen / f"{number}", copy := tmp_path / f"{number}")
            account.take(bot, check(bot, copy))
    account.tell("full disk")
    assert account.slowest_s < 5.0  # the promise
    assert account.dropped["ENOSPC"] > rounds
    assert set(account.dropped) == {"ENOSPC"}


@pytest.mark.parametrize("error", ERRORS)
def test_draft_that_can_not_be_removed(tmp_path: Path, error: str) -> None:
    """A log is made under a passing name; where that name can not be taken away again, no log suffers from it."""
    faults, account = faults_in(tmp_path), Account()
    with Bot(tmp_path, **faults.variables) as bot:
        for nth in range(1, 6):
            bot.open(folder := tmp_path / f"{nth}", **SETTINGS)
            for times in (1, FOREVER):
                faults.fail(ANY_OF_JOURNAL, Operation.UNLINK, getattr(errno, error), first=nth, times=times)
                account.suffer(bot, faults, 10 * nth)
            account.add(bot, folder)
    account.tell(error)


def test_set_aside_once(tmp_path: Path) -> None:
    """A line that can not be read is set aside once, whatever call to the tables fails meanwhile."""
    faults, account = faults_in(tmp_path), Account()
    with Bot(tmp_path, **faults.variables) as bot:
        bot.open(folder := tmp_path / "store", **{**SETTINGS, "log_max_bytes": 1_000_000})  # all in one transaction
        for nth in range(1, 41):
            faults.shorten(JOURNAL, 100, errno.EIO, first=5)
            account.suffer(bot, faults, 5)
            faults.fail(ANY_OF_DATABASE, EVERY, errno.EIO, first=nth)
            account.suffer(bot, faults, nth, drains=True)
        account.add(bot, folder)
    account.tell("set aside")
    assert (folder / "metrics.rejected").read_bytes().count(b"\n") == account.torn == 40


def test_warning_says_what_the_disk_said(tmp_path: Path) -> None:
    """Whatever call to the tables fails, the warning names the disk's error."""
    faults, said = faults_in(tmp_path), Counter[str]()
    with Bot(tmp_path, **faults.variables) as bot:
        for nth in range(1, 41):
            bot.open(tmp_path / f"{nth}", **SETTINGS)
            bot.work(2)
            faults.fail(ANY_OF_DATABASE, EVERY, errno.ENOSPC, first=nth)
            bot.tick()
            faults.heal()
        said.update(warning.partition(": expected")[0].rpartition(": ")[2] for warning in bot.warnings())
    print(f"40 passes, {dict(said)}")
    assert "cannot rollback" not in str(said)


@pytest.mark.xfail(reason="until a store can be made calls are counted, and a stage is one call and two records")
def test_bot_that_starts_on_a_full_disk(tmp_path: Path) -> None:
    """A bot whose first record meets a full disk counts what is lost and records when there is room again."""
    faults, account = faults_in(tmp_path), Account()
    faults.fail(str(tmp_path / "metrics"), EVERY & ~Operation.READ, errno.ENOSPC, times=FOREVER)
    with Bot(tmp_path, METRICS_DRAIN_INTERVAL="3600", METRICS_LOG_BACKUPS="1000", **faults.variables) as bot:
        bot.work(5)
        faults.heal()
        bot.resume()
        account.add(bot, tmp_path)
    account.tell("first use")


def fill(stuff: Path, spare_bytes: int) -> None:
    """Takes what is left of a disk but for some bytes."""
    with stuff.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    os.truncate(stuff, max(0, stuff.stat().st_size - spare_bytes))


def work_until_drains_fail(bot: Bot, times: int) -> None:
    """Lets the bot work until so many more of its drains have failed."""
    enough = bot.losses()["fault_in_drain"] + times

    def failed() -> bool:
        bot.work(2)
        return bot.losses()["fault_in_drain"] >= enough

    wait_until(failed)


def stages_in(folder: Path) -> int:
    """How many stages the tables hold; 0 where there is no table yet."""
    try:
        return count(folder / "metrics.db", "processing_metrics")
    except sqlite3.OperationalError:
        return 0


def wait_until(reached: Callable[[], object]) -> None:
    """Asks again and again, for half a minute."""
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.002)
