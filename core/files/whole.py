"""Atomic writes: a reader sees the old file or the new one, never a part.

The new file is written beside the target under a hidden name, and renamed to it when it is
complete. After any failure (including a full disk) it is removed and the old file remains.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.files.locks import is_linked, lock

FILE_MODE = 0o640
"""Mode of files with rows of people: readable by their owner and group."""
FOLDER_MODE = 0o750
"""Mode of the folders that hold them."""


@contextmanager
def replacing(target: Path, *, mode: int = FILE_MODE, durable: bool = True) -> Iterator[Path]:
    """Yield the path of an empty file to write, which replaces `target` if the block succeeds.

    A second writer of the same target waits for the first. The file of a killed one is overwritten.

    Args:
        target: the file's final path; its folder is created if absent.
        mode: its permissions, before the process's umask is applied.
        durable: whether it is fsynced, to survive a power failure once the block has ended.

    Raises:
        OSError: the file cannot be written; the temporary file is removed.
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
    """Return the descriptor of an empty file at `path` whose lock is held."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, mode)
        lock(fd, wait=True)
        if is_linked(path, fd):
            os.ftruncate(fd, 0)
            return fd
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents where absent."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


def sync(path: Path) -> None:
    """Fsync a file's content, or a folder's entries, so that they survive a power failure.

    Raises:
        OSError: the path cannot be opened, or fsync fails.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
