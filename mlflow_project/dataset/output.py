"""Writing a file of the dataset whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.files.whole import replacing
from core.messages.system import system_reason
from mlflow_project.pede.errors import UnwritableError


@contextmanager
def file_to_write(path: Path) -> Iterator[Path]:
    """Yield the path of a file to write, which becomes `path` in one step; folders are made.

    Raises:
        UnwritableError: the operating system does not let it.
    """
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as exc:
        raise UnwritableError(path=path, problem=system_reason(exc)) from exc
