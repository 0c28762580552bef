"""Parquet folders and Delta tables read as tables: all current rows, and no deleted ones."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.tables.errors import UnreadableTable
from core.tables.parquet_folder import open_dataset
from core.tables.reading import open_table


def write(path: Path, **columns: Any) -> None:
    """Write a small Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def rows(source: Path | str, most: int = 2) -> list[dict[str, Any]]:
    """Return all rows, read in small chunks."""
    return [row for chunk in open_table(source).chunks(most, {}) for row in chunk]


def refusal(source: Path | str) -> str:
    """Return the error message for a source that is rejected."""
    with pytest.raises(UnreadableTable) as caught:
        rows(source)
    return str(caught.value)


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    """Files are read by name, without Spark's markers and temporary files; NaN becomes null."""
    write(tmp_path / "b.parquet", x=[3.0, float("nan")])
    write(tmp_path / "a.parquet", x=[1.0, 2.0])
    write(tmp_path / "_temporary" / "c.parquet", x=[9.0])
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".a.parquet.crc").write_bytes(b"crc")
    assert [row["x"] for row in rows(tmp_path)] == [1.0, 2.0, 3.0, None]
    assert all(len(chunk) <= 2 for chunk in open_table(tmp_path).chunks(2, {}))


def test_names_of_folders_are_columns(tmp_path: Path) -> None:
    """Hive-style partition folders become columns; the default partition becomes null."""
    write(tmp_path / "fase=3" / "a.parquet", x=[1.0])
    write(tmp_path / "fase=__HIVE_DEFAULT_PARTITION__" / "a.parquet", x=[2.0])
    assert rows(tmp_path) == [{"x": 1.0, "fase": 3}, {"x": 2.0, "fase": None}]


def test_a_column_of_some_files_is_a_column(tmp_path: Path) -> None:
    """Columns and types are unified over all files, not taken from the first one."""
    write(tmp_path / "a.parquet", x=[1])
    write(tmp_path / "b.parquet", x=[2.5], later=["z"])
    assert rows(tmp_path) == [{"x": 1.0, "later": None}, {"x": 2.5, "later": "z"}]


def test_what_is_no_folder_of_parquet_is_refused(tmp_path: Path) -> None:
    """An empty folder, types that differ and other files are rejected; no value is quoted."""
    assert "nenhum arquivo Parquet" in refusal(tmp_path)
    write(tmp_path / "a.parquet", x=[1.0])
    write(tmp_path / "b.parquet", x=["Maria"])
    told = refusal(tmp_path)
    assert "diferem" in told and "Maria" not in told
    (tmp_path / "b.parquet").write_text("Maria")
    told = refusal(tmp_path)
    assert "Parquet" in told and "Maria" not in told


def test_a_bucket_is_read_like_a_folder(bucket: str, tmp_path: Path) -> None:
    """A bucket is read with the environment variables of the store, partitions included."""
    import pyarrow.fs as pafs

    files, root = pafs.FileSystem.from_uri(bucket)
    pq.write_table(pa.table({"x": [1.0, 2.0]}), f"{root}/fase=7/a.parquet", filesystem=files)
    assert rows(bucket) == [{"x": 1.0, "fase": 7}, {"x": 2.0, "fase": 7}]


def delta_table(folder: Path) -> Path:
    """Return a new partitioned Delta table with rows that were deleted and updated."""
    deltalake = pytest.importorskip("deltalake")
    table = pa.table(
        {"x": [1.0, 2.0, 3.0, 4.0], "fase": ["3", "3", "4/b", None], "row": [1, 2, 3, 4]}
    )
    place = folder / "students"
    deltalake.write_deltalake(str(place), table, partition_by=["fase"])
    deltalake.DeltaTable(str(place)).delete("row = 1")
    deltalake.DeltaTable(str(place)).update(updates={"x": "30.0"}, predicate="row = 3")
    return place


NOW = [(2.0, "3", 2), (4.0, None, 4), (30.0, "4/b", 3)]
"""The current rows of the table."""


def test_of_a_delta_table_only_rows_that_it_still_has_are_read(tmp_path: Path) -> None:
    """Only current rows are read, although files of deleted and updated ones still exist."""
    place = delta_table(tmp_path)
    found = sorted((r["x"], r["fase"], r["row"]) for r in rows(place))
    assert found == NOW
    beside = Counter(
        x for path in place.rglob("*.parquet") for x in pq.read_table(path)["x"].to_pylist()
    )
    assert {1.0, 3.0} <= set(beside)  # the old files still exist


def test_a_part_of_a_delta_table_is_refused(tmp_path: Path) -> None:
    """A file or folder within a Delta table, and a folder that contains one, are rejected."""
    place = delta_table(tmp_path)
    part = next(place.rglob("fase=3/*.parquet"))
    for source in (part, part.parent):
        assert "faz parte de uma tabela Delta" in refusal(source)
    assert "há uma tabela Delta" in refusal(tmp_path)


def test_a_delta_table_in_a_bucket_is_read_too(bucket: str) -> None:
    """A Delta table in a bucket is read with the same variables, also from a server without TLS."""
    deltalake = pytest.importorskip("deltalake")
    options = {"allow_http": "true", "aws_conditional_put": "etag"}
    table = pa.table({"x": [1.0, 2.0]})
    deltalake.write_deltalake(bucket, table, storage_options=options)
    deltalake.DeltaTable(bucket, storage_options=options).delete("x = 1.0")
    assert rows(bucket) == [{"x": 2.0}]


@pytest.mark.parametrize("feature", ["deletionVectors", "columnMapping"])
def test_a_delta_table_that_arrow_would_misread_is_refused(tmp_path: Path, feature: str) -> None:
    """Tables with deletion vectors or column mapping are rejected, and the feature is named."""
    place = delta_table(tmp_path)
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": [feature],
        "writerFeatures": [feature],
    }
    log = place / "_delta_log" / f"{3:020d}.json"
    log.write_text(json.dumps({"protocol": protocol}) + "\n")
    assert feature in refusal(place)


def test_without_the_library_a_delta_table_is_not_read_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `deltalake` the error names the package to install."""
    (tmp_path / "_delta_log").mkdir()
    write(tmp_path / "a.parquet", x=[1.0])
    monkeypatch.setitem(__import__("sys").modules, "deltalake", None)
    with pytest.raises(UnreadableTable, match="pip install deltalake"):
        open_dataset(tmp_path)
