"""The journal: one version's captured rows, appended before their responses are sent."""

import os
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from core.files.locks import is_linked, lock
from core.files.whole import FILE_MODE, make_folder, sync
from core.store.schema import JOURNAL_SUFFIX, JournalHeader, file_stem


class Journal:
    """One open journal of one version; this process holds its lock until `close`."""

    def __init__(self, folder: Path, header: JournalHeader, sync_each: bool = False) -> None:
        """Create the file, lock it, and write the header; `sync_each` fsyncs every append.

        Raises:
            OSError: it cannot be created or written.
        """
        self.header, self.rows = header, 0
        self.since = time.monotonic()
        self._size = 0
        self._sync = sync_each
        make_folder(folder)
        owner = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        stem = file_stem(datetime.now(UTC), owner, header.constants["registry_version"])
        self.path = folder / f"{stem}{JOURNAL_SUFFIX}"
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self._fd = os.open(self.path, flags, FILE_MODE)
        try:
            lock(self._fd, wait=True)
            self.append(header.to_line(), 0)
            # Between creation and lock a collector may have removed it as abandoned.
            if not is_linked(self.path, self._fd):
                raise FileNotFoundError(self.path)
            if sync_each:
                sync(folder)
        except OSError:
            self.path.unlink(missing_ok=True)
            os.close(self._fd)
            raise

    def append(self, data: bytes, rows: int) -> None:
        """Append whole lines, all of them or none.

        Raises:
            OSError: they could not be written; the file is truncated to its previous length.
        """
        try:
            written = os.write(self._fd, data)
            while written < len(data):
                written += os.write(self._fd, data[written:])
            if self._sync:
                os.fdatasync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)
        self.rows += rows

    def is_there(self) -> bool:
        """Return whether the file is still linked; rows appended to a removed one are lost."""
        return os.fstat(self._fd).st_nlink > 0

    def close(self) -> None:
        """Release the lock; from now on any collector may convert the file."""
        os.close(self._fd)
