"""Size limits on a zip archive, checked by its directory before anything is decompressed."""

import zipfile
from pathlib import Path

MOST_EXPANSION = 20
"""Maximum ratio of unpacked size to file size: arrays of numbers rarely reach five."""

FREE_BYTES = 64 * 2**20
"""Unpacked size in bytes that is allowed whatever the ratio."""


class ArchiveTooLarge(Exception):
    """An archive whose unpacked size exceeds the limit; `args` holds that size in bytes."""


def check_archive(file: Path, most_bytes: int) -> None:
    """Check that the members of a zip file together unpack to at most `most_bytes`.

    zipfile reads no more of a member than the directory states, so the directory can be trusted.

    Raises:
        ArchiveTooLarge: it unpacks to more, or to too many times its own size.
        zipfile.BadZipFile: it is not a zip file.
    """
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    allowed = min(most_bytes, max(FREE_BYTES, MOST_EXPANSION * file.stat().st_size))
    if unpacked > allowed:
        raise ArchiveTooLarge(unpacked)
