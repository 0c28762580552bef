"""A journal's rows as Arrow tables, for conversion to Parquet and for jobs that read journals.

Arrow's CSV reader takes an eighth of the time of JSON decoding: a JSON array without its brackets
is a line of CSV, except for escapes in its strings. A block that has any, or that Arrow rejects, is
decoded as JSON.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec
import pyarrow as pa
from pyarrow import csv

from core.messages import _
from core.store.arrow_types import ARROW_TYPES, arrow_schema
from core.store.errors import FileDamaged
from core.store.schema import JOURNAL_SUFFIX, JournalHeader

BLOCK_BYTES = 2 << 20
"""Bytes per read, about ten thousand rows: one row group, and the bound on memory."""

_DECODER: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[Any])


def journals_of(folder: Path) -> list[Path]:
    """Return the journals in order of time."""
    return sorted(folder.glob(f"*{JOURNAL_SUFFIX}"))


def read_header(journal: Path) -> JournalHeader | None:
    """Return a journal's header, None where that line is incomplete.

    Raises:
        FileNotFoundError: the journal was converted to a Parquet file.
        FileDamaged: it is not a journal.
    """
    with journal.open("rb") as file:
        head = file.readline()
    if not head.endswith(b"\n"):
        return None
    try:
        header = JournalHeader.from_line(head)
        arrow_schema(header.schema())
    except (ValueError, KeyError, AttributeError):
        raise FileDamaged(path=journal, reason=_("not a journal")) from None
    return header


def read_tables(journal: Path) -> Iterator[pa.Table]:
    """Yield a journal's complete rows as tables of about ten thousand, constants included.

    An unterminated last line is skipped: the process ended while writing it, so no response was
    sent.

    Raises:
        FileNotFoundError: the journal was converted to a Parquet file.
        FileDamaged: a complete line is damaged; names the file and the line.
    """
    header = read_header(journal)
    if header is None:
        return
    with journal.open("rb") as file:
        file.readline()
        for block in _blocks(file):
            table = _from_csv(header, block)
            yield _from_json(journal, header, block) if table is None else table


def read_whole(journal: Path) -> pa.Table | None:
    """Return all complete rows of a journal as one table, None where it has no header yet.

    Raises:
        FileNotFoundError: the journal was converted to a Parquet file.
        FileDamaged: a complete line is damaged; names the file and the line.
    """
    header = read_header(journal)
    if header is None:
        return None
    schema = arrow_schema(header.schema())
    return pa.concat_tables([schema.empty_table(), *read_tables(journal)])


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield whole lines, about `BLOCK_BYTES` of them at a time."""
    while block := file.read(BLOCK_BYTES):
        block += file.readline()
        whole = block[: block.rfind(b"\n") + 1]
        if whole:
            yield whole


def _from_csv(header: JournalHeader, block: bytes) -> pa.Table | None:
    """Return a block's rows; None where CSV might parse them differently from JSON, or cannot."""
    ends = (block[:1], block[-2:], block.count(b"]\n[") + 1)
    if b"\\" in block or ends != (b"[", b"]\n", block.count(b"\n")):
        return None
    types = {
        name: pa.int64() if kind == "timestamp" else ARROW_TYPES[kind]
        for name, kind in header.columns.items()
    }
    lines = block[1:-2].replace(b"]\n[", b"\n")
    try:
        table = csv.read_csv(
            pa.py_buffer(lines),
            read_options=csv.ReadOptions(
                use_threads=False, block_size=len(lines) + 1, column_names=list(types)
            ),
            parse_options=csv.ParseOptions(double_quote=False),
            convert_options=csv.ConvertOptions(
                check_utf8=True,
                column_types=types,
                null_values=["null"],
                true_values=["true"],
                false_values=["false"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    columns = {name: table[name].cast(ARROW_TYPES[kind]) for name, kind in header.columns.items()}
    return _with_constants(header, columns, table.num_rows)


def _from_json(journal: Path, header: JournalHeader, block: bytes) -> pa.Table:
    """Return a block's rows, decoded as JSON."""
    width = len(header.columns)
    try:
        rows = _DECODER.decode_lines(block)
    except msgspec.DecodeError:
        rows = []
    if len(rows) != block.count(b"\n") or any(len(row) != width for row in rows):
        raise FileDamaged(path=journal, reason=_first_damage(journal, width))
    values = zip(header.columns.items(), zip(*rows, strict=True), strict=True)
    columns = {name: _column(journal, column, kind) for (name, kind), column in values}
    return _with_constants(header, columns, len(rows))


def _column(journal: Path, values: Sequence[Any], kind: str) -> pa.Array:
    try:
        if kind == "datetime":
            return pa.array(values, pa.string()).cast(ARROW_TYPES[kind])
        return pa.array(values, ARROW_TYPES[kind])
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        # The error's message quotes the value, which may be a person's: leave it out.
        reason = _("a value is not a {kind}", kind=kind)
        raise FileDamaged(path=journal, reason=reason) from None


def _first_damage(journal: Path, width: int) -> str:
    """Return the number and the problem of the first damaged complete line."""
    for number, line in enumerate(journal.read_bytes().split(b"\n")[1:-1], start=2):
        try:
            given = len(_DECODER.decode(line))
        except msgspec.DecodeError:
            return _("line {n}: {problem}", n=number, problem=_("not JSON"))
        if given != width:
            problem = _("{given} values for {width} columns", given=given, width=width)
            return _("line {n}: {problem}", n=number, problem=problem)
    return _("not a journal")


def _with_constants(header: JournalHeader, columns: dict[str, Any], rows: int) -> pa.Table:
    """Return the columns of the Parquet file, in file order; missing values are null."""
    arrays = [
        columns[name]
        if name in columns
        else pa.repeat(pa.scalar(header.constants.get(name), ARROW_TYPES[kind]), rows)
        for name, kind in header.schema().items()
    ]
    return pa.table(arrays, schema=arrow_schema(header.schema()))
