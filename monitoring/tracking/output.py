"""Files that a job leaves behind: each appears whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.files.whole import replacing
from monitoring.tracking.errors import OutputError


def to_json(data: Mapping[str, Any]) -> str:
    """Return readable JSON; NaN is refused, since no JSON reader must know it."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_files(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write texts by file name into `folder`, replacing those of the same name; return the paths.

    Raises:
        OutputError: the folder or a file cannot be written.
    """
    try:
        for name, text in texts.items():
            with replacing(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise OutputError(folder=folder, reason=exc.strerror or type(exc).__name__) from exc
    return [folder / name for name in texts]
