"""Writing a file of the dataset whole or not at all."""

from collections.abc import Callable
from pathlib import Path

from core.files.whole import replacing
from mlflow_project.pede.errors import DatasetNotWritten


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file, then put it in its place in one step; folders are made.

    Raises:
        DatasetNotWritten: the operating system does not let it.
    """
    try:
        with replacing(path) as temporary:
            write(temporary)
    except OSError as exc:
        raise DatasetNotWritten(path=path, problem=exc.strerror or type(exc).__name__) from exc
