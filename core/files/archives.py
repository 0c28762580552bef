"""Limits on an archive, by its directory, before anything of it is decompressed."""

import zipfile
from pathlib import Path

MOST_EXPANSION = 20
"""How many times its own size a file may unpack to: arrays of numbers rarely reach five."""

FREE_BYTES = 64 * 2**20
"""Bytes that any file may unpack to."""


class ArchiveTooLarge(Exception):
    """A file that would unpack to more than it may; `args` holds the bytes."""


def check_archive(file: Path, most_bytes: int) -> None:
    """Refuse a zip file whose members together unpack to more than `most_bytes`.

    zipfile reads no more of a member than its directory says, so the directory can be believed.

    Raises:
        ArchiveTooLarge: it unpacks to more, or to many times its own size.
        zipfile.BadZipFile: it is no zip file.
    """
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    allowed = min(most_bytes, max(FREE_BYTES, MOST_EXPANSION * file.stat().st_size))
    if unpacked > allowed:
        raise ArchiveTooLarge(unpacked)
