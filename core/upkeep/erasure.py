"""Find and remove captured rows in every file and journal of a store.

Each file is replaced atomically, or removed when no row is left, so an interrupted job leaves only
complete files; running it again completes the work.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from core.files.locks import owned
from core.journals.journals import end_rotation, read_all, rotate, take_out
from core.messages import _
from core.messages.system import system_reason
from core.store.errors import FileDamaged, StoreChanged, StoreUnwritable
from core.store.filesystem import Store, schema_of
from core.store.job_lock import exclusive
from core.store.quarantine import Unreadable
from core.store.quarantined import Quarantined
from core.store.row_filters import Rule
from core.store.schema import JOURNAL_SUFFIX, PARQUET_SUFFIX

_GROUP_ROWS = 131_072


@dataclass(frozen=True, slots=True)
class Found:
    """Numbers of rows that match a rule, each counted once, and of files and journals with them.

    `quarantined` are files that cannot be searched, since they are unreadable.
    """

    rows: int
    files: int
    journals: int
    quarantined: tuple[Quarantined, ...] = ()

    def numbers(self) -> dict[str, float | None]:
        """Return the numbers of what was removed, as metrics."""
        return {
            "rows_removed": float(self.rows),
            "files_changed": float(self.files),
            "journals_changed": float(self.journals),
            "files_quarantined": float(len(self.quarantined)),
        }

    def where(self) -> str:
        """Return the numbers of files and journals, as text for the operator."""
        return _(
            "Parquet files: {files}, journals: {journals}", files=self.files, journals=self.journals
        )


def find(store: Store, rule: Rule, left_out: Unreadable) -> Iterator[tuple[bool, pa.Table]]:
    """Yield the matching rows by file, each row once: whether it is a journal, and its rows.

    Raises:
        StoreUnreachable: the bucket does not answer.
    """
    tables = read_all(store.journals, left_out.add)
    journals = [(stem, _only(table, rule)) for stem, table in tables]
    files = left_out.files()
    for stem, rows in journals:
        if rows.num_rows and not files.holds(stem):
            yield True, rows
    for path in files.live:
        try:
            found = _matching(store, path, rule) if _count(store, path, rule) else None
        except FileDamaged as damage:
            left_out.add(damage)
        else:
            if found is not None:
                yield False, found


def count(store: Store, rule: Rule) -> Found:
    """Count the matching rows without changing anything.

    Raises:
        StoreUnreachable: the bucket does not answer.
    """
    rows = files = journals = 0
    left_out = Unreadable(store, only_look=True)
    for is_journal, table in find(store, rule, left_out):
        rows += table.num_rows
        files, journals = files + (not is_journal), journals + is_journal
    return Found(rows, files, journals, left_out.all())


def erase(store: Store, rule: Rule) -> Found:
    """Remove the matching rows; return their numbers.

    The proxies are first requested to release their journals. Rows captured after that are not
    searched. Unreadable files are quarantined and skipped.

    Raises:
        StoreBusy: another job is changing the store.
        JournalHeld: a proxy does not release a journal.
        StoreUnreachable: the bucket does not answer.
        StoreUnwritable: a file cannot be written.
    """
    if not store.exists():
        return Found(0, 0, 0)
    try:
        with exclusive(store):
            return _erase(store, rule)
    except OSError as exc:
        raise StoreUnwritable(store=store, reason=system_reason(exc)) from exc


def _erase(store: Store, rule: Rule) -> Found:
    _remove_leftovers(store)
    left_out = Unreadable(store)
    rows = files = journals = 0
    for journal in rotate(store.journals):
        try:
            removed = take_out(journal, rule)
        except FileDamaged as damage:
            left_out.add(damage)
            continue
        rows, journals = rows + removed, journals + bool(removed)
    end_rotation(store.journals)
    listed = left_out.files()
    # Replaced files come first: they become live if the file that replaced them is removed.
    replaced = [listed.listed[stem].path for stem in listed.replaced.keys() & listed.listed.keys()]
    for path in (*replaced, *listed.live):
        try:
            removed = _erase_file(store, path, rule)
        except FileDamaged as damage:
            left_out.add(damage)
            continue
        files += bool(removed)
        rows += removed if path.stem not in listed.replaced else 0
    return Found(rows, files, journals, left_out.all())


def _erase_file(store: Store, path: PurePath, rule: Rule) -> int:
    """Replace a file by one without the matching rows, or remove it; return how many they were."""
    removed = _count(store, path, rule)
    if not removed:
        return 0
    with store.parquet(path) as file:
        if removed == file.metadata.num_rows:
            store.delete(path)
            return removed
        # The schema carries the footer's metadata, which lists what a compacted file replaces.
        with store.new_parquet(path.stem, schema_of(file)) as writer:
            for batch in file.iter_batches(_GROUP_ROWS):
                kept = batch.filter(pc.invert(rule.matches(batch.column(rule.column))))
                if kept.num_rows:
                    writer.write_batch(kept)
    return removed


def _count(store: Store, path: PurePath, rule: Rule) -> int:
    """Count a file's rows that match the rule; a removed file has none."""
    try:
        with store.parquet(path) as file:
            if rule.column not in file.schema_arrow.names:
                raise FileDamaged(path=path, reason=_("no column {name}", name=rule.column))
            batches = file.iter_batches(_GROUP_ROWS, columns=[rule.column])
            found = (pc.sum(rule.matches(batch.column(0))).as_py() for batch in batches)
            return sum(number or 0 for number in found)
    except FileNotFoundError:
        return 0


def _matching(store: Store, path: PurePath, rule: Rule) -> pa.Table:
    try:
        with store.parquet(path) as file:
            batches = [_only(batch, rule) for batch in file.iter_batches(_GROUP_ROWS)]
            return pa.Table.from_batches(batches, file.schema_arrow).replace_schema_metadata(None)
    except FileNotFoundError as exc:
        raise StoreChanged(store=store) from exc


def _only(table: Any, rule: Rule) -> Any:
    return table.filter(rule.matches(table.column(rule.column)))


def _remove_leftovers(store: Store) -> None:
    """Remove partial files of processes that were killed; they may hold matching rows."""
    for left in store.journals.glob(f".*{JOURNAL_SUFFIX}.tmp"):
        left.unlink(missing_ok=True)
    for left in store.folder.glob(f".*{PARQUET_SUFFIX}.tmp") if store.folder else ():
        stem = left.name[1:].removesuffix(f"{PARQUET_SUFFIX}.tmp")
        journal = store.journals / f"{stem}{JOURNAL_SUFFIX}"
        with owned(journal) as mine:
            if mine or not journal.exists():  # else a proxy is writing it just now
                left.unlink(missing_ok=True)
