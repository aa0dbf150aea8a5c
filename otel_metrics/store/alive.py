"""Owns whether a process of this machine lives."""

import os


def is_alive(pid: int) -> bool:
    """Whether there is a process of this number, whoever owns it. In another container the number means another one."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # a number from a file's name may be too large for any process
        return False
    except PermissionError:  # it lives, and belongs to another user
        pass
    return True
