"""Locks on files by `flock`, released when the file is closed or its process ends.

A lock belongs to an open file, not to a name: so whoever appends to a journal locks the journal
itself, and whoever finds it locked knows that its owner lives. docs/decisions/0009 says why this is
not the library `filelock`.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOOK_SECONDS = 0.01


def lock(fd: int, *, wait: bool = False) -> bool:
    """Take the lock of an open file until it is closed; False when another has it.

    Raises:
        OSError: the file system knows no locks.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def share(fd: int) -> None:
    """Take a lock of an open file that others may share; `lock` then succeeds for the last holder.

    Of several that ask at the same time exactly one gets it: flock(2) gives the shared lock up
    before it looks for those of others.

    Raises:
        OSError: the file system knows no locks.
    """
    fcntl.flock(fd, fcntl.LOCK_SH)


def lock_within(fd: int, seconds: float) -> bool:
    """Take the lock of an open file; False when another has it for longer than `seconds`.

    Raises:
        OSError: the file system knows no locks.
    """
    until = time.monotonic() + seconds
    while not lock(fd):
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


@contextmanager
def locked(path: Path, *, wait: bool = True, create: bool = True) -> Iterator[int | None]:
    """Hold a lock file, made if need be; yield its open file, None if another has the lock.

    Raises:
        OSError: the file cannot be opened or made.
    """
    fd = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o640)
    try:
        yield fd if lock(fd, wait=wait) else None
    finally:
        os.close(fd)


@contextmanager
def owned(path: Path) -> Iterator[bool]:
    """Hold the lock of a file that is there; False when a living owner has it, or it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        yield lock(fd) and is_linked(path, fd)
    finally:
        os.close(fd)


def is_held(path: Path) -> bool:
    """Return whether a living process holds a lock file.

    Raises:
        OSError: there is none.
    """
    with locked(path, wait=False, create=False) as fd:
        return fd is None


def is_linked(path: Path, fd: int) -> bool:
    """Return whether an open file is still the one at `path`."""
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
