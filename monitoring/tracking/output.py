"""Files that a job leaves behind: each appears whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import ProjectError
from core.messages import N_


class OutputError(ProjectError):
    """A report cannot be written."""

    code = "output"
    message = N_("The report cannot be written to {folder}: {reason}.")


def to_json(data: Mapping[str, Any]) -> str:
    """Return readable JSON; NaN is refused, since no JSON reader must know it."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_files(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write texts by file name into `folder`, replacing those of the same name; return the paths.

    Raises:
        OutputError: the folder or a file cannot be written.
    """
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            temporary = folder / f".{name}.tmp"
            temporary.write_text(text, encoding="utf-8")
            paths.append(temporary.replace(folder / name))
    except OSError as exc:
        raise OutputError(folder=folder, reason=exc.strerror or type(exc).__name__) from exc
    return paths
