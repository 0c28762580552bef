"""An .xlsx file as openpyxl can read it: limits first, then what openpyxl stumbles over mended.

The limits are judged by the archive's directory, before anything is decompressed.
"""

import re
from io import BytesIO
from zipfile import ZIP_STORED, ZipFile

MAX_FILE = 32 * 2**20
MAX_UNPACKED = 128 * 2**20
"""Bytes; ten years of a thousand children are about 2 MB, and 30 MB unpacked."""
MAX_MEMBERS = 2_000

UNSTORED = "#UNSTORED!"
"""Stands for the value of a formula that was never calculated, which openpyxl gives as empty."""

_LEFT_OUT = re.compile(r"docProps/|xl/(chartsheets|charts|drawings|externalLinks|media)/")
"""Members that no reading of cells needs; a broken date in docProps stops openpyxl."""
_EMPTY_FILL = re.compile(rb"<(\w+:)?fill\s*(?:/>|>\s*</(?:\w+:)?fill\s*>)")
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/")
_CELL = rb"<(\w+:)?c\b([^>]*[^/>])?>\s*"
_FORMULA = rb"<(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f\s*>)\s*"
_NO_VALUE = rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v\s*>\s*</(?:\w+:)?v\s*>)?\s*</(?:\w+:)?c\s*>"
_UNCALCULATED = re.compile(_CELL + _FORMULA + _NO_VALUE)
_TEXT_TYPE = re.compile(rb"\bt\s*=\s*[\"']str[\"']")
_REFERENCE = re.compile(rb"\br\s*=\s*[\"']\w+[\"']")


class WorkbookTooLarge(ValueError):
    """The archive would unpack to more than a workbook of children needs."""


def readable_copy(content: bytes) -> BytesIO:
    """Return the workbook again, unpacked, without what stops openpyxl and no reading needs.

    Strict Open XML becomes the transitional form, an empty fill a fill without pattern, and a
    formula without a stored value the text `UNSTORED`.

    Raises:
        WorkbookTooLarge: the file, its members, or what they unpack to.
        BadZipFile, RuntimeError and others of `zipfile`: it is no archive that can be read.
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
                    # As much as the directory says and no more, whatever the data unpack to.
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
    """Return a cell that says its value was not stored; an empty text is a value."""
    prefix, attributes = cell[1] or b"", cell[2] or b""
    if _TEXT_TYPE.search(attributes) and b"v" in re.findall(rb"<(?:\w+:)?(\w+)", cell[0]):
        return cell[0]
    at = _REFERENCE.search(attributes)
    place = b" " + at[0] if at else b""
    parts = (b"<", prefix, b"c", place, b' t="str"><', prefix, b"v>", UNSTORED.encode())
    return b"".join((*parts, b"</", prefix, b"v></", prefix, b"c>"))
