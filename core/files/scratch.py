"""Temporary folders that are cleaned up even if their process was killed.

Each is locked by the process that created it. When a process creates its first one, it removes this
user's unlocked ones, which may hold a version's files or rows of people.
"""

import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from core.files.locks import lock, owned

Kind = Literal["version", "scratch", "serving-workers", "evidence"]
_NAME = re.compile(rf"({'|'.join(get_args(Kind))})-[a-z0-9_]{{8}}")
_AGE_SECONDS = 60.0
"""Age in seconds below which a folder may be newly created and not locked yet."""


@contextmanager
def scratch_folder(kind: Kind = "scratch") -> Iterator[Path]:
    """Yield a new temporary folder named after its kind, which is removed with its content."""
    _remove_dead()
    with tempfile.TemporaryDirectory(prefix=f"{kind}-") as name:
        fd = os.open(name, os.O_RDONLY)
        try:
            lock(fd)
            yield Path(name)
        finally:
            os.close(fd)


@cache
def _remove_dead() -> None:
    """Remove the folders of ended processes, once per process."""
    for path in Path(tempfile.gettempdir()).iterdir():
        with suppress(OSError):
            if _NAME.fullmatch(path.name) and _is_old_and_ours(path.lstat()):
                with owned(path) as dead:
                    if dead:
                        shutil.rmtree(path, ignore_errors=True)


def _is_old_and_ours(found: os.stat_result) -> bool:
    """Return whether a path is a private folder of this user, older than `_AGE_SECONDS`."""
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    private = stat.S_IMODE(found.st_mode) == 0o700  # as `tempfile` makes them
    return ours and private and time.time() - found.st_mtime > _AGE_SECONDS


def lock_folder() -> Path:
    """Return the folder of this user's locks, which no other user can access.

    It is in the home folder, which login sessions, services and scheduled jobs share; without a
    home, in the temporary folder, unless another user owns that path.

    Raises:
        PermissionError: neither place can be used.
    """
    temporary = f"{tempfile.gettempdir()}/mlflow-locks-{os.getuid()}"
    for place in ("~/.cache/mlflow-locks", temporary):
        with suppress(OSError, RuntimeError):  # RuntimeError: the user has no home
            folder = Path(place).expanduser()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
                folder.chmod(0o700)
                if os.access(folder, os.W_OK):
                    return folder
    raise PermissionError(f"no folder for locks: {temporary}")
