"""Loading of the workbook reader that `SHEET_READER` names, and the size check of workbooks."""

import importlib
import zipfile
from io import BytesIO

from core.contract.model import ModelContract
from core.messages import N_, _
from core.sheets import SheetReader
from serving.errors import BodyTooLarge, SettingsError

MAX_UNPACKED = 128 * 2**20
"""Most uncompressed bytes of an .xlsx file, which is a ZIP archive."""
MAX_MEMBERS = 2_000


class SheetTooLarge(BodyTooLarge):
    """The workbook unpacks to more bytes or members than any workbook of rows needs."""

    code = "sheet_too_large"
    message = N_("the workbook unpacks to more than {limit} bytes, or to too many parts")


def named_reader(name: str) -> SheetReader | None:
    """Return the reader named `package.module` or `package.module:object`; None for no name.

    Raises:
        SettingsError: it cannot be imported, or has no `read` and `write`.
    """
    if not name:
        return None
    module, _colon, attribute = name.partition(":")
    try:
        found = importlib.import_module(module)
        reader: SheetReader = getattr(found, attribute) if attribute else found
    except (ImportError, AttributeError, ValueError):
        reader = None  # type: ignore[assignment]
    if not all(callable(getattr(reader, part, None)) for part in ("read", "write")):
        must = _("must name a module, or an object of one as module:object, with read and write")
        raise SettingsError(variable="SHEET_READER", problem=must)
    return reader


def reader_for(named: SheetReader | None, contract: ModelContract) -> SheetReader:
    """Return the named reader, or one of flat tables with the contract's columns."""
    if named is not None:
        return named
    # Imported here: a worker that makes no such list does not load the Parquet reader.
    from serving.lists.flat_table import FlatTable

    return FlatTable(contract)


def check_size(content: bytes) -> None:
    """Check an archive's size in its central directory, before anything is unpacked.

    Raises:
        SheetTooLarge: it would unpack to too much. What is no archive is left to the reader.
    """
    if not content.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return
    if len(members) > MAX_MEMBERS or sum(m.file_size for m in members) > MAX_UNPACKED:
        raise SheetTooLarge(limit=MAX_UNPACKED)
