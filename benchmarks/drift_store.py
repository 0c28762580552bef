"""Synthetic data of the drift benchmark: a reference, and a store as the proxy writes it."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.store.arrow_types import ARROW_TYPES
from core.store.schema import PARQUET_SUFFIX, ROLE_PRIMARY, JournalHeader, file_stem
from mlflow_project.dataset.risk import FEATURE_NAMES, build_contract

N_REFERENCE = 50_000
ROWS_PER_FILE = 100_000
PER_REQUEST = 20
MODEL, RELEASE = "bench-champion", "v1.0.0"
_FEW_VALUES = {"fase": 9, "idade": 15, "fase_ideal": 9, "defasagem": 6, "anos_no_programa": 8}
_YOUNGEST = 4
_MISSING = {"ipp": 0.10, "ing": 0.30}


def draw(rows: int, seed: int) -> pa.Table:
    """Draw 14 features and the score: nine continuous, five discrete, two with missing values."""
    rng = np.random.default_rng(seed)
    columns = {}
    for name in FEATURE_NAMES:
        if name in _FEW_VALUES:
            values = rng.integers(0, _FEW_VALUES[name], rows).astype(np.float64)
            values += _YOUNGEST if name == "idade" else 0
        else:
            values = np.clip(rng.normal(6.5, 1.5, rows), 0, 10)
        absent = rng.random(rows) < _MISSING.get(name, 0.0)
        columns[name] = pa.array(values, mask=absent)
    return pa.table({**columns, "score": rng.beta(2, 3, rows)})


def write_store(folder: Path, rows: int, entities: int = 0) -> None:
    """Write `rows` captured rows of yesterday, of `entities` persons; 0: no entity."""
    folder.mkdir(parents=True)
    began = datetime.now(UTC) - timedelta(days=1)
    for start in range(0, rows, ROWS_PER_FILE):
        count = min(ROWS_PER_FILE, rows - start)
        opened = began + timedelta(seconds=start / 1000)
        table = _captured(draw(count, 1000 + start), opened, entities, start)
        pq.write_table(table, folder / f"{file_stem(opened, str(start), 1)}{PARQUET_SUFFIX}")


def repeat_store(source: Path, folder: Path, times: int) -> None:
    """Create a store with `times` hard links to each file of `source`, which take no space."""
    folder.mkdir()
    for path in source.glob(f"*{PARQUET_SUFFIX}"):
        for number in range(times):
            os.link(path, folder / f"{path.stem}-{number}{PARQUET_SUFFIX}")


def _captured(drawn: pa.Table, opened: datetime, entities: int, start: int) -> pa.Table:
    rows = drawn.num_rows
    header = JournalHeader.of(
        {
            "model_name": MODEL,
            "model_version": RELEASE,
            "registry_version": 1,
            "role": ROLE_PRIMARY,
        },
        {feature.name: feature.type for feature in build_contract(RELEASE, 0.5, {}, 0.5).features},
    )
    index = np.arange(start, start + rows)
    stamp = int(opened.timestamp() * 1e6)
    known = {
        "request_id": pa.array([f"{number:032x}" for number in (index // PER_REQUEST).tolist()]),
        "instance": pa.array(index % PER_REQUEST),
        "timestamp": pa.array(stamp + np.arange(rows) // PER_REQUEST * 1000),
        "label": pa.array((drawn.column("score").to_numpy() >= 0.5).astype(np.int64)),
        "threshold": pa.array(np.full(rows, 0.5)),
        "scored_ms": pa.array(np.full(rows, 2.0)),
    }
    if entities:
        people = np.random.default_rng(start).integers(0, entities, rows).tolist()
        known["entity"] = pa.array([f"{person:064x}" for person in people])
    columns = {}
    for name, kind in header.schema().items():
        if name in drawn.column_names:
            columns[name] = drawn.column(name)
        elif name in header.constants:
            columns[name] = pa.repeat(pa.scalar(header.constants[name], ARROW_TYPES[kind]), rows)
        else:
            columns[name] = known.get(name, pa.nulls(rows)).cast(ARROW_TYPES[kind])
    return pa.table(columns)
