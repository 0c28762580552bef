"""Tables on disk as instances, a chunk at a time: CSV with a header, or Parquet."""

import csv
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.contract.model import Feature
from core.messages import _
from serving.errors import FileRefused
from serving.protocol.mlflow_input import cell_value, types_of

Chunk = list[Mapping[str, Any]]


def read_chunks(path: Path, features: Sequence[Feature], rows: int) -> Iterator[Chunk]:
    """Yield a table's rows as mappings, at most `rows` at a time; null is None.

    Raises:
        FileRefused: it is missing, or neither CSV with a header nor Parquet.
    """
    try:
        if path.suffix.lower() == ".csv":
            yield from _csv_chunks(path, features, rows)
        elif path.suffix.lower() == ".parquet":
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(rows):
                    yield [_without_nan(row) for row in batch.to_pylist()]
        else:
            raise _refused(path, _("must end in .csv or .parquet"))
    except FileNotFoundError:
        raise _refused(path, _("the file does not exist")) from None
    except OSError as exc:
        raise _refused(path, exc.strerror or _("could not be read")) from exc
    except (UnicodeDecodeError, csv.Error):
        raise _refused(path, _("is not CSV in UTF-8")) from None
    except pa.ArrowException:
        raise _refused(path, _("is not Parquet")) from None


def _csv_chunks(path: Path, features: Sequence[Feature], rows: int) -> Iterator[Chunk]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = (line for line in csv.reader(file) if line)
        header = next(lines, [])
        if not header or len(set(header)) != len(header):
            raise _refused(path, _("the header is empty or repeats a column"))
        types = types_of(header, features)
        first = 2
        while chunk := list(itertools.islice(lines, rows)):
            for number, line in enumerate(chunk, start=first):
                if len(line) != len(header):
                    problem = _(
                        "line {number} does not have {count} values",
                        number=number,
                        count=len(header),
                    )
                    raise _refused(path, problem)
            first += len(chunk)
            yield [
                {n: cell_value(types.get(n), text) for n, text in zip(header, line, strict=True)}
                for line in chunk
            ]


def _refused(path: Path, problem: str) -> FileRefused:
    return FileRefused(problem=f"{path}: {problem}")


def _without_nan(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with NaN as None: pandas writes a missing number so."""
    return {name: None if value != value else value for name, value in row.items()}
