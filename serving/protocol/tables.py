"""Tables on disk as instances, a chunk at a time: CSV with a header, or Parquet."""

import csv
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.contract.model import Feature
from serving.errors import ServingError
from serving.protocol.mlflow_input import cell_value, types_of

Chunk = list[Mapping[str, Any]]


class TableError(ServingError):
    """A file that cannot be read as a table."""

    def __init__(self, path: Path, problem: str) -> None:
        """Name the file and what is wrong with it."""
        super().__init__(f"{path}: {problem}")


def read_chunks(path: Path, features: Sequence[Feature], rows: int) -> Iterator[Chunk]:
    """Yield a table's rows as mappings, at most `rows` at a time; null is None.

    Raises:
        TableError: it is missing, or neither CSV with a header nor Parquet.
    """
    try:
        if path.suffix.lower() == ".csv":
            yield from _csv_chunks(path, features, rows)
        elif path.suffix.lower() == ".parquet":
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(rows):
                    yield [_without_nan(row) for row in batch.to_pylist()]
        else:
            raise TableError(path, "deve terminar em .csv ou .parquet")
    except FileNotFoundError:
        raise TableError(path, "o arquivo não existe") from None
    except OSError as exc:
        raise TableError(path, exc.strerror or "não pôde ser lido") from exc
    except (UnicodeDecodeError, csv.Error):
        raise TableError(path, "não é CSV em UTF-8") from None
    except pa.ArrowException:
        raise TableError(path, "não é Parquet") from None


def _csv_chunks(path: Path, features: Sequence[Feature], rows: int) -> Iterator[Chunk]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = (line for line in csv.reader(file) if line)
        header = next(lines, [])
        if not header or len(set(header)) != len(header):
            raise TableError(path, "o cabeçalho está vazio ou repete uma coluna")
        types = types_of(header, features)
        first = 2
        while chunk := list(itertools.islice(lines, rows)):
            for number, line in enumerate(chunk, start=first):
                if len(line) != len(header):
                    raise TableError(path, f"a linha {number} não tem {len(header)} valores")
            first += len(chunk)
            yield [
                {n: cell_value(types.get(n), text) for n, text in zip(header, line, strict=True)}
                for line in chunk
            ]


def _without_nan(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with NaN as None: pandas writes a missing number so."""
    return {name: None if value != value else value for name, value in row.items()}
