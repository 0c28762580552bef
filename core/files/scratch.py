"""Temporary folders that do not outlive their process, even one that was killed.

Each is locked by whoever made it. The first one that a process makes removes those of this user
that nobody holds any more: a version's files, or rows of people.
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
"""Age below which a folder may be one that is being made, and is not locked yet."""


@contextmanager
def scratch_folder(kind: Kind = "scratch") -> Iterator[Path]:
    """Yield a new temporary folder named after its kind, which is removed with all it holds."""
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
    """Return whether a path is a folder that this user made for itself a while ago."""
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    private = stat.S_IMODE(found.st_mode) == 0o700  # as `tempfile` makes them
    return ours and private and time.time() - found.st_mtime > _AGE_SECONDS


def lock_folder() -> Path:
    """Return the folder of this user's locks, which no other user can enter.

    It lies in the home, where a session, a service and a clock find the same one; without a home,
    in the temporary folder, unless another user has taken its name.

    Raises:
        PermissionError: there is no place for it.
    """
    temporary = f"{tempfile.gettempdir()}/mlflow-locks-{os.getuid()}"
    for place in ("~/.cache/mlflow-locks", temporary):
        with suppress(OSError, RuntimeError):  # of a user without an entry
            folder = Path(place).expanduser()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
                folder.chmod(0o700)
                if os.access(folder, os.W_OK):
                    return folder
    raise PermissionError(f"no folder for locks: {temporary}")
