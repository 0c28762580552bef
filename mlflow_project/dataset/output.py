"""Atomic writes of dataset files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.files.whole import replacing
from core.messages.system import system_reason
from mlflow_project.pede.errors import UnwritableError


@contextmanager
def file_to_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` atomically; missing folders are created.

    Raises:
        UnwritableError: the operating system refuses the write.
    """
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as exc:
        raise UnwritableError(path=path, problem=system_reason(exc)) from exc
