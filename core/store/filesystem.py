"""The inference store as a set of files: a local folder, or a prefix in a bucket.

Writes replace whole files: in a folder by an atomic rename, in a bucket by an upload, which becomes
visible when it is complete. A reader never sees a partial file.
"""

import errno
import mmap
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from core.contract.columns import LEADING_COLUMNS, TRAILING_COLUMNS
from core.files.whole import make_folder, replacing
from core.messages import _
from core.store.arrow_types import ARROW_TYPES
from core.store.errors import FileDamaged, StoreUnreachable
from core.store.places import journal_folder
from core.store.schema import PARQUET_SUFFIX

_CODE = re.compile(r"AWS Error (\w+)")
_ROWS_AT_ONCE = 16_384
_ARROWS_OWN = b"ARROW:schema"


def any_name(_name: str) -> bool:
    """Accept every name."""
    return True


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file: its path in the store's filesystem, write time (epoch, s), and size in bytes."""

    path: PurePath
    modified: float
    size: int


class Store:
    """A folder or bucket of Parquet files, and the local folder of the journals that precede them.

    No connection is made before the first access.
    """

    def __init__(self, place: Path | str, journals: Path | None = None) -> None:
        """Set the location (`places.store_place`), and that of its journals if not the default."""
        self.place = place
        self.journals = journals or journal_folder(place)

    def __str__(self) -> str:
        """Return the place as operators write it."""
        return str(self.place)

    @property
    def folder(self) -> Path | None:
        """Return the local folder, None for a bucket."""
        return self.place if isinstance(self.place, Path) else None

    @property
    def filesystem(self) -> Any:
        """Return the Arrow filesystem that `StoredFile.path` belongs to."""
        return self._opened[0]

    def exists(self) -> bool:
        """Return whether there is a folder of files or journals, or a bucket prefix with files."""
        there = self.folder.is_dir() if self.folder else bool(self.files())
        return there or self.journals.is_dir()

    def files(self, wanted: Callable[[str], bool] = any_name) -> list[StoredFile]:
        """Return the Parquet files whose names are `wanted`, sorted by name and so by time."""
        return self.listed(wanted=lambda name: name.endswith(PARQUET_SUFFIX) and wanted(name))

    def has(self, stem: str) -> bool:
        """Return whether there is a Parquet file with the stem."""
        with self.reaching():
            return bool(self.filesystem.get_file_info(self.path(f"{stem}{PARQUET_SUFFIX}")).is_file)

    def listed(
        self, within: str = "", wanted: Callable[[str], bool] = any_name
    ) -> list[StoredFile]:
        """Return the files, not hidden, whose names are `wanted`, in the store or its folder."""
        try:  # not `allow_not_found`, which treats a missing bucket as an empty one
            with self.reaching():
                root = pafs.FileSelector(self.path(within).rstrip("/"))
                found = self.filesystem.get_file_info(root)
        except (FileNotFoundError, NotADirectoryError):
            return []
        # Most files of a year are filtered out, and names are cheaper to make and sort than paths.
        named = ((info.base_name, info) for info in found if info.is_file)
        kept = [(name, info) for name, info in named if name[0] != "." and wanted(name)]
        make = Path if self.folder else PurePosixPath
        return [
            StoredFile(make(info.path), info.mtime.timestamp(), info.size)
            for _name, info in sorted(kept, key=itemgetter(0))
        ]

    def path(self, name: str) -> str:
        """Return the path of a file in the store's filesystem."""
        return f"{self._opened[1]}/{name}"

    @contextmanager
    def parquet(self, path: PurePath) -> Iterator[Any]:
        """Open a Parquet file; the checksums of its pages are verified where it has them.

        Raises:
            FileNotFoundError: it has been removed.
            FileDamaged: it cannot be read; names it.
            StoreUnreachable: the bucket does not return it.
        """
        try:
            with self.reaching(), self._open(path) as file:
                yield file
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError, StoreUnreachable) as exc:
            # The caller's block may have failed instead: reading the file alone decides.
            reason = self.damage(path)
            if reason is None:
                raise
            raise FileDamaged(path=path, reason=reason) from exc

    def damage(self, path: PurePath) -> str | None:
        """Read a whole Parquet file; return its problem, None for an intact or a removed one.

        Raises:
            OSError: this process has no permission to read it.
            StoreUnreachable: the bucket does not return it.
        """
        try:
            with self.reaching(), self._open(path) as file:
                problem = unlike_captures(file.schema_arrow)
                for _batch in file.iter_batches(_ROWS_AT_ONCE) if problem is None else ():
                    pass
                return problem
        except FileNotFoundError:
            return None
        except (pa.ArrowException, OSError, StoreUnreachable) as exc:
            cause = exc.__cause__ if isinstance(exc, StoreUnreachable) else exc
            if _is_arrows_own(cause):
                return _("not a readable Parquet file")
            raise

    @contextmanager
    def _open(self, path: PurePath) -> Iterator[Any]:
        with (
            self.filesystem.open_input_file(str(path)) as source,
            pq.ParquetFile(
                source, pre_buffer=self.folder is None, page_checksum_verification=True
            ) as file,
        ):
            yield file

    @contextmanager
    def new_file(self, stem: str) -> Iterator[IO[bytes]]:
        """Yield a file to write, which replaces the stem's Parquet file if the block succeeds.

        Raises:
            OSError: the folder cannot be written.
            StoreUnreachable: the bucket does not accept it.
        """
        target = self.path(f"{stem}{PARQUET_SUFFIX}")
        if self.folder is not None:
            with replacing(Path(target)) as path, path.open("wb") as file:
                yield file
            return
        make_folder(self.journals)
        with tempfile.TemporaryFile(dir=self.journals) as file:
            yield file
            file.flush()
            # All of it in one write: a stream that ends early would still be completed, truncated.
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            with self.reaching():
                stream = self.filesystem.open_output_stream(target)
                stream.write(pa.py_buffer(content))
                stream.close()

    @contextmanager
    def new_parquet(self, stem: str, schema: pa.Schema) -> Iterator[Any]:
        """Yield a Parquet writer, whose file replaces the stem's as in `new_file`.

        Each page has a checksum, which `parquet` and `core.captured.sources` verify. The schema's
        metadata is written to the footer only: Arrow's own copy of the schema would repeat it.
        """
        plain, footer = schema.remove_metadata(), schema.metadata or {}
        with (
            self.new_file(stem) as file,
            pq.ParquetWriter(file, plain, write_page_checksum=True) as writer,
        ):
            writer.add_key_value_metadata(footer)
            yield writer

    def delete(self, path: PurePath) -> None:
        """Remove a file; one that is already removed is not an error."""
        with suppress(FileNotFoundError), self.reaching():
            self.filesystem.delete_file(str(path))

    @contextmanager
    def reaching(self) -> Iterator[None]:
        """Convert a bucket's errors into StoreUnreachable; a folder's errors are unchanged."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as exc:
            if self.folder is not None:
                raise
            code = _CODE.search(str(exc))
            cause = code[1] if code else type(exc).__name__
            raise StoreUnreachable(store=self, cause=cause) from exc

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        if self.folder is not None:
            return pafs.LocalFileSystem(), str(self.folder)
        with self.reaching():
            filesystem, root = pafs.FileSystem.from_uri(self.place)
        return filesystem, root


def schema_of(file: Any) -> pa.Schema:
    """Return an open file's schema with its footer's metadata, as `new_parquet` expects it."""
    footer = file.metadata.metadata or {}
    return file.schema_arrow.with_metadata({k: v for k, v in footer.items() if k != _ARROWS_OWN})


def unlike_captures(schema: pa.Schema) -> str | None:
    """Return why a file with this schema cannot hold captured rows, None if it can."""
    wanted = {**LEADING_COLUMNS, **TRAILING_COLUMNS}
    for name, kind in wanted.items():
        if name not in schema.names:
            if name != "period":  # absent in files of older releases
                return _("no column {name}", name=name)
        elif schema.field(name).type != ARROW_TYPES[kind]:
            return _("the column {name} is not a {kind}", name=name, kind=kind)
    return None


def _is_arrows_own(exc: BaseException | None) -> bool:
    """Return whether an error is of Arrow on a file's bytes, and not of the system or a bucket."""
    if isinstance(exc, OSError):
        return exc.errno == errno.EIO or (exc.errno is None and not _CODE.search(str(exc)))
    return isinstance(exc, pa.ArrowException) and not isinstance(exc, MemoryError)
