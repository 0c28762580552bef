"""The journal: one version's captured rows, appended before their answers leave."""

import fcntl
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path

from core.store.schema import JOURNAL_SUFFIX, ROLE_PRIMARY, JournalHeader, file_stem
from serving.capture.durable import sync_folder
from serving.model.loading import LoadedVersion


class Journal:
    """One open journal of one version; this process holds its lock until `close`."""

    def __init__(
        self, folder: Path, version: LoadedVersion, sync: bool, role: str = ROLE_PRIMARY
    ) -> None:
        """Create the file, lock it, and write the header; with `sync`, wait for the disk too.

        Raises:
            OSError: it cannot be created or written.
        """
        self.rows = 0
        self._size = 0
        self._sync = sync
        owner = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        stem = file_stem(datetime.now(UTC), owner, version.number)
        self.path = folder / f"{stem}{JOURNAL_SUFFIX}"
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o640)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            self.append(_header(version, role).to_line(), 0)
            # Between creation and lock a collector may have taken it for a dead one's.
            if not os.path.samestat(self.path.stat(), os.fstat(self._fd)):
                raise FileNotFoundError(self.path)
            if sync:
                sync_folder(folder)
        except OSError:
            self.path.unlink(missing_ok=True)
            os.close(self._fd)
            raise

    def append(self, data: bytes, rows: int) -> None:
        """Append whole lines, all of them or none.

        Raises:
            OSError: they could not be written; the file ends where it ended before.
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

    def close(self) -> None:
        """Let go of the lock; from now on any collector may convert the file."""
        os.close(self._fd)


def _header(version: LoadedVersion, role: str) -> JournalHeader:
    constants = {
        "model_name": version.name,
        "model_version": version.contract.release,
        "registry_version": version.number,
        "role": role,
    }
    return JournalHeader.of(constants, {f.name: f.type for f in version.contract.features})
