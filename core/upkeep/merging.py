"""Merge the rows of many stored files into one, in the memory of a row group and a few files."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import PurePath

import pyarrow as pa

from core.store.filesystem import Store
from core.store.schema import REPLACED_KEY

_GROUP_ROWS = 131_072
_JOINED = 512
"""Tables held before they are combined: buffers of a few rows take 100 times their values' size."""


def write_merged(
    store: Store,
    stem: str,
    sources: Sequence[PurePath],
    replaces: Collection[str],
    step: Callable[[], None],
) -> None:
    """Write a file with the rows of all sources, in order; it appears atomically.

    Its footer lists the stems that it `replaces`. `step` is called for each source.

    Raises:
        FileDamaged: a source cannot be read; names it.
        FileNotFoundError: a source has been removed.
        OSError: the folder cannot be written.
        StoreUnreachable: the bucket does not answer.
    """
    footer = {REPLACED_KEY: json.dumps(sorted(replaces)).encode()}
    with store.parquet(sources[0]) as file:
        schema = file.schema_arrow.with_metadata(footer)
    with store.new_parquet(stem, schema) as writer:
        few = _gathered(_tables(store, sources, step))
        # `map`, and `del` here, keep no reference to a group while the next one is gathered.
        for group in _gathered(map(pa.Table.combine_chunks, few)):
            writer.write_table(group)
            del group


def _tables(
    store: Store, sources: Sequence[PurePath], step: Callable[[], None]
) -> Iterator[pa.Table]:
    for path in sources:
        step()
        with store.parquet(path) as file:
            # In a file of a few rows, threads only add overhead.
            for batch in file.iter_batches(use_threads=False):
                yield pa.Table.from_batches([batch.replace_schema_metadata(None)])


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the tables combined into groups of `_GROUP_ROWS` rows or of `_JOINED` tables."""
    held: list[pa.Table] = []
    rows = 0
    for table in tables:
        held.append(table)
        rows += table.num_rows
        if rows >= _GROUP_ROWS or len(held) >= _JOINED:
            rows = 0
            yield _taken(held)
    if held:
        yield _taken(held)


def _taken(held: list[pa.Table]) -> pa.Table:
    """Return the tables as one, and clear the list, so that no other reference remains."""
    group = pa.concat_tables(held)
    held.clear()
    return group
