"""Owns how a command ends: its exit status, errors as one line, quiet ends on Ctrl-C and closed pipes."""

import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import typer
from typer.main import get_command

from otel_metrics.delivery.cli.application import app
from otel_metrics.delivery.cli.streams import note, prepare_streams
from otel_metrics.delivery.cli.text import clean
from otel_metrics.errors import OtelMetricsError

# Typer brings its own copy of click from 0.20 on and the library before: its public error leads to the right base.
_UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])
_INTERRUPTED, _BROKEN_PIPE, _USAGE = 130, 141, 2


def run(arguments: Sequence[str]) -> int:
    """Runs one command and gives the exit status: that of the error where there is one."""
    prepare_streams()
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_args, **_more: note(message)
        try:
            status = get_command(app).main(list(arguments), prog_name="otel-metrics", standalone_mode=False)
            sys.stdout.flush()
        except (BrokenPipeError, SystemExit) as end:
            # Typer makes an exit of status 1 of a broken pipe; here 1 says that a check failed.
            if isinstance(end, SystemExit) and not isinstance(end.__context__, BrokenPipeError):
                raise
            _let_go_of_output()
            return _BROKEN_PIPE
        except KeyboardInterrupt:
            return _INTERRUPTED
        except OtelMetricsError as error:
            return _fail(str(error), error.exit_status)
        except _UsageError as error:
            return _fail(_usage_message(error), _USAGE)
        except OSError as error:
            _let_go_of_output()
            return _fail(_file_message(error), 1)
        except Exception as error:
            if sys.flags.dev_mode:
                raise
            return _fail(
                f"{type(error).__name__}: {error}; this is a fault of otel_metrics; "
                "`python -X dev -m otel_metrics …` shows where, please report it", 1,
            )  # fmt: skip
    return status if isinstance(status, int) else 0


def _fail(message: str, status: int) -> int:
    with suppress(BrokenPipeError):
        sys.stderr.write(f"error: {clean(message)}\n")
    return status


def _usage_message(error: typer.BadParameter) -> str:
    message = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "otel-metrics"
    return f"{message[:1].lower()}{message[1:]}; see `{command} --help`"


def _file_message(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"{error}; expected it to be free; try again when that process is done"
    found = ": ".join(str(part) for part in (error.filename, error.strerror) if part) or str(error)
    return f"{found}; expected a file that this user may read and write; check its rights and the space on the disk"


def _let_go_of_output() -> None:
    """Python flushes standard output at its end and would complain: it gets somewhere to flush to."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
