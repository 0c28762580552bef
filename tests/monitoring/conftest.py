"""Rows with the features of the tiny versions, for stores of captures."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

Scorer = Callable[[pa.Table], npt.NDArray[np.float64]]


def draw_machine_rows(
    seed: int, rows: int, scorer: Scorer, shift: float = 0.0
) -> list[dict[str, Any]]:
    """Draw rows as `register_version` does, with scores; `shift` is added to the temperature."""
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
