"""Atomic writes: a reader sees the old file or the new one, never a part.

It is made beside its place under a hidden name, and renamed into it when it is complete. Whatever
goes wrong before (a full disk, too) removes it and leaves what was there.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.files.locks import is_linked, lock

FILE_MODE = 0o640
"""Files with rows of people are read by their owner and the owner's group."""
FOLDER_MODE = 0o750
"""The folders that hold them."""


@contextmanager
def replacing(target: Path, *, mode: int = FILE_MODE, durable: bool = True) -> Iterator[Path]:
    """Yield the path of an empty file to write, which becomes `target` when the block ends well.

    A second writer of the same target waits for the first. What a killed one left is written anew.

    Args:
        target: the file's final path; its folder is made if need be.
        mode: its permissions, less what the process's umask takes away.
        durable: whether it must survive a power cut once the block has ended.

    Raises:
        OSError: the file cannot be written; nothing of it is left.
    """
    make_folder(target.parent)
    temporary = target.with_name(f".{target.name}.tmp")
    fd = _held(temporary, mode)
    try:
        yield temporary
        if durable:
            os.fsync(fd)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    if durable:
        sync(target.parent)


def _held(path: Path, mode: int) -> int:
    """Return an open file of no bytes at `path` whose lock is held."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, mode)
        lock(fd, wait=True)
        if is_linked(path, fd):
            os.ftruncate(fd, 0)
            return fd
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, if it is not there."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's list of names, survive a power cut.

    Raises:
        OSError: the disk says no.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
