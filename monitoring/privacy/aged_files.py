"""Retention by age: reports, logs, and files of labels."""

import gzip
import json
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.files.whole import replacing
from core.messages import _
from core.messages.system import system_reason
from monitoring.privacy.errors import FileLeft

_REPORT_SUFFIXES = (".html", ".json")
_SETTLE_SECONDS = 2.0
"""Wait after a log is renamed: a proxy detects that within a second and opens a new file."""


def old_files(paths: Iterable[Path], before: datetime) -> tuple[Path, ...]:
    """Return the files last modified before a time (aware)."""
    limit = before.timestamp()
    return tuple(path for path in paths if path.is_file() and path.stat().st_mtime < limit)


def reports_in(folder: Path) -> Iterator[Path]:
    """Yield the report files (`.html`, `.json`) below a folder."""
    yield from (p for p in sorted(folder.rglob("*")) if p.suffix in _REPORT_SUFFIXES)


def remove(paths: Iterable[Path]) -> None:
    """Remove files.

    Raises:
        FileLeft: one cannot be removed.
    """
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise FileLeft(path=path, reason=system_reason(exc)) from exc


def logs_of(path: Path) -> list[Path]:
    """Return a log and its rotated files: `app.log`, `app.log.1`, `app.log.20250101.gz`."""
    rotated = sorted(p for p in path.parent.glob(f"{path.name}.*") if p.is_file())
    return [p for p in [path, *rotated] if p.is_file()]


def count_lines(path: Path, before: datetime) -> int:
    """Return how many of a log's lines are older than a time (aware).

    Raises:
        FileLeft: the log is gzipped and damaged.
    """
    return sum(_is_old(line, before) for line in _lines(path))


def drop_lines(log: Path, before: datetime) -> int:
    """Remove lines older than a time from a log and its rotated files; return how many.

    The log itself may be open in a proxy, so it is renamed first, as in a rotation, and its
    remaining lines stay under the new name: no line is lost.

    Raises:
        FileLeft: a file cannot be changed.
    """
    moved, dropped, damaged = None, 0, None
    try:
        if log.is_file() and count_lines(log, before):
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
            moved = log.replace(log.with_name(f"{log.name}.{stamp}"))
            time.sleep(_SETTLE_SECONDS)
        for path in logs_of(log):
            try:
                dropped += _drop(path, before) if path != log else 0
            except FileLeft as exc:
                damaged = exc  # the others first
    except OSError as exc:
        raise FileLeft(path=moved or log, reason=system_reason(exc)) from exc
    if damaged is not None:
        raise damaged
    return dropped


def _drop(path: Path, before: datetime) -> int:
    if not count_lines(path, before):
        return 0
    dropped = kept = 0
    with replacing(path) as temporary, _opener(path)(temporary, "wb") as target:
        for line in _lines(path):
            if _is_old(line, before):
                dropped += 1
            else:
                kept += 1
                target.write(line)
    if not kept:
        path.unlink()
    return dropped


def _lines(path: Path) -> Iterator[bytes]:
    """Yield a log's lines, gzipped or not.

    Raises:
        FileLeft: a gzipped one is damaged.
    """
    try:
        with _opener(path)(path, "rb") as file:
            yield from file
    except (gzip.BadGzipFile, EOFError, zlib.error) as exc:
        raise FileLeft(path=path, reason=_("not a whole gzip file")) from exc


def _opener(path: Path) -> Callable[..., Any]:
    return gzip.open if path.suffix == ".gz" else open


def _is_old(line: bytes, before: datetime) -> bool:
    """Return whether a line's `timestamp` is before a time; False where it has none."""
    try:
        return datetime.fromisoformat(json.loads(line)["timestamp"]) < before
    except (ValueError, KeyError, TypeError):
        return False
