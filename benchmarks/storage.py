"""Bytes per captured row: `python -m benchmarks.storage --rows DATASET.parquet`.

Rows of a dataset are written as the proxy captures them (contract columns, pseudonyms, request ids)
in files of several sizes, since a small file is mostly footer.
"""

import argparse
import io
import secrets
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.contract.columns import LEADING_COLUMNS, TRAILING_COLUMNS
from core.store.arrow_types import ARROW_TYPES
from core.store.schema import JournalHeader

SIZES = (1, 10, 100, 1_000, 16_384, 200_000)


def captured(dataset: pa.Table, features: list[str], rows: int) -> pa.Table:
    """Return captured rows: features sampled from the dataset, all other columns synthetic."""
    rng = np.random.default_rng(0)
    picked = dataset.select(features).take(rng.integers(0, dataset.num_rows, rows))
    now = int(datetime.now(UTC).timestamp() * 1e6)
    made: dict[str, object] = {
        "request_id": [uuid.uuid4().hex for _ in range(rows)],
        "instance": [0] * rows,
        "timestamp": now + np.arange(rows) * 7_000,
        "model_name": ["risco-defasagem"] * rows,
        "model_version": ["v1.0.0"] * rows,
        "registry_version": [1] * rows,
        "role": ["primary"] * rows,
        "entity": [secrets.token_hex(32) for _ in range(rows)],
        "period": [2024] * rows,
        "score": rng.random(rows),
        "label": rng.integers(0, 2, rows),
        "threshold": [0.413968] * rows,
        "scored_ms": rng.gamma(2, 0.3, rows).round(3),
    }
    columns = {
        name: pa.array(made[name], ARROW_TYPES[kind])
        for name, kind in {**LEADING_COLUMNS, **TRAILING_COLUMNS}.items()
    }
    leading = {name: columns[name] for name in LEADING_COLUMNS}
    inputs = {name: picked.column(name).combine_chunks() for name in features}
    return pa.table({**leading, **inputs, **{n: columns[n] for n in TRAILING_COLUMNS}})


def parquet_bytes(table: pa.Table) -> int:
    """Return the size in bytes of these rows as a Parquet file."""
    file = io.BytesIO()
    with pq.ParquetWriter(file, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=16_384):
            writer.write_batch(batch)
    return file.tell()


def journal_bytes(table: pa.Table) -> int:
    """Return the size in bytes of these rows as journal lines, without the header."""
    header = JournalHeader.of({}, dict.fromkeys(table.column_names, ""))
    names = [name for name in header.columns if name in table.column_names]
    timestamps = table.column("timestamp").cast(pa.int64())
    plain = table.set_column(table.column_names.index("timestamp"), "timestamp", timestamps)
    encoder = msgspec.json.Encoder()
    rows = zip(*(plain.column(name).to_pylist() for name in names), strict=True)
    return sum(len(encoder.encode(row)) + 1 for row in rows)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, required=True, help="dataset of make_dataset")
    dataset = pq.read_table(parser.parse_args().rows)
    features = [f.name for f in dataset.schema if pa.types.is_floating(f.type)]
    sys.stdout.write(f"{len(features)} features\n| rows in a file | bytes a row |\n|---|---|\n")
    for size in SIZES:
        total = parquet_bytes(captured(dataset, features, size))
        sys.stdout.write(f"| {size:,} | {total / size:,.0f} |\n")
    sample = captured(dataset, features, 1_000)
    sys.stdout.write(f"journal: {journal_bytes(sample) / 1_000:.0f} bytes a row\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
