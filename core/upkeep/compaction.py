"""Compaction: merge a past day's small Parquet files into one per version (`core.store.schema`).

The merged file appears atomically, in a folder by a rename, in a bucket when its upload ends. The
replaced files stay until a later run, and their stems in its footer longer still. Each step can be
repeated after a crash.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from typing import Any

from core.journals.journal_arrow import journals_of
from core.messages import _
from core.messages.system import system_reason
from core.store.errors import FileDamaged, StoreUnwritable
from core.store.filesystem import Store
from core.store.job_lock import exclusive
from core.store.listing import StoreFiles
from core.store.quarantine import Unreadable, quarantined
from core.store.quarantined import Quarantined
from core.store.schema import CONSTANT_COLUMNS, compacted_stem, is_compacted, replaced_stems
from core.upkeep.merging import write_merged

KEEP_MINUTES = 60.0
"""Time for which replaced files are kept, longer than any reader takes, in minutes."""

FORGET_DAYS = 30.0
"""Age from which a stem is dropped from a compacted file, once its own file is gone, in days."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """The result of one run: numbers of files, and the unreadable files."""

    merged: int
    written: int
    removed: int
    quarantined: tuple[Quarantined, ...] = ()

    def said(self, store: Store) -> str:
        """Return the summary for the operator."""
        return _(
            "{merged} files merged into {written}; {removed} replaced files removed ({store})",
            merged=self.merged,
            written=self.written,
            removed=self.removed,
            store=store,
        )


def compact(
    store: Store,
    keep_minutes: float = KEEP_MINUTES,
    today: datetime | None = None,
    step: Callable[[], None] = lambda: None,
) -> Compaction:
    """Merge a store's small files of past days, and remove files that were replaced long ago.

    Files of the UTC day of `today` (aware; default now) and later are not touched. Unreadable files
    are quarantined, and the others merged. `step` is called for each file, as a heartbeat.

    Raises:
        StoreBusy: another job is changing the store.
        StoreUnreachable: the bucket does not answer.
        StoreUnwritable: the folder cannot be written.
    """
    job = _Job(store, Unreadable(store), today or datetime.now(UTC), step)
    merged = written = 0
    try:
        with exclusive(store):
            files = job.left_out.files()
            removed = job.remove_replaced(files, keep_minutes)
            job.forget(files)
            del files  # frees the names of a year's files before merging
            for group in job.groups():
                done = job.merge_sound(group)
                merged, written = merged + done, written + bool(done)
    except OSError as exc:
        raise StoreUnwritable(store=store, reason=system_reason(exc)) from exc
    return Compaction(merged, written, removed, job.left_out.all())


@dataclass(frozen=True, slots=True)
class _Job:
    """The steps of one run, with its unreadable files so far and its heartbeat callback."""

    store: Store
    left_out: Unreadable
    today: datetime
    step: Callable[[], None]

    def groups(self) -> Iterator[list[PurePath]]:
        """Yield groups of two or more live files to merge, in order of time."""
        found: dict[Any, list[PurePath]] = defaultdict(list)
        first_day = self.today.astimezone(UTC).strftime("%Y%m%d")
        for path in self.left_out.files().live:
            parts = path.stem.split("-")
            if len(parts) > 2 and parts[0][:8] < first_day:
                found[parts[0][:8], parts[1]].append(path)
        for day_and_version in found.values():
            # Two models may share a version number, and a model's columns may change.
            alike: dict[Any, list[PurePath]] = defaultdict(list)
            for path in day_and_version if len(day_and_version) > 1 else ():
                self.step()
                try:
                    alike[self._kind(path)].append(path)
                except FileDamaged as damage:
                    self.left_out.add(damage)
            yield from (paths for paths in alike.values() if len(paths) > 1)

    def _kind(self, path: PurePath) -> tuple[Any, ...]:
        """Return what files must share to be merged: columns, and values of constant columns."""
        with self.store.parquet(path) as file:
            schema = tuple((field.name, str(field.type)) for field in file.schema_arrow)
            rows = file.iter_batches(1, columns=list(CONSTANT_COLUMNS), use_threads=False)
            first = next(rows, None)
            constants = tuple(first.to_pylist()[0].values()) if first is not None else ()
        return schema, constants

    def merge_sound(self, paths: list[PurePath]) -> int:
        """Merge the readable files of a group; return how many, 0 if they are fewer than two."""
        while len(paths) > 1:
            try:
                stems = {path.stem for path in paths}
                # Stems that a compacted source replaces are replaced by the new file, too.
                before = {stem for path in paths for stem in self._replaced_by(path)}
                write_merged(self.store, compacted_stem(stems), paths, stems | before, self.step)
            except FileDamaged as damage:
                self.left_out.add(damage)
                paths = [path for path in paths if path.name not in self.left_out]
            else:
                return len(paths)
        return 0

    def _replaced_by(self, path: PurePath) -> frozenset[str]:
        if not is_compacted(path.stem):
            return frozenset()
        with self.store.parquet(path) as file:
            return replaced_stems(file.metadata.metadata or {})

    def forget(self, files: StoreFiles) -> None:
        """Rewrite compacted files without the stems that can no longer occur.

        A stem is kept as long as its file exists, be it in quarantine or as a journal of this host,
        and for `FORGET_DAYS`, since the host of another proxy may come back with its journal.
        """
        limit = (self.today - timedelta(days=FORGET_DAYS)).astimezone(UTC).strftime("%Y%m%d")
        aside = {PurePath(one.name).stem for one in quarantined(self.store)}
        journals = {path.stem for path in journals_of(self.store.journals)}
        there = files.listed.keys() | aside | journals

        def kept(stem: str) -> bool:
            return stem >= limit or stem in there

        for path in sorted({by for stem, by in files.replaced.items() if not kept(stem)}):
            if path.name in self.left_out:
                continue
            try:
                stems = {stem for stem in self._replaced_by(path) if kept(stem)}
                write_merged(self.store, path.stem, [path], stems, self.step)
            except FileDamaged as damage:
                self.left_out.add(damage)

    def remove_replaced(self, files: StoreFiles, keep_minutes: float) -> int:
        """Remove files that were replaced so long ago that no reader can still use them.

        The file that replaced them is verified first: if it is unreadable, it is quarantined, and
        they are live again.
        """
        due: dict[PurePath, list[PurePath]] = defaultdict(list)
        for stem, by in files.replaced.items():
            age = time.time() - files.listed[by.stem].modified
            if stem in files.listed and age >= 60 * keep_minutes:
                due[by].append(files.listed[stem].path)
        removed = 0
        for by, paths in due.items():
            problem = self.store.damage(by)
            if problem is not None:
                self.left_out.add(FileDamaged(path=by, reason=problem))
                continue
            for path in paths:
                self.step()
                self.store.delete(path)
            removed += len(paths)
        return removed
