"""Parquet bodies: limits by the decoded size, not by the size sent."""

import io
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.errors import BodyTooLarge, InvalidInstances
from serving.protocol.parquet_input import from_parquet

SIZE = 1_000_000


def written(table: Any, **options: Any) -> bytes:
    """Return a table as Parquet bytes."""
    file = io.BytesIO()
    pq.write_table(pa.table(table), file, **options)
    return file.getvalue()


def test_a_frame_comes_back_without_its_index() -> None:
    """Text, nulls and categories are restored without the index; `columns` selects columns."""
    frame = pd.DataFrame({"a": [1.5, None], "b": ["x", None], "c": [1, 2]}, index=["p", "q"])
    frame["d"] = frame["b"].astype("category")
    file = io.BytesIO()
    frame.to_parquet(file)
    first, second = from_parquet(file.getvalue(), None, 5, SIZE)
    assert first == {"a": 1.5, "b": "x", "c": 1, "d": "x"}
    assert (second["b"], second["c"], second["d"]) == (None, 2, None)
    assert [list(row) for row in from_parquet(file.getvalue(), {"c"}, 5, SIZE)] == [["c"], ["c"]]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"PAR1",
        written({"a": [1.0] * 6}),
        written({"a": [1.0]}, compression="gzip"),
        written({"a": [[1.0]]}),
        written({"a": [{"b": 1.0}]}),
        written({"a": [1.0]})[:-4] + b"NONE",
    ],
)
def test_what_is_no_flat_bounded_file_is_refused(body: bytes) -> None:
    """Invalid files, gzip compression, nested columns and too many rows are refused."""
    with pytest.raises(InvalidInstances):
        from_parquet(body, None, 5, SIZE)


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_read() -> None:
    """The decoded size is limited by the footer; text in a dictionary counts once per row."""
    numbers = written({"a": [float(n) for n in range(40_000)]}, use_dictionary=False)
    with pytest.raises(BodyTooLarge):
        from_parquet(numbers, None, 50_000, 300_000)
    texts = written({"a": ["x" * 10_000] * 5_000})
    assert len(texts) < 20_000
    with pytest.raises(BodyTooLarge):
        from_parquet(texts, None, 50_000, SIZE)
    assert len(from_parquet(texts, {"b"}, 50_000, SIZE)) == 5_000
