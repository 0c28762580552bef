"""Parquet as `DataFrame.to_parquet` writes it, with its size bounded before decompression.

The footer states the decompressed size, but may be wrong. A page compressed with Snappy expands to
22 times its size at most; the other codecs have no such bound, so a file that uses one is refused.
Text stays dictionary-encoded until its length is known.
"""

from collections.abc import Collection
from typing import Any

from core.messages import _
from serving.errors import BodyTooLarge
from serving.protocol.frames import Rows, named, refusal

CODECS = ("UNCOMPRESSED", "SNAPPY")


def from_parquet(body: bytes, known: Collection[str] | None, rows: int, size: int) -> Rows:
    """Return the rows of a Parquet body; its index is left out, as MLflow does.

    Only the `known` columns are read, if given; `rows` is the largest number of rows, `size` the
    largest decompressed size, in bytes.

    Raises:
        InvalidInstances: it is not Parquet, or has too many rows, nested columns, or another codec.
        BodyTooLarge: it decompresses to more than `size`.
    """
    # Imported here: a worker without such clients saves the memory of Arrow's Parquet.
    import pyarrow as pa
    import pyarrow.parquet as pq

    allowed = _("Parquet of flat columns, compressed with Snappy or not at all")
    try:
        schema = pq.read_schema(pa.BufferReader(body))
        texts = [f.name for f in schema if pa.types.is_string(f.type)]
        file = pq.ParquetFile(pa.BufferReader(body), read_dictionary=texts)
        if file.metadata.num_rows > rows:
            problem = _("{count} instances are too many", count=file.metadata.num_rows)
            raise refusal(problem, _("from 1 to {most} instances", most=rows))
        groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
        if any(pa.types.is_nested(f.type) for f in schema) or not all(map(_is_plain, groups)):
            raise refusal(_("the file is not of the kind that is read here"), allowed)
        if sum(group.total_byte_size for group in groups) > size:
            raise BodyTooLarge(limit=size)
        names = [n for n in schema.names if n not in _index(schema)]
        read = names if known is None else [name for name in names if name in known]
        columns = [_values(file.read([name], use_threads=False)[name], size) for name in read]
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise refusal(_("the body is not Parquet"), allowed) from None
    if not read:
        return [{} for _row in range(file.metadata.num_rows)]
    return named(read, list(zip(*columns, strict=True)))


def _is_plain(group: Any) -> bool:
    """Return whether every column has one value per row, and a codec with a size bound."""
    chunks = [group.column(place) for place in range(group.num_columns)]
    return all(c.compression in CODECS and c.num_values == group.num_rows for c in chunks)


def _index(schema: Any) -> list[str]:
    """Return the columns that pandas wrote as the frame's index."""
    found = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in found if isinstance(name, str)]


def _values(column: Any, size: int) -> list[Any]:
    """Return a column's values; each text of a dictionary is decoded once.

    Raises:
        BodyTooLarge: the texts of a chunk are longer together than `size`.
    """
    values: list[Any] = []
    for chunk in column.chunks:
        if not hasattr(chunk, "dictionary"):
            values += chunk.to_pylist()
            continue
        words = chunk.dictionary.to_pylist()
        lengths = [len(word) if isinstance(word, str | bytes) else 0 for word in words]
        places = chunk.indices.to_pylist()
        if sum(lengths[place] for place in places if place is not None) > size:
            raise BodyTooLarge(limit=size)
        values += [None if place is None else words[place] for place in places]
    return values
