"""Writing a file of the dataset whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

from mlflow_project.pede.errors import OutputError


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, then put it there in one step; folders are made.

    Raises:
        OutputError: the operating system does not let it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as exc:
        raise OutputError(path=path, problem=exc.strerror or type(exc).__name__) from exc
