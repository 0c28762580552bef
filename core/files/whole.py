"""Making what was written survive a power cut."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make a folder's list of names durable.

    Raises:
        OSError: the disk says no.
    """
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
