"""Locks on files by `flock`, released when the file is closed or its process ends.

A lock belongs to an open file, not to a name: so the process that appends to a journal locks the
journal itself, and a locked journal has a running owner. docs/decisions/0009 explains why this is
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
    """Acquire the lock of an open file until it is closed; return False if it is held elsewhere.

    Raises:
        OSError: the file system does not support locks.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def share(fd: int) -> None:
    """Acquire a shared lock of an open file; `lock` then succeeds for the last remaining holder.

    Of several holders that call `lock` at the same time exactly one succeeds: flock(2) releases the
    shared lock before it checks for those of others.

    Raises:
        OSError: the file system does not support locks.
    """
    fcntl.flock(fd, fcntl.LOCK_SH)


def lock_within(fd: int, seconds: float) -> bool:
    """Acquire the lock of an open file; return False if it is still held after `seconds`.

    Raises:
        OSError: the file system does not support locks.
    """
    until = time.monotonic() + seconds
    while not lock(fd):
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


@contextmanager
def locked(path: Path, *, wait: bool = True, create: bool = True) -> Iterator[int | None]:
    """Hold a lock file, created if absent; yield its descriptor, None if it is held elsewhere.

    Raises:
        OSError: the file cannot be opened or created.
    """
    fd = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o640)
    try:
        yield fd if lock(fd, wait=wait) else None
    finally:
        os.close(fd)


@contextmanager
def owned(path: Path) -> Iterator[bool]:
    """Hold the lock of an existing file; yield False if it has a running owner or is gone."""
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
    """Return whether a running process holds a lock file.

    Raises:
        OSError: the file does not exist.
    """
    with locked(path, wait=False, create=False) as fd:
        return fd is None


def is_linked(path: Path, fd: int) -> bool:
    """Return whether an open file is still the one at `path`."""
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
