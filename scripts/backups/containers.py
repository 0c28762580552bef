"""The registry of docker-compose.yml for backups: a dump of PostgreSQL, objects of a bucket.

The variable `DUMPS` is set only in its containers, to the volume of the `dump` service. Objects are
copied through a file one by one, so that a container's memory holds no whole model.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.backups.installation import files_under
from scripts.prepare_services import ARTIFACTS, make_buckets

DUMPS = "DUMPS"
PREFIX = f"{ARTIFACTS}/artifacts"
"""Bucket and prefix of MLflow's artifacts in docker-compose.yml."""


def dumps() -> Path | None:
    """Return the folder of PostgreSQL's dumps; None outside compose's containers."""
    folder = os.environ.get(DUMPS)
    return Path(folder) if folder else None


def objects() -> list[str]:
    """Return the names of MLflow's artifacts below their prefix."""
    import pyarrow.fs as pafs

    listed = _store().get_file_info(pafs.FileSelector(PREFIX, recursive=True, allow_not_found=True))
    files = (info.path for info in listed if info.type == pafs.FileType.File)
    return sorted(path.removeprefix(f"{PREFIX}/") for path in files)


def fetched(names: list[str], place: Path) -> Iterator[str]:
    """Download each object to the same file, one after another; yield its name when complete."""
    store = _store()
    for name in names:
        with store.open_input_stream(f"{PREFIX}/{name}") as source, place.open("wb") as file:
            shutil.copyfileobj(source, file)
        yield name


def put(folder: Path) -> None:
    """Upload all files of a folder as artifacts, named by their relative paths."""
    make_buckets([ARTIFACTS])
    store = _store()
    for path in files_under(folder):
        name = path.relative_to(folder).as_posix()
        with path.open("rb") as file, store.open_output_stream(f"{PREFIX}/{name}") as target:
            shutil.copyfileobj(file, target)


def _store() -> Any:
    import pyarrow.fs as pafs

    return pafs.FileSystem.from_uri(f"s3://{PREFIX}")[0]
