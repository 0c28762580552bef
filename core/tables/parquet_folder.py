"""Parquet datasets: a folder, a partitioned folder, a bucket's prefix, or a Delta table.

A Delta table keeps files of deleted and replaced rows, which only its log distinguishes from live
ones. So a folder that has, contains or is below a `_delta_log` is read by that log, or rejected.
"""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs

from core.messages import N_
from core.tables.errors import UnreadableTable

DELTA_LOG = "_delta_log"
_BUCKET = "s3://"
_HIDDEN = ("_", ".")
"""Prefixes of names that are not data: Spark's markers and unfinished files."""


def is_bucket(source: object) -> bool:
    """Return whether an input is a bucket's address."""
    return str(source).startswith(_BUCKET)


def source_of(text: str) -> Path | str:
    """Return a command's input: a local path, or a bucket's address unchanged."""
    return text if is_bucket(text) else Path(text)


@dataclass(frozen=True, slots=True)
class ParquetPlace:
    """A file or folder, and the filesystem that it is on."""

    name: str
    files: pafs.FileSystem
    path: str

    @classmethod
    def of(cls, source: Path | str) -> "ParquetPlace":
        """Return the place of a local path or of `s3://bucket/prefix`; no file is accessed."""
        if is_bucket(source):
            files, path = pafs.FileSystem.from_uri(str(source).rstrip("/"))
            return cls(str(source), files, path)
        return cls(str(source), pafs.LocalFileSystem(), Path(source).absolute().as_posix())

    @property
    def is_folder(self) -> bool:
        """Return whether it exists and is a folder."""
        return self._is_folder(self.path)

    @property
    def is_delta(self) -> bool:
        """Return whether it is a Delta table."""
        return self._is_folder(f"{self.path}/{DELTA_LOG}")

    def plain_files(self) -> list[str]:
        """Return the paths of a folder's data files in order, or that of the file.

        None of them belongs to a Delta table, whose deleted rows a plain read would return.

        Raises:
            UnreadableTable: it is part of a Delta table, or contains one.
        """
        above = [str(folder) for folder in PurePosixPath(self.path).parents][:-1]
        within = self._paths() if self.is_folder else [self.path]
        if any(self._is_folder(f"{folder}/{DELTA_LOG}") for folder in above):
            message = N_(
                "{name}: is part of a Delta table, whose deleted rows only its log tells; name "
                "the table's own folder"
            )
            raise UnreadableTable(message, name=self.name)
        if any(DELTA_LOG in PurePosixPath(path).parts for path in within):
            message = N_("{name}: there is a Delta table within; name the table's own folder")
            raise UnreadableTable(message, name=self.name)
        start = len(PurePosixPath(self.path).parts)
        return [
            path
            for path in within
            if not any(part.startswith(_HIDDEN) for part in PurePosixPath(path).parts[start:])
        ]

    def _paths(self) -> list[str]:
        found = self.files.get_file_info(pafs.FileSelector(self.path, recursive=True))
        return sorted(one.path for one in found if one.type == pafs.FileType.File)

    def _is_folder(self, path: str) -> bool:
        return bool(self.files.get_file_info(path).type == pafs.FileType.Directory)


def open_dataset(source: Path | str) -> ds.Dataset:
    """Return a folder, a bucket's file or folder, or a Delta table as it is now, as one dataset.

    Raises:
        UnreadableTable: there is no file, one is not Parquet, their types differ, or it is a Delta
            table that cannot be read correctly here.
        OSError: the place cannot be accessed.
    """
    place = ParquetPlace.of(source)
    if place.is_delta:
        return _delta(place)
    paths = place.plain_files()
    try:
        return _plain(place, paths)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        # The errors' messages may quote values in folders' names.
        message = N_("{name} is not a Parquet file")
        if place.is_folder:
            message = N_("{name}: is not all Parquet, or its files differ in a column's type")
        raise UnreadableTable(message, name=place.name) from None


def _plain(place: ParquetPlace, paths: list[str]) -> ds.Dataset:
    if not paths:
        raise UnreadableTable(N_("{name}: the folder has no Parquet file"), name=place.name)
    found = ds.dataset(
        paths,
        filesystem=place.files,
        format="parquet",
        partitioning=ds.partitioning(flavor="hive") if place.is_folder else None,
        partition_base_dir=place.path if place.is_folder else None,
    )
    # Union of all files' columns; by default only the first file's would be read.
    fragments = list(found.get_fragments())
    schemas = [found.schema, *(fragment.physical_schema for fragment in fragments)]
    whole = pa.unify_schemas(schemas, promote_options="permissive")
    return ds.FileSystemDataset(fragments, whole, found.format, place.files)


def _delta(place: ParquetPlace) -> ds.Dataset:
    """Return the current rows of a Delta table, by its log."""
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ImportError:
        message = N_("{name}: is a Delta table; install what reads it: pip install deltalake")
        raise UnreadableTable(message, name=place.name) from None
    insecure = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    options = {"allow_http": "true"} if insecure else None
    files = pafs.SubTreeFileSystem(place.path, place.files)
    try:
        table = DeltaTable(place.name, storage_options=options)
        features = table.protocol().reader_features or []
        mapping = table.metadata().configuration.get("delta.columnMapping.mode", "none")
        named = [*features, *(["columnMapping"] if mapping != "none" else [])]
        refused = sorted({*named} & {"deletionVectors", "columnMapping"})
        if refused:
            message = N_(
                "{name}: the Delta table uses {features}, which is not read here; write it as "
                "one without, or as plain Parquet"
            )
            raise UnreadableTable(message, name=place.name, features=", ".join(refused))
        return table.to_pyarrow_dataset(filesystem=files)
    except DeltaError as exc:
        message = N_("{name}: the Delta table cannot be read ({reason})")
        reason = type(exc).__name__
        raise UnreadableTable(message, name=place.name, reason=reason) from exc
