"""Prepare an .xlsx file for openpyxl: check size limits, then repair what openpyxl cannot read.

Limits are checked against the archive's directory, before anything is decompressed.
"""

import re
from io import BytesIO
from zipfile import ZIP_STORED, ZipFile

MAX_FILE = 32 * 2**20
MAX_UNPACKED = 128 * 2**20
"""Bytes; ten years of a thousand children are about 2 MB, and 30 MB unpacked."""
MAX_MEMBERS = 2_000

UNSTORED = "#UNSTORED!"
"""Placeholder for a formula without a stored value, which openpyxl returns as an empty cell."""

_LEFT_OUT = re.compile(r"docProps/|xl/(chartsheets|charts|drawings|externalLinks|media)/")
"""Archive members not needed to read cells; a broken date in docProps makes openpyxl fail."""
_EMPTY_FILL = re.compile(rb"<(\w+:)?fill\s*(?:/>|>\s*</(?:\w+:)?fill\s*>)")
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/")
_CELL = rb"<(\w+:)?c\b([^>]*[^/>])?>\s*"
_FORMULA = rb"<(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f\s*>)\s*"
_NO_VALUE = rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v\s*>\s*</(?:\w+:)?v\s*>)?\s*</(?:\w+:)?c\s*>"
_UNCALCULATED = re.compile(_CELL + _FORMULA + _NO_VALUE)
_TEXT_TYPE = re.compile(rb"\bt\s*=\s*[\"']str[\"']")
_REFERENCE = re.compile(rb"\br\s*=\s*[\"']\w+[\"']")


class WorkbookTooLarge(ValueError):
    """The workbook exceeds a limit: file size, archive members, unpacked size or rows."""


def readable_copy(content: bytes) -> BytesIO:
    """Return an unpacked copy of the workbook that openpyxl can read, of the needed members only.

    Strict Open XML becomes the transitional form, an empty fill a fill without pattern, and a
    formula without a stored value the text `UNSTORED`.

    Raises:
        WorkbookTooLarge: file size, number of members or unpacked size exceeds its limit.
        BadZipFile, RuntimeError and others of `zipfile`: the archive cannot be read.
    """
    if len(content) > MAX_FILE:
        raise WorkbookTooLarge
    copy = BytesIO()
    with ZipFile(BytesIO(content)) as archive, ZipFile(copy, "w", ZIP_STORED) as mended:
        members = archive.infolist()
        if len(members) > MAX_MEMBERS or sum(m.file_size for m in members) > MAX_UNPACKED:
            raise WorkbookTooLarge
        for member in members:
            if member.filename.endswith((".xml", ".rels")) and not _LEFT_OUT.match(member.filename):
                with archive.open(member) as file:
                    # Read at most the size stated in the directory, on which the limit was checked.
                    text = file.read(member.file_size)
                mended.writestr(member.filename, _mended(member.filename, text))
    copy.seek(0)
    return copy


def _mended(name: str, text: bytes) -> bytes:
    text = _STRICT.sub(rb"http://schemas.openxmlformats.org/\1/2006/", text)
    if name.endswith("styles.xml"):
        return _EMPTY_FILL.sub(rb"<\1fill><\1patternFill/></\1fill>", text)
    return _UNCALCULATED.sub(_marked, text) if b"sheetData" in text else text


def _marked(cell: re.Match[bytes]) -> bytes:
    """Return the cell with `UNSTORED` as its value; a stored empty text is kept."""
    prefix, attributes = cell[1] or b"", cell[2] or b""
    if _TEXT_TYPE.search(attributes) and b"v" in re.findall(rb"<(?:\w+:)?(\w+)", cell[0]):
        return cell[0]
    at = _REFERENCE.search(attributes)
    place = b" " + at[0] if at else b""
    parts = (b"<", prefix, b"c", place, b' t="str"><', prefix, b"v>", UNSTORED.encode())
    return b"".join((*parts, b"</", prefix, b"v></", prefix, b"c>"))
