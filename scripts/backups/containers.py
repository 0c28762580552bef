"""The registry of docker-compose.yml for backups: a dump of PostgreSQL, objects of a bucket.

The variable `DUMPS` says that this is one of its containers, and where the volume of the `dump`
service is. Objects go through a file one by one: a container's memory holds no model twice.
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
"""Where docker-compose.yml has MLflow keep its artifacts."""


def dumps() -> Path | None:
    """Return the folder of PostgreSQL's dumps; None where this is no container of compose."""
    folder = os.environ.get(DUMPS)
    return Path(folder) if folder else None


def objects() -> list[str]:
    """Return the names of MLflow's artifacts below their prefix."""
    import pyarrow.fs as pafs

    listed = _store().get_file_info(pafs.FileSelector(PREFIX, recursive=True, allow_not_found=True))
    files = (info.path for info in listed if info.type == pafs.FileType.File)
    return sorted(path.removeprefix(f"{PREFIX}/") for path in files)


def fetched(names: list[str], place: Path) -> Iterator[str]:
    """Write each object to the same place, one after another; yield its name once it is there."""
    store = _store()
    for name in names:
        with store.open_input_stream(f"{PREFIX}/{name}") as source, place.open("wb") as file:
            shutil.copyfileobj(source, file)
        yield name


def put(folder: Path) -> None:
    """Write all files of a folder as artifacts, their paths as names."""
    make_buckets([ARTIFACTS])
    store = _store()
    for path in files_under(folder):
        name = path.relative_to(folder).as_posix()
        with path.open("rb") as file, store.open_output_stream(f"{PREFIX}/{name}") as target:
            shutil.copyfileobj(file, target)


def _store() -> Any:
    import pyarrow.fs as pafs

    return pafs.FileSystem.from_uri(f"s3://{PREFIX}")[0]
