"""Back up the data that cannot be reproduced (`make backup DEST=...`), while the system runs.

One archive: MLflow's database, its artifacts, captured rows, journals, `.env` and the key of the
pseudonyms; in compose's `backup` container a dump and a bucket (scripts/backups/containers.py). The
database is copied first, by SQLite's online backup, so that every artifact that it references
exists when artifacts are copied; journals before Parquet files, since a journal is converted to a
file of its own name and readers of both count it once. So each row that was served before the
command began is in the archive, once.
"""

import json
import os
import sqlite3
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from core.cli.arguments import parser, run_command, say
from core.files.whole import make_folder, replacing
from core.messages import N_, _
from core.messages.formats import number
from core.store.filesystem import Store
from core.store.job_lock import exclusive
from scripts.backups import containers
from scripts.backups.archive import DATABASE_DUMP, FORMAT, MANIFEST, PRIVATE, Archive
from scripts.backups.installation import (
    ARTIFACTS,
    DATABASE,
    ENV,
    KEY,
    BackupError,
    captured,
    files_under,
    in_project,
    rows_under,
)
from scripts.starting.database import revision
from scripts.starting.processes import ROOT

DUMP = "docker compose run --rm dump"


def copy_database(database: Path, copy: Path) -> str:
    """Copy a SQLite database that may be in use; return MLflow's revision of its tables.

    Raises:
        BackupError: it is no SQLite database, or is not MLflow's.
    """
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    if (found := revision(copy)) is None:
        raise BackupError(N_("{path} is not a database of MLflow"), path=database)
    return found


def back_up(destination: Path) -> Path:
    """Write an archive of this installation into a folder; return its path.

    Raises:
        BackupError: there is nothing to back up here.
        StoreBusy: a job changes the store; try again when it has ended.
        OSError: it cannot be written; no partial file is left.
    """
    if containers.dumps() is None and not (ROOT / DATABASE).exists():
        message = N_("there is no {path} here; with containers see RUNBOOK §10")
        raise BackupError(message, path=DATABASE)
    store, now = captured(), datetime.now(UTC)
    make_folder(destination)
    target = destination / f"backup-{now:%Y%m%dT%H%M%SZ}.tar"
    # Dereferenced: tar would store only one of two files that are hard links of one another.
    with (
        replacing(target, mode=PRIVATE) as path,
        tarfile.open(path, "w", dereference=True) as tar,
    ):
        archive = Archive(tar)
        facts = _fill(archive, store, path.parent)
        facts |= {"format": FORMAT, "made": now.isoformat(), "mlflow": version("mlflow")}
        archive.add_text(MANIFEST, json.dumps(facts | {"sha256": archive.digests}, indent=1))
    return target


def _fill(archive: Archive, store: Store, scratch: Path) -> dict[str, Any]:
    """Add all parts; return their facts for the manifest."""
    with ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(dir=scratch, prefix=".backup-"))
        tables, artifacts = _add_registry(archive, Path(temporary) / "copy")
        if store.folder is not None and store.folder.is_dir():
            stack.enter_context(exclusive(store))
        journals = archive.add_files("journal", store.journals, rows_under(store.journals))
        rows = 0
        if (folder := store.folder) is not None:
            rows = archive.add_files("store", folder, rows_under(folder, store.journals))
        archive.add("env", ROOT / ENV)
        if key := os.environ.get(KEY):
            archive.add_text("pseudonym-key", key)
    return {
        "database_revision": tables,
        "files": {"artifacts": artifacts, "journals": journals, "captured": rows},
        "pseudonym_key": bool(key),
        "store": str(store),
    }


def _add_registry(archive: Archive, copy: Path) -> tuple[str, int]:
    """Add MLflow's database, then its artifacts; return revision or dump name, and file count."""
    if (folder := containers.dumps()) is None:
        tables = copy_database(ROOT / DATABASE, copy)
        archive.add("mlflow.db", copy)
        count = archive.add_files("artifacts", ROOT / ARTIFACTS, files_under(ROOT / ARTIFACTS))
    elif (dump := max(folder.glob("mlflow-*.dump"), default=None)) is None:
        raise BackupError(N_("there is no dump of the database yet: {command}"), command=DUMP)
    else:
        archive.add(DATABASE_DUMP, dump)
        tables, names = dump.name, containers.objects()
        count = sum(archive.add(f"artifacts/{n}", copy) for n in containers.fetched(names, copy))
    copy.unlink(missing_ok=True)
    return tables, count


def tell(path: Path) -> None:
    """Print what is in the archive, and how it has to be kept."""
    size = number(path.stat().st_size / 2**20, 1)
    say(_("written: {path} ({size} MB), for your eyes only", path=path, size=size))
    if (store := captured()).folder is None:
        say(_("the captured rows are in the bucket {store}: back it up there", store=store))
    if os.environ.get(KEY):
        text = _(
            "PSEUDONYM_KEY is in it: with it captured rows can be joined with children again, "
            "so keep the file as you keep the workbook"
        )
    else:
        text = _(
            "PSEUDONYM_KEY is not set: nobody can be found or forgotten in what was captured "
            "without it, here or in the backup"
        )
    say(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Back up; return the exit code."""
    arguments = parser("scripts.backup", _("Back up registry, captured rows and key."))
    arguments.add_argument("destination", type=Path, help=_("folder of the backups"))
    args = arguments.parse_args(argv)

    return run_command(lambda: tell(back_up(in_project(args.destination))))


if __name__ == "__main__":
    sys.exit(main())
