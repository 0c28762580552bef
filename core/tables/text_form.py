"""The format of a CSV file: encoding, separator, decimal mark, header; and reading of its rows."""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv

from core.messages import N_, _
from core.tables.errors import UnreadableTable
from core.tables.numbers import decimal_mark

SEPARATORS = {",": N_("comma"), ";": N_("semicolon"), "\t": N_("tab")}
_MARKS = {",": N_("decimal comma"), ".": N_("decimal point"), "": N_("no decimal mark found")}
_SAMPLE = 2**18
_PIECE = 2**20
_BLOCK = 2**22
_MOST = 20
"""Maximum number of invalid lines in a message."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NO_TEXT = N_("{name}: is no text in UTF-8 or Windows-1252")


@dataclass(frozen=True, slots=True)
class TextForm:
    """The format of a CSV file.

    Attributes:
        encoding: name of one of Python's codecs.
        separator: character between cells.
        decimal: the decimal mark, or "" where it is undetermined.
        names: the header's cells, stripped.
        skip: lines before the first row of data.
    """

    encoding: str
    separator: str
    decimal: str
    names: tuple[str, ...]
    skip: int

    def __str__(self) -> str:
        """Return the description of the format for the operator."""
        return _(
            "CSV, {separator} between cells, {decimal}, {encoding}",
            separator=_(SEPARATORS[self.separator]),
            decimal=_(_MARKS[self.decimal]),
            encoding={"utf-8": "UTF-8", "cp1252": "Windows-1252"}[self.encoding],
        )

    def batches(self, source: Path | bytes, name: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a file or content in this format, every cell as text.

        Raises:
            UnreadableTable: it is damaged, or a line has not as many cells as the header.
        """
        wrong: list[int] = []

        def refuse(row: Any) -> str:
            wrong.append(row.number)
            return "skip"

        places = [str(place) for place in range(len(self.names))]
        reading = pa_csv.ReadOptions(
            use_threads=False,
            block_size=_BLOCK,
            skip_rows=self.skip,
            column_names=places,
            encoding=self.encoding,
        )
        parsing = pa_csv.ParseOptions(
            delimiter=self.separator, newlines_in_values=True, invalid_row_handler=refuse
        )
        texts = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(places, pa.string()), strings_can_be_null=False
        )
        opened = pa.BufferReader(source) if isinstance(source, bytes) else str(source)
        try:
            for batch in pa_csv.open_csv(opened, reading, parsing, texts):
                if not wrong:
                    yield batch
        except pa.ArrowInvalid:
            # The error's message quotes the line, which may name a person.
            message = N_("{name}: is no CSV that can be read to its end")
            raise UnreadableTable(message, name=name) from None
        if wrong:
            lines = ", ".join(map(str, wrong[:_MOST])) + ", …" * (len(wrong) > _MOST)
            message = N_("{name}: not {count} values, as in the header, in line {lines}")
            raise UnreadableTable(message, name=name, count=len(self.names), lines=lines)


def text_form(file: BinaryIO, name: str) -> TextForm:
    """Return the format of a text file, whose encoding is checked to its end.

    Raises:
        UnreadableTable: it is not text, or not CSV.
    """
    encoding = _encoding(file, name)
    file.seek(0)
    sample = file.read(_SAMPLE)
    text = sample.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="ignore")
    if len(sample) == _SAMPLE:
        text = text[: text.rfind("\n") + 1] or text
    first = next((line for line in text.splitlines() if line.strip()), "")
    declared = first[4:5] if first.lower().startswith("sep=") else ""
    if declared not in SEPARATORS:
        declared = ""
    header = text.split("\n", 1)[-1] if declared else text
    separator = declared or _separator(header)
    reader = csv.reader(io.StringIO(header, ""), delimiter=separator)
    try:
        names = next((line for line in reader if any(cell.strip() for cell in line)), [])
        skip = reader.line_num + bool(declared)
        decimal = decimal_mark((cell for line in reader for cell in line), separator)
    except csv.Error:
        raise UnreadableTable(N_("{name}: is no CSV"), name=name) from None
    return TextForm(encoding, separator, decimal, tuple(cell.strip() for cell in names), skip)


def _separator(text: str) -> str:
    """Return the most frequent separator of the header's cells, outside of quoted cells."""
    quoted, counts = False, dict.fromkeys(SEPARATORS, 0)
    for letter in text.lstrip("\r\n"):
        if letter == '"':
            quoted = not quoted
        elif letter == "\n" and not quoted:
            break
        elif letter in counts and not quoted:
            counts[letter] += 1
    return max(counts, key=lambda mark: counts[mark])


def _encoding(file: BinaryIO, name: str) -> str:
    begun = file.read(2)
    for encoding in ("utf-8", "cp1252"):
        file.seek(0)
        decoder = codecs.getincrementaldecoder(encoding)()
        quotes = 0
        try:
            while piece := file.read(_PIECE):
                if b"\0" in piece or begun in _UTF16:
                    raise UnreadableTable(_NO_TEXT, name=name)
                decoder.decode(piece)
                quotes += piece.count(b'"')
            decoder.decode(b"", True)
        except UnicodeDecodeError:
            continue
        if quotes % 2:
            # An unclosed quote would make the rest of the file one cell.
            raise UnreadableTable(N_("{name}: a quoted cell does not end"), name=name)
        return encoding
    raise UnreadableTable(_NO_TEXT, name=name)
