"""A store written through the contract's own types, and rows of the tiny versions' features."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.store.schema import (
    JOURNAL_FOLDER,
    JOURNAL_SUFFIX,
    PARQUET_SUFFIX,
    ROLE_PRIMARY,
    JournalHeader,
    file_stem,
)
from monitoring.store.filesystem import Store

Scorer = Callable[[pa.Table], npt.NDArray[np.float64]]
FEATURES = {"temperature": "double", "pressure": "double", "wear": "double"}
ARROW = {
    "string": pa.string(),
    "long": pa.int64(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


class StoreWriter:
    """Writes what a proxy would have: journals, and the Parquet files they become."""

    def __init__(self, folder: Path, features: Mapping[str, str] = FEATURES) -> None:
        """Write into `folder` rows of these features."""
        self.folder, self.features = folder, features

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
        """Write a journal of rows answered `age` ago."""
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
                "latency_ms": 1.0,
                **row,
            }
            lines.append(encode([known.get(name) for name in header.columns]))
        folder = self.folder / JOURNAL_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{file_stem(moment, uuid.uuid4().hex, number)}{JOURNAL_SUFFIX}"
        path.write_bytes(b"".join(lines))
        return path

    def parquet(self, journal: Path, *, keep_journal: bool = False) -> Path:
        """Turn a journal into the Parquet file of its stem."""
        header_line, *lines = journal.read_bytes().splitlines()
        header = JournalHeader.from_line(header_line)
        rows = [json.loads(line) for line in lines]
        columns = dict(zip(header.columns, zip(*rows, strict=True), strict=True))
        table = pa.table(
            {
                name: pa.array(
                    columns.get(name, [header.constants.get(name)] * len(rows)), ARROW[k]
                )
                for name, k in header.schema().items()
            }
        )
        path = self.folder / f"{journal.stem}{PARQUET_SUFFIX}"
        pq.write_table(table, path)
        if not keep_journal:
            journal.unlink()
        return path


def encode(row: Sequence[Any]) -> bytes:
    """Return one journal line."""
    return json.dumps(row).encode() + b"\n"


def draw_machine_rows(
    seed: int, rows: int, scorer: Scorer, shift: float = 0.0
) -> list[dict[str, Any]]:
    """Draw rows as `register_version` does, scored; `shift` moves the temperature."""
    rng = np.random.default_rng(seed)
    table = {
        "temperature": rng.normal(20 + shift, 5, rows),
        "pressure": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(1000, 10, rows)),
        "wear": rng.integers(0, 5, rows).astype(float),
    }
    columns = {**table, "score": scorer(pa.table(table))}
    cells = {name: [None if np.isnan(v) else float(v) for v in c] for name, c in columns.items()}
    return [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]


@pytest.fixture(scope="session")
def machine_rows() -> Callable[..., list[dict[str, Any]]]:
    """Return `draw_machine_rows`."""
    return draw_machine_rows


@pytest.fixture
def writer(tmp_path: Path) -> StoreWriter:
    """Return a writer of a store in a temporary folder."""
    return StoreWriter(tmp_path / "inference_store")


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, writer: StoreWriter) -> tuple[Store, Callable[[], None]]:
    """Return a store, and what brings there the Parquet files that the writer has written."""
    if request.param == "folder":
        return Store(writer.folder), lambda: None
    store = Store(request.getfixturevalue("bucket"), writer.folder / "journal")

    def upload() -> None:
        for path in writer.folder.glob("*.parquet"):
            with store.new_file(path.stem) as file:
                file.write(path.read_bytes())
            path.unlink()

    return store, upload
