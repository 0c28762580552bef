"""Journals as jobs see them: rows as columns, and rows taken out of those that nobody holds."""

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from core.store.journal_locks import owned
from core.store.places import ROTATE_REQUEST
from core.store.schema import JOURNAL_SUFFIX, JournalHeader, read_journal
from monitoring.errors import CaptureError, MonitoringError
from monitoring.store.filesystem import sync
from monitoring.store.reader import ARROW_TYPES
from monitoring.store.row_filters import Rule

PATIENCE_SECONDS = 60.0
"""How long a proxy may take to let go of a journal: it looks for requests once a second."""

_PAUSE_SECONDS = 0.1


class JournalHeldError(MonitoringError):
    """A proxy does not let go of a journal."""

    def __init__(self, path: Path) -> None:
        """Name the journal."""
        super().__init__(
            f"Um processo da API não soltou o journal {path.name} em {PATIENCE_SECONDS:g} s. "
            "Reinicie a API e repita; repetir é seguro."
        )


def journals_of(folder: Path) -> list[Path]:
    """Return the journals in order of time."""
    return sorted(folder.glob(f"*{JOURNAL_SUFFIX}"))


def read_tables(folder: Path) -> Iterator[tuple[str, pa.Table]]:
    """Yield each journal's stem and its complete rows, held ones too; one that has gone is skipped.

    Raises:
        CaptureError: a journal is damaged; names it.
    """
    for path in journals_of(folder):
        try:
            header, rows = _read(path)
        except FileNotFoundError:
            continue  # It has become a Parquet file.
        if header is not None:
            yield path.stem, _table(path, header, rows)


def rotate(folder: Path) -> list[Path]:
    """Ask the proxies to let go of their journals; return those there are now.

    Whatever was answered before this call is in one of them, or in Parquet.
    """
    listed = journals_of(folder)
    if listed:
        temporary = folder / f".{ROTATE_REQUEST}.{uuid.uuid4().hex}"
        temporary.touch(mode=0o640)
        temporary.replace(folder / ROTATE_REQUEST)
    return listed


def end_rotation(folder: Path) -> None:
    """Take back the request, once every journal that it was about has been let go of."""
    (folder / ROTATE_REQUEST).unlink(missing_ok=True)


def take_out(path: Path, rule: Rule) -> int:
    """Remove a rule's rows from a journal as soon as nobody holds it; return how many.

    A journal that becomes a Parquet file meanwhile has none.

    Raises:
        JournalHeldError: a proxy holds it for longer than `PATIENCE_SECONDS`.
        CaptureError: it is damaged; names it.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while path.exists():
        with owned(path) as mine:
            if mine:
                return _rewrite(path, rule)
        if time.monotonic() > until:
            raise JournalHeldError(path)
        time.sleep(_PAUSE_SECONDS)
    return 0


def _rewrite(path: Path, rule: Rule) -> int:
    header, rows = _read(path)
    if header is None:
        return 0
    matches = rule.matches(_table(path, header, rows).column(rule.column))
    removed = int(pc.sum(matches).as_py() or 0)
    content = path.read_bytes()
    if removed == 0 and content.endswith(b"\n"):
        return 0
    # What follows the last newline was never answered; it may be a row of the same person.
    lines = content.split(b"\n")[1:-1]
    kept = [line for line, gone in zip(lines, matches.to_pylist(), strict=True) if not gone]
    if not kept:
        path.unlink()
        return removed
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.touch(mode=0o640)
    with temporary.open("wb") as file:
        file.write(header.to_line() + b"".join(line + b"\n" for line in kept))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)
    return removed


def _read(path: Path) -> tuple[JournalHeader | None, list[Sequence[Any]]]:
    try:
        return read_journal(path)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as exc:
        raise CaptureError(path, str(exc)) from exc


def _table(path: Path, header: JournalHeader, rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Return all columns of a journal, constants included, in the Parquet file's order."""
    cells = zip(*rows, strict=True) if rows else [()] * len(header.columns)
    values = dict(zip(header.columns, cells, strict=True))
    columns = {}
    for name, kind in header.schema().items():
        found = values.get(name, (header.constants.get(name),) * len(rows))
        try:
            columns[name] = pa.array(found, ARROW_TYPES[kind])
        except (pa.ArrowException, TypeError, ValueError, KeyError):
            # The text of the error quotes the value, which may be a person's: leave it out.
            raise CaptureError(path, f"um valor não é {kind}") from None
    return pa.table(columns)
