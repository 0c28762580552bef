"""Who holds a journal: its owner keeps an exclusive `flock` on it (see `contract.store`)."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def owned(path: Path) -> Iterator[bool]:
    """Hold the lock of a journal; False when a living owner has it, or it is gone or replaced."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        yield lock(fd) and _is_linked(path, fd)
    finally:
        os.close(fd)


def lock(fd: int) -> bool:
    """Take the lock of an open file until it is closed; False when another has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_linked(path: Path, fd: int) -> bool:
    """Tell whether the open file is still the one at `path`."""
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
