"""Journals as used by jobs: reading them, requesting rotation, and removing rows once released."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from core.files.locks import owned
from core.files.whole import replacing
from core.journals.journal_arrow import journals_of, read_whole
from core.store.errors import FileDamaged, JournalHeld
from core.store.places import ROTATE_REQUEST
from core.store.row_filters import Rule

PATIENCE_SECONDS = 60.0
"""Time in which a proxy must release a journal, in seconds; it polls for requests every second."""

_PAUSE_SECONDS = 0.1


def read_all(
    folder: Path, damaged: Callable[[FileDamaged], None]
) -> Iterator[tuple[str, pa.Table]]:
    """Yield each journal's stem and its complete rows, locked ones included; skip removed ones.

    `damaged` is called with the error of one that cannot be read.
    """
    for path in journals_of(folder):
        try:
            table = read_whole(path)
        except FileNotFoundError:
            continue  # It was converted to a Parquet file.
        except FileDamaged as damage:
            damaged(damage)
            continue
        if table is not None:
            yield path.stem, table


def rotate(folder: Path) -> list[Path]:
    """Request that the proxies release their journals; return the journals that exist now.

    Every row captured before this call is in one of them, or in Parquet.
    """
    listed = journals_of(folder)
    if listed:
        with replacing(folder / ROTATE_REQUEST, durable=False):
            pass  # Its new modification time is the request; it needs no content.
    return listed


def end_rotation(folder: Path) -> None:
    """Remove the request, once every journal that it concerned has been released."""
    (folder / ROTATE_REQUEST).unlink(missing_ok=True)


def take_out(path: Path, rule: Rule) -> int:
    """Remove a rule's rows from a journal as soon as it is released; return how many.

    A journal that is converted to a Parquet file meanwhile has none.

    Raises:
        JournalHeld: a proxy holds it for longer than `PATIENCE_SECONDS`.
        FileDamaged: it is damaged; names it.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while path.exists():
        with owned(path) as mine:
            if mine:
                return _rewrite(path, rule)
        if time.monotonic() > until:
            raise JournalHeld(name=path.name, seconds=PATIENCE_SECONDS)
        time.sleep(_PAUSE_SECONDS)
    return 0


def _rewrite(path: Path, rule: Rule) -> int:
    table = read_whole(path)
    if table is None:
        return 0
    matches = rule.matches(table.column(rule.column))
    removed = int(pc.sum(matches).as_py() or 0)
    content = path.read_bytes()
    if removed == 0 and content.endswith(b"\n"):
        return 0
    # An unterminated last line got no response and may be a row of the same person: drop it.
    header, *lines = content.split(b"\n")[:-1]
    kept = [line for line, gone in zip(lines, matches.to_pylist(), strict=True) if not gone]
    if not kept:
        path.unlink()
        return removed
    with replacing(path) as temporary:
        temporary.write_bytes(b"".join(line + b"\n" for line in (header, *kept)))
    return removed
