"""Restore a backup into an empty installation (`make restore FROM=...`).

The archive is read whole and every digest verified before any file is moved into place, and an
existing file is never overwritten.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from core.cli.arguments import parser, run_command, say
from core.files.whole import make_folder
from core.messages import N_, _
from core.messages.formats import moment
from core.store.filesystem import Store
from scripts.backups import containers
from scripts.backups.archive import DATABASE_DUMP, NEW, PRIVATE, unpack
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
from scripts.starting.processes import ROOT


def places(store: Store) -> dict[str, Path]:
    """Return where each part of an archive belongs in this installation."""
    found = {"journal": store.journals}
    if containers.dumps() is None:
        found |= {"mlflow.db": ROOT / DATABASE, "artifacts": ROOT / ARTIFACTS}
    return found | ({"store": store.folder} if store.folder else {})


def taken(store: Store) -> list[object]:
    """Return the destinations that are not empty."""
    found: list[object] = [
        path
        for path in places(store).values()
        if path.is_file() or (path.is_dir() and any(rows_under(path)))
    ]
    bucket = containers.dumps() is not None and containers.objects()
    return [*found, f"s3://{containers.PREFIX}"] if bucket else found


def restore(archive: Path) -> dict[str, Any]:
    """Restore an archive here; return its manifest.

    Raises:
        BackupError: the installation is not empty, or the archive is missing, not whole, or of
            another kind of installation or another key.
        OSError: it cannot be read, or a file cannot be written.
    """
    if not archive.is_file():
        raise BackupError(N_("the backup {path} does not exist"), path=archive)
    store = captured()
    if here := taken(store):
        message = N_("there is something here already, and nothing is overwritten: {paths}")
        raise BackupError(message, paths=", ".join(map(str, here)))
    contained = containers.dumps() is not None
    scratch = archive.parent if contained else ROOT
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".restore-") as temporary:
        folder = Path(temporary)
        manifest = unpack(archive, folder)
        _check_kind(folder, contained)
        _check_key(folder, archive)
        moved: list[Path] = []
        try:
            for name, place in places(store).items():
                for source, target in _moves(folder / name, place):
                    make_folder(target.parent)
                    moved.append(target)
                    shutil.move(source, target)
            if contained:
                containers.put(folder / "artifacts")
        except BaseException:
            # All of it was empty: half of a backup would be in the way of the next attempt.
            for target in moved:
                with suppress(OSError):
                    target.unlink()
            raise
        if not contained and not (ROOT / ENV).exists():
            _put_env(folder)
    return manifest


def _check_kind(folder: Path, contained: bool) -> None:
    """Reject a backup of the other kind: a dump needs PostgreSQL, a SQLite file a folder."""
    if (folder / DATABASE_DUMP).exists() != contained:
        raise BackupError(
            N_("the backup is of another kind of installation: with containers, or without")
        )


def _check_key(folder: Path, archive: Path) -> None:
    """Reject a key other than the backup's: the rows captured before could not be found with it."""
    kept = folder / "pseudonym-key"
    mine = os.environ.get(KEY)
    if mine and kept.exists() and mine != kept.read_text():
        message = N_(
            "PSEUDONYM_KEY is not the backup's here; take that one, it is in the archive: {command}"
        )
        raise BackupError(message, command=f"tar -xOf {archive} pseudonym-key")


def _moves(source: Path, place: Path) -> Iterator[tuple[Path, Path]]:
    """Yield a file, or each file of a folder, with its destination."""
    if source.is_file():
        yield source, place
    for path in files_under(source) if source.is_dir() else ():
        yield path, place / path.relative_to(source)


def _put_env(folder: Path) -> None:
    """Write the backup's `.env`, with the pseudonyms' key added where it lacks one."""
    text = (folder / "env").read_text() if (folder / "env").exists() else ""
    kept = folder / "pseudonym-key"
    if kept.exists() and not dotenv_values(stream=StringIO(text)).get(KEY):
        text = f"{text.rstrip()}\n{KEY}={kept.read_text()}\n".lstrip()
    if text:
        with os.fdopen(os.open(ROOT / ENV, NEW, PRIVATE), "w") as file:
            file.write(text)


def tell(manifest: Mapping[str, Any]) -> None:
    """Print what was restored and what remains to be done."""
    files = manifest["files"]
    text = _(
        "restored, as of {when}: the registry, {artifacts} files of runs and versions, "
        "{captured} files of captured rows, {journals} journals",
        when=moment(manifest["made"]),
        **files,
    )
    say(text)
    if not manifest["pseudonym_key"]:
        text = _(
            "the backup has no PSEUDONYM_KEY: nobody can be found or forgotten in what was "
            "captured without it, here or in the backup"
        )
        say(text)
    if manifest["mlflow"] != version("mlflow"):
        text = _(
            "MLflow was {then} and is {now}: if it does not start, its database has to be "
            "upgraded (RUNBOOK)",
            then=manifest["mlflow"],
            now=version("mlflow"),
        )
        say(text)
    say(_("who was forgotten after that moment is here again: repeat --forget (docs/privacy.md)"))
    if containers.dumps() is not None:
        say(_("the database is left: RUNBOOK §10 has the command"))
    else:
        say(_("start it: {command}", command="make up"))


def main(argv: Sequence[str] | None = None) -> int:
    """Restore; return the exit code."""
    arguments = parser("scripts.restore", _("Restore a backup into an empty installation."))
    arguments.add_argument("archive", type=Path, help=_("the backup (.tar)"))
    args = arguments.parse_args(argv)

    return run_command(lambda: tell(restore(in_project(args.archive))))


if __name__ == "__main__":
    sys.exit(main())
