"""A store as a proxy writes it, without the proxy, with the features of the tiny versions."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.store.arrow_types import ARROW_TYPES
from core.store.filesystem import Store
from core.store.schema import (
    JOURNAL_FOLDER,
    JOURNAL_SUFFIX,
    PARQUET_SUFFIX,
    ROLE_PRIMARY,
    JournalHeader,
    file_stem,
)

FEATURES = {"temperature": "double", "pressure": "double", "wear": "double"}


class StoreWriter:
    """A writer of a proxy's files: journals, and the Parquet files converted from them."""

    def __init__(self, folder: Path, features: Mapping[str, str] = FEATURES) -> None:
        """Write rows with these features into `folder`."""
        self.folder, self.features = folder, features
        self.store = Store(folder)

    def journal(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        model: str = "modelo",
        number: int = 1,
        role: str = ROLE_PRIMARY,
        age: timedelta = timedelta(hours=1),
        per_request: int = 10,
    ) -> Path:
        """Write a journal of rows served `age` ago; return its path."""
        moment = datetime.now(UTC) - age
        constants = {
            "model_name": model,
            "model_version": "v1.0.0",
            "registry_version": number,
            "role": role,
        }
        header = JournalHeader.of(constants, self.features)
        stamp = int(moment.timestamp() * 1e6)
        lines = [header.to_line()]
        for index, row in enumerate(rows):
            known = {
                "request_id": f"r{index // per_request}",
                "instance": index % per_request,
                "timestamp": stamp,
                "label": 0,
                "threshold": 0.5,
                "scored_ms": 1.0,
                **row,
            }
            lines.append(encode([known.get(name) for name in header.columns]))
        folder = self.folder / JOURNAL_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{file_stem(moment, uuid.uuid4().hex, number)}{JOURNAL_SUFFIX}"
        path.write_bytes(b"".join(lines))
        return path

    def parquet(self, journal: Path, *, keep_journal: bool = False) -> Path:
        """Convert a journal to the Parquet file of its stem; return its path."""
        header_line, *lines = journal.read_bytes().splitlines()
        header = JournalHeader.from_line(header_line)
        rows = [json.loads(line) for line in lines]
        columns = dict(zip(header.columns, zip(*rows, strict=True), strict=True))
        table = pa.table(
            {
                name: pa.array(
                    columns.get(name, [header.constants.get(name)] * len(rows)), ARROW_TYPES[k]
                )
                for name, k in header.schema().items()
            }
        )
        path = self.folder / f"{journal.stem}{PARQUET_SUFFIX}"
        pq.write_table(table, path, write_page_checksum=True)
        if not keep_journal:
            journal.unlink()
        return path


def read_journal(path: Path) -> tuple[JournalHeader, list[list[Any]]]:
    """Return a journal's header and its complete rows, by a plain JSON reader."""
    header, *lines = path.read_bytes().split(b"\n")[:-1]
    return JournalHeader.from_line(header), [json.loads(line) for line in lines]


def flip_a_page(path: Path) -> None:
    """Flip one bit in the page of the entities of a Parquet file, as a disk error might."""
    column = pq.read_metadata(path).schema.names.index("entity")
    chunk = pq.read_metadata(path).row_group(0).column(column)
    content = bytearray(path.read_bytes())
    content[(chunk.dictionary_page_offset or chunk.data_page_offset) + 40] ^= 4
    path.write_bytes(content)


def encode(row: Sequence[Any]) -> bytes:
    """Return one journal line."""
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def fill_disk(folder: Path) -> Path:
    """Fill a disk; return the file that takes its space."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"0" * 512)
        except OSError:
            return filler
