"""Where captured Parquet files go: a folder or a bucket. A file appears whole or not at all."""

import mmap
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from core.store.schema import COMPACTED, PARQUET_SUFFIX, replaced_stems
from serving.capture.durable import sync_folder
from serving.errors import StoreUnreachable

_CODE = re.compile(r"AWS Error (\w+)")


class Folder:
    """A local folder: a file is written beside its place and renamed into it."""

    def __init__(self, path: Path) -> None:
        """Remember the folder; it is made when it is needed."""
        self._path = path

    def has(self, stem: str) -> bool:
        """Tell whether there is a file of the stem."""
        return (self._path / f"{stem}{PARQUET_SUFFIX}").exists()

    def replaced(self, day: str) -> frozenset[str]:
        """Return the stems that compacted files of a day (`YYYYMMDD`) have replaced."""
        files = self._path.glob(f"{day}*-{COMPACTED}-*{PARQUET_SUFFIX}")
        return _listed(pq.read_metadata(path) for path in files)

    @contextmanager
    def new_file(self, stem: str) -> Iterator[IO[bytes]]:
        """Yield a file to write, which gets its name, durably, when the block ends well.

        Raises:
            OSError: it cannot be written.
        """
        self._path.mkdir(parents=True, exist_ok=True)
        target = self._path / f"{stem}{PARQUET_SUFFIX}"
        temporary = target.with_name(f".{target.name}.tmp")
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        sync_folder(self._path)


class Bucket:
    """A prefix in an object store: an object appears when its upload is complete.

    The same stem is the same object, so an upload that is repeated replaces itself.
    """

    def __init__(self, uri: str, scratch: Path) -> None:
        """Connect; files are put together in the folder `scratch`, where they have no name.

        Raises:
            StoreUnreachable: the bucket's region cannot be found out.
        """
        self._uri, self._scratch = uri, scratch
        with self._translated():
            self._files, self._root = pafs.FileSystem.from_uri(uri)

    def has(self, stem: str) -> bool:
        """Tell whether there is an object of the stem.

        Raises:
            StoreUnreachable: the object store does not say.
        """
        with self._translated():
            found = self._files.get_file_info(f"{self._root}/{stem}{PARQUET_SUFFIX}")
        return bool(found.type == pafs.FileType.File)

    def replaced(self, day: str) -> frozenset[str]:
        """Return the stems that compacted objects of a day (`YYYYMMDD`) have replaced.

        Raises:
            StoreUnreachable: the object store does not say.
        """
        with self._translated():
            listed = self._files.get_file_info(pafs.FileSelector(self._root, allow_not_found=True))
            paths = [f.path for f in listed if f.base_name.startswith(day)]
            return _listed(
                pq.read_metadata(path, filesystem=self._files)
                for path in paths
                if f"-{COMPACTED}-" in path and path.endswith(PARQUET_SUFFIX)
            )

    @contextmanager
    def new_file(self, stem: str) -> Iterator[IO[bytes]]:
        """Yield a file to write, which is uploaded when the block ends well.

        Raises:
            OSError: it cannot be written here.
            StoreUnreachable: it cannot be uploaded.
        """
        with tempfile.TemporaryFile(dir=self._scratch) as file:
            yield file
            file.flush()
            # All of it at once: a stream that ends early would be completed as if it were whole.
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            with self._translated():
                target = f"{self._root}/{stem}{PARQUET_SUFFIX}"
                stream = self._files.open_output_stream(target)
                stream.write(pa.py_buffer(content))
                stream.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            code = _CODE.search(str(exc))
            raise StoreUnreachable(self._uri, code[1] if code else type(exc).__name__) from exc


def _listed(footers: Iterator[Any]) -> frozenset[str]:
    return frozenset().union(*(replaced_stems(footer.metadata or {}) for footer in footers))


@lru_cache(maxsize=4)
def destination(place: Path | str, journals: Path) -> Folder | Bucket:
    """Return the destination that a setting names (see `contract.places.store_place`).

    Raises:
        StoreUnreachable: the object store cannot be used.
    """
    return Folder(place) if isinstance(place, Path) else Bucket(place, journals)
