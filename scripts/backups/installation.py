"""The folders of this installation that backup and restore use."""

import os
from collections.abc import Iterator
from pathlib import Path

from core.contract.names import DEFAULT_INFERENCE_STORE
from core.errors import ProjectError
from core.messages import N_
from core.store.filesystem import Store
from core.store.places import ROTATE_REQUEST, store_place
from scripts.starting.addresses import load_env_file
from scripts.starting.processes import ROOT

DATABASE = Path("var/mlflow.db")
ARTIFACTS = Path("var/artifacts")
ENV = Path(".env")
KEY = "PSEUDONYM_KEY"


class BackupError(ProjectError):
    """The backup cannot be made or restored; nothing was changed."""

    code = "backup_failed"


def in_project(given: Path) -> Path:
    """Change to the project's folder and load its `.env`; return `given` as an absolute path."""
    given = given.absolute()
    os.chdir(ROOT)
    load_env_file(ROOT / ENV)
    return given


def captured() -> Store:
    """Return the inference store that the environment names, with its journals.

    Raises:
        BackupError: `INFERENCE_STORE` names neither a folder nor a bucket.
    """
    text = os.environ.get("INFERENCE_STORE") or DEFAULT_INFERENCE_STORE
    try:
        place = store_place(text)
    except ValueError as exc:
        text = N_(
            "the inference store is neither a folder nor s3://bucket/prefix (without access keys)"
        )
        raise BackupError(text) from exc
    journals = os.environ.get("JOURNAL_DIR")
    return Store(place, Path(journals) if journals else None)


def files_under(folder: Path) -> Iterator[Path]:
    """Yield all files under a folder, in order."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def rows_under(folder: Path, without: Path | None = None) -> Iterator[Path]:
    """Yield the files of a store, or of its journals, except those within `without`.

    Hidden files (incomplete, or locks) and requests for rotation are left out.
    """
    for path in files_under(folder):
        inside = path.relative_to(folder).parts
        passing = any(part.startswith(".") for part in inside) or path.name == ROTATE_REQUEST
        if not passing and not (without and path.is_relative_to(without)):
            yield path
